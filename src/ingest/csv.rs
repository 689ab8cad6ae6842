//! CSV files: a header, then a sample or more per record (RFC 4180 quoting, quoted line ends included).
//!
//! Three forms, told apart by the header:
//! - `timestamp,metric,value,<label>…`: long, a sample per record; the columns may stand in any order;
//! - `timestamp,value[,<label>…]`: the same of one metric, whose name the caller gives;
//! - `timestamp,m01,m02,…`: wide, each further column a metric; an empty cell is no sample.
//!
//! Times as [`super::time`] reads them.

use std::borrow::Cow;

use super::batch::Batch;
use super::error::{IngestError, IngestErrors};
use super::limits::{LABELS_MAX, LINE_LEN_MAX, refusal};
use super::time;
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

/// Columns of a wide file.
pub const COLUMNS_MAX: usize = 10_000;

/// A field and the byte of its line where it begins.
type Field<'a> = (usize, Cow<'a, str>);

/// Splits a file into records, each with the number of its first line.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Records<'a> {
    /// Reads the next record's fields; `Ok(false)` at the end. After an error the next line is tried.
    fn next(&mut self, fields: &mut Vec<Field<'a>>) -> Result<bool, IngestError> {
        fields.clear();
        while let Some(rest) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n')) {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (text, line) = (self.rest, self.line);
        let mut pos = 0;
        loop {
            let start = pos;
            let field = match text[pos..].strip_prefix('"') {
                Some(_) => quoted(text, &mut pos),
                None => {
                    pos += text[pos..].find([',', '\n']).unwrap_or(text.len() - pos);
                    Ok(Cow::Borrowed(text[start..pos].trim()))
                }
            };
            let field = match field {
                Ok(field) if pos - start <= LINE_LEN_MAX && fields.len() < COLUMNS_MAX => field,
                Ok(_) => return Err(self.skip_line(start, "a field or record is too long")),
                Err(reason) => return Err(self.skip_line(start, reason)),
            };
            fields.push((start, field));
            match text.as_bytes().get(pos) {
                Some(b',') => pos += 1,
                _ => break,
            }
        }
        let end = text[pos..].find('\n').map_or(text.len(), |n| pos + n + 1);
        if !text[pos..end].trim().is_empty() {
            return Err(self.skip_line(pos, "expected ',' after the closing quote"));
        }
        self.line = line + text[..end].bytes().filter(|b| *b == b'\n').count();
        self.rest = &text[end..];
        Ok(true)
    }

    fn skip_line(&mut self, offset: usize, reason: &str) -> IngestError {
        let error = IngestError::new(self.line, offset, reason);
        self.rest = self.rest.find('\n').and_then(|end| self.rest.get(end + 1..)).unwrap_or("");
        self.line += 1;
        error
    }
}

fn quoted<'a>(text: &'a str, pos: &mut usize) -> Result<Cow<'a, str>, &'static str> {
    let start = *pos + 1;
    let mut at = start;
    let mut doubled = false;
    loop {
        let Some(n) = text.get(at..).and_then(|t| t.get(..t.floor_char_boundary(LINE_LEN_MAX))?.find('"')) else {
            return Err("a quote is not closed");
        };
        at += n + 1;
        if text.as_bytes().get(at) != Some(&b'"') {
            break;
        }
        doubled = true;
        at += 1;
    }
    *pos = at;
    let inner = &text[start..at - 1];
    Ok(if doubled { Cow::Owned(inner.replace("\"\"", "\"")) } else { Cow::Borrowed(inner) })
}

/// What the columns mean.
enum Form {
    Long { time: usize, metric: Option<usize>, value: usize, labels: Vec<(usize, String)> },
    Wide { time: usize, series: Vec<(usize, Labels)> },
}

impl Form {
    fn read(header: &[Field<'_>], metric: Option<&str>) -> Result<Self, (usize, String)> {
        let find = |name: &str| header.iter().position(|(_, f)| f.trim_start_matches('\u{feff}') == name);
        for (i, (offset, field)) in header.iter().enumerate() {
            if field.is_empty() || header.iter().take(i).any(|(_, other)| other == field) {
                return Err((*offset, format!("column {field:?} has no name of its own")));
            }
        }
        let Some(time) = find("timestamp").or_else(|| find("time")) else {
            return Err((0, "the header names no column \"timestamp\"".to_owned()));
        };
        if let Some(value) = find("value") {
            let by_row = find("metric");
            if by_row.is_none() && metric.is_none() {
                return Err((
                    0,
                    "the header names no column \"metric\", so the metric's name must be given: --metric NAME"
                        .to_owned(),
                ));
            }
            let fixed = [Some(time), Some(value), by_row];
            let others = (0..header.len()).filter(|i| !fixed.contains(&Some(*i)));
            let labels: Vec<_> = others.filter_map(|i| Some((i, header.get(i)?.1.clone().into_owned()))).collect();
            if labels.len() >= LABELS_MAX {
                return Err((0, format!("{} label columns; at most {} are taken", labels.len(), LABELS_MAX - 1)));
            }
            return Ok(Self::Long { time, metric: by_row, value, labels });
        }
        let mut series = Vec::new();
        for (i, (offset, name)) in header.iter().enumerate().filter(|(i, _)| *i != time) {
            let labels = Labels::from_sorted([(METRIC_NAME, name.as_ref())]);
            if let Some(reason) = refusal(&labels) {
                return Err((*offset, reason));
            }
            series.push((i, labels));
        }
        if series.is_empty() {
            Err((0, "the header names no column of values".to_owned()))
        } else {
            Ok(Self::Wide { time, series })
        }
    }

    fn record(&self, fields: &[Field<'_>], known: &mut Known<'_>, batch: &mut Batch) -> Result<(), (usize, String)> {
        let time = match self {
            Self::Long { time, .. } | Self::Wide { time, .. } => *time,
        };
        let (offset, text) = field(fields, time);
        let t_ms = time::from_text(text).map_err(|reason| (offset, reason))?;
        match self {
            Self::Long { metric, value, labels, .. } => {
                let (offset, text) = field(fields, *value);
                let value = number(text).map_err(|reason| (offset, reason))?;
                let found = known.labels(fields, *metric, labels)?;
                batch.push(found, Some(t_ms), value);
            }
            Self::Wide { series, .. } => {
                let before = batch.len();
                for (i, labels) in series {
                    let (offset, text) = field(fields, *i);
                    if text.is_empty() {
                        continue;
                    }
                    match number(text) {
                        Ok(value) => batch.push(labels.clone(), Some(t_ms), value),
                        Err(reason) => {
                            batch.rows.truncate(before);
                            return Err((offset, reason));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn field<'a>(fields: &'a [Field<'_>], i: usize) -> (usize, &'a str) {
    fields.get(i).map_or((0, ""), |(offset, text)| (*offset, text.as_ref()))
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_nan() => Ok(f64::NAN),
        Ok(value) => Ok(value),
        Err(_) if text.is_empty() => Err("the value is missing".to_owned()),
        Err(_) => Err(format!("value {:?} is no number", text.chars().take(40).collect::<String>())),
    }
}

/// The label set of the last record: files list one series after another, or the same few in turn.
struct Known<'a> {
    metric: Option<&'a str>,
    last: Option<Labels>,
}

impl Known<'_> {
    fn labels(
        &mut self,
        fields: &[Field<'_>],
        metric: Option<usize>,
        labels: &[(usize, String)],
    ) -> Result<Labels, (usize, String)> {
        let (offset, name) = match metric {
            Some(i) => field(fields, i),
            None => (0, self.metric.unwrap_or("")),
        };
        if name.is_empty() {
            return Err((offset, "the metric has no name".to_owned()));
        }
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(labels.len() + 1);
        pairs.push((METRIC_NAME, name));
        pairs.extend(labels.iter().map(|(i, label)| (label.as_str(), field(fields, *i).1)));
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.sort_unstable();
        if let Some(last) = self.last.as_ref().filter(|last| last.iter().eq(pairs.iter().copied())) {
            return Ok(last.clone());
        }
        let found = Labels::from_sorted(pairs);
        if let Some(reason) = refusal(&found) {
            return Err((offset, reason));
        }
        self.last = Some(found.clone());
        Ok(found)
    }
}

/// Reads a file; `metric` names the metric where the file does not, samples beyond `samples_max` are one error.
pub fn parse(text: &[u8], metric: Option<&str>, samples_max: usize) -> (Batch, IngestErrors) {
    let mut batch = Batch::default();
    let mut errors = IngestErrors::default();
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(e) => {
            let line = text.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count() + 1;
            errors.push(IngestError::new(line, 0, "not UTF-8"));
            return (batch, errors);
        }
    };
    let mut records = Records { rest: text, line: 1 };
    let mut fields = Vec::new();
    let mut known = Known { metric, last: None };
    let mut form: Option<Form> = None;
    loop {
        let line = records.line;
        let read = match records.next(&mut fields) {
            Ok(false) => break,
            Ok(true) => match &form {
                None => Form::read(&fields, metric).map(|read| form = Some(read)),
                Some(form) => form.record(&fields, &mut known, &mut batch),
            },
            Err(error) => {
                errors.push(error);
                if form.is_none() { break } else { continue }
            }
        };
        if let Err((offset, reason)) = read {
            errors.push(IngestError::new(line, offset, reason));
        }
        if form.is_none() {
            break;
        }
        if batch.len() > samples_max {
            batch.rows.truncate(samples_max);
            errors.push(IngestError::new(line, 0, format!("more than {samples_max} samples; the rest is left out")));
            break;
        }
    }
    if form.is_none() && errors.is_empty() {
        errors.push(IngestError::new(
            1,
            0,
            "no header; expected timestamp,metric,value,<label>… or timestamp,<metric>…",
        ));
    }
    (batch, errors)
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
