//! A307, A308: alerts without a summary or a runbook. A matter of house rules, so only where asked for.

use super::{Check, Context, Found};
use crate::lint::subject::{Makes, Subject};

pub(super) const SUMMARY: Check = Check::rule("A307", summary).on_request();
pub(super) const RUNBOOK: Check = Check::rule("A308", runbook).on_request();

fn summary(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    if lacks(rule, |name| matches!(name, "summary" | "description" | "message" | "title")) {
        let found = rule.warn_at("A307", rule.name, "the alert says nothing to whoever it wakes");
        out.push(found.with_label("no summary").with_help("add the annotation `summary`: what is wrong, and where"));
    }
}

fn runbook(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    if lacks(rule, |name| name.contains("runbook") || name.contains("playbook")) {
        let found = rule.warn_at("A308", rule.name, "the alert does not say what to do");
        out.push(found.with_label("no runbook").with_help("add the annotation `runbook`: a link to what to do"));
    }
}

fn lacks(rule: &Subject<'_>, is: impl Fn(&str) -> bool) -> bool {
    rule.makes == Makes::Alerts && !rule.annotations.iter().any(|pair| is(pair.key.text().unwrap_or_default()))
}
