//! Rules on remote stores, from outside: a real Prometheus that dies and comes back while an alert fires, and a store that
//! answers with everything but an answer.

use std::path::Path;

use serde_json::json;

use crate::exporter::{Answer, Exporter};
use crate::kit::{Daemon, Folder, Peer, free_port, peer, run, until, until_true};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - name: hot
    severity: critical
    expr: temperature > 80
    annotations: {summary: "{{ $labels.instance }} is hot, mean {{ query \"avg(temperature)\" | first | value }}"}
  - name: dotted
    metric: '{"temperature", job="app"}'
    reduce: max
    over: 1m
    threshold: "> 80"
  - name: joined
    queries: {high: temperature, low: 'temperature / 10'}
    when: high > 80 && low < 10
  - name: local
    metric: pressure
    threshold: "> 5"
    source: embedded
"#;

fn start_prometheus(program: &Path, folder: &Folder, port: u16) -> Peer {
    let address = format!("127.0.0.1:{port}");
    let (config, data) = (folder.at("prometheus.yml"), folder.at("tsdb"));
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address={address}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Peer::start(program, &args, &address, "/-/ready")
}

#[test]
fn a_store_that_dies_and_comes_back_ends_no_alert_and_pages_once() {
    let Some(program) = peer("prometheus") else { return };
    let target = Exporter::start(Answer::text("temperature 90\n"));
    let port = free_port();
    let folder = Folder::with(&[
        ("rules/a.yaml", RULES),
        (
            "alertd.yaml",
            &format!("evaluation_interval: 1s\nstore: {{type: prometheus, url: 'http://127.0.0.1:{port}'}}\n"),
        ),
        (
            "prometheus.yml",
            &format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - {{job_name: app, static_configs: [{{targets: ['{}']}}]}}\n",
                target.address
            ),
        ),
    ]);
    let mut store = Some(start_prometheus(&program, &folder, port));
    let daemon = Daemon::start(&folder);
    for rule in ["hot", "dotted", "joined"] {
        daemon.wait_alert(rule, "firing");
        daemon.out.wait(&format!("FIRING {rule}"));
    }
    let hot = daemon.alert("hot").unwrap();
    let summary = format!("{} is hot, mean 90", target.address);
    assert_eq!(hot["annotations"]["summary"], json!(summary), "the template's query went to the store");

    commands_ask_it(&folder, port);

    drop(store.take());
    daemon.out.wait("FIRING alertd_datasource_down");
    // The store inside the process goes on, and so do its rules.
    daemon.push("pressure 9\n");
    daemon.wait_alert("local", "firing");
    assert_eq!(daemon.alert("hot").unwrap()["state"], "firing");
    let ready = daemon.get("/-/ready");
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("store default (http://127.0.0.1"), "{}", ready.text());
    assert_eq!(daemon.metric("alertd_datasource_up{store=\"default\"}"), Some(0.0));

    let _store = start_prometheus(&program, &folder, port);
    daemon.out.wait("RESOLVED alertd_datasource_down");
    daemon.wait_evaluations(20);
    for rule in ["hot", "dotted", "joined"] {
        assert_eq!((told(&daemon, "FIRING", rule), told(&daemon, "RESOLVED", rule)), (1, 0), "{}", daemon.out.text());
    }
    assert_eq!(told(&daemon, "FIRING", "alertd_datasource_down"), 1, "{}", daemon.out.text());
    assert_eq!(told(&daemon, "FIRING", "alertd_rule_failing"), 0, "{}", daemon.out.text());
    target.set(Answer::text("temperature 20\n"));
    daemon.out.wait("RESOLVED hot");
}

/// How often people were told this of a rule.
fn told(daemon: &Daemon, what: &str, rule: &str) -> usize {
    let all = daemon.out.all();
    all.iter().filter(|line| line.starts_with(what) && line.contains(&format!(" {rule}: "))).count()
}

/// The commands with `--source`.
fn commands_ask_it(folder: &Folder, port: u16) {
    let url = format!("http://127.0.0.1:{port}");
    let queried = run(folder, &["query", "temperature + 1", "--source", &url]).exits(0);
    assert!(queried.out.contains("=> 91 @"), "{queried:?}");
    let by_name = run(folder, &["query", "count(temperature)", "--source", "default", "--output", "json"]).exits(0);
    assert_eq!(by_name.json()["result"][0]["value"][1], "1");
    run(folder, &["query", "rate(temperature)", "--source", &url]).exits(1);
    let away = run(folder, &["query", "temperature", "--source", "http://u:canary@127.0.0.1:1"]).exits(3);
    assert!(!away.err.contains("canary"), "{away:?}");
    run(folder, &["query", "temperature", "--source", "nowhere"]).exits(2);

    let dry = run(folder, &["--dry-run", "--source", &url, "--output", "json", "rules/"]).exits(0);
    let firing: Vec<_> = dry.json()["alerts"].as_array().unwrap().iter().map(|a| a["rule"].clone()).collect();
    assert_eq!(firing, [json!("hot"), json!("dotted"), json!("joined")], "{dry:?}");
    run(folder, &["--dry-run", "--source", "http://127.0.0.1:1", "rules/"]).exits(3);

    let doctor = run(folder, &["doctor", "rules/"]);
    assert!(doctor.out.lines().any(|line| line.starts_with("ok ") && line.contains("store default")), "{doctor:?}");

    folder.write("more/b.yaml", "rules:\n  - {name: misspelt, expr: temprature > 1, annotations: {summary: hot}}\n");
    let checked = run(folder, &["check", "--source", &url, "--output", "concise", "rules/", "more/"]).exits(0);
    assert!(checked.out.contains("A236") && checked.out.contains("temprature"), "{checked:?}");
    // One that reads another store is not judged by this one.
    assert!(!checked.out.contains("pressure"), "{checked:?}");
}

const VECTOR: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[0,"90"]}]}}"#;
const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const PARTIAL: &str =
    r#"{"status":"success","warnings":["a replica is away"],"data":{"resultType":"vector","result":[]}}"#;

fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[test]
fn whatever_a_store_says_but_an_answer_holds_the_state_and_delays_no_other_rule() {
    let (odd, sound) = (Exporter::start(Answer::text(VECTOR)), Exporter::start(Answer::text(VECTOR)));
    let rules = "defaults: {every: 1s}\nrules:\n  - {name: held, expr: x > 1, source: odd}\n  \
                 - {name: other, expr: x > 1, source: sound}\n  - {name: local, metric: m, threshold: '> 1'}\n";
    let stores = format!(
        "evaluation_interval: 1s\nbuiltin_rules: {{enabled: false}}\nstores:\n  \
         odd: {{url: 'http://{}', max_response_bytes: 4MB}}\n  sound: {{url: 'http://{}'}}\n",
        odd.address, sound.address
    );
    let folder = Folder::with(&[("rules/a.yaml", rules), ("alertd.yaml", &stores)]);
    let daemon = Daemon::start(&folder);
    daemon.wait_alert("held", "firing");
    let before = memory_kib(daemon.pid());
    let html = "<html><title>Sign in</title>".to_owned() + &"x".repeat(500);
    let rule = |name: &str| daemon.rules().into_iter().find(|rule| rule["name"] == name).unwrap();
    for (answer, told) in [
        (Answer::Status(500), "HTTP 500"),
        (Answer::text(&html), "<html><title>Sign in"),
        (Answer::Cut(b"{\"status\":\"succ".to_vec()), "broke off"),
        (Answer::Hang, "no answer within 0.80s"),
        (Answer::Drip, "no answer within 0.80s"),
        (Answer::Endless, "max_response_bytes"),
    ] {
        odd.set(answer);
        until_true(&format!("the rule says {told}: {}", rule("held")["lastError"]), || {
            rule("held")["lastError"].as_str().is_some_and(|error| error.contains(told))
        });
        let error = rule("held")["lastError"].as_str().unwrap().to_owned();
        assert!(error.len() < 500, "quotes the beginning alone: {error}");
        // Others are on time meanwhile.
        let evaluated = |name: &str| rule(name)["lastEvaluation"].as_str().unwrap().to_owned();
        let (other, local) = (evaluated("other"), evaluated("local"));
        until_true("others go on", || evaluated("other") > other && evaluated("local") > local);
        assert_eq!(daemon.alert("held").unwrap()["state"], "firing");
    }
    let grown = memory_kib(daemon.pid()).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more at the highest");

    odd.set(Answer::text(PARTIAL));
    until("the partial answer is there", || {
        daemon.metric("alertd_evaluations_total{result=\"partial\"}").filter(|n| *n >= 3.0)
    });
    assert_eq!(daemon.alert("held").unwrap()["state"], "firing", "a partial answer ends nothing");
    assert_eq!(told(&daemon, "RESOLVED", "held"), 0);
    odd.set(Answer::text(EMPTY));
    daemon.out.wait("RESOLVED held");
    assert_eq!(told(&daemon, "FIRING", "held"), 1);
    assert_eq!(daemon.metric_sum("alertd_evaluations_missed_total"), 0.0);
}

#[test]
fn rules_that_ask_the_same_of_a_store_at_the_same_slot_ask_once() {
    let store = Exporter::start(Answer::text(EMPTY));
    let rules = "defaults: {every: 1s, source: one}\nrules:\n  - {name: a, expr: x > 1}\n  - {name: b, expr: 'x   >  1'}\n  \
                 - {name: c, expr: x > 1}\n";
    let stores = format!("stores: {{one: {{url: 'http://{}'}}}}\n", store.address);
    let folder = Folder::with(&[("rules/a.yaml", rules), ("alertd.yaml", &stores)]);
    let daemon = Daemon::start(&folder);
    until_true("some slots", || store.requests() >= 4);
    let evaluated = || daemon.rules().iter().filter(|rule| rule["health"] == "ok").count();
    until_true("all are evaluated", || evaluated() == 3);
    let requests = store.requests();
    daemon.wait_evaluations(9);
    assert!(store.requests() - requests <= 6, "one query for three rules and slot");
}

const WRITTEN: &str = r#"
groups:
  - name: g
    interval: 1s
    rules:
      - {record: "pressure:double", expr: pressure * 2}
      - {alert: High, expr: pressure > 5}
"#;

#[test]
fn what_rules_make_reaches_a_prometheus_also_after_it_was_away() {
    let Some(program) = peer("prometheus") else { return };
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let config = format!(
        "evaluation_interval: 1s\nexternal_labels: {{cluster: one}}\nremote_write: {{url: 'http://{address}/api/v1/write'}}\n"
    );
    let folder =
        Folder::with(&[("rules/a.yaml", WRITTEN), ("alertd.yaml", &config), ("prometheus.yml", "global: {}\n")]);
    let daemon = Daemon::start(&folder);
    daemon.push("pressure 9\n");
    daemon.wait_alert("High", "firing");
    // It is not there yet: what is made meanwhile waits.
    until("sending is tried", || daemon.metric("alertd_remote_write_retries_total{receiver=\"0\"}"));
    let (data, file) = (folder.at("tsdb"), folder.at("prometheus.yml"));
    let args = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address={address}"),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let _prometheus = Peer::start(&program, &args, &address, "/-/ready");
    for (query, value, labels) in [
        ("pressure:double", "18", json!({"__name__": "pressure:double", "cluster": "one"})),
        (
            "ALERTS{alertstate=\"firing\", alertname=\"High\"}",
            "1",
            json!({"__name__": "ALERTS", "alertname": "High", "alertstate": "firing", "cluster": "one"}),
        ),
    ] {
        let path = format!("/api/v1/query?query={}", crate::http::encoded(query));
        let row = until(&format!("Prometheus has {query}"), || {
            let rows = crate::http::get(&address, &path).ok()?.json()["data"]["result"].as_array().cloned()?;
            rows.first().cloned()
        });
        assert_eq!((&row["metric"], &row["value"][1]), (&labels, &json!(value)));
    }
    let sent = "alertd_remote_write_samples_total{receiver=\"0\",result=\"sent\"}";
    until("it is counted", || daemon.metric(sent).filter(|sent| *sent > 3.0));
    assert_eq!(daemon.metric("alertd_remote_write_samples_total{receiver=\"0\",result=\"dropped\"}"), Some(0.0));
}

#[test]
fn a_receiver_that_stays_away_costs_the_oldest_samples_and_no_evaluation() {
    let away = Exporter::start(Answer::Status(503));
    let (refusing, hanging) = (Exporter::start(Answer::Status(400)), Exporter::start(Answer::Hang));
    let config = format!(
        "evaluation_interval: 1s\nremote_write:\n  \
         - {{url: 'http://u:canary@{}/w', name: away, queue_config: {{capacity: 4, max_samples_per_send: 2}}}}\n  \
         - {{url: 'http://{}/w', name: refusing}}\n  - {{url: 'http://{}/w', name: hanging}}\n",
        away.address, refusing.address, hanging.address
    );
    let folder = Folder::with(&[("rules/a.yaml", WRITTEN), ("alertd.yaml", &config)]);
    let daemon = Daemon::start(&folder);
    daemon.push("pressure 9\n");
    let count = |receiver: &str, result: &str| {
        let series = format!("alertd_remote_write_samples_total{{receiver=\"{receiver}\",result=\"{result}\"}}");
        daemon.metric(&series).unwrap_or(0.0)
    };
    until_true("samples are dropped and refused", || {
        count("away", "dropped") > 3.0 && count("refusing", "refused") > 3.0
    });
    assert!(daemon.metric("alertd_remote_write_waiting_samples{receiver=\"away\"}").is_some_and(|n| n <= 4.0));
    daemon.wait_alert("High", "firing");
    assert_eq!(daemon.metric_sum("alertd_evaluations_missed_total"), 0.0);
    assert!(!daemon.err.text().contains("canary"), "{}", daemon.err.text());
    let (_, err) = daemon.stop();
    assert!(err.iter().any(|line| line.contains("Remote write was refused")));
}
