//! A310: a template that reads well and fails whenever it is rendered.

use super::{Check, Context, Found};
use crate::diag::Diagnostic;
use crate::lint::subject::Subject;

pub(super) const CHECK: Check = Check::rule("A310", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    for pair in rule.labels.iter().chain(&rule.annotations) {
        let Some(template) = pair.template else { continue };
        for failure in template.failures() {
            let place = pair.value.locate(&rule.file.text, failure.span.clone());
            let mut found = Diagnostic::warning("A310", rule.file, place, failure.message.clone());
            (found.label, found.help) = (failure.label.clone(), failure.help.clone());
            out.push(found);
        }
    }
}
