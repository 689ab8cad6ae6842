//! A1xx: queries that cannot be read. The codes are given by the parser ([`crate::promql::error`]).

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A101",
        title: "the query cannot be read",
        explanation: "The caret stands at the first token that does not fit. PromQL is that of Prometheus 3.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) >> 1
"#,
        good: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 1
"#,
    },
    Code {
        code: "A102",
        title: "something is not closed",
        explanation: "A bracket, brace, parenthesis or quote was opened and never closed; the caret stands where the end was expected.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m) > 0.1
"#,
        good: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 0.1
"#,
    },
    Code {
        code: "A103",
        title: "unknown function or aggregation",
        explanation: "The name is none of PromQL's functions or aggregations.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: rat(tasks_failed[5m]) > 1
"#,
        good: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 1
"#,
    },
    Code {
        code: "A104",
        title: "wrong number of arguments",
        explanation: "The function takes more or fewer arguments than it was given.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: quantile_over_time(latency[5m]) > 1
"#,
        good: r#"rules:
  - name: example
    expr: quantile_over_time(0.95, latency[5m]) > 1
"#,
    },
    Code {
        code: "A105",
        title: "wrong type",
        explanation: "An operand or argument is of a type that does not fit there: most often a range (`[5m]`) is missing or too much.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: rate(tasks_failed) > 1
"#,
        good: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 1
"#,
    },
    Code {
        code: "A106",
        title: "a label matcher that cannot be used",
        explanation: "A regular expression does not compile, a label is named wrongly, or the selector would match every series of the store.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: up{job=~"a("} == 0
"#,
        good: r#"rules:
  - name: example
    expr: up{job=~"a.*"} == 0
"#,
    },
    Code {
        code: "A107",
        title: "not a number or duration",
        explanation: "Durations are numbers with units `ms s m h d w y`, the larger unit first.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: rate(tasks_failed[5q]) > 1
"#,
        good: r#"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 1
"#,
    },
    Code {
        code: "A108",
        title: "vector matching that cannot be",
        explanation: "`on`, `ignoring`, `group_left` and `bool` stand only where two vectors meet; set operators take no grouping.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: example
    expr: 1 + on (job) up > 1
"#,
        good: r#"rules:
  - name: example
    expr: failed / on (job) total > 1
"#,
    },
    Code {
        code: "A109",
        title: "too long or too deep",
        explanation: "A query may nest 64 levels and have 64 KiB. Nobody writes this by hand: look at what generated it.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
];
