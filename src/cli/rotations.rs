//! `alertd rotations`: who is on duty, and who comes next.

use std::io::Write;

use serde_json::Value;

use super::args::{ClientFormat, exit};
use super::ask::{failed, get, list, misused, text, time_parameter};
use super::report;
use super::table::Table;
use super::why_args::RotationsArgs;
use crate::app::load::load_handlers;
use crate::app::rotations;
use crate::clock::{Clock as _, SystemClock};
use crate::diag;

/// Runs the command: 1 where the files have errors.
pub fn run(args: &RotationsArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let at = args.at.unwrap_or_else(|| SystemClock::new().now());
    let found = match &args.server {
        Some(server) => match get(server, "/api/v1/rotations", &[("time", time_parameter(at))]) {
            Ok(found) => found,
            Err(error) => return failed(&error),
        },
        None => {
            let sources = args.beside.sources(&[]);
            let inputs = match load_handlers(&sources) {
                Ok(inputs) => inputs,
                Err(error) => return misused(&error.to_string()),
            };
            if inputs.has_errors() {
                write!(std::io::stderr().lock(), "{}", diag::text(&inputs.diagnostics, report::text_style()))?;
                return Ok(exit::FINDINGS);
            }
            rotations::list(&inputs.rotations, at)
        }
    };
    match args.output {
        ClientFormat::Json => writeln!(out, "{found}")?,
        ClientFormat::Text => write_text(&found, out)?,
    }
    Ok(exit::CLEAN)
}

fn write_text(found: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let rotations = list(found, "rotations");
    if rotations.is_empty() {
        return writeln!(out, "there is no rotation");
    }
    let mut table = Table::new(&["ROTATION", "ON DUTY", "FROM", "LOCAL TIME", "ZONE"]);
    for rotation in &rotations {
        let (name, zone) = (text(rotation, "name"), text(rotation, "timezone"));
        let instead = rotation.get("override").and_then(Value::as_bool) == Some(true);
        let now = text(rotation, "on_duty").to_owned();
        let now = if instead { now + " (override)" } else { now };
        table.row([name.to_owned(), now, "now".to_owned(), String::new(), zone.to_owned()]);
        for next in list(rotation, "handovers") {
            let cell = |key: &str| text(&next, key).to_owned();
            table.row([name.to_owned(), cell("handler"), cell("at"), cell("local"), zone.to_owned()]);
        }
    }
    table.write(out)
}
