//! Histograms in promtool's notation: `{{schema:1 sum:5 count:4 buckets:[1 2 1] offset:-1}}`.

use std::ops::Range;

use super::number;
use crate::model::Histogram;
use crate::model::histogram::{Buckets, ResetHint, SCHEMA_CUSTOM};
use crate::promql::error::{BAD_NUMBER, ParseError, SYNTAX, UNCLOSED};

/// The keys, for messages.
const KEYS: &str = "schema, sum, count, z_bucket, z_bucket_w, buckets, offset, n_buckets, n_offset, custom_values, \
                    counter_reset_hint";

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the text begins in what errors point into.
    start: usize,
}

/// Reads a histogram that begins with `{{`; gives it and the bytes it takes.
pub(super) fn histogram(text: &str, start: usize) -> Result<(Histogram, usize), ParseError> {
    let mut reader = Reader { text, at: 2, start };
    let mut h = Histogram::default();
    let (mut offset, mut n_offset) = (0, 0);
    let (mut counts, mut n_counts) = (Vec::new(), Vec::new());
    let mut custom = None;
    loop {
        reader.skip_space();
        if reader.rest().starts_with("}}") {
            reader.at += 2;
            break;
        }
        let (key, from) = (reader.word()?, reader.at);
        match key {
            "schema" => h.schema = reader.whole()?,
            "sum" => h.sum = reader.number()?,
            "count" => h.count = reader.number()?,
            "z_bucket" => h.zero_count = reader.number()?,
            "z_bucket_w" => h.zero_threshold = reader.number()?,
            "offset" => offset = reader.whole()?,
            "n_offset" => n_offset = reader.whole()?,
            "buckets" => counts = reader.list()?,
            "n_buckets" => n_counts = reader.list()?,
            "custom_values" => custom = Some(reader.list()?),
            "counter_reset_hint" => h.reset_hint = reader.hint()?,
            _ => {
                let span = reader.start + from - key.len() - 1..reader.start + from - 1;
                let error = ParseError::new(SYNTAX, span, format!("a histogram has no `{key}`"));
                return Err(error.help(format!("write one of: {KEYS}")));
            }
        }
    }
    h.positive = Buckets::run(offset, counts);
    h.negative = Buckets::run(n_offset, n_counts);
    h.custom_values = custom.unwrap_or_default().into();
    let bound = h.schema == SCHEMA_CUSTOM || (crate::model::histogram::SCHEMA_MIN..=8).contains(&h.schema);
    if !bound || (h.schema != SCHEMA_CUSTOM && !h.custom_values.is_empty()) {
        let error = h.validate().map_or_else(|e| e.to_string(), |()| "bad histogram".to_owned());
        return Err(ParseError::new(BAD_NUMBER, start..start + reader.at, error));
    }
    Ok((h, reader.at))
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn span(&self, from: usize) -> Range<usize> {
        self.start + from..self.start + self.text.len().min(self.at.max(from + 1))
    }

    /// A key with its colon.
    fn word(&mut self) -> Result<&'a str, ParseError> {
        let from = self.at;
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        if len == 0 || !rest[len..].starts_with(':') {
            if rest.is_empty() {
                return Err(
                    ParseError::new(UNCLOSED, self.start..self.start + 2, "histogram is not closed").help("add `}}`")
                );
            }
            let error = ParseError::new(SYNTAX, self.span(from + len), "a histogram is written in `key:value` pairs");
            return Err(error.help(format!("write one of: {KEYS}")));
        }
        self.at += len + 1;
        Ok(&rest[..len])
    }

    fn number(&mut self) -> Result<f64, ParseError> {
        let from = self.at;
        let rest = self.rest();
        let len = rest.find(|c: char| c.is_whitespace() || matches!(c, '}' | ']')).unwrap_or(rest.len());
        match number(&rest[..len]) {
            Some((value, "")) => {
                self.at += len;
                Ok(value)
            }
            _ => {
                self.at += len;
                Err(ParseError::new(BAD_NUMBER, self.span(from), format!("not a number: `{}`", &rest[..len])))
            }
        }
    }

    fn whole(&mut self) -> Result<i32, ParseError> {
        let from = self.at;
        let value = self.number()?;
        if value.fract() == 0.0 && value.abs() < 1e9 {
            return Ok(value as i32);
        }
        Err(ParseError::new(BAD_NUMBER, self.span(from), format!("not a whole number: `{value}`")))
    }

    fn list(&mut self) -> Result<Vec<f64>, ParseError> {
        let from = self.at;
        if !self.rest().starts_with('[') {
            return Err(
                ParseError::new(SYNTAX, self.span(from), "buckets are written as a list").help("write `[1 2 3]`")
            );
        }
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip_space();
            if self.rest().starts_with(']') {
                self.at += 1;
                return Ok(values);
            }
            if self.rest().is_empty() || self.rest().starts_with('}') {
                return Err(ParseError::new(UNCLOSED, self.start + from..self.start + from + 1, "list is not closed"));
            }
            values.push(self.number()?);
        }
    }

    fn hint(&mut self) -> Result<ResetHint, ParseError> {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let from = self.at;
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        self.at += len;
        let known = [Unknown, Reset, NotReset, Gauge].into_iter().find(|h| h.as_str() == &rest[..len]);
        let help = "write `unknown`, `reset`, `not_reset` or `gauge`";
        known.ok_or_else(|| ParseError::new(SYNTAX, self.span(from), "not a hint about counter resets").help(help))
    }
}
