//! Reads the files given with `--data`.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::args::exit;
use crate::ingest::data_file::EXTENSIONS;
use crate::ingest::{Batch, DataFileOptions, IngestError, data_file};

/// Largest file that is read, in bytes as it stands on the disk.
const FILE_LEN_MAX: u64 = 1 << 30;

/// Why a data file cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than is read.
    #[error("{}: {len} bytes; at most {FILE_LEN_MAX} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        len: u64,
    },
    /// Its name does not say what is in it.
    #[error("{}: expected a file ending in .{}", path.display(), EXTENSIONS.join(", ."))]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{}: no samples in it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Its content is wrong.
    #[error("{}", lines(path, errors))]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, the first lines of it.
        errors: Vec<IngestError>,
    },
}

impl DataError {
    /// The exit code that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Extension { .. } => exit::USAGE,
            Self::Content { .. } | Self::Empty { .. } => exit::FINDINGS,
        }
    }
}

fn lines(path: &Path, errors: &[IngestError]) -> String {
    let shown: Vec<String> = errors
        .iter()
        .take(10)
        .map(|e| format!("{}:{}:{}: {}", path.display(), e.line, e.column, crate::diag::harmless(&e.reason)))
        .collect();
    let more = errors.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    shown.join("\n") + &rest
}

/// Reads one file.
pub fn read(path: &Path, metric: Option<&str>) -> Result<Batch, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.to_owned(), source };
    let unpacked =
        path.extension().filter(|e| *e == "gz").map_or(path, |_| Path::new(path.file_stem().unwrap_or_default()));
    let known = |e: &std::ffi::OsStr| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known));
    if !unpacked.extension().is_some_and(known) {
        return Err(DataError::Extension { path: path.to_owned() });
    }
    let len = std::fs::metadata(path).map_err(unreadable)?.len();
    if len > FILE_LEN_MAX {
        return Err(DataError::TooLarge { path: path.to_owned(), len });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let options = DataFileOptions { metric: metric.map(str::to_owned), ..DataFileOptions::default() };
    match data_file(&path.to_string_lossy(), &bytes, &options) {
        Ok(batch) if batch.is_empty() => Err(DataError::Empty { path: path.to_owned() }),
        Ok(batch) => Ok(batch),
        Err(errors) => Err(DataError::Content { path: path.to_owned(), errors }),
    }
}

/// Reads several files into one batch.
pub fn read_all(paths: &[PathBuf], metric: Option<&str>) -> Result<Batch, DataError> {
    let mut all = Batch::default();
    for path in paths {
        let batch = read(path, metric)?;
        all.rows.extend(batch.rows);
        all.metadata.extend(batch.metadata);
    }
    Ok(all)
}
