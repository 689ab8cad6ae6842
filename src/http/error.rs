//! Errors as HTTP clients see them: `{"status":"error","errorType":…,"error":…}`, as the Prometheus API has it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

/// When a client may come again, seconds.
pub const RETRY_AFTER: &str = "1";

/// What kind of error: decides status and `errorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A parameter or body is wrong (400).
    BadData,
    /// The request comes from where it must not (403).
    Forbidden,
    /// Nothing there (404).
    NotFound,
    /// The method is not for this path (405).
    Method,
    /// Body or answer above a limit (413).
    TooLarge,
    /// Content type or encoding that is not read (415).
    MediaType,
    /// Too many of these at once (429).
    TooMany,
    /// The query is right but cannot be carried out (422).
    Execution,
    /// Took too long (503).
    Timeout,
    /// Cannot be done now (503).
    Unavailable,
    /// A fault of ours (500).
    Internal,
}

impl ErrorKind {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Whether the same request may be answered a little later.
    pub const fn passes(self) -> bool {
        matches!(self, Self::TooMany | Self::Timeout | Self::Unavailable)
    }

    /// An answer that says so, to the client and, by its extension, to who counts refusals.
    pub(super) fn marked(self, mut response: Response) -> Response {
        if self.passes() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response.extensions_mut().insert(self);
        response
    }

    /// The word for it, `errorType` of an answer.
    pub const fn word(self) -> &'static str {
        self.parts().1
    }

    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// An error for a client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind.
    pub kind: ErrorKind,
    /// What is wrong, for people; free of secrets.
    pub message: String,
}

impl ApiError {
    /// An error.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A wrong parameter or body.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadData, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind.parts();
        let body = serde_json::json!({"status": "error", "errorType": kind, "error": self.message});
        let response = (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        self.kind.marked(response)
    }
}
