//! Series that requests have shown, by a hash of their encoded labels.
//!
//! A sender encodes a series the same way each time, so the bytes of its labels stand for it. Two hashes with seeds of
//! their own make 128 bits: no two series meet in them by chance, and nobody who does not know the seeds can make them
//! meet, so the bytes themselves need not be kept.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};

/// Of the keys known, the part that may be of series that are gone; beyond it they are looked for and removed.
const GONE_PART: usize = 8;
/// So many in any case.
const GONE_KEPT: usize = 1024;

/// What stands for a series: two hashes of its encoded labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64, u64);

/// The key is a hash already: its first half goes into the map as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }
}

/// Makes [`Unhashed`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildUnhashed;

impl BuildHasher for BuildUnhashed {
    type Hasher = Unhashed;

    fn build_hasher(&self) -> Unhashed {
        Unhashed::default()
    }
}

/// Handles of series by their keys; of the handles it knows nothing.
#[derive(Debug)]
pub struct Known<S> {
    map: HashMap<Key, S, BuildUnhashed>,
    seeds: [ahash::RandomState; 2],
    known_max: usize,
    /// Series that the store no longer has, whose keys may still be in the map.
    gone: HashSet<S, ahash::RandomState>,
}

impl<S: Copy + Eq + Hash> Known<S> {
    /// No series; when there are `known_max`, all are forgotten and asked for anew.
    pub fn new(known_max: usize) -> Self {
        let seeds = std::array::from_fn(|_| ahash::RandomState::new());
        Self { map: HashMap::default(), seeds, known_max, gone: HashSet::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The key of bytes.
    #[inline]
    pub(super) fn key(&self, bytes: &[u8]) -> Key {
        let [a, b] = &self.seeds;
        Key(a.hash_one(bytes), b.hash_one(bytes))
    }

    /// A key of other keys and numbers, in their order.
    #[inline]
    pub(super) fn mix(&self) -> Mix<impl Hasher> {
        let [a, b] = &self.seeds;
        Mix(a.build_hasher(), b.build_hasher())
    }

    /// The series of a key.
    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<S> {
        let series = self.map.get(&key).copied()?;
        (self.gone.is_empty() || !self.gone.contains(&series)).then_some(series)
    }

    /// Remembers series.
    pub fn insert(&mut self, found: impl IntoIterator<Item = (Key, S)>) {
        for (key, series) in found {
            if self.map.len() >= self.known_max {
                self.map.clear();
                self.gone.clear();
            }
            self.map.insert(key, series);
        }
    }

    /// Forgets series that the store no longer has. Their keys are looked for when many have come together: where series
    /// come and go all the time, a request costs what it brings, not what there is.
    pub fn forget(&mut self, gone: impl IntoIterator<Item = S>) {
        self.gone.extend(gone);
        if self.gone.len() > GONE_KEPT + self.map.len() / GONE_PART {
            let gone = std::mem::take(&mut self.gone);
            self.map.retain(|_, series| !gone.contains(series));
        }
    }
}

/// Hashes under way.
pub(super) struct Mix<H>(H, H);

impl<H: Hasher> Mix<H> {
    #[inline]
    pub(super) fn key(&mut self, key: Key) {
        self.0.write_u64(key.0);
        self.1.write_u64(key.1);
    }

    #[inline]
    pub(super) fn int(&mut self, value: u64) {
        self.0.write_u64(value);
        self.1.write_u64(value);
    }

    #[inline]
    pub(super) fn end(self) -> Key {
        Key(self.0.finish(), self.1.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_unknown_at_once_and_removed_when_there_is_much_of_it() {
        let mut known: Known<u64> = Known::new(100_000);
        let keys: Vec<Key> = (0..10_000u64).map(|n| known.key(&n.to_le_bytes())).collect();
        known.insert(keys.iter().copied().zip(0u64..));
        for n in 0..10_000u64 {
            let before = known.len();
            known.forget([n]);
            let at = |n: u64| keys[usize::try_from(n).unwrap()];
            assert_eq!(known.get(at(n)), None);
            assert_eq!(known.get(at((n + 1) % 10_000)).is_some(), n < 9999);
            // Most calls look at nothing but what they are given.
            assert!(known.len() == before || before - known.len() > GONE_KEPT, "{n}");
        }
        assert!(known.len() <= 2 * GONE_KEPT, "{} keys of series that are gone", known.len());
        // The same bytes, of a new series.
        known.insert([(keys[5], 77)]);
        assert_eq!(known.get(keys[5]), Some(77));
    }
}
