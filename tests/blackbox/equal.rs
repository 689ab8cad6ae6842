//! One truth: the same samples at the same times give the same alerts in a rule's own test, in a dry run and in the
//! daemon.

use serde_json::Value;

use crate::daemon::notices;
use crate::kit::{Daemon, Folder, now_ms, run, until_true};

const HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

/// The parts of an alert that a dry run, a test and a notice all show.
fn parts(alert: &Value) -> Value {
    serde_json::json!({
        "rule": alert["rule"], "severity": alert["severity"], "labels": alert["labels"],
        "annotations": alert["annotations"], "value": alert["value"],
    })
}

const RULES: &str = r#"
defaults: {every: 1s, labels: {team: t}}
rules:
  - name: threshold
    metric: load{host=~".+"}
    levels: {warning: "> 5", critical: "> 90"}
    annotations: {summary: "{{ $labels.host }} at {{ $value | humanize }}"}
  - name: windowed
    metric: load
    reduce: p95
    over: 2m
    combine: max
    by: [host]
    threshold: ">= 5"
  - name: expression
    severity: error
    queries: {failed: 'sum by (host) (load)', total: 'count by (host) (load)'}
    when: failed / total > 0.2 && total > 0
    value: failed / total
  - name: promql
    expr: avg_over_time(load[1m]) > 5
"#;

#[test]
fn the_daemon_shows_what_the_dry_run_shows() {
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLER)]);
    let newest = now_ms() / 1000;
    let mut text = String::new();
    for age in (0..=6).rev() {
        let at = newest - age * 10;
        text.push_str(&format!(
            "load{{host=\"a\"}} {}.5 {at}000\nload{{host=\"b\"}} 95.25 {at}000\nload{{host=\"c\"}} 1 {at}000\n",
            20 - age
        ));
    }
    folder.write("d.prom", &text);
    let dry = run(&folder, &["--dry-run", "rules/", "--data", "d.prom", "--output", "json"]).exits(0).json();
    let mut wanted: Vec<Value> = dry["alerts"].as_array().unwrap().iter().map(parts).collect();
    assert!(wanted.len() >= 7, "{dry:#}");

    let daemon = Daemon::start(&folder);
    daemon.push(&text);
    until_true("as many alerts", || notices(&daemon).len() >= wanted.len());
    let mut got: Vec<Value> = notices(&daemon).iter().map(|n| parts(&n["alerts"][0])).collect();
    for list in [&mut wanted, &mut got] {
        list.sort_by_key(ToString::to_string);
        // The window of the daemon's slot may begin a second or two later than that of the newest sample.
        list.retain(|alert| alert["rule"] != "promql" && alert["rule"] != "windowed");
    }
    assert_eq!(got, wanted);
    let prints = |list: &Value| -> Vec<String> {
        let mut prints: Vec<String> = list.as_array().unwrap().iter().map(ToString::to_string).collect();
        prints.sort();
        prints.dedup();
        prints
    };
    let told: Value = dry["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|n| n["alerts"].as_array().cloned().unwrap_or_default())
        .collect();
    let live: Value = notices(&daemon).iter().map(|n| n["alerts"][0]["fingerprint"].clone()).collect();
    assert_eq!(prints(&told), prints(&live), "the same identities");
}

#[test]
fn a_rules_own_test_agrees_with_a_dry_run_on_the_same_samples() {
    // `expect` lists everything that fires, so a test that passes says exactly what a dry run must show.
    let rules = r#"
rules:
  - name: disk
    metric: disk_percent
    levels: {warning: "> 80", critical: "> 95"}
    annotations: {summary: "{{ $labels.mount }} {{ $value }}"}
    tests:
      - name: at the end
        interval: 1m
        series:
          'disk_percent{mount="/"}': '70+1x10'
          'disk_percent{mount="/var"}': '90+1x10'
          'disk_percent{mount="/tmp"}': '90-5x10'
        at: 10m
        expect:
          - {labels: {mount: /var}, severity: critical, annotations: {summary: "/var 100"}}
      - name: in between
        interval: 1m
        series:
          'disk_percent{mount="/"}': '70+2x10'
          'disk_percent{mount="/var"}': '90+1x10'
        at: 6m
        expect:
          - {labels: {mount: /}, severity: warning, annotations: {summary: "/ 82"}}
          - {labels: {mount: /var}, severity: critical, annotations: {summary: "/var 96"}}
"#;
    let mut text = String::new();
    for i in 0..=10 {
        let at = 1_700_000_000 + i * 60;
        text.push_str(&format!(
            "disk_percent{{mount=\"/\"}} {} {at}000\ndisk_percent{{mount=\"/var\"}} {} {at}000\n",
            70 + 2 * i,
            90 + i
        ));
    }
    let folder = Folder::with(&[("rules/a.yaml", rules), ("d.prom", &text)]);
    run(&folder, &["test", "rules/"]).exits(0);
    let at = (1_700_000_000 + 360).to_string();
    let dry =
        run(&folder, &["--dry-run", "rules/", "--data", "d.prom", "--at", &at, "--output", "json"]).exits(0).json();
    let mut seen: Vec<(String, String, String)> = dry["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            (text(&a["labels"]["mount"]), text(&a["severity"]), text(&a["annotations"]["summary"]))
        })
        .collect();
    seen.sort();
    let wanted = [("/", "warning", "/ 82"), ("/var", "critical", "/var 96")];
    assert_eq!(seen, wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
}

#[test]
fn query_gives_the_same_numbers_offline_and_from_the_daemon() {
    let folder = Folder::with(&[("rules/a.yaml", "rules: []\n")]);
    let newest = now_ms() / 1000 - 5;
    let mut text = String::new();
    for i in 0..30 {
        let at = newest - 290 + i * 10;
        text.push_str(&format!("c_total{{job=\"a\"}} {} {at}000\nc_total{{job=\"b\"}} {} {at}000\n", i * 3, i * i));
    }
    folder.write("d.prom", &text);
    let daemon = Daemon::start(&folder);
    daemon.push(&text);
    let server = format!("http://{}", daemon.address);
    let at = newest.to_string();
    for expr in [
        "c_total",
        "rate(c_total[2m])",
        "sum(increase(c_total[3m]))",
        "quantile_over_time(0.9, c_total[4m])",
        "predict_linear(c_total[4m], 60)",
        "topk(1, c_total)",
        "c_total > 50",
        "absent(nothing)",
        "1 + 2",
        "label_replace(c_total, 'x', '$1', 'job', '(.*)')",
    ] {
        let offline =
            run(&folder, &["query", expr, "--data", "d.prom", "--at", &at, "--output", "json"]).exits(0).json();
        let live = run(&folder, &["query", expr, "--server", &server, "--at", &at, "--output", "json"]).exits(0).json();
        assert_eq!(offline, live, "{expr}");
    }
}
