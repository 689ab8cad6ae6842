//! Every key of `alertd.yaml` and of handler files: the readers' lists of known keys, the JSON Schemas and the manual.

use crate::yaml::shape::{Key, Kind, Shape};

const TEXTS: Kind = Kind::List(&Kind::Text);
const LABELS: Kind = Kind::Map(&Kind::Text);
const RELABEL: &str =
    "relabelling is not done by this version; use `static_configs` labels, or drop series in the application";
const LATER: &str = "this version sends every alert to the handlers of the rule's `notify`, or to all handlers";

/// `alertd.yaml`.
pub static SERVER: Shape = Shape {
    name: "config",
    doc: "Settings of the server.",
    keys: &[
        Key::new("listen", Kind::Text, "127.0.0.1:9097", "Address of the HTTP API and the page.").or("127.0.0.1:9097"),
        Key::new("data_dir", Kind::Text, "./data", "Folder of everything that is kept.").or("./data"),
        Key::new("evaluation_interval", Kind::Duration, "15s", "Interval of rules that name none.").or("15s"),
        Key::new("rule_files", TEXTS, "[rules/]", "Rule files, or folders of them.").or("[rules/]"),
        Key::new("handler_files", TEXTS, "[handlers/]", "Handler files, or folders of them.").or("[handlers/]"),
        Key::new("store", Kind::Object(&STORE), "{type: embedded, retention: 24h}", "Where samples are kept."),
        Key::new("state", Kind::Object(&STATE), "{url: sqlite}", "Where the state of alerts is kept."),
        Key::new(
            "host_metrics",
            Kind::Object(&HOST_METRICS),
            "{enabled: true, interval: 15s}",
            "Metrics of the machine: system.cpu_percent, system.disk_percent and more.",
        ),
        Key::new(
            "scrape_configs",
            Kind::List(&Kind::Object(&SCRAPE)),
            "[{job_name: app, static_configs: [{targets: ['127.0.0.1:8000']}]}]",
            "Targets that are asked for their metrics, as in Prometheus.",
        ),
        Key::new(
            "textfiles",
            TEXTS,
            "['/var/lib/app/*.prom']",
            "Files in Prometheus text format that are read like targets.",
        ),
        Key::new("external_labels", LABELS, "{cluster: a}", "Labels added to every alert that leaves the server."),
        Key::new(
            "external_url",
            Kind::Text,
            "https://alerts.example.org",
            "How people reach this server; stands in messages.",
        ),
    ],
};

/// `store:`.
pub static STORE: Shape = Shape {
    name: "store",
    doc: "Where samples are kept.",
    keys: &[
        Key::new(
            "type",
            Kind::OneOf(&["embedded", "prometheus"]),
            "embedded",
            "`embedded`: in memory. (`prometheus`, a compatible store asked over HTTP, is not in this version.)",
        )
        .or("embedded"),
        Key::new("retention", Kind::Duration, "24h", "How long the embedded store keeps samples.").or("24h"),
        Key::new("url", Kind::Text, "http://mimir:9009/prometheus", "Address of the store, for `prometheus`."),
        Key::new("headers", LABELS, "{X-Scope-OrgID: ops}", "Headers of every request to the store, for `prometheus`."),
    ],
};

/// `state:`.
pub static STATE: Shape = Shape {
    name: "state",
    doc: "Where the state of alerts is kept.",
    keys: &[Key::new(
        "url",
        Kind::Text,
        "sqlite",
        "`sqlite` stands for the files in `data_dir`. (`postgres://…`, shared by replicas, is not in this version.)",
    )
    .or("sqlite")],
};

/// `host_metrics:`.
pub static HOST_METRICS: Shape = Shape {
    name: "host metrics",
    doc: "Metrics of the machine the server runs on.",
    keys: &[
        Key::new("enabled", Kind::Boolean, "true", "Whether they are measured.").or("true"),
        Key::new("interval", Kind::Duration, "15s", "How often.").or("15s"),
    ],
};

/// An element of `scrape_configs:`.
pub static SCRAPE: Shape = Shape {
    name: "scrape config",
    doc: "A group of targets that are asked for their metrics.",
    keys: &[
        Key::new("job_name", Kind::Text, "app", "Label `job` of their series.").required(),
        Key::new("scrape_interval", Kind::Duration, "15s", "How often they are asked.").or("15s"),
        Key::new("scrape_timeout", Kind::Duration, "10s", "How long an answer may take; at most the interval.")
            .or("10s"),
        Key::new("metrics_path", Kind::Text, "/metrics", "Path of the request.").or("/metrics"),
        Key::new("scheme", Kind::OneOf(&["http", "https"]), "https", "Protocol of the request.").or("http"),
        Key::new("params", Kind::Map(&TEXTS), "{module: [http_2xx]}", "Query parameters of the request."),
        Key::new(
            "honor_labels",
            Kind::Boolean,
            "true",
            "Whether labels of the target win over `job`, `instance` and those given here.",
        )
        .or("false"),
        Key::new("honor_timestamps", Kind::Boolean, "false", "Whether timestamps of the target are used.").or("true"),
        Key::new(
            "basic_auth",
            Kind::Object(&BASIC_AUTH),
            "{username: u, password: '${env:PASSWORD}'}",
            "User and password of the request.",
        ),
        Key::new(
            "authorization",
            Kind::Object(&AUTHORIZATION),
            "{credentials: '${file:/run/secrets/token}'}",
            "Authorization header of the request.",
        ),
        Key::new(
            "static_configs",
            Kind::List(&Kind::Object(&STATIC)),
            "[{targets: ['127.0.0.1:8000']}]",
            "Targets named here.",
        ),
        Key::new(
            "file_sd_configs",
            Kind::List(&Kind::Object(&FILE_SD)),
            "[{files: ['targets/*.json']}]",
            "Targets named in files that may change.",
        ),
        Key::new(
            "sample_limit",
            Kind::Integer(0, 1_000_000_000),
            "50000",
            "Most samples of one answer; 0: no limit of its own.",
        )
        .or("0"),
        Key::new("body_size_limit", Kind::Size, "10MB", "Largest answer, uncompressed; 0: no limit of its own.")
            .or("0"),
        Key::new("label_limit", Kind::Integer(0, 1_000_000), "64", "Most labels of a series; 0: no limit of its own.")
            .or("0"),
        Key::new(
            "label_name_length_limit",
            Kind::Integer(0, 1_000_000),
            "256",
            "Longest name of a label; 0: no limit of its own.",
        )
        .or("0"),
        Key::new(
            "label_value_length_limit",
            Kind::Integer(0, 1_000_000),
            "2048",
            "Longest value of a label; 0: no limit of its own.",
        )
        .or("0"),
        Key::new("relabel_configs", Kind::Unsupported(RELABEL), "", "Not supported: an error."),
        Key::new("metric_relabel_configs", Kind::Unsupported(RELABEL), "", "Not supported: an error."),
    ],
};

/// `basic_auth:`.
pub static BASIC_AUTH: Shape = Shape {
    name: "basic auth",
    doc: "User and password.",
    keys: &[
        Key::new("username", Kind::Text, "u", "The user.").required(),
        Key::new("password", Kind::Text, "${env:PASSWORD}", "The password; a reference keeps it out of the file.")
            .required(),
    ],
};

/// `authorization:`.
pub static AUTHORIZATION: Shape = Shape {
    name: "authorization",
    doc: "An Authorization header.",
    keys: &[
        Key::new("type", Kind::Text, "Bearer", "Its first word.").or("Bearer"),
        Key::new(
            "credentials",
            Kind::Text,
            "${file:/run/secrets/token}",
            "What follows; a reference keeps it out of the file.",
        )
        .required(),
    ],
};

/// An element of `static_configs:`.
pub static STATIC: Shape = Shape {
    name: "static config",
    doc: "Targets and labels of their series.",
    keys: &[
        Key::new("targets", TEXTS, "['127.0.0.1:8000']", "Host and port of each.").required(),
        Key::new("labels", LABELS, "{env: prod}", "Labels of all their series."),
    ],
};

/// An element of `file_sd_configs:`.
pub static FILE_SD: Shape = Shape {
    name: "file sd config",
    doc: "Files that list targets, as JSON or YAML.",
    keys: &[
        Key::new("files", TEXTS, "['targets/*.json']", "Paths; `*` may stand in the last part.").required(),
        Key::new(
            "refresh_interval",
            Kind::Duration,
            "5m",
            "Known so that Prometheus's notation loads, and of no effect: the files are looked at every 5s.",
        )
        .or("5m"),
    ],
};

/// A handler file.
pub static HANDLER_FILE: Shape = Shape {
    name: "handler file",
    doc: "Handlers: where people are told about alerts.",
    keys: &[
        Key::new("handlers", Kind::List(&A_HANDLER), "[{name: screen, type: console}]", "The handlers.").required(),
        Key::new("route", Kind::Unsupported(LATER), "", "Not read by this version: an error."),
        Key::new("inhibit_rules", Kind::Unsupported(LATER), "", "Not read by this version: an error."),
        Key::new(
            "time_intervals",
            Kind::List(&Kind::Object(&TIME_INTERVAL)),
            "[{name: weekends, time_intervals: [{weekdays: [saturday, sunday]}]}]",
            "Named times, for `active` and `mute` of rules. As in Alertmanager.",
        ),
    ],
};

const A_HANDLER: Kind = Kind::Object(&HANDLER);

/// Types of handlers that exist.
pub const HANDLER_TYPES: &[&str] = &["console"];

/// A handler.
pub static HANDLER: Shape = Shape {
    name: "handler",
    doc: "Where people are told about alerts.",
    keys: &[
        Key::new("name", Kind::Text, "screen", "Name by which rules refer to it.").required(),
        Key::new("type", Kind::OneOf(HANDLER_TYPES), "console", "What it is.").required(),
        Key::new("format", Kind::OneOf(&["text", "json"]), "json", "Form of what is printed.").or("text"),
        Key::new("send_resolved", Kind::Boolean, "false", "Whether it tells when an alert is over.").or("true"),
        Key::new(
            "min_severity",
            Kind::OneOf(&["info", "warning", "error", "critical"]),
            "warning",
            "Alerts below it are not told.",
        )
        .or("info"),
    ],
};

/// An element of `time_intervals:`.
pub static TIME_INTERVAL: Shape = Shape {
    name: "time interval",
    doc: "A name for times of the week, month or year.",
    keys: &[
        Key::new("name", Kind::Text, "office_hours", "Name by which rules refer to it.").required(),
        Key::new(
            "time_intervals",
            Kind::List(&Kind::Object(&INTERVAL_ELEMENT)),
            "[{weekdays: ['monday:friday']}]",
            "The times. It is in the interval if one element matches.",
        )
        .required(),
    ],
};

/// An element of `time_intervals:` within a time interval.
pub static INTERVAL_ELEMENT: Shape = Shape {
    name: "interval element",
    doc: "Times of a time interval. All fields that are there must match; of a field, one range must. A range is one \
          value, or two with a colon between them, both included.",
    keys: &[
        Key::new(
            "times",
            Kind::List(&Kind::Object(&TIME_RANGE)),
            "[{start_time: '09:00', end_time: '17:00'}]",
            "Times of day.",
        ),
        Key::new(
            "weekdays",
            Kind::List(&Kind::Language("weekday or range of weekdays")),
            "['monday:friday']",
            "Weekdays by their English names. The week begins on Sunday.",
        ),
        Key::new(
            "days_of_month",
            Kind::List(&Kind::Language("day or range of days")),
            "['1:7', -1]",
            "Days 1 to 31, or -1 to -31 from the end of the month. What reaches over the month is cut.",
        ),
        Key::new(
            "months",
            Kind::List(&Kind::Language("month or range of months")),
            "['june:august', 12]",
            "Months by their English names or numbers.",
        ),
        Key::new("years", Kind::List(&Kind::Language("year or range of years")), "['2025:2027']", "Years."),
        Key::new(
            "location",
            Kind::Language("time zone"),
            "Europe/Berlin",
            "In whose local time: an IANA name, or `Local` for the zone of the machine.",
        )
        .or("UTC"),
    ],
};

/// An element of `times:`.
pub static TIME_RANGE: Shape = Shape {
    name: "time range",
    doc: "A part of a day. It does not run over midnight: write two of them.",
    keys: &[
        Key::new("start_time", Kind::Language("time of day"), "'09:00'", "Its beginning, `00:00` to `23:59`.")
            .required(),
        Key::new("end_time", Kind::Language("time of day"), "'17:00'", "Its end, not included; `24:00` ends the day.")
            .required(),
    ],
};
