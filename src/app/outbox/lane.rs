//! The task of one handler: takes notices, starts attempts, settles what became of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::ledger::{Instead, Settled, Settlement};
use super::status::Status;
use super::{MadeOf, QUEUE_MAX, Shared, Target};
use crate::model::time::millis;
use crate::model::{Notice, NoticeKind};
use crate::notify::delivery::{Entry, Next, Pushed, Queue, QueueSettings, Verdict, merged};
use crate::notify::{Attempt, Failure, FailureClass, Handler, Outcome, Phase};

/// How often notices of a handler that is gone are looked through.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long a lane that could not read its notices from the ledger waits before it tries again.
const REREAD_AFTER: Duration = Duration::from_secs(1);
/// What is said of a notice that nobody is told instead.
const NOT_DELIVERED: &str = "A notice could not be delivered; see `alertd outbox list`";
/// Added to a handler's own deadlines before an attempt is cut: a handler that keeps none holds its lane no longer.
const HUNG_AFTER: Duration = Duration::from_secs(300);

/// What a lane is told.
pub(super) enum Command {
    /// Deliver this.
    Put(Box<Entry>),
    /// Deliver through this; or there is no handler any more.
    Configure(Option<Box<Target>>),
    /// Try again now.
    Wake,
    /// Whether this one waits and is not under way.
    Waits(String, SyncSender<bool>),
    /// Forget this one; whether it waited.
    Remove(String, SyncSender<bool>),
}

/// What a turn of a lane without a task gave.
pub(super) struct Turn {
    pub came: Vec<Arc<Notice>>,
    pub starting: Vec<Entry>,
    pub wait: Duration,
}

/// The task of one handler.
pub(super) struct Lane {
    name: Arc<str>,
    shared: Arc<Shared>,
    handler: Option<Arc<dyn Handler>>,
    /// What the handler was made of last, though it be gone by now.
    made_of: Option<Arc<MadeOf>>,
    queue: Queue,
    commands: UnboundedReceiver<Command>,
    status: Arc<Status>,
    attempts: JoinSet<(String, Outcome)>,
    /// Notices that the queue has no room for wait in the ledger; not read before this time (steady clock).
    spilled: bool,
    reread_ms: i64,
    /// A merger was handed to the writer that must be in the ledger before the next attempt: without it a killed process
    /// would tell the parts after the whole.
    behind: bool,
    draws: u64,
    /// Notices that came since the last turn; noted by hand alone.
    pub(super) came: Option<Vec<Arc<Notice>>>,
}

impl Lane {
    pub(super) fn new(name: Arc<str>, shared: Arc<Shared>) -> (Self, UnboundedSender<Command>, Arc<Status>) {
        let (sender, commands) = unbounded_channel();
        let status = Arc::new(Status::default());
        let settings = QueueSettings {
            rate_limit: None,
            give_up_after: crate::config::handlers::GIVE_UP_AFTER,
            concurrency_max: 1,
            entries_max: QUEUE_MAX,
            digest: false,
        };
        let lane = Self {
            name,
            shared,
            handler: None,
            made_of: None,
            queue: Queue::new(settings),
            commands,
            status: Arc::clone(&status),
            attempts: JoinSet::new(),
            spilled: false,
            reread_ms: i64::MIN,
            behind: false,
            draws: 0,
            came: None,
        };
        (lane, sender, status)
    }

    /// The handler's name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Runs until nobody can give it commands any more.
    pub(super) async fn run(mut self) {
        loop {
            let reread = self.refill();
            let rest = self.start_attempts().min(reread);
            self.tell_status();
            tokio::select! {
                // Commands first: what was read from the ledger may stand in one of them as well.
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(done) = self.attempts.join_next() => match done {
                    Ok((id, outcome)) => self.settle(&id, outcome),
                    Err(error) => error!(handler = &*self.name, %error, "An attempt ended without an answer"),
                },
                () = sleep(rest) => self.look_through(),
            }
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.shared.steady.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    fn elapsed_ms(&self) -> i64 {
        self.shared.clock.at_slot(self.shared.clock.now()).elapsed_ms
    }

    /// Starts what may be started; how long until there is something to look at again.
    fn start_attempts(&mut self) -> Duration {
        let Some(handler) = self.handler.clone() else { return LOOK_INTERVAL };
        let (starting, wait) = self.starting(&*handler);
        for entry in starting {
            self.attempts.spawn(attempt(Arc::clone(&handler), entry, self.shared.clock.now()));
        }
        wait
    }

    /// What is to be tried now, claimed; and how long until there is something to look at again.
    fn starting(&mut self, handler: &dyn Handler) -> (Vec<Entry>, Duration) {
        let mut starting: Vec<Entry> = Vec::new();
        let wait = loop {
            if self.shared.closed.load(Ordering::Acquire) {
                break LOOK_INTERVAL;
            }
            match self.queue.next(self.now_ms()) {
                Next::Attempt(entry) => starting.push(*entry),
                Next::Digest { absorbed, told } => self.digested(absorbed, &told),
                Next::Wait(until_ms) => {
                    let wait_ms = u64::try_from(until_ms.saturating_sub(self.now_ms())).unwrap_or(0);
                    break LOOK_INTERVAL.min(Duration::from_millis(wait_ms));
                }
                Next::Idle => break LOOK_INTERVAL,
            }
        };
        if !starting.is_empty() {
            // What never leaves the process cannot have arrived unnoticed.
            let leaves = !matches!(handler.kind(), "console" | "program" | "canary");
            if leaves || std::mem::take(&mut self.behind) {
                let ids = starting.iter().map(|entry| entry.notice.id.clone()).collect();
                if !block_in_place(|| self.shared.writer.begin(ids, leaves)) {
                    self.shared.closed.store(true, Ordering::Release);
                    return (Vec::new(), LOOK_INTERVAL);
                }
            }
        }
        (starting, wait)
    }

    /// One turn without a task: takes what came, and gives what is new, what is to be tried, and how long until there is
    /// something to look at again.
    pub(super) fn turn(&mut self) -> Turn {
        self.hear();
        let came = self.came.as_mut().map(std::mem::take).unwrap_or_default();
        let reread = self.refill();
        let (starting, wait) = match self.handler.clone() {
            Some(handler) => self.starting(&*handler),
            None => (Vec::new(), LOOK_INTERVAL),
        };
        self.look_through();
        self.tell_status();
        Turn { came, starting, wait: wait.min(reread) }
    }

    /// Takes what came.
    pub(super) fn hear(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            if let (Command::Put(entry), Some(came)) = (&command, &mut self.came) {
                came.push(Arc::clone(&entry.notice));
            }
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        self.status.coming.fetch_sub(1, Ordering::AcqRel);
        match command {
            Command::Put(entry) => self.put(*entry),
            Command::Configure(Some(target)) => {
                self.queue.reconfigure(target.settings());
                // A changed handler is tried at once; one that is the same keeps the pauses that were asked for.
                if target.made_of.is_none() || target.made_of != self.made_of {
                    self.queue.wake();
                }
                self.made_of = target.made_of;
                self.handler = Some(target.handler);
            }
            Command::Configure(None) => {
                self.handler = None;
                if !self.queue.is_empty() {
                    warn!(handler = &*self.name, waiting = self.queue.len(), "Notices wait for a handler that is gone");
                }
            }
            Command::Wake => self.queue.wake(),
            Command::Waits(id, reply) => _ = reply.send(self.queue.waits(&id)),
            Command::Remove(id, reply) => {
                let removed = self.queue.remove(&id);
                if removed.is_some() {
                    self.shared.waiting.fewer();
                }
                _ = reply.send(removed.is_some());
            }
        }
    }

    fn put(&mut self, entry: Entry) {
        // While others wait in the ledger, this one must not overtake them.
        match self.spilled {
            true => self.shared.waiting.fewer(),
            false => self.admit(entry),
        }
    }

    /// Puts a notice into the queue, unless it is there or there is no room.
    fn admit(&mut self, entry: Entry) {
        if self.queue.holds(&entry.notice.id) {
            return self.shared.waiting.fewer();
        }
        match self.queue.push(entry) {
            Pushed::Waits => {}
            Pushed::Merged { absorbed, told } => self.merged(absorbed, &told),
            Pushed::Full => {
                self.shared.waiting.fewer();
                if !std::mem::replace(&mut self.spilled, true) {
                    let waiting = self.queue.len();
                    warn!(handler = &*self.name, waiting, "The queue is full; further notices wait on the disk");
                }
            }
        }
    }

    fn merged(&mut self, absorbed: Vec<Entry>, told: &Entry) {
        info!(handler = &*self.name, notice = %told.notice.id, with = absorbed.len(), "Notices are told as one");
        self.tells_too(told, absorbed);
    }

    fn digested(&mut self, absorbed: Vec<Entry>, told: &Entry) {
        let note = told.notice.note.as_deref().unwrap_or_default();
        warn!(handler = &*self.name, notice = %told.notice.id, with = absorbed.len(), note, "A storm is told as one");
        self.tells_too(told, absorbed);
    }

    /// Puts down that these are told with one.
    fn tells_too(&mut self, told: &Entry, absorbed: Vec<Entry>) {
        let (at, entry, count) = (self.shared.clock.now(), told.clone(), absorbed.len());
        self.shared.writer.settle(Settlement { at, entry, settled: Settled::TellsToo(absorbed) });
        (0..count).for_each(|_| {
            self.shared.metrics.merged(&self.name);
            self.shared.waiting.fewer();
        });
        self.behind = true;
    }

    pub(super) fn settle(&mut self, id: &str, outcome: Outcome) {
        let class = match &outcome {
            Outcome::Sent { .. } => "sent",
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => failure.class.as_str(),
        };
        self.shared.metrics.attempt(&self.name, class);
        let random = self.draw();
        let times = (self.now_ms(), self.elapsed_ms());
        let Some((entry, verdict)) = self.queue.settle(id, outcome, times, random) else { return };
        let at = self.shared.clock.now();
        let settled = match verdict {
            Verdict::Delivered { answer, refused } => {
                for part in &refused {
                    warn!(handler = &*self.name, notice = id, refused = part, "A recipient was refused");
                }
                let took = at.since(entry.notice.news_at());
                self.shared.metrics.delivered(&self.name, took);
                Settled::Delivered { answer, refused }
            }
            Verdict::Retry { failure, .. } => {
                warn!(handler = &*self.name, notice = id, attempt = entry.attempts, reason = %failure, "Delivery failed, trying again");
                // Every power of two: a receiver that is away for a day is told of a dozen times, not a thousand.
                let news = entry.attempts.is_power_of_two();
                Settled::Failed { failure, news }
            }
            Verdict::Dead { failure, .. } => self.dead(&entry, failure),
        };
        self.put_down(at, entry, settled);
    }

    /// Puts down what became of a notice; whoever is told instead is told then. It waits no more only behind that:
    /// whoever waited for it finds its ending in the ledger.
    fn put_down(&mut self, at: crate::model::Timestamp, entry: Entry, settled: Settled) {
        let over = !matches!(settled, Settled::Failed { .. });
        let instead = match &settled {
            Settled::Dead { instead: Some(instead), .. } => Some((instead.entry.clone(), instead.stand_in.place())),
            _ => None,
        };
        self.shared.writer.settle(Settlement { at, entry, settled });
        if let Some((entry, place)) = instead {
            // A killed process must know that somebody else is told.
            block_in_place(|| self.shared.writer.begin(vec![entry.notice.id.clone()], false));
            self.shared.take(entry);
            self.shared.fallbacks.arrived(&place);
        }
        if over {
            self.shared.waiting.fewer();
        }
    }

    fn dead(&mut self, entry: &Entry, failure: Failure) -> Settled {
        self.shared.metrics.dead(&self.name);
        // That somebody looks after it is no news for whoever may not have heard of it.
        if entry.notice.kind == NoticeKind::Acknowledged {
            error!(handler = &*self.name, notice = %entry.notice.id, reason = %failure, "{NOT_DELIVERED}");
            return Settled::Dead { failure, instead: None, with: Vec::new() };
        }
        // What came meanwhile is to be told with it.
        self.hear();
        // Whoever is told instead hears at once how it went on: what waits here may say that it is over.
        let fallback = self.shared.fallbacks.of(&entry.notice.handler, &entry.tried);
        let with = fallback.map(|fallback| self.queue.tell_beside(&entry.notice.group.key, &fallback));
        let with = with.unwrap_or_default();
        let whole = with.iter().fold(Arc::clone(&entry.notice), |told, next| Arc::new(merged(&told, &next.notice)));
        let instead = self.shared.fallbacks.instead(&whole, &entry.tried, &failure.to_string());
        match &instead {
            Some((copy, _)) => warn!(
                handler = &*self.name, notice = %entry.notice.id, reason = %failure, fallback = %copy.handler,
                "A notice could not be delivered; its fallback is told"
            ),
            None => error!(handler = &*self.name, notice = %entry.notice.id, reason = %failure, "{NOT_DELIVERED}"),
        }
        let instead = instead.map(|(copy, stand_in)| {
            let mut tried = entry.tried.clone();
            tried.push(entry.notice.handler.clone());
            Box::new(Instead { entry: Entry { tried, ..Entry::new(copy, self.elapsed_ms()) }, stand_in })
        });
        Settled::Dead { failure, instead, with }
    }

    /// Takes notices from the ledger when there is room again; how long until it is worth looking.
    fn refill(&mut self) -> Duration {
        if !self.spilled || self.queue.len() > QUEUE_MAX / 2 {
            return LOOK_INTERVAL;
        }
        let now_ms = self.now_ms();
        if now_ms < self.reread_ms {
            return Duration::from_millis(self.reread_ms.abs_diff(now_ms));
        }
        // Those that were told to this lane and are in the ledger are read there.
        self.hear();
        let read = block_in_place(|| {
            // What was delivered a moment ago must not be read as waiting.
            self.shared.writer.flush();
            self.shared.ledger.pending(&self.name, QUEUE_MAX)
        });
        let pending = match read {
            Ok(pending) => pending,
            Err(error) => {
                warn!(handler = &*self.name, error, "Notices that wait on the disk cannot be read; trying again");
                self.reread_ms = now_ms.saturating_add(millis(REREAD_AFTER));
                return REREAD_AFTER;
            }
        };
        let room = pending.stored.into_iter().all(|stored| {
            self.shared.waiting.more();
            self.admit(stored.entry);
            self.queue.len() < QUEUE_MAX
        });
        self.spilled = pending.more || !room;
        LOOK_INTERVAL
    }

    /// Gives up what has waited too long for a handler that does not exist.
    fn look_through(&mut self) {
        if self.handler.is_some() {
            return;
        }
        let at = self.shared.clock.now();
        for entry in self.queue.expired(self.elapsed_ms()) {
            let failure = Failure {
                class: FailureClass::Config,
                phase: Phase::Send,
                message: "there is no handler of this name any more".to_owned(),
                maybe_taken: entry.maybe_taken,
            };
            let settled = self.dead(&entry, failure);
            self.put_down(at, entry, settled);
        }
    }

    /// A number from 0 to 1.
    fn draw(&mut self) -> f64 {
        self.draws += 1;
        crate::net::fraction(self.shared.random.hash_one((&self.name, self.draws)))
    }

    fn tell_status(&self) {
        self.status.depth.store(self.queue.len(), Ordering::Release);
        self.status.in_flight.store(self.queue.in_flight(), Ordering::Release);
        self.status.failing.store(self.queue.is_failing() || self.handler.is_none(), Ordering::Release);
        self.status.oldest_ms.store(self.queue.oldest_ms().unwrap_or(i64::MAX), Ordering::Release);
    }
}

/// One attempt. A fault in a handler costs its notice, not the lane.
async fn attempt(handler: Arc<dyn Handler>, entry: Entry, now: crate::model::Timestamp) -> (String, Outcome) {
    let id = entry.notice.id.clone();
    let internal = |message: &str| Failure {
        class: FailureClass::Internal,
        phase: Phase::Send,
        message: message.to_owned(),
        maybe_taken: true,
    };
    let sending = async {
        let attempt = Attempt { number: entry.attempts, now, done: &entry.done };
        handler.send(&entry.notice, attempt).await
    };
    let outcome = match tokio::time::timeout(HUNG_AFTER, AssertUnwindSafe(sending).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Rejected {
            failure: internal("internal error in the handler (a fault of alertd, please report it)"),
        },
        Err(_) => {
            let failure = internal("the handler kept no deadline");
            Outcome::Retry { after: None, failure, done: entry.done.clone() }
        }
    };
    (id, outcome)
}
