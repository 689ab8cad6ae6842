//! XOR coding of doubles (Pelkonen et al., "Gorilla", VLDB 2015, §4.1.2): the fallback for values that are no short
//! decimals. Exact for every bit pattern.

struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    acc: u128,
    used: u32,
}

impl BitWriter<'_> {
    /// Appends the low `width` bits, least significant first.
    fn put(&mut self, value: u64, width: u32) {
        self.acc |= u128::from(value) << self.used;
        self.used += width;
        while self.used >= 8 {
            self.out.push(self.acc as u8);
            self.acc >>= 8;
            self.used -= 8;
        }
    }

    fn finish(self) {
        if self.used > 0 {
            self.out.push(self.acc as u8);
        }
    }
}

struct BitReader<'a> {
    data: &'a [u8],
    pos: usize,
    acc: u128,
    have: u32,
}

impl BitReader<'_> {
    #[inline]
    fn take(&mut self, width: u32) -> Option<u64> {
        if self.have < width {
            if let Some(word) = self.data.get(self.pos..).and_then(|d| d.first_chunk::<8>()) {
                self.acc |= u128::from(u64::from_le_bytes(*word)) << self.have;
                self.pos += 8;
                self.have += 64;
            }
            while self.have < width {
                self.acc |= u128::from(*self.data.get(self.pos)?) << self.have;
                self.pos += 1;
                self.have += 8;
            }
        }
        let value = if width == 64 { self.acc as u64 } else { self.acc as u64 & ((1 << width) - 1) };
        self.acc >>= width;
        self.have -= width;
        Some(value)
    }
}

/// Appends the bit patterns of a sequence of doubles.
pub(super) fn encode(out: &mut Vec<u8>, values: impl Iterator<Item = u64>) {
    let mut bits = BitWriter { out, acc: 0, used: 0 };
    let (mut previous, mut leading, mut length) = (0u64, 0u32, 0u32);
    for (i, value) in values.enumerate() {
        let xor = value ^ previous;
        previous = value;
        if i == 0 {
            bits.put(value, 64);
        } else if xor == 0 {
            bits.put(0, 1);
        } else {
            let (lead, trail) = (xor.leading_zeros().min(31), xor.trailing_zeros());
            if length > 0 && lead >= leading && trail >= 64 - leading - length {
                bits.put(0b01, 2);
            } else {
                (leading, length) = (lead, 64 - lead - trail);
                bits.put(0b11, 2);
                bits.put(u64::from(leading), 5);
                bits.put(u64::from(length & 63), 6);
            }
            bits.put(xor >> (64 - leading - length), length);
        }
    }
    bits.finish();
}

/// Reads `count` bit patterns; `None` if the data is torn.
pub(super) fn decode(data: &[u8], count: usize, mut sink: impl FnMut(u64)) -> Option<()> {
    let mut bits = BitReader { data, pos: 0, acc: 0, have: 0 };
    let (mut value, mut leading, mut length) = (0u64, 0u32, 0u32);
    for i in 0..count {
        if i == 0 {
            value = bits.take(64)?;
        } else if bits.take(1)? == 1 {
            if bits.take(1)? == 1 {
                leading = bits.take(5)? as u32;
                length = match bits.take(6)? as u32 {
                    0 => 64,
                    n => n,
                };
            }
            if length == 0 || leading + length > 64 {
                return None;
            }
            value ^= bits.take(length)? << (64 - leading - length);
        }
        sink(value);
    }
    Some(())
}
