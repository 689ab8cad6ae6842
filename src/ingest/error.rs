//! Errors of the parsers: where and why.

use thiserror::Error;

use super::limits::ERRORS_MAX;

/// What is wrong with one line of input.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {reason}")]
pub struct IngestError {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// Why, in lower case, with what to do where that helps.
    pub reason: String,
}

impl IngestError {
    /// An error at a line (from 1) and a byte offset in it (from 0).
    pub fn new(line: usize, offset: usize, reason: impl Into<String>) -> Self {
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: clip(line), column: clip(offset.saturating_add(1)), reason: reason.into() }
    }
}

/// The errors of one input: the first [`ERRORS_MAX`] in full, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestErrors {
    /// The first ones.
    pub first: Vec<IngestError>,
    /// All of them.
    pub total: usize,
}

impl IngestErrors {
    /// Adds an error.
    pub fn push(&mut self, error: IngestError) {
        self.total += 1;
        if self.first.len() < ERRORS_MAX {
            self.first.push(error);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}
