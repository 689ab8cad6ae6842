//! Bit packing: blocks of integers packed at the width their spread needs.
//!
//! Used by the chunk codec only. A block holds up to [`BLOCK`] integers as `width (1 byte), base (zigzag varint),
//! (value - base) at width bits each`, so that one outlier widens one block and not a whole chunk. All arithmetic
//! wraps: any sequence of `i64` comes back. Readers never panic on torn data; they return `None`.

use crate::model::varint::{self, unzigzag, zigzag};

/// Integers per block.
pub(super) const BLOCK: usize = 32;
/// Zero bytes that must follow the last block, so that a field can be read as one 8-byte word.
pub(super) const PAD: usize = 8;
/// A wider field could straddle 8 bytes when it starts inside a byte; such blocks store whole words.
const WIDTH_PACKED_MAX: u32 = 57;

/// Reads an integer at `pos`.
pub(super) fn get_varint(data: &[u8], pos: &mut usize) -> Option<u64> {
    let mut rest = data.get(*pos..)?;
    let value = varint::take(&mut rest)?;
    *pos = data.len() - rest.len();
    Some(value)
}

fn plan(block: &[i64]) -> (i64, u32) {
    let base = block.iter().copied().min().unwrap_or(0);
    let spread = block.iter().map(|v| v.wrapping_sub(base) as u64).max().unwrap_or(0);
    let width = 64 - spread.leading_zeros();
    (base, if width > WIDTH_PACKED_MAX { 64 } else { width })
}

/// Bytes that [`pack`] would write.
pub(super) fn packed_len(values: &[i64]) -> usize {
    let block_len = |block: &[i64]| {
        let (base, width) = plan(block);
        1 + varint::len(zigzag(base)) + (block.len() * width as usize).div_ceil(8)
    };
    values.chunks(BLOCK).map(block_len).sum()
}

/// Appends integers in blocks. The caller appends [`PAD`] zero bytes after everything else.
pub(super) fn pack(out: &mut Vec<u8>, values: &[i64]) {
    for block in values.chunks(BLOCK) {
        let (base, width) = plan(block);
        out.push(width as u8);
        varint::put_signed(out, base);
        let (mut acc, mut used) = (0u128, 0u32);
        for value in block {
            acc |= u128::from(value.wrapping_sub(base) as u64) << used;
            used += width;
            while used >= 8 {
                out.push(acc as u8);
                acc >>= 8;
                used -= 8;
            }
        }
        if used > 0 {
            out.push(acc as u8);
        }
    }
}

/// Reads `count` integers that [`pack`] wrote at `pos`, handing them on block by block.
pub(super) fn unpack(data: &[u8], pos: &mut usize, count: usize, mut sink: impl FnMut(&[i64])) -> Option<()> {
    let mut block = [0i64; BLOCK];
    let mut left = count;
    while left > 0 {
        let n = left.min(BLOCK);
        let width = usize::from(*data.get(*pos)?);
        *pos += 1;
        let base = unzigzag(get_varint(data, pos)?);
        let len = (n * width).div_ceil(8);
        let bytes = data.get(*pos..*pos + len + PAD)?;
        let fields = block.get_mut(..n)?;
        match width {
            0 => fields.fill(base),
            1..=57 => unpack_fields(bytes, width, base, fields)?,
            64 => {
                for (field, word) in fields.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *field = base.wrapping_add(i64::from_le_bytes(*word));
                }
            }
            _ => return None,
        }
        *pos += len;
        sink(fields);
        left -= n;
    }
    Some(())
}

#[inline]
fn unpack_fields(bytes: &[u8], width: usize, base: i64, fields: &mut [i64]) -> Option<()> {
    let mask = (1u64 << width) - 1;
    let mut bit = 0;
    for field in fields {
        let word = u64::from_le_bytes(*bytes.get(bit >> 3..)?.first_chunk::<8>()?);
        *field = base.wrapping_add(((word >> (bit & 7)) & mask) as i64);
        bit += width;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_integers_come_back_whatever_their_spread() {
        let check = |values: &[i64]| {
            let mut data = Vec::new();
            pack(&mut data, values);
            assert_eq!(data.len(), packed_len(values), "{values:?}");
            data.extend_from_slice(&[0; PAD]);
            let (mut pos, mut out) = (0, Vec::new());
            unpack(&data, &mut pos, values.len(), |block| out.extend_from_slice(block)).unwrap();
            assert_eq!(out, values);
            assert_eq!(pos + PAD, data.len());
        };
        check(&[]);
        check(&[7]);
        check(&[i64::MIN, i64::MAX, 0, -1, 1]);
        for width in 0..63 {
            let values: Vec<i64> = (0..70).map(|i| (i * 37) % (1 << width.min(56)).max(1) + (1 << width)).collect();
            check(&values);
            check(&[0, 1 << width, 5, -(1 << width)]);
        }
    }

    #[test]
    fn torn_data_is_refused_and_does_not_panic() {
        let mut data = Vec::new();
        pack(&mut data, &[1, 1000, -5, 1 << 60]);
        data.extend_from_slice(&[0; PAD]);
        for len in 0..data.len() {
            assert_eq!(unpack(&data[..len], &mut 0, 4, |_| {}), None);
        }
        assert_eq!(get_varint(&[0xff; 20], &mut 0), None);
    }
}
