//! The checks on rule files that people really use: what they say there is a mistake, and never nonsense.
//!
//! The corpus lies beside the project or where `ALERTD_CORPUS_DIR` says; without it the test is skipped. `CORPUS_FINDINGS=FILE` writes every finding.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alertd::app::doubts::Doubts;
use alertd::diag::{self, Diagnostic, Level, SourceFile, TextStyle};
use alertd::rule::LoadOptions;

fn files() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var_os("ALERTD_CORPUS_DIR").map_or_else(beside, PathBuf::from);
    let mut found = Vec::new();
    let mut open = vec![corpus.join("rules")];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "rules") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn checks_of_real_rule_files_find_little_and_each_finding_stands_inside_its_rule() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut rules, mut shown) = (0, String::new());
    for path in &files {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let file = SourceFile::new(path.to_string_lossy().into_owned(), text);
        let loaded = Doubts::default().load(std::slice::from_ref(&file), &LoadOptions::default());
        rules += loaded.rules.len();
        let found: Vec<Diagnostic> = loaded.diagnostics.into_iter().filter(|d| d.level == Level::Warning).collect();
        for d in &found {
            *tally.entry(d.code).or_default() += 1;
            assert!(
                d.span.end <= file.text.len() && (d.code < "A200" || !d.span.is_empty()),
                "{}: {}",
                file.path,
                d.message
            );
        }
        shown.push_str(&diag::text(&found, TextStyle::default()));
    }
    if let Some(target) = std::env::var_os("CORPUS_FINDINGS") {
        std::fs::write(target, format!("{rules} rules, {tally:#?}\n{shown}")).unwrap();
    }
    assert!(rules > 1000, "the corpus shrank to {rules} rules");
}
