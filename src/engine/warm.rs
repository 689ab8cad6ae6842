//! Fills the detectors of series that are seen for the first time from the store's history, so that a rule that starts
//! cold gives verdicts at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::detect::AnomalyConfig;
use crate::eval::{EvalContext, EvalFailure};
use crate::model::labels::METRIC_NAME;
use crate::model::time::millis;
use crate::model::{AbsenceReason, HistogramPoint, Labels, Point, Timestamp};
use crate::promql::{
    Answers, Matcher, Question, Selection, Source, SourceError, Visit, When, eval_range, for_stores, for_stores_of,
};
use crate::rule::{Condition, Rule};
use crate::state::{DetectorBank, RuleState};

/// Most points of history that one series learns from.
const HISTORY_POINTS_MAX: i64 = 11_000;

/// Most points of the history before that, from which a season learns: they lie farther apart instead.
const SEASON_POINTS_MAX: i64 = 4_032;

/// Steps evaluated in one go: history is learned piece by piece and never held whole.
const STEPS_AT_ONCE: i64 = 128;

/// Starts a detector for every signal that has none and lets it learn the signal's values at the slots before `at`.
pub(super) fn cold_detectors(
    rule: &Rule,
    config: &AnomalyConfig,
    state: &mut RuleState,
    (context, at): (&EvalContext<'_>, Timestamp),
) -> Result<(), EvalFailure> {
    // What was judged at the evaluation before has a detector.
    if state.keys.unchanged() {
        return Ok(());
    }
    let bank = &mut state.detectors;
    let cold: BTreeSet<Labels> = state.keys.keys().filter(|labels| !bank.knows(labels)).cloned().collect();
    let Condition::Anomaly { signal, .. } = &rule.condition else { return Ok(()) };
    if cold.is_empty() {
        return Ok(());
    }
    if let Some(answers) = context.answers {
        return learn_from_answers(rule, (config, bank), (answers, at), &cold);
    }
    for labels in &cold {
        bank.start(config, labels.clone(), at);
    }
    // A series that joins others costs its own history, not theirs, where the two can be told apart.
    let narrowed = Narrowed { source: context.source, wanted: &cold, last: Mutex::default() };
    let source: &dyn Source = if signal.plan.is_per_series() { &narrowed } else { context.source };
    let step_ms = millis(rule.schedule.every_hint()).max(1);
    for Stretch { mut from, to, step_ms } in stretches(config, at.as_millis(), step_ms) {
        while from <= to {
            let until = to.min(from.saturating_add(step_ms.saturating_mul(STEPS_AT_ONCE - 1)));
            // Without history a detector starts empty and stays silent until it has seen `min_samples`.
            let Ok(history) = eval_range(&signal.plan, source, from, until, step_ms, context.options) else {
                return Ok(());
            };
            for series in history {
                let labels = series.labels.without_name();
                if cold.contains(&labels) {
                    bank.learn(config, &labels, &series.points);
                }
            }
            from = until.saturating_add(step_ms);
        }
    }
    Ok(())
}

/// The history that a remote store is asked for when a series of the rule is seen for the first time: of anomaly rules
/// alone, in pieces that every store answers, oldest first.
pub(super) fn questions(rule: &Rule, at: Timestamp, cold: &BTreeSet<Labels>) -> Vec<Question> {
    let Condition::Anomaly { signal, detector } = &rule.condition else { return Vec::new() };
    let text = match signal.plan.is_per_series() {
        true => for_stores_of(&signal.text, cold),
        false => for_stores(&signal.text),
    };
    let step_ms = millis(rule.schedule.every_hint()).max(1);
    let mut questions = Vec::new();
    for Stretch { mut from, to, step_ms } in stretches(detector, at.as_millis(), step_ms) {
        while from <= to {
            let until = to.min(from.saturating_add(step_ms.saturating_mul(STEPS_ASKED - 1)));
            let when = When::Range { start_ms: from, end_ms: until, step_ms };
            questions.push(Question { text: text.clone(), when });
            from = until.saturating_add(step_ms);
        }
    }
    questions
}

fn learn_from_answers(
    rule: &Rule,
    (config, bank): (&AnomalyConfig, &mut DetectorBank),
    (answers, at): (&Answers, Timestamp),
    cold: &BTreeSet<Labels>,
) -> Result<(), EvalFailure> {
    let mut history = Vec::new();
    for question in questions(rule, at, cold) {
        let said = answers.range(&question).unwrap_or_else(|| Err("the store of the rule was not asked".into()));
        history.push(said.map_err(|error| EvalFailure { message: format!("history for the detector: {error}") })?);
    }
    for labels in cold {
        bank.start(config, labels.clone(), at);
    }
    for series in history.into_iter().flatten() {
        let labels = series.labels.without_name();
        if cold.contains(&labels) {
            bank.learn(config, &labels, &series.points);
        }
    }
    Ok(())
}

/// Most steps of history that a remote store is asked for at once: stores limit their answers, and so do we.
const STEPS_ASKED: i64 = 1_000;

/// Slots from which history is learned, both ends included.
#[derive(Debug, PartialEq)]
struct Stretch {
    from: i64,
    to: i64,
    step_ms: i64,
}

/// The slots before `at`: those of the window, and before them as far apart as need be those a season can use.
fn stretches(config: &AnomalyConfig, at: i64, step_ms: i64) -> [Stretch; 2] {
    let window_ms = millis(config.window).min(step_ms.saturating_mul(HISTORY_POINTS_MAX));
    let from = at - window_ms / step_ms * step_ms;
    let older_ms = (from - (at - millis(config.season.history()))).max(0);
    let apart_ms = (older_ms / SEASON_POINTS_MAX / step_ms + 1).saturating_mul(step_ms);
    let older = Stretch { from: from - older_ms / apart_ms * apart_ms, to: from - apart_ms, step_ms: apart_ms };
    [older, Stretch { from, to: at - step_ms, step_ms }]
}

/// A store that shows only the series of the signals that are wanted.
struct Narrowed<'a> {
    source: &'a dyn Source,
    /// Labels without the metric's name.
    wanted: &'a BTreeSet<Labels>,
    /// The last selection, whole and narrowed; guards nothing else.
    last: Mutex<Option<(Arc<[Labels]>, Selection)>>,
}

impl Narrowed<'_> {
    fn wants(&self, series: &Labels) -> bool {
        // Functions take the labels of the type-and-unit convention away with the name.
        let bare = || series.filtered(|name| !matches!(name, METRIC_NAME | "__type__" | "__unit__"));
        self.wanted.contains(&series.without_name()) || self.wanted.contains(&bare())
    }
}

impl Source for Narrowed<'_> {
    fn select(&self, matchers: &[Matcher]) -> Result<Selection, SourceError> {
        let all = self.source.select(matchers)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, narrow)) = last.as_ref().filter(|(whole, _)| Arc::ptr_eq(whole, &all.series)) {
            return Ok(narrow.clone());
        }
        let wanted = all.series.iter().zip(all.handles.iter()).filter(|(series, _)| self.wants(series));
        let (series, handles): (Vec<Labels>, Vec<u64>) = wanted.map(|(l, handle)| (l.clone(), *handle)).unzip();
        let narrow = Selection { series: series.into(), handles: handles.into() };
        *last = Some((all.series, narrow.clone()));
        Ok(narrow)
    }

    fn instant(
        &self,
        selection: &Selection,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut Vec<Option<Point>>,
    ) -> Result<(), SourceError> {
        self.source.instant(selection, at_ms, lookback_ms, out)
    }

    fn range(&self, selection: &Selection, from_ms: i64, to_ms: i64, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        self.source.range(selection, from_ms, to_ms, visit)
    }

    fn histograms(
        &self,
        selection: &Selection,
        series: usize,
        window: (i64, i64),
        out: &mut Vec<HistogramPoint>,
    ) -> Result<(), SourceError> {
        self.source.histograms(selection, series, window, out)
    }

    fn absence(&self, matchers: &[Matcher], at_ms: i64) -> AbsenceReason {
        self.source.absence(matchers, at_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AnomalyConfig, Stretch, stretches};
    use crate::detect::Season;
    use crate::diag::SourceFile;
    use crate::engine::{Engine, EngineOptions, Surroundings};
    use crate::model::{Labels, Now, Point, Timestamp};
    use crate::promql::memory::MemorySource;
    use crate::rule::{LoadOptions, load};

    /// Expected values of the series of `hosts` at the slot `at`, of rules over a metric that has been there since 0.
    fn expected(hosts: &[(&str, i64)], slots: std::ops::RangeInclusive<i64>, metric: &str) -> Vec<(Labels, u64)> {
        let rule = format!("rules: [{{name: odd, {metric}, every: 15s, anomaly: {{window: 2h, min_samples: 5}}}}]");
        let loaded = load(&[SourceFile::new("rules.yaml", rule)], &LoadOptions::default());
        assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
        let mut engine = Engine::new(loaded.rules, EngineOptions::default());
        let mut found = Vec::new();
        for slot in slots {
            let mut store = MemorySource::new();
            for (host, seen_from) in hosts.iter().filter(|(_, seen_from)| slot >= *seen_from) {
                let labels = Labels::from_pairs([("__name__", "m"), ("host", *host)]);
                for i in 0..=slot {
                    let value = ((i * 37 + *seen_from) % 11) as f64;
                    store.add(&labels, Point { t_ms: i * 15_000, value });
                }
            }
            let mut around =
                Surroundings { source: &store, publish: &mut |_| {}, young: false, stopwatch: &|| Duration::ZERO };
            let step = engine.step(Now::simulated(Timestamp(slot * 15_000)), &[0], &mut around);
            found = step.judged.into_iter().flat_map(|(_, points)| points).collect();
        }
        found.into_iter().map(|p| (p.labels, p.judgement.expected.to_bits())).collect()
    }

    #[test]
    fn a_series_that_comes_late_has_learned_the_history_it_brought() {
        for metric in ["metric: m", "metric: m, reduce: mean, over: 1m", "metric: m, combine: max, by: [host]"] {
            let late = expected(&[("a", 0), ("b", 400), ("c", 0)], 398..=400, metric);
            // Had both been there from the start, the newcomer would know the same: a window of 480 slots is not full yet.
            let cold = expected(&[("a", 0), ("b", 400), ("c", 0)], 400..=400, metric);
            assert_eq!(late.len(), 3, "{metric}");
            assert_eq!(late[1], cold[1], "{metric}");
            assert!(f64::from_bits(late[1].1).is_finite(), "{metric}");
        }
    }

    #[test]
    fn a_season_asks_for_history_before_the_window_at_fewer_points() {
        let (day, at) = (86_400_000, 20_000 * 86_400_000);
        let window = Duration::from_secs(86_400);
        let check = |season, step_ms, from, apart_ms| {
            let config = AnomalyConfig { window, season, ..AnomalyConfig::default() };
            let [older, recent] = stretches(&config, at, step_ms);
            assert_eq!(recent, Stretch { from: at - day, to: at - step_ms, step_ms });
            assert_eq!(older, Stretch { from, to: at - day - apart_ms, step_ms: apart_ms }, "{season:?}");
        };
        check(Season::None, 60_000, at - day, 60_000);
        check(Season::Hourly, 60_000, at - day, 60_000);
        // 13 days and 27 days in at most 4,032 points.
        check(Season::Daily, 60_000, at - 14 * day, 300_000);
        check(Season::Auto, 60_000, at - 28 * day, 600_000);
        check(Season::Weekly, 3_600_000, at - 28 * day, 3_600_000);
    }

    #[test]
    fn a_rule_that_starts_cold_knows_the_season_from_history_far_older_than_its_window() {
        let rule = "rules: [{name: odd, metric: m, every: 10m, anomaly: {window: 2h, sigma: 100, min_samples: 5, season: daily}}]";
        let loaded = load(&[SourceFile::new("rules.yaml", rule.to_owned())], &LoadOptions::default());
        assert!(!loaded.has_errors(), "{}", crate::diag::concise(&loaded.diagnostics));
        let (mut engine, mut store) = (Engine::new(loaded.rules, EngineOptions::default()), MemorySource::new());
        // A value for each slot of the day, far apart from slot to slot.
        let value = |slot: i64| (slot % 144 * 37 % 144) as f64;
        let slot = 144 * 20 + 77;
        for i in slot - 144 * 4..=slot {
            store.add(&Labels::from_pairs([("__name__", "m")]), Point { t_ms: i * 600_000, value: value(i) });
        }
        let mut around =
            Surroundings { source: &store, publish: &mut |_| {}, young: false, stopwatch: &|| Duration::ZERO };
        let step = engine.step(Now::simulated(Timestamp(slot * 600_000)), &[0], &mut around);
        let judged = step.judged.into_iter().flat_map(|(_, points)| points).next();
        let expected = judged.map(|point| point.judgement.expected).unwrap_or(f64::NAN);
        assert!((expected - value(slot)).abs() < 1.0, "{expected} for {}", value(slot));
    }
}
