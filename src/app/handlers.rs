//! From settings to handlers: those that deliver, and those that only show what they would send.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::outbox::{MadeOf, Target};
use crate::config::{ConsoleFormat as ConfigFormat, Handler as Config, HandlerKind, Heartbeat, WebhookConfig};
use crate::notify::{ConsoleFormat, ConsoleHandler, Handler, Secrets, SmtpHandler, Style, WebhookHandler};

/// Previews look the same on every machine.
const PREVIEW: Style = Style { colour: false, unicode: true };

/// What every handler of an installation shares.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// How people reach this server.
    pub external_url: String,
    /// Reads secrets when they are needed, and keeps the last good value of each.
    pub secrets: Arc<Secrets>,
}

/// The handlers that deliver. One that cannot be made is told in the log and left out; a check would have told it before.
pub fn delivering(configs: &[Config], common: &Common) -> Vec<Target> {
    let make = |config: &Config| match one(config, common) {
        Ok(handler) => {
            let made_of = MadeOf { external_url: common.external_url.clone(), config: config.clone() };
            Some(Target { handler, delivery: config.delivery.clone(), made_of: Some(Arc::new(made_of)) })
        }
        Err(error) => {
            error!(handler = %config.name, %error, "A handler cannot be started");
            None
        }
    };
    configs.iter().filter(|config| config.is_told()).filter_map(make).collect()
}

/// Heartbeat handlers and how often each pings.
pub fn pinging(configs: &[Config], common: &Common) -> Vec<(Arc<dyn Handler>, Duration)> {
    let make = |config: &Config| {
        let HandlerKind::Heartbeat(beat) = &config.kind else { return None };
        match ping(config, beat, common) {
            Ok(handler) => Some((handler, beat.interval)),
            Err(error) => {
                error!(handler = %config.name, %error, "A heartbeat cannot be started");
                None
            }
        }
    };
    configs.iter().filter_map(make).collect()
}

/// The handlers, for previews only: none of them opens anything.
pub fn previewing(configs: &[Config], common: &Common) -> Vec<Arc<dyn Handler>> {
    let make = |config: &Config| match &config.kind {
        HandlerKind::Console { format } => {
            let handler = ConsoleHandler::new(&config.name, console_format(*format), PREVIEW, io::sink()).ok()?;
            Some(Arc::new(handler) as Arc<dyn Handler>)
        }
        _ => one(config, common).ok(),
    };
    configs.iter().filter(|config| config.is_told()).filter_map(make).collect()
}

fn one(config: &Config, common: &Common) -> Result<Arc<dyn Handler>, String> {
    match &config.kind {
        HandlerKind::Console { format } => {
            let handler = ConsoleHandler::stdout(&config.name, console_format(*format)).map_err(|e| e.to_string())?;
            Ok(Arc::new(handler))
        }
        HandlerKind::Webhook(webhook) => {
            let secrets = Arc::clone(&common.secrets);
            Ok(Arc::new(WebhookHandler::new(&config.name, webhook, &common.external_url, secrets)?))
        }
        HandlerKind::Smtp(smtp) => {
            let (name, smtp) = (Arc::clone(&config.name), (**smtp).clone());
            Ok(Arc::new(SmtpHandler::new(name, smtp, common.external_url.clone(), Arc::clone(&common.secrets))))
        }
        HandlerKind::Heartbeat(beat) => ping(config, beat, common),
    }
}

/// A ping is a webhook that says one thing.
fn ping(config: &Config, beat: &Heartbeat, common: &Common) -> Result<Arc<dyn Handler>, String> {
    let webhook = WebhookConfig {
        recipe: crate::config::preset::built_in("generic"),
        url: beat.url.clone(),
        method: Some(beat.method.clone()),
        content_type: "text/plain".to_owned(),
        body: Some("alertd is well".to_owned()),
        headers: beat.headers.clone(),
        basic_auth: beat.basic_auth.clone(),
        authorization: beat.authorization.clone(),
        proxy_url: beat.proxy_url.clone(),
        deny_private: beat.deny_private,
        tls_config: beat.tls_config.clone(),
        timeout: beat.timeout,
        ..WebhookConfig::default()
    };
    Ok(Arc::new(WebhookHandler::new(&config.name, &webhook, &common.external_url, Arc::clone(&common.secrets))?))
}

fn console_format(format: ConfigFormat) -> ConsoleFormat {
    match format {
        ConfigFormat::Text => ConsoleFormat::Text,
        ConfigFormat::Json => ConsoleFormat::Json,
    }
}
