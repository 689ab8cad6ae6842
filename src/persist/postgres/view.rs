//! What planning reads inside a transaction: rows that were asked for with its beginning, and others one question each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::rows::{self, NOTICE};
use super::wire::{Fault, Line, Wire};
use crate::model::Timestamp;
use crate::persist::plan::View;
use crate::persist::{Kind, OutboxRow, PersistError};

/// What planning reads inside a transaction.
pub(super) struct Rows<'a> {
    pub wire: &'a Wire,
    pub client: Arc<Line>,
    /// Rows that were read, and ids of which there is none.
    pub known: RefCell<BTreeMap<String, Option<OutboxRow>>>,
    /// How long the transaction may still take.
    pub left: &'a dyn Fn() -> Duration,
}

impl Rows<'_> {
    /// How long it may still take.
    fn left(&self) -> Duration {
        (self.left)()
    }

    /// Ids of rows, in their order; the rows are known from then on.
    fn ids(&self, condition: &str, values: (String, i64)) -> Result<Vec<String>, PersistError> {
        let client = Arc::clone(&self.client);
        let sql = format!("SELECT {NOTICE} FROM alertd_outbox WHERE {condition}");
        let asked = self.wire.wait(self.left(), async move {
            client.query(&sql, &[&values.0, &values.1]).await?.iter().map(rows::notice).collect::<Result<Vec<_>, _>>()
        });
        let found = asked.map_err(|fault| self.wire.meaning(fault))?;
        let ids = found.iter().map(|row| row.id.clone()).collect();
        self.known.borrow_mut().extend(found.into_iter().map(|row| (row.id.clone(), Some(row))));
        Ok(ids)
    }
}

impl View for Rows<'_> {
    fn has_notice(&self, id: &str) -> Result<bool, PersistError> {
        Ok(self.notice(id)?.is_some())
    }

    fn notice(&self, id: &str) -> Result<Option<OutboxRow>, PersistError> {
        if let Some(known) = self.known.borrow().get(id) {
            return Ok(known.clone());
        }
        let (client, ids) = (Arc::clone(&self.client), vec![id.to_owned()]);
        let found = self.wire.wait(self.left(), async move { notices(&client, &ids).await });
        found.map(|mut rows| rows.pop()).map_err(|fault| self.wire.meaning(fault))
    }

    fn dead_but(&self, handler: &str, kept: usize) -> Result<Vec<String>, PersistError> {
        let over = "id IN (SELECT id FROM alertd_outbox WHERE handler = $1 AND state = 'dead' ORDER BY position DESC \
                    OFFSET $2) ORDER BY position";
        self.ids(over, (handler.to_owned(), i64::try_from(kept).unwrap_or(i64::MAX)))
    }

    fn dead_before(&self, time: Timestamp, most: usize) -> Result<Vec<String>, PersistError> {
        let old = "dead_ms < $1::text::bigint ORDER BY id LIMIT $2";
        self.ids(old, (time.0.to_string(), i64::try_from(most).unwrap_or(i64::MAX)))
    }

    fn notice_ids(&self) -> Result<Vec<String>, PersistError> {
        let client = Arc::clone(&self.client);
        let asked = self.wire.wait(self.left(), async move {
            Ok(client.query("SELECT id FROM alertd_outbox", &[]).await?.iter().map(|row| row.get(0)).collect())
        });
        asked.map_err(|fault| self.wire.meaning(fault))
    }

    fn record_keys(&self) -> Result<Vec<(Kind, String)>, PersistError> {
        let client = Arc::clone(&self.client);
        let asked = self.wire.wait(self.left(), async move {
            let rows = client.query("SELECT kind, id FROM alertd_record", &[]).await?;
            Ok(rows.iter().filter_map(|row| Some((Kind::from_name(row.get(0))?, row.get(1)))).collect())
        });
        asked.map_err(|fault| self.wire.meaning(fault))
    }
}

/// Rows of the outbox by their ids.
pub(super) async fn notices(client: &Line, ids: &[String]) -> Result<Vec<OutboxRow>, Fault> {
    client.query(&of_ids(), &[&ids]).await?.iter().map(rows::notice).collect()
}

/// The statement that finds them.
pub(super) fn of_ids() -> String {
    format!("SELECT {NOTICE} FROM alertd_outbox WHERE id = ANY($1)")
}
