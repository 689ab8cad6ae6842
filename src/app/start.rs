//! The first steps of the daemon: holding the data directory, opening what an earlier process left, and why a start fails.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tracing::error;

use super::keeper::{Keeper, Restored};
use super::load::LoadError;
use super::lock::{self, LockError};
use super::own_metrics::OwnMetrics;
use crate::clock::{Clock as _, SystemClock};
use crate::config::ServerConfig;
use crate::http::server::{ListenError, bind};
use crate::persist::Options;

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nothing to load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The configuration has an error: where to listen and where the state is cannot be known.
    #[error("the configuration has an error\n{0}")]
    Config(String),
    /// The API's address cannot be used.
    #[error(transparent)]
    Listen(ListenError),
    /// What was given as the API's address is none.
    #[error("cannot listen on {address}: {reason}\nhelp: write a host and a port, such as 127.0.0.1:9097")]
    Address {
        /// The text.
        address: String,
        /// Why.
        reason: String,
    },
    /// Another process has the data directory.
    #[error(transparent)]
    InUse(LockError),
    /// The database of the state cannot be used, and waiting for it would not mend that.
    #[error("cannot use the database of `state`: {0}")]
    State(String),
    /// A thread or runtime cannot be started.
    #[error("cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

impl StartError {
    /// Whether another command line would mend it.
    pub fn is_wrong_use(&self) -> bool {
        match self {
            Self::Load(_) | Self::Address { .. } | Self::Listen(ListenError::NotLoopback(_)) => true,
            Self::Config(_)
            | Self::Listen(ListenError::Bind(..))
            | Self::InUse(_)
            | Self::State(_)
            | Self::Thread(_) => false,
        }
    }
}

/// Listens on an address of the API.
pub(super) async fn listener(listen: &str, insecure: bool) -> Result<tokio::net::TcpListener, StartError> {
    let unusable = |reason: String| StartError::Address { address: listen.to_owned(), reason };
    let address = tokio::net::lookup_host(listen).await.map_err(|e| unusable(e.to_string()))?.next();
    let address = address.ok_or_else(|| unusable("the name has no address".to_owned()))?;
    bind(address, insecure).await.map_err(StartError::Listen)
}

/// Holds the data directory. Where it cannot be written, alerts are worth more than their memory: the daemon runs.
pub(super) fn hold(data_dir: &Path) -> Result<Option<lock::DataLock>, StartError> {
    match lock::hold(data_dir) {
        Ok(held) => Ok(Some(held)),
        Err(held @ LockError::Held { .. }) => Err(StartError::InUse(held)),
        Err(LockError::Io(error)) => {
            error!(data_dir = %data_dir.display(), %error, "The data directory cannot be used; state will not outlive the process");
            Ok(None)
        }
    }
}

/// Opens the state. Where that cannot be, alerts are worth more than their memory: the daemon runs without.
pub(super) fn open(
    data_dir: &Path,
    config: &ServerConfig,
    metrics: &OwnMetrics,
    clock: &Arc<SystemClock>,
) -> (Arc<Keeper>, Restored) {
    let watch = Arc::clone(clock);
    let options = Options { ballast_bytes: config.state.ballast, stopwatch: Arc::new(move || watch.monotonic()) };
    match Keeper::open(data_dir, &options, metrics.clone(), clock.now()) {
        Ok(opened) => opened,
        Err(error) => {
            error!(%error, "The state cannot be used; alerts begin anew and would not outlive the process");
            (Keeper::in_memory_because(metrics.clone(), error.to_string()), Restored::default())
        }
    }
}
