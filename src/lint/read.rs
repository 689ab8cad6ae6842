//! From the tree of a rule file to what checks look at, for both dialects.
//!
//! Rules with an error in them are left out: their reader has said what is wrong, and the rest would be its consequence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::same::Same;
use super::subject::{Formula, Makes, Pair, Role, Subject};
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::rule::{Condition, Loaded, Query, Rule, merged};
use crate::schedule::Schedule;
use crate::template::Template;
use crate::yaml::Node;

/// The rules that were loaded, by file and the byte at which the name begins.
pub(super) type Models<'a> = HashMap<(&'a str, usize), &'a Rule>;

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
pub(super) fn models(loaded: &Loaded) -> Models<'_> {
    let placed = loaded.rules.iter().zip(&loaded.names_at);
    placed.map(|(rule, at)| ((&*rule.origin.file, *at), rule)).collect()
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
        self.models.get(&(&*self.file.path, name.span.start)).copied()
    }

    fn native(&self, own: &'a Node, defaults: Option<&'a Node>) -> Option<Subject<'a>> {
        let name = own.get("name")?;
        if self.faulty(own) {
            return None;
        }
        let rule = self.model(name)?;
        let mut annotations =
            pairs(merged(own.get("annotations"), defaults.and_then(|d| d.get("annotations"))), &rule.annotations);
        if let Some((key, value)) = own.entry("description") {
            annotations.push(Pair { key, value, template: rule.description.as_ref().and_then(active) });
        }
        Some(self.subject((own, defaults), (Makes::Alerts, name, rule), annotations))
    }

    fn grouped(&self, own: &'a Node, group: &'a Node) -> Option<Subject<'a>> {
        let (makes, name) = match (own.get("alert"), own.get("record")) {
            (Some(name), _) => (Makes::Alerts, name),
            (None, name) => (Makes::Series, name?),
        };
        if self.faulty(own) {
            return None;
        }
        let rule = self.model(name)?;
        let annotations = pairs(merged(own.get("annotations"), None), &rule.annotations);
        Some(self.subject((own, Some(group)), (makes, name, rule), annotations))
    }

    fn subject(
        &self,
        (own, over): (&'a Node, Option<&'a Node>),
        (makes, name, rule): (Makes, &'a Node, &'a Rule),
        annotations: Vec<Pair<'a>>,
    ) -> Subject<'a> {
        let get = |key: &str| own.get(key).or_else(|| over?.get(key));
        let labels = pairs(merged(own.get("labels"), over.and_then(|over| over.get("labels"))), &rule.labels);
        Subject {
            file: self.file,
            makes,
            own,
            over,
            name,
            formulas: formulas(get, rule),
            same: Same::of(rule, &labels, get),
            labels,
            annotations,
            every: every(rule),
            rule,
        }
    }
}

fn every(rule: &Rule) -> Option<Duration> {
    match &rule.schedule {
        Schedule::Every(every) => Some(*every),
        Schedule::Cron(_) => None,
    }
}

/// Labels or annotations with the templates that their rule holds.
fn pairs<'a>(entries: impl Iterator<Item = &'a (Node, Node)>, held: &'a [(Arc<str>, Template)]) -> Vec<Pair<'a>> {
    let template =
        |name: &str| held.iter().find(|(held, _)| **held == *name).and_then(|(_, template)| active(template));
    let pair = |(key, value): &'a (Node, Node)| {
        value.text()?;
        Some(Pair { key, value, template: template(key.text()?) })
    };
    entries.filter_map(pair).collect()
}

/// A template that has an action.
fn active(template: &Template) -> Option<&Template> {
    template.constant().is_none().then_some(template)
}

fn formula<'a>(node: Option<&'a Node>, role: Role, query: &'a Query) -> Option<Formula<'a>> {
    Some(Formula { node: node?, role, text: &query.text, expr: query.expr.as_deref()?, generated: false })
}

fn formulas<'a>(get: impl Fn(&str) -> Option<&'a Node>, rule: &'a Rule) -> Vec<Formula<'a>> {
    let own = |role, query| formula(get("expr"), role, query);
    match &rule.condition {
        Condition::Threshold { signal, .. } | Condition::Anomaly { signal, .. } => match get("metric") {
            None => own(Role::Signal, signal).into_iter().collect(),
            metric => {
                let made = formula(metric, Role::Signal, signal);
                made.into_iter().map(|made| Formula { generated: true, ..made }).collect()
            }
        },
        Condition::Record { query } => own(Role::Recorded, query).into_iter().collect(),
        Condition::Expression { queries, .. } => {
            let named = get("queries");
            let one = |(name, query): &'a (Arc<str>, Query)| formula(named?.get(name), Role::Signal, query);
            queries.iter().filter_map(one).collect()
        }
        Condition::PromQl { query, recover, .. } => {
            let recovery = recover.as_ref().and_then(|query| formula(get("recover_expr"), Role::Recovery, query));
            own(Role::Condition, query).into_iter().chain(recovery).collect()
        }
    }
}
