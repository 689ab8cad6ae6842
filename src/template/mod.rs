//! Go's text/template, as Prometheus uses it for the labels and annotations of alerts, and Alertmanager for messages.
//!
//! Place in the flow: rules hold parsed [`Template`]s; evaluation renders them with the labels and the value of an
//! alert. Handlers of an `alertmanager.yml` hold templates over a [`TemplateSet`], rendered as text or as HTML. Reading and rendering are pure: queries and the time come from the caller, nothing reads a clock or a file,
//! and [`RenderLimits`] end every rendering.
//!
//! [`payload`] stands beside it: the minijinja templates of what webhooks send.
//!
//! `lexer` → `parser` + `control` → `ast` → `exec`, which calls `functions`; `format` is Go's fmt, `moment` its time,
//! `json` its encoding/json, `html` its html/template.

mod access;
mod alert;
mod ast;
mod control;
mod error;
mod exec;
mod failures;
mod format;
mod functions;
mod host;
mod html;
mod json;
mod lexer;
mod literal;
mod moment;
mod notification;
mod parser;
mod pattern;
pub mod payload;
mod safe;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod zoned;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use alert::AlertContext;
pub use error::{CONTEXT_CHARS_MAX, RenderError, TemplateError};
pub use notification::{Dot, Manner, Notification, NotifiedAlert, TemplateSet, json_of};
pub use parser::NEST_MAX;
pub use pattern::PATTERN_BYTES_MAX;
pub use value::{Map, Object, VALUE_DEPTH_MAX, Value};

use crate::model::{Labels, Timestamp};
use ast::{Definition, Definitions};
use functions::Function;
use parser::LabelReference;
use pattern::Patterns;

/// Longest template text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a rendering may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderLimits {
    /// Steps: nodes, calls, turns of loops, and every 16 bytes a function works on.
    pub steps_max: u64,
    /// Bytes of the result, and of any text made on the way to it.
    pub output_bytes_max: usize,
    /// Blocks, parentheses and templates within each other while rendering.
    pub depth_max: usize,
    /// Calls of `query`.
    pub queries_max: usize,
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self { steps_max: 100_000, output_bytes_max: 64 * 1024, depth_max: 100, queries_max: 64 }
    }
}

/// Answers an instant query with series and their values, or says why it cannot.
pub type QueryFn<'a> = dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What functions may ask for beside the data.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) external_url: &'a str,
    pub(crate) now: Timestamp,
    /// `None` where templates may not query.
    pub(crate) query: Option<&'a QueryFn<'a>>,
}

/// Which functions and variables a template knows, beside Go's language itself.
pub(crate) struct Dialect {
    /// Tables of functions, each sorted by name.
    tables: &'static [&'static [Function]],
    /// Variables that exist from the start, in slots 1, 2, ….
    variables: &'static [&'static str],
    /// Fields of the data; empty where they are not known.
    fields: &'static [&'static str],
    /// Where the labels are: the slot of the variable and the field of the data.
    labels: Option<(usize, &'static str)>,
}

/// A parsed template; cheap to clone.
#[derive(Clone)]
pub struct Template(Arc<Inner>);

struct Inner {
    text: Arc<str>,
    main: Definition,
    definitions: Arc<Definitions>,
    label_references: Vec<LabelReference>,
    failures: Vec<TemplateError>,
    patterns: Patterns,
    /// Whether the text speaks of the external URL: else it need not be made a value.
    reads_url: bool,
}

impl Inner {
    /// One without an action.
    fn of(text: &str) -> Self {
        Self {
            text: Arc::from(text),
            main: Definition::default(),
            definitions: Arc::default(),
            label_references: Vec::new(),
            failures: Vec::new(),
            patterns: Patterns::default(),
            reads_url: false,
        }
    }

    fn read(text: &str, dialect: &'static Dialect, known: &Arc<Definitions>) -> Result<Self, Vec<TemplateError>> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("template is longer than {TEXT_BYTES_MAX} bytes");
            return Err(vec![TemplateError::new(error::Span::new(0, TEXT_BYTES_MAX), message)]);
        }
        let mut inner = Self::of(text);
        if !text.contains("{{") {
            inner.main.source = inner.text.clone();
            return Ok(inner);
        }
        let source = inner.text.clone();
        let mut parser = parser::Parser {
            text,
            source: source.clone(),
            lexer: lexer::Lexer::new(text),
            dialect,
            definitions: (**known).clone(),
            errors: Vec::new(),
            label_references: Vec::new(),
            failures: Vec::new(),
            invoked: Vec::new(),
            ahead: None,
            scope: parser::Scope::main(dialect),
            nesting: 0,
            defines: false,
        };
        let body = parser.main_body();
        parser.note_undefined_templates();
        let mut errors = parser.errors;
        match body {
            Ok(body) if errors.is_empty() => {
                inner.main = Definition { source, name: None, body, slots: parser.scope.slots };
                inner.definitions = if parser.defines { Arc::new(parser.definitions) } else { Arc::clone(known) };
                inner.label_references = parser.label_references;
                inner.failures = parser.failures;
                inner.reads_url = text.contains("xternalURL");
                Ok(inner)
            }
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(*error);
                Err(errors)
            }
        }
    }
}

impl Template {
    /// Reads a template for a label or an annotation of an alert, with the variables `$labels`, `$externalLabels`,
    /// `$externalURL` and `$value`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at least one error; spans are bytes of `text`.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        Self::parse_as(text, &alert::DIALECT)
    }

    pub(crate) fn parse_as(text: &str, dialect: &'static Dialect) -> Result<Self, Vec<TemplateError>> {
        Self::parse_over(text, dialect, &Arc::default())
    }

    /// The same over named templates of others, which its own ones take the place of.
    fn parse_over(text: &str, dialect: &'static Dialect, known: &Arc<Definitions>) -> Result<Self, Vec<TemplateError>> {
        Inner::read(text, dialect, known).map(|inner| Self(Arc::new(inner)))
    }

    /// One that gives its text as it is, braces included.
    pub fn literal(text: &str) -> Self {
        let mut inner = Inner::of(text);
        inner.main.source = inner.text.clone();
        Self(Arc::new(inner))
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text, if it has no action: then it is what rendering gives.
    pub fn constant(&self) -> Option<&str> {
        (self.0.main.slots == 0).then_some(&*self.0.text)
    }

    /// The labels it names (`$labels.job`, `.Labels.job`, `index $labels "job"`) and where, in order.
    pub fn label_references(&self) -> Vec<(String, Range<usize>)> {
        let name = |reference: &LabelReference| match &reference.constant {
            Some(name) => name.to_string(),
            None => reference.span.of(self.text()).to_owned(),
        };
        self.0.label_references.iter().map(|reference| (name(reference), reference.span.range())).collect()
    }

    /// Mistakes that fail wherever rendering comes to them, although the template reads well, as it does in
    /// Prometheus: a wrong number of arguments, a field or a named template that does not exist. For checks of rules.
    pub fn failures(&self) -> &[TemplateError] {
        &self.0.failures
    }

    /// Renders it for an alert.
    ///
    /// # Errors
    /// If a function fails, a value is of the wrong kind, or a limit is met.
    pub fn render(&self, context: &AlertContext<'_>, limits: &RenderLimits) -> Result<String, RenderError> {
        if let Some(text) = self.constant() {
            return Ok(text.to_owned());
        }
        self.render_with(context.frame(self.0.reads_url), context.environment(), limits)
    }

    /// Renders it with dot and the variables of its dialect.
    pub(crate) fn render_with(
        &self,
        frame: Vec<Value>,
        environment: Environment<'_>,
        limits: &RenderLimits,
    ) -> Result<String, RenderError> {
        if let Some(text) = self.constant() {
            return Ok(text.to_owned());
        }
        let inner = &*self.0;
        let host = host::Host::new(environment, limits, &inner.patterns);
        exec::Exec::render((&inner.main, &inner.definitions), host, frame, None).map_err(|error| *error)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text()).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Template {}
