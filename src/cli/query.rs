//! `alertd query`: PromQL over data files, or asked of a running daemon or a remote store.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::args::{ClientFormat, QueryArgs, exit};
use super::{ask, data};
use crate::app::remote::source::AskedStore;
use crate::app::{load, views};
use crate::clock::{Clock as _, SystemClock};
use crate::diag::{Diagnostic, SourceFile};
use crate::model::{Labels, Timestamp};
use crate::promql::{
    EvalOptions, ParseError, ParseOptions, Plan, Question, SlotCache, When, eval_instant, eval_range, for_stores, parse,
};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Runs the command.
pub fn run(args: &QueryArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let result = match &args.source {
        Some(source) => asked_elsewhere(args, source),
        None if args.data.is_empty() => asked(args),
        None => evaluate(args),
    };
    match result {
        Ok(data) if args.output == ClientFormat::Json => writeln!(out, "{data}").map(|()| exit::CLEAN),
        Ok(data) => text(&data, out).map(|()| exit::CLEAN),
        Err((code, message)) => {
            let mut err = std::io::stderr().lock();
            writeln!(err, "{}", message.trim_end())?;
            Ok(code)
        }
    }
}

type Failure = (u8, String);

fn asked(args: &QueryArgs) -> Result<Json, Failure> {
    let mut parameters = vec![("query", args.expr.clone())];
    let path = match (args.start, args.end, args.step) {
        (Some(start), Some(end), Some(step)) => {
            parameters.push(("start", ask::time_parameter(start)));
            parameters.push(("end", ask::time_parameter(end)));
            parameters.push(("step", step.as_secs_f64().to_string()));
            "/api/v1/query_range"
        }
        _ => {
            parameters.extend(args.at.map(|at| ("time", ask::time_parameter(at))));
            "/api/v1/query"
        }
    };
    ask::get(&args.server.server, path, &parameters).map_err(|e| {
        (e.exit_code(), format!("alertd: {e}{}", e.help().map_or(String::new(), |h| format!("\nhelp: {h}"))))
    })
}

/// Asks a remote store.
fn asked_elsewhere(args: &QueryArgs, source: &str) -> Result<Json, Failure> {
    let used = |error: &dyn std::fmt::Display| (exit::USAGE, format!("alertd: {error}"));
    let config = load::config_only(args.config.as_deref()).map_err(|error| used(&error))?;
    let store = AskedStore::open(source, &config).map_err(|error| used(&error))?;
    let at = args.at.unwrap_or_else(|| SystemClock::new().now());
    let when = match (args.start, args.end, args.step) {
        (Some(start), Some(end), Some(step)) => {
            When::Range { start_ms: start.0, end_ms: end.0, step_ms: crate::model::time::millis(step) }
        }
        _ => When::At(at.0),
    };
    let answer = store.ask(&Question { text: for_stores(&args.expr), when }).map_err(|error| {
        let code = if error.is_of_store() { exit::UNREACHABLE } else { exit::FINDINGS };
        (code, format!("alertd: {error}"))
    })?;
    if let Some(missing) = &answer.partial {
        // What is missing is said beside the result, which goes to standard output alone; nobody may be there to read it.
        let _ = writeln!(std::io::stderr().lock(), "alertd: the answer is partial: {missing}");
    }
    Ok(views::instant(&answer.value, at))
}

fn evaluate(args: &QueryArgs) -> Result<Json, Failure> {
    let batch = data::read_all(&args.data, args.metric.as_deref()).map_err(|e| (e.exit_code(), e.to_string()))?;
    let expr =
        parse(&args.expr, &ParseOptions::default()).map_err(|errors| (exit::FINDINGS, shown(&args.expr, &errors)))?;
    let plan = Plan::new(&expr);
    let newest = batch.time_range().map_or(Timestamp(0), |(_, newest)| Timestamp(newest));
    let store = EmbeddedStore::new(StoreOptions::for_files());
    store.append(&batch, newest.0);
    let options = EvalOptions::default();
    let failed = |e: &dyn std::fmt::Display| (exit::FINDINGS, format!("alertd: {e}"));
    if let (Some(start), Some(end), Some(step)) = (args.start, args.end, args.step) {
        let step_ms = crate::model::time::millis(step);
        let series = eval_range(&plan, &store, start.0, end.0, step_ms, &options).map_err(|e| failed(&e))?;
        return Ok(views::matrix(&series));
    }
    let at = args.at.unwrap_or(newest);
    let value = eval_instant(&plan, &store, at.0, &options, &SlotCache::default()).map_err(|e| failed(&e))?;
    Ok(views::instant(&value, at))
}

/// Syntax errors with the query and a caret.
fn shown(text: &str, errors: &[ParseError]) -> String {
    let file = SourceFile::new("query", text);
    let findings: Vec<Diagnostic> = errors
        .iter()
        .map(|e| {
            let mut finding = Diagnostic::error(e.code, &file, e.span.clone(), e.message.clone());
            finding.label = e.label.clone();
            finding.help = e.help.clone();
            finding
        })
        .collect();
    crate::diag::text(&findings, super::report::text_style())
}

/// One line per sample, as promtool prints them.
fn text(data: &Json, out: &mut dyn Write) -> std::io::Result<()> {
    let rows = match data.get("result") {
        Some(Json::Array(rows)) => rows.clone(),
        _ => Vec::new(),
    };
    match data.get("resultType").and_then(Json::as_str) {
        Some("scalar" | "string") => {
            let value = rows.get(1).and_then(Json::as_str).unwrap_or_default();
            writeln!(out, "{}", crate::diag::harmless(value))
        }
        kind => {
            if rows.is_empty() {
                return writeln!(out, "empty result");
            }
            for row in &rows {
                let labels = serde_json::from_value::<Labels>(row.get("metric").cloned().unwrap_or(json!({})));
                let name = crate::diag::harmless(&labels.unwrap_or_default().to_string());
                let points = match kind {
                    Some("matrix") => row.get("values").and_then(Json::as_array).cloned().unwrap_or_default(),
                    _ => row.get("value").cloned().into_iter().collect(),
                };
                for point in points {
                    let at = point.get(0).and_then(Json::as_f64).unwrap_or_default();
                    let value = point.get(1).and_then(Json::as_str).unwrap_or_default();
                    writeln!(out, "{name} => {value} @ {}", Timestamp((at * 1000.0).round() as i64))?;
                }
            }
            Ok(())
        }
    }
}
