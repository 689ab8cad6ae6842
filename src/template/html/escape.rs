//! How a value is written at a place of a page, so that it can act nowhere (html/template: html.go, url.go, css.go, js.go).

use std::fmt::Write as _;

use super::script::Part;
use crate::template::format::{self, Sink};
use crate::template::json;
use crate::template::safe::{Kind, Safe};
use crate::template::value::Value;

/// What stands for a value that could act at its place, as in Go.
const FAILSAFE: &str = "ZgotmplZ";
/// Longest value that is printed; the output has a limit of its own.
const VALUE_BYTES_MAX: usize = 8 << 20;

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Text,
    /// The text of a title or a text area.
    RawText,
    Attribute,
    Url(UrlPart),
    Style,
    Script(Part),
    /// The name of an attribute.
    Name,
}

/// How the attribute around a value is quoted; none outside of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    None,
    Double,
    Single,
    Space,
}

/// The part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlPart {
    Start,
    Path,
    Query,
}

/// The function of text/template that a value went through last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::template) enum Escaped {
    Html,
    UrlQuery,
}

impl Escaped {
    /// By the function's name.
    pub(in crate::template) fn by(function: &str) -> Option<Self> {
        match function {
            "html" => Some(Self::Html),
            "urlquery" => Some(Self::UrlQuery),
            _ => None,
        }
    }
}

/// The value as it stands in the page.
pub(super) fn escape(value: &Value, place: Place, quoting: Quoting, escaped: Option<Escaped>) -> String {
    let text = match value {
        Value::Nil => String::new(),
        Value::Str(text) => text.to_string(),
        other => {
            let mut text = String::new();
            let mut sink = Sink::new(&mut text, VALUE_BYTES_MAX);
            format::print(&mut sink, std::slice::from_ref(other));
            text
        }
    };
    let safe = Safe::kind_of(value);
    // Without quotes around it, a text that was escaped for elements could still begin an attribute of its own.
    let html_done = escaped == Some(Escaped::Html) && quoting != Quoting::Space;
    match place {
        Place::Text if safe == Some(Kind::Html) => text,
        Place::Text | Place::RawText | Place::Attribute if html_done => text,
        Place::Text => replace(&text, Set::FULL),
        Place::RawText => replace(&text, Set { amp: safe != Some(Kind::Html), ..Set::FULL }),
        Place::Attribute if safe == Some(Kind::Html) => quoted(&without_tags(&text), quoting, false),
        Place::Attribute => quoted(&text, quoting, escaped != Some(Escaped::Html)),
        Place::Url(part) => in_attribute(&url(&text, part, safe == Some(Kind::Url), escaped), quoting),
        Place::Style => in_attribute(&style(&text), quoting),
        Place::Script(Part::Code) => in_attribute(&script(value), quoting),
        Place::Script(Part::String(quote)) => in_attribute(&script_string(&text, quote == '`'), quoting),
        Place::Script(Part::Regexp { .. }) => in_attribute(&script_regexp(&text), quoting),
        Place::Script(Part::LineComment | Part::BlockComment) => String::new(),
        Place::Name => name(&text),
    }
}

/// Which characters are replaced.
#[derive(Clone, Copy)]
struct Set {
    /// The sign that begins a reference.
    amp: bool,
    /// What ends a value without quotes.
    space: bool,
}

impl Set {
    const FULL: Self = Self { amp: true, space: false };
}

fn in_attribute(text: &str, quoting: Quoting) -> String {
    if quoting == Quoting::None { text.to_owned() } else { quoted(text, quoting, true) }
}

/// A value of an attribute; `amp`: it holds no references yet.
fn quoted(text: &str, quoting: Quoting, amp: bool) -> String {
    match quoting {
        Quoting::Space if text.is_empty() => FAILSAFE.to_owned(),
        _ => replace(text, Set { amp, space: quoting == Quoting::Space }),
    }
}

fn replace(text: &str, set: Set) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '&' if set.amp => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '+' => out.push_str("&#43;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' if set.space => {
                // Writing to a String cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// The text of HTML without its tags.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        match tag.find('>') {
            Some(close) => rest = tag.get(close + 1..).unwrap_or(""),
            None => rest = "",
        }
    }
    out.push_str(rest);
    out
}

fn url(text: &str, part: UrlPart, safe: bool, escaped: Option<Escaped>) -> String {
    match part {
        UrlPart::Start if !safe && acts(text) => format!("#{FAILSAFE}"),
        UrlPart::Start | UrlPart::Path => percent(text, true),
        UrlPart::Query if escaped == Some(Escaped::UrlQuery) => text.to_owned(),
        UrlPart::Query => percent(text, safe),
    }
}

/// Whether an address has a scheme that may do more than show a page.
fn acts(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            !["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}

/// Percent-encodes; `normal` leaves what is encoded already and what has a meaning in addresses.
fn percent(text: &str, normal: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        let hex = |n: usize| bytes.get(at + n).is_some_and(u8::is_ascii_hexdigit);
        let keeps = match byte {
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' | b'[' | b']' => {
                normal
            }
            b'%' => normal && hex(1) && hex(2),
            other => other.is_ascii_alphanumeric(),
        };
        if keeps {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// A value of a style: no quotes, brackets or comments.
fn style(text: &str) -> String {
    let mut name = String::new();
    let mut previous = ' ';
    for c in text.chars() {
        let forbidden = matches!(
            c,
            '\0' | '"' | '\'' | '(' | ')' | '/' | ';' | '@' | '[' | '\\' | ']' | '`' | '{' | '}' | '<' | '>'
        );
        if forbidden || (c == '-' && previous == '-') {
            return FAILSAFE.to_owned();
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            name.push(c.to_ascii_lowercase());
        }
        previous = c;
    }
    if name.contains("expression") || name.contains("mozbinding") { FAILSAFE.to_owned() } else { text.to_owned() }
}

/// A value of a script: JSON, with a blank on both sides where it is a word.
fn script(value: &Value) -> String {
    let mut text = String::new();
    json::write(&mut Sink::new(&mut text, VALUE_BYTES_MAX), &value.plain());
    let word = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    if word { format!(" {text} ") } else { text.replace('\'', "\\u0027") }
}

/// A value of a string; in a template literal nothing of it may begin an expression.
fn script_string(text: &str, in_literal: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '"' | '\'' | '`' | '&' | '+' | '<' | '>' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            '$' | '{' | '}' if in_literal => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// A value of a regular expression, which it stands for itself in: no sign has a meaning.
fn script_regexp(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || !(c.is_ascii() || matches!(c, '\u{2028}' | '\u{2029}')) {
            out.push(c);
        } else {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
    }
    if out.is_empty() { "(?:)".to_owned() } else { out }
}

/// A name of an attribute: of letters and digits, and none that has an effect.
fn name(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let plain = !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let acts = super::attribute::Content::of_attribute(&lower) != super::attribute::Content::Plain;
    if plain && !acts { lower } else { FAILSAFE.to_owned() }
}
