//! What the engine would know from a remote store before it steps a rule: questions, as plain values.
//!
//! A rule on a store that evaluates whole queries itself is stepped with answers that were fetched before. What has to be
//! asked shows in turns: first the rule's queries; then, when they are answered, what the step would go on to read (the
//! history of new series, queries in templates, the course of a signal that people are told of). The last is found by a
//! step on a copy of the rule's state, whose result is thrown away.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::trend::TREND_POINTS;
use super::{Engine, TREND_SERIES_MAX, run_query, warm};
use crate::eval::{self, EvalContext, Outcome};
use crate::model::time::millis;
use crate::model::{Labels, Now};
use crate::promql::{Answers, MemorySource, Question, SlotCache, When, for_stores};
use crate::rule::{Condition, Rule};
use crate::state::{Advance, RuleState};

impl Engine {
    /// What the store of the rule with this index is to be asked for a step at `now`, beside what is `known`; nothing
    /// where the step can be made. To be called again when that is answered: answers lead to further questions.
    pub fn questions(&self, index: usize, now: Now, known: &Answers) -> Vec<Question> {
        let Some(rule) = self.rules.get(index).filter(|rule| rule.source.is_some()) else { return Vec::new() };
        let unknown = |mut wanted: Vec<Question>| {
            wanted.retain(|question| known.get(question).is_none());
            wanted
        };
        let at = now.slot.minus(rule.query_offset());
        let conditions = unknown(eval::questions(rule, at));
        if !conditions.is_empty() {
            return conditions;
        }
        let (source, cache) = (MemorySource::new(), SlotCache::default());
        let context =
            EvalContext { source: &source, options: &self.options.query, cache: &cache, answers: Some(known) };
        let outcome = eval::observe(rule, &context, at);
        let Outcome::Signals { signals, .. } = &outcome else { return Vec::new() };
        let state = self.states.get(&rule.uid);
        let knows = |labels: &Labels| state.is_some_and(|state| state.detectors.knows(labels));
        if rule.is_recording() {
            return Vec::new();
        }
        if matches!(rule.condition, Condition::Anomaly { .. }) {
            let all = signals.iter().map(|signal| signal.labels.without_name());
            let cold: BTreeSet<Labels> = all.filter(|labels| !knows(labels)).collect();
            let history = if cold.is_empty() { Vec::new() } else { unknown(warm::questions(rule, at, &cold)) };
            if !history.is_empty() || !asks(rule) {
                return history;
            }
        } else if signals.iter().all(|signal| signal.reached == 0)
            && state.is_none_or(|state| state.instances.values().all(|instance| !instance.is_active()))
        {
            // Nothing holds and nothing is there to end: nobody is told anything.
            return Vec::new();
        }
        unknown(self.read_by_step(rule, now, (&context, outcome)))
    }

    /// What a step reads beside the rule's own queries.
    fn read_by_step(&self, rule: &Rule, now: Now, (context, outcome): (&EvalContext<'_>, Outcome)) -> Vec<Question> {
        let mut state: RuleState = self.states.get(&rule.uid).cloned().unwrap_or_default();
        let asked: RefCell<BTreeSet<Question>> = RefCell::default();
        let query = |text: &str| {
            let question = Question { text: for_stores(text), when: When::At(now.slot.as_millis()) };
            asked.borrow_mut().insert(question);
            run_query(text, context, now.slot)
        };
        let at = now.slot.minus(rule.query_offset());
        let absence = |labels: &Labels| eval::absence(rule, context.source, labels, at);
        let externals = &self.options.externals;
        let advance =
            Advance { rule, now, externals, query: &query, absence: &absence, not_seen_yet: &|_: &Labels| false };
        let advanced = advance.run(&mut state, &outcome);
        let small = matches!(&outcome, Outcome::Signals { signals, .. } if signals.len() <= TREND_SERIES_MAX);
        let mut wanted: Vec<Question> = asked.into_inner().into_iter().collect();
        let notable = advanced.transitions.iter().any(|moved| moved.transition.kind.is_notable());
        if small && notable && !matches!(rule.condition, Condition::Anomaly { .. }) {
            let step_ms = millis(rule.schedule.every_hint()).max(1);
            let end_ms = at.as_millis();
            let start_ms = end_ms - step_ms * i64::from(TREND_POINTS - 1);
            let course = |query: &crate::rule::Query| Question {
                text: for_stores(&query.text),
                when: When::Range { start_ms, end_ms, step_ms },
            };
            wanted.extend(eval::signal_queries(rule).into_iter().map(course));
        }
        wanted
    }
}

/// Whether a template of the rule may run queries.
fn asks(rule: &Rule) -> bool {
    let texts = rule.labels.iter().chain(&rule.annotations).map(|(_, template)| template);
    texts.chain(&rule.description).any(|template| template.text().contains("query"))
}
