//! Tests of what rules become; wrong rules are in `tests/bad`.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::detect::{Direction, Season};
use crate::diag::{TextStyle, text};
use crate::model::{AlertState, Severity as Sev};
use crate::schedule::Schedule;

fn rules(source: &str) -> Vec<Rule> {
    let loaded = load(&[SourceFile::new("r.yaml", source)], &LoadOptions::default());
    assert!(loaded.diagnostics.is_empty(), "{source}\n{}", text(&loaded.diagnostics, TextStyle::default()));
    loaded.rules
}

fn rule(body: &str) -> Rule {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    rules(&format!("rules:\n  - name: r\n{indented}")).remove(0)
}

fn query(body: &str) -> String {
    match rule(&format!("{body}\nthreshold: '> 1'")).condition {
        Condition::Threshold { signal, .. } => signal.text.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_exported_loads_and_exports_to_the_same_again() {
    let file = SourceFile::new("forms.yaml", include_str!("../../tests/good/groups.yaml"));
    let first = load(std::slice::from_ref(&file), &LoadOptions::default());
    let once = export::text(&export::prometheus(&first.rules, &[file]).0).expect("a rule file");
    let again = SourceFile::new("forms.yaml", once.clone());
    let second = load(std::slice::from_ref(&again), &LoadOptions::default());
    assert!(!second.has_errors(), "{once}");
    assert_eq!(export::text(&export::prometheus(&second.rules, &[again]).0).expect("a rule file"), once);
}

#[test]
fn rules_of_a_group_are_told_apart_by_labels_then_by_their_order_and_the_file_is_no_part() {
    let uids = |files: &[(&str, &str)]| -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect();
        let loaded = load(&files, &LoadOptions::default());
        assert!(!loaded.has_errors(), "{}", text(&loaded.diagnostics, TextStyle::default()));
        loaded.rules.iter().map(|rule| rule.uid.to_string()).collect()
    };
    let alone =
        "groups: [{name: g, rules: [{alert: A, expr: up}, {record: r, expr: up}, {alert: B, uid: b, expr: up}]}]";
    assert_eq!(uids(&[("x.yaml", alone)]), ["g/A", "g/r", "b"]);
    let shared = "groups: [{name: g, labels: {t: x}, rules: [{alert: A, expr: up, labels: {s: '1'}}, {alert: A, expr: up}, \
                  {alert: A, expr: up == 0}]}]";
    let expected = ["g/A{s=\"1\",t=\"x\"}", "g/A{t=\"x\"}", "g/A{t=\"x\"}#2"];
    assert_eq!(uids(&[("x.yaml", shared)]), expected);
    assert_eq!(uids(&[("other/y.yaml", shared)]), expected);
    let [a, b] = ["groups: [{name: g, rules: [{alert: A, expr: up}]}]"; 2];
    assert_eq!(uids(&[("x.yaml", a), ("y.yaml", b)]), ["g/A{}", "g/A{}#2"]);
}

#[test]
fn the_metric_form_becomes_promql() {
    for (body, want) in [
        ("metric: cpu", "cpu"),
        ("metric: cpu{a=\"b\"}", "cpu{a=\"b\"}"),
        ("metric: llm.latency_ms", "{\"llm.latency_ms\"}"),
        ("metric: llm.latency_ms{}", "{\"llm.latency_ms\"}"),
        ("metric: llm.latency_ms{agent=~\"dev.*\"}", "{\"llm.latency_ms\", agent=~\"dev.*\"}"),
        ("metric: '{\"http.latency\", a=\"}\"}'", "{\"http.latency\", a=\"}\"}"),
        ("metric: cpu\nover: 5m", "last_over_time(cpu[5m])"),
        ("metric: cpu\nreduce: last\nover: 5m", "last_over_time(cpu[5m])"),
        ("metric: cpu\nreduce: mean\nover: 90s", "avg_over_time(cpu[1m30s])"),
        ("metric: cpu\nreduce: p95\nover: 5m", "quantile_over_time(0.95, cpu[5m])"),
        ("metric: cpu\nreduce: p99.9\nover: 5m", "quantile_over_time(0.999, cpu[5m])"),
        ("metric: cpu\nreduce: p0\nover: 5m", "quantile_over_time(0, cpu[5m])"),
        ("metric: cpu\nreduce: p100\nover: 5m", "quantile_over_time(1, cpu[5m])"),
        ("metric: a.b\nreduce: range\nover: 1h", "max_over_time({\"a.b\"}[1h]) - min_over_time({\"a.b\"}[1h])"),
        ("metric: cpu\nreduce: increase\nover: 1d", "increase(cpu[1d])"),
        ("metric: cpu\nreduce: delta\nover: 1d", "delta(cpu[1d])"),
        ("metric: cpu\nreduce: stddev\nover: 1m", "stddev_over_time(cpu[1m])"),
        ("metric: cpu\nreduce: count\nover: 1m", "count_over_time(cpu[1m])"),
        ("metric: cpu\ncombine: mean", "avg(cpu)"),
        ("metric: cpu\ncombine: max\nby: [agent, service.name]", "max by (agent, \"service.name\") (cpu)"),
        ("metric: cpu\ncombine: p50\nby: [a]", "quantile by (a) (0.5, cpu)"),
        (
            "metric: llm.latency_ms{a=\"b\"}\nreduce: p95\nover: 5m\ncombine: max\nby: [agent]",
            "max by (agent) (quantile_over_time(0.95, {\"llm.latency_ms\", a=\"b\"}[5m]))",
        ),
    ] {
        assert_eq!(query(body), want, "{body}");
    }
}

#[test]
fn an_error_inside_metric_points_into_it_through_the_generated_query() {
    let source = "rules:\n  - name: r\n    metric: 'llm.x{a=\"b\", c=(\"d\"}'\n    reduce: p95\n    over: 5m\n    threshold: '> 1'\n";
    let file = SourceFile::new("r.yaml", source);
    let loaded = load(std::slice::from_ref(&file), &LoadOptions::default());
    let found = loaded.diagnostics.first().expect("an error");
    let metric = source.find("llm.x").expect("metric")..source.find("'\n").expect("end");
    assert!(metric.start <= found.span.start && found.span.end <= metric.end, "{:?}", found.span);
    assert!(found.span.start > source.find("c=").expect("matcher"), "{}", &source[found.span.clone()]);
}

fn levels(body: &str) -> Vec<Level> {
    match rule(&format!("metric: cpu\n{body}")).condition {
        Condition::Threshold { levels, .. } => levels,
        other => panic!("{other:?}"),
    }
}

#[test]
fn thresholds_are_read_with_any_spaces_and_notations() {
    for (text, want) in [
        ("> 5", Threshold::Above(5.0)),
        (">=5", Threshold::AtLeast(5.0)),
        (" <  -3.5 ", Threshold::Below(-3.5)),
        ("<= 1e6", Threshold::AtMost(1e6)),
        ("== 0", Threshold::Equals(0.0)),
        ("!= 1", Threshold::Differs(1.0)),
        ("outside 10..90", Threshold::Outside(10.0, 90.0)),
        ("inside -1.5 .. 2e1", Threshold::Inside(-1.5, 20.0)),
    ] {
        assert_eq!(levels(&format!("threshold: '{text}'"))[0].threshold, want, "{text}");
    }
}

#[test]
fn levels_are_sorted_and_each_has_its_recovery() {
    let found = levels("levels: {critical: '> 95', warning: '> 80'}\nrecover: '< 70'");
    assert_eq!(
        found,
        [
            Level { severity: Sev::Warning, threshold: Threshold::Above(80.0), recover: Some(Threshold::Below(70.0)) },
            Level { severity: Sev::Critical, threshold: Threshold::Above(95.0), recover: None },
        ]
    );
    let found = levels("levels: {critical: '> 95', warning: '> 80'}\nrecover: {critical: '< 90'}");
    assert_eq!((found[0].recover, found[1].recover), (None, Some(Threshold::Below(90.0))));
    assert_eq!(rule("metric: cpu\nlevels: {critical: '> 95', error: '> 80'}").severity, Sev::Error);
    let single = levels("threshold: '> 5'\nrecover: '< 3'\nseverity: error");
    assert_eq!(
        single,
        [Level { severity: Sev::Error, threshold: Threshold::Above(5.0), recover: Some(Threshold::Below(3.0)) }]
    );
}

#[test]
fn conditions_are_compared_exactly() {
    use super::threshold::{implies, overlap};
    let (above, below) = (Threshold::Above(5.0), Threshold::Below(5.0));
    assert_eq!(overlap(above, below), None);
    assert_eq!(overlap(above, Threshold::AtMost(5.0)), None);
    assert_eq!(overlap(Threshold::AtLeast(5.0), Threshold::AtMost(5.0)), Some(5.0));
    assert_eq!(overlap(above, Threshold::Below(7.0)), Some(6.0));
    assert!(overlap(Threshold::Outside(1.0, 2.0), Threshold::Inside(1.0, 2.0)).is_none());
    assert!(implies(Threshold::Above(9.0), above) && !implies(above, Threshold::Above(9.0)));
    assert!(implies(Threshold::Outside(0.0, 10.0), Threshold::Outside(1.0, 9.0)));
    assert!(!implies(Threshold::Differs(5.0), above));
    assert!(implies(Threshold::Equals(6.0), above));
}

#[test]
fn an_expr_with_levels_takes_its_comparison_as_the_level_of_the_rules_severity() {
    let Condition::Threshold { levels, .. } = rule("expr: cpu > 0.8\nlevels: {critical: '> 0.95'}").condition else {
        panic!("a threshold")
    };
    assert_eq!(
        levels.iter().map(|l| (l.severity, l.threshold)).collect::<Vec<_>>(),
        [(Sev::Warning, Threshold::Above(0.8)), (Sev::Critical, Threshold::Above(0.95)),]
    );
}

#[test]
fn expr_knows_the_signal_behind_a_final_comparison() {
    let Condition::PromQl { signal, recover, .. } = rule("expr: up == 0\nrecover_expr: up == 1").condition else {
        panic!("promql")
    };
    assert_eq!(signal.map(|(_, threshold)| threshold), Some(Threshold::Equals(0.0)));
    assert!(recover.is_some());
}

#[test]
fn expressions_calculate_in_floating_point() {
    let body = "queries: {a: up, b: up}\nwhen: a / 2 == 0.5 && 1 / 2 > 0 && b == 1 && math::abs(0 - 3) == 3\nvalue: if(a > 0, 7, 8)";
    let Condition::Expression { when, value, queries, .. } = rule(body).condition else { panic!("an expression") };
    let mut context = evalexpr::HashMapContext::new();
    for (name, _) in &queries {
        use evalexpr::ContextWithMutableVariables as _;
        context.set_value(name.to_string(), evalexpr::Value::Float(1.0)).expect("set");
    }
    assert_eq!(when.tree.eval_boolean_with_context(&context), Ok(true));
    assert_eq!(value.map(|v| v.tree.eval_number_with_context(&context)), Some(Ok(7.0)));
}

#[test]
fn every_allowed_function_exists_and_takes_floating_point_numbers() {
    for name in super::expression::FUNCTIONS {
        let arguments = match *name {
            "if" => "true, x, 1",
            "min" | "max" | "math::log" | "math::pow" | "math::hypot" | "math::atan2" => "x, 1",
            _ => "x",
        };
        rule(&format!("queries: {{x: up}}\nwhen: {name}({arguments}) > 0"));
    }
}

#[test]
fn defaults_apply_where_a_rule_is_silent() {
    let found = rules(
        "defaults:\n  every: 30s\n  severity: error\n  over: 10m\n  for: 1m\n  labels: {team: a, tier: 1}\n  notify: [x]\nrules:\n\
         \x20 - {name: a, metric: cpu, reduce: max, threshold: '> 1', labels: {team: b}}\n\
         \x20 - {name: b, expr: up == 0, cron: '0 * * * * *', for: 0s, severity: info}\n",
    );
    let (a, b) = (&found[0], &found[1]);
    assert!(matches!(a.schedule, Schedule::Every(every) if every == Duration::from_secs(30)));
    assert!(matches!(b.schedule, Schedule::Cron(_)));
    assert_eq!((a.severity, b.severity), (Sev::Error, Sev::Info));
    assert_eq!((a.hold, b.hold), (Duration::from_secs(60), Duration::ZERO));
    assert_eq!(a.labels.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["tier", "team"]);
    assert_eq!(a.notify.iter().map(|n| &**n).collect::<Vec<_>>(), ["x"]);
    assert!(matches!(&a.condition, Condition::Threshold { signal, .. } if &*signal.text == "max_over_time(cpu[10m])"));
}

#[test]
fn what_is_not_given_has_the_default_of_the_manual() {
    let rule = rule("expr: up == 0");
    assert_eq!((&*rule.uid, &*rule.name, rule.origin.line), ("r", "r", 2));
    assert_eq!((rule.severity, rule.enabled, rule.alerts_max), (Sev::Warning, true, 1000));
    assert_eq!((rule.on_no_data, rule.on_error), (None, OnMissing::Keep));
    assert_eq!(rule.no_data_timeout, Duration::from_secs(3600));
    assert!(rule.hold.is_zero() && rule.cooldown.is_zero() && rule.keep_firing_for.is_zero());
    assert!(matches!(rule.schedule, Schedule::Every(every) if every == Duration::from_secs(15)));
}

#[test]
fn anomaly_settings_have_defaults_and_sensitivity_becomes_sigma() {
    let detector = |body: &str| match rule(&format!("metric: cpu\nanomaly: {{{body}}}")).condition {
        Condition::Anomaly { detector, .. } => detector,
        other => panic!("{other:?}"),
    };
    let plain = detector("");
    assert_eq!((plain.sigma, plain.min_samples, plain.direction), (3.0, 30, Direction::Both));
    assert_eq!((plain.window, plain.season), (Duration::from_secs(7 * 86_400), Season::None));
    // A series that leaves its band once per window tells nothing new the second time.
    assert_eq!(plain.refractory, Duration::from_secs(4 * 86_400));
    assert_eq!(detector("trigger: 3 of 5").trigger, crate::detect::Trigger { points: 3, of: 5 });
    assert!(!plain.learn_while_firing);
    let daily = detector("season: daily, timezone: Europe/Berlin");
    assert_eq!((daily.season, daily.timezone.name()), (Season::Daily, "Europe/Berlin"));
    // Two-sided 1 in 370.398 and one-sided 1 in 740.797 are both three standard deviations.
    assert!((detector("sensitivity: 370.398").sigma - 3.0).abs() < 1e-4);
    assert!((detector("sensitivity: 740.797, direction: below").sigma - 3.0).abs() < 1e-4);
}

#[test]
fn the_methods_of_the_table_are_the_detectors_that_exist() {
    for name in keys::METHODS {
        assert!(crate::detect::Method::from_name(name).is_some(), "{name}");
    }
    assert_eq!(keys::METHODS.len(), crate::detect::Method::NAMES.len());
}

#[test]
fn tests_of_a_rule_are_read() {
    let tests = rule(
        "expr: up == 0\ntests:\n  - name: a\n    series: {up: 1 0}\n    at: 5m\n    expect: firing\n  - name: b\n    interval: 30s\n    series: []\n    at: 0s\n    expect: [{severity: warning, labels: {a: 1}}]",
    )
    .tests;
    assert_eq!(tests[0].expect, Expectation::State(AlertState::Firing));
    assert_eq!((tests[0].interval, tests[0].at), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(tests[0].series[0].1, [Some(1.0), Some(0.0)]);
    let Expectation::Alerts(alerts) = &tests[1].expect else { panic!("alerts") };
    assert_eq!((alerts[0].severity, alerts[0].labels.get("a"), alerts[0].state), (Some(Sev::Warning), Some("1"), None));
}

#[test]
fn two_rules_of_one_name_in_two_files_are_an_error_at_the_second() {
    let a = SourceFile::new("a.yaml", "rules: [{name: x, expr: up == 0}]");
    let b =
        SourceFile::new("b.yaml", "rules:\n  - {name: x, uid: other, expr: up == 0}\n  - {name: x, expr: up == 0}\n");
    let loaded = load(&[a, b.clone()], &LoadOptions::default());
    assert_eq!(loaded.rules.len(), 2);
    let found: Vec<_> =
        loaded.diagnostics.iter().map(|d| (d.code, &*d.file.path, d.start().line, d.start().column)).collect();
    assert_eq!(found, [("A401", "b.yaml", 3, 6)]);
    assert_eq!(loaded.diagnostics[0].label.as_deref(), Some("first in a.yaml:1"));
}

#[test]
fn a_rule_with_an_error_is_left_out_and_the_others_are_read() {
    let file =
        SourceFile::new("r.yaml", "rules:\n  - {name: a, expr: up == 0, fro: 1m}\n  - {name: b, expr: up == 0}\n");
    let loaded = load(&[file], &LoadOptions::default());
    assert!(loaded.has_errors());
    assert_eq!(loaded.rules.iter().map(|r| &*r.name).collect::<Vec<_>>(), ["b"]);
}

const GOOD: &[&str] = &[
    include_str!("../../tests/good/forms.yaml"),
    include_str!("../../tests/good/yaml-features.yaml"),
    include_str!("../../tests/good/groups.yaml"),
    include_str!("../../tests/good/resources.yaml"),
    include_str!("../../tests/bad/resource-list.yaml"),
    include_str!("../../tests/bad/yaml-quoted-lines-outdented.yaml"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_good_file_makes_the_loader_panic(
        which in 0..GOOD.len(), at in 0usize..3000, cut in 0usize..12, insert in "[ -~\\n\u{fc}]{0,6}",
    ) {
        let mut text: Vec<char> = GOOD[which].chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.chars());
        shown(&text.into_iter().collect::<String>());
    }

    #[test]
    fn no_half_written_file_makes_the_loader_panic(which in 0..GOOD.len(), at in 0usize..3000) {
        shown(&GOOD[which].chars().take(at).collect::<String>());
    }

    #[test]
    fn no_values_make_the_loader_panic(
        metric in "[ -~]{0,20}", threshold in "[ -~]{0,16}", reduce in "p?[0-9a-z.]{0,6}", when in "[ -~\u{fc}]{0,40}",
    ) {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        shown(&format!(
            "rules:\n  - {{name: a, metric: {}, threshold: {}, reduce: {}, over: 5m}}\n  - {{name: b, queries: {{x: up}}, when: {}}}\n",
            quoted(&metric), quoted(&threshold), quoted(&reduce), quoted(&when),
        ));
    }
}

/// Loads a text and shows what was found: neither may panic, and every place must be in the text.
fn shown(source: &str) {
    let file = SourceFile::new("r.yaml", source);
    let loaded = load(std::slice::from_ref(&file), &LoadOptions::default());
    let (written, found) = export::prometheus(&loaded.rules, &[file]);
    export::text(&written).expect("a rule file");
    for d in loaded.diagnostics.iter().chain(&found) {
        assert!(source.get(d.span.clone()).is_some(), "{:?} in {source:?}", d.span);
    }
    let _ = text(&loaded.diagnostics, TextStyle { colour: true, width: 40 });
}
