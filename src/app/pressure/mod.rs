//! Want of memory: watched against every limit that holds for the process, and answered by turning work away before the
//! system ends the process. Samples go first, queries and the page next; rules, the state of alerts and messages go on.
//!
//! Place in the flow: a thread of the daemon reads and judges ([`readings`], [`judge`]); `http` asks what is turned away,
//! scraping what is still taken. Never ends anything that has begun.

pub mod judge;
pub mod readings;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tracing::{error, info};

use super::daemon::Daemon;
use super::hub::Hub;
use super::threads::{Stopper, pause};
use crate::http::body::ALL_BODIES_BYTES_MAX;
use crate::model::{Labels, Point, is_end_mark};
use crate::promql::{Matcher, SAMPLES_MAX_DEFAULT};
use crate::store::SeriesRef;
use crate::store::embedded::EmbeddedStore;
use judge::{Judge, Level, Use, tightest};
use readings::Places;
use room::Room;

/// How often memory is looked at: a burst must not fill in between what is kept free.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// The part of a limit that the bodies of requests may take together.
const BODIES_SHARE: u64 = 8;
/// Bytes of a limit for each sample that a query of a client may read.
const BYTES_PER_SAMPLE: u64 = 256;

/// How memory stands.
#[derive(Debug, Default)]
pub struct Pressure {
    level: AtomicU8,
    /// The least limit, 0 for none.
    max: AtomicU64,
    /// In words, while something is turned away.
    told: ArcSwapOption<String>,
    /// What rules read, while something is turned away.
    reads: ArcSwapOption<Reads>,
    /// What may be brought until the next reading.
    room: Room,
}

impl Pressure {
    /// What is turned away now.
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::Ingest,
            _ => Level::All,
        }
    }

    /// Why something is turned away, while it is.
    pub fn told(&self) -> Option<String> {
        self.told.load().as_deref().cloned()
    }

    /// What scraping is restricted to, while it is.
    pub fn reads(&self) -> Option<Arc<Reads>> {
        self.reads.load_full()
    }

    /// Whether a request may bring so many bytes of samples.
    pub fn admits(&self, bytes: u64) -> bool {
        self.room.admits(bytes)
    }

    /// Notes a reading: the least limit, and the room that is left.
    pub fn note(&self, uses: &[Use]) {
        self.room.read(uses);
        self.max.store(uses.iter().map(|one| one.max).min().unwrap_or(0), Ordering::Relaxed);
    }

    fn within(&self, most: usize, share: u64) -> usize {
        match self.max.load(Ordering::Relaxed) {
            0 => most,
            max => usize::try_from(max / share).unwrap_or(usize::MAX).min(most),
        }
    }

    /// Bytes that the bodies of requests may take together.
    pub fn bodies_bytes_max(&self) -> usize {
        self.within(ALL_BODIES_BYTES_MAX, BODIES_SHARE)
    }

    /// Samples that a query of a client may read.
    pub fn query_samples_max(&self) -> usize {
        self.within(SAMPLES_MAX_DEFAULT, BYTES_PER_SAMPLE)
    }
}

/// What the rules of a set read from the store.
#[derive(Debug, Default)]
pub struct Reads {
    /// Which set.
    generation: u64,
    /// Selectors by the name that they fix.
    named: BTreeMap<String, Vec<Arc<[Matcher]>>>,
    /// Those that fix none.
    others: Vec<Arc<[Matcher]>>,
}

impl Reads {
    fn of(hub: &Hub) -> Self {
        let core = hub.core();
        let mut reads = Self { generation: core.generation, ..Self::default() };
        for selector in core.engine.reads() {
            let matchers = Arc::clone(&selector.matchers);
            match &selector.name {
                Some(name) => reads.named.entry(name.to_string()).or_default().push(matchers),
                None => reads.others.push(matchers),
            }
        }
        reads
    }

    /// Whether a rule reads a series.
    pub fn holds(&self, labels: &Labels) -> bool {
        let named = labels.metric_name().and_then(|name| self.named.get(name));
        let mut selectors = named.into_iter().flatten().chain(&self.others);
        selectors.any(|matchers| matchers.iter().all(|matcher| matcher.matches_labels(labels)))
    }

    /// Of the points of known series those that a rule reads, and marks that end or silence one.
    pub fn of_points(&self, store: &EmbeddedStore, points: &[(SeriesRef, Point)]) -> Vec<(SeriesRef, Point)> {
        let read = |series: SeriesRef| store.labels_of(series).is_none_or(|labels| self.holds(&labels));
        points.iter().filter(|(series, point)| is_end_mark(point.value) || read(*series)).copied().collect()
    }
}

/// Starts to watch. The limits are known when this returns.
pub fn start(daemon: &Arc<Daemon>) -> std::io::Result<Stopper> {
    let places = Places::system();
    daemon.hub.pressure.note(&places.read(daemon.config.load().memory_max));
    let daemon = Arc::clone(daemon);
    Stopper::spawn("memory", move |stop| watch(&daemon.hub, &places, || daemon.config.load().memory_max, &stop))
}

/// Watches until it is time to stop; `memory_max` is the limit of the configuration in use.
fn watch(hub: &Hub, places: &Places, memory_max: impl Fn() -> u64, stop: &Receiver<()>) {
    let mut judge = Judge::default();
    loop {
        let uses = places.read(memory_max());
        hub.pressure.note(&uses);
        let level = judge.step(&uses, hub.clock.monotonic());
        tell(hub, &uses, level);
        if !pause(stop, WATCH_INTERVAL) {
            return;
        }
    }
}

/// Makes a level known to those who turn away, in metrics and in the log.
fn tell(hub: &Hub, uses: &[Use], level: Level) {
    let pressure = &hub.pressure;
    hub.metrics.memory(uses.iter().map(|one| (one.limit, one.used, one.max)), level as u8);
    let before = pressure.level();
    if level == Level::Calm {
        if before != Level::Calm {
            pressure.reads.store(None);
            pressure.told.store(None);
            pressure.level.store(level as u8, Ordering::Relaxed);
            info!("There is memory again: nothing is turned away");
        }
        return;
    }
    let generation = hub.core().generation;
    if pressure.reads.load().as_ref().is_none_or(|reads| reads.generation != generation) {
        pressure.reads.store(Some(Arc::new(Reads::of(hub))));
    }
    let what = match level {
        Level::All => "samples, queries and the page are turned away",
        Level::Ingest | Level::Calm => "samples are turned away",
    };
    let text = tightest(uses).map_or_else(
        || format!("memory is short, {what}"),
        |Use { limit, used, max, .. }| format!("memory is short, {what}: {used} of {max} bytes are used ({limit})"),
    );
    pressure.told.store(Some(Arc::new(text.clone())));
    pressure.level.store(level as u8, Ordering::Relaxed);
    if level > before {
        error!(reason = text, "Memory is short; rules and messages go on");
    } else if level < before {
        info!(reason = text, "There is more memory again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::MatchOp;

    #[test]
    fn what_rules_read_is_known_by_name_and_by_selectors_without_one() {
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let named: Arc<[Matcher]> =
            [matcher("__name__", MatchOp::Equal, "up"), matcher("job", MatchOp::Equal, "a")].into();
        let other: Arc<[Matcher]> = [matcher("__name__", MatchOp::Regex, "cpu_.*")].into();
        let reads = Reads { generation: 1, named: [("up".to_owned(), vec![named])].into(), others: vec![other] };
        for (name, job, want) in [("up", "a", true), ("up", "b", false), ("down", "a", false), ("cpu_idle", "x", true)]
        {
            assert_eq!(reads.holds(&Labels::from_pairs([("__name__", name), ("job", job)])), want, "{name} {job}");
        }
    }

    #[test]
    fn what_requests_may_take_shrinks_with_the_least_limit() {
        let pressure = Pressure::default();
        assert_eq!(pressure.bodies_bytes_max(), ALL_BODIES_BYTES_MAX);
        let limit = |mib: u64| Use { limit: "cgroup", used: 0, own: 0, max: mib << 20 };
        pressure.note(&[limit(1 << 20), limit(128)]);
        assert_eq!((pressure.bodies_bytes_max(), pressure.query_samples_max()), (16 << 20, 1 << 19));
        pressure.note(&[limit(1 << 20)]);
        assert_eq!(pressure.query_samples_max(), SAMPLES_MAX_DEFAULT);
    }
}
