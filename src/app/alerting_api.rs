//! What the Alertmanager API v2 asks of the daemon: alerts that others report, and all that fire, as they stand.
//!
//! Alerts, groups and what holds them are computed when somebody asks, from the core's state at that instant; pending
//! alerts are ours alone and stand in `/api/v1/alerts`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::daemon::Daemon;
use super::hub::{Core, Hub};
use super::receiving::ReceiveError;
use super::silences_api::matchers;
use super::views;
use crate::http::{
    AlertGroup, AlertQuery, AlertStatus, AlertView, Alerting, ApiError, ErrorKind, PostedAlert, ReceiverView,
};
use crate::model::{Alert, AlertState, LabelMatcher, Labels, Timestamp};
use crate::notify::links::generator;
use crate::received::Report;
use crate::route::silence::SilenceState;
use crate::route::{Silence, Way};

/// An alert of a rule counts as over after so many intervals without an evaluation, as a Prometheus would have it.
const INTERVALS: u32 = 4;
/// The least interval that is counted so.
const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// Longest expression for the name of a handler, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;

impl Alerting for Daemon {
    fn post_alerts(&self, posted: Vec<PostedAlert>) -> Result<(), ApiError> {
        let reports = posted.into_iter().map(report).collect();
        self.hub.receive(reports, self.config.load().resolve_timeout()).map_err(refused)
    }

    fn firing(&self, query: &AlertQuery) -> Result<Vec<AlertView>, ApiError> {
        let asked = Asked::new(query)?;
        let standing = standing(&self.hub, &self.external_url(), &asked);
        let mut found: Vec<AlertView> = standing.into_iter().map(|(alert, _)| alert).collect();
        found.sort_by_key(|alert| alert.fingerprint);
        Ok(found)
    }

    fn alert_groups(&self, query: &AlertQuery) -> Result<Vec<AlertGroup>, ApiError> {
        let asked = Asked::new(query)?;
        Ok(grouped(standing(&self.hub, &self.external_url(), &asked), &asked, query.muted))
    }

    fn receivers(&self, texts: &[String]) -> Result<Vec<ReceiverView>, ApiError> {
        let wanted = matchers(texts)?;
        let core = self.hub.core();
        let named = core.routes.receivers.iter().filter(|receiver| !receiver.by_name_only);
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in named.map(|receiver| core.routes.shown_name(&receiver.name)) {
            if !names.contains(name) && wanted.iter().all(|matcher| matcher.matches(&labels_of(name))) {
                names.push(name.clone());
            }
        }
        Ok(names.into_iter().map(ReceiverView).collect())
    }

    fn routing(&self) -> String {
        self.routing.load().to_string()
    }
}

/// A posted alert as a report.
pub fn report(posted: PostedAlert) -> Report {
    Report {
        labels: posted.labels.into_iter().collect(),
        annotations: posted.annotations.unwrap_or_default().into_iter().collect(),
        starts_at: posted.starts_at,
        ends_at: posted.ends_at,
        generator_url: posted.generator_url.unwrap_or_default(),
    }
}

fn refused(error: ReceiveError) -> ApiError {
    let kind = match &error {
        ReceiveError::Many(_) => ErrorKind::TooLarge,
        ReceiveError::Wrong(_) => ErrorKind::BadData,
        ReceiveError::Full { .. } => ErrorKind::TooMany,
        ReceiveError::NotStored(_) => ErrorKind::Unavailable,
    };
    ApiError::new(kind, error.to_string())
}

/// The labels of a handler, as far as it has any.
fn labels_of(receiver: &str) -> Labels {
    Labels::from_pairs([("name", receiver)])
}

/// What is asked of alerts, ready to be compared.
struct Asked {
    filter: Vec<LabelMatcher>,
    receiver: Option<Regex>,
    receiver_matchers: Vec<LabelMatcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

impl Asked {
    fn new(query: &AlertQuery) -> Result<Self, ApiError> {
        let receiver = match &query.receiver {
            Some(text) if text.len() > PATTERN_BYTES_MAX => {
                return Err(ApiError::bad("failed to parse receiver param: it is too long"));
            }
            Some(text) => {
                let compiled = Regex::new(&format!("^(?:{text})$"));
                Some(compiled.map_err(|error| ApiError::bad(format!("failed to parse receiver param: {error}")))?)
            }
            None => None,
        };
        Ok(Self {
            filter: matchers(&query.filter)?,
            receiver,
            receiver_matchers: matchers(&query.receiver_matchers)?,
            active: query.active,
            silenced: query.silenced,
            inhibited: query.inhibited,
        })
    }

    fn wants_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| receiver.is_match(name))
            && self.receiver_matchers.iter().all(|matcher| matcher.matches(&labels_of(name)))
    }

    fn asks_receivers(&self) -> bool {
        self.receiver.is_some() || !self.receiver_matchers.is_empty()
    }

    fn wants(&self, status: &AlertStatus) -> bool {
        let AlertStatus { silenced_by, inhibited_by, muted_by } = status;
        let is_active = silenced_by.is_empty() && inhibited_by.is_empty() && muted_by.is_empty();
        (self.active || !is_active)
            && (self.silenced || silenced_by.is_empty())
            && (self.inhibited || inhibited_by.is_empty())
    }
}

/// An alert that fires, and when it was known to last, and until when that holds; and what inhibits it.
type Known = (Alert, Timestamp, Timestamp, Vec<String>);

/// Alerts that fire and are asked for, with where each goes.
fn standing(hub: &Hub, external_url: &str, asked: &Asked) -> Vec<(AlertView, Vec<Way>)> {
    let now = hub.clock.now();
    // The core is held for as long as it is copied; all else, which may take long, is done beside it.
    let (known, routes, silences) = {
        let core = hub.core();
        let active = core.silences.iter().filter(|silence| silence.state(now) == SilenceState::Active);
        (known(&core, now), Arc::clone(&core.routes), active.cloned().collect::<Vec<Arc<Silence>>>())
    };
    let mut found = Vec::new();
    for (alert, updated_at, ends_at, inhibited_by) in known {
        let labels = routes.leaving(&alert);
        if !asked.filter.iter().all(|matcher| matcher.matches(&labels)) {
            continue;
        }
        let ways = routes.ways(&alert, now);
        let receivers: BTreeSet<ReceiverView> =
            ways.iter().flat_map(|way| &way.receivers).map(|name| ReceiverView(name.clone())).collect();
        if asked.asks_receivers() && !receivers.iter().any(|receiver| asked.wants_receiver(&receiver.0)) {
            continue;
        }
        let covering = silences.iter().filter(|silence| silence.covers(&labels));
        let status = AlertStatus {
            silenced_by: covering.map(|silence| silence.id.clone()).collect(),
            inhibited_by,
            muted_by: routes.muted_by_rule(&alert, now).iter().map(ToString::to_string).collect(),
        };
        if !asked.wants(&status) {
            continue;
        }
        let view = AlertView {
            fingerprint: labels.fingerprint(),
            receivers: receivers.into_iter().collect(),
            starts_at: alert.fired_at.unwrap_or(alert.active_at),
            ends_at,
            updated_at,
            status,
            generator_url: match &alert.generator_url {
                Some(url) => url.to_string(),
                None => generator(external_url, &alert.rule_uid),
            },
            annotations: alert.annotations,
            labels,
        };
        found.push((view, ways));
    }
    found
}

/// Every alert that fires.
fn known(core: &Core, now: Timestamp) -> Vec<Known> {
    let mut known = Vec::new();
    let inhibited_by = |alert: &Alert| {
        let sources = core.router.inhibitors(alert).into_iter();
        sources.map(|source| core.routes.leaving(source).fingerprint().to_string()).collect::<Vec<String>>()
    };
    for rule in core.engine.rules().iter() {
        let Some(state) = core.engine.state(&rule.uid) else { continue };
        let updated_at = state.evaluated_at.unwrap_or(now);
        let ends_at = updated_at.plus(rule.schedule.every_hint().max(INTERVAL_MIN) * INTERVALS);
        let firing = views::of_rule(core, rule).into_iter().filter(|alert| alert.state == AlertState::Firing);
        known.extend(firing.map(|alert| {
            let inhibited_by = inhibited_by(&alert);
            (alert, updated_at, ends_at, inhibited_by)
        }));
    }
    known.extend(core.received.firing().map(|alert| {
        let shown = alert.shown();
        let inhibited_by = inhibited_by(&shown);
        (shown, alert.updated_at, alert.over_at(), inhibited_by)
    }));
    known
}

/// Alerts by group and handler: by the group's labels, then by the handler.
fn grouped(standing: Vec<(AlertView, Vec<Way>)>, asked: &Asked, muted: bool) -> Vec<AlertGroup> {
    let mut groups: BTreeMap<(Labels, ReceiverView, Arc<str>), Vec<AlertView>> = BTreeMap::new();
    for (alert, ways) in standing {
        for way in ways.into_iter().filter(|way| muted || way.muted.is_none()) {
            let mut alert = alert.clone();
            alert.status.muted_by.extend(way.muted.iter().map(ToString::to_string));
            for name in way.receivers.iter().filter(|name| asked.wants_receiver(name)) {
                let key = (way.group.labels.clone(), ReceiverView(name.clone()), way.group.key.clone());
                groups.entry(key).or_default().push(alert.clone());
            }
        }
    }
    let sorted = groups.into_iter().map(|((labels, receiver, _), mut alerts)| {
        alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
        AlertGroup { alerts, labels, receiver }
    });
    sorted.collect()
}

impl Daemon {
    /// How people reach the server.
    fn external_url(&self) -> String {
        let config = self.config.load();
        config.external_url.clone().unwrap_or_else(|| format!("http://{}", config.listen))
    }
}
