//! A5xx: handlers and the config of the server.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A501",
        title: "unknown handler",
        explanation: "A rule names a handler that no handler file defines, so its alerts would reach nobody. Or a test of messages \
            names one that its `config` and `handlers` do not give, or that is told of no alert.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A502",
        title: "unknown time interval",
        explanation: "A rule names a time interval that no handler file defines under `time_intervals`. A program that \
            embeds alertd has no handler files, and so none.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A503",
        title: "two handlers of the same name",
        explanation: "Rules refer to handlers by name, so a name stands for one handler.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: console}
  - {name: screen, type: console, format: json}
"#,
        good: r#"handlers:
  - {name: screen, type: console}
  - {name: log, type: console, format: json}
"#,
    },
    Code {
        code: "A504",
        title: "not a reference to a secret",
        explanation: "`${env:NAME}` stands for an environment variable and `${file:PATH}` for the content of a file. They \
            are read when they are needed, never while checking.",
        file: ExampleFile::Server,
        bad: r#"scrape_configs:
  - job_name: app
    authorization: {credentials: '${TOKEN}'}
    static_configs: [{targets: ['127.0.0.1:8000']}]
"#,
        good: r#"scrape_configs:
  - job_name: app
    authorization: {credentials: '${env:APP_TOKEN}'}
    static_configs: [{targets: ['127.0.0.1:8000']}]
"#,
    },
    Code {
        code: "A505",
        title: "not an address",
        explanation: "An address to listen on and a target are a host and a port; a URL begins with `http://` or \
            `https://`; a mail address is `name@host`.",
        file: ExampleFile::Server,
        bad: r#"listen: 9097
"#,
        good: r#"listen: 127.0.0.1:9097
"#,
    },
    Code {
        code: "A506",
        title: "two jobs of the same name",
        explanation: "The job name becomes the label `job`, by which the series of two jobs are told apart.",
        file: ExampleFile::Server,
        bad: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
"#,
        good: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
"#,
    },
    Code {
        code: "A507",
        title: "a timeout longer than the interval",
        explanation: "A target would be asked again before its last answer is given up.",
        file: ExampleFile::Server,
        bad: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
    scrape_interval: 5s
    scrape_timeout: 10s
"#,
        good: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
    scrape_interval: 15s
    scrape_timeout: 10s
"#,
    },
    Code {
        code: "A508",
        title: "not a handler file",
        explanation: "The file does not hold `handlers:` at its top, nor `receivers:` as Alertmanager's does, nor \
            `rotations:` with a rotation, or nothing at all. `handlers: []` says that there are none.",
        file: ExampleFile::Handlers,
        bad: r#"handler: []
"#,
        good: r#"handlers: []
"#,
    },
    Code {
        code: "A509",
        title: "unknown type of handler",
        explanation: "Handlers are of type `console`, `webhook`, `smtp` or `heartbeat`. Chat and paging services are presets of \
            `webhook`.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: consol}
"#,
        good: r#"handlers:
  - {name: screen, type: console}
"#,
    },
    Code {
        code: "A510",
        title: "a secret in a file",
        explanation: "A token, a password, or the URL of a chat's webhook lets whoever has it send in your name. In a file it \
            is read by backups, reviews and logs. `${env:NAME}` and `${file:PATH}` are read when a message is sent; a file \
            that changes is used without a reload.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: oncall, type: webhook, preset: pagerduty, routing_key: 0123456789abcdef0123456789abcdef}
"#,
        good: r#"handlers:
  - {name: oncall, type: webhook, preset: pagerduty, routing_key: "${env:PAGERDUTY_KEY}"}
"#,
    },
    Code {
        code: "A511",
        title: "a payload template that cannot be used",
        explanation: "The body of a webhook is a minijinja template. It is read, and rendered with sample messages: it must \
            parse, read only what a message has, and yield JSON where the content type says JSON. `tojson` writes a value as \
            JSON, quotes included.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - name: hook
    type: webhook
    url: https://hooks.example.org/a
    body: '{"text": {{ sumary | tojson }}}'
"#,
        good: r#"handlers:
  - name: hook
    type: webhook
    url: https://hooks.example.org/a
    body: '{"text": {{ summary | tojson }}}'
"#,
    },
    Code {
        code: "A512",
        title: "unknown preset",
        explanation: "A preset says how messages for one kind of receiver are made. There are some in the program; a file \
            `presets/NAME.yaml` beside the handler files adds one, or takes the place of one.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: chat, type: webhook, preset: slak, url: "${env:SLACK_WEBHOOK_URL}"}
"#,
        good: r#"handlers:
  - {name: chat, type: webhook, preset: slack, url: "${env:SLACK_WEBHOOK_URL}"}
"#,
    },
    Code {
        code: "A513",
        title: "certificates are not verified",
        explanation: "With `insecure_skip_verify` anybody on the way to the receiver can read messages and secrets, and \
            change them. `ca_file` names an own authority, `server_name` another name of the certificate.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: hook, type: webhook, url: https://hooks.internal/a, tls_config: {insecure_skip_verify: true}}
"#,
        good: r#"handlers:
  - {name: hook, type: webhook, url: https://hooks.internal/a, tls_config: {ca_file: /etc/ssl/internal-ca.pem}}
"#,
    },
    Code {
        code: "A514",
        title: "not a header",
        explanation: "A header's name is made of letters, digits and dashes, its value is one line. Some headers are made by \
            alertd and cannot be set: `Content-Type` is written under `content_type`.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: hook, type: webhook, url: https://hooks.example.org/a, headers: {"X Team": llm}}
"#,
        good: r#"handlers:
  - {name: hook, type: webhook, url: https://hooks.example.org/a, headers: {X-Team: llm}}
"#,
    },
    Code {
        code: "A515",
        title: "unknown store",
        explanation: "A rule names a store under `source` that the server's configuration does not define under `stores`, so \
            nothing would be asked. `embedded` is the store inside the process. A program that embeds alertd has that one \
            alone.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A516",
        title: "not a name for a store",
        explanation: "Rules name stores under `source`, and `embedded` stands there for the store inside the process; the one \
            under `store` is called `default` where it is a remote one.",
        file: ExampleFile::Server,
        bad: r#"stores:
  embedded: {url: "http://127.0.0.1:9090"}
"#,
        good: r#"stores:
  prometheus: {url: "http://127.0.0.1:9090"}
"#,
    },
    Code {
        code: "A517",
        title: "a recorded series that never reaches the store",
        explanation: "What recording rules and anomaly rules make stays in the store inside alertd, unless `remote_write` \
            sends it to another. A rule that asks a remote store for such a series finds nothing, and never fires, unless \
            something else records the series there: a Prometheus that runs the same rules, for a trial of both. \
            Otherwise add `remote_write` for that store, or `source: embedded` to the rule.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A518",
        title: "a guard rail that makes no sense",
        explanation: "What `silences` asks of every silence must be something that a silence can fulfil: a pattern that is a \
            regular expression, a duration that is longer than nothing.",
        file: ExampleFile::Server,
        bad: r#"silences: {comment_pattern: '^OPS-[0-9+'}
"#,
        good: r#"silences: {comment_pattern: '^OPS-[0-9]+'}
"#,
    },
    Code {
        code: "A519",
        title: "`on_mute` that the handler cannot do",
        explanation: "`on_mute: ack` tells the receiver in its own terms that somebody looks after the alert: the presets \
            pagerduty and opsgenie can, and any preset of your own that has `acknowledged`. `on_mute: resolve` tells that \
            the alert is resolved, so the handler must be told of ends: `send_resolved`.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: console, on_mute: ack}
"#,
        good: r#"handlers:
  - {name: screen, type: console, on_mute: resolve}
"#,
    },
    Code {
        code: "A520",
        title: "mail without encryption",
        explanation: "`tls: none` sends mail and password as they are. That is for a mail server on the same machine; to \
            another one it must be allowed by `allow_plaintext: true`, and is told as a warning even then.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: mail, type: smtp, host: mail.example.org, tls: none, from: a@example.org, to: ops@example.org}
"#,
        good: r#"handlers:
  - {name: mail, type: smtp, host: 127.0.0.1, tls: none, from: a@example.org, to: ops@example.org}
"#,
    },
    Code {
        code: "A521",
        title: "the subject's template cannot be read",
        explanation: "A subject is a minijinja template. A fault in it, or a name that no message has, would be seen only \
            when somebody is woken.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: mail, type: smtp, host: mail.example.org, from: a@example.org, to: ops@example.org, subject: '{{ titel }}'}
"#,
        good: r#"handlers:
  - {name: mail, type: smtp, host: mail.example.org, from: a@example.org, to: ops@example.org, subject: '{{ title }}'}
"#,
    },
];
