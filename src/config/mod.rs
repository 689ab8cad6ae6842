//! The server's config and the handler files: found, read, validated.
//!
//! Place in the flow: first. [`files`] reads texts from disk; [`server`] and [`handlers`] turn texts into settings with
//! diagnostics and touch nothing outside; the texts of rule files go to `rule`. References to secrets are kept as
//! written ([`secret`]): nothing here reads one.

pub mod files;
pub mod handler_keys;
pub mod handlers;
pub mod keys;
pub mod route;
pub mod scrape;
pub mod secret;
pub mod server;
pub mod smtp;
mod smtp_check;
#[cfg(test)]
mod tests;
pub mod watch;
pub mod webhook;

use serde_json::Value;

use crate::yaml::{docs, schema};

pub use handlers::{ConsoleFormat, Delivery, Handler, HandlerFiles, HandlerKind, Heartbeat, RateLimit};
pub use route::RootRoute;
pub use scrape::{Authorization, BasicAuth, ScrapeConfig};
pub use secret::SecretText;
pub use server::ServerConfig;
pub use smtp::{SmtpConfig, SmtpTls};
pub use webhook::{TlsConfig, WebhookConfig};

/// JSON Schema (draft 2020-12) of `alertd.yaml`.
pub fn server_schema() -> Value {
    schema::schema(&keys::SERVER, "alertd config")
}

/// JSON Schema (draft 2020-12) of a handler file.
pub fn handlers_schema() -> Value {
    schema::schema(&handler_keys::HANDLER_FILE, "alertd handler file")
}

/// `docs/config.md`.
pub fn server_reference() -> String {
    let intro = "`alertd.yaml` is optional; without it every key has its default. `${env:NAME}` and `${file:PATH}` may stand in \
                 any text and are read when the value is needed, never while checking.";
    docs::page("alertd.yaml: reference", intro, &keys::SERVER)
}

/// `docs/handlers.md`.
pub fn handlers_reference() -> String {
    let intro = "A handler tells people about alerts. Without a handler file there is one, of type `console`.";
    docs::page("Handler files: reference", intro, &handler_keys::HANDLER_FILE)
}
