//! Texts in which secrets may stand: `${env:NAME}` and `${file:PATH}`, kept unresolved.
//!
//! A checked file never causes a secret to be read: whoever needs the text resolves it, when it is needed. Printing one
//! for debugging shows the references and hides everything else.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// A text with references to secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretText {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference(Reference),
}

/// A reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An environment variable.
    Env(String),
    /// A file; a line end at its end is no part of the secret.
    File(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
        }
    }
}

/// Why a text is no text with references.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SecretError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
}

impl SecretText {
    /// Reads a text. `$` has no meaning but before `{`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find("${").map(|i| at + i) {
            if open > at {
                parts.push(Part::Literal(text[at..open].to_owned()));
            }
            let fail = |end: usize, message: &str| Err(SecretError { span: open..end, message: message.to_owned() });
            let Some(close) = text[open..].find('}').map(|i| open + i) else {
                return fail(text.len(), "the reference is not closed by `}`");
            };
            let reference = match text[open + 2..close].split_once(':') {
                Some(("env", name)) if is_variable(name) => Reference::Env(name.to_owned()),
                Some(("env", _)) => return fail(close + 1, "this is no name of an environment variable"),
                Some(("file", path)) if !path.trim().is_empty() && !path.contains('\0') => {
                    Reference::File(path.to_owned())
                }
                Some(("file", _)) => return fail(close + 1, "the reference names no file"),
                _ => return fail(close + 1, "this is no reference to a secret"),
            };
            parts.push(Part::Reference(reference));
            at = close + 1;
        }
        if at < text.len() {
            parts.push(Part::Literal(text[at..].to_owned()));
        }
        Ok(Self { parts })
    }

    /// A text without references, whatever stands in it.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Literal(text.to_owned())] }
    }

    /// What stands in a file.
    pub fn of_file(path: &str) -> Self {
        Self { parts: vec![Part::Reference(Reference::File(path.to_owned()))] }
    }

    /// Several in a row.
    pub fn joined(texts: impl IntoIterator<Item = Self>) -> Self {
        Self { parts: texts.into_iter().flat_map(|text| text.parts).collect() }
    }

    /// The text, where nothing of it is read from elsewhere.
    pub fn written(&self) -> Option<String> {
        self.resolve(|_| Err(())).ok()
    }

    /// The references in it, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// The text with every reference replaced by what `read` gives for it; its first error ends the reading.
    pub fn resolve<E>(&self, mut read: impl FnMut(&Reference) -> Result<String, E>) -> Result<String, E> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Reference(reference) => out.push_str(read(reference)?.trim_end_matches(['\r', '\n'])),
            }
        }
        Ok(out)
    }
}

fn is_variable(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in &self.parts {
            match part {
                Part::Literal(_) => f.write_str("…")?,
                Part::Reference(reference) => write!(f, "{reference}")?,
            }
        }
        f.write_str("\"")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
