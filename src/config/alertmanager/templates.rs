//! The template files of an `alertmanager.yml`: the patterns that name them, and the set that they make.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::diag::{Diagnostic, SourceFile};
use crate::template::{TemplateError, TemplateSet};
use crate::yaml::{self, Node};

/// A template file, and the file that names it.
#[derive(Clone, Debug)]
pub struct TemplateFile {
    /// Path of the `alertmanager.yml`.
    pub named_in: Arc<str>,
    /// The file.
    pub file: Arc<SourceFile>,
}

/// The patterns under `templates`, with their places; none where the file is no `alertmanager.yml`.
pub fn patterns(file: &Arc<SourceFile>) -> Vec<(String, Range<usize>)> {
    // Only a file with the word can have the key.
    if !file.text.contains("templates") {
        return Vec::new();
    }
    let Some(root) = yaml::parse(file, &mut Vec::new()).and_then(|document| document.root) else { return Vec::new() };
    if !super::is_one(&root) {
        return Vec::new();
    }
    let items = root.get("templates").and_then(Node::items).unwrap_or_default();
    items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.span.clone()))).collect()
}

/// The default templates and those of the files, with the files' texts.
pub(super) fn set(
    file: &Arc<SourceFile>,
    root: &Node,
    files: &[TemplateFile],
    out: &mut Vec<Diagnostic>,
) -> (TemplateSet, Arc<[String]>) {
    let (mut set, mut texts) = (TemplateSet::default(), Vec::new());
    if root.get("templates").is_none() {
        return (set, Arc::from(texts));
    }
    let mut failures: Vec<(&Arc<SourceFile>, TemplateError)> = Vec::new();
    for template in files.iter().filter(|template| template.named_in == file.path) {
        let source = &template.file;
        let name = Path::new(&*source.path).file_name().unwrap_or_default().to_string_lossy();
        match set.add(&name, &source.text) {
            Ok(found) => failures.extend(found.into_iter().map(|error| (source, error))),
            Err(errors) => out.extend(errors.iter().map(|error| told(source, error, Diagnostic::error))),
        }
        texts.push(source.text.to_string());
    }
    // A file may call what a later one defines.
    failures.retain(|(_, error)| !error.undefined.as_ref().is_some_and(|name| set.defines(name)));
    out.extend(failures.iter().map(|(source, error)| told(source, error, Diagnostic::warning)));
    (set, Arc::from(texts))
}

type Made = fn(&'static str, &Arc<SourceFile>, Range<usize>, String) -> Diagnostic;

fn told(file: &Arc<SourceFile>, error: &TemplateError, made: Made) -> Diagnostic {
    let mut found = made("A563", file, error.span.clone(), error.message.clone());
    (found.label, found.help) = (error.label.clone(), error.help.clone());
    found
}
