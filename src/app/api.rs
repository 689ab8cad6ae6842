//! What the HTTP API asks of the daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::daemon::Daemon;
use super::heartbeat::BeatError;
use super::{measure, views};
use crate::http::{
    Answer, Api, ApiError, ErrorKind, GroupView, HandlerStanding, ImportFormat, Imported, InstantQuery, MetricAbout,
    RangeQuery, Readiness, SeriesQuery, WriteFormat, Written,
};
use crate::ingest::remote_write::Version;
use crate::ingest::{Dialect, jsonl, text};
use crate::model::time::millis;
use crate::model::{Labels, Point, SampleValue, Timestamp};
use crate::promql::{
    EvalError, EvalOptions, Expr, ExprKind, Matcher, ParseOptions, Plan, QueryError, SlotCache, Value, VectorSample,
    eval_instant, eval_range, parse,
};
use crate::telemetry::TextFormat;

/// Most samples of one import.
const IMPORT_SAMPLES_MAX: usize = 5_000_000;
/// Most errors told one by one in the answer to an import.
const ERRORS_TOLD_MAX: usize = 20;
/// Intervals without an evaluation after which the daemon is no longer ready.
const LATE_INTERVALS: u32 = 2;

impl Api for Daemon {
    fn now(&self) -> Timestamp {
        self.hub.clock.now()
    }

    fn ready(&self) -> Readiness {
        let status = self.status.load();
        let mut reasons: Vec<String> = Vec::new();
        let loaded = status.generation > 0;
        if !status.ok {
            let what = if loaded { "the set before stays in use" } else { "no rule is loaded" };
            reasons.push(format!("the last load was refused, {what}:"));
            reasons.extend(status.findings.iter().take(20).cloned());
        }
        let late = self.late();
        if let Some(late) = late {
            reasons.push(format!("no evaluation since {}", crate::model::format_duration(late)));
        }
        if let Some(why) = self.hub.keeper.trouble() {
            reasons.push(format!("state is not stored, a restart would forget what happens now: {why}"));
        }
        if let Some(why) = self.samples.trouble() {
            reasons.push(format!("samples are in memory only, a restart would forget them: {why}"));
        }
        reasons.extend(self.samples.damage());
        Readiness { ready: loaded && late.is_none(), reasons }
    }

    fn reload(&self) -> Result<(), ApiError> {
        self.reload_now().map_err(|findings| ApiError::new(ErrorKind::Execution, findings))
    }

    fn metrics(&self, accept: Option<&str>) -> (&'static str, String) {
        measure::refresh(&self.hub);
        let format = TextFormat::negotiate(accept);
        let mut out = String::new();
        self.hub.metrics.registry().render_text(format, &mut out);
        (format.content_type(), out)
    }

    fn import(&self, format: ImportFormat, body: &[u8]) -> Result<Imported, ApiError> {
        let (batch, errors) = match format {
            ImportFormat::Prometheus { open_metrics } => {
                let dialect = if open_metrics { Dialect::OpenMetrics } else { Dialect::Prometheus };
                text::parse(body, dialect, IMPORT_SAMPLES_MAX)
            }
            ImportFormat::JsonLines => jsonl::parse(body, IMPORT_SAMPLES_MAX),
        };
        let stats = self.hub.store.append(&batch, self.hub.clock.now().0);
        let mut told: Vec<String> = errors.first.iter().take(ERRORS_TOLD_MAX).map(ToString::to_string).collect();
        for (count, why) in [
            (stats.conflicts, "another value stands at the same time"),
            (stats.too_old, "older than the store keeps"),
            (stats.too_new, "too far in the future"),
            (stats.refused_series, "the store is full of series"),
            (stats.refused_labels, "labels beyond the limits"),
        ] {
            if count > 0 {
                told.push(format!("{count} samples refused: {why}"));
            }
        }
        let rejected = errors.total as u64 + stats.refused();
        self.hub.metrics.ingested("push", stats.appended, rejected);
        Ok(Imported { samples: stats.appended + stats.duplicates, rejected, errors: told })
    }

    fn remote_write(&self, format: WriteFormat, message: &[u8]) -> Result<Written, ApiError> {
        let version = match format {
            WriteFormat::V1 => Version::V1,
            WriteFormat::V2 => Version::V2,
        };
        let metrics = &self.hub.metrics;
        let taken = self.writes.take(&self.hub.store, version, message, self.hub.clock.now().0).map_err(|error| {
            metrics.remote_write("malformed", 0);
            metrics.ingested("remote_write", 0, 1);
            ApiError::bad(error.to_string())
        })?;
        let refused = taken.refused.total();
        metrics.remote_write(if refused == 0 { "ok" } else { "partial" }, taken.exemplars_ignored);
        metrics.ingested("remote_write", taken.samples + taken.histograms, refused);
        Ok(Written {
            samples: taken.samples,
            histograms: taken.histograms,
            exemplars: 0,
            refused,
            reasons: taken.refused.reasons(),
        })
    }

    fn query(&self, query: &InstantQuery) -> Result<Answer, ApiError> {
        let plan = Plan::new(&parsed(&query.query)?);
        let options = EvalOptions::default();
        let at = query.time.0;
        let value =
            eval_instant(&plan, &*self.hub.store, at, &options, &SlotCache::default()).map_err(|e| failed(&e))?;
        Ok(match value {
            Value::Scalar(value) => Answer::Scalar(Point { t_ms: at, value }),
            Value::String(text) => Answer::Text(query.time, text),
            Value::Vector(samples) => {
                let sample = |s: VectorSample| {
                    (s.labels, s.histogram.map_or(SampleValue::Float(s.value), SampleValue::Histogram))
                };
                Answer::Vector(query.time, limited(samples, query.limit).map(sample).collect())
            }
            Value::Matrix(series) => Answer::Matrix(limited(series, query.limit).collect()),
        })
    }

    fn query_range(&self, query: &RangeQuery) -> Result<Answer, ApiError> {
        let plan = Plan::new(&parsed(&query.query)?);
        let options = EvalOptions::default();
        let (start, end, step) = (query.start.0, query.end.0, millis(query.step));
        let series = eval_range(&plan, &*self.hub.store, start, end, step, &options).map_err(|e| failed(&e))?;
        Ok(Answer::Matrix(limited(series, query.limit).collect()))
    }

    fn series(&self, query: &SeriesQuery) -> Result<Vec<Labels>, ApiError> {
        let mut found: Vec<Labels> = Vec::new();
        let mut all = |matchers: &[Matcher]| found.extend(self.hub.store.series(matchers).series.iter().cloned());
        if query.selectors.is_empty() {
            all(&[]);
        }
        for text in &query.selectors {
            match parsed(text)?.kind {
                ExprKind::Vector(selector) => all(&selector.matchers),
                _ => return Err(ApiError::bad(format!("not a selector: {text}"))),
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(limited(found, query.limit).collect())
    }

    fn metadata(&self) -> BTreeMap<String, MetricAbout> {
        let about =
            |m: crate::ingest::Metadata| MetricAbout { kind: m.kind.as_str().into(), help: m.help, unit: m.unit };
        self.hub.store.metadata().into_iter().map(|(family, m)| (family, about(m))).collect()
    }

    fn beat(&self, name: &str) -> Result<Timestamp, ApiError> {
        self.hub.beat(name).map_err(beat_failed)
    }

    fn beats(&self) -> Vec<(String, Timestamp)> {
        self.hub.heartbeats.list()
    }

    fn forget_beat(&self, name: &str) -> Result<(), ApiError> {
        self.hub.forget_beat(name).map_err(beat_failed)
    }

    fn groups(&self) -> Vec<GroupView> {
        views::groups(&self.hub)
    }

    fn status(&self) -> serde_json::Value {
        let status = self.status.load();
        let stats = self.hub.store.stats();
        let (firing, pending) = views::counts(&self.hub.core());
        let standing = measure::standing(&self.hub);
        let outbox: Vec<_> = standing.handlers.iter().map(queue).collect();
        let silences = measure::silences(&self.hub).map(|(state, count)| (state.as_str().to_owned(), json!(count)));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started": self.hub.started(),
            "rules": {"generation": status.generation, "files": status.files, "last_load_ok": status.ok,
                      "last_load_at": status.at, "findings": status.findings},
            "evaluation": {"last_slot": self.hub.last_slot(), "next_slot": self.hub.next_slot()},
            "alerts": {"firing": firing, "pending": pending},
            "store": {"series": stats.series, "samples": stats.samples, "bytes": stats.sample_bytes + stats.index_bytes,
                      "durable": self.samples.is_durable(), "trouble": self.samples.trouble(),
                      "series_with_lost_samples": self.hub.store.lost()},
            "state": {"durable": standing.trouble.is_none(), "trouble": standing.trouble},
            "silences": serde_json::Map::from_iter(silences),
            "outbox": outbox,
        })
    }
}

impl Daemon {
    /// How late the next slot is, if it is later than can be excused.
    fn late(&self) -> Option<Duration> {
        let every = self.config.load().evaluation_interval;
        let late = self.now().since(self.hub.next_slot()?);
        (late > every * LATE_INTERVALS).then_some(late)
    }
}

fn beat_failed(error: BeatError) -> ApiError {
    let kind = match error {
        BeatError::Name => ErrorKind::BadData,
        BeatError::TooMany => ErrorKind::Execution,
        BeatError::Unknown => ErrorKind::NotFound,
    };
    ApiError::new(kind, error.to_string())
}

/// How a handler's queue stands.
fn queue(handler: &HandlerStanding) -> serde_json::Value {
    json!({
        "handler": handler.name, "pending": handler.waiting, "oldest_seconds": handler.oldest.as_secs_f64(),
        "failing": handler.failing, "dead": handler.dead,
    })
}

/// At most `limit` of a list; 0 is no limit.
fn limited<T>(list: Vec<T>, limit: usize) -> impl Iterator<Item = T> {
    list.into_iter().take(if limit == 0 { usize::MAX } else { limit })
}

fn parsed(text: &str) -> Result<Expr, ApiError> {
    parse(text, &ParseOptions::default()).map_err(|errors| ApiError::bad(QueryError::parse(text, errors).to_string()))
}

fn failed(error: &EvalError) -> ApiError {
    ApiError::new(ErrorKind::Execution, error.to_string())
}
