//! Reads the blocks of a template: if, with, range, define, template, block, break, continue.
//!
//! The other half of the parser; the innards of actions are in `parser`.

use std::sync::Arc;

use super::ast::{Choice, Definition, Invoke, Node, RangeLoop};
use super::error::{Span, TemplateError};
use super::lexer::Kind;
use super::literal;
use super::parser::{Parser, Scope, Syntax};

/// What a list of nodes ended with.
enum Ending {
    Text,
    End(Span),
    Else(Span),
}

/// What an action turned out to be.
enum Step {
    Node(Node),
    Nothing,
    Ending(Ending),
}

/// How an `else` goes on.
enum Otherwise {
    Plain,
    Again,
}

impl<'t> Parser<'t> {
    /// Reads the whole text: the main body and, on the way, the definitions.
    pub(super) fn main_body(&mut self) -> Syntax<Vec<Node>> {
        let (nodes, ending) = self.list()?;
        match ending {
            Ending::Text => Ok(nodes),
            Ending::End(span) => Err(Box::new(
                TemplateError::new(span, "unexpected {{end}}").label("nothing is open here").help("remove it"),
            )),
            Ending::Else(span) => Err(Box::new(
                TemplateError::new(span, "unexpected {{else}}").label("no if, with or range is open here"),
            )),
        }
    }

    fn list(&mut self) -> Syntax<(Vec<Node>, Ending)> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.lexer.piece()? {
            if piece.text.start < piece.text.end {
                nodes.push(Node::Text(piece.text));
            }
            if piece.action.is_none() {
                continue;
            }
            match self.action()? {
                Step::Node(node) => nodes.push(node),
                Step::Nothing => {}
                Step::Ending(ending) => return Ok((nodes, ending)),
            }
        }
        Ok((nodes, Ending::Text))
    }

    fn action(&mut self) -> Syntax<Step> {
        let token = self.peek_nonspace()?;
        let span = token.span;
        let word = if token.kind == Kind::Word { self.text_of(span) } else { "" };
        let node = match word {
            "if" | "with" | "range" | "define" | "block" => {
                self.next_nonspace()?;
                self.enter(span)?;
                let node = match word {
                    "range" => Some(self.range_loop(span)?),
                    "define" => self.define(span)?,
                    "block" => Some(self.block(span)?),
                    _ => Some(self.choice(word, span)?),
                };
                self.leave();
                return Ok(node.map_or(Step::Nothing, Step::Node));
            }
            "template" => {
                self.next_nonspace()?;
                Node::Invoke(Box::new(self.invoke("template clause")?))
            }
            "break" | "continue" => {
                self.next_nonspace()?;
                self.expect_right(word)?;
                if self.scope.loops == 0 {
                    let error = TemplateError::new(span, format!("{{{{{word}}}}} outside {{{{range}}}}"));
                    return Err(Box::new(error.label("no range is open here")));
                }
                if word == "break" { Node::Break } else { Node::Continue }
            }
            "end" => {
                self.next_nonspace()?;
                self.expect_right("end")?;
                return Ok(Step::Ending(Ending::End(span)));
            }
            "else" => {
                self.next_nonspace()?;
                return Ok(Step::Ending(Ending::Else(span)));
            }
            _ => Node::Action(self.pipeline("command", Kind::Right)?),
        };
        Ok(Step::Node(node))
    }

    fn expect_right(&mut self, context: &str) -> Syntax<()> {
        let token = self.next_nonspace()?;
        if token.kind == Kind::Right { Ok(()) } else { self.unexpected(token, context) }
    }

    fn unclosed<T>(&self, word: &str, span: Span) -> Syntax<T> {
        let error = TemplateError::new(span, format!("unclosed `{word}`: the template ends before its {{{{end}}}}"));
        Err(Box::new(error.label("opened here").help("add `{{ end }}`")))
    }

    /// `if` or `with`, to its end.
    fn choice(&mut self, word: &str, span: Span) -> Syntax<Node> {
        let mark = self.scope.variables.len();
        let rebinds_dot = word == "with";
        let mut choice = Choice { rebinds_dot, branches: Vec::with_capacity(1), otherwise: Vec::new() };
        loop {
            let pipe = self.pipeline(word, Kind::Right)?;
            let (body, ending) = self.scoped_list(rebinds_dot)?;
            choice.branches.push((pipe, body));
            let else_span = match ending {
                Ending::End(_) => break,
                Ending::Text => return self.unclosed(word, span),
                Ending::Else(span) => span,
            };
            match self.otherwise(word)? {
                Otherwise::Again => {}
                Otherwise::Plain => {
                    choice.otherwise = self.last_list(word, span, else_span)?;
                    break;
                }
            }
        }
        self.scope.variables.truncate(mark);
        Ok(Node::Choice(Box::new(choice)))
    }

    fn range_loop(&mut self, span: Span) -> Syntax<Node> {
        let mark = self.scope.variables.len();
        let pipe = self.pipeline("range", Kind::Right)?;
        self.scope.loops += 1;
        let (body, ending) = self.scoped_list(true)?;
        self.scope.loops -= 1;
        let otherwise = match ending {
            Ending::End(_) => Vec::new(),
            Ending::Text => return self.unclosed("range", span),
            Ending::Else(else_span) => {
                self.expect_right("else")?;
                self.last_list("range", span, else_span)?
            }
        };
        self.scope.variables.truncate(mark);
        Ok(Node::Range(Box::new(RangeLoop { pipe, body, otherwise })))
    }

    /// After `else`: the end of the action, or the same keyword again.
    fn otherwise(&mut self, word: &str) -> Syntax<Otherwise> {
        let token = self.next_nonspace()?;
        match token.kind {
            Kind::Right => Ok(Otherwise::Plain),
            Kind::Word if self.text_of(token.span) == word => Ok(Otherwise::Again),
            _ => self.unexpected(token, "else"),
        }
    }

    /// A body with variables of its own; `rebinds_dot` says that dot means something else in it.
    fn scoped_list(&mut self, rebinds_dot: bool) -> Syntax<(Vec<Node>, Ending)> {
        let mark = self.scope.variables.len();
        let outer = self.scope.dot_is_root;
        self.scope.dot_is_root = outer && !rebinds_dot;
        let result = self.list()?;
        self.scope.dot_is_root = outer;
        self.scope.variables.truncate(mark);
        Ok(result)
    }

    /// The body after the last `else`.
    fn last_list(&mut self, word: &str, span: Span, else_span: Span) -> Syntax<Vec<Node>> {
        match self.scoped_list(false)? {
            (nodes, Ending::End(_)) => Ok(nodes),
            (_, Ending::Text) => self.unclosed(word, span),
            (_, Ending::Else(second)) => {
                let error = TemplateError::new(second, format!("expected end of `{word}`; found {{{{else}}}}"));
                let line = self.text.get(..else_span.start as usize).unwrap_or("").matches('\n').count() + 1;
                Err(Box::new(
                    error.label("a second else").help(format!("the first `else` is on line {line} of the template")),
                ))
            }
        }
    }

    /// A name in quotes.
    fn template_name(&mut self, context: &str) -> Syntax<Arc<str>> {
        let token = self.next_nonspace()?;
        let text = self.text_of(token.span);
        let name = match token.kind {
            Kind::Str => literal::string(text).map(Arc::from),
            Kind::RawStr => Some(Arc::from(text.trim_matches('`'))),
            _ => {
                let error = TemplateError::new(token.span, format!("unexpected `{text}` in {context}"));
                return Err(Box::new(error.label("expected a name in double quotes")));
            }
        };
        name.ok_or_else(|| Box::new(TemplateError::new(token.span, format!("malformed string: {text}"))))
    }

    fn invoke(&mut self, context: &str) -> Syntax<Invoke> {
        let span = self.peek_nonspace()?.span;
        let name = self.template_name(context)?;
        let argument = if self.peek_nonspace()?.kind == Kind::Right {
            self.next_nonspace()?;
            None
        } else {
            Some(self.pipeline(context, Kind::Right)?)
        };
        self.invoked.push((name.clone(), span));
        Ok(Invoke { name, argument, span })
    }

    fn define(&mut self, span: Span) -> Syntax<Option<Node>> {
        let name_span = self.peek_nonspace()?.span;
        let name = self.template_name("define clause")?;
        self.expect_right("define clause")?;
        // As in Go, a definition stands at the top level only.
        if self.nesting > 1 {
            return Err(Box::new(
                TemplateError::new(span, "unexpected {{define}}")
                    .label("inside another block")
                    .help("move the definition to the top level of the template"),
            ));
        }
        self.definition_body(name, name_span, span)?;
        Ok(None)
    }

    fn block(&mut self, span: Span) -> Syntax<Node> {
        let invoke = self.invoke("block clause")?;
        if invoke.argument.is_none() {
            let error = TemplateError::new(invoke.span, "missing value for block clause");
            return Err(Box::new(error.help("give it the data it works on: `{{ block \"name\" . }}`")));
        }
        self.definition_body(invoke.name.clone(), invoke.span, span)?;
        Ok(Node::Invoke(Box::new(invoke)))
    }

    fn definition_body(&mut self, name: Arc<str>, name_span: Span, span: Span) -> Syntax<()> {
        let outer = std::mem::replace(&mut self.scope, Scope::definition());
        let (body, ending) = self.list()?;
        let inner = std::mem::replace(&mut self.scope, outer);
        match ending {
            Ending::End(_) => {}
            Ending::Text => return self.unclosed("define", span),
            Ending::Else(else_span) => {
                return Err(Box::new(TemplateError::new(else_span, "unexpected {{else}} in define clause")));
            }
        }
        // An empty definition never replaces one; two with content in one text are a mistake.
        let empty = is_empty(&body, self.text);
        if empty && self.definitions.contains_key(&name) {
            return Ok(());
        }
        let twice =
            |known: &Arc<Definition>| Arc::ptr_eq(&known.source, &self.source) && !is_empty(&known.body, self.text);
        if self.definitions.get(&name).is_some_and(twice) {
            let error = TemplateError::new(name_span, format!("multiple definition of template {name:?}"));
            return Err(Box::new(error.label("defined before")));
        }
        let source = self.source.clone();
        let definition = Definition { source, name: Some(name.clone()), body, slots: inner.slots };
        self.definitions.insert(name, Arc::new(definition));
        self.defines = true;
        Ok(())
    }
}

pub(super) fn is_empty(body: &[Node], text: &str) -> bool {
    body.iter().all(|node| matches!(node, Node::Text(span) if span.of(text).trim().is_empty()))
}
