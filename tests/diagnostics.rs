//! Every finding, at its exact place: files of `tests/bad` carry what is expected of them, in comments.
//!
//! A comment `# error: [A010] 5` or `# warning: [A411] 10..12` at the end of a line expects a finding on that line, at
//! that column (or that range of columns, end excluded). Several may stand in one comment. Where no comment can stand
//! on the line itself, `# error: [A004] 3:7` names line and column. Findings that are not expected fail too.
//! Files named `config-*` are read as `alertd.yaml`, `handlers-*` as handler files, `preset-*` as presets of webhooks,
//! `unit-test-*` as unit-test files, all others as rule files.
//! Files of `tests/good` must have no finding at all.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alertd::app::doubts::Doubts;
use alertd::config;
use alertd::diag::{Diagnostic, SourceFile, TextStyle, codes, text};
use alertd::lint::Selection;
use alertd::rule::{LoadOptions, unit_test};
use alertd::schedule::TimeInterval;
use chrono_tz::Tz;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Expected {
    line: u32,
    column: u32,
    end_column: Option<u32>,
    level: String,
    code: String,
}

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn findings(path: &Path) -> (Arc<SourceFile>, Vec<Diagnostic>) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let file = SourceFile::new(name.clone(), std::fs::read_to_string(path).unwrap());
    let handlers = ["screen".to_owned(), "ops-chat".to_owned()];
    let intervals = [Arc::new(TimeInterval::new("office_hours", &[])), Arc::new(TimeInterval::new("holidays", &[]))];
    let known_intervals = Some(intervals.as_slice());
    let stores = ["mimir".to_owned()];
    let options = LoadOptions {
        known_handlers: Some(&handlers),
        known_intervals,
        known_stores: Some(&stores),
        ..LoadOptions::default()
    };
    let found = if name.starts_with("config-") {
        config::server::load(&file).1
    } else if name.starts_with("preset-") {
        // Presets lie in a folder of their own; expectations are of the file as it is named here.
        let preset = SourceFile::new(format!("presets/{name}"), file.text.clone());
        let found = config::handlers::load(std::slice::from_ref(&preset)).1;
        return (preset, found);
    } else if name.starts_with("handlers-") {
        handler_file(&file)
    } else if name.starts_with("unit-test-") {
        let mut found = Vec::new();
        unit_test::read(&file, unit_test::ReadOptions::default(), &mut found);
        found
    } else {
        Doubts::default().load(std::slice::from_ref(&file), &options).diagnostics
    };
    (file, found)
}

/// All findings of a rule file, with the checks that run on request where an example is about one of them.
fn rule_file(file: &Arc<SourceFile>, code: &str) -> Vec<Diagnostic> {
    let selection = Selection { extend: vec![code.to_owned()], ..Selection::default() };
    let doubts = Doubts { selection, ..Doubts::default() };
    doubts.load(std::slice::from_ref(file), &LoadOptions::default()).diagnostics
}

/// All findings of a handler file: those about handlers and those about time intervals.
fn handler_file(file: &Arc<SourceFile>) -> Vec<Diagnostic> {
    let files = std::slice::from_ref(file);
    let mut found = config::handlers::load(files).1;
    found.extend(config::intervals::load(files, Tz::UTC).1);
    found
}

/// The expectations in a file's comments.
fn expected(text: &str) -> Vec<Expected> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for level in ["error", "warning"] {
            let mark = format!("{level}: [");
            for (at, _) in line.match_indices(&mark) {
                let rest = &line[at + mark.len()..];
                let (code, rest) = rest.split_once(']').expect("`]` after the code");
                let place = rest.trim_start().split([' ', ',']).next().unwrap_or_default();
                let here = u32::try_from(i + 1).unwrap();
                let (line, columns) = match place.split_once(':') {
                    Some((line, columns)) => (line.parse().expect("a line"), columns),
                    None => (here, place),
                };
                let (column, end_column) = match columns.split_once("..") {
                    Some((from, to)) => (from.parse().expect("a column"), Some(to.parse().expect("a column"))),
                    None => (columns.parse().expect("a column"), None),
                };
                out.push(Expected { line, column, end_column, level: level.to_owned(), code: code.to_owned() });
            }
        }
    }
    out.sort();
    out
}

#[test]
fn every_bad_file_yields_exactly_the_findings_its_comments_expect() {
    let mut failures = String::new();
    let paths = files("bad");
    for path in &paths {
        let (file, found) = findings(path);
        let want = expected(&file.text);
        let mut have: Vec<Expected> = found
            .iter()
            .map(|d| Expected {
                line: d.start().line,
                column: d.start().column,
                end_column: None,
                level: d.level.as_str().to_owned(),
                code: d.code.to_owned(),
            })
            .collect();
        have.sort();
        let starts: Vec<Expected> = want.iter().map(|e| Expected { end_column: None, ..e.clone() }).collect();
        let ends_fit = want.iter().filter(|e| e.end_column.is_some()).all(|e| {
            let same =
                |d: &&Diagnostic| (d.start().line, d.start().column, d.code) == (e.line, e.column, e.code.as_str());
            found.iter().find(same).is_some_and(|d| Some(d.end().column) == e.end_column)
        });
        if want.is_empty() {
            failures.push_str(&format!("{}: expects nothing\n", file.path));
        }
        if starts != have || !ends_fit {
            failures.push_str(&format!(
                "--- {}\nexpected {want:#?}\nfound\n{}",
                file.path,
                text(&found, TextStyle::default())
            ));
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(paths.len() >= 60, "the corpus shrank to {} files", paths.len());
}

#[test]
fn every_code_has_a_bad_file_or_stands_for_what_no_file_can_hold() {
    // Reading from disk, names known only to the caller, limits too large for a file of the corpus, data beside the
    // rules, checks that run on request, what happens only when rules are run,
    // what is found when rules are written for others, and what only configuration and rules say together.
    let elsewhere = [
        "A001", "A002", "A003", "A009", "A236", "A237", "A307", "A308", "A430", "A431", "A440", "A441", "A443", "A444",
        "A480", "A481", "A517", "A536", "A537", "A544", "A555",
    ];
    let all: String = files("bad").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let missing: Vec<&str> = codes::all()
        .map(|code| code.code)
        .filter(|code| !all.contains(&format!("[{code}]")) && !elsewhere.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn good_files_have_no_finding() {
    for path in files("good") {
        let (_, found) = findings(&path);
        assert!(found.is_empty(), "{}", text(&found, TextStyle::default()));
    }
}

#[test]
fn the_bad_example_of_a_code_yields_it_and_the_good_one_no_error() {
    for code in codes::all() {
        for (example, bad) in [(code.bad, true), (code.good, false)] {
            if example.is_empty() {
                continue;
            }
            let file = SourceFile::new("example.yaml", example);
            let found = match code.file {
                codes::ExampleFile::Rules => rule_file(&file, code.code),
                codes::ExampleFile::Server => config::server::load(&file).1,
                codes::ExampleFile::Handlers => handler_file(&file),
            };
            let shown = text(&found, TextStyle::default());
            if bad {
                assert!(found.iter().any(|d| d.code == code.code), "{}: not found in\n{example}\n{shown}", code.code);
            } else {
                assert!(found.is_empty(), "{}: the good example has findings\n{example}\n{shown}", code.code);
            }
        }
    }
}
