//! The history from outside: what happened to alerts and to messages, filtered, in pages, as a table, JSON and CSV.

use serde_json::Value;

use crate::http;
use crate::kit::{Daemon, Folder, until_true};
use crate::silences::client;

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", severity: error}
  - {name: cold, metric: temperature, threshold: "< 5", severity: info}
"#;

fn reasons(events: &Value) -> Vec<String> {
    let of = |e: &Value| format!("{} {}", e["kind"].as_str().unwrap(), e["reason"].as_str().unwrap_or_default());
    events.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn everything_that_happened_to_an_alert_can_be_found_also_after_a_kill() {
    let folder = Folder::with(&[("rules/a.yaml", RULES)]);
    let mut daemon = Daemon::start(&folder);
    daemon.push("temperature{host=\"=HYPERLINK(1)\"} 90\ntemperature{host=\"b\"} 1\n");
    daemon.wait_alert("hot", "firing");
    daemon.out.wait("FIRING hot");
    // Printed and written down are two things: the row of the delivery follows at once.
    let sent = |count: usize| {
        let ran = client(&folder, &daemon, &["history", "--kind", "sent", "--rule", "hot", "--output", "json"]);
        ran.json()["events"].as_array().map(Vec::len) == Some(count)
    };
    until_true("the delivery is put down", || sent(1));
    daemon.push("temperature{host=\"=HYPERLINK(1)\"} 20\n");
    daemon.out.wait("RESOLVED hot");
    until_true("the second too", || sent(2));
    daemon.signal("KILL");
    daemon.wait_end();

    let daemon = Daemon::start(&folder);
    let ask = |args: &[&str]| {
        let args = [&["history", "--output", "json"], args].concat();
        client(&folder, &daemon, &args).exits(0).json()["events"].clone()
    };
    let of_hot = ["sent written", "transition resolved", "sent written", "transition fired"];
    assert_eq!(reasons(&ask(&["--rule", "hot"])), of_hot);
    assert_eq!(reasons(&ask(&["alertname=hot"])), of_hot);
    assert_eq!(reasons(&ask(&["--severity", "error"])), of_hot);
    assert_eq!(reasons(&ask(&["--severity", "warning"])), of_hot, "that or worse");
    assert_eq!(reasons(&ask(&["--severity", "=warning"])), Vec::<String>::new(), "just that");
    assert_eq!(reasons(&ask(&["--rule", "hot", "--kind", "sent", "--handler", "console"])), [of_hot[0], of_hot[2]]);
    assert_eq!(reasons(&ask(&["host=b", "--kind", "transition"])).last().map(String::as_str), Some("transition fired"));
    assert_eq!(reasons(&ask(&["--rule", "hot", "--limit", "1"])), of_hot[..1]);
    let events = ask(&["--rule", "hot", "--since", "1h"]);
    let fingerprint = events[0]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(reasons(&ask(&["--fingerprint", &fingerprint])), of_hot);
    assert_eq!(reasons(&ask(&["--rule", "hot", "--to", events[3]["time"].as_str().unwrap()])), Vec::<String>::new());

    let table = client(&folder, &daemon, &["history", "--rule", "hot"]).exits(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TIME") && lines.len() == 5, "{table}");
    assert!(lines[1].contains("fired") && lines[4].contains("written"), "the newest is the last:\n{table}");

    let csv = client(&folder, &daemon, &["history", "--rule", "hot", "--output", "csv"]).exits(0).out;
    assert_eq!(csv.lines().count(), 5, "{csv}");
    let wrong = client(&folder, &daemon, &["history", "--kind", "nonsense"]).exits(1);
    assert!(wrong.err.contains("there is no kind \"nonsense\"; there are transition, held, sent"), "{wrong:#?}");
}

#[test]
fn pages_follow_one_another_without_gap_or_repetition_in_json_and_csv() {
    let folder = Folder::with(&[("rules/a.yaml", RULES)]);
    let daemon = Daemon::start(&folder);
    let hosts: String = (0..25).map(|n| format!("temperature{{host=\"h{n}\"}} 90\n")).collect();
    daemon.push(&hosts);
    let path = "/api/v1/history?rule=hot&kind=transition";
    let all = || daemon.get(&format!("{path}&limit=1000")).json()["data"]["events"].as_array().cloned().unwrap();
    until_true("all have fired", || all().len() == 25);
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = daemon.get(&format!("{path}&limit=4{cursor}")).json();
        seen.extend(page["data"]["events"].as_array().cloned().unwrap());
        pages += 1;
        match page["data"]["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", http::encoded(next)),
            None => break,
        }
    }
    assert_eq!((pages, &seen), (7, &all()));
    let csv = daemon.get(&format!("{path}&limit=4&format=csv"));
    assert_eq!((csv.status, csv.text().lines().count()), (200, 5));
    let next = csv.header("x-alertd-next").unwrap().to_owned();
    let second = daemon.get(&format!("{path}&limit=4&format=csv&cursor={}", http::encoded(&next))).text();
    assert!(!csv.text().lines().skip(1).any(|line| second.contains(line)), "{second}");
    for wrong in ["limit=0x", "limit=1001", "cursor=x", "from=x", "severity=x", "match[]=x", "format=x"] {
        assert_eq!(daemon.get(&format!("/api/v1/history?{wrong}")).status, 400, "{wrong}");
    }
}
