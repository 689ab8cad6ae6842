//! The manual against the program: what README.md and docs/ show must load, what they link to must be there, and their
//! tables of metrics and options must be complete.
//!
//! A block opened by ```` ```yaml rules ````, `config`, `handlers`, `preset` or `unit-test` is a whole file of that kind. It must load
//! without any finding, and the tests of its rules must pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alertd::app::own_metrics::FAMILIES;
use alertd::app::rule_tests::run_tests;
use alertd::cli::args::Cli;
use alertd::config;
use alertd::detect::{AnomalyConfig, Method};
use alertd::diag::{Diagnostic, SourceFile};
use alertd::engine::EngineOptions;
use alertd::model::parse_duration;
use alertd::rule::{LoadOptions, load, unit_test};
use chrono_tz::Tz;
use clap::CommandFactory;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).expect("a page of the manual")
}

/// README.md and every page of docs/ and docs/handlers/, by path from the root of the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["docs", "docs/handlers"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).expect("a folder of the manual"))
        .map(|entry| entry.expect("an entry of docs/").path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    paths.push(root().join("README.md"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path.strip_prefix(root()).expect("a path below the root").to_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

/// A fenced block: the words behind its fence, the number of its first line, its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

/// Splits a page into its fenced blocks and the prose around them.
fn split(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in page.lines().enumerate() {
        let ticks = line.trim_start().bytes().take_while(|b| *b == b'`').count();
        match &mut open {
            Some((fence, _)) if ticks >= *fence && line.trim_matches([' ', '`']).is_empty() => {
                blocks.extend(open.take().map(|(_, block)| block));
            }
            Some((_, block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None if ticks >= 3 => {
                let info = line.trim_start().trim_start_matches('`').trim().to_owned();
                open = Some((ticks, Block { info, line: number + 2, text: String::new() }));
            }
            None => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fenced block is not closed");
    (blocks, prose)
}

/// The findings of a block, and the tests of its rules that fail.
fn problems(kind: &str, file: &Arc<SourceFile>) -> String {
    let files = std::slice::from_ref(file);
    let (findings, failed): (Vec<Diagnostic>, Vec<String>) = match kind {
        "config" => (config::server::load(file).1, Vec::new()),
        "handlers" => {
            let intervals = config::intervals::load(files, Tz::UTC).1;
            (config::handlers::load(files).1.into_iter().chain(intervals).collect(), Vec::new())
        }
        "preset" => {
            let preset = SourceFile::new("presets/block.yaml", file.text.clone());
            (config::handlers::load(&[preset]).1, Vec::new())
        }
        "unit-test" => {
            let mut found = Vec::new();
            unit_test::read(file, unit_test::ReadOptions::default(), &mut found);
            (found, Vec::new())
        }
        _ => {
            let loaded = load(files, &LoadOptions::default());
            let results = run_tests(&loaded.rules, &EngineOptions::default());
            let failed = results.iter().filter(|r| !r.ok);
            (loaded.diagnostics, failed.map(|r| format!("{} / {}: {}\n", r.rule, r.name, r.message)).collect())
        }
    };
    let shown = |d: &Diagnostic| {
        let label = d.label.as_deref().unwrap_or_default();
        format!("line {} of the block: {} {} ({label})\n", d.start().line, d.code, d.message)
    };
    findings.iter().map(shown).collect::<String>() + &failed.concat()
}

#[test]
fn every_rules_config_and_handlers_block_of_the_manual_loads_without_a_finding() {
    let (mut failures, mut seen) = (String::new(), 0);
    for (path, page) in pages() {
        for block in split(&page).0 {
            let Some(kind) = block.info.strip_prefix("yaml ") else { continue };
            assert!(
                ["rules", "config", "handlers", "preset", "unit-test"].contains(&kind),
                "{}:{}: {kind}",
                path.display(),
                block.line
            );
            seen += 1;
            let found = problems(kind, &SourceFile::new(kind, block.text));
            if !found.is_empty() {
                failures.push_str(&format!("{}:{}:\n{found}\n", path.display(), block.line));
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(seen >= 10, "only {seen} blocks were found: the fences are not read any more");
}

/// A heading as the fragment of a link: in lower case, without signs, with dashes for spaces.
fn fragment(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(page: &str, wanted: &str) -> bool {
    let prose = split(page).1;
    prose.lines().filter(|l| l.starts_with('#')).any(|l| fragment(l.trim_start_matches('#')) == wanted)
}

#[test]
fn every_relative_link_of_the_manual_leads_somewhere() {
    let (mut broken, mut seen) = (Vec::new(), 0);
    for (path, page) in pages() {
        for target in split(&page).1.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = root().join(path.parent().unwrap_or(Path::new("")));
            let file = if file.is_empty() { root().join(&path) } else { folder.join(file) };
            let leads = match heading {
                "" => file.exists(),
                _ => std::fs::read_to_string(&file).is_ok_and(|text| has_heading(&text, heading)),
            };
            if !leads {
                broken.push(format!("{} → {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(seen >= 20, "only {seen} links were found");
}

/// The cells of a page's table rows.
fn rows(page: &str) -> Vec<Vec<String>> {
    let prose = split(page).1;
    let cells = |line: &str| line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    prose.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_table_of_own_metrics_is_what_the_program_tells() {
    let documented: Vec<(String, String)> = rows(&page("own-metrics.md"))
        .into_iter()
        .filter(|row| row.len() == 2 && row[0].starts_with("`alert"))
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    let told: Vec<(String, String)> = FAMILIES.iter().map(|(n, help)| ((*n).to_owned(), (*help).to_owned())).collect();
    if documented != told && std::env::var_os("UPDATE").is_some() {
        let table: String = told.iter().map(|(name, help)| format!("| `{name}` | {help} |\n")).collect();
        let page = page("own-metrics.md");
        let first = page.find("| `alert").expect("the table begins with a metric");
        let last = page.rfind("| `alert").and_then(|at| Some(at + page[at..].find('\n')? + 1)).expect("it ends");
        std::fs::write(root().join("docs/own-metrics.md"), format!("{}{table}{}", &page[..first], &page[last..]))
            .unwrap();
        return;
    }
    assert_eq!(documented, told, "UPDATE=1 rewrites the table");
}

/// The letters and dashes that a text begins with.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default()
}

#[test]
fn every_command_and_option_stands_in_the_manual() {
    let manual = page("cli.md");
    let (mut missing, mut known) = (BTreeSet::new(), BTreeSet::from(["help".to_owned(), "version".to_owned()]));
    let mut todo = vec![("alertd".to_owned(), Cli::command())];
    while let Some((path, command)) = todo.pop() {
        for argument in command.get_arguments() {
            for value in argument.get_possible_values() {
                if !value.is_hide_set()
                    && !["true", "false"].contains(&value.get_name())
                    && !manual.contains(value.get_name())
                {
                    missing.insert(format!("{} {}", command.get_name(), value.get_name()));
                }
            }
            let Some(option) = argument.get_long() else { continue };
            known.insert(option.to_owned());
            // `help` and `version` are told once for all commands.
            if !["help", "version"].contains(&option) && !manual.contains(&format!("--{option}")) {
                missing.insert(format!("{} --{option}", command.get_name()));
            }
        }
        let sub: Vec<_> = command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
        for command in sub {
            let path = format!("{path} {}", command.get_name());
            if !manual.contains(&format!("`{path}")) {
                missing.insert(path.clone());
            }
            todo.push((path, command));
        }
    }
    assert!(missing.is_empty(), "docs/cli.md lacks {missing:?}");
    let told: BTreeSet<&str> =
        manual.split("--").skip(1).map(word).filter(|w| w.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    let gone: Vec<&&str> = told.iter().filter(|option| !known.contains(**option)).collect();
    assert!(gone.is_empty(), "docs/cli.md tells of options that do not exist: {gone:?}");
}

#[test]
fn the_defaults_of_anomaly_rules_are_those_of_the_detectors() {
    let table = rows(&page("anomaly-rules.md"));
    let usual = AnomalyConfig::for_method(Method::default());
    let default = |key: &str| {
        let row = table.iter().find(|row| row.len() == 3 && row[0] == format!("`{key}`"));
        row.map(|row| row[1].trim_matches('`').to_owned()).unwrap_or_default()
    };
    let check = |key: &str, wanted: String| assert_eq!(default(key), wanted, "default of `{key}`");
    check("method", usual.method.name().to_owned());
    assert_eq!(parse_duration(&default("window")), Ok(usual.window));
    let robust = AnomalyConfig::for_method(Method::Robust).sigma;
    check("sigma", format!("{}, for `robust` {robust}", usual.sigma));
    check("min_samples", usual.min_samples.to_string());
    check("min_deviation", usual.min_deviation.to_string());
    check("min_relative_deviation", usual.min_relative_deviation.to_string());
    check("trigger", format!("{} of {}", usual.trigger.points, usual.trigger.of));
    check("learn_while_firing", usual.learn_while_firing.to_string());
    assert_eq!(usual.refractory * 7, usual.window * 4, "the page says that it is four sevenths of the window");
}

#[test]
fn every_preset_has_a_page_and_a_sample_that_are_one() {
    let overview = page("handlers/webhook.md");
    for name in config::preset::built_in_names() {
        assert!(overview.contains(&format!("[{name}]({name}.md)")), "docs/handlers/webhook.md does not lead to {name}");
        let (blocks, prose) = split(&page(&format!("handlers/{name}.md")));
        let block = blocks.iter().find(|b| b.info == "yaml handlers").unwrap_or_else(|| panic!("{name}: no example"));
        let sample = root().join(format!("examples/handlers/{name}.yaml"));
        let sample = std::fs::read_to_string(&sample).unwrap_or_else(|e| panic!("{}: {e}", sample.display()));
        assert!(sample.ends_with(&block.text), "examples/handlers/{name}.yaml is not what its page shows");
        for heading in ["What it needs", "What the message looks like", "Limits", "What is tried again"] {
            assert!(prose.contains(&format!("## {heading}")), "{name}: {heading}");
        }
    }
}

#[test]
fn what_a_payload_may_read_is_what_the_page_lists() {
    let samples = std::fs::read_to_string(root().join("src/config/sample_messages.json")).expect("the samples");
    let samples: serde_json::Value = serde_json::from_str(&samples).expect("JSON");
    let names = |of: &serde_json::Value| -> BTreeSet<String> {
        of.as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect()
    };
    let told: BTreeSet<String> = rows(&page("handlers/webhook.md"))
        .into_iter()
        .filter(|row| row.len() == 2)
        .flat_map(|row| row[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    let all: BTreeSet<String> = names(&samples[0]).into_iter().chain(names(&samples[0]["alerts"][0])).collect();
    let missing: Vec<&String> = all.difference(&told).collect();
    assert!(missing.is_empty(), "docs/handlers/webhook.md lacks {missing:?}");
}

#[test]
fn the_receiver_of_the_manual_accepts_what_alertd_signs_and_nothing_else() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let (blocks, _) = split(&page("handlers/webhook.md"));
    let program = &blocks.iter().find(|b| b.info == "python").expect("a block of Python").text;
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let accepts = |secret: &str, header: &str, body: &[u8]| {
        let mut child = Command::new("python3");
        let child = child.args(["-c", program, secret, header]).stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = child.expect("python3 starts");
        child.stdin.take().expect("its input").write_all(body).expect("it reads");
        child.wait().expect("it ends").success()
    };
    let now = alertd::clock::Clock::now(&alertd::clock::SystemClock::new());
    let body = "{\"text\": \"ü\"}".as_bytes();
    let header = alertd::notify::webhook::sign::sign("key", now, body);
    assert!(accepts("key", &header, body));
    assert!(!accepts("other", &header, body) && !accepts("key", &header, b"{}") && !accepts("key", "t=1", body));
    let old = alertd::model::Timestamp(now.0 - 600_000);
    assert!(!accepts("key", &alertd::notify::webhook::sign::sign("key", old, body), body));
}

#[test]
fn every_path_of_the_api_stands_in_the_manual_and_in_its_document() {
    let pages: String = pages().into_iter().map(|(_, text)| text).collect();
    let written = |path: &str| path.replace("{name}", "NAME").replace("{id}", "ID");
    let listed: BTreeSet<String> = alertd::http::openapi::operations().map(|(_, path)| written(path)).collect();
    let missing: Vec<&String> =
        listed.iter().filter(|path| !pages.contains(path.as_str()) && !pages.contains(short(path))).collect();
    assert_eq!(missing, Vec::<&String>::new(), "paths that no page names");
    let page = page("http.md");
    let spans = page.split('`').skip(1).step_by(2);
    let named = spans.flat_map(|span| span.split_whitespace().next_back()).filter(|path| path.starts_with("/api/"));
    let strange: BTreeSet<&str> = named.filter(|path| !listed.contains(*path)).collect();
    assert_eq!(strange, BTreeSet::new(), "paths of docs/http.md that the document does not have: src/http/openapi.rs");
}

/// The last part of a path: pages list some paths under one that is written out.
fn short(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at..])
}
