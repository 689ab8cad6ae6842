//! Integers of variable length, as Protocol Buffers writes them: 7 bits a byte, the least significant first.
//!
//! One form for remote writes, chunks and what is stored on the disk. Readers never panic on torn data.

/// Bytes of the longest integer.
const LEN_MAX: usize = 10;

/// Appends an integer.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an integer of either sign; small magnitudes are short.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Reads an integer of up to ten bytes; `None` if it is torn or too long.
#[inline]
pub fn take(rest: &mut &[u8]) -> Option<u64> {
    match rest.split_first() {
        Some((byte, after)) if *byte < 0x80 => {
            *rest = after;
            Some(u64::from(*byte))
        }
        _ => take_long(rest),
    }
}

fn take_long(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, byte) in rest.iter().take(LEN_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *rest = rest.get(i + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Reads what [`put_signed`] wrote.
#[inline]
pub fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    take(rest).map(unzigzag)
}

/// Bytes that [`put`] writes.
pub fn len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Maps small magnitudes of either sign to small numbers.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Reverses [`zigzag`].
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length_and_sign_come_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put(&mut out, value);
                assert_eq!(out.len(), len(value), "{value}");
                put_signed(&mut out, value.cast_signed());
                put_signed(&mut out, value.cast_signed().wrapping_neg());
                let mut rest = &out[..];
                assert_eq!(take(&mut rest), Some(value));
                assert_eq!(take_signed(&mut rest), Some(value.cast_signed()));
                assert_eq!(take_signed(&mut rest), Some(value.cast_signed().wrapping_neg()));
                assert_eq!(rest, [0u8; 0]);
            }
        }
    }

    #[test]
    fn what_is_torn_or_too_long_is_no_integer_and_takes_nothing() {
        for torn in [&[][..], &[0x80], &[0xff; 9], &[0xff; 20]] {
            let mut rest = torn;
            assert_eq!(take(&mut rest), None, "{torn:?}");
            assert_eq!(rest, torn);
        }
    }
}
