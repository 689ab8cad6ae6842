//! What can be typed after `alertd`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::ack_args::AckArgs;
pub use super::check_args::{ChecksArgs, ExplainArgs};
use super::record_args::{HistoryArgs, OutboxCommand, SilenceCommand};
pub use super::starter_args::{DemoArgs, InitArgs, InitExtra};
use super::test_args::TestArgs;
pub use super::why_args::{RotationsArgs, RouteArgs, WhyArgs};
use crate::app::load::Sources;
use crate::model::Timestamp;

/// Exit codes of every command.
pub mod exit {
    /// Nothing to complain about.
    pub const CLEAN: u8 = 0;
    /// A bad rule, a failing test, or what `--fail-on` asks for.
    pub const FINDINGS: u8 = 1;
    /// A wrong option or a path that is not there.
    pub const USAGE: u8 = 2;
    /// A daemon or a data source could not be reached.
    pub const UNREACHABLE: u8 = 3;
}

/// Evaluates alert rules over metrics and tells people.
#[derive(Debug, Parser)]
#[command(
    name = "alertd",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = "`alertd rules/` runs the daemon on the folder rules/; `alertd rules` lists the rules of a running one.\n\
                  Exit codes: 0 clean, 1 findings, 2 wrong use, 3 a source could not be reached."
)]
pub struct Cli {
    /// Run the daemon, or check once with `--dry-run`.
    #[command(flatten)]
    pub run: RunArgs,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of the daemon and of `--dry-run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Rule files or folders [default: the configuration's rule_files, else rules/]
    #[arg(value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// Check, run the rules' tests, evaluate once and show what would be sent; sends nothing and writes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The files beside the rules.
    #[command(flatten)]
    pub beside: BesideArgs,
    /// Where state is kept [default: ./data]
    #[arg(long, value_name = "DIR", env = "ALERTD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:9097]
    #[arg(long, value_name = "ADDRESS", env = "ALERTD_LISTEN")]
    pub listen: Option<String>,
    /// Allow an address that others can reach; the API asks nobody for a password
    #[arg(long, env = "ALERTD_INSECURE_LISTEN")]
    pub insecure_listen: bool,
    /// error, warn, info, debug or trace, or a filter such as `alertd=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "ALERTD_LOG_LEVEL")]
    pub log_level: String,
    /// Form of the log on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "ALERTD_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// What a dry run looks at.
    #[command(flatten)]
    pub dry: DryRunArgs,
}

/// The configuration and the handlers of an installation.
#[derive(Args, Clone, Debug)]
pub struct BesideArgs {
    /// Server configuration; alertd.yaml is used if it exists
    #[arg(long, value_name = "FILE", env = "ALERTD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of handler files; handlers/ is used if it exists
    #[arg(long, value_name = "DIR", env = "ALERTD_HANDLERS")]
    pub handlers: Option<PathBuf>,
}

impl BesideArgs {
    /// Where to look, with rule files or folders that were named.
    pub fn sources(&self, rules: &[PathBuf]) -> Sources {
        Sources { rules: rules.to_vec(), config: self.config.clone(), handlers: self.handlers.clone() }
    }
}

/// Options of `--dry-run` alone.
#[derive(Args, Clone, Debug)]
pub struct DryRunArgs {
    /// Samples to evaluate on (.prom .txt .om .csv .jsonl, also .gz); folders and YAML files after it are taken as
    /// RULES [default: this host's metrics, measured now]
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "dry_run")]
    pub data: Vec<PathBuf>,
    /// Name of the metric in a CSV file of `timestamp,value`
    #[arg(long, value_name = "NAME", requires = "data")]
    pub metric: Option<String>,
    /// Ask a Prometheus-compatible store instead: its address, or the name of one of `stores` in the configuration
    #[arg(long, value_name = "URL", requires = "dry_run", conflicts_with = "data")]
    pub source: Option<String>,
    /// Instant of the evaluation: RFC 3339 or Unix seconds [default: the newest sample, else now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "dry_run")]
    pub at: Option<Timestamp>,
    /// Form of the result [default: text, or github where GITHUB_ACTIONS is set]
    #[arg(long, value_name = "FORMAT", requires = "dry_run")]
    pub output: Option<OutputFormat>,
    /// Also exit with 1 if an alert fires, or if there is a warning
    #[arg(long, value_name = "WHAT", requires = "dry_run")]
    pub fail_on: Vec<FailOn>,
    /// Also run checks that are house rules, by code or beginning of a code: A307,A308
    #[arg(long, value_name = "CODES", value_delimiter = ',', requires = "dry_run")]
    pub extend_select: Vec<String>,
    /// Leave out warnings, by code or beginning of a code: A227,A7
    #[arg(long, value_name = "CODES", value_delimiter = ',', requires = "dry_run")]
    pub ignore: Vec<String>,
}

impl DryRunArgs {
    /// Which checks run; what they know comes from the samples.
    pub fn checks(&self) -> ChecksArgs {
        ChecksArgs { data: Vec::new(), extend_select: self.extend_select.clone(), ignore: self.ignore.clone() }
    }
}

/// Reads a time as typed.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected RFC 3339 (2026-01-31T12:00:00Z) or Unix seconds".to_owned())
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Form of a checking command's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people: the place, the line, a caret, what to do.
    Text,
    /// One line per finding.
    Concise,
    /// One object.
    Json,
    /// GitHub workflow commands.
    Github,
    /// GitLab Code Quality.
    Gitlab,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit XML.
    Junit,
    /// Checkstyle XML.
    Checkstyle,
}

/// What makes a checking command exit with 1 besides errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// An alert fires.
    Firing,
    /// There is a warning.
    Warning,
}

/// Everything that is not the daemon.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnostics of rule, handler and configuration files; offline, but for --source
    Check(CheckArgs),
    /// Run the tests written beside rules, and unit-test files of promtool
    Test(TestArgs),
    /// Write the rules for others: as plain Prometheus rule files
    Export(ExportArgs),
    /// Evaluate a query on data files or a running daemon
    Query(QueryArgs),
    /// Run an anomaly detector over a data file, one row per sample
    Detect(DetectArgs),
    /// Alerts of a running daemon
    Alerts(ClientArgs),
    /// Rules of a running daemon
    Rules(ClientArgs),
    /// Look at handlers, names, certificates, disk, clock and limits; sends no message
    Doctor(DoctorArgs),
    /// Send a real test message through a handler; without a daemon
    SendTest(SendTestArgs),
    /// Say that somebody looks after alerts that fire: they are not told again until they are over or worse
    Ack(AckArgs),
    /// Silences of a running daemon: add, list, expire
    #[command(subcommand)]
    Silence(SilenceCommand),
    /// What happened, to alerts and to messages about them
    History(HistoryArgs),
    /// Messages of a running daemon that wait or were given up: list, retry, drop
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Why an alert was told or not at an instant: from its value to the answers of receivers
    Why(WhyArgs),
    /// Where an alert with some labels would go, when, and what the message would say
    Route(RouteArgs),
    /// Who is on duty in every rotation, and who comes next
    Rotations(RotationsArgs),
    /// What a diagnostic's code means, or what a rule does and when
    Explain(ExplainArgs),
    /// JSON Schema of a file format, for editors
    Schema {
        /// Which format
        kind: SchemaKind,
    },
    /// Write commented starter files into the current folder
    Init(InitArgs),
    /// Show a firing threshold and a firing anomaly on synthetic series
    Demo(DemoArgs),
    /// Check the signature of a webhook's request: exit code 0 if alertd made it, 1 if not
    VerifySignature(VerifySignatureArgs),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Rule, handler or configuration files, or folders [default: the configuration and what it names, else rules/]
    #[arg(value_name = "RULES")]
    pub paths: Vec<PathBuf>,
    /// Also look whether the metrics of the rules are in this Prometheus-compatible store: its address, or the name of one
    /// of `stores` in the configuration of --config
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Server configuration whose interval and stores hold for the rules, unless one is among RULES; alertd.yaml is used
    /// if it exists
    #[arg(long, value_name = "FILE", env = "ALERTD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Form of the result [default: text, or github where GITHUB_ACTIONS is set]
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
    /// Exit with 1 if there is a warning, too
    #[arg(long, value_name = "WHAT")]
    pub fail_on: Vec<FailOn>,
    /// Which checks run, and what they know.
    #[command(flatten)]
    pub checks: ChecksArgs,
    /// Mend what is certain, in the files
    #[arg(long)]
    pub fix: bool,
    /// Show what --fix changes. Alone it changes nothing, and exits with 1 if there is something
    #[arg(long)]
    pub diff: bool,
}

/// Options of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// For whom
    #[arg(value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Rule files or folders [default: the configuration's rule_files, else rules/]
    #[arg(value_name = "RULES")]
    pub paths: Vec<PathBuf>,
    /// Write one file for each into this folder, instead of all to standard output
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
}

/// Whom rules can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Prometheus, and what reads its rule files.
    Prometheus,
}

/// Where a client finds the daemon.
#[derive(Args, Debug, Clone)]
pub struct ServerArg {
    /// Address of the daemon
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9097", env = "ALERTD_SERVER")]
    pub server: String,
}

/// Where a client finds the daemon, and how it shows the answer.
#[derive(Args, Debug, Clone)]
pub struct AskArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub server: ServerArg,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

/// Options of the clients.
#[derive(Args, Debug)]
pub struct ClientArgs {
    /// Only those whose name or labels contain this text
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Form of a client's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientFormat {
    /// A table.
    Text,
    /// One object.
    Json,
}

/// Options of `query`.
#[derive(Args, Debug)]
pub struct QueryArgs {
    /// PromQL
    pub expr: String,
    /// Samples to evaluate on, may be given several times; without it a running daemon is asked
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Ask a Prometheus-compatible store instead: its address, or the name of one of `stores` in the configuration
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    pub source: Option<String>,
    /// Server configuration, for --source with a name; alertd.yaml is used if it exists
    #[arg(long, value_name = "FILE", env = "ALERTD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Name of the metric in a CSV file of `timestamp,value`
    #[arg(long, value_name = "NAME", requires = "data")]
    pub metric: Option<String>,
    /// Where the daemon is.
    #[command(flatten)]
    pub server: ServerArg,
    /// Instant [default: the newest sample, else now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with_all = ["start", "end", "step"])]
    pub at: Option<Timestamp>,
    /// First instant of a range
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires_all = ["end", "step"])]
    pub start: Option<Timestamp>,
    /// Last instant of a range
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires_all = ["start", "step"])]
    pub end: Option<Timestamp>,
    /// Distance of the instants of a range
    #[arg(long, value_name = "DURATION", value_parser = parse_step, requires_all = ["start", "end"])]
    pub step: Option<std::time::Duration>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

/// Reads a duration above zero.
pub(super) fn parse_step(text: &str) -> Result<std::time::Duration, String> {
    let duration = crate::model::parse_duration(text).map_err(|e| e.to_string())?;
    if duration.is_zero() { Err("expected a duration above zero, such as 1m".to_owned()) } else { Ok(duration) }
}

/// Options of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Rule files or folders [default: the configuration's rule_files, else rules/]
    #[arg(value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// The files beside the rules.
    #[command(flatten)]
    pub beside: BesideArgs,
    /// Where state is kept [default: ./data]
    #[arg(long, value_name = "DIR", env = "ALERTD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

/// Options of `send-test`.
#[derive(Args, Debug)]
pub struct SendTestArgs {
    /// The handler
    #[arg(long, value_name = "NAME")]
    pub handler: String,
    /// The files beside the rules.
    #[command(flatten)]
    pub beside: BesideArgs,
}

/// Options of `detect`.
#[derive(Args, Debug)]
pub struct DetectArgs {
    /// Detector to run with its default settings
    #[arg(long, value_name = "METHOD", conflicts_with = "rule", required_unless_present = "rule")]
    pub method: Option<String>,
    /// Take the detector and its settings from this anomaly rule
    #[arg(long, value_name = "NAME", requires = "rules")]
    pub rule: Option<String>,
    /// Rule files or folders that hold the rule
    #[arg(value_name = "RULES", requires = "rule")]
    pub rules: Vec<PathBuf>,
    /// Samples
    #[arg(long, value_name = "FILE", required = true)]
    pub data: PathBuf,
    /// Name of the metric to look at [default: the only one in the file]
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// Window of the detector, with --method
    #[arg(long, value_name = "DURATION", value_parser = parse_step, conflicts_with = "rule")]
    pub window: Option<std::time::Duration>,
    /// Width of the band in standard deviations, with --method
    #[arg(long, value_name = "NUMBER", conflicts_with = "rule")]
    pub sigma: Option<f64>,
    /// none, hourly, daily, weekly or auto, with --method
    #[arg(long, value_name = "SEASON", conflicts_with = "rule")]
    pub season: Option<String>,
    /// Time zone of the season [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "season")]
    pub timezone: Option<String>,
    /// csv or json (one object per line)
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub output: DetectFormat,
}

/// Form of `detect`'s rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetectFormat {
    /// With a header line.
    Csv,
    /// One object per line.
    Json,
}

/// File formats that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// Rule files.
    Rules,
    /// alertd.yaml.
    Config,
    /// Handler files.
    Handlers,
    /// Presets of webhooks.
    Preset,
}

/// Options of `verify-signature`.
#[derive(Args, Debug)]
pub struct VerifySignatureArgs {
    /// File that holds the handler's hmac_secret
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// Value of the header X-Alertd-Signature
    #[arg(long, value_name = "HEADER")]
    pub signature: String,
    /// How old the signature may be
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::model::parse_duration)]
    pub tolerance: std::time::Duration,
    /// The request's body; `-` is standard input
    #[arg(value_name = "BODY", default_value = "-")]
    pub body: PathBuf,
}
