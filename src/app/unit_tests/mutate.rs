//! Changes rules one at a time and tells which changes no test notices.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::coverage::{read_by_tests, selects};
use super::{Suite, Telling, compare, load_rules, run};
use crate::app::rule_tests::{group_of, run_test};
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::rule::unit_test::TestGroup;
use crate::rule::unit_test::mutants::{Mutant, mutants};
use crate::rule::{self, LoadOptions, Rule};

/// Most changes that are tried.
pub const MUTANTS_MAX: usize = 2_000;

/// What became of the changes.
#[derive(Debug, Default)]
pub struct Mutation {
    /// Changes that were tried.
    pub tried: usize,
    /// Those that a test noticed.
    pub noticed: usize,
    /// Changes beyond [`MUTANTS_MAX`].
    pub left_out: usize,
    /// Those that no test noticed.
    pub findings: Vec<Diagnostic>,
}

/// What is changed, and with what it is run.
pub struct Subject<'a> {
    /// The unit-test files.
    pub suites: &'a [Suite],
    /// Rules that have tests beside them.
    pub rules: &'a [Rule],
    /// The files of these.
    pub sources: &'a [Arc<SourceFile>],
    /// Samples for the suites.
    pub data: &'a Batch,
    /// Settings of the core.
    pub options: &'a EngineOptions,
}

/// A change, the file, and the tests that concern the rule: suites with their groups, and whether its own do.
struct Trial<'a> {
    file: &'a Arc<SourceFile>,
    mutant: Mutant,
    suites: Vec<(&'a Suite, BTreeSet<usize>)>,
    own: bool,
}

/// Tries changes one by one; `progress` hears how many are done, of how many.
pub fn mutate(subject: &Subject<'_>, progress: &mut dyn FnMut(usize, usize)) -> Mutation {
    let mut trials = trials(subject);
    let mut out = Mutation { left_out: trials.len().saturating_sub(MUTANTS_MAX), ..Mutation::default() };
    trials.truncate(MUTANTS_MAX);
    let total = trials.len();
    for (done, trial) in trials.into_iter().enumerate() {
        progress(done, total);
        let Some(noticed) = subject.notices(&trial) else { continue };
        out.tried += 1;
        if noticed {
            out.noticed += 1;
            continue;
        }
        let Mutant { rule, span, changed, .. } = &trial.mutant;
        let message =
            format!("no test of `{rule}` notices `{}`", changed.split_whitespace().collect::<Vec<_>>().join(" "));
        let label = match trial.mutant.replacement.as_str() {
            "" => "left out".to_owned(),
            other => format!("changed to `{other}`"),
        };
        out.findings.push(Diagnostic::warning("A443", trial.file, span.clone(), message).with_label(label));
    }
    progress(total, total);
    crate::diag::sort(&mut out.findings);
    out
}

/// All changes of rules that a test concerns, file by file.
fn trials<'a>(subject: &Subject<'a>) -> Vec<Trial<'a>> {
    let mut files: Vec<&Arc<SourceFile>> = Vec::new();
    let all = subject.suites.iter().flat_map(|suite| &suite.sources).chain(subject.sources);
    for file in all {
        if files.iter().all(|known| known.path != file.path) {
            files.push(file);
        }
    }
    let passing: Vec<(&Suite, BTreeSet<usize>)> =
        subject.suites.iter().map(|suite| (suite, subject.passing(suite))).collect();
    let mut out = Vec::new();
    for file in files {
        for mutant in mutants(file) {
            let suites = passing.iter().filter_map(|(suite, passing)| concerned(suite, passing, file, &mutant));
            let suites: Vec<_> = suites.collect();
            let own = subject.rules.iter().any(|rule| is_of(rule, file, &mutant) && !rule.tests.is_empty());
            if own || !suites.is_empty() {
                out.push(Trial { file, mutant, suites, own });
            }
        }
    }
    out
}

fn is_of(rule: &Rule, file: &SourceFile, mutant: &Mutant) -> bool {
    rule.origin.file == file.path && rule.origin.line == mutant.line
}

/// The passing groups of a suite that a change of a rule may touch.
fn concerned<'a>(
    suite: &'a Suite,
    passing: &BTreeSet<usize>,
    file: &SourceFile,
    mutant: &Mutant,
) -> Option<(&'a Suite, BTreeSet<usize>)> {
    let (index, rule) = suite.rules.iter().enumerate().find(|(_, rule)| is_of(rule, file, mutant))?;
    let read = rule.is_recording() && read_by_tests(suite, &BTreeSet::new()).contains(&index);
    // What people are told may follow from any rule.
    let tells = |group: &TestGroup| !group.notices.tests.is_empty();
    let touches = |group: &TestGroup| match rule.is_recording() {
        true => read || tells(group),
        false => {
            tells(group)
                || group.alerts.iter().any(|test| compare::is_named(rule, &test.alert))
                || group.queries.iter().any(|test| selects(&test.query.plan, "ALERTS"))
        }
    };
    let groups: BTreeSet<usize> =
        passing.iter().copied().filter(|i| suite.tests.tests.get(*i).is_some_and(touches)).collect();
    (!groups.is_empty()).then_some((suite, groups))
}

impl Subject<'_> {
    /// The groups of a suite that pass as the rules are.
    fn passing(&self, suite: &Suite) -> BTreeSet<usize> {
        (0..suite.tests.tests.len()).filter(|index| self.passes(suite, *index)).collect()
    }

    fn passes(&self, suite: &Suite, index: usize) -> bool {
        let Some(group) = suite.tests.tests.get(index) else { return true };
        let wanted = |other: &TestGroup| std::ptr::eq(other, group);
        let ran = run(suite, self.data, &wanted, (self.options, Telling { terse: true, diff: false }));
        ran.cases.iter().all(|case| case.failures.is_empty())
    }

    /// Whether a test fails with the change; `None` if it makes no rule.
    fn notices(&self, trial: &Trial<'_>) -> Option<bool> {
        let changed = trial.mutant.apply(trial.file);
        for (suite, groups) in &trial.suites {
            let swap = |file: &Arc<SourceFile>| if file.path == changed.path { changed.clone() } else { file.clone() };
            let sources: Vec<Arc<SourceFile>> = suite.sources.iter().map(swap).collect();
            let loaded = load_rules(&suite.tests, &sources, suite.options);
            if loaded.has_errors() {
                return None;
            }
            let other = Suite { rules: loaded.rules, sources, ..Suite::clone(suite) };
            if groups.iter().any(|index| !self.passes(&other, *index)) {
                return Some(true);
            }
        }
        if trial.own {
            let loaded = rule::load(std::slice::from_ref(&changed), &LoadOptions::default());
            let own = loaded.rules.iter().position(|rule| is_of(rule, &changed, &trial.mutant));
            let broken = loaded.diagnostics.iter().any(|d| d.level == Level::Error);
            let place = own.filter(|_| !broken)?;
            let (rule, group) = (&loaded.rules[place], group_of(&loaded.rules, place));
            return Some(rule.tests.iter().any(|test| !run_test(rule, group, test, self.options).ok));
        }
        Some(false)
    }
}
