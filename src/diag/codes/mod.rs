//! Every code, with what `alertd explain CODE` says about it.
//!
//! One array per family, in one file each: A0xx files, YAML and shape; A1xx queries; A2xx meaning of queries and expressions; A3xx
//! labels and templates; A4xx rules; A5xx handlers and config; A6xx anomaly. The examples are run by the tests: the bad
//! one yields its code, the good one yields no error.

mod alerts;
mod config;
mod expressions;
mod groups;
mod intervals;
mod promql;
mod rules;
mod unit_tests;
mod yaml;

use std::fmt::Write as _;

/// A kind of finding.
#[derive(Debug)]
pub struct Code {
    /// Stable name, such as `A010`.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why it is a problem and what to do.
    pub explanation: &'static str,
    /// What the examples are.
    pub file: ExampleFile,
    /// A file that has the problem; empty where it is not about a file's text.
    pub bad: &'static str,
    /// The same without it.
    pub good: &'static str,
}

/// What kind of file an example is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExampleFile {
    /// A rule file.
    Rules,
    /// `alertd.yaml`.
    Server,
    /// A handler file.
    Handlers,
}

/// All codes, by family.
pub const FAMILIES: [&[Code]; 9] = [
    yaml::CODES,
    promql::CODES,
    expressions::CODES,
    alerts::CODES,
    rules::CODES,
    groups::CODES,
    unit_tests::CODES,
    config::CODES,
    intervals::CODES,
];

/// All codes.
pub fn all() -> impl Iterator<Item = &'static Code> {
    FAMILIES.into_iter().flatten()
}

/// The code of that name, in either case.
pub fn find(code: &str) -> Option<&'static Code> {
    all().find(|known| known.code.eq_ignore_ascii_case(code))
}

impl Code {
    /// The page `alertd explain` prints.
    pub fn page(&self) -> String {
        let mut out = format!("{}: {}\n\n{}\n", self.code, self.title, self.explanation);
        for (head, text) in [("Not so:", self.bad), ("But so:", self.good)] {
            if !text.is_empty() {
                let _ = write!(out, "\n{head}\n\n");
                text.lines().for_each(|line| out.push_str(&format!("    {line}\n")));
            }
        }
        out
    }
}
