//! The samples of a test group, given to a store as time goes on: its series, and the rows of data files.

use std::sync::Arc;

use crate::ingest::Batch;
use crate::model::time::millis;
use crate::model::{HistogramPoint, Point, SampleValue, Timestamp};
use crate::rule::unit_test::TestGroup;
use crate::store::embedded::{EmbeddedStore, SeriesRef};

/// What was given and what is left.
pub(super) struct Feed<'a> {
    group: &'a TestGroup,
    data: &'a Batch,
    series: Vec<Option<SeriesRef>>,
    /// Values of the longest series.
    longest: usize,
    /// Values of each series that were given.
    given: usize,
    /// Rows of data that were given.
    rows: usize,
}

impl<'a> Feed<'a> {
    /// Nothing was given yet. The rows are in the order of their times.
    pub fn new(group: &'a TestGroup, data: &'a Batch) -> Self {
        let longest = group.series.iter().map(|s| s.values.len()).max().unwrap_or_default();
        Self { group, data, series: vec![None; group.series.len()], longest, given: 0, rows: 0 }
    }

    /// When there is something to give next.
    pub fn next(&self) -> Option<Timestamp> {
        let value = (self.given < self.longest).then(|| self.instant());
        let row = self.data.rows.get(self.rows).and_then(|row| row.t_ms);
        value.into_iter().chain(row).min().map(Timestamp)
    }

    /// The time of the next values.
    fn instant(&self) -> i64 {
        let (start, step) = (self.group.start.0, millis(self.group.interval).max(1));
        start.saturating_add(i64::try_from(self.given).unwrap_or(i64::MAX).saturating_mul(step))
    }

    /// Puts what there is up to an instant into the store. Of two samples at one time the first stays.
    pub fn give(&mut self, store: &EmbeddedStore, at: Timestamp) {
        while self.given < self.longest {
            let t_ms = self.instant();
            if t_ms > at.0 {
                break;
            }
            self.give_values(store, t_ms);
            self.given += 1;
        }
        let rows = self.data.rows.get(self.rows..).unwrap_or_default();
        let known = rows.partition_point(|row| row.t_ms.is_some_and(|t| t <= at.0));
        if known > 0 {
            let batch = Batch { rows: rows[..known].to_vec(), ..Batch::default() };
            store.append(&batch, at.0);
            self.rows += known;
        }
    }

    fn give_values(&mut self, store: &EmbeddedStore, t_ms: i64) {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (series, known) in self.group.series.iter().zip(&mut self.series) {
            let Some(Some(value)) = series.values.get(self.given) else { continue };
            let made = known.or_else(|| store.series_ref(&series.labels, t_ms).ok());
            *known = made;
            let Some(reference) = made else { continue };
            match value {
                SampleValue::Float(value) => floats.push((reference, Point { t_ms, value: *value })),
                SampleValue::Histogram(histogram) => {
                    histograms.push((reference, HistogramPoint { t_ms, histogram: Arc::clone(histogram) }));
                }
            }
        }
        store.append_refs(&floats, t_ms);
        if !histograms.is_empty() {
            store.append_histograms(&histograms, t_ms);
        }
    }
}
