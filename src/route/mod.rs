//! Which transition is told to which handler, and why not where it is not.
//!
//! Place in the flow: takes the transitions of a slot from `state`, gives [`Notice`]s for the outbox and, for the rest,
//! the reason. Pure; delivers nothing. In this version every handler a rule names (or, if it names none, every handler)
//! gets one notice per transition; groups and the routing tree build on the same types.

use std::sync::Arc;

use crate::model::{HeldReason, Labels, Notice, NoticeKind, Severity, Transition, TransitionKind, Verdict};

/// What routing needs to know of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Name by which rules and notices refer to it.
    pub name: Arc<str>,
    /// Alerts below this severity are not for it.
    pub min_severity: Severity,
    /// Whether it is told that an alert resolved.
    pub send_resolved: bool,
}

/// A transition that a handler is not told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The handler; `None` where the reason does not depend on one.
    pub handler: Option<Arc<str>>,
    /// Why.
    pub reason: HeldReason,
    /// The transition.
    pub transition: Arc<Transition>,
}

/// What becomes of the transitions of a slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatch {
    /// To be delivered, in the order of the transitions, then of the handlers.
    pub notices: Vec<Notice>,
    /// Not told, with the reason.
    pub held: Vec<Held>,
}

/// Routes transitions to handlers.
///
/// Alerts leave with the labels of the installation; a label of their own wins, and their identity stays what it is.
pub fn dispatch(
    transitions: impl IntoIterator<Item = impl Into<Arc<Transition>>>,
    receivers: &[Receiver],
    external_labels: &Labels,
) -> Dispatch {
    let mut out = Dispatch::default();
    for transition in transitions {
        let transition = leaving(transition.into(), external_labels);
        if let Verdict::Held { reason, .. } = transition.verdict {
            out.held.push(Held { handler: None, reason, transition });
            continue;
        }
        let kind = match transition.kind {
            TransitionKind::Resolved { .. } => NoticeKind::Resolved,
            _ => NoticeKind::Firing,
        };
        let named = &transition.alert.notify;
        for receiver in receivers.iter().filter(|r| named.is_empty() || named.contains(&r.name)) {
            match refusal(receiver, &transition, kind) {
                Some(reason) => out.held.push(Held {
                    handler: Some(receiver.name.clone()),
                    reason,
                    transition: Arc::clone(&transition),
                }),
                None => out.notices.push(Notice {
                    id: notice_id(&transition, &receiver.name),
                    handler: receiver.name.clone(),
                    kind,
                    transitions: vec![Arc::clone(&transition)],
                }),
            }
        }
    }
    out
}

/// The transition as it leaves: its alert has the installation's labels too.
fn leaving(mut transition: Arc<Transition>, external_labels: &Labels) -> Arc<Transition> {
    if !external_labels.is_empty() {
        let own = &transition.alert.labels;
        let labels = Labels::from_pairs(external_labels.iter().chain(own.iter()));
        Arc::make_mut(&mut transition).alert.labels = labels;
    }
    transition
}

fn refusal(receiver: &Receiver, transition: &Transition, kind: NoticeKind) -> Option<HeldReason> {
    // An alert that was lowered below a handler's least severity was told there when it was worse.
    let worst = match transition.kind {
        TransitionKind::Lowered { from } => from.max(transition.alert.severity),
        _ => transition.alert.severity,
    };
    if worst < receiver.min_severity {
        return Some(HeldReason::BelowMinSeverity);
    }
    (kind == NoticeKind::Resolved && !receiver.send_resolved).then_some(HeldReason::SendResolvedOff)
}

/// Identity of a notice: 128 bits of FNV-1a over rule uid, fingerprint, episode, transition sequence and handler.
///
/// Not a secret and not adversarial: whoever can choose the parts writes the rules.
fn notice_id(transition: &Transition, handler: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let alert = &transition.alert;
    let mut hash = OFFSET;
    let mut add = |bytes: &[u8]| {
        for b in bytes.iter().chain(std::iter::once(&0xff)) {
            hash = (hash ^ u128::from(*b)).wrapping_mul(PRIME);
        }
    };
    add(alert.rule_uid.as_bytes());
    add(&alert.fingerprint.0.to_be_bytes());
    add(&alert.active_at.0.to_be_bytes());
    add(&transition.sequence.to_be_bytes());
    add(handler.as_bytes());
    format!("{hash:032x}")
}
