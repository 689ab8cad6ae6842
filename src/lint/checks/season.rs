//! A604, A605: detectors whose season is never learned, or whose signal is a counter as it stands.

use std::time::Duration;

use super::raw_counter::counter;
use super::{Check, Context, Found};
use crate::detect::{GAP_SHARE, Season};
use crate::lint::subject::Subject;
use crate::model::format_duration;
use crate::promql::ast::{Expr, ExprKind};
use crate::rule::Condition;

pub(super) const SEASON: Check = Check::rule("A604", season);
pub(super) const COUNTER: Check = Check::rule("A605", counted);

const HOUR: Duration = Duration::from_secs(3600);

fn season(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let Condition::Anomaly { detector, .. } = &rule.rule.condition else { return };
    let season = match detector.season {
        Season::Hourly => HOUR,
        Season::Daily => 24 * HOUR,
        Season::Weekly => 7 * 24 * HOUR,
        Season::None | Season::Auto => return,
    };
    let most = season / GAP_SHARE;
    let node = rule.get("anomaly").and_then(|node| node.get("season"));
    let (Some(every), Some(node)) = (rule.every.filter(|every| *every > most), node) else { return };
    let message = format!("the season is never learned: points lie more than {} apart", format_duration(most));
    let found = rule.warn_at("A604", node, message).with_label(format!("evaluated every {}", format_duration(every)));
    out.push(found.with_help(format!("evaluate it at least every {}, or take a longer season", format_duration(most))));
}

fn counted(rule: &Subject<'_>, context: &Context<'_>, out: &mut Found) {
    let Condition::Anomaly { .. } = &rule.rule.condition else { return };
    // A rule with `metric` is told by its reader.
    let Some(formula) = rule.formulas.first().filter(|formula| !formula.generated) else { return };
    let Some((at, name)) = raw(formula.expr, context) else { return };
    let message =
        format!("the detector looks at the counter `{name}` as it stands: it rises, and each restart is an anomaly");
    let found = rule.warn_in("A605", formula, &at.span, message).with_label("expected `rate` or `increase` around it");
    out.push(found.with_help(format!("write `rate({}[5m])`", formula.shown(&at.span))));
}

fn raw<'e>(expr: &'e Expr, context: &Context<'_>) -> Option<(&'e Expr, &'e str)> {
    match &expr.inner().kind {
        ExprKind::Vector(selector) => counter(selector, context).map(|name| (expr.inner(), name)),
        ExprKind::Aggregate(aggregate) => raw(&aggregate.expr, context),
        _ => None,
    }
}
