//! The calendar files that time intervals name under `holidays`: which those are, and their texts once they are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::SourceFile;
use crate::yaml::{self, Node};

/// Most calendar files of one configuration.
pub const CALENDARS_MAX: usize = 100;

/// Calendar files by path: their text, or why there is none.
pub type Calendars = BTreeMap<PathBuf, Result<Arc<SourceFile>, String>>;

/// Where a calendar lies: what is written is relative to the handler file that names it.
pub(super) fn place(file: &SourceFile, written: &str) -> PathBuf {
    Path::new(&*file.path).parent().unwrap_or(Path::new("")).join(written.trim())
}

/// The calendars that handler files name, at most [`CALENDARS_MAX`]; one beyond that is not read, which is reported where
/// it is named.
pub fn named(files: &[Arc<SourceFile>]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.text.contains("holidays")) {
        let Some(root) = yaml::parse(file, &mut Vec::new()).and_then(|document| document.root) else { continue };
        let list = |node: &Node, key: &str| node.get(key).and_then(Node::items).unwrap_or_default().to_vec();
        for interval in list(&root, "time_intervals") {
            for element in list(&interval, "time_intervals") {
                let written = element.get("holidays").filter(|node| !node.is_null()).and_then(Node::text);
                let path = written.map(|written| place(file, written));
                found.extend(path.filter(|path| !found.contains(path)));
            }
        }
    }
    found.truncate(CALENDARS_MAX);
    found
}
