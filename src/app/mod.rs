//! Wiring: what connects the rooms, for the daemon and for the commands that check.

pub mod ack_links;
pub mod acking;
mod acks_api;
pub mod agenda;
pub mod api;
pub mod builtin;
pub mod collect;
pub mod daemon;
pub mod doctor;
pub mod doubts;
pub mod dry_run;
pub mod handlers;
pub mod heartbeat;
pub mod hub;
pub mod keeper;
pub mod load;
pub mod lock;
pub mod measure;
pub mod outbox;
pub mod own_metrics;
pub mod pressure;
pub mod queries;
mod recorded;
pub mod records_api;
pub mod reloads;
pub mod remote;
pub mod remote_write;
mod routes;
pub mod rule_page;
pub mod rule_tests;
pub mod samples;
pub mod scraping;
pub mod send_test;
pub mod silencing;
pub mod start;
pub mod threads;
pub mod unit_tests;
mod unsure;
pub mod upkeep;
pub mod views;
pub mod waiting;

#[cfg(test)]
mod tests;
