//! Inhibition in the real process: what is muted by what, and that nothing slips through at a start.

use serde_json::json;

use crate::kit::{Daemon, Folder, command, finish, until_true};
use crate::setup::{folder_with, rule, rules, start, taken, webhook};
use crate::sink::Sink;

const INHIBIT: &str = r#"
inhibit_rules:
  - name: host_down
    sources:
      - {matchers: ['alertname="down"'], equal: [{source: host, target: instance}]}
      - {matchers: ['alertname="outage"']}
    target_matchers: ['alertname="slow"']
"#;

fn folder(sink: &Sink, inhibit: &str) -> Folder {
    let handlers = format!("handlers:\n{}{inhibit}", webhook("chat", &sink.url("/chat"), &[]));
    let all = ["down", "outage", "slow"].map(|name| rule(name, ""));
    folder_with(&rules(&all), &handlers, "")
}

fn push(daemon: &Daemon, down: u32, outage: u32, slow: u32) {
    daemon.push(&format!("down_m{{host=\"a\"}} {down}\noutage_m {outage}\nslow_m{{instance=\"a\"}} {slow}\n"));
}

fn told(sink: &Sink) -> Vec<String> {
    taken(sink, "/chat").iter().map(|message| format!("{} ({})", message.words(), message.reason)).collect()
}

#[test]
fn sources_mute_while_all_of_them_fire_and_a_start_knows_them_before_anything_is_told() {
    let sink = Sink::start();
    let folder = folder(&sink, INHIBIT);
    let mut daemon = start(&folder);
    push(&daemon, 5, 5, 0);
    until_true("the sources are told", || told(&sink).len() == 2);
    push(&daemon, 5, 5, 5);
    daemon.wait_alert("slow", "firing");
    let alerts = daemon.get("/api/v1/alerts").json();
    let alerts = alerts["data"]["alerts"].as_array().unwrap().clone();
    let one = |name: &str| alerts.iter().find(|alert| alert["rule"] == name).unwrap().clone();
    assert_eq!(one("slow")["inhibitedBy"], json!([one("down")["fingerprint"], one("outage")["fingerprint"]]));
    let why = "inhibited by down{host=\"a\"} and outage (inhibit rule `host_down`)";
    assert_eq!(one("slow")["notTold"], json!([why]));
    assert_eq!(one("down").get("notTold"), None);
    let page = String::from_utf8(daemon.get("/").body).unwrap();
    assert!(page.contains("not told: inhibited by down{host=&quot;a&quot;} and outage"), "{page}");
    let client = |args: &[&str]| {
        let mut command = command(&folder);
        finish(command.args(args).env("ALERTD_SERVER", format!("http://{}", daemon.address))).exits(0)
    };
    assert!(client(&["alerts"]).out.contains("firing, muted"));
    until_true("it is in the history", || {
        let held = client(&["history", "--kind", "held", "--output", "json"]).json();
        let held = held["events"][0].clone();
        (&held["reason"], &held["detail"]["inhibited_by"]) == (&json!("inhibited"), &one("slow")["inhibitedBy"])
    });
    daemon.kill();

    // Nothing is pushed: what fires is what was stored.
    let daemon = start(&folder);
    daemon.wait_alert("slow", "firing");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(told(&sink).len(), 2, "{:?}", told(&sink));
    push(&daemon, 5, 0, 5);
    until_true("it is told when one of the sources is over", || told(&sink).len() == 4);
    let mut rest = told(&sink)[2..].to_vec();
    rest.sort();
    assert_eq!(rest, ["outage resolved (resolved)", "slow firing (hold over)"]);
    daemon.stop();
}

#[test]
fn what_was_told_is_taken_back_while_it_is_muted_and_a_reload_takes_other_rules() {
    let sink = Sink::start();
    let folder = folder(&sink, "");
    let daemon = start(&folder);
    push(&daemon, 5, 5, 5);
    until_true("all are told", || told(&sink).len() == 3);
    let handlers = format!("handlers:\n{}{INHIBIT}", webhook("chat", &sink.url("/chat"), &[]));
    folder.write("handlers/h.yaml", handlers);
    assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    push(&daemon, 5, 5, 0);
    until_true("the end is told", || told(&sink).len() == 4);
    assert_eq!(told(&sink)[3], "slow resolved (resolved)");
    push(&daemon, 5, 5, 5);
    daemon.wait_alert("slow", "firing");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(told(&sink).len(), 4, "{:?}", told(&sink));
    daemon.stop();
}
