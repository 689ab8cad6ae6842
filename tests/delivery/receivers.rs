//! Receivers that ask for time, refuse, break, hang and lie.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::history;
use crate::kit::{Folder, instant, until, until_true};
use crate::setup::{brief, data, folder, folder_with, rule, rules, start, taken, wait_words, webhook, words};
use crate::sink::{Act, Sink};
use crate::smtp_server::{Act as MailAct, SmtpServer};

fn one_rule() -> String {
    rules(&[rule("busy", "for: 0s")])
}

/// The time between the first two requests at a path, and whether they are the same message.
#[track_caller]
fn pause_before_retry(sink: &Sink, path: &str) -> Duration {
    let both = until("it is tried again", || Some(sink.at(path)).filter(|requests| requests.len() >= 2));
    assert_eq!(both[0].id(), both[1].id(), "{:#?}", brief(sink));
    both[1].at.duration_since(both[0].at)
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the receiver names a date")]
fn retry_after_is_kept_in_each_of_its_forms() {
    let sink = Sink::start();
    let at = SystemTime::now() + Duration::from_secs(3);
    let date = httpdate::fmt_http_date(at);
    for (path, header) in [
        ("/seconds", "Retry-After: 1".to_owned()),
        ("/date", format!("Retry-After: {date}")),
        ("/huge", "Retry-After: 99999999999999999999".to_owned()),
        ("/garbage", "Retry-After: whenever".to_owned()),
        ("/past", "Retry-After: Tue, 14 Nov 2000 22:13:50 GMT".to_owned()),
    ] {
        sink.next(path, [Act::with_header(429, &header)]);
    }
    let paths = ["seconds", "date", "huge", "garbage", "past"];
    let handlers: String = paths.iter().map(|p| webhook(p, &sink.url(&format!("/{p}")), &["timeout: 5s"])).collect();
    let folder = folder_with(&one_rule(), &format!("handlers:\n{handlers}"), "");
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    let pause = pause_before_retry(&sink, "/seconds");
    assert!((Duration::from_secs(1)..Duration::from_millis(1500)).contains(&pause), "{pause:?}");
    assert!(pause_before_retry(&sink, "/garbage") < Duration::from_secs(1), "garbage is no wish");
    assert!(pause_before_retry(&sink, "/past") < Duration::from_secs(1));
    let dated = until("tried again at the date", || sink.at("/date").get(1).cloned());
    assert!(dated.taken() && SystemTime::now() >= at - Duration::from_secs(1), "before the date");
    // An hour at most, which no test waits for: it is not tried meanwhile, and goes out after a restart.
    assert_eq!(sink.at("/huge").len(), 1);
    daemon.stop();
    let daemon = start(&folder);
    wait_words(&sink, "/huge", &["busy firing"]);
    for path in paths {
        wait_words(&sink, &format!("/{path}"), &["busy firing"]);
    }
    daemon.stop();
}

#[test]
fn twenty_times_500_then_200_delivers_once_and_in_order() {
    let sink = Sink::start();
    // What the receiver asks for keeps the pauses short.
    sink.next("/chat", (0..20).map(|n| Act::with_header(if n % 2 == 0 { 500 } else { 503 }, "Retry-After: 0")));
    let folder = folder(&one_rule(), &sink);
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    until_true("it fails", || sink.at("/chat").len() > 2);
    until_true("it was refused twenty times", || sink.at("/chat").len() >= 21);
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    assert_eq!(daemon.metric("alertd_delivered_total{handler=\"chat\"}"), Some(2.0));
    assert_eq!(daemon.metric("alertd_dead_letters_total{handler=\"chat\"}"), Some(0.0));
    daemon.stop();
}

#[test]
fn what_is_refused_for_good_is_a_dead_letter_and_the_fallback_hears_it_to_the_end() {
    let sink = Sink::start();
    let statuses = [400, 401, 404, 410];
    let mut handlers = "handlers:\n".to_owned();
    for status in statuses {
        sink.on(&format!("/{status}"), Act::status(status));
        let (name, url) = (format!("h{status}"), sink.url(&format!("/{status}")));
        handlers += &webhook(&name, &url, &[&format!("fallback: f{status}"), "timeout: 5s"]);
        handlers += &webhook(&format!("f{status}"), &sink.url(&format!("/fallback{status}")), &["timeout: 5s"]);
    }
    let names: Vec<String> = statuses.iter().map(|status| format!("h{status}")).collect();
    handlers += &format!("route: {{group_by: ['...'], group_wait: 0s, group_interval: 0s, handlers: {names:?}}}\n");
    let folder = folder_with(&one_rule(), &handlers, "");
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    for status in statuses {
        let path = format!("/fallback{status}");
        wait_words(&sink, &path, &["busy firing"]);
        let told = &taken(&sink, &path)[0];
        assert!(told.note.contains(&format!("h{status} could not be told")), "{told:?}");
        assert!(told.note.contains(&status.to_string()) && told.text.contains(&told.note), "{told:?}");
        assert_eq!(sink.at(&format!("/{status}")).len(), 1, "tried once");
    }
    let dead =
        |handler: &str| history::outbox(&data(&folder)).into_iter().filter(|r| r.1 == handler && r.2 == "dead").count();
    for name in &names {
        until_true("it is among the dead letters", || dead(name) == 1);
        assert_eq!(daemon.metric(&format!("alertd_dead_letters_total{{handler=\"{name}\"}}")), Some(1.0));
    }
    until_true("what was delivered is put down", || history::outbox(&data(&folder)).iter().all(|row| row.2 == "dead"));
    // That the fallback must hear the end outlives the process.
    daemon.kill();
    let daemon = start(&folder);
    daemon.push("busy_m 0\n");
    for status in statuses {
        wait_words(&sink, &format!("/fallback{status}"), &["busy firing", "busy resolved"]);
        // The handler refuses the end too; its fallback has that already.
        until_true("the end is among the dead letters", || dead(&format!("h{status}")) == 2);
    }
    daemon.stop();
    for status in statuses {
        assert_eq!(words(&sink, &format!("/fallback{status}")), ["busy firing", "busy resolved"]);
    }
}

#[test]
fn handlers_that_hang_do_not_delay_the_others() {
    let sink = Sink::start();
    sink.hold(true);
    sink.on("/mute", Act::Hold);
    let mail = SmtpServer::plain().on("greeting", MailAct::Hang);
    let handlers = format!(
        "handlers:\n{}{}  - {{name: mail, type: smtp, host: 127.0.0.1, port: {}, tls: none, from: a@example.org, to: \
         [b@example.org], timeout: 3s}}\n",
        webhook("mute", &sink.url("/mute"), &["timeout: 60s"]),
        webhook("chat", &sink.url("/chat"), &["timeout: 5s"]),
        mail.port()
    );
    let both = rules(&[rule("busy", "for: 0s"), rule("other", "for: 0s")]);
    let folder = folder_with(&both, &handlers, "shutdown_grace: 1s");
    let daemon = start(&folder);
    daemon.push("busy_m 5\nother_m 0\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    until_true("both others hang", || !sink.at("/mute").is_empty() && mail.connections() > 0);
    // A new alert, and an end, while they hang: the time from the push, evaluation included.
    for (text, want) in [
        ("busy_m 5\nother_m 5\n", vec!["busy firing", "other firing"]),
        ("busy_m 0\nother_m 5\n", vec!["busy firing", "other firing", "busy resolved"]),
    ] {
        let begun = instant();
        daemon.push(text);
        wait_words(&sink, "/chat", &want);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // The mute server is named, with the step at which it was silent.
    daemon.err.wait("Delivery failed handler=mail greeting");
    daemon.stop();
}

#[test]
fn fired_and_resolved_while_the_receiver_is_away_is_told_once() {
    for (way, act) in [("refuses", None), ("answers 429 and asks for a second", Some("Retry-After: 1"))] {
        let sink = Sink::away();
        if let Some(header) = act {
            sink.on("/chat", Act::with_header(429, header));
            sink.up();
        }
        let folder = folder(&one_rule(), &sink);
        let daemon = start(&folder);
        daemon.push("busy_m 5\n");
        daemon.err.wait("Delivery failed handler=chat");
        daemon.push("busy_m 0\n");
        daemon.err.wait("Notices are told as one");
        match act {
            Some(_) => sink.on("/chat", Act::ok()),
            None => sink.up(),
        }
        wait_words(&sink, "/chat", &["busy resolved"]);
        let told = taken(&sink, "/chat");
        assert_eq!((told.len(), told[0].reason.as_str()), (1, "fired and resolved"), "{way}");
        until_true("nothing waits", || history::outbox(&data(&folder)).is_empty());
        daemon.stop();
        let rows = history::read(&data(&folder));
        let later = rows.iter().find(|row| row.reason == "told with a later notice").expect("a row of what was merged");
        assert_eq!(later.held(), "fired", "{later:?}");
        assert_ne!(later.notice, told[0].id);
    }
}

#[test]
fn redirects_are_not_followed_and_a_huge_answer_is_not_read() {
    let (sink, other) = (Sink::start(), Sink::start());
    let elsewhere = format!("Location: {}", other.url("/loot"));
    sink.on("/metadata", Act::with_header(302, "Location: http://169.254.169.254/latest/meta-data/"));
    sink.on("/elsewhere", Act::with_header(307, &elsewhere));
    sink.on("/file", Act::with_header(302, "Location: file:///etc/passwd"));
    sink.next("/flood", [Act::Flood(500, 100 << 20)]);
    sink.next("/broken", [Act::CloseAfterHead(200)]);
    sink.next("/reset", [Act::ResetUnread, Act::CloseAfterReading]);
    let paths = ["metadata", "elsewhere", "file", "flood", "broken", "reset"];
    let headers = "headers: {Authorization: Bearer not-for-others}";
    let handlers: String =
        paths.iter().map(|p| webhook(p, &sink.url(&format!("/{p}")), &["timeout: 5s", headers])).collect();
    let denied = webhook("denied", "http://169.254.169.254/x", &["timeout: 5s"]);
    let folder = folder_with(&one_rule(), &format!("handlers:\n{handlers}{denied}"), "");
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    for path in ["metadata", "elsewhere", "file", "denied"] {
        let dead = format!("alertd_dead_letters_total{{handler=\"{path}\"}}");
        until_true(&format!("{path} is given up"), || daemon.metric(&dead) == Some(1.0));
    }
    assert_eq!(other.requests().len(), 0, "a redirect was followed");
    for path in ["/flood", "/reset", "/broken"] {
        until_true(&format!("{path} is told"), || !taken(&sink, path).is_empty());
    }
    let reset = sink.at("/reset");
    assert!(reset.len() > 1, "{}", reset.len());
    assert!(reset.iter().all(|request| request.id() == reset[0].id()));
    assert!(resident_mib(daemon.pid()) < 400, "{} MiB", resident_mib(daemon.pid()));
    let log = daemon.err.text();
    assert!(
        !log.contains(
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
                           xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
                           xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        ),
        "the whole answer is in the log"
    );
    assert!(!log.contains("not-for-others"), "a header is in the log");
    daemon.stop();
}

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// What happens to a secret's file.
type Change<'a> = Box<dyn Fn() + 'a>;

#[test]
fn a_secret_that_is_rotated_is_used_at_once_and_one_that_is_lost_keeps_its_last_value() {
    let sink = Sink::start();
    let folder = Folder::new();
    let secret = folder.at("token");
    let authorization = format!("authorization: {{credentials: '${{file:{}}}'}}", secret.display());
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s", &authorization]));
    folder.write("rules/a.yaml", one_rule());
    folder.write("handlers/h.yaml", handlers);
    folder.write("alertd.yaml", crate::setup::config(""));
    folder.write("token", "first-token");
    let daemon = start(&folder);
    let mut wanted = Vec::new();
    let steps: [(&str, Change<'_>, &str); 4] = [
        ("as written", Box::new(|| {}), "Bearer first-token"),
        (
            "rotated",
            Box::new(|| folder.write("token", "second-token-which-is-longer")),
            "Bearer second-token-which-is-longer",
        ),
        ("half written", Box::new(|| folder.write("token", "")), "Bearer second-token-which-is-longer"),
        ("removed", Box::new(|| std::fs::remove_file(&secret).unwrap()), "Bearer second-token-which-is-longer"),
    ];
    for (n, (step, change, expected)) in steps.iter().enumerate() {
        change();
        daemon.push(if n % 2 == 0 { "busy_m 5\n" } else { "busy_m 0\n" });
        wanted.push(if n % 2 == 0 { "busy firing" } else { "busy resolved" });
        wait_words(&sink, "/chat", &wanted);
        let request = sink.at("/chat").pop().unwrap();
        assert_eq!(request.headers.get("authorization").map(String::as_str), Some(*expected), "{step}");
    }
    daemon.err.wait("A secret cannot be read any more; the last value is used");
    daemon.stop();
    // Without a last value it waits for the file, and nobody is told a lie.
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    daemon.err.wait("Delivery failed handler=chat");
    sleep(Duration::from_millis(300));
    assert_eq!(sink.at("/chat").len(), 4);
    folder.write("token", "third-token");
    wanted.push("busy firing");
    wait_words(&sink, "/chat", &wanted);
    daemon.stop();
}

#[test]
fn a_receiver_that_calls_back_while_it_is_told_gets_its_answer() {
    let sink = Sink::start();
    let folder = folder(&one_rule(), &sink);
    let daemon = start(&folder);
    let address = daemon.address.clone();
    let ask = move || {
        let answer = crate::http::get(&address, "/api/v1/alerts").unwrap();
        assert!(answer.text().contains("busy"), "{}", answer.text());
    };
    sink.next("/chat", [Act::Call(Arc::new(ask), Box::new(Act::ok()))]);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.stop();
}
