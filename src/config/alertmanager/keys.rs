//! Every key of an `alertmanager.yml`, up to the receivers: what is unknown is an error, as it is for Alertmanager.

use super::receiver_keys::RECEIVER;
use crate::config::inhibit_keys::INHIBIT_SOURCE;
use crate::config::interval_keys::TIME_INTERVAL;
use crate::config::keys::{LABELS, TEXTS};
use crate::yaml::shape::{Key, Kind, Shape};

/// A key with a text.
pub(super) const fn text(name: &'static str) -> Key {
    Key::new(name, Kind::Text, "text", "")
}

/// A key that is on or off.
pub(super) const fn flag(name: &'static str) -> Key {
    Key::new(name, Kind::Boolean, "true", "")
}

/// A key whose content is not judged.
pub(super) const fn any(name: &'static str) -> Key {
    Key::new(name, Kind::Any, "", "")
}

const A_RECEIVER: Kind = Kind::Object(&RECEIVER);
const INTERVALS: Kind = Kind::List(&Kind::Object(&TIME_INTERVAL));
static A_ROUTE: Kind = Kind::Object(&ROUTE);

/// A file of Alertmanager.
pub(super) static FILE: Shape = Shape {
    name: "alertmanager file",
    doc: "A file of Alertmanager.",
    keys: &[
        Key::new("global", Kind::Object(&GLOBAL), "{resolve_timeout: 5m}", ""),
        Key::new("route", Kind::Object(&ROUTE), "{receiver: team}", ""),
        Key::new("receivers", Kind::List(&A_RECEIVER), "[{name: team}]", ""),
        Key::new("inhibit_rules", Kind::List(&Kind::Object(&INHIBIT_RULE)), "[]", ""),
        Key::new("templates", TEXTS, "[templates/*.tmpl]", ""),
        Key::new("time_intervals", INTERVALS, "[]", ""),
        Key::new("mute_time_intervals", INTERVALS, "[]", ""),
        any("tracing"),
    ],
};

/// What holds where a receiver says nothing else.
pub(super) static GLOBAL: Shape = Shape {
    name: "global section",
    doc: "What holds where a receiver says nothing else.",
    keys: &[
        Key::new("resolve_timeout", Kind::Duration, "5m", ""),
        Key::new("http_config", Kind::Object(&HTTP), "{follow_redirects: false}", ""),
        text("smtp_from"),
        text("smtp_hello"),
        text("smtp_smarthost"),
        text("smtp_auth_username"),
        text("smtp_auth_password"),
        text("smtp_auth_password_file"),
        text("smtp_auth_identity"),
        text("smtp_auth_secret"),
        text("smtp_auth_secret_file"),
        flag("smtp_require_tls"),
        flag("smtp_force_implicit_tls"),
        Key::new("smtp_tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        text("slack_api_url"),
        text("slack_api_url_file"),
        text("slack_app_token"),
        text("slack_app_token_file"),
        text("slack_app_url"),
        text("pagerduty_url"),
        text("opsgenie_api_url"),
        text("opsgenie_api_key"),
        text("opsgenie_api_key_file"),
        text("victorops_api_url"),
        text("victorops_api_key"),
        text("victorops_api_key_file"),
        text("telegram_api_url"),
        text("telegram_bot_token"),
        text("telegram_bot_token_file"),
        text("webex_api_url"),
        text("wechat_api_url"),
        text("wechat_api_secret"),
        text("wechat_api_secret_file"),
        text("wechat_api_corp_id"),
        text("rocketchat_api_url"),
        text("rocketchat_token"),
        text("rocketchat_token_file"),
        text("rocketchat_token_id"),
        text("rocketchat_token_id_file"),
        text("jira_api_url"),
        text("mattermost_webhook_url"),
        text("mattermost_webhook_url_file"),
    ],
};

/// A node of the tree of routes.
pub(super) static ROUTE: Shape = Shape {
    name: "route",
    doc: "A node of the tree of routes.",
    keys: &[
        Key::new("receiver", Kind::Text, "team", ""),
        Key::new("group_by", TEXTS, "[alertname]", ""),
        flag("continue"),
        Key::new("match", Kind::Map(&Kind::Text), "{team: web}", ""),
        Key::new("match_re", Kind::Map(&Kind::Text), "{team: web|api}", ""),
        Key::new("matchers", Kind::List(&Kind::Language("matcher")), "[team=web]", ""),
        Key::new("group_wait", Kind::Duration, "30s", ""),
        Key::new("group_interval", Kind::Duration, "5m", ""),
        Key::new("repeat_interval", Kind::Duration, "4h", ""),
        Key::new("mute_time_intervals", TEXTS, "[nights]", ""),
        Key::new("active_time_intervals", TEXTS, "[days]", ""),
        Key::new("labels", LABELS, "{name: text}", ""),
        Key::new("routes", Kind::List(&A_ROUTE), "[]", ""),
    ],
};

/// Alerts that others make needless.
pub(super) static INHIBIT_RULE: Shape = Shape {
    name: "inhibit rule",
    doc: "Alerts that others make needless.",
    keys: &[
        text("name"),
        Key::new("source_match", Kind::Map(&Kind::Text), "{severity: critical}", ""),
        Key::new("source_match_re", Kind::Map(&Kind::Text), "{severity: critical}", ""),
        Key::new("source_matchers", Kind::List(&Kind::Language("matcher")), "[severity=critical]", ""),
        Key::new("target_match", Kind::Map(&Kind::Text), "{severity: warning}", ""),
        Key::new("target_match_re", Kind::Map(&Kind::Text), "{severity: warning}", ""),
        Key::new("target_matchers", Kind::List(&Kind::Language("matcher")), "[severity=warning]", ""),
        Key::new("sources", Kind::List(&Kind::Object(&INHIBIT_SOURCE)), "[]", ""),
        Key::new("equal", TEXTS, "[host]", ""),
    ],
};

/// How requests are made.
pub(super) static HTTP: Shape = Shape {
    name: "http config",
    doc: "How requests are made.",
    keys: &[
        Key::new("basic_auth", Kind::Object(&BASIC), "{username: u}", ""),
        Key::new("authorization", Kind::Object(&AUTHORIZATION), "{credentials: c}", ""),
        any("oauth2"),
        text("bearer_token"),
        text("bearer_token_file"),
        Key::new("tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        Key::new("proxy_url", Kind::Text, "http://proxy:3128", ""),
        text("no_proxy"),
        flag("proxy_from_environment"),
        any("proxy_connect_header"),
        flag("follow_redirects"),
        flag("enable_http2"),
        Key::new("http_headers", Kind::Map(&Kind::Object(&HTTP_HEADER)), "{X-Team: {values: [web]}}", ""),
    ],
};

/// User and password.
pub(super) static BASIC: Shape = Shape {
    name: "basic auth",
    doc: "User and password.",
    keys: &[
        text("username"),
        text("username_file"),
        text("username_ref"),
        text("password"),
        text("password_file"),
        text("password_ref"),
    ],
};

/// The Authorization header.
pub(super) static AUTHORIZATION: Shape = Shape {
    name: "authorization",
    doc: "The Authorization header.",
    keys: &[text("type"), text("credentials"), text("credentials_file"), text("credentials_ref")],
};

/// Certificates.
pub(super) static TLS: Shape = Shape {
    name: "tls config",
    doc: "Certificates.",
    keys: &[
        text("ca"),
        text("ca_file"),
        text("ca_ref"),
        text("cert"),
        text("cert_file"),
        text("cert_ref"),
        text("key"),
        text("key_file"),
        text("key_ref"),
        text("server_name"),
        text("min_version"),
        text("max_version"),
        flag("insecure_skip_verify"),
    ],
};

/// Values of a header.
pub(super) static HTTP_HEADER: Shape = Shape {
    name: "http header",
    doc: "Values of a header.",
    keys: &[
        Key::new("values", TEXTS, "[text]", ""),
        Key::new("secrets", TEXTS, "[text]", ""),
        Key::new("files", TEXTS, "[text]", ""),
    ],
};
