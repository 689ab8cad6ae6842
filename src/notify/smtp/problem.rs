//! What can go wrong in a delivery, and whether it may go better later.

use super::settings::Settings;
use super::wire::{Reply, WireError};
use crate::notify::handler::FailureClass;

/// Why a delivery ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub class: FailureClass,
    /// In words, free of secrets.
    pub message: String,
    /// Whether trying again cannot help.
    pub never: bool,
}

impl Problem {
    /// It may work later.
    pub fn later(class: FailureClass, message: String) -> Self {
        Self { class, message, never: false }
    }

    /// It will never work.
    pub fn never(class: FailureClass, message: String) -> Self {
        Self { class, message, never: true }
    }
}

/// The connection gave no reply.
pub(super) fn broke(error: &WireError, settings: &Settings) -> Problem {
    Problem::later(FailureClass::Network, settings.harmless(&error.to_string()))
}

/// A reply that is none to go on with. 4xx: not now (RFC 5321 4.2.1); 5xx: never; another one answers another question.
pub(super) fn negative(reply: &Reply, settings: &Settings) -> Problem {
    let words = settings.harmless(&reply.words());
    match reply.code / 100 {
        5 => Problem::never(FailureClass::ClientError, words),
        4 => {
            let lower = words.to_ascii_lowercase();
            let asks = ["rate", "too many", "throttl", "4.7.28", "4.3.2"];
            let slower = asks.iter().any(|word| lower.contains(word));
            Problem::later(if slower { FailureClass::RateLimited } else { FailureClass::ServerError }, words)
        }
        _ => Problem::later(FailureClass::ServerError, format!("the answer fits nothing that was asked: {words}")),
    }
}
