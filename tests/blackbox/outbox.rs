//! Messages that wait and messages that were given up, from outside.

use serde_json::Value;

use crate::kit::{Daemon, Folder, command, free_port, until, until_true};
use crate::silences::client;

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", max_alerts: 5000}
"#;

fn dead(daemon: &Daemon) -> u64 {
    let status = daemon.get("/api/v1/status").json();
    let handlers = status["data"]["outbox"].as_array().cloned().unwrap_or_default();
    handlers.iter().find(|h| h["handler"] == "screen").and_then(|h| h["dead"].as_u64()).unwrap_or(0)
}

/// The temperatures of so many hosts.
fn hosts(count: usize, value: u32) -> String {
    (0..count).map(|n| format!("temperature{{host=\"h{n:04}\"}} {value}\n")).collect()
}

#[test]
fn what_was_given_up_is_kept_over_a_restart_tried_again_by_id_and_removed_by_handler() {
    let folder = Folder::with(&[
        ("rules/a.yaml", RULES),
        ("handlers/h.yaml", "handlers:\n  - {name: screen, type: console, format: json}\n"),
    ]);
    // Nobody reads its standard output: when that is full, messages are given up.
    let mut start = command(&folder);
    let mut daemon = Daemon::launch_unread(start.arg("rules/"), free_port());
    daemon.wait_ready();
    daemon.push(&hosts(3000, 90));
    until_true("messages are given up", || dead(&daemon) > 20);
    let counted = daemon.metric("alertd_dead_letters_total{handler=\"screen\"}").unwrap_or(0.0);
    assert!(counted > 20.0, "{counted}");
    assert!(daemon.get("/").text().contains("<td>screen</td>"));
    daemon.push(&hosts(3000, 10));
    daemon.signal("KILL");
    daemon.wait_end();

    let mut start = command(&folder);
    let daemon = Daemon::launch(start.arg("rules/"), free_port());
    daemon.wait_ready();
    let before = until("what waited is delivered", || {
        let quiet = daemon.metric("alertd_outbox_depth{handler=\"screen\"}") == Some(0.0);
        quiet.then(|| dead(&daemon))
    });
    assert!(before > 20, "{before}");
    assert_eq!(daemon.metric("alertd_outbox_dead{handler=\"screen\"}"), Some(before as f64));
    let list = |args: &[&str]| {
        let args = [&["outbox", "list", "--output", "json"], args].concat();
        client(&folder, &daemon, &args).exits(0).json()["notices"].as_array().cloned().unwrap()
    };
    let all = list(&["--state", "dead", "--limit", "5000"]);
    assert_eq!(all.len() as u64, before, "pages are followed");
    let notice = &all[0];
    assert_eq!((&notice["state"], &notice["alerts"][0]), (&Value::from("dead"), &Value::from("hot")), "{notice:#}");
    assert!(notice["last_error"].as_str().unwrap_or_default().contains("stdout is blocked"), "{notice:#}");
    let ids: Vec<&str> = all.iter().take(3).map(|n| n["id"].as_str().unwrap()).collect();

    let retried = client(&folder, &daemon, &["outbox", "retry", ids[0], ids[1]]).exits(0);
    assert_eq!(retried.out, "retried 2 notices");
    until_true("they are printed", || ids[..2].iter().all(|id| daemon.out.count(id) == 1));
    until_true("they are gone", || dead(&daemon) == before - 2);
    let again = client(&folder, &daemon, &["outbox", "retry", ids[0]]).exits(1);
    assert!(again.err.contains("is not there, or was not given up"), "{again:#?}");
    let dropped = client(&folder, &daemon, &["outbox", "drop", ids[2]]).exits(0);
    assert_eq!(dropped.out, "removed 1 notice");
    let dropped = client(&folder, &daemon, &["outbox", "drop", "--handler", "screen"]).exits(0);
    assert_eq!(dropped.out, format!("removed {} notices", before - 3));
    assert_eq!(list(&[]).len(), 0);
    assert_eq!(daemon.metric("alertd_outbox_dead{handler=\"screen\"}"), Some(0.0));
    let count = |kind: &str| {
        let args = ["history", "--kind", kind, "--limit", "5000", "--output", "json"];
        client(&folder, &daemon, &args).exits(0).json()["events"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((count("retried"), count("dropped") as u64), (2, before - 2));
    assert_eq!(daemon.out.count(ids[2]), 0, "what was removed is never printed");
}

#[test]
fn what_waits_for_a_receiver_that_is_away_is_listed_and_can_be_removed() {
    let nobody = free_port();
    let handlers =
        format!("handlers:\n  - {{name: hook, type: webhook, url: 'http://127.0.0.1:{nobody}/secret-path'}}\n");
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", &handlers)]);
    let daemon = Daemon::start(&folder);
    daemon.push("temperature{host=\"a\"} 90\n");
    let list = || client(&folder, &daemon, &["outbox", "list", "--handler", "hook", "--output", "json"]).exits(0);
    let waiting = until("a message waits", || {
        let found = list().json()["notices"].as_array().cloned().unwrap();
        found.into_iter().find(|notice| notice["alerts"][0] == "hot")
    });
    assert_eq!((&waiting["state"], &waiting["kind"]), (&Value::from("pending"), &Value::from("firing")));
    assert!(!list().out.contains("secret-path"), "no secret is shown");
    assert!(daemon.metric("alertd_outbox_depth{handler=\"hook\"}").unwrap_or(0.0) >= 1.0);
    until_true("its age grows", || {
        daemon.metric("alertd_outbox_oldest_seconds{handler=\"hook\"}").unwrap_or(0.0) > 0.5
    });
    let text = client(&folder, &daemon, &["outbox", "list"]).exits(0);
    assert!(text.out.starts_with("ID") && text.out.contains("hook"), "{text:#?}");
    let refused = daemon.post(
        "/api/v1/outbox/retry",
        &[("Content-Type", "application/json")],
        br#"{"handler":"hook","state":"pending"}"#,
    );
    assert_eq!(refused.status, 400, "{}", refused.text());
    // One that is just being tried stays for that moment.
    until_true("nothing waits any more", || {
        client(&folder, &daemon, &["outbox", "drop", "--handler", "hook", "--state", "pending"]);
        list().json()["notices"].as_array().is_some_and(Vec::is_empty)
    });
    until_true("the queue is empty too", || daemon.metric("alertd_outbox_depth{handler=\"hook\"}") == Some(0.0));
    let dropped = client(&folder, &daemon, &["history", "host=a", "--kind", "dropped"]).exits(0);
    assert!(dropped.out.contains("removed by hand"), "{dropped:#?}");
}
