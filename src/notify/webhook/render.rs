//! Makes the body of a request, within the receiver's limits. A template that fails never costs the message: its error is
//! noted in the default text, which goes out instead.

use minijinja::Value;
use serde_json::json;

use super::values::Values;
use crate::config::preset::{Preset, Recipe, built_in};
use crate::config::{WebhookConfig, Wording};
use crate::model::Notice;
use crate::notify::message::Message;
use crate::notify::wording::{self, Occasion};
use crate::template::payload::{PAYLOAD_BYTES_MAX, Payload};

/// Most alerts that are written out in one body; the rest is counted.
pub const ALERTS_MAX: usize = 10_000;

/// Which request of a message is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one that tells what fires.
    Firing,
    /// The one that tells that it is over.
    Resolved,
    /// The one that tells that somebody looks after it.
    Acknowledged,
}

/// A body with its type.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// The text.
    pub text: String,
    /// Its content type.
    pub content_type: String,
    /// What went wrong on the way, if the default text is sent instead of what was asked for.
    pub note: Option<String>,
}

/// What bodies are made from.
pub struct Render<'a> {
    /// The handler's settings.
    pub config: &'a WebhookConfig,
    /// Its preset.
    pub preset: &'a Preset,
    /// The notice.
    pub notice: &'a Notice,
    /// How people reach the server.
    pub external_url: &'a str,
    /// Secrets and parameters.
    pub values: &'a Values,
}

/// A template with what its output must be.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    template: &'a Payload,
    json: bool,
    /// Whether the output is written anew as compact JSON.
    compact: bool,
    alerts_max: usize,
}

impl Render<'_> {
    /// The body of a request; never fails.
    pub fn body(&self, part: Part) -> Body {
        if let Some(wording) = &self.config.wording {
            return self.worded(wording, part);
        }
        let Some(own) = &self.config.payload else { return self.preset_body(self.preset, part, None) };
        let content_type = &self.config.content_type;
        let json = content_type.contains("json");
        let wanted = Wanted { template: own, json, compact: false, alerts_max: self.alerts_max(0) };
        match self.fitting(wanted, "") {
            Ok(text) => Body { text, content_type: content_type.clone(), note: None },
            Err(error) => {
                let note = format!("the handler's own body failed: {error}");
                if json && self.preset.content_type.contains("json") {
                    return self.preset_body(self.preset, part, Some(note));
                }
                self.plain(content_type, note)
            }
        }
    }

    /// The body in the words of a receiver of an `alertmanager.yml`.
    fn worded(&self, wording: &Wording, part: Part) -> Body {
        let occasion = Occasion {
            notice: self.notice,
            external_url: self.external_url,
            fires: part == Part::Firing,
            parameter: &|key| self.values.parameter(key),
        };
        let (text, note) = wording::body(wording, &occasion, self.bytes_max());
        Body { text, content_type: "application/json".to_owned(), note }
    }

    /// A path or a header.
    pub fn line(&self, template: &Payload) -> Result<String, String> {
        let context = self.values.context(&self.message(1), false);
        template.render(&context).map_err(|error| error.message)
    }

    fn preset_body(&self, preset: &Preset, part: Part, note: Option<String>) -> Body {
        let recipe = recipe(preset, part);
        let json = preset.content_type.contains("json");
        let wanted =
            Wanted { template: &recipe.body, json, compact: json, alerts_max: self.alerts_max(preset.limits.alerts) };
        match self.fitting(wanted, note.as_deref().unwrap_or_default()) {
            Ok(text) => Body { text, content_type: preset.content_type.clone(), note },
            Err(error) => {
                let note = note.unwrap_or_else(|| format!("the preset `{}` failed: {error}", preset.name));
                match built_in(&preset.name).filter(|own| recipe_source(own, part) != recipe.body.source()) {
                    Some(own) => self.preset_body(&own, part, Some(note)),
                    None => self.plain(&preset.content_type, note),
                }
            }
        }
    }

    /// The last resort: the text, in JSON where JSON is expected.
    fn plain(&self, content_type: &str, note: String) -> Body {
        let message = self.message(self.alerts_max(0)).with_note(&note);
        let text = match content_type.contains("json") {
            true => json!({"status": message.status, "text": message.text, "note": message.note}).to_string(),
            false => message.text,
        };
        Body { text, content_type: content_type.to_owned(), note: Some(note) }
    }

    /// Renders with ever fewer alerts until the receiver takes it.
    fn fitting(&self, wanted: Wanted<'_>, note: &str) -> Result<String, String> {
        let says_it_shorter = wanted.template.reads().contains("too_large");
        let (mut shown, mut too_large) = (wanted.alerts_max, false);
        let limit = self.bytes_max();
        loop {
            let mut message = self.message(shown);
            if !note.is_empty() {
                message = message.with_note(note);
            }
            let listed = message.alerts.len();
            let context = self.values.context(&message, too_large);
            let text = match one(wanted, &context) {
                Ok(text) if text.len() <= limit => return Ok(text),
                Ok(_) => format!("its output is longer than {limit} bytes"),
                Err(error) if error.contains("longer than") => error,
                Err(error) => return Err(error),
            };
            if says_it_shorter && !too_large {
                too_large = true;
            } else if listed > 1 {
                shown = listed / 2;
            } else {
                return Err(text);
            }
        }
    }

    fn message(&self, alerts_max: usize) -> Message {
        Message::new(self.notice, self.external_url, alerts_max)
    }

    /// Longest body that the receiver takes.
    fn bytes_max(&self) -> usize {
        if self.preset.limits.bytes == 0 { PAYLOAD_BYTES_MAX } else { self.preset.limits.bytes }
    }

    fn alerts_max(&self, of_preset: usize) -> usize {
        let limits = [self.config.max_alerts, of_preset, ALERTS_MAX];
        limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(ALERTS_MAX)
    }
}

fn one(wanted: Wanted<'_>, context: &Value) -> Result<String, String> {
    let text = wanted.template.render(context).map_err(|error| error.message)?;
    if !wanted.json {
        return Ok(text);
    }
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("its output is no JSON: {error}"))?;
    Ok(if wanted.compact { json.to_string() } else { text })
}

/// The request of a preset that tells a part.
pub fn recipe(preset: &Preset, part: Part) -> &Recipe {
    let own = match part {
        Part::Firing => None,
        Part::Resolved => preset.resolved.as_ref(),
        Part::Acknowledged => preset.acknowledged.as_ref(),
    };
    own.unwrap_or(&preset.request)
}

fn recipe_source(preset: &Preset, part: Part) -> &str {
    recipe(preset, part).body.source()
}
