//! The installation that messages are tested with: what `config` and `handlers` of a unit-test file name or hold, read
//! as the daemon reads it, with the rules of the file under it. No secret is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Suite;
use super::world::given_here;
use crate::app::handler_files::{Installed, with_presets};
use crate::app::load::{Inputs, LoadError, Sources};
use crate::app::{paths, receivers};
use crate::config::{self, ServerConfig, files};
use crate::diag::{Diagnostic, Level, SourceFile, suggest};
use crate::rule::unit_test::{Given, NoticeTest, NoticeTests, ReadOptions, UnitTestFile};
use crate::rule::{self, LoadOptions, Loaded, Rule};
use crate::schedule::TimeInterval;

/// What one test group is played with, without its rules.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Configuration, handlers and routes.
    pub(super) inputs: Arc<Inputs>,
    /// Names of handlers and rotations that rules may tell.
    names: Vec<String>,
    /// Time intervals that rules may name.
    intervals: Vec<Arc<TimeInterval>>,
}

/// Reads what a test group names; `None` with errors among the findings.
pub(super) fn load(tests: &UnitTestFile, notices: &NoticeTests, out: &mut Vec<Diagnostic>) -> Option<Setting> {
    let mut found = Vec::new();
    let setting = Loader { file: &tests.file, out: &mut found }.setting(notices);
    found.retain(|d| d.level == Level::Error);
    let failed = !found.is_empty();
    out.append(&mut found);
    let setting = setting.filter(|_| !failed)?;
    out.extend(notices.tests.iter().filter_map(|test| setting.unknown_handler(tests, test)));
    Some(setting)
}

struct Loader<'a> {
    file: &'a Arc<SourceFile>,
    out: &'a mut Vec<Diagnostic>,
}

impl Loader<'_> {
    fn setting(&mut self, notices: &NoticeTests) -> Option<Setting> {
        let beside = Path::new(&*self.file.path).parent().unwrap_or(Path::new("")).to_owned();
        let (config, base) = self.config(notices.config.as_ref(), &beside)?;
        let handler_files = self.handler_files(notices, &beside, (&config, &base))?;
        let start = self.out.len();
        let installed = Installed::or_console(&handler_files, self.out);
        // What is written out here was read as a file of its own, letter for letter in its place.
        for found in self.out[start..].iter_mut().filter(|found| found.file.path == self.file.path) {
            found.file = Arc::clone(self.file);
        }
        let (names, intervals) = (installed.said.names(), installed.intervals.clone());
        let config = receivers::settle(config, &mut [], &installed.said);
        let inputs = Arc::new(Inputs { config, config_read: true, ..installed.inputs() });
        Some(Setting { inputs, names, intervals })
    }

    /// The settings, and the folder from which they name files.
    fn config(&mut self, given: Option<&Given>, beside: &Path) -> Option<(ServerConfig, PathBuf)> {
        let (path, span) = match given {
            None => return Some((ServerConfig::default(), beside.to_owned())),
            Some(Given::Written(span)) => {
                let (config, findings) = config::server::load(&cut_out(self.file, span));
                let here = |found| Diagnostic { file: Arc::clone(self.file), ..found };
                self.out.extend(findings.into_iter().map(here));
                return Some((config?, beside.to_owned()));
            }
            Some(Given::Paths(paths)) => paths.first()?,
        };
        let path = beside.join(path);
        if !path.is_file() {
            self.missing(&path, span.clone());
            return None;
        }
        let (config, findings) = match files::read_file(&path) {
            Ok(file) => config::server::load(&file),
            Err(finding) => (None, vec![*finding]),
        };
        self.out.extend(findings);
        Some((config?, path.parent().map(Path::to_owned).unwrap_or_default()))
    }

    fn handler_files(
        &mut self,
        notices: &NoticeTests,
        beside: &Path,
        (config, base): (&ServerConfig, &Path),
    ) -> Option<Vec<Arc<SourceFile>>> {
        let paths = match &notices.handlers {
            Some(Given::Written(span)) => return Some(vec![cut_out(self.file, span)]),
            Some(Given::Paths(paths)) => {
                let gone = paths.iter().find(|(path, _)| !beside.join(path).exists());
                if let Some((path, span)) = gone {
                    self.missing(&beside.join(path), span.clone());
                    return None;
                }
                paths.iter().map(|(path, _)| beside.join(path)).collect()
            }
            None => match paths::handler_paths(&Sources::default(), config, base) {
                Ok(listed) => {
                    self.out.extend(listed.findings);
                    listed.paths
                }
                Err(error) => {
                    let span = match &notices.config {
                        Some(Given::Written(span)) => span.clone(),
                        Some(Given::Paths(paths)) => paths.first().map_or(0..0, |(_, span)| span.clone()),
                        None => 0..0,
                    };
                    match error {
                        LoadError::Missing(path) => self.missing(&path, span),
                        LoadError::NoRules => self.missing(Path::new("rules"), span),
                    }
                    return None;
                }
            },
        };
        let found = files::read(&with_presets(paths));
        self.out.extend(found.diagnostics);
        Some(found.files)
    }

    fn missing(&mut self, path: &Path, span: std::ops::Range<usize>) {
        let message = format!("{}: no such file or folder", path.display());
        let found = Diagnostic::error("A440", self.file, span, message).with_label("is not there");
        self.out.push(found.with_help("paths are relative to the folder of the unit-test file"));
    }
}

/// A mapping of a file as a file of its own: everything else is blank, so that every place is the same.
fn cut_out(file: &Arc<SourceFile>, span: &std::ops::Range<usize>) -> Arc<SourceFile> {
    let blank = |text: &str| text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect::<String>();
    let (before, rest) = file.text.split_at_checked(span.start).unwrap_or((&file.text, ""));
    let (inside, after) = rest.split_at_checked(span.len()).unwrap_or((rest, ""));
    SourceFile::new(file.path.clone(), format!("{}{inside}{}", blank(before), blank(after)))
}

impl Setting {
    /// Whether a handler is the one of a name, or of the receiver of that name.
    pub(super) fn is_named(&self, handler: &str, name: &str) -> bool {
        let of_receiver = || self.inputs.receivers.get(name).is_some_and(|all| all.iter().any(|h| **h == *handler));
        handler == name || of_receiver()
    }

    fn unknown_handler(&self, tests: &UnitTestFile, test: &NoticeTest) -> Option<Diagnostic> {
        let name = test.handler.as_str();
        let handlers = self.inputs.handlers.iter().filter(|handler| handler.is_told()).map(|handler| &*handler.name);
        let handlers: Vec<&str> = handlers.collect();
        if handlers.iter().any(|handler| self.is_named(handler, name)) {
            return None;
        }
        let message = format!("`{name}` is no handler that is told of alerts");
        let found = Diagnostic::error("A501", &tests.file, test.handler_span.clone(), message);
        let found = match suggest(name, handlers.iter().copied()) {
            Some(meant) => found.with_label(format!("did you mean `{meant}`?")),
            None => found.with_label("receives nothing"),
        };
        let known: Vec<String> = handlers.iter().map(|name| format!("`{name}`")).collect();
        let help = format!("`config` and `handlers` of the test give: {}", known.join(", "));
        Some(found.with_help(if known.is_empty() {
            "name the handlers in `config` or `handlers`".to_owned()
        } else {
            help
        }))
    }

    /// The rules of a file under this installation.
    pub(super) fn load_rules(&self, tests: &UnitTestFile, sources: &[Arc<SourceFile>], options: ReadOptions) -> Loaded {
        let load = LoadOptions {
            default_every: tests.evaluation_interval,
            ignore_unknown_fields: options.ignore_unknown_fields,
            known_handlers: Some(&self.names),
            known_intervals: Some(&self.intervals),
            ..LoadOptions::default()
        };
        let mut loaded = rule::load(sources, &load);
        loaded.rules.iter_mut().for_each(|rule| receivers::name_told(rule, &self.inputs.receivers));
        loaded
    }

    /// The rules of a suite as they are played.
    pub(super) fn rules(&self, suite: &Suite) -> Vec<Rule> {
        self.load_rules(&suite.tests, &suite.sources, suite.options).rules.iter().map(given_here).collect()
    }
}
