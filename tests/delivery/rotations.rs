//! Rotations in the real process: a handover while it runs and while it is down, and what tells who is on duty.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::history;
use crate::kit::{Daemon, Folder, Ran, command, finish, until_true};
use crate::setup::{data, folder_with, rule, rules, start, wait_words, webhook};
use crate::sink::Sink;

#[allow(clippy::disallowed_methods, reason = "the real process hands over by the real clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// `bob` is on duty for some seconds, then `alice`; and when that is.
fn folder(sink: &Sink, secs: u64, route: &str) -> (Folder, SystemTime) {
    let whole = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + secs;
    let local = chrono::DateTime::from_timestamp(i64::try_from(whole).unwrap(), 0).unwrap();
    let of = ["chat", "alice", "bob"].map(|name| webhook(name, &sink.url(&format!("/{name}")), &["timeout: 5s"]));
    let rotations = format!(
        "rotations:\n  - {{name: duty, handlers: [alice, bob], every: 1d, starts: {}}}\n",
        local.format("%Y-%m-%dT%H:%M:%S")
    );
    let handlers = format!("handlers:\n{}{rotations}route: {route}\n", of.concat());
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(whole);
    (folder_with(&rules(&[rule("hot", "")]), &handlers, ""), at)
}

fn client(folder: &Folder, args: &[&str]) -> Ran {
    let mut command = command(folder);
    finish(command.args(args))
}

fn page(daemon: &Daemon) -> String {
    String::from_utf8(daemon.get("/").body).unwrap()
}

#[test]
fn at_a_handover_what_fires_is_told_to_the_next_and_everything_says_who_is_on_duty() {
    let sink = Sink::start();
    let (folder, at) = folder(&sink, 6, "{group_wait: 0s, group_interval: 0s, handlers: [duty]}");
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/bob", &["hot firing"]);
    let told = daemon.get("/api/v1/rotations").json()["data"]["rotations"][0].clone();
    assert_eq!((told["name"].as_str(), told["on_duty"].as_str()), (Some("duty"), Some("bob")), "{told}");
    let next: Vec<&str> =
        told["handovers"].as_array().unwrap().iter().map(|h| h["handler"].as_str().unwrap()).collect();
    assert_eq!(next, ["alice", "bob", "alice", "bob", "alice"]);
    assert!(page(&daemon).contains("On duty for duty: <strong>bob</strong>"));
    let route = client(&folder, &["route", "{alertname=\"hot\"}"]).exits(0).out;
    assert!(route.contains("bob is on duty for duty"), "{route}");
    let asked = client(&folder, &["rotations"]).exits(0).out;
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked.len(), 7, "{asked:?}");
    assert!(asked[1].starts_with("duty      bob      now "), "{asked:?}");
    assert!(now() < at, "the machine is too slow for this test");

    wait_words(&sink, "/alice", &["hot firing"]);
    assert!(now() >= at);
    until_true("the page says so", || page(&daemon).contains("On duty for duty: <strong>alice</strong>"));
    daemon.push("hot_m 0\n");
    for path in ["/alice", "/bob"] {
        wait_words(&sink, path, &["hot firing", "hot resolved"]);
    }
    daemon.stop();
}

#[test]
fn a_handover_while_the_process_is_down_is_made_up_for_and_a_step_keeps_its_time() {
    let sink = Sink::start();
    let route = "{group_wait: 0s, group_interval: 0s, handlers: [chat], escalate: [{after: 1s, handlers: [duty]}]}";
    let (folder, at) = folder(&sink, 6, route);
    let mut daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/bob", &["hot firing"]);
    until_true("nothing is under way", || history::outbox(&data(&folder)).is_empty());
    daemon.kill();
    sleep(at.duration_since(now()).unwrap_or_default());
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/alice", &["hot firing"]);
    daemon.push("hot_m 0\n");
    for path in ["/chat", "/alice", "/bob"] {
        wait_words(&sink, path, &["hot firing", "hot resolved"]);
    }
    daemon.stop();
}
