//! `http_config`: how requests of a receiver are made; its own, else that of `global`.

use super::context::Context;
use crate::config::scrape::{Authorization, BasicAuth};
use crate::config::secret::SecretText;
use crate::config::web;
use crate::config::webhook::{TlsConfig, WebhookConfig};
use crate::config::webhook_check;
use crate::yaml::Node;

const WITHOUT_EQUAL: &[(&str, &str)] = &[
    ("oauth2", "no token is asked for, so the receiver will refuse what is sent; use `authorization`"),
    ("no_proxy", "everything goes through the proxy"),
    ("proxy_from_environment", "variables of the environment name no proxy; write `proxy_url`"),
    ("proxy_connect_header", "the proxy is sent no headers of its own"),
    ("enable_http2", "which version of HTTP is spoken is agreed upon with the receiver"),
];
const TLS_WITHOUT_EQUAL: &[(&str, &str)] = &[
    ("ca", "certificates are read from files: write `ca_file`"),
    ("ca_ref", "certificates are read from files: write `ca_file`"),
    ("cert", "certificates are read from files: write `cert_file`"),
    ("cert_ref", "certificates are read from files: write `cert_file`"),
    ("key", "keys are read from files: write `key_file`"),
    ("key_ref", "keys are read from files: write `key_file`"),
    ("min_version", "TLS 1.2 and 1.3 are spoken"),
    ("max_version", "TLS 1.2 and 1.3 are spoken"),
];
const REFERENCES: &[(&str, &str)] = &[
    ("username_ref", "secrets come from files and from the environment"),
    ("password_ref", "secrets come from files and from the environment"),
    ("credentials_ref", "secrets come from files and from the environment"),
];
/// At most one of these says who asks.
const LOGINS: [&str; 4] = ["basic_auth", "authorization", "oauth2", "bearer_token"];

/// The settings of a webhook as far as they are those of a connection; `secrets` learns which of them are secret though
/// they are written out.
pub(super) fn read(context: &mut Context<'_>, integration: &Node, secrets: &mut Vec<String>) -> WebhookConfig {
    let mut config = WebhookConfig::default();
    if let Some(timeout) = Context::duration(integration, "timeout") {
        config.timeout = timeout;
    }
    let global = context.global.and_then(|global| global.get("http_config"));
    let Some(node) = integration.get("http_config").or(global) else { return config };
    context.without_equal(node, WITHOUT_EQUAL);
    if let (Some(true), Some((key, _))) = (Context::flag(node, "follow_redirects"), node.entry("follow_redirects")) {
        context.differs(key, "redirects are not followed".to_owned(), "an answer that redirects is a failure");
    }
    login(context, node, &mut config);
    config.tls_config = tls(context, node);
    proxy(context, node, &mut config);
    headers(context, node, &mut config, secrets);
    config
}

fn login(context: &mut Context<'_>, node: &Node, config: &mut WebhookConfig) {
    let entry = |key: &&str| node.entry(key).or_else(|| node.entry(&format!("{key}_file")));
    let told: Vec<&Node> = LOGINS.iter().filter_map(entry).map(|(key, _)| key).collect();
    if let [_, second, ..] = told.as_slice() {
        context.error("A016", second, "two keys say who asks".to_owned(), "keep one of them");
    }
    if let Some(basic) = node.get("basic_auth") {
        context.without_equal(basic, REFERENCES);
        let read = |key: &str| context.secret_beside(basic, key).unwrap_or_default();
        config.basic_auth = Some(BasicAuth { username: read("username"), password: read("password") });
    }
    let bearer = |credentials| Authorization { kind: "Bearer".to_owned(), credentials };
    config.authorization = context.secret_beside(node, "bearer_token").map(bearer);
    if let Some(authorization) = node.get("authorization") {
        context.without_equal(authorization, REFERENCES);
        let kind = Context::literal(authorization, "type").unwrap_or_else(|| "Bearer".to_owned());
        if kind.eq_ignore_ascii_case("basic")
            && let Some(place) = authorization.get("type")
        {
            context.error("A015", place, "`type` cannot be `Basic`".to_owned(), "write `basic_auth` instead");
        }
        let credentials = context.secret_beside(authorization, "credentials").unwrap_or_default();
        config.authorization = Some(Authorization { kind, credentials });
    }
}

/// Certificates; their paths are meant from the folder of the file.
pub(super) fn tls(context: &mut Context<'_>, holder: &Node) -> TlsConfig {
    let Some(node) = holder.get("tls_config").or_else(|| holder.get("smtp_tls_config")) else {
        return TlsConfig::default();
    };
    context.without_equal(node, TLS_WITHOUT_EQUAL);
    let path = |key: &str| Context::literal(node, key).map(|path| context.beside(&path));
    let mut config = TlsConfig {
        ca_file: path("ca_file"),
        cert_file: path("cert_file"),
        key_file: path("key_file"),
        server_name: Context::literal(node, "server_name"),
        insecure_skip_verify: Context::flag(node, "insecure_skip_verify").unwrap_or_default(),
    };
    // Half of what is shown to a server cannot be read, as was told: nothing is shown.
    if ["cert", "cert_ref", "key", "key_ref"].iter().any(|key| Context::literal(node, key).is_some()) {
        (config.cert_file, config.key_file) = (None, None);
    }
    webhook_check::tls(context.file, node, &config, context.out);
    config
}

fn proxy(context: &mut Context<'_>, node: &Node, config: &mut WebhookConfig) {
    let Some((key, place)) = node.entry("proxy_url") else { return };
    let text = place.text().unwrap_or_default();
    if text.starts_with("socks5") {
        context.differs(key, "proxies of SOCKS have no equal".to_owned(), "requests are made without a proxy");
    } else if !text.is_empty() && web::web_address(context.file, place, text, "proxy_url", context.out) {
        config.proxy_url = Some(SecretText::literal(text));
    }
    if let Some((key, _)) = node.get("tls_config").and_then(|tls| tls.entry("server_name"))
        && config.proxy_url.is_some()
    {
        context.differs(key, "`server_name` cannot be combined with `proxy_url`".to_owned(), "it is left out");
        config.tls_config.server_name = None;
    }
}

fn headers(context: &mut Context<'_>, node: &Node, config: &mut WebhookConfig, hidden: &mut Vec<String>) {
    for (key, value) in node.get("http_headers").and_then(Node::entries).unwrap_or_default() {
        web::header_name(context.file, key, context.out);
        let items = |name: &str| value.get(name).and_then(Node::items).unwrap_or_default();
        let written = items("values").iter().chain(items("secrets"));
        written.clone().for_each(|item| web::header_value(context.file, item, context.out));
        let mut texts: Vec<SecretText> = written.filter_map(|item| Some(SecretText::literal(item.text()?))).collect();
        let files = items("files").iter().filter_map(Node::text);
        texts.extend(files.map(|path| SecretText::of_file(&context.beside(path))));
        if texts.len() > 1 {
            context.differs(key, "a header is sent once".to_owned(), "its first value is sent");
        }
        if let (Some(name), Some(text)) = (key.text(), texts.into_iter().next()) {
            if items("values").is_empty() {
                hidden.push(format!("headers.{name}"));
            }
            config.headers.insert(name.to_owned(), text);
        }
    }
}
