//! One process per data directory: two would overwrite each other's state and tell everything twice.
//!
//! The lock is the operating system's, on the file `lock`; it ends with the process, however that ends, and the file
//! only names the holder for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// File in the data directory.
const LOCK_FILE: &str = "lock";
/// Most bytes of it that are read.
const HOLDER_LEN_MAX: u64 = 64;

/// Holds the directory until it is dropped.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "closing the file ends the lock")] File);

/// Why the directory cannot be held.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("the data directory {} is in use by process {holder}; give this one another with --data-dir", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Its process id, as it wrote it.
        holder: String,
    },
    /// The file cannot be made: a read-only or full disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Takes the lock of a data directory, which is made if it is not there.
pub fn hold(dir: &Path) -> Result<DataLock, LockError> {
    std::fs::create_dir_all(dir)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(LOCK_FILE))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&mut file).take(HOLDER_LEN_MAX).read_to_string(&mut holder);
            let holder = crate::diag::harmless(holder.trim()).to_string();
            return Err(LockError::Held { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(DataLock(file))
}
