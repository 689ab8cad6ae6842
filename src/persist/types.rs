//! The plain values that go into and come out of [`super::Persist`].

use std::collections::BTreeMap;

use super::{NewHistory, PersistError};
use crate::model::Timestamp;

/// What a record is about. The names are stored: a new kind is added, none is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The readings of the clock at the last slot.
    Clock,
    /// One rule.
    Rule,
    /// One alert.
    Alert,
    /// One detector.
    Detector,
    /// One group of notices.
    Group,
    /// What handlers know of one alert.
    Told,
    /// What was told by a fallback handler.
    Fallback,
    /// One silence.
    Silence,
    /// One acknowledgement.
    Ack,
    /// One alert that another program reported.
    Received,
    /// One handler.
    Handler,
    /// Anything there is one of.
    Setting,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Clock,
        Self::Rule,
        Self::Alert,
        Self::Detector,
        Self::Group,
        Self::Told,
        Self::Fallback,
        Self::Silence,
        Self::Ack,
        Self::Received,
        Self::Handler,
        Self::Setting,
    ];

    /// The name that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Rule => "rule",
            Self::Alert => "alert",
            Self::Detector => "detector",
            Self::Group => "group",
            Self::Told => "told",
            Self::Fallback => "fallback",
            Self::Silence => "silence",
            Self::Ack => "ack",
            Self::Received => "received",
            Self::Handler => "handler",
            Self::Setting => "setting",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One small keyed piece of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// Unique within its kind.
    pub id: String,
    /// JSON.
    pub value: String,
}

/// What is stored in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Records that are new or changed.
    pub put: Vec<Record>,
    /// Records that are no more; one that is not there is no error.
    pub delete: Vec<(Kind, String)>,
    /// Notices to deliver, in their order.
    pub notices: Vec<NewNotice>,
    /// What happened.
    pub history: Vec<NewHistory>,
    /// Whether to return only when it, and all before it, would survive a power cut. Otherwise it survives the end of
    /// the process, however that ends.
    pub durable: bool,
}

/// A notice for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// Stable identity; of two with the same id the second is ignored.
    pub id: String,
    /// Who delivers it.
    pub handler: String,
    /// Notices of one group are told in order.
    pub group_key: String,
    /// When it came to be.
    pub created: Timestamp,
    /// JSON.
    pub payload: String,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Number of the transaction.
    pub seq: u64,
    /// Ids of notices that were already there and were ignored.
    pub duplicates: Vec<String>,
    /// Ids of notices refused because the outbox holds [`super::OUTBOX_ROWS_MAX`] rows.
    pub refused: Vec<String>,
    /// History rows refused because [`super::STAGED_ROWS_MAX`] wait to be moved.
    pub history_refused: u64,
}

/// All records, and the outbox if that is to be replaced as well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Everything {
    /// All records.
    pub records: Vec<Record>,
    /// The whole outbox; none leaves it as it is.
    pub outbox: Option<Vec<OutboxRow>>,
}

/// Whether a notice waits or is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboxState {
    /// To be delivered.
    Pending,
    /// Given up; kept until somebody decides.
    Dead,
}

impl OutboxState {
    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Dead].into_iter().find(|state| state.as_str() == name)
    }
}

/// A notice in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Stable identity.
    pub id: String,
    /// Its place in the order of all notices.
    pub position: u64,
    /// Who delivers it.
    pub handler: String,
    /// Notices of one group are told in order.
    pub group_key: String,
    /// When it came to be.
    pub created: Timestamp,
    /// JSON.
    pub payload: String,
    /// Waiting or given up.
    pub state: OutboxState,
    /// Attempts that failed.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Timestamp,
    /// The run of the process that began to deliver it and has not said how that ended.
    pub claimed_by: Option<String>,
    /// Whether an attempt may have reached its receiver though nothing confirmed it.
    pub maybe_sent: bool,
    /// Why the last attempt failed, or why it was given up.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
}

/// How one delivery ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The notice.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: SettledAs,
    /// The payload from now on, where it changed.
    pub payload: Option<String>,
    /// Notices that take its place.
    pub notices: Vec<NewNotice>,
    /// Records that change with it.
    pub put: Vec<Record>,
    /// History rows stored with it, if the notice is there.
    pub history: Vec<NewHistory>,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettledAs {
    /// Confirmed: the row is removed.
    Delivered,
    /// Told with another notice: the row is removed.
    Merged,
    /// Not tried; it tells something else from now on.
    Changed,
    /// To be tried again.
    Failed {
        /// Why.
        error: String,
        /// Not before.
        next_attempt: Timestamp,
        /// Whether it may have arrived all the same.
        maybe_sent: bool,
    },
    /// Given up.
    Dead {
        /// Why.
        reason: String,
    },
}

/// Which rows of the outbox to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxQuery {
    /// Of one handler.
    pub handler: Option<String>,
    /// In one state.
    pub state: Option<OutboxState>,
    /// At most so many, and at most [`super::PAGE_ROWS_MAX`]; 0 asks for that.
    pub limit: usize,
    /// Behind this position, for the next page.
    pub after: Option<u64>,
}

impl OutboxQuery {
    /// Rows of a page.
    pub fn rows(&self) -> usize {
        if self.limit == 0 { super::PAGE_ROWS_MAX } else { self.limit.min(super::PAGE_ROWS_MAX) }
    }

    /// Whether a row is asked for, the limit aside.
    pub(super) fn wants(&self, row: &OutboxRow) -> bool {
        self.handler.as_ref().is_none_or(|handler| *handler == row.handler)
            && self.state.is_none_or(|state| state == row.state)
            && self.after.is_none_or(|after| row.position > after)
    }
}

/// Which dead rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These.
    Ids(Vec<String>),
    /// All of one handler.
    Handler(String),
}

/// Something stored that could not be used as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, by its name in the directory.
    pub file: String,
    /// The table, if one is known.
    pub table: Option<&'static str>,
    /// What the record was about, if that can be read.
    pub id: Option<String>,
    /// What was found and what came of it, in plain words.
    pub what: String,
    /// Whether something is lost for good.
    pub lost: bool,
}

/// All that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The records of each kind, by id.
    pub records: BTreeMap<Kind, Vec<Record>>,
    /// Notices to deliver, by position. Those that an earlier run claimed have `maybe_sent`.
    pub outbox: Vec<OutboxRow>,
    /// What was found damaged when the store was opened, at most [`Loaded::DAMAGES_MAX`] of it.
    pub damages: Vec<Damage>,
    /// How much was found damaged.
    pub damages_count: u64,
    /// Whether the copy was used instead of the file.
    pub restored_from_mirror: bool,
    /// Records of kinds that this version does not know; they are kept.
    pub unknown: u64,
}

impl Loaded {
    /// Most damages that are listed.
    pub const DAMAGES_MAX: usize = 100;
}

/// What one batch moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Rows moved.
    pub rows: u64,
    /// Whether more wait and can be moved now.
    pub more: bool,
}

/// What upkeep found and did.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// The state was made anew or may have lost commits: the caller should call [`super::Persist::rewrite`].
    pub rewritten: bool,
    /// The copy of the state was made anew.
    pub mirror_rebuilt: bool,
    /// The ballast is back: the disk has space again.
    pub ballast_restored: bool,
    /// The history was deleted or replaced under us and begins anew.
    pub history_lost: bool,
    /// Damage found on the way.
    pub damages: Vec<Damage>,
    /// Why commits fail at present.
    pub trouble: Option<PersistError>,
}
