//! Who may ask: the checks in front of every route, and the headers behind it.
//!
//! A page of another site must neither change anything here (CSRF) nor read anything (no CORS; a foreign `Host` on a
//! loopback address means a name was pointed at us, DNS rebinding). What is a change is told by the method alone.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reqwest::Url;

use super::error::{ApiError, ErrorKind};

/// What the checks need to know.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whether only this machine can reach the server: then only its own names are accepted as `Host`.
    pub loopback: bool,
    /// Where people reach the server, if a proxy stands in front.
    pub external_url: Option<Url>,
}

impl Guard {
    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        if headers.get_all(header::HOST).iter().count() > 1 {
            // What a proxy in front took for the host must be what is checked here.
            return Err(ApiError::bad("more than one Host header"));
        }
        // A request line with a whole URL counts before the header (RFC 9112 §3.2.2).
        let host = request.uri().authority().map(|a| a.as_str()).or_else(|| text(headers, header::HOST)).unwrap_or("");
        if self.loopback && !self.own_name(host) {
            return Err(forbidden(format!("host {host:?} is not a name of this server (see external_url)")));
        }
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        if let Some(site) = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok())
            && !matches!(site, "same-origin" | "none")
        {
            return Err(forbidden(format!("a {site} request may not change anything")));
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !self.own_origin(origin, host) {
                return Err(forbidden(format!("a request from origin {origin:?} may not change anything")));
            }
        }
        Ok(())
    }

    fn own_name(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let external = self.external_url.as_ref().and_then(Url::host_str);
        ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(external).any(|own| name.eq_ignore_ascii_case(own))
    }

    fn own_origin(&self, origin: &str, host: &str) -> bool {
        let external = self.external_url.as_ref().map(|url| url.origin().ascii_serialization());
        let here = origin.split_once("://").is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && !host.is_empty() && authority.eq_ignore_ascii_case(host)
        });
        here || external.is_some_and(|own| own.eq_ignore_ascii_case(origin))
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(message: String) -> ApiError {
    ApiError::new(ErrorKind::Forbidden, message)
}

/// Middleware: the checks before, the headers after.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    for (name, value) in [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // Under `no-referrer` browsers would send the forms of our own page as if they came from nowhere.
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// No script at all, styles and pictures from here only, forms to here only, in nobody's frame.
const CSP: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
