//! Pairs what was expected with what came, where one expectation may fit several and each of these is taken once.
//!
//! Place in the flow: `compare` and `notices` say what fits what. Nothing here knows alerts or messages.

use std::collections::VecDeque;

/// Which of `have` each of `wanted` gets. As many get one as can; where not all can, those before others. Where several
/// would do, it is the first.
pub(super) fn assign(wanted: usize, have: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut pairs = Pairs { got: vec![None; wanted], by: vec![None; have] };
    (0..wanted).for_each(|want| pairs.place(want, &fits));
    pairs.got
}

/// Who has what: both directions of the same pairs.
struct Pairs {
    got: Vec<Option<usize>>,
    by: Vec<Option<usize>>,
}

impl Pairs {
    /// Gives one to `first` if that can be; of those that have one already the fewest move to another that fits.
    fn place(&mut self, first: usize, fits: &impl Fn(usize, usize) -> bool) {
        // Who would take each, if whoever has it can move.
        let mut taker: Vec<Option<usize>> = vec![None; self.by.len()];
        let mut todo = VecDeque::from([first]);
        while let Some(want) = todo.pop_front() {
            for (at, by) in self.by.iter().enumerate() {
                if taker[at].is_some() || !fits(want, at) {
                    continue;
                }
                taker[at] = Some(want);
                match by {
                    Some(owner) => todo.push_back(*owner),
                    None => return self.shift(at, &taker),
                }
            }
        }
    }

    /// Gives a free one to its taker, what that one had to the next, and so on to the one that had nothing.
    fn shift(&mut self, free: usize, taker: &[Option<usize>]) {
        let mut next = Some(free);
        while let Some(at) = next {
            let Some(want) = taker[at] else { return };
            self.by[at] = Some(want);
            next = self.got[want].replace(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::assign;

    #[test]
    fn the_first_that_fits_is_taken_and_left_to_one_that_needs_it() {
        let fits = [[true, true, false], [true, false, false], [false, false, true]];
        for (wanted, got) in [(1, vec![Some(0)]), (2, vec![Some(1), Some(0)]), (3, vec![Some(1), Some(0), Some(2)])] {
            assert_eq!(assign(wanted, 3, |want, at| fits[want][at]), got, "{wanted}");
        }
        assert_eq!(assign(2, 1, |_, _| true), [Some(0), None]);
        assert_eq!(assign(2, 0, |_, _| true), [None, None]);
        assert_eq!(assign(0, 2, |_, _| true), []);
    }

    /// The most that can get one, by trying all ways.
    fn most(fits: &[Vec<bool>], left: &mut Vec<bool>) -> usize {
        let Some((first, rest)) = fits.split_first() else { return 0 };
        let mut best = most(rest, left);
        for at in 0..left.len() {
            if left[at] && first[at] {
                left[at] = false;
                best = best.max(1 + most(rest, left));
                left[at] = true;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn as_many_get_one_as_can(have in 0..6usize, bits in prop::collection::vec(any::<[bool; 6]>(), 0..6)) {
            let fits: Vec<Vec<bool>> = bits.iter().map(|row| row[..have].to_vec()).collect();
            let got = assign(fits.len(), have, |want, at| fits[want][at]);
            let taken: Vec<usize> = got.iter().flatten().copied().collect();
            prop_assert!(got.iter().enumerate().all(|(want, at)| at.is_none_or(|at| fits[want][at])));
            prop_assert!((0..have).all(|at| taken.iter().filter(|other| **other == at).count() <= 1));
            prop_assert_eq!(taken.len(), most(&fits, &mut vec![true; have]));
            // Those before others: as many of the first few get one as can.
            for count in 0..got.len() {
                let first = got[..count].iter().flatten().count();
                prop_assert_eq!(first, most(&fits[..count], &mut vec![true; have]));
            }
        }
    }
}
