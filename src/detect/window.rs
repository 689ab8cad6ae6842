//! The points of a sliding time window, bounded in number.
//!
//! Place in the flow: the moving average and the robust band keep their points here. The window is left-open as in
//! Prometheus: a point as old as the window is long has left it.
//!
//! Stamps rise strictly. A point that is not newer than the last one is not taken (a clock set back, a repeated
//! stamp); if it is older by a window or more, the clock or the last stamp was wrong, and the window starts anew with
//! it. When [`WINDOW_POINTS_MAX`] points are in the window it is thinned, once: from then on points are at least
//! `window · 2 / WINDOW_POINTS_MAX` apart, and those between are judged but not kept.
//!
//! State is the price of a detector, so times and values are kept apart: times of a regular step take next to nothing
//! (see [`Stamps`]), a value takes its eight bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::stamps::Stamps;

/// Most points of a window. A week of five-minute points, or eight hours of fifteen-second ones, stays whole; above
/// it, a thousand points know the spread of a window to 3 %.
pub const WINDOW_POINTS_MAX: usize = 2048;

/// Room made at once for new points, at least.
const GROWTH_MIN: usize = 8;

/// What became of a point offered to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Added at the end.
    Added,
    /// Not taken.
    Ignored,
    /// Added, and other points were removed: sums over the points must be made anew.
    Rebuilt,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    stamps: Stamps,
    values: VecDeque<f64>,
    thinned: bool,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().copied()
    }

    pub(super) fn ring(&self) -> &VecDeque<f64> {
        &self.values
    }

    /// Takes out one point that has left the window at `t_ms`; called until there is none.
    pub(super) fn evict(&mut self, t_ms: i64, window_ms: i64) -> Option<f64> {
        // Written so that no stamp overflows.
        if self.stamps.oldest()? > t_ms.saturating_sub(window_ms) {
            return None;
        }
        self.pop()
    }

    pub(super) fn push(&mut self, t_ms: i64, value: f64, window_ms: i64) -> Taken {
        let mut taken = Taken::Added;
        if let Some(newest) = self.stamps.newest() {
            let ahead_ms = t_ms.saturating_sub(newest);
            if ahead_ms <= window_ms.saturating_neg() {
                self.clear();
                taken = Taken::Rebuilt;
            } else if ahead_ms <= 0 || (self.thinned && ahead_ms < apart_ms(window_ms)) {
                return Taken::Ignored;
            }
        }
        if self.len() == 0 {
            self.thinned = false;
        }
        if self.len() >= WINDOW_POINTS_MAX {
            self.thin(window_ms);
            taken = Taken::Rebuilt;
        }
        self.append(t_ms, value);
        taken
    }

    /// Replaces every value by what `change` makes of it at its time.
    pub(super) fn remake(&mut self, change: &mut dyn FnMut(i64, f64) -> f64) {
        for (t_ms, value) in self.stamps.iter().zip(&mut self.values) {
            *value = change(t_ms, *value);
        }
    }

    fn append(&mut self, t_ms: i64, value: f64) {
        // Grows by an eighth: windows are many and stay at the size they have come to.
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact((self.values.len() / 8).max(GROWTH_MIN));
        }
        self.stamps.push(t_ms);
        self.values.push_back(value);
    }

    fn pop(&mut self) -> Option<f64> {
        self.stamps.pop();
        self.values.pop_front()
    }

    fn clear(&mut self) {
        self.stamps = Stamps::default();
        self.values.clear();
    }

    fn thin(&mut self, window_ms: i64) {
        let (apart_ms, mut last) = (apart_ms(window_ms), None::<i64>);
        let before = std::mem::take(self);
        self.thinned = true;
        for (t_ms, value) in before.stamps.iter().zip(before.values) {
            if last.is_none_or(|last| t_ms.saturating_sub(last) >= apart_ms) {
                last = Some(t_ms);
                self.append(t_ms, value);
            }
        }
        // A window that was made longer by an edit of its rule may still hold too many.
        while self.len() >= WINDOW_POINTS_MAX {
            self.pop();
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.stamps.heap_bytes() + self.values.capacity() * size_of::<f64>()
    }
}

/// The least distance of the points of a thinned window.
fn apart_ms(window_ms: i64) -> i64 {
    (window_ms / (WINDOW_POINTS_MAX as i64 / 2)).max(1)
}

#[derive(Serialize, Deserialize)]
struct SavedWindow {
    thinned: bool,
    /// Milliseconds since the point before, from 0.
    steps_ms: Vec<i64>,
    value_bits: Vec<u64>,
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let before = std::iter::once(0).chain(self.stamps.iter());
        let steps_ms = self.stamps.iter().zip(before).map(|(t_ms, before)| t_ms.wrapping_sub(before)).collect();
        let value_bits = self.values().map(f64::to_bits).collect();
        SavedWindow { thinned: self.thinned, steps_ms, value_bits }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = SavedWindow::deserialize(deserializer)?;
        if saved.steps_ms.len() != saved.value_bits.len() || saved.value_bits.len() > WINDOW_POINTS_MAX {
            return Err(serde::de::Error::custom("detector state is damaged: its window does not fit together"));
        }
        let mut t_ms = 0i64;
        let mut window = Self { thinned: saved.thinned, ..Self::default() };
        window.values.reserve_exact(saved.value_bits.len());
        for (step_ms, bits) in saved.steps_ms.into_iter().zip(saved.value_bits) {
            t_ms = t_ms.wrapping_add(step_ms);
            let value = f64::from_bits(bits);
            if !super::usable(value) {
                return Err(serde::de::Error::custom("detector state is damaged: its window holds no numbers"));
            }
            window.append(t_ms, value);
        }
        Ok(window)
    }
}
