//! The store's samples on disk: `metrics.db`, a SQLite file that a killed process leaves whole.
//!
//! Place in the flow: a thread of its own calls [`Writer::step`] each second. It takes what arrived in the embedded store
//! since, and stores it in one transaction: points as a batch of the journal, series that came and went, and in turn the
//! pages of 256 series as they are. What a page holds need not stay in the journal. At the start [`load`] puts all of it
//! back. Nobody who brings samples waits for the disk: what cannot be stored stays in memory, and is stored with its page
//! when that is possible again.
//!
//! Never on the way of evaluation, and never before the state of alerts: it stops while there is still room for that.

mod backing;
mod batch;
mod block;
mod file;
mod helper;
mod load;
mod losses;
mod many;
mod reading;
mod rows;
mod tables;
mod writer;

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;

pub use backing::{About, Backing, Change, Cleaning, Committed, Known, PageChange, Ready};
pub use batch::Batch;
pub use block::Block;
pub use file::{FILE, MetricsFile};
pub use load::{Damage, PageStart, Restored, Start, load};
pub use many::Many;
pub use writer::{Limits, Report, Writer};
