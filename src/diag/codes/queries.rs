//! A220 to A239: what is doubtful in a query. Found by [`lint`](crate::lint).

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A220",
        title: "a window shorter than two scrapes",
        explanation: "`rate`, `increase` and their like need two samples in the window. A window of less than two scrape intervals often holds one, and then the query yields nothing and the alert never fires; four intervals bear a missed scrape. The interval is that of `scrape_configs`, of the data given with `--data`, or assumed to be 15s; the finding says which.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: rate(tasks_failed_total[20s]) > 1
"##,
        good: r##"rules:
  - name: example
    expr: rate(tasks_failed_total[1m]) > 1
"##,
    },
    Code {
        code: "A221",
        title: "a function for another kind of metric",
        explanation: "`rate`, `irate` and `increase` take each fall for a reset, so of a gauge they give nonsense. `delta`, `idelta`, `deriv` and `predict_linear` take a reset for a fall, so of a counter they go wrong at each restart. The kind is that declared in the data, else a name that ends in `_total` is a counter.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: delta(tasks_failed_total[5m]) > 10
"##,
        good: r##"rules:
  - name: example
    expr: increase(tasks_failed_total[5m]) > 10
"##,
    },
    Code {
        code: "A223",
        title: "a comparison that is never true",
        explanation: "What is compared can never have such a value, so the alert never fires: a count of nothing is no result, not 0; a rate is never negative; `absent` is always 1; two ranges of one series have nothing in common.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: count(up == 0) == 0
"##,
        good: r##"rules:
  - name: example
    expr: absent(up{job="api"})
"##,
    },
    Code {
        code: "A224",
        title: "a comparison that is always true",
        explanation: "What is compared always has such a value, so the alert fires as long as the series is there.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: rate(tasks_failed[5m]) >= 0
"##,
        good: r##"rules:
  - name: example
    expr: rate(tasks_failed[5m]) > 0
"##,
    },
    Code {
        code: "A225",
        title: "two sides that never match",
        explanation: "Series of the two sides are matched by their labels, all of them or those in `on`. Here one side has a label that an aggregation on the other side drops, so no series ever meets another and the query yields nothing.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: sum by (job) (rate(failed[5m])) / sum by (instance) (rate(total[5m])) > 0.1
"##,
        good: r##"rules:
  - name: example
    expr: sum by (job) (rate(failed[5m])) / sum by (job) (rate(total[5m])) > 0.1
"##,
    },
    Code {
        code: "A226",
        title: "a label that was dropped before",
        explanation: "An aggregation keeps the labels in `by` and drops all others. Grouping by one of the others, or taking it over with `group_left`, finds it empty.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: max by (instance) (sum by (job) (queue_length)) > 10
"##,
        good: r##"rules:
  - name: example
    expr: max by (job) (sum by (job, instance) (queue_length)) > 10
"##,
    },
    Code {
        code: "A227",
        title: "a regular expression that is plain text",
        explanation: "`=~` with a text that has no sign of regular expressions says the same as `=`, costs more and hides what is meant.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up{job=~"api"} == 0
"##,
        good: r##"rules:
  - name: example
    expr: up{job="api"} == 0
"##,
    },
    Code {
        code: "A228",
        title: "a matcher that matches everything",
        explanation: "`=~\".*\"` matches every value and also series that do not have the label: it has no effect. `!=\"\"` says that the label must be there.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up{job=~".*"} == 0
"##,
        good: r##"rules:
  - name: example
    expr: up{job!=""} == 0
"##,
    },
    Code {
        code: "A229",
        title: "matchers that leave nothing",
        explanation: "No series can satisfy these matchers at once, so the selector is always empty.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up{job="api", job="web"} == 0
"##,
        good: r##"rules:
  - name: example
    expr: up{job=~"api|web"} == 0
"##,
    },
    Code {
        code: "A230",
        title: "a quantile of buckets that are none",
        explanation: "`histogram_quantile` needs the bound of each bucket, the label `le`; an aggregation must keep it. And the buckets count since the process started, so without `rate` the quantile is that of its whole life and hardly moves.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: histogram_quantile(0.9, sum by (job) (rate(latency_bucket[5m]))) > 1
"##,
        good: r##"rules:
  - name: example
    expr: histogram_quantile(0.9, sum by (job, le) (rate(latency_bucket[5m]))) > 1
"##,
    },
    Code {
        code: "A231",
        title: "a quantile that is none",
        explanation: "Quantiles are shares, from 0 to 1. Above 1 the result is always +Inf, below 0 always -Inf.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: quantile_over_time(95, latency[5m]) > 1
"##,
        good: r##"rules:
  - name: example
    expr: quantile_over_time(0.95, latency[5m]) > 1
"##,
    },
    Code {
        code: "A232",
        title: "`@` in a rule",
        explanation: "`@` with an instant reads the same samples at every evaluation, so the value never changes. `@ start()` and `@ end()` name the instant of the evaluation, which is read anyway.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: queue_length @ 1609746000 > 10
"##,
        good: r##"rules:
  - name: example
    expr: queue_length > 10
"##,
    },
    Code {
        code: "A233",
        title: "an offset into the future",
        explanation: "A negative `offset` reads samples that do not exist yet when the rule is evaluated.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: queue_length offset -5m > 10
"##,
        good: r##"rules:
  - name: example
    expr: queue_length offset 5m > 10
"##,
    },
    Code {
        code: "A234",
        title: "`absent` of groups",
        explanation: "`absent` takes its labels from the matchers of a selector. Of an aggregation by labels it has none, and it holds only where all groups are gone: the group that is gone alone is never told.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: absent(sum by (job) (up))
"##,
        good: r##"rules:
  - name: example
    expr: absent(up{job="api"})
"##,
    },
    Code {
        code: "A235",
        title: "the rate of a sum",
        explanation: "A counter that begins anew after a restart makes the sum fall, and `rate` takes the whole fall for a reset: it then sees a jump as high as all other counters together. The rate comes first, then the sum.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: rate(sum(tasks_failed_total)[5m:1m]) > 1
"##,
        good: r##"rules:
  - name: example
    expr: sum(rate(tasks_failed_total[5m])) > 1
"##,
    },
    Code {
        code: "A236",
        title: "a metric that is not there",
        explanation: "No sample of this name is in the data given with `--data` or in the store given with `--source`, and no rule records it: a misspelt name, or a metric that is gone. Nothing is said of what stands in `absent`.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A237",
        title: "a label that is not there",
        explanation: "No series of this metric in the data given with `--data` has the label, so the selector finds nothing.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A238",
        title: "both sides are the same",
        explanation: "An operator between an expression and itself yields what is known before. Most often one side was copied and not changed.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: queue_length / queue_length > 0.9
"##,
        good: r##"rules:
  - name: example
    expr: queue_length / queue_capacity > 0.9
"##,
    },
    Code {
        code: "A239",
        title: "a condition that yields 0 and 1",
        explanation: "With `bool` a comparison yields 0 where it is not true instead of leaving the series out. Every series of the result is an alert, so it fires whatever the value.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up == bool 0
"##,
        good: r##"rules:
  - name: example
    expr: up == 0
"##,
    },
];
