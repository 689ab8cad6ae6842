//! Unit-test files: `alertd test` comes to the verdict that the file names in its first line, and promtool, where it is
//! unpacked, to the same.
//!
//! A first line `# pass` or `# fail` is the verdict of both, `# pass, alertd alone` that of alertd where promtool knows
//! less. The unit-test files of a corpus of others are compared with the verdicts that stand in its list.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.
#![allow(clippy::print_stdout)] // What is compared, and what differs, is the result.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alertd::app::unit_tests::{Telling, is_unit_test, load, run};
use alertd::config::files::read_file;
use alertd::diag::concise;
use alertd::engine::EngineOptions;
use alertd::ingest::Batch;
use alertd::rule::unit_test::ReadOptions;

/// Unit-test files of the corpus, fewer than which would mean that it was not read.
const CORPUS_MIN: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a file passes, and what is said if not.
fn verdict(path: &Path) -> (bool, String) {
    let file = read_file(path).unwrap();
    let (suite, found) = load(&file, ReadOptions::default());
    let Some(suite) = suite else { return (false, concise(&found)) };
    let ran = run(&suite, &Batch::default(), &|_| true, (&EngineOptions::default(), Telling::default()));
    let failures: Vec<_> =
        ran.cases.into_iter().flat_map(|case| case.failures).map(|failure| failure.diagnostic).collect();
    (failures.is_empty(), concise(&failures))
}

#[test]
fn hand_made_files_get_the_verdict_they_name_and_promtool_agrees() {
    let folder = root().join("tests/unit_tests");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    let promtool = root().join("target/peers/usr/bin/promtool");
    if !promtool.is_file() {
        println!("promtool is not there; scripts/debian-packages.sh unpacks it");
    }
    let (mut wrong, mut compared) = (String::new(), 0);
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let head = text.lines().next().unwrap().trim_start_matches("# ");
        let (want, alone) = (head.starts_with("pass"), head.contains("alertd alone"));
        assert!(want || head.starts_with("fail"), "{}: no verdict in its first line", path.display());
        let (passed, said) = verdict(path);
        if passed != want {
            wrong.push_str(&format!(
                "{}: {head}, but {}\n{said}\n",
                path.display(),
                if passed { "passed" } else { "failed" }
            ));
        }
        if alone || !promtool.is_file() {
            continue;
        }
        let ask = || Command::new(&promtool).args(["test", "rules"]).arg(path).output().unwrap();
        compared += 1;
        // On a machine without a free core promtool was seen to fail on a file that it passes: what it says twice counts.
        let differ = |theirs: &Output| theirs.status.success() != want;
        if let Some(theirs) = Some(ask()).filter(differ).map(|_| ask()).filter(differ) {
            let said = String::from_utf8_lossy(&theirs.stderr).into_owned() + &String::from_utf8_lossy(&theirs.stdout);
            wrong.push_str(&format!("{}: {head}, but promtool {}\n{said}\n", path.display(), theirs.status));
        }
    }
    println!("{} files, {compared} compared with promtool", paths.len());
    assert!(wrong.is_empty(), "{wrong}");
    assert!(paths.len() >= 25, "{} files", paths.len());
}

/// The blocks of a page that are opened by these words.
fn blocks(page: &str, info: &str) -> Vec<String> {
    let opened = format!("```{info}\n");
    page.split(opened.as_str()).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

#[test]
fn the_examples_of_the_manual_pass_and_its_failure_is_what_is_printed() {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), &blocks(&page, "yaml rules")[0]).unwrap();
    let path = folder.path().join("rules_test.yaml");
    let tests = blocks(&page, "yaml unit-test");
    assert!(tests.len() >= 2);
    for text in &tests {
        std::fs::write(&path, text).unwrap();
        let (passed, said) = verdict(&path);
        assert!(passed, "{said}\n{text}");
    }
    std::fs::write(
        &path,
        tests[0].replace("eval_time: 8m", "eval_time: 7m").replace("{eval_time: 7m, ", "{eval_time: 1m, "),
    )
    .unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_alertd"))
        .args(["test", "--output", "text", "rules_test.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(program.stdout).unwrap();
    let shown = &blocks(&page, "text")[0];
    assert!(printed.starts_with(shown.as_str()), "{printed}\n--- in the manual\n{shown}");
}

#[test]
fn every_unit_test_file_of_the_corpus_gets_the_verdict_of_promtool() {
    let beside = || root().join("../shared/corpus");
    let folder = std::env::var_os("ALERTD_CORPUS_DIR").map_or_else(beside, PathBuf::from).join("rules");
    let Ok(list) = std::fs::read_to_string(folder.join("VERDICTS.tsv")) else {
        println!("skipped: there is no {}", folder.join("VERDICTS.tsv").display());
        return;
    };
    let (mut same, mut all, mut other) = (0, 0, String::new());
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let (Some(path), Some("unit-test"), Some(theirs)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        all += 1;
        let (passed, said) = verdict(&folder.join(path));
        match passed == (theirs == "pass") {
            true => same += 1,
            false => other.push_str(&format!("{path}: promtool says {theirs}; {said}\n")),
        }
        assert!(is_unit_test(&read_file(&folder.join(path)).unwrap()), "{path} is not known as unit tests");
    }
    println!("same verdict {same}/{all}");
    assert!(all >= CORPUS_MIN, "the corpus holds {all} unit-test files");
    assert_eq!(same, all, "{other}");
}
