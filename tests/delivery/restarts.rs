//! A hundred alerts fire while the process is stopped and started, and killed and started, again and again: whoever was
//! told is told nothing until they are over, and then once.

use std::collections::BTreeMap;

use crate::history;
use crate::kit::{Daemon, Folder, until_true};
use crate::setup::{brief, data, folder_with, rule, rules, start, taken, webhook};
use crate::sink::Sink;

const ALERTS: usize = 100;
/// Of each way to end.
const ENDS: usize = 10;
/// The handler that is told of each alert by itself, and the one that is told of all together.
const PATHS: [&str; 2] = ["/each", "/all"];

fn samples(value: u32) -> String {
    (0..ALERTS).map(|n| format!("busy_m{{host=\"h{n}\"}} {value}\n")).collect()
}

/// How often an alert was told as firing and as over, by path and alert.
fn told(sink: &Sink) -> BTreeMap<(&'static str, String), (usize, usize)> {
    let mut told: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for path in PATHS {
        for alert in taken(sink, path).into_iter().flat_map(|message| message.alerts) {
            let (firing, over) = told.entry((path, alert.fingerprint)).or_default();
            *if alert.status == "firing" { firing } else { over } += 1;
        }
    }
    told
}

/// Both handlers were told of every alert exactly so often that it fires and that it is over.
#[track_caller]
fn check_told(sink: &Sink, wanted: (usize, usize), when: &str) {
    let told = told(sink);
    let wrong: Vec<_> = told.iter().filter(|(_, times)| **times != wanted).collect();
    assert!(
        wrong.is_empty() && told.len() == ALERTS * PATHS.len(),
        "{when}: {} alerts are known, and of these something else was told than {wanted:?} times: {wrong:?}\n{:#?}",
        told.len(),
        brief(sink)
    );
}

#[track_caller]
fn wait_told(folder: &Folder, sink: &Sink, wanted: (usize, usize), what: &str) {
    until_true(what, || {
        let told = told(sink);
        told.len() == ALERTS * PATHS.len() && told.values().all(|(firing, over)| (*firing, *over) >= wanted)
    });
    until_true("that is put down", || history::outbox(&data(folder)).is_empty());
    check_told(sink, wanted, what);
}

/// The process goes on: all alerts fire still, and the rule was evaluated with what is stored and with new samples.
#[track_caller]
fn go_on(folder: &Folder, fresh: bool) -> Daemon {
    let daemon = start(folder);
    assert_eq!(daemon.alerts().iter().filter(|alert| alert["state"] == "firing").count(), ALERTS, "restored");
    daemon.wait_evaluations(2);
    if fresh {
        daemon.push(&samples(5));
        daemon.wait_evaluations(3);
    }
    assert_eq!(daemon.alerts().iter().filter(|alert| alert["state"] == "firing").count(), ALERTS, "they fire still");
    daemon
}

#[test]
fn of_a_hundred_alerts_that_fire_over_ten_restarts_and_ten_kills_nobody_is_told_twice_and_each_end_once() {
    let sink = Sink::start();
    let handler = |name: &str| webhook(name, &sink.url(&format!("/{name}")), &["timeout: 30s"]);
    let waits = "group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h";
    let handlers = format!(
        "handlers:\n{}{}route:\n  handlers: [each]\n  routes:\n    - {{handlers: [each], group_by: [host], continue: true, {waits}}}\n    - {{handlers: [all], group_by: [alertname], {waits}}}\n",
        handler("each"),
        handler("all")
    );
    // Evaluations are counted: there are none but those of the rule.
    let folder = folder_with(&rules(&[rule("busy", "for: 0s")]), &handlers, "builtin_rules: {enabled: false}");
    let mut daemon = start(&folder);
    daemon.push(&samples(5));
    wait_told(&folder, &sink, (1, 0), "every beginning is told");
    for n in 0..ENDS {
        daemon.stop();
        daemon = go_on(&folder, n % 2 == 0);
        check_told(&sink, (1, 0), &format!("stopped in order and started, {}", n + 1));
    }
    for n in 0..ENDS {
        daemon.kill();
        daemon = go_on(&folder, n % 2 == 0);
        check_told(&sink, (1, 0), &format!("killed and started, {}", n + 1));
    }
    daemon.push(&samples(0));
    wait_told(&folder, &sink, (1, 1), "every end is told");
    daemon.kill();
    daemon = start(&folder);
    daemon.wait_evaluations(5);
    assert_eq!(daemon.alerts().len(), 0);
    daemon.stop();
    check_told(&sink, (1, 1), "after all of it");
}
