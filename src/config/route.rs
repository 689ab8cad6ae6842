//! The tree of routes, and the names of handlers and time intervals that files refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::handlers::Reading;
use super::matchers;
use crate::diag::{Diagnostic, SourceFile, suggest};
use crate::model::{EscalationStep, LabelMatcher, parse_duration};
use crate::schedule::Rotation;
use crate::yaml::{Node, escalation, shape};

/// Most routes of a tree.
pub const ROUTES_MAX: usize = 5_000;

/// A route as it is written: what it leaves open it has from the one above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteConfig {
    /// Alerts that fit all of them take it.
    pub matchers: Vec<LabelMatcher>,
    /// Whether the routes behind it are tried too.
    pub goes_on: bool,
    /// Labels whose values make a group; `...` for all, none for one group.
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more alerts.
    pub group_wait: Option<Duration>,
    /// Least time between two messages about news of a group.
    pub group_interval: Option<Duration>,
    /// What still fires is told again after this time.
    pub repeat_interval: Option<Duration>,
    /// Names of handlers; every handler where there is none on the way down.
    pub handlers: Option<Vec<String>>,
    /// Who else is told where nobody looks after an alert.
    pub escalate: Option<Vec<EscalationStep>>,
    /// Labels that messages carry as those of the route; those of a route below win.
    pub labels: BTreeMap<String, String>,
    /// Names of time intervals in which it tells nobody.
    pub mute: Option<Vec<String>>,
    /// Names of time intervals; it tells people in these alone.
    pub active: Option<Vec<String>>,
    /// The routes below it, in order.
    pub routes: Vec<RouteConfig>,
}

/// A name that must be one of a handler, or of a time interval: where it stands.
pub(super) struct Reference {
    pub(super) file: Arc<SourceFile>,
    pub(super) place: Range<usize>,
    pub(super) name: String,
    pub(super) key: &'static str,
    /// The handler it stands in; a fallback to oneself is none.
    pub(super) of: Option<String>,
}

/// A name in a step of an escalation, and who is told at once on its route.
pub(super) struct Escalated {
    file: Arc<SourceFile>,
    name: Node,
    at_once: Arc<BTreeSet<String>>,
}

/// `route:`, of which there is one in all files together.
pub(super) fn read(file: &Arc<SourceFile>, root: &Node, reading: &mut Reading, out: &mut Vec<Diagnostic>) {
    for name in root.get("time_intervals").and_then(Node::items).unwrap_or_default() {
        reading.intervals.extend(name.get("name").and_then(Node::text).map(str::to_owned));
    }
    if let Some(entry) = root.entry("route") {
        self::root(file, entry, false, reading, out);
    }
}

/// `route:` of an `alertmanager.yml`, whose shape has been checked: it names receivers, and its times are its own.
pub(super) fn read_foreign(
    file: &Arc<SourceFile>,
    (key, node): (&Node, &Node),
    reading: &mut Reading,
    out: &mut Vec<Diagnostic>,
) {
    if node.get("receiver").is_none_or(|name| name.text() == Some("")) {
        out.push(
            Diagnostic::error("A012", file, key.span.clone(), "`receiver` is missing".to_owned())
                .with_help("name the receiver of alerts that fit no other route"),
        );
    }
    for (key, value) in node.entries().unwrap_or_default() {
        let empty = value.items().is_some_and(<[Node]>::is_empty)
            || value.entries().is_some_and(<[(Node, Node)]>::is_empty)
            || value.boolean() == Some(false);
        let name = key.text().unwrap_or_default();
        if BELOW_ROOT.contains(&name) && !empty {
            let message = format!("the root route cannot have `{name}`");
            let found = Diagnostic::error("A016", file, key.span.clone(), message);
            out.push(
                found.with_label("it takes every alert at any time").with_help("put this on a route under `routes`"),
            );
        }
    }
    root(file, (key, node), true, reading, out);
}

/// Keys of Alertmanager's routes that the root cannot have.
const BELOW_ROOT: &[&str] =
    &["matchers", "match", "match_re", "continue", "mute_time_intervals", "active_time_intervals"];

/// The root route, of which there is one.
fn root(
    file: &Arc<SourceFile>,
    (key, node): (&Node, &Node),
    foreign: bool,
    reading: &mut Reading,
    out: &mut Vec<Diagnostic>,
) {
    let here = format!("{}:{}", file.path, file.position(key.span.start).line);
    if let Some(first) = reading.route_at.replace(here) {
        out.push(
            Diagnostic::error("A503", file, key.span.clone(), "there are two root routes".to_owned())
                .with_label(format!("first in {first}"))
                .with_help("keep one `route:` in all handler files together"),
        );
    }
    if node.entries().is_none() {
        return;
    }
    let mut reader = Reader { file, reading, out, left: ROUTES_MAX, foreign };
    let route = reader.route(node, None);
    if reader.left == 0 {
        let message = format!("there are more than {ROUTES_MAX} routes");
        let found = Diagnostic::error("A544", file, key.span.clone(), message);
        out.push(found.with_help("give routes that differ in one value alone one matcher: `team=~\"a|b|c\"`"));
    }
    reading.files.route = Some(route);
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    reading: &'a mut Reading,
    out: &'a mut Vec<Diagnostic>,
    /// How many more routes are read.
    left: usize,
    /// Whether it is a tree of Alertmanager.
    foreign: bool,
}

impl Reader<'_> {
    /// `above` are the handlers of the route above; without any, all are told.
    fn route(&mut self, node: &Node, above: Option<&[String]>) -> RouteConfig {
        let matchers = matchers::read(self.file, node, ["matchers", "match", "match_re"], self.out);
        let handlers = if self.foreign { self.receiver(node) } else { self.names(node, "handlers") };
        let told = handlers.as_deref().or(above);
        let route = RouteConfig {
            matchers,
            goes_on: node.get("continue").and_then(Node::boolean).unwrap_or_default(),
            group_by: self.group_by(node),
            group_wait: duration(node, "group_wait"),
            group_interval: self.group_interval(node),
            repeat_interval: self.longer_than_nothing(node, "repeat_interval", "4h"),
            escalate: self.escalation(node, told),
            labels: labels(node),
            mute: self.times(node, "mute", "mute_time_intervals"),
            active: self.times(node, "active", "active_time_intervals"),
            routes: Vec::new(),
            handlers: None,
        };
        let below = node.get("routes").and_then(Node::items).unwrap_or_default();
        let mut routes: Vec<RouteConfig> = Vec::new();
        for node in below.iter().filter(|node| node.entries().is_some()) {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                break;
            }
            let next = self.route(node, told);
            self.never_reached(&routes, &next, node);
            routes.push(next);
        }
        RouteConfig { routes, handlers, ..route }
    }

    /// `escalate`; Alertmanager has none.
    fn escalation(&mut self, node: &Node, told: Option<&[String]>) -> Option<Vec<EscalationStep>> {
        let list = node.get("escalate").filter(|_| !self.foreign)?;
        let everybody: Arc<BTreeSet<String>> = Arc::new(told.unwrap_or_default().iter().cloned().collect());
        for name in escalation::names(list) {
            self.refers(name, "escalate");
            let (file, at_once) = (Arc::clone(self.file), Arc::clone(&everybody));
            self.reading.escalated.push(Escalated { file, name: name.clone(), at_once });
        }
        let at_once: Vec<&str> = told.unwrap_or_default().iter().map(String::as_str).collect();
        let steps = escalation::read(self.file, list, &at_once, self.out);
        if told.is_none() && !steps.is_empty() {
            let found =
                escalation::told_before(self.file, list, "without `handlers` this route tells every handler at once");
            self.out.push(found.with_help("name those who are told first under `handlers`"));
        }
        Some(steps)
    }

    /// Notes that a name must be one of a handler or of a time interval.
    fn refers(&mut self, item: &Node, key: &'static str) {
        let Some(name) = item.text() else { return };
        let (file, place) = (Arc::clone(self.file), item.span.clone());
        self.reading.references.push(Reference { file, place, name: name.to_owned(), key, of: None });
    }

    fn group_by(&mut self, node: &Node) -> Option<Vec<String>> {
        let items = node.get("group_by")?.items()?;
        let mut names: Vec<String> = Vec::new();
        for item in items {
            let Some(name) = item.text() else { continue };
            if names.iter().any(|before| before == name) {
                let message = format!("`{name}` stands twice in `group_by`");
                self.out
                    .push(Diagnostic::error("A543", self.file, item.span.clone(), message).with_label("a second time"));
            }
            names.push(name.to_owned());
        }
        if names.len() > 1
            && let Some(all) = items.iter().find(|item| item.text() == Some("..."))
        {
            let found = Diagnostic::error("A543", self.file, all.span.clone(), "`...` is every label".to_owned());
            self.out.push(found.with_label("others beside it say nothing").with_help("write `group_by: ['...']`"));
        }
        Some(names)
    }

    /// Alertmanager refuses one of nothing.
    fn group_interval(&mut self, node: &Node) -> Option<Duration> {
        match self.foreign {
            true => self.longer_than_nothing(node, "group_interval", "5m"),
            false => duration(node, "group_interval"),
        }
    }

    fn longer_than_nothing(&mut self, node: &Node, key: &str, example: &str) -> Option<Duration> {
        let time = duration(node, key)?;
        if time.is_zero()
            && let Some(value) = node.get(key)
        {
            let message = format!("`{key}` must be longer than nothing");
            let found = Diagnostic::error("A015", self.file, value.span.clone(), message);
            self.out.push(found.with_label(format!("expected a duration such as `{example}`")));
        }
        Some(time)
    }

    /// The handlers that a receiver has become; its own name where it has none, so that nobody is told.
    fn receiver(&mut self, node: &Node) -> Option<Vec<String>> {
        let place = node.get("receiver")?;
        let name = place.text().filter(|name| !name.is_empty())?;
        let reference = Reference {
            file: Arc::clone(self.file),
            place: place.span.clone(),
            name: name.to_owned(),
            key: "receiver",
            of: None,
        };
        self.reading.references.push(reference);
        let handlers = self.reading.files.receivers.get(name).filter(|handlers| !handlers.is_empty());
        Some(handlers.map_or_else(|| vec![name.to_owned()], |names| names.iter().map(ToString::to_string).collect()))
    }

    /// Names of time intervals. Those of Alertmanager's routes are not inherited.
    fn times(&mut self, node: &Node, own: &'static str, foreign: &'static str) -> Option<Vec<String>> {
        match self.foreign {
            true => Some(self.names(node, foreign).unwrap_or_default()),
            false => self.names(node, own),
        }
    }

    /// Names of handlers or of time intervals.
    fn names(&mut self, node: &Node, key: &'static str) -> Option<Vec<String>> {
        let list = node.get(key)?;
        let items = list.items()?;
        if key == "handlers" && items.is_empty() {
            let found = Diagnostic::error("A018", self.file, list.span.clone(), "`handlers` is empty".to_owned());
            let found = found.with_label("nobody would be told");
            self.out.push(found.with_help(
                "name handlers, or remove the key: a route below has those of the one above, the root has all",
            ));
        }
        let mut names = Vec::new();
        for item in items {
            names.extend(item.text().map(str::to_owned));
            self.refers(item, key);
        }
        Some(names)
    }

    /// A route behind one that takes everything it would take is never reached.
    fn never_reached(&mut self, before: &[RouteConfig], route: &RouteConfig, node: &Node) {
        let takes_all = |earlier: &&RouteConfig| {
            !earlier.goes_on && earlier.matchers.iter().all(|matcher| route.matchers.contains(matcher))
        };
        let Some(earlier) = before.iter().find(takes_all) else { return };
        let matchers: Vec<String> = earlier.matchers.iter().map(ToString::to_string).collect();
        let what = match matchers.as_slice() {
            [] => "that has no matchers".to_owned(),
            matchers => format!("with `{}`", matchers.join(", ")),
        };
        let place =
            node.entries().and_then(|entries| entries.first()).map_or(node.span.clone(), |(k, _)| k.span.clone());
        self.out.push(
            Diagnostic::warning("A542", self.file, place, "no alert reaches this route".to_owned())
                .with_label(format!("all that fits it takes the route above {what}"))
                .with_help("move it up, or write `continue: true` on that one"),
        );
    }
}

fn duration(node: &Node, key: &str) -> Option<Duration> {
    parse_duration(node.get(key)?.text()?).ok()
}

fn labels(node: &Node) -> BTreeMap<String, String> {
    let entries = node.get("labels").and_then(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(name, value)| Some((name.text()?.to_owned(), value.text()?.to_owned()))).collect()
}

/// A step that tells a rotation tells nobody new where whoever may be on duty is told at once.
pub(super) fn check_steps(reading: &Reading, out: &mut Vec<Diagnostic>) {
    for Escalated { file, name, at_once } in &reading.escalated {
        let named = |rotation: &&Rotation| name.text() == Some(&*rotation.name);
        let Some(rotation) = reading.files.rotations.iter().find(named) else { continue };
        if rotation.everybody().all(|handler| at_once.contains(&**handler)) {
            let message = format!("everybody who takes turns in `{}` is told at once", rotation.name);
            out.push(escalation::told_before(file, name, &message));
        }
    }
}

/// Every name of a handler or a time interval that is used must be one.
pub(super) fn check_references(reading: &Reading, out: &mut Vec<Diagnostic>) {
    for reference in &reading.references {
        let is_time = matches!(reference.key, "mute" | "active" | "mute_time_intervals" | "active_time_intervals");
        let known = || -> Vec<&str> {
            if is_time {
                reading.intervals.iter().map(String::as_str).collect()
            } else {
                // Whoever is told instead must hear the end, whoever is on duty by then.
                let fits = |name: &str| reference.key != "fallback" || !reading.rotations.contains(name);
                let others = |name: &&str| Some(*name) != reference.of.as_deref() && fits(name);
                reading.seen.keys().map(String::as_str).filter(others).collect()
            }
        };
        let names = known();
        if names.contains(&reference.name.as_str()) {
            continue;
        }
        let (code, kind) = match reference.key {
            _ if is_time => ("A502", "time interval"),
            "receiver" => ("A501", "receiver"),
            _ => ("A501", "handler"),
        };
        let message = match &reference.of {
            Some(own) if *own == reference.name => format!("`{own}` is its own {}", reference.key),
            _ if reference.key == "fallback" && reading.rotations.contains(&reference.name) => {
                format!("`fallback` must be a handler, not the rotation `{}`", reference.name)
            }
            _ => format!("`{}` names no {kind}: `{}`", reference.key, reference.name),
        };
        out.push(unknown_name((code, kind), (&reference.file, &reference.place), (&reference.name, message), &names));
    }
}

/// That a name is none of those that are known.
pub(super) fn unknown_name(
    (code, kind): (&'static str, &str),
    (file, place): (&Arc<SourceFile>, &Range<usize>),
    (name, message): (&str, String),
    known: &[&str],
) -> Diagnostic {
    let label = match suggest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("no {kind} has this name"),
    };
    let found = Diagnostic::error(code, file, place.clone(), message).with_label(label);
    if known.is_empty() { found } else { found.with_help(format!("{kind}s are {}", shape::listed(known))) }
}
