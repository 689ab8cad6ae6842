//! Alertmanager's functions (prometheus/alertmanager:template/template.go) that Prometheus has not, or has otherwise.

use std::sync::Arc;

use super::{any_arg, str_arg};
use crate::template::host::Host;
use crate::template::json;
use crate::template::safe::Safe;
use crate::template::value::Value;
use crate::template::zoned::{self, Zoned};

/// The texts of a list; the evaluator has checked it.
fn texts(value: &Value) -> Vec<Arc<str>> {
    match value.plain() {
        Value::List(items) => {
            let text = |item: &Value| match item.plain() {
                Value::Str(text) => Some(text),
                _ => None,
            };
            items.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn join(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let (between, items) = (str_arg(args, 0), texts(any_arg(args, 1)));
    host.build(|sink| {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                sink.push_str(between);
            }
            sink.push_str(item);
        }
    })
}

pub(super) fn string_slice(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.charge_bytes(args.len())?;
    Ok(args.to_vec().into())
}

pub(super) fn trim_space(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(str_arg(args, 0).trim().to_owned())
}

/// Every word with a capital and the rest in small letters (golang.org/x/text/cases.Title). A word goes on behind an
/// apostrophe, a point, a colon or an underscore between letters.
pub(super) fn title(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let text = str_arg(args, 0);
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut rest) = (false, text.chars().peekable());
    while let Some(c) = rest.next() {
        let letter = c.is_alphanumeric();
        let joins =
            matches!(c, '\'' | '\u{2019}' | '.' | ':' | '\u{b7}') && rest.peek().is_some_and(|c| c.is_alphanumeric());
        match letter {
            true if inside => out.extend(c.to_lowercase()),
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        inside = letter || c == '_' || (inside && joins);
    }
    host.text(out)
}

pub(super) fn safe_html(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Safe::html(str_arg(args, 0)))
}

pub(super) fn safe_url(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Safe::url(str_arg(args, 0)))
}

/// Go's url.QueryUnescape.
pub(super) fn url_unescape(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let text = str_arg(args, 0);
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let step = match byte {
            b'%' => {
                let digits = text.get(at + 1..at + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let shown = || text.get(at..).unwrap_or_default().chars().take(3).collect::<String>();
                bytes.push(code.ok_or_else(|| format!("invalid URL escape {:?}", shown()))?);
                3
            }
            b'+' => {
                bytes.push(b' ');
                1
            }
            other => {
                bytes.push(*other);
                1
            }
        };
        at += step;
    }
    host.text(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn date(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(zoned::format(any_arg(args, 1), str_arg(args, 0))?)
}

pub(super) fn tz(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let at = Zoned::instant(any_arg(args, 1)).unwrap_or_default();
    Ok(Value::Object(Arc::new(Zoned::new(at, str_arg(args, 0))?)))
}

pub(super) fn since(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let at = Zoned::instant(any_arg(args, 0)).unwrap_or_default();
    Ok(Value::Duration(host.now().0.saturating_sub(at.0).saturating_mul(1_000_000)))
}

pub(super) fn to_json(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.build(|sink| json::write(sink, any_arg(args, 0)))
}
