//! Every key of `alertd.yaml`: the reader's list of known keys, the JSON Schema and the manual.

use super::remote;
use crate::yaml::shape::{Key, Kind, Shape};

pub(super) const TEXTS: Kind = Kind::List(&Kind::Text);
pub(super) const LABELS: Kind = Kind::Map(&Kind::Text);
const RELABEL: &str =
    "relabelling is not done by this version; use `static_configs` labels, or drop series in the application";

/// `alertd.yaml`.
pub static SERVER: Shape = Shape {
    name: "config",
    doc: "Settings of the server.",
    keys: &[
        Key::new("listen", Kind::Text, "127.0.0.1:9097", "Address of the HTTP API and the page.").or("127.0.0.1:9097"),
        Key::new("data_dir", Kind::Text, "./data", "Folder of everything that is kept.").or("./data"),
        Key::new("evaluation_interval", Kind::Duration, "15s", "Interval of rules that name none.").or("15s"),
        Key::new(
            "rule_files",
            TEXTS,
            "[rules/]",
            "Rule files, folders of them, or patterns (`*`, `?`, `[a-z]`), relative to the folder of this file.",
        )
        .or("[rules/]"),
        Key::new(
            "handler_files",
            TEXTS,
            "[handlers/]",
            "Handler files, folders of them, or patterns, relative to the folder of this file.",
        )
        .or("[handlers/]"),
        Key::new("store", Kind::Object(&STORE), "{type: embedded, retention: 24h}", "Where samples are kept."),
        Key::new(
            "stores",
            Kind::Map(&Kind::Object(&remote::STORES)),
            "{mimir: {url: 'http://mimir:9009/prometheus', headers: {X-Scope-OrgID: ops}}}",
            "Remote stores by name, for rules that name one under `source`.",
        ),
        super::remote_write::KEY,
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
        Key::new(
            "memory_max",
            Kind::Size,
            "512MB",
            "Resident memory near which samples, and then queries, are turned away so that rules and messages go on. The \
             limits of a cgroup and of the address space count in any case.",
        ),
        Key::new(
            "shutdown_grace",
            Kind::Duration,
            "30s",
            "How long the end waits for messages that are on their way; the rest goes out after the next start.",
        )
        .or("30s"),
        Key::new(
            "resolve_timeout",
            Kind::Duration,
            "5m",
            "When an alert that another program reports without an end is over, unless it is reported again.",
        )
        .or("5m"),
        Key::new(
            "builtin_rules",
            Kind::Object(&BUILTIN_RULES),
            "{notify: [mail]}",
            "Rules that alertd runs on itself: missed evaluations, stuck handlers, dead letters and more.",
        ),
        Key::new(
            "silences",
            Kind::Object(&super::silences::SILENCES),
            "{min_matchers: 2, max_duration: 30d, comment_pattern: '^OPS-[0-9]+'}",
            "What is asked of a silence, and when people are reminded that one ends.",
        ),
    ],
};

/// `builtin_rules:`.
pub static BUILTIN_RULES: Shape = Shape {
    name: "builtin rules",
    doc: "Rules that alertd runs on itself.",
    keys: &[
        Key::new("enabled", Kind::Boolean, "false", "Whether there are any.").or("true"),
        Key::new(
            "notify",
            TEXTS,
            "[mail]",
            "Handlers that are told of their alerts, apart from those of your own rules; without it, the route decides.",
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
            "`embedded`: in memory. `prometheus`: a compatible store, which is asked over HTTP; what alertd measures and \
             what is pushed or scraped is then kept in memory all the same, for rules with `source: embedded`.",
        )
        .or("embedded"),
        Key::new("retention", Kind::Duration, "24h", "How long the embedded store keeps samples.").or("24h"),
        Key::new(
            "durable",
            Kind::Boolean,
            "false",
            "Whether samples are stored in `data_dir` too, so that a restart does not forget them; otherwise they are in memory only.",
        )
        .or("true"),
        Key::new(
            "retention_size",
            Kind::Size,
            "2GB",
            "Size that the stored samples may have; beyond it the oldest go before their time, from memory too. 0: no limit.",
        )
        .or("0"),
        Key::new(
            "max_series",
            Kind::Integer(1000, 100_000_000),
            "5000000",
            "Most series that the store holds; beyond it those that were silent for longest make room, and where none was \
             silent, new ones are refused. A series takes some 600 bytes, and one to three more for each sample.",
        )
        .or("1000000"),
        remote::URL,
        remote::HEADERS,
        remote::PARAMS,
        remote::BASIC,
        remote::BEARER,
        remote::TLS_CONFIG,
        remote::TIMEOUT,
        remote::QUERIES,
        remote::BYTES,
    ],
};

/// `state:`.
pub static STATE: Shape = Shape {
    name: "state",
    doc: "Where the state of alerts, the outbox and the history are kept.",
    keys: &[
        Key::new(
            "url",
            Kind::Text,
            "sqlite",
            "`sqlite` stands for the files in `data_dir`. `postgres://user:password@host:5432/database` is a PostgreSQL database that \
             several processes may share: one of them decides and tells, the others stand by. A certificate that the server offers \
             must be valid; `sslrootcert=FILE` names who vouches for it, `sslmode` may be `disable`, `prefer`, `require` or \
             `verify-full`.",
        )
        .or("sqlite"),
        Key::new(
            "lease",
            Kind::Duration,
            "15s",
            "Of a database: how long after the end of the process that decides another one takes over; at least 1s. A process that \
             ends in order is followed at once.",
        )
        .or("15s"),
        Key::new(
            "replica",
            Kind::Text,
            "alertd-0",
            "Of a database: the name that this process goes by there. Without it the name of the machine and the port of `listen`.",
        ),
        Key::new("history_retention", Kind::Duration, "90d", "How long history is kept.").or("90d"),
        Key::new(
            "history_rows_max",
            Kind::Integer(1000, 1_000_000_000),
            "10000000",
            "Most rows of history; the oldest go first.",
        )
        .or("10000000"),
        Key::new(
            "ballast",
            Kind::Size,
            "16MB",
            "A file that is given up when the disk is full, so that alert states can still be stored; at most an eighth of the free space; 0: none.",
        )
        .or("16MB"),
    ],
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
