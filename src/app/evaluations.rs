//! How evaluations went, for the history: of each rule a row every ten minutes, and one when it begins or ceases to fail,
//! to be empty or to be complete.
//!
//! A row tells how often the rule was evaluated, what came nearest to its condition in that time, and the error. What an
//! alert that never fired lacked stands there and nowhere else. The cost is bounded: a row per rule and span, a few
//! series in each, and so many rows with a commit; where there are more rules, spans grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::engine::{NEAREST_MAX, Near, Report};
use crate::model::alert::{CANARY, float_text};
use crate::model::{Labels, Timestamp};
use crate::persist::{HistoryKind, NewHistory};
use crate::rule::{Condition, Rule};

/// How long a row tells of where nothing changes.
const SPAN: Duration = Duration::from_secs(600);
/// Most rows that are written with one commit; further ones wait.
const ROWS_MAX: usize = 50;
/// How long rows are kept.
pub const KEPT_FOR: Duration = Duration::from_secs(48 * 3600);
/// Most rows that wait to be written; above it the oldest are dropped and counted.
const WAITING_MAX: usize = 10_000;
/// Longest error that is kept, in bytes.
const ERROR_LEN_MAX: usize = 2000;

/// The evaluations since the last row of each rule.
#[derive(Debug, Default)]
pub struct Evaluations {
    spans: BTreeMap<Arc<str>, Span>,
    /// Rows that are to be written because something changed.
    ended: Vec<NewHistory>,
    /// Rows that were dropped since this was last asked.
    dropped: usize,
}

#[derive(Debug)]
struct Span {
    rule: Arc<str>,
    condition: Arc<str>,
    from: Timestamp,
    last: Timestamp,
    count: u64,
    result: &'static str,
    error: Option<String>,
    series: usize,
    /// The nearest, each series once, with when that was.
    nearest: Vec<(Near, Timestamp)>,
}

impl Evaluations {
    /// Takes an evaluation.
    pub fn take(&mut self, rule: &Rule, report: &Report, at: Timestamp) {
        if *report.uid == *CANARY || rule.is_recording() {
            return;
        }
        if let Some(span) = self.spans.get(&report.uid).filter(|span| span.result != report.result) {
            self.ended.push(span.row(&report.uid));
            self.spans.remove(&report.uid);
        }
        let span = self.spans.entry(report.uid.clone()).or_insert_with(|| Span {
            rule: rule.name.clone(),
            condition: condition(rule),
            from: at,
            last: at,
            count: 0,
            result: report.result,
            error: None,
            series: 0,
            nearest: Vec::new(),
        });
        (span.last, span.count, span.series) = (at, span.count + 1, report.series);
        if span.error.as_deref() != report.error.as_deref() {
            span.error.clone_from(&report.error);
        }
        report.nearest.iter().for_each(|near| span.note(near, at));
        if span.count == 1 && span.result != "ok" {
            // Told at once, so that it is known though the process dies.
            self.ended.push(span.row(&report.uid));
        }
        let over = self.ended.len().saturating_sub(WAITING_MAX);
        self.ended.drain(..over);
        self.dropped += over;
    }

    /// How many rows were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// Rows that are due.
    pub fn due(&mut self, now: Timestamp) -> Vec<NewHistory> {
        let mut rows = std::mem::take(&mut self.ended);
        if rows.len() > ROWS_MAX {
            self.ended = rows.split_off(ROWS_MAX);
        }
        let old = self.spans.iter().filter(|(_, span)| now.since(span.from) >= SPAN);
        let due: Vec<Arc<str>> = old.map(|(uid, _)| uid.clone()).take(ROWS_MAX - rows.len()).collect();
        rows.extend(due.iter().filter_map(|uid| Some(self.spans.remove(uid)?.row(uid))));
        rows
    }

    /// Rows of what is not written yet, of the rules of a name or uid: for whoever asks now.
    pub fn of(&self, rule: &str) -> Vec<NewHistory> {
        let open = self.spans.iter().filter(|(uid, span)| ***uid == *rule || *span.rule == *rule);
        let ended = self.ended.iter().filter(|row| row.rule_uid == rule || row.rule == rule).cloned();
        ended.chain(open.map(|(uid, span)| span.row(uid))).collect()
    }

    /// Everything that is not written yet: at the end of the process.
    pub fn close(&mut self) -> Vec<NewHistory> {
        let rows = self.spans.iter().map(|(uid, span)| span.row(uid));
        let rows = std::mem::take(&mut self.ended).into_iter().chain(rows).collect();
        self.spans.clear();
        rows
    }
}

impl Span {
    fn note(&mut self, near: &Near, at: Timestamp) {
        let found = self.nearest.iter_mut().find(|(known, _)| known.labels == near.labels);
        match found {
            Some((known, since)) if near.short < known.short || known.short.is_infinite() => {
                (*known, *since) = (near.clone(), at);
            }
            Some(_) => return,
            None => self.nearest.push((near.clone(), at)),
        }
        self.nearest.sort_by(|(a, _), (b, _)| a.short.total_cmp(&b.short));
        self.nearest.truncate(NEAREST_MAX);
    }

    fn row(&self, uid: &str) -> NewHistory {
        let near = |(near, at): &(Near, Timestamp)| {
            json!({
                "labels": near.labels, "value": float_text::text(near.value), "at": at, "holds": near.holds,
            })
        };
        let mut detail = json!({
            "from": self.from, "evaluations": self.count, "series": self.series, "condition": self.condition,
            "nearest": self.nearest.iter().map(near).collect::<Vec<_>>(),
        });
        if let Some(error) = &self.error {
            let cut = error.floor_char_boundary(ERROR_LEN_MAX);
            detail["error"] = error.get(..cut).unwrap_or_default().into();
        }
        NewHistory {
            rule_uid: uid.to_owned(),
            rule: self.rule.to_string(),
            reason: Some(self.result.to_owned()),
            detail: Some(detail.to_string()),
            labels: Labels::empty(),
            ..NewHistory::new(self.last, HistoryKind::Evaluated)
        }
    }
}

/// The condition in words.
fn condition(rule: &Rule) -> Arc<str> {
    match &rule.condition {
        Condition::Threshold { levels, .. } => {
            let all: Vec<String> = levels.iter().map(|level| level.threshold.to_string()).collect();
            Arc::from(all.join(" or "))
        }
        Condition::Expression { when, .. } => Arc::from(&*when.text),
        Condition::PromQl { query, .. } => query.text.clone(),
        Condition::Anomaly { .. } => Arc::from("an anomaly"),
        Condition::Record { query } => query.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::bench::Bench;

    #[test]
    fn a_row_tells_what_came_nearest_and_the_next_begins_when_the_result_changes() {
        let bench = Bench::new();
        let rule = bench.hub.core().engine.rules()[0].clone();
        let report = |result: &'static str, values: &[(&str, f64)]| {
            let near = |(host, value): &(&str, f64)| Near {
                labels: Labels::from_pairs([("host", *host)]),
                value: *value,
                holds: false,
                short: 5.0 - value,
            };
            let nearest = values.iter().map(near).collect();
            let error = (result == "error").then(|| "no".to_owned());
            Report { uid: rule.uid.clone(), result, error, series: values.len(), took: Duration::ZERO, nearest }
        };
        let mut kept = Evaluations::default();
        let at = |n: i64| Timestamp::from_secs(n * 15);
        kept.take(&rule, &report("ok", &[("a", 3.0), ("b", 1.0)]), at(0));
        kept.take(&rule, &report("ok", &[("a", 4.0), ("b", 0.0)]), at(1));
        kept.take(&rule, &report("ok", &[("a", 2.0)]), at(2));
        assert_eq!(kept.due(at(2)), vec![], "not yet");
        kept.take(&rule, &report("error", &[]), at(3));
        let rows = kept.due(at(3));
        assert_eq!(rows.iter().filter_map(|row| row.reason.as_deref()).collect::<Vec<_>>(), ["ok", "error"]);
        let detail: serde_json::Value = serde_json::from_str(rows[0].detail.as_deref().unwrap()).unwrap();
        assert_eq!((rows[0].at, rows[0].reason.as_deref()), (at(2), Some("ok")));
        assert_eq!((&detail["evaluations"], &detail["nearest"][0]["value"]), (&json!(3), &json!("4")));
        assert_eq!((&detail["nearest"][1]["value"], &detail["nearest"][0]["at"]), (&json!("1"), &json!(at(1))));
        assert_eq!(kept.of("high").len(), 1, "what is not written yet is there for whoever asks");
        assert_eq!(kept.due(at(3).plus(SPAN)).len(), 1);
        assert_eq!(kept.close(), vec![]);
    }
}
