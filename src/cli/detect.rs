//! `alertd detect`: a detector over a file, one row per sample, in one pass and without look-ahead.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::args::{DetectArgs, DetectFormat, exit};
use super::data;
use crate::detect::{AnomalyConfig, Detector, Judgement, Method, Season, Zone};
use crate::engine::{Engine, EngineOptions, Surroundings};
use crate::ingest::Batch;
use crate::model::alert::float_text;
use crate::model::labels::METRIC_NAME;
use crate::model::{Labels, Now, Timestamp};
use crate::promql::MatchOp;
use crate::rule::{Condition, Rule};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

type Failure = (u8, String);

/// Runs the command.
pub fn run(args: &DetectArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let done = match &args.rule {
        Some(name) => with_rule(args, name, out),
        None => with_method(args, out),
    };
    match done {
        Ok(result) => result.map(|()| exit::CLEAN),
        Err((code, message)) => {
            writeln!(std::io::stderr().lock(), "alertd: {}", message.trim_end())?;
            Ok(code)
        }
    }
}

/// The samples of the one series that is looked at, in file order.
fn one_series(args: &DetectArgs) -> Result<Vec<(i64, f64)>, Failure> {
    let batch = data::read(&args.data, Some(args.metric.as_deref().unwrap_or("value")))
        .map_err(|e| (e.exit_code(), e.to_string()))?;
    let mut series: BTreeMap<&Labels, Vec<(i64, f64)>> = BTreeMap::new();
    for row in &batch.rows {
        let wanted = args.metric.as_deref().is_none_or(|metric| row.labels.metric_name() == Some(metric));
        if wanted {
            series.entry(&row.labels).or_default().push((row.t_ms.unwrap_or(0), row.value));
        }
    }
    match series.len() {
        1 => Ok(series.into_values().next().unwrap_or_default()),
        0 => Err((exit::USAGE, format!("{} has no samples of that metric", args.data.display()))),
        n => {
            let some: Vec<String> = series.keys().take(5).map(ToString::to_string).collect();
            let names = some.join(", ");
            Err((exit::USAGE, format!("{n} series in {}: choose one with --metric ({names} …)", args.data.display())))
        }
    }
}

/// Something of a name, or what is wrong with the name.
fn named<T>(what: &str, name: &str, found: Option<T>, known: &[&str]) -> Result<T, Failure> {
    found.ok_or_else(|| {
        let best = crate::diag::suggest(name, known.iter().copied());
        let help = best.map(|best| format!(" (did you mean `{best}`?)")).unwrap_or_default();
        (exit::USAGE, format!("unknown {what} `{name}`{help}: this version has {}", known.join(", ")))
    })
}

fn config_of(args: &DetectArgs) -> Result<AnomalyConfig, Failure> {
    let name = args.method.as_deref().unwrap_or_default();
    let mut config = AnomalyConfig::for_method(named("method", name, Method::from_name(name), &Method::NAMES)?);
    if let Some(window) = args.window {
        config.window = window;
    }
    if let Some(sigma) = args.sigma {
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err((exit::USAGE, format!("--sigma {sigma}: expected a number above zero")));
        }
        config.sigma = sigma;
    }
    if let Some(name) = &args.season {
        config.season = named("season", name, Season::from_name(name), &Season::NAMES)?;
    }
    if let Some(name) = &args.timezone {
        let wrong = || format!("--timezone {name}: expected a name such as `Europe/Berlin`, or `UTC`");
        config.timezone = Zone::from_name(name).ok_or_else(|| (exit::USAGE, wrong()))?;
    }
    Ok(config)
}

fn with_method(args: &DetectArgs, out: &mut dyn Write) -> Result<std::io::Result<()>, Failure> {
    let config = config_of(args)?;
    let samples = one_series(args)?;
    let mut detector = Detector::new(&config);
    Ok((|| {
        let mut rows = Rows::new(args.output, out)?;
        for (t_ms, value) in samples {
            let judgement = detector.step(&config, t_ms, value);
            rows.row(Timestamp(t_ms), value, &judgement)?;
        }
        Ok(())
    })())
}

/// Evaluates the rule at its own slots over the time of the file.
fn with_rule(args: &DetectArgs, name: &str, out: &mut dyn Write) -> Result<std::io::Result<()>, Failure> {
    let rule = find_rule(args, name)?;
    // In a file of `timestamp,value` the values are those of the metric that the rule is about.
    let metric = args.metric.as_deref().or_else(|| metric_of(&rule));
    let batch = data::read(&args.data, metric).map_err(|e| (e.exit_code(), e.to_string()))?;
    let (from, to) = batch
        .time_range()
        .map(|(from, to)| (Timestamp(from), Timestamp(to)))
        .ok_or_else(|| (exit::USAGE, format!("{} has no samples with a timestamp", args.data.display())))?;
    let store = EmbeddedStore::new(StoreOptions::for_files());
    store.append(&batch, to.0);
    let schedule = rule.schedule.clone();
    let mut engine = Engine::new(vec![rule], EngineOptions::default());
    Ok((|| {
        let mut rows = Rows::new(args.output, out)?;
        let mut slot = schedule.next_after(Timestamp(from.0 - 1));
        while let Some(at) = slot.filter(|at| *at <= to) {
            for point in judged_at(&mut engine, &store, at) {
                rows.row(at, point.value, &point.judgement)?;
            }
            slot = schedule.next_after(at);
        }
        Ok(())
    })())
}

/// The metric that the signal of the rule reads, where it names one.
fn metric_of(rule: &Rule) -> Option<&str> {
    let Condition::Anomaly { signal, .. } = &rule.condition else { return None };
    let matchers = &signal.plan.selectors().first()?.matchers;
    matchers.iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal).map(|m| m.value.as_str())
}

fn judged_at(engine: &mut Engine, store: &EmbeddedStore, at: Timestamp) -> Vec<crate::state::JudgedPoint> {
    let mut publish = |samples: Vec<crate::model::Sample>| {
        let batch = Batch::from_iter(samples);
        store.append(&batch, at.0);
    };
    let mut around = Surroundings { source: store, publish: &mut publish, young: false, stopwatch: &|| Duration::ZERO };
    let step = engine.step(Now::simulated(at), &[0], &mut around);
    step.judged.into_iter().flat_map(|(_, points)| points).collect()
}

fn find_rule(args: &DetectArgs, name: &str) -> Result<Rule, Failure> {
    let loaded = crate::app::load::rules_only(&args.rules).map_err(|e| (exit::USAGE, e.to_string()))?;
    if loaded.has_errors() {
        let text = crate::diag::text(&loaded.diagnostics, super::report::text_style());
        return Err((exit::FINDINGS, text));
    }
    let names: Vec<String> = loaded.rules.iter().map(|r| r.name.to_string()).collect();
    let Some(rule) = loaded.rules.into_iter().find(|rule| *rule.name == *name) else {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let help =
            crate::diag::suggest(name, known).map(|best| format!(": did you mean `{best}`?")).unwrap_or_default();
        return Err((exit::USAGE, format!("no rule is called `{name}`{help}")));
    };
    if !matches!(rule.condition, Condition::Anomaly { .. }) {
        return Err((exit::USAGE, format!("rule `{name}` has no `anomaly`")));
    }
    Ok(Rule { enabled: true, ..rule })
}

/// Writes rows in one of the formats.
struct Rows<'a> {
    format: DetectFormat,
    out: &'a mut dyn Write,
}

impl<'a> Rows<'a> {
    fn new(format: DetectFormat, out: &'a mut dyn Write) -> std::io::Result<Self> {
        if format == DetectFormat::Csv {
            writeln!(out, "timestamp,value,expected,lower,upper,anomaly_score,reason")?;
        }
        Ok(Self { format, out })
    }

    fn row(&mut self, at: Timestamp, value: f64, judgement: &Judgement) -> std::io::Result<()> {
        let j = judgement;
        match self.format {
            DetectFormat::Csv => {
                let [value, expected, lower, upper] = [value, j.expected, j.lower, j.upper].map(float_text::text);
                writeln!(self.out, "{at},{value},{expected},{lower},{upper},{},{}", j.score, j.reason.as_str())
            }
            DetectFormat::Json => {
                let number = crate::app::dry_run::number;
                let row = serde_json::json!({
                    "timestamp": at,
                    "value": number(value),
                    "expected": number(j.expected),
                    "lower": number(j.lower),
                    "upper": number(j.upper),
                    "anomaly_score": j.score,
                    "anomalous": j.anomalous,
                    "reason": j.reason.as_str(),
                });
                writeln!(self.out, "{row}")
            }
        }
    }
}
