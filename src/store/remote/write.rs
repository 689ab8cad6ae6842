//! Remote write, as a sender: samples to one request, one request to one answer. What is sent again, and when, is decided
//! elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use thiserror::Error;

use super::client::{client, headers};
use super::settings::Settings;
use crate::ingest::remote_write::{Encoder, Version, pack};
use crate::model::{HistogramPoint, Labels, Point, Sample, SampleValue, Timestamp};
use crate::net::address::refused;
use crate::net::{LookUp, Scrub, asked, innermost, quote, system};

/// Most bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 4096;

/// Why a request was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Later {
        /// Why not now.
        reason: String,
        /// When the receiver wants to see it again.
        after: Option<Duration>,
    },
    /// No attempt will.
    #[error("{0}")]
    Never(String),
}

/// A receiver to send to.
pub struct RemoteWriter {
    settings: Settings,
    client: reqwest::Client,
    headers: HeaderMap,
    scrub: Scrub,
}

impl RemoteWriter {
    /// Sets up the client; opens no connection.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Self::searching(settings, system)
    }

    /// As [`Self::new`], with another way to search for names.
    pub fn searching(settings: Settings, look_up: LookUp) -> Result<Self, String> {
        let (client, headers, scrub) = (client(&settings, look_up)?, headers(&settings)?, settings.scrub());
        Ok(Self { settings, client, headers, scrub })
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends one request, as remote write 1.0.
    pub async fn send(&self, packed: Vec<u8>, now: Timestamp) -> Result<(), WriteError> {
        if let Some(why) = refused(&self.settings.url, false) {
            return Err(WriteError::Never(why));
        }
        let limit = self.settings.timeout;
        let late = |_| Err(later(format!("no answer within {:.2}s", limit.as_secs_f64()), None));
        tokio::time::timeout(limit, self.exchange(packed, now)).await.unwrap_or_else(late)
    }

    async fn exchange(&self, packed: Vec<u8>, now: Timestamp) -> Result<(), WriteError> {
        let request = self.client.post(self.settings.url.clone()).headers(self.headers.clone());
        let request = request
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        let sent = request.body(packed).send().await;
        let mut response = sent.map_err(|error| later(self.scrub.clean(&innermost(&error.without_url())), None))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = asked(response.headers(), now);
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > REFUSAL_BYTES_MAX {
                break;
            }
        }
        let reason = format!("HTTP {}: \"{}\"", status.as_u16(), quote(&body, &self.scrub));
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(later(reason, after));
        }
        Err(WriteError::Never(reason))
    }
}

fn later(reason: String, after: Option<Duration>) -> WriteError {
    WriteError::Later { reason, after }
}

/// The samples as one packed request: each series in the order of time. Where its samples change between numbers and
/// histograms it is named anew, for a receiver takes all numbers of one naming before its histograms; so the mark that a
/// series of histograms ended comes after them.
pub fn request(samples: &[Sample]) -> Vec<u8> {
    let mut series: BTreeMap<&Labels, Vec<(i64, &SampleValue)>> = BTreeMap::new();
    for Sample { labels, at, value } in samples {
        series.entry(labels).or_default().push((at.as_millis(), value));
    }
    let is_number = |value: &SampleValue| matches!(value, SampleValue::Float(_));
    let mut encoder = Encoder::new(Version::V1);
    for (labels, mut of_series) in series {
        of_series.sort_by_key(|(t_ms, _)| *t_ms);
        let (mut points, mut histograms) = (Vec::new(), Vec::new());
        for run in of_series.chunk_by(|(_, a), (_, b)| is_number(a) == is_number(b)) {
            for (t_ms, value) in run {
                match value {
                    SampleValue::Float(value) => points.push(Point { t_ms: *t_ms, value: *value }),
                    SampleValue::Histogram(histogram) => {
                        histograms.push(HistogramPoint { t_ms: *t_ms, histogram: Arc::clone(histogram) });
                    }
                }
            }
            if histograms.is_empty() {
                encoder.series(labels, &points, None, None);
            } else {
                encoder.histograms(labels, &histograms, None);
            }
            points.clear();
            histograms.clear();
        }
    }
    pack(&encoder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::remote_write::{Known, read};
    use crate::model::{Histogram, STALE_NAN};
    use crate::store::embedded::SeriesRef;

    #[test]
    fn numbers_and_histograms_of_one_request_come_in_the_order_of_time() {
        let histogram = Arc::new(Histogram { count: 2.0, zero_count: 2.0, sum: 1.0, ..Histogram::default() });
        let sample = |name: &str, t_ms: i64, value: SampleValue| Sample {
            labels: Labels::from_pairs([("__name__", name)]),
            at: Timestamp(t_ms),
            value,
        };
        let of_histogram = SampleValue::Histogram(Arc::clone(&histogram));
        let packed = request(&[
            sample("h", 2000, of_histogram.clone()),
            sample("n", 2000, 2.0.into()),
            sample("h", 1000, of_histogram),
            sample("n", 1000, 1.0.into()),
        ]);
        let message = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
        let page = read::<SeriesRef>(Version::V1, &message, &Known::new(10)).unwrap();
        let points: Vec<_> = page.new_points.iter().map(|point| (point.t_ms, point.value)).collect();
        assert_eq!(points, [(1000, 1.0), (2000, 2.0)]);
        let times: Vec<_> = page.new_histograms.iter().map(|point| point.t_ms).collect();
        assert_eq!(times, [1000, 2000]);
        assert!(page.new_histograms.iter().all(|point| point.histogram.sum == histogram.sum));
    }

    #[test]
    fn a_series_of_histograms_that_ends_is_written_in_the_order_of_time() {
        let labels = Labels::from_pairs([("__name__", "h")]);
        let histogram = Arc::new(Histogram { count: 2.0, zero_count: 2.0, sum: 1.0, ..Histogram::default() });
        let sample = |t_ms: i64, value: SampleValue| Sample { labels: labels.clone(), at: Timestamp(t_ms), value };
        let of_histogram = || SampleValue::Histogram(Arc::clone(&histogram));
        let packed = request(&[
            sample(3000, STALE_NAN.into()),
            sample(1000, of_histogram()),
            sample(2000, of_histogram()),
            sample(4000, of_histogram()),
        ]);
        // What a receiver takes in order: the same with one request for each run.
        let mut encoder = Encoder::new(Version::V1);
        let point = |t_ms| HistogramPoint { t_ms, histogram: Arc::clone(&histogram) };
        encoder.histograms(&labels, &[point(1000), point(2000)], None);
        encoder.series(&labels, &[Point { t_ms: 3000, value: STALE_NAN }], None, None);
        encoder.histograms(&labels, &[point(4000)], None);
        assert_eq!(packed, pack(&encoder.finish()));
    }
}
