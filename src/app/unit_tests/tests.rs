//! Unit-test files from a folder: failures and their telling, coverage, changes, hostile files, samples of files.

use std::path::PathBuf;

use super::mutate::{Subject, mutate};
use super::*;

/// A unit-test file beside its rule file, in a folder that is removed afterwards.
struct Folder(tempfile::TempDir);

const RULES: &str = "groups:
- name: a
  rules:
  - record: busy
    expr: sum by (job) (load)
  - alert: Busy
    expr: busy > 5
    for: 2m
  - record: unread
    expr: load
  - alert: Quiet
    expr: busy < 0
";

impl Folder {
    fn new(tests: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("r.yaml"), RULES).expect("the rules");
        std::fs::write(folder.path().join("t.yaml"), tests).expect("the tests");
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("t.yaml")
    }

    fn suite(&self) -> Suite {
        let file = files::read_file(&self.path()).expect("the file");
        let (suite, found) = load(&file, ReadOptions::default());
        suite.unwrap_or_else(|| panic!("{}", crate::diag::concise(&found)))
    }
}

fn ran(suite: &Suite, telling: Telling) -> Ran {
    run(suite, &Batch::default(), &|_| true, (&EngineOptions::default(), telling))
}

const HEAD: &str = "rule_files: [r.yaml]\ntests:\n- interval: 1m\n  input_series: [{series: 'load{job=\"j\"}', values: '1 6x5 1'}]\n  alert_rule_test:\n";

#[test]
fn a_failure_says_what_was_expected_what_came_and_how_it_came_to_that() {
    let folder = Folder::new(&format!("{HEAD}  - {{eval_time: 4m, alertname: Busy}}\n"));
    let cases = ran(&folder.suite(), Telling::default()).cases;
    let failure = &cases[0].failures[0];
    assert_eq!(failure.diagnostic.message, "alert `Busy` at 4m: 1 fires that was not expected");
    assert_eq!(failure.diagnostic.start().line, 6);
    let detail: Vec<&str> = failure.detail.iter().map(String::as_str).collect();
    let place = format!("{}:6:12", self::place_of_rules(&folder));
    let rule = format!("Busy {{job=\"j\"}} (rule at {place})");
    assert_eq!(
        detail,
        [
            "expected",
            "  nothing",
            "got",
            "  firing",
            "    labels {alertname=\"Busy\", job=\"j\"}",
            "    annotations {}",
            rule.as_str(),
            "  value ▁████  limit ▇ (> 5)",
            "  state ·ppFF  (· inactive, p pending, F firing; one per 1m)",
            "  inactive from 0s (value 1), pending from 1m (value 6), firing from 3m (value 6)",
        ]
    );
}

fn place_of_rules(folder: &Folder) -> String {
    folder.0.path().join("r.yaml").display().to_string()
}

#[test]
fn differences_are_shown_line_by_line() {
    let tests = format!("{HEAD}  - {{eval_time: 4m, alertname: Busy, exp_alerts: [{{exp_labels: {{job: k}}}}]}}\n");
    let folder = Folder::new(&tests);
    let cases = ran(&folder.suite(), Telling { diff: true, terse: false }).cases;
    let detail = &cases[0].failures[0].detail;
    assert_eq!(detail[..4], ["  firing", "    alertname=\"Busy\"", "-   job=\"k\"", "+   job=\"j\""]);
}

#[test]
fn coverage_lists_rules_that_no_test_makes_fire_and_records_that_none_reads() {
    let folder = Folder::new(&format!(
        "{HEAD}  - {{eval_time: 4m, alertname: Busy, exp_alerts: [{{exp_labels: {{job: j}}}}]}}\n"
    ));
    let suite = folder.suite();
    let done = ran(&suite, Telling::default());
    assert!(done.cases[0].failures.is_empty());
    let found = coverage::coverage(&[suite], &done.fired, (&[], &[]), &EngineOptions::default());
    assert_eq!((found.rules, found.covered, found.percent()), (4, 2, 50.0));
    let messages: Vec<&str> = found.findings.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["no test reads what the rule `unread` records", "no test makes the rule `Quiet` fire"]);
}

#[test]
fn changes_that_no_test_notices_are_told_and_the_others_are_not() {
    let tests = format!(
        "{HEAD}  - {{eval_time: 2m, alertname: Busy}}\n  - {{eval_time: 3m, alertname: Busy, exp_alerts: [{{exp_labels: {{job: j}}}}]}}\n"
    );
    let folder = Folder::new(&tests);
    let suites = [folder.suite()];
    let options = EngineOptions::default();
    let data = Batch::default();
    let subject = Subject { suites: &suites, rules: &[], sources: &[], data: &data, options: &options };
    let mut heard = Vec::new();
    let found = mutate(&subject, &mut |done, total| heard.push((done, total)));
    // Of `busy > 5`: `>=` and 4 change nothing for values of 1 and 6, 6 does; of `for`: half and double are noticed.
    let labels: Vec<&str> = found.findings.iter().filter_map(|d| d.label.as_deref()).collect();
    assert_eq!(labels, ["changed to `>=`", "changed to `4`"]);
    assert_eq!((found.tried, found.noticed, found.left_out), (5, 3, 0));
    assert_eq!(heard.last(), Some(&(5, 5)));
}

#[test]
fn hostile_files_end_with_an_error() {
    for (tests, part) in [
        ("tests:\n- input_series: [{series: x, values: 1x1000000000}]\n", "more than 100000 points"),
        ("rule_files: ['[']\ntests: []\n", "is no pattern"),
        ("rule_files: [t.yaml]\ntests: []\n", "holds unit tests, no rules"),
        ("tests:\n- metricsql_expr_test: []\n", "not supported"),
        ("tests:\n- start_timestamp: soon\n", "must be a time"),
    ] {
        let folder = Folder::new(tests);
        let (suite, found) = load(&files::read_file(&folder.path()).expect("the file"), ReadOptions::default());
        assert!(suite.is_none(), "{tests}");
        assert!(found.iter().any(|d| d.message.contains(part)), "{tests}: {}", crate::diag::concise(&found));
    }
    let folder = Folder::new("rule_files: [r.yaml]\ntests:\n- alert_rule_test: [{eval_time: 250y, alertname: Busy}]\n");
    let cases = ran(&folder.suite(), Telling::default()).cases;
    assert!(cases[0].failures[0].diagnostic.message.contains("at most 1000000 are made"));
}

#[test]
fn samples_of_files_are_read_beside_the_series() {
    let folder = Folder::new(
        "rule_files: [r.yaml]\ntests:\n- alert_rule_test: [{eval_time: 2m, alertname: Busy, exp_alerts: [{exp_labels: {job: f}}]}]\n",
    );
    let mut suite = folder.suite();
    let labels = crate::model::Labels::from_pairs([("__name__", "load"), ("job", "f")]);
    let mut data = Batch::default();
    let first = 1_769_860_830_000;
    for minute in 0..3 {
        data.push(labels.clone(), Some(first + minute * 60_000), 9.0);
    }
    suite.begin_with(&data);
    assert_eq!(suite.tests.tests[0].start.0, 1_769_860_800_000);
    let ran = run(&suite, &data, &|_| true, (&EngineOptions::default(), Telling::default()));
    // Known from the second evaluation on, so it fires two minutes after that, one minute too late.
    assert_eq!(ran.cases[0].failures.len(), 1);
    suite.tests.tests[0].alerts[0].at = std::time::Duration::from_secs(180);
    let ran = run(&suite, &data, &|_| true, (&EngineOptions::default(), Telling::default()));
    assert!(ran.cases[0].failures.is_empty());
}
