//! A220: a window that holds less than two samples.

use std::time::Duration;

use super::{Check, Context, Found, Part};
use crate::lint::walk::{RANGE, fixed_ms};
use crate::model::format_duration;
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::part("A220", RANGE, look);

/// Functions that give nothing for one sample.
const OF_TWO: [&str; 8] =
    ["rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing"];

fn look(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    let (interval, from) = context.knowledge.interval();
    let needed = interval.saturating_mul(2);
    let ExprKind::Matrix(selector, range) = &part.expr.kind else { return };
    let call = part.above.iter().rev().find_map(|above| match &above.kind {
        ExprKind::Call(call) => Some(call),
        _ => None,
    });
    let Some(call) = call.filter(|call| OF_TWO.contains(&call.function.name)) else { return };
    let Some(ms) = fixed_ms(range).and_then(|ms| u64::try_from(ms).ok()) else { return };
    let window = Duration::from_millis(ms);
    // A recorded series has the interval of its rule, which need not be that of scraping.
    if window >= needed || selector.name().is_some_and(|name| context.recorded.contains(name) || name.contains(':')) {
        return;
    }
    let (window, scrape) = (format_duration(window), format_duration(interval));
    let message = format!(
        "`{}` needs two samples, and a window of {window} holds at most one or two of a series scraped every {scrape}",
        call.function.name
    );
    let found = part.warn("A220", &part.expr.span, message);
    let help = format!(
        "make the window at least {}, so that one missed scrape makes no gap ({scrape} is {from})",
        format_duration(interval.saturating_mul(4))
    );
    out.push(found.with_label("too short").with_help(help));
}
