//! `alertd alerts` and `alertd rules`: what a running daemon evaluates.

use std::io::Write;

use serde_json::Value;

use super::args::{ClientArgs, ClientFormat, exit};
use super::ask::{failed, get};
use super::table::Table;
use crate::model::Severity;

/// `alertd alerts`: what is pending or fires, worst first.
pub fn alerts(args: &ClientArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let data = match get(&args.ask.server.server, "/api/v1/alerts", &[]) {
        Ok(data) => data,
        Err(error) => return failed(&error),
    };
    let mut list = filtered(data.get("alerts"), args.filter.as_deref());
    list.sort_by_cached_key(order);
    if args.ask.output == ClientFormat::Json {
        writeln!(out, "{}", serde_json::json!({ "alerts": list }))?;
        return Ok(exit::CLEAN);
    }
    if list.is_empty() {
        writeln!(out, "no alert is pending or fires")?;
        return Ok(exit::CLEAN);
    }
    let mut table = Table::new(&["STATE", "SEVERITY", "ALERT", "VALUE", "SINCE", "LABELS", "RULE"]);
    for alert in &list {
        let quiet = alert.get("notTold").and_then(Value::as_array).map(|words| !words.is_empty());
        let labels = alert.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let shown = labels.iter().filter(|(n, _)| *n != "alertname" && *n != "severity");
        let shown: Vec<String> = shown.map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or_default())).collect();
        let text = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let label = |key: &str| labels.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let origin = text("origin");
        table.row([
            if quiet == Some(true) { format!("{}, muted", text("state")) } else { text("state") },
            label("severity"),
            label("alertname"),
            number(&text("value")),
            text("activeAt"),
            shown.join(" "),
            origin,
        ]);
    }
    table.write(out)?;
    Ok(exit::CLEAN)
}

/// `alertd rules`: every rule with state and health.
pub fn rules(args: &ClientArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let data = match get(&args.ask.server.server, "/api/v1/rules", &[]) {
        Ok(data) => data,
        Err(error) => return failed(&error),
    };
    let groups = data.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut list = Vec::new();
    for group in &groups {
        let file = group.get("file").and_then(Value::as_str).unwrap_or_default();
        for rule in filtered(group.get("rules"), args.filter.as_deref()) {
            let mut rule = rule;
            rule["file"] = Value::String(file.to_owned());
            list.push(rule);
        }
    }
    if args.ask.output == ClientFormat::Json {
        writeln!(out, "{}", serde_json::json!({ "rules": list }))?;
        return Ok(exit::CLEAN);
    }
    let mut table = Table::new(&["STATE", "HEALTH", "RULE", "ALERTS", "LAST EVALUATION", "FILE", "ERROR"]);
    for rule in &list {
        let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let alerts = rule.get("alerts").and_then(Value::as_array).map_or(0, Vec::len);
        let alerts = alerts.to_string();
        let state = if text("type") == "recording" { "recording".to_owned() } else { text("state") };
        let cells = [state, text("health"), text("name"), alerts, time(&text("lastEvaluation")), text("file")];
        let [state, health, name, alerts, last, file] = cells;
        table.row([state, health, name, alerts, last, file, text("lastError")]);
    }
    table.write(out)?;
    Ok(exit::CLEAN)
}

/// A number of the API (`9.2e+01`) as people write it.
fn number(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
            rounded.to_string()
        }
        _ => text.to_owned(),
    }
}

/// A time of the API; the year 1 stands for "never".
fn time(text: &str) -> String {
    if text.starts_with("0001-") { "never".to_owned() } else { text.to_owned() }
}

/// Worst first, then oldest first.
fn order(alert: &Value) -> (std::cmp::Reverse<u8>, std::cmp::Reverse<Option<Severity>>, String) {
    let text = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or_default();
    let firing = u8::from(text("state") == "firing");
    let severity = Severity::from_name(text("severity"));
    (std::cmp::Reverse(firing), std::cmp::Reverse(severity), text("activeAt").to_owned())
}

/// Entries whose JSON contains the filter.
fn filtered(list: Option<&Value>, filter: Option<&str>) -> Vec<Value> {
    let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
    match filter {
        None => list,
        Some(text) => list.into_iter().filter(|entry| entry.to_string().contains(text)).collect(),
    }
}
