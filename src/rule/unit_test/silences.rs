//! Silences of a unit-test file: the model and its reader.
//!
//! Windows that come again have the keys and the reader of every silence; what is wrong with them is told at its key.

use std::ops::Range;
use std::time::Duration;

use super::read::duration;
use crate::diag::Diagnostic;
use crate::model::{LabelMatcher, Timestamp};
use crate::rule::reader::Reader;
use crate::schedule::{Recurrence, RecurrenceError, RecurrenceText};
use crate::yaml::{Node, shape};

/// A silence.
#[derive(Clone, Debug)]
pub struct TestSilence {
    /// Where it stands.
    pub span: Range<usize>,
    /// What it covers.
    pub matchers: Vec<LabelMatcher>,
    /// From here, since the start.
    pub starts: Duration,
    /// To here.
    pub ends: Option<Duration>,
    /// In these windows alone.
    pub recurrence: Option<RecurrenceText>,
    /// Why.
    pub comment: String,
}

/// When the series of a test group begin.
#[derive(Clone, Copy)]
pub(super) struct Begin {
    /// The instant.
    pub at: Timestamp,
    /// Whether that was given; else it may be another when the group is played.
    pub given: bool,
}

impl Reader<'_> {
    pub(super) fn test_silence(&mut self, node: &Node, begin: Begin) -> TestSilence {
        let (starts, ends) = (duration(node, "starts").unwrap_or_default(), duration(node, "ends"));
        if let Some((key, _)) = node.entry("ends").filter(|_| ends.is_some_and(|ends| ends <= starts)) {
            let found = self.error("A016", key.span.clone(), "the silence ends before it starts");
            self.out.push(found.with_help("`starts` and `ends` count from the start of the test"));
        }
        let comment = node.get("comment").and_then(Node::text).unwrap_or_default().to_owned();
        let matchers = self.test_matchers(node);
        let recurrence = self.windows(node, Begin { at: begin.at.plus(starts), ..begin });
        TestSilence { span: shape::anchor(node), matchers, starts, ends, recurrence, comment }
    }

    fn windows(&mut self, node: &Node, begin: Begin) -> Option<RecurrenceText> {
        let windows = node.get("recurrence")?;
        let text = |key| windows.get(key).and_then(Node::text).map(str::to_owned);
        // That a length is missing or no duration was said with the shape.
        duration(windows, "duration")?;
        let read = RecurrenceText {
            cron: text("cron"),
            rrule: text("rrule"),
            dtstart: text("dtstart"),
            duration: text("duration")?,
            timezone: text("timezone"),
        };
        match Recurrence::new(read.clone(), begin.at) {
            // A rule that never happens after one beginning may happen after another.
            Err(RecurrenceError::Rrule(error)) if error.never && !begin.given => {}
            Err(error) => {
                let found = self.no_windows(windows, error);
                self.out.push(found);
            }
            Ok(_) => {}
        }
        Some(read)
    }

    /// What is wrong with windows, at the key that it is about.
    fn no_windows(&self, windows: &Node, error: RecurrenceError) -> Diagnostic {
        let value = |key| windows.get(key).map_or_else(|| shape::anchor(windows), |node| node.span.clone());
        let key = |key| windows.entry(key).map_or_else(|| shape::anchor(windows), |(key, _)| key.span.clone());
        let message = error.to_string();
        match error {
            RecurrenceError::Starts => match (windows.entry("cron"), windows.entry("rrule")) {
                (Some((cron, _)), Some((rule, _))) => {
                    let later = if rule.span.start > cron.span.start { rule } else { cron };
                    let found = self.error("A016", later.span.clone(), "`cron` and `rrule` conflict");
                    found.with_label("the windows begin by one of them").with_help("keep one of the two")
                }
                _ => {
                    let found = self.error("A012", shape::anchor(windows), "`cron` or `rrule` is missing");
                    found.with_label("when do the windows begin?").with_help("for example `cron: '0 0 22 * * Sat'`")
                }
            },
            RecurrenceError::Cron(error) => match (windows.get("cron"), windows.get("timezone")) {
                (_, Some(zone)) if error.zone => self.unknown_zone(zone, zone.text().unwrap_or_default()),
                (cron, _) => self.wrong_cron(cron.unwrap_or(windows), error),
            },
            RecurrenceError::Rrule(error) => {
                let found = self.error("A412", value("rrule"), error.message);
                found.with_label("cannot be a rule of windows").with_help(error.help)
            }
            RecurrenceError::Duration(_) | RecurrenceError::Length(_) => {
                let found = self.error("A015", value("duration"), message);
                found.with_label("expected a length such as `2h`").with_help("write how long each window lasts")
            }
            RecurrenceError::Start(_) => {
                let found = self.error("A011", value("dtstart"), message);
                found.with_label("expected a local time").with_help("its time zone is that of `timezone`")
            }
            RecurrenceError::StartOfCron => {
                let found = self.error("A016", key("dtstart"), message);
                found.with_label("has no effect here").with_help("leave it out, or write an `rrule`")
            }
        }
    }
}
