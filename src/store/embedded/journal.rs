//! What happened to the store since somebody last asked, for whoever stores it: points that were taken, series that came
//! and went, and pages of series as they are.
//!
//! Off until [`EmbeddedStore::keep_journal`]. Nothing here waits for the one who asks: a journal that is full loses points
//! and counts them. They are in the next save of their page all the same.

use std::collections::BTreeSet;

use super::chunk::Chunk;
use super::index::SeriesRef;
use super::shard::{PAGE, SHARDS};
use super::{EmbeddedStore, read, write};
use crate::ingest::Metadata;
use crate::model::{HistogramPoint, Labels, Point};

/// Points kept per shard between two calls of [`EmbeddedStore::arrived`].
pub const JOURNAL_POINTS_MAX: usize = 4_000_000 / SHARDS;
/// Native histograms kept per shard between two calls.
pub const HISTOGRAMS_MAX: usize = 1_000_000 / SHARDS;
/// Series that came or went between two calls of [`EmbeddedStore::came`].
pub const CHANGES_MAX: usize = 1_000_000;

/// Points of one shard that were taken.
#[derive(Debug, Default)]
pub(super) struct Journal {
    on: bool,
    points: Vec<(SeriesRef, Point)>,
    histograms: Vec<(SeriesRef, HistogramPoint)>,
    lost: u64,
    histograms_lost: u64,
}

impl Journal {
    #[inline]
    pub(super) fn push(&mut self, series: SeriesRef, point: Point) {
        if !self.on {
            return;
        }
        if self.points.len() >= JOURNAL_POINTS_MAX {
            self.lost += 1;
            return;
        }
        self.points.push((series, point));
    }

    pub(super) fn push_histogram(&mut self, series: SeriesRef, point: &HistogramPoint) {
        if self.on && self.histograms.len() < HISTOGRAMS_MAX {
            self.histograms.push((series, point.clone()));
        } else if self.on {
            self.histograms_lost += 1;
        }
    }

    /// Forgets the points after an instant: the clock was set back.
    pub(super) fn forget_after(&mut self, cut_ms: i64) {
        self.points.retain(|(_, point)| point.t_ms <= cut_ms);
        self.histograms.retain(|(_, point)| point.t_ms <= cut_ms);
    }
}

/// Series that came and went, and what else changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    on: bool,
    came: Came,
}

impl Changes {
    fn full(&mut self) -> bool {
        if self.came.made.len() + self.came.gone.len() >= CHANGES_MAX {
            self.came.too_many = true;
        }
        !self.on || self.came.too_many
    }

    pub(super) fn made(&mut self, series: SeriesRef, labels: &Labels) {
        if !self.full() {
            self.came.made.push((series, labels.clone()));
        }
    }

    pub(super) fn removed(&mut self, series: SeriesRef) {
        if !self.full() {
            self.came.gone.push(series);
        }
    }

    pub(super) fn described(&mut self, family: &str) {
        if self.on {
            self.came.described.insert(family.to_owned());
        }
    }

    pub(super) fn rewound(&mut self, cut_ms: i64) {
        if self.on {
            self.came.rewound_ms = Some(self.came.rewound_ms.map_or(cut_ms, |cut: i64| cut.min(cut_ms)));
        }
    }
}

/// Points that were taken.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// In the order of their arrival, as far as one series is concerned.
    pub points: Vec<(SeriesRef, Point)>,
    /// Native histograms, which stand for marks among the points.
    pub histograms: Vec<(SeriesRef, HistogramPoint)>,
    /// Points that did not fit.
    pub lost: u64,
    /// Histograms that did not fit.
    pub histograms_lost: u64,
}

/// What changed beside the points.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// New series.
    pub made: Vec<(SeriesRef, Labels)>,
    /// Series that are no more; one of the new ones may be among them.
    pub gone: Vec<SeriesRef>,
    /// There were more than could be noted: whoever stores them must look at all series.
    pub too_many: bool,
    /// Metric families whose description changed.
    pub described: BTreeSet<String>,
    /// The clock was set back: points after this instant were dropped.
    pub rewound_ms: Option<i64>,
    /// The greatest generation that any series ever had, those that were too many to note included.
    pub generation: u32,
}

/// A chunk to be stored, or one that was.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedChunk {
    /// Its series.
    pub series: SeriesRef,
    /// Time of the first point.
    pub first_ms: i64,
    /// The last point, if it is the newest of its series.
    pub newest: Option<Point>,
    /// Time of the last point.
    pub last_ms: i64,
    /// How many points.
    pub count: u16,
    /// The points, as [`super::encode_points`] codes them.
    pub data: Box<[u8]>,
}

impl SavedChunk {
    fn of(series: SeriesRef, chunk: &Chunk, newest: Option<Point>) -> Self {
        let (first_ms, last_ms, count) = (chunk.first_ms, chunk.last_ms, chunk.len() as u16);
        Self { series, first_ms, newest, last_ms, count, data: Box::from(chunk.data()) }
    }

    pub(super) fn chunk(self, sealed: bool) -> Chunk {
        let mut chunk = Chunk::stored(self.first_ms, self.last_ms, self.count, self.data);
        chunk.saved = sealed;
        chunk
    }
}

/// The series of one page as they are.
#[derive(Clone, Debug, Default)]
pub struct PageSave {
    /// Chunks that are finished and were not given out before.
    pub sealed: Vec<SavedChunk>,
    /// The rest of every series, which will change.
    pub open: Vec<SavedChunk>,
}

impl EmbeddedStore {
    /// Begins to note what happens.
    pub fn keep_journal(&self) {
        write(&self.index).changes.on = true;
        self.shards.iter().for_each(|shard| write(shard).journal.on = true);
    }

    /// Takes the points that came since the last call. Ask [`Self::came`] after it: it then knows all their series.
    pub fn arrived(&self) -> Arrived {
        let mut all = Arrived::default();
        for shard in &self.shards {
            let came = {
                let journal = &mut write(shard).journal;
                let room = Vec::with_capacity(journal.points.len());
                std::mem::replace(journal, Journal { on: journal.on, points: room, ..Journal::default() })
            };
            all.histograms.extend(came.histograms);
            all.lost += came.lost;
            all.histograms_lost += came.histograms_lost;
            if all.points.is_empty() {
                all.points = came.points;
            } else {
                all.points.extend(came.points);
            }
        }
        all
    }

    /// Takes the other changes since the last call.
    pub fn came(&self) -> Came {
        let mut index = write(&self.index);
        Came { generation: index.generation_max(), ..std::mem::take(&mut index.changes.came) }
    }

    /// How many pages of [`PAGE`] slots there are.
    pub fn page_count(&self) -> u32 {
        read(&self.index).slot_count().div_ceil(PAGE)
    }

    /// The series of a page.
    pub fn series_of_page(&self, page: u32) -> Vec<(SeriesRef, Labels)> {
        let index = read(&self.index);
        let slots = page * PAGE..(page + 1) * PAGE;
        slots.filter_map(|slot| index.at(slot)).map(|(labels, series)| (series, labels.clone())).collect()
    }

    /// A page to be stored, if it changed since the last call; with `all` in any case, and chunks that were given out
    /// before as well.
    pub fn save_page(&self, page: u32, all: bool) -> Option<PageSave> {
        let first_slot = page * PAGE;
        let mut shard = write(self.shard_at(first_slot));
        if !all && !shard.is_changed(first_slot) {
            return None;
        }
        shard.set_changed(first_slot, false);
        let mut save = PageSave::default();
        shard.each_ref(first_slot, |series, points| save_series(&mut save, series, points, all));
        Some(save)
    }

    /// A page is to be given out, whether it changes or not: what is stored of it is more than there is.
    pub fn mark_changed(&self, page: u32) {
        write(self.shard_at(page * PAGE)).set_changed(page * PAGE, true);
    }

    /// What [`Self::save_page`] gave was not stored: it is given out again.
    pub fn unsave_page(&self, page: u32, save: &PageSave) {
        let first_slot = page * PAGE;
        let mut shard = write(self.shard_at(first_slot));
        shard.set_changed(first_slot, true);
        for lost in &save.sealed {
            let Some((series, _)) = shard.get_mut(lost.series) else { continue };
            let same = |chunk: &&mut Chunk| chunk.first_ms == lost.first_ms && chunk.last_ms == lost.last_ms;
            if let Some(chunk) = series.parts().0.iter_mut().find(same) {
                chunk.saved = false;
            }
        }
    }

    /// What a metric family is, for those that [`Came::described`] names.
    pub fn described(&self, families: &BTreeSet<String>) -> Vec<(String, Metadata)> {
        let known = read(&self.metadata);
        families.iter().filter_map(|family| Some((family.clone(), known.get(family)?.clone()))).collect()
    }
}

fn save_series(save: &mut PageSave, series: SeriesRef, points: &mut super::series::Series, all: bool) {
    let newest = points.newest();
    let (chunks, head) = points.parts();
    let Some((last, sealed)) = chunks.split_last_mut() else {
        save.open.extend(Chunk::new(head).map(|chunk| SavedChunk::of(series, &chunk, newest)));
        return;
    };
    for chunk in sealed.iter_mut().filter(|chunk| all || !chunk.saved) {
        chunk.saved = true;
        save.sealed.push(SavedChunk::of(series, chunk, None));
    }
    // What is open is stored as chunks that take each other's place when it is stored again.
    last.saved = false;
    save.open.push(SavedChunk::of(series, last, newest.filter(|_| head.is_empty())));
    save.open.extend(Chunk::new(head).map(|chunk| SavedChunk::of(series, &chunk, newest)));
}
