//! Keeps what must outlive the process: turns the core's state, notices and happenings into rows, and back.
//!
//! Place in the flow: after the core has stepped and before anything is delivered, [`Keeper::commit`] stores what
//! changed, what is to be told and what happened in one transaction. Where that fails (a full disk, a lost directory)
//! the process goes on from memory, everything unsaved waits here, and the next commit that succeeds holds it; endings of
//! deliveries follow it.

mod history;
mod late;
mod ledger;
mod load;
mod own;
mod records;
mod rows;
#[cfg(test)]
mod tests;
mod unsaved;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use late::Late;
pub use load::Restored;
pub use own::Own;
use records::{Changes, Marks};
pub use rows::Row;
use unsaved::Unsaved;

use super::ack_links::AckLinks;
use super::heartbeat::Heartbeats;
use super::outbox::{Fallbacks, Place};
use super::own_metrics::OwnMetrics;
use crate::engine::Engine;
use crate::model::{Fingerprint, Held, Notice, Now, Timestamp, Transition};
use crate::notify::delivery::Entry;
use crate::persist::{
    Commit, Kind, Loaded, MemoryPersist, NewHistory, NewNotice, OpenError, Options, Persist, PersistError, Record,
    SqlitePersist, Stats,
};
use crate::received::Received;
use crate::route::{Dirty, Router, Routes, Silences};

/// Most history rows that wait while nothing can be stored; above it the oldest are dropped and counted.
const UNSAVED_HISTORY_MAX: usize = 10_000;

/// The core, as far as it is kept.
pub struct Kept<'a> {
    /// Rules and alerts.
    pub engine: &'a Engine,
    /// What handlers know.
    pub router: &'a mut Router,
    /// Who is told, and how.
    pub routes: &'a Routes,
    /// The rules that were evaluated; none stands for all of them.
    pub evaluated: Option<Vec<Arc<str>>>,
    /// What is not told for a time. Stored one by one ([`Keeper::put_now`]), and with all else when that is lost.
    pub silences: &'a Silences,
    /// What fallbacks were told of; stored with the notices.
    pub fallbacks: &'a Fallbacks,
    /// Stored one by one, and with all else when that is lost.
    pub others: Others<'a>,
    /// Alerts that others report.
    pub received: &'a mut Received,
    /// The instant of the change.
    pub now: Now,
}

/// What is stored one by one.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    /// Jobs that ping.
    pub heartbeats: &'a Heartbeats,
    /// The key of links in messages.
    pub links: &'a AckLinks,
}

/// What happened at one instant.
#[derive(Default)]
pub struct Happened<'a> {
    /// Changes of alerts.
    pub transitions: &'a [Arc<Transition>],
    /// What was not told.
    pub held: &'a [Held],
    /// What is to be told.
    pub notices: &'a [Arc<Notice>],
    /// Anything else.
    pub history: Vec<NewHistory>,
}

/// A notice in the outbox.
#[derive(Serialize, Deserialize)]
struct Envelope {
    notice: Arc<Notice>,
    /// When it was put there, on the elapsed clock.
    since_ms: i64,
    /// Recipients that need no further attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    done: Vec<String>,
    /// Handlers that gave it up before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tried: Vec<Arc<str>>,
}

/// Keeps state, outbox and history.
pub struct Keeper {
    persist: Arc<dyn Persist>,
    metrics: OwnMetrics,
    /// Names this run of the process: rows that another one claimed may have been sent.
    run: String,
    inner: Mutex<Inner>,
    /// Another process writes to the store.
    displaced: AtomicBool,
    /// What the store last told of itself, and when that was.
    counted: Mutex<Option<(Duration, Arc<Stats>)>>,
}

#[derive(Default)]
struct Inner {
    /// What is stored, by its hash.
    marks: Marks,
    /// What routing changed and is not stored yet.
    dirty: Dirty,
    /// Alerts that others reported and that are not stored so yet.
    received: BTreeSet<Fingerprint>,
    /// Rules that were evaluated and are not stored since; `all` stands for all of them.
    evaluated: BTreeSet<Arc<str>>,
    all: bool,
    /// Where what a fallback believes is not stored yet as it is.
    stand_ins: BTreeSet<Place>,
    /// Records that can go.
    outdated: Vec<(Kind, String)>,
    /// Notices that are under way and not stored yet.
    unsaved: Unsaved,
    unsaved_history: Vec<NewHistory>,
    /// Endings of deliveries that are not stored yet.
    late: Late,
    /// Whether everything is to be written anew.
    rewrite: bool,
    /// Why nothing can be stored at present.
    trouble: Option<String>,
    /// Whether that stays so until the next start.
    forever: bool,
}

impl Keeper {
    /// Opens the state in a directory, and what it holds.
    pub fn open(
        dir: &Path,
        options: &Options,
        metrics: OwnMetrics,
        now: Timestamp,
    ) -> Result<(Arc<Self>, Restored), OpenError> {
        let persist = SqlitePersist::open(dir, options, now)?;
        let (keeper, restored) = Self::over(Arc::new(persist), metrics);
        Ok((keeper, restored))
    }

    /// Keeps everything in memory: for dry runs and tests, and where no directory can be used.
    pub fn in_memory(metrics: OwnMetrics) -> Arc<Self> {
        Self::over(Arc::new(MemoryPersist::new()), metrics).0
    }

    /// The same, in trouble from the beginning and for good.
    pub fn in_memory_because(metrics: OwnMetrics, trouble: String) -> Arc<Self> {
        let keeper = Self::in_memory(metrics);
        keeper.metrics.state_durable(false);
        let mut inner = keeper.inner();
        inner.trouble = Some(trouble);
        inner.forever = true;
        drop(inner);
        keeper
    }

    /// Keeps everything in an open store, and what that holds.
    pub fn over(persist: Arc<dyn Persist>, metrics: OwnMetrics) -> (Arc<Self>, Restored) {
        let keeper = Self::unread(persist, metrics);
        let restored = match keeper.persist.load() {
            Ok(loaded) => keeper.take_up(loaded),
            Err(error) => {
                error!(%error, "The state cannot be read; starting without it");
                Restored::default()
            }
        };
        (keeper, restored)
    }

    /// Keeps everything in a store that is not read yet: nothing is to be stored before [`Keeper::take_up`].
    pub fn unread(persist: Arc<dyn Persist>, metrics: OwnMetrics) -> Arc<Self> {
        metrics.state_durable(true);
        let run = format!("{:032x}", crate::telemetry::TraceIds::from_os().next_id().0);
        let (inner, counted) = (Mutex::default(), Mutex::default());
        Arc::new(Self { persist, metrics, run, inner, counted, displaced: AtomicBool::new(false) })
    }

    /// Goes on from what the store held.
    pub fn take_up(&self, loaded: Loaded) -> Restored {
        let restored = load::restored(loaded);
        self.metrics.quarantined(restored.damages.len());
        self.displaced.store(false, Ordering::Release);
        let mut inner = self.inner();
        inner.marks = restored.marks.clone();
        inner.outdated = restored.outdated.clone();
        restored
    }

    /// Whether another process writes to the store: this one may tell nobody anything any more.
    pub fn displaced(&self) -> bool {
        self.displaced.load(Ordering::Acquire)
    }

    /// Notes whether an error says that.
    fn note(&self, error: &PersistError) {
        if matches!(error, PersistError::Lease { .. }) && !self.displaced.swap(true, Ordering::AcqRel) {
            error!(%error, "Another process took over: this one tells nobody anything more");
        }
    }

    /// What is stored.
    pub fn persist(&self) -> &Arc<dyn Persist> {
        &self.persist
    }

    /// Why nothing can be stored at present; none while all is well.
    pub fn trouble(&self) -> Option<String> {
        self.inner().trouble.clone()
    }

    /// Stores what changed, what is to be told and what happened; which of the notices are new, in their order.
    pub fn commit(&self, kept: &mut Kept<'_>, happened: Happened<'_>) -> Vec<Arc<Notice>> {
        let mut inner = self.inner();
        let dirty = kept.router.take_dirty();
        inner.dirty.alerts.extend(dirty.alerts);
        inner.dirty.groups.extend(dirty.groups);
        inner.received.extend(kept.received.take_dirty());
        match &kept.evaluated {
            Some(rules) => inner.evaluated.extend(rules.iter().cloned()),
            None => inner.all = true,
        }
        for notice in happened.notices {
            let tried = kept.fallbacks.copied(&notice.id);
            let entry = Entry { tried, ..Entry::new(Arc::clone(notice), kept.now.elapsed_ms) };
            inner.unsaved.push(new_notice(&entry));
        }
        inner.stand_ins.extend(kept.fallbacks.take_changed());
        let notable = happened.transitions.iter().any(|t| t.kind.is_notable());
        inner.remember(history::of(&happened, kept), &self.metrics);
        inner.unsaved_history.extend(happened.history);
        if inner.rewrite {
            self.rewrite(&mut inner, kept);
        }
        let mut changes = records::changes(&mut inner, kept);
        changes.delete.extend(inner.outdated.iter().cloned());
        for place in &inner.stand_ins {
            match kept.fallbacks.at(place) {
                Some(stand_in) => changes.put.push(ledger::stand_in_record(&stand_in)),
                None => changes.delete.push((Kind::Fallback, place.record_id())),
            }
        }
        let durable = notable || !happened.notices.is_empty() || inner.trouble.is_some();
        let duplicates = self.store(&mut inner, changes, durable);
        happened.notices.iter().filter(|notice| !duplicates.contains(&notice.id)).cloned().collect()
    }

    /// Ids of notices that were stored before.
    fn store(&self, inner: &mut Inner, changes: Changes, durable: bool) -> Vec<String> {
        let Changes { put, delete, marks } = changes;
        let (notices, history) = (inner.unsaved.take(), std::mem::take(&mut inner.unsaved_history));
        let commit = Commit { put, delete, notices, history, durable };
        match self.persist.commit(&commit) {
            Ok(done) => {
                inner.marks.apply(marks);
                inner.dirty = Dirty::default();
                inner.outdated.clear();
                inner.received.clear();
                inner.evaluated.clear();
                inner.all = false;
                // An ending that waits may yet put down what a fallback believed: the next commit puts that right.
                if inner.late.round() == 0 {
                    inner.stand_ins.clear();
                }
                self.metrics.duplicates(done.duplicates.len());
                for id in &done.refused {
                    error!(
                        notice = id,
                        "The outbox is full: a notice is not stored, and is lost if its handler's own queue is full as well"
                    );
                }
                self.is_well(inner);
                self.settle_late(inner);
                done.duplicates
            }
            Err(error @ PersistError::Lease { .. }) => {
                self.note(&error);
                commit.notices.into_iter().map(|notice| notice.id).collect()
            }
            Err(error) => {
                self.is_in_trouble(inner, &error.to_string());
                inner.unsaved_history = commit.history;
                let over = inner.unsaved.put_back(commit.notices);
                if over > 0 {
                    error!(
                        notices = over,
                        "Too many notices wait to be stored: these are not, and are lost if their handler's own queue is full as well"
                    );
                    self.metrics.not_stored("unsaved", over);
                }
                Vec::new()
            }
        }
    }

    /// Stores every detector: at the end of the process.
    pub fn save_detectors(&self, engine: &Engine) {
        for put in records::all_detector_records(engine) {
            let commit = Commit { put, ..Commit::default() };
            if let Err(error) = self.persist.commit(&commit) {
                return warn!(%error, "Detectors cannot be stored; they begin with the store's history");
            }
        }
    }

    /// Writes everything anew, after the files were lost.
    fn rewrite(&self, inner: &mut Inner, kept: &Kept<'_>) {
        let (everything, marks) = records::everything(kept);
        match self.persist.rewrite(&everything) {
            Ok(()) => {
                inner.marks = marks;
                inner.rewrite = false;
                info!(records = everything.records.len(), "The state was written anew");
            }
            Err(error) => self.is_in_trouble(inner, &error.to_string()),
        }
    }

    /// Stores records that must be on the disk when this returns: all, or none and why.
    pub fn put_now(&self, put: Vec<Record>, history: Vec<NewHistory>) -> Result<(), String> {
        {
            let inner = self.inner();
            // Memory takes everything, and keeps nothing.
            if let Some(trouble) = inner.trouble.as_ref().filter(|_| inner.forever) {
                return Err(trouble.clone());
            }
        }
        let commit = Commit { put, history, durable: true, ..Commit::default() };
        self.commit_now(&commit)
    }

    fn commit_now(&self, commit: &Commit) -> Result<(), String> {
        self.persist.commit(commit).map(drop).map_err(|error| {
            self.note(&error);
            error.to_string()
        })
    }

    /// Stores records that may be lost in a power cut.
    pub fn put_soon(&self, put: Vec<Record>) {
        let commit = Commit { put, ..Commit::default() };
        if let Err(error) = self.persist.commit(&commit) {
            self.failed(&mut self.inner(), &error);
        }
    }

    /// Forgets records: all, or none and why.
    pub fn delete_now(&self, kind: Kind, ids: &[String]) -> Result<(), String> {
        let delete = ids.iter().map(|id| (kind, id.clone())).collect();
        let commit = Commit { delete, ..Commit::default() };
        self.commit_now(&commit)
    }

    /// Repairs, moves and cleans; to be called every ten seconds or so.
    pub fn upkeep(&self, now: Timestamp) {
        let done = self.persist.upkeep(now);
        for damage in &done.damages {
            error!(file = damage.file, what = damage.what, lost = damage.lost, "Stored state is damaged");
        }
        if done.rewritten {
            warn!("The state's files were lost or made anew; everything is written again");
            self.inner().rewrite = true;
        }
        if done.ballast_restored {
            info!("The disk has space again");
        }
        if done.history_lost {
            error!("The history was deleted or replaced and begins anew");
        }
        if let Some(trouble) = done.trouble {
            self.is_in_trouble(&mut self.inner(), &trouble.to_string());
        }
    }

    /// Moves history rows to where they stay.
    pub fn move_history(&self, now: Timestamp) {
        loop {
            match self.persist.move_history(now) {
                Ok(moved) if moved.more => {}
                Ok(_) => return,
                Err(error) => return tracing::debug!(%error, "History waits to be moved"),
            }
        }
    }

    /// Forgets history from before a time, and the oldest above a number of rows.
    pub fn clean_history(&self, older_than: Timestamp, rows_max: u64) {
        match self.persist.clean_history(older_than, rows_max) {
            Ok(0) => {}
            Ok(rows) => info!(rows, "Old history was removed"),
            Err(error) => warn!(%error, "Old history cannot be removed"),
        }
    }

    /// Forgets how evaluations went before a time.
    pub fn forget_evaluations(&self, older_than: Timestamp) {
        if let Err(error) = self.persist.forget_evaluations(older_than) {
            warn!(%error, "Old rows about evaluations cannot be removed");
        }
    }

    /// What could not be stored goes on from memory, unless it is another process's by now.
    fn failed(&self, inner: &mut Inner, error: &PersistError) {
        self.note(error);
        if !self.displaced() {
            self.is_in_trouble(inner, &error.to_string());
        }
    }

    fn is_in_trouble(&self, inner: &mut Inner, error: &str) {
        self.metrics.state_durable(false);
        if inner.trouble.as_deref() != Some(error) {
            error!(error, "State cannot be stored; alerts go on from memory and would not outlive the process");
            inner.trouble = Some(error.to_owned());
        }
    }

    fn is_well(&self, inner: &mut Inner) {
        if inner.forever {
            return;
        }
        self.metrics.state_durable(true);
        if inner.trouble.take().is_some() {
            info!("State is stored again, with everything that had waited");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, rows: Vec<NewHistory>, metrics: &OwnMetrics) {
        self.unsaved_history.extend(rows);
        let over = self.unsaved_history.len().saturating_sub(UNSAVED_HISTORY_MAX);
        if over > 0 && self.trouble.is_some() {
            self.unsaved_history.drain(..over);
            metrics.history_dropped(over);
        }
    }
}

/// The row of a notice.
fn new_notice(entry: &Entry) -> NewNotice {
    NewNotice {
        id: entry.notice.id.clone(),
        handler: entry.notice.handler.to_string(),
        group_key: entry.notice.group.key.to_string(),
        created: entry.notice.at,
        payload: payload(entry),
    }
}

fn payload(entry: &Entry) -> String {
    let envelope = Envelope {
        notice: Arc::clone(&entry.notice),
        since_ms: entry.since_ms,
        done: entry.done.clone(),
        tried: entry.tried.clone(),
    };
    json(&envelope)
}

/// JSON of a value of our own. It cannot fail: such values have no maps with keys that are no texts.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
