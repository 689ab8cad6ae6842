//! Where the outbox puts down what became of notices: the part of persistence that it needs.

use super::fallback::StandIn;
use crate::model::Timestamp;
use crate::notify::Failure;
use crate::notify::delivery::Entry;

/// A notice of the ledger.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The notice and how far it came.
    pub entry: Entry,
}

/// Notices that wait for a handler.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// In their order.
    pub stored: Vec<Stored>,
    /// Whether there may be more behind them.
    pub more: bool,
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
        /// Whether history hears of it: the first, second, fourth, eighth failure and so on.
        news: bool,
    },
    /// Given up.
    Dead {
        /// Why.
        failure: Failure,
        /// Who is given it instead.
        instead: Option<Box<Instead>>,
        /// Notices behind it of which whoever is given it is told at once.
        with: Vec<Entry>,
    },
    /// It waits on, and tells by now what these told: all of it is put down, or nothing.
    TellsToo(Vec<Entry>),
}

/// A notice for the fallback of a handler that gave one up.
#[derive(Clone, Debug)]
pub struct Instead {
    /// The notice.
    pub entry: Entry,
    /// What the fallback believes then.
    pub stand_in: StandIn,
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
    /// Puts down that these are being tried, before they are; on the disk's way, so that a killed process knows. False
    /// if they must not be, because another process tells now.
    fn claim(&self, ids: &[String]) -> bool;

    /// Puts down what became of notices.
    fn settle(&self, settlements: Vec<Settlement>);

    /// The first pending notices of a handler, in their order; or why they cannot be read.
    fn pending(&self, handler: &str, limit: usize) -> Result<Pending, String>;
}

/// A ledger that remembers nothing.
#[derive(Debug, Default)]
pub struct MemoryLedger;

impl Ledger for MemoryLedger {
    fn claim(&self, _ids: &[String]) -> bool {
        true
    }

    fn settle(&self, _settlements: Vec<Settlement>) {}

    fn pending(&self, _handler: &str, _limit: usize) -> Result<Pending, String> {
        Ok(Pending::default())
    }
}
