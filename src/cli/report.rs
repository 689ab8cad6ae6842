//! What checking commands print: findings in every format, tests, summaries.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use super::args::{FailOn, OutputFormat, exit};
use crate::app::rule_tests::TestResult;
use crate::diag::{self, Diagnostic, Level, SourceFile};

/// The format asked for, or the one that fits the place: GitHub's where a workflow runs, text elsewhere.
pub fn format_or_default(asked: Option<OutputFormat>) -> OutputFormat {
    let in_github = || std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true");
    asked.unwrap_or_else(|| if in_github() { OutputFormat::Github } else { OutputFormat::Text })
}

/// How text is laid out on standard output.
pub fn text_style() -> diag::TextStyle {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let forced = set("CLICOLOR_FORCE").is_some_and(|v| v != "0");
    let colour = set("NO_COLOR").is_none() && (forced || std::io::stdout().is_terminal());
    let width = set("COLUMNS").and_then(|v| v.to_str()?.parse().ok()).unwrap_or(120);
    diag::TextStyle { colour, width }
}

/// Writes findings in a format that has nothing but findings.
pub fn findings(
    diagnostics: &[Diagnostic],
    files: &[&str],
    tests: &[TestResult],
    format: OutputFormat,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let text = match format {
        OutputFormat::Text => diag::text(diagnostics, text_style()),
        OutputFormat::Concise => diag::concise(diagnostics),
        OutputFormat::Json => diag::json(diagnostics),
        OutputFormat::Github => diag::github(diagnostics),
        OutputFormat::Gitlab => diag::gitlab(diagnostics),
        OutputFormat::Sarif => diag::sarif(diagnostics),
        OutputFormat::Junit => diag::junit(diagnostics, files, &cases(tests)),
        OutputFormat::Checkstyle => diag::checkstyle(diagnostics),
    };
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn cases(tests: &[TestResult]) -> Vec<diag::Case<'_>> {
    tests
        .iter()
        .map(|t| diag::Case {
            suite: &t.rule,
            name: &t.name,
            failure: (!t.ok).then_some((t.message.as_str(), t.place.as_str())),
        })
        .collect()
}

/// Failing tests as findings, for formats that know nothing else.
pub fn failures(results: &[TestResult], files: &[Arc<SourceFile>]) -> Vec<Diagnostic> {
    let failed = results.iter().filter(|result| !result.ok);
    failed
        .map(|result| {
            let (path, line) = result.place.rsplit_once(':').unwrap_or((&result.place, "1"));
            let file = files.iter().find(|file| &*file.path == path).cloned();
            let file = file.unwrap_or_else(|| SourceFile::new(path, ""));
            let span = file.line_span(line.parse().unwrap_or(1));
            let message = format!("the test `{} / {}` fails: {}", result.rule, result.name, result.message);
            Diagnostic::error("A480", &file, span, message)
        })
        .collect()
}

/// `2 errors, 1 warning`, or `no findings`.
pub fn tally(diagnostics: &[Diagnostic]) -> String {
    let count = |level| diagnostics.iter().filter(|d| d.level == level).count();
    let parts: Vec<String> = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "note")]
        .into_iter()
        .filter_map(|(level, word)| Some(plural(count(level), word)).filter(|_| count(level) > 0))
        .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}

/// `1 rule`, `2 rules`.
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// The exit code that findings ask for.
pub fn exit_code(diagnostics: &[Diagnostic], fail_on: &[FailOn]) -> u8 {
    let bad = |d: &&Diagnostic| match d.level {
        Level::Error => true,
        Level::Warning => fail_on.contains(&FailOn::Warning),
        Level::Note => false,
    };
    if diagnostics.iter().any(|d| bad(&d)) { exit::FINDINGS } else { exit::CLEAN }
}

/// Writes the results of rule tests for people: failures in full, the rest as a count.
pub fn tests(results: &[TestResult], out: &mut dyn Write) -> std::io::Result<()> {
    for result in results.iter().filter(|r| !r.ok) {
        writeln!(out, "test failed: {} / {}", diag::harmless(&result.rule), diag::harmless(&result.name))?;
        writeln!(out, "  --> {}", diag::harmless(&result.place))?;
        writeln!(out, "  {}\n", diag::harmless(&result.message))?;
    }
    Ok(())
}

/// `3 tests passed`, `2 tests passed, 1 failed`.
pub fn tests_tally(total: usize, failed: usize) -> String {
    match (total.saturating_sub(failed), failed) {
        (0, 0) => "no tests".to_owned(),
        (passed, 0) => format!("{} passed", plural(passed, "test")),
        (passed, failed) => format!("{} passed, {failed} failed", plural(passed, "test")),
    }
}

/// The tests of `--output json`.
pub fn tests_json(results: &[TestResult]) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = results
        .iter()
        .map(
            |r| serde_json::json!({"rule": r.rule, "name": r.name, "ok": r.ok, "message": r.message, "place": r.place}),
        )
        .collect();
    let failed = results.iter().filter(|r| !r.ok).count();
    serde_json::json!({"passed": results.len() - failed, "failed": failed, "results": rows})
}
