//! `alertd --dry-run`: what it prints, what it exits with, and what it must never do.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::kit::{Folder, command, finish, run};

const THRESHOLD: &str = r#"
rules:
  - name: latency_high
    description: p95 latency of LLM calls
    severity: error
    metric: llm.latency_ms
    threshold: "> 2000"
    labels: {team: llm}
    annotations: {summary: "{{ $labels.agent }} at {{ $value }}"}
    tests:
      - name: fires above
        series: {'llm.latency_ms{agent="a"}': '2500x5'}
        at: 3m
        expect: firing
"#;

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[track_caller]
fn has_keys(value: &Value, wanted: &[&str]) {
    let got = keys(value);
    let missing: Vec<_> = wanted.iter().filter(|key| !got.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {value:#}");
}

/// A dry run in JSON; the exit code is the test's matter.
fn dry(folder: &Folder, args: &[&str]) -> crate::kit::Ran {
    let mut all = vec!["--dry-run", "rules/", "--output", "json"];
    all.extend(args);
    run(folder, &all)
}

#[test]
fn the_json_object_has_the_documented_shape() {
    let folder = Folder::with(&[
        ("rules/a.yaml", THRESHOLD),
        ("rules/b.yaml", "rules:\n  - {name: down, expr: up == 0}\n"),
        ("data.prom", "{\"llm.latency_ms\",agent=\"planner\"} 2100 1700000000000\nup 1 1700000000000\n"),
    ]);
    let ran = dry(&folder, &["--data", "data.prom"]).exits(0);
    let got = ran.json();
    let wanted = ["version", "files", "rules", "diagnostics", "tests", "alerts", "notifications"];
    let top: Vec<&str> =
        got.as_object().unwrap().keys().map(String::as_str).filter(|key| wanted.contains(key)).collect();
    assert_eq!(top, wanted, "the documented keys in their order");
    assert_eq!((&got["version"], &got["files"], &got["rules"]), (&1.into(), &2.into(), &2.into()));
    assert_eq!(got["diagnostics"], serde_json::json!([]));
    has_keys(&got["tests"], &["passed", "failed", "results"]);
    assert_eq!((&got["tests"]["passed"], &got["tests"]["failed"]), (&1.into(), &0.into()));
    let test = &got["tests"]["results"][0];
    let wanted = serde_json::json!({"rule": "latency_high", "name": "fires above", "ok": true, "message": ""});
    for key in ["rule", "name", "ok", "message"] {
        assert_eq!(test[key], wanted[key], "{test:#}");
    }
    assert_eq!(got["alerts"].as_array().map(Vec::len), Some(1), "{got:#}");
    let alert = &got["alerts"][0];
    let wanted = ["rule", "state", "severity", "labels", "annotations", "value", "active_at", "reason"];
    has_keys(alert, &wanted);
    assert_eq!(alert["rule"], "latency_high");
    assert_eq!((&alert["state"], &alert["severity"]), (&"firing".into(), &"error".into()));
    assert_eq!(alert["value"], 2100.0);
    assert_eq!(alert["active_at"], "2023-11-14T22:13:20Z");
    assert_eq!(alert["labels"]["agent"], "planner");
    assert_eq!(alert["labels"]["team"], "llm");
    assert_eq!(alert["labels"]["alertname"], "latency_high");
    assert_eq!(alert["annotations"]["summary"], "planner at 2100");
    assert!(alert["reason"].as_str().is_some_and(|r| r.contains("2000")), "the reason names the limit: {alert:#}");
    let notice = &got["notifications"][0];
    has_keys(notice, &["handler", "type", "status", "alerts", "payload"]);
    assert_eq!((&notice["type"], &notice["status"]), (&"console".into(), &"firing".into()));
    let fingerprint = notice["alerts"][0].as_str().unwrap_or_default();
    assert!(fingerprint.len() == 16 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()), "{notice:#}");
}

#[test]
fn a_diagnostic_has_place_message_and_help() {
    let folder =
        Folder::with(&[("rules/a.yaml", "rules:\n  - name: x\n    expr: rate(http_requests_total[5m) > 0.1\n")]);
    let got = dry(&folder, &[]).exits(1).json();
    let found = &got["diagnostics"][0];
    has_keys(found, &["code", "severity", "message", "file", "line", "column", "end_line", "end_column", "help"]);
    assert_eq!((&found["severity"], &found["file"]), (&"error".into(), &"rules/a.yaml".into()));
    assert_eq!((&found["line"], &found["column"]), (&3.into(), &38.into()), "{found:#}");
}

#[test]
fn every_kind_of_data_file_gives_the_same_verdict() {
    let at = "1700000000";
    let files = [
        ("d.prom", format!("{{\"llm.latency_ms\",agent=\"p\"}} 2100 {at}000\n")),
        ("d.txt", format!("# TYPE \"llm.latency_ms\" gauge\n{{\"llm.latency_ms\",agent=\"p\"}} 2100 {at}000\n")),
        ("d.om", format!("# TYPE \"llm.latency_ms\" gauge\n{{\"llm.latency_ms\",agent=\"p\"}} 2100 {at}\n# EOF\n")),
        ("d.csv", format!("timestamp,metric,value,agent\n{at},llm.latency_ms,2100,p\n")),
        ("ms.csv", format!("timestamp,metric,value,agent\n{at}000,llm.latency_ms,2100,p\n")),
        ("rfc.csv", "timestamp,metric,value,agent\n2023-11-14T22:13:20Z,llm.latency_ms,2100,p\n".to_owned()),
        ("plain.csv", "timestamp,metric,value,agent\n2023-11-14 22:13:20,llm.latency_ms,2100,p\n".to_owned()),
        (
            "d.jsonl",
            format!(
                "{{\"metric\":\"llm.latency_ms\",\"labels\":{{\"agent\":\"p\"}},\"timestamp\":{at},\"value\":2100}}\n"
            ),
        ),
    ];
    let folder = Folder::with(&[("rules/a.yaml", THRESHOLD)]);
    let mut seen = Vec::new();
    for (path, text) in &files {
        folder.write(path, text);
        let got = dry(&folder, &["--data", path]).exits(0).json();
        assert_eq!(got["alerts"].as_array().map(Vec::len), Some(1), "{path}: {got:#}");
        seen.push(((*path).to_owned(), got["alerts"].clone()));
    }
    for pair in seen.windows(2) {
        assert_eq!(pair[0].1, pair[1].1, "{} and {}", pair[0].0, pair[1].0);
    }
}

#[test]
fn a_csv_of_two_columns_takes_its_metric_from_the_option() {
    let folder = Folder::with(&[("rules/a.yaml", THRESHOLD), ("d.csv", "timestamp,value\n2023-11-14 22:13:20,2100\n")]);
    let got = dry(&folder, &["--data", "d.csv", "--metric", "llm.latency_ms"]).exits(0).json();
    assert_eq!(got["alerts"][0]["state"], "firing", "{got:#}");
    let without = dry(&folder, &["--data", "d.csv"]);
    assert_ne!(without.code, Some(0), "{without:#?}");
    assert!(without.err.contains("--metric") || without.out.contains("--metric"), "{without:#?}");
}

#[test]
fn at_chooses_the_instant_and_the_newest_sample_is_the_default() {
    let folder = Folder::with(&[
        ("rules/a.yaml", "rules:\n  - {name: high, metric: m, threshold: '> 50'}\n"),
        ("d.prom", "m 10 1700000000000\nm 99 1700000060000\nm 20 1700000120000\n"),
    ]);
    for (at, firing) in [(None, 0), (Some("1700000060"), 1), (Some("2023-11-14T22:14:20Z"), 1), (Some("1700000030"), 0)]
    {
        let mut args = vec!["--data", "d.prom"];
        args.extend(at.iter().flat_map(|at| ["--at", at]));
        let got = dry(&folder, &args).exits(0).json();
        assert_eq!(got["alerts"].as_array().map(Vec::len), Some(firing), "{at:?}: {got:#}");
    }
}

#[test]
fn fail_on_firing_exits_with_one_only_if_an_alert_fires() {
    let folder = Folder::with(&[
        (
            "rules/a.yaml",
            "rules:\n  - {name: high, metric: m, threshold: '> 50', for: 10m}\n  - {name: low, metric: m, threshold: '> 90'}\n",
        ),
        ("fires.prom", "m 99 1700000000000\n"),
        ("pending.prom", "m 60 1700000000000\n"),
    ]);
    dry(&folder, &["--data", "fires.prom"]).exits(0);
    dry(&folder, &["--data", "fires.prom", "--fail-on", "firing"]).exits(1);
    dry(&folder, &["--data", "pending.prom", "--fail-on", "firing"]).exits(0);
}

#[test]
fn an_anomaly_is_judged_by_the_history_in_the_file() {
    let rule = "rules:\n  - name: cost\n    metric: cost_usd\n    every: 1m\n    anomaly: {method: moving_average, window: 2h, sigma: 3, min_samples: 30}\n";
    let history = |last: f64| {
        let mut text = String::from("timestamp,metric,value\n");
        for i in 0..90 {
            let value = if i == 89 { last } else { 10.0 + f64::from(i % 5) };
            text.push_str(&format!("{},cost_usd,{value}\n", 1_700_000_040 + i * 60));
        }
        text
    };
    let folder = Folder::with(&[("rules/a.yaml", rule), ("high.csv", &history(80.0)), ("usual.csv", &history(12.0))]);
    let got = dry(&folder, &["--data", "high.csv"]).exits(0).json();
    assert_eq!(got["alerts"][0]["state"], "firing", "{got:#}");
    assert_eq!(got["alerts"][0]["value"], 80.0);
    let reason = got["alerts"][0]["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{got:#}");
    let got = dry(&folder, &["--data", "usual.csv"]).exits(0).json();
    assert_eq!(got["alerts"], serde_json::json!([]), "{got:#}");
}

#[test]
fn an_alert_with_for_is_pending_and_notifies_nobody() {
    let folder = Folder::with(&[
        ("rules/a.yaml", "rules:\n  - {name: high, metric: m, threshold: '> 50', for: 5m}\n"),
        ("d.prom", "m 99 1700000000000\n"),
    ]);
    let got = dry(&folder, &["--data", "d.prom"]).exits(0).json();
    assert_eq!(got["alerts"][0]["state"], "pending", "{got:#}");
    assert_eq!(got["notifications"], serde_json::json!([]), "{got:#}");
}

#[test]
fn notifications_go_to_the_named_handlers_that_want_the_severity() {
    let folder = Folder::with(&[
        (
            "rules/a.yaml",
            "rules:\n  - {name: named, metric: m, threshold: '> 50', notify: [second]}\n  - {name: all, metric: m, threshold: '> 50', severity: info}\n",
        ),
        (
            "handlers/h.yaml",
            "handlers:\n  - {name: first, type: console}\n  - {name: second, type: console, format: json, min_severity: warning}\n",
        ),
        ("d.prom", "m 99 1700000000000\n"),
    ]);
    let got = dry(&folder, &["--data", "d.prom"]).exits(0).json();
    let mut told: Vec<(String, String)> = Vec::new();
    for notice in got["notifications"].as_array().unwrap() {
        for fingerprint in notice["alerts"].as_array().unwrap() {
            let _ = fingerprint;
            told.push((notice["handler"].as_str().unwrap().to_owned(), notice["payload"].to_string()));
        }
    }
    let first: Vec<_> = told.iter().filter(|(handler, _)| handler == "first").collect();
    let second: Vec<_> = told.iter().filter(|(handler, _)| handler == "second").collect();
    assert_eq!((first.len(), second.len()), (1, 1), "{got:#}");
    assert!(first[0].1.contains("all") && second[0].1.contains("named"), "{told:#?}");
}

#[test]
fn a_failing_rule_test_exits_with_one_and_says_what_happened() {
    let folder = Folder::with(&[
        (
            "rules/a.yaml",
            "rules:\n  - name: high\n    metric: m\n    threshold: '> 50'\n    for: 5m\n    tests:\n      - {name: too soon, interval: 1m, series: {m: '99x10'}, at: 3m, expect: firing}\n",
        ),
        ("d.prom", "m 1 1700000000000\n"),
    ]);
    let got = dry(&folder, &["--data", "d.prom"]).exits(1).json();
    assert_eq!((&got["tests"]["passed"], &got["tests"]["failed"]), (&0.into(), &1.into()));
    let message = got["tests"]["results"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("firing") && message.contains("pending"), "{message}");
}

#[test]
fn it_reads_no_secret() {
    let folder = Folder::with(&[
        ("rules/a.yaml", "rules:\n  - {name: high, metric: m, threshold: '> 50'}\n"),
        (
            "alertd.yaml",
            "scrape_configs:\n  - job_name: a\n    basic_auth: {username: u, password: '${env:CANARY}'}\n    static_configs: [{targets: ['127.0.0.1:9']}]\n  - job_name: b\n    authorization: {credentials: '${file:secret}'}\n    static_configs: [{targets: ['127.0.0.1:9']}]\n",
        ),
        ("d.prom", "m 99 1700000000000\n"),
    ]);
    // Whoever opens a pipe without a writer waits for ever: reading the secret would be seen.
    assert!(Command::new("mkfifo").arg(folder.at("secret")).status().unwrap().success());
    for format in ["text", "json"] {
        let mut command = command(&folder);
        command.env("CANARY", "hunter2-canary").args(["--dry-run", "rules/", "--data", "d.prom", "--output", format]);
        let ran = finish(&mut command).exits(0);
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{ran:#?}");
    }
    // Not set at all is no finding either: a CI job has no secrets.
    run(&folder, &["--dry-run", "rules/", "--data", "d.prom"]).exits(0);
    run(&folder, &["check", "rules/", "alertd.yaml"]).exits(0);
}

#[test]
fn it_opens_no_connection_and_writes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap();
    let folder = Folder::with(&[
        ("rules/a.yaml", THRESHOLD),
        (
            "alertd.yaml",
            &format!(
                "external_url: http://{target}/\nscrape_configs:\n  - job_name: a\n    static_configs: [{{targets: ['{target}']}}]\n"
            ),
        ),
        ("d.prom", "m 99 1700000000000\n"),
    ]);
    let before = folder.listing();
    for args in [
        vec!["--dry-run", "rules/", "--data", "d.prom"],
        vec!["--dry-run", "rules/"],
        vec!["--dry-run"],
        vec!["check", "rules/"],
        vec!["test", "rules/"],
    ] {
        run(&folder, &args).exits(0);
        assert_eq!(folder.listing(), before, "{args:?} wrote something");
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn two_runs_print_the_same_bytes() {
    let folder = Folder::with(&[
        ("rules/a.yaml", THRESHOLD),
        ("rules/b.yaml", "rules:\n  - {name: many, expr: m > 1}\n"),
        ("d.prom", &(0..50).map(|i| format!("m{{i=\"{i}\"}} {i} 1700000000000\n")).collect::<String>()),
    ]);
    for format in ["text", "json", "github", "sarif", "junit", "gitlab"] {
        let args = ["--dry-run", "rules/", "--data", "d.prom", "--output", format];
        let (a, b) = (run(&folder, &args).exits(0), run(&folder, &args).exits(0));
        assert_eq!((a.out, a.err), (b.out, b.err), "{format}");
    }
}

#[test]
fn data_that_cannot_be_read_is_told_with_its_place() {
    let folder = Folder::with(&[
        ("rules/a.yaml", THRESHOLD),
        ("bad.csv", "timestamp,metric,value\n1700000000,m,abc\n"),
        ("bad.jsonl", "{\"metric\":\"m\",\"timestamp\":1700000000,\"value\":1}\n{nonsense\n"),
        ("bad.prom", "m 1 1700000000000\nm{ 2\n"),
        ("d.xyz", "m 1\n"),
        ("empty.prom", ""),
    ]);
    for (file, line) in [("bad.csv", "2"), ("bad.jsonl", "2"), ("bad.prom", "2")] {
        let ran = run(&folder, &["--dry-run", "rules/", "--data", file]);
        assert_ne!(ran.code, Some(0), "{ran:#?}");
        let told = format!("{}{}", ran.out, ran.err);
        assert!(told.contains(file) && told.contains(line), "{told}");
    }
    for file in ["missing.prom", "d.xyz"] {
        let ran = run(&folder, &["--dry-run", "rules/", "--data", file]).exits(2);
        assert!(ran.err.contains(file), "{ran:#?}");
    }
    // A file without samples has no newest one; that is worth a word, not a crash.
    let ran = run(&folder, &["--dry-run", "rules/", "--data", "empty.prom"]);
    assert!(matches!(ran.code, Some(0..=2)), "{ran:#?}");
}

#[test]
fn files_that_are_no_text_are_findings() {
    let folder = Folder::new();
    folder.write("rules/bin.yaml", [0xff, 0xfe, 0x00, 0x01]);
    let ran = run(&folder, &["check", "rules/"]).exits(1);
    assert!(ran.out.contains("bin.yaml"), "{ran:#?}");
}
