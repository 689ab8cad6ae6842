//! A notice as the templates of Alertmanager see it.

use std::sync::Arc;

use super::Occasion;
use crate::model::{Labels, Transition};
use crate::notify::links::generator;
use crate::notify::message::Message;
use crate::template::{Notification, NotifiedAlert};

/// The data of a message with at most so many alerts, and how many are left out.
pub(super) fn data(
    occasion: &Occasion<'_>,
    message: &Message,
    receiver: &str,
    alerts_max: usize,
) -> (Notification, usize) {
    let all = &occasion.notice.transitions;
    let shown: Vec<&Arc<Transition>> = message.order.iter().filter_map(|at| all.get(*at)).take(alerts_max).collect();
    let opens = occasion.fires && message.status != "firing";
    let data = Notification {
        receiver: quoted(receiver),
        status: if opens { "firing" } else { message.status },
        alerts: shown.iter().map(|transition| alert(transition, occasion.external_url, opens)).collect(),
        reason: message.reason,
        group_labels: message.group_labels.clone(),
        common_labels: Labels::common(shown.iter().map(|t| &t.alert.labels)),
        common_annotations: Labels::common(shown.iter().map(|t| &t.alert.annotations)),
        external_url: occasion.external_url.trim_end_matches('/').to_owned(),
    };
    (data, all.len() - shown.len())
}

/// `opens`: what is over by now is told as firing first, to a receiver that opens incidents.
fn alert(transition: &Transition, external_url: &str, opens: bool) -> NotifiedAlert {
    let alert = &transition.alert;
    let over = !opens && transition.kind.is_end();
    NotifiedAlert {
        status: if over { "resolved" } else { "firing" },
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.fired_at.unwrap_or(alert.active_at),
        ends_at: over.then(|| alert.resolved_at.unwrap_or(transition.at)),
        generator_url: match &alert.generator_url {
            Some(url) => url.to_string(),
            None => generator(external_url, &alert.rule_uid),
        },
        fingerprint: alert.fingerprint.to_string(),
    }
}

/// Go's regexp.QuoteMeta, through which Alertmanager puts the name of a receiver.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
