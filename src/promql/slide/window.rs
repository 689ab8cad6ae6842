//! The windows of the series of one selector.
//!
//! Each evaluation reads the store once: what is new of rows that go on, the whole window of those that cannot, and of
//! the latter the function is computed right there. Only a row that turns out not to go on is read a second time.

use std::sync::Arc;

use ahash::AHashMap;

use super::room::Claim;
use super::row::{self, Row};
use super::{Answer, Ask, RING_MAX, RING_MIN};
use crate::model::{Point, STALE_NAN, is_mark};
use crate::promql::functions::exact::Moments;
use crate::promql::source::{Selection, SourceError, Tail};

/// One in so many rows whose window outgrows its ring makes all rings larger.
const OUTGROWN_SHARE: usize = 4;

/// The windows of the series of one selector.
#[derive(Debug)]
pub(super) struct Slide {
    handles: Arc<[u64]>,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) rows: Vec<Row>,
    /// One per row where a function asked for them; else empty.
    pub(super) moments: Vec<Moments>,
    pub(super) with_moments: bool,
    /// `ring_len` points for each row; 0 until a point has been seen.
    pub(super) ring: Vec<Point>,
    pub(super) ring_len: usize,
    /// Rows whose window is about to outgrow the ring, and the points in these windows.
    outgrown: (usize, usize),
    /// The slot at which this was asked for last.
    pub(super) asked_ms: i64,
    /// The cache's count when this was last asked for, and whether nothing was written since it was brought up to date.
    pub(super) written: u64,
    pub(super) settled: bool,
    /// False while the rows change: after a panic nothing of them is believed.
    sound: bool,
    /// How many windows were read whole by this evaluation.
    pub(super) read_whole: u64,
    claim: Claim,
}

/// Values of a function that were computed while the store was read, by place, in ascending order.
type Known = Vec<(usize, Option<f64>)>;

impl Slide {
    pub fn new(claim: Claim) -> Self {
        Self {
            handles: Arc::from([]),
            from_ms: 0,
            to_ms: 0,
            rows: Vec::new(),
            moments: Vec::new(),
            with_moments: false,
            ring: Vec::new(),
            ring_len: 0,
            outgrown: (0, 0),
            asked_ms: 0,
            written: 0,
            settled: false,
            sound: false,
            read_whole: 0,
            claim,
        }
    }

    /// Claims what so many rows with such rings take.
    fn claim(&mut self, rows: usize, ring_len: usize) -> bool {
        let moments = if self.with_moments { size_of::<Moments>() } else { 0 };
        let row = size_of::<Row>() + moments + ring_len * size_of::<Point>();
        self.claim.resize(rows.saturating_mul(row).saturating_add(size_of::<Self>()))
    }

    /// The function's value for each series; `None` where there is no room for them.
    pub fn values(&mut self, ask: &Ask<'_>) -> Result<Option<Answer>, SourceError> {
        if ask.moments && !self.with_moments {
            self.with_moments = true;
            self.rows.clear();
        }
        self.read_whole = 0;
        let sound = std::mem::replace(&mut self.sound, false);
        if !self.follow(ask.selection, sound) {
            return Ok(None);
        }
        let mut known = self.advance(ask)?.into_iter().peekable();
        let mut values = vec![STALE_NAN; self.rows.len()];
        let (mut whole, mut odd) = (Vec::new(), Vec::new());
        let mut read = 0;
        self.outgrown = (0, 0);
        for (i, value) in values.iter_mut().enumerate() {
            let Some(row) = self.rows.get(i) else { continue };
            let count = row.count as usize;
            read += count;
            if count >= self.ring_len {
                self.outgrown = (self.outgrown.0 + 1, self.outgrown.1 + count);
            }
            if row.valid && row.is_odd(ask.from_ms) {
                odd.push(i);
                continue;
            }
            if let Some((_, found)) = known.next_if(|(place, _)| *place == i) {
                *value = found.unwrap_or(STALE_NAN);
                continue;
            }
            if row.valid && count == 0 {
                continue;
            }
            match self.slid(i).and_then(|slid| (ask.body)(&slid)) {
                Some(found) => *value = found.unwrap_or(STALE_NAN),
                None => whole.push(i),
            }
        }
        for (i, found) in self.read_again(ask, &whole)? {
            match values.get_mut(i) {
                Some(value) if !self.rows.get(i).is_some_and(|row| row.is_odd(ask.from_ms)) => {
                    *value = found.unwrap_or(STALE_NAN);
                }
                _ => odd.push(i),
            }
        }
        odd.sort_unstable();
        self.sound = true;
        Ok(Some(Answer { values, odd, read, read_whole: self.read_whole }))
    }

    /// Takes over the rows of the series that are still selected; false where there is no room.
    fn follow(&mut self, selection: &Selection, sound: bool) -> bool {
        let rows = selection.len();
        if !sound || self.rows.is_empty() {
            if !self.claim(rows, RING_MIN) {
                return false;
            }
            self.rows = vec![Row::default(); rows];
            self.moments = vec![Moments::default(); if self.with_moments { rows } else { 0 }];
            (self.ring, self.ring_len, self.outgrown) = (Vec::new(), 0, (0, 0));
        } else if !Arc::ptr_eq(&self.handles, &selection.handles) {
            if !self.claim(rows, self.ring_len.max(RING_MIN)) {
                return false;
            }
            self.take_over(&selection.handles);
        }
        self.handles = Arc::clone(&selection.handles);
        self.widen();
        true
    }

    /// Rows for other series, with what is known of those that stay.
    fn take_over(&mut self, handles: &[u64]) {
        let (rows, ring_len) = (handles.len(), self.ring_len);
        let old: AHashMap<u64, usize> = self.handles.iter().enumerate().map(|(i, handle)| (*handle, i)).collect();
        let mut next = (Vec::with_capacity(rows), Vec::new(), Vec::with_capacity(rows * ring_len));
        if self.with_moments {
            next.1.reserve_exact(rows);
        }
        for handle in handles {
            let from = old.get(handle).copied();
            next.0.push(from.and_then(|i| self.rows.get(i)).copied().unwrap_or_default());
            if self.with_moments {
                next.1.push(from.and_then(|i| self.moments.get(i)).copied().unwrap_or_default());
            }
            match from.and_then(|i| self.ring.get(i * ring_len..(i + 1) * ring_len)) {
                Some(points) => next.2.extend_from_slice(points),
                None => next.2.extend(std::iter::repeat_n(row::NO_POINT, ring_len)),
            }
        }
        (self.rows, self.moments, self.ring) = next;
    }

    /// Larger rings where many windows outgrow theirs: those that a store without history began with hold a few points.
    fn widen(&mut self) {
        let (rows, points) = self.outgrown;
        if self.ring_len == 0 || self.ring_len >= RING_MAX || rows == 0 || rows * OUTGROWN_SHARE < self.rows.len() {
            return;
        }
        let ring_len = (points / rows + 2).max(2 * self.ring_len).min(RING_MAX);
        if !self.claim(self.rows.len(), ring_len) {
            return;
        }
        let mut ring = vec![row::NO_POINT; self.rows.len() * ring_len];
        for (i, wide) in ring.chunks_exact_mut(ring_len).enumerate() {
            let Some(place) = self.place(i) else { continue };
            let held = usize::from(place.row.len);
            wide.iter_mut().zip((0..held).filter_map(|n| place.at(n))).for_each(|(slot, point)| *slot = point);
            place.row.begin = 0;
        }
        (self.ring, self.ring_len) = (ring, ring_len);
    }

    /// Rings for windows of about so many points, as far as there is room.
    pub(super) fn make_rings(&mut self, points: usize) {
        // Room for a short window and a few points more; of a long one there are always some that leave next.
        let wanted = (points + 2).clamp(RING_MIN, RING_MAX);
        let rows = self.rows.len();
        self.ring_len = if self.claim(rows, wanted) { wanted } else { RING_MIN };
        self.ring = vec![row::NO_POINT; self.ring_len * rows];
    }

    /// Whether the function cannot be computed from the figures as they were: it will not be from the next ones either.
    fn is_hopeless(&self, i: usize, ask: &Ask<'_>) -> bool {
        let hard = |row: &&Row| row.valid && (row.resets > 0 || (ask.moments && !row.exact));
        self.rows.get(i).filter(hard).is_some() && self.slid(i).is_some_and(|slid| (ask.body)(&slid).is_none())
    }

    /// Brings every row to the window asked for. Gives the values of those that were read whole and whose function must
    /// see the points.
    fn advance(&mut self, ask: &Ask<'_>) -> Result<Known, SourceError> {
        let (from_ms, to_ms) = (ask.from_ms, ask.to_ms);
        let mut known = Known::new();
        if self.settled && (from_ms, to_ms) == (self.from_ms, self.to_ms) && self.rows.iter().all(|row| row.valid) {
            return Ok(known);
        }
        if to_ms < self.to_ms || from_ms < self.from_ms {
            self.rows.iter_mut().for_each(|row| row.valid = false);
        }
        for i in 0..self.rows.len() {
            if self.is_hopeless(i, ask) {
                self.rows[i].valid = false;
            }
        }
        (self.from_ms, self.to_ms) = (from_ms, to_ms);
        let after: Vec<i64> = self.rows.iter().map(|row| if row.valid { row.seen_ms } else { from_ms }).collect();
        let mut scratch = Vec::new();
        ask.source.advance(ask.selection, &after, to_ms, &mut |i, tail| match self.rows.get(i) {
            Some(row) if row.valid => self.step(i, tail),
            _ => {
                self.rebuild(i, tail);
                known.extend(self.of_points(i, tail, (ask, &mut scratch)).map(|value| (i, value)));
            }
        })?;
        self.settled = true;
        Ok(known)
    }

    /// The function of the points of a window; `None` where its figures do, or it has no points.
    #[allow(clippy::option_option, reason = "no value is not the same as a value that the figures give")]
    fn of_points(&self, i: usize, tail: &Tail<'_>, (ask, scratch): (&Ask<'_>, &mut Vec<Point>)) -> Option<Option<f64>> {
        if self.rows.get(i).is_some_and(|row| row.valid && (row.count == 0 || row.is_odd(ask.from_ms)))
            || self.slid(i).is_some_and(|slid| (ask.body)(&slid).is_some())
        {
            return None;
        }
        scratch.clear();
        scratch.extend(tail.points.iter().filter(|p| !is_mark(p.value)));
        Some(if scratch.is_empty() { None } else { (ask.whole)(scratch) })
    }

    /// Reads whole windows: of rows that turned out not to go on, and of those whose function must see the points
    /// although their figures are right.
    fn read_again(&mut self, ask: &Ask<'_>, places: &[usize]) -> Result<Known, SourceError> {
        let mut known = Known::new();
        if places.is_empty() {
            return Ok(known);
        }
        let part = ask.selection.part(places);
        let after = vec![ask.from_ms; places.len()];
        let mut scratch = Vec::new();
        ask.source.advance(&part, &after, ask.to_ms, &mut |n, tail| {
            let Some(i) = places.get(n).copied() else { return };
            if self.rows.get(i).is_some_and(|row| row.valid) {
                self.read_whole += 1;
            } else {
                self.rebuild(i, tail);
            }
            let by_figures = || self.slid(i).and_then(|slid| (ask.body)(&slid)).flatten();
            let value = self.of_points(i, tail, (ask, &mut scratch)).unwrap_or_else(by_figures);
            known.push((i, value));
        })?;
        Ok(known)
    }
}
