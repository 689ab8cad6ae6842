//! alertd's own rule files (`rules:`): every key but the condition, which `condition` reads.

use std::sync::Arc;
use std::time::Duration;

use super::reader::{Reader, View};
use super::{Condition, Flapping, Found, LoadOptions, OnMissing, Rule, keys, prometheus};
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::model::{EscalationStep, Severity};
use crate::schedule::{CronError, CronSchedule, MuteTimes, Schedule};
use crate::template::Template;
use crate::yaml::{Node, escalation, shape};

/// `no_data_timeout` where it is not given.
pub(super) const NO_DATA_TIMEOUT: Duration = Duration::from_secs(3600);
/// `max_alerts` where it is not given.
pub(super) const ALERTS_MAX: usize = 1000;
/// The name of the store inside this process.
const EMBEDDED: &str = "embedded";
/// Longest name of a rule, in bytes.
const NAME_LEN_MAX: usize = 200;

/// Reads the rules of one file.
pub(super) fn read(
    file: &Arc<SourceFile>,
    root: Option<&Node>,
    options: &LoadOptions<'_>,
    out: &mut Vec<Diagnostic>,
) -> Vec<Found> {
    let Some(root) = root.filter(|root| root.entries().is_none_or(|entries| !entries.is_empty())) else {
        let place = root.map_or(0..0, |root| root.span.clone());
        out.push(
            Diagnostic::warning("A017", file, place, "the file is empty".to_owned())
                .with_label("expected `rules:` or `groups:`")
                .with_help("write `rules: []` if it is meant to hold none"),
        );
        return Vec::new();
    };
    if let Some(finding) = foreign(file, root) {
        out.push(finding);
        return Vec::new();
    }
    let mut reader = Reader { file, options, prometheus: false, out: Vec::new() };
    reader.top_keys(root);
    let defaults = root.get("defaults").filter(|d| d.entries().is_some());
    let healthy = !reader.defaults(defaults);
    let rules = root.get("rules").and_then(Node::items).unwrap_or_default();
    out.append(&mut reader.out);
    let parts = super::shared(rules, (options.threads, super::RULES_SHARED_MIN), |rules| {
        let mut reader = Reader { file, options, prometheus: false, out: Vec::new() };
        let found = rules.iter().filter_map(|own| reader.rule(&View { own, defaults }, healthy)).collect();
        vec![(found, reader.out)]
    });
    super::joined(parts, out)
}

/// The finding for a file that is no alertd rule file at all.
fn foreign(file: &Arc<SourceFile>, root: &Node) -> Option<Diagnostic> {
    if root.get("rules").is_some() {
        return None;
    }
    let entries = root.entries()?;
    let place = entries.first().map_or(root.span.clone(), |(key, _)| key.span.clone());
    let near = entries
        .iter()
        .filter_map(|(key, _)| Some((key, crate::diag::suggest(key.text()?, ["rules", prometheus::MARK])?)))
        .next();
    let finding = Diagnostic::error(
        "A017",
        file,
        place,
        "this is no rule file: it has neither `rules:` nor `groups:`".to_owned(),
    );
    Some(match near {
        Some((key, meant)) => {
            Diagnostic { span: key.span.clone(), ..finding }.with_label(format!("did you mean `{meant}`?"))
        }
        None => finding.with_label("expected `rules:`").with_help("put the rules under `rules:`, each with a `name`"),
    })
}

impl Reader<'_> {
    /// Checks the keys of the file and that `rules` is a list; rules and defaults are checked one by one later.
    fn top_keys(&mut self, root: &Node) {
        let Some(entries) = root.entries() else {
            shape::check_root(self.file, root, &keys::RULE_FILE, &mut self.out);
            return;
        };
        for (key, value) in entries {
            match key.text() {
                Some("defaults") if value.entries().is_some() => {}
                Some("rules") if value.items().is_some() => {}
                Some(prometheus::MARK) => {
                    let found = self.error("A016", key.span.clone(), "`groups` and `rules` cannot stand in one file");
                    self.out
                        .push(found.with_label("of Prometheus").with_help("put the groups into a file of their own"));
                }
                _ => {
                    let single = Node {
                        kind: crate::yaml::Kind::Mapping(vec![(key.clone(), value.clone())]),
                        span: root.span.clone(),
                    };
                    shape::check_known(self.file, &single, &keys::RULE_FILE, &mut self.out);
                }
            }
        }
    }

    /// Checks `defaults`; whether there is an error in it.
    fn defaults(&mut self, defaults: Option<&Node>) -> bool {
        let (before, Some(node)) = (self.out.len(), defaults) else { return false };
        shape::check_known(self.file, node, &keys::RULE, &mut self.out);
        for name in ["name", "uid", "renamed_from", "tests"] {
            if let Some((key, _)) = node.entry(name) {
                let found = self.error("A016", key.span.clone(), format!("`{name}` cannot be a default"));
                self.out.push(found.with_label("belongs to one rule").with_help("give it in the rule"));
            }
        }
        self.out[before..].iter().any(|d| d.level == Level::Error)
    }

    /// Reads one rule. `None` if it has not even a name.
    fn rule(&mut self, view: &View<'_>, healthy: bool) -> Option<Found> {
        let before = self.out.len();
        shape::check(self.file, view.own, &RULE_ENTRY, &mut self.out);
        view.own.entries()?;
        let identity = self.identity(view);
        let rule = self.model(view);
        let clean = healthy && !self.out[before..].iter().any(|d| d.level == Level::Error);
        let (uid, key, explicit_uid) = identity?;
        let renamed_from =
            view.own("renamed_from").and_then(|(_, node)| Some((Arc::from(node.text()?), node.span.clone())));
        let name_at = view.own("name").map_or(key.start, |(_, node)| node.span.start);
        let rule = rule.filter(|_| clean).map(Box::new);
        Some(Found { uid, key, explicit_uid, name_at, renamed_from, sharing: None, rule })
    }

    /// The uid, the key that gives it, and whether that is `uid`.
    fn identity(&mut self, view: &View<'_>) -> Option<(Arc<str>, std::ops::Range<usize>, bool)> {
        for key in ["name", "uid", "renamed_from"] {
            let Some((_, value)) = view.own(key) else { continue };
            let text = value.text().unwrap_or_default();
            let bad = text.len() > NAME_LEN_MAX || text.chars().any(char::is_control);
            if !value.is_null() && value.text().is_some() && (text.trim().is_empty() || bad) {
                let message = if bad {
                    format!("`{key}` must be at most {NAME_LEN_MAX} bytes of text on one line")
                } else {
                    format!("`{key}` is empty")
                };
                let found = self.error("A018", value.span.clone(), message);
                self.out.push(found.with_label("expected a name such as `disk_full`"));
            }
        }
        let explicit = view.own("uid").is_some();
        let (key, value) = view.own("uid").or_else(|| view.own("name"))?;
        let text = value.text().filter(|text| !text.is_empty())?;
        Some((Arc::from(text), key.span.clone(), explicit))
    }

    /// The rule as evaluated; `None` if an error keeps it from being one.
    fn model(&mut self, view: &View<'_>) -> Option<Rule> {
        let severity = view.text("severity").map_or(Some(Severity::default()), Severity::from_name);
        let condition = self.condition(view, severity.unwrap_or_default());
        let schedule = self.schedule(view);
        let source = self.source(view);
        let hold = view.duration("for").unwrap_or_default();
        if let Some(Schedule::Every(every)) = &schedule {
            self.delay_warning(view, *every, hold);
        }
        let description = view.get("description").and_then(|node| self.template(node));
        let labels = self.labels(view);
        let annotations = self.templates(view, "annotations");
        let escalate = self.told(view);
        let times = self.mute_times(view);
        let tests = self.cases(view);
        let (_, name_node) = view.own("name")?;
        let name: Arc<str> = Arc::from(name_node.text()?);
        let uid = view.own("uid").and_then(|(_, node)| node.text()).map_or_else(|| name.clone(), Arc::from);
        let condition = condition?;
        let severity = least_severity(&condition).or(severity)?;
        Some(Rule {
            uid,
            renamed_from: view.own("renamed_from").and_then(|(_, node)| node.text()).map(Arc::from),
            also_known_as: None,
            name,
            group: None,
            internal: false,
            origin: self.origin(name_node),
            description,
            severity,
            severity_label: true,
            enabled: view.get("enabled").map_or(Some(true), Node::boolean)?,
            source: source?,
            schedule: schedule?,
            condition,
            hold,
            keep_firing_for: view.duration("keep_firing_for").unwrap_or_default(),
            cooldown: view.duration("cooldown").unwrap_or_default(),
            flapping: self.flapping(view, Some(Flapping::default())),
            notify: view.names("notify"),
            escalate,
            labels,
            annotations,
            on_no_data: on_missing(view, "on_no_data"),
            no_data_timeout: view.duration("no_data_timeout").unwrap_or(NO_DATA_TIMEOUT),
            on_error: on_missing(view, "on_error").unwrap_or_default(),
            alerts_max: alerts_max(view),
            times,
            tests,
        })
    }

    /// The remote store of the rule; `Some(None)` is the embedded one.
    pub(super) fn source(&mut self, view: &View<'_>) -> Option<Option<Arc<str>>> {
        let Some(node) = view.get("source") else {
            return Some(self.options.default_store.map(Arc::from));
        };
        let name = node.text()?;
        if name == EMBEDDED {
            return Some(None);
        }
        if let Some(known) = self.options.known_stores.filter(|known| known.iter().all(|k| k != name)) {
            let names = known.iter().map(String::as_str).chain([EMBEDDED]);
            let label = match crate::diag::suggest(name, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "no store has this name".to_owned(),
            };
            let found = self.error("A515", node.span.clone(), format!("`source` names no store: `{name}`"));
            self.out.push(found.with_label(label).with_help("stores are named under `stores` in alertd.yaml"));
            return None;
        }
        Some(Some(Arc::from(name)))
    }

    /// Checks `notify`, and reads `escalate`.
    pub(super) fn told(&mut self, view: &View<'_>) -> Option<Arc<[EscalationStep]>> {
        let known = (self.options.known_handlers, ("A501", "handler"));
        self.known_names(view.get("notify").and_then(Node::items).unwrap_or_default(), known);
        let list = view.get("escalate")?;
        let (at_once, names) = (view.names("notify"), escalation::names(list).collect::<Vec<_>>());
        let at_once: Vec<&str> = at_once.iter().map(|name| &**name).collect();
        self.known_names(names, known);
        Some(escalation::read(self.file, list, &at_once, &mut self.out).into())
    }

    /// `active` and `mute`.
    pub(super) fn mute_times(&mut self, view: &View<'_>) -> MuteTimes {
        let known = self.options.known_intervals;
        let mut named = |key: &str| {
            let list = view.get(key);
            let Some(known) = known.filter(|_| list.is_some()) else { return Vec::new() };
            let names: Vec<String> = known.iter().map(|interval| interval.name.to_string()).collect();
            let items = list.and_then(Node::items).unwrap_or_default();
            self.known_names(items, (Some(&names), ("A502", "time interval")));
            let find = |name: &Arc<str>| known.iter().find(|interval| interval.name == *name).cloned();
            view.names(key).iter().filter_map(find).collect()
        };
        MuteTimes { mute: named("mute"), active: named("active") }
    }

    /// `every` or `cron`; of the defaults only where the rule gives neither.
    fn schedule(&mut self, view: &View<'_>) -> Option<Schedule> {
        if let (Some((every, _)), Some((cron, _))) = (view.own("every"), view.own("cron")) {
            let (later, name) = if every.span.start > cron.span.start { (every, "every") } else { (cron, "cron") };
            let other = if name == "every" { "cron" } else { "every" };
            let found = self.error("A016", later.span.clone(), format!("`{name}` conflicts with `{other}`"));
            self.out.push(found.with_label("two schedules").with_help("keep one of the two"));
            return None;
        }
        let own_every = view.own("every").map(|(_, node)| node);
        let cron = match (own_every, view.own("cron")) {
            (None, Some((_, node))) => Some(node),
            (None, None) => view.defaults.and_then(|d| d.get("cron")).filter(|_| view.get("every").is_none()),
            _ => None,
        };
        if let Some(cron) = cron {
            return self.cron(view, cron);
        }
        if let (Some((key, _)), true) = (view.own("timezone"), view.get("cron").is_none()) {
            let found = self.error("A415", key.span.clone(), "`timezone` has no meaning without `cron`");
            self.out.push(
                found
                    .with_label("has no effect here")
                    .with_help("remove it; the zone of a season goes under `anomaly`"),
            );
        }
        let every = match view.get("every") {
            Some(_) => view.duration("every")?,
            None => self.options.default_every,
        };
        if every.is_zero() {
            let place = view.get("every").map_or_else(|| shape::anchor(view.own), |node| node.span.clone());
            let found = self.error("A015", place, "`every` must be longer than nothing");
            self.out.push(found.with_label("expected a duration such as `15s`"));
            return None;
        }
        Some(Schedule::Every(every))
    }

    fn cron(&mut self, view: &View<'_>, node: &Node) -> Option<Schedule> {
        let zone = view.get("timezone");
        let error = match CronSchedule::parse(node.text()?, zone.and_then(Node::text)) {
            Ok(schedule) => return Some(Schedule::Cron(schedule)),
            Err(error) => error,
        };
        let found = match zone {
            Some(zone) if error.zone => self.unknown_zone(zone, zone.text().unwrap_or_default()),
            _ => self.wrong_cron(node, error),
        };
        self.out.push(found);
        None
    }

    /// What is wrong with a cron expression, at its place in it.
    pub(super) fn wrong_cron(&self, node: &Node, error: CronError) -> Diagnostic {
        let mut found = self.error("A409", self.inside(node, error.span), error.message);
        found.help = error.help;
        found
    }

    pub(super) fn templates(&mut self, view: &View<'_>, key: &str) -> Vec<(Arc<str>, Template)> {
        let pairs = view.merged(key);
        let mut out: Vec<_> = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            if let (Some(name), Some(template)) = (name.text(), self.template(value)) {
                out.push((Arc::from(name), template));
            }
        }
        out
    }

    /// The labels, whose names must not be those the engine sets.
    fn labels(&mut self, view: &View<'_>) -> Vec<(Arc<str>, Template)> {
        for (key, _) in view.merged("labels") {
            let name = key.text().unwrap_or_default();
            let help = match name {
                "severity" => "use the key `severity` of the rule",
                "alertname" => "it is the rule's `name`",
                name if name.starts_with("__") => "names that begin with `__` are reserved",
                _ => continue,
            };
            let found = self.error("A302", key.span.clone(), format!("the label `{name}` cannot be set"));
            self.out.push(found.with_label("is set by the engine").with_help(help));
        }
        self.templates(view, "labels")
    }
}

/// A rule as an element of `rules:`.
const RULE_ENTRY: shape::Key = shape::Key::new("rules", shape::Kind::Object(&keys::RULE), "", "");

pub(super) fn least_severity(condition: &Condition) -> Option<Severity> {
    match condition {
        Condition::Threshold { levels, .. } => levels.first().map(|level| level.severity),
        _ => None,
    }
}

pub(super) fn on_missing(view: &View<'_>, key: &str) -> Option<OnMissing> {
    match view.text(key)? {
        "keep" => Some(OnMissing::Keep),
        "fire" => Some(OnMissing::Fire),
        "resolve" => Some(OnMissing::Resolve),
        _ => None,
    }
}

fn alerts_max(view: &View<'_>) -> usize {
    let given = view.get("max_alerts").and_then(Node::integer);
    given.and_then(|n| usize::try_from(n).ok()).unwrap_or(ALERTS_MAX)
}
