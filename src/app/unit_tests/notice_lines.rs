//! What is said of messages that did not come as expected: what was, what came, and all that happened until then.

use std::sync::Arc;
use std::time::Duration;

use super::notices::Received;
use super::{diff, run};
use crate::model::labels::{ALERT_NAME, quote};
use crate::model::visible::{shortened, visible};
use crate::model::{Timestamp, Transition, TransitionKind, format_duration};
use crate::persist::{HistoryKind, HistoryQuery, Persist};
use crate::rule::unit_test::{NoticeAlert, NoticeTest};

/// Most messages that are shown beside an expectation.
const RECEIVED_MAX: usize = 6;
/// Most alerts of a message that are shown.
const ALERTS_MAX: usize = 8;
/// Most lines of what happened.
const EVENTS_MAX: usize = 24;
/// Longest text of a message that is shown, in characters.
const TEXT_CHARS_MAX: usize = 240;

/// Something that happened, for people.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When, since the start.
    at: Duration,
    /// Of what happens at one instant the lesser comes first.
    rank: u8,
    /// What.
    line: String,
}

impl Event {
    /// An alert changed.
    pub fn changed(transition: &Transition, start: Timestamp) -> Self {
        let name = &transition.alert.rule;
        let labels = transition.alert.labels.filtered(|label| label != ALERT_NAME);
        let words = match transition.kind {
            TransitionKind::Resolved { reason } => format!("resolved ({})", reason.as_str()),
            kind => kind.as_str().replace('_', " "),
        };
        Self { at: transition.at.since(start), rank: 0, line: format!("{name} {labels} {words}") }
    }
}

/// All that happened, in order: changes of alerts, what was held and why, messages.
///
/// Silences have names here, not ids, of which every run has others.
pub(super) fn events(
    changes: Vec<Event>,
    received: &[Received],
    (kept, silences): (&dyn Persist, &[String]),
    start: Timestamp,
) -> Vec<Event> {
    let mut all = changes;
    let query = HistoryQuery { kinds: vec![HistoryKind::Held], ..HistoryQuery::default() };
    // Of a history that cannot be read nothing is shown: it is in memory.
    let held = kept.history(&query).map(|page| page.rows).unwrap_or_default();
    for row in held.iter().rev().map(|row| &row.event) {
        let labels = row.labels.filtered(|label| label != ALERT_NAME);
        let whom = row.handler.as_deref().map_or_else(String::new, |handler| format!(" to `{handler}`"));
        let detail: serde_json::Value =
            row.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let named = |by: &str| {
            let ids = silences.iter().enumerate();
            ids.fold(by.to_owned(), |by, (n, id)| by.replace(id.as_str(), &format!("silence {}", n + 1)))
        };
        let by = detail["by"].as_str().map_or_else(String::new, |by| format!(" ({})", named(by)));
        let at = detail["held_at"].as_str().and_then(Timestamp::parse).unwrap_or(row.at);
        let reason = row.reason.as_deref().unwrap_or_default();
        let line = format!("{} {labels} not told{whom}: {reason}{by}", row.rule);
        all.push(Event { at: at.since(start), rank: 1, line });
    }
    all.extend(received.iter().map(|one| Event { at: one.at, rank: 2, line: head(one, false) }));
    all.sort_by_key(|event| (event.at, event.rank));
    all
}

/// ``3m `oncall` receives firing (first notification), 2 alerts``
pub(super) fn head(one: &Received, with_time: bool) -> String {
    let at = if with_time { format!(" at {}", format_duration(one.at)) } else { String::new() };
    let notice = &one.notice;
    let alerts = match notice.transitions.len() {
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    };
    format!("`{}` receives {}{at} ({}), {alerts}", notice.handler, notice.kind.as_str(), notice.reason.as_str())
}

/// What is wrong, in a line.
pub(super) fn message(test: &NoticeTest, came: usize) -> String {
    let what = match (test.times, test.kind) {
        (0, None) => "nothing".to_owned(),
        (0, Some(kind)) => format!("no {}", kind.as_str()),
        (_, None) => "a message".to_owned(),
        (_, Some(kind)) => kind.as_str().to_owned(),
    };
    let more = match (test.times, came) {
        (0, 1) => "1 message came".to_owned(),
        (0, n) => format!("{n} messages came"),
        (1, 0) => "no message fits".to_owned(),
        (times, 0) => format!("no message fits, expected {times}"),
        (times, 1) => format!("1 message fits, expected {times}"),
        (times, n) => format!("{n} messages fit, expected {times}"),
    };
    format!("`{}` receives {what} {}: {more}", test.handler, test.when())
}

/// Expected, got, and what happened.
pub(super) fn detail(test: &NoticeTest, theirs: &[&Received], events: &[Event], diff: bool) -> Vec<String> {
    let expected = expected(test);
    let near = nearest(test, theirs);
    let shown = |one: &&Received| {
        let mut lines = received(one);
        let words = one.texts.iter().filter(|text| test.text.is_some() && text.contains(' '));
        lines.extend(words.map(|text| format!("  text {}", shortened(&visible(text), TEXT_CHARS_MAX))));
        lines
    };
    let mut got: Vec<String> = near.iter().flat_map(shown).collect();
    if theirs.len() > near.len() {
        got.push(format!("… and {} more messages", theirs.len() - near.len()));
    }
    let mut out = match diff {
        true => diff::lines(&expected, &got),
        false => {
            let mut out = run::listed("expected", std::iter::once(expected));
            out.extend(run::listed("got", std::iter::once(got)));
            out
        }
    };
    // What came too late says most of why it did not come in time.
    let late = theirs.iter().map(|one| one.at).filter(|at| *at > test.to).min();
    out.extend(happened(events, late.unwrap_or(test.to)));
    out
}

/// What a test looks for, in lines.
fn expected(test: &NoticeTest) -> Vec<String> {
    let mut head = match test.times {
        0 => "nothing".to_owned(),
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    };
    head.extend(test.kind.map(|kind| format!(" {}", kind.as_str())));
    head.push_str(&format!(" {}", test.when()));
    head.extend(test.reason.as_deref().map(|reason| format!(", reason {reason}")));
    head.extend(test.count.map(|count| format!(", alerts {count}")));
    let mut out = vec![head];
    out.extend(test.alerts.iter().map(alert));
    out.extend(test.text.as_deref().map(|text| format!("  text with {}", quote(text))));
    out
}

fn alert(want: &NoticeAlert) -> String {
    let braces = |pairs: &std::collections::BTreeMap<String, String>| {
        let one = |(name, value): (&String, &String)| format!("{name}={}", quote(value));
        format!("{{{}}}", pairs.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let state = want.fires.map_or("", |fires| if fires { "firing " } else { "resolved " });
    let mut line = format!("  {state}{}", braces(&want.labels));
    if !want.annotations.is_empty() {
        line.push_str(&format!(" annotations {}", braces(&want.annotations)));
    }
    line
}

/// A message, in lines.
pub(super) fn received(one: &Received) -> Vec<String> {
    let mut out = vec![format!("{} {}", format_duration(one.at), head(one, false))];
    let line = |t: &Arc<Transition>| {
        let state = if t.kind.is_end() { "resolved" } else { "firing" };
        format!("  {state} {}", t.alert.labels)
    };
    let alerts = &one.notice.transitions;
    out.extend(alerts.iter().take(ALERTS_MAX).map(line));
    if alerts.len() > ALERTS_MAX {
        out.push(format!("  … and {} more", alerts.len() - ALERTS_MAX));
    }
    out
}

/// The messages nearest to the time that a test looks at, in their order.
fn nearest<'r>(test: &NoticeTest, theirs: &[&'r Received]) -> Vec<&'r Received> {
    let away = |one: &Received| test.from.saturating_sub(one.at).max(one.at.saturating_sub(test.to));
    let mut near: Vec<&Received> = theirs.to_vec();
    near.sort_by_key(|one| away(one));
    near.truncate(RECEIVED_MAX);
    near.sort_by_key(|one| one.at);
    near
}

/// What happened up to an instant; the newest of it.
pub(super) fn happened(events: &[Event], to: Duration) -> Vec<String> {
    let until = events.partition_point(|event| event.at <= to);
    let from = until.saturating_sub(EVENTS_MAX);
    let line = |event: &Event| format!("{} {}", format_duration(event.at), event.line);
    let mut lines: Vec<String> = events[from..until].iter().map(line).collect();
    if from > 0 {
        lines.insert(0, format!("… {from} before that"));
    }
    run::listed("what happened", std::iter::once(lines))
}
