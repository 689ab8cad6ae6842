//! `alertd demo`: the whole way from sample to message on made-up series, without configuration, network or files.
//!
//! It is the core of the daemon with a store that a generator fills: ten minutes of history first, then a sample a
//! second. After a few seconds the error ratio climbs over its threshold and traffic leaves its band.

use std::io::Write;
use std::time::Duration;

use super::args::{DemoArgs, exit};
use crate::clock::{Clock, SystemClock};
use crate::diag::SourceFile;
use crate::engine::{Engine, EngineOptions, Surroundings};
use crate::ingest::Batch;
use crate::model::labels::METRIC_NAME;
use crate::model::{Labels, Timestamp, TransitionKind};
use crate::notify::{Renderer, Style};
use crate::route::{Receiver, Router, Routes, Silences};
use crate::rule::{LoadOptions, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

const RULES: &str = include_str!("demo/rules.yaml");
/// History before the demo begins, in seconds.
const HISTORY_SECS: i64 = 600;
/// When the error ratio climbs and when traffic peaks, in seconds after the start; when both are over.
const ERRORS_FROM: i64 = 4;
const PEAK_FROM: i64 = 8;
const CALM_FROM: i64 = 14;
/// The demo ends by itself after this many seconds.
const LENGTH_SECS: i64 = 24;

/// Runs the command.
pub fn run(args: &DemoArgs) -> std::io::Result<u8> {
    let mut out = std::io::stdout().lock();
    let loaded = load(&[SourceFile::new("rules/demo.yaml", RULES)], &LoadOptions::default());
    writeln!(
        out,
        "alertd demo: two rules, one sample a second, ten minutes of history. Nothing is real, nothing is kept."
    )?;
    writeln!(out, "  in {ERRORS_FROM} s the error ratio of checkout climbs over its threshold of 5 %")?;
    writeln!(out, "  in {PEAK_FROM} s its traffic leaves the band that the last ten minutes let expect\n")?;
    let clock = SystemClock::new();
    let start = Timestamp(clock.now().0 / 1000 * 1000);
    let store = EmbeddedStore::new(StoreOptions::for_files());
    for secs in -HISTORY_SECS..0 {
        feed(&store, start, secs);
    }
    let renderer = Renderer { style: Style::detect(is_terminal(), |name| std::env::var(name).ok()) };
    let (mut engine, mut router) = (Engine::new(loaded.rules, EngineOptions::default()), Router::default());
    let (mut fired, mut told) = (0, 0);
    for secs in 0..LENGTH_SECS {
        let slot = Timestamp(start.0 + secs * 1000);
        std::thread::sleep(slot.since(clock.now()));
        feed(&store, start, secs);
        for text in step((&mut engine, &mut router), &store, &clock, slot, &renderer) {
            writeln!(out, "{}\n", text.1.trim_end())?;
            out.flush()?;
            fired += usize::from(text.0);
            told += 1;
        }
        if args.once && fired >= 2 {
            break;
        }
    }
    writeln!(out, "{told} messages. The rules, the configuration and the handler that this used:")?;
    writeln!(out, "  rules/demo.yaml, alertd.yaml, handlers/console.yaml\ncopy them:  alertd init --with demo")?;
    Ok(if fired >= 2 { exit::CLEAN } else { exit::FINDINGS })
}

fn is_terminal() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal()
}

/// Evaluates one slot; the messages, each with whether it says that an alert fires for the first time.
fn step(
    (engine, router): (&mut Engine, &mut Router),
    store: &EmbeddedStore,
    clock: &SystemClock,
    slot: Timestamp,
    renderer: &Renderer,
) -> Vec<(bool, String)> {
    let mut publish = |samples: Vec<crate::model::Sample>| {
        let batch = Batch::from_iter(samples);
        store.append(&batch, slot.0);
    };
    let due: Vec<usize> = (0..engine.rules().len()).collect();
    let mut around = Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
    let done = engine.step(clock.at_slot(slot), &due, &mut around);
    let screen = Receiver::new("screen");
    let routes = Routes { receivers: vec![screen], ..Routes::default() };
    let happened = done.transitions.into_iter().map(std::sync::Arc::new);
    let now = clock.at_slot(slot);
    let mut notices = router.step(happened, &routes, &Silences::default(), now).notices;
    engine.refresh(&mut notices, now, store);
    let shown = |notice: &crate::model::Notice| {
        let fired = notice.transitions.iter().any(|t| t.kind == TransitionKind::Fired);
        (fired, renderer.notice(notice))
    };
    notices.iter().map(shown).collect()
}

fn feed(store: &EmbeddedStore, start: Timestamp, secs: i64) {
    let at = start.0 + secs * 1000;
    let mut batch = Batch::default();
    let name = |name: &str| Labels::from_pairs([(METRIC_NAME, name), ("region", "eu-1")]);
    batch.push(name("checkout.error_ratio"), Some(at), error_ratio(secs));
    batch.push(name("checkout.requests_per_second"), Some(at), requests(secs));
    store.append(&batch, at);
}

fn error_ratio(secs: i64) -> f64 {
    let base = 0.008 + 0.004 * noise(secs, 1);
    match secs {
        ERRORS_FROM..CALM_FROM => base + 0.03 * (secs - ERRORS_FROM + 1).min(5) as f64,
        _ => base,
    }
}

fn requests(secs: i64) -> f64 {
    let course = 240.0 + 12.0 * (secs as f64 / 90.0).sin() + 10.0 * (noise(secs, 2) - 0.5);
    if (PEAK_FROM..CALM_FROM).contains(&secs) { course * 2.1 } else { course }
}

/// Noise from 0 to 1 that is the same at every run (splitmix64 of the second).
fn noise(secs: i64, seed: u64) -> f64 {
    let mut x =
        (secs as u64).wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x >> 11) as f64 / (1u64 << 53) as f64
}
