//! Reads Go literals: quoted strings, character constants, integers and floats.
//!
//! Place in the flow: between the tokens of the lexer and the constants of the tree.

/// A number as Go's ideal constants type it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// Reads a string in double quotes with Go escapes; bytes that are no UTF-8 become U+FFFD.
pub(super) fn string(quoted: &str) -> Option<String> {
    let body = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if !body.contains('\\') {
        return Some(body.to_owned());
    }
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let (unit, after) = unit(rest, c, '"')?;
        match unit {
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
        rest = after;
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Reads a character constant; its value is the code point.
pub(super) fn character(quoted: &str) -> Option<i64> {
    let body = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let (unit, rest) = unit(body, body.chars().next()?, '\'')?;
    let code = match unit {
        Unit::Char(c) => u32::from(c),
        Unit::Byte(byte) => u32::from(byte),
    };
    rest.is_empty().then_some(i64::from(code))
}

enum Unit {
    Char(char),
    Byte(u8),
}

/// One character or escape at the head of `rest`, and what follows it.
fn unit<'t>(rest: &'t str, first: char, quote: char) -> Option<(Unit, &'t str)> {
    if first != '\\' {
        return Some((Unit::Char(first), rest.get(first.len_utf8()..)?));
    }
    let kind = rest.get(1..)?.chars().next()?;
    let after = rest.get(1 + kind.len_utf8()..)?;
    let plain = |c: char| Some((Unit::Char(c), after));
    let digits = |from: &'t str, count: usize, radix: u32| -> Option<(u32, &'t str)> {
        let digits = from.get(..count)?;
        let clean = digits.bytes().all(|b| b.is_ascii_alphanumeric());
        let value = u32::from_str_radix(digits, radix).ok().filter(|_| clean)?;
        Some((value, from.get(count..)?))
    };
    match kind {
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        '\\' => plain('\\'),
        _ if kind == quote => plain(quote),
        'x' => digits(after, 2, 16).and_then(|(v, rest)| Some((Unit::Byte(u8::try_from(v).ok()?), rest))),
        'u' => digits(after, 4, 16).and_then(|(v, rest)| Some((Unit::Char(char::from_u32(v)?), rest))),
        'U' => digits(after, 8, 16).and_then(|(v, rest)| Some((Unit::Char(char::from_u32(v)?), rest))),
        '0'..='7' => digits(rest.get(1..)?, 3, 8).and_then(|(v, rest)| Some((Unit::Byte(u8::try_from(v).ok()?), rest))),
        _ => None,
    }
}

/// Reads a number; `None` if it is none or does not fit.
pub(super) fn number(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let clean: String = underscores_removed(unsigned)?;
    let lower = clean.to_ascii_lowercase();
    let signed = |magnitude: u64| -> Option<Number> {
        let magnitude = i128::from(magnitude);
        i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Number::Int)
    };
    let sign = if negative { -1.0 } else { 1.0 };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            if radix == 16 && digits.contains(['.', 'p']) {
                return hex_float(digits).map(|v| Number::Float(sign * v));
            }
            return signed(u64::from_str_radix(digits, radix).ok()?);
        }
    }
    if lower.contains(['.', 'e']) {
        return lower.parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| Number::Float(sign * v));
    }
    if lower.len() > 1 && lower.starts_with('0') {
        return signed(u64::from_str_radix(&lower, 8).ok()?);
    }
    signed(lower.parse().ok()?)
}

/// Underscores may stand only between digits (or between a base prefix and a digit).
fn underscores_removed(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let fits = |i: usize| {
        let digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_hexdigit);
        let before = i.checked_sub(1).and_then(|b| bytes.get(b));
        let prefix = i == 2 && bytes.first() == Some(&b'0') && before.is_some_and(|b| b"xXoObB".contains(b));
        (digit(before) || prefix) && digit(bytes.get(i + 1))
    };
    text.match_indices('_').all(|(i, _)| fits(i)).then(|| text.replace('_', ""))
}

/// Hexadecimal digits with a point and a binary exponent, which must be there: `1.8p3`.
fn hex_float(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |b: u8| f64::from(char::from(b).to_digit(16).unwrap_or(0));
    let value = whole.bytes().chain(fraction.bytes()).fold(0.0, |sum, b| sum * 16.0 + digit(b));
    let exponent: i32 = exponent.parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let value = value * 2f64.powi(exponent.checked_sub(scale)?);
    value.is_finite().then_some(value)
}
