//! The HTTP client of one store: bounded concurrency, a deadline per question, no redirects, kept connections.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, Response};
use tokio::sync::Semaphore;

use super::body::{self, LARGE_AT_ONCE_MAX, innermost};
use super::resolve::Resolver;
use super::settings::{Authorization, Settings};
use super::{RemoteError, decode};
use crate::promql::{Answer, Question, When};

/// Largest PEM file that is read, in bytes.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// How long a connection that nothing uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// A store to ask; cheap to share.
pub struct RemoteStore {
    settings: Settings,
    client: Client,
    headers: HeaderMap,
    queries: Semaphore,
    large: Arc<Semaphore>,
}

impl RemoteStore {
    /// Sets up the client; opens no connection.
    pub fn new(settings: Settings) -> Result<Self, String> {
        // Another part of the process may have installed it already; both install the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (client, headers) = (client(&settings)?, headers(&settings)?);
        let (queries, large) = (Semaphore::new(settings.queries_max), Arc::new(Semaphore::new(LARGE_AT_ONCE_MAX)));
        Ok(Self { settings, client, headers, queries, large })
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
        said.and_then(|(status, body)| decode::answer(status, &body, question.when)).map_err(|error| self.named(error))
    }

    /// The names of metrics that the store knows, sorted.
    pub async fn metric_names(&self, limit: Duration) -> Result<Vec<String>, RemoteError> {
        let said = self.exchange("/api/v1/label/__name__/values", Vec::new(), limit).await;
        let read = |(status, body): (u16, Vec<u8>)| decode::envelope::<Vec<String>>(status, &body);
        let mut names = said.and_then(read).map_err(|error| self.named(error))?.data.unwrap_or_default();
        names.sort_unstable();
        Ok(names)
    }

    /// An error with the store that it is of.
    fn named(&self, error: RemoteError) -> RemoteError {
        let named = |text: String| format!("store {} ({}): {text}", self.settings.name, self.settings.shown());
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
    ) -> Result<(u16, Vec<u8>), RemoteError> {
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
            let body = body::read(response, self.settings.response_bytes_max, &self.large).await?;
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
            let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
            RemoteError::Store(format!("{what}: {}", innermost(&error.without_url())))
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

pub(super) fn client(settings: &Settings) -> Result<Client, String> {
    let tls = &settings.tls;
    let told = |error: reqwest::Error| format!("cannot set up the client: {}", innermost(&error));
    let mut builder: ClientBuilder = Client::builder()
        .no_proxy()
        .referer(false)
        .redirect(Policy::none())
        .pool_max_idle_per_host(settings.queries_max)
        .pool_idle_timeout(IDLE_MAX)
        .dns_resolver(Arc::new(Resolver::default()))
        .tls_danger_accept_invalid_certs(tls.insecure_skip_verify)
        .user_agent(concat!("alertd/", env!("CARGO_PKG_VERSION")));
    if let Some((cert, key)) = &tls.identity {
        let both = [pem(cert)?, b"\n".to_vec(), pem(key)?].concat();
        // The words of the error could hold parts of the key.
        let identity = Identity::from_pem(&both)
            .map_err(|_| format!("{cert} and {key} hold no certificate with its key in PEM"))?;
        builder = builder.identity(identity);
    }
    if let Some(path) = &tls.ca_file {
        let authorities =
            Certificate::from_pem_bundle(&pem(path)?).map_err(|e| format!("{path}: {}", innermost(&e)))?;
        builder = builder.tls_certs_only(authorities);
    } else if settings.url.scheme() == "http" || tls.insecure_skip_verify {
        // Without TLS no root certificates are needed: reading them takes time, and some machines have none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(told)
}

fn pem(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let fail = |error: std::io::Error| format!("{path}: {error}");
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(fail)?.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}
