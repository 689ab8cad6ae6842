//! `alertd test`: runs the tests written beside the rules.

use std::io::Write;
use std::path::PathBuf;

use regex::Regex;

use super::args::{OutputFormat, TestArgs, exit};
use super::report;
use crate::app::load;
use crate::app::rule_tests::run_tests;
use crate::diag::Level;
use crate::engine::EngineOptions;

/// Runs the command.
pub fn run(args: &TestArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let usage = |message: String| {
        writeln!(std::io::stderr().lock(), "alertd: {message}")?;
        Ok(exit::USAGE)
    };
    let pattern = match args.run.as_deref().map(Regex::new).transpose() {
        Ok(pattern) => pattern,
        Err(error) => return usage(format!("--run: {error}")),
    };
    let format = report::format_or_default(args.output);
    let paths = if args.paths.is_empty() { vec![PathBuf::from("rules/")] } else { args.paths.clone() };
    let (mut loaded, files) = match load::rules_and_files(&paths) {
        Ok(loaded) => loaded,
        Err(error) => return usage(error.to_string()),
    };
    let errors: Vec<_> = loaded.diagnostics.iter().filter(|d| d.level == Level::Error).cloned().collect();
    if !errors.is_empty() {
        let text = crate::diag::text(&errors, report::text_style());
        write!(std::io::stderr().lock(), "{text}")?;
        return Ok(exit::FINDINGS);
    }
    if let Some(pattern) = &pattern {
        for rule in &mut loaded.rules {
            let whole = pattern.is_match(&rule.name);
            rule.tests.retain(|test| whole || pattern.is_match(&test.name));
        }
    }
    let results = run_tests(&loaded.rules, &EngineOptions::default());
    match format {
        OutputFormat::Json => writeln!(out, "{}", report::tests_json(&results))?,
        OutputFormat::Text => {
            report::tests(&results, out)?;
            writeln!(out, "{}", report::tests_tally(&results))?;
        }
        OutputFormat::Junit => report::findings(&[], &[], &results, format, out)?,
        format => report::findings(&report::failures(&results, &files), &[], &results, format, out)?,
    }
    Ok(if results.iter().all(|r| r.ok) { exit::CLEAN } else { exit::FINDINGS })
}
