//! A4xx: rules. A6xx: anomaly rules.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A401",
        title: "two rules of the same name",
        explanation: "The state of a rule is kept by its `uid`, or where it has none by its name; the file does not count. \
            Two rules of one name would share alerts.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
  - name: down
    expr: up == 0
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
  - name: scrape_slow
    expr: scrape_duration_seconds > 5
"#,
    },
    Code {
        code: "A402",
        title: "nothing says when the rule fires",
        explanation: "A rule needs a signal and a condition: `metric` with `threshold`, `levels` or `anomaly`; `queries` \
            with `when`; or `expr`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
"#,
    },
    Code {
        code: "A403",
        title: "two conditions",
        explanation: "A rule has one condition. Two are two rules, or one expression over named queries.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
    expr: up == 0
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
"#,
    },
    Code {
        code: "A404",
        title: "not a condition",
        explanation: "A condition is a comparison and a number (`> 80`, `<= -3.5`, `!= 0`) or a range (`outside 10..90`, \
            `inside 10..90`). It must be quoted in YAML where it begins with `>`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: 90
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
"#,
    },
    Code {
        code: "A405",
        title: "a reduction without a window",
        explanation: "All reductions but `last` work on the points of a window, so they need `over`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    reduce: max
    threshold: "> 90"
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    reduce: max
    over: 5m
    threshold: "> 90"
"#,
    },
    Code {
        code: "A406",
        title: "unknown reduction",
        explanation: "`reduce` takes last, min, max, mean, sum, count, stddev, range, rate, increase, delta or a \
            percentile; `combine` takes sum, mean, min, max, count, stddev or a percentile.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    reduce: avg
    over: 5m
    threshold: "> 90"
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    reduce: mean
    over: 5m
    threshold: "> 90"
"#,
    },
    Code {
        code: "A407",
        title: "recovery overlaps the threshold",
        explanation: "A value that satisfies both the threshold and `recover` makes the alert fire and resolve in turn. \
            Leave a gap between the two.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
    recover: "< 95"
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    threshold: "> 90"
    recover: "< 85"
"#,
    },
    Code {
        code: "A408",
        title: "levels out of order",
        explanation: "A more severe level that can hold without the less severe one jumps over it.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    levels: {warning: "> 95", critical: "> 80"}
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    levels: {warning: "> 80", critical: "> 95"}
"#,
    },
    Code {
        code: "A409",
        title: "not a cron expression",
        explanation: "Six or seven fields: second, minute, hour, day of month, month, day of week, and a year if wanted. \
            Five fields lack the seconds.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    cron: "61 * * * * *"
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    cron: "0 * * * * *"
"#,
    },
    Code {
        code: "A410",
        title: "unknown time zone",
        explanation: "Time zones are named as in the IANA database, such as `Europe/Berlin`; `UTC` is one. Abbreviations \
            such as `CEST` are none.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    cron: "0 0 6 * * *"
    timezone: Europe/Berln
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    cron: "0 0 6 * * *"
    timezone: Europe/Berlin
"#,
    },
    Code {
        code: "A411",
        title: "`for` is no multiple of the interval",
        explanation: "A rule is looked at once per interval, so it fires at the first look after `for` is over: later than \
            it says.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    every: 1m
    for: 90s
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    every: 30s
    for: 90s
"#,
    },
    Code {
        code: "A412",
        title: "a test that cannot be read",
        explanation: "Series and values of a test are written as in promtool: `up{job=\"a\"}` and `1 2 3`, `0+10x5` \
            (start, step, how often), `5x10`, `_` for a gap. The rule of a silence's windows is one of RFC 5545, such as \
            `FREQ=WEEKLY;BYDAY=SA;BYHOUR=22`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    tests:
      - name: t
        series: {up: '1 x'}
        at: 1m
        expect: inactive
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
    tests:
      - name: t
        series: {up: '1 0'}
        at: 1m
        expect: firing
"#,
    },
    Code {
        code: "A414",
        title: "`metric` is no selector",
        explanation: "`metric` takes a name and label matchers. The window goes under `over`, the function under `reduce`, \
            the comparison under `threshold`; a whole query goes under `expr`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: slow
    metric: rate(latency[5m])
    threshold: "> 1"
"#,
        good: r#"rules:
  - name: slow
    metric: latency
    reduce: rate
    over: 5m
    threshold: "> 1"
"#,
    },
    Code {
        code: "A415",
        title: "a key without effect",
        explanation: "The key belongs to another form of rule, or to a key that is not there, so it would have no effect.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: down
    expr: up == 0
    over: 5m
"#,
        good: r#"rules:
  - name: down
    expr: up == 0
"#,
    },
    Code {
        code: "A416",
        title: "a rule cannot take over this state",
        explanation: "`renamed_from` names a rule that is no more: its alerts go on under the new name. While that rule \
            is still there it keeps its state, and only one rule can have it.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    expr: disk_percent > 90
  - name: disk_nearly_full
    renamed_from: disk_full
    expr: disk_percent > 80
"#,
        good: r#"rules:
  - name: disk_nearly_full
    renamed_from: disk_full
    expr: disk_percent > 80
"#,
    },
    Code {
        code: "A417",
        title: "a uid that no rule may have",
        explanation: "`alertd_received` stands for alerts that other programs report, and `alertd_canary` for the rule by \
            which alertd proves that alerts are delivered. A rule of that uid, or one that was renamed from it, would take \
            their alerts for its own.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: alertd_received
    expr: up == 0
"#,
        good: r#"rules:
  - name: target_down
    expr: up == 0
"#,
    },
    Code {
        code: "A601",
        title: "the detector stays silent",
        explanation: "The window never holds as many points as `min_samples` asks for, so the rule could never fire.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    every: 1m
    anomaly: {window: 10m, min_samples: 30}
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    every: 1m
    anomaly: {window: 6h, min_samples: 30}
"#,
    },
    Code {
        code: "A602",
        title: "a time zone without a season",
        explanation: "The time zone of an anomaly rule says by which clock its season goes. Without a season it has no effect.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    anomaly: {window: 6h, timezone: Europe/Berlin}
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    anomaly: {window: 6h, season: daily, timezone: Europe/Berlin}
"#,
    },
    Code {
        code: "A603",
        title: "not a trigger",
        explanation: "A trigger says how many of the last points must lie outside the band: `3 of 5`.",
        file: ExampleFile::Rules,
        bad: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    anomaly: {window: 6h, trigger: 5 of 3}
"#,
        good: r#"rules:
  - name: disk_full
    metric: system.disk_percent
    anomaly: {window: 6h, trigger: 3 of 5}
"#,
    },
];
