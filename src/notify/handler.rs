//! What a notification handler is: something that tries once to hand a notice over, and says what became of it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::{Notice, Timestamp};

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has taken it.
    Sent,
    /// Not now; it may work after this time (the receiver's `Retry-After`, or zero where it named none).
    RetryAfter {
        /// The least time to wait.
        wait: Duration,
        /// What went wrong, for people; free of secrets.
        reason: String,
    },
    /// Never: trying again cannot help.
    Rejected {
        /// Why, for people; free of secrets.
        reason: String,
    },
}

/// An attempt under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A notification handler.
pub trait Handler: Send + Sync {
    /// The name rules and routes use.
    fn name(&self) -> &str;

    /// What it would send, as text, without sending: for dry runs and previews. Free of secrets.
    fn preview(&self, notice: &Notice) -> String;

    /// Tries once, within its own deadline. `now` is the wall clock.
    fn send<'a>(&'a self, notice: &'a Notice, now: Timestamp) -> Sending<'a>;
}
