//! Scrapes targets over HTTP: one task per target, on its own schedule, with a total deadline and a size limit.
//!
//! Place in the flow: [`Scraper::run`] follows the jobs it is given and hands what targets answer to the sink. A target
//! that is slow, endless or garbage costs itself its scrape and never another target's.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::scrape::{Authorization, Scrape, ScrapeJob, ScrapeSink, Target};
use super::scrape_sd::Discovery;
use crate::clock::Clock;
use crate::model::labels::METRIC_NAME;
use crate::model::time::millis;
use crate::model::{Labels, Sample, Timestamp};
use crate::net;

/// Most redirects of one scrape.
pub const REDIRECTS_MAX: usize = 5;
/// How often `file_sd` files are looked at.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5);

/// What Prometheus 3 sends (scrape/scrape.go, acceptHeader).
const ACCEPT_METRICS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
    text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Scrapes the targets of all jobs.
pub struct Scraper {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn ScrapeSink>,
}

/// A job's client, or why there is none.
type JobClient = Result<Client, String>;

struct Running {
    target: Arc<Target>,
    task: AbortHandle,
    /// Tells the task to end, and why.
    stop: oneshot::Sender<Stop>,
}

/// What came of one scrape.
struct Asked {
    at: Timestamp,
    duration: Duration,
    answer: Result<(BytesMut, Option<String>), String>,
}

/// Why a target is scraped no longer.
enum Stop {
    /// Its job changed; another task goes on with it.
    Replaced,
    /// It is no longer a target.
    Ended,
}

impl Scraper {
    /// A scraper that hands everything to `sink`.
    pub fn new(clock: Arc<dyn Clock>, sink: Arc<dyn ScrapeSink>) -> Self {
        Self { clock, sink }
    }

    /// Scrapes until the sender of the jobs is dropped; follows the jobs as they change. Series of targets that are
    /// gone are ended; at shutdown nothing is, because the targets are still there.
    pub async fn run(self, mut jobs: watch::Receiver<Vec<Arc<ScrapeJob>>>) {
        let mut discovery = Discovery::default();
        let mut running: BTreeMap<(String, Labels), Running> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut clients: Vec<(Arc<ScrapeJob>, JobClient)> = Vec::new();
        loop {
            let current = jobs.borrow_and_update().clone();
            clients.retain(|(job, _)| current.contains(job));
            let asked = current.clone();
            let found = tokio::task::spawn_blocking(move || {
                let found = discovery.targets(&asked);
                (discovery, found)
            });
            let Ok((back, (targets, errors))) = found.await else { return };
            discovery = back;
            for error in errors {
                tracing::warn!(%error, "Some scrape targets are not usable.");
            }
            self.follow(targets, &mut running, &mut tasks, &mut clients);
            while tasks.try_join_next().is_some() {}
            tokio::select! {
                changed = jobs.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(DISCOVERY_INTERVAL) => {}
            }
        }
    }

    /// Starts what is new, stops what is gone.
    fn follow(
        &self,
        targets: Vec<Arc<Target>>,
        running: &mut BTreeMap<(String, Labels), Running>,
        tasks: &mut JoinSet<()>,
        clients: &mut Vec<(Arc<ScrapeJob>, JobClient)>,
    ) {
        let mut wanted: BTreeMap<_, _> =
            targets.into_iter().map(|t| ((t.url.to_string(), t.labels.clone()), t)).collect();
        let mut over = Vec::new();
        for (key, run) in &*running {
            match wanted.get(key) {
                Some(target) if *target == run.target && !run.task.is_finished() => {
                    wanted.remove(key);
                }
                Some(_) => over.push((key.clone(), Stop::Replaced)),
                None => over.push((key.clone(), Stop::Ended)),
            }
        }
        for (key, why) in over {
            if let Some(run) = running.remove(&key) {
                // A task that is gone already has nothing left to stop.
                let _ = run.stop.send(why);
            }
        }
        for (key, target) in wanted {
            let client = match clients.iter().find(|(job, _)| *job == target.job) {
                Some((_, client)) => client.clone(),
                None => {
                    let client = build_client(&target.job);
                    clients.push((Arc::clone(&target.job), client.clone()));
                    client
                }
            };
            let one = Self { clock: Arc::clone(&self.clock), sink: Arc::clone(&self.sink) };
            let (stop, stopped) = oneshot::channel();
            let task = tasks.spawn(one.keep_scraping(client, Arc::clone(&target), stopped));
            running.insert(key, Running { target, task, stop });
        }
    }

    async fn keep_scraping(self, client: JobClient, target: Arc<Target>, mut stopped: oneshot::Receiver<Stop>) {
        loop {
            // Only waiting and asking are cut short: what the sink was given it has taken before the end is told.
            let asked = tokio::select! {
                asked = self.ask(&client, &target) => asked,
                why = &mut stopped => {
                    if matches!(why, Ok(Stop::Ended)) {
                        let at = self.clock.now();
                        self.report(&target, at, &[]).await;
                        let _ = self.take(Scrape::Ended { target, at }).await;
                    }
                    return;
                }
            };
            self.tell(&target, asked).await;
        }
    }

    /// Waits until the target is due, and asks it.
    async fn ask(&self, client: &JobClient, target: &Target) -> Asked {
        let interval_ms = millis(target.interval).max(1);
        let now = self.clock.now();
        let wait_ms = match (spread(target) - now.0).rem_euclid(interval_ms) {
            0 => interval_ms,
            wait_ms => wait_ms,
        };
        let due = now.plus(Duration::from_millis(wait_ms.unsigned_abs()));
        tokio::time::sleep(due.since(now)).await;
        let woken = self.clock.now();
        // Samples at even distances compress better; a late waking keeps its true time (Prometheus does the same).
        let late_ms = (woken.0 - due.0).abs();
        let at = if late_ms <= (interval_ms / 100).min(10) { due } else { woken };
        let begun = self.clock.monotonic();
        let answer = match client {
            Err(reason) => Err(reason.clone()),
            Ok(client) => match tokio::time::timeout(target.timeout, fetch(client, target, &*self.sink)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no complete answer within {}s", target.timeout.as_secs_f64())),
            },
        };
        Asked { at, duration: self.clock.monotonic().saturating_sub(begun), answer }
    }

    /// Tells the sink what a target answered, and about the scrape.
    async fn tell(&self, target: &Arc<Target>, asked: Asked) {
        let Asked { at, duration, answer } = asked;
        let taken = match answer {
            Ok((body, content_type)) => {
                let target = Arc::clone(target);
                self.take(Scrape::Answered { target, at, duration, body: body.freeze(), content_type }).await
            }
            Err(reason) => {
                let failed = Scrape::Failed { target: Arc::clone(target), at, duration, reason: reason.clone() };
                let _ = self.take(failed).await;
                Err(reason)
            }
        };
        let up = if taken.is_ok() { 1.0 } else { 0.0 };
        let samples = taken.as_ref().copied().unwrap_or(0) as f64;
        if let Err(reason) = taken {
            tracing::debug!(labels = %target.labels, reason, "Scrape failed.");
        }
        let about =
            [("up", up), ("scrape_duration_seconds", duration.as_secs_f64()), ("scrape_samples_scraped", samples)];
        self.report(target, at, &about).await;
    }

    /// The sink parses and stores: work for a thread that may block. A panic there is that scrape's failure.
    async fn take(&self, scrape: Scrape) -> Result<u64, String> {
        let sink = Arc::clone(&self.sink);
        let taken = tokio::task::spawn_blocking(move || sink.take(scrape)).await;
        taken.unwrap_or_else(|error| Err(format!("the sink failed: {error}")))
    }

    /// Tells the samples about a scrape; without values, the end marks of those samples.
    async fn report(&self, target: &Arc<Target>, at: Timestamp, about: &[(&str, f64)]) {
        const ENDED: [(&str, f64); 3] = [
            ("up", crate::model::STALE_NAN),
            ("scrape_duration_seconds", crate::model::STALE_NAN),
            ("scrape_samples_scraped", crate::model::STALE_NAN),
        ];
        let about = if about.is_empty() { &ENDED } else { about };
        let sample = |(name, value): &(&str, f64)| Sample {
            labels: target.labels.with(METRIC_NAME, name),
            at,
            value: (*value).into(),
        };
        let samples: Vec<Sample> = about.iter().map(sample).collect();
        let sink = Arc::clone(&self.sink);
        if tokio::task::spawn_blocking(move || sink.report(samples)).await.is_err() {
            tracing::error!(labels = %target.labels, "The sink failed while it took the report of a scrape.");
        }
    }
}

/// Where in its interval a target is scraped: spread by a hash so that targets do not all come at once, and the same
/// after a restart so that samples stay evenly spaced.
fn spread(target: &Target) -> i64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    target.url.as_str().hash(&mut hash);
    target.labels.fingerprint().0.hash(&mut hash);
    i64::try_from(hash.finish() % millis(target.interval).max(1).unsigned_abs()).unwrap_or(0)
}

/// FNV-1a: unlike the standard library's hasher, the same in every process.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn build_client(job: &ScrapeJob) -> JobClient {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPT_METRICS));
    let base = || {
        net::client()
            .default_headers(headers.clone())
            .redirect(if job.follow_redirects { Policy::custom(redirect) } else { Policy::none() })
            .tls_danger_accept_invalid_certs(job.tls.insecure_skip_verify)
            .pool_max_idle_per_host(1)
    };
    let told = |e: reqwest::Error| format!("cannot set up the client: {}", net::chain(&e));
    if let Some(pem) = &job.tls.ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(told)?;
        return base().tls_certs_only(certificates).build().map_err(told);
    }
    base().build().or_else(|error| {
        // A machine without any root certificates can still scrape over plain HTTP.
        if job.scheme == "http" { base().tls_certs_only([]).build().map_err(told) } else { Err(told(error)) }
    })
}

/// See [`ScrapeJob::follow_redirects`].
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let Some(first) = attempt.previous().first() else { return attempt.stop() };
    let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    let refusal = if attempt.previous().len() > REDIRECTS_MAX {
        Some(format!("more than {REDIRECTS_MAX} redirects"))
    } else if attempt.url().host_str() != first.host_str() {
        Some("redirect to another host refused".to_owned())
    } else if from_https && attempt.url().scheme() != "https" {
        Some("redirect from https to http refused".to_owned())
    } else {
        None
    };
    match refusal {
        Some(reason) => attempt.error(reason),
        None => attempt.follow(),
    }
}

async fn fetch(client: &Client, target: &Target, sink: &dyn ScrapeSink) -> Result<(BytesMut, Option<String>), String> {
    let told = |error: reqwest::Error| sink.explain(&error.without_url(), target.url.scheme() == "https");
    let timeout = HeaderValue::try_from(target.timeout.as_secs_f64().to_string()).map_err(|e| e.to_string())?;
    let request =
        client.get(target.url.clone()).header(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), timeout);
    // Set per request and not as a default header: so it is not sent along when a redirect leaves the port.
    let request = match &target.job.authorization {
        None => request,
        Some(Authorization::Scheme { scheme, credentials }) => {
            let value = HeaderValue::from_str(&format!("{scheme} {credentials}")).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            match value {
                Ok(value) => request.header(reqwest::header::AUTHORIZATION, value),
                // Control characters in a secret: the target will say that the request is not authorised.
                Err(_) => request,
            }
        }
        Some(Authorization::Basic { username, password }) => request.basic_auth(username, Some(password)),
    };
    let response = request.send().await.map_err(told)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("the target answered {}", response.status()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body = read_body(response, target.job.body_size_limit).await?;
    Ok((body, content_type))
}

/// Reads at most `bytes_max`, counted after decompression, so that neither an endless answer nor a small one that
/// unpacks to gigabytes costs more memory than that.
async fn read_body(mut response: Response, bytes_max: u64) -> Result<BytesMut, String> {
    let bytes_max = if bytes_max == 0 { u64::MAX } else { bytes_max };
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| net::chain(&e.without_url()))? {
        if body.len() as u64 + chunk.len() as u64 > bytes_max {
            return Err(format!("the answer is longer than body_size_limit ({bytes_max} bytes)"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
#[path = "scrape_tests.rs"]
mod tests;
