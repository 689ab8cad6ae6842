//! `alertd test`: runs the tests written beside the rules.

use std::io::Write;
use std::path::PathBuf;

use regex::Regex;

use super::args::{OutputFormat, TestArgs, exit};
use super::report;
use crate::app::load;
use crate::app::rule_tests::{TestResult, run_tests};
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
    let format = args.output.unwrap_or(OutputFormat::Text);
    if !matches!(format, OutputFormat::Text | OutputFormat::Json | OutputFormat::Junit) {
        return usage("--output: tests are shown as text, json or junit".to_owned());
    }
    let paths = if args.paths.is_empty() { vec![PathBuf::from("rules/")] } else { args.paths.clone() };
    let mut loaded = match load::rules_only(&paths) {
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
        OutputFormat::Junit => write!(out, "{}", junit(&results))?,
        _ => {
            report::tests(&results, out)?;
            writeln!(out, "{}", report::tests_tally(&results))?;
        }
    }
    Ok(if results.iter().all(|r| r.ok) { exit::CLEAN } else { exit::FINDINGS })
}

/// JUnit XML: one case per test, named by its rule.
fn junit(results: &[TestResult]) -> String {
    let failures = results.iter().filter(|r| !r.ok).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"alertd test\" tests=\"{}\" \
         failures=\"{failures}\">\n",
        results.len()
    );
    for result in results {
        let (rule, name) = (escape(&result.rule), escape(&result.name));
        if result.ok {
            out.push_str(&format!("<testcase classname=\"{rule}\" name=\"{name}\"/>\n"));
        } else {
            let (message, place) = (escape(&result.message), escape(&result.place));
            out.push_str(&format!(
                "<testcase classname=\"{rule}\" name=\"{name}\"><failure message=\"{message}\">{place}</failure></testcase>\n"
            ));
        }
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

fn escape(text: &str) -> String {
    crate::diag::harmless(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
