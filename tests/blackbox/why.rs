//! `alertd why` and `alertd route` from outside: against a daemon, on what it left, and on files.

use crate::kit::{Daemon, Folder, run as alertd, until_true};
use crate::silences::client;

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", severity: error}
  - {name: never, metric: temperature, threshold: "> 800"}
"#;

const HANDLERS: &str = r#"
handlers:
  - {name: screen, type: console}
  - {name: worst, type: console, min_severity: critical}
route: {group_by: [alertname], group_wait: 0s, handlers: [screen], routes: [{matchers: ['severity="error"'], handlers: [screen, worst]}]}
"#;

#[test]
fn why_tells_the_story_of_a_daemon_and_of_what_it_left() {
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLERS)]);
    let mut daemon = Daemon::start(&folder);
    daemon.push("temperature{host=\"a\"} 90\n");
    daemon.wait_alert("hot", "firing");
    daemon.out.wait("FIRING hot");
    let told = |out: &str| out.contains("it fired since") && out.contains("screen: told that it fires, answer");
    until_true("the delivery is put down", || told(&client(&folder, &daemon, &["why", "hot{host=\"a\"}"]).out));
    let story = client(&folder, &daemon, &["why", "hot"]).exits(0).out;
    assert!(story.contains("worst: not told: below min_severity"), "{story}");
    let never = client(&folder, &daemon, &["why", "never{host=\"a\"}"]).exits(0).out;
    assert!(never.contains("came nearest with 90") && never.contains("`> 800`"), "{never}");
    let unknown = client(&folder, &daemon, &["why", "nothing"]).exits(1).out;
    assert!(unknown.contains("the history knows no evaluation and no alert of"), "{unknown}");
    assert_eq!(daemon.get("/api/v1/why?alert=hot").json()["data"]["alerts"][0]["state"], "firing");
    assert_eq!(daemon.get("/api/v1/why").status, 400);
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let held = alertd(&folder, &["why", "hot", "--data-dir", data]).exits(2).err;
    assert!(held.contains("ask the daemon that uses it"), "{held}");
    let route = daemon.get("/api/v1/route?labels=severity%3D%22error%22").json();
    assert_eq!(route["data"]["routes"][0]["path"], "{}/{severity=\"error\"}");
    assert_eq!(daemon.get("/api/v1/route?labels=a%3D~%22b%22").status, 400);
    daemon.signal("TERM");
    daemon.wait_end();
    let left = alertd(&folder, &["why", "hot{host=\"a\"}", "--data-dir", data]).exits(0).out;
    assert!(told(&left), "{left}");
    assert!(alertd(&folder, &["why", "hot", "--data-dir", "nowhere"]).exits(2).err.contains("no data directory"));
}

#[test]
fn route_shows_path_timers_and_message_from_files() {
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLERS)]);
    let shown = alertd(&folder, &["route", "{alertname=\"hot\"}"]).exits(0).out;
    for part in [
        "route {}/{severity=\"error\"}",
        "group_wait 0s, group_interval 5m, repeat_interval 4h",
        "screen (console) is told",
        "FIRING error hot",
        "worst (console) is not told: below min_severity",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let unheard = alertd(&folder, &["route", "severity=unheard-of"]).exits(0).out;
    assert!(unheard.contains("FIRING warning"), "{unheard}");
    assert!(alertd(&folder, &["route", "a=~b"]).exits(2).err.contains("is a condition"));
}
