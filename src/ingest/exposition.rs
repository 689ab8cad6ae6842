//! The grammar of one line of Prometheus text (0.0.4 and 1.0 with UTF-8 names) and OpenMetrics 1.0.
//!
//! Place in the flow: [`super::text`] and [`super::cache`] walk over a page with it. Everything is borrowed from the
//! line; nothing is allocated but for escaped texts. It never decides what an error costs.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>. Beyond them, a dotted metric or
//! label name may stand unquoted.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::limits::{LABELS_MAX, LINE_LEN_MAX, pair_refusal};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

/// Which of the two text formats a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Timestamps in milliseconds, free comments, no end mark.
    Prometheus,
    /// Timestamps in seconds, exemplars, `# EOF` at the end.
    OpenMetrics,
}

impl Dialect {
    /// The format that a `Content-Type` names; Prometheus text unless it says OpenMetrics.
    pub fn of_content_type(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or("").trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// What is wrong in a line, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) reason: Cow<'static, str>,
}

fn fault<T>(offset: usize, reason: impl Into<Cow<'static, str>>) -> Result<T, Fault> {
    Err(Fault { offset, reason: reason.into() })
}

/// The lines of a page without their ends, counted from 1; a line beyond [`LINE_LEN_MAX`] is given as its fault.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(page: &'a [u8]) -> Self {
        Self { rest: page, number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, Result<&'a str, Fault>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LINE_LEN_MAX {
            let reason = format!("a line of {} bytes; at most {LINE_LEN_MAX} are taken", line.len());
            return Some((self.number, fault(LINE_LEN_MAX, reason)));
        }
        let text = std::str::from_utf8(line).or_else(|e| fault(e.valid_up_to(), "not UTF-8"));
        Some((self.number, text))
    }
}

/// A `#` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comment<'a> {
    Help(Cow<'a, str>, Cow<'a, str>),
    Type(Cow<'a, str>, &'a str),
    Unit(Cow<'a, str>, &'a str),
    Eof,
    Other,
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn skip_blanks(line: &str, mut pos: usize) -> usize {
    while line.as_bytes().get(pos).copied().is_some_and(is_blank) {
        pos += 1;
    }
    pos
}

fn is_name_head(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

/// The end of an unquoted name that begins at `pos`.
fn name_end(line: &str, pos: usize, metric: bool) -> Result<usize, Fault> {
    let bytes = line.as_bytes();
    let head = |b: u8| is_name_head(b) || (metric && b == b':');
    match bytes.get(pos) {
        Some(b) if head(*b) => {}
        Some(_) => {
            let found = line.get(pos..).and_then(|t| t.chars().next()).unwrap_or('?');
            return fault(pos, format!("a name cannot begin with {found:?}; quote it if it is one"));
        }
        None => return fault(pos, "a name is missing"),
    }
    let inner = |b: &u8| head(*b) || b.is_ascii_digit() || *b == b'.';
    let len = bytes.get(pos..).map_or(0, |rest| rest.iter().take_while(|b| inner(b)).count());
    Ok(pos + len)
}

/// The index of the closing quote of a text whose first character is at `pos`.
fn quote_end(line: &str, mut pos: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    loop {
        pos += memchr2(b'"', b'\\', bytes.get(pos..)?)?;
        if bytes.get(pos) == Some(&b'"') {
            return Some(pos);
        }
        pos += 2;
    }
}

/// Resolves `\\`, `\"` and `\n`; any other escape stands for itself, as in Prometheus.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(c @ ('\\' | '"')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

fn quoted<'a>(line: &'a str, pos: &mut usize) -> Result<Cow<'a, str>, Fault> {
    let start = *pos + 1;
    let Some(end) = quote_end(line, start) else { return fault(*pos, "a quote is not closed") };
    *pos = end + 1;
    Ok(unescape(line.get(start..end).unwrap_or("")))
}

/// Splits a sample's line: the text of the series ends at the returned byte.
pub(super) fn series_end(line: &str) -> Result<usize, Fault> {
    let bytes = line.as_bytes();
    let mut pos = if bytes.first() == Some(&b'{') { 0 } else { name_end(line, 0, true)? };
    let brace = skip_blanks(line, pos);
    if bytes.get(brace) != Some(&b'{') {
        return match bytes.get(pos) {
            Some(b) if is_blank(*b) => Ok(pos),
            Some(_) => {
                let found = line.get(pos..).and_then(|t| t.chars().next()).unwrap_or('?');
                fault(pos, format!("a metric name cannot hold {found:?}"))
            }
            None => fault(pos, "a value is missing"),
        };
    }
    pos = brace + 1;
    loop {
        match bytes.get(pos..).and_then(|rest| memchr2(b'"', b'}', rest)) {
            None => return fault(brace, "a brace is not closed"),
            Some(n) if bytes.get(pos + n) == Some(&b'}') => return Ok(pos + n + 1),
            Some(n) => match quote_end(line, pos + n + 1) {
                Some(end) => pos = end + 1,
                None => return fault(pos + n, "a quote is not closed"),
            },
        }
    }
}

/// Reads the label set out of a series' text. `pairs` is working room; offsets in faults count from the text's start.
pub(super) fn labels<'a>(series: &'a str, pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Result<Labels, Fault> {
    pairs.clear();
    let bytes = series.as_bytes();
    let mut pos = 0;
    let mut named = false;
    if bytes.first() != Some(&b'{') {
        pos = name_end(series, 0, true)?;
        push(pairs, Cow::Borrowed(METRIC_NAME), Cow::Borrowed(&series[..pos]), 0)?;
        named = true;
    }
    pos = skip_blanks(series, pos);
    if bytes.get(pos) == Some(&b'{') {
        pos = skip_blanks(series, pos + 1);
        while bytes.get(pos) != Some(&b'}') {
            named |= pair(series, &mut pos, named, pairs)?;
            pos = skip_blanks(series, pos);
            match bytes.get(pos) {
                Some(b',') => pos = skip_blanks(series, pos + 1),
                Some(b'}') => {}
                _ => return fault(pos, "expected ',' or '}' after a label"),
            }
        }
    }
    if !named {
        return fault(0, "the metric has no name");
    }
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return fault(0, format!("label {:?} stands twice", twice[0].0));
    }
    if memchr(0, bytes).is_some() {
        return fault(memchr(0, bytes).unwrap_or(0), "a NUL byte");
    }
    Ok(Labels::from_sorted(pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_ref(), v.as_ref()))))
}

/// Reads `name="value"`, or a quoted metric name alone; says whether it was the latter.
fn pair<'a>(
    series: &'a str,
    pos: &mut usize,
    named: bool,
    pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<bool, Fault> {
    let (bytes, start) = (series.as_bytes(), *pos);
    let in_quotes = bytes.get(start) == Some(&b'"');
    let name = if in_quotes {
        quoted(series, pos)?
    } else {
        *pos = name_end(series, start, false)?;
        Cow::Borrowed(&series[start..*pos])
    };
    *pos = skip_blanks(series, *pos);
    if bytes.get(*pos) != Some(&b'=') {
        return match bytes.get(*pos) {
            Some(b',' | b'}') if in_quotes && !named && !name.is_empty() => {
                push(pairs, Cow::Borrowed(METRIC_NAME), name, start)?;
                Ok(true)
            }
            Some(b',' | b'}') if in_quotes => fault(start, "a second metric name"),
            _ => fault(*pos, "expected '=' after the label's name"),
        };
    }
    if name.is_empty() {
        return fault(start, "a label has no name");
    }
    *pos = skip_blanks(series, *pos + 1);
    if bytes.get(*pos) != Some(&b'"') {
        return fault(*pos, "expected the label's value in double quotes");
    }
    let value = quoted(series, pos)?;
    push(pairs, name, value, start)?;
    Ok(false)
}

fn push<'a>(
    pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    offset: usize,
) -> Result<(), Fault> {
    if pairs.len() >= LABELS_MAX {
        return fault(offset, format!("more than {LABELS_MAX} labels"));
    }
    if let Some(reason) = pair_refusal(&name, &value) {
        return fault(offset, reason);
    }
    pairs.push((name, value));
    Ok(())
}

fn token(line: &str, pos: usize) -> (usize, &str) {
    let start = skip_blanks(line, pos);
    let rest = line.get(start..).unwrap_or("");
    let len = rest.bytes().position(is_blank).unwrap_or(rest.len());
    (start, &rest[..len])
}

/// Reads what follows the series: the value, the time in milliseconds if there is one, and in OpenMetrics an exemplar,
/// which is passed over.
pub(super) fn value_and_time(line: &str, pos: usize, dialect: Dialect) -> Result<(f64, Option<i64>), Fault> {
    let (start, text) = token(line, pos);
    if text.is_empty() {
        return fault(start, "a value is missing");
    }
    let Ok(mut value) = text.parse::<f64>() else {
        return fault(start, format!("{:?} is no number", shown(text)));
    };
    if value.is_nan() {
        // The payload of a NaN carries marks inside the store; a page cannot write them.
        value = f64::NAN;
    }
    let (mut start, mut text) = token(line, start + text.len());
    let mut t_ms = None;
    if !text.is_empty() && text != "#" {
        t_ms = Some(time(text, dialect).or_else(|reason| fault(start, reason))?);
        (start, text) = token(line, start + text.len());
    }
    match (text, dialect) {
        ("", _) => Ok((value, t_ms)),
        ("#", Dialect::OpenMetrics) => Ok((value, t_ms)),
        _ => fault(start, format!("expected the end of the line, found {:?}", shown(text))),
    }
}

fn time(text: &str, dialect: Dialect) -> Result<i64, String> {
    const MS_MAX: f64 = 9e15;
    let ms = match dialect {
        Dialect::Prometheus => text.parse::<i64>().ok().filter(|ms| ms.unsigned_abs() < MS_MAX as u64),
        Dialect::OpenMetrics => {
            text.parse::<f64>().ok().map(|s| s * 1000.0).filter(|ms| ms.abs() < MS_MAX).map(|ms| ms.round() as i64)
        }
    };
    let unit = if dialect == Dialect::Prometheus { "whole milliseconds" } else { "seconds" };
    ms.ok_or_else(|| format!("{:?} is no timestamp in {unit}", shown(text)))
}

/// A text cut to what a message can bear.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

/// Reads a line that begins with `#`.
pub(super) fn comment(line: &str, dialect: Dialect) -> Result<Comment<'_>, Fault> {
    let (start, keyword) = token(line, 1);
    let mut pos = start + keyword.len();
    if dialect == Dialect::OpenMetrics && line == "# EOF" {
        return Ok(Comment::Eof);
    }
    if start == 1 || !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return Ok(Comment::Other);
    }
    pos = skip_blanks(line, pos);
    let family = if line.as_bytes().get(pos) == Some(&b'"') {
        quoted(line, &mut pos)?
    } else {
        let end = name_end(line, pos, true)?;
        let name = &line[pos..end];
        pos = end;
        Cow::Borrowed(name)
    };
    if !line.as_bytes().get(pos).is_none_or(|b| is_blank(*b)) {
        return fault(pos, "a metric name ends here, but no blank follows");
    }
    let text = line.get(skip_blanks(line, pos)..).unwrap_or("");
    Ok(match keyword {
        "HELP" => Comment::Help(family, unescape(text)),
        "TYPE" => Comment::Type(family, text.trim_end()),
        _ => Comment::Unit(family, text.trim_end()),
    })
}
