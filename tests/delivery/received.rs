//! Alerts that other programs report: told once over kills of alertd and of their source, and taken back in any case.
//! The source is the test itself, or a real Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::exporter::{Answer, Exporter};
use crate::history;
use crate::http::Response;
use crate::kit::{Daemon, Folder, Peer, free_port, now_ms, peer, until, until_true};
use crate::setup::{data, folder_with, rule, rules, start, start_on, taken, wait_words, webhook, words};
use crate::sink::{Act, Sink};

const NONE: [&str; 0] = [];

fn folder(sink: &Sink, route: &str) -> Folder {
    let handlers = format!("handlers:\n{}{route}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    folder_with(&rules(&[rule("idle", "for: 0s")]), &handlers, "external_labels: {cluster: ours}")
}

/// RFC 3339, so many milliseconds from now.
fn time(in_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(now_ms() + in_ms).unwrap();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Reports an alert that began a minute ago and ends at some time from now.
fn post(daemon: &Daemon, name: &str, ends_in_ms: i64) -> Response {
    let body = format!(
        r#"[{{"labels":{{"alertname":"{name}","severity":"critical"}},"annotations":{{"summary":"of {name}"}},"startsAt":"{}","endsAt":"{}","generatorURL":"http://prom.example/graph"}}]"#,
        time(-60_000),
        time(ends_in_ms)
    );
    daemon.post("/api/v2/alerts", &[("Content-Type", "application/json")], body.as_bytes())
}

#[track_caller]
fn report(daemon: &Daemon, name: &str, ends_in_ms: i64) {
    let answer = post(daemon, name, ends_in_ms);
    assert_eq!((answer.status, answer.text()), (200, String::new()));
}

fn settled(folder: &Folder) {
    until_true("nothing is under way", || history::outbox(&data(folder)).is_empty());
}

#[test]
fn a_report_is_told_once_though_its_source_repeats_it_after_a_kill_and_ends_when_the_source_says_so() {
    let sink = Sink::start();
    let folder = folder(&sink, "");
    let mut daemon = start(&folder);
    report(&daemon, "disk", 240_000);
    wait_words(&sink, "/chat", &["disk firing"]);
    let message = &taken(&sink, "/chat")[0];
    assert_eq!(message.alerts[0].severity, "critical");
    let json = sink.at("/chat")[0].json();
    let labels = serde_json::json!({"alertname": "disk", "severity": "critical"});
    assert_eq!(json["alerts"][0]["labels"], labels, "the labels of its own installation");
    assert!(message.text.contains("of disk") && message.text.contains("rule of prom.example"), "{}", message.text);
    settled(&folder);
    daemon.kill();
    let mut daemon = start(&folder);
    (0..3).for_each(|_| report(&daemon, "disk", 240_000));
    daemon.wait_evaluations(5);
    assert_eq!(words(&sink, "/chat"), ["disk firing"]);
    // The end comes after a kill, and is repeated as Prometheus repeats it.
    daemon.kill();
    let daemon = start(&folder);
    (0..6).for_each(|_| report(&daemon, "disk", -1000));
    wait_words(&sink, "/chat", &["disk firing", "disk resolved"]);
    daemon.wait_evaluations(5);
    assert_eq!(words(&sink, "/chat"), ["disk firing", "disk resolved"]);
    daemon.stop();
}

#[test]
fn an_end_that_was_answered_is_told_though_the_process_is_killed_before_its_group_is_due() {
    for signal in ["KILL", "TERM"] {
        let sink = Sink::start();
        let folder =
            folder(&sink, "route: {group_by: [alertname], group_wait: 0s, group_interval: 4s, repeat_interval: 1h}\n");
        let mut daemon = start(&folder);
        report(&daemon, "disk", 240_000);
        wait_words(&sink, "/chat", &["disk firing"]);
        settled(&folder);
        report(&daemon, "disk", -1000);
        daemon.signal(signal);
        daemon.wait_end();
        assert_eq!(words(&sink, "/chat"), ["disk firing"], "{signal}");
        // Its source does not repeat it.
        let daemon = start(&folder);
        wait_words(&sink, "/chat", &["disk firing", "disk resolved"]);
        daemon.stop();
    }
}

#[test]
fn what_was_answered_is_told_though_the_process_is_killed_at_once() {
    let sink = Sink::start();
    let folder = folder(&sink, "route: {group_by: ['...'], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}\n");
    let mut daemon = start(&folder);
    for n in 0..5 {
        report(&daemon, &format!("a{n}"), 240_000);
        daemon.kill();
        daemon = start(&folder);
    }
    until_true("the last is told", || words(&sink, "/chat").contains(&"a4 firing".to_owned()));
    settled(&folder);
    // A kill between the receiver's answer and the note of it: the same message again, under the same id.
    let told: BTreeMap<String, String> = taken(&sink, "/chat").iter().map(|m| (m.id.clone(), m.words())).collect();
    let mut told: Vec<&String> = told.values().collect();
    told.sort();
    assert_eq!(told, ["a0 firing", "a1 firing", "a2 firing", "a3 firing", "a4 firing"]);
    daemon.stop();
}

#[test]
fn one_that_nobody_repeats_is_over_at_its_end_also_after_a_kill() {
    let sink = Sink::start();
    let folder = folder(&sink, "");
    let mut daemon = start(&folder);
    report(&daemon, "short", 1500);
    wait_words(&sink, "/chat", &["short firing", "short resolved"]);
    assert!(taken(&sink, "/chat")[1].text.contains("expired"), "{}", taken(&sink, "/chat")[1].text);
    report(&daemon, "long", 6000);
    wait_words(&sink, "/chat", &["short firing", "short resolved", "long firing"]);
    settled(&folder);
    daemon.kill();
    let daemon = start(&folder);
    assert_eq!(daemon.alert("long").unwrap()["state"], "firing");
    assert!(daemon.get("/").text().contains("http://prom.example/graph"), "it is on the page");
    wait_words(&sink, "/chat", &["short firing", "short resolved", "long firing", "long resolved"]);
    daemon.stop();
}

#[test]
fn one_that_is_over_while_its_receiver_is_away_is_told_as_fired_and_resolved() {
    let sink = Sink::start();
    sink.on("/chat", Act::status(503));
    let folder = folder(&sink, "");
    let daemon = start(&folder);
    report(&daemon, "disk", 240_000);
    until_true("it is tried", || !sink.at("/chat").is_empty());
    report(&daemon, "disk", -1000);
    sink.on("/chat", Act::ok());
    until_true("its end is told", || taken(&sink, "/chat").last().is_some_and(|last| last.words() == "disk resolved"));
    let told = taken(&sink, "/chat");
    assert_eq!(told.last().unwrap().status, "resolved");
    assert!(told.len() == 1 && told[0].reason == "fired and resolved" || told.len() == 2, "{told:?}");
    daemon.stop();
}

#[test]
fn a_silence_holds_a_report_and_a_rule_of_ours_keeps_its_own_way() {
    let sink = Sink::start();
    let folder = folder(&sink, "");
    let daemon = start(&folder);
    let silence = format!(
        r#"{{"matchers":[{{"name":"alertname","value":"disk","isRegex":false}}],"startsAt":"{}","endsAt":"{}","createdBy":"me","comment":"c"}}"#,
        time(0),
        time(600_000)
    );
    let json = [("Content-Type", "application/json")];
    let id = daemon.post("/api/v2/silences", &json, silence.as_bytes()).json()["silenceID"].clone();
    report(&daemon, "disk", 240_000);
    daemon.push("idle_m 5\n");
    wait_words(&sink, "/chat", &["idle firing"]);
    let shown = daemon.get("/api/v2/alerts?filter=alertname%3Ddisk").json();
    let status = serde_json::json!({"state": "suppressed", "silencedBy": [id], "inhibitedBy": [], "mutedBy": []});
    assert_eq!(shown[0]["status"], status, "{shown:#}");
    let held = daemon.get("/api/v1/history?kind=held").json();
    let silenced = |event: &serde_json::Value| event["reason"] == "silenced" && event["rule"] == "disk";
    assert!(held["data"]["events"].as_array().unwrap().iter().any(silenced), "{held:#}");
    let ours = daemon.get("/api/v2/alerts?silenced=false").json();
    assert_eq!(
        ours[0]["labels"],
        serde_json::json!({"alertname": "idle", "cluster": "ours", "severity": "warning"}),
        "{ours:#}"
    );
    daemon.stop();
}

/// A real Prometheus with one rule, which repeats what fires every three seconds, each time with an end four times as far.
struct Prometheus {
    folder: Folder,
    address: String,
    _process: Peer,
}

impl Prometheus {
    fn start(program: &Path, target: &Exporter, port: u16, replica: &str) -> Self {
        let folder = Folder::new();
        folder.write(
            "rules.yaml",
            "groups: [{name: g, rules: [{alert: Hot, expr: temperature > 80, labels: {severity: error}, \
             annotations: {summary: 'it has {{ $value }}'}}]}]",
        );
        folder.write(
            "prometheus.yml",
            format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{replica: {replica}, site: x}}}}\n\
                 rule_files: [rules.yaml]\n\
                 scrape_configs: [{{job_name: app, static_configs: [{{targets: ['{}']}}]}}]\n\
                 alerting:\n  alert_relabel_configs: [{{action: labeldrop, regex: replica}}]\n  \
                 alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n",
                target.address
            ),
        );
        let address = format!("127.0.0.1:{}", free_port());
        let process = Self::run(program, &folder, &address);
        Self { folder, address, _process: process }
    }

    fn run(program: &Path, folder: &Folder, address: &str) -> Peer {
        let args = [
            format!("--config.file={}", folder.at("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.at("tsdb").display()),
            format!("--web.listen-address={address}"),
            "--rules.alert.resend-delay=3s".to_owned(),
        ];
        Peer::start(program, &args.iter().map(String::as_str).collect::<Vec<_>>(), address, "/-/ready")
    }
}

fn reports(daemon: &Daemon) -> f64 {
    daemon.metric("alertd_received_alerts_total{result=\"firing\"}").unwrap_or(0.0)
}

#[test]
fn alerts_of_two_real_prometheus_are_one_and_outlive_restarts_of_either_side() {
    let Some(program) = peer("prometheus") else { return };
    let sink = Sink::start();
    let target = Exporter::start(Answer::text("temperature 90\n"));
    let folder = folder(&sink, "");
    let port = free_port();
    let mut daemon = start_on(&folder, port);
    let first = Prometheus::start(&program, &target, port, "a");
    wait_words(&sink, "/chat", &["Hot firing"]);
    let shown = until("it is shown", || daemon.get("/api/v2/alerts").json().get(0).cloned());
    assert_eq!(shown["labels"]["site"], "x", "{shown:#}");
    assert!(shown["labels"].get("replica").is_none() && shown["labels"].get("cluster").is_none(), "{shown:#}");
    assert_eq!(
        (&shown["annotations"]["summary"], shown["labels"]["severity"].as_str()),
        (&"it has 90".into(), Some("error"))
    );
    assert!(shown["generatorURL"].as_str().unwrap().contains("/graph?g0.expr=temperature"), "{shown:#}");
    // The same alert of a second Prometheus.
    let second = Prometheus::start(&program, &target, port, "b");
    let before = reports(&daemon);
    until_true("both report", || reports(&daemon) > before + 2.0);
    assert_eq!(daemon.get("/api/v2/alerts").json().as_array().unwrap().len(), 1);
    drop(second);
    settled(&folder);
    daemon.kill();
    // Longer than its end is away: a process that is down hears nothing.
    sleep(Duration::from_secs(13));
    let daemon = start_on(&folder, port);
    until_true("it is reported again", || reports(&daemon) > 1.0);
    assert_eq!(words(&sink, "/chat"), ["Hot firing"]);
    // Prometheus itself is restarted.
    let Prometheus { folder: files, address, _process: process } = first;
    drop(process);
    let process = Prometheus::run(&program, &files, &address);
    let before = reports(&daemon);
    until_true("it is reported again", || reports(&daemon) > before + 1.0);
    assert_eq!(words(&sink, "/chat"), ["Hot firing"]);
    target.set(Answer::text("temperature 20\n"));
    wait_words(&sink, "/chat", &["Hot firing", "Hot resolved"]);
    // It fires anew, and then nobody repeats it any more.
    target.set(Answer::text("temperature 95\n"));
    wait_words(&sink, "/chat", &["Hot firing", "Hot resolved", "Hot firing"]);
    drop(process);
    wait_words(&sink, "/chat", &["Hot firing", "Hot resolved", "Hot firing", "Hot resolved"]);
    assert_eq!(daemon.get("/api/v2/alerts").json(), serde_json::json!(NONE));
    daemon.stop();
}

#[test]
fn a_thousand_alerts_of_one_second_are_each_told_to_each_of_five_handlers_once() {
    const ALERTS: usize = 1000;
    let sink = Sink::start();
    let names = ["a", "b", "c", "limited", "failing"];
    let handler = |name: &&str| {
        let keys: &[&str] = if *name == "limited" { &["rate_limit: 20/s"] } else { &["timeout: 5s"] };
        webhook(name, &sink.url(&format!("/{name}")), keys)
    };
    let handlers: String = names.iter().map(handler).collect();
    let route = "route: {group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}\n";
    let handlers = format!("handlers:\n{handlers}{route}");
    let folder = folder_with(&rules(&[rule("idle", "for: 0s")]), &handlers, "");
    sink.next("/failing", (0..2).map(|_| Act::status(503)));
    let daemon = start(&folder);
    let alert = |n: usize| {
        let labels = format!(r#"{{"alertname":"A{}","host":"h{n}"}}"#, n % 40);
        format!(r#"{{"labels":{labels},"endsAt":"{}"}}"#, time(600_000))
    };
    let all: Vec<String> = (0..ALERTS).map(alert).collect();
    let json = [("Content-Type", "application/json")];
    for part in all.chunks(64) {
        assert_eq!(daemon.post("/api/v2/alerts", &json, format!("[{}]", part.join(",")).as_bytes()).status, 200);
    }
    assert_eq!(daemon.get("/api/v2/alerts").json().as_array().map(Vec::len), Some(ALERTS));
    for name in names {
        let path = format!("/{name}");
        let news = || -> Vec<String> {
            let told = taken(&sink, &path).into_iter().flat_map(|message| message.alerts);
            told.filter(|alert| alert.transition == "fired" && alert.name.starts_with('A'))
                .map(|alert| alert.fingerprint)
                .collect()
        };
        until_true(&format!("{name} is told of each"), || news().len() >= ALERTS);
        let (all, mut once) = (news(), news());
        once.sort();
        once.dedup();
        assert_eq!((all.len(), once.len()), (ALERTS, ALERTS), "{name}");
    }
    daemon.stop();
}
