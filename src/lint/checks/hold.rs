//! A411: `for` that is no multiple of the interval.

use std::time::Duration;

use super::{Check, Context, Found};
use crate::lint::subject::Subject;
use crate::model::format_duration;

pub(super) const CHECK: Check = Check::rule("A411", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let (Some(every), Some((hold, node))) = (rule.every, rule.duration("for")) else { return };
    let Some(real) = real_delay(every, hold) else { return };
    let (every, real) = (format_duration(every), format_duration(real));
    let found = rule.warn_at("A411", node, format!("`for` is no multiple of the interval: it fires after {real}"));
    out.push(
        found
            .with_label(format!("evaluated every {every}"))
            .with_help(format!("write `for: {real}`, or change the interval")),
    );
}

/// How long it really takes, where that is not what was written.
fn real_delay(every: Duration, hold: Duration) -> Option<Duration> {
    let (every_ms, hold_ms) = (every.as_millis(), hold.as_millis());
    if every_ms == 0 || hold_ms % every_ms == 0 {
        return None;
    }
    Some(every.saturating_mul(u32::try_from(hold_ms.div_ceil(every_ms)).unwrap_or(u32::MAX)))
}
