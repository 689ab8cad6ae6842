//! What is stored when: the journal each second, the pages in turn.
//!
//! Reads no clock and starts no thread: its owner calls [`Writer::step`] and tells what came of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::backing::{About, Backing, Change, Cleaning, Known, PageChange, Ready};
use super::batch::{BATCH_POINTS_MAX, Batch};
use super::block::Block;
use super::load::{PageStart, Start};
use super::many::Many;
use crate::model::{HistogramPoint, Labels};
use crate::persist::PersistError;
use crate::store::embedded::{Came, EmbeddedStore, PageSave};
use crate::store::{SeriesRef, embedded};

/// Steps in which every page comes up once: what the journal holds is at most so many steps old, and a little.
const ROUND_STEPS: u32 = 400;
/// Pages of one step at most.
const STEP_PAGES_MAX: u32 = 256;
/// A step that has so many bytes of pages, or of histograms that are stored anew, takes no more of them.
const STEP_BYTES: usize = 16 << 20;
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
    /// Points that are in memory only until their page is stored, or until all histograms are.
    pub left_out: u64,
    /// Pages that are stored now.
    pub pages: u64,
    /// Bytes of the file in use, if it was written.
    pub bytes: Option<u64>,
    /// What was found in the place of the file and was put aside, and why.
    pub put_aside: Option<String>,
    /// Why nothing was stored.
    pub error: Option<PersistError>,
}

/// Histograms that are stored anew, because some were not stored in their turn.
#[derive(Debug, Default)]
struct Again {
    /// All that were noted before this number are stored once more.
    from: i64,
    /// The next page.
    page: u32,
    /// What is left of the page before it.
    left: Vec<(SeriesRef, HistogramPoint)>,
}

/// Stores what a store holds.
pub struct Writer {
    store: Arc<EmbeddedStore>,
    backing: Box<dyn Backing>,
    limits: Limits,
    /// The number of the last batch or change.
    number: i64,
    /// By what the file is known that holds what was stored; `None`: none does.
    known: Option<Known>,
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
    again: Option<Again>,
    /// See [`Change::histograms_from`].
    histograms_from: i64,
    came: Came,
    rewound: Option<(i64, i64)>,
    /// The number of the last rewind: pages that were stored before it are cut when they come up.
    rewound_at: i64,
    failing: bool,
}

impl Writer {
    /// A writer that goes on after what was loaded.
    pub fn new(store: Arc<EmbeddedStore>, backing: Box<dyn Backing>, limits: Limits, start: Start) -> Self {
        store.keep_journal();
        let Start { number, pages, generation, rewound, known } = start;
        let mut writer = Self {
            store,
            backing,
            limits,
            number,
            known: known.then_some(number..=number),
            pages,
            cursor: 0,
            credit: 0,
            whole: 0,
            generation,
            batches: VecDeque::new(),
            histograms: VecDeque::new(),
            again: None,
            histograms_from: 0,
            came: Came::default(),
            rewound: None,
            rewound_at: rewound,
            failing: false,
        };
        if !known {
            writer.begin_anew();
        }
        writer
    }

    /// Whether everything is stored up to the last step.
    pub fn is_whole(&self) -> bool {
        self.whole == 0 && self.again.is_none() && !self.failing
    }

    /// What is stored cannot be relied on: all pages are stored anew, with all series.
    fn store_whole(&mut self) {
        self.whole = self.store.page_count();
        self.cursor = 0;
        self.came.described = self.store.metadata().into_keys().collect();
    }

    /// The file is new and holds nothing.
    fn begin_anew(&mut self) {
        self.store_whole();
        self.histograms.clear();
        self.store_histograms();
    }

    /// Histograms were left out: unlike points they are in no page, so all are stored once more.
    fn store_histograms(&mut self) {
        self.number += 1;
        self.again = Some(Again { from: self.number, ..Again::default() });
        self.histograms_from = 0;
    }

    fn note_histograms(&mut self, mut histograms: &[(SeriesRef, HistogramPoint)]) {
        while !histograms.is_empty() {
            self.number += 1;
            let (many, rest) = Many::new(self.number, histograms);
            self.histograms.push_back(many);
            histograms = rest;
        }
    }

    /// Stores what came since the last step, and of what is stored the part whose turn it is.
    pub fn step(&mut self, now_ms: i64) -> Report {
        self.work(now_ms, true)
    }

    /// Stores what came since the last step and nothing else: what somebody waits for.
    pub fn settle(&mut self, now_ms: i64) -> Report {
        self.work(now_ms, false)
    }

    fn work(&mut self, now_ms: i64, all: bool) -> Report {
        let mut report = Report::default();
        self.take(now_ms, &mut report);
        match self.backing.ready(self.known.as_ref()) {
            Ok(Ready { fresh, put_aside }) => {
                report.put_aside = put_aside;
                if fresh {
                    self.begin_anew();
                }
            }
            Err(error) => return self.failed(error, report),
        }
        let mut saves = Vec::new();
        let change = self.change(now_ms, all, &mut saves);
        let number = change.about.number;
        let stored = self.known.as_ref().map_or(number, |known| *known.start());
        self.known = Some(stored..=number);
        match self.backing.commit(&change) {
            Ok(committed) => {
                self.known = Some(number..=number);
                self.failing = false;
                self.stored(&change);
                report.stored = change.batches.iter().map(|batch| u64::from(batch.points)).sum();
                report.pages = change.pages.len() as u64;
                report.bytes = Some(committed.bytes);
                if let Some(removed_to_ms) = committed.removed_to_ms {
                    // Blocks of before the clock was set back may end in the future.
                    self.store.set_floor(removed_to_ms.min(now_ms));
                }
                report
            }
            Err(error) => {
                self.take_back(change, &saves);
                self.failed(error, report)
            }
        }
    }

    /// A change was not stored.
    fn take_back(&mut self, change: Change, saves: &[(u32, PageSave)]) {
        saves.iter().for_each(|(page, save)| self.store.unsave_page(*page, save));
        self.came.made = change.made;
        self.came.gone = change.gone;
        self.came.described = change.families.into_iter().map(|(family, _)| family).collect();
        self.batches = change.batches.into();
        self.histograms = change.histograms.into();
        if change.pages.iter().any(|page| page.series.is_some()) {
            self.store_whole();
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
        if bytes > PENDING_BYTES_MAX {
            self.store_histograms();
        }
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
        report.left_out += arrived.lost + arrived.histograms_lost;
        self.number += 1;
        // Before the batches: what is in them came after the clock was set, or was not dropped with it.
        if let Some(cut_ms) = came.rewound_ms {
            self.number += 1;
            self.rewound_at = self.number;
            self.rewound = Some((self.number, self.rewound.map_or(cut_ms, |(_, earlier)| earlier.min(cut_ms))));
            self.pages.iter_mut().for_each(|page| page.last_ms = page.last_ms.min(cut_ms));
            // Copies that were made before the cut are stored after it.
            if let Some(again) = &mut self.again {
                again.left.retain(|(_, point)| point.t_ms <= cut_ms);
            }
        }
        for points in arrived.points.chunks(BATCH_POINTS_MAX) {
            self.number += 1;
            self.batches.push_back(Batch::new(self.number, now_ms, points));
        }
        self.note_histograms(&arrived.histograms);
        if arrived.histograms_lost > 0 {
            self.store_histograms();
        }
        self.generation = self.generation.max(came.generation);
        self.came.made.extend(came.made);
        self.came.gone.extend(came.gone);
        self.came.described.extend(came.described);
        if came.too_many || self.came.made.len() + self.came.gone.len() > PENDING_SERIES_MAX {
            self.came.made.clear();
            self.came.gone.clear();
            self.store_whole();
        }
    }

    fn change(&mut self, now_ms: i64, all: bool, saves: &mut Vec<(u32, PageSave)>) -> Change {
        let mut change = Change { rewound: self.rewound, ..Change::default() };
        // A disk that took nothing last time is first asked to take a little.
        if all && !self.failing {
            self.histograms_again();
            self.pages(&mut change, saves);
        }
        if all {
            let cutoff_ms = now_ms.saturating_sub(self.limits.retention_ms);
            change.cleaning = Some(Cleaning { cutoff_ms, bytes_max: self.limits.bytes_max });
            change.histograms_from = self.histograms_from;
        }
        let described: BTreeSet<String> = std::mem::take(&mut self.came.described);
        change.families = self.store.described(&described);
        change.made = std::mem::take(&mut self.came.made);
        change.gone = std::mem::take(&mut self.came.gone);
        change.batches = std::mem::take(&mut self.batches).into();
        change.histograms = std::mem::take(&mut self.histograms).into();
        // Pages whose histograms are yet to be stored anew count as well.
        let again = self.again.as_ref().map_or(0, |again| self.store.page_count().saturating_sub(again.page).max(1));
        let unfinished = self.whole.max(again);
        change.about = About { generation: self.generation, number: self.number, unfinished };
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

    /// Notes, of histograms that are stored anew, as many as fit into a step.
    fn histograms_again(&mut self) {
        let mut bytes: usize = self.histograms.iter().map(|many| many.data.len()).sum();
        while bytes < STEP_BYTES {
            let Some(mut again) = self.again.take() else { return };
            if again.left.is_empty() {
                if again.page >= self.store.page_count() {
                    self.histograms_from = again.from;
                    return;
                }
                again.left = self.store.histograms_of_page(again.page);
                again.page += 1;
            } else {
                self.number += 1;
                let (many, rest) = Many::new(self.number, &again.left);
                let taken = again.left.len() - rest.len();
                again.left.drain(..taken);
                bytes += many.data.len();
                self.histograms.push_back(many);
            }
            self.again = Some(again);
        }
    }

    fn pages(&mut self, change: &mut Change, saves: &mut Vec<(u32, PageSave)>) {
        let count = self.store.page_count();
        self.pages.resize(self.pages.len().max(count as usize), PageStart::default());
        // What did not fit into a step is due at the next one, but never more than a round.
        self.credit = self.credit.saturating_add(count).min(count.saturating_mul(ROUND_STEPS));
        let due = (self.credit / ROUND_STEPS).max(self.whole).min(count).min(STEP_PAGES_MAX);
        let (mut bytes, mut done) = (0, 0);
        while done < due && bytes < STEP_BYTES {
            let page = self.cursor % count;
            self.cursor = (page + 1) % count;
            bytes += self.page(page, change, saves);
            done += 1;
        }
        self.credit = self.credit.saturating_sub(done * ROUND_STEPS);
    }

    /// Adds a page to a change; gives its bytes.
    fn page(&mut self, page: u32, change: &mut Change, saves: &mut Vec<(u32, PageSave)>) -> usize {
        let whole = self.whole > 0;
        self.whole = self.whole.saturating_sub(1);
        let before = self.pages.get(page as usize).copied().unwrap_or_default();
        let cut = before.through < self.rewound_at;
        if cut {
            change.cut.push(page);
        }
        let Some(save) = self.store.save_page(page, whole) else {
            // Nothing came to it: no batch has points of it that are not stored.
            if let Some(entry) = self.pages.get_mut(page as usize).filter(|_| !cut) {
                entry.through = self.number;
            }
            return 0;
        };
        let mut sealed = (!save.sealed.is_empty()).then(|| Block::new(&save.sealed));
        let next = before.next + u32::from(sealed.is_some());
        if let Some(block) = &mut sealed {
            // Blocks of a page must go in their order: a gap between their numbers tells of damage.
            block.times.1 = block.times.1.max(before.last_ms);
        }
        let series: Option<Vec<(SeriesRef, Labels)>> = whole.then(|| self.store.series_of_page(page));
        let open = Block::new(&save.open);
        let bytes = open.data.len() + sealed.as_ref().map_or(0, |block| block.data.len());
        change.pages.push(PageChange { page, through: self.number, next, sealed, open, series });
        saves.push((page, save));
        bytes
    }

    fn stored(&mut self, change: &Change) {
        self.rewound = None;
        for page in &change.cut {
            if let Some(entry) = self.pages.get_mut(*page as usize) {
                entry.through = entry.through.max(change.about.number);
            }
        }
        for page in &change.pages {
            if let Some(entry) = self.pages.get_mut(page.page as usize) {
                entry.through = page.through;
                entry.next = page.next;
                entry.last_ms = page.sealed.as_ref().map_or(entry.last_ms, |block| block.times.1);
            }
        }
    }
}
