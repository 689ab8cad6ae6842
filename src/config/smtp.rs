//! Settings of a mail handler, as written: secrets are references, templates are texts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::secret::SecretText;
use super::webhook::TlsConfig;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// In the clear at first, then STARTTLS; refused where the server does not offer it (RFC 3207).
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Not at all.
    None,
}

/// A mail handler.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct SmtpConfig {
    /// The mail server.
    pub host: Option<SecretText>,
    /// Its port, where not the usual one.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// User.
    pub username: Option<SecretText>,
    /// Password.
    pub password: Option<SecretText>,
    /// Sender.
    pub from: Option<SecretText>,
    /// Recipients.
    #[serde(deserialize_with = "one_or_many")]
    pub to: Vec<SecretText>,
    /// Further headers.
    pub headers: BTreeMap<String, SecretText>,
    /// Name given in EHLO.
    pub hello: Option<String>,
    /// Own subject, a minijinja template.
    pub subject: Option<String>,
    /// Whether `tls: none` is allowed to another machine.
    pub allow_plaintext: bool,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// Deadline of one attempt.
    #[serde(deserialize_with = "super::server::duration")]
    pub timeout: Duration,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            tls: SmtpTls::Starttls,
            username: None,
            password: None,
            from: None,
            to: Vec::new(),
            headers: BTreeMap::new(),
            hello: None,
            subject: None,
            allow_plaintext: false,
            tls_config: TlsConfig::default(),
            timeout: super::handlers::TIMEOUT,
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretText>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(SecretText),
        Many(Vec<SecretText>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// What the shape cannot say about a mail handler.
pub(super) fn check(_file: &Arc<SourceFile>, _node: &Node, _config: &SmtpConfig, _out: &mut Vec<Diagnostic>) {}
