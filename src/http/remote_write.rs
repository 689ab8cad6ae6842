//! `POST /api/v1/write`: Prometheus remote write 1.0 and 2.0.
//!
//! The answer follows the specifications: 204 where all was taken; 400 where something can never be taken, with the rest
//! taken all the same; 413 and 415 for what is too large or not understood; 429 and 503, with `Retry-After`, for what
//! may come once more, be it the whole or what found no room just now.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::api::{WriteFormat, Written};
use super::body;
use super::error::{ApiError, ErrorKind};
use super::routes::{Shared, media_type};

/// Remote writes at work at once; more wait.
pub const WRITES_MAX: usize = 4;
/// Remote writes that wait or are at work; more are asked to come again.
pub const WRITES_WAITING_MAX: usize = 64;
/// Longest text of reasons in an answer: senders log it.
const REASONS_LEN_MAX: usize = 2000;

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// The route.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/api/v1/write", post(write))
}

async fn write(State(shared): State<Shared>, request: Request) -> Response {
    match take(&shared, request).await {
        Ok(written) => answer_to(&written),
        Err(error) => counted(error.into_response(), &Written::default()),
    }
}

async fn take(shared: &Shared, request: Request) -> Result<Written, ApiError> {
    let (head, body) = request.into_parts();
    let format = format(&head.headers)?;
    let busy = |_| ApiError::new(ErrorKind::TooMany, "too many remote writes at once");
    let waiting = Arc::clone(&shared.writes_waiting).try_acquire_owned().map_err(busy)?;
    let held = body::read(&head.headers, body, body::WRITE_BYTES_MAX, &shared.budget).await?;
    let budget = shared.budget.clone();
    let written = shared.ask_within(&shared.writes, move |api| {
        let message = body::unsnap(held, body::WRITE_BYTES_MAX, &budget)?;
        api.remote_write(format, &message.bytes)
    });
    let written = written.await?;
    drop(waiting);
    written
}

/// Which message it is, by its content type; without one, or without its `proto`, it is that of 1.0.
fn format(headers: &HeaderMap) -> Result<WriteFormat, ApiError> {
    let refused = |message: String| Err(ApiError::new(ErrorKind::MediaType, message));
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING);
    if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("snappy")) {
        return refused(format!("content encoding {encoding:?} is not read; remote write is packed with snappy"));
    }
    let media = media_type(headers);
    if !(media.is_empty() || media == "application/x-protobuf") {
        return refused(format!("content type {media:?} is not read; use application/x-protobuf"));
    }
    let parameters = text(header::CONTENT_TYPE).split(';').skip(1).map(str::trim);
    let proto = parameters.filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| *name == "proto");
    match proto.map(|(_, value)| value.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(WriteFormat::V1),
        Some("io.prometheus.write.v2.Request") => Ok(WriteFormat::V2),
        Some(other) => refused(format!(
            "message {other:?} is not read; send prometheus.WriteRequest or io.prometheus.write.v2.Request"
        )),
    }
}

/// Says how much was taken, as 2.0 asks; 1.0 has no such headers and passes over them.
fn counted(mut response: Response, written: &Written) -> Response {
    for (name, count) in [(SAMPLES, written.samples), (HISTOGRAMS, written.histograms), (EXEMPLARS, written.exemplars)]
    {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
    response
}

fn answer_to(written: &Written) -> Response {
    let response = if written.refused == 0 {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let mut reasons = written.reasons.join("; ");
        reasons.truncate(reasons.floor_char_boundary(REASONS_LEN_MAX));
        let of = written.samples + written.histograms + written.refused;
        let kind = if written.again { ErrorKind::TooMany } else { ErrorKind::BadData };
        ApiError::new(kind, format!("{} of {of} samples refused: {reasons}", written.refused)).into_response()
    };
    counted(response, written)
}
