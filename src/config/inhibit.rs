//! `inhibit_rules:` of handler files: which alerts keep which others from being told.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::handlers::Reading;
use super::inhibit_keys::ONE_SOURCE;
use super::matchers;
use crate::diag::{Diagnostic, SourceFile};
use crate::model::{EqualLabel, InhibitRule, InhibitSource, LabelMatcher, Labels, MatchOp};
use crate::yaml::Node;

/// Most inhibit rules of all handler files.
pub const INHIBIT_RULES_MAX: usize = 1_000;
/// Most sources of one of them.
pub const SOURCES_MAX: usize = 32;

/// Where a rule stands, for findings about two of them.
pub(super) struct Written {
    file: Arc<SourceFile>,
    place: Range<usize>,
}

/// Reads the rules of one file.
pub(super) fn read(file: &Arc<SourceFile>, root: &Node, reading: &mut Reading, out: &mut Vec<Diagnostic>) {
    let Some((key, list)) = root.entry("inhibit_rules") else { return };
    for node in list.items().unwrap_or_default().iter().filter(|node| node.entries().is_some()) {
        if reading.files.inhibit.len() == INHIBIT_RULES_MAX {
            let message = format!("there are more than {INHIBIT_RULES_MAX} inhibit rules");
            let found = Diagnostic::error("A555", file, key.span.clone(), message);
            out.push(
                found.with_help("rules that differ in one value alone can be one, with a pattern or with `equal`"),
            );
            return;
        }
        let rule = rule(file, node, out);
        let written = Written { file: Arc::clone(file), place: first_key(node) };
        mutual(reading, (&rule, &written), out);
        reading.files.inhibit.push(rule);
        reading.inhibit_at.push(written);
    }
}

fn first_key(node: &Node) -> Range<usize> {
    node.entries().and_then(|entries| entries.first()).map_or(node.span.clone(), |(key, _)| key.span.clone())
}

fn rule(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) -> InhibitRule {
    let target = matchers::read(file, node, ["target_matchers", "target_match", "target_match_re"], out);
    let mut sources = Vec::new();
    match node.entry("sources") {
        Some((key, list)) => {
            for (other, _) in node.entries().unwrap_or_default() {
                let Some(name) = other.text().filter(|name| ONE_SOURCE.contains(name)) else { continue };
                let message = format!("`sources` and `{name}` are both given");
                let found = Diagnostic::error("A552", file, other.span.clone(), message);
                let found = found.with_label("`sources` stands in place of it");
                out.push(found.with_help("write it as an element of `sources`, which has its own `equal`"));
            }
            let items = list.items().unwrap_or_default();
            if items.is_empty() && list.items().is_some() {
                let found = Diagnostic::error("A018", file, list.span.clone(), "`sources` is empty".to_owned());
                out.push(found.with_label("expected `[{matchers: ['alertname=\"LinkDown\"']}]`"));
            }
            if items.len() > SOURCES_MAX {
                let message = format!("the inhibit rule has {} sources, more than {SOURCES_MAX}", items.len());
                out.push(Diagnostic::error("A555", file, key.span.clone(), message));
            }
            for item in items.iter().take(SOURCES_MAX).filter(|item| item.entries().is_some()) {
                sources.push(source(file, item, ["matchers", "", ""], &target, out));
            }
        }
        None => {
            let keys = ["source_matchers", "source_match", "source_match_re"];
            sources.push(source(file, node, keys, &target, out));
        }
    }
    let unfit = |what: &str| format!("the inhibit rule {what}");
    if target.iter().all(LabelMatcher::fits_nothing) {
        let found = Diagnostic::warning("A551", file, first_key(node), unfit("mutes every alert"));
        let found = found.with_label("its target fits alerts of any kind");
        out.push(found.with_help("add `target_matchers`, such as `['severity=\"warning\"']`"));
    }
    contradiction(file, node, &target, "target", out);
    let name = node.get("name").and_then(Node::text).map(Arc::from);
    InhibitRule { name, sources, target }
}

fn source(
    file: &Arc<SourceFile>,
    node: &Node,
    keys: matchers::MatcherKeys,
    target: &[LabelMatcher],
    out: &mut Vec<Diagnostic>,
) -> InhibitSource {
    let matchers = matchers::read(file, node, keys, out);
    let mut equal = Vec::new();
    for item in node.get("equal").and_then(Node::items).unwrap_or_default() {
        let text = |key: &str| item.get(key).and_then(Node::text).map(str::to_owned);
        let label = match (item.text(), text("source"), text("target")) {
            (Some(name), ..) => EqualLabel::same(name),
            (None, Some(source), Some(target)) => EqualLabel { source, target },
            _ => continue,
        };
        never_equal(file, item, (&label, &matchers, target), out);
        equal.push(label);
    }
    let missing = keys.iter().all(|key| node.get(key).is_none());
    if matchers.iter().all(LabelMatcher::fits_nothing) && (!missing || !keys[1].is_empty()) {
        let found =
            Diagnostic::warning("A551", file, first_key(node), "any alert sets the inhibit rule off".to_owned());
        let found = found.with_label("its source fits alerts of any kind");
        out.push(found.with_help(format!("add `{}`, such as `['alertname=\"HostDown\"']`", keys[0])));
    }
    contradiction(file, node, &matchers, "source", out);
    let within = |a: &[LabelMatcher], b: &[LabelMatcher]| a.iter().all(|matcher| b.contains(matcher));
    if !matchers.is_empty() && within(&matchers, target) && within(target, &matchers) {
        let message = "source and target of the inhibit rule are the same alerts".to_owned();
        let found = Diagnostic::warning("A553", file, first_key(node), message).with_label("it never mutes anything");
        out.push(found.with_help("an alert on both sides is not muted by another one on both sides"));
    }
    InhibitSource { matchers, equal }
}

/// The value that matchers ask a label to have, where there is just one.
fn pinned<'a>(matchers: &'a [LabelMatcher], label: &str) -> Option<&'a str> {
    let one = |matcher: &&LabelMatcher| matcher.op == MatchOp::Equal && matcher.name == label;
    matchers.iter().find(one).map(|matcher| matcher.value.as_str())
}

/// A matcher of a label that a value does not fit.
fn refuses<'a>(matchers: &'a [LabelMatcher], label: &str, value: &str) -> Option<&'a LabelMatcher> {
    let labels = Labels::from_pairs([(label, value)]);
    matchers.iter().find(|matcher| matcher.name == label && !matcher.matches(&labels))
}

/// Matchers that no alert fits.
fn contradiction(
    file: &Arc<SourceFile>,
    node: &Node,
    matchers: &[LabelMatcher],
    side: &str,
    out: &mut Vec<Diagnostic>,
) {
    let equal = matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal);
    let Some((a, b)) = equal.clone().find_map(|a| Some((a, refuses(matchers, &a.name, &a.value)?))) else { return };
    let message = format!("no alert fits both `{a}` and `{b}`");
    let found = Diagnostic::warning("A553", file, first_key(node), message);
    out.push(found.with_label(format!("the {side} of this inhibit rule fits nothing")));
}

/// A label that must be equal and cannot be.
fn never_equal(
    file: &Arc<SourceFile>,
    item: &Node,
    (label, source, target): (&EqualLabel, &[LabelMatcher], &[LabelMatcher]),
    out: &mut Vec<Diagnostic>,
) {
    let source_value = pinned(source, &label.source).and_then(|v| Some((v, refuses(target, &label.target, v)?)));
    let target_value = pinned(target, &label.target).and_then(|v| Some((v, refuses(source, &label.source, v)?)));
    let message = match (source_value, target_value) {
        (Some((value, other)), _) => {
            format!("`{}` is `{value}` in the source, which `{other}` of the target does not fit", label.source)
        }
        (None, Some((value, other))) => {
            format!("`{}` is `{value}` in the target, which `{other}` of the source does not fit", label.target)
        }
        (None, None) => return,
    };
    let found = Diagnostic::warning("A553", file, item.span.clone(), message);
    out.push(
        found.with_label("never equal").with_help("leave it out of `equal`: as it stands, the rule mutes nothing"),
    );
}

/// Two rules by which two alerts keep each other from being told.
fn mutual(reading: &Reading, (rule, written): (&InhibitRule, &Written), out: &mut Vec<Diagnostic>) {
    let earlier = reading.files.inhibit.iter().zip(&reading.inhibit_at);
    let Some(((a, b), at)) = earlier.filter_map(|(other, at)| Some((mute_each_other(other, rule)?, at))).next() else {
        return;
    };
    let here = format!("{}:{}", at.file.path, at.file.position(at.place.start).line);
    let message = format!("alerts mute each other: `{a}` and `{b}`");
    let found = Diagnostic::warning("A554", &written.file, written.place.clone(), message);
    let found = found.with_label(format!("by this inhibit rule and the one in {here}"));
    out.push(
        found.with_help("where both fire nobody is told of either; let one of the rules not aim at the other's source"),
    );
}

/// Labels of two alerts of which the first is muted by the second through one rule, and the second by the first through
/// the other. None are found where patterns leave open what they could be.
fn mute_each_other(one: &InhibitRule, other: &InhibitRule) -> Option<(Labels, Labels)> {
    let ([one_source], [other_source]) = (one.sources.as_slice(), other.sources.as_slice()) else { return None };
    // Of those that fit alerts of any kind that was said.
    let sides = [&one.target, &other.target, &one_source.matchers, &other_source.matchers];
    if sides.iter().any(|side| side.iter().all(LabelMatcher::fits_nothing)) {
        return None;
    }
    let mut a = values(&[&one.target, &other_source.matchers])?;
    let mut b = values(&[&one_source.matchers, &other.target])?;
    // What must be equal is what the other side asks for.
    for _ in 0..2 {
        settle(&mut b, &mut a, &one_source.equal);
        settle(&mut a, &mut b, &other_source.equal);
    }
    let (a, b) = (Labels::from_pairs(a), Labels::from_pairs(b));
    (one.mutes(&b, &a) && other.mutes(&a, &b)).then_some((a, b))
}

fn settle(source: &mut BTreeMap<String, String>, target: &mut BTreeMap<String, String>, equal: &[EqualLabel]) {
    for label in equal {
        match (source.get(&label.source).cloned(), target.get(&label.target).cloned()) {
            (Some(value), None) => _ = target.insert(label.target.clone(), value),
            (None, Some(value)) => _ = source.insert(label.source.clone(), value),
            _ => {}
        }
    }
}

/// A value for every label that matchers name one for; none where they contradict each other.
fn values(sides: &[&Vec<LabelMatcher>]) -> Option<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let all = || sides.iter().flat_map(|side| side.iter());
    for matcher in all().filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty()) {
        let before = values.insert(matcher.name.clone(), matcher.value.clone());
        if before.is_some_and(|before| before != matcher.value) {
            return None;
        }
    }
    // Of a pattern that lists words, the first.
    let is_word = |c: char| c.is_alphanumeric() || "_-|".contains(c);
    for matcher in all().filter(|matcher| matcher.op == MatchOp::Matches && matcher.value.chars().all(is_word)) {
        let word = matcher.value.split('|').find(|word| !word.is_empty());
        values.entry(matcher.name.clone()).or_insert_with(|| word.unwrap_or_default().to_owned());
    }
    Some(values)
}
