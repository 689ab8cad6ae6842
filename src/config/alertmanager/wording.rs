//! How the receivers of an `alertmanager.yml` word a message: trees of templates in the form of what is sent.
//!
//! Place in the flow: made when the file is read; `notify` renders them for a notice. Nothing here renders.

use std::sync::Arc;

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
    /// Longest body in bytes; 0: no limit.
    pub bytes_max: usize,
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
    Word(String),
    /// The same at any time.
    Flag(bool),
    /// The same at any time.
    Number(i64),
    /// JSON's null.
    Null,
    /// Fields in order.
    Object(Vec<(String, Part)>),
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
    /// Longest output in characters; 0: any.
    pub chars_max: usize,
    /// Words that it must give; the first one stands for any other.
    pub one_of: &'static [&'static str],
    /// Whether it tells what happened: then a plain text takes its place where it fails.
    pub tells: bool,
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
    /// The subject.
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

impl Part {
    /// An object of these fields.
    pub(super) fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, part)| (name.to_owned(), part)).collect())
    }

    /// Left out where it is empty.
    pub(super) fn optional(self) -> Self {
        Self::Optional(Box::new(self))
    }
}
