//! Every part of the language on histograms that break every rule, and on mixes of them with numbers.

use std::sync::Arc;

use proptest::prelude::*;

use super::{eval_instant, eval_range};
use crate::model::histogram::hostile;
use crate::model::{LabelsBuilder, SampleValue};
use crate::promql::functions::all;
use crate::promql::{AggregateOp, EvalOptions, MemorySource, ParseOptions, Plan, SlotCache, ValueType, parse};

const STEP_MS: i64 = 10_000;

/// Calls of every function, every aggregation, and the operators.
fn expressions() -> Vec<String> {
    let mut found = Vec::new();
    for function in all() {
        for matrix in ["h[1m]", "h[50s:10s]", "h[30s] anchored", "h[30s] smoothed"] {
            let arg = |t: &ValueType| match t {
                ValueType::Scalar => "0.5",
                ValueType::Vector => "h",
                ValueType::Matrix => matrix,
                ValueType::String => "\"le\"",
            };
            let args: Vec<&str> = function.args.iter().map(arg).collect();
            found.push(format!("{}({})", function.name, args.join(", ")));
        }
    }
    for (name, op) in AggregateOp::ALL {
        let parameter = match op.parameter() {
            Some(ValueType::String) => "\"v\", ",
            Some(_) => "2, ",
            None => "",
        };
        found.push(format!("{name}({parameter}h)"));
    }
    for op in ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", ">=", "</", ">/", "and", "or", "unless"] {
        found.push(format!("h {op} ignoring(i) h{{i=\"a\"}}"));
        found.push(format!("h{{i=\"a\"}} {op} ignoring(i) h{{i=\"b\"}}"));
        if !["and", "or", "unless"].contains(&op) {
            found.push(format!("h {op} 2"));
            found.push(format!("-1e300 {op} h"));
        }
    }
    found.extend(
        ["-h", "h smoothed", "h > bool 0", "rate(sum(h)[1m:10s])", "histogram_quantiles(h, \"q\", 0, 0.5, 1)"]
            .map(str::to_owned),
    );
    found
}

fn sample() -> impl Strategy<Value = SampleValue> {
    prop_oneof![
        3 => hostile().prop_map(|h| SampleValue::Histogram(Arc::new(h))),
        1 => any::<f64>().prop_map(SampleValue::Float),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn no_query_panics(a in prop::collection::vec(sample(), 1..9), b in prop::collection::vec(sample(), 1..9)) {
        let mut source = MemorySource::new();
        for (i, values) in [("a", &a), ("b", &b)] {
            let mut labels = LabelsBuilder::default();
            labels.set("__name__", "h").set("i", i).set("le", "1");
            let values: Vec<_> = values.iter().cloned().map(Some).collect();
            source.add_samples(&labels.build(), 0, STEP_MS, &values);
        }
        let options = EvalOptions { samples_max: 1_000_000, ..EvalOptions::default() };
        for text in expressions() {
            // Not every call suits every window.
            let Ok(expr) = parse(&text, &ParseOptions::default()) else { continue };
            let plan = Plan::new(&expr);
            let _ = eval_instant(&plan, &source, 45_000, &options, &SlotCache::new());
            let _ = eval_range(&plan, &source, 0, 60_000, 15_000, &options);
        }
    }
}
