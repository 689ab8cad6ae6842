//! Delivery as decisions: which notice a handler is given next, when it is tried again, when it is given up.
//!
//! Place in the flow: between the outbox, which keeps notices, and the handlers, which try once. Pure: time is an
//! argument (milliseconds of any steady clock), randomness a number; `app` owns the tasks and the clock.

pub mod digest;
mod merge;
mod queue;
mod rate;
#[cfg(test)]
mod tests;

pub use merge::merged;
pub use queue::{Entry, Next, Pushed, Queue, QueueSettings, Verdict};
pub use rate::Rate;
