//! Timelines: one value a minute goes in, transitions come out.
//!
//! Input words: a number is a value, `_` no data (silent), `x` the series ended, `!` a failed evaluation, `~` an answer
//! that is not complete and lacks the series, `>30m` lets half an hour pass unwatched before the next word.
//! Expected: `MINUTE KIND`, with `:told`, or `:` and the reason why not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Advance, Externals, RuleState};
use crate::eval::{EvalFailure, LevelBits, Outcome, Signal};
use crate::model::{AbsenceReason, Labels, Now, Severity, Timestamp, Transition, TransitionKind};
use crate::promql::{ParseOptions, parse};
use crate::route::{Receiver, Router, Routes, RuleTerms, Silences};
use crate::rule::{Condition, Level, OnMissing, Query, Rule, Threshold};
use crate::schedule::{MuteTimes, Schedule};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn minutes(n: u64) -> Duration {
    MINUTE * u32::try_from(n).expect("small")
}

fn query(text: &str) -> Query {
    let expr = parse(text, &ParseOptions::default()).expect("query parses");
    Query::new(Arc::from(text), &expr)
}

pub(super) fn level(severity: Severity, threshold: Threshold, recover: Option<Threshold>) -> Level {
    Level { severity, threshold, recover }
}

pub(super) fn above(limit: f64) -> Rule {
    of_levels(vec![level(Severity::Warning, Threshold::Above(limit), None)])
}

fn rule(condition: Condition) -> Rule {
    Rule {
        uid: Arc::from("r"),
        renamed_from: None,
        also_known_as: None,
        name: Arc::from("r"),
        group: None,
        internal: false,
        origin: crate::model::Origin { file: Arc::from("rules.yaml"), line: 1 },
        description: None,
        severity: Severity::Warning,
        severity_label: true,
        enabled: true,
        source: None,
        schedule: Schedule::Every(MINUTE),
        condition,
        hold: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        cooldown: Duration::ZERO,
        flapping: None,
        notify: Vec::new(),
        escalate: None,
        labels: Vec::new(),
        annotations: Vec::new(),
        on_no_data: None,
        no_data_timeout: minutes(60),
        on_error: OnMissing::Keep,
        alerts_max: 500,
        times: MuteTimes::default(),
        tests: Vec::new(),
    }
}

/// Plays words against a rule and a handler that is told everything at once; gives the transitions.
pub(super) struct Player {
    pub(super) rule: Rule,
    state: RuleState,
    router: Router,
    now: Now,
}

/// A transition, and whether the handler was told, or why not.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    transition: Transition,
    verdict: String,
}

impl std::ops::Deref for Seen {
    type Target = Transition;

    fn deref(&self) -> &Transition {
        &self.transition
    }
}

/// What the handler was told of these transitions, and what besides.
fn tell(router: &mut Router, rule: &Rule, now: Now, transitions: Vec<Transition>) -> Vec<Seen> {
    let terms = RuleTerms { cooldown: rule.cooldown, ..RuleTerms::default() };
    let receiver = Receiver::new("h");
    let terms = [(rule.uid.clone(), terms)].into();
    let routes = Routes { receivers: vec![receiver], terms, ..Routes::default() };
    let happened = transitions.iter().cloned().map(Arc::new);
    let done = router.step(happened, &routes, &Silences::default(), now);
    let told: Vec<&Arc<Transition>> = done.notices.iter().flat_map(|n| &n.transitions).collect();
    let same = |a: &Transition, b: &Transition| a.sequence == b.sequence && a.alert.fingerprint == b.alert.fingerprint;
    let verdict = |t: &Transition| match done.held.iter().find(|h| same(&h.transition, t)) {
        Some(held) => held.reason.as_str().replace(' ', "-"),
        None if told.iter().any(|n| same(n, t)) => "told".to_owned(),
        None => "lost".to_owned(),
    };
    let again = told.iter().filter(|n| !transitions.iter().any(|t| same(n, t)));
    let again =
        again.map(|n| Seen { transition: Transition { at: now.slot, ..Transition::clone(n) }, verdict: "told".into() });
    let again: Vec<Seen> = again.collect();
    let mut seen: Vec<Seen> = transitions.iter().map(|t| Seen { transition: t.clone(), verdict: verdict(t) }).collect();
    seen.extend(again);
    seen
}

impl Player {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, state: RuleState::default(), router: Router::default(), now: Now::simulated(Timestamp(0)) }
    }

    fn step(&mut self, outcome: &Outcome, absence: AbsenceReason) -> Vec<Seen> {
        let externals = Externals::default();
        let advance = Advance {
            rule: &self.rule,
            now: self.now,
            externals: &externals,
            query: &|_| Ok(Vec::new()),
            absence: &|_| absence,
            not_seen_yet: &|_| false,
        };
        let transitions = advance.run(&mut self.state, outcome).transitions;
        let transitions = transitions.into_iter().map(|moved| moved.transition).collect();
        tell(&mut self.router, &self.rule, self.now, transitions)
    }

    fn tick(&mut self) {
        self.now.slot = self.now.slot.plus(MINUTE);
        self.now.watched_ms += 60_000;
        self.now.elapsed_ms += 60_000;
    }

    pub(super) fn play(&mut self, words: &str) -> Vec<Seen> {
        let mut all = Vec::new();
        for word in words.split_whitespace() {
            if let Some(gap) = word.strip_prefix('>') {
                let gap_ms = crate::model::time::millis(crate::model::parse_duration(gap).expect("a duration"));
                self.now.slot.0 += gap_ms;
                self.now.elapsed_ms += gap_ms;
                continue;
            }
            let (outcome, absence) = self.outcome(word);
            all.extend(self.step(&outcome, absence));
            self.tick();
        }
        all
    }

    fn outcome(&self, word: &str) -> (Outcome, AbsenceReason) {
        let signals =
            |signals, complete| Outcome::Signals { signals, recovered: None, histograms: BTreeMap::new(), complete };
        match word {
            "_" => (signals(vec![], true), AbsenceReason::NoData),
            "x" => (signals(vec![], true), AbsenceReason::SeriesEnded),
            "~" => (signals(vec![], false), AbsenceReason::NoData),
            "!" => (Outcome::Error(EvalFailure { message: "store is down".to_owned() }), AbsenceReason::NoData),
            value => {
                let value: f64 = value.parse().expect("a number");
                (signals(vec![self.signal(Labels::from_pairs([("host", "a")]), value)], true), AbsenceReason::NoData)
            }
        }
    }

    fn signal(&self, labels: Labels, value: f64) -> Signal {
        let (mut reached, mut kept): (LevelBits, LevelBits) = (0, 0);
        if let Condition::Threshold { levels, .. } = &self.rule.condition {
            for (i, level) in levels.iter().enumerate() {
                let holds = level.threshold.holds(value);
                reached |= LevelBits::from(holds) << i;
                kept |= LevelBits::from(level.recover.map_or(holds, |r| !r.holds(value))) << i;
            }
        }
        Signal { labels, value, reached, kept }
    }
}

fn words(transitions: &[Seen]) -> String {
    let one = |t: &Seen| {
        let detail = match t.kind {
            TransitionKind::Resolved { reason } => format!("resolved({})", reason.as_str()),
            TransitionKind::Raised { from } => format!("raised({from}→{})", t.alert.severity),
            TransitionKind::Lowered { from } => format!("lowered({from}→{})", t.alert.severity),
            other => other.as_str().to_owned(),
        };
        format!("{} {detail}:{}", t.at.0 / 60_000, t.verdict)
    };
    transitions.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub(super) fn check(case: &str, rule: Rule, input: &str, want: &str) {
    let got = words(&Player::new(rule.clone()).play(input));
    let got = got.replace(":not-notable", "");
    assert_eq!(got, want, "{case}: {input}");
    // Restored equals never stopped: cut the play at every word.
    let all: Vec<&str> = input.split_whitespace().collect();
    for cut in 0..all.len() {
        let mut first = Player::new(rule.clone());
        let mut transitions = first.play(&all[..cut].join(" "));
        let saved = serde_json::to_string(&first.state).expect("state is serialisable");
        let state = serde_json::from_str(&saved).expect("state reads back");
        let saved = serde_json::to_string(&first.router.save()).expect("routing is serialisable");
        let router = Router::restore(serde_json::from_str(&saved).expect("routing reads back"));
        let mut second = Player { rule: rule.clone(), state, router, now: first.now };
        transitions.extend(second.play(&all[cut..].join(" ")));
        assert_eq!(words(&transitions).replace(":not-notable", ""), want, "{case}: cut at {cut}");
    }
}

#[test]
fn for_and_keep_firing_for_count_as_in_prometheus() {
    check("without for it fires at once", above(5.0), "1 9 9 1", "1 fired:told; 3 resolved(recovered):told");
    let held = || Rule { hold: minutes(2), ..above(5.0) };
    check(
        "for: 2m fires at the third evaluation in a row",
        held(),
        "9 9 9 1",
        "0 pending; 2 fired:told; 3 resolved(recovered):told",
    );
    check(
        "a gap in the condition starts anew",
        held(),
        "9 9 1 9 9 9",
        "0 pending; 2 cancelled; 3 pending; 5 fired:told",
    );
    let kept = || Rule { keep_firing_for: minutes(2), ..above(5.0) };
    check("keep_firing_for counts from the first miss", kept(), "9 1 1 1", "0 fired:told; 3 resolved(recovered):told");
    check("a return clears keep_firing_for", kept(), "9 1 9 1 1 1", "0 fired:told; 5 resolved(recovered):told");
    check("NaN is no value above a threshold", above(5.0), "NaN 9 NaN", "1 fired:told; 2 resolved(recovered):told");
}

#[test]
fn hysteresis_holds_a_firing_alert_until_it_recovers() {
    let levels = vec![level(Severity::Error, Threshold::Above(80.0), Some(Threshold::Below(60.0)))];
    let recovering = rule(Condition::Threshold { signal: query("m"), levels });
    check(
        "between the two limits nothing changes",
        recovering.clone(),
        "70 81 70 61 60 59 70",
        "1 fired:told; 5 resolved(recovered):told",
    );
    check(
        "the band does not hold a pending alert",
        Rule { hold: minutes(2), ..recovering.clone() },
        "81 70 81",
        "0 pending; 1 cancelled; 2 pending",
    );
    check(
        "missing data is not recovery",
        recovering,
        "81 _ _ 70 59",
        "0 fired:told; 1 no_data; 3 data_back; 4 resolved(recovered):told",
    );
}

pub(super) fn of_levels(levels: Vec<Level>) -> Rule {
    rule(Condition::Threshold { signal: query("m"), levels })
}

pub(super) fn two_levels() -> Rule {
    of_levels(vec![
        level(Severity::Warning, Threshold::Above(80.0), None),
        level(Severity::Critical, Threshold::Above(95.0), Some(Threshold::Below(90.0))),
    ])
}

#[test]
fn levels_move_one_alert_up_and_down() {
    check(
        "raised and lowered in place, each level with its own hysteresis",
        two_levels(),
        "50 85 96 92 89 85 50",
        "1 fired:told; 2 raised(warning→critical):told; 4 lowered(critical→warning):told; 6 resolved(recovered):told",
    );
    check(
        "for is not counted again when the level rises",
        Rule { hold: minutes(1), ..two_levels() },
        "85 96 96 50",
        "0 pending; 1 fired:told; 3 resolved(recovered):told",
    );
    let mut player = Player::new(two_levels());
    let told = player.play("85 96");
    assert_eq!(told[0].alert.fingerprint, told[1].alert.fingerprint, "one identity at every level");
    assert_eq!(told[1].alert.labels.get("severity"), Some("critical"));
}

#[test]
fn a_cooldown_holds_the_next_firing_notice_and_drops_nothing() {
    let cooled = || Rule { cooldown: minutes(5), ..above(5.0) };
    check(
        "an episode that ends inside the cooldown is recorded and not told",
        cooled(),
        "9 1 9 1 1 1 9",
        "0 fired:told; 1 resolved(recovered):told; 2 fired:cooldown; 3 resolved(recovered):firing-was-never-told; 6 fired:told",
    );
    check(
        "one that still fires at its end is told then, and its resolve too",
        cooled(),
        "9 1 9 9 9 9 9 1",
        "0 fired:told; 1 resolved(recovered):told; 2 fired:cooldown; 5 still_firing:told; 7 resolved(recovered):told",
    );
    check(
        "worse than what was told is told at once",
        Rule { cooldown: minutes(9), ..two_levels() },
        "85 50 85 96 50",
        "0 fired:told; 1 resolved(recovered):told; 2 fired:cooldown; 3 raised(warning→critical):told; \
         4 resolved(recovered):told",
    );
    check(
        "the cooldown outlives the fifteen minutes that a resolved alert is kept",
        Rule { cooldown: minutes(30), ..above(5.0) },
        "9 1 >20m 9",
        "0 fired:told; 1 resolved(recovered):told; 22 fired:cooldown",
    );
}

#[test]
fn missing_data_is_neither_recovery_nor_failure() {
    check(
        "silence holds a firing alert, for an hour",
        above(5.0),
        "9 _ >58m _ _ _",
        "0 fired:told; 1 no_data; 61 resolved(no data):told",
    );
    check("a series that ended resolves at once", above(5.0), "9 x", "0 fired:told; 1 resolved(series ended):told");
    check(
        "a pending alert waits without data, and that time does not count",
        Rule { hold: minutes(2), ..above(5.0) },
        "9 _ _ _ 9 9 9",
        "0 pending; 1 no_data; 4 data_back; 5 fired:told",
    );
    let plain = rule(Condition::PromQl { query: query("m > 5"), signal: None, recover: None });
    let mut player = Player::new(plain);
    let holds = Outcome::Signals {
        signals: vec![Signal { labels: Labels::empty(), value: 9.0, reached: 1, kept: 1 }],
        recovered: None,
        histograms: BTreeMap::new(),
        complete: true,
    };
    let nothing = Outcome::Signals { signals: vec![], recovered: None, histograms: BTreeMap::new(), complete: true };
    let mut all = player.step(&holds, AbsenceReason::NoData);
    player.tick();
    all.extend(player.step(&nothing, AbsenceReason::NoData));
    assert_eq!(words(&all), "0 fired:told; 1 resolved(recovered):told", "plain PromQL resolves as in Prometheus");
    let fire = || Rule { on_no_data: Some(OnMissing::Fire), ..above(5.0) };
    check(
        "on_no_data: fire notices a series that falls silent",
        fire(),
        "1 _ _ 1",
        "1 fired:told; 3 resolved(recovered):told",
    );
    check("and a rule that never had any", fire(), "_ 1", "0 fired:told; 1 resolved(recovered):told");
    check("but not a series that ended", fire(), "1 x", "");
    let resolve = Rule { on_no_data: Some(OnMissing::Resolve), ..above(5.0) };
    check("on_no_data: resolve", resolve, "9 _", "0 fired:told; 1 resolved(no data):told");
}

#[test]
fn an_error_never_resolves() {
    check("by default it holds everything", above(5.0), "9 ! ! 9 ! 1", "0 fired:told; 5 resolved(recovered):told");
    let fire = Rule { on_error: OnMissing::Fire, ..above(5.0) };
    check(
        "on_error: fire raises an alert about the rule, which ends with the errors",
        fire,
        "9 ! ! 9",
        "0 fired:told; 1 fired:told; 3 resolved(recovered):told",
    );
    let resolve = Rule { on_error: OnMissing::Resolve, ..above(5.0) };
    check("on_error: resolve", resolve, "9 !", "0 fired:told; 1 resolved(evaluation error):told");
    check("an incomplete answer does not resolve", above(5.0), "9 ~ ~ 1", "0 fired:told; 3 resolved(recovered):told");
}

#[test]
fn time_that_nobody_watched_does_not_count_toward_for() {
    check(
        "half an hour of downtime",
        Rule { hold: minutes(3), ..above(5.0) },
        "9 9 >30m 9 9",
        "0 pending; 33 fired:told",
    );
}

#[test]
fn more_alerts_than_the_limit_keep_the_first_and_tell_the_count() {
    let mut player = Player::new(Rule { alerts_max: 2, ..above(5.0) });
    let hosts = |player: &Player, n: usize| {
        let signal = |i| player.signal(Labels::from_pairs([("host", format!("h{i}"))]), 9.0);
        Outcome::Signals {
            signals: (0..n).map(signal).collect(),
            recovered: None,
            histograms: BTreeMap::new(),
            complete: true,
        }
    };
    let first = player.step(&hosts(&player, 2), AbsenceReason::NoData);
    assert_eq!(words(&first), "0 fired:told; 0 fired:told");
    player.tick();
    let storm = player.step(&hosts(&player, 10), AbsenceReason::NoData);
    assert_eq!(words(&storm), "1 fired:told", "nobody is resolved, one summary");
    assert_eq!(storm[0].alert.annotations.get("summary"), Some("10 alerts, 2 of them kept (max_alerts: 2)"));
    assert_eq!(player.state.over_limit, 8);
    player.tick();
    let calm = player.step(&hosts(&player, 2), AbsenceReason::NoData);
    assert_eq!(words(&calm), "2 resolved(recovered):told", "the summary ends");
}

#[test]
fn the_summary_takes_no_place_of_an_alert() {
    let mut player = Player::new(Rule { alerts_max: 2, ..above(5.0) });
    let hosts = |player: &Player, values: [f64; 4]| {
        let signal = |(i, v): (usize, f64)| player.signal(Labels::from_pairs([("host", format!("h{i}"))]), v);
        Outcome::Signals {
            signals: values.into_iter().enumerate().map(signal).collect(),
            recovered: None,
            histograms: BTreeMap::new(),
            complete: true,
        }
    };
    player.step(&hosts(&player, [9.0, 9.0, 9.0, 9.0]), AbsenceReason::NoData);
    player.tick();
    // One of the kept ones ends: the next in line takes its place, and the count is right.
    let next = player.step(&hosts(&player, [1.0, 9.0, 9.0, 1.0]), AbsenceReason::NoData);
    assert_eq!(words(&next), "1 resolved(recovered):told; 1 fired:told; 1 resolved(recovered):told");
    assert_eq!(player.state.over_limit, 0);
}

#[test]
fn two_series_that_the_rules_labels_make_one_are_an_error() {
    let mut relabelled = above(5.0);
    relabelled.labels =
        vec![(Arc::from("host"), crate::template::Template::parse("all").expect("a constant template"))];
    let mut player = Player::new(relabelled);
    let signals = vec![
        player.signal(Labels::from_pairs([("host", "a")]), 9.0),
        player.signal(Labels::from_pairs([("host", "b")]), 9.0),
    ];
    let outcome = Outcome::Signals { signals, recovered: None, histograms: BTreeMap::new(), complete: true };
    assert_eq!(player.step(&outcome, AbsenceReason::NoData), vec![]);
    let super::Health::Err { message, .. } = &player.state.health else { panic!("an error is expected") };
    assert!(message.contains("same labels"), "{message}");
}

#[test]
fn a_removed_rule_takes_back_what_it_told() {
    let mut player = Player::new(above(5.0));
    player.play("9");
    let externals = Externals::default();
    let advance = Advance {
        rule: &player.rule,
        now: player.now,
        externals: &externals,
        query: &|_| Ok(Vec::new()),
        absence: &|_| AbsenceReason::NoData,
        not_seen_yet: &|_| false,
    };
    let removed = advance.remove(&mut player.state);
    let transitions = tell(&mut player.router, &player.rule, player.now, removed);
    assert_eq!(words(&transitions), "1 resolved(rule removed):told");
}

#[test]
fn a_resolve_carries_value_peak_and_duration() {
    let mut player = Player::new(above(5.0));
    let transitions = player.play("9 12 7 3");
    let resolved = &transitions[1].alert;
    assert_eq!((resolved.value, resolved.peak), (3.0, 12.0));
    assert_eq!(resolved.duration(transitions[1].at), minutes(3));
}
