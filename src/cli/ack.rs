//! `alertd ack`.

use std::io::Write;

use serde_json::{Value, json};

use super::ack_args::{AckArgs, Named};
use super::args::{ClientFormat, exit};
use super::ask::{Call, call, failed, list, misused};
use super::silence::name;

/// Runs the command: one request for each alert that is named.
pub fn run(args: &AckArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let Some(author) = args.author.as_ref().filter(|author| !author.is_empty()) else {
        return misused("say who you are with --author NAME");
    };
    let (mut code, mut done) = (exit::CLEAN, Vec::new());
    for named in &args.alerts {
        let mut body = json!({ "by": author });
        match named {
            Named::Fingerprint(fingerprint) => body["fingerprint"] = json!(fingerprint),
            Named::Matchers(matchers) => {
                body["matchers"] = matchers.iter().map(ToString::to_string).collect::<Vec<_>>().into();
            }
        }
        let path = if args.withdraw {
            "/api/v1/acks/withdraw"
        } else {
            body["comment"] = args.comment.as_deref().unwrap_or_default().into();
            if let Some(until) = args.until {
                body["until"] = json!(until);
            }
            if let Some(span) = args.span {
                body["for"] = crate::model::format_duration(span).into();
            }
            "/api/v1/acks"
        };
        match call(&args.ask.server.server, path, &Call::Post(&body)) {
            Ok(answer) => done.extend(list(&answer, if args.withdraw { "withdrawn" } else { "acknowledged" })),
            Err(error) => code = code.max(failed(&error)?),
        }
    }
    let word = if args.withdraw { "withdrawn" } else { "acknowledged" };
    match args.ask.output {
        ClientFormat::Text => {
            let line = |alert: &Value| crate::diag::harmless(&format!("{word} {}", name(alert)));
            done.iter().try_for_each(|alert| writeln!(out, "{}", line(alert)))?;
        }
        ClientFormat::Json => writeln!(out, "{}", json!({ word: done }))?,
    }
    Ok(code)
}
