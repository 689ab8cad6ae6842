//! Alerts of a rule that has another name than before: the label `alertname` follows, and nothing else changes.

use std::collections::BTreeMap;

use super::RuleState;
use crate::model::Fingerprint;
use crate::model::labels::ALERT_NAME;

/// Gives the alerts the name; the fingerprints that changed, from old to new.
pub fn rename(state: &mut RuleState, name: &str) -> BTreeMap<Fingerprint, Fingerprint> {
    let mut changed = BTreeMap::new();
    for instance in state.instances.values_mut().filter(|i| i.labels.get(ALERT_NAME) != Some(name)) {
        let before = instance.labels.fingerprint();
        instance.labels = instance.labels.with(ALERT_NAME, name);
        changed.insert(before, instance.labels.fingerprint());
    }
    changed
}
