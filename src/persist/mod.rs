//! What must outlive the process: alert state, silences, the outbox and the history, behind one trait.
//!
//! Place in the flow: `app` commits here what one slot changed and what it has to tell, in one transaction, and only then
//! delivers. [`SqlitePersist`] keeps it in a directory, [`PostgresPersist`] in a database that several processes share,
//! [`MemoryPersist`] in memory. Payloads are JSON texts which this
//! room never looks into; it knows no rule and no notice, and reads no clock.

mod error;
mod history;
mod memory;
mod plan;
mod postgres;
pub(crate) mod sqlite;
mod stats;
mod types;

#[cfg(test)]
mod tests;

pub use error::{OpenError, PersistError};
pub use history::{
    Cursor, HistoryKind, HistoryPage, HistoryQuery, HistoryRow, LabelMatch, MatchError, NewHistory, SeverityFilter,
};
pub use memory::MemoryPersist;
pub use postgres::{Address, Ask, Beat, Glance, Holder, PostgresPersist};
pub use sqlite::{Options, SqlitePersist, Stopwatch};
pub use stats::{OutboxCount, Stats};
pub use types::{
    Commit, Committed, Damage, Everything, Kind, Loaded, Moved, NewNotice, OutboxQuery, OutboxRow, OutboxState, Record,
    Settled, SettledAs, Upkeep, Which,
};

use crate::model::Timestamp;

/// Most rows of the outbox, waiting and dead; above it [`Persist::commit`] refuses notices and names them.
pub const OUTBOX_ROWS_MAX: u64 = 200_000;
/// Most notices of one handler that were given up and are kept; above it the oldest are removed and counted.
pub const DEAD_ROWS_MAX: usize = 10_000;
/// Most history rows that wait for [`Persist::move_history`]; above it new ones are refused and counted.
pub const STAGED_ROWS_MAX: u64 = 100_000;
/// Most rows that one history query looks at; a query that reaches it says so and can be continued.
pub const SCANNED_ROWS_MAX: u64 = 100_000;
/// Most rows of one page, of the outbox or the history.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// Durable state, outbox and history.
///
/// All calls may come from any thread. Those that write state (`commit`, `rewrite`, `claim`, `settle`, `retry`,
/// `discard`) are one short transaction each: after an error nothing of them is stored, and the same call with the same
/// or more content may be made again. Reading and the upkeep of the history never make them wait.
pub trait Persist: Send + Sync {
    /// All that is stored, as of the last commit. Damage found when the store was opened is told here.
    fn load(&self) -> Result<Loaded, PersistError>;

    /// Stores what one slot changed and what it has to tell.
    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError>;

    /// Replaces all records (of the kinds known) and, if given, the outbox: after [`Upkeep::rewritten`].
    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError>;

    /// Marks waiting rows of the outbox as in flight in this run of the process; gives how many there were. A row that
    /// is still claimed when it is next loaded may have been sent. Not synced to disk.
    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError>;

    /// Stores how deliveries ended, with their history rows; gives how many of the rows were there. With `durable` it
    /// is synced to disk, else a power cut may undo it and the notice is sent again, under the same id.
    fn settle(&self, settled: &[Settled], durable: bool) -> Result<usize, PersistError>;

    /// Rows of the outbox in the order of their position.
    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError>;

    /// Makes dead rows wait again, to be tried from `at` on; gives how many.
    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError>;

    /// Removes rows of the outbox undelivered and stores why; gives how many there were.
    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError>;

    /// Removes rows that were given up before `older_than`, with why in the history; gives how many. Works in small
    /// batches: call until it gives 0.
    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError>;

    /// Moves one batch of history rows to where they stay. Call until [`Moved::more`] is false.
    fn move_history(&self, now: Timestamp) -> Result<Moved, PersistError>;

    /// One page of the history, newest first.
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError>;

    /// Removes history from before `older_than`, and the oldest rows above `rows_max`; gives how many rows. Works in
    /// small batches; commits go on meanwhile.
    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError>;

    /// Removes rows about evaluations from before `older_than`; gives how many rows. Works in small batches.
    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError>;

    /// Repairs what can be repaired while running; to be called every ten seconds or so.
    fn upkeep(&self, now: Timestamp) -> Upkeep;

    /// Counts for metrics.
    fn stats(&self) -> Stats;
}
