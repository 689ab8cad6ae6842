//! The store in memory: dry runs, tests, the library, and the daemon while no directory can be used.
//!
//! It forgets everything when it is dropped. Same rules and answers as the store on disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plan::{Change, Head, Plan, View};
use super::{
    Commit, Committed, Cursor, Everything, HistoryKind, HistoryPage, HistoryQuery, HistoryRow, Kind, Loaded, Moved,
    NewHistory, OutboxCount, OutboxQuery, OutboxRow, OutboxState, Persist, PersistError, Record, SCANNED_ROWS_MAX,
    Settled, Stats, Upkeep, Which,
};
use crate::model::Timestamp;

/// Most history rows kept in memory; above it the oldest go.
pub(super) const HISTORY_ROWS_MAX: usize = 50_000;

/// Keeps state as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryPersist(Mutex<Rows>);

/// All rows. Guarded by the mutex, which is held for one operation at a time.
#[derive(Debug, Default)]
struct Rows {
    head: Head,
    records: BTreeMap<(Kind, String), String>,
    outbox: BTreeMap<String, OutboxRow>,
    staged: BTreeMap<u64, HistoryRow>,
    history: BTreeMap<Cursor, HistoryRow>,
    stats: Stats,
}

impl View for Rows {
    fn has_notice(&self, id: &str) -> Result<bool, PersistError> {
        Ok(self.outbox.contains_key(id))
    }

    fn notice(&self, id: &str) -> Result<Option<OutboxRow>, PersistError> {
        Ok(self.outbox.get(id).cloned())
    }

    fn dead_but(&self, handler: &str, kept: usize) -> Result<Vec<String>, PersistError> {
        let dead = |row: &OutboxRow| row.state == OutboxState::Dead && row.handler == handler;
        let over = self.outbox.values().filter(|row| dead(row)).count().saturating_sub(kept);
        if over == 0 {
            return Ok(Vec::new());
        }
        Ok(self.outbox_by_position(dead).into_iter().take(over).map(|row| row.id).collect())
    }

    fn dead_before(&self, time: Timestamp, most: usize) -> Result<Vec<String>, PersistError> {
        let old = self.outbox.values().filter(|row| row.dead_at.is_some_and(|at| at < time));
        Ok(old.take(most).map(|row| row.id.clone()).collect())
    }

    fn notice_ids(&self) -> Result<Vec<String>, PersistError> {
        Ok(self.outbox.keys().cloned().collect())
    }

    fn record_keys(&self) -> Result<Vec<(Kind, String)>, PersistError> {
        Ok(self.records.keys().cloned().collect())
    }
}

impl Rows {
    fn apply(&mut self, change: Change<'_>) {
        match change {
            Change::PutRecord(record) => {
                self.records.insert((record.kind, record.id.clone()), record.value.clone());
            }
            Change::DeleteRecord(kind, id) => _ = self.records.remove(&(kind, id.into_owned())),
            Change::PutNotice(row) => _ = self.outbox.insert(row.id.clone(), row),
            Change::DeleteNotice(id) => _ = self.outbox.remove(&id),
            Change::PutHistory(row) => _ = self.staged.insert(row.number, row),
            Change::DeleteHistory(number) => {
                if let Some(row) = self.staged.remove(&number) {
                    self.history.insert(row.cursor(), row);
                    self.stats.history_moved += 1;
                }
            }
        }
    }

    fn outbox_by_position(&self, wanted: impl Fn(&OutboxRow) -> bool) -> Vec<OutboxRow> {
        let mut rows: Vec<OutboxRow> = self.outbox.values().filter(|row| wanted(row)).cloned().collect();
        rows.sort_by_key(|row| row.position);
        rows
    }
}

impl MemoryPersist {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans against the rows, then applies: all or, after an error of planning, nothing.
    fn write<'a, T>(
        &self,
        plan: impl FnOnce(&mut Plan<'a>, &Rows) -> Result<T, PersistError>,
    ) -> Result<T, PersistError> {
        let mut rows = self.lock();
        let mut planned = Plan::new(rows.head);
        let done = plan(&mut planned, &rows)?;
        rows.head = planned.head;
        rows.stats.commits += 1;
        planned.lost.count(&mut rows.stats);
        planned.changes.into_iter().for_each(|change| rows.apply(change));
        Ok(done)
    }
}

impl Persist for MemoryPersist {
    fn load(&self) -> Result<Loaded, PersistError> {
        let rows = self.lock();
        let mut loaded = Loaded::default();
        for ((kind, id), value) in &rows.records {
            let record = Record { kind: *kind, id: id.clone(), value: value.clone() };
            loaded.records.entry(*kind).or_default().push(record);
        }
        loaded.outbox = rows.outbox_by_position(|row| row.state == OutboxState::Pending);
        for row in &mut loaded.outbox {
            row.maybe_sent |= row.claimed_by.is_some();
        }
        Ok(loaded)
    }

    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError> {
        self.write(|plan, rows| plan.commit(rows, commit))
    }

    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError> {
        self.write(|plan, rows| plan.rewrite(rows, everything))
    }

    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError> {
        self.write(|plan, rows| plan.claim(rows, ids, run))
    }

    fn settle(&self, settled: &[Settled], _durable: bool) -> Result<usize, PersistError> {
        self.write(|plan, rows| plan.settle(rows, settled))
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError> {
        let mut rows = self.lock().outbox_by_position(|row| query.wants(row));
        rows.truncate(query.rows());
        Ok(rows)
    }

    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        self.write(|plan, rows| plan.retry(rows, which, at))
    }

    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError> {
        self.write(|plan, rows| plan.discard(rows, ids, history))
    }

    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError> {
        self.write(|plan, rows| plan.clean(rows, older_than, now))
    }

    fn move_history(&self, _now: Timestamp) -> Result<Moved, PersistError> {
        let staged: Vec<u64> = self.lock().staged.keys().copied().collect();
        if !staged.is_empty() {
            self.write(|plan, _| {
                plan.moved(staged.iter().copied());
                Ok(())
            })?;
        }
        let mut rows = self.lock();
        while rows.history.len() > HISTORY_ROWS_MAX {
            rows.history.pop_first();
            rows.stats.history_cleaned += 1;
        }
        Ok(Moved { rows: staged.len() as u64, more: false })
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError> {
        let rows = self.lock();
        let mut places: BTreeMap<Cursor, &HistoryRow> = rows.history.iter().map(|(at, row)| (*at, row)).collect();
        places.extend(rows.staged.values().map(|row| (row.cursor(), row)));
        let is_looked_at = |row: &&HistoryRow| query.looks_at(row.event.kind) && query.spans(row.cursor());
        let mut found = places.values().copied().filter(is_looked_at);
        let mut page = HistoryPage::default();
        let mut last = None;
        while let Some(row) = if query.upward() { found.next() } else { found.next_back() } {
            if page.scanned == SCANNED_ROWS_MAX {
                page.cut = true;
                page.next = last;
                break;
            }
            page.scanned += 1;
            last = Some(row.cursor());
            if query.wants(&row.event) {
                // The row that is too many tells that there is another page.
                if page.rows.len() == query.rows() {
                    page.next = page.rows.last().map(HistoryRow::cursor);
                    break;
                }
                page.rows.push(row.clone());
            }
        }
        if query.upward() {
            page.rows.reverse();
        }
        Ok(page)
    }

    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        let mut rows = self.lock();
        let before = rows.history.len();
        rows.history.retain(|at, _| at.at >= older_than);
        while rows.history.len() as u64 > rows_max {
            rows.history.pop_first();
        }
        let removed = (before - rows.history.len()) as u64;
        rows.stats.history_cleaned += removed;
        Ok(removed)
    }

    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        let mut rows = self.lock();
        let before = rows.history.len();
        rows.history.retain(|at, row| at.at >= older_than || row.event.kind != HistoryKind::Evaluated);
        let removed = (before - rows.history.len()) as u64;
        rows.stats.history_cleaned += removed;
        Ok(removed)
    }

    fn upkeep(&self, _now: Timestamp) -> Upkeep {
        Upkeep::default()
    }

    fn stats(&self) -> Stats {
        let rows = self.lock();
        let mut stats = Stats { history_staged: rows.head.staged, ..rows.stats.clone() };
        stats.outbox = counted(rows.outbox.values().map(|row| (row.handler.as_str(), row.state, row.created)));
        stats
    }
}

/// Counts rows of the outbox.
pub(super) fn counted<'a>(rows: impl Iterator<Item = (&'a str, OutboxState, Timestamp)>) -> Vec<OutboxCount> {
    let mut counts: BTreeMap<(&str, OutboxState), (u64, Timestamp)> = BTreeMap::new();
    for (handler, state, created) in rows {
        let count = counts.entry((handler, state)).or_insert((0, created));
        count.0 += 1;
        count.1 = count.1.min(created);
    }
    let counts = counts.into_iter();
    counts
        .map(|((handler, state), (rows, oldest))| OutboxCount { handler: handler.to_owned(), state, rows, oldest })
        .collect()
}
