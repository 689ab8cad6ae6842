//! The rules of the outbox, once for every store: an operation becomes changes of single rows.
//!
//! A store gives a [`View`] of its rows, has an operation planned, and applies the changes all or none.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    Commit, Committed, DEAD_ROWS_MAX, Everything, HistoryKind, HistoryRow, Kind, NewHistory, NewNotice,
    OUTBOX_ROWS_MAX, OutboxRow, OutboxState, PersistError, Record, STAGED_ROWS_MAX, Settled, SettledAs, Stats, Which,
};
use crate::model::Timestamp;

/// Most dead rows that are removed for their age in one transaction.
const DEAD_CLEANED_MAX: usize = 1000;

/// The numbers given last, and how many rows there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Of transactions.
    pub seq: u64,
    /// Of outbox rows.
    pub position: u64,
    /// Of history rows.
    pub number: u64,
    /// Rows of the outbox.
    pub outbox: u64,
    /// History rows that wait to be moved.
    pub staged: u64,
}

/// A change of one row.
#[derive(Debug)]
pub(super) enum Change<'a> {
    PutRecord(&'a Record),
    DeleteRecord(Kind, Cow<'a, str>),
    PutNotice(OutboxRow),
    DeleteNotice(String),
    PutHistory(HistoryRow),
    DeleteHistory(u64),
}

/// What planning reads.
pub(super) trait View {
    /// Whether the outbox has a row of that id.
    fn has_notice(&self, id: &str) -> Result<bool, PersistError>;
    /// The row of that id.
    fn notice(&self, id: &str) -> Result<Option<OutboxRow>, PersistError>;
    /// Ids of the dead rows of a handler but the newest `kept`, the oldest first.
    fn dead_but(&self, handler: &str, kept: usize) -> Result<Vec<String>, PersistError>;
    /// Ids of dead rows that were given up before a time, at most so many.
    fn dead_before(&self, time: Timestamp, most: usize) -> Result<Vec<String>, PersistError>;
    /// Ids of the whole outbox.
    fn notice_ids(&self) -> Result<Vec<String>, PersistError>;
    /// Keys of all records of known kinds.
    fn record_keys(&self) -> Result<Vec<(Kind, String)>, PersistError>;
}

/// What a transaction could not take, or had to give up for a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// History rows refused.
    pub history: u64,
    /// Notices refused.
    pub notices: u64,
    /// Dead rows removed.
    pub dead: u64,
}

impl Lost {
    /// Adds it to the counts.
    pub fn count(self, stats: &mut Stats) {
        stats.history_refused += self.history;
        stats.outbox_refused += self.notices;
        stats.dead_dropped += self.dead;
    }
}

/// Changes being planned.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub head: Head,
    pub changes: Vec<Change<'a>>,
    pub lost: Lost,
}

impl<'a> Plan<'a> {
    /// The next transaction.
    pub fn new(last: Head) -> Self {
        Self { head: Head { seq: last.seq + 1, ..last }, changes: Vec::new(), lost: Lost::default() }
    }

    fn tell(&mut self, event: &NewHistory) {
        if self.head.staged >= STAGED_ROWS_MAX {
            self.lost.history += 1;
            return;
        }
        self.head.staged += 1;
        self.head.number += 1;
        self.changes.push(Change::PutHistory(HistoryRow { number: self.head.number, event: event.clone() }));
    }

    fn remove(&mut self, id: String) {
        self.head.outbox = self.head.outbox.saturating_sub(1);
        self.changes.push(Change::DeleteNotice(id));
    }

    /// Adds a row; false if there is no room.
    fn add(&mut self, notice: &NewNotice) -> bool {
        if self.head.outbox >= OUTBOX_ROWS_MAX {
            self.lost.notices += 1;
            return false;
        }
        self.head.outbox += 1;
        self.head.position += 1;
        self.changes.push(Change::PutNotice(OutboxRow {
            id: notice.id.clone(),
            position: self.head.position,
            handler: notice.handler.clone(),
            group_key: notice.group_key.clone(),
            created: notice.created,
            payload: notice.payload.clone(),
            state: OutboxState::Pending,
            attempts: 0,
            next_attempt: notice.created,
            claimed_by: None,
            maybe_sent: false,
            last_error: None,
            dead_at: None,
        }));
        true
    }

    /// [`super::Persist::commit`].
    pub fn commit(&mut self, view: &dyn View, commit: &'a Commit) -> Result<Committed, PersistError> {
        let mut done = Committed { seq: self.head.seq, ..Committed::default() };
        // Deletions first: a caller that adds to a commit that failed may delete and put the same record.
        self.changes.extend(commit.delete.iter().map(|(kind, id)| Change::DeleteRecord(*kind, Cow::Borrowed(id))));
        self.changes.extend(commit.put.iter().map(Change::PutRecord));
        let mut seen = BTreeSet::new();
        for notice in &commit.notices {
            if !seen.insert(&notice.id) || view.has_notice(&notice.id)? {
                done.duplicates.push(notice.id.clone());
            } else if !self.add(notice) {
                done.refused.push(notice.id.clone());
            }
        }
        commit.history.iter().for_each(|event| self.tell(event));
        done.history_refused = self.lost.history;
        Ok(done)
    }

    /// [`super::Persist::rewrite`].
    pub fn rewrite(&mut self, view: &dyn View, everything: &'a Everything) -> Result<(), PersistError> {
        for (kind, id) in view.record_keys()? {
            self.changes.push(Change::DeleteRecord(kind, Cow::Owned(id)));
        }
        self.changes.extend(everything.records.iter().map(Change::PutRecord));
        if let Some(rows) = &everything.outbox {
            for id in view.notice_ids()? {
                self.remove(id);
            }
            let mut seen = BTreeSet::new();
            for row in rows.iter().filter(|row| seen.insert(&row.id)) {
                self.head.outbox += 1;
                self.head.position = self.head.position.max(row.position);
                self.changes.push(Change::PutNotice(row.clone()));
            }
        }
        Ok(())
    }

    /// The rows of those ids that are there, each once.
    fn rows(view: &dyn View, ids: &[String]) -> Result<Vec<OutboxRow>, PersistError> {
        let ids: BTreeSet<&String> = ids.iter().collect();
        ids.into_iter().filter_map(|id| view.notice(id).transpose()).collect()
    }

    /// [`super::Persist::claim`].
    pub fn claim(&mut self, view: &dyn View, ids: &[String], run: &str) -> Result<usize, PersistError> {
        let rows = Self::rows(view, ids)?;
        let waiting = rows.into_iter().filter(|row| row.state == OutboxState::Pending);
        let before = self.changes.len();
        self.changes
            .extend(waiting.map(|row| Change::PutNotice(OutboxRow { claimed_by: Some(run.to_owned()), ..row })));
        Ok(self.changes.len() - before)
    }

    /// [`super::Persist::settle`].
    pub fn settle(&mut self, view: &dyn View, settled: &'a [Settled]) -> Result<usize, PersistError> {
        let mut seen = BTreeSet::new();
        let mut dead: BTreeMap<String, usize> = BTreeMap::new();
        for one in settled {
            if seen.contains(&one.id) {
                continue;
            }
            let Some(mut row) = view.notice(&one.id)? else { continue };
            seen.insert(&one.id);
            if let Some(payload) = &one.payload {
                row.payload.clone_from(payload);
            }
            if one.outcome == SettledAs::Changed {
                self.changes.push(Change::PutNotice(row));
                continue;
            }
            let tried = OutboxRow { claimed_by: None, attempts: row.attempts.saturating_add(1), ..row };
            match &one.outcome {
                SettledAs::Delivered | SettledAs::Merged | SettledAs::Changed => self.remove(tried.id),
                SettledAs::Failed { error, next_attempt, maybe_sent } => {
                    self.changes.push(Change::PutNotice(OutboxRow {
                        next_attempt: *next_attempt,
                        maybe_sent: tried.maybe_sent || *maybe_sent,
                        last_error: Some(error.clone()),
                        ..tried
                    }));
                }
                SettledAs::Dead { reason } => {
                    *dead.entry(tried.handler.clone()).or_default() += 1;
                    self.changes.push(Change::PutNotice(OutboxRow {
                        state: OutboxState::Dead,
                        last_error: Some(reason.clone()),
                        dead_at: Some(one.at),
                        ..tried
                    }));
                }
            }
            self.changes.extend(one.put.iter().map(Change::PutRecord));
            for notice in &one.notices {
                if !view.has_notice(&notice.id)? {
                    self.add(notice);
                }
            }
            one.history.iter().for_each(|event| self.tell(event));
        }
        let count = seen.len();
        let at = settled.iter().map(|one| one.at).max().unwrap_or_default();
        for (handler, more) in dead {
            // One handler that refuses everything must not take the room of all.
            let over = view.dead_but(&handler, DEAD_ROWS_MAX.saturating_sub(more))?;
            let over = over.into_iter().filter(|id| !seen.contains(id)).collect();
            self.drop_dead(view, over, at, "too many notices of its handler were given up")?;
        }
        Ok(count)
    }

    /// Removes dead rows for a limit, and says so.
    fn drop_dead(&mut self, view: &dyn View, ids: Vec<String>, at: Timestamp, why: &str) -> Result<(), PersistError> {
        for id in ids {
            let handler = view.notice(&id)?.map(|row| row.handler);
            self.tell(&NewHistory {
                handler,
                notice_id: Some(id.clone()),
                reason: Some(why.to_owned()),
                ..NewHistory::new(at, HistoryKind::Dropped)
            });
            self.remove(id);
            self.lost.dead += 1;
        }
        Ok(())
    }

    /// [`super::Persist::clean_outbox`].
    pub fn clean(&mut self, view: &dyn View, older_than: Timestamp, at: Timestamp) -> Result<u64, PersistError> {
        let ids = view.dead_before(older_than, DEAD_CLEANED_MAX)?;
        let count = ids.len() as u64;
        self.drop_dead(view, ids, at, "it was given up too long ago")?;
        Ok(count)
    }

    /// [`super::Persist::retry`].
    pub fn retry(&mut self, view: &dyn View, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        let rows = match which {
            Which::Ids(ids) => Self::rows(view, ids)?,
            Which::Handler(handler) => Self::rows(view, &view.dead_but(handler, 0)?)?,
        };
        let before = self.changes.len();
        for row in rows.into_iter().filter(|row| row.state == OutboxState::Dead) {
            self.changes.push(Change::PutNotice(OutboxRow {
                state: OutboxState::Pending,
                next_attempt: at,
                dead_at: None,
                ..row
            }));
        }
        Ok(self.changes.len() - before)
    }

    /// [`super::Persist::discard`].
    pub fn discard(&mut self, view: &dyn View, ids: &[String], why: &[NewHistory]) -> Result<usize, PersistError> {
        let rows = Self::rows(view, ids)?;
        let count = rows.len();
        rows.into_iter().for_each(|row| self.remove(row.id));
        why.iter().for_each(|event| self.tell(event));
        Ok(count)
    }

    /// The second half of [`super::Persist::move_history`].
    pub fn moved(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            self.head.staged = self.head.staged.saturating_sub(1);
            self.changes.push(Change::DeleteHistory(number));
        }
    }
}
