//! Every key of the receivers of an `alertmanager.yml` that have an equal here.

use super::keys::{ANY_KINDS, HTTP, TLS};
use crate::config::keys::{LABELS, TEXTS};
use crate::yaml::shape::{Key, Kind, Shape};

const SEND_RESOLVED: Key = Key::new("send_resolved", Kind::Boolean, "true", "");
const HTTP_CONFIG: Key = Key::new("http_config", Kind::Object(&HTTP), "{follow_redirects: false}", "");
const TIMEOUT: Key = Key::new("timeout", Kind::Duration, "10s", "");

/// Where people are told.
pub(super) static RECEIVER: Shape = Shape {
    name: "receiver",
    doc: "Where people are told.",
    keys: &[
        Key::new("name", Kind::Text, "team", "").required(),
        Key::new("discord_configs", Kind::List(&Kind::Object(&DISCORD)), "[]", ""),
        Key::new("email_configs", Kind::List(&Kind::Object(&EMAIL)), "[]", ""),
        Key::new("msteams_configs", Kind::List(&Kind::Object(&TEAMS)), "[]", ""),
        Key::new("msteamsv2_configs", Kind::List(&Kind::Object(&TEAMS_V2)), "[]", ""),
        Key::new("opsgenie_configs", Kind::List(&Kind::Object(&OPSGENIE)), "[]", ""),
        Key::new("pagerduty_configs", Kind::List(&Kind::Object(&PAGERDUTY)), "[]", ""),
        Key::new("pushover_configs", Kind::List(&Kind::Object(&PUSHOVER)), "[]", ""),
        Key::new("slack_configs", Kind::List(&Kind::Object(&SLACK)), "[]", ""),
        Key::new("telegram_configs", Kind::List(&Kind::Object(&TELEGRAM)), "[]", ""),
        Key::new("victorops_configs", Kind::List(&Kind::Object(&VICTOROPS)), "[]", ""),
        Key::new("webex_configs", Kind::List(&Kind::Object(&WEBEX)), "[]", ""),
        Key::new("webhook_configs", Kind::List(&Kind::Object(&WEBHOOK)), "[]", ""),
        Key::new("compass_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("gotify_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("googlechat_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("incidentio_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("jira_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("jsm_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("jsmops_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("kafka_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("mattermost_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("pubsub_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("rocketchat_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("signl4_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("sns_configs", Kind::Either(&ANY_KINDS), "[]", ""),
        Key::new("wechat_configs", Kind::Either(&ANY_KINDS), "[]", ""),
    ],
};

/// Discord.
pub(super) static DISCORD: Shape = Shape {
    name: "discord config",
    doc: "Discord.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        Key::new("webhook_url", Kind::Text, "text", ""),
        Key::new("webhook_url_file", Kind::Text, "text", ""),
        Key::new("content", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("message", Kind::Text, "text", ""),
        Key::new("username", Kind::Text, "text", ""),
        Key::new("avatar_url", Kind::Text, "text", ""),
    ],
};

/// Mail.
pub(super) static EMAIL: Shape = Shape {
    name: "email config",
    doc: "Mail.",
    keys: &[
        SEND_RESOLVED,
        Key::new("to", Kind::Text, "text", ""),
        Key::new("from", Kind::Text, "text", ""),
        Key::new("hello", Kind::Text, "text", ""),
        Key::new("smarthost", Kind::Text, "text", ""),
        Key::new("auth_username", Kind::Text, "text", ""),
        Key::new("auth_password", Kind::Text, "text", ""),
        Key::new("auth_password_file", Kind::Text, "text", ""),
        Key::new("auth_secret", Kind::Text, "text", ""),
        Key::new("auth_secret_file", Kind::Text, "text", ""),
        Key::new("auth_identity", Kind::Text, "text", ""),
        Key::new("html", Kind::Text, "text", ""),
        Key::new("text", Kind::Text, "text", ""),
        Key::new("headers", LABELS, "{name: text}", ""),
        Key::new("require_tls", Kind::Boolean, "true", ""),
        Key::new("force_implicit_tls", Kind::Boolean, "true", ""),
        Key::new("implicit_tls", Kind::Boolean, "true", ""),
        Key::new("tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        Key::new("threading", Kind::Object(&THREADING), "{enabled: true}", ""),
    ],
};

/// Conversations of mails.
pub(super) static THREADING: Shape = Shape {
    name: "threading",
    doc: "Conversations of mails.",
    keys: &[Key::new("enabled", Kind::Boolean, "true", ""), Key::new("thread_by_date", Kind::Text, "text", "")],
};

/// Teams, by connectors of Office 365.
pub(super) static TEAMS: Shape = Shape {
    name: "msteams config",
    doc: "Teams, by connectors of Office 365.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("webhook_url", Kind::Text, "text", ""),
        Key::new("webhook_url_file", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("summary", Kind::Text, "text", ""),
        Key::new("text", Kind::Text, "text", ""),
    ],
};

/// Teams, by workflows.
pub(super) static TEAMS_V2: Shape = Shape {
    name: "msteamsv2 config",
    doc: "Teams, by workflows.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("webhook_url", Kind::Text, "text", ""),
        Key::new("webhook_url_file", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("text", Kind::Text, "text", ""),
    ],
};

/// Opsgenie.
pub(super) static OPSGENIE: Shape = Shape {
    name: "opsgenie config",
    doc: "Opsgenie.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        Key::new("api_key", Kind::Text, "text", ""),
        Key::new("api_key_file", Kind::Text, "text", ""),
        Key::new("api_url", Kind::Text, "text", ""),
        Key::new("message", Kind::Text, "text", ""),
        Key::new("description", Kind::Text, "text", ""),
        Key::new("source", Kind::Text, "text", ""),
        Key::new("entity", Kind::Text, "text", ""),
        Key::new("actions", Kind::Text, "text", ""),
        Key::new("tags", Kind::Text, "text", ""),
        Key::new("note", Kind::Text, "text", ""),
        Key::new("priority", Kind::Text, "text", ""),
        Key::new("details", LABELS, "{name: text}", ""),
        Key::new("update_alerts", Kind::Boolean, "true", ""),
        Key::new("responders", Kind::List(&Kind::Object(&RESPONDER)), "[{name: web, type: team}]", ""),
        Key::new("visible_to", Kind::List(&Kind::Object(&RESPONDER)), "[{name: web, type: team}]", ""),
    ],
};

/// Who answers.
pub(super) static RESPONDER: Shape = Shape {
    name: "responder",
    doc: "Who answers.",
    keys: &[
        Key::new("id", Kind::Text, "text", ""),
        Key::new("name", Kind::Text, "text", ""),
        Key::new("username", Kind::Text, "text", ""),
        Key::new("type", Kind::Text, "text", ""),
    ],
};

/// PagerDuty.
pub(super) static PAGERDUTY: Shape = Shape {
    name: "pagerduty config",
    doc: "PagerDuty.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("service_key", Kind::Text, "text", ""),
        Key::new("service_key_file", Kind::Text, "text", ""),
        Key::new("routing_key", Kind::Text, "text", ""),
        Key::new("routing_key_file", Kind::Text, "text", ""),
        Key::new("url", Kind::Text, "text", ""),
        Key::new("client", Kind::Text, "text", ""),
        Key::new("client_url", Kind::Text, "text", ""),
        Key::new("description", Kind::Text, "text", ""),
        Key::new("source", Kind::Text, "text", ""),
        Key::new("severity", Kind::Text, "text", ""),
        Key::new("class", Kind::Text, "text", ""),
        Key::new("component", Kind::Text, "text", ""),
        Key::new("group", Kind::Text, "text", ""),
        Key::new("details", Kind::Map(&Kind::Either(&ANY_KINDS)), "{name: text}", ""),
        Key::new("images", Kind::List(&Kind::Object(&IMAGE)), "[{src: 'https://x'}]", ""),
        Key::new("links", Kind::List(&Kind::Object(&LINK)), "[{href: 'https://x'}]", ""),
    ],
};

/// An image.
pub(super) static IMAGE: Shape = Shape {
    name: "image",
    doc: "An image.",
    keys: &[
        Key::new("src", Kind::Text, "text", ""),
        Key::new("alt", Kind::Text, "text", ""),
        Key::new("href", Kind::Text, "text", ""),
    ],
};

/// A link.
pub(super) static LINK: Shape = Shape {
    name: "link",
    doc: "A link.",
    keys: &[Key::new("href", Kind::Text, "text", ""), Key::new("text", Kind::Text, "text", "")],
};

/// Pushover.
pub(super) static PUSHOVER: Shape = Shape {
    name: "pushover config",
    doc: "Pushover.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        Key::new("user_key", Kind::Text, "text", ""),
        Key::new("user_key_file", Kind::Text, "text", ""),
        Key::new("token", Kind::Text, "text", ""),
        Key::new("token_file", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("message", Kind::Text, "text", ""),
        Key::new("url", Kind::Text, "text", ""),
        Key::new("url_title", Kind::Text, "text", ""),
        Key::new("device", Kind::Text, "text", ""),
        Key::new("sound", Kind::Text, "text", ""),
        Key::new("priority", Kind::Text, "text", ""),
        Key::new("retry", Kind::Text, "text", ""),
        Key::new("expire", Kind::Text, "text", ""),
        Key::new("ttl", Kind::Text, "text", ""),
        Key::new("html", Kind::Boolean, "true", ""),
        Key::new("monospace", Kind::Boolean, "true", ""),
    ],
};

/// Slack.
pub(super) static SLACK: Shape = Shape {
    name: "slack config",
    doc: "Slack.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("api_url", Kind::Text, "text", ""),
        Key::new("api_url_file", Kind::Text, "text", ""),
        Key::new("app_token", Kind::Text, "text", ""),
        Key::new("app_token_file", Kind::Text, "text", ""),
        Key::new("app_url", Kind::Text, "text", ""),
        Key::new("channel", Kind::Text, "text", ""),
        Key::new("username", Kind::Text, "text", ""),
        Key::new("color", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("title_link", Kind::Text, "text", ""),
        Key::new("pretext", Kind::Text, "text", ""),
        Key::new("text", Kind::Text, "text", ""),
        Key::new("message_text", Kind::Text, "text", ""),
        Key::new("footer", Kind::Text, "text", ""),
        Key::new("fallback", Kind::Text, "text", ""),
        Key::new("callback_id", Kind::Text, "text", ""),
        Key::new("icon_emoji", Kind::Text, "text", ""),
        Key::new("icon_url", Kind::Text, "text", ""),
        Key::new("image_url", Kind::Text, "text", ""),
        Key::new("thumb_url", Kind::Text, "text", ""),
        Key::new("fields", Kind::List(&Kind::Object(&FIELD)), "[{title: a, value: b}]", ""),
        Key::new("short_fields", Kind::Boolean, "true", ""),
        Key::new("link_names", Kind::Boolean, "true", ""),
        Key::new("mrkdwn_in", TEXTS, "[text]", ""),
        Key::new("actions", Kind::List(&Kind::Object(&ACTION)), "[]", ""),
        Key::new("update_message", Kind::Boolean, "true", ""),
        Key::new("post_updates_to_thread", Kind::Boolean, "true", ""),
    ],
};

/// A field.
pub(super) static FIELD: Shape = Shape {
    name: "field",
    doc: "A field.",
    keys: &[
        Key::new("title", Kind::Text, "text", ""),
        Key::new("value", Kind::Text, "text", ""),
        Key::new("short", Kind::Boolean, "true", ""),
    ],
};

/// A button.
pub(super) static ACTION: Shape = Shape {
    name: "action",
    doc: "A button.",
    keys: &[
        Key::new("type", Kind::Text, "text", ""),
        Key::new("text", Kind::Text, "text", ""),
        Key::new("url", Kind::Text, "text", ""),
        Key::new("style", Kind::Text, "text", ""),
        Key::new("name", Kind::Text, "text", ""),
        Key::new("value", Kind::Text, "text", ""),
        Key::new("confirm", Kind::Object(&CONFIRM), "{text: sure?}", ""),
    ],
};

/// A question before a button acts.
pub(super) static CONFIRM: Shape = Shape {
    name: "confirm",
    doc: "A question before a button acts.",
    keys: &[
        Key::new("text", Kind::Text, "text", ""),
        Key::new("title", Kind::Text, "text", ""),
        Key::new("ok_text", Kind::Text, "text", ""),
        Key::new("dismiss_text", Kind::Text, "text", ""),
    ],
};

/// Telegram.
pub(super) static TELEGRAM: Shape = Shape {
    name: "telegram config",
    doc: "Telegram.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("api_url", Kind::Text, "text", ""),
        Key::new("bot_token", Kind::Text, "text", ""),
        Key::new("bot_token_file", Kind::Text, "text", ""),
        Key::new("chat_id", Kind::Text, "text", ""),
        Key::new("chat_id_file", Kind::Text, "text", ""),
        Key::new("message_thread_id", Kind::Text, "text", ""),
        Key::new("message", Kind::Text, "text", ""),
        Key::new("parse_mode", Kind::Text, "text", ""),
        Key::new("disable_notifications", Kind::Boolean, "true", ""),
    ],
};

/// VictorOps.
pub(super) static VICTOROPS: Shape = Shape {
    name: "victorops config",
    doc: "VictorOps.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        Key::new("api_key", Kind::Text, "text", ""),
        Key::new("api_key_file", Kind::Text, "text", ""),
        Key::new("api_url", Kind::Text, "text", ""),
        Key::new("routing_key", Kind::Text, "text", ""),
        Key::new("message_type", Kind::Text, "text", ""),
        Key::new("state_message", Kind::Text, "text", ""),
        Key::new("entity_display_name", Kind::Text, "text", ""),
        Key::new("monitoring_tool", Kind::Text, "text", ""),
        Key::new("custom_fields", LABELS, "{name: text}", ""),
    ],
};

/// Webex.
pub(super) static WEBEX: Shape = Shape {
    name: "webex config",
    doc: "Webex.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        Key::new("api_url", Kind::Text, "text", ""),
        Key::new("message", Kind::Text, "text", ""),
        Key::new("room_id", Kind::Text, "text", ""),
    ],
};

/// A webhook.
pub(super) static WEBHOOK: Shape = Shape {
    name: "webhook config",
    doc: "A webhook.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        Key::new("url", Kind::Text, "text", ""),
        Key::new("url_file", Kind::Text, "text", ""),
        Key::new("max_alerts", Kind::Integer(0, 1_000_000), "10", ""),
        Key::new("payload", Kind::Map(&Kind::Either(&ANY_KINDS)), "{text: x}", ""),
    ],
};
