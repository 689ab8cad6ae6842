//! Sums of decimals without rounding: what does not round can also be taken back.
//!
//! A value that was written with a few decimals is an integer at some power of ten, and sums of such integers, and of
//! their squares, are exact in 128 bits. So mean and variance of a window depend on its values alone, not on the order
//! in which they came or on those that have left: a window that is advanced gives the same bits as one that is read
//! whole. Values that are no such decimals are summed with compensation instead ([`super::numeric`]).

/// Most decimals of a value.
const SCALE_MAX: usize = 6;
/// Values with decimals, and values beside such, are smaller than this.
const SMALL: f64 = (1u64 << 30) as f64;
/// Whole numbers are smaller than this.
const WHOLE: f64 = (1u64 << 50) as f64;
/// With values so small, this many have a sum of squares, and a square of the sum, that fit.
const COUNT_MAX: u32 = 1 << 13;

const TENS: [f64; 2 * SCALE_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
const WHOLE_TENS: [i64; SCALE_MAX + 1] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// `value` as an integer at a scale, if it is one.
#[inline]
fn at_scale(value: f64, scale: usize) -> Option<i64> {
    let ten = TENS[scale];
    // A cast truncates; half a unit makes it round. The comparison finds what was not an integer at this scale.
    let m = (value * ten + 0.5f64.copysign(value)) as i64;
    ((m as f64 / ten).to_bits() == value.to_bits()).then_some(m)
}

/// A value as the least integer that stands for it, and its scale; `likely` is tried first.
#[inline]
fn digits(value: f64, likely: usize) -> Option<(i64, usize)> {
    let size = value.abs();
    if size >= SMALL {
        return if size < WHOLE { at_scale(value, 0).map(|m| (m, 0)) } else { None };
    }
    if let Some(mut m) = at_scale(value, likely) {
        let mut scale = likely;
        while scale > 0 && m % 10 == 0 {
            m /= 10;
            scale -= 1;
        }
        return Some((m, scale));
    }
    // An integer at a lower scale would be one at this scale too. NaN is none at any.
    (likely + 1..=SCALE_MAX).find_map(|scale| at_scale(value, scale).map(|m| (m, scale)))
}

/// Exact sums of a window of decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moments {
    /// Of the values, and of their squares, as integers at `scale`.
    sum: i128,
    squares: i128,
    /// How many values have their least scale at each; the greatest that any has is `scale`.
    scales: [u16; SCALE_MAX + 1],
    scale: u8,
    count: u32,
    /// Whole numbers of [`SMALL`] and more, beside which no decimals can stand.
    large: u32,
}

impl Moments {
    /// The sums of some values; none where one of them is no decimal, or there are too many.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut moments = Self::default();
        values.into_iter().all(|value| moments.add(value)).then_some(moments)
    }

    /// Adds a value. False: the window is no longer one of decimals, and what stands here means nothing.
    #[inline]
    #[must_use]
    pub fn add(&mut self, value: f64) -> bool {
        let Some((m, scale)) = digits(value, usize::from(self.scale)) else { return false };
        self.large += u32::from(value.abs() >= SMALL);
        self.count += 1;
        if scale > usize::from(self.scale) {
            let more = i128::from(WHOLE_TENS[scale - usize::from(self.scale)]);
            // Of large numbers this may overflow; then the answer is "no", and this is not looked at.
            self.sum = self.sum.wrapping_mul(more);
            self.squares = self.squares.wrapping_mul(more * more);
            self.scale = scale as u8;
        }
        if self.count > COUNT_MAX || (self.large > 0 && self.scale > 0) {
            return false;
        }
        self.scales[scale] += 1;
        let m = self.scaled(m, scale);
        self.sum += m;
        self.squares += m * m;
        true
    }

    /// Takes back a value that was added; false as for [`Self::add`].
    #[inline]
    #[must_use]
    pub fn remove(&mut self, value: f64) -> bool {
        let Some((m, scale)) = digits(value, usize::from(self.scale)) else { return false };
        if self.scales[scale] == 0 {
            return false;
        }
        self.large -= u32::from(value.abs() >= SMALL);
        self.count -= 1;
        self.scales[scale] -= 1;
        let m = self.scaled(m, scale);
        self.sum -= m;
        self.squares -= m * m;
        while self.scale > 0 && self.scales[usize::from(self.scale)] == 0 {
            // What is left are integers at a lower scale, so nothing is cut off.
            self.sum /= 10;
            self.squares /= 100;
            self.scale -= 1;
        }
        true
    }

    #[inline]
    fn scaled(&self, m: i64, scale: usize) -> i128 {
        i128::from(m * WHOLE_TENS[usize::from(self.scale) - scale])
    }

    /// Sum of the values, rounded once.
    pub fn total(&self) -> f64 {
        self.sum as f64 / TENS[usize::from(self.scale)]
    }

    /// Mean of the values.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / (f64::from(self.count) * TENS[usize::from(self.scale)])
    }

    /// Population variance: `(n·Σx² − (Σx)²) / n²`, which cancels nothing because it is exact.
    pub fn variance(&self) -> f64 {
        let n = i128::from(self.count);
        let spread = n * self.squares - self.sum * self.sum;
        spread as f64 / (n * n) as f64 / TENS[2 * usize::from(self.scale)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-2_000_000i64..2_000_000, 0usize..=6).prop_map(|(m, s)| m as f64 / TENS[s]),
            1 => (-(1i64 << 50)..(1 << 50)).prop_map(|m| m as f64),
            1 => (-1000i64..1000).prop_map(|m| m as f64),
        ]
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_back(all in prop::collection::vec(written(), 1..60), window in 1usize..30) {
            let mut moving: Option<Moments> = Some(Moments::default());
            for (i, value) in all.iter().enumerate() {
                let inside = &all[(i + 1).saturating_sub(window)..=i];
                let whole = Moments::of(inside.iter().copied());
                moving = match moving {
                    Some(mut m) => {
                        let left = i.checked_sub(window).map(|gone| all[gone]);
                        let held = m.add(*value) && left.is_none_or(|gone| m.remove(gone));
                        held.then_some(m)
                    }
                    None => whole,
                };
                if let Some(moved) = moving {
                    prop_assert_eq!(Some(moved), whole);
                }
            }
        }

        #[test]
        fn mean_and_variance_are_those_of_the_values(values in prop::collection::vec(-1_000_000i64..1_000_000, 1..200), scale in 0usize..=6) {
            let values: Vec<f64> = values.iter().map(|m| *m as f64 / TENS[scale]).collect();
            let moments = Moments::of(values.iter().copied()).unwrap();
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
            prop_assert!(near(moments.mean(), mean) && near(moments.total(), mean * n) && near(moments.variance(), variance));
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1.0 / 3.0, 1e300, 1e-9, 2f64.powi(50)] {
            assert_eq!(Moments::of([1.0, odd]), None, "{odd}");
        }
        // Large numbers and decimals, apart and together.
        assert!(Moments::of([8_589_934_592.0, 17.0]).is_some());
        assert_eq!(Moments::of([8_589_934_592.0, 0.5]), None);
        assert_eq!(Moments::of([0.5, 8_589_934_592.0]), None);
    }

    #[test]
    fn a_small_spread_around_a_large_number_is_not_lost() {
        let moments = Moments::of((0..100).map(|i| 1e15 + f64::from(i % 2))).unwrap();
        assert_eq!((moments.mean(), moments.variance()), (1e15 + 0.5, 0.25));
    }
}
