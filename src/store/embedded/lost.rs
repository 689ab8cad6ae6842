//! Samples that are known to be lost: a block of the disk could not be read.
//!
//! A rule that would read them gets an error instead of a gap, and an error resolves nothing. All others go on.

use std::sync::Arc;

use super::index::SeriesRef;
use super::{EmbeddedStore, read, write};
use crate::model::Timestamp;
use crate::promql::{Selection, SourceError};

/// What one series lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The series.
    pub series: SeriesRef,
    /// The first instant of which samples may be lost.
    pub from_ms: i64,
    /// The last one.
    pub to_ms: i64,
    /// Whether so much may be lost that windows over it are wrong; otherwise it is as if one scrape had failed.
    pub windows: bool,
}

impl EmbeddedStore {
    /// Says what was lost.
    pub fn set_lost(&self, mut lost: Vec<Lost>) {
        lost.sort_unstable();
        *write(&self.lost) = Arc::from(lost);
    }

    /// How many series are known to have lost samples.
    pub fn lost(&self) -> usize {
        read(&self.lost).chunk_by(|a, b| a.series == b.series).count()
    }

    /// Forgets what retention would have dropped by now.
    pub(super) fn forget_lost(&self, cutoff_ms: i64) {
        let lost = Arc::clone(&read(&self.lost));
        if lost.iter().any(|lost| lost.to_ms < cutoff_ms) {
            *write(&self.lost) = lost.iter().filter(|lost| lost.to_ms >= cutoff_ms).copied().collect();
        }
    }

    /// The losses of the series of a selection, if there are any at all.
    fn losses(&self, selection: &Selection, wanted: impl Fn(&Lost) -> bool) -> Option<(Arc<[Lost]>, usize)> {
        let lost = Arc::clone(&read(&self.lost));
        if lost.is_empty() {
            return None;
        }
        for handle in &*selection.handles {
            let series = SeriesRef(*handle);
            let from = lost.partition_point(|lost| lost.series < series);
            let own = lost.iter().enumerate().skip(from).take_while(|(_, lost)| lost.series == series);
            if let Some((found, _)) = own.into_iter().find(|(_, lost)| wanted(lost)) {
                return Some((Arc::clone(&lost), found));
            }
        }
        None
    }

    fn refusal(&self, found: Option<(Arc<[Lost]>, usize)>) -> Result<(), SourceError> {
        let Some(lost) = found.as_ref().and_then(|(all, at)| all.get(*at)) else { return Ok(()) };
        let labels = self.labels_of(lost.series).unwrap_or_default();
        let (from, to) = (Timestamp(lost.from_ms), Timestamp(lost.to_ms));
        Err(SourceError::Unavailable(format!(
            "samples of {labels} between {from} and {to} were lost with a damaged block of metrics.db"
        )))
    }

    /// An error if the latest sample at an instant may be one of the lost ones.
    pub(super) fn refuse_lost_instant(
        &self,
        selection: &Selection,
        at_ms: i64,
        lookback_ms: i64,
    ) -> Result<(), SourceError> {
        let after_ms = at_ms.saturating_sub(lookback_ms);
        self.refusal(self.losses(selection, |lost| {
            if lost.from_ms > at_ms || lost.to_ms <= after_ms {
                return false;
            }
            let latest =
                read(self.shard(lost.series)).get(lost.series).and_then(|s| s.latest_at(at_ms, &mut Vec::new()));
            latest.is_none_or(|latest| latest.t_ms < lost.to_ms.min(at_ms))
        }))
    }

    /// An error if a window reads over lost samples.
    pub(super) fn refuse_lost_range(&self, selection: &Selection, from_ms: i64, to_ms: i64) -> Result<(), SourceError> {
        self.refusal(self.losses(selection, |lost| lost.windows && lost.from_ms <= to_ms && lost.to_ms > from_ms))
    }
}
