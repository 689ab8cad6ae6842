//! alertd inside another Rust program: record metrics in process, write rules, be told when they fire.
//!
//! Place in the flow: beside the daemon. A [`Monitor`] owns the same store, core, agenda and outbox as the daemon does;
//! only rules, samples and receivers come from the program instead of from files and sockets. It opens no port and
//! reads no file that it was not given.
//!
//! ```
//! use std::sync::mpsc;
//! use std::time::Duration;
//! use alertd::embed::{Monitor, NoticeKind, Timestamp};
//!
//! let (sender, notices) = mpsc::sync_channel(16);
//! // `start()` would evaluate on a thread of its own; here time goes by hand.
//! let monitor = Monitor::builder()
//!     .evaluation_interval(Duration::from_secs(1))
//!     .rules_text("queue.yaml", r#"
//! rules:
//!   - name: queue_too_long
//!     metric: app.queue_depth
//!     threshold: "> 100"
//!     for: 2s
//! "#)
//!     .channel("ops", sender)
//!     .stepped(Timestamp::from_secs(0))?;
//!
//! monitor.gauge("app.queue_depth", &[("queue", "mail")]).set(250.0);
//! monitor.run_until(Timestamp::from_secs(5));
//!
//! let notice = notices.try_recv()?;
//! assert_eq!(notice.kind, NoticeKind::Firing);
//! let alert = &notice.transitions[0].alert;
//! assert_eq!((&*alert.rule, alert.labels.get("queue"), alert.value), ("queue_too_long", Some("mail"), 250.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a program touches:
//!
//! - [`Monitor::builder`] takes rules, receivers and settings; [`MonitorBuilder::start`] runs on the system clock and a
//!   thread, [`MonitorBuilder::stepped`] gives a [`SteppedMonitor`] whose time is moved by hand, for tests.
//! - [`Monitor::counter`], [`Monitor::gauge`], [`Monitor::histogram`] give handles that record without locking;
//!   [`Monitor::install_recorder`] takes in what the macros of the `metrics` crate record; [`Monitor::push`] takes
//!   samples as they are.
//! - [`Monitor::alerts`], [`Monitor::query`] and [`Monitor::failing_rules`] say what is known.
//! - Dropping the monitor ends its threads and delivers what was already to be told.

mod builder;
mod heart;
mod monitor;
mod receivers;
mod rules;
mod stepped;
#[cfg(test)]
mod tests;

pub use builder::{BuildError, MonitorBuilder};
pub use monitor::{FailingRule, Monitor, RecorderError};
pub use rules::{Diagnostics, RuleSources};
pub use stepped::SteppedMonitor;

pub use crate::model::{
    Alert, AlertState, Labels, Notice, NoticeKind, Sample, Severity, Timestamp, Transition, TransitionKind,
};
pub use crate::notify::{ConsoleFormat, Handler};
pub use crate::promql::{QueryError, Value};
pub use crate::store::embedded::AppendStats;
pub use crate::telemetry::{Counter, Gauge, Histogram, MetricsRecorder, Registry};
