//! `scrape_configs`: targets that are asked for their metrics, in the shape Prometheus has for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::SecretText;
use super::server::duration;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;
use crate::yaml::shape::parse_size;

const INTERVAL: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);

/// One scrape config. Limits of 0 mean: no limit of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Label `job` of the series.
    pub job_name: String,
    /// How often the targets are asked.
    #[serde(default = "default_interval", deserialize_with = "duration")]
    pub scrape_interval: Duration,
    /// How long an answer may take; the lesser of 10s and the interval where it is not given.
    #[serde(default, deserialize_with = "some_duration")]
    pub scrape_timeout: Option<Duration>,
    /// Path of the request.
    #[serde(default = "default_path")]
    pub metrics_path: String,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
    /// Query parameters.
    #[serde(default)]
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target win.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether timestamps of the target are used.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Authorization header.
    pub authorization: Option<Authorization>,
    /// Targets named in the config.
    #[serde(default)]
    pub static_configs: Vec<StaticConfig>,
    /// Targets named in files.
    #[serde(default)]
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Most samples of one answer.
    #[serde(default)]
    pub sample_limit: usize,
    /// Largest answer in bytes, uncompressed.
    #[serde(default, deserialize_with = "size")]
    pub body_size_limit: u64,
    /// Most labels of a series.
    #[serde(default)]
    pub label_limit: usize,
    /// Longest name of a label.
    #[serde(default)]
    pub label_name_length_limit: usize,
    /// Longest value of a label.
    #[serde(default)]
    pub label_value_length_limit: usize,
}

impl ScrapeConfig {
    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.scrape_timeout.unwrap_or(TIMEOUT).min(self.scrape_interval)
    }
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub username: SecretText,
    /// The password.
    pub password: SecretText,
}

/// An Authorization header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Its first word.
    #[serde(rename = "type", default = "bearer")]
    pub kind: String,
    /// What follows.
    pub credentials: SecretText,
}

/// Targets and labels of their series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// Host and port of each.
    pub targets: Vec<String>,
    /// Labels of all their series.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Files that list targets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Paths; `*` may stand in the last part.
    pub files: Vec<String>,
    /// How often they are read again.
    #[serde(default = "default_refresh", deserialize_with = "duration")]
    pub refresh_interval: Duration,
}

fn default_interval() -> Duration {
    INTERVAL
}
fn default_refresh() -> Duration {
    Duration::from_secs(300)
}
fn default_path() -> String {
    "/metrics".to_owned()
}
fn default_scheme() -> String {
    "http".to_owned()
}
fn bearer() -> String {
    "Bearer".to_owned()
}
fn yes() -> bool {
    true
}

pub(super) fn some_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

pub(super) fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).ok_or_else(|| serde::de::Error::custom(format!("not a size: {text:?}")))
}

/// Checks what the shape cannot say: unique jobs, timeouts, targets.
pub(super) fn check(file: &Arc<SourceFile>, list: &Node, configs: &[ScrapeConfig], out: &mut Vec<Diagnostic>) {
    let nodes = list.items().unwrap_or_default();
    for (i, (node, config)) in nodes.iter().zip(configs).enumerate() {
        let place = |key: &str| node.get(key).unwrap_or(node).span.clone();
        if configs[..i].iter().any(|other| other.job_name == config.job_name) {
            let message = format!("two scrape configs have the job name `{}`", config.job_name);
            out.push(
                Diagnostic::error("A506", file, place("job_name"), message)
                    .with_label("given before")
                    .with_help("rename one of them, or put the targets into one"),
            );
        }
        if config.scrape_interval.is_zero() {
            let message = "`scrape_interval` must be longer than nothing".to_owned();
            out.push(
                Diagnostic::error("A015", file, place("scrape_interval"), message)
                    .with_label("expected a duration such as `15s`"),
            );
        } else if config.scrape_timeout.is_some_and(|timeout| timeout > config.scrape_interval) {
            let message = "`scrape_timeout` is longer than `scrape_interval`".to_owned();
            out.push(
                Diagnostic::error("A507", file, place("scrape_timeout"), message)
                    .with_help("make it at most the interval"),
            );
        }
        if let (Some((basic, _)), Some((other, _))) = (node.entry("basic_auth"), node.entry("authorization")) {
            let later = if basic.span.start > other.span.start { basic } else { other };
            let message = "`basic_auth` and `authorization` say the same".to_owned();
            out.push(Diagnostic::error("A016", file, later.span.clone(), message).with_label("keep one of the two"));
        }
        targets(file, node, out);
    }
}

fn targets(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) {
    let groups = node.get("static_configs").and_then(Node::items).unwrap_or_default();
    let all = groups.iter().filter_map(|group| group.get("targets")?.items()).flatten();
    for target in all {
        let text = target.text().unwrap_or_default();
        let problem = if text.contains("://") {
            "the protocol goes under `scheme`"
        } else if text.contains('/') {
            "the path goes under `metrics_path`"
        } else if text.is_empty() || text.contains(char::is_whitespace) {
            "write host and port, such as `127.0.0.1:8000`"
        } else if text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']') && port.parse::<u16>().is_err()) {
            "the port must be a number up to 65535"
        } else {
            continue;
        };
        out.push(
            Diagnostic::error("A505", file, target.span.clone(), format!("`{text}` is no target"))
                .with_label("expected host and port")
                .with_help(problem),
        );
    }
}
