//! The `queries` + `when` form: joins the results of several queries on equal label sets and evaluates evalexpr
//! expressions over each row.

use std::sync::Arc;

use evalexpr::{Context, EvalexprError, EvalexprResult, Value};

use super::{EvalFailure, LevelBits, Signal, observe::EvalContext};
use crate::model::{Labels, Timestamp};
use crate::promql::{Plan, ValueType, VectorSample};
use crate::rule::{Expression, Query};

/// The parts of the condition.
pub(super) struct Parts<'a> {
    pub queries: &'a [(Arc<str>, Query)],
    pub when: &'a Expression,
    pub recover_when: Option<&'a Expression>,
    pub value: Option<&'a Expression>,
}

/// One row of the join, seen by evalexpr as variables.
struct Row<'a> {
    names: &'a [(Arc<str>, Query)],
    values: Vec<Value>,
}

impl Context for Row<'_> {
    fn get_value(&self, identifier: &str) -> Option<&Value> {
        let index = self.names.iter().position(|(name, _)| **name == *identifier)?;
        self.values.get(index)
    }

    fn call_function(&self, identifier: &str, _argument: &Value) -> EvalexprResult<Value> {
        Err(EvalexprError::FunctionIdentifierNotFound(identifier.to_owned()))
    }

    fn are_builtin_functions_disabled(&self) -> bool {
        false
    }

    fn set_builtin_functions_disabled(&mut self, _disabled: bool) -> EvalexprResult<()> {
        Err(EvalexprError::BuiltinFunctionsCannotBeDisabled)
    }
}

/// A column of the join: a number for every row, or one value per label set.
enum Column {
    /// `vector` results hold one value per label set, sorted by it.
    Series(Vec<(Labels, f64)>),
    /// A scalar query joins with every row.
    Constant(f64),
}

impl Column {
    fn get(&self, labels: &Labels) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Series(rows) => {
                rows.binary_search_by(|(l, _)| l.cmp(labels)).ok().and_then(|i| rows.get(i)).map(|(_, v)| *v)
            }
        }
    }
}

/// Evaluates the queries, joins them and judges every row.
///
/// A label set that one of the queries lacks yields no row: the condition cannot be told, which is "no data" for it.
pub(super) fn observe(parts: &Parts<'_>, context: &EvalContext<'_>, at: Timestamp) -> Result<Vec<Signal>, EvalFailure> {
    let mut columns = Vec::with_capacity(parts.queries.len());
    for (name, query) in parts.queries {
        columns.push(column(name, &query.plan, context.numbers(query, at)?)?);
    }
    let keys: Vec<Labels> = match columns.iter().find_map(|c| match c {
        Column::Series(rows) => Some(rows),
        Column::Constant(_) => None,
    }) {
        Some(rows) => rows.iter().map(|(labels, _)| labels.clone()).collect(),
        None => vec![Labels::empty()],
    };
    let mut signals = Vec::with_capacity(keys.len());
    for labels in keys {
        let Some(values) = columns.iter().map(|c| c.get(&labels)).collect::<Option<Vec<f64>>>() else { continue };
        signals.push(judge(parts, labels, &values)?);
    }
    Ok(signals)
}

fn column(name: &str, plan: &Plan, samples: Vec<VectorSample>) -> Result<Column, EvalFailure> {
    if plan.value_type() == ValueType::Scalar {
        return Ok(Column::Constant(samples.first().map_or(f64::NAN, |s| s.value)));
    }
    let mut rows: Vec<(Labels, f64)> = samples.into_iter().map(|s| (s.labels.without_name(), s.value)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = rows.windows(2).find(|w| w[0].0 == w[1].0) {
        let message = format!("query `{name}` yields two series with the labels {}", pair[0].0);
        return Err(EvalFailure { message });
    }
    Ok(Column::Series(rows))
}

fn judge(parts: &Parts<'_>, labels: Labels, values: &[f64]) -> Result<Signal, EvalFailure> {
    let row = Row { names: parts.queries, values: values.iter().map(|v| Value::Float(*v)).collect() };
    let condition = |expression: &Expression| match expression.tree.eval_boolean_with_context(&row) {
        Ok(holds) => Ok(holds),
        Err(error) => Err(failure(expression, &labels, &error)),
    };
    let reached = condition(parts.when)?;
    let kept = match parts.recover_when {
        Some(recover) => !condition(recover)?,
        None => reached,
    };
    let value = match parts.value {
        Some(shown) => shown.tree.eval_number_with_context(&row).map_err(|error| failure(shown, &labels, &error))?,
        None => values.first().copied().unwrap_or(f64::NAN),
    };
    Ok(Signal { labels, value, reached: LevelBits::from(reached), kept: LevelBits::from(kept) })
}

fn failure(expression: &Expression, labels: &Labels, error: &EvalexprError) -> EvalFailure {
    EvalFailure { message: format!("expression `{}` failed on {labels}: {error}", expression.text) }
}
