//! Folders with rules and handlers, and what the receiver reads in the messages.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kit::{Daemon, Folder, command, free_port, until_true};
use crate::sink::{Request, Sink};

/// Says of each alert what happened to it and in which episode.
const BODY: &str = r#"
      {"status": {{ status | tojson }}, "reason": {{ reason | tojson }}, "note": {{ note | tojson }},
       "group": {{ group_key | tojson }}, "text": {{ text | tojson }},
       "alerts": [{% for a in alerts %}{"name": {{ a.name | tojson }}, "fingerprint": {{ a.fingerprint | tojson }},
         "status": {{ a.status | tojson }}, "transition": {{ a.transition | tojson }},
         "severity": {{ a.severity | tojson }}, "since": {{ a.since | tojson }},
         "labels": {{ a.labels | tojson }}}{{ "," if not loop.last }}{% endfor %}]}
"#;

/// A webhook handler of a handler file, with further keys such as `timeout: 2s`.
pub fn webhook(name: &str, url: &str, keys: &[&str]) -> String {
    let keys: String = keys.iter().map(|key| format!("    {key}\n")).collect();
    format!("  - name: {name}\n    type: webhook\n    url: {url}\n{keys}    body: |{BODY}")
}

/// A configuration without what only costs time here, and further keys.
pub fn config(keys: &str) -> String {
    format!("host_metrics: {{enabled: false}}\n{keys}\n")
}

/// A folder with one webhook, `chat`, at the path of the same name.
pub fn folder(rules: &str, sink: &Sink) -> Folder {
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    folder_with(rules, &handlers, "")
}

/// A folder with these handlers and these keys of the configuration.
pub fn folder_with(rules: &str, handlers: &str, keys: &str) -> Folder {
    let config = config(keys);
    Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", handlers), ("alertd.yaml", &config)])
}

/// One rule, `m > 1`, evaluated every 100 ms, with further keys.
pub fn rule(name: &str, keys: &str) -> String {
    // They come and go faster than any real alert, and each beginning and end is to be told.
    let fixed = "every: 100ms\n    flapping: off";
    format!("  - name: {name}\n    metric: {name}_m\n    threshold: \"> 1\"\n    {fixed}\n    {keys}\n")
}

/// A rule file.
pub fn rules(rules: &[String]) -> String {
    format!("rules:\n{}", rules.concat())
}

/// Starts the daemon and waits until it takes samples; the first evaluations may be without.
#[track_caller]
pub fn start(folder: &Folder) -> Daemon {
    start_on(folder, free_port())
}

#[track_caller]
pub fn start_on(folder: &Folder, port: u16) -> Daemon {
    let daemon = Daemon::spawn(folder, &["rules/"], port);
    daemon.wait_ready();
    daemon
}

/// Starts it under a program such as `prlimit`.
#[track_caller]
pub fn start_under(folder: &Folder, program: &[&str]) -> Daemon {
    let plain = command(folder);
    let mut command = command(folder);
    let mut wrapped = std::process::Command::new(program[0]);
    wrapped.args(&program[1..]).arg(plain.get_program()).arg("rules/").current_dir(folder.path());
    wrapped.env_clear().stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        wrapped.env(name, value);
    }
    std::mem::swap(&mut command, &mut wrapped);
    let daemon = Daemon::launch(&mut command, free_port());
    daemon.wait_ready();
    daemon
}

/// Where the daemon keeps its state.
pub fn data(folder: &Folder) -> PathBuf {
    folder.at("data")
}

/// An alert in a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub name: String,
    pub fingerprint: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// `fired`, `raised`, `lowered`, `resolved`, `still_firing`.
    pub transition: String,
    pub severity: String,
    /// The beginning of its episode.
    pub since: String,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub status: String,
    pub reason: String,
    pub note: String,
    pub group: String,
    pub text: String,
    pub alerts: Vec<Told>,
}

impl Message {
    #[track_caller]
    pub fn of(request: &Request) -> Self {
        let json = request.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = |alert: &Value| Told {
            name: text(&alert["name"]),
            fingerprint: text(&alert["fingerprint"]),
            status: text(&alert["status"]),
            transition: text(&alert["transition"]),
            severity: text(&alert["severity"]),
            since: text(&alert["since"]),
        };
        Self {
            id: request.id().to_owned(),
            status: text(&json["status"]),
            reason: text(&json["reason"]),
            note: text(&json["note"]),
            group: text(&json["group"]),
            text: text(&json["text"]),
            alerts: json["alerts"].as_array().unwrap().iter().map(told).collect(),
        }
    }

    /// `NAME STATUS` of each alert, one after the other.
    pub fn words(&self) -> String {
        let words: Vec<String> = self.alerts.iter().map(|a| format!("{} {}", a.name, a.status)).collect();
        words.join(", ")
    }
}

/// The messages that a receiver took at a path, in the order in which they came, repeats included.
#[track_caller]
pub fn taken(sink: &Sink, path: &str) -> Vec<Message> {
    sink.taken(path).iter().map(Message::of).collect()
}

/// What every message at a path says of its alerts, repeats included.
#[track_caller]
pub fn words(sink: &Sink, path: &str) -> Vec<String> {
    taken(sink, path).iter().map(Message::words).collect()
}

/// Waits until exactly these were taken at a path.
#[track_caller]
pub fn wait_words(sink: &Sink, path: &str, wanted: &[&str]) {
    until_true(&format!("{path} was told {wanted:?}; all requests: {:#?}", brief(sink)), || {
        words(sink, path).len() >= wanted.len()
    });
    assert_eq!(words(sink, path), wanted, "{:#?}", brief(sink));
}

/// All requests, each on a line.
pub fn brief(sink: &Sink) -> Vec<String> {
    let line = |r: &Request| {
        let words = serde_json::from_str::<Value>(&r.body).map_or_else(|_| "?".to_owned(), |_| Message::of(r).words());
        format!("{} {:?} {} {words}", r.path, r.status, r.id())
    };
    sink.requests().iter().map(line).collect()
}

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => all.push(entry.path()),
            }
        }
    }
    all.sort();
    all
}
