//! Every key of an `alertmanager.yml`, up to the receivers: what is unknown is an error, as it is for Alertmanager.

use super::receiver_keys::RECEIVER;
use crate::config::inhibit_keys::INHIBIT_SOURCE;
use crate::config::interval_keys::TIME_INTERVAL;
use crate::config::keys::{LABELS, TEXTS};
use crate::yaml::shape::{Key, Kind, Shape};

/// Any value, for keys whose content is not judged.
pub(super) static ANY_KINDS: [Kind; 3] =
    [Kind::Text, Kind::List(&Kind::Either(&ANY_KINDS)), Kind::Map(&Kind::Either(&ANY_KINDS))];

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
        Key::new("tracing", Kind::Either(&ANY_KINDS), "text", ""),
    ],
};

/// What holds where a receiver says nothing else.
pub(super) static GLOBAL: Shape = Shape {
    name: "global section",
    doc: "What holds where a receiver says nothing else.",
    keys: &[
        Key::new("resolve_timeout", Kind::Duration, "5m", ""),
        Key::new("http_config", Kind::Object(&HTTP), "{follow_redirects: false}", ""),
        Key::new("smtp_from", Kind::Text, "text", ""),
        Key::new("smtp_hello", Kind::Text, "text", ""),
        Key::new("smtp_smarthost", Kind::Text, "text", ""),
        Key::new("smtp_auth_username", Kind::Text, "text", ""),
        Key::new("smtp_auth_password", Kind::Text, "text", ""),
        Key::new("smtp_auth_password_file", Kind::Text, "text", ""),
        Key::new("smtp_auth_identity", Kind::Text, "text", ""),
        Key::new("smtp_auth_secret", Kind::Text, "text", ""),
        Key::new("smtp_auth_secret_file", Kind::Text, "text", ""),
        Key::new("smtp_require_tls", Kind::Boolean, "true", ""),
        Key::new("smtp_force_implicit_tls", Kind::Boolean, "true", ""),
        Key::new("smtp_tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        Key::new("slack_api_url", Kind::Text, "text", ""),
        Key::new("slack_api_url_file", Kind::Text, "text", ""),
        Key::new("slack_app_token", Kind::Text, "text", ""),
        Key::new("slack_app_token_file", Kind::Text, "text", ""),
        Key::new("slack_app_url", Kind::Text, "text", ""),
        Key::new("pagerduty_url", Kind::Text, "text", ""),
        Key::new("opsgenie_api_url", Kind::Text, "text", ""),
        Key::new("opsgenie_api_key", Kind::Text, "text", ""),
        Key::new("opsgenie_api_key_file", Kind::Text, "text", ""),
        Key::new("victorops_api_url", Kind::Text, "text", ""),
        Key::new("victorops_api_key", Kind::Text, "text", ""),
        Key::new("victorops_api_key_file", Kind::Text, "text", ""),
        Key::new("telegram_api_url", Kind::Text, "text", ""),
        Key::new("telegram_bot_token", Kind::Text, "text", ""),
        Key::new("telegram_bot_token_file", Kind::Text, "text", ""),
        Key::new("webex_api_url", Kind::Text, "text", ""),
        Key::new("wechat_api_url", Kind::Text, "text", ""),
        Key::new("wechat_api_secret", Kind::Text, "text", ""),
        Key::new("wechat_api_secret_file", Kind::Text, "text", ""),
        Key::new("wechat_api_corp_id", Kind::Text, "text", ""),
        Key::new("rocketchat_api_url", Kind::Text, "text", ""),
        Key::new("rocketchat_token", Kind::Text, "text", ""),
        Key::new("rocketchat_token_file", Kind::Text, "text", ""),
        Key::new("rocketchat_token_id", Kind::Text, "text", ""),
        Key::new("rocketchat_token_id_file", Kind::Text, "text", ""),
        Key::new("jira_api_url", Kind::Text, "text", ""),
        Key::new("mattermost_webhook_url", Kind::Text, "text", ""),
        Key::new("mattermost_webhook_url_file", Kind::Text, "text", ""),
    ],
};

/// A node of the tree of routes.
pub(super) static ROUTE: Shape = Shape {
    name: "route",
    doc: "A node of the tree of routes.",
    keys: &[
        Key::new("receiver", Kind::Text, "team", ""),
        Key::new("group_by", TEXTS, "[alertname]", ""),
        Key::new("continue", Kind::Boolean, "true", ""),
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
        Key::new("name", Kind::Text, "text", ""),
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
        Key::new("oauth2", Kind::Either(&ANY_KINDS), "text", ""),
        Key::new("bearer_token", Kind::Text, "text", ""),
        Key::new("bearer_token_file", Kind::Text, "text", ""),
        Key::new("tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        Key::new("proxy_url", Kind::Text, "http://proxy:3128", ""),
        Key::new("no_proxy", Kind::Text, "text", ""),
        Key::new("proxy_from_environment", Kind::Boolean, "true", ""),
        Key::new("proxy_connect_header", Kind::Either(&ANY_KINDS), "text", ""),
        Key::new("follow_redirects", Kind::Boolean, "true", ""),
        Key::new("enable_http2", Kind::Boolean, "true", ""),
        Key::new("http_headers", Kind::Map(&Kind::Object(&HTTP_HEADER)), "{X-Team: {values: [web]}}", ""),
    ],
};

/// User and password.
pub(super) static BASIC: Shape = Shape {
    name: "basic auth",
    doc: "User and password.",
    keys: &[
        Key::new("username", Kind::Text, "text", ""),
        Key::new("username_file", Kind::Text, "text", ""),
        Key::new("username_ref", Kind::Text, "text", ""),
        Key::new("password", Kind::Text, "text", ""),
        Key::new("password_file", Kind::Text, "text", ""),
        Key::new("password_ref", Kind::Text, "text", ""),
    ],
};

/// The Authorization header.
pub(super) static AUTHORIZATION: Shape = Shape {
    name: "authorization",
    doc: "The Authorization header.",
    keys: &[
        Key::new("type", Kind::Text, "text", ""),
        Key::new("credentials", Kind::Text, "text", ""),
        Key::new("credentials_file", Kind::Text, "text", ""),
        Key::new("credentials_ref", Kind::Text, "text", ""),
    ],
};

/// Certificates.
pub(super) static TLS: Shape = Shape {
    name: "tls config",
    doc: "Certificates.",
    keys: &[
        Key::new("ca", Kind::Text, "text", ""),
        Key::new("ca_file", Kind::Text, "text", ""),
        Key::new("ca_ref", Kind::Text, "text", ""),
        Key::new("cert", Kind::Text, "text", ""),
        Key::new("cert_file", Kind::Text, "text", ""),
        Key::new("cert_ref", Kind::Text, "text", ""),
        Key::new("key", Kind::Text, "text", ""),
        Key::new("key_file", Kind::Text, "text", ""),
        Key::new("key_ref", Kind::Text, "text", ""),
        Key::new("server_name", Kind::Text, "text", ""),
        Key::new("min_version", Kind::Text, "text", ""),
        Key::new("max_version", Kind::Text, "text", ""),
        Key::new("insecure_skip_verify", Kind::Boolean, "true", ""),
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
