//! Where the rules of a monitor come from, and what was found in them.
//!
//! Reads files only through [`config::files`](crate::config::files); what is wrong comes back as values.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::files;
use crate::diag::{self, Diagnostic, Level, SourceFile, TextStyle};
use crate::rule::{self, LoadOptions, Rule};

/// Rule files: texts that the program holds, and paths.
///
/// ```
/// use alertd::embed::RuleSources;
///
/// let found = RuleSources::new()
///     .text("typo.yaml", "rules:\n  - name: a\n    expr: up == 0\n    foor: 5m\n")
///     .check();
/// assert!(found.has_errors());
/// // Each finding is a value with a code and a place …
/// assert_eq!(found.iter().next().unwrap().start().line, 4);
/// // … and all of them are a text for people, with carets and help.
/// assert!(found.to_string().contains("did you mean `for`?"), "{found}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct RuleSources {
    sources: Vec<Source>,
}

#[derive(Clone, Debug)]
enum Source {
    Text(Arc<SourceFile>),
    Path(PathBuf),
}

impl RuleSources {
    /// No rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of a rule file. `name` stands for its path in findings and messages.
    #[must_use]
    pub fn text(mut self, name: &str, yaml: &str) -> Self {
        self.sources.push(Source::Text(SourceFile::new(name, yaml)));
        self
    }

    /// Adds a rule file, or all `.yaml` and `.yml` files of a folder. They are read when the rules are used; one that
    /// cannot be read is a finding.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::Path(path.into()));
        self
    }

    /// Reads and checks the rules without using them. Names in `notify` are not checked: there are no receivers here.
    pub fn check(&self) -> Diagnostics {
        self.load(&LoadOptions { known_intervals: Some(&[]), known_stores: Some(&[]), ..LoadOptions::default() }).1
    }

    /// The rules for a monitor with these receivers, if they have no error.
    pub(super) fn rules(
        &self,
        default_every: Duration,
        receivers: &[String],
    ) -> Result<(Vec<Rule>, Diagnostics), Diagnostics> {
        let options = LoadOptions {
            default_every,
            known_handlers: Some(receivers),
            known_intervals: Some(&[]),
            known_stores: Some(&[]),
            ..LoadOptions::default()
        };
        let (rules, found) = self.load(&options);
        if found.has_errors() { Err(found) } else { Ok((rules, found)) }
    }

    fn load(&self, options: &LoadOptions<'_>) -> (Vec<Rule>, Diagnostics) {
        let (mut read, mut findings) = (Vec::new(), Vec::new());
        for source in &self.sources {
            match source {
                Source::Text(file) => read.push(Arc::clone(file)),
                Source::Path(path) => {
                    let found = files::read(std::slice::from_ref(path));
                    read.extend(found.files);
                    findings.extend(found.diagnostics);
                }
            }
        }
        let loaded = rule::load(&read, options);
        findings.extend(loaded.diagnostics);
        diag::sort(&mut findings);
        (loaded.rules, Diagnostics(findings))
    }
}

/// What was found in rules. Shown (`Display`), it is the text that `alertd check` prints: every finding with its line,
/// a caret, and how to mend it.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// The findings: by file, then by place.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one is an error. Rules with an error are not used, nor are the others given with them.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|d| d.level == Level::Error)
    }

    /// The findings as a text of another style, for example with colours.
    pub fn render(&self, style: TextStyle) -> String {
        diag::text(&self.0, style)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(TextStyle::default()))
    }
}

impl std::error::Error for Diagnostics {}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
