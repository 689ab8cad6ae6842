//! The saved form of a detector.
//!
//! Place in the flow: `persist` writes and reads it. Numbers are saved as their bits, because not every text format
//! gives back the very float it was given, and scores must not depend on a restart.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::alarm::Alarm;
use super::season::Seasonal;
use super::{Detector, Model, STATE_VERSION};

/// Why a saved detector cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum SavedError {
    #[error("detector state has version {0}, this program knows {STATE_VERSION}")]
    Version(u32),
    #[error("detector state is damaged: its season does not fit together")]
    Season,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    model: Model,
    alarm: Alarm,
    skipped: u64,
    /// Since version 2.
    #[serde(default)]
    seasonal: Option<Box<Seasonal>>,
}

impl From<Detector> for Saved {
    fn from(detector: Detector) -> Self {
        let Detector { model, alarm, skipped, seasonal } = detector;
        Self { version: STATE_VERSION, model, alarm, skipped, seasonal }
    }
}

impl TryFrom<Saved> for Detector {
    type Error = SavedError;

    fn try_from(saved: Saved) -> Result<Self, SavedError> {
        let Saved { version, model, alarm, skipped, seasonal } = saved;
        if !(1..=STATE_VERSION).contains(&version) {
            return Err(SavedError::Version(version));
        }
        if seasonal.as_ref().is_some_and(|seasonal| !seasonal.is_whole()) {
            return Err(SavedError::Season);
        }
        Ok(Self { model, alarm, skipped, seasonal })
    }
}

/// A float as its bits.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::detect) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(in crate::detect) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(f64::from_bits(u64::deserialize(deserializer)?))
    }
}
