//! What is doubtful in rules that can be loaded: queries that never yield anything, alerts that never resolve, labels
//! that are read and not there.
//!
//! Place in the flow: after `rule`, for `alertd check` and dry runs alone. A check sees a rule as written, its
//! expressions with the place of every token, the other rules and what is known of the metrics ([`Knowledge`]); it
//! changes nothing, reads no file and asks no store. One check per file under `checks/`; [`CHECKS`] lists them all. Their
//! pages stand with the other codes in [`diag::codes`](crate::diag::codes).

mod bounds;
mod checks;
pub mod fix;
mod flow;
pub mod ignore;
pub mod knowledge;
mod outline;
mod read;
mod same;
pub mod subject;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashSet;

use crate::diag::Diagnostic;
use crate::rule::{Condition, Loaded, RULES_SHARED_MIN, shared};

pub use checks::CHECKS;
pub use knowledge::Knowledge;
use subject::{Formula, Part, Subject};
use walk::Kinds;

/// A check.
pub struct Check {
    /// Its code.
    pub code: &'static str,
    /// Whether it runs only where it is asked for: a matter of taste, not a mistake.
    pub on_request: bool,
    /// What it looks at.
    pub look: Look,
}

/// Looks at a part of an expression.
type PartLook = fn(&Part<'_>, &Context<'_>, &mut Vec<Diagnostic>);
/// Looks at an expression of a rule.
type FormulaLook = fn(&Subject<'_>, &Formula<'_>, &Context<'_>, &mut Vec<Diagnostic>);

/// What a check is called with.
pub enum Look {
    /// Each part of these kinds of each expression of each rule.
    Part(Kinds, PartLook),
    /// Each expression of each rule.
    Formula(FormulaLook),
    /// Each rule.
    Rule(fn(&Subject<'_>, &Context<'_>, &mut Vec<Diagnostic>)),
    /// All rules of all files.
    All(fn(&[Subject<'_>], &Context<'_>, &mut Vec<Diagnostic>)),
}

impl Check {
    const fn part(code: &'static str, kinds: Kinds, look: PartLook) -> Self {
        Self { code, on_request: false, look: Look::Part(kinds, look) }
    }

    const fn formula(code: &'static str, look: FormulaLook) -> Self {
        Self { code, on_request: false, look: Look::Formula(look) }
    }

    const fn rule(code: &'static str, look: fn(&Subject<'_>, &Context<'_>, &mut Vec<Diagnostic>)) -> Self {
        Self { code, on_request: false, look: Look::Rule(look) }
    }

    const fn all(code: &'static str, look: fn(&[Subject<'_>], &Context<'_>, &mut Vec<Diagnostic>)) -> Self {
        Self { code, on_request: false, look: Look::All(look) }
    }

    const fn on_request(self) -> Self {
        Self { on_request: true, ..self }
    }
}

/// What a check may ask beside the rules.
pub struct Context<'a> {
    /// What is known of the metrics.
    pub knowledge: &'a Knowledge,
    /// The series that rules record.
    pub recorded: HashSet<&'a str>,
}

/// Which checks run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Codes, or beginnings of codes, of checks that run although they are on request.
    pub extend: Vec<String>,
    /// Codes, or beginnings of codes, of findings that are not wanted.
    pub ignore: Vec<String>,
}

impl Selection {
    fn runs(&self, check: &Check) -> bool {
        let named = |list: &[String]| list.iter().any(|code| check.code.starts_with(code.as_str()));
        (!check.on_request || named(&self.extend)) && !named(&self.ignore)
    }
}

/// Looks at rules and adds what is found to their findings. They must have been loaded with [`keep_trees`](crate::rule::LoadOptions::keep_trees).
///
/// The findings come in no particular order. `threads` share the rules; what is found does not depend on them.
pub fn run(loaded: &mut Loaded, (knowledge, selection): (&Knowledge, &Selection), threads: usize) {
    let mut doubts = {
        let (models, faults) = (read::models(loaded), read::faults(&loaded.diagnostics));
        let places: Vec<read::Place<'_>> =
            loaded.pages.iter().flat_map(|page| read::places(&page.file, &page.root)).collect();
        let recorded = loaded.rules.iter().filter(|rule| matches!(rule.condition, Condition::Record { .. }));
        let context = Context { knowledge, recorded: recorded.map(|rule| &*rule.name).collect() };
        let checks: Vec<&Check> = CHECKS.iter().filter(|check| selection.runs(check)).collect();
        let looked = shared(&places, (threads, RULES_SHARED_MIN), |places| {
            let mut doubts = Vec::new();
            let subjects = places.iter().filter_map(|place| read::subject(place, &models, &faults));
            // One rule after the other, while what it is made of is at hand.
            let subjects = subjects.inspect(|rule| look(rule, &checks, &context, &mut doubts)).collect::<Vec<_>>();
            vec![(subjects, doubts)]
        });
        let (mut subjects, mut doubts) = (Vec::new(), Vec::new());
        for (mut rules, mut said) in looked {
            subjects.append(&mut rules);
            doubts.append(&mut said);
        }
        for check in checks {
            if let Look::All(look) = check.look {
                let before = doubts.len();
                look(&subjects, &context, &mut doubts);
                debug_assert!(doubts[before..].iter().all(|d| d.code == check.code), "{}", check.code);
            }
        }
        doubts
    };
    let found = &mut loaded.diagnostics;
    found.append(&mut doubts);
    let unwanted = |d: &Diagnostic| {
        d.level != crate::diag::Level::Error && selection.ignore.iter().any(|code| d.code.starts_with(code.as_str()))
    };
    found.retain(|d| !unwanted(d));
}

/// Runs the checks of single rules on one.
fn look(rule: &Subject<'_>, checks: &[&Check], context: &Context<'_>, out: &mut Vec<Diagnostic>) {
    let mut of = |check: &Check, look: &mut dyn FnMut(&mut Vec<Diagnostic>)| {
        let before = out.len();
        look(out);
        debug_assert!(out[before..].iter().all(|d: &Diagnostic| d.code == check.code), "{}", check.code);
    };
    for check in checks {
        match check.look {
            Look::Rule(look) => of(check, &mut |out| look(rule, context, out)),
            Look::Formula(look) => {
                rule.formulas.iter().for_each(|formula| of(check, &mut |out| look(rule, formula, context, out)));
            }
            Look::Part(..) | Look::All(_) => {}
        }
    }
    // All checks of parts share one walk.
    for formula in &rule.formulas {
        walk::walk(formula.expr, &mut |expr, above| {
            let kinds = walk::kinds(expr);
            for check in checks {
                if let Look::Part(wanted, look) = check.look
                    && wanted & kinds != 0
                {
                    of(check, &mut |out| look(&Part { rule, formula, expr, above }, context, out));
                }
            }
        });
    }
}
