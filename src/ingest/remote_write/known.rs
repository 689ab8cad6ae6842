//! Series that requests have shown, by a hash of their encoded labels.
//!
//! A sender encodes a series the same way each time, so the bytes of its labels stand for it. Two hashes with seeds of
//! their own make 128 bits: no two series meet in them by chance, and nobody who does not know the seeds can make them
//! meet, so the bytes themselves need not be kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

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
}

impl<S: Copy + Ord> Known<S> {
    /// No series; when there are `known_max`, all are forgotten and asked for anew.
    pub fn new(known_max: usize) -> Self {
        Self { map: HashMap::default(), seeds: std::array::from_fn(|_| ahash::RandomState::new()), known_max }
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
        self.map.get(&key).copied()
    }

    /// Remembers series.
    pub fn insert(&mut self, found: impl IntoIterator<Item = (Key, S)>) {
        for (key, series) in found {
            if self.map.len() >= self.known_max {
                self.map.clear();
            }
            self.map.insert(key, series);
        }
    }

    /// Forgets series that the store no longer has.
    pub fn forget(&mut self, gone: &std::collections::BTreeSet<S>) {
        self.map.retain(|_, series| !gone.contains(series));
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
