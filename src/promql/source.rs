//! What the evaluator reads: a view of a metrics store.
//!
//! Reads are batched (one call per selector, not per series) so that a store can take its locks once, prune chunks
//! and keep resolved selections current as series appear.

use std::ops::ControlFlow;
use std::sync::Arc;

use thiserror::Error;

use super::matcher::Matcher;
use crate::model::{AbsenceReason, HistogramPoint, Labels, Point};

/// Why a store cannot answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// It cannot be reached or is not ready (restarted and still without samples).
    #[error("{0}")]
    Unavailable(String),
    /// A limit was hit.
    #[error("{0}")]
    Limit(String),
}

/// Series that match a selector, in ascending order of their labels.
///
/// A store should hand out the same allocation of `series` as long as the same series match: what the evaluator
/// derives from labels (groups, matches, labels of results) is kept for as long as it sees that allocation.
///
/// `series` is the label set of each; `handle` is whatever the store wants to find them again without a look-up.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The label sets, `__name__` included.
    pub series: Arc<[Labels]>,
    /// The store's own references, one per series.
    pub handles: Arc<[u64]>,
}

impl Selection {
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether none matches.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series at some places.
    pub(crate) fn part(&self, places: &[usize]) -> Self {
        let series = places.iter().filter_map(|i| self.series.get(*i).cloned()).collect();
        let handles = places.iter().filter_map(|i| self.handles.get(*i).copied()).collect();
        Self { series, handles }
    }
}

/// What is new of a series.
pub struct Tail<'a> {
    /// Its points in the part asked for, marks included, oldest first.
    pub points: &'a [Point],
    /// Another number when anything of the series was changed but by points later than all before; points that were
    /// dropped at its beginning change [`Self::oldest_ms`] alone.
    pub revision: u32,
    /// Time of its first point; [`i64::MAX`] of a series that has none or is gone.
    pub oldest_ms: i64,
}

/// Looks at the points of a series, by its index; breaks off where it has seen enough.
pub type Visit<'a> = dyn FnMut(usize, &[Point]) -> ControlFlow<()> + 'a;

/// A store that can tell what is new of a series.
pub trait Advancing: Sync {
    /// For each series of the selection, in order: its points in `(after_ms[i], to_ms]`, handed to `visit` with the
    /// series' index. Series without points there are visited too.
    fn advance(
        &self,
        selection: &Selection,
        after_ms: &[i64],
        to_ms: i64,
        visit: &mut dyn FnMut(usize, &Tail<'_>),
    ) -> Result<(), SourceError>;
}

/// A view of a metrics store. Times are milliseconds since the epoch.
pub trait Source: Sync {
    /// The store as one that can tell what is new, if it can: windows are then not read again at each evaluation.
    fn advancing(&self) -> Option<&dyn Advancing> {
        None
    }

    /// The series that match all matchers.
    fn select(&self, matchers: &[Matcher]) -> Result<Selection, SourceError>;

    /// For each series of the selection, in order: the latest point in `(at_ms - lookback_ms, at_ms]`, `None` where
    /// there is none or where the latest is an end or silence mark. `out` is cleared first. A histogram is a point with
    /// the value [`crate::model::HISTOGRAM_NAN`]; [`Self::histograms`] has it.
    fn instant(
        &self,
        selection: &Selection,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), SourceError>;

    /// For each series of the selection, in order: its points in `(from_ms, to_ms]`, marks included, oldest first,
    /// handed to `visit` with the series' index. Series without points there are visited with an empty slice. Histograms
    /// are marked as in [`Self::instant`]; `visit` may ask for them while it is called, so no lock may be held. Where it
    /// breaks off, no more is read.
    fn range(&self, selection: &Selection, from_ms: i64, to_ms: i64, visit: &mut Visit<'_>) -> Result<(), SourceError>;

    /// Adds the histograms of one series of the selection in `(from_ms, to_ms]`, oldest first. Asked only where floats
    /// hold marks of histograms.
    fn histograms(
        &self,
        _selection: &Selection,
        _series: usize,
        (_from_ms, _to_ms): (i64, i64),
        _out: &mut Vec<HistogramPoint>,
    ) -> Result<(), SourceError> {
        Ok(())
    }

    /// Whether the store knows since when counters count; [`Self::starts`] is asked only if it does.
    fn keeps_starts(&self) -> bool {
        false
    }

    /// Adds `(time, start)` of the samples of one series in `(from_ms, to_ms]` whose counter is known to have started
    /// at `start`, oldest first.
    fn starts(
        &self,
        _selection: &Selection,
        _series: usize,
        (_from_ms, _to_ms): (i64, i64),
        _out: &mut Vec<(i64, i64)>,
    ) {
    }

    /// Why series that match have no value at `at_ms`: [`AbsenceReason::SeriesEnded`] if at least one matching series
    /// is known and the newest point at or before `at_ms` of each is an end mark, otherwise [`AbsenceReason::NoData`].
    fn absence(&self, matchers: &[Matcher], at_ms: i64) -> AbsenceReason;
}
