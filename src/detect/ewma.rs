//! Exponentially weighted mean and standard deviation, in constant memory.
//!
//! Place in the flow: one [`super::Detector`] model. A point's weight falls by `e^(−Δt / τ)` with its age, with
//! `τ = window / 2`: the points are then on average as old as those of a moving average over the window (the half-life
//! is 0.35 windows). Weights follow time, not counts, so irregular steps and gaps need no care; after a gap of a window
//! and more it starts anew, as a window would be empty. The update is West's (1979) for weighted values, which never
//! subtracts squares; values are measured from the first one, so that it holds far from zero too.

use serde::{Deserialize, Serialize};

use super::saved::bits;
use super::{AnomalyConfig, Band};

/// State of the weighted mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ewma {
    count: u64,
    last_ms: i64,
    #[serde(with = "bits")]
    anchor: f64,
    /// Sum of the weights.
    #[serde(with = "bits")]
    weight: f64,
    /// Mean distance from the anchor.
    #[serde(with = "bits")]
    mean: f64,
    /// Weighted sum of squares about the mean.
    #[serde(with = "bits")]
    squares: f64,
}

impl Ewma {
    pub(super) fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        self.forget(config, t_ms);
        let enough = u64::try_from(config.min_samples.max(1)).unwrap_or(u64::MAX);
        (self.count >= enough)
            .then(|| Band { expected: self.anchor + self.mean, spread: (self.squares / self.weight).sqrt() })
    }

    pub(super) fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        self.forget(config, t_ms);
        if self.count == 0 {
            *self = Self { last_ms: t_ms, anchor: value, ..Self::default() };
        }
        // A stamp that is not newer counts as of the same time.
        let age = t_ms.saturating_sub(self.last_ms).max(0) as f64 / (0.5 * config.window_ms() as f64);
        let decay = (-age).exp();
        self.weight = self.weight * decay + 1.0;
        let distance = value - self.anchor;
        let ahead = distance - self.mean;
        self.mean += ahead / self.weight;
        self.squares = self.squares * decay + ahead * (distance - self.mean);
        self.last_ms = self.last_ms.max(t_ms);
        self.count = self.count.saturating_add(1);
    }

    /// Goes on from another centre and spread, with the weight it has.
    pub(super) fn set(&mut self, centre: f64, spread: f64) {
        (self.anchor, self.mean, self.squares) = (centre, 0.0, spread * spread * self.weight);
    }

    /// Starts anew where a window would: after a gap as long as it, or a stamp as far in the past.
    fn forget(&mut self, config: &AnomalyConfig, t_ms: i64) {
        if self.count > 0 && t_ms.abs_diff(self.last_ms) >= config.window_ms().unsigned_abs() {
            *self = Self::default();
        }
    }
}
