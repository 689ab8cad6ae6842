//! alertd beside a real prometheus: the same samples by remote write, the same rule file, one after the other in the
//! same run. What is measured is the processor time of the whole process and its resident memory.
//!
//! `make peers && cargo bench --bench vs_prometheus`; a part alone by its name behind `--`: `1000x10`, `1000x100`,
//! `100x10000` (evaluation), `ingest`, `memory-100k`, `memory-1m`. `PROMETHEUS=/path/to/prometheus` compares with
//! another version than Debian's. Evaluation takes 18 minutes for each size and program, the others a few.
//!
//! Evaluation is what a cycle costs with the rules less what it costs without: both take the same samples meanwhile.
//! A program that falls behind with the samples, which then come later than they are due for ever, is asked the rules'
//! expressions one by one at one instant instead, a few rounds of them: that is evaluation alone.
//!
//! There alertd keeps samples in memory only: its thread that stores them works in rounds of minutes, which would be in
//! one of the two figures and not in the other. For ingest and memory it stores them.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the time and tells its figures")]

mod program;
#[path = "../teams/mod.rs"]
mod teams;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alertd::ingest::remote_write::{Encoder, Version, pack};
use alertd::model::{Labels, Point};
use program::{Kind, Program};
use teams::{KINDS, Value, series, value};

const STEP_MS: i64 = 15_000;
/// Series of one request.
const SERIES_AT_ONCE: usize = 5_000;
/// Slots of history in one request.
const SLOTS_AT_ONCE: i64 = 5;
/// Cycles that are measured, with rules and without: in so many alertd codes every series once, whichever cycles they
/// are, so that both figures hold the same beside the rules.
const CYCLES: i64 = 32;
/// So many slots may a program be behind without being asked whether it keeps up.
const BEHIND_MAX: i64 = 4;
/// Rounds of queries that a program is asked which does not keep up.
const ROUNDS: usize = 5;

/// A series, how its values come about, and how much of its past is wanted.
struct Member {
    labels: Labels,
    value: Value,
    history: i64,
}

/// How many slots of history a kind of rule looks at, at 15 s, and a few more.
const fn history(kind: usize) -> i64 {
    if kind == 3 { 245 } else { 25 }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn members(rules: usize, each: usize) -> Vec<Member> {
    let mut members = Vec::new();
    for i in 0..rules {
        let (kind, mut found) = (i % KINDS.len(), Vec::new());
        series(kind, i, each, &mut found);
        let history = history(kind);
        members.extend(found.into_iter().map(|(labels, value)| Member { labels, value, history }));
    }
    members
}

/// The same rules for both, twenty to a group.
fn rule_file(rules: usize) -> String {
    let mut text = String::from("groups:\n");
    for i in 0..rules {
        if i % 20 == 0 {
            let _ = writeln!(text, "  - name: group-{}\n    interval: 15s\n    rules:", i / 20);
        }
        let _ = writeln!(text, "      - {{alert: rule-{i}, expr: '{}'}}", KINDS[i % KINDS.len()].1(i));
    }
    text
}

/// Sends the samples of some slots, series by series; the number of samples.
fn send(program: &Program, members: &[Member], slots: std::ops::RangeInclusive<i64>, newest: i64) -> usize {
    let mut sent = 0;
    for (part, some) in members.chunks(SERIES_AT_ONCE).enumerate() {
        let mut request = Encoder::new(Version::V1);
        for (n, member) in some.iter().enumerate() {
            let i = part * SERIES_AT_ONCE + n;
            let wanted = slots.clone().filter(|slot| newest - slot < member.history);
            let points: Vec<Point> =
                wanted.map(|slot| Point { t_ms: slot * STEP_MS, value: value(member.value, i, slot) }).collect();
            if !points.is_empty() {
                request.series(&member.labels, &points, None, None);
            }
        }
        sent += request.samples();
        if request.samples() > 0 {
            program.write(&pack(&request.finish()));
        }
    }
    sent
}

/// Sends all that is wanted of the past.
fn send_history(program: &Program, members: &[Member]) -> (usize, i64) {
    let newest = now_ms() / STEP_MS;
    let longest = members.iter().map(|member| member.history).max().unwrap_or(0);
    let mut sent = 0;
    let mut slot = newest - longest + 1;
    while slot <= newest {
        let last = (slot + SLOTS_AT_ONCE - 1).min(newest);
        sent += send(program, members, slot..=last, newest);
        slot = last + 1;
    }
    (sent, newest)
}

/// Goes on for some cycles, sending each slot when it comes; the processor time of a cycle.
fn cycles(program: &Program, members: &[Member], slot: &mut i64, count: i64) -> f64 {
    let before = program.processor_s();
    let begun = Instant::now();
    // What fell behind while the past was loaded comes first.
    for _ in 0..count {
        let due_ms = (*slot + 1) * STEP_MS;
        std::thread::sleep(Duration::from_millis(u64::try_from(due_ms - now_ms()).unwrap_or(0)));
        *slot += 1;
        send(program, members, *slot..=*slot, *slot);
    }
    let rest = Duration::from_millis((count * STEP_MS) as u64).saturating_sub(begun.elapsed());
    std::thread::sleep(rest);
    (program.processor_s() - before) / count as f64
}

fn evaluation(rules: usize, each: usize) {
    for kind in [Kind::Alertd, Kind::Prometheus] {
        let Some(program) = Program::start(kind, false) else {
            println!("{rules}x{each}: no prometheus here; `make peers` unpacks Debian's");
            continue;
        };
        let members = members(rules, each);
        let (_, mut slot) = send_history(&program, &members);
        if !catch_up(&program, &members, &mut slot) {
            by_queries(&program, (rules, each), slot);
            continue;
        }
        // Whatever the load left to do is done before anything is measured.
        cycles(&program, &members, &mut slot, 3);
        let without = cycles(&program, &members, &mut slot, CYCLES);
        program.load(&rule_file(rules));
        cycles(&program, &members, &mut slot, 3);
        let with = cycles(&program, &members, &mut slot, CYCLES);
        println!(
            "{rules} rules x {each} series, {}: {:.4} CPU s a cycle of evaluation ({without:.3} of ingest beside it), {:.0} MiB resident",
            kind.name(),
            with - without,
            program.resident_mib(),
        );
    }
}

/// Sends the slots that came while the past was sent. Not, where a program that was sent as many as it was behind is then
/// behind more than half as much: it has no time left for rules.
fn catch_up(program: &Program, members: &[Member], slot: &mut i64) -> bool {
    let came = || now_ms() / STEP_MS;
    let behind = came() - *slot;
    let mut sent = 0;
    while *slot < came() {
        *slot += 1;
        sent += 1;
        send(program, members, *slot..=*slot, *slot);
        if sent == behind && behind > BEHIND_MAX && (came() - *slot) * 2 > behind {
            return false;
        }
    }
    true
}

/// What it costs to ask every rule's expression once at a slot of which all samples are there.
fn by_queries(program: &Program, (rules, each): (usize, usize), slot: i64) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = program.processor_s();
        for i in 0..rules {
            let query = percent(&KINDS[i % KINDS.len()].1(i));
            let path = format!("/api/v1/query?time={}&query={query}", slot * STEP_MS / 1000);
            let answer =
                program.request("GET", &path, &[], "").unwrap_or_else(|answer| panic!("{path}: {answer:.500}"));
            assert!(answer.contains("\"success\""), "{path}: {answer:.500}");
        }
        rounds.push(program.processor_s() - before);
    }
    rounds.sort_by(f64::total_cmp);
    println!(
        "{rules} rules x {each} series, {}: {:.2} CPU s for every expression once, one by one, since it does not keep up with the samples; median of {ROUNDS} rounds from {:.2} to {:.2}, {:.0} MiB resident",
        program.kind.name(),
        rounds[ROUNDS / 2],
        rounds[0],
        rounds[ROUNDS - 1],
        program.resident_mib(),
    );
}

/// As a part of a URL.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() {
            true => out.push(char::from(byte)),
            false => _ = write!(out, "%{byte:02X}"),
        }
        out
    })
}

/// `count` series with `slots` samples each, which is the past of an hour or two.
fn load(kind: Kind, count: usize, slots: i64) -> Option<(Program, usize, f64)> {
    let program = Program::start(kind, true)?;
    let mut members = members(50 * KINDS.len(), count / (50 * KINDS.len()));
    members.iter_mut().for_each(|member| member.history = slots);
    let before = program.processor_s();
    let (sent, _) = send_history(&program, &members);
    let spent = program.processor_s() - before;
    Some((program, sent, spent))
}

fn ingest() {
    for kind in [Kind::Alertd, Kind::Prometheus] {
        let Some((_program, sent, spent)) = load(kind, 100_000, 100) else { continue };
        println!(
            "ingest by remote write, 100,000 series, {}: {:.2} million samples a CPU second",
            kind.name(),
            sent as f64 / spent / 1e6
        );
    }
}

fn memory(count: usize) {
    for kind in [Kind::Alertd, Kind::Prometheus] {
        let Some((program, sent, _)) = load(kind, count, 479) else { continue };
        std::thread::sleep(Duration::from_secs(20));
        println!(
            "memory of {count} series with two hours of samples ({sent}), {}: {:.0} MiB resident",
            kind.name(),
            program.resident_mib()
        );
    }
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| filter == name);
    for (rules, each) in [(1000, 10), (1000, 100), (100, 10_000)] {
        if wanted(&format!("{rules}x{each}")) {
            evaluation(rules, each);
        }
    }
    if wanted("ingest") {
        ingest();
    }
    for (name, count) in [("memory-100k", 100_000), ("memory-1m", 1_000_000)] {
        if wanted(name) {
            memory(count);
        }
    }
}
