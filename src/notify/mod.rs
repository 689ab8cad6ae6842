//! Delivery of notices to people: the handler trait, the console handler, and what messages are made of.
//!
//! Place in the flow: last. Takes a [`Notice`](crate::model::Notice) and says what became of it. A handler tries once;
//! trying again, rate limits and fallbacks are decided outside, once for all handlers.

pub mod console;
pub mod deliver;
pub mod delivery;
pub mod handler;
pub mod human;
pub mod links;
pub mod message;
pub mod secrets;
pub mod smtp;
pub mod sparkline;
pub mod webhook;
pub mod wording;

pub use console::{ConsoleFormat, Renderer, Style};
pub use deliver::ConsoleHandler;
pub use handler::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Sending};
pub use message::Message;
pub use secrets::{Secret, Secrets};
pub use smtp::{SmtpHandler, tls_client};
pub use webhook::WebhookHandler;
