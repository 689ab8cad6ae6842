//! The page of silences from outside, as a browser without scripts uses it, and as a page of another site would.

use crate::http;
use crate::kit::{Daemon, Folder, until_true};
use crate::silences::{folder, hot};

struct Browser<'a> {
    daemon: &'a Daemon,
}

impl Browser<'_> {
    fn get(&self, path: &str) -> http::Response {
        self.daemon.get(path)
    }

    /// The token in the form of the page.
    fn token(&self) -> String {
        let page = self.get("/silences").text();
        let begin = page.find("name=\"token\" value=\"").unwrap() + 20;
        page[begin..].split('"').next().unwrap().to_owned()
    }

    fn send(&self, form: &str, headers: &[(&str, &str)]) -> http::Response {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [&[kind], headers].concat();
        let request = http::request(&self.daemon.address, "POST", "/silences", &headers, form.as_bytes());
        http::exchange(&self.daemon.address, &request).unwrap()
    }
}

const WHO: &str = "until=2h&author=me+%26+you&comment=%3Cb%3Enew+fan%3C%2Fb%3E";

#[test]
fn a_silence_is_foreseen_made_and_ended_without_scripts() {
    let folder = folder();
    let daemon = Daemon::start(&folder);
    hot(&daemon);
    let browser = Browser { daemon: &daemon };
    let front = browser.get("/").text();
    let link = "href=\"silences?matchers=alertname%3D%22hot%22%2C+host%3D%22a%22#new\"";
    assert!(front.contains(link), "{front}");
    let filled = browser.get("/silences?matchers=alertname%3D%22hot%22%2C+host%3D%22a%22").text();
    for part in [
        "alertname=&quot;hot&quot;, host=&quot;a&quot;</textarea>",
        "1 alert firing, 0 pending",
        "1 alert fired 1 time",
    ] {
        assert!(filled.contains(part), "{part} in {filled}");
    }
    let token = browser.token();
    let form = |what: &str| format!("token={token}&do={what}&matchers=alertname%3Dhot&{WHO}");
    let foreseen = browser.send(&form("preview"), &[]);
    assert_eq!(foreseen.status, 200);
    assert!(foreseen.text().contains("What it would hide") && foreseen.text().contains("value=\"me &amp; you\""));
    assert_eq!(daemon.get("/api/v2/silences").json(), serde_json::json!([]), "a preview makes nothing");

    let made = browser.send(&form("make"), &[]);
    assert_eq!((made.status, made.header("location")), (303, Some("silences")), "{}", made.text());
    let list = browser.get("/silences").text();
    for part in
        ["alertname=&quot;hot&quot;", "&lt;b&gt;new fan&lt;/b&gt;", "by me &amp; you", "1 alert now", "for 1h59m"]
    {
        assert!(list.contains(part), "{part} in {list}");
    }
    assert!(!list.contains("<b>new"));
    until_true("the alert is marked", || browser.get("/").text().contains("silenced until"));

    let id = daemon.get("/api/v2/silences").json()[0]["id"].as_str().unwrap().to_owned();
    let ended = browser.send(&format!("token={token}&do=end&id={id}"), &[]);
    assert_eq!(ended.status, 303);
    assert_eq!(daemon.get("/api/v2/silences").json()[0]["status"]["state"], "expired");
    assert!(!browser.get("/").text().contains("silenced until"));
    let again = browser.send(&format!("token={token}&do=end&id=x"), &[]);
    assert_eq!(again.status, 404);
    assert!(again.text().contains("silence x not found"));
}

#[test]
fn what_is_wrong_in_the_form_is_told_and_what_was_typed_stays() {
    let folder = folder();
    folder.write("alertd.yaml", "silences: {comment_pattern: '^OPS-[0-9]+'}\n");
    let daemon = Daemon::start(&folder);
    let browser = Browser { daemon: &daemon };
    let token = browser.token();
    for (form, why) in [
        (format!("matchers=a&{WHO}"), "`a` is no matcher"),
        ("matchers=a%3Db&author=me&comment=OPS-1".to_owned(), "say how long"),
        (format!("matchers=a%3D~.*&{WHO}"), "needs a matcher that does not match an empty label"),
        (format!("matchers=a%3Db&{WHO}"), "(silences.comment_pattern)"),
        (format!("matchers=a%3Db&recurs=0+2+*+*+*&window=1h&{WHO}"), "seconds come first"),
        (format!("matchers=a%3Db&recurs=FREQ%3DDAILY&{WHO}"), "the length of its windows"),
    ] {
        for what in ["make", "preview"] {
            let answer = browser.send(&format!("token={token}&do={what}&{form}"), &[]);
            let text = answer.text();
            assert!(answer.status == 400 && text.contains(why), "{what} {form}: {} {text}", answer.status);
            assert!(text.contains("<textarea") && text.contains("name=\"author\" value=\"me"), "{text}");
        }
    }
    assert_eq!(daemon.get("/api/v2/silences").json(), serde_json::json!([]));
}

#[test]
fn a_page_of_another_site_cannot_send_the_form() {
    let folder = folder();
    let daemon = Daemon::start(&folder);
    let browser = Browser { daemon: &daemon };
    let token = browser.token();
    let body = |token: &str| format!("token={token}&do=make&matchers=a%3Db&{WHO}");
    for foreign in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        assert_eq!(browser.send(&body(&token), &[foreign]).status, 403, "{foreign:?}");
    }
    // What it could have a browser send that sets neither header: it does not know the token.
    for guess in ["", "x", &"0".repeat(32)] {
        let refused = browser.send(&body(guess), &[]);
        assert_eq!(refused.status, 403, "{guess}");
        assert!(refused.text().contains("send it again"), "the form is there with a new token");
    }
    assert_eq!(daemon.get(&format!("/silences?do=make&{}", body(&token))).status, 200, "reading changes nothing");
    assert_eq!(daemon.get("/api/v2/silences").json(), serde_json::json!([]));
    let page = browser.get("/silences");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert!(page.header("content-security-policy").unwrap_or_default().contains("form-action 'self'"));
    let refused = daemon.metric("alertd_http_refused_requests_total{class=\"vital\",reason=\"forbidden\"}");
    assert!(refused.is_some_and(|n| n >= 3.0), "{refused:?}");
}

#[test]
fn a_page_with_many_silences_stays_within_its_limits() {
    let folder = Folder::with(&[("rules/a.yaml", "rules: [{name: hot, metric: temperature, threshold: \"> 80\"}]\n")]);
    let daemon = Daemon::start(&folder);
    let send = |method: &str, path: &str, body: &str| {
        let request =
            http::request(&daemon.address, method, path, &[("Content-Type", "application/json")], body.as_bytes());
        let answer = http::exchange(&daemon.address, &request).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    // Three more than are shown of those that are open, and two more of those that are over.
    let ids: Vec<String> = (0..525)
        .map(|n| {
            let matcher = serde_json::json!({"name": "host", "value": format!("<i>{n}"), "isRegex": false});
            let (from, to) = ("2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
            let silence = serde_json::json!({
                "matchers": [matcher], "startsAt": from, "endsAt": to, "createdBy": "me", "comment": "c",
            });
            let made = send("POST", "/api/v2/silences", &silence.to_string()).json();
            made["silenceID"].as_str().unwrap().to_owned()
        })
        .collect();
    ids[..22].iter().for_each(|id| drop(send("DELETE", &format!("/api/v2/silence/{id}"), "")));
    let page = daemon.get("/silences").text();
    assert_eq!(page.matches("host=&quot;&lt;i&gt;").count(), 500 + 20);
    assert!(page.contains("and 3 more") && !page.contains("<i>"));
}
