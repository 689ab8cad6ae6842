//! Durations and the arithmetic allowed where one is expected.

use super::{Parsed, Parser};
use crate::promql::ast::{BinaryOp, Duration, DurationExpr};
use crate::promql::error::{BAD_NUMBER, ParseError};
use crate::promql::lexer::Kind;

/// Longest duration, in seconds: about 290 years, what fits 64 bits of nanoseconds.
const SECONDS_MAX: f64 = 9.2e9;

fn negate(value: DurationExpr) -> DurationExpr {
    match value {
        DurationExpr::Seconds(seconds) => DurationExpr::Seconds(-seconds),
        computed => DurationExpr::Negate(Box::new(computed)),
    }
}

impl Parser<'_> {
    /// The duration of a range or step: more than nothing.
    pub(super) fn positive_duration(&mut self) -> Parsed<Duration> {
        let start = self.token().span.start;
        let expr = self.duration_from(1)?;
        let duration = self.fixed(expr, start)?;
        if matches!(duration, Duration::Fixed(ms) if ms <= 0) {
            let span = start..self.last_end();
            self.errors.push(ParseError::new(BAD_NUMBER, span, "duration must be greater than 0"));
        }
        Ok(duration)
    }

    /// The duration of an offset: one value with a sign; arithmetic needs parentheses.
    pub(super) fn offset_duration(&mut self) -> Parsed<Duration> {
        let start = self.token().span.start;
        let negative = *self.kind() == Kind::Sub;
        if negative || *self.kind() == Kind::Add {
            self.advance();
        }
        let value = self.duration_value()?;
        self.fixed(if negative { negate(value) } else { value }, start)
    }

    /// Works the duration out if it does not depend on the query.
    fn fixed(&mut self, expr: DurationExpr, start: usize) -> Parsed<Duration> {
        if expr.is_computed() {
            return Ok(Duration::Computed(Box::new(expr)));
        }
        let seconds = expr.seconds(0.0, 0.0);
        if !seconds.is_finite() || seconds.abs() > SECONDS_MAX {
            let span = start..self.last_end();
            let error = ParseError::new(BAD_NUMBER, span, "duration is out of range");
            return self.stop(error.help("divide by something other than 0 and stay below 290 years"));
        }
        Ok(Duration::Fixed((seconds * 1000.0).round() as i64))
    }

    fn duration_from(&mut self, weakest: u8) -> Parsed<DurationExpr> {
        let negative = *self.kind() == Kind::Sub;
        let mut left = if negative || *self.kind() == Kind::Add {
            self.advance();
            let inner = self.deeper(|p| p.duration_from(6))?;
            if negative { negate(inner) } else { inner }
        } else {
            self.duration_value()?
        };
        let mut chain = 0;
        loop {
            let op = match self.kind() {
                Kind::Add => BinaryOp::Add,
                Kind::Sub => BinaryOp::Sub,
                Kind::Mul => BinaryOp::Mul,
                Kind::Div => BinaryOp::Div,
                Kind::Mod => BinaryOp::Mod,
                Kind::Pow => BinaryOp::Pow,
                _ => return Ok(left),
            };
            if op.precedence() < weakest {
                return Ok(left);
            }
            chain += 1;
            if chain > super::NESTING_MAX {
                let message = format!("duration chains more than {} operations", super::NESTING_MAX);
                let error = ParseError::new(crate::promql::error::TOO_BIG, self.token().span.clone(), message);
                return self.stop(error);
            }
            self.advance();
            let right = self.deeper(|p| p.duration_from(op.precedence() + u8::from(op != BinaryOp::Pow)))?;
            left = match (&left, &right) {
                // Parts that do not depend on the query are worked out at once.
                (DurationExpr::Seconds(a), DurationExpr::Seconds(b)) => {
                    let seconds = op.apply(*a, *b);
                    if !seconds.is_finite() {
                        let span = self.tokens[self.at.saturating_sub(1)].span.clone();
                        return self.stop(ParseError::new(BAD_NUMBER, span, "duration is not a finite number"));
                    }
                    DurationExpr::Seconds(seconds)
                }
                _ => DurationExpr::Binary(op, Box::new((left, right))),
            };
        }
    }

    fn duration_value(&mut self) -> Parsed<DurationExpr> {
        let name = self.word().map(str::to_ascii_lowercase);
        let calls = *self.peek(1) == Kind::LeftParen;
        match (self.kind(), name.as_deref()) {
            (Kind::Number(n) | Kind::Duration(n), _) => {
                self.advance();
                Ok(DurationExpr::Seconds(*n))
            }
            (Kind::LeftParen, _) => {
                self.advance();
                let inner = self.deeper(|p| p.duration_from(1))?;
                self.close(&Kind::RightParen, ')', "parenthesis", |_| "close the parenthesis".to_owned())?;
                Ok(inner)
            }
            (_, Some(name @ ("step" | "range"))) if calls => {
                self.advance();
                self.advance();
                self.close(&Kind::RightParen, ')', "argument list", |_| format!("write `{name}()`"))?;
                Ok(if name == "step" { DurationExpr::Step } else { DurationExpr::Range })
            }
            (_, Some(name @ ("min_of" | "max_of"))) if calls => {
                self.advance();
                self.advance();
                let first = self.deeper(|p| p.duration_from(1))?;
                if !self.take(&Kind::Comma) {
                    return self.unexpected("in duration", "`,`");
                }
                let second = self.deeper(|p| p.duration_from(1))?;
                self.close(&Kind::RightParen, ')', "argument list", |_| format!("write `{name}(5m, 1h)`"))?;
                let pair = Box::new((first, second));
                Ok(if name == "min_of" { DurationExpr::MinOf(pair) } else { DurationExpr::MaxOf(pair) })
            }
            _ => self.unexpected("in duration", "a duration such as `5m`"),
        }
    }
}
