//! That a rule is known by another uid or name than before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Fingerprint;

/// A rule that was known otherwise: whatever is kept under the old uid and labels is kept under the new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The uid that it had.
    pub from: Arc<str>,
    /// The uid that it has.
    pub to: Arc<str>,
    /// The name that it has.
    pub name: Arc<str>,
    /// Its alerts: the fingerprints that they had, and those that they have.
    pub alerts: BTreeMap<Fingerprint, Fingerprint>,
}
