//! Silences by themselves: what is refused, what they cover, where they stand in time, how they are stored.

use super::*;
use crate::schedule::RecurrenceText;

fn matchers(text: &str) -> Vec<LabelMatcher> {
    LabelMatcher::parse_all(text).unwrap()
}

/// A silence from second 0 to second 10; sets of matchers stand behind each other with `|`.
fn silence(sets: &str) -> Silence {
    Silence {
        id: "1".into(),
        sets: sets.split('|').map(matchers).collect(),
        starts_at: Timestamp(0),
        ends_at: Timestamp::from_secs(10),
        recurrence: None,
        created_by: "a".into(),
        comment: "b".into(),
        annotations: BTreeMap::new(),
        updated_at: Timestamp(0),
        held: 0,
    }
}

fn check(silence: &Silence, rails: &Rails) -> String {
    silence.check(rails, Timestamp(0)).map_or_else(|error| error.to_string(), |()| "taken".to_owned())
}

#[test]
fn a_silence_that_would_hold_everything_is_refused() {
    let none = Rails::default();
    let now = |silence: &Silence, secs: i64| silence.check(&none, Timestamp::from_secs(secs));
    assert_eq!(now(&silence("a=~.*"), 0), Err(SilenceError::MatchesAll));
    assert_eq!(now(&silence("a=x|a!=y"), 0), Err(SilenceError::SetMatchesAll(2)));
    assert_eq!(now(&Silence { sets: vec![], ..silence("a=x") }, 0), Err(SilenceError::MatchesAll));
    assert_eq!(now(&silence("a=x"), 0), Ok(()));
    assert_eq!(now(&silence("a=x"), 10), Err(SilenceError::Span));
    assert_eq!(silence("a=x").state(Timestamp(9_999)), SilenceState::Active);
    assert_eq!(silence("a=x").state(Timestamp(10_000)), SilenceState::Expired);
    let unsigned = Silence { created_by: " ".into(), ..silence("a=x") };
    assert_eq!(now(&unsigned, 0), Err(SilenceError::Missing("an author")));
    let many = vec!["a=x"; SETS_MAX + 1].join("|");
    assert!(matches!(now(&silence(&many), 0), Err(SilenceError::Limit(_))));
    let annotations = (0..=ANNOTATIONS_MAX).map(|n| (n.to_string(), String::new())).collect();
    assert!(matches!(now(&Silence { annotations, ..silence("a=x") }, 0), Err(SilenceError::Limit(_))));
}

#[test]
fn one_set_must_fit_and_of_a_set_all_matchers() {
    let covers =
        |labels: &[(&str, &str)]| silence("a=1,b=2|c=~3.*").covers(&Labels::from_pairs(labels.iter().copied()));
    for (labels, covered) in [
        (&[("a", "1"), ("b", "2")][..], true),
        (&[("a", "1")], false),
        (&[("b", "2"), ("c", "33")], true),
        (&[("c", "4")], false),
    ] {
        assert_eq!(covers(labels), covered, "{labels:?}");
    }
}

#[test]
fn guard_rails_refuse_with_the_key_and_the_mend() {
    let hour = Some(Duration::from_secs(3600));
    let day = |silence: Silence| Silence { ends_at: Timestamp::from_secs(86_400), ..silence };
    let two = Rails { min_matchers: 2, ..Rails::default() };
    let short = Rails { max_duration: hour, ..Rails::default() };
    let ticket = Rails { comment_pattern: Some(regex::Regex::new("^OPS-[0-9]+").unwrap()), ..Rails::default() };
    for (silence, rails, told) in [
        (silence("a=1,b=2"), &two, "taken"),
        (
            silence("a=1"),
            &two,
            "a silence needs 2 matchers that leave something out, this one has 1 (silences.min_matchers); add matchers, \
             such as alertname=\"DiskFull\" and host=\"db1\"",
        ),
        (
            silence("a=1,b=2|a=1,b=~.*"),
            &two,
            "a silence needs 2 matchers that leave something out, this one has 1 (silences.min_matchers); add matchers, \
             such as alertname=\"DiskFull\" and host=\"db1\"",
        ),
        (silence("a=1"), &short, "taken"),
        (
            day(silence("a=1")),
            &short,
            "a silence may last 1h without a break, this one lasts 1d (silences.max_duration); end it within 1h; it can be \
             made anew",
        ),
        (day(recurring("FREQ=DAILY", "1h")), &short, "taken"),
        (
            day(recurring("FREQ=DAILY", "2h")),
            &short,
            "a silence may last 1h without a break, this one lasts 2h (silences.max_duration); end it within 1h; it can be \
             made anew",
        ),
        (
            day(recurring("FREQ=DAILY", "1h")),
            &Rails { max_recurring_duration: hour, ..Rails::default() },
            "a recurring silence may come again for 1h, this one does for 1d (silences.max_recurring_duration); end it \
             within 1h; it can be made anew",
        ),
        (
            silence("a=1"),
            &ticket,
            "the comment does not match ^OPS-[0-9]+ (silences.comment_pattern); write what it asks for, such as the number \
             of a ticket",
        ),
        (Silence { comment: "OPS-12 new disks".into(), ..silence("a=1") }, &ticket, "taken"),
    ] {
        assert_eq!(check(&silence, rails), told);
    }
}

fn recurring(rule: &str, duration: &str) -> Silence {
    let text = RecurrenceText { rrule: Some(rule.into()), duration: duration.into(), ..RecurrenceText::default() };
    let recurrence = Some(Recurrence::new(text, Timestamp::from_secs(7200)).unwrap());
    Silence { recurrence, ends_at: Timestamp::from_secs(3 * 86_400), ..silence("a=1") }
}

#[test]
fn a_recurring_silence_is_pending_and_active_as_its_windows_come_and_go() {
    let nightly = recurring("FREQ=DAILY", "1h");
    let at = |hours: i64| Timestamp::from_secs(hours * 3600);
    for (hour, state, window) in [
        (0, "pending", Some((2, 3))),
        (2, "active", Some((2, 3))),
        (3, "pending", Some((26, 27))),
        (26, "active", Some((26, 27))),
        (50, "active", Some((50, 51))),
        // The next one would begin behind the silence's end.
        (51, "pending", None),
        (72, "expired", None),
    ] {
        let found = nightly.window(at(hour)).map(|w| (w.starts_at.0 / 3_600_000, w.ends_at.0 / 3_600_000));
        assert_eq!((nightly.state(at(hour)).as_str(), found), (state, window), "hour {hour}");
    }
    let twice = recurring("FREQ=DAILY;COUNT=2", "1h");
    assert_eq!(twice.over_at(), at(27), "it is over with its last window");
    assert_eq!(twice.state(at(27)), SilenceState::Expired);
    assert_eq!(nightly.last_end(at(26)), None, "another window follows");
    assert_eq!(nightly.last_end(at(50)), Some(at(51)), "no other window begins before the end");
    let ended = Silence { ends_at: Timestamp(2 * 3_600_000 + 1_800_000), ..nightly.clone() };
    assert_eq!(ended.window(at(2)).map(|w| w.ends_at), Some(ended.ends_at));
    assert_eq!(ended.window(ended.ends_at), None, "one that ended within a window has none");
    let never = Silence { starts_at: at(3), ends_at: at(20), ..recurring("FREQ=DAILY", "1h") };
    assert_eq!(never.check(&Rails::default(), at(3)), Err(SilenceError::NoWindow));
    let cut = Silence { starts_at: Timestamp(9_000_000), ..nightly };
    assert_eq!(
        cut.window(at(0)).unwrap().starts_at,
        Timestamp(9_000_000),
        "a window begins no earlier than its silence"
    );
}

#[test]
fn what_covers_for_the_longest_from_now_on_counts() {
    let nightly = Silence { id: "nightly".into(), ..recurring("FREQ=DAILY", "1h") };
    let plain = Silence { id: "plain".into(), ends_at: Timestamp::from_secs(10_000), ..silence("a=1") };
    let mut silences = Silences::new([nightly, plain]);
    let covering = |silences: &Silences, secs: i64| {
        let labels = Labels::from_pairs([("a", "1")]);
        let found = silences.covering(&labels, Timestamp::from_secs(secs));
        found.map(|(silence, until)| (silence.id.clone(), until.0 / 1000))
    };
    assert_eq!(covering(&silences, 100), Some(("plain".into(), 10_000)));
    assert_eq!(
        covering(&silences, 7300),
        Some(("nightly".into(), 10_800)),
        "until its window ends, not for three days"
    );
    assert_eq!(covering(&silences, 10_800), None);
    let changed = silences.count_held(["nightly".to_owned(), "gone".to_owned(), "nightly".to_owned()]);
    assert_eq!(changed.iter().map(|s| (s.id.as_str(), s.held)).collect::<Vec<_>>(), [("nightly", 2)]);
    assert_eq!(silences.get("nightly").map(|s| s.held), Some(2));
}

#[test]
fn a_clock_that_is_set_back_takes_no_silence_out_of_force_that_was_just_made_and_brings_none_back_that_was_ended() {
    // Set back to second 40, where the slot of second 35 is judged first: from when, to when, changed when; from when and
    // to when after that.
    for (case, (starts, ends, changed), after) in [
        ("made before that time", (10, 200, 10), (10, 200)),
        ("made and planned before that time", (60, 200, 10), (60, 200)),
        ("made in that time, from then on", (70, 200, 70), (35, 200)),
        ("made in that time, for later", (150, 200, 70), (150, 200)),
        ("prolonged in that time", (10, 200, 70), (10, 200)),
        ("ended in that time", (10, 70, 70), (10, 35)),
        ("ended in that time, before its beginning", (80, 80, 80), (35, 35)),
    ] {
        let at = Timestamp::from_secs;
        let one = Silence { starts_at: at(starts), ends_at: at(ends), updated_at: at(changed), ..silence("a=x") };
        let mut silences = Silences::new([one]);
        let moved = silences.set_back(at(40), at(35));
        let one = silences.get("1").unwrap();
        assert_eq!((one.starts_at, one.ends_at), (at(after.0), at(after.1)), "{case}");
        assert_eq!(moved.len(), usize::from((starts, ends) != after), "{case}");
    }
}

#[test]
fn a_silence_is_stored_and_read_back_and_so_is_one_of_before() {
    let full = Silence {
        sets: vec![matchers("a=1"), matchers("b=~2,c!=3")],
        annotations: BTreeMap::from([("ticket".to_owned(), "OPS-1".to_owned())]),
        held: 7,
        ..recurring("FREQ=WEEKLY;BYDAY=SA", "2h")
    };
    for silence in [full, silence("a=1")] {
        let text = serde_json::to_string(&silence).unwrap();
        assert_eq!(serde_json::from_str::<Silence>(&text).unwrap(), silence, "{text}");
    }
    let before = r#"{"id":"1","matchers":[{"name":"a","op":"=","value":"1"}],"starts_at":"1970-01-01T00:00:00Z",
        "ends_at":"1970-01-01T00:00:10Z","created_by":"a","comment":"b","updated_at":"1970-01-01T00:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Silence>(before).unwrap(), silence("a=1"));
}
