//! The HTTP client of one store: bounded concurrency, a deadline per question, no redirects, kept connections.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response};
use tokio::sync::Semaphore;

use super::RemoteError;
use super::body::{self, Body, LARGE_AT_ONCE_MAX};
use super::decode::Reader;
use super::settings::{Authorization, Settings};
use crate::net::address::refused;
use crate::net::{self, LookUp, ResolveError, Resolver, Scrub, innermost};
use crate::promql::{Answer, Question, When};

/// How long a connection that nothing uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// A store to ask; cheap to share.
pub struct RemoteStore {
    settings: Settings,
    client: Client,
    headers: HeaderMap,
    scrub: Scrub,
    queries: Semaphore,
    large: Arc<Semaphore>,
}

impl RemoteStore {
    /// Sets up the client; opens no connection.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Self::searching(settings, net::system)
    }

    /// As [`Self::new`], with another way to search for names.
    pub fn searching(settings: Settings, look_up: LookUp) -> Result<Self, String> {
        let (client, headers, scrub) = (client(&settings, look_up)?, headers(&settings)?, settings.scrub());
        let (queries, large) = (Semaphore::new(settings.queries_max), Arc::new(Semaphore::new(LARGE_AT_ONCE_MAX)));
        Ok(Self { settings, client, headers, scrub, queries, large })
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks; waits for a place first. `limit` is for all of it.
    pub async fn ask(&self, question: &Question, limit: Duration) -> Result<Answer, RemoteError> {
        let limit = limit.min(self.settings.timeout);
        let mut form = vec![("query", question.text.to_string()), ("timeout", format!("{}ms", limit.as_millis()))];
        let path = match question.when {
            When::At(at) => {
                form.push(("time", seconds(at)));
                "/api/v1/query"
            }
            When::Range { start_ms, end_ms, step_ms } => {
                form.push(("start", seconds(start_ms)));
                form.push(("end", seconds(end_ms)));
                form.push(("step", seconds(step_ms)));
                "/api/v1/query_range"
            }
        };
        let said = self.exchange(path, form, limit).await;
        let read = |(status, body): (u16, Body)| self.reader().answer(status, &body.bytes, question.when);
        said.and_then(read).map_err(|error| self.named(error))
    }

    fn reader(&self) -> Reader<'_> {
        Reader { scrub: &self.scrub, bytes_max: self.settings.response_bytes_max }
    }

    /// The names of metrics that the store knows, sorted.
    pub async fn metric_names(&self, limit: Duration) -> Result<Vec<String>, RemoteError> {
        let said = self.exchange("/api/v1/label/__name__/values", Vec::new(), limit).await;
        let read = |(status, body): (u16, Body)| self.reader().names(status, &body.bytes);
        let mut names = said.and_then(read).map_err(|error| self.named(error))?;
        names.sort_unstable();
        Ok(names)
    }

    /// An error with the store that it is of.
    fn named(&self, error: RemoteError) -> RemoteError {
        let named = |text: String| {
            format!("store {} ({}): {}", self.settings.name, self.settings.shown(), self.scrub.clean(&text))
        };
        match error {
            RemoteError::Store(text) => RemoteError::Store(named(text)),
            RemoteError::Query(text) => RemoteError::Query(named(text)),
        }
    }

    async fn exchange(
        &self,
        path: &str,
        mut form: Vec<(&str, String)>,
        limit: Duration,
    ) -> Result<(u16, Body), RemoteError> {
        if let Some(why) = refused(&self.settings.url, false) {
            return Err(RemoteError::Store(why));
        }
        form.extend(self.settings.params.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let exchange = async {
            let _place = self.queries.acquire().await;
            // `label/…/values` takes no form.
            let method = if path.ends_with("/values") { Method::GET } else { Method::POST };
            let mut response = self.send(method.clone(), path, &form).await?;
            if method == Method::POST && matches!(response.status().as_u16(), 405 | 501) {
                response = self.send(Method::GET, path, &form).await?;
            }
            let status = response.status().as_u16();
            if response.status().is_redirection() {
                let message = format!("HTTP {status}: a redirect, which is not followed; give the final address");
                return Err(RemoteError::Store(message));
            }
            let body = body::read(response, self.settings.response_bytes_max, &self.large, &self.scrub).await?;
            Ok((status, body))
        };
        let late = |_| RemoteError::Store(format!("no answer within {:.2}s", limit.as_secs_f64()));
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, String)]) -> Result<Response, RemoteError> {
        let mut url = self.settings.endpoint(path);
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = if method == Method::POST {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            self.client.post(url).header("Content-Type", kind).body(encoded)
        } else {
            let query = [url.query().unwrap_or_default(), &encoded].join("&");
            url.set_query(Some(query.trim_matches('&')).filter(|query| !query.is_empty()));
            self.client.get(url)
        };
        let sent = request.headers(self.headers.clone()).send().await;
        sent.map_err(|error| {
            let what = match net::find::<ResolveError>(&error) {
                Some(ResolveError::Lookup { .. }) => "cannot look up",
                _ if error.is_connect() => "cannot connect:",
                _ => "the request failed:",
            };
            RemoteError::Store(format!("{what} {}", innermost(&error.without_url())))
        })
    }
}

/// Seconds with milliseconds.
fn seconds(ms: i64) -> String {
    let (sign, size) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    format!("{sign}{}.{:03}", size / 1000, size % 1000)
}

pub(super) fn headers(settings: &Settings) -> Result<HeaderMap, String> {
    use base64::Engine as _;
    let mut headers = HeaderMap::new();
    // The words of these errors hold no part of the value.
    for (name, value) in &settings.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("header {name:?} is no name"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| format!("the value of header {name} cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    let value = match &settings.authorization {
        None => return Ok(headers),
        Some(Authorization::Basic(user, password)) => {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        Some(Authorization::Scheme(scheme, credentials)) => format!("{scheme} {credentials}"),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| "the credentials cannot be sent".to_owned())?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

pub(super) fn client(settings: &Settings, look_up: LookUp) -> Result<Client, String> {
    let resolver = Resolver::new(false, settings.timeout).searching(look_up);
    let builder = net::client()
        .pool_max_idle_per_host(settings.queries_max)
        .pool_idle_timeout(IDLE_MAX)
        .dns_resolver(Arc::new(resolver));
    settings.tls.build(builder, settings.url.scheme() == "http")
}
