//! Plans, seen from outside.

use proptest::prelude::*;

use super::Plan;
use crate::promql::{CompareOp, ParseOptions, ValueType, parse};

fn plan(text: &str) -> Plan {
    Plan::new(&parse(text, &ParseOptions::default()).unwrap_or_else(|errors| panic!("{text}: {errors:?}")))
}

#[test]
fn equal_parts_become_one_node() {
    let plan = plan("sum(rate(a_total[5m])) / (sum(rate(a_total[5m])) + sum(b))");
    let windows = plan.inner.nodes.iter().filter(|n| n.value_type == ValueType::Matrix).count();
    assert_eq!(windows, 1);
    assert_eq!(plan.selectors().len(), 3, "selectors are listed as they are written");
}

#[test]
fn plans_of_one_meaning_have_one_key() {
    assert_eq!(plan("sum(a{x='y'})by(z)").key(), plan("(sum by (z) (a{x=\"y\"}))").key());
    for (one, other) in [
        ("a + (b)", "(a) + +b"),
        ("a + ignoring () b", "a + b"),
        ("sum by () (a)", "sum(a)"),
        ("rate(a[300s] offset 1m)", "rate(a[5m] offset 60s)"),
        ("0 / 0 + a * NaN", "0 / 0 + a * nan"),
    ] {
        assert_eq!(plan(one).key(), plan(other).key(), "{one} and {other}");
    }
}

#[test]
fn plans_of_different_meaning_have_different_keys() {
    let texts = [
        "a",
        "b",
        "{a=\"b\"}",
        "c{a!=\"b\"}",
        "{a=~\"b\"}",
        "c{ab=\"\"}",
        "a offset 5m",
        "a offset -5m",
        "a @ 300",
        "a @ start()",
        "a @ end()",
        "a smoothed",
        "-a",
        "- -a",
        "a + 1",
        "a + 2",
        "1 + a",
        "a - 1",
        "a + b",
        "b + a",
        "a + on () b",
        "a + on (x) b",
        "a + ignoring (x) b",
        "a + on (x) group_left b",
        "a + on (x) group_right b",
        "a + on (x) group_left (y) b",
        "a + on (x) fill_left (0) b",
        "a + on (x) fill_right (0) b",
        "a + on (x) fill_right (1) b",
        "a > 1",
        "a > bool 1",
        "1 > a",
        "sum(a)",
        "avg(a)",
        "sum by (x) (a)",
        "sum without (x) (a)",
        "sum without () (a)",
        "sum by (x, y) (a)",
        "topk(1, a)",
        "topk(2, a)",
        "rate(a[5m])",
        "rate(a[6m])",
        "rate(a[5m] anchored)",
        "increase(a[5m])",
        "rate(a[5m:])",
        "rate(a[5m:1m])",
        "rate(a[5m:2m])",
        "rate(a[5m:1m] offset 1m)",
        "rate(a[5m:1m] @ 60)",
        "rate(a[step()])",
        "rate(a[range()])",
        "1",
        "-1",
        "0",
        "-0",
        "1 - 0",
        "label_replace(a, \"x\", \"y\", \"z\", \"\")",
        "label_replace(a, \"xy\", \"\", \"z\", \"\")",
        "histogram_count(a)",
        "histogram_sum(a)",
        "clamp_min(a, 1)",
        "clamp_max(a, 1)",
    ];
    let mut keys: Vec<u128> = texts.iter().map(|text| plan(text).key()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), texts.len());
}

#[test]
fn only_totals_are_read_where_nothing_above_needs_buckets() {
    for (text, want) in [
        ("histogram_count(h)", true),
        ("histogram_avg(rate(h[5m])) + 1", true),
        ("sum(histogram_sum(h * 2)) > 3", true),
        ("h", false),
        ("rate(h[5m])", false),
        ("histogram_count(h </ 2)", false),
        ("histogram_quantile(0.9, h)", false),
        ("histogram_count(max_over_time(h[5m:1m]))", false),
        ("max_over_time(histogram_count(h)[5m:1m])", false),
        ("max_over_time((1 + histogram_count(rate(h[1m])))[5m:1m])", false),
        ("histogram_quantile(0.9, histogram_sum(h))", false),
        ("histogram_sum(h) </ 2", false),
    ] {
        let totals: Vec<bool> = plan(text).inner.selectors.iter().map(|s| s.totals).collect();
        assert_eq!(totals, [want], "{text}");
    }
}

#[test]
fn look_back_adds_up_windows_offsets_and_subqueries() {
    for (text, want_ms) in [
        ("a", 300_000),
        ("a[10m]", 600_000),
        ("rate(a[5m] offset 1h)", 3_900_000),
        ("max_over_time(rate(a[5m])[1d:1m] offset 1h)", 300_000 + 86_400_000 + 3_600_000),
        ("a offset -1h", 0),
        ("1 + 1", 0),
        ("a + b offset 1d", 86_700_000),
    ] {
        assert_eq!(plan(text).look_back_ms(), want_ms, "{text}");
    }
}

#[test]
fn selectors_tell_names_windows_and_places() {
    let text = "rate(a[5m] offset 1m) + {__name__=~\"b.*\"}";
    let plan = plan(text);
    let [first, second] = plan.selectors() else { panic!("two selectors") };
    assert_eq!((first.name.as_deref(), first.range_ms, first.offset_ms), (Some("a"), 300_000, 60_000));
    assert_eq!(&text[first.span.clone()], "a[5m] offset 1m");
    assert_eq!((second.name.as_deref(), second.range_ms), (None, 0));
}

#[test]
fn a_comparison_with_a_constant_is_split() {
    let split = |text: &str| plan(text).split_comparison().map(|(p, op, v)| (p.key(), op, v));
    let key = plan("sum(a)").key();
    assert_eq!(split("sum(a) > 5"), Some((key, CompareOp::Greater, 5.0)));
    assert_eq!(split("(5 * -(1 + 1)) >= sum(a)"), Some((key, CompareOp::LessOrEqual, -10.0)));
    for text in ["sum(a) > bool 5", "a > b", "a + 5", "a > scalar(b)", "sum(a > 5)", "1 > bool 2"] {
        assert_eq!(split(text), None, "{text}");
    }
}

#[test]
fn plans_and_slot_caches_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Plan>();
    shared::<crate::promql::SlotCache>();
    shared::<crate::promql::MemorySource>();
}

proptest! {
    #[test]
    fn a_tree_says_what_it_compares_as_its_plan_does(text in crate::promql::parser::tests::expression()) {
        for text in [format!("{text} > 5"), format!("+(2 ^ -(1 > bool 2)) <= ({text})"), text] {
            let Ok(expr) = parse(&text, &ParseOptions::default()) else { continue };
            let of_plan = Plan::new(&expr).split_comparison().map(|(plan, op, limit)| (plan.key(), op, limit.to_bits()));
            let of_tree = expr.comparison().map(|(side, op, limit)| (Plan::new(side).key(), op, limit.to_bits()));
            prop_assert_eq!(of_plan, of_tree, "{}", text);
        }
    }
}
