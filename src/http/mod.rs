//! The HTTP side: Prometheus-shaped API, imports, health, metrics, and the page at `/`.
//!
//! Place in the flow: it asks the app through the [`Api`] trait and touches no stage itself. It runs on a runtime of its
//! own, so that a thousand slow queries starve neither evaluation nor delivery.
//! Never answers another site's scripts (no CORS, cross-site changes refused, foreign `Host` refused on loopback).

pub mod acks;
pub mod alerting;
pub mod alertmanager;
pub mod api;
pub mod body;
pub mod csv;
pub mod error;
mod federate;
mod gate;
pub mod guard;
mod html;
pub mod kept;
mod lists;
pub mod openapi;
pub mod page;
pub mod params;
mod queries;
pub mod records;
pub mod remote_write;
pub mod routes;
pub mod server;
mod silence_form;
pub mod silence_page;
pub mod wire;

pub use acks::{Acks, LinkView, PostedAck, WithdrawnAck};
pub use alerting::{AlertGroup, AlertQuery, AlertStatus, AlertView, Alerting, PostedAlert, ReceiverView};
pub use api::{
    Answer, Answered, Api, GroupView, ImportFormat, Imported, InstantQuery, MetricAbout, Mutings, QueryStats,
    RangeQuery, Readiness, RuleView, SeriesQuery, Shedding, WriteFormat, Written,
};
pub use error::{ApiError, ErrorKind};
pub use records::{
    Chosen, HandlerStanding, HistoryPage, HistoryQuery, Matcher, MatcherSet, OnDuty, OutboxQuery, Past, PastRule,
    PostedSilence, Preview, Records, Recurring, SilenceQuery, SilenceStatus, SilenceView, SilenceWindow, Standing,
};
pub use routes::router;
pub use server::{ListenError, ServerOptions, serve};

#[cfg(test)]
mod tests;
