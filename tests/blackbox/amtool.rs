//! Every command of the real amtool against a running alertd, in every form of output.
//!
//! The commands are those of prometheus/alertmanager:cli; what they print is read as their users read it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Daemon, Folder, Ran, finish, peer, until_true};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", severity: error, annotations: {summary: "too hot"}}
  - {name: nightly, metric: nightly, threshold: "> 0", notify: [page]}
"#;
const HANDLERS: &str = r#"
handlers:
  - {name: screen, type: console, format: json}
  - {name: page, type: webhook, url: "http://127.0.0.1:9/s3cret-path", headers: {X-Token: s3cret-token}}
  - {name: mail, type: smtp, host: 127.0.0.1, port: 9, tls: none, from: s3cret@example.org, to: [ops@example.org], username: s3cret-user, password: s3cret-word, allow_plaintext: true}
route:
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  handlers: [screen]
  routes:
    - {matchers: ['severity="critical"'], handlers: [page, mail], continue: true, group_by: ['...']}
    - {matchers: ['team=~"db|sql"', 'env!="dev"'], handlers: [mail], mute: [nights]}
    - {matchers: ['quiet="yes"'], active: [nights], handlers: [page]}
time_intervals:
  - name: nights
    time_intervals:
      - {times: [{start_time: '22:00', end_time: '24:00'}], weekdays: ['monday:friday', sunday], days_of_month: ['-3:-1'], months: ['march'], years: ['2024:2025'], location: Europe/Berlin}
"#;

struct Tool {
    program: PathBuf,
    folder: Folder,
    daemon: Daemon,
}

impl Tool {
    fn start() -> Option<Self> {
        let program = peer("amtool")?;
        let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLERS)]);
        folder.write("alertd.yaml", "host_metrics: {enabled: false}\nbuiltin_rules: {enabled: false}\n");
        let daemon = Daemon::start(&folder);
        Some(Self { program, folder, daemon })
    }

    fn ran(&self, args: &[&str]) -> Ran {
        let url = format!("--alertmanager.url=http://{}", self.daemon.address);
        let mut command = Command::new(&self.program);
        command.arg(&url).args(args).current_dir(self.folder.path()).env("HOME", self.folder.path());
        finish(&mut command)
    }

    /// What it prints; it must succeed.
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let ran = self.ran(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:#?}");
        ran.out
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let all = [args, &["-o", "json"]].concat();
        serde_json::from_str(&self.run(&all)).unwrap()
    }

    /// Names of alerts that a query gives.
    #[track_caller]
    fn names(&self, args: &[&str]) -> Vec<String> {
        let found = self.json(&[&["alert", "query"], args].concat());
        let mut names: Vec<String> = found
            .as_array()
            .unwrap_or(&Vec::new())
            .iter()
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn alerts_are_added_and_queried() {
    let Some(tool) = Tool::start() else { return };
    tool.daemon.push("temperature{host=\"a\"} 90\n");
    tool.daemon.wait_alert("hot", "firing");
    let add = ["alert", "add", "disk", "host=a", "severity=critical", "--annotation=summary=it is full"];
    tool.run(&[&add[..], &["--generator-url=http://prom.example/graph"]].concat());
    tool.run(&["alert", "add", "alertname=sql", "team=db", "quiet=yes"]);

    assert_eq!(tool.names(&[]), ["disk", "hot", "sql"]);
    assert_eq!(tool.names(&["disk"]), ["disk"]);
    assert_eq!(tool.names(&["alertname=~d.*|sql", "team=db"]), ["sql"]);
    assert_eq!(tool.names(&["host!=a"]), ["sql"]);
    assert_eq!(tool.names(&["--receiver=p.*e"]), ["disk"]);
    assert_eq!(tool.names(&["-r", "screen"]), ["hot"]);
    assert_eq!(tool.names(&["-r", "age"]), Vec::<String>::new(), "the whole name must fit");
    assert_eq!(tool.names(&["--unprocessed"]), Vec::<String>::new());

    let simple = tool.run(&["alert", "query", "disk"]);
    assert!(simple.contains("disk") && simple.contains("it is full") && simple.contains("active"), "{simple}");
    let extended = tool.run(&["alert", "query", "-o", "extended", "disk"]);
    for part in ["host=\"a\"", "severity=\"critical\"", "summary=\"it is full\"", "http://prom.example/graph", "active"]
    {
        assert!(extended.contains(part), "{part}: {extended}");
    }
    let found = tool.json(&["alert", "query", "hot"]);
    assert_eq!(found[0]["annotations"], json!({"summary": "too hot"}), "{found:#}");
    assert_eq!(found[0]["receivers"][0]["name"], "screen");
    let ends_at = found[0]["endsAt"].as_str().unwrap();
    assert!(ends_at > found[0]["updatedAt"].as_str().unwrap(), "an end to come: {found:#}");
    // FNV-1a of names and values in their order, each behind an end mark, as Alertmanager has it.
    let labels = found[0]["labels"].as_object().unwrap();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in labels.iter().flat_map(|(n, v)| [n.as_str(), v.as_str().unwrap()]).flat_map(|t| t.bytes().chain([0xff]))
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    assert_eq!(found[0]["fingerprint"], format!("{hash:016x}"));

    tool.run(&["silence", "add", "-a", "me", "-c", "c", "disk"]);
    assert_eq!((tool.names(&[]), tool.names(&["--silenced"])), (vec!["hot".into(), "sql".into()], vec!["disk".into()]));
    tool.run(&[
        "alert",
        "add",
        "sql",
        "team=db",
        "quiet=yes",
        "--end=2020-01-01T00:00:00Z",
        "--start=2019-01-01T00:00:00Z",
    ]);
    until_true("it is over", || tool.names(&[]) == ["hot"]);
    let refused = tool.ran(&["alert", "add", "x", "--start=2020-01-01T00:00:00Z", "--end=2019-01-01T00:00:00Z"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("start time must be before end time"), "{refused:#?}");
}

#[test]
fn groups_say_who_is_told_together_and_what_mutes_them() {
    let Some(tool) = Tool::start() else { return };
    for args in [
        ["disk", "severity=critical", "team=db"],
        ["disk", "severity=critical", "team=web"],
        ["idle", "quiet=yes", "n=1"],
    ] {
        tool.run(&[&["alert", "add"][..], &args].concat());
    }
    let groups = |query: &str| -> Vec<(String, Value, usize, Value)> {
        let found = tool.daemon.get(&format!("/api/v2/alerts/groups{query}")).json();
        let one = |group: &Value| {
            let alerts = group["alerts"].as_array().unwrap();
            let (name, muted) = (group["receiver"]["name"].as_str().unwrap(), alerts[0]["status"]["mutedBy"].clone());
            (name.to_owned(), group["labels"].clone(), alerts.len(), muted)
        };
        found.as_array().unwrap().iter().map(one).collect()
    };
    let disk = |team: &str| json!({"alertname": "disk", "severity": "critical", "team": team});
    let by_name = |name: &str| json!({"alertname": name});
    let (none, nights) = (json!([]), json!(["nights"]));
    let all = groups("");
    // `mail` is reached by the first route already, so the second adds nobody.
    for wanted in [
        ("mail".to_owned(), disk("db"), 1, none.clone()),
        ("page".to_owned(), disk("db"), 1, none.clone()),
        ("mail".to_owned(), disk("web"), 1, none.clone()),
        ("page".to_owned(), disk("web"), 1, none),
        ("page".to_owned(), by_name("idle"), 1, nights),
    ] {
        assert!(all.contains(&wanted), "{wanted:?} in {all:#?}");
    }
    assert_eq!(all.len(), 5, "{all:#?}");
    assert_eq!(groups("?muted=false").len(), 4);
    assert_eq!(groups("?receiver=mail").len(), 2);
    assert_eq!(groups("?receiver_matchers=name%3D%22page%22&filter=team%3Dweb").len(), 1);
    assert_eq!(groups("?filter=quiet%3Dyes&active=true").len(), 1);
    let receivers = tool.daemon.get("/api/v2/receivers").json();
    let names: Vec<&str> = receivers.as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["screen", "page", "mail"]);
    let one = tool.daemon.get("/api/v2/receivers?receiver_matchers=name%3D~%22p.*%22").json();
    assert_eq!(one, json!([{"name": "page", "labels": {"name": "page"}}]));
    let wrong = tool.daemon.get("/api/v2/alerts?receiver=%28");
    assert!(wrong.status == 400 && wrong.json().as_str().unwrap().starts_with("failed to parse receiver param"));
}

#[test]
fn silences_are_shown_imported_and_expired() {
    let Some(tool) = Tool::start() else { return };
    let id = tool.run(&["silence", "add", "-a", "me", "-c", "new disks", "-d", "2h", "disk", "host=~a|b"]);
    let id = id.trim();
    let simple = tool.run(&["silence", "query"]);
    assert!(simple.contains(id) && simple.contains("host=~\"a|b\"") && simple.contains("new disks"), "{simple}");
    let extended = tool.run(&["silence", "query", "-o", "extended", "disk"]);
    assert!(extended.contains(id) && extended.contains("new disks") && extended.contains("me"), "{extended}");
    assert_eq!(tool.run(&["silence", "query", "-q", "--within=3h"]).trim(), id);
    assert_eq!(tool.run(&["silence", "query", "-q", "--within=1h"]).trim(), "");
    assert_eq!(tool.run(&["silence", "query", "-q", "--created-by=me"]).trim(), id);
    let found = tool.json(&["silence", "query"]);
    tool.folder.write("silences.json", found.to_string());
    let updated = tool.run(&["silence", "update", "-d", "4h", "-c", "still", id]);
    assert!(updated.contains(id) && updated.contains("still"), "{updated}");
    tool.run(&["silence", "expire", id]);
    assert_eq!(tool.json(&["silence", "query"]), json!([]));
    tool.run(&["silence", "import", "--force", "silences.json"]);
    let imported = tool.json(&["silence", "query"]);
    assert_eq!(imported[0]["matchers"], found[0]["matchers"], "{imported:#}");
    assert_ne!(imported[0]["id"], found[0]["id"]);
    let gone = tool.ran(&["silence", "expire", "00000000-0000-4000-8000-000000000000"]);
    assert_eq!(gone.code, Some(1), "{gone:#?}");
}

#[test]
fn the_configuration_is_one_that_amtool_reads_and_it_holds_no_secret() {
    let Some(tool) = Tool::start() else { return };
    let shown = tool.run(&["config", "show"]);
    assert!(!shown.contains("s3cret"), "{shown}");
    let original = tool.json(&["config"])["config"]["original"].as_str().unwrap().to_owned();
    assert!(original.contains("resolve_timeout: 5m") && !original.contains("s3cret"), "{original}");
    tool.folder.write("alertmanager.yml", &original);
    let checked = tool.run(&["check-config", "alertmanager.yml"]);
    assert!(checked.contains("SUCCESS") && checked.contains("4 receivers"), "{checked}\n{original}");
    tool.folder.write("broken.yml", original.replace("receiver: screen", "receiver: nobody-of-that-name"));
    let broken = tool.ran(&["check-config", "broken.yml"]);
    assert_eq!(broken.code, Some(1), "{broken:#?}");

    for shown in [tool.run(&["config", "routes"]), tool.run(&["config", "routes", "show"])] {
        for part in [
            "default-route",
            "receiver: screen",
            "receiver: page,mail",
            "{severity=\"critical\"}",
            "{env!=\"dev\",team=~\"db|sql\"}",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    for (labels, receivers) in [
        (&["alertname=x"][..], "screen"),
        (&["severity=critical"], "page,mail"),
        (&["severity=critical", "team=sql"], "page,mail,mail"),
        (&["team=db", "env=dev"], "screen"),
    ] {
        let test = [&["config", "routes", "test"], labels].concat();
        assert_eq!(tool.run(&test).trim(), receivers);
        let verify = format!("--verify.receivers={receivers}");
        tool.run(&[&test[..], &[&verify]].concat());
        let wrong = tool.ran(&[&test[..], &["--verify.receivers=other"]].concat());
        assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    }
    for output in ["simple", "extended", "json"] {
        let cluster = tool.run(&["cluster", "show", "-o", output]);
        assert!(cluster.contains("disabled"), "{output}: {cluster}");
        assert!(!tool.run(&["config", "show", "-o", output]).contains("s3cret"), "{output}");
    }
    tool.folder.write("a.tmpl", "{{ define \"a\" }}status {{ .Status }}{{ end }}");
    let rendered =
        tool.run(&["template", "render", "--template.glob=*.tmpl", "--template.text={{ template \"a\" . }}"]);
    assert!(rendered.contains("status"), "{rendered}");
}

#[test]
fn the_client_of_alertmanager_checks_the_version_of_what_it_asks() {
    let Some(tool) = Tool::start() else { return };
    let status = tool.daemon.get("/api/v2/status").json();
    for key in ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"] {
        assert!(status["versionInfo"][key].is_string(), "{key}: {status:#}");
    }
    assert_eq!(status["cluster"], json!({"status": "disabled", "peers": []}));
    // karma takes the version from here (prymitive/karma:internal/verprobe/verprobe.go), and refuses those before 0.22.
    assert_eq!(tool.daemon.metric("alertmanager_build_info{version=\"0.27.0\"}"), Some(1.0));
    // `--version-check` is on: it warns of a version that is not its own and goes on.
    assert_eq!(tool.names(&[]), Vec::<String>::new());
}

const IDLE: &str = "rules: [{name: idle, metric: m, threshold: '> 1'}]";
const ALERTMANAGER: &str = r#"
global: {resolve_timeout: 2m, smtp_smarthost: '127.0.0.1:9', smtp_from: s3cret@example.org, smtp_require_tls: false}
route:
  receiver: nobody
  group_wait: 0s
  routes:
    - {matchers: ['team="db"'], receiver: team-db, group_by: [alertname]}
    - {matchers: ['team="web"'], receiver: team-web}
receivers:
  - name: nobody
  - name: team-db
    webhook_configs: [{url: 'http://127.0.0.1:9/s3cret-path'}]
    email_configs: [{to: ops@example.org}]
  - name: team-web
    webhook_configs: [{url: 'http://127.0.0.1:9/s3cret-path'}]
inhibit_rules:
  - {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [team]}
"#;

#[test]
fn a_file_of_alertmanager_is_shown_with_its_own_receivers() {
    let Some(program) = peer("amtool") else { return };
    let folder = Folder::with(&[("rules/a.yaml", IDLE), ("handlers/alertmanager.yml", ALERTMANAGER)]);
    folder.write("alertd.yaml", "host_metrics: {enabled: false}\nbuiltin_rules: {enabled: false}\n");
    let tool = Tool { program, daemon: Daemon::start(&folder), folder };
    let original = tool.json(&["config"])["config"]["original"].as_str().unwrap().to_owned();
    assert!(original.contains("resolve_timeout: 2m") && !original.contains("s3cret"), "{original}");
    tool.folder.write("whole.yml", &original);
    let checked = tool.run(&["check-config", "whole.yml"]);
    assert!(checked.contains("1 inhibit rules"), "{checked}\n{original}");
    for file in ["handlers/alertmanager.yml", "shown.yml"] {
        tool.folder.write("shown.yml", &original);
        let file = format!("--config.file={}", tool.folder.at(file).display());
        for labels in [&["team=db"][..], &["team=web"], &["team=x"]] {
            let routed = tool.run(&[&["config", "routes", "test", &file], labels].concat());
            let receiver = match labels[0] {
                "team=db" => "team-db",
                "team=web" => "team-web",
                _ => "nobody",
            };
            assert_eq!(routed.trim(), receiver, "{file}: {original}");
        }
    }
    tool.run(&["alert", "add", "disk", "team=db"]);
    let found = tool.json(&["alert", "query", "-r", "team-db"]);
    assert_eq!(found[0]["receivers"], json!([{"name": "team-db"}]), "{found:#}");
    let groups = tool.daemon.get("/api/v2/alerts/groups").json();
    assert_eq!((groups.as_array().map(Vec::len), groups[0]["receiver"]["name"].as_str()), (Some(1), Some("team-db")));
    let starts: Vec<i64> = ["updatedAt", "endsAt"]
        .map(|key| chrono::DateTime::parse_from_rfc3339(found[0][key].as_str().unwrap()).unwrap().timestamp())
        .to_vec();
    assert!((119..=121).contains(&(starts[1] - starts[0])), "{found:#}");
}
