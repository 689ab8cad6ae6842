//! Rows as they are stored: their columns and their checksum.
//!
//! The checksum (CRC-32) covers every column, so that a row whose bytes changed is never used. Rows of the state also
//! carry the number of the transaction that wrote them: of two copies the later one counts.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement, params};

use crate::model::{Fingerprint, Labels, Severity, Timestamp};
use crate::persist::{HistoryKind, HistoryRow, NewHistory, OutboxRow, OutboxState};

/// A checksum being taken. Lengths are part of it, so that no byte can move from one column to the next.
#[derive(Default)]
pub(super) struct Sum(crc32fast::Hasher);

impl Sum {
    pub fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }

    pub fn text(self, value: &str) -> Self {
        let mut sum = self.int(value.len() as i64);
        sum.0.update(value.as_bytes());
        sum
    }

    pub fn text_or_none(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.int(-1),
        }
    }

    pub fn int_or_none(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(1).int(value),
            None => self.int(0),
        }
    }

    pub fn end(self) -> u32 {
        self.0.finalize()
    }
}

/// A number that the database holds as it is in a column of signed ones.
pub(super) const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// Reads columns; `None` where the type is not what was stored or a text is no text.
pub(super) struct Columns<'a>(pub &'a Row<'a>);

impl Columns<'_> {
    pub fn text(&self, column: usize) -> Option<String> {
        self.text_or_none(column)?
    }

    pub fn int(&self, column: usize) -> Option<i64> {
        self.int_or_none(column)?
    }

    pub fn count(&self, column: usize) -> Option<u64> {
        u64::try_from(self.int(column)?).ok()
    }

    pub fn text_or_none(&self, column: usize) -> Option<Option<String>> {
        match self.0.get_ref(column).ok()? {
            ValueRef::Null => Some(None),
            ValueRef::Text(bytes) => Some(Some(str::from_utf8(bytes).ok()?.to_owned())),
            _ => None,
        }
    }

    pub fn int_or_none(&self, column: usize) -> Option<Option<i64>> {
        match self.0.get_ref(column).ok()? {
            ValueRef::Null => Some(None),
            ValueRef::Integer(value) => Some(Some(value)),
            _ => None,
        }
    }
}

/// The statements of one table.
pub(super) struct Table {
    pub name: &'static str,
    /// All columns, in the order of the key and against it.
    pub forward: &'static str,
    pub backward: &'static str,
}

/// A row of the state.
pub(super) trait Stored: Sized {
    /// What names it; orders rows as the table does.
    type Key: Ord + Clone + std::fmt::Debug;
    const TABLE: Table;
    fn key(&self) -> Self::Key;
    /// The transaction that wrote it.
    fn seq(&self) -> u64;
    fn crc(&self) -> u32;
    /// Reads all columns but the checksum; `None` if they are not what was stored.
    fn read(row: &Columns<'_>) -> Option<Self>;
    /// Reads the key alone.
    fn read_key(row: &Columns<'_>) -> Option<Self::Key>;
    /// The column of the checksum.
    const CRC_COLUMN: usize;
    /// Stores it in place of one with the same key.
    fn put(&self, db: &Connection) -> rusqlite::Result<()>;
    /// The key in words.
    fn words(key: &Self::Key) -> String;

    /// Reads a row whole and checks it.
    fn checked(row: &Columns<'_>) -> Option<Self> {
        let found = Self::read(row)?;
        (row.int(Self::CRC_COLUMN) == Some(i64::from(found.crc()))).then_some(found)
    }
}

/// A record whose kind may be of a later version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawRecord {
    pub kind: String,
    pub id: String,
    pub value: String,
    pub seq: u64,
}

/// The checksum of a record.
pub(super) fn record_crc(kind: &str, id: &str, value: &str, seq: u64) -> u32 {
    Sum::default().text(kind).text(id).text(value).int(signed(seq)).end()
}

/// Stores a record.
pub(super) fn put_record(db: &Connection, kind: &str, id: &str, value: &str, seq: u64) -> rusqlite::Result<u32> {
    let crc = record_crc(kind, id, value, seq);
    let mut statement = db.prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![kind, id, value, signed(seq), crc])?;
    Ok(crc)
}

impl Stored for RawRecord {
    type Key = (String, String);
    const TABLE: Table = Table {
        name: "record",
        forward: "SELECT kind, id, value, seq, crc FROM record ORDER BY kind, id",
        backward: "SELECT kind, id, value, seq, crc FROM record ORDER BY kind DESC, id DESC",
    };
    const CRC_COLUMN: usize = 4;

    fn key(&self) -> Self::Key {
        (self.kind.clone(), self.id.clone())
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn crc(&self) -> u32 {
        record_crc(&self.kind, &self.id, &self.value, self.seq)
    }

    fn read(row: &Columns<'_>) -> Option<Self> {
        Some(Self { kind: row.text(0)?, id: row.text(1)?, value: row.text(2)?, seq: row.count(3)? })
    }

    fn read_key(row: &Columns<'_>) -> Option<Self::Key> {
        Some((row.text(0)?, row.text(1)?))
    }

    fn put(&self, db: &Connection) -> rusqlite::Result<()> {
        put_record(db, &self.kind, &self.id, &self.value, self.seq).map(drop)
    }

    fn words((kind, id): &Self::Key) -> String {
        format!("{kind} {id}")
    }
}

/// A row of the outbox and the transaction that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawNotice {
    pub row: OutboxRow,
    pub seq: u64,
}

impl Stored for RawNotice {
    type Key = String;
    const TABLE: Table = Table {
        name: "outbox",
        forward: "SELECT * FROM outbox ORDER BY id",
        backward: "SELECT * FROM outbox ORDER BY id DESC",
    };
    const CRC_COLUMN: usize = 14;

    fn key(&self) -> String {
        self.row.id.clone()
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn crc(&self) -> u32 {
        let row = &self.row;
        let sum = Sum::default().text(&row.id).int(signed(row.position)).text(&row.handler).text(&row.group_key);
        let sum = sum.int(row.created.0).text(&row.payload).text(row.state.as_str()).int(row.attempts.into());
        let sum = sum.int(row.next_attempt.0).text_or_none(row.claimed_by.as_deref()).int(row.maybe_sent.into());
        let sum = sum.text_or_none(row.last_error.as_deref()).int_or_none(row.dead_at.map(|at| at.0));
        sum.int(signed(self.seq)).end()
    }

    fn read(row: &Columns<'_>) -> Option<Self> {
        let notice = OutboxRow {
            id: row.text(0)?,
            position: row.count(1)?,
            handler: row.text(2)?,
            group_key: row.text(3)?,
            created: Timestamp(row.int(4)?),
            payload: row.text(5)?,
            state: OutboxState::from_name(&row.text(6)?)?,
            attempts: u32::try_from(row.int(7)?).ok()?,
            next_attempt: Timestamp(row.int(8)?),
            claimed_by: row.text_or_none(9)?,
            maybe_sent: row.int(10)? != 0,
            last_error: row.text_or_none(11)?,
            dead_at: row.int_or_none(12)?.map(Timestamp),
        };
        Some(Self { row: notice, seq: row.count(13)? })
    }

    fn read_key(row: &Columns<'_>) -> Option<String> {
        row.text(0)
    }

    fn put(&self, db: &Connection) -> rusqlite::Result<()> {
        let row = &self.row;
        let mut statement = db.prepare_cached(
            "INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?;
        statement.execute(params![
            row.id,
            signed(row.position),
            row.handler,
            row.group_key,
            row.created.0,
            row.payload,
            row.state.as_str(),
            row.attempts,
            row.next_attempt.0,
            row.claimed_by,
            row.maybe_sent,
            row.last_error,
            row.dead_at.map(|at| at.0),
            signed(self.seq),
            self.crc(),
        ])?;
        Ok(())
    }

    fn words(id: &String) -> String {
        format!("notice {id}")
    }
}

/// The columns of a history row but its number.
struct Event {
    labels: String,
    fingerprint: Option<String>,
    crc: u32,
}

impl Event {
    fn of(row: &HistoryRow) -> Self {
        let event = &row.event;
        // A map of texts always has a text.
        let labels = serde_json::to_string(&event.labels).unwrap_or_default();
        let fingerprint = event.fingerprint.map(|fingerprint| fingerprint.to_string());
        let sum = Sum::default().int(signed(row.number)).int(event.at.0).text(event.kind.as_str());
        let sum = sum.text(&event.rule_uid).text(&event.rule).text_or_none(fingerprint.as_deref());
        let sum = sum.text_or_none(event.severity.map(Severity::as_str)).text_or_none(event.handler.as_deref());
        let sum = sum.text_or_none(event.reason.as_deref()).text_or_none(event.notice_id.as_deref()).text(&labels);
        let crc = sum.text_or_none(event.detail.as_deref()).end();
        Self { labels, fingerprint, crc }
    }
}

/// Stores a history row by a statement that has its thirteen columns.
pub(super) fn put_history(statement: &mut Statement<'_>, row: &HistoryRow) -> rusqlite::Result<usize> {
    let columns = Event::of(row);
    let event = &row.event;
    statement.execute(params![
        signed(row.number),
        event.at.0,
        event.kind.as_str(),
        event.rule_uid,
        event.rule,
        columns.fingerprint,
        event.severity.map(Severity::as_str),
        event.handler,
        event.reason,
        event.notice_id,
        columns.labels,
        event.detail,
        columns.crc,
    ])
}

impl Stored for HistoryRow {
    type Key = u64;
    const TABLE: Table = Table {
        name: "history_staging",
        forward: "SELECT * FROM history_staging ORDER BY number",
        backward: "SELECT * FROM history_staging ORDER BY number DESC",
    };
    const CRC_COLUMN: usize = 12;

    fn key(&self) -> u64 {
        self.number
    }

    /// Rows of the history are never changed.
    fn seq(&self) -> u64 {
        0
    }

    fn crc(&self) -> u32 {
        Event::of(self).crc
    }

    fn read(row: &Columns<'_>) -> Option<Self> {
        // A column that may be empty but must be one of the words if it is not.
        fn known<T>(text: Option<String>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
            text.map_or(Some(None), |text| read(&text).map(Some))
        }
        let event = NewHistory {
            at: Timestamp(row.int(1)?),
            kind: HistoryKind::from_name(&row.text(2)?)?,
            rule_uid: row.text(3)?,
            rule: row.text(4)?,
            fingerprint: known(row.text_or_none(5)?, |hex| u64::from_str_radix(hex, 16).ok().map(Fingerprint))?,
            severity: known(row.text_or_none(6)?, Severity::from_name)?,
            handler: row.text_or_none(7)?,
            reason: row.text_or_none(8)?,
            notice_id: row.text_or_none(9)?,
            labels: serde_json::from_str::<Labels>(&row.text(10)?).ok()?,
            detail: row.text_or_none(11)?,
        };
        Some(Self { number: row.count(0)?, event })
    }

    fn read_key(row: &Columns<'_>) -> Option<u64> {
        row.count(0)
    }

    fn put(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(
            "INSERT OR REPLACE INTO history_staging VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        put_history(&mut statement, self).map(drop)
    }

    fn words(number: &u64) -> String {
        format!("history row {number}")
    }
}
