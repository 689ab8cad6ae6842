//! Silences are made, changed and ended, with the rules of Alertmanager (prometheus/alertmanager:silence/silence.go).
//!
//! Place in the flow: the HTTP API asks; what changes is on the disk before it counts and before anybody hears of it.
//! Then routing looks at what was held, so that an alert whose silence is over is told at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use thiserror::Error;
use tracing::info;

use super::hub::{Core, Hub};
use crate::model::{Held, HeldReason, LabelMatcher, Labels, MatchOp, MatcherError, Now, Timestamp};
use crate::persist::{HistoryKind, Kind, NewHistory, Record};
use crate::route::silence::{SILENCES_MAX, SilenceState};
use crate::route::{Rails, Silence, SilenceError, Silences};
use crate::schedule::{Recurrence, RecurrenceText};
use crate::telemetry::TraceIds;

/// Why a silence was not made, changed or ended.
#[derive(Debug, Error)]
pub enum SilencingError {
    /// There is none of that id.
    #[error("silence {0} not found")]
    Unknown(String),
    /// It cannot be so.
    #[error(transparent)]
    Wrong(#[from] SilenceError),
    /// One of its matchers is none.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// Two ways of saying what it covers that differ.
    #[error("`matchers` and the first of `matcherSets` differ; give one of them")]
    Sets,
    /// Nothing was changed, because it would not outlive the process.
    #[error("the silence cannot be stored, so nothing was changed: {0}")]
    NotStored(String),
}

/// A silence as somebody wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The one to change; none for a new one.
    pub id: Option<String>,
    /// One of the sets must fit, and of a set all matchers.
    pub sets: Vec<Vec<LabelMatcher>>,
    /// Whether the sets are all that is meant. Clients of Alertmanager know one set; what they do not know of a silence
    /// that they change stays.
    pub all_sets: bool,
    /// From here; a past time means now.
    pub starts_at: Timestamp,
    /// To here.
    pub ends_at: Timestamp,
    /// Its windows; none for those that it has, where it is there.
    pub recurrence: Option<Option<RecurrenceText>>,
    /// What else is said of it; none for what is said of it, where it is there.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// What one request does: silences as they will be, each with the word of the history for it.
type Changes = Vec<(Silence, &'static str)>;

impl Hub {
    /// Makes or changes a silence; its id. A change that is not allowed in place ends the old one and makes a new one.
    pub fn silence(&self, wanted: Wanted) -> Result<String, SilencingError> {
        let windows = windows(&wanted)?;
        let rails = self.silencing.load();
        let mut core = self.core();
        let now = self.now(&mut core);
        let before = before(&core.silences, &wanted)?;
        let changes = changes(before, wanted, windows, &rails.rails, now.slot)?;
        let id = changes.last().map(|(silence, _)| silence.id.clone()).unwrap_or_default();
        self.change(&mut core, changes, now)?;
        Ok(id)
    }

    /// The silence that a wish would end up as, which is not made.
    pub fn try_silence(&self, wanted: Wanted) -> Result<Silence, SilencingError> {
        let windows = windows(&wanted)?;
        let before = before(&self.core().silences, &wanted)?;
        let changes = changes(before, wanted, windows, &self.silencing.load().rails, self.clock.now())?;
        let last = changes.into_iter().next_back().map(|(silence, _)| silence);
        last.ok_or_else(|| SilencingError::Unknown(String::new()))
    }

    /// Ends a silence. One that is over stays as it is.
    pub fn end_silence(&self, id: &str) -> Result<(), SilencingError> {
        let mut core = self.core();
        let now = self.now(&mut core);
        let silence = core.silences.get(id).ok_or_else(|| SilencingError::Unknown(id.to_owned()))?;
        if silence.state(now.slot) == SilenceState::Expired {
            return Ok(());
        }
        let over = over(silence, now.slot);
        self.change(&mut core, vec![(over, "expired")], now)
    }

    /// Counts what silences held; the counts are stored soon.
    pub(super) fn count_held(&self, silences: &mut Silences, held: &[Held], now: Now) {
        let silenced = held.iter().filter(|held| held.reason == HeldReason::Silenced);
        let by = |held: &Held| Some(silences.covering(&held.transition.alert.labels, now.slot)?.0.id.clone());
        let ids: Vec<String> = silenced.filter_map(by).collect();
        if ids.is_empty() {
            return;
        }
        self.store_soon(&silences.count_held(ids));
    }

    /// The clock was set back: what was done to silences in the time that comes once more stays done. `first` is the first
    /// slot that is judged then, which may lie before `now`.
    pub(super) fn silences_set_back(&self, silences: &mut Silences, (now, first): (Timestamp, Timestamp)) {
        self.store_soon(&silences.set_back(now, first));
    }

    fn store_soon(&self, changed: &[Arc<Silence>]) {
        if changed.is_empty() {
            return;
        }
        let record = |silence: &Arc<Silence>| {
            let value = serde_json::to_string(&**silence).ok()?;
            Some(Record { kind: Kind::Silence, id: silence.id.clone(), value })
        };
        self.keeper.put_soon(changed.iter().filter_map(record).collect());
    }

    /// Stores the changes, takes them over, and tells what is no longer held.
    fn change(&self, core: &mut Core, changes: Changes, now: Now) -> Result<(), SilencingError> {
        let mut next = core.silences.clone();
        let forgotten = make_room(&mut next, &changes, now.slot);
        let mut records = Vec::new();
        let mut history = Vec::new();
        for (silence, what) in &changes {
            next.put(silence.clone())?;
            let value = serde_json::to_string(silence).map_err(|e| SilencingError::NotStored(e.to_string()))?;
            records.push(Record { kind: Kind::Silence, id: silence.id.clone(), value });
            history.push(row(silence, what, now.slot));
        }
        self.keeper.put_now(records, history).map_err(SilencingError::NotStored)?;
        core.silences = next;
        if let Some(id) = forgotten {
            // One that stays on the disk is forgotten with the others of its age.
            let _ = self.keeper.delete_now(Kind::Silence, &[id]);
        }
        for (silence, what) in &changes {
            info!(id = %silence.id, by = %silence.created_by, comment = %silence.comment, until = %silence.ends_at, "A silence was {what}");
        }
        let Core { router, routes, .. } = core;
        router.silences_changed(routes, now);
        self.tell(core, Vec::new(), Some(Vec::new()), now);
        Ok(())
    }
}

/// Where there are as many as are kept, the one that has been over for the longest makes room for a new one.
fn make_room(silences: &mut Silences, changes: &Changes, now: Timestamp) -> Option<String> {
    let more = changes.iter().filter(|(silence, _)| silences.get(&silence.id).is_none()).count();
    if more == 0 || silences.iter().count() + more <= SILENCES_MAX {
        return None;
    }
    let expired = silences.iter().filter(|silence| silence.state(now) == SilenceState::Expired);
    let id = expired.min_by_key(|silence| silence.over_at()).map(|silence| silence.id.clone())?;
    silences.remove(&id);
    Some(id)
}

/// The windows that are wanted, read. That can take a while: it is done while nobody waits for the core.
fn windows(wanted: &Wanted) -> Result<Option<Option<Recurrence>>, SilenceError> {
    let read = |text: &RecurrenceText| Recurrence::new(text.clone(), wanted.starts_at);
    let read = |text: &Option<RecurrenceText>| text.as_ref().map(read).transpose();
    Ok(wanted.recurrence.as_ref().map(read).transpose()?)
}

/// The silence that is to be changed.
fn before(silences: &Silences, wanted: &Wanted) -> Result<Option<Arc<Silence>>, SilencingError> {
    let known = |id: &String| silences.get(id).cloned().ok_or_else(|| SilencingError::Unknown(id.clone()));
    wanted.id.as_ref().map(known).transpose()
}

/// What is to be done for a wish: the silence that it ends up as stands last.
fn changes(
    before: Option<Arc<Silence>>,
    wanted: Wanted,
    windows: Option<Option<Recurrence>>,
    rails: &Rails,
    now: Timestamp,
) -> Result<Changes, SilencingError> {
    let Wanted { sets, all_sets, starts_at, ends_at, annotations, created_by, comment, .. } = wanted;
    let sets = match &before {
        Some(before) if !all_sets && before.sets.first() == sets.first() => before.sets.clone(),
        _ => sets,
    };
    let recurrence = windows.unwrap_or_else(|| before.as_ref()?.recurrence.clone());
    let annotations = annotations.or_else(|| Some(before.as_ref()?.annotations.clone())).unwrap_or_default();
    let held = before.as_ref().map_or(0, |before| before.held);
    let silence = Silence {
        sets,
        starts_at,
        ends_at,
        recurrence,
        created_by,
        comment,
        annotations,
        updated_at: now,
        held,
        id: String::new(),
    };
    if let Some(before) = before.as_ref().filter(|before| may_change(before, &silence, now)) {
        let silence = Silence { id: before.id.clone(), ..silence };
        silence.check(rails, now)?;
        return Ok(vec![(silence, "changed")]);
    }
    let silence = Silence { id: uuid(), starts_at: starts_at.max(now), held: 0, ..silence };
    silence.check(rails, now)?;
    let replaced = before.filter(|before| before.state(now) != SilenceState::Expired);
    let ended = replaced.map(|before| (over(&before, now), "expired"));
    Ok(ended.into_iter().chain([(silence, "added")]).collect())
}

/// Whether a silence may be changed in place: where nothing that was is changed.
fn may_change(before: &Silence, after: &Silence, now: Timestamp) -> bool {
    let same = before.sets == after.sets && before.recurrence == after.recurrence;
    same && before.state(now) != SilenceState::Expired
        && match now < before.starts_at {
            true => after.starts_at >= now,
            false => after.starts_at == before.starts_at && after.ends_at >= now,
        }
}

/// The silence, ended now; one yet to begin never does.
fn over(silence: &Arc<Silence>, now: Timestamp) -> Silence {
    Silence { starts_at: silence.starts_at.min(now), ends_at: now, updated_at: now, ..Silence::clone(silence) }
}

/// A random identity in the form of a UUID of version 4 (RFC 9562 §5.4).
fn uuid() -> String {
    let mut bits = TraceIds::from_os().next_id().0;
    bits = bits & !(0xf << 76) | 0x4 << 76;
    bits = bits & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default().to_owned());
    parts.join("-")
}

/// What a silence covers, as people type it: its matchers, or its sets where there are several.
pub fn sets_text(sets: &[Vec<LabelMatcher>]) -> Vec<String> {
    let texts = |set: &Vec<LabelMatcher>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    match sets {
        [set] => texts(set),
        sets => sets.iter().map(|set| format!("{{{}}}", texts(set).join(", "))).collect(),
    }
}

/// The row of the history. Its labels are those that the silence names, so that a search for an alert finds it.
fn row(silence: &Silence, what: &str, at: Timestamp) -> NewHistory {
    let named = match silence.sets.as_slice() {
        [set] => set.iter().filter(|matcher| matcher.op == MatchOp::Equal).collect(),
        _ => Vec::new(),
    };
    let mut detail = json!({
        "silence": silence.id, "matchers": sets_text(&silence.sets), "created_by": silence.created_by,
        "comment": silence.comment, "starts_at": silence.starts_at, "ends_at": silence.ends_at,
    });
    if let Some(windows) = &silence.recurrence {
        detail["recurrence"] = json!(windows.text());
    }
    NewHistory {
        reason: Some(what.to_owned()),
        labels: Labels::from_pairs(named.iter().map(|matcher| (matcher.name.as_str(), matcher.value.as_str()))),
        detail: Some(detail.to_string()),
        ..NewHistory::new(at, HistoryKind::Silence)
    }
}

#[cfg(test)]
#[path = "silencing_tests.rs"]
mod tests;
