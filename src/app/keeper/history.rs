//! What happened, as rows of the history.

use serde_json::json;

use super::{Happened, Kept};
use crate::model::alert::{CANARY, float_text};
use crate::model::{Held, HeldReason, Notice, Timestamp, Transition, TransitionKind};
use crate::notify::Failure;
use crate::persist::{HistoryKind, NewHistory};
use crate::route::{AlertKey, ToldThrough};
use crate::rule::{Condition, Rule};

/// Alerts of one notice that get a row of their own; the rest is counted in the last.
const ROWS_MAX: usize = 500;

/// The rows of one instant.
pub(super) fn of(happened: &Happened<'_>, kept: &Kept<'_>) -> Vec<NewHistory> {
    // The canary would fill it alone.
    let own = |t: &Transition| *t.alert.rule_uid == *CANARY;
    let transitions = happened.transitions.iter().filter(|t| !own(t));
    let mut rows: Vec<NewHistory> = transitions.map(|t| transition(t, kept)).collect();
    // That a transition is of no interest to receivers is told by its kind.
    let put_down = happened.held.iter().filter(|h| h.reason != HeldReason::NotNotable && !own(&h.transition));
    rows.extend(put_down.map(|one| held(one, kept.now.slot)));
    rows
}

/// What the rule asks of the life of its alerts, as far as it asks anything.
fn terms(rule: &Rule) -> serde_json::Map<String, serde_json::Value> {
    let seconds =
        |name: &str, span: std::time::Duration| (!span.is_zero()).then(|| (name.to_owned(), json!(span.as_secs_f64())));
    let spans = [
        seconds("for_seconds", rule.hold),
        seconds("keep_firing_seconds", rule.keep_firing_for),
        seconds("cooldown_seconds", rule.cooldown),
    ];
    let recovery = recovery(&rule.condition).map(|words| ("recover".to_owned(), json!(words)));
    spans.into_iter().flatten().chain(recovery).collect()
}

/// The condition under which an alert is over, where that is another than that its condition does not hold.
fn recovery(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Threshold { levels, .. } => Some(levels.first()?.recover?.to_string()),
        Condition::Expression { recover_when, .. } => Some(recover_when.as_ref()?.text.to_string()),
        Condition::PromQl { recover, .. } => Some(recover.as_ref()?.text.to_string()),
        Condition::Anomaly { .. } | Condition::Record { .. } => None,
    }
}

/// The groups that news of an alert goes to, and who is told when they are looked at.
fn ways(transition: &Transition, kept: &Kept<'_>) -> Vec<serde_json::Value> {
    let shown = |way: ToldThrough| {
        let mut shown = json!({
            "group": way.group, "handlers": way.handlers, "repeat_seconds": way.repeat_interval.as_secs_f64(),
        });
        if !way.later.is_empty() {
            let later = way.later.iter();
            let later = later.map(|(handler, after)| json!({"handler": handler, "after_seconds": after.as_secs_f64()}));
            shown["escalates"] = later.collect::<Vec<_>>().into();
        }
        if let Some(due_ms) = way.due_ms.filter(|_| !way.waiting.is_empty()) {
            let until = Timestamp(kept.now.slot.0.saturating_add(due_ms.saturating_sub(kept.now.elapsed_ms)));
            shown["waiting"] = json!(way.waiting);
            shown["until"] = json!(until);
            shown["by"] = if way.begun { "group_interval" } else { "group_wait" }.into();
        }
        shown
    };
    kept.router.told_through(&AlertKey::of(&transition.alert), kept.routes).into_iter().map(shown).collect()
}

fn transition(transition: &Transition, kept: &Kept<'_>) -> NewHistory {
    let alert = &transition.alert;
    let mut detail = json!({
        "value": float_text::text(alert.value), "condition": alert.condition, "active_at": alert.active_at,
        "sequence": transition.sequence, "origin": alert.origin.to_string(),
    });
    let rule = kept.engine.index_of(&alert.rule_uid).and_then(|at| kept.engine.rules().get(at));
    if let (Some(detail), Some(rule)) = (detail.as_object_mut(), rule) {
        detail.extend(terms(rule));
    }
    if let Some(flapping) = alert.flapping {
        detail["flapping"] = flapping.words().into();
    }
    if transition.kind.is_notable() {
        detail["routes"] = ways(transition, kept).into();
    }
    match transition.kind {
        TransitionKind::Resolved { reason } => {
            detail["why"] = reason.as_str().into();
            detail["peak"] = float_text::text(alert.peak).into();
            detail["lasted_seconds"] = alert.duration(transition.at).as_secs_f64().into();
        }
        TransitionKind::Raised { from } | TransitionKind::Lowered { from } => detail["from"] = from.as_str().into(),
        _ => {}
    }
    NewHistory {
        reason: Some(transition.kind.as_str().to_owned()),
        detail: Some(detail.to_string()),
        ..NewHistory::of_alert(alert, transition.at, HistoryKind::Transition)
    }
}

/// `at` is when that was decided: the group of an alert may be looked at long after what happened to the alert.
fn held(held: &Held, at: Timestamp) -> NewHistory {
    let transition = &held.transition;
    let mut detail = json!({"transition": transition.kind.as_str()});
    if at > transition.at {
        detail["held_at"] = json!(at);
    }
    if !held.detail.is_empty() {
        detail["by"] = held.detail.as_str().into();
    }
    if !held.by.is_empty() {
        detail["inhibited_by"] = json!(held.by);
    }
    if let Some(until) = held.until {
        detail["until"] = json!(until);
    }
    NewHistory {
        handler: held.handler.as_deref().map(str::to_owned),
        reason: Some(held.reason.as_str().to_owned()),
        detail: Some(detail.to_string()),
        ..NewHistory::of_alert(&transition.alert, transition.at, HistoryKind::Held)
    }
}

/// What became of a notice: a row for each alert that was news in it.
pub(super) fn of_notice(
    notice: &Notice,
    at: Timestamp,
    kind: HistoryKind,
    reason: &str,
    detail: &serde_json::Value,
) -> Vec<NewHistory> {
    if notice.transitions.iter().all(|t| *t.alert.rule_uid == *CANARY) {
        return Vec::new();
    }
    let mut told: Vec<_> = notice.transitions.iter().filter(|t| notice.is_news(t)).collect();
    if told.is_empty() {
        told = notice.transitions.iter().collect();
    }
    let more = told.len().saturating_sub(ROWS_MAX);
    told.truncate(ROWS_MAX);
    let last = told.len().saturating_sub(1);
    let row = |(n, t): (usize, &std::sync::Arc<Transition>)| {
        let mut detail = detail.clone();
        detail["transition"] = t.kind.as_str().into();
        detail["because"] = notice.reason.as_str().into();
        detail["decided_at"] = json!(notice.at);
        detail["group"] = notice.group.key.as_ref().into();
        if n == last && more > 0 {
            detail["more_alerts"] = more.into();
        }
        NewHistory {
            handler: Some(notice.handler.to_string()),
            reason: Some(reason.to_owned()),
            notice_id: Some(notice.id.clone()),
            detail: Some(detail.to_string()),
            ..NewHistory::of_alert(&t.alert, at, kind)
        }
    };
    told.into_iter().enumerate().map(row).collect()
}

/// The details of a failed attempt.
pub(super) fn of_failure(failure: &Failure, attempts: u32) -> serde_json::Value {
    json!({
        "attempt": attempts, "class": failure.class.as_str(), "phase": failure.phase.as_str(),
        "error": failure.message, "maybe_taken": failure.maybe_taken,
    })
}
