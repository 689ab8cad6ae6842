//! What became of notices, as the outbox tells it.

use serde_json::json;
use tracing::debug;

use super::{Inner, Keeper, LATE_MAX, history, json as to_json, load, new_notice, payload};
use crate::app::outbox::{self, Ledger, Settlement, Stored};
use crate::model::Timestamp;
use crate::notify::delivery::Entry;
use crate::persist::{HistoryKind, Kind, NewHistory, OutboxQuery, OutboxState, Record, Settled, SettledAs};

impl Ledger for Keeper {
    fn claim(&self, ids: &[String]) {
        if let Err(error) = self.persist.claim(ids, &self.run) {
            // Worth a line in the log of whoever looks for it: commits tell people.
            debug!(%error, "An attempt cannot be put down");
        }
    }

    fn settle(&self, settlements: Vec<Settlement>) {
        let mut inner = self.inner();
        // What is not stored yet is settled when it is; so is what is told with it, which until then must not go.
        let (late, now): (Vec<_>, Vec<_>) =
            settlements.iter().map(rows).partition(|rows| rows.iter().any(|s| inner.unsaved.contains_key(&s.id)));
        inner.late.extend(late.into_iter().flatten());
        let now: Vec<Settled> = now.into_iter().flatten().collect();
        if !now.is_empty()
            && let Err(error) = self.persist.settle(&now, false)
        {
            self.is_in_trouble(&mut inner, &error.to_string());
            inner.late.extend(now);
        }
        let over = inner.late.len().saturating_sub(LATE_MAX);
        if over > 0 {
            inner.late.drain(..over);
        }
    }

    fn pending(&self, handler: &str, limit: usize) -> Vec<Stored> {
        let query =
            OutboxQuery { handler: Some(handler.to_owned()), state: Some(OutboxState::Pending), limit, after: None };
        match self.persist.outbox(&query) {
            Ok(rows) => rows.iter().filter_map(load::stored).collect(),
            Err(error) => {
                debug!(%error, "Waiting notices cannot be read");
                Vec::new()
            }
        }
    }
}

impl Keeper {
    /// Stores endings of deliveries that could not be stored when they happened.
    pub(super) fn settle_late(&self, inner: &mut Inner) {
        if inner.late.is_empty() {
            return;
        }
        let late = std::mem::take(&mut inner.late);
        if self.persist.settle(&late, false).is_err() {
            inner.late = late;
        }
    }
}

/// What is stored of one ending.
fn rows(settlement: &Settlement) -> Vec<Settled> {
    let Settlement { at, entry, settled } = settlement;
    let notice = &entry.notice;
    let row = |outcome, history| Settled {
        id: notice.id.clone(),
        at: *at,
        outcome,
        payload: None,
        notices: Vec::new(),
        put: Vec::new(),
        history,
    };
    match settled {
        outbox::Settled::Delivered { answer, refused } => {
            let detail = json!({"answer": answer, "attempt": entry.attempts, "status": notice.kind.as_str()});
            let mut history = history::of_notice(notice, *at, HistoryKind::Sent, answer, &detail);
            history.extend(refused.iter().map(|part| refusal(entry, *at, part)));
            vec![row(SettledAs::Delivered, history)]
        }
        outbox::Settled::Failed { failure, news } => {
            let detail = history::of_failure(failure, entry.attempts);
            let history = match news {
                true => history::of_notice(notice, *at, HistoryKind::Failed, &failure.to_string(), &detail),
                false => Vec::new(),
            };
            // An earlier attempt, of an earlier process too, may have arrived though this one did not.
            let outcome =
                SettledAs::Failed { error: failure.to_string(), next_attempt: *at, maybe_sent: entry.maybe_taken };
            let payload = (!entry.done.is_empty()).then(|| payload(entry));
            vec![Settled { payload, ..row(outcome, history) }]
        }
        outbox::Settled::Dead { failure, instead } => {
            let mut detail = history::of_failure(failure, entry.attempts);
            let (mut notices, mut put) = (Vec::new(), Vec::new());
            if let Some(copy) = instead {
                detail["fallback"] = copy.handler.as_ref().into();
                let mut tried = entry.tried.clone();
                tried.push(notice.handler.clone());
                notices.push(new_notice(&Entry { tried, ..Entry::new(copy.clone(), entry.since_ms) }));
                put.push(fallback_record(&notice.handler, &notice.group.key));
            }
            let history = history::of_notice(notice, *at, HistoryKind::Dead, &failure.to_string(), &detail);
            vec![Settled { notices, put, ..row(SettledAs::Dead { reason: failure.to_string() }, history) }]
        }
        outbox::Settled::MergedInto(later) => {
            let id = later.notice.id.clone();
            let detail = json!({"told_with": id});
            let history = history::of_notice(notice, *at, HistoryKind::Held, "told with a later notice", &detail);
            let changed = Settled { id, payload: Some(payload(later)), ..row(SettledAs::Changed, Vec::new()) };
            vec![changed, row(SettledAs::Merged, history)]
        }
    }
}

/// A recipient that does not get the message.
fn refusal(entry: &Entry, at: Timestamp, part: &str) -> NewHistory {
    NewHistory {
        handler: Some(entry.notice.handler.to_string()),
        notice_id: Some(entry.notice.id.clone()),
        reason: Some(part.to_owned()),
        ..NewHistory::new(at, HistoryKind::Failed)
    }
}

/// That a fallback was told of a group.
pub(super) fn fallback_record(handler: &str, group: &str) -> Record {
    Record { kind: Kind::Fallback, id: format!("{handler}\u{1f}{group}"), value: to_json(&(handler, group)) }
}
