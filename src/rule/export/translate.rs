//! The condition of a rule as PromQL.

use std::sync::Arc;

use evalexpr::{Node, Operator, Value};

use crate::model::Severity;
use crate::promql::{Expr, ExprKind, ParseOptions, ValueType, parse};
use crate::rule::{Condition, Query, Rule, Threshold};
use crate::schedule::Schedule;

/// An alert as Prometheus has it.
pub(super) struct Written {
    pub expr: String,
    /// Of a rule with several levels: that of this one.
    pub severity: Option<Severity>,
}

/// What a rule becomes: one alert, or one for each of its levels. The error says why it cannot.
pub(super) fn rule(rule: &Rule) -> Result<Vec<Written>, &'static str> {
    if matches!(rule.schedule, Schedule::Cron(_)) {
        return Err("it is evaluated by a calendar, which Prometheus does not have");
    }
    if !rule.enabled {
        return Err("it is disabled, and Prometheus evaluates every rule");
    }
    let one = |expr: String| vec![Written { expr, severity: None }];
    match &rule.condition {
        Condition::Record { query } | Condition::PromQl { query, .. } => Ok(one(query.text.to_string())),
        Condition::Anomaly { .. } => Err("Prometheus has no detector of anomalies"),
        Condition::Expression { queries, when, .. } => Translator { queries }.condition(&when.tree).map(one),
        Condition::Threshold { signal, levels } => {
            let signal = operand(signal);
            let several = levels.len() > 1;
            let level = |level: &crate::rule::Level| Written {
                expr: compared(&signal, level.threshold),
                severity: several.then_some(level.severity),
            };
            Ok(levels.iter().map(level).collect())
        }
    }
}

/// A signal as the operand of a comparison, in brackets where it needs them. Where the text is a whole comparison whose
/// left side is the signal, that side.
fn operand(signal: &Query) -> String {
    let Ok(expr) = parse(&signal.text, &ParseOptions { dotted_names: true }) else {
        return format!("({})", signal.text);
    };
    let compares = expr.comparison().is_some();
    match (compares, without_brackets(expr)) {
        (true, Expr { kind: ExprKind::Binary(binary), .. }) => bracketed(binary.left.to_string(), &binary.left),
        (_, expr) => bracketed(signal.text.to_string(), &expr),
    }
}

fn without_brackets(mut expr: Expr) -> Expr {
    while let ExprKind::Paren(inner) = expr.kind {
        expr = *inner;
    }
    expr
}

fn bracketed(text: String, expr: &Expr) -> String {
    if matches!(expr.kind, ExprKind::Binary(_) | ExprKind::Unary(..)) { format!("({text})") } else { text }
}

fn compared(signal: &str, threshold: Threshold) -> String {
    match threshold {
        Threshold::Outside(low, high) => format!("{signal} < {low} or {signal} > {high}"),
        Threshold::Inside(low, high) => format!("{signal} >= {low} <= {high}"),
        plain => format!("{signal} {plain}"),
    }
}

/// What a part of an expression yields in PromQL.
#[derive(Clone, Copy, PartialEq)]
enum Yields {
    Number,
    Vector,
    /// The series for which something holds.
    Holding,
}

struct Translator<'a> {
    queries: &'a [(Arc<str>, Query)],
}

const NO_CONDITION: &str = "its condition holds or not for all series at once";
const NO_NUMBER: &str = "its condition calculates with conditions";

impl Translator<'_> {
    fn condition(&self, root: &Node) -> Result<String, &'static str> {
        match self.part(root)? {
            (text, Yields::Holding) => Ok(text),
            _ => Err(NO_CONDITION),
        }
    }

    fn part(&self, node: &Node) -> Result<(String, Yields), &'static str> {
        let children = node.children();
        match (node.operator(), children) {
            (Operator::RootNode, [only]) => self.part(only),
            (Operator::Const { value }, _) => number(value),
            (Operator::VariableIdentifierRead { identifier }, _) => self.query(identifier),
            (Operator::FunctionIdentifier { identifier }, [argument]) => self.call(identifier, argument),
            (Operator::Neg, [of]) => match self.part(of)? {
                (_, Yields::Holding) => Err(NO_NUMBER),
                (text, yields) => Ok((format!("-({text})"), yields)),
            },
            (operator, [left, right]) => self.binary(operator, left, right),
            _ => Err("PromQL has no equal for a part of its condition"),
        }
    }

    fn binary(&self, operator: &Operator, left: &Node, right: &Node) -> Result<(String, Yields), &'static str> {
        let ((a, of_a), (b, of_b)) = (self.part(left)?, self.part(right)?);
        let word = match operator {
            Operator::Add => "+",
            Operator::Sub => "-",
            Operator::Mul => "*",
            Operator::Div => "/",
            Operator::Mod => "%",
            Operator::Exp => "^",
            Operator::Eq => "==",
            Operator::Neq => "!=",
            Operator::Gt => ">",
            Operator::Lt => "<",
            Operator::Geq => ">=",
            Operator::Leq => "<=",
            Operator::And => "and",
            Operator::Or => "or",
            _ => return Err("PromQL has no equal for a part of its condition"),
        };
        let text = format!("{} {word} {}", inner(left, a), inner(right, b));
        let holding = [of_a, of_b].iter().filter(|yields| **yields == Yields::Holding).count();
        let numbers = of_a == Yields::Number && of_b == Yields::Number;
        match (operator, holding) {
            (Operator::And | Operator::Or, 2) => Ok((text, Yields::Holding)),
            (Operator::And | Operator::Or, _) => Err(NO_CONDITION),
            (_, 1..) => Err(NO_NUMBER),
            (Operator::Add | Operator::Sub | Operator::Mul | Operator::Div | Operator::Mod | Operator::Exp, _) => {
                Ok((text, if numbers { Yields::Number } else { Yields::Vector }))
            }
            _ if numbers => Err(NO_CONDITION),
            _ => Ok((text, Yields::Holding)),
        }
    }

    fn query(&self, name: &str) -> Result<(String, Yields), &'static str> {
        let query = self.queries.iter().find(|(known, _)| **known == *name).map(|(_, query)| query);
        let query = query.ok_or("its condition names no query")?;
        let yields = match query.plan.value_type() {
            ValueType::Scalar => Yields::Number,
            _ => Yields::Vector,
        };
        let text = match parse(&query.text, &ParseOptions::default()) {
            Ok(expr) => bracketed(query.text.to_string(), &expr),
            Err(_) => format!("({})", query.text),
        };
        Ok((text, yields))
    }

    fn call(&self, name: &str, argument: &Node) -> Result<(String, Yields), &'static str> {
        let function = match name {
            "floor" => "floor",
            "ceil" => "ceil",
            "math::abs" => "abs",
            "math::sqrt" => "sqrt",
            "math::exp" => "exp",
            "math::ln" => "ln",
            "math::log2" => "log2",
            "math::log10" => "log10",
            _ => return Err("PromQL has no equal for a function of its condition"),
        };
        match self.part(argument)? {
            (text, Yields::Vector) => Ok((format!("{function}({text})"), Yields::Vector)),
            _ => Err(NO_NUMBER),
        }
    }
}

/// A part as an operand: in brackets where it is an operation itself, of one side or two (`^` binds closer than a sign).
fn inner(node: &Node, text: String) -> String {
    let mut node = node;
    while let (Operator::RootNode, [only]) = (node.operator(), node.children()) {
        node = only;
    }
    let signed = matches!(node.operator(), Operator::Neg);
    if signed || node.children().len() == 2 { format!("({text})") } else { text }
}

fn number(value: &Value) -> Result<(String, Yields), &'static str> {
    match value {
        Value::Float(number) => Ok((number.to_string(), Yields::Number)),
        Value::Int(number) => Ok((number.to_string(), Yields::Number)),
        _ => Err("its condition holds a text or a constant truth"),
    }
}
