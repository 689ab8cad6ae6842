//! Native histograms on the wire. Both versions of remote write have the same message for them.
//!
//! Integer histograms become floats, as everywhere in alertd. A histogram whose sum is Prometheus's stale mark ends its
//! series, and is a float mark here.

use super::ReadError;
use super::proto::{Body, Value, put_bytes, put_double, put_int};
use crate::model::histogram::{Buckets, HISTOGRAM_BUCKETS_MAX, Histogram, HistogramError, ResetHint, Span};
use crate::model::{HistogramPoint, Point, STALE_NAN, is_end_mark, varint};
use std::sync::Arc;

/// What a histogram's message holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measured {
    Histogram(HistogramPoint),
    /// The series ended.
    End(Point),
    /// It breaks the rules of histograms.
    Refused(HistogramError),
}

/// Buckets of one sign as they come: counts, or differences from bucket to bucket.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Side {
    fn buckets(self) -> Buckets {
        if self.deltas.is_empty() {
            return Buckets { spans: self.spans, counts: self.counts };
        }
        let mut count = 0i64;
        let add = |delta: &i64| {
            count = count.wrapping_add(*delta);
            count as f64
        };
        Buckets { spans: self.spans, counts: self.deltas.iter().map(add).collect() }
    }
}

fn span<'a>(body: Body<'a>, message: &'a [u8]) -> Result<Span, ReadError> {
    let mut span = Span { offset: 0, length: 0 };
    for field in body.fields(message) {
        match field? {
            (1, value) => span.offset = varint::unzigzag(value.int()) as i32,
            (2, value) => span.length = value.int() as u32,
            _ => {}
        }
    }
    Ok(span)
}

fn room<T>(list: &[T]) -> Result<(), ReadError> {
    if list.len() < HISTOGRAM_BUCKETS_MAX {
        return Ok(());
    }
    Err(ReadError::TooMany { what: "buckets of one histogram", max: HISTOGRAM_BUCKETS_MAX })
}

/// Integers, packed or one by one.
fn integers(body: Body<'_>, value: Value<'_>, out: &mut Vec<i64>) -> Result<(), ReadError> {
    let Value::Bytes(mut rest) = value else {
        room(out)?;
        out.push(varint::unzigzag(value.int()));
        return Ok(());
    };
    while !rest.is_empty() {
        room(out)?;
        let torn = rest;
        let Some(found) = varint::take(&mut rest) else { return Err(body.fault(torn, "a list of integers is torn")) };
        out.push(varint::unzigzag(found));
    }
    Ok(())
}

/// Numbers, packed or one by one.
fn doubles(body: Body<'_>, value: Value<'_>, out: &mut Vec<f64>) -> Result<(), ReadError> {
    let Value::Bytes(bytes) = value else {
        room(out)?;
        out.push(value.double());
        return Ok(());
    };
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(body.fault(rest, "a list of numbers is torn"));
    }
    for word in words {
        room(out)?;
        out.push(f64::from_le_bytes(*word));
    }
    Ok(())
}

/// Reads the message.
pub(super) fn read<'a>(body: Body<'a>, message: &'a [u8]) -> Result<Measured, ReadError> {
    let mut histogram = Histogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let mut bounds = Vec::new();
    let mut t_ms = 0;
    for field in body.fields(message) {
        let (number, value) = field?;
        let side = if number <= 10 { &mut negative } else { &mut positive };
        match number {
            1 => histogram.count = value.int() as f64,
            2 => histogram.count = value.double(),
            3 => histogram.sum = value.double(),
            4 => histogram.schema = varint::unzigzag(value.int()) as i32,
            5 => histogram.zero_threshold = value.double(),
            6 => histogram.zero_count = value.int() as f64,
            7 => histogram.zero_count = value.double(),
            8 | 11 => {
                let Value::Bytes(message) = value else { continue };
                room(&side.spans)?;
                side.spans.push(span(body, message)?);
            }
            9 | 12 => integers(body, value, &mut side.deltas)?,
            10 | 13 => doubles(body, value, &mut side.counts)?,
            14 => {
                histogram.reset_hint = match value.int() {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => t_ms = value.int().cast_signed(),
            16 => doubles(body, value, &mut bounds)?,
            _ => {}
        }
    }
    if is_end_mark(histogram.sum) {
        return Ok(Measured::End(Point { t_ms, value: STALE_NAN }));
    }
    histogram.positive = positive.buckets();
    histogram.negative = negative.buckets();
    histogram.custom_values = Arc::from(bounds);
    Ok(match histogram.validate() {
        Ok(()) => Measured::Histogram(HistogramPoint { t_ms, histogram: Arc::new(histogram) }),
        Err(error) => Measured::Refused(error),
    })
}

fn put_side(out: &mut Vec<u8>, (spans, counts): (u64, u64), buckets: &Buckets) {
    let mut message = Vec::new();
    for span in &buckets.spans {
        message.clear();
        put_int(&mut message, 1, varint::zigzag(i64::from(span.offset)));
        put_int(&mut message, 2, u64::from(span.length));
        put_bytes(out, spans, &message);
    }
    put_doubles(out, counts, &buckets.counts);
}

fn put_doubles(out: &mut Vec<u8>, number: u64, values: &[f64]) {
    if !values.is_empty() {
        varint::put(out, number << 3 | 2);
        varint::put(out, values.len() as u64 * 8);
        values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes()));
    }
}

/// Writes the message, as a float histogram.
pub(super) fn put(out: &mut Vec<u8>, point: &HistogramPoint) {
    let histogram = &*point.histogram;
    put_double(out, 2, histogram.count);
    put_double(out, 3, histogram.sum);
    put_int(out, 4, varint::zigzag(i64::from(histogram.schema)));
    put_double(out, 5, histogram.zero_threshold);
    put_double(out, 7, histogram.zero_count);
    put_side(out, (8, 10), &histogram.negative);
    put_side(out, (11, 13), &histogram.positive);
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    put_int(out, 14, hint);
    put_int(out, 15, point.t_ms.cast_unsigned());
    put_doubles(out, 16, &histogram.custom_values);
}

/// A histogram as bytes that [`decode_histogram`] reads.
pub fn encode_histogram(point: &HistogramPoint) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, point);
    out
}

/// Reads what [`encode_histogram`] wrote; `None` if it is damaged.
pub fn decode_histogram(bytes: &[u8]) -> Option<HistogramPoint> {
    match read(Body(bytes), bytes).ok()? {
        Measured::Histogram(point) => Some(point),
        Measured::End(_) | Measured::Refused(_) => None,
    }
}
