//! `alertd explain CODE|RULE`: what a diagnostic means, with a bad and a good example; or what a rule does and when.

use std::io::Write;
use std::sync::Arc;

use super::args::{ExplainArgs, exit};
use super::report;
use crate::app::load::{Sources, load};
use crate::app::rule_page::rule_page;
use crate::diag::{self, Level, codes, harmless, suggest};
use crate::rule::Rule;

/// Runs the command.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let what = &*args.what;
    if let Some(found) = codes::find(what) {
        write!(out, "{}", found.page())?;
        return Ok(exit::CLEAN);
    }
    let mut err = std::io::stderr().lock();
    if is_code(what) {
        writeln!(err, "alertd: there is no code `{}`", harmless(what))?;
        if let Some(meant) = suggest(&what.to_ascii_uppercase(), codes::all().map(|c| c.code)) {
            writeln!(err, "help: did you mean {meant}?")?;
        }
        return Ok(exit::USAGE);
    }
    let sources = Sources { rules: args.rules.clone(), config: args.config.clone(), handlers: None };
    let inputs = match load(&sources) {
        Ok(inputs) => inputs,
        Err(error) => {
            writeln!(err, "alertd: `{}` is no code, and {error}", harmless(what))?;
            return Ok(exit::USAGE);
        }
    };
    let found: Vec<&Rule> = inputs.rules.iter().filter(|rule| *rule.name == *what || *rule.uid == *what).collect();
    let faulty = |uid: &Arc<str>| **uid == *what || uid.rsplit_once('/').is_some_and(|(_, name)| name == what);
    if found.is_empty() && inputs.faulty.iter().any(faulty) {
        let errors: Vec<_> = inputs.diagnostics.iter().filter(|d| d.level == Level::Error).cloned().collect();
        write!(err, "{}", diag::text(&errors, report::text_style()))?;
        writeln!(err, "alertd: the rule `{}` has an error, so there is nothing to explain", harmless(what))?;
        return Ok(exit::FINDINGS);
    }
    if found.is_empty() {
        writeln!(err, "alertd: there is no rule `{}`", harmless(what))?;
        if let Some(meant) = suggest(what, inputs.rules.iter().map(|rule| &*rule.name)) {
            writeln!(err, "help: did you mean {}?", harmless(meant))?;
        }
        return Ok(exit::USAGE);
    }
    for rule in found {
        write!(out, "{}", rule_page(rule, &inputs))?;
    }
    Ok(exit::CLEAN)
}

/// A letter and digits, as codes are.
fn is_code(text: &str) -> bool {
    text.len() <= 5
        && text.starts_with(['A', 'a'])
        && text.len() > 1
        && text[1..].bytes().all(|digit| digit.is_ascii_digit())
}
