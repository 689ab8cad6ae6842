//! One report of an alert, and what makes it one that can be taken.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::ReceivedAlert;
use crate::model::{Labels, Timestamp};

/// Most labels of one alert, and most annotations.
pub const LABELS_MAX: usize = 128;
/// Most bytes of one alert's labels, annotations and link.
pub const ALERT_BYTES_MAX: usize = 64 * 1024;
/// Longest source that is shown, in characters.
const SOURCE_CHARS_MAX: usize = 200;

/// An alert as a source reports it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Labels; empty values are as if they were not there.
    pub labels: Vec<(String, String)>,
    /// Annotations.
    pub annotations: Vec<(String, String)>,
    /// Since when it fires; none stands for now, or for the end where that is given.
    pub starts_at: Option<Timestamp>,
    /// When it is over; none stands for a time after the report.
    pub ends_at: Option<Timestamp>,
    /// Where its source shows it.
    pub generator_url: String,
}

/// Why a report was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReportError {
    /// Nothing tells it from others.
    #[error("at least one label pair required")]
    NoLabels,
    /// A label or an annotation has no name.
    #[error("a label or annotation has an empty name")]
    NoName,
    /// Times that make no span.
    #[error("start time must be before end time")]
    Span,
    /// Too many labels or annotations.
    #[error("{0} labels or annotations, at most {LABELS_MAX} are taken")]
    Many(usize),
    /// Too long texts.
    #[error("{0} bytes of labels and annotations, at most {ALERT_BYTES_MAX} are taken")]
    Long(usize),
    /// There is no room for further alerts.
    #[error("no room: as many alerts as can be kept fire already")]
    Full,
}

impl Report {
    /// What names it in an error: its labels, as far as they go.
    pub fn name(&self) -> String {
        let mut name: String = Labels::from_pairs(self.labels.clone()).to_string();
        if let Some((cut, _)) = name.char_indices().nth(SOURCE_CHARS_MAX) {
            name.truncate(cut);
            name.push('…');
        }
        name
    }

    /// When it begins and ends, or why it cannot be taken.
    pub(super) fn span(
        &self,
        resolve_timeout: Duration,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), ReportError> {
        let labels = || self.labels.iter().filter(|(_, value)| !value.is_empty());
        let count = labels().count().max(self.annotations.len());
        if labels().next().is_none() {
            return Err(ReportError::NoLabels);
        }
        if count > LABELS_MAX {
            return Err(ReportError::Many(count));
        }
        if labels().chain(&self.annotations).any(|(name, _)| name.is_empty()) {
            return Err(ReportError::NoName);
        }
        let texts = labels().chain(&self.annotations).map(|(name, value)| name.len() + value.len());
        let bytes = texts.sum::<usize>() + self.generator_url.len();
        if bytes > ALERT_BYTES_MAX {
            return Err(ReportError::Long(bytes));
        }
        let starts_at = self.starts_at.or(self.ends_at).unwrap_or(now);
        let ends_at = self.ends_at.unwrap_or_else(|| now.plus(resolve_timeout));
        if ends_at < starts_at { Err(ReportError::Span) } else { Ok((starts_at, ends_at)) }
    }

    /// The alert that it reports, of a span that was found right.
    pub(super) fn reported(self, starts_at: Timestamp, ends_at: Timestamp, now: Timestamp) -> ReceivedAlert {
        let Self { mut labels, annotations, ends_at: given, generator_url, .. } = self;
        labels.retain(|(_, value)| !value.is_empty());
        ReceivedAlert {
            labels: Labels::from_pairs(labels),
            annotations: Labels::from_pairs(annotations),
            starts_at,
            ends_at,
            timeout: given.is_none(),
            updated_at: now,
            generator_url: Arc::from(generator_url),
            firing: false,
            sequence: 0,
            spared_until: None,
        }
    }
}

/// Whose rule made an alert, for people: the host of its link, without a user's name or password.
pub(super) fn origin(generator_url: &str) -> Arc<str> {
    let rest = generator_url.split_once("://").map(|(_, rest)| rest);
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = authority.map(|authority| authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    match host.filter(|host| !host.is_empty()) {
        Some(host) => Arc::from(format!("of {}", host.chars().take(SOURCE_CHARS_MAX).collect::<String>())),
        None => Arc::from("of another program"),
    }
}
