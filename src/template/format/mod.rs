//! Go's package fmt: how values are printed, and `printf`.
//!
//! Everything is written through a [`Sink`], which stops at a limit, so no format can blow up memory.

mod integer;
mod printf;
mod quote;

use std::sync::Arc;

pub(crate) use crate::model::float::format_float;
pub(super) use printf::printf;
pub(super) use quote::quote;

use super::moment;
use super::value::Value;

/// Text under construction with a limit on its length.
pub(super) struct Sink<'s> {
    out: &'s mut String,
    bytes_max: usize,
    full: bool,
}

impl<'s> Sink<'s> {
    pub(super) fn new(out: &'s mut String, bytes_max: usize) -> Self {
        Self { out, bytes_max, full: false }
    }

    /// Whether something did not fit; from then on nothing is taken.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn room_for(&mut self, bytes: usize) -> bool {
        self.full |= bytes > self.bytes_max.saturating_sub(self.out.len());
        !self.full
    }

    pub(super) fn push_str(&mut self, text: &str) {
        if self.room_for(text.len()) {
            self.out.push_str(text);
        }
    }

    pub(super) fn push(&mut self, c: char) {
        if self.room_for(c.len_utf8()) {
            self.out.push(c);
        }
    }

    fn repeat(&mut self, c: char, count: usize) {
        if self.room_for(count.saturating_mul(c.len_utf8())) {
            self.out.extend(std::iter::repeat_n(c, count));
        }
    }
}

/// How one value is to be printed.
#[derive(Clone, Copy, Debug)]
struct Spec {
    verb: char,
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    const fn verb(verb: char) -> Self {
        let (plus, minus, sharp, space, zero) = (false, false, false, false, false);
        Self { verb, plus, minus, sharp, space, zero, width: None, precision: None }
    }

    /// `%#v`: Go syntax.
    fn go_syntax(&self) -> bool {
        self.verb == 'v' && self.sharp
    }
}

/// Prints a value as an action does: `<no value>` for nothing.
pub(super) fn print_value(sink: &mut Sink<'_>, value: &Value) {
    match value {
        Value::Nil => sink.push_str("<no value>"),
        Value::Str(text) => sink.push_str(text),
        _ => format(sink, &Spec::verb('v'), value),
    }
}

/// Go's `Sprint`: a space between operands where neither is text.
pub(super) fn print(sink: &mut Sink<'_>, values: &[Value]) {
    let is_text = |v: &Value| matches!(v, Value::Str(_));
    for (index, value) in values.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|i| values.get(i));
        if previous.is_some_and(|p| !is_text(p) && !is_text(value)) {
            sink.push(' ');
        }
        format(sink, &Spec::verb('v'), value);
    }
}

/// Go's `Sprintln`: a space between all operands, and a line feed.
pub(super) fn println(sink: &mut Sink<'_>, values: &[Value]) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            sink.push(' ');
        }
        format(sink, &Spec::verb('v'), value);
    }
    sink.push('\n');
}

/// Prints a value; recursion is bounded by [`super::value::VALUE_DEPTH_MAX`].
fn format(sink: &mut Sink<'_>, spec: &Spec, value: &Value) {
    if sink.is_full() {
        return;
    }
    if spec.verb == 'T' {
        return string(sink, &Spec { verb: 's', ..*spec }, value.type_name());
    }
    match value {
        Value::Nil if spec.verb == 'v' => pad(sink, spec, "<nil>"),
        Value::Bool(b) if matches!(spec.verb, 't' | 'v') => pad(sink, spec, if *b { "true" } else { "false" }),
        Value::Nil | Value::Bool(_) => bad_verb(sink, spec, value),
        Value::Int(i) => integer::format(sink, spec, *i),
        Value::Float(f) => floating(sink, spec, *f),
        Value::Str(text) => string(sink, spec, text),
        Value::Time(at) => string(sink, spec, &moment::time_string(*at)),
        Value::Duration(_) if matches!(spec.verb, 'v' | 's' | 'q' | 'x' | 'X') && !spec.go_syntax() => {
            string(sink, spec, &moment::duration_string(value));
        }
        Value::Duration(nanos) => integer::format(sink, spec, *nanos),
        Value::Object(object)
            if matches!(spec.verb, 'v' | 's' | 'q') && !spec.go_syntax() && object.shown().is_some() =>
        {
            string(sink, spec, &object.shown().unwrap_or_default());
        }
        Value::Object(object) => match object.underlying() {
            Value::Nil => string(sink, spec, object.type_name()),
            plain => format(sink, spec, &plain),
        },
        Value::List(_) | Value::Vector(_) | Value::Map(_) | Value::Labels(_) | Value::Sample(..) => {
            composite(sink, spec, value);
        }
    }
}

fn composite(sink: &mut Sink<'_>, spec: &Spec, value: &Value) {
    let inner = Spec { width: spec.width, ..*spec };
    let go = spec.go_syntax();
    let separator = if go { ", " } else { " " };
    let (open, close) = match (value, go) {
        (Value::List(_) | Value::Vector(_), false) => ("[", "]"),
        (Value::Sample(..), false) => ("{", "}"),
        (_, false) => ("map[", "]"),
        (_, true) => ("{", "}"),
    };
    if go {
        sink.push_str(value.type_name().trim_start_matches('*'));
    }
    sink.push_str(open);
    let mut first = true;
    let mut item = |sink: &mut Sink<'_>, key: Option<&str>, value: &Value| {
        if !std::mem::take(&mut first) {
            sink.push_str(separator);
        }
        if let Some(key) = key {
            string(sink, &inner, key);
            sink.push(':');
        }
        format(sink, &inner, value);
        !sink.is_full()
    };
    match value {
        Value::List(items) => {
            let _ = items.iter().all(|v| item(sink, None, v));
        }
        Value::Vector(samples) => {
            let _ = samples.iter().all(|(labels, v)| item(sink, None, &Value::Sample(labels.clone(), *v)));
        }
        Value::Map(map) => {
            let _ = map.entries().iter().all(|(k, v)| item(sink, Some(k), v));
        }
        Value::Labels(labels) => {
            let _ = labels.iter().all(|(k, v)| item(sink, Some(k), &Value::Str(Arc::from(v))));
        }
        Value::Sample(labels, v) => {
            let _ = item(sink, None, &Value::Labels(labels.clone())) && item(sink, None, &Value::Float(*v));
        }
        _ => {}
    }
    sink.push_str(close);
}

/// Go's answer to a verb that does not fit: `%!d(string=hi)`.
fn bad_verb(sink: &mut Sink<'_>, spec: &Spec, value: &Value) {
    sink.push_str("%!");
    sink.push(spec.verb);
    sink.push('(');
    match value {
        Value::Nil => sink.push_str("<nil>"),
        _ => {
            sink.push_str(value.type_name());
            sink.push('=');
            format(sink, &Spec::verb('v'), value);
        }
    }
    sink.push(')');
}

/// Writes text with padding to the width, counted in characters.
fn pad(sink: &mut Sink<'_>, spec: &Spec, text: &str) {
    let missing = spec.width.map_or(0, |width| width.saturating_sub(text.chars().count()));
    if spec.minus {
        sink.push_str(text);
        sink.repeat(' ', missing);
    } else {
        sink.repeat(if spec.zero { '0' } else { ' ' }, missing);
        sink.push_str(text);
    }
}

fn string(sink: &mut Sink<'_>, spec: &Spec, text: &str) {
    let cut = |text: &str| -> String {
        match spec.precision {
            Some(count) => text.chars().take(count).collect(),
            None => text.to_owned(),
        }
    };
    match spec.verb {
        'v' if spec.sharp => pad(sink, spec, &quote(text, '"', false)),
        'v' | 's' if spec.width.is_none() && spec.precision.is_none() => sink.push_str(text),
        'v' | 's' => pad(sink, spec, &cut(text)),
        'q' => {
            let text = cut(text);
            let raw = spec.sharp && !text.chars().any(|c| c == '`' || (c.is_control() && c != '\t') || c == '\u{feff}');
            let quoted = if raw { format!("`{text}`") } else { quote(&text, '"', spec.plus) };
            pad(sink, spec, &quoted);
        }
        'x' | 'X' => pad(sink, spec, &hex_text(spec, text)),
        _ => bad_verb(sink, spec, &Value::Str(Arc::from(text))),
    }
}

/// The bytes of a text in hexadecimal; `% x` separates them, `%#x` marks them.
fn hex_text(spec: &Spec, text: &str) -> String {
    const LOWER: &[u8; 16] = b"0123456789abcdef";
    let count = spec.precision.unwrap_or(usize::MAX);
    let mut out = String::with_capacity(text.len() * 2);
    for (index, byte) in text.bytes().take(count).enumerate() {
        if index > 0 && spec.space {
            out.push(' ');
        }
        if spec.sharp && (spec.space || index == 0) {
            out.push_str("0x");
        }
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from(LOWER.get(usize::from(nibble)).copied().unwrap_or(b'0')));
        }
    }
    if spec.verb == 'X' { out.to_uppercase() } else { out }
}

fn floating(sink: &mut Sink<'_>, spec: &Spec, value: f64) {
    let (verb, default) = match spec.verb {
        'v' => ('g', None),
        'g' | 'G' | 'b' | 'x' | 'X' => (spec.verb, None),
        'F' => ('f', Some(6)),
        'e' | 'E' | 'f' => (spec.verb, Some(6)),
        _ => return bad_verb(sink, spec, &Value::Float(value)),
    };
    let precision = spec.precision.or(default);
    if !sink.room_for(precision.unwrap_or(0)) {
        return;
    }
    let mut text = format_float(value, verb, precision);
    if spec.sharp && spec.verb != 'v' && matches!(verb, 'e' | 'E' | 'f' | 'g' | 'G') && value.is_finite() {
        text = with_point(&text, matches!(verb, 'g' | 'G').then(|| precision.unwrap_or(6).max(1)));
    }
    let digits = text.trim_start_matches(['+', '-']);
    let sign = match text.chars().next() {
        Some('-') => "-",
        _ if spec.plus => "+",
        _ if spec.space => " ",
        // Infinity always shows its sign.
        _ if value.is_infinite() => "+",
        _ => "",
    };
    let length = sign.len() + digits.len();
    match spec.width {
        Some(width) if spec.zero && !spec.minus && value.is_finite() && width > length => {
            sink.push_str(sign);
            sink.repeat('0', width - length);
            sink.push_str(digits);
        }
        _ => pad(sink, &Spec { zero: false, ..*spec }, &format!("{sign}{digits}")),
    }
}

/// `%#e`, `%#f`, `%#g`: always a decimal point, and for `g` as many digits as the precision says.
fn with_point(text: &str, significant: Option<usize>) -> String {
    let split = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at_checked(split).unwrap_or((text, ""));
    let mut out = mantissa.to_owned();
    if !mantissa.contains('.') {
        out.push('.');
    }
    if let Some(significant) = significant {
        let from_first = mantissa.trim_start_matches(['-', '0', '.']);
        let shown = from_first.bytes().filter(u8::is_ascii_digit).count();
        // Zero itself counts as one digit.
        out.extend(std::iter::repeat_n('0', significant.saturating_sub(shown.max(1))));
    }
    out.push_str(exponent);
    out
}
