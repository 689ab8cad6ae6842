//! What is stored when: the journal each second, the pages in turn.
//!
//! Reads no clock and starts no thread: its owner calls [`Writer::step`] and tells what came of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::backing::{Backing, Change, PageChange};
use super::batch::{BATCH_POINTS_MAX, Batch};
use super::block::Block;
use super::load::{PageStart, Start};
use super::many::{MANY_MAX, Many};
use crate::model::{HistogramPoint, Labels};
use crate::persist::PersistError;
use crate::store::embedded::{Came, EmbeddedStore, PageSave};
use crate::store::{SeriesRef, embedded};

/// Steps in which every page comes up once: what the journal holds is at most so many steps old, and a little.
const ROUND_STEPS: u32 = 400;
/// Pages of one step at most.
const STEP_PAGES_MAX: u32 = 256;
/// Batches that wait for a disk that takes nothing, bytes; beyond it the oldest are left out.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Series that came and went meanwhile; beyond it all series are stored anew.
const PENDING_SERIES_MAX: usize = embedded::CHANGES_MAX;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For how long, milliseconds.
    pub retention_ms: i64,
    /// Bytes of the file; 0: any number.
    pub bytes_max: u64,
}

/// What came of a step.
#[derive(Debug, Default)]
pub struct Report {
    /// Points that are stored now.
    pub stored: u64,
    /// Points that are in memory only until their page is stored.
    pub left_out: u64,
    /// Pages that are stored now.
    pub pages: u64,
    /// Bytes of the file in use, if it was written.
    pub bytes: Option<u64>,
    /// Why nothing was stored.
    pub error: Option<PersistError>,
}

/// Stores what a store holds.
pub struct Writer {
    store: Arc<EmbeddedStore>,
    backing: Box<dyn Backing>,
    limits: Limits,
    /// The number of the last batch.
    number: i64,
    /// By page, see [`Start::pages`].
    pages: Vec<PageStart>,
    cursor: u32,
    /// What part of a round has passed, in pages of [`ROUND_STEPS`] each.
    credit: u32,
    /// Pages that are still to be stored whole, with their series.
    whole: u32,
    generation: u32,
    batches: VecDeque<Batch>,
    histograms: VecDeque<Many>,
    came: Came,
    rewound: Option<(i64, i64)>,
    failing: bool,
}

impl Writer {
    /// A writer that goes on after what was loaded.
    pub fn new(store: Arc<EmbeddedStore>, backing: Box<dyn Backing>, limits: Limits, start: Start) -> Self {
        store.keep_journal();
        let Start { number, pages, generation, fresh } = start;
        let mut writer = Self {
            store,
            backing,
            limits,
            number,
            pages,
            cursor: 0,
            credit: 0,
            whole: 0,
            generation,
            batches: VecDeque::new(),
            histograms: VecDeque::new(),
            came: Came::default(),
            rewound: None,
            failing: false,
        };
        if fresh {
            writer.begin_anew();
        }
        writer
    }

    /// Whether everything is stored up to the last step.
    pub fn is_whole(&self) -> bool {
        self.whole == 0 && !self.failing
    }

    /// What is stored cannot be relied on: all pages are stored anew, with all series.
    fn store_whole(&mut self) {
        self.whole = self.store.page_count();
        self.cursor = 0;
        self.came.made.clear();
        self.came.gone.clear();
        self.came.described = self.store.metadata().into_keys().collect();
    }

    /// The file is new and holds nothing.
    fn begin_anew(&mut self) {
        self.store_whole();
        self.histograms.clear();
        let all = self.store.all_histograms();
        self.note_histograms(&all);
    }

    fn note_histograms(&mut self, histograms: &[(SeriesRef, HistogramPoint)]) {
        for part in histograms.chunks(MANY_MAX) {
            self.number += 1;
            self.histograms.push_back(Many::new(self.number, part));
        }
    }

    /// Stores what came since the last step.
    pub fn step(&mut self, now_ms: i64) -> Report {
        let mut report = Report::default();
        self.take(now_ms, &mut report);
        match self.backing.ready() {
            Ok(false) => {}
            Ok(true) => self.begin_anew(),
            Err(error) => return self.failed(error, report),
        }
        let mut saves = Vec::new();
        let change = self.change(now_ms, &mut saves);
        match self.backing.commit(&change) {
            Ok(committed) => {
                self.failing = false;
                self.stored(&change);
                report.stored = change.batches.iter().map(|batch| u64::from(batch.points)).sum();
                report.pages = change.pages.len() as u64;
                report.bytes = Some(committed.bytes);
                if let Some(removed_to_ms) = committed.removed_to_ms {
                    self.store.set_floor(removed_to_ms);
                }
                report
            }
            Err(error) => {
                saves.iter().for_each(|(page, save)| self.store.unsave_page(*page, save));
                self.came.made = change.made;
                self.came.gone = change.gone;
                self.came.described = change.families.into_iter().map(|(family, _)| family).collect();
                self.batches = change.batches.into();
                self.histograms = change.histograms.into();
                if change.pages.iter().any(|page| page.series.is_some()) {
                    self.store_whole();
                }
                self.failed(error, report)
            }
        }
    }

    fn failed(&mut self, error: PersistError, mut report: Report) -> Report {
        self.failing = true;
        let mut bytes: usize = self.batches.iter().map(Batch::byte_len).sum();
        while bytes > PENDING_BYTES_MAX {
            let Some(oldest) = self.batches.pop_front() else { break };
            bytes -= oldest.byte_len();
            report.left_out += u64::from(oldest.points);
        }
        let mut bytes: usize = self.histograms.iter().map(|many| many.data.len()).sum();
        while bytes > PENDING_BYTES_MAX {
            let Some(oldest) = self.histograms.pop_front() else { break };
            bytes -= oldest.data.len();
            report.left_out += u64::from(oldest.points);
        }
        report.error = Some(error);
        report
    }

    /// Takes what the store noted.
    fn take(&mut self, now_ms: i64, report: &mut Report) {
        let arrived = self.store.arrived();
        let came = self.store.came();
        report.left_out += arrived.lost;
        // Before the batches: what is in them came after the clock was set, or was not dropped with it.
        if let Some(cut_ms) = came.rewound_ms {
            self.number += 1;
            let cut_ms = self.rewound.map_or(cut_ms, |(_, earlier)| earlier.min(cut_ms));
            self.rewound = Some((self.number, cut_ms));
        }
        for points in arrived.points.chunks(BATCH_POINTS_MAX) {
            self.number += 1;
            self.batches.push_back(Batch::new(self.number, now_ms, points));
        }
        self.note_histograms(&arrived.histograms);
        self.generation = came.made.iter().map(|(series, _)| series.generation()).fold(self.generation, u32::max);
        self.came.made.extend(came.made);
        self.came.gone.extend(came.gone);
        self.came.described.extend(came.described);
        if came.too_many || self.came.made.len() + self.came.gone.len() > PENDING_SERIES_MAX {
            self.store_whole();
        }
    }

    fn change(&mut self, now_ms: i64, saves: &mut Vec<(u32, PageSave)>) -> Change {
        let described: BTreeSet<String> = std::mem::take(&mut self.came.described);
        let mut change = Change {
            made: std::mem::take(&mut self.came.made),
            gone: std::mem::take(&mut self.came.gone),
            families: self.store.described(&described),
            generation: self.generation,
            batches: std::mem::take(&mut self.batches).into(),
            histograms: std::mem::take(&mut self.histograms).into(),
            rewound: self.rewound,
            cutoff_ms: now_ms.saturating_sub(self.limits.retention_ms),
            bytes_max: self.limits.bytes_max,
            ..Change::default()
        };
        // A disk that took nothing last time is first asked to take a little.
        if !self.failing {
            self.pages(&mut change, saves);
        }
        change.covered = self.covered();
        change
    }

    /// Batches up to this number are in all pages as they are stored by now, those of this change not counted.
    fn covered(&self) -> i64 {
        if self.whole > 0 {
            return 0;
        }
        self.pages.iter().map(|page| page.through).min().unwrap_or(0)
    }

    fn pages(&mut self, change: &mut Change, saves: &mut Vec<(u32, PageSave)>) {
        let count = self.store.page_count();
        self.pages.resize(self.pages.len().max(count as usize), PageStart::default());
        self.credit += count;
        let due = self.credit / ROUND_STEPS;
        self.credit %= ROUND_STEPS;
        let due = if self.whole > 0 { self.whole.max(due) } else { due };
        for _ in 0..due.min(count).min(STEP_PAGES_MAX) {
            let page = self.cursor % count;
            self.cursor = (page + 1) % count;
            let whole = self.whole > 0;
            self.whole = self.whole.saturating_sub(1);
            let Some(save) = self.store.save_page(page, whole) else {
                // Nothing came to it: no batch has points of it that are not stored.
                if let Some(entry) = self.pages.get_mut(page as usize) {
                    entry.through = self.number;
                }
                continue;
            };
            let before = self.pages.get(page as usize).copied().unwrap_or_default();
            let mut sealed = (!save.sealed.is_empty()).then(|| Block::new(&save.sealed));
            let next = before.next + u32::from(sealed.is_some());
            if let Some(block) = &mut sealed {
                // Blocks of a page must go in their order: a gap between their numbers tells of damage.
                block.times.1 = block.times.1.max(before.last_ms);
            }
            let series: Option<Vec<(SeriesRef, Labels)>> = whole.then(|| self.store.series_of_page(page));
            let open = Block::new(&save.open);
            change.pages.push(PageChange { page, through: self.number, next, sealed, open, series });
            saves.push((page, save));
        }
    }

    fn stored(&mut self, change: &Change) {
        self.rewound = None;
        for page in &change.pages {
            if let Some(entry) = self.pages.get_mut(page.page as usize) {
                entry.through = page.through;
                entry.next = page.next;
                entry.last_ms = page.sealed.as_ref().map_or(entry.last_ms, |block| block.times.1);
            }
        }
    }
}
