//! From the JSON of the Prometheus HTTP API to values: without a tree in between, and counted, because an answer of a few
//! bytes an element stands for many times its length.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::RemoteError;
use super::counted::{Budget, Data, DataSeed, Notes, names};
use crate::net::{Scrub, quote};
use crate::promql::{Answer, Value, When};

/// Most warnings that are told.
pub(super) const WARNINGS_TOLD_MAX: usize = 3;
/// Longest text of warnings, in bytes.
const WARNING_BYTES_MAX: usize = 500;
/// How much longer than its text an answer may be in memory. What stores answer is shorter than twice its text.
pub const DECODED_FACTOR: usize = 2;

/// How answers of one store are read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// What must not be told.
    pub scrub: &'a Scrub,
    /// Most bytes of an answer; decoded, [`DECODED_FACTOR`] times as many.
    pub bytes_max: usize,
}

/// The outer form of every answer.
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error_type: String,
    error: String,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// VictoriaMetrics.
    is_partial: bool,
}

impl<T> Envelope<T> {
    /// Why parts are missing.
    fn partial(&self, scrub: &Scrub) -> Option<String> {
        let told: Vec<&str> =
            self.warnings.iter().chain(&self.infos).take(WARNINGS_TOLD_MAX).map(String::as_str).collect();
        if told.is_empty() {
            return self.is_partial.then(|| "the store says that the answer is partial".to_owned());
        }
        Some(cut(&scrub.clean(&told.join("; "))).to_owned())
    }
}

/// Reads an envelope whose `data` a seed reads.
struct EnvelopeSeed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for EnvelopeSeed<S> {
    type Value = Envelope<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for EnvelopeSeed<S> {
    type Value = Envelope<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of the Prometheus API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut said = Envelope {
            status: String::new(),
            data: None,
            error_type: String::new(),
            error: String::new(),
            warnings: Vec::new(),
            infos: Vec::new(),
            is_partial: false,
        };
        let mut seed = Some(self.0);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => said.status = map.next_value()?,
                "data" => match seed.take() {
                    Some(seed) => said.data = map.next_value_seed(Maybe(seed))?,
                    None => return Err(serde::de::Error::duplicate_field("data")),
                },
                "errorType" => said.error_type = map.next_value()?,
                "error" => said.error = map.next_value()?,
                "warnings" => said.warnings = map.next_value_seed(Maybe(Notes))?.unwrap_or_default(),
                "infos" => said.infos = map.next_value_seed(Maybe(Notes))?.unwrap_or_default(),
                "isPartial" => said.is_partial = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(said)
    }
}

/// What a seed reads, or null.
struct Maybe<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

impl Reader<'_> {
    fn budget(self) -> Budget {
        Budget::new(self.bytes_max.saturating_mul(DECODED_FACTOR))
    }

    /// Reads the body of an answer with the status 2xx, or one that says why not.
    fn envelope<'de, S: DeserializeSeed<'de>>(
        self,
        status: u16,
        body: &'de [u8],
        seed: S,
    ) -> Result<Envelope<S::Value>, RemoteError> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = EnvelopeSeed(seed).deserialize(&mut json).and_then(|said| json.end().map(|()| said));
        match read {
            Ok(said) if said.status == "success" && (200..300).contains(&status) => Ok(said),
            Ok(said) if said.status == "error" => {
                let clean = self.scrub.clean(&said.error_type);
                let message = format!("{}: {}", cut(&clean), cut(&self.scrub.clean(&said.error)));
                // 4xx: the query is refused, and so are the next attempts at it; other queries may be answered.
                let refused =
                    matches!(said.error_type.as_str(), "bad_data" | "execution" | "422" | "400" | "too_large");
                Err(if refused && (400..500).contains(&status) {
                    RemoteError::Query(message)
                } else {
                    RemoteError::Store(format!("HTTP {status}: {message}"))
                })
            }
            Ok(_) => Err(RemoteError::Store(format!(
                "HTTP {status}, no answer of the Prometheus API: {}",
                self.quoted(body)
            ))),
            Err(error) if (200..300).contains(&status) => Err(self.unreadable(&error.to_string(), body)),
            Err(_) => Err(RemoteError::Store(format!("HTTP {status}: {}", self.quoted(body)))),
        }
    }

    fn quoted(self, body: &[u8]) -> String {
        format!("\"{}\"", quote(body, self.scrub))
    }

    fn unreadable(self, why: &str, body: &[u8]) -> RemoteError {
        RemoteError::Store(format!(
            "the answer cannot be read ({}): {}",
            cut(&self.scrub.clean(why)),
            self.quoted(body)
        ))
    }

    /// Reads the answer to a query.
    pub(super) fn answer(self, status: u16, body: &[u8], when: When) -> Result<Answer, RemoteError> {
        let at_ms = match when {
            When::At(at_ms) => at_ms,
            When::Range { end_ms, .. } => end_ms,
        };
        let budget = self.budget();
        let said = self.envelope(status, body, DataSeed { at_ms, budget: &budget })?;
        let partial = said.partial(self.scrub);
        let data = said.data.ok_or_else(|| self.unreadable("there is no `data`", body))?;
        let value = value(data).map_err(|why| self.unreadable(&why, body))?;
        Ok(Answer { value, partial })
    }

    /// Reads a list of names.
    pub(super) fn names(self, status: u16, body: &[u8]) -> Result<Vec<String>, RemoteError> {
        let budget = self.budget();
        Ok(self.envelope(status, body, names(&budget))?.data.unwrap_or_default())
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(WARNING_BYTES_MAX)).unwrap_or_default()
}

fn value(data: Data) -> Result<Value, String> {
    let Data { kind, mut samples, mut series, text } = data;
    let none_of = |count: usize, what: &str| match count {
        0 => Ok(()),
        _ => Err(format!("an element of a {kind} is {what}")),
    };
    match kind.as_str() {
        "vector" => {
            none_of(series.len(), "a series without `value`")?;
            none_of(usize::from(text.is_some()), "no series")?;
            samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Vector(samples))
        }
        "matrix" => {
            none_of(samples.len(), "a series without `values`")?;
            none_of(usize::from(text.is_some()), "no series")?;
            for one in &mut series {
                one.points.sort_by_key(|point| point.t_ms);
                one.histograms.sort_by_key(|point| point.t_ms);
            }
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Matrix(series))
        }
        "scalar" | "string" => {
            let text = text.ok_or_else(|| format!("a {kind} without value"))?;
            if kind == "string" {
                return Ok(Value::String(text));
            }
            text.parse().map(Value::Scalar).map_err(|_| format!("{text:?} is no value"))
        }
        other => Err(format!("unknown resultType {other:?}")),
    }
}
