//! Proves delivery from outside: the real `alertd`, receivers that fail in every way, kills at any instant, disks that
//! fill up. What is told is compared with what the process itself stored in its history.
//!
//! Everything waits for conditions up to a deadline; nothing is asserted about how fast a slow machine is, but where the
//! manual promises a time.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[allow(dead_code, reason = "the crate that it is from uses the rest")]
#[path = "../blackbox/exporter.rs"]
mod exporter;
#[allow(dead_code, reason = "the crate that it is from uses the rest")]
#[path = "../blackbox/http.rs"]
mod http;
#[allow(dead_code, reason = "the crate that it is from uses the rest")]
#[path = "../blackbox/kit.rs"]
mod kit;
#[path = "../blackbox/smtp_server.rs"]
mod smtp_server;

mod acks;
mod crash;
mod device;
mod disk;
mod ends;
mod escalation;
mod history;
mod inhibition;
mod kills;
mod limits;
mod moved;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../peers/postgres.rs"]
mod postgres;
mod received;
mod receivers;
mod replicas;
mod restarts;
mod rotations;
mod routing;
mod samples;
mod secrets;
mod setup;
mod shutdown;
mod sink;
mod timers;
