//! Values of many series at one instant, as a column beside a shared set of labels.
//!
//! A series without value at the instant keeps its place and holds [`ABSENT`]: so the set, and all that is derived
//! from it, stays the same while series come and go. Histograms stand in a column of their own, which most columns do
//! not have: a place with a histogram is empty among the numbers.

use std::sync::{Arc, LazyLock, OnceLock};

use super::super::error::{EvalError, EvalErrorKind};
use crate::model::labels::METRIC_NAME;
use crate::model::{Histogram, Labels, STALE_NAN, SampleValue};

/// Stands for "no value". A mark can be no result: sources leave marks out, and arithmetic never gives this pattern.
pub(crate) const ABSENT: f64 = STALE_NAN;

/// Whether a place of a column is empty.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

/// The labels of a column.
#[derive(Debug)]
pub(crate) struct SeriesSet {
    pub labels: Arc<[Labels]>,
    /// With delayed name removal: whose name goes in the end.
    pub dropped: Option<Box<[bool]>>,
    /// For sets in which labels occur twice: the first place of the same labels.
    pub first_of: Option<Box<[u32]>>,
    /// Whether the labels are shown in strictly ascending order, once somebody has asked.
    pub ascending: OnceLock<bool>,
}

/// The labels of the type-and-unit convention go with the name.
pub(crate) fn is_metadata(label: &str) -> bool {
    matches!(label, METRIC_NAME | "__type__" | "__unit__")
}

impl SeriesSet {
    /// A set of labels known to be distinct.
    pub fn new(labels: Arc<[Labels]>) -> Self {
        Self { labels, dropped: None, first_of: None, ascending: OnceLock::new() }
    }

    /// A set of labels among which some may be equal.
    pub fn derived(labels: Vec<Labels>, dropped: Option<Box<[bool]>>) -> Self {
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        order.sort_by(|a, b| labels[*a as usize].cmp(&labels[*b as usize]).then(a.cmp(b)));
        let mut first_of: Option<Box<[u32]>> = None;
        let mut first = order.first().copied().unwrap_or(0);
        for pair in order.windows(2) {
            if labels[pair[1] as usize] == labels[first as usize] {
                let of = first_of.get_or_insert_with(|| (0..labels.len() as u32).collect());
                of[pair[1] as usize] = first;
            } else {
                first = pair[1];
            }
        }
        Self { labels: labels.into(), dropped, first_of, ascending: OnceLock::new() }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the name of a series goes in the end.
    pub fn is_dropped(&self, i: usize) -> bool {
        self.dropped.as_ref().is_some_and(|d| d[i])
    }

    /// The same series without names: at once, or in the end where removal is delayed.
    pub fn without_names(input: &Arc<Self>, delayed: bool) -> Arc<Self> {
        if delayed {
            let labels = Arc::clone(&input.labels);
            let dropped = Some(vec![true; labels.len()].into());
            return Arc::new(Self { labels, dropped, first_of: None, ascending: OnceLock::new() });
        }
        if input.labels.iter().all(|l| l.iter().all(|(n, _)| !is_metadata(n))) {
            return Arc::clone(input);
        }
        let labels = input.labels.iter().map(|l| l.filtered(|n| !is_metadata(n))).collect();
        Arc::new(Self::derived(labels, None))
    }

    /// Whether the labels, as they are shown, ascend strictly: then so do those of any part of the set.
    pub fn is_ascending(&self) -> bool {
        let shown = || (0..self.len()).map(|i| self.shown(i));
        *self.ascending.get_or_init(|| shown().is_sorted_by(|a, b| a < b))
    }

    /// The labels of a series as the result shows them.
    pub fn shown(&self, i: usize) -> Labels {
        let labels = &self.labels[i];
        if self.is_dropped(i) { labels.filtered(|n| !is_metadata(n)) } else { labels.clone() }
    }
}

/// Values of a set at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub set: Arc<SeriesSet>,
    /// One per series of the set.
    pub values: Arc<Vec<f64>>,
    /// Places in the order asked for by `sort`, `topk` and their like.
    pub order: Option<Arc<[u32]>>,
    /// Where there is any: the histogram of each series of the set.
    pub histograms: Option<Arc<Vec<Option<Arc<Histogram>>>>>,
}

impl Column {
    pub fn new(set: Arc<SeriesSet>, values: Vec<f64>) -> Self {
        Self { set, values: Arc::new(values), order: None, histograms: None }
    }

    /// Nothing. The set is always the same one, so that what is derived from it stays valid.
    pub fn empty() -> Self {
        static SET: LazyLock<Arc<SeriesSet>> = LazyLock::new(|| Arc::new(SeriesSet::new(Arc::from([]))));
        Self::new(Arc::clone(&SET), Vec::new())
    }

    /// One series without labels; the set is always the same one.
    pub fn single(value: f64) -> Self {
        static SET: LazyLock<Arc<SeriesSet>> = LazyLock::new(|| Arc::new(SeriesSet::new(Arc::from([Labels::empty()]))));
        Self::new(Arc::clone(&SET), vec![value])
    }

    /// A column of series made for this instant only.
    pub fn of(rows: Vec<(Labels, f64)>) -> Self {
        let (labels, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        Self::new(Arc::new(SeriesSet::derived(labels, None)), values)
    }

    /// Numbers and histograms; without any of the latter they cost nothing further.
    pub fn mixed(set: Arc<SeriesSet>, values: Vec<f64>, histograms: Vec<Option<Arc<Histogram>>>) -> Self {
        Self::new(set, values).with(histograms)
    }

    /// Samples at some places of a set.
    pub fn placed(set: Arc<SeriesSet>, rows: Vec<(usize, SampleValue)>) -> Self {
        let (mut values, mut histograms) = (vec![ABSENT; set.len()], vec![None; set.len()]);
        for (i, sample) in rows {
            (values[i], histograms[i]) = split(sample);
        }
        Self::mixed(set, values, histograms)
    }

    /// The same column with histograms.
    pub fn with(mut self, histograms: Vec<Option<Arc<Histogram>>>) -> Self {
        self.histograms = histograms.iter().any(Option::is_some).then(|| Arc::new(histograms));
        self
    }

    /// A column of samples made for this instant only.
    pub fn of_samples(rows: Vec<(Labels, SampleValue, bool)>, delayed: bool) -> Self {
        let dropped = delayed.then(|| rows.iter().map(|row| row.2).collect());
        let (mut labels, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        for (of, value, _) in rows {
            labels.push(of);
            let (value, histogram) = split(value);
            values.push(value);
            histograms.push(histogram);
        }
        Self::mixed(Arc::new(SeriesSet::derived(labels, dropped)), values, histograms)
    }

    /// The histogram at a place.
    pub fn histogram(&self, i: usize) -> Option<&Arc<Histogram>> {
        self.histograms.as_ref()?.get(i)?.as_ref()
    }

    /// The sample at a place.
    pub fn sample(&self, i: usize) -> Option<SampleValue> {
        match self.values[i] {
            value if is_absent(value) => self.histogram(i).cloned().map(SampleValue::Histogram),
            value => Some(SampleValue::Float(value)),
        }
    }

    /// Whether there is a number or a histogram at a place.
    pub fn is_present(&self, i: usize) -> bool {
        !is_absent(self.values[i]) || self.histogram(i).is_some()
    }

    /// Places that hold a histogram, in ascending order.
    pub fn present_histograms(&self) -> impl Iterator<Item = (usize, &Arc<Histogram>)> + '_ {
        let all = self.histograms.iter().flat_map(|h| h.iter()).enumerate();
        all.filter_map(|(i, h)| Some((i, h.as_ref()?)))
    }

    /// Places that hold a number or a histogram, in the order asked for.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let count = self.order.as_ref().map_or(self.values.len(), |o| o.len());
        (0..count).map(|n| self.order.as_ref().map_or(n, |o| o[n] as usize)).filter(|i| self.is_present(*i))
    }

    /// Takes away what stands at the places for which `keep` is false.
    pub fn retain(mut self, keep: impl Fn(usize) -> bool) -> Self {
        for (i, value) in Arc::make_mut(&mut self.values).iter_mut().enumerate() {
            if !is_absent(*value) && !keep(i) {
                *value = ABSENT;
            }
        }
        let Some(mut histograms) = self.histograms.take() else { return self };
        let all = Arc::make_mut(&mut histograms);
        all.iter_mut().enumerate().filter(|(i, h)| h.is_some() && !keep(*i)).for_each(|(_, h)| *h = None);
        // Whether there is any histogram is asked by looking whether there is a column of them.
        self.histograms = all.iter().any(Option::is_some).then_some(histograms);
        self
    }

    /// Places that hold a number, in the order asked for.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let count = self.order.as_ref().map_or(self.values.len(), |o| o.len());
        let place = move |n: usize| self.order.as_ref().map_or(n, |o| o[n] as usize);
        (0..count).map(move |n| (place(n), self.values[place(n)])).filter(|(_, v)| !is_absent(*v))
    }

    /// Changes every number that is there; what becomes [`ABSENT`] is gone, and so are histograms.
    pub fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        self.histograms = None;
        for value in Arc::make_mut(&mut self.values) {
            if !is_absent(*value) {
                *value = change(*value);
            }
        }
        self
    }

    /// Fails if two series that hold a value have the same labels.
    pub fn unique(self, span: &std::ops::Range<usize>) -> Result<Self, EvalError> {
        if let Some(first_of) = &self.set.first_of {
            let mut seen = vec![false; self.values.len()];
            for i in self.places() {
                if std::mem::replace(&mut seen[first_of[i] as usize], true) {
                    return Err(EvalError::new(span, EvalErrorKind::DuplicateSeries));
                }
            }
        }
        Ok(self)
    }
}

/// A sample as it stands in the two columns.
pub(crate) fn split(sample: SampleValue) -> (f64, Option<Arc<Histogram>>) {
    match sample {
        SampleValue::Float(value) => (value, None),
        SampleValue::Histogram(histogram) => (ABSENT, Some(histogram)),
    }
}
