//! Reading: the [`Source`] of the evaluator, and the lists that the API and the saver ask for.

use std::collections::BTreeMap;

use super::index::SeriesRef;
use super::selectors::Known;
use super::shard::shard_of;
use super::{EmbeddedStore, read, write};
use crate::ingest::Metadata;
use crate::model::{AbsenceReason, HistogramPoint, Labels, Point, is_end_mark, is_stale};
use crate::promql::{Advancing, Matcher, Selection, Source, SourceError, Tail, Visit};

/// Points that are copied under a lock before they are looked at.
const POINTS_AT_ONCE: usize = 16_384;

impl EmbeddedStore {
    /// The series that match all matchers, ascending by labels. An unchanged selector gives the same shared lists.
    pub fn series(&self, matchers: &[Matcher]) -> Selection {
        let version = {
            let index = read(&self.index);
            match index.known(matchers) {
                Known::Current(selection) => return selection,
                Known::Changed => None,
                Known::No => Some((index.search(matchers), index.version())),
            }
        };
        let mut index = write(&self.index);
        if let Some(selection) = index.refresh(matchers) {
            return selection;
        }
        // A series may have come or gone between the two locks; then the search is made again under this one.
        let selection = match version {
            Some((selection, version)) if version == index.version() => selection,
            _ => index.search(matchers),
        };
        index.remember(matchers, &selection);
        selection
    }

    /// The labels of a series, if it is still there.
    pub fn labels_of(&self, series: SeriesRef) -> Option<Labels> {
        read(&self.index).labels(series).cloned()
    }

    /// The newest point of a series, marks included.
    pub fn newest(&self, series: SeriesRef) -> Option<Point> {
        read(self.shard(series)).get(series)?.newest()
    }

    /// The label sets of a selection whose time, from the oldest point to the newest, meets `from_ms` to `to_ms`.
    pub fn living_within(&self, selection: &Selection, from_ms: i64, to_ms: i64) -> Vec<Labels> {
        let lives = |handle: u64| {
            let shard = read(self.shard(SeriesRef(handle)));
            let Some(series) = shard.get(SeriesRef(handle)) else { return false };
            let (oldest, newest) = (series.oldest_ms(), series.newest());
            oldest.is_some_and(|oldest| oldest <= to_ms) && newest.is_some_and(|newest| newest.t_ms >= from_ms)
        };
        let series = selection.series.iter().zip(selection.handles.iter());
        series.filter(|(_, handle)| lives(**handle)).map(|(labels, _)| labels.clone()).collect()
    }

    /// Appends the points of a series in `(from_ms, to_ms]`, marks included, oldest first.
    pub fn points(&self, series: SeriesRef, from_ms: i64, to_ms: i64, out: &mut Vec<Point>) {
        if let Some(series) = read(self.shard(series)).get(series) {
            series.range(from_ms, to_ms, out);
        }
    }

    /// The names of all labels, ascending.
    pub fn label_names(&self) -> Vec<String> {
        read(&self.index).label_names()
    }

    /// The values of a label, ascending.
    pub fn label_values(&self, name: &str) -> Vec<String> {
        read(&self.index).label_values(name)
    }

    /// The times of the oldest and the newest point; walks over all series.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let mut range: Option<(i64, i64)> = None;
        for shard in &self.shards {
            read(shard).each(|series| {
                if let (Some(oldest), Some(newest)) = (series.oldest_ms(), series.newest()) {
                    let (from, to) = range.unwrap_or((oldest, newest.t_ms));
                    range = Some((from.min(oldest), to.max(newest.t_ms)));
                }
            });
        }
        range
    }

    /// What the metric families are, by name.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        read(&self.metadata).clone()
    }

    /// What one metric family is.
    pub fn metadata_of(&self, family: &str) -> Option<Metadata> {
        read(&self.metadata).get(family).cloned()
    }
}

impl Advancing for EmbeddedStore {
    fn advance(
        &self,
        selection: &Selection,
        after_ms: &[i64],
        to_ms: i64,
        visit: &mut dyn FnMut(usize, &Tail<'_>),
    ) -> Result<(), SourceError> {
        self.refuse_lost_range(selection, after_ms.iter().copied().min().unwrap_or(to_ms), to_ms)?;
        let (mut points, mut tails) = (Vec::new(), Vec::new());
        let mut done = 0;
        while let Some(first) = selection.handles.get(done) {
            let shard_id = shard_of(SeriesRef(*first).slot());
            let rest = selection.handles.iter().zip(after_ms).skip(done);
            // What is visited is foreign code, which must not run under the lock.
            points.clear();
            tails.clear();
            {
                let shard = read(self.shard(SeriesRef(*first)));
                for (handle, after_ms) in rest.take_while(|(h, _)| shard_of(SeriesRef(**h).slot()) == shard_id) {
                    let begin = points.len();
                    let (mut revision, mut oldest_ms) = (0, i64::MAX);
                    if let Some(series) = shard.get(SeriesRef(*handle)) {
                        (revision, oldest_ms) = (series.revision(), series.oldest_ms().unwrap_or(i64::MAX));
                        series.tail(*after_ms, to_ms, &mut points);
                    }
                    tails.push((revision, oldest_ms, begin..points.len()));
                    if points.len() >= POINTS_AT_ONCE {
                        break;
                    }
                }
            }
            for (i, (revision, oldest_ms, place)) in (done..).zip(tails.iter().cloned()) {
                let points = points.get(place).unwrap_or(&[]);
                visit(i, &Tail { points, revision, oldest_ms });
            }
            if tails.is_empty() {
                break;
            }
            done += tails.len();
        }
        Ok(())
    }
}

impl Source for EmbeddedStore {
    fn advancing(&self) -> Option<&dyn Advancing> {
        Some(self)
    }

    fn select(&self, matchers: &[Matcher]) -> Result<Selection, SourceError> {
        if self.options.needs_samples && !self.counters.any_appended() {
            return Err(SourceError::Unavailable("the store has just started and has no samples yet".to_owned()));
        }
        Ok(self.series(matchers))
    }

    fn instant(
        &self,
        selection: &Selection,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), SourceError> {
        out.clear();
        out.reserve(selection.len());
        self.refuse_lost_instant(selection, at_ms, lookback_ms)?;
        let after_ms = at_ms.saturating_sub(lookback_ms);
        let mut scratch = Vec::new();
        let mut rest = &selection.handles[..];
        while let Some(first) = rest.first() {
            let shard_id = shard_of(SeriesRef(*first).slot());
            let together = rest.iter().take_while(|h| shard_of(SeriesRef(**h).slot()) == shard_id).count();
            let (run, later) = rest.split_at(together);
            rest = later;
            let shard = read(self.shard(SeriesRef(*first)));
            out.extend(run.iter().map(|handle| {
                let point = shard.get(SeriesRef(*handle))?.latest_at(at_ms, &mut scratch)?;
                (point.t_ms > after_ms && !is_stale(point.value)).then_some(point)
            }));
        }
        Ok(())
    }

    fn range(&self, selection: &Selection, from_ms: i64, to_ms: i64, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        self.refuse_lost_range(selection, from_ms, to_ms)?;
        let mut points = Vec::new();
        for (i, handle) in selection.handles.iter().enumerate() {
            points.clear();
            self.points(SeriesRef(*handle), from_ms, to_ms, &mut points);
            if visit(i, &points).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn histograms(
        &self,
        selection: &Selection,
        series: usize,
        (from_ms, to_ms): (i64, i64),
        out: &mut Vec<HistogramPoint>,
    ) -> Result<(), SourceError> {
        if let Some(handle) = selection.handles.get(series) {
            self.histogram_points(SeriesRef(*handle), from_ms, to_ms, out);
        }
        Ok(())
    }

    fn absence(&self, matchers: &[Matcher], at_ms: i64) -> AbsenceReason {
        let selection = self.series(matchers);
        let mut scratch = Vec::new();
        let mut latest = selection.handles.iter().filter_map(|handle| {
            let series = SeriesRef(*handle);
            read(self.shard(series)).get(series)?.latest_at(at_ms, &mut scratch)
        });
        // Series that begin only later say nothing about this instant.
        let known = latest.next();
        match known {
            Some(point) if is_end_mark(point.value) && latest.all(|p| is_end_mark(p.value)) => {
                AbsenceReason::SeriesEnded
            }
            _ => AbsenceReason::NoData,
        }
    }
}
