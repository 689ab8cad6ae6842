//! Anomaly detectors: streaming, one per file, pure f64 maths.
//!
//! Place in the flow: `eval` keeps one [`Detector`] per series of an anomaly rule and calls [`Detector::step`] at every
//! slot; `alertd detect` and backtests call the same. A step is: drop what has left the window, compare the value with
//! the band of what came before it, decide, then learn the value. Nothing here reads a clock, a store or a rule file.
//!
//! The verdict has three parts, each in one file: the band (`expected ± half-width`, one file per method), the score
//! ([`tail`]) and the alarm ([`alarm`]: m of n points, refractory period). Where a rule has a season, the method sees
//! residuals from a profile instead of values (`season`).

pub mod alarm;
pub mod config;
mod ewma;
mod excerpt;
mod moving_average;
mod profile;

mod robust;
mod saved;
mod season;
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
use season::{Change, Lesson, Parts, Seasonal};

pub use crate::schedule::Zone;
pub use config::{AnomalyConfig, Direction, Method, Season, Trigger};
pub use season::GAP_SHARE;
pub use tail::{SCORE_MAX, sigma_from_sensitivity};
pub use verdict::{Judgement, Reason};
pub use window::WINDOW_POINTS_MAX;

/// Version of the saved form of a [`Detector`]. Version 1, without seasons, is read too.
pub const STATE_VERSION: u32 = 2;
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
    Robust(Box<Robust>),
    Ewma(Ewma),
}

impl Model {
    fn new(method: Method) -> Self {
        match method {
            Method::MovingAverage => Self::MovingAverage(MovingAverage::default()),
            Method::Robust => Self::Robust(Box::default()),
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

    /// Takes another season into use.
    fn change(&mut self, change: Change, seasonal: &Seasonal) {
        let (centre, spread) = change.outlook(seasonal);
        if let Self::Ewma(model) = self {
            model.set(centre, spread);
            return;
        }
        let (mut count, mut total) = (0.0, 0.0);
        self.remake(&mut |t_ms, residual| {
            let residual = change.residual(seasonal, t_ms, residual);
            (count, total) = (count + 1.0, total + (residual - centre).abs());
            residual
        });
        let widening = change.widening(seasonal, total / f64::max(count, 1.0));
        let usable = |residual: f64| residual.clamp(-VALUE_MAX, VALUE_MAX);
        self.remake(&mut |_, residual| usable(centre + (residual - centre) * widening));
    }

    fn remake(&mut self, change: &mut dyn FnMut(i64, f64) -> f64) {
        match self {
            Self::MovingAverage(model) => model.remake(change),
            Self::Robust(model) => model.remake(change),
            Self::Ewma(_) => {}
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::MovingAverage(model) => model.heap_bytes(),
            Self::Robust(model) => size_of::<Robust>() + model.heap_bytes(),
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
    seasonal: Option<Box<Seasonal>>,
}

/// A judgement and what is to be learned of the point.
struct Verdict {
    judgement: Judgement,
    /// Spreads towards the side that counts.
    z: f64,
    /// The residual as the method learns it.
    residual: f64,
    /// What the season learns: a profile has no window to leave, so it is never more than the band allows.
    lesson: Lesson,
}

impl Detector {
    /// A detector that has learned nothing.
    pub fn new(config: &AnomalyConfig) -> Self {
        let model = Model::new(config.method);
        Self { model, alarm: Alarm::default(), skipped: 0, seasonal: Seasonal::new(config) }
    }

    /// Judges a point by what came before it, then learns it. Points are expected in order of time; one that is not
    /// newer than the last is judged all the same.
    pub fn step(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) -> Judgement {
        let Some(verdict) = self.examine(config, t_ms, value) else { return Judgement::silent(Reason::Skipped) };
        let judgement = self.announce(config, t_ms, &verdict);
        self.take(config, t_ms, &verdict);
        judgement
    }

    /// Judges a point without learning it. The alarm remembers it; the band forgets only what has left the window.
    pub fn judge(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) -> Judgement {
        match self.examine(config, t_ms, value) {
            Some(verdict) => self.announce(config, t_ms, &verdict),
            None => Judgement::silent(Reason::Skipped),
        }
    }

    /// Learns a point without judging it.
    pub fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        if let Some(verdict) = self.examine(config, t_ms, value) {
            self.take(config, t_ms, &verdict);
        }
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
        let seasonal = self.seasonal.as_ref().map_or(0, |seasonal| seasonal.heap_bytes());
        size_of::<Self>() + self.model.heap_bytes() + seasonal
    }

    /// Compares a value with the band; `None` for what is no usable number.
    fn examine(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) -> Option<Verdict> {
        if !usable(value) {
            self.skipped += 1;
            return None;
        }
        self.follow(config);
        let parts = match &self.seasonal {
            Some(seasonal) => seasonal.parts(t_ms, value),
            None => Some(Parts::whole(value)),
        };
        let band = self.model.band(config, t_ms);
        let (Some(parts), Some(band)) = (parts, band) else {
            let residual = parts.map_or(value, |parts| parts.residual);
            let lesson = Lesson { residual, parts, is_banded: false };
            return Some(Verdict { judgement: Judgement::silent(Reason::Learning), z: 0.0, residual, lesson });
        };
        let (judgement, z, within) = verdict::judge(config, band, parts);
        let residual = if config.learn_while_firing { parts.residual } else { within };
        let lesson = Lesson { residual: within, parts: Some(parts), is_banded: true };
        Some(Verdict { judgement, z, residual, lesson })
    }

    /// What becomes of a judgement: the alarm decides.
    fn announce(&mut self, config: &AnomalyConfig, t_ms: i64, verdict: &Verdict) -> Judgement {
        let mut judgement = verdict.judgement;
        if judgement.reason != Reason::Learning {
            judgement.reason = self.alarm.hear(config, t_ms, verdict.z, judgement.reason);
            judgement.anomalous = judgement.reason.is_anomalous();
        }
        judgement
    }

    fn take(&mut self, config: &AnomalyConfig, t_ms: i64, verdict: &Verdict) {
        // At a phase that the season has never seen there is no residual.
        if verdict.lesson.parts.is_some() {
            self.model.learn(config, t_ms, verdict.residual);
        }
        if let Some(seasonal) = &mut self.seasonal
            && let Some(change) = seasonal.learn(config, t_ms, verdict.lesson)
        {
            self.model.change(change, seasonal);
        }
    }

    /// A rule that was changed: the state of one method or season says nothing to another.
    fn follow(&mut self, config: &AnomalyConfig) {
        let fits = match &self.seasonal {
            Some(seasonal) => seasonal.fits(config),
            None => config.season == Season::None,
        };
        if self.model.method() != config.method {
            self.model = Model::new(config.method);
            self.seasonal = Seasonal::new(config);
        } else if !fits {
            if self.seasonal.as_ref().is_some_and(|seasonal| seasonal.is_active()) {
                self.model = Model::new(config.method);
            }
            self.seasonal = Seasonal::new(config);
        }
    }
}

fn usable(value: f64) -> bool {
    value.abs() <= VALUE_MAX
}

#[cfg(test)]
mod tests;
