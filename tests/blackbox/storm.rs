//! A storm from outside: ten thousand alerts in one slot, a receiver with a rate limit, the first message at once, all of
//! it told within a minute, memory within bounds.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kit::{Daemon, Folder, instant, until};
use crate::webhook::receiver;

const ALERTS: usize = 10_000;

/// How many alerts a message tells of: those of a digest stand in its note.
fn told(body: &Value) -> usize {
    match body["note"].as_str() {
        Some(note) => note.split(' ').next().unwrap().parse().unwrap(),
        None => body["alerts"].as_array().map_or(0, Vec::len),
    }
}

fn resident_bytes(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn ten_thousand_alerts_in_one_slot_are_told_within_a_minute_in_a_few_messages() {
    let (address, seen) = receiver(&[200]);
    let handlers = format!(
        "handlers:\n  - {{name: hook, type: webhook, url: \"http://{address}/x\", rate_limit: 30/m, over_limit: digest}}\n\
         route: {{group_by: [host], group_wait: 0s, handlers: [hook]}}\n"
    );
    let rules = "rules:\n  - {name: hot, metric: temperature, threshold: \"> 80\", every: 1s, max_alerts: 20000}\n";
    // On a slow machine alerts on alertd itself would be counted with the others.
    let config = "builtin_rules: {enabled: false}\n";
    let folder = Folder::with(&[("alertd.yaml", config), ("rules/a.yaml", rules), ("handlers/h.yaml", &handlers)]);
    let daemon = Daemon::start(&folder);
    let samples: String =
        (0..ALERTS).map(|n| format!("temperature{{host=\"h{n}\",cluster=\"c{}\"}} 90\n", n % 4)).collect();
    let begun: Instant = instant();
    daemon.push(&samples);
    let ours = || -> Vec<Value> {
        let all = seen.lock().unwrap().clone();
        let bodies = all.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
        bodies.filter(|body| body.to_string().contains("\"hot\"")).collect()
    };
    let count = until("the first message", || Some(ours().len()).filter(|n| *n > 0));
    let first = begun.elapsed();
    let wait = || until("all is told", || Some(()).filter(|()| ours().iter().map(told).sum::<usize>() >= ALERTS));
    wait();
    let all = begun.elapsed();
    let bodies = ours();
    let digests: Vec<&Value> = bodies.iter().filter(|body| body["note"].is_string()).collect();
    let peak = resident_bytes(&daemon);
    eprintln!("first after {first:?} ({count}), all after {all:?}, {} messages, peak {} MiB", bodies.len(), peak >> 20);
    // Without optimisation, beside other tests, evaluation alone takes longer.
    let at_once = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 5 });
    assert!(first < at_once, "{first:?}");
    assert!(all < Duration::from_secs(60), "{all:?}");
    assert!(!digests.is_empty() && bodies.len() <= 60, "{} messages", bodies.len());
    let note = digests[0]["note"].as_str().unwrap();
    assert!(note.contains("alertname: hot ") && note.contains("cluster: c"), "{note}");
    assert!(peak < 600 << 20, "{} MiB", peak >> 20);
    assert_eq!(bodies.iter().map(told).sum::<usize>(), ALERTS, "each alert once");
}
