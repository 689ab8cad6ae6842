//! What cannot be put back, of which pages and series and between which instants.
//!
//! Merged as it is found: it takes memory by the page and by the series, never by the damaged row. Merging only ever makes
//! a loss greater, so that a rule which would read it gets an error too many and never one too few.

use std::collections::BTreeMap;

use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, Lost, PAGE, SLOTS_MAX};

/// Losses of one page that are told apart.
const GAPS_MAX: usize = 8;
/// How far into the future a damaged row may claim to reach.
const DAY_MS: i64 = 86_400_000;

/// From which instant to which one.
pub(super) type Times = (i64, i64);

/// All that is lost.
#[derive(Debug)]
pub(super) struct Losses {
    now_ms: i64,
    /// Whole stretches, by page.
    gaps: BTreeMap<u32, Vec<Times>>,
    /// Batches of the journal, by series: as if one scrape had failed.
    torn: BTreeMap<SeriesRef, Times>,
    /// Batches of which it is not known whose they were.
    torn_all: Option<Times>,
    /// Pages, from one to another, whose rows cannot be read.
    unreadable: Vec<(u32, u32)>,
}

fn joined(a: Times, b: Times) -> Times {
    (a.0.min(b.0), a.1.max(b.1))
}

impl Losses {
    pub(super) fn new(now_ms: i64) -> Self {
        let (gaps, torn) = (BTreeMap::new(), BTreeMap::new());
        Self { now_ms, gaps, torn, torn_all: None, unreadable: Vec::new() }
    }

    /// The times that a damaged row gives, which may be what is damaged in it; where they make no sense, the `widest`
    /// that they can be.
    pub(super) fn sane(&self, times: Option<Times>, widest: Times) -> Times {
        let latest_ms = self.now_ms.saturating_add(DAY_MS);
        let sane = |(from_ms, to_ms): &Times| from_ms <= to_ms && *to_ms <= latest_ms;
        times.filter(sane).unwrap_or((widest.0.min(widest.1), widest.1))
    }

    pub(super) fn gap(&mut self, page: u32, times: Times) {
        if page >= SLOTS_MAX / PAGE {
            return;
        }
        let gaps = self.gaps.entry(page).or_default();
        let many = gaps.len() >= GAPS_MAX;
        match gaps.last_mut() {
            Some(last) if many || (last.0 <= times.1 && times.0 <= last.1) => *last = joined(*last, times),
            _ => gaps.push(times),
        }
    }

    /// Rows of the table of pages or blocks that cannot be read.
    pub(super) fn unreadable(&mut self, from_page: i64, to_page: i64) {
        let page = |page: i64| page.clamp(0, i64::from(SLOTS_MAX / PAGE)) as u32;
        self.unreadable.push((page(from_page), page(to_page)));
    }

    pub(super) fn torn(&mut self, series: Vec<SeriesRef>, times: Times) {
        for series in series {
            let known = self.torn.entry(series).or_insert(times);
            *known = joined(*known, times);
        }
    }

    pub(super) fn torn_all(&mut self, times: Times) {
        self.torn_all = Some(self.torn_all.map_or(times, |known| joined(known, times)));
    }

    /// By series of a store, into which everything else was put.
    pub(super) fn of_series(mut self, store: &EmbeddedStore) -> Vec<Lost> {
        let count = store.page_count();
        for (from, to) in std::mem::take(&mut self.unreadable) {
            // Of how much of the past that is cannot be known.
            (from..=to.min(count.saturating_sub(1))).for_each(|page| self.gap(page, (0, self.now_ms)));
        }
        let mut lost = Vec::new();
        for page in 0..count {
            let gaps = self.gaps.get(&page);
            if gaps.is_none() && self.torn_all.is_none() && self.torn.is_empty() {
                continue;
            }
            for (series, _) in store.series_of_page(page) {
                let one = |(from_ms, to_ms): Times, windows| Lost { series, from_ms, to_ms, windows };
                lost.extend(gaps.into_iter().flatten().map(|times| one(*times, true)));
                let torn = self.torn.get(&series).into_iter().chain(&self.torn_all).copied().reduce(joined);
                lost.extend(torn.map(|times| one(times, false)));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use crate::store::StoreOptions;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn times_of_damaged_rows_count_only_where_they_make_sense() {
        let losses = Losses::new(NOW);
        let widest = (NOW - 1000, NOW);
        let check = |times: Option<Times>, wanted: Times| assert_eq!(losses.sane(times, widest), wanted, "{times:?}");
        check(None, widest);
        check(Some((NOW - 5, NOW - 1)), (NOW - 5, NOW - 1));
        check(Some((NOW, NOW - 1)), widest);
        check(Some((0, i64::MAX)), widest);
        check(Some((i64::MIN, NOW + DAY_MS + 1)), widest);
        assert_eq!(losses.sane(None, (NOW + 7, NOW)), (NOW, NOW));
    }

    #[test]
    fn losses_take_memory_by_the_series_and_not_by_the_damaged_row() {
        let store = EmbeddedStore::new(StoreOptions::default());
        let series = |n: usize| Labels::from_pairs([("__name__", "m".to_owned()), ("n", n.to_string())]);
        let all: Vec<SeriesRef> = (0..300).map(|n| store.series_ref(&series(n), NOW).unwrap()).collect();
        let mut losses = Losses::new(NOW);
        for row in 0..10_000 {
            losses.torn(all.clone(), (NOW - 1000 * row, NOW - row));
            losses.torn_all((NOW - 500 * row, NOW));
            losses.gap(0, (NOW - 1000 * row, NOW - 1000 * row + 1));
            // Pages that no store has.
            losses.gap(u32::MAX - row as u32, (0, NOW));
        }
        losses.unreadable(1, i64::MAX);
        let lost = losses.of_series(&store);
        assert!(lost.len() <= 256 * (GAPS_MAX + 1) + 44 * 2, "{}", lost.len());
        let of = |series: SeriesRef| lost.iter().filter(move |lost| lost.series == series);
        assert!(of(all[0]).any(|lost| lost.windows && lost.from_ms <= NOW - 9_999_000));
        assert!(of(all[299]).any(|lost| lost.windows && (lost.from_ms, lost.to_ms) == (0, NOW)));
        assert!(of(all[299]).any(|lost| !lost.windows && lost.to_ms == NOW));
    }
}
