//! Bodies of the fuzz targets: each gives hostile bytes to one entry of the library and checks what must always hold.
//!
//! The library of the fuzz crate, and a module of `tests/fuzz_smoke.rs`, which runs the same bodies on stable. Bodies
//! read no file and no clock; what they find is a panic, so a run that ends has found nothing.

#[path = "answers.rs"]
mod answers;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alertd::config;
use alertd::diag::{self, Diagnostic, SourceFile, TextStyle};
use alertd::engine::{Engine, EngineOptions, SavedState, Surroundings};
use alertd::ingest::cache::{PageOptions, Resolved};
use alertd::ingest::limits::{self, ERRORS_MAX};
use alertd::ingest::remote_write::{self, Known, Version};
use alertd::ingest::{Batch, Dialect, IngestErrors, ScrapeCache, csv, jsonl, text};
use alertd::model::{Labels, Now, Point, Timestamp, format_duration, parse_duration};
use alertd::promql::{
    EvalOptions, HEIGHT_MAX, MemorySource, ParseOptions, Plan, SlotCache, Value, eval_instant, eval_range, notation,
};
use alertd::rule::{Condition, LoadOptions, Rule};
use alertd::schedule::CronSchedule;
use alertd::store::embedded::{CHUNK_POINTS_MAX, EmbeddedStore, StoreOptions, decode_points, encode_points};
use alertd::template::{AlertContext, RenderLimits, Template};

#[path = "messages.rs"]
mod messages;
#[path = "reported.rs"]
mod reported;
#[path = "stored.rs"]
mod stored;
pub use answers::remote_answer;
pub use reported::posted_alerts;
pub use stored::{stored_batch, stored_block, stored_many};

/// A target: its name, which is that of its file in `fuzz_targets/` and of its seeds, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("promql_parse", promql_parse),
    ("promql_eval", promql_eval),
    ("yaml_rules", yaml_rules),
    ("expression", expression),
    ("threshold", threshold),
    ("config", configuration),
    ("exposition", exposition),
    ("jsonl", json_lines),
    ("csv", comma_separated),
    ("template", template),
    ("notation", series_notation),
    ("cron", cron),
    ("scalars", scalars),
    ("chunk_decode", chunk_decode),
    ("remote_write", remote_write),
    ("stored_block", stored_block),
    ("stored_batch", stored_batch),
    ("stored_many", stored_many),
    ("remote_answer", remote_answer),
    ("posted_alerts", posted_alerts),
];

/// An instant at which [`samples`] has data before and after.
const T0_MS: i64 = 1_700_000_000_000;
const MINUTE_MS: i64 = 60_000;
/// Samples taken by the readers under test.
const SAMPLES_MAX: usize = 500;

/// Bytes as the text that a reader of files would be given; none where that reader refuses them.
fn utf8(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Spans of errors are used to cut the text: they must lie in it, at borders of characters.
#[track_caller]
fn within(span: &Range<usize>, text: &str) {
    assert!(text.get(span.clone()).is_some(), "span {span:?} does not fit a text of {} bytes", text.len());
}

/// A few series of each kind that functions and operators treat apart, an hour before [`T0_MS`] and some minutes after.
fn samples() -> &'static MemorySource {
    static SOURCE: OnceLock<MemorySource> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let mut source = MemorySource::new();
        for line in [
            "m{a=\"1\", b=\"x\"} 0+1x70",
            "m{a=\"2\", b=\"x\"} 5-0.25x30 _x10 7.5x30",
            "m{a=\"2\", b=\"y\"} 1 -1 NaN Inf -Inf 0 1e300x60",
            "n{a=\"1\"} 10x70",
            "n{a=\"2\"} 1 2 3 stale _x40 4x20",
            "up{job=\"api\", instance=\"one\"} 1x60 0x10",
            "req_total{code=\"200\"} 0+30x20 0+30x49",
            "req_total{code=\"500\"} 0+1x70",
            "h_bucket{le=\"0.1\"} 0+1x70",
            "h_bucket{le=\"1\"} 0+3x70",
            "h_bucket{le=\"+Inf\"} 0+4x70",
            "{\"llm.latency_ms\", agent=\"planner\"} 100+50x70",
        ] {
            let (labels, values) = notation::parse_series_description(line).expect("a series");
            source.add_values(&labels, T0_MS - 60 * MINUTE_MS, MINUTE_MS, &values);
        }
        source
    })
}

/// Limits low enough that nothing hostile takes long.
fn small() -> EvalOptions {
    EvalOptions { samples_max: 20_000, ..EvalOptions::default() }
}

/// What is printed reads back as the same expression, and as the same plan.
pub fn promql_parse(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    for dotted_names in [false, true] {
        let options = ParseOptions { dotted_names };
        match alertd::promql::parse(text, &options) {
            Ok(expr) => {
                within(&expr.span, text);
                assert!(expr.height() <= HEIGHT_MAX);
                let printed = expr.to_string();
                let again = alertd::promql::parse(&printed, &options).unwrap_or_else(|e| panic!("{printed}: {e:?}"));
                assert_eq!(again.to_string(), printed);
                assert_eq!(again, expr, "{printed}");
                assert_eq!(Plan::new(&again).key(), Plan::new(&expr).key(), "{printed}");
            }
            Err(errors) => {
                assert!(!errors.is_empty());
                errors.iter().for_each(|error| within(&error.span, text));
            }
        }
    }
}

/// An evaluation ends, with label sets that differ, and a range says at each step what an instant says there.
pub fn promql_eval(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let Ok(expr) = alertd::promql::parse(text, &ParseOptions { dotted_names: true }) else { return };
    let (plan, options) = (Plan::new(&expr), small());
    let (start, end) = (T0_MS, T0_MS + 4 * MINUTE_MS);
    let range = eval_range(&plan, samples(), start, end, MINUTE_MS, &options);
    // Words that mean the range itself differ between the two by design.
    let comparable = !["start", "end", "step", "range", "limit", "topk", "bottomk"]
        .iter()
        .any(|word| text.to_ascii_lowercase().contains(word));
    for at_ms in (start..=end).step_by(MINUTE_MS as usize) {
        let Ok(value) = eval_instant(&plan, samples(), at_ms, &options, &SlotCache::new()) else { continue };
        let instant: Vec<(Labels, f64)> = match value {
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Vector(rows) => rows.into_iter().map(|row| (row.labels, row.value)).collect(),
            Value::Matrix(_) | Value::String(_) => return,
        };
        let distinct: BTreeSet<&Labels> = instant.iter().map(|(labels, _)| labels).collect();
        assert_eq!(distinct.len(), instant.len(), "two samples of one label set");
        let Ok(series) = range.as_ref().map_err(|_| ()).and_then(|s| if comparable { Ok(s) } else { Err(()) }) else {
            continue;
        };
        for (labels, value) in &instant {
            let row = series.iter().find(|s| s.labels == *labels);
            let point = row.and_then(|s| s.points.iter().find(|p| p.t_ms == at_ms));
            let Some(point) = point else { panic!("{labels} at {at_ms}: {value} as an instant, nothing in a range") };
            assert!(
                alike(point.value, *value),
                "{labels} at {at_ms}: {value} as an instant, {} in a range",
                point.value
            );
        }
        let there = series.iter().filter(|s| s.points.iter().any(|p| p.t_ms == at_ms)).count();
        assert_eq!(there, instant.len(), "samples at {at_ms} in a range and as an instant");
    }
}

/// Equal but for rounding.
fn alike(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// Findings can be shown in every form.
fn shown(findings: &[Diagnostic], file: &SourceFile) {
    for finding in findings {
        within(&finding.span, &file.text);
        assert!(finding.start().line >= 1 && finding.start().column >= 1);
        assert!((finding.end().line, finding.end().column) >= (finding.start().line, finding.start().column));
    }
    let style = TextStyle::default();
    let forms = [
        diag::text(findings, style),
        diag::concise(findings),
        diag::github(findings),
        diag::junit(findings, &[&file.path], &[]),
        diag::checkstyle(findings),
    ];
    assert!(findings.is_empty() || forms.iter().all(|form| !form.is_empty()));
    for json in [diag::json(findings), diag::gitlab(findings), diag::sarif(findings)] {
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
    }
}

/// Reading is repeatable; what is accepted can be run, and a restart in between changes nothing.
pub fn yaml_rules(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let rules = read_rules(text);
    if rules.len() <= 20 {
        restart_changes_nothing(rules);
    }
}

fn read_rules(text: &str) -> Vec<Rule> {
    let file = SourceFile::new("rules/fuzz.yaml", text);
    let files = [Arc::clone(&file)];
    let loaded = alertd::rule::load(&files, &LoadOptions::default());
    shown(&loaded.diagnostics, &file);
    let doubted = alertd::app::doubts::Doubts::default().load(&files, &LoadOptions::default());
    assert_eq!(doubted.rules.len(), loaded.rules.len(), "checks change no rule");
    shown(&doubted.diagnostics, &files[0]);
    let again = alertd::rule::load(&files, &LoadOptions::default());
    assert_eq!(format!("{:?}", again.diagnostics), format!("{:?}", loaded.diagnostics));
    assert_eq!(again.rules.len(), loaded.rules.len());
    let names: BTreeSet<&str> = loaded.rules.iter().map(|rule| &*rule.uid).collect();
    assert_eq!(names.len(), loaded.rules.len(), "two rules of one identity");
    if loaded.has_errors() { Vec::new() } else { loaded.rules }
}

fn restart_changes_nothing(rules: Vec<Rule>) {
    let options = || EngineOptions { query: small(), ..EngineOptions::default() };
    let due: Vec<usize> = (0..rules.len()).collect();
    let mut engine = Engine::new(rules.clone(), options());
    for slot in 0..4 {
        let now = Now::simulated(Timestamp(T0_MS + slot * MINUTE_MS));
        let saved = serde_json::to_string(&engine.save()).expect("state is JSON");
        let saved: SavedState = serde_json::from_str(&saved).expect("state reads back");
        let mut restarted = Engine::new(rules.clone(), options());
        restarted.restore(saved);
        let told = [&mut engine, &mut restarted].map(|engine| {
            let mut published = Vec::new();
            let mut around = Surroundings {
                source: samples(),
                publish: &mut |samples| published.extend(samples),
                young: false,
                stopwatch: &|| Duration::ZERO,
            };
            let step = engine.step(now, &due, &mut around);
            let published: Vec<String> = published.iter().map(|s| format!("{} {:?}", s.labels, s.value)).collect();
            (format!("{:?}", step.transitions), published)
        });
        assert_eq!(told[0], told[1], "a restart before slot {slot} changes what follows");
    }
}

/// Expressions are refused or evaluated: never a panic, never a type error once they were accepted.
pub fn expression(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    // JSON strings are YAML strings.
    let Ok(quoted) = serde_json::to_string(text) else { return };
    let head = "rules:\n- name: r\n  queries: {a: m, b: n, c: \"1\"}\n  when: ";
    restart_changes_nothing(read_rules(&format!("{head}{quoted}\n")));
    restart_changes_nothing(read_rules(&format!("{head}a > b || c != 0\n  value: {quoted}\n")));
}

/// A condition that is accepted reads back as itself, and its recovery is told from it.
pub fn threshold(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let read = |text: &str| {
        let quoted = serde_json::to_string(text).ok()?;
        let rules = read_rules(&format!("rules:\n- {{name: r, metric: m, threshold: {quoted}}}\n"));
        match rules.first().map(|rule| &rule.condition) {
            Some(Condition::Threshold { levels, .. }) => Some(levels[0].threshold),
            _ => None,
        }
    };
    let Some(found) = read(text) else { return };
    assert_eq!(read(&found.to_string()), Some(found), "{found}");
    for value in [0.0, -0.0, 1.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let worse = found.worse(value, 1.0);
        assert!(worse.is_nan() || worse == value || worse == 1.0);
        assert!(!found.limit_for(value).is_nan());
        assert!(
            !(value.is_nan() && found.holds(value)) || found.to_string().starts_with("!="),
            "{found} holds for NaN"
        );
    }
}

/// Server and handler files: findings fit the text and can be shown.
pub fn configuration(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let file = SourceFile::new("fuzz.yaml", text);
    shown(&config::server::load(&file).1, &file);
    shown(&config::handlers::load(&[Arc::clone(&file)]).1, &file);
    shown(&config::intervals::load(&[Arc::clone(&file)], Default::default()).1, &file);
}

#[track_caller]
fn limits_are_kept(batch: &Batch, errors: &IngestErrors) {
    assert!(batch.len() <= SAMPLES_MAX);
    assert!(errors.first.len() <= ERRORS_MAX && errors.total >= errors.first.len());
    assert!(errors.first.iter().all(|e| e.line >= 1 && e.column >= 1 && !e.reason.is_empty()));
    for row in &batch.rows {
        assert_eq!(limits::refusal(&row.labels), None, "{}", row.labels);
        assert!(row.labels.iter().all(|(_, value)| !value.is_empty()), "{}", row.labels);
    }
}

/// Both text formats keep the limits, and the scraper's reader with its memory sees what the plain one sees.
pub fn exposition(data: &[u8]) {
    for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
        let (batch, errors) = text::parse(data, dialect, SAMPLES_MAX);
        limits_are_kept(&batch, &errors);
        let store = EmbeddedStore::new(StoreOptions::default());
        let mut cache = ScrapeCache::default();
        let options = PageOptions { dialect, at_ms: T0_MS, honor_timestamps: true, samples_max: SAMPLES_MAX };
        for turn in 0..2 {
            let found = cache.read(data, &options, &mut |labels| match store.series_ref(labels, T0_MS) {
                Ok(series) => Resolved::Series(series),
                Err(_) => Resolved::Refused,
            });
            assert_eq!(
                found.total, errors.total,
                "errors of the reader with memory, turn {turn}: {found:?} {errors:?}"
            );
            let remembered: Vec<(Option<Labels>, i64, u64)> =
                cache.points().iter().map(|(s, p)| (store.labels_of(*s), p.t_ms, p.value.to_bits())).collect();
            let plain: Vec<(Option<Labels>, i64, u64)> = batch
                .rows
                .iter()
                .map(|row| (Some(row.labels.clone()), row.t_ms.unwrap_or(T0_MS), row.value.to_bits()))
                .collect();
            assert_eq!(remembered, plain, "samples of the reader with memory, turn {turn}");
            assert!(cache.finish().len() <= turn * plain.len());
        }
    }
}

/// JSON lines keep the limits.
pub fn json_lines(data: &[u8]) {
    let (batch, errors) = jsonl::parse(data, SAMPLES_MAX);
    limits_are_kept(&batch, &errors);
}

/// CSV keeps the limits, with and without a metric's name given.
pub fn comma_separated(data: &[u8]) {
    for metric in [None, Some("given")] {
        let (batch, errors) = csv::parse(data, metric, SAMPLES_MAX);
        limits_are_kept(&batch, &errors);
    }
}

/// A message of remote write, packed or not, is read or refused; what is read keeps the limits, and what was read once
/// is known.
pub fn remote_write(data: &[u8]) {
    let unpacked = alertd::http::body::unsnapped_len(data, 1 << 20).ok().and_then(|len| {
        let mut out = vec![0; len];
        snap::raw::Decoder::new().decompress(data, &mut out).ok().map(|_| out)
    });
    for message in unpacked.as_deref().into_iter().chain([data]) {
        for version in [Version::V1, Version::V2] {
            let mut known = Known::new(100);
            let Ok(page) = remote_write::read(version, message, &known) else { continue };
            assert!(page.points.is_empty(), "no series is known yet");
            for new in &page.new {
                assert_eq!(limits::refusal(&new.labels), None);
                assert!(new.labels.metric_name().is_some() && new.points.end <= page.new_points.len());
            }
            known.insert(page.new.iter().map(|new| (new.key, 1u32)));
            if page.new.len() <= 100 {
                let again = remote_write::read(version, message, &known).map(|page| page.new.len());
                assert_eq!(again, Ok(0), "a series is known by what it was remembered by");
            }
        }
    }
}

/// Rendering ends within its limits and is repeatable.
pub fn template(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    messages::message_template(text);
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(errors) => {
            assert!(!errors.is_empty());
            return errors.iter().for_each(|error| within(&error.span, text));
        }
    };
    assert_eq!(template.text(), text);
    template.label_references().iter().for_each(|(_, span)| within(span, text));
    template.failures().iter().for_each(|failure| within(&failure.span, text));
    let labels = Labels::from_pairs([("__name__", "m"), ("instance", "one:9100"), ("job", "a b\"<é>")]);
    let limits = RenderLimits { steps_max: 20_000, output_bytes_max: 4096, depth_max: 20, queries_max: 4 };
    let context = AlertContext {
        labels: &labels,
        value: 1234.5,
        external_labels: &Labels::empty(),
        external_url: "http://alertd.example:9097/x",
        query: &|text| if text.len() % 2 == 0 { Ok(vec![(Labels::empty(), 1.0)]) } else { Err("no".to_owned()) },
        now: Timestamp(T0_MS),
    };
    let render = || template.render(&context, &limits).map_err(|error| error.to_string());
    let first = render();
    if let (Ok(text), None) = (&first, template.constant()) {
        assert!(text.len() <= limits.output_bytes_max);
    }
    assert_eq!(first, render());
}

/// Labels that are read print as labels that read back.
pub fn series_notation(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    match notation::parse_series_description(text) {
        Ok((labels, values)) => {
            assert!(values.len() <= notation::POINTS_MAX);
            assert_eq!(notation::parse_labels(&labels.to_string()).as_ref(), Ok(&labels), "{labels}");
        }
        Err(error) => within(&error.span, text),
    }
}

/// `expression` or `expression` and time zone on two lines: slots go forward and find each other.
pub fn cron(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let (text, zone) = text.split_once('\n').map_or((text, None), |(text, zone)| (text, Some(zone)));
    let cron = match CronSchedule::parse(text, zone) {
        Ok(cron) => cron,
        Err(error) => return within(&error.span, if error.zone { zone.unwrap_or_default() } else { text }),
    };
    assert!(cron.every_hint() > Duration::ZERO);
    assert_eq!(CronSchedule::parse(cron.text(), zone).as_ref(), Ok(&cron));
    let mut at = Timestamp(T0_MS);
    for _ in 0..20 {
        let Some(next) = cron.next_after(at) else { break };
        assert!(next > at);
        assert_eq!(cron.latest_at_or_before(next), Some(next));
        assert_eq!(cron.next_after(Timestamp(next.0 - 1)), Some(next));
        at = next;
    }
    for at in [i64::MIN, -1, 0, i64::MAX].map(Timestamp) {
        assert!(cron.next_after(at).is_none_or(|next| next > at));
        assert!(cron.latest_at_or_before(at).is_none_or(|last| last <= at));
    }
}

/// Durations, times, sizes and texts with secrets.
pub fn scalars(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    if let Ok(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }
    if let Some(time) = Timestamp::parse(text) {
        let printed = serde_json::to_value(time).expect("a time is JSON");
        assert_eq!(serde_json::from_value::<Timestamp>(printed.clone()).ok(), Some(time), "{printed}");
    }
    _ = alertd::ingest::time::from_text(text);
    _ = alertd::yaml::shape::parse_size(text);
    match config::SecretText::parse(text) {
        Ok(secret) => {
            let written = secret.resolve(|reference| Ok::<_, ()>(reference.to_string()));
            assert_eq!(written.as_deref(), Ok(text), "references are written as they were read");
        }
        Err(error) => within(&error.span, text),
    }
}

/// Damaged chunks give nothing; what a chunk gives can be packed again, bit for bit. The bytes are taken as points, too.
pub fn chunk_decode(data: &[u8]) {
    let kept = Point { t_ms: 1, value: 1.0 };
    let mut points = vec![kept];
    match decode_points(data, &mut points) {
        Some(()) => {
            assert!(points.len() <= CHUNK_POINTS_MAX + 1);
            packs(&points[1..]);
        }
        None => assert_eq!(points, [kept]),
    }
    let raw: Vec<Point> = data
        .as_chunks::<16>()
        .0
        .iter()
        .take(CHUNK_POINTS_MAX)
        .map(|bytes| {
            let (time, value) = bytes.split_at(8);
            let word = |half: &[u8]| half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            Point { t_ms: word(time).cast_signed(), value: f64::from_bits(word(value)) }
        })
        .collect();
    packs(&raw);
}

pub(crate) fn packs(points: &[Point]) {
    let bits = |points: &[Point]| points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>();
    let mut again = Vec::new();
    assert_eq!(decode_points(&encode_points(points), &mut again), Some(()));
    assert_eq!(bits(&again), bits(points));
}
