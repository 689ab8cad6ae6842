//! The body over templates of messages, which the fuzz target of templates runs too.

use alertd::model::{Labels, Timestamp};
use alertd::template::{Manner, Notification, NotifiedAlert, TemplateSet};

use super::{T0_MS, within};

/// Rendering ends within its limits and is repeatable, as text and as a page.
pub fn message_template(text: &str) {
    let template = match TemplateSet::default().template(text) {
        Ok(template) => template,
        Err(errors) => return errors.iter().for_each(|error| within(&error.span, text)),
    };
    let labels = Labels::from_pairs([("alertname", "A"), ("job", "a b\"<é>&javascript:x()")]);
    let alert = NotifiedAlert {
        status: "firing",
        labels: labels.clone(),
        annotations: labels.clone(),
        starts_at: Timestamp(T0_MS),
        ends_at: None,
        generator_url: "javascript:x()".to_owned(),
        fingerprint: "0".to_owned(),
    };
    let data = Notification {
        status: "firing",
        alerts: vec![alert],
        group_labels: labels.clone(),
        common_labels: labels,
        ..Notification::default()
    };
    for manner in [Manner::Text, Manner::Html] {
        let render = || template.notification(&data.dot(), manner, Timestamp(T0_MS)).map_err(|error| error.to_string());
        assert_eq!(render(), render());
    }
}
