//! One alert of a rule, and how one observation moves it.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::flaps::Flaps;
use crate::model::alert::float_text;
use crate::model::time::millis;
use crate::model::{AlertState, Labels, Now, ResolveReason, Severity, Timestamp, TransitionKind};
use crate::rule::{self, Level};

/// What a rule asks of the life of its alerts; the part of it that this step needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// Of a rule with several.
    pub levels: &'a [Level],
    pub hold: Duration,
    pub keep_firing_for: Duration,
    pub no_data_timeout: Duration,
    pub flapping: Option<rule::Flapping>,
}

/// What an evaluation says about one alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Input {
    /// The condition holds at a level.
    Holds { level: u8, value: f64 },
    /// There is a value and the condition does not hold (any more); `None` where plain PromQL yields nothing.
    Clear { value: Option<f64> },
    /// There is no data and the state is to be held.
    Silent,
    /// The signal is gone in a way that ends the alert.
    Gone { reason: ResolveReason },
    /// It ends now, whatever `keep_firing_for` says.
    Over { reason: ResolveReason },
}

/// An alert: identity, state, and what is needed to go on from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Labels of the sample, the metric's name included: what templates see.
    pub sample_labels: Labels,
    /// Labels of the alert; with the sample labels its identity.
    pub labels: Labels,
    /// Expanded annotations of the last evaluation with a value.
    pub annotations: Labels,
    /// State; an inactive one has resolved or was cancelled and is kept for the API.
    pub state: AlertState,
    /// Level that it is at, an index into the rule's levels: that which holds, or of one that flaps a worse one.
    pub level: u8,
    /// The last value.
    #[serde(with = "float_text")]
    pub value: f64,
    /// The worst value since `active_at`.
    #[serde(with = "float_text")]
    pub peak: f64,
    /// The end of the expected band that was left, for an anomaly rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Since when the condition holds.
    pub active_at: Timestamp,
    /// The same on the clock that `for` counts on.
    pub active_watched_ms: i64,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// When it resolved or was cancelled, and the same on the elapsed clock.
    pub ended_at: Option<(Timestamp, i64)>,
    /// Since when (elapsed clock) the condition has stopped while `keep_firing_for` counts.
    pub keep_since_ms: Option<i64>,
    /// Since when there is no data.
    pub no_data: Option<NoDataSince>,
    /// How often it came and went of late, where its rule asks that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaps: Option<Box<Flaps>>,
}

/// When a signal went missing, on the three clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDataSince {
    /// Wall clock: what people are told.
    pub at: Timestamp,
    /// Elapsed clock: for `no_data_timeout`.
    pub elapsed_ms: i64,
    /// Watched clock: this time does not count toward `for`.
    pub watched_ms: i64,
}

impl Instance {
    /// An alert that has not begun.
    pub(super) fn new(sample_labels: Labels, labels: Labels, now: Now) -> Self {
        Self {
            sample_labels,
            labels,
            annotations: Labels::empty(),
            state: AlertState::Inactive,
            level: 0,
            value: f64::NAN,
            peak: f64::NAN,
            limit: None,
            active_at: now.slot,
            active_watched_ms: now.watched_ms,
            fired_at: None,
            ended_at: None,
            keep_since_ms: None,
            no_data: None,
            flaps: None,
        }
    }

    /// Whether it is pending or firing.
    pub fn is_active(&self) -> bool {
        self.state != AlertState::Inactive
    }

    /// Whether it is found to flap, and fires until it was quiet.
    pub fn is_flapping(&self) -> bool {
        self.flaps.as_ref().is_some_and(|flaps| flaps.found().is_some())
    }

    /// The level that the condition held at last, whatever one that flaps is kept at.
    pub(super) fn level_of_condition(&self, levels: &[Level]) -> u8 {
        let flaps = self.flaps.as_ref().filter(|flaps| flaps.found().is_some());
        flaps.and_then(|flaps| place_of(levels, flaps.at()?)).unwrap_or(self.level)
    }

    /// Moves by one observation; what happened, if anything did.
    pub(super) fn step(&mut self, input: Input, terms: Terms<'_>, now: Now) -> Vec<TransitionKind> {
        let fired_at_level = (self.state == AlertState::Firing).then_some(self.level);
        let ceased_ms = self.keep_since_ms;
        let mut happened = self.moved(input, terms, now);
        let fires = self.state == AlertState::Firing;
        match terms.flapping {
            None => self.flaps = None,
            // Its condition holds, as it did where another alert of its signal was told of that until now.
            Some(_) if self.state == AlertState::Pending => {}
            // It was quiet, or something else ended it: what comes then is counted anew.
            Some(_) if !fires && self.is_flapping() => self.flaps = None,
            // Where nothing holds it stays as it was.
            Some(_) if fires && !matches!(input, Input::Holds { .. }) => {}
            Some(flapping) => self.flap((fired_at_level, ceased_ms), (terms.levels, flapping), now),
        }
        // `from` is filled in by the caller, who knows the severities of the levels.
        if let Some(before) = fired_at_level.filter(|_| fires) {
            match self.level.cmp(&before) {
                Ordering::Greater => happened.push(TransitionKind::Raised { from: Default::default() }),
                Ordering::Less => happened.push(TransitionKind::Lowered { from: Default::default() }),
                Ordering::Equal => {}
            }
        }
        happened
    }

    /// Counts a change of its level, of its beginning and its end, and keeps one that flaps at the worst level it had.
    /// `before`: at which level it fired, and since when its condition was false.
    fn flap(&mut self, before: (Option<u8>, Option<i64>), (levels, terms): (&[Level], rule::Flapping), now: Now) {
        let severity = |level| severity_at(levels, level);
        let (fired, ceased_ms) = before;
        let (was, at) = (fired.map(severity), (self.state == AlertState::Firing).then(|| severity(self.level)));
        if self.flaps.is_none() && was == at {
            return;
        }
        let flaps = self.flaps.get_or_insert_with(|| Box::new(Flaps::since(was)));
        flaps.note(at, ceased_ms, (terms, now));
        if let Some(worst) = flaps.worse().find_map(|worse| place_of(levels, worse)) {
            self.level = worst;
        }
        // It went down to the level it has, and that is all it did: what comes then is counted anew.
        if fired.is_some_and(|before| self.level < before) && flaps.found().is_some() && flaps.is_steady(terms, now) {
            self.flaps = None;
        }
    }

    fn moved(&mut self, input: Input, terms: Terms<'_>, now: Now) -> Vec<TransitionKind> {
        match (self.state, input) {
            (AlertState::Inactive, Input::Holds { level, value }) => self.begin(level, value, terms, now),
            (AlertState::Inactive, _) => Vec::new(),
            (_, Input::Holds { level, value }) => self.go_on(level, value, terms, now),
            (_, Input::Clear { value }) => {
                if let Some(value) = value {
                    self.value = value;
                }
                let mut happened = self.data_is_back(now);
                happened.extend(self.leave(ResolveReason::Recovered, terms, now));
                happened
            }
            (_, Input::Gone { reason }) => self.leave(reason, terms, now).into_iter().collect(),
            (_, Input::Over { reason }) => vec![self.end(reason, now)],
            (_, Input::Silent) => self.fall_silent(terms, now),
        }
    }

    fn begin(&mut self, level: u8, value: f64, terms: Terms<'_>, now: Now) -> Vec<TransitionKind> {
        self.state = AlertState::Pending;
        self.level = level;
        (self.value, self.peak) = (value, value);
        (self.active_at, self.active_watched_ms) = (now.slot, now.watched_ms);
        (self.fired_at, self.ended_at, self.keep_since_ms, self.no_data) = (None, None, None, None);
        if self.fire_if_due(terms, now) { vec![TransitionKind::Fired] } else { vec![TransitionKind::Pending] }
    }

    fn go_on(&mut self, level: u8, value: f64, terms: Terms<'_>, now: Now) -> Vec<TransitionKind> {
        let mut happened = self.data_is_back(now);
        (self.level, self.value) = (level, value);
        self.keep_since_ms = None;
        if self.state == AlertState::Pending && self.fire_if_due(terms, now) {
            happened.push(TransitionKind::Fired);
        }
        happened
    }

    fn fire_if_due(&mut self, terms: Terms<'_>, now: Now) -> bool {
        let due = now.watched_ms.saturating_sub(self.active_watched_ms) >= millis(terms.hold);
        if due {
            self.state = AlertState::Firing;
            self.fired_at = Some(now.slot);
        }
        due
    }

    /// The time without data does not count toward `for`: nobody knows whether the condition held.
    fn data_is_back(&mut self, now: Now) -> Vec<TransitionKind> {
        let Some(since) = self.no_data.take() else { return Vec::new() };
        if self.state == AlertState::Pending {
            self.active_watched_ms += (now.watched_ms - since.watched_ms).max(0);
        }
        vec![TransitionKind::DataBack]
    }

    fn fall_silent(&mut self, terms: Terms<'_>, now: Now) -> Vec<TransitionKind> {
        let Some(since) = self.no_data else {
            self.no_data = Some(NoDataSince { at: now.slot, elapsed_ms: now.elapsed_ms, watched_ms: now.watched_ms });
            return vec![TransitionKind::NoData];
        };
        if now.elapsed_ms.saturating_sub(since.elapsed_ms) < millis(terms.no_data_timeout) {
            return Vec::new();
        }
        vec![self.end(ResolveReason::NoData, now)]
    }

    /// The condition no longer holds: ends at once, or when `keep_firing_for` has passed, of one that flaps the quiet time.
    fn leave(&mut self, reason: ResolveReason, terms: Terms<'_>, now: Now) -> Option<TransitionKind> {
        let quiet = terms.flapping.filter(|_| self.is_flapping()).map(|flapping| flapping.quiet);
        let keep = terms.keep_firing_for.max(quiet.unwrap_or_default());
        if self.state == AlertState::Firing && !keep.is_zero() {
            let since = *self.keep_since_ms.get_or_insert(now.elapsed_ms);
            if now.elapsed_ms.saturating_sub(since) < millis(keep) {
                return None;
            }
        }
        Some(self.end(reason, now))
    }

    /// Ends now, whatever `keep_firing_for` says.
    pub(super) fn end(&mut self, reason: ResolveReason, now: Now) -> TransitionKind {
        let was = std::mem::replace(&mut self.state, AlertState::Inactive);
        self.ended_at = Some((now.slot, now.elapsed_ms));
        self.keep_since_ms = None;
        if was == AlertState::Firing { TransitionKind::Resolved { reason } } else { TransitionKind::Cancelled }
    }
}

/// The severity of a level; of a rule with one it is always the same.
fn severity_at(levels: &[Level], level: u8) -> Severity {
    levels.get(usize::from(level)).map(|level| level.severity).unwrap_or_default()
}

/// The level with a severity, where the rule (still) has one.
fn place_of(levels: &[Level], severity: Severity) -> Option<u8> {
    levels.iter().position(|level| level.severity == severity).and_then(|place| u8::try_from(place).ok())
}
