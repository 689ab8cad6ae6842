//! Points by slot, in shards of their own lock.
//!
//! Why shards: a page of samples is written while rules are read, and neither should wait for the whole of the other.
//! Why blocks of 256 slots rather than hashed slots: the series of a page were created one after another, so a page
//! takes each lock a few times and not once per sample. No lock of a shard is held while another is taken, nor while
//! foreign code runs.

use super::histograms::Kept;
use super::index::SeriesRef;
use super::journal::Journal;
use super::series::{Outcome, Series, Workspace};
use crate::model::Point;

/// Shards of a store.
pub(super) const SHARDS: usize = 16;
/// Slots that stand together in one shard.
pub const PAGE: u32 = 256;

#[derive(Debug)]
struct Slot {
    generation: u32,
    series: Option<Series>,
}

/// The points of the slots of one shard.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pages: Vec<Vec<Slot>>,
    /// Pages that changed since they were last given out to be stored.
    changed: Vec<bool>,
    pub(super) histograms: Kept,
    pub(super) work: Workspace,
    pub(super) journal: Journal,
}

/// The shard of a slot.
pub(super) fn shard_of(slot: u32) -> usize {
    (slot / PAGE) as usize % SHARDS
}

fn place(slot: u32) -> (usize, usize) {
    ((slot / PAGE) as usize / SHARDS, (slot % PAGE) as usize)
}

impl Shard {
    /// Makes room for a new series.
    pub(super) fn create(&mut self, series: SeriesRef, now_ms: i64) {
        let (page, offset) = place(series.slot());
        while self.pages.len() <= page {
            self.pages.push(Vec::new());
        }
        let Some(slots) = self.pages.get_mut(page) else { return };
        while slots.len() <= offset {
            slots.push(Slot { generation: 0, series: None });
        }
        if let Some(slot) = slots.get_mut(offset) {
            *slot = Slot { generation: series.generation(), series: Some(Series::new(series.slot(), now_ms)) };
        }
    }

    /// The series, if it is still there.
    #[inline]
    pub(super) fn get(&self, series: SeriesRef) -> Option<&Series> {
        let (page, offset) = place(series.slot());
        let slot = self.pages.get(page)?.get(offset)?;
        if slot.generation == series.generation() { slot.series.as_ref() } else { None }
    }

    /// The series and what its shard shares, for writing.
    #[inline]
    pub(super) fn get_mut(&mut self, series: SeriesRef) -> Option<(&mut Series, &mut Workspace)> {
        let (page, offset) = place(series.slot());
        let slot = self.pages.get_mut(page)?.get_mut(offset)?;
        if slot.generation != series.generation() {
            return None;
        }
        slot.series.as_mut().map(|s| (s, &mut self.work))
    }

    /// Adds a point to a series; `None` if the series is gone.
    #[inline]
    pub(super) fn insert(&mut self, series: SeriesRef, point: Point, write: &Write) -> Option<Outcome> {
        let (target, work) = self.get_mut(series)?;
        target.touched_ms = write.now_ms;
        let outcome = target.insert(point, write.out_of_order_ms, work);
        if matches!(outcome, Outcome::Appended | Outcome::OutOfOrder | Outcome::Replaced) {
            self.note(series, point);
        }
        Some(outcome)
    }

    /// Notes a point that was taken.
    #[inline]
    pub(super) fn note(&mut self, series: SeriesRef, point: Point) {
        self.set_changed(series.slot(), true);
        self.journal.push(series, point);
    }

    #[inline]
    pub(super) fn set_changed(&mut self, slot: u32, changed: bool) {
        let (page, _) = place(slot);
        if self.changed.len() <= page {
            self.changed.resize(page + 1, false);
        }
        if let Some(flag) = self.changed.get_mut(page) {
            *flag = changed;
        }
    }

    /// Whether the page of a slot changed since it was last given out.
    pub(super) fn is_changed(&self, slot: u32) -> bool {
        self.changed.get(place(slot).0).copied().unwrap_or(false)
    }

    /// Drops a series and its points.
    pub(super) fn remove(&mut self, series: SeriesRef) {
        let (page, offset) = place(series.slot());
        let slot = self.pages.get_mut(page).and_then(|p| p.get_mut(offset));
        if let Some(slot) = slot.filter(|s| s.generation == series.generation())
            && let Some(mut gone) = slot.series.take()
        {
            gone.clear(&mut self.work);
            self.set_changed(series.slot(), true);
            self.drop_histograms(series.slot());
        }
    }

    /// Visits the series of the page that begins with `first_slot`.
    pub(super) fn each_in_page(&mut self, first_slot: u32, mut visit: impl FnMut(u32, &mut Series, &mut Workspace)) {
        let (page, _) = place(first_slot);
        let Some(slots) = self.pages.get_mut(page) else { return };
        for (slot, entry) in (first_slot..).zip(slots) {
            if let Some(series) = &mut entry.series {
                visit(slot, series, &mut self.work);
            }
        }
    }

    /// The present owner of a slot.
    pub(super) fn reference(&self, slot: u32) -> Option<SeriesRef> {
        let (page, offset) = place(slot);
        let entry = self.pages.get(page)?.get(offset)?;
        entry.series.as_ref().map(|_| SeriesRef::new(slot, entry.generation))
    }

    /// The series of the page that begins with `first_slot`, each with its reference.
    pub(super) fn each_ref(&mut self, first_slot: u32, mut visit: impl FnMut(SeriesRef, &mut Series)) {
        let (page, _) = place(first_slot);
        let Some(slots) = self.pages.get_mut(page) else { return };
        for (slot, entry) in (first_slot..).zip(slots) {
            if let Some(series) = &mut entry.series {
                visit(SeriesRef::new(slot, entry.generation), series);
            }
        }
    }

    /// Visits all series.
    pub(super) fn each(&self, visit: impl FnMut(&Series)) {
        self.pages.iter().flatten().filter_map(|s| s.series.as_ref()).for_each(visit);
    }

    /// Bytes of the slots themselves.
    pub(super) fn slot_bytes(&self) -> usize {
        self.pages.iter().map(|p| p.capacity() * size_of::<Slot>()).sum()
    }
}

/// What a write may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) now_ms: i64,
    /// How far behind the newest point of its series a point may be.
    pub(super) out_of_order_ms: i64,
    /// Bounds of the time accepted at all.
    pub(super) oldest_ms: i64,
    pub(super) latest_ms: i64,
}
