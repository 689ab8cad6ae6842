//! What becomes of scraped pages: samples in the store, marks where series end or fall silent, `up` and its siblings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use super::hub::Hub;
use crate::config::{ScrapeConfig, SecretText};
use crate::ingest::cache::{PageOptions, Resolved};
use crate::ingest::limits::LABELS_MAX;
use crate::ingest::scrape::{Authorization, Scrape, ScrapeJob, ScrapeSink, Target, TargetGroup};
use crate::ingest::{Batch, Dialect, ScrapeCache};
use crate::model::{Labels, LabelsBuilder, Sample, Timestamp};
use crate::notify::Secrets;
use crate::notify::webhook::explain;
use crate::store::embedded::Refused;

/// Most samples of one page where the job sets no limit of its own.
const SAMPLES_MAX: usize = 1_000_000;

/// Limits of a job on the labels of its series; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LabelLimits {
    count: usize,
    name_len: usize,
    value_len: usize,
}

/// Takes what targets answer.
pub struct Sink {
    hub: Arc<Hub>,
    /// By target; the outer lock is held to find a cache, the inner while its page is read.
    caches: Mutex<HashMap<String, Arc<Mutex<ScrapeCache>>>>,
    /// By job.
    limits: Mutex<HashMap<String, LabelLimits>>,
    /// Why each failing target fails: told when it begins, changes and ends, not at every scrape.
    failing: Mutex<HashMap<String, String>>,
}

impl Sink {
    /// A sink that writes to the hub's store.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, caches: Mutex::default(), limits: Mutex::default(), failing: Mutex::default() }
    }

    /// The jobs of a configuration, with their secrets as they are now; a job of which one cannot be read is left out,
    /// which is logged.
    pub fn jobs(&self, configs: &[ScrapeConfig], secrets: &Secrets) -> Vec<Arc<ScrapeJob>> {
        let mut limits = HashMap::new();
        let mut jobs = Vec::new();
        for config in configs {
            limits.insert(
                config.job_name.clone(),
                LabelLimits {
                    count: config.label_limit,
                    name_len: config.label_name_length_limit,
                    value_len: config.label_value_length_limit,
                },
            );
            match job(config, secrets) {
                Ok(job) => jobs.push(Arc::new(job)),
                Err(reason) => warn!(job = config.job_name, reason, "A scrape job is left out"),
            }
        }
        *lock(&self.limits) = limits;
        jobs
    }

    fn cache(&self, target: &Target) -> Arc<Mutex<ScrapeCache>> {
        Arc::clone(lock(&self.caches).entry(key(target)).or_default())
    }

    fn answered(&self, target: &Target, at: Timestamp, body: &[u8], dialect: Dialect) -> Result<u64, String> {
        let cache = self.cache(target);
        let mut cache = lock(&cache);
        let job = &target.job;
        let limit = match job.sample_limit {
            0 => SAMPLES_MAX,
            n => usize::try_from(n).unwrap_or(usize::MAX),
        };
        let options = PageOptions { dialect, at_ms: at.0, honor_timestamps: job.honor_timestamps, samples_max: limit };
        let limits = lock(&self.limits).get(&job.job_name).copied().unwrap_or_default();
        let mut broken = None;
        let now = self.hub.clock.now();
        let only = self.hub.pressure.reads();
        let mut unread = 0;
        let errors = cache.read(body, &options, &mut |labels| {
            if broken.is_none() {
                broken = limits.broken_by(labels);
            }
            let labels = merged(labels, &target.labels, job.honor_labels);
            if only.as_ref().is_some_and(|only| !only.holds(&labels)) {
                unread += 1;
                return Resolved::Refused;
            }
            match self.hub.store.series_ref(&labels, now.0) {
                Ok(series) => Resolved::Series(series),
                Err(Refused::Labels(reason)) => {
                    broken.get_or_insert(reason);
                    Resolved::Refused
                }
                Err(Refused::SeriesMax(_)) => Resolved::Refused,
            }
        });
        if let Some(error) = errors.first.first() {
            let more = if errors.total > 1 { format!(" (and {} more)", errors.total - 1) } else { String::new() };
            return self.failed(&cache, at, format!("{error}{more}"));
        }
        if let Some(reason) = broken {
            return self.failed(&cache, at, reason);
        }
        let stats = match &only {
            None => self.hub.store.append_refs(cache.points(), now.0),
            Some(only) => {
                let read = only.of_points(&self.hub.store, cache.points());
                self.hub.metrics.shed(cache.points().len() - read.len() + unread);
                self.hub.store.append_refs(&read, now.0)
            }
        };
        let missing = cache.finish();
        self.hub.store.end_series(&missing, at.0);
        cache.forget(&stats.gone);
        for (family, metadata) in cache.take_metadata() {
            self.hub.store.set_metadata(&family, &metadata);
        }
        let samples = cache.samples() as u64;
        let refused = cache.refused().saturating_sub(unread) as u64;
        self.hub.metrics.ingested("scrape", stats.appended, stats.refused() + refused);
        Ok(samples)
    }

    /// Logs what is new about a target.
    fn tell(&self, target: &Target, failure: Option<&String>) {
        let mut failing = lock(&self.failing);
        let before = match failure {
            Some(reason) => failing.insert(key(target), reason.clone()),
            None => failing.remove(&key(target)),
        };
        drop(failing);
        let job = &target.job.job_name;
        match failure {
            Some(reason) if before.as_ref() != Some(reason) => {
                warn!(job, target = %target.labels, reason, "A target could not be scraped");
            }
            None if before.is_some() => info!(job, target = %target.labels, "A target can be scraped again"),
            _ => {}
        }
    }

    /// A page that does not count: the target's series fall silent.
    fn failed(&self, cache: &ScrapeCache, at: Timestamp, reason: String) -> Result<u64, String> {
        self.hub.store.silence_series(&cache.series(), at.0);
        self.hub.metrics.ingested("scrape", 0, 1);
        Err(reason)
    }
}

impl ScrapeSink for Sink {
    fn take(&self, scrape: Scrape) -> Result<u64, String> {
        match scrape {
            Scrape::Answered { target, at, body, content_type, .. } => {
                let dialect = content_type.as_deref().map_or(Dialect::Prometheus, Dialect::of_content_type);
                let taken = self.answered(&target, at, &body, dialect);
                self.tell(&target, taken.as_ref().err());
                taken
            }
            Scrape::Failed { target, at, reason, .. } => {
                self.tell(&target, Some(&reason));
                let cache = self.cache(&target);
                let cache = lock(&cache);
                self.hub.store.silence_series(&cache.series(), at.0);
                Ok(0)
            }
            Scrape::Ended { target, at } => {
                lock(&self.failing).remove(&key(&target));
                let cache = lock(&self.caches).remove(&key(&target));
                if let Some(cache) = cache {
                    self.hub.store.end_series(&lock(&cache).series(), at.0);
                }
                Ok(0)
            }
        }
    }

    fn explain(&self, error: &reqwest::Error, https: bool) -> String {
        explain::failure(error, !error.is_connect(), https).to_string()
    }

    fn report(&self, samples: Vec<Sample>) {
        let batch = Batch::from_iter(samples);
        self.hub.store.append(&batch, self.hub.clock.now().0);
    }
}

impl LabelLimits {
    fn broken_by(self, labels: &Labels) -> Option<String> {
        let count = labels.len();
        if self.count > 0 && count > self.count {
            return Some(format!("a series with {count} labels, label_limit is {}: {labels}", self.count));
        }
        labels.iter().find_map(|(name, value)| {
            if self.name_len > 0 && name.len() > self.name_len {
                Some(format!("label name {name:?} is longer than label_name_length_limit, {}", self.name_len))
            } else if self.value_len > 0 && value.len() > self.value_len {
                Some(format!("the value of label {name:?} is longer than label_value_length_limit, {}", self.value_len))
            } else {
                None
            }
        })
    }
}

/// The labels of a sample and of its target. Where both have one: with `honor_labels` the sample's stays, otherwise the
/// target's, and the sample's goes on as `exported_…`, as in Prometheus.
fn merged(sample: &Labels, target: &Labels, honor_labels: bool) -> Labels {
    let mut builder = LabelsBuilder::from(sample);
    for (name, value) in target.iter() {
        match builder.get(name).map(str::to_owned) {
            Some(_) if honor_labels => continue,
            Some(own) => {
                let mut exported = format!("exported_{name}");
                // A page can hold `exported_job` too; each round adds a prefix, and there are few labels.
                for _ in 0..LABELS_MAX {
                    if builder.get(&exported).is_none() {
                        break;
                    }
                    exported = format!("exported_{exported}");
                }
                builder.set(exported, own);
            }
            None => {}
        }
        builder.set(name, value);
    }
    builder.build()
}

fn key(target: &Target) -> String {
    format!("{} {} {}", target.job.job_name, target.url, target.labels)
}

fn job(config: &ScrapeConfig, secrets: &Secrets) -> Result<ScrapeJob, String> {
    let resolve = |text: &SecretText| secrets.read(text).map(|secret| secret.expose().to_owned());
    let mut job = ScrapeJob::new(config.job_name.clone());
    job.scrape_interval = config.scrape_interval;
    job.scrape_timeout = config.timeout();
    job.metrics_path.clone_from(&config.metrics_path);
    job.scheme.clone_from(&config.scheme);
    job.params =
        config.params.iter().flat_map(|(name, values)| values.iter().map(|v| (name.clone(), v.clone()))).collect();
    job.honor_labels = config.honor_labels;
    job.honor_timestamps = config.honor_timestamps;
    if config.body_size_limit > 0 {
        job.body_size_limit = config.body_size_limit;
    }
    job.sample_limit = config.sample_limit as u64;
    if let Some(basic) = &config.basic_auth {
        let (username, password) = (resolve(&basic.username)?, resolve(&basic.password)?);
        job.authorization = Some(Authorization::Basic { username, password });
    }
    if let Some(authorization) = &config.authorization {
        let credentials = resolve(&authorization.credentials)?;
        job.authorization = Some(Authorization::Scheme { scheme: authorization.kind.clone(), credentials });
    }
    job.static_configs = config
        .static_configs
        .iter()
        .map(|group| TargetGroup { targets: group.targets.clone(), labels: Labels::from_pairs(group.labels.clone()) })
        .collect();
    job.file_sd = config.file_sd_configs.iter().flat_map(|sd| sd.files.clone()).collect();
    Ok(job)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::bench::Bench;

    #[test]
    fn a_target_that_is_away_is_told_in_the_words_of_handlers() {
        crate::net::install();
        let sink = Sink::new(Arc::new(Bench::new().hub));
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(client.get(format!("http://{closed}/")).send()).unwrap_err();
        assert_eq!(sink.explain(&error, false), "connecting: connection refused");
    }
}
