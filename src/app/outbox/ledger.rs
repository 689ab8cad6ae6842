//! Where the outbox puts down what became of notices: the part of persistence that it needs.

use std::sync::Arc;

use crate::model::{Notice, Timestamp};
use crate::notify::Failure;
use crate::notify::delivery::Entry;

/// A notice of the ledger.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The notice and how far it came.
    pub entry: Entry,
}

/// What became of a notice.
#[derive(Clone, Debug)]
pub enum Settled {
    /// The receiver has it.
    Delivered {
        /// Its answer.
        answer: String,
        /// Parts that were refused for good.
        refused: Vec<String>,
    },
    /// It will be tried again.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether history hears of it: the first failure, and every other one than the last.
        news: bool,
    },
    /// Given up.
    Dead {
        /// Why.
        failure: Failure,
        /// Who is given it instead.
        instead: Option<Arc<Notice>>,
    },
    /// It is told with a later notice, which now tells this.
    MergedInto(Box<Entry>),
}

/// A change of the ledger.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// When.
    pub at: Timestamp,
    /// The notice as it is now.
    pub entry: Entry,
    /// What became of it.
    pub settled: Settled,
}

/// Keeps notices until they are delivered.
pub trait Ledger: Send + Sync {
    /// Puts down that these are being tried, before they are; on the disk's way, so that a killed process knows.
    fn claim(&self, ids: &[String]);

    /// Puts down what became of notices.
    fn settle(&self, settlements: Vec<Settlement>);

    /// Pending notices of a handler in their order, from the first after `position`-th on.
    fn pending(&self, handler: &str, limit: usize) -> Vec<Stored>;
}

/// A ledger that remembers nothing.
#[derive(Debug, Default)]
pub struct MemoryLedger;

impl Ledger for MemoryLedger {
    fn claim(&self, _ids: &[String]) {}

    fn settle(&self, _settlements: Vec<Settlement>) {}

    fn pending(&self, _handler: &str, _limit: usize) -> Vec<Stored> {
        Vec::new()
    }
}
