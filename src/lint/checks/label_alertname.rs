//! A306: a label that the name of the alert overwrites.

use super::{Check, Context, Found};
use crate::lint::subject::{Makes, Subject};

pub(super) const CHECK: Check = Check::rule("A306", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    for pair in rule.labels.iter().filter(|pair| rule.makes == Makes::Alerts && pair.key.text() == Some("alertname")) {
        let found = rule.warn_at("A306", pair.key, "the label `alertname` is always the name of the alert");
        out.push(found.with_label("is overwritten").with_help("remove it, or give the label another name"));
    }
}
