//! What a rendering may use up, and what its functions may ask for.
//!
//! Place in the flow: the evaluator hands the host to every function. It is the only way to the outside: a query
//! function given by the caller, and an instant. Everything it gives out is counted.

use regex::Regex;

use super::format::Sink;
use super::pattern::Patterns;
use super::value::Value;
use super::{Environment, RenderLimits};
use crate::model::{Labels, Timestamp};

/// Bytes a function may work on for one step.
const BYTES_PER_STEP: usize = 16;
/// Matching a byte may cost so many times more than reading it.
const MATCHING_COST: usize = 4;
/// What compiling a regular expression costs.
const STEPS_PER_COMPILATION: u64 = 1000;

pub(super) struct Host<'r> {
    environment: Environment<'r>,
    limits: RenderLimits,
    patterns: &'r Patterns,
    steps_left: u64,
    queries_left: usize,
    /// Whether a limit of steps or of length was met.
    exhausted: bool,
}

impl<'r> Host<'r> {
    pub(super) fn new(environment: Environment<'r>, limits: &RenderLimits, patterns: &'r Patterns) -> Self {
        let (steps_left, queries_left) = (limits.steps_max, limits.queries_max);
        Self { environment, limits: limits.clone(), patterns, steps_left, queries_left, exhausted: false }
    }

    /// Takes steps off the allowance.
    pub(super) fn charge(&mut self, steps: u64) -> Result<(), String> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => {
                (self.steps_left, self.exhausted) = (0, true);
                Err(format!("template needs more than {} steps", self.limits.steps_max))
            }
        }
    }

    /// Charges for work on so many bytes (or list elements).
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Result<(), String> {
        self.charge(u64::try_from(bytes / BYTES_PER_STEP).unwrap_or(u64::MAX))
    }

    /// No text may be longer: neither the result nor one on the way to it.
    pub(super) fn text_bytes_max(&self) -> usize {
        self.limits.output_bytes_max
    }

    pub(super) fn depth_max(&self) -> usize {
        self.limits.depth_max
    }

    pub(super) fn too_long(&mut self) -> String {
        self.exhausted = true;
        format!("text is longer than {} bytes", self.limits.output_bytes_max)
    }

    /// A finished text as a value, if it is within the limit.
    pub(super) fn text(&mut self, text: String) -> Result<Value, String> {
        if text.len() > self.limits.output_bytes_max {
            return Err(self.too_long());
        }
        self.charge_bytes(text.len())?;
        Ok(text.into())
    }

    /// A text written piece by piece.
    pub(super) fn build(&mut self, write: impl FnOnce(&mut Sink<'_>)) -> Result<Value, String> {
        let mut text = String::new();
        let mut sink = Sink::new(&mut text, self.limits.output_bytes_max);
        write(&mut sink);
        if sink.is_full() {
            return Err(self.too_long());
        }
        self.text(text)
    }

    /// A compiled pattern, to be used on `text`.
    pub(super) fn regex(&mut self, pattern: &str, text: &str) -> Result<Regex, String> {
        self.charge_bytes(pattern.len().saturating_add(text.len().saturating_mul(MATCHING_COST)))?;
        match self.patterns.find(pattern) {
            Some(regex) => Ok(regex),
            None => {
                self.charge(STEPS_PER_COMPILATION)?;
                self.patterns.compile(pattern)
            }
        }
    }

    pub(super) fn query(&mut self, expression: &str) -> Result<Vec<(Labels, f64)>, String> {
        let Some(left) = self.queries_left.checked_sub(1) else {
            return Err(format!("template makes more than {} queries", self.limits.queries_max));
        };
        self.queries_left = left;
        match self.environment.query {
            Some(query) => query(expression),
            None => Err("queries are not possible here".to_owned()),
        }
    }

    /// Whether a limit of steps or of length was met.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    pub(super) fn external_url(&self) -> &'r str {
        self.environment.external_url
    }

    pub(super) fn now(&self) -> Timestamp {
        self.environment.now
    }
}
