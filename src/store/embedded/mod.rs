//! The metrics store inside the process: samples in memory, found through an inverted index of labels.
//!
//! Place in the flow: `ingest` and the rules' own series come in through [`EmbeddedStore::append`] and its fast twin
//! [`EmbeddedStore::append_refs`]; rules read through [`crate::promql::Source`]. It never reads a clock (every call
//! that depends on time takes `now_ms`), starts no thread and touches no file: whoever owns it calls
//! [`EmbeddedStore::maintain`] now and then and saves what it wants saved.
//!
//! Locks: the index (which series there are) has one, the points have one per shard (`shard`). The index is locked
//! before a shard, never after. A reader may see half of a page that is just being written, as in VictoriaMetrics; what
//! it sees carries its own time, so an evaluation at a slot does not depend on the order of the two.

mod append;
mod bits;
mod chunk;
mod decimal;
mod histograms;
mod index;
mod journal;
mod label_index;
mod lost;
mod maintain;
mod options;
mod postings;
mod read;
mod restore;
mod selectors;
mod series;
mod shard;
mod stats;
mod xor;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use append::{AppendStats, Refused};
pub use chunk::{CHUNK_POINTS_MAX, decode_points, encode_points};
pub use index::SeriesRef;
pub use journal::{Arrived, CHANGES_MAX, Came, PageSave, SavedChunk};
pub use lost::Lost;
pub use maintain::{MaintainStats, Pin};
pub use options::StoreOptions;
pub use restore::SLOTS_MAX;
pub use shard::PAGE;
pub use stats::StoreStats;

use crate::ingest::Metadata;
use index::Index;
use shard::{SHARDS, Shard, shard_of};
use stats::Counters;

/// The store. All methods take `&self`; share it in an [`Arc`].
#[derive(Debug)]
pub struct EmbeddedStore {
    options: StoreOptions,
    index: RwLock<Index>,
    shards: [RwLock<Shard>; SHARDS],
    /// Series that are never evicted.
    pins: RwLock<Arc<[Pin]>>,
    metadata: RwLock<BTreeMap<String, Metadata>>,
    counters: Counters,
    /// What was lost with damaged blocks, by series.
    lost: RwLock<Arc<[Lost]>>,
}

/// The locks guard plain data that is whole between any two statements that can panic, so a poisoned one is taken as it is.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedStore {
    /// An empty store.
    pub fn new(options: StoreOptions) -> Self {
        Self {
            options,
            index: RwLock::default(),
            shards: std::array::from_fn(|_| RwLock::default()),
            pins: RwLock::new(Arc::from([])),
            metadata: RwLock::default(),
            counters: Counters::default(),
            lost: RwLock::new(Arc::from([])),
        }
    }

    /// What it was made with.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    fn shard(&self, series: SeriesRef) -> &RwLock<Shard> {
        self.shard_at(series.slot())
    }

    fn shard_at(&self, slot: u32) -> &RwLock<Shard> {
        &self.shards[shard_of(slot)]
    }
}

#[cfg(test)]
mod slide_tests;
#[cfg(test)]
mod tests;
