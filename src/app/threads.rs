//! Threads that end when they are told to, and the loop they run: work at moments.
//!
//! Place in the flow: the daemon and the library's monitor own [`Stopper`]s; dropping one ends its thread and waits for
//! it. Decides nothing about rules.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};

use crate::clock::Clock;
use crate::model::Timestamp;

/// Longest sleep of an evaluator: a clock that is set is noticed within this time.
const NAP_MAX: Duration = Duration::from_millis(500);

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

/// A runtime for a thread that waits for one exchange at a time. Its end waits for nothing: the search for a name can
/// hang in the system for minutes, on a thread of the runtime that nothing can end.
pub struct Waiter {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Waiter {
    /// Starts it.
    pub fn new() -> std::io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("wait").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Waits for the end of something.
    pub fn block_on<F: Future>(&self, exchange: F) -> F::Output {
        self.handle.block_on(exchange)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
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
