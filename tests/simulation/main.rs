//! Deterministic simulation: random scenarios against the daemon's own hub, keeper and outbox, on a simulated clock, with
//! simulated receivers and disks, judged by an oracle that knows nothing of how routing is done.
//!
//! The idea is that of FoundationDB and TigerBeetle: a seed stands for everything that happens, so whatever goes wrong
//! goes wrong again. `ALERTD_SIM_SEEDS=0..100000 cargo test --test simulation hunt` looks for more;
//! `ALERTD_SIM_SEED=17 cargo test --test simulation one_seed -- --nocapture` shows one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(clippy::print_stdout, reason = "shows a scenario to whoever asks for it")]

mod disk;
mod draw;
mod explain;
mod meant;
mod oracle;
mod other_clock;
mod scenario;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use scenario::Scenario;
use world::{How, Seen, World};

/// Seeds of every run of the tests.
const SEEDS: Range<u64> = 0..200;

fn play(seed: u64) -> Seen {
    World::new(Scenario::of(seed)).play(How::default())
}

/// Runs a check for seeds on all cores; what went wrong, by seed.
fn for_seeds(seeds: Range<u64>, check: impl Fn(u64) -> Vec<String> + Sync) -> Vec<(u64, Vec<String>)> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found: Vec<(u64, Vec<String>)> = std::thread::scope(|scope| {
        let work = || {
            let mut found = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return found;
                }
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
                let wrong = outcome.unwrap_or_else(|_| vec!["it panics".to_owned()]);
                if !wrong.is_empty() {
                    found.push((seed, wrong));
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    found.sort();
    found
}

/// Fails with the seeds, what is wrong with each, and the command that shows it.
fn assert_none(found: &[(u64, Vec<String>)]) {
    let Some((first, _)) = found.first() else { return };
    let shown = found.iter().take(20).map(|(seed, wrong)| format!("seed {seed}: {}", wrong[0]));
    let shown: Vec<String> = shown.collect();
    panic!(
        "{} seeds break an invariant:\n{}\nrepeat the first with: ALERTD_SIM_SEED={first} cargo test --test simulation one_seed -- --nocapture",
        found.len(),
        shown.join("\n")
    );
}

#[test]
fn every_invariant_holds_whatever_goes_wrong() {
    assert_none(&for_seeds(SEEDS, |seed| play(seed).wrong));
}

/// Where two runs part.
fn parting(one: &[String], other: &[String]) -> Vec<String> {
    let parts = one.iter().zip(other).position(|(a, b)| a != b);
    match parts.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len()))) {
        None => Vec::new(),
        Some(at) => {
            let shown = |list: &[String]| list.get(at).map_or_else(|| "nothing".to_owned(), Clone::clone);
            vec![format!("they part at {at}: {} and {}", shown(one), shown(other))]
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_none(&for_seeds(0..20, |seed| {
        let lines = |seen: Seen| seen.trace.lines().map(str::to_owned).collect::<Vec<_>>();
        parting(&lines(play(seed)), &lines(play(seed)))
    }));
}

fn restarted(seed: u64) -> Vec<String> {
    let play = |no_restarts| {
        let seen = World::new(Scenario::of_restarts(seed)).play(How { no_restarts, ..How::default() });
        (seen.changes, seen.notices)
    };
    let (stopped, never) = (play(false), play(true));
    let mut wrong = parting(&stopped.0, &never.0);
    wrong.extend(parting(&stopped.1, &never.1));
    wrong
}

#[test]
fn going_on_after_a_restart_equals_never_having_stopped() {
    assert_none(&for_seeds(0..40, restarted));
}

fn dry(seed: u64) -> Vec<String> {
    let play = |all_at_once| World::new(Scenario::calm(seed)).play(How { all_at_once, ..How::default() }).changes;
    let mut wrong = parting(&play(true), &play(false));
    // All rules are due at a full minute.
    let step = 4 * (1 + seed as usize % 12);
    let world = || World::new(Scenario::calm(seed));
    wrong.extend(parting(&world().dry_run(step), &world().first_words(step)));
    wrong
}

#[test]
fn a_dry_run_equals_the_live_run() {
    assert_none(&for_seeds(0..40, dry));
}

#[test]
fn why_tells_what_was_so() {
    assert_none(&for_seeds(0..1000, |seed| World::new(Scenario::brief(seed)).explain()));
}

#[test]
fn hunt() {
    let Ok(text) = std::env::var("ALERTD_SIM_SEEDS") else { return };
    let (from, to) = text.split_once("..").expect("ALERTD_SIM_SEEDS=FROM..TO");
    let seeds = from.parse().expect("a number")..to.parse().expect("a number");
    assert_none(&for_seeds(seeds, |seed| {
        let mut wrong = play(seed).wrong;
        if seed % 4 == 0 {
            wrong.extend(restarted(seed).into_iter().map(|text| format!("restarted and never stopped: {text}")));
            wrong.extend(dry(seed).into_iter().map(|text| format!("dry and live: {text}")));
        }
        wrong
    }));
}

#[test]
fn one_seed() {
    let Ok(text) = std::env::var("ALERTD_SIM_SEED") else { return };
    let seed = text.parse().expect("a number");
    // Of one that parts after restarts: `ALERTD_SIM_RESTARTS=played`, and `left-out` to compare it with.
    let restarts = std::env::var("ALERTD_SIM_RESTARTS").ok();
    let scenario = if restarts.is_some() { Scenario::of_restarts(seed) } else { Scenario::of(seed) };
    for files in &scenario.sets {
        println!("{}\n{}", files.rules_yaml(), files.handlers_yaml());
    }
    let no_restarts = restarts.is_some_and(|what| what == "left-out");
    let seen = World::new(scenario).play(How { no_restarts, ..How::default() });
    println!("{}", seen.trace);
    assert!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
}
