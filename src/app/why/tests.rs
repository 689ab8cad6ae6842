//! The story of a bench with one rule and one handler.

use serde_json::json;

use super::*;
use crate::app::own_metrics::OwnMetrics;
use crate::app::tests::bench::{Bench, Mood, START};
use crate::persist::{Commit, NewNotice};
use crate::received::Report;
use crate::telemetry::Registry;

fn why(bench: &Bench, text: &str, secs: i64) -> Story {
    bench.hub.outbox.settle(Duration::from_secs(20));
    bench.hub.outbox.flush();
    let question = Question::parse(text, Timestamp::from_secs(START + secs)).unwrap();
    let live = bench.hub.evaluations(&question.rule);
    tell(&bench.hub.keeper, live, &question).unwrap()
}

#[test]
fn a_question_is_a_name_with_labels_or_a_list_of_matchers() {
    let at = Timestamp(0);
    let named = Question::parse("HighCPU{host=\"a\"}", at).unwrap();
    assert_eq!((&*named.rule, named.matchers.len()), ("HighCPU", 1));
    assert_eq!(Question::parse("{alertname=\"HighCPU\", host=\"a\"}", at).unwrap(), named);
    assert_eq!(Question::parse("HighCPU", at).unwrap().matchers, vec![]);
    assert!(matches!(Question::parse("{host=\"a\"}", at), Err(WhyError::NoName(_))));
    assert!(matches!(Question::parse("HighCPU{host", at), Err(WhyError::Matcher(_))));
}

#[test]
fn what_never_fired_is_told_by_its_nearest_value() {
    let bench = Bench::new();
    [1.0, 4.0, 2.0].into_iter().for_each(|value| bench.tick(value));
    let story = why(&bench, "high{host=\"a\"}", 45);
    let answer = story.answer.expect("no alert");
    assert!(answer.contains("came nearest with 4 at") && answer.contains("`> 5`"), "{answer}");
    let story = why(&bench, "nothing{host=\"a\"}", 45);
    assert_eq!(story.answer.as_deref(), Some("the history knows no evaluation and no alert of \"nothing\" by then"));
}

#[test]
fn what_fired_is_told_with_who_was_told_and_what_was_given_up() {
    let bench = Bench::new();
    bench.tick(9.0);
    let story = why(&bench, "high", 15);
    let alert = &story.alerts[0];
    assert_eq!((alert.state, alert.handlers[0].knew), (Stood::Firing, Knew::Firing), "{story:#?}");
    assert!(alert.handlers[0].words.contains("answer \"taken\""), "{story:#?}");
    bench.tick(1.0);
    let story = why(&bench, "high", 30);
    assert_eq!((story.alerts[0].state, story.alerts[0].handlers[0].knew), (Stood::Inactive, Knew::Nothing));
    assert_eq!(why(&bench, "high", 15).alerts[0].state, Stood::Firing, "the past stays as it was");
    bench.mood(Mood::Refuses);
    bench.tick(9.0);
    let story = why(&bench, "high", 45);
    assert_eq!(story.alerts[0].handlers[0].knew, Knew::GivenUp, "{story:#?}");
    assert!(story.alerts[0].handlers[0].words.contains("no such channel"), "{story:#?}");
}

/// A row about the alert of `high` with a fingerprint; of the message `notice`, that was decided on at second 5.
fn row(secs: i64, kind: HistoryKind, fingerprint: u64, notice: &str) -> NewHistory {
    let detail = match kind {
        HistoryKind::Evaluated => json!({"from": at(secs - 10), "evaluations": 1}),
        HistoryKind::Transition => {
            json!({"value": "9", "condition": "> 5", "routes": [{"group": "g", "handlers": ["ear"]}]})
        }
        _ => json!({"decided_at": at(5), "transition": "fired", "attempt": 1}),
    };
    let reason = match kind {
        HistoryKind::Transition => "fired",
        HistoryKind::Evaluated => "empty",
        HistoryKind::Dropped => "removed by hand",
        HistoryKind::Retried => "tried again by hand",
        _ => "a reason",
    };
    let of_message = !matches!(kind, HistoryKind::Evaluated | HistoryKind::Transition);
    NewHistory {
        rule_uid: "high".to_owned(),
        rule: "high".to_owned(),
        fingerprint: (kind != HistoryKind::Evaluated).then_some(Fingerprint(fingerprint)),
        handler: of_message.then(|| "ear".to_owned()),
        notice_id: of_message.then(|| notice.to_owned()),
        reason: Some(reason.to_owned()),
        detail: Some(detail.to_string()),
        ..NewHistory::new(at(secs), kind)
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

fn story_of(history: Vec<NewHistory>, secs: i64) -> Story {
    let keeper = Keeper::in_memory(OwnMetrics::new(Arc::new(Registry::new())));
    keeper.persist().commit(&Commit { history, ..Commit::default() }).unwrap();
    tell(&keeper, Vec::new(), &Question::parse("high", at(secs)).unwrap()).unwrap()
}

/// What becomes of messages, and at some instants what the handler is told to have known, in words.
#[track_caller]
fn check_fate(messages: &[(i64, HistoryKind, &str)], want: &[(i64, Knew, &str)]) {
    for (secs, knew, words) in want {
        let told = messages.iter().map(|(secs, kind, notice)| row(*secs, *kind, 1, notice));
        let story = story_of([row(0, HistoryKind::Transition, 1, "")].into_iter().chain(told).collect(), *secs);
        let handler = &story.alerts[0].handlers[0];
        assert!(handler.knew == *knew && handler.words.contains(words), "{messages:?} at {secs}: {handler:?}");
    }
}

#[test]
fn what_became_of_a_message_is_told_as_it_was_at_the_instant() {
    use HistoryKind::{Dead, Dropped, Failed, Retried, Sent};
    let tried = (15, Knew::OnItsWay, "attempt 1 failed");
    let given_up = (15, Knew::GivenUp, "given up at");
    let removed = (25, Knew::Removed, "removed by hand at");
    check_fate(&[(10, Failed, "n"), (20, Dropped, "n")], &[(7, Knew::OnItsWay, "removed by hand"), removed]);
    check_fate(&[(10, Failed, "n"), (20, Failed, "n")], &[tried]);
    check_fate(&[(10, Failed, "n"), (20, Failed, "n"), (30, Sent, "n")], &[(15, Knew::OnItsWay, "told that it fires")]);
    check_fate(&[(10, Dead, "n"), (20, Dropped, "n")], &[given_up, removed]);
    let again = (25, Knew::OnItsWay, "tried again by hand at");
    check_fate(&[(10, Dead, "n"), (20, Retried, "n")], &[given_up, again]);
    let later = (25, Knew::OnItsWay, "told that it fires");
    check_fate(
        &[(10, Dead, "n"), (20, Retried, "n"), (30, Sent, "n")],
        &[given_up, later, (35, Knew::Firing, "told that it fires")],
    );
    check_fate(&[(10, Dead, "n"), (12, Dead, "m"), (20, Dropped, "n"), (21, Dropped, "m")], &[given_up, removed]);
    check_fate(&[(10, Dead, "n"), (30, Sent, "m")], &[(15, Knew::OnItsWay, "told that it fires")]);
}

#[test]
fn what_follows_next_is_found_where_much_more_follows() {
    let mut history = vec![row(0, HistoryKind::Transition, 1, ""), row(20, HistoryKind::Sent, 1, "n")];
    history.push(row(15, HistoryKind::Evaluated, 1, ""));
    history.extend((0..6000).map(|n| row(100 + n, HistoryKind::Transition, 2, "")));
    history.extend((0..6000).map(|n| row(100 + n, HistoryKind::Evaluated, 1, "")));
    let story = story_of(history, 10);
    assert_eq!(story.alerts[0].handlers[0].knew, Knew::OnItsWay, "{story:#?}");
    assert_eq!(story.evaluations.iter().map(|step| step.at).collect::<Vec<_>>(), [at(15)]);
    assert!(story.cut);
    let question = Question::parse("high", at(10)).unwrap();
    assert!(words::no_alert(&question, None, true).contains("more rows about \"high\" than can be looked at"));
}

#[test]
fn alerts_of_equal_labels_are_told_apart_by_their_rules() {
    let of = |uid: &str, secs| NewHistory { rule_uid: uid.to_owned(), ..row(secs, HistoryKind::Transition, 1, "") };
    let over = NewHistory { reason: Some("resolved".to_owned()), ..of("b/high", 3) };
    let story = story_of(vec![of("a/high", 1), of("b/high", 2), over], 10);
    let states: Vec<Stood> = story.alerts.iter().map(|alert| alert.state).collect();
    assert_eq!(states, [Stood::Firing, Stood::Inactive]);
}

#[test]
fn a_message_that_waits_behind_ten_thousand_others_is_on_its_way() {
    let bench = Bench::new();
    let other = |n: usize| NewNotice {
        id: format!("{n:05}"),
        handler: "other".to_owned(),
        group_key: String::new(),
        created: at(0),
        payload: String::new(),
    };
    let notices = (0..=persist::PAGE_ROWS_MAX).map(other).collect();
    bench.hub.keeper.persist().commit(&Commit { notices, ..Commit::default() }).unwrap();
    bench.mood(Mood::Hangs);
    bench.tick(9.0);
    let story = tell(&bench.hub.keeper, Vec::new(), &Question::parse("high", at(15)).unwrap()).unwrap();
    assert_eq!(story.alerts[0].handlers[0].knew, Knew::OnItsWay, "{story:#?}");
}

#[test]
fn an_alert_that_others_report_has_no_value_and_no_condition() {
    let bench = Bench::new();
    let report = Report { labels: vec![("alertname".into(), "disk".into())], ..Report::default() };
    bench.hub.receive(vec![report], Duration::from_secs(300)).unwrap();
    let story = why(&bench, "disk", 1);
    assert_eq!(story.alerts[0].answer, format!("it fired since {}; told to ear", at(0)));
    assert!(story.alerts[0].steps[0].words.starts_with("it fired; goes to ear"), "{story:#?}");
}
