//! What makes two rules one, whatever they are called and however they are written.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::subject::Pair;
use super::walk::walk;
use crate::model::{EscalationStep, Severity};
use crate::promql::ExprKind;
use crate::rule::{Condition, OnMissing, Query, Rule};
use crate::yaml::Node;

/// What two rules have in common that are one: what they ask and where, how that is judged, and who is told.
#[derive(PartialEq, Eq)]
pub struct Same<'a> {
    /// A number that rules which are the same have in common, and few others.
    pub hash: u64,
    records: bool,
    queries: Vec<Written<'a>>,
    /// How values of a signal are judged; empty where the query is the condition.
    judged: String,
    source: Option<&'a str>,
    /// Names and texts, sorted.
    labels: Vec<(&'a str, &'a str)>,
    /// `for` may tell two stages of one alert apart.
    hold: Duration,
    severity: Severity,
    on_no_data: Option<OnMissing>,
    /// The lists under `notify`, `active` and `mute`.
    told: [Vec<&'a str>; 3],
    escalate: Option<&'a [EscalationStep]>,
}

impl<'a> Same<'a> {
    /// Of a rule with its labels, and of the lists that `get` gives from what stands under a key.
    pub fn of(rule: &'a Rule, labels: &[Pair<'a>], get: impl Fn(&str) -> Option<&'a Node>) -> Self {
        let mut labels: Vec<_> = labels.iter().filter_map(|l| Some((l.key.text()?, l.value.text()?))).collect();
        labels.sort_unstable();
        let (queries, judged) = asked(&rule.condition);
        let names = |key| get(key).and_then(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect();
        let mut same = Self {
            hash: 0,
            records: matches!(rule.condition, Condition::Record { .. }),
            queries,
            judged,
            source: rule.source.as_deref(),
            labels,
            hold: rule.hold,
            severity: rule.severity,
            on_no_data: rule.on_no_data,
            told: ["notify", "active", "mute"].map(names),
            escalate: rule.escalate.as_deref(),
        };
        let mut hasher = DefaultHasher::new();
        (same.records, &same.queries, &same.judged, same.source, &same.labels).hash(&mut hasher);
        (same.hold, same.severity, same.on_no_data, &same.told).hash(&mut hasher);
        same.hash = hasher.finish();
        same
    }
}

/// The queries of a condition, and how their values are judged.
fn asked(condition: &Condition) -> (Vec<Written<'_>>, String) {
    match condition {
        Condition::PromQl { query, recover, .. } => {
            ([Some(query), recover.as_ref()].into_iter().flatten().map(Written).collect(), String::new())
        }
        Condition::Record { query } => (vec![Written(query)], String::new()),
        Condition::Threshold { signal, levels } => (vec![Written(signal)], format!("{levels:?}")),
        Condition::Anomaly { signal, detector } => (vec![Written(signal)], format!("{detector:?}")),
        Condition::Expression { queries, when, recover_when, value } => {
            let names: Vec<&str> = queries.iter().map(|(name, _)| &**name).collect();
            let texts = [Some(when), recover_when.as_ref(), value.as_ref()].map(|e| e.map(|e| &*e.text));
            (queries.iter().map(|(_, query)| Written(query)).collect(), format!("{names:?} {texts:?}"))
        }
    }
}

/// A query that equals another whatever blanks and line breaks they are written with.
struct Written<'a>(&'a Query);

impl PartialEq for Written<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0.expr, &other.0.expr) {
            (Some(a), Some(b)) => a == b,
            _ => self.0.text == other.0.text,
        }
    }
}

impl Eq for Written<'_> {}

impl Hash for Written<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Some(expr) = &self.0.expr else { return self.0.text.hash(state) };
        // What tells most queries apart; equality looks at all of them.
        walk(expr, &mut |expr, _| match &expr.kind {
            ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => {
                selector.matchers.iter().for_each(|matcher| (&matcher.name, &matcher.value).hash(state));
            }
            ExprKind::Number(number) if !number.0.is_nan() => number.0.to_bits().hash(state),
            ExprKind::Aggregate(aggregate) => (aggregate.op.as_str(), &aggregate.grouping.labels).hash(state),
            ExprKind::Call(call) => call.function.name.hash(state),
            ExprKind::Binary(binary) => binary.op.as_str().hash(state),
            _ => {}
        });
    }
}
