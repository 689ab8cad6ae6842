//! What is kept while the disk takes nothing, and what is there once it does again.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::app::outbox::{Instead, Ledger, Settled, Settlement};
use crate::engine::EngineOptions;
use crate::model::{
    Alert, AlertState, GroupRef, Labels, NoticeKind, NoticeReason, Origin, ResolveReason, Severity, TransitionKind,
};
use crate::notify::{Failure, FailureClass, Phase};
use crate::persist::*;
use crate::route::Routes;
use crate::telemetry::Registry;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A store in memory whose disk can be full.
#[derive(Default)]
struct Disk {
    store: MemoryPersist,
    full: AtomicBool,
}

impl Disk {
    fn check(&self) -> Result<(), PersistError> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(PersistError::Full { path: "state.db".into() }),
            false => Ok(()),
        }
    }
}

impl Persist for Disk {
    fn load(&self) -> Result<Loaded, PersistError> {
        self.store.load()
    }
    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError> {
        self.check().and_then(|()| self.store.commit(commit))
    }
    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError> {
        self.check().and_then(|()| self.store.rewrite(everything))
    }
    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError> {
        self.check().and_then(|()| self.store.claim(ids, run))
    }
    fn settle(&self, settled: &[crate::persist::Settled], durable: bool) -> Result<usize, PersistError> {
        self.check().and_then(|()| self.store.settle(settled, durable))
    }
    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError> {
        self.store.outbox(query)
    }
    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        self.check().and_then(|()| self.store.retry(which, at))
    }
    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError> {
        self.check().and_then(|()| self.store.discard(ids, history))
    }
    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError> {
        self.check().and_then(|()| self.store.clean_outbox(older_than, now))
    }
    fn move_history(&self, now: Timestamp) -> Result<Moved, PersistError> {
        self.store.move_history(now)
    }
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError> {
        self.store.history(query)
    }
    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        self.store.clean_history(older_than, rows_max)
    }
    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        self.store.forget_evaluations(older_than)
    }
    fn upkeep(&self, now: Timestamp) -> Upkeep {
        self.store.upkeep(now)
    }
    fn stats(&self) -> Stats {
        self.store.stats()
    }
}

fn notice(id: &str, kind: NoticeKind) -> Arc<Notice> {
    let labels = Labels::from_pairs([("alertname", "high")]);
    let alert = Alert {
        rule_uid: "high".into(),
        rule: "high".into(),
        origin: Origin { file: "r.yaml".into(), line: 1 },
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::empty(),
        state: AlertState::Firing,
        severity: Severity::Warning,
        value: 1.0,
        peak: 1.0,
        condition: "> 0".into(),
        limit: None,
        active_at: NOW,
        fired_at: Some(NOW),
        resolved_at: None,
        no_data_since: None,
        flapping: None,
        notify: Vec::new(),
        generator_url: None,
    };
    let happened = match kind {
        NoticeKind::Resolved => TransitionKind::Resolved { reason: ResolveReason::Recovered },
        _ => TransitionKind::Fired,
    };
    let transition = Transition { at: NOW, sequence: 1, kind: happened, alert, trend: Vec::new(), link: None };
    Arc::new(Notice {
        id: id.to_owned(),
        handler: "mail".into(),
        kind,
        reason: NoticeReason::First,
        at: NOW,
        group: GroupRef::new("g", Labels::empty()),
        note: None,
        held_over: Vec::new(),
        transitions: vec![Arc::new(transition)],
    })
}

fn firing(id: &str) -> Entry {
    Entry::new(notice(id, NoticeKind::Firing), 0)
}

fn failure(maybe_taken: bool) -> Failure {
    let (class, phase) = (FailureClass::ServerError, Phase::Answer);
    Failure { class, phase, message: "500".into(), maybe_taken }
}

/// A keeper over such a disk, and the core that it keeps.
struct Desk {
    disk: Arc<Disk>,
    keeper: Arc<Keeper>,
    fallbacks: Fallbacks,
    registry: Arc<Registry>,
}

impl Desk {
    fn new() -> Self {
        let (disk, registry) = (Arc::new(Disk::default()), Arc::new(Registry::new()));
        let metrics = OwnMetrics::new(Arc::clone(&registry));
        let keeper = Keeper::over(Arc::clone(&disk) as _, metrics).0;
        let fallbacks = Fallbacks::default();
        fallbacks.configure([("mail", Arc::from("pager"))].into_iter());
        Self { disk, keeper, fallbacks, registry }
    }

    fn full(&self, full: bool) {
        self.disk.full.store(full, Ordering::Relaxed);
    }

    fn commit(&self, notices: &[Arc<Notice>]) {
        let routes = Routes::default();
        let mut kept = Kept {
            routes: &routes,
            engine: &Engine::new(Vec::new(), EngineOptions::default()),
            router: &mut Router::default(),
            evaluated: None,
            silences: &Silences::default(),
            fallbacks: &self.fallbacks,
            others: Others { heartbeats: &Heartbeats::default(), links: &AckLinks::default() },
            received: &mut Received::default(),
            now: Now::simulated(NOW),
        };
        self.keeper.commit(&mut kept, Happened { notices, ..Happened::default() });
    }

    fn put(&self, ids: &[&str]) {
        self.commit(&ids.iter().map(|id| notice(id, NoticeKind::Firing)).collect::<Vec<_>>());
    }

    fn settle(&self, entry: Entry, settled: Settled) {
        self.keeper.settle(vec![Settlement { at: NOW, entry, settled }]);
    }

    fn fails(&self, id: &str) {
        self.settle(firing(id), Settled::Failed { failure: failure(false), news: true });
    }

    fn arrives(&self, id: &str) {
        self.settle(firing(id), Settled::Delivered { answer: "ok".into(), refused: Vec::new() });
    }

    /// Given up; the fallback is told.
    fn dies(&self, id: &str) -> Entry {
        let entry = firing(id);
        let (copy, stand_in) = self.fallbacks.instead(&entry.notice, &entry.tried, "500").expect("it has a fallback");
        let copy = Entry { tried: vec!["mail".into()], ..Entry::new(copy, 0) };
        let place = stand_in.place();
        let instead = Some(Box::new(Instead { entry: copy.clone(), stand_in }));
        self.settle(entry, Settled::Dead { failure: failure(false), instead, with: Vec::new() });
        self.fallbacks.arrived(&place);
        copy
    }

    fn rows(&self) -> Vec<OutboxRow> {
        self.disk.outbox(&OutboxQuery::default()).unwrap()
    }

    /// Id and state of every row, with the attempts made.
    fn shown(&self) -> Vec<String> {
        let short = |id: &str| if id.len() > 9 { "copy".to_owned() } else { id.to_owned() };
        self.rows().iter().map(|r| format!("{} {} {}", short(&r.id), r.state.as_str(), r.attempts)).collect()
    }

    fn history(&self) -> Vec<&'static str> {
        let page = self.disk.history(&HistoryQuery::default()).unwrap();
        let mut kinds: Vec<_> = page.rows.iter().map(|row| row.event.kind.as_str()).collect();
        kinds.reverse();
        kinds
    }

    fn told_instead(&self) -> usize {
        self.disk.load().unwrap().records.get(&Kind::Fallback).map_or(0, Vec::len)
    }

    fn pending(&self) -> Vec<String> {
        let pending = self.keeper.pending("mail", 100).unwrap();
        pending.stored.into_iter().map(|stored| stored.entry.notice.id.clone()).collect()
    }
}

#[test]
fn all_endings_of_a_stored_notice_are_put_down_once_the_disk_has_space() {
    let desk = Desk::new();
    desk.put(&["a", "b", "c"]);
    desk.full(true);
    for _ in 0..4 {
        desk.fails("a");
        desk.fails("b");
        desk.fails("c");
    }
    desk.arrives("a");
    let copy = desk.dies("b");
    desk.settle(copy, Settled::Delivered { answer: "ok".into(), refused: Vec::new() });
    assert_eq!(desk.pending(), ["c"], "what was delivered or given up does not wait, whatever the disk says");
    desk.full(false);
    desk.commit(&[]);
    assert_eq!(desk.shown(), ["b dead 5", "c pending 4"]);
    assert_eq!(desk.history().iter().filter(|kind| **kind == "sent").count(), 2);
    assert_eq!(desk.keeper.trouble(), None);
}

#[test]
fn a_merger_of_notices_that_failed_before_is_put_down_whole() {
    let desk = Desk::new();
    desk.put(&["a", "b"]);
    desk.full(true);
    desk.fails("a");
    let mut later = firing("b");
    later.since_ms = 77;
    desk.settle(later, Settled::TellsToo(vec![firing("a")]));
    desk.full(false);
    // No commit comes in between: the next ending finds the disk well.
    desk.fails("b");
    assert_eq!(desk.shown(), ["b pending 1"]);
    assert!(desk.rows()[0].payload.contains("\"since_ms\":77"), "{}", desk.rows()[0].payload);
}

#[test]
fn notices_stored_late_keep_their_order() {
    let desk = Desk::new();
    desk.full(true);
    for ids in [["z", "y"], ["b", "a"]] {
        desk.put(&ids);
    }
    assert_eq!(desk.pending(), ["z", "y", "b", "a"], "those that have no row wait too");
    desk.full(false);
    desk.put(&["m"]);
    assert_eq!(desk.shown(), ["z pending 0", "y pending 0", "b pending 0", "a pending 0", "m pending 0"]);
}

#[test]
fn a_notice_that_ended_before_it_was_stored_needs_no_row() {
    let desk = Desk::new();
    desk.full(true);
    desk.put(&["a", "b", "c", "d"]);
    desk.arrives("a");
    let mut later = firing("c");
    later.since_ms = 77;
    desk.settle(later, Settled::TellsToo(vec![firing("b")]));
    desk.fails("c");
    desk.dies("d");
    assert_eq!(desk.keeper.unsaved(), 2, "what failed or was given up is still to be stored");
    let waiting = |handler: &str| {
        let all = desk.keeper.pending(handler, 10).unwrap().stored;
        all.iter().map(|stored| stored.entry.notice.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(waiting("mail"), ["c"], "what was given up is not tried again");
    assert_eq!(waiting("pager").len(), 1, "and the copy for the fallback is not forgotten");
    desk.full(false);
    desk.commit(&[]);
    assert_eq!(desk.shown(), ["c pending 1", "d dead 1", "copy pending 0"]);
    assert!(desk.rows()[0].payload.contains("\"since_ms\":77"));
    assert_eq!(desk.history().iter().filter(|kind| **kind == "sent").count(), 1);
    assert_eq!(desk.keeper.unsaved(), 0);
}

#[test]
fn more_notices_than_may_wait_to_be_stored_are_counted_and_the_first_are_kept() {
    let desk = Desk::new();
    desk.full(true);
    let ids: Vec<String> = (0..unsaved::UNSAVED_MAX + 7).map(|n| format!("n{n}")).collect();
    desk.put(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(desk.keeper.unsaved(), unsaved::UNSAVED_MAX);
    assert_eq!(desk.registry.counter("alertd_outbox_refused_total", &[("reason", "unsaved")]).get(), 7.0);
    desk.full(false);
    desk.commit(&[]);
    let first = &desk.rows()[..3];
    assert_eq!(first.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["n0", "n1", "n2"]);
}

#[test]
fn endings_that_are_too_many_are_counted_and_failures_go_first() {
    let desk = Desk::new();
    desk.put(&["a", "b"]);
    desk.full(true);
    desk.arrives("a");
    for _ in 0..late::LATE_MAX {
        desk.keeper.inner().late.push(late_failure("b"));
    }
    desk.fails("b");
    let lost = desk.registry.counter("alertd_endings_dropped_total", &[]).get();
    assert!(lost > 0.0 && lost < late::LATE_MAX as f64 / 5.0, "{lost}");
    assert_eq!(desk.pending(), ["b"], "that the first was delivered is known");
}

fn late_failure(id: &str) -> Vec<crate::persist::Settled> {
    let outcome = SettledAs::Failed { error: String::new(), next_attempt: NOW, maybe_sent: false };
    vec![crate::persist::Settled {
        id: id.to_owned(),
        at: NOW,
        outcome,
        payload: None,
        notices: Vec::new(),
        put: Vec::new(),
        history: Vec::new(),
    }]
}

#[test]
fn that_a_fallback_was_told_is_kept_until_the_commit_that_tells_the_end() {
    for full in [false, true] {
        let desk = Desk::new();
        desk.put(&["a"]);
        desk.dies("a");
        assert_eq!(desk.told_instead(), 1);
        let end = notice("end", NoticeKind::Resolved);
        let copy = desk.fallbacks.copy(&end).expect("the fallback hears the end");
        desk.full(full);
        desk.commit(&[end, Arc::new(copy)]);
        assert_eq!(desk.told_instead(), usize::from(full));
        desk.full(false);
        desk.commit(&[]);
        assert_eq!(desk.told_instead(), 0, "after a restart it would be told again");
        // It is told anew, and the end of before does not take that back.
        desk.put(&["b"]);
        desk.dies("b");
        desk.commit(&[]);
        assert_eq!(desk.told_instead(), 1);
    }
}

#[test]
fn what_ends_while_nothing_is_stored_leaves_no_record_of_its_fallback() {
    let desk = Desk::new();
    desk.put(&["a"]);
    desk.full(true);
    desk.dies("a");
    let end = notice("end", NoticeKind::Resolved);
    let copy = desk.fallbacks.copy(&end).expect("the fallback hears the end");
    desk.commit(&[end, Arc::new(copy)]);
    desk.full(false);
    desk.commit(&[]);
    desk.commit(&[]);
    assert_eq!(desk.told_instead(), 0, "after a restart it would be told again");
}

#[test]
fn a_fallback_is_told_once_though_the_notice_is_tried_again_and_given_up_again() {
    let desk = Desk::new();
    desk.put(&["a"]);
    desk.dies("a");
    let rows = desk.keeper.rows(&OutboxQuery { state: Some(OutboxState::Dead), ..OutboxQuery::default() }).unwrap();
    let anew = desk.keeper.begin_anew(rows, Now::simulated(NOW)).remove(0).entry;
    assert_eq!(desk.fallbacks.instead(&anew.notice, &anew.tried, "500"), None);
}

#[test]
fn recipients_stored_more_than_once_are_read_once() {
    let desk = Desk::new();
    let entry = Entry { done: ["ann", "bob", "ann", "bob", "ann"].map(str::to_owned).to_vec(), ..firing("a") };
    let commit = Commit { notices: vec![new_notice(&entry)], ..Commit::default() };
    desk.disk.commit(&commit).unwrap();
    let stored = desk.keeper.pending("mail", 10).unwrap().stored.remove(0);
    assert_eq!(stored.entry.done, ["ann", "bob"]);
}

#[test]
fn whatever_is_left_of_a_state_without_its_clock_is_restored() {
    let left = |kind: Kind, id: &str, value: &str| {
        let record = Record { kind, id: id.to_owned(), value: value.to_owned() };
        let loaded = Loaded { records: [(kind, vec![record])].into(), ..Loaded::default() };
        !load::restored(loaded).is_empty()
    };
    let rule = records::RuleRecord {
        seen: BTreeSet::new(),
        health: crate::state::Health::Ok,
        evaluated_at: None,
        sequence: 3,
        over_limit: 0,
    };
    assert!(left(Kind::Rule, "uid", &json(&rule)));
    let copy = Fallbacks::default();
    copy.configure([("mail", Arc::from("pager"))].into_iter());
    let (_, believed) = copy.instead(&firing("a").notice, &[], "500").unwrap();
    assert!(left(Kind::Fallback, "mail\u{1f}g\u{1f}pager", &json(&believed)));
    assert!(!left(Kind::Fallback, "mail\u{1f}g", r#"["mail","g"]"#), "of an earlier version");
    assert!(!left(Kind::Setting, "groups_begun", "3"));
}
