//! From rows to what was so at an instant: the state of one alert, and what each handler knew of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{AlertStory, HandlerStory, Knew, OnItsWay, Step, Stood, words};
use crate::model::{Labels, Severity, Timestamp};
use crate::persist::{HistoryKind, NewHistory};
use crate::route::AlertKey;

/// A row of the history, read.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub number: u64,
    pub at: Timestamp,
    pub kind: HistoryKind,
    pub reason: String,
    pub handler: Option<String>,
    pub notice: Option<String>,
    pub alert: Option<AlertKey>,
    pub severity: Option<Severity>,
    pub labels: Labels,
    pub detail: Value,
}

impl Event {
    pub fn of(number: u64, row: NewHistory) -> Self {
        let detail = row.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        // The row of what was held stands at the time of what happened, which may be long before its group was looked at.
        let at = detail.get("held_at").and_then(time).unwrap_or(row.at);
        Self {
            number,
            at,
            kind: row.kind,
            reason: row.reason.unwrap_or_default(),
            handler: row.handler,
            notice: row.notice_id,
            alert: row.fingerprint.map(|fingerprint| AlertKey { rule_uid: Arc::from(row.rule_uid), fingerprint }),
            severity: row.severity,
            labels: row.labels,
            detail,
        }
    }

    /// A text of its details; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.detail.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number of its details.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.detail.get(key).and_then(Value::as_f64)
    }

    /// A time of its details.
    pub fn time(&self, key: &str) -> Option<Timestamp> {
        time(self.detail.get(key)?)
    }

    /// A list of its details.
    pub fn list(&self, key: &str) -> &[Value] {
        self.detail.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// When the message it tells of was decided on.
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.time("decided_at")
    }
}

/// The texts of a list in a value.
pub(super) fn texts<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    serde_json::from_value(value.clone()).ok()
}

/// What is known of one handler.
#[derive(Debug, Default)]
struct Known {
    told: Option<Event>,
    /// The last it was told is that the alert fires.
    firing: bool,
    held: Option<Event>,
    /// The group it waits for: until when and by which timer.
    waits: Option<(Option<Timestamp>, String)>,
    /// What became last of a message that it does not have: it failed, was given up, removed, or tried again.
    fate: Option<Event>,
}

/// One alert while its rows are walked.
struct Walk {
    state: Stood,
    since: Option<Timestamp>,
    /// Where the episode begins, an index into the rows.
    begins: usize,
    last: Option<Event>,
    handlers: BTreeMap<String, Known>,
    /// Notices that were given up or removed, and not taken up again.
    over: BTreeSet<String>,
}

/// The story of an alert; none where nothing is known of it by then.
pub(super) fn story(alert: &AlertKey, events: &[Event], on_its_way: &[OnItsWay], at: Timestamp) -> Option<AlertStory> {
    let by_then = events.partition_point(|event| event.at <= at);
    let first = events.first().filter(|_| by_then > 0)?;
    let mut walk = Walk {
        state: Stood::Inactive,
        since: None,
        begins: 0,
        last: None,
        handlers: BTreeMap::new(),
        over: BTreeSet::new(),
    };
    for (place, event) in events[..by_then].iter().enumerate() {
        walk.take(place, event);
    }
    let later = &events[by_then..];
    let of_alert: Vec<&OnItsWay> =
        on_its_way.iter().filter(|way| way.alert == *alert && way.decided_at <= at).collect();
    for way in &of_alert {
        walk.handlers.entry(way.handler.clone()).or_default();
    }
    let handlers: Vec<HandlerStory> =
        walk.handlers.iter().map(|(name, known)| handler(name, known, (&walk, later), &of_alert)).collect();
    let steps: Vec<Step> = events[walk.begins..].iter().map(words::step).collect();
    let latest = walk.last.as_ref().unwrap_or(first);
    Some(AlertStory {
        labels: latest.labels.clone(),
        fingerprint: alert.fingerprint,
        severity: latest.severity,
        state: walk.state,
        since: walk.since,
        answer: words::answer(walk.state, walk.since, walk.last.as_ref(), &handlers),
        handlers,
        steps,
    })
}

impl Walk {
    fn take(&mut self, place: usize, event: &Event) {
        match event.kind {
            HistoryKind::Transition => self.transition(place, event),
            HistoryKind::Held => self.held(event),
            HistoryKind::Sent => {
                let over = event.text("transition") == "resolved";
                if let Some(known) = self.of(event) {
                    // Its news is told; what of it waited does so no more.
                    *known = Known { told: Some(event.clone()), firing: !over, ..Known::default() };
                }
            }
            HistoryKind::Failed | HistoryKind::Dead | HistoryKind::Dropped | HistoryKind::Retried => {
                if let Some(notice) = &event.notice {
                    match event.kind {
                        HistoryKind::Dead | HistoryKind::Dropped => _ = self.over.insert(notice.clone()),
                        _ => _ = self.over.remove(notice),
                    }
                }
                if let Some(known) = self.of(event) {
                    (known.fate, known.waits) = (Some(event.clone()), None);
                }
            }
            _ => {}
        }
    }

    fn of(&mut self, event: &Event) -> Option<&mut Known> {
        event.handler.as_ref().map(|name| self.handlers.entry(name.clone()).or_default())
    }

    fn transition(&mut self, place: usize, event: &Event) {
        let next = match event.reason.as_str() {
            "pending" => Stood::Pending,
            "fired" | "raised" | "lowered" => Stood::Firing,
            "resolved" | "cancelled" => Stood::Inactive,
            _ => self.state,
        };
        if self.state == Stood::Inactive && next != Stood::Inactive {
            self.begins = place;
            // What became of an earlier episode is no answer to a question about this one.
            for known in self.handlers.values_mut() {
                (known.held, known.fate) = (None, None);
            }
        }
        if self.state != next {
            self.since = Some(event.at);
        }
        (self.state, self.last) = (next, Some(event.clone()));
        for way in event.list("routes") {
            for name in texts(way, "handlers") {
                let known = self.handlers.entry(name.to_owned()).or_default();
                known.held = None;
                known.waits = None;
            }
            for name in texts(way, "waiting") {
                let by = way.get("by").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.handlers.entry(name.to_owned()).or_default().waits = Some((way.get("until").and_then(time), by));
            }
        }
    }

    fn held(&mut self, event: &Event) {
        // One that is told with a later notice goes on its way with that.
        if !event.text("told_with").is_empty() {
            return;
        }
        if let Some(known) = self.of(event) {
            known.waits = None;
            known.held = Some(event.clone());
        }
    }
}

fn handler(name: &str, known: &Known, (walk, later): (&Walk, &[Event]), on_its_way: &[&OnItsWay]) -> HandlerStory {
    let mut story = HandlerStory {
        handler: name.to_owned(),
        knew: Knew::Nothing,
        reason: None,
        until: None,
        notice: None,
        words: String::new(),
    };
    // What was given up or removed by then was not on its way, though somebody had it tried again later.
    let state = walk.state;
    let is_over = |notice: Option<&str>| notice.is_some_and(|notice| walk.over.contains(notice));
    let mut ends = later.iter().filter(|event| {
        event.handler.as_deref() == Some(name)
            && !matches!(event.kind, HistoryKind::Held | HistoryKind::Retried)
            && !is_over(event.notice.as_deref())
    });
    // How it ended, else how it was tried.
    let ends = ends.clone().find(|event| event.kind != HistoryKind::Failed).or_else(|| ends.next());
    let way = on_its_way.iter().find(|way| way.handler == name && !is_over(Some(&way.notice)));
    if known.firing
        && let Some(told) = &known.told
    {
        (story.knew, story.notice) = (Knew::Firing, told.notice.clone());
        story.words = words::told(told, state, known.held.as_ref());
    } else if let Some(end) = ends {
        (story.knew, story.notice) = (Knew::OnItsWay, end.notice.clone());
        story.words = words::ended_later(end);
    } else if let Some(way) = way {
        (story.knew, story.notice, story.reason) = (Knew::OnItsWay, Some(way.notice.clone()), way.error.clone());
        story.words = words::on_its_way(way);
    } else if let Some(fate) = &known.fate {
        story.knew = match fate.kind {
            HistoryKind::Dead => Knew::GivenUp,
            HistoryKind::Dropped => Knew::Removed,
            _ => Knew::OnItsWay,
        };
        (story.notice, story.reason) = (fate.notice.clone(), Some(fate.reason.clone()));
        story.words = words::fate(fate);
    } else if let Some(held) = &known.held {
        (story.knew, story.until, story.reason) = (Knew::Held, held.time("until"), Some(held.reason.clone()));
        story.words = words::held(held);
    } else if let Some((until, by)) = &known.waits {
        (story.knew, story.until, story.reason) = (Knew::Waiting, *until, Some(by.clone()));
        story.words = words::waits(*until, by);
    } else if let Some(told) = &known.told {
        story.notice.clone_from(&told.notice);
        story.words = words::told(told, state, None);
    } else {
        story.words = "nothing was to be told".to_owned();
    }
    story
}
