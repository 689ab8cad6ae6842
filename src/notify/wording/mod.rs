//! Messages as the receivers of an `alertmanager.yml` word them: their templates, rendered for a notice.
//!
//! Place in the flow: webhooks and mail ask for a body or a letter in the place of their own. A template that fails never
//! costs the message: a plain text stands where it would tell what happened, with a note of what went wrong, and the
//! form of the message stays.

mod data;
mod letter;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json, json};

pub use letter::{Written, write};

use super::message::Message;
use crate::config::alertmanager::{Part, Text, Wording};
use crate::model::{Notice, Timestamp};
use crate::template::payload::PAYLOAD_BYTES_MAX;
use crate::template::{Manner, Notification, json_of};
use data::data;

/// Ends a text that was cut, as in Alertmanager.
const CUT: char = '…';

/// What a body is made for.
pub struct Occasion<'a> {
    /// The notice.
    pub notice: &'a Notice,
    /// How people reach the server.
    pub external_url: &'a str,
    /// Whether it tells that something fires; else that all is over.
    pub fires: bool,
    /// The handler's secrets and parameters by name.
    pub parameter: &'a dyn Fn(&str) -> String,
}

/// A body as JSON, and what went wrong on the way.
pub fn body(wording: &Wording, occasion: &Occasion<'_>) -> (String, Option<String>) {
    let bytes_max = if wording.bytes_max == 0 { PAYLOAD_BYTES_MAX } else { wording.bytes_max };
    let all = occasion.notice.transitions.len();
    let mut shown = if wording.alerts_max == 0 { all } else { wording.alerts_max.min(all) };
    loop {
        let mut teller = Teller::new(&wording.receiver, occasion, shown);
        let part = if occasion.fires { &wording.firing } else { wording.resolved.as_ref().unwrap_or(&wording.firing) };
        let text = teller.part(part).to_string();
        let too_long = text.len() > bytes_max || teller.too_long;
        if too_long && shown > 1 {
            shown /= 2;
            continue;
        }
        return (text, teller.failed);
    }
}

/// Renders the parts of one message.
struct Teller<'a> {
    occasion: &'a Occasion<'a>,
    data: Notification,
    truncated: usize,
    message: Message,
    now: Timestamp,
    /// The first template that failed, and why.
    failed: Option<String>,
    /// Whether something had more to say than it may.
    too_long: bool,
}

impl<'a> Teller<'a> {
    fn new(receiver: &str, occasion: &'a Occasion<'a>, alerts_max: usize) -> Self {
        let message = Message::new(occasion.notice, occasion.external_url, usize::MAX);
        let (data, truncated) = data(occasion, &message, receiver, alerts_max);
        Self { occasion, data, truncated, message, now: occasion.notice.at, failed: None, too_long: false }
    }

    fn part(&mut self, part: &Part) -> Json {
        match part {
            Part::Text(text) => self.text(text).into(),
            Part::Typed(text) => typed(self.text(text)),
            Part::Word(word) => word.as_str().into(),
            Part::Flag(flag) => (*flag).into(),
            Part::Number(number) => (*number).into(),
            Part::Null => Json::Null,
            Part::Object(fields) => Json::Object(self.fields(Map::new(), fields)),
            Part::List(items) => Json::Array(self.items(items)),
            Part::Optional(inner) | Part::With(_, inner) => self.part(inner),
            Part::Items(text) => split(&self.text(text)).map(Json::from).collect(),
            Part::Teams(text) => split(&self.text(text)).map(team).collect(),
            Part::ByStatus(firing, resolved) => self.part(if self.occasion.fires { firing } else { resolved }),
            Part::Group => self.message.group_hash.as_str().into(),
            Part::CommonLabels(fields) => {
                let labels = self.data.common_labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
                let labels: Map<String, Json> = labels.collect();
                Json::Object(self.fields(labels, fields))
            }
            Part::Message => self.whole(),
            Part::Parameter(name) => (self.occasion.parameter)(name).into(),
        }
    }

    fn fields(&mut self, mut object: Map<String, Json>, fields: &[(String, Part)]) -> Map<String, Json> {
        for (name, part) in fields {
            let value = self.part(part);
            if !(matches!(part, Part::Optional(_)) && is_empty(&value)) {
                object.insert(name.clone(), value);
            }
        }
        object
    }

    fn items(&mut self, items: &[Part]) -> Vec<Json> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            match (item, self.part(item)) {
                (Part::Teams(_), Json::Array(teams)) => list.extend(teams),
                (Part::With(field, _), value) if value.get(field).is_none_or(is_empty) => {}
                (_, value) => list.push(value),
            }
        }
        list
    }

    /// The body of Alertmanager's webhooks, version 4.
    fn whole(&mut self) -> Json {
        let mut body: Json = serde_json::from_str(&json_of(&self.data)).unwrap_or_else(|_| {
            // It does not fit.
            self.too_long = true;
            json!({"status": self.data.status})
        });
        if let Some(fields) = body.as_object_mut() {
            fields.insert("version".to_owned(), "4".into());
            fields.insert("groupKey".to_owned(), (*self.message.group_key).into());
            fields.insert("truncatedAlerts".to_owned(), self.truncated.into());
            let labels: Map<String, Json> =
                self.message.route_labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            fields.insert("routeLabels".to_owned(), labels.into());
        }
        body
    }

    fn text(&mut self, text: &Text) -> String {
        let fits = |out: &str| text.chars_max == 0 || out.chars().count() <= text.chars_max;
        match text.template.notification(&self.data, text.manner, self.now) {
            Ok(out) if !text.one_of.is_empty() && !text.one_of.contains(&out.as_str()) => {
                text.one_of.first().copied().unwrap_or_default().to_owned()
            }
            Ok(out) if fits(&out) => out,
            // A page cannot be cut anywhere.
            Ok(out) if text.manner == Manner::Text => shortened(&out, text.chars_max),
            Ok(_) => {
                self.too_long = true;
                self.instead(text, &format!("its text is longer than {} characters", text.chars_max))
            }
            Err(error) => {
                self.too_long |= error.message.contains("longer than") || error.message.contains("steps");
                self.instead(text, &error.message)
            }
        }
    }

    /// What stands in the place of a template that failed.
    fn instead(&mut self, text: &Text, why: &str) -> String {
        let note = format!("a template of the receiver failed: {why}");
        let plain = || self.message.clone().with_note(&note).text;
        let out = match (text.tells, text.manner) {
            (false, _) => String::new(),
            (true, Manner::Text) if text.chars_max > 0 => shortened(&plain(), text.chars_max),
            (true, Manner::Text) => plain(),
            (true, Manner::Html) => escaped(&plain(), text.chars_max),
        };
        self.failed.get_or_insert(note);
        out
    }
}

/// The value that a text is in YAML.
fn typed(text: String) -> Json {
    match serde_yaml::from_str::<serde_yaml::Value>(&text) {
        Ok(serde_yaml::Value::String(_)) | Err(_) => text.into(),
        Ok(value) => serde_json::to_value(value).unwrap_or(Json::String(text)),
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.trim().split(',').filter(|item| !item.is_empty())
}

fn team(name: &str) -> Json {
    json!({"name": name, "type": "team"})
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::Number(number) => number.as_i64() == Some(0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
    }
}

fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain([CUT]).collect(),
    }
}

/// A text as HTML, cut before it is escaped so that no reference is cut.
fn escaped(text: &str, chars_max: usize) -> String {
    // A character becomes at most six.
    let cut = if chars_max == 0 { text.to_owned() } else { shortened(text, chars_max / 6) };
    cut.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
}
