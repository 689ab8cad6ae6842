//! Recording rules: the result of an expression as a series of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Severity;
use crate::rule::native::NO_DATA_TIMEOUT;
use crate::rule::reader::{Reader, View};
use crate::rule::{Condition, Group, OnMissing, Rule};
use crate::schedule::{MuteTimes, Schedule};
use crate::template::Template;
use crate::yaml::Node;

/// Keys of an alerting rule that a recording rule may have as well.
const SHARED: [&str; 8] = ["record", "expr", "source", "labels", "uid", "renamed_from", "enabled", "description"];

impl Reader<'_> {
    /// The recording rule as evaluated; `None` if an error keeps it from being one.
    pub(super) fn recording(&mut self, view: &View<'_>, name: &Node, group: &Arc<Group>) -> Option<Rule> {
        self.alerting_keys(view);
        self.record_name(name);
        let given = view.own("expr").filter(|(_, node)| node.text() != Some(""));
        let query = given.and_then(|(_, node)| self.query(node))?;
        let source = self.source(view);
        let description = view.own("description").and_then(|(_, node)| self.template(node));
        Some(Rule {
            uid: Arc::from(""),
            renamed_from: view.own("renamed_from").and_then(|(_, node)| node.text()).map(Arc::from),
            also_known_as: None,
            name: Arc::from(name.text()?),
            group: Some(Arc::clone(group)),
            internal: false,
            origin: self.origin(name),
            description,
            severity: Severity::default(),
            severity_label: false,
            enabled: view.own("enabled").map_or(Some(true), |(_, node)| node.boolean())?,
            source: source?,
            schedule: Schedule::Every(group.interval),
            condition: Condition::Record { query },
            hold: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            cooldown: Duration::ZERO,
            notify: Vec::new(),
            escalate: None,
            labels: literals(view),
            annotations: Vec::new(),
            on_no_data: None,
            no_data_timeout: NO_DATA_TIMEOUT,
            on_error: OnMissing::Keep,
            alerts_max: 0,
            times: MuteTimes { mute: Vec::new(), active: Vec::new() },
            tests: Vec::new(),
        })
    }

    /// Refuses what only an alert can have. As in Prometheus `for: 0s` says nothing, and empty annotations neither.
    fn alerting_keys(&mut self, view: &View<'_>) {
        for (key, value) in view.own.entries().unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            let known = crate::rule::group_keys::GROUP_RULE.keys.iter().any(|k| k.name == name);
            let idle = match name {
                "alert" => true,
                "for" | "keep_firing_for" => view.duration(name).is_none_or(|d| d.is_zero()),
                "annotations" => value.entries().is_none_or(<[_]>::is_empty),
                _ => false,
            };
            if !known || idle || SHARED.contains(&name) {
                continue;
            }
            let found = self.error("A422", key.span.clone(), format!("a recording rule has no `{name}`"));
            let help = "it records a series and tells nobody; make an alerting rule that reads it";
            self.out.push(found.with_label("belongs to alerting rules").with_help(help));
        }
    }

    fn record_name(&mut self, node: &Node) {
        let name = node.text().unwrap_or_default();
        let Some(at) = name.find(['{', '}']) else { return };
        let found =
            self.error("A423", self.inside(node, at..at + 1), format!("`{name}` is no name of a series to record"));
        let help = "matchers belong to `expr`, labels of the new series go under `labels`";
        self.out.push(found.with_label("braces in a name").with_help(help));
    }
}

/// The labels of a recording rule, which are no templates.
fn literals(view: &View<'_>) -> Vec<(Arc<str>, Template)> {
    let pair = |(name, value): &(Node, Node)| Some((Arc::from(name.text()?), Template::literal(value.text()?)));
    view.merged("labels").into_iter().filter_map(pair).collect()
}
