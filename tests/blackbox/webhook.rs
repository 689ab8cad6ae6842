//! Webhooks from outside: what is sent while the daemon runs, what a dry run shows, a secret that must not be seen, and a
//! real Alertmanager that takes alerts.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::kit::{Daemon, Folder, Peer, command, finish, free_port, peer, run, until};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - name: latency_high
    severity: error
    metric: llm.latency_ms
    threshold: "> 2000"
    labels: {team: llm}
    annotations: {summary: "{{ $labels.agent }} is slow", runbook_url: "https://wiki.example/latency"}
"#;

const CANARY: &str = "CANARY-5ecret-path-0123456789";

/// A request: head and body.
pub type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Answers every request with a status and the path it was asked for; keeps what came.
pub fn receiver(statuses: &'static [u16]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 65536];
            let request = loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break Some((head.to_owned(), body.to_owned()));
                    }
                }
                match stream.read(&mut buffer) {
                    Ok(n @ 1..) => bytes.extend_from_slice(&buffer[..n]),
                    _ => break None,
                }
            };
            let Some(request) = request else { continue };
            let mut kept = kept.lock().unwrap();
            let status = statuses.get(kept.len()).or(statuses.last()).copied().unwrap_or(200);
            let path = request.0.split(' ').nth(1).unwrap_or_default().to_owned();
            kept.push(request);
            drop(kept);
            let body = if status == 200 { "ok".to_owned() } else { format!("cannot POST {path}") };
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, seen)
}

fn ours(seen: &Seen) -> Vec<Value> {
    let all = seen.lock().unwrap().clone();
    let parsed = all.into_iter().map(|(_, body)| serde_json::from_str::<Value>(&body).unwrap());
    parsed.filter(|body| body.to_string().contains("latency_high")).collect()
}

#[test]
fn a_webhook_gets_what_fires_and_what_is_over_and_its_secret_address_is_shown_nowhere() {
    let (address, seen) = receiver(&[503, 200]);
    let handlers =
        "handlers:\n  - {name: hook, type: webhook, url: \"${file:url}\", hmac_secret: \"${env:HOOK_SECRET}\"}\n";
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/a.yaml", handlers)]);
    folder.write("url", format!("http://{address}/hooks/{CANARY}\n"));
    let port = free_port();
    let mut start = command(&folder);
    start.arg("rules/").env("HOOK_SECRET", "CANARY-hmac-key");
    let daemon = Daemon::launch(&mut start, port);
    daemon.wait_ready();
    daemon.push("{\"llm.latency_ms\",agent=\"planner\"} 3000\n");
    let fired = until("the alert is told", || ours(&seen).into_iter().find(|b| b["status"] == "firing"));
    assert_eq!((&fired["version"], &fired["receiver"]), (&Value::from("4"), &Value::from("hook")));
    assert_eq!(fired["alerts"][0]["labels"]["agent"], "planner");
    assert_eq!(fired["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    daemon.push("{\"llm.latency_ms\",agent=\"planner\"} 100\n");
    let over = until("its end is told", || ours(&seen).into_iter().find(|b| b["status"] == "resolved"));
    assert_eq!(over["groupKey"], fired["groupKey"]);

    let requests = seen.lock().unwrap().clone();
    let (head, body) = requests.iter().find(|(_, body)| body.contains("latency_high")).unwrap();
    assert!(head.starts_with(&format!("POST /hooks/{CANARY} HTTP/1.1")), "{head}");
    let header = |name: &str| head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default();
    assert_eq!(header("idempotency-key").len(), 32, "{head}");
    folder.write("key", "CANARY-hmac-key\n");
    folder.write("body", body);
    let verified = run(
        &folder,
        &["verify-signature", "--secret-file", "key", "--signature", header("x-alertd-signature"), "body"],
    );
    assert_eq!(verified.exits(0).out.trim(), "the signature is right");

    let pages: String =
        ["/metrics", "/", "/api/v1/rules", "/api/v1/alerts"].map(|path| daemon.get(path).text()).concat();
    let (out, log) = daemon.stop();
    assert!(log.iter().any(|line| line.contains("the receiver answered 503")), "{log:#?}");
    for text in [pages, out.join("\n"), log.join("\n")] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn a_dry_run_shows_the_request_without_reading_a_secret() {
    let handlers = "handlers:\n  - {name: chat, type: webhook, preset: slack, url: \"${env:NOT_SET_ANYWHERE}\"}\n  \
                    - {name: oncall, type: webhook, preset: pagerduty, routing_key: \"${file:/no/such/file}\"}\n  \
                    - {name: mine, type: webhook, preset: mine, url: https://pager.example/v1/secret-path}\n";
    let preset = "needs: [url]\nbody: '{\"say\": {{ title | tojson }}}'\n";
    let folder =
        Folder::with(&[("rules/a.yaml", RULES), ("handlers/a.yaml", handlers), ("handlers/presets/mine.yaml", preset)]);
    folder.write("d.prom", "{\"llm.latency_ms\",agent=\"planner\"} 3000 1700000000000\n");
    let ran = run(&folder, &["--dry-run", "rules/", "--data", "d.prom", "--output", "json"]).exits(0);
    let shown = ran.json();
    let of = |name: &str| {
        let all = shown["notifications"].as_array().unwrap();
        all.iter().find(|n| n["handler"] == name).unwrap_or_else(|| panic!("{name}: {shown:#}")).clone()
    };
    let (chat, oncall, mine) = (of("chat"), of("oncall"), of("mine"));
    assert_eq!(
        (&chat["type"], &chat["method"], &chat["url"]),
        (&"webhook".into(), &"POST".into(), &"<redacted>".into())
    );
    assert_eq!(chat["payload"]["blocks"][0]["text"]["text"], "FIRING error latency_high: 3000 (> 2000)");
    assert_eq!(oncall["url"], "https://events.pagerduty.com/<redacted>");
    assert_eq!(oncall["payload"]["routing_key"], "<redacted>");
    assert_eq!(
        (&mine["url"], &mine["payload"]["say"]),
        (&"https://pager.example/<redacted>".into(), &"FIRING error latency_high: 3000 (> 2000)".into())
    );
    let checked = run(&folder, &["check", "handlers/a.yaml", "--fail-on", "warning"]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    // A receiver that is told of acknowledgements keeps something open for each group: a digest of all would stay open.
    folder.write("handlers/presets/mine.yaml", format!("{preset}acknowledged: {{body: '{{\"ack\": true}}'}}\n"));
    let digest = "url: https://pager.example/v1/secret-path, rate_limit: 1/m, over_limit: digest}";
    folder.write("handlers/a.yaml", handlers.replace("url: https://pager.example/v1/secret-path}", digest));
    let refused = run(&folder, &["check", "handlers/a.yaml"]).exits(1);
    assert!(refused.out.contains("`over_limit: digest` has no meaning for the preset `mine`"), "{refused:#?}");
}

#[test]
fn a_real_alertmanager_takes_alerts_and_their_end() {
    let Some(program) = peer("prometheus-alertmanager") else { return };
    let folder =
        Folder::with(&[("am.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n"), ("rules/a.yaml", RULES)]);
    let am = format!("127.0.0.1:{}", free_port());
    let options = format!(
        "--config.file={} --storage.path={} --web.listen-address={am} --cluster.listen-address=",
        folder.at("am.yml").display(),
        folder.at("am").display()
    );
    // Debian's program looks for its templates below /usr/share alone: unpacked and not installed, it is given the
    // package's folder in their place, in a name space of its own.
    let installed = Path::new("/usr/share/prometheus/alertmanager/default.tmpl").exists();
    let share = program.parent().unwrap().with_file_name("share");
    let mount = if installed { String::new() } else { format!("mount --bind {} /usr/share && ", share.display()) };
    let script = format!("{mount}exec {} {options}", program.display());
    let unshare = ["-rm", "sh", "-c", "true"];
    if !installed && !Command::new("unshare").args(unshare).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no name spaces here, which an unpacked prometheus-alertmanager needs");
        return;
    }
    let (shell, arguments): (&str, &[&str]) =
        if installed { ("sh", &["-c", &script]) } else { ("unshare", &["-rm", "sh", "-c", &script]) };
    let _am = Peer::start(Path::new(shell), arguments, &am, "/-/ready");
    folder.write(
        "handlers/a.yaml",
        format!("handlers:\n  - {{name: am, type: webhook, preset: alertmanager, url: 'http://{am}'}}\n"),
    );
    let daemon = Daemon::start(&folder);
    daemon.push("{\"llm.latency_ms\",agent=\"planner\"} 3000\n");
    let listed = |wanted: bool| {
        let all = http::get(&am, "/api/v2/alerts?active=true").unwrap().json();
        let found = all.as_array().unwrap().iter().find(|a| a["labels"]["alertname"] == "latency_high").cloned();
        (found.is_some() == wanted).then(|| found.unwrap_or_default())
    };
    let alert = until("Alertmanager lists it", || listed(true));
    assert_eq!(
        (&alert["labels"]["agent"], &alert["annotations"]["summary"]),
        (&"planner".into(), &"planner is slow".into())
    );
    daemon.push("{\"llm.latency_ms\",agent=\"planner\"} 100\n");
    until("Alertmanager knows that it is over", || listed(false));
}

#[test]
fn a_signature_is_checked_with_the_exit_code_of_every_checking_command() {
    let folder = Folder::with(&[("key", "key"), ("empty", ""), ("body", "{}")]);
    let right = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
    for (key, signature, body, more, code, words) in [
        ("key", right, "body", "100y", 0, "the signature is right"),
        (
            "key",
            right,
            "body",
            "5m",
            1,
            "the signature was made at 2023-11-14T22:13:20Z, which is more than 5m away from now",
        ),
        (
            "key",
            right,
            "key",
            "100y",
            1,
            "the signature does not fit the body: another secret, or the body was changed",
        ),
        ("key", "t=1", "body", "100y", 1, "the signature is not of the form `t=SECONDS,v1=HEX`"),
        ("empty", right, "body", "100y", 2, "alertd: empty: the file is empty"),
        ("key", right, "gone", "100y", 2, "alertd: gone: No such file or directory (os error 2)"),
    ] {
        let arguments = ["verify-signature", "--secret-file", key, "--signature", signature, "--tolerance", more, body];
        let ran = finish(command(&folder).args(arguments)).exits(code);
        assert_eq!(format!("{}{}", ran.out, ran.err).trim(), words, "{arguments:?}");
    }
}
