//! Time intervals: what they contain, when that changes, and what a rule makes of them.

use std::sync::Arc;

use chrono_tz::Tz;
use proptest::prelude::*;

use super::interval_fields::{time_of_day, time_range};
use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Reads fields as a handler file has them: `times: 09:00-17:00, weekdays: monday:friday, zone: Europe/Berlin`,
/// several ranges of a field with a blank between them. `none` is a field without a range.
fn fields(text: &str) -> IntervalFields {
    let mut fields = IntervalFields::default();
    for part in text.split(", ").filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once(": ").unwrap();
        let words = || value.split(' ').filter(|word| *word != "none");
        let ranges = |field: Field| Some(words().map(|word| field.range(word).unwrap()).collect());
        match key {
            "times" => {
                let range = |word: &str| word.split_once('-').map(|(from, to)| time_range(from, to).unwrap()).unwrap();
                fields.times = Some(words().map(range).collect());
            }
            "weekdays" => fields.weekdays = ranges(Field::Weekday),
            "days" => fields.days_of_month = ranges(Field::DayOfMonth),
            "months" => fields.months = ranges(Field::Month),
            "years" => fields.years = ranges(Field::Year),
            "zone" => fields.zone = value.parse().unwrap(),
            _ => panic!("{key}"),
        }
    }
    fields
}

fn interval(name: &str, elements: &[&str]) -> TimeInterval {
    TimeInterval::new(name, &elements.iter().map(|text| fields(text)).collect::<Vec<_>>())
}

/// Instants inside and outside of an interval of one element.
fn check(element: &str, inside: &[&str], outside: &[&str]) {
    let interval = interval("i", &[element]);
    for (instants, want) in [(inside, true), (outside, false)] {
        for instant in instants {
            assert_eq!(interval.contains(at(instant)), want, "{element}: {instant}");
        }
    }
}

/// The changes after `from` must be exactly these.
fn changes(elements: &[&str], from: &str, want: &[&str]) {
    let interval = interval("i", elements);
    let mut t = at(from);
    for instant in want {
        let next = interval.next_change(t).unwrap_or_else(|| panic!("{elements:?}: no change after {t}"));
        assert_eq!(next, at(instant), "{elements:?} after {t}");
        assert_ne!(interval.contains(next), interval.contains(Timestamp(next.0 - 1)), "{elements:?} at {next}");
        t = next;
    }
}

#[test]
fn a_time_range_has_its_start_and_not_its_end() {
    let inside = ["2024-05-01 09:00:00", "2024-05-01 16:59:59.999", "2024-05-01 23:00:00", "2024-05-01 23:59:59"];
    let outside = ["2024-05-01 08:59:59.999", "2024-05-01 17:00:00", "2024-05-01 22:59:59", "2024-05-02 00:00:00"];
    check("times: 09:00-17:00 23:00-24:00", &inside, &outside);
    check("times: 00:00-24:00", &["2024-05-01 00:00:00", "2024-05-01 23:59:59.999"], &[]);
    check("times: none", &[], &["2024-05-01 00:00:00"]);
    check("", &["2024-05-01 00:00:00", "1970-01-01 00:00:00"], &[]);
}

#[test]
fn inside_a_field_one_range_is_enough_and_all_fields_must_match() {
    let office = "times: 09:00-17:00, weekdays: monday:wednesday friday";
    let inside = ["2024-05-06 09:00:00", "2024-05-08 12:00:00", "2024-05-10 16:00:00"];
    check(office, &inside, &["2024-05-09 12:00:00", "2024-05-11 12:00:00", "2024-05-06 08:00:00"]);
    check("weekdays: sunday", &["2024-05-05 00:00:00"], &["2024-05-06 00:00:00", "2024-05-04 23:59:59"]);
    check("weekdays: sunday:saturday", &["2024-05-05 00:00:00", "2024-05-11 00:00:00"], &[]);
    check(
        "months: december 1:february, years: 2023:2024 2030",
        &["2023-12-31 00:00:00", "2024-02-29 00:00:00", "2030-01-01 00:00:00"],
        &["2024-03-01 00:00:00", "2025-01-01 00:00:00", "2022-12-31 23:59:59"],
    );
}

#[test]
fn days_of_the_month_count_from_both_ends_and_are_cut_to_the_month() {
    check(
        "days: 1:3",
        &["2024-05-01 00:00:00", "2024-05-03 23:59:59"],
        &["2024-05-04 00:00:00", "2024-04-30 12:00:00"],
    );
    check("days: -1", &["2024-02-29 12:00:00", "2023-02-28 12:00:00", "2024-04-30 12:00:00"], &["2024-02-28 12:00:00"]);
    check(
        "days: -3:-1",
        &["2024-05-29 00:00:00", "2024-05-31 12:00:00"],
        &["2024-05-28 23:59:59", "2024-06-01 00:00:00"],
    );
    check("days: 29:31", &["2024-02-29 12:00:00", "2024-04-30 12:00:00"], &["2023-02-28 12:00:00"]);
    check("days: 31", &["2024-05-31 12:00:00"], &["2024-04-30 12:00:00", "2024-02-29 12:00:00"]);
    check("days: 1:-1", &["2024-02-01 12:00:00", "2024-02-29 12:00:00", "2024-05-31 12:00:00"], &[]);
    check(
        "days: -31:-30",
        &["2024-05-01 12:00:00", "2024-05-02 12:00:00", "2024-04-01 12:00:00"],
        &["2024-05-03 00:00:00", "2024-02-01 00:00:00"],
    );
    check(
        "days: 12:-15",
        &["2024-05-12 12:00:00", "2024-05-17 12:00:00"],
        &["2024-05-11 12:00:00", "2024-02-16 12:00:00"],
    );
    // March has 31 days also where an hour of it is missing.
    check("days: -1, zone: Europe/Berlin", &["2024-03-31 12:00:00"], &["2024-03-30 12:00:00"]);
    check("days: 31, zone: Europe/Berlin", &["2024-03-31 12:00:00", "2024-10-31 12:00:00"], &["2024-03-30 12:00:00"]);
}

#[test]
fn fields_are_judged_in_local_time() {
    let berlin = "times: 09:00-17:00, weekdays: monday:friday, zone: Europe/Berlin";
    check(berlin, &["2024-07-01 07:00:00", "2024-01-01 08:00:00"], &["2024-07-01 06:59:59", "2024-01-01 07:59:59"]);
    // In Auckland it is Monday, the first of a month and of a year, while it is not yet so in UTC.
    check(
        "weekdays: monday, days: 1, months: january, years: 2024, zone: Pacific/Auckland",
        &["2023-12-31 11:00:00", "2024-01-01 10:59:59"],
        &["2023-12-31 10:59:59", "2024-01-01 11:00:00"],
    );
}

#[test]
fn the_next_change_is_the_next_edge_that_changes_something() {
    let office = "times: 09:00-17:00, weekdays: monday:friday";
    let want = ["2024-05-03 17:00:00", "2024-05-06 09:00:00", "2024-05-06 17:00:00", "2024-05-07 09:00:00"];
    changes(&[office], "2024-05-03 12:00:00", &want);
    changes(&[office], "2024-05-03 09:00:00", &want);
    changes(&[office], "2024-05-03 16:59:59.999", &want);
    // Midnight between two days that both match is no change, neither is the seam of two ranges or of two elements.
    changes(&["weekdays: saturday sunday"], "2024-05-03 12:00:00", &["2024-05-04 00:00:00", "2024-05-06 00:00:00"]);
    changes(&["weekdays: saturday", "weekdays: sunday"], "2024-05-04 00:00:00", &["2024-05-06 00:00:00"]);
    changes(
        &["times: 08:00-12:00 12:00-18:00"],
        "2024-05-04 08:00:00",
        &["2024-05-04 18:00:00", "2024-05-05 08:00:00"],
    );
    let berlin = "times: 22:00-24:00, zone: Europe/Berlin";
    changes(
        &[berlin, "times: 00:00-06:00, zone: Europe/Berlin"],
        "2024-01-01 12:00:00",
        &["2024-01-01 21:00:00", "2024-01-02 05:00:00"],
    );
    changes(&["days: 29, months: february"], "2024-03-01 00:00:00", &["2028-02-29 00:00:00", "2028-03-01 00:00:00"]);
    changes(&["years: 2026"], "2024-03-01 00:00:00", &["2026-01-01 00:00:00", "2027-01-01 00:00:00"]);
}

#[test]
fn a_change_of_clocks_moves_the_edges_and_repeats_or_leaves_out_what_lies_in_it() {
    let night = &["times: 02:15-02:45, zone: Europe/Berlin"];
    // 02:00 to 03:00 does not exist on 2024-03-31 and exists twice on 2024-10-27.
    changes(night, "2024-03-30 12:00:00", &["2024-04-01 00:15:00", "2024-04-01 00:45:00"]);
    let twice = [
        "2024-10-27 00:15:00",
        "2024-10-27 00:45:00",
        "2024-10-27 01:15:00",
        "2024-10-27 01:45:00",
        "2024-10-28 01:15:00",
    ];
    changes(night, "2024-10-26 12:00:00", &twice);
    // The gap swallows an edge: inside until the clocks change, or from then on.
    let to = ["2024-03-31 00:30:00", "2024-03-31 01:00:00", "2024-03-31 23:30:00"];
    changes(&["times: 01:30-02:30, zone: Europe/Berlin"], "2024-03-31 00:00:00", &to);
    changes(
        &["times: 02:30-04:00, zone: Europe/Berlin"],
        "2024-03-31 00:00:00",
        &["2024-03-31 01:00:00", "2024-03-31 02:00:00"],
    );
    // Back over an edge: outside at 03:00 summer time, inside again from 02:00 winter time.
    changes(
        &["times: 02:30-24:00, zone: Europe/Berlin"],
        "2024-10-27 00:00:00",
        &["2024-10-27 00:30:00", "2024-10-27 01:00:00", "2024-10-27 01:30:00", "2024-10-27 23:00:00"],
    );
    // A shift of half an hour, and a day that did not exist.
    changes(
        &["times: 02:00-02:45, zone: Australia/Lord_Howe"],
        "2024-10-05 14:00:00",
        &["2024-10-05 15:30:00", "2024-10-05 15:45:00"],
    );
    changes(
        &["days: 30, months: december, years: 2011:2012, zone: Pacific/Apia"],
        "2011-12-01 00:00:00",
        &["2012-12-29 10:00:00", "2012-12-30 10:00:00"],
    );
}

#[test]
fn what_never_changes_has_no_next_change() {
    for elements in [
        &[][..],
        &[""],
        &["times: none"],
        &["times: 00:00-24:00, zone: Europe/Berlin"],
        &["weekdays: sunday:saturday"],
        &["times: 00:00-12:00", "times: 12:00-24:00"],
        &["days: 31, months: april june"],
        &["years: 2000"],
        &["years: 2040"],
        &["", "times: 09:00-10:00"],
    ] {
        assert_eq!(interval("i", elements).next_change(at("2024-05-01 12:00:00")), None, "{elements:?}");
    }
    assert_eq!(interval("i", &["times: 09:00-10:00"]).next_change(Timestamp(i64::MAX)), None);
    assert_eq!(interval("i", &["times: 09:00-10:00"]).next_change(Timestamp(i64::MIN)), None);
}

#[test]
fn texts_are_read_as_alertmanager_reads_them() {
    assert_eq!((time_of_day("00:00"), time_of_day("09:30"), time_of_day("24:00")), (Ok(0), Ok(570), Ok(1440)));
    for bad in ["", "9:30", "24:01", "09:60", "0930", "09:30:00", "+9:00", "-1:00", "09:3", "noon", "25:00"] {
        assert!(time_of_day(bad).is_err(), "{bad}");
    }
    for (field, text, want) in [
        (Field::Weekday, "Monday:FRIDAY", (1, 5)),
        (Field::Weekday, "sunday", (0, 0)),
        (Field::DayOfMonth, "1:-1", (1, -1)),
        (Field::DayOfMonth, "-7:-1", (-7, -1)),
        (Field::Month, "1:march", (1, 3)),
        (Field::Month, "May", (5, 5)),
        (Field::Year, "2024:2030", (2024, 2030)),
    ] {
        assert_eq!(field.range(text), Ok(FieldRange { begin: want.0, end: want.1 }), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_pointed_at() {
    for (field, text, span, message, help) in [
        (Field::Weekday, "mondy", 0..5, "`mondy` is no weekday", "written out"),
        (Field::Weekday, "monday:fri", 7..10, "`fri` is no weekday", "written out"),
        (Field::Weekday, "mon-fri", 0..7, "`mon-fri` is no weekday", "with a colon and full names"),
        (Field::Weekday, "1", 0..1, "`1` is no weekday", "written out"),
        (
            Field::Weekday,
            "saturday:monday",
            0..15,
            "ends before it begins",
            "two elements, `saturday` and `sunday:monday`",
        ),
        (Field::Weekday, "friday:sunday", 0..13, "ends before it begins", "`friday:saturday` and `sunday`"),
        (Field::Weekday, "a:b:c", 0..5, "more than two ends", "`monday:friday`"),
        (Field::Weekday, "", 0..0, "`` is no weekday", "written out"),
        (Field::DayOfMonth, "0", 0..1, "`0` is no day of a month", "1 to 31"),
        (Field::DayOfMonth, "1:32", 2..4, "`32` is no day of a month", "1 to 31"),
        (Field::DayOfMonth, "1-7", 0..3, "`1-7` is no day of a month", "with a colon"),
        (Field::DayOfMonth, "-3:3", 0..4, "begins at the end of a month", "ends with one"),
        (Field::DayOfMonth, "7:1", 0..3, "ends before it begins", "`1:7`"),
        (Field::DayOfMonth, "-1:-7", 0..5, "ends before it begins", "`-7:-1`"),
        (Field::DayOfMonth, "20:-20", 0..6, "ends before it begins", "from its end"),
        (Field::Month, "13", 0..2, "`13` is no month", "1 to 12"),
        (
            Field::Month,
            "november:february",
            0..17,
            "ends before it begins",
            "`november:december` and `january:february`",
        ),
        (Field::Year, "24h", 0..3, "`24h` is no year", "numbers"),
        (Field::Year, "2026:2024", 0..9, "ends before it begins", "earlier year first"),
    ] {
        let error = field.range(text).unwrap_err();
        assert_eq!(error.span, span, "{text}: {error:?}");
        assert!(error.message.contains(message) && error.help.contains(help), "{text}: {error:?}");
    }
    for (start, end, of_end, help) in [
        ("22:00", "06:00", true, "`22:00` to `24:00` and `00:00` to `06:00`"),
        ("09:00", "09:00", true, "the end does not belong"),
        ("22:00", "00:00", true, "is written `24:00`"),
        ("24:00", "06:00", true, "begin with `00:00`"),
        ("9:00", "10:00", false, "two digits"),
        ("09:00", "10h", true, "two digits"),
    ] {
        let (error, at_end) = time_range(start, end).unwrap_err();
        assert!(at_end == of_end && error.help.contains(help), "{start} {end}: {error:?}");
    }
}

/// What mutes at an instant, as text; `-` for nothing.
fn muted(times: &MuteTimes, instant: &str) -> String {
    times.muted(at(instant)).map_or_else(|| "-".to_owned(), |muted| muted.to_string())
}

#[test]
fn a_rule_is_muted_inside_of_mute_and_outside_of_active() {
    let nights = Arc::new(interval("nights", &["times: 22:00-24:00", "times: 00:00-06:00"]));
    let weekends = Arc::new(interval("weekends", &["weekdays: saturday sunday"]));
    let office = Arc::new(interval("office", &["times: 09:00-17:00, weekdays: monday:friday"]));
    let late = Arc::new(interval("late", &["times: 17:00-20:00, weekdays: monday"]));
    let always = Arc::new(interval("always", &[""]));
    let never = Arc::new(interval("never", &["times: none"]));

    let mute = MuteTimes { mute: vec![nights.clone(), weekends.clone()], active: vec![] };
    assert_eq!(muted(&mute, "2024-05-02 12:00:00"), "-");
    assert_eq!(muted(&mute, "2024-05-01 23:00:00"), "in the time interval `nights` until 2024-05-02T06:00:00Z");
    // Where the night ends the weekend has begun, and where that ends it is night again.
    assert_eq!(muted(&mute, "2024-05-03 23:00:00"), "in the time interval `nights` until 2024-05-06T06:00:00Z");
    assert_eq!(muted(&mute, "2024-05-04 12:00:00"), "in the time interval `weekends` until 2024-05-06T06:00:00Z");

    let active = MuteTimes { mute: vec![], active: vec![office.clone(), late.clone()] };
    assert_eq!(muted(&active, "2024-05-02 12:00:00"), "-");
    assert_eq!(muted(&active, "2024-05-06 17:00:00"), "-", "one of several is enough");
    assert_eq!(muted(&active, "2024-05-02 17:00:00"), "outside the time interval `office` until 2024-05-03T09:00:00Z");
    assert_eq!(muted(&active, "2024-05-03 17:00:00"), "outside the time interval `office` until 2024-05-06T09:00:00Z");

    let both = MuteTimes { mute: vec![nights, weekends], active: vec![office.clone()] };
    assert_eq!(muted(&both, "2024-05-03 18:00:00"), "outside the time interval `office` until 2024-05-06T09:00:00Z");
    assert_eq!(muted(&both, "2024-05-03 22:00:00"), "in the time interval `nights` until 2024-05-06T09:00:00Z");

    let ever = MuteTimes { mute: vec![always.clone()], active: vec![] };
    assert_eq!(muted(&ever, "2024-05-03 18:00:00"), "in the time interval `always`");
    let against = MuteTimes { mute: vec![office.clone()], active: vec![office] };
    assert_eq!(muted(&against, "2024-05-03 18:00:00"), "outside the time interval `office`");
    let no_time = MuteTimes { mute: vec![], active: vec![never] };
    assert_eq!(muted(&no_time, "2024-05-03 18:00:00"), "outside the time interval `never`");
    assert_eq!(muted(&MuteTimes { mute: vec![], active: vec![always] }, "2024-05-03 18:00:00"), "-");
    assert!(MuteTimes::default().is_empty() && MuteTimes::default().muted(Timestamp(0)).is_none() && !ever.is_empty());
}

const ELEMENTS: [&str; 10] = [
    "times: 09:00-17:00, weekdays: monday:friday",
    "times: 00:00-00:01 02:15-02:45 23:59-24:00",
    "times: 01:30-02:30",
    "weekdays: sunday",
    "days: -3:-1",
    "days: 29:31 1",
    "months: march october, days: 20:-1",
    "times: 00:30-24:00, days: 25:31",
    "years: 2024, times: 02:00-03:00",
    "",
];
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"];
/// Shortly before changes of clocks, the end of a month, of a leap day and of a year.
const FROM: [&str; 8] = [
    "2024-03-30 20:00:00",
    "2024-10-26 20:00:00",
    "2024-03-10 00:00:00",
    "2024-11-02 20:00:00",
    "2024-10-05 10:00:00",
    "2024-04-06 10:00:00",
    "2024-02-28 12:00:00",
    "2024-12-31 00:00:00",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a count through every half minute of the following days.
    #[test]
    fn the_next_change_is_the_one_found_by_counting(
        first in prop::sample::select(&ELEMENTS[..]),
        second in prop::sample::select(&ELEMENTS[..]),
        zones in prop::array::uniform2(prop::sample::select(&ZONES[..])),
        from in prop::sample::select(&FROM[..]),
        shift in 0i64..86_400_000,
    ) {
        let element = |text: &str, zone: &str| IntervalFields { zone: zone.parse::<Tz>().unwrap(), ..fields(text) };
        let interval = TimeInterval::new("i", &[element(first, zones[0]), element(second, zones[1])]);
        let from = Timestamp(at(from).0 + shift);
        let now = interval.contains(from);
        let grid = from.0.div_euclid(30_000) + 1;
        let counted = (grid..grid + 4 * 2880).map(|n| Timestamp(n * 30_000)).find(|t| interval.contains(*t) != now);
        match (interval.next_change(from), counted) {
            (Some(next), Some(counted)) => prop_assert_eq!(next, counted),
            (Some(next), None) => prop_assert!(next.0 > (grid + 4 * 2880 - 1) * 30_000),
            (None, counted) => prop_assert_eq!(counted, None),
        }
    }

    #[test]
    fn the_end_of_being_muted_is_the_first_instant_without_a_cause(
        mute in prop::sample::select(&ELEMENTS[..]),
        active in prop::sample::select(&ELEMENTS[..]),
        from in prop::sample::select(&FROM[..]),
    ) {
        let one = |text: &str| vec![Arc::new(interval("i", &[text]))];
        let times = MuteTimes { mute: one(mute), active: one(active) };
        let from = at(from);
        if let Some(muted) = times.muted(from) {
            let end = muted.until.map_or(i64::MAX, |until| until.0);
            let grid = from.0.div_euclid(60_000);
            let tells = |t: &Timestamp| !times.mute[0].contains(*t) && times.active[0].contains(*t);
            let free = (grid..grid + 3 * 1440).map(|n| Timestamp(n * 60_000)).find(tells);
            prop_assert!(free.is_none_or(|free| free.0 == end), "{:?} {:?}", muted, free);
            prop_assert!(muted.until.is_none_or(|until| times.muted(until).is_none()));
        }
    }

    #[test]
    fn no_text_and_no_instant_makes_it_panic(text in "[0-9:a-zA-Z+ é-]{0,12}", t in any::<i64>(), n in 0usize..10) {
        for field in [Field::Weekday, Field::DayOfMonth, Field::Month, Field::Year] {
            if let Err(error) = field.range(&text) {
                prop_assert!(text.to_ascii_lowercase().get(error.span.clone()).is_some());
            }
        }
        let _ = time_range(&text, &text);
        let interval = interval("i", &[ELEMENTS[n]]);
        let _ = (interval.contains(Timestamp(t)), interval.next_change(Timestamp(t)));
    }
}
