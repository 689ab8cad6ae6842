//! YAML as a tree in which every value knows the bytes of the file it stands in.
//!
//! Place in the flow: `config` reads files, this room turns their text into a [`Node`] tree, checks it against a
//! [`shape::Shape`] and maps places inside a decoded string back to the file; `rule` and `config` give it meaning.
//!
//! Two libraries share the work. `saphyr-parser` gives events with positions, from which the tree is built; its pull
//! interface does not recurse, so hostile nesting costs no stack. `serde_yaml` does the typed reading: it alone decides
//! which plain scalars are numbers, booleans or null ([`Node::number`], [`Node::boolean`]), and it fills the typed
//! structs of the server's config (`config::server`). Rules are not read by it a second time, because that would double
//! the time of checking 10,000 rules and could only repeat what the positioned tree has found already.
//!
//! Nothing here knows a rule, reads a file or panics on any text.

pub mod docs;
pub mod escalation;
mod locate;
mod mend;
mod parse;
mod scalar;
pub mod schema;
pub mod shape;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use parse::{ALIAS_BUDGET_MAX, DEPTH_MAX, Document, FILE_BYTES_MAX, NODES_MAX, documents, parse};
pub(crate) use parse::{part, too_large};
pub use saphyr_parser::ScalarStyle;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the file; for an alias, those of what it stands for.
    pub span: Range<usize>,
}

/// The three kinds of YAML values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A string, number, boolean or null.
    Scalar {
        /// Decoded: escapes resolved, lines folded.
        value: String,
        /// How it was written.
        style: ScalarStyle,
        /// An explicit tag such as `!!str`.
        tag: Option<Box<str>>,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in file order, merge keys (`<<`) resolved; no scalar key occurs twice.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The key and value under a key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.entries()?.iter().find(|(k, _)| k.text() == Some(key)).map(|(k, v)| (k, v))
    }

    /// The value under a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Weight against the alias budget, and height. A tree is at most [`DEPTH_MAX`] high.
    fn measure(&self) -> (usize, usize) {
        let mut weight = 0usize;
        let mut height = 0;
        let mut todo = vec![(self, 1)];
        while let Some((node, level)) = todo.pop() {
            weight += 1;
            height = height.max(level);
            match &node.kind {
                Kind::Scalar { value, .. } => weight += value.len() / 64,
                Kind::Sequence(items) => todo.extend(items.iter().map(|n| (n, level + 1))),
                Kind::Mapping(pairs) => todo.extend(pairs.iter().flat_map(|(k, v)| [(k, level + 1), (v, level + 1)])),
            }
        }
        (weight, height)
    }

    /// The kind in words, for messages: "a list", "a mapping", "the number `3`".
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
            Kind::Scalar { value, .. } if self.is_null() => {
                if value.is_empty() {
                    "nothing".to_owned()
                } else {
                    format!("`{value}`")
                }
            }
            Kind::Scalar { value, .. } => {
                let short: String = value.chars().take(40).collect();
                let dots = if short.len() < value.len() { "…" } else { "" };
                let kind = if self.number().is_some() {
                    "the number"
                } else if self.boolean().is_some() {
                    "the boolean"
                } else {
                    "the text"
                };
                format!("{kind} `{short}{dots}`")
            }
        }
    }
}
