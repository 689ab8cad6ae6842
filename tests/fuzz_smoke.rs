//! Runs the bodies of the fuzz targets on their seeds and on mutations of them, drawn from a fixed seed.
//!
//! A smoke test of a few seconds that needs no nightly toolchain and gives the same result every time.
//! `ALERTD_FUZZ_ITERATIONS=100000 cargo test --release --test fuzz_smoke` searches; `ALERTD_FUZZ_SEED` draws others.
//! `ALERTD_FUZZ_CORPUS=fuzz/corpus` writes the seeds for cargo-fuzz, one file each.
//! What breaks a body is printed and written to the folder for temporary files of the tests.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports what it finds")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::cell::Cell;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alertd::clock::{Clock as _, SystemClock};
use alertd::model::Point;
use targets::TARGETS;

/// Mutations per target in an ordinary run.
const ITERATIONS: usize = 150;
/// Longest input that mutations make.
const INPUT_BYTES_MAX: usize = 4096;
/// No body may take longer on any input.
const TOOK_MAX: Duration = Duration::from_secs(20);
/// Between two seeds of a file.
const RULER: &str = "%%%%\n";

thread_local! {
    /// Whether this thread panicked: the engine catches panics of rules, which must not hide them here.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

fn breaks(body: fn(&[u8]), input: &[u8]) -> bool {
    PANICKED.set(false);
    catch_unwind(|| body(input)).is_err() || PANICKED.get()
}

/// Bits that look random and are the same each time (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 for 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, keep: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| keep(&path.file_name().unwrap().to_string_lossy()));
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Queries of the conformance tests.
fn queries() -> Vec<Vec<u8>> {
    let texts = files("tests/promql", |name| name.ends_with(".test"));
    let mut found = Vec::new();
    for text in texts.iter().map(|bytes| String::from_utf8_lossy(bytes)) {
        for line in text.lines().filter_map(|line| line.strip_prefix("eval instant at ")) {
            found.extend(line.split_once(' ').map(|(_, query)| query.as_bytes().to_vec()));
        }
    }
    assert!(found.len() > 20);
    found
}

fn chunks() -> Vec<Vec<u8>> {
    let forms: [fn(i64) -> f64; 4] =
        [|_| 7.0, |i| i as f64 * 0.25, |i| (i as f64).sqrt(), |i| f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9))];
    let points = |value: fn(i64) -> f64, n: i64| {
        (0..n).map(|i| Point { t_ms: 1_700_000_000_000 + i * 15_000 + i % 7, value: value(i) }).collect::<Vec<_>>()
    };
    let lengths = [0, 1, 2, 40, 256];
    let all = forms.iter().flat_map(|form| lengths.map(|n| alertd::store::embedded::encode_points(&points(*form, n))));
    all.collect()
}

/// Requests of remote write in both versions, as they are and packed.
fn writes() -> Vec<Vec<u8>> {
    use alertd::ingest::remote_write::{Encoder, Version, pack};
    let about = alertd::ingest::Metadata { help: "Help.".to_owned(), ..alertd::ingest::Metadata::default() };
    let mut all = Vec::new();
    for (version, series) in [(Version::V1, 1), (Version::V2, 1), (Version::V1, 40), (Version::V2, 40)] {
        let mut encoder = Encoder::new(version);
        for i in 0..series {
            let pairs = [("__name__", "m".to_owned()), ("i", i.to_string()), ("job", "a".to_owned())];
            let points = [Point { t_ms: 1_700_000_000_000 + i, value: i as f64 }];
            encoder.series(&alertd::model::Labels::from_pairs(pairs), &points, Some(&about), Some(i));
        }
        encoder.family("m", &about);
        let message = encoder.finish();
        all.extend([pack(&message), message]);
    }
    all
}

/// What the store of samples writes: a page of chunks, a batch of points, histograms.
fn stored(target: &str) -> Vec<Vec<u8>> {
    use alertd::ingest::remote_write::pack;
    use alertd::model::histogram::{Buckets, Histogram};
    use alertd::model::{HistogramPoint, Labels};
    use alertd::store::durable::{Batch, Block, Many};
    use alertd::store::{EmbeddedStore, StoreOptions};
    let store = EmbeddedStore::new(StoreOptions::default());
    let t0 = 1_700_000_000_000;
    let mut all = Vec::new();
    for (i, count) in [1i64, 2, 40, 300, 700].into_iter().enumerate() {
        let series = store.series_ref(&Labels::from_pairs([("i", i.to_string())]), t0).unwrap();
        let points: Vec<_> =
            (0..count).map(|n| (series, Point { t_ms: t0 + n * 15_000, value: (n * n) as f64 / 4.0 })).collect();
        store.append_refs(&points, t0 + count * 15_000);
        match target {
            "stored_block" => {
                let save = store.save_page(0, true).unwrap();
                all.push(Block::new(&save.open).data);
                all.push(Block::new(&save.sealed).data);
            }
            "stored_batch" => {
                let batch = Batch::new(1, t0, &points);
                let parts = [&batch.points.to_le_bytes()[..], &(batch.series.len() as u16).to_le_bytes()];
                all.push([parts[0], parts[1], &batch.series, &batch.values].concat());
            }
            _ => {
                let histogram = |n: i64| {
                    let positive = Buckets::run(-3, vec![n as f64, 0.0, 2.5]);
                    Histogram { count: n as f64 + 2.5, sum: f64::NAN, positive, ..Histogram::default() }
                };
                let point = |n: i64| HistogramPoint { t_ms: t0 + n, histogram: std::sync::Arc::new(histogram(n)) };
                let many = Many::new(1, &(0..count.min(30)).map(|n| (series, point(n))).collect::<Vec<_>>()).0;
                all.push(snap::raw::Decoder::new().decompress_vec(&many.data).unwrap());
                all.push(many.data);
            }
        }
    }
    all.push(pack(&[]));
    all
}

/// The seeds of a target: those written for it, and files of the tree in its language.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let is_config = |name: &str| name.starts_with("config-") || name.starts_with("handlers-");
    let mut found = match target {
        "promql_parse" | "promql_eval" => queries(),
        "yaml_rules" => {
            let mut all = files("rules", |_| true);
            all.extend(files("tests/good", |name| !is_config(name)));
            all.extend(files("tests/bad", |name| !is_config(name)));
            all
        }
        "config" => {
            let mut all = files("handlers", |_| true);
            all.extend(files("tests/good", is_config));
            all.extend(files("tests/bad", is_config));
            all
        }
        "chunk_decode" => chunks(),
        "remote_write" => writes(),
        "stored_block" | "stored_batch" | "stored_many" => stored(target),
        _ => Vec::new(),
    };
    if let Ok(text) = std::fs::read_to_string(root().join(format!("fuzz/seeds/{target}.txt"))) {
        let parts = text.split(RULER).map(|part| part.strip_suffix('\n').unwrap_or(part));
        found.extend(parts.map(|part| part.as_bytes().to_vec()));
    }
    assert!(found.len() >= 5, "{target}: {} seeds", found.len());
    found
}

/// Bytes that mean something in one of the languages.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "`",
    "\\",
    "\n",
    "\r\n",
    "\t",
    " ",
    ",",
    ":",
    ": ",
    "- ",
    "#",
    "=",
    "=~",
    "!=",
    "==",
    ">",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "|",
    "&",
    "&&",
    "||",
    "!",
    "?",
    "*a",
    "&a ",
    "<<: *a",
    "!!str ",
    "{{",
    "}}",
    "{{-",
    "-}}",
    "$",
    "${",
    "${env:A}",
    "..",
    ".",
    "0",
    "-0",
    "1",
    "9",
    "1e308",
    "-1e308",
    "1e-320",
    "0x1p3",
    "NaN",
    "Inf",
    "-Inf",
    "null",
    "true",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "é",
    "日",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "𝄞",
    "1h",
    "5m",
    "1ms",
    "300y",
    "by",
    "on",
    "offset",
    "bool",
    "sum",
    "rate",
    "le",
    "if",
    "range",
    "with",
    "end",
    "else",
    "define",
    "template",
    "_",
    "x",
    "stale",
    "# EOF",
    "# TYPE a counter\n",
    "# {",
    "inside",
    "outside",
];

/// Changes an input in a few places: bits, bytes, words, repeats, and pieces of other seeds.
fn mutated(seed: &[u8], others: &[Vec<u8>], random: &mut SplitMix) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len() + 1);
        let end = (at + random.below(16)).min(out.len());
        match random.below(8) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 if at < out.len() => out[at] = random.next().to_le_bytes()[0],
            2 => _ = out.drain(at..end),
            3 => {
                let piece = out[at..end].to_vec();
                let times = [1, 2, 3, 70, 300][random.below(5)];
                out.splice(at..at, piece.repeat(times));
            }
            4 => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                out.splice(at..end, other[from..to].iter().copied());
            }
            5 => out.truncate(at.max(1)),
            _ => {
                let word = WORDS[random.below(WORDS.len())].as_bytes();
                let end = if random.below(2) == 0 { at } else { end };
                out.splice(at..end, word.iter().copied());
            }
        }
        out.truncate(INPUT_BYTES_MAX);
    }
    out
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}")))
}

/// Runs a target; the first input that breaks it is kept.
fn search(name: &str, body: fn(&[u8]), iterations: usize) -> Result<(), String> {
    let seeds = seeds(name);
    let mut random = SplitMix(number("ALERTD_FUZZ_SEED", 1) as u64);
    let clock = SystemClock::new();
    for i in 0..seeds.len() + iterations {
        let input = match seeds.get(i) {
            Some(seed) => seed.clone(),
            None => mutated(&seeds[random.below(seeds.len())], &seeds, &mut random),
        };
        let begun = clock.monotonic();
        let broken = breaks(body, &input);
        let took = clock.monotonic() - begun;
        if broken || took > TOOK_MAX {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            std::fs::write(&path, &input).unwrap();
            let what = if broken { "breaks".to_owned() } else { format!("takes {took:?}") };
            return Err(format!(
                "{name} {what} on input {i}, kept in {}:\n{:?}",
                path.display(),
                String::from_utf8_lossy(&input)
            ));
        }
    }
    Ok(())
}

#[test]
fn no_target_breaks_on_its_seeds_and_their_mutations() {
    let iterations = number("ALERTD_FUZZ_ITERATIONS", ITERATIONS);
    let only = std::env::var("ALERTD_FUZZ_TARGET").ok();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.set(true);
        told(panic);
    }));
    // One thread per target: deep inputs meet the stack that threads of the daemon have.
    let threads =
        TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).map(|(name, body)| {
            std::thread::spawn(move || {
                let clock = SystemClock::new();
                let result = search(name, *body, iterations);
                println!("{name}: {:?}", clock.monotonic());
                result
            })
        });
    let threads: Vec<_> = threads.collect();
    let failures: Vec<String> = threads.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_target_has_its_file_and_its_entry() {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")), "fuzz/Cargo.toml lacks {name}");
        assert!(root().join("fuzz").join(&path).is_file(), "fuzz/{path} is missing");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

#[test]
fn seeds_are_written_where_they_are_asked_for() {
    let folder = std::env::var_os("ALERTD_FUZZ_CORPUS").map(|folder| root().join(folder));
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-corpus"));
    for (name, _) in TARGETS {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for (i, seed) in seeds(name).iter().enumerate() {
            std::fs::write(folder.join(name).join(format!("seed-{i:03}")), seed).unwrap();
        }
    }
}
