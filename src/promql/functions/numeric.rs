//! Sums, means and quantiles that do not lose digits, as Prometheus computes them.

use crate::model::histogram::Shortest;
pub(crate) use crate::model::sum::Sum;

/// A running mean: of the sum while it fits, incremental once the sum would overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum.sum = value;
            return;
        }
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.compensation /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum.sum *= weight;
        self.sum.compensation *= weight;
        self.sum.add(value / self.count);
    }

    pub fn mean(self) -> f64 {
        if self.incremental { self.sum.total() } else { self.sum.sum / self.count + self.sum.compensation / self.count }
    }
}

/// A running population variance (Welford), compensated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variance {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Variance {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean.add(delta / self.count);
        self.squares.add(delta * (value - self.mean.total()));
    }

    pub fn variance(self) -> f64 {
        self.squares.total() / self.count
    }
}

/// The φ-quantile with linear interpolation; sorts `values`, NaN counting as smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// What is said about a quantile outside 0..1.
pub(crate) fn quantile_warning(q: f64) -> Option<String> {
    let sound = (0.0..=1.0).contains(&q);
    (!sound).then(|| format!("quantile value should be between 0 and 1, got {}", Shortest(q)))
}

/// The smaller one; NaN if either is.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The greater one; NaN if either is.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
