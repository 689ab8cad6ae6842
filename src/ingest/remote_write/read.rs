//! A request to points of known series, and label sets of new ones.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::Range;

use super::histogram::{self, Measured};
use super::known::{Key, Known};
use super::proto::{Body, Value};
use super::refusals::Refusals;
use super::{FAMILIES_MAX, HISTOGRAMS_MAX, NEW_SERIES_MAX, ReadError, SAMPLES_MAX, TEXT_BYTES_MAX, Version, v1, v2};
use crate::ingest::limits::{LABEL_NAME_LEN_MAX, LABELS_MAX, pair_refusal};
use crate::ingest::metadata::HELP_LEN_MAX;
use crate::ingest::{Metadata, MetricKind};
use crate::model::labels::METRIC_NAME;
use crate::model::{HistogramPoint, Labels, Point, is_end_mark, varint};

/// A series that no request has shown before.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSeries {
    /// What to remember it by.
    pub key: Key,
    /// Its labels.
    pub labels: Labels,
    /// Its points, in [`Page::new_points`].
    pub points: Range<usize>,
    /// Its histograms, in [`Page::new_histograms`].
    pub histograms: Range<usize>,
    /// When its counter began at zero, milliseconds since the epoch, if the sender says so.
    pub created_ms: Option<i64>,
}

/// What a request holds.
#[derive(Clone, Debug)]
pub struct Page<S> {
    /// Points of series that are known.
    pub points: Vec<(S, Point)>,
    /// Series that are not.
    pub new: Vec<NewSeries>,
    /// The points of those.
    pub new_points: Vec<Point>,
    /// What was declared of metric families.
    pub metadata: BTreeMap<String, Metadata>,
    /// Exemplars, which are counted and not kept.
    pub exemplars: u64,
    /// Native histograms of series that are known.
    pub histograms: Vec<(S, HistogramPoint)>,
    /// Those of new series.
    pub new_histograms: Vec<HistogramPoint>,
    /// Samples whose labels are wrong.
    pub refused: Refusals,
}

impl<S> Default for Page<S> {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            new: Vec::new(),
            new_points: Vec::new(),
            metadata: BTreeMap::new(),
            exemplars: 0,
            histograms: Vec::new(),
            new_histograms: Vec::new(),
            refused: Refusals::default(),
        }
    }
}

/// Reads an unpacked body.
pub fn read<S: Copy + Eq + Hash>(version: Version, body: &[u8], known: &Known<S>) -> Result<Page<S>, ReadError> {
    match version {
        Version::V1 => v1::read(Body(body), known),
        Version::V2 => v2::read(Body(body), known),
    }
}

/// A page that is being read.
pub(super) struct Reading<'a, S> {
    pub(super) known: &'a Known<S>,
    pub(super) page: Page<S>,
    /// The points of the series at hand.
    pub(super) points: Vec<Point>,
    /// Its histograms.
    histograms: Vec<HistogramPoint>,
    samples: usize,
    histograms_read: usize,
    text_bytes: usize,
}

impl<'a, S: Copy + Eq + Hash> Reading<'a, S> {
    pub(super) fn new(known: &'a Known<S>, body: Body<'_>) -> Self {
        // A series with one sample takes some hundred bytes.
        let page = Page { points: Vec::with_capacity(body.0.len() / 128), ..Page::default() };
        Self { known, page, points: Vec::new(), histograms: Vec::new(), samples: 0, histograms_read: 0, text_bytes: 0 }
    }

    /// Adds a sample to the series at hand.
    #[inline]
    pub(super) fn sample(&mut self, point: Point) -> Result<(), ReadError> {
        self.samples += 1;
        if self.samples > SAMPLES_MAX {
            return Err(ReadError::TooMany { what: "samples", max: SAMPLES_MAX });
        }
        self.points.push(point);
        Ok(())
    }

    /// Begins a series.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.points.clear();
        self.histograms.clear();
    }

    /// Whether the series at hand has nothing to take.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.histograms.is_empty()
    }

    /// Adds a histogram to the series at hand.
    pub(super) fn histogram<'b>(&mut self, body: Body<'b>, value: Value<'b>) -> Result<(), ReadError> {
        let Value::Bytes(message) = value else { return Ok(()) };
        self.histograms_read += 1;
        if self.histograms_read > HISTOGRAMS_MAX {
            return Err(ReadError::TooMany { what: "native histograms", max: HISTOGRAMS_MAX });
        }
        match histogram::read(body, message)? {
            Measured::Histogram(point) => self.histograms.push(point),
            Measured::End(point) => self.points.push(point),
            Measured::Refused(error) => self.page.refused.add(1, error.to_string()),
        }
        Ok(())
    }

    /// Ends the series at hand, if it is known.
    #[inline]
    pub(super) fn end_known(&mut self, key: Key) -> bool {
        let Some(series) = self.known.get(key) else { return false };
        self.page.points.extend(self.points.drain(..).map(|point| (series, point)));
        if !self.histograms.is_empty() {
            self.page.histograms.extend(self.histograms.drain(..).map(|point| (series, point)));
        }
        true
    }

    /// Ends the series at hand as a new one.
    pub(super) fn end_new(&mut self, key: Key, labels: Labels, created_ms: Option<i64>) -> Result<(), ReadError> {
        if self.page.new.len() >= NEW_SERIES_MAX {
            return Err(ReadError::TooMany { what: "new series", max: NEW_SERIES_MAX });
        }
        self.room_for(labels.iter().map(|(name, value)| name.len() + value.len()).sum())?;
        let start = self.page.new_points.len();
        self.page.new_points.append(&mut self.points);
        let points = start..self.page.new_points.len();
        let start = self.page.new_histograms.len();
        self.page.new_histograms.append(&mut self.histograms);
        let histograms = start..self.page.new_histograms.len();
        self.page.new.push(NewSeries { key, labels, points, histograms, created_ms });
        Ok(())
    }

    fn room_for(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.text_bytes += bytes;
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(ReadError::TooMany { what: "bytes of labels and metadata", max: TEXT_BYTES_MAX });
        }
        Ok(())
    }

    /// Keeps what is declared of a family, as long as the store would keep it. Declared twice, the
    /// later one counts in 1.0 (`replace`), and in 2.0 the first series of the family.
    pub(super) fn declare(
        &mut self,
        family: &str,
        about: (MetricKind, &str, &str),
        replace: bool,
    ) -> Result<(), ReadError> {
        let known = self.page.metadata.contains_key(family);
        if family.is_empty() || family.len() > LABEL_NAME_LEN_MAX || (known && !replace) {
            return Ok(());
        }
        if !known && self.page.metadata.len() >= FAMILIES_MAX {
            return Err(ReadError::TooMany { what: "metric families", max: FAMILIES_MAX });
        }
        let (kind, help, unit) = about;
        let cut = |text: &str, max: usize| text[..text.floor_char_boundary(max)].to_owned();
        let about = Metadata { kind, help: cut(help, HELP_LEN_MAX), unit: cut(unit, LABEL_NAME_LEN_MAX) };
        self.room_for(family.len() + about.help.len() + about.unit.len())?;
        self.page.metadata.insert(family.to_owned(), about);
        Ok(())
    }

    /// Ends the series at hand as one whose labels are wrong.
    pub(super) fn end_refused(&mut self, reason: String) {
        self.page.refused.add((self.points.len() + self.histograms.len()) as u64, reason);
        self.begin();
    }
}

/// A sample's message: a value and a time; what it says of when the counter began comes second.
#[inline]
pub(super) fn sample<'a>(body: Body<'a>, message: &'a [u8]) -> Result<(Point, i64), ReadError> {
    // As every sender writes it: value, then time.
    if let Some((&[0x09, a, b, c, d, e, f, g, h, 0x10], mut rest)) = message.split_first_chunk::<10>()
        && let Some(t_ms) = varint::take(&mut rest)
        && rest.is_empty()
    {
        let value = measured(f64::from_le_bytes([a, b, c, d, e, f, g, h]));
        return Ok((Point { t_ms: t_ms.cast_signed(), value }, 0));
    }
    let mut point = Point { t_ms: 0, value: 0.0 };
    let mut created_ms = 0;
    for field in body.fields(message) {
        match field? {
            (1, value) => point.value = measured(value.double()),
            (2, value) => point.t_ms = value.int().cast_signed(),
            (3, value) => created_ms = value.int().cast_signed(),
            _ => {}
        }
    }
    Ok((point, created_ms))
}

/// The stale mark of Prometheus is one here; the payload of any other NaN carries nothing.
fn measured(value: f64) -> f64 {
    if value.is_nan() && !is_end_mark(value) { f64::NAN } else { value }
}

/// A text of a message.
pub(super) fn text<'a>(body: Body<'_>, value: Value<'a>) -> Result<&'a str, ReadError> {
    let Value::Bytes(bytes) = value else { return Ok("") };
    std::str::from_utf8(bytes).map_err(|_| body.fault(bytes, "a text is not UTF-8"))
}

/// The kind of a metric, as both messages number it.
pub(super) fn kind(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// A label set out of its pairs, or why it is none. Pairs in any order are taken, as Prometheus does; an empty value is
/// no label.
pub(super) fn label_set(pairs: &mut Vec<(&str, &str)>) -> Result<Labels, String> {
    let about = |pairs: &[(&str, &str)]| {
        let metric = pairs.iter().find(|(name, _)| *name == METRIC_NAME).map_or("without a name", |(_, metric)| metric);
        metric.get(..metric.floor_char_boundary(100)).unwrap_or_default().to_owned()
    };
    pairs.retain(|(_, value)| !value.is_empty());
    if pairs.len() > LABELS_MAX {
        return Err(format!("series {}: {} labels; at most {LABELS_MAX} are taken", about(pairs), pairs.len()));
    }
    if let Some(reason) = pairs.iter().find_map(|(name, value)| pair_refusal(name, value)) {
        return Err(format!("series {}: {reason}", about(pairs)));
    }
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(format!("series {}: label {:?} stands twice", about(pairs), twice[0].0));
        }
    }
    if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err(format!("series {}: a label has no name", about(pairs)));
    }
    if !pairs.iter().any(|(name, _)| *name == METRIC_NAME) {
        return Err("a series has no metric name (label __name__)".to_owned());
    }
    Ok(Labels::from_sorted(pairs.iter().copied()))
}
