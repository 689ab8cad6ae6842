//! Alerts that come and go, or go up and down: how often one changed of late, and that it flaps.
//!
//! Place in the flow: [`super::instance`] notes at which level an alert fires, or that it does not. One that rose and fell
//! as often as its rule says, within the time that it says, flaps: from then on it stays at the worst level that it had
//! until it was below it for a whole quiet time. Kept with the alert, so that a restart changes nothing. Levels are known by
//! their severities: those stay what they are when a reload gives the rule another level.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::time::millis;
use crate::model::{Now, Severity, Timestamp};
use crate::rule::Flapping;

/// What is remembered of the changes of a signal, with its alert. Bounded by what its rule counts, which is bounded, and
/// by the severities that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flaps {
    /// The last turns, on the elapsed clock: of moves up, or down, that follow one another the last.
    changed_ms: VecDeque<i64>,
    /// Whether the last of them was up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rose: bool,
    /// The level that its condition puts it at, while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Severity>,
    /// That it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
    /// While it flaps: the worse levels that it had of late and since when it is below them, the worst and earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    worse: Vec<(Severity, i64)>,
    /// While it flaps: when its condition last began, or put it at another level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_ms: Option<i64>,
}

/// How it was found to flap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Found {
    /// When.
    pub since: Timestamp,
    /// Changes that were counted.
    pub changes: u32,
    /// From the first of them to the last.
    pub within_ms: i64,
}

impl Flaps {
    /// Of an alert that was at this level when its changes began to be counted.
    pub(super) fn since(at: Option<Severity>) -> Self {
        Self { at, rose: at.is_some(), ..Self::default() }
    }

    /// That the alert flaps.
    pub(super) fn found(&self) -> Option<Found> {
        self.found
    }

    /// The level that the condition puts it at.
    pub(super) fn at(&self) -> Option<Severity> {
        self.at
    }

    /// The worse levels that one that flaps had within the last quiet time, the worst first.
    pub(super) fn worse(&self) -> impl Iterator<Item = Severity> {
        self.worse.iter().map(|(level, _)| *level)
    }

    /// Goes on with another alert of the signal. The levels at which this one was kept are none of that one.
    pub(super) fn hand_on(&mut self) {
        if self.found.is_some() {
            self.worse.clear();
            self.at = None;
        }
    }

    /// Notes the level that the condition puts the alert at; `None`: it does not fire. `ceased_ms`: since when the
    /// condition was false until now. It is found to flap when it rises, which is told at once with that.
    pub(super) fn note(&mut self, at: Option<Severity>, ceased_ms: Option<i64>, (terms, now): (Flapping, Now)) {
        let before = std::mem::replace(&mut self.at, at);
        if at != before && self.found.is_none() {
            self.count(at > before, terms, now);
        }
        if self.found.is_none() {
            return;
        }
        if at != before || ceased_ms.is_some() {
            self.moved_ms = Some(now.elapsed_ms);
        }
        if let Some(left) = before.filter(|_| at < before) {
            self.worse.push((left, ceased_ms.unwrap_or(now.elapsed_ms)));
        }
        let quiet_ms = millis(terms.quiet);
        self.worse.retain(|(level, since_ms)| Some(*level) > at && now.elapsed_ms.saturating_sub(*since_ms) < quiet_ms);
    }

    /// A change up or down. One that goes on the way of the last is none more: an alert that is raised to its worst level
    /// and then lowered step by step came and went once.
    fn count(&mut self, rose: bool, terms: Flapping, now: Now) {
        let goes_on = std::mem::replace(&mut self.rose, rose) == rose;
        if goes_on {
            self.changed_ms.pop_back();
        }
        self.changed_ms.push_back(now.elapsed_ms);
        let oldest_ms = now.elapsed_ms.saturating_sub(millis(terms.window));
        while self.changed_ms.len() > terms.changes || self.changed_ms.front().is_some_and(|at| *at < oldest_ms) {
            self.changed_ms.pop_front();
        }
        if rose && self.changed_ms.len() >= terms.changes {
            let first_ms = self.changed_ms.front().copied().unwrap_or(now.elapsed_ms);
            self.found = Some(Found {
                since: now.slot,
                changes: u32::try_from(self.changed_ms.len()).unwrap_or(u32::MAX),
                within_ms: now.elapsed_ms.saturating_sub(first_ms),
            });
        }
    }

    /// Whether the condition was at one level for a whole quiet time, and no worse one is remembered.
    pub(super) fn is_steady(&self, terms: Flapping, now: Now) -> bool {
        let since_ms = self.moved_ms.unwrap_or(now.elapsed_ms);
        self.worse.is_empty() && now.elapsed_ms.saturating_sub(since_ms) >= millis(terms.quiet)
    }

    /// Whether what is remembered still counts.
    pub(super) fn counts(&self, terms: Flapping, now: Now) -> bool {
        let oldest_ms = now.elapsed_ms.saturating_sub(millis(terms.window));
        self.changed_ms.back().is_some_and(|at| *at >= oldest_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::model::TransitionKind;
    use crate::rule::{Flapping, Rule};
    use crate::state::RESOLVED_RETENTION;
    use crate::state::tests::{Player, above, check, minutes};

    fn terms(changes: usize, window: u64, quiet: u64) -> Flapping {
        Flapping { changes, window: minutes(window), quiet: minutes(quiet) }
    }

    fn flapping(changes: usize, window: u64, quiet: u64) -> Rule {
        Rule { flapping: Some(terms(changes, window, quiet)), ..above(5.0) }
    }

    const TWICE: &str =
        "0 fired:told; 1 resolved(recovered):told; 2 fired:told; 3 resolved(recovered):told; 4 fired:told";

    #[test]
    fn an_alert_that_comes_and_goes_is_told_as_firing_until_it_is_quiet() {
        check("off: every change", above(5.0), "9 1 9 1 9 1", &format!("{TWICE}; 5 resolved(recovered):told"));
        check(
            "the third time it stays",
            flapping(5, 30, 3),
            "9 1 9 1 9 1 9 1 9 1 1 1 1 1",
            &format!("{TWICE}; 12 resolved(recovered):told"),
        );
        check(
            "what comes when it was quiet is counted anew",
            flapping(5, 30, 2),
            "9 1 9 1 9 1 1 1 9 1 9 1 1",
            &format!(
                "{TWICE}; 7 resolved(recovered):told; 8 fired:told; 9 resolved(recovered):told; 10 fired:told; \
                 11 resolved(recovered):told"
            ),
        );
        check(
            "three changes are the second time",
            flapping(3, 30, 2),
            "9 1 9 1 9 1 1 1",
            "0 fired:told; 1 resolved(recovered):told; 2 fired:told; 7 resolved(recovered):told",
        );
    }

    #[test]
    fn changes_that_are_older_than_the_window_do_not_count() {
        let want = "0 fired:told; 1 resolved(recovered):told; 2 fired:told; 3 resolved(recovered):told; 11 fired:told; 12 resolved(recovered):told";
        check("the first two are too old", flapping(5, 10, 5), "9 1 9 1 1 1 1 1 1 1 1 9 1", want);
        check(
            "at the very end of the window",
            flapping(5, 11, 5),
            "9 1 9 1 1 1 1 1 1 1 1 9 1",
            want.trim_end_matches("; 12 resolved(recovered):told"),
        );
        // Longer than alerts that are over are kept otherwise.
        let apart = "9 1 >25m 9 1 9 1 1 1";
        let want = "0 fired:told; 1 resolved(recovered):told; 27 fired:told; 28 resolved(recovered):told; 29 fired:told; \
                    32 resolved(recovered):told";
        assert!(RESOLVED_RETENTION < minutes(25));
        check("an hour", flapping(5, 60, 2), apart, want);
    }

    #[test]
    fn the_longer_of_two_times_is_waited_for_and_pending_is_no_change() {
        let rule = Rule { keep_firing_for: minutes(4), ..flapping(3, 30, 2) };
        check(
            "keep_firing_for",
            rule,
            "9 1 1 1 1 1 9 1 1 1 1 1",
            "0 fired:told; 5 resolved(recovered):told; 6 fired:told; 11 resolved(recovered):told",
        );
        let rule = Rule { hold: minutes(1), ..flapping(3, 30, 9) };
        check(
            "for",
            rule,
            "9 1 9 1 9 1 9 9 1 9 9 1 1",
            "0 pending; 1 cancelled; 2 pending; 3 cancelled; 4 pending; 5 cancelled; 6 pending; 7 fired:told; \
             8 resolved(recovered):told; 9 pending; 10 fired:told",
        );
        check(
            "a series that ends is waited for like a condition that ceases",
            flapping(3, 30, 2),
            "9 1 9 x x x",
            "0 fired:told; 1 resolved(recovered):told; 2 fired:told; 5 resolved(series ended):told",
        );
    }

    #[test]
    fn that_it_flaps_is_known_of_the_alert_and_no_label() {
        let mut player = Player::new(flapping(5, 30, 3));
        let seen = player.play("9 1 9 1 9 1 9 1 1 1 1");
        let flapping: Vec<Option<String>> = seen.iter().map(|t| t.alert.flapping.map(|f| f.words())).collect();
        let words = "flapping: changed 5 times in 4m, stays firing until it is quiet for 3m";
        assert_eq!(flapping, [None, None, None, None, Some(words.to_owned()), None]);
        assert!(seen.iter().all(|t| t.alert.fingerprint == seen[0].alert.fingerprint));
        assert!(seen.iter().all(|t| t.alert.labels == seen[0].alert.labels));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn within_a_quiet_time_it_fires_no_oftener_than_it_takes_to_find_that_it_flaps(
            course in prop::collection::vec(prop::sample::select(vec!["9", "1", "_", "x", "!"]), 1..120),
            changes in 3usize..8,
            quiet in 2u64..12,
        ) {
            let seen = Player::new(flapping(changes, 30, quiet)).play(&course.join(" "));
            let fired: Vec<i64> =
                seen.iter().filter(|t| t.kind == TransitionKind::Fired).map(|t| t.at.0 / 60_000).collect();
            let most = changes / 2 + 1;
            for from in &fired {
                let within = fired.iter().filter(|at| (*from..*from + i64::try_from(quiet).unwrap_or_default()).contains(*at)).count();
                prop_assert!(within <= most, "{fired:?} of {course:?}");
            }
            // Whatever began is over, or fires.
            let ended = seen.iter().filter(|t| t.kind.is_end()).count();
            prop_assert!(fired.len() - ended <= 1);
        }
    }

    #[test]
    fn an_hour_of_changes_at_every_evaluation_is_three_beginnings_and_one_end() {
        let course = format!("{}{}", "9 1 ".repeat(30), "1 ".repeat(20));
        let rule = Rule { flapping: Some(Flapping::default()), ..above(5.0) };
        let seen = Player::new(rule).play(&course);
        let fired = seen.iter().filter(|t| t.kind == TransitionKind::Fired).count();
        assert_eq!((fired, seen.len()), (3, 6));
        assert_eq!(seen[5].at.since(seen[4].at), Duration::from_secs((59 - 4 + 15) * 60));
    }

    #[test]
    fn whatever_the_interval_an_hour_of_changes_is_a_few_beginnings() {
        for (changes, most) in [(3, 2), (5, 4)] {
            for interval in 1..=60 {
                let course: Vec<&str> = (0..60).map(|minute| ["9", "1"][minute / interval % 2]).collect();
                let rule = Rule { flapping: Some(Flapping { changes, ..Flapping::default() }), ..above(5.0) };
                let seen = Player::new(rule).play(&course.join(" "));
                let fired = seen.iter().filter(|t| t.kind == TransitionKind::Fired).count();
                assert!((1..=most).contains(&fired), "{changes} changes, every {interval} minutes: {fired}");
            }
        }
    }
}
