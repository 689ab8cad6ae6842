//! What is told to people, and why something is not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Timestamp, Transition};

/// Why a transition is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// The state is of no interest to receivers (pending, cancelled, data back).
    NotNotable,
    /// The last firing notice of this alert is younger than `cooldown`; told later if it still fires then.
    Cooldown,
    /// The firing notice was never sent, so there is nothing to take back.
    NeverTold,
    /// Severity below the handler's `min_severity`.
    BelowMinSeverity,
    /// The handler does not want resolved notices.
    SendResolvedOff,
}

impl HeldReason {
    /// The words shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNotable => "not notable",
            Self::Cooldown => "cooldown",
            Self::NeverTold => "firing was never told",
            Self::BelowMinSeverity => "below min_severity",
            Self::SendResolvedOff => "send_resolved is off",
        }
    }
}

/// Whether a transition goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is told.
    Tell,
    /// It is not.
    Held {
        /// Why.
        reason: HeldReason,
        /// When it will be told if the alert still fires.
        until: Option<Timestamp>,
    },
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The alert fires (for the first time, again after a cooldown, or at another level).
    Firing,
    /// The alert no longer fires.
    Resolved,
}

/// One message for one handler: a row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable identity: a hash of rule uid, fingerprint, transition sequence and handler; 32 hex digits. Sent along so
    /// that a receiver can tell a repeated delivery from a new message.
    pub id: String,
    /// The handler it is for.
    pub handler: Arc<str>,
    /// What it says.
    pub kind: NoticeKind,
    /// The transitions it tells of; never empty.
    pub transitions: Vec<Arc<Transition>>,
}
