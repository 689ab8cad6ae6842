//! The store in a PostgreSQL database, which several processes may share: one of them holds the [lease](Beat) and writes.
//!
//! What is planned ([`super::plan`]) is one transaction that first reads the head and the lease under a lock: the writes
//! of a process that lost the lease are refused. History rows come to where they stay with the state they belong to. The
//! database looks after what the files of the embedded store need: checksums, copies, full disks.

mod history;
mod lease;
mod rows;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod view;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join3;
use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::error::Severity;

pub use self::lease::{Ask, Beat, Holder};
use self::rows::{Batch, NOTICE};
use self::view::{Rows, of_ids};
use self::wire::{CALL_MAX, Fault, LOAD_MAX, Line, Slot, Wire};
use super::history::Part;
use super::plan::{Change, Head, Plan, View};
use super::{
    Commit, Committed, Everything, HistoryPage, HistoryQuery, Kind, Loaded, Moved, NewHistory, OutboxCount,
    OutboxQuery, OutboxRow, OutboxState, Persist, PersistError, Record, Settled, Stats, Stopwatch, Upkeep, Which,
};
use crate::model::Timestamp;

/// What is left of the time of a transaction is never less.
const LEAST: Duration = Duration::from_millis(100);
/// Most batches of one cleaning: the next one goes on.
const BATCHES_MAX: usize = 1_000;

/// Begins a transaction of a holder: nobody else becomes one until it ends.
const HEAD: &str = "SELECT seq, position, number, outbox, run, token, name FROM alertd_head, alertd_lease \
                    FOR UPDATE OF alertd_head FOR SHARE OF alertd_lease";

/// Reads no table.
const GLANCE: &str = "SELECT current_setting('server_version'), to_regclass('alertd_lease') IS NOT NULL, \
                      coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";

/// What a database is like, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The server's version.
    pub version: String,
    /// Whether the tables are there.
    pub made: bool,
    /// Whether they can be made.
    pub may_make: bool,
    /// Who held the lease last.
    pub holder: Option<String>,
}

/// Claims notices for a holder; the name of the holder where that is another one.
const CLAIM: &str = "WITH held AS (SELECT run = $3 AND token = $4 AS here, name FROM alertd_lease FOR SHARE), \
                     claimed AS (UPDATE alertd_outbox SET claimed_by = $2 WHERE id = ANY($1) AND state = 'pending' \
                     AND (SELECT here FROM held) RETURNING 1) \
                     SELECT (SELECT name FROM held WHERE NOT here), (SELECT count(*) FROM claimed)";

/// How to reach a database.
pub struct Address {
    config: Config,
    tls: ClientConfig,
}

impl Address {
    /// From a URL, `postgres://user:password@host:port/database`, with the parameters of libpq that tokio-postgres knows.
    /// The error holds nothing of the URL.
    pub fn new(url: &str, tls: ClientConfig) -> Result<Self, String> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            cause.unwrap_or_else(|| error.to_string())
        })?;
        if config.get_hosts().is_empty() {
            return Err("it names no host".to_owned());
        }
        config.connect_timeout(Duration::from_secs(3)).keepalives_idle(Duration::from_secs(15));
        config.tcp_user_timeout(Duration::from_secs(10));
        if config.get_application_name().is_none() {
            config.application_name("alertd");
        }
        Ok(Self { config, tls })
    }
}

/// Keeps state in a database.
pub struct PostgresPersist {
    wire: Wire,
    /// Names this run of the process, and the process for people.
    run: String,
    name: String,
    /// The number of the holder that this writes as; 0 while it is none.
    token: AtomicU64,
    stopwatch: Stopwatch,
    /// Held for one transaction.
    writer: Mutex<Writer>,
    writing: Slot,
    loading: Slot,
    reading: Slot,
    cleaning: Slot,
    lease: Slot,
    /// Held to count.
    counts: Mutex<Stats>,
}

/// What is known of the last transactions.
#[derive(Default)]
struct Writer {
    /// The number of the last one that was confirmed.
    confirmed: u64,
    /// The database knows less than was confirmed: another one took the place of the one that was written to.
    went_back: bool,
    /// It was not confirmed: its number, and its rows of the history.
    in_doubt: Option<(u64, Vec<NewHistory>)>,
    /// Rows of the history that are stored though their transaction was not confirmed: whoever made it makes it again.
    stored: Vec<NewHistory>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresPersist {
    /// One process, under a name that people know it by. Nothing is opened yet.
    pub fn new(address: Address, run: String, name: String, stopwatch: Stopwatch) -> std::io::Result<Self> {
        Ok(Self {
            wire: Wire::new(address.config, address.tls, Arc::clone(&stopwatch))?,
            run,
            name,
            token: AtomicU64::new(0),
            stopwatch,
            writer: Mutex::default(),
            writing: Slot::deciding(|| {
                [rows::statements(), vec![HEAD.to_owned(), CLAIM.to_owned(), of_ids()]].concat()
            }),
            loading: Slot::patient(),
            reading: Slot::patient(),
            cleaning: Slot::patient(),
            lease: Slot::deciding(Vec::new),
            counts: Mutex::default(),
        })
    }

    /// All that is stored, or an error after so long.
    pub fn load_within(&self, most: Duration) -> Result<Loaded, PersistError> {
        let loaded = self.wire.call(&self.loading, most, load);
        self.told(loaded)
    }

    /// What can be said of the database without a table, and without making one: its version, who holds the lease where
    /// there is one, and whether tables are there or can be made.
    pub fn glance(&self) -> Result<Glance, PersistError> {
        self.wire.leave_tables();
        let asked = self.wire.ask(&self.lease, |client| async move {
            let row = client.query_one(GLANCE, &[]).await?;
            let (version, made, may_make) = (row.get(0), row.get(1), row.get(2));
            let holder = match made {
                true => client.query_one("SELECT name FROM alertd_lease", &[]).await?.get(0),
                false => String::new(),
            };
            Ok(Glance { version, made, may_make, holder: Some(holder).filter(|holder| !holder.is_empty()) })
        });
        self.told(asked)
    }

    /// Where it is, without user and password.
    pub fn place(&self) -> String {
        self.wire.place.display().to_string()
    }

    /// Counts a failure.
    fn told<T>(&self, result: Result<T, Fault>) -> Result<T, PersistError> {
        result.map_err(|fault| self.counted(self.wire.meaning(fault)))
    }

    fn counted(&self, error: PersistError) -> PersistError {
        *lock(&self.counts).failures.entry(error.cause()).or_default() += 1;
        error
    }

    /// One transaction, which may take so long in all; `ids` are the notices that planning will ask for.
    fn write<'a, T>(
        &self,
        most: Duration,
        ids: Vec<String>,
        plan: impl FnOnce(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<T, PersistError> {
        let mut writer = lock(&self.writer);
        let begun = (self.stopwatch)();
        let took = || (self.stopwatch)().saturating_sub(begun);
        let left = || most.saturating_sub(took()).max(LEAST);
        let result = self.transact(&mut writer, (&left, ids), plan);
        drop(writer);
        lock(&self.counts).commit_time += took();
        result.map_err(|error| {
            // Whatever is open there ends with the connection.
            self.writing.set(None);
            self.counted(error)
        })
    }

    fn transact<'a, T>(
        &self,
        writer: &mut Writer,
        (left, ids): (&dyn Fn() -> Duration, Vec<String>),
        plan: impl FnOnce(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<T, PersistError> {
        let meaning = |fault| self.wire.meaning(fault);
        if self.token.load(Ordering::Acquire) == 0 {
            return Err(meaning(Fault::Unheld));
        }
        let client = self.wire.client(&self.writing, false).map_err(meaning)?;
        let (head, known) = self.begin(Arc::clone(&client), ids, left()).map_err(meaning)?;
        writer.went_back |= head.seq < writer.confirmed;
        if let Some((seq, events)) = writer.in_doubt.take()
            && head.seq >= seq
        {
            writer.stored.extend(events);
        }
        let view = Rows { wire: &self.wire, client: Arc::clone(&client), known: RefCell::new(known), left };
        let mut planned = Plan::new(head);
        let done = plan(&mut planned, &view)?;
        planned.head.staged = 0;
        let Plan { head, mut changes, lost } = planned;
        let mut stored = writer.stored.clone();
        changes.retain(|change| !is_stored(change, &mut stored));
        let events = changes.iter().filter_map(|change| match change {
            Change::PutHistory(row) => Some(row.event.clone()),
            _ => None,
        });
        let in_doubt = (head.seq, events.collect::<Vec<_>>());
        let moved = in_doubt.1.len() as u64;
        let batch = Batch::of(changes, head);
        let ended = self.wire.wait(left(), async move { batch.store(&client).await });
        if let Err(fault) = self.wire.heard(&self.writing, ended) {
            if !is_undone(&fault) {
                writer.in_doubt = Some(in_doubt);
            }
            return Err(meaning(fault));
        }
        (writer.stored, writer.confirmed) = (stored, head.seq);
        let mut counts = lock(&self.counts);
        counts.commits += 1;
        counts.history_moved += moved;
        lost.count(&mut counts);
        Ok(done)
    }

    /// Begins a transaction, unless another process holds the lease.
    fn begin(&self, line: Arc<Line>, ids: Vec<String>, most: Duration) -> Result<Begun, Fault> {
        let (run, token) = (self.run.clone(), self.token.load(Ordering::Acquire));
        let begun = self.wire.wait(most, async move {
            let head = line.statement(HEAD).await?;
            let of_ids = line.statement(&of_ids()).await?;
            let found = async {
                match ids.is_empty() {
                    true => Ok(Vec::new()),
                    false => line.client.query(&of_ids, &[&ids]).await,
                }
            };
            let (begin, head) = (line.client.batch_execute("BEGIN"), line.client.query_one(&head, &[]));
            let ((), row, found) = try_join3(begin, head, found).await?;
            let number = |column: usize| row.get::<_, i64>(column).cast_unsigned();
            if row.get::<_, &str>(4) != run || number(5) != token {
                return Err(Fault::Lease(row.get(6)));
            }
            let head = Head { seq: number(0), position: number(1), number: number(2), outbox: number(3), staged: 0 };
            let found = found.iter().map(rows::notice).collect::<Result<Vec<_>, _>>()?;
            let mut known: BTreeMap<String, Option<OutboxRow>> = ids.into_iter().map(|id| (id, None)).collect();
            known.extend(found.into_iter().map(|row| (row.id.clone(), Some(row))));
            Ok((head, known))
        });
        self.wire.heard(&self.writing, begun)
    }
}

/// What a transaction begins with: the head, and the rows that were asked for.
type Begun = (Head, BTreeMap<String, Option<OutboxRow>>);

/// Whether a fault says that nothing of a transaction is stored. One that ends the connection says nothing: the
/// transaction may have ended before it.
fn is_undone(fault: &Fault) -> bool {
    let Fault::Db(error) = fault else { return false };
    error.as_db_error().is_some_and(|answer| answer.parsed_severity() == Some(Severity::Error))
}

/// Whether a change is a row of the history that is stored already; each is once.
fn is_stored(change: &Change<'_>, stored: &mut Vec<NewHistory>) -> bool {
    let Change::PutHistory(row) = change else { return false };
    let place = stored.iter().position(|event| *event == row.event);
    place.map(|place| stored.swap_remove(place)).is_some()
}

impl Persist for PostgresPersist {
    fn load(&self) -> Result<Loaded, PersistError> {
        self.load_within(LOAD_MAX)
    }

    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError> {
        let ids = commit.notices.iter().map(|notice| notice.id.clone()).collect();
        self.write(CALL_MAX, ids, |plan, rows| plan.commit(rows, commit))
    }

    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError> {
        self.write(LOAD_MAX, Vec::new(), |plan, rows| plan.rewrite(rows, everything))
    }

    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError> {
        // Before every attempt: one statement, which is a transaction by itself.
        let writer = lock(&self.writer);
        let token = self.token.load(Ordering::Acquire).cast_signed();
        if token == 0 {
            return self.told(Err(Fault::Unheld));
        }
        let claim = || {
            let (ids, run, holder) = (ids.to_vec(), run.to_owned(), self.run.clone());
            self.wire.ask(&self.writing, |client| async move {
                let row = client.query_one(CLAIM, &[&ids, &run, &holder, &token]).await?;
                match row.get::<_, Option<String>>(0) {
                    Some(name) => Err(Fault::Lease(name)),
                    None => Ok(usize::try_from(row.get::<_, i64>(1)).unwrap_or(0)),
                }
            })
        };
        // A process that hung wakes with a connection that was closed meanwhile: it must hear that it was displaced.
        let asked = match claim() {
            Err(fault @ Fault::Db(_)) if !is_undone(&fault) => claim(),
            asked => asked,
        };
        drop(writer);
        self.told(asked)
    }

    fn settle(&self, settled: &[Settled], _durable: bool) -> Result<usize, PersistError> {
        let ids = settled
            .iter()
            .flat_map(|one| std::iter::once(one.id.clone()).chain(one.notices.iter().map(|notice| notice.id.clone())));
        self.write(CALL_MAX, ids.collect(), |plan, rows| plan.settle(rows, settled))
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError> {
        let (handler, state) = (query.handler.as_deref().map(rows::text), query.state.map(OutboxState::as_str));
        let after = query.after.map_or(-1, u64::cast_signed);
        let limit = i64::try_from(query.rows()).unwrap_or(i64::MAX);
        let asked = self.wire.ask(&self.reading, |client| async move {
            let sql = format!(
                "SELECT {NOTICE} FROM alertd_outbox WHERE ($1::text IS NULL OR handler = $1) AND ($2::text IS NULL OR \
                 state = $2) AND position > $3 ORDER BY position LIMIT $4"
            );
            client.query(&sql, &[&handler, &state, &after, &limit]).await?.iter().map(rows::notice).collect()
        });
        self.told(asked)
    }

    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        let ids = match which {
            Which::Ids(ids) => ids.clone(),
            Which::Handler(_) => Vec::new(),
        };
        self.write(CALL_MAX, ids, |plan, rows| plan.retry(rows, which, at))
    }

    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError> {
        self.write(CALL_MAX, ids.to_vec(), |plan, rows| plan.discard(rows, ids, history))
    }

    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError> {
        self.write(CALL_MAX, Vec::new(), |plan, rows| plan.clean(rows, older_than, now))
    }

    fn move_history(&self, _now: Timestamp) -> Result<Moved, PersistError> {
        Ok(Moved::default())
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError> {
        let query = query.clone();
        let asked = self.wire.ask(&self.reading, |client| history::page(client, query));
        self.told(asked)
    }

    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        let holder = self.holder();
        let mut old = 0;
        for part in Part::ALL {
            old += self.batches(|client| history::remove_old(client, older_than, (part, holder.clone())))?;
        }
        let asked = self.wire.call(&self.cleaning, LOAD_MAX, |client| history::surplus(client, rows_max));
        let mut surplus = self.told(asked)?;
        let oldest = self.batches(|client| {
            let batch = surplus.min(1_000);
            surplus -= batch;
            history::remove_oldest(client, batch, holder.clone())
        })?;
        lock(&self.counts).history_cleaned += old + oldest;
        Ok(old + oldest)
    }

    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        let of = (Part::Evaluations, self.holder());
        let removed = self.batches(|client| history::remove_old(client, older_than, of.clone()))?;
        lock(&self.counts).history_cleaned += removed;
        Ok(removed)
    }

    fn upkeep(&self, _now: Timestamp) -> Upkeep {
        Upkeep { rewritten: std::mem::take(&mut lock(&self.writer).went_back), ..Upkeep::default() }
    }

    fn stats(&self) -> Stats {
        let asked = self.wire.ask(&self.reading, |client| async move {
            let sql = "SELECT handler, state, count(*), min(created_ms) FROM alertd_outbox GROUP BY handler, state \
                       ORDER BY handler, state DESC";
            let rows = client.query(sql, &[]).await?;
            let bytes = client.query_one("SELECT pg_database_size(current_database())", &[]).await?;
            let counts: Vec<OutboxCount> = rows.iter().filter_map(outbox_count).collect();
            Ok((counts, bytes.get::<_, i64>(0).cast_unsigned()))
        });
        let mut counts = lock(&self.counts);
        // What it cannot tell now it told before.
        if let Ok((outbox, bytes)) = asked {
            counts.outbox = outbox;
            counts.bytes.insert("database", bytes);
        }
        for cause in PersistError::CAUSES {
            counts.failures.entry(cause).or_default();
        }
        Stats { mirrored: true, ballast: true, ..counts.clone() }
    }
}

impl PostgresPersist {
    /// Who this writes as.
    fn holder(&self) -> (String, i64) {
        (self.run.clone(), self.token.load(Ordering::Acquire).cast_signed())
    }

    /// Does something in small batches until nothing is left, or much was done; how much it was in all.
    fn batches<F>(&self, mut batch: impl FnMut(Arc<Line>) -> F) -> Result<u64, PersistError>
    where
        F: Future<Output = Result<u64, Fault>> + Send + 'static,
    {
        let mut all = 0;
        for _ in 0..BATCHES_MAX {
            let asked = self.wire.call(&self.cleaning, CALL_MAX, &mut batch);
            match self.told(asked)? {
                0 => break,
                removed => all += removed,
            }
        }
        Ok(all)
    }
}

fn outbox_count(row: &tokio_postgres::Row) -> Option<OutboxCount> {
    Some(OutboxCount {
        handler: row.get(0),
        state: OutboxState::from_name(row.get(1))?,
        rows: row.get::<_, i64>(2).cast_unsigned(),
        oldest: Timestamp(row.get(3)),
    })
}

async fn load(client: Arc<Line>) -> Result<Loaded, Fault> {
    // Both of one instant, though another process may write.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let records = client.query("SELECT kind, id, value FROM alertd_record", &[]).await?;
    let sql = format!("SELECT {NOTICE} FROM alertd_outbox WHERE state = 'pending' ORDER BY position");
    let outbox = client.query(&sql, &[]).await?;
    client.batch_execute("COMMIT").await?;
    let mut loaded = Loaded::default();
    for row in &records {
        match Kind::from_name(row.get(0)) {
            Some(kind) => {
                let record = Record { kind, id: row.get(1), value: row.get(2) };
                loaded.records.entry(kind).or_default().push(record);
            }
            None => loaded.unknown += 1,
        }
    }
    // By their bytes, whatever the database sorts by.
    loaded.records.values_mut().for_each(|records| records.sort_by(|a, b| a.id.cmp(&b.id)));
    loaded.outbox = outbox.iter().map(rows::notice).collect::<Result<_, _>>()?;
    for row in &mut loaded.outbox {
        row.maybe_sent |= row.claimed_by.is_some();
    }
    Ok(loaded)
}
