//! A702: a range or subquery that reads very many samples at every evaluation.

use super::{Check, Context, Found, Part};
use crate::lint::walk::{RANGE, SUBQUERY, fixed_ms};
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::part("A702", RANGE | SUBQUERY, look);

/// Most samples, or steps of a subquery, of one series that nobody minds.
const POINTS_USUAL_MAX: i64 = 50_000;

fn look(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let interval_ms = i64::try_from(context.knowledge.interval().0.as_millis()).unwrap_or(i64::MAX).max(1);
    let (range, step, what) = match &part.expr.kind {
        // A recorded series has fewer samples than a scraped one.
        ExprKind::Matrix(selector, range)
            if selector.name().is_none_or(|name| !name.contains(':') && !context.recorded.contains(name)) =>
        {
            (fixed_ms(range), Some(interval_ms), "samples")
        }
        ExprKind::Subquery(subquery) => {
            // Without a step it is the interval of the rule.
            let every = part.rule.every.and_then(|every| i64::try_from(every.as_millis()).ok());
            (fixed_ms(&subquery.range), subquery.step.as_ref().map_or(every, fixed_ms), "steps")
        }
        _ => return,
    };
    let (Some(range), Some(step)) = (range, step.filter(|step| *step > 0)) else { return };
    let points = range / step;
    if points <= POINTS_USUAL_MAX {
        return;
    }
    let message = format!("about {points} {what} of each series are read at every evaluation");
    let found = part.warn("A702", &part.expr.span, message).with_label("costly");
    out.push(found.with_help("record a shorter range and query the recorded series, or make the step longer"));
}
