//! Builds the tree of a template: pipelines, commands and operands; `control` has the blocks.
//!
//! Place in the flow: after the lexer, before the evaluator. Undefined variables and unknown functions are collected
//! and reading goes on; an error of syntax ends it.

use std::sync::Arc;

use super::ast::{Command, Declared, Definitions, Operand, Pipe, Slot, Term};
use super::error::{Span, TemplateError};
use super::lexer::{Kind, Lexer, Token};
use super::literal::{self, Number};
use super::value::Value;
use super::{Dialect, suggest};

/// Blocks and parentheses may nest this deep.
pub const NEST_MAX: usize = 50;
/// Errors of meaning reported for one template; more are of no use to anybody.
const ERRORS_MAX: usize = 20;

const KEYWORDS: [&str; 10] = ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// The error of syntax says that reading cannot go on.
pub(super) type Syntax<T> = Result<T, Box<TemplateError>>;

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) source: Arc<str>,
    pub(super) lexer: Lexer<'t>,
    pub(super) dialect: &'static Dialect,
    pub(super) definitions: Definitions,
    pub(super) errors: Vec<TemplateError>,
    pub(super) label_references: Vec<LabelReference>,
    /// What reads well but fails when it is rendered.
    pub(super) failures: Vec<TemplateError>,
    /// Names of the templates that are rendered somewhere.
    pub(super) invoked: Vec<(Arc<str>, Span)>,
    /// The token last looked ahead to: where the lexer stood, and where it stands after it.
    pub(super) ahead: Option<(Lexer<'t>, Token, Lexer<'t>)>,
    pub(super) scope: Scope<'t>,
    pub(super) nesting: usize,
    /// Whether it defines a named template.
    pub(super) defines: bool,
}

/// A place that names a label: by a field, whose span is the name, or by a constant.
#[derive(Debug)]
pub(super) struct LabelReference {
    pub(super) span: Span,
    pub(super) constant: Option<Arc<str>>,
}

/// What can be seen where the parser stands; every `define` has its own.
pub(super) struct Scope<'t> {
    pub(super) variables: Vec<&'t str>,
    pub(super) slots: usize,
    /// Whether dot is the data the template was given.
    pub(super) dot_is_root: bool,
    /// Whether this is the main body, which sees the variables of the prelude.
    pub(super) main: bool,
    /// Loops around what is being read.
    pub(super) loops: usize,
}

impl<'t> Scope<'t> {
    pub(super) fn main(dialect: &'static Dialect) -> Self {
        let mut variables = Vec::with_capacity(dialect.variables.len() + 3);
        variables.push("$");
        variables.extend_from_slice(dialect.variables);
        let slots = variables.len();
        Self { variables, slots, dot_is_root: true, main: true, loops: 0 }
    }

    pub(super) fn definition() -> Self {
        Self { variables: vec!["$"], slots: 1, dot_is_root: false, main: false, loops: 0 }
    }

    fn declare(&mut self, name: &'t str) -> Slot {
        self.variables.push(name);
        self.slots = self.slots.max(self.variables.len());
        self.variables.len() - 1
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        self.variables.iter().rposition(|v| *v == name)
    }
}

/// Variables named before `:=` or `=`; they come into being after the pipeline was read.
struct Pending<'t> {
    names: Vec<(&'t str, Span)>,
    assign: bool,
}

impl<'t> Parser<'t> {
    pub(super) fn text_of(&self, span: Span) -> &'t str {
        span.of(self.text)
    }

    /// Keeps an error of meaning.
    pub(super) fn report(&mut self, error: TemplateError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    pub(super) fn next_nonspace(&mut self) -> Syntax<Token> {
        let token = self.peek_nonspace()?;
        if let Some((_, _, after)) = self.ahead.take() {
            self.lexer = after;
        }
        Ok(token)
    }

    pub(super) fn peek_nonspace(&mut self) -> Syntax<Token> {
        if let Some((before, token, _)) = &self.ahead
            && before.here() == self.lexer.here()
        {
            return Ok(*token);
        }
        let mut ahead = self.lexer;
        loop {
            let token = ahead.token()?;
            if token.kind != Kind::Space {
                self.ahead = Some((self.lexer, token, ahead));
                return Ok(token);
            }
        }
    }

    pub(super) fn unexpected<T>(&self, token: Token, context: &str) -> Syntax<T> {
        let what = match token.kind {
            Kind::Right => "end of action".to_owned(),
            _ => format!("`{}`", self.text_of(token.span)),
        };
        let error = TemplateError::new(token.span, format!("unexpected {what} in {context}"));
        Err(Box::new(match (token.kind, self.text_of(token.span)) {
            (Kind::Close, _) => error.label("no parenthesis is open"),
            (Kind::Word, word) if KEYWORDS.contains(&word) => {
                error.label("a keyword").help(format!("`{word}` must be the first word of its own `{{{{ }}}}`"))
            }
            (Kind::Other, "+" | "-" | "*" | "/" | "%" | "<" | ">" | "!" | "&" | "?") => {
                error.help("there are no operators in templates: use `eq ne lt le gt ge and or not`, and do arithmetic in the query")
            }
            (Kind::Comma, _) => error.help("arguments of functions stand apart by spaces, not commas"),
            _ => error,
        }))
    }

    pub(super) fn enter(&mut self, span: Span) -> Syntax<()> {
        self.nesting += 1;
        if self.nesting > NEST_MAX {
            let message = format!("blocks and parentheses nest deeper than {NEST_MAX}");
            return Err(Box::new(TemplateError::new(span, message)));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }

    /// Reads a pipeline and the token that ends it (`}}`, or `)` within parentheses).
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Syntax<Pipe> {
        let pending = self.declaration(context)?;
        let first = self.peek_nonspace()?;
        if first.kind == end {
            let error = TemplateError::new(first.span, format!("missing value for {context}"));
            return Err(Box::new(error.label("expected a value")));
        }
        let mut commands = Vec::with_capacity(1);
        loop {
            let (command, terminator) = self.command(context)?;
            if !commands.is_empty() && matches!(command.head.term, Term::Constant(_) | Term::Dot | Term::Nil) {
                let stage = commands.len() + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(Box::new(
                    TemplateError::new(command.head.span, message)
                        .label("not a function")
                        .help("what follows `|` must be a function, which gets the value as its last argument"),
                ));
            }
            self.note_arguments(&command, !commands.is_empty());
            commands.push(command);
            match terminator.kind {
                Kind::Pipe => {}
                kind if kind == end => {
                    let declared = self.declare(pending, context);
                    return Ok(Pipe { declared, commands, span: first.span.to(terminator_start(terminator)) });
                }
                Kind::Right => {
                    let error = TemplateError::new(terminator.span, "unclosed left paren");
                    return Err(Box::new(error.label("expected `)`")));
                }
                _ => return self.unexpected(terminator, context),
            }
        }
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`; consumes nothing if there is none.
    fn declaration(&mut self, context: &str) -> Syntax<Option<Pending<'t>>> {
        if !self.lexer.at_variable() {
            return Ok(None);
        }
        let mut names: Vec<(&'t str, Span)> = Vec::new();
        let rewind = self.lexer;
        loop {
            if self.peek_nonspace()?.kind != Kind::Variable {
                if names.is_empty() {
                    return Ok(None);
                }
                let token = self.peek_nonspace()?;
                return Err(Box::new(TemplateError::new(token.span, "range can only initialize variables")));
            }
            let variable = self.next_nonspace()?;
            if names.is_empty() && self.lexer.at_field_or_end() {
                self.lexer = rewind;
                return Ok(None);
            }
            names.push((self.text_of(variable.span), variable.span));
            let next = self.peek_nonspace()?;
            match next.kind {
                Kind::Declare | Kind::Assign => {
                    self.next_nonspace()?;
                    return Ok(Some(Pending { names, assign: next.kind == Kind::Assign }));
                }
                Kind::Comma if context == "range" && names.len() < 2 => {
                    self.next_nonspace()?;
                }
                Kind::Comma => {
                    let error = TemplateError::new(next.span, format!("too many declarations in {context}"));
                    return Err(Box::new(
                        error.help("only `range` sets two variables: `{{ range $key, $value := … }}`"),
                    ));
                }
                _ if names.len() == 1 => {
                    self.lexer = rewind;
                    return Ok(None);
                }
                _ => return self.unexpected(next, context),
            }
        }
    }

    fn declare(&mut self, pending: Option<Pending<'t>>, context: &str) -> Declared {
        let Some(pending) = pending else { return Declared::None };
        let mut slots = [0; 2];
        for (slot, (name, span)) in slots.iter_mut().zip(&pending.names) {
            *slot = if pending.assign {
                self.scope.slot(name).unwrap_or_else(|| {
                    let message = format!("undefined variable `{name}` in assignment");
                    let help = format!("declare it first: `{{{{ {name} := … }}}}`");
                    self.report(TemplateError::new(*span, message).label("not declared").help(help));
                    0
                })
            } else {
                self.scope.declare(name)
            };
        }
        let [first, second] = slots;
        if context == "range" && pending.names.len() == 2 { Declared::Two(first, second) } else { Declared::One(first) }
    }

    /// Reads a command and the token after it.
    fn command(&mut self, context: &str) -> Syntax<(Command, Token)> {
        let token = self.next_nonspace()?;
        if token.kind == Kind::Pipe || token.kind == Kind::Right {
            let error = TemplateError::new(token.span, "missing command");
            return Err(Box::new(error.label("expected a function or value")));
        }
        let head = self.operand(token, context)?;
        let mut span = head.span;
        let mut args = Vec::new();
        loop {
            let mut token = self.lexer.token()?;
            let spaced = token.kind == Kind::Space;
            if spaced {
                token = self.lexer.token()?;
            }
            match token.kind {
                Kind::Right | Kind::Close | Kind::Pipe => {
                    let command = Command { head, args, span };
                    self.note_indexed_label(&command);
                    return Ok((command, token));
                }
                _ if spaced => {
                    let arg = self.operand(token, context)?;
                    span = span.to(arg.span);
                    args.push(arg);
                }
                _ => return self.unexpected(token, context),
            }
        }
    }

    /// Reads a term and the fields that hang on it.
    fn operand(&mut self, token: Token, context: &str) -> Syntax<Operand> {
        let base = self.term(token, context)?;
        let mut fields = Vec::new();
        let mut span = base.span;
        loop {
            let mut ahead = self.lexer;
            // An unreadable token is reported by whoever must read it.
            let Ok(next) = ahead.token() else { break };
            if next.kind != Kind::Field {
                break;
            }
            self.lexer = ahead;
            span = span.to(next.span);
            fields.push(Span { start: next.span.start + 1, ..next.span });
        }
        let term = match base.term {
            Term::Field(mut names) => {
                names.append(&mut fields);
                self.note_label(0, &names, self.scope.dot_is_root);
                self.note_field(0, &names, self.scope.dot_is_root);
                Term::Field(names)
            }
            Term::Variable(slot, _) => {
                self.note_label(slot, &fields, self.scope.main);
                self.note_field(slot, &fields, self.scope.main);
                Term::Variable(slot, fields)
            }
            term if fields.is_empty() => term,
            Term::Constant(_) | Term::Dot | Term::Nil => {
                let message = format!("unexpected . after term `{}`", self.text_of(base.span));
                return Err(Box::new(TemplateError::new(span, message)));
            }
            term => Term::Chain(Box::new(Operand { term, span: base.span }), fields),
        };
        Ok(Operand { term, span })
    }

    fn term(&mut self, token: Token, context: &str) -> Syntax<Operand> {
        let span = token.span;
        let text = self.text_of(span);
        let malformed = |what: &str| TemplateError::new(span, format!("malformed {what}: {text}"));
        let term = match token.kind {
            Kind::Dot => Term::Dot,
            Kind::Field => Term::Field(vec![Span { start: span.start + 1, ..span }]),
            Kind::Variable => Term::Variable(self.variable(text, span), Vec::new()),
            Kind::Word => return self.word(token, context),
            Kind::Number => match literal::number(text) {
                Some(Number::Int(value)) => Term::Constant(Value::Int(value)),
                Some(Number::Float(value)) => Term::Constant(Value::Float(value)),
                None => return Err(Box::new(TemplateError::new(span, format!("illegal number syntax: {text:?}")))),
            },
            Kind::Char => {
                let value = literal::character(text).ok_or_else(|| malformed("character constant"))?;
                Term::Constant(Value::Int(value))
            }
            Kind::Str => {
                let value = literal::string(text)
                    .ok_or_else(|| malformed("string").help(r#"a backslash is written `\\`; or use backquotes"#))?;
                Term::Constant(value.into())
            }
            Kind::RawStr => Term::Constant(Value::from(text.trim_matches('`'))),
            Kind::Open => {
                self.enter(span)?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::Close)?;
                self.leave();
                let whole = Span::new(span.start as usize, self.lexer.here().start as usize);
                return Ok(Operand { term: Term::Pipe(Box::new(pipe)), span: whole });
            }
            _ => return self.unexpected(token, context),
        };
        Ok(Operand { term, span })
    }

    fn word(&mut self, token: Token, context: &str) -> Syntax<Operand> {
        let span = token.span;
        let term = match self.text_of(span) {
            "true" => Term::Constant(Value::Bool(true)),
            "false" => Term::Constant(Value::Bool(false)),
            "nil" => Term::Nil,
            word if KEYWORDS.contains(&word) => return self.unexpected(token, context),
            word => match self.dialect.function(word) {
                Some(function) => Term::Function(function),
                None => {
                    let help = suggest::function(word, self.dialect, &self.scope.variables);
                    let mut error =
                        TemplateError::new(span, format!("function `{word}` not defined")).label("no such function");
                    error.help = help;
                    self.report(error);
                    Term::Constant(Value::Nil)
                }
            },
        };
        Ok(Operand { term, span })
    }

    fn variable(&mut self, name: &str, span: Span) -> Slot {
        self.scope.slot(name).unwrap_or_else(|| {
            let mut error =
                TemplateError::new(span, format!("undefined variable `{name}`")).label("no variable of that name here");
            error.help = suggest::variable(name, self.dialect, &self.scope);
            self.report(error);
            0
        })
    }

    /// Remembers a use of a label: `$labels.job`, `.Labels.job`, `$.Labels.job`.
    fn note_label(&mut self, slot: Slot, fields: &[Span], in_reach: bool) {
        let Some((labels_slot, labels_field)) = self.dialect.labels.filter(|_| in_reach) else { return };
        let name = match fields {
            [name, ..] if slot == labels_slot => *name,
            [field, name, ..] if slot == 0 && field.of(self.text) == labels_field => *name,
            _ => return,
        };
        self.label_references.push(LabelReference { span: name, constant: None });
    }

    /// Remembers `index $labels "job"`.
    fn note_indexed_label(&mut self, command: &Command) {
        let Some((labels_slot, labels_field)) = self.dialect.labels else { return };
        let (Term::Function(function), [map, key]) = (&command.head.term, command.args.as_slice()) else { return };
        let is_field = |names: &[Span]| matches!(names, [name] if name.of(self.text) == labels_field);
        let is_labels = match &map.term {
            Term::Variable(slot, fields) if fields.is_empty() => self.scope.main && *slot == labels_slot,
            Term::Variable(0, fields) => self.scope.main && is_field(fields),
            Term::Field(fields) => self.scope.dot_is_root && is_field(fields),
            _ => false,
        };
        if let (true, "index", Term::Constant(Value::Str(name))) = (is_labels, function.name, &key.term) {
            self.label_references.push(LabelReference { span: key.span, constant: Some(name.clone()) });
        }
    }
}

/// A pipeline ends where the token after it begins.
fn terminator_start(token: Token) -> Span {
    Span { start: token.span.start, end: token.span.start }
}
