//! `remote_write`: where the series that rules make are sent, with the keys that Prometheus has for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::remote::{self, RemoteStoreConfig, STORE_TLS};
use super::scrape::{Authorization, BasicAuth};
use super::secret::SecretText;
use super::server::{ServerConfig, duration};
use super::webhook::TlsConfig;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;
use crate::yaml::shape::{Key, Kind, Shape};

/// A receiver of remote writes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct RemoteWriteConfig {
    /// The whole address.
    pub url: Option<SecretText>,
    /// Its name in metrics and messages; its number where it has none.
    pub name: Option<String>,
    /// Headers of every request.
    pub headers: BTreeMap<String, SecretText>,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Authorization header.
    pub authorization: Option<Authorization>,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// How long one request may take.
    #[serde(deserialize_with = "duration")]
    pub remote_timeout: Duration,
    /// What waits, and how much is sent at once.
    pub queue_config: QueueConfig,
}

/// `queue_config:`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct QueueConfig {
    /// Most samples that wait; the oldest beyond are dropped.
    pub capacity: usize,
    /// Most samples of one request.
    pub max_samples_per_send: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { capacity: 100_000, max_samples_per_send: 2_000 }
    }
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            url: None,
            name: None,
            headers: BTreeMap::new(),
            basic_auth: None,
            authorization: None,
            tls_config: TlsConfig::default(),
            remote_timeout: Duration::from_secs(30),
            queue_config: QueueConfig::default(),
        }
    }
}

impl RemoteWriteConfig {
    /// How its address is asked: as a store is.
    pub fn connection(&self) -> RemoteStoreConfig {
        RemoteStoreConfig {
            url: self.url.clone(),
            headers: self.headers.clone(),
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone(),
            tls_config: self.tls_config.clone(),
            timeout: self.remote_timeout,
            ..RemoteStoreConfig::default()
        }
    }
}

/// `remote_write:`, an element or the only one.
pub static REMOTE_WRITE: Shape = Shape {
    name: "remote write",
    doc: "A receiver of the series that rules make: what recording rules record, what anomaly rules publish, and `ALERTS`.",
    keys: &[
        Key::new(
            "url",
            Kind::Text,
            "http://mimir:9009/api/v1/push",
            "The whole address: `/api/v1/write` of a Prometheus with `--web.enable-remote-write-receiver`.",
        )
        .required(),
        Key::new("name", Kind::Text, "mimir", "Its name in metrics and messages; without it, its number."),
        Key::new("headers", Kind::Map(&Kind::Text), "{X-Scope-OrgID: ops}", "Headers of every request."),
        Key::new(
            "basic_auth",
            Kind::Object(&super::keys::BASIC_AUTH),
            "{username: u, password: '${env:PASSWORD}'}",
            "User and password.",
        ),
        Key::new(
            "authorization",
            Kind::Object(&super::keys::AUTHORIZATION),
            "{credentials: '${file:/run/secrets/token}'}",
            "Authorization header, such as a bearer token.",
        ),
        Key::new("tls_config", Kind::Object(&STORE_TLS), "{ca_file: /etc/ssl/private-ca.pem}", "Certificates."),
        Key::new("remote_timeout", Kind::Duration, "30s", "How long one request may take.").or("30s"),
        Key::new("queue_config", Kind::Object(&QUEUE), "{capacity: 100000}", "What waits while the receiver is away."),
    ],
};

/// `queue_config:`.
pub static QUEUE: Shape = Shape {
    name: "queue config",
    doc: "What waits while a receiver of remote writes is away.",
    keys: &[
        Key::new(
            "capacity",
            Kind::Integer(1, 10_000_000),
            "100000",
            "Most samples that wait; the oldest beyond are dropped and counted.",
        )
        .or("100000"),
        Key::new("max_samples_per_send", Kind::Integer(1, 100_000), "2000", "Most samples of one request.").or("2000"),
    ],
};

const ONE: Kind = Kind::Object(&REMOTE_WRITE);
const MANY: Kind = Kind::List(&ONE);
const ONE_OR_MANY: &[Kind] = &[ONE, MANY];

/// The key of `alertd.yaml`.
pub(super) const KEY: Key = Key::new(
    "remote_write",
    Kind::Either(ONE_OR_MANY),
    "{url: 'http://prometheus:9090/api/v1/write'}",
    "Where the series that rules make are sent, too: one receiver, or a list as in Prometheus.",
);

/// One receiver or several.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RemoteWriteConfig>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Many(Vec<RemoteWriteConfig>),
        One(Box<RemoteWriteConfig>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Many(all) => all,
        Written::One(one) => vec![*one],
    })
}

/// Checks what the shape cannot say.
pub(super) fn check(file: &Arc<SourceFile>, root: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    let Some(node) = root.get("remote_write") else { return };
    let nodes: Vec<&Node> = node.items().map_or_else(|| vec![node], |items| items.iter().collect());
    for (node, receiver) in nodes.into_iter().zip(&config.remote_write) {
        remote::one(file, node, &receiver.connection(), out);
        if let (Some(place), true) = (node.get("remote_timeout"), receiver.remote_timeout.is_zero()) {
            out.push(
                Diagnostic::error(
                    "A015",
                    file,
                    place.span.clone(),
                    "`remote_timeout` must be longer than nothing".into(),
                )
                .with_label("expected a duration such as `30s`"),
            );
        }
    }
}
