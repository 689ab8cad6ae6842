//! Rules that get another name or uid while their alerts fire: everything known of them goes along, and nobody is told.

use crate::history;
use crate::kit::{Daemon, Folder, until, until_true};
use crate::setup::{data, folder, rules, start, taken, wait_words};
use crate::sink::Sink;

fn named(name: &str, keys: &str) -> String {
    let rule = format!(
        "  - name: {name}\n    metric: busy_m\n    threshold: \"> 1\"\n    every: 100ms\n    cooldown: 1h\n    {keys}\n"
    );
    let learns = format!(
        "  - name: {name}_learns\n    metric: busy_m\n    anomaly: {{window: 1h, min_samples: 1000}}\n    every: 100ms\n    {}\n",
        keys.replace("busy", "busy_learns").replace("calm", "calm_learns")
    );
    rules(&[rule, learns])
}

fn quiet(folder: &Folder) {
    until_true("nothing is under way", || history::outbox(&data(folder)).is_empty());
}

fn detectors(folder: &Folder) -> Vec<String> {
    let db = history::open(&data(folder).join("state.db"));
    let mut statement = db.prepare("SELECT id FROM record WHERE kind = 'detector' ORDER BY id").unwrap();
    statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect()
}

/// Fires under one name; then the files change, while it runs or between two lives.
fn renamed(while_it_runs: bool, keys_before: &str, keys_after: &str) {
    let sink = Sink::start();
    let folder = folder(&named("busy", keys_before), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    quiet(&folder);
    let began = daemon.alert("busy").unwrap()["activeAt"].clone();
    if !while_it_runs {
        daemon.kill();
    }
    folder.write("rules/a.yaml", named("calm", keys_after));
    if while_it_runs {
        assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    } else {
        daemon = start(&folder);
    }
    daemon.push("busy_m 6\n");
    let alert = daemon.wait_alert("calm", "firing");
    assert_eq!(alert["activeAt"], began, "it began anew");
    daemon.wait_evaluations(6);
    assert!(daemon.alert("busy").is_none(), "{:?}", daemon.alerts());
    assert_eq!(taken(&sink, "/chat").len(), 1, "somebody was told");
    // Once: after further starts with the same files, and a kill, there is nothing more to take over.
    for _ in 0..2 {
        daemon.kill();
        daemon = start(&folder);
        daemon.push("busy_m 6\n");
        daemon.wait_evaluations(4);
    }
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "calm resolved"]);
    let told = taken(&sink, "/chat");
    assert_eq!(told[0].group, told[1].group, "receivers know the incident by its group");
    assert_eq!(told[0].alerts[0].since, told[1].alerts[0].since);
    // The cooldown goes along too.
    daemon.push("busy_m 7\n");
    daemon.wait_alert("calm", "firing");
    daemon.wait_evaluations(4);
    assert_eq!(taken(&sink, "/chat").len(), 2, "the cooldown was forgotten");
    daemon.stop();
}

#[test]
fn a_rule_renamed_while_it_runs_goes_on_in_silence() {
    renamed(true, "for: 0s", "renamed_from: busy");
}

#[test]
fn a_rule_renamed_between_two_lives_goes_on_in_silence() {
    renamed(false, "for: 0s", "renamed_from: busy");
}

#[test]
fn a_rule_with_a_uid_may_have_another_name() {
    renamed(true, "uid: busy-1", "uid: busy-1");
    renamed(false, "uid: busy-1", "uid: busy-1");
}

#[test]
fn what_a_detector_learned_goes_along() {
    let sink = Sink::start();
    let folder = folder(&named("busy", "for: 0s"), &sink);
    let daemon = start(&folder);
    daemon.push("busy_m 0\n");
    daemon.wait_evaluations(6);
    until_true("it learns", || daemon.metric("alertd_detectors") == Some(1.0));
    daemon.stop();
    let before = until("it is stored", || Some(detectors(&folder)).filter(|found| found.len() == 1));
    folder.write("rules/a.yaml", named("calm", "renamed_from: busy"));
    let mut daemon: Daemon = start(&folder);
    until_true("it is stored under the new name alone", || {
        let found = detectors(&folder);
        found.len() == 1 && found[0].starts_with("calm_learns") && found != before
    });
    daemon.kill();
}
