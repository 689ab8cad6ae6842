//! Handler files: where people are told about alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{HANDLER, HANDLER_FILE, HANDLER_TYPES};
use super::server::secrets;
use crate::diag::{self, Diagnostic, Level, SourceFile, suggest};
use crate::model::Severity;
use crate::yaml::{self, Node, shape};

/// A handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Name by which rules refer to it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: HandlerKind,
    /// Whether it tells when an alert is over.
    pub send_resolved: bool,
    /// Alerts below it are not told.
    pub min_severity: Severity,
}

/// Kinds of handlers with their settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// Prints to standard output.
    Console {
        /// In which form.
        format: ConsoleFormat,
    },
}

/// Forms of what the console handler prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl Handler {
    /// The handler there is without a handler file.
    pub fn console() -> Self {
        Self {
            name: Arc::from("console"),
            kind: HandlerKind::Console { format: ConsoleFormat::Text },
            send_resolved: true,
            min_severity: Severity::Info,
        }
    }
}

/// Reads handler files: the handlers without errors in file order, and all findings.
pub fn load(files: &[Arc<SourceFile>]) -> (Vec<Handler>, Vec<Diagnostic>) {
    let (mut handlers, mut out) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let Some(document) = yaml::parse(file, &mut out) else { continue };
        let Some(root) = document.root else {
            out.push(
                Diagnostic::error("A508", file, 0..0, "the file is empty".to_owned())
                    .with_label("expected `handlers:`")
                    .with_help("write `handlers: []` if it is meant to hold none"),
            );
            continue;
        };
        if let Some(found) = foreign(file, &root) {
            out.push(found);
            continue;
        }
        top_keys(file, &root, &mut out);
        for node in root.get("handlers").and_then(Node::items).unwrap_or_default() {
            handlers.extend(handler(file, node, &mut seen, &mut out));
        }
    }
    diag::sort(&mut out);
    (handlers, out)
}

fn foreign(file: &Arc<SourceFile>, root: &Node) -> Option<Diagnostic> {
    let entries = root.entries()?;
    if root.get("handlers").is_some() {
        return None;
    }
    let place = entries.first().map_or(root.span.clone(), |(key, _)| key.span.clone());
    let finding = Diagnostic::error("A508", file, place, "this is no handler file: it has no `handlers:`".to_owned());
    let near = entries.iter().find(|(key, _)| key.text().is_some_and(|k| suggest(k, ["handlers"]).is_some()));
    Some(match (near, root.entry("receivers")) {
        (Some((key, _)), _) => Diagnostic { span: key.span.clone(), ..finding }.with_label("did you mean `handlers`?"),
        (None, Some((key, _))) => Diagnostic { span: key.span.clone(), ..finding }
            .with_label("a file of Alertmanager, which this version does not read")
            .with_help("write the receivers under `handlers:`"),
        (None, None) => {
            finding.with_label("expected `handlers:`").with_help("write `handlers: [{name: screen, type: console}]`")
        }
    })
}

fn top_keys(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Diagnostic>) {
    let Some(entries) = root.entries() else {
        shape::check_root(file, root, &HANDLER_FILE, out);
        return;
    };
    for (key, value) in entries {
        if key.text() == Some("handlers") && value.items().is_some() {
            continue;
        }
        let single = Node { kind: yaml::Kind::Mapping(vec![(key.clone(), value.clone())]), span: root.span.clone() };
        shape::check_known(file, &single, &HANDLER_FILE, out);
    }
}

const ENTRY: shape::Key =
    shape::Key::new("handlers", shape::Kind::Object(&HANDLER), "{name: screen, type: console}", "");

fn handler(
    file: &Arc<SourceFile>,
    node: &Node,
    seen: &mut BTreeMap<String, String>,
    out: &mut Vec<Diagnostic>,
) -> Option<Handler> {
    let before = out.len();
    // The keys of a type that does not exist cannot be judged.
    if !unknown_type(file, node, out) {
        shape::check(file, node, &ENTRY, out);
        secrets(file, node, out);
    }
    let (key, name) = node.entry("name")?;
    let text = name.text()?;
    let here = format!("{}:{}", file.path, file.position(key.span.start).line);
    if text.trim().is_empty() {
        out.push(
            Diagnostic::error("A018", file, name.span.clone(), "`name` is empty".to_owned())
                .with_label("expected a name such as `screen`"),
        );
    } else if let Some(first) = seen.insert(text.to_owned(), here) {
        out.push(
            Diagnostic::error("A503", file, key.span.clone(), format!("two handlers have the name `{text}`"))
                .with_label(format!("first in {first}"))
                .with_help("rename one of them"),
        );
    }
    if out[before..].iter().any(|d| d.level == Level::Error) {
        return None;
    }
    let format = match node.get("format").and_then(Node::text) {
        Some("json") => ConsoleFormat::Json,
        _ => ConsoleFormat::Text,
    };
    Some(Handler {
        name: Arc::from(text),
        kind: HandlerKind::Console { format },
        send_resolved: node.get("send_resolved").map_or(Some(true), Node::boolean)?,
        min_severity: node.get("min_severity").map_or(Some(Severity::Info), |n| Severity::from_name(n.text()?))?,
    })
}

fn unknown_type(file: &Arc<SourceFile>, node: &Node, out: &mut Vec<Diagnostic>) -> bool {
    let Some(kind) = node.get("type") else { return false };
    let Some(text) = kind.text().filter(|text| !HANDLER_TYPES.contains(text) && !kind.is_null()) else { return false };
    let label = match suggest(text, HANDLER_TYPES.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", shape::listed(HANDLER_TYPES)),
    };
    let message = format!("this version has no handler of type `{text}`");
    out.push(
        Diagnostic::error("A509", file, kind.span.clone(), message)
            .with_label(label)
            .with_help(format!("handlers are of type {}", shape::listed(HANDLER_TYPES))),
    );
    true
}
