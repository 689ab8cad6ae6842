//! Which of the forms a rule has, and its condition.

use std::sync::Arc;

use super::expression::{Variables, Yields};
use super::group_keys::GROUP_RULE;
use super::keys::RULE;
use super::reader::{Reader, View};
use super::{Condition, Level, Query, Threshold, threshold};
use crate::diag::suggest;
use crate::model::{Severity, format_duration};
use crate::promql::CompareOp;
use crate::yaml::{Node, shape};

/// Where the numbers of a rule come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Metric,
    Queries,
    Expr,
}

/// Keys that cannot stand in one rule: two signals, or two ways to judge one.
const CONFLICTS: [(&str, &str); 15] = [
    ("metric", "expr"),
    ("metric", "queries"),
    ("metric", "when"),
    ("expr", "queries"),
    ("expr", "when"),
    ("expr", "threshold"),
    ("threshold", "levels"),
    ("threshold", "anomaly"),
    ("levels", "anomaly"),
    ("threshold", "when"),
    ("levels", "when"),
    ("anomaly", "when"),
    ("threshold", "queries"),
    ("levels", "queries"),
    ("anomaly", "queries"),
];

/// Keys that mean something in some forms only.
const ACCESSORIES: [(&str, &[Form], &str); 9] = [
    ("reduce", &[Form::Metric], "reduce the series in the query: `max_over_time(…[5m])`"),
    ("over", &[Form::Metric], "give the window in the query: `rate(…[5m])`"),
    ("combine", &[Form::Metric], "combine the series in the query: `sum by (…) (…)`"),
    ("by", &[Form::Metric], "combine the series in the query: `sum by (…) (…)`"),
    ("recover_when", &[Form::Queries], "it goes with `when`"),
    ("value", &[Form::Queries], "it goes with `when`"),
    ("when", &[Form::Queries], "it goes with `queries`"),
    ("recover_expr", &[Form::Expr], "use `recover`, a condition such as `< 1500`"),
    ("recover", &[Form::Metric, Form::Expr], "use `recover_when`"),
];

impl Reader<'_> {
    /// The condition of a rule. `None` means that an error was reported, here or with the shape of the file.
    pub fn condition(&mut self, view: &View<'_>, severity: Severity) -> Option<Condition> {
        if self.conflict(view) {
            return None;
        }
        let Some(form) = form(view) else {
            let found = self.error("A402", shape::anchor(view.own), "the rule has no condition");
            let help = "add `metric` with `threshold`, `levels` or `anomaly`; or `queries` with `when`; or `expr`";
            self.out.push(found.with_label("when does it fire?").with_help(help));
            return None;
        };
        let fits = self.accessories(view, form);
        let condition = match form {
            Form::Metric => self.metric_condition(view, severity),
            Form::Queries => self.query_condition(view),
            Form::Expr => self.expr_condition(view, severity),
        };
        condition.filter(|_| fits)
    }

    /// Reports the first of two keys that cannot stand together, at the later one.
    fn conflict(&mut self, view: &View<'_>) -> bool {
        let known = |name: &str| !self.prometheus || GROUP_RULE.keys.iter().any(|key| key.name == name);
        let pairs = CONFLICTS.iter().filter(|(a, b)| known(a) && known(b)).filter_map(|(a, b)| {
            let ((a_key, _), (b_key, _)) = (view.own(a)?, view.own(b)?);
            Some(if a_key.span.start < b_key.span.start { (b_key, *b, *a, a_key) } else { (a_key, *a, *b, b_key) })
        });
        let Some((later, name, first_name, first)) = pairs.min_by_key(|(later, ..)| later.span.start) else {
            return false;
        };
        let line = self.file.position(first.span.start).line;
        let help = match (first_name.min(name), first_name.max(name)) {
            ("expr", "threshold") => "write the comparison in the query: `… > 80`, or use `metric` with `threshold`",
            ("levels", "threshold") => "put the threshold among the levels",
            _ => "keep one of the two, or make two rules",
        };
        let found = self.error("A403", later.span.clone(), format!("`{name}` conflicts with `{first_name}`"));
        self.out.push(found.with_label(format!("the rule has `{first_name}` on line {line}")).with_help(help));
        true
    }

    fn accessories(&mut self, view: &View<'_>, form: Form) -> bool {
        let before = self.out.len();
        let main = match form {
            Form::Metric => "metric",
            Form::Queries => "queries",
            Form::Expr => "expr",
        };
        let known = |name: &str| !self.prometheus || GROUP_RULE.keys.iter().any(|key| key.name == name);
        for (name, forms, help) in ACCESSORIES.into_iter().filter(|(name, ..)| known(name)) {
            if let (Some((key, _)), false) = (view.own(name), forms.contains(&form)) {
                let found = self.error("A415", key.span.clone(), format!("`{name}` has no meaning with `{main}`"));
                self.out.push(found.with_label("has no effect here").with_help(help));
            }
        }
        if let (Some((key, _)), None) = (view.own("recover"), judge(view).filter(|name| *name != "anomaly"))
            && form != Form::Queries
        {
            let found =
                self.error("A415", key.span.clone(), "`recover` has no meaning without `threshold` or `levels`");
            let help = if form == Form::Expr { "use `recover_expr`, a query" } else { "remove it" };
            self.out.push(found.with_label("has no effect here").with_help(help));
        }
        self.out.len() == before
    }

    fn metric_condition(&mut self, view: &View<'_>, severity: Severity) -> Option<Condition> {
        let judge =
            judge(view).or_else(|| view.defaults.and_then(|d| JUDGES.into_iter().find(|key| d.get(key).is_some())));
        let signal = self.signal(view);
        let Some(judge) = judge else {
            if misspelt(view.own, &JUDGES) {
                return None;
            }
            let found = self.error("A402", shape::anchor(view.own), "nothing says when the rule fires");
            self.out.push(
                found
                    .with_label("`threshold`, `levels` or `anomaly` is missing")
                    .with_help("add `threshold: \"> 80\"`"),
            );
            return None;
        };
        if judge == "anomaly" {
            let detector = view.get("anomaly").and_then(|node| self.anomaly(node, view));
            return Some(Condition::Anomaly { signal: signal?, detector: detector? });
        }
        if judge == "levels" {
            self.idle_severity(view);
        }
        let levels = self.levels(view, severity);
        Some(Condition::Threshold { signal: signal?, levels: levels? })
    }

    fn query_condition(&mut self, view: &View<'_>) -> Option<Condition> {
        for (key, example) in [("queries", "queries: {total: 'sum(requests)'}"), ("when", "when: total > 10")] {
            if view.get(key).is_none() {
                let found = self.error("A012", shape::anchor(view.own), format!("`{key}` is missing"));
                self.out.push(found.with_help(format!("add `{example}`")));
                return None;
            }
        }
        let node = view.get("queries")?;
        let (queries, complete) = self.named_queries(node);
        let names: Vec<&str> = node.entries()?.iter().filter_map(|(key, _)| key.text()).collect();
        let mut variables = Variables { used: vec![false; names.len()], names };
        let when = view.get("when").and_then(|n| self.expression(n, Yields::Boolean, &mut variables));
        let mut optional = |reader: &mut Self, key, yields| match view.get(key) {
            Some(node) => reader.expression(node, yields, &mut variables).map(Some),
            None => Some(None),
        };
        let recover_when = optional(self, "recover_when", Yields::Boolean);
        let value = optional(self, "value", Yields::Number);
        if when.is_some() && complete {
            self.unused_queries(node, &variables);
        }
        let (when, recover_when, value) = (when?, recover_when?, value?);
        complete.then_some(Condition::Expression { queries, when, recover_when, value })
    }

    fn named_queries(&mut self, node: &Node) -> (Vec<(Arc<str>, Query)>, bool) {
        let entries = node.entries().unwrap_or_default();
        let mut queries = Vec::with_capacity(entries.len());
        if entries.is_empty() {
            let found = self.error("A012", node.span.clone(), "`queries` is empty");
            self.out.push(found.with_label("expected a name and a query"));
        }
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            let first = |c: char| c.is_ascii_alphabetic() || c == '_';
            let word = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
            if !word || matches!(name, "true" | "false") {
                let found = self.error("A208", key.span.clone(), format!("`{name}` cannot be a name in an expression"));
                self.out.push(found.with_label("expected letters, digits and underscores, such as `failed_total`"));
                continue;
            }
            if let Some(query) = self.query(value) {
                queries.push((Arc::from(name), query));
            }
        }
        let complete = queries.len() == entries.len() && !entries.is_empty();
        (queries, complete)
    }

    fn unused_queries(&mut self, node: &Node, variables: &Variables<'_>) {
        for ((key, _), used) in node.entries().unwrap_or_default().iter().zip(&variables.used) {
            if !used {
                let name = key.text().unwrap_or_default();
                let found = self.warning("A206", key.span.clone(), format!("the query `{name}` is not used"));
                self.out.push(
                    found
                        .with_label("costs an evaluation for nothing")
                        .with_help("use it in `when` or `value`, or remove it"),
                );
            }
        }
    }

    fn expr_condition(&mut self, view: &View<'_>, severity: Severity) -> Option<Condition> {
        let node = view.get("expr")?;
        let query = self.query(node);
        if let Some((_, anomaly)) = view.own("anomaly") {
            let detector = self.anomaly(anomaly, view);
            return Some(Condition::Anomaly { signal: query?, detector: detector? });
        }
        if let Some((_, levels)) = view.own("levels") {
            return self.leveled_expr(view, query, levels, severity);
        }
        let recover = match view.own("recover_expr") {
            Some((_, node)) => self.query(node).map(Some),
            None => Some(None),
        };
        let query = query?;
        let signal = split(&query);
        Some(Condition::PromQl { query, signal, recover: recover? })
    }

    /// `expr` with `levels`: the comparison in the query, if there is one, is the level of the rule's own severity.
    fn leveled_expr(
        &mut self,
        view: &View<'_>,
        query: Option<Query>,
        node: &Node,
        severity: Severity,
    ) -> Option<Condition> {
        let levels = self.levels(view, severity);
        let query = query?;
        let Some((signal, base)) = split(&query) else {
            self.idle_severity(view);
            return Some(Condition::Threshold { signal: query, levels: levels? });
        };
        let mut levels = levels?;
        if let Some((key, _)) = node.entry(severity.as_str()) {
            let found =
                self.error("A403", key.span.clone(), format!("the query already says when the alert is `{severity}`"));
            self.out.push(
                found
                    .with_label(format!("`{base}` in `expr`"))
                    .with_help("remove this level, or the comparison in `expr`"),
            );
            return None;
        }
        levels.push(Level { severity, threshold: base, recover: None });
        levels.sort_by_key(|level| level.severity);
        Some(Condition::Threshold { signal, levels })
    }

    /// Warns of a `severity` that the levels leave without effect: what is meant is clear all the same.
    fn idle_severity(&mut self, view: &View<'_>) {
        let Some((key, _)) = view.own("severity") else { return };
        let found = self.warning("A415", key.span.clone(), "`severity` has no effect beside `levels`");
        self.out.push(found.with_label("each level is a severity").with_help("remove it"));
    }

    fn levels(&mut self, view: &View<'_>, severity: Severity) -> Option<Vec<Level>> {
        let mut levels = Vec::new();
        let mut complete = true;
        let own = judge(view);
        let list = view.get("levels").filter(|_| own != Some("threshold"));
        match list {
            Some(node) => {
                for (key, value) in node.entries()? {
                    let severity = key.text().and_then(Severity::from_name);
                    match (severity, self.threshold(value)) {
                        (Some(severity), Some(threshold)) => {
                            levels.push((Level { severity, threshold, recover: None }, key))
                        }
                        _ => complete = false,
                    }
                }
                if node.entries()?.is_empty() {
                    let found = self.error("A012", node.span.clone(), "`levels` is empty");
                    self.out.push(found.with_label("expected a severity and a condition"));
                    complete = false;
                }
            }
            None => {
                let (node, threshold) = view.get("threshold").map(|node| (node, self.threshold(node)))?;
                levels.push((Level { severity, threshold: threshold?, recover: None }, node));
            }
        }
        levels.sort_by_key(|(level, _)| level.severity);
        let recovered = self.recovery(view, &mut levels);
        if !(complete && recovered) {
            return None;
        }
        self.disorder(&levels);
        Some(levels.into_iter().map(|(level, _)| level).collect())
    }

    /// Puts `recover` to the levels: one condition belongs to the least level, because leaving that one is leaving all.
    fn recovery(&mut self, view: &View<'_>, levels: &mut [(Level, &Node)]) -> bool {
        let Some(node) = view.get("recover") else { return true };
        let Some(entries) = node.entries() else {
            let Some(recover) = self.threshold(node) else { return false };
            if let Some((level, _)) = levels.first_mut() {
                level.recover = Some(recover);
                self.overlap(level, node);
            }
            return true;
        };
        let mut complete = true;
        for (key, value) in entries {
            let Some(severity) = key.text().and_then(Severity::from_name) else { continue };
            let Some(recover) = self.threshold(value) else {
                complete = false;
                continue;
            };
            match levels.iter_mut().find(|(level, _)| level.severity == severity) {
                Some((level, _)) => {
                    level.recover = Some(recover);
                    self.overlap(level, value);
                }
                None => {
                    let found = self.error("A415", key.span.clone(), format!("the rule has no level `{severity}`"));
                    self.out.push(
                        found
                            .with_label("recovers from nothing")
                            .with_help("remove it, or add the level under `levels`"),
                    );
                    complete = false;
                }
            }
        }
        complete
    }

    /// Warns where a value counts as both firing and recovered.
    fn overlap(&mut self, level: &Level, node: &Node) {
        let Some(recover) = level.recover else { return };
        let Some(value) = threshold::overlap(level.threshold, recover) else { return };
        let message = format!("`recover` overlaps the threshold: {} both fires and recovers", readable(value));
        let found = self.warning("A407", node.span.clone(), message);
        self.out.push(found.with_label(format!("expected nothing of `{}`", level.threshold)).with_help(
            "recovery is on the other side of the threshold, with a gap: fire at `> 2000`, recover at `< 1500`",
        ));
    }

    fn disorder(&mut self, levels: &[(Level, &Node)]) {
        let bare: Vec<Level> = levels.iter().map(|(level, _)| *level).collect();
        let Some((lesser, worse)) = threshold::disorder(&bare) else { return };
        let Some((_, key)) = levels.iter().find(|(level, _)| level.severity == worse.severity) else { return };
        let message = format!("`{}` can hold where `{}` does not", worse.severity, lesser.severity);
        let found = self.warning("A408", key.span.clone(), message);
        self.out.push(
            found.with_label(format!("`{}` does not lie within `{}`", worse.threshold, lesser.threshold)).with_help(
                "let each level be stricter than the one below it: `{warning: \"> 80\", critical: \"> 95\"}`",
            ),
        );
    }

    fn threshold(&mut self, node: &Node) -> Option<Threshold> {
        match threshold::parse(node.text()?) {
            Ok(threshold) => Some(threshold),
            Err(e) => {
                let mut found = self.error("A404", self.inside(node, e.span), e.message).with_label(e.label);
                found.help = e.help;
                self.out.push(found);
                None
            }
        }
    }

    /// Warns where `for` is no multiple of the interval: the alert then fires later than it says.
    pub fn delay_warning(&mut self, view: &View<'_>, every: std::time::Duration, hold: std::time::Duration) {
        let (every_ms, hold_ms) = (every.as_millis(), hold.as_millis());
        if every_ms == 0 || hold_ms % every_ms == 0 {
            return;
        }
        let Some(node) = view.get("for") else { return };
        let real = every.saturating_mul(u32::try_from(hold_ms.div_ceil(every_ms)).unwrap_or(u32::MAX));
        let (every, real) = (format_duration(every), format_duration(real));
        let found = self.warning(
            "A411",
            node.span.clone(),
            format!("`for` is no multiple of the interval: it fires after {real}"),
        );
        self.out.push(found.with_label(format!("evaluated every {every}")).with_help(format!(
            "write `for: {real}`, or change `{}`",
            if self.prometheus { "interval" } else { "every" }
        )));
    }
}

const JUDGES: [&str; 3] = ["threshold", "levels", "anomaly"];

/// The key of the rule itself that judges the signal.
fn judge(view: &View<'_>) -> Option<&'static str> {
    JUDGES.into_iter().find(|key| view.own(key).is_some())
}

/// The form of a rule, from its own keys, else from the defaults of its file.
fn form(view: &View<'_>) -> Option<Form> {
    let of = |node: &Node| {
        let has = |key| node.get(key).is_some();
        if has("metric") {
            Some(Form::Metric)
        } else if has("expr") {
            Some(Form::Expr)
        } else if has("queries") || has("when") {
            Some(Form::Queries)
        } else {
            None
        }
    };
    of(view.own).or_else(|| view.defaults.and_then(of))
}

/// The signal and threshold of a query that ends in a comparison with a constant.
fn split(query: &Query) -> Option<(Query, Threshold)> {
    let (signal, op, limit) = query.split()?;
    let threshold = match op {
        CompareOp::Greater => Threshold::Above(limit),
        CompareOp::GreaterOrEqual => Threshold::AtLeast(limit),
        CompareOp::Less => Threshold::Below(limit),
        CompareOp::LessOrEqual => Threshold::AtMost(limit),
        CompareOp::Equal => Threshold::Equals(limit),
        CompareOp::NotEqual => Threshold::Differs(limit),
    };
    Some((signal, threshold))
}

fn readable(value: f64) -> String {
    if value.abs() >= 1e300 { "a very large value".to_owned() } else { value.to_string() }
}

/// Whether an unknown key was meant to be one of these: it is reported, and that they are missing is its consequence.
fn misspelt(rule: &Node, wanted: &[&str]) -> bool {
    let known = || RULE.keys.iter().map(|key| key.name);
    rule.entries().unwrap_or_default().iter().filter_map(|(key, _)| key.text()).any(|key| {
        !known().any(|name| name == key) && suggest(key, known()).is_some_and(|meant| wanted.contains(&meant))
    })
}
