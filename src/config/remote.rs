//! Remote stores: `store` of type `prometheus` and the named ones under `stores`, with the keys that Prometheus has for
//! its clients.
//!
//! Checking reads no secret; `app` resolves them when a store is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::keys::{LABELS, TEXTS};
use super::scrape::{Authorization, BasicAuth, size};
use super::secret::SecretText;
use super::server::{ServerConfig, StoreConfig, StoreType, duration};
use super::webhook::TlsConfig;
use super::{web, webhook_check};
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::shape::{Key, Kind, Shape};
use crate::yaml::{Node, shape};

/// The name of the store under `store`, where that is a remote one.
pub const DEFAULT_STORE: &str = "default";
/// The name of the store inside the process.
const EMBEDDED: &str = "embedded";
/// Longest name of a store, in bytes.
const NAME_LEN_MAX: usize = 64;

/// How a remote store is asked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct RemoteStoreConfig {
    /// Address, up to what stands before `/api/v1`.
    pub url: Option<SecretText>,
    /// Headers of every request.
    pub headers: BTreeMap<String, SecretText>,
    /// Parameters of every request.
    pub params: BTreeMap<String, Vec<String>>,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Authorization header.
    pub authorization: Option<Authorization>,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// How long an answer may take; never longer than the interval of the rule that asks.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// Most queries at once.
    pub max_concurrent_queries: usize,
    /// Largest answer in bytes, uncompressed.
    #[serde(deserialize_with = "size")]
    pub max_response_bytes: u64,
}

impl Default for RemoteStoreConfig {
    fn default() -> Self {
        Self {
            url: None,
            headers: BTreeMap::new(),
            params: BTreeMap::new(),
            basic_auth: None,
            authorization: None,
            tls_config: TlsConfig::default(),
            timeout: Duration::from_secs(10),
            max_concurrent_queries: 16,
            max_response_bytes: 16 << 20,
        }
    }
}

impl ServerConfig {
    /// The remote stores by name; the one under `store` is called [`DEFAULT_STORE`].
    pub fn remote_stores(&self) -> BTreeMap<String, RemoteStoreConfig> {
        let named = self.stores.iter().map(|(name, store)| (name.clone(), store.remote.clone()));
        let own =
            (self.store.kind == StoreType::Prometheus).then(|| (DEFAULT_STORE.to_owned(), self.store.remote.clone()));
        named.chain(own).collect()
    }

    /// The remote store of rules that name none.
    pub fn default_store(&self) -> Option<&'static str> {
        (self.store.kind == StoreType::Prometheus).then_some(DEFAULT_STORE)
    }
}

/// An entry of `stores:`.
pub static STORES: Shape = Shape {
    name: "remote store",
    doc: "A Prometheus-compatible store that is asked over HTTP: Prometheus, Mimir, Thanos, VictoriaMetrics and others.",
    keys: &[
        Key::new("type", Kind::OneOf(&["prometheus"]), "prometheus", "Its protocol.").or("prometheus"),
        URL,
        HEADERS,
        PARAMS,
        BASIC,
        BEARER,
        TLS_CONFIG,
        TIMEOUT,
        QUERIES,
        BYTES,
    ],
};

pub(super) const URL: Key = Key::new(
    "url",
    Kind::Text,
    "http://mimir:9009/prometheus",
    "Address of a remote store: what stands before `/api/v1/query`.",
);
pub(super) const HEADERS: Key =
    Key::new("headers", LABELS, "{X-Scope-OrgID: ops}", "Headers of every request to a remote store.");
pub(super) const PARAMS: Key = Key::new(
    "params",
    Kind::Map(&TEXTS),
    "{dedup: ['true']}",
    "Parameters of every request to a remote store, such as Thanos's `dedup`.",
);
pub(super) const BASIC: Key = Key::new(
    "basic_auth",
    Kind::Object(&super::keys::BASIC_AUTH),
    "{username: u, password: '${env:PASSWORD}'}",
    "User and password for a remote store.",
);
pub(super) const BEARER: Key = Key::new(
    "authorization",
    Kind::Object(&super::keys::AUTHORIZATION),
    "{credentials: '${file:/run/secrets/token}'}",
    "Authorization header for a remote store, such as a bearer token.",
);
pub(super) const TLS_CONFIG: Key = Key::new(
    "tls_config",
    Kind::Object(&STORE_TLS),
    "{ca_file: /etc/ssl/private-ca.pem}",
    "Certificates for a remote store.",
);
pub(super) const TIMEOUT: Key = Key::new(
    "timeout",
    Kind::Duration,
    "10s",
    "How long a remote store may take to answer; never longer than the interval of the rule that asks.",
)
.or("10s");
pub(super) const QUERIES: Key = Key::new(
    "max_concurrent_queries",
    Kind::Integer(1, 1000),
    "16",
    "Most queries that a remote store is asked at once; more wait.",
)
.or("16");
pub(super) const BYTES: Key = Key::new(
    "max_response_bytes",
    Kind::Size,
    "16MB",
    "Largest answer of a remote store, uncompressed; a larger one is an error of the rule.",
)
.or("16MB");

/// `tls_config:` of a store.
pub static STORE_TLS: Shape = Shape {
    name: "store tls config",
    doc: "Certificates of the connection to a remote store.",
    keys: &[
        Key::new(
            "ca_file",
            Kind::Text,
            "/etc/ssl/private-ca.pem",
            "PEM file of the authorities that are trusted, instead of the system's.",
        ),
        Key::new("cert_file", Kind::Text, "/etc/alertd/client.pem", "PEM file of the client's certificate."),
        Key::new("key_file", Kind::Text, "/etc/alertd/client.key", "PEM file of its key."),
        Key::new(
            "insecure_skip_verify",
            Kind::Boolean,
            "true",
            "Accept any certificate: whoever is on the way can read and change answers.",
        )
        .or("false"),
    ],
};

/// Checks `store` and `stores`: what the shape cannot say.
pub(super) fn check(file: &Arc<SourceFile>, root: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    if let (Some(node), StoreType::Prometheus) = (root.get("store"), config.store.kind) {
        one(file, node, &config.store.remote, out);
    }
    for (key, node) in root.get("stores").and_then(Node::entries).unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        name_is_free(file, key, config, out);
        if let Some(StoreConfig { remote, .. }) = config.stores.get(name) {
            one(file, node, remote, out);
        }
    }
}

fn name_is_free(file: &Arc<SourceFile>, key: &Node, config: &ServerConfig, out: &mut Vec<Diagnostic>) {
    let name = key.text().unwrap_or_default();
    let taken = name == EMBEDDED || (name == DEFAULT_STORE && config.store.kind == StoreType::Prometheus);
    let message = if taken {
        format!("a store cannot be called `{name}`: that is the one under `store`")
    } else if name.is_empty() || name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        format!("a store's name must be 1 to {NAME_LEN_MAX} bytes of text on one line")
    } else {
        return;
    };
    out.push(Diagnostic::error("A516", file, key.span.clone(), message).with_label("expected another name"));
}

pub(super) fn one(file: &Arc<SourceFile>, node: &Node, config: &RemoteStoreConfig, out: &mut Vec<Diagnostic>) {
    let mut error = |code, place: &Node, message: &str, label: &str| {
        out.push(Diagnostic::error(code, file, place.span.clone(), message.to_owned()).with_label(label));
    };
    if let (Some((basic, _)), Some((other, _))) = (node.entry("basic_auth"), node.entry("authorization")) {
        let later = if basic.span.start > other.span.start { basic } else { other };
        error("A016", later, "`basic_auth` and `authorization` say the same", "keep one of the two");
    }
    if let (Some(place), true) = (node.get("timeout"), config.timeout.is_zero()) {
        error("A015", place, "`timeout` must be longer than nothing", "expected a duration such as `10s`");
    }
    if let (Some(place), 0) = (node.get("max_response_bytes"), config.max_response_bytes) {
        error("A015", place, "`max_response_bytes` must be more than nothing", "expected a size such as `16MB`");
    }
    match (&config.url, node.get("url")) {
        (Some(url), Some(place)) => web::secret_address(file, place, url, "url", out),
        _ => out.push(
            Diagnostic::error("A012", file, shape::anchor(node), "`url` is missing".to_owned())
                .with_help("add `url: http://127.0.0.1:9090`"),
        ),
    }
    for (key, value) in node.get("headers").and_then(Node::entries).unwrap_or_default() {
        web::header_name(file, key, out);
        web::header_value(file, value, out);
    }
    if let Some(node) = node.get("tls_config") {
        webhook_check::tls(file, node, &config.tls_config, out);
    }
}
