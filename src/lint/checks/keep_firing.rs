//! A453: `keep_firing_for` that is shorter than the interval, and so lasts one evaluation whatever it says.

use super::{Check, Context, Found};
use crate::lint::subject::Subject;
use crate::model::format_duration;

pub(super) const CHECK: Check = Check::rule("A453", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let Some((keep, node)) = rule.duration("keep_firing_for").filter(|(keep, _)| !keep.is_zero()) else { return };
    let Some(every) = rule.every.filter(|every| keep < *every) else { return };
    let every = format_duration(every);
    let message = format!("`keep_firing_for` is shorter than the interval: the alert goes on for {every} all the same");
    let found = rule.warn_at("A453", node, message).with_label(format!("evaluated every {every}"));
    out.push(found.with_help(format!("write `{every}`, which it is, or longer")));
}
