//! A304 to A309: what is doubtful in the labels and templates of alerts. Found by [`lint`](crate::lint).

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A304",
        title: "a label that holds the value",
        explanation: "Labels are the identity of an alert. One that is made of the value makes another alert of each new value: `for` starts anew, silences no longer match, and whoever is told is told again and again.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: queue_length > 10
    labels: {length: '{{ $value }}'}
"##,
        good: r##"rules:
  - name: example
    expr: queue_length > 10
    annotations:
      summary: '{{ $value }} are waiting'
"##,
    },
    Code {
        code: "A305",
        title: "an annotation that all others have",
        explanation: "Every other alert of this file has the annotation. A template of messages that shows it leaves a hole for this one.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example_1
    expr: up{job="api"} == 0
    annotations: {summary: 'api is down'}
  - name: example_2
    expr: up{job="web"} == 0
    annotations: {summary: 'web is down'}
  - name: example_3
    expr: up{job="db"} == 0
    annotations: {summary: 'db is down'}
  - name: example_4
    expr: up{job="cache"} == 0
    annotations: {summary: 'cache is down'}
  - name: example_6
    expr: up{job="queue"} == 0
    annotations: {summary: 'queue is down'}
  - name: example_5
    expr: up{job="mail"} == 0
"##,
        good: r##"rules:
  - name: example_1
    expr: up{job="api"} == 0
    annotations: {summary: 'api is down'}
  - name: example_2
    expr: up{job="web"} == 0
    annotations: {summary: 'web is down'}
  - name: example_3
    expr: up{job="db"} == 0
    annotations: {summary: 'db is down'}
  - name: example_4
    expr: up{job="cache"} == 0
    annotations: {summary: 'cache is down'}
  - name: example_6
    expr: up{job="queue"} == 0
    annotations: {summary: 'queue is down'}
  - name: example_5
    expr: up{job="mail"} == 0
    annotations: {summary: 'mail is down'}
"##,
    },
    Code {
        code: "A306",
        title: "the label `alertname` of an alert",
        explanation: "`alertname` is always the name of the alert; a label of that name is overwritten.",
        file: ExampleFile::Rules,
        bad: r##"groups:
  - name: example
    rules:
      - alert: down
        expr: up == 0
        labels: {alertname: instance_down}
"##,
        good: r##"groups:
  - name: example
    rules:
      - alert: instance_down
        expr: up == 0
"##,
    },
    Code {
        code: "A307",
        title: "an alert without a summary",
        explanation: "Whoever is woken reads the summary first. This check is a house rule: it runs where it is asked for, with `--extend-select A307`.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up == 0
"##,
        good: r##"rules:
  - name: example
    expr: up == 0
    annotations:
      summary: '{{ $labels.instance }} is down'
"##,
    },
    Code {
        code: "A308",
        title: "an alert without a runbook",
        explanation: "A link to what to do. This check is a house rule: it runs where it is asked for, with `--extend-select A308`.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up == 0
"##,
        good: r##"rules:
  - name: example
    expr: up == 0
    annotations:
      runbook: https://wiki.example/down
"##,
    },
    Code {
        code: "A309",
        title: "a percentage of a percentage",
        explanation: "`humanizePercentage` multiplies by 100 and adds the sign. The query yields percent already, so the message shows a hundred times the value.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: free / size * 100 < 10
    annotations:
      summary: '{{ $value | humanizePercentage }} free'
"##,
        good: r##"rules:
  - name: example
    expr: free / size * 100 < 10
    annotations:
      summary: '{{ printf "%.1f" $value }}% free'
"##,
    },
    Code {
        code: "A310",
        title: "a template that fails when it is rendered",
        explanation: "The template reads well, as it does in Prometheus, and fails each time: a function with too few arguments, a field or a named template that does not exist. The message then shows the error.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up == 0
    annotations:
      summary: '{{ .labels.instance }} is down'
"##,
        good: r##"rules:
  - name: example
    expr: up == 0
    annotations:
      summary: '{{ $labels.instance }} is down'
"##,
    },
];
