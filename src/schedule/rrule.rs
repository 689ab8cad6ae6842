//! Recurrence rules of RFC 5545 (§3.3.10): on which local dates, and at which times of day, something happens again.
//!
//! Place in the flow: [`super::windows`] lays what is found here onto a zone; holidays of calendar files ask for dates.
//! This file knows no instant. A rule is a question that is asked of one date, so nothing is counted from its beginning
//! and a rule that began long ago costs what one costs that begins today. Only `COUNT` is counted, once, when it is read.
//!
//! Read are `FREQ` (daily to yearly), `INTERVAL`, `COUNT`, `UNTIL`, `WKST`, `BYMONTH`, `BYMONTHDAY`, `BYDAY`, `BYSETPOS`,
//! `BYHOUR`, `BYMINUTE` and `BYSECOND`. Anything else is an error, never left out.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use chrono_tz::Tz;
use thiserror::Error;

use super::zone;

/// Longest rule, in bytes.
pub const RRULE_LEN_MAX: usize = 512;
/// Most times that `COUNT` may ask for.
pub const RRULE_COUNT_MAX: u32 = 1000;
/// Largest `INTERVAL`.
pub const RRULE_INTERVAL_MAX: u32 = 1000;
/// Most times of one day.
pub const RRULE_TIMES_MAX: usize = 96;
/// The years in which a rule may begin.
const RRULE_YEARS: std::ops::RangeInclusive<i32> = 1900..=2200;
/// How far the last of a `COUNT` is looked for; beyond it the rule counts as one without end.
const COUNT_DAYS_MAX: u64 = 366 * 30;

/// Why a text is no rule that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct RruleError {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, RruleError> {
    Err(RruleError { message: message.into(), help: help.into() })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A recurrence rule with its beginning.
#[derive(Clone, PartialEq)]
pub struct Rrule {
    text: String,
    start: NaiveDateTime,
    frequency: Frequency,
    interval: u32,
    /// The last moment of `UNTIL` or of `COUNT`.
    last: Option<NaiveDateTime>,
    week_start: Weekday,
    /// Bit `n` is month `n`.
    months: Option<u16>,
    days_of_month: Vec<i32>,
    days: Vec<(i32, Weekday)>,
    positions: Vec<i32>,
    /// Ascending.
    times: Vec<NaiveTime>,
}

impl fmt::Debug for Rrule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rrule({:?} from {})", self.text, self.start)
    }
}

/// The parts of a rule by name, as written.
struct Parts<'a>(Vec<(String, &'a str)>);

const KNOWN: [&str; 12] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYMONTH",
    "BYMONTHDAY",
    "BYDAY",
    "BYSETPOS",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
];

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, RruleError> {
        if text.len() > RRULE_LEN_MAX {
            return wrong(format!("the rule is longer than {RRULE_LEN_MAX} bytes"), "make several");
        }
        let body = text.trim();
        let body = body.strip_prefix("RRULE:").or_else(|| body.strip_prefix("rrule:")).unwrap_or(body);
        let mut parts: Vec<(String, &str)> = Vec::new();
        for part in body.split(';').filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return wrong(format!("`{part}` is no part of a rule"), "write it as in `FREQ=WEEKLY;BYDAY=SA`");
            };
            let name = name.trim().to_ascii_uppercase();
            if !KNOWN.contains(&name.as_str()) {
                let help = match name.as_str() {
                    "BYWEEKNO" | "BYYEARDAY" => "name months and days instead: BYMONTH, BYMONTHDAY, BYDAY".to_owned(),
                    _ => format!("known are {}", KNOWN.join(", ")),
                };
                return wrong(format!("`{name}` is not a part of rules that is known here"), help);
            }
            if parts.iter().any(|(before, _)| *before == name) {
                return wrong(format!("`{name}` is given twice"), "keep one of them");
            }
            parts.push((name, value.trim()));
        }
        Ok(Self(parts))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }

    /// Numbers between two bounds; zero is none where it lies between a negative and a positive one.
    fn numbers(&self, name: &str, (low, high): (i32, i32)) -> Result<Vec<i32>, RruleError> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let read = |part: &str| match part.trim().parse::<i32>() {
            Ok(n) if (low..=high).contains(&n) && (n != 0 || low == 0) => Ok(n),
            _ => wrong(format!("`{part}` cannot be read as {name}"), format!("{name} is a list of {low} to {high}")),
        };
        text.split(',').map(read).collect()
    }

    fn number(&self, name: &str, max: u32) -> Result<Option<u32>, RruleError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<u32>() {
            Ok(n) if (1..=max).contains(&n) => Ok(Some(n)),
            _ => wrong(format!("`{text}` cannot be read as {name}"), format!("{name} is a number from 1 to {max}")),
        }
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// A date, or a date and a time of day, as RFC 5545 writes them, or as RFC 3339 does; whether it is in UTC.
pub(super) fn moment(text: &str) -> Option<(NaiveDate, Option<NaiveTime>, bool)> {
    let (text, utc) = text.strip_suffix(['Z', 'z']).map_or((text, false), |rest| (rest, true));
    for format in ["%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Some((at.date(), Some(at.time()), utc));
        }
    }
    let date = ["%Y%m%d", "%Y-%m-%d"].iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok());
    date.map(|date| (date, None, utc))
}

impl Rrule {
    /// Reads a rule that begins at a local time of a zone. The zone is asked only for an `UNTIL` in UTC.
    pub fn parse(text: &str, start: NaiveDateTime, zone: Tz) -> Result<Self, RruleError> {
        let parts = Parts::read(text)?;
        if !RRULE_YEARS.contains(&start.year()) {
            return wrong(format!("the rule begins in the year {}", start.year()), "years are 1900 to 2200");
        }
        let frequency = match parts.get("FREQ").map(str::to_ascii_uppercase).as_deref() {
            Some("DAILY") => Frequency::Daily,
            Some("WEEKLY") => Frequency::Weekly,
            Some("MONTHLY") => Frequency::Monthly,
            Some("YEARLY") => Frequency::Yearly,
            Some(other) => {
                let help = "FREQ is DAILY, WEEKLY, MONTHLY or YEARLY; several times a day are written with BYHOUR";
                return wrong(format!("`{other}` is no FREQ that is known here"), help);
            }
            None => return wrong("the rule has no FREQ", "begin it as in `FREQ=WEEKLY;BYDAY=SA`"),
        };
        let week_start = match parts.get("WKST").map(weekday) {
            None => Weekday::Mon,
            Some(Some(day)) => day,
            Some(None) => return wrong("WKST is no weekday", "weekdays are MO, TU, WE, TH, FR, SA and SU"),
        };
        let months = parts.numbers("BYMONTH", (1, 12))?;
        let months = (!months.is_empty()).then(|| months.iter().fold(0, |set, month| set | 1 << month));
        let mut rule = Self {
            text: text.trim().to_owned(),
            start,
            frequency,
            interval: parts.number("INTERVAL", RRULE_INTERVAL_MAX)?.unwrap_or(1),
            last: None,
            week_start,
            months,
            days_of_month: parts.numbers("BYMONTHDAY", (-31, 31))?,
            days: days(parts.get("BYDAY"))?,
            positions: parts.numbers("BYSETPOS", (-366, 366))?,
            times: times(&parts, start.time())?,
        };
        rule.check()?;
        rule.last = rule.last_of(&parts, zone)?;
        if rule.next_after(before(start)).is_none() {
            let help = "days, months and the end must all fit on some day within five years";
            return wrong("this rule never happens", help);
        }
        Ok(rule)
    }

    /// What fits no frequency.
    fn check(&self) -> Result<(), RruleError> {
        use Frequency::{Daily, Monthly, Weekly, Yearly};
        let numbered = self.days.iter().any(|(n, _)| *n != 0);
        if numbered && matches!(self.frequency, Daily | Weekly) {
            return wrong("numbered days such as `2TU` are for FREQ=MONTHLY and FREQ=YEARLY", "leave the number out");
        }
        if !self.days_of_month.is_empty() && self.frequency == Weekly {
            return wrong("BYMONTHDAY is not for FREQ=WEEKLY", "write FREQ=MONTHLY, or BYDAY");
        }
        if !self.positions.is_empty() {
            if !matches!(self.frequency, Monthly | Yearly) {
                return wrong("BYSETPOS is for FREQ=MONTHLY and FREQ=YEARLY", "leave it out");
            }
            if self.days.is_empty() && self.days_of_month.is_empty() {
                return wrong("BYSETPOS picks from nothing", "name days with BYDAY or BYMONTHDAY");
            }
            if self.times.len() > 1 {
                return wrong("BYSETPOS and several times of day are not known together", "make several");
            }
        }
        Ok(())
    }

    /// The last moment of `UNTIL` or `COUNT`.
    fn last_of(&self, parts: &Parts<'_>, zone: Tz) -> Result<Option<NaiveDateTime>, RruleError> {
        let count = parts.number("COUNT", RRULE_COUNT_MAX)?;
        let Some(text) = parts.get("UNTIL") else {
            return Ok(count.and_then(|count| self.nth(count)));
        };
        if count.is_some() {
            return wrong("COUNT and UNTIL are given together", "keep one of them");
        }
        match moment(text) {
            Some((date, None, _)) => Ok(date.and_hms_opt(23, 59, 59)),
            Some((date, Some(time), true)) => Ok(zone::local_of(zone, date.and_time(time).and_utc().timestamp())),
            Some((date, Some(time), false)) => Ok(Some(date.and_time(time))),
            None => wrong(
                format!("`{text}` cannot be read as UNTIL"),
                "write a date, as in `UNTIL=20271231`, or a time, as in `UNTIL=20271231T220000Z`",
            ),
        }
    }

    /// The `count`th time from the beginning.
    fn nth(&self, count: u32) -> Option<NaiveDateTime> {
        let first = self.start.date();
        let dates = (0..COUNT_DAYS_MAX).map_while(|n| first.checked_add_days(Days::new(n)));
        let times = dates.filter(|date| self.falls_on(*date)).flat_map(|date| self.at(date));
        times.filter(|at| *at >= self.start).nth(count.saturating_sub(1) as usize)
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last time it happens, where it ends.
    pub fn last(&self) -> Option<NaiveDateTime> {
        self.last
    }

    /// The times of a date, whether it falls on it or not.
    fn at(&self, date: NaiveDate) -> impl DoubleEndedIterator<Item = NaiveDateTime> {
        self.times.iter().map(move |time| date.and_time(*time))
    }

    /// The first time later than `after`, if there is one within [`super::CHANGE_DAYS_MAX`] days.
    pub fn next_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let from = after.date().max(self.start.date());
        self.within(from, super::CHANGE_DAYS_MAX.unsigned_abs()).find(|at| *at > after)
    }

    /// Its times on the dates from one to another, both included, at most [`super::CHANGE_DAYS_MAX`] of them.
    pub fn between(&self, from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDateTime> {
        let from = from.max(self.start.date());
        let days = to.signed_duration_since(from).num_days().saturating_add(1).clamp(0, super::CHANGE_DAYS_MAX);
        self.within(from, days.unsigned_abs())
    }

    fn within(&self, from: NaiveDate, days: u64) -> impl Iterator<Item = NaiveDateTime> {
        let dates = (0..days).map_while(move |n| from.checked_add_days(Days::new(n)));
        let times = dates.filter(|date| self.falls_on(*date)).flat_map(|date| self.at(date));
        let in_time = |at: &NaiveDateTime| self.last.is_none_or(|last| *at <= last);
        times.filter(|at| *at >= self.start).take_while(in_time)
    }

    /// Whether it happens on a date, `UNTIL` and `COUNT` included.
    pub fn is_on(&self, date: NaiveDate) -> bool {
        date >= self.start.date() && self.last.is_none_or(|last| date <= last.date()) && self.falls_on(date)
    }

    /// Whether a date is one of the rule's, its end left aside.
    fn falls_on(&self, date: NaiveDate) -> bool {
        self.in_interval(date) && self.fits(date) && (self.positions.is_empty() || self.is_picked(date))
    }

    /// Whether the day, week, month or year of a date is one of every `INTERVAL`.
    fn in_interval(&self, date: NaiveDate) -> bool {
        let start = self.start.date();
        let month = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
        let since = match self.frequency {
            Frequency::Daily => date.signed_duration_since(start).num_days(),
            Frequency::Weekly => {
                let week = |date: NaiveDate| date.week(self.week_start).checked_first_day().unwrap_or(date);
                week(date).signed_duration_since(week(start)).num_days().div_euclid(7)
            }
            Frequency::Monthly => month(date) - month(start),
            Frequency::Yearly => i64::from(date.year()) - i64::from(start.year()),
        };
        since.rem_euclid(i64::from(self.interval)) == 0
    }

    /// Whether a date fits the parts of the rule.
    fn fits(&self, date: NaiveDate) -> bool {
        let start = self.start.date();
        if self.months.is_some_and(|months| months >> date.month() & 1 == 0) {
            return false;
        }
        if self.days.is_empty() && self.days_of_month.is_empty() {
            return match self.frequency {
                Frequency::Daily => true,
                Frequency::Weekly => date.weekday() == start.weekday(),
                Frequency::Monthly => date.day() == start.day(),
                Frequency::Yearly if self.months.is_some() => date.day() == start.day(),
                Frequency::Yearly => (date.month(), date.day()) == (start.month(), start.day()),
            };
        }
        let by_number = || self.days_of_month.iter().any(|day| is_nth(date.day(), month_length(date), *day));
        let by_name =
            || self.days.iter().any(|(n, day)| date.weekday() == *day && (*n == 0 || self.is_nth_day(date, *n)));
        (self.days_of_month.is_empty() || by_number()) && (self.days.is_empty() || by_name())
    }

    /// Whether a date is the `n`th of its weekday, from the front or from the back, in its month or year.
    fn is_nth_day(&self, date: NaiveDate, n: i32) -> bool {
        let in_year = self.frequency == Frequency::Yearly && self.months.is_none();
        let (at, length) = match in_year {
            true => (date.ordinal(), if date.leap_year() { 366 } else { 365 }),
            false => (date.day(), month_length(date)),
        };
        if n > 0 { (at - 1) / 7 + 1 == n.unsigned_abs() } else { (length - at) / 7 + 1 == n.unsigned_abs() }
    }

    /// Whether a date that fits is one of those that `BYSETPOS` picks of its month or year.
    fn is_picked(&self, date: NaiveDate) -> bool {
        let (first, months) = match self.frequency {
            Frequency::Yearly => (NaiveDate::from_ymd_opt(date.year(), 1, 1), 12),
            _ => (date.with_day(1), 1),
        };
        let Some((first, end)) = first.and_then(|first| Some((first, first.checked_add_months(Months::new(months))?)))
        else {
            return false;
        };
        let fitting: Vec<NaiveDate> = first.iter_days().take_while(|d| *d < end).filter(|d| self.fits(*d)).collect();
        let length = u32::try_from(fitting.len()).unwrap_or_default();
        let at = fitting.iter().position(|d| *d == date).and_then(|at| u32::try_from(at + 1).ok());
        at.is_some_and(|at| self.positions.iter().any(|n| is_nth(at, length, *n)))
    }
}

/// Whether place `at` of `length` is the `n`th, where a negative one counts from the end.
fn is_nth(at: u32, length: u32, n: i32) -> bool {
    if n > 0 { at == n.unsigned_abs() } else { length + 1 - at == n.unsigned_abs() }
}

fn month_length(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}

/// A moment before another, so that that one itself is later than it.
fn before(at: NaiveDateTime) -> NaiveDateTime {
    at.checked_sub_signed(chrono::TimeDelta::seconds(1)).unwrap_or(DateTime::UNIX_EPOCH.naive_utc())
}

fn days(text: Option<&str>) -> Result<Vec<(i32, Weekday)>, RruleError> {
    let read = |part: &str| {
        let part = part.trim();
        let split = part.len().checked_sub(2).filter(|at| part.is_char_boundary(*at)).unwrap_or(0);
        let (number, name) = part.split_at(split);
        let number = if number.is_empty() { Some(0) } else { number.parse::<i32>().ok().filter(|n| *n != 0) };
        match (number.filter(|n| n.abs() <= 53), weekday(name)) {
            (Some(number), Some(day)) => Ok((number, day)),
            _ => wrong(format!("`{part}` cannot be read as BYDAY"), "days are MO to SU; `2TU` is the second Tuesday"),
        }
    };
    text.map_or_else(|| Ok(Vec::new()), |text| text.split(',').map(read).collect())
}

/// The times of day, ascending: what `BYHOUR`, `BYMINUTE` and `BYSECOND` leave open is that of the beginning.
fn times(parts: &Parts<'_>, start: NaiveTime) -> Result<Vec<NaiveTime>, RruleError> {
    use chrono::Timelike;
    let list = |name: &str, high: i32, own: u32| {
        let numbers = parts.numbers(name, (0, high))?;
        let mut numbers: Vec<u32> = numbers.iter().map(|n| n.unsigned_abs()).collect();
        if numbers.is_empty() {
            numbers.push(own);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    };
    let hours = list("BYHOUR", 23, start.hour())?;
    let minutes = list("BYMINUTE", 59, start.minute())?;
    let seconds = list("BYSECOND", 59, start.second())?;
    if hours.len() * minutes.len() * seconds.len() > RRULE_TIMES_MAX {
        return wrong(format!("the rule has more than {RRULE_TIMES_MAX} times a day"), "name fewer, or write a cron");
    }
    let mut out = Vec::new();
    for hour in &hours {
        for minute in &minutes {
            out.extend(seconds.iter().filter_map(|second| NaiveTime::from_hms_opt(*hour, *minute, *second)));
        }
    }
    Ok(out)
}

#[cfg(test)]
#[path = "rrule_tests.rs"]
mod tests;
