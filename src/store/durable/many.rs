//! Native histograms that arrived together, as one value: series, length, and the message of remote write, packed.
//!
//! They are few beside floats and do not change, so they are stored once and stay until retention ends.

use crate::ingest::remote_write::{decode_histogram, encode_histogram, pack};
use crate::model::HistogramPoint;
use crate::model::varint::{put, put_signed, take, take_signed};
use crate::store::SeriesRef;

/// Histograms of one value at most.
const MANY_MAX: usize = 1 << 14;
/// A value that has so many bytes before it is packed takes no more histograms.
const PLAIN_BYTES: usize = 4 << 20;
/// Bytes of a value that is unpacked: the last histogram may be as long as a request of remote write.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

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
    /// Packs histograms, as many as fit into one value; gives the rest back.
    pub fn new(number: i64, histograms: &[(SeriesRef, HistogramPoint)]) -> (Self, &[(SeriesRef, HistogramPoint)]) {
        let mut many = Self { number, times: (i64::MAX, i64::MIN), ..Self::default() };
        let mut plain = Vec::new();
        let mut rest = histograms;
        while let Some(((series, point), after)) = rest.split_first() {
            if many.points as usize >= MANY_MAX || plain.len() >= PLAIN_BYTES {
                break;
            }
            rest = after;
            many.points += 1;
            many.times = (many.times.0.min(point.t_ms), many.times.1.max(point.t_ms));
            let bytes = encode_histogram(point);
            put_signed(&mut plain, series.id());
            put(&mut plain, bytes.len() as u64);
            plain.extend_from_slice(&bytes);
        }
        if many.points == 0 {
            many.times = (0, 0);
        }
        many.data = pack(&plain);
        (many, rest)
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
