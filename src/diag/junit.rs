//! For test reports: JUnit XML, one suite per file, one case per finding.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::xml::escape;
use super::{Diagnostic, Level};

/// A test that was run: one case of its rule's suite.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What was tested.
    pub suite: &'a str,
    /// What it shows.
    pub name: &'a str,
    /// What went wrong, and where the test stands.
    pub failure: Option<(&'a str, &'a str)>,
}

/// Renders the findings of `files`, in that order; a file without errors is one passing case. Warnings do not fail
/// their case: they stand in its output. Tests come last, one suite for all.
pub fn render(diagnostics: &[Diagnostic], files: &[&str], cases: &[Case<'_>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let errors = diagnostics.iter().filter(|d| d.level == Level::Error).count();
    let mut by_file: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for file in files.iter().copied().chain(diagnostics.iter().map(|d| &*d.file.path)) {
        by_file.entry(file).or_insert_with(|| {
            order.push(file);
            Vec::new()
        });
    }
    for d in diagnostics {
        by_file.entry(&d.file.path).or_default().push(d);
    }
    let failed = cases.iter().filter(|case| case.failure.is_some()).count();
    let tests: usize = by_file.values().map(|found| found.len().max(1)).sum::<usize>() + cases.len();
    let _ = writeln!(out, "<testsuites name=\"alertd\" tests=\"{tests}\" failures=\"{}\">", errors + failed);
    for file in order {
        suite(&mut out, file, by_file.get(file).map_or(&[], Vec::as_slice));
    }
    if !cases.is_empty() {
        tested(&mut out, cases, failed);
    }
    out.push_str("</testsuites>\n");
    out
}

fn tested(out: &mut String, cases: &[Case<'_>], failed: usize) {
    let _ = writeln!(out, "  <testsuite name=\"alertd test\" tests=\"{}\" failures=\"{failed}\">", cases.len());
    for case in cases {
        let (suite, name) = (escape(case.suite), escape(case.name));
        let _ = match case.failure {
            None => writeln!(out, "    <testcase classname=\"{suite}\" name=\"{name}\"/>"),
            Some((message, place)) => writeln!(
                out,
                "    <testcase classname=\"{suite}\" name=\"{name}\"><failure message=\"{}\">{}</failure></testcase>",
                escape(message),
                escape(place)
            ),
        };
    }
    out.push_str("  </testsuite>\n");
}

fn suite(out: &mut String, file: &str, found: &[&Diagnostic]) {
    let failures = found.iter().filter(|d| d.level == Level::Error).count();
    let name = escape(file);
    let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\">", found.len().max(1));
    if found.is_empty() {
        let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"check\"/>");
    }
    for d in found {
        let at = d.start();
        let message = escape(&d.message);
        let place = format!("{name}:{}:{}", at.line, at.column);
        let help = d.help.as_deref().map(|h| format!("\nhelp: {}", escape(h))).unwrap_or_default();
        let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"{} at {}:{}\">", d.code, at.line, at.column);
        let body = format!("{place}: {}[{}] {message}{help}", d.level.as_str(), d.code);
        let _ = match d.level {
            Level::Error => {
                writeln!(out, "      <failure message=\"{message}\" type=\"{}\">{body}</failure>", d.code)
            }
            _ => writeln!(out, "      <system-out>{body}</system-out>"),
        };
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}
