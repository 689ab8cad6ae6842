//! Schedules: intervals, cron, daylight saving time.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn cron(text: &str, zone: &str) -> Schedule {
    Schedule::Cron(CronSchedule::parse(text, Some(zone)).unwrap())
}

/// The slots after `from` must be exactly these, and searching back from each must find it and its predecessor.
fn check(text: &str, zone: &str, from: &str, want: &[&str]) {
    let schedule = cron(text, zone);
    let mut t = at(from);
    for (number, slot) in want.iter().enumerate() {
        let next = schedule.next_after(t).unwrap();
        assert_eq!(next, at(slot), "slot {number} of {text:?} in {zone} after {t}");
        assert_eq!(schedule.latest_at_or_before(next), Some(next), "{text:?} in {zone}, back from {next}");
        if number > 0 {
            assert_eq!(schedule.latest_at_or_before(Timestamp(next.0 - 1)), Some(t), "{text:?}, back before {next}");
        }
        t = next;
    }
}

#[test]
fn rules_of_equal_interval_share_their_slots() {
    let every = Schedule::Every(Duration::from_secs(15));
    assert_eq!(every.next_after(Timestamp(0)), Some(Timestamp(15_000)));
    assert_eq!(every.next_after(Timestamp(14_999)), Some(Timestamp(15_000)));
    assert_eq!(every.next_after(Timestamp(-1)), Some(Timestamp(0)));
    assert_eq!(every.latest_at_or_before(Timestamp(14_999)), Some(Timestamp(0)));
    assert_eq!(every.latest_at_or_before(Timestamp(-1)), Some(Timestamp(-15_000)));
    assert_eq!(every.every_hint(), Duration::from_secs(15));
    assert_eq!(Schedule::Every(Duration::ZERO).next_after(Timestamp(7)), Some(Timestamp(8)));
    assert_eq!(every.next_after(Timestamp(i64::MAX)), None);
}

#[test]
fn after_a_suspend_one_slot_is_due_and_the_others_are_missed() {
    let every = Schedule::Every(Duration::from_secs(15));
    assert_eq!(every.missed_between(Timestamp(0), Timestamp(15_000)), 0);
    assert_eq!(every.missed_between(Timestamp(0), Timestamp(14_000)), 0);
    assert_eq!(every.missed_between(Timestamp(0), Timestamp(1_800_000)), 119);
    assert_eq!(every.missed_between(Timestamp(1_800_000), Timestamp(0)), 0);
    assert_eq!(every.missed_between(Timestamp(i64::MIN), Timestamp(i64::MAX)), u64::MAX / 15_000 - 1);
    let daily = cron("0 0 6 * * *", "UTC");
    assert_eq!(daily.missed_between(at("2024-05-01 06:00:00"), at("2024-05-02 05:00:00")), 0);
    assert_eq!(daily.missed_between(at("2024-05-01 06:00:00"), at("2024-05-04 06:00:00")), 2);
    assert_eq!(cron("* * * * * *", "UTC").missed_between(Timestamp(0), at("2024-01-01 00:00:00")), MISSED_MAX);
}

#[test]
fn weekday_mornings_are_those_of_the_zone() {
    let want = ["2024-03-01 05:00:00", "2024-03-04 05:00:00", "2024-03-05 05:00:00"];
    check("0 0 6 * * Mon-Fri", "Europe/Berlin", "2024-03-01 00:00:00", &want);
    check("0 0 6 * * MON,TUES,Wednesday,Thu,fri", "Europe/Berlin", "2024-03-01 00:00:00", &want);
    let want = ["2024-03-01 06:00:00", "2024-03-04 06:00:00"];
    check("0 0 6 ? * Mon-Fri 2024", "UTC", "2024-03-01 00:00:00", &want);
    let weekend = ["2024-03-01 06:00:00", "2024-03-02 06:00:00", "2024-03-03 06:00:00", "2024-03-08 06:00:00"];
    check("0 0 6 * * Fri-Sun", "UTC", "2024-03-01 00:00:00", &weekend);
    check("0 0 6 * * Mon-Sun", "UTC", "2024-03-01 00:00:00", &weekend[..3]);
}

#[test]
fn a_time_in_the_gap_of_spring_runs_once_at_its_end() {
    let want = ["2024-03-30 01:30:00", "2024-03-31 01:00:00", "2024-04-01 00:30:00"];
    check("0 30 2 * * *", "Europe/Berlin", "2024-03-29 12:00:00", &want);
    // All of the hour's slots fall into the gap: together they are one.
    let want = ["2024-03-31 01:00:00", "2024-04-01 00:00:00", "2024-04-01 00:20:00"];
    check("0 */20 2 * * *", "Europe/Berlin", "2024-03-30 12:00:00", &want);
    let want = ["2024-03-10 07:00:00", "2024-03-11 06:30:00"];
    check("0 30 2 * * *", "America/New_York", "2024-03-09 12:00:00", &want);
    // Half an hour of shift: 02:00 becomes 02:30 on 2024-10-06.
    let want = ["2024-10-05 15:30:00", "2024-10-06 15:15:00"];
    check("0 15 2 * * *", "Australia/Lord_Howe", "2024-10-05 12:00:00", &want);
    // A day that did not exist: 2011-12-30 in Samoa.
    check("0 0 12 * * *", "Pacific/Apia", "2011-12-29 21:00:00", &["2011-12-29 22:00:00", "2011-12-30 10:00:00"]);
}

#[test]
fn a_time_that_exists_twice_runs_once() {
    let want = ["2024-10-26 00:30:00", "2024-10-27 00:30:00", "2024-10-28 01:30:00"];
    check("0 30 2 * * *", "Europe/Berlin", "2024-10-25 12:00:00", &want);
    let want = ["2024-11-03 05:30:00", "2024-11-04 06:30:00"];
    check("0 30 1 * * *", "America/New_York", "2024-11-02 12:00:00", &want);
    let want = ["2024-04-06 14:45:00", "2024-04-07 15:15:00"];
    check("0 45 1 * * *", "Australia/Lord_Howe", "2024-04-06 12:00:00", &want);
    // Between the two passes, the next slot is tomorrow's.
    check("0 30 2 * * *", "Europe/Berlin", "2024-10-27 01:00:00", &["2024-10-28 01:30:00"]);
}

#[test]
fn an_hourly_schedule_runs_every_real_hour() {
    let spring = ["2024-03-31 00:00:00", "2024-03-31 01:00:00", "2024-03-31 02:00:00"];
    check("0 0 * * * *", "Europe/Berlin", "2024-03-30 23:30:00", &spring);
    let autumn = ["2024-10-27 00:00:00", "2024-10-27 01:00:00", "2024-10-27 02:00:00"];
    check("0 0 * * * *", "Europe/Berlin", "2024-10-26 23:30:00", &autumn);
    check("@hourly", "Europe/Berlin", "2024-10-26 23:30:00", &autumn);
    let autumn = ["2024-11-03 05:30:00", "2024-11-03 06:00:00", "2024-11-03 06:30:00", "2024-11-03 07:00:00"];
    check("0 */30 * * * *", "America/New_York", "2024-11-03 05:10:00", &autumn);
    // 01:30 to 02:00 local is passed twice.
    let want = ["2024-04-06 14:45:00", "2024-04-06 15:15:00", "2024-04-06 16:15:00"];
    check("0 45 * * * *", "Australia/Lord_Howe", "2024-04-06 14:00:00", &want);
    // The repeated hour belongs to a day that is not the next day of the schedule.
    check("0 0 * * * Mon", "Europe/Berlin", "2024-10-21 21:30:00", &["2024-10-27 23:00:00"]);
}

#[test]
fn rare_dates_are_found() {
    let leap = ["2024-02-29 00:00:00", "2028-02-29 00:00:00", "2032-02-29 00:00:00"];
    check("0 0 0 29 2 *", "UTC", "2023-01-01 00:00:00", &leap);
    check("0 0 0 29 Feb *", "UTC", "2096-03-01 00:00:00", &[]);
    assert_eq!(cron("0 0 0 29 2 *", "UTC").next_after(at("2096-03-01 00:00:00")), None);
    let last = at("2096-02-29 00:00:00");
    assert_eq!(cron("0 0 0 29 2 *", "UTC").latest_at_or_before(at("2105-01-01 00:00:00")), Some(last));
    check("0 0 0 13 * Fri", "UTC", "2024-01-01 00:00:00", &["2024-09-13 00:00:00", "2024-12-13 00:00:00"]);
    check("@yearly", "Asia/Tokyo", "2024-01-01 00:00:00", &["2024-12-31 15:00:00"]);
    let once = cron("0 0 0 1 1 * 2030", "UTC");
    assert_eq!(once.next_after(at("2030-01-01 00:00:00")), None);
    assert_eq!(once.latest_at_or_before(at("2029-01-01 00:00:00")), None);
}

#[test]
fn the_usual_distance_is_that_of_the_calendar() {
    for (text, secs) in [
        ("0 0 6 * * Mon-Fri", 86_400),
        ("0 0 * * * *", 3600),
        ("*/10 * * * * *", 10),
        ("0 0 0 * * Sun", 604_800),
        ("0 0 0 1 1 * 2030", 86_400),
        ("0 0 12 * * * 1999", 86_400),
    ] {
        assert_eq!(cron(text, "Europe/Berlin").every_hint(), Duration::from_secs(secs), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_pointed_at() {
    for (text, zone, span, message, help) in [
        ("0 6 * * Mon", None, 0..11, "five fields", "seconds come first: `0 0 6 * * Mon`"),
        ("", None, 0..0, "0 fields", "0 0 6 * * Mon-Fri"),
        ("0 0 6", None, 0..5, "3 fields", "0 0 6 * * Mon-Fri"),
        ("0 0 6 * * * * *", None, 0..15, "8 fields", "0 0 6 * * Mon-Fri"),
        (" 0  0 25 * * *", None, 6..8, "`25` cannot be read as hours", "0-23"),
        ("0 0 6 * Foo *", None, 8..11, "`Foo` cannot be read as months", "Jan-Dec"),
        ("0 */0 6 * * *", None, 2..5, "`*/0` cannot be read as minutes", "0-59"),
        ("0 0 6 * * 1-5", None, 10..13, "`1-5` gives days of the week as numbers", "Mon-Fri"),
        ("0 0 6 * * L", None, 10..11, "`L` cannot be read as days of the week", "Sun-Sat"),
        ("0 0 6 * * * 1960", None, 12..16, "`1960` cannot be read as years", "1970-2100"),
        ("0 0 0 31 2 *", None, 0..12, "never runs", "must all match"),
        ("0 0 0 30 Feb Mon", None, 0..16, "never runs", "must all match"),
        ("@reboot", None, 0..7, "unknown schedule `@reboot`", "`@daily`"),
        ("0 0 6 * * é", None, 10..12, "`é` cannot be read as days of the week", "Sun-Sat"),
        ("0 0 6 * * *", Some("Europe/Berln"), 0..12, "unknown time zone", "did you mean `Europe/Berlin`?"),
        ("0 0 6 * * *", Some("berlin"), 0..6, "unknown time zone", "did you mean `Europe/Berlin`?"),
        ("0 0 6 * * *", Some("42"), 0..2, "unknown time zone", "IANA name"),
    ] {
        let error = CronSchedule::parse(text, zone).unwrap_err();
        assert_eq!((error.span.clone(), error.zone), (span, zone.is_some()), "{text:?}: {error:?}");
        assert!(error.message.contains(message), "{text:?}: {error:?}");
        assert!(error.help.as_deref().is_some_and(|h| h.contains(help)), "{text:?}: {error:?}");
    }
    let long = format!("0 0 {} * * *", "1,".repeat(200));
    assert!(CronSchedule::parse(&long, None).unwrap_err().message.contains("longer than 256 bytes"));
}

const TEXTS: [&str; 12] = [
    "* * * * * *",
    "0 * * * * *",
    "0 0 * * * *",
    "0 15,45 * * * *",
    "30 */7 * * * Sat,Sun",
    "0 0 6 * * Mon-Fri",
    "0 30 2 * * *",
    "0 */10 0-3 * * *",
    "* * 2 * * *",
    "0 0 */5 1 * *",
    "0 0 0 29 2 *",
    "0 0 12 * Mar,Oct Sun",
];
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn slots_rise_and_are_found_from_behind(
        text in prop::sample::select(&TEXTS[..]),
        zone in prop::sample::select(&ZONES[..]),
        t in 0i64..4_000_000_000_000,
    ) {
        let schedule = cron(text, zone);
        let t = Timestamp(t);
        if let Some(next) = schedule.next_after(t) {
            prop_assert!(next > t);
            prop_assert_eq!(schedule.latest_at_or_before(next), Some(next));
            prop_assert!(schedule.latest_at_or_before(Timestamp(next.0 - 1)).is_none_or(|latest| latest <= t));
            prop_assert!(schedule.next_after(next).is_none_or(|later| later > next));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Against a count through every second of the hours around a change of offset, by the rule as it is written.
    #[test]
    fn slots_around_a_change_of_offset_are_those_counted_second_by_second(
        text in prop::sample::select(&["0 15,45 * * * *", "30 */7 * * * *", "0 30 2 * * *", "0 */10 0-3 * * *", "5 0 1,2,3 * * *"][..]),
        zone in prop::sample::select(&ZONES[1..4]),
        change in prop::sample::select(&["2024-03-31 01:00:00", "2024-10-27 01:00:00", "2024-03-10 07:00:00",
            "2024-11-03 06:00:00", "2024-10-05 15:30:00", "2024-04-06 15:00:00"][..]),
    ) {
        let parsed = CronSchedule::parse(text, Some("UTC")).unwrap();
        let matches = |local: NaiveDateTime| {
            let local = Timestamp(local.and_utc().timestamp_millis());
            parsed.next_after(Timestamp(local.0 - 1)) == Some(local)
        };
        let tz: Tz = zone.parse().unwrap();
        let from = at(change).0 / 1000 - 2 * 3600;
        let local_at = |s: i64| tz.timestamp_opt(s, 0).unwrap().naive_local();
        let mut want = Vec::new();
        for s in from..from + 5 * 3600 {
            let (before, here) = (local_at(s - 1), local_at(s));
            let due = if text.split(' ').nth(2) == Some("*") {
                matches(here)
            } else {
                let first_pass = tz.from_local_datetime(&here).earliest().unwrap().timestamp() == s;
                let step = (here - before).num_seconds();
                let skipped = (1..step).any(|k| matches(before + chrono::TimeDelta::seconds(k)));
                first_pass && (matches(here) || skipped)
            };
            if due { want.push(Timestamp::from_secs(s)); }
        }
        let schedule = cron(text, zone);
        let got: Vec<Timestamp> = std::iter::successors(schedule.next_after(Timestamp::from_secs(from - 1)),
            |t| schedule.next_after(*t)).take_while(|t| t.0 < (from + 5 * 3600) * 1000).collect();
        prop_assert_eq!(got, want);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9*/,? A-Za-z@#é-]{0,40}", zone in "[A-Za-z/_]{0,12}") {
        let _ = CronSchedule::parse(&text, Some(&zone));
        let _ = CronSchedule::parse(&text, None);
    }

    #[test]
    fn no_instant_makes_a_schedule_panic(text in prop::sample::select(&TEXTS[..]), t in any::<i64>(), u in any::<i64>()) {
        let schedule = cron(text, "Europe/Berlin");
        let (t, u) = (Timestamp(t), Timestamp(u));
        let _ = (schedule.next_after(t), schedule.latest_at_or_before(t), schedule.missed_between(t, u));
    }
}
