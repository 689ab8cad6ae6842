//! Silences that end soon and still hide alerts that fire: people hear of them before those alerts come back.
//!
//! Place in the flow: own metrics are brought up to date with [`refresh`], the built-in rule `alertd_silence_ends` fires
//! on them, and its alert goes the way of all alerts: routes, handlers, retries, history. Nothing is told from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::hub::{Core, Hub};
use crate::config::SilencesConfig;
use crate::model::{AlertState, Labels, Timestamp};
use crate::route::silence::SilenceState;
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
        Self { rails: Rails::default(), remind_before: SilencesConfig::default().remind_before }
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
    let ending = ending(&hub.core(), hub.silencing.load().remind_before, now);
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
fn ending(core: &Core, before: Duration, now: Timestamp) -> BTreeMap<Reminder, usize> {
    let soon = |silence: &&Arc<Silence>| {
        let over_at = silence.over_at();
        // One that is hardly longer than the warning needs none.
        silence.state(now) == SilenceState::Active
            && over_at.since(now) <= before
            && over_at.since(silence.starts_at) > before
    };
    let mut found: Vec<&Arc<Silence>> = core.silences.iter().filter(soon).collect();
    if found.is_empty() {
        return BTreeMap::new();
    }
    found.sort_by_key(|silence| silence.over_at());
    let firing = super::views::active(core).into_iter().filter(|alert| alert.state == AlertState::Firing);
    let labels: Vec<Labels> = firing.map(|alert| core.routes.leaving(&alert)).collect();
    let reminder = |silence: &&Arc<Silence>| {
        let comment: String = silence.comment.chars().take(COMMENT_CHARS_MAX).collect();
        let author: String = silence.created_by.chars().take(COMMENT_CHARS_MAX).collect();
        let hidden = labels.iter().filter(|labels| silence.covers(labels)).count();
        let labels = vec![
            ("author", author),
            ("comment", comment),
            ("ends", silence.over_at().to_string()),
            ("silence", silence.id.clone()),
        ];
        (labels, hidden)
    };
    found.iter().take(ENDING_MAX).map(reminder).collect()
}
