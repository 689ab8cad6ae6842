//! Escalation in the real process: over kills and reloads, with a first handler that is dead, and until somebody says that
//! it looks after the alert.

use std::thread::sleep;
use std::time::Duration;

use crate::history;
use crate::kit::{Daemon, Folder, command, finish, free_port, until, until_true};
use crate::setup::{brief, data, folder_with, rule, rules, start, taken, wait_words, webhook};
use crate::sink::Sink;

/// `chat` at once, then the steps; each handler at the path of its name.
fn folder(sink: &Sink, chat: &str, escalate: &str) -> Folder {
    let others = ["oncall", "boss"].map(|name| webhook(name, &sink.url(&format!("/{name}")), &["timeout: 5s"]));
    let handlers = format!("handlers:\n{}{}", webhook("chat", chat, &["timeout: 5s"]), others.concat());
    let route = format!("route: {{group_wait: 0s, group_interval: 0s, handlers: [chat], escalate: {escalate}}}\n");
    folder_with(&rules(&[rule("hot", "")]), &(handlers + &route), "")
}

fn resolved(sink: &Sink, path: &str) -> usize {
    taken(sink, path).iter().filter(|message| message.status == "resolved").count()
}

fn client(folder: &Folder, daemon: &Daemon, args: &[&str]) -> String {
    let mut command = command(folder);
    command.args(args).env("ALERTD_SERVER", format!("http://{}", daemon.address)).env("USER", "ops");
    finish(&mut command).exits(0).out
}

#[test]
fn the_time_of_a_step_goes_on_over_a_kill_between_two_and_all_who_were_told_hear_the_end() {
    let sink = Sink::start();
    let steps = "[{after: 2s, handlers: [oncall]}, {after: 9s, handlers: [boss]}]";
    let folder = folder(&sink, &sink.url("/chat"), steps);
    let mut daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/chat", &["hot firing"]);
    wait_words(&sink, "/oncall", &["hot firing"]);
    let step = taken(&sink, "/oncall").remove(0);
    assert_eq!((step.reason.as_str(), step.note.as_str()), ("escalated", "escalated: not acknowledged for 2s"));
    assert_eq!(step.group, taken(&sink, "/chat")[0].group);
    until_true("nothing is under way", || history::outbox(&data(&folder)).is_empty());
    let why = client(&folder, &daemon, &["why", "hot"]);
    for words in [
        ", after 2s to oncall where nobody acknowledges it, after 9s to boss where nobody acknowledges it",
        "boss: not told: not yet escalated, until 20",
        "answer \"200: as scripted\" (escalated)",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    daemon.kill();

    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    let last = until("the second step is told", || sink.at("/boss").first().cloned());
    // Neither at once nor a whole time after the start.
    let pause = last.at.duration_since(sink.at("/chat")[0].at);
    assert!(pause > Duration::from_millis(8500), "{pause:?}");
    assert_eq!(taken(&sink, "/boss")[0].note, "escalated: not acknowledged for 9s");
    daemon.push("hot_m 0\n");
    for path in ["/chat", "/oncall", "/boss"] {
        wait_words(&sink, path, &["hot firing", "hot resolved"]);
    }
    daemon.stop();
}

#[test]
fn an_acknowledgement_stops_it_and_whom_no_step_told_hears_no_end() {
    let sink = Sink::start();
    let steps = "[{after: 1s, handlers: [oncall]}, {after: 4s, handlers: [boss]}]";
    let folder = folder(&sink, &sink.url("/chat"), steps);
    let mut daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/oncall", &["hot firing"]);
    client(&folder, &daemon, &["ack", "hot"]);
    daemon.kill();
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    sleep(Duration::from_millis(4500));
    daemon.push("hot_m 0\n");
    wait_words(&sink, "/chat", &["hot firing", "hot resolved"]);
    wait_words(&sink, "/oncall", &["hot firing", "hot resolved"]);
    assert!(taken(&sink, "/boss").is_empty(), "{:#?}", brief(&sink));
    daemon.stop();
}

#[test]
fn a_dead_first_handler_keeps_nobody_from_being_told_and_a_step_that_a_reload_takes_away_hears_the_end() {
    let sink = Sink::start();
    let dead = format!("http://127.0.0.1:{}/chat", free_port());
    let folder = folder(&sink, &dead, "[{after: 1s, handlers: [oncall]}, {after: 3s, handlers: [boss]}]");
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    wait_words(&sink, "/oncall", &["hot firing"]);
    let handlers = std::fs::read_to_string(folder.at("handlers/h.yaml")).unwrap();
    let (kept, _) = handlers.split_once("escalate:").unwrap();
    folder.write("handlers/h.yaml", format!("{kept}escalate: []}}\n"));
    assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    sleep(Duration::from_secs(3));
    daemon.push("hot_m 0\n");
    until_true("the end is heard", || resolved(&sink, "/oncall") == 1);
    assert!(taken(&sink, "/boss").is_empty(), "{:#?}", brief(&sink));
    daemon.stop();
}
