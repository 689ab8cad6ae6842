//! Devices that fail: single reads and all writes of the data files end with EIO, by strace's fault injection into the
//! real binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::kit::{Daemon, Folder, now_ms, until_true};
use crate::setup::{config, data, folder, rule, rules, start, start_under};
use crate::sink::Sink;

/// strace, unpacked by `scripts/debian-packages.sh`, and where its libraries are; without it, or where tracing is not
/// allowed, the test says so and is skipped.
fn strace() -> Option<(PathBuf, String)> {
    let target = Path::new(env!("CARGO_BIN_EXE_alertd")).parent()?.parent()?;
    let places = [target.join("peers/usr"), PathBuf::from("/usr")];
    let found = places.iter().find(|place| place.join("bin/strace").is_file()).map(|place| {
        let libraries = std::fs::read_dir(place.join("lib")).into_iter().flatten().flatten();
        let libraries = libraries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>();
        (place.join("bin/strace"), libraries.join(":"))
    });
    let works = found.as_ref().is_some_and(|(strace, libraries)| {
        let mut tried = std::process::Command::new(strace);
        tried.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).env("LD_LIBRARY_PATH", libraries);
        tried.output().is_ok_and(|done| done.status.success())
    });
    if !works {
        let required = std::env::var("ALERTD_REQUIRE_PEERS").as_deref() == Ok("1");
        assert!(found.is_some() || !required, "strace is not there");
        eprintln!("skipped: strace is not there, or may not trace; scripts/debian-packages.sh unpacks it");
    }
    found.filter(|_| works)
}

/// Starts the daemon with a fault in a system call on some files of its data directory.
fn start_with(folder: &Folder, files: &[&str], call: &str, fault: &str) -> Option<Daemon> {
    let (strace, libraries) = strace()?;
    let strace = strace.display().to_string();
    let libraries = format!("LD_LIBRARY_PATH={libraries}");
    let log = folder.at("calls").display().to_string();
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}"));
    let mut command = vec!["/usr/bin/env", &libraries, &strace, "-D", "-f", "--seccomp-bpf", "-qq", "-o", &log];
    command.extend(["-E", "LD_LIBRARY_PATH", "-e", &trace, "-e", &inject]);
    let paths: Vec<String> = files.iter().map(|file| data(folder).join(file).display().to_string()).collect();
    paths.iter().for_each(|path| command.extend(["-P", path]));
    Some(start_under(folder, &command))
}

fn calls(folder: &Folder) -> Vec<String> {
    std::fs::read_to_string(folder.at("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
}

const RULES: &str = "
groups:
- name: g
  interval: 200ms
  rules:
  - {alert: first, expr: 'm{i=\"5\"} > 0'}
  - {alert: last, expr: 'm{i=\"1900\"} > 0'}
  - {alert: quiet, expr: 'm{i=\"700\"} > 10'}
  - {alert: window, expr: 'avg_over_time(m{i=\"1200\"}[10m]) > 0.5'}
";
const NAMES: [&str; 4] = ["first", "last", "quiet", "window"];

/// Each rule with its error, if it has one.
fn errors(daemon: &Daemon) -> BTreeMap<String, Option<String>> {
    let answer = daemon.get("/api/v1/rules").json();
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    let one = |rule: serde_json::Value| {
        let error = rule["lastError"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some((rule["name"].as_str()?.to_owned(), error))
    };
    rules.filter_map(one).filter(|(name, _)| NAMES.contains(&name.as_str())).collect()
}

fn firing(daemon: &Daemon) -> Vec<String> {
    let alerts = daemon.get("/api/v1/alerts").json();
    let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let mut names: Vec<String> =
        firing.filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned())).collect();
    names.retain(|name| NAMES.contains(&name.as_str()));
    names.sort();
    names
}

/// A data directory with 2,000 series in some pages, all of it in the main file, so that it is read from there.
fn filled() -> Folder {
    let folder = Folder::with(&[("alertd.yaml", &config("")), ("rules/a.yaml", RULES)]);
    folder.write("handlers/h.yaml", "handlers: [{name: screen, type: console, format: json}]\n");
    let daemon = start(&folder);
    let now = now_ms();
    let series = |i: i32| (0..20).map(move |ago| format!("m{{i=\"{i}\"}} 1 {}\n", now - ago * 15_000));
    daemon.push(&(0..2000).flat_map(series).collect::<String>());
    until_true("the alerts fire", || firing(&daemon) == ["first", "last", "window"]);
    daemon.stop();
    let db = rusqlite::Connection::open(data(&folder).join("metrics.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    folder
}

fn copy(from: &Folder) -> Folder {
    let folder = Folder::new();
    for path in from.listing().into_keys().filter(|path| path.is_file() && !path.ends_with("lock")) {
        let name = path.strip_prefix(from.path()).unwrap().display().to_string();
        folder.write(&name, std::fs::read(&path).unwrap());
    }
    folder
}

#[test]
fn a_block_that_cannot_be_read_costs_the_rules_that_touch_it_and_resolves_nothing() {
    let template = filled();
    // How often the file is read at the start, when nothing fails.
    let folder = copy(&template);
    let Some(mut daemon) = start_with(&folder, &["metrics.db"], "pread64", "error=EIO:when=65535") else { return };
    daemon.wait_evaluations(3);
    assert_eq!(errors(&daemon).into_values().flatten().next(), None);
    // Faults are counted thread by thread; that which loads is the first that reads.
    let reads = || {
        let calls = calls(&folder);
        let thread = |call: &String| call.split(' ').next().map(str::to_owned);
        let first = calls.first().and_then(thread);
        calls.iter().filter(|call| call.contains("pread64") && thread(call) == first).count()
    };
    until_true("all reads are told", || reads() > 20);
    let begin = reads();
    daemon.kill();
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    let places = 8;
    for place in 1..=places {
        let folder = copy(&template);
        let when = format!("error=EIO:when={}", begin * place / (places + 1));
        let Some(mut daemon) = start_with(&folder, &["metrics.db"], "pread64", &when) else { return };
        daemon.wait_evaluations(3);
        let case = format!("{when}: {}", daemon.err.text());
        assert_eq!(firing(&daemon), ["first", "last", "window"], "{case}");
        let errors = errors(&daemon);
        assert_eq!(errors.len(), NAMES.len(), "{case}");
        for (name, error) in errors.into_iter().filter_map(|(name, error)| Some((name, error?))) {
            assert!(error.contains("were lost with a damaged block"), "{error}");
            *failed.entry(name).or_default() += 1;
        }
        daemon.kill();
        until_true("the fault came", || calls(&folder).iter().any(|call| call.contains("INJECTED")));
    }
    assert!(!failed.is_empty(), "no rule read what was lost");
    assert!(failed.values().any(|count| *count < places), "every rule failed each time: {failed:?}");
}

#[test]
fn a_device_that_takes_no_writes_costs_durability_and_no_page() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    start(&folder).stop();
    let files = ["state.db", "state.db-wal", "state-copy.db", "state-copy.db-wal"];
    let Some(mut daemon) = start_with(&folder, &files, "pwrite64", "error=EIO:when=40+") else { return };
    let mut host = 0;
    until_true("the device fails", || {
        daemon.push(&format!("busy_m{{host=\"h{host}\"}} 5\n"));
        host += 1;
        daemon.wait_evaluations(1);
        daemon.metric("alertd_state_durable") == Some(0.0)
    });
    let ready = daemon.get("/-/ready");
    assert!(ready.status == 200 && ready.text().contains("state is not stored"), "{}", ready.text());
    let before = sink.at("/chat").len();
    daemon.push("busy_m{host=\"late\"} 5\n");
    until_true("the page goes out", || sink.at("/chat").len() > before);
    daemon.kill();
    // What was told is not known on the disk; the next start tells it as it is then, and loses nothing.
    let told = sink.at("/chat").len();
    let daemon = start(&folder);
    daemon.push("busy_m{host=\"after\"} 5\n");
    until_true("the new alert is told", || sink.at("/chat").len() > told);
    until_true("state is stored", || daemon.metric("alertd_state_durable") == Some(1.0));
}
