//! A0xx: files, YAML, and the shape of what stands in them.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A001",
        title: "the file cannot be read",
        explanation: "A file or folder that was given does not exist, may not be opened, is no regular file, or keeps \
            changing while it is read. The rest is checked all the same.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A002",
        title: "the file is too large",
        explanation: "Files are limited in size and number so that a wrong path or a damaged file cannot fill the memory. \
            Split large rule files by team or by system.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A003",
        title: "the file is no UTF-8 text",
        explanation: "The file contains a NUL byte or bytes that are not UTF-8. A file that was written when a disk was \
            full or a machine crashed often ends in NUL bytes; write it again.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A004",
        title: "not valid YAML",
        explanation: "The text cannot be read as YAML. Common causes: a tab in the indentation, a text with `: ` or with a \
            leading `{`, `[`, `>` or `*` that is not quoted, a quote that is not closed.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: "up == 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A005",
        title: "more than a limit",
        explanation: "The file nests too deep, holds too many values, or its aliases expand to too many. Such files come \
            from generators gone wrong, or are meant to exhaust memory.",
        file: ExampleFile::Rules,
        bad: r#"rules: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A006",
        title: "a key is given twice",
        explanation: "Of two equal keys in one mapping only one could count, and readers disagree on which.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    expr: up == 1
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A007",
        title: "an alias contains itself",
        explanation: "An alias stands inside the value it refers to, so its value would have no end.",
        file: ExampleFile::Rules,
        bad: r#"rules: &all [*all]
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A008",
        title: "a second document in the file",
        explanation: "A line `---` begins a second YAML document. As in Prometheus only the first one is read.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
---
rules: []
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A009",
        title: "a folder or pattern without files",
        explanation: "A folder that was given holds no file that ends in `.yaml` or `.yml`, or a pattern in `rule_files` or \
            `handler_files` names no file. Hidden files and folders are left out.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A010",
        title: "unknown key",
        explanation: "A key that is not known here would have no effect, and a misspelt one would silently be missing. \
            Unknown keys are therefore errors.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    exprr: up == 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A011",
        title: "wrong type",
        explanation: "A value has another form than its key takes: a list for a text, a text for a number, nothing at all.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: [up == 0]
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A012",
        title: "a key is missing",
        explanation: "A key that must be there is not.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - expr: up == 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A013",
        title: "not one of the words",
        explanation: "The key takes one of a few words.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    severity: fatal
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    severity: critical
"#,
    },
    Code {
        code: "A014",
        title: "not a duration",
        explanation: "Durations are written as in Prometheus: whole numbers with the units y, w, d, h, m, s, ms in that \
            order, such as `1h30m`. A number without a unit is none.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    for: 5
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    for: 5m
"#,
    },
    Code {
        code: "A015",
        title: "out of range",
        explanation: "The number or duration is outside of what makes sense for its key.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    max_alerts: 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    max_alerts: 100
"#,
    },
    Code {
        code: "A016",
        title: "two keys conflict",
        explanation: "Two keys say the same thing, or a key stands where it cannot be. Keep one.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    every: 1m
    cron: "0 * * * * *"
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    every: 1m
"#,
    },
    Code {
        code: "A017",
        title: "not a rule file",
        explanation: "The file holds neither `rules:` nor `groups:` at its top, or nothing at all. An empty file is an \
            error, because it is more often a failed write than a wish to have no rules; `rules: []` says the \
            latter.",
        file: ExampleFile::Rules,
        bad: r#"alerts:
  - name: down
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A018",
        title: "not a name",
        explanation: "A name is one line of text, not empty and not overlong.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: ""
    expr: up == 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A019",
        title: "a key that is not supported",
        explanation: "The key is known from Prometheus or Alertmanager, but has no effect in this version. It is an error \
            rather than ignored, so that nobody relies on it.",
        file: ExampleFile::Server,
        bad: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
    relabel_configs: []
"#,
        good: r#"scrape_configs:
  - job_name: app
    static_configs: [{targets: ['127.0.0.1:8000']}]
"#,
    },
];
