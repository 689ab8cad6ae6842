//! A44x: unit tests of rules.

use super::{Code, ExampleFile};

/// The codes. None is about a file alone: they need the rules that a unit-test file names, or a run.
pub const CODES: &[Code] = &[
    Code {
        code: "A440",
        title: "files that are not there",
        explanation: "An element of `rule_files` names no file. Paths and patterns (`*`, `?`, `[a-z]`) are relative to the \
            folder of the unit-test file. As in promtool that is a warning: tests that expect nothing still pass. A file that \
            holds unit tests is no rule file. That `config` or `handlers` names a file that is not there is an error.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A441",
        title: "a test of an alert that is not there",
        explanation: "No rule of the rule files has the name under `alertname`. A test that expects nothing passes then, \
            whatever the rules do.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A443",
        title: "a change that no test notices",
        explanation: "`alertd test --mutate` changed the rule as shown and all tests of it passed. Add a test at the edge: \
            with a value on each side of a threshold, just before and just after `for` is over, with a series that a \
            matcher keeps out. Some changes have no effect that a test could see; leave those.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
    Code {
        code: "A444",
        title: "a rule that no test sees",
        explanation: "No test makes the alerting rule fire and looks at it, or reads the series of the recording rule, \
            not even through another rule.",
        file: ExampleFile::Rules,
        bad: "",
        good: "",
    },
];
