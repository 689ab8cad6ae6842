//! Proof of life: pings to the outside while everything works, and pings from jobs that must not stop.
//!
//! Out: a heartbeat handler's URL is pinged only if every rule with an interval was evaluated within two of them, or is
//! younger than that, and a canary, an alert of its own, went the whole way from evaluation through the outbox to delivery
//! a moment ago. A rule with a calendar (`cron`) is not counted: its next slot may be days away. In: a job pings
//! `POST /api/v1/heartbeat/NAME`, and a rule over `alertd_heartbeat_timestamp_seconds` fires when it stops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tracing::{info, warn};

use super::hub::{Core, Hub};
use super::threads::{Waiter, pause};
use crate::diag::SourceFile;
use crate::ingest::Batch;
use crate::model::alert::CANARY;
use crate::model::labels::METRIC_NAME;
use crate::model::{GroupRef, Labels, Notice, NoticeKind, NoticeReason, STALE_NAN, Timestamp};
use crate::notify::{Attempt, Handler, Outcome, Preview, Sending};
use crate::persist::{Kind, Record};
use crate::route::Receiver as Route;
use crate::rule::{LoadOptions, Rule, load};
use crate::schedule::Schedule;

/// The handler that the canary's alerts go to.
const PERCH: &str = "(canary)";
/// The metric of pings that came in.
const METRIC: &str = "alertd_heartbeat_timestamp_seconds";
/// Label under which alertd's own metrics stand in the store.
const OWN_JOB: (&str, &str) = ("job", super::collect::OWN_JOB);
/// Most jobs that ping.
pub const JOBS_MAX: usize = 1000;
/// Longest name of one, in bytes.
const NAME_LEN_MAX: usize = 100;
/// Prefix of the records of jobs.
const RECORD: &str = "heartbeat\u{1f}";
/// Added to two intervals before a rule counts as late: an evaluation takes its time too.
const SLACK: Duration = Duration::from_secs(5);

/// The canary's rule: it fires at one slot and resolves at the next, so that each slot has something to deliver.
pub fn canary_rule(every: Duration) -> Option<Rule> {
    let secs = every.as_secs().max(1);
    let text = format!(
        "rules:\n  - name: canary\n    description: Proves that alerts are evaluated and delivered.\n    severity: info\n    \
         every: {secs}s\n    expr: vector(time()) % {} < {secs}\n    notify: [\"{PERCH}\"]\n",
        2 * secs
    );
    let rule = load(&[SourceFile::new("(built-in)", &text)], &LoadOptions::default()).rules.into_iter().next()?;
    // No file may name a rule so.
    Some(Rule { internal: true, uid: Arc::from(CANARY), name: Arc::from(CANARY), ..rule })
}

/// The canary's receiver: told of nothing but the canary.
pub fn canary_route() -> Route {
    Route { by_name_only: true, ..Route::new(PERCH) }
}

/// The handler at the end of the canary's way.
pub struct Canary {
    hub_clock: Arc<dyn crate::clock::Clock>,
    /// When it arrived last, on the steady clock; negative before the first time.
    arrived_ms: Arc<AtomicI64>,
}

impl Canary {
    /// One that notes arrivals here.
    pub fn new(clock: Arc<dyn crate::clock::Clock>, arrived_ms: Arc<AtomicI64>) -> Self {
        Self { hub_clock: clock, arrived_ms }
    }
}

impl Handler for Canary {
    fn name(&self) -> &str {
        PERCH
    }

    fn kind(&self) -> &'static str {
        "canary"
    }

    fn preview(&self, _notice: &Notice) -> Preview {
        Preview::default()
    }

    fn send<'a>(&'a self, _notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        self.arrived_ms.store(steady_ms(&*self.hub_clock), Ordering::Relaxed);
        Box::pin(std::future::ready(Outcome::sent("arrived")))
    }
}

fn steady_ms(clock: &dyn crate::clock::Clock) -> i64 {
    i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX)
}

/// One heartbeat handler at work.
pub struct Pinger {
    /// What is alive.
    pub hub: Arc<Hub>,
    /// Sends the ping.
    pub handler: Arc<dyn Handler>,
    /// How often.
    pub interval: Duration,
    /// When the canary arrived last.
    pub arrived_ms: Arc<AtomicI64>,
    /// The canary's interval.
    pub canary_every: Duration,
}

impl Pinger {
    /// Pings until it is time to stop.
    pub fn run(&self, stop: &Receiver<()>) {
        let waiter = match Waiter::new() {
            Ok(waiter) => waiter,
            Err(error) => {
                warn!(handler = self.handler.name(), %error, "A heartbeat cannot be started");
                return;
            }
        };
        let mut failing = false;
        while pause(stop, self.interval) {
            let result = match self.unwell() {
                Some(reason) => Err(("withheld", reason)),
                None => self.ping(&waiter).map_err(|reason| ("failed", reason)),
            };
            let word = result.as_ref().map_or_else(|(word, _)| *word, |()| "sent");
            self.hub.metrics.heartbeat(self.handler.name(), word);
            match result {
                Ok(()) if std::mem::take(&mut failing) => {
                    info!(handler = self.handler.name(), "The heartbeat goes out again")
                }
                Ok(()) => {}
                Err((what, reason)) if !std::mem::replace(&mut failing, true) => {
                    warn!(handler = self.handler.name(), what, reason, "The heartbeat does not go out");
                }
                Err(_) => {}
            }
        }
    }

    /// Why nobody should believe that all is well.
    fn unwell(&self) -> Option<String> {
        let arrived_ms = self.arrived_ms.load(Ordering::Relaxed);
        let age_ms = steady_ms(&*self.hub.clock).saturating_sub(arrived_ms);
        let allowed = self.interval.max(self.canary_every * 2) + SLACK;
        if arrived_ms < 0 || age_ms > crate::model::time::millis(allowed) {
            return Some("no alert went from evaluation to delivery of late".to_owned());
        }
        self.hub.metrics.gauge("alertd_watchdog_age_seconds", age_ms as f64 / 1000.0);
        late_rule(&self.hub.core(), self.hub.clock.now())
    }

    fn ping(&self, waiter: &Waiter) -> Result<(), String> {
        let now = self.hub.clock.now();
        let notice = ping_notice(self.handler.name(), now);
        let attempt = Attempt { number: 1, now, done: &[] };
        match waiter.block_on(self.handler.send(&notice, attempt)) {
            Outcome::Sent { .. } => Ok(()),
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => Err(failure.to_string()),
        }
    }
}

/// What a ping sends: nothing about any alert.
fn ping_notice(handler: &str, now: Timestamp) -> Notice {
    Notice {
        id: format!("ping-{}", now.0),
        handler: Arc::from(handler),
        kind: NoticeKind::Resolved,
        reason: NoticeReason::Test,
        at: now,
        group: GroupRef::new("heartbeat", Labels::empty()),
        note: None,
        held_over: Vec::new(),
        transitions: Vec::new(),
    }
}

/// A rule that was not evaluated within two of its intervals, counted from when it was taken with that interval.
pub fn late_rule(core: &Core, now: Timestamp) -> Option<String> {
    let late = |rule: &&Rule| {
        let Some((taken, Schedule::Every(every))) = core.taken.get(&rule.uid) else { return false };
        let evaluated = core.engine.state(&rule.uid).and_then(|state| state.evaluated_at);
        now.since(evaluated.map_or(*taken, |at| at.max(*taken))) > *every * 2 + SLACK
    };
    let rules = core.engine.rules();
    let late = rules.iter().filter(|rule| rule.enabled).find(late)?;
    Some(format!("rule {} was not evaluated within two intervals", late.name))
}

fn record(name: &str, at: Timestamp) -> Record {
    let value = serde_json::to_string(&at).unwrap_or_default();
    Record { kind: Kind::Setting, id: format!("{RECORD}{name}"), value }
}

/// Why a ping is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BeatError {
    /// A name that is none.
    #[error("a job's name has 1 to {NAME_LEN_MAX} letters, digits, `-`, `_` and `.`")]
    Name,
    /// Too many jobs.
    #[error("{JOBS_MAX} jobs ping already; forget one with DELETE /api/v1/heartbeat/NAME")]
    TooMany,
    /// No such job.
    #[error("no job of this name has pinged")]
    Unknown,
}

/// Jobs that ping, and when they did last.
#[derive(Debug, Default)]
pub struct Heartbeats(Mutex<BTreeMap<String, Timestamp>>);

impl Heartbeats {
    /// Goes on from records; those of other settings are not its own.
    pub fn restore(&self, records: &[Record]) {
        let read = |r: &Record| Some((r.id.strip_prefix(RECORD)?.to_owned(), serde_json::from_str(&r.value).ok()?));
        self.jobs().extend(records.iter().filter_map(read));
    }

    /// Every job and its last ping.
    pub fn list(&self) -> Vec<(String, Timestamp)> {
        self.jobs().iter().map(|(name, at)| (name.clone(), *at)).collect()
    }

    /// All of them as records.
    pub fn records(&self) -> Vec<Record> {
        self.list().iter().map(|(name, at)| record(name, *at)).collect()
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// A job pings.
    pub fn beat(&self, name: &str) -> Result<Timestamp, BeatError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(fits) {
            return Err(BeatError::Name);
        }
        let now = self.clock.now();
        {
            let mut jobs = self.heartbeats.jobs();
            if jobs.len() >= JOBS_MAX && !jobs.contains_key(name) {
                return Err(BeatError::TooMany);
            }
            jobs.insert(name.to_owned(), now);
        }
        self.show_beat(name, now);
        self.keeper.put_soon(vec![record(name, now)]);
        // In the store at once, so that an alert about it ends at the next slot.
        let labels = Labels::from_pairs([(METRIC_NAME, METRIC), ("name", name), OWN_JOB]);
        let mut batch = Batch::default();
        batch.push(labels, Some(now.0), now.as_secs_f64());
        self.store.append(&batch, now.0);
        Ok(now)
    }

    /// Shows a job's last ping among the own metrics, from where it goes into the store again and again.
    pub fn show_beat(&self, name: &str, at: Timestamp) {
        self.metrics.registry().gauge(METRIC, &[("name", name)]).set(at.as_secs_f64());
    }

    /// Forgets a job.
    pub fn forget_beat(&self, name: &str) -> Result<(), BeatError> {
        self.heartbeats.jobs().remove(name).ok_or(BeatError::Unknown)?;
        self.metrics.registry().forget(METRIC, &[("name", name)]);
        let now = self.clock.now();
        let mut batch = Batch::default();
        batch.push(Labels::from_pairs([(METRIC_NAME, METRIC), ("name", name), OWN_JOB]), Some(now.0), STALE_NAN);
        self.store.append(&batch, now.0);
        let _ = self.keeper.delete_now(Kind::Setting, &[format!("{RECORD}{name}")]);
        Ok(())
    }
}
