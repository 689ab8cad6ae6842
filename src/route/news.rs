//! What a message says of an alert, and what its handler knows from then on.

use std::sync::Arc;

use super::Hold;
use super::hold::News;
use super::told::{AlertKey, Known, Told};
use crate::model::{HeldReason, NoticeReason, Now, Transition, TransitionKind, format_duration};

/// Most causes told in one message.
const NOTES_MAX: usize = 3;

/// What there is to say to a handler of a group.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub news: Vec<(AlertKey, News)>,
    /// Told before, and still so.
    pub known: Vec<AlertKey>,
    /// Told before, still firing, and quiet.
    pub quiet: Vec<AlertKey>,
    /// Of these the handler may want to know that they are quiet now.
    pub quieted: Vec<(AlertKey, Hold)>,
    /// Why, in words.
    pub notes: Vec<String>,
    /// Whether it says that somebody looks after them.
    pub acks: bool,
}

impl Said {
    /// Notes why something is quiet.
    pub fn note(&mut self, hold: &Hold) {
        self.note_words(hold.words());
    }

    /// Takes news, with what there is to say of why it is told.
    pub fn take(&mut self, key: &AlertKey, what: News) {
        if let News::Escalated { after } = what {
            self.note_words(format!("escalated: not acknowledged for {}", format_duration(after)));
        }
        self.news.push((key.clone(), what));
    }

    fn note_words(&mut self, words: String) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&words) {
            self.notes.push(words);
        }
    }
}

/// Notes what a handler knows from now on, through a group. How many messages had news of it for the handler.
pub(super) fn note(known: &mut Known, (handler, group): (&Arc<str>, &Arc<str>), what: Option<News>, now: Now) -> u32 {
    let level = known.transition.alert.severity;
    let flapping = known.transition.alert.flapping.is_some();
    let told = known.told.entry(handler.clone()).or_default();
    told.at_ms = now.elapsed_ms;
    told.times = told.times.saturating_add(u32::from(what.is_some()));
    match what {
        Some(News::Resolved) => {
            (told.firing, told.group, told.anew) = (false, None, false);
            // Another group that leads there has nothing to say of it.
            known.held.insert(handler.clone(), HeldReason::EndTold);
            return told.times;
        }
        Some(News::Muted(reason)) => {
            (told.firing, told.group, told.anew) = (false, None, false);
            known.held.insert(handler.clone(), reason);
            return told.times;
        }
        Some(News::Acked(reason)) => {
            told.acked = true;
            known.held.insert(handler.clone(), reason);
            return told.times;
        }
        Some(News::Lowered { .. }) => {
            (told.level, told.acked, told.anew, told.flapping) = (level, false, false, flapping);
        }
        Some(_) => {
            let (firing_ms, group) = (Some(now.elapsed_ms), Some(group.clone()));
            *told = Told { firing: true, level, firing_ms, group, acked: false, anew: false, flapping, ..*told };
        }
        // It goes along: what was put down of it stays so.
        None => return told.times,
    }
    known.held.remove(handler);
    told.times
}

/// Notes that a quiet alert stood in a message. It shows a level that is less bad than was told before, so that getting
/// worse again is news; that it is worse is told when it may be. How many messages had news of it for the handler.
pub(super) fn mentioned(known: &mut Known, handler: &Arc<str>) -> u32 {
    let level = known.transition.alert.severity;
    known.told.get_mut(handler).map_or(0, |told| {
        told.level = told.level.min(level);
        told.times
    })
}

/// The transition as a message tells it.
pub(super) fn told_as(transition: &Arc<Transition>, what: Option<News>, now: Now) -> Arc<Transition> {
    let kind = match what {
        Some(News::Fired | News::Flaps { told: false } | News::Resolved) => match transition.kind {
            // Raised before anybody was told: to people it fires.
            TransitionKind::Raised { .. } | TransitionKind::Lowered { .. } => TransitionKind::Fired,
            kind => kind,
        },
        Some(News::Raised { from }) => TransitionKind::Raised { from },
        Some(News::Lowered { from }) => TransitionKind::Lowered { from },
        Some(News::Muted(reason)) => TransitionKind::Resolved { reason: reason.as_end() },
        Some(News::HoldOver | News::Flaps { .. } | News::Escalated { .. } | News::Acked(_) | News::Repeat) | None => {
            TransitionKind::StillFiring
        }
    };
    if kind == transition.kind {
        return Arc::clone(transition);
    }
    // That it still fires is true now, and so is that it is quiet; everything else happened when it happened.
    let muted = matches!(what, Some(News::Muted(_)));
    let at = if muted || kind == TransitionKind::StillFiring { now.slot } else { transition.at };
    let mut told = Transition { kind, at, ..Transition::clone(transition) };
    if muted {
        told.alert.resolved_at = Some(now.slot);
    }
    Arc::new(told)
}

pub(super) fn reason(news: impl Iterator<Item = News> + Clone, first: bool) -> NoticeReason {
    let any = |fits: fn(&News) -> bool| news.clone().any(|what| fits(&what));
    if any(|n| matches!(n, News::Escalated { .. })) {
        return NoticeReason::Escalated;
    }
    if any(|n| matches!(n, News::Fired)) {
        return if first { NoticeReason::First } else { NoticeReason::NewAlerts };
    }
    for (fits, reason) in [
        ((|n| matches!(n, News::Raised { .. })) as fn(&News) -> bool, NoticeReason::Raised),
        (|n| matches!(n, News::Flaps { .. }), NoticeReason::Flapping),
        (|n| matches!(n, News::HoldOver), NoticeReason::HoldOver),
        (|n| matches!(n, News::Lowered { .. }), NoticeReason::Lowered),
        (|n| matches!(n, News::Resolved), NoticeReason::Resolved),
        (|n| matches!(n, News::Muted(_) | News::Acked(_)), NoticeReason::Muted),
    ] {
        if any(fits) {
            return reason;
        }
    }
    NoticeReason::Repeat
}
