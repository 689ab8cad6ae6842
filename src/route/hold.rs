//! What one handler is to be told of one alert now: news, a reminder, nothing yet and why.

use std::time::Duration;

use super::told::{Known, Told};
use super::{Hold, Receiver, Route, Routes, Silences};
use crate::model::time::millis;
use crate::model::{Alert, HeldReason, Now, Severity, TransitionKind};

/// What routing reads while it decides.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub routes: &'a Routes,
    pub silences: &'a Silences,
    pub now: Now,
}

/// What becomes of one alert at one handler.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// It is told.
    News(News),
    /// Told before and still so: goes along where others of its group are news.
    Known,
    /// Not told, or not yet.
    Held(Hold),
}

/// Why an alert is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It fires.
    Fired,
    /// It fires, which was held until now.
    HoldOver,
    /// It is worse than was told.
    Raised { from: Severity },
    /// It is less bad than was told.
    Lowered { from: Severity },
    /// It still fires, and it was long ago that this was told.
    Repeat,
    /// It is over.
    Resolved,
}

/// The route of the group through which a handler is told, and whether it is the group's own.
pub(super) type Through<'a> = (&'a Route, bool);

/// Decides. `told` is what the handler knows.
pub(super) fn decide(
    known: &Known,
    receiver: &Receiver,
    told: &Told,
    through: Through<'_>,
    terms: Terms<'_>,
) -> Decision {
    match (known.firing, told.firing) {
        (true, true) => told_before(known, told, through, terms),
        (true, false) => untold(known, (receiver, told), through, terms),
        (false, true) if receiver.send_resolved => Decision::News(News::Resolved),
        (false, true) => Decision::Held(Hold::because(HeldReason::SendResolvedOff)),
        (false, false) => Decision::Held(Hold::because(HeldReason::NeverTold)),
    }
}

fn told_before(known: &Known, told: &Told, through: Through<'_>, terms: Terms<'_>) -> Decision {
    let alert = &known.transition.alert;
    let level = alert.severity;
    let news = if level > told.level {
        News::Raised { from: told.level }
    } else if level < told.level {
        News::Lowered { from: told.level }
    } else if terms.now.elapsed_ms.saturating_sub(told.at_ms) >= millis(through.0.repeat_interval) {
        News::Repeat
    } else {
        // What is kept quiet does not go along with the news of others either.
        return quiet(alert, through, terms).map_or(Decision::Known, Decision::Held);
    };
    quiet(alert, through, terms).map_or(Decision::News(news), Decision::Held)
}

fn untold(known: &Known, (receiver, told): (&Receiver, &Told), through: Through<'_>, terms: Terms<'_>) -> Decision {
    let alert = &known.transition.alert;
    if alert.severity < receiver.min_severity {
        return Decision::Held(Hold::because(HeldReason::BelowMinSeverity));
    }
    if let Some(hold) = quiet(alert, through, terms) {
        return Decision::Held(hold);
    }
    // Worse than what people were told of last is told at once.
    if let Some(left_ms) = cooling_ms(alert, told, terms)
        && alert.severity <= told.level
    {
        let until = terms.now.slot.plus(Duration::from_millis(left_ms.unsigned_abs()));
        return Decision::Held(Hold { until: Some(until), ..Hold::because(HeldReason::Cooldown) });
    }
    let was_held = known.held.get(&receiver.name).is_some_and(|reason| reason.ends());
    Decision::News(match known.transition.kind {
        // Worse than the handler asks for, only now.
        TransitionKind::Raised { from } if from < receiver.min_severity || was_held => News::Raised { from },
        _ if was_held => News::HoldOver,
        _ => News::Fired,
    })
}

/// What keeps an alert from being told through a route, whoever it is for.
pub(super) fn quiet(alert: &Alert, (route, own): Through<'_>, terms: Terms<'_>) -> Option<Hold> {
    let labels = terms.routes.leaving(alert);
    if let Some((silence, until)) = terms.silences.covering(&labels, terms.now.slot) {
        return Some(Hold {
            reason: HeldReason::Silenced,
            detail: format!("{} by {}: {}", silence.id, silence.created_by, silence.comment),
            until: Some(until),
        });
    }
    let of_rule = terms.routes.terms.get(&alert.rule_uid).map(|terms| &terms.times);
    let mut times = of_rule.into_iter().chain(own.then_some(&route.times));
    let muted = times.find_map(|times| times.muted(terms.now.slot))?;
    Some(Hold { reason: HeldReason::Muted, detail: muted.to_string(), until: muted.until })
}

/// Milliseconds until the next firing notice is allowed, if it is not yet.
pub(super) fn cooling_ms(alert: &Alert, told: &Told, terms: Terms<'_>) -> Option<i64> {
    let (cooldown, last_ms) = (terms.routes.terms.get(&alert.rule_uid)?.cooldown, told.firing_ms?);
    let left = millis(cooldown).saturating_sub(terms.now.elapsed_ms.saturating_sub(last_ms));
    (left > 0).then_some(left)
}

impl Hold {
    fn because(reason: HeldReason) -> Self {
        Self { reason, detail: String::new(), until: None }
    }
}
