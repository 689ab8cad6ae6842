//! Steps of an escalation: who else is told of an alert that nobody looks after in time.

use std::sync::Arc;
use std::time::Duration;

/// Most steps of one escalation.
pub const ESCALATION_STEPS_MAX: usize = 8;

/// A step: handlers that are told once an alert has been loud, and not acknowledged, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationStep {
    /// After what time.
    pub after: Duration,
    /// Names of handlers.
    pub handlers: Vec<Arc<str>>,
}
