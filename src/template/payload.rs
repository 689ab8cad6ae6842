//! Templates of payloads: minijinja with a budget, for the bodies that handlers send.
//!
//! A template is given everything it may read; there is no loader, no file and no clock. Fuel bounds time and memory,
//! the output has a limit, and both end a rendering with an error that the caller answers with its default text.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io;
use std::ops::Range;

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::model::visible::acts;

/// What one rendering may use: one unit an instruction, one every 64 bytes a template makes, one every 4 bytes of
/// `tojson`.
pub const PAYLOAD_FUEL_MAX: u64 = 8_000_000;
/// Longest output, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;
/// Longest template, in bytes.
pub const PAYLOAD_TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of calls.
const RECURSION_MAX: usize = 64;
const NAME: &str = "payload";

/// Why a template cannot be read or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PayloadError {
    /// What is wrong.
    pub message: String,
    /// Where in the template; empty at its start where the place is not known.
    pub span: Range<usize>,
}

/// A template that has been read.
pub struct Payload {
    env: Environment<'static>,
    source: String,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.source.len())
    }
}

/// Two templates of one text are the same.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Payload {}

impl Payload {
    /// Reads a template.
    pub fn parse(source: &str) -> Result<Self, PayloadError> {
        if source.len() > PAYLOAD_TEMPLATE_BYTES_MAX {
            let message = format!("the template is longer than {PAYLOAD_TEMPLATE_BYTES_MAX} bytes");
            return Err(PayloadError { message, span: 0..0 });
        }
        let mut env = environment();
        env.add_template_owned(NAME, source.to_owned()).map_err(|error| told(&error, source))?;
        Ok(Self { env, source: source.to_owned() })
    }

    /// The text of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names it reads that are not its own.
    pub fn reads(&self) -> BTreeSet<String> {
        let globals: BTreeSet<&str> = self.env.globals().map(|(name, _)| name).collect();
        let Ok(template) = self.env.get_template(NAME) else { return BTreeSet::new() };
        // A set of a hash: sorted here, so that findings come in one order.
        let read: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
        read.into_iter().filter(|name| !globals.contains(name.as_str())).collect()
    }

    /// The same with the fields that are read of them: `params.channel`.
    pub fn reads_fields(&self) -> BTreeSet<String> {
        let Ok(template) = self.env.get_template(NAME) else { return BTreeSet::new() };
        template.undeclared_variables(true).into_iter().collect()
    }

    /// Where a name stands first, as a word within a tag.
    pub fn place_of(&self, name: &str) -> Range<usize> {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let found = self.source.match_indices(name).find(|(at, _)| {
            let before = self.source[..*at].chars().next_back();
            let after = self.source[at + name.len()..].chars().next();
            let tag = self.source[..*at].rfind("{{").max(self.source[..*at].rfind("{%"));
            let closed = self.source[..*at].rfind("}}").max(self.source[..*at].rfind("%}"));
            tag > closed && !before.is_some_and(|c| word(c) || c == '.') && !after.is_some_and(word)
        });
        found.map_or(0..0, |(at, name)| at..at + name.len())
    }

    /// Renders it. The message of an error may hold values of the context.
    pub fn render(&self, context: &Value) -> Result<String, PayloadError> {
        let mut out = Capped::default();
        let template = self.env.get_template(NAME).map_err(|error| told(&error, &self.source))?;
        match template.render_captured_to(context.clone(), &mut out) {
            Ok(_) => {}
            Err(_) if out.full => {
                let message = format!("the output is longer than {PAYLOAD_BYTES_MAX} bytes");
                return Err(PayloadError { message, span: 0..0 });
            }
            Err(error) => return Err(told(&error, &self.source)),
        }
        String::from_utf8(out.bytes)
            .map_err(|_| PayloadError { message: "the output is no UTF-8".to_owned(), span: 0..0 })
    }
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > PAYLOAD_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other("full"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error without what minijinja knows of the context: that may hold secrets.
fn told(error: &Error, source: &str) -> PayloadError {
    let detail = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too long: is there an endless loop?".to_owned(),
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    let span = error.range().filter(|range| range.end <= source.len() && range.start <= range.end);
    let line = || {
        let line = error.line()?.checked_sub(1)?;
        let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
        Some(start..start + source.get(start..)?.lines().next().map_or(0, str::len))
    };
    PayloadError { message: detail, span: span.or_else(line).unwrap_or(0..0) }
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_debug(true);
    env.set_fuel(Some(PAYLOAD_FUEL_MAX));
    env.set_recursion_limit(RECURSION_MAX);
    // A label that one alert lacks is empty, as in Prometheus's templates; the check tells of unknown names.
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    // Prints the whole context, secrets included.
    env.remove_global("debug");
    env.add_filter("limit", |value: &Value, max: usize| limited(pieces(&text(value), |_| None), max));
    env.add_filter("limit_bytes", |value: &Value, max: usize| limited_bytes(&text(value), max));
    env.add_filter("plain", |value: &Value, max: Option<usize>| escaped(value, max, |_| None));
    env.add_filter("mrkdwn", |value: &Value, max: Option<usize>| escaped(value, max, mrkdwn));
    env.add_filter("html", |value: &Value, max: Option<usize>| escaped(value, max, html));
    env.add_filter("markdown", |value: &Value, max: Option<usize>| escaped(value, max, markdown));
    env.add_function("fail", |message: String, _: Kwargs| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    env
}

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_undefined() || value.is_none() => String::new(),
        None => value.to_string(),
    }
}

/// Slack: these three, and nothing else (docs.slack.dev, formatting message text).
fn mrkdwn(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

fn html(c: char) -> Option<&'static str> {
    if c == '"' { Some("&quot;") } else { mrkdwn(c) }
}

/// Markdown of Discord, Teams, Mattermost and Webex. The invisible space behind `@` keeps `@everyone` from calling.
fn markdown(c: char) -> Option<&'static str> {
    Some(match c {
        '\\' => "\\\\",
        '*' => "\\*",
        '_' => "\\_",
        '~' => "\\~",
        '`' => "\\`",
        '|' => "\\|",
        '[' => "\\[",
        ']' => "\\]",
        '<' => "\\<",
        '>' => "\\>",
        '#' => "\\#",
        '@' => "@\u{200b}",
        _ => return None,
    })
}

/// Text from outside made harmless, escaped, and cut between two of its characters.
fn escaped(value: &Value, max: Option<usize>, escape: fn(char) -> Option<&'static str>) -> String {
    let text = clean(&text(value));
    limited(pieces(&text, escape), max.unwrap_or(usize::MAX))
}

/// Characters that act instead of being read, written out; lines stay lines.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            c if !acts(c) => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    out
}

enum Piece {
    Char(char),
    Text(&'static str),
}

fn pieces(text: &str, escape: fn(char) -> Option<&'static str>) -> impl Iterator<Item = Piece> + '_ {
    text.chars().map(move |c| escape(c).map_or(Piece::Char(c), Piece::Text))
}

/// At most so many UTF-16 units, which is what receivers count at most; an ellipsis where something was cut.
fn limited(pieces: impl Iterator<Item = Piece>, units_max: usize) -> String {
    let (mut out, mut units, mut keep) = (String::new(), 0, 0);
    for piece in pieces {
        let before = out.len();
        match piece {
            Piece::Char(c) => out.push(c),
            Piece::Text(text) => out.push_str(text),
        }
        units += out[before..].encode_utf16().count();
        if units > units_max {
            out.truncate(keep);
            if units_max > 0 {
                out.push('…');
            }
            return out;
        }
        if units < units_max {
            keep = out.len();
        }
    }
    out
}

fn limited_bytes(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mark = '…';
    let mut end = bytes_max.saturating_sub(mark.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if bytes_max < mark.len_utf8() { String::new() } else { format!("{}{mark}", &text[..end]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[track_caller]
    fn check(template: &str, want: &str) {
        let context =
            context! { name => "a<b>&\"c\"\u{202e}\u{0}\nd@everyone", n => 3, labels => context! { a => "1" } };
        let got = Payload::parse(template).and_then(|t| t.render(&context));
        assert_eq!(got.unwrap_or_else(|e| format!("!{} at {:?}", e.message, e.span)), want, "{template}");
    }

    #[test]
    fn filters_escape_for_their_receiver_and_cut_between_characters() {
        check("{{ name | mrkdwn }}", "a&lt;b&gt;&amp;\"c\"\\u{202e}\\u{0}\nd@everyone");
        check("{{ name | mrkdwn(6) }}", "a&lt;…");
        check("{{ name | mrkdwn(5) }}", "a…");
        check("{{ name | html(200) }}", "a&lt;b&gt;&amp;&quot;c&quot;\\u{202e}\\u{0}\nd@everyone");
        check("{{ '*x* @here' | markdown }}", "\\*x\\* @\u{200b}here");
        check("{{ 'a\\tb' | plain }}", "a b");
        check(
            "{{ 'äöü' | limit(2) }}|{{ 'äöü' | limit(3) }}|{{ '👍👍' | limit(3) }}|{{ 'a' | limit(0) }}",
            "ä…|äöü|👍…|",
        );
        check("{{ 'äöü' | limit_bytes(5) }}|{{ 'äöü' | limit_bytes(6) }}|{{ 'äöü' | limit_bytes(1) }}", "ä…|äöü|");
        check("{{ labels.b.c | default('none') }}{{ labels.b.c }}{{ n | plain }}", "none3");
        check("{{ name[:4] | tojson }}", r#""a\u003cb\u003e""#);
    }

    #[test]
    fn errors_name_their_place_and_not_the_context() {
        check("{{ name | nothing }}", "!unknown filter: filter nothing is unknown at 10..17");
        check("a\n{% if %}", "!syntax error: unexpected end of block at 8..10");
        check("{{ fail('no chat') }}", "!invalid operation: no chat at 3..18");
        check("{{ debug() }}", "!unknown function: debug is unknown at 3..10");
    }

    #[test]
    fn endless_loops_and_floods_end() {
        let time =
            Payload::parse("{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}{% endfor %}");
        let error = time.and_then(|t| t.render(&context! {})).unwrap_err();
        assert!(error.message.contains("too long") || error.message.contains("longer than"), "{}", error.message);
        let flood = "{% set x = 'aaaaaaaaaaaaaaaa' * 65536 %}{% for i in range(100) %}{{ x }}{% endfor %}";
        let error = Payload::parse(flood).and_then(|t| t.render(&context! {})).unwrap_err();
        assert!(error.message.contains("longer than"), "{}", error.message);
        let twice = "{% set n = namespace(x='aaaa') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
        let error = Payload::parse(twice).and_then(|t| t.render(&context! {})).unwrap_err();
        assert!(error.message.contains("too long"), "{}", error.message);
        let deep = "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}";
        assert!(Payload::parse(deep).and_then(|t| t.render(&context! {})).is_err());
    }

    #[test]
    fn the_names_that_a_template_reads_are_known_with_their_place() {
        let payload =
            Payload::parse("sumary {% set a = 1 %}{{ range(a) }}{{ x.sumary }}{{ sumary | tojson }}").unwrap();
        assert_eq!(payload.reads().into_iter().collect::<Vec<_>>(), ["sumary", "x"]);
        let place = payload.place_of("sumary");
        assert_eq!((&payload.source()[place.clone()], place.start), ("sumary", 53));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]
        #[test]
        fn no_text_outgrows_its_limit_or_keeps_an_acting_character(text in "(\\PC|\\p{C}|[<&@*_]){0,60}", max in 0..40usize) {
            for filter in ["mrkdwn", "html", "plain", "limit"] {
                let template = Payload::parse(&format!("{{{{ t | {filter}({max}) }}}}")).unwrap();
                let out = template.render(&context! { t => text.as_str() }).unwrap();
                proptest::prop_assert!(out.encode_utf16().count() <= max, "{filter} {max}: {out:?}");
                proptest::prop_assert!(filter == "limit" || !out.contains(|c: char| acts(c) && c != '\n'), "{out:?}");
            }
            let bytes = limited_bytes(&text, max);
            proptest::prop_assert!(bytes.len() <= max);
        }

        #[test]
        fn no_template_panics(source in "(\\{\\{|\\}\\}|\\{%|%\\}|for|in|if|endif|endfor|set| |[a-z.|()'\"0-9*~+-]){0,30}") {
            if let Ok(payload) = Payload::parse(&source) {
                let _ = payload.reads();
                let _ = payload.render(&context! { a => 1 });
            }
        }
    }
}
