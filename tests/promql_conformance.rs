//! Runs files of Prometheus's PromQL test language against the engine.
//!
//! Reads the folder named by `ALERTD_PROMQLTEST_DIR`, `../shared/promql` without it, and skips with a printed reason
//! where there is none. Prints the share of passing cases per file. Cases that need native histograms cannot pass:
//! the test asserts a floor, which may only be raised.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports what it finds")]

use std::path::{Path, PathBuf};

use alertd::model::{Labels, Point};
use alertd::promql::{
    EvalOptions, MemorySource, Notes, ParseOptions, Plan, SlotCache, Value, eval_instant_noting, eval_range_noting,
    notation, parse, parse_values,
};

/// Cases that must pass in the ten files the project is developed against.
const PASSED_MIN: usize = 893;

/// What an `eval` expects.
#[derive(Default)]
struct Expectation {
    fail: bool,
    ordered: bool,
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

/// Values with native histograms taken for gaps, which the notation refuses.
fn without_histograms(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, after) = rest.split_at(start);
        let mut tail = after;
        // `{{…}}+{{…}}x5` is one run.
        while let Some(end) = tail.find("}}") {
            tail = &tail[end + 2..];
            match tail.strip_prefix(['+', '-']) {
                Some(next) if next.starts_with("{{") => tail = next,
                _ => break,
            }
        }
        let digits = tail.strip_prefix('x').map_or(0, |t| t.bytes().take_while(u8::is_ascii_digit).count());
        out.push_str(before);
        if digits > 0 {
            let count: usize = tail[1..=digits].parse().unwrap_or(0);
            out.push_str(&format!("_x{}", count + 1));
            tail = &tail[digits + 1..];
        } else {
            out.push('_');
        }
        rest = tail;
    }
    out.push_str(rest);
    out
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
        let options = EvalOptions { delayed_name_removal: true, ..EvalOptions::default() };
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
        match value {
            Value::String(text) => match &self.want.text {
                Some(want) if *want == text => Ok(()),
                other => Err(format!("expected string {other:?}, got {text:?}")),
            },
            Value::Scalar(got) => self.check_scalar(got),
            Value::Vector(samples) => {
                let got = samples.into_iter().map(|s| (s.labels, vec![(0, s.value)])).collect();
                self.check_series(got)
            }
            Value::Matrix(series) => {
                let points = |points: Vec<Point>| points.into_iter().map(|p| (p.t_ms, p.value)).collect();
                self.check_series(series.into_iter().map(|(labels, p)| (labels, points(p))).collect())
            }
        }
    }

    fn failed(&self, message: &str) -> Result<(), String> {
        if !self.want.fail {
            return Err(format!("failed: {message}"));
        }
        self.check_message("fail", message)
    }

    fn check_message(&self, kind: &str, got: &str) -> Result<(), String> {
        for (_, is_regex, want) in self.want.messages.iter().filter(|(k, ..)| *k == kind) {
            let same = if *is_regex { regex::Regex::new(want).is_ok_and(|r| r.is_match(got)) } else { want == got };
            if !same {
                return Err(format!("expected {kind} {want:?}, got {got:?}"));
            }
        }
        Ok(())
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
            if let Some(first) = found.first() {
                self.check_message(kind, first)?;
            }
        }
        Ok(())
    }

    fn check_scalar(&self, got: f64) -> Result<(), String> {
        let row = self.want.rows.first().ok_or("expected nothing, got a scalar")?;
        let text = row.trim().trim_start_matches("{}").trim();
        let want = parse_values(text).map_err(|e| e.to_string())?;
        match want.as_slice() {
            [Some(want)] if close(*want, got) => Ok(()),
            _ => Err(format!("expected {text}, got {got}")),
        }
    }

    fn check_series(&self, got: Vec<(Labels, Vec<(i64, f64)>)>) -> Result<(), String> {
        let query_range = match self.query {
            Query::Range(start, end, step) => Some((start, end, step)),
            Query::Instant(_) => None,
        };
        let (start, _, step) = self.want.range.or(query_range).unwrap_or_default();
        let mut want = Vec::new();
        for row in &self.want.rows {
            let (labels, values) = series_line(row)?;
            if values.contains("{{") {
                return Err("native histogram".to_owned());
            }
            let values = parse_values(&values).map_err(|e| e.to_string())?;
            let points = values.iter().enumerate().filter_map(|(i, v)| Some((start + i as i64 * step, (*v)?)));
            want.push((labels, points.collect::<Vec<_>>()));
        }
        want.retain(|(_, points)| !points.is_empty());
        if want.len() != got.len() {
            return Err(format!("expected {} series, got {}: {got:?}", want.len(), got.len()));
        }
        for (i, (labels, points)) in got.iter().enumerate() {
            let found = want.iter().position(|(l, _)| l == labels).ok_or(format!("unexpected {labels}"))?;
            if self.want.ordered && found != i {
                return Err(format!("{labels} is out of order"));
            }
            let want = &want[found].1;
            let same =
                want.len() == points.len() && want.iter().zip(points).all(|(w, g)| w.0 == g.0 && close(w.1, g.1));
            if !same {
                return Err(format!("{labels}: expected {want:?}, got {points:?}"));
            }
        }
        Ok(())
    }
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
        let (w, expr) = words(rest, 2).ok_or("bad eval")?;
        return Ok((Query::Instant(duration_ms(w[1])?), expr.to_owned(), want));
    }
    let (w, expr) = words(rest, 6).ok_or("bad eval")?;
    Ok((Query::Range(duration_ms(w[1])?, duration_ms(w[3])?, duration_ms(w[5])?), expr.to_owned(), want))
}

/// Runs a file; gives passed and total cases.
fn run_file(path: &Path, verbose: bool) -> (usize, usize) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().enumerate().peekable();
    let mut source = MemorySource::new();
    let (mut passed, mut total) = (0, 0);
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = Vec::new();
        while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t']) || next.starts_with('#')) {
            let next = next.trim();
            if !next.is_empty() && !next.starts_with('#') {
                body.push(next);
            }
        }
        if line == "clear" {
            source = MemorySource::new();
        } else if line.starts_with("load") {
            let step = duration_ms(line.split_whitespace().nth(1).unwrap_or("")).unwrap();
            for series in body {
                match series_line(series).and_then(|(labels, values)| {
                    Ok((labels, parse_values(&without_histograms(&values)).map_err(|e| e.to_string())?))
                }) {
                    Ok((labels, values)) => source.add_values(&labels, 0, step, &values),
                    Err(error) => println!("{}:{}: {series}: {error}", path.display(), number + 1),
                }
            }
        } else {
            total += 1;
            let result = query(line).and_then(|(query, expr, mut want)| {
                body.iter().try_for_each(|row| expectation(row, &mut want))?;
                Case { source: &source, query, expr, want }.run()
            });
            match result {
                Ok(()) => passed += 1,
                Err(error) if verbose => println!("{}:{}: {line}\n    {error}", path.display(), number + 1),
                Err(_) => {}
            }
        }
    }
    (passed, total)
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
        let (passed, total) = run_file(&file, true);
        assert!(total > 0 && passed == total, "{}: {passed} of {total} cases pass", file.display());
    }
}

#[test]
fn prometheus_own_test_files_pass_at_least_as_far_as_before() {
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
    for file in &files {
        let (p, t) = run_file(file, verbose);
        println!("{} {p}/{t}", file.file_name().unwrap_or_default().to_string_lossy());
        (passed, total) = (passed + p, total + t);
    }
    println!("total {passed}/{total}");
    if is_default {
        assert!(passed >= PASSED_MIN, "{passed} cases pass, {PASSED_MIN} did before");
    }
}
