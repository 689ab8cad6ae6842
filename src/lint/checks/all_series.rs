//! A701: a selector that reads every series of the store.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Subject};
use crate::lint::walk::{selector, walk};
use crate::model::labels::METRIC_NAME;
use crate::promql::MatchOp;

pub(super) const CHECK: Check = Check::formula("A701", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    walk(&formula.expr, &mut |expr, _| {
        let Some(selector) = selector(expr) else { return };
        let all = |value: &str| matches!(value, ".+" | ".*" | "(.+)" | "(.*)" | "..*");
        let at = selector.matchers.iter().position(|m| {
            m.name == METRIC_NAME
                && ((m.op == MatchOp::Regex && all(&m.value)) || (m.op == MatchOp::NotEqual && m.value.is_empty()))
        });
        let narrowed =
            selector.matchers.iter().any(|m| m.name != METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty());
        let Some(at) = at.filter(|_| !narrowed) else { return };
        let found =
            rule.warn_in("A701", formula, &selector.matcher_spans[at], "the selector reads every series of the store");
        out.push(
            found
                .with_label("matches every name")
                .with_help("name the metrics, or narrow it by a label: `{job=\"api\"}`"),
        );
    });
}
