//! `alertd test`: runs the tests written beside rules, and unit-test files.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use regex::Regex;

use super::args::exit;
use super::test_args::TestArgs;
use super::test_report::{self, Report};
use super::{data, report};
use crate::app::load::{self, TestInputs};
use crate::app::paths;
use crate::app::rule_tests::{group_of, run_test};
use crate::app::unit_tests::mutate::{Mutation, Subject, mutate};
use crate::app::unit_tests::{self, Case, Failure, RuleKey, Suite, Telling, coverage};
use crate::diag::{Level, SourceFile};
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::rule::Rule;
use crate::rule::unit_test::ReadOptions;

/// Runs the command.
pub fn run(args: &TestArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let usage = |message: String| {
        writeln!(std::io::stderr().lock(), "alertd: {message}")?;
        Ok(exit::USAGE)
    };
    let patterns = match args.run.iter().map(|text| Regex::new(text)).collect::<Result<Vec<Regex>, _>>() {
        Ok(patterns) => patterns,
        Err(error) => return usage(format!("--run: {error}")),
    };
    let samples = match data::read_all(&args.data, args.metric.as_deref()) {
        Ok(batch) => in_order(batch),
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(error.exit_code());
        }
    };
    let listed = paths::given_or_configured(&args.paths, None, paths::Wanted::Rules);
    let mut inputs = match listed.and_then(|listed| load::for_tests(&listed.paths)) {
        Ok(inputs) => inputs,
        Err(error) => return usage(error.to_string()),
    };
    let errors: Vec<_> = inputs.loaded.diagnostics.iter().filter(|d| d.level == Level::Error).cloned().collect();
    if !errors.is_empty() {
        let text = crate::diag::text(&errors, report::text_style());
        write!(std::io::stderr().lock(), "{text}")?;
        return Ok(exit::FINDINGS);
    }
    let wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(name));
    for rule in &mut inputs.loaded.rules {
        let whole = wanted(&rule.name);
        rule.tests.retain(|test| whole || wanted(&test.name));
    }
    let found = test(args, &inputs, &samples, &wanted);
    if found.cases.is_empty() && found.diagnostics.is_empty() && !patterns.is_empty() {
        return usage(format!("no test matches --run {}", args.run.join(" --run ")));
    }
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, test_report::junit(&found))
    {
        return usage(format!("--junit: {}: {error}", path.display()));
    }
    test_report::write(&found, report::format_or_default(args.output), out)?;
    let covered = found.coverage.as_ref().map_or(100.0, coverage::Coverage::percent);
    let enough = args.fail_under.is_none_or(|least| covered >= least);
    Ok(if found.passed() && enough { exit::CLEAN } else { exit::FINDINGS })
}

/// Samples in the order of their times; those without one are of the beginning.
fn in_order(mut batch: Batch) -> Batch {
    for row in &mut batch.rows {
        row.t_ms.get_or_insert(0);
    }
    batch.rows.sort_by_key(|row| row.t_ms);
    batch
}

fn test(args: &TestArgs, inputs: &TestInputs, samples: &Batch, wanted: &dyn Fn(&str) -> bool) -> Report {
    let options = EngineOptions::default();
    let reading = ReadOptions { ignore_unknown_fields: args.ignore_unknown_fields };
    let telling = Telling { diff: args.diff, terse: false };
    let mut found = Report::default();
    let mut suites: Vec<Suite> = Vec::new();
    let mut fired: BTreeSet<RuleKey> = BTreeSet::new();
    let rules = inputs.loaded.rules.iter().enumerate();
    for (place, rule) in rules.filter(|(_, rule)| !rule.tests.is_empty()) {
        let group = group_of(&inputs.loaded.rules, place);
        found.cases.extend(own_tests((rule, group), &inputs.rule_files, &options));
    }
    for file in &inputs.unit_tests {
        let (suite, diagnostics) = unit_tests::load(file, reading);
        found.diagnostics.extend(diagnostics);
        found.files.push(file.path.clone());
        let Some(mut suite) = suite else { continue };
        suite.begin_with(samples);
        suite.tests.tests.retain(|group| wanted(&group.name));
        let ran = unit_tests::run(&suite, samples, &|_| true, (&options, telling));
        found.cases.extend(ran.cases);
        fired.extend(ran.fired);
        suites.push(suite);
    }
    let own = (inputs.loaded.rules.as_slice(), inputs.rule_files.as_slice());
    if args.coverage {
        found.coverage = Some(coverage::coverage(&suites, &fired, own, &options));
    }
    crate::diag::sort(&mut found.diagnostics);
    if args.mutate {
        let subject = Subject { suites: &suites, rules: own.0, sources: own.1, data: samples, options: &options };
        found.mutation = Some(mutants(&subject));
    }
    found
}

/// Tries changes, with a line of progress where somebody looks on.
fn mutants(subject: &Subject<'_>) -> Mutation {
    let mut screen = std::io::stderr();
    let looked_at = screen.is_terminal();
    let mut progress = |done: usize, total: usize| {
        if looked_at {
            let end =
                if done == total { "\r\u{1b}[K".to_owned() } else { format!("\rchanges tried: {done} of {total}") };
            // A screen that is gone is no reason to stop.
            let _ = write!(screen, "{end}").and_then(|()| screen.flush());
        }
    };
    mutate(subject, &mut progress)
}

/// The tests beside a rule.
fn own_tests((rule, group): (&Rule, &[Rule]), sources: &[Arc<SourceFile>], options: &EngineOptions) -> Vec<Case> {
    let one = |test: &crate::rule::RuleTest| {
        let result = run_test(rule, group, test, options);
        let mut failed = report::failures(std::slice::from_ref(&result), sources);
        let source = sources.iter().find(|source| source.path == test.origin.file)?;
        let span = coverage::name_span(source, test.origin.line, &test.name);
        Some(Case {
            file: test.origin.file.clone(),
            place: source.position(span.start),
            rule: Some(result.rule),
            name: result.name,
            failures: failed
                .drain(..)
                .map(|diagnostic| Failure { diagnostic, detail: vec![result.message.clone()] })
                .collect(),
        })
    };
    rule.tests.iter().filter_map(one).collect()
}
