//! Rows of the outbox as people ask for them, and what people do to them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::{Keeper, history, load, payload};
use crate::app::outbox::Stored;
use crate::model::{Now, Timestamp};
use crate::notify::delivery::Entry;
use crate::persist::{Commit, HistoryKind, NewHistory, OutboxQuery, OutboxRow, Settled, SettledAs, Stats};

/// Oldest counts that are shown.
const STATS_AGE_MAX: Duration = Duration::from_secs(2);

/// How long a notice that was given up is kept for somebody to decide.
const DEAD_AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);

/// A row of the outbox and its notice; none where the row cannot be read.
#[derive(Clone, Debug)]
pub struct Row {
    /// As it is stored.
    pub stored: OutboxRow,
    /// The notice and how far it came.
    pub entry: Option<Entry>,
}

impl Row {
    /// A row, read.
    pub fn of(stored: OutboxRow) -> Self {
        Self { entry: load::stored(&stored).map(|found| found.entry), stored }
    }

    /// Its history rows.
    fn told(&self, at: Timestamp, kind: HistoryKind) -> Vec<NewHistory> {
        let reason = if kind == HistoryKind::Retried { "tried again by hand" } else { "removed by hand" };
        let stored = &self.stored;
        let detail =
            json!({"attempts": stored.attempts, "state": stored.state.as_str(), "last_error": stored.last_error});
        match &self.entry {
            Some(entry) => history::of_notice(&entry.notice, at, kind, reason, &detail),
            None => vec![NewHistory {
                handler: Some(self.stored.handler.clone()),
                notice_id: Some(self.stored.id.clone()),
                reason: Some(reason.to_owned()),
                detail: Some(detail.to_string()),
                ..NewHistory::new(at, kind)
            }],
        }
    }
}

impl Keeper {
    /// This run of the process, as rows under way name it.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Counts of the store, at most `STATS_AGE_MAX` old: counting goes through the whole outbox.
    pub fn stats(&self, now: Duration) -> Arc<Stats> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, stats)) = counted.as_ref()
            && now.saturating_sub(*at) < STATS_AGE_MAX
        {
            return Arc::clone(stats);
        }
        let stats = Arc::new(self.persist.stats());
        *counted = Some((now, Arc::clone(&stats)));
        stats
    }

    /// Counts anew when next asked: somebody changed the outbox and will look.
    pub fn count_anew(&self) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many notices are under way and not stored, because nothing can be stored.
    pub fn unsaved(&self) -> usize {
        self.inner().unsaved.len()
    }

    /// Rows of the outbox, by position.
    pub fn rows(&self, query: &OutboxQuery) -> Result<Vec<Row>, String> {
        let rows = self.persist.outbox(query).map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(Row::of).collect())
    }

    /// All rows that are asked for, page by page and not read yet.
    pub fn pages(&self, query: OutboxQuery) -> impl Iterator<Item = Result<Vec<OutboxRow>, String>> {
        let mut next = Some(query);
        std::iter::from_fn(move || {
            let query = next.take()?;
            let page = self.persist.outbox(&query);
            let full = page.as_ref().ok().filter(|rows| rows.len() == query.rows()).and_then(|rows| rows.last());
            next = full.map(|last| OutboxQuery { after: Some(last.position), ..query });
            Some(page.map_err(|error| error.to_string()))
        })
    }

    /// Puts down that notices are tried again, before anything is done about it.
    pub fn will_retry(&self, rows: &[Row], at: Timestamp) -> Result<(), String> {
        let history = rows.iter().flat_map(|row| row.told(at, HistoryKind::Retried)).collect();
        let stored = self.persist.commit(&Commit { history, durable: true, ..Commit::default() });
        stored.map(drop).map_err(|error| error.to_string())
    }

    /// Notices that were dead and wait again: they have as much time as new ones, also after a restart.
    pub fn begin_anew(&self, rows: Vec<Row>, now: Now) -> Vec<Stored> {
        let anew: Vec<Entry> = rows
            .into_iter()
            .filter_map(|row| row.entry)
            .map(|entry| Entry { since_ms: now.elapsed_ms, attempts: 0, ..entry })
            .collect();
        let change = |entry: &Entry| Settled {
            id: entry.notice.id.clone(),
            at: now.slot,
            outcome: SettledAs::Changed,
            payload: Some(payload(entry)),
            notices: Vec::new(),
            put: Vec::new(),
            history: Vec::new(),
        };
        let changed: Vec<Settled> = anew.iter().map(change).collect();
        if let Err(error) = self.persist.settle(&changed, false) {
            // They wait in the store already; only their age is that of before.
            tracing::warn!(%error, "How old notices are that are tried again cannot be put down");
        }
        anew.into_iter().map(|entry| Stored { entry }).collect()
    }

    /// Removes notices that were given up `DEAD_AGE_MAX` ago; how many.
    pub fn clean_outbox(&self, now: Timestamp) -> u64 {
        let mut removed = 0;
        loop {
            match self.persist.clean_outbox(now.minus(DEAD_AGE_MAX), now) {
                Ok(0) => break,
                Ok(rows) => removed += rows,
                Err(error) => {
                    tracing::warn!(%error, "Old dead notices cannot be removed");
                    break;
                }
            }
        }
        if removed > 0 {
            tracing::info!(removed, "Notices that were given up long ago were removed");
        }
        removed
    }

    /// Removes rows, with why in the history.
    pub fn discard(&self, rows: &[Row], at: Timestamp) -> Result<(), String> {
        if rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = rows.iter().map(|row| row.stored.id.clone()).collect();
        let told: Vec<NewHistory> = rows.iter().flat_map(|row| row.told(at, HistoryKind::Dropped)).collect();
        self.persist.discard(&ids, &told).map(drop).map_err(|error| error.to_string())
    }
}
