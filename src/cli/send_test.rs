//! `alertd send-test --handler NAME`: a real message, or the exact phase that failed and what to do.

use std::io::Write;

use super::args::{SendTestArgs, exit};
use crate::app::load::load_handlers;
use crate::app::send_test::{help, send};
use crate::clock::SystemClock;
use crate::diag;
use crate::notify::{FailureClass, Outcome};

/// Runs the command.
pub fn run(args: &SendTestArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    crate::net::install();
    let sources = args.beside.sources(&[]);
    let inputs = match load_handlers(&sources) {
        Ok(inputs) => inputs,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    if inputs.has_errors() {
        write!(std::io::stderr().lock(), "{}", diag::text(&inputs.diagnostics, diag::TextStyle::default()))?;
        return Ok(exit::FINDINGS);
    }
    let Some(sent) = send(&inputs, &args.handler, &SystemClock::new()) else {
        let names: Vec<&str> = inputs.handlers.iter().map(|handler| &*handler.name).collect();
        let mut err = std::io::stderr().lock();
        writeln!(err, "alertd: there is no handler `{}`", args.handler)?;
        match diag::suggest(&args.handler, names.iter().copied()) {
            Some(meant) => writeln!(err, "help: did you mean `{meant}`?")?,
            None => writeln!(err, "help: handlers are {}", names.join(", "))?,
        }
        return Ok(exit::USAGE);
    };
    if sent.is_empty() {
        writeln!(std::io::stderr().lock(), "alertd: the handler `{}` cannot be made", args.handler)?;
        return Ok(exit::FINDINGS);
    }
    let mut code = exit::CLEAN;
    for one in sent {
        match one.outcome {
            Outcome::Sent { answer, refused } => {
                writeln!(out, "{:<9} sent: {}", one.what, diag::harmless(&answer))?;
                for part in refused {
                    writeln!(out, "{:<9} refused: {}", "", diag::harmless(&part))?;
                    code = exit::FINDINGS;
                }
            }
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => {
                writeln!(
                    out,
                    "{:<9} failed while {}: {}",
                    one.what,
                    failure.phase.as_str(),
                    diag::harmless(&failure.message)
                )?;
                writeln!(out, "help: {}", help(failure.class))?;
                code = match failure.class {
                    FailureClass::Network | FailureClass::Timeout | FailureClass::Tls => exit::UNREACHABLE,
                    _ => exit::FINDINGS,
                };
            }
        }
    }
    Ok(code)
}
