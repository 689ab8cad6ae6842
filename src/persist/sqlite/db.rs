//! One state file in use: applies the changes of a transaction, and keeps the sum over all rows.
//!
//! The sum in `meta` is over the checksums of all rows. It finds what no check of single rows can: a row that is missing,
//! or an older state of one page between newer ones, which a log that was cut leaves behind.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, MAIN_DB, OptionalExtension as _, Params, TransactionBehavior, params};

use super::disk::{self, Identity};
use super::lock;
use super::places::Places;
use super::rows::{Columns, RawNotice, Stored as _, Sum, put_record, signed};
use super::schema;
use crate::model::Timestamp;
use crate::persist::plan::{Change, Head, Plan, View};
use crate::persist::{Kind, OutboxRow, PersistError};

/// How many rows a state file has, and the sum of their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub rows: u64,
    pub sum: u64,
}

impl Tally {
    pub fn add(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(u64::from(crc));
    }

    fn take(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(u64::from(crc));
    }
}

/// The one row of `meta`; the counts in the head are not stored, they follow from the rows.
pub(super) fn read_meta(db: &Connection) -> rusqlite::Result<Option<(Head, Tally, i64)>> {
    let mut statement = db.prepare("SELECT version, seq, position, number, rows, sum, crc FROM meta WHERE id = 1")?;
    let mut found = statement.query([])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let row = Columns(row);
    let read = || {
        let version = row.int(0)?;
        let head = Head { seq: row.count(1)?, position: row.count(2)?, number: row.count(3)?, ..Head::default() };
        let tally = Tally { rows: row.count(4)?, sum: row.int(5)?.cast_unsigned() };
        (row.int(6)? == i64::from(meta_crc(version, &head, tally))).then_some((head, tally, version))
    };
    Ok(read())
}

fn meta_crc(version: i64, head: &Head, tally: Tally) -> u32 {
    let sum = Sum::default().int(version).int(signed(head.seq)).int(signed(head.position)).int(signed(head.number));
    sum.int(signed(tally.rows)).int(signed(tally.sum)).end()
}

/// Stores the row of `meta`.
pub(super) fn put_meta(db: &Connection, head: &Head, tally: Tally) -> rusqlite::Result<()> {
    let version = schema::version(schema::STATE);
    db.prepare_cached("INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        version,
        signed(head.seq),
        signed(head.position),
        signed(head.number),
        signed(tally.rows),
        signed(tally.sum),
        meta_crc(version, head, tally),
    ])?;
    Ok(())
}

/// Rows as planning sees them, inside the transaction.
struct Rows<'a> {
    db: &'a Connection,
    path: &'a Path,
    places: &'a Mutex<Places>,
}

impl Rows<'_> {
    fn texts(&self, sql: &str, parameters: impl Params) -> Result<Vec<String>, PersistError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.db.prepare_cached(sql)?.query_map(parameters, |row| row.get(0))?.collect()
        };
        read().map_err(|error| schema::meaning(self.path, error))
    }
}

impl View for Rows<'_> {
    fn has_notice(&self, id: &str) -> Result<bool, PersistError> {
        let exists = || self.db.prepare_cached("SELECT 1 FROM outbox WHERE id = ?1")?.exists([id]);
        exists().map_err(|error| schema::meaning(self.path, error))
    }

    fn notice(&self, id: &str) -> Result<Option<OutboxRow>, PersistError> {
        let read = || -> rusqlite::Result<Option<Option<RawNotice>>> {
            let mut statement = self.db.prepare_cached("SELECT * FROM outbox WHERE id = ?1")?;
            statement.query_row([id], |row| Ok(RawNotice::checked(&Columns(row)))).optional()
        };
        match read().map_err(|error| schema::meaning(self.path, error))? {
            None => Ok(None),
            Some(Some(found)) => Ok(Some(found.row)),
            Some(None) => {
                Err(PersistError::Damaged { path: self.path.to_owned(), what: format!("checksum of notice {id}") })
            }
        }
    }

    fn dead_but(&self, handler: &str, kept: usize) -> Result<Vec<String>, PersistError> {
        Ok(lock(self.places).dead_but(handler, kept))
    }

    fn dead_before(&self, time: Timestamp, most: usize) -> Result<Vec<String>, PersistError> {
        Ok(lock(self.places).dead_before(time, most))
    }

    fn notice_ids(&self) -> Result<Vec<String>, PersistError> {
        self.texts("SELECT id FROM outbox", [])
    }

    fn record_keys(&self) -> Result<Vec<(Kind, String)>, PersistError> {
        let mut keys = Vec::new();
        for kind in Kind::ALL {
            let ids = self.texts("SELECT id FROM record WHERE kind = ?1", [kind.as_str()])?;
            keys.extend(ids.into_iter().map(|id| (kind, id)));
        }
        Ok(keys)
    }
}

/// Takes the row that a statement finds out of the tally, if one is kept.
fn forget(db: &Connection, tally: &mut Option<&mut Tally>, sql: &str, key: impl Params) -> rusqlite::Result<()> {
    if let Some(tally) = tally {
        let old: Option<u32> = db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        old.into_iter().for_each(|crc| tally.take(crc));
    }
    Ok(())
}

const OLD_RECORD: &str = "SELECT crc FROM record WHERE kind = ?1 AND id = ?2";
const OLD_NOTICE: &str = "SELECT crc FROM outbox WHERE id = ?1";
const OLD_HISTORY: &str = "SELECT crc FROM history_staging WHERE number = ?1";

/// Makes one change, and keeps the tally if there is one.
fn apply(db: &Connection, change: &Change<'_>, seq: u64, mut tally: Option<&mut Tally>) -> rusqlite::Result<()> {
    let added = match change {
        Change::PutRecord(record) => {
            forget(db, &mut tally, OLD_RECORD, [record.kind.as_str(), &record.id])?;
            Some(put_record(db, record.kind.as_str(), &record.id, &record.value, seq)?)
        }
        Change::DeleteRecord(kind, id) => {
            forget(db, &mut tally, OLD_RECORD, [kind.as_str(), id])?;
            let mut statement = db.prepare_cached("DELETE FROM record WHERE kind = ?1 AND id = ?2")?;
            statement.execute([kind.as_str(), id])?;
            None
        }
        Change::PutNotice(row) => {
            forget(db, &mut tally, OLD_NOTICE, [&row.id])?;
            let row = RawNotice { row: row.clone(), seq };
            row.put(db)?;
            Some(row.crc())
        }
        Change::DeleteNotice(id) => {
            forget(db, &mut tally, OLD_NOTICE, [id])?;
            db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
            None
        }
        Change::PutHistory(row) => {
            row.put(db)?;
            tally.is_some().then(|| row.crc())
        }
        Change::DeleteHistory(number) => {
            forget(db, &mut tally, OLD_HISTORY, [signed(*number)])?;
            db.prepare_cached("DELETE FROM history_staging WHERE number = ?1")?.execute([signed(*number)])?;
            None
        }
    };
    if let (Some(tally), Some(crc)) = (tally, added) {
        tally.add(crc);
    }
    Ok(())
}

/// A state file in use.
#[derive(Debug)]
pub(super) struct StateDb {
    pub db: Connection,
    pub path: PathBuf,
    file: Option<Identity>,
    log: Option<Identity>,
    pub tally: Tally,
    synced: bool,
}

impl StateDb {
    /// Opens a file that was examined or just written.
    pub fn open(path: &Path, tally: Tally, alone: bool) -> Result<Self, PersistError> {
        let open = || {
            let db = schema::open(path)?;
            schema::log_ahead(&db, alone)?;
            // The first reading makes the log, which is then known.
            schema::version_of(&db)?;
            Ok((db.is_readonly(MAIN_DB)?, db))
        };
        let (read_only, db) = open().map_err(|error| schema::meaning(path, error))?;
        // The library opens what it may only read without a word.
        if read_only {
            return Err(PersistError::ReadOnly { path: path.to_owned() });
        }
        let [file, log] = [Identity::of(path), Identity::of(&disk::beside(path, "-wal"))];
        Ok(Self { db, path: path.to_owned(), file, log, tally, synced: false })
    }

    /// Whether the files in use are still those at their paths.
    pub fn check_place(&self) -> Result<(), PersistError> {
        let log = disk::beside(&self.path, "-wal");
        if self.file == Identity::of(&self.path) && self.log == Identity::of(&log) {
            return Ok(());
        }
        Err(PersistError::Gone { path: self.path.clone() })
    }

    fn sync(&mut self, durable: bool) -> rusqlite::Result<()> {
        if self.synced != durable {
            self.db.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.synced = durable;
        }
        Ok(())
    }

    /// Plans and stores one transaction, whole or not at all. The plan comes back for the copy; nothing is stored if it
    /// has no changes and need not be durable.
    pub fn write<'a, T>(
        &mut self,
        (last, places): (Head, &Mutex<Places>),
        durable: bool,
        plan: &mut dyn FnMut(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<(Plan<'a>, T), PersistError> {
        self.sync(durable).map_err(|error| schema::meaning(&self.path, error))?;
        let Self { db, path, tally, .. } = self;
        let meaning = |error| schema::meaning(path, error);
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(meaning)?;
        let mut planned = Plan::new(last);
        let done = plan(&mut planned, &Rows { db: &transaction, path, places })?;
        if planned.changes.is_empty() && !durable {
            planned.head = last;
            return Ok((planned, done));
        }
        let mut after = *tally;
        let mut store = || {
            let seq = planned.head.seq;
            planned.changes.iter().try_for_each(|change| apply(&transaction, change, seq, Some(&mut after)))?;
            put_meta(&transaction, &planned.head, after)
        };
        store().and_then(|()| transaction.commit()).map_err(meaning)?;
        *tally = after;
        Ok((planned, done))
    }

    /// Stores what another file has stored.
    pub fn follow(&mut self, planned: &Plan<'_>, other: &Self) -> Result<(), PersistError> {
        let store = |db: &mut Connection| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let seq = planned.head.seq;
            planned.changes.iter().try_for_each(|change| apply(&transaction, change, seq, None))?;
            put_meta(&transaction, &planned.head, other.tally)?;
            transaction.commit()
        };
        store(&mut self.db).map_err(|error| schema::meaning(&self.path, error))?;
        self.tally = other.tally;
        Ok(())
    }

    /// Gives memory back, and moves a long log into its file where no other connection can.
    pub fn rest(&self, log_len_kept: u64) {
        let _ = self.db.execute_batch("PRAGMA shrink_memory");
        let log = std::fs::metadata(disk::beside(&self.path, "-wal"));
        if log.is_ok_and(|log| log.len() > log_len_kept) {
            let _ = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }

    /// Moves the log into the file and empties it, as far as readers allow: on a full disk that makes room.
    pub fn empty_log(&self) {
        let _ = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}
