//! The fields of a time interval as they are written: `monday:friday`, `-3:-1`, `march`, `22:00`.
//!
//! Place in the flow: `config` finds the texts in a handler file and asks this file to read each one;
//! `time_interval` makes an interval of the ranges. The notation is Alertmanager's. Nothing here knows a date.

use std::ops::Range;

use thiserror::Error;

/// Weekdays in the order in which ranges run.
pub const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/// Months in the order in which ranges run.
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Last year that can be named.
const YEAR_MAX: i32 = 9999;
/// Every month has so many days: a range that is empty in it by all accounts is a mistake.
const SHORTEST_MONTH: i32 = 28;

/// From one value to another; the end is included, but for times of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRange {
    /// First value.
    pub begin: i32,
    /// Last value; for times of day the first minute that is no longer meant.
    pub end: i32,
}

/// A field whose elements are a value or a range of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Sunday is 0.
    Weekday,
    /// 1 to 31, or -1 to -31 counted from the end of the month.
    DayOfMonth,
    /// 1 to 12.
    Month,
    /// A year.
    Year,
}

/// Why a text is no range of a field.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct FieldError {
    /// The bytes that are wrong, within the text.
    pub span: Range<usize>,
    /// Whether both ends can be read and the range ends before it begins.
    pub reversed: bool,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// Words of which one may have been meant.
    pub known: &'static [&'static str],
}

impl FieldError {
    fn unreadable(span: Range<usize>, message: String, help: impl Into<String>) -> Self {
        Self { span, reversed: false, message, help: help.into(), known: &[] }
    }

    fn reversed(span: Range<usize>, message: String, help: impl Into<String>) -> Self {
        Self { reversed: true, ..Self::unreadable(span, message, help) }
    }
}

/// Reads a time of day into minutes: `00:00` to `24:00`.
pub fn time_of_day(text: &str) -> Result<i32, FieldError> {
    let two =
        |digits: &str| digits.parse::<i32>().ok().filter(|_| digits.len() == 2 && !digits.starts_with(['+', '-']));
    let read = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?)));
    match read {
        Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        Some((24, 0)) => Ok(24 * 60),
        _ => {
            let help = "write hours and minutes with two digits each, `00:00` to `24:00`";
            Err(FieldError::unreadable(0..text.len(), format!("`{}` is no time of day", short(text)), help))
        }
    }
}

/// Reads the two ends of a time range; `start` is included, `end` is not. The place of an error is within `start`,
/// within `end` where `true` is returned beside it.
pub fn time_range(start: &str, end: &str) -> Result<FieldRange, (FieldError, bool)> {
    let begin_minute = time_of_day(start).map_err(|e| (e, false))?;
    let end_minute = time_of_day(end).map_err(|e| (e, true))?;
    if begin_minute < end_minute {
        return Ok(FieldRange { begin: begin_minute, end: end_minute });
    }
    let message = format!("the time range from `{start}` to `{end}` ends before it starts");
    let help = match (begin_minute == end_minute, begin_minute, end_minute) {
        (true, ..) => "the end does not belong to the range; write `00:00` to `24:00` for the whole day".to_owned(),
        (_, 1440, _) => "the day ends at `24:00`; begin with `00:00`".to_owned(),
        (_, _, 0) => "midnight at the end of a day is written `24:00`".to_owned(),
        _ => format!(
            "a range does not run over midnight: write two, `{start}` to `24:00` and `00:00` to `{end}` (the second one \
             belongs to the next day)"
        ),
    };
    Err((FieldError::reversed(0..end.len(), message, help), true))
}

impl Field {
    /// Reads a value, or two with a colon between them.
    pub fn range(self, text: &str) -> Result<FieldRange, FieldError> {
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split(':').collect();
        let range = match parts.as_slice() {
            [one] => {
                let value = self.member(one, 0)?;
                FieldRange { begin: value, end: value }
            }
            [begin, end] => FieldRange { begin: self.member(begin, 0)?, end: self.member(end, begin.len() + 1)? },
            _ => {
                let message = format!("`{}` is no range: it has more than two ends", short(text));
                return Err(FieldError::unreadable(0..text.len(), message, self.help()));
            }
        };
        self.in_order(text, range)?;
        Ok(range)
    }

    fn member(self, text: &str, at: usize) -> Result<i32, FieldError> {
        let name = |names: &[&str]| names.iter().position(|name| *name == text).and_then(|n| i32::try_from(n).ok());
        let value = match self {
            Self::Weekday => name(&WEEKDAYS),
            Self::Month => name(&MONTHS).map(|n| n + 1).or_else(|| number(text)).filter(|n| (1..=12).contains(n)),
            Self::DayOfMonth => number(text).filter(|n| (1..=31).contains(&n.abs())),
            Self::Year => number(text).filter(|n| (1..=YEAR_MAX).contains(n)),
        };
        value.ok_or_else(|| {
            let message = format!("`{}` is no {}", short(text), self.noun());
            // What stands before a dash is what a `did you mean` can be about no more.
            let dash = text.trim_start_matches('-').contains('-');
            let help = if dash { self.help_on_colons() } else { self.help() };
            let known: &[&str] = match self {
                Self::Weekday if !dash => &WEEKDAYS,
                Self::Month if !dash => &MONTHS,
                _ => &[],
            };
            FieldError { known, ..FieldError::unreadable(at..at + text.len(), message, help) }
        })
    }

    fn in_order(self, text: &str, range: FieldRange) -> Result<(), FieldError> {
        let whole = 0..text.len();
        let fault = |help: String| {
            Err(FieldError::reversed(whole.clone(), format!("the range `{}` ends before it begins", short(text)), help))
        };
        match self {
            Self::DayOfMonth if range.begin < 0 && range.end > 0 => {
                let message = format!("the range `{}` begins at the end of a month and ends in it", short(text));
                let help = "a range that begins with a negative day ends with one: `-3:-1` are the last three days";
                Err(FieldError::reversed(whole, message, help))
            }
            Self::DayOfMonth => {
                let least = |day: i32| if day < 0 { SHORTEST_MONTH + day } else { day };
                if least(range.begin) > least(range.end) {
                    return fault(
                        "days count from the start of the month, negative ones from its end: `1:7`, `-7:-1`".to_owned(),
                    );
                }
                Ok(())
            }
            _ if range.begin <= range.end => Ok(()),
            Self::Weekday => fault(self.two_ranges(text, "saturday", "sunday", "the week begins on Sunday")),
            Self::Month => fault(self.two_ranges(text, "december", "january", "a range does not run over the year")),
            Self::Year => fault("write the earlier year first".to_owned()),
        }
    }

    /// How to write a range that runs over the end: two of them.
    fn two_ranges(self, text: &str, last: &str, first: &str, why: &str) -> String {
        let (begin, end) = text.split_once(':').unwrap_or((text, text));
        let pair = |from: &str, to: &str| {
            if from.eq_ignore_ascii_case(to) { format!("`{from}`") } else { format!("`{from}:{to}`") }
        };
        format!("{why}: write two elements, {} and {}", pair(begin, last), pair(first, end))
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Weekday => "weekday",
            Self::DayOfMonth => "day of a month",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Weekday => "weekdays are `sunday` to `saturday`, written out; a range is `monday:friday`",
            Self::DayOfMonth => "days are 1 to 31, or -1 to -31 from the end of the month; a range is `1:7` or `-3:-1`",
            Self::Month => "months are `january` to `december`, written out, or 1 to 12; a range is `june:august`",
            Self::Year => "years are numbers; a range is `2025:2027`",
        }
    }

    fn help_on_colons(self) -> &'static str {
        match self {
            Self::Weekday => "a range is written with a colon and full names: `monday:friday`",
            Self::DayOfMonth => "a range is written with a colon: `1:7` or `-3:-1`",
            Self::Month => "a range is written with a colon: `june:august`",
            Self::Year => "a range is written with a colon: `2025:2027`",
        }
    }
}

/// A whole number of few digits, with a sign or without.
fn number(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// A text as it is shown in a message.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
