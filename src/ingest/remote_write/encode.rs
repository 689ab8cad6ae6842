//! Requests to send: the messages that [`super::read`] reads.

use std::collections::HashMap;

use super::Version;
use super::histogram;
use super::proto::{put_bytes, put_double, put_int};
use crate::ingest::{Metadata, MetricKind};
use crate::model::{HistogramPoint, Labels, Point, varint};

/// Builds one request.
#[derive(Debug)]
pub struct Encoder {
    version: Version,
    /// The series, encoded.
    series: Vec<u8>,
    /// Metadata of families, which in 1.0 stands beside the series.
    families: Vec<u8>,
    symbols: HashMap<String, u64, ahash::RandomState>,
    texts: Vec<u8>,
    samples: usize,
    /// Where the last series begins.
    begun: usize,
    message: Vec<u8>,
    inner: Vec<u8>,
}

const fn number_of(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

impl Encoder {
    /// An empty request.
    pub fn new(version: Version) -> Self {
        let mut encoder = Self {
            version,
            series: Vec::new(),
            families: Vec::new(),
            symbols: HashMap::default(),
            texts: Vec::new(),
            samples: 0,
            begun: 0,
            message: Vec::new(),
            inner: Vec::new(),
        };
        if version == Version::V2 {
            encoder.symbol("");
        }
        encoder
    }

    /// Samples in it.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Bytes of it so far, about.
    pub fn byte_len(&self) -> usize {
        self.series.len() + self.families.len() + self.texts.len()
    }

    fn symbol(&mut self, text: &str) -> u64 {
        if let Some(number) = self.symbols.get(text) {
            return *number;
        }
        let number = self.symbols.len() as u64;
        self.symbols.insert(text.to_owned(), number);
        put_bytes(&mut self.texts, 4, text.as_bytes());
        number
    }

    /// Adds a series. In 2.0 `about` goes with it; in 1.0 see [`Self::family`]. `created_ms` is when its counter began at
    /// zero, which 1.0 cannot say.
    pub fn series(&mut self, labels: &Labels, points: &[Point], about: Option<&Metadata>, created_ms: Option<i64>) {
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        self.begun = self.series.len();
        self.samples += points.len();
        match self.version {
            Version::V1 => {
                for (name, value) in labels.iter() {
                    self.inner.clear();
                    put_bytes(&mut self.inner, 1, name.as_bytes());
                    put_bytes(&mut self.inner, 2, value.as_bytes());
                    put_bytes(&mut message, 1, &self.inner);
                }
                self.points(&mut message, points);
                put_bytes(&mut self.series, 1, &message);
            }
            Version::V2 => {
                let mut numbers = Vec::with_capacity(32);
                for (name, value) in labels.iter() {
                    varint::put(&mut numbers, self.symbol(name));
                    varint::put(&mut numbers, self.symbol(value));
                }
                put_bytes(&mut message, 1, &numbers);
                self.points(&mut message, points);
                if let Some(about) = about {
                    let mut inner = Vec::new();
                    put_int(&mut inner, 1, number_of(about.kind));
                    put_int(&mut inner, 3, self.symbol(&about.help));
                    put_int(&mut inner, 4, self.symbol(&about.unit));
                    put_bytes(&mut message, 5, &inner);
                }
                put_int(&mut message, 6, created_ms.unwrap_or(0).cast_unsigned());
                put_bytes(&mut self.series, 5, &message);
            }
        }
        self.message = message;
    }

    /// Adds a series of native histograms, as [`Self::series`] does.
    pub fn histograms(&mut self, labels: &Labels, points: &[HistogramPoint], about: Option<&Metadata>) {
        self.series(labels, &[], about, None);
        // The message that was just written gets the histograms at its end.
        let (field, number) = match self.version {
            Version::V1 => (1, 4),
            Version::V2 => (5, 3),
        };
        self.series.truncate(self.begun);
        let mut message = std::mem::take(&mut self.message);
        for point in points {
            self.inner.clear();
            histogram::put(&mut self.inner, point);
            put_bytes(&mut message, number, &self.inner);
        }
        put_bytes(&mut self.series, field, &message);
        self.message = message;
        self.samples += points.len();
    }

    fn points(&mut self, message: &mut Vec<u8>, points: &[Point]) {
        for point in points {
            self.inner.clear();
            put_double(&mut self.inner, 1, point.value);
            put_int(&mut self.inner, 2, point.t_ms.cast_unsigned());
            put_bytes(message, 2, &self.inner);
        }
    }

    /// Says in 1.0 what a metric family is; in 2.0 each series says it.
    pub fn family(&mut self, family: &str, about: &Metadata) {
        if self.version == Version::V1 {
            let mut message = Vec::new();
            put_int(&mut message, 1, number_of(about.kind));
            put_bytes(&mut message, 2, family.as_bytes());
            put_bytes(&mut message, 4, about.help.as_bytes());
            put_bytes(&mut message, 5, about.unit.as_bytes());
            put_bytes(&mut self.families, 3, &message);
        }
    }

    /// The message, not yet packed.
    pub fn finish(self) -> Vec<u8> {
        let mut out = self.texts;
        out.extend_from_slice(&self.series);
        out.extend_from_slice(&self.families);
        out
    }
}

/// Packs a message as remote write sends it: snappy, block format.
pub fn pack(message: &[u8]) -> Vec<u8> {
    // Fails only for messages beyond 4 GiB, which no encoder makes: a request is cut by its samples long before.
    snap::raw::Encoder::new().compress_vec(message).unwrap_or_default()
}
