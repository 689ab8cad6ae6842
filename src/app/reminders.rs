//! Silences that end soon and still hide alerts that fire: people hear of them before those alerts come back.
//!
//! Place in the flow: own metrics are brought up to date with [`refresh`], the built-in rule `alertd_silence_ends` fires
//! on them, and its alert goes the way of all alerts: routes, handlers, retries, history. Nothing is told from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::hub::Hub;
use super::preview;
use crate::config::SilencesConfig;
use crate::model::{AlertState, Timestamp};
use crate::route::{Rails, Silence};

/// The metric: how many firing alerts a silence hides that ends soon.
const METRIC: &str = "alertd_silence_ending_alerts";
/// Most silences that people are reminded of at once; of more, the first to end count.
const ENDING_MAX: usize = 100;
/// Longest comment in a reminder, in characters.
const COMMENT_CHARS_MAX: usize = 100;
/// For how long a silence that is over, or was made longer, stands there as hiding nothing: until the alert is over.
const FADES_FOR: Duration = Duration::from_secs(600);

/// What is asked of silences, and when people are reminded of them.
#[derive(Clone, Debug)]
pub struct Silencing {
    /// What is asked.
    pub rails: Rails,
    /// How long before its end people are reminded of a silence; zero: never.
    pub remind_before: Duration,
}

impl Default for Silencing {
    fn default() -> Self {
        Self::of(&SilencesConfig::default())
    }
}

impl Silencing {
    /// As configured.
    pub fn of(config: &SilencesConfig) -> Self {
        let rails = Rails {
            min_matchers: config.min_matchers,
            max_duration: config.max_duration,
            max_recurring_duration: config.max_recurring_duration,
            comment_pattern: config.pattern(),
        };
        Self { rails, remind_before: config.remind_before }
    }
}

/// The labels of one reminder.
type Reminder = Vec<(&'static str, String)>;

/// The reminders that stand in the metrics, and since when they hide nothing.
#[derive(Default)]
pub struct Ending {
    shown: Mutex<BTreeMap<Reminder, Option<Timestamp>>>,
}

/// Brings the metric up to date.
pub fn refresh(hub: &Hub) {
    let now = hub.clock.now();
    let ending = ending(hub, hub.silencing.load().remind_before, now);
    let registry = hub.metrics.registry();
    let set = |reminder: &Reminder, alerts: usize| {
        let labels: Vec<(&str, &str)> = reminder.iter().map(|(name, value)| (*name, value.as_str())).collect();
        registry.gauge(METRIC, &labels).set(alerts as f64);
    };
    let mut shown = hub.ending.shown.lock().unwrap_or_else(PoisonError::into_inner);
    for (reminder, since) in shown.iter_mut().filter(|(reminder, _)| !ending.contains_key(*reminder)) {
        since.get_or_insert(now);
        set(reminder, 0);
    }
    for (reminder, alerts) in &ending {
        set(reminder, *alerts);
        shown.insert(reminder.clone(), None);
    }
    shown.retain(|reminder, since| {
        let stays = since.is_none_or(|since| now.since(since) < FADES_FOR);
        if !stays {
            let labels: Vec<(&str, &str)> = reminder.iter().map(|(name, value)| (*name, value.as_str())).collect();
            registry.forget(METRIC, &labels);
        }
        stays
    });
}

/// The silences that end soon, and how many firing alerts each of them hides.
fn ending(hub: &Hub, before: Duration, now: Timestamp) -> BTreeMap<Reminder, usize> {
    // One that is hardly longer than the warning needs none.
    let may_end = |silence: &&Arc<Silence>| {
        (silence.starts_at..silence.ends_at).contains(&now)
            && silence.over_at().since(silence.starts_at) > before
            && (silence.recurrence.is_some() || silence.ends_at.since(now) <= before)
    };
    let silences: Vec<Arc<Silence>> = hub.core().silences.iter().filter(may_end).cloned().collect();
    // Windows are looked for, and alerts compared, while nobody waits for the core.
    let soon = |silence: Arc<Silence>| {
        silence.window(now).filter(|window| window.ends_at.since(now) <= before)?;
        Some((silence.last_end(now)?, silence))
    };
    let mut found: Vec<(Timestamp, Arc<Silence>)> = silences.into_iter().filter_map(soon).collect();
    if found.is_empty() {
        return BTreeMap::new();
    }
    found.sort_by(|(a, one), (b, other)| (a, &one.id).cmp(&(b, &other.id)));
    let alerts = preview::leaving(hub);
    let firing = || alerts.iter().filter(|(alert, _)| alert.state == AlertState::Firing);
    let reminder = |(ends, silence): &(Timestamp, Arc<Silence>)| {
        let comment: String = silence.comment.chars().take(COMMENT_CHARS_MAX).collect();
        let author: String = silence.created_by.chars().take(COMMENT_CHARS_MAX).collect();
        let hidden = firing().filter(|(_, labels)| silence.covers(labels)).count();
        let labels =
            vec![("author", author), ("comment", comment), ("ends", ends.to_string()), ("silence", silence.id.clone())];
        (labels, hidden)
    };
    found.iter().take(ENDING_MAX).map(reminder).collect()
}
