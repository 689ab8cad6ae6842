//! The calendar of a cron expression: which dates and times of day match, without any time zone.
//!
//! Place in the flow: [`super::cron`] reads an expression into [`Fields`] and lays the matches onto a zone. This file
//! knows no zone and no instant.

use std::collections::BTreeSet;

use ::cron::TimeUnitSpec;
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// The values each field of an expression allows: bit `n` of a mask stands for the value `n`.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days_of_month: u64,
    months: u64,
    /// Sunday is bit 1, as in the expression.
    days_of_week: u64,
    years: BTreeSet<i32>,
}

fn mask(unit: &impl TimeUnitSpec) -> u64 {
    unit.iter().filter(|value| *value < 64).fold(0, |mask, value| mask | 1 << value)
}

/// The lowest allowed value that is at least `from`.
fn at_least(mask: u64, from: u32) -> Option<u32> {
    let rest = mask & u64::MAX.checked_shl(from)?;
    (rest != 0).then(|| rest.trailing_zeros())
}

impl Fields {
    pub(super) fn new(schedule: &::cron::Schedule) -> Self {
        Self {
            seconds: mask(schedule.seconds()),
            minutes: mask(schedule.minutes()),
            hours: mask(schedule.hours()),
            days_of_month: mask(schedule.days_of_month()),
            months: mask(schedule.months()),
            days_of_week: mask(schedule.days_of_week()),
            years: schedule.years().iter().filter_map(|year| i32::try_from(year).ok()).collect(),
        }
    }

    /// Whether every hour of the day is allowed, so that the schedule runs at least hourly on its days.
    pub(super) fn every_hour(&self) -> bool {
        self.hours.count_ones() == 24
    }

    fn allows(&self, date: NaiveDate) -> bool {
        let bit = |mask: u64, value: u32| mask >> value & 1 == 1;
        bit(self.days_of_month, date.day()) && bit(self.days_of_week, date.weekday().number_from_sunday())
    }

    /// The first allowed time of day at or after `from`.
    fn next_time(&self, from: NaiveTime) -> Option<NaiveTime> {
        let mut hour_from = from.hour();
        while let Some(hour) = at_least(self.hours, hour_from) {
            let first_hour = hour == from.hour();
            let mut minute_from = if first_hour { from.minute() } else { 0 };
            while let Some(minute) = at_least(self.minutes, minute_from) {
                let first_minute = first_hour && minute == from.minute();
                if let Some(second) = at_least(self.seconds, if first_minute { from.second() } else { 0 }) {
                    return NaiveTime::from_hms_opt(hour, minute, second);
                }
                minute_from = minute + 1;
            }
            hour_from = hour + 1;
        }
        None
    }

    /// The first match at or after `from`, a whole second. The years of an expression end, so the search does.
    pub(super) fn next_local(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let (mut date, mut time) = (from.date(), from.time());
        loop {
            let year = *self.years.range(date.year()..).next()?;
            let sought = match at_least(self.months, date.month()) {
                _ if year > date.year() => NaiveDate::from_ymd_opt(year, 1, 1)?,
                None => NaiveDate::from_ymd_opt(year.checked_add(1)?, 1, 1)?,
                Some(month) if month > date.month() => NaiveDate::from_ymd_opt(year, month, 1)?,
                Some(_) => date,
            };
            if sought != date {
                (date, time) = (sought, NaiveTime::MIN);
                continue;
            }
            if self.allows(date)
                && let Some(found) = self.next_time(time)
            {
                return Some(date.and_time(found));
            }
            (date, time) = (date.checked_add_days(Days::new(1))?, NaiveTime::MIN);
        }
    }
}
