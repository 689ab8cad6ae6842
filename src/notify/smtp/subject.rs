//! The subject: what and how bad, in the length that a phone shows.

use std::collections::BTreeMap;

use minijinja::Environment;
use serde_json::json;

use super::settings::one_line;
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Labels, Notice, NoticeKind, NoticeReason};

/// Longest subject, in characters.
pub(super) const SUBJECT_CHARS_MAX: usize = 150;
/// Longest label in a subject, in characters.
const LABEL_CHARS_MAX: usize = 40;
/// Most names of alerts in a subject; the rest is counted.
const NAMES_MAX: usize = 3;
/// Steps that a template may take.
const FUEL_MAX: u64 = 50_000;
/// Most characters that a template may read of one value, so that it cannot multiply a large one.
const VALUE_CHARS_MAX: usize = 1000;

/// The subject that is made without a template: `[FIRING:2] DiskFull (critical) host=a`.
pub(super) fn standard(notice: &Notice) -> String {
    one_line(&format!("[{}] {}", status(notice), title(notice)), SUBJECT_CHARS_MAX)
}

/// The subject of a template.
pub(super) fn of_template(template: &str, notice: &Notice, external_url: &str) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL_MAX));
    let failed = |error: &dyn std::fmt::Display| one_line(&error.to_string(), SUBJECT_CHARS_MAX);
    let context: minijinja::Value = serde_json::from_value(context(notice, external_url)).map_err(|e| failed(&e))?;
    let text = environment.render_str(template, context).map_err(|e| failed(&e))?;
    let text = one_line(&text, SUBJECT_CHARS_MAX);
    if text.is_empty() { Err("it gives nothing".to_owned()) } else { Ok(text) }
}

fn status(notice: &Notice) -> String {
    match (notice.reason, notice.kind) {
        (NoticeReason::Test, _) => "TEST".to_owned(),
        (NoticeReason::Digest, NoticeKind::Firing) => format!("STORM FIRING:{}", notice.firing().count()),
        (_, NoticeKind::Firing) => format!("FIRING:{}", notice.firing().count()),
        (_, NoticeKind::Resolved) => "RESOLVED".to_owned(),
        (_, NoticeKind::Acknowledged) => "ACKNOWLEDGED".to_owned(),
    }
}

/// Names, worst severity, and the labels that tell which group it is.
pub(super) fn title(notice: &Notice) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in notice.transitions.iter().map(|t| name(&t.alert)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut title =
        names.iter().take(NAMES_MAX).map(|n| one_line(n, 2 * LABEL_CHARS_MAX)).collect::<Vec<_>>().join(", ");
    if more > 0 {
        title.push_str(&format!(" and {more} more"));
    }
    title.push_str(&format!(" ({})", notice.severity()));
    let common = Labels::common(notice.transitions.iter().map(|t| &t.alert.labels));
    for (name, value) in place(notice, &common).iter() {
        title.push_str(&format!(" {}={}", one_line(name, LABEL_CHARS_MAX), one_line(value, LABEL_CHARS_MAX)));
    }
    title
}

/// The labels of the group; where it has none but the name, those that all its alerts share.
fn place(notice: &Notice, common: &Labels) -> Labels {
    let tells = |labels: &Labels| labels.filtered(|name| !matches!(name, ALERT_NAME | "severity"));
    let group = tells(&notice.group.labels);
    if group.is_empty() { tells(common) } else { group }
}

/// The name people know the alert by.
pub(super) fn name(alert: &Alert) -> &str {
    alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule)
}

/// What a template can read; the check knows the same names ([`SUBJECT_NAMES`](crate::config::smtp::SUBJECT_NAMES)).
fn context(notice: &Notice, external_url: &str) -> serde_json::Value {
    let short = |text: &str| text.chars().take(VALUE_CHARS_MAX).collect::<String>();
    let map = |labels: &Labels| labels.iter().map(|(n, v)| (short(n), short(v))).collect::<BTreeMap<_, _>>();
    json!({
        "status": notice.kind.as_str(),
        "reason": notice.reason.as_str(),
        "severity": notice.severity(),
        "title": short(&title(notice)),
        "handler": notice.handler,
        "group_labels": map(&notice.group.labels),
        "route_labels": map(&notice.group.route_labels),
        "common_labels": map(&Labels::common(notice.transitions.iter().map(|t| &t.alert.labels))),
        "common_annotations": map(&Labels::common(notice.transitions.iter().map(|t| &t.alert.annotations))),
        "firing": notice.firing().count(),
        "resolved": notice.resolved().count(),
        "external_url": external_url,
    })
}
