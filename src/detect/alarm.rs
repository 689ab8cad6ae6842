//! When points outside the band become an anomaly: m of n, and the refractory period.
//!
//! Place in the flow: between the judgement of a single point and the rule's condition. It changes no score.
//!
//! The refractory period is what makes a plain moving average bearable: a series that goes over its band every day
//! tells nothing new the second time. Within the period only a point farther out than anything told before, or a run
//! outside that is much longer, is told; each point kept silent begins the period anew, but not beyond
//! [`STRETCH_MAX`] periods, so that nothing is silenced for good.

use serde::{Deserialize, Serialize};

use super::config::TRIGGER_OF_MAX;
use super::saved::bits;
use super::{AnomalyConfig, Reason};
use crate::model::time::millis;

/// The refractory period ends at the latest this many periods after the last anomaly.
pub const STRETCH_MAX: i64 = 4;
/// A run outside the band is told within the period if it is this many times as long as the longest one told before,
pub const RUN_FACTOR: u32 = 2;
/// and has at least this many points.
pub const RUN_POINTS_MIN: u32 = 12;

/// What the alarm remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    /// The last points, newest in bit 0; set where outside.
    recent: u32,
    /// Whether the last point was anomalous.
    on: bool,
    /// Points outside in a row.
    run: u32,
    /// The last anomaly, if there was one.
    told: Option<Told>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    /// The last point that was anomalous.
    last_ms: i64,
    /// The last point that was anomalous or kept silent by the refractory period.
    heard_ms: i64,
    /// The farthest out, in spreads.
    #[serde(with = "bits")]
    peak_z: f64,
    /// The longest run.
    run: u32,
}

impl Alarm {
    /// Hears the judgement of one point, `z` spreads out, and says what becomes of it.
    pub(crate) fn hear(&mut self, config: &AnomalyConfig, t_ms: i64, z: f64, point: Reason) -> Reason {
        let outside = point != Reason::Inside;
        let of = config.trigger.of.clamp(1, TRIGGER_OF_MAX);
        self.recent = (self.recent << 1 | u32::from(outside)) & (u32::MAX >> (TRIGGER_OF_MAX - of));
        self.run = if outside { self.run.saturating_add(1) } else { 0 };
        let triggered = self.recent.count_ones() >= config.trigger.points.clamp(1, of);
        let reason = match (triggered, outside) {
            (true, true) if self.on || !self.is_refractory(config, t_ms, z) => point,
            (true, true) => Reason::Refractory,
            (true, false) if self.on => Reason::Lingering,
            (false, true) => Reason::BelowTrigger,
            (_, false) => Reason::Inside,
        };
        self.remember(config, t_ms, z, reason);
        reason
    }

    fn is_refractory(&self, config: &AnomalyConfig, t_ms: i64, z: f64) -> bool {
        let period_ms = millis(config.refractory);
        let Some(told) = &self.told else { return false };
        let within = |since_ms: i64, length_ms: i64| t_ms.saturating_sub(since_ms) < length_ms;
        let longer = self.run >= RUN_POINTS_MIN.max(told.run.saturating_mul(RUN_FACTOR));
        within(told.heard_ms, period_ms)
            && within(told.last_ms, period_ms.saturating_mul(STRETCH_MAX))
            && z <= told.peak_z
            && !longer
    }

    fn remember(&mut self, config: &AnomalyConfig, t_ms: i64, z: f64, reason: Reason) {
        self.on = reason.is_anomalous();
        if self.on {
            // A period that has passed is forgotten: its peak no longer stands in the way.
            let fresh =
                self.told.as_ref().is_none_or(|told| t_ms.saturating_sub(told.heard_ms) >= millis(config.refractory));
            let (peak_z, run) = match &self.told {
                Some(told) if !fresh => (told.peak_z.max(z), told.run.max(self.run)),
                _ => (z, self.run),
            };
            self.told = Some(Told { last_ms: t_ms, heard_ms: t_ms, peak_z, run });
        } else if reason == Reason::Refractory
            && let Some(told) = &mut self.told
        {
            told.heard_ms = t_ms;
        }
    }
}
