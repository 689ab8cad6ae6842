//! Which series of a rule's signal came nearest to its condition: what is told of evaluations at which nothing fired.
//!
//! Decides nothing. Looks at each value once and keeps a few.

use crate::eval::{Outcome, Signal};
use crate::model::Labels;
use crate::rule::{Condition, Rule, Threshold};

/// Most series that are named.
pub const NEAREST_MAX: usize = 5;

/// Before all that do not hold.
const HOLDS: f64 = -1.0;

/// A series of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// Its labels, without the name.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Whether the condition held.
    pub holds: bool,
    /// How far it was from the first level: infinite where there is no distance, and less than nothing where the condition
    /// held.
    pub short: f64,
}

/// The nearest, those that hold first; where a condition knows no distance, the first by their labels.
pub(super) fn nearest(rule: &Rule, outcome: &Outcome) -> Vec<Near> {
    let Outcome::Signals { signals, .. } = outcome else { return Vec::new() };
    let threshold = match &rule.condition {
        Condition::Threshold { levels, .. } => levels.first().map(|level| level.threshold),
        _ => None,
    };
    let mut found: Vec<(f64, &Signal)> = Vec::with_capacity(NEAREST_MAX + 1);
    for signal in signals {
        let short = match threshold {
            _ if signal.reached != 0 => HOLDS,
            Some(threshold) => short_of(threshold, signal.value),
            None => f64::INFINITY,
        };
        if found.len() == NEAREST_MAX && found.last().is_some_and(|(last, _)| *last <= short) {
            continue;
        }
        let at = found.partition_point(|(other, _)| *other <= short);
        found.insert(at, (short, signal));
        found.truncate(NEAREST_MAX);
    }
    let near = |(short, signal): (f64, &Signal)| Near {
        labels: signal.labels.without_name(),
        value: signal.value,
        holds: signal.reached != 0,
        short,
    };
    found.into_iter().map(near).collect()
}

/// How far a value is from satisfying a threshold.
fn short_of(threshold: Threshold, value: f64) -> f64 {
    if threshold.holds(value) {
        return 0.0;
    }
    let short = match threshold {
        Threshold::Above(x) | Threshold::AtLeast(x) => x - value,
        Threshold::Below(x) | Threshold::AtMost(x) => value - x,
        Threshold::Equals(x) | Threshold::Differs(x) => (value - x).abs(),
        Threshold::Outside(low, high) => (value - low).min(high - value),
        Threshold::Inside(low, high) => (low - value).max(value - high),
    };
    if short.is_nan() { f64::INFINITY } else { short.max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_far_from_a_threshold_as_it_must_move() {
        for (threshold, value, want) in [
            (Threshold::Above(80.0), 61.0, 19.0),
            (Threshold::Above(80.0), 81.0, 0.0),
            (Threshold::AtMost(5.0), 9.0, 4.0),
            (Threshold::Outside(10.0, 90.0), 85.0, 5.0),
            (Threshold::Outside(10.0, 90.0), 12.0, 2.0),
            (Threshold::Inside(10.0, 20.0), 4.0, 6.0),
            (Threshold::Equals(0.0), -3.0, 3.0),
            (Threshold::Above(80.0), f64::NAN, f64::INFINITY),
        ] {
            assert_eq!(short_of(threshold, value), want, "{threshold} {value}");
        }
    }
}
