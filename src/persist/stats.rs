//! Counts for metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::OutboxState;
use crate::model::Timestamp;

/// What happened since the store was opened, and how it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Transactions that were stored.
    pub commits: u64,
    /// Time spent in them, failed ones included.
    pub commit_time: Duration,
    /// Failed calls by cause, see [`super::PersistError::cause`].
    pub failures: BTreeMap<&'static str, u64>,
    /// Records found damaged and not used.
    pub quarantined: u64,
    /// Rows of the outbox.
    pub outbox: Vec<OutboxCount>,
    /// Notices refused because the outbox was full.
    pub outbox_refused: u64,
    /// Notices that had been given up and were removed for their number or age.
    pub dead_dropped: u64,
    /// Bytes of each file, write-ahead logs included.
    pub bytes: BTreeMap<&'static str, u64>,
    /// Whether the file that is given up when the disk is full is there.
    pub ballast: bool,
    /// Whether the disk was found full and has not recovered.
    pub short: bool,
    /// Whether the copy of the state is up to date.
    pub mirrored: bool,
    /// History rows that wait to be moved.
    pub history_staged: u64,
    /// History rows moved.
    pub history_moved: u64,
    /// History rows removed for their age or number.
    pub history_cleaned: u64,
    /// History rows refused because too many waited.
    pub history_refused: u64,
}

/// Rows of the outbox of one handler and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxCount {
    /// The handler.
    pub handler: String,
    /// Waiting or dead.
    pub state: OutboxState,
    /// How many.
    pub rows: u64,
    /// When the oldest was created.
    pub oldest: Timestamp,
}
