//! Histograms as text: as Prometheus prints them, and in the notation of its test files.

use std::fmt::{self, Display, Formatter, Write as _};

use super::bounds::Bucket;
use super::{Buckets, Histogram, ResetHint};
use crate::model::float::format_float;

/// A float as Go's `%g` writes it: shortest digits, an exponent below 1e-4 and from 1e6 on.
pub(crate) struct Shortest(pub f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&format_float(self.0, 'g', None))
    }
}

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{open}{},{}{close}:{}", Shortest(self.lower), Shortest(self.upper), Shortest(self.count))
    }
}

/// `{count:4, sum:5, (0.5,1]:1, (1,2]:2}`: buckets that hold anything, in ascending order.
impl Display for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", Shortest(self.count), Shortest(self.sum))?;
        let mut negative: Vec<Bucket> = self.negative_buckets().collect();
        negative.reverse();
        let zero = (!self.is_custom()).then(|| self.zero_bucket());
        for bucket in negative.into_iter().chain(zero).chain(self.positive_buckets()).filter(|b| b.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl Histogram {
    /// In the notation of test files: `{{schema:1 count:4 sum:5 buckets:[1 2 1]}}`. Reads back as the same histogram.
    pub fn notation(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut number = |name: &str, value: f64| {
            if value != 0.0 {
                parts.push(format!("{name}:{}", Shortest(value)));
            }
        };
        if self.schema != 0 {
            number("schema", f64::from(self.schema));
        }
        number("count", self.count);
        number("sum", self.sum);
        number("z_bucket", self.zero_count);
        number("z_bucket_w", self.zero_threshold);
        let list = |values: &[f64]| values.iter().map(|v| Shortest(*v).to_string()).collect::<Vec<_>>().join(" ");
        if self.is_custom() {
            parts.push(format!("custom_values:[{}]", list(&self.custom_values)));
        }
        if self.reset_hint != ResetHint::Unknown {
            parts.push(format!("counter_reset_hint:{}", self.reset_hint.as_str()));
        }
        for (buckets, offset, name) in
            [(&self.positive, "offset", "buckets"), (&self.negative, "n_offset", "n_buckets")]
        {
            let (first, counts) = without_gaps(buckets);
            if first != 0 && !counts.is_empty() {
                parts.push(format!("{offset}:{first}"));
            }
            if !counts.is_empty() {
                parts.push(format!("{name}:[{}]", list(&counts)));
            }
        }
        let mut out = String::from("{{");
        let _ = write!(out, "{}}}}}", parts.join(" "));
        out
    }
}

/// Most empty buckets that are written out.
const GAP_MAX: usize = 100_000;

/// First index, and all counts from there on.
fn without_gaps(buckets: &Buckets) -> (i32, Vec<f64>) {
    let mut out = Vec::new();
    let first = buckets.iter().next().map_or(0, |b| b.0);
    for (index, count) in buckets.iter() {
        let place = (i64::from(index) - i64::from(first)) as usize;
        if place > GAP_MAX {
            break;
        }
        out.resize(place, 0.0);
        out.push(count);
    }
    (first, out)
}
