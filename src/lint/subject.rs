//! What a check looks at: a rule as written, its expressions with the place of every token.
//!
//! Made by `read` from the spanned YAML tree; never decides what is wrong.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::same::Same;
use crate::diag::{Diagnostic, SourceFile};
use crate::promql::Expr;
use crate::rule::Rule;
use crate::template::Template;
use crate::yaml::Node;

/// What a rule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Alerts.
    Alerts,
    /// Series.
    Series,
}

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Every series of its result is an alert.
    Condition,
    /// Its values are judged elsewhere: by a threshold, an expression or a detector.
    Signal,
    /// An alert resolves where it yields something.
    Recovery,
    /// Its result is recorded.
    Recorded,
}

/// One rule.
pub struct Subject<'a> {
    /// The file.
    pub file: &'a Arc<SourceFile>,
    /// What it makes.
    pub makes: Makes,
    /// The whole rule.
    pub own: &'a Node,
    /// What it inherits from: the group it stands in, or the defaults of its file.
    pub over: Option<&'a Node>,
    /// Its name.
    pub name: &'a Node,
    /// Its expressions; one that cannot be read is left out.
    pub formulas: Vec<Formula<'a>>,
    /// Its labels, those of its group and file included.
    pub labels: Vec<Pair<'a>>,
    /// Its annotations.
    pub annotations: Vec<Pair<'a>>,
    /// How often it is evaluated, where that is known.
    pub every: Option<Duration>,
    /// The rule as it was loaded.
    pub rule: &'a Rule,
    /// What makes another rule the same.
    pub same: Same<'a>,
}

/// A label or an annotation.
pub struct Pair<'a> {
    /// Its name.
    pub key: &'a Node,
    /// Its text.
    pub value: &'a Node,
    /// The text as a template, where it has an action.
    pub template: Option<&'a Template>,
}

/// A part of an expression.
pub struct Part<'a> {
    /// The rule.
    pub rule: &'a Subject<'a>,
    /// The expression.
    pub formula: &'a Formula<'a>,
    /// The part.
    pub expr: &'a Expr,
    /// What it stands in, outermost first.
    pub above: &'a [&'a Expr],
}

impl Part<'_> {
    /// A warning at a part of the expression.
    pub fn warn(&self, code: &'static str, span: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.rule.warn_in(code, self.formula, span, message)
    }
}

/// One expression.
pub struct Formula<'a> {
    /// The value it was read from.
    pub node: &'a Node,
    /// What it is for.
    pub role: Role,
    /// PromQL; of a rule with `metric`, the query that was made of it.
    pub text: &'a str,
    /// As a tree, with places in `text`.
    pub expr: &'a Expr,
    /// Whether `text` is not what stands in the file.
    pub generated: bool,
}

impl<'a> Subject<'a> {
    /// The name as text.
    pub fn name(&self) -> &'a str {
        self.name.text().unwrap_or_default()
    }

    /// The value under a key of the rule, else of what it inherits from.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.own.get(key).or_else(|| self.over?.get(key))
    }

    /// The duration under a key.
    pub fn duration(&self, key: &str) -> Option<(Duration, &'a Node)> {
        let node = self.get(key)?;
        Some((crate::model::parse_duration(node.text()?).ok()?, node))
    }

    /// The expressions whose labels become those of alerts: the condition, or the signal where it is one query.
    pub fn decides(&self) -> Option<&Formula<'a>> {
        let first = self.formulas.first()?;
        let signals = self.formulas.iter().filter(|f| f.role == Role::Signal).count();
        (first.role == Role::Condition || (first.role == Role::Signal && signals == 1)).then_some(first)
    }

    /// Bytes of the file behind bytes of an expression.
    pub fn place(&self, formula: &Formula<'_>, span: &Range<usize>) -> Range<usize> {
        if !formula.generated {
            return formula.node.locate(&self.file.text, span.clone());
        }
        // Of a query made of `metric`, what was copied from there is found by its text.
        let meant = formula.text.get(span.clone()).unwrap_or_default();
        let at = formula.node.text().and_then(|text| text.find(meant)).filter(|_| !meant.is_empty());
        at.map_or_else(|| formula.node.span.clone(), |at| formula.node.locate(&self.file.text, at..at + meant.len()))
    }

    /// A warning at a part of an expression.
    pub fn warn_in(
        &self,
        code: &'static str,
        formula: &Formula<'_>,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::warning(code, self.file, self.place(formula, span), message.into())
    }

    /// A warning at a value of the file.
    pub fn warn_at(&self, code: &'static str, node: &Node, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, self.file, node.span.clone(), message.into())
    }
}

impl Formula<'_> {
    /// The bytes of a word inside a part of the expression: the place of a label that the tree knows by name alone.
    pub fn word(&self, within: &Range<usize>, word: &str) -> Range<usize> {
        let text = self.text.get(within.clone()).unwrap_or_default();
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: &usize| {
            !text[..*at].chars().next_back().is_some_and(part)
                && !text[*at + word.len()..].chars().next().is_some_and(part)
        };
        match text.match_indices(word).map(|(at, _)| at).find(whole) {
            Some(at) => within.start + at..within.start + at + word.len(),
            None => within.clone(),
        }
    }

    /// The text of a part, cut where it is long.
    pub fn shown(&self, span: &Range<usize>) -> String {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let mut words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = words.char_indices().nth(SHOWN_LEN_MAX) {
            words.truncate(cut);
            words.push('…');
        }
        words
    }
}

/// Most characters of an expression that a message repeats.
const SHOWN_LEN_MAX: usize = 60;
