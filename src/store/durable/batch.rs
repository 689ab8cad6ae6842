//! A batch of the journal: the points of a second, column by column, packed with snappy.
//!
//! Which series had points stands apart from the points, with a checksum of its own: where the points are damaged, it
//! still tells whose they were.

use crate::model::Point;
use crate::model::varint::{put_signed, take_signed};
use crate::store::SeriesRef;

/// Points of one batch at most; more make another one.
pub(super) const BATCH_POINTS_MAX: usize = 1 << 20;

/// The points that arrived together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the journal.
    pub number: i64,
    /// When it was taken.
    pub at_ms: i64,
    /// The earliest and the latest time in it.
    pub times: (i64, i64),
    /// How many points.
    pub points: u32,
    /// Whose points they are, packed.
    pub series: Vec<u8>,
    /// The points, packed.
    pub values: Vec<u8>,
}

fn pack(plain: &[u8]) -> Vec<u8> {
    // Fails only beyond 4 GiB; a batch is a few MiB.
    snap::raw::Encoder::new().compress_vec(plain).unwrap_or_default()
}

fn unpack(packed: &[u8], len_max: usize) -> Option<Vec<u8>> {
    if snap::raw::decompress_len(packed).ok()? > len_max {
        return None;
    }
    snap::raw::Decoder::new().decompress_vec(packed).ok()
}

impl Batch {
    /// Packs points; at most `BATCH_POINTS_MAX`, the rest is left out.
    pub fn new(number: i64, at_ms: i64, points: &[(SeriesRef, Point)]) -> Self {
        let points = &points[..points.len().min(BATCH_POINTS_MAX)];
        let mut series = Vec::with_capacity(points.len() * 2);
        let mut last = 0i64;
        for (one, _) in points {
            put_signed(&mut series, one.id().wrapping_sub(last));
            last = one.id();
        }
        let mut values = Vec::with_capacity(points.len() * 10);
        let mut last = at_ms;
        let mut times = (i64::MAX, i64::MIN);
        for (_, point) in points {
            put_signed(&mut values, point.t_ms.wrapping_sub(last));
            last = point.t_ms;
            times = (times.0.min(point.t_ms), times.1.max(point.t_ms));
        }
        // Byte by byte of all values: the bytes that hardly differ then stand together.
        for byte in 0..8 {
            values.extend(points.iter().map(|(_, point)| (point.value.to_bits() >> (8 * byte)) as u8));
        }
        Self { number, at_ms, times, points: points.len() as u32, series: pack(&series), values: pack(&values) }
    }

    /// Bytes it takes.
    pub fn byte_len(&self) -> usize {
        self.series.len() + self.values.len()
    }

    fn count(&self) -> Option<usize> {
        usize::try_from(self.points).ok().filter(|count| *count <= BATCH_POINTS_MAX)
    }

    /// Whose points they are; `None` if that is damaged.
    pub fn unpack_series(&self) -> Option<Vec<SeriesRef>> {
        let count = self.count()?;
        let plain = unpack(&self.series, count * 10)?;
        let mut rest = &plain[..];
        let mut last = 0i64;
        let mut series = Vec::with_capacity(count);
        for _ in 0..count {
            last = last.wrapping_add(take_signed(&mut rest)?);
            series.push(SeriesRef::from_id(last));
        }
        rest.is_empty().then_some(series)
    }

    /// The points of those series; `None` if they are damaged.
    pub fn unpack_points(&self) -> Option<Vec<Point>> {
        let count = self.count()?;
        let plain = unpack(&self.values, count * 18)?;
        let mut rest = &plain[..];
        let mut points = Vec::with_capacity(count);
        let mut last = self.at_ms;
        for _ in 0..count {
            last = last.wrapping_add(take_signed(&mut rest)?);
            points.push(Point { t_ms: last, value: 0.0 });
        }
        if rest.len() != count * 8 {
            return None;
        }
        for (i, point) in points.iter_mut().enumerate() {
            let byte = |byte: usize| u64::from(rest.get(byte * count + i).copied().unwrap_or(0)) << (8 * byte);
            point.value = f64::from_bits((0..8).map(byte).sum());
        }
        Some(points)
    }
}
