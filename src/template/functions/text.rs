//! Prometheus's functions on text: case, hosts, regular expressions, durations.

use std::net::IpAddr;

use super::{any_arg, str_arg};
use crate::model;
use crate::template::host::Host;
use crate::template::value::Value;

pub(super) fn to_upper(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(str_arg(args, 0).to_uppercase())
}

pub(super) fn to_lower(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    host.text(str_arg(args, 0).to_lowercase())
}

/// Go's strings.Title: the first letter of every word in upper case, the rest as it is.
pub(super) fn title(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let text = str_arg(args, 0);
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        if separates(previous) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        previous = c;
    }
    host.text(out)
}

/// Whether a character stands between words: in ASCII all but letters, digits and underscore, elsewhere white space.
fn separates(c: char) -> bool {
    if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() }
}

pub(super) fn safe_html(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    // It marks text as safe where HTML is escaped; nothing is escaped here.
    Ok(any_arg(args, 0).clone())
}

pub(super) fn matches(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let regex = host.regex(str_arg(args, 0), str_arg(args, 1))?;
    Ok(Value::Bool(regex.is_match(str_arg(args, 1))))
}

pub(super) fn re_replace_all(host: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let (replacement, text) = (str_arg(args, 1), str_arg(args, 2));
    let regex = host.regex(str_arg(args, 0), text)?;
    let references = replacement.matches('$').count();
    let bytes_max = host.text_bytes_max();
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(text.get(last..whole.start()).unwrap_or(""));
        // A reference can yield the whole match at most: what cannot be too much is not counted first.
        let most = replacement.len() + references * whole.len();
        if out.len() + most > 16 * bytes_max {
            return Err(host.too_long());
        }
        captures.expand(replacement, &mut out);
        if out.len() > bytes_max {
            return Err(host.too_long());
        }
        last = whole.end();
    }
    out.push_str(text.get(last..).unwrap_or(""));
    host.text(out)
}

pub(super) fn parse_duration(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let duration = model::parse_duration(str_arg(args, 0)).map_err(|e| e.to_string())?;
    Ok(Value::Float(duration.as_secs_f64()))
}

/// Go's net.SplitHostPort: host and port, or `None` where the text is not of that form.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    let host = match before.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|host| !host.contains(']'))?,
        None => Some(before).filter(|host| !host.contains([':', ']']))?,
    };
    (!host.contains('[') && !port.contains(['[', ']'])).then_some((host, port))
}

pub(super) fn strip_port(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    match split_host_port(str_arg(args, 0)) {
        Some((host, _)) => Ok(host.into()),
        None => Ok(any_arg(args, 0).clone()),
    }
}

pub(super) fn strip_domain(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let text = str_arg(args, 0);
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return Ok(any_arg(args, 0).clone());
    }
    let host = host.split('.').next().unwrap_or("");
    Ok(match (port, host.contains(':')) {
        ("", _) => host.into(),
        (port, true) => format!("[{host}]:{port}").into(),
        (port, false) => format!("{host}:{port}").into(),
    })
}
