//! Which files are read: those that were given, else those that the configuration names, patterns among them.
//!
//! Place in the flow: `load` and the commands ask; reading and watching is done elsewhere.

use std::path::{Path, PathBuf};

use super::load::{CONFIG_DEFAULT, LoadError, Sources, config_at};
use crate::config::{ServerConfig, glob};
use crate::diag::{Diagnostic, SourceFile};

/// Files and folders that a configuration names.
#[derive(Debug, Default)]
pub struct Listed {
    /// What is read; of patterns their matches.
    pub paths: Vec<PathBuf>,
    /// What is watched: of patterns the folder in which their matches lie.
    pub(super) watched: Vec<PathBuf>,
    /// Patterns that match nothing, or cannot be read.
    pub findings: Vec<Diagnostic>,
}

impl Listed {
    fn plain(paths: Vec<PathBuf>) -> Result<Self, LoadError> {
        Ok(Self { watched: paths.clone(), paths: existing(paths)?, findings: Vec::new() })
    }

    fn configured(base: &Path, named: &[PathBuf]) -> Result<Self, LoadError> {
        let mut listed = Self::default();
        for name in named {
            let (path, text) = (base.join(name), name.to_string_lossy());
            if path.exists() || !glob::is_pattern(&text) {
                listed.paths.extend(existing(vec![path.clone()])?);
                listed.watched.push(path);
                continue;
            }
            listed.watched.push(glob::folder(base, &text));
            match glob::files(base, &text) {
                Ok(found) if found.is_empty() => {
                    let message = "the pattern names no file".to_owned();
                    let place = SourceFile::new(path.to_string_lossy(), "");
                    listed.findings.push(Diagnostic::warning("A009", &place, 0..0, message));
                }
                Ok(found) => listed.paths.extend(found),
                Err(message) => {
                    let place = SourceFile::new(path.to_string_lossy(), "");
                    listed.findings.push(Diagnostic::error("A001", &place, 0..0, message));
                }
            }
        }
        Ok(listed)
    }
}

pub(super) fn rule_paths(sources: &Sources, config: &ServerConfig, base: &Path) -> Result<Listed, LoadError> {
    if !sources.rules.is_empty() {
        return Listed::plain(sources.rules.clone());
    }
    match Listed::configured(base, &config.rule_files) {
        Err(LoadError::Missing(path)) if path.ends_with("rules") => Err(LoadError::NoRules),
        other => other,
    }
}

pub(super) fn handler_paths(sources: &Sources, config: &ServerConfig, base: &Path) -> Result<Listed, LoadError> {
    if let Some(path) = &sources.handlers {
        return Listed::plain(vec![path.clone()]);
    }
    if config.handler_files == ServerConfig::default().handler_files {
        let paths = config.handler_files.iter().map(|path| base.join(path));
        return Listed::plain(paths.filter(|path| path.exists()).collect());
    }
    Listed::configured(base, &config.handler_files)
}

/// What a command looks at that was given no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything that the daemon reads: the configuration, handler files and rule files.
    Everything,
    /// Rule files.
    Rules,
}

/// The paths that were given, else what the configuration names, as the daemon reads it.
pub fn given_or_configured(given: &[PathBuf], config: Option<&Path>, wanted: Wanted) -> Result<Listed, LoadError> {
    if !given.is_empty() {
        return Listed::plain(given.to_vec());
    }
    let path = config.map_or_else(|| PathBuf::from(CONFIG_DEFAULT), Path::to_owned);
    let read = config_at(config)?.0;
    let path = Some(path).filter(|path| path.exists());
    let base = path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let sources = Sources::default();
    let config = read.as_ref().map(|(_, config)| config.clone()).unwrap_or_default();
    let mut listed = match rule_paths(&sources, &config, &base) {
        // What is wrong with the configuration says more than that its rules are not found.
        Err(_) if read.is_none() && path.is_some() && wanted == Wanted::Everything => Listed::default(),
        listed => listed?,
    };
    if wanted == Wanted::Everything {
        let handlers = handler_paths(&sources, &config, &base)?;
        listed.paths.splice(0..0, path.into_iter().chain(handlers.paths));
        listed.findings.extend(handlers.findings);
    }
    Ok(listed)
}

pub(super) fn existing(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, LoadError> {
    match paths.iter().find(|path| !path.exists()) {
        Some(path) => Err(LoadError::Missing(path.clone())),
        None => Ok(paths),
    }
}
