//! Operators between operands, and how their series are matched.

use super::{Parsed, Parser};
use crate::promql::ast::{Binary, BinaryOp, CompareOp, Expr, ExprKind, Matching, Number, Side};
use crate::promql::error::{BAD_MATCHING, ParseError};
use crate::promql::lexer::Kind;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.binary_from(1)
    }

    /// An expression of operators that bind at least as strongly as `weakest`.
    pub(super) fn binary_from(&mut self, weakest: u8) -> Parsed<Expr> {
        let mut left = self.operand()?;
        while let Some(op) = self.operator() {
            if op.precedence() < weakest {
                break;
            }
            let op_span = self.advance().span.clone();
            let return_bool = self.take_word("bool");
            if return_bool && !matches!(op, BinaryOp::Compare(_)) {
                let span = self.tokens[self.at - 1].span.clone();
                let message = "`bool` can only be used with comparison operators";
                self.errors.push(ParseError::new(BAD_MATCHING, span, message).help("remove `bool`"));
            }
            let matching = self.matching()?;
            // `^` associates to the right, everything else to the left.
            let right = match op {
                BinaryOp::Pow => self.deeper(|p| p.binary_from(op.precedence()))?,
                _ => self.binary_from(op.precedence() + 1)?,
            };
            let span = left.span.start..right.span.end.max(op_span.end);
            let binary = Binary { op, left, right, return_bool, matching };
            left = self.node(ExprKind::Binary(Box::new(binary)), span)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(match self.kind() {
            Kind::Add => BinaryOp::Add,
            Kind::Sub => BinaryOp::Sub,
            Kind::Mul => BinaryOp::Mul,
            Kind::Div => BinaryOp::Div,
            Kind::Mod => BinaryOp::Mod,
            Kind::Pow => BinaryOp::Pow,
            Kind::EqualEqual => BinaryOp::Compare(CompareOp::Equal),
            Kind::NotEqual => BinaryOp::Compare(CompareOp::NotEqual),
            Kind::Greater => BinaryOp::Compare(CompareOp::Greater),
            Kind::Less => BinaryOp::Compare(CompareOp::Less),
            Kind::GreaterEqual => BinaryOp::Compare(CompareOp::GreaterOrEqual),
            Kind::LessEqual => BinaryOp::Compare(CompareOp::LessOrEqual),
            Kind::TrimUpper => BinaryOp::TrimUpper,
            Kind::TrimLower => BinaryOp::TrimLower,
            Kind::Identifier => match self.word()?.to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn matching(&mut self) -> Parsed<Option<Matching>> {
        let mut matching = Matching::default();
        let mut written = false;
        if self.is_word("on") || self.is_word("ignoring") {
            matching.on = self.is_word("on");
            self.advance();
            matching.labels = self.label_list()?;
            written = true;
            let side = if self.is_word("group_left") {
                Some(Side::Left)
            } else if self.is_word("group_right") {
                Some(Side::Right)
            } else {
                None
            };
            if let Some(side) = side {
                self.advance();
                // A parenthesis here always belongs to the modifier.
                let labels = if *self.kind() == Kind::LeftParen { self.label_list()? } else { Vec::new() };
                matching.group = Some((side, labels));
            }
        } else if self.is_word("group_left") || self.is_word("group_right") {
            let message = format!("{} needs `on` or `ignoring` before it", self.found());
            let error = ParseError::new(BAD_MATCHING, self.token().span.clone(), message);
            return self.stop(error.help("write `on (label, …) group_left`"));
        }
        while *self.peek(1) == Kind::LeftParen {
            let (left, right) = match self.word().map(str::to_ascii_lowercase).as_deref() {
                Some("fill") => (true, true),
                Some("fill_left") => (true, false),
                Some("fill_right") => (false, true),
                _ => break,
            };
            self.advance();
            let value = Some(self.fill_value()?);
            written = true;
            if left {
                matching.fill_left = value;
            }
            if right {
                matching.fill_right = value;
            }
        }
        // `ignoring ()` says what is true without it.
        Ok((written && matching != Matching::default()).then_some(matching))
    }

    /// `( number )`
    fn fill_value(&mut self) -> Parsed<Number> {
        self.advance();
        let value = self.signed_number("as fill value")?;
        self.close(&Kind::RightParen, ')', "fill value", |_| "write `fill(0)`".to_owned())?;
        Ok(Number(value))
    }

    /// A number with any sign.
    pub(super) fn signed_number(&mut self, context: &str) -> Parsed<f64> {
        let sign = match self.kind() {
            Kind::Sub => -1.0,
            _ => 1.0,
        };
        if matches!(self.kind(), Kind::Sub | Kind::Add) {
            self.advance();
        }
        let value = match self.kind() {
            Kind::Number(n) | Kind::Duration(n) => *n,
            Kind::Identifier if self.is_word("inf") => f64::INFINITY,
            Kind::Identifier if self.is_word("nan") => f64::NAN,
            _ => return self.unexpected(context, "a number"),
        };
        self.advance();
        Ok(sign * value)
    }
}
