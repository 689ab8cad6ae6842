//! Every key of a rule file, in one table: the reader's list of known keys, the JSON Schema and `docs/rules.md`.

use crate::yaml::escalation;
use crate::yaml::shape::{Key, Kind, Shape};

/// The words of [`crate::model::Severity`].
const SEVERITIES: &[&str] = &["info", "warning", "error", "critical"];
const ON_MISSING: &[&str] = &["keep", "fire", "resolve"];
pub(super) const TEMPLATE: Kind = Kind::Language("template");
pub(super) const PROMQL: Kind = Kind::Language("PromQL query");
const CONDITION: Kind = Kind::Language("condition");
const EXPRESSION: Kind = Kind::Language("expression");
const NAMES: Kind = Kind::List(&Kind::Text);
/// Greatest whole number a key without a tighter bound takes.
const MANY: u64 = 1_000_000_000;

/// Functions of `reduce` beside the percentiles `p0` to `p100`.
pub const REDUCTIONS: &[&str] =
    &["last", "min", "max", "mean", "sum", "count", "stddev", "range", "rate", "increase", "delta"];
/// Functions of `combine` beside the percentiles.
pub const COMBINATIONS: &[&str] = &["sum", "mean", "min", "max", "count", "stddev"];
/// Detectors of `anomaly.method`; a test compares them with the detectors that exist.
pub const METHODS: &[&str] = &["moving_average", "robust", "ewma"];

const A_RULE: Kind = Kind::Object(&RULE);
const A_TEST: Kind = Kind::Object(&TEST);

/// A rule file with the key `rules:`.
pub static RULE_FILE: Shape = Shape {
    name: "rule file",
    doc: "Alert rules. A file holds either `rules:`, or `groups:` as in Prometheus.",
    keys: &[
        Key::new(
            "defaults",
            Kind::Partial(&RULE),
            "{every: 15s}",
            "Keys for every rule of this file. A rule overrides them; labels and annotations are merged.",
        ),
        Key::new("rules", Kind::List(&A_RULE), "[{name: instance_down, expr: up == 0}]", "The rules.").required(),
    ],
};

/// One rule.
pub static RULE: Shape = Shape {
    name: "rule",
    doc: "One alert rule. What makes it fire is one of: `metric` with `threshold`, `levels` or `anomaly`; `queries` with `when`; `expr`.",
    keys: &[
        Key::new("name", Kind::Text, "disk_full", "Name of the rule and label `alertname` of its alerts.").required(),
        UID,
        RENAMED_FROM,
        DESCRIPTION,
        SEVERITY,
        Key::new("metric", Kind::Language("selector"), "llm.latency_ms{agent=~\"dev.*\"}", "The signal: a PromQL selector. Dotted (OpenTelemetry) names may stand unquoted."),
        Key::new("reduce", Kind::Language("reduction"), "p95", "What is made of each series' window: last, min, max, mean, sum, count, stddev, range (max − min), rate, increase, delta, or a percentile p0 to p100. All but `last` need `over`.").or("last"),
        Key::new("over", Kind::Duration, "5m", "The window, open at its older end as in Prometheus 3."),
        Key::new("combine", Kind::Language("combination"), "max", "What is made of all series: sum, mean, min, max, count, stddev, or a percentile p0 to p100."),
        Key::new("by", NAMES, "[agent]", "Labels kept by `combine`."),
        Key::new("threshold", CONDITION, "\"> 2000\"", "When it fires: `> 5`, `>= 5`, `< 5`, `<= 5`, `== 5`, `!= 5`, `outside 10..90`, `inside 10..90`."),
        RECOVER,
        LEVELS,
        Key::new("queries", Kind::Map(&PROMQL), "{failed: 'sum(rate(failed[5m]))', total: 'sum(rate(requests[5m]))'}", "Named queries for `when`, joined on equal label sets."),
        Key::new("when", EXPRESSION, "failed / total > 0.2", "When it fires: an expression over the names in `queries`."),
        Key::new("recover_when", EXPRESSION, "failed / total < 0.05", "While firing, it resolves only when this is true."),
        Key::new("value", EXPRESSION, "failed / total", "The value shown in messages; without it that of the first query."),
        EXPR,
        RECOVER_EXPR,
        ANOMALY_OF_RULE,
        SOURCE,
        Key::new("every", Kind::Duration, "15s", "How often it is evaluated; without it `evaluation_interval` of the server."),
        Key::new("cron", Kind::Language("cron expression"), "0 0 6 * * Mon-Fri", "When it is evaluated, seconds first; instead of `every`."),
        Key::new("timezone", Kind::Language("time zone"), "Europe/Berlin", "Time zone of `cron`.").or("UTC"),
        FOR,
        KEEP_FIRING_FOR,
        COOLDOWN,
        FLAPPING,
        ENABLED,
        LABELS,
        ANNOTATIONS,
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

// Keys that a rule and an alerting rule of a group have in common.
pub(super) const UID: Key =
    Key::new("uid", Kind::Text, "disk-full-1", "Identity of the rule's state, for rules that may be renamed.").or("");
pub(super) const RENAMED_FROM: Key = Key::new(
    "renamed_from",
    Kind::Text,
    "disk_full",
    "The `uid`, or the name if it had none, that the rule had before: it takes over its alerts and all that is known of them, and nobody is told. It may stay there.",
);
pub(super) const DESCRIPTION: Key =
    Key::new("description", TEMPLATE, "p95 latency of LLM calls", "What the rule watches, in words; a template.");
pub(super) const SEVERITY: Key = Key::new("severity", Kind::OneOf(SEVERITIES), "error", "How bad it is.").or("warning");
pub(super) const RECOVER: Key = Key::new(
    "recover",
    Kind::Either(&[CONDITION, Kind::MapOf(SEVERITIES, &CONDITION)]),
    "\"< 1500\"",
    "While firing, it resolves only when this holds. With `levels`, one condition for leaving altogether, or one per level.",
);
pub(super) const LEVELS: Key = Key::new(
    "levels",
    Kind::MapOf(SEVERITIES, &CONDITION),
    "{warning: \"> 80\", critical: \"> 95\"}",
    "Several thresholds of one alert, raised and lowered in place.",
);
pub(super) const EXPR: Key =
    Key::new("expr", PROMQL, "up == 0", "PromQL alone: every series of the result is an alert.");
pub(super) const RECOVER_EXPR: Key = Key::new(
    "recover_expr",
    PROMQL,
    "up == 1",
    "While firing, an alert resolves only when this yields a series with its labels.",
);
pub(super) const SOURCE: Key = Key::new(
    "source",
    Kind::Text,
    "mimir",
    "Name of the store whose metrics it reads: one of `stores` of the server, or `embedded`. Without it, `store` of the server.",
);
pub(super) const ANOMALY_OF_RULE: Key = Key::new(
    "anomaly",
    Kind::Object(&ANOMALY),
    "{method: moving_average, window: 6h}",
    "Fires when the signal strays from what is usual.",
);
pub(super) const FOR: Key =
    Key::new("for", Kind::Duration, "2m", "How long the condition must hold before it fires.").or("0s");
pub(super) const KEEP_FIRING_FOR: Key =
    Key::new("keep_firing_for", Kind::Duration, "5m", "How long it goes on firing after the condition stopped.")
        .or("0s");
pub(super) const COOLDOWN: Key =
    Key::new("cooldown", Kind::Duration, "15m", "The least time between two firing notices of one alert.").or("0s");
const FLAPPING_KINDS: &[Kind] = &[Kind::OneOf(&["on", "off"]), Kind::Object(&FLAPPING_OF_RULE)];
pub(super) const FLAPPING: Key = Key::new(
    "flapping",
    Kind::Either(FLAPPING_KINDS),
    "{changes: 5, window: 30m, quiet: 15m}",
    "An alert that comes and goes this often, or gets worse and less bad, stays as bad as it was until it was quiet, and is told so once. Without it `on`; in a Prometheus rule file `off`, as in Prometheus.",
);
pub(super) const ENABLED: Key =
    Key::new("enabled", Kind::Boolean, "false", "Whether it is evaluated; a disabled rule is checked all the same.")
        .or("true");
pub(super) const LABELS: Key =
    Key::new("labels", Kind::Map(&TEMPLATE), "{team: llm}", "Labels added to every alert; templates.");
pub(super) const ANNOTATIONS: Key = Key::new(
    "annotations",
    Kind::Map(&TEMPLATE),
    "{summary: '{{ $labels.instance }} is down'}",
    "Texts for messages; templates as in Prometheus.",
);
pub(super) const ON_NO_DATA: Key = Key::new(
    "on_no_data",
    Kind::OneOf(ON_MISSING),
    "fire",
    "What a missing signal means. Without it: keep, and for a plain `expr` resolve, as in Prometheus.",
);
pub(super) const NO_DATA_TIMEOUT: Key = Key::new(
    "no_data_timeout",
    Kind::Duration,
    "1h",
    "How long a missing signal is held before the alert resolves for that reason.",
)
.or("1h");
pub(super) const ON_ERROR: Key =
    Key::new("on_error", Kind::OneOf(ON_MISSING), "keep", "What a failed evaluation means.").or("keep");
pub(super) const MAX_ALERTS: Key = Key::new(
    "max_alerts",
    Kind::Integer(1, MANY),
    "500",
    "Most alerts of this rule; above it the kept ones stay and one summary alert tells the true count.",
)
.or("1000");
pub(super) const ACTIVE: Key = Key::new(
    "active",
    NAMES,
    "[office_hours]",
    "Names of time intervals (in a handler file): it notifies in these alone.",
);
pub(super) const MUTE: Key =
    Key::new("mute", NAMES, "[holidays]", "Names of time intervals in which it does not notify.");
pub(super) const NOTIFY: Key =
    Key::new("notify", NAMES, "[ops-chat]", "Handlers by name; without it the routes decide.");
pub(super) const ESCALATE: Key = Key::new(
    "escalate",
    escalation::STEPS,
    escalation::EXAMPLE,
    "Who else is told of an alert that nobody acknowledges in time; overrules that of the routes. `[]`: nobody.",
);
pub(super) const TESTS: Key =
    Key::new("tests", Kind::List(&A_TEST), "", "Tests of this rule, run by `alertd test` and every dry run.");

/// `flapping:`.
pub static FLAPPING_OF_RULE: Shape = Shape {
    name: "flapping",
    doc: "When an alert that comes and goes, or gets worse and less bad, counts as flapping, and when that is over.",
    keys: &[
        Key::new(
            "changes",
            Kind::Integer(3, 100),
            "7",
            "So often it rises (begins to fire, or gets worse) or falls (gets less bad, or is over); found when it rises.",
        )
        .or("5"),
        Key::new("window", Kind::Duration, "1h", "Within this time, at most a week.").or("30m"),
        Key::new(
            "quiet",
            Kind::Duration,
            "10m",
            "Then it fires until its condition was false for this long, and stays at its worst level until it was below it for this long; at most a week.",
        )
        .or("15m"),
    ],
};

/// `anomaly:`.
pub static ANOMALY: Shape = Shape {
    name: "anomaly",
    doc: "How a signal is told to be unusual.",
    keys: &[
        Key::new("method", Kind::OneOf(METHODS), "robust", "moving_average: mean and standard deviation of the window before the point; robust: median and MAD; ewma: exponentially weighted.").or("moving_average"),
        Key::new("window", Kind::Duration, "6h", "What is compared with.").or("7d"),
        Key::new("sigma", Kind::Number(0.1, 1000.0), "4", "Width of the band in standard deviations; 5 for `robust` where it is not given.").or("3"),
        Key::new("sensitivity", Kind::Number(2.0, 1e15), "10000", "Instead of `sigma`: a value this rare (once in so many points of a normal distribution) is unusual."),
        Key::new("direction", Kind::OneOf(&["above", "below", "both"]), "above", "Which side of the band counts.").or("both"),
        Key::new("min_samples", Kind::Integer(2, MANY), "30", "Silent until so many points are known.").or("30"),
        Key::new("min_deviation", Kind::Number(0.0, f64::MAX), "0.5", "Smaller deviations are never unusual, in the unit of the signal.").or("0"),
        Key::new("min_relative_deviation", Kind::Number(0.0, f64::MAX), "0.1", "Smaller deviations are never unusual, as a share of what was expected.").or("0.01"),
        Key::new("trigger", Kind::Language("trigger"), "3 of 5", "How many of the last points must lie outside the band.").or("1 of 1"),
        Key::new("refractory", Kind::Duration, "0s", "For this long after an anomaly, points that are no farther out stay silent. Without it four sevenths of the window; `0s` turns it off."),
        Key::new("season", Kind::OneOf(&["none", "hourly", "daily", "weekly", "auto"]), "auto", "Compare with what is usual at this time of the hour, the day or the week; auto: whichever explains the series clearly better than none.").or("none"),
        Key::new("timezone", Kind::Language("time zone"), "Europe/Berlin", "Time zone of the season: times of the day are those of clocks there.").or("UTC"),
        Key::new("learn_while_firing", Kind::Boolean, "true", "Whether a value outside the band is learned as it is; without it, as the edge it went over.").or("false"),
    ],
};

/// An element of `tests:`.
pub static TEST: Shape = Shape {
    name: "test",
    doc: "A test of the rule it stands in: series in, state out.",
    keys: &[
        Key::new("name", Kind::Text, "late after a day without success", "What it shows.").required(),
        Key::new("interval", Kind::Duration, "1m", "Distance of the values of `series`.").or("1m"),
        Key::new(
            "series",
            Kind::Either(&[Kind::Map(&Kind::Language("list of values")), Kind::List(&Kind::Object(&TEST_SERIES))]),
            "{'up{job=\"a\"}': '1x5 0x10'}",
            "Input in promtool notation.",
        )
        .required(),
        Key::new("at", Kind::Duration, "26h", "The instant of the expectation, since the start.").required(),
        Key::new(
            "expect",
            Kind::Either(&[Kind::OneOf(&["inactive", "pending", "firing"]), Kind::List(&Kind::Object(&EXPECTED))]),
            "firing",
            "The state of the rule, or the alerts that must be active.",
        )
        .required(),
    ],
};

/// An element of `series:` in its list form.
pub static TEST_SERIES: Shape = Shape {
    name: "test series",
    doc: "One input series.",
    keys: &[
        Key::new("series", Kind::Language("series"), "up{job=\"a\"}", "The series.").required(),
        Key::new("values", Kind::Language("list of values"), "1x5 0x10", "Its values in promtool notation.").required(),
    ],
};

/// An element of `expect:` in its list form.
pub static EXPECTED: Shape = Shape {
    name: "expected alert",
    doc: "An alert that must be active; what is not given is not compared.",
    keys: &[
        Key::new("labels", Kind::Map(&Kind::Text), "{service: batch}", "Labels that must be there."),
        Key::new("severity", Kind::OneOf(SEVERITIES), "critical", "Its severity."),
        Key::new("annotations", Kind::Map(&Kind::Text), "{summary: late}", "Annotations that must be there."),
        Key::new("state", Kind::OneOf(&["pending", "firing"]), "firing", "Its state.").or("firing"),
    ],
};
