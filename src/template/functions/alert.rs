//! Prometheus's functions on queries and links.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::escape::query_escape;
use super::{any_arg, str_arg};
use crate::template::host::Host;
use crate::template::value::{Map, VALUE_DEPTH_MAX, Value};

/// The label in which a query may put a text instead of a number.
const TEXT_VALUE_LABEL: &str = "__value__";

pub(super) fn query(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.query(str_arg(args, 0)).map(|samples| Value::Vector(Arc::new(samples)))
}

pub(super) fn first(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    match any_arg(args, 0) {
        Value::Vector(samples) => samples
            .first()
            .map(|(labels, value)| Value::Sample(labels.clone(), *value))
            .ok_or_else(|| "first() called on vector with no elements".to_owned()),
        _ => Ok(Value::Nil),
    }
}

pub(super) fn label(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    match any_arg(args, 1) {
        Value::Sample(labels, _) => Ok(labels.get(str_arg(args, 0)).unwrap_or("").into()),
        _ => Ok(Value::Nil),
    }
}

pub(super) fn value(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    match any_arg(args, 0) {
        Value::Sample(_, value) => Ok(Value::Float(*value)),
        _ => Ok(Value::Nil),
    }
}

pub(super) fn strvalue(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    match any_arg(args, 0) {
        Value::Sample(labels, _) => Ok(labels.get(TEXT_VALUE_LABEL).unwrap_or("").into()),
        _ => Ok(Value::Nil),
    }
}

pub(super) fn sort_by_label(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let Value::Vector(samples) = any_arg(args, 1) else { return Ok(Value::Nil) };
    host.charge_bytes(samples.len())?;
    let by = str_arg(args, 0);
    let mut sorted = samples.as_ref().clone();
    sorted.sort_by(|(a, _), (b, _)| a.get(by).unwrap_or("").cmp(b.get(by).unwrap_or("")));
    Ok(Value::Vector(Arc::new(sorted)))
}

/// `arg0`, `arg1`, …: how several values are handed to a named template.
pub(super) fn args(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    if args.iter().any(|v| v.depth() >= VALUE_DEPTH_MAX) {
        return Err(format!("values nest deeper than {VALUE_DEPTH_MAX}"));
    }
    let entries: BTreeMap<Arc<str>, Value> =
        args.iter().enumerate().map(|(index, value)| (Arc::from(format!("arg{index}")), value.clone())).collect();
    Ok(Value::Map(Arc::new(Map::new(entries))))
}

pub(super) fn graph_link(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(str_arg(args, 0))))
}

pub(super) fn table_link(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(str_arg(args, 0))))
}

pub(super) fn external_url(host: &mut Host<'_>, _: &[Value]) -> Result<Value, String> {
    Ok(host.external_url().into())
}

/// The path of the external URL, without a slash where it has none.
pub(super) fn path_prefix(host: &mut Host<'_>, _: &[Value]) -> Result<Value, String> {
    let url = host.external_url();
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = after_scheme.find(['?', '#']).unwrap_or(after_scheme.len());
    let location = after_scheme.get(..end).unwrap_or("");
    Ok(location.find('/').and_then(|start| location.get(start..)).unwrap_or("").into())
}

/// Seconds since the epoch.
pub(super) fn now(host: &mut Host<'_>, _: &[Value]) -> Result<Value, String> {
    Ok(Value::Float(host.now().as_secs_f64()))
}
