//! What a series usually is at each phase of an hour, a day or a week.
//!
//! Place in the flow: one candidate of a [`super::season::Seasonal`]. The cycle is cut into buckets of equal length by
//! the clock on the wall; each has a level, and between the centres of buckets the profile is a straight line. A level
//! is a mean over the cycles seen, in which a cycle's weight falls by a factor of e per [`Cycle::memory_ms`]. What is
//! learned of one stay in a bucket is added when the bucket is left: a forecast uses earlier cycles, not the minute
//! before. Weights follow time, not counts, so that sparse and dense history weigh alike.
//!
//! Levels are distances from an anchor that the owner keeps, so that they are exact far from zero too.

use serde::{Deserialize, Serialize};

use super::saved::bits;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Weights grow with the time since they were last put back; they are put back when they have grown by e to this.
const GROWTH_MAX: f64 = 16.0;

/// A distance told by fewer cycles is widened no more.
const CYCLES_MIN: f64 = 0.2;

/// The length of a season.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cycle {
    Hour,
    Day,
    Week,
}

impl Cycle {
    pub(super) const fn length_ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
        }
    }

    /// A minute of an hour, ten of a day, an hour of a week.
    pub(super) const fn buckets(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 144,
            Self::Week => 168,
        }
    }

    /// A day of hours, a week of days, four weeks.
    pub(super) const fn memory_ms(self) -> i64 {
        match self {
            Self::Hour => DAY_MS,
            Self::Day => 7 * DAY_MS,
            Self::Week => 28 * DAY_MS,
        }
    }

    const fn bucket_ms(self) -> i64 {
        self.length_ms() / self.buckets() as i64
    }
}

/// What was learned of the present stay in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Stay {
    bucket: usize,
    /// Time in buckets.
    #[serde(with = "bits")]
    weight: f64,
    /// Weighted sum of the values, or of the distances from the forecasts if the bucket has a level.
    #[serde(with = "bits")]
    sum: f64,
    /// Weighted sum of the absolute distances from the forecasts.
    #[serde(with = "bits")]
    distance: f64,
}

/// What is usual at a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// The level, as a distance from the anchor.
    pub level: f64,
    /// Mean absolute distance of the values from it; more where few cycles tell it.
    pub distance: f64,
}

/// Levels by phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub(super) struct Profile {
    cycle: Cycle,
    levels: Vec<f64>,
    /// Mean absolute distances of the values from their forecasts; zero before there was one.
    distances: Vec<f32>,
    /// Zero: never seen.
    weights: Vec<f32>,
    /// Time since the weights were put back.
    age_ms: f64,
    /// The weight that a cycle had when a bucket was last left.
    cycle_weight: f64,
    stay: Stay,
}

impl Profile {
    pub(super) fn new(cycle: Cycle) -> Self {
        let n = cycle.buckets();
        let (levels, distances, weights) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        Self { cycle, levels, distances, weights, age_ms: 0.0, cycle_weight: 1.0, stay: Stay::default() }
    }

    pub(super) fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// The usual level when the wall shows `wall_ms`; `None` where neither of the two nearest buckets was ever seen.
    pub(super) fn at(&self, wall_ms: i64) -> Option<Usual> {
        let n = self.cycle.buckets();
        let (own, ahead) = self.place(wall_ms);
        let other = if ahead < 0.0 { (own + n - 1) % n } else { (own + 1) % n };
        match (self.usual(own), self.usual(other)) {
            (Some(near), Some(far)) => {
                // A phase that was met by chance knows less than one that is met every time.
                let share = ahead.abs() * f64::from(self.weight(other) / self.weight(own)).min(1.0);
                let between = |near: f64, far: f64| near + share * (far - near);
                Some(Usual { level: between(near.level, far.level), distance: between(near.distance, far.distance) })
            }
            (near, far) => near.or(far),
        }
    }

    /// Learns a value `step_ms` after the last one; one that is farther from the forecast than `reach` is taken as that
    /// far.
    pub(super) fn learn(&mut self, wall_ms: i64, step_ms: i64, value: f64, reach: f64) {
        let (bucket, _) = self.place(wall_ms);
        if bucket != self.stay.bucket || step_ms >= self.cycle.bucket_ms() {
            self.leave();
            self.stay = Stay { bucket, ..Stay::default() };
        }
        // A gap ages what was learned by one cycle at most: a stamp far in the future must not wipe it out.
        self.age_ms += step_ms.clamp(0, self.cycle.length_ms()) as f64;
        let weight = (step_ms as f64 / self.cycle.bucket_ms() as f64).clamp(0.0, 1.0);
        self.stay.weight += weight;
        let Some(forecast) = self.at(wall_ms) else {
            self.stay.sum += weight * value;
            return;
        };
        let ahead = (value - forecast.level).clamp(-reach, reach);
        self.stay.distance += weight * ahead.abs();
        // A bucket that was never seen begins with what it is told itself.
        self.stay.sum += weight * if self.usual(bucket).is_some() { ahead } else { forecast.level + ahead };
    }

    /// Adds what was learned of the stay to its bucket.
    fn leave(&mut self) {
        let known = self.usual(self.stay.bucket).is_some();
        let mut growth = self.age_ms / self.cycle.memory_ms() as f64;
        if growth > GROWTH_MAX {
            let shrink = (-growth).exp() as f32;
            self.weights.iter_mut().for_each(|weight| *weight *= shrink);
            (self.age_ms, growth) = (0.0, 0.0);
        }
        let Stay { bucket, weight, sum, distance } = self.stay;
        let (levels, distances, weights) = (&mut self.levels, &mut self.distances, &mut self.weights);
        let places = (levels.get_mut(bucket), distances.get_mut(bucket), weights.get_mut(bucket));
        let (Some(level), Some(usual), Some(before)) = places else { return };
        let grown = growth.exp();
        self.cycle_weight = grown;
        let total = f64::from(*before) + grown * weight;
        if total <= 0.0 || weight <= 0.0 {
            return;
        }
        let moved = grown * sum / total;
        *level = if known { *level + moved } else { moved };
        if known {
            let (now, old) = ((distance / weight).min(f64::from(f32::MAX)), f64::from(*usual));
            *usual = if old > 0.0 { old + (now - old) * (grown * weight / total) } else { now } as f32;
        }
        *before = total as f32;
    }

    fn usual(&self, bucket: usize) -> Option<Usual> {
        let usual = || {
            let (level, distance) = (*self.levels.get(bucket)?, f64::from(*self.distances.get(bucket)?));
            let cycles = f64::from(self.weight(bucket)) / self.cycle_weight;
            Some(Usual { level, distance: distance * (1.0 + 1.0 / cycles.max(CYCLES_MIN)) })
        };
        if self.weight(bucket) > 0.0 { usual() } else { None }
    }

    fn weight(&self, bucket: usize) -> f32 {
        self.weights.get(bucket).copied().unwrap_or_default()
    }

    /// The bucket of a phase, and how far ahead of its centre the phase is, in buckets. Centres are at whole minutes of
    /// the clock, where points of regular slots lie.
    fn place(&self, wall_ms: i64) -> (usize, f64) {
        let place = wall_ms.rem_euclid(self.cycle.length_ms()) as f64 / self.cycle.bucket_ms() as f64;
        let centre = place.round();
        (centre as usize % self.cycle.buckets(), place - centre)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.levels.capacity() * size_of::<f64>()
            + (self.weights.capacity() + self.distances.capacity()) * size_of::<f32>()
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    cycle: Cycle,
    level_bits: Vec<u64>,
    distance_bits: Vec<u32>,
    weight_bits: Vec<u32>,
    #[serde(with = "bits")]
    age_ms: f64,
    #[serde(with = "bits")]
    cycle_weight: f64,
    stay: Stay,
}

impl From<Profile> for Saved {
    fn from(profile: Profile) -> Self {
        let Profile { cycle, levels, distances, weights, age_ms, cycle_weight, stay } = profile;
        let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect();
        let level_bits = levels.into_iter().map(f64::to_bits).collect();
        let (distance_bits, weight_bits) = (bits(distances), bits(weights));
        Self { cycle, level_bits, distance_bits, weight_bits, age_ms, cycle_weight, stay }
    }
}

impl TryFrom<Saved> for Profile {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        let Saved { cycle, level_bits, distance_bits, weight_bits, age_ms, cycle_weight, stay } = saved;
        let levels: Vec<f64> = level_bits.into_iter().map(f64::from_bits).collect();
        let [distances, weights] =
            [distance_bits, weight_bits].map(|bits| bits.into_iter().map(f32::from_bits).collect::<Vec<f32>>());
        let n = cycle.buckets();
        let whole = levels.len() == n && distances.len() == n && weights.len() == n && stay.bucket < n;
        let numbers = levels.iter().all(|level| level.is_finite())
            && distances.iter().chain(&weights).all(|number| *number >= 0.0 && number.is_finite())
            && cycle_weight >= 1.0
            && [age_ms, cycle_weight, stay.weight, stay.sum, stay.distance].iter().all(|number| number.is_finite());
        if !whole || !numbers {
            return Err("detector state is damaged: its profile does not fit together");
        }
        Ok(Self { cycle, levels, distances, weights, age_ms, cycle_weight, stay })
    }
}
