//! Runs files of Prometheus's PromQL test language against the engine.
//!
//! Reads the folder named by `ALERTD_PROMQLTEST_DIR`, `../shared/promql` without it, and skips with a printed reason
//! where there is none. Prints the passing cases per file; every case must pass, or stand in [`EXCEPTIONS`].

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports what it finds")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alertd::model::histogram::{Buckets, SCHEMA_CUSTOM};
use alertd::model::{Histogram, HistogramPoint, Labels, LabelsBuilder, SampleValue, SeriesPoints};
use alertd::promql::{
    EvalOptions, MemorySource, Notes, ParseOptions, Plan, SlotCache, Value, eval_instant_noting, eval_range_noting,
    notation, parse, parse_samples,
};

/// Cases of the ten files the project is developed against that do not pass: file, query, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// What an `eval` expects.
#[derive(Default)]
struct Expectation {
    fail: bool,
    ordered: bool,
    /// Of our own files: it holds only where names are removed in the end.
    delayed: bool,
    warn: bool,
    info: bool,
    no_warn: bool,
    no_info: bool,
    /// Kind, whether a regular expression, text.
    messages: Vec<(&'static str, bool, String)>,
    text: Option<String>,
    range: Option<(i64, i64, i64)>,
    rows: Vec<String>,
}

enum Query {
    Instant(i64),
    Range(i64, i64, i64),
}

fn duration_ms(text: &str) -> Result<i64, String> {
    let negative = text.starts_with('-');
    let plain = text.trim_start_matches('-');
    let ms = match plain.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => alertd::model::parse_duration(plain).map_err(|e| e.to_string())?.as_millis() as i64,
    };
    Ok(if negative { -ms } else { ms })
}

/// Labels and values of a line of `load`, or of an expected result.
fn series_line(line: &str) -> Result<(Labels, String), String> {
    let start = if line.starts_with('{') { 0 } else { line.find(['{', ' ', '\t']).unwrap_or(line.len()) };
    let rest = line[start..].trim_start();
    let end = if rest.starts_with('{') && !rest.starts_with("{{") {
        let mut quote = None;
        let mut escaped = false;
        let close = rest.char_indices().find(|(_, c)| {
            if std::mem::take(&mut escaped) {
                return false;
            }
            match (quote, c) {
                (Some('"' | '\''), '\\') => escaped = true,
                (Some(q), c) if q == *c => quote = None,
                (None, '"' | '\'' | '`') => quote = Some(*c),
                (None, '}') => return true,
                _ => {}
            }
            false
        });
        line.len() - rest.len() + close.ok_or("no closing brace")?.0 + 1
    } else {
        start
    };
    let labels = notation::parse_labels(&line[..end]).map_err(|e| e.to_string())?;
    Ok((labels, line[end..].trim().to_owned()))
}

fn close(want: f64, got: f64) -> bool {
    if want.is_nan() || got.is_nan() {
        return want.is_nan() && got.is_nan();
    }
    let scale = want.abs().max(got.abs());
    want == got || scale == 0.0 || (want - got).abs() <= 1e-6 * scale
}

struct Case<'a> {
    source: &'a MemorySource,
    /// Whether names are removed in the end; at once otherwise.
    delayed: bool,
    query: Query,
    expr: String,
    want: Expectation,
}

fn position(expr: &str, at: usize) -> String {
    let before = &expr[..at.min(expr.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
    format!("{line}:{column}")
}

impl Case<'_> {
    fn run(&self) -> Result<(), String> {
        if self.want.delayed && !self.delayed {
            return Ok(());
        }
        let options = EvalOptions { delayed_name_removal: self.delayed, ..EvalOptions::default() };
        let expr = match parse(&self.expr, &ParseOptions::default()) {
            Ok(expr) => expr,
            Err(errors) => return self.failed(&errors[0].message),
        };
        let plan = Plan::new(&expr);
        let (result, notes) = match self.query {
            Query::Instant(at) => eval_instant_noting(&plan, self.source, at, &options, &SlotCache::new()),
            Query::Range(start, end, step) => {
                let (result, notes) = eval_range_noting(&plan, self.source, (start, end, step), &options);
                (result.map(Value::Matrix), notes)
            }
        };
        let value = match result {
            Err(error) => return self.failed(&error.to_string()),
            Ok(_) if self.want.fail => return Err("expected a failure".to_owned()),
            Ok(value) => value,
        };
        self.check_notes(&notes)?;
        let got: Vec<(Labels, Vec<(i64, SampleValue)>)> = match value {
            Value::String(text) => {
                return match &self.want.text {
                    Some(want) if *want == text => Ok(()),
                    other => Err(format!("expected string {other:?}, got {text:?}")),
                };
            }
            Value::Scalar(got) => return self.check_scalar(got),
            Value::Vector(samples) => {
                samples.into_iter().map(|s| (s.labels, vec![(0, sample(s.value, s.histogram))])).collect()
            }
            Value::Matrix(series) => series.into_iter().map(points_of).collect(),
        };
        self.check_series(&got)
    }

    fn failed(&self, message: &str) -> Result<(), String> {
        if !self.want.fail {
            return Err(format!("failed: {message}"));
        }
        self.check_messages("fail", &[message.to_owned()])
    }

    /// Every message asked for is there, and where any is asked for, no other is.
    fn check_messages(&self, kind: &str, got: &[String]) -> Result<(), String> {
        let wanted: Vec<_> = self.want.messages.iter().filter(|(k, ..)| *k == kind).collect();
        let fits = |(_, is_regex, want): &(&str, bool, String), got: &String| {
            if *is_regex { regex::Regex::new(want).is_ok_and(|r| r.is_match(got)) } else { want == got }
        };
        let missing = wanted.iter().find(|want| !got.iter().any(|g| fits(want, g)));
        let further = got.iter().find(|g| !wanted.is_empty() && !wanted.iter().any(|want| fits(want, g)));
        match (missing, further) {
            (None, None) => Ok(()),
            (Some((_, _, want)), _) => Err(format!("expected {kind} {want:?}, got {got:?}")),
            (_, Some(further)) => Err(format!("unexpected {kind} {further:?}")),
        }
    }

    fn check_notes(&self, notes: &Notes) -> Result<(), String> {
        for (warning, wanted, refused, kind) in
            [(true, self.want.warn, self.want.no_warn, "warn"), (false, self.want.info, self.want.no_info, "info")]
        {
            let word = if warning { "warning" } else { "info" };
            let text =
                |n: &alertd::promql::Note| format!("PromQL {word}: {} ({})", n.message, position(&self.expr, n.start));
            let found: Vec<String> = notes.0.iter().filter(|n| n.warning == warning).map(text).collect();
            if wanted && found.is_empty() {
                return Err(format!("expected {kind}"));
            }
            if refused && !found.is_empty() {
                return Err(format!("expected no {kind}, got {found:?}"));
            }
            self.check_messages(kind, &found)?;
        }
        Ok(())
    }

    fn check_scalar(&self, got: f64) -> Result<(), String> {
        let row = self.want.rows.first().ok_or("expected nothing, got a scalar")?;
        let text = row.trim().trim_start_matches("{}").trim();
        let want = parse_samples(text).map_err(|e| e.to_string())?;
        match want.as_slice() {
            [Some(SampleValue::Float(want))] if close(*want, got) => Ok(()),
            _ => Err(format!("expected {text}, got {got}")),
        }
    }

    fn check_series(&self, got: &[(Labels, Vec<(i64, SampleValue)>)]) -> Result<(), String> {
        let query_range = match self.query {
            Query::Range(start, end, step) => Some((start, end, step)),
            Query::Instant(_) => None,
        };
        let (start, _, step) = self.want.range.or(query_range).unwrap_or_default();
        let mut want = Vec::new();
        for row in &self.want.rows {
            let (labels, values) = series_line(row)?;
            let hinted = values.contains("counter_reset_hint:");
            let values = parse_samples(&values).map_err(|e| e.to_string())?;
            let points = values.into_iter().enumerate().filter_map(|(i, v)| Some((start + i as i64 * step, v?)));
            want.push((labels, points.collect::<Vec<_>>(), hinted));
        }
        want.retain(|(_, points, _)| !points.is_empty());
        let shown =
            |points: &[(i64, SampleValue)]| points.iter().map(|(t, v)| format!("{t}: {}", text(v))).collect::<Vec<_>>();
        if want.len() != got.len() {
            let got: Vec<_> = got.iter().map(|(labels, points)| format!("{labels} {:?}", shown(points))).collect();
            return Err(format!("expected {} series, got {}: {got:?}", want.len(), got.len()));
        }
        for (i, (labels, points)) in got.iter().enumerate() {
            let found = want.iter().position(|(l, ..)| l == labels).ok_or(format!("unexpected {labels}"))?;
            if self.want.ordered && found != i {
                return Err(format!("{labels} is out of order"));
            }
            let (_, want, hinted) = &want[found];
            let same = want.len() == points.len()
                && want.iter().zip(points).all(|(w, g)| w.0 == g.0 && alike(&w.1, &g.1, *hinted));
            if !same {
                return Err(format!("{labels}: expected {:?}, got {:?}", shown(want), shown(points)));
            }
        }
        Ok(())
    }
}

fn sample(value: f64, histogram: Option<Arc<Histogram>>) -> SampleValue {
    histogram.map_or(SampleValue::Float(value), SampleValue::Histogram)
}

/// Numbers and histograms in the order of their times.
fn points_of(series: SeriesPoints) -> (Labels, Vec<(i64, SampleValue)>) {
    let floats = series.points.into_iter().map(|p| (p.t_ms, SampleValue::Float(p.value)));
    let histograms = series.histograms.into_iter().map(|p| (p.t_ms, SampleValue::Histogram(p.histogram)));
    let mut points: Vec<_> = floats.chain(histograms).collect();
    points.sort_by_key(|(t, _)| *t);
    (series.labels, points)
}

fn text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => histogram.notation(),
    }
}

/// Equal but for rounding and empty buckets; hints count only where they are written.
fn alike(want: &SampleValue, got: &SampleValue, hinted: bool) -> bool {
    let (want, got) = match (want, got) {
        (SampleValue::Float(want), SampleValue::Float(got)) => return close(*want, *got),
        (SampleValue::Histogram(want), SampleValue::Histogram(got)) => (want, got),
        _ => return false,
    };
    let buckets = |b: &Buckets| Buckets::from_sorted(b.iter()).iter().collect::<Vec<_>>();
    let same = |w: &Buckets, g: &Buckets| {
        let (w, g) = (buckets(w), buckets(g));
        w.len() == g.len() && w.iter().zip(&g).all(|(w, g)| w.0 == g.0 && close(w.1, g.1))
    };
    want.schema == got.schema
        && close(want.count, got.count)
        && close(want.sum, got.sum)
        && close(want.zero_count, got.zero_count)
        && want.zero_threshold == got.zero_threshold
        && want.custom_values == got.custom_values
        && same(&want.positive, &got.positive)
        && same(&want.negative, &got.negative)
        && (!hinted || want.reset_hint == got.reset_hint)
}

fn unquoted(text: &str) -> String {
    match parse(text.trim(), &ParseOptions::default()).map(|e| e.kind) {
        Ok(alertd::promql::ExprKind::Text(text)) => text,
        _ => text.trim().to_owned(),
    }
}

fn words(text: &str, count: usize) -> Option<(Vec<&str>, &str)> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    for _ in 0..count {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    found.iter().all(|w| !w.is_empty()).then_some((found, rest))
}

/// Reads one line below an `eval`.
fn expectation(line: &str, want: &mut Expectation) -> Result<(), String> {
    for (old, regex) in [("expected_fail_message", false), ("expected_fail_regexp", true)] {
        if let Some(text) = line.strip_prefix(old) {
            want.messages.push(("fail", regex, text.trim().to_owned()));
            return Ok(());
        }
    }
    let Some(rest) = line.strip_prefix("expect ") else {
        want.rows.push(line.to_owned());
        return Ok(());
    };
    let (words_found, tail) = words(rest, 1).ok_or("empty expect")?;
    let mut message = |kind| {
        for (prefix, regex) in [("msg:", false), ("regex:", true)] {
            if let Some(text) = tail.strip_prefix(prefix) {
                want.messages.push((kind, regex, text.trim().to_owned()));
            }
        }
    };
    match words_found[0] {
        "fail" => {
            message("fail");
            want.fail = true;
        }
        "warn" => {
            message("warn");
            want.warn = true;
        }
        "info" => {
            message("info");
            want.info = true;
        }
        "no_warn" => want.no_warn = true,
        "no_info" => want.no_info = true,
        "ordered" => want.ordered = true,
        "delayed_name_removal" => want.delayed = true,
        "string" => want.text = Some(unquoted(tail)),
        "range" => {
            let (w, _) = words(tail, 7).ok_or("bad range")?;
            want.range = Some((duration_ms(w[2])?, duration_ms(w[4])?, duration_ms(w[6])?));
        }
        other => return Err(format!("unknown expectation {other}")),
    }
    Ok(())
}

/// The query of an `eval` line and what its old form expects.
fn query(line: &str) -> Result<(Query, String, Expectation), String> {
    let mut want = Expectation::default();
    let (head, rest) = words(line, 2).ok_or("bad eval")?;
    match head[0] {
        "eval_fail" => want.fail = true,
        "eval_ordered" => want.ordered = true,
        "eval_warn" => want.warn = true,
        "eval_info" => want.info = true,
        _ => {}
    }
    if head[1] == "instant" {
        return Ok(match words(rest, 2) {
            Some((w, expr)) if w[0] == "at" => (Query::Instant(duration_ms(w[1])?), expr.to_owned(), want),
            _ => (Query::Instant(0), rest.to_owned(), want),
        });
    }
    let (w, expr) = words(rest, 6).ok_or("bad eval")?;
    Ok((Query::Range(duration_ms(w[1])?, duration_ms(w[3])?, duration_ms(w[5])?), expr.to_owned(), want))
}

/// A series and its values.
type Loaded = (Labels, Vec<Option<SampleValue>>);

/// A line of `load`: labels and values, by `NAME@st` since when the counters count.
fn load_line(line: &str, starts: &mut Vec<Option<i64>>) -> Result<Option<Loaded>, String> {
    let (head, tail) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if head.ends_with("@st") {
        *starts = start_offsets(tail)?;
        return Ok(None);
    }
    let (labels, values) = series_line(line)?;
    Ok(Some((labels, parse_samples(&values).map_err(|e| e.to_string())?)))
}

/// Offsets of starts from the times of samples: `-1m`, `-1mx3`, `-1m-30sx3`, `_`, `_x3`.
fn start_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        let (values, times) = match item.rsplit_once('x') {
            Some((values, times)) => (values, times.parse::<usize>().map_err(|e| e.to_string())?),
            None => (item, 0),
        };
        if values == "_" {
            out.extend(std::iter::repeat_n(None, times.max(1)));
            continue;
        }
        let step_at = values[1..].find(['+', '-']).map_or(values.len(), |at| at + 1);
        let (first, step) = values.split_at(step_at);
        let step = if step.is_empty() { 0 } else { duration_ms(step.trim_start_matches('+'))? };
        let first = duration_ms(first.trim_start_matches('+'))?;
        out.extend((0..=times as i64).map(|n| Some(first + n * step)));
    }
    Ok(out)
}

/// Bounds with cumulative counts, count and sum of a classic histogram at one time.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    /// As a histogram with custom buckets; `None` if the counts of its buckets decrease.
    fn native(mut self) -> Option<Histogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|a, b| a.0 == b.0);
        let count = self.count.or(self.buckets.last().map(|b| b.1))?;
        if self.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let counts: Vec<f64> = self.buckets.iter().map(|b| b.1 - std::mem::replace(&mut before, b.1)).collect();
        let finite = self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite());
        let histogram = Histogram {
            schema: SCHEMA_CUSTOM,
            count,
            sum: self.sum,
            custom_values: finite.collect(),
            positive: Buckets::from_sorted((0..).zip(counts)),
            ..Histogram::default()
        };
        histogram.validate().ok().map(|()| histogram)
    }
}

/// Adds the classic histograms of what was loaded as native ones too.
fn add_native(source: &mut MemorySource, loaded: &[Loaded], step_ms: i64) {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, values) in loaded {
        let name = labels.metric_name().unwrap_or("");
        let Some((base, suffix)) = name.rsplit_once('_') else { continue };
        let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|le| !le.is_nan());
        if !matches!((suffix, bound), ("bucket", Some(_)) | ("count" | "sum", _)) {
            continue;
        }
        let mut of = LabelsBuilder::from(&labels.filtered(|n| n != "le"));
        of.set("__name__", base);
        let histogram = found.entry(of.build()).or_default();
        for (i, value) in values.iter().enumerate() {
            let Some(SampleValue::Float(value)) = value else { continue };
            let classic = histogram.entry(i as i64 * step_ms).or_default();
            match (suffix, bound) {
                ("bucket", Some(bound)) => classic.buckets.push((bound, *value)),
                ("count", _) => classic.count = Some(*value),
                _ => classic.sum = *value,
            }
        }
    }
    for (labels, times) in found {
        for (t_ms, classic) in times {
            let Some(histogram) = classic.native() else { continue };
            source.add_histogram(&labels, HistogramPoint { t_ms, histogram: Arc::new(histogram) });
        }
    }
}

/// What came of a case.
struct Outcome {
    expr: String,
    error: Option<String>,
}

/// Runs a file with names removed in the end, or at once; gives what came of each case.
fn run_file(path: &Path, delayed: bool, verbose: bool) -> Vec<Outcome> {
    let content = std::fs::read_to_string(path).unwrap();
    let mut lines = content.lines().enumerate().peekable();
    let mut source = MemorySource::new();
    let mut outcomes = Vec::new();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_command = |l: &str| ["load", "eval", "clear"].iter().any(|c| l.starts_with(c)) && !l.starts_with(' ');
        let mut body = Vec::new();
        while let Some((_, next)) = lines.next_if(|(_, next)| !next.trim().is_empty() && !is_command(next)) {
            let next = next.trim();
            if !next.starts_with('#') {
                body.push(next);
            }
        }
        if line == "clear" {
            source = MemorySource::new();
        } else if line.starts_with("load") {
            let step = duration_ms(line.split_whitespace().nth(1).unwrap_or("")).unwrap();
            let mut starts = Vec::new();
            let mut loaded = Vec::new();
            for series in body {
                match load_line(series, &mut starts) {
                    Ok(Some((labels, values))) => {
                        source.add_samples(&labels, 0, step, &values);
                        for (i, offset) in std::mem::take(&mut starts).into_iter().enumerate() {
                            let t_ms = i as i64 * step;
                            offset.into_iter().for_each(|offset| source.set_start(&labels, t_ms, t_ms + offset));
                        }
                        loaded.push((labels, values));
                    }
                    Ok(None) => {}
                    Err(error) => println!("{}:{}: {series}: {error}", path.display(), number + 1),
                }
            }
            if line.starts_with("load_with_nhcb") {
                add_native(&mut source, &loaded, step);
            }
        } else {
            let result = query(line).and_then(|(mut query, expr, mut want)| {
                body.iter().try_for_each(|row| expectation(row, &mut want))?;
                if let (Some((_, end, _)), Query::Instant(_)) = (want.range, &query) {
                    query = Query::Instant(end);
                }
                Case { source: &source, delayed, query, expr, want }.run()
            });
            if let (true, Err(error)) = (verbose, &result) {
                println!("{}:{}: {line}\n    {error}", path.display(), number + 1);
            }
            outcomes.push(Outcome { expr: line.to_owned(), error: result.err() });
        }
    }
    outcomes
}

/// The test files of a folder, sorted; `None` if there is no such folder.
fn test_files(folder: &Path) -> Option<Vec<PathBuf>> {
    let is_test = |path: &PathBuf| path.extension().is_some_and(|e| e == "test");
    let entries = std::fs::read_dir(folder).ok()?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_test).collect();
    files.sort();
    Some(files)
}

#[test]
fn own_test_files_pass_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let files = test_files(&folder).unwrap();
    assert!(!files.is_empty());
    for file in files {
        for delayed in [true, false] {
            let outcomes = run_file(&file, delayed, true);
            let passed = outcomes.iter().filter(|o| o.error.is_none()).count();
            let is_whole = !outcomes.is_empty() && passed == outcomes.len();
            assert!(is_whole, "{}, names removed late: {delayed}: {passed} cases pass", file.display());
        }
    }
}

#[test]
fn prometheus_own_test_files_pass() {
    let named = std::env::var_os("ALERTD_PROMQLTEST_DIR").map(PathBuf::from);
    let is_default = named.is_none();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/promql");
    let folder = named.unwrap_or(default);
    let Some(files) = test_files(&folder) else {
        println!("skipped: no folder {}; name one by ALERTD_PROMQLTEST_DIR", folder.display());
        return;
    };
    let verbose = std::env::var_os("ALERTD_PROMQLTEST_VERBOSE").is_some();
    let (mut passed, mut total) = (0, 0);
    let mut unexpected = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let outcomes = run_file(file, true, verbose);
        let good = outcomes.iter().filter(|o| o.error.is_none()).count();
        println!("{name} {good}/{}", outcomes.len());
        (passed, total) = (passed + good, total + outcomes.len());
        for outcome in outcomes {
            let excused = EXCEPTIONS.iter().any(|(f, query, _)| *f == name && *query == outcome.expr);
            match outcome.error {
                Some(error) if !excused => unexpected.push(format!("{name}: {}: {error}", outcome.expr)),
                None if excused => unexpected.push(format!("{name}: {} passes: take it off the list", outcome.expr)),
                _ => {}
            }
        }
    }
    println!("total {passed}/{total}");
    if is_default {
        assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    }
}
