//! The remote stores of the configuration in use: their clients, their secrets, and whether they answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::app::own_metrics::OwnMetrics;
use crate::config::{RemoteStoreConfig, SecretText};
use crate::net::Certificates;
use crate::notify::Secrets;
use crate::store::remote::{Authorization, RemoteError, RemoteStore, Settings};

/// All remote stores by name.
pub struct Stores {
    secrets: Arc<Secrets>,
    metrics: OwnMetrics,
    /// Held to look something up, never while a store is asked.
    kept: Mutex<BTreeMap<Arc<str>, Kept>>,
}

struct Kept {
    config: RemoteStoreConfig,
    store: Option<Arc<RemoteStore>>,
    /// Why it does not answer, while it does not.
    down: Option<String>,
}

impl Stores {
    /// No stores.
    pub fn new(secrets: Arc<Secrets>, metrics: OwnMetrics) -> Self {
        Self { secrets, metrics, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another configuration; connections to stores that stay are kept.
    pub fn replace(&self, configs: BTreeMap<String, RemoteStoreConfig>) {
        let mut kept = self.kept();
        for name in kept.keys().filter(|name| !configs.contains_key(&***name)) {
            // Nobody asks it any more, so that nobody misses it.
            self.metrics.datasource_up(name, true);
        }
        kept.retain(|name, _| configs.contains_key(&**name));
        for (name, config) in configs {
            match kept.get_mut(name.as_str()) {
                Some(there) => there.config = config,
                None => {
                    self.metrics.datasource_up(&name, true);
                    kept.insert(name.into(), Kept { config, store: None, down: None });
                }
            }
        }
    }

    /// The client of a store, made anew where its settings or secrets changed.
    pub fn get(&self, name: &str) -> Result<Arc<RemoteStore>, String> {
        let mut kept = self.kept();
        let entry = kept.get_mut(name).ok_or_else(|| format!("there is no store {name}"))?;
        let settings = settings(name, &entry.config, &self.secrets)?;
        if let Some(store) = entry.store.as_ref().filter(|store| *store.settings() == settings) {
            return Ok(Arc::clone(store));
        }
        let store = RemoteStore::new(settings).map(Arc::new).map_err(|error| format!("store {name}: {error}"))?;
        entry.store = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Notes how a store answered: told once when it begins to fail and once when it answers again.
    pub fn note(&self, name: &str, error: Option<&RemoteError>, took: Duration) {
        let result = match error {
            None => "ok",
            Some(RemoteError::Query(_)) => "refused",
            Some(RemoteError::Store(_)) => "failed",
        };
        self.metrics.datasource_asked(name, result, took);
        let mut kept = self.kept();
        let Some(entry) = kept.get_mut(name) else { return };
        match error.filter(|error| error.is_of_store()) {
            Some(error) => {
                if entry.down.is_none() {
                    warn!(store = name, %error, "A store does not answer; alerts of its rules keep their state");
                    self.metrics.datasource_up(name, false);
                }
                entry.down = Some(error.to_string());
            }
            None if entry.down.take().is_some() => {
                info!(store = name, "A store answers again");
                self.metrics.datasource_up(name, true);
            }
            None => {}
        }
    }

    /// Whether the last answer of a store was none.
    pub fn is_down(&self, name: &str) -> bool {
        self.kept().get(name).is_some_and(|kept| kept.down.is_some())
    }

    /// Which stores do not answer, and why.
    pub fn troubles(&self) -> Vec<String> {
        let kept = self.kept();
        kept.values().filter_map(|kept| kept.down.clone()).collect()
    }
}

/// The settings of a store with its secrets read; the error names the reference, never a value.
pub fn settings(name: &str, config: &RemoteStoreConfig, secrets: &Secrets) -> Result<Settings, String> {
    let read = |text: &SecretText| {
        secrets.read(text).map(|secret| secret.expose().to_owned()).map_err(|error| format!("store {name}: {error}"))
    };
    let url = config.url.as_ref().ok_or_else(|| format!("store {name} has no `url`"))?;
    let url = Settings::address(&read(url)?).map_err(|error| format!("store {name}: {error}"))?;
    let mut settings = Settings::new(name, url);
    for (header, value) in &config.headers {
        let text = read(value)?;
        if value.references().next().is_some() {
            settings.secrets.push(text.clone());
        }
        settings.headers.push((header.clone(), text));
    }
    let params = config.params.iter().flat_map(|(name, values)| values.iter().map(|v| (name.clone(), v.clone())));
    settings.params = params.collect();
    if let Some(basic) = &config.basic_auth {
        settings.authorization = Some(Authorization::Basic(read(&basic.username)?, read(&basic.password)?));
    }
    if let Some(other) = &config.authorization {
        settings.authorization = Some(Authorization::Scheme(other.kind.clone(), read(&other.credentials)?));
    }
    let tls = &config.tls_config;
    settings.tls = Certificates {
        ca_file: tls.ca_file.clone(),
        identity: tls.cert_file.clone().zip(tls.key_file.clone()),
        insecure_skip_verify: tls.insecure_skip_verify,
    };
    settings.timeout = config.timeout;
    settings.queries_max = config.max_concurrent_queries;
    settings.response_bytes_max = usize::try_from(config.max_response_bytes).unwrap_or(usize::MAX);
    Ok(settings)
}
