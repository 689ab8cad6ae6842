//! What an `alertmanager.yml` means for settings and rules: the name of a receiver stands for all its handlers, and what
//! the file says of the server holds where `alertd.yaml` says nothing. Done once, when everything is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{HandlerFiles, ServerConfig};
use crate::rule::Rule;

/// The settings with what handler files say; names in them and in the rules are those of handlers then.
pub(super) fn settle(mut config: ServerConfig, rules: &mut [Rule], said: &HandlerFiles) -> ServerConfig {
    config.resolve_timeout = config.resolve_timeout.or(said.resolve_timeout);
    rules.iter_mut().for_each(|rule| name_told(rule, &said.receivers));
    name_all(&mut config.builtin_rules.notify, &said.receivers);
    name_all(&mut config.silences.notify, &said.receivers);
    config
}

/// Handlers in the place of the names of receivers, in all that a rule says of whom it tells.
pub(super) fn name_told(rule: &mut Rule, receivers: &BTreeMap<String, Vec<Arc<str>>>) {
    name_all(&mut rule.notify, receivers);
    if let Some(steps) = rule.escalate.take() {
        let mut steps = steps.to_vec();
        steps.iter_mut().for_each(|step| name_all(&mut step.handlers, receivers));
        rule.escalate = Some(steps.into());
    }
}

fn name_all<N>(names: &mut Vec<N>, receivers: &BTreeMap<String, Vec<Arc<str>>>)
where
    N: AsRef<str> + for<'n> From<&'n str>,
{
    for name in std::mem::take(names) {
        match receivers.get(name.as_ref()) {
            Some(handlers) => names.extend(handlers.iter().map(|handler| N::from(handler))),
            None => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::builtin;
    use crate::config::{handlers, server};
    use crate::diag::SourceFile;
    use crate::model::EscalationStep;

    fn said(files: &[&str]) -> HandlerFiles {
        let files: Vec<_> = files.iter().map(|text| SourceFile::new("alertmanager.yml", *text)).collect();
        handlers::load(&files).0
    }

    fn config(text: &str) -> ServerConfig {
        server::load(&SourceFile::new("alertd.yaml", text)).0.unwrap()
    }

    const TWO: &str = "global: {resolve_timeout: 2m}\nroute: {receiver: web}\nreceivers:\n  - name: web\n    \
        webhook_configs: [{url: 'http://127.0.0.1:9/a'}, {url: 'http://127.0.0.1:9/b'}]\n";

    #[test]
    fn every_handler_of_a_receiver_is_told_by_the_built_in_rules_too() {
        let mut rules = builtin::rules();
        rules[0].notify = vec!["screen".into(), "web".into()];
        let after = Duration::from_secs(60);
        rules[0].escalate = Some([EscalationStep { after, handlers: vec!["web".into()] }].into());
        let named = config("builtin_rules: {notify: [web]}\nsilences: {notify: [web, screen]}");
        let settled = settle(named, &mut rules, &said(&[TWO]));
        let names = |notify: &[Arc<str>]| notify.join(" ");
        assert_eq!(names(&rules[0].notify), "screen web web/webhook[1]");
        assert_eq!(names(&rules[0].escalate.clone().unwrap()[0].handlers), "web web/webhook[1]");
        for rule in builtin::of(&settled) {
            let reminds = *rule.name == *builtin::SILENCE_ENDS;
            let want = if reminds { "web web/webhook[1] screen" } else { "web web/webhook[1]" };
            assert_eq!(names(&rule.notify), want, "{}", rule.name);
        }
    }

    #[test]
    fn resolve_timeout_is_the_written_one_then_that_of_the_first_file_then_the_default() {
        let other = "global: {smtp_hello: a}\nroute: {receiver: x}\nreceivers: [{name: x}]\n";
        let minutes = |text: &str, files: &[&str]| {
            settle(config(text), &mut [], &said(files)).resolve_timeout() == Duration::from_secs(2 * 60)
        };
        assert!(minutes("", &[TWO]) && minutes("", &[TWO, other]) && minutes("", &[other, TWO]));
        assert!(minutes("resolve_timeout: 2m", &[]) && !minutes("", &[other]));
        let written = settle(config("resolve_timeout: 5m"), &mut [], &said(&[TWO]));
        assert_eq!(written.resolve_timeout(), Duration::from_secs(5 * 60), "the default, but written");
    }

    #[test]
    fn every_handler_of_a_receiver_can_be_named() {
        let hook = |name: &str, fallback: &str| {
            format!("{{name: {name}, type: webhook, url: 'http://127.0.0.1:9/c', fallback: {fallback}}}")
        };
        let named = format!("handlers: [{}, {}]", hook("a", "'web/webhook[1]'"), hook("b", "web"));
        let files = [SourceFile::new("alertmanager.yml", TWO), SourceFile::new("handlers.yaml", named)];
        let (said, found) = handlers::load(&files);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(said.handlers.len(), 4);
    }
}
