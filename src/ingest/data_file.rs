//! Files of samples for `--data`: the format by the file's extension, `.gz` on top of any.
//!
//! Unlike a push, a file is taken whole or not at all: whoever runs rules on it wants to know what is wrong with it.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::batch::Batch;
use super::error::{IngestError, IngestErrors};
use super::exposition::Dialect;
use super::{csv, jsonl, text};

/// Extensions read, without `.gz`.
pub const EXTENSIONS: [&str; 5] = ["prom", "txt", "om", "csv", "jsonl"];

/// How to read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFileOptions {
    /// The metric's name for a CSV file that does not name it.
    pub metric: Option<String>,
    /// Bytes of a file when it is unpacked.
    pub bytes_max: u64,
    /// Samples of a file.
    pub samples_max: usize,
}

impl Default for DataFileOptions {
    fn default() -> Self {
        Self { metric: None, bytes_max: 1 << 30, samples_max: 50_000_000 }
    }
}

/// Reads a file's bytes. `name` is its path or its extension alone; errors carry line and column, at most
/// [`super::limits::ERRORS_MAX`] of them.
pub fn data_file(name: &str, bytes: &[u8], options: &DataFileOptions) -> Result<Batch, Vec<IngestError>> {
    let (name, packed) = match name.strip_suffix(".gz") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let whole = |reason: String| vec![IngestError::new(1, 0, reason)];
    let extension = name.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    if !EXTENSIONS.contains(&extension.as_str()) {
        return Err(whole(format!("extension {extension:?} is none of .{}", EXTENSIONS.join(", ."))));
    }
    let bytes =
        if packed { Cow::Owned(unpack(bytes, options.bytes_max).map_err(whole)?) } else { Cow::Borrowed(bytes) };
    if bytes.len() as u64 > options.bytes_max {
        return Err(whole(format!("{} bytes; at most {} are read", bytes.len(), options.bytes_max)));
    }
    let samples_max = options.samples_max;
    let (batch, errors): (Batch, IngestErrors) = match extension.as_str() {
        "csv" => csv::parse(&bytes, options.metric.as_deref(), samples_max),
        "jsonl" => jsonl::parse(&bytes, samples_max),
        "om" => text::parse(&bytes, Dialect::OpenMetrics, samples_max),
        _ => text::parse(&bytes, Dialect::Prometheus, samples_max),
    };
    if errors.is_empty() { Ok(batch) } else { Err(errors.first) }
}

fn unpack(bytes: &[u8], bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(bytes_max.saturating_add(1));
    reader.read_to_end(&mut out).map_err(|e| format!("not gzip: {e}"))?;
    if out.len() as u64 > bytes_max { Err(format!("more than {bytes_max} bytes when unpacked")) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn the_extension_chooses_the_format() {
        let check = |name: &str, bytes: &[u8], wanted: Result<(&str, Option<i64>), &str>| {
            let options = DataFileOptions { bytes_max: 200, ..DataFileOptions::default() };
            let read = data_file(name, bytes, &options);
            let got = read.as_ref().map(|b| (b.rows[0].labels.metric_name().unwrap(), b.rows[0].t_ms));
            assert_eq!(got.map_err(|e| e[0].to_string()), wanted.map_err(str::to_owned), "{name}");
        };
        check("data/a.prom", b"m 1 5000", Ok(("m", Some(5000))));
        check("txt", b"m 1 5000\n", Ok(("m", Some(5000))));
        check("a.om", b"m 1 5\n# EOF\n", Ok(("m", Some(5000))));
        check("a.om", b"m 1 5\n", Err("line 1, column 1: the page ends without '# EOF': it was cut short"));
        check("a.CSV", b"timestamp,m\n5,1\n", Ok(("m", Some(5000))));
        check("a.jsonl", br#"{"metric":"m","timestamp":5,"value":1}"#, Ok(("m", Some(5000))));
        check("a.prom.gz", &gzip("m 1 5000\n"), Ok(("m", Some(5000))));
        check("a.prom.gz", b"m 1 and no gzip at all", Err("line 1, column 1: not gzip: invalid gzip header"));
        check("a.prom.gz", &gzip(&"m 1\n".repeat(60)), Err("line 1, column 1: more than 200 bytes when unpacked"));
        check("a.prom", &b"m 1\n".repeat(60), Err("line 1, column 1: 240 bytes; at most 200 are read"));
        check("a.xml", b"", Err("line 1, column 1: extension \"xml\" is none of .prom, .txt, .om, .csv, .jsonl"));
    }
}
