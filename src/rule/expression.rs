//! `when`, `recover_when`, `value`: expressions over named queries, compiled once by `evalexpr`.
//!
//! All numbers are floating point: whole-number literals are compiled as such, because `evalexpr` would divide them
//! without a remainder and would find `0` and `0.0` different. Only functions without side effects and with one answer
//! are allowed.

use std::sync::Arc;

use evalexpr::{ContextWithMutableVariables, EvalexprError, HashMapContext, Node as Tree, Operator, Value};

use super::Expression;
use super::lexer::{self, TokenKind};
use super::reader::Reader;
use crate::diag::suggest;
use crate::yaml::Node;
use crate::yaml::shape::listed;

/// Longest expression, in bytes.
const EXPRESSION_LEN_MAX: usize = 4096;
/// Most tokens of an expression. Compiling and evaluating recurse, so this bounds their stack.
const EXPRESSION_TOKENS_MAX: usize = 400;

/// Functions that an expression may call.
pub const FUNCTIONS: &[&str] = &[
    "min",
    "max",
    "floor",
    "ceil",
    "round",
    "if",
    "math::abs",
    "math::ln",
    "math::log",
    "math::log2",
    "math::log10",
    "math::exp",
    "math::exp2",
    "math::pow",
    "math::sqrt",
    "math::cbrt",
    "math::hypot",
    "math::sin",
    "math::cos",
    "math::tan",
    "math::asin",
    "math::acos",
    "math::atan",
    "math::atan2",
    "math::sinh",
    "math::cosh",
    "math::tanh",
    "math::asinh",
    "math::acosh",
    "math::atanh",
];

/// What an expression must yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yields {
    Boolean,
    Number,
}

/// Names that may be used, and which of them were.
pub(super) struct Variables<'a> {
    pub names: Vec<&'a str>,
    pub used: Vec<bool>,
}

impl Reader<'_> {
    /// Compiles the expression under a key.
    pub fn expression(&mut self, node: &Node, yields: Yields, variables: &mut Variables<'_>) -> Option<Expression> {
        let text = node.text()?;
        let tokens = self.expression_tokens(node, text)?;
        if !self.check_names(node, text, &tokens, variables) {
            return None;
        }
        let tree = match evalexpr::build_operator_tree(text) {
            Ok(tree) => as_floats(tree),
            Err(error) => {
                let found = self.error("A201", node.span.clone(), format!("not an expression: {error}"));
                self.out.push(found);
                return None;
            }
        };
        self.trial(node, &tree, yields, &variables.names)?;
        Some(Expression { text: Arc::from(text), tree: Arc::new(tree) })
    }

    fn expression_tokens(&mut self, node: &Node, text: &str) -> Option<Vec<lexer::Token>> {
        if text.len() > EXPRESSION_LEN_MAX {
            let found = self.error(
                "A201",
                node.span.clone(),
                format!("the expression is longer than {EXPRESSION_LEN_MAX} bytes"),
            );
            self.out.push(found.with_help("move parts of it into `queries`"));
            return None;
        }
        let checked = lexer::tokens(text).and_then(|tokens| lexer::check_order(text, &tokens).map(|()| tokens));
        match checked {
            Ok(tokens) if tokens.len() <= EXPRESSION_TOKENS_MAX => Some(tokens),
            Ok(_) => {
                let message = format!("the expression has more than {EXPRESSION_TOKENS_MAX} parts");
                self.out
                    .push(self.error("A201", node.span.clone(), message).with_help("move parts of it into `queries`"));
                None
            }
            Err(fault) => {
                let code = if fault.message.contains("assigns") || fault.message.contains("one statement") {
                    "A205"
                } else {
                    "A201"
                };
                let mut found = self.error(code, self.inside(node, fault.span), fault.message).with_label(fault.label);
                found.help = fault.help;
                self.out.push(found);
                None
            }
        }
    }

    /// Whether all variables are queries and all functions exist.
    fn check_names(&mut self, node: &Node, text: &str, tokens: &[lexer::Token], variables: &mut Variables<'_>) -> bool {
        let before = self.out.len();
        for token in tokens {
            let name = &text[token.span.clone()];
            let (code, message, known): (_, _, Vec<&str>) = match token.kind {
                TokenKind::Variable => match variables.names.iter().position(|known| *known == name) {
                    Some(at) => {
                        variables.used[at] = true;
                        continue;
                    }
                    None => ("A202", format!("unknown name `{name}`"), variables.names.clone()),
                },
                TokenKind::Function if !FUNCTIONS.contains(&name) => {
                    ("A203", format!("unknown function `{name}`"), FUNCTIONS.to_vec())
                }
                _ => continue,
            };
            let place = self.inside(node, token.span.clone());
            let last = |full: &str| full.rsplit("::").next() == Some(name);
            let meant = known.iter().copied().find(|k| last(k)).or_else(|| suggest(name, known.iter().copied()));
            let (label, help) = match (meant, token.kind) {
                (Some(meant), _) => (format!("did you mean `{meant}`?"), None),
                (None, TokenKind::Function) => {
                    ("not known here".to_owned(), Some(format!("functions are {}", listed(&known))))
                }
                (None, _) => {
                    ("not one of `queries`".to_owned(), Some(format!("the names in `queries` are {}", listed(&known))))
                }
            };
            let mut found = self.error(code, place, message).with_label(label);
            found.help = help;
            self.out.push(found);
        }
        self.out.len() == before
    }

    /// Evaluates once with every query at 1, to find what cannot work with any value.
    fn trial(&mut self, node: &Node, tree: &Tree, yields: Yields, names: &[&str]) -> Option<()> {
        let mut context = HashMapContext::new();
        for name in names {
            // Setting fails only where the name already holds another type; all are floats.
            let _ = context.set_value((*name).to_owned(), Value::Float(1.0));
        }
        let problem = match (tree.eval_with_context(&context), yields) {
            (Ok(Value::Boolean(_)), Yields::Boolean) | (Ok(Value::Float(_) | Value::Int(_)), Yields::Number) => {
                return Some(());
            }
            (Ok(Value::Boolean(_)), Yields::Number) => "it yields true or false, not a number".to_owned(),
            (Ok(Value::Float(_) | Value::Int(_)), Yields::Boolean) => {
                "it yields a number, not true or false".to_owned()
            }
            (Ok(_), _) => "it yields neither a number nor true or false".to_owned(),
            (Err(error), _) => explain(&error),
        };
        let help = match yields {
            Yields::Boolean => "compare the number with a limit, such as `failed / total > 0.2`",
            Yields::Number => "write a calculation without a comparison, such as `failed / total`",
        };
        let found = self.error("A204", node.span.clone(), format!("the expression does not fit: {problem}"));
        let label = if yields == Yields::Boolean { "expected true or false" } else { "expected a number" };
        self.out.push(found.with_label(label).with_help(help));
        None
    }
}

/// The reason without the names of inner types.
fn explain(error: &EvalexprError) -> String {
    match error {
        EvalexprError::ExpectedBoolean { actual } => format!("`{actual}` is used as true or false"),
        EvalexprError::ExpectedNumber { actual } | EvalexprError::ExpectedNumberOrString { actual } => {
            format!("`{actual}` is used as a number")
        }
        EvalexprError::WrongTypeCombination { operator, .. } => {
            format!("`{}` cannot work on these values", operator.to_string().trim())
        }
        EvalexprError::WrongFunctionArgumentAmount { expected, actual } if expected.start() == expected.end() => {
            format!("a function takes {} arguments, not {actual}", expected.start())
        }
        EvalexprError::WrongOperatorArgumentAmount { .. } => "an operator lacks a value".to_owned(),
        EvalexprError::ExpectedFixedLengthTuple { expected_length, .. } => {
            format!("a function takes {expected_length} arguments")
        }
        other => other.to_string().trim_end_matches('.').to_lowercase(),
    }
}

/// The same tree with whole-number literals as floating-point numbers.
fn as_floats(mut tree: Tree) -> Tree {
    let mut todo = vec![&mut tree];
    while let Some(node) = todo.pop() {
        if let Operator::Const { value } = node.operator_mut()
            && let Value::Int(whole) = value
        {
            *value = Value::Float(*whole as f64);
        }
        todo.extend(node.children_mut().iter_mut());
    }
    tree
}
