//! `alertd outbox list|retry|drop`.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{ClientFormat, exit};
use super::ask::{Call, ClientError, call, failed, get, list, text};
use super::record_args::{OutboxCommand, OutboxDropArgs, OutboxListArgs, OutboxRetryArgs};
use super::table::Table;
use crate::model::format_duration;

/// Rows that are asked for at once.
const PAGE: usize = 1000;

/// Runs the command.
pub fn run(command: &OutboxCommand, out: &mut dyn Write) -> std::io::Result<u8> {
    match command {
        OutboxCommand::List(args) => list_all(args, out),
        OutboxCommand::Retry(args) => retry(args, out),
        OutboxCommand::Drop(args) => remove(args, out),
    }
}

/// Notices, and whether there are more than the limit.
fn all(args: &OutboxListArgs) -> Result<(Vec<Value>, bool), ClientError> {
    let mut found = Vec::new();
    let mut after: Option<u64> = None;
    loop {
        let limit = (args.limit - found.len()).min(PAGE);
        let mut query = vec![("limit", limit.to_string())];
        query.extend(args.handler.iter().map(|handler| ("handler", handler.clone())));
        query.extend(args.state.map(|state| ("state", state.as_str().to_owned())));
        query.extend(after.map(|after| ("after", after.to_string())));
        let page = get(&args.ask.server.server, "/api/v1/outbox", &query)?;
        found.extend(list(&page, "notices"));
        after = page.get("next").and_then(Value::as_u64);
        if after.is_none() || found.len() >= args.limit {
            return Ok((found, after.is_some()));
        }
    }
}

fn list_all(args: &OutboxListArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    if args.limit == 0 {
        return super::ask::misused("--limit must be at least 1");
    }
    let (found, more) = match all(args) {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    if args.ask.output == ClientFormat::Json {
        writeln!(out, "{}", json!({ "notices": found }))?;
        return Ok(exit::CLEAN);
    }
    if found.is_empty() {
        writeln!(out, "no notice waits and none was given up")?;
        return Ok(exit::CLEAN);
    }
    let mut table =
        Table::new(&["ID", "STATE", "HANDLER", "KIND", "ALERTS", "AGE", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"]);
    for notice in &found {
        let alerts = list(notice, "alerts");
        let alerts: Vec<&str> = alerts.iter().filter_map(Value::as_str).collect();
        let of = |key: &str| text(notice, key).to_owned();
        let attempts = notice.get("attempts").and_then(Value::as_u64).unwrap_or(0).to_string();
        let cells = [of("id"), state(notice), of("handler"), of("kind"), alerts.join(","), age(notice), attempts];
        let [id, state, handler, kind, alerts, age, attempts] = cells;
        table.row([id, state, handler, kind, alerts, age, attempts, of("next_attempt"), of("last_error")]);
    }
    table.write(out)?;
    if more {
        out.flush()?;
        writeln!(std::io::stderr().lock(), "there are more; --limit shows them")?;
    }
    Ok(exit::CLEAN)
}

fn state(notice: &Value) -> String {
    let is = |key: &str| notice.get(key).and_then(Value::as_bool).unwrap_or_default();
    match (is("under_way"), is("maybe_sent")) {
        (true, _) => "under way".to_owned(),
        (false, true) => format!("{} (maybe sent)", text(notice, "state")),
        (false, false) => text(notice, "state").to_owned(),
    }
}

fn age(notice: &Value) -> String {
    let seconds = notice.get("age_seconds").and_then(Value::as_f64).unwrap_or(0.0);
    format_duration(Duration::from_secs(seconds.max(0.0) as u64))
}

fn retry(args: &OutboxRetryArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let chosen = match &args.handler {
        Some(handler) => json!({ "handler": handler }),
        None => json!({ "ids": args.ids }),
    };
    let done = match call(&args.ask.server.server, "/api/v1/outbox/retry", &Call::Post(&chosen)) {
        Ok(done) => done,
        Err(error) => return failed(&error),
    };
    let retried = list(&done, "retried");
    match args.ask.output {
        ClientFormat::Text => writeln!(out, "{}", counted("retried", retried.len()))?,
        ClientFormat::Json => writeln!(out, "{done}")?,
    }
    missing(&args.ids, &retried, "is not there, or was not given up")
}

fn remove(args: &OutboxDropArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let chosen = match (&args.handler, args.state) {
        (Some(handler), None) => json!({ "handler": handler }),
        (Some(handler), Some(state)) => json!({"handler": handler, "state": state.as_str()}),
        (None, _) => json!({ "ids": args.ids }),
    };
    let done = match call(&args.ask.server.server, "/api/v1/outbox/drop", &Call::Post(&chosen)) {
        Ok(done) => done,
        Err(error) => return failed(&error),
    };
    let (dropped, under_way) = (list(&done, "dropped"), list(&done, "under_way"));
    match args.ask.output {
        ClientFormat::Text => writeln!(out, "{}", counted("removed", dropped.len()))?,
        ClientFormat::Json => writeln!(out, "{done}")?,
    }
    out.flush()?;
    for id in under_way.iter().filter_map(Value::as_str) {
        writeln!(std::io::stderr().lock(), "alertd: {id} is just being sent and stays; try again")?;
    }
    let answered: Vec<Value> = dropped.into_iter().chain(under_way.iter().cloned()).collect();
    let code = missing(&args.ids, &answered, "is not there")?;
    Ok(if under_way.is_empty() { code } else { exit::FINDINGS })
}

fn counted(what: &str, n: usize) -> String {
    format!("{what} {n} {}", if n == 1 { "notice" } else { "notices" })
}

/// Names the ids to which nothing was done.
fn missing(ids: &[String], done: &[Value], why: &str) -> std::io::Result<u8> {
    let mut code = exit::CLEAN;
    for id in ids.iter().filter(|id| !done.iter().any(|done| done.as_str() == Some(id))) {
        writeln!(std::io::stderr().lock(), "alertd: {} {why}", crate::diag::harmless(id))?;
        code = exit::FINDINGS;
    }
    Ok(code)
}
