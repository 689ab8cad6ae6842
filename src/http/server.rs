//! The listener: connections with limits, and an end in good order.
//!
//! A head that does not come, an idle connection, too many connections, a client that never reads: each ends at a limit.
//! Never decides what a request means; the router does.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Limits of the listener.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Connections at once; more wait in the system's backlog.
    pub connections_max: usize,
    /// Time for the head of a request, and for which a connection may be idle.
    pub header_timeout: Duration,
    /// Age at which a connection is ended after the request it is at.
    pub connection_age_max: Duration,
    /// Time for connections to end at shutdown, or past their age.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections_max: 512,
            header_timeout: Duration::from_secs(10),
            connection_age_max: Duration::from_secs(300),
            grace: Duration::from_secs(5),
        }
    }
}

/// File descriptors that connections of the API leave to everything else, if there are as many.
const DESCRIPTORS_LEFT: u64 = 256;

impl ServerOptions {
    /// The defaults, with fewer connections where the process may open few files: clients of the API must not keep
    /// messages from going out.
    pub fn within_limits() -> Self {
        let mut options = Self::default();
        if let Some(descriptors) = descriptors() {
            options.connections_max = options.connections_max.min(connections(descriptors));
        }
        options
    }
}

/// Connections that a number of file descriptors allows.
fn connections(descriptors: u64) -> usize {
    let left = DESCRIPTORS_LEFT.min(descriptors - descriptors / 4);
    usize::try_from(descriptors.saturating_sub(left)).unwrap_or(usize::MAX).max(1)
}

/// How many files the process may have open.
fn descriptors() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    return None;
}

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Pause after a failed accept: with no file descriptor left, the next would fail as quickly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server does not listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Others could reach it, and there is no authentication.
    #[error(
        "refusing to listen on {0}: there is no authentication, so that everyone who reaches this address may push \
         samples and reload; listen on 127.0.0.1 behind a proxy, or start it with --insecure-listen"
    )]
    NotLoopback(SocketAddr),
    /// The operating system refuses.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
}

/// Opens the listening socket; refuses an address that others can reach unless `insecure_listen` says so.
pub async fn bind(address: SocketAddr, insecure_listen: bool) -> Result<TcpListener, ListenError> {
    if !address.ip().to_canonical().is_loopback() && !insecure_listen {
        return Err(ListenError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|e| ListenError::Bind(address, e))
}

/// Serves until `shutdown` becomes true (or its sender is gone), then lets requests under way finish within the grace.
pub async fn serve(listener: TcpListener, router: Router, options: ServerOptions, shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let mut stop = shutdown.clone();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stopped(&mut stop) => break,
        };
        if let Some((socket, place)) = accepted {
            let one = connection(socket, router.clone(), options.clone(), shutdown.clone());
            connections.spawn(async move {
                one.await;
                drop(place);
            });
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // What is left after the grace is dropped with the set.
    let _ = tokio::time::timeout(options.grace, all).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, place)),
        Err(error) => {
            tracing::warn!(%error, "A connection could not be accepted.");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(socket: TcpStream, router: Router, options: ServerOptions, mut stop: watch::Receiver<bool>) {
    // Answers are written whole; waiting to fill a segment would only delay them.
    let _ = socket.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
        () = tokio::time::sleep(options.connection_age_max) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(options.grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended early.");
    }
}

/// The router cannot fail; the type says so here once.
const _: fn() = || {
    fn infallible<S: tower::Service<axum::extract::Request, Error = Infallible>>() {}
    infallible::<Router>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        for (descriptors, most) in [(0, 1), (64, 16), (256, 64), (1024, 768), (1 << 40, (1 << 40) - 256)] {
            assert_eq!(connections(descriptors), most, "{descriptors} descriptors");
        }
        assert!((1..=512).contains(&ServerOptions::within_limits().connections_max));
    }
}
