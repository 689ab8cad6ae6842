//! The rule model, and the dialects that are read into it.
//!
//! Place in the flow: `config` finds the files, this room turns their text into [`Rule`]s with diagnostics, `eval`
//! evaluates them. Nothing here reads a file, a clock or a store.

mod anomaly;
mod cases;
mod condition;
pub mod export;
mod expression;
mod flapping;
pub mod group_keys;
mod identity;
pub mod keys;
mod lexer;
mod metric;
pub mod model;
mod native;
mod parts;
mod prometheus;
mod reader;
pub mod schema;
mod share;
#[cfg(test)]
mod tests;
mod threshold;
pub mod unit_test;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::{self, Diagnostic, Level as Severity, SourceFile};
use crate::model::alert::RESERVED_UIDS;
use crate::schedule::TimeInterval;
use crate::yaml;

use identity::Sharing;
pub use model::*;
pub(crate) use reader::merged;
pub(crate) use share::{FILES_SHARED_MIN, RULES_SHARED_MIN, shared};

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
    /// Whether keys of groups and their rules that are not known are passed over.
    pub ignore_unknown_fields: bool,
    /// Names of the remote stores; `None`: not known, names in `source` are not checked.
    pub known_stores: Option<&'a [String]>,
    /// The remote store of rules without `source`; `None`: the embedded store.
    pub default_store: Option<&'a str>,
    /// Threads that share the files, or the rules of one; what is read does not depend on them.
    pub threads: usize,
    /// Whether files and queries keep their trees, for checks that look at rules as written.
    pub keep_trees: bool,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self {
            default_every: Duration::from_secs(15),
            known_handlers: None,
            known_intervals: None,
            ignore_unknown_fields: false,
            known_stores: None,
            default_store: None,
            threads: 1,
            keep_trees: false,
        }
    }
}

/// Rules, and what was found while reading them.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules without errors, in the order of files and of rules in them.
    pub rules: Vec<Rule>,
    /// For each of them the byte of its file at which its name begins.
    pub names_at: Vec<usize>,
    /// The rules with errors: each by its uid, which is its name, or that behind the name of its group, unless it has a
    /// `uid`.
    pub faulty: Vec<Arc<str>>,
    /// All findings of all files, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
    /// The trees of the files, where they are kept; of a file of resources that of each.
    pub pages: Vec<Page>,
}

/// A rule file as a tree.
#[derive(Debug)]
pub struct Page {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Its tree.
    pub root: yaml::Node,
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
    let mut renamed: Vec<RenamedFrom> = Vec::new();
    let mut read = read_files(files, options, &mut loaded);
    identity::tell_apart(read.iter_mut().flat_map(|(_, found)| found));
    for (file, found) in read {
        for found in found {
            if RESERVED_UIDS.contains(&&*found.uid) {
                loaded.diagnostics.push(reserved(file, &found));
                continue;
            }
            let first = seen.get(&found.uid);
            if let Some(first) = first {
                loaded.diagnostics.push(duplicate(file, &found, first));
                continue;
            }
            seen.insert(found.uid.clone(), Seen { file: file.clone(), at: found.key.start });
            if let Some((from, place)) = found.renamed_from {
                if RESERVED_UIDS.contains(&&*from) {
                    let message = format!("`renamed_from: {from}` stands for alerts that no rule of a file had");
                    let found = Diagnostic::error("A417", file, place.clone(), message);
                    loaded.diagnostics.push(found.with_help("leave it out"));
                }
                renamed.push(RenamedFrom { from, file: file.clone(), place });
            }
            match found.rule {
                Some(rule) if loaded.rules.len() < RULES_MAX => {
                    loaded.rules.push(*rule);
                    loaded.names_at.push(found.name_at);
                }
                Some(_) => {
                    let message = format!("there are more than {RULES_MAX} rules");
                    loaded.diagnostics.push(Diagnostic::error("A005", file, found.key.clone(), message));
                    diag::sort(&mut loaded.diagnostics);
                    return loaded;
                }
                None => loaded.faulty.push(found.uid),
            }
        }
    }
    clashes(&renamed, &seen, &mut loaded.diagnostics);
    diag::sort(&mut loaded.diagnostics);
    loaded
}

/// The rules of files, in their order: the files are shared by threads, or, where they are few, the rules of each.
fn read_files<'f>(
    files: &'f [Arc<SourceFile>],
    options: &LoadOptions<'_>,
    loaded: &mut Loaded,
) -> Vec<(&'f Arc<SourceFile>, Vec<Found>)> {
    let few = files.len() < 2 * FILES_SHARED_MIN;
    let inner = LoadOptions { threads: if few { options.threads } else { 1 }, ..options.clone() };
    let one = |file: &Arc<SourceFile>| {
        let (mut said, mut pages) = (Vec::new(), Vec::new());
        let found = read(file, &inner, &mut said, &mut pages);
        (found, said, pages)
    };
    let read = shared(files, (options.threads, FILES_SHARED_MIN), |files| files.iter().map(one).collect());
    let mut all = Vec::with_capacity(files.len());
    for (file, (found, mut said, mut pages)) in files.iter().zip(read) {
        all.push((file, found));
        loaded.diagnostics.append(&mut said);
        loaded.pages.append(&mut pages);
    }
    all
}

/// The rules of one file, whichever dialect it is in.
fn read(
    file: &Arc<SourceFile>,
    options: &LoadOptions<'_>,
    out: &mut Vec<Diagnostic>,
    pages: &mut Vec<Page>,
) -> Vec<Found> {
    let Some(mut document) = parts::parse(file, options.threads, out) else { return Vec::new() };
    if document.root.as_ref().is_some_and(unit_test::is_unit_test) {
        // Tests may lie among the rules; `alertd test` and `alertd check` read them.
        return Vec::new();
    }
    let mut specs = Vec::new();
    let found = prometheus::read(file, document.root.as_mut(), options, out, &mut specs);
    let found = found.unwrap_or_else(|| native::read(file, document.root.as_ref(), options, out));
    if options.keep_trees {
        let roots = specs.into_iter().chain(document.root);
        pages.extend(roots.map(|root| Page { file: Arc::clone(file), root }));
    }
    found
}

/// What threads have read, in order.
fn joined(parts: Vec<(Vec<Found>, Vec<Diagnostic>)>, out: &mut Vec<Diagnostic>) -> Vec<Found> {
    let mut rules = Vec::new();
    for (mut found, mut said) in parts {
        rules.append(&mut found);
        out.append(&mut said);
    }
    rules
}

/// A rule that was renamed.
struct RenamedFrom {
    from: Arc<str>,
    file: Arc<SourceFile>,
    place: std::ops::Range<usize>,
}

/// The state of a rule goes to one rule: not while that rule is there, and not to two.
fn clashes(renamed: &[RenamedFrom], seen: &BTreeMap<Arc<str>, Seen>, out: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<&Arc<str>, Seen> = BTreeMap::new();
    for RenamedFrom { from, file, place } in renamed {
        let (other, message) = match (seen.get(from), taken.get(from)) {
            (Some(rule), _) => (rule, format!("the rule `{from}` is still there, and keeps its state")),
            (None, Some(other)) => (other, format!("two rules are renamed from `{from}`")),
            (None, None) => {
                taken.insert(from, Seen { file: file.clone(), at: place.start });
                continue;
            }
        };
        let found = Diagnostic::error("A416", file, place.clone(), message);
        out.push(found.with_label(other.words(file)).with_help("name the `uid` or name of a rule that is no more"));
    }
}

/// Where a uid was first given.
struct Seen {
    file: Arc<SourceFile>,
    at: usize,
}

impl Seen {
    /// In words, as seen from a file.
    fn words(&self, from: &Arc<SourceFile>) -> String {
        let line = self.file.position(self.at).line;
        if Arc::ptr_eq(from, &self.file) {
            format!("first on line {line}")
        } else {
            format!("first in {}:{line}", self.file.path)
        }
    }
}

/// A rule as it was found: with errors it has no model, but its identity still counts.
struct Found {
    uid: Arc<str>,
    key: std::ops::Range<usize>,
    explicit_uid: bool,
    /// Where its name begins.
    name_at: usize,
    /// The uid that it had before, and where that stands.
    renamed_from: Option<(Arc<str>, std::ops::Range<usize>)>,
    /// Of a rule of a group without a `uid`: what tells it from others of its name.
    sharing: Option<Sharing>,
    rule: Option<Box<Rule>>,
}

fn reserved(file: &Arc<SourceFile>, found: &Found) -> Diagnostic {
    let what = if found.explicit_uid { "uid" } else { "name" };
    let message = format!("the {what} `{}` stands for alerts that no rule of a file has", found.uid);
    Diagnostic::error("A417", file, found.key.clone(), message).with_help("give the rule another one")
}

fn duplicate(file: &Arc<SourceFile>, found: &Found, first: &Seen) -> Diagnostic {
    let place = first.words(file);
    let what = if found.explicit_uid { "uid" } else { "name" };
    let message = format!("two rules have the {what} `{}`", found.uid);
    let help =
        if found.explicit_uid { "give each rule a uid of its own" } else { "rename one of them, or give it a `uid`" };
    Diagnostic::error("A401", file, found.key.clone(), message).with_label(place).with_help(help)
}
