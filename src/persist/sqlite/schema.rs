//! The tables, their versions, and opening a database file in each of the ways this room needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ffi};

use super::disk;
use crate::persist::PersistError;
use crate::persist::history::Part;

/// How long a call waits for another program that looks into a file.
const BUSY_WAIT: Duration = Duration::from_millis(500);
/// A commit moves the write-ahead log into the file when it has this many pages; upkeep does so long before.
const CHECKPOINT_PAGES: u32 = 8000;
/// Memory for pages, KiB: a slot in which thousands of alerts change must fit, or pages are written more than once.
const CACHE_KIB: i32 = 32 << 10;
/// The write-ahead log is cut to this after it was moved.
const LOG_LEN_MAX: u32 = 4 << 20;

/// Of the state and its copy: each entry leads from the version of its index to the next. Tables have no second index,
/// so that no row can be in one and not in the other.
pub(super) const STATE: &[&str] = &["
CREATE TABLE meta (id INTEGER PRIMARY KEY, version INTEGER, seq INTEGER, position INTEGER, number INTEGER, rows INTEGER, sum INTEGER, crc INTEGER);
CREATE TABLE record (kind TEXT, id TEXT, value TEXT, seq INTEGER, crc INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE outbox (id TEXT PRIMARY KEY, position INTEGER, handler TEXT, group_key TEXT, created_ms INTEGER, payload TEXT, state TEXT, attempts INTEGER, next_attempt_ms INTEGER, claimed_by TEXT, maybe_sent INTEGER, last_error TEXT, dead_ms INTEGER, seq INTEGER, crc INTEGER) WITHOUT ROWID;
CREATE TABLE history_staging (number INTEGER PRIMARY KEY, at_ms INTEGER, kind TEXT, rule_uid TEXT, rule TEXT, fingerprint TEXT, severity TEXT, handler TEXT, reason TEXT, notice_id TEXT, labels TEXT, detail TEXT, crc INTEGER);
"];

/// Of the history. What is asked of one part of it walks over no row of the other.
pub(super) const HISTORY: &[&str] = &["
CREATE TABLE history (number INTEGER PRIMARY KEY, at_ms INTEGER, kind TEXT, rule_uid TEXT, rule TEXT, fingerprint TEXT, severity TEXT, handler TEXT, reason TEXT, notice_id TEXT, labels TEXT, detail TEXT, crc INTEGER);
CREATE INDEX history_at ON history (at_ms);
CREATE INDEX history_rule ON history (rule_uid, at_ms);
CREATE INDEX history_fingerprint ON history (fingerprint, at_ms);
CREATE TABLE rule_name (rule TEXT, rule_uid TEXT, PRIMARY KEY (rule, rule_uid)) WITHOUT ROWID;
", "
DROP INDEX history_at;
DROP INDEX history_rule;
CREATE INDEX event_at ON history (at_ms) WHERE kind IS NOT 'evaluated';
CREATE INDEX event_rule ON history (rule_uid, at_ms) WHERE kind IS NOT 'evaluated';
CREATE INDEX evaluation_at ON history (at_ms) WHERE kind = 'evaluated';
CREATE INDEX evaluation_rule ON history (rule_uid, at_ms) WHERE kind = 'evaluated';
"];

/// The rows of a part of the history, in the words of its indexes: other words of the same meaning do not use them.
pub(super) fn of_part(part: Part) -> &'static str {
    match part {
        Part::Events => "kind IS NOT 'evaluated'",
        Part::Evaluations => "kind = 'evaluated'",
    }
}

/// The latest version of a list.
pub(crate) fn version(migrations: &[&str]) -> i64 {
    migrations.len() as i64
}

/// The version that a file says it has; 0 for an empty one.
pub(crate) fn version_of(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a file to the latest version, in one transaction.
pub(crate) fn migrate(db: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let from = usize::try_from(version_of(db)?).unwrap_or(usize::MAX);
    let steps = migrations.get(from..).unwrap_or(&[]);
    if !steps.is_empty() {
        let transaction = db.transaction()?;
        steps.iter().try_for_each(|step| transaction.execute_batch(step))?;
        transaction.pragma_update(None, "user_version", version(migrations))?;
        transaction.commit()?;
    }
    Ok(())
}

/// The text of all tables and indexes as the file has it.
pub(crate) fn layout(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare(
        "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The layout of a file that was made by a list of versions and not touched since.
pub(crate) fn made_layout(migrations: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut db = Connection::open_in_memory()?;
    migrate(&mut db, migrations)?;
    layout(&db)
}

/// Opens a file for work, and makes it if it is not there.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_WAIT)?;
    Ok(db)
}

/// Sets the journal of an open file. `alone` for a file that has one connection: it then needs no shared memory.
pub(crate) fn log_ahead(db: &Connection, alone: bool) -> rusqlite::Result<()> {
    if alone {
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "journal_size_limit", LOG_LEN_MAX)
}

/// Opens a second connection to a file, to read. It may write all the same, because the log of a process that was killed
/// can only be read by one that may; where the disk is read-only the file is read as it lies there.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY_WAIT)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.pragma_update(None, "query_only", true)?;
        version_of(&db)?;
        Ok(db)
    };
    open().or_else(|error: Error| if disk::is_read_only(path) { untouched(path) } else { Err(error) })
}

/// Opens a file that nobody uses so that no byte of it changes and nothing appears beside it, on a read-only or full
/// disk as well: without locks, with the index of the log in memory, and without moving the log at the end.
pub(crate) fn untouched(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !disk::beside(path, "-wal").exists() {
        // Otherwise the library would make an empty log. A log that is there is not read in this way.
        return Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI);
    }
    #[cfg(unix)]
    let db = Connection::open_with_flags_and_vfs(path, flags, "unix-none")?;
    #[cfg(not(unix))]
    let db = Connection::open_with_flags(path, flags)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(db)
}

/// A path as a URI that says that the file does not change.
fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}

/// What an error of the library means for the file at `path`.
pub(crate) fn meaning(path: &Path, error: Error) -> PersistError {
    let path = PathBuf::from(path);
    let (code, extended) = match &error {
        Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
        // A value of the wrong type or with broken text: nobody stored it so.
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => return PersistError::Damaged { path, what: error.to_string() },
        _ => return PersistError::Io { path, source: Box::new(error) },
    };
    match code {
        ErrorCode::DiskFull => PersistError::Full { path },
        ErrorCode::ReadOnly if extended == ffi::SQLITE_READONLY_DBMOVED => PersistError::Gone { path },
        ErrorCode::ReadOnly => PersistError::ReadOnly { path },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => PersistError::Damaged { path, what: error.to_string() },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => PersistError::Busy { path },
        // The library says "I/O error" or "cannot open" for what the file system can tell more of.
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            let dir = path.parent().unwrap_or(&path);
            if disk::is_read_only(dir) {
                PersistError::ReadOnly { path }
            } else if disk::free_bytes(dir) == Some(0) {
                PersistError::Full { path }
            } else {
                PersistError::Io { path, source: Box::new(error) }
            }
        }
        _ => PersistError::Io { path, source: Box::new(error) },
    }
}
