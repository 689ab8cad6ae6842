//! `on_mute` of a handler: what it can be told when an alert becomes quiet depends on what it is.

use std::sync::Arc;

use super::handlers::{Handler, HandlerKind};
use super::preset;
use crate::diag::{Diagnostic, SourceFile};
use crate::model::OnMute;
use crate::yaml::{Node, shape};

/// What a handler wants to be told; a finding where it cannot be.
pub(super) fn on_mute(file: &Arc<SourceFile>, node: &Node, handler: &Handler, out: &mut Vec<Diagnostic>) -> OnMute {
    let Some(value) = node.get("on_mute") else { return OnMute::Nothing };
    let wanted = match value.text() {
        Some("resolve") => OnMute::Resolve,
        Some("ack") => OnMute::Ack,
        _ => OnMute::Nothing,
    };
    let mut found = |message: &str, label: &str, help: String| {
        let found = Diagnostic::error("A519", file, value.span.clone(), message.to_owned());
        out.push(found.with_label(label).with_help(help));
    };
    match wanted {
        OnMute::Ack if !acknowledges(handler) => {
            let named = |name: &&str| preset::built_in(name).is_some_and(|preset| preset.acknowledged.is_some());
            let able: Vec<&str> = preset::built_in_names().filter(named).collect();
            let help = format!("write `on_mute: resolve`, or use one of the presets {}", shape::listed(&able));
            found("this handler cannot acknowledge", "its receiver knows no acknowledgement", help);
        }
        OnMute::Resolve if !handler.send_resolved => {
            let help = "remove `send_resolved: false`, or write `on_mute: nothing`".to_owned();
            found("`on_mute: resolve` needs `send_resolved`", "this handler is told of no end", help);
        }
        _ => {}
    }
    wanted
}

/// Whether a handler's receiver can be told that somebody looks after an alert: it keeps something open for each group.
pub(super) fn acknowledges(handler: &Handler) -> bool {
    match &handler.kind {
        HandlerKind::Webhook(webhook) => {
            webhook.payload.is_none() && webhook.recipe.as_ref().is_some_and(|preset| preset.acknowledged.is_some())
        }
        _ => false,
    }
}
