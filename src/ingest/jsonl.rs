//! JSON lines: one object per line, `{"metric":"m","labels":{},"timestamp":…,"value":…}`.
//!
//! The name may instead stand in `labels.__name__`; the time is Unix seconds or milliseconds or RFC 3339 (see
//! [`super::time`]), and may be missing; a value may be a string such as `"NaN"` or `"+Inf"`, which JSON has no numbers
//! for. VictoriaMetrics's export form, `{"metric":{"__name__":"m",…},"values":[…],"timestamps":[…]}`, is read too. A bad
//! line is told and passed over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::batch::Batch;
use super::error::{IngestError, IngestErrors};
use super::exposition::Lines;
use super::limits::refusal;
use super::time;
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    metric: Option<Metric<'a>>,
    #[serde(borrow, default)]
    labels: Pairs<'a>,
    #[serde(borrow)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow)]
    value: Option<Scalar<'a>>,
    #[serde(borrow)]
    values: Option<Vec<Scalar<'a>>>,
    #[serde(borrow)]
    timestamps: Option<Vec<Scalar<'a>>>,
}

/// The name of a metric, or in VictoriaMetrics's form its labels.
enum Metric<'a> {
    Name(Cow<'a, str>),
    Labels(Pairs<'a>),
}

/// Labels as they stand, so that one that stands twice is seen.
#[derive(Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A number, a text that says one, or null.
enum Scalar<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Null,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(v as f64))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(v as f64))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct MetricVisitor;

impl<'de> Visitor<'de> for MetricVisitor {
    type Value = Metric<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric's name or its labels")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Metric::Name(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Metric::Name(Cow::Owned(v.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if pairs.iter().any(|(n, _)| *n == name.0) {
                return Err(A::Error::custom(format!("label {:?} stands twice", name.0)));
            }
            if pairs.len() >= super::limits::LABELS_MAX {
                return Err(A::Error::custom(format!("more than {} labels", super::limits::LABELS_MAX)));
            }
            pairs.push((name.0, map.next_value::<Text<'de>>()?.0));
        }
        Ok(Metric::Labels(Pairs(pairs)))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Metric<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetricVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_map(MetricVisitor)? {
            Metric::Labels(pairs) => Ok(pairs),
            Metric::Name(_) => Err(D::Error::custom("labels must be an object")),
        }
    }
}

/// Reads JSON lines; samples beyond `samples_max` are one error.
pub fn parse(text: &[u8], samples_max: usize) -> (Batch, IngestErrors) {
    let mut batch = Batch::default();
    let mut errors = IngestErrors::default();
    for (number, line) in Lines::new(text) {
        let line = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => line,
            Err(fault) => {
                errors.push(IngestError::new(number, fault.offset, fault.reason));
                continue;
            }
        };
        if batch.len() >= samples_max {
            errors.push(IngestError::new(number, 0, format!("more than {samples_max} samples; the rest is left out")));
            break;
        }
        if let Err((offset, reason)) = read(line, samples_max, &mut batch) {
            errors.push(IngestError::new(number, offset, reason));
        }
    }
    (batch, errors)
}

fn read(text: &str, samples_max: usize, batch: &mut Batch) -> Result<(), (usize, String)> {
    // The derived reader would take an array as the fields in order.
    if !text.trim_start().starts_with('{') {
        return Err((0, "expected a JSON object".to_owned()));
    }
    let line: Line<'_> = serde_json::from_str(text).map_err(|e| {
        // The parser ends its message with the place, which the error carries apart.
        let message = e.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(m, _)| m);
        (e.column().saturating_sub(1), message.chars().take(200).collect())
    })?;
    let at_start = |reason: String| (0, reason);
    let labels = labels(line.metric, line.labels).map_err(at_start)?;
    match (line.value, line.values, line.timestamps) {
        (Some(value), None, None) => {
            let t_ms = line.timestamp.and_then(|t| t_ms(&t).transpose()).transpose().map_err(at_start)?;
            batch.push(labels, t_ms, number(&value).map_err(at_start)?);
        }
        (None, Some(values), Some(times)) if values.len() == times.len() && line.timestamp.is_none() => {
            let kept = batch.len();
            if values.len() > samples_max - kept {
                return Err((0, format!("more than {samples_max} samples; this line is left out")));
            }
            for (value, time) in values.iter().zip(&times) {
                match number(value).and_then(|value| Ok((value, t_ms(time)?))) {
                    Ok((value, t_ms)) => batch.push(labels.clone(), t_ms, value),
                    Err(reason) => {
                        batch.rows.truncate(kept);
                        return Err((0, reason));
                    }
                }
            }
        }
        (None, None, _) => return Err((0, "the value is missing".to_owned())),
        _ => return Err((0, "either value and timestamp, or values and timestamps of equal length".to_owned())),
    }
    Ok(())
}

fn labels(metric: Option<Metric<'_>>, labels: Pairs<'_>) -> Result<Labels, String> {
    let mut pairs = labels.0;
    match metric {
        Some(Metric::Name(name)) => pairs.push((Cow::Borrowed(METRIC_NAME), name)),
        Some(Metric::Labels(more)) => pairs.extend(more.0),
        None => {}
    }
    pairs.retain(|(_, value)| !value.is_empty());
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(format!("label {:?} stands twice", twice[0].0));
    }
    let labels = Labels::from_sorted(pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())));
    if labels.metric_name().is_none() {
        return Err("the metric has no name".to_owned());
    }
    refusal(&labels).map_or(Ok(labels), Err)
}

fn number(value: &Scalar<'_>) -> Result<f64, String> {
    match value {
        Scalar::Number(number) => Ok(*number),
        Scalar::Text(text) => match text.parse::<f64>() {
            Ok(number) if number.is_nan() => Ok(f64::NAN),
            Ok(number) => Ok(number),
            Err(_) => Err(format!("value {:?} is no number", text.chars().take(40).collect::<String>())),
        },
        // VictoriaMetrics exports NaN as null.
        Scalar::Null => Ok(f64::NAN),
    }
}

fn t_ms(time: &Scalar<'_>) -> Result<Option<i64>, String> {
    match time {
        Scalar::Number(number) => time::from_number(*number).map(Some),
        Scalar::Text(text) => time::from_text(text).map(Some),
        Scalar::Null => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, wanted: &str) {
        let (batch, errors) = parse(line.as_bytes(), 100);
        let rows = batch.rows.iter().map(|r| format!("{} {:?} {}", r.labels, r.t_ms, r.value));
        let all: Vec<String> = rows.chain(errors.first.iter().map(ToString::to_string)).collect();
        assert_eq!(all.join("\n"), wanted, "{}", line.chars().take(200).collect::<String>());
    }

    #[test]
    fn a_line_becomes_a_sample_whatever_its_notation_of_time_and_value() {
        check(
            r#"{"metric":"m","labels":{"a":"b"},"timestamp":1700000000,"value":1.5}"#,
            r#"m{a="b"} Some(1700000000000) 1.5"#,
        );
        check(r#"{"metric":"m","timestamp":1700000000123,"value":-1}"#, "m Some(1700000000123) -1");
        check(r#"{"labels":{"__name__":"m","e":""},"value":"+Inf"}"#, "m None inf");
        check(
            r#"{"metric":"a.\"b","timestamp":"2023-11-14T22:13:20Z","value":"NaN"}"#,
            r#"{"a.\"b"} Some(1700000000000) NaN"#,
        );
        check(
            r#"{"metric":{"__name__":"m","a":"b"},"values":[1,null],"timestamps":[1700000000000,1700000015000]}"#,
            "m{a=\"b\"} Some(1700000000000) 1\nm{a=\"b\"} Some(1700000015000) NaN",
        );
        check("\r\n  \n", "");
    }

    #[test]
    fn a_bad_line_is_told_with_its_place_and_loses_no_other() {
        check("{\n{\"metric\":\"m\",\"value\":1}", "m None 1\nline 1, column 1: EOF while parsing an object");
        check(&"{\"metric\":\"m\",\"value\":1}\n".repeat(100), &["m None 1"; 100].join("\n"));
        let full = format!(
            "{}\nline 101, column 1: more than 100 samples; the rest is left out",
            ["m None 1"; 100].join("\n")
        );
        check(&"{\"metric\":\"m\",\"value\":1}\n".repeat(102), &full);
        check(r#"{"metric":"m","value":"x"}"#, r#"line 1, column 1: value "x" is no number"#);
        check(r#"{"metric":"m"}"#, "line 1, column 1: the value is missing");
        check(r#"{"labels":{"a":"b"},"value":1}"#, "line 1, column 1: the metric has no name");
        check(
            r#"{"metric":"m","labels":{"__name__":"n"},"value":1}"#,
            "line 1, column 1: label \"__name__\" stands twice",
        );
        check(r#"{"metric":"m","labels":{"a":"1","a":"2"},"value":1}"#, "line 1, column 35: label \"a\" stands twice");
        check(
            r#"{"metric":"m","value":1,"timestamp":1e18}"#,
            "line 1, column 1: timestamp 1000000000000000000 is neither Unix seconds nor milliseconds",
        );
        let deep = format!("{{\"metric\":{}", "[".repeat(100_000));
        check("[1]", "line 1, column 1: expected a JSON object");
        check(&deep, "line 1, column 11: invalid type: sequence, expected a metric's name or its labels");
    }
}
