//! Ways in: one protocol per file, each turns bytes into samples.
//!
//! Place in the flow: before `store`. The parsers are pure: bytes and options in, a [`Batch`] or errors with line and
//! column out; they open nothing and read no clock. A bad line costs itself and not its neighbours.

pub mod batch;
pub mod cache;
pub mod csv;
pub mod data_file;
pub mod error;
pub mod exposition;
pub mod host;
pub mod jsonl;
pub mod limits;
pub mod metadata;
pub mod remote_write;
pub mod scrape;
pub mod scrape_loop;
pub mod scrape_sd;
pub mod text;
pub mod textfile;
pub mod time;

pub use batch::{Batch, Row};
pub use cache::ScrapeCache;
pub use data_file::{DataFileOptions, data_file};
pub use error::{IngestError, IngestErrors};
pub use exposition::Dialect;
pub use metadata::{Metadata, MetricKind};
