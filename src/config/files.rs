//! Finding and reading the files of a folder, all of one moment.
//!
//! The only place that opens config, rule, handler and calendar files. What cannot be read is a finding, never a panic.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::alertmanager::{TemplateFile, patterns};
use super::calendars::Calendars;
use super::glob;
use crate::diag::{self, Diagnostic, SourceFile};
use crate::yaml::FILE_BYTES_MAX;

/// Most files of one reading.
pub const FILES_MAX: usize = 10_000;
/// Most bytes of all files of one reading.
pub const TOTAL_BYTES_MAX: u64 = 256 << 20;
/// Deepest nesting of folders.
const FOLDERS_MAX: usize = 16;
/// How often files that change meanwhile are read again.
const ATTEMPTS_MAX: usize = 5;

/// Texts of files, all as they were at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The files that could be read, in the order of `paths` and sorted within folders.
    pub files: Vec<Arc<SourceFile>>,
    /// What could not be read, and why.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads files and folders. Of a folder: the files ending in `.yaml` or `.yml`, also in its folders, without hidden
/// ones. Kubernetes mounts a volume as links into a folder `..data`: links to files are followed, `..data` is hidden.
pub fn read(paths: &[PathBuf]) -> Snapshot {
    let mut snapshot = attempt(paths);
    for _ in 1..ATTEMPTS_MAX {
        if unchanged(&snapshot.1) {
            break;
        }
        snapshot = attempt(paths);
    }
    let (mut snapshot, stamps) = snapshot;
    if !unchanged(&stamps)
        && let Some(path) = paths.first()
    {
        let message = "the files keep changing while they are read".to_owned();
        snapshot.diagnostics.push(unreadable(path, message).with_help("write files aside and rename them into place"));
    }
    diag::sort(&mut snapshot.diagnostics);
    snapshot
}

/// The template files that files of Alertmanager among these name, as they lie from each of them.
pub fn templates(files: &[Arc<SourceFile>]) -> (Vec<TemplateFile>, Vec<Diagnostic>) {
    let (mut found, mut out) = (Vec::new(), Vec::new());
    for file in files {
        let base = Path::new(&*file.path).parent().unwrap_or(Path::new("")).to_owned();
        for (pattern, place) in patterns(file) {
            let paths = match glob::files(&base, &pattern) {
                Ok(paths) => paths,
                Err(error) => {
                    let message = format!("`{pattern}` is no pattern: {error}");
                    out.push(Diagnostic::error("A015", file, place, message).with_label("cannot be read"));
                    continue;
                }
            };
            if paths.is_empty() {
                let message = format!("`{pattern}` names no file");
                out.push(Diagnostic::warning("A563", file, place, message).with_label("no templates are read by it"));
            }
            for path in paths.iter().filter(|path| path.is_file()) {
                match read_file(path) {
                    Ok(read) => found.push(TemplateFile { named_in: Arc::clone(&file.path), file: read }),
                    Err(finding) => out.push(*finding),
                }
            }
        }
    }
    (found, out)
}

/// A file's length and time of change when it was read; `None` where it was not there.
type Stamp = (PathBuf, Option<(u64, Option<SystemTime>)>);

fn stamp(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok()))
}

fn unchanged(stamps: &[Stamp]) -> bool {
    stamps.iter().all(|(path, seen)| stamp(path) == *seen)
}

fn attempt(paths: &[PathBuf]) -> (Snapshot, Vec<Stamp>) {
    let mut finder = Finder::default();
    for path in paths {
        finder.visit(path);
    }
    let mut snapshot = Snapshot { files: Vec::with_capacity(finder.found.len()), diagnostics: finder.diagnostics };
    // Folders count too: a file that appears or goes changes the time of its folder.
    let mut stamps: Vec<Stamp> = finder.folders.into_iter().map(|path| (path.clone(), stamp(&path))).collect();
    let mut total = 0;
    for path in finder.found {
        let seen = stamp(&path);
        total += seen.map_or(0, |(length, _)| length.min(FILE_BYTES_MAX as u64));
        stamps.push((path.clone(), seen));
        if total > TOTAL_BYTES_MAX {
            let message = format!("the files hold more than {} MiB together", TOTAL_BYTES_MAX >> 20);
            snapshot.diagnostics.push(Diagnostic::error("A002", &nameless(&path), 0..0, message));
            break;
        }
        match read_file(&path) {
            Ok(file) => snapshot.files.push(file),
            Err(found) => snapshot.diagnostics.push(*found),
        }
    }
    (snapshot, stamps)
}

/// Reads one file of at most [`FILE_BYTES_MAX`] bytes.
pub fn read_file(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let fail = |error: &std::io::Error| Box::new(unreadable(path, format!("the file cannot be read: {error}")));
    let meta = fs::metadata(path).map_err(|e| fail(&e))?;
    if !meta.is_file() {
        return Err(Box::new(unreadable(path, "this is no file".to_owned())));
    }
    if meta.len() > FILE_BYTES_MAX as u64 {
        return Err(Box::new(crate::yaml::too_large(&nameless(path))));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    let file = fs::File::open(path).map_err(|e| fail(&e))?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|e| fail(&e))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Box::new(crate::yaml::too_large(&nameless(path))));
    }
    decode(path, bytes)
}

/// Reads calendar files; one that cannot be read is told where it is named.
pub fn read_calendars(paths: &[PathBuf]) -> Calendars {
    paths.iter().map(|path| (path.clone(), read_file(path).map_err(|found| found.message.clone()))).collect()
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(SourceFile::new(shown(path), text)),
        Err(error) => error,
    };
    let valid = error.utf8_error().valid_up_to();
    let utf16 = error.as_bytes().starts_with(&[0xff, 0xfe]) || error.as_bytes().starts_with(&[0xfe, 0xff]);
    let byte = error.as_bytes().get(valid).copied().unwrap_or(0);
    let mut readable = error.into_bytes();
    readable.truncate(valid);
    let file = SourceFile::new(shown(path), String::from_utf8_lossy(&readable).into_owned());
    let help = if utf16 { "the file is UTF-16; save it as UTF-8" } else { "save the file as UTF-8" };
    Err(Box::new(
        Diagnostic::error("A003", &file, valid..valid, format!("the file is not UTF-8: byte 0x{byte:02x}"))
            .with_label("not UTF-8 from here")
            .with_help(help),
    ))
}

fn shown(path: &Path) -> Arc<str> {
    Arc::from(path.to_string_lossy())
}

fn nameless(path: &Path) -> Arc<SourceFile> {
    SourceFile::new(shown(path), "")
}

fn unreadable(path: &Path, message: String) -> Diagnostic {
    Diagnostic::error("A001", &nameless(path), 0..0, message)
}

#[derive(Default)]
struct Finder {
    found: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    real: BTreeSet<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

impl Finder {
    /// A path as given: a file is read whatever its name.
    fn visit(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let before = (self.found.len(), self.diagnostics.len());
                self.folder(path, 0);
                if (self.found.len(), self.diagnostics.len()) == before {
                    let message = "the folder holds no `.yaml` or `.yml` file".to_owned();
                    self.diagnostics.push(Diagnostic::warning("A009", &nameless(path), 0..0, message));
                }
            }
            Ok(_) => self.file(path),
            Err(error) => self.diagnostics.push(unreadable(path, format!("cannot be read: {error}"))),
        }
    }

    /// Files given twice, also through links, are read once.
    fn file(&mut self, path: &Path) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.found.len() < FILES_MAX {
            if self.real.insert(real) {
                self.found.push(path.to_owned());
            }
        } else if self.found.len() == FILES_MAX {
            let message = format!("there are more than {FILES_MAX} files");
            self.diagnostics.push(Diagnostic::error("A002", &nameless(path), 0..0, message));
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if depth > FOLDERS_MAX || !self.real.insert(real) {
            return;
        }
        self.folders.push(path.to_owned());
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.diagnostics.push(unreadable(path, format!("the folder cannot be read: {error}")));
                return;
            }
        };
        let mut names: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
        names.sort();
        for entry in names {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let wanted = name.ends_with(".yaml") || name.ends_with(".yml");
            match fs::metadata(&entry) {
                Ok(meta) if meta.is_dir() => self.folder(&entry, depth + 1),
                Ok(_) if wanted => self.file(&entry),
                // A link that leads nowhere is a finding only if it would have been read.
                Err(error) if wanted => {
                    self.diagnostics.push(unreadable(&entry, format!("the file cannot be read: {error}")))
                }
                _ => {}
            }
        }
    }
}
