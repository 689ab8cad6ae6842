//! Every key of the receivers of an `alertmanager.yml` that have an equal here.

use super::keys::{HTTP, TLS, any, flag, text};
use crate::config::keys::{LABELS, TEXTS};
use crate::yaml::shape::{Key, Kind, Shape};

const SEND_RESOLVED: Key = flag("send_resolved");
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
        any("compass_configs"),
        any("gotify_configs"),
        any("googlechat_configs"),
        any("incidentio_configs"),
        any("jira_configs"),
        any("jsm_configs"),
        any("jsmops_configs"),
        any("kafka_configs"),
        any("mattermost_configs"),
        any("pubsub_configs"),
        any("rocketchat_configs"),
        any("signl4_configs"),
        any("sns_configs"),
        any("wechat_configs"),
    ],
};

/// Discord.
pub(super) static DISCORD: Shape = Shape {
    name: "discord config",
    doc: "Discord.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        text("webhook_url"),
        text("webhook_url_file"),
        text("content"),
        text("title"),
        text("message"),
        text("username"),
        text("avatar_url"),
    ],
};

/// Mail.
pub(super) static EMAIL: Shape = Shape {
    name: "email config",
    doc: "Mail.",
    keys: &[
        SEND_RESOLVED,
        text("to"),
        text("from"),
        text("hello"),
        text("smarthost"),
        text("auth_username"),
        text("auth_password"),
        text("auth_password_file"),
        text("auth_secret"),
        text("auth_secret_file"),
        text("auth_identity"),
        text("html"),
        text("text"),
        Key::new("headers", LABELS, "{name: text}", ""),
        flag("require_tls"),
        flag("force_implicit_tls"),
        flag("implicit_tls"),
        Key::new("tls_config", Kind::Object(&TLS), "{ca_file: ca.pem}", ""),
        Key::new("threading", Kind::Object(&THREADING), "{enabled: true}", ""),
    ],
};

/// Conversations of mails.
pub(super) static THREADING: Shape =
    Shape { name: "threading", doc: "Conversations of mails.", keys: &[flag("enabled"), text("thread_by_date")] };

/// Teams, by connectors of Office 365.
pub(super) static TEAMS: Shape = Shape {
    name: "msteams config",
    doc: "Teams, by connectors of Office 365.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        text("webhook_url"),
        text("webhook_url_file"),
        text("title"),
        text("summary"),
        text("text"),
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
        text("webhook_url"),
        text("webhook_url_file"),
        text("title"),
        text("text"),
    ],
};

/// Opsgenie.
pub(super) static OPSGENIE: Shape = Shape {
    name: "opsgenie config",
    doc: "Opsgenie.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        text("api_key"),
        text("api_key_file"),
        text("api_url"),
        text("message"),
        text("description"),
        text("source"),
        text("entity"),
        text("actions"),
        text("tags"),
        text("note"),
        text("priority"),
        Key::new("details", LABELS, "{name: text}", ""),
        flag("update_alerts"),
        Key::new("responders", Kind::List(&Kind::Object(&RESPONDER)), "[{name: web, type: team}]", ""),
        Key::new("visible_to", Kind::List(&Kind::Object(&RESPONDER)), "[{name: web, type: team}]", ""),
    ],
};

/// Who answers.
pub(super) static RESPONDER: Shape =
    Shape { name: "responder", doc: "Who answers.", keys: &[text("id"), text("name"), text("username"), text("type")] };

/// PagerDuty.
pub(super) static PAGERDUTY: Shape = Shape {
    name: "pagerduty config",
    doc: "PagerDuty.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        text("service_key"),
        text("service_key_file"),
        text("routing_key"),
        text("routing_key_file"),
        text("url"),
        text("client"),
        text("client_url"),
        text("description"),
        text("source"),
        text("severity"),
        text("class"),
        text("component"),
        text("group"),
        Key::new("details", Kind::Map(&Kind::Any), "{name: text}", ""),
        Key::new("images", Kind::List(&Kind::Object(&IMAGE)), "[{src: 'https://x'}]", ""),
        Key::new("links", Kind::List(&Kind::Object(&LINK)), "[{href: 'https://x'}]", ""),
    ],
};

/// An image.
pub(super) static IMAGE: Shape =
    Shape { name: "image", doc: "An image.", keys: &[text("src"), text("alt"), text("href")] };

/// A link.
pub(super) static LINK: Shape = Shape { name: "link", doc: "A link.", keys: &[text("href"), text("text")] };

/// Pushover.
pub(super) static PUSHOVER: Shape = Shape {
    name: "pushover config",
    doc: "Pushover.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        text("user_key"),
        text("user_key_file"),
        text("token"),
        text("token_file"),
        text("title"),
        text("message"),
        text("url"),
        text("url_title"),
        text("device"),
        text("sound"),
        text("priority"),
        text("retry"),
        text("expire"),
        text("ttl"),
        flag("html"),
        flag("monospace"),
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
        text("api_url"),
        text("api_url_file"),
        text("app_token"),
        text("app_token_file"),
        text("app_url"),
        text("channel"),
        text("username"),
        text("color"),
        text("title"),
        text("title_link"),
        text("pretext"),
        text("text"),
        text("message_text"),
        text("footer"),
        text("fallback"),
        text("callback_id"),
        text("icon_emoji"),
        text("icon_url"),
        text("image_url"),
        text("thumb_url"),
        Key::new("fields", Kind::List(&Kind::Object(&FIELD)), "[{title: a, value: b}]", ""),
        flag("short_fields"),
        flag("link_names"),
        Key::new("mrkdwn_in", TEXTS, "[text]", ""),
        Key::new("actions", Kind::List(&Kind::Object(&ACTION)), "[]", ""),
        flag("update_message"),
        flag("post_updates_to_thread"),
    ],
};

/// A field.
pub(super) static FIELD: Shape =
    Shape { name: "field", doc: "A field.", keys: &[text("title"), text("value"), flag("short")] };

/// A button.
pub(super) static ACTION: Shape = Shape {
    name: "action",
    doc: "A button.",
    keys: &[
        text("type"),
        text("text"),
        text("url"),
        text("style"),
        text("name"),
        text("value"),
        Key::new("confirm", Kind::Object(&CONFIRM), "{text: sure?}", ""),
    ],
};

/// A question before a button acts.
pub(super) static CONFIRM: Shape = Shape {
    name: "confirm",
    doc: "A question before a button acts.",
    keys: &[text("text"), text("title"), text("ok_text"), text("dismiss_text")],
};

/// Telegram.
pub(super) static TELEGRAM: Shape = Shape {
    name: "telegram config",
    doc: "Telegram.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        text("api_url"),
        text("bot_token"),
        text("bot_token_file"),
        text("chat_id"),
        text("chat_id_file"),
        text("message_thread_id"),
        text("message"),
        text("parse_mode"),
        flag("disable_notifications"),
    ],
};

/// VictorOps.
pub(super) static VICTOROPS: Shape = Shape {
    name: "victorops config",
    doc: "VictorOps.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        text("api_key"),
        text("api_key_file"),
        text("api_url"),
        text("routing_key"),
        text("message_type"),
        text("state_message"),
        text("entity_display_name"),
        text("monitoring_tool"),
        Key::new("custom_fields", LABELS, "{name: text}", ""),
    ],
};

/// Webex.
pub(super) static WEBEX: Shape = Shape {
    name: "webex config",
    doc: "Webex.",
    keys: &[SEND_RESOLVED, HTTP_CONFIG, text("api_url"), text("message"), text("room_id")],
};

/// A webhook.
pub(super) static WEBHOOK: Shape = Shape {
    name: "webhook config",
    doc: "A webhook.",
    keys: &[
        SEND_RESOLVED,
        HTTP_CONFIG,
        TIMEOUT,
        text("url"),
        text("url_file"),
        Key::new("max_alerts", Kind::Integer(0, 1_000_000), "10", ""),
        Key::new("payload", Kind::Map(&Kind::Any), "{text: x}", ""),
    ],
};
