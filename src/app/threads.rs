//! Threads that end when they are told to, and the loop they run: work at moments.
//!
//! Place in the flow: the daemon and the library's monitor own [`Stopper`]s; dropping one ends its thread and waits for
//! it. Decides nothing about rules.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
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

/// Threads that the process may have running at one time: its cores, as far as the system says.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A thread that does one thing whenever it is asked to, for those who will not wait long for it.
pub struct Prompt(SyncSender<SyncSender<()>>);

impl Prompt {
    /// Starts a thread, which ends when nobody can ask it any more.
    pub fn spawn(name: &str, mut work: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let (ask, asked) = sync_channel::<SyncSender<()>>(1);
        let serve = move || {
            for done in asked {
                work();
                // Whoever asked may have gone on.
                let _ = done.try_send(());
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self(ask))
    }

    /// Has the thing done from its beginning; whether it was within a time. If not, it is done later all the same.
    pub fn ask(&self, within: Duration) -> bool {
        let (done, answer) = sync_channel(1);
        self.0.try_send(done).is_ok() && answer.recv_timeout(within).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_takes_long_goes_on_and_requests_do_not_pile_up() {
        let (go, gone) = channel::<()>();
        let (begin, begun) = channel();
        let (count, counted) = channel();
        let prompt = Prompt::spawn("prompt", move || {
            let _ = begin.send(());
            let _ = gone.recv();
            let _ = count.send(());
        });
        let prompt = prompt.unwrap();
        let patience = Duration::from_secs(60);
        assert!(!prompt.ask(Duration::from_millis(1)));
        begun.recv_timeout(patience).unwrap();
        for _ in 0..10 {
            assert!(!prompt.ask(Duration::from_millis(1)));
        }
        drop(go);
        // The one under way, the one that waits, and from then on each as it is asked.
        counted.recv_timeout(patience).unwrap();
        counted.recv_timeout(patience).unwrap();
        assert!(prompt.ask(patience));
        counted.recv_timeout(patience).unwrap();
        assert!(counted.try_recv().is_err());
    }
}
