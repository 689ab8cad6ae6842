//! Whether a transition is told to people: the cooldown, and the promise that what was told is taken back.

use std::time::Duration;

use crate::model::time::millis;
use crate::model::{HeldReason, Now, TransitionKind, Verdict};

use super::Instance;

/// Decides, and notes in the instance what people know from now on.
pub(super) fn decide(instance: &mut Instance, kind: TransitionKind, cooldown: Duration, now: Now) -> Verdict {
    match kind {
        TransitionKind::Fired => match cooling_ms(instance, cooldown, now) {
            Some(left_ms) => {
                instance.told.held = true;
                held_by_cooldown(now, left_ms)
            }
            None => tell_firing(instance, now),
        },
        // Worse than what people know is told at once; a level they were told of before waits for the cooldown.
        TransitionKind::Raised { .. } => match cooling_ms(instance, cooldown, now) {
            Some(left_ms) if instance.told.held && instance.level <= instance.told.level => {
                held_by_cooldown(now, left_ms)
            }
            _ => tell_firing(instance, now),
        },
        TransitionKind::Lowered { .. } if instance.told.firing => {
            instance.told.level = instance.level;
            Verdict::Tell
        }
        TransitionKind::Lowered { .. } => held(HeldReason::NeverTold),
        TransitionKind::CooldownOver => tell_firing(instance, now),
        TransitionKind::Resolved { .. } => {
            instance.told.held = false;
            if std::mem::take(&mut instance.told.firing) { Verdict::Tell } else { held(HeldReason::NeverTold) }
        }
        TransitionKind::Pending | TransitionKind::Cancelled | TransitionKind::NoData | TransitionKind::DataBack => {
            held(HeldReason::NotNotable)
        }
    }
}

/// Whether the held firing notice is due now.
pub(super) fn cooldown_is_over(instance: &Instance, cooldown: Duration, now: Now) -> bool {
    instance.told.held && cooling_ms(instance, cooldown, now).is_none()
}

/// Milliseconds until the next firing notice is allowed, if it is not yet.
pub(super) fn cooling_ms(instance: &Instance, cooldown: Duration, now: Now) -> Option<i64> {
    let last = instance.told.last_firing_ms?;
    let left = millis(cooldown).saturating_sub(now.elapsed_ms.saturating_sub(last));
    (left > 0).then_some(left)
}

fn tell_firing(instance: &mut Instance, now: Now) -> Verdict {
    instance.told.firing = true;
    instance.told.held = false;
    instance.told.last_firing_ms = Some(now.elapsed_ms);
    instance.told.level = instance.level;
    Verdict::Tell
}

fn held(reason: HeldReason) -> Verdict {
    Verdict::Held { reason, until: None }
}

fn held_by_cooldown(now: Now, left_ms: i64) -> Verdict {
    let until = now.slot.plus(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)));
    Verdict::Held { reason: HeldReason::Cooldown, until: Some(until) }
}
