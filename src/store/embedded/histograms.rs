//! Histograms of series, beside the points that stand for them.
//!
//! A series' points hold [`HISTOGRAM_NAN`] where it has a histogram, and here the histogram is found by slot and time: a
//! series of floats takes no more room than it did. Bounds and unchanged histograms are shared from sample to sample.
//! What is known about resets is found out once, when a sample comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::append::AppendStats;
use super::index::SeriesRef;
use super::series::Outcome;
use super::shard::{PAGE, Shard, Write};
use super::{EmbeddedStore, read, write};
use crate::model::{HISTOGRAM_NAN, Histogram, HistogramPoint, Point, is_histogram_mark};

/// The histograms of the series of one shard, by slot, each list in the order of its times.
pub(super) type Kept = BTreeMap<u32, VecDeque<HistogramPoint>>;

/// Bytes that a histogram adds behind another one.
fn added_bytes(point: &HistogramPoint, previous: Option<&HistogramPoint>) -> u64 {
    let shared = previous.is_some_and(|p| Arc::ptr_eq(&p.histogram, &point.histogram));
    let own = if shared { 0 } else { point.histogram.byte_len() };
    (size_of::<HistogramPoint>() + own) as u64
}

/// Lets a histogram share what it has in common with the one before, and says what is known about a reset.
fn settled(histogram: &mut Arc<Histogram>, previous: Option<&HistogramPoint>) {
    let hint = histogram.hint_behind(previous.map(|p| &*p.histogram));
    if let Some(previous) = previous {
        if previous.histogram.reset_hint == hint && previous.histogram.same(histogram) {
            *histogram = Arc::clone(&previous.histogram);
            return;
        }
        let bounds = &previous.histogram.custom_values;
        if *bounds == histogram.custom_values && !Arc::ptr_eq(bounds, &histogram.custom_values) {
            Arc::make_mut(histogram).custom_values = Arc::clone(bounds);
        }
    }
    if histogram.reset_hint != hint {
        Arc::make_mut(histogram).reset_hint = hint;
    }
}

impl Shard {
    /// Adds a histogram to a series; `None` if the series is gone.
    fn insert_histogram(&mut self, series: SeriesRef, mut point: HistogramPoint, window: &Write) -> Option<Outcome> {
        let newest = self.get(series)?.newest();
        let outcome = self.insert(series, Point { t_ms: point.t_ms, value: HISTOGRAM_NAN }, window)?;
        let kept = self.histograms.entry(series.slot()).or_default();
        let at = kept.partition_point(|p| p.t_ms < point.t_ms);
        if outcome == Outcome::Duplicate {
            let same = kept.get(at).is_some_and(|p| p.t_ms == point.t_ms && p.histogram.same(&point.histogram));
            return Some(if same { Outcome::Duplicate } else { Outcome::Conflict });
        }
        if !matches!(outcome, Outcome::Appended | Outcome::OutOfOrder | Outcome::Replaced) {
            return Some(outcome);
        }
        // A float in between, or a sample that comes late, leaves it open whether there was a reset.
        let behind = newest.filter(|n| is_histogram_mark(n.value) && n.t_ms < point.t_ms);
        let previous = kept.back().filter(|p| behind.is_some_and(|n| n.t_ms == p.t_ms));
        settled(&mut point.histogram, previous);
        self.work.tally.bytes += added_bytes(&point, previous);
        self.journal.push_histogram(series, &point);
        kept.insert(at, point);
        Some(outcome)
    }

    /// Puts a stored histogram beside its mark; what is known about resets is known already.
    pub(super) fn restore_histogram(&mut self, series: SeriesRef, mut point: HistogramPoint) {
        if self.get(series).is_none() {
            return;
        }
        let kept = self.histograms.entry(series.slot()).or_default();
        let at = kept.partition_point(|p| p.t_ms < point.t_ms);
        if kept.get(at).is_some_and(|p| p.t_ms == point.t_ms) {
            return;
        }
        let previous = at.checked_sub(1).and_then(|before| kept.get(before));
        if let Some(same) = previous.filter(|p| p.histogram == point.histogram) {
            point.histogram = Arc::clone(&same.histogram);
        }
        self.work.tally.bytes += added_bytes(&point, previous);
        kept.insert(at, point);
    }

    /// The histograms of the page that begins with `first_slot`, with their series.
    fn histograms_of_page(&self, first_slot: u32, out: &mut Vec<(SeriesRef, HistogramPoint)>) {
        for (slot, kept) in self.histograms.range(first_slot..first_slot.saturating_add(PAGE)) {
            let Some(series) = self.reference(*slot) else { continue };
            out.extend(kept.iter().map(|point| (series, point.clone())));
        }
    }

    /// Adds the histograms of a series in `(from_ms, to_ms]`.
    fn histograms(&self, series: SeriesRef, (from_ms, to_ms): (i64, i64), out: &mut Vec<HistogramPoint>) {
        let Some(kept) = self.get(series).and_then(|_| self.histograms.get(&series.slot())) else { return };
        let start = kept.partition_point(|p| p.t_ms <= from_ms);
        let end = kept.partition_point(|p| p.t_ms <= to_ms).max(start);
        out.extend(kept.range(start..end).cloned());
    }

    /// Drops the histograms of a page for whose times `keep` is false.
    pub(super) fn retain_histograms(&mut self, first_slot: u32, keep: impl Fn(i64) -> bool) {
        if self.histograms.is_empty() {
            return;
        }
        let page = first_slot..first_slot.saturating_add(PAGE);
        let touched: Vec<u32> = self.histograms.range(page).map(|(slot, _)| *slot).collect();
        for slot in touched {
            let Some(kept) = self.histograms.get_mut(&slot) else { continue };
            let before = bytes(kept);
            kept.retain(|p| keep(p.t_ms));
            self.work.tally.bytes -= before - bytes(kept);
            if kept.is_empty() {
                self.histograms.remove(&slot);
            }
        }
    }

    /// Drops all histograms of a slot.
    pub(super) fn drop_histograms(&mut self, slot: u32) {
        if let Some(kept) = self.histograms.remove(&slot) {
            self.work.tally.bytes -= bytes(&kept);
        }
    }
}

fn bytes(kept: &VecDeque<HistogramPoint>) -> u64 {
    let mut previous = None;
    kept.iter().map(|p| added_bytes(p, previous.replace(p))).sum()
}

impl EmbeddedStore {
    /// Takes histograms of series that are known by reference. Of a histogram and a float at one time the first stays.
    pub fn append_histograms(&self, points: &[(SeriesRef, HistogramPoint)], now_ms: i64) -> AppendStats {
        let window = self.window(now_ms);
        let mut stats = AppendStats::default();
        for (series, point) in points {
            self.write_histogram(*series, point, &window, &mut stats);
        }
        self.counters.add(&stats);
        stats
    }

    pub(super) fn write_histogram(
        &self,
        series: SeriesRef,
        point: &HistogramPoint,
        window: &Write,
        stats: &mut AppendStats,
    ) {
        if point.t_ms > window.latest_ms {
            stats.too_new += 1;
        } else if point.t_ms < window.oldest_ms {
            stats.too_old += 1;
        } else if let Some(outcome) = write(self.shard(series)).insert_histogram(series, point.clone(), window) {
            stats.count(outcome);
        } else {
            stats.gone.push(series);
        }
    }

    /// Puts back stored histograms; those of series that are not there are left out.
    pub fn restore_histograms(&self, points: Vec<(SeriesRef, HistogramPoint)>) {
        for (series, point) in points {
            write(self.shard(series)).restore_histogram(series, point);
        }
    }

    /// The histograms of the series of a page.
    pub fn histograms_of_page(&self, page: u32) -> Vec<(SeriesRef, HistogramPoint)> {
        let mut all = Vec::new();
        read(self.shard_at(page * PAGE)).histograms_of_page(page * PAGE, &mut all);
        all
    }

    /// Appends the histograms of a series in `(from_ms, to_ms]`, oldest first.
    pub fn histogram_points(&self, series: SeriesRef, from_ms: i64, to_ms: i64, out: &mut Vec<HistogramPoint>) {
        read(self.shard(series)).histograms(series, (from_ms, to_ms), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::{Buckets, ResetHint};
    use crate::model::{Labels, is_stale};
    use crate::promql::{EvalOptions, Value, query};
    use crate::store::StoreOptions;

    const T0: i64 = 1_700_000_000_000;

    fn histogram(counts: &[f64]) -> Histogram {
        let count = counts.iter().sum();
        Histogram { count, sum: 2.0 * count, positive: Buckets::run(0, counts.to_vec()), ..Histogram::default() }
    }

    fn store() -> (EmbeddedStore, SeriesRef) {
        let store = EmbeddedStore::new(StoreOptions::default());
        let labels = Labels::from_pairs([("__name__", "latency"), ("job", "a")]);
        let series = store.series_ref(&labels, T0).unwrap();
        (store, series)
    }

    fn append(store: &EmbeddedStore, series: SeriesRef, t_ms: i64, h: Histogram) -> AppendStats {
        store.append_histograms(&[(series, HistogramPoint { t_ms, histogram: Arc::new(h) })], t_ms.max(T0))
    }

    #[test]
    fn queries_read_what_was_appended_with_floats_between() {
        let (store, series) = store();
        for (i, counts) in [[1.0, 2.0], [2.0, 4.0], [3.0, 9.0]].iter().enumerate() {
            assert_eq!(append(&store, series, T0 + 60_000 * i as i64, histogram(counts)).appended, 1);
        }
        let at = T0 + 120_000;
        let ask = |text: &str| match query(text, &store, at, &EvalOptions::default()).unwrap() {
            Value::Vector(samples) => samples
                .iter()
                .map(|s| s.histogram.as_ref().map_or(s.value.to_string(), |h| h.notation()))
                .collect::<Vec<_>>()
                .join("; "),
            other => format!("{other:?}"),
        };
        assert_eq!(ask("latency"), "{{count:12 sum:24 counter_reset_hint:not_reset buckets:[3 9]}}");
        assert_eq!(ask("histogram_count(increase(latency[2m]))"), "12");
        assert_eq!(ask("sum_over_time(latency[10m])"), "{{count:21 sum:42 buckets:[6 15]}}");
        store.append_refs(&[(series, Point { t_ms: at + 1, value: 5.0 })], at);
        let value = query("count_over_time(latency[10m])", &store, at + 1, &EvalOptions::default()).unwrap();
        assert!(matches!(&value, Value::Vector(v) if v[0].value == 4.0), "{value:?}");
    }

    #[test]
    fn unchanged_histograms_are_shared_and_hints_come_from_the_sample_before() {
        let (store, series) = store();
        for (i, counts) in [[1.0], [2.0], [2.0], [2.0], [1.0]].iter().enumerate() {
            append(&store, series, T0 + 1000 * i as i64, histogram(counts));
        }
        let mut points = Vec::new();
        store.histogram_points(series, 0, i64::MAX, &mut points);
        let hints: Vec<_> = points.iter().map(|p| p.histogram.reset_hint).collect();
        use ResetHint::{NotReset, Unknown};
        assert_eq!(hints, [Unknown, NotReset, NotReset, NotReset, Unknown]);
        assert!(Arc::ptr_eq(&points[2].histogram, &points[3].histogram));
    }

    #[test]
    fn of_two_samples_at_one_time_the_first_stays() {
        let (store, series) = store();
        append(&store, series, T0, histogram(&[1.0]));
        assert_eq!(append(&store, series, T0, histogram(&[1.0])).duplicates, 1);
        assert_eq!(append(&store, series, T0, histogram(&[2.0])).conflicts, 1);
        assert_eq!(store.append_refs(&[(series, Point { t_ms: T0, value: 1.0 })], T0).conflicts, 1);
        assert_eq!(store.end_series(&[series], T0 + 1), 1);
        let newest = store.newest(series).unwrap();
        assert!(is_stale(newest.value));
    }

    #[test]
    fn late_histograms_find_their_place_and_old_ones_go_with_retention() {
        let (store, series) = store();
        append(&store, series, T0 + 2000, histogram(&[2.0]));
        let bytes = store.stats().sample_bytes;
        assert_eq!(append(&store, series, T0 + 1000, histogram(&[1.0])).out_of_order, 1);
        assert!(store.stats().sample_bytes > bytes);
        let times = |store: &EmbeddedStore| {
            let mut points = Vec::new();
            store.histogram_points(series, 0, i64::MAX, &mut points);
            points.iter().map(|p| p.t_ms - T0).collect::<Vec<_>>()
        };
        assert_eq!(times(&store), [1000, 2000]);
        store.maintain(T0 + 1500 + store.options().retention_ms);
        assert_eq!(times(&store), [2000]);
        store.rewind(T0 - 10_000_000);
        assert_eq!(times(&store), [0i64; 0]);
    }
}
