//! A454: a recording rule that is evaluated so rarely that its series has gaps.

use std::time::Duration;

use super::{Check, Context, Found};
use crate::lint::subject::{Makes, Subject};
use crate::promql::LOOKBACK_MS_DEFAULT;

pub(super) const CHECK: Check = Check::all("A454", look);

fn look(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    let lookback = Duration::from_millis(u64::try_from(LOOKBACK_MS_DEFAULT).unwrap_or(u64::MAX));
    // One finding per group.
    let mut last = None;
    for rule in rules.iter().filter(|rule| rule.makes == Makes::Series) {
        let Some(every) = rule.every.filter(|every| *every > lookback) else { continue };
        let Some(node) = rule.over.and_then(|group| group.get("interval")) else { continue };
        if last.replace(std::ptr::from_ref(node)) == Some(std::ptr::from_ref(node)) {
            continue;
        }
        let shown = |time| crate::model::format_duration(time);
        let message =
            format!("a query sees a sample for {}, and this group records one every {}", shown(lookback), shown(every));
        let found = rule.warn_at("A454", node, message).with_label("its series have gaps");
        out.push(found.with_help(format!("make the interval at most {}", shown(lookback))));
    }
}
