//! A55x: inhibit rules.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A551",
        title: "an inhibit rule that fits any alert",
        explanation: "Matchers that an alert without any labels fits, and no matchers at all, fit every alert. A rule whose \
            source is such mutes its targets as soon as anything fires; one whose target is such mutes everything.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - {source_matchers: ['alertname="HostDown"'], equal: [host]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - {source_matchers: ['alertname="HostDown"'], target_matchers: ['severity="warning"'], equal: [host]}
"#,
    },
    Code {
        code: "A552",
        title: "an inhibit rule with its sources in two places",
        explanation: "`sources` lists several alerts that must all fire; each element has its own `matchers` and `equal`. It \
            stands in place of `source_matchers`, `source_match`, `source_match_re` and `equal`, as in Alertmanager.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - sources: [{matchers: ['alertname="LinkADown"']}, {matchers: ['alertname="LinkBDown"']}]
    target_matchers: ['alertname="SiteSlow"']
    equal: [site]
"#,
        good: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - sources:
      - {matchers: ['alertname="LinkADown"'], equal: [site]}
      - {matchers: ['alertname="LinkBDown"'], equal: [site]}
    target_matchers: ['alertname="SiteSlow"']
"#,
    },
    Code {
        code: "A553",
        title: "an inhibit rule that never mutes anything",
        explanation: "A label in `equal` must have the same value in the source and in the target. Where the matchers of the \
            two sides ask for different values of it, it never has. A rule whose two sides are the same mutes nothing \
            either: an alert on both sides is not muted by another one on both sides.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - source_matchers: ['alertname="HostDown"']
    target_matchers: ['alertname="ServiceDown"']
    equal: [alertname, host]
"#,
        good: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - source_matchers: ['alertname="HostDown"']
    target_matchers: ['alertname="ServiceDown"']
    equal: [host]
"#,
    },
    Code {
        code: "A554",
        title: "inhibit rules by which alerts mute each other",
        explanation: "Of two alerts that mute each other neither is told: what one rule has as its source, the other has as \
            its target, and the other way round. A source mutes whether people were told of it or not.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - {source_matchers: ['alertname="HostDown"'], target_matchers: ['alertname="PingLost"'], equal: [host]}
  - {source_matchers: ['alertname="PingLost"'], target_matchers: ['alertname="HostDown"'], equal: [host]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
inhibit_rules:
  - {source_matchers: ['alertname="HostDown"'], target_matchers: ['alertname="PingLost"'], equal: [host]}
"#,
    },
    Code {
        code: "A555",
        title: "too many inhibit rules",
        explanation: "There are at most 1,000 inhibit rules with 32 sources each: every alert that begins or ends is compared \
            with all of them. Rules that differ in one value alone can be one, with a pattern or with `equal`.",
        file: ExampleFile::Handlers,
        bad: "",
        good: "",
    },
];
