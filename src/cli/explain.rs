//! `alertd explain CODE`: what a diagnostic means, with a bad and a good example.

use std::io::Write;

use super::args::exit;
use crate::diag::{codes, suggest};

/// Runs the command.
pub fn run(code: &str, out: &mut dyn Write) -> std::io::Result<u8> {
    let wanted = code.to_ascii_uppercase();
    if let Some(found) = codes::find(&wanted) {
        write!(out, "{}", found.page())?;
        return Ok(exit::CLEAN);
    }
    let mut err = std::io::stderr().lock();
    writeln!(err, "alertd: there is no code `{}`", crate::diag::harmless(code))?;
    if let Some(meant) = suggest(&wanted, codes::all().map(|c| c.code)) {
        writeln!(err, "help: did you mean {meant}?")?;
    }
    Ok(exit::USAGE)
}
