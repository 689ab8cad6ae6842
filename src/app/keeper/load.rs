//! From records to the core's state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tracing::{error, warn};

use super::Envelope;
use super::records::{AlertRecord, Marks, RuleRecord};
use crate::app::outbox::{StandIn, Stored};
use crate::engine::{SAVED_STATE_VERSION, SavedState};
use crate::model::Now;
use crate::notify::delivery::Entry;
use crate::persist::{Damage, Kind, Loaded, NewNotice, OutboxRow, Record};
use crate::received::ReceivedAlert;
use crate::route::{SavedRouter, Silence};
use crate::state::{Instance, KeptDetector, RuleState};

/// What an earlier process left.
#[derive(Default)]
pub struct Restored {
    /// Rules and alerts.
    pub state: SavedState,
    /// What handlers know.
    pub router: SavedRouter,
    /// Silences.
    pub silences: Vec<Silence>,
    /// What fallbacks believe.
    pub fallbacks: Vec<StandIn>,
    /// Records of earlier versions that nobody can use any more.
    pub outdated: Vec<(Kind, String)>,
    /// Notices to be delivered, in their order.
    pub outbox: Vec<Stored>,
    /// Alerts that others reported.
    pub received: Vec<ReceivedAlert>,
    /// Anything else that is kept.
    pub settings: Vec<Record>,
    /// What was damaged.
    pub damages: Vec<Damage>,
    pub(super) marks: Marks,
}

impl Restored {
    /// Whether there was nothing of the core: no rule, alert, silence or notice. The clock alone may be lost.
    pub fn is_empty(&self) -> bool {
        self.state.now.is_none()
            && self.state.rules.is_empty()
            && self.router.is_empty()
            && self.fallbacks.is_empty()
            && self.outbox.is_empty()
            && self.silences.is_empty()
            && self.received.is_empty()
    }
}

/// Puts records together. One that cannot be read is told and left out; it is never guessed at.
pub(super) fn restored(loaded: Loaded) -> Restored {
    let mut out = Restored { damages: loaded.damages, ..Restored::default() };
    if loaded.restored_from_mirror {
        warn!("The state was damaged and was restored from its copy");
    }
    for damage in &out.damages {
        error!(file = damage.file, what = damage.what, lost = damage.lost, "Stored state was damaged");
    }
    let mut records = loaded.records;
    let mut take = |kind| records.remove(&kind).unwrap_or_default();
    let now: Option<Now> = take(Kind::Clock).iter().find_map(read);
    let mut rules: BTreeMap<Arc<str>, RuleState> = BTreeMap::new();
    for record in take(Kind::Rule) {
        let Some(rule) = read::<RuleRecord>(&record) else { continue };
        let uid: Arc<str> = Arc::from(record.id);
        out.marks.seen_rule(&uid);
        let RuleRecord { seen, health, evaluated_at, sequence, over_limit } = rule;
        rules.insert(uid, RuleState { seen, health, evaluated_at, sequence, over_limit, ..RuleState::default() });
    }
    for record in take(Kind::Alert) {
        let Some(found) = read::<AlertRecord<Instance>>(&record) else { continue };
        out.marks.seen_alert(&found.uid, &found.key);
        rules.entry(found.uid).or_default().instances.insert(found.key, found.alert);
    }
    for record in take(Kind::Detector) {
        let Some(found) = read::<AlertRecord<KeptDetector>>(&record) else { continue };
        out.marks.seen_detector(&found.uid, &found.key);
        rules.entry(found.uid).or_default().detectors.put(found.key, found.alert);
    }
    out.state = SavedState { version: SAVED_STATE_VERSION, now, rules };
    let told = take(Kind::Told).iter().filter_map(read).collect();
    let groups = take(Kind::Group).iter().filter_map(read).collect();
    out.settings = take(Kind::Setting);
    let begun = out.settings.iter().filter(|r| r.id == "groups_begun").find_map(read);
    out.router = SavedRouter::from_parts(told, groups, begun.unwrap_or(0));
    out.received = take(Kind::Received).iter().filter_map(read).collect();
    out.silences = take(Kind::Silence).iter().filter_map(read).collect();
    let (groups, stand_ins): (Vec<Record>, Vec<Record>) = take(Kind::Fallback).into_iter().partition(is_of_group);
    out.fallbacks = stand_ins.iter().filter_map(read).collect();
    out.outdated = groups.into_iter().map(|record| (record.kind, record.id)).collect();
    out.outbox = loaded.outbox.iter().filter_map(stored).collect();
    out
}

fn read<T: DeserializeOwned>(record: &Record) -> Option<T> {
    match serde_json::from_str(&record.value) {
        Ok(value) => Some(value),
        Err(error) => {
            error!(kind = record.kind.as_str(), id = record.id, %error, "A stored record cannot be read and is left out");
            None
        }
    }
}

/// Whether a record says no more than that a fallback was told of a group: earlier versions did not know of which alerts.
fn is_of_group(record: &Record) -> bool {
    serde_json::from_str::<(&str, &str)>(&record.value).is_ok()
}

/// The notice of a row of the outbox.
pub(super) fn stored(row: &OutboxRow) -> Option<Stored> {
    entry(&row.id, &row.payload)
        .map(|entry| Stored { entry: Entry { attempts: row.attempts, maybe_taken: row.maybe_sent, ..entry } })
}

/// A notice that has no row yet.
pub(super) fn waiting(notice: &NewNotice) -> Option<Stored> {
    entry(&notice.id, &notice.payload).map(|entry| Stored { entry })
}

fn entry(id: &str, payload: &str) -> Option<Entry> {
    match serde_json::from_str::<Envelope>(payload) {
        Ok(mut envelope) => {
            // Each part once, whatever an earlier version stored.
            let mut seen = BTreeSet::new();
            envelope.done.retain(|part| seen.insert(part.clone()));
            let Envelope { notice, since_ms, done, tried } = envelope;
            Some(Entry { done, tried, ..Entry::new(notice, since_ms) })
        }
        Err(error) => {
            error!(notice = id, %error, "A stored notice cannot be read; it stays in the outbox");
            None
        }
    }
}
