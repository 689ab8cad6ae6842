//! The metrics registry: families of counters, gauges and histograms with labels, readable as text and as samples.
//!
//! Place in the flow: rooms (and programs that embed the library) record into handles; `/metrics` renders it, the
//! embedded store collects it. Names and labels may be any UTF-8 text, dotted OpenTelemetry names included.
//! Never panics and never grows without bound: what does not fit is recorded nowhere and counted as refused.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::cells::{Counter, Gauge, Histogram};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

/// Upper bounds of a histogram's buckets unless others are set: the defaults of the Prometheus client libraries, made
/// for durations in seconds.
pub const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Most buckets of one histogram, `+Inf` not counted; further bounds are left out.
pub const BUCKETS_MAX: usize = 256;

/// The registry's own count of handles that went nowhere because a limit was hit or the kind did not fit.
pub const REFUSED_METRIC: &str = "alertd_metrics_refused_total";

/// What the registry holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Families, that is names.
    pub families_max: usize,
    /// Label sets per family.
    pub series_per_family_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { families_max: 10_000, series_per_family_max: 10_000 }
    }
}

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

#[derive(Clone, Debug)]
pub(super) enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

pub(super) struct Series {
    pub(super) cell: Cell,
    /// The label sets of its samples, name included, made once: one for counter and gauge; for a histogram one per
    /// bucket (`le`), then `_sum`, then `_count`.
    pub(super) samples: Box<[Labels]>,
}

pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) series: BTreeMap<Labels, Series>,
}

/// What was said about a name, possibly before its first series.
#[derive(Default)]
pub(super) struct About {
    pub(super) help: String,
    bounds: Option<Arc<[f64]>>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) families: BTreeMap<Arc<str>, Family>,
    pub(super) about: BTreeMap<Arc<str>, About>,
}

/// A set of metrics; clones share it.
///
/// ```
/// let registry = alertd::telemetry::Registry::new();
/// registry.describe("llm.latency_ms", "Latency of LLM calls.");
/// registry.set_buckets("llm.latency_ms", &[100.0, 500.0, 2000.0]);
/// registry.histogram("llm.latency_ms", &[("agent", "planner")]).observe(730.0);
/// registry.counter("llm.calls_total", &[("agent", "planner")]).inc();
/// assert_eq!(registry.collect().len(), 4 + 2 + 1 + 1);
/// ```
#[derive(Clone)]
pub struct Registry {
    /// Guards the maps; held while a handle is looked up or all is read, never while a value is recorded.
    inner: Arc<RwLock<Inner>>,
    limits: Limits,
    refused: Counter,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry with the default limits.
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty registry.
    pub fn with_limits(limits: Limits) -> Self {
        let registry = Self { inner: Arc::default(), limits, refused: Counter::default() };
        registry.describe(REFUSED_METRIC, "Metric handles refused because of a limit or a name used as another kind.");
        let own = Series {
            cell: Cell::Counter(registry.refused.clone()),
            samples: sample_labels(REFUSED_METRIC, &Labels::empty(), None),
        };
        let family = Family { kind: Kind::Counter, series: BTreeMap::from([(Labels::empty(), own)]) };
        registry.write().families.insert(Arc::from(REFUSED_METRIC), family);
        registry
    }

    /// Sets the help text of a metric.
    pub fn describe(&self, name: &str, help: &str) {
        self.about(name, |about| help.clone_into(&mut about.help));
    }

    /// Sets the upper bounds of the buckets of a histogram; counts for series made afterwards. Bounds are sorted, NaN
    /// and infinities dropped, at most [`BUCKETS_MAX`] kept.
    pub fn set_buckets(&self, name: &str, bounds: &[f64]) {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|b| b.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds.truncate(BUCKETS_MAX);
        self.about(name, |about| about.bounds = Some(Arc::from(bounds)));
    }

    /// The counter of that name and those labels, made if it is not there.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        match self.cell(name, Labels::from_pairs(labels.iter().copied()), Kind::Counter) {
            Some(Cell::Counter(counter)) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge of that name and those labels, made if it is not there.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.cell(name, Labels::from_pairs(labels.iter().copied()), Kind::Gauge) {
            Some(Cell::Gauge(gauge)) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram of that name and those labels, made if it is not there.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        match self.cell(name, Labels::from_pairs(labels.iter().copied()), Kind::Histogram) {
            Some(Cell::Histogram(histogram)) => histogram,
            _ => Histogram::new(Arc::from([])),
        }
    }

    /// Takes one series out: what it described is gone. Handles to it go on recording into nothing.
    pub fn forget(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = Labels::from_pairs(labels.iter().copied());
        if let Some(family) = self.write().families.get_mut(name) {
            family.series.remove(&labels);
        }
    }

    /// Every sample with its labels, `__name__` included; families by name, series by labels, histograms as
    /// `_bucket`, `_sum` and `_count`.
    pub fn collect(&self) -> Vec<(Labels, f64)> {
        let inner = self.read();
        let mut out = Vec::new();
        for series in inner.families.values().flat_map(|family| family.series.values()) {
            series.each_sample(|labels, value| out.push((labels.clone(), value)));
        }
        out
    }

    /// Handles refused so far; also the metric [`REFUSED_METRIC`].
    pub fn refused(&self) -> f64 {
        self.refused.get()
    }

    pub(super) fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, name: &str, change: impl FnOnce(&mut About)) {
        let mut inner = self.write();
        if let Some(about) = inner.about.get_mut(name) {
            change(about);
        } else if inner.about.len() < self.limits.families_max {
            let mut about = About::default();
            change(&mut about);
            inner.about.insert(Arc::from(name), about);
        } else {
            self.refused.inc();
        }
    }

    /// The cell of a series; `None` (and counted) where it cannot be had. The name rules: `__name__` is no label to
    /// choose, and an empty name names nothing.
    pub(super) fn cell(&self, name: &str, labels: Labels, kind: Kind) -> Option<Cell> {
        if let Some(family) = self.read().families.get(name)
            && family.kind == kind
            && let Some(series) = family.series.get(&labels)
        {
            return Some(series.cell.clone());
        }
        let reserved = kind == Kind::Histogram && labels.get("le").is_some();
        let made = if name.is_empty() || reserved || labels.metric_name().is_some() {
            None
        } else {
            self.make(name, labels, kind)
        };
        if made.is_none() {
            self.refused.inc();
        }
        made
    }

    fn make(&self, name: &str, labels: Labels, kind: Kind) -> Option<Cell> {
        let mut inner = self.write();
        let bounds = inner.about.get(name).and_then(|about| about.bounds.clone());
        if !inner.families.contains_key(name) {
            if inner.families.len() >= self.limits.families_max {
                return None;
            }
            inner.families.insert(Arc::from(name), Family { kind, series: BTreeMap::new() });
        }
        let family = inner.families.get_mut(name).filter(|family| family.kind == kind)?;
        if let Some(series) = family.series.get(&labels) {
            return Some(series.cell.clone());
        }
        if family.series.len() >= self.limits.series_per_family_max {
            return None;
        }
        let cell = match kind {
            Kind::Counter => Cell::Counter(Counter::default()),
            Kind::Gauge => Cell::Gauge(Gauge::default()),
            Kind::Histogram => Cell::Histogram(Histogram::new(bounds.unwrap_or_else(|| Arc::from(DEFAULT_BUCKETS)))),
        };
        let bounds = match &cell {
            Cell::Histogram(histogram) => Some(&*histogram.0.bounds),
            _ => None,
        };
        let samples = sample_labels(name, &labels, bounds);
        family.series.insert(labels, Series { cell: cell.clone(), samples });
        Some(cell)
    }
}

impl Series {
    /// Hands out every sample in the order of `samples`.
    pub(super) fn each_sample(&self, mut visit: impl FnMut(&Labels, f64)) {
        match &self.cell {
            Cell::Counter(counter) => self.samples.iter().for_each(|labels| visit(labels, counter.get())),
            Cell::Gauge(gauge) => self.samples.iter().for_each(|labels| visit(labels, gauge.get())),
            Cell::Histogram(histogram) => {
                let (cumulative, sum) = histogram.0.read();
                let count = cumulative.last().copied().unwrap_or(0) as f64;
                let values = cumulative.iter().map(|c| *c as f64).chain([sum, count]);
                self.samples.iter().zip(values).for_each(|(labels, value)| visit(labels, value));
            }
        }
    }
}

fn sample_labels(name: &str, labels: &Labels, bounds: Option<&[f64]>) -> Box<[Labels]> {
    let Some(bounds) = bounds else { return Box::from([labels.with(METRIC_NAME, name)]) };
    let bucket = labels.with(METRIC_NAME, &format!("{name}_bucket"));
    let les = bounds.iter().map(|b| super::text::number(*b)).chain(["+Inf".to_owned()]);
    les.map(|le| bucket.with("le", &le))
        .chain(["_sum", "_count"].map(|suffix| labels.with(METRIC_NAME, &format!("{name}{suffix}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_one_series_share_one_cell_and_collect_in_a_stable_order() {
        let registry = Registry::new();
        registry.counter("b_total", &[("x", "1")]).add(2.0);
        registry.counter("b_total", &[("x", "1")]).inc();
        registry.gauge("a.depth", &[]).set(-4.0);
        registry.gauge("a.depth", &[]).add(1.0);
        registry.set_buckets("h", &[2.0, 1.0, f64::NAN, 2.0]);
        let histogram = registry.histogram("h", &[]);
        for value in [0.5, 1.0, 1.5, 99.0, f64::NAN] {
            histogram.observe(value);
        }
        let got: Vec<String> = registry.collect().iter().map(|(l, v)| format!("{l} {v}")).collect();
        let want = [
            r#"{"a.depth"} -3"#,
            "alertd_metrics_refused_total 0",
            r#"b_total{x="1"} 3"#,
            r#"h_bucket{le="1"} 2"#,
            r#"h_bucket{le="2"} 3"#,
            r#"h_bucket{le="+Inf"} 4"#,
            "h_sum 102",
            "h_count 4",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_counter_never_falls() {
        let counter = Registry::new().counter("c_total", &[]);
        counter.add(5.0);
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            counter.add(bad);
        }
        counter.raise_to(3.0);
        assert_eq!(counter.get(), 5.0);
        counter.raise_to(8.0);
        assert_eq!(counter.get(), 8.0);
    }

    #[test]
    fn what_exceeds_a_limit_or_changes_kind_is_counted_and_recorded_nowhere() {
        let registry = Registry::with_limits(Limits { families_max: 3, series_per_family_max: 2 });
        for i in 0..5 {
            registry.counter("c_total", &[("i", &i.to_string())]).inc();
        }
        assert_eq!(registry.refused(), 3.0);
        registry.gauge("c_total", &[("i", "0")]).set(77.0);
        registry.counter("", &[]).inc();
        registry.counter("x", &[(METRIC_NAME, "y")]).inc();
        registry.histogram("x", &[("le", "y")]).observe(1.0);
        assert_eq!(registry.refused(), 7.0);
        registry.gauge("second", &[]).set(1.0);
        registry.gauge("third", &[]).set(1.0);
        assert_eq!(registry.refused(), 8.0);
        assert_eq!(registry.collect().len(), 1 + 2 + 1);
        registry.forget("c_total", &[("i", "0")]);
        assert_eq!(registry.collect().len(), 3);
    }

    #[test]
    fn many_threads_lose_no_increment() {
        let registry = Registry::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| registry.counter("c_total", &[("a", "b")]).inc()));
            }
        });
        assert_eq!(registry.counter("c_total", &[("a", "b")]).get(), 8000.0);
    }
}
