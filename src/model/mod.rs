//! Plain values that travel between the rooms: labels, samples, time, alerts, transitions, notices.
//!
//! Place in the flow: every arrow of `ARCHITECTURE.md` is one of these types. Nothing here does I/O or reads a clock.

pub mod ack;
pub mod alert;
pub mod duration;
pub mod escalation;
pub(crate) mod float;
pub mod histogram;
pub mod inhibit;
pub mod label_matcher;
pub mod labels;
pub mod notice;
pub mod renamed;
pub mod sample;
pub mod severity;
pub(crate) mod sum;
pub mod time;
pub mod varint;
pub mod visible;

pub use ack::{Ack, OnMute};
pub use alert::{AbsenceReason, Alert, AlertState, Origin, ResolveReason, Transition, TransitionKind};
pub use duration::{DurationError, format_duration, parse_duration};
pub use escalation::EscalationStep;
pub use histogram::{Histogram, SampleValue};
pub use inhibit::{EqualLabel, InhibitRule, InhibitSource};
pub use label_matcher::{LabelMatcher, MatchOp, MatcherError};
pub use labels::{Fingerprint, Labels, LabelsBuilder};
pub use notice::{GroupRef, Held, HeldReason, Muting, Notice, NoticeKind, NoticeReason};
pub use renamed::Renamed;
pub use sample::{
    HISTOGRAM_NAN, HistogramPoint, Point, SILENT_NAN, STALE_NAN, Sample, SeriesPoints, is_end_mark, is_histogram_mark,
    is_mark, is_silent_mark, is_stale,
};
pub use severity::Severity;
pub use time::{Now, Timestamp};
