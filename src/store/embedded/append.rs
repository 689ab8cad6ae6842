//! Writing: batches, references, marks.
//!
//! What is accepted: samples behind the newest one (`out_of_order_ms`), stamped in the past (`retention_ms`) or a
//! little in the future (`future_ms`), any value, any UTF-8 labels within the limits of [`crate::ingest::limits`].
//! Nothing refused is an error of the call: it is counted by reason.

use std::collections::BTreeSet;

use thiserror::Error;

use super::index::{Index, SeriesRef};
use super::series::Outcome;
use super::shard::{Write, shard_of};
use super::{EmbeddedStore, read, write};
use crate::ingest::metadata::HELP_LEN_MAX;
use crate::ingest::{Batch, Metadata, Row, limits};
use crate::model::{HistogramPoint, Labels, Point, SILENT_NAN, STALE_NAN, is_end_mark, is_stale};

/// Rows resolved before their points are written, so that a large file is not held a second time.
const ROWS_PER_STEP: usize = 8192;

/// What became of the samples of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendStats {
    /// Taken, out-of-order ones and replaced ones included.
    pub appended: u64,
    /// Of these, behind the newest sample of their series.
    pub out_of_order: u64,
    /// Of these, values that took the place of a mark at the same time.
    pub replaced: u64,
    /// Ignored: the same value at the same time is there.
    pub duplicates: u64,
    /// Refused: another value at the same time is there; the first one stays, as in Prometheus.
    pub conflicts: u64,
    /// Refused: older than retention or than the out-of-order window.
    pub too_old: u64,
    /// Refused: too far in the future.
    pub too_new: u64,
    /// Refused: the store holds as many series as it may.
    pub refused_series: u64,
    /// Refused: too many, too long or no labels.
    pub refused_labels: u64,
    /// References whose series no longer exists, resolve them again; their samples were not taken.
    pub gone: Vec<SeriesRef>,
}

/// Why a series is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// The label set breaks a limit.
    #[error("{0}")]
    Labels(String),
    /// The store is full and nothing may be evicted.
    #[error("the store holds {0} series, its maximum, and none of them is idle")]
    SeriesMax(usize),
}

impl AppendStats {
    /// Samples that were refused or lost, for a log line.
    pub fn refused(&self) -> u64 {
        let by_limit = self.refused_series + self.refused_labels;
        self.conflicts + self.too_old + self.too_new + by_limit + self.gone.len() as u64
    }

    fn refuse(&mut self, refused: &Refused) {
        match refused {
            Refused::Labels(_) => self.refused_labels += 1,
            Refused::SeriesMax(_) => self.refused_series += 1,
        }
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Appended => self.appended += 1,
            Outcome::OutOfOrder => {
                self.appended += 1;
                self.out_of_order += 1;
            }
            Outcome::Replaced => {
                self.appended += 1;
                self.replaced += 1;
            }
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Conflict => self.conflicts += 1,
            Outcome::TooOld => self.too_old += 1,
        }
    }
}

impl EmbeddedStore {
    /// Takes a batch; samples without a time get `now_ms`.
    pub fn append(&self, batch: &Batch, now_ms: i64) -> AppendStats {
        let mut stats = AppendStats::default();
        for rows in batch.rows.chunks(ROWS_PER_STEP) {
            self.append_rows(rows, now_ms, &mut stats);
        }
        for (labels, point) in &batch.histograms {
            self.append_histogram_of(labels, point, now_ms, &mut stats);
        }
        self.counters.add(&stats);
        batch.metadata.iter().for_each(|(family, metadata)| self.set_metadata(family, metadata));
        stats
    }

    fn append_rows(&self, rows: &[Row], now_ms: i64, stats: &mut AppendStats) {
        let mut lost: Vec<&Row> = rows.iter().collect();
        // A full store may evict an idle series of this batch to make room for a new one of it: once more for those.
        for _ in 0..2 {
            stats.gone.clear();
            let (taken, points) = self.resolve(&lost, now_ms, stats);
            self.write_points(&points, now_ms, stats);
            if stats.gone.is_empty() {
                return;
            }
            let gone: BTreeSet<SeriesRef> = stats.gone.iter().copied().collect();
            let again = taken.into_iter().zip(&points).filter(|(_, (series, _))| gone.contains(series));
            lost = again.map(|(row, _)| row).collect();
        }
    }

    /// Few series have histograms in a batch, so each is taken by itself.
    fn append_histogram_of(&self, labels: &Labels, point: &HistogramPoint, now_ms: i64, stats: &mut AppendStats) {
        // Between the look and the writing an idle series may go.
        for _ in 0..2 {
            match self.series_ref(labels, now_ms) {
                Err(refused) => return stats.refuse(&refused),
                Ok(series) => {
                    let gone = stats.gone.len();
                    self.write_histogram(series, point, &self.window(now_ms), stats);
                    if stats.gone.len() == gone {
                        return;
                    }
                    stats.gone.truncate(gone);
                }
            }
        }
    }

    /// The rows whose series there is, and their points.
    fn resolve<'a>(
        &self,
        rows: &[&'a Row],
        now_ms: i64,
        stats: &mut AppendStats,
    ) -> (Vec<&'a Row>, Vec<(SeriesRef, Point)>) {
        let mut taken = Vec::with_capacity(rows.len());
        let mut points = Vec::with_capacity(rows.len());
        let mut previous: Option<(&Labels, SeriesRef)> = None;
        for row in rows {
            let series = match previous {
                Some((labels, series)) if *labels == row.labels => Ok(series),
                _ => self.series_ref(&row.labels, now_ms),
            };
            match series {
                Ok(series) => {
                    previous = Some((&row.labels, series));
                    taken.push(*row);
                    points.push((series, Point { t_ms: row.t_ms.unwrap_or(now_ms), value: row.value }));
                }
                Err(refused) => stats.refuse(&refused),
            }
        }
        (taken, points)
    }

    /// The series of a label set, made if it is new. The fast way in: resolve once, then [`Self::append_refs`].
    pub fn series_ref(&self, labels: &Labels, now_ms: i64) -> Result<SeriesRef, Refused> {
        if let Some(series) = read(&self.index).get(labels) {
            return Ok(series);
        }
        if let Some(reason) = limits::refusal(labels) {
            return Err(Refused::Labels(reason));
        }
        let mut index = write(&self.index);
        if let Some(series) = index.get(labels) {
            return Ok(series);
        }
        let full = Refused::SeriesMax(self.options.series_max);
        if index.len() >= self.options.series_max && !self.evict(&mut index, now_ms) {
            return Err(full);
        }
        self.create(&mut index, labels, now_ms).ok_or(full)
    }

    fn create(&self, index: &mut Index, labels: &Labels, now_ms: i64) -> Option<SeriesRef> {
        let series = index.insert(labels)?;
        write(self.shard(series)).create(series, now_ms);
        self.counters.created();
        Some(series)
    }

    /// Takes points of series that are known by reference.
    pub fn append_refs(&self, points: &[(SeriesRef, Point)], now_ms: i64) -> AppendStats {
        let mut stats = AppendStats::default();
        self.write_points(points, now_ms, &mut stats);
        self.counters.add(&stats);
        stats
    }

    pub(super) fn window(&self, now_ms: i64) -> Write {
        Write {
            now_ms,
            out_of_order_ms: self.options.out_of_order_ms,
            oldest_ms: now_ms.saturating_sub(self.options.retention_ms),
            latest_ms: now_ms.saturating_add(self.options.future_ms),
        }
    }

    fn write_points(&self, points: &[(SeriesRef, Point)], now_ms: i64, stats: &mut AppendStats) {
        let window = self.window(now_ms);
        let mut rest = points;
        while let Some((first, _)) = rest.first() {
            let shard_id = shard_of(first.slot());
            let together = rest.iter().take_while(|(series, _)| shard_of(series.slot()) == shard_id).count();
            let (run, later) = rest.split_at(together);
            rest = later;
            let mut shard = write(self.shard(*first));
            for (series, point) in run {
                if point.t_ms > window.latest_ms {
                    stats.too_new += 1;
                } else if point.t_ms < window.oldest_ms {
                    stats.too_old += 1;
                } else if let Some(outcome) = shard.insert(*series, *point, &window) {
                    stats.count(outcome);
                } else {
                    stats.gone.push(*series);
                }
            }
        }
    }

    /// Marks series as ended at an instant: their target answered without them, or was removed. A series that is
    /// ended already, or has no point yet, is left alone; one that had fallen silent is marked. Gives how many.
    pub fn end_series(&self, series: &[SeriesRef], at_ms: i64) -> usize {
        self.mark(series, at_ms, STALE_NAN, is_end_mark)
    }

    /// Marks series as silent at an instant: their target could not be asked. A series that is marked already, either
    /// way, or has no point yet, is left alone. Gives how many were marked.
    pub fn silence_series(&self, series: &[SeriesRef], at_ms: i64) -> usize {
        self.mark(series, at_ms, SILENT_NAN, is_stale)
    }

    fn mark(&self, series: &[SeriesRef], at_ms: i64, mark: f64, is_done: fn(f64) -> bool) -> usize {
        let mut scratch = Vec::new();
        let mut marked = 0;
        for series in series {
            let mut shard = write(self.shard(*series));
            let Some((target, work)) = shard.get_mut(*series) else { continue };
            match target.latest_at(at_ms, &mut scratch) {
                None => continue,
                Some(latest) if is_done(latest.value) => continue,
                // The point of this very millisecond keeps its place; the mark follows it.
                Some(latest) => {
                    let t_ms = if latest.t_ms == at_ms { at_ms.saturating_add(1) } else { at_ms };
                    let point = Point { t_ms, value: mark };
                    if matches!(target.insert(point, i64::MAX, work), Outcome::Appended | Outcome::OutOfOrder) {
                        shard.note(*series, point);
                        marked += 1;
                    }
                }
            }
        }
        self.counters.marked(marked);
        marked
    }

    /// Keeps what a metric family is; the families known first stay when there are too many.
    pub fn set_metadata(&self, family: &str, metadata: &Metadata) {
        let help = cut(&metadata.help, HELP_LEN_MAX);
        let unit = cut(&metadata.unit, limits::LABEL_NAME_LEN_MAX);
        let same = |known: &Metadata| known.kind == metadata.kind && known.help == help && known.unit == unit;
        if family.len() > limits::LABEL_NAME_LEN_MAX || read(&self.metadata).get(family).is_some_and(same) {
            return;
        }
        let mut kept = write(&self.metadata);
        if kept.len() >= self.options.families_max && !kept.contains_key(family) {
            return;
        }
        write(&self.index).changes.described(family);
        let known = Metadata { kind: metadata.kind, help: help.to_owned(), unit: unit.to_owned() };
        kept.insert(family.to_owned(), known);
    }
}

/// What of a text is kept.
fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}
