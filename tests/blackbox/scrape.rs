//! Scraping: well-behaved, broken and hostile targets, and what rules make of their silence.

use std::fmt::Write as _;
use std::time::Duration;

use crate::daemon::{kinds, notices};
use crate::exporter::{Answer, Exporter};
use crate::kit::{Daemon, Folder, Peer, free_port, instant, peer, until, until_true};

const JSON_HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

/// A folder whose configuration scrapes each target every second as a job of its own.
fn scraping(jobs: &[(&str, &str, &str)], rules: &str) -> Folder {
    let mut config = String::from("host_metrics: {enabled: false}\nscrape_configs:\n");
    for (job, target, more) in jobs {
        let _ = writeln!(
            config,
            "  - {{job_name: {job}, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ['{target}']}}]{more}}}"
        );
    }
    Folder::with(&[("alertd.yaml", &config), ("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)])
}

const NONE: &str = "rules: []\n";

#[test]
fn a_target_gets_the_series_that_prometheus_gives_it() {
    let target = Exporter::start(Answer::text(
        "# TYPE temperature gauge\ntemperature{room=\"a\"} 21.5\nrequests_total 7\njob{} 1\n",
    ));
    let folder = scraping(&[("app", &target.address, "")], NONE);
    let daemon = Daemon::start(&folder);
    let instance = target.address.clone();
    daemon.wait_value("up", 1.0);
    let (labels, value) = daemon.query("temperature").remove(0);
    assert_eq!(value, 21.5);
    assert_eq!(labels["job"], "app");
    assert_eq!(labels["instance"], instance.as_str());
    assert_eq!(labels["room"], "a");
    for series in ["scrape_duration_seconds", "scrape_samples_scraped"] {
        assert_eq!(daemon.query(series).len(), 1, "{series}");
    }
    daemon.wait_value("scrape_samples_scraped", 3.0);
    let head = target.last_request().to_ascii_lowercase();
    assert!(head.starts_with("get /metrics http/1.1") && head.contains("accept:"), "{head}");
    assert!(head.contains("x-prometheus-scrape-timeout-seconds") || head.contains("user-agent: alertd"), "{head}");
}

#[test]
fn what_a_target_must_not_do_makes_it_down_and_nothing_else() {
    let many: String = (0..50).map(|i| format!("m{{i=\"{i}\"}} 1\n")).collect();
    let mut long = b"fine 1\nx{l=\"".to_vec();
    long.resize(10 << 20, b'a');
    let cases: Vec<(&str, Answer, &str)> = vec![
        ("status", Answer::Status(500), ""),
        ("hang", Answer::Hang, ""),
        ("drip", Answer::Drip, ""),
        ("endless", Answer::Endless, ", body_size_limit: 1MB"),
        ("large", Answer::Body(b"# filler\n".repeat(30_000)), ", body_size_limit: 100KB"),
        ("samples", Answer::text(&many), ", sample_limit: 20"),
        ("cut", Answer::Cut(b"m 1\n".to_vec()), ""),
        ("html", Answer::text("<html><body>not here</body></html>\n"), ""),
        ("nul", Answer::Body(b"m 1\n\0\0\0 2\n".to_vec()), ""),
        ("longline", Answer::Body(long), ""),
    ];
    let targets: Vec<(&str, Exporter, &str)> =
        cases.into_iter().map(|(name, answer, more)| (name, Exporter::start(answer), more)).collect();
    let good = Exporter::start(Answer::text("steady 1\n"));
    let mut jobs: Vec<(&str, &str, &str)> =
        targets.iter().map(|(n, t, more)| (*n, t.address.as_str(), *more)).collect();
    jobs.push(("good", &good.address, ""));
    let refused = format!("127.0.0.1:{}", free_port());
    jobs.push(("refused", &refused, ""));
    let folder = scraping(&jobs, NONE);
    let daemon = Daemon::start(&folder);
    for (job, ..) in &jobs {
        let want = f64::from(u8::from(*job == "good"));
        daemon.wait_value(&format!("up{{job=\"{job}\"}}"), want);
    }
    // The good one is asked each second although others hang.
    let before = good.requests();
    let begun = instant();
    until_true("six more scrapes", || good.requests() >= before + 6);
    assert!(begun.elapsed() < Duration::from_secs(12), "six scrapes took {:?}", begun.elapsed());
    // Nothing of a refused answer is taken: half an answer would be a lie.
    assert_eq!(daemon.query("m{job=\"samples\"}").len(), 0);
    let resident = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let kib = resident.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
    assert!(kib.is_none_or(|kib| kib < 400_000), "{kib:?} KiB at most");
    // The reason stands in the log once per target, not once per scrape.
    for (job, ..) in jobs.iter().filter(|(job, ..)| *job != "good") {
        let told =
            || daemon.err.all().iter().filter(|l| l.contains("scraped") && l.contains(&format!("job={job} "))).count();
        until_true(&format!("{job} is told"), || told() > 0);
        assert!(told() <= 3, "{job} is told {} times: {}", told(), daemon.err.text());
    }
}

#[test]
fn a_bad_line_costs_the_target_as_in_prometheus_or_the_line_and_is_counted() {
    let target = Exporter::start(Answer::text("good 1\nbad{ 2\n"));
    let folder = scraping(&[("app", &target.address, "")], NONE);
    let daemon = Daemon::start(&folder);
    until_true("the error is seen", || {
        daemon.metric_sum("alertd_ingest_errors_total") > 0.0
            || daemon.query("up").first().is_some_and(|(_, v)| *v == 0.0)
    });
    until_true("the log names the line", || daemon.err.count("line 2") > 0);
}

#[test]
fn a_series_that_vanishes_from_a_living_target_is_stale_at_once() {
    let target = Exporter::start(Answer::text("stays 1\ngoes 1\n"));
    let folder = scraping(&[("app", &target.address, "")], NONE);
    let daemon = Daemon::start(&folder);
    until_true("both are there", || daemon.query("goes").len() == 1);
    target.set(Answer::text("stays 1\n"));
    until_true("one is gone", || daemon.query("goes").is_empty());
    assert_eq!(daemon.query("stays").len(), 1);
    assert_eq!(daemon.query("up")[0].1, 1.0);
}

const NO_DATA_RULES: &str = "
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: '> 30'}
  - {name: hot_resolve, metric: temperature, threshold: '> 30', on_no_data: resolve}
  - {name: hot_short, metric: temperature, threshold: '> 30', no_data_timeout: 4s}
  - {name: hot_promql, expr: temperature > 30}
  - {name: down, expr: up == 0}
";

#[test]
fn a_target_that_is_down_keeps_its_alerts_and_says_since_when() {
    let target = Exporter::start(Answer::text("temperature{room=\"a\"} 35\n"));
    let folder = scraping(&[("app", &target.address, "")], NO_DATA_RULES);
    let daemon = Daemon::start(&folder);
    for rule in ["hot", "hot_resolve", "hot_short", "hot_promql"] {
        daemon.wait_alert(rule, "firing");
    }
    target.set(Answer::Status(503));
    daemon.wait_alert("down", "firing");
    let held = until("no data is shown", || daemon.alert("hot").filter(|a| a["noDataSince"].is_string()));
    assert_eq!(held["state"], "firing", "{held:#}");
    // What the rules say: resolve on no data; resolve after a time without; PromQL alone as in Prometheus.
    for (rule, reason) in [("hot_resolve", "no data"), ("hot_short", "no data"), ("hot_promql", "recovered")] {
        until_true(&format!("{rule} resolves"), || kinds(&daemon, rule) == ["firing", "resolved"]);
        let told =
            notices(&daemon).into_iter().find(|n| n["kind"] == "resolved" && n["alerts"][0]["rule"] == rule).unwrap();
        if rule != "hot_promql" {
            assert_eq!(told["alerts"][0]["reason"], reason, "{told:#}");
        }
    }
    assert_eq!(daemon.wait_alert("hot", "firing")["activeAt"], held["activeAt"]);
    assert_eq!(kinds(&daemon, "hot").iter().filter(|k| *k == "resolved").count(), 0);
    // It comes back: the alert goes on as if nothing had been, without a second page.
    let told = kinds(&daemon, "hot").len();
    target.set(Answer::text("temperature{room=\"a\"} 36\n"));
    until_true("data is back", || {
        daemon.alert("hot").is_some_and(|a| a["noDataSince"].is_null() && a["state"] == "firing")
    });
    assert_eq!(kinds(&daemon, "hot").len(), told, "{}", daemon.out.text());
    target.set(Answer::text("temperature{room=\"a\"} 20\n"));
    until_true("it recovers", || kinds(&daemon, "hot").last().is_some_and(|k| k == "resolved"));
}

#[test]
fn a_series_that_ended_resolves_its_alert_with_that_reason() {
    let target = Exporter::start(Answer::text("temperature{room=\"a\"} 35\ntemperature{room=\"b\"} 36\n"));
    let folder = scraping(&[("app", &target.address, "")], NO_DATA_RULES);
    let daemon = Daemon::start(&folder);
    until_true("both fire", || kinds(&daemon, "hot").len() == 2);
    target.set(Answer::text("temperature{room=\"b\"} 36\n"));
    until_true("one resolves", || kinds(&daemon, "hot") == ["firing", "firing", "resolved"]);
    let told =
        notices(&daemon).into_iter().find(|n| n["kind"] == "resolved" && n["alerts"][0]["rule"] == "hot").unwrap();
    assert_eq!(told["alerts"][0]["reason"], "series ended", "{told:#}");
    assert_eq!(told["alerts"][0]["labels"]["room"], "a");
    assert_eq!(daemon.alert("hot").unwrap()["labels"]["room"], "b");
}

#[test]
fn a_store_that_restarted_empty_resolves_nothing() {
    let target = Exporter::start(Answer::text("temperature{room=\"a\"} 35\n"));
    let folder = scraping(&[("app", &target.address, "")], NO_DATA_RULES);
    let daemon = Daemon::start(&folder);
    for rule in ["hot", "hot_promql"] {
        until_true("it is told", || kinds(&daemon, rule) == ["firing"]);
    }
    daemon.stop();
    target.set(Answer::Hang);
    let daemon = Daemon::start(&folder);
    daemon.wait_evaluations(15);
    for rule in ["hot", "hot_promql"] {
        assert_eq!(kinds(&daemon, rule), [""; 0], "{rule}: {}", daemon.out.text());
        daemon.wait_alert(rule, "firing");
    }
    target.set(Answer::text("temperature{room=\"a\"} 35\n"));
    until_true("samples are back", || !daemon.query("temperature").is_empty());
    daemon.wait_evaluations(10);
    assert_eq!(kinds(&daemon, "hot_promql"), [""; 0], "no second page: {}", daemon.out.text());
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let target = Exporter::start(Answer::text("m 1\n"));
    let folder = scraping(
        &[(
            "app",
            &target.address,
            ", authorization: {credentials: '${file:token}'}, params: {a: [b]}, metrics_path: /probe",
        )],
        NONE,
    );
    folder.write("token", "canary-token-77\n");
    let daemon = Daemon::start(&folder);
    daemon.wait_value("up", 1.0);
    let head = target.last_request();
    assert!(head.starts_with("GET /probe?a=b HTTP/1.1"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer canary-token-77"), "{head}");
    for path in ["/metrics", "/api/v1/rules", "/api/v1/labels", "/"] {
        assert!(!daemon.get(path).text().contains("canary"), "{path}");
    }
    let (out, err) = daemon.stop();
    assert!(!out.join("").contains("canary") && !err.join("").contains("canary"));
}

#[test]
fn targets_listed_in_a_file_come_and_go() {
    let (first, second) = (Exporter::start(Answer::text("m 1\n")), Exporter::start(Answer::text("m 2\n")));
    let folder = Folder::with(&[
        (
            "alertd.yaml",
            "host_metrics: {enabled: false}\nscrape_configs:\n  - {job_name: sd, scrape_interval: 1s, scrape_timeout: 1s, file_sd_configs: [{files: ['targets/*.json'], refresh_interval: 1s}]}\n",
        ),
        ("rules/a.yaml", NONE),
    ]);
    let list = |address: &str| format!("[{{\"targets\":[\"{address}\"],\"labels\":{{\"env\":\"x\"}}}}]");
    folder.write("targets/a.json", list(&first.address));
    let daemon = Daemon::start(&folder);
    daemon.wait_value("m", 1.0);
    assert_eq!(daemon.query("m")[0].0["env"], "x");
    folder.write("targets/a.json", list(&second.address));
    until_true("the other target is there alone", || {
        let now = daemon.query("m");
        now.len() == 1 && now[0].1 == 2.0
    });
    // Half a file is no reason to lose targets.
    folder.write("targets/a.json", "[{\"targets\":[");
    let before = second.requests();
    until_true("it is still asked", || second.requests() > before + 3);
}

#[test]
fn textfiles_are_read_and_read_again() {
    let folder = Folder::with(&[
        ("alertd.yaml", "host_metrics: {enabled: false}\ntextfiles: ['text/*.prom']\n"),
        ("rules/a.yaml", "rules:\n  - {name: high, metric: backup_age, threshold: '> 5', every: 1s}\n"),
        ("text/a.prom", "backup_age{host=\"a\"} 9\n"),
    ]);
    let daemon = Daemon::start(&folder);
    daemon.wait_alert("high", "firing");
    folder.write("text/a.prom", "backup_age{host=\"a\"} 1\n");
    until_true("it recovers", || daemon.alert("high").is_none());
}

#[test]
fn a_real_node_exporter_is_watched() {
    let Some(program) = peer("prometheus-node-exporter") else { return };
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let listen = format!("--web.listen-address={address}");
    let exporter = Peer::start(&program, &[&listen], &address, "/metrics");
    let rules = "
defaults: {every: 1s}
rules:
  - {name: node_up, expr: up == 1}
  - {name: memory_known, expr: node_memory_MemTotal_bytes > 1e6}
  - {name: cpu_counted, expr: 'sum by (instance) (node_cpu_seconds_total) > 0'}
  - {name: files_open, metric: process_open_fds, threshold: '> 1'}
  - {name: down, expr: up == 0}
";
    let folder = scraping(&[("node", &address, "")], rules);
    let daemon = Daemon::start(&folder);
    for rule in ["node_up", "memory_known", "cpu_counted", "files_open"] {
        daemon.wait_alert(rule, "firing");
    }
    assert!(daemon.query("scrape_samples_scraped")[0].1 > 200.0);
    assert_eq!(daemon.metric_sum("alertd_ingest_errors_total"), 0.0, "{}", daemon.err.text());
    drop(exporter);
    daemon.wait_alert("down", "firing");
    assert!(daemon.alert("files_open").is_some_and(|a| a["state"] == "firing"), "a dead target resolves nothing");
}

#[test]
fn a_real_prometheus_is_watched() {
    let Some(program) = peer("prometheus") else { return };
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let home = Folder::with(&[("prometheus.yml", "global: {scrape_interval: 1s}\n")]);
    let (listen, config, store) = (
        format!("--web.listen-address={address}"),
        format!("--config.file={}", home.at("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", home.at("tsdb").display()),
    );
    let _prometheus = Peer::start(&program, &[&listen, &config, &store], &address, "/-/ready");
    let rules = "
defaults: {every: 1s}
rules:
  - {name: up_now, expr: up == 1}
  - {name: memory, metric: process_resident_memory_bytes, threshold: '> 1e6'}
  - {name: asked, expr: 'rate(prometheus_http_requests_total{handler=\"/metrics\"}[1m]) > 0'}
  - {name: quantiles, expr: 'histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket)) >= 0'}
";
    let folder = scraping(&[("prometheus", &address, "")], rules);
    let daemon = Daemon::start(&folder);
    for rule in ["up_now", "memory", "asked", "quantiles"] {
        daemon.wait_alert(rule, "firing");
    }
    assert_eq!(daemon.metric_sum("alertd_ingest_errors_total"), 0.0, "{}", daemon.err.text());
    // The other way round: a Prometheus can scrape this daemon.
    home.write("prometheus.yml", format!("global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: alertd, static_configs: [{{targets: ['{}']}}]}}]\n", daemon.address));
    let up = format!("/api/v1/query?query={}", crate::http::encoded("up{job=\"alertd\"}"));
    let done = std::process::Command::new("kill").args(["-HUP", &_prometheus.pid().to_string()]).status().unwrap();
    assert!(done.success());
    until("prometheus scrapes alertd", || {
        let answer = crate::http::get(&address, &up).ok()?.json();
        (answer["data"]["result"][0]["value"][1] == "1").then_some(())
    });
}
