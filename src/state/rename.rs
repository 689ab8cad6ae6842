//! Alerts of a rule that has another name than before: the label `alertname` follows, and nothing else changes.

use std::collections::BTreeMap;

use super::RuleState;
use super::displaced::is_displaced;
use crate::model::Fingerprint;
use crate::model::labels::ALERT_NAME;

/// Gives the alerts the name; the fingerprints that changed, from old to new.
pub fn rename(state: &mut RuleState, name: &str) -> BTreeMap<Fingerprint, Fingerprint> {
    let mut changed = BTreeMap::new();
    let mut moved = Vec::new();
    for (key, instance) in state.instances.iter_mut().filter(|(_, i)| i.labels.get(ALERT_NAME) != Some(name)) {
        let before = instance.labels.fingerprint();
        instance.labels = instance.labels.with(ALERT_NAME, name);
        changed.insert(before, instance.labels.fingerprint());
        if is_displaced(key, instance) {
            moved.push(key.clone());
        }
    }
    // Those that stand under their own labels stand under the new ones.
    for instance in moved.iter().filter_map(|key| state.instances.remove(key)).collect::<Vec<_>>() {
        state.instances.insert(instance.labels.clone(), instance);
    }
    changed
}
