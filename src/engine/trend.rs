//! The signal's last values, for the sparkline of a message.

use crate::eval::{EvalContext, Outcome, observe};
use crate::model::{Labels, Timestamp, Verdict};
use crate::promql::SlotCache;
use crate::rule::Rule;
use crate::state::Moved;

/// Values in a sparkline.
pub(super) const TREND_POINTS: u32 = 30;

/// Evaluates the signal at the slots before `at` and puts the values of each told alert into its transition.
///
/// Runs only when people are told something, so its cost is that of messages, not of evaluations.
pub(super) fn fill(rule: &Rule, context: &EvalContext<'_>, at: Timestamp, moved: &mut [Moved]) {
    if !moved.iter().any(|m| m.transition.verdict == Verdict::Tell) {
        return;
    }
    let step = rule.schedule.every_hint();
    let told: Vec<&Labels> = moved.iter().filter(|m| m.transition.verdict == Verdict::Tell).map(|m| &m.key).collect();
    let mut trends = vec![Vec::with_capacity(TREND_POINTS as usize); told.len()];
    // Values are kept by instant, selections for all of them.
    let cache = SlotCache::default();
    let context = EvalContext { source: context.source, options: context.options, cache: &cache };
    for back in (0..TREND_POINTS).rev() {
        let signals = match observe(rule, &context, at.minus(step.saturating_mul(back))) {
            Outcome::Signals { signals, .. } => signals,
            Outcome::Error(_) => Vec::new(),
        };
        for (key, trend) in told.iter().zip(&mut trends) {
            let found = signals.binary_search_by(|s| s.labels.cmp_without_name(key)).ok();
            trend.push(found.and_then(|at| signals.get(at)).map_or(f64::NAN, |s| s.value));
        }
    }
    let told = moved.iter_mut().filter(|m| m.transition.verdict == Verdict::Tell);
    for (moved, mut values) in told.zip(trends) {
        let first = values.iter().position(|v| !v.is_nan()).unwrap_or(values.len());
        moved.transition.trend = values.split_off(first);
    }
}
