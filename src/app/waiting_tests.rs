//! Notices that wait or were given up: tried again, removed, and kept where that cannot be stored.

use super::*;
use crate::app::tests::bench::{Bench, Mood, until};
use crate::persist::{HistoryKind, HistoryQuery};

/// A bench whose handler has given up one notice, and the id of that.
fn with_a_dead_letter() -> (Bench, String) {
    let bench = Bench::new();
    bench.mood(Mood::Refuses);
    bench.tick(9.0);
    let id = until(|| {
        let rows = bench.hub.rows(&OutboxQuery::default()).unwrap();
        rows.into_iter().find(|row| row.stored.state == OutboxState::Dead).map(|row| row.stored.id)
    });
    (bench, id)
}

fn happened(bench: &Bench, kind: HistoryKind) -> Vec<String> {
    let query = HistoryQuery { kinds: vec![kind], ..HistoryQuery::default() };
    let page = bench.hub.keeper.persist().history(&query).unwrap();
    page.rows.into_iter().map(|row| row.event.reason.unwrap_or_default()).collect()
}

fn dead(bench: &Bench) -> f64 {
    crate::app::measure::refresh(&bench.hub);
    bench.hub.metrics.registry().gauge("alertd_outbox_dead", &[("handler", "ear")]).get()
}

#[test]
fn a_dead_notice_is_shown_with_its_reason_and_delivered_when_it_is_tried_again() {
    for meant in [None, Some(Meant::Of("ear".into(), OutboxState::Dead))] {
        let (bench, id) = with_a_dead_letter();
        let row = &bench.hub.rows(&OutboxQuery::default()).unwrap()[0];
        let shown = shown(row, bench.hub.keeper.run(), crate::model::Timestamp::from_secs(bench.now()));
        assert_eq!((&shown["id"], &shown["state"]), (&json!(id), &json!("dead")));
        assert_eq!((&shown["alerts"], &shown["kind"]), (&json!(["high"]), &json!("firing")));
        assert_eq!(shown["last_error"], "waiting for the answer: no such channel");
        assert_eq!(dead(&bench), 1.0);
        bench.mood(Mood::Takes);
        let unknown = Meant::Ids(vec!["nowhere".into()]);
        assert_eq!(bench.hub.retry(&unknown).unwrap(), Vec::<String>::new());
        let meant = meant.unwrap_or_else(|| Meant::Ids(vec![id.clone(), "nowhere".into()]));
        assert_eq!(bench.hub.retry(&meant).unwrap(), [id]);
        assert_eq!(bench.told(), ["firing first notification"]);
        until(|| bench.hub.rows(&OutboxQuery::default()).unwrap().is_empty().then_some(()));
        assert_eq!(happened(&bench, HistoryKind::Retried), ["tried again by hand"]);
        assert_eq!(dead(&bench), 0.0);
        assert_eq!(bench.hub.retry(&meant).unwrap(), Vec::<String>::new(), "what was delivered is not sent again");
    }
}

#[test]
fn a_notice_that_is_tried_again_has_as_much_time_as_a_new_one() {
    let (bench, id) = with_a_dead_letter();
    bench.clock.set(crate::model::Timestamp::from_secs(bench.now() + 30 * 86_400));
    bench.mood(Mood::Hangs);
    assert_eq!(bench.hub.retry(&Meant::Ids(vec![id])).unwrap().len(), 1);
    let row = &bench.hub.rows(&OutboxQuery::default()).unwrap()[0];
    assert_eq!(row.entry.as_ref().unwrap().since_ms, bench.now() * 1000, "after a restart too");
}

#[test]
fn a_removed_notice_is_gone_and_the_history_says_that_it_was_never_delivered() {
    let (bench, id) = with_a_dead_letter();
    let done = bench.hub.drop_notices(&Meant::Ids(vec![id.clone()])).unwrap();
    assert_eq!(done, Dropped { dropped: vec![id.clone()], under_way: vec![] });
    assert_eq!(bench.hub.rows(&OutboxQuery::default()).unwrap().len(), 0);
    assert_eq!(happened(&bench, HistoryKind::Dropped), ["removed by hand"]);
    assert_eq!(dead(&bench), 0.0);
    assert_eq!(bench.hub.drop_notices(&Meant::Ids(vec![id])).unwrap(), Dropped::default());
    bench.mood(Mood::Takes);
    assert_eq!(bench.told(), Vec::<String>::new());
}

#[test]
fn a_notice_that_is_just_being_sent_stays_and_one_behind_it_can_be_removed() {
    let bench = Bench::new();
    bench.mood(Mood::Hangs);
    bench.tick(9.0);
    let under_way = || {
        let rows = bench.hub.rows(&OutboxQuery::default()).unwrap();
        rows.into_iter().find(|row| row.stored.claimed_by.is_some()).map(|row| row.stored.id)
    };
    let sending = until(under_way);
    bench.tick(1.0);
    let rows = bench.hub.rows(&OutboxQuery::default()).unwrap();
    assert_eq!(rows.len(), 2, "the resolve waits behind it");
    let done = bench.hub.drop_notices(&Meant::Of("ear".into(), OutboxState::Pending)).unwrap();
    assert_eq!(done, Dropped { dropped: vec![rows[1].stored.id.clone()], under_way: vec![sending] });
    assert_eq!(bench.hub.rows(&OutboxQuery::default()).unwrap().len(), 1);
}

#[test]
fn a_dead_notice_is_kept_for_months_and_not_for_ever() {
    let (bench, id) = with_a_dead_letter();
    let day = |n: i64| crate::model::Timestamp::from_secs(bench.now() + n * 86_400);
    bench.hub.clean_outbox(day(89));
    assert_eq!(dead(&bench), 1.0);
    bench.hub.clean_outbox(day(91));
    assert_eq!((dead(&bench), bench.hub.rows(&OutboxQuery::default()).unwrap().len()), (0.0, 0));
    assert_eq!(happened(&bench, HistoryKind::Dropped), ["it was given up too long ago"]);
    assert_eq!(bench.hub.retry(&Meant::Ids(vec![id])).unwrap(), Vec::<String>::new());
}

#[test]
fn too_many_or_none_is_refused() {
    let bench = Bench::new();
    let many = Meant::Ids(vec![String::new(); CHOSEN_MAX + 1]);
    assert!(matches!(bench.hub.retry(&many), Err(WaitingError::Many(_))));
    assert!(matches!(bench.hub.drop_notices(&Meant::Ids(vec![])), Err(WaitingError::Chosen)));
}
