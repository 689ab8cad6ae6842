//! Writes floats as Go's strconv.FormatFloat does (strconv/ftoa.go).
//!
//! Digits come from Rust's formatter, which rounds correctly at any precision and finds the shortest form; only the
//! layout is Go's.

use std::fmt::Write as _;

/// A float has no more digits than this in any form; what a larger precision asks for are zeros.
const DIGITS_MAX: usize = 1100;

/// `verb` is one of `e E f g G b x X`; without a precision the shortest form that reads back the same. The caller
/// limits the precision.
pub(crate) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    match verb {
        'e' | 'E' => exponent_form(&Digits::of(value, precision.map(|p| p + 1)), precision, verb),
        'f' => fixed_form(value, precision),
        'b' => binary_form(value),
        'x' | 'X' => hex_form(value, precision, verb),
        'G' => general_form(value, precision, 'E'),
        _ => general_form(value, precision, 'e'),
    }
}

/// Significant decimal digits and the exponent of the first.
struct Digits {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Digits {
    /// `count` significant digits, or as many as tell the value apart.
    fn of(value: f64, count: Option<usize>) -> Self {
        let text = match count {
            Some(count) => format!("{:.*e}", count.clamp(1, DIGITS_MAX) - 1, value.abs()),
            None => format!("{:e}", value.abs()),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            negative: value.is_sign_negative(),
            digits: mantissa.replace('.', ""),
            exponent: exponent.parse().unwrap_or(0),
        }
    }
}

/// `d.ddde±dd`
fn exponent_form(digits: &Digits, precision: Option<usize>, letter: char) -> String {
    let mut out = String::with_capacity(24);
    if digits.negative {
        out.push('-');
    }
    let (first, rest) = digits.digits.split_at_checked(1).unwrap_or((&digits.digits, ""));
    out.push_str(first);
    let places = precision.unwrap_or(rest.len());
    if places > 0 {
        out.push('.');
        out.push_str(rest);
        out.extend(std::iter::repeat_n('0', places.saturating_sub(rest.len())));
    }
    // Writing to a String cannot fail.
    let _ = write!(out, "{letter}{}{:02}", if digits.exponent < 0 { '-' } else { '+' }, digits.exponent.abs());
    out
}

fn fixed_form(value: f64, precision: Option<usize>) -> String {
    let Some(places) = precision else { return format!("{value}") };
    let exact = places.min(DIGITS_MAX);
    let mut out = format!("{value:.exact$}");
    out.extend(std::iter::repeat_n('0', places - exact));
    out
}

fn general_form(value: f64, precision: Option<usize>, letter: char) -> String {
    // A precision of zero means one digit.
    let wanted = precision.map(|p| p.max(1));
    let mut digits = Digits::of(value, wanted);
    let kept = digits.digits.trim_end_matches('0').len();
    digits.digits.truncate(kept.max(1));
    let count = digits.digits.len();
    // The form depends on the precision; for the shortest form Go takes 6 for this decision.
    let limit = match wanted {
        None => 6,
        Some(p) if p > count && i32::try_from(count).is_ok_and(|n| n > digits.exponent) => count,
        Some(p) => p,
    };
    if digits.exponent < -4 || i64::from(digits.exponent) >= i64::try_from(limit).unwrap_or(i64::MAX) {
        return exponent_form(&digits, None, letter);
    }
    let places = i64::try_from(count).unwrap_or(0) - 1 - i64::from(digits.exponent);
    fixed_form(value, Some(usize::try_from(places).unwrap_or(0)))
}

/// Mantissa and exponent of an IEEE 754 double: value = mantissa · 2^exponent.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    if exponent == 0 { (fraction, -1074) } else { (fraction | (1 << 52), exponent - 1075) }
}

/// `mantissa p±exponent`, both decimal.
fn binary_form(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{mantissa}p{exponent:+}")
}

/// `0x1.8p+01`
fn hex_form(value: f64, precision: Option<usize>, verb: char) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading one goes to bit 60, so that fifteen whole hexadecimal digits follow it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - i32::try_from(shift).unwrap_or(0);
    }
    if let Some(places) = precision.filter(|p| *p < 15) {
        let cut = u32::try_from((15 - places) * 4).unwrap_or(0);
        let odd = (mantissa >> cut) & 1;
        let rest = mantissa & ((1 << cut) - 1);
        mantissa >>= cut;
        // Half to even.
        if (rest | odd) > 1 << (cut - 1) {
            mantissa += 1;
        }
        mantissa <<= cut;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(places) => {
            fraction.truncate(places);
            fraction.extend(std::iter::repeat_n('0', places.saturating_sub(fraction.len())));
        }
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    let text = format!("{sign}0x{}{point}{fraction}p{direction}{:02}", mantissa >> 60, exponent.abs());
    if verb == 'X' { text.to_uppercase() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_as_in_go() {
        for (value, want) in [
            (0.5, "0.5"),
            (10.0, "10"),
            (0.0123, "0.012"),
            (99.6, "1e+02"),
            (1234.0, "1.2e+03"),
            (0.000_012_3, "1.2e-05"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_float(value, 'g', Some(2)), want);
        }
    }
}
