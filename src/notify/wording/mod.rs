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
use crate::config::alertmanager::{Longest, Part, Text, Wording};
use crate::model::Notice;
use crate::model::visible::escaped_html;
use crate::template::{Dot, Manner, Notification, json_of};
use data::data;

/// Ends a text that was cut, as in Alertmanager.
const CUT: char = '…';
/// Longest plain text of a message that would be too long even with one alert.
const BRIEF_CHARS_MAX: usize = 1000;
/// Longest other text of such a message; a longer one is left empty.
const BRIEF_BYTES_MAX: usize = 500;

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

impl Occasion<'_> {
    fn message(&self, alerts_max: usize) -> Message {
        Message::new(self.notice, self.external_url, alerts_max)
    }
}

/// A body as JSON of at most so many bytes, and what went wrong on the way.
pub fn body(wording: &Wording, occasion: &Occasion<'_>, bytes_max: usize) -> (String, Option<String>) {
    let message = occasion.message(usize::MAX);
    let part = if occasion.fires { &wording.firing } else { wording.resolved.as_ref().unwrap_or(&wording.firing) };
    let all = occasion.notice.transitions.len();
    let mut shown = if wording.alerts_max == 0 { all } else { wording.alerts_max.min(all) };
    loop {
        let mut teller = Teller::new(&wording.receiver, occasion, &message, shown);
        let text = teller.part(part).to_string();
        if shown > 1 && (teller.too_long || text.len() > bytes_max) {
            shown /= 2;
            continue;
        }
        if text.len() <= bytes_max {
            return (text, teller.failed);
        }
        teller.brief = Some(format!("the message was longer than {bytes_max} bytes"));
        let text = teller.part(part).to_string();
        return (text, teller.failed.or(teller.brief));
    }
}

/// Renders the parts of one message.
struct Teller<'a> {
    occasion: &'a Occasion<'a>,
    message: &'a Message,
    /// Most alerts that are told.
    shown: usize,
    data: Notification,
    dot: Dot,
    /// Alerts that are left out.
    truncated: usize,
    /// The first template that failed, and why.
    failed: Option<String>,
    /// Whether something had more to say than it may.
    too_long: bool,
    /// Why only what must be said is said, if so.
    brief: Option<String>,
}

impl<'a> Teller<'a> {
    fn new(receiver: &str, occasion: &'a Occasion<'a>, message: &'a Message, shown: usize) -> Self {
        let (data, truncated) = data(occasion, message, receiver, shown);
        let dot = data.dot();
        Self { occasion, message, shown, data, dot, truncated, failed: None, too_long: false, brief: None }
    }

    fn part(&mut self, part: &Part) -> Json {
        match part {
            Part::Text(text) => self.text(text).into(),
            Part::Typed(text) => typed(self.text(text)),
            Part::Json(value) => value.clone(),
            Part::Object(fields) => Json::Object(self.fields(Map::new(), fields)),
            Part::Tree(fields) => fields.iter().map(|(name, part)| (self.text(name), self.part(part))).collect(),
            Part::List(items) => Json::Array(self.items(items)),
            Part::Optional(inner) | Part::With(_, inner) => self.part(inner),
            Part::Items(text) => split(&self.text(text)).map(Json::from).collect(),
            Part::Teams(text) => split(&self.text(text)).map(team).collect(),
            Part::ByStatus(firing, resolved) => self.part(if self.occasion.fires { firing } else { resolved }),
            Part::Group => self.message.group_hash.as_str().into(),
            Part::CommonLabels(fields) => {
                let labels = self.data.common_labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
                let labels: Map<String, Json> = labels.filter(|_| self.brief.is_none()).collect();
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
        let mut body: Json = serde_json::from_str(&json_of(&self.dot)).unwrap_or_else(|_| {
            // It does not fit.
            (self.too_long, self.truncated) = (true, self.occasion.notice.transitions.len());
            json!({"status": self.data.status, "alerts": []})
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

    /// A text, or what stands in its place.
    fn text(&mut self, text: &Text) -> String {
        if let (Some(why), true) = (&self.brief, text.tells) {
            return self.plain(text.manner, text.longest.min(BRIEF_CHARS_MAX), why);
        }
        match self.render(text) {
            Ok(out) if self.brief.is_some() && out.len() > BRIEF_BYTES_MAX => String::new(),
            Ok(out) => out,
            Err(why) if text.tells => self.plain(text.manner, text.longest, &why),
            Err(_) => String::new(),
        }
    }

    /// What a text gives; where it fails, the error is noted.
    fn render(&mut self, text: &Text) -> Result<String, String> {
        let rendered = text.template.notification(&self.dot, text.manner, self.occasion.notice.at);
        let failed = match rendered.map_err(|error| (error.exhausted, error.message)) {
            Ok(out) if !text.one_of.is_empty() && !text.one_of.contains(&out.as_str()) => {
                return Ok(text.one_of.first().copied().unwrap_or_default().to_owned());
            }
            // A page cannot be cut anywhere.
            Ok(out) if text.manner == Manner::Html && cut_at(&out, text.longest).is_some() => {
                (true, format!("its text is longer than {}", text.longest))
            }
            Ok(out) => return Ok(unless_blank(shortened(&out, text.longest), text.if_blank)),
            Err(failed) => failed,
        };
        let (exhausted, message) = failed;
        self.too_long |= exhausted;
        let note = format!("a template of the receiver failed: {message}");
        self.failed.get_or_insert_with(|| note.clone());
        Err(note)
    }

    /// What stands in the place of a text that tells what happened.
    fn plain(&self, manner: Manner, longest: Longest, why: &str) -> String {
        let plain = self.occasion.message(self.shown).with_note(why).text;
        match (manner, longest) {
            (Manner::Text, _) => shortened(&plain, longest),
            // Cut before it is escaped, so that no reference is cut; a character becomes at most six.
            (Manner::Html, Longest::Any) => escaped_html(&plain),
            (Manner::Html, Longest::Chars(max)) => escaped_html(&shortened(&plain, Longest::Chars(max / 6))),
            (Manner::Html, Longest::Bytes(max)) => escaped_html(&shortened(&plain, Longest::Bytes(max / 6))),
        }
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

/// Where a text must be cut, with room for the mark; none where it fits.
fn cut_at(text: &str, longest: Longest) -> Option<usize> {
    match longest {
        Longest::Any => None,
        Longest::Chars(max) => {
            text.char_indices().nth(max)?;
            text.char_indices().nth(max.saturating_sub(1)).map(|(at, _)| at)
        }
        Longest::Bytes(max) if text.len() <= max => None,
        Longest::Bytes(max) => Some(text.floor_char_boundary(max.saturating_sub(CUT.len_utf8()))),
    }
}

fn shortened(text: &str, longest: Longest) -> String {
    match cut_at(text, longest) {
        None => text.to_owned(),
        Some(at) => format!("{}{CUT}", text.split_at(at).0),
    }
}

/// Without the blanks around it, where there are words for a text of blanks.
fn unless_blank(text: String, words: Option<&str>) -> String {
    match (words, text.trim()) {
        (None, _) => text,
        (Some(words), "") => words.to_owned(),
        (Some(_), trimmed) => trimmed.to_owned(),
    }
}
