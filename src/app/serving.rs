//! The API of a daemon, for as long as it runs: until somebody ends it, or another process takes over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use super::daemon::Daemon;
use crate::http::guard::Guard;
use crate::http::{ServerOptions, router, serve};

/// How a daemon came to its end.
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// Another process took over.
    Displaced,
}

/// Serves the API until SIGTERM or SIGINT, or until another process takes over; SIGHUP reloads; a second signal ends the
/// process at once.
pub(super) async fn until_signal(listener: tokio::net::TcpListener, daemon: Arc<Daemon>, guard: Guard) -> Ended {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        error!("Signals cannot be handled");
        return Ended::Stopped;
    };
    let (stop, stopped) = watch::channel(false);
    let routes = router(Arc::clone(&daemon) as Arc<dyn crate::http::Api>, guard, axum::Router::new());
    let server = tokio::spawn(serve(listener, routes, ServerOptions::within_limits(), stopped));
    let ended = loop {
        tokio::select! {
            _ = term.recv() => break Ended::Stopped,
            _ = int.recv() => break Ended::Stopped,
            _ = hup.recv() => daemon.request("SIGHUP"),
            () = daemon.displaced() => break Ended::Displaced,
        }
    };
    stop.send_replace(true);
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        second_signal();
    });
    // Connections that are still open get the grace of the runtime's shutdown, no more.
    let _ = tokio::time::timeout(Duration::from_millis(500), server).await;
    ended
}

/// The state on the disk is whole at every instant, so leaving at once loses nothing that was stored.
#[allow(clippy::exit, reason = "a second signal asks for exactly this")]
fn second_signal() {
    std::process::exit(130);
}
