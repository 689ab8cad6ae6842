//! Robust band: median and median absolute deviation of the window before the point, exact.
//!
//! Place in the flow: one [`super::Detector`] model. Beside the points in order of time, their numbers are kept in one
//! array sorted by value: inserting and removing is a binary search and a `memmove` of at most 4 KiB, which for windows
//! of this size is faster than any tree or pair of heaps. The median is then the middle, and the deviations from it are two
//! sorted runs, one to each side, whose k-th smallest is found in O(log n) without computing the others.

use serde::{Deserialize, Serialize};

use super::window::{Taken, Window};
use super::{AnomalyConfig, Band, WINDOW_POINTS_MAX};

/// Median absolute deviation to standard deviation, for normal values: 1 / Φ⁻¹(3/4).
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;
/// The same for the 90th percentile of the deviations: 1 / Φ⁻¹(19/20).
const P90_TO_SIGMA: f64 = 0.607_956_831_3;

/// State of the robust band.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Window", into = "Window")]
pub(super) struct Robust {
    window: Window,
    /// The window's points by ascending value, each as its number: numbers count the points taken, modulo 2^16, which
    /// is far more than a window holds. Two bytes a point where the values again would be eight.
    sorted: Vec<u16>,
    /// Number of the oldest point.
    oldest: u16,
}

impl From<Window> for Robust {
    fn from(window: Window) -> Self {
        let mut points: Vec<(f64, u16)> = window.values().zip(0..).collect();
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self { window, sorted: points.into_iter().map(|(_, number)| number).collect(), oldest: 0 }
    }
}

impl From<Robust> for Window {
    fn from(robust: Robust) -> Self {
        robust.window
    }
}

impl Robust {
    pub(super) fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        while let Some(value) = self.window.evict(t_ms, config.window_ms()) {
            // Of equal values the oldest stands first, so it is the one that has left.
            let gone = self.oldest;
            let at = self.place(value, Some(gone));
            self.oldest = self.oldest.wrapping_add(1);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        let enough = config.min_samples.clamp(1, WINDOW_POINTS_MAX / 2);
        let sorted = Ascending { window: &self.window, numbers: &self.sorted, oldest: self.oldest };
        (self.sorted.len() >= enough).then(|| band_of(&sorted))
    }

    pub(super) fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        match self.window.push(t_ms, value, config.window_ms()) {
            Taken::Added => {
                let at = self.place(value, None);
                if self.sorted.len() == self.sorted.capacity() {
                    self.sorted.reserve_exact((self.sorted.len() / 8).max(8));
                }
                let number = self.oldest.wrapping_add((self.window.len() - 1) as u16);
                self.sorted.insert(at, number);
            }
            Taken::Rebuilt => *self = Self::from(std::mem::take(&mut self.window)),
            Taken::Ignored => {}
        }
    }

    /// Where a value stands among the sorted ones: before its equals, of which `gone` has just left the window, or
    /// behind them.
    fn place(&self, value: f64, gone: Option<u16>) -> usize {
        self.sorted.partition_point(|number| {
            if gone == Some(*number) {
                return false;
            }
            // The oldest point is out of the window already, so places count from the one after it.
            let first = self.oldest.wrapping_add(u16::from(gone.is_some()));
            let other = self.window.value(usize::from(number.wrapping_sub(first))).unwrap_or(f64::NAN);
            let order = other.total_cmp(&value);
            if gone.is_some() { order.is_lt() } else { order.is_le() }
        })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.window.heap_bytes() + self.sorted.capacity() * size_of::<u16>()
    }
}

/// Values in ascending order.
trait Sorted {
    fn len(&self) -> usize;
    /// The value at a place before [`Self::len`].
    fn at(&self, place: usize) -> f64;
}

/// The points of a window, ascending.
struct Ascending<'a> {
    window: &'a Window,
    numbers: &'a [u16],
    oldest: u16,
}

impl Sorted for Ascending<'_> {
    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn at(&self, place: usize) -> f64 {
        let number = self.numbers.get(place).copied().unwrap_or(self.oldest);
        self.window.value(usize::from(number.wrapping_sub(self.oldest))).unwrap_or_default()
    }
}

/// Centre and spread of ascending values, at least one.
fn band_of(sorted: &impl Sorted) -> Band {
    let n = sorted.len();
    let half = n / 2;
    let even = n.is_multiple_of(2);
    let middle = |low: f64, high: f64| if even { 0.5 * low + 0.5 * high } else { high };
    let median = middle(sorted.at(half.saturating_sub(1)), sorted.at(half));
    let deviation = |k: usize| kth_deviation(sorted, median, k);
    let mad = middle(deviation(half.saturating_sub(1)), deviation(half));
    // Where more than half of the values are equal, the next quantile that can tell a spread.
    let spread = if mad > 0.0 { mad * MAD_TO_SIGMA } else { deviation(n * 9 / 10) * P90_TO_SIGMA };
    Band { expected: median, spread }
}

/// The k-th smallest distance from the median (from 0), of the values below the middle and those from it on.
fn kth_deviation(sorted: &impl Sorted, median: f64, k: usize) -> f64 {
    let (below, above) = (sorted.len() / 2, sorted.len() - sorted.len() / 2);
    let down = |i: usize| (i < below).then(|| median - sorted.at(below - 1 - i));
    let up = |i: usize| (i < above).then(|| sorted.at(below + i) - median);
    // How many of the k smallest lie below: the least number whose next one is not smaller than the last one above.
    let (mut low, mut high) = (k.saturating_sub(above), k.min(below));
    while low < high {
        let middle = low.midpoint(high);
        match (down(middle), (k - middle).checked_sub(1).and_then(up)) {
            (Some(next_down), Some(last_up)) if next_down < last_up => low = middle + 1,
            _ => high = middle,
        }
    }
    match (down(low), up(k - low)) {
        (Some(down), Some(up)) => down.min(up),
        (down, up) => down.or(up).unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Sorted for Vec<f64> {
        fn len(&self) -> usize {
            Vec::len(self)
        }

        fn at(&self, place: usize) -> f64 {
            self[place]
        }
    }

    impl<const N: usize> Sorted for [f64; N] {
        fn len(&self) -> usize {
            N
        }

        fn at(&self, place: usize) -> f64 {
            self[place]
        }
    }

    fn naive(values: &[f64]) -> (f64, f64) {
        let median = |values: &mut Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            let n = values.len();
            if n % 2 == 1 { values[n / 2] } else { 0.5 * values[n / 2 - 1] + 0.5 * values[n / 2] }
        };
        let centre = median(&mut values.to_vec());
        (centre, median(&mut values.iter().map(|v| (v - centre).abs()).collect()))
    }

    #[test]
    fn median_and_deviation_of_a_tiny_window_are_those_found_by_hand() {
        let band = band_of(&[1.0, 2.0, 3.0, 5.0, 9.0]);
        // Deviations from 3: 2 1 0 2 6, of which the middle is 2.
        assert_eq!(band, Band { expected: 3.0, spread: 2.0 * MAD_TO_SIGMA });
        let band = band_of(&[1.0, 2.0, 4.0, 9.0]);
        assert_eq!(band, Band { expected: 3.0, spread: 1.5 * MAD_TO_SIGMA });
        // Six of ten are equal: the largest deviation but one tells the spread.
        let band = band_of(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(band, Band { expected: 5.0, spread: 5.0 * P90_TO_SIGMA });
        assert_eq!(band_of(&[7.0]), Band { expected: 7.0, spread: 0.0 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_fast_median_and_deviation_are_those_of_sorting(mut values in prop::collection::vec(-4i32..5, 1..60)) {
            values.sort_unstable();
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (centre, mad) = naive(&values);
            let band = band_of(&values);
            prop_assert_eq!(band.expected, centre);
            if mad > 0.0 {
                prop_assert_eq!(band.spread, mad * MAD_TO_SIGMA);
            }
        }
    }
}
