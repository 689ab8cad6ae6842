//! The API of a daemon, for as long as it runs: until somebody ends it, or another process takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use super::daemon::Daemon;
use crate::http::guard::Guard;
use crate::http::{ServerOptions, router, serve};

/// How long is slept between two looks.
const NAP: Duration = Duration::from_millis(50);

/// How a daemon came to its end.
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// Another process took over.
    Displaced,
}

/// What somebody asks of the process by a signal.
enum Wish {
    End,
    Reload,
}

/// The signals of the process, from its start to its end.
pub(super) struct Signals {
    wishes: UnboundedReceiver<Wish>,
    ending: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on, on a thread that lives as long as the process. The second signal to end ends it at once.
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (wish, wishes) = unbounded_channel();
        let ending = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&ending);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listen = |kind| runtime.block_on(async { signal(kind) });
        let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hup = listen(SignalKind::hangup())?;
        let forward = async move {
            loop {
                let came = tokio::select! {
                    _ = term.recv() => Wish::End,
                    _ = int.recv() => Wish::End,
                    _ = hup.recv() => Wish::Reload,
                };
                if matches!(came, Wish::End) && noted.swap(true, Ordering::AcqRel) {
                    second_signal();
                }
                if wish.send(came).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(forward))?;
        Ok(Self { wishes, ending })
    }

    /// Whether the process is to end, now or within a time.
    pub fn end_within(&self, time: Duration) -> bool {
        for _ in 0..time.as_millis() / NAP.as_millis() {
            if self.ending.load(Ordering::Acquire) {
                return true;
            }
            std::thread::sleep(NAP);
        }
        self.ending.load(Ordering::Acquire)
    }
}

/// Serves the API until SIGTERM or SIGINT, or until another process takes over; SIGHUP reloads.
pub(super) async fn until_signal(
    listener: tokio::net::TcpListener,
    (daemon, guard): (Arc<Daemon>, Guard),
    signals: &mut Signals,
) -> Ended {
    let (stop, stopped) = watch::channel(false);
    let routes = router(Arc::clone(&daemon) as Arc<dyn crate::http::Api>, guard, axum::Router::new());
    let server = tokio::spawn(serve(listener, routes, ServerOptions::within_limits(), stopped));
    let ended = loop {
        tokio::select! {
            wish = signals.wishes.recv() => match wish {
                Some(Wish::Reload) => daemon.request("SIGHUP"),
                Some(Wish::End) | None => break Ended::Stopped,
            },
            () = daemon.displaced() => break Ended::Displaced,
        }
    };
    stop.send_replace(true);
    // Connections that are still open get the grace of the runtime's shutdown, no more.
    let _ = tokio::time::timeout(Duration::from_millis(500), server).await;
    ended
}

/// The state on the disk is whole at every instant, so leaving at once loses nothing that was stored.
#[allow(clippy::exit, reason = "a second signal asks for exactly this")]
fn second_signal() {
    std::process::exit(130);
}
