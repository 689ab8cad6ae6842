//! Alerts whose rule is no longer known: it was removed while the process was down. What people were told of them is
//! taken back with what the saved state knows; the rest of the rule is gone.

use std::sync::Arc;

use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Now, Origin, ResolveReason, Severity, Transition};

use super::{Instance, RuleState, SEVERITY};

/// Ends every active alert of a rule that is known by its uid alone.
pub fn remove(uid: &Arc<str>, state: &mut RuleState, now: Now) -> Vec<Transition> {
    let mut transitions = Vec::new();
    for instance in state.instances.values_mut().filter(|i| i.is_active()) {
        let kind = instance.end(ResolveReason::RuleRemoved, now);
        state.sequence += 1;
        let alert = shown(uid, instance);
        transitions.push(Transition {
            at: now.slot,
            sequence: state.sequence,
            kind,
            alert,
            trend: Vec::new(),
            link: None,
        });
    }
    transitions
}

fn shown(uid: &Arc<str>, instance: &Instance) -> Alert {
    let label = |name| instance.labels.get(name);
    Alert {
        rule_uid: uid.clone(),
        rule: label(ALERT_NAME).map_or_else(|| uid.clone(), Arc::from),
        origin: Origin { file: Arc::from("a removed file"), line: 0 },
        fingerprint: instance.labels.fingerprint(),
        labels: instance.labels.clone(),
        annotations: instance.annotations.clone(),
        state: instance.state,
        severity: label(SEVERITY).and_then(Severity::from_name).unwrap_or_default(),
        value: instance.value,
        peak: instance.peak,
        condition: Arc::from(""),
        limit: None,
        active_at: instance.active_at,
        fired_at: instance.fired_at,
        resolved_at: instance.ended_at.map(|(at, _)| at),
        no_data_since: instance.no_data.map(|since| since.at),
        flapping: None,
        notify: Vec::new(),
        generator_url: None,
    }
}
