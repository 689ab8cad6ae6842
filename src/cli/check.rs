//! `alertd check`: diagnostics of files, offline.

use std::io::Write;
use std::path::PathBuf;

use super::args::{CheckArgs, OutputFormat, exit};
use super::report;
use crate::app::load;

/// Runs the command.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let paths = if args.paths.is_empty() { vec![PathBuf::from("rules/")] } else { args.paths.clone() };
    let checked = match load::check(&paths) {
        Ok(checked) => checked,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
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
