//! Threads that end when they are told to, and the loops they run: evaluating at slots, saving the state.
//!
//! Place in the flow: the daemon and the library's monitor own [`Stopper`]s; dropping one ends its thread and waits for
//! it. Decides nothing about rules.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::hub::Hub;
use crate::clock::Clock;
use crate::model::Timestamp;

/// Longest sleep of an evaluator: a clock that is set is noticed within this time.
const NAP_MAX: Duration = Duration::from_millis(500);
/// Time from a change of alerts to its being written: a burst of changes is one write.
const SAVE_PAUSE: Duration = Duration::from_millis(200);
/// How often the state is written where no alert changes: detectors go on learning.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// Ends a thread when dropped, and waits for it.
pub struct Stopper {
    stop: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stopper {
    /// Starts a thread. What it is given disconnects when it is time to end.
    pub fn spawn(name: &str, work: impl FnOnce(Receiver<()>) + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panicked thread has printed its reason already.
            let _ = thread.join();
        }
    }
}

/// Waits; false when it is time to stop.
pub fn pause(stop: &Receiver<()>, wait: Duration) -> bool {
    matches!(stop.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
}

/// Works at every moment that `next` names, and at least every half second, until it is time to stop.
pub fn work_at_moments(
    clock: &dyn Clock,
    stop: &Receiver<()>,
    next: impl Fn() -> Option<Timestamp>,
    mut work: impl FnMut(),
) {
    loop {
        let now = clock.now();
        if !pause(stop, next().map_or(NAP_MAX, |moment| moment.since(now)).min(NAP_MAX)) {
            return;
        }
        work();
    }
}

/// Writes the state soon after alerts changed, so that a killed process tells nothing twice, and now and then anyway.
pub fn save_changes(hub: &Hub, file: &Path, stop: &Receiver<()>) {
    let mut waited = Duration::ZERO;
    while pause(stop, SAVE_PAUSE) {
        waited += SAVE_PAUSE;
        if hub.take_changed() || waited >= SAVE_INTERVAL {
            hub.save(file);
            waited = Duration::ZERO;
        }
    }
}
