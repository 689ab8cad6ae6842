//! Functions of dates; values are seconds since the epoch, in UTC.

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::{Body, Function, V};

const fn date(name: &'static str, value: fn(&DateTime<Utc>) -> f64) -> Function {
    Function { name, args: &[V], optional: 1, repeats: false, result: V, body: Body::Date(value) }
}

pub(super) static FUNCTIONS: &[Function] = &[
    date("minute", |d| f64::from(d.minute())),
    date("hour", |d| f64::from(d.hour())),
    date("day_of_week", |d| f64::from(d.weekday().num_days_from_sunday())),
    date("day_of_month", |d| f64::from(d.day())),
    date("day_of_year", |d| f64::from(d.ordinal())),
    date("days_in_month", |d| f64::from(d.num_days_in_month())),
    date("month", |d| f64::from(d.month())),
    date("year", |d| f64::from(d.year())),
];

/// Applies a date function to a number of seconds; NaN where that is no date.
pub(crate) fn apply(function: fn(&DateTime<Utc>) -> f64, seconds: f64) -> f64 {
    if !seconds.is_finite() {
        return f64::NAN;
    }
    DateTime::from_timestamp(seconds as i64, 0).map_or(f64::NAN, |date| function(&date))
}
