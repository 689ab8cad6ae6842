//! `alertd send-test`: a real message through a handler, from the command line, without a daemon.

use std::sync::Arc;

use super::handlers;
use super::load::Inputs;
use super::threads::Waiter;
use crate::clock::Clock;
use crate::config::HandlerKind;
use crate::model::labels::ALERT_NAME;
use crate::model::{
    Alert, AlertState, GroupRef, Labels, Notice, NoticeKind, NoticeReason, Origin, ResolveReason, Severity, Timestamp,
    Transition, TransitionKind,
};
use crate::notify::{Attempt, FailureClass, Handler, Outcome};

/// Name of the alert in a test message.
const NAME: &str = "AlertdTest";

/// What became of one message.
#[derive(Debug)]
pub struct Sent {
    /// What it said: `firing`, `resolved` or `ping`.
    pub what: &'static str,
    /// The handler's outcome.
    pub outcome: Outcome,
}

/// Sends a firing message through a handler and, if that went well and the handler tells of such, its end: whatever the
/// test opened is closed again. A heartbeat is pinged. `None` if there is no such handler.
pub fn send(inputs: &Inputs, name: &str, clock: &dyn Clock) -> Option<Vec<Sent>> {
    let config = inputs.handlers.iter().find(|handler| *handler.name == *name)?;
    let only = std::slice::from_ref(config);
    let common = inputs.common(&Arc::default());
    let is_ping = matches!(config.kind, HandlerKind::Heartbeat(_));
    let handler = match is_ping {
        true => handlers::pinging(only, &common).into_iter().next().map(|(handler, _)| handler),
        false => handlers::delivering(only, &common).into_iter().next().map(|target| target.handler),
    };
    let Some(handler) = handler else { return Some(Vec::new()) };
    let waiter = Waiter::new().ok()?;
    let mut sent = Vec::new();
    let begun = clock.now();
    let mut say = |what: &'static str, notice: &Notice| {
        let attempt = Attempt { number: 1, now: clock.now(), done: &[] };
        let outcome = waiter.block_on(handler.send(notice, attempt));
        let went_well = matches!(outcome, Outcome::Sent { .. });
        sent.push(Sent { what, outcome });
        went_well
    };
    if is_ping {
        say("ping", &notice(&handler, NoticeKind::Resolved, (begun, clock.now())));
    } else if say("firing", &notice(&handler, NoticeKind::Firing, (begun, begun))) && config.send_resolved {
        say("resolved", &notice(&handler, NoticeKind::Resolved, (begun, clock.now())));
    }
    Some(sent)
}

fn notice(handler: &Arc<dyn Handler>, kind: NoticeKind, (begun, now): (Timestamp, Timestamp)) -> Notice {
    let labels = Labels::from_pairs([(ALERT_NAME, NAME), ("severity", "info"), ("service", "alertd")]);
    let resolved = kind == NoticeKind::Resolved;
    let happened = match resolved {
        true => TransitionKind::Resolved { reason: ResolveReason::Recovered },
        false => TransitionKind::Fired,
    };
    let alert = Alert {
        rule_uid: Arc::from(NAME),
        rule: Arc::from(NAME),
        origin: Origin { file: Arc::from("alertd send-test"), line: 1 },
        fingerprint: labels.fingerprint(),
        labels: labels.clone(),
        annotations: Labels::from_pairs([("summary", "A test message of alertd. Nothing is wrong.")]),
        state: if resolved { AlertState::Inactive } else { AlertState::Firing },
        severity: Severity::Info,
        value: if resolved { 0.0 } else { 1.0 },
        peak: 1.0,
        condition: Arc::from("> 0"),
        limit: Some(0.0),
        active_at: begun,
        fired_at: Some(begun),
        resolved_at: resolved.then_some(now),
        no_data_since: None,
        flapping: None,
        notify: Vec::new(),
        generator_url: None,
    };
    let trend = vec![0.0, 0.0, 0.0, if resolved { 0.0 } else { 1.0 }];
    let sequence = 1 + u64::from(resolved);
    // One incident per test: its beginning is in the group's key.
    let key = format!("{{}}/{{test}}:{labels}:{}", begun.0);
    Notice {
        id: crate::route::derived_id(&format!("{key}{}", kind.as_str()), handler.name()),
        handler: Arc::from(handler.name()),
        kind,
        reason: NoticeReason::Test,
        at: now,
        group: GroupRef::new(key, labels),
        note: None,
        held_over: Vec::new(),
        transitions: vec![Arc::new(Transition { at: now, sequence, kind: happened, alert, trend, link: None })],
    }
}

/// What to do about a failure.
pub fn help(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Network => "check the host and port, and that a firewall lets this machine out",
        FailureClass::Timeout => "the other side does not answer in time: check address and proxy, or raise `timeout`",
        FailureClass::Tls => "check the host's certificate; a private authority goes into `tls_config: {ca_file: …}`",
        FailureClass::RateLimited => "the receiver asks for fewer messages: set `rate_limit`, and try again later",
        FailureClass::ServerError => "the receiver has a problem of its own: try again later",
        FailureClass::ClientError => "the receiver refuses this message: check the URL, the key and the channel",
        FailureClass::Config => "check the handler's settings and that its secrets can be read",
        FailureClass::Internal => "please report this, with the log",
    }
}
