//! Timelines of alerts that mute others, and the index against the meaning of a rule.

use super::*;
use crate::model::{EqualLabel, InhibitRule, InhibitSource};

/// A rule; a label `A>B` must be equal as A of the source and B of the target.
pub(super) fn rule(sources: &[&str], target: &str, equal: &[&str]) -> InhibitRule {
    let matchers = |text: &str| match text {
        "" => Vec::new(),
        text => LabelMatcher::parse_all(text).unwrap(),
    };
    let equal: Vec<EqualLabel> = equal
        .iter()
        .map(|name| match name.split_once('>') {
            Some((source, target)) => EqualLabel { source: source.to_owned(), target: target.to_owned() },
            None => EqualLabel::same(name),
        })
        .collect();
    let source = |text: &&str| InhibitSource { matchers: matchers(text), equal: equal.clone() };
    InhibitRule { name: None, sources: sources.iter().map(source).collect(), target: matchers(target) }
}

fn with(rules: Vec<InhibitRule>) -> Routes {
    let mut routes = grouped();
    routes.inhibit = rules.into();
    routes
}

#[test]
fn a_source_holds_firing_notices_and_never_the_end_of_what_was_told() {
    let routes = with(vec![rule(&["team=b"], "team=a", &[])]);
    check(
        "muted and over: nothing",
        &routes,
        "+b1,+a1 .5 -a1 .20 -b1 .20",
        "3 h first notification [b1]; 25 h resolved [-b1]",
    );
    check(
        "a source that fires in the wait of the target's group mutes it",
        &routes,
        "+a1 .2 +b1 .5",
        "5 h first notification [b1]",
    );
    check(
        "when the source is over, what still fires is told after group_wait",
        &routes,
        "+b1,+a1 .20 -b1 .20",
        "3 h first notification [b1]; 20 h resolved [-b1]; 23 h hold over [*a1]",
    );
    check(
        "what ends within group_wait of its cause is not told",
        &routes,
        "+b1,+a1 .20 -b1 .2 -a1 .20",
        "3 h first notification [b1]; 20 h resolved [-b1]",
    );
    check(
        "told, then muted, then over",
        &routes,
        "+a1 .5 +b1 .5 -a1 .20",
        "3 h first notification [a1]; 8 h first notification [b1]; 13 h resolved [-a1]",
    );
    check(
        "a reminder and a raise wait for the end of the source",
        &routes,
        "+a1 .5 +b1 .5 ^a1 .90 -b1 .9",
        "3 h first notification [a1]; 8 h first notification [b1]; 68 h repeat [*b1]; 100 h resolved [-b1]; \
         103 h raised [^a1]",
    );
    check(
        "the source fires again before the wait is over",
        &routes,
        "+b1,+a1 .20 -b1 .2 +b1 .30 -b1 . -a1 .20",
        "3 h first notification [b1]; 20 h resolved [-b1]; 25 h first notification [b1]; 52 h resolved [-b1]",
    );
}

#[test]
fn all_sources_count_and_the_last_one_that_goes_uncovers() {
    let routes = with(vec![rule(&["team=b"], "team=a", &[])]);
    check(
        "one of two is over: still muted",
        &routes,
        "+b1,+b2,+a1 .20 -b2 .20 -b1 .9",
        "3 h first notification [b1 b2]; 20 h resolved [-b2 *b1]; 40 h resolved [-b1]; 43 h hold over [*a1]",
    );
    let routes = with(vec![rule(&["team=b", "team=c"], "team=a", &[])]);
    check(
        "a rule of two sources needs both",
        &routes,
        "+b1,+a1 .5",
        "3 h first notification [b1]; 3 h first notification [a1]",
    );
    check(
        "and one that goes uncovers",
        &routes,
        "+b1,+c1,+a1 .20 -b1 .9",
        "3 h first notification [b1]; 3 h first notification [c1]; 20 h resolved [-b1]; 23 h hold over [*a1]",
    );
    let chain = with(vec![rule(&["team=c"], "team=b", &[]), rule(&["team=b"], "team=a", &[])]);
    check("what is muted mutes on", &chain, "+c1,+b1,+a1 .20", "3 h first notification [c1]");
    let none = with(Vec::new());
    check("no rule, no muting", &none, "+b1,+a1 .5", "3 h first notification [b1]; 3 h first notification [a1]");
}

#[test]
fn an_alert_on_both_sides_is_muted_by_one_that_is_not() {
    // Critical alerts mute those of team a; a critical one of team a is on both sides.
    let routes = with(vec![rule(&["severity=critical"], "team=a", &[])]);
    check(
        "two that are on both sides do not mute each other, and a plain source beside them does",
        &routes,
        "+a1,^a1 +a2,^a2 .5 +b1,^b1 .5 -a1,-a2 .20 +a1 .5 -b1 .9",
        "3 h first notification [a1 a2]; 8 h first notification [b1]; 13 h resolved [-a1 -a2]; 35 h resolved [-b1]; \
         38 h hold over [*a1]",
    );
    check(
        "a level that rises makes a source, and one that falls takes it away",
        &routes,
        "+b1,+a1 .2 ^b1 .9 vb1 .20",
        "3 h first notification [b1]; 13 h lowered [vb1]; 14 h hold over [*a1]",
    );
}

#[test]
fn other_rules_of_inhibition_hold_from_the_reload_on() {
    let muted = with(vec![rule(&["team=b"], "team=a", &[])]);
    let mut player = Player::new(muted.clone());
    player.play("+b1,+a1 .20");
    player.reload(grouped());
    player.play(".20 -a1 .20");
    assert_eq!(
        shown(&player.sent),
        "3 h first notification [b1]; 20 h hold over [*a1]; 40 h resolved [-a1]",
        "the rule is gone"
    );
    let mut player = Player::new(grouped());
    player.play("+b1,+a1 .2");
    player.reload(muted);
    player.play(".20");
    assert_eq!(shown(&player.sent), "3 h first notification [b1]", "the rule is new");
}

#[test]
fn what_proves_that_alerts_are_told_is_muted_by_nothing_and_mutes_nothing() {
    let mut routes = with(vec![rule(&["severity=~.+"], "severity=~.+", &[]), rule(&["team=c"], "team=a", &[])]);
    routes.receivers.push(Receiver { by_name_only: true, ..handler("proof") });
    routes.terms.insert("c1".into(), RuleTerms { notify: vec!["proof".into()], ..RuleTerms::default() });
    let mut player = Player::new(routes);
    let named = |player: &mut Player, name: &str, kind| {
        let mut transition = Transition::clone(&player.transition(name, kind));
        transition.alert.notify = vec!["proof".into()];
        Arc::new(transition)
    };
    player.play("+b1 .5");
    let proof = named(&mut player, "c1", TransitionKind::Fired);
    player.step(vec![proof]);
    player.play("+a1 .5");
    assert_eq!(
        shown(&player.sent),
        "3 h first notification [b1]; 8 proof first notification [c1]; 8 h first notification [a1]"
    );
}

#[test]
fn what_is_held_and_what_mutes_an_alert_name_the_source() {
    let mut named = rule(&["team=b"], "team=a", &[]);
    named.name = Some("upstream".into());
    let mut player = Player::new(with(vec![named]));
    player.play("+b1,+b2,+a1 .5");
    let now = player.now();
    let alert = |name: &str| {
        let known = player.router.save().alerts.into_values().find(|known| &*known.transition.alert.rule == name);
        known.unwrap().transition.alert.clone()
    };
    let muting = player.router.muting(&alert("a1"), &player.routes, &player.silences, now);
    assert_eq!(muting.inhibited_by, [alert("b1").fingerprint]);
    let words = "inhibited by b1{team=\"b\"} (inhibit rule `upstream`)";
    assert_eq!(muting.words, [(HeldReason::Inhibited, words.to_owned())]);
    assert!(player.router.muting(&alert("b1"), &player.routes, &player.silences, now).is_empty());
    assert!(player.held.contains(&("a1".to_owned(), HeldReason::Inhibited)));
}

fn side() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec!["a", "b", ""]);
    let matcher = (prop::sample::select(vec!["x", "y"]), prop::sample::select(vec!["=", "!="]), value);
    prop::collection::vec(matcher.prop_map(|(name, op, value)| format!("{name}{op}\"{value}\"")), 0..3)
        .prop_map(|all| all.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_index_says_what_a_look_at_all_alerts_would(
        rules in prop::collection::vec(
            (prop::collection::vec(side(), 1..3), side(), prop::sample::subsequence(vec!["x", "y", "x>y"], 0..2)), 1..4),
        changes in prop::collection::vec((0_usize..9, prop::bool::ANY), 1..40),
    ) {
        let rules: Vec<InhibitRule> = rules
            .iter()
            .map(|(sources, target, equal)| rule(&sources.iter().map(String::as_str).collect::<Vec<_>>(), target, equal))
            .collect();
        let mut player = Player::new(with(rules.clone()));
        let labels = |n: usize| {
            let value = |n: usize| ["a", "b", ""][n % 3];
            Labels::from_pairs([("x", value(n)), ("y", value(n / 3))].into_iter().filter(|(_, v)| !v.is_empty()))
        };
        let mut firing: BTreeSet<usize> = BTreeSet::new();
        for (n, fires) in changes {
            let kind = match fires {
                true => TransitionKind::Fired,
                false => TransitionKind::Resolved { reason: ResolveReason::Recovered },
            };
            let mut transition = Transition::clone(&player.transition(&format!("a{n}"), kind));
            transition.alert.labels = labels(n);
            player.step(vec![Arc::new(transition.clone())]);
            if fires { firing.insert(n); } else { firing.remove(&n); }
            for target in 0..9 {
                transition.alert.rule_uid = format!("a{target}").into();
                transition.alert.labels = labels(target);
                transition.alert.fingerprint =
                    Labels::from_pairs([("alertname", &*format!("a{target}")), ("team", "a")]).fingerprint();
                let muting = player.router.muting(&transition.alert, &player.routes, &player.silences, player.now());
                // Each source may have another alert.
                let one = |r: &InhibitRule, s: &InhibitSource| firing.iter().any(|source| {
                    InhibitRule { sources: vec![s.clone()], ..r.clone() }.mutes(&labels(*source), &labels(target))
                });
                let muted = rules.iter().any(|r| r.sources.iter().all(|s| one(r, s)));
                prop_assert_eq!(!muting.inhibited_by.is_empty(), muted && firing.contains(&target));
            }
        }
    }
}
