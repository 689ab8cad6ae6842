//! Answers of remote stores: hostile text is read or refused within limits.

use alertd::model::{Labels, SeriesPoints};
use alertd::promql::{Value, When};
use alertd::store::remote::{DECODED_FACTOR, decode};

use super::{MINUTE_MS, T0_MS};

/// An answer of a remote store, whole or as the list in one, is read or refused; what is read is in order and within its
/// limit.
pub fn remote_answer(data: &[u8]) {
    const BYTES_MAX: usize = 1 << 16;
    let list = |kind: &str| {
        let head = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
        [head.as_bytes(), data, b"]}}"].concat()
    };
    for body in [data.to_vec(), list("vector"), list("matrix"), list("scalar")] {
        for when in [When::At(T0_MS), When::Range { start_ms: 0, end_ms: T0_MS, step_ms: MINUTE_MS }] {
            let said = [200, 422].map(|status| decode(status, &body, when, BYTES_MAX));
            let known = said.iter().filter_map(|said| said.as_ref().ok());
            for answer in known {
                assert!(answer.partial.as_ref().is_none_or(|text| text.len() <= 500));
                assert!(answer_bytes(&answer.value) <= BYTES_MAX * DECODED_FACTOR);
            }
            for error in said.iter().filter_map(|said| said.as_ref().err()) {
                assert!(error.to_string().len() < 8192, "{error}");
            }
        }
    }
}

/// What a value takes at least; its series are in order, and so are their points.
fn answer_bytes(value: &Value) -> usize {
    let sorted = |labels: &mut dyn Iterator<Item = &Labels>| labels.collect::<Vec<_>>().is_sorted();
    match value {
        Value::Vector(samples) => {
            assert!(sorted(&mut samples.iter().map(|sample| &sample.labels)));
            size_of_val(&samples[..])
        }
        Value::Matrix(all) => {
            assert!(sorted(&mut all.iter().map(|series| &series.labels)));
            let of = |series: &SeriesPoints| {
                assert!(series.points.is_sorted_by_key(|point| point.t_ms));
                assert!(series.histograms.is_sorted_by_key(|point| point.t_ms));
                size_of_val(&series.points[..]) + size_of_val(&series.histograms[..])
            };
            size_of_val(&all[..]) + all.iter().map(of).sum::<usize>()
        }
        Value::String(text) => text.len(),
        Value::Scalar(_) => 0,
    }
}
