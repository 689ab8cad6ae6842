//! The machine: disk, data directory, open files, clock, and the daemon that may run on it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::{Check, Grade, Surroundings};
use crate::app::load::Inputs;
use crate::app::lock::{self, LockError};

/// Less free space than this will soon be none.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// Fewer open files than this run out under load: each connection is one.
const FILES_MIN: u64 = 1024;
/// A clock before this was never set (2026-01-01).
const CLOCK_MIN_SECS: i64 = 1_767_225_600;
/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn examine(inputs: &Inputs, around: &Surroundings<'_>) -> Vec<Check> {
    vec![data_dir(around.data_dir), disk(around.data_dir), open_files(), clock(around), daemon(&inputs.config.listen)]
}

/// The nearest folder that is there: the data directory may be yet to be made.
fn nearest(dir: &Path) -> &Path {
    dir.ancestors()
        .find(|dir| dir.exists())
        .map_or(Path::new("."), |dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}

fn data_dir(dir: &Path) -> Check {
    let there = nearest(dir);
    let probe = there.join(format!(".alertd-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"x");
    let _ = std::fs::remove_file(&probe);
    if let Err(error) = written {
        return Check::new("data_dir", Grade::Failure, format!("{} cannot be written: {error}", there.display()))
            .with_help(
                "alerts would not outlive the process: give the user that alertd runs as a folder, with --data-dir",
            );
    }
    if there != dir {
        return Check::new("data_dir", Grade::Ok, format!("{} will be made", dir.display()));
    }
    match lock::hold(dir) {
        Ok(_) => Check::new("data_dir", Grade::Ok, format!("{} can be written", dir.display())),
        Err(LockError::Held { holder, .. }) => {
            Check::new("data_dir", Grade::Ok, format!("{} is in use by process {holder}", dir.display()))
        }
        Err(LockError::Io(error)) => Check::new("data_dir", Grade::Failure, format!("{}: {error}", dir.display())),
    }
}

#[cfg(unix)]
fn disk(dir: &Path) -> Check {
    let there = nearest(dir);
    match rustix::fs::statvfs(there) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} MiB free at {}", free >> 20, there.display());
            match free {
                0..FREE_BYTES_MIN => Check::new("disk", Grade::Warning, found)
                    .with_help("a full disk keeps alerts from outliving the process: make room"),
                _ => Check::new("disk", Grade::Ok, found),
            }
        }
        Err(error) => Check::new("disk", Grade::Warning, format!("{}: {error}", there.display())),
    }
}

#[cfg(not(unix))]
fn disk(_dir: &Path) -> Check {
    Check::new("disk", Grade::Ok, "not measured on this system")
}

fn open_files() -> Check {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).unwrap_or("unknown");
    let found = format!("at most {soft} open files");
    match soft.parse::<u64>() {
        Ok(files) if files < FILES_MIN => Check::new("limits", Grade::Warning, found)
            .with_help(format!("connections are files too: allow {FILES_MIN} (LimitNOFILE= of systemd, ulimit -n)")),
        _ => Check::new("limits", Grade::Ok, found),
    }
}

fn clock(around: &Surroundings<'_>) -> Check {
    let found = format!("{}, zone {}", around.now, crate::clock::local_zone());
    if around.now.0 / 1000 < CLOCK_MIN_SECS {
        return Check::new("clock", Grade::Failure, found)
            .with_help("the clock was never set: certificates and times are wrong");
    }
    Check::new("clock", Grade::Ok, found)
}

/// Whether a daemon runs at the configured address, and what it says.
fn daemon(listen: &str) -> Check {
    let answer = || -> std::io::Result<String> {
        let address = listen.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.take(64 * 1024).read_to_string(&mut text)?;
        Ok(text)
    };
    match answer() {
        Err(_) => Check::new("daemon", Grade::Ok, format!("none runs at {listen}")),
        Ok(text) => {
            let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
            let reasons = serde_json::from_str::<serde_json::Value>(body).ok();
            let Some(said) = reasons.as_ref().filter(|said| said.get("ready").is_some()) else {
                return Check::new("daemon", Grade::Failure, format!("what answers at {listen} is no alertd"))
                    .with_help("another program has this address: set `listen`");
            };
            let reasons: Vec<&str> =
                said["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason.as_str()).collect();
            let (grade, word) = match (said["ready"].as_bool(), reasons.is_empty()) {
                (Some(true), true) => (Grade::Ok, "ready"),
                (Some(true), false) => (Grade::Warning, "ready, but"),
                _ => (Grade::Failure, "not ready:"),
            };
            Check::new("daemon", grade, format!("{listen} is {word} {}", reasons.join("; ")).trim().to_owned())
        }
    }
}
