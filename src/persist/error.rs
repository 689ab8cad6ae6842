//! What can go wrong with stored state, in words for the log and with a cause for the metrics.

use std::path::PathBuf;

use thiserror::Error;

/// Why a call did nothing. `path` is the file, or the database as a URL without user and password.
#[derive(Debug, Error)]
pub enum PersistError {
    /// No space; the ballast is already given up. Try again when there is space.
    #[error("the disk of {} is full", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file or its file system cannot be written.
    #[error("{} can only be read", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file in use is no longer the one at its path; upkeep makes it anew.
    #[error("{} was deleted or replaced while in use", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The content cannot be right; upkeep restores it from the copy.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Another program holds the file.
    #[error("{} is locked by another program", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to a later version of alertd.
    #[error("{} was written by a later version (format {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format that is known here.
        known: i64,
    },
    /// Another process holds the lease of the database: it decides and tells.
    #[error("{} is written by {holder}", path.display())]
    Lease {
        /// The database.
        path: PathBuf,
        /// The name that the other process goes by.
        holder: String,
    },
    /// The database answers, and lets this process not in: a wrong password, no such database, a right that is missing.
    #[error("cannot use {}: {why}", path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// Its words.
        why: String,
    },
    /// The operating system or the database library reports another error.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PersistError {
    /// All causes, for metrics that show zero where nothing failed.
    pub const CAUSES: [&'static str; 9] =
        ["full", "read_only", "gone", "damaged", "busy", "newer", "lease", "refused", "io"];

    /// The cause as a label value.
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::ReadOnly { .. } => "read_only",
            Self::Gone { .. } => "gone",
            Self::Damaged { .. } => "damaged",
            Self::Busy { .. } => "busy",
            Self::Newer { .. } => "newer",
            Self::Lease { .. } => "lease",
            Self::Refused { .. } => "refused",
            Self::Io { .. } => "io",
        }
    }

    /// The same error once more: a fault that lasts is the answer to every call.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::ReadOnly { path } => Self::ReadOnly { path: path.clone() },
            Self::Gone { path } => Self::Gone { path: path.clone() },
            Self::Damaged { path, what } => Self::Damaged { path: path.clone(), what: what.clone() },
            Self::Busy { path } => Self::Busy { path: path.clone() },
            Self::Newer { path, found, known } => Self::Newer { path: path.clone(), found: *found, known: *known },
            Self::Lease { path, holder } => Self::Lease { path: path.clone(), holder: holder.clone() },
            Self::Refused { path, why } => Self::Refused { path: path.clone(), why: why.clone() },
            Self::Io { path, source } => Self::Io { path: path.clone(), source: source.to_string().into() },
        }
    }
}

/// Why a directory cannot be used at all. A disk that is full or read-only is no such reason: what is stored can still be
/// loaded, and commits say why they fail.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The state belongs to a later version of alertd; it is left as it is.
    #[error("{} was written by a later version of alertd (format {found}, this one knows {known}); it is left as it is", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format that is known here.
        known: i64,
    },
    /// There is no directory and none can be made.
    #[error("cannot use the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}
