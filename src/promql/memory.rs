//! A small store in memory, for tests of rules and of the engine. Not meant for production: writes sort, reads search.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::matcher::Matcher;
use super::source::{Selection, Source, SourceError};
use crate::model::{AbsenceReason, Labels, Point, is_end_mark, is_stale};

/// Series and their points, oldest first.
#[derive(Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Vec<Point>>,
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

    fn range(
        &self,
        selection: &Selection,
        from_ms: i64,
        to_ms: i64,
        visit: &mut dyn FnMut(usize, &[Point]),
    ) -> Result<(), SourceError> {
        for (i, points) in self.points(selection).enumerate() {
            let end = points.partition_point(|p| p.t_ms <= to_ms);
            let start = points.partition_point(|p| p.t_ms <= from_ms).min(end);
            visit(i, &points[start..end]);
        }
        Ok(())
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
