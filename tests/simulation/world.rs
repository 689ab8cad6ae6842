//! Plays a scenario on a simulated machine, and writes down all that can be seen of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use alertd::app::acking::{Which, Who};
use alertd::app::dry_run::dry_run;
use alertd::app::load::{Inputs, Sources, load};
use alertd::app::silencing::Wanted;
use alertd::app::simulation::{Answer, Audience, Machine, Stage, StagedClock, seats};
use alertd::app::waiting::Meant;
use alertd::clock::Clock as _;
use alertd::engine::EngineOptions;
use alertd::ingest::Batch;
use alertd::model::{AlertState, LabelMatcher, Labels, MatchOp, Notice, Timestamp, Transition};
use alertd::notify::delivery::Entry;
use alertd::notify::{Failure, FailureClass, Outcome, Phase};
use alertd::persist::{OutboxQuery, OutboxState, Persist as _};
use alertd::received::{ReceivedAlert, Report};

use alertd::state::shown;
use alertd::store::embedded::{EmbeddedStore, StoreOptions};

use crate::disk::{Disk, Medium};
use crate::draw::Draw;
use crate::explain;
use crate::oracle::{AlertId, Key, Oracle, SilenceFacts, Truth, level_of};
use crate::scenario::{Act, Mood, STEP, Scenario};

/// When it begins: a full hour.
pub const START: i64 = 1_699_999_200;

/// Everything that was seen of a run.
#[derive(Debug, Default)]
pub struct Seen {
    /// One line for each thing that happened.
    pub trace: String,
    /// Ids of notices in the order in which they were decided on.
    pub notices: Vec<String>,
    /// Changes of alerts, one JSON text each.
    pub changes: Vec<String>,
    /// What is wrong, with the seconds since the start.
    pub wrong: Vec<String>,
}

/// How a scenario is played.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Crashes, restarts and what goes with them do not happen.
    pub no_restarts: bool,
    /// All samples are there from the beginning, as in a dry run, and do not come as time passes.
    pub all_at_once: bool,
}

/// The simulated people: moods, what they got, and what the oracle thinks of it.
pub struct People {
    pub moods: BTreeMap<String, Mood>,
    pub oracle: Oracle,
    pub seen: Seen,
    clock: Arc<StagedClock>,
    draw: Draw,
}

pub struct World {
    scenario: Scenario,
    medium: Medium,
    disk: Arc<Disk>,
    store: Arc<EmbeddedStore>,
    stage: Stage,
    pub people: People,
    inputs: Vec<Arc<Inputs>>,
    /// The files in force, counted from the first.
    files: usize,
    disk_back: Option<usize>,
    silences: Vec<String>,
    /// What others report, by labels: until which step, and whether they tell its end.
    reports: BTreeMap<Vec<(String, String)>, (usize, bool)>,
    /// Whether the samples are there already.
    fed: bool,
    /// What has passed of the step.
    spent: Duration,
}

impl World {
    /// A machine on which nothing happened yet.
    pub fn new(scenario: Scenario) -> Self {
        let clock = Arc::new(StagedClock::new(Timestamp::from_secs(START), 0));
        let medium = Medium::new(scenario.on_disk);
        let disk = medium.open(clock.now());
        let store = Arc::new(EmbeddedStore::new(StoreOptions::default()));
        let inputs: Vec<Arc<Inputs>> = scenario.sets.iter().map(|files| Arc::new(read(files))).collect();
        let stage = start(&clock, &store, &disk, scenario.seed, &inputs[0]);
        let oracle = Oracle::new(&scenario.sets);
        let people = People {
            moods: BTreeMap::new(),
            oracle,
            seen: Seen::default(),
            clock: Arc::clone(&clock),
            draw: Draw::new(scenario.seed ^ 0x5eed),
        };
        let silences = Vec::new();
        let disk_back = None;
        Self {
            scenario,
            medium,
            disk,
            store,
            stage,
            people,
            inputs,
            files: 0,
            disk_back,
            silences,
            reports: BTreeMap::new(),
            fed: false,
            spent: Duration::ZERO,
        }
    }

    /// Plays everything, then waits in peace until all that is due must have been told.
    pub fn play(mut self, how: How) -> Seen {
        if how.all_at_once {
            (0..self.scenario.steps).for_each(|step| self.put(step, START * 1000 + step_ms(step)));
            self.fed = true;
        }
        for step in 0..self.scenario.steps {
            for act in self.scenario.acts.get(&step).cloned().unwrap_or_default() {
                if !(how.no_restarts && act.is_restart()) {
                    self.people.note(&format!("{act:?}"));
                    self.act(&act, step);
                    if act.is_said() {
                        // What it leads to at once was decided before the next thing happens.
                        while self.stage.deliver(&mut self.people) {}
                    }
                }
            }
            self.step(step);
        }
        self.peace();
        for step in 0..self.people.oracle.patience_steps() + 8 {
            self.step(self.scenario.steps + step);
        }
        self.end();
        self.people.seen
    }

    fn step(&mut self, step: usize) {
        if self.disk_back.is_some_and(|back| back <= step) {
            self.disk_back = None;
            self.medium.set_broken(false);
            self.people.oracle.disturbed("disk", self.stage.clock.steady_ms());
        }
        self.report(step);
        let spent = std::mem::take(&mut self.spent);
        if spent.is_zero() {
            self.feed(step);
        }
        self.stage.pass(Duration::from_secs(STEP) - spent, &mut self.people);
        self.look();
    }

    /// The samples of a step; after the last one everything stays as it is.
    fn feed(&mut self, step: usize) {
        if !self.fed || step >= self.scenario.steps {
            self.put(step.min(self.scenario.steps - 1), self.stage.clock.now().0);
        }
    }

    fn put(&self, step: usize, now: i64) {
        let mut batch = Batch::default();
        for (metric, labels, value) in &self.scenario.samples[step] {
            let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
            let labels = Labels::from_pairs([("__name__", *metric)].into_iter().chain(pairs));
            batch.push(labels, Some(now), *value);
        }
        self.store.append(&batch, now);
    }

    /// What a dry run gives at the instant of a step, with the samples until then.
    pub fn dry_run(&self, step: usize) -> Vec<String> {
        (0..=step).for_each(|step| self.put(step, START * 1000 + step_ms(step)));
        let at = Timestamp(START * 1000 + step_ms(step));
        let inputs = &self.inputs[0];
        let options = EngineOptions { externals: inputs.externals(), threads: 1, ..EngineOptions::default() };
        let done = dry_run(inputs.rules.clone(), &inputs.routes(), &self.store, at, &options);
        done.transitions.iter().map(|t| serde_json::to_string(t).unwrap()).collect()
    }

    /// What a process says first that starts a moment before the instant of a step, with the samples until then.
    pub fn first_words(mut self, step: usize) -> Vec<String> {
        self.stage.clock.pass(Duration::from_millis(u64::try_from(step_ms(step)).unwrap() - 1));
        let inputs = Arc::clone(&self.inputs[0]);
        self.stage.take(inputs.rules.clone(), inputs.routes(), seats(&inputs.handlers));
        self.stage.clock.pass(Duration::from_millis(1));
        (0..=step).for_each(|step| self.put(step, START * 1000 + step_ms(step)));
        self.stage.act(&mut self.people);
        self.people.seen.changes
    }

    /// Shows the oracle what is so.
    fn look(&mut self) {
        let now_ms = self.stage.clock.steady_ms();
        let truth = truth(&self.stage);
        let dead = self.dead();
        let wall = self.stage.clock.now();
        let wrong = self.people.oracle.look(now_ms, wall, truth, &dead);
        wrong.into_iter().for_each(|text| self.people.wrong(text));
    }

    /// Handlers and alerts of notices that were given up.
    fn dead(&self) -> Vec<Key> {
        let query = OutboxQuery { state: Some(OutboxState::Dead), ..OutboxQuery::default() };
        self.told_in(&query).into_iter().map(|(_, key)| key).collect()
    }

    /// What notices of the outbox say something of, with their ids.
    fn told_in(&self, query: &OutboxQuery) -> Vec<(String, Key)> {
        let rows = self.stage.hub.keeper.rows(query).unwrap();
        let entries = rows.into_iter().filter_map(|row| row.entry);
        let of = |entry: Entry| {
            let (id, handler) = (entry.notice.id.clone(), entry.notice.handler.to_string());
            let key = |t: &Arc<Transition>| (id.clone(), (handler.clone(), AlertId::of(&t.alert)));
            entry.notice.transitions.iter().map(key).collect::<Vec<_>>()
        };
        entries.flat_map(of).collect()
    }

    fn act(&mut self, act: &Act, step: usize) {
        let now_ms = self.stage.clock.steady_ms();
        match act {
            Act::SetClock(secs) => {
                self.stage.clock.set_by(secs * 1000);
                self.people.oracle.clock_set(now_ms, self.stage.clock.now());
            }
            Act::Silence(matchers, starts_in, lasts) => self.silence(matchers, *starts_in, *lasts),
            Act::EndSilence(n) => self.end_silence(*n, now_ms),
            Act::Ack(name, value, lasts) => {
                let until = lasts.map(|secs| self.stage.clock.now().plus(Duration::from_secs(secs)));
                let who = Who { by: "ann".to_owned(), comment: String::new(), until };
                if let Ok(alerts) = self.stage.hub.acknowledge(&which(name, value), &who) {
                    self.people.oracle.acknowledged(alerts.iter().map(AlertId::of).collect(), until);
                }
            }
            Act::Withdraw(name, value) => {
                if let Ok(alerts) = self.stage.hub.withdraw(&which(name, value), "ann") {
                    let ids: Vec<AlertId> = alerts.iter().map(AlertId::of).collect();
                    self.people.oracle.withdrawn(&ids, now_ms);
                }
            }
            Act::Report(labels, steps, ends) => {
                self.reports.insert(labels.clone(), (step + steps, *ends));
            }
            Act::Drop(handler) => self.drop_notices(handler),
            Act::Retry(handler) => self.retry(handler),
            Act::Mood(handler, mood) => {
                self.people.oracle.mood(handler, *mood == Mood::Takes || *mood == Mood::Slow, now_ms);
                self.people.moods.insert(handler.clone(), *mood);
            }
            Act::Crash { .. } | Act::CrashBeforeCommit | Act::CrashAfterCommit | Act::Restart | Act::Move { .. } => {
                self.end_process(act, step);
            }
            Act::Reload(n) => {
                self.files = *n;
                self.take(now_ms);
            }
            Act::NoDisk(steps) => {
                self.people.oracle.disturbed("disk", now_ms);
                self.medium.set_broken(true);
                self.disk_back = Some(step + steps);
            }
        }
    }

    /// The process ends in one of the ways, and another one goes on.
    fn end_process(&mut self, act: &Act, step: usize) {
        match act {
            Act::Crash { after_ms, down } => {
                self.feed(step);
                self.spent = Duration::from_millis(*after_ms);
                self.stage.pass(self.spent, &mut self.people);
                self.restart(*down);
            }
            Act::CrashBeforeCommit => {
                self.feed(step);
                self.medium.set_broken(true);
                self.stage.hub.run_due();
                self.medium.set_broken(false);
                self.restart(0);
            }
            Act::CrashAfterCommit => {
                self.feed(step);
                let changed = self.stage.hub.run_due();
                let now = self.stage.clock.now();
                self.people.changed(&changed, now);
                self.restart(0);
            }
            Act::Restart => {
                self.stage.hub.save();
                self.restart(0);
            }
            Act::Move { in_order, down, behind } => {
                if *in_order {
                    self.stage.hub.save();
                }
                self.go_on(*down, *behind);
                self.people.oracle.clock_set(self.stage.clock.steady_ms(), self.stage.clock.now());
            }
            _ => {}
        }
    }

    fn end_silence(&mut self, n: usize, now_ms: i64) {
        let Some(id) = self.silences.get(n % self.silences.len().max(1)) else { return };
        if self.stage.hub.end_silence(id).is_ok() {
            self.people.oracle.end_silence(id, self.stage.clock.now(), now_ms);
        }
    }

    fn drop_notices(&mut self, handler: &str) {
        for state in [OutboxState::Pending, OutboxState::Dead] {
            let of = self.told_in(&OutboxQuery {
                handler: Some(handler.to_owned()),
                state: Some(state),
                ..OutboxQuery::default()
            });
            let Ok(done) = self.stage.drop_notices(&Meant::Of(handler.to_owned(), state)) else { continue };
            let of = of.into_iter().filter(|(id, _)| done.dropped.contains(id)).map(|(_, key)| key).collect();
            self.people.oracle.dropped(of, self.stage.clock.steady_ms());
        }
    }

    fn retry(&mut self, handler: &str) {
        let dead = OutboxState::Dead;
        let query = OutboxQuery { handler: Some(handler.to_owned()), state: Some(dead), ..OutboxQuery::default() };
        let rows = self.stage.hub.keeper.rows(&query).unwrap();
        if let Ok(ids) = self.stage.hub.retry(&Meant::Of(handler.to_owned(), dead)) {
            let late = rows.into_iter().filter_map(|row| row.entry).filter(|entry| ids.contains(&entry.notice.id));
            late.for_each(|entry| self.people.oracle.told_late(&entry.notice));
        }
        self.people.oracle.disturbed("notices are tried again", self.stage.clock.steady_ms());
    }

    /// What others report now: every minute what fires, as Prometheus does.
    fn report(&mut self, step: usize) {
        let now = self.stage.clock.now();
        let over: Vec<_> =
            self.reports.iter().filter(|(_, (until, _))| *until <= step).map(|(l, w)| (l.clone(), w.1)).collect();
        let mut reports = Vec::new();
        let mut say = |labels: &Vec<(String, String)>, ends_at: Timestamp| {
            reports.push(Report { labels: labels.clone(), ends_at: Some(ends_at), ..Report::default() });
        };
        for (labels, ends) in over {
            self.reports.remove(&labels);
            if ends {
                say(&labels, now);
            }
        }
        if step.is_multiple_of(4) {
            self.reports.keys().for_each(|labels| say(labels, now.plus(Duration::from_secs(240))));
        }
        if !reports.is_empty() {
            _ = self.stage.hub.receive(reports, Duration::from_secs(300));
        }
    }

    fn silence(&mut self, matchers: &[(String, String)], starts_in: u64, lasts: u64) {
        let now = self.stage.clock.now();
        let starts_at = now.plus(Duration::from_secs(starts_in));
        let ends_at = starts_at.plus(Duration::from_secs(lasts));
        let wanted = Wanted {
            id: None,
            sets: vec![matchers.iter().map(|(n, v)| LabelMatcher::new(n, MatchOp::Equal, v).unwrap()).collect()],
            all_sets: true,
            starts_at,
            ends_at,
            recurrence: None,
            annotations: None,
            created_by: "ann".to_owned(),
            comment: "works".to_owned(),
        };
        if let Ok(id) = self.stage.hub.silence(wanted) {
            let facts = SilenceFacts { id: id.clone(), matchers: matchers.to_vec(), starts_at, ends_at, made_at: now };
            self.people.oracle.silence(facts, self.stage.clock.steady_ms());
            self.silences.push(id);
        }
    }

    /// The process is gone; another one starts after so many seconds.
    fn restart(&mut self, down: u64) {
        self.go_on(down, 0);
    }

    /// The same on a machine whose clock is behind by some seconds.
    fn go_on(&mut self, down: u64, behind: i64) {
        let (wall, steady_ms) = (self.stage.clock.now(), self.stage.clock.steady_ms());
        let down_ms = i64::try_from(down * 1000).unwrap();
        let clock = StagedClock::new(Timestamp(wall.0 + down_ms - behind * 1000), steady_ms + down_ms);
        self.people.clock = Arc::new(clock);
        self.people.oracle.crashed(steady_ms);
        self.people.oracle.disturbed("restart", steady_ms + down_ms);
        if let Medium::Files(..) = self.medium {
            // The old one lets go of the files first.
            let none = Medium::new(false).open(wall);
            self.stage = start(&self.people.clock, &self.store, &none, 0, &self.inputs[self.files]);
            self.disk = none;
        }
        self.disk = self.medium.open(self.people.clock.now());
        self.stage = start(&self.people.clock, &self.store, &self.disk, self.scenario.seed, &self.inputs[self.files]);
    }

    fn take(&mut self, now_ms: i64) {
        self.people.oracle.reloaded(self.scenario.sets[self.files].clone(), now_ms);
        let inputs = &self.inputs[self.files];
        self.stage.take(inputs.rules.clone(), inputs.routes(), seats(&inputs.handlers));
    }

    /// Nothing fails any more.
    fn peace(&mut self) {
        let now_ms = self.stage.clock.steady_ms();
        self.medium.set_broken(false);
        self.disk_back = None;
        for (handler, _) in std::mem::take(&mut self.people.moods) {
            self.people.oracle.mood(&handler, true, now_ms);
        }
        self.people.oracle.disturbed("peace", now_ms);
        self.people.note("peace");
    }

    /// Plays a scenario, and at some of its instants puts down what was so; then asks why, about all of them.
    pub fn explain(mut self) -> Vec<String> {
        let mut draw = Draw::new(self.scenario.seed ^ 0xa5c);
        let mut seen = Vec::new();
        for step in 0..self.scenario.steps {
            for act in self.scenario.acts.get(&step).cloned().unwrap_or_default() {
                self.act(&act, step);
            }
            self.step(step);
            if draw.once_in(6) {
                let at = Timestamp(self.stage.clock.now().0 - 1);
                seen.push(explain::Moment::of(&self.stage, &self.people.oracle, at));
            }
        }
        seen.iter().flat_map(|moment| moment.compare(&self.stage)).collect()
    }

    fn end(&mut self) {
        let query = OutboxQuery { state: Some(OutboxState::Pending), ..OutboxQuery::default() };
        let left = self.disk.outbox(&query).unwrap();
        if !left.is_empty() || !self.stage.is_quiet() {
            let rows: Vec<String> = left.iter().map(|row| format!("{} for {}", row.id, row.handler)).collect();
            self.people.wrong(format!("the outbox is not empty after a long peace: {}", rows.join(", ")));
        }
    }
}

fn which(name: &str, value: &str) -> Which {
    Which::Matchers(vec![LabelMatcher::new(name, MatchOp::Equal, value).unwrap()])
}

fn step_ms(step: usize) -> i64 {
    i64::try_from(step).unwrap() * i64::try_from(STEP).unwrap() * 1000
}

/// Reads files as the daemon does.
fn read(files: &crate::scenario::Files) -> Inputs {
    read_texts(&files.rules_yaml(), &files.handlers_yaml())
}

/// The same of the texts of a rule file and a handler file.
pub fn read_texts(rules: &str, handlers: &str) -> Inputs {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let sources = Sources {
        rules: vec![write("rules.yaml", rules)],
        config: Some(write("alertd.yaml", "external_labels: {cluster: z}\n")),
        handlers: Some(write("handlers.yaml", handlers)),
    };
    let mut inputs = load(&sources).unwrap();
    // Where the files lie is of no matter.
    inputs.rules.iter_mut().for_each(|rule| rule.origin.file = "rules.yaml".into());
    let found = alertd::diag::concise(&inputs.diagnostics);
    assert!(!inputs.has_errors(), "{found}\n{rules}\n{handlers}");
    inputs
}

/// A process starts on what a machine holds.
pub fn start(
    clock: &Arc<StagedClock>,
    store: &Arc<EmbeddedStore>,
    disk: &Arc<Disk>,
    seed: u64,
    inputs: &Inputs,
) -> Stage {
    let machine = Machine { clock: Arc::clone(clock), store: Arc::clone(store), persist: Arc::clone(disk) as _, seed };
    let options = EngineOptions { externals: inputs.externals(), threads: 1, ..EngineOptions::default() };
    let mut stage = Stage::start(machine, options);
    stage.take(inputs.rules.clone(), inputs.routes(), seats(&inputs.handlers));
    stage
}

/// The alerts that fire, as the core has them.
fn truth(stage: &Stage) -> Truth {
    let core = stage.hub.core();
    let mut truth = Truth::default();
    for rule in core.engine.rules().iter() {
        let instances = core.engine.state(&rule.uid).into_iter().flat_map(|state| state.instances.values());
        for instance in instances.filter(|instance| instance.state == AlertState::Firing) {
            let alert = shown(rule, instance);
            let leaving = Labels::from_pairs(core.routes.external_labels.iter().chain(alert.labels.iter()));
            truth.insert(AlertId::of(&alert), (level_of(&alert), leaving));
        }
    }
    for alert in core.received.firing().map(ReceivedAlert::shown) {
        let leaving = core.routes.leaving(&alert);
        truth.insert(AlertId::of(&alert), (level_of(&alert), leaving));
    }
    truth
}

impl People {
    fn at(&self) -> String {
        format!("{:>9.3}", self.clock.steady_ms() as f64 / 1000.0)
    }

    pub fn note(&mut self, text: &str) {
        let at = self.at();
        let _ = writeln!(self.seen.trace, "{at} {text}");
    }

    fn wrong(&mut self, text: String) {
        self.note(&format!("WRONG {text}"));
        let at = self.at();
        self.seen.wrong.push(format!("{}: {text}", at.trim()));
    }
}

impl Audience for People {
    fn changed(&mut self, transitions: &[Arc<Transition>], now: Timestamp) {
        for t in transitions {
            self.note(&format!("{} {} {}", t.alert.labels, t.kind.as_str(), t.alert.value));
            self.oracle.happened(t, self.clock.steady_ms(), now);
            self.seen.changes.push(serde_json::to_string(&**t).unwrap());
        }
    }

    fn decided(&mut self, notices: &[Arc<Notice>], now: Timestamp) {
        notices.iter().for_each(|notice| self.oracle.may_be_copied(notice));
        for notice in notices {
            if self.oracle.knows(&notice.id) {
                self.note(&format!("again in the queue of {}: {}", notice.handler, notice.id));
                continue;
            }
            self.note(&format!("decided {}", in_words(notice)));
            self.seen.notices.push(notice.id.clone());
            let now_ms = self.clock.steady_ms();
            let wrong = self.oracle.decided(notice, now_ms, now);
            wrong.into_iter().for_each(|text| self.wrong(text));
        }
    }

    fn attempt(&mut self, entry: &Entry, _now: Timestamp) -> Answer {
        let notice = &entry.notice;
        self.oracle.tried(&notice.id);
        let mood = self.moods.get(&*notice.handler).copied().unwrap_or(Mood::Takes);
        let taken = match mood {
            Mood::Takes | Mood::Slow | Mood::LosesAnswers => true,
            Mood::Hangs => self.draw.once_in(2),
            Mood::Fails | Mood::Throttles | Mood::Refuses => false,
        };
        let quick = Duration::from_millis(self.draw.below(900));
        self.note(&format!("attempt {} {:?} taken={taken} {}", entry.attempts, mood, in_words(notice)));
        if taken {
            let sure = matches!(mood, Mood::Takes | Mood::Slow);
            let wrong = self.oracle.received(notice, self.clock.steady_ms(), sure);
            wrong.into_iter().for_each(|text| self.wrong(text));
        }
        let failure = |class, phase, message: &str, maybe_taken| Failure {
            class,
            phase,
            message: message.to_owned(),
            maybe_taken,
        };
        let retry = |after, failure| Outcome::Retry { after, failure, done: Vec::new() };
        let (after, outcome) = match mood {
            Mood::Takes => (quick, Outcome::sent("200 OK")),
            Mood::Slow => (Duration::from_secs(7), Outcome::sent("200 OK")),
            Mood::Fails => (quick, retry(None, failure(FailureClass::ServerError, Phase::Answer, "500", false))),
            Mood::Throttles => {
                let asked = Some(Duration::from_secs(20));
                (quick, retry(asked, failure(FailureClass::RateLimited, Phase::Answer, "429", false)))
            }
            Mood::Refuses => {
                let failure = failure(FailureClass::ClientError, Phase::Answer, "400 no such channel", false);
                (quick, Outcome::Rejected { failure })
            }
            Mood::LosesAnswers => {
                let failure = failure(FailureClass::Network, Phase::Answer, "connection reset", true);
                (quick, retry(None, failure))
            }
            Mood::Hangs => {
                let failure = failure(FailureClass::Timeout, Phase::Answer, "no answer in 10s", true);
                (Duration::from_secs(10), retry(None, failure))
            }
        };
        Answer { after, outcome }
    }
}

fn in_words(notice: &Notice) -> String {
    let one = |t: &Arc<Transition>| {
        let host = t.alert.labels.get("host").unwrap_or("-");
        format!("{}/{host} {} {}", t.alert.rule, t.kind.as_str(), t.alert.severity)
    };
    let all: Vec<String> = notice.transitions.iter().map(one).collect();
    format!(
        "{} {} {} {} ({}) [{}]",
        notice.id,
        notice.handler,
        notice.group.key,
        notice.kind.as_str(),
        notice.reason.as_str(),
        all.join(", ")
    )
}
