//! Instants in a time zone: what `tz` gives, with Go's methods of a time.

use chrono::{DateTime, Datelike, Offset, Timelike};
use chrono_tz::{OffsetName, Tz};

use super::moment::{self, Reading, STRING_LAYOUT};
use super::value::{Object, Value};
use crate::model::Timestamp;

/// An instant as the clocks of a zone show it.
#[derive(Debug)]
pub(super) struct Zoned {
    at: Timestamp,
    date: DateTime<Tz>,
}

impl Zoned {
    /// The instant in the zone of a name of the IANA database; no name and `UTC` are UTC, as is `Local`.
    pub(super) fn new(at: Timestamp, zone: &str) -> Result<Self, String> {
        let zone: Tz = match zone {
            "" | "UTC" | "Local" => Tz::UTC,
            name => name.parse().map_err(|_| format!("unknown time zone {name}"))?,
        };
        let date = at.to_utc().unwrap_or_default().with_timezone(&zone);
        Ok(Self { at, date })
    }

    /// The instant itself.
    pub(super) fn instant(value: &Value) -> Option<Timestamp> {
        match value {
            Value::Time(at) => Some(*at),
            Value::Object(object) if object.type_name() == TYPE => match object.field("UTC", &[]) {
                Some(Ok(Value::Time(at))) => Some(at),
                _ => None,
            },
            _ => None,
        }
    }

    fn format(&self, layout: &str) -> String {
        let zone = self.date.offset().abbreviation().unwrap_or_default();
        let date = self.date.with_timezone(&self.date.offset().fix());
        moment::format_reading(&Reading { date, zone }, layout)
    }
}

const TYPE: &str = "time.Time";

/// Writes an instant, in its zone where it has one, by a Go layout.
pub(super) fn format(value: &Value, layout: &str) -> Result<String, String> {
    match value {
        Value::Time(at) => Ok(moment::format_time(*at, layout)),
        Value::Object(object) => match object.field("Format", &[layout.into()]) {
            Some(Ok(Value::Str(text))) => Ok(text.to_string()),
            _ => Err(format!("{} is no time", object.type_name())),
        },
        other => Err(format!("{} is no time", other.type_name())),
    }
}

impl Object for Zoned {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn field(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let number = |value: i64| moment::none(args, Value::Int(value));
        Some(match (name, args) {
            ("Format", [Value::Str(layout)]) => Ok(self.format(layout).into()),
            ("String", _) => moment::none(args, self.format(STRING_LAYOUT).into()),
            ("Year", _) => number(self.date.year().into()),
            ("Month", _) => moment::none(args, self.format("January").into()),
            ("Day", _) => number(self.date.day().into()),
            ("YearDay", _) => number(self.date.ordinal().into()),
            ("Weekday", _) => moment::none(args, self.format("Monday").into()),
            ("Hour", _) => number(self.date.hour().into()),
            ("Minute", _) => number(self.date.minute().into()),
            ("Sub" | "Before" | "After" | "Equal", [other]) => {
                let other = Self::instant(other).map_or_else(|| other.clone(), Value::Time);
                return moment::time_method(self.at, name, &[other]);
            }
            _ => return moment::time_method(self.at, name, args),
        })
    }

    fn underlying(&self) -> Value {
        Value::Nil
    }

    fn shown(&self) -> Option<String> {
        Some(self.format(STRING_LAYOUT))
    }
}
