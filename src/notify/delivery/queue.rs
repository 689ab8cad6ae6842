//! The notices of one handler: order, retry, rate limit, giving up.
//!
//! Notices of one group are told in their order, one at a time, and so is the news of one alert, which may have moved to
//! another group. Apart from that notices of different groups do not wait for each other: a few go at once, and one that
//! keeps failing lets the others pass. While the receiver fails, one attempt at a time finds out when it is back.

#[path = "storm.rs"]
mod storm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::merge::merged;
use super::rate::Rate;
use crate::model::time::millis;
use crate::model::{Fingerprint, Notice, NoticeKind, TransitionKind};
use crate::net::backoff;
use crate::notify::{Failure, FailureClass, Outcome};

/// So many failures in a row, whatever was tried, are the receiver's and not a message's.
const OUTAGE_FAILURES: u32 = 3;

/// Settings of a queue.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// Most messages in a time.
    pub rate_limit: Option<(u32, Duration)>,
    /// A notice older than this is given up at its next failure.
    pub give_up_after: Duration,
    /// Attempts at once.
    pub concurrency_max: usize,
    /// Notices held in memory.
    pub entries_max: usize,
    /// Whether what is more than the rate limit lets through is told as one.
    pub digest: bool,
}

/// A notice that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The message.
    pub notice: Arc<Notice>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was put into the outbox, on the elapsed clock.
    pub since_ms: i64,
    /// Whether an attempt may have reached the receiver: then it is told again as it is, under the same id.
    pub maybe_taken: bool,
    /// Parts (recipients) that need no further attempt.
    pub done: Vec<String>,
    /// Not before this time (steady clock).
    pub not_before_ms: i64,
    /// Handlers that gave it up before this one, or are told of it beside this one.
    pub tried: Vec<Arc<str>>,
}

impl Entry {
    /// One that was never tried.
    pub fn new(notice: Arc<Notice>, since_ms: i64) -> Self {
        let (attempts, not_before_ms) = (0, i64::MIN);
        Self { notice, attempts, since_ms, maybe_taken: false, done: Vec::new(), not_before_ms, tried: Vec::new() }
    }
}

/// What became of a notice that was put in.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// It waits.
    Waits,
    /// It waits, and these, which the receiver has not seen, are told with it: their ids and the new text.
    Merged {
        /// The notices that are gone, the newest first.
        absorbed: Vec<Entry>,
        /// What is told instead.
        told: Box<Entry>,
    },
    /// There is no room; it stays in the outbox for later.
    Full,
}

/// What to do now.
#[derive(Debug)]
pub enum Next {
    /// Try this one.
    Attempt(Box<Entry>),
    /// These, which the receiver has not seen, are told as one now: put that down and ask again.
    Digest {
        /// The notices that are gone.
        absorbed: Vec<Entry>,
        /// What is told instead.
        told: Box<Entry>,
    },
    /// Nothing before this time (steady clock).
    Wait(i64),
    /// Nothing until a notice or an answer comes.
    Idle,
}

/// What becomes of a notice after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered {
        /// Its answer.
        answer: String,
        /// Parts that were refused for good.
        refused: Vec<String>,
    },
    /// Again at this time (steady clock).
    Retry {
        /// When.
        at_ms: i64,
        /// What went wrong.
        failure: Failure,
    },
    /// Given up.
    Dead {
        /// Why.
        failure: Failure,
        /// Whether it was tried for as long as it may be, not refused.
        exhausted: bool,
    },
}

/// Rule uid and fingerprint.
type Alert = (Arc<str>, Fingerprint);

/// The alerts of which a notice has news.
fn news(notice: &Notice) -> impl Iterator<Item = Alert> + '_ {
    let news = notice.transitions.iter().filter(|t| t.kind != TransitionKind::StillFiring);
    news.map(|t| (t.alert.rule_uid.clone(), t.alert.fingerprint))
}

/// The notices of one handler.
#[derive(Debug)]
pub struct Queue {
    settings: QueueSettings,
    /// Waiting notices by group, in their order; never an empty list.
    groups: BTreeMap<Arc<str>, VecDeque<Entry>>,
    /// Groups in the order in which they are tried, and the same as a set.
    turn: VecDeque<Arc<str>>,
    in_turn: BTreeSet<Arc<str>>,
    /// Every notice here by its place in the order in which they came, with its group, and since when: how many of
    /// each instant.
    ids: BTreeMap<String, (u64, Arc<str>)>,
    places: u64,
    /// Where the notices stand that have news of an alert.
    news: BTreeMap<Alert, BTreeSet<u64>>,
    since: BTreeMap<i64, usize>,
    /// What is being tried, by id.
    in_flight: BTreeMap<String, Entry>,
    rate: Option<Rate>,
    /// Failures since the last success.
    failures: u32,
    /// The handler is left alone until then (steady clock).
    resume_ms: i64,
    /// When the last digest was made (steady clock).
    digested_ms: i64,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        let rate = settings.rate_limit.map(|(count, per)| Rate::new(count, per));
        Self {
            settings,
            groups: BTreeMap::new(),
            turn: VecDeque::new(),
            in_turn: BTreeSet::new(),
            ids: BTreeMap::new(),
            places: 0,
            news: BTreeMap::new(),
            since: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            rate,
            failures: 0,
            resume_ms: i64::MIN,
            digested_ms: i64::MIN / 2,
        }
    }

    /// Takes other settings; what waits goes on waiting.
    pub fn reconfigure(&mut self, settings: QueueSettings) {
        if self.settings.rate_limit != settings.rate_limit {
            self.rate = settings.rate_limit.map(|(count, per)| Rate::new(count, per));
        }
        self.settings = settings;
    }

    /// Waits no longer: whatever failed is tried now.
    pub fn wake(&mut self) {
        self.resume_ms = i64::MIN;
        self.failures = 0;
        self.groups.values_mut().flatten().for_each(|entry| entry.not_before_ms = i64::MIN);
    }

    /// Notices that wait or are being tried.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many are being tried.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether a notice is here.
    pub fn holds(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// Since when the oldest waits, on the elapsed clock.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.since.keys().next().copied()
    }

    fn count_in(&mut self, entry: &Entry) {
        self.places += 1;
        self.ids.insert(entry.notice.id.clone(), (self.places, entry.notice.group.key.clone()));
        for alert in news(&entry.notice) {
            self.news.entry(alert).or_default().insert(self.places);
        }
        *self.since.entry(entry.since_ms).or_default() += 1;
    }

    fn count_out(&mut self, entry: &Entry) {
        let place = self.ids.remove(&entry.notice.id).map_or(0, |(place, _)| place);
        for alert in news(&entry.notice) {
            if let Some(places) = self.news.get_mut(&alert) {
                places.remove(&place);
                if places.is_empty() {
                    self.news.remove(&alert);
                }
            }
        }
        if let Some(count) = self.since.get_mut(&entry.since_ms) {
            *count -= 1;
            if *count == 0 {
                self.since.remove(&entry.since_ms);
            }
        }
    }

    /// Whether a notice that came before has news of one of its alerts.
    fn would_overtake(&self, entry: &Entry) -> bool {
        let place = self.ids.get(&entry.notice.id).map_or(0, |(place, _)| *place);
        let first = |alert: Alert| self.news.get(&alert).and_then(|places| places.first()).copied();
        news(&entry.notice).filter_map(first).any(|first| first < place)
    }

    fn wait_in_turn(&mut self, key: Arc<str>) {
        if self.in_turn.insert(key.clone()) {
            self.turn.push_back(key);
        }
    }

    /// Puts a notice in.
    pub fn push(&mut self, mut entry: Entry) -> Pushed {
        let key = entry.notice.group.key.clone();
        let mut absorbed = Vec::new();
        if self.failures > 0 && entry.notice.kind != NoticeKind::Acknowledged {
            // Nobody has seen these, and nobody can until the receiver is back: one message tells it all.
            while let Some(before) = self.take_unseen(&key) {
                entry.notice = Arc::new(merged(&before.notice, &entry.notice));
                entry.since_ms = entry.since_ms.min(before.since_ms);
                entry.attempts = entry.attempts.max(before.attempts);
                entry.not_before_ms = entry.not_before_ms.max(before.not_before_ms);
                absorbed.push(before);
            }
        }
        if absorbed.is_empty() && self.len() >= self.settings.entries_max {
            return Pushed::Full;
        }
        let pushed = match absorbed.is_empty() {
            true => Pushed::Waits,
            false => Pushed::Merged { absorbed, told: Box::new(entry.clone()) },
        };
        self.count_in(&entry);
        self.groups.entry(key.clone()).or_default().push_back(entry);
        self.wait_in_turn(key);
        pushed
    }

    /// Takes out the last waiting notice of a group if the receiver has seen nothing of it, and no later notice of another
    /// group has news of its alerts: told with a later one, its news would come after that.
    fn take_unseen(&mut self, key: &Arc<str>) -> Option<Entry> {
        let last = self.groups.get(key)?.back()?;
        let place = self.ids.get(&last.notice.id).map(|(place, _)| *place);
        let is_last = |alert: Alert| self.news.get(&alert).and_then(|places| places.last()).copied() == place;
        if !news(&last.notice).all(is_last) {
            return None;
        }
        let waiting = self.groups.get_mut(key)?;
        // What is acknowledged must have been opened before.
        let unseen = |before: &mut Entry| !before.maybe_taken && before.done.is_empty();
        let entry = waiting.pop_back_if(|before| unseen(before) && before.notice.kind != NoticeKind::Acknowledged)?;
        if waiting.is_empty() {
            self.groups.remove(key);
        }
        self.count_out(&entry);
        Some(entry)
    }

    /// What to do at `now_ms`.
    pub fn next(&mut self, now_ms: i64) -> Next {
        let at_once = if self.failures > 0 { 1 } else { self.settings.concurrency_max.max(1) };
        if self.in_flight.len() >= at_once || self.turn.is_empty() {
            return Next::Idle;
        }
        let mut earliest = self.rate.as_ref().map_or(now_ms, |rate| rate.ready_ms(now_ms)).max(self.resume_ms);
        if earliest > now_ms {
            return Next::Wait(earliest);
        }
        if let Some(next) = self.digest(now_ms) {
            return next;
        }
        earliest = i64::MAX;
        for _ in 0..self.turn.len() {
            let Some(key) = self.turn.pop_front() else { break };
            match self.groups.get(&key).and_then(VecDeque::front) {
                None => drop(self.in_turn.remove(&key)),
                // The one before it is under way; the group comes back when that is settled.
                Some(_) if self.in_flight.values().any(|e| e.notice.group.key == key) => {
                    self.in_turn.remove(&key);
                }
                Some(entry) if entry.not_before_ms > now_ms => {
                    earliest = earliest.min(entry.not_before_ms);
                    self.turn.push_back(key);
                }
                // Looked at again whenever something is settled.
                Some(entry) if self.would_overtake(entry) => self.turn.push_back(key),
                Some(_) => return self.start(key, now_ms),
            }
        }
        if earliest == i64::MAX { Next::Idle } else { Next::Wait(earliest) }
    }

    fn start(&mut self, key: Arc<str>, now_ms: i64) -> Next {
        self.in_turn.remove(&key);
        let Some(mut entry) = self.groups.get_mut(&key).and_then(VecDeque::pop_front) else { return Next::Idle };
        if self.groups.get(&key).is_some_and(VecDeque::is_empty) {
            self.groups.remove(&key);
        }
        entry.attempts += 1;
        if let Some(rate) = &mut self.rate {
            rate.take(now_ms);
        }
        self.in_flight.insert(entry.notice.id.clone(), entry.clone());
        Next::Attempt(Box::new(entry))
    }

    /// Takes what became of an attempt. `now_ms` is the steady clock, `elapsed_ms` the one that counts downtime.
    pub fn settle(
        &mut self,
        id: &str,
        outcome: Outcome,
        (now_ms, elapsed_ms): (i64, i64),
        random: f64,
    ) -> Option<(Entry, Verdict)> {
        let mut entry = self.in_flight.remove(id)?;
        let key = entry.notice.group.key.clone();
        let verdict = match outcome {
            Outcome::Sent { answer, refused } => {
                self.recovered();
                Verdict::Delivered { answer, refused }
            }
            Outcome::Rejected { failure } => {
                // The receiver is there; it does not want this one.
                if failure.class == FailureClass::ClientError {
                    self.recovered();
                }
                Verdict::Dead { failure, exhausted: false }
            }
            Outcome::Retry { after, failure, done } => {
                entry.maybe_taken |= failure.maybe_taken;
                entry.done = done;
                self.failures = self.failures.saturating_add(1);
                let asked = after.map(|after| backoff(1, Some(after), random));
                let pause = asked.unwrap_or_else(|| backoff(self.failures, None, random));
                self.resume_ms = now_ms.saturating_add(millis(pause));
                if elapsed_ms.saturating_sub(entry.since_ms) >= millis(self.settings.give_up_after) {
                    Verdict::Dead { failure, exhausted: true }
                } else {
                    let own = asked.unwrap_or_else(|| backoff(entry.attempts, None, random));
                    entry.not_before_ms = now_ms.saturating_add(millis(own));
                    Verdict::Retry { at_ms: entry.not_before_ms.max(self.resume_ms), failure }
                }
            }
        };
        if matches!(verdict, Verdict::Retry { .. }) {
            self.groups.entry(key.clone()).or_default().push_front(entry.clone());
        } else {
            self.count_out(&entry);
        }
        if self.groups.contains_key(&key) {
            self.wait_in_turn(key);
        }
        Some((entry, verdict))
    }

    /// Notes that another handler is told of the waiting notices of a group beside this one, and gives those of which it
    /// was not before, in their order.
    pub fn tell_beside(&mut self, group: &str, handler: &Arc<str>) -> Vec<Entry> {
        let waiting = self.groups.get_mut(group).into_iter().flatten();
        let is_news = |entry: &&mut Entry| entry.notice.kind != NoticeKind::Acknowledged;
        let untold = waiting.filter(is_news).filter(|entry| !entry.tried.contains(handler));
        let told = untold.map(|entry| {
            entry.tried.push(handler.clone());
            entry.clone()
        });
        told.collect()
    }

    /// Whether a notice waits here and is not under way.
    pub fn waits(&self, id: &str) -> bool {
        let waiting = self.ids.get(id).and_then(|(_, key)| self.groups.get(key));
        waiting.is_some_and(|waiting| waiting.iter().any(|entry| entry.notice.id == id))
    }

    /// Takes a waiting notice out; one that is under way stays.
    pub fn remove(&mut self, id: &str) -> Option<Entry> {
        let (_, key) = self.ids.get(id)?.clone();
        let waiting = self.groups.get_mut(&key)?;
        let at = waiting.iter().position(|entry| entry.notice.id == id)?;
        let entry = waiting.remove(at)?;
        if waiting.is_empty() {
            self.groups.remove(&key);
        }
        self.count_out(&entry);
        Some(entry)
    }

    /// Notices that may not wait any longer, taken out: for a handler that does not exist (any more).
    pub fn expired(&mut self, elapsed_ms: i64) -> Vec<Entry> {
        let limit = millis(self.settings.give_up_after);
        let old = |entry: &Entry| elapsed_ms.saturating_sub(entry.since_ms) >= limit;
        let mut gone = Vec::new();
        self.groups.retain(|_, waiting| {
            let (out, stay): (VecDeque<Entry>, _) = std::mem::take(waiting).into_iter().partition(old);
            gone.extend(out);
            *waiting = stay;
            !waiting.is_empty()
        });
        gone.iter().for_each(|entry| self.count_out(entry));
        gone
    }

    fn recovered(&mut self) {
        if self.failures >= OUTAGE_FAILURES {
            // It was away, and whoever waited for it need not wait on.
            self.wake();
        }
        self.failures = 0;
        self.resume_ms = i64::MIN;
    }
}
