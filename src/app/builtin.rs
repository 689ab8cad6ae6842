//! Rules that alertd runs on itself. They go the way of all rules: same core, same handlers.

use std::sync::Arc;

use crate::config::ServerConfig;
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

/// The rule that tells of silences that end.
pub const SILENCE_ENDS: &str = "alertd_silence_ends";

/// The built-in rules as the configuration wants them: none, or told to handlers of their own.
pub fn of(config: &ServerConfig) -> Vec<Rule> {
    let (builtin, silences) = (&config.builtin_rules, &config.silences);
    let named = |names: &[String]| names.iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>();
    let mut rules = rules();
    for rule in &mut rules {
        let reminds = *rule.name == *SILENCE_ENDS && !silences.notify.is_empty();
        rule.notify = named(if reminds { &silences.notify } else { &builtin.notify });
    }
    let reminds = !silences.remind_before.is_zero();
    rules.retain(|rule| match *rule.name == *SILENCE_ENDS {
        // Who names handlers for it wants it.
        true => reminds && (builtin.enabled || !silences.notify.is_empty()),
        false => builtin.enabled,
    });
    rules
}

/// Adds the built-in rules; one whose name a user's rule has is left out, so that it can be replaced.
pub fn add(rules: &mut Vec<Rule>, config: &ServerConfig) {
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
        add(&mut all, &ServerConfig::default());
        assert_eq!(all.len(), rules().len());
    }

    #[test]
    fn who_is_told_and_what_is_left_out_is_as_configured() {
        let config = |text: &str| crate::config::server::load(&SourceFile::new("alertd.yaml", text)).0.unwrap();
        let told = |text: &str| -> Vec<(bool, String)> {
            let told = |rule: &Rule| (*rule.name == *SILENCE_ENDS, rule.notify.join(","));
            let mut told: Vec<_> = of(&config(text)).iter().map(told).collect();
            told.sort();
            told.dedup();
            told
        };
        let pair = |own: &str, reminder: &str| vec![(false, own.to_owned()), (true, reminder.to_owned())];
        assert_eq!(told("builtin_rules: {notify: [mail]}"), pair("mail", "mail"));
        assert_eq!(told("builtin_rules: {notify: [mail]}\nsilences: {notify: [chat]}"), pair("mail", "chat"));
        assert_eq!(told("silences: {remind_before: 0s}"), [(false, String::new())]);
        assert_eq!(told("builtin_rules: {enabled: false}"), []);
        assert_eq!(told("builtin_rules: {enabled: false}\nsilences: {notify: [chat]}"), [(true, "chat".to_owned())]);
    }
}
