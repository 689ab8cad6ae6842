//! Go's fmt.Sprintf: flags, width, precision, argument indexes, and the notes it puts in the text for mistakes.

use super::{Sink, Spec, format};
use crate::template::value::Value;

/// As in Go, larger widths and precisions are taken for a mistake.
const NUMBER_MAX: i64 = 1_000_000;

/// Where in the format and the arguments the printing stands.
struct State<'f> {
    rest: std::str::Chars<'f>,
    values: &'f [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
    after_index: bool,
}

/// Prints values by a format.
pub(in crate::template) fn printf(sink: &mut Sink<'_>, text: &str, values: &[Value]) {
    let mut state =
        State { rest: text.chars(), values, next: 0, reordered: false, good_index: true, after_index: false };
    loop {
        let remaining = state.rest.as_str();
        let plain = remaining.find('%').unwrap_or(remaining.len());
        let (before, after) = remaining.split_at_checked(plain).unwrap_or((remaining, ""));
        sink.push_str(before);
        if after.is_empty() || sink.is_full() {
            break;
        }
        state.rest = after.chars();
        state.rest.next();
        state.directive(sink);
    }
    state.extra(sink);
}

impl State<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest.next();
        }
        found
    }

    fn directive(&mut self, sink: &mut Sink<'_>) {
        let mut spec = Spec::verb('v');
        (self.good_index, self.after_index) = (true, false);
        loop {
            match self.peek() {
                Some('#') => spec.sharp = true,
                Some('0') => spec.zero = true,
                Some('+') => spec.plus = true,
                Some('-') => spec.minus = true,
                Some(' ') => spec.space = true,
                _ => break,
            }
            self.rest.next();
        }
        self.index();
        if self.take_if('*') {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => sink.push_str("%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            spec.width = self.digits();
            self.good_index &= !(self.after_index && spec.width.is_some());
        }
        if self.take_if('.') {
            self.good_index &= !self.after_index;
            self.index();
            if self.take_if('*') {
                match self.star() {
                    Some(precision) => spec.precision = usize::try_from(precision).ok(),
                    None => sink.push_str("%!(BADPREC)"),
                }
                self.after_index = false;
            } else {
                spec.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !self.after_index {
            self.index();
        }
        spec.zero &= !spec.minus;
        self.verb(sink, spec);
    }

    fn verb(&mut self, sink: &mut Sink<'_>, spec: Spec) {
        let Some(verb) = self.rest.next() else { return sink.push_str("%!(NOVERB)") };
        if verb == '%' {
            return sink.push('%');
        }
        let note = |sink: &mut Sink<'_>, what: &str| {
            sink.push_str("%!");
            sink.push(verb);
            sink.push_str(what);
        };
        if !self.good_index {
            return note(sink, "(BADINDEX)");
        }
        let Some(value) = self.values.get(self.next) else { return note(sink, "(MISSING)") };
        self.next += 1;
        format(sink, &Spec { verb, ..spec }, value);
    }

    /// An explicit argument index, `[n]` from 1.
    fn index(&mut self) {
        if self.peek() != Some('[') {
            return;
        }
        self.reordered = true;
        let text = self.rest.as_str();
        let Some(end) = text.find(']') else {
            self.good_index = false;
            self.rest.next();
            return;
        };
        let number = text.get(1..end).and_then(|n| n.parse::<usize>().ok());
        self.rest = text.get(end + 1..).unwrap_or("").chars();
        match number.filter(|n| (1..=self.values.len()).contains(n)) {
            Some(n) => {
                self.next = n - 1;
                self.after_index = true;
            }
            None => self.good_index = false,
        }
    }

    /// A width or precision from the arguments.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(n) if n.unsigned_abs() <= NUMBER_MAX.unsigned_abs() => Some(*n),
            _ => None,
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let mut number: Option<usize> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
        }
        number.filter(|n| i64::try_from(*n).is_ok_and(|n| n <= NUMBER_MAX))
    }

    /// Says which arguments no verb asked for.
    fn extra(&self, sink: &mut Sink<'_>) {
        let Some(extra) = self.values.get(self.next..).filter(|v| !v.is_empty() && !self.reordered) else { return };
        sink.push_str("%!(EXTRA ");
        for (index, value) in extra.iter().enumerate() {
            if index > 0 {
                sink.push_str(", ");
            }
            if !matches!(value, Value::Nil) {
                sink.push_str(value.type_name());
                sink.push('=');
            }
            format(sink, &Spec::verb('v'), value);
        }
        sink.push(')');
    }
}
