//! Tail probabilities of the normal distribution: the score of a deviation, and sigma from a sensitivity.
//!
//! Place in the flow: `verdict` turns a deviation in spreads into a score; rule files that give `sensitivity` turn it
//! into sigma once, when they are read.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::erf::erfc;
use std::f64::consts::{LN_10, SQRT_2, TAU};

use super::Direction;

/// Scores end here: a deviation that is seen once in 10^300 points is not told from rarer ones.
pub const SCORE_MAX: f64 = 300.0;
/// Beyond this many sigma the tail is taken from its asymptotic series, whose next term is below 1e-9 there.
const ASYMPTOTIC_FROM: f64 = 20.0;

/// The score of a deviation of `z` spreads, positive towards the side that counts: −log10 of the probability of one at
/// least as large, so that a score of 4 is seen once in 10,000 points. At least 0, at most [`SCORE_MAX`].
pub fn score(z: f64, direction: Direction) -> f64 {
    let (z, sides) = match direction {
        Direction::Both => (z.abs(), 2.0),
        Direction::Above | Direction::Below => (z, 1.0),
    };
    let score = if z < ASYMPTOTIC_FROM {
        -(0.5 * sides * erfc(z / SQRT_2)).log10()
    } else {
        // Abramowitz and Stegun 26.2.12: Q(z) ~ φ(z)/z · (1 − 1/z² + 3/z⁴ − 15/z⁶).
        let u = 1.0 / (z * z);
        let series = 1.0 - u * (1.0 - u * (3.0 - u * 15.0));
        (0.5 * z * z + (z * TAU.sqrt()).ln() - (sides * series).ln()) / LN_10
    };
    // A NaN cannot come out of a number.
    score.clamp(0.0, SCORE_MAX)
}

/// Sigma for "once in `points` points": the normal quantile whose tail, on the sides that count, has the probability
/// `1 / points`. Zero for fewer than two points (one-sided) or one (two-sided).
pub fn sigma_from_sensitivity(points: f64, direction: Direction) -> f64 {
    let sides = if direction == Direction::Both { 2.0 } else { 1.0 };
    // Below 1e-300 the quantile is beyond any use and near the end of f64.
    let tail = (1.0 / (points.max(1.0) * sides)).max(1e-300);
    (-Normal::standard().inverse_cdf(tail)).max(0.0)
}
