//! Every key of `time_intervals:` in handler files.

use crate::yaml::shape::{Key, Kind, Shape};

/// An element of `time_intervals:`.
pub static TIME_INTERVAL: Shape = Shape {
    name: "time interval",
    doc: "A name for times of the week, month or year.",
    keys: &[
        Key::new("name", Kind::Text, "office_hours", "Name by which rules refer to it.").required(),
        Key::new(
            "time_intervals",
            Kind::List(&Kind::Object(&INTERVAL_ELEMENT)),
            "[{weekdays: ['monday:friday']}]",
            "The times. It is in the interval if one element matches.",
        )
        .required(),
    ],
};

/// An element of `time_intervals:` within a time interval.
pub static INTERVAL_ELEMENT: Shape = Shape {
    name: "interval element",
    doc: "Times of a time interval. All fields that are there must match; of a field, one range must. A range is one \
          value, or two with a colon between them, both included.",
    keys: &[
        Key::new(
            "times",
            Kind::List(&Kind::Object(&TIME_RANGE)),
            "[{start_time: '09:00', end_time: '17:00'}]",
            "Times of day.",
        ),
        Key::new(
            "weekdays",
            Kind::List(&Kind::Language("weekday or range of weekdays")),
            "['monday:friday']",
            "Weekdays by their English names. The week begins on Sunday.",
        ),
        Key::new(
            "days_of_month",
            Kind::List(&Kind::Language("day or range of days")),
            "['1:7', -1]",
            "Days 1 to 31, or -1 to -31 from the end of the month. What reaches over the month is cut.",
        ),
        Key::new(
            "months",
            Kind::List(&Kind::Language("month or range of months")),
            "['june:august', 12]",
            "Months by their English names or numbers.",
        ),
        Key::new("years", Kind::List(&Kind::Language("year or range of years")), "['2025:2027']", "Years."),
        Key::new(
            "holidays",
            Kind::Text,
            "holidays.ics",
            "Whole days of an iCalendar file, which lies beside this file or at the path from there.",
        ),
        Key::new(
            "location",
            Kind::Language("time zone"),
            "Europe/Berlin",
            "In whose local time: an IANA name, or `Local` for the zone of the machine.",
        )
        .or("UTC"),
    ],
};

/// An element of `times:`.
pub static TIME_RANGE: Shape = Shape {
    name: "time range",
    doc: "A part of a day. It does not run over midnight: write two of them.",
    keys: &[
        Key::new("start_time", Kind::Language("time of day"), "'09:00'", "Its beginning, `00:00` to `23:59`.")
            .required(),
        Key::new("end_time", Kind::Language("time of day"), "'17:00'", "Its end, not included; `24:00` ends the day.")
            .required(),
    ],
};
