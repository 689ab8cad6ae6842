//! Rising times, kept as runs of equal steps.
//!
//! Place in the flow: the times of a [`super::window::Window`]. Rules are evaluated at slots, so a window without gaps
//! is one run of 24 bytes whatever its length; each gap adds one. Times without any regularity take 12 bytes each.

use std::collections::VecDeque;

/// Times `first`, `first + step`, …
#[derive(Clone, Debug)]
struct Run {
    first_ms: i64,
    /// Meaningless while `count` is 1.
    step_ms: i64,
    /// At least 1.
    count: u32,
}

impl Run {
    fn at(&self, place: u32) -> i64 {
        self.first_ms.wrapping_add(self.step_ms.wrapping_mul(i64::from(place)))
    }

    fn last_ms(&self) -> i64 {
        self.at(self.count - 1)
    }

    /// Takes the next time if it goes on in the same step.
    fn take(&mut self, t_ms: i64) -> bool {
        let step_ms = t_ms.wrapping_sub(self.last_ms());
        let goes_on = self.count == 1 || (step_ms == self.step_ms && self.count < u32::MAX);
        if goes_on {
            self.step_ms = step_ms;
            self.count += 1;
        }
        goes_on
    }
}

/// Times in the order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamps(VecDeque<Run>);

impl Stamps {
    pub(super) fn oldest(&self) -> Option<i64> {
        self.0.front().map(|run| run.first_ms)
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.0.back().map(Run::last_ms)
    }

    pub(super) fn push(&mut self, t_ms: i64) {
        if self.0.back_mut().is_some_and(|run| run.take(t_ms)) {
            return;
        }
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 8).max(1));
        }
        self.0.push_back(Run { first_ms: t_ms, step_ms: 0, count: 1 });
    }

    /// Forgets the oldest.
    pub(super) fn pop(&mut self) {
        let Some(run) = self.0.front_mut() else { return };
        if run.count > 1 {
            run.first_ms = run.at(1);
            run.count -= 1;
        } else {
            self.0.pop_front();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().flat_map(|run| (0..run.count).map(|place| run.at(place)))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Run>()
    }
}

/// The same times may be cut into runs in several ways.
impl PartialEq for Stamps {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regular_times_are_one_run_and_a_gap_adds_one() {
        let mut stamps = Stamps::default();
        (0..1000).for_each(|i| stamps.push(i * 15_000));
        assert_eq!(stamps.heap_bytes(), size_of::<Run>());
        (1002..2000).for_each(|i| stamps.push(i * 15_000));
        // The gap itself and the step after it.
        assert!(stamps.0.len() <= 3, "{}", stamps.0.len());
        (0..1500).for_each(|_| stamps.pop());
        assert_eq!((stamps.oldest(), stamps.newest()), (Some(1502 * 15_000), Some(1999 * 15_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn what_goes_in_comes_out_in_order(
            steps in prop::collection::vec(prop_oneof![Just(15i64), 1i64..40, Just(i64::MAX / 3)], 1..60),
            popped in 0usize..70,
        ) {
            let mut plain = VecDeque::new();
            let mut stamps = Stamps::default();
            let mut t_ms = -100i64;
            for step in steps {
                t_ms = t_ms.wrapping_add(step);
                plain.push_back(t_ms);
                stamps.push(t_ms);
            }
            for _ in 0..popped {
                plain.pop_front();
                stamps.pop();
            }
            prop_assert_eq!(stamps.oldest(), plain.front().copied());
            prop_assert_eq!(stamps.newest(), plain.back().copied());
            prop_assert_eq!(stamps.iter().collect::<VecDeque<_>>(), plain);
        }
    }
}
