//! Prometheus rule files (`groups:`) and the Kubernetes resources that carry the same groups.
//!
//! Place in the flow: `rule::load` asks here first. This file finds the groups of a file, `groups` reads them into the
//! one rule model. A plain file counts with its first document, as in Prometheus; of resources every document counts.
//! What Prometheus refuses is an error here, and nothing else is: what only alertd finds wrong is a warning.

mod alerting;
mod groups;
mod recording;

use std::sync::Arc;

use super::{Found, LoadOptions};
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::{self, Kind, Node, ScalarStyle};

/// The key by which a Prometheus rule file is known.
pub const MARK: &str = "groups";
/// Kinds of resources that hold groups.
const KINDS: [&str; 2] = ["PrometheusRule", "VMRule"];
/// Kinds of resources that hold others.
const LISTS: [&str; 3] = ["List", "PrometheusRuleList", "VMRuleList"];

/// Keys of the groups of a `VMRule` that Prometheus does not have, and what to say of them.
const FOREIGN_KEYS: [(&str, &str); 9] = [
    ("concurrency", "rules that do not read one another are evaluated in parallel anyway"),
    ("eval_offset", "slots are multiples of the interval"),
    ("eval_alignment", "slots are multiples of the interval"),
    ("eval_delay", "write `query_offset`"),
    ("type", "all expressions are PromQL"),
    ("params", "the store is read directly"),
    ("headers", "the store is read directly"),
    ("notifier_headers", "handlers have headers of their own"),
    ("debug", "`alertd --log-level debug` shows every evaluation"),
];

/// The rules of a file of this dialect; `None` if it is of another. What resources hold is put into `specs`; keys without
/// a value are dropped from the trees.
pub(super) fn read(
    file: &Arc<SourceFile>,
    root: Option<&mut Node>,
    options: &LoadOptions<'_>,
    out: &mut Vec<Diagnostic>,
    specs: &mut Vec<Node>,
) -> Option<Vec<Found>> {
    let root = root?;
    if root.get("rules").is_some() {
        return None;
    }
    if root.entry(MARK).is_some() {
        drop_nulls(root);
        return Some(groups::read(file, root, options, out));
    }
    root.get("kind")?;
    *specs = resources(file, out);
    specs.iter_mut().for_each(drop_nulls);
    Some(specs.iter().flat_map(|spec| groups::read(file, spec, options, out)).collect())
}

/// What holds `groups` in the resources of a file, one per resource.
fn resources(file: &Arc<SourceFile>, out: &mut Vec<Diagnostic>) -> Vec<Node> {
    // Every document counts here, so that there is more than one is no finding.
    out.retain(|found| found.code != "A008" || !Arc::ptr_eq(&found.file, file));
    let Some(documents) = yaml::documents(file, out) else { return Vec::new() };
    let mut specs = Vec::new();
    let mut strange = Vec::new();
    for document in &documents {
        resource(file, document, &mut specs, &mut strange);
    }
    if specs.is_empty() && strange.iter().all(|d| d.code == "A425") {
        // Nothing but foreign resources: the file is none for rules.
        strange.iter_mut().for_each(|found| found.level = crate::diag::Level::Error);
    }
    out.append(&mut strange);
    specs
}

fn resource(file: &Arc<SourceFile>, node: &Node, specs: &mut Vec<Node>, out: &mut Vec<Diagnostic>) {
    let Some((key, value)) = node.entry("kind") else {
        let place = yaml::shape::anchor(node);
        let found = Diagnostic::error("A012", file, place, "`kind` is missing".to_owned());
        out.push(found.with_help("add `kind: PrometheusRule`"));
        return;
    };
    let kind = value.text().unwrap_or_default();
    let inner = if LISTS.contains(&kind) { "items" } else { "spec" };
    if !LISTS.contains(&kind) && !KINDS.contains(&kind) {
        let shown: String = kind.chars().take(60).collect();
        let found = Diagnostic::warning("A425", file, value.span.clone(), format!("`{shown}` holds no rules"));
        out.push(found.with_label("is not read").with_help("rules are in resources of kind PrometheusRule and VMRule"));
        return;
    }
    match node.get(inner) {
        None => {
            let found = Diagnostic::error("A012", file, key.span.clone(), format!("`{inner}` is missing"));
            out.push(found.with_help("add the groups: `spec: {groups: []}`"));
        }
        Some(items) if inner == "items" => {
            items.items().unwrap_or_default().iter().for_each(|item| resource(file, item, specs, out));
        }
        Some(spec) if kind == "VMRule" => specs.push(portable(file, spec, out)),
        Some(spec) => specs.push(spec.clone()),
    }
}

/// A `VMRule` without the keys that have no equal here; each is a warning.
fn portable(file: &Arc<SourceFile>, spec: &Node, out: &mut Vec<Diagnostic>) -> Node {
    let mut spec = spec.clone();
    let Kind::Mapping(entries) = &mut spec.kind else { return spec };
    for (_, groups) in entries.iter_mut().filter(|(key, _)| key.text() == Some(MARK)) {
        let Kind::Sequence(items) = &mut groups.kind else { continue };
        for group in items {
            let Kind::Mapping(entries) = &mut group.kind else { continue };
            entries.retain(|(key, _)| {
                let Some((name, help)) = FOREIGN_KEYS.iter().find(|(name, _)| key.text() == Some(name)) else {
                    return true;
                };
                let found = Diagnostic::warning(
                    "A426",
                    file,
                    key.span.clone(),
                    format!("`{name}` of a VMRule has no effect here"),
                );
                out.push(found.with_label("is not used").with_help(*help));
                false
            });
        }
    }
    spec
}

/// Drops the keys that have no value: to Prometheus they are not there. A label or annotation without a value is one with
/// an empty value.
pub(super) fn drop_nulls(node: &mut Node) {
    match &mut node.kind {
        Kind::Mapping(entries) => {
            entries.retain(|(_, value)| !value.is_null());
            for (key, value) in entries {
                let texts = key.text().is_some_and(|key| TEXTS.contains(&key));
                match &mut value.kind {
                    Kind::Mapping(pairs) if texts => {
                        pairs.iter_mut().filter(|(_, text)| text.is_null()).for_each(|(_, text)| empty(text));
                    }
                    _ => drop_nulls(value),
                }
            }
        }
        Kind::Sequence(items) => items.iter_mut().for_each(drop_nulls),
        Kind::Scalar { .. } => {}
    }
}

/// Keys of mappings from names to texts.
const TEXTS: [&str; 5] = ["labels", "annotations", "exp_labels", "exp_annotations", "external_labels"];

fn empty(node: &mut Node) {
    node.kind = Kind::Scalar { value: String::new(), style: ScalarStyle::DoubleQuoted, tag: None };
}
