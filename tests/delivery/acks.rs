//! Acknowledgements and `on_mute` in the real process: the command line, links of messages, kills, what receivers hear.

use serde_json::json;

use crate::http::{self, Response};
use crate::kit::{Daemon, Folder, Ran, command, finish, until_true};
use crate::setup::{brief, folder_with, rule, rules, start, taken, webhook};
use crate::sink::{Act, Sink};

/// A body that carries the links of its alerts.
fn linked(sink: &Sink) -> String {
    let body = "{\"links\": {{ alerts[0].links | tojson }}, \"status\": {{ status | tojson }}}";
    format!("  - {{name: chat, type: webhook, url: \"{}\", body: '{body}'}}\n", sink.url("/chat"))
}

fn pager(sink: &Sink, on_mute: &str) -> String {
    format!(
        "  - {{name: pager, type: webhook, preset: pagerduty, url: \"{}\", routing_key: key, on_mute: {on_mute}}}\n",
        sink.url("/pager")
    )
}

const ROUTE: &str = "route: {group_by: ['...'], group_wait: 0s, group_interval: 0s, repeat_interval: 1s}\n";

fn folder(handlers: &str) -> Folder {
    let keys = "external_url: https://alerts.example.org/base\n";
    folder_with(&rules(&[rule("hot", ""), rule("cold", "")]), &format!("handlers:\n{handlers}{ROUTE}"), keys)
}

fn client(folder: &Folder, daemon: &Daemon, args: &[&str]) -> Ran {
    let mut command = command(folder);
    finish(command.args(args).env("ALERTD_SERVER", format!("http://{}", daemon.address)).env("USER", "ops"))
}

fn actions(sink: &Sink) -> Vec<String> {
    let action = |request: &crate::sink::Request| request.json()["event_action"].as_str().unwrap().to_owned();
    // A reminder triggers again.
    let mut all: Vec<String> = sink.taken("/pager/v2/enqueue").iter().map(action).collect();
    all.dedup();
    all
}

fn form(daemon: &Daemon, path: &str, body: &str) -> Response {
    daemon.post(path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
}

#[test]
fn what_somebody_looks_after_is_told_no_more_over_a_kill_and_is_told_to_be_over() {
    let sink = Sink::start();
    let folder = folder(&webhook("chat", &sink.url("/chat"), &[]));
    let mut daemon = start(&folder);
    daemon.push("hot_m{host=\"a\"} 5\n");
    until_true("it is told and told again", || taken(&sink, "/chat").len() > 2);
    let done = client(&folder, &daemon, &["ack", "hot{host=\"a\"}", "--comment", "new fan"]);
    daemon.signal("KILL");
    daemon.wait_end();
    assert_eq!(done.exits(0).out.trim_end(), "acknowledged hot{host=\"a\"}");
    let before = taken(&sink, "/chat").len();

    let daemon = start(&folder);
    daemon.push("hot_m{host=\"a\"} 5\n");
    let alerts = client(&folder, &daemon, &["alerts", "--output", "json"]).exits(0).json();
    let alert = &alerts["alerts"][0];
    assert_eq!((&alert["acknowledged"]["by"], &alert["acknowledged"]["comment"]), (&json!("ops"), &json!("new fan")));
    assert!(String::from_utf8(daemon.get("/").body).unwrap().contains("not told: acknowledged by ops: new fan"));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let told = taken(&sink, "/chat");
    assert!(told.len() <= before + 1, "no reminder but one that was under way: {:#?}", brief(&sink));
    let row = client(&folder, &daemon, &["history", "--kind", "ack", "--output", "json"]).exits(0).json();
    let row = row["events"][0].clone();
    assert_eq!(
        (&row["reason"], &row["detail"]["by"], &row["rule"]),
        (&json!("acknowledged"), &json!("ops"), &json!("hot"))
    );

    let fingerprint = alert["fingerprint"].as_str().unwrap().to_owned();
    client(&folder, &daemon, &["ack", "--withdraw", &fingerprint]).exits(0);
    until_true("reminders go on", || taken(&sink, "/chat").len() > told.len());
    assert!(
        client(&folder, &daemon, &["ack", "--withdraw", &fingerprint]).exits(1).err.contains("no alert that fires")
    );
    assert!(client(&folder, &daemon, &["ack", "mild"]).exits(1).err.contains("alertname=\"mild\""));
    client(&folder, &daemon, &["ack", &fingerprint, "--for", "1h"]).exits(0);
    daemon.push("hot_m{host=\"a\"} 0\n");
    until_true("its end is told", || taken(&sink, "/chat").last().unwrap().status == "resolved");
    daemon.stop();
}

#[test]
fn a_link_of_a_message_acknowledges_once_by_its_form_and_by_nothing_else() {
    let sink = Sink::start();
    let folder = folder(&linked(&sink));
    let mut daemon = start(&folder);
    daemon.push("hot_m{host=\"<b>\"} 5\n");
    until_true("it is told", || !sink.taken("/chat").is_empty());
    let links = sink.taken("/chat")[0].json()["links"].clone();
    let href = links[0]["href"].as_str().unwrap_or_else(|| panic!("{links}")).to_owned();
    let path = href.strip_prefix("https://alerts.example.org/base").unwrap().to_owned();
    daemon.kill();
    let daemon = start(&folder);
    daemon.push("hot_m{host=\"<b>\"} 5\n");
    let is_acked = || {
        let alerts = client(&folder, &daemon, &["alerts", "--output", "json"]).exits(0).json();
        alerts["alerts"][0].get("acknowledged").is_some()
    };
    for _ in 0..2 {
        let page = daemon.get(&path);
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(
            page.text().contains("<form method=\"post\">") && page.text().contains("host=&lt;b&gt;"),
            "{}",
            page.text()
        );
        assert!(!is_acked(), "looking changes nothing");
    }
    let nameless = form(&daemon, &path, "by=+");
    assert_eq!(nameless.status, 400);
    assert!(nameless.text().contains("needs the name") && !is_acked(), "{}", nameless.text());
    let foreign = [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(daemon.post(&path, &foreign, b"by=evil").status, 403);
    let done = form(&daemon, &path, "by=Ann&comment=on+it");
    assert_eq!(done.status, 200);
    assert!(done.text().contains("<h2>Acknowledged</h2>") && is_acked(), "{}", done.text());
    for again in [daemon.get(&path), form(&daemon, &path, "by=Bob")] {
        assert_eq!(again.status, 410);
        assert!(again.text().contains("This link was used"), "{}", again.text());
    }
    let mut forged = path.clone().into_bytes();
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(form(&daemon, &forged, "by=Eve").status, 410);
    assert_eq!(daemon.get("/ack/nonsense").status, 404);
    daemon.push("hot_m{host=\"<b>\"} 0\n");
    until_true("it is over", || {
        http::get(&daemon.address, &path).is_ok_and(|r| r.text().contains("This alert is over"))
    });
    daemon.stop();
}

#[test]
fn a_pager_hears_that_an_incident_is_acknowledged_and_that_it_is_resolved() {
    let sink = Sink::start();
    sink.on("/pager/v2/enqueue", Act::status(202));
    let folder = folder(&pager(&sink, "ack"));
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    until_true("it is opened", || actions(&sink) == ["trigger"]);
    client(&folder, &daemon, &["ack", "hot", "--for", "2s"]).exits(0);
    until_true("it is acknowledged, and opened anew after the time", || {
        actions(&sink) == ["trigger", "acknowledge", "trigger"]
    });
    let add = ["silence", "add", "alertname=hot", "--for", "1h", "--comment", "new fan"];
    client(&folder, &daemon, &add).exits(0);
    until_true("a silence acknowledges too", || actions(&sink).last().unwrap() == "acknowledge");
    let keys: Vec<_> =
        sink.taken("/pager/v2/enqueue").iter().map(|request| request.json()["dedup_key"].clone()).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    daemon.push("hot_m 0\n");
    until_true("its end", || actions(&sink) == ["trigger", "acknowledge", "trigger", "acknowledge", "resolve"]);
    daemon.stop();
}

#[test]
fn a_handler_that_wants_it_is_told_that_what_is_muted_is_resolved_and_that_it_fires_again() {
    let sink = Sink::start();
    let folder = folder(&webhook("chat", &sink.url("/chat"), &["on_mute: resolve"]));
    let daemon = start(&folder);
    daemon.push("hot_m 5\n");
    until_true("it is told", || !taken(&sink, "/chat").is_empty());
    let add = ["silence", "add", "alertname=hot", "--for", "1h", "--comment", "new fan"];
    let id = client(&folder, &daemon, &add).exits(0).out.trim_end().to_owned();
    until_true("it is told as over", || taken(&sink, "/chat").last().unwrap().status == "resolved");
    let last = taken(&sink, "/chat").pop().unwrap();
    assert_eq!((last.reason.as_str(), last.words().as_str()), ("muted", "hot resolved"));
    assert!(last.note.contains("silenced by") && last.note.contains("new fan"), "{}", last.note);
    client(&folder, &daemon, &["silence", "expire", &id]).exits(0);
    until_true("it fires again", || taken(&sink, "/chat").last().unwrap().status == "firing");
    daemon.push("hot_m 0\n");
    until_true("its end", || taken(&sink, "/chat").last().unwrap().reason == "resolved");
    daemon.stop();
}
