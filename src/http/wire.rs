//! Answers in the shapes of the Prometheus HTTP API (prometheus.io/docs/prometheus/latest/querying/api).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::api::{Answer, Answered, GroupView, MetricAbout, Mutings, QueryStats, RuleView};
use super::error::ApiError;
use super::params::{RuleFilter, invalid};
use super::records::Preview;
use crate::model::alert::float_text;
use crate::model::{Alert, AlertState, Histogram, Labels, Muting, Point, SampleValue, Timestamp};

/// Most alerts that a preview of a silence writes out.
const COVERED_SHOWN_MAX: usize = 100;

/// `{"status":"success","data":…}`
pub fn success(data: impl Into<Value>) -> String {
    json!({"status": "success", "data": data.into()}).to_string()
}

/// Prometheus's warning where a limit was hit.
pub const TRUNCATED: &str = "results truncated due to limit";

/// The answer of a query with what is said beside it; written without building a tree, because a matrix may have a million points.
pub fn answer(answered: &Answered) -> String {
    let mut out = String::from(r#"{"status":"success","data":{"resultType":"#);
    match &answered.value {
        Answer::Scalar(p) => {
            out.push_str(r#""scalar","result":"#);
            point(&mut out, *p);
        }
        Answer::Text(at, text) => {
            let _ = write!(out, r#""string","result":[{},{}]"#, seconds(at.0), Value::from(text.as_str()));
        }
        Answer::Vector(at, series) => {
            out.push_str(r#""vector","result":["#);
            list(&mut out, series, |out, (labels, sample)| {
                metric(out, labels);
                match sample {
                    SampleValue::Float(value) => {
                        out.push_str(r#","value":"#);
                        point(out, Point { t_ms: at.0, value: *value });
                    }
                    SampleValue::Histogram(h) => {
                        out.push_str(r#","histogram":"#);
                        histogram(out, at.0, h);
                    }
                }
                out.push('}');
            });
            out.push(']');
        }
        Answer::Matrix(series) => {
            out.push_str(r#""matrix","result":["#);
            list(&mut out, series, |out, s| {
                metric(out, &s.labels);
                if !s.points.is_empty() || s.histograms.is_empty() {
                    out.push_str(r#","values":["#);
                    list(out, &s.points, |out, p| point(out, *p));
                    out.push(']');
                }
                if !s.histograms.is_empty() {
                    out.push_str(r#","histograms":["#);
                    list(out, &s.histograms, |out, p| histogram(out, p.t_ms, &p.histogram));
                    out.push(']');
                }
                out.push('}');
            });
            out.push(']');
        }
    }
    if let Some(stats) = answered.stats {
        let _ = write!(out, r#","stats":{}"#, query_stats(stats));
    }
    out.push('}');
    for (key, notes) in [("warnings", &answered.warnings), ("infos", &answered.infos)] {
        if !notes.is_empty() {
            let _ = write!(out, r#","{key}":{}"#, json!(notes));
        }
    }
    out.push('}');
    out
}

/// The shape of Prometheus's statistics. There is one phase here, and a query begins at once.
fn query_stats(stats: QueryStats) -> Value {
    let took = stats.took.as_secs_f64();
    json!({
        "timings": {
            "evalTotalTime": took, "resultSortTime": 0.0, "queryPreparationTime": 0.0, "innerEvalTime": took,
            "execQueueTime": 0.0, "execTotalTime": took,
        },
        "samples": {"totalQueryableSamples": stats.samples, "peakSamples": stats.samples},
    })
}

fn list<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
}

fn metric(out: &mut String, labels: &Labels) {
    out.push_str(r#"{"metric":"#);
    label_set(out, labels);
}

/// A label set as an object.
pub(super) fn label_set(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{}:{}", Value::from(name), Value::from(value));
    }
    out.push('}');
}

/// A text in quotes.
pub(super) fn text(out: &mut String, text: &str) {
    let _ = write!(out, "{}", Value::from(text));
}

/// Any value as JSON. Ours have no maps with keys that are no texts, so this cannot fail.
pub(super) fn append(out: &mut String, value: &impl serde::Serialize) {
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

fn point(out: &mut String, point: Point) {
    let _ = write!(out, r#"[{},"{}"]"#, seconds(point.t_ms), number(point.value));
}

/// `[time, {"count": …, "sum": …, "buckets": [[bounds, lower, upper, count], …]}]`; empty buckets are left out. Of the
/// bounds, 0 says that the upper one belongs to the bucket, 1 the lower one, 2 neither, 3 both.
fn histogram(out: &mut String, t_ms: i64, h: &Histogram) {
    let _ = write!(out, r#"[{},{{"count":"{}","sum":"{}""#, seconds(t_ms), number(h.count), number(h.sum));
    let buckets: Vec<_> = h.all_buckets().into_iter().filter(|b| b.count != 0.0).collect();
    if !buckets.is_empty() {
        out.push_str(r#","buckets":["#);
        list(out, &buckets, |out, b| {
            let bounds = match (b.lower_inclusive, b.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            let [lower, upper, count] = [b.lower, b.upper, b.count].map(number);
            let _ = write!(out, r#"[{bounds},"{lower}","{upper}","{count}"]"#);
        });
        out.push(']');
    }
    out.push_str("}]");
}

/// Seconds with up to three decimals.
fn seconds(ms: i64) -> String {
    let (sign, size) = if ms < 0 { ("-", ms.unsigned_abs()) } else { ("", ms.unsigned_abs()) };
    match size % 1000 {
        0 => format!("{sign}{}", size / 1000),
        rest => format!("{sign}{}.{rest:03}", size / 1000).trim_end_matches('0').to_owned(),
    }
}

/// A float as Prometheus writes it in query answers: exponents below 1e-6 and from 1e21 on.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        exponent(value)
    } else {
        float_text::text(value)
    }
}

/// A float as Go's `%e` with the fewest digits writes it: `9.2e+01`.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return float_text::text(value);
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
    format!("{digits}e{sign}{power:0>2}")
}

/// A time as Go writes one; Go's zero time where there is none.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

/// `/api/v1/alerts`
pub fn alerts(groups: &[GroupView], received: &[Alert], mutings: &Mutings) -> Value {
    let of_rules = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts);
    let muting = |a: &Alert| mutings.get(&(a.rule_uid.clone(), a.fingerprint));
    let alerts: Vec<Value> = of_rules.chain(received).map(|a| with_muting(alert(a), muting(a))).collect();
    json!({"alerts": alerts})
}

/// With what keeps it from being told, in the words of Alertmanager's API.
fn with_muting(mut alert: Value, muting: Option<&Muting>) -> Value {
    let Some(muting) = muting else { return alert };
    alert["silencedBy"] = json!(muting.silenced_by);
    alert["inhibitedBy"] = json!(muting.inhibited_by);
    alert["mutedBy"] = json!(muting.muted_by);
    if let Some(ack) = &muting.acknowledged {
        alert["acknowledged"] = json!(ack);
    }
    alert["notTold"] = muting.words.iter().map(|(_, words)| words.as_str()).collect();
    alert
}

/// Alerts alone.
pub fn bare_alerts(alerts: &[Alert]) -> Vec<Value> {
    alerts.iter().map(alert).collect()
}

/// `/api/v1/silences/preview`: how many alerts and the first of them, and what was in the last days.
pub fn preview(preview: &Preview) -> Value {
    let alerts = &preview.alerts;
    let firing = alerts.iter().filter(|a| a.state == AlertState::Firing).count();
    let shown: Vec<Value> = alerts.iter().take(COVERED_SHOWN_MAX).map(alert).collect();
    json!({"firing": firing, "pending": alerts.len() - firing, "alerts": shown, "past": preview.past})
}

/// `/api/v1/rules`; `fits` says for each rule of all groups whether its labels are asked for.
pub fn rules(groups: &[GroupView], filter: &RuleFilter, fits: Option<&[bool]>) -> Result<Value, ApiError> {
    let within = |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let mut from = filter.page.as_ref().and_then(|(_, token)| token.as_deref());
    let limit = filter.page.as_ref().map_or(usize::MAX, |(limit, _)| *limit);
    let (mut shown, mut next, mut place) = (Vec::new(), None, 0);
    for group in groups {
        let first = place;
        place += group.rules.len();
        if !within(&filter.groups, &group.name) || !within(&filter.files, &group.file) {
            continue;
        }
        if from.is_some_and(|token| token != group_token(group)) {
            continue;
        }
        from = None;
        let picked = |(i, rule): &(usize, &RuleView)| {
            filter.recording.is_none_or(|recording| recording == rule.recording)
                && within(&filter.names, &rule.name)
                && fits.is_none_or(|fits| fits.get(first + i).copied().unwrap_or(false))
        };
        let rules: Vec<Value> =
            group.rules.iter().enumerate().filter(picked).map(|(_, r)| rule(r, filter.bare)).collect();
        if filter.picks() && rules.is_empty() {
            continue;
        }
        if shown.len() == limit {
            next = Some(group_token(group));
            break;
        }
        shown.push(json!({
            "name": group.name, "file": group.file, "interval": group.interval.as_secs_f64(), "limit": group.limit, "rules": rules,
            "evaluationTime": group.evaluation_time.as_secs_f64(), "lastEvaluation": time(group.last_evaluation),
        }));
    }
    if let Some(token) = from {
        return Err(invalid(
            "group_next_token",
            &format!("invalid group_next_token '{token}'. were rule groups changed?"),
        ));
    }
    let mut value = json!({"groups": shown});
    if let Some(next) = next {
        value["groupNextToken"] = next.into();
    }
    Ok(value)
}

/// By what a page of groups names the one at which the next begins, as in Prometheus.
fn group_token(group: &GroupView) -> String {
    let text = format!("{};{}", group.file, group.name);
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule(rule: &RuleView, bare: bool) -> Value {
    let health = match (&rule.last_error, rule.last_evaluation) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut value = json!({
        "name": rule.name, "query": rule.query, "labels": rule.labels, "health": health,
        "lastError": rule.last_error.as_deref().unwrap_or_default(),
        "evaluationTime": rule.evaluation_time.as_secs_f64(), "lastEvaluation": time(rule.last_evaluation),
        "type": if rule.recording { "recording" } else { "alerting" }, "uid": rule.uid, "line": rule.line,
    });
    if !rule.recording {
        value["state"] = rule.state.as_str().into();
        value["duration"] = rule.hold.as_secs_f64().into();
        value["keepFiringFor"] = rule.keep_firing_for.as_secs_f64().into();
        value["annotations"] = json!(rule.annotations);
        value["alerts"] = if bare { json!([]) } else { rule.alerts.iter().map(alert).collect() };
    }
    value
}

fn alert(alert: &Alert) -> Value {
    let mut value = json!({
        "labels": alert.labels, "annotations": alert.annotations, "state": alert.state, "value": exponent(alert.value),
        "activeAt": alert.active_at, "severity": alert.severity, "fingerprint": alert.fingerprint,
        "rule": alert.rule, "condition": alert.condition, "peak": exponent(alert.peak),
        "origin": alert.origin.to_string(),
    });
    if let Some(since) = alert.no_data_since {
        value["noDataSince"] = json!(since);
    }
    if let Some(flapping) = alert.flapping {
        value["flapping"] = json!({
            "since": flapping.since, "changes": flapping.changes, "withinSeconds": flapping.within.as_secs_f64(),
            "quietSeconds": flapping.quiet.as_secs_f64(),
        });
    }
    if let (AlertState::Firing, Some(at)) = (alert.state, alert.fired_at) {
        value["firedAt"] = json!(at);
    }
    value
}

/// `/api/v1/metadata`, of all metrics or of one; at most `limit` of them.
pub fn metadata(known: &BTreeMap<String, MetricAbout>, metric: Option<&str>, limit: Option<usize>) -> Value {
    let wanted = known.iter().filter(|(name, _)| metric.is_none_or(|m| m == *name));
    let about = |a: &MetricAbout| json!([{"type": a.kind, "help": a.help, "unit": a.unit}]);
    let most = limit.unwrap_or(usize::MAX);
    Value::Object(wanted.take(most).map(|(name, a)| (name.clone(), about(a))).collect())
}

/// `/api/v1/status/buildinfo`: the fields Grafana reads.
pub fn build_info() -> Value {
    json!({
        "application": "alertd", "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "", "buildUser": "",
        "buildDate": "", "goVersion": "",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::histogram::Buckets;
    use crate::model::{HistogramPoint, SeriesPoints};

    fn points(points: Vec<Point>, histograms: Vec<HistogramPoint>) -> SeriesPoints {
        SeriesPoints { labels: Labels::empty(), points, histograms }
    }

    fn labels() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("a", "\"\n")])
    }

    #[test]
    fn query_answers_have_the_shapes_of_prometheus() {
        let p = |t_ms, value| Point { t_ms, value };
        let custom = Histogram {
            schema: crate::model::histogram::SCHEMA_CUSTOM,
            count: 3.0,
            sum: 4.5,
            positive: Buckets::run(0, vec![1.0, 0.0, 2.0]),
            custom_values: [0.5, 1.0].into(),
            ..Histogram::default()
        };
        let custom = Arc::new(custom);
        let exponential = Histogram {
            count: 7.0,
            sum: f64::NAN,
            zero_threshold: 0.25,
            zero_count: 3.0,
            negative: Buckets::run(1, vec![4.0]),
            ..Histogram::default()
        };
        for (got, want) in [
            (Answer::Scalar(p(1500, 2.0)), r#""scalar","result":[1.5,"2"]"#),
            (Answer::Text(Timestamp(-1050), "x\"".into()), r#""string","result":[-1.05,"x\""]"#),
            (Answer::Vector(Timestamp(0), vec![]), r#""vector","result":[]"#),
            (
                Answer::Vector(Timestamp(1000), vec![(labels(), SampleValue::Float(f64::NAN))]),
                r#""vector","result":[{"metric":{"__name__":"up","a":"\"\n"},"value":[1,"NaN"]}]"#,
            ),
            (
                Answer::Matrix(vec![points(vec![p(1, 1e-7), p(2000, f64::NEG_INFINITY)], vec![])]),
                r#""matrix","result":[{"metric":{},"values":[[0.001,"1e-07"],[2,"-Inf"]]}]"#,
            ),
            (
                Answer::Vector(Timestamp(0), vec![(Labels::empty(), SampleValue::Histogram(Arc::new(exponential)))]),
                r#""vector","result":[{"metric":{},"histogram":[0,{"count":"7","sum":"NaN","buckets":[[1,"-2","-1","4"],[3,"-0.25","0.25","3"]]}]}]"#,
            ),
            (
                Answer::Matrix(vec![points(vec![], vec![HistogramPoint { t_ms: 1500, histogram: custom }])]),
                r#""matrix","result":[{"metric":{},"histograms":[[1.5,{"count":"3","sum":"4.5","buckets":[[3,"-Inf","0.5","1"],[0,"1","+Inf","2"]]}]]}]"#,
            ),
        ] {
            let got = answer(&got.into());
            assert_eq!(got, format!(r#"{{"status":"success","data":{{"resultType":{want}}}}}"#));
            assert!(serde_json::from_str::<Value>(&got).is_ok());
        }
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, want) in [(1e21, "1e+21"), (0.5, "0.5"), (123_456_789.0, "123456789"), (-2.5e-9, "-2.5e-09")] {
            assert_eq!(number(value), want);
        }
        for (value, want) in [(92.0, "9.2e+01"), (0.0, "0e+00"), (1e-7, "1e-07"), (f64::INFINITY, "+Inf")] {
            assert_eq!(exponent(value), want);
        }
    }
}
