//! Secrets that are recognised wherever they appear: they leave in requests, and are in no output and no file.

use crate::history;
use crate::http;
use crate::kit::{Daemon, Folder, command, finish, free_port, until_true};
use crate::setup::{config, data, files, rule, rules, webhook};
use crate::sink::{Act, Sink};
use crate::smtp_server::{Act as MailAct, SmtpServer};

/// Each is in one place of the handlers.
const SECRETS: [&str; 8] = [
    "CANARY-url-31415926",
    "CANARY-header-27182818",
    "CANARY-password-16180339",
    "CANARY-hmac-14142135",
    "CANARY-mail-57721566",
    "CANARY-query-26535897",
    "CANARY-bearer-69314718",
    "CANARY-file-23025850",
];

#[track_caller]
fn has_none(what: &str, text: &[u8]) {
    for secret in SECRETS {
        let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {what}: {}", String::from_utf8_lossy(text));
    }
}

fn handlers(sink: &Sink, mail: u16, folder: &Folder) -> String {
    let url = "${env:CANARY_BASE}/hook/${env:CANARY_URL}?key=${env:CANARY_QUERY}";
    let file = format!("X-File: '${{file:{}}}'", folder.at("secret").display());
    let keys = [
        "timeout: 2s".to_owned(),
        format!("headers: {{X-Key: '${{env:CANARY_HEADER}}', {file}}}"),
        "basic_auth: {username: u, password: '${env:CANARY_PASSWORD}'}".to_owned(),
        "hmac_secret: ${env:CANARY_HMAC}".to_owned(),
    ];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let good = webhook("good", url, &keys);
    let bad = webhook("bad", &format!("{}/refused/${{env:CANARY_URL}}", sink.url("")), &keys);
    let away = webhook("away", "http://127.0.0.1:9/${env:CANARY_URL}", &["timeout: 2s"]);
    let bearer = webhook("bearer", &sink.url("/bearer"), &["authorization: {credentials: '${env:CANARY_BEARER}'}"]);
    format!(
        "handlers:\n{good}{bad}{away}{bearer}  - {{name: mail, type: smtp, host: 127.0.0.1, port: {mail}, tls: none, \
         username: u, password: '${{env:CANARY_MAIL}}', from: a@example.org, to: [b@example.org], timeout: 2s}}\n"
    )
}

fn environment(command: &mut std::process::Command, sink: &Sink) {
    let base = sink.url("");
    command.env("CANARY_BASE", base.trim_end_matches('/'));
    for (name, secret) in ["URL", "HEADER", "PASSWORD", "HMAC", "MAIL", "QUERY", "BEARER"].iter().zip(SECRETS) {
        command.env(format!("CANARY_{name}"), secret);
    }
}

#[test]
fn no_secret_is_in_any_output_answer_or_file() {
    let sink = Sink::start();
    // What a receiver was sent it may say again.
    let echo = format!("you sent {} {} {} {} {}", SECRETS[0], SECRETS[1], SECRETS[2], SECRETS[3], SECRETS[7]);
    let refused = format!("/refused/{}", SECRETS[0]);
    sink.on(&refused, Act::Answer(400, String::new(), echo.clone()));
    let mail = SmtpServer::plain().on("MAIL", MailAct::line(&format!("550 5.7.1 no {}", SECRETS[4])));
    let folder = Folder::new();
    folder.write("secret", SECRETS[7]);
    folder.write("alertd.yaml", config(""));
    folder.write("handlers/h.yaml", handlers(&sink, mail.port(), &folder));
    folder.write("rules/a.yaml", rules(&[rule("busy", "for: 0s")]));
    folder.write("data.prom", "busy_m 5 1700000000000\n");
    let mut start = command(&folder);
    environment(&mut start, &sink);
    start.args(["rules/", "--log-level", "trace"]);
    let daemon = Daemon::launch(&mut start, free_port());
    daemon.wait_ready();
    let good = format!("/hook/{}?key={}", SECRETS[0], SECRETS[5]);
    sink.next(&good, [Act::Answer(500, String::new(), echo.clone()), Act::Answer(200, String::new(), echo)]);
    for value in [5, 0] {
        let before = sink.taken(&good).len();
        daemon.push(&format!("busy_m {value}\n"));
        until_true("it is told", || sink.taken(&good).len() > before);
        until_true("it is refused", || daemon.metric("alertd_dead_letters_total{handler=\"bad\"}") >= Some(1.0));
        until_true("it fails", || daemon.metric("alertd_attempts_total{class=\"network\",handler=\"away\"}").is_some());
    }
    until_true("the mail is refused", || daemon.metric("alertd_dead_letters_total{handler=\"mail\"}") >= Some(1.0));
    // The receivers did get them: else nothing is shown here.
    let request = sink.taken(&good).pop().unwrap();
    assert_eq!(request.headers.get("x-key").map(String::as_str), Some(SECRETS[1]));
    assert_eq!(request.headers.get("x-file").map(String::as_str), Some(SECRETS[7]));
    assert!(sink.at("/bearer")[0].headers["authorization"].ends_with(SECRETS[6]));
    answers_hold_none(&daemon);
    let (out, err) = daemon.stop();
    has_none("the output", out.join("\n").as_bytes());
    has_none("the log", err.join("\n").as_bytes());
    assert!(err.iter().any(|line| line.contains("could not be delivered")), "{err:#?}");
    let kept = files(&data(&folder));
    assert!(kept.iter().any(|path| path.ends_with("state.db")), "{kept:?}");
    for path in kept {
        has_none(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    let rows = history::read(&data(&folder));
    assert!(rows.iter().any(|row| row.kind == "dead"), "{rows:?}");
    dry_runs_hold_none(&folder, &sink);
}

#[track_caller]
fn answers_hold_none(daemon: &Daemon) {
    for path in [
        "/",
        "/metrics",
        "/-/ready",
        "/-/healthy",
        "/api/v1/status",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/history",
        "/api/v1/outbox",
        "/api/v1/silences",
        "/api/v2/alerts",
        "/api/v2/status",
        "/api/v2/receivers",
        "/api/openapi.json",
        "/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D",
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/metadata",
        "/api/v1/status/buildinfo",
        "/api/v1/heartbeat",
    ] {
        let answer = http::get(&daemon.address, path).unwrap();
        has_none(path, answer.head.as_bytes());
        has_none(path, &answer.body);
    }
}

#[track_caller]
fn dry_runs_hold_none(folder: &Folder, sink: &Sink) {
    for output in ["text", "json"] {
        let mut dry = command(folder);
        environment(&mut dry, sink);
        dry.args(["--dry-run", "rules/", "--data", "data.prom", "--output", output]);
        let ran = finish(&mut dry);
        assert!(ran.out.contains("busy"), "{ran:?}");
        has_none("the dry run", ran.out.as_bytes());
        has_none("the dry run", ran.err.as_bytes());
    }
}
