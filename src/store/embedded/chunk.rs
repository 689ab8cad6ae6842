//! Sealed chunks: up to [`CHUNK_POINTS_MAX`] points of one series, compressed without loss.
//!
//! Form of the bytes: `count, first time (zigzag), differences of times (packed blocks), kind of values, values, padding`.
//! Times at a fixed interval take no bits, with a few milliseconds of jitter some 5 bits. Values are coded as
//! constant, decimal ([`super::decimal`]), XOR ([`super::xor`]) or raw, whichever is least; every bit pattern comes
//! back, marks and NaN payloads included. The bytes stand for themselves, so they can be saved and read back.

use super::bits::{PAD, get_varint, pack, unpack};
use super::{decimal, xor};
use crate::model::Point;
use crate::model::varint::{self, unzigzag};

/// Points per chunk: an hour at the usual 15 s.
pub const CHUNK_POINTS_MAX: usize = 256;

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const XOR: u8 = 2;
const RAW: u8 = 3;

/// A compressed run of points, oldest first, times strictly ascending.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    count: u16,
    /// Whether it was given out to be stored; a chunk that changes is a new one. Lies in padding, costs nothing.
    pub(super) saved: bool,
    data: Box<[u8]>,
}

/// Compresses up to [`CHUNK_POINTS_MAX`] points (the rest is left out).
pub fn encode_points(points: &[Point]) -> Vec<u8> {
    let points = &points[..points.len().min(CHUNK_POINTS_MAX)];
    let mut out = Vec::with_capacity(points.len() * 3 + 32);
    varint::put(&mut out, points.len() as u64);
    let Some(first) = points.first() else { return out };
    varint::put_signed(&mut out, first.t_ms);
    let deltas: Vec<i64> = points.windows(2).map(|w| w[1].t_ms.wrapping_sub(w[0].t_ms)).collect();
    pack(&mut out, &deltas);
    encode_values(&mut out, points);
    out.extend_from_slice(&[0; PAD]);
    out
}

fn encode_values(out: &mut Vec<u8>, points: &[Point]) {
    let bits = || points.iter().map(|p| p.value.to_bits());
    let first = points.first().map_or(0, |p| p.value.to_bits());
    if bits().all(|b| b == first) {
        out.push(CONSTANT);
        out.extend_from_slice(&first.to_le_bytes());
        return;
    }
    let start = out.len();
    let decimal = decimal::plan(points);
    if let Some(plan) = &decimal {
        out.push(DECIMAL);
        plan.encode(out);
        // A decimal form this short is never beaten by XOR, which spends at least two bits on a changed value and in
        // practice several bytes; the second coding is worth its time only for long mantissas.
        if out.len() - start <= points.len() * 4 {
            return;
        }
    }
    let mut other = vec![XOR];
    xor::encode(&mut other, bits());
    if other.len() > 1 + points.len() * 8 {
        other.truncate(0);
        other.push(RAW);
        bits().for_each(|b| other.extend_from_slice(&b.to_le_bytes()));
    }
    if decimal.is_none() || other.len() < out.len() - start {
        out.truncate(start);
        out.append(&mut other);
    }
}

/// Appends the points that [`encode_points`] compressed; `None` (and `out` as it was) if the bytes are damaged.
pub fn decode_points(data: &[u8], out: &mut Vec<Point>) -> Option<()> {
    let start = out.len();
    let done = decode(data, out, start);
    if done.is_none() {
        out.truncate(start);
    }
    done
}

fn decode(data: &[u8], out: &mut Vec<Point>, start: usize) -> Option<()> {
    let mut pos = 0;
    let count = get_varint(data, &mut pos)? as usize;
    if count == 0 {
        return Some(());
    }
    if count > CHUNK_POINTS_MAX {
        return None;
    }
    out.reserve(count);
    let mut t_ms = unzigzag(get_varint(data, &mut pos)?);
    out.push(Point { t_ms, value: 0.0 });
    unpack(data, &mut pos, count - 1, |deltas| {
        out.extend(deltas.iter().map(|d| {
            t_ms = t_ms.wrapping_add(*d);
            Point { t_ms, value: 0.0 }
        }));
    })?;
    let kind = *data.get(pos)?;
    pos += 1;
    let points = out.get_mut(start..)?;
    match kind {
        CONSTANT => {
            let value = f64::from_le_bytes(*data.get(pos..)?.first_chunk::<8>()?);
            points.iter_mut().for_each(|p| p.value = value);
        }
        DECIMAL => decimal::decode(data, &mut pos, points)?,
        XOR => {
            let mut slots = points.iter_mut();
            xor::decode(data.get(pos..)?, count, |bits| {
                if let Some(point) = slots.next() {
                    point.value = f64::from_bits(bits);
                }
            })?;
        }
        RAW => {
            let words = data.get(pos..pos + count * 8)?.as_chunks::<8>().0;
            points.iter_mut().zip(words).for_each(|(p, w)| p.value = f64::from_le_bytes(*w));
        }
        _ => return None,
    }
    Some(())
}

impl Chunk {
    /// Compresses points; they must be ascending, at least one and at most [`CHUNK_POINTS_MAX`].
    pub(super) fn new(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        debug_assert!(points.len() <= CHUNK_POINTS_MAX);
        Some(Self {
            first_ms: first.t_ms,
            last_ms: last.t_ms,
            count: points.len() as u16,
            saved: false,
            data: encode_points(points).into_boxed_slice(),
        })
    }

    /// A chunk that was stored; the bytes are taken as they are.
    pub(super) fn stored(first_ms: i64, last_ms: i64, count: u16, data: Box<[u8]>) -> Self {
        Self { first_ms, last_ms, count, saved: false, data }
    }

    /// Its bytes, which [`decode_points`] reads.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many points it holds.
    pub(super) fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes it takes, its own header included.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + size_of::<Self>()
    }

    /// Appends all points.
    pub(super) fn read(&self, out: &mut Vec<Point>) {
        // Bytes from a disk passed their checksum; should they fail all the same, they hold no point.
        let done = decode_points(&self.data, out);
        debug_assert!(done.is_some(), "a chunk made here reads back");
    }

    /// Appends the points in `(from_ms, to_ms]`.
    pub(super) fn read_range(&self, from_ms: i64, to_ms: i64, out: &mut Vec<Point>) {
        let start = out.len();
        self.read(out);
        if self.last_ms > to_ms {
            let kept = out[start..].partition_point(|p| p.t_ms <= to_ms);
            out.truncate(start + kept);
        }
        if self.first_ms <= from_ms {
            let skipped = out[start..].partition_point(|p| p.t_ms <= from_ms);
            out.drain(start..start + skipped);
        }
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
