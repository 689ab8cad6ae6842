//! What became of notices, as the outbox tells it.

use serde_json::json;
use tracing::{debug, error};

use super::late::Together;
use super::{Inner, Keeper, history, json as to_json, load, new_notice, payload};
use crate::app::outbox::{self, Ledger, Pending, Settlement, StandIn};
use crate::app::own_metrics::OwnMetrics;
use crate::model::Timestamp;
use crate::notify::delivery::Entry;
use crate::persist::{HistoryKind, Kind, NewHistory, OutboxQuery, OutboxState, Record, Settled, SettledAs};

impl Ledger for Keeper {
    fn claim(&self, ids: &[String]) -> bool {
        if let Err(error) = self.persist.claim(ids, &self.run) {
            // Worth a line in the log of whoever looks for it: commits tell people.
            debug!(%error, "An attempt cannot be put down");
            self.note(&error);
        }
        !self.displaced()
    }

    fn settle(&self, settlements: Vec<Settlement>) {
        let mut inner = self.inner();
        for settlement in &settlements {
            inner.end(rows(settlement), &self.metrics);
            // A commit meanwhile may know more of what the fallback believes: the next one stores that.
            if let outbox::Settled::Dead { instead: Some(instead), .. } = &settlement.settled {
                inner.stand_ins.insert(instead.stand_in.place());
            }
        }
        // What is not stored yet is settled when it is; so is what comes after it.
        if inner.unsaved.is_empty() {
            self.settle_late(&mut inner);
        }
        let lost = inner.late.cut();
        if lost > 0 {
            error!(lost, "Too many endings of deliveries wait to be stored: such a notice may be told again");
            self.metrics.endings_dropped(lost);
        }
    }

    fn pending(&self, handler: &str, limit: usize) -> Result<Pending, String> {
        // What waits here is looked at first: in between it may be stored, and is then seen twice, not missed.
        let (unsaved, over, changed) = {
            let inner = self.inner();
            let (over, changed) = inner.late.standing();
            let all = inner.unsaved.of(handler).chain(inner.late.of(handler));
            let unsaved: Vec<_> = all.filter(|notice| !over.contains(&notice.id)).filter_map(load::waiting).collect();
            (unsaved, over, changed)
        };
        let state = Some(OutboxState::Pending);
        let mut query = OutboxQuery { handler: Some(handler.to_owned()), state, limit, after: None };
        let mut stored = Vec::new();
        // Rows that are over by now do not hide those behind them.
        let more = loop {
            let mut rows = self.persist.outbox(&query).map_err(|error| error.to_string())?;
            query.after = rows.last().map(|row| row.position);
            let last = rows.len() < query.rows();
            rows.retain(|row| !over.contains(&row.id));
            for row in &mut rows {
                if let Some(payload) = changed.get(&row.id) {
                    row.payload.clone_from(payload);
                }
            }
            stored.extend(rows.iter().filter_map(load::stored));
            if last || stored.len() >= limit {
                break !last;
            }
        };
        if !more {
            stored.extend(unsaved);
        }
        Ok(Pending { stored, more })
    }
}

impl Keeper {
    /// Stores the endings that wait.
    pub fn settle_now(&self) {
        self.settle_late(&mut self.inner());
    }

    /// Stores endings of deliveries, several of one notice one after the other.
    pub(super) fn settle_late(&self, inner: &mut Inner) {
        loop {
            let count = inner.late.round();
            if count == 0 {
                return;
            }
            let round = inner.late.take(count);
            let lens: Vec<usize> = round.iter().map(Vec::len).collect();
            let rows: Vec<Settled> = round.into_iter().flatten().collect();
            if let Err(error) = self.persist.settle(&rows, false) {
                self.failed(inner, &error);
                let mut rows = rows.into_iter();
                return inner.late.put_back(lens.into_iter().map(|len| rows.by_ref().take(len).collect()).collect());
            }
        }
    }
}

impl Inner {
    /// Puts an ending with those that are to be stored. A notice that is not stored yet and has ended needs no row any
    /// more; its ending stays for the case that it was stored all the same.
    fn end(&mut self, mut together: Together, metrics: &OwnMetrics) {
        for one in &mut together {
            let Some(notice) = self.unsaved.get_mut(&one.id) else { continue };
            if let Some(payload) = &one.payload {
                notice.payload.clone_from(payload);
            }
            if matches!(one.outcome, SettledAs::Delivered | SettledAs::Merged) {
                self.unsaved.remove(&one.id);
                self.remember(std::mem::take(&mut one.history), metrics);
            }
        }
        self.late.push(together);
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
        outbox::Settled::Dead { failure, instead, with } => {
            let mut detail = history::of_failure(failure, entry.attempts);
            let (mut notices, mut put, mut told) = (Vec::new(), Vec::new(), None);
            if let Some(instead) = instead {
                let fallback = &instead.entry.notice.handler;
                detail["fallback"] = fallback.as_ref().into();
                notices.push(new_notice(&instead.entry));
                put.extend((!instead.stand_in.is_over()).then(|| stand_in_record(&instead.stand_in)));
                // Should somebody have it tried again, the fallback has been told.
                let mut entry = entry.clone();
                entry.tried.push(fallback.clone());
                told = Some(payload(&entry));
            }
            let history = history::of_notice(notice, *at, HistoryKind::Dead, &failure.to_string(), &detail);
            let outcome = SettledAs::Dead { reason: failure.to_string() };
            let beside = |entry: &Entry| Settled {
                id: entry.notice.id.clone(),
                payload: Some(payload(entry)),
                ..row(SettledAs::Changed, Vec::new())
            };
            let mut rows: Vec<Settled> = with.iter().map(beside).collect();
            rows.push(Settled { payload: told, notices, put, ..row(outcome, history) });
            rows
        }
        outbox::Settled::TellsToo(absorbed) => {
            let detail = json!({"told_with": notice.id});
            let changed = Settled { payload: Some(payload(entry)), ..row(SettledAs::Changed, Vec::new()) };
            let gone = |entry: &Entry| {
                let words = "told with a later notice";
                let history = history::of_notice(&entry.notice, *at, HistoryKind::Held, words, &detail);
                Settled { id: entry.notice.id.clone(), ..row(SettledAs::Merged, history) }
            };
            std::iter::once(changed).chain(absorbed.iter().map(gone)).collect()
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

/// What a fallback believes.
pub(super) fn stand_in_record(stand_in: &StandIn) -> Record {
    Record { kind: Kind::Fallback, id: stand_in.place().record_id(), value: to_json(stand_in) }
}
