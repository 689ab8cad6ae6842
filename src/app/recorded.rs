//! Rules that ask a remote store for series that are made here and never get there: such a rule is silent for ever.
//!
//! Place in the flow: part of loading. It takes the configuration and the rules together, as neither file alone is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::ServerConfig;
use crate::diag::{Diagnostic, SourceFile};
use crate::eval::signal_queries;
use crate::rule::{Condition, Rule};
use crate::state::SUFFIXES;

/// The findings; none where anything is sent to a store, as alertd cannot know which store that is.
pub(super) fn never_arriving(config: &ServerConfig, rules: &[Rule], files: &[Arc<SourceFile>]) -> Vec<Diagnostic> {
    if !config.remote_write.is_empty() || config.remote_stores().is_empty() {
        return Vec::new();
    }
    let made: BTreeSet<String> = rules.iter().filter(|rule| rule.enabled).flat_map(makes).collect();
    if made.is_empty() {
        return Vec::new();
    }
    rules.iter().filter_map(|rule| finding(rule, &made, files)).collect()
}

/// The series that a rule makes, without those of its alerts.
fn makes(rule: &Rule) -> Vec<String> {
    match rule.condition {
        Condition::Record { .. } => vec![rule.name.to_string()],
        Condition::Anomaly { .. } => SUFFIXES.iter().map(|suffix| format!("{}:{suffix}", rule.name)).collect(),
        _ => Vec::new(),
    }
}

fn finding(rule: &Rule, made: &BTreeSet<String>, files: &[Arc<SourceFile>]) -> Option<Diagnostic> {
    let store = rule.source.as_ref()?;
    let own = makes(rule);
    let mut names =
        signal_queries(rule).into_iter().flat_map(|query| query.plan.selectors()).filter_map(|s| s.name.clone());
    let name = names.find(|name| made.contains(&**name) && own.iter().all(|own| **own != **name))?;
    let file = files.iter().find(|file| file.path == rule.origin.file)?;
    let message = format!("`{}` reads `{name}`, which is recorded here and not sent to the store `{store}`", rule.name);
    let found = Diagnostic::warning("A517", file, file.line_span(rule.origin.line), message);
    Some(
        found
            .with_label("finds nothing, unless something else records it there")
            .with_help("add `remote_write`, or `source: embedded` to the rule"),
    )
}

#[cfg(test)]
mod tests {
    use crate::app::load::{Sources, load};

    /// Loads a configuration with the rules; the findings, each as code and message.
    fn check(config: &str, rule: &str, want: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("alertd.yaml", &format!("{config}\nrule_files: [rules.yaml]\n"));
        write(
            "rules.yaml",
            &format!(
                "groups:\n- name: g\n  rules:\n  - {{record: 'job:errs:rate1m', expr: 'sum by (job) (rate(errs[1m]))'}}\n  \
                 - {{alert: High, expr: {rule}}}\n"
            ),
        );
        let inputs = load(&Sources { config: Some(dir.path().join("alertd.yaml")), ..Sources::default() }).unwrap();
        let found: Vec<String> = inputs.diagnostics.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
        assert_eq!(found, want, "{config} {rule}");
        assert!(inputs.diagnostics.iter().all(|d| d.start().line == 5));
    }

    #[test]
    fn a_rule_that_asks_a_store_for_what_is_recorded_beside_it_is_told() {
        let store = "store: {type: prometheus, url: 'http://127.0.0.1:9090'}";
        let back = format!("{store}\nremote_write: {{url: 'http://127.0.0.1:9090/api/v1/write'}}");
        let named = "stores: {mimir: {url: 'http://127.0.0.1:9090'}}";
        let of = |store: &str| {
            format!("A517 `High` reads `job:errs:rate1m`, which is recorded here and not sent to the store `{store}`")
        };
        check(store, "'job:errs:rate1m > 3'", &[&of("default")]);
        check(named, "'absent(job:errs:rate1m)', source: mimir", &[&of("mimir")]);
        check(&back, "'job:errs:rate1m > 3'", &[]);
        check(store, "'job:errs:rate1m > 3'} # alertd: ignore A517 -- a Prometheus records it too\n#{", &[]);
        check(store, "'job:errs:rate1m > 3', source: embedded", &[]);
        check(store, "errs > 3", &[]);
        check(named, "'job:errs:rate1m > 3'", &[]);
        check("", "'job:errs:rate1m > 3'", &[]);
    }
}
