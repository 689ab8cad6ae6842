//! alertd: an alerting engine in one binary and one library.
//!
//! It keeps metrics in a store of its own, evaluates rules over them on a schedule (thresholds, expressions, PromQL,
//! anomalies), keeps the state of every alert, and tells people what changed. The binary is a daemon for a machine or a
//! fleet; the library puts the same engine into a Rust program, where the program's own metrics are the input and a
//! closure or channel is told:
//!
//! ```
//! use alertd::embed::{Monitor, Timestamp};
//!
//! let monitor = Monitor::builder()
//!     .rules_text("jobs.yaml", "rules: [{name: jobs_waiting, metric: app.jobs_waiting, threshold: '> 10'}]")
//!     .on_notice("ops", |notice| assert_eq!(&*notice.transitions[0].alert.rule, "jobs_waiting"))
//!     // `.start()` evaluates by itself, by the system's clock; a stepped monitor does so when it is told to.
//!     .stepped(Timestamp::from_secs(0))?;
//!
//! let waiting = monitor.gauge("app.jobs_waiting", &[("queue", "mail")]);
//! waiting.set(12.0);
//! monitor.step(Timestamp::from_secs(15));
//! assert_eq!(monitor.alerts()[0].labels.get("queue"), Some("mail"));
//! # Ok::<(), alertd::embed::BuildError>(())
//! ```
//!
//! [`embed`] is the interface for programs; `docs/library.md` and `examples/embed.rs` show more of it. The other rooms
//! are public because the daemon, its tools and its tests are made of them; they may change between versions.
//!
//! # The way of the data
//!
//! ```text
//! config ─► ingest ─► store ─► schedule ─► eval (promql · detect) ─► state ─► route ─► notify
//!            Sample    Series     Slot         Outcome              Transition  Notice   Outcome
//! ```
//!
//! No stage calls the next: each takes values and returns values, and only [`app`] and [`embed`] connect them. From
//! `schedule` to `route` everything is pure: `now` is an argument, nothing is read or sent, and the same input gives the
//! same output in the daemon, in a dry run and in a test.
//!
//! # Rooms
//!
//! Each line may use what stands below it.
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`] | the commands of the binary, one file each |
//! | [`embed`] | the library for programs: builder, monitor, stepped monitor |
//! | [`app`] | wiring: the daemon, loading and reloading, the evaluator, the outbox, own metrics |
//! | [`http`] | the HTTP API and the page |
//! | [`ingest`] | bytes to samples: exposition text, JSON lines, CSV, textfiles, scraping, the host |
//! | [`store`] | samples in memory, compressed, found by labels |
//! | [`persist`] | state, outbox and history that outlive the process |
//! | [`net`] | what the clients over HTTP share |
//! | [`notify`] | handlers, and the words of messages |
//! | [`config`] | `alertd.yaml` and handler files; finding, reading and watching files |
//! | [`engine`] | rules and their state as one object with one step |
//! | [`route`] | which transition is told to whom, and why not |
//! | [`state`] | the alert state machine |
//! | [`received`] | alerts that other programs report |
//! | [`eval`] | what a rule sees at one slot: values, nothing, parts, or an error |
//! | [`rule`] | the rule model and the reader of rule files |
//! | [`detect`] | what is unusual: streaming detectors |
//! | [`promql`] | parser, plan and evaluator of PromQL |
//! | [`template`] | the template language of messages |
//! | [`schedule`] | intervals and cron; slots, never sleeping |
//! | [`telemetry`] | metrics registry and logging of the process |
//! | [`yaml`] | YAML with positions, checked against key tables |
//! | [`diag`] | findings about files and their renderers |
//! | [`model`] | labels, samples, alerts, transitions, notices, time |
//! | [`clock`] | the only reader of the system's time |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod detect;
pub mod diag;
pub mod embed;
pub mod engine;
pub mod eval;
pub mod http;
pub mod ingest;
pub mod lint;
pub mod model;
pub mod net;
pub mod notify;
pub mod persist;
pub mod promql;
pub mod received;
pub mod route;
pub mod rule;
pub mod schedule;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod yaml;

/// The manual's page about the library: its programs are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
pub struct LibraryPage;
