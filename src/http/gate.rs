//! What is turned away before anything of it is read, and the count of all that is turned away.
//!
//! For want of memory samples are turned away first, then what people ask; what keeps alerting going never.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::{Api, Shedding};
use super::body;
use super::error::{ApiError, ErrorKind};

/// What a body is taken to have that does not tell its length.
const UNTOLD_BYTES: u64 = 64 << 10;
/// By how much compressed samples grow.
const UNPACKED_FACTOR: u64 = 4;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It brings samples.
    Ingest,
    /// Somebody wants to know something.
    Ask,
    /// Alerting and its operation depend on it: pings of jobs, silences, health, metrics.
    Vital,
}

impl Class {
    fn of(method: &Method, path: &str) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let under = |prefix: &str| path.starts_with(prefix);
        let operation = under("/-/") || under("/ack/") || path == "/metrics" || under("/api/v1/heartbeat");
        if path == "/api/v1/write" || under("/api/v1/import") || under("/v1/") {
            Self::Ingest
        } else if operation
            || (!reads
                && (under("/api/v2/") || under("/api/v1/outbox/") || under("/api/v1/acks") || path == "/silences"))
        {
            Self::Vital
        } else {
            Self::Ask
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Ask => "ask",
            Self::Vital => "vital",
        }
    }

    const fn is_shed(self, shedding: Shedding) -> bool {
        match self {
            Self::Ingest => !matches!(shedding, Shedding::None),
            Self::Ask => matches!(shedding, Shedding::All),
            Self::Vital => false,
        }
    }
}

/// Bytes of samples that a request brings, as far as its head tells.
fn brought(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let packed = headers.contains_key(header::CONTENT_ENCODING);
    // More is refused when it is read, and must not keep others out.
    let length = length.unwrap_or(UNTOLD_BYTES).min(body::IMPORT_BYTES_MAX as u64);
    length * if packed { UNPACKED_FACTOR } else { 1 }
}

/// Whether a process that stands by has an answer: about itself, its samples, and the history, which is everybody's.
fn is_answered_while_waiting(method: &Method, path: &str) -> bool {
    const SAMPLES: [&str; 8] =
        ["query", "query_range", "query_exemplars", "series", "labels", "metadata", "format_query", "history"];
    let of_api = path.strip_prefix("/api/v1/").unwrap_or_default();
    Class::of(method, path) == Class::Ingest
        || ["/-/", "/assets/"].iter().any(|prefix| path.starts_with(prefix))
        || ["/metrics", "/graph", "/federate", "/api/openapi.json"].contains(&path)
        || SAMPLES.contains(&of_api)
        || ["label/", "status"].iter().any(|prefix| of_api.starts_with(prefix))
}

/// Middleware: turns away what only the process that decides and tells can answer.
pub(super) async fn wait(State(api): State<Arc<dyn Api>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    match api.waits() {
        Some(why) if !is_answered_while_waiting(request.method(), path) => match path.starts_with("/api/") {
            true => ApiError::new(ErrorKind::Unavailable, why).into_response(),
            // Somebody looks at it.
            false => {
                ErrorKind::Unavailable.marked((StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response())
            }
        },
        _ => next.run(request).await,
    }
}

/// Middleware: turns away what there is no memory for.
pub(super) async fn shed(State(api): State<Arc<dyn Api>>, request: Request, next: Next) -> Response {
    let class = Class::of(request.method(), request.uri().path());
    if class.is_shed(api.shedding()) || (class == Class::Ingest && !api.admits(brought(request.headers()))) {
        return ApiError::new(ErrorKind::Memory, "there is no memory for this now").into_response();
    }
    next.run(request).await
}

/// Middleware: counts what was refused, whoever refused it.
pub(super) async fn count(State(api): State<Arc<dyn Api>>, request: Request, next: Next) -> Response {
    let class = Class::of(request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(kind) = response.extensions().get::<ErrorKind>() {
        api.refused(class.word(), kind.reason());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_first_then_what_people_ask_and_what_alerting_lives_on_never() {
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        for (method, path, want) in [
            (&post, "/api/v1/write", Class::Ingest),
            (&post, "/api/v1/import", Class::Ingest),
            (&post, "/api/v1/import/prometheus", Class::Ingest),
            (&post, "/v1/metrics", Class::Ingest),
            (&post, "/api/v1/query", Class::Ask),
            (&get, "/", Class::Ask),
            (&get, "/api/v2/silences", Class::Ask),
            (&get, "/federate", Class::Ask),
            (&get, "/api/v1/status", Class::Ask),
            (&post, "/api/v2/silences", Class::Vital),
            (&post, "/silences", Class::Vital),
            (&get, "/silences", Class::Ask),
            (&delete, "/api/v2/silence/1", Class::Vital),
            (&post, "/api/v1/outbox/retry", Class::Vital),
            (&post, "/api/v1/heartbeat/backup", Class::Vital),
            (&get, "/-/ready", Class::Vital),
            (&post, "/-/reload", Class::Vital),
            (&get, "/metrics", Class::Vital),
        ] {
            assert_eq!(Class::of(method, path), want, "{method} {path}");
        }
        let shed = |shedding| [Class::Ingest, Class::Ask, Class::Vital].map(|class| class.is_shed(shedding));
        assert_eq!(shed(Shedding::None), [false, false, false]);
        assert_eq!(shed(Shedding::Ingest), [true, false, false]);
        assert_eq!(shed(Shedding::All), [true, true, false]);
    }
}
