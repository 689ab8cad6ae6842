//! One series: sealed chunks, and an open head of at most [`HEAD_POINTS_MAX`] points.
//!
//! Invariant: chunks are ascending and disjoint, every head point is later than every chunk, times are unique.
//! A full head is merged into the last chunk until that holds [`CHUNK_POINTS_MAX`] points: each sample is coded some
//! four times, and in exchange an active series never holds more than half a kilobyte uncoded.
//!
//! Of two values at one time the first stays, as in Prometheus; but a value takes the place of a mark (the series
//! came back within the same millisecond), and a mark never takes the place of a value.

use super::chunk::{CHUNK_POINTS_MAX, Chunk};
use crate::model::{Point, SILENT_NAN, is_stale};

/// Points kept uncoded per series.
const HEAD_POINTS_MAX: usize = 32;
/// How many fewer some series keep: those that were begun together are not all coded at the same scrape.
const HEAD_POINTS_SPREAD: u32 = 9;

/// Stands for a value that was not read yet while a series is restored. Should a sample have these very bits, they are
/// read once more.
const UNREAD_NAN: f64 = f64::from_bits(0x7ff4_0000_0000_a1e7);

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Appended,
    OutOfOrder,
    /// The same value at the same time.
    Duplicate,
    /// Another value at the same time: refused.
    Conflict,
    /// A value that took the place of a mark.
    Replaced,
    TooOld,
}

/// What the series of a shard hold, kept as they change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) points: u64,
    pub(super) chunks: u64,
    pub(super) bytes: u64,
}

/// Counters and a decoding buffer that the series of one shard share.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) tally: Tally,
    pub(super) points: Vec<Point>,
}

/// The points of one label set.
#[derive(Debug)]
pub(super) struct Series {
    chunks: Vec<Chunk>,
    head: Vec<Point>,
    newest: Option<Point>,
    /// Time of the first point: beside the newest one, so that readers who look at nothing else follow no pointer.
    oldest_ms: i64,
    /// When it was last written to, by the clock of the writer.
    pub(super) touched_ms: i64,
    /// How many points make a full head of this series.
    full: u8,
    /// Another number after every change but a point at the end and points dropped at the beginning.
    revision: u32,
}

impl Series {
    /// An empty one; `place` is any number that differs between series.
    pub(super) fn new(place: u32, now_ms: i64) -> Self {
        let full = HEAD_POINTS_MAX as u8 - (place % HEAD_POINTS_SPREAD) as u8;
        let (chunks, head) = (Vec::new(), Vec::new());
        Self { chunks, head, newest: None, oldest_ms: i64::MAX, touched_ms: now_ms, full, revision: 0 }
    }

    pub(super) fn newest(&self) -> Option<Point> {
        self.newest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Time of the first point.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.newest.map(|_| self.oldest_ms)
    }

    /// Where points at the beginning came or went.
    fn look_for_oldest(&mut self) {
        let first = self.chunks.first().map(|c| c.first_ms).or_else(|| self.head.first().map(|p| p.t_ms));
        self.oldest_ms = first.unwrap_or(i64::MAX);
    }

    /// Adds a point; `out_of_order_ms` is how far behind the newest one it may be.
    #[inline]
    pub(super) fn insert(&mut self, point: Point, out_of_order_ms: i64, work: &mut Workspace) -> Outcome {
        if self.newest.is_none_or(|n| point.t_ms > n.t_ms) {
            self.newest = Some(point);
            self.push(point, work);
            return Outcome::Appended;
        }
        self.insert_behind(point, out_of_order_ms, work)
    }

    #[inline]
    fn push(&mut self, point: Point, work: &mut Workspace) {
        if self.head.len() == self.head.capacity() {
            self.grow(work);
        }
        self.head.push(point);
        self.oldest_ms = self.oldest_ms.min(point.t_ms);
        work.tally.points += 1;
        if self.head.len() >= usize::from(self.full) {
            self.seal(work);
        }
    }

    /// Doubles the head's room; most series of a churning fleet never fill it.
    fn grow(&mut self, work: &mut Workspace) {
        let before = self.head.capacity();
        self.head.reserve_exact(before.clamp(2, HEAD_POINTS_MAX / 2).max(2));
        work.tally.bytes += ((self.head.capacity() - before) * size_of::<Point>()) as u64;
    }

    fn insert_behind(&mut self, point: Point, out_of_order_ms: i64, work: &mut Workspace) -> Outcome {
        let newest_ms = self.newest.map_or(point.t_ms, |n| n.t_ms);
        let sealed_ms = self.chunks.last().map_or(i64::MIN, |c| c.last_ms);
        let late = newest_ms.saturating_sub(point.t_ms) > out_of_order_ms;
        let outcome = if self.chunks.is_empty() || point.t_ms > sealed_ms {
            self.insert_head(point, late, work)
        } else {
            self.insert_sealed(point, late, work)
        };
        if outcome == Outcome::Replaced && point.t_ms == newest_ms {
            self.newest = Some(point);
        }
        if matches!(outcome, Outcome::OutOfOrder | Outcome::Replaced) {
            self.revision = self.revision.wrapping_add(1);
        }
        outcome
    }

    fn insert_head(&mut self, point: Point, late: bool, work: &mut Workspace) -> Outcome {
        let at = self.head.partition_point(|p| p.t_ms < point.t_ms);
        if let Some(there) = self.head.get_mut(at).filter(|p| p.t_ms == point.t_ms) {
            return settle(there, point);
        }
        if late {
            return Outcome::TooOld;
        }
        if self.head.len() == self.head.capacity() {
            self.grow(work);
        }
        self.head.insert(at, point);
        self.oldest_ms = self.oldest_ms.min(point.t_ms);
        work.tally.points += 1;
        if self.head.len() >= usize::from(self.full) {
            self.seal(work);
        }
        Outcome::OutOfOrder
    }

    fn insert_sealed(&mut self, point: Point, late: bool, work: &mut Workspace) -> Outcome {
        let index = self.chunks.partition_point(|c| c.last_ms < point.t_ms);
        let Some(chunk) = self.chunks.get(index) else { return Outcome::TooOld };
        let mut points = std::mem::take(&mut work.points);
        points.clear();
        chunk.read(&mut points);
        let at = points.partition_point(|p| p.t_ms < point.t_ms);
        let outcome = match points.get_mut(at).filter(|p| p.t_ms == point.t_ms) {
            Some(there) => settle(there, point),
            None if late => Outcome::TooOld,
            None => {
                points.insert(at, point);
                self.oldest_ms = self.oldest_ms.min(point.t_ms);
                work.tally.points += 1;
                Outcome::OutOfOrder
            }
        };
        if matches!(outcome, Outcome::OutOfOrder | Outcome::Replaced) {
            let middle = if points.len() > CHUNK_POINTS_MAX { points.len() / 2 } else { points.len() };
            let (left, right) = points.split_at(middle);
            self.replace(index, index + 1, [left, right], work);
        }
        work.points = points;
        outcome
    }

    /// Puts freshly coded chunks (none for an empty part) in the place of the chunks `from..to`.
    fn replace(&mut self, from: usize, to: usize, parts: [&[Point]; 2], work: &mut Workspace) {
        let new = parts.into_iter().filter_map(Chunk::new);
        for chunk in new.clone() {
            work.tally.chunks += 1;
            work.tally.bytes += chunk.bytes() as u64;
        }
        for chunk in self.chunks.splice(from..to, new) {
            work.tally.chunks -= 1;
            work.tally.bytes -= chunk.bytes() as u64;
        }
    }

    /// Codes the head, with the chunks before it that it makes no longer than a chunk may be: the last one, and those that
    /// a restart or a late point has left short.
    fn seal(&mut self, work: &mut Workspace) {
        let end = self.chunks.len();
        let mut total = self.head.len();
        let fits = |chunk: &&Chunk| {
            total += chunk.len();
            total <= CHUNK_POINTS_MAX
        };
        let from = end - self.chunks.iter().rev().take_while(fits).count();
        let mut points = std::mem::take(&mut work.points);
        points.clear();
        self.chunks.iter().skip(from).for_each(|chunk| chunk.read(&mut points));
        points.append(&mut self.head);
        self.replace(from, end, [&points, &[]], work);
        work.points = points;
    }

    /// Codes the head of a series that nobody writes to any more, and gives back its room.
    pub(super) fn settle_idle(&mut self, work: &mut Workspace) {
        if self.head.capacity() == 0 {
            return;
        }
        if !self.head.is_empty() {
            self.seal(work);
        }
        work.tally.bytes -= (self.head.capacity() * size_of::<Point>()) as u64;
        self.head = Vec::new();
        self.chunks.shrink_to_fit();
    }

    /// The chunks, and the points that are not coded yet.
    pub(super) fn parts(&mut self) -> (&mut [Chunk], &[Point]) {
        (&mut self.chunks, &self.head)
    }

    /// Takes a stored chunk. Where it overlaps chunks that came before, it is their later state and takes their place.
    pub(super) fn restore(&mut self, chunk: Chunk, newest: Option<Point>, work: &mut Workspace) {
        let from = self.chunks.partition_point(|c| c.last_ms < chunk.first_ms);
        let to = self.chunks.partition_point(|c| c.first_ms <= chunk.last_ms).max(from);
        work.tally.chunks += 1;
        work.tally.points += chunk.len() as u64;
        work.tally.bytes += chunk.bytes() as u64;
        if to == self.chunks.len() {
            // To read the value of each chunk that comes would mean to read them all.
            self.newest = newest.or(Some(Point { t_ms: chunk.last_ms, value: UNREAD_NAN }));
        }
        if from == self.chunks.len() {
            self.chunks.push(chunk);
        } else {
            for old in self.chunks.splice(from..to, [chunk]) {
                discount(&old, work);
            }
        }
        self.look_for_oldest();
        self.touched_ms = self.newest.map_or(self.touched_ms, |newest| newest.t_ms);
        self.revision = self.revision.wrapping_add(1);
    }

    /// Reads the newest value, where restored chunks did not tell it.
    pub(super) fn find_newest(&mut self, work: &mut Workspace) {
        if self.newest.is_none_or(|newest| newest.value.to_bits() != UNREAD_NAN.to_bits()) {
            return;
        }
        work.points.clear();
        if let Some(chunk) = self.chunks.last() {
            chunk.read(&mut work.points);
        }
        self.newest = self.head.last().or(work.points.last()).copied();
    }

    /// The latest point at or before an instant.
    #[inline]
    pub(super) fn latest_at(&self, at_ms: i64, scratch: &mut Vec<Point>) -> Option<Point> {
        let newest = self.newest?;
        if newest.t_ms <= at_ms { Some(newest) } else { self.search(at_ms, scratch) }
    }

    fn search(&self, at_ms: i64, scratch: &mut Vec<Point>) -> Option<Point> {
        let in_head = self.head.partition_point(|p| p.t_ms <= at_ms);
        if in_head > 0 {
            return self.head.get(in_head - 1).copied();
        }
        let index = self.chunks.partition_point(|c| c.first_ms <= at_ms);
        let chunk = self.chunks.get(index.checked_sub(1)?)?;
        scratch.clear();
        chunk.read(scratch);
        let upto = scratch.partition_point(|p| p.t_ms <= at_ms);
        scratch.get(upto.checked_sub(1)?).copied()
    }

    /// See [`crate::promql::Tail::revision`].
    pub(super) fn revision(&self) -> u32 {
        self.revision
    }

    /// As [`Self::range`], for a reader who has seen all but the last few points.
    #[inline]
    pub(super) fn tail(&self, after_ms: i64, to_ms: i64, out: &mut Vec<Point>) {
        if self.chunks.last().is_some_and(|c| c.last_ms > after_ms) {
            return self.range(after_ms, to_ms, out);
        }
        let new = self.head.iter().rev().take_while(|p| p.t_ms > after_ms).count();
        let new = self.head.get(self.head.len() - new..).unwrap_or(&[]);
        out.extend(new.iter().take_while(|p| p.t_ms <= to_ms));
    }

    /// Appends the points in `(from_ms, to_ms]`, oldest first.
    pub(super) fn range(&self, from_ms: i64, to_ms: i64, out: &mut Vec<Point>) {
        let first = self.chunks.partition_point(|c| c.last_ms <= from_ms);
        for chunk in self.chunks.iter().skip(first).take_while(|c| c.first_ms <= to_ms) {
            chunk.read_range(from_ms, to_ms, out);
        }
        let head = |at_ms: i64| self.head.partition_point(|p| p.t_ms <= at_ms);
        out.extend_from_slice(self.head.get(head(from_ms)..head(to_ms)).unwrap_or(&[]));
    }

    /// Drops chunks that end before an instant, and everything if all of it is older.
    pub(super) fn forget_before(&mut self, cutoff_ms: i64, work: &mut Workspace) {
        if self.newest.is_some_and(|n| n.t_ms < cutoff_ms) {
            self.clear(work);
            return;
        }
        let old = self.chunks.partition_point(|c| c.last_ms < cutoff_ms);
        if old == 0 {
            return;
        }
        for chunk in self.chunks.drain(..old) {
            discount(&chunk, work);
        }
        self.look_for_oldest();
    }

    /// Drops the points later than an instant and lets the series fall silent right behind it.
    pub(super) fn rewind(&mut self, cut_ms: i64, work: &mut Workspace) {
        if self.newest.is_none_or(|newest| newest.t_ms <= cut_ms) {
            return;
        }
        let keep = self.head.partition_point(|p| p.t_ms <= cut_ms);
        work.tally.points -= (self.head.len() - keep) as u64;
        self.head.truncate(keep);
        let from = self.chunks.partition_point(|c| c.last_ms <= cut_ms);
        let mut points = std::mem::take(&mut work.points);
        points.clear();
        if let Some(straddling) = self.chunks.get(from) {
            straddling.read(&mut points);
            points.truncate(points.partition_point(|p| p.t_ms <= cut_ms));
        }
        let dropped: usize = self.chunks.iter().skip(from).map(Chunk::len).sum();
        work.tally.points -= (dropped - points.len()) as u64;
        self.replace(from, self.chunks.len(), [&points, &[]], work);
        work.points = points;
        self.revision = self.revision.wrapping_add(1);
        self.look_for_oldest();
        let mark = Point { t_ms: cut_ms.saturating_add(1), value: SILENT_NAN };
        self.newest = Some(mark);
        self.push(mark, work);
    }

    /// Drops all points.
    pub(super) fn clear(&mut self, work: &mut Workspace) {
        for chunk in self.chunks.drain(..) {
            discount(&chunk, work);
        }
        work.tally.points -= self.head.len() as u64;
        work.tally.bytes -= (self.head.capacity() * size_of::<Point>()) as u64;
        self.head = Vec::new();
        (self.newest, self.oldest_ms) = (None, i64::MAX);
        self.revision = self.revision.wrapping_add(1);
    }
}

fn discount(chunk: &Chunk, work: &mut Workspace) {
    work.tally.chunks -= 1;
    work.tally.points -= chunk.len() as u64;
    work.tally.bytes -= chunk.bytes() as u64;
}

/// Decides between two points of one time.
fn settle(there: &mut Point, new: Point) -> Outcome {
    if there.value.to_bits() == new.value.to_bits() {
        Outcome::Duplicate
    } else if is_stale(there.value) && !is_stale(new.value) {
        there.value = new.value;
        Outcome::Replaced
    } else {
        Outcome::Conflict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(t_ms: i64) -> Point {
        Point { t_ms, value: t_ms as f64 }
    }

    #[test]
    fn series_that_were_begun_together_are_not_coded_at_the_same_scrape() {
        let mut work = Workspace::default();
        let mut all: Vec<Series> = (0..900).map(|place| Series::new(place, 0)).collect();
        for t_ms in 0..96 {
            for series in &mut all {
                series.insert(point(t_ms), 0, &mut work);
            }
            let coded = all.iter().filter(|series| series.head.is_empty()).count();
            assert!(coded <= 200, "{coded} of 900 at {t_ms}");
        }
    }

    #[test]
    fn the_time_of_the_first_point_follows_whatever_is_done_to_a_series() {
        let check = |series: &Series, what: &str| {
            let mut points = Vec::new();
            series.range(i64::MIN, i64::MAX, &mut points);
            assert_eq!(series.oldest_ms(), points.first().map(|p| p.t_ms), "{what}");
        };
        let (mut work, mut series) = (Workspace::default(), Series::new(3, 0));
        check(&series, "empty");
        series.insert(point(1000), 0, &mut work);
        check(&series, "one");
        series.insert(point(900), 200, &mut work);
        check(&series, "one before it in the head");
        for t_ms in 1001..1500 {
            series.insert(point(t_ms), 0, &mut work);
        }
        series.insert(point(800), 2000, &mut work);
        check(&series, "one before all chunks");
        series.forget_before(1300, &mut work);
        assert!(series.oldest_ms().is_some_and(|oldest| oldest > 1000));
        check(&series, "old chunks forgotten");
        series.rewind(1400, &mut work);
        check(&series, "rewound");
        series.rewind(100, &mut work);
        check(&series, "rewound behind its beginning");
        series.settle_idle(&mut work);
        check(&series, "idle");
        series.forget_before(10_000, &mut work);
        check(&series, "all forgotten");
        series.insert(point(5), 0, &mut work);
        check(&series, "begun again");
    }
}
