//! The evaluator against small stores written in promtool's notation.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{eval_instant, eval_range};
use crate::model::{AbsenceReason, Labels, Point, SeriesPoints};
use crate::promql::{
    EvalOptions, Matcher, MemorySource, ParseOptions, Plan, Selection, SlotCache, Source, SourceError, Value, Visit,
    parse, parse_series_description,
};

const MINUTE_MS: i64 = 60_000;

/// A store of series with a point per minute from the epoch on.
fn store(series: &str) -> MemorySource {
    let mut source = MemorySource::new();
    for line in series.lines().filter(|l| !l.trim().is_empty()) {
        let (labels, values) = parse_series_description(line).unwrap();
        source.add_values(&labels, 0, MINUTE_MS, &values);
    }
    source
}

fn plan(text: &str) -> Plan {
    Plan::new(&parse(text, &ParseOptions::default()).unwrap_or_else(|e| panic!("{text}: {e:?}")))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Scalar(v) => format!("{v}"),
        Value::String(text) => text.clone(),
        Value::Vector(samples) => {
            samples.iter().map(|s| format!("{} {}", s.labels, s.value)).collect::<Vec<_>>().join("; ")
        }
        Value::Matrix(series) => {
            let one = |s: &SeriesPoints| format!("{} {}", s.labels, s.points.len());
            series.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// The result at a minute, or the error.
fn at(source: &MemorySource, text: &str, minute: i64) -> String {
    let options = EvalOptions::default();
    match eval_instant(&plan(text), source, minute * MINUTE_MS, &options, &SlotCache::new()) {
        Ok(value) => shown(&value),
        Err(error) => format!("error at `{}`: {error}", &text[error.span.clone()]),
    }
}

fn check(source: &MemorySource, minute: i64, cases: &[(&str, &str)]) {
    for (text, want) in cases {
        assert_eq!(at(source, text, minute), *want, "{text} at {minute}m");
    }
}

const REQUESTS: &str = r#"
req_total{job="a", code="200"} 0+60x20
req_total{job="a", code="500"} 0+6x20
req_total{job="b", code="200"} 0+30x20
cpu{host="x"} 10 20 30 _x5 stale
cpu{host="y"} 5x20
limit{host="x"} 15x20
limit{host="y"} 15x20
"#;

#[test]
fn selectors_look_back_five_minutes_and_stop_at_marks() {
    let source = store(REQUESTS);
    check(
        &source,
        2,
        &[("cpu", r#"cpu{host="x"} 30; cpu{host="y"} 5"#), ("cpu offset 1m == 20", r#"cpu{host="x"} 20"#)],
    );
    check(&source, 6, &[("cpu", r#"cpu{host="x"} 30; cpu{host="y"} 5"#)]);
    check(&source, 7, &[("cpu", r#"cpu{host="y"} 5"#), ("cpu @ 60", r#"cpu{host="x"} 20; cpu{host="y"} 5"#)]);
    check(&source, 8, &[("cpu{host=\"x\"}", ""), ("count_over_time(cpu{host=\"x\"}[8m])", r#"{host="x"} 2"#)]);
}

#[test]
fn rates_and_aggregations_give_what_prometheus_gives() {
    let source = store(REQUESTS);
    check(
        &source,
        10,
        &[
            ("sum by (job) (rate(req_total[5m]))", r#"{job="a"} 1.1; {job="b"} 0.5"#),
            ("increase(req_total{job=\"b\"}[5m])", r#"{code="200", job="b"} 150"#),
            ("sum without (code) (req_total) / 10", r#"{job="a"} 66; {job="b"} 30"#),
            ("count(req_total) + max(req_total)", "{} 603"),
            ("topk(2, req_total)", r#"req_total{code="200", job="a"} 600; req_total{code="200", job="b"} 300"#),
            ("quantile(0.5, req_total)", "{} 300"),
            ("avg_over_time(req_total{code=\"500\"}[2m])", r#"{code="500", job="a"} 57"#),
            ("max_over_time(sum(rate(req_total[2m]))[5m:1m])", "{} 1.6"),
            ("absent(nothing{x=\"y\"})", r#"{x="y"} 1"#),
        ],
    );
}

#[test]
fn vectors_match_on_their_labels() {
    let source = store(REQUESTS);
    check(
        &source,
        2,
        &[
            ("cpu > limit", r#"cpu{host="x"} 30"#),
            ("cpu > bool limit", r#"{host="x"} 1; {host="y"} 0"#),
            ("cpu / on (host) limit", r#"{host="x"} 2; {host="y"} 0.3333333333333333"#),
            ("cpu and limit > 20", ""),
            ("cpu unless cpu > 10", r#"cpu{host="y"} 5"#),
            ("vector(1) or cpu", r#"{} 1; cpu{host="x"} 30; cpu{host="y"} 5"#),
            (
                "req_total * ignoring (code) group_left sum without (code) (req_total)",
                r#"{code="200", job="a"} 15840; {code="200", job="b"} 3600; {code="500", job="a"} 1584"#,
            ),
        ],
    );
}

#[test]
fn failures_name_the_part_that_failed() {
    let source = store(REQUESTS);
    check(
        &source,
        2,
        &[
            (
                "1 + sum(abs({__name__=~\"cpu|limit\"}))",
                "error at `abs({__name__=~\"cpu|limit\"})`: vector cannot contain metrics with the same labelset",
            ),
            (
                "sum(req_total) - on (job) cpu",
                "error at `sum(req_total) - on (job) cpu`: found duplicate series for the match group {} on the right \
             hand-side of the operation: [{__name__=\"cpu\", host=\"x\"}, {__name__=\"cpu\", host=\"y\"}];many-to-many \
             matching not allowed: matching labels must be unique on one side",
            ),
            ("topk(NaN, cpu)", "error at `NaN`: Parameter value is NaN"),
            ("cpu[step()]", "error at `cpu[step()]`: duration must be greater than 0"),
        ],
    );
    let few = EvalOptions { samples_max: 10, ..EvalOptions::default() };
    let error = eval_instant(&plan("sum(rate(req_total[20m]))"), &source, 20 * MINUTE_MS, &few, &SlotCache::new());
    assert_eq!(error.unwrap_err().to_string(), "query reads more than 10 samples");
}

#[test]
fn extended_windows_use_the_samples_around_them() {
    let mut source = MemorySource::new();
    let labels = Labels::from_pairs([("__name__", "c_total")]);
    for (t_ms, value) in [(0, 0.0), (50_000, 50.0), (110_000, 110.0), (170_000, 10.0), (230_000, 70.0)] {
        source.add(&labels, Point { t_ms, value });
    }
    check(&source, 2, &[("increase(c_total[1m] anchored)", "{} 60")]);
    // From 60 at 1 m to the point where the counter, reset to 0 at 110 s, has come up to 10·10/60 at 2 m.
    check(&source, 2, &[("increase(c_total[1m] smoothed)", "{} 51.666666666666664")]);
    check(&source, 2, &[("c_total smoothed", "c_total 93.33333333333333")]);
}

#[test]
fn a_range_gives_one_point_per_step_that_has_a_value() {
    let source = store(REQUESTS);
    let options = EvalOptions::default();
    let series = eval_range(&plan("cpu > 10"), &source, 0, 4 * MINUTE_MS, MINUTE_MS, &options).unwrap();
    let [SeriesPoints { labels, points, .. }] = series.as_slice() else { panic!("one series: {series:?}") };
    assert_eq!(labels.to_string(), r#"cpu{host="x"}"#);
    assert_eq!(points.iter().map(|p| p.value).collect::<Vec<_>>(), [20.0, 30.0, 30.0, 30.0]);
    assert!(eval_range(&plan("cpu"), &source, 0, 10, 0, &options).is_err());
    assert!(eval_range(&plan("cpu"), &source, 10, 0, 1, &options).is_err());
    assert!(eval_range(&plan("\"x\""), &source, 0, 1, 1, &options).is_err());
}

#[test]
fn sets_derived_from_a_selection_follow_it_when_series_appear() {
    let mut source = store(REQUESTS);
    let plan = plan("sum by (host) (cpu * on (host) limit)");
    let options = EvalOptions::default();
    let run = |source: &MemorySource| shown(&eval_instant(&plan, source, 0, &options, &SlotCache::new()).unwrap());
    assert_eq!(run(&source), r#"{host="x"} 150; {host="y"} 75"#);
    assert_eq!(run(&source), r#"{host="x"} 150; {host="y"} 75"#);
    for name in ["cpu", "limit"] {
        source.add(&Labels::from_pairs([("__name__", name), ("host", "z")]), Point { t_ms: 0, value: 2.0 });
    }
    assert_eq!(run(&source), r#"{host="x"} 150; {host="y"} 75; {host="z"} 4"#);
}

/// Counts how often a store is read, and the series whose windows are handed out.
struct Counting(MemorySource, AtomicUsize, AtomicUsize);

impl Source for Counting {
    fn select(&self, matchers: &[Matcher]) -> Result<Selection, SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.select(matchers)
    }

    fn instant(&self, s: &Selection, at: i64, back: i64, out: &mut Vec<Option<Point>>) -> Result<(), SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.instant(s, at, back, out)
    }

    fn range(&self, s: &Selection, from: i64, to: i64, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.range(s, from, to, &mut |i, points| {
            self.2.fetch_add(1, Ordering::Relaxed);
            visit(i, points)
        })
    }

    fn absence(&self, matchers: &[Matcher], at_ms: i64) -> AbsenceReason {
        self.0.absence(matchers, at_ms)
    }
}

#[test]
fn equal_parts_of_different_rules_are_evaluated_once_per_slot() {
    let source = Counting(store(REQUESTS), AtomicUsize::new(0), AtomicUsize::new(0));
    let cache = SlotCache::new();
    let options = EvalOptions::default();
    for text in ["sum(rate(req_total[5m])) > 1", "sum(rate(req_total[5m])) < 9", "rate(req_total[5m]) * 2"] {
        eval_instant(&plan(text), &source, 10 * MINUTE_MS, &options, &cache).unwrap();
    }
    assert_eq!(source.1.load(Ordering::Relaxed), 2, "one selection, one window");
}

#[test]
fn a_query_of_too_many_samples_reads_no_more_than_it_may() {
    let series: Vec<String> = (0..100).map(|i| format!("m{{i=\"{i}\"}} 0+1x10")).collect();
    let options = EvalOptions { samples_max: 45, ..EvalOptions::default() };
    for (text, most) in [("sum_over_time(m[10m])", 5), ("m[10m]", 5), ("m", 0)] {
        let source = Counting(store(&series.join("\n")), AtomicUsize::new(0), AtomicUsize::new(0));
        let result = eval_instant(&plan(text), &source, 10 * MINUTE_MS, &options, &SlotCache::new());
        assert!(result.is_err_and(|e| e.to_string().contains("more than 45 samples")), "{text}");
        assert!(source.2.load(Ordering::Relaxed) <= most, "{text}: {}", source.2.load(Ordering::Relaxed));
    }
}

#[test]
fn evaluation_is_deterministic_and_independent_of_what_ran_before() {
    let source = store(REQUESTS);
    for text in ["topk(2, req_total) or cpu", "limit_ratio(0.5, req_total)", "count_values(\"v\", cpu)", "cpu > limit"]
    {
        let kept = plan(text);
        let options = EvalOptions::default();
        for minute in [1, 5, 1, 9] {
            let run = |p: &Plan| eval_instant(p, &source, minute * MINUTE_MS, &options, &SlotCache::new());
            assert_eq!(run(&kept), run(&plan(text)), "{text} at {minute}m");
        }
    }
    let both: Vec<String> =
        ["limit_ratio(0.4, req_total)", "limit_ratio(-0.6, req_total)"].map(|t| at(&source, t, 3)).into();
    let count = both.iter().map(|t| t.matches("req_total").count()).sum::<usize>();
    assert_eq!(count, 3, "a ratio and its complement share the series out: {both:?}");
}

#[test]
fn names_are_removed_at_once_or_in_the_end() {
    let source = store(REQUESTS);
    let late = EvalOptions { delayed_name_removal: true, ..EvalOptions::default() };
    for (text, at_once, in_the_end) in [
        ("sum by (__name__) (abs(cpu))", "{} 35", "{} 35"),
        (
            "label_replace(abs(cpu), \"n\", \"$1\", \"__name__\", \"(.*)\")",
            r#"{host="x"} 30; {host="y"} 5"#,
            r#"{host="x", n="cpu"} 30; {host="y", n="cpu"} 5"#,
        ),
        ("abs(cpu)", r#"{host="x"} 30; {host="y"} 5"#, r#"{host="x"} 30; {host="y"} 5"#),
    ] {
        assert_eq!(at(&source, text, 2), at_once, "{text}");
        let value = eval_instant(&plan(text), &source, 2 * MINUTE_MS, &late, &SlotCache::new()).unwrap();
        assert_eq!(shown(&value), in_the_end, "{text}");
    }
}

#[test]
fn classic_histograms_give_quantiles_and_fractions() {
    let source =
        store("h_bucket{le=\"1\"} 10\nh_bucket{le=\"2\"} 30\nh_bucket{le=\"+Inf\"} 40\nbroken_bucket{le=\"1\"} 10");
    check(
        &source,
        0,
        &[
            ("histogram_quantile(0.5, h_bucket)", "{} 1.5"),
            ("histogram_quantile(0.9, h_bucket)", "{} 2"),
            ("histogram_quantile(0.5, broken_bucket)", "{} NaN"),
            ("histogram_fraction(0, 1.5, h_bucket)", "{} 0.5"),
            ("histogram_quantiles(h_bucket, \"q\", 0.5, 1)", r#"{q="0.5"} 1.5; {q="1.0"} 2"#),
        ],
    );
}

#[test]
fn the_highest_tree_that_is_read_can_be_evaluated() {
    let source = store(REQUESTS);
    let chain = format!("cpu{}", " or cpu".repeat(crate::promql::HEIGHT_MAX - 1));
    assert_eq!(at(&source, &chain, 2), r#"cpu{host="x"} 30; cpu{host="y"} 5"#);
    let depth = crate::promql::NESTING_MAX - 1;
    let nested = format!("{}cpu{}", "max_over_time(abs(".repeat(depth / 2), ")[1m:1m])".repeat(depth / 2));
    assert_eq!(at(&source, &nested, 2), r#"{host="x"} 30; {host="y"} 5"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_sound_expression_is_evaluated_without_panic_and_twice_alike(
        text in crate::promql::parser::tests::expression(),
        delayed_name_removal in any::<bool>(),
    ) {
        let source = store("a{x=\"1\"} 1x9\na{x=\"2\"} 2 _ 3\nb{x=\"y\", z=\"1\"} 0+1x9\nc_total 0+5x9");
        if let Ok(expr) = parse(&text, &ParseOptions::default()) {
            let plan = Plan::new(&expr);
            let options = EvalOptions { delayed_name_removal, samples_max: 100_000, ..EvalOptions::default() };
            let run = || eval_instant(&plan, &source, 5 * MINUTE_MS, &options, &SlotCache::new());
            // NaN differs from itself, its text does not.
            prop_assert_eq!(format!("{:?}", run()), format!("{:?}", run()));
            let _ = eval_range(&plan, &source, 0, 5 * MINUTE_MS, MINUTE_MS, &options);
        }
    }
}
