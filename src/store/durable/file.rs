//! `metrics.db`: the tables, and one transaction of them.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, MAIN_DB, TransactionBehavior, params};

use super::backing::{Backing, Change, Committed, PageChange};
use super::batch::Batch;
use super::block::Block;
use super::many::Many;
use crate::model::{Labels, Timestamp};
use crate::persist::PersistError;
use crate::persist::sqlite::disk::{self, Identity};
use crate::persist::sqlite::schema;
use crate::store::SeriesRef;
use crate::store::embedded::PAGE;

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

/// Each entry leads from the version of its index to the next. `id` of a series is its slot and its generation, `id` of
/// a block its page and its number. Labels are JSON, so that other programs can read them.
pub(super) const TABLES: &[&str] = &["
CREATE TABLE meta (id INTEGER PRIMARY KEY, generation INTEGER, crc INTEGER);
CREATE TABLE series (id INTEGER PRIMARY KEY, labels TEXT, crc INTEGER);
CREATE TABLE family (name TEXT PRIMARY KEY, kind TEXT, help TEXT, unit TEXT) WITHOUT ROWID;
CREATE TABLE rewind (id INTEGER PRIMARY KEY, cut_ms INTEGER);
CREATE TABLE journal (id INTEGER PRIMARY KEY, at_ms INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, series BLOB, series_crc INTEGER, data BLOB, crc INTEGER);
CREATE TABLE block (id INTEGER PRIMARY KEY, through INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE TABLE page (id INTEGER PRIMARY KEY, through INTEGER, next INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE TABLE histogram (id INTEGER PRIMARY KEY, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE INDEX histogram_last ON histogram (last_ms);
CREATE INDEX block_last ON block (last_ms);
"];

/// The checksum of a row: its numbers, then its bytes.
pub(super) fn crc(numbers: &[i64], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    hasher.update(bytes);
    hasher.finalize()
}

/// The file in use.
pub struct MetricsFile {
    dir: PathBuf,
    path: PathBuf,
    open: Option<Open>,
    /// Bytes to leave free, known from the first opening on.
    space_kept: Option<u64>,
    /// Whether there was too little space.
    short: bool,
    now: Box<dyn Fn() -> Timestamp + Send>,
}

struct Open {
    db: Connection,
    file: Option<Identity>,
    log: Option<Identity>,
}

impl MetricsFile {
    /// Of a data directory; opens nothing yet. `now` names what is put into quarantine.
    pub fn new(dir: &Path, now: Box<dyn Fn() -> Timestamp + Send>) -> Self {
        Self { dir: dir.to_owned(), path: dir.join(FILE), open: None, space_kept: None, short: false, now }
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

    fn try_open(&self) -> Result<(Open, bool), PersistError> {
        let meaning = |error| schema::meaning(&self.path, error);
        std::fs::create_dir_all(&self.dir)
            .map_err(|source| PersistError::Io { path: self.dir.clone(), source: Box::new(source) })?;
        let mut db = schema::open(&self.path).map_err(meaning)?;
        if db.is_readonly(MAIN_DB).map_err(meaning)? {
            return Err(PersistError::ReadOnly { path: self.path.clone() });
        }
        let (found, known) = (schema::version_of(&db).map_err(meaning)?, schema::version(TABLES));
        if found > known {
            return Err(PersistError::Newer { path: self.path.clone(), found, known });
        }
        let prepare = |db: &mut Connection| {
            if found == 0 {
                db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            }
            schema::log_ahead(db, false)?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            schema::migrate(db, TABLES)
        };
        prepare(&mut db).map_err(meaning)?;
        let [file, log] = [Identity::of(&self.path), Identity::of(&self.log())];
        Ok((Open { db, file, log }, found == 0))
    }

    /// Closes the file; one that is damaged goes into quarantine, so that the next opening makes a new one.
    fn give_up(&mut self, error: &PersistError) {
        match error {
            PersistError::Damaged { .. } => {
                self.open = None;
                // Where that fails, the next opening tells why.
                let _ = disk::quarantine(&self.path, (self.now)());
            }
            PersistError::Gone { .. } | PersistError::ReadOnly { .. } | PersistError::Io { .. } => self.open = None,
            PersistError::Full { .. } | PersistError::Busy { .. } | PersistError::Newer { .. } => {}
        }
    }
}

impl Backing for MetricsFile {
    fn ready(&mut self) -> Result<bool, PersistError> {
        let (file, log) = (Identity::of(&self.path), Identity::of(&self.log()));
        self.open.take_if(|open| open.file != file || open.log != log);
        self.check_space()?;
        if self.open.is_some() {
            return Ok(false);
        }
        match self.try_open() {
            Ok((open, fresh)) => {
                self.open = Some(open);
                Ok(fresh)
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
    put_series(&transaction, change)?;
    for batch in &change.batches {
        put_batch(&transaction, batch)?;
    }
    for many in &change.histograms {
        put_many(&transaction, many)?;
    }
    for page in &change.pages {
        put_page(&transaction, page)?;
    }
    if let Some((number, cut_ms)) = change.rewound {
        transaction.prepare_cached("INSERT OR REPLACE INTO rewind VALUES (?1, ?2)")?.execute([number, cut_ms])?;
    }
    let mut statement = transaction.prepare_cached("DELETE FROM journal WHERE id <= ?1")?;
    statement.execute([change.covered])?;
    drop(statement);
    let committed = clean(&transaction, change)?;
    transaction.commit()?;
    Ok(committed)
}

fn put_series(db: &Connection, change: &Change) -> rusqlite::Result<()> {
    let generation = i64::from(change.generation);
    db.prepare_cached("INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2)")?
        .execute(params![generation, crc(&[generation], &[])])?;
    insert_series(db, &change.made)?;
    let mut remove = db.prepare_cached("DELETE FROM series WHERE id = ?1")?;
    for series in &change.gone {
        remove.execute([series.id()])?;
    }
    let mut describe = db.prepare_cached("INSERT OR REPLACE INTO family VALUES (?1, ?2, ?3, ?4)")?;
    for (name, about) in &change.families {
        describe.execute([name.as_str(), about.kind.as_str(), &about.help, &about.unit])?;
    }
    Ok(())
}

fn insert_series(db: &Connection, made: &[(SeriesRef, Labels)]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO series VALUES (?1, ?2, ?3)")?;
    for (series, labels) in made {
        // Labels are texts: writing them as JSON cannot fail.
        let text = serde_json::to_string(labels).unwrap_or_default();
        insert.execute(params![series.id(), text, crc(&[series.id()], text.as_bytes())])?;
    }
    Ok(())
}

fn put_batch(db: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let (first_ms, last_ms) = batch.times;
    let numbers = [batch.number, batch.at_ms, first_ms, last_ms, i64::from(batch.points)];
    db.prepare_cached("INSERT OR REPLACE INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            batch.number,
            batch.at_ms,
            first_ms,
            last_ms,
            batch.points,
            batch.series,
            crc(&numbers, &batch.series),
            batch.values,
            crc(&numbers, &batch.values),
        ],
    )?;
    Ok(())
}

fn put_many(db: &Connection, many: &Many) -> rusqlite::Result<()> {
    let numbers = [many.number, many.times.0, many.times.1, i64::from(many.points)];
    let [id, first_ms, last_ms, points] = numbers;
    db.prepare_cached("INSERT OR REPLACE INTO histogram VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        id,
        first_ms,
        last_ms,
        points,
        many.data,
        crc(&numbers, &many.data)
    ])?;
    Ok(())
}

/// The numbers of a block that its checksum covers.
pub(super) fn numbers(id: i64, through: i64, next: i64, block: &Block) -> [i64; 6] {
    [id, through, next, block.times.0, block.times.1, block.points.cast_signed()]
}

fn put_page(db: &Connection, change: &PageChange) -> rusqlite::Result<()> {
    let page = i64::from(change.page);
    if let Some(series) = &change.series {
        let first = page * i64::from(PAGE);
        let mut remove = db.prepare_cached("DELETE FROM series WHERE id >= ?1 AND id < ?2")?;
        remove.execute([first << 32, (first + i64::from(PAGE)) << 32])?;
        insert_series(db, series)?;
    }
    if let Some(block) = &change.sealed {
        let id = page << 32 | i64::from(change.next.saturating_sub(1));
        let sum = crc(&numbers(id, change.through, 0, block), &block.data);
        let (first_ms, last_ms) = block.times;
        let points = block.points.cast_signed();
        db.prepare_cached("INSERT OR REPLACE INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            id,
            change.through,
            first_ms,
            last_ms,
            points,
            block.data,
            sum
        ])?;
    }
    let (block, next) = (&change.open, i64::from(change.next));
    let sum = crc(&numbers(page, change.through, next, block), &block.data);
    let (first_ms, last_ms) = block.times;
    let points = block.points.cast_signed();
    db.prepare_cached("INSERT OR REPLACE INTO page VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
        page,
        change.through,
        next,
        first_ms,
        last_ms,
        points,
        block.data,
        sum
    ])?;
    Ok(())
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<u64> {
    db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(|value| u64::try_from(value).unwrap_or(0))
}

/// Removes what is too old or too much, a part of it, and gives space back.
fn clean(db: &Connection, change: &Change) -> rusqlite::Result<Committed> {
    for old in [
        "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE last_ms < ?1 ORDER BY last_ms, id LIMIT ?2)",
        "DELETE FROM histogram WHERE id IN (SELECT id FROM histogram WHERE last_ms < ?1 ORDER BY last_ms LIMIT ?2)",
    ] {
        db.prepare_cached(old)?.execute([change.cutoff_ms, REMOVED_ROWS_MAX])?;
    }
    db.prepare_cached("DELETE FROM rewind WHERE cut_ms < ?1")?.execute([change.cutoff_ms])?;
    let page_size = pragma(db, "page_size")?;
    let used = |db: &Connection| -> rusqlite::Result<u64> {
        Ok(pragma(db, "page_count")?.saturating_sub(pragma(db, "freelist_count")?) * page_size)
    };
    let mut committed = Committed { bytes: used(db)?, removed_to_ms: None };
    let mut left = REMOVED_ROWS_MAX;
    while change.bytes_max > 0 && committed.bytes > change.bytes_max && left > 0 {
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
