//! Metrics in files: `.prom` files that other programs write, found by patterns with `*` and `?`.
//!
//! Place in the flow: gives the bytes of each file; parsing is done elsewhere. A file that vanishes, grows while it is
//! read, ends in the middle of a line, is too large or no regular file is told as an error of that file alone.
//! Never blocks on a pipe or device, never follows a pattern into more than [`FILES_MAX`] files.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use thiserror::Error;

use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

/// Largest file.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// Most files of one collection.
pub const FILES_MAX: usize = 1000;
/// Most folder entries looked at for one collection.
const ENTRIES_MAX: usize = 100_000;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum TextfileError {
    /// It cannot be read (any more).
    #[error("cannot read {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// A folder, pipe or device.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// Larger than [`FILE_BYTES_MAX`].
    #[error("{path} has {bytes} bytes, more than the {FILE_BYTES_MAX} that are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It changed while it was read, or its last line has no end: its writer is at it. Writers should write to another
    /// name in the same folder and rename.
    #[error("{0} is half-written: write it under another name and rename it")]
    HalfWritten(PathBuf),
    /// More files than are read.
    #[error("the patterns match more than {FILES_MAX} files; the rest is not read")]
    TooManyFiles,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Textfiles {
    /// The files that could be read whole, by path.
    pub files: Vec<Textfile>,
    /// Why others could not.
    pub errors: Vec<TextfileError>,
}

/// One file.
#[derive(Debug)]
pub struct Textfile {
    /// Where.
    pub path: PathBuf,
    /// When it was last written, in seconds since the epoch.
    pub mtime_seconds: f64,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl Textfiles {
    /// Metrics about the files themselves: `textfile.mtime_seconds{file}` of each, `textfile.errors`, the number of
    /// files that could not be used now.
    pub fn metrics(&self) -> Vec<(Labels, f64)> {
        let mtime = |file: &Textfile| {
            let path = file.path.to_string_lossy();
            (Labels::from_pairs([(METRIC_NAME, "textfile.mtime_seconds"), ("file", &path)]), file.mtime_seconds)
        };
        let errors = (Labels::from_pairs([(METRIC_NAME, "textfile.errors")]), self.errors.len() as f64);
        self.files.iter().map(mtime).chain([errors]).collect()
    }
}

/// Reads every file that matches one of the patterns. A pattern that matches nothing is no error: the program that
/// writes the file may not have run yet.
pub fn read_all(patterns: &[String]) -> Textfiles {
    let mut found = Textfiles::default();
    let mut paths = BTreeSet::new();
    let mut budget = ENTRIES_MAX;
    for pattern in patterns {
        expand(pattern, &mut budget, &mut paths);
    }
    if paths.len() > FILES_MAX || budget == 0 {
        found.errors.push(TextfileError::TooManyFiles);
    }
    for path in paths.into_iter().take(FILES_MAX) {
        match read_settled(&path) {
            Ok((bytes, mtime_seconds)) => found.files.push(Textfile { path, mtime_seconds, bytes }),
            Err(error) => found.errors.push(error),
        }
    }
    found
}

/// The paths a pattern matches, sorted. `*` stands for any characters and `?` for one, within one component; a name
/// that begins with a dot is matched only by a component that does too.
pub fn glob(pattern: &str) -> Vec<PathBuf> {
    let mut paths = BTreeSet::new();
    expand(pattern, &mut ENTRIES_MAX.clone(), &mut paths);
    paths.into_iter().collect()
}

fn expand(pattern: &str, budget: &mut usize, out: &mut BTreeSet<PathBuf>) {
    let root = if pattern.starts_with('/') { "/" } else { "" };
    let mut heads = vec![PathBuf::from(root)];
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let mut next = Vec::new();
        for head in &heads {
            if part.contains(['*', '?']) {
                list(head, part, parts.peek().is_some(), budget, &mut next);
            } else {
                next.push(head.join(part));
            }
        }
        heads = next;
    }
    out.extend(heads.into_iter().filter(|path| path.exists() || path.is_symlink()).filter(|path| !path.is_dir()));
}

fn list(folder: &Path, part: &str, folders_only: bool, budget: &mut usize, out: &mut Vec<PathBuf>) {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(here) else { return };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let hidden = name.starts_with('.') && !part.starts_with('.');
        if !hidden && wildcard(part, name) && (!folders_only || entry.path().is_dir()) {
            out.push(folder.join(name));
        }
    }
}

/// Whether a name matches a pattern of `*` and `?`. Time grows with the product of the lengths at worst: on a mismatch
/// only the last `*` takes one character more.
pub fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(q) if *q == '?' || q == c => (p, n) = (p + 1, n + 1),
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    (p, n) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Reads a file that does not change meanwhile; one that does gets a second chance.
fn read_settled(path: &Path) -> Result<(Vec<u8>, f64), TextfileError> {
    let io = |error| TextfileError::Io { path: path.to_owned(), error };
    for _ in 0..2 {
        // Before opening: opening a pipe would wait for its writer.
        let before = fs::metadata(path).map_err(io)?;
        if !before.is_file() {
            return Err(TextfileError::NotAFile(path.to_owned()));
        }
        if before.len() > FILE_BYTES_MAX {
            return Err(TextfileError::TooLarge { path: path.to_owned(), bytes: before.len() });
        }
        let mut file = File::open(path).map_err(io)?;
        let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0) + 1);
        (&mut file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
        let after = file.metadata().map_err(io)?;
        let whole = bytes.is_empty() || bytes.ends_with(b"\n");
        if whole && same(&before, &after) && bytes.len() as u64 == after.len() {
            return Ok((bytes, mtime_seconds(&after)));
        }
    }
    Err(TextfileError::HalfWritten(path.to_owned()))
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len() && a.modified().ok() == b.modified().ok()
}

fn mtime_seconds(metadata: &Metadata) -> f64 {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    modified.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_names() {
        for (pattern, name, want) in [
            ("*.prom", "a.prom", true),
            ("*.prom", ".prom", true),
            ("*.prom", "a.prom.tmp", false),
            ("a?c*", "abcdef", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*", "", true),
            ("", "", true),
            ("?", "ü", true),
            ("a", "b", false),
        ] {
            assert_eq!(wildcard(pattern, name), want, "{pattern} {name}");
        }
        assert!(!wildcard(&"*a".repeat(200), &"a".repeat(150)));
    }

    #[test]
    fn files_are_found_in_folders_read_and_the_odd_ones_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["app-1", "app-2/deep", "other"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("app-1/a.prom"), "a 1\n").unwrap();
        fs::write(at("app-1/half.prom"), "a 1\nb").unwrap();
        fs::write(at("app-1/.hidden.prom"), "a 1\n").unwrap();
        fs::write(at("app-1/empty.prom"), "").unwrap();
        fs::write(at("app-2/b.prom"), "b 2\n").unwrap();
        fs::write(at("app-2/deep/c.prom"), "c 3\n").unwrap();
        fs::write(at("other/d.prom"), "d 4\n").unwrap();
        fs::create_dir(at("app-1/folder.prom")).unwrap();
        std::os::unix::fs::symlink(at("gone"), at("app-2/dangling.prom")).unwrap();
        File::create(at("app-2/large.prom")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let pattern = |tail: &str| format!("{}/{tail}", dir.path().display());
        let found = read_all(&[pattern("app-?/*.prom"), pattern("app-1/a.prom"), pattern("none/*.prom")]);
        let names: Vec<_> = found.files.iter().map(|f| f.path.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(names, ["app-1/a.prom", "app-1/empty.prom", "app-2/b.prom"].map(Path::new));
        assert_eq!(found.files[0].bytes, b"a 1\n");
        let told: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        assert!(told[0].contains("half.prom is half-written"), "{told:?}");
        assert!(told[1].contains("cannot read") && told[1].contains("dangling"), "{told:?}");
        assert!(told[2].contains("large.prom has 16777217 bytes"), "{told:?}");
        let metrics = found.metrics();
        assert_eq!((metrics.len(), metrics[3].1), (4, 3.0));
        assert!(metrics[0].1 > 1e9);
        assert_eq!(glob(&pattern("*/deep/*.prom")).len(), 1);
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_its_writer() {
        let path = PathBuf::from("/dev/null");
        assert!(matches!(read_settled(&path), Err(TextfileError::NotAFile(_))));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
        #[test]
        fn a_wildcard_matches_what_the_regular_expression_it_stands_for_matches(
            pattern in "[ab*?]{0,8}", name in "[ab]{0,10}",
        ) {
            let expression = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            let want = regex::Regex::new(&expression).unwrap().is_match(&name);
            proptest::prop_assert_eq!(wildcard(&pattern, &name), want, "{} {}", pattern, name);
        }
    }
}
