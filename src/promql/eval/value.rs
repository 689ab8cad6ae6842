//! Results of an evaluation, and what it is told and says beside them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::plan::LOOKBACK_MS_DEFAULT;
use crate::model::{Histogram, Labels, SeriesPoints};

/// Most samples that one evaluation reads and holds, as in Prometheus.
pub const SAMPLES_MAX_DEFAULT: usize = 50_000_000;

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// One value per series: sorted by labels, or as `sort`, `topk` and their like order them.
    Vector(Vec<VectorSample>),
    /// Points per series, sorted by labels.
    Matrix(Vec<SeriesPoints>),
    /// A text.
    String(String),
}

/// The value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// Its labels.
    pub labels: Labels,
    /// The instant of the evaluation, milliseconds since the epoch.
    pub t_ms: i64,
    /// Its value; NaN where it has a histogram.
    pub value: f64,
    /// The histogram it has instead of a number.
    pub histogram: Option<Arc<Histogram>>,
}

/// Settings of an evaluation.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// How old the newest sample of a series may be for an instant selector.
    pub lookback_ms: i64,
    /// Most samples that are read and held.
    pub samples_max: usize,
    /// Step of subqueries that name none.
    pub subquery_step_ms: i64,
    /// Remove metric names at the end rather than in each operation, as Prometheus does with
    /// `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            lookback_ms: LOOKBACK_MS_DEFAULT,
            samples_max: SAMPLES_MAX_DEFAULT,
            subquery_step_ms: 60_000,
            delayed_name_removal: false,
        }
    }
}

/// Something worth saying about a result that is not an error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Likely a mistake, rather than something to know.
    pub warning: bool,
    /// First byte of the part of the expression that is meant.
    pub start: usize,
    /// What is to be said, in Prometheus's words.
    pub message: String,
}

/// Notes of an evaluation, each once, and how many samples it read. Parts answered from a slot's cache add none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(pub BTreeSet<Note>, pub usize);

/// Most notes that are kept.
const NOTES_MAX: usize = 100;

impl Notes {
    pub(crate) fn add(&mut self, warning: bool, span: &Range<usize>, message: String) {
        if self.0.len() < NOTES_MAX {
            self.0.insert(Note { warning, start: span.start, message });
        }
    }
}
