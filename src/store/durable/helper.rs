//! The helpers of the start: put into the store what was read, while the next is read. One enters series by their labels,
//! one gathers the labels for the inverted index, one has the points.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde::de::{Deserializer as _, MapAccess, Visitor};

use crate::model::{HistogramPoint, Labels, Point};
use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, LabelFiller, SavedChunk};

/// Series and their labels, for the helpers that have the index.
pub(super) type Named = Arc<Vec<(SeriesRef, Labels)>>;

/// Work for the helper that has the points.
pub(super) enum Job {
    Places(Vec<SeriesRef>),
    Chunks(Vec<SavedChunk>, bool),
    Replay(Vec<(SeriesRef, Point)>, i64),
    Histograms(Vec<(SeriesRef, HistogramPoint)>),
}

/// Enters series into the index; gives those whose place or labels are taken, and how many were entered.
pub(super) fn index(store: &EmbeddedStore, work: &Receiver<Named>) -> (Vec<SeriesRef>, u64) {
    let (mut refused, mut entered) = (Vec::new(), 0);
    for series in work {
        let before = refused.len();
        store.restore_series(&series, &mut refused);
        entered += (series.len() - (refused.len() - before)) as u64;
    }
    (refused, entered)
}

/// Gathers the labels of series.
pub(super) fn gather(work: &Receiver<Named>) -> LabelFiller {
    let mut filler = LabelFiller::default();
    work.iter().for_each(|series| series.iter().for_each(|(series, labels)| filler.insert(labels, *series)));
    filler
}

/// Puts points into the store; gives how many came in chunks.
pub(super) fn fill(store: &EmbeddedStore, work: &Receiver<Job>) -> u64 {
    let mut points = 0;
    for job in work {
        match job {
            Job::Places(series) => store.restore_places(&series),
            Job::Chunks(chunks, sealed) => points += store.restore_chunks(chunks, sealed),
            Job::Replay(points, at_ms) => store.replay(&points, at_ms),
            Job::Histograms(points) => store.restore_histograms(points),
        }
    }
    points
}

/// Labels out of their JSON, without a copy where they are sorted, as they were written.
pub(super) fn labels(text: &str) -> Option<Labels> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("labels")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::with_capacity(16);
            while let Some((name, value)) = map.next_entry::<Borrowed<'de>, Borrowed<'de>>()? {
                pairs.push((name.0, value.0));
            }
            Ok(pairs)
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let pairs = json.deserialize_map(Pairs).ok()?;
    let sorted = pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|(_, value)| !value.is_empty());
    Some(match sorted {
        true => Labels::from_sorted(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))),
        false => Labels::from_pairs(pairs),
    })
}

/// A text that borrows where JSON has no escapes.
#[derive(serde::Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
