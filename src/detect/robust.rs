//! Robust band: median and median absolute deviation of the window before the point, exact.
//!
//! Place in the flow: one [`super::Detector`] model. The points stay in order of time; of the order by value only three
//! stretches are kept ([`Excerpt`]): around the median, and around the two edges of the half of the points that lie
//! nearest to it. The deviations are two ascending runs, one to each side of the median, of which the k smallest are
//! found by how many of them lie below; that number hardly changes from point to point, so the search begins where the
//! last one ended. Where it leaves its stretches, as when the median jumps from one of two levels to the other, the
//! window is looked through once. So what a point costs does not depend on how many the window holds.

use serde::{Deserialize, Serialize};

use super::excerpt::Excerpt;
use super::window::{Taken, Window};
use super::{AnomalyConfig, Band, WINDOW_POINTS_MAX};

/// Median absolute deviation to standard deviation, for normal values: 1 / Φ⁻¹(3/4).
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;
/// The same for the 90th percentile of the deviations: 1 / Φ⁻¹(19/20).
const P90_TO_SIGMA: f64 = 0.607_956_831_3;

/// State of the robust band.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Window", into = "Window")]
pub(super) struct Robust {
    window: Window,
    middle: Excerpt,
    edges: Edges,
    /// The band, until a point comes or goes.
    band: Option<Band>,
}

/// Where the points nearest to the median end.
#[derive(Clone, Debug, Default)]
struct Edges {
    low: Excerpt,
    high: Excerpt,
    /// How many of those points lie below the middle.
    split: usize,
    /// Whether the last search left the excerpts. They are moved after two such in a row: of a series that alternates
    /// between two levels every second search is at home.
    is_lost: bool,
}

impl From<Window> for Robust {
    fn from(window: Window) -> Self {
        Self { window, ..Self::default() }
    }
}

impl From<Robust> for Window {
    fn from(robust: Robust) -> Self {
        robust.window
    }
}

/// Excerpts change nothing that can be seen.
impl PartialEq for Robust {
    fn eq(&self, other: &Self) -> bool {
        self.window == other.window
    }
}

impl Robust {
    pub(super) fn band(&mut self, config: &AnomalyConfig, t_ms: i64) -> Option<Band> {
        while let Some(value) = self.window.evict(t_ms, config.window_ms()) {
            self.excerpts().into_iter().for_each(|excerpt| excerpt.remove(value));
            self.band = None;
        }
        let enough = config.min_samples.clamp(1, WINDOW_POINTS_MAX / 2);
        if self.window.len() < enough {
            return None;
        }
        let band = self.band.unwrap_or_else(|| self.compute());
        self.band = Some(band);
        Some(band)
    }

    pub(super) fn learn(&mut self, config: &AnomalyConfig, t_ms: i64, value: f64) {
        match self.window.push(t_ms, value, config.window_ms()) {
            Taken::Added => {
                self.excerpts().into_iter().for_each(|excerpt| excerpt.insert(value));
                self.band = None;
            }
            Taken::Rebuilt => *self = Self::from(std::mem::take(&mut self.window)),
            Taken::Ignored => {}
        }
    }

    /// Replaces every value by what `change` makes of it at its time.
    pub(super) fn remake(&mut self, change: &mut dyn FnMut(i64, f64) -> f64) {
        self.window.remake(change);
        *self = Self::from(std::mem::take(&mut self.window));
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let excerpts = [&self.middle, &self.edges.low, &self.edges.high];
        self.window.heap_bytes() + excerpts.into_iter().map(Excerpt::heap_bytes).sum::<usize>()
    }

    fn excerpts(&mut self) -> [&mut Excerpt; 3] {
        [&mut self.middle, &mut self.edges.low, &mut self.edges.high]
    }

    /// The value at a rank near the middle.
    fn middle(&mut self, rank: usize) -> f64 {
        if let Some(value) = self.middle.at(rank) {
            return value;
        }
        self.middle = Excerpt::around(rank, self.window.ring());
        self.middle.at(rank).unwrap_or_default()
    }

    /// Centre and spread of the values, at least one.
    fn compute(&mut self) -> Band {
        let n = self.window.len();
        let half = n / 2;
        let even = n.is_multiple_of(2);
        let low = if even { self.middle(half - 1) } else { 0.0 };
        let high = self.middle(half);
        let median = if even { 0.5 * low + 0.5 * high } else { high };
        // Where more than half of the values are equal, the next quantile that can tell a spread.
        if self.middle.count() > half {
            let (p90, _) = self.deviations(median, n * 9 / 10);
            return Band { expected: median, spread: p90 * P90_TO_SIGMA };
        }
        let mad = match (self.deviations(median, half.saturating_sub(1)), even) {
            ((first, next), true) => 0.5 * first + 0.5 * next,
            ((_, next), false) => next,
        };
        Band { expected: median, spread: mad * MAD_TO_SIGMA }
    }

    /// The `k`-th smallest distance from the median (from 0), and the next one.
    fn deviations(&mut self, median: f64, k: usize) -> (f64, f64) {
        let n = self.window.len();
        let mut runs = Runs { edges: &mut self.edges, below: n / 2, above: n - n / 2, median };
        if let Some(found) = runs.search(k).and_then(|split| runs.pair(k, split)) {
            self.edges.is_lost = false;
            return found;
        }
        let values = self.window.ring();
        let mut all: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        let (_, first, farther) = all.select_nth_unstable_by(k, f64::total_cmp);
        let first = *first;
        let next = farther.iter().copied().fold(f64::INFINITY, f64::min);
        if !std::mem::replace(&mut self.edges.is_lost, true) {
            return (first, next);
        }
        let outside = values.iter().filter(|value| median - **value > first).count().min(n / 2);
        let split = (n / 2 - outside).min(k);
        let (low, high) = (Excerpt::around(outside, values), Excerpt::around((n / 2 + k - split).min(n - 1), values));
        self.edges = Edges { low, high, split, is_lost: false };
        (first, next)
    }
}

/// The distances from the median, as two ascending runs: of the values below the middle, and of those from it on.
struct Runs<'a> {
    edges: &'a mut Edges,
    below: usize,
    above: usize,
    median: f64,
}

/// `None` stands for a value that the excerpts do not know, an infinite distance for a run that has ended.
impl Runs<'_> {
    fn down(&mut self, i: usize) -> Option<f64> {
        if i >= self.below {
            return Some(f64::INFINITY);
        }
        Some(self.median - self.edges.low.at(self.below - 1 - i)?)
    }

    fn up(&mut self, i: usize) -> Option<f64> {
        if i >= self.above {
            return Some(f64::INFINITY);
        }
        Some(self.edges.high.at(self.below + i)? - self.median)
    }

    /// How many of the `k` smallest lie below the middle: the least number whose next one is not smaller than the last
    /// one above. Searched from where the last search ended, in steps that double, then by halving.
    fn search(&mut self, k: usize) -> Option<usize> {
        // The number is at least `low` and at most `high`.
        let (mut low, mut high) = (k.saturating_sub(self.above), k.min(self.below));
        let (mut probe, mut stride) = (self.edges.split.clamp(low, high), 1);
        if probe < high && self.is_too_few(k, probe)? {
            low = probe + 1;
            while low < high {
                probe = (low + stride - 1).min(high - 1);
                if !self.is_too_few(k, probe)? {
                    high = probe;
                    break;
                }
                (low, stride) = (probe + 1, stride * 2);
            }
        } else {
            high = probe;
            while low < high {
                probe = high.saturating_sub(stride).max(low);
                if self.is_too_few(k, probe)? {
                    low = probe + 1;
                    break;
                }
                (high, stride) = (probe, stride * 2);
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            if self.is_too_few(k, middle)? { low = middle + 1 } else { high = middle }
        }
        self.edges.split = low;
        Some(low)
    }

    /// Whether more than `count` of the `k` smallest lie below the middle.
    fn is_too_few(&mut self, k: usize, count: usize) -> Option<bool> {
        match (k - count).checked_sub(1) {
            Some(last) => Some(self.down(count)? < self.up(last)?),
            None => Some(false),
        }
    }

    /// The `k`-th smallest (from 0) and the next one, where `split` of the `k` smallest lie below.
    fn pair(&mut self, k: usize, split: usize) -> Option<(f64, f64)> {
        let (down, up) = (self.down(split)?, self.up(k - split)?);
        if down <= up {
            Some((down, self.down(split + 1)?.min(up)))
        } else {
            Some((up, down.min(self.up(k - split + 1)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(values: &[f64]) -> Band {
        let sorted = |values: &mut Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            let n = values.len();
            if n % 2 == 1 { values[n / 2] } else { 0.5 * values[n / 2 - 1] + 0.5 * values[n / 2] }
        };
        let expected = sorted(&mut values.to_vec());
        let mut deviations: Vec<f64> = values.iter().map(|v| (v - expected).abs()).collect();
        let mad = sorted(&mut deviations);
        let spread = if mad > 0.0 { mad * MAD_TO_SIGMA } else { deviations[values.len() * 9 / 10] * P90_TO_SIGMA };
        Band { expected, spread }
    }

    fn band_of(values: &[f64]) -> Band {
        let mut window = Window::default();
        (0..).zip(values).for_each(|(t_ms, value)| {
            window.push(t_ms, *value, 100_000);
        });
        Robust::from(window).compute()
    }

    #[test]
    fn median_and_deviation_of_a_tiny_window_are_those_found_by_hand() {
        let band = band_of(&[5.0, 2.0, 9.0, 3.0, 1.0]);
        // Deviations from 3: 2 1 6 0 2, of which the middle is 2.
        assert_eq!(band, Band { expected: 3.0, spread: 2.0 * MAD_TO_SIGMA });
        let band = band_of(&[9.0, 1.0, 2.0, 4.0]);
        assert_eq!(band, Band { expected: 3.0, spread: 1.5 * MAD_TO_SIGMA });
        // Six of ten are equal: the largest deviation but one tells the spread.
        let band = band_of(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(band, Band { expected: 5.0, spread: 5.0 * P90_TO_SIGMA });
        assert_eq!(band_of(&[7.0]), Band { expected: 7.0, spread: 0.0 });
    }

    /// Streams that rise, repeat themselves, jump between two levels or have no order, some with gaps.
    fn streams() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let noise = || prop::collection::vec((prop_oneof![9 => Just(1i64), 1 => 0i64..90], -1000i32..1000), 1..500);
        let stream = |steps: Vec<(i64, i32)>, value: fn(i32, i32) -> i32| {
            let mut t_ms = 0;
            let point = |(i, (step, noise))| {
                t_ms += step;
                (t_ms, f64::from(value(i, noise)) / 3.0)
            };
            (0..).zip(steps).map(point).collect::<Vec<_>>()
        };
        prop_oneof![
            noise().prop_map(move |v| stream(v, |_, x| x)),
            noise().prop_map(move |v| stream(v, |_, x| (x % 9 - 6).max(0))),
            noise().prop_map(move |v| stream(v, |i, x| i * 40 + x)),
            noise().prop_map(move |v| stream(v, |i, x| i % 2 * 50_000 + x)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn the_band_is_that_of_sorting_however_the_stream_is_cut(
            stream in streams(), width in 1i64..300, saved_at in 0usize..500,
        ) {
            let window = std::time::Duration::from_millis(width.unsigned_abs());
            let config = AnomalyConfig { window, min_samples: 1, ..AnomalyConfig::default() };
            let (mut robust, mut kept) = (Robust::default(), Vec::<(i64, f64)>::new());
            for (i, (t_ms, value)) in stream.into_iter().enumerate() {
                kept.retain(|(kept_ms, _)| *kept_ms > t_ms - width);
                let values: Vec<f64> = kept.iter().map(|(_, value)| *value).collect();
                let found = robust.band(&config, t_ms);
                prop_assert_eq!(found, (!values.is_empty()).then(|| naive(&values)));
                robust.learn(&config, t_ms, value);
                if kept.last().is_none_or(|(last_ms, _)| *last_ms < t_ms) {
                    kept.push((t_ms, value));
                }
                if i == saved_at {
                    robust = Robust::from(Window::from(robust));
                }
            }
        }
    }
}
