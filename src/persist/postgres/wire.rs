//! Connections: where the database is, how long it may take, and what its errors mean.
//!
//! Calls are made from threads of any kind and wait there; what is asked runs on a thread of this room's own. A
//! connection whose call failed in a way that leaves it in doubt is thrown away, the next call opens another.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use rustls::ClientConfig;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::schema;
use crate::net::chain;
use crate::persist::{PersistError, Stopwatch};

/// How long one call may take: alerting goes on from memory after that.
pub(super) const CALL_MAX: Duration = Duration::from_secs(5);
/// A beat that takes longer tells of a database that is too slow to wait for.
const PROMPT: Duration = Duration::from_millis(1500);
/// How long all of the state may take to be read at a start.
pub(super) const LOAD_MAX: Duration = Duration::from_secs(60);
/// How long the tables may take to be made.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// Most statements that a connection keeps.
const STATEMENTS_MAX: usize = 100;
/// A process that hangs in a transaction must not keep others from the lease; what it has open then is undone.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '120s'; SET lock_timeout = '4s'; \
                       SET client_min_messages = 'warning'";

/// What can go wrong in a call.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database or the way to it.
    Db(tokio_postgres::Error),
    /// No answer in time.
    Late(Duration),
    /// The tables are of a later version.
    Newer { found: i64, known: i64 },
    /// Another process holds the lease.
    Lease(String),
    /// A row that nobody stored so.
    Damaged(String),
    /// It did not answer a moment ago.
    Away,
    /// This process does not hold the lease, and knows it.
    Unheld,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error)
    }
}

/// The way to a database.
pub(super) struct Wire {
    /// Where it is, without a password: what errors name.
    pub place: PathBuf,
    config: Config,
    tls: MakeRustlsConnect,
    /// Gone when this is dropped, and only then.
    runtime: Option<Runtime>,
    handle: Handle,
    /// Whether it did not answer in time: until it is known to answer again nobody waits for it.
    away: AtomicBool,
    migrated: AtomicBool,
    stopwatch: Stopwatch,
}

/// An open connection and the statements that it knows.
pub(super) struct Line {
    pub client: Client,
    statements: Mutex<BTreeMap<String, Statement>>,
}

impl Line {
    /// A statement, prepared once.
    pub async fn statement(&self, sql: &str) -> Result<Statement, Fault> {
        if let Some(known) = lock(&self.statements).get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = lock(&self.statements);
        // Questions to the history differ by which limits they have: there are not many, but nobody counts them.
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The rows of a statement.
    pub async fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// The one row of a statement that has one.
    pub async fn query_one(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query_one(&statement, values).await?)
    }

    /// How many rows a statement changed.
    pub async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }

    /// Statements without values.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

/// A connection, opened when it is first used.
pub(super) struct Slot {
    line: Mutex<Option<Arc<Line>>>,
    /// Whether a call that is late here says that the database is away: long questions of people do not.
    decides: bool,
    /// Statements that are prepared when it is opened.
    statements: fn() -> Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    /// One for the state itself, with the statements that it will need.
    pub fn deciding(statements: fn() -> Vec<String>) -> Self {
        Self { line: Mutex::default(), decides: true, statements }
    }

    /// One for questions and cleaning.
    pub fn patient() -> Self {
        Self { line: Mutex::default(), decides: false, statements: Vec::new }
    }

    fn get(&self) -> Option<Arc<Line>> {
        lock(&self.line).as_ref().filter(|line| !line.client.is_closed()).cloned()
    }

    pub fn set(&self, line: Option<Arc<Line>>) {
        *lock(&self.line) = line;
    }
}

impl Wire {
    pub fn new(config: Config, tls: ClientConfig, stopwatch: Stopwatch) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("database").enable_all().build()?;
        let place = place(&config);
        let tls = MakeRustlsConnect::new(tls);
        let (handle, runtime) = (runtime.handle().clone(), Some(runtime));
        let (away, migrated) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { place, config, tls, runtime, handle, away, migrated, stopwatch })
    }

    /// Takes the tables as they are, or are not.
    pub fn leave_tables(&self) {
        self.migrated.store(true, Ordering::Release);
    }

    /// Runs something and waits for it.
    pub fn wait<T: Send + 'static>(
        &self,
        most: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (done, result) = sync_channel(1);
        self.handle.spawn(async move {
            let result = tokio::time::timeout(most, work).await;
            let _ = done.send(result.unwrap_or(Err(Fault::Late(most))));
        });
        result.recv().unwrap_or(Err(Fault::Late(most)))
    }

    /// Takes what a slot's call came to: who decides on the state and gets no answer says so for all.
    pub fn heard<T>(&self, slot: &Slot, result: Result<T, Fault>) -> Result<T, Fault> {
        if slot.decides && matches!(result, Err(Fault::Late(_))) {
            self.away.store(true, Ordering::Release);
        }
        result
    }

    /// The connection of a slot.
    pub fn client(&self, slot: &Slot, probe: bool) -> Result<Arc<Line>, Fault> {
        if self.away.load(Ordering::Acquire) && !probe {
            return Err(Fault::Away);
        }
        if let Some(line) = slot.get() {
            return Ok(line);
        }
        let (config, tls, statements) = (self.config.clone(), self.tls.clone(), slot.statements);
        let handle = self.handle.clone();
        let migrated = self.migrated.load(Ordering::Acquire);
        let open = async move {
            let (client, connection) = config.connect(tls).await?;
            // It ends when the client is dropped; its error is that of the call which was under way.
            handle.spawn(async move { drop(connection.await) });
            let line = Line { client, statements: Mutex::default() };
            line.batch_execute(SESSION).await?;
            let current = migrated || schema::is_current(&line).await?;
            Ok((Arc::new(line), current))
        };
        let (line, current) = self.heard(slot, self.wait(CALL_MAX, open))?;
        if !current {
            let made = Arc::clone(&line);
            self.heard(slot, self.wait(OPEN_MAX, async move { schema::migrate(&made).await }))?;
        }
        let warm = Arc::clone(&line);
        let prepare = async move {
            let all = statements();
            try_join_all(all.iter().map(|sql| warm.statement(sql))).await.map(drop)
        };
        self.heard(slot, self.wait(CALL_MAX, prepare))?;
        self.migrated.store(true, Ordering::Release);
        slot.set(Some(Arc::clone(&line)));
        Ok(line)
    }

    /// One call on a slot's connection, which is thrown away when it fails.
    pub fn call<T, F>(&self, slot: &Slot, most: Duration, work: impl FnOnce(Arc<Line>) -> F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let client = self.client(slot, false)?;
        let result = self.heard(slot, self.wait(most, work(client)));
        if result.is_err() {
            slot.set(None);
        }
        result
    }

    /// The same, within the time that every call has.
    pub fn ask<T, F>(&self, slot: &Slot, work: impl FnOnce(Arc<Line>) -> F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.call(slot, CALL_MAX, work)
    }

    /// A call that is made though the database did not answer before; what comes of it is what the others go by.
    pub fn probe<T, F>(&self, slot: &Slot, work: impl FnOnce(Arc<Line>) -> F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let begun = (self.stopwatch)();
        let result = self.client(slot, true).and_then(|client| self.wait(CALL_MAX, work(client)));
        let took = (self.stopwatch)().saturating_sub(begun);
        match &result {
            // One that answers slowly would keep everybody waiting for every commit.
            Ok(_) if took < PROMPT => self.away.store(false, Ordering::Release),
            Ok(_) => {}
            Err(fault) => {
                slot.set(None);
                if matches!(fault, Fault::Late(_)) || matches!(fault, Fault::Db(error) if error.as_db_error().is_none())
                {
                    self.away.store(true, Ordering::Release);
                }
            }
        }
        result
    }

    /// What a fault means, in the words of this room.
    pub fn meaning(&self, fault: Fault) -> PersistError {
        let path = self.place.clone();
        let io = |path, words: String| PersistError::Io { path, source: words.into() };
        match fault {
            Fault::Late(most) => io(path, format!("no answer within {} s", most.as_secs())),
            Fault::Away => io(path, "it does not answer".to_owned()),
            Fault::Unheld => io(path, "the lease is not held".to_owned()),
            Fault::Newer { found, known } => PersistError::Newer { path, found, known },
            Fault::Lease(holder) => PersistError::Lease { path, holder },
            Fault::Damaged(what) => PersistError::Damaged { path, what },
            Fault::Db(error) => match error.code() {
                Some(code) if *code == SqlState::DISK_FULL => PersistError::Full { path },
                Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => PersistError::ReadOnly { path },
                Some(code) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
                    PersistError::Busy { path }
                }
                Some(code) if is_refusal(code) => PersistError::Refused { path, why: chain(&error) },
                _ => io(path, chain(&error)),
            },
        }
    }
}

/// Whether an answer says that this process will not be let in, however often it asks: a wrong password, no such
/// database, a right that is missing.
fn is_refusal(code: &SqlState) -> bool {
    code.code().starts_with("28") || [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
}

impl Drop for Wire {
    /// It may be dropped where nothing may wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Host, port and database as a URL without user and password.
fn place(config: &Config) -> PathBuf {
    use tokio_postgres::config::Host;
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let port = config.get_ports().get(at).or_else(|| config.get_ports().first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    let name = config.get_dbname().or_else(|| config.get_user()).unwrap_or_default();
    PathBuf::from(format!("postgres://{}/{name}", hosts.join(",")))
}
