//! From the tree of a rule file to what checks look at, for both dialects.
//!
//! Rules with an error in them are left out: their reader has said what is wrong, and the rest would be its consequence.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::subject::{Dialect, Formula, Makes, Pair, Role, Subject};
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::promql::{ParseOptions, parse};
use crate::rule::{Condition, Rule};
use crate::schedule::Schedule;
use crate::template::Template;
use crate::yaml::Node;

/// The rules that were loaded, by the place of their name.
pub(super) type Models<'a> = HashMap<(&'a str, u32), &'a Rule>;

/// Where errors were found, by file: sorted starts of bytes.
pub(super) type Faults<'a> = BTreeMap<&'a str, Vec<usize>>;

/// The places of errors.
pub(super) fn faults(found: &[Diagnostic]) -> Faults<'_> {
    let mut faults = Faults::new();
    for d in found.iter().filter(|d| d.level == Level::Error) {
        faults.entry(&d.file.path).or_default().push(d.span.start);
    }
    for starts in faults.values_mut() {
        starts.sort_unstable();
    }
    faults
}

/// The rules by place.
pub(super) fn models(rules: &[Rule]) -> Models<'_> {
    rules.iter().map(|rule| ((&*rule.origin.file, rule.origin.line), rule)).collect()
}

/// A rule in its tree, and what it inherits from.
pub(super) struct Place<'a> {
    file: &'a Arc<SourceFile>,
    own: &'a Node,
    over: Over<'a>,
}

/// What a rule stands in.
enum Over<'a> {
    /// A file with defaults, or without.
    Defaults(Option<&'a Node>),
    Group(&'a Node),
}

/// The rules of one file.
pub(super) fn places<'a>(file: &'a Arc<SourceFile>, root: &'a Node) -> Vec<Place<'a>> {
    if let Some(groups) = root.get("groups").and_then(Node::items) {
        let rules = |group: &'a Node| group.get("rules").and_then(Node::items).unwrap_or_default();
        let of = |group: &'a Node| rules(group).iter().map(move |own| Place { file, own, over: Over::Group(group) });
        return groups.iter().flat_map(of).collect();
    }
    let defaults = root.get("defaults").filter(|d| d.entries().is_some());
    let rules = root.get("rules").and_then(Node::items).unwrap_or_default();
    rules.iter().map(|own| Place { file, own, over: Over::Defaults(defaults) }).collect()
}

/// Reads one rule; none where it has an error in it.
pub(super) fn subject<'a>(place: &Place<'a>, models: &Models<'a>, faults: &Faults<'_>) -> Option<Subject<'a>> {
    let reader = Reader { file: place.file, models, faults: faults.get(&*place.file.path).map_or(&[], Vec::as_slice) };
    match place.over {
        Over::Defaults(defaults) => reader.native(place.own, defaults),
        Over::Group(group) => reader.grouped(place.own, group),
    }
}

struct Reader<'a, 'b> {
    file: &'a Arc<SourceFile>,
    models: &'b Models<'a>,
    faults: &'b [usize],
}

impl<'a> Reader<'a, '_> {
    fn faulty(&self, node: &Node) -> bool {
        let first = self.faults.partition_point(|start| *start < node.span.start);
        self.faults.get(first).is_some_and(|start| *start < node.span.end)
    }

    fn model(&self, name: &Node) -> Option<&'a Rule> {
        self.models.get(&(&*self.file.path, self.file.position(name.span.start).line)).copied()
    }

    fn native(&self, own: &'a Node, defaults: Option<&'a Node>) -> Option<Subject<'a>> {
        let name = own.get("name")?;
        if self.faulty(own) {
            return None;
        }
        let rule = self.model(name)?;
        let merged = |key: &str| {
            let own_pairs = own.get(key);
            let pairs = |node: Option<&'a Node>| node.and_then(Node::entries).unwrap_or_default();
            let kept = pairs(defaults.and_then(|d| d.get(key)))
                .iter()
                .filter(move |(k, _)| own_pairs.is_none_or(|own| own.get(k.text().unwrap_or("")).is_none()));
            kept.chain(pairs(own_pairs)).filter_map(pair).collect()
        };
        let (labels, mut annotations): (_, Vec<Pair<'a>>) = (merged("labels"), merged("annotations"));
        if let Some((key, value)) = own.entry("description") {
            annotations.push(Pair { key, value, template: template(value) });
        }
        Some(Subject {
            file: self.file,
            dialect: Dialect::Native,
            makes: Makes::Alerts,
            own,
            defaults,
            group: None,
            name,
            formulas: formulas(own, defaults, rule),
            labels,
            annotations,
            every: every(rule),
            rule,
            asks: OnceLock::new(),
        })
    }

    fn grouped(&self, own: &'a Node, group: &'a Node) -> Option<Subject<'a>> {
        let given = |key: &str| own.get(key).filter(|node| !node.is_null());
        let (makes, name) = match (given("alert"), given("record")) {
            (Some(name), _) => (Makes::Alerts, name),
            (None, name) => (Makes::Series, name?),
        };
        if self.faulty(own) {
            return None;
        }
        let rule = self.model(name)?;
        let pairs = |node: Option<&'a Node>| node.and_then(Node::entries).unwrap_or_default();
        let own_labels = own.get("labels");
        let inherited = pairs(group.get("labels"))
            .iter()
            .filter(|(k, _)| own_labels.is_none_or(|own| own.get(k.text().unwrap_or("")).is_none()));
        Some(Subject {
            file: self.file,
            dialect: Dialect::Prometheus,
            makes,
            own,
            defaults: None,
            group: Some(group),
            name,
            formulas: formulas(own, None, rule),
            labels: inherited.chain(pairs(own_labels)).filter_map(pair).collect(),
            annotations: pairs(own.get("annotations")).iter().filter_map(pair).collect(),
            every: every(rule),
            rule,
            asks: OnceLock::new(),
        })
    }
}

fn every(rule: &Rule) -> Option<Duration> {
    match &rule.schedule {
        Schedule::Every(every) => Some(*every),
        Schedule::Cron(_) => None,
    }
}

fn pair((key, value): &(Node, Node)) -> Option<Pair<'_>> {
    key.text()?;
    value.text()?;
    Some(Pair { key, value, template: template(value) })
}

fn template(value: &Node) -> Option<Template> {
    value.text().filter(|text| text.contains("{{")).and_then(|text| Template::parse(text).ok())
}

fn formula(node: &Node, role: Role) -> Option<Formula<'_>> {
    let text = node.text()?;
    let expr = parse(text, &ParseOptions { dotted_names: false }).ok()?;
    Some(Formula { node, role, text: Cow::Borrowed(text), expr, generated: false })
}

fn formulas<'a>(own: &'a Node, defaults: Option<&'a Node>, rule: &'a Rule) -> Vec<Formula<'a>> {
    let get = |key: &str| own.get(key).or_else(|| defaults?.get(key));
    match &rule.condition {
        Condition::Threshold { signal, .. } | Condition::Anomaly { signal, .. } => match get("metric") {
            Some(node) => {
                let expr = parse(&signal.text, &ParseOptions { dotted_names: true });
                let text = Cow::Borrowed(&*signal.text);
                expr.ok()
                    .map(|expr| Formula { node, role: Role::Signal, text, expr, generated: true })
                    .into_iter()
                    .collect()
            }
            None => get("expr").and_then(|node| formula(node, Role::Signal)).into_iter().collect(),
        },
        Condition::Record { .. } => get("expr").and_then(|node| formula(node, Role::Recorded)).into_iter().collect(),
        Condition::Expression { .. } => {
            let named = get("queries").and_then(Node::entries).unwrap_or_default();
            named.iter().filter_map(|(_, node)| formula(node, Role::Signal)).collect()
        }
        Condition::PromQl { .. } => {
            let condition = get("expr").and_then(|node| formula(node, Role::Condition));
            let recovery = get("recover_expr").and_then(|node| formula(node, Role::Recovery));
            condition.into_iter().chain(recovery).collect()
        }
    }
}
