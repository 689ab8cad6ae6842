//! Every key of a Prometheus rule file, in one table beside that of alertd's own: those of Prometheus, and those that
//! alertd adds to its alerting rules.

use super::keys::{
    ACTIVE, ANNOTATIONS, ANOMALY_OF_RULE, COOLDOWN, DESCRIPTION, ENABLED, ESCALATE, EXPR, FOR, KEEP_FIRING_FOR, LABELS,
    LEVELS, MAX_ALERTS, MUTE, NO_DATA_TIMEOUT, NOTIFY, ON_ERROR, ON_NO_DATA, RECOVER, RECOVER_EXPR, RENAMED_FROM,
    SEVERITY, SOURCE, TESTS, UID,
};
use crate::yaml::shape::{Key, Kind, Shape};

/// Bound of numbers that only have to be numbers.
const ANY: f64 = 9e15;

/// A rule file with the key `groups:`.
pub static GROUP_FILE: Shape = Shape {
    name: "Prometheus rule file",
    doc: "Groups of alerting and recording rules, as Prometheus reads them. A resource of kind PrometheusRule or VMRule holds the same under `spec`.",
    keys: &[Key::new(
        "groups",
        Kind::List(&Kind::Object(&GROUP)),
        "[{name: node, rules: [{alert: Down, expr: up == 0}]}]",
        "The groups.",
    )
    .required()],
};

/// An element of `groups:`.
pub static GROUP: Shape = Shape {
    name: "group",
    doc: "Rules that are evaluated in order, at one instant.",
    keys: &[
        Key::new("name", Kind::Text, "node", "Name of the group, unique in its file.").required(),
        Key::new("interval", Kind::Duration, "30s", "How often it is evaluated; without it `evaluation_interval` of the server."),
        Key::new("query_offset", Kind::Duration, "1m", "How far before its slot it reads, and writes what it records: for data that comes late.").or("0s"),
        Key::new("limit", Kind::Number(-ANY, ANY), "100", "Most series of a recording rule, which fails above it, and most alerts of an alerting rule: above it the kept ones stay and one summary alert tells the true count. 0: no limit.").or("0"),
        Key::new("labels", Kind::Map(&Kind::Text), "{team: infra}", "Labels of every rule of the group; a rule overrides them."),
        SOURCE,
        Key::new("rules", Kind::List(&Kind::Object(&GROUP_RULE)), "[{alert: Down, expr: up == 0}]", "The rules."),
    ],
};

/// One rule of a group.
pub static GROUP_RULE: Shape = Shape {
    name: "rule of a group",
    doc: "An alerting rule (`alert`) or a recording rule (`record`). The first seven keys are those of Prometheus; the others are alertd's and belong to alerting rules, but for `uid`, `renamed_from`, `description` and `enabled`. `alertd export prometheus` leaves them out.",
    keys: &[
        Key::new("alert", Kind::Text, "InstanceDown", "Name of the alert and label `alertname`."),
        Key::new("record", Kind::Text, "job:errors:rate5m", "Name of the series that the result becomes."),
        EXPR,
        FOR,
        KEEP_FIRING_FOR,
        LABELS,
        ANNOTATIONS,
        UID,
        RENAMED_FROM,
        DESCRIPTION,
        SEVERITY,
        LEVELS,
        RECOVER,
        RECOVER_EXPR,
        SOURCE,
        ANOMALY_OF_RULE,
        COOLDOWN,
        ENABLED,
        ON_NO_DATA,
        NO_DATA_TIMEOUT,
        ON_ERROR,
        MAX_ALERTS,
        ACTIVE,
        MUTE,
        NOTIFY,
        ESCALATE,
        TESTS,
    ],
};
