//! Remote write into the store: series resolved once, known ones by a hash of their encoded labels.
//!
//! Place in the flow: `http` unpacked the body, `ingest::remote_write` reads it, the store takes it. Several requests
//! are read at the same time; only new series make one wait for another.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::ingest::remote_write::{Key, Known, NewSeries, Page, ReadError, Refusals, Version, read};
use crate::model::Point;
use crate::store::SeriesRef;
use crate::store::embedded::{AppendStats, EmbeddedStore, Refused};

/// Keys remembered per series that the store may hold: a series comes from more than one sender, and its metadata change.
const KEYS_PER_SERIES: usize = 2;
/// How long senders are asked to send new series again while the store has no room for them. Room may come when idle
/// series go; a sender that is put off for longer would hold back the series that there is room for.
const PUT_OFF_MAX_MS: i64 = 60_000;
/// The store has room.
const ROOM: i64 = i64::MIN;

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Samples taken, those that were there already included.
    pub samples: u64,
    /// Native histograms taken.
    pub histograms: u64,
    /// Exemplars passed over.
    pub exemplars_ignored: u64,
    /// Samples refused, with the reasons.
    pub refused: Refusals,
    /// Whether some of these were refused for want of room, and the sender is to send all of it again.
    pub again: bool,
}

impl Taken {
    fn count(&mut self, stats: &AppendStats) {
        self.samples += stats.appended + stats.duplicates;
        self.count_refused(stats);
    }

    fn count_histograms(&mut self, stats: &AppendStats) {
        self.histograms += stats.appended + stats.duplicates;
        self.count_refused(stats);
    }

    fn count_refused(&mut self, stats: &AppendStats) {
        for (count, why) in [
            (stats.conflicts, "another value stands at the same time"),
            (stats.too_old, "older than the store takes"),
            (stats.too_new, "too far in the future"),
            (stats.gone.len() as u64, "the store dropped the series just now to make room"),
        ] {
            if count > 0 {
                self.refused.add(count, why);
            }
        }
    }
}

/// The receiver of remote writes.
#[derive(Debug)]
pub struct Receiver {
    known: RwLock<Known<SeriesRef>>,
    /// Since when new series find no room; [`ROOM`] while they do.
    full_since_ms: AtomicI64,
}

impl Receiver {
    /// A receiver for a store of at most `series_max` series.
    pub fn new(series_max: usize) -> Self {
        let known = RwLock::new(Known::new(series_max.saturating_mul(KEYS_PER_SERIES)));
        Self { known, full_since_ms: AtomicI64::new(ROOM) }
    }

    /// Takes an unpacked message; an error means that nothing of it was taken.
    pub fn take(
        &self,
        store: &EmbeddedStore,
        version: Version,
        message: &[u8],
        now_ms: i64,
    ) -> Result<Taken, ReadError> {
        let mut page = self.read(version, message)?;
        let mut stats = store.append_refs(&page.points, now_ms);
        let mut histograms = store.append_histograms(&page.histograms, now_ms);
        if !(stats.gone.is_empty() && histograms.gone.is_empty()) {
            // The store dropped series meanwhile. Read anew, they are new ones; what was taken is there already.
            let gone = stats.gone.into_iter().chain(histograms.gone);
            self.known.write().unwrap_or_else(PoisonError::into_inner).forget(gone);
            page = self.read(version, message)?;
            stats = store.append_refs(&page.points, now_ms);
            histograms = store.append_histograms(&page.histograms, now_ms);
        }
        let mut taken =
            Taken { exemplars_ignored: page.exemplars, refused: std::mem::take(&mut page.refused), ..Taken::default() };
        taken.count(&stats);
        taken.count_histograms(&histograms);
        self.resolve(store, &page, now_ms, &mut taken);
        page.metadata.iter().for_each(|(family, about)| store.set_metadata(family, about));
        Ok(taken)
    }

    fn read(&self, version: Version, message: &[u8]) -> Result<Page<SeriesRef>, ReadError> {
        read(version, message, &self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the new series and appends their points.
    fn resolve(&self, store: &EmbeddedStore, page: &Page<SeriesRef>, now_ms: i64, taken: &mut Taken) {
        let mut found: Vec<(Key, SeriesRef)> = Vec::with_capacity(page.new.len());
        let mut points: Vec<(SeriesRef, Point)> = Vec::with_capacity(page.new_points.len());
        let mut histograms = Vec::with_capacity(page.new_histograms.len());
        let mut zeros: Vec<(SeriesRef, Point)> = Vec::new();
        let mut full = false;
        for new in &page.new {
            let own = page.new_points.get(new.points.clone()).unwrap_or_default();
            match store.series_ref(&new.labels, now_ms) {
                Ok(series) => {
                    found.push((new.key, series));
                    zeros.extend(zero(store, series, new, own).map(|point| (series, point)));
                    points.extend(own.iter().map(|point| (series, *point)));
                    let own = page.new_histograms.get(new.histograms.clone()).unwrap_or_default();
                    histograms.extend(own.iter().map(|point| (series, point.clone())));
                }
                Err(refused) => {
                    full |= matches!(refused, Refused::SeriesMax(_));
                    taken.refused.add((own.len() + new.histograms.len()) as u64, refused.to_string());
                }
            }
        }
        taken.again = self.put_off(full, !found.is_empty(), now_ms);
        if found.is_empty() {
            return;
        }
        store.append_refs(&zeros, now_ms);
        taken.count(&store.append_refs(&points, now_ms));
        taken.count_histograms(&store.append_histograms(&histograms, now_ms));
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(found);
    }

    /// Whether series that found no room are to be sent again.
    fn put_off(&self, full: bool, room: bool, now_ms: i64) -> bool {
        if !full {
            if room {
                self.full_since_ms.store(ROOM, Ordering::Relaxed);
            }
            return false;
        }
        let began = self.full_since_ms.compare_exchange(ROOM, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        let since_ms = began.err().unwrap_or(now_ms);
        // A clock that was set back must not put senders off for longer.
        (0..PUT_OFF_MAX_MS).contains(&now_ms.saturating_sub(since_ms))
    }
}

/// The zero at which a counter began, if it lies between what the store has of the series and what comes now: with it,
/// the first value of a new counter is an increase.
fn zero(store: &EmbeddedStore, series: SeriesRef, new: &NewSeries, points: &[Point]) -> Option<Point> {
    let t_ms = new.created_ms?;
    let first_ms = points.iter().map(|point| point.t_ms).min()?;
    let oldest_ms = first_ms.saturating_sub(store.options().retention_ms);
    let after_known = store.newest(series).is_none_or(|newest| newest.t_ms < t_ms);
    (after_known && t_ms > oldest_ms && t_ms < first_ms).then_some(Point { t_ms, value: 0.0 })
}

#[cfg(test)]
#[path = "remote_write_tests.rs"]
mod tests;
