//! PromQL: parser with spans, plan, evaluator. Reads a [`Source`], never the clock.
//!
//! The way of an expression: text → [`parse`] → [`Expr`] → [`Plan::new`] → [`Plan`] → [`eval_instant`] or
//! [`eval_range`] → [`Value`]. The semantics are those of Prometheus 3, native histograms included: a vector holds floats
//! and histograms in two columns, and what knows floats only finds no more than the first.

pub mod ast;
mod display;
pub mod error;
mod eval;
pub mod functions;
mod lexer;
pub mod matcher;
pub mod memory;
pub mod notation;
mod operators;
mod parser;
mod plan;
mod query;
mod remarks;
pub mod remote;
mod slide;
pub mod source;
mod typecheck;

pub use ast::{AggregateOp, BinaryOp, CompareOp, Expr, ExprKind, ValueType};
pub use error::{EvalError, EvalErrorKind, ParseError};
pub use eval::cache::SlotCache;
pub use eval::value::{EvalOptions, Note, Notes, SAMPLES_MAX_DEFAULT, Value, VectorSample};
pub use eval::{STEPS_MAX, Series, eval_instant, eval_instant_noting, eval_range, eval_range_noting};
pub use matcher::{MatchOp, Matcher};
pub use memory::MemorySource;
pub use notation::{parse_samples, parse_series_description, parse_values};
pub use parser::{HEIGHT_MAX, NESTING_MAX, ParseOptions, TEXT_LEN_MAX, parse};
pub use plan::{LOOKBACK_MS_DEFAULT, Plan, PlanSelector};
pub use query::{QueryError, query};
pub use remote::{Answer, Answers, Question, When, for_stores, for_stores_of};
pub use slide::{SLIDE_BYTES_MAX_DEFAULT, SlideCache, SlideStats};
pub use source::{Advancing, Selection, Source, SourceError, Tail, Visit};
