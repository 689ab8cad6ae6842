//! Questions to the history: the rows still beside the state and those of the history file, as one list.

use std::collections::BTreeMap;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::history::HistoryFile;
use super::rows::{Columns, Stored as _, signed};
use super::schema;
use crate::persist::history::Part;
use crate::persist::{Cursor, HistoryPage, HistoryQuery, HistoryRow, PersistError, SCANNED_ROWS_MAX, SeverityFilter};

/// Rules of one name whose history is looked through.
const RULES_MAX: usize = 16;

impl HistoryFile {
    /// One page, with the rows that are not moved yet.
    pub fn page(&self, query: &HistoryQuery, staged: Vec<HistoryRow>) -> Result<HistoryPage, PersistError> {
        let mut search = Search { query, found: BTreeMap::new(), scanned: 0, damaged: 0, cut: None };
        for row in staged.into_iter().filter(|row| query.looks_at(row.event.kind)) {
            search.scanned += 1;
            if query.spans(row.cursor()) && query.wants(&row.event) {
                search.found.insert(row.cursor(), row);
            }
        }
        if self.path.exists() {
            let db = schema::reader(&self.path).map_err(|error| self.meaning(error))?;
            // 0: made a moment ago and still empty.
            if self.version(&db)? > 0 {
                uids(&db, query).and_then(|uids| search.read_all(&db, &uids)).map_err(|error| self.meaning(error))?;
            }
        }
        self.count_damaged(search.damaged);
        Ok(search.page())
    }
}

/// The uids of the rules that are asked for; one `None` for all.
fn uids(db: &Connection, query: &HistoryQuery) -> rusqlite::Result<Vec<Option<String>>> {
    let Some(rule) = &query.rule else { return Ok(vec![None]) };
    let mut statement = db.prepare("SELECT rule_uid FROM rule_name WHERE rule = ?1 AND rule_uid <> ?1 LIMIT ?2")?;
    let named = statement.query_map((rule, RULES_MAX as i64), |row| row.get(0))?;
    std::iter::once(Ok(Some(rule.clone()))).chain(named).collect()
}

/// The statement that gives rows of a part in the order in which the page is filled.
pub(super) fn statement(query: &HistoryQuery, uid: Option<String>, part: Part) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT * FROM history WHERE {}", schema::of_part(part));
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(uid) = uid {
        and("rule_uid = ?", uid.into());
    }
    if let Some(fingerprint) = query.fingerprint {
        and("fingerprint = ?", fingerprint.to_string().into());
    }
    if let Some(from) = query.from {
        and("at_ms >= ?", from.0.into());
    }
    if let Some(to) = query.to {
        and("at_ms < ?", to.0.into());
    }
    // The number decides between rows of one time; the rest of the cursor is compared row by row.
    if let Some(before) = query.before {
        and("at_ms <= ?", before.at.0.into());
    }
    if let Some(after) = query.after {
        and("at_ms >= ?", after.at.0.into());
    }
    if let (Some(before), None) = (query.before, query.after) {
        and("(at_ms <> ?", before.at.0.into());
        sql.push_str(" OR number < ?)");
        values.push(signed(before.number).into());
    } else if let (Some(after), None) = (query.after, query.before) {
        and("(at_ms <> ?", after.at.0.into());
        sql.push_str(" OR number > ?)");
        values.push(signed(after.number).into());
    }
    sql.push_str(if query.upward() { " ORDER BY at_ms, number" } else { " ORDER BY at_ms DESC, number DESC" });
    (sql, values)
}

struct Search<'a> {
    query: &'a HistoryQuery,
    found: BTreeMap<Cursor, HistoryRow>,
    scanned: u64,
    damaged: u64,
    /// Up to where everything was looked at, if not to the end.
    cut: Option<Cursor>,
}

impl Search<'_> {
    /// Every search looks at a share of the rows of its own: the page ends where the first of them ended, and so lies
    /// further on than the last one whatever the others found.
    fn read_all(&mut self, db: &Connection, uids: &[Option<String>]) -> rusqlite::Result<()> {
        let reads = uids.len() * self.query.parts().count();
        let share = (SCANNED_ROWS_MAX / reads.max(1) as u64).max(1);
        let mut all = uids.iter().flat_map(|uid| self.query.parts().map(move |part| (uid, part)));
        all.try_for_each(|(uid, part)| self.read(db, (uid.clone(), part), share))
    }

    fn read(&mut self, db: &Connection, (uid, part): (Option<String>, Part), share: u64) -> rusqlite::Result<()> {
        let (sql, values) = statement(self.query, uid, part);
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut kept, mut looked_at) = (0, 0);
        while let Some(row) = rows.next()? {
            let columns = Columns(row);
            if looked_at >= share {
                if let (Some(at), Some(number)) = (columns.int(1), columns.count(0)) {
                    self.cut_at(Cursor { at: crate::model::Timestamp(at), number });
                }
                break;
            }
            looked_at += 1;
            self.scanned += 1;
            if !self.may_want(row) {
                continue;
            }
            let Some(row) = HistoryRow::checked(&columns) else {
                self.damaged += 1;
                continue;
            };
            if self.query.spans(row.cursor()) && self.query.wants(&row.event) {
                self.found.insert(row.cursor(), row);
                kept += 1;
                if kept > self.query.rows() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Looks at the short columns without copying them: most rows that are not asked for end here.
    fn may_want(&self, row: &Row<'_>) -> bool {
        let is = |column: usize, word: &str| matches!(row.get_ref(column), Ok(ValueRef::Text(text)) if text == word.as_bytes());
        let query = self.query;
        (query.kinds.is_empty() || query.kinds.iter().any(|kind| is(2, kind.as_str())))
            && query.handler.as_ref().is_none_or(|handler| is(7, handler))
            && match query.severity {
                Some(SeverityFilter::Is(severity)) => is(6, severity.as_str()),
                Some(SeverityFilter::AtLeast(_)) => !matches!(row.get_ref(6), Ok(ValueRef::Null)),
                None => true,
            }
    }

    /// Several searches: the page ends where the first of them ended.
    fn cut_at(&mut self, place: Cursor) {
        let ends_before = |cut: Cursor| if self.query.upward() { place < cut } else { place > cut };
        if self.cut.is_none_or(ends_before) {
            self.cut = Some(place);
        }
    }

    fn page(self) -> HistoryPage {
        let (upward, limit) = (self.query.upward(), self.query.rows());
        let mut page =
            HistoryPage { scanned: self.scanned, damaged: self.damaged, cut: self.cut.is_some(), ..Default::default() };
        let reached = |at: &Cursor| self.cut.is_none_or(|cut| if upward { *at < cut } else { *at > cut });
        let rows = self.found.into_iter().filter(|(at, _)| reached(at)).map(|(_, row)| row);
        let mut rows: Vec<HistoryRow> = if upward { rows.collect() } else { rows.rev().collect() };
        // The row that is too many tells that there is another page.
        let more = rows.len() > limit;
        rows.truncate(limit);
        page.next = match (rows.last(), self.cut) {
            (Some(last), _) if more => Some(last.cursor()),
            // Just before the row that was not looked at.
            (_, Some(cut)) if upward => Some(Cursor { number: cut.number.saturating_sub(1), ..cut }),
            (_, Some(cut)) => Some(Cursor { number: cut.number.saturating_add(1), ..cut }),
            _ => None,
        };
        if upward {
            rows.reverse();
        }
        page.rows = rows;
        page
    }
}
