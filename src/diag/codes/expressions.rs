//! A2xx: meaning of queries and expressions.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A201",
        title: "the expression cannot be read",
        explanation: "Expressions are made of query names, numbers, `+ - * / % ^`, comparisons, `&& || !`, parentheses and \
            functions.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / > total
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / total > 0.2 && total > 10
"#,
    },
    Code {
        code: "A202",
        title: "unknown name in an expression",
        explanation: "An expression may use the names given under `queries`, and nothing else.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: fail / total > 0.2
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / total > 0.2 && total > 10
"#,
    },
    Code {
        code: "A203",
        title: "unknown function in an expression",
        explanation: "The functions are `min`, `max`, `floor`, `ceil`, `round`, `if` and those under `math::`. Functions \
            of PromQL belong into the queries.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: abs(failed - total) > 10
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: math::abs(failed - total) > 10
"#,
    },
    Code {
        code: "A204",
        title: "the expression yields the wrong type",
        explanation: "`when` and `recover_when` must be true or false, `value` must be a number. The expression was tried \
            with every query at 1.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / total
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / total > 0.2 && total > 10
"#,
    },
    Code {
        code: "A205",
        title: "the expression assigns",
        explanation: "An expression only compares and calculates. A single `=` assigns; equality is `==`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed = total
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed == total
"#,
    },
    Code {
        code: "A206",
        title: "a query that is not used",
        explanation: "A query costs an evaluation and is joined with the others: a series that one of them lacks is left \
            out. One that is not used only takes away.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed > 10
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed: sum by (service) (increase(tasks_failed[10m]))
      total: sum by (service) (increase(tasks_total[10m]))
    when: failed / total > 0.2 && total > 10
"#,
    },
    Code {
        code: "A207",
        title: "the query compares with nothing",
        explanation: "Every series a query finds is an alert. Without a comparison the alert fires for every series, \
            whatever its value. A query that is meant to fire always is `vector(1)`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up{job="api"}
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A208",
        title: "not a name for a query",
        explanation: "Names of queries are used in expressions, so they consist of letters, digits and underscores and do \
            not begin with a digit.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: failures
    queries:
      failed-total: sum(tasks_failed)
    when: failed > 1
"#,
        good: r#"rules:
  - name: failures
    queries:
      failed_total: sum(tasks_failed)
    when: failed_total > 1
"#,
    },
    Code {
        code: "A209",
        title: "the query yields no number per series",
        explanation: "An alert needs one number per series. A range selector yields many, a string none.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up[5m]
"#,
        good: r#"rules:
  - name: down
    expr: max_over_time(up[5m]) == 0
"#,
    },
    Code {
        code: "A210",
        title: "a counter compared as it stands",
        explanation: "A metric whose name ends in `_total` is a counter: it only rises until its process restarts, so a \
            threshold on it is crossed once and for ever. Compare its growth.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: errors
    metric: http_errors_total
    threshold: "> 100"
"#,
        good: r#"rules:
  - name: errors
    metric: http_errors_total
    reduce: increase
    over: 5m
    threshold: "> 100"
"#,
    },
];
