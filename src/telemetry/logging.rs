//! Logging of the process: one line per event on stderr, as text or JSON.
//!
//! Fields of the spans around an event stand in its line, so that every line of one evaluation carries its `trace_id`.
//! Warnings and errors that repeat word for word are told once a minute with the number held back.
//! Never blocks: a stderr nobody reads costs lines (counted), not evaluations. Never prints a control character raw.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::outlet::{Outlet, OutletStats};
use super::visible::{shortened, visible};
use crate::clock::Clock;

/// A warning that repeats is told again after this time.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(60);
/// Different warnings remembered at once; beyond them every warning is told.
const REMEMBERED_MAX: usize = 1024;
/// Longest message and longest text of one field, in characters; the rest is cut.
const FIELD_CHARS_MAX: usize = 2000;
/// How long the end of the process waits for stderr to take the last lines.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, sentence, `key=value`.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(LogError::Format(other.to_owned())),
        }
    }
}

/// Why logging cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// Not a format.
    #[error("unknown log format {0:?}: text and json are known")]
    Format(String),
    /// Not a level or filter.
    #[error(
        "{0:?} is no log level: use error, warn, info, debug, trace or off, or a list such as info,alertd::ingest=debug"
    )]
    Level(String),
    /// The thread that writes cannot be started.
    #[error("cannot start the log thread: {0}")]
    Thread(#[source] io::Error),
    /// Logging was set up before.
    #[error("logging is set up already")]
    SetTwice,
}

/// What to log and how.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A level, or `target=level` parts separated by commas, as in `RUST_LOG`.
    pub level: String,
    /// The format.
    pub format: LogFormat,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Keeps the log thread; dropping it writes the last lines (waiting at most a second).
pub struct LogGuard {
    outlet: Arc<Mutex<Outlet>>,
    stats: Arc<OutletStats>,
}

impl LogGuard {
    /// Lines lost so far: dropped because stderr was blocked, or not written because it failed.
    pub fn lost(&self) -> u64 {
        self.stats.dropped() + self.stats.failed()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).close(CLOSE_GRACE);
    }
}

/// Sets up logging to stderr for the whole process.
pub fn init(options: &LogOptions, clock: Arc<dyn Clock>) -> Result<LogGuard, LogError> {
    let (subscriber, guard) = subscriber(options, clock, Box::new(io::stderr()))?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::SetTwice)?;
    Ok(guard)
}

/// A subscriber that writes to `writer`, for programs and tests that set it themselves.
pub fn subscriber(
    options: &LogOptions,
    clock: Arc<dyn Clock>,
    writer: Box<dyn Write + Send>,
) -> Result<(impl Subscriber + Send + Sync + use<>, LogGuard), LogError> {
    let filter = EnvFilter::builder().parse(directives(&options.level)?);
    let filter = filter.map_err(|_| LogError::Level(options.level.clone()))?;
    let lost = match options.format {
        LogFormat::Text => |n: u64| format!("{n} log lines were dropped because stderr was blocked"),
        LogFormat::Json => |n: u64| {
            format!(r#"{{"level":"warn","message":"Log lines were dropped: stderr was blocked.","lines":{n}}}"#)
        },
    };
    let outlet = Outlet::spawn("log", writer, lost).map_err(LogError::Thread)?;
    let stats = outlet.stats();
    let outlet = Arc::new(Mutex::new(outlet));
    let layer = LogLayer {
        format: options.format,
        clock,
        outlet: Arc::clone(&outlet),
        repeats: Mutex::default(),
        hasher: std::hash::RandomState::new(),
    };
    Ok((tracing_subscriber::registry().with(layer.with_filter(filter)), LogGuard { outlet, stats }))
}

/// A filter as `EnvFilter` reads it. A bare word would be a target to it, and silence everything else, so one that is no
/// level is refused.
fn directives(text: &str) -> Result<String, LogError> {
    let one = |part: &str| match part.trim() {
        word if word.eq_ignore_ascii_case("warning") => Ok("warn".to_owned()),
        word if word.contains(['=', '[']) => Ok(word.to_owned()),
        word if ["error", "warn", "info", "debug", "trace", "off"].iter().any(|l| word.eq_ignore_ascii_case(l)) => {
            Ok(word.to_owned())
        }
        word => Err(LogError::Level(word.to_owned())),
    };
    Ok(text.split(',').map(one).collect::<Result<Vec<_>, _>>()?.join(","))
}

struct LogLayer {
    format: LogFormat,
    clock: Arc<dyn Clock>,
    /// Held for one `try_send`.
    outlet: Arc<Mutex<Outlet>>,
    /// By hash of the warning; held for one look-up, at worst one sweep of [`REMEMBERED_MAX`] entries.
    repeats: Mutex<BTreeMap<u64, Repeat>>,
    hasher: std::hash::RandomState,
}

struct Repeat {
    told_at: Duration,
    held_back: u64,
}

/// Fields in the order they were recorded.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(n, _)| *n == name)?;
        Some(self.0.remove(index).1)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set(field.name(), Value::from(&*shortened(&format!("{value:?}"), FIELD_CHARS_MAX)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::from(&*shortened(value, FIELD_CHARS_MAX)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::from(value));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = match fields.take("message") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let level = *event.metadata().level();
        match self.held_back(level, &message, &fields) {
            None => return,
            Some(0) => {}
            Some(n) => fields.set("repeated", Value::from(n)),
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                for (name, value) in &of_span.0 {
                    // The inner field wins: the event's over its span's, a span's over its parent's.
                    if fields.0.iter().all(|(n, _)| n != name) {
                        fields.0.push((name, value.clone()));
                    }
                }
            }
        }
        let at = self.clock.now().to_string();
        let mut line = match self.format {
            LogFormat::Text => text_line(&at, level, &message, &fields),
            LogFormat::Json => json_line(&at, event.metadata(), &message, fields),
        };
        line.push('\n');
        // A refusal is counted by the outlet; there is nowhere else to tell it.
        let _ = self.outlet.lock().unwrap_or_else(PoisonError::into_inner).send(line.into_bytes());
    }
}

impl LogLayer {
    /// `None` if the event is held back now, else how many like it were since it was last told.
    fn held_back(&self, level: Level, message: &str, fields: &Fields) -> Option<u64> {
        if level > Level::WARN {
            return Some(0);
        }
        let mut hash = self.hasher.build_hasher();
        (message, level.as_str()).hash(&mut hash);
        for (name, value) in &fields.0 {
            name.hash(&mut hash);
            value.to_string().hash(&mut hash);
        }
        let (key, now) = (hash.finish(), self.clock.monotonic());
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repeat) = repeats.get_mut(&key) {
            if now.saturating_sub(repeat.told_at) < REPEAT_WINDOW {
                repeat.held_back += 1;
                return None;
            }
            repeat.told_at = now;
            return Some(std::mem::take(&mut repeat.held_back));
        }
        if repeats.len() >= REMEMBERED_MAX {
            repeats.retain(|_, repeat| now.saturating_sub(repeat.told_at) < REPEAT_WINDOW);
        }
        if repeats.len() < REMEMBERED_MAX {
            repeats.insert(key, Repeat { told_at: now, held_back: 0 });
        }
        Some(0)
    }
}

fn text_line(at: &str, level: Level, message: &str, fields: &Fields) -> String {
    let mut line = format!("{at} {:<5} ", level.as_str());
    push_visible(&mut line, &shortened(message, FIELD_CHARS_MAX));
    for (name, value) in &fields.0 {
        let _ = write!(line, " {name}=");
        match value {
            Value::String(text) if !text.is_empty() && text.chars().all(is_bare) => line.push_str(text),
            other => push_visible(&mut line, &other.to_string()),
        }
    }
    line
}

fn is_bare(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\')
}

fn push_visible(line: &mut String, text: &str) {
    line.push_str(&visible(text));
}

/// `timestamp`, `level`, `target`, `message`, then the fields; a field of one of these names gets a trailing `_`.
fn json_line(at: &str, metadata: &tracing::Metadata<'_>, message: &str, fields: Fields) -> String {
    let mut object = Map::new();
    object.insert("timestamp".into(), Value::from(at));
    object.insert("level".into(), Value::from(metadata.level().as_str().to_ascii_lowercase()));
    object.insert("target".into(), Value::from(metadata.target()));
    object.insert("message".into(), Value::from(&*shortened(message, FIELD_CHARS_MAX)));
    for (name, value) in fields.0 {
        let name = if object.contains_key(name) { format!("{name}_") } else { name.to_owned() };
        object.insert(name, value);
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::model::Timestamp;
    use crate::telemetry::outlet::tests::gate;

    fn logged(format: LogFormat, level: &str, act: impl FnOnce(&SimulatedClock)) -> String {
        let (gate, go, out) = gate();
        drop(go);
        let clock = Arc::new(SimulatedClock::new(Timestamp(1_700_000_000_000)));
        let options = LogOptions { level: level.to_owned(), format };
        let (subscriber, guard) = subscriber(&options, clock.clone(), Box::new(gate)).unwrap();
        tracing::subscriber::with_default(subscriber, || act(&clock));
        drop(guard);
        let text = out.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_lines_carry_fields_of_the_event_and_its_spans_and_no_raw_control_characters() {
        let text = logged(LogFormat::Text, "info", |_| {
            let span = tracing::info_span!("evaluation", trace_id = "0af7651916cd43dd8448eb211c80319c");
            let _entered = span.enter();
            tracing::info!(rule = "a b", series = 3, "Rule\u{1b}[31m evaluated.");
            tracing::debug!("not shown");
        });
        let want = "2023-11-14T22:13:20Z INFO  Rule\\x1b[31m evaluated. rule=\"a b\" series=3 \
                    trace_id=0af7651916cd43dd8448eb211c80319c\n";
        assert_eq!(text, want);
    }

    #[test]
    fn json_lines_are_objects_with_a_trace_id() {
        let text = logged(LogFormat::Json, "info", |_| {
            let span = tracing::info_span!("evaluation", trace_id = tracing::field::Empty);
            span.record("trace_id", "00ff");
            let _entered = span.enter();
            tracing::warn!(level = 7, error = ?"x\n", "Query failed.");
        });
        let got: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(got["level"], "warn");
        assert_eq!(got["level_"], 7);
        assert_eq!(got["message"], "Query failed.");
        assert_eq!(got["trace_id"], "00ff");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn long_fields_are_cut_and_the_line_stays_whole() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let long = "é".repeat(100_000);
            let text = logged(format, "info", |_| tracing::info!(long, debug = ?long, "{long}"));
            assert_eq!(text.lines().count(), 1);
            assert!(text.len() < 4 * 2 * FIELD_CHARS_MAX && text.matches("...").count() == 3, "{}", text.len());
        }
    }

    #[test]
    fn a_warning_that_repeats_is_told_once_a_minute_with_the_number_held_back() {
        let text = logged(LogFormat::Text, "info", |clock| {
            for second in 0..120 {
                clock.set(Timestamp(second * 1000));
                tracing::warn!(target = "x", "Scrape failed.");
                tracing::warn!(second, "Different each time.");
                tracing::info!("Progress.");
            }
        });
        let of = |word: &str| text.lines().filter(|l| l.contains(word)).collect::<Vec<_>>();
        assert_eq!(of("Scrape").len(), 2);
        assert!(of("Scrape")[1].ends_with("repeated=59"), "{:?}", of("Scrape"));
        assert_eq!(of("Different").len(), 120);
        assert_eq!(of("Progress").len(), 120);
    }

    #[test]
    fn a_blocked_stderr_costs_lines_and_not_time() {
        let (gate, _go, _) = gate();
        let clock = Arc::new(SimulatedClock::default());
        let (subscriber, guard) = subscriber(&LogOptions::default(), clock, Box::new(gate)).unwrap();
        tracing::subscriber::with_default(subscriber, || (0..3000).for_each(|i| tracing::info!(i, "Line.")));
        assert!(guard.lost() >= 3000 - 1 - super::super::outlet::QUEUE_BLOCKS_MAX as u64);
    }

    #[test]
    fn wrong_options_are_refused_by_name() {
        assert!(matches!("xml".parse::<LogFormat>(), Err(LogError::Format(_))));
        let set = |level: &str| {
            let options = LogOptions { level: level.into(), format: LogFormat::Text };
            subscriber(&options, Arc::new(SimulatedClock::default()), Box::new(io::sink())).err()
        };
        // A bare word is a target to the filter, which would silence everything else.
        for level in ["alertd=loud", "debgu", "verbose", "info,loud", ""] {
            assert!(matches!(set(level), Some(LogError::Level(_))), "{level}");
        }
        for level in ["warning", "WARN", "off", "info,alertd::ingest=debug", "error, hyper=warn"] {
            assert!(set(level).is_none(), "{level}");
        }
    }
}
