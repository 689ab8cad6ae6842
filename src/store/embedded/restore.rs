//! Putting back what was stored: series at their places, chunks as they are, and the points of a journal.
//!
//! Meant for an empty store that nobody reads yet.

use std::sync::atomic::Ordering;

use super::index::SeriesRef;
use super::journal::SavedChunk;
use super::label_filler::LabelFiller;
use super::shard::{PAGE, Write, shard_of};
use super::{EmbeddedStore, read, write};
use crate::ingest::Metadata;
use crate::model::{Labels, Point};

/// Slots that can be restored at most; no store ever had more.
pub const SLOTS_MAX: u32 = 1 << 24;

impl EmbeddedStore {
    /// Makes room for so many series.
    pub fn reserve(&self, series: usize) {
        write(&self.index).reserve(series.min(SLOTS_MAX as usize));
    }

    /// Enters series into the index; adds those that could not be, because their place or their labels are taken, to
    /// `refused`. No selector finds them before [`Self::restore_labels`].
    pub fn restore_series(&self, series: &[(SeriesRef, Labels)], refused: &mut Vec<SeriesRef>) {
        let mut index = write(&self.index);
        for (one, labels) in series {
            if one.slot() >= SLOTS_MAX || !index.restore(*one, labels) {
                refused.push(*one);
            }
        }
    }

    /// Ends [`Self::restore_series`]. `gathered` are the labels of exactly those that were entered; without, they are
    /// gathered here.
    pub fn restore_labels(&self, gathered: Option<LabelFiller>) {
        let mut index = write(&self.index);
        let filler = gathered.unwrap_or_else(|| {
            let mut filler = LabelFiller::default();
            let all = (0..index.slot_count()).filter_map(|slot| index.at(slot));
            all.for_each(|(labels, series)| filler.insert(labels, series));
            filler
        });
        index.fill(filler);
    }

    /// Makes places for the points of series, of each slot for the first that is named.
    pub fn restore_places(&self, series: &[SeriesRef]) {
        for run in series.chunk_by(|a, b| shard_of(a.slot()) == shard_of(b.slot())) {
            let Some(first) = run.first() else { continue };
            let mut shard = write(self.shard(*first));
            for one in run.iter().filter(|one| one.slot() < SLOTS_MAX) {
                if shard.reference(one.slot()).is_none() {
                    shard.create(*one, i64::MIN);
                }
            }
        }
    }

    /// Takes the places, with their points, of series that are not in the index after all.
    pub fn unrestore(&self, series: &[SeriesRef]) {
        for one in series {
            if read(&self.index).labels(*one).is_none() {
                write(self.shard(*one)).remove(*one);
            }
        }
    }

    /// Takes stored chunks, later states of a chunk after earlier ones; those of series that are not there are left out.
    /// `sealed` ones are not given out to be stored again. Gives how many points were taken.
    pub fn restore_chunks(&self, chunks: Vec<SavedChunk>, sealed: bool) -> u64 {
        let mut taken = 0;
        let mut chunks = chunks.into_iter().peekable();
        while let Some(first) = chunks.peek() {
            let together = shard_of(first.series.slot());
            let mut shard = write(self.shard(first.series));
            while let Some(saved) = chunks.next_if(|next| shard_of(next.series.slot()) == together) {
                let Some((series, work)) = shard.get_mut(saved.series) else { continue };
                taken += u64::from(saved.count);
                let newest = saved.newest;
                series.restore(saved.chunk(sealed), newest, work);
            }
        }
        taken
    }

    /// Takes the points of a journal, as of the instant at which it was written; those that are there already change
    /// nothing.
    pub fn replay(&self, points: &[(SeriesRef, Point)], at_ms: i64) {
        let write_at = Write { now_ms: at_ms, out_of_order_ms: i64::MAX, oldest_ms: i64::MIN, latest_ms: i64::MAX };
        for run in points.chunk_by(|(a, _), (b, _)| shard_of(a.slot()) == shard_of(b.slot())) {
            let Some((first, _)) = run.first() else { continue };
            let mut shard = write(self.shard(*first));
            for (series, point) in run {
                shard.insert(*series, *point, &write_at);
            }
        }
    }

    /// What is known of metric families.
    pub fn restore_metadata(&self, families: Vec<(String, Metadata)>) {
        write(&self.metadata).extend(families);
    }

    /// Ends restoring. Series that are made from now on get generations from `first_generation`, which nothing that was
    /// stored has; series that got no point are dropped by upkeep.
    pub fn restored(&self, first_generation: u32, now_ms: i64) {
        write(&self.index).restored(first_generation);
        let recent = now_ms.saturating_sub(self.options.lookback_ms);
        let any = self.shards.iter().any(|shard| {
            let mut found = false;
            read(shard).each(|series| found |= series.newest().is_some_and(|newest| newest.t_ms > recent));
            found
        });
        self.counters.restored.store(any, Ordering::Relaxed);
    }

    /// Ends restoring of points: what is the newest of each series.
    pub fn restored_points(&self) {
        for page in 0..self.page_count() {
            write(self.shard_at(page * PAGE)).each_in_page(page * PAGE, |_, series, work| series.find_newest(work));
        }
    }
}
