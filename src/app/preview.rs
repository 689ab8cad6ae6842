//! What a silence hides now, and what it would have hidden in the last seven days.
//!
//! Place in the flow: HTTP asks before somebody makes a silence, and for the list of those that are there. The past is
//! read from the history, newest first and a bounded number of rows; where that does not reach back seven days the
//! answer says how far it does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::hub::Hub;
use crate::http::{Past, PastRule, Preview};
use crate::model::alert::RECEIVED;
use crate::model::{Alert, Fingerprint, LabelMatcher, Labels, MatchOp, Timestamp};
use crate::persist::{HistoryKind, HistoryPage, HistoryQuery, NewHistory, PersistError};
use crate::route::silence;

/// How far back is looked.
pub const PAST: Duration = Duration::from_secs(7 * 86_400);
/// Most rows of the history that are looked at for one preview.
pub const PREVIEW_ROWS_MAX: u64 = 300_000;
/// Rows asked for at once.
const PAGE_ROWS: usize = 5000;
/// Most alerts that are told apart; beyond it they are not counted.
const ALERTS_MAX: usize = 50_000;
/// Most rules that are named.
const RULES_NAMED_MAX: usize = 20;
/// Most comparisons of a silence with an alert for one list of silences.
pub const COMPARISONS_MAX: usize = 2_000_000;

type Sets = [Vec<LabelMatcher>];

/// The pending and firing alerts, each with its labels as it leaves: with the installation's.
pub fn leaving(hub: &Hub) -> Vec<(Alert, Labels)> {
    let core = hub.core();
    let leaves = |alert: Alert| {
        let labels = core.routes.leaving(&alert);
        (alert, labels)
    };
    super::views::active(&core).into_iter().map(leaves).collect()
}

/// What the sets of a silence cover now and would have covered.
pub fn preview(hub: &Hub, sets: &Sets) -> Result<Preview, PersistError> {
    let alerts = leaving(hub).into_iter().filter(|(_, labels)| silence::covers(sets, labels)).map(|(alert, _)| alert);
    Ok(Preview { alerts: alerts.collect(), past: past(hub, sets)? })
}

fn past(hub: &Hub, sets: &Sets) -> Result<Past, PersistError> {
    let from = hub.clock.now().minus(PAST);
    let outer = hub.core().routes.external_labels.clone();
    let mut found = Found::default();
    let mut query = HistoryQuery {
        from: Some(from),
        rule: rule_of(sets),
        kinds: vec![HistoryKind::Transition, HistoryKind::Sent],
        limit: PAGE_ROWS,
        ..HistoryQuery::default()
    };
    let mut scanned = 0;
    loop {
        let HistoryPage { rows, next, scanned: looked_at, .. } = hub.keeper.persist().history(&query)?;
        scanned += looked_at;
        let oldest = next.map(|cursor| cursor.at);
        for event in rows.into_iter().map(|row| row.event) {
            let labels = match event.rule_uid == RECEIVED {
                true => event.labels.clone(),
                false => Labels::from_pairs(outer.iter().chain(event.labels.iter())),
            };
            if silence::covers(sets, &labels) {
                found.take(&event);
            }
        }
        match (next, oldest) {
            (Some(_), Some(oldest)) if scanned >= PREVIEW_ROWS_MAX => return Ok(found.past(oldest, false)),
            (Some(_), _) => query.before = next,
            _ => return Ok(found.past(from, true)),
        }
    }
}

/// The rule that all sets name, so that the history of others is not read.
fn rule_of(sets: &Sets) -> Option<String> {
    let named = |set: &Vec<LabelMatcher>| {
        let mut equal = set.iter().filter(|m| m.name == crate::model::labels::ALERT_NAME && m.op == MatchOp::Equal);
        equal.next().map(|matcher| matcher.value.clone())
    };
    let first = named(sets.first()?)?;
    sets.iter().all(|set| named(set).as_ref() == Some(&first)).then_some(first)
}

#[derive(Default)]
struct Found {
    alerts: BTreeSet<Fingerprint>,
    episodes: u64,
    notices: BTreeSet<String>,
    rules: BTreeMap<String, u64>,
}

impl Found {
    fn take(&mut self, event: &NewHistory) {
        let told = |kind: &str| event.detail.as_deref().is_some_and(|detail| detail.contains(kind));
        match event.kind {
            HistoryKind::Transition if event.reason.as_deref() == Some("fired") => {
                self.episodes += 1;
                if self.alerts.len() < ALERTS_MAX {
                    self.alerts.extend(event.fingerprint);
                    *self.rules.entry(event.rule.clone()).or_default() += 1;
                }
            }
            // The end of what was told is told under a silence as well.
            HistoryKind::Sent if !told("\"transition\":\"resolved\"") && self.notices.len() < ALERTS_MAX => {
                self.notices.extend(event.notice_id.clone());
            }
            _ => {}
        }
    }

    fn past(self, from: Timestamp, complete: bool) -> Past {
        let mut rules: Vec<PastRule> =
            self.rules.into_iter().map(|(name, episodes)| PastRule { name, episodes }).collect();
        rules.sort_by(|a, b| (b.episodes, &a.name).cmp(&(a.episodes, &b.name)));
        rules.truncate(RULES_NAMED_MAX);
        let (alerts, notices) = (self.alerts.len() as u64, self.notices.len() as u64);
        Past { from, alerts, episodes: self.episodes, notices, complete, rules }
    }
}
