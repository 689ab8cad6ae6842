//! Stores elsewhere that evaluate PromQL themselves: Prometheus and whatever speaks its HTTP API.
//!
//! Place in the flow: the app hands in a [`Question`](crate::promql::Question) and gets an
//! [`Answer`], or why there is none. One query is one request; which queries are asked, when, and
//! what an error means for an alert is decided elsewhere. Never shows a secret: neither in errors nor in `Debug`.

mod body;
mod client;
mod counted;
mod decode;
#[cfg(test)]
mod hostile_tests;
mod settings;
#[cfg(test)]
mod tests;
mod write;

use thiserror::Error;

use crate::net::Scrub;
use crate::promql::{Answer, When};

pub use client::RemoteStore;
pub use decode::DECODED_FACTOR;
pub use settings::{Authorization, Settings};
pub use write::{RemoteWriter, WriteError, request};

/// Why a store gave no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RemoteError {
    /// The store is away, is broken, or is none: no query would be answered.
    #[error("{0}")]
    Store(String),
    /// The store works and does not carry out this query.
    #[error("{0}")]
    Query(String),
}

/// Reads the body of an answer of at most `bytes_max` bytes to a query, with its status.
pub fn decode(status: u16, body: &[u8], when: When, bytes_max: usize) -> Result<Answer, RemoteError> {
    decode::Reader { scrub: &Scrub::default(), bytes_max }.answer(status, body, when)
}

impl RemoteError {
    /// Whether it is the store, and not the query, that something is wrong with.
    pub fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}
