//! Walks the tree of a template and writes its output.
//!
//! Pure: everything it knows is in the data and the host. Every node, call and loop turn costs steps, nesting and
//! output are limited, so every rendering ends soon and small whatever the template says.

use std::sync::Arc;

use super::access::{accepts, field};
use super::ast::{Choice, Command, Declared, Definition, Definitions, Invoke, Node, Operand, Pipe, RangeLoop, Term};
use super::error::{RenderError, Span};
use super::format::{self, Sink};
use super::functions::{Body, Function, Kind};
use super::host::Host;
use super::html::{Escaped, Page};
use super::value::Value;

type Outcome<T> = Result<T, Box<RenderError>>;

/// A chain of so many fields costs a step.
const FIELDS_PER_STEP: usize = 4;
/// Every argument is read at least once, at so many bytes for a step.
const TEXT_BYTES_PER_STEP: usize = 256;

/// How a list of nodes was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(super) struct Exec<'r> {
    definitions: &'r Definitions,
    current: &'r Definition,
    host: Host<'r>,
    /// Variables of all template bodies under way; the current ones start at `base`.
    frames: Vec<Value>,
    base: usize,
    /// Arguments of the calls under way.
    arguments: Vec<Value>,
    depth: usize,
    out: String,
    /// Where the page stands, if HTML is written.
    page: Option<Page>,
}

impl<'r> Exec<'r> {
    /// Renders the main body; `frame` holds dot and the variables of the prelude. With a page, values are escaped for
    /// their place in it.
    pub(super) fn render(
        (main, definitions): (&'r Definition, &'r Definitions),
        host: Host<'r>,
        frame: Vec<Value>,
        page: Option<Page>,
    ) -> Outcome<String> {
        let dot = frame.first().cloned().unwrap_or_default();
        let out = String::with_capacity(main.source.len() + 32);
        let (arguments, base, depth) = (Vec::new(), 0, 0);
        let mut exec = Self { definitions, current: main, host, frames: frame, base, arguments, depth, out, page };
        exec.frames.resize(main.slots, Value::Nil);
        exec.walk(&main.body, &dot)?;
        Ok(exec.out)
    }

    fn error(&self, span: Span, message: impl Into<String>) -> Box<RenderError> {
        let error = RenderError::at(&self.current.source, span, self.current.name.clone(), message.into());
        Box::new(RenderError { exhausted: self.host.is_exhausted(), ..error })
    }

    fn charge(&mut self, span: Span) -> Outcome<()> {
        self.charge_for(1, span)
    }

    fn charge_for(&mut self, parts: usize, span: Span) -> Outcome<()> {
        let steps = u64::try_from(parts).unwrap_or(u64::MAX);
        self.host.charge(steps).map_err(|message| self.error(span, message))
    }

    fn enter(&mut self, span: Span) -> Outcome<()> {
        self.depth += 1;
        let limit = self.host.depth_max();
        if self.depth > limit {
            return Err(self.error(span, format!("exceeded maximum template depth ({limit})")));
        }
        Ok(())
    }

    fn emit(&mut self, text: &str, span: Span) -> Outcome<()> {
        if text.len() > self.host.text_bytes_max().saturating_sub(self.out.len()) {
            let message = self.host.too_long();
            return Err(self.error(span, message));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn walk(&mut self, nodes: &'r [Node], dot: &Value) -> Outcome<Flow> {
        for node in nodes {
            match node {
                Node::Text(span) => self.literal(*span)?,
                Node::Action(pipe) => self.action(pipe, dot)?,
                Node::Invoke(invoke) => self.invoke_node(invoke, dot)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::Choice(choice) => match self.choice(choice, dot)? {
                    Flow::Next => {}
                    left => return Ok(left),
                },
                Node::Range(range) => match self.range(range, dot)? {
                    Flow::Next => {}
                    left => return Ok(left),
                },
            }
        }
        Ok(Flow::Next)
    }

    fn literal(&mut self, span: Span) -> Outcome<()> {
        let source: &'r str = &self.current.source;
        let text = span.of(source);
        match self.page.as_mut().map(|page| page.text(text)) {
            Some(text) => self.emit(&text, span),
            None => self.emit(text, span),
        }
    }

    fn action(&mut self, pipe: &'r Pipe, dot: &Value) -> Outcome<()> {
        if let Some((labels, name)) = self.plain_label(pipe) {
            self.charge(pipe.span)?;
            let text = labels.get(name).unwrap_or("");
            return self.emit(text, pipe.span);
        }
        let value = self.pipe(pipe, dot)?;
        if pipe.declared != Declared::None {
            return Ok(());
        }
        if let Some(page) = &mut self.page {
            let text = page.value(&value, last_function(pipe).and_then(Escaped::by));
            self.charge_for(text.len() / TEXT_BYTES_PER_STEP, pipe.span)?;
            return self.emit(&text, pipe.span);
        }
        if let Value::Str(text) = &value {
            return self.emit(text, pipe.span);
        }
        let limit = self.host.text_bytes_max();
        let mut sink = Sink::new(&mut self.out, limit);
        format::print_value(&mut sink, &value);
        if !sink.is_full() {
            return Ok(());
        }
        let message = self.host.too_long();
        Err(self.error(pipe.span, message))
    }

    /// `{{ $labels.job }}`, by far the most frequent action, is printed without making a value of it.
    fn plain_label(&self, pipe: &'r Pipe) -> Option<(crate::model::Labels, &'r str)> {
        let ([command], Declared::None, None) = (pipe.commands.as_slice(), pipe.declared, &self.page) else {
            return None;
        };
        match (&command.head.term, command.args.is_empty()) {
            (Term::Variable(slot, fields), true) => match (fields.as_slice(), self.frames.get(self.base + slot)) {
                ([name], Some(Value::Labels(labels))) => Some((labels.clone(), name.of(&self.current.source))),
                _ => None,
            },
            _ => None,
        }
    }

    fn choice(&mut self, choice: &'r Choice, dot: &Value) -> Outcome<Flow> {
        for (pipe, body) in &choice.branches {
            let value = self.pipe(pipe, dot)?;
            if value.truth() {
                self.enter(pipe.span)?;
                let flow = self.walk(body, if choice.rebinds_dot { &value } else { dot })?;
                self.depth -= 1;
                return Ok(flow);
            }
        }
        let Some((last, _)) = choice.branches.last() else { return Ok(Flow::Next) };
        self.enter(last.span)?;
        let flow = self.walk(&choice.otherwise, dot)?;
        self.depth -= 1;
        Ok(flow)
    }

    fn range(&mut self, range: &'r RangeLoop, dot: &Value) -> Outcome<Flow> {
        let value = self.pipe(&range.pipe, dot)?.plain();
        self.enter(range.pipe.span)?;
        let mut turns = 0usize;
        let mut turn = |key: Value, element: Value| -> Outcome<bool> {
            turns += 1;
            self.turn(range, key, element)
        };
        let int = |index: usize| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        let count = |n: &i64| usize::try_from(*n).unwrap_or(0);
        // Each arm stops at a `break` or an error, which `try_for_each` carries as Err(None) and Err(Some(…)).
        let mut step = |key: Value, element: Value| match turn(key, element) {
            Ok(true) => Ok(()),
            Ok(false) => Err(None),
            Err(error) => Err(Some(error)),
        };
        let ended = match &value {
            Value::Nil => Ok(()),
            Value::Int(n) => (0..count(n)).try_for_each(|i| step(int(i), int(i))),
            Value::List(items) => items.iter().enumerate().try_for_each(|(i, v)| step(int(i), v.clone())),
            Value::Vector(samples) => {
                let mut samples = samples.iter().enumerate();
                samples.try_for_each(|(i, (labels, v))| step(int(i), Value::Sample(labels.clone(), *v)))
            }
            Value::Map(map) => map.entries().iter().try_for_each(|(k, v)| step(Value::Str(k.clone()), v.clone())),
            Value::Labels(labels) => labels.iter().try_for_each(|(k, v)| step(k.into(), v.into())),
            other => {
                let message = format!("range can't iterate over {}", other.type_name());
                return Err(self.error(range.pipe.span, message));
            }
        };
        if let Err(Some(error)) = ended {
            return Err(error);
        }
        let flow = if turns == 0 { self.walk(&range.otherwise, dot)? } else { Flow::Next };
        self.depth -= 1;
        Ok(flow)
    }

    /// One turn of a loop; false after a `break`.
    fn turn(&mut self, range: &'r RangeLoop, key: Value, element: Value) -> Outcome<bool> {
        self.charge(range.pipe.span)?;
        match range.pipe.declared {
            Declared::None => {}
            Declared::One(slot) => self.set(slot, element.clone()),
            Declared::Two(first, second) => {
                self.set(first, key);
                self.set(second, element.clone());
            }
        }
        Ok(self.walk(&range.body, &element)? != Flow::Break)
    }

    fn set(&mut self, slot: usize, value: Value) {
        if let Some(variable) = self.frames.get_mut(self.base + slot) {
            *variable = value;
        }
    }

    fn invoke_node(&mut self, invoke: &'r Invoke, dot: &Value) -> Outcome<()> {
        let argument = match &invoke.argument {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        self.charge(invoke.span)?;
        self.invoke(&invoke.name, argument, invoke.span)
    }

    fn invoke(&mut self, name: &str, argument: Value, span: Span) -> Outcome<()> {
        let Some(definition) = self.definitions.get(name) else {
            return Err(self.error(span, format!("template {name:?} not defined")));
        };
        self.enter(span)?;
        let outer = (self.base, self.current);
        (self.base, self.current) = (self.frames.len(), definition);
        self.frames.resize(self.base + definition.slots, Value::Nil);
        self.set(0, argument.clone());
        self.walk(&definition.body, &argument)?;
        self.frames.truncate(self.base);
        (self.base, self.current) = outer;
        self.depth -= 1;
        Ok(())
    }

    fn pipe(&mut self, pipe: &'r Pipe, dot: &Value) -> Outcome<Value> {
        self.charge(pipe.span)?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or_default();
        match pipe.declared {
            Declared::None => {}
            Declared::One(slot) => self.set(slot, value.clone()),
            Declared::Two(first, second) => {
                self.set(first, value.clone());
                self.set(second, value.clone());
            }
        }
        Ok(value)
    }

    /// A command of a pipeline; `last` is the result of the one before it.
    fn command(&mut self, command: &'r Command, dot: &Value, last: Option<Value>) -> Outcome<Value> {
        let head = &command.head;
        let (base, fields) = match &head.term {
            Term::Function(function) => return self.call(function, command, dot, last),
            Term::Field(fields) => (dot.clone(), fields),
            Term::Variable(slot, fields) => (self.frames.get(self.base + slot).cloned().unwrap_or_default(), fields),
            Term::Chain(inner, fields) => (self.operand(inner, dot)?, fields),
            Term::Nil => return Err(self.error(head.span, "nil is not a command")),
            Term::Dot | Term::Constant(_) | Term::Pipe(_) => {
                self.refuse_arguments(command, last.as_ref())?;
                return self.operand(head, dot);
            }
        };
        let Some((method, path)) = fields.split_last() else {
            self.refuse_arguments(command, last.as_ref())?;
            return Ok(base);
        };
        let owner = self.fields(base, path, head.span)?;
        let mark = self.arguments.len();
        for arg in &command.args {
            let value = self.operand(arg, dot)?;
            self.arguments.push(value);
        }
        self.arguments.extend(last);
        let source: &'r str = &self.current.source;
        let result = field(&owner, method.of(source), self.arguments.get(mark..).unwrap_or(&[]));
        self.arguments.truncate(mark);
        result.map_err(|message| self.error(head.span, message))
    }

    fn refuse_arguments(&self, command: &Command, last: Option<&Value>) -> Outcome<()> {
        if command.args.is_empty() && last.is_none() {
            return Ok(());
        }
        let name = command.head.span.of(&self.current.source);
        Err(self.error(command.head.span, format!("can't give argument to non-function {name}")))
    }

    fn fields(&mut self, mut value: Value, path: &[Span], span: Span) -> Outcome<Value> {
        self.charge_for(path.len() / FIELDS_PER_STEP, span)?;
        for name in path {
            let source: &'r str = &self.current.source;
            value = field(&value, name.of(source), &[]).map_err(|message| self.error(span, message))?;
        }
        Ok(value)
    }

    /// The value of an operand that stands as an argument or alone.
    fn operand(&mut self, operand: &'r Operand, dot: &Value) -> Outcome<Value> {
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Constant(value) => Ok(value.clone()),
            Term::Field(fields) => self.fields(dot.clone(), fields, operand.span),
            Term::Variable(slot, fields) => {
                let value = self.frames.get(self.base + slot).cloned().unwrap_or_default();
                self.fields(value, fields, operand.span)
            }
            Term::Chain(inner, fields) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, fields, operand.span)
            }
            Term::Pipe(pipe) => {
                self.enter(pipe.span)?;
                let value = self.pipe(pipe, dot)?;
                self.depth -= 1;
                Ok(value)
            }
            Term::Function(function) => self.invoke_function(function, (&[], operand.span), dot, None),
        }
    }

    fn call(&mut self, f: &'static Function, command: &'r Command, dot: &Value, last: Option<Value>) -> Outcome<Value> {
        let count = command.args.len() + usize::from(last.is_some());
        let wanted = f.params.len();
        let message = match f.rest {
            None if count != wanted => format!("wrong number of args for {}: want {wanted} got {count}", f.name),
            Some(_) if count < wanted => {
                format!("wrong number of args for {}: want at least {wanted} got {count}", f.name)
            }
            _ => return self.invoke_function(f, (&command.args, command.span), dot, last),
        };
        Err(self.error(command.head.span, message))
    }

    fn invoke_function(
        &mut self,
        f: &'static Function,
        (args, span): (&'r [Operand], Span),
        dot: &Value,
        last: Option<Value>,
    ) -> Outcome<Value> {
        self.charge_for(1 + args.len(), span)?;
        if matches!(f.body, Body::And | Body::Or) {
            return self.short_circuit(f, args, dot, last);
        }
        let mark = self.arguments.len();
        for (index, arg) in args.iter().enumerate() {
            let value = self.operand(arg, dot)?;
            let value = self.fit(f, index, value, arg)?;
            if let Value::Str(text) = &value {
                self.charge_for(text.len() / TEXT_BYTES_PER_STEP, span)?;
            }
            self.arguments.push(value);
        }
        if let Some(last) = last {
            let last = self.fit_value(f, args.len(), last, span)?;
            self.arguments.push(last);
        }
        if self.arguments.len() - mark < f.params.len() {
            let message = format!("wrong number of args for {}: want {} got 0", f.name, f.params.len());
            return Err(self.error(span, message));
        }
        let result = match f.body {
            Body::Plain(call) => call(&mut self.host, self.arguments.get(mark..).unwrap_or(&[]))
                .map_err(|message| self.error(span, format!("error calling {}: {message}", f.name))),
            Body::Template => self.template_text(mark, span),
            Body::And | Body::Or => Ok(Value::Nil),
        };
        self.arguments.truncate(mark);
        result
    }

    /// `and` and `or`: the first argument that decides, else the last.
    fn short_circuit(
        &mut self,
        f: &'static Function,
        args: &'r [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Outcome<Value> {
        let decides = |value: &Value| value.truth() == matches!(f.body, Body::Or);
        let mut value = Value::Nil;
        for arg in args {
            value = self.operand(arg, dot)?;
            if decides(&value) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// `tmpl NAME DATA`: a template whose name is computed, as text.
    fn template_text(&mut self, mark: usize, span: Span) -> Outcome<Value> {
        let (name, argument) = match self.arguments.get(mark..) {
            Some([Value::Str(name), argument]) => (name.clone(), argument.clone()),
            _ => (Arc::from(""), Value::Nil),
        };
        let outer = std::mem::take(&mut self.out);
        self.invoke(&name, argument, span)?;
        let text = std::mem::replace(&mut self.out, outer);
        self.host.text(text).map_err(|message| self.error(span, message))
    }

    /// Checks an argument against its parameter, in Go's words.
    fn fit(&self, f: &Function, index: usize, value: Value, operand: &Operand) -> Outcome<Value> {
        let kind = f.params.get(index).copied().or(f.rest).unwrap_or(Kind::Any);
        match &operand.term {
            Term::Constant(constant) if !accepts(kind, constant) => {
                let found = operand.span.of(&self.current.source);
                Err(self.error(operand.span, format!("expected {}; found {found}", kind.type_name())))
            }
            Term::Nil if kind == Kind::Str => Err(self.error(operand.span, "cannot assign nil to string")),
            _ => self.fit_value(f, index, value, operand.span),
        }
    }

    fn fit_value(&self, f: &Function, index: usize, value: Value, span: Span) -> Outcome<Value> {
        let kind = f.params.get(index).copied().or(f.rest).unwrap_or(Kind::Any);
        // A text type of its own passes as text, as Go converts it.
        let value = if kind == Kind::Str { value.plain() } else { value };
        if accepts(kind, &value) {
            return Ok(value);
        }
        let message = match value {
            Value::Nil => format!("invalid value; expected {}", kind.type_name()),
            _ => format!("wrong type for value; expected {}; got {}", kind.type_name(), value.type_name()),
        };
        Err(self.error(span, message))
    }
}

/// The function that a value went through last.
fn last_function(pipe: &Pipe) -> Option<&'static str> {
    match pipe.commands.last()?.head.term {
        Term::Function(function) => Some(function.name),
        _ => None,
    }
}
