//! Checks the tree itself: headers, sizes, layers, purity, reachability of files, and that the samples shipped work.
//!
//! The table [`ROOMS`] is the architecture: a room may use those listed beside it and no other. What a reviewer would
//! have to remember is written here as a list instead; to change a rule of the tree, change its list and say why.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each room of `src/` and the rooms it may use. A room stands above all that it uses, so there are no circles
/// ([`EXCEPTIONS`] apart)..
/// Names are in words with a blank between.
const ROOMS: &[(&str, &str)] = &[
    (
        "cli",
        "app lint http config rule engine state route promql detect store ingest notify net telemetry diag model clock",
    ),
    // The library's own front, beside `cli`: alerting inside another program.
    (
        "embed",
        "app config rule engine state route promql schedule store ingest notify persist telemetry diag model clock",
    ),
    (
        "app",
        "http store ingest lint notify net persist telemetry config rule engine eval state received route promql detect schedule \
         template yaml diag model clock",
    ),
    // Asks the daemon through its own trait `http::Api`, which `app` implements: it can touch no stage.
    ("http", "notify telemetry diag model clock"),
    // What the store keeps on disk is a SQLite file like the others: damage, full disks and quarantine are handled once.
    ("store", "persist ingest net telemetry promql model clock"),
    ("ingest", "net telemetry promql model clock"),
    ("notify", "config net telemetry template model clock"),
    // What every client over HTTP keeps to, be it a webhook or a store.
    ("net", "model"),
    // Payloads are texts: it knows no rule, alert or notice. A database is somewhere in the network.
    ("persist", "net model"),
    ("telemetry", "model clock"),
    ("engine", "state eval rule promql detect schedule model"),
    ("route", "schedule model"),
    ("received", "model"),
    ("state", "eval rule detect template schedule model"),
    ("eval", "rule promql model"),
    ("lint", "rule detect promql schedule template yaml diag model"),
    ("rule", "detect promql schedule template yaml diag model"),
    ("config", "schedule template yaml diag model"),
    ("yaml", "diag model"),
    ("promql", "model"),
    ("detect", "schedule model"),
    ("template", "model"),
    ("schedule", "model"),
    ("diag", ""),
    ("clock", "model"),
    ("model", ""),
];

/// The table: the rooms below each room.
fn rooms() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rooms: BTreeMap<_, _> = ROOMS.iter().map(|(room, uses)| (*room, uses.split_whitespace().collect())).collect();
    assert_eq!(rooms.len(), ROOMS.len(), "a room is listed twice");
    rooms
}

/// Uses that the table does not allow: file, room used, reason. Unit tests are free to use any room.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "src/ingest/cache.rs",
    "store",
    "the scrape cache keeps the store's handle of each line it has seen: an opaque number that goes back to the store",
)];

/// Rooms that are functions of their arguments.
const PURE: &[&str] = &[
    "engine", "route", "received", "state", "eval", "lint", "rule", "config", "yaml", "promql", "detect", "template",
    "schedule", "diag", "model",
];

/// What a pure room must not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::io",
    "tokio",
    "SystemTime",
    "Instant::",
    "reqwest",
    "axum",
];

/// Where a pure room names one of [`IMPURE`] all the same: file, name, reason.
const IMPURE_EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/engine/mod.rs", "std::thread", "scoped threads over rules that share nothing; the order of results is fixed"),
    ("src/rule/share.rs", "std::thread", "scoped threads over rules that share nothing; the order of results is fixed"),
    ("src/template/functions/text.rs", "std::net", "an address type, to take a host apart; opens nothing"),
    ("src/template/payload.rs", "std::io", "the trait of a writer, which counts bytes in memory"),
    ("src/config/glob.rs", "std::fs", "lists the folders in which a pattern looks"),
    ("src/config/files.rs", "std::fs", "finds and reads the files; the readers take their text"),
    ("src/config/files.rs", "std::io", "the errors of reading files"),
    ("src/config/files.rs", "SystemTime", "the age of a file, to see that it changed; no clock is read"),
    ("src/config/smtp_check.rs", "std::net", "an address type, to see whether a host is this machine; opens nothing"),
    ("src/config/watch.rs", "std::fs", "watches the files for a reload"),
    ("src/config/watch.rs", "std::io", "the errors of watching files"),
    ("src/config/watch.rs", "std::thread", "waits for changes; starts no other work"),
    ("src/config/watch.rs", "SystemTime", "the age of a file, to see that it changed; no clock is read"),
];

/// Never in `src/`, comments included.
const NEVER_IN_SRC: &[&str] = &[
    "println!",
    "eprintln!",
    "dbg!(",
    "todo!(",
    "unimplemented!(",
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Never in any file: paths of a developer's machine and talk of how the work was done belong in no project.
const NEVER_ANYWHERE: &[&str] = &[
    concat!(" /wo", "rk/"),
    concat!("\"/wo", "rk/"),
    concat!("`/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("work", "tree"),
    concat!("sub", "agent"),
    concat!("code", "base session"),
    concat!("as an AI", " "),
    concat!("LL", "M-generated"),
    concat!("artifact", "ory"),
];

const FILE_LINES_MAX: usize = 500;
const TEST_FILE_LINES_MAX: usize = 700;
const FILE_BYTES_MAX: u64 = 1 << 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the tree by their path from its root, without those that `.gitignore` names.
fn tree() -> BTreeSet<String> {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<&str> = ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_str().unwrap().to_owned();
            if name == ".git" || ignored.contains(name.as_str()) || name.ends_with(".profraw") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                found.insert(name);
            }
        }
    }
    assert!(found.contains("src/lib.rs"), "the walk goes astray");
    found
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let files = tree().into_iter().filter(|path| path.starts_with(folder) && path.ends_with(".rs"));
    files.map(|path| (path.clone(), text(&path))).collect()
}

/// Whether a file holds unit tests alone.
fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// The code of a file that is shipped, line by line with its number: no comments and no item under `#[cfg(test)]`.
fn shipped(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        let start = line.trim_start();
        if start == "#[cfg(test)]" {
            // The item ends with its first line that ends so at the depth of its attribute.
            let depth = line.len() - start.len();
            let at_depth = |line: &str| line.len() - line.trim_start().len() == depth && !line.trim().is_empty();
            lines.by_ref().find(|(_, line)| {
                at_depth(line) && !line.trim().starts_with('#') && (line.ends_with(';') || line.ends_with('}'))
            });
        } else if !start.starts_with("//") {
            out.push((i + 1, line));
        }
    }
    out
}

/// The room that a file of `src/` belongs to; none for `lib.rs` and `main.rs`.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (room != "lib" && room != "main").then_some(room)
}

/// The rooms that a line names after `crate::`.
fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").filter_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        (!line[..at].ends_with('$') && end > 0).then(|| &rest[..end])
    })
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let mut bad = Vec::new();
    for folder in ["src/", "tests/", "benches/", "examples/", "fuzz/"] {
        for (path, text) in rust_files(folder) {
            let head = text.strip_prefix("#![no_main]\n").unwrap_or(&text);
            if !head.starts_with("//! ") {
                bad.push(path);
            }
        }
    }
    none("these files do not open with `//!`", &bad);
}

#[test]
fn no_source_file_is_long() {
    let mut bad = Vec::new();
    for (path, text) in rust_files("") {
        let max = if is_tests(&path) || path.starts_with("tests/") { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
        let lines = text.lines().count();
        if lines > max {
            bad.push(format!("{path}: {lines} lines, at most {max}"));
        }
    }
    none("these files should be split by subject", &bad);
}

#[test]
fn the_table_of_rooms_goes_one_way() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let listed = rooms();
    // Rooms leave the table once all that they use have left it; a circle stays.
    while let Some((room, _)) =
        listed.iter().find(|(room, uses)| !below.contains(*room) && uses.iter().all(|used| below.contains(used)))
    {
        below.insert(room);
    }
    let circle: Vec<String> = listed.keys().filter(|room| !below.contains(*room)).map(ToString::to_string).collect();
    none("these rooms use each other in a circle, or use one that is not listed", &circle);
    let exist: BTreeSet<String> =
        rust_files("src/").iter().filter_map(|(path, _)| room_of(path).map(str::to_owned)).collect();
    assert_eq!(exist, listed.keys().map(ToString::to_string).collect(), "the rooms of src/ and those of the table");
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let listed = rooms();
    let mut needed = BTreeSet::new();
    let mut bad = Vec::new();
    for (path, text) in rust_files("src/") {
        let Some(room) = room_of(&path).filter(|_| !is_tests(&path)) else { continue };
        let allowed = &listed[room];
        for (number, line) in shipped(&text) {
            // A brace would hide rooms from this test.
            if line.contains("crate::{") {
                bad.push(format!("{path}:{number}: name one room in each `use crate::…`"));
            }
            for used in rooms_named(line).filter(|used| *used != room && listed.contains_key(used)) {
                if EXCEPTIONS.iter().any(|(file, of, _)| *file == path && *of == used) {
                    needed.insert((path.clone(), used.to_owned()));
                } else if !allowed.contains(used) {
                    bad.push(format!("{path}:{number}: `{room}` may not use `{used}`"));
                }
            }
        }
    }
    none("uses against the layers", &bad);
    let stale = EXCEPTIONS.iter().filter(|(file, of, _)| !needed.contains(&((*file).to_owned(), (*of).to_owned())));
    none("exceptions that nothing needs", &stale.map(|(file, of, _)| format!("{file}: {of}")).collect::<Vec<_>>());
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut needed = BTreeSet::new();
    let mut bad = Vec::new();
    for (path, text) in rust_files("src/") {
        if is_tests(&path) || !room_of(&path).is_some_and(|room| PURE.contains(&room)) {
            continue;
        }
        for (number, line) in shipped(&text) {
            for name in IMPURE.iter().filter(|name| line.contains(**name)) {
                match IMPURE_EXCEPTIONS.iter().find(|(file, of, _)| *file == path && of == name) {
                    Some(exception) => _ = needed.insert(exception),
                    None => bad.push(format!("{path}:{number}: `{name}`")),
                }
            }
        }
    }
    none("a pure room takes values and returns values", &bad);
    let stale = IMPURE_EXCEPTIONS.iter().filter(|exception| !needed.contains(exception));
    none("exceptions that nothing needs", &stale.map(|(file, of, _)| format!("{file}: {of}")).collect::<Vec<_>>());
}

#[test]
fn only_the_clock_reads_the_time() {
    let mut bad = Vec::new();
    for (path, text) in rust_files("src/") {
        for (number, line) in shipped(&text) {
            if path == "src/clock.rs" || is_tests(&path) {
                break;
            }
            if ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"].iter().any(|name| line.contains(name)) {
                bad.push(format!("{path}:{number}"));
            }
        }
    }
    none("`now` is an argument", &bad);
}

#[test]
fn nothing_unfinished_and_no_stray_printing_is_in_the_source() {
    let mut bad = Vec::new();
    for (path, text) in rust_files("src/") {
        for (i, line) in text.lines().enumerate() {
            bad.extend(
                NEVER_IN_SRC
                    .iter()
                    .filter(|name| line.contains(**name))
                    .map(|name| format!("{path}:{}: {name}", i + 1)),
            );
        }
    }
    none("write through a writer that is passed in; finish what is begun", &bad);
}

#[test]
fn the_tree_speaks_of_the_project_alone_and_holds_no_large_file() {
    let mut bad = Vec::new();
    for path in tree() {
        let bytes = std::fs::read(root().join(&path)).unwrap();
        if bytes.len() as u64 > FILE_BYTES_MAX {
            bad.push(format!("{path}: {} bytes, at most {FILE_BYTES_MAX}", bytes.len()));
        }
        let text = String::from_utf8_lossy(&bytes);
        for (i, line) in text.lines().enumerate() {
            bad.extend(
                NEVER_ANYWHERE
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{path}:{}: {word}", i + 1)),
            );
        }
    }
    none("files", &bad);
}

/// Files that cargo builds, by their path from the root; and their kind, such as `bench`.
fn targets() -> BTreeMap<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = metadata["packages"][0]["targets"].as_array().unwrap().iter();
    targets
        .map(|target| {
            let path = Path::new(target["src_path"].as_str().unwrap()).strip_prefix(root()).unwrap();
            (path.to_str().unwrap().to_owned(), target["kind"][0].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn every_rust_file_is_built() {
    let mut built: BTreeSet<String> = targets().into_keys().collect();
    built.extend(rust_files("fuzz/fuzz_targets/").into_iter().map(|(path, _)| path));
    let all: BTreeMap<String, String> = rust_files("").into_iter().collect();
    // Files come in through `mod name;` in the file above them, or by a path.
    let mut open: Vec<String> = built.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let Some(text) = all.get(&path) else { continue };
        let file = Path::new(&path);
        let folder = file.parent().unwrap();
        let own = if built_as_root(file) { folder.to_owned() } else { folder.join(file.file_stem().unwrap()) };
        let mut named: Vec<PathBuf> = Vec::new();
        for line in text.lines().map(str::trim) {
            let modules = line.trim_end_matches(';').rsplit_once("mod ").filter(|_| line.ends_with(';'));
            if let Some((_, name)) = modules {
                named.extend([own.join(format!("{name}.rs")), own.join(name).join("mod.rs")]);
            }
            if let Some(other) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                named.push(folder.join(other));
            }
        }
        for name in named.into_iter().map(|name| plain(&name)) {
            if all.contains_key(&name) && built.insert(name.clone()) {
                open.push(name);
            }
        }
    }
    none("no target reaches these files", &all.into_keys().filter(|path| !built.contains(path)).collect::<Vec<_>>());
}

/// Whether the modules of a file lie beside it and not in a folder of its name.
fn built_as_root(file: &Path) -> bool {
    let name = file.file_name().unwrap();
    name == "mod.rs" || name == "lib.rs" || name == "main.rs" || !file.starts_with("src")
}

/// A path without `..`.
fn plain(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().unwrap()) {
        if part == ".." { _ = parts.pop() } else { parts.push(part) }
    }
    parts.join("/")
}

#[test]
fn every_benchmark_runs_its_own_main() {
    let manifest = text("Cargo.toml");
    let targets = targets();
    let benches: Vec<&String> = targets.iter().filter(|(_, kind)| *kind == "bench").map(|(path, _)| path).collect();
    assert!(!benches.is_empty());
    for path in benches {
        let path = Path::new(path);
        let named = if path.ends_with("main.rs") { path.parent().unwrap() } else { path };
        let name = named.file_stem().unwrap().to_str().unwrap();
        // Without it cargo would build the file with the test harness, which finds nothing to run.
        let entry = format!("[[bench]]\nname = \"{name}\"\nharness = false");
        assert!(manifest.contains(&entry), "{}: Cargo.toml lacks\n{entry}", path.display());
    }
}

/// Runs the program in the root of the tree and returns what it wrote; it must be content.
fn alertd(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alertd"));
    for name in ["ALERTD_CONFIG", "ALERTD_HANDLERS", "GITHUB_ACTIONS"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).current_dir(root()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "alertd {}: {text}", arguments.join(" "));
    text
}

fn samples(folder: &str) -> Vec<String> {
    let found: Vec<String> =
        tree().into_iter().filter(|path| path.starts_with(folder) && path.ends_with(".yaml")).collect();
    assert!(!found.is_empty(), "no samples in {folder}");
    found
}

#[test]
fn sample_files_have_no_finding() {
    for path in [samples("rules/"), samples("handlers/"), samples("examples/handlers/")].iter().flatten() {
        let out = alertd(&["check", path, "--fail-on", "warning", "--output", "json"]);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{path}: {e}: {out}"));
        let found = report.as_array().unwrap_or_else(|| panic!("{path}: {out}"));
        assert!(found.is_empty(), "{path}: {out}");
    }
}

#[test]
fn sample_rules_have_tests_that_pass() {
    for path in samples("rules/") {
        let out = alertd(&["test", &path, "--output", "json"]);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{path}: {e}: {out}"));
        let run = report["results"].as_array().unwrap_or_else(|| panic!("{path}: {out}"));
        assert!(!run.is_empty(), "{path} holds no test");
    }
}

#[test]
fn the_walk_over_code_sees_what_it_should() {
    assert_eq!(
        rooms_named("use crate::model::Labels; crate::diag::text($crate::app)").collect::<Vec<_>>(),
        ["model", "diag"]
    );
    let source = "//! crate::app\n#[cfg(test)]\nmod tests;\nuse a;\n    // b\ncode // c\n#[cfg(test)]\nmod tests {\n    x;\n}\nlast";
    assert_eq!(shipped(source), [(4, "use a;"), (6, "code // c"), (11, "last")]);
    assert_eq!(room_of("src/clock.rs"), Some("clock"));
    assert_eq!(room_of("src/model/labels.rs"), Some("model"));
    assert_eq!(room_of("src/lib.rs"), None);
    assert_eq!(plain(Path::new("tests/../fuzz/targets.rs")), "fuzz/targets.rs");
}
