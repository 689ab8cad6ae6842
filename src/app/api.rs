//! What the HTTP API asks of the daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::daemon::Daemon;
use super::heartbeat::BeatError;
use super::pressure::judge::Level;
use super::{measure, queries, views};
use crate::http::{
    Answered, Api, ApiError, ErrorKind, GroupView, HandlerStanding, ImportFormat, Imported, InstantQuery, MetricAbout,
    Mutings, RangeQuery, Readiness, SeriesQuery, Shedding, WriteFormat, Written,
};
use crate::ingest::remote_write::{ReadError, Version};
use crate::ingest::{Dialect, jsonl, text};
use crate::model::{Alert, Labels, Point, Timestamp};
use crate::received::ReceivedAlert;
use crate::telemetry::TextFormat;

/// Most samples of one import.
const IMPORT_SAMPLES_MAX: usize = 5_000_000;
/// Most errors told one by one in the answer to an import.
const ERRORS_TOLD_MAX: usize = 20;
/// Intervals without an evaluation after which the daemon is no longer ready.
const LATE_INTERVALS: u32 = 2;

impl Api for Daemon {
    fn shedding(&self) -> Shedding {
        match self.hub.pressure.level() {
            Level::Calm => Shedding::None,
            Level::Ingest => Shedding::Ingest,
            Level::All => Shedding::All,
        }
    }

    fn waits(&self) -> Option<String> {
        let seat = self.seat.as_ref()?;
        let displaced = || self.hub.keeper.displaced().then(|| "another process took over a moment ago".to_owned());
        seat.waits().or_else(displaced)
    }

    fn admits(&self, bytes: u64) -> bool {
        self.hub.pressure.admits(bytes)
    }

    fn bodies_bytes_max(&self) -> usize {
        self.hub.pressure.bodies_bytes_max()
    }

    fn refused(&self, class: &'static str, reason: &'static str) {
        self.hub.metrics.refused(class, reason);
    }

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
        reasons.extend(self.waits().or_else(|| self.seat.as_ref()?.remark()));
        let late = self.late();
        if let Some(late) = late {
            reasons.push(format!("no evaluation since {}", crate::model::format_duration(late)));
        }
        if let Some(why) = self.hub.keeper.trouble() {
            reasons.push(format!("state is not stored, a restart would forget what happens now: {why}"));
        }
        reasons.extend(self.hub.remote.get().into_iter().flat_map(|remote| remote.stores.troubles()));
        if let Some(why) = self.samples.trouble() {
            reasons.push(format!("samples are in memory only, a restart would forget them: {why}"));
        }
        reasons.extend(self.samples.damage());
        reasons.extend(self.hub.pressure.told());
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
        let again = rejected > 0 && rejected == stats.refused_series;
        Ok(Imported { samples: stats.appended + stats.duplicates, rejected, again, errors: told })
    }

    fn remote_write(&self, format: WriteFormat, message: &[u8]) -> Result<Written, ApiError> {
        let version = match format {
            WriteFormat::V1 => Version::V1,
            WriteFormat::V2 => Version::V2,
        };
        let metrics = &self.hub.metrics;
        let taken = self.writes.take(&self.hub.store, version, message, self.hub.clock.now().0).map_err(|error| {
            let (result, kind) = match error {
                ReadError::Malformed { .. } => ("malformed", ErrorKind::BadData),
                ReadError::TooMany { .. } => ("too_large", ErrorKind::TooLarge),
            };
            metrics.remote_write(result, 0);
            metrics.ingested("remote_write", 0, 1);
            ApiError::new(kind, error.to_string())
        })?;
        let refused = taken.refused.total();
        metrics.remote_write(if refused == 0 { "ok" } else { "partial" }, taken.exemplars_ignored);
        metrics.ingested("remote_write", taken.samples + taken.histograms, refused);
        Ok(Written {
            samples: taken.samples,
            histograms: taken.histograms,
            exemplars: 0,
            refused,
            again: taken.again,
            reasons: taken.refused.reasons(),
        })
    }

    fn query(&self, query: &InstantQuery) -> Result<Answered, ApiError> {
        queries::instant(&self.hub, query)
    }

    fn query_range(&self, query: &RangeQuery) -> Result<Answered, ApiError> {
        queries::range(&self.hub, query)
    }

    fn format_query(&self, query: &str) -> Result<String, ApiError> {
        queries::parsed("query", query).map(|expr| expr.to_string())
    }

    fn federate(&self, selectors: &[String]) -> Result<Vec<(Labels, Point)>, ApiError> {
        let external: Vec<(String, String)> = self.config.load().external_labels.clone().into_iter().collect();
        queries::federate(&self.hub, selectors, &external)
    }

    fn matches(&self, selectors: &[String], labels: &[Labels]) -> Result<Vec<bool>, ApiError> {
        queries::matches(selectors, labels)
    }

    fn about(&self, what: &str) -> Option<serde_json::Value> {
        let (config, status) = (self.config.load(), self.status.load());
        queries::about(what, (&config, &status), self.hub.started(), self.now())
    }

    fn series(&self, query: &SeriesQuery) -> Result<Vec<Labels>, ApiError> {
        queries::series(&self.hub, query)
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

    fn mutings(&self) -> Mutings {
        views::mutings(&self.hub)
    }

    fn received(&self) -> Vec<Alert> {
        self.hub.core().received.firing().map(ReceivedAlert::shown).collect()
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
            "state": {"durable": standing.trouble.is_none(), "trouble": standing.trouble,
                      "replica": self.seat.as_ref().map(|seat| seat.status())},
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
