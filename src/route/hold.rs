//! What one handler is to be told of one alert now: news, a reminder, nothing yet and why.

use std::time::Duration;

use super::inhibit::Inhibitions;
use super::told::{AlertKey, Known, Told};
use super::{Hold, Receiver, Route, Routes, Silences};
use crate::model::time::millis;
use crate::model::{Alert, HeldReason, Now, OnMute, Severity, Timestamp, TransitionKind};

/// What routing reads while it decides.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub routes: &'a Routes,
    pub silences: &'a Silences,
    pub inhibitions: &'a Inhibitions,
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
    /// Told before, and quiet now: a handler may want to know.
    Quieted(Hold),
}

/// Why an alert is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It fires.
    Fired,
    /// It fires, which was held until now.
    HoldOver,
    /// It fires, and flaps: from now on it is told as firing until it was quiet. Whether it was told before that it fires.
    Flaps { told: bool },
    /// It fires, and nobody looked after it for so long.
    Escalated { after: Duration },
    /// It is worse than was told.
    Raised { from: Severity },
    /// It is less bad than was told.
    Lowered { from: Severity },
    /// It fires, and is to be told as over, because it is quiet.
    Muted(HeldReason),
    /// It fires, and is to be told as acknowledged.
    Acked(HeldReason),
    /// It still fires, and it was long ago that this was told.
    Repeat,
    /// It is over.
    Resolved,
}

impl News {
    /// Whether it says that something fires.
    pub fn fires(self) -> bool {
        !matches!(self, Self::Resolved | Self::Muted(_) | Self::Acked(_))
    }

    /// Whether it is news of an alert that is told as still firing.
    pub fn goes_on(self) -> bool {
        matches!(self, Self::HoldOver | Self::Escalated { .. } | Self::Flaps { told: true })
    }
}

impl Terms<'_> {
    /// An instant to come on the elapsed clock.
    pub fn elapsed_at(self, at: Timestamp) -> i64 {
        self.now.elapsed_ms.saturating_add(at.0.saturating_sub(self.now.slot.0).max(1))
    }
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
        (true, true) => told_before(known, (receiver, told), through, terms),
        (true, false) => untold(known, (receiver, told), through, terms),
        (false, true) if receiver.send_resolved => Decision::News(News::Resolved),
        (false, true) => Decision::Held(Hold::because(HeldReason::SendResolvedOff)),
        (false, false) if told.times > 0 => Decision::Held(Hold::because(HeldReason::EndTold)),
        (false, false) => Decision::Held(Hold::because(HeldReason::NeverTold)),
    }
}

fn told_before(
    known: &Known,
    (receiver, told): (&Receiver, &Told),
    through: Through<'_>,
    terms: Terms<'_>,
) -> Decision {
    let level = known.transition.alert.severity;
    match quiet(known, receiver, through, terms) {
        // What is kept quiet does not go along with the news of others either.
        Some(hold) if told.acked || receiver.on_mute == OnMute::Nothing => return Decision::Held(hold),
        Some(hold) => return Decision::Quieted(hold),
        None => {}
    }
    // Whoever looked after it does so no longer, or it is no longer quiet.
    let was_quiet = told.acked || told.anew;
    let news = if level > told.level {
        News::Raised { from: told.level }
    } else if level < told.level {
        News::Lowered { from: told.level }
    } else if was_quiet {
        // Who is told of it as a step is told that it still fires only where nobody looks after it again.
        if let Some(hold) = known.waits(receiver, terms.now) {
            return Decision::Held(hold);
        }
        known.rung(&receiver.name).map_or(News::HoldOver, |rung| News::Escalated { after: rung.after() })
    } else if flaps_anew(known, told) && cooled(&known.transition.alert, told, terms).is_none() {
        News::Flaps { told: true }
    } else if terms.now.elapsed_ms.saturating_sub(told.at_ms) >= millis(through.0.repeat_interval) {
        News::Repeat
    } else {
        return Decision::Known;
    };
    Decision::News(news)
}

/// Whether an alert flaps, and a handler that believes that it fires does not know that.
fn flaps_anew(known: &Known, told: &Told) -> bool {
    known.transition.alert.flapping.is_some() && !told.flapping
}

fn untold(known: &Known, (receiver, told): (&Receiver, &Told), through: Through<'_>, terms: Terms<'_>) -> Decision {
    let alert = &known.transition.alert;
    if alert.severity < receiver.min_severity {
        return Decision::Held(Hold::because(HeldReason::BelowMinSeverity));
    }
    if let Some(hold) = quiet(known, receiver, through, terms).or_else(|| known.waits(receiver, terms.now)) {
        return Decision::Held(hold);
    }
    // Worse than what people were told of last is told at once.
    if let Some(hold) = cooled(alert, told, terms).filter(|_| alert.severity <= told.level) {
        return Decision::Held(hold);
    }
    if let Some(rung) = known.rung(&receiver.name) {
        return Decision::News(News::Escalated { after: rung.after() });
    }
    let was_held = known.held.get(&receiver.name).is_some_and(|reason| reason.ends());
    Decision::News(match known.transition.kind {
        // Worse than the handler asks for, only now.
        TransitionKind::Raised { from } if from < receiver.min_severity || was_held && alert.severity > told.level => {
            News::Raised { from }
        }
        _ if was_held => News::HoldOver,
        _ if alert.flapping.is_some() => News::Flaps { told: false },
        _ => News::Fired,
    })
}

/// What keeps an alert from being told to a handler through a route.
fn quiet(known: &Known, receiver: &Receiver, through: Through<'_>, terms: Terms<'_>) -> Option<Hold> {
    // What proves that alerts are told at all is told whatever people want to hear.
    if receiver.by_name_only { None } else { quieted(known, through, terms) }
}

/// The same, whoever it is for.
pub(super) fn quieted(known: &Known, through: Through<'_>, terms: Terms<'_>) -> Option<Hold> {
    if let Some(ack) = known.ack.as_ref().filter(|ack| ack.holds(terms.now.slot)) {
        return Some(Hold { detail: ack.words(), until: ack.until, ..Hold::because(HeldReason::Acknowledged) });
    }
    hushed(&known.transition.alert, through, terms)
}

/// What keeps an alert from being told through a route, whoever it is for.
pub(super) fn hushed(alert: &Alert, (route, own): Through<'_>, terms: Terms<'_>) -> Option<Hold> {
    let labels = terms.routes.leaving(alert);
    if let Some((silence, until)) = terms.silences.covering(&labels, terms.now.slot) {
        return Some(Hold {
            detail: format!("{} by {}: {}", silence.id, silence.created_by, silence.comment),
            until: Some(until),
            ..Hold::because(HeldReason::Silenced)
        });
    }
    if let Some(inhibition) = terms.inhibitions.of(&AlertKey::of(alert)) {
        return Some(Hold {
            detail: inhibition.to_string(),
            by: inhibition.by.iter().map(|source| source.alert.fingerprint).collect(),
            ..Hold::because(HeldReason::Inhibited)
        });
    }
    let of_rule = terms.routes.terms.get(&alert.rule_uid).map(|terms| &terms.times);
    let mut times = of_rule.into_iter().chain(own.then_some(&route.times));
    let muted = times.find_map(|times| times.muted(terms.now.slot))?;
    Some(Hold { detail: muted.to_string(), until: muted.until, ..Hold::because(HeldReason::Muted) })
}

/// When an alert that a handler was told of may become quiet, or may not be quiet any more, by the clock alone: as far
/// as the handler is told of that.
pub(super) fn loud_until(
    known: &Known,
    receiver: &Receiver,
    (route, own): Through<'_>,
    terms: Terms<'_>,
) -> Option<Timestamp> {
    let (now, alert) = (terms.now.slot, &known.transition.alert);
    let ack = known.ack.as_ref().filter(|ack| ack.holds(now)).and_then(|ack| ack.until);
    // That it flaps is told when its cooldown is over.
    let told = known.told.get(&receiver.name).filter(|told| flaps_anew(known, told));
    let flaps = told.and_then(|told| cooled(alert, told, terms)?.until);
    if receiver.on_mute == OnMute::Nothing {
        return ack.into_iter().chain(flaps).min();
    }
    let labels = terms.routes.leaving(alert);
    let covering = terms.silences.iter().filter(|silence| silence.covers(&labels));
    let windows = covering.filter_map(|silence| silence.window(now));
    let silence = windows.map(|window| window.starts_at).filter(|starts_at| *starts_at > now).min();
    let of_rule = terms.routes.terms.get(&alert.rule_uid).map(|terms| &terms.times);
    let times = of_rule.into_iter().chain(own.then_some(&route.times));
    let change = times.filter_map(|times| times.next_change(now)).min();
    ack.into_iter().chain(flaps).chain(silence).chain(change).min()
}

/// That the last firing notice is too young for another.
fn cooled(alert: &Alert, told: &Told, terms: Terms<'_>) -> Option<Hold> {
    let left_ms = cooling_ms(alert, told, terms)?;
    let until = terms.now.slot.plus(Duration::from_millis(left_ms.unsigned_abs()));
    Some(Hold { until: Some(until), ..Hold::because(HeldReason::Cooldown) })
}

/// Milliseconds until the next firing notice is allowed, if it is not yet.
pub(super) fn cooling_ms(alert: &Alert, told: &Told, terms: Terms<'_>) -> Option<i64> {
    let (cooldown, last_ms) = (terms.routes.terms.get(&alert.rule_uid)?.cooldown, told.firing_ms?);
    let left = millis(cooldown).saturating_sub(terms.now.elapsed_ms.saturating_sub(last_ms));
    (left > 0).then_some(left)
}

impl Hold {
    /// In words, for a message.
    pub(super) fn words(&self) -> String {
        let by = if self.reason == HeldReason::Muted { "" } else { "by " };
        format!("{} {by}{}", self.reason.as_str(), self.detail)
    }

    pub(super) fn because(reason: HeldReason) -> Self {
        Self { reason, detail: String::new(), by: Vec::new(), until: None }
    }
}
