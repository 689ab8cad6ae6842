//! The story of a bench with one rule and one handler.

use super::*;
use crate::app::tests::bench::{Bench, Mood, START};

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
