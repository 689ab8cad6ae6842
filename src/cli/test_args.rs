//! What can be typed after `alertd test`.

use std::path::PathBuf;

use clap::Args;

use super::args::OutputFormat;

/// Options of `test`.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Rule files, unit-test files of promtool, or folders of both [default: the configuration's rule_files, else
    /// rules/]
    #[arg(value_name = "FILES")]
    pub paths: Vec<PathBuf>,
    /// Run only tests whose name, or whose rule's name, matches this regular expression; may be given several times
    #[arg(long, value_name = "REGEX")]
    pub run: Vec<String>,
    /// Show what differs line by line, instead of what was expected and what came
    #[arg(long)]
    pub diff: bool,
    /// Form of the result [default: text, or github where GITHUB_ACTIONS is set]
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
    /// Also write a report in JUnit XML: a suite per file, a case per test
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Pass over keys of unit-test files, and of the rule files they name, that are not known
    #[arg(long)]
    pub ignore_unknown_fields: bool,
    /// Samples that every group of a unit-test file reads besides its own series, may be given several times
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Name of the metric in a CSV file of `timestamp,value`
    #[arg(long, value_name = "NAME", requires = "data")]
    pub metric: Option<String>,
    /// List the rules that no test sees
    #[arg(long)]
    pub coverage: bool,
    /// Exit with 1 if tests see a smaller share of the rules, in percent
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = parse_percent)]
    pub fail_under: Option<f64>,
    /// Change thresholds, comparisons, waiting times and matchers one by one, and list the changes that no test notices
    #[arg(long)]
    pub mutate: bool,
}

/// Reads a share of a hundred.
fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().ok().filter(|n| (0.0..=100.0).contains(n));
    number.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}
