//! Alerts that others report, through the hub: told, over, restored, and what a disk that cannot be written does.

use std::time::Duration;

use super::*;
use crate::app::keeper::{Keeper, Restored};
use crate::app::tests::bench::{Bench, START};
use crate::model::AlertState;

const TIMEOUT: Duration = Duration::from_secs(300);

fn report(name: &str, ends_in: Option<i64>, bench: &Bench) -> Report {
    Report {
        labels: vec![("alertname".into(), name.into())],
        ends_at: ends_in.map(|seconds| Timestamp::from_secs(bench.now() + seconds)),
        starts_at: Some(Timestamp::from_secs(bench.now() - 60)),
        ..Report::default()
    }
}

fn post(bench: &Bench, name: &str, ends_in: Option<i64>) {
    bench.hub.receive(vec![report(name, ends_in, bench)], TIMEOUT).unwrap();
}

#[test]
fn a_report_is_told_once_however_often_it_is_repeated_and_is_over_at_its_end() {
    let bench = Bench::new();
    post(&bench, "disk", Some(60));
    post(&bench, "disk", Some(60));
    assert_eq!(bench.told(), ["firing first notification"]);
    let core = bench.hub.core();
    let alert = core.router.believed(&RECEIVED.into()).next().unwrap().alert.clone();
    assert_eq!(core.routes.leaving(&alert), alert.labels, "it has its own installation's labels");
    assert_eq!(crate::app::views::active(&core).iter().filter(|a| a.state == AlertState::Firing).count(), 1);
    drop(core);
    assert_eq!(bench.hub.next_moment().map(|at| at.0 / 1000), Some(bench.now() + 15), "the rule's slot comes first");
    for _ in 0..3 {
        bench.tick(1.0);
    }
    assert_eq!(bench.told(), Vec::<String>::new());
    bench.tick(1.0);
    assert_eq!(bench.told(), ["resolved resolved"]);
}

#[test]
fn what_was_reported_is_there_after_a_kill_and_is_not_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::on_disk(dir.path(), START);
    post(&bench, "a", Some(600));
    post(&bench, "b", Some(60));
    assert_eq!(bench.told().len(), 2);
    drop(bench);
    let bench = Bench::on_disk(dir.path(), START + 20);
    post(&bench, "a", Some(600));
    assert_eq!(bench.told(), Vec::<String>::new(), "its source repeats it");
    // Resolved while the process was down: the source says so now.
    post(&bench, "a", Some(-5));
    assert_eq!(bench.told(), ["resolved resolved"]);
    for _ in 0..3 {
        bench.tick(1.0);
    }
    assert_eq!(bench.told(), Vec::<String>::new(), "b had a minute left when the process ended");
    bench.tick(1.0);
    assert_eq!(bench.told(), ["resolved resolved"]);
}

#[test]
fn what_is_lost_on_one_side_of_the_state_is_made_whole() {
    let before = Bench::new();
    post(&before, "a", Some(600));
    let core = before.hub.core();
    let (router, received) = (core.router.save(), core.received.iter().map(|(_, a)| a.clone()).collect::<Vec<_>>());
    let now = core.engine.last();
    drop(core);
    let over = |restored: Restored| Bench::over(|metrics| (Keeper::in_memory(metrics), restored), START + 30);
    // What routing knew is lost: the next report tells it anew.
    let mut restored = Restored::default();
    restored.received = received;
    restored.state.now = now;
    let bench = over(restored);
    assert_eq!(bench.hub.core().received.firing().count(), 0);
    post(&bench, "a", Some(600));
    assert_eq!(bench.told(), ["firing first notification"]);
    // The alert is lost: people were told, so it is over if nobody repeats it.
    let mut restored = Restored::default();
    restored.router = router;
    restored.state.now = now;
    let bench = over(restored);
    assert_eq!(bench.hub.core().received.firing().count(), 1);
    for _ in 0..19 {
        bench.tick(1.0);
    }
    assert_eq!(bench.told(), Vec::<String>::new());
    bench.tick(1.0);
    assert_eq!(bench.told(), ["resolved resolved"]);
}

#[test]
fn where_nothing_can_be_stored_it_is_told_all_the_same_and_the_answer_says_so() {
    let bench =
        Bench::over(|metrics| (Keeper::in_memory_because(metrics, "no space".to_owned()), Restored::default()), START);
    let error = bench.hub.receive(vec![report("a", None, &bench)], TIMEOUT).unwrap_err();
    assert_eq!(error.to_string(), "the alerts were taken and cannot be stored, a restart would forget them: no space");
    assert_eq!(bench.told(), ["firing first notification"]);
}

#[test]
fn wrong_reports_are_named_and_counted() {
    let bench = Bench::new();
    let span = Report { ends_at: Some(Timestamp(0)), ..report("span", None, &bench) };
    let reports = vec![report("good", None, &bench), Report::default(), span];
    let error = bench.hub.receive(reports, TIMEOUT).unwrap_err();
    let want = "alert 2 {}: at least one label pair required; \
                alert 3 {alertname=\"span\"}: start time must be before end time";
    assert_eq!(error.to_string(), want);
    assert_eq!(bench.told(), ["firing first notification"]);
    // As many as are kept fire already.
    let others = (0..crate::received::ALERTS_MAX).map(|n| report(&n.to_string(), None, &bench)).collect();
    bench.hub.core().received.take(others, TIMEOUT, Timestamp::from_secs(bench.now()));
    let dated = Report { ends_at: Some(Timestamp(0)), ..report("dated", None, &bench) };
    let error = bench.hub.receive(vec![report("new", None, &bench), dated], TIMEOUT).unwrap_err();
    let want = "alert 2 {alertname=\"dated\"}: start time must be before end time; 1 of 2 alerts were not taken: no room: \
                as many alerts as can be kept fire already";
    assert_eq!(error.to_string(), want);
    let many = vec![Report::default(); 30];
    assert!(bench.hub.receive(many, TIMEOUT).unwrap_err().to_string().ends_with("; and 10 more"));
    let error = bench.hub.receive(vec![Report::default(); REPORTS_MAX + 1], TIMEOUT).unwrap_err();
    assert_eq!(error.to_string(), "20001 alerts at once, at most 20000 are taken");
    let count =
        |result| bench.hub.metrics.registry().counter("alertd_received_alerts_total", &[("result", result)]).get();
    assert_eq!(["firing", "invalid", "full", "refused"].map(count), [1.0, 33.0, 1.0, 20_001.0]);
}
