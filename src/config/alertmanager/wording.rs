//! How the receivers of an `alertmanager.yml` word a message: trees of templates in the form of what is sent.
//!
//! Place in the flow: made when the file is read; `notify` renders them for a notice. Nothing here renders.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::template::{Manner, Template};

/// What a receiver says: the body of a request, or a mail.
#[derive(Debug, PartialEq, Eq)]
pub struct Wording {
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// What is sent while something fires, and where `resolved` is missing also when all is over.
    pub firing: Part,
    /// What is sent when all is over.
    pub resolved: Option<Part>,
    /// Most alerts that templates see; 0: all.
    pub alerts_max: usize,
    /// The texts of the template files: templates call each other by name, so another file is another wording.
    pub files: Arc<[String]>,
}

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// A text.
    Text(Text),
    /// What a text reads as in YAML: a number, a list; the text itself where it reads as none.
    Typed(Text),
    /// The same at any time.
    Json(Json),
    /// Fields in order.
    Object(Vec<(String, Part)>),
    /// Fields whose names are templates too.
    Tree(Vec<(Text, Part)>),
    /// Items in order.
    List(Vec<Part>),
    /// Left out where it is empty.
    Optional(Box<Part>),
    /// The items of a text with commas between them, without empty ones.
    Items(Text),
    /// The same, each as the responder that is a team: within a list.
    Teams(Text),
    /// An item of a list, left out where this field of it is empty.
    With(&'static str, Box<Part>),
    /// One thing while something fires, another when all is over.
    ByStatus(Box<Part>, Box<Part>),
    /// The hash of the group's key, by which a receiver knows an incident again.
    Group,
    /// The common labels, and these fields.
    CommonLabels(Vec<(String, Part)>),
    /// The whole message, as Alertmanager's webhooks get it.
    Message,
    /// A secret or parameter of the handler.
    Parameter(&'static str),
}

/// A template with what is done about its output.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// The template.
    pub template: Template,
    /// As text, or as a page.
    pub manner: Manner,
    /// Longest output.
    pub longest: Longest,
    /// Words that it must give; the first one stands for any other.
    pub one_of: &'static [&'static str],
    /// What stands for an output of blanks; then those around any other are left out.
    pub if_blank: Option<&'static str>,
    /// Whether it tells what happened: then a plain text takes its place where it fails.
    pub tells: bool,
}

/// How long a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Longest {
    /// As long as it is.
    Any,
    /// So many characters.
    Chars(usize),
    /// So many bytes.
    Bytes(usize),
}

impl Longest {
    /// The shorter of this and so many characters; where it counts bytes, so many of them.
    #[must_use]
    pub fn min(self, max: usize) -> Self {
        match self {
            Self::Any => Self::Chars(max),
            Self::Chars(own) => Self::Chars(own.min(max)),
            Self::Bytes(own) => Self::Bytes(own.min(max)),
        }
    }
}

impl fmt::Display for Longest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any length"),
            Self::Chars(max) => write!(f, "{max} characters"),
            Self::Bytes(max) => write!(f, "{max} bytes"),
        }
    }
}

/// A mail's templates.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// Recipients, where they depend on the message.
    pub to: Option<Text>,
    /// Sender, where it depends on the message.
    pub from: Option<Text>,
    /// The subject; one that fails is that of mails of alertd's own.
    pub subject: Text,
    /// Further headers.
    pub headers: Vec<(String, Text)>,
    /// The page, if it has one.
    pub html: Option<Text>,
    /// The text, if it has one.
    pub text: Option<Text>,
    /// The texts of the template files.
    pub files: Arc<[String]>,
}

impl Text {
    /// The same of at most so many characters.
    pub(super) fn chars(self, max: usize) -> Self {
        Self { longest: Longest::Chars(max), ..self }
    }

    /// The same of at most so many bytes.
    pub(super) fn bytes(self, max: usize) -> Self {
        Self { longest: Longest::Bytes(max), ..self }
    }

    /// The same as one that tells what happened.
    pub(super) fn telling(self) -> Self {
        Self { tells: true, ..self }
    }
}

impl From<Text> for Part {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl Part {
    /// The same at any time: a word, a number, a flag.
    pub(super) fn always(value: impl Into<Json>) -> Self {
        Self::Json(value.into())
    }

    /// One while something fires, the other when all is over.
    pub(super) fn by_status(firing: impl Into<Json>, resolved: impl Into<Json>) -> Self {
        Self::ByStatus(Box::new(Self::always(firing)), Box::new(Self::always(resolved)))
    }

    /// An object of these fields.
    pub(super) fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, part)| (name.to_owned(), part)).collect())
    }

    /// Left out where it is empty.
    pub(super) fn optional(self) -> Self {
        Self::Optional(Box::new(self))
    }
}

/// The template that stands for a key where nothing is written.
pub(super) fn default_of(receiver: &str, name: &str) -> String {
    format!("{{{{ template \"{receiver}.default.{name}\" . }}}}")
}
