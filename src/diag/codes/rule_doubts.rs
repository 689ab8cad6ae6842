//! A450 to A491, A604, A605 and A7xx: what is doubtful in a rule as a whole, and comments that ignore findings. Found by [`lint`](crate::lint).

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A450",
        title: "the same rule twice",
        explanation: "Name, labels and query are the same, and neither store, severity nor whom they tell is another: one of the two was copied and not changed, or forgotten.",
        file: ExampleFile::Rules,
        bad: r##"groups:
  - name: example
    rules:
      - alert: down
        expr: up == 0
      - alert: down
        expr: up   ==   0
"##,
        good: r##"groups:
  - name: example
    rules:
      - alert: down
        expr: up == 0
"##,
    },
    Code {
        code: "A451",
        title: "two rules that ask the same",
        explanation: "Under two names the same query, the same `for`, the same labels, and neither store, severity, schedule nor whom they tell is another: both fire together, and whoever is told is told twice.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: down
    expr: up == 0
  - name: instance_down
    expr: up == 0
"##,
        good: r##"rules:
  - name: down
    expr: up == 0
"##,
    },
    Code {
        code: "A452",
        title: "an alert that never resolves",
        explanation: "Once it fires nothing ends it: `recover` asks for a value that the signal cannot have, or the condition is a point in time that has passed.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    metric: tasks_failed
    reduce: increase
    over: 5m
    threshold: "> 10"
    recover: "< 0"
"##,
        good: r##"rules:
  - name: example
    metric: tasks_failed
    reduce: increase
    over: 5m
    threshold: "> 10"
    recover: "< 2"
"##,
    },
    Code {
        code: "A453",
        title: "`keep_firing_for` shorter than the interval",
        explanation: "A rule is looked at once per interval: an alert that goes on firing does so from one evaluation to the next, however short the time is.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: queue_length > 10
    every: 5m
    keep_firing_for: 1m
"##,
        good: r##"rules:
  - name: example
    expr: queue_length > 10
    every: 5m
    keep_firing_for: 10m
"##,
    },
    Code {
        code: "A454",
        title: "a recorded series with gaps",
        explanation: "A query sees the newest sample of the last five minutes. A group that records less often leaves times in which its series is not there.",
        file: ExampleFile::Rules,
        bad: r##"groups:
  - name: example
    interval: 10m
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
"##,
        good: r##"groups:
  - name: example
    interval: 5m
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
"##,
    },
    Code {
        code: "A480",
        title: "a test fails",
        explanation: "A test that stands beside a rule, or in a unit-test file, expects something else than what happens. `alertd test` runs tests alone and shows how the alert came to its state.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A481",
        title: "a rule cannot be evaluated",
        explanation: "The rule reads well, and its evaluation on the data of the dry run fails; most often series that should be one to one are many to many.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A490",
        title: "a comment that ignores nothing",
        explanation: "`# alertd: ignore CODE -- reason` stands where no finding of that code is. What it was written for is gone; a comment that stays would hide the next one. `--fix` removes it.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up == 0  # alertd: ignore A227 -- as in the other file
"##,
        good: r##"rules:
  - name: example
    expr: up == 0
"##,
    },
    Code {
        code: "A491",
        title: "a comment that cannot be read",
        explanation: "A comment that ignores findings names codes and gives a reason: `# alertd: ignore A227, A228 -- the same in all our files`. At the end of a line it covers the key that stands there; on a line of its own the key of the next line, and the whole rule before its first line; `ignore-file` covers the file. Errors cannot be ignored.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: up{job=~"api"} == 0  # alertd: ignore A227
"##,
        good: r##"rules:
  - name: example
    expr: up{job=~"api"} == 0  # alertd: ignore A227 -- generated
"##,
    },
    Code {
        code: "A604",
        title: "a season that is never learned",
        explanation: "A season is learned from points that lie at most a sixth of it apart: of an hour ten minutes, of a day four hours, of a week 28 hours. A rule that is evaluated less often never uses it.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    metric: requests
    every: 15m
    anomaly: {window: 7d, season: hourly}
"##,
        good: r##"rules:
  - name: example
    metric: requests
    every: 15m
    anomaly: {window: 7d, season: daily}
"##,
    },
    Code {
        code: "A605",
        title: "a detector on a counter",
        explanation: "A counter rises by itself and falls to zero at a restart. What is usual or not is its rate.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: sum by (job) (requests_total)
    anomaly: {window: 6h}
"##,
        good: r##"rules:
  - name: example
    expr: sum by (job) (rate(requests_total[5m]))
    anomaly: {window: 6h}
"##,
    },
    Code {
        code: "A701",
        title: "a selector of every series",
        explanation: "A matcher of the name that every name satisfies, and no other that narrows it: each evaluation reads the whole store.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: count({__name__=~".+"}) > 100000
"##,
        good: r##"rules:
  - name: example
    expr: count({__name__=~".+", job="api"}) > 100000
"##,
    },
    Code {
        code: "A702",
        title: "a range of very many samples",
        explanation: "Each evaluation reads every sample of the range, or evaluates the inner query at every step of a subquery. Record a shorter range and query the recorded series.",
        file: ExampleFile::Rules,
        bad: r##"rules:
  - name: example
    expr: max_over_time(queue_length[30d]) > 10
"##,
        good: r##"rules:
  - name: example
    expr: max_over_time(queue_length[1d]) > 10
"##,
    },
];
