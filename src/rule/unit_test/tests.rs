//! The reader of unit-test files, and the changes of rules.

use super::mutants::{Mutant, mutants};
use super::*;
use crate::diag::{Diagnostic, SourceFile};

fn read_text(text: &str, options: ReadOptions) -> (Option<UnitTestFile>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let file = read(&SourceFile::new("t.yaml", text), options, &mut found);
    (file, found)
}

#[test]
fn what_is_not_given_is_as_in_promtool() {
    let (file, found) = read_text("tests:\n- input_series: [{series: x, values: 1 2}]\n", ReadOptions::default());
    let file = file.expect("a file");
    assert!(found.is_empty(), "{found:?}");
    let group = &file.tests[0];
    assert_eq!(file.evaluation_interval, Duration::from_secs(60));
    assert_eq!((group.interval, group.start, group.end()), (Duration::from_secs(60), Timestamp(0), Duration::ZERO));
    assert_eq!((group.name.as_str(), group.named, group.start_given), ("test 1", false, false));
}

#[test]
fn unknown_keys_are_errors_unless_they_are_to_be_passed_over() {
    let text = "tests:\n- {name: a, input: []}\n";
    let (file, found) = read_text(text, ReadOptions::default());
    assert!(file.is_none() && found[0].code == "A010", "{found:?}");
    let (file, found) = read_text(text, ReadOptions { ignore_unknown_fields: true });
    assert!(file.is_some() && found.is_empty(), "{found:?}");
}

#[test]
fn a_file_is_told_by_its_top_keys() {
    for (text, is, may) in [
        ("tests: []", true, true),
        ("rule_files: [a]", false, true),
        ("rule_files: [a]\ngroup_eval_order: [b]", true, true),
        ("rules: []\ntests: []", false, false),
        ("groups: []", false, false),
        ("handlers: []", false, false),
    ] {
        let root = crate::yaml::parse(&SourceFile::new("t.yaml", text), &mut Vec::new()).unwrap().root.unwrap();
        assert_eq!((is_unit_test(&root), may_be_unit_test(&root)), (is, may), "{text}");
    }
}

/// The changed values of a rule file.
fn changes(text: &str) -> Vec<String> {
    mutants(&SourceFile::new("r.yaml", text)).into_iter().map(|mutant: Mutant| mutant.changed).collect()
}

#[test]
fn rules_of_both_dialects_are_changed_where_tests_should_notice() {
    let rule = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: x{a=\"b\", c!=\"d\"} > 5\n    for: 4m\n";
    assert_eq!(
        changes(rule),
        [
            "x{ c!=\"d\"} > 5",
            "x{a=\"b\"} > 5",
            "x{a=\"b\", c!=\"d\"} >= 5",
            "x{a=\"b\", c!=\"d\"} > 6",
            "x{a=\"b\", c!=\"d\"} > 4",
            "2m",
            "8m"
        ]
    );
    let native = "rules:\n  - name: a\n    metric: x\n    levels: {warning: \"> 80\", critical: \">= 0.5\"}\n";
    assert_eq!(changes(native), [">= 80", "> 88", "> 72", "> 0.5", ">= 0.55", ">= 0.45"]);
    let expr = "rules:\n  - name: a\n    queries: {f: x, t: y}\n    when: f / t > 0.2 && t != 10\n";
    assert_eq!(changes(expr).len(), 6);
    let folded = "groups:\n- name: a\n  rules:\n  - record: a\n    expr: >\n      sum(x)\n      == bool 1\n";
    let file = SourceFile::new("r.yaml", folded);
    let first = &mutants(&file)[0];
    assert_eq!(first.apply(&file).text, folded.replace("==", "!="));
}
