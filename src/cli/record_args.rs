//! What can be typed after `alertd silence`, `alertd outbox` and `alertd history`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::args::{AskArgs, ServerArg, parse_step, parse_time};
use crate::model::{LabelMatcher, Timestamp};

fn parse_matcher(text: &str) -> Result<LabelMatcher, String> {
    LabelMatcher::parse(text).map_err(|error| error.to_string())
}

/// Silences: alerts of which nothing is told for a time
#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Make a silence; prints its id
    ///
    /// The id goes to standard output, what the silence hides now to standard error.
    Add(Box<SilenceAddArgs>),
    /// List silences: those in force and those yet to begin
    List(SilenceListArgs),
    /// End silences now; alerts that they held are told at once
    Expire(SilenceExpireArgs),
    /// Tell what a silence would hide now, and would have hidden in the last 7 days
    Preview(SilencePreviewArgs),
}

fn parse_set(text: &str) -> Result<Vec<LabelMatcher>, String> {
    let set = LabelMatcher::parse_all(text).map_err(|error| error.to_string())?;
    if set.is_empty() { Err("it has no matcher".to_owned()) } else { Ok(set) }
}

fn parse_annotation(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, text)| (name.to_owned(), text.to_owned())).ok_or_else(|| "write it as NAME=TEXT".to_owned())
}

/// What a silence covers.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// Conditions on labels, all of which must hold: alertname=DiskFull, 'host=~"db.*"', team!=web
    #[arg(value_name = "MATCHER", required = true, value_parser = parse_matcher)]
    pub matchers: Vec<LabelMatcher>,
    /// A further set of conditions: alerts are covered too for which all of these hold. May be given several times
    #[arg(long = "or", value_name = "MATCHERS", value_parser = parse_set)]
    pub or: Vec<Vec<LabelMatcher>>,
}

/// Options of `silence preview`.
#[derive(Args, Debug)]
pub struct SilencePreviewArgs {
    /// What it would cover.
    #[command(flatten)]
    pub sets: SetArgs,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `silence add`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("until").required(true).args(["span", "end"])))]
#[command(group(ArgGroup::new("recurring").args(["cron", "rrule"])))]
pub struct SilenceAddArgs {
    /// What it covers.
    #[command(flatten)]
    pub sets: SetArgs,
    /// How long
    #[arg(long = "for", id = "span", value_name = "DURATION", value_parser = parse_step)]
    pub span: Option<Duration>,
    /// From when: RFC 3339 or Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub start: Option<Timestamp>,
    /// Until when, instead of --for
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub end: Option<Timestamp>,
    /// In force in windows alone, which begin at these times: seconds first, as in '0 0 22 * * Sat'
    #[arg(long, value_name = "CRON", conflicts_with = "rrule", requires = "window")]
    pub cron: Option<String>,
    /// The same by a rule of RFC 5545, as in 'FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22'
    #[arg(long, value_name = "RRULE", requires = "window")]
    pub rrule: Option<String>,
    /// The local time at which the rule begins, and its time of day [default: the start]
    #[arg(long, value_name = "LOCAL TIME", requires = "rrule")]
    pub dtstart: Option<String>,
    /// How long each window lasts
    #[arg(long, value_name = "DURATION", requires = "recurring")]
    pub window: Option<String>,
    /// In whose local time windows begin: an IANA name [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "recurring")]
    pub timezone: Option<String>,
    /// Something else to say of it, by name; may be given several times
    #[arg(long = "annotation", value_name = "NAME=TEXT", value_parser = parse_annotation)]
    pub annotations: Vec<(String, String)>,
    /// Why, for whoever wonders why nothing was told
    #[arg(long, value_name = "TEXT")]
    pub comment: String,
    /// Who makes it
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub author: Option<String>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `silence list`.
#[derive(Args, Debug)]
pub struct SilenceListArgs {
    /// Only silences whose own matchers say this
    #[arg(value_name = "MATCHER", value_parser = parse_matcher)]
    pub matchers: Vec<LabelMatcher>,
    /// Those that are over instead; they are kept for five days
    #[arg(long)]
    pub expired: bool,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `silence expire`.
#[derive(Args, Debug)]
pub struct SilenceExpireArgs {
    /// Silences by id
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Notices on their way to handlers, and those that were given up
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List notices that wait or were given up, the oldest first
    List(OutboxListArgs),
    /// Try notices again that were given up
    Retry(OutboxRetryArgs),
    /// Remove notices: they are never delivered
    Drop(OutboxDropArgs),
}

/// Whether a notice waits or is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NoticeState {
    /// To be delivered.
    Pending,
    /// Given up.
    Dead,
}

impl NoticeState {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

/// Options of `outbox list`.
#[derive(Args, Debug)]
pub struct OutboxListArgs {
    /// Only those of one handler
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// Only those in one state
    #[arg(long, value_name = "STATE")]
    pub state: Option<NoticeState>,
    /// Most notices
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: usize,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `outbox retry`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "handler"])))]
pub struct OutboxRetryArgs {
    /// Notices by id
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// All dead ones of one handler
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `outbox drop`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "handler"])))]
pub struct OutboxDropArgs {
    /// Notices by id, whatever their state
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// All of one handler: the dead ones, or those of --state
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// With --handler: which of its notices [default: dead]
    #[arg(long, value_name = "STATE", requires = "handler", conflicts_with = "ids")]
    pub state: Option<NoticeState>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Options of `history`.
#[derive(Args, Debug)]
#[command(
    after_help = "Text is in the order of time: the newest line is the last. JSON and CSV have the newest first."
)]
pub struct HistoryArgs {
    /// Only alerts with these labels: host=a, 'team=~"db|web"'
    #[arg(value_name = "MATCHER", value_parser = parse_matcher)]
    pub matchers: Vec<LabelMatcher>,
    /// Not older than this
    #[arg(long, value_name = "DURATION", value_parser = parse_step, conflicts_with = "from")]
    pub since: Option<Duration>,
    /// Not before: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Timestamp>,
    /// Name or uid of a rule
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// This severity or worse; with = in front (`--severity =error`) just this
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<String>,
    /// Name of a handler
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// What happened: transition, held, sent, failed, dead, retried, dropped, silence, ack, evaluated or system; may be repeated
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// One alert, by its fingerprint
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
    /// Most events, the newest ones
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: usize,
    /// Where the daemon is.
    #[command(flatten)]
    pub server: ServerArg,
    /// text, json or csv
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: HistoryFormat,
}

/// Form of `history`'s answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// A table.
    Text,
    /// One object.
    Json,
    /// With a header line, for spreadsheets.
    Csv,
}
