//! Cron schedules: an expression, a time zone, and what daylight saving time does to both.
//!
//! Place in the flow: rule files give the text and the zone, [`super::Schedule`] asks for slots. The `cron` crate
//! reads the expression; laying it onto a zone is done here, because the crate's own iterator leaves out a daily run
//! whose time falls into the gap in spring, gives two where it falls into the repeated hour in autumn, and leaves out
//! the second of the two repeated hours of an hourly schedule.
//!
//! A schedule whose hours field allows every hour follows real time: a repeated hour runs again, an hour that does not
//! exist does not run. Any other schedule names times of day, and each of them runs once a day: one that does not exist
//! runs at the first instant after the gap (once, however many fall into it), one that exists twice runs at the first.
//! Vixie cron draws the same line.
//!
//! Day of month and day of week must both match, as the crate has it. Days of the week are written as names: the
//! number 1 is Sunday to the crate and Monday to the crontab of Unix.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use thiserror::Error;

use super::calendar::Fields;
use crate::model::Timestamp;

/// Longest expression, in bytes.
pub const CRON_LEN_MAX: usize = 256;

const DAY_SECS: i64 = 86_400;
/// No slot is earlier: expressions begin with the year 1970, zones differ from UTC by a day at most.
const EARLIEST_SECS: i64 = -2 * DAY_SECS;
/// No slot is later: expressions end with the year 2100.
const LATEST_SECS: i64 = 4_133_980_800 + 2 * DAY_SECS;
/// From where the usual distance of slots is measured: 2024-01-01.
const HINT_FROM: Timestamp = Timestamp::from_secs(1_704_067_200);
/// How many distances the median is taken of.
const HINT_SLOTS: usize = 31;

const SHORTHANDS: [&str; 5] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const FIELDS: [(&str, &str); 7] = [
    ("seconds", "0-59"),
    ("minutes", "0-59"),
    ("hours", "0-23"),
    ("days of the month", "1-31"),
    ("months", "1-12 or Jan-Dec"),
    ("days of the week", "Sun-Sat, as names"),
    ("years", "1970-2100"),
];
const DAYS_OF_WEEK: usize = 5;

/// Why an expression or a time zone cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CronError {
    /// The bytes that are wrong, within the expression, or within the time zone's name where `zone` is set.
    pub span: Range<usize>,
    /// Whether the time zone is meant.
    pub zone: bool,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl CronError {
    fn at(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, zone: false, message: message.into(), help: Some(help.into()) }
    }
}

/// A cron expression in a time zone. Slots are whole seconds.
#[derive(Clone)]
pub struct CronSchedule {
    text: String,
    fields: Fields,
    zone: Tz,
    every_hint: Duration,
}

impl PartialEq for CronSchedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl fmt::Debug for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronSchedule({:?} in {})", self.text, self.zone)
    }
}

impl CronSchedule {
    /// Reads an expression of six fields (second, minute, hour, day of month, month, day of week), a seventh for the
    /// year, or one of `@hourly @daily @weekly @monthly @yearly`; in an IANA time zone, without one in UTC.
    pub fn parse(text: &str, timezone: Option<&str>) -> Result<Self, CronError> {
        let zone = timezone.map_or(Ok(Tz::UTC), parse_zone)?;
        let schedule = parse_expression(text)?;
        let fields = Fields::new(&schedule);
        let mut cron = Self { text: text.trim().to_owned(), fields, zone, every_hint: Duration::from_secs(86_400) };
        if cron.next_secs(EARLIEST_SECS).is_none() {
            let help = "day of month, month, day of week and year must all match on some day";
            return Err(CronError::at(trimmed(text), "this schedule never runs: there is no such date", help));
        }
        cron.every_hint = cron.median_distance();
        Ok(cron)
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The IANA name of the zone.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first slot later than `t`.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        self.next_secs(t.0.div_euclid(1000)).map(Timestamp::from_secs)
    }

    /// The last slot that is not later than `t`, found by bisection over [`Self::next_after`].
    pub fn latest_at_or_before(&self, t: Timestamp) -> Option<Timestamp> {
        let limit = t.0.div_euclid(1000).min(LATEST_SECS);
        let due_after = |secs: i64| self.next_secs(secs).is_some_and(|next| next <= limit);
        let mut span = 1;
        while !due_after(limit - span) {
            if limit - span < EARLIEST_SECS {
                return None;
            }
            span *= 2;
        }
        // Slots are due after `low` and none after `high`.
        let (mut low, mut high) = (limit - span, limit);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if due_after(middle) { low = middle } else { high = middle }
        }
        self.next_secs(low).map(Timestamp::from_secs)
    }

    /// The median distance of slots.
    pub fn every_hint(&self) -> Duration {
        self.every_hint
    }

    fn median_distance(&self) -> Duration {
        let slots = |from| std::iter::successors(self.next_after(from), |at| self.next_after(*at)).take(HINT_SLOTS + 1);
        let from = if slots(HINT_FROM).count() > 1 { HINT_FROM } else { Timestamp::from_secs(EARLIEST_SECS) };
        let mut distances: Vec<Duration> = slots(from).zip(slots(from).skip(1)).map(|(a, b)| b.since(a)).collect();
        distances.sort_unstable();
        // A schedule of a single slot has no distance; any answer will do.
        distances.get(distances.len() / 2).copied().unwrap_or(self.every_hint)
    }

    /// In seconds since the epoch.
    fn next_secs(&self, after: i64) -> Option<i64> {
        if after > LATEST_SECS {
            return None;
        }
        let after = after.max(EARLIEST_SECS);
        if self.fields.every_hour() { self.next_of_every_hour(after) } else { self.next_of_day(after) }
    }

    /// Times of day: the first local match whose instant is later. Matches in the second pass of a repeated hour have
    /// their instant in the first pass and are stepped over.
    fn next_of_day(&self, after: i64) -> Option<i64> {
        let mut local = local_time(after.checked_add(self.offset_at(after)?)?)?;
        loop {
            local = self.fields.next_local(local.checked_add_signed(TimeDelta::seconds(1))?)?;
            let instant = super::zone::instant_of(self.zone, local)?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// Real hours: local matches under the offset that holds at each instant, from one change of offset to the next.
    fn next_of_every_hour(&self, after: i64) -> Option<i64> {
        let mut at = after.checked_add(1)?;
        loop {
            let offset = self.offset_at(at)?;
            let candidate = self.fields.next_local(local_time(at + offset)?)?.and_utc().timestamp() - offset;
            // No zone changes its offset twice within a day, so looking at its ends is enough.
            let horizon = candidate.min(at + DAY_SECS);
            if self.offset_at(horizon)? != offset {
                at = self.change_of_offset(at, horizon, offset)?;
            } else if candidate == horizon {
                return Some(candidate);
            } else {
                // Up to the candidate nothing matches; two days before it no change of offset can bring it nearer.
                at = horizon.max(candidate - 2 * DAY_SECS);
            }
        }
    }

    /// The first instant in `(low, high]` at which `offset` no longer holds.
    fn change_of_offset(&self, mut low: i64, mut high: i64, offset: i64) -> Option<i64> {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset_at(middle)? == offset { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// Local time minus UTC, in seconds.
    fn offset_at(&self, secs: i64) -> Option<i64> {
        let utc = local_time(secs)?;
        Some(i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
    }
}

fn local_time(secs: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(secs, 0).map(|at| at.naive_utc())
}

fn trimmed(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..start + text.trim().len()
}

pub(super) fn parse_zone(name: &str) -> Result<Tz, CronError> {
    Tz::from_str(name).map_err(|_| {
        let folded = name.to_ascii_lowercase();
        let likeness = |zone: &Tz| {
            let full = zone.name().to_ascii_lowercase();
            let city = full.rsplit('/').next().unwrap_or_default();
            strsim::jaro_winkler(&folded, &full).max(strsim::jaro_winkler(&folded, city))
        };
        let nearest = TZ_VARIANTS.iter().map(|zone| (likeness(zone), zone.name())).max_by(|a, b| a.0.total_cmp(&b.0));
        let help = match nearest {
            Some((likeness, zone)) if likeness > 0.85 => format!("did you mean `{zone}`?"),
            _ => "write an IANA name such as `Europe/Berlin`, or `UTC`".to_owned(),
        };
        let message = format!("unknown time zone `{name}`");
        CronError { span: 0..name.len(), zone: true, message, help: Some(help) }
    })
}

fn parse_expression(text: &str) -> Result<::cron::Schedule, CronError> {
    let whole = trimmed(text);
    if text.len() > CRON_LEN_MAX {
        let message = format!("cron expression is longer than {CRON_LEN_MAX} bytes");
        return Err(CronError::at(whole, message, "use ranges and steps, or several rules"));
    }
    let trimmed = text.trim();
    if trimmed.starts_with('@') {
        let known = SHORTHANDS.contains(&trimmed).then(|| ::cron::Schedule::from_str(trimmed).ok()).flatten();
        return known.ok_or_else(|| {
            let help = format!("known are {}", SHORTHANDS.map(|name| format!("`{name}`")).join(", "));
            CronError::at(whole, format!("unknown schedule `{trimmed}`"), help)
        });
    }
    let fields = words(text);
    if fields.len() == 5 {
        let help = format!("seconds come first: `0 {trimmed}`");
        return Err(CronError::at(whole, "cron expression has five fields, needs six", help));
    }
    if !(6..=7).contains(&fields.len()) {
        let message = format!("cron expression has {} fields, needs six, or seven with the year", fields.len());
        let help = "second minute hour day-of-month month day-of-week, as in `0 0 6 * * Mon-Fri`";
        return Err(CronError::at(whole, message, help));
    }
    let mut parts = Vec::with_capacity(fields.len());
    for (number, span) in fields.iter().enumerate() {
        parts.push(parse_field(number, &text[span.clone()], span)?);
    }
    // Each field was read alone before, so this fails only if the crate disagrees with itself.
    ::cron::Schedule::from_str(&parts.join(" ")).map_err(|error| {
        let help = "second minute hour day-of-month month day-of-week, as in `0 0 6 * * Mon-Fri`";
        CronError::at(whole, format!("not a cron expression: {error}"), help)
    })
}

/// The places of the words of a text.
fn words(text: &str) -> Vec<Range<usize>> {
    let (mut words, mut start) = (Vec::new(), None);
    for (at, c) in text.char_indices() {
        match (c.is_whitespace(), start) {
            (true, Some(begin)) => {
                words.push(begin..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|begin| begin..text.len()));
    words
}

/// Checks one field by reading it with all others open, which tells the place of an error the crate does not tell.
fn parse_field(number: usize, field: &str, span: &Range<usize>) -> Result<String, CronError> {
    let (name, values) = FIELDS[number];
    let numeric = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    if number == DAYS_OF_WEEK && field.split(',').any(numeric) {
        let help = "write names, such as `Mon-Fri`: the number 1 is Monday to some and Sunday to others";
        return Err(CronError::at(span.clone(), format!("`{field}` gives days of the week as numbers"), help));
    }
    let field_read = if number == DAYS_OF_WEEK { unwrap_week(field) } else { field.to_owned() };
    let mut probe = ["*"; 7];
    probe[number] = &field_read;
    match ::cron::Schedule::from_str(&probe.join(" ")) {
        Ok(_) => Ok(field_read),
        Err(_) => {
            let help = format!("{name} are {values}; `*`, `a,b`, `a-b` with a below b, and steps such as `*/5`");
            Err(CronError::at(span.clone(), format!("`{field}` cannot be read as {name}"), help))
        }
    }
}

/// Writes out ranges of weekdays that run past Saturday (`Fri-Mon`, `Mon-Sun`), which the crate refuses.
fn unwrap_week(field: &str) -> String {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        WEEKDAYS.iter().position(|day| name.len() >= 3 && day.starts_with(&name))
    };
    let unwrap = |part: &str| {
        let (from, to) = part.split_once('-')?;
        let (from, to) = (day(from)?, day(to)?);
        (from > to).then(|| (from..=to + 7).map(|day| WEEKDAYS[day % 7]).collect::<Vec<_>>().join(","))
    };
    field.split(',').map(|part| unwrap(part).unwrap_or_else(|| part.to_owned())).collect::<Vec<_>>().join(",")
}
