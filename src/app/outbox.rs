//! Notices on their way to handlers: one bounded queue and one thread per handler, so that none waits for another.
//!
//! A handler tries once; this room tries again, with growing pauses, and gives up after a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, warn};

use crate::clock::Clock;
use crate::model::Notice;
use crate::notify::{Attempt, Failure, FailureClass, Handler, Outcome, Phase};
use crate::telemetry::Registry;

/// Notices that wait for one handler; above it the newest is refused and counted.
const QUEUE_MAX: usize = 10_000;
/// The first pause before another try; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often the end looks whether all is delivered.
const NAP: Duration = Duration::from_millis(5);
/// A notice is given up after this long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Hands notices to handlers.
pub struct Outbox {
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    queues: Mutex<BTreeMap<Arc<str>, SyncSender<Notice>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    waiting: Arc<Waiting>,
}

/// Counts notices between being taken and being delivered or given up.
#[derive(Default)]
struct Waiting {
    /// Held to count, never while delivering.
    count: Mutex<usize>,
    none: Condvar,
}

impl Waiting {
    fn more(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn fewer(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.none.notify_all();
        }
    }
}

impl Outbox {
    /// An outbox without handlers.
    pub fn new(clock: Arc<dyn Clock>, registry: Arc<Registry>) -> Self {
        Self { clock, registry, queues: Mutex::default(), threads: Mutex::default(), waiting: Arc::default() }
    }

    /// Takes another set of handlers; what waits for the ones before is still delivered by them.
    pub fn replace(&self, handlers: Vec<Arc<dyn Handler>>) -> std::io::Result<()> {
        let (mut queues, mut threads) = (BTreeMap::new(), Vec::new());
        for handler in handlers {
            let (sender, receiver) = sync_channel(QUEUE_MAX);
            queues.insert(Arc::from(handler.name()), sender);
            let (clock, registry) = (Arc::clone(&self.clock), Arc::clone(&self.registry));
            let waiting = Arc::clone(&self.waiting);
            let thread = std::thread::Builder::new().name(format!("deliver {}", handler.name())).spawn(move || {
                let deliver = Deliver { handler: &*handler, clock: &*clock, registry: &registry };
                deliver.run(&receiver, &waiting);
            })?;
            threads.push(thread);
        }
        *self.queues.lock().unwrap_or_else(PoisonError::into_inner) = queues;
        let mut all = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|thread| !thread.is_finished());
        all.extend(threads);
        Ok(())
    }

    /// Takes no more notices and waits, at most `grace`, until those taken are delivered.
    pub fn close(&self, grace: Duration) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // Counted in naps, because a simulated clock stands still while this waits.
        let naps = grace.as_millis() / NAP.as_millis();
        for _ in 0..naps {
            if threads.iter().all(JoinHandle::is_finished) {
                return;
            }
            std::thread::sleep(NAP);
        }
    }

    /// Waits, at most `grace`, until every notice taken so far is delivered or given up; false if some are not.
    pub fn settle(&self, grace: Duration) -> bool {
        let count = self.waiting.count.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = self.waiting.none.wait_timeout_while(count, grace, |count| *count > 0);
        *settled.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    /// Puts a notice into its handler's queue; never blocks.
    pub fn put(&self, notice: Notice) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queues.get(&notice.handler) else { return };
        self.waiting.more();
        if let Err(TrySendError::Full(notice) | TrySendError::Disconnected(notice)) = queue.try_send(notice) {
            drop(queues);
            self.waiting.fewer();
            self.dropped(&notice, "its queue is full");
        }
    }

    fn dropped(&self, notice: &Notice, reason: &str) {
        self.registry.counter("alertd_notices_dropped_total", &[("handler", &notice.handler)]).inc();
        error!(handler = %notice.handler, notice = %notice.id, reason, "A notice was lost");
    }
}

/// What one handler's thread works with.
struct Deliver<'a> {
    handler: &'a dyn Handler,
    clock: &'a dyn Clock,
    registry: &'a Registry,
}

impl Deliver<'_> {
    /// Delivers in order until the queue is closed.
    fn run(&self, queue: &Receiver<Notice>, waiting: &Waiting) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => Some(runtime),
            Err(error) => {
                error!(handler = self.handler.name(), %error, "A handler cannot be started");
                None
            }
        };
        for notice in queue {
            match &runtime {
                Some(runtime) => self.one(&notice, runtime),
                None => self.lost(&notice, "the handler could not be started"),
            }
            waiting.fewer();
        }
    }

    fn one(&self, notice: &Notice, runtime: &tokio::runtime::Runtime) {
        let handler = self.handler.name();
        let begun = self.clock.monotonic();
        let mut pause = RETRY_FIRST;
        let mut number = 0;
        loop {
            number += 1;
            match self.attempt(notice, number, runtime) {
                Outcome::Sent { .. } => return,
                Outcome::Retry { after, failure, .. } if self.clock.monotonic() - begun < GIVE_UP_AFTER => {
                    warn!(handler, notice = %notice.id, reason = %failure, "Delivery failed, trying again");
                    std::thread::sleep(after.unwrap_or_default().max(pause).min(RETRY_MAX));
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => {
                    return self.lost(notice, &failure.to_string());
                }
            }
        }
    }

    /// A fault in a handler costs its notice, not the handler's thread.
    fn attempt(&self, notice: &Notice, number: u32, runtime: &tokio::runtime::Runtime) -> Outcome {
        let attempt = Attempt { number, now: self.clock.now(), done: &[] };
        let send = || runtime.block_on(self.handler.send(notice, attempt));
        catch_unwind(AssertUnwindSafe(send)).unwrap_or_else(|_| Outcome::Rejected {
            failure: Failure {
                class: FailureClass::Internal,
                phase: Phase::Send,
                message: "internal error in the handler (a fault of alertd, please report it)".to_owned(),
                maybe_taken: true,
            },
        })
    }

    fn lost(&self, notice: &Notice, reason: &str) {
        let handler = self.handler.name();
        self.registry.counter("alertd_notices_dropped_total", &[("handler", handler)]).inc();
        error!(handler, notice = %notice.id, reason, "A notice was lost");
    }
}
