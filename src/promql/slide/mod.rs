//! Windows that are advanced by what is new instead of being read again.
//!
//! Place in the flow: the evaluator asks for the values of a function of a range selector; for functions that can be
//! computed from a few running figures ([`Slid`]) this keeps the figures of each series from one slot to the next. The
//! results are those of reading the whole window, to the bit: where a figure could round or cannot be kept (a counter
//! that was reset inside the window, values that are no decimals, samples that came late), the window is read.
//!
//! Invariant: the figures of a valid row are those of its points in `(from_ms, to_ms]`, marks left out.

mod room;
mod row;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;
use room::{Claim, Room};
use window::Slide;

use super::functions::exact::Moments;
use super::source::{Advancing, Selection, SourceError};
use crate::model::Point;

/// Bytes that windows may take unless asked for otherwise.
pub const SLIDE_BYTES_MAX_DEFAULT: usize = 512 << 20;
/// Points kept of each series: all of a short window, of a longer one the next that leave it.
const RING_MAX: usize = 32;
/// The fewest of them.
const RING_MIN: usize = 4;
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
    /// How many windows were read whole.
    pub read_whole: u64,
}

/// What is asked of a window.
pub(crate) struct Ask<'a> {
    pub source: &'a dyn Advancing,
    pub selection: &'a Selection,
    pub from_ms: i64,
    pub to_ms: i64,
    /// The slot, and how far before it the evaluation is.
    pub slot_ms: i64,
    pub behind_ms: i64,
    /// Whether [`Slid::moments`] are wanted.
    pub moments: bool,
    pub body: SlideBody,
    /// The function of the points, of which there is at least one.
    pub whole: &'a dyn Fn(&[Point]) -> Option<f64>,
}

/// By the key of the selector and the distance from the slot.
type Slides = AHashMap<(u128, i64), Arc<Mutex<Slide>>>;

/// Windows by their selector, and by how far behind the slot they are looked at, kept from slot to slot. Shared by the
/// evaluations of one store.
#[derive(Debug)]
pub struct SlideCache {
    /// Guards the map; held for a look-up. A window has a lock of its own.
    slides: Mutex<Slides>,
    room: Arc<Room>,
    /// How often something was written between two evaluations at one instant.
    written: AtomicU64,
    idle: AtomicU64,
    refused: AtomicU64,
    read_whole: AtomicU64,
}

/// What windows take, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlideStats {
    /// Bytes held now.
    pub bytes: u64,
    /// Windows given up because nobody asked for them.
    pub idle: u64,
    /// Times a window was not kept for want of room.
    pub refused: u64,
    /// Windows of single series that were read whole, rather than brought up to date by what was new.
    pub read_whole: u64,
}

impl Default for SlideCache {
    fn default() -> Self {
        Self::new(SLIDE_BYTES_MAX_DEFAULT)
    }
}

impl SlideCache {
    /// An empty cache that grows to so many bytes at most; windows beyond are read whole at each evaluation. While the
    /// series of a selector change, its window stands there twice.
    pub fn new(bytes_max: usize) -> Self {
        let [written, idle, refused, read_whole] = [const { AtomicU64::new(0) }; 4];
        Self { slides: Mutex::default(), room: Arc::new(Room::new(bytes_max)), written, idle, refused, read_whole }
    }

    /// What the windows take, and what became of them.
    pub fn stats(&self) -> SlideStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SlideStats {
            bytes: self.room.held() as u64,
            idle: count(&self.idle),
            refused: count(&self.refused),
            read_whole: count(&self.read_whole),
        }
    }

    /// Says that samples were written at an instant that was evaluated already: its windows are looked at again.
    pub fn note_written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up windows that were not asked for in a while.
    pub fn forget_idle(&self, slot_ms: i64) {
        let mut slides = self.slides.lock().unwrap_or_else(PoisonError::into_inner);
        let before = slides.len();
        slides.retain(|_, slide| {
            // One that is in use now is not idle.
            let Ok(slide) = slide.try_lock() else { return true };
            slide.asked_ms.saturating_add(IDLE_MS) > slot_ms
        });
        self.idle.fetch_add((before - slides.len()) as u64, Ordering::Relaxed);
    }

    /// The function's value for each series; `None` where there is no room.
    pub(crate) fn values(&self, key: u128, ask: &Ask<'_>) -> Result<Option<Answer>, SourceError> {
        let key = (key, ask.behind_ms);
        let shared = {
            let mut slides = self.slides.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Mutex::new(Slide::new(Claim::new(&self.room))));
            Arc::clone(slides.entry(key).or_insert_with(new))
        };
        let mut slide = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.written.load(Ordering::Relaxed);
        if slide.written != written {
            (slide.written, slide.settled) = (written, false);
        }
        slide.asked_ms = ask.slot_ms;
        let answer = slide.values(ask);
        drop(slide);
        match &answer {
            Ok(Some(answer)) => _ = self.read_whole.fetch_add(answer.read_whole, Ordering::Relaxed),
            Ok(None) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let mut slides = self.slides.lock().unwrap_or_else(PoisonError::into_inner);
                if slides.get(&key).is_some_and(|kept| Arc::ptr_eq(kept, &shared)) {
                    slides.remove(&key);
                }
            }
            Err(_) => {}
        }
        answer
    }
}
