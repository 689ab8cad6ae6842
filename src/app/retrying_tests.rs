//! Notices that are tried again, and what is told behind them.

use super::*;
use crate::app::tests::bench::{Bench, Mood, until};
use crate::persist::OutboxQuery;

/// A bench whose handler gave up that the alert fires.
fn given_up() -> Bench {
    let bench = Bench::new();
    bench.mood(Mood::Refuses);
    bench.tick(9.0);
    dead(&bench, 1);
    bench.mood(Mood::Takes);
    bench
}

/// Waits for so many notices that were given up; their ids.
fn dead(bench: &Bench, count: usize) -> Vec<String> {
    until(|| {
        let rows = bench.hub.rows(&OutboxQuery::default()).unwrap();
        let dead = rows.into_iter().filter(|row| row.stored.state == OutboxState::Dead).map(|row| row.stored.id);
        Some(dead.collect::<Vec<_>>()).filter(|ids| ids.len() == count)
    })
}

fn retry(bench: &Bench) -> usize {
    bench.hub.retry(&Meant::Of("ear".into(), OutboxState::Dead)).unwrap().len()
}

#[test]
fn what_came_of_a_message_that_is_tried_again_is_told_behind_it() {
    let bench = given_up();
    assert_eq!(retry(&bench), 1);
    assert_eq!(bench.told(), ["firing first notification"], "it fires still: nothing came of it");
    bench.tick(1.0);
    assert_eq!(bench.told(), ["resolved resolved"]);

    let bench = given_up();
    bench.tick(1.0);
    assert_eq!(bench.told(), ["resolved resolved"], "whether its beginning came nobody knows");
    assert_eq!(retry(&bench), 1);
    assert_eq!(bench.told(), ["firing first notification", "resolved resolved"]);

    let bench = given_up();
    bench.mood(Mood::Refuses);
    bench.tick(1.0);
    dead(&bench, 2);
    bench.mood(Mood::Takes);
    assert_eq!(retry(&bench), 2);
    assert_eq!(bench.told(), ["firing first notification", "resolved resolved"], "its own end comes behind it");
    bench.tick(9.0);
    assert_eq!(bench.told(), ["firing first notification"]);
}

#[test]
fn an_end_that_comes_late_is_not_the_last_word_of_what_fires() {
    let bench = given_up();
    bench.mood(Mood::Refuses);
    bench.tick(1.0);
    let ids = dead(&bench, 2);
    bench.mood(Mood::Takes);
    bench.tick(9.0);
    assert_eq!(bench.told(), ["firing first notification"]);
    assert_eq!(bench.hub.retry(&Meant::Ids(vec![ids[1].clone()])).unwrap().len(), 1);
    assert_eq!(bench.told(), ["resolved resolved", "firing first notification"]);
}

#[test]
fn when_and_why_it_ended_is_taken_from_the_history() {
    let bench = given_up();
    bench.tick(1.0);
    let ended = bench.now();
    bench.told();
    bench.clock.set(Timestamp::from_secs(ended + 3600));
    let rows = bench.hub.meant(&Meant::Of("ear".into(), OutboxState::Dead), None).unwrap();
    let ends: Vec<(Timestamp, ResolveReason)> = bench.hub.ends_of(&rows).into_values().collect();
    assert_eq!(ends, [(Timestamp::from_secs(ended), ResolveReason::Recovered)]);
}
