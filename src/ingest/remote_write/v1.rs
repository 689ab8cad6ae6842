//! `prometheus.WriteRequest`: series with their labels in words.

use super::ReadError;
use super::known::Known;
use super::proto::{Body, Value, put_bytes, take_bytes};
use super::read::{Page, Reading, kind, label_set, sample, text};
use crate::ingest::MetricKind;
use std::hash::Hash;

/// The tag of a label in a series.
const LABEL: u8 = 1 << 3 | 2;

pub(super) fn read<S: Copy + Eq + Hash>(body: Body<'_>, known: &Known<S>) -> Result<Page<S>, ReadError> {
    let mut reading = Reading::new(known, body);
    for field in body.fields(body.0) {
        match field? {
            (1, Value::Bytes(message)) => series(body, message, &mut reading)?,
            (3, Value::Bytes(message)) => {
                let (family, about) = metadata(body, message)?;
                reading.declare(family, about, true)?;
            }
            _ => {}
        }
    }
    Ok(reading.page)
}

/// The labels that stand together at the beginning of a series: all of them, as every known sender writes it.
#[inline]
fn leading_labels(message: &[u8]) -> usize {
    let mut rest = message;
    while let Some((&LABEL, mut after)) = rest.split_first() {
        if take_bytes(&mut after).is_none() {
            break;
        }
        rest = after;
    }
    message.len() - rest.len()
}

#[inline]
fn series<'a, S: Copy + Eq + Hash>(
    body: Body<'a>,
    message: &'a [u8],
    reading: &mut Reading<'_, S>,
) -> Result<(), ReadError> {
    let (labels, rest) = message.split_at(leading_labels(message));
    let mut late = Vec::new();
    reading.begin();
    for field in body.fields(rest) {
        match field? {
            (1, Value::Bytes(label)) => put_bytes(&mut late, 1, label),
            (2, Value::Bytes(message)) => reading.sample(sample(body, message)?.0)?,
            (3, _) => reading.page.exemplars += 1,
            (4, histogram) => reading.histogram(body, histogram)?,
            _ => {}
        }
    }
    if !late.is_empty() {
        late.splice(0..0, labels.iter().copied());
        return end(Body(&late), &late, reading);
    }
    end(body, labels, reading)
}

#[inline]
fn end<'a, S: Copy + Eq + Hash>(
    body: Body<'a>,
    labels: &'a [u8],
    reading: &mut Reading<'_, S>,
) -> Result<(), ReadError> {
    if reading.is_empty() {
        return Ok(());
    }
    let key = reading.known.key(labels);
    if reading.end_known(key) {
        return Ok(());
    }
    let mut pairs = Vec::with_capacity(16);
    for field in body.fields(labels) {
        let (_, Value::Bytes(message)) = field? else { continue };
        pairs.push(pair(body, message)?);
    }
    match label_set(&mut pairs) {
        Ok(labels) => reading.end_new(key, labels, None),
        Err(reason) => {
            reading.end_refused(reason);
            Ok(())
        }
    }
}

fn pair<'a>(body: Body<'a>, message: &'a [u8]) -> Result<(&'a str, &'a str), ReadError> {
    let (mut name, mut value) = ("", "");
    for field in body.fields(message) {
        match field? {
            (1, found) => name = text(body, found)?,
            (2, found) => value = text(body, found)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn metadata<'a>(body: Body<'a>, message: &'a [u8]) -> Result<(&'a str, (MetricKind, &'a str, &'a str)), ReadError> {
    let (mut family, mut metric, mut help, mut unit) = ("", MetricKind::default(), "", "");
    for field in body.fields(message) {
        match field? {
            (1, found) => metric = kind(found.int()),
            (2, found) => family = text(body, found)?,
            (4, found) => help = text(body, found)?,
            (5, found) => unit = text(body, found)?,
            _ => {}
        }
    }
    Ok((family, (metric, help, unit)))
}
