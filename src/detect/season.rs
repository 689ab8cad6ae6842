//! The season of a series: which profile is in use, and what is left of a value without it.
//!
//! Place in the flow: beside the method of a [`super::Detector`]. A method judges and learns *residuals*: the value
//! itself while no season is in use, its distance from the profile afterwards. Profiles are learned as soon as there is
//! a band, and come into use when [`SEASONS_MIN`] whole seasons were seen, gaps not counted.
//!
//! `auto` learns one profile per cycle and uses the one that forecasts clearly better than the method would without:
//! each candidate keeps the mean error of its own forecasts and, over the same points, of forecasts without a season.
//! It comes into use below [`ENTER`] of that error and goes out of use above [`LEAVE`], so that it does not flap.
//!
//! When the season in use changes, the method's residuals are made anew ([`Change`]): forgetting a week of them would
//! make the detector blind.

use serde::{Deserialize, Serialize};

use super::profile::{Cycle, Profile};
use super::saved::bits;
use super::{AnomalyConfig, Season, VALUE_MAX};
use crate::schedule::Zone;

/// A profile is used when so many whole seasons were seen.
const SEASONS_MIN: i64 = 2;
/// `auto` looks at the errors of at least this time before it takes a profile: an hour can repeat itself by chance.
const EVIDENCE_MIN_MS: i64 = 86_400_000;
/// Points farther apart than this share of a season leave a gap: the time between was not seen.
pub const GAP_SHARE: u32 = 6;
/// `auto` takes a profile whose error is below this share of the error without,
const ENTER: f64 = 0.7;
/// and keeps it until it is above this one, or another has less than this share of its error.
const LEAVE: f64 = 0.85;
/// Errors weigh by a factor of e less after this time, or two seasons if that is longer.
const ERROR_MEMORY_MS: i64 = 7 * 86_400_000;
/// An error counts as at most this many mean errors, so that an incident decides nothing.
const ERROR_REACH: f64 = 8.0;
/// A level is moved by at most this many mean errors.
const LEVEL_REACH: f64 = 6.0;
/// Mean absolute error to standard deviation, for normal values: √(π/2).
const ERROR_TO_SIGMA: f64 = 1.253_314_137_315_5;
/// Residuals of values that the profile has learned are smaller than those to come; they are widened by at most this.
const WIDEN_MAX: f64 = 2.0;

/// A mean whose weights fall with time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    #[serde(with = "bits")]
    value: f64,
    #[serde(with = "bits")]
    weight: f64,
}

impl Mean {
    /// Takes a value; what was there before keeps `decay` of its weight.
    fn take(&mut self, value: f64, decay: f64) {
        let share = 1.0 - decay;
        self.weight = self.weight * decay + share;
        if self.weight > 0.0 {
            self.value += (value - self.value) * (share / self.weight);
        }
    }

    fn get(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.value)
    }
}

/// A profile and how well it forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Candidate {
    profile: Profile,
    /// Time seen, gaps not counted; stops where more of it changes nothing.
    seen_ms: i64,
    /// Distance of the values from the profile: what the method will expect of its residuals.
    bias: Mean,
    /// Absolute error of the forecasts `profile + bias`.
    error: Mean,
    /// Absolute error of forecasts without a season, of the same points.
    plain_error: Mean,
}

/// A point as profiles see it.
#[derive(Clone, Copy)]
struct Seen {
    wall_ms: i64,
    step_ms: i64,
    /// Distance from the anchor.
    value: f64,
    /// The forecast without a season.
    plain: Option<f64>,
    window_ms: i64,
}

impl Candidate {
    fn new(cycle: Cycle) -> Self {
        let [bias, error, plain_error] = [const { Mean { value: 0.0, weight: 0.0 } }; 3];
        Self { profile: Profile::new(cycle), seen_ms: 0, bias, error, plain_error }
    }

    fn length_ms(&self) -> i64 {
        self.profile.cycle().length_ms()
    }

    /// Whether it may be used where a rule asks for it.
    fn is_ready(&self) -> bool {
        self.seen_ms >= SEASONS_MIN * self.length_ms()
    }

    /// Whether its errors, which begin with the second season, say enough.
    fn is_proven(&self) -> bool {
        self.is_ready() && self.seen_ms >= self.length_ms() + EVIDENCE_MIN_MS
    }

    /// Its error as a share of that without a season.
    fn ratio(&self) -> f64 {
        if self.plain_error.value > 0.0 { self.error.value / self.plain_error.value } else { 1.0 }
    }

    fn learn(&mut self, seen: Seen) {
        let length_ms = self.length_ms();
        // In the first season a forecast knows nothing but the minutes before.
        let forecast = if self.seen_ms >= length_ms { self.profile.at(seen.wall_ms) } else { None };
        if let (Some(forecast), Some(plain)) = (forecast, seen.plain) {
            let residual = seen.value - forecast.level;
            if let Some(bias) = self.bias.get() {
                let memory_ms = ERROR_MEMORY_MS.max(2 * length_ms);
                let decay = decay(seen.step_ms.min(length_ms / i64::from(GAP_SHARE)), memory_ms);
                let reach = reach(ERROR_REACH, self.plain_error.value.max(self.error.value));
                self.error.take((residual - bias).abs().min(reach), decay);
                self.plain_error.take((seen.value - plain).abs().min(reach), decay);
            }
            self.bias.take(residual, decay(seen.step_ms, seen.window_ms / 2));
        }
        self.profile.learn(seen.wall_ms, seen.step_ms, seen.value, reach(LEVEL_REACH, self.error.value));
        if seen.step_ms <= length_ms / i64::from(GAP_SHARE) {
            let enough_ms = (SEASONS_MIN * length_ms).max(length_ms + EVIDENCE_MIN_MS);
            self.seen_ms = self.seen_ms.saturating_add(seen.step_ms).min(enough_ms);
        }
    }
}

/// So many mean errors; without a limit where there were none.
fn reach(times: f64, error: f64) -> f64 {
    if error > 0.0 { times * error } else { f64::INFINITY }
}

fn decay(step_ms: i64, memory_ms: i64) -> f64 {
    (-(step_ms as f64) / memory_ms.max(1) as f64).exp()
}

/// A value taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts {
    /// What the method judges.
    pub residual: f64,
    /// What is added to the method's band to have it in the unit of the signal.
    pub base: f64,
    /// The least spread: what is usual at this phase.
    pub spread: f64,
    /// What is added to a residual to have the distance from the anchor.
    offset: f64,
}

impl Parts {
    /// Without a season.
    pub(super) fn whole(value: f64) -> Self {
        Self { residual: value, base: 0.0, spread: 0.0, offset: 0.0 }
    }
}

/// What is to be learned of a value.
#[derive(Clone, Copy)]
pub(super) struct Lesson {
    /// The residual, no farther out than the edge of its band; the value itself at a phase never seen.
    pub residual: f64,
    /// None at a phase never seen.
    pub parts: Option<Parts>,
    /// Whether there was a band.
    pub is_banded: bool,
}

/// The seasons of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seasonal {
    season: Season,
    zone: Zone,
    #[serde(with = "bits")]
    anchor: f64,
    last_ms: Option<i64>,
    /// Values offered, up to `min_samples`: without a band no earlier ones are learned, as they may be anything.
    offered: u64,
    /// The level without a season: as old as the method's own.
    level: Mean,
    /// Absolute error of that level as a forecast.
    error: Mean,
    candidates: Vec<Candidate>,
    /// The place of the candidate in use.
    active: Option<usize>,
}

impl Seasonal {
    /// What a rule asks for; `None` for a rule without a season.
    pub(super) fn new(config: &AnomalyConfig) -> Option<Box<Self>> {
        let cycles: &[Cycle] = match config.season {
            Season::None => return None,
            Season::Hourly => &[Cycle::Hour],
            Season::Daily => &[Cycle::Day],
            Season::Weekly => &[Cycle::Week],
            Season::Auto => &[Cycle::Hour, Cycle::Day, Cycle::Week],
        };
        Some(Box::new(Self {
            season: config.season,
            zone: config.timezone,
            anchor: 0.0,
            last_ms: None,
            offered: 0,
            level: Mean::default(),
            error: Mean::default(),
            candidates: cycles.iter().copied().map(Candidate::new).collect(),
            active: None,
        }))
    }

    /// Whether it is what the rule asks for.
    pub(super) fn fits(&self, config: &AnomalyConfig) -> bool {
        (self.season, self.zone) == (config.season, config.timezone)
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Whether a saved one has the form that its season asks for.
    pub(super) fn is_whole(&self) -> bool {
        let config = AnomalyConfig { season: self.season, timezone: self.zone, ..AnomalyConfig::default() };
        let cycles = |seasonal: &Self| seasonal.candidates.iter().map(|c| c.profile.cycle()).collect::<Vec<_>>();
        let means = self.candidates.iter().flat_map(|c| [&c.bias, &c.error, &c.plain_error]);
        let means = means.chain([&self.level, &self.error]);
        Self::new(&config).is_some_and(|new| cycles(&new) == cycles(self))
            && self.anchor.is_finite()
            && means.flat_map(|mean| [mean.value, mean.weight]).all(f64::is_finite)
            && self.active.is_none_or(|active| active < self.candidates.len())
    }

    /// Takes a value apart; `None` at a phase that the profile in use has never seen.
    pub(super) fn parts(&self, t_ms: i64, value: f64) -> Option<Parts> {
        let Some(active) = self.active.and_then(|at| self.candidates.get(at)) else {
            return Some(Parts { offset: -self.anchor, ..Parts::whole(value) });
        };
        let usual = active.profile.at(self.zone.wall_ms(t_ms))?;
        let offset = usual.level;
        let residual = (value - self.anchor - offset).clamp(-VALUE_MAX, VALUE_MAX);
        Some(Parts { residual, base: self.anchor + offset, spread: usual.distance * ERROR_TO_SIGMA, offset })
    }

    /// Learns a value. Says what the method has to do if another season is in use from now on.
    pub(super) fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, lesson: Lesson) -> Option<Change> {
        let enough = u64::try_from(config.min_samples).unwrap_or(u64::MAX);
        self.offered = self.offered.saturating_add(1).min(enough);
        if !lesson.is_banded && self.offered < enough {
            return None;
        }
        if self.last_ms.is_none() {
            self.anchor = lesson.residual;
        }
        let window_ms = config.window_ms();
        let step_ms = t_ms.saturating_sub(self.last_ms.unwrap_or(t_ms));
        // A stamp that is not newer teaches nothing. One that is older by a window is where time goes on from.
        if step_ms > 0 || step_ms <= window_ms.saturating_neg() || self.last_ms.is_none() {
            self.last_ms = Some(t_ms);
        }
        if step_ms <= 0 {
            return None;
        }
        let mut value = match (self.active, lesson.parts) {
            (Some(_), Some(parts)) => lesson.residual + parts.offset,
            _ => lesson.residual - self.anchor,
        };
        let plain = self.level.get();
        if let Some(level) = plain {
            let reach = reach(ERROR_REACH, self.error.value);
            // Where no band has cut a value to measure, the errors so far do.
            value = if lesson.is_banded { value } else { value.clamp(level - reach, level + reach) };
            self.error.take((value - level).abs().min(reach), decay(step_ms, ERROR_MEMORY_MS));
        }
        let seen = Seen { wall_ms: self.zone.wall_ms(t_ms), step_ms, value, plain, window_ms };
        self.candidates.iter_mut().for_each(|candidate| candidate.learn(seen));
        self.level.take(value, decay(step_ms, window_ms / 2));
        let next = self.choose();
        (next != self.active).then(|| Change { before: std::mem::replace(&mut self.active, next) })
    }

    /// The candidate to be used from now on.
    fn choose(&self) -> Option<usize> {
        if self.season != Season::Auto {
            return self.candidates.first().filter(|only| only.is_ready()).map(|_| 0);
        }
        let ready = self.candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_proven());
        let (best, best_ratio) =
            ready.map(|(at, candidate)| (at, candidate.ratio())).min_by(|a, b| a.1.total_cmp(&b.1))?;
        let kept = self.active.and_then(|at| Some((at, self.candidates.get(at)?.ratio())));
        match kept {
            Some((at, ratio)) if ratio <= LEAVE && best_ratio >= LEAVE * ratio => Some(at),
            _ => (best_ratio < ENTER).then_some(best),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let candidates = self.candidates.capacity() * size_of::<Candidate>();
        size_of::<Self>() + candidates + self.candidates.iter().map(|c| c.profile.heap_bytes()).sum::<usize>()
    }
}

/// A change of the season in use: how the method's residuals are made anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    before: Option<usize>,
}

impl Change {
    /// Centre and spread of the residuals to come.
    pub(super) fn outlook(self, seasonal: &Seasonal) -> (f64, f64) {
        let candidate = |at: Option<usize>| at.and_then(|at| seasonal.candidates.get(at));
        match (candidate(seasonal.active), candidate(self.before)) {
            (Some(now), _) => (now.bias.value, now.error.value * ERROR_TO_SIGMA),
            (None, before) => {
                let error = before.map_or(0.0, |before| before.plain_error.value);
                (seasonal.anchor + seasonal.level.value, error * ERROR_TO_SIGMA)
            }
        }
    }

    /// A residual of the season before, as one of the season now in use.
    pub(super) fn residual(self, seasonal: &Seasonal, t_ms: i64, residual: f64) -> f64 {
        let wall_ms = seasonal.zone.wall_ms(t_ms);
        let forecast =
            |at: usize| seasonal.candidates.get(at).and_then(|c| c.profile.at(wall_ms)).map(|usual| usual.level);
        let value = match self.before {
            Some(before) => residual + forecast(before).unwrap_or(0.0),
            None => residual - seasonal.anchor,
        };
        match seasonal.active {
            // A phase without a level is as usual as the others.
            Some(now) => forecast(now).map_or(self.outlook(seasonal).0, |forecast| value - forecast),
            None => value + seasonal.anchor,
        }
    }

    /// By how much residuals with this mean distance from the centre are widened.
    pub(super) fn widening(self, seasonal: &Seasonal, mean_distance: f64) -> f64 {
        match seasonal.active.and_then(|at| seasonal.candidates.get(at)) {
            Some(now) if mean_distance > 0.0 => (now.error.value / mean_distance).clamp(1.0, WIDEN_MAX),
            _ => 1.0,
        }
    }
}
