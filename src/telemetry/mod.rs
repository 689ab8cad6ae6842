//! How the process, or a program that embeds the library, tells about itself: metrics registry and logging.
//!
//! Place in the flow: beside it. Every room may hold handles of the [`Registry`]; the app writes it out at `/metrics`
//! and feeds it to the embedded store so that alerts can be written on alertd's own metrics.
//! Never decides anything and never blocks its caller.

pub mod cells;
pub mod facade;
pub mod logging;
pub mod outlet;
pub mod registry;
pub mod text;
pub mod trace_id;

pub use crate::model::visible;
pub use cells::{Counter, Gauge, Histogram};
pub use facade::MetricsRecorder;
pub use logging::{LogFormat, LogGuard, LogOptions};
pub use registry::{DEFAULT_BUCKETS, Limits, Registry};
pub use text::TextFormat;
pub use trace_id::{TraceId, TraceIds};
