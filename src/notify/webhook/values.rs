//! The secrets and parameters of one attempt, read when they are needed; for previews, placeholders that read nothing.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::config::preset::NEEDS;
use crate::config::{SecretText, WebhookConfig};
use crate::net::{REDACTED, Scrub};
use crate::notify::Secrets;
use crate::notify::message::Message;

/// What templates read besides the message.
#[derive(Default)]
pub struct Values {
    params: BTreeMap<String, String>,
    named: BTreeMap<&'static str, String>,
    secrets: Scrub,
}

impl Values {
    /// Reads them; the error names the reference that cannot be read.
    pub fn read(config: &WebhookConfig, secrets: &Secrets) -> Result<Self, String> {
        let mut values = Self::default();
        for key in NEEDS.iter().filter(|key| **key != "url") {
            if let Some(text) = config.parameter(key) {
                let value = values.one(text, secrets, is_secret(config, key))?;
                values.named.insert(key, value);
            }
        }
        for (name, text) in &config.params {
            let value = values.one(text, secrets, is_secret(config, &format!("params.{name}")))?;
            values.params.insert(name.clone(), value);
        }
        Ok(values)
    }

    /// Reads one more text; `secret`: even without a reference.
    pub fn one(&mut self, text: &SecretText, secrets: &Secrets, secret: bool) -> Result<String, String> {
        let value = secrets.read(text)?.expose().to_owned();
        if secret || text.references().next().is_some() {
            self.secrets.keep(&value);
        }
        Ok(value)
    }

    /// Placeholders where a secret would stand; opens nothing.
    pub fn preview(config: &WebhookConfig) -> Self {
        let shown = |key: &str, text: &SecretText| match text.resolve(|_| Err(())) {
            Ok(value) if !is_secret(config, key) => value,
            _ => REDACTED.to_owned(),
        };
        let named = NEEDS.iter().filter_map(|key| Some((*key, shown(key, config.parameter(key)?)))).collect();
        let params = config.params.iter().map(|(n, t)| (n.clone(), shown(&format!("params.{n}"), t))).collect();
        Self { params, named, secrets: Scrub::default() }
    }

    /// One of them: a key, or `params.NAME`.
    pub fn parameter(&self, key: &str) -> String {
        let found = match key.strip_prefix("params.") {
            Some(name) => self.params.get(name),
            None => self.named.get(key),
        };
        found.cloned().unwrap_or_default()
    }

    /// The secrets that were read.
    pub fn scrub(&mut self) -> &mut Scrub {
        &mut self.secrets
    }

    /// What a template may read.
    pub fn context(&self, message: &Message, too_large: bool) -> Value {
        let named = |key: &str| self.named.get(key).map_or(Value::from(""), |value| Value::from(value.as_str()));
        context! {
            params => self.params.clone(),
            routing_key => named("routing_key"),
            api_key => named("api_key"),
            bot_token => named("bot_token"),
            chat_id => named("chat_id"),
            too_large => too_large,
            ..Value::from(Serde(message))
        }
    }
}

/// Whether a value is a secret even where it is written out.
pub fn is_secret(config: &WebhookConfig, key: &str) -> bool {
    matches!(key, "routing_key" | "api_key" | "bot_token")
        || config.recipe.as_ref().is_some_and(|preset| preset.secrets.iter().any(|secret| secret == key))
}
