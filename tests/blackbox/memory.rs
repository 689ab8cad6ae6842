//! Want of memory, from outside: samples are turned away first, queries and the page next, and alerting goes on.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::exporter::{Answer, Exporter};
use crate::http::{self, Response};
use crate::kit::{Daemon, Folder, free_port, until, until_true};

const PRLIMIT: &str = "/usr/bin/prlimit";

const RULES: &str = "
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: '> 80'}
  - {name: late, metric: read_late, threshold: '> 0'}
";

fn config(memory_max: u64, target: &str) -> String {
    format!(
        "evaluation_interval: 1s\nhost_metrics: {{enabled: false}}\nmemory_max: '{memory_max}'\nscrape_configs:\n  - job_name: \
         app\n    scrape_interval: 1s\n    static_configs: [{{targets: ['{target}']}}]\n"
    )
}

fn used(daemon: &Daemon) -> u64 {
    until("memory is read", || daemon.metric("alertd_memory_used_bytes{limit=\"memory_max\"}")) as u64
}

fn import(daemon: &Daemon, text: &str) -> Response {
    daemon.post("/api/v1/import/prometheus", &[("Content-Type", "text/plain")], text.as_bytes())
}

fn wait_shedding(daemon: &Daemon, level: f64) {
    until_true(&format!("memory is at level {level}"), || daemon.metric("alertd_memory_shedding") == Some(level));
}

#[test]
fn near_the_limit_samples_are_turned_away_then_queries_and_alerting_goes_on() {
    let target = Exporter::start(Answer::text("temperature 20\n"));
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("alertd.yaml", &config(8 << 30, &target.address))]);
    let daemon = Daemon::start(&folder);
    assert_eq!(import(&daemon, "pushed 1\n").status, 200);
    let reload = |memory_max: u64| {
        folder.write("alertd.yaml", config(memory_max, &target.address));
        assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    };

    reload(used(&daemon));
    wait_shedding(&daemon, 2.0);
    for refused in [import(&daemon, "pushed 2\n"), daemon.get("/api/v1/query?query=pushed"), daemon.get("/")] {
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.header("retry-after"), Some("10"));
    }
    let ready = daemon.get("/-/ready");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(
        ready.text().contains("memory is short, samples, queries and the page are turned away"),
        "{}",
        ready.text()
    );
    // What rules read is still scraped, so that something new is noticed and told.
    daemon.out.wait("FIRING alertd_memory_short");
    target.set(Answer::text("temperature 90\nread_late 1\nunread_late 1\n"));
    daemon.out.wait("FIRING hot");
    daemon.out.wait("FIRING late");
    assert!(daemon.metric("alertd_shed_samples_total").is_some_and(|samples| samples > 0.0));
    let refused = daemon.metric("alertd_http_refused_requests_total{class=\"ingest\",reason=\"memory\"}");
    assert_eq!(refused, Some(1.0));

    // A quarter free: enough to end the one level, not to end the other.
    reload(used(&daemon) * 4 / 3);
    wait_shedding(&daemon, 1.0);
    assert_eq!((daemon.query("read_late").len(), daemon.query("unread_late").len()), (1, 0));
    assert_eq!(import(&daemon, "pushed 3\n").status, 503);

    reload(8 << 30);
    wait_shedding(&daemon, 0.0);
    assert_eq!(import(&daemon, "pushed 4\n").status, 200);
    daemon.wait_value("unread_late", 1.0);
    daemon.out.wait("RESOLVED alertd_memory_short");
    assert_eq!(daemon.err.count("There is memory again"), 1, "{}", daemon.err.text());
    daemon.stop();
}

/// The most memory that the process ever had, in bytes.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Brings far more series than there is memory for, until much was turned away; meanwhile an alert begins and is told.
fn load(daemon: &Daemon, target: &Exporter) {
    let (refused, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let push = |worker: usize| {
        for page in 0.. {
            if done.load(Ordering::Relaxed) {
                return;
            }
            let line = |i: usize| format!("m{{worker=\"{worker}\",page=\"{page}\",i=\"{i}\",pad=\"{i:0150}\"}} 1\n");
            let body: String = (0..3000).map(line).collect();
            let headers = [("Content-Type", "text/plain")];
            let request =
                http::request(&daemon.address, "POST", "/api/v1/import/prometheus", &headers, body.as_bytes());
            if http::exchange(&daemon.address, &request).is_ok_and(|answer| answer.status == 503) {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let push = &push;
            scope.spawn(move || push(worker));
        }
        // A panic must not leave the others at work.
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            daemon.out.wait("FIRING alertd_memory_short");
            until_true("much is turned away", || refused.load(Ordering::Relaxed) > 200);
            target.set(Answer::text("temperature 90\n"));
            daemon.out.wait("FIRING hot");
        }));
        done.store(true, Ordering::Relaxed);
        watched.unwrap();
    });
}

#[test]
fn under_load_the_process_stays_below_its_limit_and_people_are_told() {
    const LIMIT: u64 = 160 << 20;
    let target = Exporter::start(Answer::text("temperature 20\n"));
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("alertd.yaml", &config(LIMIT, &target.address))]);
    let daemon = Daemon::start(&folder);
    load(&daemon, &target);
    let peak = peak(&daemon);
    assert!(peak < LIMIT, "{} MiB of {} MiB", peak >> 20, LIMIT >> 20);
    daemon.stop();
}

#[test]
fn under_load_a_small_address_space_does_not_end_the_process() {
    if !std::path::Path::new(PRLIMIT).exists() {
        return eprintln!("skipped: prlimit is not there");
    }
    let target = Exporter::start(Answer::text("temperature 20\n"));
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("alertd.yaml", &config(0, &target.address))]);
    let mut command = Command::new(PRLIMIT);
    command.args(["--as=234881024", env!("CARGO_BIN_EXE_alertd"), "rules/"]).current_dir(folder.path());
    // Otherwise the allocator reserves 64 MiB for each thread.
    command.env_clear().env("HOME", folder.path()).env("MALLOC_ARENA_MAX", "1");
    let daemon = Daemon::launch(&mut command, free_port());
    daemon.wait_ready();
    load(&daemon, &target);
    assert!(daemon.get("/-/ready").text().contains("(address_space)"));
    daemon.stop();
}
