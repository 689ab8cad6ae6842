//! From a band and a value to a judgement.
//!
//! Place in the flow: the method gives centre and spread, this file the edges, the score and the side; `alarm` then
//! decides whether that is told.

use serde::{Deserialize, Serialize};

use super::season::Parts;
use super::tail::score;
use super::{AnomalyConfig, Band, Direction};

/// The least spread, as a share of the centre: a constant history has none, and rounding noise in values computed
/// from floats (about 1e-12) must stay far inside the band.
pub const SPREAD_RELATIVE_MIN: f64 = 1e-6;
/// The least sigma: keeps a width of zero out of the division below.
const SIGMA_MIN: f64 = 1e-3;

/// Why a point is or is not anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not a finite number: neither judged nor learned.
    Skipped,
    /// Too few points in the window.
    Learning,
    /// In the band, or outside on the side that does not count.
    Inside,
    /// Outside, but fewer of the last points than the trigger asks for.
    BelowTrigger,
    /// Outside, but no farther than an anomaly within the refractory period before.
    Refractory,
    /// Anomalous, above the band.
    Above,
    /// Anomalous, below the band.
    Below,
    /// Back inside, but the trigger still counts enough points outside.
    Lingering,
}

impl Reason {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Learning => "learning",
            Self::Inside => "inside",
            Self::BelowTrigger => "below_trigger",
            Self::Refractory => "refractory",
            Self::Above => "above",
            Self::Below => "below",
            Self::Lingering => "lingering",
        }
    }

    /// Whether it makes the point anomalous.
    pub const fn is_anomalous(self) -> bool {
        matches!(self, Self::Above | Self::Below | Self::Lingering)
    }
}

/// What a detector says of one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The centre of the band; NaN while there is none.
    pub expected: f64,
    /// Its lower edge; NaN while there is none.
    pub lower: f64,
    /// Its upper edge; NaN while there is none.
    pub upper: f64,
    /// Seen once in 10^score points, if they were normally distributed; 0 to [`super::SCORE_MAX`].
    pub score: f64,
    /// Whether the rule's condition holds.
    pub anomalous: bool,
    /// Why.
    pub reason: Reason,
}

impl Judgement {
    /// The judgement where there is no band to judge by.
    pub(crate) fn silent(reason: Reason) -> Self {
        Self { expected: f64::NAN, lower: f64::NAN, upper: f64::NAN, score: 0.0, anomalous: false, reason }
    }
}

/// Compares a value with a band of its residuals. Returns the judgement of this point alone; how far out it is, in
/// spreads towards the side that counts, where an edge that a floor has moved out is still `sigma` spreads away; and
/// the residual, or the edge that it went over.
pub(super) fn judge(config: &AnomalyConfig, band: Band, parts: Parts) -> (Judgement, f64, f64) {
    let Band { expected: centre, spread } = band;
    let expected = parts.base + centre;
    let sigma = config.sigma.max(SIGMA_MIN);
    let magnitude = expected.abs();
    let least = (SPREAD_RELATIVE_MIN * magnitude).max(f64::MIN_POSITIVE);
    let half_width = (sigma * spread.max(parts.spread).max(least))
        .max(config.min_deviation)
        .max(config.min_relative_deviation * magnitude);
    let deviation = parts.residual - centre;
    let towards = match config.direction {
        Direction::Above => deviation,
        Direction::Below => -deviation,
        Direction::Both => deviation.abs(),
    };
    let z = sigma * (towards / half_width);
    let reason = match (towards >= half_width, deviation > 0.0) {
        (false, _) => Reason::Inside,
        (true, true) => Reason::Above,
        (true, false) => Reason::Below,
    };
    let (low, high) = (centre - half_width, centre + half_width);
    let (lower, upper) = (parts.base + low, parts.base + high);
    let score = score(z, config.direction);
    let judgement = Judgement { expected, lower, upper, score, anomalous: reason.is_anomalous(), reason };
    (judgement, z, parts.residual.max(low).min(high))
}
