//! `silences:` in `alertd.yaml`: what is asked of a silence, and when people are reminded of one.

use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::keys::TEXTS;
use super::server::duration;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;
use crate::yaml::shape::{Key, Kind, Shape};

/// Most matchers that may be asked for.
const MIN_MATCHERS_MAX: u64 = 16;
/// Largest pattern of comments, compiled.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// `silences:`.
pub(super) static SILENCES: Shape = Shape {
    name: "silences",
    doc: "What is asked of a silence before it is made, so that none hides more, or for longer, than somebody meant. Those \
          that are there stay, and can always be ended.",
    keys: &[
        Key::new(
            "min_matchers",
            Kind::Integer(0, MIN_MATCHERS_MAX),
            "2",
            "Fewest matchers, of each set, that leave something out: `host=~\".*\"` does not count.",
        )
        .or("0"),
        Key::new(
            "max_duration",
            Kind::Duration,
            "30d",
            "The longest time for which a silence may hide anything without a break; of a recurring one, its longest window.",
        ),
        Key::new(
            "max_recurring_duration",
            Kind::Duration,
            "365d",
            "The longest time from the start of a recurring silence to its end.",
        ),
        Key::new(
            "comment_pattern",
            Kind::Text,
            "'^OPS-[0-9]+'",
            "A regular expression that must match somewhere in the comment, such as the number of a ticket.",
        ),
        Key::new(
            "remind_before",
            Kind::Duration,
            "1h",
            "How long before its end the built-in rule `alertd_silence_ends` tells of a silence that still hides alerts that \
             fire; `0s`: never. A silence that lasts no longer than this is not told of.",
        )
        .or("15m"),
        Key::new(
            "notify",
            TEXTS,
            "[mail]",
            "Handlers that are told of it; without it those of the other built-in rules, or those that the route leads to.",
        ),
    ],
};

/// `silences:`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SilencesConfig {
    /// Fewest matchers of each set that leave something out.
    pub min_matchers: usize,
    /// The longest time without a break.
    #[serde(deserialize_with = "some_duration")]
    pub max_duration: Option<Duration>,
    /// The longest time from start to end of a recurring one.
    #[serde(deserialize_with = "some_duration")]
    pub max_recurring_duration: Option<Duration>,
    /// What a comment must match.
    pub comment_pattern: Option<String>,
    /// How long before its end people are reminded.
    #[serde(deserialize_with = "duration")]
    pub remind_before: Duration,
    /// Handlers that are told then.
    pub notify: Vec<String>,
}

impl Default for SilencesConfig {
    fn default() -> Self {
        Self {
            min_matchers: 0,
            max_duration: None,
            max_recurring_duration: None,
            comment_pattern: None,
            remind_before: Duration::from_secs(15 * 60),
            notify: Vec::new(),
        }
    }
}

impl SilencesConfig {
    /// The pattern of comments; none where there is none, or none that can be used, which was reported.
    pub fn pattern(&self) -> Option<Regex> {
        compiled(self.comment_pattern.as_deref()?).ok()
    }
}

fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build()
}

fn some_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// What the shape cannot say.
pub(super) fn check(file: &Arc<SourceFile>, root: &Node, config: &SilencesConfig, out: &mut Vec<Diagnostic>) {
    let Some(section) = root.get("silences") else { return };
    let mut refuse = |key: &str, message: String, label: &str, help: &str| {
        let Some((_, node)) = section.entry(key) else { return };
        let found = Diagnostic::error("A518", file, node.span.clone(), message);
        out.push(found.with_label(label.to_owned()).with_help(help.to_owned()));
    };
    let limits = [("max_duration", config.max_duration), ("max_recurring_duration", config.max_recurring_duration)];
    for (key, _) in limits.into_iter().filter(|(_, limit)| *limit == Some(Duration::ZERO)) {
        let message = format!("`{key}` of nothing refuses every silence");
        refuse(key, message, "expected a duration such as `30d`", "leave it out where there is no limit");
    }
    if let Some(pattern) = &config.comment_pattern
        && let Err(error) = compiled(pattern)
    {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let help = "write it as in `^OPS-[0-9]+`; it may match anywhere in the comment";
        refuse(
            "comment_pattern",
            format!("`comment_pattern` is no regular expression: {reason}"),
            "cannot be read",
            help,
        );
    }
}
