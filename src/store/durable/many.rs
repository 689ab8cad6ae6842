//! Native histograms that arrived together, as one value: series, length, and the message of remote write, packed.
//!
//! They are few beside floats and do not change, so they are stored once and stay until retention ends.

use super::batch::{put_signed, put_unsigned, take, take_signed};
use crate::ingest::remote_write::{decode_histogram, encode_histogram, pack};
use crate::model::HistogramPoint;
use crate::store::SeriesRef;

/// Histograms of one value at most.
pub(super) const MANY_MAX: usize = 1 << 14;
/// Bytes of a value that is unpacked.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Histograms in one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Many {
    /// Its place in the journal.
    pub number: i64,
    /// The earliest and the latest time in it.
    pub times: (i64, i64),
    /// How many.
    pub points: u32,
    /// The histograms, packed.
    pub data: Vec<u8>,
}

impl Many {
    /// Packs histograms.
    pub fn new(number: i64, histograms: &[(SeriesRef, HistogramPoint)]) -> Self {
        let mut many = Self { number, times: (i64::MAX, i64::MIN), points: histograms.len() as u32, data: Vec::new() };
        let mut plain = Vec::new();
        for (series, point) in histograms {
            many.times = (many.times.0.min(point.t_ms), many.times.1.max(point.t_ms));
            let bytes = encode_histogram(point);
            put_signed(&mut plain, series.id());
            put_unsigned(&mut plain, bytes.len() as u64);
            plain.extend_from_slice(&bytes);
        }
        many.data = pack(&plain);
        many
    }

    /// The histograms; `None` if they are damaged.
    pub fn unpack(data: &[u8]) -> Option<Vec<(SeriesRef, HistogramPoint)>> {
        if snap::raw::decompress_len(data).ok()? > UNPACKED_BYTES_MAX {
            return None;
        }
        let plain = snap::raw::Decoder::new().decompress_vec(data).ok()?;
        let mut rest = &plain[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let series = SeriesRef::from_id(take_signed(&mut rest)?);
            let len = usize::try_from(take(&mut rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(len)?;
            rest = after;
            found.push((series, decode_histogram(bytes)?));
        }
        Some(found)
    }
}
