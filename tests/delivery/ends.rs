//! What was told to fire is told to be over, whatever keeps it quiet when it ends.

use crate::history;
use crate::kit::{Daemon, Folder, command, finish, until_true};
use crate::setup::{data, folder_with, rule, rules, start, taken, webhook};
use crate::sink::Sink;

/// Always, in UTC.
const ALWAYS: &str = "time_intervals: [{name: always, time_intervals: [{years: ['1970:2200']}]}]\n";
const ROUTE: &str = "route: {group_by: [alertname], group_wait: 0s, group_interval: 0s}\n";

fn handlers(sink: &Sink, more: &str) -> String {
    format!("handlers:\n{}{ALWAYS}{more}", webhook("chat", &sink.url("/chat"), &[]))
}

/// Tells `hot`, lets `quiet` happen, ends it if it is still there, and waits for the end to be told.
fn check(case: &str, quiet: impl FnOnce(&Folder, &Sink, Daemon) -> Daemon) {
    let sink = Sink::start();
    let all = [rule("hot", ""), rule("cause", "")];
    let folder = folder_with(&rules(&all), &handlers(&sink, ROUTE), "");
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    until_true(case, || taken(&sink, "/chat").len() == 1);
    let daemon = quiet(&folder, &sink, daemon);
    daemon.push("hot_m 0\n");
    let ends = || taken(&sink, "/chat").iter().filter(|m| m.words() == "hot resolved").count();
    until_true(case, || ends() == 1);
    daemon.stop();
    let firing = taken(&sink, "/chat").iter().filter(|m| m.words() == "hot firing").count();
    assert_eq!((firing, ends()), (1, 1), "{case}: each once");
}

fn reload(daemon: &Daemon) {
    assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
}

#[test]
fn every_end_of_what_was_told_is_told() {
    check("a silence", |folder, _, daemon| {
        let mut command = command(folder);
        command.args(["silence", "add", "alertname=hot", "--for", "1h", "--comment", "x", "--author", "me"]);
        finish(command.env("ALERTD_SERVER", format!("http://{}", daemon.address))).exits(0);
        daemon
    });
    check("inhibition", |folder, sink, daemon| {
        let rules = "inhibit_rules: [{source_matchers: [alertname=cause], target_matchers: [alertname=hot]}]\n";
        folder.write("handlers/h.yaml", handlers(sink, &format!("{ROUTE}{rules}")));
        reload(&daemon);
        daemon.push("cause_m 5\n");
        daemon.wait_alert("cause", "firing");
        daemon
    });
    check("a mute time of the route", |folder, sink, daemon| {
        let route = "route: {group_by: [alertname], group_wait: 0s, group_interval: 0s, \
                     routes: [{matchers: [alertname=hot], mute: [always]}]}\n";
        folder.write("handlers/h.yaml", handlers(sink, route));
        reload(&daemon);
        daemon
    });
    check("a mute time of the rule", |folder, _, daemon| {
        folder.write("rules/a.yaml", rules(&[rule("hot", "mute: [always]")]));
        reload(&daemon);
        daemon
    });
    check("an acknowledgement", |folder, _, daemon| {
        let mut command = command(folder);
        command.args(["ack", "hot", "--author", "me"]);
        finish(command.env("ALERTD_SERVER", format!("http://{}", daemon.address))).exits(0);
        daemon
    });
    check("a restart", |folder, _, mut daemon| {
        // A message whose answer is not put down yet may come once more after a kill.
        until_true("the answer is put down", || history::outbox(&data(folder)).is_empty());
        daemon.kill();
        start(folder)
    });
    check("another route", |folder, sink, daemon| {
        let route = "route: {group_wait: 0s, group_interval: 0s, routes: [{matchers: [a=b]}]}\n";
        folder.write("handlers/h.yaml", handlers(sink, route));
        reload(&daemon);
        daemon
    });
    check("the rule is gone", |folder, _, daemon| {
        folder.write("rules/a.yaml", rules(&[rule("cause", "")]));
        reload(&daemon);
        daemon
    });
}
