//! Why an alert was told, or was not: the story of one instant, from the value to the answers of receivers.
//!
//! Place in the flow: the API of a running daemon and `alertd why` ask; what is read are rows of the history and of the
//! outbox alone, so that the answer is the same after a restart and where no daemon runs. Nothing is worked out anew:
//! every reason was put down by whoever decided.

mod fold;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use self::fold::Event;
use super::keeper::{Keeper, Row};
use crate::model::labels::ALERT_NAME;
use crate::model::{Fingerprint, LabelMatcher, Labels, MatchOp, MatcherError, Severity, Timestamp};
use crate::persist::{self, Cursor, HistoryKind, HistoryQuery, LabelMatch, NewHistory, OutboxQuery, OutboxState};
use crate::route::AlertKey;

/// Most rows that are read for one answer, before and after the instant each.
const ROWS_MAX: usize = 5_000;
/// Most alerts that one answer tells of.
const ALERTS_MAX: usize = 20;
/// How long after the instant answers of receivers are looked for.
const LATER: Duration = Duration::from_secs(24 * 3600);
/// How old the last evaluation may be that is told.
const EARLIER: Duration = Duration::from_secs(24 * 3600);
/// Most rows about evaluations that are read.
const EVALUATIONS_MAX: usize = 50;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum WhyError {
    /// It names no rule.
    #[error("{0:?} names no alert; write its rule and labels, such as HighCPU{{host=\"a\"}}")]
    NoName(String),
    /// Its labels are none.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// A regular expression that cannot be used.
    #[error(transparent)]
    Match(#[from] persist::MatchError),
    /// The history or the outbox cannot be read.
    #[error("{0}")]
    Store(String),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Name or uid of the rule.
    pub rule: String,
    /// The alert's labels.
    pub matchers: Vec<LabelMatcher>,
    /// The instant.
    pub at: Timestamp,
}

impl Question {
    /// From `HighCPU{host="a"}`, or a list of matchers one of which names the alert.
    pub fn parse(text: &str, at: Timestamp) -> Result<Self, WhyError> {
        let text = text.trim();
        let (name, labels) = text.find('{').map_or((text, ""), |open| text.split_at(open));
        let mut matchers = if labels.is_empty() { Vec::new() } else { LabelMatcher::parse_all(labels)? };
        let mut rule = name.trim().to_owned();
        if rule.is_empty() {
            let named = |m: &LabelMatcher| m.name == ALERT_NAME && m.op == MatchOp::Equal;
            let at = matchers.iter().position(named).ok_or_else(|| WhyError::NoName(text.to_owned()))?;
            rule = matchers.remove(at).value;
        }
        Ok(Self { rule, matchers, at })
    }
}

/// How an alert stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stood {
    /// Its condition did not hold, or it was over.
    Inactive,
    /// `for` was counting.
    Pending,
    /// It fired.
    Firing,
}

/// What a handler knew of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Knew {
    /// That it fires.
    Firing,
    /// That it is over, or nothing, and there was nothing to tell.
    Nothing,
    /// Something kept it from being told.
    Held,
    /// Its group waited.
    Waiting,
    /// A message was on its way.
    OnItsWay,
    /// A message was given up.
    GivenUp,
    /// Somebody removed a message undelivered.
    Removed,
}

/// One handler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HandlerStory {
    /// Its name.
    pub handler: String,
    /// What it knew.
    pub knew: Knew,
    /// Why it was not told, in the words of the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when that held, where it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The message that it was told by, or that was on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// All of it in a sentence.
    pub words: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What, by the kind of its row.
    pub kind: &'static str,
    /// In words.
    pub words: String,
}

/// One alert at the instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertStory {
    /// Its labels.
    pub labels: Labels,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// How bad it was.
    pub severity: Option<Severity>,
    /// How it stood.
    pub state: Stood,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The answer in a sentence.
    pub answer: String,
    /// Every handler that had to do with it.
    pub handlers: Vec<HandlerStory>,
    /// What happened, from the beginning of the episode.
    pub steps: Vec<Step>,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// The rule that was asked about.
    pub rule: String,
    /// The instant.
    pub at: Timestamp,
    /// The alerts that fit, those that fired first.
    pub alerts: Vec<AlertStory>,
    /// How many more fit.
    pub more_alerts: usize,
    /// How the evaluations went until then.
    pub evaluations: Vec<Step>,
    /// The answer in a sentence where no alert fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether there are more rows, before or in the day after, than were read.
    pub cut: bool,
}

/// A message that is not over yet.
pub(super) struct OnItsWay {
    pub handler: String,
    pub notice: String,
    pub alert: AlertKey,
    pub decided_at: Timestamp,
    pub attempts: u32,
    pub error: Option<String>,
}

/// Tells the story. `live` are rows of evaluations that are not written yet.
pub fn tell(keeper: &Keeper, live: Vec<NewHistory>, question: &Question) -> Result<Story, WhyError> {
    let (rows, cut) = rows(keeper, question)?;
    let mut by_alert: BTreeMap<AlertKey, Vec<Event>> = BTreeMap::new();
    for event in rows {
        if let Some(alert) = event.alert.clone() {
            by_alert.entry(alert).or_default().push(event);
        }
    }
    let on_its_way = on_its_way(keeper, &by_alert)?;
    let mut alerts: Vec<AlertStory> =
        by_alert.iter().filter_map(|(of, events)| fold::story(of, events, &on_its_way, question.at)).collect();
    alerts.sort_by_key(|alert| (alert.state == Stood::Inactive, alert.state == Stood::Pending));
    let more_alerts = alerts.len().saturating_sub(ALERTS_MAX);
    alerts.truncate(ALERTS_MAX);
    let evaluated = evaluated(keeper, live, question)?;
    let evaluations: Vec<Step> = evaluated.iter().map(|event| words::evaluated(event, question)).collect();
    let answer = alerts.is_empty().then(|| words::no_alert(question, evaluated.last(), cut));
    let rule = question.rule.clone();
    Ok(Story { rule, at: question.at, alerts, more_alerts, evaluations, answer, cut })
}

fn store(error: impl std::fmt::Display) -> WhyError {
    WhyError::Store(error.to_string())
}

/// The first rows of an instant and after it, up to another: what is far away is left out where there are many.
fn first(from: Timestamp, to: Timestamp, base: &HistoryQuery) -> HistoryQuery {
    let just_before = Cursor { at: Timestamp(from.0.saturating_sub(1)), number: 0 };
    HistoryQuery { from: Some(from), to: Some(to), after: Some(just_before), ..base.clone() }
}

/// The rows about the alerts, in their order; and whether there are more.
fn rows(keeper: &Keeper, question: &Question) -> Result<(Vec<Event>, bool), WhyError> {
    let matchers: Result<Vec<LabelMatch>, _> = question.matchers.iter().map(LabelMatch::of).collect();
    let just_behind = Timestamp(question.at.0.saturating_add(1));
    let base = HistoryQuery {
        rule: Some(question.rule.clone()),
        matchers: matchers?,
        kinds: vec![
            HistoryKind::Transition,
            HistoryKind::Held,
            HistoryKind::Sent,
            HistoryKind::Failed,
            HistoryKind::Dead,
            HistoryKind::Retried,
            HistoryKind::Dropped,
        ],
        limit: ROWS_MAX,
        ..HistoryQuery::default()
    };
    let before = keeper.persist().history(&HistoryQuery { to: Some(just_behind), ..base.clone() }).map_err(store)?;
    let later = first(just_behind, question.at.plus(LATER), &base);
    let later = keeper.persist().history(&later).map_err(store)?;
    let cut = [&before, &later].into_iter().any(|page| page.cut || page.next.is_some());
    let mut rows: Vec<Event> = before.rows.into_iter().map(|row| Event::of(row.number, row.event)).collect();
    // What was decided by then and came to an end afterwards belongs to the answer.
    let ends = later.rows.into_iter().map(|row| Event::of(row.number, row.event));
    rows.extend(ends.filter(|event| event.decided_at().is_some_and(|decided| decided <= question.at)));
    rows.sort_by_key(|event| (event.at, event.number));
    Ok((rows, cut))
}

/// The evaluations that tell of the instant: those that reach over it, else the last before it.
fn evaluated(keeper: &Keeper, live: Vec<NewHistory>, question: &Question) -> Result<Vec<Event>, WhyError> {
    let base = HistoryQuery {
        rule: Some(question.rule.clone()),
        kinds: vec![HistoryKind::Evaluated],
        limit: EVALUATIONS_MAX,
        ..HistoryQuery::default()
    };
    // A row stands at its end.
    let reaching = first(question.at, question.at.plus(EARLIER), &base);
    let before = HistoryQuery { from: Some(question.at.minus(EARLIER)), to: Some(question.at), ..base };
    let mut events: Vec<Event> = live.into_iter().map(|event| Event::of(u64::MAX, event)).collect();
    for query in [before, reaching] {
        let page = keeper.persist().history(&query).map_err(store)?;
        events.extend(page.rows.into_iter().map(|row| Event::of(row.number, row.event)));
    }
    events.retain(|event| event.time("from").is_some_and(|from| from <= question.at));
    events.sort_by_key(|event| (event.at, event.number));
    let reaching = events.iter().position(|event| event.at >= question.at).unwrap_or(events.len().saturating_sub(1));
    let first = reaching.saturating_sub(1).max(events.len().saturating_sub(EVALUATIONS_MAX));
    Ok(events.split_off(first.min(events.len())))
}

/// Messages that are not over yet, by the alerts that are news in them.
fn on_its_way(keeper: &Keeper, alerts: &BTreeMap<AlertKey, Vec<Event>>) -> Result<Vec<OnItsWay>, WhyError> {
    let mut found = Vec::new();
    if alerts.is_empty() {
        return Ok(found);
    }
    // Notices are texts in which fingerprints stand as they are: those about other alerts need not be read.
    let fingerprints: BTreeSet<String> = alerts.keys().map(|alert| alert.fingerprint.to_string()).collect();
    let query = OutboxQuery { state: Some(OutboxState::Pending), ..OutboxQuery::default() };
    for page in keeper.pages(query) {
        let rows = page.map_err(WhyError::Store)?.into_iter();
        let rows = rows.filter(|row| fingerprints.iter().any(|fingerprint| row.payload.contains(fingerprint)));
        for Row { stored, entry } in rows.map(Row::of) {
            let Some(entry) = entry else { continue };
            let news = entry.notice.transitions.iter().filter(|t| entry.notice.is_news(t));
            let news = news.map(|t| AlertKey::of(&t.alert)).filter(|alert| alerts.contains_key(alert));
            found.extend(news.map(|alert| OnItsWay {
                handler: entry.notice.handler.to_string(),
                notice: entry.notice.id.clone(),
                alert,
                decided_at: entry.notice.at,
                attempts: stored.attempts,
                error: stored.last_error.clone(),
            }));
        }
    }
    Ok(found)
}

/// The history of a data directory that no process holds.
pub fn keeper_at(dir: &std::path::Path, now: Timestamp) -> Result<Arc<Keeper>, persist::OpenError> {
    let metrics = super::own_metrics::OwnMetrics::new(Arc::new(crate::telemetry::Registry::new()));
    let options = persist::Options { ballast_bytes: 0, ..persist::Options::default() };
    Keeper::open(dir, &options, metrics, now).map(|(keeper, _)| keeper)
}
