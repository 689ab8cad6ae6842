//! What the handler files of an installation say, with the templates and calendars that they name: read here alone, for
//! the daemon, for what checks files and for tests of messages. Looks for no file but those that are named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load::Inputs;
use super::routes;
use crate::clock;
use crate::config::alertmanager::TemplateFile;
use crate::config::calendars::{self, Calendars};
use crate::config::{self, Handler, HandlerFiles, files};
use crate::diag::{Diagnostic, SourceFile};
use crate::schedule::TimeInterval;

/// Handler files that were read.
pub(super) struct Installed {
    /// Handlers, routes, rotations and the rest.
    pub said: HandlerFiles,
    /// Time intervals that routes and rules may name.
    pub intervals: Vec<Arc<TimeInterval>>,
    templates: Vec<TemplateFile>,
    calendars: Calendars,
}

impl Installed {
    /// Reads handler files, the presets among them, and what they name.
    pub fn read(handler_files: &[Arc<SourceFile>], out: &mut Vec<Diagnostic>) -> Self {
        let (templates, findings) = files::templates(handler_files);
        out.extend(findings);
        let (said, findings) = config::handlers::load_with(handler_files, &templates);
        out.extend(findings);
        let calendars = files::read_calendars(&calendars::named(handler_files));
        let (intervals, findings) = config::intervals::load_with(handler_files, clock::local_zone(), &calendars);
        out.extend(findings);
        Self { said, intervals, templates, calendars }
    }

    /// The same for those who tell people: where no handler file says who is told there is the console.
    pub fn or_console(handler_files: &[Arc<SourceFile>], out: &mut Vec<Diagnostic>) -> Self {
        let mut installed = Self::read(handler_files, out);
        if installed.said.handlers.is_empty() && !installed.said.says_who {
            installed.said.handlers = vec![Handler::console()];
        }
        installed
    }

    /// The files that handler files name, as they were read.
    pub fn named(&self) -> impl Iterator<Item = &Arc<SourceFile>> {
        self.calendars.values().flatten().chain(self.templates.iter().map(|template| &template.file))
    }

    /// Their paths, and those of calendars that are not there.
    pub fn named_paths(&self) -> Vec<PathBuf> {
        let templates = self.templates.iter().map(|template| PathBuf::from(&*template.file.path));
        self.calendars.keys().cloned().chain(templates).collect()
    }

    /// What of [`Inputs`] handler files say; everything else is empty.
    pub fn inputs(self) -> Inputs {
        let said = self.said;
        Inputs {
            handlers: said.handlers,
            route: said.route.map(|root| routes::tree(&root, &self.intervals)),
            rotations: said.rotations.into(),
            inhibit: said.inhibit.into(),
            receivers: said.receivers,
            ..Inputs::default()
        }
    }
}

/// Presets lie beside the handler files; in a folder they are found with it.
pub(super) fn with_presets(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let beside = |path: &PathBuf| path.is_file().then(|| path.with_file_name("presets")).filter(|path| path.is_dir());
    let more: Vec<PathBuf> = paths.iter().filter_map(beside).collect();
    paths.extend(more);
    paths
}

/// The presets beside handler files that were named one by one: they are read, and not among the files that are checked.
pub(super) fn presets_beside(handlers: &[Arc<SourceFile>], read: &[Arc<SourceFile>]) -> Vec<Arc<SourceFile>> {
    let folders = handlers.iter().map(|file| Path::new(&*file.path).with_file_name("presets"));
    let mut paths: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Vec::new();
    }
    let mut found = files::read(&paths).files;
    found.retain(|file| read.iter().all(|known| known.path != file.path));
    found
}

#[cfg(test)]
mod tests {
    use super::Installed;
    use crate::app::doubts::Doubts;
    use crate::app::load::{Sources, check, load};
    use crate::diag::{SourceFile, concise};

    const HANDLERS: &str = "handlers: [{name: ann, type: console}, {name: ben, type: console}]\n\
        route: {handlers: [ann]}\n\
        rotations: [{name: oncall, handlers: [ann, ben], starts: 2026-01-05T09:00, timezone: UTC}]\n";

    /// What `check` and the daemon say of a rule with these keys beside handlers and a rotation.
    fn both(keys: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let rule = format!("rules:\n  - name: Down\n    metric: up\n    threshold: '< 1'\n    {keys}\n");
        std::fs::write(path("rules.yaml"), rule).unwrap();
        std::fs::write(path("handlers.yaml"), HANDLERS).unwrap();
        std::fs::write(path("alertd.yaml"), "{}\n").unwrap();
        let checked = check(&[path("rules.yaml"), path("handlers.yaml")], &Doubts::default()).unwrap();
        let sources = Sources {
            rules: vec![path("rules.yaml")],
            config: Some(path("alertd.yaml")),
            handlers: Some(path("handlers.yaml")),
        };
        (concise(&checked.diagnostics), concise(&load(&sources).unwrap().diagnostics))
    }

    #[test]
    fn the_console_stands_in_where_no_handler_file_says_who_is_told() {
        let rotations = "rotations: [{name: oncall, handlers: [console], starts: 2026-01-05T09:00}]\n";
        for (files, console) in [
            (vec![], true),
            (vec![("presets/mine.yaml", "url: https://chat.example/\n")], true),
            (vec![("a.yaml", "rotations: []\n")], true),
            (vec![("a.yaml", rotations)], true),
            (vec![("a.yaml", "")], true),
            (vec![("a.yaml", rotations), ("b.yaml", "handlers: []\n")], false),
            (vec![("a.yaml", "handlers: [{name: ann, type: pigeon}]\n")], false),
            (vec![("a.yaml", "receivers: [{name: nobody}]\nroute: {receiver: nobody}\n")], false),
            (vec![("a.yaml", "handlers: [\n")], false),
        ] {
            let read: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
            let told = Installed::or_console(&read, &mut Vec::new()).said.handlers;
            assert_eq!(told.iter().any(|handler| &*handler.name == "console"), console, "{files:?}");
        }
    }

    #[test]
    fn checking_knows_the_names_that_the_daemon_knows() {
        for (keys, unknown) in [
            ("notify: [ann, oncall]", None),
            ("notify: [ann]\n    escalate: [{after: 10m, handlers: [oncall]}]", None),
            ("notify: [oncal]", Some("oncal")),
        ] {
            let (checked, loaded) = both(keys);
            for found in [checked, loaded] {
                assert_eq!(found.contains("A501"), unknown.is_some(), "{keys}: {found}");
                assert!(found.contains(unknown.unwrap_or_default()), "{keys}: {found}");
            }
        }
    }
}
