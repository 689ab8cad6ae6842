//! What happened, as rows of the history.

use serde_json::json;

use super::Happened;
use crate::app::heartbeat::CANARY;
use crate::model::alert::float_text;
use crate::model::{Alert, Held, HeldReason, Notice, Timestamp, Transition, TransitionKind};
use crate::notify::Failure;
use crate::persist::{HistoryKind, NewHistory};

/// Alerts of one notice that get a row of their own; the rest is counted in the last.
const ROWS_MAX: usize = 500;

/// The rows of one instant.
pub(super) fn of(happened: &Happened<'_>) -> Vec<NewHistory> {
    // The canary would fill it alone.
    let own = |t: &Transition| *t.alert.rule_uid == *CANARY;
    let mut rows: Vec<NewHistory> = happened.transitions.iter().filter(|t| !own(t)).map(|t| transition(t)).collect();
    // That a transition is of no interest to receivers is told by its kind.
    rows.extend(happened.held.iter().filter(|h| h.reason != HeldReason::NotNotable && !own(&h.transition)).map(held));
    rows
}

fn about(alert: &Alert, at: Timestamp, kind: HistoryKind) -> NewHistory {
    NewHistory {
        rule_uid: alert.rule_uid.to_string(),
        rule: alert.rule.to_string(),
        fingerprint: Some(alert.fingerprint),
        severity: Some(alert.severity),
        labels: alert.labels.clone(),
        ..NewHistory::new(at, kind)
    }
}

fn transition(transition: &Transition) -> NewHistory {
    let alert = &transition.alert;
    let mut detail = json!({
        "value": float_text::text(alert.value), "condition": alert.condition, "active_at": alert.active_at,
        "sequence": transition.sequence, "origin": alert.origin.to_string(),
    });
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
        ..about(alert, transition.at, HistoryKind::Transition)
    }
}

fn held(held: &Held) -> NewHistory {
    let transition = &held.transition;
    let mut detail = json!({"transition": transition.kind.as_str()});
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
        ..about(&transition.alert, transition.at, HistoryKind::Held)
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
    let is_news = |t: &&std::sync::Arc<Transition>| t.kind != TransitionKind::StillFiring;
    let mut told: Vec<_> = notice.transitions.iter().filter(is_news).collect();
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
        detail["group"] = notice.group.key.as_ref().into();
        if n == last && more > 0 {
            detail["more_alerts"] = more.into();
        }
        NewHistory {
            handler: Some(notice.handler.to_string()),
            reason: Some(reason.to_owned()),
            notice_id: Some(notice.id.clone()),
            detail: Some(detail.to_string()),
            ..about(&t.alert, at, kind)
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
