//! Windows that come again: where they begin and end on days with and without a change of clocks, and what is refused.

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn text(starts: &str, duration: &str, zone: &str) -> RecurrenceText {
    let is_rule = starts.contains("FREQ");
    RecurrenceText {
        cron: (!is_rule).then(|| starts.to_owned()),
        rrule: is_rule.then(|| starts.to_owned()),
        dtstart: None,
        duration: duration.to_owned(),
        timezone: Some(zone.to_owned()),
    }
}

fn windows(starts: &str, duration: &str, zone: &str, begin: &str) -> Recurrence {
    Recurrence::new(text(starts, duration, zone), at(begin)).unwrap()
}

/// The first windows from an instant on, without seconds and dates of the year 2026.
fn seen(recurrence: &Recurrence, from: &str, count: usize) -> Vec<String> {
    let show = |at: Timestamp| at.to_string().trim_start_matches("2026-").replace(":00Z", "Z");
    std::iter::successors(recurrence.next(at(from)), |window| recurrence.next(window.ends_at))
        .take(count)
        .map(|window| format!("{} {}", show(window.starts_at), show(window.ends_at)))
        .collect()
}

#[test]
fn a_window_keeps_its_local_time_and_its_length_when_clocks_change() {
    // Berlin: on 2026-03-29 02:00 becomes 03:00, on 2026-10-25 03:00 becomes 02:00.
    for starts in ["FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=30", "0 30 2 * * Sun"] {
        let nights = windows(starts, "2h", "Europe/Berlin", "2026-01-01T00:00:00Z");
        assert_eq!(
            seen(&nights, "2026-03-16T00:00:00Z", 3),
            // The time that does not exist begins when the gap ends.
            ["03-22T01:30Z 03-22T03:30Z", "03-29T01:00Z 03-29T03:00Z", "04-05T00:30Z 04-05T02:30Z"],
            "{starts}"
        );
        assert_eq!(
            seen(&nights, "2026-10-19T00:00:00Z", 2),
            // The time that exists twice begins the first time.
            ["10-25T00:30Z 10-25T02:30Z", "11-01T01:30Z 11-01T03:30Z"],
            "{starts}"
        );
    }
}

#[test]
fn an_instant_lies_in_a_window_from_its_beginning_up_to_its_end() {
    let nights = windows("FREQ=DAILY", "2h", "America/New_York", "2026-11-27T03:00:00Z");
    assert_eq!(nights.text().dtstart.as_deref(), Some("2026-11-26T22:00:00"), "the beginning is a local time");
    for (instant, inside) in [
        ("2026-11-27T02:59:59.999Z", false),
        ("2026-11-27T03:00:00Z", true),
        ("2026-11-27T04:59:59.999Z", true),
        ("2026-11-27T05:00:00Z", false),
        ("2026-11-26T03:30:00Z", false),
        ("2027-07-01T02:30:00Z", true),
    ] {
        assert_eq!(nights.contains(at(instant)), inside, "{instant}");
        assert_eq!(nights.at(at(instant)).is_some(), inside, "{instant}");
    }
    let back: Recurrence = serde_json::from_str(&serde_json::to_string(&nights).unwrap()).unwrap();
    assert_eq!(back, nights);
}

#[test]
fn windows_that_touch_or_overlap_are_one() {
    let days = windows("FREQ=WEEKLY;BYDAY=SA,SU", "24h", "UTC", "2026-11-01T00:00:00Z");
    assert_eq!(seen(&days, "2026-11-02T00:00:00Z", 2), ["11-07T00:00Z 11-09T00:00Z", "11-14T00:00Z 11-16T00:00Z"]);
    assert_eq!(
        days.longest(at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")),
        Some(Duration::from_secs(48 * 3600))
    );
    let always = windows("0 * * * * *", "1h", "UTC", "2026-11-01T00:00:00Z");
    let from = at("2026-11-01T00:00:30Z");
    let (begin, end) = (at("2026-11-02T00:00:00Z"), at("2026-12-02T00:00:00Z"));
    assert_eq!(always.longest(begin, end), Some(end.since(begin)), "it has no end that could be found");
    let second = days.at(at("2026-11-08T12:00:00Z")).unwrap();
    assert_eq!(second.starts_at, at("2026-11-07T00:00:00Z"), "a window that is joined begins with its first");
    // What never ends is looked at for as far as that is cheap; the end is one that lies in the windows again.
    let window = always.at(from).unwrap();
    assert!(window.ends_at.since(window.starts_at) > Duration::from_secs(24 * 3600));
    assert!(always.contains(window.ends_at));
}

#[test]
fn a_rule_with_an_end_has_a_last_window() {
    let two = windows("FREQ=DAILY;COUNT=2", "1h", "UTC", "2026-11-27T22:00:00Z");
    assert_eq!(seen(&two, "2026-11-27T00:00:00Z", 5), ["11-27T22:00Z 11-27T23:00Z", "11-28T22:00Z 11-28T23:00Z"]);
    assert_eq!(two.over_at(), Some(at("2026-11-28T23:00:00Z")));
    assert_eq!(windows("FREQ=DAILY", "1h", "UTC", "2026-11-27T22:00:00Z").over_at(), None);
}

#[test]
fn wrong_windows_are_refused_with_what_is_wrong() {
    let good = text("FREQ=DAILY", "1h", "UTC");
    for (wrong, why) in [
        (RecurrenceText { rrule: None, ..good.clone() }, "a recurrence has either a `cron` or an `rrule`"),
        (
            RecurrenceText { cron: Some("@daily".into()), ..good.clone() },
            "a recurrence has either a `cron` or an `rrule`",
        ),
        (
            text("0 2 * * *", "1h", "UTC"),
            "cron expression has five fields, needs six (seconds come first: `0 0 2 * * *`)",
        ),
        (text("FREQ=DAILY", "1h", "Europe/Berln"), "unknown time zone `Europe/Berln` (did you mean `Europe/Berlin`?)"),
        (text("FREQ=DAILY;BYHOUR=x", "1h", "UTC"), "`x` cannot be read as BYHOUR (BYHOUR is a list of 0 to 23)"),
        (text("FREQ=DAILY", "long", "UTC"), "the length of its windows: "),
        (text("FREQ=DAILY", "30s", "UTC"), "a window lasts between a minute and 31 days, not 30s"),
        (text("FREQ=DAILY", "32d", "UTC"), "a window lasts between a minute and 31 days, not 32d"),
        (RecurrenceText { dtstart: Some("soon".into()), ..good.clone() }, "`soon` is no local time"),
        (
            RecurrenceText { dtstart: Some("2026-11-27T22:00:00Z".into()), ..good.clone() },
            "`2026-11-27T22:00:00Z` is no local time",
        ),
        (
            RecurrenceText { dtstart: Some("2026-11-27T22:00".into()), ..text("@daily", "1h", "UTC") },
            "`dtstart` belongs to an `rrule`",
        ),
    ] {
        let error = Recurrence::new(wrong.clone(), at("2026-11-27T22:00:00Z")).unwrap_err().to_string();
        assert!(error.starts_with(why), "{wrong:?}: {error}");
    }
}

#[test]
fn instants_beyond_the_calendar_lie_in_no_window_and_panic_nowhere() {
    for starts in ["FREQ=DAILY", "@daily"] {
        let windows = windows(starts, "1h", "Pacific/Kiritimati", "2026-11-27T22:00:00Z");
        for at in [i64::MIN, -8_334_601_228_800_000, 8_210_266_876_799_999, i64::MAX] {
            let at = Timestamp(at);
            assert_eq!((windows.contains(at), windows.at(at).is_some()), (false, false), "{starts} {at:?}");
            windows.next(at);
        }
        assert!(Recurrence::new(text("FREQ=DAILY", "1h", "Pacific/Kiritimati"), Timestamp(i64::MAX)).is_err());
        assert!(Recurrence::new(text("FREQ=DAILY", "1h", "Asia/Tokyo"), Timestamp(8_210_266_876_799_999)).is_err());
    }
}
