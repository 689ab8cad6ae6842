//! The store on disk: SQLite files in one directory.
//!
//! `state.db` is small and must never be lost: it has a copy, `state-copy.db`, which takes every transaction right after
//! it. `history.db` is bulk: events are first stored with the state they belong to and moved there later, so that a
//! commit is one transaction of one file. `ballast` is given up when the disk is full, `quarantine/` keeps what was
//! damaged.

mod db;
pub(crate) mod disk;
mod examine;
mod files;
mod history;
mod places;
mod query;
mod recover;
mod rows;
pub(crate) mod schema;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use self::files::Files;
use self::history::HistoryFile;
use self::places::Places;
use self::recover::COPY_FILE;
pub(crate) use self::recover::STATE_FILE;
use self::rows::{Columns, RawNotice, Stored as _, signed};
use super::plan::{Head, Plan, View};
use super::{
    Commit, Committed, Everything, HistoryPage, HistoryQuery, HistoryRow, Loaded, Moved, NewHistory, OpenError,
    OutboxQuery, OutboxRow, Persist, PersistError, Settled, Stats, Upkeep, Which,
};
use crate::model::Timestamp;

/// The history.
const HISTORY_FILE: &str = "history.db";
/// History rows that are moved in one transaction.
const MOVED_ROWS_MAX: i64 = 1000;
/// A log is moved into its file by upkeep when it is longer than this, bytes.
const LOG_LEN_KEPT: u64 = 1 << 20;
/// What a ballast is if nothing else is asked for, bytes.
const BALLAST_LEN: u64 = 16 << 20;

/// Puts the files of the state, which nobody has open, aside under names that end in `.moved`.
pub(crate) fn put_aside(dir: &Path) -> std::io::Result<()> {
    for name in [STATE_FILE, COPY_FILE] {
        for ending in std::iter::once("").chain(disk::PARTS) {
            let path = disk::beside(&dir.join(name), ending);
            if path.exists() {
                std::fs::rename(&path, disk::beside(&dir.join(format!("{name}.moved")), ending))?;
            }
        }
    }
    disk::sync_dir(dir)
}

/// Gives the time since a fixed instant, for measuring.
pub type Stopwatch = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How to open a directory.
#[derive(Clone)]
pub struct Options {
    /// Bytes kept to be given up when the disk is full; at most an eighth of the free space is taken, 0 for none.
    pub ballast_bytes: u64,
    /// Measures commits.
    pub stopwatch: Stopwatch,
}

impl Default for Options {
    /// A ballast of 16 MiB, and no measuring.
    fn default() -> Self {
        Self { ballast_bytes: BALLAST_LEN, stopwatch: Arc::new(|| Duration::ZERO) }
    }
}

/// Keeps state in a directory, which must be this process's alone.
pub struct SqlitePersist {
    dir: PathBuf,
    stopwatch: Stopwatch,
    /// Held for one transaction, or for one repair by upkeep.
    files: Mutex<Files>,
    history: HistoryFile,
    places: Arc<Mutex<Places>>,
    /// Held to count.
    counts: Mutex<Stats>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqlitePersist {
    /// Opens a directory, which is made if it is not there, examines what it holds and repairs it.
    pub fn open(dir: &Path, options: &Options, now: Timestamp) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
        let history = HistoryFile::new(dir.join(HISTORY_FILE));
        let files = Files::open(dir.to_owned(), options.ballast_bytes, now, |head| history.base(head, now))?;
        Ok(Self {
            dir: dir.to_owned(),
            stopwatch: Arc::clone(&options.stopwatch),
            places: Arc::clone(&files.places),
            files: Mutex::new(files),
            history,
            counts: Mutex::default(),
        })
    }

    /// Counts a failure.
    fn told<T>(&self, result: Result<T, PersistError>) -> Result<T, PersistError> {
        if let Err(error) = &result {
            *lock(&self.counts).failures.entry(error.cause()).or_default() += 1;
        }
        result
    }

    fn write<'a, T>(
        &self,
        durable: bool,
        mut plan: impl FnMut(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<T, PersistError> {
        let mut files = lock(&self.files);
        let begun = (self.stopwatch)();
        let result = files.write(durable, &mut plan);
        let took = (self.stopwatch)().saturating_sub(begun);
        drop(files);
        {
            let mut counts = lock(&self.counts);
            counts.commit_time += took;
            if let Ok((_, lost)) = &result {
                counts.commits += 1;
                lost.count(&mut counts);
            }
        }
        self.told(result.map(|(done, _)| done))
    }

    /// Reads the state by a connection of its own, which waits for nobody and for which nobody waits.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, PersistError> {
        let path = self.dir.join(STATE_FILE);
        let result = schema::reader(&path).and_then(|db| read(&db)).map_err(|error| schema::meaning(&path, error));
        if let Err(error) = &result {
            lock(&self.files).suspect(error);
        }
        self.told(result)
    }

    /// The rows of a statement over the state, all of which must be right.
    fn rows<T: rows::Stored>(&self, sql: &str, limit: i64) -> Result<Vec<T>, PersistError> {
        let rows = self.read(|db| {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([limit], |row| Ok(T::checked(&Columns(row))))?;
            rows.collect::<rusqlite::Result<Option<Vec<T>>>>()
        })?;
        self.all_right(rows)
    }

    /// Rows, unless one fails its checksum.
    fn all_right<T: rows::Stored>(&self, rows: Option<Vec<T>>) -> Result<Vec<T>, PersistError> {
        let rows = rows.ok_or_else(|| {
            let what = format!("a row of table {} fails its checksum", T::TABLE.name);
            let error = PersistError::Damaged { path: self.dir.join(STATE_FILE), what };
            lock(&self.files).suspect(&error);
            error
        });
        self.told(rows)
    }

    fn staged(&self, limit: i64) -> Result<Vec<HistoryRow>, PersistError> {
        self.rows("SELECT * FROM history_staging ORDER BY number LIMIT ?1", limit)
    }

    /// Moves a long log into its file by a connection of its own: commits go on meanwhile.
    fn shorten_log(&self) {
        let path = self.dir.join(STATE_FILE);
        let long = std::fs::metadata(disk::beside(&path, "-wal")).is_ok_and(|log| log.len() > LOG_LEN_KEPT);
        if long && let Ok(db) = schema::open(&path) {
            let _ = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}

impl Persist for SqlitePersist {
    fn load(&self) -> Result<Loaded, PersistError> {
        let loaded = lock(&self.files).load();
        self.told(loaded)
    }

    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError> {
        self.write(commit.durable, |plan, rows| plan.commit(rows, commit))
    }

    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError> {
        self.write(true, |plan, rows| plan.rewrite(rows, everything))
    }

    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError> {
        self.write(false, |plan, rows| plan.claim(rows, ids, run))
    }

    fn settle(&self, settled: &[Settled], durable: bool) -> Result<usize, PersistError> {
        self.write(durable, |plan, rows| plan.settle(rows, settled))
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError> {
        let ids = lock(&self.places).page(query);
        let found = self.read(|db| {
            let mut statement = db.prepare("SELECT * FROM outbox WHERE id = ?1")?;
            // A row that went meanwhile is left out; so is one that is not what was asked for any more.
            let mut one =
                |id: &String| statement.query_row([id], |row| Ok(RawNotice::checked(&Columns(row)))).optional();
            ids.iter().filter_map(|id| one(id).transpose()).collect::<rusqlite::Result<Option<Vec<RawNotice>>>>()
        })?;
        let rows = self.all_right::<RawNotice>(found)?;
        Ok(rows.into_iter().map(|notice| notice.row).filter(|row| query.wants(row)).collect())
    }

    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        self.write(true, |plan, rows| plan.retry(rows, which, at))
    }

    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError> {
        self.write(true, |plan, rows| plan.discard(rows, ids, history))
    }

    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError> {
        self.write(false, |plan, rows| plan.clean(rows, older_than, now))
    }

    fn move_history(&self, now: Timestamp) -> Result<Moved, PersistError> {
        // A disk that is short keeps its room for the state.
        if lock(&self.files).ballast.short {
            return Ok(Moved::default());
        }
        self.told(self.history.repair(now))?;
        // Asked every second: no connection is opened to find nothing.
        if lock(&self.files).head().staged == 0 {
            return Ok(Moved::default());
        }
        let rows = self.staged(MOVED_ROWS_MAX)?;
        if rows.is_empty() {
            return Ok(Moved::default());
        }
        // They are synced there before they are removed here; should both have them, the number tells.
        self.told(self.history.add(&rows, now))?;
        self.write(false, |plan, _| {
            plan.moved(rows.iter().map(|row| row.number));
            Ok(())
        })?;
        lock(&self.counts).history_moved += rows.len() as u64;
        Ok(Moved { rows: rows.len() as u64, more: rows.len() as i64 == MOVED_ROWS_MAX })
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError> {
        // The state first: a row on its way is then seen twice, not missed, and twice is seen.
        let staged = self.staged(signed(super::STAGED_ROWS_MAX))?;
        self.told(self.history.page(query, staged))
    }

    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        let removed = self.told(self.history.clean(older_than, rows_max))?;
        lock(&self.counts).history_cleaned += removed;
        Ok(removed)
    }

    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        let removed = self.told(self.history.forget_evaluations(older_than))?;
        lock(&self.counts).history_cleaned += removed;
        Ok(removed)
    }

    fn upkeep(&self, now: Timestamp) -> Upkeep {
        let mut report = Upkeep::default();
        {
            let mut files = lock(&self.files);
            files.upkeep(now, |head: &Head| self.history.base(head, now), &mut report);
        }
        self.shorten_log();
        report.history_lost = self.history.check_place();
        report
    }

    fn stats(&self) -> Stats {
        let mut stats = lock(&self.counts).clone();
        {
            let files = lock(&self.files);
            stats.quarantined = files.damages_count() + self.history.damaged();
            stats.ballast = files.ballast.is_there();
            stats.short = files.ballast.short;
            stats.mirrored = files.mirrored();
            stats.history_staged = files.head().staged;
        }
        for cause in PersistError::CAUSES {
            stats.failures.entry(cause).or_default();
        }
        for name in [STATE_FILE, COPY_FILE, HISTORY_FILE] {
            stats.bytes.insert(name, disk::len(&self.dir.join(name)));
        }
        stats.outbox = lock(&self.places).counts();
        stats
    }
}
