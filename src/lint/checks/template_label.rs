//! A303: a template that reads a label which the query drops.

use super::{Check, Context, Found};
use crate::lint::flow::flow;
use crate::lint::subject::{Makes, Subject};

pub(super) const CHECK: Check = Check::rule("A303", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let Some(formula) = rule.decides().filter(|_| rule.makes == Makes::Alerts) else { return };
    let templates =
        || rule.labels.iter().chain(&rule.annotations).filter_map(|pair| Some((pair, pair.template.as_ref()?)));
    if templates().next().is_none() {
        return;
    }
    let below = flow(&formula.expr);
    for (pair, template) in templates() {
        for (label, at) in template.label_references() {
            if below.may(&label) {
                continue;
            }
            let cut = below.cut.as_ref().map(|cut| formula.shown(cut));
            let message = match cut {
                Some(cut) => format!("the template reads the label `{label}`, which `{cut}` drops"),
                None => format!("the template reads the label `{label}`, which the query does not have"),
            };
            let place = pair.value.locate(&rule.file.text, at);
            let found = crate::diag::Diagnostic::warning("A303", rule.file, place, message);
            let own = rule.labels.iter().any(|pair| pair.key.text() == Some(&*label));
            let help = if own {
                format!(
                    "`$labels` holds the labels of the query; those of the rule, such as `{label}`, are not among them"
                )
            } else if formula.text.contains("by") {
                format!("keep it in the query: add `{label}` to `by`")
            } else {
                format!("keep it in the query: `by ({label})`")
            };
            out.push(found.with_label("is always empty").with_help(help));
        }
    }
}
