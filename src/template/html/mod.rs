//! Go's html/template: values are escaped for the place of a page at which they come out.
//!
//! Place in the flow: the evaluator hands over the text of a template and the values of its actions as they come. [`Page`]
//! follows the text through tags, attributes and comments, so that it knows the place; comments are left out. Go looks
//! at the template before it runs; following the output gives the same where a page is well formed.

mod attribute;
mod escape;
mod script;

use attribute::Content;
use escape::{Place, Quoting, UrlPart};
use script::Script;

pub(super) use escape::Escaped;

use super::value::Value;

/// Where the output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    Value,
    Comment,
    /// Within an element whose text holds no tags.
    Element,
}

/// Elements whose content is no HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Other,
    Script,
    Style,
    Textarea,
    Title,
}

impl Element {
    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "script" => Self::Script,
            "style" => Self::Style,
            "textarea" => Self::Textarea,
            "title" => Self::Title,
            _ => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Other => "",
            Self::Script => "script",
            Self::Style => "style",
            Self::Textarea => "textarea",
            Self::Title => "title",
        }
    }
}

/// A page under construction: where its output stands.
#[derive(Debug)]
pub(super) struct Page {
    state: State,
    element: Element,
    /// What the value of the attribute is, and how it is quoted.
    content: Content,
    quoting: Quoting,
    url: UrlPart,
    /// The script in which the output stands.
    script: Script,
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            state: State::Text,
            element: Element::Other,
            content: Content::Plain,
            quoting: Quoting::None,
            url: UrlPart::Start,
            script: Script::new(),
        }
    }

    /// Takes a piece of the template's text; gives what comes out.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let used = match self.state {
                State::Text => self.in_text(rest, &mut out),
                State::Tag => self.in_tag(rest, &mut out),
                State::AttributeName | State::AfterName | State::BeforeValue => self.in_attribute(rest, &mut out),
                State::Value => self.in_value(rest, &mut out),
                State::Element => self.in_element(rest, &mut out),
                State::Comment => match rest.find("-->") {
                    Some(end) => {
                        self.state = State::Text;
                        end + 3
                    }
                    None => rest.len(),
                },
            };
            // Every state takes something or changes into one that does.
            rest = rest.get(used..).unwrap_or("");
        }
        out
    }

    /// A value at this place; `escaped` says by what it went through last.
    pub(super) fn value(&mut self, value: &Value, escaped: Option<Escaped>) -> String {
        self.nudge();
        let place = match (self.state, self.element) {
            (State::Comment, _) => return String::new(),
            (State::Text, _) => Place::Text,
            (State::Element, Element::Script) => Place::Script(self.script.part),
            (State::Element, Element::Style) => Place::Style,
            (State::Element, _) => Place::RawText,
            (State::Value, _) => match self.content {
                Content::Plain => Place::Attribute,
                Content::Url => Place::Url(self.url),
                Content::Style => Place::Style,
                Content::Script => Place::Script(self.script.part),
            },
            _ => Place::Name,
        };
        if matches!(place, Place::Script(_)) {
            self.script.value();
        }
        let quoting = if self.state == State::Value { self.quoting } else { Quoting::None };
        escape::escape(value, place, quoting, escaped)
    }

    /// A value begins what the text left open: an attribute's name, or a value without quotes.
    fn nudge(&mut self) {
        match self.state {
            State::BeforeValue => self.begin_value(Quoting::Space),
            State::Tag | State::AfterName => {
                self.state = State::AttributeName;
                self.content = Content::Plain;
            }
            _ => {}
        }
    }

    fn begin_value(&mut self, quoting: Quoting) {
        (self.state, self.quoting, self.url, self.script) = (State::Value, quoting, UrlPart::Start, Script::new());
    }

    fn in_text(&mut self, text: &str, out: &mut String) -> usize {
        let Some(open) = text.find('<') else {
            out.push_str(text);
            return text.len();
        };
        let (before, tag) = text.split_at(open);
        out.push_str(before);
        if tag.starts_with("<!--") {
            self.state = State::Comment;
            return open + 4;
        }
        let closes = tag.starts_with("</");
        let start = if closes { 2 } else { 1 };
        let name = tag.get(start..).unwrap_or("");
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let doctype = tag.get(..9).is_some_and(|t| t.eq_ignore_ascii_case("<!doctype"));
            out.push_str(if doctype { "<" } else { "&lt;" });
            return open + 1;
        }
        let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '-'))).unwrap_or(name.len());
        let (name, _) = name.split_at(length);
        self.element = if closes { Element::Other } else { Element::from_name(name) };
        self.state = State::Tag;
        out.push_str(tag.get(..start + length).unwrap_or(""));
        open + start + length
    }

    fn in_tag(&mut self, text: &str, out: &mut String) -> usize {
        let space = text.len() - text.trim_start_matches(is_space).len();
        out.push_str(text.get(..space).unwrap_or(""));
        let rest = text.get(space..).unwrap_or("");
        match rest.chars().next() {
            None => space,
            Some('>') => {
                out.push('>');
                let inside = self.element != Element::Other;
                (self.state, self.script) = (if inside { State::Element } else { State::Text }, Script::new());
                space + 1
            }
            // A stray sign is no beginning of a name.
            Some('=') => {
                out.push('=');
                space + 1
            }
            Some(_) => {
                let name = rest.split(ends_name).next().unwrap_or(rest);
                out.push_str(name);
                self.content = Content::of_attribute(name);
                let open = space + name.len() == text.len();
                self.state = if open { State::AttributeName } else { State::AfterName };
                space + name.len()
            }
        }
    }

    fn in_attribute(&mut self, text: &str, out: &mut String) -> usize {
        if self.state == State::AttributeName {
            let name = text.split(ends_name).next().unwrap_or(text);
            out.push_str(name);
            if name.len() < text.len() {
                self.state = State::AfterName;
            }
            return name.len();
        }
        let space = text.len() - text.trim_start_matches(is_space).len();
        out.push_str(text.get(..space).unwrap_or(""));
        let next = text.get(space..).and_then(|rest| rest.chars().next());
        match (self.state, next) {
            (_, None) => space,
            (State::AfterName, Some('=')) => {
                out.push('=');
                self.state = State::BeforeValue;
                space + 1
            }
            (State::AfterName, Some(_)) => {
                self.state = State::Tag;
                space
            }
            (_, Some(quote @ ('"' | '\''))) => {
                out.push(quote);
                self.begin_value(if quote == '"' { Quoting::Double } else { Quoting::Single });
                space + 1
            }
            (_, Some(_)) => {
                self.begin_value(Quoting::Space);
                space
            }
        }
    }

    fn in_value(&mut self, text: &str, out: &mut String) -> usize {
        let ends = |c: char| match self.quoting {
            Quoting::Double => c == '"',
            Quoting::Single => c == '\'',
            Quoting::Space | Quoting::None => is_space(c) || c == '>',
        };
        let length = text.find(ends).unwrap_or(text.len());
        let (inside, rest) = text.split_at(length);
        out.push_str(inside);
        match self.content {
            Content::Url if inside.contains(['?', '#']) => self.url = UrlPart::Query,
            Content::Url if self.url == UrlPart::Start && !inside.trim().is_empty() => self.url = UrlPart::Path,
            Content::Script => self.script.follow(inside),
            _ => {}
        }
        if rest.is_empty() {
            return length;
        }
        self.state = State::Tag;
        if self.quoting == Quoting::Space {
            return length;
        }
        out.push_str(rest.get(..1).unwrap_or(""));
        length + 1
    }

    fn in_element(&mut self, text: &str, out: &mut String) -> usize {
        let end = end_of(text, self.element);
        let (inside, _) = text.split_at(end.unwrap_or(text.len()));
        match self.element {
            Element::Textarea | Element::Title => out.push_str(&inside.replace('<', "&lt;")),
            Element::Script => {
                self.script.follow(inside);
                out.push_str(inside);
            }
            _ => out.push_str(inside),
        }
        if end.is_some() {
            (self.state, self.element) = (State::Text, Element::Other);
        }
        inside.len()
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

fn ends_name(c: char) -> bool {
    is_space(c) || matches!(c, '=' | '>')
}

/// Where the end tag of an element begins.
fn end_of(text: &str, element: Element) -> Option<usize> {
    let name = element.name();
    text.match_indices("</").map(|(at, _)| at).find(|at| {
        let tag = text.get(at + 2..).unwrap_or("");
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(|c| is_space(c) || matches!(c, '>' | '/'));
        tag.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name)) && tag.get(name.len()..).is_some_and(ends)
    })
}
