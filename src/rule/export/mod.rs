//! Rules as plain Prometheus rule files: alertd's own keys are left out, its own forms are translated where PromQL can
//! say the same.
//!
//! Place in the flow: `alertd export prometheus` hands in what was loaded. Nothing here reads or writes a file.

mod translate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::{Condition, Rule};
use crate::diag::{Diagnostic, SourceFile};
use crate::model::format_duration;
use crate::schedule::Schedule;
use translate::Written;

/// What one file becomes.
#[derive(Debug)]
pub struct Exported {
    /// The file that the rules came from.
    pub source: Arc<str>,
    /// How many rules were written.
    pub rules: usize,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: String,
    interval: Option<Duration>,
    offset: Duration,
    limit: Option<usize>,
    rules: Vec<Value>,
}

/// Translates the rules, by file. What cannot be said, and what is lost, is found.
pub fn prometheus(rules: &[Rule], files: &[Arc<SourceFile>]) -> (Vec<Exported>, Vec<Diagnostic>) {
    let (mut out, mut found): (Vec<Exported>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    for rule in rules {
        let written = match translate::rule(rule) {
            Ok(written) => written,
            Err(reason) => {
                let message = format!("`{}` cannot be written as a Prometheus rule", rule.name);
                found.extend(finding("A430", rule, files, message).map(|f| f.with_label(reason)));
                continue;
            }
        };
        if let Some(lost) = lost(rule) {
            let message = format!("`{lost}` is lost: Prometheus resolves when the condition ends");
            let warning = finding("A431", rule, files, message);
            found.extend(warning.map(|f| Diagnostic { level: crate::diag::Level::Warning, ..f }));
        }
        let file = match out.last_mut().filter(|file| file.source == rule.origin.file) {
            Some(file) => file,
            None => {
                out.push(Exported { source: rule.origin.file.clone(), rules: 0, groups: Vec::new() });
                let last = out.len() - 1;
                &mut out[last]
            }
        };
        for written in written {
            file.rules += 1;
            file.group(rule).rules.push(value(rule, &written));
        }
    }
    (out, found)
}

/// The text of one rule file with the groups of some. Groups of one name are numbered.
pub fn text<'a>(files: impl IntoIterator<Item = &'a Exported>) -> Result<String, serde_yaml::Error> {
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    let mut groups = Vec::new();
    for group in files.into_iter().flat_map(|file| &file.groups) {
        let count = names.entry(&group.name).or_default();
        *count += 1;
        let name = if *count == 1 { group.name.clone() } else { format!("{}-{count}", group.name) };
        let mut keys = Mapping::new();
        keys.insert("name".into(), name.into());
        if let Some(interval) = group.interval {
            keys.insert("interval".into(), format_duration(interval).into());
        }
        if !group.offset.is_zero() {
            keys.insert("query_offset".into(), format_duration(group.offset).into());
        }
        if let Some(limit) = group.limit {
            keys.insert("limit".into(), (limit as u64).into());
        }
        keys.insert("rules".into(), Value::Sequence(group.rules.clone()));
        groups.push(Value::Mapping(keys));
    }
    let mut root = Mapping::new();
    root.insert("groups".into(), Value::Sequence(groups));
    serde_yaml::to_string(&Value::Mapping(root))
}

impl Exported {
    /// The group that a rule goes to: its own, or that of its file and interval.
    fn group(&mut self, rule: &Rule) -> &mut Group {
        let interval = match (&rule.group, &rule.schedule) {
            (Some(group), _) => group.interval_given.then_some(group.interval),
            (None, Schedule::Every(every)) => Some(*every),
            (None, Schedule::Cron(_)) => None,
        };
        let name = rule.group.as_ref().map_or_else(|| stem(&self.source), |group| group.name.to_string());
        let fits = |group: &Group| group.name == name && group.interval == interval;
        let place = self.groups.iter().position(fits).unwrap_or_else(|| {
            let limit = rule.group.as_ref().and_then(|group| group.limit);
            let offset = rule.query_offset();
            self.groups.push(Group { name, interval, offset, limit, rules: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[place]
    }
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A rule with the keys of Prometheus.
fn value(rule: &Rule, written: &Written) -> Value {
    let mut keys = Mapping::new();
    let kind = if rule.is_recording() { "record" } else { "alert" };
    keys.insert(kind.into(), (*rule.name).into());
    keys.insert("expr".into(), written.expr.as_str().into());
    for (key, duration) in [("for", rule.hold), ("keep_firing_for", rule.keep_firing_for)] {
        if !duration.is_zero() {
            keys.insert(key.into(), format_duration(duration).into());
        }
    }
    let texts = |list: &[(Arc<str>, crate::template::Template)]| {
        list.iter().map(|(name, text)| (Value::from(&**name), Value::from(text.text()))).collect::<Mapping>()
    };
    let (mut labels, mut annotations) = (texts(&rule.labels), texts(&rule.annotations));
    if let Some(severity) = written.severity.or(rule.severity_label.then_some(rule.severity)) {
        labels.insert("severity".into(), severity.as_str().into());
    }
    if let (Some(description), false) = (&rule.description, rule.is_recording()) {
        annotations.entry("description".into()).or_insert_with(|| description.text().into());
    }
    for (key, pairs) in [("labels", labels), ("annotations", annotations)] {
        if !pairs.is_empty() {
            keys.insert(key.into(), Value::Mapping(pairs));
        }
    }
    Value::Mapping(keys)
}

/// The key that says when a rule recovers, which Prometheus has no equal for.
fn lost(rule: &Rule) -> Option<&'static str> {
    match &rule.condition {
        Condition::Threshold { levels, .. } if levels.iter().any(|level| level.recover.is_some()) => Some("recover"),
        Condition::Expression { recover_when: Some(_), .. } => Some("recover_when"),
        Condition::PromQl { recover: Some(_), .. } => Some("recover_expr"),
        _ => None,
    }
}

/// An error at the line of a rule.
fn finding(code: &'static str, rule: &Rule, files: &[Arc<SourceFile>], message: String) -> Option<Diagnostic> {
    let file = files.iter().find(|file| file.path == rule.origin.file)?;
    Some(Diagnostic::error(code, file, file.line_span(rule.origin.line), message))
}
