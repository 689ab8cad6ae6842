//! The detectors of an anomaly rule, one per series of its signal.

use std::collections::BTreeMap;

use ahash::AHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detect::{AnomalyConfig, Detector, Judgement};
use crate::model::{Labels, Point, Timestamp};

/// Detectors by the labels of their signal (without the metric's name).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorBank(AHashMap<Labels, Kept>);

/// A detector and when it last had a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    last: Timestamp,
    detector: Detector,
}

/// A value and what the detector said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedPoint {
    /// Labels of the signal, without the metric's name.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// The verdict.
    pub judgement: Judgement,
}

/// What is published of a detector: the suffixes of the series' names.
pub const SUFFIXES: [&str; 5] = ["value", "expected", "lower", "upper", "score"];

/// The published series of a detector, in the order `:value`, `:expected`, `:lower`, `:upper`, `:score`.
pub type Band = [f64; SUFFIXES.len()];

impl JudgedPoint {
    /// The value of each published series.
    pub fn band(&self) -> Band {
        let j = &self.judgement;
        [self.value, j.expected, j.lower, j.upper, j.score]
    }
}

impl DetectorBank {
    /// Whether there is no detector.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The series that have a detector, sorted.
    pub fn labels(&self) -> Vec<&Labels> {
        let mut labels: Vec<&Labels> = self.0.keys().collect();
        labels.sort_unstable();
        labels
    }

    /// The detector of a series, to be saved.
    pub fn get(&self, labels: &Labels) -> Option<&Kept> {
        self.0.get(labels)
    }

    /// Takes a saved detector.
    pub fn put(&mut self, labels: Labels, kept: Kept) {
        self.0.insert(labels, kept);
    }

    /// How many detectors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Memory of the detectors' state, in bytes.
    pub fn state_bytes(&self) -> usize {
        self.0.values().map(|kept| kept.detector.state_bytes()).sum()
    }

    /// Whether a series has a detector.
    pub fn knows(&self, labels: &Labels) -> bool {
        self.0.contains_key(labels)
    }

    /// Starts a detector at `at`.
    pub fn start(&mut self, config: &AnomalyConfig, labels: Labels, at: Timestamp) {
        self.0.insert(labels, Kept { last: at, detector: Detector::new(config) });
    }

    /// Lets a detector learn from history, oldest first.
    pub fn learn(&mut self, config: &AnomalyConfig, labels: &Labels, history: &[Point]) {
        if let Some(kept) = self.0.get_mut(labels) {
            kept.detector.warm(config, history);
        }
    }

    /// Judges a value by what came before it, then learns it.
    pub(super) fn judge(
        &mut self,
        config: &AnomalyConfig,
        (labels, value): (&Labels, f64),
        at: Timestamp,
    ) -> JudgedPoint {
        let kept = match self.0.get_mut(labels) {
            Some(kept) => kept,
            None => self.0.entry(labels.clone()).or_insert(Kept { last: at, detector: Detector::new(config) }),
        };
        kept.last = at;
        let judgement = kept.detector.step(config, at.as_millis(), value);
        JudgedPoint { labels: labels.clone(), value, judgement }
    }

    /// Drops detectors that had no value since `oldest`: their series are gone.
    pub(super) fn forget_before(&mut self, oldest: Timestamp) {
        self.0.retain(|_, kept| kept.last >= oldest);
    }
}

impl Serialize for DetectorBank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sorted: BTreeMap<&Labels, &Kept> = self.0.iter().collect();
        serializer.collect_seq(sorted)
    }
}

impl<'de> Deserialize<'de> for DetectorBank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Vec::<(Labels, Kept)>::deserialize(deserializer)?.into_iter().collect()))
    }
}
