//! Wiring: what connects the rooms, for the daemon and for the commands that check.

pub mod agenda;
pub mod api;
pub mod builtin;
pub mod collect;
pub mod daemon;
pub mod dry_run;
pub mod handlers;
pub mod heartbeat;
pub mod hub;
pub mod keeper;
pub mod load;
pub mod lock;
pub mod outbox;
pub mod own_metrics;
pub mod rule_tests;
pub mod scraping;
pub mod send_test;
pub mod threads;
pub mod tls;
pub mod upkeep;
pub mod views;

#[cfg(test)]
mod tests;
