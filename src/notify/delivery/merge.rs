//! Two notices about one group, of which the first never reached its receiver, told as one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Fingerprint, Notice, NoticeKind, NoticeReason, Transition, TransitionKind};

type Key = (Arc<str>, Fingerprint);

/// What `newer` says after `older`, which nobody has seen. It keeps the identity of `newer`.
///
/// An alert that fired in the one and resolved in the other is told as resolved, with when it fired; if nothing fires
/// any more and nothing was known before, the reason is [`NoticeReason::FiredAndResolved`].
pub fn merged(older: &Notice, newer: &Notice) -> Notice {
    let key = |t: &Arc<Transition>| (t.alert.rule_uid.clone(), t.alert.fingerprint);
    let later: BTreeMap<Key, &Arc<Transition>> = newer.transitions.iter().map(|t| (key(t), t)).collect();
    let mut unseen = false;
    let mut transitions: Vec<Arc<Transition>> = Vec::with_capacity(older.transitions.len() + newer.transitions.len());
    for before in &older.transitions {
        match later.get(&key(before)) {
            Some(after) => {
                unseen |= is_begin(before.kind) && after.kind.is_end();
                transitions.push(together(before, after));
            }
            None => transitions.push(Arc::clone(before)),
        }
    }
    let earlier: BTreeSet<Key> = older.transitions.iter().map(key).collect();
    transitions.extend(newer.transitions.iter().filter(|t| !earlier.contains(&key(t))).cloned());
    let mut held_over = older.held_over.clone();
    held_over.extend(newer.held_over.iter().filter(|alert| !older.held_over.contains(alert)));
    // News first, as in every notice.
    transitions.sort_by_key(|t| t.kind == TransitionKind::StillFiring);
    let fires = transitions.iter().any(|t| !t.kind.is_end());
    let begins = transitions.iter().any(|t| is_begin(t.kind));
    let reason = match older.reason {
        _ if !fires && (unseen || older.reason == NoticeReason::FiredAndResolved) => NoticeReason::FiredAndResolved,
        NoticeReason::First | NoticeReason::NewAlerts if begins => older.reason,
        NoticeReason::Escalated if fires => older.reason,
        _ => newer.reason,
    };
    Notice {
        kind: if fires { NoticeKind::Firing } else { NoticeKind::Resolved },
        reason,
        // Why it is told at all is still to be told.
        note: newer.note.clone().or_else(|| older.note.clone().filter(|_| reason == NoticeReason::Escalated)),
        held_over,
        transitions,
        ..newer.clone()
    }
}

/// Both transitions of one alert as one.
pub(super) fn together(before: &Arc<Transition>, after: &Arc<Transition>) -> Arc<Transition> {
    let level = after.alert.severity;
    let kind = match (before.kind, after.kind) {
        // Still unseen: what began before is the news.
        (
            TransitionKind::Fired,
            TransitionKind::StillFiring | TransitionKind::Raised { .. } | TransitionKind::Lowered { .. },
        ) => TransitionKind::Fired,
        (
            TransitionKind::Raised { from } | TransitionKind::Lowered { from },
            TransitionKind::StillFiring | TransitionKind::Raised { .. } | TransitionKind::Lowered { .. },
        ) => match level.cmp(&from) {
            std::cmp::Ordering::Greater => TransitionKind::Raised { from },
            std::cmp::Ordering::Less => TransitionKind::Lowered { from },
            std::cmp::Ordering::Equal => TransitionKind::StillFiring,
        },
        (_, kind) => kind,
    };
    // The news is as old as its first part.
    let at = if kind == after.kind { after.at } else { before.at };
    Arc::new(Transition { kind, at, ..Transition::clone(after) })
}

const fn is_begin(kind: TransitionKind) -> bool {
    matches!(kind, TransitionKind::Fired)
}
