//! Real rule files of others: `alertd check` comes to the verdict that promtool came to, and every rule that loads can
//! be evaluated.
//!
//! The corpus lies beside the project or where `ALERTD_CORPUS_DIR` says; without it the test says so and passes. Its
//! `rules/VERDICTS.tsv` lists each file with its form and promtool's verdict.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.
#![allow(clippy::print_stdout)] // What is compared, and what differs, is the result.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alertd::app::doubts::Doubts;
use alertd::app::load::check;
use alertd::diag::{Level, concise};
use alertd::engine::{Engine, EngineOptions, Surroundings};
use alertd::ingest::Batch;
use alertd::model::{Now, Sample, Timestamp};
use alertd::store::embedded::{EmbeddedStore, StoreOptions};

/// A row of the list.
struct Row {
    path: PathBuf,
    form: String,
    accepted: bool,
}

/// Files of the forms that are rule files, fewer than which would mean that the corpus was not read.
const FILES_MIN: usize = 300;

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("ALERTD_CORPUS_DIR").map_or_else(beside, PathBuf::from).join("rules");
    let there = folder.join("VERDICTS.tsv").is_file();
    if !there {
        println!("skipped: there is no {}", folder.join("VERDICTS.tsv").display());
    }
    there.then_some(folder)
}

fn rows(folder: &Path) -> Vec<Row> {
    let list = std::fs::read_to_string(folder.join("VERDICTS.tsv")).unwrap();
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let (path, form, verdict) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Row { path: folder.join(path), form: form.to_owned(), accepted: matches!(verdict, "ok" | "pass") })
    };
    list.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

/// Forms that are looked at; rule tests are another matter.
fn is_rule_file(row: &Row) -> bool {
    matches!(row.form.as_str(), "rules" | "PrometheusRule")
}

/// Evaluates the rules once, and once more after a minute, over a store that holds nothing.
fn evaluate(rules: Vec<alertd::rule::Rule>) -> Vec<String> {
    let store = EmbeddedStore::new(StoreOptions::for_files());
    let mut engine = Engine::new(rules, EngineOptions::default());
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut panics = Vec::new();
    for minute in [1, 2] {
        let at = Timestamp(1_700_000_000_000 + minute * 60_000);
        let mut publish = |samples: Vec<Sample>| drop(store.append(&Batch::from_iter(samples), at.0));
        let mut around =
            Surroundings { source: &store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
        let step = engine.step(Now::simulated(at), &due, &mut around);
        // A fault of the evaluator is caught and reported as an error of the rule.
        let faults = step.reports.into_iter().filter_map(|r| r.error).filter(|e| e.contains("internal error"));
        panics.extend(faults);
    }
    panics
}

#[test]
fn every_rule_file_of_the_corpus_gets_the_verdict_of_promtool_and_is_evaluated() {
    let Some(folder) = corpus() else { return };
    let rows: Vec<Row> = rows(&folder).into_iter().filter(is_rule_file).collect();
    let (mut same, mut other, mut rules) = (0, String::new(), 0);
    for row in &rows {
        let checked = check(std::slice::from_ref(&row.path), &Doubts::default()).unwrap();
        let errors: Vec<_> = checked.diagnostics.iter().filter(|d| d.level == Level::Error).cloned().collect();
        rules += checked.rules.len();
        let faults = evaluate(checked.rules);
        assert!(faults.is_empty(), "{}: {faults:?}", row.path.display());
        if errors.is_empty() == row.accepted {
            same += 1;
            continue;
        }
        let verdict = if row.accepted { "accepts" } else { "refuses" };
        other.push_str(&format!("{}: promtool {verdict} it; {}\n", row.path.display(), concise(&errors)));
    }
    println!("same verdict {same}/{}, {rules} rules", rows.len());
    println!("{other}");
    assert!(rows.len() >= FILES_MIN, "the corpus holds {} rule files", rows.len());
    assert_eq!(same, rows.len(), "{other}");
}
