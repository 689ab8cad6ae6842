//! Reads what a handler does about messages that do not get through, and what can be wrong with that.
//!
//! Place in the flow: a part of reading handler files. Sends nothing.

use std::sync::Arc;

use super::handlers::{Delivery, RateLimit};
use crate::diag::{Diagnostic, SourceFile};
use crate::model::parse_duration;
use crate::yaml::Node;

/// Presets of receivers that keep something open for each group of alerts, until it is over.
const KEEPS_INCIDENTS: &[&str] = &["pagerduty", "opsgenie", "alertmanager"];

/// Reads what is done about a message that does not get through.
pub(super) fn read(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) -> Delivery {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let mut delivery = Delivery::default();
    if let Some(limit) = node.get("rate_limit") {
        delivery.rate_limit = limit.text().and_then(RateLimit::parse);
        if delivery.rate_limit.is_none() {
            out.push(
                Diagnostic::error("A015", file, limit.span.clone(), "`rate_limit` is no rate".to_owned())
                    .with_label("expected messages and a unit")
                    .with_help("write `30/m`: a whole number from 1, and s, m or h"),
            );
        }
    }
    delivery.digest = text("over_limit") == Some("digest");
    if let Some(time) = text("give_up_after").and_then(|t| parse_duration(t).ok()) {
        delivery.give_up_after = time;
    }
    delivery.fallback = text("fallback").map(Arc::from);
    if let Some(node) = node.get("timeout")
        && node.text().and_then(|t| parse_duration(t).ok()).is_some_and(|d| d.is_zero())
    {
        out.push(
            Diagnostic::error("A015", file, node.span.clone(), "`timeout` must be longer than nothing".to_owned())
                .with_label("expected a duration such as `10s`"),
        );
    }
    delivery
}

/// Where a digest makes no sense: without a limit, and for receivers that keep something open for each group.
pub(super) fn digest(file: &Arc<SourceFile>, node: &Node, acknowledges: bool, out: &mut Vec<Diagnostic>) {
    let Some((key, value)) = node.entry("over_limit") else { return };
    if node.get("rate_limit").is_none() {
        let message = "`over_limit` has no meaning without `rate_limit`".to_owned();
        let found = Diagnostic::error("A016", file, key.span.clone(), message);
        out.push(found.with_label("has no effect here").with_help("add a limit such as `rate_limit: 30/m`"));
    }
    let preset = node.get("preset").and_then(Node::text).unwrap_or_default();
    if acknowledges || KEEPS_INCIDENTS.contains(&preset) {
        let message = format!("`over_limit: digest` has no meaning for the preset `{preset}`");
        let help = "it keeps an incident open for each group; one for a whole storm would never be over: leave it out";
        let found = Diagnostic::error("A016", file, value.span.clone(), message);
        out.push(found.with_label("has no effect here").with_help(help));
    }
}
