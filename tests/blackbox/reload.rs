//! Rules change while the daemon runs: by editors, by ConfigMaps, by mistake.

use std::fmt::Write as _;

use crate::daemon::{kinds, notices};
use crate::kit::{Daemon, Folder, until, until_true};

const JSON_HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

fn rule(name: &str) -> String {
    format!("rules:\n  - {{name: {name}, metric: m, threshold: '> 5', every: 1s}}\n")
}

fn start(files: &[(&str, &str)]) -> (Folder, Daemon) {
    let folder = Folder::with(files);
    folder.write("handlers/h.yaml", JSON_HANDLER);
    let daemon = Daemon::start(&folder);
    (folder, daemon)
}

#[test]
fn a_change_is_seen_by_itself_on_hangup_and_on_request() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one"))]);
    assert_eq!(daemon.rule_names(), ["one"]);
    folder.write("rules/a.yaml", rule("two"));
    until_true("the watcher sees it", || daemon.rule_names() == ["two"]);
    folder.write("rules/b.yaml", rule("three"));
    until_true("a new file", || daemon.rule_names() == ["three", "two"]);
    std::fs::remove_file(folder.at("rules/b.yaml")).unwrap();
    until_true("a removed file", || daemon.rule_names() == ["two"]);
    let before = daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap();
    daemon.signal("HUP");
    until_true("a hangup reloads", || daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap() > before);
    let before = daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap();
    let answer = daemon.post("/-/reload", &[], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap() > before, "done when answered");
    assert_eq!(daemon.get("/-/reload").status, 405, "a GET changes nothing");
}

#[test]
fn a_bad_file_keeps_the_rules_before_it_and_says_so_everywhere() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one")), ("rules/b.yaml", &rule("two"))]);
    daemon.push("m 9\n");
    daemon.wait_alert("one", "firing");
    let bad: [(&str, Vec<u8>); 6] = [
        ("syntax", b"rules:\n  - {name: one, metric: m, threshold: '> 5'\n".to_vec()),
        ("unknown key", b"rules:\n  - {name: one, metric: m, thresold: '> 5'}\n".to_vec()),
        ("half written", b"rules:\n  - name: one\n    metric: m\n    thresh".to_vec()),
        ("empty", Vec::new()),
        ("NUL", b"rules:\n\0\0\0".to_vec()),
        ("bad PromQL", b"rules:\n  - {name: one, expr: 'sum(m'}\n".to_vec()),
    ];
    for (what, text) in bad {
        folder.write("rules/a.yaml", &text);
        until_true(&format!("{what}: the metric tells"), || {
            daemon.metric("alertd_config_last_reload_successful") == Some(0.0)
        });
        assert_eq!(daemon.rule_names(), ["one", "two"], "{what}");
        assert!(daemon.err.count("rules/a.yaml") > 0, "{what}: the log names the file: {}", daemon.err.text());
        let ready = daemon.get("/-/ready");
        assert_eq!(ready.status, 200, "{what}: it still does its work");
        assert!(ready.text().contains("rules/a.yaml"), "{what}: /-/ready tells: {}", ready.text());
        let refused = daemon.post("/-/reload", &[], b"");
        assert!(
            refused.status >= 400 && refused.text().contains("rules/a.yaml"),
            "{what}: {} {}",
            refused.status,
            refused.text()
        );
        assert_eq!(daemon.wait_alert("one", "firing")["state"], "firing");
        folder.write("rules/a.yaml", rule("one"));
        until_true(&format!("{what}: mended"), || daemon.metric("alertd_config_last_reload_successful") == Some(1.0));
        assert!(!daemon.get("/-/ready").text().contains("rules/a.yaml"));
    }
    assert_eq!(kinds(&daemon, "one"), ["firing"], "all that time nobody was bothered: {}", daemon.out.text());
}

#[test]
fn an_editor_that_renames_over_the_file_is_noticed() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("r0"))]);
    for round in 1..=4 {
        // vim: backup away, a new file in place; others: write beside it and rename over it.
        if round % 2 == 0 {
            std::fs::rename(folder.at("rules/a.yaml"), folder.at("rules/a.yaml~")).unwrap();
            folder.write("rules/a.yaml", rule(&format!("r{round}")));
        } else {
            folder.write("rules/.a.yaml.swp", "\0binary");
            folder.write("rules/.a.tmp", rule(&format!("r{round}")));
            std::fs::rename(folder.at("rules/.a.tmp"), folder.at("rules/a.yaml")).unwrap();
        }
        until_true("the new content", || daemon.rule_names() == [format!("r{round}")]);
    }
    assert_eq!(daemon.metric("alertd_config_last_reload_successful"), Some(1.0), "{}", daemon.err.text());
}

/// Two files of one generation, as a ConfigMap mounts them: `..data` points at the folder of the generation.
#[test]
fn a_swapped_config_map_is_never_seen_half() {
    let folder = Folder::with(&[("handlers/h.yaml", JSON_HANDLER)]);
    std::fs::create_dir(folder.at("rules")).unwrap();
    let generation = |n: u32| {
        folder.write(&format!("rules/..gen{n}/a.yaml"), rule(&format!("a{n}")));
        folder.write(&format!("rules/..gen{n}/b.yaml"), rule(&format!("b{n}")));
    };
    let point = |n: u32| {
        std::os::unix::fs::symlink(format!("..gen{n}"), folder.at("rules/..data_tmp")).unwrap();
        std::fs::rename(folder.at("rules/..data_tmp"), folder.at("rules/..data")).unwrap();
    };
    generation(0);
    point(0);
    for file in ["a.yaml", "b.yaml"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), folder.at(&format!("rules/{file}"))).unwrap();
    }
    let daemon = Daemon::start(&folder);
    assert_eq!(daemon.rule_names(), ["a0", "b0"]);
    for n in 1..=30 {
        generation(n);
        point(n);
        std::fs::remove_dir_all(folder.at(&format!("rules/..gen{}", n - 1))).unwrap();
        // Some swaps follow one another before the daemon has looked; what it shows is one generation all the same.
        let patience = if n % 5 == 0 { 1 } else { 0 };
        let seen = || {
            let names = daemon.rule_names();
            assert_eq!(names.len(), 2, "round {n}: {names:?}");
            assert_eq!(names[0][1..], names[1][1..], "round {n}: a mix: {names:?}");
            names[0] == format!("a{n}")
        };
        if patience == 0 {
            (0..3).for_each(|_| {
                seen();
            });
        } else {
            until_true("the generation is taken", seen);
        }
    }
}

#[test]
fn a_rule_that_moves_to_another_file_goes_on_firing() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("moved")), ("rules/z.yaml", &rule("stays"))]);
    daemon.push("m 9\n");
    until_true("it is told", || kinds(&daemon, "moved") == ["firing"]);
    let before = daemon.wait_alert("moved", "firing");
    std::fs::rename(folder.at("rules/a.yaml"), folder.at("rules/team.yaml")).unwrap();
    let origin = || daemon.alert("moved").and_then(|a| a["origin"].as_str().map(str::to_owned)).unwrap_or_default();
    until_true("the move is seen", || {
        origin().starts_with("rules/team.yaml")
            || daemon
                .rules()
                .iter()
                .any(|r| r["name"] == "moved" && r["origin"].as_str().is_some_and(|o| o.starts_with("rules/team.yaml")))
    });
    daemon.wait_evaluations(6);
    let after = daemon.wait_alert("moved", "firing");
    assert_eq!((&before["activeAt"], &before["fingerprint"]), (&after["activeAt"], &after["fingerprint"]));
    assert_eq!(kinds(&daemon, "moved"), ["firing"], "{}", daemon.out.text());
}

#[test]
fn a_changed_threshold_keeps_the_alert_and_a_removed_rule_takes_it_back() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one")), ("rules/b.yaml", &rule("two"))]);
    daemon.push("m 9\n");
    until_true("both are told", || kinds(&daemon, "one").len() + kinds(&daemon, "two").len() == 2);
    folder.write("rules/a.yaml", rule("one").replace("> 5", "> 6"));
    until_true("the change is taken", || {
        daemon.rules().iter().any(|r| r["query"].as_str().is_some_and(|q| q.contains("> 6")))
    });
    daemon.wait_evaluations(4);
    assert_eq!(kinds(&daemon, "one"), ["firing"]);
    std::fs::remove_file(folder.at("rules/b.yaml")).unwrap();
    until_true("it is taken back", || kinds(&daemon, "two") == ["firing", "resolved"]);
    let told = notices(&daemon).into_iter().find(|n| n["kind"] == "resolved").unwrap();
    assert_eq!(told["alerts"][0]["reason"], "rule removed", "{told:#}");
    folder.write("rules/a.yaml", rule("one").replace("every: 1s", "every: 1s, enabled: false"));
    until_true("a disabled rule is taken back too", || kinds(&daemon, "one") == ["firing", "resolved"]);
}

#[test]
fn rules_removed_while_it_was_down_are_taken_back_after_the_start() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one")), ("rules/b.yaml", &rule("two"))]);
    daemon.push("m 9\n");
    until_true("both are told", || kinds(&daemon, "one").len() + kinds(&daemon, "two").len() == 2);
    daemon.stop();
    std::fs::remove_file(folder.at("rules/b.yaml")).unwrap();
    let daemon = Daemon::start(&folder);
    until_true("the one that is gone resolves", || kinds(&daemon, "two") == ["resolved"]);
    assert_eq!(kinds(&daemon, "one"), [""; 0], "{}", daemon.out.text());
}

#[test]
fn handlers_are_reloaded_too() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one"))]);
    daemon.push("m 9\n");
    until_true("told as JSON", || kinds(&daemon, "one") == ["firing"]);
    folder.write("handlers/h.yaml", "handlers:\n  - {name: screen, type: console, format: text}\n");
    let before = daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap();
    until_true("the change is taken", || {
        daemon.post("/-/reload", &[], b"").status == 200
            && daemon.metric("alertd_config_reloads_total{result=\"ok\"}").unwrap() > before
    });
    daemon.push("m 1\n");
    let line = until("told as text", || daemon.out.all().into_iter().find(|l| l.starts_with("RESOLVED")));
    assert!(line.contains("one"), "{line}");
}

#[test]
fn a_thousand_rules_reload_while_alerts_fire() {
    let mut text = String::from("defaults: {every: 1s}\nrules:\n");
    for i in 0..1000 {
        let _ = writeln!(text, "  - {{name: r{i}, metric: m, threshold: '> {}'}}", i % 100);
    }
    let (folder, daemon) = start(&[("rules/a.yaml", &text)]);
    daemon.push("m 0.5\n");
    until_true("ten of them fire", || daemon.alerts().len() == 10);
    folder.write("rules/a.yaml", text.replace("r999,", "last,"));
    until_true("the change is taken", || daemon.rule_names().contains(&"last".to_owned()));
    daemon.wait_evaluations(1500);
    assert_eq!(daemon.alerts().len(), 10);
    assert_eq!(notices(&daemon).len(), 10);
}

#[test]
fn a_start_with_a_broken_file_runs_says_so_and_forgets_nothing() {
    let (folder, daemon) = start(&[("rules/a.yaml", &rule("one"))]);
    daemon.push("m 9\n");
    until_true("it is told", || kinds(&daemon, "one") == ["firing"]);
    let before = daemon.wait_alert("one", "firing");
    daemon.stop();
    folder.write("rules/a.yaml", "rules:\n  - {name: one, metrc: m}\n");
    let daemon = Daemon::spawn(&folder, &["rules/"], crate::kit::free_port());
    until("it answers", || crate::http::get(&daemon.address, "/-/healthy").ok().filter(|r| r.status == 200));
    let ready = daemon.get("/-/ready");
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(ready.text().contains("rules/a.yaml"), "{}", ready.text());
    daemon.wait_evaluations(2);
    folder.write("rules/a.yaml", rule("one"));
    daemon.wait_ready();
    daemon.push("m 9\n");
    daemon.wait_evaluations(8);
    assert_eq!(daemon.wait_alert("one", "firing")["activeAt"], before["activeAt"]);
    assert_eq!(kinds(&daemon, "one"), [""; 0], "neither resolved nor told again: {}", daemon.out.text());
}
