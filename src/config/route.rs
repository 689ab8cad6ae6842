//! The root route, and the names of handlers that files refer to.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::handler_keys::ROUTE;
use super::handlers::Reading;
use super::server::duration;
use crate::diag::{Diagnostic, SourceFile, suggest};
use crate::model::parse_duration;
use crate::yaml::{Node, shape};

/// `route:`: how alerts are grouped, and who is told where a rule names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RootRoute {
    /// Labels whose values make a group; `...` for all, none for one group.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts.
    #[serde(deserialize_with = "duration")]
    pub group_wait: Duration,
    /// Least time between two messages about news of a group.
    #[serde(deserialize_with = "duration")]
    pub group_interval: Duration,
    /// What still fires is told again after this time.
    #[serde(deserialize_with = "duration")]
    pub repeat_interval: Duration,
    /// Names of handlers; every handler where there is none.
    pub handlers: Vec<String>,
}

impl Default for RootRoute {
    fn default() -> Self {
        Self {
            group_by: Vec::new(),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
            handlers: Vec::new(),
        }
    }
}

/// A name that must be one of a handler: where it stands.
pub(super) struct Reference {
    pub(super) file: Arc<SourceFile>,
    pub(super) place: std::ops::Range<usize>,
    pub(super) name: String,
    pub(super) key: &'static str,
    /// The handler it stands in; a fallback to oneself is none.
    pub(super) of: Option<String>,
}

/// `route:`, of which there is one in all files together.
pub(super) fn read(file: &Arc<SourceFile>, root: &Node, reading: &mut Reading, out: &mut Vec<Diagnostic>) {
    let Some((key, node)) = root.entry("route") else { return };
    let here = format!("{}:{}", file.path, file.position(key.span.start).line);
    if let Some(first) = reading.route_at.replace(here) {
        out.push(
            Diagnostic::error("A503", file, key.span.clone(), "there are two root routes".to_owned())
                .with_label(format!("first in {first}"))
                .with_help("keep one `route:` in all handler files together"),
        );
    }
    if node.entries().is_none() {
        return;
    }
    for name in node.get("handlers").and_then(Node::items).unwrap_or_default() {
        let Some(text) = name.text() else { continue };
        let place = name.span.clone();
        reading.references.push(Reference {
            file: Arc::clone(file),
            place,
            name: text.to_owned(),
            key: "handlers",
            of: None,
        });
    }
    if let Some(node) = node.get("repeat_interval")
        && node.text().and_then(|t| parse_duration(t).ok()).is_some_and(|d| d.is_zero())
    {
        out.push(
            Diagnostic::error(
                "A015",
                file,
                node.span.clone(),
                "`repeat_interval` must be longer than nothing".to_owned(),
            )
            .with_label("expected a duration such as `4h`"),
        );
    }
    if let Ok(route) = serde_yaml::from_value(shape::to_value(node, &ROUTE)) {
        reading.files.route = Some(route);
    }
}

/// Every name of a handler that is used must be one.
pub(super) fn check_references(reading: &Reading, out: &mut Vec<Diagnostic>) {
    for reference in &reading.references {
        let known = || reading.seen.keys().map(String::as_str).filter(|n| Some(*n) != reference.of.as_deref());
        if known().any(|name| name == reference.name) {
            continue;
        }
        let label = match suggest(&reference.name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no handler has this name".to_owned(),
        };
        let names: Vec<&str> = known().collect();
        let message = match &reference.of {
            Some(own) if *own == reference.name => format!("`{own}` is its own {}", reference.key),
            _ => format!("`{}` names no handler: `{}`", reference.key, reference.name),
        };
        let found = Diagnostic::error("A501", &reference.file, reference.place.clone(), message).with_label(label);
        out.push(if names.is_empty() {
            found
        } else {
            found.with_help(format!("handlers are {}", shape::listed(&names)))
        });
    }
}
