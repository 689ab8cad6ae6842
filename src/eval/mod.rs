//! Rule → queries → observations: what a rule sees at one slot.
//!
//! Place in the flow: reads a [`Source`](crate::promql::Source) through `promql`, hands an [`Outcome`] to `state`. It knows conditions, not
//! alerts: `for`, recovery over time, cooldown and templates are not its business, and it never sends or stores.
//! Value, empty, partial and error are four outcomes, because only the first two may resolve an alert.

mod expression;
mod observe;

pub use observe::{EvalContext, absence, is_known, observe, questions, signal_queries};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Histogram, Labels};

/// Sets of levels, bit *n* for level *n* of the rule (a rule without `levels` has level 0 alone).
pub type LevelBits = u8;

/// One series of a rule's signal at one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Labels of the sample, `__name__` included where the query keeps it: what templates see.
    pub labels: Labels,
    /// The value that is shown.
    pub value: f64,
    /// Levels whose condition holds now.
    pub reached: LevelBits,
    /// Levels that are kept, once reached: their recovery condition (or, without one, the end of their condition) has
    /// not come.
    pub kept: LevelBits,
}

/// Why an evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalFailure {
    /// What went wrong, for people.
    pub message: String,
}

/// What one evaluation of a rule gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The signal, sorted by labels without the metric's name; empty when there is genuinely nothing.
    Signals {
        /// One entry per label set.
        signals: Vec<Signal>,
        /// Label sets (without name) for which a separate recovery query holds; `None` where the rule has none.
        recovered: Option<Vec<Labels>>,
        /// Of a recording rule: the native histograms among the signals, by the signal's labels. Others have none: an
        /// alert's value is a number.
        histograms: BTreeMap<Labels, Arc<Histogram>>,
        /// False when the store says that parts are missing: what is there may fire, what is not may not resolve.
        complete: bool,
    },
    /// It failed. State is held, whatever the answer would have been.
    Error(EvalFailure),
}

impl Outcome {
    /// The word used in metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::Signals { complete: false, .. } => "partial",
            Self::Signals { signals, .. } if signals.is_empty() => "empty",
            Self::Signals { .. } => "ok",
        }
    }
}
