//! A batch of samples on the way from a parser to the store.

use std::collections::BTreeMap;

use super::metadata::Metadata;
use crate::model::{HistogramPoint, Labels, Sample, SampleValue};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The series, `__name__` included. Rows of one series share one allocation where the parser can arrange it.
    pub labels: Labels,
    /// Milliseconds since the epoch; `None` takes the time the batch arrived.
    pub t_ms: Option<i64>,
    /// The value.
    pub value: f64,
}

/// Samples in the order of their arrival, and what was declared about their families.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The samples that are numbers or marks.
    pub rows: Vec<Row>,
    /// The native histograms, each with the series whose it is.
    pub histograms: Vec<(Labels, HistogramPoint)>,
    /// Kind, help and unit by metric family.
    pub metadata: BTreeMap<String, Metadata>,
}

impl FromIterator<Sample> for Batch {
    /// Samples that know their time.
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut batch = Self::default();
        for Sample { labels, at, value } in samples {
            match value {
                SampleValue::Float(value) => batch.push(labels, Some(at.0), value),
                SampleValue::Histogram(histogram) => {
                    batch.histograms.push((labels, HistogramPoint { t_ms: at.0, histogram }));
                }
            }
        }
        batch
    }
}

impl Batch {
    /// Adds a sample.
    pub fn push(&mut self, labels: Labels, t_ms: Option<i64>, value: f64) {
        self.rows.push(Row { labels, t_ms, value });
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.rows.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first and last time stamped in it, if any sample has one.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let stamped = || self.histograms.iter().map(|(_, point)| point.t_ms);
        let times = || self.rows.iter().filter_map(|r| r.t_ms).chain(stamped());
        Some((times().min()?, times().max()?))
    }
}
