//! `alertd --dry-run`: diagnostics, rule tests, one evaluation, and what would be sent.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{FailOn, OutputFormat, RunArgs, exit};
use super::{data, report};
use crate::app::doubts::{self, Doubts};
use crate::app::dry_run::{DryRun, alerts_json, dry_run, dry_run_asking, held_json, notices_json};
use crate::app::load::{Inputs, Sources, load_doubting};
use crate::app::remote::source::AskedStore;
use crate::app::routes::terms;
use crate::clock::{Clock, SystemClock};
use crate::diag::{Diagnostic, DiagnosticJson, SourceFile};
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::ingest::host::{HostCollector, HostOptions};
use crate::model::{AlertState, HeldReason, Origin, Timestamp, format_duration};
use crate::notify::Handler;
use crate::route::Routes;
use crate::store::embedded::{EmbeddedStore, StoreOptions};

/// Time between the two readings that a processor's load needs.
const HOST_MOMENT: Duration = Duration::from_millis(250);

/// Runs the command.
pub fn run(args: &RunArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let args = &sorted_out(args);
    let failed = |code: u8, message: String| {
        writeln!(std::io::stderr().lock(), "{}", message.trim_end())?;
        Ok(code)
    };
    let sources = args.beside.sources(&args.rules);
    let mut asked = match super::check::doubts_of(&args.dry.checks()) {
        Ok(asked) => asked,
        Err((code, message)) => return failed(code, message),
    };
    if let Some(source) = &args.dry.source {
        return match asking(args, &sources, &asked, source) {
            Ok((inputs, places, done)) => finish(args, &inputs, (&done, &places), out),
            Err((code, message)) => failed(code, format!("alertd: {message}")),
        };
    }
    let (batch, newest) = match samples(args) {
        Ok(samples) => samples,
        Err((code, message)) => return failed(code, message),
    };
    if !args.dry.data.is_empty() {
        asked.knowledge = doubts::knowledge(&batch);
    }
    let mut inputs = match load_doubting(&sources, &asked) {
        Ok(inputs) => inputs,
        Err(error) => return failed(exit::USAGE, format!("alertd: {error}")),
    };
    let at = args.dry.at.unwrap_or(newest);
    let store = EmbeddedStore::new(StoreOptions::for_files());
    store.append(&batch, at.0);
    let options = EngineOptions { externals: inputs.externals(), ..EngineOptions::default() };
    let routes = Routes { terms: terms(&inputs.rules), ..inputs.routes() };
    let places = places_of(&inputs);
    let done = dry_run(std::mem::take(&mut inputs.rules), &routes, &store, at, &options);
    finish(args, &inputs, (&done, &places), out)
}

fn places_of(inputs: &Inputs) -> Places {
    inputs.rules.iter().map(|rule| (rule.uid.clone(), rule.origin.clone())).collect()
}

/// Evaluates on a store that is asked; the error comes with its exit code.
fn asking(
    args: &RunArgs,
    sources: &Sources,
    asked: &Doubts,
    source: &str,
) -> Result<(Inputs, Places, DryRun), (u8, String)> {
    let usage = |message: String| (exit::USAGE, message);
    let mut inputs = load_doubting(sources, asked).map_err(|error| usage(error.to_string()))?;
    let options = EngineOptions { externals: inputs.externals(), ..EngineOptions::default() };
    let routes = Routes { terms: terms(&inputs.rules), ..inputs.routes() };
    let places = places_of(&inputs);
    let store = AskedStore::open(source, &inputs.config).map_err(|error| usage(error.to_string()))?;
    let at = args.dry.at.unwrap_or_else(|| SystemClock::new().now());
    let done = dry_run_asking(std::mem::take(&mut inputs.rules), &routes, &store, at, &options)
        .map_err(|error| (exit::UNREACHABLE, error.to_string()))?;
    Ok((inputs, places, done))
}

/// Shows the result; the exit code.
fn finish(
    args: &RunArgs,
    inputs: &Inputs,
    (done, places): (&DryRun, &Places),
    out: &mut dyn Write,
) -> std::io::Result<u8> {
    show(args, inputs, (done, places), out)?;
    let firing = args.dry.fail_on.contains(&FailOn::Firing) && done.fires();
    let findings = report::exit_code(&inputs.diagnostics, &args.dry.fail_on);
    Ok(if done.failed() || firing { exit::FINDINGS } else { findings })
}

/// `--data` takes several files, so in `--data a.csv rules/` it takes the rules too: folders and YAML files are rules.
fn sorted_out(args: &RunArgs) -> RunArgs {
    let is_rules = |path: &PathBuf| {
        path.is_dir()
            || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"))
    };
    let mut args = args.clone();
    let (rules, data): (Vec<PathBuf>, Vec<PathBuf>) = args.dry.data.drain(..).partition(is_rules);
    args.dry.data = data;
    args.rules.extend(rules);
    args
}

/// The samples to evaluate on, and the newest instant in them.
fn samples(args: &RunArgs) -> Result<(Batch, Timestamp), (u8, String)> {
    let clock = SystemClock::new();
    if args.dry.data.is_empty() {
        return Ok((host_moment(&clock), clock.now()));
    }
    let mut batch = data::read_all(&args.dry.data, args.dry.metric.as_deref())
        .map_err(|error| (error.exit_code(), error.to_string()))?;
    let newest = batch.time_range().map(|(_, newest)| Timestamp(newest)).or(args.dry.at);
    let newest = newest.unwrap_or_else(|| clock.now());
    for row in &mut batch.rows {
        row.t_ms.get_or_insert(newest.0);
    }
    Ok((batch, newest))
}

/// What this host measures now. A collector that cannot start leaves the rules without data, which is what they show.
fn host_moment(clock: &SystemClock) -> Batch {
    let mut batch = Batch::default();
    if let Ok(mut collector) = HostCollector::new(HostOptions::default(), clock.monotonic()) {
        std::thread::sleep(HOST_MOMENT);
        let at = clock.now();
        for (labels, value) in collector.collect(clock.monotonic()) {
            batch.push(labels, Some(at.0), value);
        }
    }
    batch
}

/// The handlers, for previews only: none of them opens anything.
pub fn previews(inputs: &Inputs) -> Vec<Arc<dyn Handler>> {
    crate::app::handlers::previewing(&inputs.handlers, &inputs.common(&Arc::default()))
}

/// Where rules stand, by uid.
type Places = BTreeMap<Arc<str>, Origin>;

fn show(
    args: &RunArgs,
    inputs: &Inputs,
    (done, places): (&DryRun, &Places),
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let handlers = previews(inputs);
    match report::format_or_default(args.dry.output) {
        OutputFormat::Json => {
            let diagnostics: Vec<DiagnosticJson<'_>> = inputs.diagnostics.iter().map(DiagnosticJson::from).collect();
            let mut object = json!({
                "version": 1,
                "files": inputs.rule_files,
                "rules": done.rules,
                "at": done.at,
                "diagnostics": diagnostics,
                "tests": report::tests_json(&done.tests),
                "alerts": alerts_json(done),
                "recorded": done.recorded,
                "errors": done.errors.iter().map(|(rule, e)| json!({"rule": rule, "message": e})).collect::<Vec<_>>(),
                "notifications": notices_json(done, &handlers),
            });
            let held = held_json(done);
            if !held.is_empty() {
                object["held"] = held.into();
            }
            writeln!(out, "{object}")
        }
        OutputFormat::Text => text(inputs, done, &handlers, out),
        format => {
            let names: Vec<&str> = inputs.files.iter().map(|f| &*f.path).collect();
            let mut all = inputs.diagnostics.clone();
            if format != OutputFormat::Junit {
                all.extend(report::failures(&done.tests, &inputs.files));
            }
            all.extend(unevaluated(inputs, done, places));
            crate::diag::sort(&mut all);
            report::findings(&all, &names, &done.tests, format, out)
        }
    }
}

/// Rules that could not be evaluated, as findings.
fn unevaluated(inputs: &Inputs, done: &DryRun, places: &Places) -> Vec<Diagnostic> {
    let finding = |(uid, message): &(Arc<str>, String)| {
        let origin = places.get(uid);
        let file = origin.and_then(|origin| inputs.files.iter().find(|file| file.path == origin.file));
        let file = file.or(inputs.files.first()).cloned().unwrap_or_else(|| SourceFile::new("rules", ""));
        let span = file.line_span(origin.map_or(1, |origin| origin.line));
        Diagnostic::error("A481", &file, span, format!("the rule `{uid}` cannot be evaluated: {message}"))
    };
    done.errors.iter().map(finding).collect()
}

/// What handlers would not be told, and why.
fn held(done: &DryRun, out: &mut dyn Write) -> std::io::Result<()> {
    for held in &done.held {
        let Some(handler) = &held.handler else { continue };
        let alert = &held.transition.alert;
        let labels = alert.labels.filtered(|n| n != "alertname" && n != "severity");
        let line = if held.reason == HeldReason::NotEscalated {
            let after = held.until.map(|until| format_duration(until.since(done.at))).unwrap_or_default();
            format!("{} {labels} told to {handler} after {after} where nobody acknowledges it", alert.rule)
        } else {
            let by = if held.detail.is_empty() { String::new() } else { format!(" by {}", held.detail) };
            format!("{} {labels} not told to {handler}: {}{by}", alert.rule, held.reason.as_str())
        };
        writeln!(out, "  {}", crate::diag::harmless(&line))?;
    }
    Ok(())
}

fn text(inputs: &Inputs, done: &DryRun, handlers: &[Arc<dyn Handler>], out: &mut dyn Write) -> std::io::Result<()> {
    let names: Vec<&str> = inputs.files.iter().map(|f| &*f.path).collect();
    report::findings(&inputs.diagnostics, &names, &[], OutputFormat::Text, out)?;
    report::tests(&done.tests, out)?;
    for (rule, message) in &done.errors {
        writeln!(out, "rule {} cannot be evaluated: {}\n", rule, crate::diag::harmless(message))?;
    }
    let (files, rules) = (report::plural(inputs.rule_files, "file"), report::plural(done.rules, "rule"));
    writeln!(out, "checked    {files}, {rules}: {}", report::tally(&inputs.diagnostics))?;
    writeln!(
        out,
        "tests      {}",
        report::tests_tally(done.tests.len(), done.tests.iter().filter(|test| !test.ok).count())
    )?;
    let count = |state| done.alerts.iter().filter(|(a, _)| a.state == state).count();
    let (firing, pending) = (count(AlertState::Firing), count(AlertState::Pending));
    let recorded = match done.recorded {
        0 => String::new(),
        n => format!(", {n} series recorded"),
    };
    writeln!(out, "evaluated  at {}: {firing} firing, {pending} pending{recorded}", done.at)?;
    for (alert, reason) in &done.alerts {
        let labels = alert.labels.filtered(|n| n != "alertname" && n != "severity");
        writeln!(
            out,
            "  {:<8} {:<8} {} {}  ({})  {}",
            alert.state.as_str(),
            alert.severity,
            crate::diag::harmless(&alert.rule),
            crate::diag::harmless(&labels.to_string()),
            crate::diag::harmless(reason),
            alert.origin
        )?;
    }
    held(done, out)?;
    if done.notices.is_empty() {
        return writeln!(out, "would send nothing");
    }
    writeln!(out, "would send {}:", report::plural(done.notices.len(), "message"))?;
    for notice in &done.notices {
        let Some(handler) = handlers.iter().find(|h| *h.name() == *notice.handler) else { continue };
        writeln!(out, "\n--- to {} ({})", notice.handler, notice.kind.as_str())?;
        writeln!(out, "{}", handler.preview(notice).payload.trim_end())?;
    }
    Ok(())
}
