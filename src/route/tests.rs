//! Timelines of groups, one second a word, and what must hold for every life of an alert.
//!
//! A word is `+NAME` (fires), `-NAME` (resolves), `^NAME` (raised to critical), `vNAME` (lowered to warning), `~NAME` (fires and
//! flaps), several
//! joined by `,`; `.` lets a second pass, `.30` thirty; `s` silences everything with `team="a"` from here, `e` ends it;
//! `R` saves and restores; `kNAME` has somebody look after an alert, `kNAME.SECOND` until then, `uNAME` no longer. Expected: `SECOND HANDLER REASON [NAMES]`, a name with `-` where it resolved, `^` raised,
//! `v` lowered, `*` told again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Ack, Alert, AlertState, EscalationStep, Flapping, HeldReason, LabelMatcher, Notice, NoticeKind, Now, Origin,
    ResolveReason, Severity, Timestamp, Transition, TransitionKind,
};

#[path = "escalate_tests.rs"]
mod escalate;
#[path = "flap_tests.rs"]
mod flap;
#[path = "inhibit_tests.rs"]
mod inhibit;
#[path = "mute_tests.rs"]
mod mute;
#[path = "tree_tests.rs"]
mod tree;

struct Player {
    router: Router,
    routes: Routes,
    silences: Silences,
    now_ms: i64,
    sequence: u64,
    fired_at: BTreeMap<String, i64>,
    levels: BTreeMap<String, Severity>,
    flapping: BTreeSet<String>,
    sent: Vec<Notice>,
    held: Vec<(String, HeldReason)>,
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn handler(name: &str) -> Receiver {
    Receiver::new(name)
}

fn grouped() -> Routes {
    let root = Route {
        group_by: GroupBy::from_names(&["team".to_owned()]),
        group_wait: secs(3),
        group_interval: secs(10),
        repeat_interval: secs(60),
        ..Route::default()
    };
    Routes { receivers: vec![handler("h")], root, ..Routes::default() }
}

impl Player {
    fn new(routes: Routes) -> Self {
        Self {
            router: Router::default(),
            routes,
            silences: Silences::default(),
            now_ms: 0,
            sequence: 0,
            fired_at: BTreeMap::new(),
            levels: BTreeMap::new(),
            flapping: BTreeSet::new(),
            sent: Vec::new(),
            held: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now::simulated(Timestamp(self.now_ms))
    }

    fn transition(&mut self, name: &str, kind: TransitionKind) -> Arc<Transition> {
        self.sequence += 1;
        match kind {
            TransitionKind::Fired => {
                self.fired_at.insert(name.to_owned(), self.now_ms);
                self.levels.insert(name.to_owned(), Severity::Warning);
            }
            TransitionKind::Raised { .. } => drop(self.levels.insert(name.to_owned(), Severity::Critical)),
            TransitionKind::Lowered { .. } => drop(self.levels.insert(name.to_owned(), Severity::Warning)),
            _ => {}
        }
        let resolved = kind.is_end();
        if resolved {
            self.flapping.remove(name);
        }
        let active_at = Timestamp(self.fired_at.get(name).copied().unwrap_or(0));
        let labels = Labels::from_pairs([("alertname", name), ("team", &name[..1])]);
        let alert = Alert {
            // `x…` are reported by others.
            rule_uid: Arc::from(if name.starts_with('x') { crate::model::alert::RECEIVED } else { name }),
            rule: Arc::from(name),
            origin: Origin { file: Arc::from("r.yaml"), line: 1 },
            fingerprint: labels.fingerprint(),
            labels: labels.with("severity", self.levels.get(name).copied().unwrap_or_default().as_str()),
            annotations: Labels::empty(),
            state: if resolved { AlertState::Inactive } else { AlertState::Firing },
            severity: self.levels.get(name).copied().unwrap_or_default(),
            value: 1.0,
            peak: 1.0,
            condition: Arc::from("> 0"),
            limit: None,
            active_at,
            fired_at: Some(active_at),
            resolved_at: resolved.then_some(Timestamp(self.now_ms)),
            no_data_since: None,
            flapping: self.flapping.contains(name).then_some(Flapping {
                since: active_at,
                changes: 5,
                within: secs(4),
                quiet: secs(9),
                keeps: None,
            }),
            notify: Vec::new(),
            generator_url: None,
        };
        Arc::new(Transition {
            at: Timestamp(self.now_ms),
            sequence: self.sequence,
            kind,
            alert,
            trend: Vec::new(),
            link: None,
        })
    }

    fn step(&mut self, transitions: Vec<Arc<Transition>>) {
        let done = self.router.step(transitions, &self.routes, &self.silences, self.now());
        self.sent.extend(done.notices);
        self.held.extend(done.held.iter().map(|h| (h.transition.alert.rule.to_string(), h.reason)));
    }

    fn restart(&mut self) {
        self.restart_from(|_| {});
    }

    /// Goes on from the records, as `change` leaves them.
    fn restart_from(&mut self, change: impl Fn(&mut serde_json::Value)) {
        let (alerts, groups) = self.router.keys();
        let record = |value: serde_json::Value| {
            let mut value = value;
            change(&mut value);
            value
        };
        let alerts = alerts.iter().map(|key| {
            let saved = serde_json::to_value(self.router.saved_alert(key).unwrap()).unwrap();
            serde_json::from_value(record(saved)).unwrap()
        });
        let groups = groups.iter().map(|number| {
            let saved = serde_json::to_value(self.router.saved_group(*number).unwrap()).unwrap();
            serde_json::from_value(record(saved)).unwrap()
        });
        let saved = SavedRouter::from_parts(alerts.collect(), groups.collect(), self.router.groups_begun());
        self.router = Router::restore(saved);
    }

    /// Takes other routes.
    fn reload(&mut self, routes: Routes) {
        self.routes = routes;
        self.router.reroute(&self.routes.clone(), self.now());
        self.step(Vec::new());
    }

    fn word(&mut self, word: &str) {
        let (what, rest) = word.split_at(1);
        match what {
            "." => {
                for _ in 0..rest.parse::<u32>().unwrap_or(1) {
                    self.now_ms += 1000;
                    self.step(Vec::new());
                }
            }
            "s" => {
                let silence = Silence {
                    id: "s".into(),
                    sets: vec![vec![LabelMatcher::parse("team=a").unwrap()]],
                    starts_at: Timestamp(self.now_ms),
                    ends_at: Timestamp(self.now_ms + 1_000_000_000),
                    created_by: "me".into(),
                    comment: "test".into(),
                    ..Silence::default()
                };
                self.silences.put(silence).unwrap();
                self.router.silences_changed(&self.routes.clone(), self.now());
                self.step(Vec::new());
            }
            "e" => {
                self.silences.remove("s");
                self.router.silences_changed(&self.routes.clone(), self.now());
                self.step(Vec::new());
            }
            "R" => self.restart(),
            "k" | "u" => {
                let ack = Ack { by: "me".into(), comment: "".into(), at: Timestamp(self.now_ms), until: None };
                let until = rest.split_once('.').map(|(_, until)| Timestamp(until.parse::<i64>().unwrap() * 1000));
                let ack = (what == "k").then_some(Ack { until, ..ack });
                let name = rest.split('.').next().unwrap();
                let keys = self.router.firing().filter(|(_, alert)| &*alert.rule == name);
                for key in keys.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                    let change = AckChange { ack: ack.clone(), link: None };
                    self.router.acknowledge(&key, &change, self.now());
                }
                self.step(Vec::new());
            }
            // The other of two trees with the same handlers.
            "L" => {
                let flat = Routes { root: Route { routes: Vec::new(), ..many().root }, ..many() };
                let next = if self.routes.root.routes.is_empty() { many() } else { flat };
                self.reload(next);
            }
            _ => {
                let changes = word.split(',').map(|one| (one[..1].to_owned(), one[1..].to_owned())).collect::<Vec<_>>();
                let transitions = changes.iter().map(|(what, name)| {
                    if what == "~" {
                        self.flapping.insert(name.clone());
                    }
                    let kind = match what.as_str() {
                        "+" | "~" => TransitionKind::Fired,
                        "-" => TransitionKind::Resolved { reason: ResolveReason::Recovered },
                        "^" => TransitionKind::Raised { from: Severity::Warning },
                        "v" => TransitionKind::Lowered { from: Severity::Critical },
                        other => panic!("no word: {other}"),
                    };
                    self.transition(name, kind)
                });
                let transitions = transitions.collect();
                self.step(transitions);
            }
        }
    }

    fn play(&mut self, words: &str) {
        words.split_whitespace().for_each(|word| self.word(word));
    }
}

fn shown(notices: &[Notice]) -> String {
    let name = |t: &Arc<Transition>| {
        let mark = match t.kind {
            TransitionKind::Resolved { .. } => "-",
            TransitionKind::Raised { .. } => "^",
            TransitionKind::Lowered { .. } => "v",
            TransitionKind::StillFiring => "*",
            _ => "",
        };
        format!("{mark}{}", t.alert.rule)
    };
    let one = |n: &Notice| {
        let names: Vec<String> = n.transitions.iter().map(name).collect();
        format!("{} {} {} [{}]", n.at.0 / 1000, n.handler, n.reason.as_str(), names.join(" "))
    };
    notices.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn check(case: &str, routes: &Routes, words: &str, want: &str) {
    let mut player = Player::new(routes.clone());
    player.play(words);
    assert_eq!(shown(&player.sent), want, "{case}: {words}");
    // Restored equals never stopped, wherever it is cut.
    let all: Vec<&str> = words.split_whitespace().collect();
    for cut in 0..=all.len() {
        let mut player = Player::new(routes.clone());
        player.play(&all[..cut].join(" "));
        player.restart();
        player.play(&all[cut..].join(" "));
        assert_eq!(shown(&player.sent), want, "{case}: cut at {cut} of {words}");
    }
}

#[test]
fn a_group_waits_for_its_first_notice_and_then_between_news() {
    let routes = grouped();
    check("alerts of one group are one message", &routes, "+a1,+a2 .5", "3 h first notification [a1 a2]");
    check("groups are apart", &routes, "+a1,+b1 .5", "3 h first notification [a1]; 3 h first notification [b1]");
    check(
        "further alerts wait for group_interval, and the message shows what fires besides",
        &routes,
        "+a1 .5 +a2 .10",
        "3 h first notification [a1]; 13 h new alerts [a2 *a1]",
    );
    check(
        "after a quiet time news go out at once",
        &routes,
        "+a1 .30 +a2 .5",
        "3 h first notification [a1]; 30 h new alerts [a2 *a1]",
    );
    check(
        "a resolve waits for group_interval too; the rest still fires",
        &routes,
        "+a1,+a2 .5 -a1 .10 -a2 .10",
        "3 h first notification [a1 a2]; 13 h resolved [-a1 *a2]; 23 h resolved [-a2]",
    );
    check("what ends before its group was told is not told", &routes, "+a1 . -a1 .30", "");
    check(
        "what fires again before its end was told is told when it is over",
        &routes,
        "+a1 .5 -a1 . +a1 .20 -a1 .20",
        "3 h first notification [a1]; 26 h resolved [-a1]",
    );
    check(
        "what still fires is told again after repeat_interval",
        &routes,
        "+a1 .130",
        "3 h first notification [a1]; 63 h repeat [*a1]; 123 h repeat [*a1]",
    );
    check(
        "a raise does not wait",
        &routes,
        "+a1 .4 ^a1 .20 va1 .20",
        "3 h first notification [a1]; 4 h raised [^a1]; 24 h lowered [va1]",
    );
}

#[test]
fn one_group_for_all_where_nothing_is_grouped_by_and_one_each_where_all_is() {
    let mut routes = grouped();
    routes.root.group_by = GroupBy::from_names(&[]);
    check("none: one group", &routes, "+a1,+b1 .4", "3 h first notification [a1 b1]");
    routes.root.group_by = GroupBy::from_names(&["...".to_owned()]);
    check("all: one each", &routes, "+a1,+a2 .4", "3 h first notification [a1]; 3 h first notification [a2]");
    check(
        "without a route everything is told at once",
        &Routes { receivers: vec![handler("h")], ..Routes::default() },
        "+a1 . -a1 .",
        "0 h first notification [a1]; 1 h resolved [-a1]",
    );
}

#[test]
fn a_silence_holds_firing_notices_and_never_the_end_of_what_was_told() {
    let routes = grouped();
    check("silenced, then over: nothing", &routes, "s +a1 .20 -a1 .20 e .5", "");
    check("the silence ends and it still fires", &routes, "s +a1 .20 e .5", "20 h hold over [*a1]");
    check(
        "told, then silenced, then over",
        &routes,
        "+a1 .5 s -a1 .20",
        "3 h first notification [a1]; 13 h resolved [-a1]",
    );
    check(
        "other alerts are not held, and a reminder is",
        &routes,
        "+a1,+b1 .5 s .80",
        "3 h first notification [a1]; 3 h first notification [b1]; 63 h repeat [*b1]",
    );
    check(
        "a raise under a silence is told when it ends",
        &routes,
        "+a1 .5 s ^a1 .20 e .5",
        "3 h first notification [a1]; 25 h raised [^a1]",
    );
}

#[test]
fn what_is_silenced_goes_along_with_no_news_of_its_group() {
    let mut routes = grouped();
    routes.root.group_by = GroupBy::Labels(Vec::new());
    check(
        "told before it was silenced",
        &routes,
        "+a1,+b1 .5 s +b2 .20",
        "3 h first notification [a1 b1]; 13 h new alerts [b2 *b1]",
    );
}

#[test]
fn a_rule_is_quiet_outside_its_times_and_told_when_they_begin() {
    use crate::schedule::{FieldRange, IntervalFields, MuteTimes, TimeInterval};
    // The first and the third minute of the epoch's first hour.
    let minute = |name: &str, from: i32| {
        let times = Some(vec![FieldRange { begin: from, end: from + 1 }]);
        Arc::new(TimeInterval::new(name, &[IntervalFields { times, ..IntervalFields::default() }]))
    };
    let mut routes = grouped();
    let mute = MuteTimes { mute: vec![minute("backup", 0)], active: Vec::new() };
    routes.terms.insert("a1".into(), RuleTerms { times: mute, ..RuleTerms::default() });
    check("muted, then told", &routes, "+a1 .70", "60 h hold over [*a1]");
    check("muted and over: nothing", &routes, "+a1 .20 -a1 .70", "");
    let active = MuteTimes { mute: Vec::new(), active: vec![minute("first", 0)] };
    routes.terms.insert("a1".into(), RuleTerms { times: active, ..RuleTerms::default() });
    check(
        "what was told is taken back outside its times too",
        &routes,
        "+a1 .62 -a1 .20",
        "3 h first notification [a1]; 62 h resolved [-a1]",
    );
}

#[test]
fn handlers_choose_by_severity_and_by_name() {
    let mut routes = grouped();
    let quiet = Receiver { min_severity: Severity::Critical, ..handler("q") };
    routes.receivers = vec![handler("h"), quiet];
    check(
        "below min_severity nothing, then the raise, the lowering and the end",
        &routes,
        "+a1 .5 ^a1 .15 va1 .15 -a1 .15",
        "3 h first notification [a1]; 5 h raised [^a1]; 5 q raised [^a1]; 20 h lowered [va1]; 20 q lowered [va1]; \
         35 h resolved [-a1]; 35 q resolved [-a1]",
    );
    routes.receivers = vec![handler("h"), Receiver { send_resolved: false, ..handler("n") }];
    check(
        "without send_resolved only the beginning",
        &routes,
        "+a1 .5 -a1 .15 +a1 .5",
        "3 h first notification [a1]; 3 n first notification [a1]; 13 h resolved [-a1]; 23 h first notification [a1]; \
         23 n first notification [a1]",
    );
    routes.root.handlers = vec!["n".into()];
    check("the route names its handlers", &routes, "+a1 .5", "3 n first notification [a1]");
    let notify = RuleTerms { notify: vec!["h".into()], ..RuleTerms::default() };
    routes.terms.insert("a1".into(), notify);
    check("a rule names its own", &routes, "+a1 .5", "3 h first notification [a1]");
}

#[test]
fn a_cooldown_counts_from_what_was_really_told() {
    let mut routes = grouped();
    routes.terms.insert("a1".into(), RuleTerms { cooldown: secs(40), ..RuleTerms::default() });
    check(
        "the second episode is held, and told when the cooldown ends",
        &routes,
        "+a1 .5 -a1 .10 +a1 .60",
        "3 h first notification [a1]; 13 h resolved [-a1]; 43 h hold over [*a1]",
    );
    check(
        "an episode that nobody was told of begins no cooldown",
        &routes,
        "+a1 . -a1 .10 +a1 .5",
        "14 h first notification [a1]",
    );
    check(
        "worse than what was told does not wait",
        &routes,
        "+a1 .5 -a1 .10 +a1 ^a1 .20",
        "3 h first notification [a1]; 13 h resolved [-a1]; 18 h first notification [a1]",
    );
}

#[test]
fn other_routes_move_alerts_that_fire_and_everyone_who_was_told_hears_the_end() {
    let mut player = Player::new(grouped());
    player.play("+a1 .5");
    player.routes.receivers = vec![handler("h"), handler("new")];
    player.routes.root.handlers = vec!["new".into()];
    player.router.reroute(&player.routes.clone(), player.now());
    player.play(".5 -a1 .20");
    assert_eq!(
        shown(&player.sent),
        "3 h first notification [a1]; 6 new first notification [a1]; 16 h resolved [-a1]; 16 new resolved [-a1]"
    );
    assert_eq!(
        player.router.save(),
        SavedRouter { groups_begun: player.router.save().groups_begun, ..SavedRouter::default() }
    );
}

#[test]
fn a_handler_that_is_gone_is_put_down() {
    let mut player = Player::new(grouped());
    player.play("+a1 .5");
    player.routes.receivers = vec![handler("other")];
    player.router.reroute(&player.routes.clone(), player.now());
    player.play(".5 -a1 .20");
    assert!(player.held.contains(&("a1".to_owned(), HeldReason::HandlerGone)), "{:?}", player.held);
}

fn below(root: &mut Route, matcher: &str, handlers: &[&str], goes_on: bool) {
    let matchers = vec![LabelMatcher::parse(matcher).unwrap()];
    let handlers = handlers.iter().map(|name| Arc::from(*name)).collect();
    let path = root.path_below(&matchers);
    root.routes.push(Route { path, matchers, handlers, goes_on, routes: Vec::new(), ..root.clone() });
}

/// Critical alerts to `p` and further, those of team a to `a`, the rest to `h`; with waits of their own.
fn branching() -> Routes {
    let mut routes = grouped();
    routes.receivers = vec![handler("h"), handler("a"), handler("p")];
    routes.root.handlers = vec!["h".into()];
    below(&mut routes.root, "severity=critical", &["p"], true);
    below(&mut routes.root, "team=a", &["a", "p"], false);
    routes.root.routes[0].group_wait = secs(0);
    routes.root.routes[1].group_wait = secs(1);
    routes
}

fn words() -> impl Strategy<Value = Vec<String>> {
    let names = prop::sample::select(vec!["a1", "a2", "b1"]);
    let pause = prop::sample::select(vec![".", ".2", ".5", ".11", ".30", ".70"]).prop_map(str::to_owned);
    let change = names.prop_map(|name| format!("?{name}"));
    let silence = prop::sample::select(vec!["s", "e"]).prop_map(str::to_owned);
    let restart = prop::sample::select(vec!["R", "L"]).prop_map(str::to_owned);
    let ack = prop::sample::select(vec!["ka1", "ka2", "ua1", "ua2", "kb1.40"]).prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![8 => pause, 12 => change, 2 => silence, 3 => restart, 2 => ack], 1..60)
}

/// Turns `?NAME` into what the alert's state allows: fire, raise, lower, resolve in turn by a counter.
fn lives(words: &[String]) -> Vec<String> {
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    let mut turn = 0u32;
    let change = |word: &String, states: &mut BTreeMap<String, u32>, turn: &mut u32| match word.strip_prefix('?') {
        None => word.clone(),
        Some(name) => {
            *turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let state = states.entry(name.to_owned()).or_default();
            let (mark, next) = match (*state, *turn >> 30) {
                (0, _) => ("+", 1),
                (1, 0) => ("^", 2),
                (2, 0) => ("v", 1),
                _ => ("-", 0),
            };
            *state = next;
            format!("{mark}{name}")
        }
    };
    words.iter().map(|word| change(word, &mut states, &mut turn)).collect()
}

fn many() -> Routes {
    let mut routes = grouped();
    routes.receivers =
        vec![handler("h"), Receiver { min_severity: Severity::Critical, ..handler("critical") }, handler("p")];
    for (name, on_mute) in [("back", OnMute::Resolve), ("acks", OnMute::Ack)] {
        routes.receivers.push(Receiver { on_mute, ..handler(name) });
    }
    routes.receivers.extend([handler("boss"), Receiver { on_mute: OnMute::Resolve, ..handler("chief") }]);
    let turns = [(7, 12), (30, 60), (90, 130), (150, 170), (200, 400)];
    routes.rotations = escalate::duty("duty", ["h", "p", "deputy"], &turns);
    routes.receivers.push(handler("deputy"));
    routes.root.handlers = ["h", "critical", "back", "acks"].map(Arc::from).to_vec();
    routes.root.escalate = escalate::steps(&[(4, &["boss"]), (25, &["chief", "duty"])]);
    below(&mut routes.root, "severity=critical", &["p", "critical"], true);
    below(&mut routes.root, "alertname=a2", &["h", "duty"], false);
    routes.root.routes[1].escalate = escalate::steps(&[(15, &["boss", "back"])]);
    routes.terms.insert("a1".into(), RuleTerms { cooldown: secs(40), ..RuleTerms::default() });
    routes.inhibit = vec![inhibit::rule(&["alertname=b1"], "alertname=a2", &[])].into();
    routes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_end_of_what_was_told_is_told_once_and_nothing_else_is(words in words()) {
        let words = lives(&words);
        let mut player = Player::new(many());
        player.play(&words.join(" "));
        // Whatever still fires ends, the silence too, and everything is given time.
        for name in ["a1", "a2", "b1"] {
            if player.router.save().alerts.values().any(|k| k.firing && &*k.transition.alert.rule == name) {
                player.word(&format!("-{name}"));
            }
        }
        player.play("e .100");
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        let mut last: BTreeMap<(String, String), (i64, Severity)> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for notice in &player.sent {
            prop_assert!(ids.insert(notice.id.clone()), "an id stands for one message: {}", shown(&player.sent));
            for t in &notice.transitions {
                let key = (t.alert.rule.to_string(), notice.handler.to_string());
                match t.kind {
                    TransitionKind::Resolved { .. } => prop_assert!(told.remove(&key), "over only once, and only if told"),
                    TransitionKind::Fired => {
                        prop_assert!(told.insert(key.clone()), "fires only once");
                        if let Some((at, level)) = last.get(&key).filter(|_| key.0 == "a1") {
                            let cooled = notice.at.0 - at >= 40_000;
                            prop_assert!(cooled || t.alert.severity > *level, "cooldown: {}", shown(&player.sent));
                        }
                    }
                    _ => drop(told.insert(key.clone())),
                }
                let firing_notice = match t.kind {
                    // A held alert and one that merely goes along look the same here.
                    TransitionKind::Resolved { .. } | TransitionKind::Lowered { .. } | TransitionKind::StillFiring => false,
                    _ => true,
                };
                if firing_notice {
                    last.insert(key, (notice.at.0, t.alert.severity));
                }
            }
        }
        prop_assert!(told.is_empty(), "never taken back: {told:?} of {} in {}", shown(&player.sent), words.join(" "));
        prop_assert!(player.router.save().groups.is_empty(), "every group ends: {}", words.join(" "));
        let left: Vec<_> = player.router.save().alerts.into_keys().filter(|key| &*key.rule_uid != "a1").collect();
        prop_assert!(left.is_empty(), "every alert is forgotten, but for one that cools down: {left:?}");
    }

    #[test]
    fn restored_equals_never_stopped(words in words()) {
        let words = lives(&words);
        let mut stopped = Player::new(many());
        stopped.play(&words.join(" "));
        let mut never = Player::new(many());
        never.play(&words.iter().filter(|w| *w != "R").cloned().collect::<Vec<_>>().join(" "));
        prop_assert_eq!(shown(&stopped.sent), shown(&never.sent));
        let ids = |p: &Player| p.sent.iter().map(|n| n.id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(ids(&stopped), ids(&never));
    }

    #[test]
    fn nothing_is_told_as_firing_under_a_silence(words in words()) {
        let words = lives(&words);
        let mut player = Player::new(many());
        for word in &words {
            let before = player.sent.len();
            let silenced = player.silences.iter().next().is_some() && word != "e";
            player.word(word);
            if !silenced {
                continue;
            }
            for notice in &player.sent[before..] {
                if notice.kind == NoticeKind::Acknowledged {
                    continue;
                }
                let over = notice.transitions.iter().any(|t| t.kind.is_end());
                let silenced = notice.transitions.iter().all(|t| t.alert.labels.get("team") == Some("a"));
                prop_assert!(over || !silenced, "{}", shown(&player.sent));
            }
        }
    }
}
