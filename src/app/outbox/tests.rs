//! The lanes: notices that the queue has no room for, disks that are slow, reloads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::app::tests::bench::until;
use crate::clock::SimulatedClock;
use crate::config::{self, HandlerKind, SecretText, WebhookConfig};
use crate::model::{GroupRef, Labels, Notice, NoticeKind, NoticeReason, Severity, Timestamp};
use crate::notify::{Attempt, Failure, FailureClass, Outcome, Phase, Preview, Sending};
use crate::telemetry::Registry;

fn notice(id: &str) -> Arc<Notice> {
    Arc::new(Notice {
        id: id.to_owned(),
        handler: "ear".into(),
        kind: NoticeKind::Firing,
        reason: NoticeReason::First,
        at: Timestamp(0),
        group: GroupRef::new(id, Labels::empty()),
        note: None,
        held_over: Vec::new(),
        transitions: Vec::new(),
    })
}

/// A ledger of notices that wait, whose disk can be broken or slow.
#[derive(Default)]
struct Disk {
    waiting: Mutex<Vec<Arc<Notice>>>,
    /// Readings that fail before one succeeds.
    broken: AtomicUsize,
    /// Held while the disk stalls.
    stalled: Mutex<()>,
}

impl Ledger for Disk {
    fn claim(&self, _ids: &[String]) -> bool {
        drop(lock(&self.stalled));
        true
    }
    fn settle(&self, settlements: Vec<Settlement>) {
        let gone = |notice: &Arc<Notice>| settlements.iter().any(|s| s.entry.notice.id == notice.id);
        lock(&self.waiting).retain(|notice| !gone(notice));
    }
    fn pending(&self, _handler: &str, limit: usize) -> Result<Pending, String> {
        if self.broken.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Err("input/output error".to_owned());
        }
        let waiting = lock(&self.waiting);
        let stored = waiting.iter().take(limit).map(|notice| Stored { entry: Entry::new(Arc::clone(notice), 0) });
        Ok(Pending { stored: stored.collect(), more: waiting.len() > limit })
    }
}

/// Answers as it is told to and remembers what it heard.
struct Ear {
    kind: &'static str,
    asks: Option<Duration>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Handler for Ear {
    fn name(&self) -> &str {
        "ear"
    }
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn preview(&self, _notice: &Notice) -> Preview {
        Preview::default()
    }
    fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        lock(&self.heard).push(notice.id.clone());
        let (class, phase) = (FailureClass::RateLimited, Phase::Answer);
        let failure = Failure { class, phase, message: "later".into(), maybe_taken: false };
        Box::pin(std::future::ready(match self.asks {
            Some(after) => Outcome::Retry { after: Some(after), failure, done: Vec::new() },
            None => Outcome::sent("ok"),
        }))
    }
}

/// An outbox over such a disk, without a handler yet.
struct Desk {
    outbox: Outbox,
    disk: Arc<Disk>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new() -> Self {
        let disk = Arc::new(Disk::default());
        let clock = Arc::new(SimulatedClock::new(Timestamp(0)));
        let metrics = OwnMetrics::new(Arc::new(Registry::new()));
        let outbox = Outbox::new(clock, metrics, Arc::clone(&disk) as _).unwrap();
        Self { outbox, disk, heard: Arc::default() }
    }

    fn target(&self, kind: &'static str, asks: Option<Duration>) -> Target {
        Target::new(Arc::new(Ear { kind, asks, heard: Arc::clone(&self.heard) }))
    }

    /// Stores notices and hands them over.
    fn put(&self, ids: std::ops::Range<usize>) {
        for n in ids {
            let notice = notice(&format!("n{n}"));
            lock(&self.disk.waiting).push(Arc::clone(&notice));
            self.outbox.put(notice);
        }
    }

    fn depth(&self) -> usize {
        self.outbox.status().first().map_or(0, |(_, snapshot)| snapshot.depth)
    }
}

#[test]
fn notices_on_the_disk_are_read_when_those_in_memory_were_removed_by_hand() {
    let desk = Desk::new();
    desk.disk.broken.store(1, Ordering::Relaxed);
    desk.put(0..QUEUE_MAX + 50);
    until(|| (desk.depth() == QUEUE_MAX).then_some(()));
    lock(&desk.disk.waiting).drain(..QUEUE_MAX);
    for n in 0..QUEUE_MAX {
        assert!(desk.outbox.remove("ear", &format!("n{n}")));
    }
    // The first reading fails; the notices are not forgotten for it.
    until(|| (desk.depth() == 50).then_some(()));
    desk.outbox.replace(vec![desk.target("test", None)]);
    until(|| (lock(&desk.heard).len() == 50).then_some(()));
    // What comes from here on goes the short way again.
    desk.put(QUEUE_MAX + 50..QUEUE_MAX + 51);
    until(|| (lock(&desk.heard).len() == 51).then_some(()));
    assert!(lock(&desk.heard).is_sorted());
}

#[test]
fn a_disk_that_stalls_delays_no_handler_that_needs_it_not_and_silences_none() {
    let desk = Desk::new();
    let stall = lock(&desk.disk.stalled);
    let others = (0..THREADS * 2).map(|n| {
        struct Named(String, Ear);
        impl Handler for Named {
            fn name(&self) -> &str {
                &self.0
            }
            fn kind(&self) -> &'static str {
                self.1.kind()
            }
            fn preview(&self, notice: &Notice) -> Preview {
                self.1.preview(notice)
            }
            fn send<'a>(&'a self, notice: &'a Notice, attempt: Attempt<'a>) -> Sending<'a> {
                self.1.send(notice, attempt)
            }
        }
        let ear = Ear { kind: "webhook", asks: None, heard: Arc::clone(&desk.heard) };
        Target::new(Arc::new(Named(format!("hook{n}"), ear)))
    });
    desk.outbox.replace(others.chain([desk.target("console", None)]).collect());
    for n in 0..THREADS * 2 {
        let handler: Arc<str> = format!("hook{n}").into();
        desk.outbox.put(Arc::new(Notice { handler, ..Notice::clone(&notice(&format!("z{n}"))) }));
    }
    // Every handler that claims its notices waits for the disk now, and the console tells.
    std::thread::sleep(Duration::from_millis(50));
    desk.outbox.put(notice("n0"));
    until(|| (*lock(&desk.heard) == ["n0"]).then_some(()));
    // They do not wait for ever.
    until(|| (lock(&desk.heard).len() == 1 + THREADS * 2).then_some(()));
    drop(stall);
}

#[test]
fn a_reload_that_leaves_a_handler_as_it_is_leaves_it_the_pause_that_its_receiver_asked_for() {
    let desk = Desk::new();
    let target = |url: &str| {
        let webhook = WebhookConfig { url: SecretText::parse(url).ok(), ..WebhookConfig::default() };
        let config = config::Handler {
            name: "ear".into(),
            on_mute: Default::default(),
            kind: HandlerKind::Webhook(Box::new(webhook)),
            send_resolved: true,
            min_severity: Severity::Info,
            delivery: Delivery::default(),
        };
        let made_of = Some(Arc::new(MadeOf { external_url: String::new(), config }));
        Target { made_of, ..desk.target("test", Some(Duration::from_secs(600))) }
    };
    desk.outbox.replace(vec![target("http://a/")]);
    desk.put(0..1);
    let failed = || desk.outbox.status().first().is_some_and(|(_, snapshot)| snapshot.failing);
    until(|| failed().then_some(()));
    desk.outbox.replace(vec![target("http://a/")]);
    desk.outbox.remove("ear", "none");
    assert_eq!(lock(&desk.heard).len(), 1);
    desk.outbox.replace(vec![target("http://b/")]);
    until(|| (lock(&desk.heard).len() == 2).then_some(()));
    until(|| failed().then_some(()));
    desk.outbox.wake("ear");
    until(|| (lock(&desk.heard).len() == 3).then_some(()));
}
