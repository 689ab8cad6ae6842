//! `alertd check`: diagnostics of files; offline, unless it is told to ask a store for the names of metrics. `--fix` mends
//! what is certain.

use std::io::Write;

use super::args::{CheckArgs, ChecksArgs, OutputFormat, exit};
use super::{data, report};
use crate::app::doubts::{self, Doubts, MendedFile, mend};
use crate::app::remote::source::AskedStore;
use crate::app::{load, paths};
use crate::config::ServerConfig;
use crate::diag;
use crate::lint::Selection;
use crate::lint::knowledge::Asked;

/// Runs the command.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let usage = |message: String| {
        writeln!(std::io::stderr().lock(), "alertd: {message}")?;
        Ok(exit::USAGE)
    };
    let asked = doubts_of(&args.checks).and_then(|mut doubts| {
        let config = load::config_at(args.config.as_deref());
        (doubts.config, doubts.config_findings) = config.map_err(|error| (exit::USAGE, format!("alertd: {error}")))?;
        args.source.iter().try_for_each(|source| look_up(source, &mut doubts)).map(|()| doubts)
    });
    let doubts = match asked {
        Ok(doubts) => doubts,
        Err((code, message)) => {
            writeln!(std::io::stderr().lock(), "{message}")?;
            return Ok(code);
        }
    };
    let listed = paths::given_or_configured(&args.paths, args.config.as_deref(), paths::Wanted::Everything);
    let (paths, patterns) = match listed {
        Ok(listed) => (listed.paths, listed.findings),
        Err(error) => return usage(error.to_string()),
    };
    if args.fix || args.diff {
        let mended = match mend(&paths, &doubts) {
            Ok(mended) => mended,
            Err(error) => return usage(error.to_string()),
        };
        if args.diff {
            let shown: String = mended.iter().map(|m| diag::diff(&m.file.path, &m.file.text, &m.text)).collect();
            // Beside --fix standard output holds the findings that are left.
            if args.fix { write!(std::io::stderr().lock(), "{shown}") } else { write!(out, "{shown}") }?;
        }
        if !args.fix {
            return Ok(if mended.is_empty() { exit::CLEAN } else { exit::FINDINGS });
        }
        if let Err(message) = write_back(&mended) {
            return usage(message);
        }
        told(&mended)?;
    }
    let mut checked = match load::check(&paths, &doubts) {
        Ok(checked) => checked,
        Err(error) => return usage(error.to_string()),
    };
    checked.diagnostics.extend(patterns);
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
    let code = report::exit_code(&checked.diagnostics, &args.fail_on);
    // The process ends here; to take 10,000 rules apart piece by piece would be a good part of its time.
    std::mem::forget(checked);
    Ok(code)
}

/// Adds the names of all metrics that a store has to what is known.
fn look_up(source: &str, doubts: &mut Doubts) -> Result<(), (u8, String)> {
    let default = ServerConfig::default();
    let config = doubts.config.as_ref().map_or(&default, |(_, config)| config);
    let store = AskedStore::open(source, config).map_err(|error| (exit::USAGE, format!("alertd: {error}")))?;
    let names = store.metric_names().map_err(|error| (exit::UNREACHABLE, format!("alertd: {error}")))?;
    let knowledge = &mut doubts.knowledge;
    for name in names {
        knowledge.metrics.entry(name).or_default();
    }
    knowledge.complete = true;
    knowledge.asked = match AskedStore::shown_address(source) {
        Some(address) => Asked::Address(address),
        None => Asked::Store(source.to_owned()),
    };
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
    Ok(Doubts { selection, knowledge: doubts::knowledge(&batch), ..Doubts::default() })
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
