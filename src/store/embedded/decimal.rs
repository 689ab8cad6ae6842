//! Decimal coding of doubles: values that were written with a few decimals become integers at one scale.
//!
//! `v` is coded as the integer `m` with `v == m / 10^scale`, checked bit for bit when it is coded. Because a division
//! of two exact doubles is correctly rounded, every number printed with up to 15 digits passes. What does not (NaN, marks,
//! infinities, -0, full mantissas) is kept apart as an exception: its index and its bits. The integers are freed of
//! their common divisor (memory in pages, money in cents) and packed plain, as differences, or as differences of
//! differences, whichever is least.

use super::bits::{get_varint, pack, packed_len, unpack};
use crate::model::Point;
use crate::model::varint::{self, unzigzag};

/// Integers above it are not exact doubles.
const MANTISSA_MAX: u64 = 1 << 53;
/// Powers of ten that are exact doubles and useful: 15 digits is what a double always keeps.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

const PLAIN: u8 = 0;
const DELTA: u8 = 1;
const DELTA_DELTA: u8 = 2;

/// A sequence seen as integers at one scale.
pub(super) struct Plan {
    scale: u8,
    shape: u8,
    first: i64,
    divisor: i64,
    stream: Vec<i64>,
    /// The first difference, for [`DELTA_DELTA`].
    slope: i64,
    exceptions: Vec<(usize, u64)>,
}

#[inline]
fn integer(value: f64, scale: usize) -> Option<i64> {
    let power = *POWERS.get(scale)?;
    // A cast truncates and saturates; half a unit makes it round. `f64::round` would be a library call on the x86-64
    // baseline. A wrong guess is caught by the comparison.
    let m = (value * power + 0.5f64.copysign(value)) as i64;
    let exact = m.unsigned_abs() < MANTISSA_MAX && (m as f64 / power).to_bits() == value.to_bits();
    exact.then_some(m)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Finds the integers behind a sequence, or `None` if it has too many exceptions to be worth it.
pub(super) fn plan(points: &[Point]) -> Option<Plan> {
    let exceptions_max = points.len() / 8 + 1;
    let mut scale = 0;
    let mut exceptions = 0;
    for point in points {
        match (scale..POWERS.len()).find(|s| integer(point.value, *s).is_some()) {
            Some(s) => scale = s,
            None => exceptions += 1,
        }
        if exceptions > exceptions_max {
            return None;
        }
    }
    let mut exceptions = Vec::new();
    let mut previous = points.iter().find_map(|p| integer(p.value, scale)).unwrap_or(0);
    let first = previous;
    let mut divisor = 0u64;
    let mut stream = Vec::with_capacity(points.len());
    for (i, point) in points.iter().enumerate() {
        match integer(point.value, scale) {
            Some(m) => {
                if divisor != 1 {
                    divisor = gcd((m - first).unsigned_abs(), divisor);
                }
                previous = m;
            }
            None => exceptions.push((i, point.value.to_bits())),
        }
        stream.push(previous - first);
    }
    if exceptions.len() > exceptions_max {
        return None;
    }
    let divisor = (divisor.max(1)) as i64;
    if divisor > 1 {
        stream.iter_mut().for_each(|k| *k /= divisor);
    }
    Some(shaped(Plan { scale: scale as u8, shape: PLAIN, first, divisor, stream, slope: 0, exceptions }))
}

fn differences(values: &[i64]) -> Vec<i64> {
    values.windows(2).map(|w| w[1] - w[0]).collect()
}

/// Picks the shape that packs best.
fn shaped(mut plan: Plan) -> Plan {
    let delta = differences(&plan.stream);
    let delta_delta = differences(&delta);
    let (plain_len, delta_len) = (packed_len(&plan.stream), packed_len(&delta));
    if packed_len(&delta_delta) + 3 < plain_len.min(delta_len) {
        plan.slope = delta.first().copied().unwrap_or(0);
        (plan.shape, plan.stream) = (DELTA_DELTA, delta_delta);
    } else if delta_len < plain_len {
        (plan.shape, plan.stream) = (DELTA, delta);
    }
    plan
}

impl Plan {
    /// Appends the coded sequence.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.scale << 2 | self.shape);
        varint::put_signed(out, self.first);
        varint::put(out, self.divisor as u64);
        if self.shape == DELTA_DELTA {
            varint::put_signed(out, self.slope);
        }
        varint::put(out, self.exceptions.len() as u64);
        for (index, bits) in &self.exceptions {
            varint::put(out, *index as u64);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        pack(out, &self.stream);
    }
}

/// Reads a coded sequence into the values of `points`; `None` if the data is torn.
pub(super) fn decode(data: &[u8], pos: &mut usize, points: &mut [Point]) -> Option<()> {
    let head = *data.get(*pos)?;
    *pos += 1;
    let (scale, shape) = (*POWERS.get(usize::from(head >> 2))?, head & 3);
    let first = unzigzag(get_varint(data, pos)?);
    let divisor = get_varint(data, pos)? as i64;
    let slope = if shape == DELTA_DELTA { unzigzag(get_varint(data, pos)?) } else { 0 };
    let exceptions = get_varint(data, pos)? as usize;
    if exceptions > points.len() {
        return None;
    }
    let exceptions_at = *pos;
    for _ in 0..exceptions {
        get_varint(data, pos)?;
        *pos += 8;
    }
    let skip = usize::from(shape).min(points.len());
    let mut state = Running { scale, first, divisor, step: slope, sum: 0 };
    let (head, tail) = points.split_at_mut(skip);
    for (i, point) in head.iter_mut().enumerate() {
        point.value = state.value(if i == 0 { 0 } else { slope });
    }
    state.sum = if skip == 2 { slope } else { 0 };
    let (count, mut rest) = (tail.len(), tail);
    unpack(data, pos, count, |block| {
        let (now, later) = std::mem::take(&mut rest).split_at_mut(block.len());
        rest = later;
        state.block(shape, block, now);
    })?;
    let mut at = exceptions_at;
    for _ in 0..exceptions {
        let index = get_varint(data, &mut at)? as usize;
        let bits = u64::from_le_bytes(*data.get(at..)?.first_chunk::<8>()?);
        at += 8;
        points.get_mut(index)?.value = f64::from_bits(bits);
    }
    Some(())
}

struct Running {
    scale: f64,
    first: i64,
    divisor: i64,
    step: i64,
    sum: i64,
}

impl Running {
    #[inline]
    fn value(&self, k: i64) -> f64 {
        self.first.wrapping_add(self.divisor.wrapping_mul(k)) as f64 / self.scale
    }

    #[inline]
    fn block(&mut self, shape: u8, block: &[i64], out: &mut [Point]) {
        match shape {
            PLAIN => out.iter_mut().zip(block).for_each(|(point, k)| point.value = self.value(*k)),
            DELTA => out.iter_mut().zip(block).for_each(|(point, d)| {
                self.sum = self.sum.wrapping_add(*d);
                point.value = self.value(self.sum);
            }),
            _ => out.iter_mut().zip(block).for_each(|(point, dd)| {
                self.step = self.step.wrapping_add(*dd);
                self.sum = self.sum.wrapping_add(self.step);
                point.value = self.value(self.sum);
            }),
        }
    }
}
