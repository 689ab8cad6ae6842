//! Prints integers as Go's fmt does: bases, signs, precision, characters.

use super::{Sink, Spec, bad_verb, pad, quote};
use crate::template::value::Value;

pub(super) fn format(sink: &mut Sink<'_>, spec: &Spec, value: i64) {
    match spec.verb {
        'v' | 'd' => number(sink, spec, value, 10, ""),
        'b' => number(sink, spec, value, 2, if spec.sharp { "0b" } else { "" }),
        'o' => number(sink, spec, value, 8, if spec.sharp { "0" } else { "" }),
        'O' => number(sink, spec, value, 8, "0o"),
        'x' => number(sink, spec, value, 16, if spec.sharp { "0x" } else { "" }),
        'X' => number(sink, spec, value, 16, if spec.sharp { "0X" } else { "" }),
        'c' => pad(sink, spec, character(value).encode_utf8(&mut [0; 4])),
        'q' => pad(sink, spec, &quote(character(value).encode_utf8(&mut [0; 4]), '\'', spec.plus)),
        'U' => unicode(sink, spec, value),
        _ => bad_verb(sink, spec, &Value::Int(value)),
    }
}

/// The character of a code point, U+FFFD if there is none.
fn character(value: i64) -> char {
    u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn unicode(sink: &mut Sink<'_>, spec: &Spec, value: i64) {
    let digits = spec.precision.unwrap_or(4).max(4);
    if !sink.room_for(digits) {
        return;
    }
    let hex = format!("{value:X}");
    let mut text = "U+".to_owned();
    text.extend(std::iter::repeat_n('0', digits.saturating_sub(hex.len())));
    text.push_str(&hex);
    if let (true, Some(c)) = (spec.sharp, u32::try_from(value).ok().and_then(char::from_u32)) {
        text.push_str(&format!(" '{c}'"));
    }
    pad(sink, &Spec { zero: false, ..*spec }, &text);
}

fn number(sink: &mut Sink<'_>, spec: &Spec, value: i64, radix: u64, prefix: &str) {
    let sign = match value {
        i64::MIN..=-1 => "-",
        _ if spec.plus && spec.verb != 'v' => "+",
        _ if spec.plus => "",
        _ if spec.space => " ",
        _ => "",
    };
    let mut digits = magnitude(value.unsigned_abs(), radix);
    if spec.verb == 'X' {
        digits.make_ascii_uppercase();
    }
    let digits_min = match (spec.precision, spec.width) {
        // Precision zero prints nothing for zero.
        (Some(0), _) if value == 0 => return pad(sink, &Spec { zero: false, ..*spec }, ""),
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    if !sink.room_for(digits_min) {
        return;
    }
    let mut text = String::with_capacity(digits.len() + 4);
    text.push_str(sign);
    let zeros = digits_min.saturating_sub(digits.len());
    // An octal number that already starts with a zero needs no mark.
    if !(prefix == "0" && (zeros > 0 || digits.starts_with('0'))) {
        text.push_str(prefix);
    }
    text.extend(std::iter::repeat_n('0', zeros));
    text.push_str(&digits);
    pad(sink, &Spec { zero: false, ..*spec }, &text);
}

fn magnitude(value: u64, radix: u64) -> String {
    match radix {
        2 => format!("{value:b}"),
        8 => format!("{value:o}"),
        16 => format!("{value:x}"),
        _ => value.to_string(),
    }
}
