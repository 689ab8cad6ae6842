//! What is wrong with an expression, or why its evaluation failed: values with byte spans, shown by others.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use super::source::SourceError;

/// Unexpected token.
pub const SYNTAX: &str = "A101";
/// A bracket, brace, parenthesis or string is not closed.
pub const UNCLOSED: &str = "A102";
/// Unknown function or aggregation.
pub const UNKNOWN_FUNCTION: &str = "A103";
/// Wrong number of arguments.
pub const ARGUMENT_COUNT: &str = "A104";
/// An operand or argument of the wrong type.
pub const WRONG_TYPE: &str = "A105";
/// A label matcher that cannot be used: bad regular expression, bad name, or nothing selected by name.
pub const BAD_MATCHER: &str = "A106";
/// Bad number or duration.
pub const BAD_NUMBER: &str = "A107";
/// Bad vector matching or misplaced `bool`.
pub const BAD_MATCHING: &str = "A108";
/// Too deep or too long.
pub const TOO_BIG: &str = "A109";

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Stable code, `A101` to `A109`.
    pub code: &'static str,
    /// Bytes of the text that are meant.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What stands beside the caret, such as "expected `]`".
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
    /// Bytes of the text and what belongs in their place, where that is certain.
    pub fix: Option<Box<(Range<usize>, String)>>,
}

impl ParseError {
    /// An error without label and help.
    pub fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), label: None, help: None, fix: None }
    }

    /// Adds what stands beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what belongs in the place of bytes of the text.
    #[must_use]
    pub fn fix(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.fix = Some(Box::new((span, text.into())));
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(label) = &self.label {
            write!(f, " ({label})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

/// Why an evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// Bytes of the expression that are meant.
    pub span: Range<usize>,
    /// What happened, with the kind told apart.
    pub kind: EvalErrorKind,
}

/// The kinds of failure.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// Two series of one result have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    DuplicateSeries,
    /// Vector matching is ambiguous.
    #[error("{0}")]
    Matching(String),
    /// A parameter has a value the function does not take.
    #[error("{0}")]
    Parameter(String),
    /// A limit of the evaluation was hit.
    #[error("{0}")]
    Limit(String),
    /// The metrics store cannot answer.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl EvalError {
    /// An error at a place.
    pub fn new(span: &Range<usize>, kind: EvalErrorKind) -> Self {
        Self { span: span.clone(), kind }
    }

    /// A parameter error at a place.
    pub(crate) fn parameter(span: &Range<usize>, message: impl Into<String>) -> Self {
        Self::new(span, EvalErrorKind::Parameter(message.into()))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl std::error::Error for EvalError {}
