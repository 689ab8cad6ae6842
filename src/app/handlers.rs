//! From settings to handlers: those that deliver, and those that only show what they would send.

use std::io;
use std::sync::Arc;

use tracing::error;

use crate::config::{ConsoleFormat as ConfigFormat, Handler as Config, HandlerKind};
use crate::notify::{ConsoleFormat, ConsoleHandler, Handler, Secrets, SmtpHandler, Style};

/// Previews look the same on every machine.
const PREVIEW: Style = Style { colour: false, unicode: true };

/// What every handler of an installation shares.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// How people reach this server.
    pub external_url: String,
    /// Reads secrets, and keeps the last good value of each.
    pub secrets: Arc<Secrets>,
}

/// The handlers that deliver. One that cannot be made is told in the log and left out; a check would have told it before.
pub fn delivering(configs: &[Config], common: &Common) -> Vec<Arc<dyn Handler>> {
    let make = |config: &Config| match one(config, common) {
        Ok(handler) => Some(handler),
        Err(error) => {
            error!(handler = %config.name, %error, "A handler cannot be started");
            None
        }
    };
    configs.iter().filter(|config| config.is_told()).filter_map(make).collect()
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
        HandlerKind::Smtp(smtp) => {
            let (name, smtp) = (Arc::clone(&config.name), (**smtp).clone());
            Ok(Arc::new(SmtpHandler::new(name, smtp, common.external_url.clone(), Arc::clone(&common.secrets))))
        }
        HandlerKind::Webhook(_) | HandlerKind::Heartbeat(_) => {
            Err("handlers of this type are not in this version".to_owned())
        }
    }
}

fn console_format(format: ConfigFormat) -> ConsoleFormat {
    match format {
        ConfigFormat::Text => ConsoleFormat::Text,
        ConfigFormat::Json => ConsoleFormat::Json,
    }
}
