//! The elements of an answer, read one by one and each paid for out of a budget before the next is looked at.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::decode::WARNINGS_TOLD_MAX;
use crate::model::{Histogram, HistogramPoint, Labels, LabelsBuilder, Point, SeriesPoints};
use crate::promql::VectorSample;

/// What a label takes while its set is put together, beside its bytes.
const LABEL_BYTES: usize = 64;
/// What an allocation takes beside what is in it.
const ALLOCATION_BYTES: usize = 32;
/// What a histogram takes.
const HISTOGRAM_BYTES: usize = size_of::<Histogram>() + ALLOCATION_BYTES;

/// The memory that an answer may still take.
pub(super) struct Budget {
    left: Cell<usize>,
    max: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { left: Cell::new(max), max }
    }

    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format!("it would take more than {} bytes in memory", self.max))),
        }
    }

    /// What was taken for something that is gone again.
    fn give(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_add(bytes));
    }
}

/// The `data` of a query.
#[derive(Default)]
pub(super) struct Data {
    pub kind: String,
    /// The elements with one value.
    pub samples: Vec<VectorSample>,
    /// The others.
    pub series: Vec<SeriesPoints>,
    /// The value of a scalar or a text.
    pub text: Option<String>,
}

/// Reads the `data` of a query; a vector's time is `at_ms`.
#[derive(Clone, Copy)]
pub(super) struct DataSeed<'b> {
    pub at_ms: i64,
    pub budget: &'b Budget,
}

impl<'de> DeserializeSeed<'de> for DataSeed<'_> {
    type Value = Data;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DataSeed<'_> {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a query")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut data = Data::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "resultType" => data.kind = map.next_value()?,
                "result" => map.next_value_seed(Results { seed: self, data: &mut data })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(data)
    }
}

/// Reads the elements of `result`: series, or the pair that a scalar or a text is.
struct Results<'a, 'b> {
    seed: DataSeed<'b>,
    data: &'a mut Data,
}

impl<'de> DeserializeSeed<'de> for Results<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Results<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series, or a time and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Element { seed: self.seed, data: &mut *self.data })?.is_some() {}
        Ok(())
    }
}

/// Reads one element.
struct Element<'a, 'b> {
    seed: DataSeed<'b>,
    data: &'a mut Data,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series, a time or a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let DataSeed { at_ms, budget } = self.seed;
        let (mut labels, mut series) = (Labels::empty(), SeriesPoints::default());
        let (mut value, mut histogram) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "metric" => labels = map.next_value_seed(LabelSet(budget))?,
                "value" => value = map.next_value::<Option<Pair>>()?.map(|Pair(_, Number(value))| value),
                "values" => series.points = map.next_value_seed(Counted::<Pair, Point>::new(budget))?,
                "histogram" => histogram = map.next_value::<Option<HistogramPair>>()?,
                "histograms" => {
                    series.histograms = map.next_value_seed(Counted::<HistogramPair, HistogramPoint>::new(budget))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let histogram = histogram.map(|pair| HistogramPoint::from(pair).histogram);
        if value.is_none() && histogram.is_none() {
            budget.take(size_of::<SeriesPoints>())?;
            self.data.series.push(SeriesPoints { labels, ..series });
            return Ok(());
        }
        budget.take(size_of::<VectorSample>() + histogram.as_ref().map_or(0, |_| HISTOGRAM_BYTES))?;
        let value = value.filter(|_| histogram.is_none()).unwrap_or(f64::NAN);
        self.data.samples.push(VectorSample { labels, t_ms: at_ms, value, histogram });
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.seed.budget.take(text.len())?;
        self.data.text.get_or_insert_with(|| text.to_owned());
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a label set.
struct LabelSet<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for LabelSet<'_> {
    type Value = Labels;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Labels, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LabelSet<'_> {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut builder = LabelsBuilder::default();
        let mut pairs_bytes = 0;
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            let bytes = 2 * (name.len() + value.len()) + LABEL_BYTES;
            self.0.take(bytes)?;
            pairs_bytes += bytes;
            builder.set(name, value);
        }
        let labels = builder.build();
        self.0.give(pairs_bytes);
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        self.0.take(bytes + if bytes > 0 { ALLOCATION_BYTES } else { 0 })?;
        Ok(labels)
    }
}

/// A list, each of whose elements takes so much.
struct Counted<'b, T, U> {
    budget: &'b Budget,
    each: PhantomData<fn(T) -> U>,
}

impl<'b, T, U> Counted<'b, T, U> {
    fn new(budget: &'b Budget) -> Self {
        Self { budget, each: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, U: From<T> + Cost> DeserializeSeed<'de> for Counted<'_, T, U> {
    type Value = Vec<U>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<U>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, U: From<T> + Cost> Visitor<'de> for Counted<'_, T, U> {
    type Value = Vec<U>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<U>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element::<T>()? {
            let one = U::from(one);
            self.budget.take(one.cost())?;
            all.push(one);
        }
        Ok(all)
    }
}

/// What something takes in memory.
trait Cost {
    fn cost(&self) -> usize;
}

impl Cost for Point {
    fn cost(&self) -> usize {
        size_of::<Self>()
    }
}

impl Cost for HistogramPoint {
    fn cost(&self) -> usize {
        size_of::<Self>() + HISTOGRAM_BYTES
    }
}

impl Cost for String {
    fn cost(&self) -> usize {
        size_of::<Self>() + self.len() + ALLOCATION_BYTES
    }
}

/// A time in seconds and a value.
#[derive(Deserialize)]
struct Pair(f64, Number);

impl From<Pair> for Point {
    fn from(Pair(seconds, Number(value)): Pair) -> Self {
        Self { t_ms: (seconds * 1000.0).round() as i64, value }
    }
}

/// A time in seconds and a native histogram.
#[derive(Deserialize)]
struct HistogramPair(f64, HistogramSize);

/// What conditions and messages may read of a histogram: there is one, and how much is in it.
#[derive(Deserialize)]
struct HistogramSize {
    count: Number,
    sum: Number,
}

impl From<HistogramPair> for HistogramPoint {
    fn from(HistogramPair(seconds, size): HistogramPair) -> Self {
        let (Number(count), Number(sum)) = (size.count, size.sum);
        let histogram = Arc::new(Histogram { count, sum, ..Histogram::default() });
        Self { t_ms: (seconds * 1000.0).round() as i64, histogram }
    }
}

/// A number as text.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number as text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
        // Which text it is stands in the answer that is quoted with it.
        text.parse().map(Number).map_err(|_| E::custom("a value is no number"))
    }
}

/// A list of names.
pub(super) fn names(budget: &Budget) -> impl for<'de> DeserializeSeed<'de, Value = Vec<String>> {
    Counted::<String, String>::new(budget)
}

/// Reads what is said beside the value: the first of it.
pub(super) struct Notes;

impl<'de> DeserializeSeed<'de> for Notes {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Notes {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut told = Vec::new();
        while let Some(text) = seq.next_element::<Cow<'de, str>>()? {
            // What Prometheus notes about the expression itself says nothing of parts that are missing.
            if told.len() < WARNINGS_TOLD_MAX && !text.starts_with("PromQL info") {
                told.push(text.into_owned());
            }
        }
        Ok(told)
    }
}
