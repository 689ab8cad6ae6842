//! Rules that alertd runs on itself. They go the way of all rules: same core, same handlers.

use std::sync::Arc;

use crate::config::BuiltinRules;
use crate::diag::SourceFile;
use crate::rule::{LoadOptions, Rule, load};

/// The file, as it is shown in messages.
const NAME: &str = "(built-in)";
const TEXT: &str = include_str!("builtin.yaml");

/// The built-in rules.
pub fn rules() -> Vec<Rule> {
    let mut rules = load(&[SourceFile::new(NAME, TEXT)], &LoadOptions::default()).rules;
    // There is no file in which one could look the line up.
    rules.iter_mut().for_each(|rule| rule.origin.line = 0);
    rules
}

/// The built-in rules as the configuration wants them: none, or told to handlers of their own.
pub fn of(config: &BuiltinRules) -> Vec<Rule> {
    let mut rules = if config.enabled { rules() } else { Vec::new() };
    let notify: Vec<Arc<str>> = config.notify.iter().map(|name| Arc::from(name.as_str())).collect();
    rules.iter_mut().for_each(|rule| rule.notify.clone_from(&notify));
    rules
}

/// Adds the built-in rules; one whose name a user's rule has is left out, so that it can be replaced.
pub fn add(rules: &mut Vec<Rule>, config: &BuiltinRules) {
    let own = of(config);
    let new: Vec<Rule> = own.into_iter().filter(|own| rules.iter().all(|rule| rule.uid != own.uid)).collect();
    rules.extend(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_load_without_a_finding() {
        let loaded = load(&[SourceFile::new(NAME, TEXT)], &LoadOptions::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert!(!loaded.rules.is_empty());
        let results = crate::app::rule_tests::run_tests(&loaded.rules, &crate::engine::EngineOptions::default());
        assert!(results.len() >= loaded.rules.len(), "each has a test");
        assert!(results.iter().all(|r| r.ok), "{results:?}");
    }

    #[test]
    fn a_users_rule_of_the_same_name_takes_the_place() {
        let mut all = rules();
        add(&mut all, &BuiltinRules::default());
        assert_eq!(all.len(), rules().len());
        let apart = BuiltinRules { notify: vec!["mail".to_owned()], ..BuiltinRules::default() };
        assert!(of(&apart).iter().all(|rule| *rule.notify == [Arc::from("mail")]));
        assert!(of(&BuiltinRules { enabled: false, ..apart }).is_empty());
    }
}
