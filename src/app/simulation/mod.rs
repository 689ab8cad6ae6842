//! A whole installation in simulated time: the hub of the daemon with its core, keeper and outbox, on a clock that is
//! moved by hand, with receivers that are simulated.
//!
//! Place in the flow: tests of whole installations play on a [`Stage`]. It evaluates, stores, tells and delivers with the
//! daemon's own code; nothing goes on beside it, it opens nothing and waits for no time, so that equal inputs give equal
//! outputs.

mod clock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use clock::StagedClock;

use super::hub::{Hub, Parts};
use super::keeper::Keeper;
use super::outbox::Target;
use super::outbox::hand::Lanes;
use super::own_metrics::OwnMetrics;
use super::waiting::{Dropped, Meant, WaitingError};
use crate::clock::Clock as _;
use crate::engine::EngineOptions;
use crate::model::time::millis;
use crate::model::{Notice, Timestamp, Transition};
use crate::notify::delivery::Entry;
use crate::notify::{Attempt, Handler, Outcome, Preview, Sending};
use crate::persist::Persist;
use crate::route::Routes;
use crate::rule::Rule;
use crate::store::embedded::EmbeddedStore;
use crate::telemetry::Registry;

/// Most turns at one instant; beyond them time goes on all the same.
const TURNS_MAX: usize = 10_000;
/// Least time between two instants: what is due now and cannot be done now is looked at again then.
const TICK: Duration = Duration::from_millis(1);

/// Those who are told, and whoever looks on.
pub trait Audience {
    /// Alerts changed.
    fn changed(&mut self, transitions: &[Arc<Transition>], now: Timestamp);

    /// Something is to be told: notices came to their handlers' queues, never none.
    fn decided(&mut self, notices: &[Arc<Notice>], now: Timestamp);

    /// An attempt is begun: what becomes of it, and after how long.
    fn attempt(&mut self, entry: &Entry, now: Timestamp) -> Answer;
}

/// What becomes of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How long until whoever sends knows.
    pub after: Duration,
    /// What it then knows.
    pub outcome: Outcome,
}

/// What an installation is made of beside its files.
pub struct Machine {
    /// Its clocks.
    pub clock: Arc<StagedClock>,
    /// Its samples.
    pub store: Arc<EmbeddedStore>,
    /// What outlives the process.
    pub persist: Arc<dyn Persist>,
    /// Decides on the jitter of pauses.
    pub seed: u64,
}

/// One process on a simulated machine. Dropping it is a crash.
pub struct Stage {
    /// The clocks.
    pub clock: Arc<StagedClock>,
    /// Everything else.
    pub hub: Hub,
    lanes: Lanes,
    /// Attempts under way: when they are answered (steady clock) and in which order they began; handler, notice, answer.
    flying: BTreeMap<(i64, u64), (Arc<str>, String, Outcome)>,
    begun: u64,
    /// When there is something to do next at the lanes (steady clock).
    lanes_ms: i64,
}

/// Stands for a handler of a name and type; it is never asked to send.
struct Seat {
    name: Arc<str>,
    kind: &'static str,
}

impl Handler for Seat {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn preview(&self, _notice: &Notice) -> Preview {
        Preview::default()
    }

    fn send<'a>(&'a self, _notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        Box::pin(std::future::ready(Outcome::sent("nobody asked")))
    }
}

/// The handlers of a configuration, with what they do about messages that do not get through, and simulated receivers.
pub fn seats(handlers: &[crate::config::Handler]) -> Vec<Target> {
    let seat = |handler: &crate::config::Handler| {
        // To the outbox all that leave the process are alike.
        let kind = match &handler.kind {
            crate::config::HandlerKind::Console { .. } => "console",
            crate::config::HandlerKind::Smtp(_) => "smtp",
            _ => "webhook",
        };
        let made_of = super::outbox::MadeOf { external_url: String::new(), config: handler.clone() };
        Target {
            handler: Arc::new(Seat { name: handler.name.clone(), kind }),
            delivery: handler.delivery.clone(),
            made_of: Some(Arc::new(made_of)),
        }
    };
    handlers.iter().filter(|handler| handler.is_told()).map(seat).collect()
}

impl Stage {
    /// A process starts: it goes on from what the machine has stored. It has no rules yet.
    pub fn start(machine: Machine, options: EngineOptions) -> Self {
        let Machine { clock, store, persist, seed } = machine;
        let metrics = OwnMetrics::new(Arc::new(Registry::new()));
        let (keeper, restored) = Keeper::over(persist, metrics.clone());
        let parts = Parts { clock: Arc::clone(&clock) as _, store, metrics, keeper };
        let hub = Hub::by_hand(parts, options, seed);
        hub.restore(restored);
        let lanes = Lanes::default();
        Self { clock, hub, lanes, flying: BTreeMap::new(), begun: 0, lanes_ms: i64::MIN }
    }

    /// Takes rules, routes and handlers.
    pub fn take(&mut self, rules: Vec<Rule>, routes: Routes, targets: Vec<Target>) {
        self.hub.outbox.replace(targets);
        self.hub.replace(rules, routes);
    }

    /// Lets time pass: everything happens that is due from now to the end of the span, which itself is not included.
    pub fn pass(&mut self, span: Duration, audience: &mut dyn Audience) {
        let end_ms = self.clock.steady_ms().saturating_add(millis(span));
        loop {
            self.act(audience);
            let now_ms = self.clock.steady_ms();
            let next_ms = self.next_ms().max(now_ms.saturating_add(millis(TICK))).min(end_ms);
            self.clock.pass(Duration::from_millis(next_ms.abs_diff(now_ms)));
            if next_ms >= end_ms {
                return;
            }
        }
    }

    /// Does everything that is due now.
    pub fn act(&mut self, audience: &mut dyn Audience) {
        for _ in 0..TURNS_MAX {
            let changed = self.hub.run_due();
            let now = self.clock.now();
            if !changed.is_empty() {
                audience.changed(&changed, now);
            }
            let delivers = self.deliver(audience);
            if !delivers && changed.is_empty() {
                return;
            }
        }
    }

    /// One turn of the deliveries alone: what was decided on is heard of and tried. Whether there was anything.
    pub fn deliver(&mut self, audience: &mut dyn Audience) -> bool {
        let now = self.clock.now();
        let answered = self.answers();
        let turn = self.lanes.turn(&self.hub.outbox);
        if !turn.came.is_empty() {
            audience.decided(&turn.came, now);
        }
        let now_ms = self.clock.steady_ms();
        self.lanes_ms = now_ms.saturating_add(millis(turn.wait));
        let busy = answered || !turn.came.is_empty() || !turn.attempts.is_empty();
        for entry in turn.attempts {
            let Answer { after, outcome } = audience.attempt(&entry, now);
            self.begun += 1;
            let at = (now_ms.saturating_add(millis(after)), self.begun);
            self.flying.insert(at, (entry.notice.handler.clone(), entry.notice.id.clone(), outcome));
        }
        busy
    }

    /// Has notices removed, as the API does: whoever asks waits for the answer of the lanes.
    pub fn drop_notices(&mut self, meant: &Meant) -> Result<Dropped, WaitingError> {
        let (hub, lanes) = (&self.hub, &mut self.lanes);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| hub.drop_notices(meant));
            while !asked.is_finished() {
                lanes.hear(&hub.outbox);
                std::thread::yield_now();
            }
            asked.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
        })
    }

    /// Whether nothing is under way and nothing waits at any handler.
    pub fn is_quiet(&self) -> bool {
        self.flying.is_empty() && self.hub.outbox.status().iter().all(|(_, lane)| lane.depth == 0)
    }

    /// Tells the lanes what became of attempts that are answered by now.
    fn answers(&mut self) -> bool {
        let now_ms = self.clock.steady_ms();
        let mut any = false;
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= now_ms) {
            let (handler, id, outcome) = first.remove();
            self.lanes.answer(&handler, &id, outcome);
            any = true;
        }
        any
    }

    /// When (steady clock) something is due next.
    fn next_ms(&self) -> i64 {
        let (wall, steady_ms) = (self.clock.now(), self.clock.steady_ms());
        let moment = self.hub.next_moment().map(|at| steady_ms.saturating_add(at.0.saturating_sub(wall.0)));
        let answer = self.flying.keys().next().map(|(at_ms, _)| *at_ms);
        moment.into_iter().chain(answer).min().unwrap_or(i64::MAX).min(self.lanes_ms)
    }
}
