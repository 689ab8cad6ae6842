//! Receivers that are parts of the program: a closure, a channel. They go the way of all handlers, so each has its
//! own queue and thread, and none waits for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Notice, Timestamp};
use crate::notify::{Handler, Outcome, Renderer, Sending};

/// Calls a closure with each notice.
pub(super) struct Closure<F> {
    pub name: String,
    /// Held for one call. Only this handler's thread calls, so nobody waits for it.
    pub call: Mutex<F>,
}

impl<F: FnMut(&Notice) + Send> Handler for Closure<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn preview(&self, notice: &Notice) -> String {
        Renderer::default().notice(notice)
    }

    fn send<'a>(&'a self, notice: &'a Notice, _now: Timestamp) -> Sending<'a> {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic of the program's own code is its loss of one notice, not of all that follow.
        let outcome = match catch_unwind(AssertUnwindSafe(|| call(notice))) {
            Ok(()) => Outcome::Sent,
            Err(_) => Outcome::Rejected { reason: "the closure panicked".to_owned() },
        };
        Box::pin(std::future::ready(outcome))
    }
}

/// Sends each notice into a channel.
pub(super) struct Channel {
    pub name: String,
    pub sender: SyncSender<Notice>,
}

impl Handler for Channel {
    fn name(&self) -> &str {
        &self.name
    }

    fn preview(&self, notice: &Notice) -> String {
        Renderer::default().notice(notice)
    }

    fn send<'a>(&'a self, notice: &'a Notice, _now: Timestamp) -> Sending<'a> {
        let outcome = match self.sender.try_send(notice.clone()) {
            Ok(()) => Outcome::Sent,
            Err(TrySendError::Full(_)) => {
                Outcome::RetryAfter { wait: Duration::ZERO, reason: "the channel is full".to_owned() }
            }
            Err(TrySendError::Disconnected(_)) => {
                Outcome::Rejected { reason: "the channel's receiver is gone".to_owned() }
            }
        };
        Box::pin(std::future::ready(outcome))
    }
}
