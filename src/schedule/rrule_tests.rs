//! Recurrence rules: examples of RFC 5545, what is refused, and random rules against another implementation.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> NaiveDateTime {
    let (date, time, _) = moment(text).unwrap();
    date.and_time(time.unwrap_or_default())
}

fn rule(text: &str, start: &str) -> Rrule {
    Rrule::parse(text, at(start), Tz::UTC).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn first(rule: &Rrule, count: usize) -> Vec<NaiveDateTime> {
    std::iter::successors(rule.next_after(before(rule.start)), |at| rule.next_after(*at)).take(count).collect()
}

#[test]
fn examples_of_the_rfc_fall_on_the_days_that_it_lists() {
    for (text, start, dates) in [
        ("FREQ=DAILY;COUNT=3", "1997-09-02T09:00", "1997-09-02 1997-09-03 1997-09-04"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", "1997-09-02T09:00", "1997-09-02 1997-09-12 1997-09-22"),
        ("RRULE:FREQ=WEEKLY;COUNT=3", "1997-09-02T09:00", "1997-09-02 1997-09-09 1997-09-16"),
        (
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,TH;COUNT=4",
            "1997-09-02T09:00",
            "1997-09-02 1997-09-04 1997-09-16 1997-09-18",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1997-08-05T09:00",
            "1997-08-05 1997-08-10 1997-08-19 1997-08-24",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1997-08-05T09:00",
            "1997-08-05 1997-08-17 1997-08-19 1997-08-31",
        ),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=1FR", "1997-09-05T09:00", "1997-09-05 1997-10-03 1997-11-07"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "1997-09-22T09:00", "1997-09-22 1997-10-20 1997-11-17"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28T09:00", "1997-09-28 1997-10-29 1997-11-28 1997-12-29"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
            "1997-09-29T09:00",
            "1997-09-29 1997-10-30 1997-11-27 1997-12-30",
        ),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-09-02T09:00", "1998-02-13 1998-03-13 1998-11-13 1999-08-13"),
        ("FREQ=YEARLY;COUNT=3;BYMONTH=6,7", "1997-06-10T09:00", "1997-06-10 1997-07-10 1998-06-10"),
        ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19T09:00", "1997-05-19 1998-05-18 1999-05-17"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "1997-03-13T09:00", "1997-03-13 1997-03-20 1997-03-27 1998-03-05"),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1996-11-05T09:00",
            "1996-11-05 2000-11-07 2004-11-02",
        ),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2024-11-28T00:00", "2024-11-28 2025-11-27 2026-11-26"),
        ("FREQ=MONTHLY", "2024-01-31T00:00", "2024-01-31 2024-03-31 2024-05-31"),
        ("FREQ=DAILY;UNTIL=19970904", "1997-09-02T09:00", "1997-09-02 1997-09-03 1997-09-04"),
    ] {
        let dates: Vec<NaiveDateTime> =
            dates.split(' ').map(|date| at(date).date().and_time(at(start).time())).collect();
        let rule = rule(text, start);
        let found = first(&rule, dates.len() + usize::from(rule.last().is_some()));
        assert_eq!(found, dates, "{text}");
        assert!(dates.iter().all(|at| rule.between(at.date(), at.date()).eq([*at])), "{text}");
    }
}

#[test]
fn several_times_a_day_are_written_with_hours_and_minutes() {
    let rule = rule("FREQ=DAILY;BYHOUR=22,2;BYMINUTE=0,30", "2026-11-27T21:15:00");
    let times: Vec<String> = first(&rule, 5).iter().map(|at| at.format("%d %H:%M").to_string()).collect();
    assert_eq!(times, ["27 22:00", "27 22:30", "28 02:00", "28 02:30", "28 22:00"]);
}

#[test]
fn an_end_in_utc_is_that_instant_on_the_wall() {
    let berlin: Tz = "Europe/Berlin".parse().unwrap();
    let until = |text: &str| Rrule::parse(text, at("2026-07-01T23:30"), berlin).unwrap().last();
    assert_eq!(until("FREQ=DAILY;UNTIL=20260703T213000Z"), Some(at("2026-07-03T23:30")));
    assert_eq!(until("FREQ=DAILY;UNTIL=20260703T213000"), Some(at("2026-07-02T23:30")));
    assert_eq!(until("FREQ=DAILY;COUNT=2"), Some(at("2026-07-02T23:30")));
    assert_eq!(until("FREQ=DAILY"), None);
    // The last time is one at which it happens, however long before the end that is.
    assert_eq!(until("FREQ=WEEKLY;UNTIL=20260721"), Some(at("2026-07-15T23:30")));
    assert_eq!(until("FREQ=YEARLY;INTERVAL=4;UNTIL=20370101"), Some(at("2034-07-01T23:30")));
    assert_eq!(until("FREQ=YEARLY;INTERVAL=4;COUNT=20"), Some(at("2102-07-01T23:30")));
    let never = Rrule::parse("FREQ=DAILY;UNTIL=20260630", at("2026-07-01T23:30"), berlin).unwrap_err();
    assert!(never.never && never.message == "this rule never happens", "{never:?}");
}

#[test]
fn what_is_not_known_or_never_happens_is_refused_with_how_to_mend_it() {
    for (text, message, help) in [
        ("", "the rule has no FREQ", "begin it as in `FREQ=WEEKLY;BYDAY=SA`"),
        ("FREQ=HOURLY", "`HOURLY` is no FREQ that is known here", "several times a day are written with BYHOUR"),
        (
            "FREQ=DAILY;BYWEEKNO=3",
            "`BYWEEKNO` is not a part of rules that is known here",
            "name months and days instead",
        ),
        ("FREQ=DAILY;X=3", "`X` is not a part of rules that is known here", "known are FREQ, INTERVAL"),
        ("FREQ=DAILY;FREQ=DAILY", "`FREQ` is given twice", "keep one"),
        ("FREQ=DAILY;INTERVAL=0", "`0` cannot be read as INTERVAL", "a number from 1 to 1000"),
        ("FREQ=DAILY;COUNT=1001", "`1001` cannot be read as COUNT", "a number from 1 to 1000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "COUNT and UNTIL are given together", "keep one"),
        ("FREQ=DAILY;UNTIL=tomorrow", "`tomorrow` cannot be read as UNTIL", "write a date"),
        ("FREQ=WEEKLY;BYDAY=XX", "`XX` cannot be read as BYDAY", "days are MO to SU"),
        ("FREQ=WEEKLY;BYDAY=é", "`é` cannot be read as BYDAY", "days are MO to SU"),
        ("FREQ=WEEKLY;BYDAY=2TU", "numbered days such as `2TU` are for", "leave the number out"),
        ("FREQ=MONTHLY;BYDAY=-2147483648MO", "`-2147483648MO` cannot be read as BYDAY", "second Tuesday"),
        ("FREQ=MONTHLY;BYDAY=0TU", "`0TU` cannot be read as BYDAY", "second Tuesday"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "`0` cannot be read as BYMONTHDAY", "-31 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "`32` cannot be read as BYMONTHDAY", "-31 to 31"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY is not for FREQ=WEEKLY", "FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS picks from nothing", "BYDAY"),
        ("FREQ=DAILY;BYDAY=MO;BYSETPOS=1", "BYSETPOS is for FREQ=MONTHLY", "leave it out"),
        ("FREQ=DAILY;BYHOUR=24", "`24` cannot be read as BYHOUR", "0 to 23"),
        (
            "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,1,2,3,4,5,6,7;BYSECOND=1,2,3,4,5",
            "the rule has more than 96 times",
            "cron",
        ),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "this rule never happens", "within five years"),
        ("FREQ=DAILY;UNTIL=20200101", "this rule never happens", "within five years"),
        ("FREQ=DAILY;;WKST", "`WKST` is no part of a rule", "FREQ=WEEKLY"),
    ] {
        let error = Rrule::parse(text, at("2026-11-27T22:00"), Tz::UTC).unwrap_err();
        assert!(error.message.starts_with(message) && error.help.contains(help), "{text}: {error:?}");
    }
}

#[test]
fn a_rule_begins_within_the_years_that_people_mean() {
    for (start, taken) in [("1900-01-01T00:00", true), ("1899-12-31T00:00", false), ("2201-01-01T00:00", false)] {
        assert_eq!(Rrule::parse("FREQ=DAILY", at(start), Tz::UTC).is_ok(), taken, "{start}");
    }
}

fn list(values: Vec<String>) -> String {
    values.join(",")
}

/// Rules of every frequency with any parts that go together.
fn rules() -> impl Strategy<Value = String> {
    let days = prop::collection::vec(prop::sample::select(&["MO", "TU", "WE", "TH", "FR", "SA", "SU"][..]), 0..3);
    let numbered = prop::collection::vec((prop::sample::select(&[-4, -2, -1, 1, 2, 3, 5][..]), 0..7usize), 0..3);
    let months = prop::collection::vec(1..=12u32, 0..3);
    let days_of_month = prop::collection::vec(prop::sample::select(&[-31, -2, -1, 1, 13, 29, 30, 31][..]), 0..3);
    let positions = prop::collection::vec(prop::sample::select(&[-2, -1, 1, 3][..]), 0..2);
    (0..4usize, 1..4u32, days, numbered, months, days_of_month, positions).prop_map(
        |(frequency, interval, days, numbered, months, days_of_month, positions)| {
            let mut text = format!("FREQ={};INTERVAL={interval}", ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"][frequency]);
            let mut put = |name: &str, values: Vec<String>| {
                if !values.is_empty() {
                    text.push_str(&format!(";{name}={}", list(values)));
                }
            };
            let wide = frequency >= 2;
            let mut by_day: Vec<String> = days.iter().map(ToString::to_string).collect();
            // The other implementation leaves out days without a number beside those with one.
            if wide && !numbered.is_empty() {
                by_day.clear();
                let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
                by_day.extend(numbered.iter().map(|(n, day)| format!("{n}{}", names[*day])));
            }
            let picks = wide && !(by_day.is_empty() && days_of_month.is_empty());
            put("BYMONTH", months.iter().map(ToString::to_string).collect());
            put("BYDAY", by_day);
            if frequency != 1 {
                put("BYMONTHDAY", days_of_month.iter().map(ToString::to_string).collect());
            }
            if picks {
                put("BYSETPOS", positions.iter().map(ToString::to_string).collect());
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_rules_fall_on_the_days_that_another_implementation_finds(
        text in rules(),
        day in 0..1500u64,
    ) {
        let start = at("2024-01-01T21:30").checked_add_days(Days::new(day)).unwrap();
        let whole = format!("DTSTART:{}Z\nRRULE:{text}", start.format("%Y%m%dT%H%M%S"));
        let other: rrule::RRuleSet = whole.parse().unwrap();
        let horizon = start.checked_add_days(Days::new(1000)).unwrap();
        let dates: Vec<NaiveDateTime> =
            other.into_iter().map(|at| at.naive_utc()).take_while(|at| *at < horizon).take(40).collect();
        match Rrule::parse(&text, start, Tz::UTC) {
            Ok(rule) => {
                let found: Vec<_> = first(&rule, 40).into_iter().take_while(|at| *at < horizon).collect();
                prop_assert_eq!(found, dates, "{} from {}", text, start);
            }
            Err(error) => {
                prop_assert!(error.message.contains("never happens") && dates.is_empty(), "{}: {}", text, error);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", tail in "(FREQ|BYDAY|COUNT|UNTIL|=|;|,|-|[A-Z0-9]){0,20}") {
        let _ = Rrule::parse(&text, at("2026-11-27T22:00"), Tz::UTC);
        let _ = Rrule::parse(&format!("FREQ=MONTHLY;{tail}"), at("2026-11-27T22:00"), Tz::UTC);
    }
}
