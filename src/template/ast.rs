//! The tree of a template, made by the parser and walked by the evaluator.
//!
//! Names of fields and pieces of text are spans of the source, variables are slots of a frame: nothing is looked up by
//! name while rendering except labels and fields themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Span;
use super::functions::Function;
use super::value::Value;

/// Named templates by name.
pub(super) type Definitions = BTreeMap<Arc<str>, Arc<Definition>>;

/// A template body: the main one, or that of a `define` or `block`.
#[derive(Debug, Default)]
pub(super) struct Definition {
    /// The text its spans point into.
    pub(super) source: Arc<str>,
    /// Name of the `define` block; `None` for the main body.
    pub(super) name: Option<Arc<str>>,
    pub(super) body: Vec<Node>,
    /// Variables its frame must hold, `$` included.
    pub(super) slots: usize,
}

/// Index of a variable in its frame; 0 is `$`.
pub(super) type Slot = usize;

#[derive(Debug)]
pub(super) enum Node {
    Text(Span),
    Action(Pipe),
    Choice(Box<Choice>),
    Range(Box<RangeLoop>),
    Invoke(Box<Invoke>),
    Break,
    Continue,
}

/// `if` or `with` and all its `else if` or `else with`, flat so that a long chain does not nest.
#[derive(Debug)]
pub(super) struct Choice {
    /// `with`: the body sees the value as dot.
    pub(super) rebinds_dot: bool,
    pub(super) branches: Vec<(Pipe, Vec<Node>)>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct RangeLoop {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `template` or `block`.
#[derive(Debug)]
pub(super) struct Invoke {
    pub(super) name: Arc<str>,
    pub(super) argument: Option<Pipe>,
    pub(super) span: Span,
}

/// Variables a pipeline sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    None,
    One(Slot),
    /// Key or index, and element: only in `range`.
    Two(Slot, Slot),
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) declared: Declared,
    pub(super) commands: Vec<Command>,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) head: Operand,
    pub(super) args: Vec<Operand>,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) term: Term,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Constant(Value),
    /// `.a.b`
    Field(Vec<Span>),
    /// `$x.a.b`
    Variable(Slot, Vec<Span>),
    /// `(…).a.b`
    Chain(Box<Operand>, Vec<Span>),
    Function(&'static Function),
    Pipe(Box<Pipe>),
}
