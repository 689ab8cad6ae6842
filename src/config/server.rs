//! `alertd.yaml`.
//!
//! The tree is checked against its shape first, for exact places and did-you-mean; then `serde_yaml` reads it into the
//! structs below. What neither can say (addresses, URLs, pairs of keys) is checked last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::remote::{self, RemoteStoreConfig};
use super::remote_write::{self, RemoteWriteConfig};
use super::scrape::{size, some_duration};
use super::secret::SecretText;
use super::silences::{self, SilencesConfig};
use super::{ScrapeConfig, keys, scrape};
use crate::diag::{self, Diagnostic, Level, SourceFile};
use crate::model::parse_duration;
use crate::yaml::{self, Node, shape};

/// When an alert that another program reports without an end is over, unless something else is written.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Settings of the server; every field has the default of the manual.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address of the HTTP API.
    pub listen: String,
    /// Folder of everything that is kept.
    pub data_dir: PathBuf,
    /// Interval of rules that name none.
    #[serde(deserialize_with = "duration")]
    pub evaluation_interval: Duration,
    /// Rule files, or folders of them, as written.
    pub rule_files: Vec<PathBuf>,
    /// Handler files, or folders of them, as written.
    pub handler_files: Vec<PathBuf>,
    /// Where samples are kept.
    pub store: StoreConfig,
    /// Further stores, which rules name under `source`.
    pub stores: BTreeMap<String, StoreConfig>,
    /// Where the series that rules make are sent.
    #[serde(deserialize_with = "remote_write::one_or_many")]
    pub remote_write: Vec<RemoteWriteConfig>,
    /// Where the state of alerts is kept.
    pub state: StateConfig,
    /// Metrics of the machine.
    pub host_metrics: HostMetrics,
    /// Targets that are asked for their metrics.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Files in Prometheus text format.
    pub textfiles: Vec<String>,
    /// Labels added to every alert that leaves the server.
    pub external_labels: BTreeMap<String, String>,
    /// How people reach this server.
    pub external_url: Option<String>,
    /// Bytes of memory near which work is turned away; 0: the limits of the system alone.
    #[serde(deserialize_with = "size")]
    pub memory_max: u64,
    /// How long the end waits for messages that are on their way.
    #[serde(deserialize_with = "duration")]
    pub shutdown_grace: Duration,
    /// When an alert that another program reports without an end is over; none: nothing is written.
    #[serde(deserialize_with = "some_duration")]
    pub resolve_timeout: Option<Duration>,
    /// Rules that alertd runs on itself.
    pub builtin_rules: BuiltinRules,
    /// What is asked of silences.
    pub silences: SilencesConfig,
}

impl ServerConfig {
    /// When an alert that another program reports without an end is over.
    pub fn resolve_timeout(&self) -> Duration {
        self.resolve_timeout.unwrap_or(RESOLVE_TIMEOUT)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9097".to_owned(),
            data_dir: PathBuf::from("./data"),
            evaluation_interval: Duration::from_secs(15),
            rule_files: vec![PathBuf::from("rules/")],
            handler_files: vec![PathBuf::from("handlers/")],
            store: StoreConfig::default(),
            stores: BTreeMap::new(),
            remote_write: Vec::new(),
            state: StateConfig::default(),
            host_metrics: HostMetrics::default(),
            scrape_configs: Vec::new(),
            textfiles: Vec::new(),
            external_labels: BTreeMap::new(),
            external_url: None,
            memory_max: 0,
            shutdown_grace: Duration::from_secs(30),
            resolve_timeout: None,
            builtin_rules: BuiltinRules::default(),
            silences: SilencesConfig::default(),
        }
    }
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreType {
    /// In `data_dir`.
    #[default]
    Embedded,
    /// A Prometheus-compatible store, asked over HTTP.
    Prometheus,
}

/// `store:`. Unknown keys are found by the shape; `serde` cannot refuse them beside a flattened part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: StoreType,
    /// How long the embedded store keeps samples.
    #[serde(deserialize_with = "duration")]
    pub retention: Duration,
    /// Whether samples outlive the process.
    pub durable: bool,
    /// Bytes that they may take on the disk; 0: any number.
    #[serde(deserialize_with = "size")]
    pub retention_size: u64,
    /// Most series that the embedded store holds.
    pub max_series: usize,
    /// Of a remote store: how it is asked.
    #[serde(flatten)]
    pub remote: RemoteStoreConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let retention = Duration::from_secs(24 * 3600);
        Self {
            kind: StoreType::Embedded,
            retention,
            durable: true,
            retention_size: 0,
            max_series: 1_000_000,
            remote: RemoteStoreConfig::default(),
        }
    }
}

/// `state:`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// `sqlite` (also where it is not given), or the URL of a PostgreSQL database.
    pub url: Option<SecretText>,
    /// Of a database: how long a process that is gone keeps others from taking over.
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    /// Of a database: the name of this process.
    pub replica: Option<String>,
    /// How long history is kept.
    #[serde(deserialize_with = "duration")]
    pub history_retention: Duration,
    /// Most rows of history.
    pub history_rows_max: u64,
    /// Bytes that are held back for the state on a full disk.
    #[serde(deserialize_with = "size")]
    pub ballast: u64,
}

impl Default for StateConfig {
    fn default() -> Self {
        let history_retention = Duration::from_secs(90 * 24 * 3600);
        Self {
            url: None,
            lease: Duration::from_secs(15),
            replica: None,
            history_retention,
            history_rows_max: 10_000_000,
            ballast: 16 << 20,
        }
    }
}

impl StateConfig {
    /// What is read at a start alone.
    pub fn settings(&self) -> (&Option<SecretText>, Duration, &Option<String>) {
        (&self.url, self.lease, &self.replica)
    }

    /// The URL of the database; none where the state is in files.
    pub fn database(&self) -> Option<&SecretText> {
        self.url.as_ref().filter(|url| url.resolve(|_| Err(())) != Ok("sqlite".to_owned()))
    }
}

/// The shortest `lease:` of a state.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// `builtin_rules:`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltinRules {
    /// Whether there are any.
    pub enabled: bool,
    /// Names of the handlers that are told of their alerts; the route decides where there is none.
    pub notify: Vec<String>,
}

impl Default for BuiltinRules {
    fn default() -> Self {
        Self { enabled: true, notify: Vec::new() }
    }
}

/// `host_metrics:`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostMetrics {
    /// Whether they are measured.
    pub enabled: bool,
    /// How often.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
}

impl Default for HostMetrics {
    fn default() -> Self {
        Self { enabled: true, interval: Duration::from_secs(15) }
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Reads `alertd.yaml`. With an error among the findings there are no settings.
pub fn load(file: &Arc<SourceFile>) -> (Option<ServerConfig>, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let config = read(file, &mut out);
    let failed = out.iter().any(|d| d.level == Level::Error);
    diag::sort(&mut out);
    (config.filter(|_| !failed), out)
}

fn read(file: &Arc<SourceFile>, out: &mut Vec<Diagnostic>) -> Option<ServerConfig> {
    let Some(root) = yaml::parse(file, out)?.root else { return Some(ServerConfig::default()) };
    shape::check_root(file, &root, &keys::SERVER, out);
    secrets(file, &root, out);
    if out.iter().any(|d| d.level == Level::Error) {
        return None;
    }
    match serde_yaml::from_value::<ServerConfig>(shape::to_value(&root, &keys::SERVER)) {
        Ok(config) => {
            check(file, &root, &config, out);
            Some(config)
        }
        Err(error) => {
            // The shape has been checked, so this is a value the shape lets pass and the struct does not.
            let message = format!("the config cannot be read: {error}");
            out.push(Diagnostic::error("A011", file, root.span.clone(), message));
            None
        }
    }
}

/// Checks every reference to a secret in a file, wherever it stands.
pub(super) fn secrets(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Diagnostic>) {
    let mut todo = vec![root];
    while let Some(node) = todo.pop() {
        match &node.kind {
            yaml::Kind::Sequence(items) => todo.extend(items),
            yaml::Kind::Mapping(entries) => todo.extend(entries.iter().map(|(_, value)| value)),
            yaml::Kind::Scalar { value, .. } => {
                let Err(error) = SecretText::parse(value) else { continue };
                let place = node.locate(&file.text, error.span);
                out.push(
                    Diagnostic::error("A504", file, place, error.message)
                        .with_label("expected `${env:NAME}` or `${file:PATH}`")
                        .with_help("a secret is read from an environment variable or from a file"),
                );
            }
        }
    }
}

fn check(file: &Arc<SourceFile>, root: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    if let Some(node) = root.get("listen") {
        let port = config.listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) || config.listen.contains("://") {
            out.push(
                Diagnostic::error(
                    "A505",
                    file,
                    node.span.clone(),
                    format!("`{}` is no address to listen on", config.listen),
                )
                .with_label("expected address and port")
                .with_help("for example `127.0.0.1:9097`, or `0.0.0.0:9097` for all interfaces"),
            );
        }
    }
    for (key, value) in [
        ("evaluation_interval", config.evaluation_interval),
        ("store", config.store.retention),
        ("state", config.state.history_retention),
        ("host_metrics", config.host_metrics.interval),
    ] {
        if value.is_zero() {
            zero(file, root, key, out);
        }
    }
    if let (Some(node), Some(url)) = (root.get("external_url"), &config.external_url)
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        out.push(
            Diagnostic::error("A505", file, node.span.clone(), format!("`{url}` is no URL"))
                .with_label("expected `http://…` or `https://…`"),
        );
    }
    store(file, root, config, out);
    remote::check(file, root, config, out);
    remote_write::check(file, root, config, out);
    silences::check(file, root, &config.silences, out);
    state(file, root, config, out);
    if let Some(list) = root.get("scrape_configs") {
        scrape::check(file, list, &config.scrape_configs, out);
    }
}

/// Names under `builtin_rules` and `silences` that no handler, and no rotation, has.
pub fn unknown_handlers(
    path: &Path,
    files: &[Arc<SourceFile>],
    config: &ServerConfig,
    handlers: &[String],
) -> Vec<Diagnostic> {
    let known = || handlers.iter().map(String::as_str);
    let mut named = config.builtin_rules.notify.iter().chain(&config.silences.notify);
    if named.all(|name| known().any(|known| known == name)) {
        return Vec::new();
    }
    let Some(file) = files.iter().find(|file| Path::new(&*file.path) == path) else { return Vec::new() };
    let Some(root) = yaml::parse(file, &mut Vec::new()).and_then(|document| document.root) else { return Vec::new() };
    let sections = ["builtin_rules", "silences"].into_iter().filter_map(|section| root.get(section));
    let names = sections.filter_map(|section| section.get("notify")?.items()).flatten();
    let unknown = names.filter(|n| n.text().is_some_and(|t| known().all(|k| k != t)));
    let finding = |node: &Node| {
        let text = node.text().unwrap_or_default();
        let label = match diag::suggest(text, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no handler has this name".to_owned(),
        };
        Diagnostic::error("A501", file, node.span.clone(), format!("`notify` names no handler: `{text}`"))
            .with_label(label)
    };
    unknown.map(finding).collect()
}

/// `state:`.
fn state(file: &Arc<SourceFile>, root: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    let entry = |key: &str| root.get("state").and_then(|section| section.entry(key)).map(|(_, node)| node);
    let mut error = |node: &Node, message: &str, label: &str| {
        out.push(Diagnostic::error("A505", file, node.span.clone(), message.to_owned()).with_label(label));
    };
    // What stands in a variable or a file is known at the start alone.
    if let (Some(node), Some(Ok(url))) = (entry("url"), config.state.database().map(|url| url.resolve(|_| Err(()))))
        && !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
    {
        error(
            node,
            "this is no place for the state",
            "expected `sqlite` or `postgres://user:password@host:5432/database`",
        );
    }
    if let Some(node) = entry("lease").filter(|_| config.state.lease < LEASE_MIN) {
        error(node, "the lease is too short", "expected at least `1s`");
    }
    if let Some(node) = root.get("state") {
        let (keys, here): (&[&str], _) = match config.state.database() {
            None => (&["lease", "replica"], "a state in files"),
            Some(_) => (&["ballast"], "a state in a database"),
        };
        without_meaning((file, node), keys, here, out);
    }
}

fn zero(file: &Arc<SourceFile>, root: &Node, key: &str, out: &mut Vec<Diagnostic>) {
    let Some(node) = root.get(key) else { return };
    let inner = ["retention", "history_retention", "interval"]
        .into_iter()
        .find_map(|k| node.entry(k))
        .map_or(node, |(_, value)| value);
    let message = "the duration must be longer than nothing".to_owned();
    out.push(
        Diagnostic::error("A015", file, inner.span.clone(), message).with_label("expected a duration such as `15s`"),
    );
}

/// Keys that are known and do nothing here.
fn without_meaning((file, node): (&Arc<SourceFile>, &Node), keys: &[&str], here: &str, out: &mut Vec<Diagnostic>) {
    for name in keys {
        if let Some((key, _)) = node.entry(name) {
            let message = format!("`{name}` has no meaning for {here}");
            out.push(Diagnostic::error("A016", file, key.span.clone(), message).with_label("has no effect here"));
        }
    }
}

fn store(file: &Arc<SourceFile>, root: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    let Some(node) = root.get("store") else { return };
    let foreign: &[&str] = match config.store.kind {
        StoreType::Embedded => &[
            "url",
            "headers",
            "params",
            "basic_auth",
            "authorization",
            "tls_config",
            "timeout",
            "max_concurrent_queries",
            "max_response_bytes",
        ],
        StoreType::Prometheus => &["retention", "durable", "retention_size", "max_series"],
    };
    let kind = node.get("type").and_then(Node::text).unwrap_or("embedded");
    without_meaning((file, node), foreign, &format!("a store of type `{kind}`"), out);
}
