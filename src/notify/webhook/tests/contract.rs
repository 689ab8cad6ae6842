//! What every preset must do with every answer, and with none.

use std::time::Duration;

use super::sink::{Reply, Sink};
use super::*;
use crate::config::preset::{built_in, built_in_names};

/// The answer that a preset takes for success.
fn success(preset: &Preset) -> Reply {
    let status = preset.success.status.first().copied().unwrap_or(200);
    let fields: Vec<String> = preset.success.json.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
    let json = if fields.is_empty() { String::new() } else { format!("{{{}}}", fields.join(",")) };
    Reply::body(status, preset.success.body.as_deref().unwrap_or(&json))
}

struct Case {
    preset: Arc<Preset>,
    sink: Sink,
    handler: WebhookHandler,
    _needs: Needs,
}

/// A handler of each preset against the same script.
fn all(script: impl Fn(&Preset) -> Vec<Reply>, more: &str) -> Vec<Case> {
    built_in_names()
        .map(|name| {
            let (preset, needs) = (built_in(name).unwrap(), Needs::new());
            let sink = Sink::new(script(&preset));
            let keys = format!("{}{more}", needs.keys(&preset, &sink.url));
            Case { handler: handler(name, &keys), preset, sink, _needs: needs }
        })
        .collect()
}

fn never_shown(case: &Case, what: &str) {
    assert!(!what.contains("CANARY"), "{}: {what}", case.preset.name);
}

#[tokio::test]
async fn a_taken_message_is_sent_with_its_identity_and_keeps_its_connection() {
    for case in all(|preset| vec![success(preset)], "") {
        for notice in [firing(), group(), over()] {
            let outcome = send(&case.handler, &notice).await;
            assert!(matches!(outcome, Outcome::Sent { .. }), "{}: {outcome:?}", case.preset.name);
            let request = case.sink.last();
            assert_eq!(request.header("idempotency-key"), Some("00ff"), "{}", request.head);
            assert_eq!(request.header("user-agent"), Some(concat!("alertd/", env!("CARGO_PKG_VERSION"))));
            assert_eq!(request.header("content-type"), Some("application/json"));
            request.json();
            never_shown(&case, &format!("{outcome:?}{:?}", case.handler.preview(&notice)));
        }
        assert_eq!((case.sink.requests().len(), case.sink.connections()), (3, 1), "{}", case.preset.name);
    }
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    const ROUNDS: &[(u16, bool)] = &[
        (101, false),
        (300, false),
        (304, false),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (409, false),
        (410, false),
        (413, false),
        (422, false),
        (451, false),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (501, true),
        (502, true),
        (503, true),
        (504, true),
        (599, true),
    ];
    let script = |_: &Preset| {
        ROUNDS.iter().map(|(status, _)| Reply::body(*status, &format!("no: {CANARY}\r\n\x1b[2J"))).collect()
    };
    for case in all(script, "") {
        for (status, again) in ROUNDS {
            let outcome = send(&case.handler, &firing()).await;
            let (retry, words, maybe_taken) = failed(&outcome);
            assert_eq!((retry, maybe_taken), (*again, false), "{} {status}: {words}", case.preset.name);
            assert!(words.contains(&format!("the receiver answered {status}")), "{status}: {words}");
            assert!(!words.contains('\x1b') && !words.contains('\n'), "{words}");
            // Presets without a secret of their own have nothing that would have to be hidden.
            if case.preset.secrets.iter().any(|s| s != "url") {
                never_shown(&case, &format!("{outcome:?}"));
            }
        }
        assert_eq!(case.sink.requests().len(), ROUNDS.len());
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_told_without_their_path() {
    const TARGETS: [&str; 4] = [
        "location: http://169.254.169.254/latest/CANARY-meta\r\n",
        "location: file:///etc/passwd\r\n",
        "location: /again\r\n",
        "location: https://evil.example:8443/a?b=CANARY\r\n",
    ];
    let script = |_: &Preset| {
        [301, 302, 307, 308].into_iter().zip(TARGETS).map(|(s, t)| Reply::Status(s, t, String::new())).collect()
    };
    for case in all(script, "") {
        for (status, shown) in [
            (301, "http://169.254.169.254/<redacted>"),
            (302, ""),
            (307, ""),
            (308, "https://evil.example:8443/<redacted>"),
        ] {
            let outcome = send(&case.handler, &firing()).await;
            let (retry, words, _) = failed(&outcome);
            assert!(
                !retry && words.contains(&format!("answered {status}")) && words.contains("redirects are not followed"),
                "{words}"
            );
            assert!(words.contains(shown), "{words}");
            never_shown(&case, &words);
        }
        assert_eq!(case.sink.requests().len(), 4);
    }
}

#[tokio::test]
async fn a_receiver_names_its_pause() {
    const HEADERS: [(&str, Option<u64>); 6] = [
        ("retry-after: 7\r\n", Some(7)),
        ("retry-after: Tue, 14 Nov 2023 22:17:20 GMT\r\n", Some(40)),
        ("retry-after: 99999999\r\n", Some(3600)),
        ("retry-after: soon\r\n", None),
        ("retry-after: \r\n", None),
        ("", None),
    ];
    let script = |_: &Preset| HEADERS.iter().map(|(h, _)| Reply::Status(429, h, "slow down".to_owned())).collect();
    for case in all(script, "") {
        for (header, pause) in HEADERS {
            let outcome = send(&case.handler, &firing()).await;
            let Outcome::Retry { after, failure, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(after, pause.map(Duration::from_secs), "{} {header}", case.preset.name);
            assert_eq!(failure.class, crate::notify::FailureClass::RateLimited);
        }
    }
    for (name, body) in
        [("telegram", r#"{"ok":false,"parameters":{"retry_after":5}}"#), ("discord", r#"{"retry_after": 5.0}"#)]
    {
        let (preset, needs) = (built_in(name).unwrap(), Needs::new());
        let sink = Sink::new(vec![Reply::body(429, body)]);
        let outcome = send(&handler(name, &needs.keys(&preset, &sink.url)), &firing()).await;
        assert!(matches!(outcome, Outcome::Retry { after: Some(Duration { .. }), .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn huge_endless_and_garbled_answers_cost_nothing_more() {
    let script = |_: &Preset| {
        vec![
            Reply::body(500, &"x".repeat(1 << 20)),
            Reply::Endless(503),
            Reply::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
            Reply::Raw(vec![0xff; 300]),
            Reply::Raw(Vec::new()),
        ]
    };
    for case in all(script, "") {
        for part in ["answered 500: xxx", "answered 503: xxx", "is no HTTP", "is no HTTP", "before an answer came"] {
            let outcome = send(&case.handler, &firing()).await;
            let (retry, words, _) = failed(&outcome);
            assert!(retry && words.contains(part) && words.len() < 400, "{}: {words}", case.preset.name);
        }
        assert_eq!(case.sink.requests().len(), 5, "{}", case.preset.name);
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_names_its_phase() {
    let waits = |_: &Preset| vec![Reply::Hang, Reply::Drip(500)];
    let cases = all(waits, ", timeout: 1s");
    let each = cases.iter().map(|case| async move {
        let (retry, words, maybe_taken) = failed(&send(&case.handler, &firing()).await);
        assert!(retry && maybe_taken, "{words}");
        assert_eq!(words, "waiting for the answer: no answer within 1s");
        // The status is known, the rest does not matter.
        let (retry, words, maybe_taken) = failed(&send(&case.handler, &firing()).await);
        assert!(retry && !maybe_taken && words.contains("answered 500: o"), "{words}");
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_success_whose_answer_does_not_end_counts_where_its_body_does_not_matter() {
    let cases = all(|preset| vec![Reply::Drip(preset.success.status.first().copied().unwrap_or(200))], ", timeout: 1s");
    let each = cases.iter().map(|case| async move {
        let outcome = send(&case.handler, &firing()).await;
        if case.preset.success.body.is_none() && case.preset.success.json.is_empty() {
            assert!(matches!(&outcome, Outcome::Sent { answer, .. } if answer.contains("did not end")), "{outcome:?}");
        } else {
            assert_eq!(failed(&outcome), (true, "reading the answer: its answer did not end in time".to_owned(), true));
        }
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_broken_connection_is_asked_again_at_once_only_where_it_was_kept_from_before() {
    // On a fresh connection the receiver may have taken the message.
    for case in all(|preset| vec![Reply::Close, Reply::Reset, success(preset), Reply::Close, success(preset)], "") {
        for _ in 0..2 {
            let (retry, words, maybe_taken) = failed(&send(&case.handler, &firing()).await);
            assert!(retry && maybe_taken && words.starts_with("waiting for the answer: the connection was"), "{words}");
        }
        assert_eq!(case.sink.requests().len(), 2, "{}", case.preset.name);
        assert!(matches!(send(&case.handler, &firing()).await, Outcome::Sent { .. }));
        let outcome = send(&case.handler, &firing()).await;
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        let requests = case.sink.requests();
        assert_eq!((requests.len(), case.sink.connections()), (5, 4), "{}", case.preset.name);
        assert_eq!(requests[3].header("idempotency-key"), requests[4].header("idempotency-key"));
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_named() {
    let needs = Needs::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (keys, retry, words) in [
        (format!("url: 'http://127.0.0.1:{closed}/{CANARY}'"), true, "connecting: connection refused"),
        (
            format!("url: 'http://no-such-host.invalid/{CANARY}'"),
            true,
            "resolving the host name: no-such-host.invalid: ",
        ),
        (
            "url: 'http://169.254.169.254/'".to_owned(),
            false,
            "connecting: 169.254.169.254 is a link-local address: not allowed",
        ),
        ("url: 'http://[::ffff:169.254.169.254]/'".to_owned(), false, "is a link-local address: not allowed"),
        ("url: 'http://2852039166/'".to_owned(), false, "169.254.169.254 is a link-local address: not allowed"),
        ("url: 'http://0/'".to_owned(), false, "0.0.0.0 is an unspecified address: not allowed"),
        (
            "url: 'http://localhost:1/', deny_private: true".to_owned(),
            false,
            "resolving the host name: localhost is a loopback address",
        ),
        (
            "url: 'http://127.0.0.1:1/', deny_private: true".to_owned(),
            false,
            "connecting: 127.0.0.1 is a loopback address",
        ),
        ("url: '${file:/no/such/file}'".to_owned(), true, "reading a secret: ${file:/no/such/file}: No such file"),
        (format!("url: {}", needs.secret()), false, "reading a secret: `url` is no web address"),
        (
            format!("url: 'http://127.0.0.1:1/', proxy_url: {}", needs.secret()),
            false,
            "reading a secret: `proxy_url` is no web address",
        ),
        (
            "url: 'https://127.0.0.1:1/', tls_config: {ca_file: /no/ca.pem}".to_owned(),
            true,
            "reading a secret: /no/ca.pem: No such file",
        ),
    ] {
        let handler = handler("generic", &keys);
        let outcome = send(&handler, &firing()).await;
        let (again, told, maybe_taken) = failed(&outcome);
        assert!(again == retry && !maybe_taken && told.contains(words), "{keys}: {told} (again: {again})");
        assert!(!told.contains("CANARY") && !format!("{:?}", handler.preview(&firing())).contains("CANARY"), "{told}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_to_stand_is_told_apart_from_a_handshake_that_hangs() {
    // A full backlog: the system answers no further connection.
    let sink = Sink::new(vec![Reply::Hang]);
    let tls = handler("generic", &format!("url: 'https://localhost:{}/', timeout: 400ms", sink.port));
    let (retry, words, maybe_taken) = failed(&send(&tls, &firing()).await);
    assert!(retry && !maybe_taken, "{words}");
    assert_eq!(words, "TLS handshake: the server took the connection and no handshake was done within 300ms");
    // An address of TEST-NET-1, which nobody answers: no route, or silence.
    let silent = handler("generic", "url: 'http://192.0.2.1:9/', timeout: 400ms");
    let (retry, words, maybe_taken) = failed(&send(&silent, &firing()).await);
    assert!(retry && !maybe_taken && words.starts_with("connecting: "), "{words}");
}

#[tokio::test]
async fn a_secret_header_of_an_alertmanager_yml_is_told_of_no_answer() {
    let sink = Sink::new(vec![Reply::body(400, &format!("no: {CANARY}, team-ops"))]);
    let headers = format!("http_headers: {{X-Key: {{secrets: [{CANARY}]}}, X-Team: {{values: [team-ops]}}}}");
    let source = format!(
        "route: {{receiver: a}}\nreceivers:\n  - name: a\n    webhook_configs: [{{url: '{}', http_config: {{{headers}}}}}]\n",
        sink.url
    );
    let (said, found) = handlers::load(&[SourceFile::new("alertmanager.yml", source)]);
    assert!(found.is_empty(), "{found:?}");
    let HandlerKind::Webhook(config) = &said.handlers[0].kind else { panic!("a webhook") };
    let handler = WebhookHandler::new("a", config, "https://alerts.example.org", Arc::default()).unwrap();
    let (_, words, _) = failed(&send(&handler, &firing()).await);
    assert!(words.contains("no: <redacted>, team-ops"), "{words}");
    assert_eq!(sink.last().header("x-key"), Some(CANARY));
}
