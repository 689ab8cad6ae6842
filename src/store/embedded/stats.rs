//! Counters of the store, for its owner's metrics.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::append::AppendStats;
use super::{EmbeddedStore, read};

/// What a store holds and what happened to it since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Series held.
    pub series: u64,
    /// Points held.
    pub samples: u64,
    /// Coded chunks held.
    pub chunks: u64,
    /// Bytes of points, coded or not.
    pub sample_bytes: u64,
    /// Bytes of labels, index and slots, about.
    pub index_bytes: u64,
    /// Selectors kept resolved.
    pub selectors: u64,
    /// Metric families described.
    pub families: u64,
    /// Series made so far.
    pub series_created_total: u64,
    /// Series dropped because retention left them no point.
    pub series_expired_total: u64,
    /// Series dropped to make room.
    pub series_evicted_total: u64,
    /// Series deleted on request.
    pub series_deleted_total: u64,
    /// Samples taken so far.
    pub samples_appended_total: u64,
    /// Of these, behind the newest one of their series.
    pub samples_out_of_order_total: u64,
    /// Samples that were there already.
    pub samples_duplicate_total: u64,
    /// Samples refused because another value stands at their time.
    pub samples_conflict_total: u64,
    /// Samples refused as too old.
    pub samples_too_old_total: u64,
    /// Samples refused as too far in the future.
    pub samples_too_new_total: u64,
    /// Samples refused because the store is full of series.
    pub samples_refused_series_total: u64,
    /// Samples refused for their labels.
    pub samples_refused_labels_total: u64,
    /// End and silence marks written.
    pub marks_total: u64,
}

/// The running counters. Relaxed: they are told, never decided on, but for the two last, which only pace upkeep.
#[derive(Debug)]
pub(super) struct Counters {
    created: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    deleted: AtomicU64,
    appended: AtomicU64,
    out_of_order: AtomicU64,
    duplicates: AtomicU64,
    conflicts: AtomicU64,
    too_old: AtomicU64,
    too_new: AtomicU64,
    refused_series: AtomicU64,
    refused_labels: AtomicU64,
    marked: AtomicU64,
    /// The slot where upkeep goes on.
    pub(super) cursor: AtomicU32,
    /// No search for victims before this instant.
    pub(super) evict_after_ms: AtomicI64,
    /// Samples before this instant are dropped whatever the retention.
    pub(super) floor_ms: AtomicI64,
    /// Whether samples of just now were restored, so that the store can answer before the first new one.
    pub(super) restored: AtomicBool,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            created: AtomicU64::default(),
            expired: AtomicU64::default(),
            evicted: AtomicU64::default(),
            deleted: AtomicU64::default(),
            appended: AtomicU64::default(),
            out_of_order: AtomicU64::default(),
            duplicates: AtomicU64::default(),
            conflicts: AtomicU64::default(),
            too_old: AtomicU64::default(),
            too_new: AtomicU64::default(),
            refused_series: AtomicU64::default(),
            refused_labels: AtomicU64::default(),
            marked: AtomicU64::default(),
            cursor: AtomicU32::default(),
            evict_after_ms: AtomicI64::default(),
            floor_ms: AtomicI64::new(i64::MIN),
            restored: AtomicBool::default(),
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    if n > 0 {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    pub(super) fn add(&self, stats: &AppendStats) {
        add(&self.appended, stats.appended);
        add(&self.out_of_order, stats.out_of_order);
        add(&self.duplicates, stats.duplicates);
        add(&self.conflicts, stats.conflicts);
        add(&self.too_old, stats.too_old);
        add(&self.too_new, stats.too_new);
        add(&self.refused_series, stats.refused_series);
        add(&self.refused_labels, stats.refused_labels);
    }

    pub(super) fn any_appended(&self) -> bool {
        get(&self.appended) > 0 || self.restored.load(Ordering::Relaxed)
    }

    pub(super) fn created(&self) {
        add(&self.created, 1);
    }

    pub(super) fn expired(&self, n: usize) {
        add(&self.expired, n as u64);
    }

    pub(super) fn evicted(&self, n: usize) {
        add(&self.evicted, n as u64);
    }

    pub(super) fn deleted(&self, n: usize) {
        add(&self.deleted, n as u64);
    }

    pub(super) fn marked(&self, n: usize) {
        add(&self.marked, n as u64);
    }
}

impl EmbeddedStore {
    /// What it holds and what happened so far.
    pub fn stats(&self) -> StoreStats {
        let counters = &self.counters;
        let mut stats = StoreStats {
            families: read(&self.metadata).len() as u64,
            series_created_total: get(&counters.created),
            series_expired_total: get(&counters.expired),
            series_evicted_total: get(&counters.evicted),
            series_deleted_total: get(&counters.deleted),
            samples_appended_total: get(&counters.appended),
            samples_out_of_order_total: get(&counters.out_of_order),
            samples_duplicate_total: get(&counters.duplicates),
            samples_conflict_total: get(&counters.conflicts),
            samples_too_old_total: get(&counters.too_old),
            samples_too_new_total: get(&counters.too_new),
            samples_refused_series_total: get(&counters.refused_series),
            samples_refused_labels_total: get(&counters.refused_labels),
            marks_total: get(&counters.marked),
            ..StoreStats::default()
        };
        {
            let index = read(&self.index);
            stats.series = index.len() as u64;
            stats.selectors = index.selectors_len() as u64;
            stats.index_bytes = index.bytes() as u64;
        }
        for shard in &self.shards {
            let shard = read(shard);
            stats.samples += shard.work.tally.points;
            stats.chunks += shard.work.tally.chunks;
            stats.sample_bytes += shard.work.tally.bytes;
            stats.index_bytes += shard.slot_bytes() as u64;
        }
        stats
    }
}
