//! `io.prometheus.write.v2.Request`: series whose labels are numbers of texts in a table.
//!
//! What is declared of a series (kind, help, unit, when its counter began) is part of its key: it is read again only
//! when it changes.

use super::known::{Key, Known};
use super::proto::{Body, Value};
use super::read::{Page, Reading, kind, label_set, sample};
use super::{ReadError, SYMBOLS_MAX};
use crate::ingest::MetricKind;
use crate::model::{Labels, varint};
use std::hash::Hash;

/// The table of texts, each with its key.
struct Symbols<'a> {
    body: Body<'a>,
    texts: Vec<(&'a [u8], Key)>,
}

impl<'a> Symbols<'a> {
    fn key(&self, number: u64) -> Option<Key> {
        Some(self.texts.get(usize::try_from(number).ok()?)?.1)
    }

    fn text(&self, number: u64) -> Result<&'a str, String> {
        let found = usize::try_from(number).ok().and_then(|number| self.texts.get(number));
        let (bytes, _) = found.ok_or_else(|| format!("text {number} is not in the table of {}", self.texts.len()))?;
        std::str::from_utf8(bytes).map_err(|_| format!("text {number} of the table is not UTF-8"))
    }
}

/// A series without its samples.
#[derive(Clone, Copy, Default)]
struct Head<'a> {
    /// The numbers of its labels, packed.
    labels: &'a [u8],
    kind: u64,
    help: u64,
    unit: u64,
    created_ms: i64,
}

pub(super) fn read<S: Copy + Eq + Hash>(body: Body<'_>, known: &Known<S>) -> Result<Page<S>, ReadError> {
    let symbols = table(body, known)?;
    let mut reading = Reading::new(known, body);
    for field in body.fields(body.0) {
        if let (5, Value::Bytes(message)) = field? {
            series(&symbols, message, &mut reading)?;
        }
    }
    Ok(reading.page)
}

fn table<'a, S: Copy + Eq + Hash>(body: Body<'a>, known: &Known<S>) -> Result<Symbols<'a>, ReadError> {
    let mut texts = Vec::new();
    for field in body.fields(body.0) {
        let (4, Value::Bytes(bytes)) = field? else { continue };
        if texts.len() >= SYMBOLS_MAX {
            return Err(ReadError::TooMany { what: "texts in the table", max: SYMBOLS_MAX });
        }
        texts.push((bytes, known.key(bytes)));
    }
    if texts.first().is_some_and(|(first, _)| !first.is_empty()) {
        return Err(body.fault(body.0, "the table of texts does not begin with the empty text"));
    }
    Ok(Symbols { body, texts })
}

#[inline]
fn series<'a, S: Copy + Eq + Hash>(
    symbols: &Symbols<'a>,
    message: &'a [u8],
    reading: &mut Reading<'_, S>,
) -> Result<(), ReadError> {
    let body = symbols.body;
    let mut head = Head::default();
    // Numbers that do not stand together in one field: allowed by the encoding, written by nobody.
    let mut scattered: Vec<u8> = Vec::new();
    reading.begin();
    for field in body.fields(message) {
        match field? {
            (1, Value::Bytes(numbers)) if head.labels.is_empty() && scattered.is_empty() => head.labels = numbers,
            (1, Value::Bytes(numbers)) => scattered.extend_from_slice(numbers),
            (1, Value::Varint(number)) => varint::put(&mut scattered, number),
            (2, Value::Bytes(message)) => {
                let (point, created_ms) = sample(body, message)?;
                if reading.points.is_empty() && head.created_ms == 0 {
                    head.created_ms = created_ms;
                }
                reading.sample(point)?;
            }
            (3, histogram) => reading.histogram(body, histogram)?,
            (4, _) => reading.page.exemplars += 1,
            (5, Value::Bytes(message)) => metadata(body, message, &mut head)?,
            (6, created_ms) => head.created_ms = created_ms.int().cast_signed(),
            _ => {}
        }
    }
    if !scattered.is_empty() {
        scattered.splice(0..0, head.labels.iter().copied());
        return end(symbols, Head { labels: &scattered, ..head }, reading);
    }
    end(symbols, head, reading)
}

fn metadata<'a>(body: Body<'a>, message: &'a [u8], head: &mut Head<'_>) -> Result<(), ReadError> {
    for field in body.fields(message) {
        match field? {
            (1, found) => head.kind = found.int(),
            (3, found) => head.help = found.int(),
            (4, found) => head.unit = found.int(),
            _ => {}
        }
    }
    Ok(())
}

/// The key of a series; `None` if a number is torn or names no text.
#[inline]
fn key<S: Copy + Eq + Hash>(symbols: &Symbols<'_>, head: &Head<'_>, known: &Known<S>) -> Option<Key> {
    let mut mix = known.mix();
    let mut rest = head.labels;
    while !rest.is_empty() {
        mix.key(symbols.key(varint::take(&mut rest)?)?);
    }
    if head.kind != 0 || head.help != 0 || head.unit != 0 || head.created_ms != 0 {
        mix.int(head.kind);
        mix.key(symbols.key(head.help)?);
        mix.key(symbols.key(head.unit)?);
        mix.int(head.created_ms.cast_unsigned());
    }
    Some(mix.end())
}

#[inline]
fn end<S: Copy + Eq + Hash>(
    symbols: &Symbols<'_>,
    head: Head<'_>,
    reading: &mut Reading<'_, S>,
) -> Result<(), ReadError> {
    if reading.is_empty() && head.kind == 0 {
        return Ok(());
    }
    let key = key(symbols, &head, reading.known);
    if key.is_some_and(|key| reading.end_known(key)) {
        return Ok(());
    }
    let labels = match (labels(symbols, head.labels), key) {
        (Ok(labels), Some(key)) => Ok((labels, key)),
        (Ok(_), None) => Err("the metadata of a series names no text of the table".to_owned()),
        (Err(reason), _) => Err(reason),
    };
    match labels {
        Ok((labels, key)) => {
            declare(symbols, &head, &labels, reading)?;
            let is_counter =
                matches!(kind(head.kind), MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary);
            let created_ms = (is_counter && head.created_ms != 0).then_some(head.created_ms);
            if reading.is_empty() { Ok(()) } else { reading.end_new(key, labels, created_ms) }
        }
        Err(reason) => {
            reading.end_refused(reason);
            Ok(())
        }
    }
}

fn labels(symbols: &Symbols<'_>, numbers: &[u8]) -> Result<Labels, String> {
    let mut pairs = Vec::with_capacity(16);
    let mut rest = numbers;
    let next = |rest: &mut &[u8]| match varint::take(rest) {
        Some(number) => symbols.text(number),
        None => Err("the numbers of the labels of a series are torn, or not pairs".to_owned()),
    };
    while !rest.is_empty() {
        pairs.push((next(&mut rest)?, next(&mut rest)?));
    }
    label_set(&mut pairs)
}

/// Keeps what is declared of the family of a series.
fn declare<S: Copy + Eq + Hash>(
    symbols: &Symbols<'_>,
    head: &Head<'_>,
    labels: &Labels,
    reading: &mut Reading<'_, S>,
) -> Result<(), ReadError> {
    let Some(name) = labels.metric_name().filter(|_| head.kind != 0) else { return Ok(()) };
    let (Ok(help), Ok(unit)) = (symbols.text(head.help), symbols.text(head.unit)) else { return Ok(()) };
    let kind = kind(head.kind);
    // The series of these are parts of a family whose name has no such ending.
    let endings: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => &["_bucket", "_sum", "_count"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    let family = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    reading.declare(family, (kind, help, unit), false)
}
