//! Windows that are advanced by what is new instead of being read again.
//!
//! Place in the flow: the evaluator asks for the values of a function of a range selector; for functions that can be
//! computed from a few running figures ([`Slid`]) this keeps the figures of each series from one slot to the next. The
//! results are those of reading the whole window, to the bit: where a figure could round or cannot be kept (a counter
//! that was reset inside the window, values that are no decimals, samples that came late), the window is read.
//!
//! Invariant: the figures of a valid row are those of its points in `(from_ms, to_ms]`, marks left out.

mod row;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;
use row::Row;

use super::functions::exact::Moments;
use super::source::{Advancing, Selection, SourceError};
use crate::model::{Point, STALE_NAN, is_mark};

/// Bytes that windows may take unless asked for otherwise.
pub const SLIDE_BYTES_MAX_DEFAULT: usize = 512 << 20;
/// Points kept of each series: all of a short window, of a longer one the next that leave it.
const RING_MAX: usize = 32;
/// A window that nobody has asked for this long is given up, milliseconds.
const IDLE_MS: i64 = 600_000;

/// The figures of one series' window.
pub(crate) struct Slid<'a> {
    pub first: Point,
    pub last: Point,
    /// At least 1.
    pub count: usize,
    /// How often a value was below the one before it.
    pub resets: u32,
    /// Where asked for.
    pub moments: Option<&'a Moments>,
    pub from_ms: i64,
    pub to_ms: i64,
}

/// What a function makes of the figures: `None` where it must see the points, otherwise its value, if it has one.
pub(crate) type SlideBody = fn(&Slid<'_>) -> Option<Option<f64>>;

/// How a function is computed from a window that advances.
#[derive(Clone, Copy)]
pub(crate) enum Incremental {
    /// Not at all.
    No,
    /// From its ends and counts.
    Ends(SlideBody),
    /// From [`Slid::moments`].
    Moments(SlideBody),
}

impl Incremental {
    /// The function, and whether it wants moments.
    pub fn body(self) -> Option<(SlideBody, bool)> {
        match self {
            Self::No => None,
            Self::Ends(body) => Some((body, false)),
            Self::Moments(body) => Some((body, true)),
        }
    }
}

/// The values of a function.
pub(crate) struct Answer {
    /// For each series; [`STALE_NAN`] where there is none.
    pub values: Vec<f64>,
    /// Places of series with histograms in their windows, which have no value here.
    pub odd: Vec<usize>,
    /// Points in all windows.
    pub read: usize,
}

/// What is asked of a window.
pub(crate) struct Ask<'a> {
    pub source: &'a dyn Advancing,
    pub selection: &'a Selection,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Whether [`Slid::moments`] are wanted.
    pub moments: bool,
    pub body: SlideBody,
    /// The function of the points, of which there is at least one.
    pub whole: &'a dyn Fn(&[Point]) -> Option<f64>,
}

/// Windows by their selector, kept from slot to slot. Shared by the evaluations of one store.
#[derive(Debug)]
pub struct SlideCache {
    /// Guards the map; held for a look-up. A window has a lock of its own.
    slides: Mutex<AHashMap<u128, Arc<Mutex<Slide>>>>,
    bytes: AtomicUsize,
    bytes_max: usize,
    /// How often something was written between two evaluations at one instant.
    written: AtomicU64,
}

impl Default for SlideCache {
    fn default() -> Self {
        Self::new(SLIDE_BYTES_MAX_DEFAULT)
    }
}

impl SlideCache {
    /// An empty cache that grows to so many bytes at most; windows beyond are read whole at each evaluation.
    pub fn new(bytes_max: usize) -> Self {
        Self { slides: Mutex::default(), bytes: AtomicUsize::new(0), bytes_max, written: AtomicU64::new(0) }
    }

    /// Bytes that the windows take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Says that samples were written at an instant that was evaluated already: its windows are looked at again.
    pub fn note_written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up windows that were not asked for in a while.
    pub fn forget_idle(&self, now_ms: i64) {
        let mut slides = self.slides.lock().unwrap_or_else(PoisonError::into_inner);
        slides.retain(|_, slide| {
            // One that is in use now is not idle.
            let Ok(slide) = slide.try_lock() else { return true };
            let kept = slide.to_ms.saturating_add(IDLE_MS) > now_ms;
            if !kept {
                self.bytes.fetch_sub(slide.counted, Ordering::Relaxed);
            }
            kept
        });
    }

    /// The function's value for each series; `None` where there is no room.
    pub(crate) fn values(&self, key: u128, ask: &Ask<'_>) -> Result<Option<Answer>, SourceError> {
        let slide = {
            let mut slides = self.slides.lock().unwrap_or_else(PoisonError::into_inner);
            let room = self.bytes() < self.bytes_max;
            if !room && !slides.contains_key(&key) {
                return Ok(None);
            }
            Arc::clone(slides.entry(key).or_default())
        };
        let mut slide = slide.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.written.load(Ordering::Relaxed);
        if slide.written != written {
            (slide.written, slide.settled) = (written, false);
        }
        let values = slide.values(ask).map(Some);
        let (before, now) = (slide.counted, slide.bytes());
        slide.counted = now;
        self.bytes.fetch_add(now, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        values
    }
}

/// The windows of the series of one selector.
#[derive(Debug, Default)]
struct Slide {
    handles: Arc<[u64]>,
    from_ms: i64,
    to_ms: i64,
    rows: Vec<Row>,
    /// One per row where a function asked for them; else empty.
    moments: Vec<Moments>,
    with_moments: bool,
    /// `ring_len` points for each row.
    ring: Vec<Point>,
    ring_len: usize,
    /// The cache's count when this was last asked for, and whether nothing was written since it was brought up to date.
    written: u64,
    settled: bool,
    /// False while the rows change: after a panic nothing of them is believed.
    sound: bool,
    /// Bytes that the cache has counted for this.
    counted: usize,
}

impl Slide {
    fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.moments.capacity() * size_of::<Moments>()
            + self.ring.capacity() * size_of::<Point>()
    }

    fn values(&mut self, ask: &Ask<'_>) -> Result<Answer, SourceError> {
        if ask.moments && !self.with_moments {
            self.with_moments = true;
            self.rows.clear();
        }
        let sound = std::mem::replace(&mut self.sound, false);
        self.follow(ask.selection, sound);
        self.advance(ask)?;
        let mut values = vec![STALE_NAN; self.rows.len()];
        let (mut whole, mut odd) = (Vec::new(), Vec::new());
        let mut read = 0;
        for (i, value) in values.iter_mut().enumerate() {
            let Some(row) = self.rows.get(i) else { continue };
            read += row.count as usize;
            if row.valid && row.is_odd(ask.from_ms) {
                odd.push(i);
                continue;
            }
            if row.valid && row.count == 0 {
                continue;
            }
            match self.slid(i).and_then(|slid| (ask.body)(&slid)) {
                Some(found) => *value = found.unwrap_or(STALE_NAN),
                None => whole.push(i),
            }
        }
        self.read_whole(ask, &whole, &mut |i, points| {
            if let Some(value) = values.get_mut(i) {
                *value = if points.is_empty() { STALE_NAN } else { (ask.whole)(points).unwrap_or(STALE_NAN) };
            }
        })?;
        for i in whole {
            if self.rows.get(i).is_some_and(|row| row.is_odd(ask.from_ms)) {
                odd.push(i);
                values[i] = STALE_NAN;
            }
        }
        odd.sort_unstable();
        self.sound = true;
        Ok(Answer { values, odd, read })
    }

    /// Takes over the rows of the series that are still selected.
    fn follow(&mut self, selection: &Selection, sound: bool) {
        let (rows, ring_len) = (selection.len(), self.ring_len);
        if !sound || self.rows.is_empty() {
            self.rows = vec![Row::default(); rows];
            self.moments = vec![Moments::default(); if self.with_moments { rows } else { 0 }];
            (self.ring, self.ring_len) = (Vec::new(), 0);
        } else if !Arc::ptr_eq(&self.handles, &selection.handles) {
            let old: AHashMap<u64, usize> = self.handles.iter().enumerate().map(|(i, handle)| (*handle, i)).collect();
            let mut next = Self { with_moments: self.with_moments, ..Self::default() };
            next.rows = Vec::with_capacity(rows);
            for handle in selection.handles.iter() {
                let from = old.get(handle).copied();
                next.rows.push(from.and_then(|i| self.rows.get(i)).copied().unwrap_or_default());
                if self.with_moments {
                    next.moments.push(from.and_then(|i| self.moments.get(i)).copied().unwrap_or_default());
                }
                match from.and_then(|i| self.ring.get(i * ring_len..(i + 1) * ring_len)) {
                    Some(points) => next.ring.extend_from_slice(points),
                    None => next.ring.extend(std::iter::repeat_n(row::NO_POINT, ring_len)),
                }
            }
            (self.rows, self.moments, self.ring) = (next.rows, next.moments, next.ring);
        }
        self.handles = Arc::clone(&selection.handles);
    }

    /// Brings every row to the window asked for.
    fn advance(&mut self, ask: &Ask<'_>) -> Result<(), SourceError> {
        let (from_ms, to_ms) = (ask.from_ms, ask.to_ms);
        if self.settled && (from_ms, to_ms) == (self.from_ms, self.to_ms) && self.rows.iter().all(|row| row.valid) {
            return Ok(());
        }
        if to_ms < self.to_ms || from_ms < self.from_ms {
            self.rows.iter_mut().for_each(|row| row.valid = false);
        }
        (self.from_ms, self.to_ms) = (from_ms, to_ms);
        let after: Vec<i64> = self.rows.iter().map(|row| if row.valid { row.seen_ms } else { from_ms }).collect();
        ask.source.advance(ask.selection, &after, to_ms, &mut |i, tail| match self.rows.get(i) {
            Some(row) if row.valid => self.step(i, tail),
            _ => self.rebuild(i, tail),
        })?;
        self.settled = true;
        Ok(())
    }

    /// Reads whole windows: of rows that could not be advanced, and of those whose function must see the points.
    fn read_whole(
        &mut self,
        ask: &Ask<'_>,
        places: &[usize],
        visit: &mut dyn FnMut(usize, &[Point]),
    ) -> Result<(), SourceError> {
        if places.is_empty() {
            return Ok(());
        }
        let part = ask.selection.part(places);
        let after = vec![ask.from_ms; places.len()];
        let mut scratch = Vec::new();
        ask.source.advance(&part, &after, ask.to_ms, &mut |n, tail| {
            let Some(i) = places.get(n).copied() else { return };
            self.rebuild(i, tail);
            scratch.clear();
            scratch.extend(tail.points.iter().filter(|p| !is_mark(p.value)));
            visit(i, &scratch);
        })
    }
}
