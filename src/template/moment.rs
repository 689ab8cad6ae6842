//! Instants and lengths of time as Go's package time shows them: layouts, `String`, and the methods templates call.
//!
//! Instants are UTC unless a template puts them into a zone (`zoned`); the time comes from the data, never from a clock.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, FixedOffset, Months, Offset, TimeDelta, Timelike, Utc};

use super::value::Value;
use crate::model::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Go's layout of `time.Time.String`, for UTC.
pub(super) const STRING_LAYOUT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

/// Parts of a layout, longer ones before their own beginnings (time/format.go nextStdChunk).
const PARTS: [&str; 36] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "1",
    "2006",
    "2",
    "_2006",
    "_2",
    "__2",
    "3",
    "4",
    "5",
    "PM",
    "pm",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    ".0",
    ".9",
];

fn calendar(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

/// `2015-06-23 13:19:44.128 +0000 UTC`
pub(super) fn time_string(at: Timestamp) -> String {
    format_time(at, STRING_LAYOUT)
}

/// An instant as the clocks of a place show it.
pub(super) struct Reading<'z> {
    /// Date, time and distance from UTC.
    pub(super) date: DateTime<FixedOffset>,
    /// The zone's short name, such as `CET`.
    pub(super) zone: &'z str,
}

/// Writes an instant by a Go layout.
pub(super) fn format_time(at: Timestamp, layout: &str) -> String {
    format_reading(&Reading { date: calendar(at).with_timezone(&Utc.fix()), zone: "UTC" }, layout)
}

/// The same for the clocks of a place.
pub(super) fn format_reading(at: &Reading<'_>, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let part = PARTS.into_iter().find(|part| rest.starts_with(part) && fits(part, rest));
        let length = match part {
            Some(".0" | ".9") => fraction(&mut out, &at.date, rest),
            Some(part) => {
                write_part(&mut out, at, part);
                part.len()
            }
            None if first == ',' && fits(".0", rest) => fraction(&mut out, &at.date, rest),
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or("");
    }
    out
}

/// Whether a part is meant here: `Jan` not in `Janet`, `.0` only as a whole run of equal digits.
fn fits(part: &str, rest: &str) -> bool {
    match part {
        "Jan" | "Mon" => !rest.chars().nth(3).is_some_and(|c| c.is_ascii_lowercase()),
        ".0" | ".9" => {
            let digits = rest.get(1..).unwrap_or("");
            let Some(digit) = digits.chars().next().filter(|c| matches!(c, '0' | '9')) else { return false };
            !digits.trim_start_matches(digit).starts_with(|c: char| c.is_ascii_digit())
        }
        _ => true,
    }
}

/// `.000` and `.999` (which drops zeros at the end); gives the bytes of layout used.
fn fraction(out: &mut String, at: &DateTime<FixedOffset>, rest: &str) -> usize {
    let run = rest.get(1..).unwrap_or("");
    let keeps_zeros = run.starts_with('0');
    let count = run.len() - run.trim_start_matches(if keeps_zeros { '0' } else { '9' }).len();
    let nanos = format!("{:09}", at.nanosecond() % 1_000_000_000);
    let mut digits = nanos.get(..count.min(9)).unwrap_or("").to_owned();
    if keeps_zeros {
        digits.extend(std::iter::repeat_n('0', count.saturating_sub(9)));
    } else {
        digits.truncate(digits.trim_end_matches('0').len());
    }
    if !digits.is_empty() {
        out.push_str(rest.get(..1).unwrap_or("."));
        out.push_str(&digits);
    }
    1 + count
}

fn write_part(out: &mut String, reading: &Reading<'_>, part: &str) {
    let at = &reading.date;
    let hour12 = if at.hour().is_multiple_of(12) { 12 } else { at.hour() % 12 };
    // Writing to a String cannot fail.
    let _ = match part {
        "January" | "Monday" => write!(out, "{}", at.format(if part == "January" { "%B" } else { "%A" })),
        "Jan" | "Mon" => write!(out, "{}", at.format(if part == "Jan" { "%b" } else { "%a" })),
        "MST" => write!(out, "{}", reading.zone),
        "002" => write!(out, "{:03}", at.ordinal()),
        "__2" => write!(out, "{:>3}", at.ordinal()),
        "01" => write!(out, "{:02}", at.month()),
        "1" => write!(out, "{}", at.month()),
        "02" => write!(out, "{:02}", at.day()),
        "_2" => write!(out, "{:>2}", at.day()),
        "2" => write!(out, "{}", at.day()),
        "03" => write!(out, "{hour12:02}"),
        "3" => write!(out, "{hour12}"),
        "15" => write!(out, "{:02}", at.hour()),
        "04" => write!(out, "{:02}", at.minute()),
        "4" => write!(out, "{}", at.minute()),
        "05" => write!(out, "{:02}", at.second()),
        "5" => write!(out, "{}", at.second()),
        "06" => write!(out, "{:02}", at.year().rem_euclid(100)),
        "2006" => write!(out, "{:04}", at.year()),
        "_2006" => write!(out, "_{:04}", at.year()),
        "PM" => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        "pm" => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
        _ => distance(out, at.offset().local_minus_utc(), part),
    };
}

/// The distance from UTC: `-07`, `-0700`, `-07:00` and the same with seconds; with `Z` for none.
fn distance(out: &mut String, seconds: i32, part: &str) -> std::fmt::Result {
    if seconds == 0 && part.starts_with('Z') {
        return write!(out, "Z");
    }
    let total = seconds.unsigned_abs();
    let between = if part.contains(':') { ":" } else { "" };
    write!(out, "{}{:02}", if seconds < 0 { '-' } else { '+' }, total / 3600)?;
    let pairs = part.bytes().filter(u8::is_ascii_digit).count() / 2;
    if pairs > 1 {
        write!(out, "{between}{:02}", total / 60 % 60)?;
    }
    if pairs > 2 { write!(out, "{between}{:02}", total % 60) } else { Ok(()) }
}

/// Go's `time.Duration.String`: `1h2m3.5s`, `150ms`, `0s`.
pub(super) fn duration_string(value: &Value) -> String {
    let Value::Duration(nanos) = *value else { return String::new() };
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    let with_fraction = |value: u64, unit: u64, digits: usize| {
        let text = format!("{}.{:0digits$}", value / unit, value % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", with_fraction(total, 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", with_fraction(total, 1_000_000, 6)),
        _ => {
            let minutes = total / 60_000_000_000;
            let seconds = with_fraction(total % 60_000_000_000, 1_000_000_000, 9);
            match minutes {
                0 => format!("{sign}{seconds}s"),
                1..60 => format!("{sign}{minutes}m{seconds}s"),
                _ => format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    }
}

fn duration_argument(args: &[Value]) -> Result<i64, String> {
    match args {
        [Value::Duration(nanos) | Value::Int(nanos)] => Ok(*nanos),
        [other] => Err(format!("wrong type for value; expected time.Duration; got {}", other.type_name())),
        _ => Err(format!("wrong number of args: want 1 got {}", args.len())),
    }
}

pub(super) fn none(args: &[Value], value: Value) -> Result<Value, String> {
    if args.is_empty() { Ok(value) } else { Err(format!("wrong number of args: want 0 got {}", args.len())) }
}

/// A method of an instant; `None` if it has no such method.
pub(super) fn time_method(at: Timestamp, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let date = calendar(at);
    let int = |value: i64| none(args, Value::Int(value));
    Some(match name {
        "Format" => match args {
            [Value::Str(layout)] => Ok(format_time(at, layout).into()),
            [other] => Err(format!("wrong type for value; expected string; got {}", other.type_name())),
            _ => Err(format!("wrong number of args for Format: want 1 got {}", args.len())),
        },
        "String" => none(args, time_string(at).into()),
        "Unix" => int(at.0.div_euclid(1000)),
        "UnixMilli" => int(at.0),
        "UnixMicro" => int(at.0.saturating_mul(1000)),
        "UnixNano" => int(at.0.saturating_mul(NANOS_PER_MILLI)),
        "Year" => int(date.year().into()),
        "Month" => none(args, date.format("%B").to_string().into()),
        "Day" => int(date.day().into()),
        "YearDay" => int(date.ordinal().into()),
        "Weekday" => none(args, date.format("%A").to_string().into()),
        "Hour" => int(date.hour().into()),
        "Minute" => int(date.minute().into()),
        "Second" => int(date.second().into()),
        "Nanosecond" => int((date.nanosecond() % 1_000_000_000).into()),
        "UTC" | "Local" => none(args, Value::Time(at)),
        // Go's zero time is the first of January of the year 1.
        "IsZero" => none(args, Value::Bool(at.0 == -62_135_596_800_000)),
        "Add" => {
            duration_argument(args).map(|nanos| Value::Time(Timestamp(at.0.saturating_add(nanos / NANOS_PER_MILLI))))
        }
        "AddDate" => add_date(date, args),
        "Truncate" => duration_argument(args).map(|nanos| Value::Time(truncate(at, nanos))),
        "Sub" | "Before" | "After" | "Equal" => match args {
            [Value::Time(other)] => Ok(match name {
                "Sub" => Value::Duration(at.0.saturating_sub(other.0).saturating_mul(NANOS_PER_MILLI)),
                "Before" => Value::Bool(at < *other),
                "After" => Value::Bool(at > *other),
                _ => Value::Bool(at == *other),
            }),
            _ => Err(format!("{name} needs one time")),
        },
        _ => return None,
    })
}

/// Down to a multiple of a length of time since the year 1, which differs from 1970 by whole days only.
fn truncate(at: Timestamp, nanos: i64) -> Timestamp {
    match nanos / NANOS_PER_MILLI {
        step if step > 0 => Timestamp(at.0.saturating_sub(at.0.rem_euclid(step))),
        _ => at,
    }
}

fn add_date(date: DateTime<Utc>, args: &[Value]) -> Result<Value, String> {
    let [Value::Int(years), Value::Int(months), Value::Int(days)] = args else {
        return Err("AddDate needs years, months and days".to_owned());
    };
    let out_of_range = || "date out of range".to_owned();
    // As in Go, the day overflows into the next month: 31 January and one month is 3 March.
    let first = date.with_day(1).ok_or_else(out_of_range)?;
    let months = years.saturating_mul(12).saturating_add(*months);
    let count = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| out_of_range())?);
    let moved = if months < 0 { first.checked_sub_months(count) } else { first.checked_add_months(count) };
    let days = TimeDelta::try_days(days.saturating_add(i64::from(date.day()) - 1)).ok_or_else(out_of_range)?;
    let moved = moved.and_then(|d| d.checked_add_signed(days)).ok_or_else(out_of_range)?;
    Ok(Value::Time(Timestamp(moved.timestamp_millis())))
}

/// A method of a length of time; `None` if it has no such method.
pub(super) fn duration_method(nanos: i64, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let float = |unit: i64| none(args, Value::Float(nanos as f64 / unit as f64));
    Some(match name {
        "Hours" => float(3600 * NANOS_PER_SECOND),
        "Minutes" => float(60 * NANOS_PER_SECOND),
        "Seconds" => float(NANOS_PER_SECOND),
        "Milliseconds" => none(args, Value::Int(nanos / NANOS_PER_MILLI)),
        "Microseconds" => none(args, Value::Int(nanos / 1000)),
        "Nanoseconds" => none(args, Value::Int(nanos)),
        "String" => none(args, duration_string(&Value::Duration(nanos)).into()),
        "Abs" => none(args, Value::Duration(nanos.saturating_abs())),
        "Truncate" => {
            duration_argument(args).map(|step| Value::Duration(if step > 0 { nanos - nanos % step } else { nanos }))
        }
        "Round" => duration_argument(args).map(|step| Value::Duration(round(nanos, step))),
        _ => return None,
    })
}

/// To the nearest multiple, halves away from zero.
fn round(nanos: i64, step: i64) -> i64 {
    if step <= 0 {
        return nanos;
    }
    let rest = nanos % step;
    let down = nanos - rest;
    if rest.unsigned_abs() < step.unsigned_abs() - rest.unsigned_abs() {
        down
    } else {
        down.saturating_add(if nanos < 0 { -step } else { step })
    }
}
