//! The texts of messages.

use super::*;
use crate::model::{GroupRef, ResolveReason, Severity};
use crate::notify::console::tests::{notice, transition};

/// A notice of these transitions, as its kind says.
pub(crate) fn told(kind: NoticeKind, reason: NoticeReason, transitions: Vec<Transition>) -> Notice {
    let at = transitions.iter().map(|t| t.at).max().unwrap_or_default();
    let group = GroupRef::new("{}:{alertname=\"HighCPU\"}", Labels::from_pairs([("alertname", "HighCPU")]));
    Notice { kind, reason, at, group, handler: "ops-chat".into(), ..notice(transitions) }
}

/// Another host's alert, with a link and words of two lines.
pub(crate) fn second() -> Transition {
    let mut other = transition(TransitionKind::StillFiring);
    let labels =
        Labels::from_pairs([("alertname", "HighCPU"), ("severity", "warning"), ("host", "web-2"), ("job", "node")]);
    other.alert.fingerprint = labels.fingerprint();
    other.alert.labels = labels;
    other.alert.severity = Severity::Warning;
    other.alert.value = 85.5;
    other.alert.annotations = Labels::from_pairs([
        ("summary", "web-2 is busy"),
        ("description", "since the deploy\nof today"),
        ("runbook_url", "https://wiki.example/cpu?a=1&b=2"),
        ("dashboard", "https://graphs.example/d/1"),
        ("unit", "percent"),
    ]);
    other
}

pub(crate) fn resolved() -> Transition {
    let mut over = transition(TransitionKind::Resolved { reason: ResolveReason::Recovered });
    over.at = over.at.plus(Duration::from_secs(600));
    over.alert.value = 41.0;
    over.alert.resolved_at = Some(over.at);
    over
}

fn text(notice: &Notice) -> String {
    let message = Message::new(notice, "https://alerts.example.org", 100);
    format!("{}\n--\n{}", message.summary, message.text)
}

#[track_caller]
fn check(notice: &Notice, want: &str) {
    let got = text(notice);
    assert_eq!(got.trim(), want.trim(), "\n{got}");
}

#[test]
fn one_alert_is_told_in_the_order_in_which_it_is_needed() {
    let want = r#"
FIRING critical HighCPU: 92.44% (> 80%); since 2023-11-14T22:13:20Z, for 2m; host="web-1"
--
FIRING critical HighCPU: 92.44% (> 80%)
since 2023-11-14T22:13:20Z, for 2m
where host="web-1"
▁▂▄ ▆▇█  limit ▇ 80%
CPU of web-1 is high
rule rules/host.yaml:12
https://alerts.example.org/"#;
    check(&told(NoticeKind::Firing, NoticeReason::First, vec![transition(TransitionKind::Fired)]), want);
}

#[test]
fn several_alerts_fold_what_they_share_and_links_come_after_the_words() {
    let want = r#"
FIRING 2 critical: HighCPU; since 2023-11-14T22:13:20Z
--
FIRING 2 critical: HighCPU

FIRING critical HighCPU: 92.44% (> 80%)
since 2023-11-14T22:13:20Z, for 2m
where host="web-1"
▁▂▄ ▆▇█  limit ▇ 80%
CPU of web-1 is high
rule rules/host.yaml:12

STILL FIRING warning HighCPU: 85.5% (> 80%)
since 2023-11-14T22:13:20Z, for 2m
where host="web-2", job="node"
▁▂▄ ▆▇█  limit ▇ 80%
web-2 is busy
since the deploy
of today
runbook https://wiki.example/cpu?a=1&b=2
dashboard https://graphs.example/d/1
rule rules/host.yaml:12
https://alerts.example.org/"#;
    let two = vec![transition(TransitionKind::Fired), second()];
    check(&told(NoticeKind::Firing, NoticeReason::NewAlerts, two), want);
}

#[test]
fn a_resolved_alert_tells_duration_peak_and_reason() {
    let want = r#"
RESOLVED critical HighCPU: 41% (alerts when > 80%); since 2023-11-14T22:13:20Z, lasted 12m, peak 97.25%; recovered; host="web-1"
--
RESOLVED critical HighCPU: 41% (alerts when > 80%)
since 2023-11-14T22:13:20Z, lasted 12m, peak 97.25%; recovered
where host="web-1"
▁▂▄ ▆▇█  limit ▇ 80%
CPU of web-1 is high
rule rules/host.yaml:12
https://alerts.example.org/"#;
    check(&told(NoticeKind::Resolved, NoticeReason::Resolved, vec![resolved()]), want);
}

#[test]
fn titles_say_why_a_message_comes() {
    let title = |kind, reason, transitions| Message::new(&told(kind, reason, transitions), "", 100).title;
    let fired = || transition(TransitionKind::Fired);
    let (firing, over) = (NoticeKind::Firing, NoticeKind::Resolved);
    for (got, want) in [
        (title(firing, NoticeReason::Test, vec![fired()]), "TEST FIRING critical HighCPU: 92.44% (> 80%)"),
        (title(firing, NoticeReason::Repeat, vec![fired(), resolved()]), "FIRING 1 critical, RESOLVED 1: HighCPU"),
        (title(over, NoticeReason::Resolved, vec![resolved(), resolved()]), "RESOLVED 2: HighCPU"),
        (
            title(over, NoticeReason::FiredAndResolved, vec![resolved()]),
            "FIRED AND RESOLVED critical HighCPU: 41% (alerts when > 80%)",
        ),
        (title(over, NoticeReason::FiredAndResolved, vec![resolved(), resolved()]), "FIRED AND RESOLVED 2: HighCPU"),
    ] {
        assert_eq!(got, want);
    }
    let raised = transition(TransitionKind::Raised { from: Severity::Warning });
    assert_eq!(title(firing, NoticeReason::Raised, vec![raised]), "RAISED warning → critical HighCPU: 92.44% (> 80%)");
}

#[test]
fn text_from_outside_can_neither_break_a_line_nor_act() {
    let mut hostile = transition(TransitionKind::Fired);
    let nasty = "a\r\nBcc: x\u{0}\u{202e}\u{1b}[2J";
    hostile.alert.labels =
        Labels::from_pairs([("alertname", nasty), ("host", &format!("{nasty}{}", "x".repeat(10_000)))]);
    hostile.alert.annotations =
        Labels::from_pairs([("summary", nasty), ("url", "javascript:alert(1)"), ("runbook", "https://x/ y")]);
    let message =
        Message::new(&told(NoticeKind::Firing, NoticeReason::First, vec![hostile]), "http://127.0.0.1:9097", 100);
    let alert = &message.alerts[0];
    for line in [&message.title, &message.summary, &alert.headline, &alert.place, &alert.when] {
        assert!(!line.contains(crate::model::visible::acts), "{line:?}");
        assert!(line.chars().count() < 1000, "{line}");
    }
    assert!(!message.text.contains(|c: char| c != '\n' && crate::model::visible::acts(c)), "{:?}", message.text);
    assert!(alert.links.is_empty() && message.page_url.is_empty(), "{:?}", alert.links);
    assert_eq!(message.with_note("it\nfailed").text.lines().nth(1), Some("note: it\\nfailed"));
}

#[test]
fn alertmanagers_order_is_by_job_instance_and_labels_and_what_is_cut_is_counted() {
    let named = |job: &str, instance: &str, host: &str| {
        let mut one = transition(TransitionKind::Fired);
        one.alert.labels = Labels::from_pairs([("job", job), ("instance", instance), ("host", host)]);
        one
    };
    let all = vec![named("b", "1", "x"), named("a", "2", "x"), named("a", "1", "y"), named("a", "1", "x")];
    let notice = told(NoticeKind::Firing, NoticeReason::First, all);
    assert_eq!(Message::new(&notice, "", 100).order, [3, 2, 1, 0]);
    let cut = Message::new(&notice, "", 2);
    assert_eq!((cut.truncated, cut.order.as_slice(), cut.firing), (2, [1, 0].as_slice(), 4));
    assert!(cut.text.contains("and 2 more"));
    assert_eq!(cut.group_hash.len(), 64);
}
