//! JSON Schema and manual page of rule files, from the table the reader uses.

use serde_json::Value;

use super::group_keys::GROUP_FILE;
use super::keys::RULE_FILE;
use crate::yaml::{docs, schema};

/// JSON Schema (draft 2020-12) of a rule file.
pub fn json_schema() -> Value {
    schema::schema_of_any(&[&RULE_FILE, &GROUP_FILE], "alertd rule file")
}

/// `docs/rules.md`.
pub fn reference() -> String {
    docs::page_of("Rule files: reference", INTRO, &[&RULE_FILE, &GROUP_FILE])
}

const INTRO: &str = "Durations are those of Prometheus: `30s`, `1h30m`, `7d`. Unknown keys are errors. `metric` with \
`reduce`, `over`, `combine` and `by` stands for a PromQL query: `reduce: p95` with `over: 5m` is \
`quantile_over_time(0.95, …[5m])`, `combine: max` with `by: [agent]` is `max by (agent) (…)`. In expressions all numbers \
are floating point; the functions are `min`, `max`, `floor`, `ceil`, `round`, `if` and those under `math::`.";
