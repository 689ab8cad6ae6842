//! Groups of Prometheus rule files: what they record and in which order, what they write of their alerts, limits,
//! offsets, and what a reload keeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, EngineOptions, Report, Step, Surroundings, order};
use crate::diag::SourceFile;
use crate::ingest::Batch;
use crate::model::histogram::{Buckets, Span};
use crate::model::{Histogram, HistogramPoint, Labels, Now, STALE_NAN, Sample, SampleValue, Timestamp, TransitionKind};
use crate::promql::{EvalOptions, ParseOptions, Plan, SlotCache, Value, eval_instant, parse, parse_series_description};
use crate::rule::{LoadOptions, Rule, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Rules of files, each a group's `rules:` or a whole file.
fn rules(files: &[&str]) -> Vec<Rule> {
    let files: Vec<_> = files.iter().enumerate().map(|(n, text)| SourceFile::new(format!("{n}.yaml"), *text)).collect();
    let loaded = load(&files, &LoadOptions { default_every: Duration::from_secs(60), ..LoadOptions::default() });
    assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
    loaded.rules
}

fn group(keys: &str, body: &str) -> String {
    let indented: String = body.lines().map(|line| format!("      {line}\n")).collect();
    format!("groups:\n  - name: g\n    {keys}\n    rules:\n{indented}")
}

/// An engine with a store, stepped every minute.
struct Bench {
    engine: Engine,
    store: EmbeddedStore,
    written: Vec<Sample>,
}

impl Bench {
    fn new(text: &str) -> Self {
        let engine = Engine::new(rules(&[text]), EngineOptions::default());
        Self { engine, store: EmbeddedStore::new(StoreOptions::for_files()), written: Vec::new() }
    }

    /// One step at a minute with these samples (`name{labels}`, value), which are there before it.
    fn step(&mut self, minute: i64, samples: &[(&str, f64)]) -> Step {
        let at = Timestamp(minute * 60_000);
        let mut batch = Batch::default();
        for (series, value) in samples {
            let (labels, _) = parse_series_description(series).expect("a series");
            batch.push(labels, Some(at.0), *value);
        }
        self.store.append(&batch, i64::MAX / 2);
        let (store, written) = (&self.store, &mut self.written);
        written.clear();
        let mut publish = |samples: Vec<Sample>| {
            written.extend(samples.iter().cloned());
            store.append(&Batch::from_iter(samples), i64::MAX / 2);
        };
        let due: Vec<usize> = (0..self.engine.rules().len()).collect();
        let mut around =
            Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
        self.engine.step(Now::simulated(at), &due, &mut around)
    }

    /// What was written at the last step: series and value, `stale` for a mark; sorted.
    fn written(&self) -> Vec<String> {
        let value = |v: f64| if v.to_bits() == STALE_NAN.to_bits() { "stale".to_owned() } else { v.to_string() };
        let mut out: Vec<String> =
            self.written.iter().map(|s| format!("{} {}", s.labels, value(s.value.float()))).collect();
        out.sort();
        out
    }

    fn ask(&self, expr: &str, minute: i64) -> BTreeMap<Labels, f64> {
        let plan = Plan::new(&parse(expr, &ParseOptions::default()).expect("a query"));
        let (options, cache) = (EvalOptions::default(), SlotCache::default());
        match eval_instant(&plan, &self.store, minute * 60_000, &options, &cache).expect("an answer") {
            Value::Vector(samples) => samples.into_iter().map(|s| (s.labels, s.value)).collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn error(reports: &[Report], uid: &str) -> Option<String> {
    reports.iter().find(|r| &*r.uid == uid).expect("evaluated").error.clone()
}

fn kinds(step: &Step) -> Vec<(&str, TransitionKind)> {
    step.transitions.iter().map(|t| (&*t.alert.rule, t.kind)).collect()
}

#[test]
fn an_alert_reads_what_a_rule_of_its_group_recorded_at_the_same_slot() {
    let mut bench = Bench::new(&group(
        "labels: {team: infra, tier: x}",
        "- {record: 'job:up:sum', expr: sum by (job) (up), labels: {tier: '', note: '{{ no template }}'}}\n\
         - {alert: Down, expr: 'job:up:sum < 1', labels: {team: web}}",
    ));
    let step = bench.step(0, &[("up{job=\"a\",i=\"1\",tier=\"y\"}", 0.0), ("up{job=\"b\",i=\"1\"}", 1.0)]);
    assert_eq!(kinds(&step), [("Down", TransitionKind::Fired)]);
    let labels = step.transitions[0].alert.labels.to_string();
    assert_eq!(labels, "{alertname=\"Down\", job=\"a\", note=\"{{ no template }}\", team=\"web\", tier=\"x\"}");
    let recorded = bench.ask("{__name__=\"job:up:sum\"}", 0);
    let labels: Vec<String> = recorded.keys().map(ToString::to_string).collect();
    assert_eq!(labels[0], "job:up:sum{job=\"a\", note=\"{{ no template }}\", team=\"infra\"}", "{labels:?}");
    assert_eq!(recorded.len(), 2);
}

#[test]
fn a_recorded_series_that_vanishes_ends_with_a_mark_and_an_error_marks_nothing() {
    let mut bench = Bench::new(&group("limit: 2", "- {record: r, expr: 'm > 0'}"));
    bench.step(0, &[("m{a=\"1\"}", 1.0), ("m{a=\"2\"}", 2.0)]);
    assert_eq!(bench.written(), ["r{a=\"1\"} 1", "r{a=\"2\"} 2"]);
    bench.step(1, &[("m{a=\"1\"}", 0.0), ("m{a=\"2\"}", 3.0)]);
    assert_eq!(bench.written(), ["r{a=\"1\"} stale", "r{a=\"2\"} 3"]);
    let step = bench.step(2, &[("m{a=\"1\"}", 1.0), ("m{a=\"3\"}", 1.0)]);
    assert_eq!(bench.written(), Vec::<String>::new());
    let said = error(&step.reports, "g/r").expect("above the limit");
    assert!(said.contains("limit exceeded: 3 > 2"), "{said}");
    bench.step(3, &[("m{a=\"2\"}", 0.0), ("m{a=\"3\"}", 0.0)]);
    assert_eq!(bench.written(), ["r{a=\"1\"} 1", "r{a=\"2\"} stale"]);
}

#[test]
fn native_histograms_are_recorded_and_end_with_a_mark() {
    let mut bench = Bench::new(&group(
        "interval: 1m",
        "- {record: 'job:h:sum', expr: sum by (job) (h), labels: {tier: x}}\n\
         - {alert: Slow, expr: 'histogram_avg(job:h:sum) > 2'}",
    ));
    let of = |count: f64, sum: f64| {
        let counts = vec![count];
        let spans = vec![Span { offset: 0, length: 1 }];
        Histogram { count, sum, positive: Buckets { spans, counts }, ..Histogram::default() }
    };
    for (pod, histogram) in [("1", of(2.0, 8.0)), ("2", of(3.0, 7.0))] {
        let labels = Labels::from_pairs([("__name__", "h"), ("job", "a"), ("pod", pod)]);
        let series = bench.store.series_ref(&labels, 0).expect("room");
        bench.store.append_histograms(&[(series, HistogramPoint { t_ms: 0, histogram: Arc::new(histogram) })], 0);
    }
    let step = bench.step(0, &[("h{job=\"b\"}", 1.0)]);
    assert_eq!(kinds(&step), [("Slow", TransitionKind::Fired)]);
    let recorded: Vec<_> = bench.written.iter().filter(|s| s.labels.metric_name() == Some("job:h:sum")).collect();
    assert_eq!(recorded[0].labels.to_string(), "job:h:sum{job=\"a\", tier=\"x\"}");
    let SampleValue::Histogram(sum) = &recorded[0].value else { panic!("{recorded:?}") };
    assert_eq!((sum.count, sum.sum), (5.0, 15.0));
    assert_eq!(recorded[1].value, SampleValue::Float(1.0));
    assert_eq!(bench.ask("histogram_count(job:h:sum)", 0).values().copied().collect::<Vec<_>>(), [5.0]);
    // Both ended.
    bench.step(
        1,
        &[("h{job=\"b\"}", STALE_NAN), ("h{job=\"a\",pod=\"1\"}", STALE_NAN), ("h{job=\"a\",pod=\"2\"}", STALE_NAN)],
    );
    let of_rule: Vec<String> = bench.written().into_iter().filter(|line| line.starts_with("job:")).collect();
    assert_eq!(of_rule, ["job:h:sum{job=\"a\", tier=\"x\"} stale", "job:h:sum{job=\"b\", tier=\"x\"} stale"]);
    assert!(bench.ask("job:h:sum", 1).is_empty());
}

#[test]
fn two_series_of_one_label_set_are_an_error_of_the_rule() {
    let mut bench = Bench::new(&group(
        "interval: 1m",
        "- {record: r, expr: m, labels: {a: x}}\n- {alert: A, expr: 'm > 0', labels: {a: x}}\n- {alert: B, expr: 'm > 0'}",
    ));
    let step = bench.step(0, &[("m{a=\"1\"}", 1.0), ("m{a=\"2\"}", 2.0)]);
    for uid in ["g/r", "g/A"] {
        let said = error(&step.reports, uid).expect("an error");
        assert!(said.contains("labels"), "{said}");
    }
    assert_eq!(kinds(&step).len(), 2, "B fires twice");
}

#[test]
fn queries_read_and_write_at_the_slot_less_the_offset() {
    let mut bench = Bench::new(&group("query_offset: 2m", "- {record: r, expr: m}\n- {alert: A, expr: 'm > 5'}"));
    bench.step(0, &[("m", 1.0)]);
    bench.step(1, &[("m", 9.0)]);
    assert_eq!(bench.ask("r", 1).len(), 0);
    let step = bench.step(2, &[("m", 1.0)]);
    assert!(kinds(&step).is_empty());
    assert_eq!(
        bench.written,
        [Sample { labels: bench.written[0].labels.clone(), at: Timestamp(0), value: 1.0.into() }]
    );
    let step = bench.step(3, &[("m", 1.0)]);
    assert_eq!(kinds(&step), [("A", TransitionKind::Fired)]);
    assert!(bench.written.iter().all(|s| s.at == Timestamp(60_000)));
    assert_eq!(bench.ask("ALERTS_FOR_STATE", 1).values().copied().collect::<Vec<_>>(), [180.0]);
}

#[test]
fn alerts_are_series_that_end_when_the_state_changes() {
    let mut bench = Bench::new(&group(
        "interval: 1m",
        "- {alert: A, expr: 'm > 5', for: 1m, labels: {severity: page}}\n\
         - {alert: Any, expr: 'count(ALERTS{alertstate=\"firing\", alertname=\"A\"}) > 0'}",
    ));
    let series = |state: &str| format!("ALERTS{{alertname=\"A\", alertstate=\"{state}\", h=\"1\", severity=\"page\"}}");
    let since = "ALERTS_FOR_STATE{alertname=\"A\", h=\"1\", severity=\"page\"}";
    bench.step(1, &[("m{h=\"1\"}", 9.0)]);
    assert_eq!(bench.written(), [format!("{since} 60"), format!("{} 1", series("pending"))]);
    let step = bench.step(2, &[("m{h=\"1\"}", 9.0)]);
    assert_eq!(kinds(&step), [("A", TransitionKind::Fired), ("Any", TransitionKind::Fired)]);
    let expected = [format!("{since} 60"), format!("{} 1", series("firing")), format!("{} stale", series("pending"))];
    let written = bench.written();
    assert_eq!(written.iter().filter(|w| !w.contains("Any")).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    let step = bench.step(3, &[("m{h=\"1\"}", 1.0)]);
    assert_eq!(kinds(&step).len(), 2, "both end at once");
    assert!(bench.written().iter().all(|w| w.ends_with("stale")), "{:?}", bench.written());
    assert!(bench.ask("{__name__=~\"ALERTS.*\"}", 3).is_empty());
}

#[test]
fn an_alert_above_the_limit_keeps_what_fires_and_one_more_alert_tells_the_count() {
    let mut bench = Bench::new(&group("limit: 3", "- {alert: A, expr: 'm > 0'}"));
    let many = |n: usize| (0..n).map(|i| (format!("m{{i=\"{i:02}\"}}"), 1.0)).collect::<Vec<_>>();
    let feed = |list: &[(String, f64)]| list.iter().map(|(s, v)| (s.clone(), *v)).collect::<Vec<_>>();
    let step = |bench: &mut Bench, minute, n| {
        let list = feed(&many(n));
        let list: Vec<(&str, f64)> = list.iter().map(|(s, v)| (s.as_str(), *v)).collect();
        bench.step(minute, &list)
    };
    assert_eq!(step(&mut bench, 0, 3).transitions.len(), 3);
    let grown = step(&mut bench, 1, 10);
    assert_eq!(grown.transitions.len(), 1, "nothing resolves: {:?}", kinds(&grown));
    let summary = grown.transitions[0].alert.annotations.get("summary").unwrap_or_default();
    assert!(summary.contains("limit exceeded: 10 > 3"), "{summary}");
    assert_eq!(bench.ask("ALERTS", 1).len(), 4);
    let shrunk = bench.step(2, &(3..10).map(|_| ("m{i=\"09\"}", 0.0)).take(1).collect::<Vec<_>>());
    assert!(kinds(&shrunk).iter().all(|(_, k)| !matches!(k, TransitionKind::Resolved { .. })), "{:?}", kinds(&shrunk));
}

#[test]
fn rules_of_a_group_come_one_after_the_other_where_one_reads_another() {
    let layers = |keys: &str, body: &str| order::layers(&rules(&[&group(keys, body)]));
    let chain = "- {record: a, expr: up}\n- {record: b, expr: a}\n- {alert: C, expr: 'b > 0'}\n- {record: d, expr: up}";
    assert_eq!(layers("interval: 1m", chain), [vec![0, 3], vec![1], vec![2]]);
    // Read before it is written anew.
    assert_eq!(layers("interval: 1m", "- {record: a, expr: b}\n- {record: b, expr: up}"), [vec![0], vec![1]]);
    // A selector without a name may read anything.
    let unknown = "- {record: a, expr: up}\n- {record: b, expr: '{job=\"x\"}'}\n- {record: c, expr: up}";
    assert_eq!(layers("interval: 1m", unknown), [vec![0], vec![1], vec![2]]);
    let named = "- {record: a, expr: up}\n- {record: b, expr: '{__name__=~\"a|x\"}'}\n- {record: c, expr: up}";
    assert_eq!(layers("interval: 1m", named), [vec![0, 2], vec![1]]);
    let alerts = "- {alert: A, expr: up == 0}\n- {alert: B, expr: 'ALERTS{alertname=~\"A.*\"} > 0'}\n\
                  - {record: c, expr: 'ALERTS_FOR_STATE{alertname=\"B\"}'}\n- {record: d, expr: 'ALERTS{alertname=\"X\"}'}";
    assert_eq!(layers("interval: 1m", alerts), [vec![0, 3], vec![1], vec![2]]);
}

#[test]
fn what_another_group_records_is_read_at_the_same_slot_and_circles_are_broken_between_groups_alone() {
    let reader = "groups: [{name: a, rules: [{alert: A, expr: 'x > 0'}, {record: y, expr: up}, {record: z, expr: y}]}]";
    let writer = "groups: [{name: b, rules: [{record: x, expr: up}]}]";
    assert_eq!(order::layers(&rules(&[reader, writer])), [vec![1, 3], vec![0, 2]]);
    let circle = "groups: [{name: b, rules: [{record: v, expr: z}, {record: w, expr: v}]}]";
    let loop_back = "groups: [{name: a, rules: [{record: y, expr: w}, {record: z, expr: y}]}]";
    assert_eq!(order::layers(&rules(&[loop_back, circle])), [vec![0, 2], vec![1, 3]]);
}

#[test]
fn series_of_removed_rules_end_and_those_that_another_rule_goes_on_with_do_not() {
    let all = group("interval: 1m", "- {record: r, expr: m}\n- {record: s, expr: m}\n- {alert: A, expr: 'm > 0'}");
    let mut bench = Bench::new(&all);
    bench.step(0, &[("m", 1.0)]);
    let moved = "groups: [{name: other, rules: [{record: r, expr: m}]}]";
    bench.engine.replace_rules(rules(&[moved]), Now::simulated(Timestamp(30_000)));
    bench.step(1, &[("m", 2.0)]);
    let alert = |state: &str| format!("ALERTS{state} stale");
    let expected = [
        alert("_FOR_STATE{alertname=\"A\"}"),
        alert("{alertname=\"A\", alertstate=\"firing\"}"),
        "r 2".to_owned(),
        "s stale".to_owned(),
    ];
    assert_eq!(bench.written(), expected);
    bench.step(2, &[("m", 2.0)]);
    assert_eq!(bench.written(), ["r 2"]);
}

#[test]
fn state_follows_a_rule_when_another_of_its_name_comes_and_goes() {
    let one = "- {alert: A, expr: 'm > 5', labels: {severity: page}}";
    let two = "- {alert: A, expr: 'm > 1', labels: {severity: ticket}}\n- {alert: A, expr: 'm > 5', labels: {severity: page}}";
    let mut bench = Bench::new(&group("interval: 1m", one));
    assert_eq!(bench.step(0, &[("m", 9.0)]).transitions.len(), 1);
    let reload = |bench: &mut Bench, minute: i64, text: &str| {
        let next = rules(&["# moved to the second file", &group("interval: 1m", text)]);
        bench.engine.take_over(&next);
        let ended = bench.engine.replace_rules(next, Now::simulated(Timestamp(minute * 60_000 + 1)));
        assert_eq!(ended, vec![], "{text}");
    };
    reload(&mut bench, 0, two);
    let step = bench.step(1, &[("m", 9.0)]);
    let severities: Vec<_> = step.transitions.iter().map(|t| t.alert.labels.get("severity")).collect();
    assert_eq!(severities, [Some("ticket")], "the one that pages fires already");
    let uids: Vec<&str> = bench.engine.rules().iter().map(|r| &*r.uid).collect();
    assert_eq!(uids, ["g/A{severity=\"ticket\"}", "g/A{severity=\"page\"}"]);
    let swapped = two.lines().rev().collect::<Vec<_>>().join("\n");
    reload(&mut bench, 1, &swapped);
    assert_eq!(bench.step(2, &[("m", 9.0)]).transitions, vec![]);
}

#[test]
fn a_rule_that_records_now_gives_up_its_alerts() {
    let mut bench = Bench::new(&group("interval: 1m", "- {alert: A, uid: u, expr: 'm > 5'}"));
    bench.step(0, &[("m", 9.0)]);
    let next = rules(&[&group("interval: 1m", "- {record: A, uid: u, expr: m}")]);
    bench.engine.take_over(&next);
    let ended = bench.engine.replace_rules(next, Now::simulated(Timestamp(60_000)));
    assert_eq!(ended.len(), 1);
    bench.step(2, &[("m", 9.0)]);
    assert!(bench.written().contains(&"A 9".to_owned()), "{:?}", bench.written());
    assert_eq!(bench.engine.state("u").map(|s| s.instances.len()), Some(0));
}

#[test]
fn the_severity_of_an_alert_follows_from_its_label_and_is_added_to_none() {
    let mut bench = Bench::new(&group(
        "interval: 1m",
        "- {alert: A, expr: 'm > 5', labels: {severity: '{{ $labels.how }}'}}\n- {alert: B, expr: 'm > 5', severity: error}",
    ));
    let step = bench.step(0, &[("m{how=\"page\"}", 9.0), ("m{how=\"odd\"}", 9.0)]);
    let seen: Vec<String> = step
        .transitions
        .iter()
        .map(|t| format!("{} {} {:?}", t.alert.rule, t.alert.severity, t.alert.labels.get("severity")))
        .collect();
    let expected =
        ["A warning Some(\"odd\")", "A critical Some(\"page\")", "B error Some(\"error\")", "B error Some(\"error\")"];
    assert_eq!(seen, expected);
}

#[test]
fn a_window_read_before_and_after_its_series_was_recorded_is_read_as_it_is() {
    let body = "- {record: before, expr: 'sum_over_time(x[10m])'}\n- {record: x, expr: m}\n\
                - {record: after, expr: 'sum_over_time(x[10m])'}";
    let mut bench = Bench::new(&group("interval: 1m", body));
    for minute in 0..6 {
        bench.step(minute, &[("m", 1.0)]);
        let value = |name: &str| bench.ask(name, minute).values().next().copied();
        let n = minute as f64;
        assert_eq!((value("before"), value("after")), ((minute > 0).then_some(n), Some(n + 1.0)), "minute {minute}");
    }
}
