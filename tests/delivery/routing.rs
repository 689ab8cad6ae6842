//! The tree of routes in the real process: who is told, in which groups, over kills and reloads.

use crate::kit::{Daemon, Folder, until_true};
use crate::setup::{folder_with, rule, rules, start, taken, webhook};
use crate::sink::Sink;

const HANDLERS: [&str; 3] = ["chat", "oncall", "db"];

const TREE: &str = r#"
  group_by: [alertname]
  group_wait: 0s
  group_interval: 0s
  handlers: [chat]
  labels: {site: fra}
  routes:
    - {matchers: ['severity="critical"'], handlers: [oncall], continue: true, labels: {tier: high}}
    - matchers: ['team=~"db|store"']
      handlers: [db, oncall]
      group_by: ['...']
"#;

fn handlers(sink: &Sink, route: &str) -> String {
    let all: String = HANDLERS.iter().map(|name| webhook(name, &sink.url(&format!("/{name}")), &[])).collect();
    format!("handlers:\n{all}route:{route}")
}

fn routed(sink: &Sink) -> Folder {
    let by_team = rule("busy", "for: 0s");
    let critical = rule("down", "severity: critical");
    folder_with(&rules(&[by_team, critical]), &handlers(sink, TREE), "")
}

fn push(daemon: &Daemon, busy: u32, down: u32) {
    let of = |name: &str, team: &str, value: u32| format!("{name}_m{{team=\"{team}\"}} {value}\n");
    daemon.push(&(of("busy", "web", busy) + &of("busy", "db", busy) + &of("down", "db", down)));
}

#[test]
fn alerts_go_down_the_tree_and_each_handler_is_told_once_and_of_the_end_over_kills_and_another_tree() {
    let sink = Sink::start();
    let folder = routed(&sink);
    let mut daemon = start(&folder);
    push(&daemon, 5, 5);
    // Critical and of the database: both routes lead to `oncall`, which is told once, by the first.
    until_true("all are told", || {
        (taken(&sink, "/chat").len(), taken(&sink, "/oncall").len(), taken(&sink, "/db").len()) == (1, 2, 2)
    });
    let keys = |path: &str| {
        let mut keys: Vec<String> = taken(&sink, path).iter().map(|message| message.group.clone()).collect();
        keys.sort();
        keys
    };
    let before: Vec<_> = HANDLERS.iter().map(|name| keys(&format!("/{name}"))).collect();
    assert_eq!(before[0], [r#"{}:{alertname="busy"}"#]);
    assert_eq!(before[1][0], r#"{}/{severity="critical"}:{alertname="down"}"#);
    assert!(before[1][1].starts_with(r#"{}/{team=~"db|store"}:{alertname="busy""#), "{before:?}");
    daemon.kill();
    folder.write(
        "handlers/h.yaml",
        handlers(&sink, " {group_by: [team], group_wait: 0s, group_interval: 0s, handlers: [chat]}\n"),
    );
    let daemon = start(&folder);
    push(&daemon, 5, 5);
    daemon.wait_alert("down", "firing");
    push(&daemon, 0, 0);
    // Everything that was told is taken back under the key by which the receiver knows it.
    until_true(&format!("all are told of the end: {:#?}", crate::setup::brief(&sink)), || {
        ["/oncall", "/db"].iter().all(|path| taken(&sink, path).iter().filter(|m| m.status == "resolved").count() == 2)
    });
    for (name, before) in HANDLERS.iter().zip(&before).skip(1) {
        let ends = taken(&sink, &format!("/{name}"));
        let mut ends: Vec<_> = ends.iter().filter(|m| m.status == "resolved").map(|m| m.group.clone()).collect();
        ends.sort();
        assert_eq!(ends, *before, "{name}");
    }
    daemon.stop();
}

#[test]
fn the_generic_body_carries_the_labels_of_the_route_and_of_the_group() {
    let sink = Sink::start();
    let plain =
        |name: &str| format!("  - {{name: {name}, type: webhook, url: \"{}\"}}\n", sink.url(&format!("/{name}")));
    let all: String = HANDLERS.iter().map(|name| plain(name)).collect();
    let critical = rules(&[rule("down", "severity: critical")]);
    let folder = folder_with(&critical, &format!("handlers:\n{all}route:{TREE}"), "");
    let daemon = start(&folder);
    push(&daemon, 0, 5);
    until_true("it is told", || !sink.taken("/oncall").is_empty());
    let body = sink.taken("/oncall")[0].json();
    assert_eq!(body["routeLabels"], serde_json::json!({"site": "fra", "tier": "high"}), "{body}");
    assert_eq!(body["groupLabels"], serde_json::json!({"alertname": "down"}), "{body}");
    daemon.stop();
}
