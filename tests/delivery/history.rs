//! What the process stored about itself, read from its files as a developer would.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// A row of the history.
#[derive(Clone, Debug)]
pub struct Row {
    pub number: i64,
    pub at_ms: i64,
    /// `transition`, `held`, `sent`, `failed`, `dead` …
    pub kind: String,
    pub rule: String,
    pub fingerprint: String,
    /// Of a transition: what happened. Of one that was held: why.
    pub reason: String,
    pub notice: String,
    pub detail: Value,
}

impl Row {
    /// The beginning of the episode of a transition.
    pub fn since(&self) -> &str {
        self.detail["active_at"].as_str().unwrap_or_default()
    }

    /// What was held.
    pub fn held(&self) -> &str {
        self.detail["transition"].as_str().unwrap_or_default()
    }
}

/// All rows in a data directory whose process has ended, in their order, without those about alertd itself.
#[track_caller]
pub fn read(data: &Path) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    for (file, table) in [("state.db", "history_staging"), ("history.db", "history")] {
        for row in table_of(&data.join(file), table) {
            rows.insert(row.number, row);
        }
    }
    rows.into_values().filter(|row| !row.rule.starts_with("alertd_")).collect()
}

#[track_caller]
fn table_of(path: &Path, table: &str) -> Vec<Row> {
    if !path.exists() {
        return Vec::new();
    }
    let db = open(path);
    let mut statement = db
        .prepare(&format!(
            "SELECT number, at_ms, kind, rule, coalesce(fingerprint, ''), coalesce(reason, ''), coalesce(notice_id, ''), coalesce(detail, 'null') FROM {table} ORDER BY number"
        ))
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            number: row.get(0)?,
            at_ms: row.get(1)?,
            kind: row.get(2)?,
            rule: row.get(3)?,
            fingerprint: row.get(4)?,
            reason: row.get(5)?,
            notice: row.get(6)?,
            detail: serde_json::from_str(&row.get::<_, String>(7)?).unwrap(),
        })
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// A database of the data directory.
#[track_caller]
pub fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    db
}

/// Rows of the outbox: id, handler, state, attempts.
#[track_caller]
pub fn outbox(data: &Path) -> Vec<(String, String, String, i64)> {
    let db = open(&data.join("state.db"));
    let mut statement = db.prepare("SELECT id, handler, state, attempts FROM outbox ORDER BY position").unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
