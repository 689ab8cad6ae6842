//! `metrics.db`: the file in use, and one transaction of it.
//!
//! What is at the path and is not the file that the writer knows (another one, one whose tables are not as they were made,
//! an older copy of it) goes into quarantine, and a new file is begun. Nothing is ever written over what was not read.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, MAIN_DB, TransactionBehavior};

use super::backing::{Backing, Change, Cleaning, Committed, Known, Ready};
use super::reading::is_corrupt;
use super::rows::{self, TABLES, put_about, put_batch, put_many, put_page, put_series};
use crate::model::Timestamp;
use crate::persist::PersistError;
use crate::persist::sqlite::disk::{self, Identity};
use crate::persist::sqlite::schema;

/// The name of the file in the data directory.
pub const FILE: &str = "metrics.db";
/// Space that samples leave to everything else, the state of alerts first: at most this, bytes.
const SPACE_KEPT_MAX: u64 = 32 << 20;
/// At least this, bytes.
const SPACE_KEPT_MIN: u64 = 256 << 10;
/// At most this part of what was free at the start.
const SPACE_KEPT_PART: u64 = 8;
/// Blocks and batches that one transaction removes at most.
const REMOVED_ROWS_MAX: i64 = 256;
/// The write-ahead log is moved into the file when it has so many pages.
const CHECKPOINT_PAGES: u32 = 2000;
/// Pages that one transaction gives back to the file system at most.
const VACUUM_PAGES_MAX: u32 = 1000;

/// The file in use.
pub struct MetricsFile {
    dir: PathBuf,
    path: PathBuf,
    open: Option<Open>,
    /// Bytes to leave free, known from the first opening on.
    space_kept: Option<u64>,
    /// Whether there was too little space.
    short: bool,
    /// Why a file was put aside, until that is told.
    put_aside: Option<String>,
    now: Box<dyn Fn() -> Timestamp + Send>,
}

struct Open {
    db: Connection,
    file: Option<Identity>,
    log: Option<Identity>,
}

/// What is at the path.
pub(super) enum Found {
    /// Nothing that was ever stored.
    Nothing,
    /// A file with the tables of this version, and the number of its last batch if that can be read.
    Own(Option<i64>),
    /// What a later version wrote.
    Newer(i64),
    /// Anything else, in words.
    Strange(String),
}

/// Looks at an open file.
pub(super) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let (found, known) = (schema::version_of(db)?, schema::version(TABLES));
    // The version is in the head of the file and in a row: where the row says that this program knows it, the head is
    // damaged.
    let about = rows::about(db).ok().flatten();
    if found > known && about.is_none_or(|(_, version)| version > known) {
        return Ok(Found::Newer(found));
    }
    let layout = schema::layout(db)?;
    if layout.is_empty() {
        return Ok(Found::Nothing);
    }
    if found != known || layout != schema::made_layout(TABLES)? {
        return Ok(Found::Strange("its tables are not as they were made".to_owned()));
    }
    Ok(match about {
        // It was made, and its first change was not stored.
        None if rows::is_empty(db) => Found::Nothing,
        about => Found::Own(about.map(|(about, _)| about.number)),
    })
}

impl MetricsFile {
    /// Of a data directory; opens nothing yet. `now` names what is put into quarantine.
    pub fn new(dir: &Path, now: Box<dyn Fn() -> Timestamp + Send>) -> Self {
        let path = dir.join(FILE);
        Self { dir: dir.to_owned(), path, open: None, space_kept: None, short: false, put_aside: None, now }
    }

    fn log(&self) -> PathBuf {
        disk::beside(&self.path, "-wal")
    }

    /// An error while there is less space than is left to others; it must be there twice for samples to go on.
    fn check_space(&mut self) -> Result<(), PersistError> {
        let Some(free) = disk::free_bytes(&self.dir) else { return Ok(()) };
        let kept =
            *self.space_kept.get_or_insert_with(|| (free / SPACE_KEPT_PART).clamp(SPACE_KEPT_MIN, SPACE_KEPT_MAX));
        let wanted = if self.short { kept * 2 } else { kept };
        self.short = free < wanted;
        if self.short { Err(PersistError::Full { path: self.path.clone() }) } else { Ok(()) }
    }

    fn io(&self, source: std::io::Error) -> PersistError {
        PersistError::Io { path: self.path.clone(), source: Box::new(source) }
    }

    /// Opens what is there if it is known, or else makes a new file. True if it is new.
    fn try_open(&mut self, known: Option<&Known>) -> Result<(Open, bool), PersistError> {
        std::fs::create_dir_all(&self.dir).map_err(|source| self.io(source))?;
        if disk::len(&self.path) > 0 {
            let looked = schema::open(&self.path).and_then(|db| {
                let found = look(&db)?;
                Ok((db, found))
            });
            let strange = match looked {
                Ok((_, Found::Newer(found))) => {
                    let known = schema::version(TABLES);
                    return Err(PersistError::Newer { path: self.path.clone(), found, known });
                }
                Ok((db, Found::Nothing)) => return self.prepare(db, true),
                Ok((db, Found::Own(Some(number)))) if known.is_some_and(|known| known.contains(&number)) => {
                    return self.prepare(db, false);
                }
                Ok((_, Found::Own(_))) => "it is not the file that samples were stored in".to_owned(),
                Ok((_, Found::Strange(what))) => what,
                Err(error) if is_corrupt(&error) => error.to_string(),
                Err(error) => return Err(schema::meaning(&self.path, error)),
            };
            self.put_aside(strange)?;
        }
        let db = schema::open(&self.path).map_err(|error| schema::meaning(&self.path, error))?;
        self.prepare(db, true)
    }

    fn prepare(&self, mut db: Connection, fresh: bool) -> Result<(Open, bool), PersistError> {
        let meaning = |error| schema::meaning(&self.path, error);
        if db.is_readonly(MAIN_DB).map_err(meaning)? {
            return Err(PersistError::ReadOnly { path: self.path.clone() });
        }
        let prepare = |db: &mut Connection| {
            if fresh {
                db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            }
            schema::log_ahead(db, false)?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            schema::migrate(db, TABLES)
        };
        prepare(&mut db).map_err(meaning)?;
        let [file, log] = [Identity::of(&self.path), Identity::of(&self.log())];
        Ok((Open { db, file, log }, fresh))
    }

    /// Puts what is at the path into quarantine, and remembers to tell it.
    fn put_aside(&mut self, why: String) -> Result<(), PersistError> {
        self.open = None;
        disk::quarantine(&self.path, (self.now)()).map_err(|source| self.io(source))?;
        self.put_aside = Some(why);
        Ok(())
    }

    /// Closes the file; one that is damaged goes into quarantine, so that the next opening makes a new one.
    fn give_up(&mut self, error: &PersistError) {
        match error {
            PersistError::Damaged { what, .. } => {
                // Where that fails, the next opening tries it once more, and tells why.
                let _ = self.put_aside(what.clone());
            }
            PersistError::Gone { .. } | PersistError::ReadOnly { .. } | PersistError::Io { .. } => self.open = None,
            PersistError::Full { .. }
            | PersistError::Busy { .. }
            | PersistError::Newer { .. }
            | PersistError::Lease { .. }
            | PersistError::Refused { .. } => {}
        }
    }
}

impl Backing for MetricsFile {
    fn ready(&mut self, known: Option<&Known>) -> Result<Ready, PersistError> {
        let (file, log) = (Identity::of(&self.path), Identity::of(&self.log()));
        self.open.take_if(|open| open.file != file || open.log != log);
        self.check_space()?;
        if self.open.is_some() {
            return Ok(Ready::default());
        }
        match self.try_open(known) {
            Ok((open, fresh)) => {
                self.open = Some(open);
                Ok(Ready { fresh, put_aside: self.put_aside.take() })
            }
            Err(error) => {
                self.give_up(&error);
                Err(error)
            }
        }
    }

    fn commit(&mut self, change: &Change) -> Result<Committed, PersistError> {
        let path = self.path.clone();
        let Some(open) = &mut self.open else { return Err(PersistError::Gone { path }) };
        let result = commit(&mut open.db, change).map_err(|error| schema::meaning(&path, error));
        if let Err(error) = &result {
            self.give_up(error);
        }
        result
    }
}

fn commit(db: &mut Connection, change: &Change) -> rusqlite::Result<Committed> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    put_about(&transaction, change.about)?;
    put_series(&transaction, change)?;
    change.batches.iter().try_for_each(|batch| put_batch(&transaction, batch))?;
    change.histograms.iter().try_for_each(|many| put_many(&transaction, many))?;
    if let Some((number, cut_ms)) = change.rewound {
        rows::put_rewind(&transaction, number, cut_ms)?;
    }
    // Somebody may wait for a change that cleans nothing.
    if change.cleaning.is_some() {
        rows::cut_back(&transaction, change)?;
    }
    change.pages.iter().try_for_each(|page| put_page(&transaction, page))?;
    transaction.prepare_cached("DELETE FROM journal WHERE id <= ?1")?.execute([change.covered])?;
    let committed = match &change.cleaning {
        Some(cleaning) => clean(&transaction, change.histograms_from, *cleaning)?,
        None => Committed { bytes: used(&transaction)?, removed_to_ms: None },
    };
    transaction.commit()?;
    Ok(committed)
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<u64> {
    db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(|value| u64::try_from(value).unwrap_or(0))
}

fn used(db: &Connection) -> rusqlite::Result<u64> {
    Ok(pragma(db, "page_count")?.saturating_sub(pragma(db, "freelist_count")?) * pragma(db, "page_size")?)
}

/// Removes what is too old or too much, a part of it, and gives space back.
fn clean(db: &Connection, histograms_from: i64, cleaning: Cleaning) -> rusqlite::Result<Committed> {
    for old in [
        "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE last_ms < ?1 ORDER BY last_ms, id LIMIT ?2)",
        "DELETE FROM histogram WHERE id IN (SELECT id FROM histogram WHERE last_ms < ?1 ORDER BY last_ms LIMIT ?2)",
    ] {
        db.prepare_cached(old)?.execute([cleaning.cutoff_ms, REMOVED_ROWS_MAX])?;
    }
    db.prepare_cached("DELETE FROM histogram WHERE id IN (SELECT id FROM histogram WHERE id < ?1 LIMIT ?2)")?
        .execute([histograms_from, REMOVED_ROWS_MAX])?;
    let mut committed = Committed { bytes: used(db)?, removed_to_ms: None };
    let mut left = REMOVED_ROWS_MAX;
    while cleaning.bytes_max > 0 && committed.bytes > cleaning.bytes_max && left > 0 {
        let mut oldest = db.prepare_cached("SELECT id, last_ms FROM block ORDER BY last_ms, id LIMIT 1")?;
        let found: Result<(i64, i64), _> = oldest.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
        let Ok((id, last_ms)) = found else { break };
        db.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
        db.prepare_cached("DELETE FROM histogram WHERE last_ms < ?1")?.execute([last_ms])?;
        committed.removed_to_ms = Some(last_ms);
        committed.bytes = used(db)?;
        left -= 1;
    }
    if pragma(db, "freelist_count")? > pragma(db, "page_count")? / 4 {
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES_MAX})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(committed)
}
