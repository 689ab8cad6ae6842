//! Remote write, as a sender: samples to one request, one request to one answer. What is sent again, and when, is decided
//! elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderMap;
use thiserror::Error;

use super::client::{client, headers};
use super::settings::Settings;
use crate::ingest::remote_write::{Encoder, Version, pack};
use crate::model::{Labels, Point, Sample, Timestamp};
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

/// The samples as one packed request: each series once, its points in the order of time.
pub fn request(samples: &[Sample]) -> Vec<u8> {
    let mut series: BTreeMap<&Labels, Vec<Point>> = BTreeMap::new();
    for sample in samples {
        let point = Point { t_ms: sample.at.as_millis(), value: sample.value };
        series.entry(&sample.labels).or_default().push(point);
    }
    let mut encoder = Encoder::new(Version::V1);
    for (labels, mut points) in series {
        points.sort_by_key(|point| point.t_ms);
        encoder.series(labels, &points, None, None);
    }
    pack(&encoder.finish())
}
