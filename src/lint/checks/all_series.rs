//! A701: a selector that reads every series of the store.

use super::{Check, Context, Found, Part};
use crate::lint::walk::{SELECTOR, selector};
use crate::model::labels::METRIC_NAME;
use crate::promql::MatchOp;

pub(super) const CHECK: Check = Check::part("A701", SELECTOR, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let Some(selector) = selector(part.expr) else { return };
    let all = |value: &str| matches!(value, ".+" | ".*" | "(.+)" | "(.*)" | "..*");
    let at = selector.matchers.iter().position(|m| {
        m.name == METRIC_NAME
            && ((m.op == MatchOp::Regex && all(&m.value)) || (m.op == MatchOp::NotEqual && m.value.is_empty()))
    });
    let narrowed =
        selector.matchers.iter().any(|m| m.name != METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty());
    let Some(at) = at.filter(|_| !narrowed) else { return };
    let found = part.warn("A701", &selector.matcher_spans[at], "the selector reads every series of the store");
    out.push(
        found.with_label("matches every name").with_help("name the metrics, or narrow it by a label: `{job=\"api\"}`"),
    );
}
