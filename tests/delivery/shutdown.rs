//! How the process ends when it is asked to: with much to send, twice, and before it has begun.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use crate::history;
use crate::kit::{Daemon, free_port, instant, until_true};
use crate::setup::{data, folder, folder_with, rule, rules, start, taken, wait_words, webhook};
use crate::sink::{Act, Sink};

/// Alerts that fire at once.
const MANY: usize = 1000;

fn many(value: u32) -> String {
    (0..MANY).map(|n| format!("busy_m{{host=\"h{n}\"}} {value}\n")).collect()
}

#[test]
fn sigterm_with_a_thousand_queued_sends_what_the_grace_allows_and_the_rest_after_the_start() {
    let sink = Sink::start();
    sink.on("/chat", Act::After(Duration::from_millis(100), Box::new(Act::ok())));
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    let rules = rules(&[rule("busy", "for: 0s")]);
    let folder = folder_with(&rules, &handlers, "shutdown_grace: 2s");
    let mut daemon = start(&folder);
    daemon.push(&many(5));
    until_true("delivery has begun", || !taken(&sink, "/chat").is_empty());
    daemon.signal("TERM");
    let before = sink.taken("/chat").len();
    let (status, took) = daemon.wait_end();
    assert_eq!(status.code(), Some(0));
    let sent = sink.taken("/chat").len();
    assert!(sent > before, "nothing was sent in the grace");
    assert!(sent < MANY, "the receiver is too fast for this test: {sent}");
    // The grace, and what a slow machine takes to end beside it.
    assert!(took < Duration::from_secs(12), "{took:?}");
    let waiting = history::outbox(&data(&folder)).len();
    assert!(waiting + sent >= MANY, "{waiting} wait, {sent} were sent");
    sink.on("/chat", Act::ok());
    let daemon = start(&folder);
    until_true("all are told", || hosts(&sink).len() == MANY);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    let messages = taken(&sink, "/chat");
    let ids: BTreeSet<&String> = messages.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), MANY, "one identity each");
    // At most what was under way at the end was sent twice, under its own id.
    assert!(messages.len() - MANY <= 4, "{} repeats", messages.len() - MANY);
    daemon.stop();
}

fn hosts(sink: &Sink) -> BTreeSet<String> {
    taken(sink, "/chat").iter().flat_map(|m| m.alerts.iter().map(|a| a.fingerprint.clone())).collect()
}

#[test]
fn a_second_sigterm_ends_it_at_once_and_the_state_is_whole() {
    let sink = Sink::start();
    sink.hold(true);
    sink.on("/chat", Act::Hold);
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 60s"]));
    let folder = folder_with(&rules(&[rule("busy", "for: 0s")]), &handlers, "shutdown_grace: 60s");
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    until_true("a request is under way", || !sink.at("/chat").is_empty());
    daemon.signal("TERM");
    daemon.err.wait("Stopping");
    sleep(Duration::from_millis(100));
    let begun = instant();
    daemon.signal("TERM");
    let (status, _) = daemon.wait_end();
    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    sink.hold(false);
    let daemon = start(&folder);
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    let log = daemon.err.text();
    assert!(!log.contains("damaged"), "{log}");
    daemon.stop();
}

#[test]
fn sigint_at_any_moment_of_the_start_ends_it_soon_and_the_next_start_is_whole() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.stop();
    for n in 0..12 {
        let mut daemon = Daemon::spawn(&folder, &["rules/"], free_port());
        sleep(Duration::from_millis(n * 25));
        let begun = instant();
        daemon.signal("INT");
        let (status, _) = daemon.wait_end();
        // Before signals are handled the system ends it; after that it ends in order.
        let ended = status.code() == Some(0) || std::os::unix::process::ExitStatusExt::signal(&status) == Some(2);
        assert!(ended, "{status:?} {}", daemon.err.text());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    let daemon = start(&folder);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    let log = daemon.err.text();
    assert!(!log.contains("damaged"), "{log}");
    daemon.stop();
}
