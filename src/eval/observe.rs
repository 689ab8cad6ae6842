//! Evaluates the condition of one rule at one instant.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::model::{AbsenceReason, Labels, Point, Timestamp, is_stale};
use crate::promql::{
    Answers, EvalOptions, Matcher, Question, SlotCache, Source, SourceError, Value, VectorSample, When, eval_instant,
    for_stores,
};
use crate::rule::{Condition, Level, Query, Rule};

use super::{EvalFailure, LevelBits, Outcome, Signal, expression};

/// What an evaluation reads.
pub struct EvalContext<'a> {
    /// The store.
    pub source: &'a dyn Source,
    /// Look-back and limits.
    pub options: &'a EvalOptions,
    /// Shared by the rules of one slot, so that equal sub-expressions are evaluated once.
    pub cache: &'a SlotCache,
    /// Of a rule on a store that evaluates whole queries itself: what it said. `source` then is not read.
    pub answers: Option<&'a Answers>,
}

impl EvalContext<'_> {
    /// A query's result as a vector sorted by labels; a scalar becomes one sample without labels.
    pub(super) fn vector(&self, query: &Query, at: Timestamp) -> Result<Vec<VectorSample>, EvalFailure> {
        let value = match self.answers {
            Some(answers) => match answers.at(&for_stores(&query.text), at.as_millis()) {
                Some(said) => said.map_err(|error| error.to_string()),
                None => Err("the store of the rule was not asked".to_owned()),
            },
            None => eval_instant(&query.plan, self.source, at.as_millis(), self.options, self.cache)
                .map_err(|error| error.to_string()),
        };
        match value {
            Ok(Value::Vector(samples)) => Ok(samples),
            Ok(Value::Scalar(value)) => {
                Ok(vec![VectorSample { labels: Labels::empty(), t_ms: at.as_millis(), value, histogram: None }])
            }
            Ok(Value::Matrix(_) | Value::String(_)) => {
                Err(EvalFailure { message: format!("query `{}` yields neither a vector nor a number", query.text) })
            }
            Err(message) => Err(EvalFailure { message }),
        }
    }

    /// Whether nothing is missing in what the rule's queries gave.
    fn is_whole(&self, rule: &Rule, at: Timestamp) -> bool {
        let whole = |answers: &Answers, question: &Question| {
            answers.get(question).is_none_or(|said| said.as_ref().is_ok_and(|answer| answer.partial.is_none()))
        };
        self.answers.is_none_or(|answers| questions(rule, at).iter().all(|question| whole(answers, question)))
    }
}

/// What the store of a rule is asked at `at`, where it is one that evaluates whole queries itself.
pub fn questions(rule: &Rule, at: Timestamp) -> Vec<Question> {
    let recovery = match &rule.condition {
        Condition::PromQl { recover, .. } => recover.as_ref(),
        _ => None,
    };
    let when = When::At(at.as_millis());
    let queries = signal_queries(rule).into_iter().chain(recovery);
    queries.map(|query| Question { text: for_stores(&query.text), when }).collect()
}

impl EvalContext<'_> {
    /// As [`Self::vector`] where numbers are needed: a native histogram is an error that says what to do.
    pub(super) fn numbers(&self, query: &Query, at: Timestamp) -> Result<Vec<VectorSample>, EvalFailure> {
        let samples = self.vector(query, at)?;
        match samples.iter().find(|s| s.histogram.is_some()) {
            None => Ok(samples),
            Some(sample) => {
                let what = format!("query `{}` yields a native histogram for {}", query.text, sample.labels);
                let help = "take a number from it, such as `histogram_quantile(0.9, …)` or `histogram_avg(…)`";
                Err(EvalFailure { message: format!("{what}: {help}") })
            }
        }
    }
}

/// Evaluates the condition of a rule at `at`.
pub fn observe(rule: &Rule, context: &EvalContext<'_>, at: Timestamp) -> Outcome {
    let mut histograms = BTreeMap::new();
    let result = match &rule.condition {
        Condition::Threshold { signal, levels } => context.numbers(signal, at).map(|samples| {
            let judged = samples.into_iter().map(|s| judge(s, levels)).collect();
            (judged, None)
        }),
        Condition::Anomaly { signal, .. } => context.numbers(signal, at).map(|samples| {
            // Whether a value is anomalous is for the detector, whose state belongs to the rule's state.
            let plain = |s: VectorSample| Signal { labels: s.labels, value: s.value, reached: 0, kept: 0 };
            (samples.into_iter().map(plain).collect(), None)
        }),
        Condition::Expression { queries, when, recover_when, value } => {
            let parts = expression::Parts { queries, when, recover_when: recover_when.as_ref(), value: value.as_ref() };
            expression::observe(&parts, context, at).map(|signals| (signals, None))
        }
        Condition::Record { query } => context.vector(query, at).map(|samples| {
            let plain = |s: VectorSample| {
                histograms.extend(s.histogram.map(|histogram| (s.labels.clone(), histogram)));
                Signal { labels: s.labels, value: s.value, reached: 0, kept: 0 }
            };
            (samples.into_iter().map(plain).collect(), None)
        }),
        Condition::PromQl { query, signal, recover } => promql(query, signal.as_ref(), recover.as_ref(), context, at),
    };
    match result.and_then(|(signals, recovered)| Ok((by_labels(signals)?, recovered))) {
        Ok((signals, recovered)) => {
            Outcome::Signals { signals, recovered, histograms, complete: context.is_whole(rule, at) }
        }
        Err(failure) => Outcome::Error(failure),
    }
}

/// Compares a sample with every level.
fn judge(sample: VectorSample, levels: &[Level]) -> Signal {
    let (mut reached, mut kept): (LevelBits, LevelBits) = (0, 0);
    for (i, level) in levels.iter().enumerate() {
        let holds = level.threshold.holds(sample.value);
        let keeps = level.recover.map_or(holds, |recover| !recover.holds(sample.value));
        reached |= LevelBits::from(holds) << i;
        kept |= LevelBits::from(keeps) << i;
    }
    Signal { labels: sample.labels, value: sample.value, reached, kept }
}

type Observed = (Vec<Signal>, Option<Vec<Labels>>);

fn promql(
    query: &Query,
    signal: Option<&(Query, crate::rule::Threshold)>,
    recover: Option<&Query>,
    context: &EvalContext<'_>,
    at: Timestamp,
) -> Result<Observed, EvalFailure> {
    let recovered = match recover {
        Some(recover) => {
            let mut labels: Vec<Labels> = Vec::new();
            for sample in context.vector(recover, at)? {
                labels.push(sample.labels.without_name());
            }
            labels.sort_unstable();
            Some(labels)
        }
        None => None,
    };
    // `vector > constant` keeps the left side's labels and value, so comparing here gives the same samples as the
    // whole query, and the values that do not fire are known too.
    // A store that evaluates whole queries is asked for the whole query.
    let signals = match signal.filter(|_| context.answers.is_none()) {
        Some((left, threshold)) => {
            let level = Level { severity: crate::model::Severity::Warning, threshold: *threshold, recover: None };
            // Histograms cannot be compared with a number: as in the whole query they are left out.
            let numbers = context.vector(left, at)?.into_iter().filter(|s| s.histogram.is_none());
            numbers.map(|s| judge(s, std::slice::from_ref(&level))).collect()
        }
        None => {
            // The value of a histogram is 0, as in Prometheus.
            let number = |s: &VectorSample| if s.histogram.is_some() { 0.0 } else { s.value };
            let fires = |s: VectorSample| Signal { value: number(&s), labels: s.labels, reached: 1, kept: 1 };
            context.vector(query, at)?.into_iter().map(fires).collect()
        }
    };
    Ok((signals, recovered))
}

/// Sorts by labels without the metric's name and refuses two signals that differ in nothing else.
fn by_labels(mut signals: Vec<Signal>) -> Result<Vec<Signal>, EvalFailure> {
    let ordered = signals.is_sorted_by(|a, b| a.labels.cmp_without_name(&b.labels).is_lt());
    if !ordered {
        signals.sort_by(|a, b| a.labels.cmp_without_name(&b.labels));
        if let Some(pair) = signals.windows(2).find(|w| w[0].labels.cmp_without_name(&w[1].labels).is_eq()) {
            let message = format!(
                "two series differ in nothing but their name: {} and {}; select one metric or aggregate",
                pair[0].labels, pair[1].labels
            );
            return Err(EvalFailure { message });
        }
    }
    Ok(signals)
}

/// Why the signal of `labels` (without name) is missing: looks at the series behind each selector of the rule that
/// carry these labels. Of series in a remote store nothing more is known than that there is no value.
pub fn absence(rule: &Rule, source: &dyn Source, labels: &Labels, at: Timestamp) -> AbsenceReason {
    if rule.source.is_some() {
        return AbsenceReason::NoData;
    }
    let mut ended = false;
    for query in signal_queries(rule) {
        for selector in query.plan.selectors() {
            let mut matchers = selector.matchers.to_vec();
            matchers.extend(labels.iter().map(|(name, value)| Matcher::equal(name, value)));
            match source.absence(&matchers, at.as_millis() - selector.offset_ms) {
                AbsenceReason::SeriesEnded => ended = true,
                // A query of a join that still has live series says nothing; one that fell silent decides.
                AbsenceReason::NoData => return AbsenceReason::NoData,
            }
        }
    }
    if ended { AbsenceReason::SeriesEnded } else { AbsenceReason::NoData }
}

/// Whether the store has a value at `at` behind the signal of `labels` (without name), for every selector of the rule;
/// where a window is read, two: of one value alone there is no rate yet.
pub fn is_known(rule: &Rule, context: &EvalContext<'_>, labels: &Labels, at: Timestamp) -> bool {
    if rule.source.is_some() {
        return true;
    }
    signal_queries(rule).iter().flat_map(|query| query.plan.selectors()).all(|selector| {
        let mut matchers = selector.matchers.to_vec();
        matchers.extend(labels.iter().map(|(name, value)| Matcher::equal(name, value)));
        has_values(context, selector.range_ms, &matchers, at.as_millis() - selector.offset_ms).unwrap_or_default()
    })
}

fn has_values(context: &EvalContext<'_>, range_ms: i64, matchers: &[Matcher], at_ms: i64) -> Result<bool, SourceError> {
    let selection = context.source.select(matchers)?;
    if range_ms == 0 {
        let mut values = Vec::new();
        context.source.instant(&selection, at_ms, context.options.lookback_ms, &mut values)?;
        return Ok(values.iter().any(Option::is_some));
    }
    let mut found = false;
    let mut look = |_: usize, points: &[Point]| {
        found = points.iter().filter(|point| !is_stale(point.value)).nth(1).is_some();
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    context.source.range(&selection, at_ms.saturating_sub(range_ms), at_ms, &mut look)?;
    Ok(found)
}

/// The queries that give a rule's signal.
pub fn signal_queries(rule: &Rule) -> Vec<&Query> {
    match &rule.condition {
        Condition::Threshold { signal, .. } | Condition::Anomaly { signal, .. } => vec![signal],
        Condition::Expression { queries, .. } => queries.iter().map(|(_, q)| q).collect(),
        Condition::PromQl { query, .. } | Condition::Record { query } => vec![query],
    }
}
