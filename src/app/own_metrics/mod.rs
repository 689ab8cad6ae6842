//! What alertd tells about itself: the names at `/metrics`, in one place.
//!
//! `docs/own-metrics.md` lists them; a test compares the two.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Report;
use crate::persist::{OutboxState, Stats};
use crate::promql::SlideStats;
use crate::store::embedded::StoreStats;
use crate::telemetry::{Counter, Gauge, Histogram, Registry};

mod families;

pub use families::FAMILIES;

/// Handles of the metrics that are written often.
#[derive(Clone)]
pub struct OwnMetrics {
    registry: Arc<Registry>,
    evaluation_seconds: Histogram,
    lag_seconds: Histogram,
    missed: Counter,
    last_slot: Gauge,
    held: Counter,
    condition_to_delivery: Histogram,
}

/// The Alertmanager whose API version 2 this is: karma asks for it (prymitive/karma:internal/verprobe/verprobe.go), and
/// would not know what to make of a version of alertd.
const ALERTMANAGER_VERSION: &str = "0.27.0";

impl OwnMetrics {
    /// Describes every family and makes those that must be there from the start.
    pub fn new(registry: Arc<Registry>) -> Self {
        for (name, help) in FAMILIES.iter().copied() {
            registry.describe(name, help);
        }
        registry.set_buckets("alertd_evaluation_duration_seconds", &[1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0]);
        registry.set_buckets("alertd_evaluation_lag_seconds", &[0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0]);
        let seconds = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
        registry.set_buckets("alertd_datasource_query_duration_seconds", &seconds);
        registry.set_buckets(
            "alertd_time_from_condition_to_delivery_seconds",
            &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 1800.0, 14_400.0],
        );
        registry.gauge("alertd_build_info", &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        registry.gauge("alertmanager_build_info", &[("version", ALERTMANAGER_VERSION)]).set(1.0);
        for result in ["ok", "empty", "partial", "error"] {
            registry.counter("alertd_evaluations_total", &[("result", result)]);
        }
        for result in ["ok", "error"] {
            registry.counter("alertd_config_reloads_total", &[("result", result)]);
        }
        registry.counter("alertd_clock_jumps_total", &[]);
        for name in [
            "alertd_dead_letters_dropped_total",
            "alertd_duplicates_suppressed_total",
            "alertd_endings_dropped_total",
            "alertd_quarantined_records_total",
        ] {
            registry.counter(name, &[]);
        }
        Self {
            evaluation_seconds: registry.histogram("alertd_evaluation_duration_seconds", &[]),
            lag_seconds: registry.histogram("alertd_evaluation_lag_seconds", &[]),
            missed: registry.counter("alertd_evaluations_missed_total", &[]),
            last_slot: registry.gauge("alertd_evaluation_last_slot_timestamp_seconds", &[]),
            held: registry.counter("alertd_notices_held_total", &[("reason", "cooldown")]),
            condition_to_delivery: registry.histogram("alertd_time_from_condition_to_delivery_seconds", &[]),
            registry,
        }
    }

    /// Alerts that another program reported.
    pub fn received(&self, result: &str, count: usize) {
        self.registry.counter("alertd_received_alerts_total", &[("result", result)]).add(count as f64);
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// A slot was evaluated.
    pub fn evaluated(&self, slot_secs: f64, lag: Duration, missed: u64, reports: &[Report]) {
        self.last_slot.set(slot_secs);
        self.lag_seconds.observe(lag.as_secs_f64());
        self.missed.add(missed as f64);
        for report in reports {
            self.evaluation_seconds.observe(report.took.as_secs_f64());
            self.registry.counter("alertd_evaluations_total", &[("result", report.result)]).inc();
        }
    }

    /// Evaluations did not take place.
    pub fn missed(&self, count: u64) {
        self.missed.add(count as f64);
    }

    /// A remote store was asked.
    pub fn datasource_asked(&self, store: &str, result: &str, took: Duration) {
        self.registry.counter("alertd_datasource_queries_total", &[("store", store), ("result", result)]).inc();
        let seconds = self.registry.histogram("alertd_datasource_query_duration_seconds", &[("store", store)]);
        seconds.observe(took.as_secs_f64());
    }

    /// What became of samples for a receiver of remote writes.
    pub fn written(&self, receiver: &str, result: &str, samples: usize) {
        let labels = [("receiver", receiver), ("result", result)];
        self.registry.counter("alertd_remote_write_samples_total", &labels).add(samples as f64);
    }

    /// Samples that wait for a receiver of remote writes.
    pub fn waiting_to_be_written(&self, receiver: &str, samples: usize) {
        self.registry.gauge("alertd_remote_write_waiting_samples", &[("receiver", receiver)]).set(samples as f64);
    }

    /// A remote write is sent again.
    pub fn write_retried(&self, receiver: &str) {
        self.registry.counter("alertd_remote_write_retries_total", &[("receiver", receiver)]).inc();
    }

    /// A remote store answers, or does not.
    pub fn datasource_up(&self, store: &str, up: bool) {
        self.registry.gauge("alertd_datasource_up", &[("store", store)]).set(f64::from(u8::from(up)));
    }

    /// An alert changed.
    pub fn transition(&self, kind: &str) {
        self.registry.counter("alertd_transitions_total", &[("kind", kind)]).inc();
    }

    /// A notice went to a handler.
    pub fn notice(&self, handler: &str, kind: &str) {
        self.registry.counter("alertd_notices_total", &[("handler", handler), ("kind", kind)]).inc();
    }

    /// A handler was given a notice; what came of it.
    pub fn attempt(&self, handler: &str, class: &str) {
        self.registry.counter("alertd_attempts_total", &[("handler", handler), ("class", class)]).inc();
    }

    /// A notice was delivered, so long after what it tells came true.
    pub fn delivered(&self, handler: &str, took: Duration) {
        self.registry.counter("alertd_delivered_total", &[("handler", handler)]).inc();
        self.condition_to_delivery.observe(took.as_secs_f64());
    }

    /// A notice was given up.
    pub fn dead(&self, handler: &str) {
        self.registry.counter("alertd_dead_letters_total", &[("handler", handler)]).inc();
    }

    /// A notice is told with a later one.
    pub fn merged(&self, handler: &str) {
        self.registry.counter("alertd_notices_merged_total", &[("handler", handler)]).inc();
    }

    /// Notices were stored before and are not told again.
    pub fn duplicates(&self, count: usize) {
        self.registry.counter("alertd_duplicates_suppressed_total", &[]).add(count as f64);
    }

    /// Notices that will not outlive the process.
    pub fn not_stored(&self, reason: &str, count: usize) {
        self.registry.counter("alertd_outbox_refused_total", &[("reason", reason)]).add(count as f64);
    }

    /// Endings of deliveries were lost while nothing could be stored.
    pub fn endings_dropped(&self, count: usize) {
        self.registry.counter("alertd_endings_dropped_total", &[]).add(count as f64);
    }

    /// Rows of history were lost while nothing could be stored.
    pub fn history_dropped(&self, count: usize) {
        self.registry.counter("alertd_history_dropped_total", &[]).add(count as f64);
    }

    /// Stored records that were damaged.
    pub fn quarantined(&self, count: usize) {
        self.registry.counter("alertd_quarantined_records_total", &[]).add(count as f64);
    }

    /// A ping was sent, failed, or was withheld because something is wrong.
    pub fn heartbeat(&self, handler: &str, result: &str) {
        self.registry.counter("alertd_heartbeats_total", &[("handler", handler), ("result", result)]).inc();
    }

    /// What a process does that shares its state with others.
    pub fn replica(&self, active: bool, ahead_seconds: f64) {
        self.gauge("alertd_replica_active", f64::from(u8::from(active)));
        self.gauge("alertd_replica_clock_ahead_seconds", ahead_seconds);
    }

    /// Whether the state is stored.
    pub fn state_durable(&self, durable: bool) {
        self.gauge("alertd_state_durable", f64::from(u8::from(durable)));
    }

    /// A transition was not told.
    pub fn held(&self, reason: &str) {
        if reason == "cooldown" {
            self.held.inc();
        } else {
            self.registry.counter("alertd_notices_held_total", &[("reason", reason)]).inc();
        }
    }

    /// There was no time to look back at the signals of so many rules.
    pub fn trends_left_out(&self, rules: usize) {
        self.registry.counter("alertd_trends_left_out_total", &[]).add(rules as f64);
    }

    /// A reload was taken, or refused; whether rule files are in use since then or from before.
    pub fn reloaded(&self, ok: bool, in_use: bool, now_secs: f64) {
        self.gauge("alertd_rules_loaded", f64::from(u8::from(in_use)));
        let result = if ok { "ok" } else { "error" };
        self.registry.counter("alertd_config_reloads_total", &[("result", result)]).inc();
        self.gauge("alertd_config_last_reload_successful", f64::from(u8::from(ok)));
        if ok {
            self.gauge("alertd_config_last_reload_success_timestamp_seconds", now_secs);
        }
    }

    /// Samples came in from a source.
    pub fn ingested(&self, source: &str, samples: u64, errors: u64) {
        self.registry.counter("alertd_ingest_samples_total", &[("source", source)]).add(samples as f64);
        self.registry.counter("alertd_ingest_errors_total", &[("source", source)]).add(errors as f64);
    }

    /// A remote write was read.
    pub fn remote_write(&self, result: &str, exemplars_ignored: u64) {
        self.registry.counter("alertd_remote_write_requests_total", &[("result", result)]).inc();
        self.registry.counter("alertd_remote_write_exemplars_ignored_total", &[]).add(exemplars_ignored as f64);
    }

    /// A request was refused.
    pub fn refused(&self, class: &str, reason: &str) {
        let labels = [("class", class), ("reason", reason)];
        self.registry.counter("alertd_http_refused_requests_total", &labels).inc();
    }

    /// How memory stands: each limit with what counts against it, and what is turned away.
    pub fn memory<'a>(&self, limits: impl Iterator<Item = (&'a str, u64, u64)>, shedding: u8) {
        // A reload may take its limit away.
        for name in ["alertd_memory_used_bytes", "alertd_memory_max_bytes"] {
            self.registry.forget(name, &[("limit", "memory_max")]);
        }
        for (limit, used, max) in limits {
            self.registry.gauge("alertd_memory_used_bytes", &[("limit", limit)]).set(used as f64);
            self.registry.gauge("alertd_memory_max_bytes", &[("limit", limit)]).set(max as f64);
        }
        self.gauge("alertd_memory_shedding", f64::from(shedding));
    }

    /// Scraped samples were left out for want of memory.
    pub fn shed(&self, samples: usize) {
        self.registry.counter("alertd_shed_samples_total", &[]).add(samples as f64);
    }

    /// Something about samples was stored, or was not.
    pub fn samples(&self, report: &crate::store::durable::Report, took: Duration) {
        let add = |name: &str, n: f64| self.registry.counter(name, &[]).add(n);
        add("alertd_samples_commit_seconds_total", took.as_secs_f64());
        add("alertd_samples_left_out_total", report.left_out as f64);
        add("alertd_samples_stored_total", report.stored as f64);
        if let Some(error) = &report.error {
            self.registry.counter("alertd_samples_failures_total", &[("cause", error.cause())]).inc();
        }
        if let Some(bytes) = report.bytes {
            self.gauge("alertd_samples_file_bytes", bytes as f64);
        }
        self.gauge("alertd_samples_durable", f64::from(u8::from(report.error.is_none())));
    }

    /// Whether the file was put into quarantine.
    pub fn samples_put_aside(&self, it_was: bool) {
        self.registry.counter("alertd_samples_put_aside_total", &[]).add(f64::from(u8::from(it_was)));
    }

    /// A change of alerts did not wait any longer for its samples.
    pub fn samples_unsettled(&self) {
        self.registry.counter("alertd_samples_unsettled_total", &[]).inc();
    }

    /// Sets a gauge without labels.
    pub fn gauge(&self, name: &str, value: f64) {
        self.registry.gauge(name, &[]).set(value);
    }

    /// Makes the counters of a handler, so that its first event is an increase.
    pub fn handler(&self, handler: &str) {
        let labels = [("handler", handler)];
        for name in ["alertd_dead_letters_total", "alertd_delivered_total"] {
            self.registry.counter(name, &labels);
        }
    }

    /// Sets what the state's store tells of itself.
    pub fn state(&self, stats: &Stats) {
        let counter =
            |name: &str, labels: &[(&str, &str)], total: f64| self.registry.counter(name, labels).raise_to(total);
        counter("alertd_state_commits_total", &[], stats.commits as f64);
        counter("alertd_state_commit_seconds_total", &[], stats.commit_time.as_secs_f64());
        for (cause, count) in &stats.failures {
            counter("alertd_state_failures_total", &[("cause", cause)], *count as f64);
        }
        for (file, bytes) in &stats.bytes {
            self.registry.gauge("alertd_state_bytes", &[("file", file)]).set(*bytes as f64);
        }
        self.gauge("alertd_history_waiting_rows", stats.history_staged as f64);
        for (result, rows) in
            [("stored", stats.history_moved), ("cleaned", stats.history_cleaned), ("refused", stats.history_refused)]
        {
            counter("alertd_history_rows_total", &[("result", result)], rows as f64);
        }
        counter("alertd_outbox_refused_total", &[("reason", "full")], stats.outbox_refused as f64);
        counter("alertd_dead_letters_dropped_total", &[], stats.dead_dropped as f64);
        for count in stats.outbox.iter().filter(|count| count.state == OutboxState::Dead) {
            self.registry.gauge("alertd_outbox_dead", &[("handler", &count.handler)]).set(count.rows as f64);
        }
    }

    /// No dead notice of a handler is left.
    pub fn none_dead(&self, handler: &str) {
        self.registry.gauge("alertd_outbox_dead", &[("handler", handler)]).set(0.0);
    }

    /// Sets what windows take, and what became of them.
    pub fn windows(&self, stats: &SlideStats) {
        self.gauge("alertd_windows_bytes", stats.bytes as f64);
        for (reason, total) in [("idle", stats.idle), ("room", stats.refused)] {
            self.registry.counter("alertd_windows_given_up_total", &[("reason", reason)]).raise_to(total as f64);
        }
        self.registry.counter("alertd_windows_read_whole_total", &[]).raise_to(stats.read_whole as f64);
    }

    /// Sets what the store tells of itself.
    pub fn store(&self, stats: &StoreStats) {
        self.gauge("alertd_store_series", stats.series as f64);
        self.gauge("alertd_store_samples", stats.samples as f64);
        self.gauge("alertd_store_chunks", stats.chunks as f64);
        let bytes = |part: &str, n: u64| self.registry.gauge("alertd_store_bytes", &[("part", part)]).set(n as f64);
        bytes("samples", stats.sample_bytes);
        bytes("index", stats.index_bytes);
        for (reason, total) in [
            ("expired", stats.series_expired_total),
            ("evicted", stats.series_evicted_total),
            ("deleted", stats.series_deleted_total),
        ] {
            self.registry.counter("alertd_store_dropped_series_total", &[("reason", reason)]).raise_to(total as f64);
        }
        for (reason, total) in [
            ("too_old", stats.samples_too_old_total),
            ("too_new", stats.samples_too_new_total),
            ("conflict", stats.samples_conflict_total),
            ("series_limit", stats.samples_refused_series_total),
            ("labels", stats.samples_refused_labels_total),
        ] {
            self.registry.counter("alertd_store_refused_samples_total", &[("reason", reason)]).raise_to(total as f64);
        }
    }
}
