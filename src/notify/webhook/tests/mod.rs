//! The webhook handler against scripted receivers on real sockets: what every preset must do, presets one by one, TLS.

mod contract;
mod golden;
mod presets;
mod sink;
mod tls;

use std::sync::Arc;

use super::WebhookHandler;
use crate::config::{HandlerKind, Preset, handlers};
use crate::diag::{Level, SourceFile, TextStyle, text};
use crate::model::{Notice, NoticeKind, NoticeReason, Timestamp, TransitionKind};
use crate::notify::console::tests::transition;
use crate::notify::message::tests::{resolved, second, told};
use crate::notify::{Attempt, Handler, Outcome, Secrets};

/// Stands in every secret; must never be seen outside a request.
const CANARY: &str = "CANARY-s3cr3t-0123456789abcdef";
const NOW: Timestamp = Timestamp(1_700_000_200_000);

/// A handler as a file would give it: `keys` stand behind name, type and preset.
fn handler_of(preset: &str, keys: &str, extra: &[Arc<SourceFile>]) -> WebhookHandler {
    let source = format!("handlers:\n  - {{name: ops-chat, type: webhook, preset: {preset}, {keys}}}\n");
    let mut files = vec![SourceFile::new("handlers/a.yaml", source)];
    files.extend_from_slice(extra);
    let (said, found) = handlers::load(&files);
    assert!(found.iter().all(|d| d.level != Level::Error), "{}", text(&found, TextStyle::default()));
    let HandlerKind::Webhook(config) = &said.handlers[0].kind else { panic!("a webhook") };
    WebhookHandler::new("ops-chat", config, "https://alerts.example.org", Arc::new(Secrets::default())).unwrap()
}

fn handler(preset: &str, keys: &str) -> WebhookHandler {
    handler_of(preset, keys, &[])
}

/// What each preset needs besides its URL, secrets as references to files.
struct Needs {
    folder: tempfile::TempDir,
}

impl Needs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), CANARY).unwrap();
        Self { folder }
    }

    fn secret(&self) -> String {
        format!("'${{file:{}}}'", self.folder.path().join("secret").display())
    }

    /// The keys of a handler of a preset that sends to `url`.
    fn keys(&self, preset: &Preset, url: &str) -> String {
        let mut keys = vec![format!("url: '{url}'")];
        let mut params = Vec::new();
        for need in preset.needs.iter().filter(|need| *need != "url") {
            let value = if preset.secrets.contains(need) { self.secret() } else { "'-100123'".to_owned() };
            match need.strip_prefix("params.") {
                Some(name) => params.push(format!("{name}: {value}")),
                None => keys.push(format!("{need}: {value}")),
            }
        }
        if !params.is_empty() {
            keys.push(format!("params: {{{}}}", params.join(", ")));
        }
        keys.join(", ")
    }
}

fn firing() -> Notice {
    told(NoticeKind::Firing, NoticeReason::First, vec![transition(TransitionKind::Fired)])
}

fn group() -> Notice {
    told(NoticeKind::Firing, NoticeReason::NewAlerts, vec![transition(TransitionKind::Fired), second()])
}

fn over() -> Notice {
    told(NoticeKind::Resolved, NoticeReason::Resolved, vec![resolved()])
}

async fn send(handler: &WebhookHandler, notice: &Notice) -> Outcome {
    handler.send(notice, Attempt { number: 1, now: NOW, done: &[] }).await
}

/// The failure's words, and whether it is tried again.
#[track_caller]
fn failed(outcome: &Outcome) -> (bool, String, bool) {
    match outcome {
        Outcome::Retry { failure, .. } => (true, failure.to_string(), failure.maybe_taken),
        Outcome::Rejected { failure } => (false, failure.to_string(), failure.maybe_taken),
        Outcome::Sent { .. } => panic!("sent: {outcome:?}"),
    }
}
