//! Timelines of one handler's queue: notices come in, attempts go out, answers come back.
//!
//! Words: `+ID@GROUP` puts a firing notice, `-ID@GROUP` a resolving one of the same alert, `+ID@GROUP/ALERT` of another
//! alert of the group; `ok`, `500`, `404`, `cut` (no
//! answer after sending), `429:N` (asked to wait N seconds) answer the oldest attempt under way; `.N` lets N seconds
//! pass; `part:NAME` is done with one more recipient and puts the others off. After every word attempts are started; expected are they and the verdicts, each with its second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Alert, AlertState, GroupRef, Labels, Notice, NoticeKind, NoticeReason, Origin, ResolveReason, Severity, Timestamp,
    Transition, TransitionKind,
};
use crate::notify::{Failure, FailureClass, Outcome, Phase};

fn notice(id: &str, group: &str, firing: bool) -> Arc<Notice> {
    let (group, alert) = group.split_once('/').unwrap_or((group, group));
    let labels = Labels::from_pairs([("alertname", alert)]);
    let kind =
        if firing { TransitionKind::Fired } else { TransitionKind::Resolved { reason: ResolveReason::Recovered } };
    let alert = Alert {
        rule_uid: Arc::from(alert),
        rule: Arc::from(alert),
        origin: Origin { file: Arc::from("r.yaml"), line: 1 },
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::empty(),
        state: if firing { AlertState::Firing } else { AlertState::Inactive },
        severity: Severity::Warning,
        value: 1.0,
        peak: 1.0,
        condition: Arc::from("> 0"),
        limit: None,
        active_at: Timestamp(0),
        fired_at: Some(Timestamp(0)),
        resolved_at: None,
        no_data_since: None,
        flapping: None,
        notify: Vec::new(),
        generator_url: None,
    };
    Arc::new(Notice {
        id: id.to_owned(),
        handler: Arc::from("h"),
        kind: if firing { NoticeKind::Firing } else { NoticeKind::Resolved },
        reason: if firing { NoticeReason::First } else { NoticeReason::Resolved },
        at: Timestamp(0),
        group: GroupRef::new(group, Labels::empty()),
        note: None,
        held_over: Vec::new(),
        transitions: vec![Arc::new(Transition {
            at: Timestamp(0),
            sequence: 1,
            kind,
            alert,
            trend: Vec::new(),
            link: None,
        })],
    })
}

fn settings() -> QueueSettings {
    QueueSettings {
        rate_limit: None,
        give_up_after: Duration::from_secs(1000),
        concurrency_max: 2,
        entries_max: 5,
        digest: false,
    }
}

struct Player {
    queue: Queue,
    now_ms: i64,
    under_way: VecDeque<String>,
    /// Recipients that the handler was told to leave out, by the last attempt.
    done: Vec<String>,
    log: Vec<String>,
}

impl Player {
    fn new(settings: QueueSettings) -> Self {
        Self { queue: Queue::new(settings), now_ms: 0, under_way: VecDeque::new(), done: Vec::new(), log: Vec::new() }
    }

    fn say(&mut self, text: &str) {
        self.log.push(format!(
            "{}{text}",
            if self.now_ms >= 1000 { format!("{}:", self.now_ms / 1000) } else { String::new() }
        ));
    }

    fn start(&mut self) {
        loop {
            let entry = match self.queue.next(self.now_ms) {
                Next::Attempt(entry) => entry,
                Next::Digest { absorbed, told } => {
                    let gone: Vec<&str> = absorbed.iter().map(|entry| entry.notice.id.as_str()).collect();
                    self.say(&format!("{} sums up {}", told.notice.id, gone.join(" ")));
                    continue;
                }
                Next::Wait(_) | Next::Idle => return,
            };
            self.under_way.push_back(entry.notice.id.clone());
            self.done.clone_from(&entry.done);
            let both = if entry.notice.reason == NoticeReason::FiredAndResolved { "(fired and resolved)" } else { "" };
            self.say(&format!("try {}{both}", entry.notice.id));
        }
    }

    fn put(&mut self, id: &str, group: &str, firing: bool) {
        match self.queue.push(Entry::new(notice(id, group, firing), self.now_ms)) {
            Pushed::Waits => {}
            Pushed::Merged { absorbed, told } => {
                assert_eq!(told.notice.id, id);
                let absorbed: Vec<&str> = absorbed.iter().map(|entry| entry.notice.id.as_str()).collect();
                self.say(&format!("{id} tells {}", absorbed.join(" ")));
            }
            Pushed::Full => self.say(&format!("no room for {id}")),
        }
    }

    fn answer(&mut self, outcome: Outcome) {
        let Some(id) = self.under_way.pop_front() else { return };
        let settled = self.queue.settle(&id, outcome, (self.now_ms, self.now_ms), 0.5);
        let word = match settled.map(|(_, verdict)| verdict) {
            Some(Verdict::Delivered { .. }) => "delivered",
            Some(Verdict::Retry { .. }) => "failed",
            Some(Verdict::Dead { exhausted: true, .. }) => "given up",
            Some(Verdict::Dead { .. }) => "rejected",
            None => "unknown",
        };
        self.say(&format!("{id} {word}"));
    }

    fn word(&mut self, word: &str) {
        let retry = |class, asked, maybe_taken| Outcome::Retry {
            after: asked,
            failure: Failure { class, phase: Phase::Answer, message: "no".into(), maybe_taken },
            done: Vec::new(),
        };
        match word {
            "ok" => self.answer(Outcome::sent("ok")),
            "500" => self.answer(retry(FailureClass::ServerError, None, false)),
            "cut" => self.answer(retry(FailureClass::Network, None, true)),
            _ if word.starts_with("part:") => {
                let failure = Failure {
                    class: FailureClass::ServerError,
                    phase: Phase::Envelope,
                    message: "later".into(),
                    maybe_taken: false,
                };
                let mut done = self.done.clone();
                done.extend(word.strip_prefix("part:").filter(|name| !name.is_empty()).map(str::to_owned));
                self.answer(Outcome::Retry { after: None, failure, done });
            }
            "404" => {
                let class = FailureClass::ClientError;
                let failure = Failure { class, phase: Phase::Answer, message: "no".into(), maybe_taken: false };
                self.answer(Outcome::Rejected { failure });
            }
            _ => match word.split_at(1) {
                (".", secs) => {
                    // In steps, because a pause ends in between.
                    for _ in 0..secs.parse::<u32>().unwrap_or(1) * 20 {
                        self.now_ms += 50;
                        self.start();
                    }
                }
                ("+", rest) => self.put(rest.split('@').next().unwrap(), rest.split('@').nth(1).unwrap(), true),
                ("-", rest) => self.put(rest.split('@').next().unwrap(), rest.split('@').nth(1).unwrap(), false),
                _ => {
                    let secs = word.strip_prefix("429:").expect("a word").parse().expect("seconds");
                    self.answer(retry(FailureClass::RateLimited, Some(Duration::from_secs(secs)), false));
                }
            },
        }
        self.start();
    }
}

fn check(case: &str, settings: QueueSettings, words: &str, want: &str) {
    let mut player = Player::new(settings);
    words.split_whitespace().for_each(|word| player.word(word));
    assert_eq!(player.log.join("; "), want, "{case}: {words}");
}

#[test]
fn notices_of_one_group_keep_their_order_and_others_do_not_wait() {
    check("one group, one at a time", settings(), "+1@a -2@a ok ok", "try 1; 1 delivered; try 2; 2 delivered");
    check(
        "two groups at once",
        settings(),
        "+1@a +2@b -3@a ok ok ok",
        "try 1; try 2; 1 delivered; try 3; 2 delivered; 3 delivered",
    );
    check("no more than the limit at once", settings(), "+1@a +2@b +3@c ok", "try 1; try 2; 1 delivered; try 3");
    check(
        "one that keeps failing lets the others pass",
        QueueSettings { concurrency_max: 1, ..settings() },
        "+1@a 500 +2@b .1 500 .1 ok .3 ok",
        "try 1; 1 failed; try 1; 1:1 failed; 1:try 2; 2:2 delivered; 2:try 1; 5:1 delivered",
    );
}

#[test]
fn news_of_an_alert_keeps_its_order_when_the_alert_moves_to_another_group() {
    check(
        "under way in the old group",
        settings(),
        "-1@a/x +2@b/x +3@c ok ok ok",
        "try 1; try 3; 1 delivered; try 2; 3 delivered; 2 delivered",
    );
    check(
        "failing in the old group: the others pass, this alert waits",
        QueueSettings { concurrency_max: 1, ..settings() },
        "-1@a/x 500 +2@b/x +3@c .1 500 .1 ok .3 ok ok",
        "try 1; 1 failed; try 1; 1:1 failed; 1:try 3; 2:3 delivered; 2:try 1; 5:1 delivered; 5:try 2; 5:2 delivered",
    );
    check("refused in the old group", settings(), "-1@a/x +2@b/x 404 ok", "try 1; 1 rejected; try 2; 2 delivered");
    check("other alerts of the two", settings(), "-1@a/x +2@b/y ok ok", "try 1; try 2; 1 delivered; 2 delivered");
}

#[test]
fn what_fired_and_resolved_while_the_receiver_was_away_is_told_once() {
    check(
        "never seen: one message tells both",
        settings(),
        "+1@a 500 -2@a .1 ok",
        "try 1; 1 failed; 2 tells 1; try 2(fired and resolved); 1:2 delivered",
    );
    check(
        "perhaps seen: told again as it was, then the end",
        settings(),
        "+1@a cut -2@a .1 ok ok",
        "try 1; 1 failed; try 1; 1 delivered; 1:try 2; 1:2 delivered"
            .replace("; try 1; 1 delivered", "; try 1; 1:1 delivered")
            .as_str(),
    );
    check(
        "under way: the end waits",
        settings(),
        "+1@a -2@a 500 .1 ok ok",
        "try 1; 1 failed; try 1; 1:1 delivered; 1:try 2; 1:2 delivered",
    );
}

#[test]
fn a_receiver_that_asks_for_time_gets_it_and_no_more() {
    check("Retry-After", settings(), "+1@a 429:1 .2 ok", "try 1; 1 failed; 1:try 1; 2:1 delivered");
    check(
        "it holds the others too",
        settings(),
        "+1@a 429:3 +2@b .2 .2 ok ok",
        "try 1; 1 failed; 3:try 1; 4:1 delivered; 4:try 2; 4:2 delivered",
    );
    check(
        "a rate limit spreads messages",
        QueueSettings { rate_limit: Some((2, Duration::from_secs(10))), concurrency_max: 5, ..settings() },
        "+1@a +2@b +3@c ok ok .12 ok",
        "try 1; try 2; 1 delivered; 2 delivered; 5:try 3; 12:3 delivered",
    );
}

#[test]
fn a_storm_becomes_one_message_above_the_limit_and_then_a_digest_after_a_pause() {
    let digests = QueueSettings {
        rate_limit: Some((2, Duration::from_secs(10))),
        concurrency_max: 5,
        entries_max: 1000,
        digest: true,
        ..settings()
    };
    let first = "try 1; try 2; 1 delivered; 2 delivered; 5:6 sums up 3 4 5; 5:try 6; 6:6 delivered";
    let storm = "+1@a +2@b ok ok +3@c +4@d +5@e -6@c/x .6 ok";
    check("the first go as ever, the rest as one", digests.clone(), storm, first);
    check(
        "afterwards one goes as ever",
        digests.clone(),
        &format!("{storm} +7@g .5 ok"),
        &format!("{first}; 10:try 7; 11:7 delivered"),
    );
    check(
        "until a further digest they go as the limit lets them",
        digests.clone(),
        &format!("{storm} +7@g +8@h +9@i +10@j +11@k +12@l +13@m +14@n +15@o .5 ok .5 ok .5 ok .5 ok .5 ok .5 ok"),
        &format!(
            "{first}; 10:try 7; 11:7 delivered; 15:try 8; 16:8 delivered; 20:try 9; 21:9 delivered; 25:try 10; 26:10 \
             delivered; 30:try 11; 31:11 delivered; 35:15 sums up 12 13 14; 35:try 15; 36:15 delivered"
        ),
    );
    check(
        "what would go within ten seconds goes by itself",
        digests.clone(),
        "+1@a +2@b ok ok +3@c +4@d .12 ok ok",
        "try 1; try 2; 1 delivered; 2 delivered; 5:try 3; 10:try 4; 12:3 delivered; 12:4 delivered",
    );
    check(
        "without it all wait",
        QueueSettings { digest: false, ..digests.clone() },
        "+1@a +2@b ok ok +3@c +4@d +5@e +6@f .6",
        "try 1; try 2; 1 delivered; 2 delivered; 5:try 3",
    );
    check(
        "what the receiver may have seen stays as it is",
        digests,
        "+1@a +2@b cut ok +3@c +4@d +5@e +6@f .6",
        "try 1; try 2; 1 failed; 2 delivered; 5:6 sums up 3 4 5; 5:try 1",
    );
}

#[test]
fn recipients_that_are_done_with_are_named_once_however_often_the_others_are_put_off() {
    let mut player = Player::new(QueueSettings { give_up_after: Duration::from_secs(100_000), ..settings() });
    for word in ["+1@a", "part:ann", ".60", "part:bob", ".60"] {
        player.word(word);
    }
    for _ in 0..30 {
        player.word("part:");
        player.word(".60");
        assert_eq!(player.done, ["ann", "bob"]);
    }
    player.word("ok");
    assert!(player.queue.is_empty());
}

#[test]
fn of_many_notices_and_large_groups_those_meant_are_taken_out() {
    let many = 10_000;
    let wide = QueueSettings { entries_max: 3 * many, give_up_after: Duration::from_secs(1), ..settings() };
    let mut queue = Queue::new(wide);
    for n in 0..many {
        queue.push(Entry::new(notice(&format!("one{n}"), &format!("g/{n}"), true), 0));
        queue.push(Entry::new(notice(&format!("each{n}"), &format!("g{n}"), true), 0));
        queue.push(Entry::new(notice(&format!("young{n}"), &format!("g/{n}"), true), 5000));
    }
    for n in (0..many).step_by(2) {
        assert_eq!(queue.remove(&format!("each{n}")).map(|entry| entry.notice.id.clone()), Some(format!("each{n}")));
        assert_eq!(queue.remove(&format!("each{n}")), None);
    }
    let gone = queue.expired(2000);
    assert_eq!((gone.len(), queue.len()), (many + many / 2, many));
    let expected = (0..many).map(|n| format!("one{n}"));
    assert!(
        gone.iter().map(|entry| &entry.notice.id).filter(|id| id.starts_with("one")).eq(&expected.collect::<Vec<_>>())
    );
    assert!(queue.holds("young0") && !queue.holds("one0") && queue.oldest_ms() == Some(5000));
    // A group of ten thousand alerts is told with another of as many.
    let alerts = |id: &str| {
        let alert = |n: usize| notice("n", &format!("g/{n}"), true).transitions[0].clone();
        Notice {
            id: id.to_owned(),
            transitions: (0..many).map(alert).collect(),
            ..Notice::clone(&notice(id, "g", true))
        }
    };
    assert_eq!(merged(&alerts("older"), &alerts("newer")).transitions.len(), many);
}

#[test]
fn what_cannot_be_delivered_is_given_up() {
    check("refused", settings(), "+1@a 404 +2@a ok", "try 1; 1 rejected; try 2; 2 delivered");
    let short = QueueSettings { give_up_after: Duration::from_secs(3), ..settings() };
    check("too old", short, "+1@a 500 .1 500 .4 500", "try 1; 1 failed; try 1; 1:1 failed; 1:try 1; 5:1 given up");
    check("too many: the rest waits elsewhere", settings(), "+1@a +2@a +3@a +4@a +5@a +6@a", "try 1; no room for 6");
}

#[test]
fn merged_notices_say_what_is_true_now() {
    let with = |kind: TransitionKind, reason, severity| {
        let mut notice = Notice::clone(&notice("1", "a", true));
        notice.reason = reason;
        let t = Arc::make_mut(&mut notice.transitions[0]);
        (t.kind, t.alert.severity) = (kind, severity);
        notice
    };
    let (warning, critical) = (Severity::Warning, Severity::Critical);
    let resolved = TransitionKind::Resolved { reason: ResolveReason::Recovered };
    let raised = TransitionKind::Raised { from: warning };
    let lowered = TransitionKind::Lowered { from: critical };
    for (case, older, newer, kind, reason) in [
        (
            "fired, then raised: fires at the worse level",
            with(TransitionKind::Fired, NoticeReason::First, warning),
            with(raised, NoticeReason::Raised, critical),
            TransitionKind::Fired,
            NoticeReason::First,
        ),
        (
            "raised, then lowered again: nothing new",
            with(raised, NoticeReason::Raised, critical),
            with(lowered, NoticeReason::Lowered, warning),
            TransitionKind::StillFiring,
            NoticeReason::Lowered,
        ),
        (
            "a reminder, then over: known before, so simply over",
            with(TransitionKind::StillFiring, NoticeReason::Repeat, warning),
            with(resolved, NoticeReason::Resolved, warning),
            resolved,
            NoticeReason::Resolved,
        ),
        (
            "escalated, then a reminder: it is still to be told why",
            with(TransitionKind::StillFiring, NoticeReason::Escalated, warning),
            with(TransitionKind::StillFiring, NoticeReason::Repeat, warning),
            TransitionKind::StillFiring,
            NoticeReason::Escalated,
        ),
        (
            "fired and over, then over: still never seen",
            with(resolved, NoticeReason::FiredAndResolved, warning),
            with(resolved, NoticeReason::Resolved, warning),
            resolved,
            NoticeReason::FiredAndResolved,
        ),
    ] {
        let both = merged(&older, &newer);
        assert_eq!((both.transitions[0].kind, both.reason), (kind, reason), "{case}");
        assert_eq!(both.transitions.len(), 1, "{case}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a receiver does, every alert's last word is delivered once it answers, in order, and nothing is told
    /// twice without a reason.
    #[test]
    fn every_group_hears_its_last_word(steps in prop::collection::vec((0u8..3, 0u8..8), 1..60)) {
        let mut player = Player::new(QueueSettings { entries_max: 1000, ..settings() });
        let mut firing = [false; 3];
        let mut last = [None, None, None];
        for (n, (group, what)) in steps.iter().enumerate() {
            let at = usize::from(*group);
            match what {
                0..=2 => {
                    firing[at] = !firing[at];
                    let (mark, name) = (if firing[at] { "+" } else { "-" }, ["a", "b", "c"][at]);
                    player.word(&format!("{mark}{n}@{name}"));
                    last[at] = Some(n.to_string());
                }
                3 => player.word("ok"),
                4 => player.word("500"),
                5 => player.word("cut"),
                6 => player.word("429:2"),
                _ => player.word(".1"),
            }
        }
        for _ in 0..300 {
            player.word("ok");
            player.word(".1");
        }
        prop_assert!(player.queue.is_empty(), "{:?}", player.log);
        let delivered: Vec<&str> =
            player.log.iter().filter_map(|l| l.rsplit(':').next()?.strip_suffix(" delivered")).collect();
        for id in last.iter().flatten() {
            prop_assert_eq!(delivered.iter().filter(|d| **d == id.as_str()).count(), 1, "{:?}", &player.log);
        }
        let mut numbers: std::collections::BTreeMap<u8, Vec<u32>> = Default::default();
        for id in &delivered {
            let n: u32 = id.parse().unwrap();
            numbers.entry(steps[n as usize].0).or_default().push(n);
        }
        for order in numbers.values() {
            prop_assert!(order.is_sorted(), "{:?}", player.log);
        }
    }
}

#[test]
fn nothing_is_told_with_a_later_notice_past_news_of_the_same_alert() {
    let mut queue = Queue::new(settings());
    queue.push(Entry::new(notice("0", "z", true), 0));
    let Next::Attempt(first) = queue.next(0) else { panic!("it is tried at once") };
    let failure = Failure {
        class: FailureClass::ServerError,
        phase: Phase::Answer,
        message: "500".to_owned(),
        maybe_taken: false,
    };
    queue.settle(&first.notice.id, Outcome::Retry { after: None, failure, done: Vec::new() }, (0, 0), 0.5);
    let mut push = |id: &str, group: &str, firing: bool| queue.push(Entry::new(notice(id, group, firing), 0));
    assert_eq!(push("1", "a/x", false), Pushed::Waits);
    assert_eq!(push("2", "b/x", true), Pushed::Waits);
    // Told with the third, the end in the first would come after the beginning in the second.
    assert_eq!(push("3", "a/y", true), Pushed::Waits);
    assert!(matches!(push("4", "a/y", false), Pushed::Merged { .. }), "nothing is known of that one elsewhere");
}
