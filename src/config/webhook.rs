//! Settings of a webhook handler, as written: secrets are references, templates are texts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::alertmanager::Wording;
use super::preset::Preset;
use super::scrape::{Authorization, BasicAuth};
use super::secret::SecretText;
use crate::template::payload::Payload;

/// A webhook handler.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WebhookConfig {
    /// Whose format the message has.
    pub preset: String,
    /// Where it goes; `None` where the preset has a fixed address.
    pub url: Option<SecretText>,
    /// Method; the preset's where not given.
    pub method: Option<String>,
    /// Content type of an own `body`.
    pub content_type: String,
    /// Further headers.
    pub headers: BTreeMap<String, SecretText>,
    /// Own payload, a minijinja template; instead of the preset's.
    pub body: Option<String>,
    /// Values for the preset's template.
    pub params: BTreeMap<String, SecretText>,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Authorization header.
    pub authorization: Option<Authorization>,
    /// Key of the signature.
    pub hmac_secret: Option<SecretText>,
    /// Proxy.
    pub proxy_url: Option<SecretText>,
    /// Whether private and loopback addresses are refused too.
    pub deny_private: bool,
    /// Most alerts written out in one message; 0: no limit of its own.
    pub max_alerts: usize,
    /// Key of a PagerDuty integration.
    pub routing_key: Option<SecretText>,
    /// Key of an Opsgenie integration.
    pub api_key: Option<SecretText>,
    /// Token of a Telegram bot.
    pub bot_token: Option<SecretText>,
    /// Telegram chat.
    pub chat_id: Option<SecretText>,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// Deadline of one attempt.
    #[serde(deserialize_with = "super::server::duration")]
    pub timeout: Duration,
    /// The preset of that name, once it was found.
    #[serde(skip)]
    pub recipe: Option<Arc<Preset>>,
    /// What it says, where it is a receiver of an `alertmanager.yml`.
    #[serde(skip)]
    pub wording: Option<Arc<Wording>>,
    /// `body`, once it was read.
    #[serde(skip)]
    pub payload: Option<Arc<Payload>>,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            preset: "generic".to_owned(),
            url: None,
            method: None,
            content_type: "application/json".to_owned(),
            headers: BTreeMap::new(),
            body: None,
            params: BTreeMap::new(),
            basic_auth: None,
            authorization: None,
            hmac_secret: None,
            proxy_url: None,
            deny_private: false,
            max_alerts: 0,
            routing_key: None,
            api_key: None,
            bot_token: None,
            chat_id: None,
            tls_config: TlsConfig::default(),
            timeout: super::handlers::TIMEOUT,
            recipe: None,
            wording: None,
            payload: None,
        }
    }
}

impl WebhookConfig {
    /// The key of that name that a preset may need; `params.NAME` too.
    pub fn parameter(&self, key: &str) -> Option<&SecretText> {
        match key {
            "url" => self.url.as_ref(),
            "routing_key" => self.routing_key.as_ref(),
            "api_key" => self.api_key.as_ref(),
            "bot_token" => self.bot_token.as_ref(),
            "chat_id" => self.chat_id.as_ref(),
            _ => key.strip_prefix("params.").and_then(|name| self.params.get(name)),
        }
    }
}

/// Certificates of a connection.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct TlsConfig {
    /// PEM file of the trusted authorities.
    pub ca_file: Option<String>,
    /// PEM file of the client's certificate.
    pub cert_file: Option<String>,
    /// PEM file of its key.
    pub key_file: Option<String>,
    /// Name that the server's certificate must have.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
}
