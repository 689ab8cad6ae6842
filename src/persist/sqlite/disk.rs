//! Files of the data directory as files: identity, free space, ballast, quarantine, left-overs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::model::Timestamp;

/// Damaged files that are kept; above it the oldest go.
const QUARANTINE_FILES_MAX: usize = 32;
/// Endings of a database's own files.
pub(super) const PARTS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Ending of a file that is being written.
const NEW: &str = ".new";
/// A ballast takes at most this part of the free space.
const BALLAST_PART: u64 = 8;
/// A ballast smaller than this would give up nothing of use.
const BALLAST_LEN_MIN: u64 = 4096;
/// The disk counts as recovered when it has room for the ballast twice, and at least this.
const RECOVERED_LEN_MIN: u64 = 128 << 10;

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// Of the file at a path, if there is one. Looks at the directory only: opening and closing a file of a database
    /// would end the locks that the library holds on it.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Some(Self(found.dev(), found.ino()))
        }
        #[cfg(not(unix))]
        {
            // Files have no portable number here: only their being there is seen.
            let _ = found;
            Some(Self(0, 0))
        }
    }
}

/// Bytes that may be written to the file system of a directory, if it can tell.
pub(crate) fn free_bytes(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(dir).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    #[cfg(not(unix))]
    return {
        let _ = dir;
        None
    };
}

/// Whether the file system of a directory is mounted read-only.
pub(crate) fn is_read_only(dir: &Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::statvfs(dir).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    #[cfg(not(unix))]
    return {
        let _ = dir;
        false
    };
}

/// Makes what was created or renamed in a directory survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// The file beside `path` whose name has this ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The file that `path` is written as before it takes its place.
pub(super) fn new_of(path: &Path) -> PathBuf {
    beside(path, NEW)
}

/// Removes a file; that it is not there is well.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a database with its own files.
pub(crate) fn remove_database(path: &Path) -> io::Result<()> {
    remove(path)?;
    PARTS.iter().try_for_each(|part| remove(&beside(path, part)))
}

/// Removes what a process that ended in the middle of writing a file left behind.
pub(super) fn remove_orphans(files: &[PathBuf]) -> io::Result<()> {
    files.iter().try_for_each(|file| remove_database(&new_of(file)))
}

/// Bytes of a database with its log.
pub(crate) fn len(path: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    len(path) + len(&beside(path, "-wal"))
}

/// Puts a finished file into its place. The log of the old one must go first: it would be applied to the new one.
pub(super) fn take_place(new: &Path, path: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    PARTS.iter().try_for_each(|part| remove(&beside(path, part)))?;
    fs::rename(new, path)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Moves a damaged database and its log to `quarantine/`, where the names carry the time. Needs no space.
pub(crate) fn quarantine(path: &Path, now: Timestamp) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(path).join("quarantine");
    fs::create_dir_all(&dir)?;
    let stamp = now.to_string().replace(':', "-");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for part in ["", "-wal"] {
        let from = beside(path, part);
        // The time of two may be equal: a number tells them apart.
        let to = (0..).map(|n: u32| dir.join(format!("{stamp}.{n}.{name}{part}"))).find(|to| !to.exists());
        match to.map(|to| fs::rename(&from, to)) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    clean_quarantine(&dir)?;
    sync_dir(&dir)
}

fn clean_quarantine(dir: &Path) -> io::Result<()> {
    let mut kept: Vec<PathBuf> = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(QUARANTINE_FILES_MAX);
    kept[..surplus].iter().try_for_each(|path| remove(path))
}

/// Writes what was damaged in a file of a directory to `quarantine/`.
pub(crate) fn keep_damaged(dir: &Path, name: &str, bytes: &[u8], now: Timestamp) -> io::Result<()> {
    let dir = dir.join("quarantine");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(format!("{}.{name}", now.to_string().replace(':', "-"))), bytes)?;
    clean_quarantine(&dir)
}

/// A file of no content that is given up when the disk is full, so that the state can still be written.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// What it should be, if the disk is large enough.
    wanted: u64,
    /// What it was when it was given up.
    given_up: u64,
    /// Whether the disk was found full and has not recovered.
    pub short: bool,
}

impl Ballast {
    /// Of a directory; writes nothing yet.
    pub fn new(dir: &Path, wanted: u64) -> Self {
        Self { path: dir.join("ballast"), wanted, given_up: 0, short: false }
    }

    /// Whether the file is there.
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Gives the file up. True if that made room.
    pub fn give_up(&mut self) -> bool {
        self.short = true;
        let len = fs::metadata(&self.path).map_or(0, |found| found.len());
        if len > 0 {
            self.given_up = len;
        }
        len > 0 && fs::remove_file(&self.path).is_ok()
    }

    /// Writes the file if it is not there and the disk has room. True if the disk was short and now is not.
    pub fn restore(&mut self) -> bool {
        let dir = self.path.parent().unwrap_or(&self.path);
        let Some(free) = free_bytes(dir) else { return false };
        if self.short && free < (self.given_up * 2).max(RECOVERED_LEN_MIN) {
            return false;
        }
        let recovered = std::mem::take(&mut self.short);
        let len = self.wanted.min(free / BALLAST_PART);
        if len >= BALLAST_LEN_MIN && !self.is_there() {
            // A disk that fills up meanwhile gets its space back at once.
            if self.write(len).is_err() {
                let _ = remove(&new_of(&self.path));
                self.short = recovered;
                return false;
            }
        }
        recovered
    }

    fn write(&self, len: u64) -> io::Result<()> {
        // Content that no file system can compress or leave out.
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let block: Vec<u8> = std::iter::repeat_with(|| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            word.to_le_bytes()
        })
        .take(1 << 13)
        .flatten()
        .collect();
        let new = new_of(&self.path);
        let mut file = File::create(&new)?;
        let mut left = usize::try_from(len).unwrap_or(0);
        while left > 0 {
            let part = left.min(block.len());
            file.write_all(&block[..part])?;
            left -= part;
        }
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}
