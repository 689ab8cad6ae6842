//! The key `flapping` of rules: `on`, `off`, or when an alert that comes and goes, or goes up and down, is told as one.

use std::time::Duration;

use super::Flapping;
use super::model::FLAPPING_SPAN_MAX;
use super::reader::{Reader, View};
use crate::model::{format_duration, parse_duration};
use crate::yaml::Node;

impl Reader<'_> {
    /// What a rule says, or else its defaults or group; `unsaid` where none does.
    pub(super) fn flapping(&mut self, view: &View<'_>, unsaid: Option<Flapping>) -> Option<Flapping> {
        let Some(node) = view.get("flapping") else { return unsaid };
        if node.entries().is_none() {
            return (node.text() == Some("on")).then(Flapping::default);
        }
        let usual = Flapping::default();
        let changes = node.get("changes").and_then(Node::integer).and_then(|n| usize::try_from(n).ok());
        Some(Flapping {
            changes: changes.unwrap_or(usual.changes),
            window: self.span_of_flapping(node, "window").unwrap_or(usual.window),
            quiet: self.span_of_flapping(node, "quiet").unwrap_or(usual.quiet),
        })
    }

    fn span_of_flapping(&mut self, node: &Node, key: &str) -> Option<Duration> {
        let value = node.get(key)?;
        let span = parse_duration(value.text()?).ok()?;
        if span.is_zero() {
            let found = self.error("A015", value.span.clone(), format!("`{key}` must be longer than nothing"));
            self.out.push(found.with_label("no time at all").with_help("`flapping: off` tells every change"));
        }
        if span > FLAPPING_SPAN_MAX {
            let most = format_duration(FLAPPING_SPAN_MAX);
            let message = format!("`{key}` must be at most {most}, not {}", format_duration(span));
            self.out.push(
                self.error("A015", value.span.clone(), message)
                    .with_label(format!("expected at most {most}"))
                    .with_help("an alert that is over is kept for as long as its changes are counted"),
            );
        }
        Some(span)
    }
}
