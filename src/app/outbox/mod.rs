//! Notices on their way to handlers: one queue and one task per handler, so that none waits for another.
//!
//! Place in the flow: takes notices that the core has committed, has them delivered, and puts down what became of them.
//! What is decided (order, retry, merging, giving up) stands in [`notify::delivery`](crate::notify::delivery); here are
//! the tasks, the clock and the [`Ledger`].

mod fallback;
pub mod hand;
mod lane;
mod ledger;
mod status;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;

use fallback::{ByGroup, keep_open};
pub use fallback::{Fallbacks, Place, StandIn};
use lane::{Command, Lane};
pub use ledger::{Instead, Ledger, MemoryLedger, Pending, Settled, Settlement, Stored};
pub use status::Snapshot;

use super::own_metrics::OwnMetrics;
use crate::clock::{Clock, SystemClock};
use crate::config::Delivery;
use crate::model::{Notice, Now};
use crate::notify::Handler;
use crate::notify::delivery::{Entry, QueueSettings};
use crate::route::{Router, Routes};

/// Notices of one handler held in memory; what is beyond waits in the ledger.
const QUEUE_MAX: usize = 10_000;
/// How often the end looks whether all is delivered.
const NAP: Duration = Duration::from_millis(5);
/// How long a lane may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Threads of delivery.
const THREADS: usize = 2;

/// A handler and what is done about a message that does not get through.
#[derive(Clone)]
pub struct Target {
    /// Tries once.
    pub handler: Arc<dyn Handler>,
    /// Retry, rate, fallback.
    pub delivery: Delivery,
    /// What it was made of, where that is known.
    pub made_of: Option<Arc<MadeOf>>,
}

/// All settings of a handler: one that is made of the same is the same.
#[derive(Debug, PartialEq, Eq)]
pub struct MadeOf {
    /// How people reach this server.
    pub external_url: String,
    /// What the handler files say of it.
    pub config: crate::config::Handler,
}

impl Target {
    /// A handler with the defaults.
    pub fn new(handler: Arc<dyn Handler>) -> Self {
        Self { handler, delivery: Delivery::default(), made_of: None }
    }

    fn settings(&self) -> QueueSettings {
        // What is printed keeps its order as a whole; over the network some messages are under way at once.
        let concurrency_max = match self.handler.kind() {
            "webhook" => 4,
            "smtp" => 2,
            _ => 1,
        };
        QueueSettings {
            rate_limit: self.delivery.rate_limit.map(|limit| (limit.count, limit.per)),
            give_up_after: self.delivery.give_up_after,
            concurrency_max,
            entries_max: QUEUE_MAX,
            digest: self.delivery.digest,
        }
    }
}

/// Hands notices to handlers.
pub struct Outbox {
    shared: Arc<Shared>,
    /// Taken out at the end.
    runtime: Mutex<Option<Runtime>>,
}

/// The way to a lane's task.
struct Line {
    commands: UnboundedSender<Command>,
    status: Arc<status::Status>,
}

impl Line {
    /// Whether the lane will hear of it.
    fn send(&self, command: Command) -> bool {
        self.status.coming.fetch_add(1, Ordering::AcqRel);
        let sent = self.commands.send(command).is_ok();
        if !sent {
            self.status.coming.fetch_sub(1, Ordering::AcqRel);
        }
        sent
    }
}

/// What all lanes share.
pub(super) struct Shared {
    pub clock: Arc<dyn Clock>,
    pub metrics: OwnMetrics,
    pub ledger: Arc<dyn Ledger>,
    /// Puts endings into the ledger.
    pub writer: writer::Writer,
    pub fallbacks: Fallbacks,
    /// Held to find a lane or to begin one.
    lanes: Mutex<BTreeMap<Arc<str>, Line>>,
    /// Where lanes run; without it somebody runs them by hand.
    runtime: Option<tokio::runtime::Handle>,
    /// Lanes that were begun and that nobody runs yet.
    begun: Mutex<Vec<Lane>>,
    /// What pauses are measured by: real time, whatever the clock of the core, because receivers and the network know no
    /// other. By hand it is the clock of the core.
    steady: Arc<dyn Clock>,
    /// Where the jitter of pauses comes from.
    random: ahash::RandomState,
    waiting: Waiting,
    /// No new attempts are begun.
    pub closed: AtomicBool,
}

impl Shared {
    fn new(
        (clock, steady): (Arc<dyn Clock>, Arc<dyn Clock>),
        metrics: OwnMetrics,
        (ledger, writer): (Arc<dyn Ledger>, writer::Writer),
        random: ahash::RandomState,
    ) -> Self {
        Self {
            clock,
            metrics,
            ledger,
            writer,
            fallbacks: Fallbacks::default(),
            lanes: Mutex::default(),
            runtime: None,
            begun: Mutex::default(),
            steady,
            random,
            waiting: Waiting::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The lane of a handler, begun if there is none.
    fn line<'a>(self: &Arc<Self>, lanes: &'a mut BTreeMap<Arc<str>, Line>, name: &Arc<str>) -> &'a Line {
        lanes.entry(name.clone()).or_insert_with(|| {
            let (mut lane, commands, status) = Lane::new(name.clone(), Arc::clone(self));
            match &self.runtime {
                Some(runtime) => _ = runtime.spawn(lane.run()),
                None => {
                    lane.came = Some(Vec::new());
                    lock(&self.begun).push(lane);
                }
            }
            Line { commands, status }
        })
    }

    /// Puts a notice into its handler's queue; never blocks.
    pub(super) fn take(self: &Arc<Self>, entry: Entry) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let mut lanes = lock(&self.lanes);
        let line = self.line(&mut lanes, &entry.notice.handler.clone());
        self.waiting.more();
        if !line.send(Command::Put(Box::new(entry))) {
            self.waiting.fewer();
        }
    }
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
        *lock(&self.count) += 1;
    }

    fn fewer(&self) {
        let mut count = lock(&self.count);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.none.notify_all();
        }
    }
}

impl Outbox {
    /// An outbox without handlers.
    pub fn new(clock: Arc<dyn Clock>, metrics: OwnMetrics, ledger: Arc<dyn Ledger>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("deliver")
            .enable_all()
            .build()?;
        let writer = writer::Writer::new(Arc::clone(&ledger))?;
        let steady: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let shared = Shared {
            runtime: Some(runtime.handle().clone()),
            ..Shared::new((clock, steady), metrics, (ledger, writer), ahash::RandomState::new())
        };
        Ok(Self { shared: Arc::new(shared), runtime: Mutex::new(Some(runtime)) })
    }

    /// An outbox without threads, tasks and real time: somebody runs its [`Lanes`](hand::Lanes) by hand. Equal seeds give
    /// equal pauses on one machine.
    pub fn by_hand(clock: Arc<dyn Clock>, metrics: OwnMetrics, ledger: Arc<dyn Ledger>, seed: u64) -> Self {
        let writer = writer::Writer::at_once(Arc::clone(&ledger));
        let random = ahash::RandomState::with_seeds(seed, 1, 2, 3);
        let shared = Shared::new((Arc::clone(&clock), clock), metrics, (ledger, writer), random);
        Self { shared: Arc::new(shared), runtime: Mutex::default() }
    }

    /// Takes another set of handlers. What waits for a handler of the same name goes on waiting for that; what waits
    /// for one that is gone waits for its return, until it is given up.
    pub fn replace(&self, targets: Vec<Target>) {
        let fallbacks = targets.iter().filter_map(|t| Some((t.handler.name(), t.delivery.fallback.clone()?)));
        self.shared.fallbacks.configure(fallbacks);
        let mut lanes = lock(&self.shared.lanes);
        for (name, line) in lanes.iter() {
            if !targets.iter().any(|t| *t.handler.name() == **name) {
                line.send(Command::Configure(None));
            }
        }
        for target in targets {
            let name: Arc<str> = Arc::from(target.handler.name());
            self.shared.metrics.handler(&name);
            self.shared.line(&mut lanes, &name).send(Command::Configure(Some(Box::new(target))));
        }
    }

    /// Takes what an earlier process left.
    pub fn restore(&self, stored: Vec<Stored>) {
        for stored in stored {
            self.shared.take(stored.entry);
        }
    }

    /// Fallback handlers, and what they were told of.
    pub fn fallbacks(&self) -> &Fallbacks {
        &self.shared.fallbacks
    }

    /// Puts a notice into its handler's queue; never blocks.
    pub fn put(&self, notice: Arc<Notice>) {
        let now = self.shared.clock.at_slot(self.shared.clock.now());
        let tried = self.shared.fallbacks.copied(&notice.id);
        self.shared.take(Entry { tried, ..Entry::new(notice, now.elapsed_ms) });
    }

    /// The notices, copies for fallback handlers that were told of the same group, and ends that these hear of alone.
    pub fn with_fallbacks(
        &self,
        notices: Vec<Notice>,
        (router, routes): (&Router, &Routes),
        now: Now,
    ) -> Vec<Arc<Notice>> {
        let told: Vec<Arc<Notice>> = notices.into_iter().map(Arc::new).collect();
        let fallbacks = &self.shared.fallbacks;
        fallbacks.begin(&told, router);
        if fallbacks.is_idle() {
            return told;
        }
        let mut by_group = ByGroup::of(&told);
        let mut all = Vec::with_capacity(told.len());
        for notice in told {
            let copy = fallbacks.copy(&notice);
            all.push(notice);
            // One that is told the same itself need not hear it twice.
            let Some(mut copy) = copy.filter(|copy| !by_group.says(copy)) else { continue };
            keep_open(&mut copy, (router, routes), now);
            let copy = Arc::new(copy);
            by_group.put(&copy);
            all.push(copy);
        }
        all.extend(fallbacks.ends((router, routes), &by_group, now).into_iter().map(Arc::new));
        all
    }

    /// Tries everything that waits for a handler now.
    pub fn wake(&self, handler: &str) {
        if let Some(line) = lock(&self.shared.lanes).get(handler) {
            line.send(Command::Wake);
        }
    }

    /// Whether a notice waits in its queue and is not under way. Must not be called on a thread of the delivery.
    pub fn waits(&self, handler: &str, id: &str) -> bool {
        self.ask(handler, |reply| Command::Waits(id.to_owned(), reply))
    }

    /// Takes a waiting notice out of its queue; whether it was there. Must not be called on a thread of the delivery.
    pub fn remove(&self, handler: &str, id: &str) -> bool {
        self.ask(handler, |reply| Command::Remove(id.to_owned(), reply))
    }

    /// No, where there is no answer in time.
    fn ask(&self, handler: &str, question: impl FnOnce(SyncSender<bool>) -> Command) -> bool {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let sent = lock(&self.shared.lanes).get(handler).is_some_and(|line| line.send(question(reply)));
        sent && answer.recv_timeout(ANSWER_MAX).unwrap_or(false)
    }

    /// Every handler and what waits for it.
    pub fn status(&self) -> Vec<(Arc<str>, Snapshot)> {
        let now = self.shared.clock.at_slot(self.shared.clock.now());
        let lanes = lock(&self.shared.lanes);
        lanes.iter().map(|(name, line)| (name.clone(), line.status.snapshot(now.elapsed_ms))).collect()
    }

    /// Takes no more notices and waits, at most `grace`, until those taken are delivered. What a failing or slow
    /// handler has left by then stays in the ledger.
    pub fn close(&self, grace: Duration) {
        // Counted in naps, because a simulated clock stands still while this waits.
        for _ in 0..grace.as_millis() / NAP.as_millis() {
            if lock(&self.shared.lanes).values().all(|line| line.status.is_quiet()) {
                break;
            }
            std::thread::sleep(NAP);
        }
        self.end();
    }

    /// Begins no attempt any more, at once; what waits stays in the ledger for whoever goes on from it.
    pub fn halt(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    /// Begins no attempt any more, and waits, at most `grace`, for the answers to those that are under way.
    pub fn finish(&self, grace: Duration) {
        self.halt();
        for _ in 0..grace.as_millis() / NAP.as_millis() {
            if lock(&self.shared.lanes).values().all(|line| line.status.is_idle()) {
                break;
            }
            std::thread::sleep(NAP);
        }
        self.end();
    }

    fn end(&self) {
        self.shared.closed.store(true, Ordering::Release);
        // Lanes end when nobody can give them commands any more.
        lock(&self.shared.lanes).clear();
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
        self.shared.writer.close();
    }

    /// Waits until what became of notices so far is in the ledger. Must not be called by the ledger.
    pub fn flush(&self) {
        self.shared.writer.flush();
    }

    /// Waits, at most `grace`, until every notice taken so far is delivered or given up; false if some are not.
    pub fn settle(&self, grace: Duration) -> bool {
        let count = lock(&self.shared.waiting.count);
        let settled = self.shared.waiting.none.wait_timeout_while(count, grace, |count| *count > 0);
        *settled.unwrap_or_else(PoisonError::into_inner).0 == 0
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
