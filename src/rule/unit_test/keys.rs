//! The keys of a unit-test file, as data: promtool's, and those that alertd adds.

use super::notice_keys::{ACK, CONFIG, HANDLERS, NO_OTHER_NOTICES, NOTICE, SILENCE};
use crate::yaml::shape::{Key, Kind, Shape};

const NUMBER: Kind = Kind::Language("number");
/// How many.
pub(super) const NUMBER_OF: Kind = Kind::Integer(0, 1_000_000);
const STATES: &[&str] = &["pending", "firing", "resolved"];
const METRICSQL: &str = "all expressions are PromQL: write them under `promql_expr_test`";

/// The file.
pub static UNIT_TEST: Shape = Shape {
    name: "test file",
    doc: "Tests of rule files, as promtool runs them.",
    keys: &[
        Key::new(
            "rule_files",
            Kind::List(&Kind::Text),
            "[rules/*.yaml]",
            "Rule files or patterns, relative to this file.",
        ),
        Key::new("evaluation_interval", Kind::Duration, "1m", "How often the rules are evaluated.").or("1m"),
        Key::new("fuzzy_compare", Kind::Boolean, "true", "Let values differ in their last bit.").or("false"),
        Key::new(
            "group_eval_order",
            Kind::List(&Kind::Text),
            "[base, alerts]",
            "Groups in the order in which they are evaluated; those not named come first, in file order.",
        ),
        Key::new(
            "respect_intervals",
            Kind::Boolean,
            "true",
            "Own key of alertd: evaluate each group at multiples of its own interval since the start.",
        )
        .or("false"),
        CONFIG,
        HANDLERS,
        Key::new("tests", Kind::List(&Kind::Object(&TEST_GROUP)), "", "Input series and what is to come of them."),
    ],
};

/// An element of `tests:`.
pub static TEST_GROUP: Shape = Shape {
    name: "test group",
    doc: "Input series and what is to come of them.",
    keys: &[
        Key::new("name", Kind::Text, "an instance goes down", "What it shows."),
        Key::new(
            "interval",
            Kind::Duration,
            "1m",
            "Distance of the values of `input_series`; `evaluation_interval` without it.",
        ),
        Key::new(
            "start_timestamp",
            Kind::Language("time"),
            "2026-01-31T12:00:00Z",
            "The instant at which the series begin.",
        )
        .or("0"),
        Key::new("input_series", Kind::List(&Kind::Object(&INPUT_SERIES)), "", "The series."),
        Key::new("alert_rule_test", Kind::List(&Kind::Object(&ALERT_TEST)), "", "Which alerts are to fire when."),
        Key::new(
            "promql_expr_test",
            Kind::List(&Kind::Object(&QUERY_TEST)),
            "",
            "What queries are to yield, recorded series among them.",
        ),
        CONFIG,
        HANDLERS,
        Key::new(
            "silences",
            Kind::List(&Kind::Object(&SILENCE)),
            "[{matchers: ['host=\"a\"'], starts: 5m, ends: 1h}]",
            "Own key of alertd: silences while `notice_test` is played.",
        ),
        Key::new(
            "acks",
            Kind::List(&Kind::Object(&ACK)),
            "[{at: 5m, matchers: ['host=\"a\"']}]",
            "Own key of alertd: somebody looks after alerts while `notice_test` is played.",
        ),
        Key::new(
            "notice_test",
            Kind::List(&Kind::Object(&NOTICE)),
            "[{between: 2m and 2m30s, handler: oncall, receives: firing}]",
            "Own key of alertd: which messages handlers are to receive when.",
        ),
        NO_OTHER_NOTICES,
        Key::new("metricsql_expr_test", Kind::Unsupported(METRICSQL), "", "Of vmalert-tool."),
        Key::new("external_labels", Kind::Map(&Kind::Text), "{cluster: a}", "What `$externalLabels` holds."),
        Key::new("external_url", Kind::Text, "https://alerts.example", "What `$externalURL` is."),
    ],
};

/// An element of `input_series:`.
pub static INPUT_SERIES: Shape = Shape {
    name: "input series",
    doc: "A series and its values.",
    keys: &[
        Key::new("series", Kind::Language("series"), "'up{job=\"a\"}'", "The series.").required(),
        Key::new(
            "values",
            Kind::Language("list of values"),
            "1x5 0x10",
            "Its values: `1 2`, `a+bxn`, `a-bxn`, `axn` (n + 1 values), `_`, `_xn`, `stale`, `{{…}}`.",
        ),
    ],
};

/// An element of `alert_rule_test:`.
pub static ALERT_TEST: Shape = Shape {
    name: "alert test",
    doc: "The alerts of one name at one instant.",
    keys: &[
        Key::new(
            "eval_time",
            Kind::Duration,
            "10m",
            "The instant, since the start; the last evaluation at or before it counts.",
        )
        .or("0s"),
        Key::new("alertname", Kind::Text, "InstanceDown", "The name of the rule.").required(),
        Key::new("groupname", Kind::Text, "node", "Only rules of this group; a key of vmalert-tool."),
        Key::new(
            "exp_alerts",
            Kind::List(&Kind::Object(&EXPECTED_ALERT)),
            "",
            "All alerts that are to fire, in any order; none without it.",
        ),
        Key::new(
            "match",
            Kind::OneOf(&["exact", "subset"]),
            "subset",
            "Own key of alertd: with `subset` labels and annotations that are not given are not compared.",
        )
        .or("exact"),
    ],
};

/// An element of `exp_alerts:`.
pub static EXPECTED_ALERT: Shape = Shape {
    name: "expected alert",
    doc: "One alert.",
    keys: &[
        Key::new("exp_labels", Kind::Map(&Kind::Text), "{severity: page}", "Its labels without `alertname`."),
        Key::new("exp_annotations", Kind::Map(&Kind::Text), "{summary: down}", "Its annotations."),
        Key::new("exp_state", Kind::OneOf(STATES), "pending", "Own key of alertd: its state.").or("firing"),
        Key::new("exp_value", NUMBER, "0.5", "Own key of alertd: its value."),
        Key::new(
            "exp_active_at",
            Kind::Duration,
            "3m",
            "Own key of alertd: when its condition began to hold, since the start.",
        ),
        Key::new(
            "exp_resolved_at",
            Kind::Duration,
            "8m",
            "Own key of alertd: when it resolved, since the start; for `exp_state: resolved`.",
        ),
    ],
};

/// An element of `promql_expr_test:`.
pub static QUERY_TEST: Shape = Shape {
    name: "query test",
    doc: "A query and its result.",
    keys: &[
        Key::new("expr", Kind::Language("query"), "sum(up)", "The query.").required(),
        Key::new("eval_time", Kind::Duration, "10m", "The instant, since the start.").or("0s"),
        Key::new(
            "exp_samples",
            Kind::List(&Kind::Object(&EXPECTED_SAMPLE)),
            "",
            "The whole result, in any order; nothing without it.",
        ),
    ],
};

/// An element of `exp_samples:`.
pub static EXPECTED_SAMPLE: Shape = Shape {
    name: "expected sample",
    doc: "One series of a result.",
    keys: &[
        Key::new("labels", Kind::Language("series"), "'up{job=\"a\"}'", "The series.").or("{}"),
        Key::new("value", NUMBER, "1", "Its value.").or("0"),
        Key::new(
            "histogram",
            Kind::Language("histogram"),
            "'{{count:3 sum:2}}'",
            "Instead of the value: its native histogram.",
        ),
    ],
};
