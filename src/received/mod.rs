//! Alerts that other programs report: what is kept of each, how a report changes it, and when it is over by itself.
//!
//! Place in the flow: `app` brings reports from the HTTP API and the time; what comes out are the same transitions that
//! rules make, so that everything behind them (routes, groups, silences, history) treats both alike. The rules are those
//! of Alertmanager (prometheus/alertmanager:api/v2/api.go, provider/mem/mem.go, types/types.go). Pure: it reads no clock
//! and decides nothing about who is told.

mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use report::{Report, ReportError};

use crate::model::alert::RECEIVED;
use crate::model::labels::ALERT_NAME;
use crate::model::{
    Alert, AlertState, Fingerprint, Labels, Notice, Origin, ResolveReason, Severity, Timestamp, Transition,
    TransitionKind,
};

/// Most alerts that are kept, those that are over a short while ago included.
pub const ALERTS_MAX: usize = 50_000;
/// Most bytes of labels, annotations and links that are kept of them.
pub const BYTES_MAX: usize = 128 << 20;
/// How long one that is over is kept: a late report of it is joined to it.
const OVER_RETENTION: Duration = Duration::from_secs(15 * 60);
/// Most time that is given anew after one in which nobody could report.
const SPARED_MAX: Duration = Duration::from_secs(5 * 60);
/// The label that severity is read from, as in the rules of most people.
const SEVERITY: &str = "severity";
/// Most wrong reports of one request that are named.
const NAMED_MAX: usize = 20;

/// An alert as it was reported last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivedAlert {
    /// Its labels; their fingerprint is its identity.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it is over if nothing further is reported.
    pub ends_at: Timestamp,
    /// Whether that end is ours, because the report had none.
    #[serde(default)]
    pub timeout: bool,
    /// When it was reported last.
    pub updated_at: Timestamp,
    /// Where its source shows it.
    pub generator_url: Arc<str>,
    /// Whether it fires, as far as was told to routing.
    pub firing: bool,
    /// Of its last transition: milliseconds of the wall clock, or one more than before. So numbers go on after a restart.
    pub sequence: u64,
    /// An end later than the reported one, because its source could not report for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spared_until: Option<Timestamp>,
}

impl ReceivedAlert {
    fn bytes(&self) -> usize {
        self.labels.byte_len() + self.annotations.byte_len() + self.generator_url.len()
    }

    /// When something has to be done about it.
    fn due(&self) -> Timestamp {
        if self.firing { self.over_at() } else { self.ends_at.max(self.updated_at).plus(OVER_RETENTION) }
    }

    /// When it is over if nothing further is reported: its end, or later where its source could not report.
    pub fn over_at(&self) -> Timestamp {
        self.spared_until.unwrap_or(self.ends_at).max(self.ends_at)
    }

    /// As routes, messages and the API see it.
    pub fn shown(&self) -> Alert {
        let rule: Arc<str> = self.labels.get(ALERT_NAME).map_or_else(|| Arc::from("unnamed"), Arc::from);
        Alert {
            rule_uid: Arc::from(RECEIVED),
            rule,
            origin: Origin { file: report::origin(&self.generator_url), line: 0 },
            fingerprint: self.labels.fingerprint(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            state: if self.firing { AlertState::Firing } else { AlertState::Inactive },
            severity: self.labels.get(SEVERITY).and_then(Severity::from_label).unwrap_or_default(),
            value: f64::NAN,
            peak: f64::NAN,
            condition: Arc::from(""),
            limit: None,
            active_at: self.starts_at,
            fired_at: Some(self.starts_at),
            resolved_at: (!self.firing).then_some(self.ends_at),
            no_data_since: None,
            flapping: None,
            notify: Vec::new(),
            generator_url: Some(self.generator_url.clone()),
        }
    }
}

/// All alerts that were reported.
#[derive(Clone, Debug, Default)]
pub struct Received {
    alerts: BTreeMap<Fingerprint, ReceivedAlert>,
    /// By when something is due.
    due: BTreeSet<(Timestamp, Fingerprint)>,
    /// Those of them that are over: they give way to new ones, the longest over first.
    over: BTreeSet<(Timestamp, Fingerprint)>,
    bytes: usize,
    dirty: BTreeSet<Fingerprint>,
}

/// What became of reports.
#[derive(Debug, Default)]
pub struct Taken {
    /// What changed, in the order of the reports.
    pub transitions: Vec<Transition>,
    /// Reports of alerts that fire.
    pub firing: usize,
    /// Reports of alerts that are over.
    pub resolved: usize,
    /// Reports that were not taken.
    pub refused: Vec<Refused>,
}

/// A report that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place among all.
    pub place: usize,
    /// Its labels, as far as they go, where it is wrong and not many were before it.
    pub name: Option<String>,
    /// Why.
    pub error: ReportError,
}

impl Received {
    /// Goes on from what is stored.
    pub fn restore(alerts: impl IntoIterator<Item = ReceivedAlert>) -> Self {
        let mut restored = Self::default();
        for alert in alerts {
            restored.put(alert);
        }
        restored.dirty.clear();
        restored
    }

    /// Takes reports; those that are wrong or have no room are left out. One without an end is over after
    /// `resolve_timeout`. What is over by itself [`Self::expire`] ends: one that is repeated before that goes on.
    pub fn take(&mut self, reports: Vec<Report>, resolve_timeout: Duration, now: Timestamp) -> Taken {
        let (mut taken, mut wrong) = (Taken::default(), 0);
        for (place, report) in reports.into_iter().enumerate() {
            let (starts_at, ends_at) = match report.span(resolve_timeout, now) {
                Ok(span) => span,
                Err(error) => {
                    let name = (wrong < NAMED_MAX).then(|| report.name());
                    wrong += 1;
                    taken.refused.push(Refused { place, name, error });
                    continue;
                }
            };
            let reported = report.reported(starts_at, ends_at, now);
            let fires = reported.ends_at > now;
            match self.one(reported, now) {
                Ok(transition) => {
                    *(if fires { &mut taken.firing } else { &mut taken.resolved }) += 1;
                    taken.transitions.extend(transition);
                }
                Err(error) => taken.refused.push(Refused { place, name: None, error }),
            }
        }
        taken
    }

    fn one(&mut self, reported: ReceivedAlert, now: Timestamp) -> Result<Option<Transition>, ReportError> {
        let fingerprint = reported.labels.fingerprint();
        let before = self.alerts.get(&fingerprint);
        let fires = reported.ends_at > now;
        if before.is_none() && !fires {
            // Nobody was told of it here: there is nothing to take back.
            return Ok(None);
        }
        let mut after = match before {
            Some(before) => before.joined(reported, now),
            None => reported,
        };
        let fired = before.is_some_and(|before| before.firing);
        after.firing = after.ends_at > now;
        after.sequence = before.map_or(0, |before| before.sequence);
        if !self.make_room(fingerprint, after.bytes()) {
            // That it goes on or is over counts, though there is no room for what is said of it now.
            let Some(before) = self.alerts.get(&fingerprint) else {
                // One that was over has just given way to others.
                return if after.firing { Err(ReportError::Full) } else { Ok(None) };
            };
            (after.annotations, after.generator_url) = (before.annotations.clone(), before.generator_url.clone());
        }
        let kind = match (fired, after.firing) {
            (false, true) => Some(TransitionKind::Fired),
            (true, false) => Some(TransitionKind::Resolved { reason: ResolveReason::Recovered }),
            _ => None,
        };
        let transition = kind.map(|kind| after.moved(kind, now));
        self.put(after);
        Ok(transition)
    }

    /// Whether there is room for an alert of so many bytes; as many of those that are over give way as it takes.
    fn make_room(&mut self, fingerprint: Fingerprint, bytes: usize) -> bool {
        loop {
            let before = self.alerts.get(&fingerprint);
            let count = self.alerts.len() + usize::from(before.is_none());
            let others = self.bytes.saturating_sub(before.map_or(0, ReceivedAlert::bytes));
            if count <= ALERTS_MAX && others.saturating_add(bytes) <= BYTES_MAX {
                return true;
            }
            let Some(&(_, longest)) = self.over.first() else { return false };
            self.remove(longest);
        }
    }

    /// Ends alerts whose end has come, and forgets those that were over long ago.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        while let Some(&(due, fingerprint)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, fingerprint));
            match self.alerts.get(&fingerprint).filter(|alert| alert.firing).cloned() {
                Some(mut alert) => {
                    alert.firing = false;
                    transitions.push(alert.moved(TransitionKind::Resolved { reason: ResolveReason::Expired }, now));
                    self.put(alert);
                }
                None => self.remove(fingerprint),
            }
        }
        transitions
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Between `since` and `now` nobody could report, because the process was down or the clock jumped: alerts have as
    /// much time left as they had then, at most `SPARED_MAX`. None stands for the time of the last report of each. A
    /// `since` that is later than `now` says that the clock was set back: the ends that were counted from it go with it.
    pub fn spare(&mut self, since: Option<Timestamp>, now: Timestamp) {
        let spared = |alert: &ReceivedAlert| match since {
            Some(since) if since > now => Some(alert.set_back(since.since(now))),
            _ => alert.spared(since, now),
        };
        let changed: Vec<ReceivedAlert> = self.alerts.values().filter_map(spared).collect();
        changed.into_iter().for_each(|alert| self.put(alert));
    }

    /// Takes in one that people were told of and of which nothing else is left: it is over after a time, unless it is
    /// reported again.
    pub fn adopt(&mut self, told: &Transition, resolve_timeout: Duration, now: Timestamp) {
        let alert = &told.alert;
        if self.alerts.contains_key(&alert.fingerprint) {
            return;
        }
        self.put(ReceivedAlert {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.active_at,
            ends_at: now.plus(resolve_timeout),
            timeout: true,
            updated_at: told.at,
            generator_url: alert.generator_url.clone().unwrap_or_default(),
            firing: true,
            sequence: told.sequence,
            spared_until: None,
        });
    }

    /// Forgets those that fire and of which routing knows nothing: the next report fires them anew.
    pub fn keep_known(&mut self, is_known: impl Fn(Fingerprint) -> bool) {
        let lost: Vec<Fingerprint> =
            self.alerts.iter().filter(|(f, alert)| alert.firing && !is_known(**f)).map(|(f, _)| *f).collect();
        lost.into_iter().for_each(|fingerprint| self.remove(fingerprint));
    }

    /// One alert.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&ReceivedAlert> {
        self.alerts.get(&fingerprint)
    }

    /// Those that fire, by fingerprint.
    pub fn firing(&self) -> impl Iterator<Item = &ReceivedAlert> {
        self.alerts.values().filter(|alert| alert.firing)
    }

    /// All that are kept.
    pub fn iter(&self) -> impl Iterator<Item = (Fingerprint, &ReceivedAlert)> {
        self.alerts.iter().map(|(fingerprint, alert)| (*fingerprint, alert))
    }

    /// How many are kept, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.alerts.len(), self.bytes)
    }

    /// Alerts that changed or are gone since this was last asked.
    pub fn take_dirty(&mut self) -> BTreeSet<Fingerprint> {
        std::mem::take(&mut self.dirty)
    }

    /// Brings alerts that are told later than they changed up to date; the labels they leave with stay.
    pub fn refresh(&self, notices: &mut [Notice]) {
        for transition in notices.iter_mut().flat_map(|notice| &mut notice.transitions) {
            let over = transition.kind.is_end();
            if over || !transition.alert.is_received() {
                continue;
            }
            let Some(now) = self.alerts.get(&transition.alert.fingerprint).filter(|alert| alert.firing) else {
                continue;
            };
            let shown = now.shown();
            if shown.annotations != transition.alert.annotations
                || shown.generator_url != transition.alert.generator_url
            {
                let told = Arc::make_mut(transition);
                told.alert = Alert { labels: told.alert.labels.clone(), ..shown };
            }
        }
    }

    fn put(&mut self, alert: ReceivedAlert) {
        let fingerprint = alert.labels.fingerprint();
        self.remove(fingerprint);
        let due = (alert.due(), fingerprint);
        self.due.insert(due);
        if !alert.firing {
            self.over.insert(due);
        }
        self.bytes += alert.bytes();
        self.dirty.insert(fingerprint);
        self.alerts.insert(fingerprint, alert);
    }

    fn remove(&mut self, fingerprint: Fingerprint) {
        if let Some(gone) = self.alerts.remove(&fingerprint) {
            let due = (gone.due(), fingerprint);
            self.due.remove(&due);
            self.over.remove(&due);
            self.bytes = self.bytes.saturating_sub(gone.bytes());
            self.dirty.insert(fingerprint);
        }
    }
}

impl ReceivedAlert {
    /// A later report joined to this one, where they overlap in time: the earlier start counts, the newer words, and of
    /// the ends the later one that a report gave.
    fn joined(&self, newer: Self, now: Timestamp) -> Self {
        let within = |at: Timestamp| at > self.starts_at && at < self.ends_at;
        if !within(newer.ends_at) && !within(newer.starts_at) {
            return newer;
        }
        let later = self.ends_at > newer.ends_at;
        let keeps_end = if newer.ends_at <= now { self.ends_at <= now && later } else { later && !self.timeout };
        let (ends_at, timeout) = if keeps_end { (self.ends_at, self.timeout) } else { (newer.ends_at, newer.timeout) };
        Self { starts_at: self.starts_at.min(newer.starts_at), ends_at, timeout, ..newer }
    }

    /// With as much time left as it had at `since`, where that is later than its end.
    fn spared(&self, since: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let over_at = self.over_at();
        let left = over_at.since(since.unwrap_or(self.updated_at)).min(SPARED_MAX);
        let until = now.plus(left);
        let later = self.firing && !left.is_zero() && until > over_at;
        later.then(|| Self { spared_until: Some(until), ..self.clone() })
    }

    /// As the clock has it after it was set back. An end that its source gave is one of the source's clock and stays.
    fn set_back(&self, by: Duration) -> Self {
        let ours = self.timeout || !self.firing;
        let ends_at = if ours { self.ends_at.minus(by) } else { self.ends_at };
        Self {
            starts_at: self.starts_at.min(ends_at),
            ends_at,
            updated_at: self.updated_at.minus(by),
            spared_until: self.spared_until.map(|until| until.minus(by)),
            ..self.clone()
        }
    }

    /// Notes a change, and gives it as others see it.
    fn moved(&mut self, kind: TransitionKind, now: Timestamp) -> Transition {
        self.sequence = (self.sequence + 1).max(u64::try_from(now.as_millis()).unwrap_or(0));
        Transition { at: now, sequence: self.sequence, kind, alert: self.shown(), trend: Vec::new(), link: None }
    }
}
