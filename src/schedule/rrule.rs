//! Recurrence rules of RFC 5545 (§3.3.10): on which local dates, and at which times of day, something happens again.
//!
//! Place in the flow: [`super::windows`] lays what is found here onto a zone; holidays of calendar files ask for dates.
//! This file knows no instant. A rule is a question that is asked of dates, so nothing is counted from its beginning and a
//! rule that began long ago costs what one costs that begins today. Where `COUNT` and `UNTIL` end it is found once, when
//! it is read.
//!
//! Read are `FREQ` (daily to yearly), `INTERVAL`, `COUNT`, `UNTIL`, `WKST`, `BYMONTH`, `BYMONTHDAY`, `BYDAY`, `BYSETPOS`,
//! `BYHOUR`, `BYMINUTE` and `BYSECOND`. Anything else is an error, never left out.

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
/// The year up to which the last time of a rule is looked for: an end beyond it is none that anybody will see.
const LAST_YEAR_MAX: i32 = 2400;

/// Why a text is no rule that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct RruleError {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// Whether it can be read, and just never happens.
    pub never: bool,
}

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, RruleError> {
    Err(RruleError { message: message.into(), help: help.into(), never: false })
}

fn never() -> RruleError {
    let help = "days, months and the end must all fit on some day within five years";
    RruleError { message: "this rule never happens".to_owned(), help: help.to_owned(), never: true }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A recurrence rule with its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Rrule {
    start: NaiveDateTime,
    frequency: Frequency,
    interval: u32,
    /// The last time, where `UNTIL` or `COUNT` ends it.
    last: Option<NaiveDateTime>,
    week_start: Weekday,
    /// Bit `n` is month `n`. A year's rule that names neither months nor days has the month of its beginning.
    months: Option<u16>,
    days_of_month: Vec<i32>,
    days: Vec<(i32, Weekday)>,
    positions: Vec<i32>,
    /// Ascending.
    times: Vec<NaiveTime>,
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
        if frequency == Frequency::Yearly && rule.days.is_empty() && rule.days_of_month.is_empty() {
            rule.months.get_or_insert(1 << start.month());
        }
        rule.last = rule.last_of(&parts, zone)?;
        match rule.next_after(before(start)) {
            Some(_) => Ok(rule),
            None => Err(never()),
        }
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

    /// The last time, where `UNTIL` or `COUNT` ends it.
    fn last_of(&self, parts: &Parts<'_>, zone: Tz) -> Result<Option<NaiveDateTime>, RruleError> {
        let count = parts.number("COUNT", RRULE_COUNT_MAX)?;
        let Some(text) = parts.get("UNTIL") else {
            return Ok(count.and_then(|count| self.nth(count)));
        };
        if count.is_some() {
            return wrong("COUNT and UNTIL are given together", "keep one of them");
        }
        let until = match moment(text) {
            Some((date, None, _)) => date.and_hms_opt(23, 59, 59),
            Some((date, Some(time), true)) => zone::local_of(zone, date.and_time(time).and_utc().timestamp()),
            Some((date, Some(time), false)) => Some(date.and_time(time)),
            None => {
                return wrong(
                    format!("`{text}` cannot be read as UNTIL"),
                    "write a date, as in `UNTIL=20271231`, or a time, as in `UNTIL=20271231T220000Z`",
                );
            }
        };
        until.map(|until| self.last_until(until).ok_or_else(never)).transpose()
    }

    /// The `count`th time from the beginning.
    fn nth(&self, count: u32) -> Option<NaiveDateTime> {
        let end = NaiveDate::from_ymd_opt(LAST_YEAR_MAX, 12, 31)?;
        self.times_between(self.start.date(), end).nth(count.saturating_sub(1) as usize)
    }

    /// The last time that is not later than `until`; a year at once is looked at, from the back.
    fn last_until(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        if until.year() > LAST_YEAR_MAX {
            return Some(until);
        }
        let (start, mut to) = (self.start.date(), until.date());
        while to >= start {
            let from = to.checked_sub_days(Days::new(366))?;
            let last = self.times_between(from, to).take_while(|at| *at <= until).last();
            if last.is_some() {
                return last;
            }
            to = from.pred_opt()?;
        }
        None
    }

    /// The last time it happens, where it ends.
    pub fn last(&self) -> Option<NaiveDateTime> {
        self.last
    }

    /// The times of a date, whether it falls on it or not.
    fn at(&self, date: NaiveDate) -> impl Iterator<Item = NaiveDateTime> {
        self.times.iter().map(move |time| date.and_time(*time))
    }

    /// The first time later than `after`, if there is one within [`super::CHANGE_DAYS_MAX`] days.
    pub fn next_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.between(after.date().max(self.start.date()), NaiveDate::MAX).find(|at| *at > after)
    }

    /// Its times on the dates from one to another, both included, at most [`super::CHANGE_DAYS_MAX`] of them.
    pub fn between(&self, from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDateTime> {
        let from = from.max(self.start.date());
        let days = Days::new(super::CHANGE_DAYS_MAX.unsigned_abs() - 1);
        self.times_between(from, from.checked_add_days(days).map_or(to, |end| end.min(to)))
    }

    fn times_between(&self, from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDateTime> {
        let next = Some(from.max(self.start.date()));
        let times = Dates { rule: self, next, to, picked: None }.flat_map(|date| self.at(date));
        let in_time = |at: &NaiveDateTime| self.last.is_none_or(|last| *at <= last);
        times.filter(|at| *at >= self.start).take_while(in_time)
    }

    fn in_month(&self, date: NaiveDate) -> bool {
        self.months.is_none_or(|months| months >> date.month() & 1 == 1)
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
        if !self.in_month(date) {
            return false;
        }
        if self.days.is_empty() && self.days_of_month.is_empty() {
            return match self.frequency {
                Frequency::Daily => true,
                Frequency::Weekly => date.weekday() == start.weekday(),
                Frequency::Monthly | Frequency::Yearly => date.day() == start.day(),
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

    /// The month or year of a date: its first day, and the first of the next.
    fn period(&self, date: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let (first, months) = match self.frequency {
            Frequency::Yearly => (NaiveDate::from_ymd_opt(date.year(), 1, 1)?, 12),
            _ => (date.with_day(1)?, 1),
        };
        Some((first, first.checked_add_months(Months::new(months))?))
    }

    /// The days that `BYSETPOS` picks of a month or year.
    fn picks(&self, (first, end): (NaiveDate, NaiveDate)) -> Vec<NaiveDate> {
        let fitting: Vec<NaiveDate> = first.iter_days().take_while(|d| *d < end).filter(|d| self.fits(*d)).collect();
        let length = u32::try_from(fitting.len()).unwrap_or_default();
        let is_picked = |at: u32| self.positions.iter().any(|n| is_nth(at, length, *n));
        (1..).zip(fitting).filter(|(at, _)| is_picked(*at)).map(|(_, date)| date).collect()
    }

    /// The first date after one that is not in its months or intervals that may be.
    fn beyond(&self, date: NaiveDate) -> Option<NaiveDate> {
        match self.frequency {
            _ if !self.in_month(date) => date.with_day(1)?.checked_add_months(Months::new(1)),
            Frequency::Daily | Frequency::Weekly => date.succ_opt(),
            Frequency::Monthly | Frequency::Yearly => Some(self.period(date)?.1),
        }
    }
}

/// The dates on which a rule falls, its end left aside.
struct Dates<'a> {
    rule: &'a Rrule,
    next: Option<NaiveDate>,
    to: NaiveDate,
    /// What `BYSETPOS` picks of the month or year that begins then: found once for all its days.
    picked: Option<(NaiveDate, Vec<NaiveDate>)>,
}

impl Dates<'_> {
    /// Whether a date that fits is one of those that `BYSETPOS` picks of its month or year.
    fn is_picked(&mut self, date: NaiveDate) -> bool {
        let Some(period) = self.rule.period(date) else { return false };
        if self.picked.as_ref().is_none_or(|(first, _)| *first != period.0) {
            self.picked = Some((period.0, self.rule.picks(period)));
        }
        self.picked.as_ref().is_some_and(|(_, picked)| picked.contains(&date))
    }
}

impl Iterator for Dates<'_> {
    type Item = NaiveDate;

    fn next(&mut self) -> Option<NaiveDate> {
        loop {
            let date = self.next.filter(|date| *date <= self.to)?;
            if !self.rule.in_month(date) || !self.rule.in_interval(date) {
                self.next = self.rule.beyond(date);
                continue;
            }
            self.next = date.succ_opt();
            if self.rule.fits(date) && (self.rule.positions.is_empty() || self.is_picked(date)) {
                return Some(date);
            }
        }
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
        match (number.filter(|n| (-53..=53).contains(n)), weekday(name)) {
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
