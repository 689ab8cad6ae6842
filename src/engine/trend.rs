//! The signal's last values, for the sparkline of a message.

use crate::eval::{EvalContext, Outcome, observe};
use crate::model::{Labels, Timestamp};
use crate::promql::SlotCache;
use crate::rule::Rule;
use crate::state::Moved;

/// Values in a sparkline.
pub(super) const TREND_POINTS: u32 = 30;

/// Evaluates the signal at the slots before `at` and puts the values of each alert with news into its transition: of a
/// rule on a remote store, whose answers are there only while it is stepped.
pub(super) fn fill(rule: &Rule, context: &EvalContext<'_>, at: Timestamp, moved: &mut [Moved]) {
    if !moved.iter().any(|m| m.transition.kind.is_notable()) {
        return;
    }
    let keys: Vec<&Labels> = moved.iter().filter(|m| m.transition.kind.is_notable()).map(|m| &m.key).collect();
    let trends = of(rule, context, at, &keys);
    let notable = moved.iter_mut().filter(|m| m.transition.kind.is_notable());
    for (moved, trend) in notable.zip(trends) {
        moved.transition.trend = trend;
    }
}

/// The values of some signals of a rule at the slots up to `at`, oldest first, from the first that there is.
pub(super) fn of(rule: &Rule, context: &EvalContext<'_>, at: Timestamp, keys: &[&Labels]) -> Vec<Vec<f64>> {
    let step = rule.schedule.every_hint();
    let mut trends = vec![Vec::with_capacity(TREND_POINTS as usize); keys.len()];
    // Values are kept by instant, selections for all of them.
    let cache = SlotCache::default();
    let context = EvalContext { cache: &cache, ..*context };
    for back in (0..TREND_POINTS).rev() {
        let signals = match observe(rule, &context, at.minus(step.saturating_mul(back))) {
            // So wide a rule is not looked back at, however little is known of it yet.
            Outcome::Signals { signals, .. } if signals.len() > super::TREND_SERIES_MAX => {
                return vec![Vec::new(); keys.len()];
            }
            Outcome::Signals { signals, .. } => signals,
            Outcome::Error(_) => Vec::new(),
        };
        for (key, trend) in keys.iter().zip(&mut trends) {
            let found = signals.binary_search_by(|s| s.labels.cmp_without_name(key)).ok();
            trend.push(found.and_then(|at| signals.get(at)).map_or(f64::NAN, |s| s.value));
        }
    }
    for trend in &mut trends {
        let first = trend.iter().position(|v| !v.is_nan()).unwrap_or(trend.len());
        trend.drain(..first);
    }
    trends
}
