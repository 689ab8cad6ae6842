//! Runs one test group: steps its world, looks at alerts where tests do, then asks the queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compare::{self, Mismatch};
use super::timeline::{self, Watcher};
use super::world::{STEPS_MAX, Setup, World};
use super::{Failure, RuleKey, diff};
use crate::diag::{Diagnostic, SourceFile};
use crate::engine::EngineOptions;
use crate::model::alert::float_text;
use crate::model::time::millis;
use crate::model::{Labels, format_duration};
use crate::promql::{EvalOptions, SlotCache, Value, VectorSample, eval_instant};
use crate::rule::unit_test::{AlertTest, ExpectedSample, QueryTest};

/// The code of a test that failed.
pub(super) const FAILED: &str = "A480";

/// How failures are told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling {
    /// Show differences line by line instead of both sides.
    pub diff: bool,
    /// Say nothing but that a test failed: where thousands of runs are only counted.
    pub terse: bool,
}

/// What became of a test group.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What did not come as expected.
    pub failures: Vec<Failure>,
    /// Rules that fired where a test looked at them.
    pub fired: BTreeSet<RuleKey>,
}

/// Runs a test group.
pub(super) fn run(setup: Setup<'_>, sources: &[Arc<SourceFile>], base: &EngineOptions, telling: Telling) -> Done {
    let mut done = Done::default();
    let mut runner = Runner { setup, sources, base, telling, done: &mut done };
    runner.run();
    done
}

struct Runner<'a> {
    setup: Setup<'a>,
    sources: &'a [Arc<SourceFile>],
    base: &'a EngineOptions,
    telling: Telling,
    done: &'a mut Done,
}

impl<'a> Runner<'a> {
    fn run(&mut self) {
        let steps = self.setup.steps();
        if steps > STEPS_MAX {
            let message = format!("the last test is {steps} evaluations after the start; at most {STEPS_MAX} are made");
            self.fail(self.setup.group.span.clone(), message, Vec::new());
            return;
        }
        let mut world = World::new(self.setup, self.base);
        let mut tests: Vec<&AlertTest> = self.setup.group.alerts.iter().collect();
        tests.sort_by_key(|test| test.at);
        let mut waiting = tests.into_iter().peekable();
        let mut failed: Vec<(&'a AlertTest, usize)> = Vec::new();
        for step in 0..steps {
            let broken = world.step(step);
            if !broken.is_empty() {
                let at = format_duration(world.instant(step).since(self.setup.group.start));
                for one in broken {
                    let place = timeline::place(&one.origin, &one.rule, self.sources);
                    let message = format!("the rule `{}` cannot be evaluated at {at}: {}", one.rule, one.error);
                    self.fail(self.setup.group.span.clone(), message, vec![format!("rule at {place}")]);
                }
                return self.trace(&failed);
            }
            let ends_ms = (step + 1).saturating_mul(self.setup.tick_ms());
            while let Some(test) = waiting.next_if(|test| millis(test.at) < ends_ms) {
                if let Some(place) = self.look(&world, test) {
                    failed.push((test, place));
                }
            }
        }
        let options = self.setup.options(self.base).query;
        for test in &self.setup.group.queries {
            self.ask(&world, test, &options);
        }
        self.trace(&failed);
    }

    fn fail(&mut self, span: std::ops::Range<usize>, message: String, detail: Vec<String>) {
        let diagnostic = Diagnostic::error(FAILED, &self.setup.file.file, span, message);
        self.done.failures.push(Failure { diagnostic, detail });
    }

    /// Compares the alerts of a test; gives the place of the failure, if it is one.
    fn look(&mut self, world: &World<'_>, test: &AlertTest) -> Option<usize> {
        let seen = compare::seen(world, test, self.setup.group.start);
        let fires = seen.iter().filter(|seen| seen.state == crate::model::AlertState::Firing);
        self.done.fired.extend(fires.map(|seen| seen.rule.clone()));
        let found = compare::compare(test, &seen);
        if found.missing.is_empty() && found.extra.is_empty() {
            return None;
        }
        let at = format_duration(test.at);
        let message = format!("alert `{}` at {at}: {}", test.alert, in_words(&found));
        let span = found.missing.first().map_or_else(|| test.alert_span.clone(), |want| want.span.clone());
        let detail = if self.telling.terse { Vec::new() } else { self.both_sides(test, &seen) };
        self.fail(span, message, detail);
        Some(self.done.failures.len() - 1)
    }

    fn both_sides(&self, test: &AlertTest, seen: &[compare::Seen]) -> Vec<String> {
        let shown = |seen: &&compare::Seen| {
            seen.state == crate::model::AlertState::Firing || test.expected.iter().any(|want| want.state == seen.state)
        };
        let got: Vec<&compare::Seen> = seen.iter().filter(shown).collect();
        if self.telling.diff {
            let mut want: Vec<Vec<String>> = test
                .expected
                .iter()
                .map(|w| compare::apart(&compare::expected_lines(w)[0], &w.labels, &w.annotations))
                .collect();
            let mut have: Vec<Vec<String>> = got
                .iter()
                .map(|s| compare::apart(&compare::seen_lines(s, &test.expected)[0], &s.labels, &s.annotations))
                .collect();
            want.sort();
            have.sort();
            return diff::lines(&want.concat(), &have.concat());
        }
        let mut out = listed("expected", test.expected.iter().map(compare::expected_lines));
        let any = got.iter().map(|seen| compare::seen_lines(seen, &test.expected));
        out.extend(listed("got", any));
        out
    }

    fn ask(&mut self, world: &World<'_>, test: &QueryTest, options: &EvalOptions) {
        let at = self.setup.group.start.plus(test.at);
        let what = format!("query `{}` at {}", test.query.text, format_duration(test.at));
        let got = match eval_instant(&test.query.plan, &world.store, at.as_millis(), options, &SlotCache::default()) {
            Ok(Value::Vector(samples)) => samples,
            Ok(Value::Scalar(value)) => {
                vec![VectorSample { labels: Labels::empty(), t_ms: at.as_millis(), value, histogram: None }]
            }
            Ok(_) => {
                return self.fail(test.span.clone(), format!("{what}: it yields no number per series"), Vec::new());
            }
            Err(error) => return self.fail(test.span.clone(), format!("{what}: {error}"), Vec::new()),
        };
        if compare::same_samples(&test.expected, &got, self.setup.file.fuzzy_compare) {
            return;
        }
        let line = |s: &ExpectedSample| compare::sample_line(&s.labels, s.value, s.histogram.as_deref());
        let mut want: Vec<String> = test.expected.iter().map(line).collect();
        let mut have: Vec<String> =
            got.iter().map(|s| compare::sample_line(&s.labels, s.value, s.histogram.as_deref())).collect();
        want.sort();
        have.sort();
        let detail = match self.telling.diff {
            true => diff::lines(&want, &have),
            false => {
                let one = |line: String| vec![line];
                let mut both = listed("expected", want.iter().cloned().map(one));
                both.extend(listed("got", have.iter().cloned().map(one)));
                both
            }
        };
        let message = match (test.expected.as_slice(), got.as_slice()) {
            ([want], [have]) if want.labels == have.labels && want.histogram.is_none() && have.histogram.is_none() => {
                format!("{what}: expected {}, got {}", float_text::text(want.value), float_text::text(have.value))
            }
            (want, have) => format!("{what}: expected {}, got {} that differ", count(want.len()), count(have.len())),
        };
        self.fail(test.span.clone(), message, detail);
    }

    /// Plays the group once more and adds to each failure how its alerts came to be as they were.
    fn trace(&mut self, failed: &[(&'a AlertTest, usize)]) {
        if failed.is_empty() || self.telling.terse {
            return;
        }
        let mut names: Vec<&str> = failed.iter().map(|(test, _)| test.alert.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut world = World::new(self.setup, self.base);
        let mut watcher = Watcher::new(names, &self.setup, self.setup.options(self.base).query);
        let tick = self.setup.file.evaluation_interval;
        let mut waiting = failed.iter().peekable();
        for step in 0..self.setup.steps() {
            if waiting.peek().is_none() {
                break;
            }
            world.step(step);
            watcher.note(&world, world.instant(step));
            let ends_ms = (step + 1).saturating_mul(self.setup.tick_ms());
            while let Some((test, place)) = waiting.next_if(|(test, _)| millis(test.at) < ends_ms) {
                let lines = watcher.lines(&test.alert, tick, self.sources);
                if let Some(failure) = self.done.failures.get_mut(*place) {
                    failure.detail.extend(lines);
                }
            }
        }
    }
}

/// A list under a word.
pub(super) fn listed(word: &str, items: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut out = vec![word.to_owned()];
    out.extend(items.flatten().map(|line| format!("  {line}")));
    if out.len() == 1 {
        out.push("  nothing".to_owned());
    }
    out
}

fn count(n: usize) -> String {
    if n == 1 { "1 series".to_owned() } else { format!("{n} series") }
}

fn in_words(found: &Mismatch) -> String {
    let plural = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let missing = plural(found.missing.len(), "expected alert is missing", "expected alerts are missing");
    let extra = plural(found.extra.len(), "fires that was not expected", "fire that were not expected");
    match (found.missing.len(), found.extra.len()) {
        (_, 0) => missing,
        (0, _) => extra,
        _ => format!("{missing}, {extra}"),
    }
}
