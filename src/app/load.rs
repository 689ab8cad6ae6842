//! From paths to settings, handlers and rules, with every finding of every file at once. Nothing is half loaded: whoever
//! gets [`Inputs`] with an error in it keeps what it had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::doubts::Doubts;
use super::handler_files::{Installed, presets_beside, with_presets};
use super::paths::{Listed, existing, handler_paths, rule_paths};
use super::threads::cores;
use super::{receivers, recorded, unit_tests};
use crate::config::{self, Handler, ServerConfig, files};
use crate::diag::{self, Diagnostic, Level, SourceFile};
use crate::lint::ignore;
use crate::model::{InhibitRule, Labels};
use crate::notify::Secrets;
use crate::route::{Receiver, Route, Routes};
use crate::rule::unit_test::ReadOptions;
use crate::rule::{self, LoadOptions, Loaded, Rule};
use crate::schedule::Rotation;
use crate::state::Externals;

/// Configuration that is used where none is named.
pub const CONFIG_DEFAULT: &str = "alertd.yaml";

/// Why nothing can be loaded at all.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A path that was named is not there.
    #[error("{}: no such file or folder", .0.display())]
    Missing(PathBuf),
    /// The default rules folder is not there.
    #[error("there is no folder rules/ here; name rule files or folders, or write some with `alertd init`")]
    NoRules,
}

/// Where to look, as the command line says it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Rule files or folders; empty: as configured.
    pub rules: Vec<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--handlers`.
    pub handlers: Option<PathBuf>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Settings; the defaults where the file has an error.
    pub config: ServerConfig,
    /// Whether the configuration file, if there is one, could be read.
    pub config_read: bool,
    /// Who is told.
    pub handlers: Vec<Handler>,
    /// The root route, where one is written.
    pub route: Option<Route>,
    /// Names under which handlers are told in turns.
    pub rotations: Arc<[Rotation]>,
    /// Which alerts keep which others from being told.
    pub inhibit: Arc<[InhibitRule]>,
    /// Rules without errors.
    pub rules: Vec<Rule>,
    /// The receivers of an `alertmanager.yml`, with the handlers that each has become.
    pub receivers: BTreeMap<String, Vec<Arc<str>>>,
    /// The uids of rules with errors.
    pub faulty: Vec<Arc<str>>,
    /// Every file that was read, by path.
    pub files: Vec<Arc<SourceFile>>,
    /// How many of them are rule files.
    pub rule_files: usize,
    /// All findings, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
    /// Files and folders to watch for changes.
    pub watched: Vec<PathBuf>,
}

impl Inputs {
    /// Whether something is wrong enough that nothing of it must be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.level == Level::Error)
    }

    /// Handlers, route and labels as routing sees them; the terms of the rules come from the rules.
    pub fn routes(&self) -> Routes {
        let receiver = |h: &Handler| {
            let (min_severity, send_resolved, on_mute) = (h.min_severity, h.send_resolved, h.on_mute);
            Receiver { min_severity, send_resolved, on_mute, ..Receiver::new(&h.name) }
        };
        Routes {
            receivers: self.handlers.iter().filter(|h| h.is_told()).map(receiver).collect(),
            root: self.route.clone().unwrap_or_default(),
            rotations: Arc::clone(&self.rotations),
            inhibit: Arc::clone(&self.inhibit),
            external_labels: self.externals().labels,
            shown_as: self.shown_as(),
            ..Routes::default()
        }
    }

    /// Handlers that are shown under the name of the receiver that they are of.
    fn shown_as(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let of = |(name, handlers): (&String, &Vec<Arc<str>>)| {
            let name: Arc<str> = Arc::from(name.as_str());
            handlers.iter().map(|handler| (handler.clone(), name.clone())).collect::<Vec<_>>()
        };
        self.receivers.iter().flat_map(of).collect()
    }

    /// What its handlers share.
    pub fn common(&self, secrets: &Arc<Secrets>) -> super::handlers::Common {
        super::handlers::Common { external_url: self.externals().url, secrets: Arc::clone(secrets) }
    }

    /// What the installation adds to messages.
    pub fn externals(&self) -> Externals {
        Externals {
            labels: Labels::from_pairs(self.config.external_labels.clone()),
            url: self.config.external_url.clone().unwrap_or_else(|| format!("http://{}", self.config.listen)),
        }
    }
}

/// Reads configuration, handlers and rules.
pub fn load(sources: &Sources) -> Result<Inputs, LoadError> {
    read(sources, true, None)
}

/// The same, and looks at the rules for what is doubtful in them.
pub fn load_doubting(sources: &Sources, doubts: &Doubts) -> Result<Inputs, LoadError> {
    read(sources, true, Some(doubts))
}

/// Reads configuration and handlers alone.
pub fn load_handlers(sources: &Sources) -> Result<Inputs, LoadError> {
    read(sources, false, None)
}

/// Reads the configuration alone: the named file, `alertd.yaml` if it exists, else the defaults. Its findings are told by
/// `check`.
pub fn config_only(path: Option<&Path>) -> Result<ServerConfig, LoadError> {
    Ok(config_at(path)?.0.map(|(_, config)| config).unwrap_or_default())
}

/// A configuration and its path.
pub type ConfigAt = (PathBuf, ServerConfig);

/// The same with its path, and its findings; `None` where there is none, or none without errors.
pub fn config_at(path: Option<&Path>) -> Result<(Option<ConfigAt>, Vec<Diagnostic>), LoadError> {
    let path = match path {
        Some(path) if !path.exists() => return Err(LoadError::Missing(path.to_owned())),
        Some(path) => path,
        None => Path::new(CONFIG_DEFAULT),
    };
    let mut findings = Vec::new();
    let config = path.exists().then(|| read_config(path, &mut Vec::new(), &mut findings)).flatten();
    Ok((config.map(|config| (path.to_owned(), config)), findings))
}

fn read(sources: &Sources, with_rules: bool, doubts: Option<&Doubts>) -> Result<Inputs, LoadError> {
    let config_path = match &sources.config {
        Some(path) if !path.exists() => return Err(LoadError::Missing(path.clone())),
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(CONFIG_DEFAULT)).filter(|path| path.exists()),
    };
    let (mut diagnostics, mut read_files) = (Vec::new(), Vec::new());
    let config = config_path.as_deref().and_then(|path| read_config(path, &mut read_files, &mut diagnostics));
    let config_read = config.is_some() || config_path.is_none();
    let config = config.unwrap_or_default();
    let base = config_path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();

    let (rule_paths, handler_paths) = listed(sources, with_rules, (&config, config_read, &base), &mut diagnostics)?;
    let handler_files = with_presets(handler_paths.paths);
    let found = files::read(&handler_files);
    diagnostics.extend(found.diagnostics);
    let installed = Installed::or_console(&found.files, &mut diagnostics);
    read_files.extend(found.files);
    read_files.extend(installed.named().cloned());

    let names = installed.said.names();
    if let Some(path) = config_path.as_deref() {
        diagnostics.extend(config::server::unknown_handlers(path, &read_files, &config, &names));
    }
    let found = files::read(&rule_paths.paths);
    diagnostics.extend(found.diagnostics);
    let stores: Vec<String> = config.remote_stores().into_keys().collect();
    let options = LoadOptions {
        default_every: config.evaluation_interval,
        known_handlers: Some(&names),
        known_intervals: Some(&installed.intervals),
        known_stores: config_read.then_some(stores.as_slice()),
        default_store: config.default_store(),
        threads: cores(),
        ..LoadOptions::default()
    };
    let mut loaded = load_rules(&found.files, &options, (&config, config_path.as_deref()), doubts);
    let config = receivers::settle(config, &mut loaded.rules, &installed.said);
    diagnostics.extend(loaded.diagnostics);
    let rule_files = found.files.len();
    read_files.extend(found.files);
    diag::sort(&mut diagnostics);
    let named = installed.named_paths();
    let watched = [handler_paths.watched, handler_files, rule_paths.watched, named].into_iter().flatten();
    let watched = config_path.into_iter().chain(watched).collect();
    Ok(Inputs {
        config,
        config_read,
        rules: loaded.rules,
        faulty: loaded.faulty,
        files: read_files,
        rule_files,
        diagnostics,
        watched,
        ..installed.inputs()
    })
}

/// The rule files and the handler files.
fn listed(
    sources: &Sources,
    with_rules: bool,
    (config, config_read, base): (&ServerConfig, bool, &Path),
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(Listed, Listed), LoadError> {
    let mut rules = match with_rules.then(|| rule_paths(sources, config, base)) {
        None => Listed::default(),
        // Where the rules lie is not known while the configuration has an error: that is told instead.
        Some(Err(_)) if !config_read && sources.rules.is_empty() => Listed::default(),
        Some(paths) => paths?,
    };
    let mut handlers = handler_paths(sources, config, base)?;
    diagnostics.append(&mut rules.findings);
    diagnostics.append(&mut handlers.findings);
    Ok((rules, handlers))
}

/// Reads rules, and looks at them for what is doubtful where that is asked for.
fn load_rules(
    files: &[Arc<SourceFile>],
    options: &LoadOptions<'_>,
    (config, path): (&ServerConfig, Option<&Path>),
    doubts: Option<&Doubts>,
) -> Loaded {
    let mut loaded = match doubts {
        Some(doubts) => doubts.under(config, path).load(files, options),
        None => {
            let mut loaded = rule::load(files, options);
            loaded.diagnostics.extend(recorded::never_arriving(config, &loaded.rules, files));
            ignore::hide(files, &mut loaded.diagnostics);
            loaded
        }
    };
    loaded.diagnostics.iter_mut().for_each(doubt_blank);
    loaded
}

/// A file without a byte of content is more likely being written than meant, so its rules are not taken away.
fn doubt_blank(found: &mut Diagnostic) {
    if found.code == "A017" && found.file.text.trim().is_empty() {
        found.level = Level::Error;
    }
}

fn read_config(
    path: &Path,
    read_files: &mut Vec<Arc<SourceFile>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ServerConfig> {
    match files::read_file(path) {
        Ok(file) => {
            let (config, findings) = config::server::load(&file);
            diagnostics.extend(findings);
            read_files.push(file);
            config
        }
        Err(finding) => {
            diagnostics.push(*finding);
            None
        }
    }
}

/// Reads rules alone: handlers and time intervals that they name are not looked for.
pub fn rules_only(paths: &[PathBuf]) -> Result<Loaded, LoadError> {
    let found = files::read(&existing(paths.to_vec())?);
    let mut loaded = rule::load(&found.files, &LoadOptions::default());
    loaded.diagnostics.extend(found.diagnostics);
    diag::sort(&mut loaded.diagnostics);
    Ok(loaded)
}

/// What `alertd test` looks at.
#[derive(Debug, Default)]
pub struct TestInputs {
    /// Rules of the rule files, with all findings.
    pub loaded: Loaded,
    /// The rule files.
    pub rule_files: Vec<Arc<SourceFile>>,
    /// Unit-test files.
    pub unit_tests: Vec<Arc<SourceFile>>,
}

/// Reads what is to be tested: rule files, and unit-test files with them.
pub fn for_tests(paths: &[PathBuf]) -> Result<TestInputs, LoadError> {
    let found = files::read(&existing(paths.to_vec())?);
    let named = |file: &SourceFile| paths.iter().any(|path| *path == Path::new(&*file.path));
    let is =
        |file: &Arc<SourceFile>| unit_tests::is_unit_test(file) || (named(file) && unit_tests::may_be_unit_test(file));
    let (unit_tests, rule_files): (Vec<_>, Vec<_>) = found.files.into_iter().partition(is);
    let mut loaded = rule::load(&rule_files, &LoadOptions::default());
    loaded.diagnostics.extend(found.diagnostics);
    diag::sort(&mut loaded.diagnostics);
    Ok(TestInputs { loaded, rule_files, unit_tests })
}

/// What `check` found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The files, in the order in which they were found.
    pub files: Vec<Arc<SourceFile>>,
    /// Rules without errors.
    pub rules: Vec<Rule>,
    /// The trees of the rule files: kept so that whoever ends the process need not take them apart.
    pub pages: Vec<rule::Page>,
    /// All findings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks files of any kind; which one a file is, its top keys say.
pub fn check(paths: &[PathBuf], doubts: &Doubts) -> Result<Checked, LoadError> {
    let mut checked = check_files(read_files(paths)?, doubts);
    // One that is among the files was told with them.
    if !checked.files.iter().any(|file| kind_of(file) == FileKind::Config) {
        checked.diagnostics.extend(doubts.config_findings.iter().cloned());
        diag::sort(&mut checked.diagnostics);
    }
    Ok(checked)
}

/// Reads files of any kind.
pub(super) fn read_files(paths: &[PathBuf]) -> Result<files::Snapshot, LoadError> {
    Ok(files::read(&existing(paths.to_vec())?))
}

/// Checks files that were read.
pub(super) fn check_files(found: files::Snapshot, doubts: &Doubts) -> Checked {
    let mut checked = Checked { diagnostics: found.diagnostics, ..Checked::default() };
    let kinds: Vec<FileKind> = found.files.iter().map(kind_of).collect();
    let kind = |kind: FileKind| {
        let of = found.files.iter().zip(&kinds).filter(|(_, k)| **k == kind);
        of.map(|(file, _)| Arc::clone(file)).collect::<Vec<_>>()
    };
    let mut handler_files = kind(FileKind::Handlers);
    handler_files.extend(presets_beside(&handler_files, &found.files));
    let Installed { said, intervals, .. } = Installed::read(&handler_files, &mut checked.diagnostics);
    let mut among = None;
    for file in kind(FileKind::Config) {
        let (config, findings) = config::server::load(&file);
        checked.diagnostics.extend(findings);
        among = among.or(config.map(|config| (PathBuf::from(&*file.path), config)));
    }
    let under = among.as_ref().or(doubts.config.as_ref());
    let stores: Vec<String> = under.iter().flat_map(|(_, config)| config.remote_stores().into_keys()).collect();
    // Without handler files in sight, names in `notify`, `active` and `mute` may be right.
    let names = said.names();
    let known_handlers = (!said.handlers.is_empty()).then_some(names.as_slice());
    let known_intervals = (!handler_files.is_empty()).then_some(intervals.as_slice());
    let mut options = LoadOptions { known_handlers, known_intervals, threads: cores(), ..LoadOptions::default() };
    let rules = kind(FileKind::Rules);
    let loaded = match under {
        None => doubts.load(&rules, &options),
        Some((path, config)) => {
            options.default_every = config.evaluation_interval;
            options.known_stores = Some(&stores);
            options.default_store = config.default_store();
            doubts.under(config, Some(path)).load(&rules, &options)
        }
    };
    checked.diagnostics.extend(loaded.diagnostics);
    for file in kind(FileKind::UnitTests) {
        rule::unit_test::read(&file, ReadOptions::default(), &mut checked.diagnostics);
    }
    (checked.rules, checked.pages) = (loaded.rules, loaded.pages);
    checked.files = found.files;
    diag::sort(&mut checked.diagnostics);
    checked
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Rules,
    Handlers,
    Config,
    UnitTests,
}

/// The kind of a file: by its first top key that only one kind has; a rule file where nothing tells.
fn kind_of(file: &Arc<SourceFile>) -> FileKind {
    if config::preset::is_preset(&file.path) {
        return FileKind::Handlers;
    }
    if unit_tests::is_unit_test(file) {
        return FileKind::UnitTests;
    }
    let config_keys: Vec<&str> = config::keys::SERVER.keys.iter().map(|key| key.name).collect();
    for line in file.text.lines() {
        let Some((key, _)) = line.split_once(':') else { continue };
        // A mapping may be written in braces.
        match key.strip_prefix('{').unwrap_or(key) {
            "rules" | "groups" | "defaults" | "apiVersion" | "kind" => return FileKind::Rules,
            "handlers" | "receivers" | "route" | "inhibit_rules" | "templates" => return FileKind::Handlers,
            "time_intervals" | "mute_time_intervals" | "rotations" => return FileKind::Handlers,
            key if config_keys.contains(&key) => return FileKind::Config,
            _ => {}
        }
    }
    FileKind::Rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_file_is_told_by_its_first_key() {
        for (text, kind) in [
            ("listen: 127.0.0.1:9097\n", FileKind::Config),
            ("{listen: 127.0.0.1:9097, rule_files: [rules/]}\n", FileKind::Config),
            ("# Who is told.\nhandlers: []\n", FileKind::Handlers),
            ("{handlers: [{name: screen, type: console}]}\n", FileKind::Handlers),
            ("rotations: []\n", FileKind::Handlers),
            ("rules:\n  - name: listen\n", FileKind::Rules),
            ("{groups: []}\n", FileKind::Rules),
            ("rule_files: [a.yaml]\ntests: []\n", FileKind::UnitTests),
            ("nothing that is known\n", FileKind::Rules),
        ] {
            assert!(kind_of(&SourceFile::new("a.yaml", text)) == kind, "{text}");
        }
    }
}
