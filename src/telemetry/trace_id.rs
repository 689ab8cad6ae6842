//! Trace identities: 32 hex digits as W3C Trace Context writes them, from a generator that can be seeded.
//!
//! Never a secret: the sequence (splitmix64) is made to be unique, not to be unguessable.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One trace identity; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Draws trace identities; may be shared between threads.
#[derive(Debug)]
pub struct TraceIds {
    high: u64,
    state: AtomicU64,
}

impl TraceIds {
    /// A generator that gives the same sequence for the same seed.
    pub const fn seeded(seed: u64) -> Self {
        Self { high: mix(seed ^ 0xa076_1d64_78bd_642f), state: AtomicU64::new(seed) }
    }

    /// A generator seeded by the operating system.
    pub fn from_os() -> Self {
        // `RandomState` is the standard library's door to the system's entropy.
        let draw = |salt: u8| RandomState::new().hash_one(salt);
        Self { high: draw(1), state: AtomicU64::new(draw(2)) }
    }

    /// The next identity.
    pub fn next_id(&self) -> TraceId {
        let state = self.state.fetch_add(GAMMA, Relaxed).wrapping_add(GAMMA);
        let low = mix(state);
        let high = mix(self.high ^ state);
        TraceId((u128::from(high) << 64 | u128::from(low)).max(1))
    }
}

/// The increment and the finaliser of splitmix64 (Steele, Lea, Flood 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_of_distinct_ids_of_32_hex_digits() {
        let (a, b) = (TraceIds::seeded(7), TraceIds::seeded(7));
        let first: Vec<String> = (0..1000).map(|_| a.next_id().to_string()).collect();
        let second: Vec<String> = (0..1000).map(|_| b.next_id().to_string()).collect();
        assert_eq!(first, second);
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 1000);
        assert!(first.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_ne!(TraceIds::from_os().next_id(), TraceIds::from_os().next_id());
    }
}
