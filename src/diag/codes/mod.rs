//! Every code, with what `alertd explain CODE` says about it.
//!
//! One array per family, in one file each: A0xx files, YAML and shape; A1xx queries; A2xx meaning of queries and expressions; A3xx
//! labels and templates; A4xx rules; A5xx handlers and config; A6xx anomaly; A7xx cost. The examples are run by the tests: the bad
//! one yields its code, the good one yields no error.

mod alertmanager;
mod alerts;
mod config;
mod doubts;
mod expressions;
mod groups;
mod inhibit;
mod intervals;
mod promql;
mod queries;
mod routes;
mod rule_doubts;
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
pub const FAMILIES: [&[Code]; 15] = [
    yaml::CODES,
    promql::CODES,
    expressions::CODES,
    queries::CODES,
    alerts::CODES,
    doubts::CODES,
    rules::CODES,
    groups::CODES,
    rule_doubts::CODES,
    unit_tests::CODES,
    config::CODES,
    intervals::CODES,
    routes::CODES,
    inhibit::CODES,
    alertmanager::CODES,
];

/// All codes.
pub fn all() -> impl Iterator<Item = &'static Code> {
    FAMILIES.into_iter().flatten()
}

/// The code of that name, in either case.
pub fn find(code: &str) -> Option<&'static Code> {
    all().find(|known| known.code.eq_ignore_ascii_case(code))
}

/// `docs/checks.md`: every code with its page.
pub fn manual() -> String {
    let mut out = String::from(INTRO);
    for (family, title) in FAMILY_TITLES {
        let mut codes: Vec<&Code> = all().filter(|code| code.code.starts_with(family)).collect();
        codes.sort_by_key(|code| code.code);
        let _ = write!(out, "\n## {family}xx: {title}\n");
        for code in codes {
            let id = code.code.to_ascii_lowercase();
            let _ = write!(out, "\n### <a id=\"{id}\"></a>{}: {}\n\n{}\n", code.code, code.title, code.explanation);
            for (head, text) in [("Not so:", code.bad), ("But so:", code.good)] {
                if !text.is_empty() {
                    let _ = write!(out, "\n{head}\n\n```yaml\n{text}```\n");
                }
            }
        }
    }
    out
}

/// What stands before the codes.
const INTRO: &str = "# Findings

After this page you can look up what a finding means. `alertd explain A223` prints the same.

`alertd check` reads files and looks at every rule; a dry run does so, too. What cannot be used is an error. What can be \
used and is most likely a mistake is a warning: it changes the exit code only with `--fail-on warning`.

- `--data FILE` compares metrics and labels of rules with those in a file of samples, and takes kinds of metrics and the \
time between samples from it.
- `--fix` mends what is certain, and changes no other byte; `--diff` shows what it would change.
- `--extend-select A307,A308` also runs checks that are house rules; `--ignore A227` leaves warnings out.
- `# alertd: ignore A227 -- the reason` lets a warning stand. At the end of a line it covers the key that stands there, with \
all lines of its value; on a line of its own the key of the next line, and the whole rule where that is a rule's first line. `# alertd: ignore-file A227 -- the reason` covers \
the file.
";

/// What the families are about.
const FAMILY_TITLES: [(&str, &str); 8] = [
    ("A0", "files and YAML"),
    ("A1", "PromQL that cannot be read"),
    ("A2", "what queries and expressions mean"),
    ("A3", "labels, annotations and templates"),
    ("A4", "rules"),
    ("A5", "handlers, routes and configuration"),
    ("A6", "anomaly rules"),
    ("A7", "cost"),
];

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
