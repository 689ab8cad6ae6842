//! From the JSON of the Prometheus HTTP API to values; built without a tree in between, because an answer may be large.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer};

use super::RemoteError;
use super::body::quoted;
use crate::model::{Histogram, Labels, Point, SeriesPoints};
use crate::promql::{Answer, Value, VectorSample, When};

/// Most warnings that are told.
const WARNINGS_TOLD_MAX: usize = 3;
/// Longest text of warnings, in bytes.
const WARNING_BYTES_MAX: usize = 500;

/// The outer form of every answer.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub status: String,
    pub data: Option<T>,
    #[serde(rename = "errorType", default)]
    pub error_type: String,
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
    /// VictoriaMetrics.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

impl<T> Envelope<T> {
    /// Why parts are missing. What Prometheus notes about the expression itself says nothing of the kind.
    fn partial(&self) -> Option<String> {
        let noted = |text: &&String| !text.starts_with("PromQL info");
        let infos = self.infos.iter().flatten().filter(noted);
        let told: Vec<&str> =
            self.warnings.iter().flatten().chain(infos).take(WARNINGS_TOLD_MAX).map(String::as_str).collect();
        if told.is_empty() {
            return self.is_partial.then(|| "the store says that the answer is partial".to_owned());
        }
        let mut text = told.join("; ");
        while text.len() > WARNING_BYTES_MAX {
            text.pop();
        }
        Some(text)
    }
}

/// The `data` of a query.
#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Item>,
}

/// An element of `result`: a series, or a part of the pair that a scalar or a text is.
enum Item {
    Series(Series),
    Number,
    Text(String),
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    value: Option<Pair>,
    #[serde(default)]
    values: Vec<Pair>,
    #[serde(default)]
    histogram: Option<HistogramPair>,
}

/// A time in seconds and a native histogram.
#[derive(Deserialize)]
struct HistogramPair(#[allow(dead_code, reason = "the time is that of the question")] f64, HistogramSize);

/// What conditions and messages may read of a histogram: there is one, and how much is in it.
#[derive(Deserialize)]
struct HistogramSize {
    count: String,
    sum: String,
}

/// A time in seconds and a value as text.
#[derive(Deserialize)]
struct Pair(f64, String);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series, a time or a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        Series::deserialize(MapAccessDeserializer::new(map)).map(Item::Series)
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
        Ok(Item::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
        Ok(Item::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
        Ok(Item::Number)
    }
}

/// Reads the body of an answer with the status 2xx, or one that says why not.
pub(super) fn envelope<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<Envelope<T>, RemoteError> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) if envelope.status == "success" && (200..300).contains(&status) => Ok(envelope),
        Ok(envelope) if envelope.status == "error" => {
            let message = format!("{}: {}", envelope.error_type, cut(&envelope.error));
            // 4xx: the query is refused, and so are the next attempts at it; other queries may be answered.
            let refused =
                matches!(envelope.error_type.as_str(), "bad_data" | "execution" | "422" | "400" | "too_large");
            Err(if refused && (400..500).contains(&status) {
                RemoteError::Query(message)
            } else {
                RemoteError::Store(format!("HTTP {status}: {message}"))
            })
        }
        Ok(_) => Err(RemoteError::Store(format!("HTTP {status}, no answer of the Prometheus API: {}", quoted(body)))),
        Err(error) if (200..300).contains(&status) => {
            Err(RemoteError::Store(format!("the answer cannot be read ({error}): {}", quoted(body))))
        }
        Err(_) => Err(RemoteError::Store(format!("HTTP {status}: {}", quoted(body)))),
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(WARNING_BYTES_MAX)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[..end]
}

/// Reads the answer to a query.
pub(super) fn answer(status: u16, body: &[u8], when: When) -> Result<Answer, RemoteError> {
    let envelope: Envelope<Data> = envelope(status, body)?;
    let partial = envelope.partial();
    let unreadable = |why: String| RemoteError::Store(format!("the answer cannot be read ({why}): {}", quoted(body)));
    let data = envelope.data.ok_or_else(|| unreadable("there is no `data`".to_owned()))?;
    let value = value(data, when).map_err(|error| unreadable(error.to_string()))?;
    Ok(Answer { value, partial })
}

fn value(data: Data, when: When) -> Result<Value, serde_json::Error> {
    let at = match when {
        When::At(at) => at,
        When::Range { end_ms, .. } => end_ms,
    };
    match data.kind.as_str() {
        "vector" => {
            let mut samples = Vec::with_capacity(data.result.len());
            for item in data.result {
                let Series { metric: labels, value, histogram, .. } = series(item)?;
                samples.push(match (value, histogram) {
                    (_, Some(HistogramPair(_, size))) => {
                        let (count, sum) = (number(&size.count)?, number(&size.sum)?);
                        let histogram = Some(Arc::new(Histogram { count, sum, ..Histogram::default() }));
                        VectorSample { labels, t_ms: at, value: f64::NAN, histogram }
                    }
                    (Some(Pair(_, text)), None) => {
                        VectorSample { labels, t_ms: at, value: number(&text)?, histogram: None }
                    }
                    (None, None) => return Err(serde_json::Error::custom("a series without `value`")),
                });
            }
            samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Vector(samples))
        }
        "matrix" => {
            let mut all = Vec::with_capacity(data.result.len());
            for item in data.result {
                let Series { metric: labels, values, .. } = series(item)?;
                let points: Result<Vec<Point>, serde_json::Error> = values.iter().map(point).collect();
                let mut points = points?;
                points.sort_by_key(|point| point.t_ms);
                all.push(SeriesPoints { labels, points, ..SeriesPoints::default() });
            }
            all.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Matrix(all))
        }
        "scalar" | "string" => {
            let text = data.result.into_iter().find_map(|item| match item {
                Item::Text(text) => Some(text),
                _ => None,
            });
            let text = text.ok_or_else(|| serde_json::Error::custom("a scalar without value"))?;
            Ok(if data.kind == "scalar" { Value::Scalar(number(&text)?) } else { Value::String(text) })
        }
        other => Err(serde_json::Error::custom(format!("unknown resultType {other:?}"))),
    }
}

fn series(item: Item) -> Result<Series, serde_json::Error> {
    match item {
        Item::Series(series) => Ok(series),
        _ => Err(serde_json::Error::custom("an element of `result` is no series")),
    }
}

fn number(text: &str) -> Result<f64, serde_json::Error> {
    text.parse().map_err(|_| serde_json::Error::custom(format!("{text:?} is no value")))
}

fn point(pair: &Pair) -> Result<Point, serde_json::Error> {
    let Pair(seconds, text) = pair;
    Ok(Point { t_ms: (seconds * 1000.0).round() as i64, value: number(text)? })
}
