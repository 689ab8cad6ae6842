//! What is told to people, and why something is not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Labels, ResolveReason, Timestamp, Transition, TransitionKind};

/// Why a transition is not told, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// The state is of no interest to receivers (pending, cancelled, data back).
    NotNotable,
    /// The last firing notice of this alert is younger than `cooldown`; told later if it still fires then.
    Cooldown,
    /// A silence covers the alert; told later if it still fires when the silence is over.
    Silenced,
    /// Somebody looks after the alert; told later if it still fires when that ends.
    Acknowledged,
    /// Another alert keeps it quiet; told later if it still fires when that one is over.
    Inhibited,
    /// The rule's time intervals keep it quiet; told later if it still fires then.
    Muted,
    /// The handler is one of a later step of the escalation; told then if nobody looks after the alert until that.
    NotEscalated,
    /// The firing notice was never sent, so there is nothing to take back.
    NeverTold,
    /// It was told to be over already: when it became quiet, or through another group.
    EndTold,
    /// Severity below the handler's `min_severity`.
    BelowMinSeverity,
    /// The handler does not want resolved notices.
    SendResolvedOff,
    /// It was over and fires again before people were told that it was over.
    Overtaken,
    /// The handler that was told no longer exists.
    HandlerGone,
}

impl HeldReason {
    /// The words shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNotable => "not notable",
            Self::Cooldown => "cooldown",
            Self::Silenced => "silenced",
            Self::Acknowledged => "acknowledged",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
            Self::NotEscalated => "not yet escalated",
            Self::NeverTold => "firing was never told",
            Self::EndTold => "its end was told before",
            Self::BelowMinSeverity => "below min_severity",
            Self::SendResolvedOff => "send_resolved is off",
            Self::Overtaken => "fired again before it was told",
            Self::HandlerGone => "the handler is gone",
        }
    }

    /// Whether it ends by itself, and the alert is told then if it still fires.
    pub const fn ends(self) -> bool {
        self.mutes() || matches!(self, Self::Cooldown | Self::NotEscalated)
    }

    /// Whether somebody or something wants nobody to be told of an alert that fires.
    pub const fn mutes(self) -> bool {
        matches!(self, Self::Silenced | Self::Acknowledged | Self::Inhibited | Self::Muted)
    }

    /// As what an alert is told to be over that it mutes.
    pub const fn as_end(self) -> ResolveReason {
        match self {
            Self::Silenced => ResolveReason::Silenced,
            Self::Acknowledged => ResolveReason::Acknowledged,
            Self::Inhibited => ResolveReason::Inhibited,
            _ => ResolveReason::Muted,
        }
    }
}

/// A transition that a handler is not told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The handler; `None` where the reason does not depend on one.
    pub handler: Option<Arc<str>>,
    /// Why.
    pub reason: HeldReason,
    /// What holds it, in words: the silence, the alerts, the time interval; empty where the reason says all.
    pub detail: String,
    /// The alerts that inhibit it.
    pub by: Vec<Fingerprint>,
    /// When it will be told if the alert still fires.
    pub until: Option<Timestamp>,
    /// The transition.
    pub transition: Arc<Transition>,
}

impl Held {
    /// One of which the reason says all.
    pub fn because(reason: HeldReason, transition: Arc<Transition>) -> Self {
        Self { handler: None, reason, detail: String::new(), by: Vec::new(), until: None, transition }
    }
}

/// What keeps an alert from being told now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Muting {
    /// Silences, by id.
    pub silenced_by: Vec<String>,
    /// Alerts that inhibit it.
    pub inhibited_by: Vec<Fingerprint>,
    /// Who looks after it.
    pub acknowledged: Option<super::Ack>,
    /// Time intervals, by name: those of the rule, and those of its routes where all of these are quiet.
    pub muted_by: Vec<String>,
    /// All of it in words, one for each cause.
    pub words: Vec<(HeldReason, String)>,
}

impl Muting {
    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// An alert of it fires.
    Firing,
    /// None of its alerts fires any more.
    Resolved,
    /// Alerts of it fire, and all of them are quiet: somebody looks after them, or they are muted.
    Acknowledged,
}

impl NoticeKind {
    /// The word of the API and of payloads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// Why a notice goes out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    /// The first of its group since nothing of it fired.
    First,
    /// Further alerts of the group fire.
    NewAlerts,
    /// Alerts of the group resolved.
    Resolved,
    /// An alert is worse than was told.
    Raised,
    /// An alert is less bad than was told.
    Lowered,
    /// An alert comes and goes so often that it is told as firing until it is quiet.
    Flapping,
    /// What held the notice (a cooldown, a silence, a time interval) is over.
    HoldOver,
    /// Nobody acknowledged an alert in the time after which this handler is told of it.
    Escalated,
    /// What was told became quiet: by a silence, another alert, a time interval or an acknowledgement.
    Muted,
    /// `repeat_interval` has passed and it still fires.
    Repeat,
    /// It fired and resolved while the receiver could not be reached; this is the only message about it.
    FiredAndResolved,
    /// A storm: more than the handler's rate limit lets through is told as one.
    Digest,
    /// A person asked for it: `alertd send-test`.
    Test,
}

impl NoticeReason {
    /// The words of payloads and history (`notification_reason`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts",
            Self::Resolved => "resolved",
            Self::Raised => "raised",
            Self::Lowered => "lowered",
            Self::Flapping => "flapping",
            Self::HoldOver => "hold over",
            Self::Escalated => "escalated",
            Self::Muted => "muted",
            Self::Repeat => "repeat",
            Self::FiredAndResolved => "fired and resolved",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

/// The group of alerts that a notice is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRef {
    /// Its key, stable over restarts: the route's path, a colon, the group's labels. A hash of it is PagerDuty's
    /// `dedup_key` and the thread of mails.
    pub key: Arc<str>,
    /// The labels that its alerts share by `group_by`.
    pub labels: Labels,
    /// The labels of its route.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub route_labels: Labels,
}

impl GroupRef {
    /// One whose route has no labels.
    pub fn new(key: impl Into<Arc<str>>, labels: Labels) -> Self {
        Self { key: key.into(), labels, route_labels: Labels::empty() }
    }
}

/// One message for one handler: a row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable identity: a hash of the group, the handler and, of everything new in it, rule uid, fingerprint, episode
    /// and transition sequence; 32 hex digits. Sent along so that a receiver can tell a repeated delivery from a new
    /// message.
    pub id: String,
    /// The handler it is for.
    pub handler: Arc<str>,
    /// What it says.
    pub kind: NoticeKind,
    /// Why it goes out.
    pub reason: NoticeReason,
    /// When that was decided.
    pub at: Timestamp,
    /// What it is about.
    pub group: GroupRef,
    /// What people must know of the message itself: that another handler could not be told, why it is quiet, that it is
    /// escalated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of its alerts, those that are news and told as still firing: of which it was held until now, or until a step of an
    /// escalation, that they fire, or that flap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_over: Vec<Fingerprint>,
    /// Its alerts, never empty: first what is new, in the order of the rules, then what fires and was told before
    /// ([`TransitionKind::StillFiring`]).
    pub transitions: Vec<Arc<Transition>>,
}

impl Notice {
    /// The alerts that fire, then those that resolved.
    pub fn firing(&self) -> impl Iterator<Item = &Arc<Transition>> {
        self.transitions.iter().filter(|t| !t.kind.is_end())
    }

    /// The alerts that resolved.
    pub fn resolved(&self) -> impl Iterator<Item = &Arc<Transition>> {
        self.transitions.iter().filter(|t| t.kind.is_end())
    }

    /// Whether an alert of it is news, and does not only go along.
    pub fn is_news(&self, transition: &Transition) -> bool {
        transition.kind != TransitionKind::StillFiring || self.held_over.contains(&transition.alert.fingerprint)
    }

    /// The worst severity of its firing alerts, else of all.
    pub fn severity(&self) -> super::Severity {
        let worst = |mut all: Box<dyn Iterator<Item = &Arc<Transition>> + '_>| {
            let first = all.next()?.alert.severity;
            Some(all.fold(first, |worst, t| worst.max(t.alert.severity)))
        };
        worst(Box::new(self.firing())).or_else(|| worst(Box::new(self.transitions.iter()))).unwrap_or_default()
    }

    /// The instant from which its oldest news was true: the start of what people wait for.
    pub fn news_at(&self) -> Timestamp {
        let news = self.transitions.iter().filter(|t| t.kind != TransitionKind::StillFiring);
        news.map(|t| t.at).min().unwrap_or(self.at)
    }
}
