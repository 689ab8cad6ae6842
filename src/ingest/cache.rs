//! A scrape target's pages to points of known series, without building label sets again.
//!
//! A target shows the same series page after page, mostly in the same order. The cache knows each series by its text,
//! exactly as the page wrote it, and guesses the next line's series from what followed last time: an unchanged page
//! costs one comparison of bytes and one number per line. The owner decides what a new label set becomes (relabelling,
//! limits) through a callback, and whether the page counts: [`ScrapeCache::read`] changes nothing that matters until
//! [`ScrapeCache::finish`].
//!
//! A line whose leading blanks or inner spacing changes is a new text of the same series; both lead to the same
//! reference, and a series is told missing only when no text of it was seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::error::{IngestError, IngestErrors};
use super::exposition::{Dialect, Fault, Lines, labels, series_end, value_and_time};
use super::metadata::Metadata;
use super::text::Walk;
use crate::model::{Labels, Point};
use crate::store::SeriesRef;

/// Comment lines remembered as seen before they are all read again.
const COMMENTS_MAX: usize = 100_000;
const NONE: u32 = u32::MAX;

/// How to read a page.
#[derive(Clone, Copy, Debug)]
pub struct PageOptions {
    /// Its format.
    pub dialect: Dialect,
    /// When it was asked for, milliseconds since the epoch: the time of samples without their own.
    pub at_ms: i64,
    /// Whether the times in the page count.
    pub honor_timestamps: bool,
    /// Samples taken; more are one error.
    pub samples_max: usize,
}

/// What the owner makes of a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// This series.
    Series(SeriesRef),
    /// Never kept: relabelling drops it.
    Dropped,
    /// Not now (the store is full): asked again with the next page.
    Refused,
}

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    /// `None` if relabelling drops it.
    series: Option<SeriesRef>,
    /// The page that showed it first, and the one it was last in.
    born: u64,
    seen: u64,
    /// The entry that followed it last time.
    next: u32,
    /// Samples with their own time get no end mark, as in Prometheus: their target decides how long they count.
    timed: bool,
}

/// The series that one target showed.
#[derive(Debug, Default)]
pub struct ScrapeCache {
    by_text: HashMap<Arc<str>, u32, ahash::RandomState>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    first: u32,
    page: u64,
    /// Whether the last page was not ended by [`Self::finish`].
    open: bool,
    points: Vec<(SeriesRef, Point)>,
    samples: usize,
    refused: usize,
    metadata: BTreeMap<String, Metadata>,
    comments: HashSet<u64, ahash::RandomState>,
}

impl ScrapeCache {
    /// Reads a page into [`Self::points`]. Label sets not seen before go to `resolve`.
    pub fn read(
        &mut self,
        page: &[u8],
        options: &PageOptions,
        resolve: &mut dyn FnMut(&Labels) -> Resolved,
    ) -> IngestErrors {
        let mut errors = IngestErrors::default();
        let mut walk = Walk::new(options.dialect);
        self.forget_open_page();
        self.page += 1;
        self.open = true;
        self.points.clear();
        (self.samples, self.refused) = (0, 0);
        if self.comments.len() >= COMMENTS_MAX {
            self.comments.clear();
            self.metadata.clear();
        }
        let (mut last, mut guess) = (NONE, self.first);
        let mut last_number = 0;
        for (number, line) in Lines::new(page) {
            last_number = number;
            let comment = self.comment_hash(&line);
            if comment.is_some_and(|hash| self.comments.contains(&hash)) && !walk.ended() {
                continue;
            }
            let read = walk.line(line, &mut self.metadata).and_then(|line| {
                let Some(line) = line else {
                    self.comments.extend(comment);
                    return Ok(true);
                };
                if self.samples >= options.samples_max {
                    let reason = format!("more than {} samples", options.samples_max);
                    errors.push(IngestError::new(number, 0, reason));
                    return Ok(false);
                }
                let id = self.sample(line, guess, options, resolve)?;
                if let Some(id) = id {
                    self.link(last, id);
                    (last, guess) = (id, self.entry(id).map_or(NONE, |e| e.next));
                }
                Ok(true)
            });
            match read {
                Ok(true) => {}
                Ok(false) => return errors,
                Err(fault) => errors.push(walk.error(number, fault)),
            }
        }
        walk.finish(last_number, &mut errors);
        errors
    }

    /// Ends a page that counts: forgets the series that were not in it and gives them, for end marks. Series whose
    /// samples bring their own time are not among them.
    pub fn finish(&mut self) -> Vec<SeriesRef> {
        self.open = false;
        let page = self.page;
        let stale = |e: &Option<Entry>| e.as_ref().is_some_and(|e| e.seen != page);
        let ids: Vec<usize> = (0..self.entries.len()).filter(|id| stale(&self.entries[*id])).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let here: HashSet<SeriesRef, ahash::RandomState> =
            self.entries.iter().flatten().filter(|e| e.seen == page).filter_map(|e| e.series).collect();
        let mut missing = Vec::new();
        for id in ids {
            let Some(entry) = self.entries.get_mut(id).and_then(Option::take) else { continue };
            self.by_text.remove(&entry.text);
            self.free.push(id as u32);
            missing.extend(entry.series.filter(|s| !entry.timed && !here.contains(s)));
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The points of the last page.
    pub fn points(&self) -> &[(SeriesRef, Point)] {
        &self.points
    }

    /// Samples in the last page, those that relabelling dropped included.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Samples of the last page that `resolve` refused.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Takes what pages declared of their families since the last call; lines already told are not told again.
    pub fn take_metadata(&mut self) -> BTreeMap<String, Metadata> {
        std::mem::take(&mut self.metadata)
    }

    /// All series known, for silence or end marks when the target is down or removed.
    pub fn series(&self) -> Vec<SeriesRef> {
        let mut all: Vec<SeriesRef> =
            self.entries.iter().flatten().filter(|e| !e.timed).filter_map(|e| e.series).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Forgets series that the store no longer has, so that the next page resolves them anew.
    pub fn forget(&mut self, gone: &[SeriesRef]) {
        if gone.is_empty() {
            return;
        }
        let gone: HashSet<SeriesRef, ahash::RandomState> = gone.iter().copied().collect();
        for (id, slot) in self.entries.iter_mut().enumerate() {
            if slot.as_ref().and_then(|e| e.series).is_some_and(|s| gone.contains(&s))
                && let Some(entry) = slot.take()
            {
                self.by_text.remove(&entry.text);
                self.free.push(id as u32);
            }
        }
    }

    /// Forgets what only the last page showed, if that page did not count: a target whose pages are always bad and
    /// always new must not fill the cache.
    fn forget_open_page(&mut self) {
        if !self.open {
            return;
        }
        for (id, slot) in self.entries.iter_mut().enumerate() {
            if let Some(entry) = slot.take_if(|e| e.born == self.page) {
                self.by_text.remove(&entry.text);
                self.free.push(id as u32);
            }
        }
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    fn link(&mut self, last: u32, id: u32) {
        match self.entries.get_mut(last as usize).and_then(Option::as_mut) {
            Some(entry) => entry.next = id,
            None => self.first = id,
        }
    }

    /// Families are declared anew in every page; reading them once is enough. The hash is keyed by a random seed, and a
    /// collision costs a help text at worst.
    fn comment_hash(&self, line: &Result<&str, Fault>) -> Option<u64> {
        let line = line.as_ref().ok().filter(|line| line.starts_with("# HELP") || line.starts_with("# TYPE"))?;
        Some(self.comments.hasher().hash_one(line))
    }

    /// Reads a sample's line into `points`; the entry of its series, unless it was refused.
    #[inline]
    fn sample(
        &mut self,
        line: &str,
        guess: u32,
        options: &PageOptions,
        resolve: &mut dyn FnMut(&Labels) -> Resolved,
    ) -> Result<Option<u32>, Fault> {
        let (end, known) = match self.guessed(line, guess) {
            Some(end) => (end, Some(guess)),
            None => {
                let end = series_end(line)?;
                (end, self.by_text.get(&line[..end]).copied())
            }
        };
        let (value, t_ms) = value_and_time(line, end, options.dialect)?;
        let t_ms = t_ms.filter(|_| options.honor_timestamps);
        let id = match known {
            Some(id) => id,
            None => match resolve(&labels(&line[..end], &mut Vec::new())?) {
                Resolved::Refused => {
                    self.samples += 1;
                    self.refused += 1;
                    return Ok(None);
                }
                Resolved::Dropped => self.remember(&line[..end], None),
                Resolved::Series(series) => self.remember(&line[..end], Some(series)),
            },
        };
        self.samples += 1;
        if let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::as_mut) {
            entry.seen = self.page;
            entry.timed = t_ms.is_some();
            if let Some(series) = entry.series {
                self.points.push((series, Point { t_ms: t_ms.unwrap_or(options.at_ms), value }));
            }
        }
        Ok(Some(id))
    }

    /// Where the series of the line ends, if it is the guessed one.
    #[inline]
    fn guessed(&self, line: &str, guess: u32) -> Option<usize> {
        let text = &*self.entry(guess)?.text;
        let rest = line.strip_prefix(text)?.as_bytes();
        let blank = rest.first().is_some_and(|b| *b == b' ' || *b == b'\t');
        // A bare name may still be followed by a brace after blanks: then it is another series.
        let whole = text.ends_with('}') || !rest.trim_ascii_start().starts_with(b"{");
        (blank && whole).then_some(text.len())
    }

    fn remember(&mut self, text: &str, series: Option<SeriesRef>) -> u32 {
        let text: Arc<str> = Arc::from(text);
        let entry = Entry { text: Arc::clone(&text), series, born: self.page, seen: 0, next: NONE, timed: false };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.entries.push(None);
                (self.entries.len() - 1) as u32
            }
        };
        self.entries[id as usize] = Some(entry);
        self.by_text.insert(text, id);
        id
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
