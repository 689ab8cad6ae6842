//! A53x: time intervals.

use super::{Code, ExampleFile};

/// The codes of this family.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "A531",
        title: "two time intervals of the same name",
        explanation: "Rules refer to time intervals by name, so a name stands for one of them. Several times of one \
            interval are elements of its `time_intervals`.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}
  - {name: nights, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]}]
"#,
    },
    Code {
        code: "A532",
        title: "not a time, weekday, day, month or year",
        explanation: "As in Alertmanager: times of day are `00:00` to `24:00`, weekdays and months their English names \
            written out, months also 1 to 12, days of the month 1 to 31 or, counted from the end, -1 to -31. Two of them \
            with a colon between are a range.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: working_days, time_intervals: [{weekdays: [Mon-Fri]}]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: working_days, time_intervals: [{weekdays: ['monday:friday']}]}
"#,
    },
    Code {
        code: "A533",
        title: "a range that ends before it begins",
        explanation: "Ranges do not run over midnight, over the end of the week (which begins on Sunday) or over the end of \
            the year: such a time is two ranges. The end of a time range does not belong to it.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '06:00'}]}]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]}]
"#,
    },
    Code {
        code: "A534",
        title: "a time interval that never is",
        explanation: "A field that is not there matches always; one with an empty list matches never, as in Alertmanager.",
        file: ExampleFile::Handlers,
        bad: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: weekends, time_intervals: [{weekdays: [saturday, sunday], months: []}]}
"#,
        good: r#"handlers: [{name: screen, type: console}]
time_intervals:
  - {name: weekends, time_intervals: [{weekdays: [saturday, sunday]}]}
"#,
    },
    Code {
        code: "A535",
        title: "too many elements in a time interval",
        explanation: "An interval has at most 500 elements. Each field of an element takes any number of ranges.",
        file: ExampleFile::Handlers,
        bad: "",
        good: "",
    },
    Code {
        code: "A536",
        title: "a calendar file that cannot be used",
        explanation: "`holidays` names an iCalendar file, beside the handler file or at the path from there. It must be there, be \
            UTF-8 and begin with `BEGIN:VCALENDAR`; its events have a date as DTSTART, last for whole days, and come again by \
            rules that are known: FREQ from DAILY to YEARLY, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS. \
            With an event that cannot be read the whole file is refused, so that no holiday is missing unnoticed.",
        file: ExampleFile::Handlers,
        bad: "",
        good: "",
    },
    Code {
        code: "A537",
        title: "an event that is no holiday",
        explanation: "Holidays are whole days. An event with a time of day is left out of the calendar; give it a date alone \
            (`DTSTART;VALUE=DATE:20261225`), or remove it. The same is told of a calendar without any event.",
        file: ExampleFile::Handlers,
        bad: "",
        good: "",
    },
];
