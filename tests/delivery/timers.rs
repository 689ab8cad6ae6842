//! Groups, reminders and reloads over a restart: timers go on, they do not begin anew.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use crate::history;
use crate::kit::{Daemon, Folder, until, until_true};
use crate::setup::{data, folder, folder_with, rule, rules, start, taken, wait_words, webhook};
use crate::sink::Sink;

/// Kills it when what was delivered is put down: nothing is sent again then.
fn end(daemon: &mut Daemon, folder: &Folder) {
    until_true("nothing is under way", || history::outbox(&data(folder)).is_empty());
    daemon.kill();
}

fn grouped(sink: &Sink, route: &str) -> Folder {
    let handlers = format!("handlers:\n{}route: {route}\n", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    folder_with(&rules(&[rule("busy", "for: 0s")]), &handlers, "")
}

fn at(host: &str, value: u32) -> String {
    format!("busy_m{{host=\"{host}\"}} {value}\n")
}

#[test]
fn group_wait_goes_on_over_a_kill_and_the_group_is_one_message() {
    let sink = Sink::start();
    let folder = grouped(&sink, "{group_by: [alertname], group_wait: 6s, group_interval: 1s, repeat_interval: 1h}");
    let mut daemon = start(&folder);
    daemon.push(&at("a", 5));
    daemon.wait_alert("busy", "firing");
    daemon.wait_evaluations(2);
    end(&mut daemon, &folder);
    let daemon = start(&folder);
    daemon.push(&(at("a", 5) + &at("b", 5)));
    until_true("both fire", || daemon.alerts().iter().filter(|alert| alert["state"] == "firing").count() == 2);
    wait_words(&sink, "/chat", &["busy firing, busy firing"]);
    daemon.stop();
}

#[test]
fn group_interval_goes_on_over_a_kill() {
    let sink = Sink::start();
    let folder = grouped(&sink, "{group_by: [alertname], group_wait: 0s, group_interval: 6s, repeat_interval: 1h}");
    let mut daemon = start(&folder);
    daemon.push(&at("a", 5));
    wait_words(&sink, "/chat", &["busy firing"]);
    let first = sink.at("/chat")[0].at;
    daemon.push(&(at("a", 5) + &at("b", 5)));
    until_true("both fire", || daemon.alerts().iter().filter(|alert| alert["state"] == "firing").count() == 2);
    daemon.wait_evaluations(2);
    end(&mut daemon, &folder);
    let daemon = start(&folder);
    daemon.push(&(at("a", 5) + &at("b", 5) + &at("c", 5)));
    let second = until("the group is told again", || sink.at("/chat").get(1).cloned());
    // Neither at once nor a whole interval after the start.
    let pause = second.at.duration_since(first);
    assert!(pause > Duration::from_secs(5), "{pause:?}");
    assert_eq!(taken(&sink, "/chat")[1].alerts.len(), 3);
    daemon.stop();
}

#[test]
fn a_reminder_comes_when_it_is_due_though_the_process_was_killed_meanwhile() {
    let sink = Sink::start();
    let folder = grouped(&sink, "{group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 5s}");
    let mut daemon = start(&folder);
    daemon.push(&at("a", 5));
    wait_words(&sink, "/chat", &["busy firing"]);
    for _ in 0..3 {
        end(&mut daemon, &folder);
        daemon = start(&folder);
        daemon.push(&at("a", 5));
        daemon.wait_evaluations(3);
    }
    let requests = until("it is told again", || Some(sink.at("/chat")).filter(|requests| requests.len() >= 2));
    let pause = requests[1].at.duration_since(requests[0].at);
    assert!(pause > Duration::from_millis(4500), "{pause:?}");
    let told = taken(&sink, "/chat");
    assert_eq!((told[1].reason.as_str(), told[1].alerts[0].transition.as_str()), ("repeat", "still_firing"));
    assert_ne!(told[0].id, told[1].id);
    daemon.push(&at("a", 0));
    until_true("it is told as over", || taken(&sink, "/chat").last().is_some_and(|m| m.status == "resolved"));
    daemon.stop();
}

#[test]
fn a_cooldown_goes_on_over_a_kill() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "cooldown: 6s")]), &sink);
    let mut daemon = start(&folder);
    for value in [5, 0] {
        daemon.push(&format!("busy_m {value}\n"));
        until_true("it is told", || taken(&sink, "/chat").len() == if value == 5 { 1 } else { 2 });
    }
    let first = sink.at("/chat")[0].at;
    daemon.push("busy_m 5\n");
    daemon.wait_alert("busy", "firing");
    daemon.wait_evaluations(2);
    end(&mut daemon, &folder);
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    let third = until("it is told when the cooldown is over", || sink.at("/chat").get(2).cloned());
    assert!(third.at.duration_since(first) > Duration::from_millis(5500), "{:?}", third.at.duration_since(first));
    assert_eq!(taken(&sink, "/chat")[2].reason, "hold over");
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved", "busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn a_rule_that_moves_to_another_file_stays_silent_while_it_runs_and_over_a_restart() {
    let sink = Sink::start();
    let rule = rules(&[rule("busy", "for: 0s")]);
    let folder = folder(&rule, &sink);
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    std::fs::rename(folder.at("rules/a.yaml"), folder.at("rules/moved.yaml")).unwrap();
    assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    daemon.wait_evaluations(5);
    daemon.stop();
    std::fs::rename(folder.at("rules/moved.yaml"), folder.at("rules/again.yaml")).unwrap();
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    daemon.wait_evaluations(5);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn a_rule_whose_handlers_change_while_it_fires_tells_the_new_ones_and_ends_at_the_old_ones() {
    let sink = Sink::start();
    let handlers = ["old", "new"].map(|name| webhook(name, &sink.url(&format!("/{name}")), &["timeout: 5s"]));
    let to = |name: &str| rules(&[rule("busy", &format!("notify: [{name}]"))]);
    let folder = folder_with(&to("old"), &format!("handlers:\n{}", handlers.concat()), "");
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/old", &["busy firing"]);
    end(&mut daemon, &folder);
    folder.write("rules/a.yaml", to("new"));
    let mut second = start(&folder);
    second.push("busy_m 5\n");
    wait_words(&sink, "/new", &["busy firing"]);
    // The change may come together with a kill.
    second.wait_evaluations(3);
    end(&mut second, &folder);
    let daemon = start(&folder);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/new", &["busy firing", "busy resolved"]);
    wait_words(&sink, "/old", &["busy firing", "busy resolved"]);
    sleep(Duration::from_millis(300));
    let all = taken(&sink, "/new").into_iter().chain(taken(&sink, "/old"));
    let ids: BTreeSet<String> = all.map(|message| message.id).collect();
    assert_eq!(ids.len(), 4);
    daemon.stop();
}
