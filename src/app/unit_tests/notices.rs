//! What people are told in a test group: it is played on the daemon's own hub, keeper and outbox in simulated time, with
//! handlers that take every message and send nothing, and what they were told is compared with `notice_test`.
//!
//! Place in the flow: `run` hands in a group that has such tests; `notice_lines` tells what came instead.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::assign::assign;
use super::feed::Feed;
use super::notice_lines::{self, Event};
use super::run::{Done, FAILED};
use super::setting::Setting;
use super::world::{STEPS_MAX, Setup};
use super::{Failure, RuleKey, Suite, Telling, timeline};
use crate::app::acking::{Which, Who};
use crate::app::handlers::{Common, previewing};
use crate::app::silencing::Wanted;
use crate::app::simulation::{Answer, Audience, Machine, Stage, StagedClock, seats};
use crate::diag::Diagnostic;
use crate::engine::EngineOptions;
use crate::model::time::millis;
use crate::model::{Labels, Notice, NoticeKind, Origin, Timestamp, Transition, TransitionKind, format_duration};
use crate::notify::delivery::Entry;
use crate::notify::{Handler, Outcome, Secrets};
use crate::persist::MemoryPersist;
use crate::rule::Rule;
use crate::rule::unit_test::{NoticeAlert, NoticeTest, TestAck};
use crate::schedule::{CHANGE_DAYS_MAX, Schedule};
use crate::state::Externals;
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Most messages and changes of alerts of one test group.
const EVENTS_MAX: usize = 200_000;
/// Most messages that no test names which are told one by one.
const OTHERS_MAX: usize = 20;
/// Decides on the jitter of pauses, of which there are none where every message is taken.
const SEED: u64 = 0;
/// The process starts this long before the first samples, so that rules are evaluated at the first slot.
const LEAD_MS: i64 = 1;

/// A message that a handler received.
pub(super) struct Received {
    /// When, since the start.
    pub at: Duration,
    /// What.
    pub notice: Arc<Notice>,
    /// Every text of it as the handler would send it; empty where nobody asks.
    pub texts: Vec<String>,
}

/// Takes every message, and notes what happens.
struct Listener<'a> {
    start: Timestamp,
    tests: &'a [NoticeTest],
    setting: &'a Setting,
    previews: BTreeMap<String, Arc<dyn Handler>>,
    received: Vec<Received>,
    changes: Vec<Event>,
    fired: BTreeSet<RuleKey>,
    too_many: bool,
}

impl Listener<'_> {
    /// The texts of a message, where a test asks for them.
    fn texts(&self, notice: &Notice) -> Vec<String> {
        let asked = |test: &&NoticeTest| test.text.is_some() && self.setting.is_named(&notice.handler, &test.handler);
        let Some(handler) = self.previews.get(&*notice.handler) else { return Vec::new() };
        if !self.tests.iter().any(|test| asked(&test)) {
            return Vec::new();
        }
        let payload = handler.preview(notice).payload;
        let mut out = Vec::new();
        match serde_json::from_str(&payload) {
            Ok(json) => texts_of(json, &mut out),
            Err(_) => out.push(payload),
        }
        out
    }
}

/// Every text of a JSON value.
fn texts_of(json: serde_json::Value, out: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) => out.push(text),
        serde_json::Value::Array(items) => items.into_iter().for_each(|item| texts_of(item, out)),
        serde_json::Value::Object(entries) => entries.into_iter().for_each(|(_, value)| texts_of(value, out)),
        other => out.push(other.to_string()),
    }
}

impl Audience for Listener<'_> {
    fn changed(&mut self, transitions: &[Arc<Transition>], _now: Timestamp) {
        self.too_many |= self.changes.len() + transitions.len() > EVENTS_MAX;
        if self.too_many {
            return;
        }
        for transition in transitions {
            if transition.kind == TransitionKind::Fired {
                let Origin { file, line } = &transition.alert.origin;
                self.fired.insert((file.clone(), *line));
            }
            self.changes.push(Event::changed(transition, self.start));
        }
    }

    fn decided(&mut self, _notices: &[Arc<Notice>], _now: Timestamp) {}

    fn attempt(&mut self, entry: &Entry, now: Timestamp) -> Answer {
        self.too_many |= self.received.len() >= EVENTS_MAX;
        if !self.too_many {
            let (notice, texts) = (Arc::clone(&entry.notice), self.texts(&entry.notice));
            self.received.push(Received { at: now.since(self.start), notice, texts });
        }
        Answer { after: Duration::ZERO, outcome: Outcome::sent("a test") }
    }
}

/// Plays a test group and compares.
pub(super) fn run(
    setup: Setup<'_>,
    suite: &Suite,
    setting: &Setting,
    (base, telling): (&EngineOptions, Telling),
) -> Done {
    let mut done = Done::default();
    let mut judge = Judge { setup, suite, setting, telling, done: &mut done };
    judge.play(base);
    done
}

struct Judge<'a> {
    setup: Setup<'a>,
    suite: &'a Suite,
    setting: &'a Setting,
    telling: Telling,
    done: &'a mut Done,
}

impl Judge<'_> {
    fn fail(&mut self, span: std::ops::Range<usize>, message: String, detail: Vec<String>) {
        let detail = if self.telling.terse { Vec::new() } else { detail };
        let diagnostic = Diagnostic::error(FAILED, &self.setup.file.file, span, message);
        self.done.failures.push(Failure { diagnostic, detail });
    }

    fn play(&mut self, base: &EngineOptions) {
        let (group, rules) = (self.setup.group, self.setting.rules(self.suite));
        if let Some(rule) = rules.iter().find(|rule| too_often(rule, (group.start, group.notices.end()))) {
            let message = format!("`{}` is evaluated more than {STEPS_MAX} times until the last test", rule.name);
            return self.fail(group.span.clone(), message, Vec::new());
        }
        let common = Common { external_url: self.options(base).externals.url, secrets: Arc::new(Secrets::default()) };
        let previews = previewing(&self.setting.inputs.handlers, &common);
        let mut listener = Listener {
            start: group.start,
            tests: &group.notices.tests,
            setting: self.setting,
            previews: previews.into_iter().map(|handler| (handler.name().to_owned(), handler)).collect(),
            received: Vec::new(),
            changes: Vec::new(),
            fired: BTreeSet::new(),
            too_many: false,
        };
        let kept = Arc::new(MemoryPersist::new());
        let mut stage = self.stage(rules, self.options(base), &kept);
        let silences = self.silence(&stage);
        let whole = self.pass(&mut stage, &mut listener);
        self.done.fired.append(&mut listener.fired);
        if listener.too_many {
            let message = format!("more than {EVENTS_MAX} messages or changes of alerts");
            return self.fail(group.span.clone(), message, Vec::new());
        }
        if whole {
            self.compare((&*kept, &silences), listener);
        }
    }

    /// Settings of the core: labels and address are those of the group where it has any, else of the configuration.
    fn options(&self, base: &EngineOptions) -> EngineOptions {
        let mut options = self.setup.options(base);
        let Externals { labels, url } = self.setting.inputs.externals();
        if self.setup.group.external_labels.is_empty() {
            options.externals.labels = labels;
        }
        if self.setup.group.external_url.is_empty() {
            options.externals.url = url;
        }
        options
    }

    fn stage(&self, rules: Vec<Rule>, options: EngineOptions, kept: &Arc<MemoryPersist>) -> Stage {
        let started = Timestamp(self.setup.group.start.0.saturating_sub(LEAD_MS));
        let machine = Machine {
            clock: Arc::new(StagedClock::new(started, 0)),
            store: Arc::new(EmbeddedStore::new(StoreOptions::for_files())),
            persist: Arc::clone(kept) as _,
            seed: SEED,
        };
        let inputs = &self.setting.inputs;
        let mut routes = inputs.routes();
        routes.external_labels = options.externals.labels.clone();
        let mut stage = Stage::start(machine, options);
        stage.take(rules, routes, seats(&inputs.handlers));
        stage
    }

    /// Makes the silences; their ids.
    fn silence(&mut self, stage: &Stage) -> Vec<String> {
        let mut ids = Vec::new();
        let group = self.setup.group;
        for silence in &group.notices.silences {
            // The test is over before this; windows that come again find one that they may have by then.
            let tail = silence.recurrence.as_ref().map_or(TAIL, |_| WINDOWS_TAIL);
            let without_end = silence.starts.max(group.notices.end()) * 2 + tail;
            let wanted = Wanted {
                id: None,
                sets: vec![silence.matchers.clone()],
                all_sets: true,
                starts_at: group.start.plus(silence.starts),
                ends_at: group.start.plus(silence.ends.unwrap_or(without_end)),
                recurrence: Some(silence.recurrence.clone()),
                annotations: None,
                created_by: "a test".to_owned(),
                comment: if silence.comment.is_empty() { "a test".to_owned() } else { silence.comment.clone() },
            };
            match stage.hub.silence(wanted) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    self.fail(silence.span.clone(), format!("the silence cannot be made: {error}"), Vec::new());
                }
            }
        }
        ids
    }

    /// Lets the time of the test pass; false if something kept it from its end.
    fn pass(&mut self, stage: &mut Stage, listener: &mut Listener<'_>) -> bool {
        let group = self.setup.group;
        let end = group.start.plus(group.notices.end());
        let mut feed = Feed::new(group, self.setup.data);
        let mut acks: Vec<&TestAck> = group.notices.acks.iter().collect();
        acks.sort_by_key(|ack| ack.at);
        let mut acks = acks.into_iter().peekable();
        loop {
            let ack = acks.peek().map(|ack| group.start.plus(ack.at));
            let next = feed.next().into_iter().chain(ack).min().filter(|at| *at <= end);
            // What is due at the last instant still happens.
            let until = next.unwrap_or(end.plus(Duration::from_millis(1)));
            stage.pass(until.since(stage.hub.clock.now()), listener);
            if self.breaks(stage) || listener.too_many {
                return false;
            }
            if next.is_none() {
                return true;
            }
            feed.give(&stage.hub.store, until);
            while let Some(ack) = acks.next_if(|ack| group.start.plus(ack.at) <= until) {
                // After the evaluations of its instant.
                stage.act(listener);
                self.acknowledge(stage, ack);
            }
        }
    }

    fn acknowledge(&mut self, stage: &Stage, ack: &TestAck) {
        let until = ack.ends.map(|ends| self.setup.group.start.plus(ends));
        let who = Who { by: ack.by.clone(), comment: ack.comment.clone(), until };
        if let Err(error) = stage.hub.acknowledge(&Which::Matchers(ack.matchers.clone()), &who) {
            let message = format!("nothing is acknowledged at {}: {error}", format_duration(ack.at));
            self.fail(ack.span.clone(), message, Vec::new());
        }
    }

    /// Whether rules cannot be evaluated, which ends the test.
    fn breaks(&mut self, stage: &Stage) -> bool {
        let core = stage.hub.core();
        let mut broken = Vec::new();
        for rule in core.engine.rules().iter() {
            let Some(error) = core.reports.get(&rule.uid).and_then(|report| report.error.as_ref()) else { continue };
            broken.push((rule.name.clone(), rule.origin.clone(), error.clone()));
        }
        drop(core);
        let by = format_duration(stage.hub.clock.now().since(self.setup.group.start));
        let any = !broken.is_empty();
        for (name, origin, error) in broken {
            let place = timeline::place(&origin, &name, &self.suite.sources);
            let message = format!("the rule `{name}` cannot be evaluated by {by}: {error}");
            self.fail(self.setup.group.span.clone(), message, vec![format!("rule at {place}")]);
        }
        any
    }

    fn compare(&mut self, (kept, silences): (&MemoryPersist, &[String]), listener: Listener<'_>) {
        let Listener { received, changes, .. } = listener;
        let (group, setting) = (self.setup.group, self.setting);
        // A failure that is told in full shows some of them; there may be very many.
        let events = LazyCell::new(|| notice_lines::events(changes, &received, (kept, silences), group.start));
        let mut named = vec![false; received.len()];
        for test in &group.notices.tests {
            let fitting: Vec<usize> = (0..received.len()).filter(|i| fits(test, &received[*i], setting)).collect();
            fitting.iter().for_each(|i| named[*i] |= test.times > 0);
            if fitting.len() == test.times {
                continue;
            }
            let detail = match self.telling.terse {
                true => Vec::new(),
                false => {
                    let of = |one: &&Received| setting.is_named(&one.notice.handler, &test.handler);
                    let theirs: Vec<&Received> = received.iter().filter(of).collect();
                    notice_lines::detail(test, &theirs, &events, self.telling.diff)
                }
            };
            self.fail(test.span.clone(), notice_lines::message(test, fitting.len()), detail);
        }
        let Some(span) = &group.notices.no_other else { return };
        let others = received.iter().zip(&named).filter(|(_, named)| !**named).map(|(one, _)| one);
        let others: Vec<&Received> = others.collect();
        for one in others.iter().take(OTHERS_MAX) {
            let mut detail = notice_lines::received(one);
            if !self.telling.terse {
                detail.extend(notice_lines::happened(&events, one.at));
            }
            self.fail(span.clone(), format!("no test names this: {}", notice_lines::head(one, true)), detail);
        }
        if let Some(more) = others.len().checked_sub(OTHERS_MAX).filter(|more| *more > 0) {
            self.fail(span.clone(), format!("and {more} more that no test names"), Vec::new());
        }
    }
}

/// A silence without an end outlives the test by this.
const TAIL: Duration = Duration::from_secs(3600);
/// One with windows by this: the next of them may come long after the test.
const WINDOWS_TAIL: Duration = Duration::from_secs(CHANGE_DAYS_MAX.unsigned_abs() * 86_400);

/// Whether a rule is evaluated more than [`STEPS_MAX`] times within a time from the start.
fn too_often(rule: &Rule, (start, time): (Timestamp, Duration)) -> bool {
    match &rule.schedule {
        Schedule::Every(interval) => millis(time) / millis(*interval).max(1) > STEPS_MAX,
        // Slots are a second apart or more.
        Schedule::Cron(_) if millis(time) / 1000 <= STEPS_MAX => false,
        Schedule::Cron(cron) => {
            let end = start.plus(time);
            let slots = std::iter::successors(cron.next_after(start), |at| cron.next_after(*at));
            slots.take_while(|at| *at <= end).nth(STEPS_MAX as usize).is_some()
        }
    }
}

/// Whether a message is one that a test looks for.
fn fits(test: &NoticeTest, one: &Received, setting: &Setting) -> bool {
    let notice = &one.notice;
    (test.from..=test.to).contains(&one.at)
        && setting.is_named(&notice.handler, &test.handler)
        && test.kind.is_none_or(|kind| kind == notice.kind)
        && test.reason.as_deref().is_none_or(|reason| reason == notice.reason.as_str())
        && test.count.is_none_or(|count| count == notice.transitions.len())
        && test.text.as_deref().is_none_or(|text| one.texts.iter().any(|part| part.contains(text)))
        && has(test, notice)
}

/// Whether the alerts of a test are in a message, each another one.
fn has(test: &NoticeTest, notice: &Notice) -> bool {
    let (wanted, have) = (&test.alerts, &notice.transitions);
    let pairs = || assign(wanted.len(), have.len(), |want, at| is(&wanted[want], &have[at], test.kind));
    wanted.len() <= have.len() && pairs().iter().all(Option::is_some)
}

/// Whether an alert of a message is the one that is looked for; where its state is not given, that of the message is.
fn is(want: &NoticeAlert, have: &Transition, kind: Option<NoticeKind>) -> bool {
    let fires = want.fires.or(kind.map(|kind| kind != NoticeKind::Resolved));
    let holds = |want: &BTreeMap<String, String>, have: &Labels| {
        want.iter().all(|(name, value)| have.get(name).map_or(value.is_empty(), |v| v == value))
    };
    fires.is_none_or(|fires| fires != have.kind.is_end())
        && holds(&want.labels, &have.alert.labels)
        && holds(&want.annotations, &have.alert.annotations)
}
