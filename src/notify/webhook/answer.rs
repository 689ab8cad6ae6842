//! Judges a receiver's answer: taken, not now, or never; with the receiver's own words, made harmless.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value as Json;
use url::Url;

use super::wire::{Answer, Cut};
use crate::config::preset::Preset;
use crate::model::Timestamp;
use crate::model::visible::visible;
use crate::net::{RETRY_AFTER_MAX, Scrub, asked, quote, shown};
use crate::notify::handler::{Failure, FailureClass, Outcome, Phase};

/// What an answer means.
pub fn judge(answer: &Answer, preset: &Preset, scrub: &Scrub, now: Timestamp) -> Outcome {
    let quote = quote(&answer.body, scrub);
    let told = |what: &str| if quote.is_empty() { what.to_owned() } else { format!("{what}: {quote}") };
    let status = answer.status;
    let failed =
        |class: FailureClass, message: String| Failure { class, phase: Phase::Answer, message, maybe_taken: false };
    let again = |class: FailureClass| Outcome::Retry {
        after: pause(answer, preset, now),
        failure: failed(class, told(&format!("the receiver answered {status}"))),
        done: Vec::new(),
    };
    match status {
        200..300 => success(answer, preset, &told),
        300..400 => {
            let message =
                format!("the receiver answered {status}{}; redirects are not followed", location(&answer.headers));
            Outcome::Rejected { failure: failed(FailureClass::ClientError, message) }
        }
        429 => again(FailureClass::RateLimited),
        408 | 425 => again(FailureClass::ServerError),
        500.. => again(FailureClass::ServerError),
        _ if preset.retry.contains(&status) => again(FailureClass::ServerError),
        _ => Outcome::Rejected {
            failure: failed(FailureClass::ClientError, told(&format!("the receiver answered {status}"))),
        },
    }
}

/// An answer of 2xx is success if it is what the preset says success is.
fn success(answer: &Answer, preset: &Preset, told: &dyn Fn(&str) -> String) -> Outcome {
    let wanted = &preset.success;
    let status = answer.status;
    let refused = |message: String| Outcome::Rejected {
        failure: Failure { class: FailureClass::ClientError, phase: Phase::Answer, message, maybe_taken: false },
    };
    if !wanted.status.is_empty() && !wanted.status.contains(&status) {
        return refused(told(&format!("the receiver answered {status}, which is no success here")));
    }
    if wanted.body.is_some() || !wanted.json.is_empty() {
        // Without the whole body nobody knows.
        let unknown = match &answer.cut {
            Some(Cut::Slow) => Some((FailureClass::Timeout, "its answer did not end in time".to_owned())),
            Some(Cut::Broken(reason)) => Some((FailureClass::Network, format!("its answer broke off: {reason}"))),
            Some(Cut::Long) | None => None,
        };
        if let Some((class, message)) = unknown {
            let failure = Failure { class, phase: Phase::Body, message, maybe_taken: true };
            return Outcome::Retry { after: None, failure, done: Vec::new() };
        }
        if !is_success(&answer.body, wanted) {
            return refused(told(&format!("the receiver answered {status}, but not with success")));
        }
    }
    let note = match &answer.cut {
        Some(Cut::Slow) => " (its answer did not end in time)",
        _ => "",
    };
    Outcome::sent(format!("{}{note}", told(&status.to_string())))
}

fn is_success(body: &[u8], wanted: &crate::config::preset::Success) -> bool {
    let text = String::from_utf8_lossy(body);
    let as_body = wanted.body.as_ref().is_none_or(|body| text.trim() == body);
    if wanted.json.is_empty() || as_body == wanted.any {
        return as_body;
    }
    let Ok(json) = serde_json::from_str::<Json>(&text) else { return false };
    wanted.json.iter().all(|(path, value)| field(&json, path).is_some_and(|found| as_text(found) == *value))
}

/// The field of that path: names with dots between.
fn field<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, name| json.get(name))
}

fn as_text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn location(headers: &HeaderMap) -> String {
    let url = headers.get(LOCATION).and_then(|v| v.to_str().ok()).and_then(|text| Url::parse(text).ok());
    url.filter(Url::has_host).map(|url| format!(" and points to {}", visible(&shown(&url)))).unwrap_or_default()
}

/// How long the receiver asks to wait.
fn pause(answer: &Answer, preset: &Preset, now: Timestamp) -> Option<Duration> {
    asked(&answer.headers, now).or_else(|| {
        let path = preset.retry_after.as_ref()?;
        let json: Json = serde_json::from_slice(&answer.body).ok()?;
        let seconds = field(&json, path)?.as_f64().filter(|s| (0.0..=1e9).contains(s))?;
        Some(Duration::from_secs_f64(seconds).min(RETRY_AFTER_MAX))
    })
}
