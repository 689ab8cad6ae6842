//! Recorder for the `metrics` crate's facade: programs that already use `metrics::counter!` and its like record into a
//! [`Registry`] by installing it.
//!
//! Never installs itself: `metrics::set_global_recorder(MetricsRecorder::new(registry))` is the program's choice.

use std::sync::Arc;

use metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::cells::{Counter, Gauge, Histogram};
use super::registry::{Cell, Kind, Registry};
use crate::model::Labels;

/// Hands the `metrics` facade through to a registry.
pub struct MetricsRecorder(Registry);

impl MetricsRecorder {
    /// A recorder into `registry`.
    pub fn new(registry: Registry) -> Self {
        Self(registry)
    }

    fn cell(&self, key: &Key, kind: Kind) -> Option<Cell> {
        self.0.cell(key.name(), Labels::from_pairs(key.labels().map(|l| (l.key(), l.value()))), kind)
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, description: &SharedString) {
        let unit = unit.map(|unit| format!(" ({})", unit.as_str())).unwrap_or_default();
        self.0.describe(name.as_str(), &format!("{description}{unit}"));
    }
}

impl Recorder for MetricsRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        match self.cell(key, Kind::Counter) {
            Some(Cell::Counter(counter)) => metrics::Counter::from_arc(Arc::new(counter)),
            _ => metrics::Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        match self.cell(key, Kind::Gauge) {
            Some(Cell::Gauge(gauge)) => metrics::Gauge::from_arc(Arc::new(gauge)),
            _ => metrics::Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        match self.cell(key, Kind::Histogram) {
            Some(Cell::Histogram(histogram)) => metrics::Histogram::from_arc(Arc::new(histogram)),
            _ => metrics::Histogram::noop(),
        }
    }
}

impl CounterFn for Counter {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.raise_to(value as f64);
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        Gauge::set(self, value);
    }
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        self.observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.observe_many(value, count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macros_of_the_facade_record_into_the_registry() {
        let registry = Registry::new();
        let recorder = MetricsRecorder::new(registry.clone());
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_counter!("app.calls", Unit::Count, "Calls made.");
            metrics::counter!("app.calls", "kind" => "a").increment(3);
            metrics::counter!("app.calls", "kind" => "a").absolute(2);
            metrics::gauge!("app.depth").increment(5.0);
            metrics::gauge!("app.depth").decrement(1.0);
            metrics::histogram!("app.seconds").record(0.02);
        });
        assert_eq!(registry.counter("app.calls", &[("kind", "a")]).get(), 3.0);
        assert_eq!(registry.gauge("app.depth", &[]).get(), 4.0);
        let mut text = String::new();
        registry.render_text(Default::default(), &mut text);
        assert!(text.contains("# HELP app_calls Calls made. (count)"), "{text}");
        assert!(text.contains("app_seconds_bucket{le=\"0.025\"} 1"), "{text}");
    }
}
