//! A small store in memory, for tests of rules and of the engine. Not meant for production: writes sort, reads search.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::matcher::Matcher;
use super::source::{Selection, Source, SourceError, Visit};
use crate::model::{AbsenceReason, HISTOGRAM_NAN, HistogramPoint, Labels, Point, SampleValue, is_end_mark, is_stale};

/// Series and their points, oldest first.
#[derive(Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Vec<Point>>,
    /// Beside the points that stand for them.
    histograms: BTreeMap<Labels, Vec<HistogramPoint>>,
    /// Since when a counter counts, by the time of the sample.
    starts: BTreeMap<Labels, BTreeMap<i64, i64>>,
    /// Guards what selectors found, so that an unchanged store hands out the same selection each time.
    found: Mutex<BTreeMap<String, Selection>>,
}

impl MemorySource {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a point; one at the same time is replaced.
    pub fn add(&mut self, labels: &Labels, point: Point) {
        if !self.series.contains_key(labels) {
            self.found.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let points = self.series.entry(labels.clone()).or_default();
        let at = points.partition_point(|p| p.t_ms < point.t_ms);
        match points.get_mut(at) {
            Some(there) if there.t_ms == point.t_ms => *there = point,
            _ => points.insert(at, point),
        }
    }

    /// Adds values at successive steps; gaps add nothing.
    pub fn add_values(&mut self, labels: &Labels, start_ms: i64, step_ms: i64, values: &[Option<f64>]) {
        let mut t_ms = start_ms;
        for value in values {
            if let Some(value) = value {
                self.add(labels, Point { t_ms, value: *value });
            }
            t_ms = t_ms.saturating_add(step_ms);
        }
    }

    /// Adds a histogram; a point at the same time is replaced. Its hint about resets becomes what it and the sample
    /// before it tell, as in a store of Prometheus, so histograms are to be added in the order of their times.
    pub fn add_histogram(&mut self, labels: &Labels, mut point: HistogramPoint) {
        let before = self.series.get(labels).and_then(|points| {
            let newest = points[..points.partition_point(|p| p.t_ms < point.t_ms)].last()?;
            let of_series = self.histograms.get(labels)?;
            of_series.iter().rev().find(|p| p.t_ms == newest.t_ms).map(|p| std::sync::Arc::clone(&p.histogram))
        });
        let hint = point.histogram.hint_behind(before.as_deref());
        if hint != point.histogram.reset_hint {
            std::sync::Arc::make_mut(&mut point.histogram).reset_hint = hint;
        }
        self.add(labels, Point { t_ms: point.t_ms, value: HISTOGRAM_NAN });
        let kept = self.histograms.entry(labels.clone()).or_default();
        let at = kept.partition_point(|p| p.t_ms < point.t_ms);
        match kept.get_mut(at) {
            Some(there) if there.t_ms == point.t_ms => *there = point,
            _ => kept.insert(at, point),
        }
    }

    /// Adds floats and histograms at successive steps; gaps add nothing.
    pub fn add_samples(&mut self, labels: &Labels, start_ms: i64, step_ms: i64, values: &[Option<SampleValue>]) {
        let mut t_ms = start_ms;
        for value in values {
            match value {
                Some(SampleValue::Float(value)) => self.add(labels, Point { t_ms, value: *value }),
                Some(SampleValue::Histogram(histogram)) => {
                    let histogram = std::sync::Arc::clone(histogram);
                    self.add_histogram(labels, HistogramPoint { t_ms, histogram });
                }
                None => {}
            }
            t_ms = t_ms.saturating_add(step_ms);
        }
    }

    /// Says since when the counter counts that a sample is of.
    pub fn set_start(&mut self, labels: &Labels, t_ms: i64, start_ms: i64) {
        self.starts.entry(labels.clone()).or_default().insert(t_ms, start_ms);
    }

    /// The time of the newest point.
    pub fn newest_ms(&self) -> Option<i64> {
        self.series.values().filter_map(|points| points.last()).map(|p| p.t_ms).max()
    }

    fn points<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a [Point]> {
        selection.series.iter().map(|labels| self.series.get(labels).map_or(&[][..], Vec::as_slice))
    }
}

impl Source for MemorySource {
    fn select(&self, matchers: &[Matcher]) -> Result<Selection, SourceError> {
        let key = format!("{matchers:?}");
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(selection) = found.get(&key) {
            return Ok(selection.clone());
        }
        let matches = |labels: &&Labels| matchers.iter().all(|m| m.matches_labels(labels));
        let series: Vec<Labels> = self.series.keys().filter(matches).cloned().collect();
        let handles = (0..series.len() as u64).collect();
        let selection = Selection { series: series.into(), handles };
        found.insert(key, selection.clone());
        Ok(selection)
    }

    fn instant(
        &self,
        selection: &Selection,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), SourceError> {
        out.clear();
        let oldest = at_ms.saturating_sub(lookback_ms);
        out.extend(self.points(selection).map(|points| {
            let newest = points[..points.partition_point(|p| p.t_ms <= at_ms)].last()?;
            (newest.t_ms > oldest && !is_stale(newest.value)).then_some(*newest)
        }));
        Ok(())
    }

    fn range(&self, selection: &Selection, from_ms: i64, to_ms: i64, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        for (i, points) in self.points(selection).enumerate() {
            let end = points.partition_point(|p| p.t_ms <= to_ms);
            let start = points.partition_point(|p| p.t_ms <= from_ms).min(end);
            if visit(i, &points[start..end]).is_break() {
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
        let points = selection.series.get(series).and_then(|labels| self.histograms.get(labels));
        let points = points.map_or(&[][..], Vec::as_slice);
        let end = points.partition_point(|p| p.t_ms <= to_ms);
        let start = points.partition_point(|p| p.t_ms <= from_ms).min(end);
        out.extend_from_slice(&points[start..end]);
        Ok(())
    }

    fn keeps_starts(&self) -> bool {
        !self.starts.is_empty()
    }

    fn starts(&self, selection: &Selection, series: usize, (from_ms, to_ms): (i64, i64), out: &mut Vec<(i64, i64)>) {
        let starts = selection.series.get(series).and_then(|labels| self.starts.get(labels));
        let inside = |(t, _): &(&i64, &i64)| **t > from_ms && **t <= to_ms;
        out.extend(starts.into_iter().flatten().filter(inside).map(|(t, start)| (*t, *start)));
    }

    fn absence(&self, matchers: &[Matcher], at_ms: i64) -> AbsenceReason {
        let mut known = false;
        for (labels, points) in &self.series {
            if matchers.iter().all(|m| m.matches_labels(labels)) {
                let Some(newest) = points[..points.partition_point(|p| p.t_ms <= at_ms)].last() else { continue };
                if !is_end_mark(newest.value) {
                    return AbsenceReason::NoData;
                }
                known = true;
            }
        }
        if known { AbsenceReason::SeriesEnded } else { AbsenceReason::NoData }
    }
}
