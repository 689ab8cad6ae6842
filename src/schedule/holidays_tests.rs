//! Holidays of calendar files: which days, and what is wrong where.

use proptest::prelude::*;

use super::*;

fn calendar(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", events.replace('\n', "\r\n"))
}

fn event(lines: &str) -> String {
    format!("BEGIN:VEVENT\nSUMMARY:a day\n{}\nEND:VEVENT\n", lines.replace('|', "\n"))
}

fn read(lines: &str) -> Holidays {
    let (holidays, problems) = Holidays::parse(&calendar(&event(lines)));
    assert_eq!(problems, [], "{lines}");
    holidays
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn days_ranges_and_events_that_come_again_are_holidays() {
    for (lines, inside, outside) in [
        ("DTSTART;VALUE=DATE:20261225", "2026-12-25", "2026-12-24 2026-12-26 2027-12-25"),
        ("DTSTART;VALUE=DATE:20261224|DTEND;VALUE=DATE:20261227", "2026-12-24 2026-12-26", "2026-12-23 2026-12-27"),
        ("DTSTART;VALUE=DATE:20261224|DTEND;VALUE=DATE:20261224", "2026-12-24", "2026-12-25"),
        ("DTSTART;VALUE=DATE:20261224|DURATION:P1W1D", "2026-12-31", "2027-01-01"),
        ("DTSTART;VALUE=DATE:20200501|RRULE:FREQ=YEARLY", "2020-05-01 2027-05-01", "2019-05-01 2027-05-02"),
        ("DTSTART;VALUE=DATE:20241128|RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2026-11-26 2027-11-25", "2026-11-27"),
        ("DTSTART;VALUE=DATE:20201224|DTEND;VALUE=DATE:20201227|RRULE:FREQ=YEARLY", "2026-12-26", "2026-12-27"),
        ("DTSTART;VALUE=DATE:20200501|RRULE:FREQ=YEARLY;UNTIL=20220501", "2022-05-01", "2023-05-01"),
        (
            "DTSTART;VALUE=DATE:20200501|RRULE:FREQ=YEARLY|EXDATE;VALUE=DATE:20220501,20230501",
            "2024-05-01",
            "2022-05-01 2023-05-01",
        ),
        ("DTSTART;VALUE=DATE:20200501|RDATE;VALUE=DATE:20200601", "2020-05-01 2020-06-01", "2020-07-01"),
        // Folded lines, a quoted colon, an alarm with properties of its own.
        ("DTSTART;X=\"a:b\";VALUE=DATE:2026\n 1225|BEGIN:VALARM|DURATION:PT1H|END:VALARM", "2026-12-25", "2026-12-26"),
    ] {
        let holidays = read(lines);
        for day in inside.split(' ') {
            assert!(holidays.contains(date(day)), "{day} of {lines}");
        }
        for day in outside.split(' ') {
            assert!(!holidays.contains(date(day)), "{day} of {lines}");
        }
    }
}

#[test]
fn a_day_that_was_moved_or_cancelled_is_none() {
    let moved = event("UID:1|DTSTART;VALUE=DATE:20200501|RRULE:FREQ=YEARLY")
        + &event("UID:1|RECURRENCE-ID;VALUE=DATE:20270501|DTSTART;VALUE=DATE:20270503")
        + &event("UID:2|STATUS:CANCELLED|DTSTART;VALUE=DATE:20271003");
    let (holidays, problems) = Holidays::parse(&calendar(&moved));
    assert_eq!(problems, []);
    let added = event("UID:3|DTSTART;VALUE=DATE:20270601|RDATE;VALUE=DATE:20270701,20270801")
        + &event("UID:3|RECURRENCE-ID;VALUE=DATE:20270701|DTSTART;VALUE=DATE:20270702")
        + &event("UID:3|RECURRENCE-ID;VALUE=DATE:20270801|DTSTART;VALUE=DATE:20270801|DURATION:P2D");
    let (added, problems) = Holidays::parse(&calendar(&added));
    assert_eq!(problems, []);
    let days = ["2027-06-01", "2027-07-01", "2027-07-02", "2027-08-01", "2027-08-02"];
    assert_eq!(days.map(|day| added.contains(date(day))), [true, false, true, true, true]);
    let days = ["2026-05-01", "2027-05-01", "2027-05-03", "2028-05-01", "2027-10-03"];
    assert_eq!(days.map(|day| holidays.contains(date(day))), [true, false, true, true, false]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let line_of = |text: &str, problem: &Problem| text[..problem.span.start].matches('\n').count() + 1;
    let head = 4; // The first line of an event's own.
    for (text, line, fatal, message) in [
        (String::new(), 1, true, "the file is empty"),
        ("<html>".to_owned(), 1, true, "this is no iCalendar file"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n".to_owned(), 3, true, "the file ends within `BEGIN:VEVENT`"),
        (calendar("END:VEVENT\n"), 3, true, "`END:VEVENT` ends nothing that is open"),
        (calendar(""), 1, false, "the calendar has no event of whole days"),
        (calendar(&event("SUMMARY:x")), 3, true, "the event has no DTSTART"),
        (calendar(&event("DTSTART:20261225T100000Z")), head + 1, false, "the event has a time of day and is left out"),
        (calendar(&event("DTSTART;VALUE=DATE:tomorrow")), head + 1, true, "`tomorrow` is no date"),
        (calendar(&event("DTSTART:20261225|EXDATE:20261225,soon")), head + 2, true, "`20261225,soon` is no date"),
        (calendar(&event("DTSTART:20261225|RDATE:soon")), head + 2, true, "`soon` is no date"),
        (calendar(&event("DTSTART:20261225|RECURRENCE-ID:soon")), head + 2, true, "`soon` is no date"),
        (
            calendar(&event("DTSTART:20261225|RDATE;VALUE=PERIOD:20261226T100000Z/PT1H")),
            head + 2,
            false,
            "the periods have a time of day and are left out",
        ),
        (
            calendar(&event("DTSTART:20261225|RRULE:FREQ=YEARLY|RRULE:FREQ=MONTHLY")),
            head + 3,
            true,
            "RRULE is not known beside another rule",
        ),
        (calendar(&event("DTSTART:20261225|EXRULE:FREQ=YEARLY")), head + 2, true, "EXRULE is not known"),
        (
            calendar(&event("DTSTART:20261225T100000Z|EXDATE:|RECURRENCE-ID;RANGE=THISANDFUTURE:20261225T100000Z")),
            head + 1,
            false,
            "the event has a time of day and is left out",
        ),
        (
            calendar(&event("DTSTART:20261225|STATUS:CANCELLED|RECURRENCE-ID;RANGE=THISANDFUTURE:20261225")),
            head + 3,
            true,
            "RANGE=THISANDFUTURE is not known",
        ),
        (
            calendar(&event("DTSTART:20261225|RECURRENCE-ID;RANGE=THISANDFUTURE:20261225")),
            head + 2,
            true,
            "RANGE=THISANDFUTURE is not known",
        ),
        (
            calendar(&event("DTSTART:20261225|RRULE:FREQ=YEARLY;UNTIL=20200101")),
            head + 2,
            false,
            "this rule never happens",
        ),
        (calendar(&event("DTSTART:20261225|DTEND:20261220")), head + 2, true, "`20261220` cannot be the length"),
        (calendar(&event("DTSTART:20261225|DTEND:20291225")), head + 2, true, "`20291225` cannot be the length"),
        (calendar(&event("DTSTART:20261225|DURATION:PT5H")), head + 2, true, "`PT5H` cannot be the length"),
        (
            calendar(&event("DTSTART:20261225|RRULE:FREQ=HOURLY")),
            head + 2,
            true,
            "`HOURLY` is no FREQ that is known here",
        ),
    ] {
        let (_, problems) = Holidays::parse(&text);
        let problem = problems.first().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((line_of(&text, problem), problem.fatal), (line, fatal), "{text}: {problem:?}");
        assert!(problem.message.starts_with(message), "{problem:?}");
    }
}

#[test]
fn a_file_that_is_too_large_or_cut_off_is_refused() {
    let many = event("DTSTART:20261225").repeat(EVENTS_MAX + 1);
    assert!(Holidays::parse(&calendar(&many)).1[0].message.contains("more than 10000 events"));
    let many = event("DTSTART:20261225|RRULE:FREQ=YEARLY").repeat(SERIES_MAX + 1);
    assert!(Holidays::parse(&calendar(&many)).1[0].message.contains("more than 500 events that come again"));
    let cut = format!("BEGIN:VCALENDAR\r\n{}BEGIN:VEVENT\r\n", event("DTSTART:20261225T100000Z").repeat(60));
    let problems = Holidays::parse(&cut).1;
    assert!(problems.last().unwrap().message.contains("the file ends within"), "a fatal end is told behind 60 doubts");
    assert_eq!((problems.len(), problems.iter().filter(|p| p.fatal).count()), (PROBLEMS_MAX + 1, 1));
    let periods = "|RDATE;VALUE=PERIOD:20261226T100000Z/PT1H".repeat(60);
    let problems = Holidays::parse(&calendar(&event(&format!("DTSTART:20261225{periods}|EXRULE:FREQ=YEARLY")))).1;
    assert!(problems.last().unwrap().fatal, "what makes an event useless is told behind 60 doubts about it");
    assert_eq!((problems.len(), problems.iter().filter(|p| p.fatal).count()), (PROBLEMS_MAX + 1, 1));
    let deep = "BEGIN:X\n".repeat(20);
    assert!(Holidays::parse(&calendar(&deep)).1[0].message.contains("nested too deeply"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_file_is_read_or_refused(text in "(BEGIN:|END:|VCALENDAR|VEVENT|DTSTART|DTEND|RRULE|:|;|2026|1225|\r\n| |FREQ=YEARLY|\\PC){0,40}") {
        let _ = Holidays::parse(&text);
        let _ = Holidays::parse(&calendar(&event(&text)));
    }
}
