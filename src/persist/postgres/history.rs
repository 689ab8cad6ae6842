//! Questions to the history, and its end: rows in the order of their time, a batch at a time.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{EVENT, event, text};
use super::wire::{Fault, Line};
use crate::model::Timestamp;
use crate::persist::history::Part;
use crate::persist::{Cursor, HistoryPage, HistoryQuery, HistoryRow, SCANNED_ROWS_MAX};

/// Rows that are read at once.
const BATCH: u64 = 2_000;
/// Rows removed in one transaction.
const CLEANED_ROWS_MAX: i64 = 5_000;

/// The rows of a part, in the words of its indexes.
fn of_part(part: Part) -> &'static str {
    match part {
        Part::Events => "kind <> 'evaluated'",
        Part::Evaluations => "kind = 'evaluated'",
    }
}

/// A condition and what its `$` stand for.
struct Where {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Where {
    fn and(&mut self, condition: &str, values: Vec<Box<dyn ToSql + Send + Sync>>) {
        let mut parts = condition.split('?');
        self.sql.push_str(" AND ");
        self.sql.push_str(parts.next().unwrap_or_default());
        for (value, rest) in values.into_iter().zip(parts) {
            self.values.push(value);
            self.sql.push_str(&format!("${}{rest}", self.values.len()));
        }
    }
}

/// What one search walks over: a part, and of that the rows whose rule has the uid that is asked for, or else the name. Each
/// has an index in the order of the page.
type Search = (Part, bool);

/// What the indexes know of a query; everything else is looked at row by row.
fn conditions(query: &HistoryQuery, (part, by_uid): Search, from: Option<Cursor>) -> Where {
    let mut found = Where { sql: of_part(part).to_owned(), values: Vec::new() };
    match (&query.rule, by_uid) {
        (Some(rule), true) => found.and("rule_uid = ?", vec![Box::new(text(rule))]),
        (Some(rule), false) => {
            found.and("rule = ? AND rule_uid <> ?", vec![Box::new(text(rule)), Box::new(text(rule))])
        }
        (None, _) => {}
    }
    if let Some(fingerprint) = query.fingerprint {
        found.and("fingerprint = ?", vec![Box::new(fingerprint.to_string())]);
    }
    if let Some(from) = query.from {
        found.and("at_ms >= ?", vec![Box::new(from.0)]);
    }
    if let Some(to) = query.to {
        found.and("at_ms < ?", vec![Box::new(to.0)]);
    }
    let cursor = |at: Cursor| -> Vec<Box<dyn ToSql + Send + Sync>> {
        vec![Box::new(at.at.0), Box::new(at.number.cast_signed())]
    };
    let (before, after) = match query.upward() {
        true => (query.before, from.or(query.after)),
        false => (from.or(query.before), query.after),
    };
    if let Some(before) = before {
        found.and("(at_ms, number) < (?, ?)", cursor(before));
    }
    if let Some(after) = after {
        found.and("(at_ms, number) > (?, ?)", cursor(after));
    }
    found
}

/// The next rows behind a place, in the order in which the page is filled.
async fn batch(
    client: &Line,
    query: &HistoryQuery,
    of: Search,
    from: Option<Cursor>,
    limit: u64,
) -> Result<Vec<Row>, Fault> {
    let Where { sql, values } = conditions(query, of, from);
    let order = if query.upward() { "at_ms, number" } else { "at_ms DESC, number DESC" };
    let sql = format!("SELECT {EVENT} FROM alertd_history WHERE {sql} ORDER BY {order} LIMIT {limit}");
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    client.query(&sql, &values).await
}

/// What one search found.
#[derive(Default)]
struct Found {
    rows: Vec<HistoryRow>,
    scanned: u64,
    damaged: u64,
    /// Where it ended before the end.
    cut: Option<Cursor>,
}

async fn search(client: &Line, query: &HistoryQuery, of: Search, share: u64) -> Result<Found, Fault> {
    let mut found = Found::default();
    let mut from = None;
    // The row that is too many tells that there is another page.
    while found.rows.len() <= query.rows() {
        let left = share - found.scanned;
        if left == 0 {
            // Only where there is another row is anything left out.
            if !batch(client, query, of, from, 1).await?.is_empty() {
                found.cut = from;
            }
            break;
        }
        let limit = left.min(BATCH);
        let rows = batch(client, query, of, from, limit).await?;
        let last = (rows.len() as u64) < limit;
        for row in &rows {
            found.scanned += 1;
            from = Some(Cursor { at: Timestamp(row.get(1)), number: row.get::<_, i64>(0).cast_unsigned() });
            match event(row) {
                Some(row) if query.wants(&row.event) => found.rows.push(row),
                Some(_) => {}
                None => found.damaged += 1,
            }
            if found.rows.len() > query.rows() {
                break;
            }
        }
        if last {
            break;
        }
    }
    Ok(found)
}

/// One page.
pub(super) async fn page(client: Arc<Line>, query: HistoryQuery) -> Result<HistoryPage, Fault> {
    let ways: &[bool] = if query.rule.is_some() { &[true, false] } else { &[true] };
    let searches: Vec<Search> = query.parts().flat_map(|part| ways.iter().map(move |by_uid| (part, *by_uid))).collect();
    let share = SCANNED_ROWS_MAX / searches.len().max(1) as u64;
    let mut all = Found::default();
    for of in searches {
        let found = search(&client, &query, of, share).await?;
        all.rows.extend(found.rows);
        all.scanned += found.scanned;
        all.damaged += found.damaged;
        // The page ends where the first of them ended.
        all.cut = match (all.cut, found.cut) {
            (Some(one), Some(other)) if query.upward() => Some(one.min(other)),
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
    let Found { mut rows, scanned, damaged, cut } = all;
    rows.sort_by_key(HistoryRow::cursor);
    if !query.upward() {
        rows.reverse();
    }
    rows.retain(|row| cut.is_none_or(|cut| if query.upward() { row.cursor() <= cut } else { row.cursor() >= cut }));
    let more = rows.len() > query.rows();
    rows.truncate(query.rows());
    let next = match rows.last() {
        Some(last) if more => Some(last.cursor()),
        _ => cut,
    };
    if query.upward() {
        rows.reverse();
    }
    Ok(HistoryPage { rows, next, scanned, cut: cut.is_some(), damaged })
}

/// Who removes rows: a former holder of the lease, whose clock may be wrong, removes none.
pub(super) type Remover = (String, i64);

const OF_HOLDER: &str = "EXISTS (SELECT 1 FROM alertd_lease WHERE run = $1 AND token = $2)";

/// Removes rows of a part from before a time, the oldest first, at most so many; gives how many.
pub(super) async fn remove_old(
    client: Arc<Line>,
    before: Timestamp,
    (part, (run, token)): (Part, Remover),
) -> Result<u64, Fault> {
    let of_part = of_part(part);
    let sql = format!(
        "DELETE FROM alertd_history WHERE number IN (SELECT number FROM alertd_history WHERE {of_part} AND at_ms < $3 \
         ORDER BY at_ms, number LIMIT {CLEANED_ROWS_MAX}) AND {OF_HOLDER}"
    );
    client.execute(&sql, &[&run, &token, &before.0]).await
}

/// How many rows there are above a number.
pub(super) async fn surplus(client: Arc<Line>, rows_max: u64) -> Result<u64, Fault> {
    // Numbers have few gaps: as long as they cannot be too many they need not be counted.
    let span = client.query_one("SELECT coalesce(max(number) - min(number) + 1, 0) FROM alertd_history", &[]).await?;
    if span.get::<_, i64>(0).cast_unsigned() <= rows_max {
        return Ok(0);
    }
    let rows = client.query_one("SELECT count(*) FROM alertd_history", &[]).await?;
    Ok(rows.get::<_, i64>(0).cast_unsigned().saturating_sub(rows_max))
}

/// Removes the oldest rows, at most a batch of them; gives how many.
pub(super) async fn remove_oldest(client: Arc<Line>, surplus: u64, (run, token): Remover) -> Result<u64, Fault> {
    let limit = surplus.min(CLEANED_ROWS_MAX.cast_unsigned());
    let oldest = |part: Part| {
        let of_part = of_part(part);
        format!("(SELECT at_ms, number FROM alertd_history WHERE {of_part} ORDER BY at_ms, number LIMIT $3)")
    };
    let (events, evaluations) = (oldest(Part::Events), oldest(Part::Evaluations));
    let sql = format!(
        "DELETE FROM alertd_history WHERE number IN (SELECT number FROM ({events} UNION ALL {evaluations}) AS both_parts \
         ORDER BY at_ms, number LIMIT $3) AND {OF_HOLDER}"
    );
    let limit = limit.cast_signed();
    client.execute(&sql, &[&run, &token, &limit]).await
}
