//! `--source`: a store that a command asks once, by its address or by its name in the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::stores::settings;
use crate::app::threads::Waiter;
use crate::config::ServerConfig;
use crate::engine::{Answered, Engine};
use crate::model::Now;
use crate::notify::Secrets;
use crate::promql::{Answer, Question};
use crate::store::remote::{RemoteError, RemoteStore, Settings};

/// The time for one question.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most rounds of questions.
const ROUNDS_MAX: usize = 4;

/// Why there is no store to ask.
#[derive(Debug, Error)]
pub enum SourceError {
    /// What was given is neither an address nor a name.
    #[error("--source {text}: {reason}")]
    Unusable {
        /// What was given, without secrets.
        text: String,
        /// Why.
        reason: String,
    },
    /// Nothing can be asked at all.
    #[error("cannot ask a store: {0}")]
    Setup(#[from] std::io::Error),
}

/// A store, asked by a command that waits for it.
pub struct AskedStore {
    store: RemoteStore,
    waiter: Waiter,
}

impl AskedStore {
    /// An address without what may be secret in it; `None` for a name.
    pub fn shown_address(text: &str) -> Option<String> {
        let shown =
            || Settings::address(text).map_or_else(|_| "…".to_owned(), |url| url.origin().ascii_serialization());
        text.contains("://").then(shown)
    }

    /// The store at an address, or of a name under `stores`.
    pub fn open(text: &str, config: &ServerConfig) -> Result<Self, SourceError> {
        let settings = if let Some(shown) = Self::shown_address(text) {
            let unusable = |reason| SourceError::Unusable { text: shown.clone(), reason };
            Settings::new("--source", Settings::address(text).map_err(unusable)?)
        } else {
            let unusable = |reason| SourceError::Unusable { text: text.to_owned(), reason };
            let stores = config.remote_stores();
            let Some(store) = stores.get(text) else {
                let reason = "neither an address (http://…) nor one of `stores` in the configuration";
                return Err(unusable(reason.to_owned()));
            };
            self::settings(text, store, &Secrets::default()).map_err(unusable)?
        };
        let timeout = settings.timeout.max(TIMEOUT);
        let store = RemoteStore::new(Settings { timeout, ..settings })
            .map_err(|reason| SourceError::Unusable { text: "…".to_owned(), reason })?;
        Ok(Self { store, waiter: Waiter::new()? })
    }

    /// Asks one question.
    pub fn ask(&self, question: &Question) -> Result<Answer, RemoteError> {
        self.waiter.block_on(self.store.ask(question, TIMEOUT))
    }

    /// The names of the store's metrics.
    pub fn metric_names(&self) -> Result<Vec<String>, RemoteError> {
        self.waiter.block_on(self.store.metric_names(TIMEOUT))
    }

    /// What the store says to all that the rules ask at `now`. An error is that of the store; what is wrong with a query
    /// becomes an error of its rule.
    pub fn answers(&self, engine: &Engine, now: Now) -> Result<Answered, RemoteError> {
        let mut answered = Answered::new();
        let mut known: BTreeMap<Question, Result<Arc<Answer>, Arc<str>>> = BTreeMap::new();
        for _ in 0..ROUNDS_MAX {
            let mut wanted: Vec<(Arc<str>, Question)> = Vec::new();
            for (index, rule) in engine.rules().iter().enumerate().filter(|(_, rule)| rule.enabled) {
                let answers = answered.entry(rule.uid.clone()).or_default();
                let questions = engine.questions(index, now, answers);
                wanted.extend(questions.into_iter().map(|question| (rule.uid.clone(), question)));
            }
            if wanted.is_empty() {
                break;
            }
            let mut new: Vec<&Question> =
                wanted.iter().map(|(_, question)| question).filter(|question| !known.contains_key(question)).collect();
            new.sort();
            new.dedup();
            let asking = new.iter().map(|question| self.store.ask(question, TIMEOUT));
            let said = self.waiter.block_on(futures_util::future::join_all(asking));
            let mut learned = Vec::with_capacity(said.len());
            for (question, said) in new.into_iter().zip(said) {
                let said = match said {
                    Err(error) if error.is_of_store() => return Err(error),
                    Err(error) => Err(Arc::from(error.to_string())),
                    Ok(answer) => Ok(Arc::new(answer)),
                };
                learned.push((question.clone(), said));
            }
            known.extend(learned);
            for (uid, question) in wanted {
                if let (Some(answers), Some(said)) = (answered.get_mut(&uid), known.get(&question)) {
                    answers.insert(question, said.clone());
                }
            }
        }
        Ok(answered)
    }
}
