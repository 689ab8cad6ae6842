//! Timelines of alerts that nobody looks after in time, of those that somebody does, over restarts and reloads.

use super::*;
use crate::model::NoticeReason;
use crate::schedule::rotation::local_time;
use crate::schedule::{FieldRange, IntervalFields, MuteTimes, Override, Rotation, TimeInterval, Turns};

pub(super) fn steps(steps: &[(u64, &[&str])]) -> Arc<[EscalationStep]> {
    let step = |(after, handlers): &(u64, &[&str])| EscalationStep {
        after: secs(*after),
        handlers: handlers.iter().map(|name| Arc::from(*name)).collect(),
    };
    steps.iter().map(step).collect()
}

/// `h` at once, `boss` after twenty seconds, `chief` after forty; reminders after a long time.
fn escalating() -> Routes {
    let mut routes = grouped();
    routes.receivers = ["h", "boss", "chief"].map(handler).to_vec();
    routes.root.handlers = vec!["h".into()];
    routes.root.escalate = steps(&[(20, &["boss"]), (40, &["chief"])]);
    routes.root.repeat_interval = secs(1000);
    routes
}

#[test]
fn who_looks_after_it_in_time_keeps_others_from_being_told() {
    let routes = escalating();
    check(
        "nobody does: each step is told once, counted from the first message",
        &routes,
        "+a1 .80",
        "3 h first notification [a1]; 23 boss escalated [*a1]; 43 chief escalated [*a1]",
    );
    check(
        "acknowledged before the first step, and after it",
        &routes,
        "+a1,+b1 .5 ka1 .20 kb1 .50",
        "3 h first notification [a1]; 3 h first notification [b1]; 23 boss escalated [*b1]",
    );
    check(
        "the acknowledgement is withdrawn: the time begins anew",
        &routes,
        "+a1 .10 ka1 .30 ua1 .30",
        "3 h first notification [a1]; 60 boss escalated [*a1]",
    );
    check(
        "the time of the acknowledgement is over: who was told first is told anew, and the time begins anew",
        &routes,
        "+a1 .10 ka1.30 .80",
        "3 h first notification [a1]; 30 h hold over [*a1]; 50 boss escalated [*a1]; 70 chief escalated [*a1]",
    );
    check(
        "whom a step told hears of it again only by the step where an acknowledgement ended",
        &routes,
        "+a1 .30 ka1.40 .100",
        "3 h first notification [a1]; 23 boss escalated [*a1]; 40 h hold over [*a1]; 60 boss escalated [*a1]; \
         80 chief escalated [*a1]",
    );
    check(
        "it is withdrawn after a step: that one is told again, in its time",
        &routes,
        "+a1 .30 ka1 .10 ua1 .50",
        "3 h first notification [a1]; 23 boss escalated [*a1]; 60 boss escalated [*a1]; 80 chief escalated [*a1]",
    );
    check(
        "one that gets worse ends the acknowledgement: told at once, and the time begins anew",
        &routes,
        "+a1 .10 ka1 .10 ^a1 .30",
        "3 h first notification [a1]; 20 h raised [^a1]; 40 boss escalated [*a1]",
    );
    check(
        "getting worse alone changes no time, and whom a step told hears it at once",
        &routes,
        "+a1 .10 ^a1 .20 va1 .20",
        "3 h first notification [a1]; 10 h raised [^a1]; 23 boss escalated [*a1]; 33 h lowered [va1]; \
         33 boss lowered [va1]; 43 chief escalated [*a1]",
    );
}

#[test]
fn whoever_a_step_told_hears_the_end_and_nobody_else_does() {
    let routes = escalating();
    check("over before its time", &routes, "+a1 .15 -a1 .60", "3 h first notification [a1]; 15 h resolved [-a1]");
    check(
        "over between two steps",
        &routes,
        "+a1 .30 -a1 .60",
        "3 h first notification [a1]; 23 boss escalated [*a1]; 33 h resolved [-a1]; 33 boss resolved [-a1]",
    );
    check(
        "what fires again counts anew",
        &routes,
        "+a1 .15 -a1 .10 +a1 .25",
        "3 h first notification [a1]; 15 h resolved [-a1]; 28 h first notification [a1]; 48 boss escalated [*a1]",
    );
    check(
        "what fires again before its end was told goes on counting, as people see it",
        &routes,
        "+a1 .5 -a1 . +a1 .30",
        "3 h first notification [a1]; 23 boss escalated [*a1]",
    );
    check(
        "an acknowledged one that is over",
        &routes,
        "+a1 .30 ka1 .5 -a1 .20",
        "3 h first notification [a1]; 23 boss escalated [*a1]; 35 h resolved [-a1]; 35 boss resolved [-a1]",
    );
}

#[test]
fn what_is_quiet_does_not_escalate_and_its_time_runs_from_when_it_is_first_loud() {
    let mut routes = escalating();
    check(
        "silenced from the beginning: the time begins when that ends",
        &routes,
        "s +a1 .30 e .30",
        "30 h hold over [*a1]; 50 boss escalated [*a1]",
    );
    check(
        "silenced later: the time runs, and the step is told when the silence ends",
        &routes,
        "+a1 .10 s .60 e .5",
        "3 h first notification [a1]; 70 boss escalated [*a1]; 70 chief escalated [*a1]",
    );
    check("silenced, then over", &routes, "+a1 .10 s .60 -a1 .5", "3 h first notification [a1]; 70 h resolved [-a1]");
    check(
        "a handler that wants to hear no warnings keeps nobody from being told",
        &Routes {
            receivers: vec![Receiver { min_severity: Severity::Critical, ..handler("h") }, handler("boss")],
            ..escalating()
        },
        "+a1 .30",
        "23 boss escalated [*a1]",
    );
    routes.terms.insert("a1".into(), RuleTerms { cooldown: secs(40), ..RuleTerms::default() });
    check(
        "a cooldown that holds the first message holds the step as well",
        &routes,
        "+a1 .5 -a1 .10 +a1 .70",
        "3 h first notification [a1]; 13 h resolved [-a1]; 43 h hold over [*a1]; 63 boss escalated [*a1]; \
         83 chief escalated [*a1]",
    );
}

#[test]
fn rules_overrule_their_routes() {
    let mut routes = escalating();
    let rule = |escalate: &[(u64, &[&str])]| RuleTerms { escalate: Some(steps(escalate)), ..RuleTerms::default() };
    routes.terms.insert("a1".into(), rule(&[(5, &["chief"])]));
    routes.terms.insert("a2".into(), rule(&[]));
    check(
        "each alert of a group by its own rule",
        &routes,
        "+a1,+a2,+a3 .30",
        "3 h first notification [a1 a2 a3]; 8 chief escalated [*a1]; 23 boss escalated [*a3]",
    );
    let named = RuleTerms { notify: vec!["boss".into()], ..rule(&[(5, &["h", "boss"])]) };
    routes.terms.insert("a1".into(), named);
    routes.terms.insert("a2".into(), RuleTerms { notify: vec!["boss".into()], ..RuleTerms::default() });
    check(
        "a rule that names its handlers has its own steps alone",
        &routes,
        "+a1 .60 +a2 .60",
        "3 boss first notification [a1]; 8 h escalated [*a1]; 60 boss new alerts [a2 *a1]",
    );
}

#[test]
fn a_handler_of_several_routes_is_told_by_whichever_comes_first() {
    let mut routes = escalating();
    below(&mut routes.root, "team=a", &["h"], true);
    below(&mut routes.root, "severity=warning", &["boss"], true);
    routes.root.routes[1].escalate = steps(&[(5, &["h", "chief"])]);
    check(
        "one route tells at once, the other as a step",
        &routes,
        "+a1 .30",
        "3 h first notification [a1]; 3 boss first notification [a1]; 8 chief escalated [*a1]",
    );
}

/// A route tells `h` and then `boss`, quiet in this minute of the day or always; a second one `chief` and then `boss`.
fn twice(minute: Option<i32>, first: u64, second: u64) -> Routes {
    let mut routes = escalating();
    let times = minute.map(|minute| vec![FieldRange { begin: minute, end: minute + 1 }]);
    let quiet = TimeInterval::new("quiet", &[IntervalFields { times, ..IntervalFields::default() }]);
    below(&mut routes.root, "team=a", &["h"], true);
    below(&mut routes.root, "severity=warning", &["chief"], true);
    routes.root.routes[0].times = MuteTimes { mute: vec![Arc::new(quiet)], active: Vec::new() };
    routes.root.routes[0].escalate = steps(&[(first, &["boss"])]);
    routes.root.routes[1].escalate = steps(&[(second, &["boss"])]);
    routes
}

#[test]
fn a_step_whose_time_cannot_begin_keeps_no_other_from_telling() {
    let mut routes = twice(None, 5, 10);
    check("quiet at all times", &routes, "+a1 .60", "3 chief first notification [a1]; 13 boss escalated [*a1]");
    routes.root.routes[1].handlers = vec!["h".into()];
    check("the other route adds the step alone", &routes, "+a1 .60", "13 boss escalated [*a1]");
    routes = twice(Some(20), 20, 10);
    routes.root.routes[1].handlers = vec!["h".into()];
    let want = "3 h first notification [a1]; 13 boss escalated [*a1]";
    check("of the same handlers, the sooner one last", &routes, "+a1 .60", want);
    check(
        "its time begins in time to be first",
        &twice(Some(0), 5, 100),
        "+a1 .120",
        "3 chief first notification [a1]; 60 h hold over [*a1]; 65 boss escalated [*a1]",
    );
    check(
        "its time begins when the other one has told: nothing is told twice",
        &twice(Some(0), 5, 10),
        "+a1 .80 -a1 .20",
        "3 chief first notification [a1]; 13 boss escalated [*a1]; 60 h hold over [*a1]; 80 h resolved [-a1]; \
         80 boss resolved [-a1]; 80 chief resolved [-a1]",
    );
    check(
        "both are quiet, the other one for a shorter time",
        &{
            let mut routes = twice(None, 5, 10);
            routes.root.routes[1].times = twice(Some(0), 5, 10).root.routes[0].times.clone();
            routes.root.routes[1].handlers = vec!["h".into()];
            routes
        },
        "+a1 .90",
        "70 boss escalated [*a1]",
    );
    let mut routes = twice(Some(1), 10, 5);
    routes.root.routes[1].times = twice(Some(0), 10, 5).root.routes[0].times.clone();
    check(
        "whom it told is told anew by the other one",
        &routes,
        "+a1 .30 ka1 .40 ua1 .30",
        "3 h first notification [a1]; 13 boss escalated [*a1]; 70 chief hold over [*a1]; 75 boss escalated [*a1]",
    );
}

#[test]
fn a_reload_leaves_a_step_that_has_not_begun_beside_one_that_has() {
    let mut player = Player::new(twice(None, 5, 30));
    player.play("+a1 .10");
    let mut next = twice(None, 5, 30);
    let quiet = next.root.routes[0].clone();
    next.root.routes[0].group_by = GroupBy::Labels(Vec::new());
    next.root.routes.insert(1, Route { path: format!("{}2", quiet.path).into(), ..quiet });
    player.reload(next);
    player.play(".60");
    assert_eq!(shown(&player.sent), "3 chief first notification [a1]; 33 boss escalated [*a1]");
}

#[test]
fn a_reload_moves_steps_and_takes_them_away() {
    let mut without = escalating();
    without.root.escalate = steps(&[]);
    let mut sooner = escalating();
    sooner.root.escalate = steps(&[(10, &["boss"])]);
    for (case, next, words, want) in [
        ("taken away before it was told", &without, "+a1 .10", "3 h first notification [a1]; 50 h resolved [-a1]"),
        (
            "taken away after it was told: the end is heard",
            &without,
            "+a1 .30",
            "3 h first notification [a1]; 23 boss escalated [*a1]; 70 h resolved [-a1]; 70 boss resolved [-a1]",
        ),
        (
            "sooner: the time goes on from when it began",
            &sooner,
            "+a1 .8",
            "3 h first notification [a1]; 13 boss escalated [*a1]; 48 h resolved [-a1]; 48 boss resolved [-a1]",
        ),
    ] {
        let mut player = Player::new(escalating());
        player.play(words);
        player.reload(next.clone());
        player.play(".40 -a1 .20");
        assert_eq!(shown(&player.sent), want, "{case}");
        assert!(player.router.save().groups.is_empty(), "{case}");
    }
}

/// `alice` from the twentieth second of the day on, `bob` before; `carol` in seconds of her own.
pub(super) fn duty(name: &str, [alice, bob, carol]: [&str; 3], carols: &[(i64, i64)]) -> Arc<[Rotation]> {
    let turns = Turns { starts: local_time("1970-01-01T00:00:20").unwrap(), days: 1, zone: chrono_tz::UTC };
    let instead = |(from, until): &(i64, i64)| {
        let (from, until) = (Timestamp(from * 1000), Timestamp(until * 1000));
        Override { from, until, handler: carol.into() }
    };
    let overrides = carols.iter().map(instead).collect();
    [Rotation { name: name.into(), handlers: vec![alice.into(), bob.into()], turns, overrides }].into()
}

#[test]
fn whoever_is_on_duty_is_told_and_a_handover_tells_the_next() {
    let names = ["alice", "bob", "carol"];
    let mut routes = grouped();
    routes.receivers = names.map(handler).to_vec();
    routes.rotations = duty("oncall", names, &[(60, 100)]);
    routes.root.handlers = vec!["oncall".into()];
    routes.root.repeat_interval = secs(30);
    let router = Player::new(routes.clone());
    assert_eq!(router.router.next_ms(), None);
    check(
        "at the handover what fires is told to the next, who alone is reminded; both hear the end",
        &routes,
        "+a1 .55 -a1 .20",
        "3 bob first notification [a1]; 20 alice first notification [a1]; 50 alice repeat [*a1]; \
         60 alice resolved [-a1]; 60 bob resolved [-a1]",
    );
    check(
        "an override, and back: whoever knows it is not told again",
        &routes,
        "+a1 .120 -a1 .20",
        "3 bob first notification [a1]; 20 alice first notification [a1]; 50 alice repeat [*a1]; \
         60 carol first notification [a1]; 90 carol repeat [*a1]; 100 alice repeat [*a1]; 120 alice resolved [-a1]; \
         120 bob resolved [-a1]; 120 carol resolved [-a1]",
    );
    check(
        "what somebody looks after is handed over when that ends",
        &routes,
        "+a1 .10 ka1 .25 ua1 .5 -a1 .10",
        "3 bob first notification [a1]; 35 alice hold over [*a1]; 45 alice resolved [-a1]; 45 bob resolved [-a1]",
    );
    check("what begins later is told to the next alone", &routes, ".30 +a1 .5", "33 alice first notification [a1]");
    routes.terms.insert("a1".into(), RuleTerms { notify: vec!["oncall".into()], ..RuleTerms::default() });
    check("a rule names it", &routes, ".30 +a1 .5", "33 alice first notification [a1]");
}

#[test]
fn a_step_tells_whoever_is_on_duty_when_its_time_has_come_and_then_the_next() {
    let names = ["alice", "bob", "carol"];
    let mut routes = escalating();
    routes.receivers.extend(names.map(handler));
    routes.rotations = duty("oncall", names, &[(60, 100)]);
    routes.root.escalate = steps(&[(10, &["oncall"])]);
    check(
        "before and after the handover",
        &routes,
        "+a1 .30 -a1 .20",
        "3 h first notification [a1]; 13 bob escalated [*a1]; 20 alice escalated [*a1]; 30 h resolved [-a1]; \
         30 alice resolved [-a1]; 30 bob resolved [-a1]",
    );
    check(
        "the handover comes first: the time goes on",
        &routes,
        ".12 +a1 .20",
        "15 h first notification [a1]; 25 alice escalated [*a1]",
    );
    check(
        "acknowledged after the step: the next one is not told",
        &routes,
        "+a1 .15 ka1 .30 -a1 .20",
        "3 h first notification [a1]; 13 bob escalated [*a1]; 45 h resolved [-a1]; 45 bob resolved [-a1]",
    );
}

#[test]
fn a_handover_finds_the_time_of_a_step_whose_handler_was_told_without_it() {
    let mut routes = escalating();
    routes.receivers.extend(["alice", "bob", "carol"].map(handler));
    routes.rotations = duty("oncall", ["alice", "bob", "carol"], &[]);
    routes.root.handlers = vec!["bob".into()];
    routes.root.escalate = steps(&[(5, &["oncall"])]);
    for words in ["+a1 .40", "+a1 .10 R .30"] {
        let want = "3 bob first notification [a1]; 20 alice escalated [*a1]";
        check("at once: the next one is told at the handover", &routes, words, want);
    }
    routes.root.escalate = steps(&[(40, &["oncall"])]);
    let want = "3 bob first notification [a1]; 43 alice escalated [*a1]";
    check("at once, and the time has not come by the handover", &routes, "+a1 .60", want);
    routes.root.handlers = vec!["h".into()];
    for (case, both) in [
        ("by the step before", steps(&[(5, &["bob"]), (8, &["oncall"])])),
        ("by the step after, which tells nobody twice", steps(&[(5, &["oncall"]), (8, &["bob"])])),
    ] {
        routes.root.escalate = both;
        let want = "3 h first notification [a1]; 8 bob escalated [*a1]; 20 alice escalated [*a1]";
        check(case, &routes, "+a1 .60", want);
    }
}

#[test]
fn a_handover_to_somebody_who_wants_to_hear_of_it_plans_the_step() {
    let mut routes = escalating();
    let bob = Receiver { min_severity: Severity::Critical, ..handler("bob") };
    routes.receivers.extend([handler("alice"), bob, handler("carol")]);
    routes.rotations = duty("oncall", ["alice", "bob", "carol"], &[]);
    routes.root.escalate = steps(&[(20, &["oncall"])]);
    for interval in [10, 100] {
        routes.root.group_interval = secs(interval);
        let want = "8 h first notification [a1]; 28 alice escalated [*a1]";
        check("its time comes after the handover", &routes, ".5 +a1 .60", want);
    }
}

#[test]
fn while_files_cannot_be_read_the_steps_of_their_rules_stay() {
    let mut routes = escalating();
    routes.receivers.extend(["alice", "bob", "carol"].map(handler));
    routes.rotations = duty("oncall", ["alice", "bob", "carol"], &[]);
    let own = RuleTerms { escalate: Some(steps(&[(25, &["carol"])])), ..RuleTerms::default() };
    let stand_in = Routes { stand_in: true, ..routes.clone() };
    routes.terms.insert("a1".into(), own);
    let mut player = Player::new(routes.clone());
    player.play("+a1 .5");
    player.restart();
    player.reload(stand_in);
    // Over a handover.
    player.play(".20");
    player.reload(routes);
    player.play(".40");
    assert_eq!(shown(&player.sent), "3 h first notification [a1]; 28 carol escalated [*a1]");
}

#[test]
fn the_router_wakes_for_handovers() {
    let mut player = Player::new(Routes { rotations: duty("oncall", ["h", "b", "c"], &[]), ..grouped() });
    player.play(".");
    assert_eq!(player.router.next_ms(), Some(20_000));
    player.play(".25");
    assert_eq!(player.router.next_ms(), Some(86_420_000));
    player.router.clock_set(&player.routes.clone(), player.now());
    assert_eq!(player.router.next_ms(), Some(player.now_ms), "the clock was set: it looks again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_step_is_told_of_what_others_knew_for_its_time_and_nobody_looks_after(words in words()) {
        let mut player = Player::new(many());
        // Who believes that an alert fires, and since when somebody does.
        let mut known: BTreeMap<String, (i64, BTreeSet<String>)> = BTreeMap::new();
        for word in lives(&words) {
            let before = player.sent.len();
            player.word(&word);
            for notice in &player.sent[before..] {
                for t in &notice.transitions {
                    let rule = t.alert.rule.to_string();
                    if notice.reason == NoticeReason::Escalated && notice.held_over.contains(&t.alert.fingerprint) {
                        let since = known.get(&rule).map(|(at, _)| *at);
                        prop_assert!(since.is_some_and(|at| notice.at.0 - at >= 4000), "{}", shown(&player.sent));
                        let acked = player.router.ack_of(&AlertKey::of(&t.alert), player.now().slot);
                        prop_assert!(acked.is_none(), "{}", shown(&player.sent));
                    }
                    let (_, believers) = known.entry(rule.clone()).or_insert_with(|| (notice.at.0, BTreeSet::new()));
                    if t.kind.is_end() {
                        believers.remove(&*notice.handler);
                    } else {
                        believers.insert(notice.handler.to_string());
                    }
                    if believers.is_empty() {
                        known.remove(&rule);
                    }
                }
            }
        }
    }
}
