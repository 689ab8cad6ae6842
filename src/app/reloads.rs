//! Requests to read all files again: those that wait are one, and the end does not wait for them.
//!
//! Place in the flow: signals, the file watcher and the API ask here; the loader's thread works here. Knows nothing of
//! what is loaded.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Callers that may wait for one reload.
const WAITING_MAX: usize = 64;

/// What came of a reload.
type Answer = Result<(), String>;

/// Requests that wait.
#[derive(Default)]
pub struct Reloads {
    /// Held to ask or to begin, never while something is read.
    waiting: Mutex<Waiting>,
    come: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// What asked first; none while nothing waits.
    cause: Option<&'static str>,
    /// Where the answer goes.
    replies: Vec<SyncSender<Answer>>,
    stopped: bool,
}

impl Reloads {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a reload without waiting for it. One that waits serves: it reads what is there when it begins.
    pub fn ask(&self, cause: &'static str) {
        self.waiting().cause.get_or_insert(cause);
        self.come.notify_one();
    }

    /// Asks for a reload and waits, at most so long, for what comes of it.
    pub fn ask_and_wait(&self, cause: &'static str, limit: Duration) -> Answer {
        let (reply, answer) = sync_channel(1);
        {
            let mut waiting = self.waiting();
            if waiting.stopped {
                return Err("alertd is ending".to_owned());
            }
            if waiting.replies.len() >= WAITING_MAX {
                return Err("too many reloads are waiting".to_owned());
            }
            waiting.replies.push(reply);
            waiting.cause.get_or_insert(cause);
        }
        self.come.notify_one();
        match answer.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err("the reload takes too long".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("alertd is ending".to_owned()),
        }
    }

    /// No reload is begun from now on.
    pub fn stop(&self) {
        let mut waiting = self.waiting();
        waiting.stopped = true;
        waiting.replies.clear();
        self.come.notify_all();
    }

    /// Loads whenever somebody asks, until it is stopped.
    pub fn run(&self, mut load: impl FnMut(&'static str) -> Answer) {
        while let Some((cause, replies)) = self.next() {
            let answer = load(cause);
            for reply in replies {
                let _ = reply.send(answer.clone());
            }
        }
    }

    /// All that waits, as one; none when it is time to end.
    fn next(&self) -> Option<(&'static str, Vec<SyncSender<Answer>>)> {
        let idle = |waiting: &mut Waiting| waiting.cause.is_none() && !waiting.stopped;
        let mut waiting = self.come.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
        let cause = waiting.cause.take().filter(|_| !waiting.stopped)?;
        Some((cause, std::mem::take(&mut waiting.replies)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A loader that is in the middle of a load; each further load is answered when `go` is given a word.
    fn busy(reloads: &Arc<Reloads>) -> (thread::JoinHandle<Vec<&'static str>>, std::sync::mpsc::Sender<Answer>) {
        let (begun, begins) = channel();
        let (go, gone) = channel();
        let loader = Arc::clone(reloads);
        let thread = thread::spawn(move || {
            let mut causes = Vec::new();
            loader.run(|cause| {
                causes.push(cause);
                let _ = begun.send(());
                gone.recv().unwrap_or(Ok(()))
            });
            causes
        });
        reloads.ask("first");
        begins.recv_timeout(LONG).unwrap();
        (thread, go)
    }

    fn wait_for(reloads: &Reloads, replies: usize) {
        while reloads.waiting().replies.len() < replies {
            thread::yield_now();
        }
    }

    #[test]
    fn requests_that_pile_up_during_a_load_are_one_and_all_are_answered() {
        let reloads = Arc::new(Reloads::default());
        let (loader, go) = busy(&reloads);
        let callers: Vec<_> = (0..40)
            .map(|_| {
                let reloads = Arc::clone(&reloads);
                thread::spawn(move || reloads.ask_and_wait("API", LONG))
            })
            .collect();
        wait_for(&reloads, 40);
        (0..40).for_each(|_| reloads.ask("files changed"));
        go.send(Ok(())).unwrap();
        go.send(Err("line 3".to_owned())).unwrap();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Err("line 3".to_owned()));
        }
        reloads.stop();
        assert_eq!(loader.join().unwrap(), ["first", "API"]);
    }

    #[test]
    fn the_end_waits_for_the_load_under_way_and_for_no_other() {
        let reloads = Arc::new(Reloads::default());
        let (loader, go) = busy(&reloads);
        let callers: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let reloads = Arc::clone(&reloads);
                thread::spawn(move || reloads.ask_and_wait("API", LONG))
            })
            .collect();
        wait_for(&reloads, WAITING_MAX);
        let full = reloads.ask_and_wait("API", LONG);
        assert_eq!(full, Err("too many reloads are waiting".to_owned()));
        reloads.stop();
        go.send(Ok(())).unwrap();
        assert_eq!(loader.join().unwrap(), ["first"]);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Err("alertd is ending".to_owned()));
        }
        assert_eq!(reloads.ask_and_wait("API", LONG), Err("alertd is ending".to_owned()));
    }
}
