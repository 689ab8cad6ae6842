//! Escaping for HTML, JavaScript and URLs, as Go does it.

use super::str_arg;
use crate::template::format;
use crate::template::host::Host;
use crate::template::value::Value;

/// The arguments as one text, each character passed through `escape`.
fn escaped(host: &mut Host<'_>, args: &[Value], escape: fn(&str) -> String) -> Result<Value, String> {
    let text = match args {
        [Value::Str(text)] => text.clone(),
        _ => match host.build(|sink| format::print(sink, args))? {
            Value::Str(text) => text,
            _ => "".into(),
        },
    };
    host.text(escape(&text))
}

pub(super) fn html(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    escaped(host, args, |text| {
        let mut out = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            match c {
                '\0' => out.push('\u{fffd}'),
                '"' => out.push_str("&#34;"),
                '\'' => out.push_str("&#39;"),
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                _ => out.push(c),
            }
        }
        out
    })
}

pub(super) fn js(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    escaped(host, args, |text| {
        let mut out = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            match c {
                '\\' => out.push_str(r"\\"),
                '\'' => out.push_str(r"\'"),
                '"' => out.push_str("\\\""),
                '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
                // Line separators end a JavaScript string literal in old engines; Go escapes what it cannot print.
                '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                    out.push_str(&format!("\\u{:04X}", u32::from(c)));
                }
                _ => out.push(c),
            }
        }
        out
    })
}

pub(super) fn urlquery(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    escaped(host, args, query_escape)
}

pub(super) fn url_query_escape(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(query_escape(str_arg(args, 0)))
}

/// Go's url.QueryEscape: a space becomes `+`.
pub(super) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
