//! What a file may contain, as data: one table of keys is the reader's list of known keys, the JSON Schema and the manual.
//!
//! [`check`] compares a tree with a shape and reports everything that can be said without knowing what a rule means:
//! unknown keys, wrong types, missing keys, numbers out of range, durations that are none.

use std::ops::Range;
use std::sync::Arc;

use serde_yaml::Value;

use super::Node;
use crate::diag::{Diagnostic, Fix, SourceFile, certain, suggest};
use crate::model::parse_duration;

/// A mapping with known keys.
#[derive(Debug)]
pub struct Shape {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// Its keys, in the order of the manual.
    pub keys: &'static [Key],
}

/// A key of a mapping.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What stands under it.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What holds where it is missing; empty if nothing does.
    pub default: &'static str,
    /// A value, as YAML on one line.
    pub example: &'static str,
    /// What it means: the hover text of editors and the line of the manual.
    pub doc: &'static str,
}

impl Key {
    /// An optional key without a default.
    pub const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, required: false, default: "", example, doc }
    }

    /// The same key with a default.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// The same key, which must be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// What may stand under a key.
#[derive(Debug)]
pub enum Kind {
    /// Any text; numbers and booleans count as their text.
    Text,
    /// A text in a language of its own (named): the reader of that language judges it.
    Language(&'static str),
    /// A Prometheus duration.
    Duration,
    /// A number in a range, ends included.
    Number(f64, f64),
    /// A whole number in a range, ends included.
    Integer(u64, u64),
    /// `true` or `false`.
    Boolean,
    /// A byte count with a unit, such as `10MB`.
    Size,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A mapping with free keys.
    Map(&'static Kind),
    /// A mapping whose keys are some words.
    MapOf(&'static [&'static str], &'static Kind),
    /// A mapping with known keys.
    Object(&'static Shape),
    /// The same without the keys that must be there.
    Partial(&'static Shape),
    /// Any value, also none: not judged.
    Any,
    /// Any of these; the first one whose outer form fits judges.
    Either(&'static [Kind]),
    /// A key that is known from elsewhere and has no effect here: an error with this help, never silently ignored.
    Unsupported(&'static str),
}

impl Kind {
    /// What is expected, for messages: "a duration".
    pub fn expected(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Language(name) => format!("{} {name}", article(name)),
            Self::Duration => "a duration".to_owned(),
            Self::Number(..) => "a number".to_owned(),
            Self::Integer(..) => "a whole number".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Size => "a size".to_owned(),
            Self::OneOf(words) => format!("one of {}", listed(words)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) | Self::MapOf(..) | Self::Object(_) | Self::Partial(_) => "a mapping".to_owned(),
            Self::Any => "any value".to_owned(),
            Self::Either(kinds) => kinds.iter().map(Self::expected).collect::<Vec<_>>().join(" or "),
            Self::Unsupported(_) => "nothing".to_owned(),
        }
    }

    /// Whether a value has the outer form: scalar, list or mapping.
    fn fits(&self, node: &Node) -> bool {
        match self {
            Self::List(_) => node.items().is_some(),
            Self::Map(_) | Self::MapOf(..) | Self::Object(_) | Self::Partial(_) => node.entries().is_some(),
            Self::Either(kinds) => kinds.iter().any(|kind| kind.fits(node)),
            Self::Any | Self::Unsupported(_) => true,
            _ => node.text().is_some() && !node.is_null(),
        }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

/// Words for a message: `` `a`, `b` ``.
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Compares a value with what is expected under a key, and reports what is wrong.
pub fn check(file: &Arc<SourceFile>, node: &Node, key: &Key, out: &mut Vec<Diagnostic>) {
    Checker { file, out }.value(node, &key.kind, key);
}

/// Compares the root of a file with its shape.
pub fn check_root(file: &Arc<SourceFile>, root: &Node, shape: &'static Shape, out: &mut Vec<Diagnostic>) {
    let mut checker = Checker { file, out };
    if root.entries().is_some() {
        checker.object(root, shape, true);
    } else {
        let known: Vec<&str> = shape.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
        checker.out.push(
            Diagnostic::error(
                "A011",
                file,
                root.span.clone(),
                format!("the file must be a mapping, not {}", root.describe()),
            )
            .with_label("expected keys")
            .with_help(format!("begin with {}", listed(if known.is_empty() { &["rules"] } else { &known }))),
        );
    }
}

/// Compares the keys that are there with a shape; missing keys are not looked for.
pub fn check_known(file: &Arc<SourceFile>, node: &Node, shape: &'static Shape, out: &mut Vec<Diagnostic>) {
    Checker { file, out }.object(node, shape, false);
}

/// Where to point when a key is missing: at the mapping's `name`, else at its first key.
pub fn anchor(node: &Node) -> Range<usize> {
    let first = || node.entries().and_then(|entries| entries.first()).map(|(key, _)| key.span.clone());
    node.entry("name").map(|(key, _)| key.span.clone()).or_else(first).unwrap_or_else(|| node.span.clone())
}

struct Checker<'a> {
    file: &'a Arc<SourceFile>,
    out: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn error(&mut self, code: &'static str, node: &Node, message: String, label: String) -> &mut Diagnostic {
        let place = place_of(node);
        self.out.push(Diagnostic::error(code, self.file, place, message).with_label(label));
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    fn value(&mut self, node: &Node, kind: &Kind, key: &Key) {
        let name = key.name;
        if let Kind::Unsupported(help) = kind {
            self.error("A019", node, format!("`{name}` is not supported"), "has no effect here".to_owned()).help =
                Some((*help).to_owned());
            return;
        }
        if !kind.fits(node) {
            let message = format!("`{name}` must be {}, not {}", kind.expected(), node.describe());
            let template =
                node.entries().is_some() && self.file.text.get(node.span.start..).is_some_and(|t| t.starts_with("{{"));
            let help = if template {
                "a text that begins with `{{` must be put in quotes".to_owned()
            } else {
                format!("for example `{}`", sample(key))
            };
            self.error("A011", node, message, format!("expected {}", kind.expected())).help = Some(help);
            return;
        }
        match kind {
            Kind::Text | Kind::Language(_) | Kind::Any | Kind::Unsupported(_) => {}
            Kind::Duration => self.duration(node, key),
            Kind::Number(low, high) => {
                let found = node.number();
                self.number(node, key, found, (*low, *high));
            }
            Kind::Integer(low, high) => {
                let found = node.integer().map(|n| n as f64).or_else(|| node.number().filter(|n| n.fract() == 0.0));
                self.number(node, key, found, (*low as f64, *high as f64));
            }
            Kind::Boolean => self.boolean(node, key),
            Kind::Size => self.size(node, key),
            Kind::OneOf(words) => self.one_of(node, words, key),
            Kind::List(inner) => node.items().unwrap_or_default().iter().for_each(|n| self.value(n, inner, key)),
            Kind::Map(inner) => {
                for (k, value) in node.entries().unwrap_or_default() {
                    self.free_key(k, key);
                    self.value(value, inner, key);
                }
            }
            Kind::MapOf(words, inner) => {
                for (k, value) in node.entries().unwrap_or_default() {
                    self.one_of(k, words, key);
                    self.value(value, inner, key);
                }
            }
            Kind::Object(shape) => self.object(node, shape, true),
            Kind::Partial(shape) => self.object(node, shape, false),
            Kind::Either(kinds) => {
                if let Some(kind) = kinds.iter().find(|kind| kind.fits(node)) {
                    self.value(node, kind, key);
                }
            }
        }
    }

    fn free_key(&mut self, node: &Node, key: &Key) {
        if node.text().is_none_or(str::is_empty) {
            let message = format!("a key under `{}` must be a text, not {}", key.name, node.describe());
            self.error("A011", node, message, "expected a text".to_owned());
        }
    }

    fn object(&mut self, node: &Node, shape: &'static Shape, whole: bool) {
        for (key_node, value) in node.entries().unwrap_or_default() {
            let name = key_node.text().unwrap_or_default();
            match shape.keys.iter().find(|key| key.name == name) {
                Some(key) => self.value(value, &key.kind, key),
                None => self.unknown(key_node, name, node, shape),
            }
        }
        for key in shape.keys.iter().filter(|key| whole && key.required) {
            if node.entry(key.name).is_none() {
                let message = format!("`{}` is missing", key.name);
                self.out.push(
                    Diagnostic::error("A012", self.file, anchor(node), message)
                        .with_help(format!("add `{}: {}`", key.name, key.example)),
                );
            }
        }
    }

    fn unknown(&mut self, key: &Node, name: &str, parent: &Node, shape: &Shape) {
        let known = shape.keys.iter().map(|k| k.name).filter(|k| parent.entry(k).is_none());
        let meant = suggest(name, known).or_else(|| suggest(name, shape.keys.iter().map(|k| k.name)));
        let shown: String = name.chars().take(60).collect();
        let message = format!("unknown key `{shown}` in {} {}", article(shape.name), shape.name);
        let (label, help) = match meant {
            Some(meant) => (format!("did you mean `{meant}`?"), None),
            None => {
                let names: Vec<&str> = shape.keys.iter().map(|k| k.name).collect();
                ("not known here".to_owned(), Some(format!("known keys are {}", listed(&names))))
            }
        };
        let missing = shape.keys.iter().map(|k| k.name).filter(|k| parent.entry(k).is_none());
        let right = certain(name, missing).filter(|right| Some(*right) == meant);
        let fix = right.and_then(|right| self.replaced(key, name, right));
        let found = self.error("A010", key, message, label);
        (found.help, found.fix) = (help, fix);
    }

    /// A word in the place of another, where the file has it letter by letter.
    fn replaced(&self, node: &Node, wrong: &str, right: &str) -> Option<Fix> {
        let span = node.locate(&self.file.text, 0..wrong.len());
        (self.file.text.get(span.clone()) == Some(wrong)).then(|| Fix::replace(span, right))
    }

    fn duration(&mut self, node: &Node, key: &Key) {
        let text = node.text().unwrap_or_default();
        let Err(error) = parse_duration(text) else { return };
        let help = if text.bytes().all(|b| b.is_ascii_digit()) {
            format!("add a unit: `{text}s`, `{text}m` or `{text}h`")
        } else {
            "write whole numbers with the units y, w, d, h, m, s, ms in that order, such as `1h30m`".to_owned()
        };
        let label = format!("expected a duration such as `{}`", sample(key));
        self.error("A014", node, format!("`{}`: {error}", key.name), label).help = Some(help);
    }

    fn number(&mut self, node: &Node, key: &Key, found: Option<f64>, (low, high): (f64, f64)) {
        let Some(number) = found else {
            let message = format!("`{}` must be {}, not {}", key.name, key.kind.expected(), node.describe());
            self.error("A011", node, message, format!("expected {}", key.kind.expected())).help =
                Some(format!("for example `{}`", sample(key)));
            return;
        };
        if !(low..=high).contains(&number) {
            let range = match (low.is_finite(), high < 1e15) {
                (true, true) => format!("between {low} and {high}"),
                (true, false) => format!("at least {low}"),
                _ => format!("at most {high}"),
            };
            self.error(
                "A015",
                node,
                format!("`{}` must be {range}, not {number}", key.name),
                format!("expected {range}"),
            );
        }
    }

    fn boolean(&mut self, node: &Node, key: &Key) {
        if node.boolean().is_some() {
            return;
        }
        let text = node.text().unwrap_or_default().to_ascii_lowercase();
        let message = format!("`{}` must be `true` or `false`, not {}", key.name, node.describe());
        let help = match text.as_str() {
            "yes" | "on" | "y" | "true" => Some("write `true` without quotes".to_owned()),
            "no" | "off" | "n" | "false" => Some("write `false` without quotes".to_owned()),
            _ => None,
        };
        let word = help.as_ref().map(|help| if help.contains("`true`") { "true" } else { "false" });
        let fix = word.map(|word| Fix::replace(node.span.clone(), word));
        let found = self.error("A011", node, message, "expected `true` or `false`".to_owned());
        (found.help, found.fix) = (help, fix);
    }

    fn size(&mut self, node: &Node, key: &Key) {
        if parse_size(node.text().unwrap_or_default()).is_none() {
            let message = format!("`{}` must be a size, not {}", key.name, node.describe());
            self.error("A011", node, message, "expected a size such as `10MB`".to_owned()).help =
                Some("units are B, KB, MB and GB, each 1024 of the one before".to_owned());
        }
    }

    fn one_of(&mut self, node: &Node, words: &[&str], key: &Key) {
        let text = node.text().unwrap_or_default();
        if words.contains(&text) {
            return;
        }
        let shown: String = text.chars().take(60).collect();
        let label = match suggest(text, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected one of {}", listed(words)),
        };
        let fix = certain(text, words.iter().copied()).and_then(|right| self.replaced(node, text, right));
        let found = self.error("A013", node, format!("`{shown}` is no value of `{}`", key.name), label);
        (found.help, found.fix) = (Some(format!("one of {}", listed(words))), fix);
    }
}

/// An empty value is pointed at right behind its key, other values where they stand.
fn place_of(node: &Node) -> Range<usize> {
    node.span.clone()
}

/// The example as `key: value`.
fn sample(key: &Key) -> String {
    if matches!(key.kind, Kind::Duration) { key.example.to_owned() } else { format!("{}: {}", key.name, key.example) }
}

/// A tree as a `serde_yaml` value, scalars typed as their keys say: `cluster: 1` under a key that takes texts is a text.
pub fn to_value(node: &Node, shape: &'static Shape) -> Value {
    typed(node, &Kind::Partial(shape))
}

fn typed(node: &Node, kind: &Kind) -> Value {
    let text = |node: &Node| Value::String(node.text().unwrap_or_default().to_owned());
    let entries = |of: &dyn Fn(&Node, &Node) -> Value| {
        let pairs = node.entries().unwrap_or_default().iter();
        Value::Mapping(pairs.map(|(key, value)| (text(key), of(key, value))).collect())
    };
    match kind {
        Kind::Text | Kind::Language(_) | Kind::Duration | Kind::Size | Kind::OneOf(_) => text(node),
        Kind::List(inner) => {
            Value::Sequence(node.items().unwrap_or_default().iter().map(|n| typed(n, inner)).collect())
        }
        Kind::Map(inner) | Kind::MapOf(_, inner) => entries(&|_, value| typed(value, inner)),
        Kind::Object(shape) | Kind::Partial(shape) => entries(&|key, value| {
            let known = shape.keys.iter().find(|known| key.text() == Some(known.name));
            known.map_or_else(|| value.to_value(), |known| typed(value, &known.kind))
        }),
        Kind::Either(kinds) => {
            kinds.iter().find(|kind| kind.fits(node)).map_or_else(|| node.to_value(), |k| typed(node, k))
        }
        Kind::Number(..) | Kind::Integer(..) | Kind::Boolean | Kind::Any | Kind::Unsupported(_) => node.to_value(),
    }
}

/// Bytes of a size with a unit: `512`, `10MB`, `1GiB`.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let shift = match text.get(digits..)?.trim_start() {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}
