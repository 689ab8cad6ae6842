//! `alertd route`: where an alert with some labels would go, when, and what the message would say.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::{ClientFormat, exit};
use super::ask::{failed, get, list, misused, text, time_parameter};
use super::report;
use super::why_args::RouteArgs;
use crate::app::handlers::previewing;
use crate::app::load::load;
use crate::app::route_trace::{Asked, trace};
use crate::app::routes::terms;
use crate::clock::{Clock as _, SystemClock};
use crate::diag::{self, harmless};
use crate::model::{Now, Timestamp, format_duration};
use crate::route::{Router, Silences};

/// Why there is nothing to show: what to print, and the exit code.
struct Refused(String, u8);

/// Runs the command: 1 where nobody would be told.
pub fn run(args: &RouteArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let at = args.at.unwrap_or_else(|| SystemClock::new().now());
    let found = match &args.server {
        Some(server) => {
            let query = [("labels", args.labels.clone()), ("time", time_parameter(at))];
            match get(server, "/api/v1/route", &query) {
                Ok(found) => found,
                Err(error) => return failed(&error),
            }
        }
        None => match from_files(args, at) {
            Ok(found) => found,
            Err(Refused(message, exit::USAGE)) => return misused(&message),
            Err(Refused(message, code)) => {
                write!(std::io::stderr().lock(), "{message}")?;
                return Ok(code);
            }
        },
    };
    match args.output {
        ClientFormat::Json => writeln!(out, "{found}")?,
        ClientFormat::Text => write_text(&found, out)?,
    }
    let told = list(&found, "routes").iter().flat_map(|route| list(route, "handlers")).any(|handler| is_told(&handler));
    Ok(if told { exit::CLEAN } else { exit::FINDINGS })
}

fn from_files(args: &RouteArgs, at: Timestamp) -> Result<Value, Refused> {
    let sources = args.beside.sources(&args.rules);
    let inputs = load(&sources).map_err(|error| Refused(error.to_string(), exit::USAGE))?;
    if inputs.has_errors() {
        return Err(Refused(diag::text(&inputs.diagnostics, report::text_style()), exit::FINDINGS));
    }
    let routes = crate::route::Routes { terms: terms(&inputs.rules), ..inputs.routes() };
    let handlers = previewing(&inputs.handlers, &inputs.common(&Arc::default()));
    let silences = Silences::default();
    let asked = Asked {
        routes: &routes,
        silences: &silences,
        router: &Router::default(),
        rules: &inputs.rules,
        now: Now::simulated(at),
    };
    let traced = trace(&args.labels, &asked).map_err(|error| Refused(error.to_string(), exit::USAGE))?;
    Ok(traced.shown(&handlers))
}

fn is_told(handler: &Value) -> bool {
    handler.get("told").and_then(Value::as_bool).unwrap_or_default()
}

fn span(value: &Value, key: &str) -> String {
    let seconds = value.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    format_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn write_text(found: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    for route in list(found, "routes") {
        writeln!(out, "route {}", harmless(text(&route, "path")))?;
        writeln!(out, "  group   {}", harmless(text(&route, "group")))?;
        let (wait, interval) = (span(&route, "group_wait_seconds"), span(&route, "group_interval_seconds"));
        let repeat = span(&route, "repeat_interval_seconds");
        writeln!(out, "  timers  group_wait {wait}, group_interval {interval}, repeat_interval {repeat}")?;
        match route.get("quiet").filter(|quiet| !quiet.is_null()) {
            Some(quiet) => {
                let until = match text(quiet, "until") {
                    "" => String::new(),
                    until => format!(", until {until}"),
                };
                writeln!(out, "  quiet   {} by {}{until}", text(quiet, "reason"), harmless(text(quiet, "by")))?;
            }
            None => writeln!(out, "  quiet   nothing keeps it quiet at {}", text(found, "at"))?,
        }
        for handler in list(&route, "handlers") {
            let (name, kind) = (text(&handler, "name"), text(&handler, "type"));
            if !is_told(&handler) {
                writeln!(out, "  {} ({kind}) is not told: {}", harmless(name), text(&handler, "reason"))?;
                continue;
            }
            let goes = [text(&handler, "method"), text(&handler, "url")];
            let goes: Vec<&str> = goes.into_iter().filter(|part| !part.is_empty()).collect();
            let goes = if goes.is_empty() { String::new() } else { format!(": {}", goes.join(" ")) };
            writeln!(out, "  {} ({kind}) is told{}", harmless(name), harmless(&goes))?;
            for line in text(&handler, "message").lines() {
                writeln!(out, "    {}", harmless(line))?;
            }
        }
        if list(&route, "handlers").is_empty() {
            writeln!(out, "  nobody is told")?;
        }
        for step in list(&route, "escalates") {
            let (after, handler) = (span(&step, "after_seconds"), harmless(text(&step, "handler")));
            writeln!(out, "  {handler} is told after {after} where nobody acknowledges it")?;
        }
        for duty in list(&route, "on_duty") {
            let (name, handler) = (text(&duty, "rotation"), text(&duty, "handler"));
            writeln!(out, "  {} is on duty for {}", harmless(handler), harmless(name))?;
        }
    }
    if found.get("cooldown_seconds").is_some_and(|span| !span.is_null()) {
        writeln!(out, "cooldown of the rule: {}", span(found, "cooldown_seconds"))?;
    }
    Ok(())
}
