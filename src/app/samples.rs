//! Samples that outlive the process: what was stored is put back at the start, and a thread stores what comes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tracing::{error, info, warn};

use super::hub::Settle;
use super::own_metrics::OwnMetrics;
use super::threads::{Prompt, pause};
use crate::clock::{Clock as _, SystemClock};
use crate::config::server::StoreConfig;
use crate::model::time::millis;
use crate::store::durable::{Limits, MetricsFile, Report, Restored, Writer, load};
use crate::store::embedded::EmbeddedStore;

/// Pause between two steps. With the time that a step takes, a killed process loses a second at most.
const STEP: Duration = Duration::from_millis(750);
/// A disk that takes nothing is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// When the process ends, steps are made until everything is stored, but not for longer than this.
const LAST_STEPS_TIME_MAX: Duration = Duration::from_secs(10);
/// For how long a change of alerts waits until the samples are stored from which it was judged. A disk that takes longer
/// must not hold up who is told of it.
const SETTLE_WAIT_MAX: Duration = Duration::from_millis(200);

/// How the samples on the disk stand.
#[derive(Debug, Default)]
pub struct Standing {
    durable: AtomicBool,
    trouble: ArcSwapOption<String>,
    damage: ArcSwapOption<String>,
}

impl Standing {
    /// Whether samples are stored, and could be the last time.
    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Relaxed) && self.trouble().is_none()
    }

    /// Why they cannot be stored, though they should be.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.load().as_deref().cloned()
    }

    /// What could not be read at the start.
    pub fn damage(&self) -> Option<String> {
        self.damage.load().as_deref().cloned()
    }
}

/// The settings that count from the next start on.
pub(super) fn settings(config: &StoreConfig) -> (Duration, bool, u64, usize) {
    (config.retention, config.durable, config.retention_size, config.max_series)
}

/// What the thread needs.
pub struct Samples {
    writer: Writer,
    standing: Arc<Standing>,
    metrics: OwnMetrics,
    clock: Arc<SystemClock>,
}

/// Puts back what was stored. Where that cannot be, alerts are worth more than old samples: the daemon runs without.
pub(super) fn open(
    data_dir: &Path,
    config: &StoreConfig,
    store: &Arc<EmbeddedStore>,
    metrics: &OwnMetrics,
    clock: &Arc<SystemClock>,
) -> (Arc<Standing>, Option<Samples>) {
    let standing = Arc::<Standing>::default();
    if !config.durable {
        return (standing, None);
    }
    standing.durable.store(true, Ordering::Relaxed);
    let begun = clock.monotonic();
    let restored = load(data_dir, store, clock.now(), &std::thread::sleep).unwrap_or_else(|error| {
        error!(%error, "Stored samples cannot be read; the store begins empty");
        Restored::default()
    });
    let took = clock.monotonic().saturating_sub(begun);
    if restored.series > 0 {
        let Restored { series, points, replayed, .. } = restored;
        info!(series, points, replayed, took_ms = took.as_millis(), "Samples restored");
    }
    if let Some(until) = restored.future {
        warn!(%until, "Stored samples were ahead of the clock; those that are still to come are dropped");
    }
    tell_damage(&restored, &standing, metrics);
    let limits = Limits { retention_ms: millis(config.retention), bytes_max: config.retention_size };
    let now = Arc::clone(clock);
    let file = MetricsFile::new(data_dir, Box::new(move || now.now()));
    let writer = Writer::new(Arc::clone(store), Box::new(file), limits, restored.start);
    let samples =
        Samples { writer, standing: Arc::clone(&standing), metrics: metrics.clone(), clock: Arc::clone(clock) };
    (standing, Some(samples))
}

fn tell_damage(restored: &Restored, standing: &Standing, metrics: &OwnMetrics) {
    let damage = &restored.damage;
    metrics.gauge("alertd_samples_damaged_rows", damage.rows as f64);
    metrics.samples_put_aside(damage.file);
    for told in &damage.told {
        error!(told, "Stored samples are damaged");
    }
    if damage.rows > 0 {
        let what = if damage.file { "metrics.db was damaged and is in quarantine/" } else { "see quarantine/" };
        let first = damage.told.first().map_or("", String::as_str);
        let text = format!("{} rows of stored samples could not be read at the start, {what}: {first}", damage.rows);
        standing.damage.store(Some(Arc::new(text)));
    }
}

impl Samples {
    /// Stores what comes, each second, until it is time to stop; then the rest.
    pub fn run(samples: &Mutex<Self>, stop: &Receiver<()>) {
        let locked = || samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stored = locked().step();
        while pause(stop, if stored { STEP } else { RETRY }) {
            stored = locked().step();
        }
        let mut samples = locked();
        let begun = samples.clock.monotonic();
        while samples.step() && !samples.writer.is_whole() {
            if samples.clock.monotonic().saturating_sub(begun) > LAST_STEPS_TIME_MAX {
                warn!("Not all samples could be stored before the end");
                break;
            }
        }
    }

    /// Stores what has come so far, before a state is stored that was judged from it: after a kill the state would know
    /// samples that the store does not, and older ones would fire or end alerts once more. Where the disk takes nothing
    /// this is left to [`Self::run`]. Whoever settles waits for `SETTLE_WAIT_MAX` at most; what takes longer is counted.
    pub fn settler(samples: &Arc<Mutex<Self>>, metrics: OwnMetrics) -> std::io::Result<Settle> {
        let samples = Arc::clone(samples);
        let prompt = Prompt::spawn("settle", move || {
            let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            if samples.standing.trouble().is_none() {
                samples.store(Writer::settle);
            }
        })?;
        Ok(Box::new(move || {
            if !prompt.ask(SETTLE_WAIT_MAX) {
                metrics.samples_unsettled();
            }
        }))
    }

    /// One step; whether it could store.
    fn step(&mut self) -> bool {
        self.store(Writer::step)
    }

    fn store(&mut self, work: impl FnOnce(&mut Writer, i64) -> Report) -> bool {
        let begun = self.clock.monotonic();
        let report = work(&mut self.writer, self.clock.now().0);
        if let Some(why) = &report.put_aside {
            error!(why, "What stood in the place of metrics.db is in quarantine; all samples are stored anew");
            self.metrics.samples_put_aside(true);
        }
        self.metrics.samples(&report, self.clock.monotonic().saturating_sub(begun));
        if report.left_out > 0 {
            warn!(samples = report.left_out, "Samples are in memory only until their page is stored");
        }
        let before = self.standing.trouble();
        match &report.error {
            None => {
                if before.is_some() {
                    self.standing.trouble.store(None);
                    info!("Samples are stored again");
                }
                true
            }
            Some(error) => {
                let text = error.to_string();
                if before.as_ref() != Some(&text) {
                    error!(%error, "Samples cannot be stored; they stay in memory");
                    self.standing.trouble.store(Some(Arc::new(text)));
                }
                false
            }
        }
    }
}
