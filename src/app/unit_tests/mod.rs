//! Unit-test files: finding the rules they are about, running them on the core, and what is known afterwards.
//!
//! Place in the flow: `cli` hands in the files of a command line. [`load`] reads a file and its rules, [`run`] plays its
//! groups; [`coverage`] says which rules no test sees, [`mutate`] which changes of a rule no test notices.

mod assign;
mod compare;
pub mod coverage;
mod diff;
mod feed;
pub mod mutate;
mod notice_lines;
#[cfg(test)]
mod notice_tests;
mod notices;
mod run;
mod setting;
#[cfg(test)]
mod tests;
mod timeline;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::files;
use crate::diag::{Diagnostic, Level, Position, SourceFile};
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::rule::unit_test::{ReadOptions, TestGroup, UnitTestFile, read};
use crate::rule::{self, LoadOptions, Rule};

pub use run::Telling;
pub use setting::Setting;

/// A rule by the file and line of its name.
pub type RuleKey = (Arc<str>, u32);

/// A unit-test file with the rules that it is about.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The file.
    pub tests: UnitTestFile,
    /// The rules of its rule files.
    pub rules: Vec<Rule>,
    /// These files.
    pub sources: Vec<Arc<SourceFile>>,
    /// How it was read.
    pub options: ReadOptions,
    /// With what the messages of its groups are tested, by the place of the group.
    pub settings: BTreeMap<usize, Setting>,
}

/// A test and what became of it: a group of a unit-test file, or a test beside a rule.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file that the test stands in.
    pub file: Arc<str>,
    /// Where.
    pub place: Position,
    /// The rule that it stands beside.
    pub rule: Option<String>,
    /// Its name.
    pub name: String,
    /// What did not come as expected; it passed if there is nothing.
    pub failures: Vec<Failure>,
}

/// Something that did not come as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What, and where the expectation stands.
    pub diagnostic: Diagnostic,
    /// What was expected, what came, and how it came to that; for people.
    pub detail: Vec<String>,
}

/// What running a suite gave.
#[derive(Debug, Default)]
pub struct Ran {
    /// Its test groups, in file order.
    pub cases: Vec<Case>,
    /// Rules that fired where a test of their name looked at them.
    pub fired: BTreeSet<RuleKey>,
}

impl Suite {
    /// Lets groups that do not say when they start begin with the oldest sample of data files.
    pub fn begin_with(&mut self, data: &Batch) {
        let Some((oldest, _)) = data.time_range() else { return };
        let tick = crate::model::time::millis(self.tests.evaluation_interval).max(1);
        let start = crate::model::Timestamp(oldest.div_euclid(tick) * tick);
        self.tests.tests.iter_mut().filter(|group| !group.start_given).for_each(|group| group.start = start);
    }
}

/// Whether a file is one of unit tests by its top keys.
pub fn is_unit_test(file: &Arc<SourceFile>) -> bool {
    // Most files are told by a glance at their top keys.
    let tops = ["tests", "group_eval_order", "fuzzy_compare"];
    let top = |line: &str| tops.iter().any(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
    file.text.lines().any(top) && root_is(file, rule::unit_test::is_unit_test)
}

/// Whether a file that was named by hand can be taken as one of unit tests.
pub fn may_be_unit_test(file: &Arc<SourceFile>) -> bool {
    root_is(file, rule::unit_test::may_be_unit_test)
}

fn root_is(file: &Arc<SourceFile>, is: fn(&crate::yaml::Node) -> bool) -> bool {
    let document = crate::yaml::parse(file, &mut Vec::new());
    document.and_then(|document| document.root).is_some_and(|root| is(&root))
}

/// Reads a unit-test file and its rules; with an error in either there is nothing to run.
pub fn load(file: &Arc<SourceFile>, options: ReadOptions) -> (Option<Suite>, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let Some(tests) = read(file, options, &mut out) else { return (None, out) };
    let paths = rule_paths(&tests, &mut out);
    let snapshot = files::read(&paths);
    out.extend(snapshot.diagnostics);
    for other in snapshot.files.iter().filter(|other| is_unit_test(other)) {
        let message = format!("{} holds unit tests, no rules", other.path);
        let place = tests.rule_files.first().map_or(0..0, |(_, span)| span.clone());
        out.push(Diagnostic::error("A440", &tests.file, place, message).with_label("among these files"));
    }
    let loaded = load_rules(&tests, &snapshot.files, options);
    out.extend(loaded.diagnostics.into_iter().filter(|d| d.level == Level::Error));
    let mut settings = BTreeMap::new();
    for group in tests.tests.iter().filter(|group| !group.notices.tests.is_empty()) {
        let Some(setting) = setting::load(&tests, &group.notices, &mut out) else { continue };
        let under = setting.load_rules(&tests, &snapshot.files, options);
        out.extend(under.diagnostics.into_iter().filter(|d| d.level == Level::Error));
        settings.insert(group.span.start, setting);
    }
    let failed = out.iter().any(|d| d.level == Level::Error);
    let suite = Suite { tests, rules: loaded.rules, sources: snapshot.files, options, settings };
    out.extend(unknown_alerts(&suite));
    crate::diag::sort(&mut out);
    (Some(suite).filter(|_| !failed), out)
}

/// Reads the rules of a unit-test file from the texts of its rule files.
fn load_rules(tests: &UnitTestFile, sources: &[Arc<SourceFile>], options: ReadOptions) -> rule::Loaded {
    let load = LoadOptions {
        default_every: tests.evaluation_interval,
        ignore_unknown_fields: options.ignore_unknown_fields,
        ..LoadOptions::default()
    };
    rule::load(sources, &load)
}

/// The files that `rule_files` names, each once, in its order.
fn rule_paths(tests: &UnitTestFile, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let base = Path::new(&*tests.file.path).parent().unwrap_or(Path::new(""));
    let mut paths: Vec<PathBuf> = Vec::new();
    for (pattern, span) in &tests.rule_files {
        let found = match crate::config::glob::files(base, pattern) {
            Ok(found) => found,
            Err(why) => {
                let message = format!("`{pattern}` is no pattern: {why}");
                out.push(Diagnostic::error("A440", &tests.file, span.clone(), message).with_label("names no file"));
                continue;
            }
        };
        if found.is_empty() {
            let message = format!("no file matches `{pattern}`");
            let found = Diagnostic::warning("A440", &tests.file, span.clone(), message).with_label("names no file");
            out.push(found.with_help("paths are relative to the folder of the unit-test file"));
        }
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

/// Tests of alerts that no rule has: they pass as long as nothing is expected, whatever the rules do.
fn unknown_alerts(suite: &Suite) -> Vec<Diagnostic> {
    let known = |name: &str, group: Option<&str>| {
        let in_group = |rule: &Rule| group.is_none() || rule.group.as_ref().map(|g| &*g.name) == group;
        suite.rules.iter().any(|rule| compare::is_named(rule, name) && in_group(rule))
    };
    let names = || suite.rules.iter().filter(|rule| !rule.is_recording()).map(|rule| &*rule.name);
    let mut seen: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    let mut out = Vec::new();
    for test in suite.tests.tests.iter().flat_map(|group| &group.alerts) {
        let (name, group) = (test.alert.as_str(), test.group.as_deref());
        if known(name, group) || !seen.insert((name, group)) {
            continue;
        }
        let message = format!("no rule of the rule files is the alert `{name}`");
        let found = Diagnostic::warning("A441", &suite.tests.file, test.alert_span.clone(), message);
        let label = match crate::diag::suggest(name, names()) {
            Some(meant) if meant != name => format!("did you mean `{meant}`?"),
            _ => "can never fire".to_owned(),
        };
        out.push(found.with_label(label));
    }
    out
}

/// Runs the test groups of a suite whose name `wanted` accepts.
pub fn run(
    suite: &Suite,
    data: &Batch,
    wanted: &dyn Fn(&TestGroup) -> bool,
    (base, telling): (&EngineOptions, Telling),
) -> Ran {
    let mut ran = Ran::default();
    for group in suite.tests.tests.iter().filter(|group| wanted(group)) {
        let setup = world::Setup { file: &suite.tests, group, rules: &suite.rules, data };
        let setting = suite.settings.get(&group.span.start);
        let alone = group.alerts.is_empty() && group.queries.is_empty();
        let mut done = match setting {
            Some(_) if alone => run::Done::default(),
            _ => run::run(setup, &suite.sources, base, telling),
        };
        if let Some(setting) = setting {
            let told = notices::run(setup, suite, setting, (base, telling));
            done.failures.extend(told.failures);
            done.fired.extend(told.fired);
        }
        ran.fired.extend(done.fired);
        ran.cases.push(Case {
            file: suite.tests.file.path.clone(),
            place: suite.tests.file.position(group.span.start),
            rule: None,
            name: group.name.clone(),
            failures: done.failures,
        });
    }
    ran
}
