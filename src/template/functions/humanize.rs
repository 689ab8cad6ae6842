//! Numbers for people, as Prometheus writes them (prometheus/common:helpers/templates, prometheus:template).

use super::any_arg;
use crate::model::Timestamp;
use crate::template::format::{format_float, quote};
use crate::template::host::Host;
use crate::template::moment;
use crate::template::value::Value;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `%.4g`
fn four_digits(value: f64) -> String {
    format_float(value, 'g', Some(4))
}

/// Takes numbers, texts of numbers, and lengths of time (as seconds).
fn number(args: &[Value]) -> Result<f64, String> {
    match any_arg(args, 0).plain() {
        Value::Float(value) => Ok(value),
        Value::Int(value) => Ok(value as f64),
        Value::Duration(nanos) => Ok(nanos as f64 / 1e9),
        Value::Str(text) => parse_float(&text),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// Go's strconv.ParseFloat, whose words of failure are part of what people see. Hexadecimal floats are not read.
fn parse_float(text: &str) -> Result<f64, String> {
    let failed = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", quote(text, '"', false));
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let named = matches!(lower.as_str(), "inf" | "infinity") || (lower == "nan" && unsigned.len() == text.len());
    if !named && !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(failed("invalid syntax"));
    }
    let value: f64 = text.parse().map_err(|_| failed("invalid syntax"))?;
    if value.is_infinite() && !named { Err(failed("value out of range")) } else { Ok(value) }
}

fn scaled_down(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for p in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = p;
        value /= base;
    }
    (value, prefix)
}

fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for p in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = p;
        value *= 1000.0;
    }
    (value, prefix)
}

pub(super) fn humanize(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = number(args)?;
    if value == 0.0 || !value.is_finite() {
        return Ok(four_digits(value).into());
    }
    let (value, prefix) = if value.abs() >= 1.0 { scaled_down(value, 1000.0, LARGE) } else { scaled_up(value) };
    Ok(format!("{}{prefix}", four_digits(value)).into())
}

pub(super) fn humanize1024(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = number(args)?;
    if value.abs() <= 1.0 || !value.is_finite() {
        return Ok(four_digits(value).into());
    }
    let (value, prefix) = scaled_down(value, 1024.0, LARGE_1024);
    Ok(format!("{}{prefix}", four_digits(value)).into())
}

pub(super) fn humanize_duration(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = number(args)?;
    if !value.is_finite() {
        return Ok(four_digits(value).into());
    }
    if value == 0.0 {
        return Ok(format!("{}s", four_digits(value)).into());
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_up(value);
        return Ok(format!("{}{prefix}s", four_digits(value)).into());
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let total = value.abs() as i64;
    let (seconds, minutes, hours, days) = (total % 60, total / 60 % 60, total / 3600 % 24, total / 86_400);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(value.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    };
    Ok(text.into())
}

pub(super) fn humanize_percentage(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(format!("{}%", four_digits(number(args)? * 100.0)).into())
}

pub(super) fn humanize_timestamp(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = number(args)?;
    if !value.is_finite() {
        return Ok(four_digits(value).into());
    }
    Ok(moment::time_string(instant(value)?).into())
}

pub(super) fn to_time(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    let value = number(args)?;
    if !value.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    instant(value).map(Value::Time)
}

pub(super) fn to_duration(_: &mut Host<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Duration((number(args)? * 1e9) as i64))
}

/// Seconds since the epoch as an instant of whole milliseconds.
fn instant(seconds: f64) -> Result<Timestamp, String> {
    let nanos = seconds * 1e9;
    if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
        let shown = format_float(seconds, 'g', None);
        return Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(Timestamp(nanos as i64 / 1_000_000))
}
