//! Functions of the query's times and of whole vectors: conversion, sorting, labels, absence.

use super::numeric::{max, min};
use super::{Body, Function, S, T, V, function};
use crate::promql::eval::{info, relabel, sort, whole};

pub(super) static FUNCTIONS: &[Function] = &[
    function("time", &[], S, Body::Scalar(|q, _| q.at_ms as f64 / 1000.0)),
    function("start", &[], S, Body::Scalar(|q, _| q.start_ms as f64 / 1000.0)),
    function("end", &[], S, Body::Scalar(|q, _| q.end_ms as f64 / 1000.0)),
    function("step", &[], S, Body::Scalar(|q, _| q.step_ms as f64 / 1000.0)),
    function("range", &[], S, Body::Scalar(|q, _| (q.end_ms - q.start_ms) as f64 / 1000.0)),
    function("pi", &[], S, Body::Scalar(|_, _| std::f64::consts::PI)),
    function("min_of", &[S, S], S, Body::Scalar(|_, p| min(p[0], p[1]))),
    function("max_of", &[S, S], S, Body::Scalar(|_, p| max(p[0], p[1]))),
    function("scalar", &[V], S, Body::Whole(whole::scalar)),
    function("vector", &[S], V, Body::Whole(whole::vector)),
    function("timestamp", &[V], V, Body::Whole(whole::timestamp)),
    function("absent", &[V], V, Body::Whole(whole::absent)),
    function("sort", &[V], V, Body::Whole(sort::ascending)),
    function("sort_desc", &[V], V, Body::Whole(sort::descending)),
    repeating("sort_by_label", &[V, T], 1, Body::Whole(sort::by_label)),
    repeating("sort_by_label_desc", &[V, T], 1, Body::Whole(sort::by_label_descending)),
    function("label_replace", &[V, T, T, T, T], V, Body::Whole(relabel::label_replace)),
    repeating("label_join", &[V, T, T, T], 1, Body::Whole(relabel::label_join)),
    Function { name: "info", args: &[V, V], optional: 1, repeats: false, result: V, body: Body::Whole(info::info) },
];

/// A table entry whose last argument may be repeated.
pub(super) const fn repeating(
    name: &'static str,
    args: &'static [super::ValueType],
    optional: usize,
    body: Body,
) -> Function {
    Function { name, args, optional, repeats: true, result: V, body }
}
