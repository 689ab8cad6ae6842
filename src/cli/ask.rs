//! How the clients ask a running daemon: one request, and what its answer means.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::args::exit;
use crate::app::threads::Waiter;
use crate::model::Timestamp;

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

/// What is asked.
pub enum Call<'a> {
    /// Something is read.
    Get(&'a [(&'a str, String)]),
    /// Something is changed.
    Post(&'a Value),
    /// Something is ended.
    Delete,
}

/// The `data` of a Prometheus-shaped answer.
pub fn get(server: &str, path: &str, query: &[(&str, String)]) -> Result<Value, ClientError> {
    call(server, path, &Call::Get(query))
}

/// The `data` of a Prometheus-shaped answer to any call.
pub fn call(server: &str, path: &str, call: &Call<'_>) -> Result<Value, ClientError> {
    let (_, body) = exchange(server, path, call)?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| ClientError::NotAlertd(server.to_owned()))?;
    match answer.get("status").and_then(Value::as_str) {
        Some("success") => Ok(answer.get("data").cloned().unwrap_or(Value::Null)),
        Some("error") => Err(ClientError::Refused(error_text(&answer))),
        _ => Err(ClientError::NotAlertd(server.to_owned())),
    }
}

/// An answer of the API that is shaped as Alertmanager's: the value itself, or an error as a text.
pub fn call_v2(server: &str, path: &str, call: &Call<'_>) -> Result<Value, ClientError> {
    let (status, body) = exchange(server, path, call)?;
    let is_ok = (200..300).contains(&status);
    if is_ok && body.is_empty() {
        return Ok(Value::Null);
    }
    let answer: Value = serde_json::from_slice(&body).map_err(|_| ClientError::NotAlertd(server.to_owned()))?;
    if is_ok { Ok(answer) } else { Err(ClientError::Refused(error_text(&answer))) }
}

fn error_text(answer: &Value) -> String {
    let text = answer.as_str().or_else(|| answer.get("error")?.as_str());
    text.unwrap_or("no reason given").to_owned()
}

fn exchange(server: &str, path: &str, call: &Call<'_>) -> Result<(u16, Vec<u8>), ClientError> {
    crate::net::install();
    let unreachable = |reason: String| ClientError::Unreachable { url: server.to_owned(), reason };
    let waiter = Waiter::new().map_err(|e| unreachable(e.to_string()))?;
    let mut url = reqwest::Url::parse(&format!("{}{path}", server.trim_end_matches('/')))
        .map_err(|e| ClientError::NotAUrl { text: server.to_owned(), reason: e.to_string() })?;
    if let Call::Get(query) = call
        && !query.is_empty()
    {
        url.query_pairs_mut().extend_pairs(query.iter().map(|(k, v)| (*k, v.as_str())));
    }
    waiter.block_on(fetch(url, call)).map_err(|e| unreachable(crate::net::innermost(&e)))
}

async fn fetch(url: reqwest::Url, call: &Call<'_>) -> Result<(u16, Vec<u8>), reqwest::Error> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let request = match call {
        Call::Get(_) => client.get(url),
        Call::Post(body) => client.post(url).header("Content-Type", "application/json").body(body.to_string()),
        Call::Delete => client.delete(url),
    };
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LEN_MAX {
            break;
        }
    }
    Ok((response.status().as_u16(), body))
}

/// Tells why the daemon did not answer; the exit code.
pub fn failed(error: &ClientError) -> std::io::Result<u8> {
    let mut err = std::io::stderr().lock();
    writeln!(err, "alertd: {error}")?;
    if let Some(help) = error.help() {
        writeln!(err, "help: {help}")?;
    }
    Ok(error.exit_code())
}

/// Tells what is wrong with what was typed; the exit code.
pub fn misused(message: &str) -> std::io::Result<u8> {
    writeln!(std::io::stderr().lock(), "alertd: {message}")?;
    Ok(exit::USAGE)
}

/// A time as a Prometheus API parameter.
pub fn time_parameter(at: Timestamp) -> String {
    at.as_secs_f64().to_string()
}

/// A text as one part of a path.
pub fn path_part(text: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.bytes().map(|b| if safe(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The text under a key of an answer; empty where there is none.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The list under a key of an answer.
pub fn list(value: &Value, key: &str) -> Vec<Value> {
    value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}
