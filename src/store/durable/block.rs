//! A block: chunks of the 256 series of one page, as one value.
//!
//! Form of an entry: slot in the page, generation, first time, span, points, whether the last value follows, the value,
//! bytes, the chunk. The chunks are those of the memory, so that reading a block back copies and codes nothing.

use crate::model::Point;
use crate::model::varint::{put, put_signed, take, take_signed};
use crate::store::SeriesRef;
use crate::store::embedded::{CHUNK_POINTS_MAX, PAGE, SavedChunk, decode_points, encode_points};

/// Chunks in one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The earliest and the latest time in it.
    pub times: (i64, i64),
    /// How many points.
    pub points: u64,
    /// The entries.
    pub data: Vec<u8>,
}

impl Block {
    /// Of chunks of one page.
    pub fn new(chunks: &[SavedChunk]) -> Self {
        let mut block = Self { times: (i64::MAX, i64::MIN), ..Self::default() };
        let len: usize = chunks.iter().map(|chunk| chunk.data.len() + 32).sum();
        block.data.reserve(len);
        for chunk in chunks {
            block.times = (block.times.0.min(chunk.first_ms), block.times.1.max(chunk.last_ms));
            block.points += u64::from(chunk.count);
            let out = &mut block.data;
            put(out, u64::from(chunk.series.slot() % PAGE));
            put(out, u64::from(chunk.series.generation()));
            put_signed(out, chunk.first_ms);
            put_signed(out, chunk.last_ms.wrapping_sub(chunk.first_ms));
            put(out, u64::from(chunk.count));
            match chunk.newest {
                None => out.push(0),
                Some(newest) => {
                    out.push(1);
                    out.extend_from_slice(&newest.value.to_bits().to_le_bytes());
                }
            }
            put(out, chunk.data.len() as u64);
            out.extend_from_slice(&chunk.data);
        }
        if chunks.is_empty() {
            block.times = (0, 0);
        }
        block
    }

    /// The chunks of a page; `None` if they are damaged.
    pub fn chunks(page: u32, data: &[u8]) -> Option<Vec<SavedChunk>> {
        let mut rest = data;
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            chunks.push(chunk(page, &mut rest)?);
        }
        Some(chunks)
    }
}

fn chunk(page: u32, rest: &mut &[u8]) -> Option<SavedChunk> {
    let offset = u32::try_from(take(rest)?).ok().filter(|offset| *offset < PAGE)?;
    let slot = page.checked_mul(PAGE)?.checked_add(offset)?;
    let generation = u32::try_from(take(rest)?).ok()?;
    let first_ms = take_signed(rest)?;
    let last_ms = first_ms.checked_add(take_signed(rest)?).filter(|last_ms| *last_ms >= first_ms)?;
    let count = u16::try_from(take(rest)?).ok().filter(|n| *n > 0 && usize::from(*n) <= CHUNK_POINTS_MAX)?;
    let (flag, after) = rest.split_first()?;
    *rest = after;
    let newest = match flag {
        0 => None,
        _ => {
            let (bits, after) = rest.split_first_chunk::<8>()?;
            *rest = after;
            Some(Point { t_ms: last_ms, value: f64::from_bits(u64::from_le_bytes(*bits)) })
        }
    };
    let len = usize::try_from(take(rest)?).ok()?;
    let (data, after) = rest.split_at_checked(len)?;
    *rest = after;
    let series = SeriesRef::from_id(i64::from(slot) << 32 | i64::from(generation));
    Some(SavedChunk { series, first_ms, newest, last_ms, count, data: Box::from(data) })
}

/// Chunks without the points after an instant.
pub(super) fn cut(chunks: Vec<SavedChunk>, cut_ms: i64) -> Vec<SavedChunk> {
    let cut_one = |chunk: SavedChunk| {
        if chunk.last_ms <= cut_ms {
            return Some(chunk);
        }
        let mut points = Vec::new();
        decode_points(&chunk.data, &mut points)?;
        points.retain(|point| point.t_ms <= cut_ms);
        let (first, last) = (points.first()?, points.last()?);
        Some(SavedChunk {
            series: chunk.series,
            first_ms: first.t_ms,
            newest: Some(*last),
            last_ms: last.t_ms,
            count: points.len() as u16,
            data: encode_points(&points).into_boxed_slice(),
        })
    };
    chunks.into_iter().filter_map(cut_one).collect()
}
