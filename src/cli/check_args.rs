//! What can be typed after `alertd explain`, and which checks `alertd check` runs.

use std::path::PathBuf;

use clap::Args;

/// Which checks run, and what they know of the metrics.
#[derive(Args, Clone, Debug, Default)]
pub struct ChecksArgs {
    /// Samples to compare metrics and labels with, may be given several times
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Also run checks that are house rules, by code or beginning of a code: A307,A308
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub extend_select: Vec<String>,
    /// Leave out warnings, by code or beginning of a code: A227,A7
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub ignore: Vec<String>,
}

/// Options of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A code, for example A102, or the name of a rule
    #[arg(value_name = "CODE|RULE")]
    pub what: String,
    /// Rule files or folders that hold the rule [default: the configuration's rule_files, else rules/]
    #[arg(value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// Server configuration; alertd.yaml is used if it exists
    #[arg(long, value_name = "FILE", env = "ALERTD_CONFIG")]
    pub config: Option<PathBuf>,
}
