//! `receivers`: every integration that has an equal becomes a handler. The first of a receiver has the receiver's name,
//! others `NAME/slack[1]`, as Alertmanager writes them in its log.

use std::sync::Arc;

use super::context::Context;
use super::wording::{Part, Wording};
use super::{chat, http, incidents, mail};
use crate::config::handlers::{Delivery, Handler, HandlerKind, Reading};
use crate::config::preset::{self, Preset, Success};
use crate::config::secret::SecretText;
use crate::config::web;
use crate::config::webhook::WebhookConfig;
use crate::diag::{Diagnostic, Level};
use crate::model::{OnMute, Severity};
use crate::yaml::Node;

/// A receiver of a message: its name, and which integration is read.
pub(super) struct Integration<'n> {
    pub(super) receiver: Arc<str>,
    pub(super) node: &'n Node,
}

/// Makes the settings of an integration; what is wrong with it is told.
type Read = fn(&mut Context<'_>, &Integration<'_>) -> Option<HandlerKind>;

/// Integrations that have an equal: key, reader, and whether they tell the end where nothing is said.
const EQUALS: &[(&str, Read, bool)] = &[
    ("discord_configs", chat::discord, true),
    ("email_configs", mail::read, false),
    ("msteams_configs", chat::teams, true),
    ("msteamsv2_configs", chat::teams_v2, true),
    ("opsgenie_configs", incidents::opsgenie, true),
    ("pagerduty_configs", incidents::pagerduty, true),
    ("pushover_configs", incidents::pushover, true),
    ("slack_configs", chat::slack, false),
    ("telegram_configs", chat::telegram, true),
    ("victorops_configs", incidents::victorops, true),
    ("webex_configs", chat::webex, true),
    ("webhook_configs", incidents::webhook, true),
];

/// Reads all receivers.
pub(super) fn read(context: &mut Context<'_>, root: &Node, reading: &mut Reading) {
    let receivers = root.get("receivers").and_then(Node::items).unwrap_or_default();
    for receiver in receivers.iter().filter(|node| node.entries().is_some()) {
        let Some((key, name)) = receiver.entry("name") else { continue };
        let Some(text) = name.text() else { continue };
        if text.is_empty() {
            context.error("A018", name, "`name` is empty".to_owned(), "expected a name such as `team-web`");
            continue;
        }
        claim(context, key, text, reading);
        let handlers = integrations(context, receiver, &Arc::from(text));
        for other in handlers.iter().skip(1) {
            claim(context, key, &other.name, reading);
        }
        let names = handlers.iter().map(|handler| Arc::clone(&handler.name)).collect();
        reading.files.receivers.insert(text.to_owned(), names);
        reading.files.handlers.extend(handlers);
    }
}

/// Takes a name, which nobody else may have.
fn claim(context: &mut Context<'_>, place: &Node, name: &str, reading: &mut Reading) {
    let here = format!("{}:{}", context.file.path, context.file.position(place.span.start).line);
    if let Some(first) = reading.seen.insert(name.to_owned(), here) {
        let message = format!("two receivers or handlers have the name `{name}`");
        context.error("A503", place, message, &format!("first in {first}"));
    }
}

fn integrations(context: &mut Context<'_>, receiver: &Node, name: &Arc<str>) -> Vec<Handler> {
    let (mut handlers, mut without) = (Vec::new(), Vec::new());
    for (key, value) in receiver.entries().unwrap_or_default() {
        let (Some(kind), Some(items)) = (key.text().filter(|key| key.ends_with("_configs")), value.items()) else {
            continue;
        };
        let Some((_, read, tells_end)) = EQUALS.iter().find(|(known, ..)| *known == kind) else {
            without.extend((!items.is_empty()).then_some((key, kind)));
            continue;
        };
        for (index, node) in items.iter().enumerate().filter(|(_, node)| node.entries().is_some()) {
            let before = context.out.len();
            context.one_or_its_file(node);
            let integration = Integration { receiver: Arc::clone(name), node };
            let made = read(context, &integration);
            let failed = context.out.iter().skip(before).any(|found| found.level == Level::Error);
            let Some(made) = made.filter(|_| !failed) else { continue };
            let own = match handlers.is_empty() {
                true => Arc::clone(name),
                false => Arc::from(format!("{name}/{}[{index}]", kind.trim_end_matches("_configs"))),
            };
            handlers.push(Handler {
                on_mute: OnMute::default(),
                name: own,
                kind: made,
                send_resolved: Context::flag(node, "send_resolved").unwrap_or(*tells_end),
                min_severity: Severity::Info,
                delivery: Delivery::default(),
            });
        }
    }
    for (key, kind) in without {
        no_equal(context, (key, kind), name, handlers.is_empty());
    }
    handlers
}

fn no_equal(context: &mut Context<'_>, (key, kind): (&Node, &str), receiver: &str, nobody: bool) {
    let message = format!("`{kind}` of Alertmanager has no equal");
    let label = match nobody {
        true => format!("nobody is told what is routed to `{receiver}`"),
        false => format!("`{receiver}` is told by its other integrations alone"),
    };
    let found = Diagnostic::warning("A562", context.file, key.span.clone(), message).with_label(label);
    context.out.push(found.with_help(
        "many receivers take a webhook: write a handler with a `body` of its own, see `alertd explain A562`",
    ));
}

/// How a request of an integration is made: after which preset its answers are judged, and what it says.
pub(super) struct Request {
    /// The preset that answers are judged by, and whose path and headers are used.
    pub(super) preset: &'static str,
    pub(super) url: Option<SecretText>,
    pub(super) wording: Wording,
}

impl Integration<'_> {
    /// What is said, with the templates of the file.
    pub(super) fn wording(&self, context: &Context<'_>, firing: Part) -> Wording {
        Wording {
            receiver: Arc::clone(&self.receiver),
            firing,
            resolved: None,
            alerts_max: 0,
            files: Arc::clone(&context.files),
        }
    }

    /// The settings of a webhook that makes this request. `shape` changes what is particular to the receiver.
    pub(super) fn webhook(
        &self,
        context: &mut Context<'_>,
        request: Request,
        shape: impl FnOnce(&mut Preset, &mut WebhookConfig),
    ) -> Option<HandlerKind> {
        let mut preset = preset::read_built_in(request.preset)?;
        let mut config = http::read(context, self.node, &mut preset.secrets);
        // Alertmanager takes every answer of 2xx, and its addresses are secrets.
        preset.success.status = Vec::new();
        preset.secrets.push("url".to_owned());
        config.preset = request.preset.to_owned();
        config.url = request.url;
        shape(&mut preset, &mut config);
        config.recipe = Some(Arc::new(preset));
        config.wording = Some(Arc::new(request.wording));
        Some(HandlerKind::Webhook(Box::new(config)))
    }

    /// An address under a key or in its file, else what `global` or the service itself has; checked where it is written.
    pub(super) fn address(
        &self,
        context: &mut Context<'_>,
        key: &str,
        global: &str,
        default: &str,
    ) -> Option<SecretText> {
        let place = self.node.get(key).or_else(|| context.global.and_then(|node| node.get(global)));
        // What amtool prints in the place of a secret is no address, and no mistake.
        if let Some(place) = place
            && let Some(text) = place.text().filter(|text| !matches!(*text, "" | "<secret>"))
        {
            web::web_address(context.file, place, text, place_name(self.node, key, global), context.out);
        }
        let found = context.secret_or_global(self.node, key, global);
        found.or_else(|| (!default.is_empty()).then(|| SecretText::literal(default)))
    }
}

fn place_name<'k>(node: &Node, key: &'k str, global: &'k str) -> &'k str {
    if node.get(key).is_some() { key } else { global }
}

/// Success as chats say it: a word, or JSON that says `ok`.
pub(super) fn ok_or_json() -> Success {
    Success {
        any: true,
        body: Some("ok".to_owned()),
        json: [("ok".to_owned(), "true".to_owned())].into(),
        ..Success::default()
    }
}
