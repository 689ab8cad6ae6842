//! Functions of one value: rounding, logarithms, trigonometry.

use super::numeric::{max, min};
use super::{Body, Function, S, V, function};
use crate::promql::eval::whole;

const fn map(name: &'static str, value: fn(f64, &[f64]) -> f64) -> Function {
    function(name, &[V], V, Body::Map(value))
}

pub(super) static FUNCTIONS: &[Function] = &[
    map("abs", |v, _| v.abs()),
    map("ceil", |v, _| v.ceil()),
    map("floor", |v, _| v.floor()),
    map("exp", |v, _| v.exp()),
    map("sqrt", |v, _| v.sqrt()),
    map("ln", |v, _| v.ln()),
    map("log2", |v, _| v.log2()),
    map("log10", |v, _| v.log10()),
    map("sgn", |v, _| {
        if v > 0.0 {
            1.0
        } else if v < 0.0 {
            -1.0
        } else {
            v
        }
    }),
    map("sin", |v, _| v.sin()),
    map("cos", |v, _| v.cos()),
    map("tan", |v, _| v.tan()),
    map("asin", |v, _| v.asin()),
    map("acos", |v, _| v.acos()),
    map("atan", |v, _| v.atan()),
    map("sinh", |v, _| v.sinh()),
    map("cosh", |v, _| v.cosh()),
    map("tanh", |v, _| v.tanh()),
    map("asinh", |v, _| v.asinh()),
    map("acosh", |v, _| v.acosh()),
    map("atanh", |v, _| v.atanh()),
    map("deg", |v, _| v.to_degrees()),
    map("rad", |v, _| v.to_radians()),
    Function { name: "round", args: &[V, S], optional: 1, repeats: false, result: V, body: Body::Map(round) },
    function("clamp", &[V, S, S], V, Body::Whole(whole::clamp)),
    function("clamp_min", &[V, S], V, Body::Map(|v, p| max(v, p[0]))),
    function("clamp_max", &[V, S], V, Body::Map(|v, p| min(v, p[0]))),
];

/// Rounds half up to a multiple; by way of the inverse so that 0.1 and its like stay exact.
fn round(value: f64, params: &[f64]) -> f64 {
    let inverse = 1.0 / params.first().copied().unwrap_or(1.0);
    (value * inverse + 0.5).floor() / inverse
}
