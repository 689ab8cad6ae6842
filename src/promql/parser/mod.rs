//! Tokens → syntax tree.
//!
//! Recursive descent with operator precedence. Stops at the first syntax error; goes on after unknown functions, bad
//! numbers and bad matchers, so that the type checker can add what it finds. Depth and length are limited, so hostile
//! text cannot exhaust the stack here or in anything that later walks the tree.

mod binary;
mod duration;
mod selector;
#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;

use super::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Grouping, Number, UnaryOp};
use super::error::{ARGUMENT_COUNT, ParseError, SYNTAX, TOO_BIG, UNCLOSED, UNKNOWN_FUNCTION};
use super::functions;
use super::lexer::{Kind, Token, lex};
use super::typecheck;

/// Longest text that is read, in bytes.
pub const TEXT_LEN_MAX: usize = 64 * 1024;
/// Most parentheses, calls and signs inside each other.
pub const NESTING_MAX: usize = 64;
/// Greatest height of a tree: a chain of operators is as high as it is long.
pub const HEIGHT_MAX: usize = 200;

/// What the dialect allows beyond PromQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Metric names may contain dots without quotes.
    pub dotted_names: bool,
}

/// The parser has said what is wrong and cannot go on.
#[derive(Debug)]
pub(crate) struct Stop;

type Parsed<T> = Result<T, Stop>;

/// Reads an expression.
///
/// Reports the first syntax error, or all errors of types, arguments, matchers and matching.
pub fn parse(text: &str, options: &ParseOptions) -> Result<Expr, Vec<ParseError>> {
    let (expr, unknown, mut errors) = parse_syntax(text, options)?;
    typecheck::check(&expr, &unknown, &mut errors);
    if errors.is_empty() {
        return Ok(expr);
    }
    errors.sort_by_key(|e| e.span.start);
    Err(errors)
}

/// A tree whose types are not checked yet, the bytes of its calls of unknown functions, and the errors so far.
pub(crate) type Unchecked = (Expr, Vec<Range<usize>>, Vec<ParseError>);

/// Reads an expression without checking types; `Err` where the syntax gives no tree.
pub(crate) fn parse_syntax(text: &str, options: &ParseOptions) -> Result<Unchecked, Vec<ParseError>> {
    if text.len() > TEXT_LEN_MAX {
        let message = format!("expression is longer than {TEXT_LEN_MAX} bytes");
        return Err(vec![ParseError::new(TOO_BIG, 0..text.len(), message).help("split it into recording rules")]);
    }
    let lexed = lex(text, options.dotted_names);
    if lexed.fatal {
        return Err(lexed.errors);
    }
    let mut parser =
        Parser { text, tokens: &lexed.tokens, at: 0, nesting: 0, errors: lexed.errors, unknown: Vec::new() };
    match parser.whole() {
        Ok(expr) => Ok((expr, parser.unknown, parser.errors)),
        Err(Stop) => {
            parser.errors.sort_by_key(|e| e.span.start);
            Err(parser.errors)
        }
    }
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    nesting: usize,
    errors: Vec<ParseError>,
    /// Bytes of calls of unknown functions: their type is unknown too.
    unknown: Vec<Range<usize>>,
}

/// Whether a name cannot stand bare as a metric's name.
pub(crate) fn is_reserved(name: &str) -> bool {
    const WORDS: [&str; 20] = [
        "and",
        "or",
        "unless",
        "atan2",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
        "nan",
        "start",
        "end",
        "anchored",
        "smoothed",
        "fill_left",
        "fill_right",
    ];
    WORDS.iter().any(|w| w.eq_ignore_ascii_case(name)) || AggregateOp::find(name).is_some()
}

impl<'a> Parser<'a> {
    fn token(&self) -> &'a Token {
        // The last token is `End` and is never passed.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn kind(&self) -> &'a Kind {
        &self.token().kind
    }

    fn peek(&self, ahead: usize) -> &'a Kind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn advance(&mut self) -> &'a Token {
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The byte after the token read last.
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |i| self.tokens[i].span.end)
    }

    fn slice(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or("")
    }

    /// The text of the current token if it is a name.
    fn word(&self) -> Option<&'a str> {
        (*self.kind() == Kind::Identifier).then(|| self.slice(&self.token().span))
    }

    fn is_word(&self, word: &str) -> bool {
        self.word().is_some_and(|w| w.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.advance();
        }
        found
    }

    fn stop<T>(&mut self, error: ParseError) -> Parsed<T> {
        self.errors.push(error);
        Err(Stop)
    }

    /// The current token in words.
    fn found(&self) -> String {
        match self.kind() {
            Kind::End => "end of expression".to_owned(),
            _ => format!("`{}`", self.slice(&self.token().span)),
        }
    }

    fn unexpected<T>(&mut self, context: &str, expected: &str) -> Parsed<T> {
        let message = format!("unexpected {} {context}", self.found());
        let error = ParseError::new(SYNTAX, self.token().span.clone(), message.trim_end().to_owned());
        let error = if expected.is_empty() { error } else { error.label(format!("expected {expected}")) };
        self.stop(error)
    }

    /// Takes a closing bracket or says what was left open.
    fn close(&mut self, kind: &Kind, sign: char, what: &str, help: impl FnOnce(&Self) -> String) -> Parsed<()> {
        if self.take(kind) {
            return Ok(());
        }
        let help = help(self);
        let mut error = ParseError::new(UNCLOSED, self.token().span.clone(), format!("unclosed {what}"));
        if sign == ']' && *self.kind() == Kind::RightParen {
            // Between a duration and `)` nothing else can have been left out.
            error = error.fix(self.last_end()..self.last_end(), "]");
        }
        self.stop(error.label(format!("expected `{sign}`")).help(help))
    }

    fn node(&mut self, kind: ExprKind, span: Range<usize>) -> Parsed<Expr> {
        let expr = Expr::new(kind, span);
        if expr.height() > HEIGHT_MAX {
            let message = format!("expression chains or nests more than {HEIGHT_MAX} operations");
            return self.stop(ParseError::new(TOO_BIG, expr.span, message).help("split it into recording rules"));
        }
        Ok(expr)
    }

    /// Runs a part of the grammar one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= NESTING_MAX {
            let message = format!("expression nests more than {NESTING_MAX} levels");
            return self.stop(ParseError::new(TOO_BIG, self.token().span.clone(), message));
        }
        self.nesting += 1;
        let result = part(self);
        self.nesting -= 1;
        result
    }

    fn whole(&mut self) -> Parsed<Expr> {
        if *self.kind() == Kind::End {
            let error = ParseError::new(SYNTAX, self.token().span.clone(), "no expression found");
            return self.stop(error.label("expected an expression"));
        }
        let expr = self.expr()?;
        match self.kind() {
            Kind::End => Ok(expr),
            Kind::RightParen | Kind::RightBrace | Kind::RightBracket => {
                let message = format!("{} closes nothing", self.found());
                let error = ParseError::new(SYNTAX, self.token().span.clone(), message);
                self.stop(error.help("remove it, or open what it is to close"))
            }
            Kind::Assign => {
                let error = ParseError::new(SYNTAX, self.token().span.clone(), "unexpected `=`");
                self.stop(error.label("expected an operator").help("compare with `==`"))
            }
            _ => self.unexpected("after the expression", "an operator or the end"),
        }
    }

    /// An operand with everything that may stand before and behind it.
    fn operand(&mut self) -> Parsed<Expr> {
        let start = self.token().span.start;
        let sign = match self.kind() {
            Kind::Add => UnaryOp::Plus,
            Kind::Sub => UnaryOp::Minus,
            _ => {
                let expr = self.primary()?;
                return self.postfix(expr);
            }
        };
        self.advance();
        // A sign binds less than `^` and more than everything else.
        let expr = self.deeper(|p| p.binary_from(6))?;
        let span = start..expr.span.end;
        match (sign, &expr.kind) {
            (UnaryOp::Plus, ExprKind::Number(n)) => self.node(ExprKind::Number(*n), span),
            (UnaryOp::Minus, ExprKind::Number(n)) => self.node(ExprKind::Number(Number(-n.0)), span),
            _ => self.node(ExprKind::Unary(sign, Box::new(expr)), span),
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.token();
        let span = token.span.clone();
        match &token.kind {
            Kind::Number(n) | Kind::Duration(n) => {
                self.advance();
                self.node(ExprKind::Number(Number(*n)), span)
            }
            Kind::Text(text) => {
                self.advance();
                self.node(ExprKind::Text(text.clone()), span)
            }
            Kind::LeftParen => self.paren(),
            Kind::LeftBrace => self.selector(None),
            Kind::Identifier => self.named(),
            _ => self.unexpected("", "an expression"),
        }
    }

    fn paren(&mut self) -> Parsed<Expr> {
        let start = self.advance().span.start;
        let inner = self.deeper(Self::expr)?;
        let help = |p: &Self| format!("close the `(` opened at column {}", p.column(start));
        self.close(&Kind::RightParen, ')', "parenthesis", help)?;
        self.node(ExprKind::Paren(Box::new(inner)), start..self.last_end())
    }

    /// Column of a byte, from 1, for help lines.
    fn column(&self, at: usize) -> usize {
        let line_start = self.text[..at].rfind('\n').map_or(0, |i| i + 1);
        self.text[line_start..at].chars().count() + 1
    }

    fn named(&mut self) -> Parsed<Expr> {
        let span = self.token().span.clone();
        let name = self.slice(&span);
        if let Some(op) = AggregateOp::find(name) {
            let modified = matches!(self.peek(1), Kind::Identifier) && {
                let next = self.slice(&self.tokens[(self.at + 1).min(self.tokens.len() - 1)].span);
                next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without")
            };
            if modified || *self.peek(1) == Kind::LeftParen {
                return self.aggregate(op);
            }
        }
        if *self.peek(1) == Kind::LeftParen {
            return self.call();
        }
        let number = if name.eq_ignore_ascii_case("inf") {
            f64::INFINITY
        } else if name.eq_ignore_ascii_case("nan") {
            f64::NAN
        } else {
            self.advance();
            return self.selector(Some(span));
        };
        self.advance();
        self.node(ExprKind::Number(Number(number)), span)
    }

    fn call(&mut self) -> Parsed<Expr> {
        let name_span = self.advance().span.clone();
        let name = self.slice(&name_span);
        let args = self.arguments()?;
        let span = name_span.start..self.last_end();
        let Some(function) = functions::find(name) else {
            let mut error = ParseError::new(UNKNOWN_FUNCTION, name_span.clone(), format!("unknown function `{name}`"));
            if let Some(meant) = functions::certain(name) {
                error = error.fix(name_span, meant);
            }
            self.errors.push(match functions::nearest(name) {
                Some(near) => error.label("not a function").help(format!("did you mean `{near}`?")),
                None => error.label("not a function or aggregation"),
            });
            self.unknown.push(span.clone());
            return self.node(ExprKind::Number(Number(f64::NAN)), span);
        };
        self.node(ExprKind::Call(Call { function, name_span, args }), span)
    }

    /// `( expr, … )`
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let open = self.advance().span.start;
        let mut args = Vec::new();
        if self.take(&Kind::RightParen) {
            return Ok(args);
        }
        loop {
            args.push(self.deeper(Self::expr)?);
            if self.take(&Kind::Comma) {
                if *self.kind() == Kind::RightParen {
                    let span = self.tokens[self.at - 1].span.clone();
                    let error = ParseError::new(SYNTAX, span, "trailing comma in arguments");
                    return self.stop(error.help("remove the comma"));
                }
                continue;
            }
            let help = |p: &Self| format!("close the `(` opened at column {}", p.column(open));
            self.close(&Kind::RightParen, ')', "argument list", help)?;
            return Ok(args);
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let start = self.advance().span.start;
        let mut grouping = self.grouping()?;
        if *self.kind() != Kind::LeftParen {
            return self.unexpected("in aggregation", "`(`");
        }
        let open = self.token().span.start;
        let mut args = self.arguments()?.into_iter();
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = start..self.last_end();
        let wanted = 1 + usize::from(op.parameter().is_some());
        let given = args.len();
        let parameter = if op.parameter().is_some() { args.next() } else { None };
        let (Some(expr), None) = (args.next(), args.next()) else {
            let message = format!("wrong number of arguments for `{}`: {given}", op.as_str());
            let error = ParseError::new(ARGUMENT_COUNT, open..self.last_end(), message);
            let help = match op.parameter() {
                Some(_) => format!("write `{}(parameter, vector)`", op.as_str()),
                None => format!("write `{}(vector)`", op.as_str()),
            };
            self.errors.push(error.label(format!("expected {wanted}")).help(help));
            self.unknown.push(span.clone());
            return self.node(ExprKind::Number(Number(f64::NAN)), span);
        };
        let aggregate = Aggregate { op, parameter, expr, grouping: grouping.unwrap_or_default() };
        self.node(ExprKind::Aggregate(Box::new(aggregate)), span)
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }
}
