//! The story in words. Times are whole, so that an answer can be searched for in logs.

use std::time::Duration;

use serde_json::Value;

use super::fold::{Event, texts, time};
use super::{HandlerStory, Knew, OnItsWay, Question, Step, Stood};
use crate::model::{LabelMatcher, Labels, Timestamp, format_duration};
use crate::persist::HistoryKind;

fn span(seconds: f64) -> String {
    format_duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

/// How a rule was evaluated for a while, and what that means for the labels that are asked about.
pub(super) fn evaluated(event: &Event, question: &Question) -> Step {
    Step { at: event.at, kind: event.kind.as_str(), words: verdict(event, question) }
}

fn verdict(event: &Event, question: &Question) -> String {
    let count = event.number("evaluations").unwrap_or(0.0);
    let times = if count == 1.0 { "once".to_owned() } else { format!("{count} times") };
    let from = event.time("from").unwrap_or(event.at);
    let when = if from == event.at { format!("at {from}") } else { format!("from {from} to {}", event.at) };
    let condition = event.text("condition");
    match event.reason.as_str() {
        "error" => format!("{when} the rule could not be evaluated ({times}): {}", event.text("error")),
        "empty" => format!("{when} there was no data: the rule was evaluated {times} and its query gave no series"),
        _ => {
            let series = event.number("series").unwrap_or(0.0);
            let fits = |near: &&Value| fits(&question.matchers, near);
            let nearest = event.list("nearest");
            let found = nearest.iter().find(fits);
            let told = match (found, nearest.first()) {
                (Some(near), _) => format!("{} (`{condition}`)", near_words(near)),
                (None, Some(near)) if series > nearest.len() as f64 => format!(
                    "with {series} series; the one that is asked about was not among the {} nearest to `{condition}`, of which the first {}",
                    nearest.len(),
                    near_words(near)
                ),
                (None, Some(near)) => {
                    format!("and no series with these labels was there; {} (`{condition}`)", near_words(near))
                }
                (None, None) => format!("and `{condition}` held for no series"),
            };
            let partial = if event.reason == "partial" { "in part " } else { "" };
            format!("{when} the rule was evaluated {partial}{times}: {told}")
        }
    }
}

fn labels_of(near: &Value) -> Labels {
    near.get("labels").and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_else(Labels::empty)
}

fn fits(matchers: &[LabelMatcher], near: &Value) -> bool {
    let labels = labels_of(near);
    // What the rule adds (its own labels, the severity) no series has.
    let known = matchers.iter().filter(|matcher| labels.get(&matcher.name).is_some());
    known.clone().count() > 0 && known.clone().all(|matcher| matcher.matches(&labels))
        || (matchers.is_empty() && !labels.is_empty())
        || labels.is_empty()
}

fn near_words(near: &Value) -> String {
    let value = near.get("value").and_then(Value::as_str).unwrap_or_default();
    let at = near.get("at").and_then(time).map(|at| format!(" at {at}")).unwrap_or_default();
    let holds = near.get("holds").and_then(Value::as_bool).unwrap_or_default();
    let came = if holds { "reached it with" } else { "came nearest with" };
    format!("{} {came} {value}{at}", labels_of(near))
}

/// The answer where no alert of these labels is known; `cut` where not all rows were looked at.
pub(super) fn no_alert(question: &Question, last: Option<&Event>, cut: bool) -> String {
    match (last, cut) {
        (Some(event), false) => format!("no such alert was pending or fired by then: {}", verdict(event, question)),
        (Some(event), true) => format!(
            "there are more rows than can be looked at, and no such alert in those that were: whether one was pending or \
             fired is not known; {}",
            verdict(event, question)
        ),
        (None, false) => format!("the history knows no evaluation and no alert of {:?} by then", question.rule),
        (None, true) => format!(
            "there are more rows about {:?} than can be looked at, and no evaluation and no such alert in those that were",
            question.rule
        ),
    }
}

/// One step of the story.
pub(super) fn step(event: &Event) -> Step {
    let handler = event.handler.as_deref().unwrap_or("nobody");
    let words = match event.kind {
        HistoryKind::Transition => transition(event),
        HistoryKind::Held if !event.text("told_with").is_empty() => {
            format!("{handler}: told with the later notice {}", event.text("told_with"))
        }
        HistoryKind::Held if event.handler.is_none() => {
            format!("{} is not told: {}", event.text("transition"), event.reason)
        }
        HistoryKind::Held => format!("{handler}: {}", held(event)),
        HistoryKind::Sent => format!("{handler}: {} ({}){}", sent(event), event.text("because"), notice(event)),
        HistoryKind::Failed | HistoryKind::Dead | HistoryKind::Dropped | HistoryKind::Retried => {
            format!("{handler}: {}{}", fate(event), notice(event))
        }
        _ => format!("{handler}: {}", event.reason),
    };
    Step { at: event.at, kind: event.kind.as_str(), words }
}

fn notice(event: &Event) -> String {
    event.notice.as_ref().map(|id| format!(", notice {id}")).unwrap_or_default()
}

/// What was measured; none of alerts that others report.
fn measured(event: &Event) -> Option<String> {
    let condition = Some(event.text("condition")).filter(|condition| !condition.is_empty())?;
    Some(format!("value {}, condition `{condition}`", event.text("value")))
}

fn in_brackets(words: Option<String>) -> String {
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}

fn transition(event: &Event) -> String {
    let value = in_brackets(measured(event));
    let mut words = match event.reason.as_str() {
        "pending" => match event.number("for_seconds") {
            Some(hold) => format!("the condition began to hold{value}; it fires when that lasts for {}", span(hold)),
            None => format!("the condition began to hold{value}"),
        },
        "cancelled" => format!("the condition ceased to hold before `for` was over{value}"),
        "fired" => format!("it fired{value}"),
        "raised" => format!("it got worse than {}{value}", event.text("from")),
        "lowered" => format!("it got less bad than {}{value}", event.text("from")),
        "resolved" => format!("it was over: {}{value}", event.text("why")),
        "no_data" => "its signal was missing; the state is held".to_owned(),
        "data_back" => "its signal was back".to_owned(),
        other => format!("{other}{value}"),
    };
    if event.reason == "fired" {
        if !event.text("recover").is_empty() {
            words.push_str(&format!("; it is over only when `{}` holds", event.text("recover")));
        }
        if let Some(keep) = event.number("keep_firing_seconds") {
            words.push_str(&format!("; it goes on firing for {} after the condition ceased", span(keep)));
        }
    }
    if !event.text("flapping").is_empty() {
        words.push_str(&format!("; {}", event.text("flapping")));
    }
    for way in event.list("routes") {
        words.push_str(&route(way));
    }
    words
}

fn names(way: &Value, key: &str) -> String {
    texts(way, key).collect::<Vec<_>>().join(", ")
}

fn route(way: &Value) -> String {
    let group = way.get("group").and_then(Value::as_str).unwrap_or_default();
    let mut words = format!("; goes to {} in the group {group}", names(way, "handlers"));
    for step in way.get("escalates").and_then(Value::as_array).into_iter().flatten() {
        let handler = step.get("handler").and_then(Value::as_str).unwrap_or_default();
        let after = step.get("after_seconds").and_then(Value::as_f64).unwrap_or_default();
        words.push_str(&format!(", after {} to {handler} where nobody acknowledges it", span(after)));
    }
    let until = way.get("until").and_then(time);
    if let Some(until) = until {
        let by = way.get("by").and_then(Value::as_str).unwrap_or_default();
        words.push_str(&format!(", which waits until {until} ({by}) to tell {}", names(way, "waiting")));
    }
    words
}

/// What a handler was told.
fn sent(event: &Event) -> String {
    let what = if event.text("transition") == "resolved" { "told that it is over" } else { "told that it fires" };
    let mut words = format!("{what}, answer {:?}", event.text("answer"));
    if let Some(attempt) = event.number("attempt").filter(|attempt| *attempt > 1.0) {
        words.push_str(&format!(", attempt {attempt}"));
    }
    words
}

/// What a handler knew.
pub(super) fn told(event: &Event, state: Stood, held: Option<&Event>) -> String {
    let mut words = format!("{} at {}", sent(event), event.at);
    if event.text("transition") != "resolved" {
        match state {
            Stood::Firing => words.push_str("; the same is not told again before repeat_interval is over"),
            Stood::Inactive | Stood::Pending => words.push_str("; that it is over was yet to be told"),
        }
    }
    if let Some(held) = held {
        words.push_str(&format!("; further news: {}", self::held(held)));
    }
    words
}

/// Why something was held.
pub(super) fn held(event: &Event) -> String {
    let mut words = format!("not told: {}", event.reason);
    if !event.text("by").is_empty() {
        words.push_str(&format!(" by {}", event.text("by")));
    }
    if let Some(until) = event.time("until") {
        words.push_str(&format!(", until {until}"));
    }
    words
}

pub(super) fn waits(until: Option<Timestamp>, by: &str) -> String {
    match until {
        Some(until) => format!("its group waits until {until} ({by})"),
        None => format!("its group waits ({by})"),
    }
}

/// What became of a message that was not taken.
pub(super) fn fate(event: &Event) -> String {
    match event.kind {
        HistoryKind::Dead => given_up(event),
        HistoryKind::Dropped | HistoryKind::Retried => format!("{} at {}", event.reason, event.at),
        _ => failed(event),
    }
}

fn failed(event: &Event) -> String {
    let attempt = event.number("attempt").unwrap_or(1.0);
    format!("attempt {attempt} failed, {}; it is tried again", event.reason)
}

fn given_up(event: &Event) -> String {
    let instead = match event.text("fallback") {
        "" => String::new(),
        fallback => format!("; {fallback} was told instead"),
    };
    format!("given up at {}: {}{instead}", event.at, event.reason)
}

/// A message that was on its way, by how that ended.
pub(super) fn ended_later(event: &Event) -> String {
    let decided = event.decided_at().map(|at| format!("decided on at {at}, ")).unwrap_or_default();
    let end = match event.kind {
        HistoryKind::Sent => format!("{} at {}", sent(event), event.at),
        _ => fate(event),
    };
    format!("{decided}{end}")
}

pub(super) fn on_its_way(way: &OnItsWay) -> String {
    let error = way.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
    match way.attempts {
        0 => format!("decided on at {} and not delivered yet{error}", way.decided_at),
        n => format!("decided on at {} and not delivered yet: attempt {n} failed{error}", way.decided_at),
    }
}

/// The answer in a sentence.
pub(super) fn answer(
    state: Stood,
    since: Option<Timestamp>,
    last: Option<&Event>,
    handlers: &[HandlerStory],
) -> String {
    let since = since.map(|at| format!(" since {at}")).unwrap_or_default();
    let value = in_brackets(last.and_then(measured));
    match state {
        Stood::Inactive => format!("it did not fire{since}{value}"),
        Stood::Pending => {
            let hold = last.and_then(|event| Some((event.at, event.number("for_seconds")?)));
            let fires = hold.map(|(at, hold)| {
                let due = at.plus(Duration::try_from_secs_f64(hold).unwrap_or_default());
                format!("; it fires at {due} if its condition holds until then")
            });
            format!("it was pending{since}{value}{}", fires.unwrap_or_default())
        }
        Stood::Firing => {
            let told: Vec<&str> =
                handlers.iter().filter(|h| h.knew == Knew::Firing).map(|h| h.handler.as_str()).collect();
            let told = match told.is_empty() {
                true => "nobody was told".to_owned(),
                false => format!("told to {}", told.join(", ")),
            };
            format!("it fired{since}{value}; {told}")
        }
    }
}
