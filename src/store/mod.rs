//! Where samples are kept: the store inside the process, and what of it outlives the process.
//!
//! Place in the flow: `ingest` hands batches in, `promql` reads through [`crate::promql::Source`]. Nothing here decides
//! what a sample means, and nothing here reads a clock.

pub mod durable;
pub mod embedded;

pub use embedded::{AppendStats, EmbeddedStore, SeriesRef, StoreOptions};
