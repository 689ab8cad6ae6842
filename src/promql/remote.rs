//! What a store that evaluates PromQL itself is asked, and what it says: plain values.
//!
//! Place in the flow: the engine says what it would know ([`Question`]), the app asks the store, and the engine is
//! stepped with the [`Answers`]. Nothing here asks anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::ast::{Expr, ExprKind, Selector};
use super::eval::value::{Value, VectorSample};
use super::matcher::{MatchOp, Matcher};
use super::parser::{ParseOptions, parse};
use crate::model::{HistogramPoint, Labels, Point, SeriesPoints};

/// Most series for which a query is narrowed.
const NARROWED_MAX: usize = 50;

/// A query and the instant or instants at which its value is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// PromQL as every compatible store reads it.
    pub text: Arc<str>,
    /// When.
    pub when: When,
}

/// Instants, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// One.
    At(i64),
    /// `start_ms`, `start_ms + step_ms`, … up to `end_ms`.
    Range {
        /// The first.
        start_ms: i64,
        /// The last at most.
        end_ms: i64,
        /// From one to the next; above zero.
        step_ms: i64,
    },
}

/// What a store said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value; of a range a matrix.
    pub value: Value,
    /// Why parts are missing, where the store says that some are.
    pub partial: Option<String>,
}

/// What a store said to the questions of one rule; errors are texts for people, free of secrets.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    known: BTreeMap<Question, Result<Arc<Answer>, Arc<str>>>,
    /// How long it took to get them.
    pub took: Duration,
}

impl Answers {
    /// Keeps what was said to a question.
    pub fn insert(&mut self, question: Question, said: Result<Arc<Answer>, Arc<str>>) {
        self.known.insert(question, said);
    }

    /// What was said to a question; `None` where it was not asked.
    pub fn get(&self, question: &Question) -> Option<&Result<Arc<Answer>, Arc<str>>> {
        self.known.get(question)
    }

    /// The value of a query at an instant, from the answer to that or from one to a range around it.
    pub fn at(&self, text: &Arc<str>, at_ms: i64) -> Option<Result<Value, Arc<str>>> {
        let exact = Question { text: Arc::clone(text), when: When::At(at_ms) };
        if let Some(said) = self.known.get(&exact) {
            return Some(said.as_ref().map(|answer| answer.value.clone()).map_err(Arc::clone));
        }
        let around = self.known.iter().find(|(question, _)| question.text == *text && question.when.has(at_ms))?;
        Some(around.1.as_ref().map(|answer| column(&answer.value, at_ms)).map_err(Arc::clone))
    }

    /// The answer to a range.
    pub fn range(&self, question: &Question) -> Option<Result<Vec<SeriesPoints>, Arc<str>>> {
        let series = |answer: &Arc<Answer>| match &answer.value {
            Value::Matrix(series) => series.clone(),
            _ => Vec::new(),
        };
        Some(self.known.get(question)?.as_ref().map(series).map_err(Arc::clone))
    }
}

impl When {
    /// Whether an instant is among those of a range.
    fn has(self, at_ms: i64) -> bool {
        match self {
            Self::At(_) => false,
            Self::Range { start_ms, end_ms, step_ms } => {
                (start_ms..=end_ms).contains(&at_ms) && (at_ms - start_ms) % step_ms.max(1) == 0
            }
        }
    }
}

/// The points of a matrix at one instant.
fn column(value: &Value, at_ms: i64) -> Value {
    let Value::Matrix(all) = value else { return Value::Vector(Vec::new()) };
    let number = |points: &[Point]| points.binary_search_by_key(&at_ms, |p| p.t_ms).ok().map(|i| points[i].value);
    let histogram = |points: &[HistogramPoint]| {
        points.binary_search_by_key(&at_ms, |p| p.t_ms).ok().map(|i| Arc::clone(&points[i].histogram))
    };
    let samples = all.iter().filter_map(|series| {
        let histogram = histogram(&series.histograms);
        let value = histogram.as_ref().map(|_| f64::NAN).or_else(|| number(&series.points))?;
        Some(VectorSample { labels: series.labels.clone(), t_ms: at_ms, value, histogram })
    });
    Value::Vector(samples.collect())
}

/// A query of a rule in the notation that every compatible store reads: dotted names quoted.
pub fn for_stores(text: &str) -> Arc<str> {
    match parse(text, &ParseOptions { dotted_names: true }) {
        Ok(expr) => format!("{expr:#}").into(),
        // The store says what is wrong with it.
        Err(_) => text.into(),
    }
}

/// As [`for_stores`], for a query of which each series depends on the one series of the store with its labels: asked for
/// series that may have the `wanted` labels, so that a few new ones do not cost the history of all. Where there are too
/// many of them, it is asked for all.
pub fn for_stores_of(text: &str, wanted: &BTreeSet<Labels>) -> Arc<str> {
    let Ok(mut expr) = parse(text, &ParseOptions { dotted_names: true }) else { return text.into() };
    let names: Vec<&str> = wanted.iter().flat_map(|labels| labels.iter()).map(|(name, _)| name).collect();
    let in_all = |name: &&str| wanted.iter().all(|labels| labels.get(name).is_some());
    let names: BTreeSet<&str> = names.into_iter().filter(in_all).collect();
    if let Some(selector) = only_selector(&mut expr).filter(|_| wanted.len() <= NARROWED_MAX) {
        for name in names {
            let values: BTreeSet<String> = wanted.iter().filter_map(|l| l.get(name)).map(regex::escape).collect();
            let values: Vec<String> = values.into_iter().collect();
            selector.matchers.extend(Matcher::new(name, MatchOp::Regex, values.join("|")).ok());
        }
    }
    format!("{expr:#}").into()
}

/// The selector of an expression that is one, or a function of its window.
fn only_selector(expr: &mut Expr) -> Option<&mut Selector> {
    match &mut expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => Some(selector),
        ExprKind::Paren(inner) => only_selector(inner),
        ExprKind::Call(call) => call.args.iter_mut().find_map(only_selector),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_written_as_stores_of_every_version_read_them() {
        for (written, sent) in [
            ("up == 0", "up == 0"),
            ("llm.latency_ms{agent=~\"dev.*\"} > 3", r#"{__name__="llm.latency_ms", agent=~"dev.*"} > 3"#),
            (r#"sum by (a) (-rate({"a.b"}[5m]))"#, r#"sum by (a) (- rate({__name__="a.b"}[5m]))"#),
            (
                r#"max_over_time((a.b / c.d)[1h:5m]) > bool 2"#,
                r#"max_over_time(({__name__="a.b"} / {__name__="c.d"})[1h:5m]) > bool 2"#,
            ),
            (r#"{"a b", c="d"} @ 5 offset 1m"#, r#"{__name__="a b", c="d"} @ 5 offset 1m"#),
        ] {
            let got = for_stores(written);
            assert_eq!(&*got, sent);
            assert_eq!(for_stores(&got), got, "reads back");
        }
    }

    #[test]
    fn the_history_of_new_series_is_asked_for_them_alone() {
        let labels = |host: &str| Labels::from_pairs([("host", host), ("job", "a")]);
        for (text, hosts, sent) in [
            ("cpu", vec!["a.b"], r#"cpu{host=~"a\\.b", job=~"a"}"#),
            (
                "avg_over_time(sys.cpu{job=\"a\"}[5m])",
                vec!["x", "y"],
                r#"avg_over_time({__name__="sys.cpu", job="a", host=~"x|y", job=~"a"}[5m])"#,
            ),
            ("cpu", vec![], "cpu"),
        ] {
            let wanted = hosts.into_iter().map(labels).collect();
            assert_eq!(&*for_stores_of(text, &wanted), sent);
        }
        let many = (0..NARROWED_MAX + 1).map(|i| labels(&i.to_string())).collect();
        assert_eq!(&*for_stores_of("cpu", &many), "cpu");
    }

    #[test]
    fn a_range_answers_for_its_instants_and_for_no_other() {
        let labels = Labels::from_pairs([("a", "b")]);
        let points = vec![Point { t_ms: 10, value: 1.0 }, Point { t_ms: 30, value: 3.0 }];
        let mut answers = Answers::default();
        let text: Arc<str> = "x".into();
        let when = When::Range { start_ms: 10, end_ms: 35, step_ms: 10 };
        let answer = Answer {
            value: Value::Matrix(vec![SeriesPoints { labels, points, ..SeriesPoints::default() }]),
            partial: None,
        };
        answers.insert(Question { text: text.clone(), when }, Ok(Arc::new(answer)));
        let at = |ms| match answers.at(&text, ms) {
            Some(Ok(Value::Vector(samples))) => Some(samples.first().map(|s| s.value)),
            _ => None,
        };
        assert_eq!([at(10), at(20), at(30)], [Some(Some(1.0)), Some(None), Some(Some(3.0))]);
        assert_eq!([at(0), at(15), at(40)], [None, None, None]);
    }
}
