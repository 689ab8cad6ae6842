//! `alertd route` and `/api/v1/route`: where an alert with some labels would go, when, and what the message would say.
//!
//! Place in the flow: asks the same routes as the daemon does; sends nothing and changes nothing.

use std::sync::Arc;

use serde_json::{Value, json};
use thiserror::Error;

use crate::model::labels::ALERT_NAME;
use crate::model::{
    Alert, AlertState, LabelMatcher, Labels, MatchOp, MatcherError, Notice, NoticeKind, NoticeReason, Now, Origin,
    Severity, Timestamp, Transition, TransitionKind,
};
use crate::notify::Handler;
use crate::route::{Hop, Router, Routes, Silences};
use crate::rule::Rule;

/// Why labels cannot be traced.
#[derive(Debug, Error)]
pub enum TraceError {
    /// They are none.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// A matcher that names no value.
    #[error("{0} is a condition; an alert has labels: write `{1}=\"…\"`")]
    Condition(String, String),
    /// A severity that there is not.
    #[error("severity={0:?} is no severity; there are info, warning, error and critical")]
    Severity(String),
}

/// What is asked.
pub struct Asked<'a> {
    /// The routes, with the terms of the rules.
    pub routes: &'a Routes,
    /// What is silenced.
    pub silences: &'a Silences,
    /// What is so now: alerts that fire may inhibit it.
    pub router: &'a Router,
    /// The rules.
    pub rules: &'a [Rule],
    /// The handlers, which show what they would send.
    pub handlers: &'a [Arc<dyn Handler>],
    /// The instant.
    pub now: Now,
}

/// Where an alert with these labels would go.
pub fn trace(text: &str, asked: &Asked<'_>) -> Result<Value, TraceError> {
    let labels = labels(text)?;
    let alert = alert(labels, asked)?;
    let hops = asked.routes.trace(&alert, asked.silences, asked.router, asked.now);
    let cooldown = asked.routes.terms.get(&alert.rule_uid).map(|terms| terms.cooldown).filter(|span| !span.is_zero());
    let known = asked.rules.iter().any(|rule| rule.uid == alert.rule_uid);
    let routes: Vec<Value> = hops.iter().map(|hop| shown(hop, &alert, asked)).collect();
    Ok(json!({
        "at": asked.now.slot, "labels": alert.labels, "severity": alert.severity,
        "rule": known.then_some(&alert.rule_uid), "cooldown_seconds": cooldown.map(|span| span.as_secs_f64()),
        "routes": routes,
    }))
}

/// `{severity="critical"}`, or the same without braces.
fn labels(text: &str) -> Result<Labels, TraceError> {
    let text = text.trim();
    let braced = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
    let matchers = LabelMatcher::parse_all(&braced)?;
    if let Some(odd) = matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(TraceError::Condition(odd.to_string(), odd.name.clone()));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// An alert with these labels, of the rule that they name if there is one.
fn alert(labels: Labels, asked: &Asked<'_>) -> Result<Alert, TraceError> {
    let name = labels.get(ALERT_NAME).unwrap_or_default().to_owned();
    let rule = asked.rules.iter().find(|rule| !name.is_empty() && *rule.name == *name);
    let severity = match labels.get("severity") {
        Some(text) => Severity::from_label(text).ok_or_else(|| TraceError::Severity(text.to_owned()))?,
        None => rule.map_or(Severity::default(), |rule| rule.severity),
    };
    // What the rule adds itself need not be typed.
    let own = rule.into_iter().flat_map(|rule| rule.labels.iter());
    let own = own.filter_map(|(name, value)| Some((name.to_string(), value.constant()?.to_owned())));
    let typed = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut labels = Labels::from_pairs(own.into_iter().chain(typed));
    if labels.get("severity").is_none() {
        labels = labels.with("severity", severity.as_str());
    }
    let at = asked.now.slot;
    Ok(Alert {
        rule_uid: rule.map_or_else(|| Arc::from(name.as_str()), |rule| rule.uid.clone()),
        rule: rule.map_or_else(|| Arc::from(name.as_str()), |rule| rule.name.clone()),
        origin: rule.map_or_else(|| Origin { file: Arc::from("alertd route"), line: 0 }, |rule| rule.origin.clone()),
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::from_pairs([("summary", "an example: the values are made up")]),
        state: AlertState::Firing,
        severity,
        value: 1.0,
        peak: 1.0,
        condition: Arc::from("> 0"),
        limit: None,
        active_at: at,
        fired_at: Some(at),
        resolved_at: None,
        no_data_since: None,
        generator_url: None,
        notify: rule.map(|rule| rule.notify.clone()).unwrap_or_default(),
    })
}

fn shown(hop: &Hop, alert: &Alert, asked: &Asked<'_>) -> Value {
    let handlers: Vec<Value> = hop
        .handlers
        .iter()
        .map(|(name, against)| {
            let handler = asked.handlers.iter().find(|handler| *handler.name() == **name);
            let preview = handler.map(|handler| handler.preview(&notice(hop, (name, alert), asked)));
            json!({
                "name": name, "type": handler.map(|handler| handler.kind()), "told": against.is_none(),
                "reason": against.map(|reason| reason.as_str()),
                "method": preview.as_ref().and_then(|p| p.method.clone()),
                "url": preview.as_ref().and_then(|p| p.url.clone()),
                "message": preview.map(|p| p.payload),
            })
        })
        .collect();
    let quiet =
        hop.quiet.as_ref().map(|(reason, by, until)| json!({"reason": reason.as_str(), "by": by, "until": until}));
    json!({
        "path": hop.path, "group": hop.group.key, "group_labels": hop.group.labels,
        "group_wait_seconds": hop.group_wait.as_secs_f64(), "group_interval_seconds": hop.group_interval.as_secs_f64(),
        "repeat_interval_seconds": hop.repeat_interval.as_secs_f64(), "quiet": quiet, "handlers": handlers,
    })
}

/// The first message about it.
fn notice(hop: &Hop, (handler, alert): (&Arc<str>, &Alert), asked: &Asked<'_>) -> Notice {
    let at: Timestamp = asked.now.slot;
    let outer = asked.routes.external_labels.iter();
    let labels = Labels::from_pairs(outer.chain(alert.labels.iter()));
    let alert = Alert { labels, ..alert.clone() };
    let transition = Transition { at, sequence: 1, kind: TransitionKind::Fired, alert, trend: Vec::new(), link: None };
    Notice {
        id: crate::route::derived_id(&hop.group.key, handler),
        handler: handler.clone(),
        kind: NoticeKind::Firing,
        reason: NoticeReason::First,
        at,
        group: hop.group.clone(),
        note: None,
        held_over: Vec::new(),
        transitions: vec![Arc::new(transition)],
    }
}
