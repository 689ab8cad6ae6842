//! A stretch of a window's values in ascending order, around a rank that is asked for again and again.
//!
//! Place in the flow: the robust band reads three ranks of its window, which move by few places from point to point.
//! An [`Excerpt`] holds every value between two bounds, and how many lie below them. A point outside the bounds, which
//! most are, costs a comparison; only when a rank has left the stretch is the window looked through again. The stretch
//! is a fixed share of the window, so that this happens the less often the more it costs.

use std::collections::VecDeque;

/// An excerpt reaches over this share of the window to each side,
const REACH_SHARE: usize = 32;
/// but over at least so many ranks.
const REACH_MIN: usize = 16;
/// More different values than a new excerpt has, until its far end is given up.
const SPARE: usize = 8;

/// A value and how often the window holds it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    value: f64,
    count: u32,
}

/// All values of a window between two bounds, ascending. An empty one knows no rank.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    entries: Vec<Entry>,
    /// Holds all values from here
    low: f64,
    /// to here,
    high: f64,
    /// which are so many.
    len: usize,
    /// How many lie below.
    start: usize,
    /// The entry that was looked up last, and how many values the ones before it stand for.
    at: usize,
    before: usize,
}

impl Default for Excerpt {
    fn default() -> Self {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { entries: Vec::new(), low, high, len: 0, start: 0, at: 0, before: 0 }
    }
}

impl Excerpt {
    /// The excerpt around a rank.
    pub(super) fn around(rank: usize, values: &VecDeque<f64>) -> Self {
        let reach = (values.len() / REACH_SHARE).max(REACH_MIN);
        let (first, last) = (rank.saturating_sub(reach), rank.saturating_add(reach));
        let mut all: Vec<f64> = values.iter().copied().map(canonical).collect();
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        if last < all.len() {
            high = *all.select_nth_unstable_by(last, f64::total_cmp).1;
        }
        if first > 0 && first < all.len() {
            let end = all.len().min(last);
            low = *all[..end].select_nth_unstable_by(first, f64::total_cmp).1;
        }
        // Values that are equal to a bound may lie on both sides of a rank, so they are gathered from all.
        let start = all.iter().filter(|value| **value < low).count();
        all.retain(|value| (low..=high).contains(value));
        all.sort_unstable_by(f64::total_cmp);
        let mut entries: Vec<Entry> = Vec::with_capacity(2 * reach + 1 + SPARE);
        for value in &all {
            match entries.last_mut().filter(|entry| entry.value == *value) {
                Some(entry) => entry.count += 1,
                None => entries.push(Entry { value: *value, count: 1 }),
            }
        }
        Self { entries, low, high, len: all.len(), start, at: 0, before: 0 }
    }

    /// The value at a rank of the window, if the excerpt reaches so far.
    pub(super) fn at(&mut self, rank: usize) -> Option<f64> {
        let rank = rank.checked_sub(self.start).filter(|rank| *rank < self.len)?;
        loop {
            let count = self.entries.get(self.at).map_or(0, |entry| entry.count as usize);
            if rank < self.before {
                self.at -= 1;
                self.before -= self.entries[self.at].count as usize;
            } else if rank >= self.before + count {
                self.before += count;
                self.at += 1;
            } else {
                return Some(self.entries[self.at].value);
            }
        }
    }

    /// How often the window holds the value that was looked up last.
    pub(super) fn count(&self) -> usize {
        self.entries.get(self.at).map_or(0, |entry| entry.count as usize)
    }

    /// A value has come into the window.
    pub(super) fn insert(&mut self, value: f64) {
        let value = canonical(value);
        if self.within(value) && self.entries.len() == self.entries.capacity() {
            self.shorten();
        }
        if value < self.low {
            self.start += 1;
        }
        if !self.within(value) {
            return;
        }
        let place = self.entries.partition_point(|entry| entry.value < value);
        let known = self.entries.get_mut(place).filter(|entry| entry.value == value);
        let is_new = known.is_none();
        match known {
            Some(entry) => entry.count += 1,
            None => self.entries.insert(place, Entry { value, count: 1 }),
        }
        self.len += 1;
        if place < self.at || (is_new && place == self.at) {
            self.before += 1;
            self.at += usize::from(is_new);
        }
    }

    /// A value has left the window.
    pub(super) fn remove(&mut self, value: f64) {
        let value = canonical(value);
        if value < self.low {
            self.start = self.start.saturating_sub(1);
        }
        if !self.within(value) {
            return;
        }
        let place = self.entries.partition_point(|entry| entry.value < value);
        let Some(entry) = self.entries.get_mut(place).filter(|entry| entry.value == value) else { return };
        entry.count -= 1;
        let is_gone = entry.count == 0;
        if is_gone {
            self.entries.remove(place);
        }
        self.len -= 1;
        if place < self.at {
            self.before -= 1;
            self.at -= usize::from(is_gone);
        }
    }

    fn within(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Gives up the end that is farther from what is looked up.
    fn shorten(&mut self) {
        if 2 * self.at <= self.entries.len() {
            self.len -= self.entries.pop().map_or(0, |entry| entry.count as usize);
            self.high = self.entries.last().map_or(f64::NEG_INFINITY, |entry| entry.value);
        } else {
            let gone = self.entries.remove(0).count as usize;
            (self.len, self.start) = (self.len - gone, self.start + gone);
            (self.at, self.before) = (self.at - 1, self.before - gone);
            self.low = self.entries.first().map_or(f64::INFINITY, |entry| entry.value);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// Both zeros are one value.
fn canonical(value: f64) -> f64 {
    value + 0.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Streams that rise, fall, repeat themselves, jump between two levels, or have no order.
    fn streams() -> impl Strategy<Value = Vec<f64>> {
        let noise = || prop::collection::vec(-1000i32..1000, 1..700);
        let stream = |noise: Vec<i32>, value: fn(i32, i32) -> f64| (0..).zip(noise).map(|(i, x)| value(i, x)).collect();
        prop_oneof![
            noise().prop_map(move |v| stream(v, |_, x| f64::from(x))),
            noise().prop_map(move |v| stream(v, |_, x| f64::from(x % 4))),
            noise().prop_map(move |v| stream(v, |i, x| f64::from(i * 50 + x))),
            noise().prop_map(move |v| stream(v, |i, x| f64::from(x - i * 50))),
            noise().prop_map(move |v| stream(v, |i, x| f64::from(i % 2 * 100_000 + x))),
            noise().prop_map(move |v| stream(v, |_, x| if x % 3 == 0 { -0.0 } else { 0.0 })),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn every_rank_an_excerpt_knows_is_that_of_sorting_whatever_comes_and_goes(
            stream in streams(), width in 1usize..300, share in 0usize..100,
        ) {
            let (mut window, mut excerpt) = (VecDeque::new(), Excerpt::default());
            for (i, value) in stream.iter().enumerate() {
                if window.len() == width {
                    excerpt.remove(window.pop_front().unwrap_or_default());
                }
                excerpt.insert(*value);
                window.push_back(*value);
                let mut sorted: Vec<f64> = window.iter().copied().collect();
                sorted.sort_unstable_by(f64::total_cmp);
                // The rank that is asked for, and all others the excerpt knows.
                let rank = sorted.len() * share / 100;
                if excerpt.at(rank).is_none() {
                    excerpt = Excerpt::around(rank, &window);
                }
                prop_assert_eq!(excerpt.at(rank), Some(sorted[rank]));
                prop_assert_eq!(excerpt.count(), sorted.iter().filter(|other| **other == sorted[rank]).count());
                if i % 5 == 0 {
                    let known = (0..sorted.len()).filter_map(|rank| Some((rank, excerpt.at(rank)?)));
                    for (rank, value) in known.collect::<Vec<_>>() {
                        prop_assert_eq!(value, sorted[rank]);
                    }
                    prop_assert_eq!(excerpt.at(sorted.len()), None);
                    let _ = excerpt.at(rank);
                }
            }
        }
    }

    #[test]
    fn a_window_is_looked_through_again_only_when_a_rank_has_left_its_excerpt() {
        let value = |i: u64| (i * 7919 % 10_007) as f64;
        let mut window: VecDeque<f64> = (0..2048).map(value).collect();
        let (mut excerpt, mut looked_through) = (Excerpt::default(), 0);
        for i in 2048..22_048 {
            excerpt.remove(window.pop_front().unwrap_or_default());
            excerpt.insert(value(i));
            window.push_back(value(i));
            if excerpt.at(1024).is_none() {
                (excerpt, looked_through) = (Excerpt::around(1024, &window), looked_through + 1);
            }
        }
        assert!(looked_through < 40, "{looked_through}");
        assert!(excerpt.heap_bytes() < 2048 * 5 / 4, "{}", excerpt.heap_bytes());
    }
}
