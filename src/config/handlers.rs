//! Handler files: where people are told about alerts, and the tree of routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::alertmanager::{self, TemplateFile};
use super::handler_keys::{HANDLER, HANDLER_FILE, HANDLER_TYPES, belongs};
use super::inhibit;
use super::mutes;
use super::preset::{Presets, is_preset};
use super::rotations;
use super::route::{self, Escalated, Reference, RouteConfig};
use super::scrape::{Authorization, BasicAuth};
use super::secret::SecretText;
use super::server::{duration, secrets};
use super::smtp::{self, SmtpConfig};
use super::webhook::{TlsConfig, WebhookConfig};
use super::webhook_check;
use crate::diag::{self, Diagnostic, Level, SourceFile, suggest};
use crate::model::{InhibitRule, OnMute, Severity};
use crate::schedule::Rotation;
use crate::yaml::{self, Node, shape};

/// Deadline of one attempt where none is given.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// After this long a message that cannot be delivered is given up, where nothing else is said.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Name by which rules refer to it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: HandlerKind,
    /// Whether it tells when an alert is over.
    pub send_resolved: bool,
    /// Alerts below it are not told.
    pub min_severity: Severity,
    /// What it is told when an alert that it was told of becomes muted.
    pub on_mute: OnMute,
    /// What is done about a message that does not get through.
    pub delivery: Delivery,
}

/// Kinds of handlers with their settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// Prints to standard output.
    Console {
        /// In which form.
        format: ConsoleFormat,
    },
    /// Sends HTTP requests.
    Webhook(Box<WebhookConfig>),
    /// Sends mail.
    Smtp(Box<SmtpConfig>),
    /// Pings a URL while all is well; told of no alert.
    Heartbeat(Box<Heartbeat>),
}

/// Presets of receivers that keep something open for each group of alerts, until it is over.
const KEEPS_INCIDENTS: &[&str] = &["pagerduty", "opsgenie", "alertmanager"];

/// Forms of what the console handler prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What is done about a message that does not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Most messages in a time.
    pub rate_limit: Option<RateLimit>,
    /// Whether what is more than that is told as one.
    pub digest: bool,
    /// Given up after this long.
    pub give_up_after: Duration,
    /// The handler that is given what this one could not deliver.
    pub fallback: Option<Arc<str>>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { rate_limit: None, digest: false, give_up_after: GIVE_UP_AFTER, fallback: None }
    }
}

/// So many messages in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Messages; at least one.
    pub count: u32,
    /// The time.
    pub per: Duration,
}

impl RateLimit {
    /// Reads `30/m`, `1/s`, `500/h`.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.trim().split_once('/')?;
        let count = count.trim().parse().ok().filter(|n| (1..=1_000_000).contains(n))?;
        let secs = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        Some(Self { count, per: Duration::from_secs(secs) })
    }
}

/// Settings of a heartbeat handler.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// What is pinged.
    pub url: Option<SecretText>,
    /// Method of the request.
    pub method: String,
    /// Further headers.
    pub headers: BTreeMap<String, SecretText>,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Authorization header.
    pub authorization: Option<Authorization>,
    /// Proxy.
    pub proxy_url: Option<SecretText>,
    /// Whether private and loopback addresses are refused too.
    pub deny_private: bool,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// How often it is pinged while all is well.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// Deadline of one ping.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            url: None,
            method: "POST".to_owned(),
            headers: BTreeMap::new(),
            basic_auth: None,
            authorization: None,
            proxy_url: None,
            deny_private: false,
            tls_config: TlsConfig::default(),
            interval: Duration::from_secs(60),
            timeout: TIMEOUT,
        }
    }
}

impl Handler {
    /// The handler there is without a handler file.
    pub fn console() -> Self {
        Self {
            name: Arc::from("console"),
            kind: HandlerKind::Console { format: ConsoleFormat::Text },
            send_resolved: true,
            min_severity: Severity::Info,
            on_mute: OnMute::default(),
            delivery: Delivery::default(),
        }
    }

    /// Whether it is told of alerts.
    pub fn is_told(&self) -> bool {
        !matches!(self.kind, HandlerKind::Heartbeat(_))
    }
}

/// What handler files say.
#[derive(Clone, Debug, Default)]
pub struct HandlerFiles {
    /// The handlers without errors, in file order.
    pub handlers: Vec<Handler>,
    /// The tree of routes, if one is written.
    pub route: Option<RouteConfig>,
    /// Names under which handlers are told in turns.
    pub rotations: Vec<Rotation>,
    /// Which alerts keep which others from being told.
    pub inhibit: Vec<InhibitRule>,
    /// The receivers of an `alertmanager.yml`, with the handlers that each has become.
    pub receivers: BTreeMap<String, Vec<Arc<str>>>,
    /// When an alert that another program reports without an end is over, as an `alertmanager.yml` has it.
    pub resolve_timeout: Option<Duration>,
}

impl HandlerFiles {
    /// The names that rules and settings may tell: of handlers and of rotations.
    pub fn names(&self) -> Vec<String> {
        let rotations = self.rotations.iter().map(|rotation| &rotation.name);
        self.handlers.iter().map(|handler| &handler.name).chain(rotations).map(ToString::to_string).collect()
    }
}

/// What is collected while files are read.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) files: HandlerFiles,
    /// Every name, with where it was given first; handlers with errors too.
    pub(super) seen: BTreeMap<String, String>,
    pub(super) route_at: Option<String>,
    pub(super) inhibit_at: Vec<inhibit::Written>,
    pub(super) references: Vec<Reference>,
    pub(super) escalated: Vec<Escalated>,
    /// Rotations, to be read once all handlers are known.
    pub(super) rotations_at: Vec<(Arc<SourceFile>, Node)>,
    /// Names of rotations.
    pub(super) rotations: BTreeSet<String>,
    /// Names of time intervals.
    pub(super) intervals: BTreeSet<String>,
    pub(super) presets: Presets,
}

/// Reads handler files, and the presets among them: what they say, and all findings.
pub fn load(files: &[Arc<SourceFile>]) -> (HandlerFiles, Vec<Diagnostic>) {
    load_with(files, &[])
}

/// The same with the template files that those of Alertmanager among them name.
pub fn load_with(files: &[Arc<SourceFile>], templates: &[TemplateFile]) -> (HandlerFiles, Vec<Diagnostic>) {
    let (mut reading, mut out) = (Reading::default(), Vec::new());
    let (presets, files): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_preset(&file.path));
    reading.presets = Presets::read(&presets, &mut out);
    for file in files {
        let Some(document) = yaml::parse(file, &mut out) else { continue };
        let Some(root) = document.root else {
            out.push(
                Diagnostic::error("A508", file, 0..0, "the file is empty".to_owned())
                    .with_label("expected `handlers:`")
                    .with_help("write `handlers: []` if it is meant to hold none"),
            );
            continue;
        };
        if alertmanager::is_one(&root) {
            alertmanager::read(file, &root, templates, &mut reading, &mut out);
            continue;
        }
        if let Some(found) = foreign(file, &root) {
            out.push(found);
            continue;
        }
        top_keys(file, &root, &mut out);
        for node in root.get("handlers").and_then(Node::items).unwrap_or_default() {
            let handler = handler(file, node, &mut reading, &mut out);
            reading.files.handlers.extend(handler);
        }
        route::read(file, &root, &mut reading, &mut out);
        inhibit::read(file, &root, &mut reading, &mut out);
        rotations::note(file, &root, &mut reading);
    }
    rotations::read(&mut reading, &mut out);
    route::check_references(&reading, &mut out);
    route::check_steps(&reading, &mut out);
    diag::sort(&mut out);
    (reading.files, out)
}

fn foreign(file: &Arc<SourceFile>, root: &Node) -> Option<Diagnostic> {
    let entries = root.entries()?;
    // Those who take turns may be the receivers of an `alertmanager.yml`, which has no place for rotations.
    if root.get("handlers").is_some() || root.get("rotations").is_some() {
        return None;
    }
    let place = entries.first().map_or(root.span.clone(), |(key, _)| key.span.clone());
    let finding = Diagnostic::error("A508", file, place, "this is no handler file: it has no `handlers:`".to_owned());
    let near = entries.iter().find(|(key, _)| key.text().is_some_and(|k| suggest(k, ["handlers"]).is_some()));
    Some(match near {
        Some((key, _)) => Diagnostic { span: key.span.clone(), ..finding }.with_label("did you mean `handlers`?"),
        None => finding
            .with_label("expected `handlers:`, or `receivers:` as Alertmanager has them")
            .with_help("write `handlers: [{name: screen, type: console}]`"),
    })
}

fn top_keys(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Diagnostic>) {
    let Some(entries) = root.entries() else {
        shape::check_root(file, root, &HANDLER_FILE, out);
        return;
    };
    for (key, value) in entries {
        // The elements are checked one by one, so that one with an error costs itself.
        if key.text() == Some("handlers") && value.items().is_some() {
            continue;
        }
        let single = Node { kind: yaml::Kind::Mapping(vec![(key.clone(), value.clone())]), span: root.span.clone() };
        shape::check_known(file, &single, &HANDLER_FILE, out);
    }
}

const ENTRY: shape::Key =
    shape::Key::new("handlers", shape::Kind::Object(&HANDLER), "{name: screen, type: console}", "");

fn handler(file: &Arc<SourceFile>, node: &Node, reading: &mut Reading, out: &mut Vec<Diagnostic>) -> Option<Handler> {
    let before = out.len();
    // The keys of a type that does not exist cannot be judged.
    if !unknown_type(file, node, out) {
        shape::check(file, node, &ENTRY, out);
        misplaced(file, node, out);
        secrets(file, node, out);
    }
    let (key, name) = node.entry("name")?;
    let text = name.text()?;
    let here = format!("{}:{}", file.path, file.position(key.span.start).line);
    if text.trim().is_empty() {
        out.push(
            Diagnostic::error("A018", file, name.span.clone(), "`name` is empty".to_owned())
                .with_label("expected a name such as `screen`"),
        );
    } else if let Some(first) = reading.seen.insert(text.to_owned(), here) {
        out.push(
            Diagnostic::error("A503", file, key.span.clone(), format!("two handlers have the name `{text}`"))
                .with_label(format!("first in {first}"))
                .with_help("rename one of them"),
        );
    }
    if let Some(fallback) = node.get("fallback")
        && let Some(name) = fallback.text()
    {
        let (place, of) = (fallback.span.clone(), Some(text.to_owned()));
        reading.references.push(Reference {
            file: Arc::clone(file),
            place,
            name: name.to_owned(),
            key: "fallback",
            of,
        });
    }
    let failed = |out: &[Diagnostic]| out[before..].iter().any(|d| d.level == Level::Error);
    if failed(out) {
        return None;
    }
    let kind = kind(file, node, &reading.presets, out)?;
    let handler = Handler {
        name: Arc::from(text),
        kind,
        send_resolved: node.get("send_resolved").map_or(Some(true), Node::boolean)?,
        min_severity: node.get("min_severity").map_or(Some(Severity::Info), |n| Severity::from_name(n.text()?))?,
        on_mute: OnMute::default(),
        delivery: delivery(file, node, out),
    };
    let handler = Handler { on_mute: mutes::on_mute(file, node, &handler, out), ..handler };
    if handler.delivery.digest {
        digest(file, node, mutes::acknowledges(&handler), out);
    }
    (!failed(out)).then_some(handler)
}

fn kind(file: &Arc<SourceFile>, node: &Node, presets: &Presets, out: &mut Vec<Diagnostic>) -> Option<HandlerKind> {
    let value = shape::to_value(node, &HANDLER);
    let read = match node.get("type").and_then(Node::text)? {
        "console" => Ok(HandlerKind::Console {
            format: match node.get("format").and_then(Node::text) {
                Some("json") => ConsoleFormat::Json,
                _ => ConsoleFormat::Text,
            },
        }),
        "webhook" => serde_yaml::from_value(value).map(|mut config: WebhookConfig| {
            webhook_check::check(file, node, &mut config, presets, out);
            HandlerKind::Webhook(Box::new(config))
        }),
        "smtp" => serde_yaml::from_value(value).map(|config: SmtpConfig| {
            smtp::check(file, node, &config, out);
            HandlerKind::Smtp(Box::new(config))
        }),
        _ => serde_yaml::from_value(value).map(|config: Heartbeat| {
            heartbeat(file, node, &config, out);
            HandlerKind::Heartbeat(Box::new(config))
        }),
    };
    match read {
        Ok(kind) => Some(kind),
        Err(error) => {
            // The shape has been checked, so this is a value the shape lets pass and the struct does not.
            let message = format!("the handler cannot be read: {error}");
            out.push(Diagnostic::error("A011", file, node.span.clone(), message));
            None
        }
    }
}

fn heartbeat(file: &Arc<SourceFile>, node: &Node, config: &Heartbeat, out: &mut Vec<Diagnostic>) {
    if config.url.is_none() {
        missing(file, node, "url", "https://hc-ping.example/UUID", out);
    }
    if config.interval.is_zero()
        && let Some(node) = node.get("interval")
    {
        out.push(
            Diagnostic::error("A015", file, node.span.clone(), "`interval` must be longer than nothing".to_owned())
                .with_label("expected a duration such as `1m`"),
        );
    }
}

/// A key that this type of handler must have.
pub(super) fn missing(file: &Arc<SourceFile>, node: &Node, key: &str, example: &str, out: &mut Vec<Diagnostic>) {
    out.push(
        Diagnostic::error("A012", file, shape::anchor(node), format!("`{key}` is missing"))
            .with_help(format!("add `{key}: {example}`")),
    );
}

/// Keys that mean nothing for the handler's type.
fn misplaced(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) {
    let Some(kind) = node.get("type").and_then(Node::text) else { return };
    for (key, _) in node.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        if HANDLER.keys.iter().any(|known| known.name == name) && !belongs(kind, name) {
            out.push(
                Diagnostic::error(
                    "A016",
                    file,
                    key.span.clone(),
                    format!("`{name}` has no meaning for a handler of type `{kind}`"),
                )
                .with_label("has no effect here"),
            );
        }
    }
}

fn delivery(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) -> Delivery {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let mut delivery = Delivery::default();
    if let Some(limit) = node.get("rate_limit") {
        delivery.rate_limit = limit.text().and_then(RateLimit::parse);
        if delivery.rate_limit.is_none() {
            out.push(
                Diagnostic::error("A015", file, limit.span.clone(), "`rate_limit` is no rate".to_owned())
                    .with_label("expected messages and a unit")
                    .with_help("write `30/m`: a whole number from 1, and s, m or h"),
            );
        }
    }
    delivery.digest = text("over_limit") == Some("digest");
    if let Some(time) = text("give_up_after").and_then(|t| crate::model::parse_duration(t).ok()) {
        delivery.give_up_after = time;
    }
    delivery.fallback = text("fallback").map(Arc::from);
    if let Some(node) = node.get("timeout")
        && node.text().and_then(|t| crate::model::parse_duration(t).ok()).is_some_and(|d| d.is_zero())
    {
        out.push(
            Diagnostic::error("A015", file, node.span.clone(), "`timeout` must be longer than nothing".to_owned())
                .with_label("expected a duration such as `10s`"),
        );
    }
    delivery
}

/// Where a digest makes no sense: without a limit, and for receivers that keep something open for each group.
fn digest(file: &Arc<SourceFile>, node: &Node, acknowledges: bool, out: &mut Vec<Diagnostic>) {
    let Some((key, value)) = node.entry("over_limit") else { return };
    if node.get("rate_limit").is_none() {
        let message = "`over_limit` has no meaning without `rate_limit`".to_owned();
        let found = Diagnostic::error("A016", file, key.span.clone(), message);
        out.push(found.with_label("has no effect here").with_help("add a limit such as `rate_limit: 30/m`"));
    }
    let preset = node.get("preset").and_then(Node::text).unwrap_or_default();
    if acknowledges || KEEPS_INCIDENTS.contains(&preset) {
        let message = format!("`over_limit: digest` has no meaning for the preset `{preset}`");
        let help = "it keeps an incident open for each group; one for a whole storm would never be over: leave it out";
        let found = Diagnostic::error("A016", file, value.span.clone(), message);
        out.push(found.with_label("has no effect here").with_help(help));
    }
}

fn unknown_type(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) -> bool {
    let Some(kind) = node.get("type") else { return false };
    let Some(text) = kind.text().filter(|text| !HANDLER_TYPES.contains(text) && !kind.is_null()) else { return false };
    let label = match suggest(text, HANDLER_TYPES.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", shape::listed(HANDLER_TYPES)),
    };
    let message = format!("this version has no handler of type `{text}`");
    out.push(
        Diagnostic::error("A509", file, kind.span.clone(), message)
            .with_label(label)
            .with_help(format!("handlers are of type {}", shape::listed(HANDLER_TYPES))),
    );
    true
}
