//! What a course of reports does to one alert, told as a list; limits; what a restart and a clock that jumps change.

use proptest::prelude::*;

use super::report::{ALERT_BYTES_MAX, LABELS_MAX};
use super::*;

const MINUTES: i64 = 60_000;
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

fn at(minutes: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + minutes * MINUTES)
}

fn report(name: &str, starts: Option<i64>, ends: Option<i64>) -> Report {
    Report {
        labels: vec![("alertname".into(), name.into()), ("empty".into(), String::new())],
        annotations: vec![("summary".into(), format!("{starts:?} {ends:?}"))],
        starts_at: starts.map(at),
        ends_at: ends.map(at),
        generator_url: "http://me:pw@prom.example:9090/graph?g0.expr=up".into(),
    }
}

fn refused(taken: &Taken) -> Vec<(usize, ReportError)> {
    taken.refused.iter().map(|refused| (refused.place, refused.error.clone())).collect()
}

/// What a report or the time at a minute does: `fired`, `recovered`, `expired`, in words with start and end.
fn told(transitions: &[Transition]) -> Vec<String> {
    let minute = |t: Timestamp| (t.0 - at(0).0) / MINUTES;
    let one = |t: &Transition| match t.kind {
        TransitionKind::Fired => format!("fired {}", minute(t.alert.active_at)),
        TransitionKind::Resolved { reason } => {
            let (since, until) = (minute(t.alert.active_at), t.alert.resolved_at.map(minute).unwrap_or_default());
            format!("{} {since}..{until}", reason.as_str())
        }
        kind => kind.as_str().to_owned(),
    };
    transitions.iter().map(one).collect()
}

/// One report at a minute: its start and end.
type Step = (i64, Option<i64>, Option<i64>);

#[track_caller]
fn check(steps: &[Step], want: &[(i64, &str)]) {
    let mut received = Received::default();
    let mut got = Vec::new();
    let last = steps.iter().map(|step| step.0).max().unwrap_or(0) + 60;
    for minute in 0..=last {
        let mut note = |transitions: &[Transition]| got.extend(told(transitions).into_iter().map(|t| (minute, t)));
        note(&received.expire(at(minute)));
        for (_, starts, ends) in steps.iter().filter(|step| step.0 == minute) {
            let taken = received.take(vec![report("a", *starts, *ends)], TIMEOUT, at(minute));
            assert_eq!(refused(&taken), []);
            note(&taken.transitions);
        }
    }
    let want: Vec<(i64, String)> = want.iter().map(|(minute, text)| (*minute, (*text).to_owned())).collect();
    assert_eq!(got, want, "{steps:?}");
    assert_eq!((received.size(), received.next()), ((0, 0), None), "nothing stays for ever");
}

#[test]
fn reports_are_joined_as_alertmanager_joins_them() {
    // Without an end it is over after the timeout, counted from the last report.
    check(&[(0, None, None)], &[(0, "fired 0"), (5, "expired 0..5")]);
    check(&[(0, None, None), (3, None, None)], &[(0, "fired 0"), (8, "expired 0..8")]);
    // A Prometheus gives an end, and repeats.
    check(&[(0, Some(-2), Some(4)), (1, Some(-2), Some(5))], &[(0, "fired -2"), (5, "expired -2..5")]);
    check(&[(0, Some(0), Some(4)), (2, Some(0), Some(2))], &[(0, "fired 0"), (2, "recovered 0..2")]);
    // Repeated ends are no news, and one that nobody was told of is none either.
    check(
        &[(0, Some(0), Some(4)), (2, Some(0), Some(2)), (3, Some(0), Some(2))],
        &[(0, "fired 0"), (2, "recovered 0..2")],
    );
    check(&[(5, Some(0), Some(2))], &[]);
    // An end alone is the start as well.
    check(&[(5, None, Some(5))], &[]);
    check(&[(5, None, Some(9))], &[(5, "fired 9"), (9, "expired 9..9")]);
    // Of two sources the earlier start counts, and the later end that was given; a timeout gives way to it.
    check(&[(0, Some(-9), Some(6)), (1, Some(-3), Some(3))], &[(0, "fired -9"), (6, "expired -9..6")]);
    check(&[(0, Some(-9), None), (1, Some(-3), Some(3))], &[(0, "fired -9"), (3, "expired -9..3")]);
    check(&[(0, Some(0), Some(9)), (1, Some(0), None)], &[(0, "fired 0"), (9, "expired 0..9")]);
    // It fires anew.
    check(
        &[(0, Some(0), Some(4)), (2, Some(0), Some(2)), (6, Some(6), Some(8))],
        &[(0, "fired 0"), (2, "recovered 0..2"), (6, "fired 6"), (8, "expired 6..8")],
    );
    // At once after its end, which no expiry noticed yet.
    check(
        &[(0, Some(0), Some(3)), (3, Some(3), Some(6))],
        &[(0, "fired 0"), (3, "expired 0..3"), (3, "fired 3"), (6, "expired 3..6")],
    );
}

#[test]
fn one_that_is_repeated_as_it_ends_goes_on() {
    let mut received = Received::default();
    received.take(vec![report("a", None, Some(3)), report("b", None, Some(3))], TIMEOUT, at(0));
    let taken = received.take(vec![report("a", Some(0), Some(7))], TIMEOUT, at(3));
    assert_eq!(told(&taken.transitions), Vec::<String>::new(), "a report says nothing of other alerts");
    assert_eq!(told(&received.expire(at(3))), ["expired 3..3"], "b, which nobody repeated");
    assert_eq!(received.firing().count(), 1);
}

#[test]
fn what_is_wrong_is_refused_and_the_rest_is_taken() {
    let wide =
        |n: usize| Report { labels: (0..n).map(|i| (format!("l{i}"), "v".into())).collect(), ..Report::default() };
    let long = Report { annotations: vec![("a".into(), "x".repeat(ALERT_BYTES_MAX))], ..report("long", None, None) };
    let unnamed = Report { annotations: vec![(String::new(), "x".into())], ..report("unnamed", None, None) };
    let mut received = Received::default();
    let reports = vec![
        report("good", None, None),
        Report { labels: vec![("a".into(), String::new())], ..Report::default() },
        report("span", Some(3), Some(2)),
        wide(LABELS_MAX + 1),
        long,
        unnamed,
        wide(LABELS_MAX),
    ];
    let bytes =
        "long".len() + 2 * "alertname".len() - "alertname".len() + 1 + ALERT_BYTES_MAX + reports[0].generator_url.len();
    let taken = received.take(reports, TIMEOUT, at(0));
    let want = vec![
        (1, ReportError::NoLabels),
        (2, ReportError::Span),
        (3, ReportError::Many(LABELS_MAX + 1)),
        (4, ReportError::Long(bytes)),
        (5, ReportError::NoName),
    ];
    assert_eq!((refused(&taken), taken.firing), (want, 2));
    assert_eq!(taken.refused[1].name.as_deref(), Some("{alertname=\"span\"}"));
    let many = received.take(vec![Report::default(); NAMED_MAX + 1], TIMEOUT, at(0)).refused;
    assert_eq!(many.iter().filter(|refused| refused.name.is_some()).count(), NAMED_MAX);
    assert_eq!(told(&taken.transitions), ["fired 0", "fired 0"]);
}

#[test]
fn an_alert_is_shown_with_its_sources_words_and_without_secrets() {
    let mut received = Received::default();
    let taken = received.take(vec![report("a", Some(-2), None)], TIMEOUT, at(0));
    let alert = &taken.transitions[0].alert;
    assert_eq!(alert.labels, Labels::from_pairs([("alertname", "a")]), "empty labels are dropped");
    assert_eq!((alert.origin.to_string(), alert.is_received()), ("of prom.example:9090".to_owned(), true));
    assert_eq!(alert.generator_url.as_deref(), Some("http://me:pw@prom.example:9090/graph?g0.expr=up"));
    let severities = ["critical", "error", "page", ""].map(|severity| {
        let labels = vec![("severity".to_owned(), severity.to_owned()), ("a".to_owned(), "b".to_owned())];
        let taken = received.take(vec![Report { labels, ..Report::default() }], TIMEOUT, at(0));
        let alert = &taken.transitions[0].alert;
        (alert.severity, alert.rule.to_string(), alert.origin.to_string())
    });
    let of = |severity| (severity, "unnamed".to_owned(), "of another program".to_owned());
    assert_eq!(severities, [Severity::Critical, Severity::Error, Severity::Critical, Severity::Warning].map(of));
}

#[test]
fn alerts_that_are_over_make_room_and_those_that_fire_stay() {
    let name = |n: usize| format!("a{n}");
    let mut received = Received::default();
    let all: Vec<Report> = (0..=ALERTS_MAX).map(|n| report(&name(n), None, Some(9))).collect();
    let taken = received.take(all.clone(), TIMEOUT, at(0));
    assert_eq!(refused(&taken), vec![(ALERTS_MAX, ReportError::Full)]);
    assert_eq!((taken.firing, received.size().0), (ALERTS_MAX, ALERTS_MAX));
    // One that fires already is repeated all the same.
    assert_eq!(received.take(all[..1].to_vec(), TIMEOUT, at(1)).refused, []);
    for n in [5, 6, 7] {
        let over = received.take(vec![report(&name(n), None, Some(2))], TIMEOUT, at(2));
        assert_eq!(told(&over.transitions), ["recovered 2..2"]);
    }
    // One gives way to one.
    let taken = received.take(all[ALERTS_MAX..].to_vec(), TIMEOUT, at(3));
    assert_eq!((told(&taken.transitions), refused(&taken)), (vec!["fired 9".to_owned()], vec![]));
    assert_eq!((received.over.len(), received.size().0), (2, ALERTS_MAX));
    let taken = received.take([&all[5..8], &[report("new", None, None)]].concat(), TIMEOUT, at(3));
    let full = vec![(2, ReportError::Full), (3, ReportError::Full)];
    assert_eq!((taken.firing, refused(&taken)), (2, full), "two places were left, for whom ever");
    assert!(received.over.is_empty());
}

#[test]
fn one_that_fires_goes_on_where_there_is_no_room_for_its_longer_words() {
    let long = |name: &str, bytes: usize| {
        let short = report(name, None, None);
        let others = "alertname".len() + name.len() + "text".len() + short.generator_url.len();
        Report { annotations: vec![("text".into(), "x".repeat(bytes - others))], ..short }
    };
    let mut received = Received::default();
    // What is kept of each is a little more than what counts at its report.
    let all = (0..BYTES_MAX / ALERT_BYTES_MAX).map(|n| long(&n.to_string(), ALERT_BYTES_MAX - 20));
    assert_eq!(received.take(all.collect(), TIMEOUT, at(0)).refused, []);
    let room = BYTES_MAX - received.size().1;
    let taken = received.take(vec![long("last", room - 300), long("new", 400)], TIMEOUT, at(0));
    assert_eq!(refused(&taken), vec![(1, ReportError::Full)]);
    let last = |received: &Received| {
        let last = received.firing().find(|alert| alert.labels.get("alertname") == Some("last"));
        last.map(|alert| (alert.ends_at, alert.annotations.get("text").map_or(0, str::len))).unwrap()
    };
    let words = last(&received).1;
    let taken = received.take(vec![long("last", room + 1)], TIMEOUT, at(3));
    assert_eq!((refused(&taken), taken.firing), (vec![], 1));
    assert_eq!(last(&received), (at(8), words), "its new end, its old words");
    received.take(vec![long("last", room - 200)], TIMEOUT, at(4));
    assert_eq!(last(&received), (at(9), words + 100));
}

#[test]
fn time_in_which_nobody_could_report_is_given_anew() {
    let ends = |down_from: Option<i64>, down_to: i64, end: i64| -> i64 {
        let mut received = Received::default();
        received.take(vec![report("a", None, Some(end))], TIMEOUT, at(0));
        let stored: Vec<ReceivedAlert> = received.iter().map(|(_, alert)| alert.clone()).collect();
        let text = serde_json::to_string(&stored).unwrap();
        let mut received = Received::restore(serde_json::from_str::<Vec<ReceivedAlert>>(&text).unwrap());
        assert!(received.take_dirty().is_empty());
        received.spare(down_from.map(at), at(down_to));
        let spared = received.firing().any(|alert| alert.over_at() != at(end));
        assert_eq!(received.take_dirty().len(), usize::from(spared), "what changed is stored");
        (down_to..).find(|minute| !received.expire(at(*minute)).is_empty()).unwrap()
    };
    assert_eq!(ends(Some(1), 2, 60), 60, "long before its end nothing changes");
    assert_eq!(ends(Some(1), 2, 4), 5, "three minutes were left");
    assert_eq!(ends(Some(1), 600, 4), 603, "also after a long time");
    assert_eq!(ends(Some(1), 600, 300), 605, "but no more than five minutes");
    assert_eq!(ends(Some(4), 600, 3), 600, "its end had come before");
    assert_eq!(ends(None, 600, 4), 604, "where that is not known, as much as at the report");
}

#[test]
fn time_that_was_given_anew_outlives_another_restart() {
    let again = |received: &Received| {
        let stored: Vec<ReceivedAlert> = received.iter().map(|(_, alert)| alert.clone()).collect();
        Received::restore(serde_json::from_str::<Vec<ReceivedAlert>>(&serde_json::to_string(&stored).unwrap()).unwrap())
    };
    let mut received = Received::default();
    received.take(vec![report("a", None, Some(4))], TIMEOUT, at(0));
    let mut received = again(&received);
    received.spare(Some(at(1)), at(60));
    let mut received = again(&received);
    received.spare(Some(at(61)), at(62));
    assert_eq!(told(&received.expire(at(63))), Vec::<String>::new());
    assert_eq!(told(&received.expire(at(64))), ["expired 4..4"], "two of its three minutes were left");
}

#[test]
fn ends_that_were_counted_on_a_clock_that_is_set_back_go_back_with_it() {
    let mut received = Received::default();
    received.take(vec![report("ours", Some(90), None), report("theirs", Some(90), Some(105))], TIMEOUT, at(100));
    received.take(vec![report("over", Some(90), Some(102))], TIMEOUT, at(101));
    received.take(vec![report("over", Some(90), Some(101))], TIMEOUT, at(101));
    received.take_dirty();
    received.spare(Some(at(101)), at(41));
    assert_eq!(received.take_dirty().len(), 3);
    assert_eq!(told(&received.expire(at(44))), Vec::<String>::new());
    assert_eq!(told(&received.expire(at(45))), ["expired 45..45"]);
    assert_eq!(received.next(), Some(at(41 + 15)), "one that is over is kept as long as ever");
    assert_eq!(told(&received.expire(at(105))), ["expired 90..105"], "what its source said stays");
}

#[test]
fn what_one_side_of_the_state_lost_is_made_whole() {
    let mut received = Received::default();
    let taken = received.take(vec![report("a", None, None)], TIMEOUT, at(0));
    let fingerprint = taken.transitions[0].alert.fingerprint;
    received.keep_known(|known| known == fingerprint);
    assert_eq!(received.size().0, 1);
    received.keep_known(|_| false);
    assert_eq!(received.size(), (0, 0));
    received.adopt(&taken.transitions[0], TIMEOUT, at(10));
    assert_eq!(told(&received.expire(at(14))), Vec::<String>::new());
    let over = received.expire(at(15));
    assert_eq!(told(&over), ["expired 0..15"]);
    assert!(over[0].sequence > taken.transitions[0].sequence);
}

proptest! {
    #[test]
    fn whatever_is_reported_fired_and_over_take_turns_and_what_is_kept_adds_up(
        steps in prop::collection::vec((0i64..4, 0u8..3, prop::option::of(-9i64..9), prop::option::of(-9i64..9)), 0..60),
    ) {
        let mut received = Received::default();
        let mut now = 0;
        let (mut fires, mut last) = (BTreeSet::new(), BTreeMap::new());
        for (later, name, starts, ends) in steps {
            now += later;
            let report = report(&name.to_string(), starts.map(|m| now + m), ends.map(|m| now + m));
            let mut changed = received.take(vec![report], TIMEOUT, at(now)).transitions;
            changed.extend(received.expire(at(now)));
            for t in &changed {
                let fingerprint = t.alert.fingerprint;
                let changed = if t.kind == TransitionKind::Fired { fires.insert(fingerprint) } else { fires.remove(&fingerprint) };
                prop_assert!(changed, "{t:?}");
                let before = last.insert(fingerprint, t.sequence).unwrap_or(0);
                prop_assert!(t.sequence > before);
            }
            prop_assert_eq!(received.firing().count(), fires.len());
            prop_assert!(received.firing().all(|alert| alert.ends_at > at(now)));
            let bytes: usize = received.iter().map(|(_, alert)| alert.bytes()).sum();
            prop_assert_eq!(received.size().1, bytes);
            let due: BTreeSet<_> = received.iter().map(|(f, alert)| (alert.due(), f)).collect();
            prop_assert_eq!(&received.due, &due);
            let over: BTreeSet<_> = received.iter().filter(|(_, alert)| !alert.firing).map(|(f, alert)| (alert.due(), f)).collect();
            prop_assert_eq!(&received.over, &over);
        }
    }
}
