//! `alertd explain CODE|RULE`: what a diagnostic means, with a bad and a good example; or what a rule does and when.

use std::io::Write;

use super::args::{ExplainArgs, exit};
use crate::app::load::{Sources, load};
use crate::app::rule_page::rule_page;
use crate::diag::{codes, harmless, suggest};
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
