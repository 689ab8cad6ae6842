//! Where samples are: the store inside the process, what of it outlives the process, and stores elsewhere that are asked
//! over HTTP.
//!
//! Place in the flow: `ingest` hands batches to [`embedded`], `promql` reads it through [`crate::promql::Source`];
//! [`remote`] answers whole queries. Nothing here decides what a sample means, and nothing here reads a clock.

pub mod durable;
pub mod embedded;
pub mod remote;

pub use embedded::{AppendStats, EmbeddedStore, SeriesRef, StoreOptions};
