//! Alerting rules of a group, with the keys that alertd adds.

use std::sync::Arc;

use crate::model::Severity;
use crate::rule::native::{ALERTS_MAX, NO_DATA_TIMEOUT, least_severity, on_missing};
use crate::rule::reader::{Reader, View};
use crate::rule::{Group, Rule};
use crate::schedule::Schedule;
use crate::template::Template;
use crate::yaml::Node;

/// Most alerts of a rule whose group has no `limit`, which Prometheus takes for "any number".
const GROUP_ALERTS_MAX: usize = 100 * ALERTS_MAX;
const SEVERITY: &str = "severity";

impl Reader<'_> {
    /// The alerting rule as evaluated; `None` if an error keeps it from being one.
    pub(super) fn alerting(&mut self, view: &View<'_>, name: &Node, group: &Arc<Group>) -> Option<Rule> {
        let severity_label = view.own(SEVERITY).is_some();
        let severity = self.group_severity(view);
        let has_expr = view.own("expr").is_some_and(|(_, node)| node.text().is_some_and(|text| !text.is_empty()));
        let condition = has_expr.then(|| self.condition(view, severity)).flatten();
        let hold = view.duration("for").unwrap_or_default();
        self.delay_warning(view, group.interval, hold);
        let description = view.own("description").and_then(|(_, node)| self.template(node));
        let labels = self.group_labels(view);
        let annotations = self.templates(view, "annotations");
        let escalate = self.told(view);
        let times = self.mute_times(view);
        let tests = self.cases(view);
        let most = view.get("max_alerts").and_then(Node::integer).and_then(|n| usize::try_from(n).ok());
        let condition = condition?;
        let source = self.source(view);
        Some(Rule {
            uid: Arc::from(""),
            renamed_from: view.own("renamed_from").and_then(|(_, node)| node.text()).map(Arc::from),
            also_known_as: None,
            name: Arc::from(name.text()?),
            group: Some(Arc::clone(group)),
            internal: false,
            origin: self.origin(name),
            description,
            severity: least_severity(&condition).unwrap_or(severity),
            severity_label,
            enabled: view.own("enabled").map_or(Some(true), |(_, node)| node.boolean())?,
            source: source?,
            schedule: Schedule::Every(group.interval),
            condition,
            hold,
            keep_firing_for: view.duration("keep_firing_for").unwrap_or_default(),
            cooldown: view.duration("cooldown").unwrap_or_default(),
            notify: view.names("notify"),
            escalate,
            labels,
            annotations,
            on_no_data: on_missing(view, "on_no_data"),
            no_data_timeout: view.duration("no_data_timeout").unwrap_or(NO_DATA_TIMEOUT),
            on_error: on_missing(view, "on_error").unwrap_or_default(),
            alerts_max: most.unwrap_or(GROUP_ALERTS_MAX).min(group.limit.unwrap_or(usize::MAX)),
            times,
            tests,
        })
    }

    /// The key `severity`, else what the label of that name says.
    fn group_severity(&mut self, view: &View<'_>) -> Severity {
        let label = view.own.get("labels").and_then(|labels| labels.entry(SEVERITY));
        if let (Some((key, value)), Some((later, _))) = (view.own(SEVERITY), label) {
            let place = if later.span.start > key.span.start { later } else { key };
            let found = self.error("A016", place.span.clone(), "`severity` is given twice, as a key and as a label");
            self.out.push(found.with_label("given twice").with_help("keep one of the two"));
            return value.text().and_then(Severity::from_name).unwrap_or_default();
        }
        match view.own(SEVERITY) {
            Some((_, value)) => value.text().and_then(Severity::from_name).unwrap_or_default(),
            None => {
                let labels = view.merged("labels");
                let label = labels.into_iter().find(|(name, _)| name.text() == Some(SEVERITY));
                label.and_then(|(_, value)| Severity::from_label(value.text()?)).unwrap_or_default()
            }
        }
    }

    /// Labels of the group and of the rule. Prometheus reads templates in the group's labels only when it fills them
    /// in, so that one that does not parse is a warning there and an error here.
    fn group_labels(&mut self, view: &View<'_>) -> Vec<(Arc<str>, Template)> {
        let mut out = Vec::new();
        for (name, value) in view.merged("labels") {
            let own = view.own.get("labels").is_some_and(|labels| labels.get(name.text().unwrap_or("")).is_some());
            let before = self.out.len();
            let template = self.template(value);
            let (Some(name), Some(text)) = (name.text(), value.text()) else { continue };
            if !own {
                self.out[before..].iter_mut().for_each(|found| found.level = crate::diag::Level::Warning);
            }
            match template {
                Some(template) => out.push((Arc::from(name), template)),
                None if !own => out.push((Arc::from(name), Template::literal(text))),
                None => {}
            }
        }
        out
    }
}
