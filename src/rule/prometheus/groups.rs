//! Groups: their own keys, and the rules in them one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::{Diagnostic, Level, SourceFile};
use crate::model::labels::METRIC_NAME;
use crate::rule::reader::{Reader, View};
use crate::rule::{Found, Group, LoadOptions, Rule, Sharing, group_keys};
use crate::yaml::{Kind, Node, shape};

/// An element of `groups:`.
const GROUP_ENTRY: shape::Key = shape::Key::new("groups", shape::Kind::Object(&group_keys::GROUP), "", "");
/// An element of `rules:` in a group.
const RULE_ENTRY: shape::Key = shape::Key::new("rules", shape::Kind::Object(&group_keys::GROUP_RULE), "", "");

/// Reads the groups under `groups:`.
pub(super) fn read(
    file: &Arc<SourceFile>,
    root: &Node,
    options: &LoadOptions<'_>,
    out: &mut Vec<Diagnostic>,
) -> Vec<Found> {
    let mut reader = Reader { file, options, prometheus: true, out: Vec::new() };
    reader.file_keys(root);
    let groups = root.get(super::MARK).and_then(Node::items).unwrap_or_default();
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    let mut rules = Vec::new();
    for node in groups {
        if let Some(name) = node.get("name").and_then(Node::text) {
            reader.group_name(node, name, &mut names);
        }
        if let Some((group, healthy)) = reader.group(node) {
            let own = node.get("rules").and_then(Node::items).unwrap_or_default();
            rules.extend(own.iter().map(|own| (View { own, defaults: Some(node) }, Arc::clone(&group), healthy)));
        }
    }
    out.append(&mut reader.out);
    let parts = crate::rule::shared(&rules, (options.threads, crate::rule::RULES_SHARED_MIN), |rules| {
        let mut reader = Reader { file, options, prometheus: true, out: Vec::new() };
        let read = rules.iter().filter_map(|(view, group, healthy)| reader.group_rule(view, group, *healthy));
        let found = read.collect();
        vec![(found, reader.out)]
    });
    crate::rule::joined(parts, out)
}

impl Reader<'_> {
    /// Checks the keys of the file; groups and rules are checked one by one later.
    fn file_keys(&mut self, root: &Node) {
        let bare = shallow(root, super::MARK);
        shape::check_known(self.file, &bare, &group_keys::GROUP_FILE, &mut self.out);
        self.pass_over_unknown(0);
    }

    /// Forgets unknown keys found since `from` where they are to be passed over.
    fn pass_over_unknown(&mut self, from: usize) {
        let unknown = |found: &Diagnostic| found.code == "A010";
        if self.options.ignore_unknown_fields {
            let kept: Vec<Diagnostic> = self.out.drain(from..).filter(|found| !unknown(found)).collect();
            self.out.extend(kept);
        }
    }

    fn group_name<'n>(&mut self, node: &'n Node, name: &'n str, names: &mut BTreeMap<&'n str, u32>) {
        let Some(value) = node.get("name") else { return };
        if name.is_empty() {
            let found = self.error("A421", value.span.clone(), "the name of the group is empty");
            self.out.push(found.with_label("expected a name").with_help("name the group after what it watches"));
            return;
        }
        let line = self.file.position(value.span.start).line;
        if let Some(first) = names.get(name) {
            let found = self.error("A421", value.span.clone(), format!("two groups of this file are named `{name}`"));
            let found = found.with_label(format!("first on line {first}"));
            self.out.push(found.with_help("rename one of them, or join the two"));
            return;
        }
        names.insert(name, line);
    }

    /// Reads what is said of a group as a whole; whether there is no error in that.
    fn group(&mut self, node: &Node) -> Option<(Arc<Group>, bool)> {
        let before = self.out.len();
        shape::check(self.file, &shallow(node, "rules"), &GROUP_ENTRY, &mut self.out);
        self.pass_over_unknown(before);
        node.entries()?;
        self.names_of(node, "labels", "label");
        let healthy = !self.out[before..].iter().any(|d| d.level == Level::Error);
        Some((Arc::new(self.group_model(node)), healthy))
    }

    /// What the group's own keys say; where one is wrong, the default, and the group's rules are not used.
    fn group_model(&self, node: &Node) -> Group {
        let view = View { own: node, defaults: None };
        let name = node.get("name");
        let interval = view.duration("interval").filter(|interval| !interval.is_zero());
        // A limit of zero or less is none.
        let limit = node.get("limit").and_then(Node::number).filter(|limit| *limit >= 1.0);
        Group {
            name: Arc::from(name.and_then(Node::text).unwrap_or_default()),
            origin: self.origin(name.unwrap_or(node)),
            interval_given: interval.is_some(),
            interval: interval.unwrap_or(self.options.default_every),
            query_offset: view.duration("query_offset").unwrap_or(Duration::ZERO),
            limit: limit.map(|limit| limit as usize),
        }
    }

    /// Reads one rule of a group. `None` if it is neither an alerting rule nor a recording rule.
    fn group_rule(&mut self, view: &View<'_>, group: &Arc<Group>, healthy: bool) -> Option<Found> {
        let before = self.out.len();
        shape::check(self.file, view.own, &RULE_ENTRY, &mut self.out);
        self.pass_over_unknown(before);
        view.own.entries()?;
        let given = |key| view.own(key).filter(|(_, value)| value.text().is_some_and(|text| !text.is_empty()));
        let (kind, node) = match (given("record"), given("alert")) {
            (None, None) => {
                let found = self.error("A420", shape::anchor(view.own), "the rule has neither `record` nor `alert`");
                let help = "add `alert: Name` to be told, or `record: a:metric:name` to keep the result as a series";
                self.out.push(found.with_label("what is it for?").with_help(help));
                return None;
            }
            (Some((record, _)), Some((alert, _))) => {
                let (later, name) =
                    if record.span.start > alert.span.start { (record, "record") } else { (alert, "alert") };
                let other = if name == "record" { "alert" } else { "record" };
                let found = self.error("A420", later.span.clone(), format!("`{name}` conflicts with `{other}`"));
                self.out.push(found.with_label("only one of the two").with_help("make two rules"));
                return None;
            }
            (Some((_, node)), None) => (RuleKind::Recording, node),
            (None, Some((_, node))) => (RuleKind::Alerting, node),
        };
        self.names_of(view.own, "labels", "label");
        self.names_of(view.own, "annotations", "annotation");
        self.expr_given(view);
        let rule = match kind {
            RuleKind::Alerting => self.alerting(view, node, group),
            RuleKind::Recording => self.recording(view, node, group),
        };
        let clean = healthy && !self.out[before..].iter().any(|d| d.level == Level::Error);
        let name = node.text()?;
        let explicit = view.own("uid").and_then(|(key, value)| Some((key, value.text().filter(|t| !t.is_empty())?)));
        let (uid, key): (Arc<str>, _) = match explicit {
            Some((key, uid)) => (Arc::from(uid), key.span.clone()),
            None => (Arc::from(format!("{}/{name}", group.name)), node.span.clone()),
        };
        let sharing = explicit.is_none().then(|| Sharing { labels: shown_labels(view) });
        let renamed = view.own("renamed_from").and_then(|(_, from)| Some((Arc::from(from.text()?), from.span.clone())));
        Some(Found {
            key,
            explicit_uid: explicit.is_some(),
            name_at: node.span.start,
            renamed_from: renamed,
            sharing,
            rule: rule.filter(|_| clean).map(|rule| Box::new(Rule { uid: uid.clone(), ..rule })),
            uid,
        })
    }

    fn expr_given(&mut self, view: &View<'_>) {
        let found = match view.own("expr") {
            None => self.error("A012", shape::anchor(view.own), "`expr` is missing"),
            Some((_, value)) if value.text() == Some("") => self.error("A012", value.span.clone(), "`expr` is empty"),
            Some(_) => return,
        };
        self.out.push(found.with_help("add `expr: up == 0`"));
    }

    /// Names that no label or annotation can have.
    fn names_of(&mut self, node: &Node, key: &str, what: &str) {
        for (name, _) in node.get(key).and_then(Node::entries).unwrap_or_default() {
            if name.text() != Some(METRIC_NAME) || what != "label" {
                continue;
            }
            let found = self.error("A424", name.span.clone(), format!("the {what} `{METRIC_NAME}` cannot be set"));
            let help = "the name of a recorded series is that under `record`; an alert has none";
            self.out.push(found.with_label("is the name of the metric").with_help(help));
        }
    }
}

enum RuleKind {
    Alerting,
    Recording,
}

/// A mapping whose list under a key is empty: for checking everything but its elements. Anything that is no list stays.
fn shallow(node: &Node, key: &str) -> Node {
    let Some(entries) = node.entries() else { return node.clone() };
    let bare = |(name, value): &(Node, Node)| {
        let emptied = name.text() == Some(key) && value.items().is_some();
        let value =
            if emptied { Node { kind: Kind::Sequence(Vec::new()), span: value.span.clone() } } else { value.clone() };
        (name.clone(), value)
    };
    Node { kind: Kind::Mapping(entries.iter().map(bare).collect()), span: node.span.clone() }
}

/// The labels of a rule as written, in the order of their names.
fn shown_labels(view: &View<'_>) -> String {
    let mut pairs: Vec<(&str, &str)> =
        view.merged("labels").into_iter().filter_map(|(name, value)| Some((name.text()?, value.text()?))).collect();
    pairs.sort_unstable();
    let one = |(name, value): &(&str, &str)| format!("{name}={}", crate::model::labels::quote(value));
    format!("{{{}}}", pairs.iter().map(one).collect::<Vec<_>>().join(","))
}
