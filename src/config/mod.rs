//! The server's config and the handler files: found, read, validated.
//!
//! Place in the flow: first. [`files`] reads texts from disk; [`server`], [`handlers`] and [`intervals`] turn texts into settings
//! with diagnostics and touch nothing outside; the texts of rule files go to `rule`. References to secrets are kept as
//! written ([`secret`]): nothing here reads one.

pub mod alertmanager;
pub mod calendars;
mod delivery_check;
pub mod files;
pub mod glob;
pub mod handler_keys;
pub mod handlers;
pub mod inhibit;
pub mod inhibit_keys;
pub mod interval_keys;
pub mod intervals;
pub mod keys;
mod matchers;
mod mutes;
mod payload_check;
pub mod preset;
mod preset_keys;
pub mod remote;
pub mod remote_write;
pub mod rotation_keys;
mod rotations;
pub mod route;
pub mod scrape;
pub mod secret;
pub mod server;
mod silences;
pub mod smtp;
mod smtp_check;
#[cfg(test)]
mod tests;
pub mod watch;
mod web;
pub mod webhook;
mod webhook_check;

use serde_json::Value;

use crate::yaml::{docs, schema};

pub use alertmanager::{Letter, Wording};
pub use handlers::{ConsoleFormat, Delivery, Handler, HandlerFiles, HandlerKind, Heartbeat, RateLimit};
pub use preset::{Preset, Presets};
pub use remote::RemoteStoreConfig;
pub use remote_write::RemoteWriteConfig;
pub use route::RouteConfig;
pub use scrape::{Authorization, BasicAuth, ScrapeConfig};
pub use secret::SecretText;
pub use server::{BuiltinRules, ServerConfig, StateConfig};
pub use silences::SilencesConfig;
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

/// JSON Schema (draft 2020-12) of a preset's file.
pub fn preset_schema() -> Value {
    schema::schema(&preset::PRESET, "alertd preset")
}

/// `docs/presets.md`.
pub fn preset_reference() -> String {
    let intro = "A preset says how messages for one kind of receiver are made. Those of the program are files of the same \
                 form; see [handlers/webhook.md](handlers/webhook.md#an-own-preset) for how to begin.";
    docs::page("Presets: reference", intro, &preset::PRESET)
}

/// `docs/config.md`.
pub fn server_reference() -> String {
    let intro = "`alertd.yaml` is optional; without it every key has its default. `${env:NAME}` and `${file:PATH}` may stand in \
                 any text and are read when the value is needed, never while checking.";
    docs::page("alertd.yaml: reference", intro, &keys::SERVER)
}

/// `docs/handlers.md`.
pub fn handlers_reference() -> String {
    let intro = "A handler tells people about alerts. Where no handler file says `handlers` or `receivers` there is one, of type \
                 `console`.";
    docs::page("Handler files: reference", intro, &handler_keys::HANDLER_FILE) + intervals::MANUAL
}
