//! A query from text to value in one call, with errors that name their place: for programs that ask now and then.
//!
//! Rules do not come this way: their plans are made once and kept.

use thiserror::Error;

use super::error::{EvalError, ParseError};
use super::eval::cache::SlotCache;
use super::eval::eval_instant;
use super::eval::value::{EvalOptions, Value};
use super::parser::{ParseOptions, parse};
use super::plan::Plan;
use super::source::Source;

/// Why a query has no answer.
#[derive(Clone, Debug, Error)]
pub enum QueryError {
    /// The text is no PromQL.
    #[error("{text}")]
    Parse {
        /// The errors, each with its place in the query.
        errors: Vec<ParseError>,
        /// The errors for people: `1:5: parse error: …`, joined by `; `.
        text: String,
    },
    /// It cannot be evaluated.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

impl QueryError {
    /// The errors of parsing `query`.
    pub fn parse(query: &str, errors: Vec<ParseError>) -> Self {
        let one = |e: &ParseError| {
            let column = query.get(..e.span.start).map_or(0, |before| before.chars().count()) + 1;
            let help = e.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("1:{column}: parse error: {}{help}", e.message)
        };
        let text = errors.iter().map(one).collect::<Vec<_>>().join("; ");
        Self::Parse { errors, text }
    }
}

/// The value of a query at an instant, milliseconds since the epoch. Dotted metric names may stand unquoted.
pub fn query(text: &str, source: &dyn Source, at_ms: i64, options: &EvalOptions) -> Result<Value, QueryError> {
    let expr = parse(text, &ParseOptions { dotted_names: true }).map_err(|errors| QueryError::parse(text, errors))?;
    Ok(eval_instant(&Plan::new(&expr), source, at_ms, options, &SlotCache::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::MemorySource;

    #[test]
    fn an_error_names_its_column_and_an_answer_its_value() {
        let options = EvalOptions::default();
        let ask = |text: &str| query(text, &MemorySource::new(), 0, &options);
        assert_eq!(ask("1 + 2 * 3").unwrap(), Value::Scalar(7.0));
        assert_eq!(ask("a.b").unwrap(), Value::Vector(Vec::new()));
        let error = ask("1 + )").unwrap_err().to_string();
        assert!(error.starts_with("1:5: parse error: "), "{error}");
        assert!(matches!(ask("a[5m"), Err(QueryError::Parse { .. })));
    }
}
