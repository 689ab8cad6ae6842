//! Upkeep: retention, sealing of idle series, and eviction when the store is full.
//!
//! Each call does a bounded piece of work and goes on where the last one ended. A series that is pinned (a firing alert
//! reads it) is never evicted; retention drops its points as everybody's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::index::{Index, SeriesRef};
use super::shard::PAGE;
use super::{EmbeddedStore, read, write};
use crate::model::Labels;
use crate::promql::Matcher;

/// Slots looked at per call of [`EmbeddedStore::maintain`].
pub const MAINTAIN_SLOTS_MAX: u32 = 65_536;
/// A series that was not written to for this long has its head coded.
const IDLE_MS: i64 = 600_000;
/// How much before the instant the clock was set back to is dropped: twice the look-back, which covers the windows that
/// most rules read.
pub const REWIND_MS: i64 = 600_000;
/// Series removed under one hold of the index.
const REMOVE_STEP: usize = 512;
/// The part of the store that is evicted at once, so that the search for victims is paid for by many new series.
const EVICT_SHARE: usize = 64;
/// A search for victims that found none is not repeated for this long.
const EVICT_RETRY_MS: i64 = 1000;

/// What a call of [`EmbeddedStore::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintainStats {
    /// Series that had no points left and were dropped.
    pub series_dropped: usize,
    /// Whether the walk over all series came to its end in this call.
    pub round_done: bool,
}

/// Series that are not evicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// The selector that reads them.
    pub matchers: Arc<[Matcher]>,
    /// Of these, the ones with such labels (without name); `None`: all.
    pub series: Option<BTreeSet<Labels>>,
    /// For how long after it was last written to a series is read; `None`: always.
    pub within_ms: Option<i64>,
}

impl From<Vec<Matcher>> for Pin {
    fn from(matchers: Vec<Matcher>) -> Self {
        Self { matchers: matchers.into(), series: None, within_ms: None }
    }
}

impl Pin {
    fn holds(&self, labels: &Labels, silent_ms: i64) -> bool {
        self.within_ms.is_none_or(|within_ms| silent_ms <= within_ms)
            && self.matchers.iter().all(|m| m.matches_labels(labels))
            && self.series.as_ref().is_none_or(|series| series.contains(&labels.without_name()))
    }
}

impl EmbeddedStore {
    /// Drops what is past retention and codes idle heads, for up to `MAINTAIN_SLOTS_MAX` slots.
    pub fn maintain(&self, now_ms: i64) -> MaintainStats {
        let floor_ms = self.counters.floor_ms.load(Ordering::Relaxed);
        let cutoff_ms = now_ms.saturating_sub(self.options.retention_ms).max(floor_ms);
        self.forget_lost(cutoff_ms);
        let slot_count = read(&self.index).slot_count();
        let start = self.counters.cursor.load(Ordering::Relaxed).min(slot_count);
        let end = slot_count.min(start.saturating_add(MAINTAIN_SLOTS_MAX));
        let mut empty = Vec::new();
        for first in (start..end).step_by(PAGE as usize) {
            let mut shard = write(self.shard_at(first));
            shard.retain_histograms(first, |t_ms| t_ms >= cutoff_ms);
            shard.each_in_page(first, |slot, series, work| {
                series.forget_before(cutoff_ms, work);
                if self.is_idle(series.touched_ms, now_ms, IDLE_MS) {
                    series.settle_idle(work);
                }
                if series.is_empty() && self.is_idle(series.touched_ms, now_ms, self.options.lookback_ms) {
                    empty.push(slot);
                }
            });
        }
        let round_done = end >= slot_count;
        self.counters.cursor.store(if round_done { 0 } else { end }, Ordering::Relaxed);
        let mut stats = MaintainStats { series_dropped: 0, round_done };
        for slots in empty.chunks(REMOVE_STEP) {
            let mut index = write(&self.index);
            for slot in slots {
                stats.series_dropped += usize::from(self.drop_if_empty(&mut index, *slot));
            }
        }
        self.counters.expired(stats.series_dropped);
        stats
    }

    /// After the clock was set back to `now_ms`: drops the points of the time that comes once more, and of
    /// `REWIND_MS` before it, and lets their series fall silent there. Two passes of one time would otherwise
    /// interleave, and a rate over both would see an hour's increase in seconds.
    pub fn rewind(&self, now_ms: i64) {
        let cut_ms = now_ms.saturating_sub(REWIND_MS);
        // A floor of the time that comes once more would drop all of it.
        self.counters.floor_ms.fetch_min(cut_ms, Ordering::Relaxed);
        let slot_count = read(&self.index).slot_count();
        let mut marks = Vec::new();
        for first in (0..slot_count).step_by(PAGE as usize) {
            let mut shard = write(self.shard_at(first));
            shard.retain_histograms(first, |t_ms| t_ms <= cut_ms);
            shard.each_in_page(first, |_, series, work| {
                series.rewind(cut_ms, work);
                series.touched_ms = series.touched_ms.min(now_ms);
            });
            shard.each_ref(first, |series, points| {
                let newest = points.newest().filter(|newest| newest.t_ms > cut_ms);
                marks.extend(newest.map(|mark| (series, mark)));
            });
            shard.journal.forget_after(cut_ms);
        }
        for (series, mark) in marks {
            write(self.shard(series)).note(series, mark);
        }
        write(&self.index).changes.rewound(cut_ms);
    }

    /// Drops, as upkeep comes by, what is older than an instant: the disk has no room for it.
    pub fn set_floor(&self, floor_ms: i64) {
        self.counters.floor_ms.fetch_max(floor_ms, Ordering::Relaxed);
    }

    /// Whether nothing was written for a time. Written in the far future means before the clock was set back.
    fn is_idle(&self, touched_ms: i64, now_ms: i64, for_ms: i64) -> bool {
        let ago_ms = now_ms.saturating_sub(touched_ms);
        ago_ms >= for_ms || ago_ms < self.options.future_ms.saturating_neg()
    }

    fn drop_if_empty(&self, index: &mut Index, slot: u32) -> bool {
        let Some((_, series)) = index.at(slot) else { return false };
        let mut shard = write(self.shard(series));
        // It may have been written to since the walk.
        if !shard.get(series).is_some_and(super::series::Series::is_empty) {
            return false;
        }
        shard.remove(series);
        drop(shard);
        index.remove(series)
    }

    /// Drops all series that match; gives how many.
    pub fn delete(&self, matchers: &[Matcher]) -> usize {
        let selection = self.series(matchers);
        let mut deleted = 0;
        for handles in selection.handles.chunks(REMOVE_STEP) {
            let mut index = write(&self.index);
            for handle in handles {
                deleted += usize::from(self.remove(&mut index, SeriesRef(*handle)));
            }
        }
        self.counters.deleted(deleted);
        deleted
    }

    fn remove(&self, index: &mut Index, series: SeriesRef) -> bool {
        write(self.shard(series)).remove(series);
        index.remove(series)
    }

    /// Says which series must not be evicted: those that firing alerts read. Takes the place of the last list.
    pub fn pin<P: Into<Pin>>(&self, pins: Vec<P>) {
        *write(&self.pins) = pins.into_iter().map(Into::into).collect();
    }

    /// Makes room for new series by dropping those that were silent for longest, beyond the look-back; `false` if
    /// there are none.
    pub(super) fn evict(&self, index: &mut Index, now_ms: i64) -> bool {
        // A clock that was set back must not put the next search off by more than the pause.
        let pause_ms = self.counters.evict_after_ms.load(Ordering::Relaxed).saturating_sub(now_ms);
        if (1..=EVICT_RETRY_MS).contains(&pause_ms) {
            return false;
        }
        let mut idle = Vec::new();
        for first in (0..index.slot_count()).step_by(PAGE as usize) {
            write(self.shard_at(first)).each_in_page(first, |slot, series, _| {
                if self.is_idle(series.touched_ms, now_ms, self.options.lookback_ms) {
                    idle.push((series.touched_ms, slot));
                }
            });
        }
        idle.sort_unstable();
        let pins = Arc::clone(&read(&self.pins));
        let wanted = (self.options.series_max / EVICT_SHARE).max(1);
        let mut evicted = 0;
        for (touched_ms, slot) in idle {
            let Some((labels, series)) = index.at(slot) else { continue };
            let silent_ms = now_ms.saturating_sub(touched_ms);
            let pinned = pins.iter().any(|pin| pin.holds(labels, silent_ms));
            if !pinned && self.remove(index, series) {
                evicted += 1;
                if evicted >= wanted {
                    break;
                }
            }
        }
        if evicted == 0 {
            self.counters.evict_after_ms.store(now_ms.saturating_add(EVICT_RETRY_MS), Ordering::Relaxed);
        }
        self.counters.evicted(evicted);
        evicted > 0
    }
}
