//! A54x: routes.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A541",
        title: "a matcher that cannot be read",
        explanation: "Matchers are written as in Alertmanager: a label, one of `=`, `!=`, `=~`, `!~`, and a value, in double \
            quotes where it holds more than letters and digits. Patterns are anchored at both ends.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: console}
route:
  routes:
    - matchers: ['severity=~"crit("']
"#,
        good: r#"handlers:
  - {name: screen, type: console}
route:
  routes:
    - matchers: ['severity=~"crit.*"']
"#,
    },
    Code {
        code: "A542",
        title: "a route that is never reached",
        explanation: "An alert takes the first route that it fits, and the ones behind it only where that one says \
            `continue: true`. A route that asks for more than one before it never sees an alert.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: console}
  - {name: log, type: console, format: json}
route:
  routes:
    - {matchers: ['team="web"'], handlers: [screen]}
    - {matchers: ['team="web"', 'severity="critical"'], handlers: [log]}
"#,
        good: r#"handlers:
  - {name: screen, type: console}
  - {name: log, type: console, format: json}
route:
  routes:
    - {matchers: ['team="web"', 'severity="critical"'], handlers: [log]}
    - {matchers: ['team="web"'], handlers: [screen]}
"#,
    },
    Code {
        code: "A543",
        title: "`group_by` says something twice",
        explanation: "A label stands once in `group_by`, and `...` stands alone: it is every label.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: screen, type: console}
route:
  group_by: [alertname, '...']
"#,
        good: r#"handlers:
  - {name: screen, type: console}
route:
  group_by: ['...']
"#,
    },
    Code {
        code: "A544",
        title: "too many routes",
        explanation: "A tree has at most 5,000 routes: each alert is compared with them. Routes that differ in one value and \
            lead to the same handlers can be one, with a pattern.",
        file: ExampleFile::Handlers,
        bad: "",
        good: "",
    },
    Code {
        code: "A545",
        title: "steps of an escalation that are none",
        explanation: "`after` counts from when the alert is first told, for each step: it is longer than nothing, and longer \
            than that of the step before. There are at most 8 steps; one of them may name several handlers.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: chat, type: console}
  - {name: oncall, type: console}
  - {name: boss, type: console}
route:
  handlers: [chat]
  escalate:
    - {after: 10m, handlers: [oncall]}
    - {after: 10m, handlers: [boss]}
"#,
        good: r#"handlers:
  - {name: chat, type: console}
  - {name: oncall, type: console}
  - {name: boss, type: console}
route:
  handlers: [chat]
  escalate:
    - {after: 10m, handlers: [oncall]}
    - {after: 20m, handlers: [boss]}
"#,
    },
    Code {
        code: "A546",
        title: "a step that tells nobody new",
        explanation: "A step of an escalation tells handlers that were not told before: whoever knows that an alert fires is \
            reminded by `repeat_interval`. A route without `handlers` tells every handler at once, and a rotation is nobody new \
            where all who take turns in it are told at once.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: chat, type: console}
  - {name: oncall, type: console}
route:
  escalate:
    - {after: 10m, handlers: [oncall]}
"#,
        good: r#"handlers:
  - {name: chat, type: console}
  - {name: oncall, type: console}
route:
  handlers: [chat]
  escalate:
    - {after: 10m, handlers: [oncall]}
"#,
    },
    Code {
        code: "A547",
        title: "a rotation that cannot be",
        explanation: "Turns have whole days and begin at the local time in `starts`, in the zone of `timezone`. Local times are \
            written as `2026-01-05T09:00`. An override ends after it begins, and no two are at one time: which of them is \
            meant cannot be known. Those who take turns are handlers that tell people. There are at most 1,000 rotations, \
            500 handlers and 1,000 overrides of each.",
        file: ExampleFile::Handlers,
        bad: r#"handlers:
  - {name: alice, type: console}
  - {name: bob, type: console}
rotations:
  - name: oncall
    handlers: [alice, bob]
    every: 12h
    starts: 2026-01-05T09:00
"#,
        good: r#"handlers:
  - {name: alice, type: console}
  - {name: bob, type: console}
rotations:
  - name: oncall
    handlers: [alice, bob]
    every: 1w
    starts: 2026-01-05T09:00
"#,
    },
];
