//! What `alertd test` prints: failures with what came instead, and the same in every format of checking commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::args::OutputFormat;
use super::report;
use crate::app::unit_tests::coverage::Coverage;
use crate::app::unit_tests::mutate::Mutation;
use crate::app::unit_tests::{Case, Failure};
use crate::diag::xml::escape;
use crate::diag::{self, Diagnostic, DiagnosticJson, Level, harmless};

/// Everything that testing found.
#[derive(Debug, Default)]
pub struct Report {
    /// The tests.
    pub cases: Vec<Case>,
    /// Unit-test files.
    pub files: Vec<Arc<str>>,
    /// Findings about unit-test files and the rules they name.
    pub diagnostics: Vec<Diagnostic>,
    /// With `--coverage`.
    pub coverage: Option<Coverage>,
    /// With `--mutate`.
    pub mutation: Option<Mutation>,
}

impl Report {
    /// Whether every test passed and every file could be read.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.failures.is_empty())
            && self.diagnostics.iter().all(|d| d.level != Level::Error)
    }

    fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.failures.is_empty()).count()
    }

    /// `3 tests passed`, `2 tests passed, 1 failed`.
    fn tally(&self) -> String {
        report::tests_tally(self.cases.len(), self.failed())
    }

    /// What coverage and changes found.
    fn further(&self) -> Vec<Diagnostic> {
        let coverage = self.coverage.iter().flat_map(|coverage| &coverage.findings);
        coverage.chain(self.mutation.iter().flat_map(|m| &m.findings)).cloned().collect()
    }
}

/// Writes a report.
pub fn write(found: &Report, format: OutputFormat, out: &mut dyn Write) -> std::io::Result<()> {
    match format {
        OutputFormat::Text => text(found, out),
        OutputFormat::Json => writeln!(out, "{}", object(found)),
        OutputFormat::Junit => out.write_all(junit(found).as_bytes()),
        _ => {
            let failures = found.cases.iter().flat_map(|case| &case.failures).map(|failure| &failure.diagnostic);
            let mut all: Vec<Diagnostic> = found.diagnostics.iter().chain(failures).cloned().collect();
            all.extend(found.further());
            diag::sort(&mut all);
            let files: Vec<&str> = found.files.iter().map(|file| &**file).collect();
            report::findings(&all, &files, &[], format, out)
        }
    }
}

fn text(found: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let style = report::text_style();
    write!(out, "{}", diag::text(&found.diagnostics, style))?;
    for case in found.cases.iter().filter(|case| !case.failures.is_empty()) {
        let name = harmless(&case.name);
        match &case.rule {
            Some(rule) => {
                writeln!(out, "test failed: {} / {name}", harmless(rule))?;
                writeln!(out, "  --> {}:{}", harmless(&case.file), case.place.line)?;
                for failure in &case.failures {
                    writeln!(out, "  {}\n", harmless(message(case, failure)))?;
                }
            }
            None => {
                writeln!(out, "test failed: {name}")?;
                for failure in &case.failures {
                    let shown = diag::text(std::slice::from_ref(&failure.diagnostic), style);
                    write!(out, "{}", shown.trim_end_matches('\n'))?;
                    writeln!(out)?;
                    for line in &failure.detail {
                        writeln!(out, "  {}", harmless(line))?;
                    }
                    writeln!(out)?;
                }
            }
        }
    }
    let mut further = found.further();
    diag::sort(&mut further);
    write!(out, "{}", diag::text(&further, style))?;
    writeln!(out, "{}", found.tally())?;
    if let Some(coverage) = &found.coverage {
        let (covered, rules) = (coverage.covered, report::plural(coverage.rules, "rule"));
        writeln!(out, "coverage: tests see {covered} of {rules} ({:.1} %)", coverage.percent())?;
    }
    if let Some(mutation) = &found.mutation {
        let missed = mutation.tried - mutation.noticed;
        let left =
            if mutation.left_out > 0 { format!(", {} more not tried", mutation.left_out) } else { String::new() };
        let tried = report::plural(mutation.tried, "change");
        writeln!(out, "{tried} tried, {} noticed, {missed} not{left}", mutation.noticed)?;
    }
    Ok(())
}

/// What went wrong: of a test beside a rule without the names of both.
fn message<'a>(case: &Case, failure: &'a Failure) -> &'a str {
    match failure.detail.first().filter(|_| case.rule.is_some()) {
        Some(detail) => detail,
        None => &failure.diagnostic.message,
    }
}

fn findings(diagnostics: &[Diagnostic]) -> Json {
    json!(diagnostics.iter().map(DiagnosticJson::from).collect::<Vec<_>>())
}

fn object(found: &Report) -> Json {
    let failure = |failure: &Failure| {
        let at = failure.diagnostic.start();
        json!({
            "message": failure.diagnostic.message,
            "line": at.line,
            "column": at.column,
            "detail": failure.detail,
        })
    };
    let row = |case: &Case| {
        let messages: Vec<&str> = case.failures.iter().map(|failure| message(case, failure)).collect();
        let mut row = json!({
            "rule": case.rule.as_deref().unwrap_or_default(),
            "name": case.name,
            "ok": case.failures.is_empty(),
            "message": messages.join("; "),
            "place": format!("{}:{}", case.file, case.place.line),
        });
        if case.rule.is_none() {
            row["failures"] = case.failures.iter().map(failure).collect();
        }
        row
    };
    let failed = found.failed();
    let mut out = json!({
        "passed": found.cases.len() - failed,
        "failed": failed,
        "results": found.cases.iter().map(row).collect::<Vec<_>>(),
        "diagnostics": findings(&found.diagnostics),
    });
    if let Some(coverage) = &found.coverage {
        out["coverage"] = json!({
            "rules": coverage.rules,
            "covered": coverage.covered,
            "percent": coverage.percent(),
            "findings": findings(&coverage.findings),
        });
    }
    if let Some(mutation) = &found.mutation {
        out["mutation"] = json!({
            "tried": mutation.tried,
            "noticed": mutation.noticed,
            "left_out": mutation.left_out,
            "findings": findings(&mutation.findings),
        });
    }
    out
}

/// JUnit XML: a suite per file, a case per test; a file that cannot be run is a case that fails.
pub fn junit(found: &Report) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut suites: BTreeMap<&str, Vec<(String, Vec<String>)>> = BTreeMap::new();
    let mut add = |file, case| {
        suites.entry(file).or_insert_with(|| {
            order.push(file);
            Vec::new()
        });
        suites.entry(file).and_modify(|cases: &mut Vec<_>| cases.extend(case));
    };
    found.files.iter().for_each(|file| add(file, None));
    for error in found.diagnostics.iter().filter(|d| d.level == Level::Error) {
        let at = error.start();
        let name = format!("{} at {}:{}", error.code, at.line, at.column);
        add(&error.file.path, Some((name, vec![error.message.clone()])));
    }
    for case in &found.cases {
        let name = match &case.rule {
            Some(rule) => format!("{rule}: {}", case.name),
            None => case.name.clone(),
        };
        let failures = case.failures.iter().map(|failure| {
            let at = failure.diagnostic.start();
            let place = format!("{}:{}:{}", failure.diagnostic.file.path, at.line, at.column);
            let detail = failure.detail.iter().filter(|_| case.rule.is_none());
            let detail: String = detail.map(|line| format!("\n{line}")).collect();
            format!("{}\n{place}{detail}", message(case, failure))
        });
        add(&case.file, Some((name, failures.collect())));
    }
    let total: usize = suites.values().map(Vec::len).sum();
    let failed = suites.values().flatten().filter(|(_, failures)| !failures.is_empty()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"alertd test\" tests=\"{total}\" failures=\"{failed}\">");
    for file in order {
        suite(&mut out, file, suites.get(file).map_or(&[], Vec::as_slice));
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, file: &str, cases: &[(String, Vec<String>)]) {
    let failed = cases.iter().filter(|(_, failures)| !failures.is_empty()).count();
    let file = escape(file);
    let _ = writeln!(out, "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failed}\">", cases.len());
    for (name, failures) in cases {
        let name = escape(name);
        if failures.is_empty() {
            let _ = writeln!(out, "    <testcase classname=\"{file}\" name=\"{name}\"/>");
            continue;
        }
        let _ = writeln!(out, "    <testcase classname=\"{file}\" name=\"{name}\">");
        for failure in failures {
            let (message, detail) = failure.split_once('\n').unwrap_or((failure, ""));
            let detail = detail.lines().map(escape).collect::<Vec<_>>().join("\n");
            let _ = writeln!(out, "      <failure message=\"{}\">{detail}</failure>", escape(message));
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}
