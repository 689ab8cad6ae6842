//! Checks the templates of payloads where they are written: each is read, and rendered with sample messages, so that an
//! unknown name, an unknown filter or a body that is no JSON is told before anybody is woken.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::Value;

use crate::diag::{Diagnostic, SourceFile, suggest};
use crate::template::payload::Payload;
use crate::yaml::Node;

/// Two messages, one firing and one resolved, with every name a template may read. A test of `notify::webhook` keeps
/// them what a handler gives to its templates.
const SAMPLES: &str = include_str!("sample_messages.json");

static CONTEXTS: LazyLock<Vec<BTreeMap<String, Value>>> =
    LazyLock::new(|| serde_json::from_str(SAMPLES).unwrap_or_default());

/// Reads a template that stands in a file, and tries it; `None` where it has an error.
pub fn check(file: &Arc<SourceFile>, node: &Node, json: bool, out: &mut Vec<Diagnostic>) -> Option<Payload> {
    let source = node.text()?;
    let found = |span: Range<usize>, message: String| {
        let place = if span.is_empty() && span.start == 0 { node.span.clone() } else { node.locate(&file.text, span) };
        Diagnostic::error("A511", file, place, message)
    };
    let payload = match Payload::parse(source) {
        Ok(payload) => payload,
        Err(error) => {
            out.push(found(error.span, error.message).with_label("the template cannot be read from here"));
            return None;
        }
    };
    let before = out.len();
    for name in payload.reads() {
        let known = || CONTEXTS.iter().flat_map(BTreeMap::keys).map(String::as_str);
        if known().any(|k| k == name) {
            continue;
        }
        let label = suggest(&name, known()).map_or("not known here".to_owned(), |m| format!("did you mean `{m}`?"));
        let message = format!("a message has no `{name}`");
        out.push(
            found(payload.place_of(&name), message)
                .with_label(label)
                .with_help("docs/handlers/webhook.md lists what a template may read"),
        );
    }
    if out.len() > before {
        return None;
    }
    for context in CONTEXTS.iter() {
        let finding = match payload.render(&Value::from_pairs(context.clone())) {
            Err(error) => found(error.span, error.message).with_label("fails for a sample message"),
            Ok(text) if json => match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => continue,
                Err(error) => found(0..0, format!("the payload is no JSON: {error}"))
                    .with_label("renders a sample message as something else")
                    .with_help("write texts as `{{ title | tojson }}`, without quotes around them"),
            },
            Ok(_) => continue,
        };
        out.push(finding);
        return None;
    }
    Some(payload)
}
