//! Queries of API clients on the embedded store, in the shapes that `http` asks for.

use serde_json::json;

use super::daemon::LoadStatus;
use super::hub::Hub;
use crate::config::ServerConfig;
use crate::http::params::{POINTS_MAX, QUERY_TIMEOUT_MAX, invalid};
use crate::http::wire::TRUNCATED;
use crate::http::{Answer, Answered, ApiError, ErrorKind, InstantQuery, QueryStats, RangeQuery, SeriesQuery};
use crate::model::time::millis;
use crate::model::{Labels, LabelsBuilder, Point, SampleValue, Timestamp, format_duration, is_histogram_mark};
use crate::promql::{
    EvalError, EvalErrorKind, EvalOptions, Expr, ExprKind, LOOKBACK_MS_DEFAULT, Matcher, Notes, ParseOptions, Plan,
    QueryError, SAMPLES_MAX_DEFAULT, SlotCache, Source, SourceError, Value, ValueType, VectorSample,
    eval_instant_noting, eval_range_noting, parse,
};

/// `/api/v1/query`
pub fn instant(hub: &Hub, query: &InstantQuery) -> Result<Answered, ApiError> {
    let plan = Plan::new(&parsed("query", &query.query)?);
    let (at, options, begun) = (query.time.0, options(hub, query.lookback), hub.clock.monotonic());
    let (value, notes) = eval_instant_noting(&plan, &*hub.store, at, &options, &SlotCache::default());
    let took = hub.clock.monotonic().saturating_sub(begun);
    let point = |value| Point { t_ms: at, value };
    let (answer, cut) = match value.map_err(|e| failed(&e))? {
        Value::Scalar(value) => (Answer::Scalar(point(value)), false),
        Value::String(text) => (Answer::Text(query.time, text), false),
        Value::Vector(samples) => {
            let (samples, cut) = limited(samples, query.limit);
            let sample =
                |s: VectorSample| (s.labels, s.histogram.map_or(SampleValue::Float(s.value), SampleValue::Histogram));
            (Answer::Vector(query.time, samples.into_iter().map(sample).collect()), cut)
        }
        Value::Matrix(series) => {
            let (series, cut) = limited(series, query.limit);
            (Answer::Matrix(series), cut)
        }
    };
    let stats = query.stats.then_some(QueryStats { took, samples: notes.1 });
    Ok(Answered { stats, ..answered(answer, &notes, cut) })
}

/// `/api/v1/query_range`
pub fn range(hub: &Hub, query: &RangeQuery) -> Result<Answered, ApiError> {
    let plan = Plan::new(&parsed("query", &query.query)?);
    let kind = match plan.value_type() {
        ValueType::Matrix => Some("range vector"),
        ValueType::String => Some("string"),
        _ => None,
    };
    if let Some(kind) = kind {
        let why = format!("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector");
        return Err(invalid("query", &why));
    }
    let (options, begun) = (options(hub, query.lookback), hub.clock.monotonic());
    let times = (query.start.0, query.end.0, millis(query.step));
    let (series, notes) = eval_range_noting(&plan, &*hub.store, times, &options);
    let took = hub.clock.monotonic().saturating_sub(begun);
    let (series, cut) = limited(series.map_err(|e| failed(&e))?, query.limit);
    let stats = query.stats.then_some(QueryStats { took, samples: notes.1 });
    Ok(Answered { stats, ..answered(Answer::Matrix(series), &notes, cut) })
}

/// `/api/v1/series`, `/labels`, `/label/…/values`: the label sets of series that live in the time asked for.
pub fn series(hub: &Hub, query: &SeriesQuery) -> Result<Vec<Labels>, ApiError> {
    let mut found: Vec<Labels> = Vec::new();
    let mut all = |matchers: &[Matcher]| {
        found.extend(hub.store.living_within(&hub.store.series(matchers), query.start.0, query.end.0));
    };
    if query.selectors.is_empty() {
        all(&[]);
    }
    for matchers in selectors(&query.selectors)? {
        all(&matchers);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// `/federate`: the newest sample of each series within the look-back, with the labels that tell this server apart.
pub fn federate(hub: &Hub, texts: &[String], external: &[(String, String)]) -> Result<Vec<(Labels, Point)>, ApiError> {
    let now = hub.clock.now();
    let (mut found, mut points) = (Vec::new(), Vec::new());
    for matchers in selectors(texts)? {
        let selection = hub.store.series(&matchers);
        hub.store
            .instant(&selection, now.0, LOOKBACK_MS_DEFAULT, &mut points)
            .map_err(|error| ApiError::new(ErrorKind::Unavailable, error.to_string()))?;
        let there = selection.series.iter().zip(points.drain(..));
        // The page has no form for native histograms.
        let number = |point: &Point| !is_histogram_mark(point.value);
        found.extend(there.filter_map(|(labels, point)| Some((labels.clone(), point.filter(number)?))));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    let told_apart = |labels: &Labels| {
        let mut builder = LabelsBuilder::from(labels);
        for (name, value) in external.iter().filter(|(name, _)| labels.get(name).is_none()) {
            builder.set(name.as_str(), value.as_str());
        }
        builder.build()
    };
    Ok(found.into_iter().map(|(labels, point)| (told_apart(&labels), point)).collect())
}

/// Whether one of the selectors matches each label set.
pub fn matches(texts: &[String], labels: &[Labels]) -> Result<Vec<bool>, ApiError> {
    let selectors = selectors(texts)?;
    let fits = |labels: &Labels| selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches_labels(labels)));
    Ok(labels.iter().map(fits).collect())
}

/// `/api/v1/status/runtimeinfo`, `…/flags`, `…/config`, with the names that Prometheus has for it.
pub fn about(
    what: &str,
    (config, status): (&ServerConfig, &LoadStatus),
    started: Timestamp,
    now: Timestamp,
) -> Option<serde_json::Value> {
    match what {
        "runtimeinfo" => Some(json!({
            "startTime": started,
            "CWD": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
            "serverTime": now,
            "reloadConfigSuccess": status.ok,
            "lastConfigTime": status.at,
            "corruptionCount": 0,
            "GOMAXPROCS": super::threads::cores(),
            "storageRetention": format_duration(config.store.retention),
        })),
        "flags" => Some(json!({
            "web.listen-address": config.listen,
            "web.external-url": config.external_url.clone().unwrap_or_default(),
            "storage.tsdb.path": config.data_dir.display().to_string(),
            "storage.tsdb.retention.time": format_duration(config.store.retention),
            "query.lookback-delta": format_duration(std::time::Duration::from_millis(LOOKBACK_MS_DEFAULT.unsigned_abs())),
            "query.max-samples": SAMPLES_MAX_DEFAULT.to_string(),
            "query.timeout": format_duration(QUERY_TIMEOUT_MAX),
            "query.max-points": POINTS_MAX.to_string(),
        })),
        // What Prometheus calls global; the rest may hold secrets.
        "config" => {
            let mut yaml = format!("global:\n  evaluation_interval: {}\n", format_duration(config.evaluation_interval));
            if !config.external_labels.is_empty() {
                yaml.push_str("  external_labels:\n");
            }
            for (name, value) in &config.external_labels {
                yaml.push_str(&format!("    {}: {}\n", json!(name), json!(value)));
            }
            Some(json!({ "yaml": yaml }))
        }
        _ => None,
    }
}

/// Reads a query; the error names the parameter and the place in it, as in Prometheus.
pub fn parsed(parameter: &str, text: &str) -> Result<Expr, ApiError> {
    let wrong = |errors| invalid(parameter, &QueryError::parse(text, errors).to_string());
    parse(text, &ParseOptions::default()).map_err(wrong)
}

fn selectors(texts: &[String]) -> Result<Vec<std::sync::Arc<[Matcher]>>, ApiError> {
    let one = |text: &String| match parsed("match[]", text)?.kind {
        ExprKind::Vector(selector) => Ok(selector.matchers.iter().cloned().collect()),
        _ => Err(invalid("match[]", &format!("not a selector: {text}"))),
    };
    texts.iter().map(one).collect()
}

fn options(hub: &Hub, lookback: Option<std::time::Duration>) -> EvalOptions {
    let (defaults, samples_max) = (EvalOptions::default(), hub.pressure.query_samples_max());
    EvalOptions { lookback_ms: lookback.map_or(defaults.lookback_ms, millis), samples_max, ..defaults }
}

/// At most `limit` of a list, and whether that is less than all; 0 is no limit.
fn limited<T>(mut list: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let cut = limit > 0 && list.len() > limit;
    if cut {
        list.truncate(limit);
    }
    (list, cut)
}

/// The answer with its notes, each with its place in the query.
fn answered(value: Answer, notes: &Notes, cut: bool) -> Answered {
    let of = |warning: bool| {
        let notes = notes.0.iter().filter(move |note| note.warning == warning);
        let kind = if warning { "warning" } else { "info" };
        notes.map(move |note| format!("PromQL {kind}: {} (1:{})", note.message, note.start + 1))
    };
    let mut warnings: Vec<String> = of(true).collect();
    warnings.extend(cut.then(|| TRUNCATED.to_owned()));
    Answered { warnings, infos: of(false).collect(), ..Answered::from(value) }
}

/// A query that cannot be carried out, and one that this store cannot answer now.
fn failed(error: &EvalError) -> ApiError {
    let kind = match &error.kind {
        EvalErrorKind::Source(SourceError::Unavailable(_)) => ErrorKind::Unavailable,
        _ => ErrorKind::Execution,
    };
    ApiError::new(kind, error.to_string())
}
