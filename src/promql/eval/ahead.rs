//! Reading ahead for the steps of a range.
//!
//! Place in the flow: an instant selector evaluated at each step of a range would search, and uncompress, the same
//! piece of a series once per step. Here the points of [`STEPS_AHEAD`] steps are read in one go and then walked: the cost
//! of a range is that of its points. What is held is a block, not the range.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::{Point, is_stale};
use crate::promql::source::{Selection, Source, SourceError};

/// Steps read in one go.
const STEPS_AHEAD: i64 = 128;
/// Series times steps that are held at most; a wider selection is read for fewer steps at a time.
const POINTS_AHEAD: i64 = 2_000_000;

/// Points that are held at most of several steps, where samples lie much closer than steps.
const POINTS_HELD_MAX: usize = 4_000_000;

/// The points of one selection for some steps.
struct Block {
    /// For how many it was read: the next one is not tried for more.
    steps: i64,
    handles: Arc<[u64]>,
    lookback_ms: i64,
    from_ms: i64,
    to_ms: i64,
    points: Vec<Point>,
    /// Of each series, where its points begin that may still be the latest, and where they end.
    series: Vec<(usize, usize)>,
}

/// The blocks of a range's selectors, by the selectors' places in the plan.
#[derive(Default)]
pub(super) struct Ahead(Vec<Option<Block>>);

/// What is asked: the latest points of a selection at an instant, by a reader that comes back every `step_ms` until
/// `end_ms`.
pub(super) struct Read<'a> {
    pub selection: &'a Selection,
    pub at_ms: i64,
    pub lookback_ms: i64,
    pub step_ms: i64,
    pub end_ms: i64,
}

impl Block {
    /// Reads for at most so many steps.
    fn read(source: &dyn Source, read: &Read<'_>, most: i64) -> Result<Self, SourceError> {
        let width = read.selection.len().max(1) as i64;
        let mut steps = most.min(POINTS_AHEAD / width).max(1);
        loop {
            let block = Self::read_steps(source, read, steps)?;
            if steps == 1 || block.points.len() <= POINTS_HELD_MAX {
                return Ok(block);
            }
            steps = (steps / 8).max(1);
        }
    }

    /// Reads for so many steps; breaks off where that is too much and could be less.
    fn read_steps(source: &dyn Source, read: &Read<'_>, steps: i64) -> Result<Self, SourceError> {
        let to_ms = read.at_ms.saturating_add(read.step_ms.saturating_mul(steps - 1)).min(read.end_ms.max(read.at_ms));
        let mut block = Self {
            steps,
            handles: Arc::clone(&read.selection.handles),
            lookback_ms: read.lookback_ms,
            from_ms: read.at_ms,
            to_ms,
            points: Vec::new(),
            series: vec![(0, 0); read.selection.len()],
        };
        let mut visit = |i: usize, points: &[Point]| {
            let begin = block.points.len();
            block.points.extend_from_slice(points);
            if let Some(series) = block.series.get_mut(i) {
                *series = (begin, block.points.len());
            }
            let too_many = steps > 1 && block.points.len() > POINTS_HELD_MAX;
            if too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        source.range(read.selection, read.at_ms.saturating_sub(read.lookback_ms), to_ms, &mut visit)?;
        Ok(block)
    }

    fn answers(&self, read: &Read<'_>) -> bool {
        Arc::ptr_eq(&self.handles, &read.selection.handles)
            && self.lookback_ms == read.lookback_ms
            && (self.from_ms..=self.to_ms).contains(&read.at_ms)
    }

    fn latest(&mut self, at_ms: i64, out: &mut Vec<Option<Point>>) {
        self.from_ms = at_ms;
        let after_ms = at_ms.saturating_sub(self.lookback_ms);
        let points = &self.points;
        out.extend(self.series.iter_mut().map(|(begin, end)| {
            let rest = points.get(*begin..*end)?;
            let upto = rest.iter().take_while(|p| p.t_ms <= at_ms).count();
            let latest = *rest.get(upto.checked_sub(1)?)?;
            *begin += upto - 1;
            (latest.t_ms > after_ms && !is_stale(latest.value)).then_some(latest)
        }));
    }
}

impl Ahead {
    /// As [`Source::instant`], for steps that rise.
    pub(super) fn instant(
        &mut self,
        selector: usize,
        source: &dyn Source,
        read: &Read<'_>,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), SourceError> {
        if self.0.len() <= selector {
            self.0.resize_with(selector + 1, || None);
        }
        let Some(slot) = self.0.get_mut(selector) else { return Ok(()) };
        let block = match slot.take() {
            Some(block) if block.answers(read) => block,
            before => Block::read(source, read, before.map_or(STEPS_AHEAD, |block| block.steps))?,
        };
        slot.insert(block).latest(read.at_ms, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::{Labels, STALE_NAN};
    use crate::promql::eval::{eval_instant, eval_range};
    use crate::promql::memory::MemorySource;
    use crate::promql::{EvalOptions, ParseOptions, Plan, SlotCache, Value, parse};

    fn store(points: &[(u8, i64, f64)]) -> MemorySource {
        let mut store = MemorySource::new();
        for (host, t_ms, value) in points {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("host", format!("h{host}"))]);
            store.add(&labels, crate::model::Point { t_ms: *t_ms, value: *value });
        }
        store
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// More steps than are read in one go, with gaps longer than the look-back, and ends of series.
        #[test]
        fn a_range_is_what_its_instants_are(
            points in prop::collection::vec(
                (0u8..3, 0i64..5_000_000, prop_oneof![4 => 0.0..9.0, 1 => Just(STALE_NAN)]), 0..120),
            step_ms in prop_oneof![Just(15_000i64), 1_000i64..90_000],
            text in prop_oneof![
                Just("m"), Just("m offset 3m"), Just("m + m offset -1m"), Just("sum_over_time(m[2m:17s]) + m"),
                Just("m @ 900 + m"), Just("sum(m)")],
        ) {
            let store = store(&points);
            let plan = Plan::new(&parse(text, &ParseOptions::default()).expect("a query"));
            let options = EvalOptions::default();
            let (start, end) = (60_000, 60_000 + 300 * step_ms);
            let range = eval_range(&plan, &store, start, end, step_ms, &options).expect("a range");
            let mut instants = std::collections::BTreeMap::<Labels, Vec<(i64, u64)>>::new();
            for t_ms in (start..=end).step_by(step_ms as usize) {
                let value = eval_instant(&plan, &store, t_ms, &options, &SlotCache::new()).expect("an instant");
                let Value::Vector(samples) = value else { unreachable!("{text} is a vector") };
                for sample in samples {
                    instants.entry(sample.labels).or_default().push((t_ms, sample.value.to_bits()));
                }
            }
            let bits = |points: Vec<crate::model::Point>| points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect();
            let range: Vec<(Labels, Vec<(i64, u64)>)> = range.into_iter().map(|s| (s.labels, bits(s.points))).collect();
            prop_assert_eq!(range, instants.into_iter().collect::<Vec<_>>());
        }
    }
}
