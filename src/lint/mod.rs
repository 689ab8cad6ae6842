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
mod read;
pub mod subject;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::diag::{Diagnostic, SourceFile};
use crate::rule::{RULES_SHARED_MIN, Rule, shared};
use crate::yaml::Node;

pub use checks::CHECKS;
pub use knowledge::Knowledge;
use subject::{Formula, Subject};

/// A check.
pub struct Check {
    /// Its code.
    pub code: &'static str,
    /// Whether it runs only where it is asked for: a matter of taste, not a mistake.
    pub on_request: bool,
    /// What it looks at.
    pub look: Look,
}

/// What a check is called with.
pub enum Look {
    /// Each expression of each rule.
    Formula(fn(&Subject<'_>, &Formula<'_>, &Context<'_>, &mut Vec<Diagnostic>)),
    /// Each rule.
    Rule(fn(&Subject<'_>, &Context<'_>, &mut Vec<Diagnostic>)),
    /// All rules of all files.
    All(fn(&[Subject<'_>], &Context<'_>, &mut Vec<Diagnostic>)),
}

impl Check {
    const fn formula(
        code: &'static str,
        look: fn(&Subject<'_>, &Formula<'_>, &Context<'_>, &mut Vec<Diagnostic>),
    ) -> Self {
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
    pub recorded: BTreeSet<&'a str>,
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

/// A rule file as a tree.
#[derive(Debug)]
pub struct Page {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Its tree.
    pub root: Node,
}

/// Looks at rules and adds what is found to `found`, which holds what their reader has found. What a reader has said of a
/// rule is not said again.
///
/// The findings come in no particular order. `threads` share the rules; what is found does not depend on them.
pub fn run(
    pages: &[Page],
    rules: &[Rule],
    asked: (&Knowledge, &Selection),
    threads: usize,
    found: &mut Vec<Diagnostic>,
) {
    let (knowledge, selection) = asked;
    let mut doubts = {
        let (models, faults) = (read::models(rules), read::faults(found));
        let places: Vec<read::Place<'_>> = pages.iter().flat_map(|page| read::places(&page.file, &page.root)).collect();
        let subjects = shared(&places, (threads, RULES_SHARED_MIN), |places| {
            let read = places.iter().filter_map(|place| read::subject(place, &models, &faults));
            read.inspect(|rule| checks::prepare(rule)).collect()
        });
        let recorded = subjects.iter().filter(|r| r.makes == subject::Makes::Series);
        let context = Context { knowledge, recorded: recorded.map(Subject::name).collect() };
        let checks: Vec<&Check> = CHECKS.iter().filter(|check| selection.runs(check)).collect();
        let mut doubts = shared(&subjects, (threads, RULES_SHARED_MIN), |subjects| {
            let mut doubts = Vec::new();
            checks.iter().for_each(|check| look(check, subjects, &context, &mut doubts));
            doubts
        });
        for check in &checks {
            if let Look::All(look) = check.look {
                look(&subjects, &context, &mut doubts);
            }
        }
        doubts
    };
    drop_repeated(&mut doubts, found);
    found.append(&mut doubts);
    let unwanted = |d: &Diagnostic| {
        d.level != crate::diag::Level::Error && selection.ignore.iter().any(|code| d.code.starts_with(code.as_str()))
    };
    found.retain(|d| !unwanted(d));
}

/// Runs a check of single rules.
fn look(check: &Check, rules: &[Subject<'_>], context: &Context<'_>, out: &mut Vec<Diagnostic>) {
    let before = out.len();
    match check.look {
        Look::All(_) => {}
        Look::Rule(look) => rules.iter().for_each(|rule| look(rule, context, out)),
        Look::Formula(look) => {
            for rule in rules {
                rule.formulas.iter().for_each(|formula| look(rule, formula, context, out));
            }
        }
    }
    debug_assert!(out[before..].iter().all(|d: &Diagnostic| d.code == check.code), "{}", check.code);
}

/// Drops what a reader has said under the same code on the same line.
fn drop_repeated(doubts: &mut Vec<Diagnostic>, found: &[Diagnostic]) {
    let mut said: HashMap<(&str, &str), BTreeSet<u32>> = HashMap::new();
    for d in found {
        said.entry((d.code, &*d.file.path)).or_default().insert(d.start().line);
    }
    doubts.retain(|d| said.get(&(d.code, &*d.file.path)).is_none_or(|lines| !lines.contains(&d.start().line)));
}
