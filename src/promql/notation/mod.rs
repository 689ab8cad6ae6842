//! Series in promtool's notation: `metric{a="b"} 1+2x5 _ stale {{sum:3 count:2 buckets:[1 1]}}`. Used by rule tests and
//! by the engine's own.

mod histogram;

use std::ops::Range;
use std::sync::Arc;

use super::ast::ExprKind;
use super::error::{BAD_MATCHER, BAD_NUMBER, ParseError, SYNTAX, TOO_BIG};
use super::lexer::parse_number;
use super::matcher::MatchOp;
use super::parser::{ParseOptions, parse_syntax};
use crate::model::{Histogram, Labels, LabelsBuilder, STALE_NAN, SampleValue};

/// Most points that one text may stand for.
pub const POINTS_MAX: usize = 100_000;

/// Values at successive steps; `None` is a gap, [`STALE_NAN`] an end mark.
pub type Values = Vec<Option<f64>>;
/// Floats and histograms at successive steps.
pub type SampleValues = Vec<Option<SampleValue>>;

/// Reads `metric{labels} values`. Spans of errors count from the start of `text`.
pub fn parse_series_description(text: &str) -> Result<(Labels, Values), ParseError> {
    let start = text.len() - text.trim_start().len();
    let end = start + labels_len(&text[start..]);
    let labels = parse_labels(&text[start..end]).map_err(|e| moved(e, start))?;
    let values = parse_values(&text[end..]).map_err(|e| moved(e, end))?;
    Ok((labels, values))
}

/// Reads the labels of a series: `metric{a="b"}`, `{"dotted.name", a="b"}`, `{}`.
pub fn parse_labels(text: &str) -> Result<Labels, ParseError> {
    let span = 0..text.len();
    let wrong = |message: String| ParseError::new(BAD_MATCHER, span.clone(), message);
    // A series may have no label at all: the check for empty selectors is left out.
    let (expr, _, errors) = parse_syntax(text, &ParseOptions { dotted_names: true })
        .map_err(|errors| errors.into_iter().next().unwrap_or_else(|| wrong("not a series".to_owned())))?;
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let ExprKind::Vector(found) = expr.kind else { return Err(wrong("not a series".to_owned())) };
    if found.offset.is_some() || found.at.is_some() {
        return Err(wrong("a series has no `offset` and no `@`".to_owned()));
    }
    let mut builder = LabelsBuilder::default();
    for m in &found.matchers {
        if m.op != MatchOp::Equal {
            return Err(wrong(format!("labels of a series are given with `=`, not `{}`", m.op.as_str())));
        }
        if builder.get(&m.name).is_some() {
            return Err(wrong(format!("label `{}` is given twice", m.name)));
        }
        builder.set(m.name.as_str(), m.value.as_str());
    }
    Ok(builder.build())
}

fn moved(mut error: ParseError, by: usize) -> ParseError {
    error.span = error.span.start + by..error.span.end + by;
    error
}

/// Bytes up to the first space that stands outside braces and quotes.
fn labels_len(text: &str) -> usize {
    let (mut quote, mut depth, mut escaped) = (None, 0usize, false);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            _ if std::mem::take(&mut escaped) => {}
            (Some(q), '\\') if q != '`' => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            (None, c) if c.is_whitespace() && depth == 0 && !opens_labels(&text[i..]) => return i,
            _ => {}
        }
    }
    text.len()
}

/// Whether braces with labels follow, as in `metric {…}`.
fn opens_labels(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{') && !text.starts_with("{{")
}

/// Reads values that are floats: `1 2 3`, `1+2x5` (6 values), `7x3` (4 values), `_`, `_x4` (4 gaps), `stale`.
pub fn parse_values(text: &str) -> Result<Values, ParseError> {
    let refused = |span: Range<usize>| {
        let error = ParseError::new(SYNTAX, span, "a histogram cannot stand here");
        error.help("write the classic histogram's `_bucket`, `_sum` and `_count` series")
    };
    let float = |value: SampleValue| match value {
        SampleValue::Float(value) => value,
        SampleValue::Histogram(_) => f64::NAN,
    };
    if let Some(start) = text.find("{{") {
        let end = text[start..].find("}}").map_or(text.len(), |len| start + len + 2);
        return Err(refused(start..end));
    }
    Ok(parse_samples(text)?.into_iter().map(|value| value.map(float)).collect())
}

/// Reads floats, histograms and runs of both: `{{count:1 sum:2}}+{{count:1}}x5` (6 values), `{{count:1}}x3` (4 values).
pub fn parse_samples(text: &str) -> Result<SampleValues, ParseError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(skip) = text[at..].find(|c: char| !c.is_whitespace()) {
        let start = at + skip;
        if text[start..].starts_with("{{") {
            at = start + histograms(&text[start..], start, &mut out)?;
            continue;
        }
        let len = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        item(&text[start..start + len], start..start + len, &mut out)?;
        at = start + len;
    }
    Ok(out)
}

fn too_many(span: Range<usize>) -> ParseError {
    ParseError::new(TOO_BIG, span, format!("more than {POINTS_MAX} points"))
}

/// A histogram or a run of them; gives the bytes read.
fn histograms(text: &str, start: usize, out: &mut SampleValues) -> Result<usize, ParseError> {
    let (first, mut at) = histogram::histogram(text, start)?;
    let sign = text.as_bytes().get(at).copied().filter(|b| matches!(b, b'+' | b'-'));
    let mut step: Option<Histogram> = None;
    if sign.is_some() && text[at + 1..].starts_with("{{") {
        let (read, len) = histogram::histogram(&text[at + 1..], start + at + 1)?;
        step = Some(read);
        at += 1 + len;
    }
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |len| at + len);
    let span = start + at..start + end.max(at + 1).min(text.len().max(at));
    let bad = || {
        let error = ParseError::new(BAD_NUMBER, span.clone(), format!("not a run of histograms: `{}`", &text[at..end]));
        error.help("write `{{…}}`, `{{…}}x3`, or `{{…}}+{{…}}x5`")
    };
    let count = match text[at..end].strip_prefix('x') {
        None if at == end && step.is_none() => 0,
        None => return Err(bad()),
        Some(digits) => digits.parse::<usize>().map_err(|_| bad())?,
    };
    if count > POINTS_MAX || out.len() + count >= POINTS_MAX {
        return Err(too_many(span));
    }
    let mut value = Arc::new(first);
    for n in 0..=count {
        out.push(Some(SampleValue::Histogram(Arc::clone(&value))));
        let Some(step) = step.as_ref().filter(|_| n < count) else { continue };
        let next = Arc::make_mut(&mut value);
        let combined = if sign == Some(b'-') { next.subtract(step) } else { next.add(step) };
        combined.map_err(|e| ParseError::new(BAD_NUMBER, start..start + at, e.to_string()))?;
    }
    Ok(end)
}

fn item(text: &str, span: Range<usize>, out: &mut SampleValues) -> Result<(), ParseError> {
    let bad = || {
        let error = ParseError::new(BAD_NUMBER, span.clone(), format!("not a value: `{text}`"));
        error.help("write a number, `_`, `stale`, or a run such as `1+2x5`, `1-2x5`, `7x3`, `_x4`")
    };
    let too_many = || too_many(span.clone());
    let times = |text: &str| -> Result<usize, ParseError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        text.parse().ok().filter(|n| *n <= POINTS_MAX).ok_or_else(too_many)
    };
    let mut push = |value: Option<f64>| {
        if out.len() >= POINTS_MAX {
            return Err(too_many());
        }
        out.push(value.map(SampleValue::Float));
        Ok(())
    };
    if text == "stale" {
        return push(Some(STALE_NAN));
    }
    if let Some(rest) = text.strip_prefix('_') {
        let count = if rest.is_empty() { 1 } else { times(rest.strip_prefix('x').ok_or_else(bad)?)? };
        return (0..count).try_for_each(|_| push(None));
    }
    let (start, rest) = number(text).ok_or_else(bad)?;
    if rest.is_empty() {
        return push(Some(start));
    }
    let (step, rest) = match rest.starts_with('x') {
        true => (0.0, rest),
        false => number(rest).filter(|_| rest.starts_with(['+', '-'])).ok_or_else(bad)?,
    };
    let count = times(rest.strip_prefix('x').ok_or_else(bad)?)?;
    // Added up as Prometheus does, so that the digits are the same.
    let mut value = start;
    for _ in 0..=count {
        push(Some(value))?;
        value += step;
    }
    Ok(())
}

/// A leading number with its sign, and what follows.
fn number(text: &str) -> Option<(f64, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if digits.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(word)) {
            return Some((sign * value, &digits[3..]));
        }
    }
    let bytes = digits.as_bytes();
    let mut end = 0;
    while let Some(b) = bytes.get(end) {
        let exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
        let part = b.is_ascii_digit() || matches!(b, b'.' | b'_') || (matches!(b, b'e' | b'E') && end > 0);
        if part || (exponent && matches!(b, b'+' | b'-')) {
            end += 1;
        } else {
            break;
        }
    }
    Some((sign * parse_number(&digits[..end])?, &digits[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as text: `_` for gaps, `stale` for marks.
    fn shown(values: &Values) -> String {
        let one = |v: &Option<f64>| match v {
            None => "_".to_owned(),
            Some(v) if crate::model::is_stale(*v) => "stale".to_owned(),
            Some(v) => v.to_string(),
        };
        values.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_expand_as_in_promtool() {
        for (text, want) in [
            ("1 2.5 -3", "1 2.5 -3"),
            ("0+10x3", "0 10 20 30"),
            ("10-5x2", "10 5 0"),
            ("-2+4x1", "-2 2"),
            ("7x2", "7 7 7"),
            ("_ _x2 stale", "_ _ _ stale"),
            ("1e3 1e-6+1e-6x1 Inf -Inf NaN", "1000 0.000001 0.000002 inf -inf NaN"),
            ("", ""),
        ] {
            assert_eq!(shown(&parse_values(text).unwrap()), want, "{text:?}");
        }
    }

    #[test]
    fn histograms_expand_as_in_promtool() {
        let shown = |text: &str| {
            let values = parse_samples(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            let one = |v: Option<SampleValue>| match v {
                None => "_".to_owned(),
                Some(SampleValue::Float(v)) => v.to_string(),
                Some(SampleValue::Histogram(h)) => h.notation(),
            };
            values.into_iter().map(one).collect::<Vec<_>>().join(" ")
        };
        for (text, want) in [
            ("{{}} _ 3", "{{}} _ 3"),
            (
                "{{schema:1 sum:-0.5 count:4 buckets:[1 2 1] offset:-2}}",
                "{{schema:1 count:4 sum:-0.5 offset:-2 buckets:[1 2 1]}}",
            ),
            (
                "{{ count:1 z_bucket:1 z_bucket_w:0.5 n_buckets:[ 1 ] n_offset:2 }}x1",
                "{{count:1 z_bucket:1 z_bucket_w:0.5 n_offset:2 n_buckets:[1]}} {{count:1 z_bucket:1 z_bucket_w:0.5 n_offset:2 n_buckets:[1]}}",
            ),
            (
                "{{count:1 buckets:[1]}}+{{count:1 buckets:[0 1]}}x2",
                "{{count:1 buckets:[1]}} {{count:2 buckets:[1 1]}} {{count:3 buckets:[1 2]}}",
            ),
            ("{{count:3}}-{{count:1}}x1 4", "{{count:3}} {{count:2}} 4"),
            (
                "{{schema:-53 custom_values:[5 10] buckets:[1 2] counter_reset_hint:gauge}}",
                "{{schema:-53 custom_values:[5 10] counter_reset_hint:gauge buckets:[1 2]}}",
            ),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        for (text, part) in [
            ("1 {{schema:9}}", "{{schema:9}}"),
            ("{{sums:1}}", "sums"),
            ("{{sum:a}}", "a"),
            ("{{sum:1", "{{"),
            ("{{buckets:[1 2}}", "["),
            ("{{}}x", "x"),
            ("{{}}+3x4", "+3x4"),
            ("{{}}x999999", "x999999"),
            ("{{counter_reset_hint:maybe}}", "maybe"),
            ("{{}}+{{schema:-53}}x1", "{{}}+{{schema:-53}}"),
        ] {
            let error = parse_samples(text).expect_err(text);
            assert_eq!(&text[error.span.clone()], part, "{text}: {error:?}");
        }
    }

    #[test]
    fn series_are_read_with_their_labels() {
        for (text, labels, values) in [
            (r#"up{job="a b", x='}'} 1 _"#, r#"up{job="a b", x="}"}"#, "1 _"),
            ("up 1x1", "up", "1 1"),
            (r#"  up {a="b"}  3"#, r#"up{a="b"}"#, "3"),
            (r#"{"llm.cost", "l.x"="y"} 1"#, r#"{"llm.cost", "l.x"="y"}"#, "1"),
            ("llm.cost 1", r#"{"llm.cost"}"#, "1"),
            ("{} 1", "{}", "1"),
            (r#"up{gone=""} 1"#, "up", "1"),
        ] {
            let (found, points) = parse_series_description(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!((found.to_string().as_str(), shown(&points).as_str()), (labels, values), "{text}");
        }
    }

    #[test]
    fn mistakes_are_shown_where_they_stand() {
        for (text, code, part) in [
            ("up 1 2x", BAD_NUMBER, "2x"),
            ("up 1 abc 3", BAD_NUMBER, "abc"),
            ("up 1+x5", BAD_NUMBER, "1+x5"),
            ("up 1 {{schema:0}}", SYNTAX, "{{schema:0}}"),
            ("up 1 {{schema:0", SYNTAX, "{{schema:0"),
            ("up 1x99999999", TOO_BIG, "1x99999999"),
            ("up _x60000 _x60000", TOO_BIG, "_x60000"),
            ("up{a=~\"b\"} 1", BAD_MATCHER, "up{a=~\"b\"}"),
            ("up{a=\"b\", a=\"c\"} 1", BAD_MATCHER, "up{a=\"b\", a=\"c\"}"),
            ("up{a=b} 1", SYNTAX, "b"),
        ] {
            let error = parse_series_description(text).expect_err(text);
            assert_eq!((error.code, &text[error.span.clone()]), (code, part), "{text}: {error:?}");
        }
    }
}
