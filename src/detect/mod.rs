//! Anomaly detectors: streaming, one per file, pure f64 maths.
//!
//! Place in the flow: `eval` keeps one [`Detector`] per series of an anomaly rule and calls [`Detector::step`] at every
//! slot; `alertd detect` and backtests call the same. A step is: drop what has left the window, compare the value with
//! the band of what came before it, decide, then learn the value. Nothing here reads a clock, a store or a rule file.
//!
//! The verdict has three parts, each in one file: the band (`expected ± half-width`, one file per method), the score
//! ([`tail`]) and the alarm ([`alarm`]: m of n points, refractory period).

pub mod alarm;
pub mod config;
mod ewma;
mod moving_average;
mod robust;
mod saved;
mod stamps;
pub mod tail;
pub mod verdict;
mod window;

use serde::{Deserialize, Serialize};

use crate::model::Point;
use alarm::Alarm;
use ewma::Ewma;
use moving_average::MovingAverage;
use robust::Robust;

pub use config::{AnomalyConfig, Direction, Method, Season, Trigger};
pub use tail::{SCORE_MAX, sigma_from_sensitivity};
pub use verdict::{Judgement, Reason};
pub use window::WINDOW_POINTS_MAX;

/// Version of the saved form of a [`Detector`].
pub const STATE_VERSION: u32 = 1;
/// Larger values are left out like infinities: their squares, which the spread needs, would overflow.
pub const VALUE_MAX: f64 = 1e150;

/// Centre and spread of what was learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    pub expected: f64,
    pub spread: f64,
}

/// The state of one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Model {
    MovingAverage(MovingAverage),
    Robust(Robust),
    Ewma(Ewma),
}

impl Model {
    fn new(method: Method) -> Self {
        match method {
            Method::MovingAverage => Self::MovingAverage(MovingAverage::default()),
            Method::Robust => Self::Robust(Robust::default()),
            Method::Ewma => Self::Ewma(Ewma::default()),
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::MovingAverage(_) => Method::MovingAverage,
            Self::Robust(_) => Method::Robust,
            Self::Ewma(_) => Method::Ewma,
        }
    }

    /// The band at `t_ms`, from points before it; `None` while there are too few.
    fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        match self {
            Self::MovingAverage(model) => model.band(config, t_ms),
            Self::Robust(model) => model.band(config, t_ms),
            Self::Ewma(model) => model.band(config, t_ms),
        }
    }

    fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        match self {
            Self::MovingAverage(model) => model.learn(config, t_ms, value),
            Self::Robust(model) => model.learn(config, t_ms, value),
            Self::Ewma(model) => model.learn(config, t_ms, value),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::MovingAverage(model) => model.heap_bytes(),
            Self::Robust(model) => model.heap_bytes(),
            Self::Ewma(_) => 0,
        }
    }
}

/// The detector of one series.
///
/// Its state depends on the points it was given and their order alone, so scores are the same bit for bit however the
/// stream is cut into batches or saved and restored in between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "saved::Saved", into = "saved::Saved")]
pub struct Detector {
    model: Model,
    alarm: Alarm,
    skipped: u64,
}

impl Detector {
    /// A detector that has learned nothing.
    pub fn new(config: &AnomalyConfig) -> Self {
        Self { model: Model::new(config.method), alarm: Alarm::default(), skipped: 0 }
    }

    /// Judges a point by what came before it, then learns it. Points are expected in order of time; one that is not
    /// newer than the last is judged all the same.
    pub fn step(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) -> Judgement {
        let judgement = self.judge(config, t_ms, value);
        if judgement.reason != Reason::Skipped {
            self.model.learn(config, t_ms, judgement.lesson(config, value));
        }
        judgement
    }

    /// Judges a point without learning it. The alarm remembers it; the band forgets only what has left the window.
    pub fn judge(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) -> Judgement {
        if !usable(value) {
            self.skipped += 1;
            return Judgement::silent(Reason::Skipped);
        }
        let Some(band) = self.band(config, t_ms) else {
            return Judgement::silent(Reason::Learning);
        };
        let (mut judgement, z) = verdict::judge(config, band, value);
        judgement.reason = self.alarm.hear(config, t_ms, z, judgement.reason);
        judgement.anomalous = judgement.reason.is_anomalous();
        judgement
    }

    /// Learns a point without judging it.
    pub fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        if !usable(value) {
            self.skipped += 1;
            return;
        }
        let lesson = match self.band(config, t_ms) {
            Some(band) => verdict::judge(config, band, value).0.lesson(config, value),
            None => value,
        };
        self.model.learn(config, t_ms, lesson);
    }

    /// Fills the detector from history, oldest first. The alarm hears nothing of it.
    pub fn warm(&mut self, config: &AnomalyConfig, points: &[Point]) {
        for point in points {
            self.learn(config, point.t_ms, point.value);
        }
    }

    /// How many values were left out because they were no finite numbers, or beyond [`VALUE_MAX`].
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Memory of the state, in bytes.
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() + self.model.heap_bytes()
    }

    fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        // A rule whose method was changed starts anew: the state of one method says nothing to another.
        if self.model.method() != config.method {
            self.model = Model::new(config.method);
        }
        self.model.band(config, t_ms)
    }
}

fn usable(value: f64) -> bool {
    value.abs() <= VALUE_MAX
}

#[cfg(test)]
mod tests;
