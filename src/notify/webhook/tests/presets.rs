//! Presets one by one: limits, escaping, incidents, own bodies, signatures, headers, secrets.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::sink::{Reply, Sink};
use super::*;
use crate::config::preset::{built_in, built_in_names};
use crate::model::{Labels, Transition};
use crate::notify::webhook::sign;

/// A preview of each preset, with secrets in their places.
fn preview(name: &str, notice: &Notice) -> String {
    let (preset, needs) = (built_in(name).unwrap(), Needs::new());
    handler(name, &needs.keys(&preset, "https://receiver.example/hook")).preview(notice).payload
}

fn units(json: &Json) -> usize {
    json.as_str().unwrap_or_else(|| panic!("no text: {json}")).encode_utf16().count()
}

/// What the receiver would refuse.
fn over_limit(name: &str, body: &str) -> Option<String> {
    let json: Json = match serde_json::from_str(body) {
        Ok(json) => json,
        Err(error) => return Some(format!("no JSON: {error}")),
    };
    let mut bad = Vec::new();
    let mut at_most = |what: &str, size: usize, max: usize| {
        if size > max {
            bad.push(format!("{what}: {size} > {max}"));
        }
    };
    match name {
        "slack" => {
            at_most("header", units(&json["blocks"][0]["text"]["text"]), 150);
            at_most("text", units(&json["text"]), 4000);
            let blocks = json["attachments"][0]["blocks"].as_array().unwrap();
            at_most("blocks", blocks.len() + 1, 50);
            for block in blocks {
                let text =
                    if block["type"] == "context" { &block["elements"][0]["text"] } else { &block["text"]["text"] };
                at_most("section", units(text), 3000);
                at_most("empty section", usize::from(units(text) == 0), 0);
            }
        }
        "pagerduty" => {
            at_most("event", body.len(), 512_000);
            at_most("summary", units(&json["payload"]["summary"]), 1024);
            at_most("dedup_key", units(&json["dedup_key"]), 255);
        }
        "teams" => at_most("card", body.len(), 28_000),
        "discord" => {
            let embed = &json["embeds"][0];
            let sizes = [&embed["title"], &embed["description"], &embed["footer"]["text"]].map(units);
            for ((what, size), max) in ["title", "description", "footer"].into_iter().zip(sizes).zip([256, 4096, 2048])
            {
                at_most(what, size, max);
            }
            at_most("embed", sizes.iter().sum(), 6000);
        }
        "opsgenie" => {
            at_most("message", units(&json["message"]), 130);
            at_most("description", units(&json["description"]), 15_000);
            at_most("details", json["details"].to_string().len() / 4, 8000);
            json["tags"].as_array().unwrap().iter().for_each(|tag| at_most("tag", units(tag), 50));
        }
        "telegram" => at_most("text", units(&json["text"]), 4096),
        "mattermost" => at_most("text", units(&json["attachments"][0]["text"]), 16_000),
        "googlechat" => at_most("text", units(&json["text"]), 4096),
        "ntfy" => at_most("message", json["message"].as_str().unwrap().len(), 4096),
        "pushover" => {
            at_most("message", units(&json["message"]), 1024);
            at_most("title", units(&json["title"]), 250);
        }
        "webex" => at_most("text", json["text"].as_str().unwrap().len(), 7439),
        _ => {}
    }
    (!bad.is_empty()).then(|| bad.join(", "))
}

/// Markup from labels that would act: call somebody, hide a link, run.
fn markup(name: &str, json: &Json) -> Option<String> {
    let (texts, bad): (Vec<&Json>, &[&str]) = match name {
        "slack" => {
            let blocks = json["attachments"][0]["blocks"].as_array().unwrap().iter();
            (blocks.map(|b| &b["text"]["text"]).collect(), &["<!", "<@", "<script"])
        }
        "discord" => {
            assert_eq!(json["allowed_mentions"]["parse"], Json::Array(Vec::new()));
            (vec![&json["embeds"][0]["title"], &json["embeds"][0]["description"]], &["@everyone", " [x]"])
        }
        "telegram" => (vec![&json["text"]], &["<script", "<!", "<@", "&amp;amp;amp;"]),
        "mattermost" => (vec![&json["attachments"][0]["text"]], &["@everyone", " ![", "\n[x]"]),
        "googlechat" => (vec![&json["text"]], &["<"]),
        _ => return None,
    };
    let found = |text: &&Json| bad.iter().any(|bad| text.as_str().is_some_and(|text| text.contains(bad)));
    texts.into_iter().find(found).map(Json::to_string)
}

fn hostile(text: &str, alerts: usize) -> Notice {
    let mut all: Vec<Transition> = Vec::new();
    for i in 0..alerts {
        let mut one = transition(TransitionKind::Fired);
        let names = ["alertname", "job", "instance", "host", "service"].map(|name| (name.to_owned(), text.to_owned()));
        one.alert.labels = Labels::from_pairs(names.into_iter().chain([("i".to_owned(), i.to_string())]));
        one.alert.fingerprint = one.alert.labels.fingerprint();
        let link = format!("https://x.example/{}", "a".repeat(text.len().min(1900)));
        let words = ["summary", "description", "message"].map(|name| (name.to_owned(), text.to_owned()));
        one.alert.annotations = Labels::from_pairs(words.into_iter().chain([("runbook_url".to_owned(), link)]));
        one.alert.origin.file = text.into();
        one.alert.rule = text.into();
        one.alert.condition = text.into();
        one.trend = (0..100).map(f64::from).collect();
        all.push(one);
    }
    told(NoticeKind::Firing, NoticeReason::First, all)
}

#[test]
fn hostile_text_stays_within_every_receivers_limits() {
    let nasty = [
        "x\r\nBcc: a@b\r\n\r\n.\r\n".to_owned(),
        "\u{0}\u{202e}\u{200b}\u{1b}]8;;http://evil\u{7}".to_owned(),
        "<script>alert(1)</script> <!channel> <@U1> &amp; *b* _i_ `c` @everyone [x](http://evil)".to_owned(),
        "\"}],\"text\":\"{{ 7 * 7 }}{% for %}".to_owned(),
        "ä👍🏽\"\\<&>".repeat(1500),
        "<".repeat(10_000),
        "\u{202e}".repeat(3000),
        String::new(),
    ];
    for text in &nasty {
        for alerts in [1, 12] {
            let notice = hostile(text, alerts);
            for name in built_in_names() {
                let body = preview(name, &notice);
                let short: String = text.chars().take(20).collect();
                assert_eq!(over_limit(name, &body), None, "{name}, {alerts} alerts of {short:?}");
                let json: Json = serde_json::from_str(&body).unwrap();
                assert_eq!(markup(name, &json), None, "{name}: {json}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_labels_and_annotations_make_valid_bodies_within_the_limits(
        text in "(\\PC|\\p{C}|[<>&*@`]|\r\n){0,400}", times in 1..30usize, alerts in 1..14usize,
    ) {
        let notice = hostile(&text.repeat(times), alerts);
        for name in built_in_names() {
            let body = preview(name, &notice);
            prop_assert_eq!(over_limit(name, &body), None, "{}", name);
        }
    }
}

#[test]
fn an_event_too_long_for_pagerduty_goes_without_its_details() {
    let big = hostile(&"y".repeat(10_000), 60);
    let body = preview("pagerduty", &big);
    assert!(body.len() < 10_000 && body.contains("The details were left out"), "{}", body.len());
    let small: Json = serde_json::from_str(&preview("pagerduty", &group())).unwrap();
    assert_eq!(small["payload"]["custom_details"]["alerts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn alerts_beyond_the_limit_are_counted() {
    let sink = handler("generic", "url: 'http://x', max_alerts: 2");
    let json: Json = serde_json::from_str(&sink.preview(&hostile("a", 5)).payload).unwrap();
    assert_eq!((json["alerts"].as_array().unwrap().len(), &json["truncatedAlerts"]), (2, &Json::from(3)));
    let slack: Json = serde_json::from_str(&preview("slack", &hostile("a", 25))).unwrap();
    assert!(slack.to_string().contains("and 15 more"));
}

#[tokio::test]
async fn a_receiver_of_incidents_is_told_of_what_came_and_went_by_opening_and_closing() {
    let needs = Needs::new();
    let missed = told(NoticeKind::Resolved, NoticeReason::FiredAndResolved, vec![resolved()]);
    let sink = Sink::new(vec![Reply::status(202), Reply::status(503), Reply::status(202)]);
    let keys = format!("url: '{}', routing_key: {}", sink.url, needs.secret());
    let pagerduty = handler("pagerduty", &keys);
    let outcome = send(&pagerduty, &missed).await;
    let Outcome::Retry { done, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(done, &["opened"]);
    let again = pagerduty.send(&missed, Attempt { number: 2, now: NOW, done }).await;
    assert!(matches!(again, Outcome::Sent { .. }), "{again:?}");
    let requests = sink.requests();
    let actions: Vec<Json> = requests.iter().map(|r| r.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve", "resolve"]);
    let keys: Vec<Json> = requests.iter().map(|r| r.json()["dedup_key"].clone()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(requests[0].line(), "POST /v2/enqueue HTTP/1.1");
    let ids: Vec<_> = requests.iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(ids, ["00ff", "00ff-resolved", "00ff-resolved"]);
    let both: Json = serde_json::from_str(&pagerduty.preview(&missed).payload).unwrap();
    assert_eq!(both.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn opsgenie_is_closed_by_alias_and_telegrams_token_is_in_the_path_alone() {
    let needs = Needs::new();
    let sink = Sink::new(vec![Reply::status(202)]);
    let opsgenie = handler("opsgenie", &format!("url: '{}/', api_key: {}", sink.url, needs.secret()));
    assert!(matches!(send(&opsgenie, &over()).await, Outcome::Sent { .. }));
    let request = sink.last();
    let hash = Json::from(request.line().split('/').nth(3).unwrap());
    assert!(request.line().ends_with("/close?identifierType=alias HTTP/1.1"), "{}", request.line());
    assert_eq!(request.header("authorization"), Some(format!("GenieKey {CANARY}").as_str()));
    send(&opsgenie, &firing()).await;
    assert_eq!(sink.last().json()["alias"], hash);

    let sink = Sink::new(vec![Reply::body(404, &format!("no bot /bot{CANARY}/sendMessage"))]);
    let telegram = handler("telegram", &format!("url: '{}', bot_token: {}, chat_id: '-1'", sink.url, needs.secret()));
    let (_, words, _) = failed(&send(&telegram, &firing()).await);
    assert_eq!(sink.last().line(), format!("POST /bot{CANARY}/sendMessage HTTP/1.1"));
    assert!(!words.contains("CANARY") && !sink.last().body.contains("CANARY"), "{words}");
}

#[tokio::test]
async fn a_secret_in_the_url_is_not_shown_and_a_rotated_one_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let sink = Sink::new(vec![Reply::body(404, "no_service /services/T0/B0/CANARY-one"), Reply::body(200, "ok")]);
    std::fs::write(&file, format!("{}/services/T0/B0/CANARY-one\n", sink.url)).unwrap();
    let slack = handler("slack", &format!("url: '${{file:{}}}'", file.display()));
    let (retry, words, _) = failed(&send(&slack, &firing()).await);
    assert!(!retry && !words.contains("CANARY") && words.contains("no_service"), "{words}");
    assert_eq!(slack.preview(&firing()).url.as_deref(), Some("<redacted>"));
    std::fs::write(&file, format!("{}/services/T0/B0/CANARY-number-two\n", sink.url)).unwrap();
    assert!(matches!(send(&slack, &firing()).await, Outcome::Sent { .. }));
    assert!(sink.last().line().contains("CANARY-number-two"));
}

#[tokio::test]
async fn own_bodies_headers_methods_credentials_and_signatures_are_sent() {
    let needs = Needs::new();
    let sink = Sink::new(vec![Reply::status(200)]);
    let keys = format!(
        "url: '{}/a?b=c', method: PUT, headers: {{X-Team: llm, X-Token: {secret}}}, hmac_secret: {secret}, \
         basic_auth: {{username: u, password: {secret}}}, params: {{room: '#ops'}}, \
         body: '{{\"t\": {{{{ title | tojson }}}}, \"r\": {{{{ params.room | tojson }}}}, \"n\": {{{{ alerts | length }}}}}}'",
        sink.url,
        secret = needs.secret()
    );
    let own = handler("generic", &keys);
    assert!(matches!(send(&own, &group()).await, Outcome::Sent { .. }));
    let request = sink.last();
    assert_eq!(request.line(), "PUT /a?b=c HTTP/1.1");
    assert_eq!(request.body, r##"{"t": "FIRING 2 critical: HighCPU", "r": "#ops", "n": 2}"##);
    assert_eq!((request.header("x-team"), request.header("x-token")), (Some("llm"), Some(CANARY)));
    assert!(request.header("authorization").is_some_and(|v| v.starts_with("Basic ")));
    let signature = request.header("x-alertd-signature").unwrap();
    assert_eq!(sign::verify(CANARY, signature, request.body.as_bytes(), NOW, Duration::ZERO), Ok(()));
    assert!(!format!("{:?}", own.preview(&group())).contains("CANARY"));

    let bearer = handler(
        "generic",
        &format!("url: '{}', method: GET, authorization: {{credentials: {}}}", sink.url, needs.secret()),
    );
    assert!(matches!(send(&bearer, &firing()).await, Outcome::Sent { .. }));
    let request = sink.last();
    assert_eq!((request.line(), request.body.as_str()), ("GET / HTTP/1.1", ""));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
}

#[tokio::test]
async fn a_line_end_in_a_secret_header_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h");
    std::fs::write(&file, "CANARY-a\r\nX-Evil: 1").unwrap();
    let sink = Sink::new(vec![Reply::status(200)]);
    let split =
        handler("generic", &format!("url: '{}', headers: {{X-Token: '${{file:{}}}'}}", sink.url, file.display()));
    let (retry, words, _) = failed(&send(&split, &firing()).await);
    assert_eq!(
        (retry, words.as_str()),
        (
            false,
            "reading a secret: the value of the header `x-token` has a character that no header may have"
                .replace("x-token", "X-Token")
                .as_str()
        )
    );
    assert!(sink.requests().is_empty());
}

#[tokio::test]
async fn a_template_that_fails_sends_the_default_text_with_its_error() {
    // What is checked with samples can still fail for a message that no sample is like.
    let body = "{% if alerts | length > 3 %}{{ fail(\"no room\") }}{% endif %}{\"a\": 1}";
    let endless = "{% if alerts | length > 3 %}{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}{% endif %}{}";
    let garbled = "{% if alerts | length > 3 %}oops{% else %}{}{% endif %}";
    for (body, error) in [(body, "no room"), (endless, "takes too long"), (garbled, "is no JSON")] {
        for preset in ["generic", "slack"] {
            let sink = Sink::new(vec![Reply::body(200, "ok")]);
            let own = handler(preset, &format!("url: '{}', body: '{body}'", sink.url));
            assert!(matches!(send(&own, &hostile("a", 5)).await, Outcome::Sent { .. }));
            let sent = sink.last().body;
            assert!(sent.contains("own body failed") && sent.contains(error), "{preset}: {sent}");
            assert!(
                sent.contains(if preset == "slack" { "FIRING critical a: 92.44" } else { "\"fingerprint\"" }),
                "{sent}"
            );
        }
    }
    let plain = handler("generic", &format!("url: 'http://x', content_type: text/plain, body: '{body}'"));
    let text = plain.preview(&hostile("a", 5)).payload;
    assert!(text.starts_with("FIRING 5 critical: a\nnote: the handler's own body failed"), "{text}");
}

#[tokio::test]
async fn a_users_preset_is_used_and_one_that_fails_falls_back_to_the_programs() {
    let own = |name: &str, body: &str| {
        SourceFile::new(
            format!("handlers/presets/{name}.yaml"),
            format!("needs: [url, params.x]\nretry: [409]\npath: /in/{{{{ params.x }}}}\nbody: |\n  {body}\n"),
        )
    };
    let sink = Sink::new(vec![Reply::status(409), Reply::status(200)]);
    let mine = handler_of(
        "mine",
        &format!("url: '{}', params: {{x: y}}", sink.url),
        &[own("mine", "{\"x\": {{ params.x | tojson }}}")],
    );
    assert!(matches!(send(&mine, &firing()).await, Outcome::Retry { .. }));
    assert!(matches!(send(&mine, &firing()).await, Outcome::Sent { .. }));
    assert_eq!((sink.last().line(), sink.last().body.as_str()), ("POST /in/y HTTP/1.1", r#"{"x":"y"}"#));
    let failing = "{% if alerts | length > 3 %}{{ fail(params.x) }}{% endif %}{}";
    let slack = handler_of("slack", "url: 'http://x', params: {x: y}", &[own("slack", failing)]);
    let sent = slack.preview(&hostile("a", 5)).payload;
    assert!(sent.contains("\"blocks\"") && sent.contains("the preset `slack` failed"), "{sent}");
    let other = handler_of("other", "url: 'http://x', params: {x: y}", &[own("other", failing)]);
    let sent = other.preview(&hostile("a", 5)).payload;
    assert!(sent.starts_with(r#"{"status":"firing","text":"FIRING 5"#), "{sent}");
}

#[tokio::test]
async fn a_proxy_that_is_written_is_used_and_the_environments_is_not() {
    let proxy = Sink::new(vec![Reply::status(200)]);
    let address = format!("http://user:{CANARY}@127.0.0.1:{}", proxy.port);
    let through = handler("generic", &format!("url: 'http://receiver.invalid/x', proxy_url: '{address}'"));
    assert!(matches!(send(&through, &firing()).await, Outcome::Sent { .. }));
    assert_eq!(proxy.last().line(), "POST http://receiver.invalid/x HTTP/1.1");
    assert!(proxy.last().header("proxy-authorization").is_some());
    let denied = handler("generic", &format!("url: 'http://169.254.169.254/x', proxy_url: '{address}'"));
    assert!(!failed(&send(&denied, &firing()).await).0);
    assert_eq!(proxy.requests().len(), 1);
}
