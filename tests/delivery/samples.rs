//! Samples over kills, damage and disks that fill up: what was acknowledged a second ago is there after any of it, and
//! what is not there is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::disk::Tmpfs;
use crate::kit::{Daemon, Folder, free_port, instant, now_ms, until_true};
use crate::setup::{config, data, rule, rules, start, start_on};

fn folder(rules: &str, store: &str) -> Folder {
    Folder::with(&[
        ("alertd.yaml", &config(store)),
        ("rules/a.yaml", rules),
        ("handlers/h.yaml", "handlers: [{name: screen, type: console, format: json}]\n"),
    ])
}

/// The points of a metric, as the API gives a range selector of the last hours.
fn points(daemon: &Daemon, selector: &str) -> BTreeMap<String, Vec<(i64, String)>> {
    let path = format!("/api/v1/query?query={}", selector.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"));
    let answer = daemon.get(&path).json();
    let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let one = |series: &serde_json::Value| {
        let points = series["values"].as_array().cloned().unwrap_or_default();
        let point = |p: &serde_json::Value| {
            ((p[0].as_f64().unwrap() * 1000.0).round() as i64, p[1].as_str().unwrap().to_owned())
        };
        (series["metric"].to_string(), points.iter().map(point).collect())
    };
    series.iter().map(one).collect()
}

/// Pushes one sample of each of some series; when it was acknowledged, and which time it has.
fn push(daemon: &Daemon, n: i64) -> i64 {
    let at = now_ms();
    let text: String = (0..5).map(|i| format!("pushed{{i=\"{i}\"}} {} {at}\n", n * 10 + i)).collect();
    daemon.push(&text);
    at
}

#[test]
fn a_killed_process_loses_a_second_of_samples_at_most_and_windows_see_the_past() {
    let rules = "rules:\n  - {name: rose, expr: 'increase(pushed{i=\"0\"}[30m]) > 1e9', every: 1s}\n";
    let folder = folder(rules, "");
    let port = free_port();
    let mut daemon = start_on(&folder, port);
    let mut acknowledged: Vec<(i64, i64)> = Vec::new();
    let mut n = 0;
    for round in 0..6u64 {
        // Instants that differ from round to round, within the second of a step.
        let until = Duration::from_millis(1300 + (round * 397) % 1100);
        let begun = instant();
        while begun.elapsed() < until {
            let at = push(&daemon, n);
            acknowledged.push((at, n * 10));
            n += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        let killed = now_ms();
        daemon.kill();
        daemon = start_on(&folder, port);
        let found = points(&daemon, "pushed[3h]");
        let own = &found.iter().find(|(labels, _)| labels.contains("\"i\":\"0\"")).expect("the series").1;
        let own: BTreeMap<i64, String> = own.iter().cloned().collect();
        // What is lost was acknowledged within the last second, and is a tail: nothing is missing before it.
        let lost: Vec<i64> = acknowledged.iter().map(|(at, _)| *at).filter(|at| !own.contains_key(at)).collect();
        assert!(
            lost.iter().all(|at| killed - at <= 1000),
            "lost up to {:?} ms before the kill",
            lost.first().map(|at| killed - at)
        );
        for (at, value) in acknowledged.iter().filter(|(at, _)| own.contains_key(at)) {
            assert_eq!(own[at], value.to_string(), "round {round}");
        }
        acknowledged.retain(|(at, _)| own.contains_key(at));
    }
    daemon.push("pushed{i=\"0\"} 1000000\n");
    let rise = daemon.query("increase(pushed{i=\"0\"}[30m])");
    assert!(rise.first().is_some_and(|(_, value)| *value > 900_000.0), "{rise:?}");
    assert_eq!(daemon.metric("alertd_samples_damaged_rows"), Some(0.0));
    until_true("samples are stored", || daemon.metric("alertd_samples_durable") == Some(1.0));
    daemon.stop();
    // An end in good order loses nothing at all.
    let daemon = start_on(&folder, port);
    let found = points(&daemon, "pushed[3h]");
    let last = found.iter().find(|(labels, _)| labels.contains("\"i\":\"0\"")).and_then(|(_, points)| points.last());
    assert_eq!(last.map(|(_, value)| value.as_str()), Some("1000000"));
}

#[test]
fn samples_are_in_memory_only_where_the_configuration_says_so() {
    let folder = folder("rules: []\n", "store: {durable: false}\n");
    let mut daemon = start(&folder);
    push(&daemon, 1);
    until_true("evaluated", || daemon.metric("alertd_store_series").is_some_and(|n| n > 0.0));
    daemon.kill();
    assert!(!data(&folder).join("metrics.db").exists());
    let daemon = start(&folder);
    assert!(points(&daemon, "pushed[3h]").is_empty());
    assert_eq!(daemon.metric("alertd_samples_durable"), None);
}

#[test]
fn on_a_full_disk_samples_give_way_to_the_state_and_are_stored_when_there_is_room() {
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), "state: {ballast: 64KB}\n");
    let Some(disk) = Tmpfs::mount(&data(&folder), 4096) else { return };
    let mut daemon = start(&folder);
    push(&daemon, 1);
    until_true("stored", || daemon.metric("alertd_samples_stored_total").is_some_and(|n| n > 0.0));
    let hog = data(&folder).join("hog");
    // Most of the disk, so that the state still has room, and samples leave it that.
    let free = |kib: usize| std::fs::write(&hog, vec![b'x'; kib << 10]);
    let _ = free(4096 - 1100);
    until_true("samples are not stored", || daemon.metric("alertd_samples_durable") == Some(0.0));
    let ready = daemon.get("/-/ready");
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("samples are in memory only"), "{}", ready.text());
    assert_eq!(daemon.metric("alertd_state_durable"), Some(1.0), "{}", daemon.err.text());
    push(&daemon, 2);
    daemon.push("busy_m 5\n");
    daemon.wait_alert("busy", "firing");
    std::fs::remove_file(&hog).unwrap();
    disk.remount("size=32m");
    until_true("samples are stored again", || daemon.metric("alertd_samples_durable") == Some(1.0));
    daemon.err.wait("Samples are stored again");
    daemon.kill();
    let daemon = start(&folder);
    let found = points(&daemon, "pushed[3h]");
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.values().all(|points| points.len() == 2), "{found:?}");
}

/// Copies the files of a data directory to another folder's.
fn copy(from: &Path, to: &Folder) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("lock") {
            std::fs::create_dir_all(data(to)).unwrap();
            std::fs::copy(&path, data(to).join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn whatever_is_damaged_in_the_samples_it_starts_and_says_what_is_lost() {
    let template = folder("rules: []\n", "");
    let mut daemon = start(&template);
    for n in 0..40 {
        let many: String = (0..400).map(|i| format!("pushed{{i=\"{i}\"}} {n} {}\n", now_ms())).collect();
        daemon.push(&many);
        std::thread::sleep(Duration::from_millis(50));
    }
    until_true("stored", || daemon.metric("alertd_samples_stored_total").is_some_and(|n| n > 14_000.0));
    std::thread::sleep(Duration::from_millis(1200));
    let whole = points(&daemon, "pushed[3h]");
    daemon.kill();
    let original = std::fs::read(data(&template).join("metrics.db-wal")).unwrap();
    let main = std::fs::read(data(&template).join("metrics.db")).unwrap();
    let mut seed = 0x9e37_79b9_u64;
    let mut random = |from: usize, to: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (seed >> 33) as usize % (to - from).max(1)
    };
    // The last quarter of the log, which several steps have written: what stands before it is there.
    let late = (original.len() / 4 * 3, original.len());
    for case in 0..12 {
        let folder = folder("rules: []\n", "");
        copy(&data(&template), &folder);
        let at = |name: &str| data(&folder).join(name);
        match case % 4 {
            0 => {
                let mut bytes = original.clone();
                let place = random(late.0, late.1);
                bytes[place] ^= 0x10;
                std::fs::write(at("metrics.db-wal"), bytes).unwrap();
            }
            1 => std::fs::write(at("metrics.db-wal"), &original[..random(late.0, late.1)]).unwrap(),
            2 if !main.is_empty() => {
                let mut bytes = main.clone();
                let place = random(0, bytes.len());
                bytes[place] ^= 0xff;
                std::fs::write(at("metrics.db"), bytes).unwrap();
            }
            _ => {
                let _ = std::fs::remove_file(at("metrics.db-wal"));
                std::fs::write(at("metrics.db"), vec![0x5a; 10_000]).unwrap();
            }
        }
        let daemon = start(&folder);
        let found = points(&daemon, "pushed[3h]");
        // Nothing that was not sent, and samples are stored again.
        for (labels, points) in &found {
            assert!(points.iter().all(|point| whole[labels].contains(point)), "case {case}: {labels}");
        }
        // What is missing was at the end of a log, as if the process had been killed a little earlier, or it is told.
        let count = |all: &BTreeMap<String, Vec<_>>| all.values().map(Vec::len).sum::<usize>();
        let told = daemon.metric("alertd_samples_damaged_rows").is_some_and(|rows| rows > 0.0);
        match case % 4 {
            0 | 1 => assert!(told || count(&found) > 1000, "case {case}: {} points", count(&found)),
            2 => assert!(told || found == whole, "case {case}: {} points", count(&found)),
            _ => assert!(told && found.is_empty(), "case {case}: {} points", count(&found)),
        }
        let aside = std::fs::read_dir(data(&folder).join("quarantine")).map_or(0, Iterator::count);
        assert!(told || aside == 0, "case {case}: what is in quarantine is told");
        daemon.push("after_m 1\n");
        until_true("samples are stored", || daemon.metric("alertd_samples_durable") == Some(1.0));
        daemon.stop();
    }
}
