//! What a well-formed tree may still get wrong: types, argument counts, vector matching, empty selectors.
//!
//! Reports every finding; a part whose type is unknown (a call of an unknown function) causes none.

use std::collections::BTreeSet;
use std::ops::Range;

use super::ast::{Aggregate, Binary, BinaryOp, Call, Edges, Expr, ExprKind, Selector, ValueType};
use super::error::{ARGUMENT_COUNT, BAD_MATCHER, BAD_MATCHING, ParseError, WRONG_TYPE};
use crate::model::labels::METRIC_NAME;

/// Checks a tree; `unknown` are the bytes of parts whose type cannot be told.
pub(crate) fn check(expr: &Expr, unknown: &[Range<usize>], errors: &mut Vec<ParseError>) {
    let unknown = unknown.iter().map(|span| (span.start, span.end)).collect();
    Checker { unknown, errors }.expr(expr);
}

struct Checker<'a> {
    unknown: BTreeSet<(usize, usize)>,
    errors: &'a mut Vec<ParseError>,
}

impl Checker<'_> {
    fn push(&mut self, error: ParseError) {
        self.errors.push(error);
    }

    fn is_unknown(&self, expr: &Expr) -> bool {
        let span = &expr.inner().span;
        self.unknown.contains(&(span.start, span.end))
    }

    /// The type of a part after it has been checked.
    fn expr(&mut self, expr: &Expr) -> Option<ValueType> {
        if self.is_unknown(expr) {
            return None;
        }
        match &expr.kind {
            ExprKind::Number(_) => Some(ValueType::Scalar),
            ExprKind::Text(_) => Some(ValueType::String),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Unary(_, inner) => {
                let found = self.expr(inner)?;
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let message = format!("a sign cannot stand before a {}", found.as_str());
                    self.push(ParseError::new(WRONG_TYPE, inner.span.clone(), message));
                    return None;
                }
                Some(found)
            }
            ExprKind::Binary(binary) => self.binary(binary, expr),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Call(call) => self.call(call, expr),
            ExprKind::Vector(selector) => {
                self.selector(selector, expr);
                Some(ValueType::Vector)
            }
            ExprKind::Matrix(selector, _) => {
                self.selector(selector, expr);
                Some(ValueType::Matrix)
            }
            ExprKind::Subquery(subquery) => {
                self.expect(&subquery.expr, ValueType::Vector, "a subquery");
                Some(ValueType::Matrix)
            }
        }
    }

    fn expect(&mut self, expr: &Expr, wanted: ValueType, place: &str) {
        let Some(found) = self.expr(expr) else { return };
        if found == wanted {
            return;
        }
        let message = format!("{place} needs {}, not {}", wanted.with_article(), found.with_article());
        let error = ParseError::new(WRONG_TYPE, expr.span.clone(), message);
        let error = error.label(format!("this is {}", found.with_article()));
        self.push(match (wanted, found) {
            (ValueType::Matrix, ValueType::Vector) => error.help("add a range such as `[5m]`"),
            (ValueType::Vector, ValueType::Matrix) => {
                error.help("put a function such as `rate(…)` or `avg_over_time(…)` around it, or remove the range")
            }
            (ValueType::Vector, ValueType::Scalar) => error.help("write `vector(…)` around it"),
            (ValueType::Scalar, ValueType::Vector) => error.help("write `scalar(…)` around it"),
            (ValueType::String, _) => error.help("put it in quotes"),
            _ => error,
        });
    }

    fn selector(&mut self, selector: &Selector, expr: &Expr) {
        if selector.matchers.iter().all(|m| m.matches("")) {
            let message = "a selector needs a metric name or a matcher that does not match the empty string";
            self.push(ParseError::new(BAD_MATCHER, expr.span.clone(), message).help("name the metric"));
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Option<ValueType> {
        let name = aggregate.op.as_str();
        if let (Some(parameter), Some(wanted)) = (&aggregate.parameter, aggregate.op.parameter()) {
            self.expect(parameter, wanted, &format!("the parameter of `{name}`"));
        }
        self.expect(&aggregate.expr, ValueType::Vector, &format!("aggregation `{name}`"));
        Some(ValueType::Vector)
    }

    fn binary(&mut self, binary: &Binary, expr: &Expr) -> Option<ValueType> {
        let (left, right) = (self.expr(&binary.left), self.expr(&binary.right));
        let op = binary.op.as_str();
        let mut sound = true;
        for (side, found) in [(&binary.left, left), (&binary.right, right)] {
            let Some(found) = found else { continue };
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = format!("operator `{op}` needs scalars or instant vectors, not a {}", found.as_str());
                let error = ParseError::new(WRONG_TYPE, side.span.clone(), message);
                self.push(error.label(format!("this is {}", found.with_article())));
                sound = false;
            }
        }
        let (left, right) = (left?, right?);
        if !sound {
            return None;
        }
        let vectors = left == ValueType::Vector && right == ValueType::Vector;
        if binary.op.is_set() && !vectors {
            let scalar = if left == ValueType::Scalar { &binary.left } else { &binary.right };
            let message = format!("set operator `{op}` needs a vector on both sides");
            let error = ParseError::new(WRONG_TYPE, scalar.span.clone(), message).label("this is a scalar");
            self.push(error.help("write `vector(…)` around it"));
        }
        let both_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
        if both_scalar && binary.op.is_trim() {
            let message = format!("operator `{op}` needs histograms on its left, not a scalar");
            let error = ParseError::new(WRONG_TYPE, binary.left.span.clone(), message).label("this is a scalar");
            self.push(error.help("write an instant vector of native histograms on the left"));
        }
        if both_scalar && matches!(binary.op, BinaryOp::Compare(_)) && !binary.return_bool {
            let message = "comparisons between scalars must use `bool`";
            self.push(ParseError::new(BAD_MATCHING, expr.span.clone(), message).help(format!("write `{op} bool`")));
        }
        self.matching(binary, expr, vectors);
        Some(if both_scalar { ValueType::Scalar } else { ValueType::Vector })
    }

    fn matching(&mut self, binary: &Binary, expr: &Expr, vectors: bool) {
        let Some(matching) = &binary.matching else { return };
        let op = binary.op.as_str();
        let mut say = |message: String| self.push(ParseError::new(BAD_MATCHING, expr.span.clone(), message));
        if !vectors {
            say("vector matching is only allowed between instant vectors".to_owned());
            return;
        }
        if binary.op.is_set() {
            if matching.group.is_some() {
                say(format!("no grouping allowed for `{op}`"));
            }
            if matching.fill_left.is_some() || matching.fill_right.is_some() {
                say(format!("no fill allowed for `{op}`"));
            }
        }
        if let (true, Some((_, include))) = (matching.on, &matching.group) {
            for label in include.iter().filter(|l| matching.labels.contains(l)) {
                say(format!("label `{label}` must not be in both `on` and the group's labels"));
            }
        }
    }

    fn call(&mut self, call: &Call, expr: &Expr) -> Option<ValueType> {
        let function = call.function;
        let (least, most) = function.argument_counts();
        let given = call.args.len();
        if given < least || most.is_some_and(|most| given > most) {
            let expected = match most {
                Some(most) if most == least => format!("{least}"),
                Some(most) => format!("{least} to {most}"),
                None => format!("{least} or more"),
            };
            let message = format!("wrong number of arguments for `{}`: {given}", function.name);
            let error = ParseError::new(ARGUMENT_COUNT, expr.span.clone(), message);
            self.push(error.label(format!("expected {expected}")).help(function.signature()));
            // Which argument is which cannot be told, so their types are not judged, only what stands inside them.
            for arg in &call.args {
                self.expr(arg);
            }
            return Some(function.result);
        }
        for (i, arg) in call.args.iter().enumerate() {
            if function.name == "info" && i == 1 {
                self.info_selector(arg);
                continue;
            }
            let wanted = function.args.get(i).or(function.args.last().filter(|_| function.repeats));
            match wanted {
                Some(wanted) => self.expect(arg, *wanted, &format!("`{}`", function.name)),
                None => {
                    self.expr(arg);
                }
            }
            self.edges(call, arg);
        }
        Some(function.result)
    }

    fn edges(&mut self, call: &Call, arg: &Expr) {
        let ExprKind::Matrix(selector, _) = &arg.inner().kind else { return };
        let name = call.function.name;
        let (word, allowed): (&str, &[&str]) = match selector.edges {
            Edges::Plain => return,
            Edges::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
            Edges::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
        };
        if !allowed.contains(&name) {
            let message = format!("{word} modifier can only be used with: {} - not with {name}", allowed.join(", "));
            self.push(ParseError::new(BAD_MATCHING, arg.span.clone(), message));
        }
    }

    /// The second argument of `info` selects labels, not series: it may match the empty string.
    fn info_selector(&mut self, arg: &Expr) {
        let help = "write the labels to take over, such as `{version=~\".+\"}`";
        match &arg.inner().kind {
            ExprKind::Vector(s) if s.offset.is_none() && s.at.is_none() => {
                let bare = s.matchers.first().is_some_and(|m| m.name == METRIC_NAME);
                if bare && s.matcher_spans.first().is_some_and(|span| span.start == arg.inner().span.start) {
                    let message = "`info` takes label matchers in braces, not a metric name";
                    self.push(ParseError::new(WRONG_TYPE, arg.span.clone(), message).help(help));
                }
            }
            _ => {
                let message = "the second argument of `info` must be label matchers in braces";
                self.push(ParseError::new(WRONG_TYPE, arg.span.clone(), message).help(help));
            }
        }
    }
}
