//! People say that they look after alerts, and that they do no longer: over the API, or by a link in a message.
//!
//! Place in the flow: the HTTP API asks; what changes is on the disk before it counts and before anybody hears of it.
//! Then routing looks at the alert's groups: reminders stop, and handlers with `on_mute` are told.

use serde_json::json;
use thiserror::Error;
use tracing::info;

use super::ack_links::Token;
use super::hub::{Core, Hub};
use crate::model::alert::CANARY;
use crate::model::{Ack, Alert, Fingerprint, LabelMatcher, Now, Timestamp};
use crate::persist::{HistoryKind, Kind, NewHistory, Record};
use crate::route::{AckChange, AlertKey};

/// Most alerts of one request.
pub const ACKED_AT_ONCE_MAX: usize = 1000;
/// Longest name and comment, in bytes.
pub const ACK_TEXT_BYTES_MAX: usize = 1024;

/// Why nobody looks after an alert now.
#[derive(Debug, Error)]
pub enum AckError {
    /// Nothing fires that is meant.
    #[error("no alert that fires fits {0}")]
    NoAlert(String),
    /// Too many are meant.
    #[error("{0} alerts fit, more than {ACKED_AT_ONCE_MAX}; say more exactly which are meant")]
    Many(usize),
    /// Nobody says who.
    #[error("an acknowledgement needs the name of whoever looks after the alert")]
    Nobody,
    /// A text is too long.
    #[error("{0} has at most {ACK_TEXT_BYTES_MAX} bytes")]
    Long(&'static str),
    /// The time is over before it began.
    #[error("an acknowledgement must end in the future")]
    Past,
    /// Everything would be meant.
    #[error("matchers that an alert without labels fits fit every alert; name one, such as alertname=\"DiskFull\"")]
    All,
    /// Nothing was changed, because it would not outlive the process.
    #[error("it cannot be stored, so nothing was changed: {0}")]
    NotStored(String),
}

/// Which alerts are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// The one with this fingerprint.
    Fingerprint(Fingerprint),
    /// Those that all of these fit.
    Matchers(Vec<LabelMatcher>),
}

/// Who looks after alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Their name.
    pub by: String,
    /// What they say; may be empty.
    pub comment: String,
    /// Until when, if not until the alert is over.
    pub until: Option<Timestamp>,
}

/// What a link in a message leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Led {
    /// To an alert that fires.
    To(Box<Alert>),
    /// To one that somebody looks after already.
    Taken(Box<Alert>, Ack),
    /// The alert is over, or began anew.
    Over,
    /// The link was used.
    Used,
    /// The link's time is over.
    Expired,
    /// No link of this installation.
    Unknown,
}

impl Hub {
    /// Somebody looks after alerts; which.
    pub fn acknowledge(&self, which: &Which, who: &Who) -> Result<Vec<Alert>, AckError> {
        let mut core = self.core();
        let now = self.now(&mut core);
        let ack = ack(who, now.slot)?;
        let keys = meant(&core, which, |_| true)?;
        let by = ack.by.clone();
        self.look_after(&mut core, &keys, (&AckChange { ack: Some(ack), link: None }, &by), now)
    }

    /// Nobody looks after alerts any more; which of them somebody did look after.
    pub fn withdraw(&self, which: &Which, by: &str) -> Result<Vec<Alert>, AckError> {
        let mut core = self.core();
        let now = self.now(&mut core);
        if by.len() > ACK_TEXT_BYTES_MAX {
            return Err(AckError::Long("a name"));
        }
        let keys = match meant(&core, which, |key| core.router.ack_of(key, now.slot).is_some()) {
            Err(AckError::NoAlert(words)) => return Err(AckError::NoAlert(format!("{words} and is acknowledged"))),
            other => other?,
        };
        self.look_after(&mut core, &keys, (&AckChange { ack: None, link: None }, by.trim()), now)
    }

    /// Where a link leads; changes nothing.
    pub fn look_up_link(&self, text: &str) -> Led {
        let now = self.clock.now();
        self.led(&self.core(), text, now).1
    }

    /// Takes what somebody says by a link; where it led, if nothing was changed.
    pub fn follow_link(&self, text: &str, who: &Who) -> Result<Result<Alert, Led>, AckError> {
        let mut core = self.core();
        let now = self.now(&mut core);
        let (key, led) = self.led(&core, text, now.slot);
        let (Some((key, link)), Led::To(_)) = (key, &led) else { return Ok(Err(led)) };
        let ack = ack(who, now.slot)?;
        let by = ack.by.clone();
        let change = AckChange { ack: Some(ack), link: Some(link) };
        let done = self.look_after(&mut core, &[key], (&change, &by), now)?;
        Ok(done.into_iter().next().ok_or(Led::Over))
    }

    fn led(&self, core: &Core, text: &str, now: Timestamp) -> (Option<(AlertKey, u64)>, Led) {
        let Some(token) = Token::read(text) else { return (None, Led::Unknown) };
        let claim = token.claim;
        let of = |(key, alert): &(&AlertKey, &Alert)| {
            key.fingerprint == claim.fingerprint && self.links.made(&token, &alert.rule_uid)
        };
        // Whether a link for an alert that is over is one of ours cannot be told: nothing is said of any alert.
        let Some((key, alert)) = core.router.firing().find(of) else { return (None, Led::Over) };
        let led = if alert.active_at != claim.active_at {
            Led::Over
        } else if core.router.is_link_used(key, claim.message) {
            Led::Used
        } else if claim.ends_at <= now {
            Led::Expired
        } else if let Some(ack) = core.router.ack_of(key, now) {
            Led::Taken(Box::new(alert.clone()), ack.clone())
        } else {
            Led::To(Box::new(alert.clone()))
        };
        (Some((key.clone(), claim.message)), led)
    }

    /// Stores the change, takes it over, and tells what comes of it.
    fn look_after(
        &self,
        core: &mut Core,
        keys: &[AlertKey],
        (change, by): (&AckChange, &str),
        now: Now,
    ) -> Result<Vec<Alert>, AckError> {
        let (mut records, mut history, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let Some(value) = core.router.saved_with(key, change) else { continue };
            let Some(alert) = core.router.firing_alert(key) else { continue };
            let value = serde_json::to_string(&value).map_err(|error| AckError::NotStored(error.to_string()))?;
            records.push(Record { kind: Kind::Told, id: key.record_id(), value });
            history.push(row(alert, (change, by), now.slot));
            done.push((key, alert.clone()));
        }
        self.keeper.put_now(records, history).map_err(AckError::NotStored)?;
        for (key, alert) in &done {
            let what = if change.ack.is_some() { "acknowledged" } else { "no longer acknowledged" };
            info!(rule = %alert.rule, labels = %alert.labels, by, by_link = change.link.is_some(), "An alert is {what}");
            core.router.acknowledge(key, change, now);
        }
        self.tell(core, Vec::new(), Some(Vec::new()), now);
        Ok(done.into_iter().map(|(_, alert)| alert).collect())
    }
}

fn ack(who: &Who, now: Timestamp) -> Result<Ack, AckError> {
    let by = who.by.trim();
    if by.is_empty() {
        return Err(AckError::Nobody);
    }
    for (what, text) in [("a name", by), ("a comment", &who.comment)] {
        if text.len() > ACK_TEXT_BYTES_MAX {
            return Err(AckError::Long(what));
        }
    }
    if who.until.is_some_and(|until| until <= now) {
        return Err(AckError::Past);
    }
    Ok(Ack { by: by.into(), comment: who.comment.trim().into(), at: now, until: who.until })
}

/// The alerts that are meant, of those that fire and `also` holds for. The one that proves that alerts are told is
/// nobody's to look after.
fn meant(core: &Core, which: &Which, also: impl Fn(&AlertKey) -> bool) -> Result<Vec<AlertKey>, AckError> {
    let all = core.router.firing().filter(|(key, _)| *key.rule_uid != *CANARY && also(key));
    let keys: Vec<AlertKey> = match which {
        Which::Fingerprint(fingerprint) => {
            all.filter(|(key, _)| key.fingerprint == *fingerprint).map(|(key, _)| key.clone()).collect()
        }
        Which::Matchers(matchers) if matchers.iter().all(LabelMatcher::fits_nothing) => return Err(AckError::All),
        Which::Matchers(matchers) => {
            let fits = |alert: &Alert| {
                let labels = core.routes.leaving(alert);
                matchers.iter().all(|matcher| matcher.matches(&labels))
            };
            all.filter(|(_, alert)| fits(alert)).map(|(key, _)| key.clone()).collect()
        }
    };
    match keys.len() {
        0 => Err(AckError::NoAlert(words(which))),
        many if many > ACKED_AT_ONCE_MAX => Err(AckError::Many(many)),
        _ => Ok(keys),
    }
}

fn words(which: &Which) -> String {
    match which {
        Which::Fingerprint(fingerprint) => fingerprint.to_string(),
        Which::Matchers(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The row of the history.
fn row(alert: &Alert, (change, by): (&AckChange, &str), at: Timestamp) -> NewHistory {
    let mut detail = json!({"by_link": change.link.is_some(), "by": by});
    if let Some(ack) = &change.ack {
        detail["comment"] = ack.comment.as_ref().into();
        detail["until"] = json!(ack.until);
    }
    NewHistory {
        reason: Some(if change.ack.is_some() { "acknowledged" } else { "withdrawn" }.to_owned()),
        detail: Some(detail.to_string()),
        ..NewHistory::of_alert(alert, at, HistoryKind::Ack)
    }
}
