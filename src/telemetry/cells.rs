//! The handles that record: counter, gauge, histogram. Clones share one cell; recording is a few atomic operations.
//!
//! Never locks, never allocates while recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A float that threads add to and set.
#[derive(Debug, Default)]
pub(super) struct AtomicF64(AtomicU64);

impl AtomicF64 {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    fn update(&self, change: impl Fn(f64) -> f64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |bits| Some(change(f64::from_bits(bits)).to_bits()));
    }
}

/// A number that only grows (until the process starts anew).
#[derive(Clone, Debug, Default)]
pub struct Counter(pub(super) Arc<AtomicF64>);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Adds an amount; a negative or non-finite one is ignored, because a counter that falls reads as a restart.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 && amount.is_finite() {
            self.0.update(|v| v + amount);
        }
    }

    /// Raises the counter to a total that is kept elsewhere; a lower total is ignored.
    pub fn raise_to(&self, total: f64) {
        if total.is_finite() {
            self.0.update(|v| v.max(total));
        }
    }

    /// The present total.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(pub(super) Arc<AtomicF64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds to it; a negative amount takes away.
    pub fn add(&self, amount: f64) {
        self.0.update(|v| v + amount);
    }

    /// The present value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// Observations counted in buckets, with their sum.
#[derive(Clone, Debug)]
pub struct Histogram(pub(super) Arc<HistogramCell>);

#[derive(Debug)]
pub(super) struct HistogramCell {
    /// Upper bounds, ascending, without `+Inf`.
    pub(super) bounds: Arc<[f64]>,
    /// Not cumulative; one more than `bounds`.
    buckets: Box<[AtomicU64]>,
    sum: AtomicF64,
}

impl Histogram {
    pub(super) fn new(bounds: Arc<[f64]>) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(HistogramCell { bounds, buckets, sum: AtomicF64::default() }))
    }

    /// Records one observation. NaN is ignored: it belongs to no bucket and would spoil the sum for ever.
    pub fn observe(&self, value: f64) {
        self.observe_many(value, 1);
    }

    /// Records one value that was seen `times` times.
    pub fn observe_many(&self, value: f64, times: u64) {
        if value.is_nan() || times == 0 {
            return;
        }
        let index = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.0.buckets.get(index) {
            bucket.fetch_add(times, Relaxed);
        }
        self.0.sum.update(|sum| sum + value * times as f64);
    }
}

impl HistogramCell {
    /// Cumulative counts per bound, the last for `+Inf` (which is the count), and the sum.
    pub(super) fn read(&self) -> (Vec<u64>, f64) {
        let mut total = 0;
        let cumulative = self.buckets.iter().map(|bucket| {
            total += bucket.load(Relaxed);
            total
        });
        (cumulative.collect(), self.sum.get())
    }
}
