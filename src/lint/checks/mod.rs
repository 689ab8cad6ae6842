//! The checks, one per file, all listed in [`CHECKS`].

mod absent;
mod all_series;
mod always_fires;
mod annotation_missing;
mod asked_annotations;
mod at_modifier;
mod bool_condition;
mod dropped_label;
mod duplicate;
mod empty_matching;
mod histogram;
mod keep_firing;
mod kind_mismatch;
mod label_alertname;
mod label_of_value;
mod long_interval;
mod matcher;
mod never_resolves;
mod never_true;
mod no_condition;
mod offset;
mod percent;
mod quantile_range;
mod rate_of_sum;
mod raw_counter;
mod same_sides;
mod season;
mod short_window;
mod template_fails;
mod template_label;
mod unknown_name;
mod wide_range;

use super::{Check, Context, Part};
use crate::diag::Diagnostic;

/// What a check writes to.
type Found = Vec<Diagnostic>;

/// All checks, by code.
pub const CHECKS: &[Check] = &[
    no_condition::CHECK,
    raw_counter::CHECK,
    short_window::CHECK,
    kind_mismatch::CHECK,
    never_true::CHECK,
    always_fires::CHECK,
    empty_matching::CHECK,
    dropped_label::CHECK,
    matcher::PLAIN,
    matcher::IDLE,
    matcher::IMPOSSIBLE,
    histogram::CHECK,
    quantile_range::CHECK,
    at_modifier::CHECK,
    offset::CHECK,
    absent::CHECK,
    rate_of_sum::CHECK,
    unknown_name::METRIC,
    unknown_name::LABEL,
    same_sides::CHECK,
    bool_condition::CHECK,
    template_label::CHECK,
    label_of_value::CHECK,
    annotation_missing::CHECK,
    label_alertname::CHECK,
    asked_annotations::SUMMARY,
    asked_annotations::RUNBOOK,
    percent::CHECK,
    template_fails::CHECK,
    duplicate::RULE,
    duplicate::EXPRESSION,
    never_resolves::CHECK,
    keep_firing::CHECK,
    long_interval::CHECK,
    season::SEASON,
    season::COUNTER,
    all_series::CHECK,
    wide_range::CHECK,
];
