//! The life of the daemon: start, alerts on the console, stop, restart.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::kit::{Daemon, Folder, command, free_port, instant, now_ms, own, run, until, until_true, value_of};

const HIGH: &str = r#"
defaults: {every: 1s}
rules:
  - name: latency_high
    severity: error
    metric: llm.latency_ms
    threshold: "> 2000"
    labels: {team: llm}
    annotations: {summary: "{{ $labels.agent }} is slow"}
"#;

const JSON_HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

fn latency(value: f64) -> String {
    format!("{{\"llm.latency_ms\",agent=\"planner\"}} {value}\n")
}

/// The JSON notices on standard output so far, without those about alertd itself.
pub fn notices(daemon: &Daemon) -> Vec<Value> {
    let all = daemon.out.all();
    let parsed = all.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|notice| !own(&notice["alerts"][0]["rule"])).collect()
}

/// Notices of a rule, as `kind`s.
pub fn kinds(daemon: &Daemon, rule: &str) -> Vec<String> {
    let of_rule = |notice: &Value| {
        let alerts = notice["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().any(|alert| alert["rule"] == rule)
    };
    let all = notices(daemon);
    all.iter().filter(|n| of_rule(n)).map(|n| n["kind"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn without_any_configuration_it_is_ready_at_once_and_shows_itself() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let begun = instant();
    let daemon = Daemon::start(&folder);
    assert!(begun.elapsed() < Duration::from_secs(5), "ready after {:?}", begun.elapsed());
    assert_eq!(daemon.get("/-/healthy").status, 200);
    assert_eq!(daemon.get("/api/v1/status/buildinfo").json()["status"], "success");
    assert_eq!(daemon.rule_names(), ["latency_high"]);
    // Host metrics need no set-up.
    until_true("host metrics are there", || !daemon.query("{\"system.memory_percent\"}").is_empty());
    let page = daemon.get("/metrics");
    assert_eq!(page.status, 200);
    check_exposition(&page.text());
    // The folder holds the state and nothing else new.
    let (_, log) = daemon.stop();
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
}

/// Every line is a comment or a sample with a known family, and no series stands twice.
fn check_exposition(text: &str) {
    let (mut types, mut helps, mut series) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(types.insert(rest.split(' ').next().unwrap()), "a second TYPE: {line}");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(helps.insert(rest.split(' ').next().unwrap()), "a second HELP: {line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
            assert!(value.parse::<f64>().is_ok(), "no number: {line}");
            assert!(series.insert(name), "the series {name} stands twice");
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().fold(family, |n, end| n.strip_suffix(end).unwrap_or(n));
            assert!(types.contains(family) || types.contains(base), "no TYPE before {line}");
        }
    }
    assert!(series.len() > 15, "{text}");
    assert_eq!(types, helps);
}

#[test]
fn a_threshold_over_pushed_samples_fires_and_resolves_on_the_console() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    daemon.push(&latency(2500.0));
    let head = daemon.out.wait("FIRING latency_high");
    assert!(head.contains("latency_high") && head.contains("error"), "{head}");
    let alert = daemon.wait_alert("latency_high", "firing");
    assert_eq!((&alert["labels"]["agent"], &alert["labels"]["team"]), (&"planner".into(), &"llm".into()), "{alert:#}");
    assert_eq!(alert["annotations"]["summary"], "planner is slow");
    daemon.push(&latency(3200.0));
    until_true("the peak is seen", || daemon.alert("latency_high").is_some_and(|a| value_of(&a) == 3200.0));
    daemon.push(&latency(100.0));
    let resolved = daemon.out.wait("RESOLVED latency_high");
    assert!(resolved.contains("latency_high"), "{resolved}");
    until_true("the alert is gone", || daemon.alert("latency_high").is_none());
    until_true("the notice is complete", || daemon.out.text().contains("lasted"));
    let (out, _) = daemon.stop();
    let text = out.join("\n");
    let part = &text[text.find(&resolved).unwrap()..];
    // 3200 ms, in whatever unit people read it.
    assert!(part.contains("peak 3.2") || part.contains("peak 3200"), "the resolve tells the peak:\n{part}");
    assert!(
        text.contains("planner is slow") && text.contains("rules/a.yaml:4"),
        "what, and where it is written:\n{text}"
    );
    assert_eq!(out.iter().filter(|line| line.contains("latency_high")).count(), 2, "{text}");
}

#[test]
fn json_notices_are_one_object_a_line_and_carry_the_whole_alert() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH), ("handlers/h.yaml", JSON_HANDLER)]);
    let daemon = Daemon::start(&folder);
    daemon.push(&latency(2500.0));
    until_true("it fires", || kinds(&daemon, "latency_high") == ["firing"]);
    daemon.push(&latency(5.0));
    until_true("it resolves", || kinds(&daemon, "latency_high") == ["firing", "resolved"]);
    let all = notices(&daemon);
    let parsed = daemon.out.all().iter().all(|line| serde_json::from_str::<Value>(line).is_ok());
    assert!(parsed, "only notices on stdout: {}", daemon.out.text());
    assert_ne!(all[0]["id"], all[1]["id"]);
    let (fired, resolved) = (&all[0]["alerts"][0], &all[1]["alerts"][0]);
    assert_eq!(fired["fingerprint"], resolved["fingerprint"]);
    assert_eq!(
        (&fired["severity"], &fired["value"], &fired["labels"]["agent"]),
        (&"error".into(), &2500.0.into(), &"planner".into())
    );
    assert_eq!((&resolved["reason"], &resolved["peak"]), (&"recovered".into(), &2500.0.into()), "{resolved:#}");
    assert!(resolved["resolved_at"].as_str() > fired["active_at"].as_str(), "{resolved:#}");
}

#[test]
fn a_second_episode_inside_the_cooldown_is_held_until_it_ends() {
    let rules = "rules:\n  - {name: high, metric: m, threshold: '> 5', every: 1s, cooldown: 8s}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)]);
    let daemon = Daemon::start(&folder);
    daemon.push("m 9\n");
    until_true("it fires", || kinds(&daemon, "high") == ["firing"]);
    let first = notices(&daemon)[0]["alerts"][0]["at"].as_str().unwrap().to_owned();
    daemon.push("m 1\n");
    until_true("it resolves", || kinds(&daemon, "high") == ["firing", "resolved"]);
    daemon.push("m 9\n");
    daemon.wait_alert("high", "firing");
    assert_eq!(kinds(&daemon, "high").len(), 2, "the second episode is held");
    until_true("the hold is counted", || {
        daemon.metric("alertd_notices_held_total{reason=\"cooldown\"}").is_some_and(|n| n >= 1.0)
    });
    until_true("the cooldown ends", || kinds(&daemon, "high") == ["firing", "resolved", "firing"]);
    let second = notices(&daemon)[2]["alerts"][0]["at"].as_str().unwrap().to_owned();
    let seconds = |text: &str| text[17..19].parse::<i64>().unwrap() + 60 * text[14..16].parse::<i64>().unwrap();
    let apart = (seconds(&second) - seconds(&first)).rem_euclid(3600);
    assert!((8..=11).contains(&apart), "{apart} s between {first} and {second}");
}

#[test]
fn pending_is_shown_and_for_is_kept() {
    let rules = "rules:\n  - {name: high, metric: m, threshold: '> 5', every: 1s, for: 3s}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)]);
    let daemon = Daemon::start(&folder);
    daemon.push("m 9\n");
    let alert = daemon.wait_alert("high", "pending");
    assert!(notices(&daemon).is_empty(), "{}", daemon.out.text());
    let fired = daemon.wait_alert("high", "firing");
    assert_eq!(alert["activeAt"], fired["activeAt"]);
    let all = until("it is told", || Some(notices(&daemon)).filter(|all| !all.is_empty()));
    let told = &all[0]["alerts"][0];
    assert!(told["fired_at"].as_str() > told["active_at"].as_str(), "{told:#}");
}

#[test]
fn every_level_is_told_once_and_lowered_in_place() {
    let rules = "rules:\n  - {name: disk, metric: m, every: 1s, levels: {warning: '> 80', critical: '> 95'}}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)]);
    let daemon = Daemon::start(&folder);
    let mut wanted = Vec::new();
    for (value, transition, severity) in
        [(85, "fired", "warning"), (97, "raised", "critical"), (85, "lowered", "warning"), (10, "resolved", "warning")]
    {
        daemon.push(&format!("m {value}\n"));
        wanted.push((transition.to_owned(), severity.to_owned()));
        let seen = || -> Vec<(String, String)> {
            let alerts = notices(&daemon).into_iter().map(|n| n["alerts"][0].clone());
            alerts
                .map(|a| (a["transition"].as_str().unwrap().to_owned(), a["severity"].as_str().unwrap().to_owned()))
                .collect()
        };
        until_true(&format!("{wanted:?}"), || seen() == wanted);
    }
    let all = notices(&daemon);
    let prints: BTreeSet<String> = all.iter().map(|n| n["alerts"][0]["fingerprint"].to_string()).collect();
    assert_eq!(prints.len(), 1, "one identity over all levels: {all:#?}");
}

#[test]
fn it_stops_within_a_second_or_two_of_a_signal() {
    for name in ["TERM", "INT"] {
        let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
        let mut daemon = Daemon::start(&folder);
        daemon.push(&latency(2500.0));
        daemon.out.wait("FIRING latency_high");
        daemon.signal(name);
        let (status, took) = daemon.wait_end();
        assert_eq!(status.code(), Some(0), "SIG{name}");
        assert!(took < Duration::from_secs(3), "SIG{name} took {took:?}");
    }
}

#[test]
fn a_signal_at_start_up_and_a_second_signal_end_it_at_once() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let mut daemon = Daemon::spawn(&folder, &["rules/"], free_port());
    daemon.signal("INT");
    daemon.signal("INT");
    let (_, took) = daemon.wait_end();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let daemon = Daemon::start(&folder);
    daemon.signal("TERM");
    let _ = std::process::Command::new("kill").args(["-TERM", &daemon.pid().to_string()]).output();
    let mut daemon = daemon;
    let (_, took) = daemon.wait_end();
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The state it leaves behind is whole.
    let daemon = Daemon::start(&folder);
    assert_eq!(daemon.err.count("damaged"), 0, "{}", daemon.err.text());
}

#[test]
fn a_restart_tells_nothing_twice_and_loses_nothing() {
    let rules = "rules:\n  - {name: firing, metric: m, threshold: '> 5', every: 1s}\n  - {name: waiting, metric: m, threshold: '> 5', every: 1s, for: 1h}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)]);
    let daemon = Daemon::start(&folder);
    daemon.push("m 9\n");
    until_true("it is told", || kinds(&daemon, "firing") == ["firing"]);
    let before = (daemon.wait_alert("firing", "firing"), daemon.wait_alert("waiting", "pending"));
    daemon.stop();

    let daemon = Daemon::start(&folder);
    daemon.wait_evaluations(4);
    // Before anything was pushed again, and after.
    let held = daemon.wait_alert("firing", "firing");
    assert_eq!(held["activeAt"], before.0["activeAt"]);
    daemon.push("m 9\n");
    daemon.wait_evaluations(4);
    let waiting = daemon.wait_alert("waiting", "pending");
    assert!(waiting["activeAt"].as_str() >= before.1["activeAt"].as_str(), "{waiting:#}");
    let age = now_ms() - parse_ms(waiting["activeAt"].as_str().unwrap());
    assert!(age >= 2_000, "`for` was reset: active for {age} ms only");
    assert_eq!(notices(&daemon).len(), 0, "nothing is new: {}", daemon.out.text());
    daemon.push("m 1\n");
    until_true("the resolve of what was told before the restart", || kinds(&daemon, "firing") == ["resolved"]);
}

/// An RFC 3339 time as the API writes it, in milliseconds; only good for differences within a day or two.
fn parse_ms(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since the epoch (Howard Hinnant's days_from_civil).
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + doe - 719_468;
    let millis = text.get(20..23).and_then(|t| t.parse::<i64>().ok()).unwrap_or(0);
    (((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)) * 1000 + millis
}

#[test]
fn a_kill_right_after_a_notice_does_not_repeat_it() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH), ("handlers/h.yaml", JSON_HANDLER)]);
    let mut daemon = Daemon::start(&folder);
    daemon.push(&latency(2500.0));
    until_true("it is told", || kinds(&daemon, "latency_high") == ["firing"]);
    daemon.wait_evaluations(2);
    daemon.kill();
    let daemon = Daemon::start(&folder);
    daemon.push(&latency(2500.0));
    daemon.wait_evaluations(3);
    daemon.wait_alert("latency_high", "firing");
    assert_eq!(kinds(&daemon, "latency_high"), [""; 0], "told again after a kill");
}

#[test]
fn a_damaged_state_file_is_set_aside_and_the_daemon_starts() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    Daemon::start(&folder).stop();
    let files: Vec<_> =
        std::fs::read_dir(folder.at("data")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    assert!(!files.is_empty(), "state was saved");
    for file in &files {
        std::fs::write(file, b"{\"version\":1,\"rul\0\0\0").unwrap();
    }
    let daemon = Daemon::start(&folder);
    daemon.wait_evaluations(1);
    assert!(daemon.err.count("damaged") > 0, "{}", daemon.err.text());
    daemon.push(&latency(2500.0));
    daemon.out.wait("FIRING latency_high");
}

#[test]
fn a_second_process_on_the_same_port_ends_with_a_reason() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let other = Folder::with(&[("rules/a.yaml", HIGH)]);
    let ran = run(&other, &["rules/", "--listen", &daemon.address]);
    assert!(matches!(ran.code, Some(1..=3)), "{ran:#?}");
    assert!(ran.err.contains(&daemon.address), "{ran:#?}");
    assert!(ran.took < Duration::from_secs(5));
    assert!(!ran.err.contains("panicked") && !ran.err.contains("Os {"), "{ran:#?}");
}

#[test]
fn a_second_process_on_the_same_data_ends_with_a_reason() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let ran = run(&folder, &["rules/", "--listen", &format!("127.0.0.1:{}", free_port())]);
    assert!(matches!(ran.code, Some(1..=3)), "{ran:#?}");
    assert!(ran.err.contains("data"), "{ran:#?}");
    assert!(ran.err.contains(&daemon.pid().to_string()), "it names the process that holds it: {ran:#?}");
}

#[test]
fn a_bad_start_says_what_to_do() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH), ("open.yaml", "listen: 0.0.0.0:9097\n")]);
    for (args, code, word) in [
        (vec!["missing/"], 2, "missing/"),
        (vec!["rules/", "--listen", "nonsense"], 2, "nonsense"),
        (vec!["rules/", "--config", "absent.yaml"], 2, "absent.yaml"),
        (vec!["rules/", "--config", "open.yaml"], 2, "insecure"),
        (vec!["rules/", "--handlers", "nowhere/"], 2, "nowhere"),
        (vec!["rules/", "--data", "x.csv"], 2, "--dry-run"),
        (vec!["rules/", "--log-format", "xml"], 2, "xml"),
    ] {
        let ran = run(&folder, &args);
        assert!(ran.err.contains(word) || ran.out.contains(word), "{args:?}: {ran:#?}");
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:#?}");
    }
}

#[test]
fn options_come_from_the_environment_too() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let port = free_port();
    let mut prepared = command(&folder);
    prepared
        .env("ALERTD_DATA_DIR", "elsewhere")
        .env("ALERTD_LOG_FORMAT", "json")
        .env("ALERTD_LOG_LEVEL", "debug")
        .arg("rules/");
    let daemon = Daemon::launch(&mut prepared, port);
    daemon.wait_ready();
    let line = until("a log line", || daemon.err.all().first().cloned());
    assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    daemon.stop();
    assert!(folder.at("elsewhere").is_dir() && !folder.at("data").exists());
}

#[test]
fn clients_show_alerts_and_rules_of_the_daemon() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    daemon.push(&latency(2500.0));
    daemon.wait_alert("latency_high", "firing");
    let server = format!("http://{}", daemon.address);
    let alerts = run(&folder, &["alerts", "--server", &server]).exits(0);
    assert!(alerts.out.contains("latency_high") && alerts.out.contains("planner"), "{}", alerts.out);
    let none = run(&folder, &["alerts", "--server", &server, "nothing-like-it"]).exits(0);
    assert!(!none.out.contains("latency_high"), "{}", none.out);
    let rules = run(&folder, &["rules", "--server", &server, "--output", "json"]).exits(0).json();
    assert_eq!(rules["rules"][0]["name"], "latency_high");
    let value = run(&folder, &["query", "{\"llm.latency_ms\"}", "--server", &server]).exits(0);
    assert!(value.out.contains("2500"), "{}", value.out);
    let away = run(&folder, &["alerts", "--server", &format!("http://127.0.0.1:{}", free_port())]).exits(3);
    assert!(away.err.contains("help:"), "{away:#?}");
    let wrong = run(&folder, &["query", "sum(", "--server", &server]).exits(1);
    assert!(!wrong.err.is_empty(), "{wrong:#?}");
}

#[test]
fn the_query_api_speaks_as_prometheus_does() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let base = now_ms() / 1000 - 120;
    let text: String = (0..=12).map(|i| format!("c_total{{job=\"x\"}} {} {}000\n", i * 10, base + i * 10)).collect();
    daemon.push(&text);
    let at = base + 120;
    let instant = daemon.get(&format!("/api/v1/query?query=rate(c_total%5B1m%5D)&time={at}")).json();
    assert_eq!((&instant["status"], &instant["data"]["resultType"]), (&"success".into(), &"vector".into()));
    assert_eq!(instant["data"]["result"][0]["metric"], serde_json::json!({"job": "x"}));
    let rate: f64 = instant["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((rate - 1.0).abs() < 1e-9, "{instant:#}");
    let range = daemon.get(&format!("/api/v1/query_range?query=c_total&start={base}&end={at}&step=60")).json();
    assert_eq!(range["data"]["resultType"], "matrix");
    assert_eq!(range["data"]["result"][0]["values"].as_array().map(Vec::len), Some(3), "{range:#}");
    let form = format!("query={}&time={at}", http::encoded("c_total + 1"));
    let posted =
        daemon.post("/api/v1/query", &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes());
    assert_eq!(posted.json()["data"]["result"][0]["value"][1], "121", "{}", posted.text());
    for (path, status) in [
        ("/api/v1/query?query=sum(", 400),
        ("/api/v1/query", 400),
        ("/api/v1/query?query=up&time=nonsense", 400),
        ("/api/v1/query_range?query=up&start=1&end=2&step=0", 400),
        ("/api/v1/query_range?query=up&start=2&end=1&step=1", 400),
        ("/api/v1/query_range?query=up&start=0&end=1000000000&step=1", 400),
        ("/no/such/path", 404),
    ] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status == 400 {
            let json = answer.json();
            assert_eq!(
                (&json["status"], &json["errorType"]),
                (&"error".into(), &"bad_data".into()),
                "{path}: {json:#}"
            );
            assert!(json["error"].as_str().is_some_and(|e| !e.is_empty()));
        }
    }
    assert_eq!(daemon.get("/api/v1/labels").json()["status"], "success");
    let jobs = daemon.get("/api/v1/label/job/values").json();
    assert_eq!(jobs["data"], serde_json::json!(["alertd", "x"]), "its own metrics are there too");
    let series = daemon.get(&format!("/api/v1/series?match%5B%5D={}", http::encoded("c_total"))).json();
    assert_eq!(series["data"][0]["__name__"], "c_total");
}
