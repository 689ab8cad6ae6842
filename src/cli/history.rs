//! `alertd history`: what happened, to alerts and to messages about them.

use std::io::Write;

use serde_json::{Value, json};

use super::args::exit;
use super::ask::{ClientError, failed, get, list, misused, text, time_parameter};
use super::record_args::{HistoryArgs, HistoryFormat};
use super::table::Table;
use crate::http::csv;
use crate::model::format_duration;

/// Rows that are asked for at once.
const PAGE: usize = crate::http::kept::ROWS_MAX;

/// Runs the command.
pub fn run(args: &HistoryArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    if args.limit == 0 {
        return misused("--limit must be at least 1");
    }
    let (events, more) = match all(args) {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    match args.output {
        HistoryFormat::Json => writeln!(out, "{}", json!({ "events": events }))?,
        HistoryFormat::Csv => {
            out.write_all(csv::heading().as_bytes())?;
            events.iter().try_for_each(|event| out.write_all(csv::line(event).as_bytes()))?;
        }
        HistoryFormat::Text if events.is_empty() => writeln!(out, "nothing happened that fits")?,
        HistoryFormat::Text => table(&events).write(out)?,
    }
    if more {
        out.flush()?;
        writeln!(std::io::stderr().lock(), "there are older events; --limit shows more")?;
    }
    Ok(exit::CLEAN)
}

/// The newest events that fit, newest first, and whether there are more.
fn all(args: &HistoryArgs) -> Result<(Vec<Value>, bool), ClientError> {
    let mut filters: Vec<(&str, String)> = args.matchers.iter().map(|m| ("match[]", m.to_string())).collect();
    filters.extend(args.since.map(|age| ("from", format!("-{}", format_duration(age)))));
    filters.extend(args.from.map(|at| ("from", time_parameter(at))));
    filters.extend(args.to.map(|at| ("to", time_parameter(at))));
    for (name, value) in [
        ("rule", &args.rule),
        ("severity", &args.severity),
        ("handler", &args.handler),
        ("fingerprint", &args.fingerprint),
    ] {
        filters.extend(value.iter().map(|value| (name, value.clone())));
    }
    filters.extend(args.kind.iter().map(|kind| ("kind", kind.clone())));
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = filters.clone();
        query.push(("limit", (args.limit - found.len()).min(PAGE).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = get(&args.server.server, "/api/v1/history", &query)?;
        found.extend(list(&page, "events"));
        cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || found.len() >= args.limit {
            return Ok((found, cursor.is_some()));
        }
    }
}

fn table(events: &[Value]) -> Table {
    let mut table = Table::new(&["TIME", "KIND", "SEVERITY", "ALERT", "HANDLER", "REASON", "LABELS"]);
    for event in events.iter().rev() {
        let of = |key: &str| text(event, key).to_owned();
        table.row([of("time"), of("kind"), of("severity"), of("rule"), of("handler"), reason(event), labels(event)]);
    }
    table
}

/// Why, with the detail that says most.
fn reason(event: &Value) -> String {
    let reason = text(event, "reason");
    let detail = event.get("detail").cloned().unwrap_or_default();
    let of = |key: &str| text(&detail, key);
    match text(event, "kind") {
        "silence" => format!("{reason} by {}: {}", of("created_by"), of("comment")),
        "transition" if !of("why").is_empty() => format!("{reason}, {}", of("why")),
        "held" if !of("by").is_empty() => format!("{reason}: {}", of("by")),
        _ => reason.to_owned(),
    }
}

/// The labels of the alert, or the matchers of the silence.
fn labels(event: &Value) -> String {
    if text(event, "kind") == "silence" {
        let matchers = event.get("detail").map(|detail| list(detail, "matchers")).unwrap_or_default();
        return matchers.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    }
    let labels = event.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let shown = labels.iter().filter(|(name, _)| *name != "alertname" && *name != "severity");
    shown.map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" ")
}
