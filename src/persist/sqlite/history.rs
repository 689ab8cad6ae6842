//! The history file: rows come in batches, go by age, and survive damage as far as they can be read.
//!
//! It has connections of its own: nothing that happens here makes a commit wait. It is made when the first row comes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::disk::{self, Identity};
use super::rows::{Columns, Stored as _, put_history, signed};
use super::{lock, schema};
use crate::model::Timestamp;
use crate::persist::history::Part;
use crate::persist::plan::Head;
use crate::persist::{HistoryRow, PersistError};

/// Rows removed in one transaction.
const CLEANED_ROWS_MAX: u64 = 1000;
/// Pages given back to the disk with each.
const FREED_PAGES_MAX: u32 = 1000;
/// Rows copied out of a damaged file in one transaction.
const SALVAGED_ROWS_MAX: i64 = 1000;
/// Numbers are milliseconds times this where the last number is not known: above all that were given.
const NUMBERS_PER_MS: u64 = 1024;

const PUT: &str = "INSERT OR IGNORE INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

/// The file and its writer.
pub(super) struct HistoryFile {
    pub path: PathBuf,
    /// Held for one batch.
    writer: Mutex<Writer>,
    /// Whether a reader or a check found damage that is still to be repaired.
    suspect: AtomicBool,
    damaged: AtomicU64,
}

#[derive(Default)]
struct Writer {
    open: Option<(Connection, Option<Identity>)>,
    /// Whether the file was checked since the start.
    checked: bool,
    lost: bool,
}

impl HistoryFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, writer: Mutex::default(), suspect: AtomicBool::new(false), damaged: AtomicU64::new(0) }
    }

    /// Rows found damaged.
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub fn count_damaged(&self, rows: u64) {
        self.damaged.fetch_add(rows, Ordering::Relaxed);
    }

    /// The least number that may have been given last, for a state that does not know it.
    pub fn base(&self, head: &Head, now: Timestamp) -> u64 {
        if !self.path.exists() {
            return head.number;
        }
        let last = schema::untouched(&self.path)
            .and_then(|db| db.query_row("SELECT max(number) FROM history", [], |row| row.get::<_, Option<i64>>(0)));
        match last {
            Ok(last) => head.number.max(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0)),
            Err(_) => head.number.max(u64::try_from(now.0).unwrap_or(0).saturating_mul(NUMBERS_PER_MS)),
        }
    }

    /// What an error means; damage is remembered and repaired by the next call that writes.
    pub fn meaning(&self, error: rusqlite::Error) -> PersistError {
        let error = schema::meaning(&self.path, error);
        if matches!(error, PersistError::Damaged { .. }) {
            self.suspect.store(true, Ordering::Relaxed);
        }
        error
    }

    /// Whether the file was deleted or replaced under us since the last call; it is then made anew.
    pub fn check_place(&self) -> bool {
        let mut writer = lock(&self.writer);
        self.look(&mut writer);
        std::mem::take(&mut writer.lost)
    }

    fn look(&self, writer: &mut Writer) {
        if writer.open.as_ref().is_some_and(|(_, file)| *file != Identity::of(&self.path)) {
            writer.open = None;
            writer.lost = true;
        }
    }

    fn open<'a>(&self, writer: &'a mut Writer) -> Result<&'a mut Connection, PersistError> {
        self.look(writer);
        if writer.open.is_none() {
            let _ = disk::remove_database(&disk::new_of(&self.path));
            let db = create(&self.path).map_err(|error| self.meaning(error))?;
            self.version(&db)?;
            writer.open = Some((db, Identity::of(&self.path)));
        }
        match &mut writer.open {
            Some((db, _)) => Ok(db),
            None => Err(PersistError::Gone { path: self.path.clone() }),
        }
    }

    /// The version of the file, which must be known.
    pub fn version(&self, db: &Connection) -> Result<i64, PersistError> {
        let known = schema::version(schema::HISTORY);
        match schema::version_of(db).map_err(|error| self.meaning(error))? {
            found if found > known => Err(PersistError::Newer { path: self.path.clone(), found, known }),
            found => Ok(found),
        }
    }

    /// Stores rows, synced to disk; those that are there already stay as they are.
    pub fn add(&self, rows: &[HistoryRow], now: Timestamp) -> Result<(), PersistError> {
        let mut writer = lock(&self.writer);
        self.salvage_if_damaged(&mut writer, now)?;
        let mut result = self.open(&mut writer).and_then(|db| insert(db, rows).map_err(|error| self.meaning(error)));
        if matches!(result, Err(PersistError::Damaged { .. })) {
            self.salvage_if_damaged(&mut writer, now)?;
            result = self.open(&mut writer).and_then(|db| insert(db, rows).map_err(|error| self.meaning(error)));
        }
        result
    }

    /// Removes rows from before `older_than` and the oldest above `rows_max`; lets others in between batches.
    pub fn clean(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        if !self.path.exists() {
            return Ok(0);
        }
        self.check_once()?;
        let mut surplus = self.with(|db| {
            let rows: i64 = db.query_row("SELECT count(*) FROM history", [], |row| row.get(0))?;
            Ok(u64::try_from(rows).unwrap_or(0).saturating_sub(rows_max))
        })?;
        let mut removed = 0;
        loop {
            let batch = self.with(|db| remove_oldest(db, older_than, surplus))?;
            removed += batch;
            surplus = surplus.saturating_sub(batch);
            if batch < CLEANED_ROWS_MAX {
                break;
            }
        }
        if removed > 0 {
            self.with(|db| {
                let none = |part: Part| {
                    let of_part = schema::of_part(part);
                    format!("NOT EXISTS (SELECT 1 FROM history WHERE rule_uid = rule_name.rule_uid AND {of_part})")
                };
                let (events, evaluations) = (none(Part::Events), none(Part::Evaluations));
                db.execute(&format!("DELETE FROM rule_name WHERE {events} AND {evaluations}"), []).map(drop)
            })?;
        }
        Ok(removed)
    }

    /// Removes rows about evaluations from before a time; lets others in between batches.
    pub fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        if !self.path.exists() {
            return Ok(0);
        }
        self.check_once()?;
        let mut removed = 0;
        loop {
            let batch = self.with(|db| remove_evaluations(db, older_than))?;
            removed += batch;
            if batch < CLEANED_ROWS_MAX {
                return Ok(removed);
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, PersistError> {
        let mut writer = lock(&self.writer);
        let db = self.open(&mut writer)?;
        work(db).map_err(|error| self.meaning(error))
    }

    /// Checks the structure of the file once since the start, by a connection of its own.
    fn check_once(&self) -> Result<(), PersistError> {
        if std::mem::replace(&mut lock(&self.writer).checked, true) {
            return Ok(());
        }
        let check = schema::reader(&self.path)
            .and_then(|db| db.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0)));
        let words = check.map_err(|error| self.meaning(error))?;
        if words == "ok" {
            return Ok(());
        }
        self.suspect.store(true, Ordering::Relaxed);
        let what = words.lines().next().unwrap_or("").to_owned();
        Err(PersistError::Damaged { path: self.path.clone(), what })
    }

    /// Salvages the file if it was found damaged.
    pub fn repair(&self, now: Timestamp) -> Result<(), PersistError> {
        self.salvage_if_damaged(&mut lock(&self.writer), now)
    }

    /// Copies every row that can be read into a new file, which takes the place of the damaged one.
    fn salvage_if_damaged(&self, writer: &mut Writer, now: Timestamp) -> Result<(), PersistError> {
        if !self.suspect.load(Ordering::Relaxed) {
            return Ok(());
        }
        writer.open = None;
        let new = disk::new_of(&self.path);
        let io = |error: std::io::Error| PersistError::Io { path: self.path.clone(), source: error.into() };
        disk::remove_database(&new).map_err(io)?;
        let result = salvage(&self.path, &new).map_err(|error| schema::meaning(&self.path, error)).and_then(|lost| {
            self.count_damaged(lost);
            disk::quarantine(&self.path, now).and_then(|()| disk::take_place(&new, &self.path)).map_err(io)
        });
        match &result {
            Ok(()) => self.suspect.store(false, Ordering::Relaxed),
            Err(_) => _ = disk::remove_database(&new),
        }
        result
    }
}

/// Opens the file for work, and makes it if it is not there.
fn create(path: &Path) -> rusqlite::Result<Connection> {
    let mut db = schema::open(path)?;
    if schema::version_of(&db)? == 0 {
        // To be set before the first table: lets a file that was cleaned become smaller.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    schema::log_ahead(&db, false)?;
    // A row is removed from the state once it is here: it must be here for good.
    db.pragma_update(None, "synchronous", "FULL")?;
    schema::migrate(&mut db, schema::HISTORY)?;
    Ok(db)
}

fn insert(db: &mut Connection, rows: &[HistoryRow]) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    store(&transaction, rows)?;
    transaction.commit()
}

fn store(transaction: &Transaction<'_>, rows: &[HistoryRow]) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(PUT)?;
    let mut names = BTreeSet::new();
    for row in rows {
        put_history(&mut put, row)?;
        names.insert((row.event.rule.as_str(), row.event.rule_uid.as_str()));
    }
    let mut name = transaction.prepare_cached("INSERT OR IGNORE INTO rule_name VALUES (?1, ?2)")?;
    names.into_iter().filter(|(rule, uid)| rule != uid).try_for_each(|(rule, uid)| name.execute([rule, uid]).map(drop))
}

fn remove_oldest(db: &mut Connection, older_than: Timestamp, surplus: u64) -> rusqlite::Result<u64> {
    let transaction = db.transaction()?;
    // Each part in the order of its index, and the two merged.
    let part = |part: Part| format!("SELECT at_ms, number FROM history WHERE at_ms < ?1 AND {}", schema::of_part(part));
    let (events, evaluations) = (part(Part::Events), part(Part::Evaluations));
    let oldest = format!("{events} UNION ALL {evaluations} ORDER BY at_ms, number LIMIT ?2");
    let delete = format!("DELETE FROM history WHERE number IN (SELECT number FROM ({oldest}))");
    let remove = |limit: u64, before: i64| transaction.prepare_cached(&delete)?.execute(params![before, signed(limit)]);
    let old = remove(CLEANED_ROWS_MAX, older_than.0)? as u64;
    let room = CLEANED_ROWS_MAX - old;
    let more = remove(surplus.saturating_sub(old).min(room), i64::MAX)? as u64;
    transaction.commit()?;
    free_pages(db, old + more)?;
    Ok(old + more)
}

fn remove_evaluations(db: &mut Connection, older_than: Timestamp) -> rusqlite::Result<u64> {
    let of_part = schema::of_part(Part::Evaluations);
    let old = format!("SELECT number FROM history WHERE at_ms < ?1 AND {of_part} LIMIT ?2");
    let delete = format!("DELETE FROM history WHERE number IN ({old})");
    let removed = db.execute(&delete, params![older_than.0, signed(CLEANED_ROWS_MAX)])? as u64;
    free_pages(db, removed)?;
    Ok(removed)
}

/// Gives pages back to the disk after rows were removed.
fn free_pages(db: &Connection, removed: u64) -> rusqlite::Result<()> {
    if removed > 0 {
        // Each page is one row of this statement.
        let mut free = db.prepare(&format!("PRAGMA incremental_vacuum({FREED_PAGES_MAX})"))?;
        let mut pages = free.query([])?;
        while pages.next()?.is_some() {}
    }
    Ok(())
}

/// Copies the rows that can be read; gives how many are known to be lost.
fn salvage(from: &Path, to: &Path) -> rusqlite::Result<u64> {
    let mut new = create(to)?;
    let Ok(old) = schema::untouched(from) else { return Ok(0) };
    let (mut at, mut gap, mut lost) = (-1_i64, 0_i64, 0);
    loop {
        let mut rows = Vec::new();
        let read = read_from(&old, at.saturating_add(gap), &mut rows, &mut lost);
        if let Some(last) = rows.last() {
            at = signed(last.number);
            gap = 0;
        }
        insert(&mut new, &rows)?;
        match read {
            Ok(None) => break,
            Ok(Some(last)) => (at, gap) = (at.max(last), 0),
            // Behind what cannot be read something may be: further and further on.
            Err(_) if gap > i64::MAX / 4 => break,
            Err(_) => gap = (gap * 2).max(1),
        }
    }
    new.pragma_update(None, "journal_mode", "DELETE")?;
    new.close().map_err(|(_, error)| error)?;
    Ok(lost)
}

/// Reads a batch behind a number; gives the last number seen, `None` at the end.
fn read_from(db: &Connection, after: i64, rows: &mut Vec<HistoryRow>, lost: &mut u64) -> rusqlite::Result<Option<i64>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM history NOT INDEXED WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let mut found = statement.query(params![after, SALVAGED_ROWS_MAX])?;
    let mut last = None;
    while let Some(row) = found.next()? {
        last = row.get(0).optional()?.or(last);
        match HistoryRow::checked(&Columns(row)) {
            Some(row) => rows.push(row),
            None => *lost += 1,
        }
    }
    Ok(last)
}
