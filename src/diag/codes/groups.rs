//! A42x: groups of Prometheus rule files.

use super::{Code, ExampleFile};

/// The codes.
pub const CODES: &[Code] = &[
    Code {
        code: "A420",
        title: "neither an alert nor a recording",
        explanation: "A rule of a group has either `alert`, and tells people, or `record`, and keeps the result as a series.",
        file: ExampleFile::Rules,
        bad: r#"groups:
  - name: node
    rules:
      - {alert: Down, record: "instance:down", expr: up == 0}
"#,
        good: r#"groups:
  - name: node
    rules:
      - {record: "instance:down", expr: up == 0}
      - {alert: Down, expr: "instance:down == 0"}
"#,
    },
    Code {
        code: "A421",
        title: "the name of a group",
        explanation: "A group has a name, which no other group of the file has: state and API know its rules by it.",
        file: ExampleFile::Rules,
        bad: r#"groups:
  - {name: node, rules: [{alert: Down, expr: up == 0}]}
  - {name: node, rules: [{alert: Busy, expr: load > 9}]}
"#,
        good: r#"groups:
  - {name: node, rules: [{alert: Down, expr: up == 0}]}
  - {name: load, rules: [{alert: Busy, expr: load > 9}]}
"#,
    },
    Code {
        code: "A422",
        title: "a key that recording rules do not have",
        explanation: "A recording rule makes a series and tells nobody, so there is nothing to wait for, to keep or to write.",
        file: ExampleFile::Rules,
        bad: r#"groups:
  - name: node
    rules:
      - {record: "instance:down", expr: up == 0, for: 5m}
"#,
        good: r#"groups:
  - name: node
    rules:
      - {record: "instance:down", expr: up == 0}
"#,
    },
    Code {
        code: "A423",
        title: "not a name of a series to record",
        explanation: "`record` is a name alone. Matchers belong to `expr`, labels of the new series go under `labels`.",
        file: ExampleFile::Rules,
        bad: r#"groups:
  - name: node
    rules:
      - {record: 'down{team="infra"}', expr: up == 0}
"#,
        good: r#"groups:
  - name: node
    rules:
      - {record: down, expr: up == 0, labels: {team: infra}}
"#,
    },
    Code {
        code: "A424",
        title: "a label that cannot be set",
        explanation: "`__name__` is the name of a metric. A recording rule gives it with `record`; an alert has none.",
        file: ExampleFile::Rules,
        bad: r#"groups:
  - name: node
    rules:
      - {alert: Down, expr: up == 0, labels: {__name__: down}}
"#,
        good: r#"groups:
  - name: node
    rules:
      - {alert: Down, expr: up == 0, labels: {team: infra}}
"#,
    },
    Code {
        code: "A425",
        title: "a resource without rules",
        explanation: "A file of Kubernetes resources may hold others beside those with rules. They are not read; a file of \
            nothing else is no rule file, and that is an error.",
        file: ExampleFile::Rules,
        bad: r#"apiVersion: v1
kind: ConfigMap
data: {}
"#,
        good: r#"apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
spec:
  groups: [{name: node, rules: [{alert: Down, expr: up == 0}]}]
"#,
    },
    Code {
        code: "A426",
        title: "a key of a VMRule without effect",
        explanation: "vmalert has keys for its own way of evaluating that Prometheus does not have. They are left out.",
        file: ExampleFile::Rules,
        bad: r#"apiVersion: operator.victoriametrics.com/v1beta1
kind: VMRule
spec:
  groups: [{name: node, concurrency: 2, rules: [{alert: Down, expr: up == 0}]}]
"#,
        good: r#"apiVersion: operator.victoriametrics.com/v1beta1
kind: VMRule
spec:
  groups: [{name: node, rules: [{alert: Down, expr: up == 0}]}]
"#,
    },
    Code {
        code: "A430",
        title: "a rule that Prometheus cannot have",
        explanation: "`alertd export prometheus` writes what PromQL can say. A detector of anomalies, a calendar and a \
            few functions of expressions have no equal there, and a disabled rule would be evaluated. The rule is left out.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A431",
        title: "a recovery condition is lost",
        explanation: "Prometheus resolves an alert as soon as its condition no longer holds. The rule is written without \
            its recovery condition, so that it may resolve and fire again where alertd would go on firing.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
];
