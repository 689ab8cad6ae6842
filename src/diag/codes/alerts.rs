//! A3xx: labels and templates of alerts.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A301",
        title: "the template cannot be read",
        explanation: "Labels, annotations and the description are templates as in Prometheus: `{{ $labels.instance }}`, \
            `{{ $value | humanize }}`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    annotations:
      summary: '{{ $labels.instance is down'
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    annotations:
      summary: '{{ $labels.instance }} is down'
"#,
    },
    Code {
        code: "A302",
        title: "a label that cannot be set",
        explanation: "`alertname` is the name of the rule, `severity` its key of that name, and labels that begin with \
            `__` are reserved.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    labels: {severity: critical}
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    severity: critical
"#,
    },
    Code {
        code: "A303",
        title: "a template reads a label that is dropped",
        explanation: "An aggregation, such as `combine` makes, keeps only the labels named in `by`, and `absent` has none \
            but those its selector fixes. A template that reads another one always finds it empty.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: slow
    metric: latency
    combine: max
    by: [agent]
    threshold: "> 1"
    annotations:
      summary: "{{ $labels.instance }} is slow"
"#,
        good: r#"rules:
  - name: slow
    metric: latency
    combine: max
    by: [agent]
    threshold: "> 1"
    annotations:
      summary: "{{ $labels.agent }} is slow"
"#,
    },
];
