//! What a notification handler is: something that tries once to hand a notice over, and says what became of it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::{Notice, Timestamp};

/// The step of an attempt at which it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading a secret.
    Secret,
    /// Making the message.
    Render,
    /// Finding the host's address.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the mail server's greeting, and `EHLO`.
    Greeting,
    /// Logging in.
    Auth,
    /// Naming sender and recipients.
    Envelope,
    /// Sending the message.
    Send,
    /// Waiting for the answer.
    Answer,
    /// Reading the answer's body.
    Body,
}

impl Phase {
    /// The words shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "reading a secret",
            Self::Render => "rendering the message",
            Self::Resolve => "resolving the host name",
            Self::Connect => "connecting",
            Self::Tls => "TLS handshake",
            Self::Greeting => "greeting",
            Self::Auth => "authentication",
            Self::Envelope => "naming sender and recipients",
            Self::Send => "sending",
            Self::Answer => "waiting for the answer",
            Self::Body => "reading the answer",
        }
    }
}

/// What kind of failure it was: a label of `alertd_delivery_attempts_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// No connection, or it broke.
    Network,
    /// A deadline passed.
    Timeout,
    /// The certificate or the handshake.
    Tls,
    /// The receiver asks for fewer messages (429, SMTP 4xx that says so).
    RateLimited,
    /// The receiver's fault for now (5xx, SMTP 4xx).
    ServerError,
    /// The receiver does not want this message (4xx, SMTP 5xx).
    ClientError,
    /// Settings: a secret that cannot be read, an address that is not allowed.
    Config,
    /// A fault of alertd.
    Internal,
}

impl FailureClass {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::ClientError => "client_error",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub class: FailureClass,
    /// At which step.
    pub phase: Phase,
    /// What happened, for people, with the receiver's own words; free of secrets. Without the phase's words.
    pub message: String,
    /// Whether the receiver may have taken the message all the same (no answer came after it was sent).
    pub maybe_taken: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.phase.as_str(), self.message)
    }
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has taken it.
    Sent {
        /// Its answer, shortened; for history.
        answer: String,
        /// Parts (recipients) that were refused for good, each with the receiver's words.
        refused: Vec<String>,
    },
    /// Not now; it may work later.
    Retry {
        /// The least time to wait, where the receiver named one (`Retry-After`).
        after: Option<Duration>,
        /// What went wrong.
        failure: Failure,
        /// All parts (recipients) that need no further attempt, taken or refused for good: those of
        /// [`Attempt::done`] and those of this attempt. They take the place of what was known before.
        done: Vec<String>,
    },
    /// Never: trying again cannot help.
    Rejected {
        /// Why.
        failure: Failure,
    },
}

impl Outcome {
    /// Taken whole.
    pub fn sent(answer: impl Into<String>) -> Self {
        Self::Sent { answer: answer.into(), refused: Vec::new() }
    }
}

/// What an attempt is told besides the notice.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Counts the attempts of this notice from 1.
    pub number: u32,
    /// The wall clock.
    pub now: Timestamp,
    /// Parts (recipients) that earlier attempts are done with.
    pub done: &'a [String],
}

/// What a handler would send, for dry runs and previews; free of secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Method of the request, for a webhook.
    pub method: Option<String>,
    /// Where it would go, secrets and paths replaced by `<redacted>`.
    pub url: Option<String>,
    /// The message: JSON where the handler sends JSON, else text.
    pub payload: String,
}

/// An attempt under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A notification handler.
pub trait Handler: Send + Sync {
    /// The name rules and routes use.
    fn name(&self) -> &str;

    /// Its type as handler files name it: `console`, `smtp`, `webhook`.
    fn kind(&self) -> &'static str;

    /// What it would send, without sending, reading a secret or opening anything.
    fn preview(&self, notice: &Notice) -> Preview;

    /// Tries once, within its own deadlines, the last of which is `timeout`.
    fn send<'a>(&'a self, notice: &'a Notice, attempt: Attempt<'a>) -> Sending<'a>;
}
