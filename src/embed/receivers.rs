//! Receivers that are parts of the program: a closure, a channel. They go the way of all handlers, so each has its
//! own queue and thread, and none waits for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};

use crate::model::Notice;
use crate::notify::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Renderer, Sending};

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

    fn kind(&self) -> &'static str {
        "program"
    }

    fn preview(&self, notice: &Notice) -> Preview {
        Preview { payload: Renderer::default().notice(notice), ..Preview::default() }
    }

    fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic of the program's own code is its loss of one notice, not of all that follow.
        let outcome = match catch_unwind(AssertUnwindSafe(|| call(notice))) {
            Ok(()) => Outcome::sent("taken"),
            Err(_) => Outcome::Rejected { failure: failure(FailureClass::Internal, "the closure panicked") },
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

    fn kind(&self) -> &'static str {
        "program"
    }

    fn preview(&self, notice: &Notice) -> Preview {
        Preview { payload: Renderer::default().notice(notice), ..Preview::default() }
    }

    fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        let outcome = match self.sender.try_send(notice.clone()) {
            Ok(()) => Outcome::sent("taken"),
            Err(TrySendError::Full(_)) => Outcome::Retry {
                after: None,
                failure: failure(FailureClass::ServerError, "the channel is full"),
                done: Vec::new(),
            },
            Err(TrySendError::Disconnected(_)) => {
                Outcome::Rejected { failure: failure(FailureClass::Network, "the channel's receiver is gone") }
            }
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn failure(class: FailureClass, message: &str) -> Failure {
    Failure { class, phase: Phase::Send, message: message.to_owned(), maybe_taken: false }
}
