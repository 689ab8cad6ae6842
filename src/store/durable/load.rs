//! The start: what `metrics.db` holds goes back into the store, and what cannot be read is told.
//!
//! Rows are read here; helper threads put them into the store meanwhile. A row whose checksum is wrong is left out, goes
//! into quarantine and is removed. A file whose structure is damaged is read as far as it can be and goes into quarantine
//! whole; all that was read is then stored anew. So does a file that cannot be opened in the end: nothing is written over
//! what was not read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use super::backing::About;
use super::file::{FILE, Found, look};
use super::helper::{Job, Named, fill, gather, index};
use super::losses::Losses;
use super::reading::{is_busy, is_corrupt, is_passing};
use super::rows::{TABLES, put_about};
use crate::model::Timestamp;
use crate::persist::PersistError;
use crate::persist::sqlite::{disk, schema};
use crate::store::SeriesRef;
use crate::store::embedded::EmbeddedStore;

/// Work that may wait for the helper.
const JOBS_MAX: usize = 64;
/// Damages told in words.
const TOLD_MAX: usize = 20;
/// How often a file is asked for that cannot be opened now.
const OPENINGS_MAX: usize = 20;
/// Between two of them.
const OPENING_PAUSE: Duration = Duration::from_millis(250);
/// Bytes of damaged rows that are kept in quarantine.
const ASIDE_BYTES_MAX: usize = 16 << 20;

/// What was damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Rows that could not be read, or places where rows are missing.
    pub rows: u64,
    /// The first of them in words.
    pub told: Vec<String>,
    /// Whether the file itself was damaged, and is in quarantine.
    pub file: bool,
}

impl Damage {
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        self.rows += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what());
        }
    }

    pub(super) fn of_file(&mut self, what: impl FnOnce() -> String) {
        self.file = true;
        self.add(what);
    }
}

/// Where a writer goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The number of the last batch.
    pub number: i64,
    /// By page.
    pub pages: Vec<PageStart>,
    /// The greatest generation of all series.
    pub generation: u32,
    /// The number at which the clock was set back last, as far as what was stored before it is not yet cut.
    pub rewound: i64,
    /// Whether the file holds what was put back. If not, all is stored anew, and a file that is there is put aside.
    pub known: bool,
}

/// Where a writer goes on with one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// The last batch whose points are in it as it is stored.
    pub through: i64,
    /// The number of its next block.
    pub next: u32,
    /// Where its blocks end.
    pub last_ms: i64,
}

impl Default for PageStart {
    fn default() -> Self {
        Self { through: 0, next: 0, last_ms: i64::MIN }
    }
}

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Series.
    pub series: u64,
    /// Points in chunks.
    pub points: u64,
    /// Points of the journal that were in no page yet.
    pub replayed: u64,
    /// Samples were stored whose time is still to come, up to this instant: the clock was set back meanwhile. They are
    /// dropped, as when it is set back under a process that runs.
    pub future: Option<Timestamp>,
    /// What was damaged.
    pub damage: Damage,
    /// For the writer.
    pub start: Start,
}

/// Reads the samples of a data directory into an empty store. Where the file cannot be opened now, `wait` is called
/// between the attempts.
pub fn load(
    dir: &Path,
    store: &EmbeddedStore,
    now: Timestamp,
    wait: &dyn Fn(Duration),
) -> Result<Restored, PersistError> {
    let path = dir.join(FILE);
    let mut restored = Restored::default();
    if disk::len(&path) > 0 {
        match open_patiently(&path, wait) {
            Ok((_, Found::Newer(found))) => {
                store.restored(0, now.0);
                return Err(PersistError::Newer { path, found, known: schema::version(TABLES) });
            }
            Ok((_, Found::Nothing)) => {}
            Ok((db, found)) => {
                restored.start.known = true;
                if let Found::Strange(what) = found {
                    restored.damage.of_file(|| format!("{FILE}: {what}"));
                }
                read_all(&db, store, now, &mut restored);
            }
            Err(error) => restored.damage.of_file(|| format!("{FILE} cannot be read: {error}")),
        }
    }
    drop_future(store, now, &mut restored);
    store.restored(restored.start.generation.saturating_add(1), now.0);
    if restored.damage.file {
        restored.start.known = false;
        // Where that fails, the disk cannot be written either: the writer tells it, and tries it again.
        let _ = disk::quarantine(&path, now);
    }
    Ok(restored)
}

fn open_patiently(path: &Path, wait: &dyn Fn(Duration)) -> rusqlite::Result<(Connection, Found)> {
    let mut attempts = 1;
    loop {
        match open(path) {
            Err(error) if is_passing(&error) && attempts < OPENINGS_MAX => wait(OPENING_PAUSE),
            result => return result,
        }
        attempts += 1;
    }
}

/// To read and to mend; where nothing can be written, to read. What is read from then on is of one moment.
fn open(path: &Path) -> rusqlite::Result<(Connection, Found)> {
    let begin = |db: Connection| {
        db.execute_batch("BEGIN")?;
        let found = look(&db)?;
        Ok((db, found))
    };
    schema::open(path).and_then(begin).or_else(|error| {
        // A file in use by others must not be read past their locks.
        if is_busy(&error) || (is_corrupt(&error) && !disk::is_read_only(path)) {
            return Err(error);
        }
        schema::untouched(path).and_then(begin)
    })
}

/// Samples of a time that is still to come would refuse those that come now. Where all of them are of such a time, it may
/// be now that the clock is wrong: the file is then kept.
fn drop_future(store: &EmbeddedStore, now: Timestamp, restored: &mut Restored) {
    let Some((oldest_ms, newest_ms)) = store.time_range() else { return };
    if newest_ms <= now.0.saturating_add(store.options().future_ms) {
        return;
    }
    restored.future = Some(Timestamp(newest_ms));
    if oldest_ms > now.0 {
        let (from, to) = (Timestamp(oldest_ms), Timestamp(newest_ms));
        restored.damage.of_file(|| format!("all samples of {FILE} are of the future, from {from} to {to}"));
    }
    store.keep_journal();
    store.rewind(now.0);
}

/// What is known of a page while it is read.
#[derive(Clone, Copy, Default)]
pub(super) struct PageState {
    pub(super) through: i64,
    /// The number of the next block, as far as blocks were seen.
    pub(super) next: u32,
    pub(super) last_ms: i64,
    pub(super) seen: bool,
}

impl PageState {
    fn start(self) -> PageStart {
        let last_ms = if self.seen { self.last_ms } else { i64::MIN };
        PageStart { through: self.through, next: self.next, last_ms }
    }
}

/// A file that is being read.
pub(super) struct Loading<'a> {
    pub(super) db: &'a Connection,
    pub(super) jobs: Option<SyncSender<Job>>,
    pub(super) named: Vec<SyncSender<Named>>,
    pub(super) now: Timestamp,
    pub(super) restored: &'a mut Restored,
    pub(super) pages: BTreeMap<u32, PageState>,
    pub(super) losses: Losses,
    pub(super) rewinds: Vec<(i64, i64)>,
    pub(super) bad: Vec<(&'static str, i64)>,
    pub(super) generation: u32,
    /// Whether the row in which the file tells of itself must be written anew.
    pub(super) mend_about: bool,
}

fn read_all(db: &Connection, store: &EmbeddedStore, now: Timestamp, restored: &mut Restored) {
    let (jobs, work) = sync_channel(JOBS_MAX);
    let (named, names) = sync_channel(JOBS_MAX);
    let (gathered, labels) = sync_channel(JOBS_MAX);
    let mut loading = Loading {
        db,
        jobs: Some(jobs),
        named: vec![named, gathered],
        now,
        restored,
        pages: BTreeMap::new(),
        losses: Losses::new(now.0),
        rewinds: Vec::new(),
        bad: Vec::new(),
        generation: 0,
        mend_about: false,
    };
    let (refused, series, points) = std::thread::scope(|scope| {
        let points = scope.spawn(move || fill(store, &work));
        let indexed = scope.spawn(move || index(store, &names));
        let labels = scope.spawn(move || gather(&labels));
        loading.tables(store);
        // Without a sender the helpers come to their end.
        loading.jobs = None;
        let (refused, series) = indexed.join().unwrap_or_default();
        // Where a series was refused its labels were gathered all the same.
        store.restore_labels(labels.join().ok().filter(|_| refused.is_empty()));
        (refused, series, points.join().unwrap_or_default())
    });
    store.unrestore(&refused);
    store.restored_points();
    loading.restored.series = series;
    loading.restored.points = points;
    for id in refused.into_iter().map(SeriesRef::id) {
        loading.restored.damage.add(|| format!("series {id} has a place or labels that another has"));
        loading.bad.push(("series", id));
    }
    loading.finish(store);
}

impl Loading<'_> {
    /// What is lost of which series, and what the writer goes on with.
    fn finish(mut self, store: &EmbeddedStore) {
        let losses = std::mem::replace(&mut self.losses, Losses::new(self.now.0));
        store.set_lost(losses.of_series(store));
        let rewound = self.rewinds.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let state = |page: u32| self.pages.get(&page).copied().unwrap_or_default();
        let pages: Vec<PageStart> = (0..store.page_count()).map(state).map(PageState::start).collect();
        // What was cut while it was read is still there as it was, and a row that is missing would be told at every start.
        let anew = |page: &PageStart| page.through < rewound || page.through == 0;
        (0..).zip(&pages).filter(|(_, page)| anew(page)).for_each(|(page, _)| store.mark_changed(page));
        self.restored.start.rewound = rewound;
        self.restored.start.pages = pages;
        if !self.restored.damage.file {
            // To write needs another transaction than that in which was read.
            let _ = self.db.execute_batch("COMMIT");
            self.set_aside();
        }
    }

    /// Moves damaged rows out of the file, into one file beside it, and mends the row in which the file tells of itself.
    /// What cannot be written is found again at the next start.
    fn set_aside(&self) {
        let mut kept = Vec::new();
        for (table, id) in &self.bad {
            let data = self.db.query_row(&format!("SELECT * FROM {table} WHERE rowid = ?1"), [id], |row| {
                let columns = row.as_ref().column_count();
                Ok((0..columns).map(|i| format!("{:?}\n", row.get_ref(i))).collect::<String>())
            });
            let data = data.unwrap_or_else(|error| format!("{error}\n"));
            kept.extend_from_slice(format!("table {table}, row {id}\n").as_bytes());
            if kept.len() + data.len() <= ASIDE_BYTES_MAX {
                kept.extend_from_slice(data.as_bytes());
            }
        }
        let dir = self.db.path().map(Path::new).and_then(Path::parent);
        let Some(dir) = dir else { return };
        if !self.bad.is_empty() && disk::keep_damaged(dir, &format!("{FILE}.rows"), &kept, self.now).is_err() {
            return;
        }
        let mend = || -> rusqlite::Result<()> {
            let transaction = self.db.unchecked_transaction()?;
            for (table, id) in &self.bad {
                transaction.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [id])?;
            }
            if self.mend_about {
                let (generation, number) = (self.restored.start.generation, self.restored.start.number);
                put_about(&transaction, About { generation, number, unfinished: 0 })?;
            }
            transaction.commit()
        };
        if !self.bad.is_empty() || self.mend_about {
            let _ = mend();
        }
    }
}
