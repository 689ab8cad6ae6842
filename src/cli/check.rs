//! `alertd check`: diagnostics of files; offline, unless it is told to ask a store for the names of metrics.

use std::io::Write;
use std::path::PathBuf;

use super::args::{CheckArgs, OutputFormat, exit};
use super::report;
use crate::app::load::{self, Checked};
use crate::app::remote::source::{AskedStore, unknown_metrics};

/// Runs the command.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let paths = if args.paths.is_empty() { vec![PathBuf::from("rules/")] } else { args.paths.clone() };
    let mut checked = match load::check(&paths) {
        Ok(checked) => checked,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    if let Some(source) = &args.source
        && let Err((code, message)) = look_up(args, source, &mut checked)
    {
        writeln!(std::io::stderr().lock(), "alertd: {message}")?;
        return Ok(code);
    }
    let format = report::format_or_default(args.output);
    let names: Vec<&str> = checked.files.iter().map(|f| &*f.path).collect();
    report::findings(&checked.diagnostics, &names, format, out)?;
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

/// Adds a warning for every rule that reads a metric which the store does not have.
fn look_up(args: &CheckArgs, source: &str, checked: &mut Checked) -> Result<(), (u8, String)> {
    let config = load::config_only(args.config.as_deref()).map_err(|error| (exit::USAGE, error.to_string()))?;
    let store = AskedStore::open(source, &config).map_err(|error| (exit::USAGE, error.to_string()))?;
    let names = store.metric_names().map_err(|error| (exit::UNREACHABLE, error.to_string()))?;
    checked.diagnostics.extend(unknown_metrics(&checked.rules, &checked.files, &names));
    crate::diag::sort(&mut checked.diagnostics);
    Ok(())
}
