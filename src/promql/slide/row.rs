//! One series of a window: how it is built from all points, and how it goes on.

use super::Slid;
use super::window::Slide;
use crate::model::{Point, is_histogram_mark, is_mark};
use crate::promql::functions::exact::Moments;
use crate::promql::source::Tail;

/// Fills rings.
pub(super) const NO_POINT: Point = Point { t_ms: i64::MIN, value: 0.0 };

/// The figures of a series' window, and where its points lie in the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub last: Point,
    /// The newest point looked at, marks included.
    pub seen_ms: i64,
    /// The newest histogram.
    histogram_ms: i64,
    pub count: u32,
    pub resets: u32,
    /// That of the series when it was read.
    pub revision: u32,
    /// Where the first point lies in the ring, and how many lie there.
    pub begin: u8,
    pub len: u8,
    /// The ring holds the whole window.
    all: bool,
    pub valid: bool,
    /// The moments are right.
    pub exact: bool,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            last: NO_POINT,
            seen_ms: i64::MIN,
            histogram_ms: i64::MIN,
            count: 0,
            resets: 0,
            revision: 0,
            begin: 0,
            len: 0,
            all: false,
            valid: false,
            exact: false,
        }
    }
}

impl Row {
    /// Whether there is a histogram in a window that begins then.
    pub fn is_odd(&self, from_ms: i64) -> bool {
        self.histogram_ms > from_ms
    }

    /// Takes note of a point that is new; whether it is a number.
    fn sees(&mut self, point: &Point) -> bool {
        self.seen_ms = point.t_ms;
        if is_histogram_mark(point.value) {
            self.histogram_ms = point.t_ms;
        }
        !is_mark(point.value)
    }
}

/// One row with what belongs to it.
pub(super) struct Place<'a> {
    pub row: &'a mut Row,
    ring: &'a mut [Point],
    moments: Option<&'a mut Moments>,
}

impl Place<'_> {
    /// A point of the ring, counted from the first in the window.
    pub fn at(&self, n: usize) -> Option<Point> {
        let place = usize::from(self.row.begin) + n;
        let place = if place >= self.ring.len() { place - self.ring.len() } else { place };
        (n < usize::from(self.row.len)).then(|| self.ring.get(place).copied()).flatten()
    }

    fn enter(&mut self, point: Point) {
        let (row, ring_len) = (&mut *self.row, self.ring.len());
        if row.count > 0 {
            row.resets += u32::from(point.value < row.last.value);
        }
        row.count += 1;
        row.last = point;
        if let Some(moments) = self.moments.as_mut().filter(|_| row.exact) {
            row.exact = moments.add(point.value);
        }
        if row.all {
            let place = (usize::from(row.begin) + usize::from(row.len)) % ring_len.max(1);
            match self.ring.get_mut(place) {
                Some(slot) if usize::from(row.len) < ring_len => {
                    *slot = point;
                    row.len += 1;
                }
                _ => row.all = false,
            }
        }
    }

    /// Lets the points go that the window has left behind; the row is no longer valid where they are not known.
    fn leave(&mut self, from_ms: i64) {
        while self.row.count > 0 {
            let Some(first) = self.at(0) else {
                self.row.valid = false;
                return;
            };
            if first.t_ms > from_ms {
                return;
            }
            let next = self.at(1);
            let row = &mut *self.row;
            if let Some(next) = next {
                row.resets -= u32::from(next.value < first.value);
            } else if row.count > 1 {
                row.valid = false;
                return;
            }
            if let Some(moments) = self.moments.as_mut().filter(|_| row.exact) {
                row.exact = moments.remove(first.value);
            }
            row.count -= 1;
            row.len -= 1;
            row.begin = if usize::from(row.begin) + 1 >= self.ring.len() { 0 } else { row.begin + 1 };
            if row.count == 0 {
                // Nothing is in the window: what comes next lies in the ring whole.
                (row.len, row.begin, row.all) = (0, 0, true);
            }
        }
    }
}

impl Slide {
    pub(super) fn place(&mut self, i: usize) -> Option<Place<'_>> {
        let ring = self.ring.get_mut(i * self.ring_len..(i + 1) * self.ring_len)?;
        Some(Place { row: self.rows.get_mut(i)?, ring, moments: self.moments.get_mut(i) })
    }

    /// Goes on by the points that are new.
    pub(super) fn step(&mut self, i: usize, tail: &Tail<'_>) {
        let from_ms = self.from_ms;
        let Some(mut place) = self.place(i) else { return };
        let first = place.at(0).filter(|_| place.row.count > 0);
        // Otherwise something behind its newest point has changed, or the store has given up points of the window.
        let continued = place.row.revision == tail.revision && first.is_none_or(|p| p.t_ms >= tail.oldest_ms);
        if !continued {
            place.row.valid = false;
            return;
        }
        for point in tail.points {
            if place.row.sees(point) {
                place.enter(*point);
            }
        }
        place.leave(from_ms);
    }

    /// Begins anew from all points of the window.
    pub(super) fn rebuild(&mut self, i: usize, tail: &Tail<'_>) {
        self.read_whole += 1;
        let count = tail.points.iter().filter(|p| !is_mark(p.value)).count();
        if self.ring_len == 0 && count > 0 {
            self.make_rings(count);
        }
        let (ring_len, from_ms) = (self.ring_len, self.from_ms);
        let with_moments = self.with_moments;
        if let Some(moments) = self.moments.get_mut(i) {
            *moments = Moments::default();
        }
        let Some(row) = self.rows.get_mut(i) else { return };
        let all = count <= ring_len;
        *row =
            Row { seen_ms: from_ms, revision: tail.revision, all, valid: true, exact: with_moments, ..Row::default() };
        // Not all rows should run out of points in the same slot.
        let kept = if all { ring_len } else { ring_len / 2 + i % (ring_len / 2).max(1) };
        let Some(mut place) = self.place(i) else { return };
        for point in tail.points {
            if !place.row.sees(point) {
                continue;
            }
            let fits = usize::from(place.row.len) < kept;
            place.row.all = fits && usize::from(place.row.len) == place.row.count as usize;
            place.enter(*point);
        }
        place.row.all &= all;
    }

    /// The figures of a row; none where they are not known.
    pub(super) fn slid(&self, i: usize) -> Option<Slid<'_>> {
        let row = self.rows.get(i).filter(|row| row.valid && row.count > 0)?;
        let first = *self.ring.get(i * self.ring_len + usize::from(row.begin)).filter(|_| row.len > 0)?;
        let moments = self.moments.get(i).filter(|_| row.exact);
        let (from_ms, to_ms) = (self.from_ms, self.to_ms);
        Some(Slid { first, last: row.last, count: row.count as usize, resets: row.resets, moments, from_ms, to_ms })
    }
}
