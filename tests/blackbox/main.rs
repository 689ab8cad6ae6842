//! Drives the real `alertd` from outside: its command line, its streams, its HTTP API, its signals and its files.
//!
//! Nothing of the library is used here. What is expected comes from the documented interfaces alone, so these tests
//! hold whatever the inside looks like.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod alertmanager_yml;
mod amtool;
mod clock;
mod daemon;
mod dns;
mod dry_run;
mod equal;
mod exporter;
mod history;
mod holidays;
mod hostile;
mod http;
mod kit;
mod manual;
mod memory;
mod outbox;
mod prometheus_api;
mod prometheus_rules;
mod readme;
mod reload;
mod remote;
mod remote_write;
mod scrape;
mod scripts;
mod silence_page;
mod silences;
mod smtp;
mod smtp_server;
mod storm;
mod webhook;
mod why;
