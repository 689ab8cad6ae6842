//! `escalate` of rules and of routes: the steps, and what is wrong with them by themselves.
//!
//! Both dialects of files have it, so it is read here. Whether the names are those of handlers is known to the reader of
//! the file alone ([`names`]).

use std::sync::Arc;

use super::Node;
use super::shape::{Key, Kind, Shape};
use crate::diag::{Diagnostic, SourceFile};
use crate::model::escalation::ESCALATION_STEPS_MAX;
use crate::model::{EscalationStep, format_duration, parse_duration};

/// An element of `escalate:`.
pub static STEP: Shape = Shape {
    name: "escalation step",
    doc: "Who else is told of an alert that nobody acknowledges in time.",
    keys: &[
        Key::new(
            "after",
            Kind::Duration,
            "10m",
            "How long it is loud before: the time since it was first told here. Each step has a later one.",
        )
        .required(),
        Key::new("handlers", Kind::List(&Kind::Text), "[oncall]", "Names of handlers.").required(),
    ],
};
/// What stands under `escalate`.
pub const STEPS: Kind = Kind::List(&Kind::Object(&STEP));
/// An example of it.
pub const EXAMPLE: &str = "[{after: 10m, handlers: [oncall]}]";

/// The steps of a list whose shape was checked. `at_once` are those who are told without them.
pub fn read(file: &Arc<SourceFile>, list: &Node, at_once: &[&str], out: &mut Vec<Diagnostic>) -> Vec<EscalationStep> {
    let items = list.items().unwrap_or_default();
    if items.len() > ESCALATION_STEPS_MAX {
        let message = format!("the escalation has {} steps, more than {ESCALATION_STEPS_MAX}", items.len());
        let found = Diagnostic::error("A545", file, list.span.clone(), message);
        out.push(found.with_help("name several handlers in one step"));
        return Vec::new();
    }
    let mut steps: Vec<EscalationStep> = Vec::with_capacity(items.len());
    let mut told: Vec<&str> = at_once.to_vec();
    for item in items {
        let Some(after) = item.get("after") else { continue };
        let Some(time) = after.text().and_then(|text| parse_duration(text).ok()) else { continue };
        let before = steps.last().map(|step| step.after);
        if time <= before.unwrap_or_default() {
            let message = match before {
                Some(before) => {
                    format!("this step is not after the one before, which is at {}", format_duration(before))
                }
                None => "`after` must be longer than nothing".to_owned(),
            };
            let found = Diagnostic::error("A545", file, after.span.clone(), message);
            out.push(found.with_help("times count from when the alert is first told: write them rising, `10m`, `30m`"));
        }
        let Some(handlers) = item.get("handlers") else { continue };
        if handlers.items().is_some_and(<[Node]>::is_empty) {
            let found = Diagnostic::error("A018", file, handlers.span.clone(), "`handlers` is empty".to_owned());
            out.push(found.with_label("nobody would be told").with_help("name handlers, or remove the step"));
        }
        let names = || handlers.items().unwrap_or_default().iter();
        for (node, name) in names().filter_map(|node| Some((node, node.text()?))) {
            if told.contains(&name) {
                out.push(told_before(file, node, &format!("`{name}` is told before this step")));
            }
            told.push(name);
        }
        steps.push(EscalationStep { after: time, handlers: names().filter_map(Node::text).map(Arc::from).collect() });
    }
    steps
}

/// That a step tells somebody who knows already.
pub fn told_before(file: &Arc<SourceFile>, node: &Node, message: &str) -> Diagnostic {
    Diagnostic::warning("A546", file, node.span.clone(), message.to_owned())
        .with_label("the step tells nothing new")
        .with_help("whoever is told that an alert fires is reminded by `repeat_interval`")
}

/// The names of handlers in a list of steps.
pub fn names(list: &Node) -> impl Iterator<Item = &Node> {
    let steps = list.items().unwrap_or_default().iter();
    steps.filter_map(|step| step.get("handlers")?.items()).flatten()
}
