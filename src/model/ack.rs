//! That somebody looks after an alert, and what handlers are told when an alert becomes quiet.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Somebody looks after a firing alert: it is not told again until it is over, worse, or the time has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who.
    pub by: Arc<str>,
    /// What they say; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub comment: Arc<str>,
    /// When they said so.
    pub at: Timestamp,
    /// Until when, if not until the alert is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Ack {
    /// Whether it holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// In words: who, and what they say.
    pub fn words(&self) -> String {
        if self.comment.is_empty() { self.by.to_string() } else { format!("{}: {}", self.by, self.comment) }
    }
}

/// What a handler is told when an alert that it was told of becomes muted: by a silence, another alert, a time interval
/// or an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMute {
    /// Nothing; it is told when the alert is over.
    #[default]
    Nothing,
    /// That it is resolved, and why; and that it fires when that ends.
    Resolve,
    /// That it is acknowledged, in the receiver's own terms.
    Ack,
}
