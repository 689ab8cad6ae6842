//! A227, A228, A229: label matchers that are a plain comparison, match everything, or leave nothing.

use super::{Check, Context, Found, Part};
use crate::diag::{Edit, Fix};
use crate::lint::walk::{SELECTOR, selector};
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::Selector;
use crate::promql::{MatchOp, Matcher};

pub(super) const PLAIN: Check = Check::part("A227", SELECTOR, plain);
pub(super) const IDLE: Check = Check::part("A228", SELECTOR, idle);
pub(super) const IMPOSSIBLE: Check = Check::part("A229", SELECTOR, impossible);

/// A regular expression without a sign that means anything: it matches its own text alone.
fn is_plain(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.contains(|c: char| r"\.+*?()|[]{}^$".contains(c))
}

fn each(part: &Part<'_>, mut look: impl FnMut(&Selector, usize, &Matcher)) {
    let Some(selector) = selector(part.expr) else { return };
    for (i, matcher) in selector.matchers.iter().enumerate() {
        look(selector, i, matcher);
    }
}

fn plain(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    each(part, |selector, i, matcher| {
        let better = match matcher.op {
            MatchOp::Regex => "=",
            MatchOp::NotRegex => "!=",
            _ => return,
        };
        if !is_plain(&matcher.value) {
            return;
        }
        let span = &selector.matcher_spans[i];
        let message = format!("the regular expression of `{}` is plain text", matcher.name);
        let mut found = part.warn("A227", span, message);
        let text = part.rule.file.text.get(found.span.clone()).unwrap_or_default();
        let (old, at) = (matcher.op.as_str(), text.find(matcher.op.as_str()));
        // Only where the file says it letter by letter.
        if let Some(at) = at.filter(|_| part.formula.text.get(span.clone()) == Some(text)) {
            let start = found.span.start + at;
            found.fix = Some(Fix { edits: vec![Edit { span: start..start + old.len(), text: better.to_owned() }] });
        }
        out.push(
            found
                .with_label(format!("expected `{better}`"))
                .with_help(format!("write `{better}`: it says the same and costs less")),
        );
    });
}

fn idle(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    each(part, |selector, i, matcher| {
        let all = matcher.op == MatchOp::Regex && matches!(matcher.value.as_str(), ".*" | "(.*)" | ".*.*" | "^.*$");
        if !all || matcher.name == METRIC_NAME {
            return;
        }
        let message = format!("the matcher of `{}` matches every value, even a missing one", matcher.name);
        let found = part.warn("A228", &selector.matcher_spans[i], message).with_label("has no effect");
        out.push(found.with_help(format!("remove it, or write `{}!=\"\"` if the label must be there", matcher.name)));
    });
}

fn impossible(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let Some(selector) = selector(part.expr) else { return };
    let Some((i, message)) = contradiction(selector) else { return };
    let found = part.warn("A229", &selector.matcher_spans[i], message);
    out.push(
        found
            .with_label("leaves nothing")
            .with_help("remove one of the matchers; for several values write `=~\"a|b\"`"),
    );
}

/// The matcher that cannot hold: by itself, or beside an equality of the same label.
fn contradiction(selector: &Selector) -> Option<(usize, String)> {
    for (i, matcher) in selector.matchers.iter().enumerate() {
        if matcher.op == MatchOp::NotRegex && matches!(matcher.value.as_str(), ".*" | "(.*)") {
            return Some((i, format!("no value of `{}` satisfies its matcher", matcher.name)));
        }
        let fixed = selector.matchers.iter().take(selector.matchers.len()).enumerate().find(|(j, other)| {
            *j != i && other.op == MatchOp::Equal && other.name == matcher.name && !matcher.matches(&other.value)
        });
        if let Some((j, other)) = fixed.filter(|(j, _)| *j < i || matcher.op != MatchOp::Equal) {
            let at = i.max(j);
            return Some((
                at,
                format!("the matchers of `{}` contradict each other: it cannot be `{}`", matcher.name, other.value),
            ));
        }
    }
    None
}
