//! A monitor whose time is moved by hand: the same one, with a clock that stands still in between.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::monitor::Monitor;
use crate::clock::SimulatedClock;
use crate::model::{Timestamp, Transition};

/// How long a step waits for receivers.
const SETTLE_GRACE: Duration = Duration::from_secs(5);

/// A [`Monitor`] (it has all its methods) that evaluates only when it is told to: hours of alerting in milliseconds,
/// the same at every run.
///
/// ```
/// use std::time::Duration;
/// use alertd::embed::{Monitor, Timestamp, TransitionKind};
///
/// let start = Timestamp::from_secs(0);
/// let monitor = Monitor::builder()
///     .rules_text("disk.yaml", "rules: [{name: disk_full, metric: disk.percent, threshold: '> 95', for: 1h}]")
///     .stepped(start)?;
/// monitor.gauge("disk.percent", &[("mount", "/")]).set(97.0);
///
/// let changes = monitor.run_until(start.plus(Duration::from_secs(2 * 3600)));
/// let kinds: Vec<_> = changes.iter().map(|c| (c.kind, c.at.to_string())).collect();
/// assert_eq!(kinds, [
///     (TransitionKind::Pending, "1970-01-01T00:00:15Z".to_owned()),
///     (TransitionKind::Fired, "1970-01-01T01:00:15Z".to_owned()),
/// ]);
/// # Ok::<(), alertd::embed::BuildError>(())
/// ```
pub struct SteppedMonitor {
    monitor: Monitor,
    clock: Arc<SimulatedClock>,
}

impl SteppedMonitor {
    pub(super) fn new(monitor: Monitor, clock: Arc<SimulatedClock>) -> Self {
        Self { monitor, clock }
    }

    /// Sets the time to `now`, records the registry, evaluates what is due, and waits until receivers were told. Gives
    /// what changed, pending alerts included.
    ///
    /// Slots between the last step and this one count as missed, as in a process that was held up; to go through them
    /// one by one use [`Self::run_until`]. Time does not go back: an earlier `now` changes nothing. Must not be called
    /// from a receiver: it would wait for itself, until after five seconds it gives up.
    pub fn step(&self, now: Timestamp) -> Vec<Arc<Transition>> {
        self.clock.set(now.max(self.monitor.now()));
        let changes = self.monitor.heart.beat();
        self.monitor.heart.hub.outbox.settle(SETTLE_GRACE);
        changes
    }

    /// Steps through every slot up to and including `end`; what changed, in order.
    pub fn run_until(&self, end: Timestamp) -> Vec<Arc<Transition>> {
        let mut changes = Vec::new();
        while let Some(next) = self.monitor.heart.next().filter(|next| *next <= end) {
            changes.extend(self.step(next));
        }
        changes.extend(self.step(end));
        changes
    }
}

impl Deref for SteppedMonitor {
    type Target = Monitor;

    fn deref(&self) -> &Monitor {
        &self.monitor
    }
}
