//! What can be wrong with a template: when it is read, and when it is rendered.
//!
//! Errors are values with byte spans; nothing here decides what becomes of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Texts are at most `TEXT_BYTES_MAX` long, so the conversion never saturates.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    pub(super) fn to(self, later: Self) -> Self {
        Self { start: self.start, end: later.end.max(self.end) }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes meant, or nothing where the span does not fit the text.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or("")
    }
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to say beside the caret.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
    /// The name of the template that nobody defines, if that is what is wrong.
    pub undefined: Option<Arc<str>>,
}

impl TemplateError {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span: span.range(), message: message.into(), label: None, help: None, undefined: None }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

/// Why a template could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    /// The bytes of the text that failed.
    pub span: Range<usize>,
    /// What went wrong, as Go says it (`error calling first: first() called on vector with no elements`).
    pub message: String,
    /// The `define` block in which it happened; `None` for the template itself.
    pub definition: Option<Arc<str>>,
    /// Line of the span from 1 and its byte column from 0, as Go counts.
    pub position: (usize, usize),
    /// The text at the span, at most [`CONTEXT_CHARS_MAX`] characters of it.
    pub context: String,
    /// Whether a limit of steps or of length was met: with less data it might do.
    pub exhausted: bool,
}

/// Characters of the failing text shown in a message, as in Go.
pub const CONTEXT_CHARS_MAX: usize = 20;

impl RenderError {
    /// Builds the error for a place in `source`.
    pub(super) fn at(source: &str, span: Span, definition: Option<Arc<str>>, message: String) -> Self {
        let before = source.get(..span.start as usize).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let position = (before.matches('\n').count() + 1, before.len() - line_start);
        let text = span.of(source);
        let context = match text.char_indices().nth(CONTEXT_CHARS_MAX) {
            Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
            None => text.to_owned(),
        };
        Self { span: span.range(), message, definition, position, context, exhausted: false }
    }

    /// The message with the template's name, in Prometheus's words:
    /// `error executing template NAME: template: NAME:1:21: executing "NAME" at <first>: error calling …`.
    pub fn named(&self, name: &str) -> String {
        let (line, column) = self.position;
        let executing = self.definition.as_deref().unwrap_or(name);
        format!(
            "error executing template {name}: template: {name}:{line}:{column}: executing {executing:?} at <{}>: {}",
            self.context, self.message
        )
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position;
        write!(f, "error executing template: {line}:{column}: at <{}>: {}", self.context, self.message)
    }
}

impl std::error::Error for RenderError {}
