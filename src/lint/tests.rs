//! The list of checks, comments that ignore, what data adds, and mends as properties.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fix::mend;
use super::knowledge::{Interval, Kind, Metric};
use super::{CHECKS, Knowledge, Page, Selection, ignore, run};
use crate::diag::{Diagnostic, SourceFile, codes, sort};
use crate::rule::{LoadOptions, load_keeping};

fn look_with(file: &Arc<SourceFile>, knowledge: &Knowledge, selection: &Selection) -> Vec<Diagnostic> {
    let mut pages = Vec::new();
    let files = std::slice::from_ref(file);
    let mut keep = |file: &Arc<SourceFile>, root| pages.push(Page { file: Arc::clone(file), root });
    let mut loaded = load_keeping(files, &LoadOptions::default(), &mut keep);
    run(&pages, &loaded.rules, (knowledge, selection), 2, &mut loaded.diagnostics);
    ignore::apply(files, &pages, selection, &mut loaded.diagnostics);
    sort(&mut loaded.diagnostics);
    loaded.diagnostics
}

fn look(file: &Arc<SourceFile>) -> Vec<Diagnostic> {
    look_with(file, &Knowledge::default(), &Selection::default())
}

/// Code and marked text of each finding.
fn said(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|d| format!("{} {}", d.code, &d.file.text[d.span.clone()])).collect()
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    let found = look(&SourceFile::new("a.yaml", text));
    assert_eq!(said(&found), want, "{text}");
}

#[test]
fn every_check_has_a_page_and_a_code_of_its_own() {
    let listed: BTreeSet<&str> = CHECKS.iter().map(|check| check.code).collect();
    assert_eq!(listed.len(), CHECKS.len());
    assert!(listed.iter().all(|code| codes::find(code).is_some()));
    assert!(CHECKS.len() >= 35);
}

#[test]
fn a_comment_covers_its_line_the_next_one_or_the_rule_that_begins_there() {
    let rule = |before: &str, behind: &str| {
        format!(
            "rules:\n{before}  - name: a\n    for: 1m\n    expr: up{{job=~\"api\"}} == 0{behind}\n    description: x\n"
        )
    };
    check(&rule("", ""), &["A227 job=~\"api\""]);
    check(&rule("", "  # alertd: ignore A227 -- generated"), &[]);
    check(&rule("  # alertd: ignore A227 -- generated\n", ""), &[]);
    check(&rule("# alertd: ignore-file A227 -- generated\n", ""), &[]);
    check(&rule("", "").replace("    expr", "    # alertd: ignore a227, A228 -- both\n    expr"), &["A490 A228"]);
    check(
        &rule("", "").replace("    for", "    # alertd: ignore A227 -- the wrong line\n    for"),
        &["A490 A227", "A227 job=~\"api\""],
    );
}

#[test]
fn a_comment_inside_a_block_of_promql_covers_its_line() {
    let text = "rules:\n  - name: a\n    expr: |\n      up{job=~\"api\"} == 0 # alertd: ignore A227 -- generated\n";
    check(text, &[]);
    let text = "rules:\n  - name: a\n    # alertd: ignore A227 -- generated\n    expr: |\n      up\n      {job=~\"api\"} == 0\n    for: 1m\n";
    check(text, &[]);
}

#[test]
fn a_comment_without_a_reason_or_with_an_unknown_code_is_told() {
    let text = |comment: &str| format!("rules:\n  - name: a\n    expr: up == 0  # {comment}\n");
    check(&text("alertd: ignore A227"), &["A491 # alertd: ignore A227"]);
    check(&text("alertd: ignore A227 --  "), &["A491 # alertd: ignore A227 --"]);
    check(&text("alertd: ignroe A227 -- x"), &["A491 # alertd: ignroe A227 -- x"]);
    check(&text("alertd: ignore A999 -- x"), &["A491 A999"]);
    check(&text("not alertd: ignore A999 -- x"), &[]);
}

#[test]
fn errors_are_not_ignored() {
    let text = "rules:\n  - name: a\n    expr: upp( == 0  # alertd: ignore A101 -- later\n";
    check(text, &["A101 =="]);
}

#[test]
fn checks_on_request_run_only_where_asked_for_and_unwanted_ones_do_not() {
    let file = SourceFile::new("a.yaml", "rules:\n  - name: a\n    expr: up{job=~\"api\"} == 0\n");
    let with = |extend: &[&str], ignore: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        said(&look_with(&file, &Knowledge::default(), &Selection { extend: words(extend), ignore: words(ignore) }))
    };
    assert_eq!(with(&["A307"], &["A2"]), ["A307 a"]);
    assert_eq!(with(&["A3"], &[]), ["A307 a", "A308 a", "A227 job=~\"api\""]);
}

#[test]
fn data_tell_unknown_metrics_and_labels_kinds_and_the_scrape_interval() {
    let labels = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let metrics = [
        ("queue_length", Metric { kind: Some(Kind::Gauge), labels: labels(&["host", "queue"]) }),
        ("jobs_done", Metric { kind: Some(Kind::Counter), labels: labels(&["host"]) }),
    ];
    let knowledge = Knowledge {
        metrics: metrics.map(|(name, metric)| (name.to_owned(), metric)).into(),
        complete: true,
        interval: Some(Interval { time: Duration::from_secs(60), from: "the data".to_owned() }),
    };
    let find = |expr: &str| {
        let file = SourceFile::new("a.yaml", format!("rules:\n  - name: a\n    expr: {expr}\n"));
        said(&look_with(&file, &knowledge, &Selection::default()))
    };
    assert_eq!(find("queue_lenght > 5"), ["A236 queue_lenght"]);
    assert_eq!(find("queue_length{hots=\"a\"} > 5"), ["A237 hots"]);
    assert_eq!(find("queue_length{hots!=\"a\"} > 5"), Vec::<String>::new());
    assert_eq!(find("absent(queue_lenght)"), Vec::<String>::new());
    assert_eq!(find("rate(queue_length[10m]) > 5"), ["A221 rate"]);
    assert_eq!(find("sum(jobs_done) > 5"), ["A210 jobs_done"]);
    assert_eq!(find("rate(jobs_done[90s]) > 5"), ["A220 jobs_done[90s]"]);
    assert_eq!(find("rate(jobs_done[2m]) > 5"), Vec::<String>::new());
}

#[test]
fn a_query_made_of_a_metric_is_pointed_at_where_it_was_written() {
    let text = "rules:\n  - name: a\n    metric: llm.latency{agent=~\"dev\"}\n    reduce: max\n    over: 5m\n    combine: max\n    \
                by: [agent]\n    threshold: '> 5'\n    annotations: {summary: '{{ $labels.host }}'}\n";
    check(text, &["A227 agent=~\"dev\"", "A303 host"]);
}

/// Text of a file and mistakes in it that can be mended.
fn mistakes() -> impl Strategy<Value = (String, String)> {
    let good = "# a comment, kept\nrules:\n  - name: down   # and its blanks\n    expr: 'rate(tasks_failed[5m]) > 1'\n    \
                severity: critical\n    for: 2m\n    enabled: true\n    annotations: {summary: \"it's {{ $value }}\"}\n\n  \
                - name: free\n    metric: disk.free{host=\"a\"}\n    threshold: \"< 5\"\n    description: é ü ✓\n";
    let swaps = [
        ("expr:", "exprr:"),
        ("[5m])", "[5m)"),
        ("rate(", "raet("),
        ("critical", "critcal"),
        ("annotations", "anotations"),
        ("enabled: true", "enabled: yes"),
        ("threshold", "treshold"),
        ("host=\"a\"", "host=~\"a\""),
        ("description", "descripton"),
        ("severity", "serverity"),
        ("  - name: free", "  - name: free  # alertd: ignore A227 -- not needed any more"),
    ];
    proptest::sample::subsequence(swaps.to_vec(), 1..=swaps.len()).prop_map(move |chosen| {
        let bad = chosen.iter().fold(good.to_owned(), |text, (right, wrong)| text.replace(right, wrong));
        (good.to_owned(), bad)
    })
}

proptest! {
    #[test]
    fn a_mended_file_has_fewer_findings_and_every_other_byte_as_it_was((good, bad) in mistakes()) {
        let file = SourceFile::new("a.yaml", bad);
        let before = look(&file);
        prop_assert!(!before.is_empty());
        let mended = mend(&file, &mut |file| look(file));
        prop_assert_eq!(&mended.text, &good);
        prop_assert!(mended.count > 0);
        let again = SourceFile::new("a.yaml", mended.text);
        prop_assert!(look(&again).is_empty());
        prop_assert_eq!(mend(&again, &mut |file| look(file)).count, 0);
    }

    #[test]
    fn no_text_makes_checks_or_mends_panic(text in "(?s)(rules:\n|groups:\n)?( {0,4}(- )?(name|expr|alert|for|labels|rules): ?[^\n]{0,30}\n){0,8}.{0,40}") {
        let file = SourceFile::new("a.yaml", text);
        let found = look(&file);
        prop_assert!(found.iter().all(|d| d.file.text.get(d.span.clone()).is_some()));
        mend(&file, &mut |file| look(file));
    }

    #[test]
    fn checks_of_any_query_stay_inside_it(expr in query(3)) {
        let file = SourceFile::new("a.yaml", format!("rules:\n  - name: a\n    expr: '{expr}'\n    labels: {{a: '{{{{ $labels.job }}}}'}}\n"));
        for d in look(&file) {
            prop_assert!(d.file.text.get(d.span.clone()).is_some_and(|marked| !marked.is_empty()), "{}", d.message);
        }
    }
}

/// A query of the depth, most of them well typed.
fn query(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("up".to_owned()),
        Just("failed_total{job=~\"a\", instance!=\"\"}".to_owned()),
        Just("rate(x_bucket{le=\"1\"}[5m])".to_owned()),
        Just("absent(up{job=\"a\"})".to_owned()),
        Just("time()".to_owned()),
        (-3i32..3).prop_map(|n| n.to_string()),
    ];
    leaf.prop_recursive(depth, 24, 2, |inner| {
        let op = prop_oneof![
            Just("+"),
            Just("/"),
            Just(">"),
            Just("== bool"),
            Just("and"),
            Just("or"),
            Just("unless"),
            Just("/ on (job) group_left (le)")
        ];
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("sum by (job) ({a})")),
            inner.clone().prop_map(|a| format!("count without (job) ({a})")),
            inner.clone().prop_map(|a| format!("histogram_quantile(0.9, {a})")),
            inner.prop_map(|a| format!("max_over_time({a}[10m:1m] offset -1m)")),
        ]
    })
    .boxed()
}
