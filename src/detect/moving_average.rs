//! Moving average: mean and standard deviation of the window before the point.
//!
//! Place in the flow: one [`super::Detector`] model. Population standard deviation, as `stddev_over_time` of PromQL.
//! O(1) per point, amortised: running sums with a point added at one end and removed at the other.
//!
//! Running sums usually decay, in two ways. Rounding: each removal leaves a remainder, and an outlier's removal a large
//! one; here the sums are held in two floats each (about 106 bits), and a point is removed as the very number that was
//! added. Cancellation: far from zero the variance is a small difference of large sums; here values are measured from
//! an anchor in their midst, which is moved, and the sums made anew, whenever the difference gets small against them.
//! That needs the window's content to be replaced in between, so it costs O(1) per point too.

use serde::{Deserialize, Serialize};

use super::saved::bits;
use super::window::{Taken, Window};
use super::{AnomalyConfig, Band, WINDOW_POINTS_MAX};

/// The anchor is moved when the sum of squares about the mean is below this share of that about the anchor. The share
/// times 1e16 is the relative precision that is kept.
const ANCHOR_SHARE_MIN: f64 = 1e-6;

/// A sum in two floats: the value is `high + low`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    #[serde(with = "bits")]
    high: f64,
    #[serde(with = "bits")]
    low: f64,
}

impl Sum {
    /// Knuth's two-sum, with the error carried.
    fn add(&mut self, x: f64) {
        let (sum, error) = two_sum(self.high, x);
        (self.high, self.low) = two_sum(sum, error + self.low);
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// State of the moving average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MovingAverage {
    window: Window,
    #[serde(with = "bits")]
    anchor: f64,
    /// Of the distances from the anchor.
    sum: Sum,
    /// Of their squares.
    squares: Sum,
}

impl MovingAverage {
    pub(super) fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        while let Some(value) = self.window.evict(t_ms, config.window_ms()) {
            self.account(value, -1.0);
        }
        let enough = config.min_samples.clamp(1, WINDOW_POINTS_MAX / 2);
        if self.window.len() < enough {
            return None;
        }
        if self.about_mean() < ANCHOR_SHARE_MIN * self.squares.high {
            self.move_anchor();
        }
        let n = self.window.len() as f64;
        let spread = (self.about_mean().max(0.0) / n).sqrt();
        Some(Band { expected: self.anchor + self.sum.high / n, spread })
    }

    pub(super) fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        if self.window.len() == 0 {
            (self.anchor, self.sum, self.squares) = (value, Sum::default(), Sum::default());
        }
        match self.window.push(t_ms, value, config.window_ms()) {
            Taken::Added => self.account(value, 1.0),
            Taken::Rebuilt => self.move_anchor(),
            Taken::Ignored => {}
        }
    }

    /// Replaces every value by what `change` makes of it at its time.
    pub(super) fn remake(&mut self, change: &mut dyn FnMut(i64, f64) -> f64) {
        self.window.remake(change);
        self.move_anchor();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.window.heap_bytes()
    }

    /// Sum of squares about the mean.
    fn about_mean(&self) -> f64 {
        let n = self.window.len() as f64;
        self.squares.high - self.sum.high * (self.sum.high / n)
    }

    fn account(&mut self, value: f64, sign: f64) {
        let distance = value - self.anchor;
        self.sum.add(sign * distance);
        self.squares.add(sign * distance * distance);
    }

    /// Anchors at the mean. The mean of distances from some value of the window is as near to the true one as f64
    /// allows, wherever the anchor was.
    fn move_anchor(&mut self) {
        let Some(start) = self.window.values().next() else { return };
        let mut sum = Sum::default();
        self.window.values().for_each(|value| sum.add(value - start));
        self.anchor = start + sum.high / self.window.len() as f64;
        (self.sum, self.squares) = (Sum::default(), Sum::default());
        let values: Vec<f64> = self.window.values().collect();
        values.into_iter().for_each(|value| self.account(value, 1.0));
    }
}
