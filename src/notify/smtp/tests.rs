//! Deliveries to a real server on a real socket, with every fault that servers have.

#![allow(clippy::disallowed_methods, reason = "deadlines are measured on the real clock")]

use std::time::{Duration, Instant};

use super::*;
use crate::config::HandlerKind;
use crate::diag::SourceFile;
use crate::model::{Timestamp, TransitionKind};
use crate::notify::console::tests::{notice, transition};

#[path = "../../../tests/blackbox/smtp_server.rs"]
pub(super) mod smtp_server;

use smtp_server::{Act, Identity, Options, SmtpServer};

/// A handler from its keys; `timeout` is short unless it is set.
fn handler(port: u16, keys: &str) -> SmtpHandler {
    let timeout = if keys.contains("timeout:") { "" } else { ", timeout: 5s" };
    let to = if keys.contains("to:") { "" } else { ", to: ops@example.org" };
    let text = format!(
        "handlers: [{{name: mail, type: smtp, host: localhost, port: {port}, from: alertd@example.org{to}{timeout}, {keys}}}]"
    );
    let (files, found) = crate::config::handlers::load(&[SourceFile::new("handlers.yaml", text.clone())]);
    let Some(HandlerKind::Smtp(config)) = files.handlers.into_iter().next().map(|h| h.kind) else {
        panic!("{text}: {found:#?}");
    };
    SmtpHandler::new("mail".into(), *config, "https://alerts.example.org".to_owned(), Arc::default())
}

fn send_again(handler: &SmtpHandler, done: &[String]) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let notice = notice(vec![transition(TransitionKind::Fired)]);
    runtime.block_on(handler.send(&notice, Attempt { number: 1, now: Timestamp(0), done }))
}

fn send(handler: &SmtpHandler) -> Outcome {
    send_again(handler, &[])
}

/// The failure and whether it is worth another attempt.
#[track_caller]
fn failed(outcome: Outcome) -> (Failure, bool) {
    match outcome {
        Outcome::Retry { failure, after: None, .. } => (failure, true),
        Outcome::Rejected { failure } => (failure, false),
        other => panic!("{other:?}"),
    }
}

/// A server with STARTTLS, and the keys that trust it.
fn with_tls(options: Options) -> (SmtpServer, String, tempfile::TempDir) {
    let identity = Identity::new(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &identity.ca_pem).unwrap();
    let keys = format!("tls_config: {{ca_file: '{}'}}", path.display());
    (SmtpServer::start(options, Some(&identity)), keys, folder)
}

const LOGIN: &str = "username: alice, password: s3cr3t-w0rd";
const FOR: [&str; 3] = ["a@example.org", "b@example.org", "c@example.org"];
const TO_THREE: &str = "tls: none, to: [a@example.org, 'B <b@example.org>', c@example.org]";

#[test]
fn a_mail_goes_out_in_each_mode_with_each_login_and_credentials_only_encrypted() {
    let user = Some(("alice".to_owned(), "s3cr3t-w0rd".to_owned()));
    for (implicit, mechanisms) in
        [(false, "PLAIN LOGIN"), (false, "LOGIN"), (true, "PLAIN"), (true, "XOAUTH2"), (true, "CRAM-MD5 LOGIN")]
    {
        let options = Options { implicit, mechanisms: mechanisms.to_owned(), user: user.clone(), ..Options::default() };
        let (server, keys, _folder) = with_tls(options);
        let mode = if implicit { "implicit" } else { "starttls" };
        let outcome = send(&handler(server.port(), &format!("tls: {mode}, {LOGIN}, {keys}")));
        assert_eq!(outcome, Outcome::sent("250 2.0.0 queued as 4711"), "{mode} {mechanisms}: {:?}", server.lines());
        let mails = server.mails();
        assert_eq!((mails.len(), mails[0].encrypted, mails[0].user.as_deref()), (1, true, Some("alice")));
        assert!(server.lines().iter().all(|l| !l.starts_with("AUTH") && !l.starts_with("MAIL")), "in the clear");
    }
    let server = SmtpServer::plain();
    assert_eq!(send(&handler(server.port(), "tls: none")), Outcome::sent("250 2.0.0 queued as 4711"));
    assert!(!server.mails()[0].encrypted);
}

#[test]
fn a_server_that_cannot_be_trusted_gets_nothing() {
    let expired = Identity::between(&["localhost"], (2020, 1, 1), (2021, 1, 2));
    let other = Identity::new(&["elsewhere.example"]);
    let folder = tempfile::tempdir().unwrap();
    let trust = |identity: &Identity, name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, &identity.ca_pem).unwrap();
        format!("tls_config: {{ca_file: '{}'", path.display())
    };
    let inject = Act::Say("220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n".to_owned());
    let good = Identity::new(&["localhost"]);
    for (case, identity, stripped, act, keys, want) in [
        ("stripped", &good, true, None, trust(&good, "a"), "does not offer STARTTLS"),
        ("injected", &good, false, Some(inject), trust(&good, "b"), "ahead of the handshake"),
        ("refused", &good, false, Some(Act::line("502 no")), trust(&good, "c"), "STARTTLS: 502 no"),
        ("expired", &expired, false, None, trust(&expired, "d"), "expired at 2021-01-02T00:00:00Z"),
        ("name", &other, false, None, trust(&other, "e"), "is for elsewhere.example, not for localhost"),
        ("authority", &good, false, None, trust(&other, "f"), "of an authority that is not trusted"),
    ] {
        let server = SmtpServer::start(Options { starttls: !stripped, ..Options::default() }, Some(identity));
        act.into_iter().for_each(|act| server.rule("STARTTLS", act, None));
        let (failure, again) = failed(send(&handler(server.port(), &format!("{LOGIN}, {keys}}}"))));
        assert!(failure.message.contains(want) && !again, "{case}: {failure:?}");
        assert_eq!((failure.phase, server.mails().len()), (Phase::Tls, 0), "{case}: {failure:?}");
        assert!(
            !server.lines().iter().any(|l| l.contains("AUTH") || l.contains("MAIL")),
            "{case}: {:?}",
            server.lines()
        );
    }
    // The same servers, where their certificates are not to be checked or have another name.
    for (identity, keys) in [
        (&expired, "tls_config: {insecure_skip_verify: true".to_owned()),
        (&other, format!("{}, server_name: elsewhere.example", trust(&other, "g"))),
    ] {
        let server = SmtpServer::start(Options::default(), Some(identity));
        assert_eq!(send(&handler(server.port(), &format!("{keys}}}"))), Outcome::sent("250 2.0.0 queued as 4711"));
    }
}

#[test]
fn every_way_to_be_slow_ends_at_the_deadline_and_names_its_step() {
    let second = Duration::from_secs(1);
    let drip = || Act::Drip("250-a\r\n".repeat(100), second / 20);
    for (at, act, phase, words) in [
        ("greeting", Act::Hang, Phase::Greeting, "no answer within 1s"),
        ("greeting", Act::Drip("220 mail".repeat(50), second / 20), Phase::Greeting, "no answer within 1s"),
        ("EHLO", Act::Hang, Phase::Greeting, "EHLO: no answer within 1s"),
        ("EHLO", drip(), Phase::Greeting, "EHLO: no answer within 1s"),
        ("AUTH", Act::Hang, Phase::Auth, "AUTH PLAIN: no answer within 1s"),
        ("MAIL", Act::Hang, Phase::Envelope, "MAIL FROM: no answer within 1s"),
        ("RCPT", drip(), Phase::Envelope, "RCPT TO:<ops@example.org>: no answer within 1s"),
        ("DATA", Act::Hang, Phase::Send, "DATA: no answer within 1s"),
        (".", Act::Hang, Phase::Answer, "no answer within 1s"),
    ] {
        let server = SmtpServer::plain().on(at, act);
        let begun = Instant::now();
        let (failure, again) = failed(send(&handler(server.port(), &format!("tls: none, timeout: 1s, {LOGIN}"))));
        let want = Failure { class: FailureClass::Timeout, phase, message: words.to_owned(), maybe_taken: at == "." };
        assert_eq!((failure, again), (want, true));
        assert!(begun.elapsed() < 2 * second, "{at}: {:?}", begun.elapsed());
    }
    // The handshake: a server that accepts and stays silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let (failure, again) = failed(send(&handler(port, "tls: implicit, timeout: 1s")));
    assert_eq!((failure.class, failure.phase, again), (FailureClass::Timeout, Phase::Tls, true));
}

#[test]
fn floods_and_garbage_end_at_a_limit() {
    for (at, act, want) in [
        ("greeting", Act::Flood, "greeting: the server sent a line of more than 4096 bytes"),
        ("EHLO", Act::Lines, "greeting: EHLO: the server sent a reply of more than 65536 bytes"),
        ("EHLO", Act::line("250-\r\n250- \r\n250"), "sent"),
        ("RCPT", Act::Flood, "RCPT TO:<ops@example.org>: the server sent a line of more than 4096 bytes"),
        ("greeting", Act::line("SSH-2.0-OpenSSH"), "the server does not speak SMTP; it said: SSH-2.0-OpenSSH"),
        ("MAIL", Act::line("354 go on"), "MAIL FROM: the answer fits nothing that was asked: 354 go on"),
        ("DATA", Act::line("250 fine"), "DATA: the answer fits nothing that was asked: 250 fine"),
        ("greeting", Act::Close, "greeting: the server closed the connection"),
        (".", Act::Flood, "waiting for the answer: the server sent a line"),
    ] {
        let server = SmtpServer::plain().on(at, act);
        match send(&handler(server.port(), "tls: none, timeout: 20s")) {
            Outcome::Sent { .. } => assert_eq!(want, "sent"),
            Outcome::Retry { failure, .. } => {
                assert!(failure.to_string().contains(want), "{failure}");
                assert_eq!(failure.maybe_taken, at == ".");
            }
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn what_a_server_answers_decides_whether_it_is_tried_again() {
    use FailureClass::{ClientError, RateLimited, ServerError};
    for (at, answer, again, class) in [
        ("greeting", "554 no SMTP service here", false, ClientError),
        ("greeting", "421 4.3.2 too many connections", true, RateLimited),
        ("EHLO", "421 closing", true, ServerError),
        ("AUTH", "535 5.7.8 wrong", false, ClientError),
        ("AUTH", "454 4.7.0 later", true, ServerError),
        ("MAIL", "451 4.7.1 greylisted", true, ServerError),
        ("MAIL", "550 5.7.1 not you", false, ClientError),
        ("RCPT", "450 4.2.0 greylisted", true, ServerError),
        ("RCPT", "421 4.7.0 rate limit", true, RateLimited),
        ("RCPT", "550 5.1.1 unknown", false, ClientError),
        ("DATA", "452 4.3.1 full", true, ServerError),
        (".", "554 5.7.1 spam", false, ClientError),
        (".", "451 4.3.0 later", true, ServerError),
    ] {
        let server = SmtpServer::plain().on(at, Act::line(answer));
        let (failure, tried_again) = failed(send(&handler(server.port(), &format!("tls: none, {LOGIN}"))));
        assert!(failure.message.contains(answer), "{at} {answer}: {failure}");
        assert_eq!((tried_again, failure.class, failure.maybe_taken), (again, class, false), "{at} {answer}");
        assert!(server.mails().is_empty());
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (failure, again) = failed(send(&handler(port, "tls: none")));
    assert_eq!((failure.phase, failure.class, again), (Phase::Connect, FailureClass::Network, true));
}

#[test]
fn a_greylisted_mail_is_delivered_once_with_one_identity() {
    let server = SmtpServer::plain().on_next("RCPT", Act::line("450 4.2.0 greylisted"), 2);
    let handler = handler(server.port(), "tls: none");
    for _ in 0..2 {
        assert!(matches!(send(&handler), Outcome::Retry { .. }));
    }
    assert_eq!(send(&handler), Outcome::sent("250 2.0.0 queued as 4711"));
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn a_connection_lost_after_the_last_dot_may_have_delivered_and_the_next_mail_is_the_same() {
    let server = SmtpServer::plain().on_next(".", Act::Close, 1);
    let handler = handler(server.port(), "tls: none");
    let (failure, again) = failed(send(&handler));
    assert!(again && failure.maybe_taken, "{failure:?}");
    assert_eq!((failure.phase, failure.class), (Phase::Answer, FailureClass::Network));
    assert_eq!(send(&handler), Outcome::sent("250 2.0.0 queued as 4711"));
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].data, mails[1].data, "the same to the byte");
    assert_eq!(mails[0].header("Message-ID").as_deref(), Some("<00ff@alertd.example.org>"));
}

#[test]
fn one_refused_recipient_does_not_lose_the_others() {
    let server = SmtpServer::plain().on("RCPT TO:<b@", Act::line("550 5.1.1 no such user"));
    let outcome = send(&handler(server.port(), TO_THREE));
    let refused = vec!["b@example.org: 550 5.1.1 no such user".to_owned()];
    assert_eq!(outcome, Outcome::Sent { answer: "250 2.0.0 queued as 4711".to_owned(), refused });
    assert_eq!(server.mails()[0].to, [FOR[0], FOR[2]]);
    assert_eq!(server.mails()[0].header("To").as_deref(), Some("a@example.org, B <b@example.org>, c@example.org"));

    let server = SmtpServer::plain().on("RCPT", Act::line("550 5.1.1 no such user"));
    let (failure, again) = failed(send(&handler(server.port(), TO_THREE)));
    assert!(!again && failure.message.contains("a@example.org: 550 5.1.1 no such user; b@"), "{failure}");
    assert!(!server.lines().iter().any(|line| line == "DATA"));
}

#[test]
fn a_recipient_put_off_gets_the_next_attempt_alone_and_the_refused_are_told_in_the_end() {
    for answer in ["450 4.2.0 greylisted", "552 5.5.3 too many recipients"] {
        let server = SmtpServer::plain().on("RCPT TO:<b@", Act::line("550 5.1.1 no such user")).on_next(
            "RCPT TO:<c@",
            Act::line(answer),
            1,
        );
        let handler = handler(server.port(), TO_THREE);
        let Outcome::Retry { failure, done, .. } = send(&handler) else { panic!("{answer}") };
        assert!(failure.message.contains(&format!("c@example.org: {answer}")), "{failure}");
        assert_eq!(done, ["b@example.org refused: 550 5.1.1 no such user", "a@example.org"]);
        assert_eq!(server.mails()[0].to, [FOR[0]]);
        let outcome = send_again(&handler, &done);
        let refused = vec!["b@example.org: 550 5.1.1 no such user".to_owned()];
        assert_eq!(outcome, Outcome::Sent { answer: "250 2.0.0 queued as 4711".to_owned(), refused });
        assert_eq!(server.mails()[1].to, [FOR[2]]);
        assert_eq!(server.mails()[0].data, server.mails()[1].data);
        // With everybody done nothing is sent at all.
        let all: Vec<String> = FOR.iter().map(ToString::to_string).collect();
        assert!(matches!(send_again(&handler, &all), Outcome::Sent { .. }));
        assert_eq!(server.mails().len(), 2);
    }
    // A lasting refusal of the rest does not unsay what was delivered before.
    let server = SmtpServer::plain().on("MAIL", Act::line("550 5.7.1 not you"));
    let outcome = send_again(&handler(server.port(), TO_THREE), &[FOR[0].to_owned()]);
    assert!(matches!(&outcome, Outcome::Sent { refused, .. } if refused.len() == 1), "{outcome:?}");
}

#[test]
fn secrets_are_read_at_each_attempt_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let user = Some(("alice".to_owned(), "second-pass".to_owned()));
    let (server, tls, _folder) = with_tls(Options { user, ..Options::default() });
    let keys = format!("username: alice, password: '${{file:{}}}', {tls}", path.display());
    let handler = handler(server.port(), &keys);
    let (failure, again) = failed(send(&handler));
    assert_eq!((failure.phase, failure.class, again), (Phase::Secret, FailureClass::Config, true));
    assert_eq!(server.connections(), 0, "nothing is said before the secrets are known");
    std::fs::write(&path, "first-pass\n").unwrap();
    assert_eq!(failed(send(&handler)).0.message, "AUTH PLAIN: 535 5.7.8 wrong user or password");
    std::fs::write(&path, "second-pass\n").unwrap();
    assert_eq!(send(&handler), Outcome::sent("250 2.0.0 queued as 4711"), "a rotated file needs no reload");

    // A server that repeats what it was told, in each form.
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let all = BASE64_STANDARD.encode("\0alice\0second-pass");
    let echo = format!("535 no {all} alice second-pass {}", BASE64_STANDARD.encode("second-pass"));
    server.rule("AUTH", Act::line(&echo), None);
    let told = failed(send(&handler)).0.message;
    assert_eq!(told, "AUTH PLAIN: 535 no <secret> <secret> <secret> <secret>");
    let preview = handler.preview(&notice(vec![transition(TransitionKind::Fired)]));
    for text in [format!("{handler:?}"), preview.payload, told] {
        assert!(!text.contains("second-pass") && !text.contains(&all), "{text}");
    }
}

#[test]
fn without_encryption_only_this_machine_is_reached_whatever_its_name_resolves_to() {
    // The literal address is the check's business; a name is judged by what it resolves to.
    let settings = |keys: &str| Settings::read(&handler(25, keys).config, &Secrets::default()).unwrap();
    let far: std::net::IpAddr = "192.0.2.7".parse().unwrap();
    let near: std::net::IpAddr = "::ffff:127.0.0.2".parse().unwrap();
    for (keys, reaches) in [("tls: none", false), ("tls: none, allow_plaintext: true", true), ("tls: starttls", true)] {
        assert_eq!(settings(keys).may_reach(far), reaches, "{keys}");
        assert!(settings(keys).may_reach(near));
    }
    let mut handler = handler(25, "tls: none");
    handler.config.host = Some(SecretText::parse("192.0.2.7").unwrap());
    let (failure, again) = failed(send(&handler));
    assert_eq!((failure.class, failure.phase, again), (FailureClass::Config, Phase::Resolve, false));
    assert!(failure.message.contains("192.0.2.7"), "{failure}");
}

#[test]
fn a_server_answering_with_terminal_escapes_and_novels_is_told_harmlessly() {
    let long = "x".repeat(3000);
    let server = SmtpServer::plain().on("MAIL", Act::Say(format!("550-\u{1b}[2J\u{202e}evil\r\n550 {long}\r\n")));
    let (failure, _) = failed(send(&handler(server.port(), "tls: none")));
    assert!(failure.message.contains(r"\x1b[2J\u{202e}evil"), "{failure}");
    assert!(failure.message.chars().count() < 400 && failure.message.ends_with("..."), "{failure}");
}

#[test]
fn what_the_server_cannot_take_is_told_before_it_is_sent() {
    let small = Act::Say("250-mail.test\r\n250 SIZE 100\r\n".to_owned());
    let server = SmtpServer::plain().on("EHLO", small);
    let (failure, again) = failed(send(&handler(server.port(), "tls: none")));
    assert!(!again && failure.message.ends_with("the server takes 100"), "{failure}");
    let server = SmtpServer::plain().on("EHLO", Act::line("250 mail.test"));
    let (failure, again) = failed(send(&handler(server.port(), "tls: none, to: 'ünal@example.org'")));
    assert!(!again && failure.message.contains("SMTPUTF8"), "{failure}");
    let (failure, again) = failed(send(&handler(server.port(), &format!("tls: none, {LOGIN}"))));
    assert!(!again && failure.message.contains("offers no login"), "{failure}");
    let server = SmtpServer::plain();
    assert!(matches!(send(&handler(server.port(), "tls: none, to: 'ünal@bücher.example'")), Outcome::Sent { .. }));
    assert!(server.mails()[0].from.contains("SMTPUTF8 BODY=8BITMIME"), "{:?}", server.mails()[0].from);
    assert_eq!(server.mails()[0].to, ["ünal@xn--bcher-kva.example"]);
}

#[test]
fn a_preview_shows_the_mail_and_opens_and_reads_nothing() {
    let keys =
        "username: '${env:NO_SUCH_USER}', password: '${file:/no/such/file}', headers: {Reply-To: '${env:NO_SUCH}'}";
    let preview = handler(1, keys).preview(&notice(vec![transition(TransitionKind::Fired)]));
    assert_eq!((preview.method, preview.url), (None, None));
    let text = preview.payload;
    for want in [
        "From: alertd@example.org\nTo: ops@example.org\nSubject: [FIRING:1] HighCPU (critical) host=web-1\n",
        "Message-ID: <00ff@alertd.example.org>\n",
        "Reply-To: <redacted>\n\nFIRING critical HighCPU: 92.44% (> 80%)\n",
        "rule        rules/host.yaml:12\n",
    ] {
        assert!(text.contains(want), "{want}\n{text}");
    }
    assert!(!text.contains("NO_SUCH") && !text.contains("/no/such"), "{text}");
}

#[test]
fn a_mail_that_its_message_addresses_to_nobody_is_given_up_at_once() {
    let receiver = |keys: &str| {
        let text = format!(
            "route: {{receiver: a}}\nreceivers:\n  - name: a\n    email_configs: [{{smarthost: 'localhost:9', {keys}}}]\n"
        );
        let (files, found) = crate::config::handlers::load(&[SourceFile::new("alertmanager.yml", text.clone())]);
        let Some(HandlerKind::Smtp(config)) = files.handlers.into_iter().next().map(|h| h.kind) else {
            panic!("{text}: {found:#?}");
        };
        SmtpHandler::new("a".into(), *config, String::new(), Arc::default())
    };
    for (keys, want) in [
        (
            "from: a@example.org, to: '{{ .CommonLabels.nobody }}@example.org'",
            "to: `@example.org`: this is no mail address",
        ),
        ("from: a@example.org, to: '{{ .CommonLabels.nobody }}'", "to: ``: the address is empty"),
        ("from: a@example.org, to: '{{ .Nope }}'", "to: ``: the address is empty; a template of the receiver failed: "),
        ("to: a@example.org, from: '{{ .Status }}'", "from: `firing`: this is no mail address"),
        ("from: a@example.org, to: ', {{ .CommonLabels.nobody }},'", "to: `, ,`: the address is empty"),
    ] {
        let (failure, again) = failed(send(&receiver(keys)));
        assert_eq!((failure.phase, failure.class, again), (Phase::Render, FailureClass::Config, false), "{keys}");
        assert!(failure.message.starts_with(want), "{keys}: {}", failure.message);
    }
    let several = receiver("from: a@example.org, to: '{{ range .Alerts }},{{ .Status }}@example.org, ,{{ end }}'");
    let (failure, again) = failed(send(&several));
    assert_eq!((failure.class, again), (FailureClass::Network, true), "{failure:?}");
}
