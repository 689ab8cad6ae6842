//! How bad an alert is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Severity of an alert, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look in working hours.
    #[default]
    Warning,
    /// Something is broken.
    Error,
    /// Someone must act now.
    Critical,
}

impl Severity {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The word used in rule files, labels and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The severity that a label `severity` means, as alerts of many origins write it.
    pub fn from_label(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "emergency" | "fatal" | "disaster" | "p1" | "sev1" => Some(Self::Critical),
            "error" | "err" | "major" | "high" | "p2" | "sev2" => Some(Self::Error),
            "warning" | "warn" | "minor" | "medium" | "ticket" | "p3" | "sev3" => Some(Self::Warning),
            "info" | "information" | "informational" | "low" | "notice" | "none" | "debug" | "p4" | "p5" => {
                Some(Self::Info)
            }
            _ => None,
        }
    }

    /// The severity of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
