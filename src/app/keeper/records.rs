//! The core's state as records, and which of them changed.
//!
//! What is stored is known by a hash of what matters. The value of a signal moves at every slot and is measured anew
//! after a restart, so it alone is no change, and its peak only where it grew by a sixteenth; everything that decides is.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Inner, Kept, json};
use crate::engine::Engine;
use crate::model::{Fingerprint, Labels, Timestamp};
use crate::persist::{Everything, Kind, Record};
use crate::received::ReceivedAlert;
use crate::route::{AlertKey, Router};
use crate::state::{Health, Instance, RuleState, is_internal};

/// Bytes of detectors' state that one commit may hold: all are stored in turn, a part at every slot.
const DETECTOR_BYTES_MAX: usize = 2 << 20;
/// Time from the beginning of one turn to the next, on the elapsed clock.
const TURN_MS: i64 = 30_000;
/// Between the parts of a record's id.
const UNIT: char = '\u{1f}';

/// What is stored.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    rules: BTreeMap<Arc<str>, RuleMarks>,
    /// Detectors that are stored.
    detectors: BTreeSet<(Arc<str>, Labels)>,
    /// Detectors whose turn is to come.
    turn: Vec<(Arc<str>, Labels)>,
    turn_begun_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct RuleMarks {
    rule: u64,
    alerts: BTreeMap<Labels, u64>,
}

/// A change of the marks, made when the records are stored.
pub(super) enum Mark {
    Rule(Arc<str>, u64),
    Alert(Arc<str>, Labels, u64),
    Detector(Arc<str>, Labels),
    NoRule(Arc<str>),
    NoAlert(Arc<str>, Labels),
    NoDetector(Arc<str>, Labels),
}

/// Records that changed.
#[derive(Default)]
pub(super) struct Changes {
    pub put: Vec<Record>,
    pub delete: Vec<(Kind, String)>,
    pub marks: Vec<Mark>,
}

impl Marks {
    pub(super) fn apply(&mut self, marks: Vec<Mark>) {
        for mark in marks {
            match mark {
                Mark::Rule(uid, hash) => self.rules.entry(uid).or_default().rule = hash,
                Mark::Alert(uid, key, hash) => drop(self.rules.entry(uid).or_default().alerts.insert(key, hash)),
                Mark::Detector(uid, key) => drop(self.detectors.insert((uid, key))),
                Mark::NoRule(uid) => drop(self.rules.remove(&uid)),
                Mark::NoAlert(uid, key) => drop(self.rules.entry(uid).or_default().alerts.remove(&key)),
                Mark::NoDetector(uid, key) => drop(self.detectors.remove(&(uid, key))),
            }
        }
    }

    /// Notes what was loaded: it is stored already, in whatever state.
    pub(super) fn seen_alert(&mut self, uid: &Arc<str>, key: &Labels) {
        self.rules.entry(uid.clone()).or_default().alerts.insert(key.clone(), 0);
    }

    pub(super) fn seen_rule(&mut self, uid: &Arc<str>) {
        self.rules.entry(uid.clone()).or_default();
    }

    pub(super) fn seen_detector(&mut self, uid: &Arc<str>, key: &Labels) {
        self.detectors.insert((uid.clone(), key.clone()));
    }
}

/// A rule without its alerts and detectors.
#[derive(Serialize, Deserialize)]
pub(super) struct RuleRecord {
    pub seen: BTreeSet<Labels>,
    pub health: Health,
    pub evaluated_at: Option<Timestamp>,
    pub sequence: u64,
    pub over_limit: usize,
}

/// An alert and its key within the rule.
#[derive(Serialize, Deserialize)]
pub(super) struct AlertRecord<T> {
    pub uid: Arc<str>,
    pub key: Labels,
    pub alert: T,
}

fn hashed(value: impl Hash) -> u64 {
    // Fixed keys: marks live as long as the process, and equal states must have equal marks.
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

fn mark_of_rule(state: &RuleState) -> u64 {
    let health = match &state.health {
        Health::Unknown => (0, None),
        Health::Ok => (1, None),
        Health::Err { message, since } => (2, Some((message, *since))),
    };
    hashed((state.sequence, health, state.over_limit, &state.seen))
}

fn mark_of_alert(key: &Labels, instance: &Instance) -> u64 {
    let no_data = instance.no_data.map(|d| (d.at, d.elapsed_ms, d.watched_ms));
    // What an alert about the rule itself says is made when it happens, not anew from its value.
    let words = is_internal(key).then_some(&instance.annotations);
    hashed((
        (instance.state, instance.level, coarse(instance.peak), instance.limit.map(f64::to_bits)),
        (instance.active_at, instance.active_watched_ms, instance.fired_at, instance.ended_at),
        (instance.keep_since_ms, no_data, &instance.labels, &instance.flaps, words),
    ))
}

/// A number to four bits: a signal that grows would otherwise have its alert stored at every slot.
fn coarse(value: f64) -> u64 {
    value.to_bits() >> 48
}

fn record(kind: Kind, id: String, value: &impl Serialize) -> Record {
    Record { kind, id, value: json(value) }
}

fn id_of(uid: &str, key: &Labels) -> String {
    format!("{uid}{UNIT}{}", json(key))
}

/// What differs from what is stored.
pub(super) fn changes(inner: &mut Inner, kept: &Kept<'_>) -> Changes {
    let mut out = Changes::default();
    out.put.push(record(Kind::Clock, "now".to_owned(), &kept.now));
    if !inner.all {
        for uid in &inner.evaluated {
            let Some(state) = kept.engine.state(uid) else { continue };
            rule_changes(inner.marks.rules.get(uid), uid, state, &mut out);
        }
        finish(inner, kept, &mut out);
        return out;
    }
    for (uid, state) in kept.engine.states() {
        rule_changes(inner.marks.rules.get(uid), uid, state, &mut out);
    }
    for (uid, marks) in inner.marks.rules.iter().filter(|(uid, _)| kept.engine.state(uid).is_none()) {
        out.delete.push((Kind::Rule, uid.to_string()));
        out.delete.extend(marks.alerts.keys().map(|key| (Kind::Alert, id_of(uid, key))));
        out.marks.push(Mark::NoRule(uid.clone()));
    }
    finish(inner, kept, &mut out);
    out
}

/// The parts that know themselves what changed.
fn finish(inner: &mut Inner, kept: &Kept<'_>, out: &mut Changes) {
    if inner.all {
        // Rules may have other uids now, and their detectors other records.
        inner.marks.turn_begun_ms = None;
        inner.marks.turn.clear();
    }
    detector_changes(&mut inner.marks, kept, out);
    let (alerts, groups) = (inner.dirty.alerts.iter(), inner.dirty.groups.iter());
    route_changes(kept.router, alerts, groups.copied(), out);
    for fingerprint in &inner.received {
        match kept.received.get(*fingerprint) {
            Some(alert) => out.put.push(received(*fingerprint, alert)),
            None => out.delete.push((Kind::Received, fingerprint.to_string())),
        }
    }
}

fn received(fingerprint: Fingerprint, alert: &ReceivedAlert) -> Record {
    record(Kind::Received, fingerprint.to_string(), alert)
}

fn rule_changes(marks: Option<&RuleMarks>, uid: &Arc<str>, state: &RuleState, out: &mut Changes) {
    let hash = mark_of_rule(state);
    if marks.is_none_or(|marks| marks.rule != hash) {
        out.put.push(record(Kind::Rule, uid.to_string(), &rule_record(state)));
        out.marks.push(Mark::Rule(uid.clone(), hash));
    }
    let stored = |key: &Labels| marks.and_then(|marks| marks.alerts.get(key)).copied();
    for (key, instance) in &state.instances {
        let hash = mark_of_alert(key, instance);
        if stored(key) != Some(hash) {
            let (uid, key) = (uid.clone(), key.clone());
            out.put.push(record(
                Kind::Alert,
                id_of(&uid, &key),
                &AlertRecord { uid: uid.clone(), key: key.clone(), alert: instance },
            ));
            out.marks.push(Mark::Alert(uid, key, hash));
        }
    }
    for key in marks.into_iter().flat_map(|marks| marks.alerts.keys()).filter(|k| !state.instances.contains_key(*k)) {
        out.delete.push((Kind::Alert, id_of(uid, key)));
        out.marks.push(Mark::NoAlert(uid.clone(), key.clone()));
    }
}

fn rule_record(state: &RuleState) -> RuleRecord {
    RuleRecord {
        seen: state.seen.clone(),
        health: state.health.clone(),
        evaluated_at: state.evaluated_at,
        sequence: state.sequence,
        over_limit: state.over_limit,
    }
}

/// The next detectors in turn.
fn detector_changes(marks: &mut Marks, kept: &Kept<'_>, out: &mut Changes) {
    let now_ms = kept.now.elapsed_ms;
    let rested = marks.turn_begun_ms.is_none_or(|begun| now_ms.saturating_sub(begun) >= TURN_MS);
    if marks.turn.is_empty() && rested {
        marks.turn_begun_ms = Some(now_ms);
        let present = all_detectors(kept.engine);
        for (uid, key) in marks.detectors.iter().filter(|stored| present.binary_search(stored).is_err()) {
            out.delete.push((Kind::Detector, id_of(uid, key)));
            out.marks.push(Mark::NoDetector(uid.clone(), key.clone()));
        }
        marks.turn = present;
    }
    let mut bytes = 0;
    while bytes < DETECTOR_BYTES_MAX
        && let Some((uid, key)) = marks.turn.pop()
    {
        let Some(record) = detector_record(kept.engine, &uid, &key) else { continue };
        bytes += record.value.len();
        out.put.push(record);
        out.marks.push(Mark::Detector(uid, key));
    }
}

fn all_detectors(engine: &Engine) -> Vec<(Arc<str>, Labels)> {
    let of_rule = |(uid, state): (&Arc<str>, &RuleState)| {
        state.detectors.labels().into_iter().map(|key| (uid.clone(), key.clone())).collect::<Vec<_>>()
    };
    engine.states().flat_map(of_rule).collect()
}

fn detector_record(engine: &Engine, uid: &Arc<str>, key: &Labels) -> Option<Record> {
    let kept = engine.state(uid)?.detectors.get(key)?;
    let alert = AlertRecord { uid: uid.clone(), key: key.clone(), alert: kept };
    Some(record(Kind::Detector, id_of(uid, key), &alert))
}

fn route_changes<'a>(
    router: &Router,
    alerts: impl Iterator<Item = &'a AlertKey>,
    groups: impl Iterator<Item = u64>,
    out: &mut Changes,
) {
    for key in alerts {
        match router.saved_alert(key) {
            Some(value) => out.put.push(record(Kind::Told, key.record_id(), &value)),
            None => out.delete.push((Kind::Told, key.record_id())),
        }
    }
    let mut any = false;
    for number in groups {
        any = true;
        match router.saved_group(number) {
            Some(value) => out.put.push(record(Kind::Group, number.to_string(), &value)),
            None => out.delete.push((Kind::Group, number.to_string())),
        }
    }
    if any {
        out.put.push(record(Kind::Setting, "groups_begun".to_owned(), &router.groups_begun()));
    }
}

/// All records, and the marks that go with them.
pub(super) fn everything(kept: &Kept<'_>) -> (Everything, Marks) {
    let mut out = Changes::default();
    out.put.push(record(Kind::Clock, "now".to_owned(), &kept.now));
    for (uid, state) in kept.engine.states() {
        rule_changes(None, uid, state, &mut out);
    }
    for (uid, key) in all_detectors(kept.engine) {
        out.put.extend(detector_record(kept.engine, &uid, &key));
        out.marks.push(Mark::Detector(uid, key));
    }
    let (alerts, groups) = kept.router.keys();
    route_changes(kept.router, alerts.iter(), groups.into_iter(), &mut out);
    let silences = kept.silences.iter();
    out.put.extend(silences.map(|silence| record(Kind::Silence, silence.id.clone(), &**silence)));
    let told = kept.fallbacks.saved();
    out.put.extend(told.iter().map(super::ledger::stand_in_record));
    out.put.extend(kept.others.heartbeats.records());
    out.put.extend(kept.others.links.record());
    out.put.extend(kept.received.iter().map(|(fingerprint, alert)| received(fingerprint, alert)));
    let mut marks = Marks::default();
    marks.apply(out.marks);
    (Everything { records: out.put, outbox: None }, marks)
}

/// All detectors, for the end of the process: in parts, each of a bounded size.
pub(super) fn all_detector_records(engine: &Engine) -> impl Iterator<Item = Vec<Record>> + '_ {
    let mut left = all_detectors(engine);
    std::iter::from_fn(move || {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while bytes < 4 * DETECTOR_BYTES_MAX
            && let Some((uid, key)) = left.pop()
        {
            let Some(record) = detector_record(engine, &uid, &key) else { continue };
            bytes += record.value.len();
            part.push(record);
        }
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::bench::Bench;

    #[test]
    fn a_signal_that_grows_a_little_has_its_alert_not_stored_anew() {
        let bench = Bench::new();
        bench.tick(9.0);
        let core = bench.hub.core();
        let (key, alert) = core.engine.states().flat_map(|(_, state)| &state.instances).next().unwrap();
        let at_peak = |peak: f64| mark_of_alert(key, &Instance { peak, value: peak, ..alert.clone() });
        assert_eq!(at_peak(1000.0), at_peak(1001.0));
        assert_ne!(at_peak(1000.0), at_peak(1100.0));
        assert_ne!(at_peak(1000.0), at_peak(-1000.0));
        assert_ne!(at_peak(1000.0), at_peak(f64::INFINITY));
    }
}
