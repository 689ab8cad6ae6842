//! What the daemon measures by itself, on threads of its own: the host, textfiles, its own metrics; and upkeep.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tracing::warn;

use super::hub::Hub;
use super::pressure::judge::Level;
use super::threads::pause;
use crate::engine::Needed;
use crate::ingest::host::{HostCollector, HostOptions};
use crate::ingest::{Batch, Dialect, text, textfile};
use crate::model::{Labels, Timestamp};
use crate::store::embedded::{AppendStats, Pin};

/// Most samples of one textfile.
const TEXTFILE_SAMPLES_MAX: usize = 1_000_000;
/// How often the store is kept tidy.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
/// The label `job` of alertd's own metrics.
pub const OWN_JOB: &str = "alertd";

/// Waits for the next multiple of the interval; false when it is time to stop.
fn next_tick(hub: &Hub, interval: Duration, stop: &Receiver<()>) -> bool {
    let now = hub.clock.now();
    let interval_ms = crate::model::time::millis(interval).max(1);
    let wait_ms = interval_ms - now.0.rem_euclid(interval_ms);
    let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(1000));
    pause(stop, wait)
}

/// Measures the host until `stop` ends: once at the start, then at every multiple of the interval.
pub fn host(hub: &Hub, interval: Duration, stop: &Receiver<()>) {
    let mut collector = match HostCollector::new(HostOptions::default(), hub.clock.monotonic()) {
        Ok(collector) => collector,
        Err(error) => {
            warn!(%error, "Host metrics are not available");
            return;
        }
    };
    // The processor's load is known only over some time.
    if !pause(stop, Duration::from_millis(200)) {
        return;
    }
    loop {
        let at = hub.clock.now();
        let mut batch = Batch::default();
        for (labels, value) in collector.collect(hub.clock.monotonic()) {
            batch.push(labels, Some(at.0), value);
        }
        let stats = hub.store.append(&batch, at.0);
        hub.metrics.ingested("host", stats.appended, stats.refused());
        if !next_tick(hub, interval, stop) {
            return;
        }
    }
}

/// Reads textfiles until `stop` ends.
pub fn textfiles(hub: &Hub, patterns: &[String], interval: Duration, stop: &Receiver<()>) {
    if patterns.is_empty() {
        return;
    }
    loop {
        read_textfiles(hub, patterns);
        if !next_tick(hub, interval, stop) {
            return;
        }
    }
}

fn read_textfiles(hub: &Hub, patterns: &[String]) {
    let now = hub.clock.now();
    let found = textfile::read_all(patterns);
    for error in &found.errors {
        hub.metrics.ingested("textfile", 0, 1);
        warn!(%error, "A textfile cannot be read");
    }
    for file in &found.files {
        let (batch, errors) = text::parse(&file.bytes, Dialect::Prometheus, TEXTFILE_SAMPLES_MAX);
        if let Some(error) = errors.first.first() {
            warn!(file = %file.path.display(), %error, errors = errors.total, "A textfile has bad lines");
        }
        let stats = hub.store.append(&batch, now.0);
        hub.metrics.ingested("textfile", stats.appended, stats.refused() + errors.total as u64);
    }
    let mut about = Batch::default();
    found.metrics().into_iter().for_each(|(labels, value)| about.push(labels, None, value));
    hub.store.append(&about, now.0);
}

/// Writes alertd's own metrics into the store, so that rules can watch the watcher, and keeps the store tidy.
pub fn own(hub: &Arc<Hub>, interval: Duration, stop: &Receiver<()>) {
    loop {
        record_own(hub, hub.clock.now());
        if !next_tick(hub, interval, stop) {
            return;
        }
    }
}

/// One reading of alertd's own metrics.
pub fn record_own(hub: &Hub, at: Timestamp) {
    record_registry(hub, at, |labels| labels.get("job").is_none().then(|| labels.with("job", OWN_JOB)));
}

/// Writes everything in the hub's registry into its store as of `at`, with the labels that `label` makes of those of
/// each sample; samples for which it makes none are left out.
pub fn record_registry(hub: &Hub, at: Timestamp, label: impl Fn(Labels) -> Option<Labels>) -> AppendStats {
    super::measure::refresh(hub);
    let mut batch = Batch::default();
    for (labels, value) in hub.metrics.registry().collect() {
        if let Some(labels) = label(labels) {
            batch.push(labels, Some(at.0), value);
        }
    }
    hub.store.append(&batch, at.0)
}

/// Says which series must outlive a want of room, and drops what retention has passed, a bounded part at a time. A
/// series can be evicted only after some minutes of silence, so it is early enough to look at the alerts here.
pub fn keep_tidy(hub: &Hub, now: Timestamp) {
    let needed = hub.core().engine.needed();
    let pin = |n: Needed| Pin { matchers: n.matchers, series: n.series, within_ms: n.within_ms };
    hub.store.pin(needed.into_iter().map(pin).collect());
    hub.store.maintain(now.0);
    if hub.pressure.level() != Level::Calm {
        hub.store.make_room(now.0);
    }
}
