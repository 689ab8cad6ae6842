//! `alertd doctor`: what would keep alerts from being delivered, found before one has to be.

use std::io::Write;
use std::path::PathBuf;

use super::args::{ClientFormat, DoctorArgs, exit};
use crate::app::doctor::{Grade, Surroundings, examine};
use crate::app::load::load;
use crate::clock::{Clock as _, SystemClock};
use crate::diag::harmless;

/// Runs the command.
pub fn run(args: &DoctorArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    crate::net::install();
    let sources = args.beside.sources(&args.rules);
    let inputs = match load(&sources) {
        Ok(inputs) => inputs,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    let data_dir: PathBuf = args.data_dir.clone().unwrap_or_else(|| inputs.config.data_dir.clone());
    let around = Surroundings { now: SystemClock::new().now(), data_dir: &data_dir };
    let checks = examine(&inputs, &around);
    let worst = checks.iter().map(|check| check.grade).max().unwrap_or(Grade::Ok);
    if args.output == ClientFormat::Json {
        writeln!(out, "{}", serde_json::json!({"version": 1, "checks": checks}))?;
    } else {
        let width = checks.iter().map(|check| check.what.chars().count()).max().unwrap_or(0);
        for check in &checks {
            let (what, grade) = (harmless(&check.what), check.grade.as_str());
            writeln!(out, "{grade:<8} {what:<width$}  {}", harmless(&check.found))?;
            if let Some(help) = &check.help {
                writeln!(out, "{:<8} {:<width$}  help: {help}", "", "")?;
            }
        }
    }
    Ok(match worst {
        Grade::Ok | Grade::Warning => exit::CLEAN,
        Grade::Failure if checks.iter().any(|check| check.unreachable) => exit::UNREACHABLE,
        Grade::Failure => exit::FINDINGS,
    })
}
