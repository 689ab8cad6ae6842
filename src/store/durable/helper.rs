//! The helper thread of the start: puts into the store what was read, while the next is read.

use std::borrow::Cow;
use std::fmt;
use std::sync::mpsc::Receiver;

use serde::de::{Deserializer as _, MapAccess, Visitor};

use crate::model::{HistogramPoint, Labels, Point};
use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, SavedChunk};

/// Work for the helper.
pub(super) enum Job {
    Series(Vec<(i64, String)>),
    Chunks(Vec<SavedChunk>, bool),
    Replay(Vec<(SeriesRef, Point)>, i64),
    Histograms(Vec<(SeriesRef, HistogramPoint)>),
}

/// What the helper did.
#[derive(Debug, Default)]
pub(super) struct Helped {
    pub(super) series: u64,
    pub(super) points: u64,
    /// Ids of series whose labels are none, or are those of another.
    pub(super) refused: Vec<i64>,
}

/// Puts into the store what was read.
pub(super) fn help(store: &EmbeddedStore, work: &Receiver<Job>) -> Helped {
    let mut helped = Helped::default();
    for job in work {
        match job {
            Job::Series(rows) => {
                let mut found = Vec::with_capacity(rows.len());
                for (id, text) in rows {
                    match labels(&text) {
                        Some(labels) => found.push((SeriesRef::from_id(id), labels)),
                        None => helped.refused.push(id),
                    }
                }
                let refused = store.restore_series(&found);
                helped.series += (found.len() - refused.len()) as u64;
                helped.refused.extend(refused.into_iter().map(SeriesRef::id));
            }
            Job::Chunks(chunks, sealed) => helped.points += store.restore_chunks(chunks, sealed),
            Job::Replay(points, at_ms) => store.replay(&points, at_ms),
            Job::Histograms(points) => store.restore_histograms(points),
        }
    }
    helped
}

/// Labels out of their JSON, without a copy where they are sorted, as they were written.
fn labels(text: &str) -> Option<Labels> {
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
