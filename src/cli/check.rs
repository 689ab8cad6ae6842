//! `alertd check`: diagnostics of files; offline, unless it is told to ask a store for the names of metrics. `--fix` mends
//! what is certain.

use std::io::Write;
use std::path::PathBuf;

use super::args::{CheckArgs, ChecksArgs, OutputFormat, exit};
use super::{data, report};
use crate::app::doubts::{self, Doubts, MendedFile, mend};
use crate::app::load;
use crate::app::remote::source::AskedStore;
use crate::diag;
use crate::lint::{Knowledge, Selection};

/// Runs the command.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let paths = if args.paths.is_empty() { vec![PathBuf::from("rules/")] } else { args.paths.clone() };
    let usage = |message: String| {
        writeln!(std::io::stderr().lock(), "alertd: {message}")?;
        Ok(exit::USAGE)
    };
    let asked = doubts_of(&args.checks).and_then(|mut doubts| {
        args.source.iter().try_for_each(|source| look_up(args, source, &mut doubts.knowledge)).map(|()| doubts)
    });
    let doubts = match asked {
        Ok(doubts) => doubts,
        Err((code, message)) => {
            writeln!(std::io::stderr().lock(), "{message}")?;
            return Ok(code);
        }
    };
    if args.fix || args.diff {
        let mended = match mend(&paths, &doubts) {
            Ok(mended) => mended,
            Err(error) => return usage(error.to_string()),
        };
        if args.diff {
            mended.iter().try_for_each(|m| write!(out, "{}", diag::diff(&m.file.path, &m.file.text, &m.text)))?;
            return Ok(if mended.is_empty() { exit::CLEAN } else { exit::FINDINGS });
        }
        if let Err(message) = write_back(&mended) {
            return usage(message);
        }
        told(&mended)?;
    }
    let checked = match load::check(&paths, &doubts) {
        Ok(checked) => checked,
        Err(error) => return usage(error.to_string()),
    };
    let format = report::format_or_default(args.output);
    let names: Vec<&str> = checked.files.iter().map(|f| &*f.path).collect();
    report::findings(&checked.diagnostics, &names, &[], format, out)?;
    if format == OutputFormat::Text {
        writeln!(
            out,
            "{}, {}: {}",
            report::plural(checked.files.len(), "file"),
            report::plural(checked.rules.len(), "rule"),
            report::tally(&checked.diagnostics)
        )?;
    }
    Ok(report::exit_code(&checked.diagnostics, &args.fail_on))
}

/// Adds the names of all metrics that a store has to what is known.
fn look_up(args: &CheckArgs, source: &str, knowledge: &mut Knowledge) -> Result<(), (u8, String)> {
    let usage = |message: String| (exit::USAGE, format!("alertd: {message}"));
    let config = load::config_only(args.config.as_deref()).map_err(|error| usage(error.to_string()))?;
    let store = AskedStore::open(source, &config).map_err(|error| usage(error.to_string()))?;
    let names = store.metric_names().map_err(|error| (exit::UNREACHABLE, format!("alertd: {error}")))?;
    for name in names {
        knowledge.metrics.entry(name).or_default();
    }
    knowledge.complete = true;
    Ok(())
}

/// Which checks run and what they know; the error comes with its exit code.
pub fn doubts_of(args: &ChecksArgs) -> Result<Doubts, (u8, String)> {
    let codes = |list: &[String]| list.iter().map(|code| code.trim().to_ascii_uppercase()).collect::<Vec<_>>();
    let selection = Selection { extend: codes(&args.extend_select), ignore: codes(&args.ignore) };
    for code in selection.extend.iter().chain(&selection.ignore) {
        if !diag::codes::all().any(|known| known.code.starts_with(code.as_str())) || code.is_empty() {
            return Err((exit::USAGE, format!("alertd: no code begins with `{}`", diag::harmless(code))));
        }
    }
    if args.data.is_empty() {
        return Ok(Doubts { selection, ..Doubts::default() });
    }
    let batch = data::read_all(&args.data, None).map_err(|error| (error.exit_code(), error.to_string()))?;
    Ok(Doubts { selection, knowledge: doubts::knowledge(&batch) })
}

fn write_back(mended: &[MendedFile]) -> Result<(), String> {
    mended.iter().try_for_each(|m| {
        let path = &*m.file.path;
        std::fs::write(path, &m.text).map_err(|error| format!("{}: {error}", diag::harmless(path)))
    })
}

/// What was mended, on standard error: standard output holds the findings that are left.
fn told(mended: &[MendedFile]) -> std::io::Result<()> {
    if mended.is_empty() {
        return writeln!(std::io::stderr().lock(), "alertd: nothing to mend");
    }
    let count: usize = mended.iter().map(|m| m.count).sum();
    let (findings, files) = (report::plural(count, "finding"), report::plural(mended.len(), "file"));
    writeln!(std::io::stderr().lock(), "alertd: mended {findings} in {files}")
}
