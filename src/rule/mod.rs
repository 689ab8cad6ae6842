//! The rule model, and the dialects that are read into it.
//!
//! Place in the flow: `config` finds the files, this room turns their text into [`Rule`]s with diagnostics, `eval`
//! evaluates them. Nothing here reads a file, a clock or a store.

mod anomaly;
mod cases;
mod condition;
mod expression;
pub mod keys;
mod lexer;
mod metric;
pub mod model;
mod native;
mod prometheus;
mod reader;
pub mod schema;
#[cfg(test)]
mod tests;
mod threshold;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::{self, Diagnostic, Level as Severity, SourceFile};
use crate::schedule::TimeInterval;
use crate::yaml;

pub use model::*;

/// Most rules of one load.
pub const RULES_MAX: usize = 100_000;

/// What the files cannot know by themselves.
#[derive(Clone, Debug)]
pub struct LoadOptions<'a> {
    /// Interval of rules with neither `every` nor `cron`.
    pub default_every: Duration,
    /// Names of the handlers; `None`: not known, names in `notify` are not checked.
    pub known_handlers: Option<&'a [String]>,
    /// The time intervals; `None`: not known, names in `active` and `mute` are not checked and name nothing.
    pub known_intervals: Option<&'a [Arc<TimeInterval>]>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self { default_every: Duration::from_secs(15), known_handlers: None, known_intervals: None }
    }
}

/// Rules, and what was found while reading them.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules without errors, in the order of files and of rules in them.
    pub rules: Vec<Rule>,
    /// All findings of all files, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether something is wrong enough that the files must not be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.level == Severity::Error)
    }
}

/// Reads rule files. Pure: the same texts give the same rules and findings.
pub fn load(files: &[Arc<SourceFile>], options: &LoadOptions<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    let mut seen: BTreeMap<Arc<str>, Seen> = BTreeMap::new();
    for file in files {
        let Some(document) = yaml::parse(file, &mut loaded.diagnostics) else { continue };
        let read = native::read(file, document.root.as_ref(), options, &mut loaded.diagnostics);
        for found in read {
            let first = seen.get(&found.uid);
            if let Some(first) = first {
                loaded.diagnostics.push(duplicate(file, &found, first));
                continue;
            }
            seen.insert(found.uid.clone(), Seen { file: file.clone(), at: found.key.start });
            match found.rule {
                Some(rule) if loaded.rules.len() < RULES_MAX => loaded.rules.push(*rule),
                Some(_) => {
                    let message = format!("there are more than {RULES_MAX} rules");
                    loaded.diagnostics.push(Diagnostic::error("A005", file, found.key.clone(), message));
                    diag::sort(&mut loaded.diagnostics);
                    return loaded;
                }
                None => {}
            }
        }
    }
    diag::sort(&mut loaded.diagnostics);
    loaded
}

/// Where a uid was first given.
struct Seen {
    file: Arc<SourceFile>,
    at: usize,
}

/// A rule as it was found: with errors it has no model, but its identity still counts.
struct Found {
    uid: Arc<str>,
    key: std::ops::Range<usize>,
    explicit_uid: bool,
    rule: Option<Box<Rule>>,
}

fn duplicate(file: &Arc<SourceFile>, found: &Found, first: &Seen) -> Diagnostic {
    let line = first.file.position(first.at).line;
    let place = if Arc::ptr_eq(file, &first.file) {
        format!("first on line {line}")
    } else {
        format!("first in {}:{line}", first.file.path)
    };
    let what = if found.explicit_uid { "uid" } else { "name" };
    let message = format!("two rules have the {what} `{}`", found.uid);
    let help =
        if found.explicit_uid { "give each rule a uid of its own" } else { "rename one of them, or give it a `uid`" };
    Diagnostic::error("A401", file, found.key.clone(), message).with_label(place).with_help(help)
}
