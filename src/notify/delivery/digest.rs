//! Many notices of one handler told as one: what a storm becomes that is more than the handler's rate limit lets through.
//!
//! A digest counts the alerts by the labels that tell most, and names the worst of them. Which alerts a handler was told
//! of is known elsewhere (`route`); nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::merge::together;
use crate::model::labels::ALERT_NAME;
use crate::model::{Fingerprint, GroupRef, Labels, Notice, NoticeKind, NoticeReason, Transition};

/// Most alerts that a digest names; the rest is counted.
pub const DIGEST_ALERTS_MAX: usize = 500;
/// Labels by which it counts.
const LABELS_MAX: usize = 3;
/// Values of a label that it counts one by one.
const VALUES_MAX: usize = 5;
/// A label with more values than this tells alerts apart, and sums nothing up.
const DISTINCT_MAX: usize = 1000;
/// Longest value that is shown, in characters.
const VALUE_CHARS_MAX: usize = 60;
/// The key by which receivers know digests.
const KEY: &str = "{digest}";

/// One notice that tells what all of these say, in their order; it has the identity of the last. `limit` is what the
/// handler lets through, in words.
pub fn digest(notices: &[Arc<Notice>], limit: &str) -> Option<Notice> {
    let last = notices.last()?;
    let mut places: BTreeMap<(Arc<str>, Fingerprint), usize> = BTreeMap::new();
    let mut news: Vec<Arc<Transition>> = Vec::new();
    for transition in notices.iter().flat_map(|notice| &notice.transitions) {
        let key = (transition.alert.rule_uid.clone(), transition.alert.fingerprint);
        match places.get(&key).and_then(|place| news.get_mut(*place)) {
            Some(before) => *before = together(before, transition),
            None => {
                places.insert(key, news.len());
                news.push(Arc::clone(transition));
            }
        }
    }
    let groups: BTreeSet<&Arc<str>> = notices.iter().map(|notice| &notice.group.key).collect();
    let note = summary(&news, groups.len(), limit);
    let fires = news.iter().any(|t| !is_over(t));
    // What fires before what is over, the worst first.
    news.sort_by_key(|t| (is_over(t), std::cmp::Reverse(t.alert.severity)));
    news.truncate(DIGEST_ALERTS_MAX);
    Some(Notice {
        id: last.id.clone(),
        handler: last.handler.clone(),
        kind: if fires { NoticeKind::Firing } else { NoticeKind::Resolved },
        reason: NoticeReason::Digest,
        at: last.at,
        group: GroupRef::new(KEY, Labels::empty()),
        note: Some(note),
        held_over: notices.iter().flat_map(|notice| notice.held_over.iter().copied()).collect(),
        transitions: news,
    })
}

fn is_over(transition: &Transition) -> bool {
    transition.kind.is_end()
}

/// How many there are, and by what.
fn summary(news: &[Arc<Transition>], groups: usize, limit: &str) -> String {
    let over = news.iter().filter(|t| is_over(t)).count();
    let mut out = format!("{} alerts in {groups} groups at once, more than {limit}: ", news.len());
    let _ = match over {
        0 => write!(out, "all of them fire"),
        over => write!(out, "{} fire, {over} are over", news.len() - over),
    };
    for (name, counts) in telling(news) {
        let mut values: Vec<(&str, usize)> = counts.into_iter().collect();
        values.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        let _ = write!(out, "; {name}: ");
        let told: Vec<String> = values.iter().take(VALUES_MAX).map(|(v, n)| format!("{} {n}", short(v))).collect();
        out.push_str(&told.join(", "));
        let more = values.len().saturating_sub(VALUES_MAX);
        if more > 0 {
            let _ = write!(out, ", {more} more");
        }
    }
    let unnamed = news.len().saturating_sub(DIGEST_ALERTS_MAX);
    if unnamed > 0 {
        let _ = write!(out, "; {unnamed} of them are not named here, the page has them all");
    }
    out
}

fn short(value: &str) -> String {
    value.chars().take(VALUE_CHARS_MAX).collect()
}

/// The labels that tell most about many alerts, with how often each value stands: the name of the alert first, then those
/// that most alerts have, of these the ones with the fewest values, but not with a single one.
fn telling(news: &[Arc<Transition>]) -> Vec<(&str, BTreeMap<&str, usize>)> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (name, value) in news.iter().flat_map(|t| t.alert.labels.iter()) {
        let of = counts.entry(name).or_default();
        if of.len() <= DISTINCT_MAX {
            *of.entry(value).or_default() += 1;
        }
    }
    let have = |of: &BTreeMap<&str, usize>| of.values().sum::<usize>();
    counts.retain(|name, of| {
        *name == ALERT_NAME || ((2..=DISTINCT_MAX).contains(&of.len()) && have(of) * 2 >= news.len())
    });
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, of)| (*name != ALERT_NAME, of.len()));
    counts.truncate(LABELS_MAX);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alert, AlertState, Origin, ResolveReason, Severity, Timestamp, TransitionKind};

    /// A notice of one alert in a group of its own.
    fn notice(n: usize, labels: &[(&str, &str)], severity: Severity, over: bool) -> Arc<Notice> {
        let own =
            [("alertname", "disk"), ("host", &*n.to_string())].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labels = Labels::from_pairs(own.into_iter().chain(labels));
        let alert = Alert {
            rule_uid: "disk".into(),
            rule: "disk".into(),
            origin: Origin { file: "r.yaml".into(), line: 1 },
            fingerprint: labels.fingerprint(),
            labels,
            annotations: Labels::empty(),
            state: AlertState::Firing,
            severity,
            value: 1.0,
            peak: 1.0,
            condition: "> 0".into(),
            limit: None,
            active_at: Timestamp(0),
            fired_at: Some(Timestamp(0)),
            resolved_at: None,
            no_data_since: None,
            flapping: None,
            notify: Vec::new(),
            generator_url: None,
        };
        let kind =
            if over { TransitionKind::Resolved { reason: ResolveReason::Recovered } } else { TransitionKind::Fired };
        Arc::new(Notice {
            id: n.to_string(),
            handler: "chat".into(),
            kind: NoticeKind::Firing,
            reason: NoticeReason::First,
            at: Timestamp(n as i64),
            group: GroupRef::new(n.to_string(), Labels::empty()),
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

    #[test]
    fn a_digest_counts_by_the_labels_that_tell_most_and_names_the_worst() {
        let cluster = |n: usize| if n.is_multiple_of(3) { "b" } else { "a" };
        let severity = |n: usize| if n == 700 { Severity::Critical } else { Severity::Warning };
        let storm: Vec<_> =
            (0..1200).map(|n| notice(n, &[("cluster", cluster(n)), ("job", "db")], severity(n), n >= 1100)).collect();
        let told = digest(&storm, "30 messages in 1m").unwrap();
        assert_eq!(
            told.note.as_deref(),
            Some(
                "1200 alerts in 1200 groups at once, more than 30 messages in 1m: 1100 fire, 100 are over; alertname: disk \
                 1200; cluster: a 800, b 400; 700 of them are not named here, the page has them all"
            )
        );
        assert_eq!((told.id.as_str(), told.reason, told.kind), ("1199", NoticeReason::Digest, NoticeKind::Firing));
        assert_eq!(told.transitions.len(), DIGEST_ALERTS_MAX);
        assert_eq!(told.transitions[0].alert.severity, Severity::Critical, "the worst first");
    }

    #[test]
    fn an_alert_that_began_and_ended_meanwhile_is_told_once_as_over() {
        let storm = [
            notice(1, &[], Severity::Warning, false),
            notice(2, &[], Severity::Warning, false),
            notice(1, &[], Severity::Warning, true),
        ];
        let told = digest(&storm, "1 messages in 1m").unwrap();
        let over: Vec<bool> = told.transitions.iter().map(|t| is_over(t)).collect();
        assert_eq!(over, [false, true]);
        assert!(
            told.note
                .unwrap()
                .starts_with("2 alerts in 2 groups at once, more than 1 messages in 1m: 1 fire, 1 are over")
        );
        assert_eq!(digest(&[], ""), None);
    }
}
