//! Time intervals: named times of the week, month and year, in which rules are mute or in which alone they notify.
//!
//! Place in the flow: `config` reads them from handler files, a rule keeps those that it names
//! ([`super::mute_times::MuteTimes`]), routing asks them. The meaning is Alertmanager's: inside a field one range must
//! match, and all fields that are given must. What local time an instant has, the zone alone decides, so an hour that a
//! change of clocks repeats is inside twice and one that it leaves out is not there. Everything here is arithmetic on
//! instants: no clock is read.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use super::Holidays;
use super::interval_fields::FieldRange;
use crate::model::Timestamp;

/// How far ahead a change is looked for: five years, leap days included.
pub const CHANGE_DAYS_MAX: i64 = 5 * 366;

const DAY_SECS: i64 = 86_400;
const DAY_MINUTES: usize = 1440;
/// Days of the shortest month.
const MONTH_DAYS_MIN: u32 = 28;

/// One element of an interval as it is written: the ranges of each field. A field that is missing matches always, one
/// without a range never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntervalFields {
    /// Minutes of the day, the end excluded.
    pub times: Option<Vec<FieldRange>>,
    /// Sunday is 0.
    pub weekdays: Option<Vec<FieldRange>>,
    /// Negative days count from the end of the month.
    pub days_of_month: Option<Vec<FieldRange>>,
    /// January is 1.
    pub months: Option<Vec<FieldRange>>,
    /// Years.
    pub years: Option<Vec<FieldRange>>,
    /// Whole days.
    pub holidays: Option<Arc<Holidays>>,
    /// In whose local time.
    pub zone: Tz,
}

/// One element of an interval, ready to be asked: sets of values as bits.
#[derive(Clone, Debug, PartialEq)]
struct Element {
    minutes: Option<Minutes>,
    weekdays: Option<u64>,
    /// Of months with 28 to 31 days.
    days_of_month: Option<[u64; 4]>,
    months: Option<u64>,
    /// Ascending, apart from each other.
    years: Option<Vec<FieldRange>>,
    holidays: Option<Arc<Holidays>>,
    zone: Tz,
}

/// Minutes of a day, as ranges that neither touch nor overlap.
#[derive(Clone, Debug, PartialEq)]
struct Minutes(Vec<FieldRange>);

/// A named time interval. It contains an instant if one of its elements does.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeInterval {
    /// Name by which rules refer to it.
    pub name: Arc<str>,
    elements: Vec<Element>,
    written: Vec<IntervalFields>,
}

impl TimeInterval {
    /// An interval of these elements.
    pub fn new(name: impl Into<Arc<str>>, elements: &[IntervalFields]) -> Self {
        let written = elements.to_vec();
        Self { name: name.into(), elements: elements.iter().map(Element::new).collect(), written }
    }

    /// Its elements as they were written.
    pub fn written(&self) -> &[IntervalFields] {
        &self.written
    }

    /// Whether an instant lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.contains_secs(at.0.div_euclid(1000))
    }

    /// The first instant later than `after` at which [`Self::contains`] is not what it is at `after`; `None` if that is
    /// not so within [`CHANGE_DAYS_MAX`] days.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let from = after.0.div_euclid(1000);
        let limit = from.saturating_add(CHANGE_DAYS_MAX * DAY_SECS);
        let now = self.contains_secs(from);
        // The next change of each element; only the one that was reached is sought anew.
        let mut ahead: Vec<Option<i64>> = self.elements.iter().map(|e| e.next_change(from, limit)).collect();
        loop {
            let at = ahead.iter().flatten().min().copied()?;
            if self.contains_secs(at) != now {
                return Some(Timestamp::from_secs(at));
            }
            for (element, next) in self.elements.iter().zip(&mut ahead).filter(|(_, next)| **next == Some(at)) {
                *next = element.next_change(at, limit);
            }
        }
    }

    fn contains_secs(&self, secs: i64) -> bool {
        self.elements.iter().any(|element| element.contains(secs))
    }
}

impl Element {
    fn new(fields: &IntervalFields) -> Self {
        let set = |ranges: &Option<Vec<FieldRange>>| ranges.as_deref().map(bits);
        Self {
            minutes: fields.times.as_deref().map(Minutes::new),
            weekdays: set(&fields.weekdays),
            days_of_month: fields.days_of_month.as_deref().map(|ranges| [28, 29, 30, 31].map(|n| days(ranges, n))),
            months: set(&fields.months),
            years: fields.years.as_deref().map(|ranges| united(ranges, 1)),
            holidays: fields.holidays.clone(),
            zone: fields.zone,
        }
    }

    fn contains(&self, secs: i64) -> bool {
        let local = self.offset_at(secs).and_then(|offset| local_time(secs.checked_add(offset)?));
        local.is_some_and(|local| self.on_date(local.date()) && self.minutes.as_ref().is_none_or(|m| m.contains(local)))
    }

    fn on_date(&self, date: NaiveDate) -> bool {
        let has = |set: Option<u64>, value: u32| set.is_none_or(|set| set >> value & 1 == 1);
        let length = self.days_of_month.map_or(MONTH_DAYS_MIN, |_| days_in_month(date));
        let days = self.days_of_month.map(|days| days[(length - MONTH_DAYS_MIN) as usize]);
        let in_year = |ranges: &Vec<FieldRange>| ranges.iter().any(|r| (r.begin..=r.end).contains(&date.year()));
        has(self.months, date.month())
            && has(self.weekdays, date.weekday().num_days_from_sunday())
            && has(days, date.day())
            && self.years.as_ref().is_none_or(in_year)
            && self.holidays.as_ref().is_none_or(|holidays| holidays.contains(date))
    }

    /// In seconds since the epoch. Goes from one local day, or change of offset, to the next; in between the offset is
    /// one and local times are instants.
    fn next_change(&self, after: i64, limit: i64) -> Option<i64> {
        let now = self.contains(after);
        let mut at = after;
        while at < limit {
            let offset = self.offset_at(at)?;
            let local = local_time(at.checked_add(offset)?)?;
            let midnight = at - i64::from(local.num_seconds_from_midnight());
            let mut end = midnight + DAY_SECS;
            // No zone changes its offset twice within a day, so looking at its end is enough.
            if self.offset_at(end)? != offset {
                end = self.change_of_offset(at, end, offset)?;
            }
            if self.on_date(local.date())
                && let Some(minutes) = &self.minutes
            {
                let edges = minutes.0.iter().flat_map(|range| [range.begin, range.end]);
                let mut instants =
                    edges.map(|minute| midnight + i64::from(minute) * 60).filter(|t| (at + 1..end).contains(t));
                if let Some(found) = instants.find(|t| self.contains(*t) != now) {
                    return Some(found);
                }
            }
            if self.contains(end) != now {
                return Some(end);
            }
            at = end;
        }
        None
    }

    /// The first instant in `(low, high]` at which `offset` no longer holds.
    fn change_of_offset(&self, mut low: i64, mut high: i64, offset: i64) -> Option<i64> {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset_at(middle)? == offset { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// Local time minus UTC, in seconds; `None` where the calendar ends.
    fn offset_at(&self, secs: i64) -> Option<i64> {
        Some(i64::from(self.zone.offset_from_utc_datetime(&local_time(secs)?).fix().local_minus_utc()))
    }
}

impl Minutes {
    fn new(ranges: &[FieldRange]) -> Self {
        Self(united(ranges, 0))
    }

    fn contains(&self, local: NaiveDateTime) -> bool {
        let minute = i32::try_from(local.hour() * 60 + local.minute()).unwrap_or(DAY_MINUTES as i32);
        self.0.iter().any(|range| (range.begin..range.end).contains(&minute))
    }
}

/// Ranges in ascending order, those united that overlap or are `touch` or less apart.
fn united(ranges: &[FieldRange], touch: i32) -> Vec<FieldRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| (range.begin, range.end));
    let mut out: Vec<FieldRange> = Vec::new();
    for range in sorted {
        match out.last_mut() {
            Some(last) if range.begin <= last.end.saturating_add(touch) => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// Values of ranges as bits; values are below 64.
fn bits(ranges: &[FieldRange]) -> u64 {
    let values = ranges.iter().flat_map(|range| range.begin.max(0)..=range.end.min(63));
    values.fold(0, |set, value| set | 1 << value)
}

/// The days of a month of this length as bits. A range that begins after its end is left out, one that reaches over
/// the start or the end of the month is cut there.
fn days(ranges: &[FieldRange], length: i32) -> u64 {
    let day = |day: i32| if day < 0 { length + day + 1 } else { day };
    let resolved = ranges.iter().map(|range| FieldRange { begin: day(range.begin), end: day(range.end) });
    let inside = resolved.filter(|range| range.begin <= length);
    let cut = inside.map(|range| FieldRange { begin: range.begin.max(1), end: range.end.min(length) });
    bits(&cut.collect::<Vec<_>>())
}

fn days_in_month(date: NaiveDate) -> u32 {
    let first = date.with_day(MONTH_DAYS_MIN).unwrap_or(date);
    let more = (1..=3).take_while(|n| first.checked_add_days(Days::new(*n)).is_some_and(|d| d.month() == date.month()));
    MONTH_DAYS_MIN + u32::try_from(more.count()).unwrap_or_default()
}

fn local_time(secs: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(secs, 0).map(|at| at.naive_utc())
}
