//! The machine on which the process goes on has another wall clock than the one before: two minutes ahead, or behind. What
//! is told is as if nothing had happened, whatever changed within those two minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alertd::app::acking::{Which, Who};
use alertd::app::load::Inputs;
use alertd::app::silencing::Wanted;
use alertd::app::simulation::{Answer, Audience, Stage, StagedClock};
use alertd::clock::Clock as _;
use alertd::ingest::Batch;
use alertd::model::{LabelMatcher, Labels, MatchOp, Notice, NoticeKind, Timestamp, Transition};
use alertd::notify::delivery::Entry;
use alertd::notify::{Failure, FailureClass, Outcome, Phase};
use alertd::received::Report;
use alertd::store::embedded::{EmbeddedStore, StoreOptions};

use crate::disk::{Disk, Medium};
use crate::world::{START, read_texts, start};

/// Seconds from one scrape and evaluation to the next.
const STEP: i64 = 15;
/// Seconds from the beginning to the end of the first process.
const LIFE: i64 = 1800;
/// Seconds from the end of the first process to the beginning of the second.
const DOWN: i64 = 5;
/// Seconds from the beginning of the second process to the end of everything that fires, and from there to the end.
const AFTER: i64 = 1800;
/// Seconds that the clocks of the machines part.
const PARTS: i64 = 120;

const RULES: &str = "
groups:
  - name: all
    interval: 15s
    rules:
      - {alert: long, expr: long > 1}
      - {alert: fresh, expr: fresh > 1}
      - {alert: rate, expr: 'rate(total[2m]) > 1'}
      - {record: total_rate, expr: 'rate(total[2m])'}
      - {alert: recorded, expr: sum(total_rate) > 1}
      - {alert: waits, expr: waits > 1, for: 3m}
      - {alert: kept, expr: kept > 1, keep_firing_for: 10m}
      - {alert: over, expr: over > 1}
      - {alert: cools, expr: long > 1, cooldown: 1h}
      - {alert: quiet, expr: fresh > 1}
      - {alert: looked_after, expr: long > 1}
";
const HANDLERS: &str = "
handlers:
  - {name: chat, type: webhook, url: 'http://127.0.0.1:1/'}
  - {name: away, type: webhook, url: 'http://127.0.0.1:1/'}
route:
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 10h
  handlers: [chat, away]
  routes: [{matchers: [alertname=looked_after], repeat_interval: 1m, continue: true}, {}]
";

/// The signals at a time since the beginning, by metric: what fires begins or ends a minute before the first process does.
fn signals(at: i64) -> Vec<(&'static str, f64)> {
    let end = LIFE + DOWN + AFTER;
    let minute_before = LIFE - 60;
    let fires = |from: i64, to: i64| if (from..to).contains(&at) { 5.0 } else { 0.0 };
    vec![
        ("long", fires(300, end)),
        ("fresh", fires(minute_before, end)),
        // Grows by five a second while it fires.
        ("total", 5.0 * (at.clamp(300, end) - 300) as f64),
        ("waits", fires(minute_before, end)),
        ("kept", fires(300, minute_before)),
        ("over", fires(300, minute_before)),
    ]
}

/// Everything that was told: seconds since the beginning in true time, handler, alert, and whether it fires.
#[derive(Default)]
struct Told {
    at: i64,
    all: Vec<(i64, String, String, bool)>,
}

impl Audience for Told {
    fn changed(&mut self, _: &[Arc<Transition>], _: Timestamp) {}

    fn decided(&mut self, _: &[Arc<Notice>], _: Timestamp) {}

    fn attempt(&mut self, entry: &Entry, _: Timestamp) -> Answer {
        let (at, notice) = (self.at, &entry.notice);
        let after = Duration::from_millis(100);
        if &*notice.handler == "away" && (LIFE - 120..LIFE + DOWN + 30).contains(&at) {
            let (class, phase) = (FailureClass::ServerError, Phase::Answer);
            let failure = Failure { class, phase, message: "500".to_owned(), maybe_taken: false };
            return Answer { after, outcome: Outcome::Retry { after: None, failure, done: Vec::new() } };
        }
        let (fires, handler) = (notice.kind != NoticeKind::Resolved, notice.handler.to_string());
        let names = notice.transitions.iter().map(|t| t.alert.rule.to_string());
        self.all.extend(names.map(|name| (at, handler.clone(), name, fires)));
        Answer { after, outcome: Outcome::sent("200 OK") }
    }
}

/// A machine, and the true time, which its wall clock shows or not.
struct World {
    inputs: Inputs,
    medium: Medium,
    disk: Arc<Disk>,
    store: Arc<EmbeddedStore>,
    stage: Stage,
    /// Seconds since the beginning.
    at: i64,
    told: Told,
}

impl World {
    fn new(on_disk: bool) -> Self {
        let inputs = read_texts(RULES, HANDLERS);
        let clock = Arc::new(StagedClock::new(Timestamp::from_secs(START), 0));
        let medium = Medium::new(on_disk);
        let disk = medium.open(clock.now());
        let store = Arc::new(EmbeddedStore::new(StoreOptions::default()));
        let stage = start(&clock, &store, &disk, 1, &inputs);
        Self { inputs, medium, disk, store, stage, at: 0, told: Told::default() }
    }

    /// Another process goes on, on a clock that is ahead of the true time by some seconds.
    fn go_on(&mut self, ahead: i64, in_order: bool) {
        if in_order {
            self.stage.hub.save();
        }
        let steady_ms = self.stage.clock.steady_ms() + DOWN * 1000;
        self.at += DOWN;
        let clock = Arc::new(StagedClock::new(Timestamp::from_secs(START + self.at + ahead), steady_ms));
        // The old one lets go of the files first.
        let none = Medium::new(false).open(clock.now());
        self.stage = start(&clock, &self.store, &none, 1, &self.inputs);
        self.disk = none;
        self.disk = self.medium.open(clock.now());
        self.stage = start(&clock, &self.store, &self.disk, 1, &self.inputs);
    }

    /// Lives until a time since the beginning: every step samples come, stamped when they come, and every minute another
    /// program reports an alert by a clock of its own.
    fn live(&mut self, until: i64) {
        while self.at < until {
            let now = self.stage.clock.now();
            let mut batch = Batch::default();
            for (metric, value) in signals(self.at) {
                batch.push(Labels::from_pairs([("__name__", metric)]), Some(now.0), value);
            }
            self.store.append(&batch, now.0);
            if self.at % 60 < STEP && (300..LIFE + DOWN + AFTER).contains(&self.at) {
                let labels = vec![("alertname".to_owned(), "reported".to_owned())];
                let ends_at = Some(Timestamp::from_secs(START + self.at + 240));
                let reports = vec![Report { labels, ends_at, ..Report::default() }];
                self.stage.hub.receive(reports, Duration::from_secs(300)).unwrap();
            }
            self.people();
            self.told.at = self.at;
            self.stage.pass(Duration::from_secs(STEP.unsigned_abs()), &mut self.told);
            self.at += STEP;
        }
    }

    /// What people do: one looks after an alert, and a minute before the first process ends another is silenced.
    fn people(&self) {
        let matchers = |name: &str| vec![LabelMatcher::new("alertname", MatchOp::Equal, name).unwrap()];
        if self.at == 330 {
            let who = Who { by: "ann".to_owned(), comment: String::new(), until: None };
            self.stage.hub.acknowledge(&Which::Matchers(matchers("looked_after")), &who).unwrap();
        }
        if self.at == LIFE - 60 {
            let now = self.stage.clock.now();
            let wanted = Wanted {
                id: None,
                sets: vec![matchers("quiet")],
                all_sets: true,
                starts_at: now,
                ends_at: now.plus(Duration::from_secs(36_000)),
                recurrence: None,
                annotations: None,
                created_by: "ann".to_owned(),
                comment: "works".to_owned(),
            };
            self.stage.hub.silence(wanted).unwrap();
        }
    }

    /// How often a handler was told of each alert as firing and as over.
    fn times(&self, handler: &str) -> BTreeMap<&str, (usize, usize)> {
        let mut times: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (_, _, name, fires) in self.told.all.iter().filter(|(_, whose, ..)| whose == handler) {
            let (firing, over) = times.entry(name).or_default();
            *if *fires { firing } else { over } += 1;
        }
        times
    }
}

/// What is told before the first process ends, some minutes after the second began, before everything is over, and in
/// the end.
#[track_caller]
fn check(ahead: i64, in_order: bool, on_disk: bool) {
    let case = format!("clock {ahead:+} s, in order: {in_order}, on disk: {on_disk}");
    let mut world = World::new(on_disk);
    world.live(LIFE);
    let told = |world: &World, handler: &str, wanted: &[(&str, (usize, usize))], when: &str| {
        let wanted: BTreeMap<&str, (usize, usize)> = wanted.iter().copied().collect();
        assert_eq!(world.times(handler), wanted, "{case}, {handler}, {when}: {:?}", world.told.all);
    };
    let (fires, over) = ((1, 0), (1, 1));
    let mut wanted = vec![
        ("long", fires),
        ("fresh", fires),
        ("rate", fires),
        ("recorded", fires),
        ("kept", fires),
        ("over", over),
        ("cools", fires),
        ("looked_after", fires),
        ("reported", fires),
    ];
    told(&world, "chat", &wanted, "at the end of the first process");
    world.go_on(ahead, in_order);
    // Of the three minutes that it waits one had passed before, and what nobody watched does not count.
    world.live(LIFE + DOWN + 90);
    told(&world, "chat", &wanted, "a minute and a half later");
    world.live(LIFE + DOWN + 300);
    wanted.push(("waits", fires));
    told(&world, "chat", &wanted, "five minutes later");
    world.live(LIFE + DOWN + AFTER);
    let at = wanted.iter().position(|(name, _)| *name == "kept").unwrap();
    wanted[at].1 = over;
    told(&world, "chat", &wanted, "before everything is over");
    told(&world, "away", &wanted, "before everything is over");
    world.live(LIFE + DOWN + 2 * AFTER);
    wanted.iter_mut().for_each(|(_, times)| *times = over);
    told(&world, "chat", &wanted, "when everything is over");
    told(&world, "away", &wanted, "when everything is over");
}

#[test]
fn a_process_goes_on_where_the_clock_is_ahead_behind_or_right_and_nobody_hears_of_it() {
    for ahead in [0, PARTS, -PARTS] {
        for (in_order, on_disk) in [(true, false), (false, true)] {
            check(ahead, in_order, on_disk);
        }
    }
}
