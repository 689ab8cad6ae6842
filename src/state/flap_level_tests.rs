//! Alerts with several levels that go up and down: a few changes are told, then the worst level until it was quiet.

use std::time::Duration;

use proptest::prelude::*;

use super::tests::{Player, above, check, level, minutes, of_levels, two_levels};
use crate::model::{Severity, TransitionKind};
use crate::rule::{Condition, Flapping, Level, Rule, Threshold};

fn flapping(changes: usize, quiet: u64, rule: Rule) -> Rule {
    Rule { flapping: Some(Flapping { changes, window: minutes(30), quiet: minutes(quiet) }), ..rule }
}

fn three_levels() -> Rule {
    let at = |severity, limit| level(severity, Threshold::Above(limit), None);
    of_levels(vec![at(Severity::Info, 10.0), at(Severity::Warning, 50.0), at(Severity::Critical, 80.0)])
}

/// Up to here the third rise is told.
const FOUND: &str = "0 fired:told; 1 raised(warning→critical):told; 2 lowered(critical→warning):told; \
                     3 raised(warning→critical):told; 4 lowered(critical→warning):told; 5 raised(warning→critical):told";
/// The second.
const FOUND_EARLY: &str = "0 fired:told; 1 raised(warning→critical):told; 2 lowered(critical→warning):told; \
                           3 raised(warning→critical):told";

#[test]
fn an_alert_that_goes_up_and_down_stays_at_its_worst_level_until_it_is_quiet() {
    check(
        "off: every change",
        two_levels(),
        "85 96 85 96 85 96 85 96",
        &format!("{FOUND}; 6 lowered(critical→warning):told; 7 raised(warning→critical):told"),
    );
    check(
        "then it goes to the level it has, and counts anew",
        flapping(5, 3, two_levels()),
        "85 96 85 96 85 96 85 96 85 85 85 85 50 85",
        &format!("{FOUND}; 11 lowered(critical→warning):told; 12 resolved(recovered):told; 13 fired:told"),
    );
    check(
        "or is over, with no lowering before",
        flapping(5, 3, two_levels()),
        "85 96 85 96 85 96 85 50 50 50 50",
        &format!("{FOUND}; 10 resolved(recovered):told"),
    );
    check(
        "found when it rises, where a fall is the fourth change",
        flapping(4, 3, two_levels()),
        "85 96 85 96 85 96 85 85 85 85",
        &format!("{FOUND}; 9 lowered(critical→warning):told"),
    );
    check(
        "a raise above it is told at once",
        flapping(3, 3, three_levels()),
        "20 60 20 60 20 90 20 20 20 20",
        "0 fired:told; 1 raised(info→warning):told; 2 lowered(warning→info):told; 3 raised(info→warning):told; \
         5 raised(warning→critical):told; 9 lowered(critical→info):told",
    );
}

#[test]
fn a_rise_through_several_levels_is_one_change_and_so_is_a_fall() {
    let whole = "20 60 90 60 20 1";
    let told = |from: usize| {
        format!(
            "{} fired:told; {} raised(info→warning):told; {} raised(warning→critical):told; \
             {} lowered(critical→warning):told; {} lowered(warning→info):told",
            from,
            from + 1,
            from + 2,
            from + 3,
            from + 4
        )
    };
    check(
        "two troubles that pass all levels are not flapping, the third is",
        flapping(5, 3, three_levels()),
        &format!("{whole} {whole} 20 1 1 1 1"),
        &format!(
            "{}; 5 resolved(recovered):told; {}; 11 resolved(recovered):told; 12 fired:told; 16 resolved(recovered):told",
            told(0),
            told(6)
        ),
    );
}

#[test]
fn each_level_is_left_when_nothing_was_as_bad_for_a_quiet_time() {
    check(
        "it comes and goes at the lesser level: it is lowered, and is not over before it was quiet",
        flapping(3, 3, two_levels()),
        "85 96 85 96 50 85 50 85 50 85 50 50 50 50",
        &format!("{FOUND_EARLY}; 7 lowered(critical→warning):told; 13 resolved(recovered):told"),
    );
    check(
        "it goes up and down below the worst: to the worst of these",
        flapping(3, 3, three_levels()),
        "60 90 60 90 60 20 60 20 60 20 20 20",
        "0 fired:told; 1 raised(warning→critical):told; 2 lowered(critical→warning):told; \
         3 raised(warning→critical):told; 7 lowered(critical→warning):told",
    );
    check(
        "and from there on",
        flapping(3, 3, three_levels()),
        "60 90 60 90 60 20 60 20 60 20 20 20 20 1",
        "0 fired:told; 1 raised(warning→critical):told; 2 lowered(critical→warning):told; \
         3 raised(warning→critical):told; 7 lowered(critical→warning):told; 12 lowered(warning→info):told; \
         13 resolved(recovered):told",
    );
}

#[test]
fn recover_no_data_for_and_keep_firing_for_play_their_parts() {
    check(
        "between its two limits the level of the condition stays, not the one that it is kept at",
        flapping(5, 3, two_levels()),
        "85 96 85 96 85 96 92 92 92 92 85 92 92 92",
        &format!("{FOUND}; 13 lowered(critical→warning):told"),
    );
    check(
        "the time without data counts, as for keep_firing_for",
        flapping(5, 3, two_levels()),
        "85 96 85 96 85 96 85 _ _ 85",
        &format!("{FOUND}; 7 no_data; 9 data_back; 9 lowered(critical→warning):told"),
    );
    check("an error holds all", flapping(5, 3, two_levels()), "85 96 85 96 85 96 85 ! ! 96 85", FOUND);
    check(
        "levels of one that is pending are no changes",
        Rule { hold: minutes(2), ..flapping(3, 3, two_levels()) },
        "85 96 85 96 85 96 85 85 85 85",
        "0 pending; 2 fired:told; 3 raised(warning→critical):told; 4 lowered(critical→warning):told; \
         5 raised(warning→critical):told; 9 lowered(critical→warning):told",
    );
    check(
        "the longer of two times is waited for when it is over, and `quiet` when it is less bad",
        Rule { keep_firing_for: minutes(5), ..flapping(3, 3, two_levels()) },
        "85 96 85 96 85 85 85 85 50 50 50 50 50 50",
        &format!("{FOUND_EARLY}; 7 lowered(critical→warning):told; 13 resolved(recovered):told"),
    );
}

/// What a rule with other levels, or other terms, makes of an alert that is kept at critical.
fn reloaded(rule: Rule, words: &str) -> Vec<String> {
    let mut player = Player::new(flapping(5, 3, two_levels()));
    player.play("85 96 85 96 85 96 85");
    player.rule = rule;
    let seen = player.play(words);
    seen.iter().map(|t| format!("{} {} {}", t.at.0 / 60_000, t.kind.as_str(), t.alert.severity)).collect()
}

#[test]
fn a_reload_keeps_the_severity_that_it_is_at() {
    let Condition::Threshold { levels, .. } = two_levels().condition else { panic!("a rule of levels") };
    assert_eq!(reloaded(flapping(5, 3, two_levels()), "85 85 85"), ["9 lowered warning"]);
    assert_eq!(reloaded(two_levels(), "85"), ["7 lowered warning"], "off: it is at the level it has");
    // What was the second level is the third.
    let info = level(Severity::Info, Threshold::Above(10.0), None);
    let more = of_levels([vec![info], levels.clone()].concat());
    let told = reloaded(flapping(5, 3, more), "85 96 85 85 85 85");
    assert_eq!(told.iter().filter(|t| !t.starts_with("7 ")).collect::<Vec<_>>(), ["12 lowered warning"]);
    assert!(told.iter().all(|t| t.starts_with("12 ") || t.ends_with("critical")), "{told:?}");
    // There is no such level any more.
    let error = Level { severity: Severity::Error, ..levels[1] };
    let told = reloaded(flapping(5, 3, of_levels(vec![levels[0], error])), "85 85 85 50 50 50 50");
    assert_eq!(told.last().map(String::as_str), Some("13 resolved warning"), "{told:?}");
    let told = reloaded(flapping(5, 3, above(5.0)), "85 85 1 1 1 1");
    assert_eq!(told.last().map(String::as_str), Some("12 resolved warning"), "{told:?}");
}

#[test]
fn it_says_at_which_level_it_stays_and_keeps_its_identity() {
    let seen = Player::new(flapping(5, 3, two_levels())).play("85 96 85 96 85 96 85 85 85 85 50");
    let flapping: Vec<Option<String>> = seen.iter().map(|t| t.alert.flapping.map(|f| f.words())).collect();
    let words = "flapping: changed 5 times in 4m, stays critical until it is quiet for 3m";
    assert_eq!(flapping, [None, None, None, None, None, Some(words.to_owned()), None, None]);
    assert!(seen.iter().all(|t| t.alert.fingerprint == seen[0].alert.fingerprint));
}

#[test]
fn an_hour_of_changes_of_level_is_a_few_messages() {
    let rule = Rule { flapping: Some(Flapping::default()), ..two_levels() };
    let seen = Player::new(rule).play(&format!("{}{}", "85 96 ".repeat(30), "85 ".repeat(20)));
    assert_eq!(seen.len(), 7);
    assert_eq!(seen[6].at.since(seen[5].at), Duration::from_secs((60 - 5 + 15) * 60));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn within_a_quiet_time_it_turns_no_oftener_than_it_takes_to_find_that_it_flaps(
        course in prop::collection::vec(prop::sample::select(vec!["1", "20", "60", "90", "_", "x", "!"]), 1..120),
        changes in 3usize..8,
        quiet in 2u64..12,
    ) {
        let seen = Player::new(flapping(changes, quiet, three_levels())).play(&course.join(" "));
        let moves = seen.iter().filter_map(|t| {
            let up = match t.kind {
                TransitionKind::Fired | TransitionKind::Raised { .. } => true,
                TransitionKind::Lowered { .. } | TransitionKind::Resolved { .. } => false,
                _ => return None,
            };
            Some((t.at, up))
        });
        let mut turns = moves.collect::<Vec<_>>();
        turns.dedup_by_key(|(_, up)| *up);
        // It is found when it rises; what was quiet ends before, and counts anew.
        let most = changes / 2 * 2 + 2;
        for (from, _) in &turns {
            let within = turns.iter().filter(|(at, _)| *at >= *from && at.since(*from) < minutes(quiet)).count();
            prop_assert!(within <= most, "{turns:?} of {course:?}");
        }
        // Nothing that fires is told to be less bad than its condition is.
        let alerts = seen.iter().filter(|t| !t.kind.is_end()).map(|t| &t.alert);
        for alert in alerts.filter(|alert| alert.value.is_finite()) {
            let least = [10.0, 50.0, 80.0].iter().zip([Severity::Info, Severity::Warning, Severity::Critical]);
            let least = least.filter(|(limit, _)| alert.value > **limit).map(|(_, severity)| severity).max();
            prop_assert!(least.is_none_or(|least| alert.severity >= least));
        }
    }
}
