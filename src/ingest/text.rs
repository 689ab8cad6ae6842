//! Prometheus text and OpenMetrics pages to a [`Batch`]: text push, textfiles, data files.
//!
//! A bad line is told and passed over. Two faults concern an OpenMetrics page as a whole, and are told as errors of its
//! last line: no `# EOF` at the end (the page was cut short), and text after it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::batch::Batch;
use super::error::{IngestError, IngestErrors};
use super::exposition::{Comment, Dialect, Fault, Lines, comment, labels, series_end, value_and_time};
use super::metadata::{Metadata, MetricKind};
use crate::model::Labels;

/// Samples taken from one pushed page.
pub const SAMPLES_MAX: usize = 1_000_000;

/// Reads a page; samples beyond `samples_max` are one error.
pub fn parse(page: &[u8], dialect: Dialect, samples_max: usize) -> (Batch, IngestErrors) {
    let mut batch = Batch::default();
    let mut errors = IngestErrors::default();
    let mut walk = Walk::new(dialect);
    let mut previous: (&str, Option<Labels>) = ("", None);
    let mut pairs = Vec::new();
    let mut last = 0;
    for (number, line) in Lines::new(page) {
        last = number;
        let read = walk.line(line, &mut batch.metadata).and_then(|sample| {
            let Some(line) = sample else { return Ok(true) };
            if batch.len() >= samples_max {
                let reason = format!("more than {samples_max} samples; the rest is left out");
                errors.push(IngestError::new(number, 0, reason));
                return Ok(false);
            }
            let end = series_end(line)?;
            let series = &line[..end];
            // Pages with history hold many lines of one series in a row: they share one label set.
            let known = previous.1.as_ref().filter(|_| previous.0 == series).cloned();
            let found = match known {
                Some(found) => found,
                None => labels(series, &mut pairs)?,
            };
            let (value, t_ms) = value_and_time(line, end, dialect)?;
            previous = (series, Some(found.clone()));
            batch.push(found, t_ms, value);
            Ok(true)
        });
        match read {
            Ok(true) => {}
            Ok(false) => return (batch, errors),
            Err(fault) => errors.push(walk.error(number, fault)),
        }
    }
    walk.finish(last, &mut errors);
    (batch, errors)
}

/// The state of a walk over the lines of a page.
pub(super) struct Walk {
    dialect: Dialect,
    ended: bool,
    /// Blanks before the text of the line at hand; offsets in faults count from that text.
    indent: usize,
}

impl Walk {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, ended: false, indent: 0 }
    }

    /// Takes a line: gives it back (without leading blanks) if it is a sample, keeps what it says of a family otherwise.
    #[inline]
    pub(super) fn line<'a>(
        &mut self,
        line: Result<&'a str, Fault>,
        metadata: &mut BTreeMap<String, Metadata>,
    ) -> Result<Option<&'a str>, Fault> {
        self.indent = 0;
        let whole = line?;
        let line = whole.trim_start_matches([' ', '\t']);
        self.indent = whole.len() - line.len();
        if line.is_empty() {
            return Ok(None);
        }
        if self.ended {
            return Err(Fault { offset: 0, reason: "text after '# EOF'".into() });
        }
        if !line.starts_with('#') {
            return Ok(Some(line));
        }
        let entry = |family: Cow<'_, str>| family.into_owned();
        match comment(line, self.dialect)? {
            Comment::Help(family, help) => metadata.entry(entry(family)).or_default().help = help.into_owned(),
            Comment::Unit(family, unit) => metadata.entry(entry(family)).or_default().unit = unit.to_owned(),
            Comment::Type(family, kind) => match MetricKind::parse(kind) {
                Some(kind) => metadata.entry(entry(family)).or_default().kind = kind,
                None => {
                    let kind: String = kind.chars().take(40).collect();
                    return Err(Fault { offset: 0, reason: format!("unknown type {kind:?} of a metric").into() });
                }
            },
            Comment::Eof => self.ended = true,
            Comment::Other => {}
        }
        Ok(None)
    }

    /// The fault of the line at hand as an error.
    pub(super) fn error(&self, number: usize, fault: Fault) -> IngestError {
        IngestError::new(number, self.indent + fault.offset, fault.reason)
    }

    /// Whether the end mark was seen.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Tells what is wrong with the page as a whole, at its last line.
    pub(super) fn finish(&self, number: usize, errors: &mut IngestErrors) {
        if self.dialect == Dialect::OpenMetrics && !self.ended {
            let reason = "the page ends without '# EOF': it was cut short";
            errors.push(IngestError::new(number.max(1), 0, reason));
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
