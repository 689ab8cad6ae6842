//! The list of checks, comments that ignore, what data adds, and mends as properties.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fix::{self, Mended};
use super::knowledge::{Asked, Interval, Kind, Metric};
use super::{CHECKS, Knowledge, Page, Selection, ignore, run};
use crate::diag::{Diagnostic, Edit, SourceFile, codes, sort};
use crate::rule::{LoadOptions, load, load_keeping};

fn look_with(file: &Arc<SourceFile>, knowledge: &Knowledge, selection: &Selection) -> Vec<Diagnostic> {
    let mut pages = Vec::new();
    let files = std::slice::from_ref(file);
    let mut keep = |file: &Arc<SourceFile>, root| pages.push(Page { file: Arc::clone(file), root });
    let mut loaded = load_keeping(files, &LoadOptions::default(), &mut keep);
    run(&pages, &mut loaded, (knowledge, selection), 2);
    ignore::apply(files, &pages, selection, &mut loaded.diagnostics);
    sort(&mut loaded.diagnostics);
    loaded.diagnostics
}

fn look(file: &Arc<SourceFile>) -> Vec<Diagnostic> {
    look_with(file, &Knowledge::default(), &Selection::default())
}

fn mend(file: &Arc<SourceFile>) -> Mended {
    let mended = fix::mend(std::slice::from_ref(file), &mut |files| files.iter().flat_map(look).collect());
    mended.into_iter().next().unwrap()
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
        asked: Asked::Data,
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
fn a_store_speaks_of_the_rules_that_read_it() {
    let find = |asked: &Asked, source: &str| {
        let knowledge = Knowledge { complete: true, asked: asked.clone(), ..Knowledge::default() };
        let file = SourceFile::new("a.yaml", format!("rules:\n  - {{name: a, expr: gone > 5{source}}}\n"));
        let found = look_with(&file, &knowledge, &Selection::default());
        found.into_iter().map(|d| d.message).collect::<Vec<_>>()
    };
    let (named, address) = (Asked::Store("eu".to_owned()), Asked::Address("http://eu:9090".to_owned()));
    let silent = Vec::<String>::new();
    assert_eq!(find(&Asked::Data, ", source: us"), ["there is no metric `gone` in the data"]);
    assert_eq!(find(&named, ", source: eu"), ["there is no metric `gone` in the store `eu`"]);
    assert_eq!((find(&named, ", source: us"), find(&named, "")), (silent.clone(), silent.clone()));
    assert_eq!(find(&address, ""), ["there is no metric `gone` in the store at http://eu:9090"]);
    assert_eq!(find(&address, ", source: us"), silent);
}

#[test]
fn a_query_made_of_a_metric_is_pointed_at_where_it_was_written() {
    let text = "rules:\n  - name: a\n    metric: llm.latency{agent=~\"dev\"}\n    reduce: max\n    over: 5m\n    combine: max\n    \
                by: [agent]\n    threshold: '> 5'\n    annotations: {summary: '{{ $labels.host }}'}\n";
    check(text, &["A227 agent=~\"dev\"", "A303 host"]);
}

#[test]
fn what_looks_like_a_comment_in_a_text_is_text() {
    let rule =
        |text: &str| format!("rules:\n  - name: a\n    description: {text}\n    expr: up{{job=~\"api\"}} == 0\n");
    for text in [
        "|\n      # alertd: ignore A227 -- only words",
        "'see # alertd: ignore A999 -- in the manual'",
        "words\n      of two lines",
    ] {
        check(&rule(text), &["A227 job=~\"api\""]);
        check(&rule(&format!("{text}\n    # alertd: ignore A227 -- generated")), &[]);
    }
    check(
        &rule("'see # alertd: ignore A999 -- x'  # alertd: ignore A228 -- idle"),
        &["A490 A228", "A227 job=~\"api\""],
    );
}

/// Two resources of one file; the second rule has a comment above it, and its finding lies lines below.
const RESOURCES: &str = "kind: PrometheusRule\nspec:\n  groups:\n    - name: a\n      rules:\n        - {alert: a, expr: up == 0}\n---\n\
                         kind: PrometheusRule\nspec:\n  groups:\n    - name: b\n      rules:\n        # alertd: ignore A227, A411 -- generated\n        \
                         - alert: b\n          expr: |\n            up\n            {job=~\"api\"} == 0\n          for: 20s\n";

#[test]
fn comments_count_in_every_document_and_for_whole_rules_where_no_checks_run() {
    check(RESOURCES, &[]);
    check(&RESOURCES.replace("# alertd: ignore A227, A411 -- generated", "#"), &["A227 job=~\"api\"", "A411 20s"]);
    let file = SourceFile::new("a.yaml", RESOURCES);
    let files = std::slice::from_ref(&file);
    let mut found = load(files, &LoadOptions::default()).diagnostics;
    assert_eq!(said(&found), ["A411 20s"]);
    ignore::hide(files, &mut found);
    assert_eq!(said(&found), Vec::<String>::new());
}

#[test]
fn a_comment_about_what_only_data_show_is_not_idle() {
    for code in ["A210", "A220", "A221", "A235", "A236", "A237", "A450", "A451", "A605", "A702"] {
        check(&format!("rules:\n  - name: a\n    expr: queue > 5  # alertd: ignore {code} -- known\n"), &[]);
    }
}

#[test]
fn many_comments_cover_what_they_stand_at_and_nothing_else() {
    let rule = |i: usize| {
        let comment = if i.is_multiple_of(2) { "  # alertd: ignore A227 -- generated" } else { "" };
        format!("  - name: a{i}\n    expr: up{{job=~\"api\", n=\"{i}\"}} == 0{comment}\n    for: 1m\n")
    };
    let text: String = std::iter::once("rules:\n".to_owned()).chain((0..100).map(rule)).collect();
    assert_eq!(look(&SourceFile::new("a.yaml", text.clone())).len(), 50);
    let all = text.replacen("rules:\n", "# alertd: ignore-file A227 -- generated\nrules:\n", 1);
    check(&all, &[]);
}

#[test]
fn two_rules_on_one_line_are_two() {
    let rule = |name: &str, expr: &str| {
        format!("{{name: {name}, expr: '{expr}', annotations: {{a: '{{{{ $labels.host }}}}'}}}}")
    };
    let text = format!("rules: [{}, {}]\n", rule("a", "sum by (job) (up) == 0"), rule("b", "up == 0"));
    check(&text, &["A303 host"]);
    let text = format!("rules: [{}, {}]\n", rule("a", "up == 0"), rule("b", "sum by (job) (up) == 0"));
    check(&text, &["A303 host"]);
}

#[test]
fn rules_that_ask_another_store_or_wake_otherwise_are_not_the_same() {
    let rules =
        |a: &str, b: &str| format!("rules:\n  - {{name: a, expr: up == 0{a}}}\n  - {{name: b, expr: up  ==   0{b}}}\n");
    check(&rules("", ""), &["A451 b"]);
    check(&rules(", every: 15s", ""), &["A451 b"]);
    for key in [
        "source: x",
        "severity: critical",
        "notify: [mail]",
        "mute: [nights]",
        "every: 1m",
        "for: 1m",
        "on_no_data: fire",
    ] {
        check(&rules("", &format!(", {key}")), &[]);
    }
    let groups = |a: &str, b: &str| {
        let group =
            |name: &str, key: &str| format!("  - name: {name}\n{key}    rules: [{{alert: a, expr: up == 0}}]\n");
        format!("groups:\n{}{}", group("g", a), group("h", b))
    };
    check(&groups("", ""), &["A450 a"]);
    check(&groups("    source: x\n", ""), &[]);
    check(&groups("    source: x\n", "    source: x\n"), &["A450 a"]);
    check(&groups("    labels: {severity: page}\n", ""), &[]);
}

#[test]
fn each_further_name_of_a_condition_is_told_once() {
    let rule = |name: &str| format!("  - {{name: {name}, expr: up == 0}}\n");
    let text: String = ["rules:\n".to_owned()].into_iter().chain(["a", "b", "c"].map(rule)).collect();
    check(&text, &["A451 b", "A451 c"]);
}

#[test]
fn a_label_holds_the_value_only_where_an_action_prints_it() {
    let rule = |label: &str| format!("rules:\n  - name: a\n    expr: up == 0\n    labels: {{a: '{label}'}}\n");
    for label in ["{{ $value }}", "{{ $labels.a }} {{ .Value }}", "{{- $value | humanize }}"] {
        assert_eq!(look(&SourceFile::new("a.yaml", rule(label)))[0].code, "A304", "{label}");
    }
    for label in
        ["$value", "{{ $labels.job }} costs $value", "{{ if gt $value 5.0 }}high{{ end }}", "{{ $labels.Value_of }}"]
    {
        check(&rule(label), &[]);
    }
}

#[test]
fn a_dropped_label_is_brought_back_where_it_was_dropped() {
    let help = |expr: &str| {
        let text = format!("rules:\n  - name: a\n    expr: {expr}\n    annotations: {{a: '{{{{ $labels.host }}}}'}}\n");
        let found = look(&SourceFile::new("a.yaml", text));
        assert_eq!(found[0].code, "A303", "{expr}");
        found[0].help.clone().unwrap()
    };
    assert_eq!(help("sum(bytes) > 5"), "keep it in the query: `sum by (host) (…)`");
    assert_eq!(help("sum by (job) (bytes) > 5"), "keep it in the query: add `host` to `by`");
    assert_eq!(help("sum without (host) (bytes) > 5"), "keep it in the query: take `host` out of `without`");
    assert_eq!(help("absent(bytes)"), "`absent` has the labels that its selector fixes: `host=\"…\"`");
    assert!(help("bytes > on (job) sum by (job) (limit)").contains("match on `host` too"));
    assert_eq!(help("vector(scalar(up)) == 0"), "read a label that the query has, or leave it out");
}

#[test]
fn mends_that_would_make_a_key_stand_twice_are_not_made_together() {
    let file = SourceFile::new("a.yaml", "rules:\n  - name: a\n    exprr: up == 0\n    expre: up == 1\n");
    let mended = mend(&file);
    assert_eq!(mended.count, 1);
    assert_eq!(mended.text.matches(" expr: ").count(), 1, "{}", mended.text);
    assert!(!look(&SourceFile::new("a.yaml", mended.text)).iter().any(|d| d.code == "A006"));
}

#[test]
fn one_file_that_cannot_be_mended_does_not_keep_others_from_it() {
    let rule = |key: &str| format!("rules:\n  - name: {key}\n    {key}: up == 0\n");
    let twice = "rules:\n  - name: a\n    exprr: up == 0\n    expre: up == 1\n".to_owned();
    let files = [SourceFile::new("a.yaml", twice), SourceFile::new("b.yaml", rule("exprr"))];
    let mended = fix::mend(&files, &mut |files| files.iter().flat_map(look).collect());
    assert_eq!((mended[0].count, mended[1].count), (1, 1));
}

#[test]
fn edits_that_overlap_or_touch_are_left_for_the_next_round() {
    let edit = |start: usize, end: usize, text: &str| [Edit { span: start..end, text: text.to_owned() }];
    let all = [
        edit(0, 2, "A"),
        edit(2, 4, "B"),
        edit(3, 5, "C"),
        edit(4, 4, "D"),
        edit(6, 6, "E"),
        edit(6, 6, "F"),
        edit(9, 99, "G"),
    ];
    let mends: Vec<&[Edit]> = all.iter().map(|edits| &edits[..]).collect();
    assert_eq!(fix::applied("abcdefgh", &mends), ("ABefEgh".to_owned(), 3));
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
        let mended = mend(&file);
        prop_assert_eq!(&mended.text, &good);
        prop_assert!(mended.count > 0);
        let again = SourceFile::new("a.yaml", mended.text);
        prop_assert!(look(&again).is_empty());
        prop_assert_eq!(mend(&again).count, 0);
    }

    #[test]
    fn no_text_makes_checks_or_mends_panic(text in "(?s)(rules:\n|groups:\n)?( {0,4}(- )?(name|expr|alert|for|labels|rules): ?[^\n]{0,30}\n){0,8}.{0,40}") {
        let file = SourceFile::new("a.yaml", text);
        let found = look(&file);
        prop_assert!(found.iter().all(|d| d.file.text.get(d.span.clone()).is_some()));
        mend(&file);
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
