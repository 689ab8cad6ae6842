//! Commands that ask a running daemon: `alerts`, `rules`, and `query` without data files.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::args::{ClientArgs, ClientFormat, exit};
use super::table::Table;
use crate::model::{Severity, Timestamp};

/// Deadline of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// Why the daemon did not answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No answer.
    #[error("no daemon answers at {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// What was given as its address is none.
    #[error("--server {text}: not a URL: {reason}")]
    NotAUrl {
        /// What was given.
        text: String,
        /// Why.
        reason: String,
    },
    /// An answer that says no.
    #[error("the daemon refused: {0}")]
    Refused(String),
    /// Something else listens there.
    #[error("what answers at {0} is no alertd")]
    NotAlertd(String),
}

impl ClientError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("start it with `alertd rules/`, or say where it is with --server URL"),
            Self::NotAUrl { .. } => Some("write it as http://127.0.0.1:9097"),
            Self::Refused(_) | Self::NotAlertd(_) => None,
        }
    }

    /// The exit code that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotAUrl { .. } => exit::USAGE,
            Self::Refused(_) => exit::FINDINGS,
            Self::Unreachable { .. } | Self::NotAlertd(_) => exit::UNREACHABLE,
        }
    }
}

/// The `data` of a Prometheus-shaped answer.
pub fn get(server: &str, path: &str, query: &[(&str, String)]) -> Result<Value, ClientError> {
    crate::app::tls::install();
    let unreachable = |reason: String| ClientError::Unreachable { url: server.to_owned(), reason };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| unreachable(e.to_string()))?;
    let mut url = reqwest::Url::parse(&format!("{}{path}", server.trim_end_matches('/')))
        .map_err(|e| ClientError::NotAUrl { text: server.to_owned(), reason: e.to_string() })?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query.iter().map(|(k, v)| (*k, v.as_str())));
    }
    let body = runtime.block_on(fetch(url)).map_err(|e| unreachable(innermost(&e)))?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| ClientError::NotAlertd(server.to_owned()))?;
    match answer.get("status").and_then(Value::as_str) {
        Some("success") => Ok(answer.get("data").cloned().unwrap_or(Value::Null)),
        Some("error") => {
            let text = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
            Err(ClientError::Refused(text.to_owned()))
        }
        _ => Err(ClientError::NotAlertd(server.to_owned())),
    }
}

async fn fetch(url: reqwest::Url) -> Result<Vec<u8>, reqwest::Error> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let mut response = client.get(url).send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LEN_MAX {
            break;
        }
    }
    Ok(body)
}

/// The cause that says most: transport errors wrap it several times.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// `alertd alerts`: what is pending or fires, worst first.
pub fn alerts(args: &ClientArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let data = match get(&args.server.server, "/api/v1/alerts", &[]) {
        Ok(data) => data,
        Err(error) => return failed(&error),
    };
    let mut list = filtered(data.get("alerts"), args.filter.as_deref());
    list.sort_by_cached_key(order);
    if args.output == ClientFormat::Json {
        writeln!(out, "{}", serde_json::json!({ "alerts": list }))?;
        return Ok(exit::CLEAN);
    }
    if list.is_empty() {
        writeln!(out, "no alert is pending or fires")?;
        return Ok(exit::CLEAN);
    }
    let mut table = Table::new(&["STATE", "SEVERITY", "ALERT", "VALUE", "SINCE", "LABELS", "RULE"]);
    for alert in &list {
        let labels = alert.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let shown = labels.iter().filter(|(n, _)| *n != "alertname" && *n != "severity");
        let shown: Vec<String> = shown.map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or_default())).collect();
        let text = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let label = |key: &str| labels.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let origin = text("origin");
        table.row([
            text("state"),
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
    let data = match get(&args.server.server, "/api/v1/rules", &[]) {
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
    if args.output == ClientFormat::Json {
        writeln!(out, "{}", serde_json::json!({ "rules": list }))?;
        return Ok(exit::CLEAN);
    }
    let mut table = Table::new(&["STATE", "HEALTH", "RULE", "ALERTS", "LAST EVALUATION", "FILE", "ERROR"]);
    for rule in &list {
        let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let alerts = rule.get("alerts").and_then(Value::as_array).map_or(0, Vec::len);
        let alerts = alerts.to_string();
        let cells = [text("state"), text("health"), text("name"), alerts, time(&text("lastEvaluation")), text("file")];
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

fn failed(error: &ClientError) -> std::io::Result<u8> {
    let mut err = std::io::stderr().lock();
    writeln!(err, "alertd: {error}")?;
    if let Some(help) = error.help() {
        writeln!(err, "help: {help}")?;
    }
    Ok(error.exit_code())
}

/// A time as a Prometheus API parameter.
pub fn time_parameter(at: Timestamp) -> String {
    at.as_secs_f64().to_string()
}
