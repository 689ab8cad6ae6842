//! What a notice that was given up says when it is tried again: its handler has heard of what happened since, or will.
//!
//! Place in the flow: `Hub::retry` takes dead notices from the store; what they say is brought up to now here, before they
//! come to their queues again. One that said that something fires would otherwise never be taken back where its end was
//! told meanwhile.

use std::sync::Arc;

use super::fallback::Fallbacks;
use crate::app::unsure::over;
use crate::model::{Notice, NoticeKind, NoticeReason, Now, ResolveReason, Transition, TransitionKind};
use crate::notify::delivery::merged;
use crate::route::{AlertKey, Router, Routes};

/// What its handler is to believe by now, by routing or because it is told in the place of others.
pub fn as_of_now(
    notice: &Notice,
    (router, routes): (&Router, &Routes),
    fallbacks: &Fallbacks,
    now: Now,
) -> Arc<Notice> {
    let of_now = |told: &Arc<Transition>| {
        let key = AlertKey::of(&told.alert);
        let is_end = matches!(told.kind, TransitionKind::Resolved { .. });
        let believes = router.is_told(&key, &notice.handler) || fallbacks.believes(&notice.handler, &key);
        match (believes, router.firing_news(&key)) {
            (true, Some(last)) => {
                let still = Transition { kind: TransitionKind::StillFiring, at: now.slot, ..Transition::clone(last) };
                Some(routes.shown(&Arc::new(still)))
            }
            // Of its end it is still to be told, as of everything after.
            (true, None) => (!is_end).then(|| Arc::clone(told)),
            (false, _) if is_end => Some(Arc::clone(told)),
            (false, Some(_)) => {
                let reason = router.quiet_as(&key, &notice.handler).unwrap_or(ResolveReason::Recovered);
                Some(Arc::new(over(told, reason, now)))
            }
            (false, None) => {
                let end = router.end_of(&key).map(|end| routes.shown(end));
                Some(end.unwrap_or_else(|| Arc::new(over(told, ResolveReason::Recovered, now))))
            }
        }
    };
    let transitions: Vec<Arc<Transition>> = notice.transitions.iter().filter_map(of_now).collect();
    let is_end = |t: &Arc<Transition>| matches!(t.kind, TransitionKind::Resolved { .. });
    // That somebody looks after them is so until one is over.
    let still_acked = notice.kind == NoticeKind::Acknowledged && !transitions.iter().any(is_end);
    if transitions.is_empty() || still_acked {
        return Arc::new(notice.clone());
    }
    let fires = !transitions.iter().all(is_end);
    let reason = if fires { notice.reason } else { NoticeReason::Resolved };
    Arc::new(merged(notice, &Notice { transitions, reason, ..notice.clone() }))
}
