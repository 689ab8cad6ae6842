//! alertd: an alerting engine in one binary and one library.

pub mod app;
pub mod clock;
pub mod config;
pub mod detect;
pub mod diag;
pub mod embed;
pub mod engine;
pub mod eval;
pub mod http;
pub mod ingest;
pub mod model;
pub mod notify;
pub mod promql;
pub mod route;
pub mod rule;
pub mod schedule;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod yaml;
