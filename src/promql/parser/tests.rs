//! The parser, the type checker and the printer, seen from outside.

use proptest::prelude::*;

use super::{NESTING_MAX, ParseOptions, TEXT_LEN_MAX, parse};
use crate::promql::error::ParseError;

fn parsed(text: &str) -> Result<String, Vec<ParseError>> {
    parse(text, &ParseOptions::default()).map(|e| e.to_string())
}

/// The text parses and prints as `canonical`, which parses to an equal tree.
fn check(text: &str, canonical: &str) {
    let options = ParseOptions::default();
    let tree = parse(text, &options).unwrap_or_else(|e| panic!("{text:?}: {e:?}"));
    assert_eq!(tree.to_string(), canonical, "{text:?}");
    assert_eq!(parse(canonical, &options).as_ref(), Ok(&tree), "{canonical:?} reads back");
}

/// The text gives errors with these codes at these parts of it, and nothing else.
fn refuse(text: &str, wanted: &[(&str, &str)]) -> Vec<ParseError> {
    let errors = parse(text, &ParseOptions::default()).expect_err(text);
    let found: Vec<_> = errors.iter().map(|e| (e.code, &text[e.span.clone()])).collect();
    assert_eq!(found, wanted, "{text:?}: {errors:?}");
    errors
}

#[test]
fn operators_bind_and_associate_as_in_prometheus() {
    for (text, canonical) in [
        ("1+2*3", "1 + 2 * 3"),
        ("-2^2", "- 2 ^ 2"),
        ("-1", "-1"),
        ("2 ^ 3 ^ 2", "2 ^ 3 ^ 2"),
        ("a and b or c unless d", "a and b or c unless d"),
        ("a AND ON(x) b", "a and on (x) b"),
        ("a >= bool b", "a >= bool b"),
        ("a / ignoring(x,) group_left(y) b", "a / ignoring (x) group_left (y) b"),
        ("a + ignoring() b", "a + b"),
        ("a + on(x) fill(0) b", "a + on (x) fill_left (0) fill_right (0) b"),
        ("a atan2 fill_right(-Inf) b", "a atan2 fill_right (-Inf) b"),
        ("sum(a) by (x)", "sum by (x) (a)"),
        ("topk without (x) (3, a)", "topk without (x) (3, a)"),
        ("SUM BY () (a)", "sum (a)"),
        ("(a)", "(a)"),
    ] {
        check(text, canonical);
    }
    let tree = parse("2 ^ 3 ^ 2", &ParseOptions::default()).unwrap();
    assert_eq!(tree, parse("2 ^ 3 ^ 2", &ParseOptions::default()).unwrap());
    assert_ne!(tree, parse("(2 ^ 3) ^ 2", &ParseOptions::default()).unwrap());
}

#[test]
fn numbers_are_read_in_all_their_forms() {
    for (text, canonical) in [
        ("1_000", "1000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0x1F", "31"),
        ("010", "8"),
        ("1e-9", "1e-9"),
        ("1E+3", "1000"),
        ("iNf", "+Inf"),
        ("-INF", "-Inf"),
        ("nan", "NaN"),
        ("1h30m", "5400"),
        ("5ms", "0.005"),
    ] {
        check(text, canonical);
    }
}

#[test]
fn selectors_are_read_in_all_their_forms() {
    for (text, canonical) in [
        ("a:b{x='y', z!~`\\d+`}", "a:b{x=\"y\", z!~\"\\\\d+\"}"),
        ("{\"a.b\", 'l.x'=\"y\"}", "{\"a.b\", \"l.x\"=\"y\"}"),
        ("{__name__=~\"a.*\",}", "{__name__=~\"a.*\"}"),
        ("sum{by=\"x\"}", "{\"sum\", by=\"x\"}"),
        ("a offset -5m @ 10.5", "a @ 10.5 offset -5m"),
        ("a[5m] @ end() offset 1w", "a[5m] @ end() offset 1w"),
        ("a[300]", "a[5m]"),
        ("a[5m:]", "a[5m:]"),
        ("a[1h : 30s] offset 1d", "a[1h:30s] offset 1d"),
        ("a[step() + 1]", "a[(step()) + (1)]"),
        ("a offset -min_of(step(), 1s)", "a offset (-(min_of(step(), 1)))"),
        ("a offset 2 ^ 2", "a offset 2s ^ 2"),
        ("a[2m*(10+5)]", "a[30m]"),
        ("rate(a[5m] anchored)", "rate(a[5m] anchored)"),
        ("a # comment\n + b", "a + b"),
        ("\"\\u00e9\\x41\\101\\n\"", "\"éAA\\n\""),
    ] {
        check(text, canonical);
    }
}

#[test]
fn dotted_names_stand_unquoted_where_the_dialect_allows_it() {
    let dotted = ParseOptions { dotted_names: true };
    let tree = parse("max(llm.latency_ms{agent=~\"dev.*\"})", &dotted).unwrap();
    assert_eq!(tree.to_string(), "max ({\"llm.latency_ms\", agent=~\"dev.*\"})");
    assert_eq!(parse(&tree.to_string(), &ParseOptions::default()), Ok(tree));
    refuse("llm.latency_ms", &[("A101", ".")]);
    assert_eq!(parse("sum by (a.b) (x)", &dotted).unwrap_err()[0].code, "A101");
}

#[test]
fn an_unclosed_bracket_is_shown_at_the_token_that_should_have_been_it() {
    let text = "rate(http_requests_total{code=~\"5..\"}[5m) > 0.1";
    let errors = refuse(text, &[("A102", ")")]);
    assert_eq!(errors[0].span.start, text.find(')').unwrap());
    assert_eq!(errors[0].message, "unclosed range selector");
    assert_eq!(errors[0].label.as_deref(), Some("expected `]`"));
    assert_eq!(errors[0].help.as_deref(), Some("write `[5m]`"));
    refuse("sum(a", &[("A102", "")]);
    refuse("(a + b", &[("A102", "")]);
    refuse("a{x=\"y\"", &[("A102", "")]);
    refuse("a{x=\"y}", &[("A102", "\"")]);
    refuse("a[5m:1m", &[("A102", "")]);
}

#[test]
fn every_independent_mistake_is_reported() {
    refuse("rate(a) + sum(b[5m]) + abs(1)", &[("A105", "a"), ("A105", "b[5m]"), ("A105", "1")]);
    refuse("raet(a[5m]) + rate(b)", &[("A103", "raet"), ("A105", "b")]);
    refuse("a{x=~\"(\"} + rate(b[5m], 1)", &[("A106", "x=~\"(\""), ("A104", "rate(b[5m], 1)")]);
    refuse("1 > 2", &[("A108", "1 > 2")]);
    refuse("a and 1", &[("A105", "1")]);
    refuse("a and on(x) group_left b", &[("A108", "a and on(x) group_left b")]);
    refuse("a + on(x) group_left(x) b", &[("A108", "a + on(x) group_left(x) b")]);
    refuse("a + bool b", &[("A108", "bool")]);
    refuse("{x=\"\"}", &[("A106", "{x=\"\"}")]);
    refuse("topk(a)", &[("A104", "(a)")]);
    refuse("last_over_time(a[5m] smoothed)", &[("A108", "a[5m] smoothed")]);
    refuse("\"a\" + 1", &[("A105", "\"a\"")]);
}

#[test]
fn syntax_errors_point_at_the_token() {
    refuse("", &[("A101", "")]);
    refuse("a b", &[("A101", "b")]);
    refuse("a = 1", &[("A101", "=")]);
    refuse("a && b", &[("A101", "&&")]);
    refuse("a)", &[("A101", ")")]);
    refuse("a{x==\"y\"}", &[("A101", "==")]);
    refuse("a{x=y}", &[("A101", "y")]);
    refuse("sum(a,)", &[("A101", ",")]);
    refuse("(a + b) offset 5m", &[("A101", "offset")]);
    refuse("a offset 5m offset 1m", &[("A101", "offset")]);
    refuse("a offset 5m[1m]", &[("A105", "[1m]")]);
    refuse("a[5x]", &[("A107", "5x")]);
    refuse("a[0]", &[("A107", "0")]);
    refuse("a[1h/0]", &[("A107", "0")]);
    refuse("a[1m1h]", &[("A107", "1m1h")]);
    refuse("a + group_left b", &[("A108", "group_left")]);
    refuse("a{__name__=\"b\"}", &[("A106", "__name__=\"b\"")]);
}

#[test]
fn what_was_meant_is_said_where_it_is_known() {
    for (text, help) in [
        ("system.cpu_percent > 90", "a name with dots stands in quotes: `{\"system.cpu_percent\"}`"),
        ("rate(gen_ai.client.tokens[5m])", "a name with dots stands in quotes: `{\"gen_ai.client.tokens\"}`"),
        ("sum by job (up)", "write `(job)`"),
        ("sum(up) without instance", "write `(instance)`"),
    ] {
        let errors = parse(text, &ParseOptions::default()).unwrap_err();
        assert_eq!(errors[0].help.as_deref(), Some(help), "{text}");
    }
}

#[test]
fn misspelt_functions_are_guessed() {
    for (text, near) in [("raet(a[5m])", "rate"), ("histogram_quantil(1, a)", "histogram_quantile"), ("smu(a)", "sum")]
    {
        let errors = parse(text, &ParseOptions::default()).unwrap_err();
        assert_eq!(errors[0].help.as_deref(), Some(format!("did you mean `{near}`?").as_str()));
    }
    assert_eq!(refuse("xyzzy(a)", &[("A103", "xyzzy")])[0].help, None);
}

#[test]
fn too_deep_and_too_long_is_an_error_not_a_crash() {
    let codes = |text: &str| parsed(text).unwrap_err().iter().map(|e| e.code).collect::<Vec<_>>();
    for open in ["(", "-", "abs(", "sum(", "a^"] {
        assert_eq!(codes(&open.repeat(NESTING_MAX + 10)), ["A109"], "{open}");
        assert_eq!(codes(&open.repeat(8000)), ["A109"], "{open}");
    }
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parsed(&nested(NESTING_MAX)).is_ok());
    assert_eq!(codes(&format!("a{}", " or a".repeat(5000))), ["A109"]);
    assert!(parsed(&format!("a{}", " or a".repeat(150))).is_ok());
    assert_eq!(codes(&format!("a[1m{}]", "+1m".repeat(5000))), ["A109"]);
    assert_eq!(codes(&"a".repeat(TEXT_LEN_MAX + 1)), ["A109"]);
}

/// Expressions made of sound parts; types may still be wrong.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("b{x=\"y\", z!=\"\"}".to_owned()),
        Just("{\"u.v\", \"l.x\"=~\"y|z\"} offset -1h @ end()".to_owned()),
        Just("rate(c_total[5m:30s] @ 7)".to_owned()),
        Just("increase(c_total[step()*2] smoothed)".to_owned()),
        any::<f64>().prop_map(|v| format!("{v:?}")),
        Just("time()".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "==",
            "!= bool",
            "> on (x)",
            "and",
            "or ignoring (y)",
            "unless",
            "atan2",
            "* on (x, y) group_left (z)",
            "+ fill_right (2)",
        ]);
        let function = prop::sample::select(vec!["abs", "-", "sum", "avg by (x, \"q.r\")", "sort", "vector", "scalar"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("({e})[1h:5m] offset 2d")),
            (function, inner).prop_map(|(f, e)| format!("{f} ({e})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let _ = parsed(&text);
    }

    #[test]
    fn any_tokens_are_read_without_panic_and_print_to_themselves(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "b_total", "sum", "by", "rate", "on", "ignoring", "group_left", "bool", "offset", "@", "start", "end",
            "(", ")", "{", "}", "[", "]", ",", ":", "=", "==", "=~", "!=", "+", "-", "*", "^", "and", "or", "5m", "1",
            "0x", "1e", "inf", "nan", "\"x\"", "'", "`y`", "#", "\n", ".", "step()", "anchored", "fill(1)", "é",
        ]), 0..24),
        spaces in any::<bool>(),
    ) {
        let text = tokens.join(if spaces { " " } else { "" });
        if let Ok(tree) = parse(&text, &ParseOptions::default()) {
            prop_assert_eq!(parse(&tree.to_string(), &ParseOptions::default()), Ok(tree));
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_tree(text in expression()) {
        if let Ok(tree) = parse(&text, &ParseOptions::default()) {
            let printed = tree.to_string();
            prop_assert_eq!(parse(&printed, &ParseOptions::default()), Ok(tree), "{}", printed);
        }
    }
}
