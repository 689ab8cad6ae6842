//! Silences from outside: the command line, amtool, what survives a kill, and who may not make one.

use serde_json::json;

use crate::daemon::kinds;
use crate::http;
use crate::kit::{Daemon, Folder, Ran, command, finish, free_port, peer, until_true};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", severity: error}
"#;
const HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

pub fn folder() -> Folder {
    Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLER)])
}

/// Runs a client of the daemon; its standard output without the end of the line.
#[track_caller]
pub fn client(folder: &Folder, daemon: &Daemon, args: &[&str]) -> Ran {
    let mut command = command(folder);
    command.args(args).env("ALERTD_SERVER", format!("http://{}", daemon.address)).env("USER", "ops");
    let mut ran = finish(&mut command);
    ran.out.truncate(ran.out.trim_end().len());
    ran
}

pub fn hot(daemon: &Daemon) {
    daemon.push("temperature{host=\"a\"} 90\ntemperature{host=\"b\"} 20\n");
    daemon.wait_alert("hot", "firing");
}

#[test]
fn a_silence_that_was_acknowledged_survives_a_kill_at_once_and_what_it_held_is_told_in_the_end() {
    let folder = folder();
    let mut daemon = Daemon::start(&folder);
    let added = client(&folder, &daemon, &["silence", "add", "alertname=hot", "--for", "1h", "--comment", "new fan"]);
    daemon.signal("KILL");
    daemon.wait_end();
    let id = added.exits(0).out;
    assert_eq!(id.len(), 36, "{id}");

    let daemon = Daemon::start(&folder);
    let list = client(&folder, &daemon, &["silence", "list", "--output", "json"]).exits(0).json();
    let silence = &list["silences"][0];
    assert_eq!((&silence["id"], &silence["status"]["state"]), (&json!(id), &json!("active")), "{list:#}");
    assert_eq!((&silence["createdBy"], &silence["comment"]), (&json!("ops"), &json!("new fan")));
    hot(&daemon);
    let held = client(&folder, &daemon, &["history", "--kind", "held", "--output", "json"]).exits(0).json();
    assert_eq!(held["events"][0]["reason"], "silenced", "{held:#}");
    assert_eq!(kinds(&daemon, "hot"), Vec::<String>::new());
    client(&folder, &daemon, &["silence", "expire", &id]).exits(0);
    until_true("it is told at once", || kinds(&daemon, "hot") == ["firing"]);
    let list = client(&folder, &daemon, &["silence", "list"]).exits(0);
    assert_eq!(list.out, "no silence is in force or to come");
    let over = client(&folder, &daemon, &["silence", "list", "--expired"]).exits(0);
    assert!(over.out.contains(&id) && over.out.contains("alertname=\"hot\""), "{over:#?}");
}

#[test]
fn adding_one_tells_what_it_covers_and_warns_where_that_is_nothing() {
    let folder = folder();
    let daemon = Daemon::start(&folder);
    hot(&daemon);
    let add = |matcher: &str| client(&folder, &daemon, &["silence", "add", matcher, "--for", "1h", "--comment", "c"]);
    let covers = add("host=~a|c").exits(0);
    assert_eq!(covers.err.trim(), "covers 1 firing alert: hot{host=\"a\"}");
    let nothing = add("host=z").exits(0);
    assert!(nothing.err.starts_with("warning: it covers no alert"), "{nothing:#?}");
    let all = add("host=~.*").exits(1);
    assert!(all.err.contains("a silence needs a matcher that does not match an empty label"), "{all:#?}");
    let list = client(&folder, &daemon, &["silence", "list", "host=z", "--output", "json"]).exits(0).json();
    assert_eq!(list["silences"].as_array().map(Vec::len), Some(1), "{list:#}");
    let none = client(&folder, &daemon, &["silence", "expire", "no-such-id"]).exits(1);
    assert_eq!(none.err.trim(), "alertd: the daemon refused: silence no-such-id not found");
    assert_eq!(daemon.metric("alertd_silences{state=\"active\"}"), Some(2.0));
    assert_eq!(daemon.get("/api/v1/status").json()["data"]["silences"]["active"], 2);
    assert!(daemon.get("/").text().contains("2 silences in force"));
}

#[test]
fn amtool_adds_queries_changes_and_expires_silences() {
    let Some(amtool) = peer("amtool") else { return };
    let folder = folder();
    let daemon = Daemon::start(&folder);
    hot(&daemon);
    let url = format!("--alertmanager.url=http://{}", daemon.address);
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&amtool);
        let ran = finish(command.arg(&url).args(args).env("HOME", folder.path()));
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:#?}");
        ran.out.trim().to_owned()
    };
    let id = run(&["silence", "add", "-a", "me", "-c", "new fan", "-d", "2h", "hot", "host=~a|b", "team!=web"]);
    let query = |args: &[&str]| -> serde_json::Value {
        let all = [&["silence", "query", "-o", "json"], args].concat();
        serde_json::from_str(&run(&all)).unwrap()
    };
    let found = query(&["alertname=hot"]);
    assert_eq!((&found[0]["id"], &found[0]["status"]["state"]), (&json!(id), &json!("active")), "{found:#}");
    let matcher = |name: &str, value: &str, regex: bool, equal: bool| json!({"name": name, "value": value, "isRegex": regex, "isEqual": equal});
    let matchers = found[0]["matchers"].as_array().unwrap();
    for wanted in [
        matcher("alertname", "hot", false, true),
        matcher("host", "a|b", true, true),
        matcher("team", "web", false, false),
    ] {
        assert!(matchers.contains(&wanted), "{wanted} in {matchers:?}");
    }
    assert_eq!(query(&["alertname=other"]), json!([]));
    assert!(run(&["silence", "update", "-d", "4h", &id]).contains(&id), "a later end keeps the id");
    run(&["silence", "expire", &id]);
    assert_eq!(query(&["alertname=hot"]), json!([]));
    assert_eq!(query(&["--expired", "alertname=hot"])[0]["id"], json!(id));
    let words = client(&folder, &daemon, &["history", "--kind", "silence", "--output", "json"]).exits(0).json();
    let words: Vec<_> = words["events"].as_array().unwrap().iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(words, ["expired", "changed", "added"]);
}

const BODY: &[u8] = br#"{"matchers":[{"name":"a","value":"b","isRegex":false,"isEqual":true}],
    "startsAt":"2026-01-01T00:00:00Z","endsAt":"2100-01-01T00:00:00Z","createdBy":"x","comment":"y"}"#;

#[test]
fn a_page_of_another_site_can_neither_make_nor_end_a_silence() {
    let folder = folder();
    let daemon = Daemon::start(&folder);
    let send = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        http::exchange(&daemon.address, &http::request(&daemon.address, method, path, headers, body)).unwrap()
    };
    let json = ("Content-Type", "application/json");
    let made = send("POST", "/api/v2/silences", &[json], BODY);
    assert_eq!(made.status, 200, "{}", made.text());
    let path = format!("/api/v2/silence/{}", made.json()["silenceID"].as_str().unwrap());
    for foreign in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        assert_eq!(send("POST", "/api/v2/silences", &[json, foreign], BODY).status, 403, "{foreign:?}");
        assert_eq!(send("DELETE", &path, &[foreign], b"").status, 403, "{foreign:?}");
        assert_eq!(send("POST", "/api/v1/outbox/drop", &[json, foreign], br#"{"handler":"screen"}"#).status, 403);
    }
    // What a form can send without being asked for leave.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(send("POST", "/api/v2/silences", &[("Content-Type", kind)], BODY).status, 415, "{kind}");
    }
    let list = daemon.get("/api/v2/silences").json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list:#}");
    assert_eq!(list[0]["status"]["state"], "active");
    assert_eq!(send("DELETE", &path, &[], b"").status, 200);
}

#[test]
fn where_state_cannot_be_stored_silences_are_refused_and_everything_says_so() {
    let folder = folder();
    folder.write("data", "a file where the folder should be");
    let daemon = Daemon::spawn(&folder, &["rules/"], free_port());
    daemon.wait_ready();
    let refused = client(&folder, &daemon, &["silence", "add", "a=b", "--for", "1h", "--comment", "c"]).exits(1);
    assert!(refused.err.contains("the silence cannot be stored, so nothing was changed"), "{refused:#?}");
    let answer = daemon.post("/api/v2/silences", &[("Content-Type", "application/json")], BODY);
    assert_eq!(answer.status, 503);
    assert!(answer.json().is_string(), "{}", answer.text());
    assert_eq!(daemon.get("/api/v2/silences").json(), json!([]));
    let ready = daemon.get("/-/ready");
    assert_eq!(ready.status, 200, "alerts are evaluated and told");
    assert!(
        ready.json()["reasons"][0].as_str().unwrap_or_default().contains("state is not stored"),
        "{}",
        ready.text()
    );
    let state = daemon.get("/api/v1/status").json()["data"]["state"].clone();
    assert_eq!(state["durable"], false, "{state:#}");
    assert_eq!(daemon.metric("alertd_state_durable"), Some(0.0));
    assert!(daemon.get("/").text().contains("State is not stored"));
    hot(&daemon);
    until_true("alerts are told all the same", || kinds(&daemon, "hot") == ["firing"]);
}

#[test]
fn a_silence_of_several_sets_that_comes_again_outlives_a_kill_and_amtool_makes_it_longer() {
    let folder = folder();
    let mut daemon = Daemon::start(&folder);
    let add = [
        &["silence", "add", "alertname=hot", "host=z", "--or", "alertname=hot,host=a", "--or", "{host=\"b\"}"][..],
        &["--cron", "0 0 * * * *", "--window", "30m", "--timezone", "Europe/Berlin", "--for", "30d"],
        &["--comment", "OPS-1 backups", "--annotation", "ticket=OPS-1"],
    ];
    let added = client(&folder, &daemon, &add.concat()).exits(0);
    assert!(added.err.contains("in force n"), "now or next: {added:#?}");
    daemon.signal("KILL");
    daemon.wait_end();
    let daemon = Daemon::start(&folder);
    let list =
        || client(&folder, &daemon, &["silence", "list", "--output", "json"]).exits(0).json()["silences"][0].clone();
    let silence = list();
    assert_eq!(silence["id"], json!(added.out));
    assert_eq!(silence["matcherSets"].as_array().map(Vec::len), Some(3), "{silence:#}");
    assert_eq!(silence["matchers"], silence["matcherSets"][0]["matchers"], "what others see is the first set");
    let windows = json!({"cron": "0 0 * * * *", "duration": "30m", "timezone": "Europe/Berlin"});
    assert_eq!((&silence["recurrence"], &silence["annotations"]), (&windows, &json!({"ticket": "OPS-1"})));
    let window = &silence["window"];
    assert!(window["startsAt"].as_str() < window["endsAt"].as_str(), "{silence:#}");
    let table = client(&folder, &daemon, &["silence", "list"]).exits(0).out;
    assert!(table.contains("0 0 * * * * for 30m in Europe/Berlin until 20"), "{table}");
    if let Some(amtool) = peer("amtool") {
        let url = format!("--alertmanager.url=http://{}", daemon.address);
        let mut update = std::process::Command::new(&amtool);
        let ran = finish(update.args([&url, "silence", "update", "-d", "40d", &added.out]).env("HOME", folder.path()));
        assert!(ran.code == Some(0) && ran.out.contains(&added.out), "{ran:#?}");
        let after = list();
        assert_eq!((&after["matcherSets"], &after["recurrence"]), (&silence["matcherSets"], &windows), "{after:#}");
    }
    client(&folder, &daemon, &["silence", "expire", &added.out]).exits(0);
    for (args, why) in [
        (&["--rrule", "FREQ=HOURLY", "--window", "1h"][..], "several times a day are written with BYHOUR"),
        (&["--cron", "0 2 * * *", "--window", "1h"], "seconds come first"),
        (&["--rrule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "--window", "1h"], "this rule never happens"),
    ] {
        let args = [&["silence", "add", "a=b", "--for", "1h", "--comment", "c"], args].concat();
        let refused = client(&folder, &daemon, &args).exits(1);
        assert!(refused.err.contains(why), "{refused:#?}");
    }
    let alone =
        client(&folder, &daemon, &["silence", "add", "a=b", "--for", "1h", "--comment", "c", "--cron", "@daily"]);
    assert!(alone.exits(2).err.contains("--window"), "a window has a length");
}

#[test]
fn a_preview_tells_what_fires_now_and_what_was_told_before() {
    let folder = folder();
    let daemon = Daemon::start(&folder);
    hot(&daemon);
    until_true("it is told", || kinds(&daemon, "hot") == ["firing"]);
    let preview = client(&folder, &daemon, &["silence", "preview", "host=z", "--or", "alertname=hot"]).exits(0);
    let lines: Vec<&str> = preview.out.lines().collect();
    assert_eq!(lines[0], "now: covers 1 firing alert: hot{host=\"a\"}");
    assert_eq!(lines[1], "in the last 7 days: 1 alert fired 1 time, 1 message about that was sent");
    assert_eq!(lines[2], "  hot 1 time");
    let nothing = client(&folder, &daemon, &["silence", "preview", "host=z", "--output", "json"]).exits(0).json();
    assert_eq!((&nothing["firing"], &nothing["past"]["episodes"]), (&json!(0), &json!(0)), "{nothing:#}");
}

#[test]
fn guard_rails_hold_everywhere_and_follow_a_reload() {
    let folder = folder();
    folder.write("alertd.yaml", "silences: {min_matchers: 2, max_duration: 1d, comment_pattern: '^OPS-[0-9]+'}\n");
    let daemon = Daemon::start(&folder);
    let add = |more: &[&str]| client(&folder, &daemon, &[&["silence", "add", "alertname=hot"], more].concat());
    for (more, key) in [
        (&["--for", "1h", "--comment", "OPS-1"][..], "silences.min_matchers"),
        (&["host=a", "--for", "25h", "--comment", "OPS-1"], "silences.max_duration"),
        (&["host=a", "--for", "1h", "--comment", "oops"], "silences.comment_pattern"),
    ] {
        let refused = add(more).exits(1);
        assert!(refused.err.contains(key), "{refused:#?}");
    }
    let kind = ("Content-Type", "application/json");
    assert_eq!(daemon.post("/api/v2/silences", &[kind], BODY).status, 400);
    let id = add(&["host=a", "--for", "1h", "--comment", "OPS-1"]).exits(0).out;
    folder.write("alertd.yaml", "silences: {max_duration: 1s}\n");
    assert_eq!(daemon.post("/-/reload", &[], b"").status, 200);
    assert!(add(&["--for", "1h", "--comment", "c"]).exits(1).err.contains("silences.max_duration"));
    client(&folder, &daemon, &["silence", "expire", &id]).exits(0);
    folder.write("alertd.yaml", "silences: {comment_pattern: '('}\n");
    let refused = daemon.post("/-/reload", &[], b"");
    assert!(refused.status == 422 && refused.text().contains("comment_pattern"), "{}", refused.text());
}

#[test]
fn people_are_told_by_a_handler_of_choice_that_a_silence_ends_which_hides_what_fires() {
    let folder = folder();
    let handlers =
        "handlers:\n  - {name: screen, type: console, format: json}\n  - {name: other, type: console, format: json}\n";
    folder.write("handlers/h.yaml", handlers);
    let config =
        "evaluation_interval: 1s\nbuiltin_rules: {enabled: false}\nsilences: {remind_before: 50s, notify: [other]}\n";
    folder.write("alertd.yaml", config);
    let daemon = Daemon::start(&folder);
    let add = ["silence", "add", "alertname=hot", "--for", "52s", "--comment", "new fan"];
    client(&folder, &daemon, &add).exits(0);
    hot(&daemon);
    let sent = || client(&folder, &daemon, &["history", "--kind", "sent", "--output", "json"]).exits(0).json();
    until_true("the reminder is told", || sent()["events"][0]["rule"] == "alertd_silence_ends");
    assert_eq!(sent()["events"][0]["handler"], "other", "{:#}", sent());
    assert_eq!(kinds(&daemon, "hot"), Vec::<String>::new());
    // The kit leaves alertd's own alerts out.
    let all = daemon.get("/api/v1/alerts").json()["data"]["alerts"].clone();
    let own = |alert: &&serde_json::Value| alert["labels"]["alertname"] == "alertd_silence_ends";
    let summary = all.as_array().unwrap().iter().find(own).unwrap()["annotations"]["summary"].clone();
    let summary = summary.as_str().unwrap_or_default().to_owned();
    assert!(summary.starts_with("the silence by ops (new fan) ends at 20"), "{summary}");
    assert!(summary.ends_with("still hides 1 firing alert"), "{summary}");
}
