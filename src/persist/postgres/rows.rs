//! Rows into and out of the tables, many in one statement.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join5};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::wire::{Fault, Line};
use crate::model::{Fingerprint, Labels, Severity, Timestamp};
use crate::persist::plan::{Change, Head};
use crate::persist::{HistoryKind, HistoryRow, NewHistory, OutboxRow, OutboxState};

/// The columns of the outbox in the order in which [`notice`] reads them.
pub(super) const NOTICE: &str = "id, position, handler, group_key, created_ms, payload, state, attempts, next_attempt_ms, \
                                 claimed_by, maybe_sent, last_error, dead_ms";
/// The columns of the history in the order in which [`event`] reads them.
pub(super) const EVENT: &str =
    "number, at_ms, kind, rule_uid, rule, fingerprint, severity, handler, reason, notice_id, labels, detail";

/// A text as the database can hold it: all but NUL.
pub(super) fn text(text: &str) -> String {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{2400}")),
        false => Cow::Borrowed(text),
    }
    .into_owned()
}

fn signed(value: u64) -> i64 {
    value.cast_signed()
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn damaged(table: &str, what: impl std::fmt::Display) -> Fault {
    Fault::Damaged(format!("a row of {table} cannot be read: {what}"))
}

/// A row of the outbox.
pub(super) fn notice(row: &Row) -> Result<OutboxRow, Fault> {
    let read = || -> Result<OutboxRow, tokio_postgres::Error> {
        Ok(OutboxRow {
            id: row.try_get(0)?,
            position: count(row.try_get(1)?),
            handler: row.try_get(2)?,
            group_key: row.try_get(3)?,
            created: Timestamp(row.try_get(4)?),
            payload: row.try_get(5)?,
            state: OutboxState::from_name(row.try_get(6)?).unwrap_or(OutboxState::Dead),
            attempts: u32::try_from(row.try_get::<_, i64>(7)?).unwrap_or(u32::MAX),
            next_attempt: Timestamp(row.try_get(8)?),
            claimed_by: row.try_get(9)?,
            maybe_sent: row.try_get(10)?,
            last_error: row.try_get(11)?,
            dead_at: row.try_get::<_, Option<i64>>(12)?.map(Timestamp),
        })
    };
    read().map_err(|error| damaged("alertd_outbox", error))
}

/// A row of the history; none where it is of a later version or not what was stored.
pub(super) fn event(row: &Row) -> Option<HistoryRow> {
    // A column that may be empty but must be one of the words if it is not.
    fn known<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        text.map_or(Some(None), |text| read(text).map(Some))
    }
    let event = NewHistory {
        at: Timestamp(row.try_get(1).ok()?),
        kind: HistoryKind::from_name(row.try_get(2).ok()?)?,
        rule_uid: row.try_get(3).ok()?,
        rule: row.try_get(4).ok()?,
        fingerprint: known(row.try_get(5).ok()?, |hex| u64::from_str_radix(hex, 16).ok().map(Fingerprint))?,
        severity: known(row.try_get(6).ok()?, Severity::from_name)?,
        handler: row.try_get(7).ok()?,
        reason: row.try_get(8).ok()?,
        notice_id: row.try_get(9).ok()?,
        labels: serde_json::from_str::<Labels>(row.try_get(10).ok()?).ok()?,
        detail: row.try_get(11).ok()?,
    };
    Some(HistoryRow { number: count(row.try_get(0).ok()?), event })
}

/// What a transaction changes: of several changes of one row the last one counts.
#[derive(Default)]
pub(super) struct Batch {
    records: BTreeMap<(&'static str, String), Option<String>>,
    notices: BTreeMap<String, Option<OutboxRow>>,
    events: Vec<HistoryRow>,
    head: Head,
}

impl Batch {
    pub fn of(changes: Vec<Change<'_>>, head: Head) -> Self {
        let mut batch = Self { head, ..Self::default() };
        for change in changes {
            match change {
                Change::PutRecord(record) => {
                    batch.records.insert((record.kind.as_str(), text(&record.id)), Some(text(&record.value)));
                }
                Change::DeleteRecord(kind, id) => _ = batch.records.insert((kind.as_str(), text(&id)), None),
                Change::PutNotice(row) => _ = batch.notices.insert(row.id.clone(), Some(row)),
                Change::DeleteNotice(id) => _ = batch.notices.insert(id, None),
                Change::PutHistory(row) => batch.events.push(row),
                // Rows come to where they stay at once.
                Change::DeleteHistory(_) => {}
            }
        }
        batch
    }

    /// Stores it all and ends the transaction. Everything is sent at once: on a long way to the database it is the
    /// exchanges that cost. After an error the end undoes what was begun.
    pub async fn store(self, line: &Line) -> Result<(), Fault> {
        let Self { records, notices, events, head } = self;
        let records = Records::of(records);
        let (mut gone, mut put) = (Vec::new(), Notices::default());
        for (id, row) in notices {
            match row {
                Some(row) => put.push(row),
                None => gone.push(id),
            }
        }
        let events = Events::of(&events);
        let numbers = [head.seq, head.position, head.number, head.outbox].map(signed);
        let [seq, position, number, outbox] = &numbers;
        // Known to the connection since it was opened: nothing is awaited between what is sent below.
        let mut known = Vec::new();
        for sql in statements() {
            known.push(line.statement(&sql).await?);
        }
        let [delete_records, put_records, delete_notices, put_notices, put_events, put_head] = &known[..] else {
            return Err(Fault::Damaged("statements are missing".to_owned()));
        };
        let client = &line.client;
        let run = async |wanted: bool, statement: &Statement, values: &[&(dyn ToSql + Sync)]| match wanted {
            true => client.execute(statement, values).await,
            false => Ok(0),
        };
        let gone_records: [&(dyn ToSql + Sync); 2] = [&records.gone.0, &records.gone.1];
        let new_records: [&(dyn ToSql + Sync); 3] = [&records.kind, &records.id, &records.value];
        let (gone_notices, new_head): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 4]) =
            ([&gone], [seq, position, number, outbox]);
        let (new_notices, new_events) = (put.columns(), events.columns());
        let rows = try_join5(
            run(!records.gone.0.is_empty(), delete_records, &gone_records),
            run(!records.kind.is_empty(), put_records, &new_records),
            run(!gone.is_empty(), delete_notices, &gone_notices),
            run(!put.id.is_empty(), put_notices, &new_notices),
            run(!events.number.is_empty(), put_events, &new_events),
        );
        let end = try_join(client.execute(put_head, &new_head), client.batch_execute("COMMIT"));
        try_join(rows, end).await?;
        Ok(())
    }
}

/// The statements of a transaction that stores something, in their order.
pub(super) fn statements() -> Vec<String> {
    vec![
        "DELETE FROM alertd_record USING unnest($1::text[], $2::text[]) AS gone (kind, id) \
         WHERE alertd_record.kind = gone.kind AND alertd_record.id = gone.id"
            .to_owned(),
        "INSERT INTO alertd_record SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) \
         ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value"
            .to_owned(),
        "DELETE FROM alertd_outbox WHERE id = ANY($1)".to_owned(),
        format!(
            "INSERT INTO alertd_outbox ({NOTICE}) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], \
             $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::boolean[], $12::text[], \
             $13::bigint[]) ON CONFLICT (id) DO UPDATE SET position = excluded.position, handler = excluded.handler, \
             group_key = excluded.group_key, created_ms = excluded.created_ms, payload = excluded.payload, \
             state = excluded.state, attempts = excluded.attempts, next_attempt_ms = excluded.next_attempt_ms, \
             claimed_by = excluded.claimed_by, maybe_sent = excluded.maybe_sent, last_error = excluded.last_error, \
             dead_ms = excluded.dead_ms"
        ),
        format!(
            "INSERT INTO alertd_history ({EVENT}) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], \
             $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], \
             $12::text[])"
        ),
        "UPDATE alertd_head SET seq = $1, position = $2, number = $3, outbox = $4".to_owned(),
    ]
}

/// The columns of records that go and of those that are put.
#[derive(Default)]
struct Records {
    gone: (Vec<&'static str>, Vec<String>),
    kind: Vec<&'static str>,
    id: Vec<String>,
    value: Vec<String>,
}

impl Records {
    fn of(records: BTreeMap<(&'static str, String), Option<String>>) -> Self {
        let mut columns = Self::default();
        for ((kind, id), value) in records {
            match value {
                Some(value) => {
                    columns.kind.push(kind);
                    columns.id.push(id);
                    columns.value.push(value);
                }
                None => {
                    columns.gone.0.push(kind);
                    columns.gone.1.push(id);
                }
            }
        }
        columns
    }
}

/// The columns of rows of the outbox.
#[derive(Default)]
struct Notices {
    id: Vec<String>,
    position: Vec<i64>,
    handler: Vec<String>,
    group_key: Vec<String>,
    created_ms: Vec<i64>,
    payload: Vec<String>,
    state: Vec<&'static str>,
    attempts: Vec<i64>,
    next_attempt_ms: Vec<i64>,
    claimed_by: Vec<Option<String>>,
    maybe_sent: Vec<bool>,
    last_error: Vec<Option<String>>,
    dead_ms: Vec<Option<i64>>,
}

impl Notices {
    fn push(&mut self, row: OutboxRow) {
        self.id.push(row.id);
        self.position.push(signed(row.position));
        self.handler.push(text(&row.handler));
        self.group_key.push(text(&row.group_key));
        self.created_ms.push(row.created.0);
        self.payload.push(text(&row.payload));
        self.state.push(row.state.as_str());
        self.attempts.push(row.attempts.into());
        self.next_attempt_ms.push(row.next_attempt.0);
        self.claimed_by.push(row.claimed_by);
        self.maybe_sent.push(row.maybe_sent);
        self.last_error.push(row.last_error.as_deref().map(text));
        self.dead_ms.push(row.dead_at.map(|at| at.0));
    }

    fn columns(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.id,
            &self.position,
            &self.handler,
            &self.group_key,
            &self.created_ms,
            &self.payload,
            &self.state,
            &self.attempts,
            &self.next_attempt_ms,
            &self.claimed_by,
            &self.maybe_sent,
            &self.last_error,
            &self.dead_ms,
        ]
    }
}

/// The columns of rows of the history.
struct Events {
    number: Vec<i64>,
    at_ms: Vec<i64>,
    kind: Vec<&'static str>,
    rule_uid: Vec<String>,
    rule: Vec<String>,
    fingerprint: Vec<Option<String>>,
    severity: Vec<Option<String>>,
    handler: Vec<Option<String>>,
    reason: Vec<Option<String>>,
    notice_id: Vec<Option<String>>,
    labels: Vec<String>,
    detail: Vec<Option<String>>,
}

impl Events {
    fn of(events: &[HistoryRow]) -> Self {
        fn all<T>(events: &[HistoryRow], read: impl Fn(&NewHistory) -> T) -> Vec<T> {
            events.iter().map(|row| read(&row.event)).collect()
        }
        let or_none = |read: fn(&NewHistory) -> Option<&str>| -> Vec<Option<String>> {
            all(events, |event| read(event).map(text))
        };
        Self {
            number: events.iter().map(|row| signed(row.number)).collect(),
            at_ms: all(events, |event| event.at.0),
            kind: all(events, |event| event.kind.as_str()),
            rule_uid: all(events, |event| text(&event.rule_uid)),
            rule: all(events, |event| text(&event.rule)),
            fingerprint: all(events, |event| event.fingerprint.map(|fingerprint| fingerprint.to_string())),
            severity: or_none(|event| event.severity.map(Severity::as_str)),
            handler: or_none(|event| event.handler.as_deref()),
            reason: or_none(|event| event.reason.as_deref()),
            notice_id: or_none(|event| event.notice_id.as_deref()),
            // A map of texts always has a text.
            labels: all(events, |event| serde_json::to_string(&event.labels).unwrap_or_default()),
            detail: or_none(|event| event.detail.as_deref()),
        }
    }

    fn columns(&self) -> [&(dyn ToSql + Sync); 12] {
        [
            &self.number,
            &self.at_ms,
            &self.kind,
            &self.rule_uid,
            &self.rule,
            &self.fingerprint,
            &self.severity,
            &self.handler,
            &self.reason,
            &self.notice_id,
            &self.labels,
            &self.detail,
        ]
    }
}
