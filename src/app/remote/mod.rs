//! Rules on remote stores: who asks them, and how their answers come back to the core.
//!
//! Place in the flow: the hub hands a slot's rules on remote stores to the [`Desk`], which has the stores asked on a
//! runtime of its own and steps each rule as soon as it has its answers. The evaluator never waits for a store, and no
//! store for another. What is asked, and what an answer means, the engine says.

mod desk;
pub mod source;
pub mod stores;
pub mod writing;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tracing::error;

pub use desk::Desk;
pub use stores::Stores;

use super::agenda::Due;
use super::hub::{Core, Hub};
use crate::engine::Answered;
use crate::model::{Timestamp, Transition};
use crate::promql::{Answers, Question};

/// Share of a rule's interval within which everything it asks must be answered.
const INTERVAL_SHARE: f64 = 0.8;

/// The way to the desk, and what is known of the stores.
pub struct Remote {
    /// The stores.
    pub stores: Arc<Stores>,
    desk: Sender<desk::Message>,
}

/// A rule that waits for its store.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The rule.
    pub uid: Arc<str>,
    /// Its store.
    pub store: Arc<str>,
    /// The time for all its questions.
    pub within: Duration,
}

impl Hub {
    /// Hands rules on remote stores to the desk; what is left is to be evaluated here. Without a desk that is all: a rule
    /// on a store that cannot be asked has an error as its outcome.
    pub(super) fn ask_remote(&self, core: &Core, due: &Due) -> Vec<usize> {
        let rules = core.engine.rules();
        let on_store = |index: &usize| rules.get(*index).is_some_and(|rule| rule.source.is_some());
        let (away, here): (Vec<usize>, Vec<usize>) = due.rules.iter().copied().partition(on_store);
        let Some(remote) = self.remote.get().filter(|_| !away.is_empty()) else { return due.rules.clone() };
        let waiting = away.iter().filter_map(|index| {
            let rule = rules.get(*index)?;
            let within = rule.schedule.every_hint().mul_f64(INTERVAL_SHARE);
            Some(Waiting { uid: rule.uid.clone(), store: rule.source.clone()?, within })
        });
        let round = desk::Round { slot: due.slot, generation: core.generation, rules: waiting.collect() };
        if remote.desk.send(desk::Message::Begin(round)).is_err() {
            // At the end of the process nobody is left to ask.
            error!("Rules on remote stores are not evaluated: the desk is gone");
        }
        here
    }

    /// What the stores of rules are to be asked further; `None` for a rule that is no more what it was.
    fn questions(
        &self,
        (slot, generation): (Timestamp, u64),
        waiting: &[(Arc<str>, &Answers)],
    ) -> Vec<Option<Vec<Question>>> {
        let core = self.core();
        let now = self.clock.at_slot(slot);
        let of = |(uid, answers): &(Arc<str>, &Answers)| {
            let index = core.engine.index_of(uid).filter(|_| core.generation == generation)?;
            // A fault in one rule must not stop the desk; the step meets it again and makes it the rule's error.
            let ask = AssertUnwindSafe(|| core.engine.questions(index, now, answers));
            Some(catch_unwind(ask).unwrap_or_default())
        };
        waiting.iter().map(of).collect()
    }

    /// Steps rules with their answers.
    fn settle(&self, slot: Timestamp, generation: u64, answered: &Answered) -> Vec<Arc<Transition>> {
        let mut core = self.core();
        if core.generation != generation {
            return Vec::new();
        }
        let mut rules: Vec<usize> = answered.keys().filter_map(|uid| core.engine.index_of(uid)).collect();
        rules.sort_unstable();
        self.step(&mut core, &Due { slot, rules, missed: 0 }, answered)
    }
}
