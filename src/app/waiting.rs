//! Notices in the outbox as people see them: what waits and what was given up, tried again or removed by hand.
//!
//! The store has the rows; the queues of the handlers have what is under way. A change is stored first where that makes
//! a notice wait, and taken out of its queue first where that removes it: a notice in doubt is delivered, never lost.

use std::collections::BTreeSet;

use serde_json::json;
use thiserror::Error;

use super::hub::Hub;
use super::keeper::Row;
use crate::model::Timestamp;
use crate::persist::{OutboxQuery, OutboxRow, OutboxState};

/// Most notices of one request to try again or to remove.
pub const CHOSEN_MAX: usize = 10_000;

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum WaitingError {
    /// Neither or both of ids and a handler.
    #[error("name either ids or a handler")]
    Chosen,
    /// Too many at once.
    #[error("{0} notices at once, at most {CHOSEN_MAX} are allowed")]
    Many(usize),
    /// The store says no.
    #[error("the outbox cannot be read or changed now: {0}")]
    Store(String),
}

/// Which notices are meant.
#[derive(Clone, Debug)]
pub enum Meant {
    /// These, in whatever state.
    Ids(Vec<String>),
    /// All of a handler in a state.
    Of(String, OutboxState),
}

/// What became of notices that were to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Removed.
    pub dropped: Vec<String>,
    /// Just being sent: ask again.
    pub under_way: Vec<String>,
}

impl Hub {
    /// Rows of the outbox with their notices, by position.
    pub fn rows(&self, query: &OutboxQuery) -> Result<Vec<Row>, WaitingError> {
        self.keeper.rows(query).map_err(WaitingError::Store)
    }

    /// The rows that are meant, at most [`CHOSEN_MAX`].
    pub(super) fn meant(&self, meant: &Meant, state: Option<OutboxState>) -> Result<Vec<Row>, WaitingError> {
        let query = match meant {
            Meant::Ids(ids) if ids.is_empty() => return Err(WaitingError::Chosen),
            Meant::Ids(ids) if ids.len() > CHOSEN_MAX => return Err(WaitingError::Many(ids.len())),
            Meant::Ids(_) => OutboxQuery { state, ..OutboxQuery::default() },
            Meant::Of(handler, of) => {
                OutboxQuery { handler: Some(handler.clone()), state: state.or(Some(*of)), ..OutboxQuery::default() }
            }
        };
        let ids: Option<BTreeSet<&str>> = match meant {
            Meant::Ids(ids) => Some(ids.iter().map(String::as_str).collect()),
            Meant::Of(..) => None,
        };
        let mut found = Vec::new();
        for page in self.keeper.pages(query) {
            let room = CHOSEN_MAX - found.len();
            let rows = page.map_err(WaitingError::Store)?.into_iter();
            let is_meant = |row: &OutboxRow| ids.as_ref().is_none_or(|ids| ids.contains(&*row.id));
            found.extend(rows.filter(is_meant).take(room).map(Row::of));
            if found.len() == CHOSEN_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// The gauge of a handler that has no dead notice any more would keep its last value.
    pub(super) fn forget_dead(&self, rows: &[Row]) {
        let handlers: BTreeSet<&str> = rows.iter().map(|row| row.stored.handler.as_str()).collect();
        handlers.into_iter().for_each(|handler| self.metrics.none_dead(handler));
        self.keeper.count_anew();
    }

    /// Removes notices that were given up long ago.
    pub fn clean_outbox(&self, now: Timestamp) {
        if self.keeper.clean_outbox(now) > 0 {
            self.outbox.status().iter().for_each(|(handler, _)| self.metrics.none_dead(handler));
            self.keeper.count_anew();
        }
    }

    /// Removes notices undelivered: out of the store first, so that nothing is taken out of its place in a queue that must
    /// be put back there.
    pub fn drop_notices(&self, meant: &Meant) -> Result<Dropped, WaitingError> {
        let mut done = Dropped::default();
        let (mut removed, mut waiting, mut doubtful) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for row in self.meant(meant, None)? {
            if row.stored.state == OutboxState::Dead {
                removed.push(row);
            } else if self.outbox.waits(&row.stored.handler, &row.stored.id) {
                waiting.insert(row.stored.id.clone());
                removed.push(row);
            } else {
                doubtful.insert(row.stored.id);
            }
        }
        // Not in its queue: it is being sent, or was sent meanwhile, or waits on the disk because the queue is full.
        let pending = if doubtful.is_empty() { Vec::new() } else { self.meant(meant, Some(OutboxState::Pending))? };
        for row in pending.into_iter().filter(|row| doubtful.contains(&row.stored.id)) {
            match row.stored.claimed_by.as_deref() == Some(self.keeper.run()) {
                true => done.under_way.push(row.stored.id),
                false => removed.push(row),
            }
        }
        self.keeper.discard(&removed, self.clock.now()).map_err(WaitingError::Store)?;
        for Row { stored, .. } in removed.iter().filter(|row| row.stored.state == OutboxState::Pending) {
            // An attempt may have begun meanwhile.
            if !self.outbox.remove(&stored.handler, &stored.id) && waiting.contains(&stored.id) {
                done.under_way.push(stored.id.clone());
            }
        }
        self.forget_dead(&removed);
        let dropped = removed.into_iter().map(|row| row.stored.id);
        done.dropped = dropped.filter(|id| !done.under_way.contains(id)).collect();
        Ok(done)
    }
}

/// What is shown of a row.
pub fn shown(row: &Row, run: &str, now: Timestamp) -> serde_json::Value {
    let stored = &row.stored;
    let mut shown = json!({
        "id": stored.id, "position": stored.position, "handler": stored.handler, "state": stored.state.as_str(),
        "kind": null, "reason": null, "group": {}, "alerts": [],
        "created": stored.created, "age_seconds": now.since(stored.created).as_secs_f64(),
        "attempts": stored.attempts, "next_attempt": null, "last_error": stored.last_error,
        "under_way": stored.claimed_by.as_deref() == Some(run),
        "maybe_sent": stored.maybe_sent || stored.claimed_by.as_deref().is_some_and(|by| by != run),
        "dead_since": stored.dead_at,
    });
    if stored.state == OutboxState::Pending && stored.attempts > 0 {
        shown["next_attempt"] = json!(stored.next_attempt);
    }
    if let Some(entry) = &row.entry {
        let notice = &entry.notice;
        let names: BTreeSet<&str> = notice.transitions.iter().map(|t| &*t.alert.rule).collect();
        shown["kind"] = notice.kind.as_str().into();
        shown["reason"] = notice.reason.as_str().into();
        shown["group"] = json!(notice.group.labels);
        shown["alerts"] = json!(names);
        shown["alert_count"] = notice.transitions.len().into();
    }
    shown
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
