//! Which rules no test sees: alerting rules that fire in no test of their name, recording rules whose series no test
//! reads, not even through other rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{RuleKey, Suite, compare};
use crate::app::rule_tests;
use crate::diag::{Diagnostic, SourceFile};
use crate::engine::EngineOptions;
use crate::eval::signal_queries;
use crate::model::TransitionKind;
use crate::model::labels::METRIC_NAME;
use crate::promql::Plan;
use crate::rule::{Query, Rule};

/// What tests see of the rules.
#[derive(Debug, Default)]
pub struct Coverage {
    /// How many rules there are.
    pub rules: usize,
    /// How many of them a test sees.
    pub covered: usize,
    /// The others.
    pub findings: Vec<Diagnostic>,
}

impl Coverage {
    /// The share of rules that a test sees, of a hundred; all of none.
    pub fn percent(&self) -> f64 {
        if self.rules == 0 { 100.0 } else { self.covered as f64 * 100.0 / self.rules as f64 }
    }
}

/// A rule, the text it stands in, and whether a test sees it.
struct Known<'a> {
    rule: &'a Rule,
    source: Option<&'a Arc<SourceFile>>,
    seen: bool,
}

/// Looks at the rules of all suites and at those that were named with their files.
pub fn coverage(
    suites: &[Suite],
    fired: &BTreeSet<RuleKey>,
    (rules, sources): (&[Rule], &[Arc<SourceFile>]),
    options: &EngineOptions,
) -> Coverage {
    let mut known: BTreeMap<(String, u32), Known<'_>> = BTreeMap::new();
    let mut places = Places::default();
    for suite in suites {
        let read = read_by_tests(suite, fired);
        for (index, rule) in suite.rules.iter().enumerate() {
            let key = places.key(rule);
            let place = (rule.origin.file.clone(), rule.origin.line);
            let seen = if rule.is_recording() { read.contains(&index) } else { fired.contains(&place) };
            let source = source_of(rule, &suite.sources);
            known.entry(key).or_insert(Known { rule, source, seen: false }).seen |= seen;
        }
    }
    for (place, rule) in rules.iter().enumerate() {
        let key = places.key(rule);
        let source = source_of(rule, sources);
        let own = fires_in_own_tests(place, rules, options);
        known.entry(key).or_insert(Known { rule, source, seen: false }).seen |= own;
    }
    let mut out = Coverage { rules: known.len(), ..Coverage::default() };
    for one in known.into_values() {
        match one.seen {
            true => out.covered += 1,
            false => out.findings.extend(one.source.map(|source| finding(one.rule, source))),
        }
    }
    crate::diag::sort(&mut out.findings);
    out
}

/// Files by their path on the disk: one file may be named in several ways.
#[derive(Default)]
struct Places {
    real: BTreeMap<Arc<str>, String>,
}

impl Places {
    fn key(&mut self, rule: &Rule) -> (String, u32) {
        let file = &rule.origin.file;
        let real = self.real.entry(file.clone()).or_insert_with(|| {
            let real = std::fs::canonicalize(&**file).ok();
            real.map_or_else(|| file.to_string(), |path| path.to_string_lossy().into_owned())
        });
        (real.clone(), rule.origin.line)
    }
}

fn source_of<'a>(rule: &Rule, sources: &'a [Arc<SourceFile>]) -> Option<&'a Arc<SourceFile>> {
    sources.iter().find(|source| source.path == rule.origin.file)
}

fn finding(rule: &Rule, source: &Arc<SourceFile>) -> Diagnostic {
    let message = match rule.is_recording() {
        true => format!("no test reads what the rule `{}` records", rule.name),
        false => format!("no test makes the rule `{}` fire", rule.name),
    };
    let span = name_span(source, rule.origin.line, &rule.name);
    Diagnostic::warning("A444", source, span, message).with_label("is not tested")
}

/// The bytes of a name on a line.
pub fn name_span(source: &SourceFile, line: u32, name: &str) -> std::ops::Range<usize> {
    let whole = source.line_span(line);
    match source.text.get(whole.clone()).and_then(|text| text.find(name)) {
        Some(at) => whole.start + at..whole.start + at + name.len(),
        None => whole,
    }
}

fn fires_in_own_tests(place: usize, rules: &[Rule], options: &EngineOptions) -> bool {
    let (rule, group) = (&rules[place], rule_tests::group_of(rules, place));
    rule.tests.iter().any(|test| {
        let played = rule_tests::play(rule, group, test, options);
        played.is_ok_and(|played| played.transitions.iter().any(|t| t.kind == TransitionKind::Fired))
    })
}

/// The recording rules of a suite whose series its tests read, by index: themselves, or through alerting rules that they
/// name or that fired in them.
pub(super) fn read_by_tests(suite: &Suite, fired: &BTreeSet<RuleKey>) -> BTreeSet<usize> {
    let groups = &suite.tests.tests;
    let mut plans: Vec<&Plan> = groups.iter().flat_map(|g| &g.queries).map(|test| &**test.query.plan).collect();
    let names: BTreeSet<&str> = groups.iter().flat_map(|g| &g.alerts).map(|test| test.alert.as_str()).collect();
    let tested = |rule: &&Rule| {
        let place = (rule.origin.file.clone(), rule.origin.line);
        names.iter().any(|name| compare::is_named(rule, name)) || fired.contains(&place)
    };
    for rule in suite.rules.iter().filter(tested) {
        plans.extend(signal_queries(rule).into_iter().map(|query: &Query| &**query.plan));
    }
    let mut read = BTreeSet::new();
    while let Some(plan) = plans.pop() {
        for (index, rule) in suite.rules.iter().enumerate() {
            if rule.is_recording() && !read.contains(&index) && selects(plan, &rule.name) {
                read.insert(index);
                plans.extend(signal_queries(rule).into_iter().map(|query| &**query.plan));
            }
        }
    }
    read
}

/// Whether a plan may read the series of this name.
pub(super) fn selects(plan: &Plan, name: &str) -> bool {
    plan.selectors().iter().any(|selector| match &selector.name {
        Some(selected) => **selected == *name,
        None => selector.matchers.iter().filter(|m| m.name == METRIC_NAME).all(|m| m.matches(name)),
    })
}
