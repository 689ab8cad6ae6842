//! Rows of a table that may be damaged: what can be read is read, what cannot is passed over and told.

use rusqlite::{Connection, Error, ErrorCode, Row};

/// Places of a table that are passed over before the rest is given up.
const BAD_PLACES_MAX: usize = 1000;

/// Whether an error says for sure that the structure of the file is damaged.
pub(super) fn is_corrupt(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else { return false };
    matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
}

/// Whether another program has the file.
pub(super) fn is_busy(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else { return false };
    matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
}

/// Whether an error may be another one, or none, in a moment: another program has the file, or there is no memory, no
/// descriptor or no right to it.
pub(super) fn is_passing(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else { return false };
    let passing = matches!(
        failure.code,
        ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
    );
    passing || is_busy(error)
}

/// Visits the rows of a statement that takes the first `id` as its parameter, has `id` as its first column, and gives the
/// rows in its order. Gives the spans of ids that could not be read, whatever the reason: all of them where there is no
/// such table.
pub(super) fn walk(db: &Connection, sql: &str, mut visit: impl FnMut(i64, &Row<'_>)) -> Vec<(i64, i64)> {
    let mut passed = Vec::new();
    let mut from = i64::MIN;
    while passed.len() < BAD_PLACES_MAX {
        let mut last = None;
        match run(db, sql, from, &mut last, &mut visit) {
            Ok(()) => return passed,
            Err(_) => {
                let bad = last.map_or(from, |last: i64| last.saturating_add(1));
                let Some(next) = readable_after(db, sql, bad) else {
                    passed.push((bad, i64::MAX));
                    return passed;
                };
                passed.push((bad, next.saturating_sub(1)));
                from = next;
            }
        }
    }
    passed.push((from, i64::MAX));
    passed
}

fn run(
    db: &Connection,
    sql: &str,
    from: i64,
    last: &mut Option<i64>,
    visit: &mut impl FnMut(i64, &Row<'_>),
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        *last = Some(id);
        visit(id, row);
    }
    Ok(())
}

/// The first id from which rows can be read again; `None` if there is none, or no row is left.
fn readable_after(db: &Connection, sql: &str, bad: i64) -> Option<i64> {
    let readable = |from: i64| -> Option<Option<i64>> {
        let mut statement = db.prepare_cached(sql).ok()?;
        let mut rows = statement.query([from]).ok()?;
        let row = rows.next().ok()?;
        Some(row.and_then(|row| row.get(0).ok()))
    };
    let mut step = 1u64;
    let mut failing = bad;
    let mut working = loop {
        let from = bad.saturating_add_unsigned(step);
        match readable(from) {
            Some(_) => break from,
            None if from == i64::MAX => return None,
            None => {
                failing = from;
                step = step.saturating_mul(2);
            }
        }
    };
    while failing.saturating_add(1) < working {
        let middle = failing.midpoint(working);
        if readable(middle).is_some() { working = middle } else { failing = middle }
    }
    readable(working).flatten()
}
