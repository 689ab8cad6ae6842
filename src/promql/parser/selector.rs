//! Selectors, their matchers, and what may stand behind an operand: ranges, subqueries, `offset`, `@`.

use std::ops::Range;

use super::{Parsed, Parser};
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::{At, Duration, Edges, Expr, ExprKind, Selector, Subquery};
use crate::promql::error::{BAD_MATCHER, BAD_NUMBER, ParseError, SYNTAX, UNCLOSED, WRONG_TYPE};
use crate::promql::lexer::Kind;
use crate::promql::matcher::{MatchOp, Matcher};

impl Parser<'_> {
    /// A selector, after its name if it has one outside the braces.
    pub(super) fn selector(&mut self, name_span: Option<Range<usize>>) -> Parsed<Expr> {
        let mut matchers = Vec::new();
        let mut matcher_spans = Vec::new();
        let start = name_span.as_ref().map_or(self.token().span.start, |s| s.start);
        if let Some(span) = &name_span {
            matchers.push(Matcher::equal(METRIC_NAME, self.slice(span)));
            matcher_spans.push(span.clone());
        }
        if *self.kind() == Kind::LeftBrace {
            self.braces(name_span.is_some(), &mut matchers, &mut matcher_spans)?;
        }
        let selector = Selector { matchers, matcher_spans, offset: None, at: None, edges: Edges::Plain };
        self.node(ExprKind::Vector(selector), start..self.last_end())
    }

    fn braces(&mut self, named: bool, matchers: &mut Vec<Matcher>, spans: &mut Vec<Range<usize>>) -> Parsed<()> {
        self.advance();
        let mut named = named;
        while *self.kind() != Kind::RightBrace {
            let span = self.token().span.clone();
            let name = match self.kind() {
                Kind::Text(text) => text.clone(),
                Kind::Identifier => self.slice(&span).to_owned(),
                Kind::RightParen | Kind::RightBracket | Kind::End => return self.unclosed_braces(),
                _ => return self.unexpected("in label matching", "a label name or `}`"),
            };
            let quoted = matches!(self.kind(), Kind::Text(_));
            self.advance();
            let op = match self.kind() {
                Kind::Assign => MatchOp::Equal,
                Kind::NotEqual => MatchOp::NotEqual,
                Kind::EqualRegex => MatchOp::Regex,
                Kind::NotRegex => MatchOp::NotRegex,
                Kind::Comma | Kind::RightBrace if quoted => {
                    if named {
                        let message = "metric name must not be set twice";
                        self.errors.push(ParseError::new(BAD_MATCHER, span.clone(), message));
                    }
                    named = true;
                    matchers.insert(0, Matcher::equal(METRIC_NAME, name));
                    spans.insert(0, span);
                    self.take(&Kind::Comma);
                    continue;
                }
                Kind::EqualEqual => {
                    let error = ParseError::new(SYNTAX, self.token().span.clone(), "unexpected `==` in label matching");
                    return self.stop(error.label("expected `=`").help("labels are matched with `=`"));
                }
                _ => return self.unexpected("in label matching", "`=`, `!=`, `=~` or `!~`"),
            };
            self.advance();
            let Kind::Text(value) = self.kind() else {
                return self.unexpected("in label matching", "a string in quotes");
            };
            let whole = span.start..self.advance().span.end;
            self.add_matcher(named, (name, op, value), whole, (matchers, spans));
            if !self.take(&Kind::Comma) && *self.kind() != Kind::RightBrace {
                return match self.kind() {
                    Kind::Identifier | Kind::Text(_) => self.unexpected("in label matching", "`,` or `}`"),
                    _ => self.unclosed_braces(),
                };
            }
        }
        self.advance();
        Ok(())
    }

    fn unclosed_braces<T>(&mut self) -> Parsed<T> {
        let error = ParseError::new(UNCLOSED, self.token().span.clone(), "unclosed label matchers");
        self.stop(error.label("expected `}`").help("close the braces after the last matcher"))
    }

    fn add_matcher(
        &mut self,
        named: bool,
        (name, op, value): (String, MatchOp, &str),
        span: Range<usize>,
        (matchers, spans): (&mut Vec<Matcher>, &mut Vec<Range<usize>>),
    ) {
        if named && name == METRIC_NAME && op == MatchOp::Equal {
            let message = "metric name must not be set twice";
            self.errors.push(ParseError::new(BAD_MATCHER, span, message).help("keep one of the two names"));
            return;
        }
        match Matcher::new(name, op, value) {
            Ok(matcher) => {
                matchers.push(matcher);
                spans.push(span);
            }
            Err(message) => {
                // The regex crate draws the pattern over several lines; its last line says what is wrong.
                let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let error = ParseError::new(BAD_MATCHER, span, format!("bad regular expression: {reason}"));
                self.errors.push(error.help("regular expressions are RE2 and match the whole value"));
            }
        }
    }

    /// `( label, … )`
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        if !self.take(&Kind::LeftParen) {
            if *self.kind() == Kind::Identifier {
                let label = self.slice(&self.token().span).to_owned();
                let error = ParseError::new(SYNTAX, self.token().span.clone(), "labels stand in brackets".to_owned());
                return self.stop(error.label("expected `(`").help(format!("write `({label})`")));
            }
            return self.unexpected("in grouping", "`(`");
        }
        let mut labels = Vec::new();
        while *self.kind() != Kind::RightParen {
            let name = match self.kind() {
                Kind::Identifier => self.slice(&self.token().span).to_owned(),
                Kind::Text(text) if !text.is_empty() => text.clone(),
                _ => return self.unexpected("in grouping", "a label name or `)`"),
            };
            if *self.kind() == Kind::Identifier && name.contains([':', '.']) {
                let error = ParseError::new(SYNTAX, self.token().span.clone(), format!("bad label name `{name}`"));
                return self.stop(error.help(format!("put it in quotes: `\"{name}\"`")));
            }
            self.advance();
            labels.push(name);
            if !self.take(&Kind::Comma) && *self.kind() != Kind::RightParen {
                return self.unexpected("in grouping", "`,` or `)`");
            }
        }
        self.advance();
        Ok(labels)
    }

    /// Everything that may follow an operand.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            expr = match self.kind() {
                Kind::LeftBracket => self.range(expr)?,
                Kind::At => self.at_modifier(expr)?,
                Kind::Identifier if self.is_word("offset") => self.offset(expr)?,
                Kind::Identifier if self.is_word("anchored") => self.edges(expr, Edges::Anchored)?,
                Kind::Identifier if self.is_word("smoothed") => self.edges(expr, Edges::Smoothed)?,
                _ => return Ok(expr),
            };
        }
    }

    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.advance().span.clone();
        let start = self.token().span.clone();
        let range = self.positive_duration()?;
        let written = self.slice(&(start.start..self.last_end()));
        if !self.take(&Kind::Colon) {
            let help = |_: &Self| format!("write `[{written}]`");
            self.close(&Kind::RightBracket, ']', "range selector", help)?;
            let brackets = open.start..self.last_end();
            let span = expr.span.start..self.last_end();
            let message = match expr.kind {
                ExprKind::Vector(selector) if selector.offset.is_none() && selector.at.is_none() => {
                    return self.node(ExprKind::Matrix(selector, range), span);
                }
                ExprKind::Vector(_) => "a range must stand before `offset` and `@`",
                _ => "ranges are only allowed behind selectors",
            };
            let error = ParseError::new(WRONG_TYPE, brackets, message);
            let help = format!("move the range to the metric, or write a subquery: `[{written}:1m]`");
            return self.stop(error.help(help));
        }
        let step = if *self.kind() == Kind::RightBracket { None } else { Some(self.positive_duration()?) };
        let all = self.slice(&(start.start..self.last_end()));
        self.close(&Kind::RightBracket, ']', "subquery", |_| format!("write `[{all}]`"))?;
        let span = expr.span.start..self.last_end();
        let subquery = Subquery { expr, range, step, offset: None, at: None };
        self.node(ExprKind::Subquery(Box::new(subquery)), span)
    }

    /// Applies a change to the selector or subquery just read.
    fn modify(
        &mut self,
        expr: Expr,
        what: (&str, Range<usize>),
        change: impl FnOnce(&mut Option<Duration>, &mut Option<At>) -> bool,
    ) -> Parsed<Expr> {
        let (word, word_span) = what;
        let span = expr.span.start..self.last_end();
        let mut kind = expr.kind;
        let fresh = match &mut kind {
            ExprKind::Vector(s) | ExprKind::Matrix(s, _) => change(&mut s.offset, &mut s.at),
            ExprKind::Subquery(s) => change(&mut s.offset, &mut s.at),
            _ => {
                let message = format!("`{word}` must stand directly behind a selector or subquery");
                let error = ParseError::new(SYNTAX, word_span, message);
                return self.stop(error.help("move it to the metric it is meant for"));
            }
        };
        if !fresh {
            return self.stop(ParseError::new(SYNTAX, word_span, format!("`{word}` must not be set twice")));
        }
        self.node(kind, span)
    }

    fn offset(&mut self, expr: Expr) -> Parsed<Expr> {
        let word = self.advance().span.clone();
        let duration = self.offset_duration()?;
        self.modify(expr, ("offset", word), |offset, _| offset.replace(duration).is_none())
    }

    fn at_modifier(&mut self, expr: Expr) -> Parsed<Expr> {
        let sign = self.advance().span.clone();
        let start = self.is_word("start");
        let at = if (start || self.is_word("end")) && *self.peek(1) == Kind::LeftParen {
            self.advance();
            self.advance();
            self.close(&Kind::RightParen, ')', "argument list", |_| "write `start()` or `end()`".to_owned())?;
            if start { At::Start } else { At::End }
        } else {
            let span = self.token().span.clone();
            let seconds = self.signed_number("behind `@`")?;
            if !seconds.is_finite() || seconds.abs() > 9e12 {
                let span = span.start..self.last_end();
                return self.stop(ParseError::new(BAD_NUMBER, span, "timestamp is out of range"));
            }
            At::Time((seconds * 1000.0).round() as i64)
        };
        self.modify(expr, ("@", sign), |_, slot| slot.replace(at).is_none())
    }

    fn edges(&mut self, expr: Expr, edges: Edges) -> Parsed<Expr> {
        let word = self.advance().span.clone();
        let span = expr.span.start..word.end;
        let mut kind = expr.kind;
        match &mut kind {
            // An anchored instant is a plain one, as in Prometheus.
            ExprKind::Vector(s) | ExprKind::Matrix(s, _) if s.edges == Edges::Plain => s.edges = edges,
            _ => {
                let message = "`anchored` or `smoothed` belongs once behind a selector";
                return self.stop(ParseError::new(SYNTAX, word, message));
            }
        }
        self.node(kind, span)
    }
}
