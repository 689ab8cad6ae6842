//! Every key of handler files: the reader's list of known keys, the JSON Schema and the manual.

use super::inhibit_keys::INHIBIT_RULE;
use super::interval_keys::TIME_INTERVAL;
use super::keys::{AUTHORIZATION, BASIC_AUTH, LABELS, TEXTS};
use super::rotation_keys::ROTATION;
use crate::yaml::escalation;
use crate::yaml::shape::{Key, Kind, Shape};

const SEVERITIES: &[&str] = &["info", "warning", "error", "critical"];

/// A handler file.
pub static HANDLER_FILE: Shape = Shape {
    name: "handler file",
    doc: "Handlers: where people are told about alerts, and the route that says when.",
    keys: &[
        Key::new(
            "handlers",
            Kind::List(&A_HANDLER),
            "[{name: screen, type: console}]",
            "The handlers. A file that has `rotations` alone may do without.",
        ),
        Key::new(
            "route",
            Kind::Object(&ROUTE),
            "{group_by: [alertname], handlers: [screen]}",
            "How alerts are grouped, and who is told. Without it every alert is told at once, on its own.",
        ),
        Key::new(
            "rotations",
            Kind::List(&Kind::Object(&ROTATION)),
            "[{name: oncall, handlers: [alice, bob], every: 1w, starts: 2026-01-05T09:00, timezone: Europe/Berlin}]",
            "Names under which handlers are told in turns: whoever is on duty.",
        ),
        Key::new(
            "inhibit_rules",
            Kind::List(&Kind::Object(&INHIBIT_RULE)),
            "[{source_matchers: ['alertname=\"HostDown\"'], target_matchers: ['severity=\"warning\"'], equal: [host]}]",
            "Which alerts keep which others from being told while they fire. As in Alertmanager.",
        ),
        Key::new(
            "time_intervals",
            Kind::List(&Kind::Object(&TIME_INTERVAL)),
            "[{name: weekends, time_intervals: [{weekdays: [saturday, sunday]}]}]",
            "Named times, for `active` and `mute` of rules. As in Alertmanager.",
        ),
    ],
};

const GROUP_BY: Key = Key::new(
    "group_by",
    TEXTS,
    "[alertname, service]",
    "Alerts with equal values of these labels are one message; `['...']`: each alert on its own; `[]`: all are one.",
);
const GROUP_WAIT: Key = Key::new("group_wait", Kind::Duration, "30s", "How long a new group waits for more alerts.");
const GROUP_INTERVAL: Key =
    Key::new("group_interval", Kind::Duration, "5m", "Least time between two messages about news of a group.");
const REPEAT_INTERVAL: Key =
    Key::new("repeat_interval", Kind::Duration, "4h", "What still fires is told again after this time.");
const HANDLERS: Key = Key::new("handlers", TEXTS, "[screen]", "Names of handlers; without it, every handler.");
const HANDLERS_BELOW: Key =
    Key::new("handlers", TEXTS, "[oncall]", "Names of handlers; without it, those of the route above.");
const ROUTE_LABELS: Key = Key::new(
    "labels",
    LABELS,
    "{team: llm}",
    "Labels of the route: messages carry them beside the alerts' own (`routeLabels` of the generic body).",
);
const ESCALATE: Key = Key::new(
    "escalate",
    escalation::STEPS,
    escalation::EXAMPLE,
    "Who else is told of an alert that nobody acknowledges in time; without it, as the route above. `[]`: nobody.",
);
static A_ROUTE: Kind = Kind::Object(&SUB_ROUTE);
const ROUTES_EXAMPLE: &str = "[{matchers: ['severity=\"critical\"'], handlers: [oncall]}]";
const ROUTES_DOC: &str =
    "Routes below this one, tried in order: an alert takes the first that it fits, and this one if it fits none.";
const RECEIVER: Key =
    Key::new("receiver", Kind::Unsupported("name the handlers under `handlers`"), "", "Alertmanager's word: an error.");
const TAKES_ALL: &str = "the root route takes every alert at any time; put this on a route under `routes`";

/// `route:`.
pub static ROUTE: Shape = Shape {
    name: "route",
    doc: "How alerts are grouped into messages, and who gets them: the root of a tree. Defaults are Alertmanager's.",
    keys: &[
        GROUP_BY,
        GROUP_WAIT.or("30s"),
        GROUP_INTERVAL.or("5m"),
        REPEAT_INTERVAL.or("4h"),
        HANDLERS,
        ESCALATE,
        ROUTE_LABELS,
        Key::new("routes", Kind::List(&A_ROUTE), ROUTES_EXAMPLE, ROUTES_DOC),
        RECEIVER,
        Key::new("matchers", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
        Key::new("match", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
        Key::new("match_re", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
        Key::new("continue", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
        Key::new("mute", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
        Key::new("active", Kind::Unsupported(TAKES_ALL), "", "Only below the root: an error."),
    ],
};

/// An element of `routes:`.
pub static SUB_ROUTE: Shape = Shape {
    name: "route below",
    doc: "A route below another one. What it does not say, but for `matchers` and `continue`, it has from that one; its \
          `labels` come on top.",
    keys: &[
        Key::new(
            "matchers",
            Kind::List(&Kind::Language("matcher")),
            "['severity=\"critical\"', 'service=~\"web|api\"']",
            "Alerts that fit all of them take the route: `=`, `!=`, `=~`, `!~`; patterns are anchored, a missing label is empty.",
        ),
        Key::new("match", Kind::Map(&Kind::Text), "{severity: critical}", "Alertmanager's older form of `=`."),
        Key::new("match_re", Kind::Map(&Kind::Text), "{service: web|api}", "Alertmanager's older form of `=~`."),
        Key::new("continue", Kind::Boolean, "true", "Whether the routes behind it are tried too.").or("false"),
        GROUP_BY,
        GROUP_WAIT,
        GROUP_INTERVAL,
        REPEAT_INTERVAL,
        HANDLERS_BELOW,
        ESCALATE,
        Key::new(
            "mute",
            TEXTS,
            "[weekends]",
            "Names of time intervals in which it tells nobody. What still fires when they end is told then.",
        ),
        Key::new("active", TEXTS, "[office_hours]", "Names of time intervals: it tells people in these alone."),
        ROUTE_LABELS,
        Key::new("routes", Kind::List(&A_ROUTE), ROUTES_EXAMPLE, ROUTES_DOC),
        RECEIVER,
    ],
};

const A_HANDLER: Kind = Kind::Object(&HANDLER);

/// Types of handlers that exist.
pub const HANDLER_TYPES: &[&str] = &["console", "webhook", "smtp", "heartbeat"];

/// Keys that every handler has.
const COMMON: &[&str] = &["name", "type", "send_resolved", "min_severity", "on_mute"];
/// Keys of handlers that reach over the network.
const REMOTE: &[&str] = &["rate_limit", "over_limit", "timeout", "give_up_after", "fallback", "tls_config"];
const CONSOLE: &[&str] = &["format"];
const WEBHOOK: &[&str] = &[
    "preset",
    "url",
    "method",
    "content_type",
    "headers",
    "body",
    "params",
    "basic_auth",
    "authorization",
    "hmac_secret",
    "proxy_url",
    "deny_private",
    "max_alerts",
    "routing_key",
    "api_key",
    "bot_token",
    "chat_id",
];
const SMTP: &[&str] =
    &["host", "port", "tls", "username", "password", "from", "to", "headers", "hello", "subject", "allow_plaintext"];
const HEARTBEAT: &[&str] =
    &["url", "method", "headers", "basic_auth", "authorization", "proxy_url", "deny_private", "interval"];

/// Whether a key means something for handlers of a type.
pub fn belongs(kind: &str, key: &str) -> bool {
    let own: &[&[&str]] = match kind {
        "console" => &[CONSOLE],
        "webhook" => &[REMOTE, WEBHOOK],
        "smtp" => &[REMOTE, SMTP],
        // A missed ping is made good by the next one: it is not tried again for hours.
        "heartbeat" => &[&["timeout", "tls_config"], HEARTBEAT],
        _ => &[],
    };
    match kind {
        "heartbeat" => key == "name" || key == "type" || own.iter().any(|keys| keys.contains(&key)),
        _ => COMMON.contains(&key) || own.iter().any(|keys| keys.contains(&key)),
    }
}

/// A handler.
pub static HANDLER: Shape = Shape {
    name: "handler",
    doc: "Where people are told about alerts. Which keys there are depends on `type`.",
    keys: &[
        Key::new("name", Kind::Text, "screen", "Name by which rules and routes refer to it.").required(),
        Key::new("type", Kind::OneOf(HANDLER_TYPES), "console", "What it is.").required(),
        Key::new("send_resolved", Kind::Boolean, "false", "Whether it tells when an alert is over.").or("true"),
        Key::new("min_severity", Kind::OneOf(SEVERITIES), "warning", "Alerts below it are not told.").or("info"),
        Key::new("on_mute", Kind::OneOf(&["nothing", "resolve", "ack"]), "resolve", "What it is told when an alert that it was told of is silenced, inhibited, muted or acknowledged: `nothing`; `resolve`: that it is resolved and why, and that it fires again when that ends; `ack`: that it is acknowledged (presets pagerduty and opsgenie).").or("nothing"),
        // console
        Key::new("format", Kind::OneOf(&["text", "json"]), "json", "console: form of what is printed.").or("text"),
        // webhook, smtp
        Key::new("rate_limit", Kind::Text, "30/m", "webhook, smtp: most messages in a time, `NUMBER/s`, `/m` or `/h`; more wait."),
        Key::new(
            "over_limit",
            Kind::OneOf(&["wait", "digest"]),
            "digest",
            "webhook, smtp: what becomes of messages that would wait for more than 10 seconds because of `rate_limit`: they wait, or all of them become one, at most every 30 seconds, which counts the alerts by the labels that tell most and names the worst.",
        )
        .or("wait"),
        Key::new("timeout", Kind::Duration, "10s", "webhook, smtp, heartbeat: deadline of one attempt, all phases together.").or("10s"),
        Key::new("give_up_after", Kind::Duration, "24h", "webhook, smtp: a message that cannot be delivered for this long goes to the fallback and the dead letters.").or("24h"),
        Key::new("fallback", Kind::Text, "mail", "webhook, smtp: the handler that is given what this one could not deliver."),
        Key::new(
            "tls_config",
            Kind::Object(&TLS),
            "{ca_file: /etc/ssl/private-ca.pem}",
            "webhook, smtp, heartbeat: certificates, as in Prometheus.",
        ),
        // webhook
        Key::new("preset", Kind::Text, "slack", "webhook: whose format the message has; see the presets' page.").or("generic"),
        Key::new("url", Kind::Text, "${env:SLACK_WEBHOOK_URL}", "webhook, heartbeat: where it goes; presets of one fixed address have it."),
        Key::new("method", Kind::OneOf(&["POST", "PUT", "PATCH", "GET"]), "PUT", "webhook, heartbeat: method of the request.").or("POST"),
        Key::new("content_type", Kind::Text, "application/json", "webhook: type of an own `body`.").or("application/json"),
        Key::new("headers", LABELS, "{X-Team: llm}", "webhook, smtp, heartbeat: further headers."),
        Key::new("body", Kind::Language("template"), "{\"text\": {{ summary | tojson }}}", "webhook: own payload, a minijinja template."),
        Key::new("params", LABELS, "{channel: '#ops'}", "webhook: values that the preset's template reads as `params`."),
        Key::new("basic_auth", Kind::Object(&BASIC_AUTH), "{username: u, password: '${env:PASSWORD}'}", "webhook, heartbeat: user and password."),
        Key::new("authorization", Kind::Object(&AUTHORIZATION), "{credentials: '${file:/run/secrets/token}'}", "webhook, heartbeat: Authorization header, such as a bearer token."),
        Key::new("hmac_secret", Kind::Text, "${file:/run/secrets/hook}", "webhook: signs every request with HMAC-SHA256."),
        Key::new("proxy_url", Kind::Text, "http://proxy:3128", "webhook, heartbeat: proxy; HTTP and HTTPS, user and password may stand in it."),
        Key::new("deny_private", Kind::Boolean, "true", "webhook, heartbeat: refuse private and loopback addresses too, not only link-local and metadata ones.").or("false"),
        Key::new("max_alerts", Kind::Integer(0, 1_000_000), "50", "webhook: most alerts written out in one message; the rest is counted; 0: no limit of its own.").or("0"),
        Key::new("routing_key", Kind::Text, "${file:/run/secrets/pd}", "webhook, preset pagerduty: the integration's key."),
        Key::new("api_key", Kind::Text, "${file:/run/secrets/og}", "webhook, preset opsgenie: the integration's key."),
        Key::new("bot_token", Kind::Text, "${file:/run/secrets/tg}", "webhook, preset telegram: the bot's token."),
        Key::new("chat_id", Kind::Text, "-1001234", "webhook, preset telegram: the chat."),
        // smtp
        Key::new("host", Kind::Text, "mail.example.org", "smtp: the mail server."),
        Key::new("port", Kind::Integer(1, 65535), "587", "smtp: its port; default 587, 465 with `tls: implicit`, 25 with `tls: none`."),
        Key::new("tls", Kind::OneOf(&["starttls", "implicit", "none"]), "starttls", "smtp: how the connection is encrypted; `none` only to this machine.").or("starttls"),
        Key::new("username", Kind::Text, "alertd", "smtp: user, for a server that asks for one."),
        Key::new("password", Kind::Text, "${env:SMTP_PASSWORD}", "smtp: password."),
        Key::new("from", Kind::Text, "alertd <alertd@example.org>", "smtp: sender."),
        Key::new("to", Kind::Either(&[TEXTS, Kind::Text]), "[ops@example.org]", "smtp: recipients."),
        Key::new("hello", Kind::Text, "alerts.example.org", "smtp: name given in EHLO; default: this machine's."),
        Key::new("subject", Kind::Language("template"), "[{{ status }}] {{ title }}", "smtp: own subject, a minijinja template."),
        Key::new("allow_plaintext", Kind::Boolean, "true", "smtp: allow `tls: none` to another machine; everyone on the way can read the mail and the password.").or("false"),
        // heartbeat
        Key::new("interval", Kind::Duration, "1m", "heartbeat: how often the URL is pinged while all is well.").or("1m"),
    ],
};

/// `tls_config:`.
pub static TLS: Shape = Shape {
    name: "tls config",
    doc: "Certificates, with the keys of Prometheus's tls_config.",
    keys: &[
        Key::new(
            "ca_file",
            Kind::Text,
            "/etc/ssl/private-ca.pem",
            "PEM file of the authorities that are trusted, instead of the built-in ones.",
        ),
        Key::new("cert_file", Kind::Text, "/etc/alertd/client.pem", "PEM file of the client's certificate."),
        Key::new("key_file", Kind::Text, "/etc/alertd/client.key", "PEM file of its key."),
        Key::new(
            "server_name",
            Kind::Text,
            "hooks.internal",
            "Name that the server's certificate must have, if it is not the host.",
        ),
        Key::new(
            "insecure_skip_verify",
            Kind::Boolean,
            "true",
            "Accept any certificate: whoever is on the way can read and change messages.",
        )
        .or("false"),
    ],
};
