//! One HTTP exchange: the client with its settings, and a deadline for each phase within that of the attempt.
//!
//! Place in the flow: below [`super::WebhookHandler`], which makes the request and judges the answer. No redirect is
//! followed, no proxy is used but the one that is written, an answer is read to a limit.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Proxy, Response};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tower::{Layer, Service};
use url::Url;

use super::explain;
use crate::config::TlsConfig;
use crate::net::address::{literal, refused};
use crate::net::{Certificates, Resolver, chain, client};
use crate::notify::handler::{Failure, FailureClass, Phase};
use crate::notify::human::span;

/// Most bytes of an answer that are read.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Of the time of an attempt, the part that finding the address may take.
const RESOLVE_SHARE: f64 = 0.5;
/// The part after which a connection, TLS included, must stand.
const CONNECT_SHARE: f64 = 0.75;
/// The part that may go into finding out where a connection hangs.
const PROBE_SHARE: f64 = 0.125;

/// What a client is made from; where it changes, a new client is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Certificates.
    pub tls: TlsConfig,
    /// When each of their files changed.
    pub stamps: Vec<Option<(SystemTime, u64)>>,
    /// Proxy; its user and password may be in it.
    pub proxy: Option<Url>,
    /// Whether private addresses are refused too.
    pub deny_private: bool,
    /// The host that is connected to, where `server_name` stands in the URL instead.
    pub real_host: Option<String>,
    /// Whether neither the receiver nor the proxy is spoken to by TLS.
    pub plain: bool,
    /// Deadline of one attempt.
    pub timeout: Duration,
}

impl Settings {
    /// Reads when the files changed, so that a renewed certificate is used without a reload.
    pub fn stamped(mut self) -> Self {
        let files = [&self.tls.ca_file, &self.tls.cert_file, &self.tls.key_file];
        let stamp = |path: &String| std::fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        self.stamps = files.into_iter().flatten().map(stamp).collect();
        self
    }
}

/// A client, and what is known of its connections. Used for one exchange at a time.
pub struct Wire {
    settings: Settings,
    client: Client,
    track: Arc<Track>,
}

/// What the connector tells.
#[derive(Debug, Default)]
struct Track {
    started: AtomicU32,
    connected: AtomicU32,
    found: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Track {
    fn started(&self) -> u32 {
        self.started.load(Ordering::SeqCst)
    }

    fn connecting(&self) -> bool {
        self.started() > self.connected.load(Ordering::SeqCst)
    }
}

/// A request, ready to be sent.
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; none for a GET.
    pub body: Option<Vec<u8>>,
}

/// An answer, as far as it was read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
    /// Why the body was not read to its end.
    pub cut: Option<Cut>,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum Cut {
    /// It is longer than what is read.
    Long,
    /// The deadline of the attempt passed.
    Slow,
    /// The connection broke.
    Broken(String),
}

/// How an exchange without an answer ended.
enum Broken {
    /// With a reason that cannot change by asking at once again.
    Failed(Failure),
    /// A connection that was kept from an earlier exchange was closed by the receiver.
    Reset(Failure),
}

impl Wire {
    /// A client with these settings; the error tells which file is wrong.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let track = Arc::new(Track::default());
        let client = build(&settings, &track)?;
        Ok(Self { settings, client, track })
    }

    /// Whether it was made from these settings.
    pub fn fits(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// Sends a request and reads the answer, within the deadline. A connection kept from an earlier exchange may have been
    /// closed meanwhile: then the request is sent once more at once.
    pub async fn exchange(&self, ask: &Ask, limit: Duration) -> Result<Answer, Failure> {
        if let Some(failure) = self.refused(ask) {
            return Err(failure);
        }
        let total = sleep(limit);
        tokio::pin!(total);
        match self.once(ask, limit, total.as_mut()).await {
            Err(Broken::Reset(_)) => self.once(ask, limit, total.as_mut()).await.map_err(|broken| match broken {
                Broken::Failed(failure) | Broken::Reset(failure) => failure,
            }),
            Err(Broken::Failed(failure)) => Err(failure),
            Ok(answer) => Ok(answer),
        }
    }

    /// An address that stands in the URL goes past the resolver.
    fn refused(&self, ask: &Ask) -> Option<Failure> {
        let message = refused(&ask.url, self.settings.deny_private)?;
        Some(Failure { class: FailureClass::Config, phase: Phase::Connect, message, maybe_taken: false })
    }

    async fn once(&self, ask: &Ask, limit: Duration, mut total: Pin<&mut Sleep>) -> Result<Answer, Broken> {
        let before = self.track.started();
        self.track.connected.store(before, Ordering::SeqCst);
        self.track.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut request = self.client.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone());
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let sending = request.send();
        tokio::pin!(sending);
        let connect_by = limit.mul_f64(CONNECT_SHARE);
        let connect_late = sleep(connect_by);
        tokio::pin!(connect_late);
        let mut looked = false;
        let response = loop {
            tokio::select! {
                biased;
                response = &mut sending => break response,
                () = &mut connect_late, if !looked => {
                    looked = true;
                    if self.track.connecting() {
                        return Err(Broken::Failed(self.not_connected(ask, connect_by).await));
                    }
                }
                () = total.as_mut() => {
                    if self.track.connecting() {
                        return Err(Broken::Failed(self.not_connected(ask, limit).await));
                    }
                    let message = format!("no answer within {}", span(limit));
                    return Err(Broken::Failed(failure(FailureClass::Timeout, Phase::Answer, message, true)));
                }
            }
        };
        match response {
            Ok(response) => Ok(read(response, total).await),
            Err(error) => {
                let reused = self.track.started() == before;
                let connected = reused || !self.track.connecting();
                let told = explain::failure(&error, connected, ask.url.scheme() == "https");
                let reset = reused && told.class == FailureClass::Network;
                Err(if reset { Broken::Reset(told) } else { Broken::Failed(told) })
            }
        }
    }

    /// Where a connection hangs that does not come to stand: a short attempt of its own tells.
    async fn not_connected(&self, ask: &Ask, waited: Duration) -> Failure {
        let target = self.settings.proxy.as_ref().unwrap_or(&ask.url);
        let port = target.port_or_known_default().unwrap_or(443);
        let found = self.track.found.lock().unwrap_or_else(PoisonError::into_inner).first().copied();
        let address = found.map(|found| found.ip()).or_else(|| literal(target));
        let Some(address) = address.map(|ip| SocketAddr::new(ip, port)) else {
            let message = format!("no connection within {}", span(waited));
            return failure(FailureClass::Timeout, Phase::Connect, message, false);
        };
        let probe = timeout(self.settings.timeout.mul_f64(PROBE_SHARE), TcpStream::connect(address)).await;
        if matches!(probe, Ok(Ok(_))) {
            let message = match &self.settings.proxy {
                Some(_) => {
                    format!("the proxy took the connection, and none to the receiver stood within {}", span(waited))
                }
                None => format!("the server took the connection and no handshake was done within {}", span(waited)),
            };
            return failure(FailureClass::Timeout, Phase::Tls, message, false);
        }
        let message = format!("no connection to {address} within {}", span(waited));
        failure(FailureClass::Timeout, Phase::Connect, message, false)
    }
}

fn failure(class: FailureClass, phase: Phase, message: String, maybe_taken: bool) -> Failure {
    Failure { class, phase, message, maybe_taken }
}

/// Reads an answer to its limit, its end or the deadline.
async fn read(mut response: Response, mut total: Pin<&mut Sleep>) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let cut = loop {
        tokio::select! {
            biased;
            chunk = response.chunk() => match chunk {
                Ok(Some(chunk)) => {
                    let room = ANSWER_BYTES_MAX - body.len();
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        break Some(Cut::Long);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(Cut::Broken(chain(&error.without_url()))),
            },
            () = total.as_mut() => break Some(Cut::Slow),
        }
    };
    Answer { status, headers, body, cut }
}

fn build(settings: &Settings, track: &Arc<Track>) -> Result<Client, String> {
    let (tls, proxy) = (&settings.tls, settings.proxy.as_ref());
    // A proxy stands in the private network more often than not, and it is written down.
    let deny_private = settings.deny_private && proxy.is_none();
    let alias = tls.server_name.clone().zip(settings.real_host.clone());
    let resolver = Resolver::new(deny_private, settings.timeout.mul_f64(RESOLVE_SHARE));
    let mut builder = client()
        .no_gzip()
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(1)
        .dns_resolver(Arc::new(resolver.with(alias, Arc::clone(&track.found))))
        .connector_layer(TrackLayer(Arc::clone(track)));
    if let Some(url) = proxy {
        builder =
            builder.proxy(Proxy::all(url.clone()).map_err(|_| "`proxy_url` is no address of a proxy".to_owned())?);
    }
    let certificates = Certificates {
        ca_file: tls.ca_file.clone(),
        identity: tls.cert_file.clone().zip(tls.key_file.clone()),
        insecure_skip_verify: tls.insecure_skip_verify,
    };
    certificates.build(builder, settings.plain)
}

/// Counts connections that are begun and that stand, TLS included.
#[derive(Clone, Debug)]
struct TrackLayer(Arc<Track>);

/// See [`TrackLayer`].
#[derive(Clone, Debug)]
struct Tracked<S> {
    inner: S,
    track: Arc<Track>,
}

impl<S> Layer<S> for TrackLayer {
    type Service = Tracked<S>;

    fn layer(&self, inner: S) -> Tracked<S> {
        Tracked { inner, track: Arc::clone(&self.0) }
    }
}

impl<S, R> Service<R> for Tracked<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let track = Arc::clone(&self.track);
        track.started.fetch_add(1, Ordering::SeqCst);
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let connection = connecting.await;
            if connection.is_ok() {
                track.connected.fetch_add(1, Ordering::SeqCst);
            }
            connection
        })
    }
}
