//! Groups: alerts that are one message.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AlertKey, Route};
use crate::model::time::millis;
use crate::model::{GroupRef, Labels};

/// What makes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Equal values of these labels; of none: all alerts are one group.
    Labels(Vec<String>),
    /// Every label: each alert is a group of its own (`...`).
    All,
}

impl GroupBy {
    /// From names as they are written; `...` among them stands for all.
    pub fn from_names(names: &[String]) -> Self {
        if names.iter().any(|name| name == "...") { Self::All } else { Self::Labels(names.to_vec()) }
    }

    /// In words: two routes with the same words group alike.
    pub(super) fn words(&self) -> String {
        match self {
            Self::All => "...".to_owned(),
            Self::Labels(names) => names.join(","),
        }
    }

    pub(super) fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
        }
    }
}

/// A group and its timers; times are on the elapsed clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    /// Key and labels.
    #[serde(flatten)]
    pub of: GroupRef,
    /// Counts the groups from the beginning: those due at one instant flush in the order in which they began.
    pub number: u64,
    /// The path of the route that made it.
    #[serde(default = "no_path")]
    pub route: Arc<str>,
    /// By what that route grouped ([`GroupBy::words`]).
    pub by: String,
    /// Who is told of it.
    pub handlers: Vec<Arc<str>>,
    /// Its alerts.
    pub members: BTreeSet<AlertKey>,
    /// Whether `group_wait` is over.
    pub begun: bool,
    /// When it is looked at next.
    pub due_ms: Option<i64>,
    /// When news of it went out last.
    pub flushed_ms: Option<i64>,
}

impl Group {
    /// One without alerts.
    pub fn new(of: GroupRef, number: u64, (route, by): (Arc<str>, String)) -> Self {
        Self {
            of,
            number,
            route,
            by,
            handlers: Vec::new(),
            members: BTreeSet::new(),
            begun: false,
            due_ms: None,
            flushed_ms: None,
        }
    }

    /// When news of it that is there now is told: a new group waits for more, one that was told rests a while.
    pub fn news_due_ms(&self, route: &Route, now_ms: i64) -> i64 {
        match (self.begun, self.flushed_ms) {
            (false, _) => self.due_ms.unwrap_or_else(|| now_ms.saturating_add(millis(route.group_wait))),
            (true, Some(flushed)) => now_ms.max(flushed.saturating_add(millis(route.group_interval))),
            (true, None) => now_ms,
        }
    }
}

/// The route of groups of the time when there was only one; found from the key when they are restored.
fn no_path() -> Arc<str> {
    Arc::from("")
}
