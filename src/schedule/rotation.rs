//! Rotations: who of several people is on duty at an instant, by the clocks on the walls of a zone.
//!
//! Turns follow each other without end and without beginning, so that somebody is on duty at any time. A turn begins at
//! the same local time whatever the clocks do: one that a change of clocks leaves out begins when the gap ends, one that
//! it repeats begins the first time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Datelike as _, Days, NaiveDateTime};
use chrono_tz::Tz;

use super::zone::{instant_of, local_of};
use crate::model::Timestamp;

/// The forms of local times.
const FORMS: [&str; 4] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
const DAY_SECS: u64 = 24 * 3600;
/// Most days of a turn.
pub const TURN_DAYS_MAX: u64 = 366;

/// Who is told under one name, in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The name that stands for whoever is on duty.
    pub name: Arc<str>,
    /// The handlers, in the order of their turns.
    pub handlers: Vec<Arc<str>>,
    /// When turns begin.
    pub turns: Turns,
    /// Who is on duty at other times than those of their turns; no two at one time, in the order of time.
    pub overrides: Vec<Override>,
}

/// When the turns of a rotation begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// When that of the first handler began once, on the wall.
    pub starts: NaiveDateTime,
    /// How many days each has.
    pub days: u64,
    /// Whose clocks they follow.
    pub zone: Tz,
}

/// A time at which somebody else is on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// From when.
    pub from: Timestamp,
    /// Until when; it ends after it begins.
    pub until: Timestamp,
    /// Who is.
    pub handler: Arc<str>,
}

/// Reads a local time such as `2026-01-05T09:00`, of the years that people plan for.
pub fn local_time(text: &str) -> Option<NaiveDateTime> {
    let time = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    (1970..=9999).contains(&time.year()).then_some(time)
}

/// How many whole days a duration has, as a turn may have them.
pub fn whole_days(every: Duration) -> Option<u64> {
    let days = every.as_secs() / DAY_SECS;
    let whole = every == Duration::from_secs(days * DAY_SECS);
    Some(days).filter(|days| whole && (1..=TURN_DAYS_MAX).contains(days))
}

impl Turns {
    /// The instant of a local time, as turns have it; `None` where the calendar ends.
    pub fn instant(self, local: NaiveDateTime) -> Option<Timestamp> {
        Some(Timestamp(instant_of(self.zone, local)?.checked_mul(1000)?))
    }

    /// What the clocks on the walls of the zone show at an instant.
    pub fn local_text(self, at: Timestamp) -> Option<String> {
        Some(local_of(self.zone, at.0.div_euclid(1000))?.format(FORMS[0]).to_string())
    }

    /// When a turn begins; the first is 0.
    fn begins(self, turn: i64) -> Option<Timestamp> {
        let days = Days::new(turn.unsigned_abs().checked_mul(self.days)?);
        let local = if turn < 0 { self.starts.checked_sub_days(days) } else { self.starts.checked_add_days(days) };
        self.instant(local?)
    }

    /// The turn of an instant; `None` where the calendar ends.
    fn at(self, at: Timestamp) -> Option<i64> {
        let local = local_of(self.zone, at.0.div_euclid(1000))?;
        let secs = i64::try_from(self.days.checked_mul(DAY_SECS)?).ok()?;
        let guess = (local - self.starts).num_seconds().div_euclid(secs);
        // Clocks that were changed since may make it one more or less.
        let begun = |turn: &i64| self.begins(*turn).is_some_and(|begins| begins <= at);
        [guess + 1, guess].into_iter().find(begun).or(Some(guess - 1))
    }
}

impl Rotation {
    /// Who is on duty.
    pub fn on_duty(&self, at: Timestamp) -> Option<&Arc<str>> {
        match self.override_at(at) {
            Some(instead) => Some(&instead.handler),
            None => self.of_turn(self.turns.at(at).unwrap_or_default()),
        }
    }

    /// When somebody else is on duty next, and who; `None` where that is never.
    pub fn next_handover(&self, at: Timestamp) -> Option<(Timestamp, &Arc<str>)> {
        let now = self.on_duty(at)?;
        let mut then = at;
        // An edge that changes nothing begins or ends an override.
        for _ in 0..2 * self.overrides.len() + 1 {
            then = self.next_edge(then)?;
            let next = self.on_duty(then)?;
            if next != now {
                return Some((then, next));
            }
        }
        None
    }

    /// The next handovers, as many as are asked for.
    pub fn handovers(&self, at: Timestamp, count: usize) -> Vec<(Timestamp, &Arc<str>)> {
        std::iter::successors(self.next_handover(at), |(at, _)| self.next_handover(*at)).take(count).collect()
    }

    /// Whether somebody is on duty instead of whose turn it is.
    pub fn is_overridden(&self, at: Timestamp) -> bool {
        self.override_at(at).is_some()
    }

    /// Every handler that may be on duty.
    pub fn everybody(&self) -> impl Iterator<Item = &Arc<str>> {
        self.handlers.iter().chain(self.overrides.iter().map(|instead| &instead.handler))
    }

    fn override_at(&self, at: Timestamp) -> Option<&Override> {
        self.overrides.iter().find(|instead| instead.from <= at && at < instead.until)
    }

    /// Whose turn it is, by the number of the turn.
    fn of_turn(&self, turn: i64) -> Option<&Arc<str>> {
        let place = turn.rem_euclid(i64::try_from(self.handlers.len()).ok().filter(|count| *count > 0)?);
        self.handlers.get(usize::try_from(place).ok()?)
    }

    /// The next instant at which somebody else may be on duty: where an override begins or ends, or a turn of somebody else
    /// than whose turn it is.
    fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        if let Some(instead) = self.override_at(at) {
            return Some(instead.until);
        }
        let turn = || {
            let turn = self.turns.at(at)?;
            let whose = self.of_turn(turn)?;
            let mut later = (1..=self.handlers.len()).map_while(|more| turn.checked_add(i64::try_from(more).ok()?));
            self.turns.begins(later.find(|later| self.of_turn(*later) != Some(whose))?)
        };
        let instead = self.overrides.iter().map(|instead| instead.from).filter(|from| *from > at).min();
        turn().into_iter().chain(instead).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotation(zone: Tz, starts: &str, days: u64, handlers: &[&str], overrides: &[(&str, &str, &str)]) -> Rotation {
        let turns = Turns { starts: local_time(starts).unwrap(), days, zone };
        let instant = |text: &str| turns.instant(local_time(text).unwrap()).unwrap();
        let instead = |(from, until, handler): &(&str, &str, &str)| Override {
            from: instant(from),
            until: instant(until),
            handler: Arc::from(*handler),
        };
        let handlers = handlers.iter().map(|name| Arc::from(*name)).collect();
        Rotation { name: "oncall".into(), handlers, turns, overrides: overrides.iter().map(instead).collect() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// `INSTANT HANDLER` of the next handovers.
    fn check(case: &str, rotation: &Rotation, from: &str, now: &str, next: &[&str]) {
        assert_eq!(&**rotation.on_duty(at(from)).unwrap(), now, "{case}");
        let found = rotation.handovers(at(from), next.len());
        let found: Vec<String> = found.into_iter().map(|(at, handler)| format!("{at} {handler}")).collect();
        assert_eq!(found, next, "{case}");
    }

    #[test]
    fn turns_begin_at_the_same_time_of_the_day_whatever_the_clocks_do() {
        let berlin = chrono_tz::Europe::Berlin;
        let weekly = rotation(berlin, "2026-01-05T09:00", 7, &["alice", "bob"], &[]);
        check("the turn of the first begins when it says", &weekly, "2026-01-05T08:00:00Z", "alice", &[]);
        check("before that it was the turn of the last", &weekly, "2026-01-05T07:59:59Z", "bob", &[]);
        check(
            "over the change in spring: 9 o'clock is an hour earlier for those in London",
            &weekly,
            "2026-03-20T00:00:00Z",
            "alice",
            &["2026-03-23T08:00:00Z bob", "2026-03-30T07:00:00Z alice"],
        );
        check(
            "over the change in autumn",
            &weekly,
            "2026-10-20T00:00:00Z",
            "bob",
            &["2026-10-26T08:00:00Z alice", "2026-11-02T08:00:00Z bob"],
        );
        check("an instant of the week of the change", &weekly, "2026-03-29T12:00:00Z", "bob", &[]);
        let nightly = rotation(berlin, "2026-01-01T02:30", 1, &["alice", "bob", "carol"], &[]);
        check(
            "a time that does not exist begins when the gap ends",
            &nightly,
            "2026-03-28T12:00:00Z",
            "carol",
            &["2026-03-29T01:00:00Z alice", "2026-03-30T00:30:00Z bob"],
        );
        check(
            "a time that exists twice begins the first time, and once",
            &nightly,
            "2026-10-24T12:00:00Z",
            "carol",
            &["2026-10-25T00:30:00Z alice", "2026-10-26T01:30:00Z bob"],
        );
        let lord_howe = rotation(chrono_tz::Australia::Lord_Howe, "2026-04-01T01:45", 1, &["a", "b"], &[]);
        check(
            "where clocks change by half an hour",
            &lord_howe,
            "2026-04-03T20:00:00Z",
            "b",
            &["2026-04-04T14:45:00Z a"],
        );
    }

    #[test]
    fn overrides_come_between_and_only_what_changes_is_a_handover() {
        let overrides = &[
            ("2026-01-08T12:00", "2026-01-09T12:00", "bob"),
            ("2026-01-09T12:00", "2026-01-10T12:00", "carol"),
            ("2026-01-11T00:00", "2026-01-13T00:00", "alice"),
        ];
        let turns = rotation(Tz::UTC, "2026-01-05T09:00", 7, &["alice", "bob"], overrides);
        check(
            "one after the other, and one over the end of a turn",
            &turns,
            "2026-01-05T09:00:00Z",
            "alice",
            &[
                "2026-01-08T12:00:00Z bob",
                "2026-01-09T12:00:00Z carol",
                "2026-01-10T12:00:00Z alice",
                "2026-01-13T00:00:00Z bob",
                "2026-01-19T09:00:00Z alice",
            ],
        );
        let twice = rotation(Tz::UTC, "2026-01-05T09:00", 1, &["alice", "alice", "bob"], &[]);
        check("two turns in a row", &twice, "2026-01-05T10:00:00Z", "alice", &["2026-01-07T09:00:00Z bob"]);
        let weekends = &[
            ("2026-01-10T00:00", "2026-01-12T00:00", "alice"),
            ("2026-01-17T00:00", "2026-01-19T00:00", "alice"),
            ("2026-01-24T00:00", "2026-01-26T00:00", "alice"),
        ];
        let week = ["alice", "alice", "alice", "alice", "alice", "bob", "bob"];
        check(
            "whose turns are all somebody else's for weeks",
            &rotation(Tz::UTC, "2026-01-05T00:00", 1, &week, weekends),
            "2026-01-05T00:00:00Z",
            "alice",
            &["2026-01-31T00:00:00Z bob", "2026-02-02T00:00:00Z alice"],
        );
        let alone =
            rotation(Tz::UTC, "2026-01-05T09:00", 1, &["alice"], &[("2030-01-01T00:00", "2030-01-02T00:00", "bob")]);
        check("an override in some years", &alone, "2026-01-05T10:00:00Z", "alice", &["2030-01-01T00:00:00Z bob"]);
        assert_eq!(alone.next_handover(at("2031-01-01T00:00:00Z")), None, "nobody else ever is");
        // The calendar has an end: somebody is on duty all the same.
        for end in [i64::MIN, -8_334_601_228_800_000, 8_210_266_876_799_999, i64::MAX] {
            for near in [-50_000_000, -1, 0, 1, 50_000_000] {
                let at = Timestamp(end.saturating_add(near));
                assert!(turns.on_duty(at).is_some() && turns.handovers(at, 5).len() <= 5, "{at:?}");
            }
        }
    }

    #[test]
    fn turns_have_whole_days() {
        let hour = Duration::from_secs(3600);
        for (every, days) in
            [(24 * hour, Some(1)), (168 * hour, Some(7)), (hour, None), (36 * hour, None), (Duration::ZERO, None)]
        {
            assert_eq!(whole_days(every), days, "{every:?}");
        }
        assert_eq!(local_time("2026-01-05T09:00"), local_time("2026-01-05 09:00:00"));
        for text in ["+20260-01-05T09:00", "2026-01-05", "2026-13-05T09:00", "2026-01-05T09:00Z", "", "9:00"] {
            assert_eq!(local_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nobody_else_is_on_duty_before_the_next_handover(
            zone in prop::sample::select(vec![chrono_tz::Europe::Berlin, chrono_tz::America::New_York, chrono_tz::Pacific::Apia]),
            days in 1u64..5,
            hour in 0u32..24,
            from in 1_200_000_000i64..2_000_000_000,
            handlers in prop::collection::vec(prop::sample::select(vec!["alice", "bob"]), 1..8),
            overrides in prop::collection::vec((0i64..60, 1i64..60, prop::sample::select(vec!["alice", "bob", "carol"])), 0..6),
        ) {
            const HOUR_MS: i64 = 3_600_000;
            let mut turns = rotation(zone, &format!("2020-02-03T{hour:02}:30"), days, &handlers, &[]);
            let from = Timestamp(from * 1000);
            let mut until = Timestamp(from.0 - 24 * HOUR_MS);
            for (pause, hours, handler) in overrides {
                let begins = Timestamp(until.0 + pause * HOUR_MS);
                until = Timestamp(begins.0 + hours * HOUR_MS);
                turns.overrides.push(Override { from: begins, until, handler: handler.into() });
            }
            let next = turns.next_handover(from);
            if let Some((then, next)) = next {
                prop_assert!(then > from);
                prop_assert_eq!(turns.on_duty(then), Some(next));
                prop_assert_eq!(turns.on_duty(Timestamp(then.0 - 1)), turns.on_duty(from));
                prop_assert_ne!(turns.on_duty(from), Some(next));
            }
            let hours = (0..40 * 24).map(|hours| Timestamp(from.0 + hours * HOUR_MS));
            for between in hours.take_while(|at| next.is_none_or(|(then, _)| *at < then)) {
                prop_assert_eq!(turns.on_duty(between), turns.on_duty(from), "at {}", between);
            }
        }
    }
}
