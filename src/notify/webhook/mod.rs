//! The webhook handler: a notice becomes an HTTP request as its preset says, is sent once, and the answer is judged.
//!
//! `values` (secrets and parameters) → `render` (path, headers, body) → `sign` → `wire` (one exchange) → `explain` or
//! `answer`. Presets are data: see [`crate::config::preset`]. Nothing here tries again later; a secret leaves in the
//! request alone.

pub mod answer;
pub mod explain;
mod render;
pub mod sign;
mod values;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use tracing::warn;
use url::Url;

use super::handler::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Sending};
use super::secrets::Secrets;
use crate::config::preset::Preset;
use crate::config::{SecretText, WebhookConfig};
use crate::model::{Notice, NoticeKind, NoticeReason, Timestamp};
use crate::net::{REDACTED, shown};
use crate::template::payload::Payload;
use render::{Body, Part, Render, recipe};
use values::{Values, is_secret};
use wire::{Ask, Settings, Wire};

/// Clients that are kept between exchanges: as many as are under way at once.
const IDLE_MAX: usize = 4;
/// The part of a notice that a receiver of incidents has taken when only closing is left.
const OPENED: &str = "opened";

/// Sends notices as HTTP requests.
pub struct WebhookHandler {
    name: Arc<str>,
    config: WebhookConfig,
    preset: Arc<Preset>,
    external_url: String,
    secrets: Arc<Secrets>,
    /// Clients that no exchange uses at present; held to take one or to give it back.
    idle: Mutex<Vec<Wire>>,
}

/// One request of a notice.
struct Order<'a> {
    notice: &'a Notice,
    part: Part,
    /// Its identity for the receiver.
    id: String,
    now: Timestamp,
    limit: Duration,
}

/// Why a request cannot be made: a setting or a secret.
struct Unmade {
    phase: Phase,
    message: String,
    /// Whether it may be made later: a secret that is not there yet.
    later: bool,
}

impl Unmade {
    fn secret(message: String) -> Self {
        Self { phase: Phase::Secret, message, later: true }
    }

    fn never(phase: Phase, message: impl Into<String>) -> Self {
        Self { phase, message: message.into(), later: false }
    }
}

impl WebhookHandler {
    /// A handler with these settings, which have been checked.
    pub fn new(name: &str, config: &WebhookConfig, external_url: &str, secrets: Arc<Secrets>) -> Result<Self, String> {
        let preset = config.recipe.clone().ok_or_else(|| format!("there is no preset `{}`", config.preset))?;
        let mut config = config.clone();
        if let (None, Some(body)) = (&config.payload, &config.body) {
            config.payload = Some(Arc::new(Payload::parse(body).map_err(|e| format!("`body`: {e}"))?));
        }
        Ok(Self {
            name: Arc::from(name),
            config,
            preset,
            external_url: external_url.to_owned(),
            secrets,
            idle: Mutex::default(),
        })
    }

    fn method(&self) -> &str {
        self.config.method.as_deref().unwrap_or(&self.preset.method)
    }

    /// The requests that tell a notice: two where a receiver of incidents has heard of neither beginning nor end.
    fn parts(&self, notice: &Notice) -> Vec<Part> {
        match (notice.kind, notice.reason) {
            (_, NoticeReason::FiredAndResolved) if self.preset.incidents => vec![Part::Firing, Part::Resolved],
            (NoticeKind::Resolved, _) => vec![Part::Resolved],
            (NoticeKind::Firing, _) => vec![Part::Firing],
            (NoticeKind::Acknowledged, _) => vec![Part::Acknowledged],
        }
    }

    async fn deliver(&self, notice: &Notice, attempt: Attempt<'_>) -> Outcome {
        let mut values = match Values::read(&self.config, &self.secrets) {
            Ok(values) => values,
            Err(error) => return unmade(Unmade::secret(error), attempt.done),
        };
        let parts = self.parts(notice);
        let limit = self.config.timeout / u32::try_from(parts.len()).unwrap_or(1);
        let mut outcome = Outcome::sent("nothing was left to send");
        let mut done: Vec<String> = attempt.done.to_vec();
        for (i, part) in parts.iter().enumerate() {
            let opens = parts.len() > 1 && i == 0;
            if opens && done.iter().any(|part| part == OPENED) {
                continue;
            }
            let id = if i == 0 { notice.id.clone() } else { format!("{}-resolved", notice.id) };
            let order = Order { notice, part: *part, id, now: attempt.now, limit };
            outcome = self.request(&order, &mut values).await;
            match &mut outcome {
                Outcome::Sent { .. } if opens => done.push(OPENED.to_owned()),
                Outcome::Sent { .. } => {}
                Outcome::Retry { done: left, .. } => {
                    *left = done;
                    return outcome;
                }
                Outcome::Rejected { .. } => return outcome,
            }
        }
        outcome
    }

    async fn request(&self, order: &Order<'_>, values: &mut Values) -> Outcome {
        let (ask, settings) = match self.make(order, values) {
            Ok(made) => made,
            Err(error) => {
                let message = values.scrub().clean(&error.message);
                return unmade(Unmade { message, ..error }, &[]);
            }
        };
        let settings = settings.stamped();
        let wire = match self.take_idle(&settings) {
            Some(wire) => wire,
            None => match Wire::new(settings) {
                Ok(wire) => wire,
                Err(error) => return unmade(Unmade::secret(values.scrub().clean(&error)), &[]),
            },
        };
        let answer = wire.exchange(&ask, order.limit).await;
        self.give_back(wire);
        match answer {
            Ok(answer) => answer::judge(&answer, &self.preset, values.scrub(), order.now),
            Err(mut failure) => {
                failure.message = values.scrub().clean(&failure.message);
                match failure.class {
                    // The certificate, the handshake, an address that is not allowed: the same next time.
                    FailureClass::Tls | FailureClass::Config => Outcome::Rejected { failure },
                    _ => Outcome::Retry { after: None, failure, done: Vec::new() },
                }
            }
        }
    }

    /// A client with these settings, and its kept connection.
    fn take_idle(&self, settings: &Settings) -> Option<Wire> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|wire| wire.fits(settings));
        idle.pop()
    }

    fn give_back(&self, wire: Wire) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(wire);
        }
    }

    /// The request and the settings of its connection.
    fn make(&self, order: &Order<'_>, values: &mut Values) -> Result<(Ask, Settings), Unmade> {
        let Order { notice, part, id, now, .. } = order;
        let base = self.base(values)?;
        let proxy = self.proxy(values)?;
        let render = self.render(notice, values);
        let Body { text, content_type, note } = render.body(*part);
        let path = self.path(&render, *part)?;
        let mut lines = Vec::new();
        for (name, template) in &self.preset.headers {
            let line =
                render.line(template).map_err(|e| Unmade::never(Phase::Render, format!("header {name}: {e}")))?;
            lines.push((name.clone(), line));
        }
        if let Some(note) = note {
            let note = values.scrub().clean(&note);
            warn!(handler = &*self.name, notice = %notice.id, reason = note, "The default text is sent instead");
        }
        let mut url = joined(base, path.as_deref())?;
        values.scrub().keep_url(&url);
        let mut headers = HeaderMap::new();
        let body = (self.method() != "GET").then(|| text.into_bytes());
        if body.is_some() {
            lines.push((CONTENT_TYPE.to_string(), content_type));
        }
        lines.push(("idempotency-key".to_owned(), id.clone()));
        self.credentials(values, &mut lines)?;
        for (name, text) in &self.config.headers {
            let secret = is_secret(&self.config, &format!("headers.{name}"));
            lines.push((name.clone(), values.one(text, &self.secrets, secret).map_err(Unmade::secret)?));
        }
        if let Some(secret) = &self.config.hmac_secret {
            let secret = values.one(secret, &self.secrets, true).map_err(Unmade::secret)?;
            let signature = sign::sign(&secret, *now, body.as_deref().unwrap_or_default());
            lines.push((sign::SIGNATURE_HEADER.to_owned(), signature));
        }
        for (name, line) in lines {
            header(&mut headers, &name, &line)?;
        }
        let real_host = self.rename(&mut url, &mut headers)?;
        let plain = |url: &Url| url.scheme() == "http";
        let settings = Settings {
            tls: self.config.tls_config.clone(),
            stamps: Vec::new(),
            plain: plain(&url) && proxy.as_ref().is_none_or(plain),
            proxy,
            deny_private: self.config.deny_private,
            real_host,
            timeout: self.config.timeout,
        };
        let method = Method::from_bytes(self.method().as_bytes()).unwrap_or(Method::POST);
        Ok((Ask { method, url, headers, body }, settings))
    }

    fn render<'a>(&'a self, notice: &'a Notice, values: &'a Values) -> Render<'a> {
        let (config, preset, external_url) = (&self.config, &*self.preset, self.external_url.as_str());
        Render { config, preset, notice, external_url, values }
    }

    fn path(&self, render: &Render<'_>, part: Part) -> Result<Option<String>, Unmade> {
        let template = recipe(&self.preset, part).path.as_ref();
        template.map(|t| render.line(t).map_err(|e| Unmade::never(Phase::Render, format!("path: {e}")))).transpose()
    }

    /// The URL that the handler or its preset names.
    fn base(&self, values: &mut Values) -> Result<Url, Unmade> {
        let text = match (&self.config.url, &self.preset.url) {
            (Some(url), _) => {
                let secret = self.preset.secrets.iter().any(|secret| secret == "url");
                values.one(url, &self.secrets, secret).map_err(Unmade::secret)?
            }
            (None, Some(url)) => url.clone(),
            (None, None) => return Err(Unmade::never(Phase::Secret, "the handler has no `url`")),
        };
        let url = web_address(&text).ok_or_else(|| Unmade::never(Phase::Secret, "`url` is no web address"))?;
        if self.config.url.is_some() {
            values.scrub().keep_url(&url);
        }
        Ok(url)
    }

    fn proxy(&self, values: &mut Values) -> Result<Option<Url>, Unmade> {
        let Some(text) = &self.config.proxy_url else { return Ok(None) };
        let text = values.one(text, &self.secrets, false).map_err(Unmade::secret)?;
        let url = web_address(&text).ok_or_else(|| Unmade::never(Phase::Secret, "`proxy_url` is no web address"))?;
        if let Some(password) = url.password() {
            values.scrub().keep(password);
        }
        Ok(Some(url))
    }

    fn credentials(&self, values: &mut Values, lines: &mut Vec<(String, String)>) -> Result<(), Unmade> {
        use base64::Engine as _;
        let mut read =
            |text: &SecretText, secret: bool| values.one(text, &self.secrets, secret).map_err(Unmade::secret);
        let line = match (&self.config.basic_auth, &self.config.authorization) {
            (Some(basic), _) => {
                let pair = format!("{}:{}", read(&basic.username, false)?, read(&basic.password, true)?);
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                values.scrub().keep(&encoded);
                format!("Basic {encoded}")
            }
            (None, Some(other)) => format!("{} {}", other.kind, read(&other.credentials, true)?),
            (None, None) => return Ok(()),
        };
        lines.push((AUTHORIZATION.to_string(), line));
        Ok(())
    }

    /// A server whose certificate has another name is asked for by that name, and connected to by its own.
    fn rename(&self, url: &mut Url, headers: &mut HeaderMap) -> Result<Option<String>, Unmade> {
        let Some(name) = self.config.tls_config.server_name.as_ref().filter(|_| url.scheme() == "https") else {
            return Ok(None);
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let value = HeaderValue::from_str(&format!("{host}{port}"));
        headers.insert(HOST, value.map_err(|_| Unmade::never(Phase::Secret, "`url` has no valid host"))?);
        if url.set_host(Some(name)).is_err() {
            return Err(Unmade::never(Phase::Tls, "`server_name` is no name of a host"));
        }
        Ok(Some(host))
    }

    fn shown_url(&self) -> String {
        let literal = match (&self.config.url, &self.preset.url) {
            (Some(url), _) => url.resolve(|_| Err(())).ok(),
            (None, url) => url.clone(),
        };
        literal.and_then(|text| web_address(&text)).map_or_else(|| REDACTED.to_owned(), |url| shown(&url))
    }
}

impl Handler for WebhookHandler {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn preview(&self, notice: &Notice) -> Preview {
        let values = Values::preview(&self.config);
        let render = self.render(notice, &values);
        let mut bodies: Vec<String> = self.parts(notice).into_iter().map(|part| render.body(part).text).collect();
        let payload = match bodies.len() {
            _ if self.method() == "GET" => String::new(),
            1 => bodies.remove(0),
            _ => format!("[{}]", bodies.join(",")),
        };
        Preview { method: Some(self.method().to_owned()), url: Some(self.shown_url()), payload }
    }

    fn send<'a>(&'a self, notice: &'a Notice, attempt: Attempt<'a>) -> Sending<'a> {
        Box::pin(self.deliver(notice, attempt))
    }
}

fn unmade(error: Unmade, done: &[String]) -> Outcome {
    let failure =
        Failure { class: FailureClass::Config, phase: error.phase, message: error.message, maybe_taken: false };
    match error.later {
        true => Outcome::Retry { after: None, failure, done: done.to_vec() },
        false => Outcome::Rejected { failure },
    }
}

fn web_address(text: &str) -> Option<Url> {
    Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The path joined to the URL, unless the URL ends with it: whoever copied the whole address is right too.
fn joined(url: Url, path: Option<&str>) -> Result<Url, Unmade> {
    let Some(path) = path else { return Ok(url) };
    let text = url.as_str().trim_end_matches('/');
    let whole = if text.ends_with(path) { text.to_owned() } else { format!("{text}{path}") };
    web_address(&whole).ok_or_else(|| Unmade::never(Phase::Render, "`url` and the preset's path make no web address"))
}

/// Sets a header; the message tells its name alone.
fn header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Unmade> {
    let unfit = || {
        Unmade::never(
            Phase::Secret,
            format!("the value of the header `{name}` has a character that no header may have"),
        )
    };
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
    let mut value =
        HeaderValue::from_str(value).or_else(|_| HeaderValue::from_bytes(value.as_bytes())).map_err(|_| unfit())?;
    value.set_sensitive(true);
    headers.insert(key, value);
    Ok(())
}

#[cfg(test)]
mod tests;
