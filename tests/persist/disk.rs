//! Full, read-only and failing disks. Mounts small file systems, which needs root; skipped with a word otherwise.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use alertd::persist::{Commit, Persist, PersistError, SqlitePersist};

use super::kill::{child, child_dir};
use super::{NOW, numbered, open, prefix, say};

/// A file system of its own in memory; unmounted at the end.
struct Mount {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Mount {
    /// `None`, and a word, where this process may not mount.
    fn new(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            say("skipped: mounting a file system needs root");
            return None;
        }
        Some(Self { path, _dir: dir })
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.path).status().unwrap();
        assert!(status.success(), "remount {how}");
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path.join("data")).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Takes all the space that is left.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for len in [4096, 512, 1] {
        while file.write_all(&vec![b'x'; len]).is_ok() {}
    }
}

/// Commits until that fails; gives the number of the commit that failed.
fn until_error(persist: &SqlitePersist, from: u64, durable: bool) -> (u64, PersistError) {
    let filler = "x".repeat(700);
    for n in from..from + 100_000 {
        let mut commit = numbered(n, &filler);
        commit.durable = durable;
        if let Err(error) = persist.commit(&commit) {
            return (n, error);
        }
    }
    panic!("the disk never became full");
}

#[test]
fn a_disk_that_is_full_stops_commits_whole_and_recovers_without_a_restart() {
    for (kib, durable) in [(300, true), (350, false), (450, true), (600, false)] {
        let Some(mount) = Mount::new(kib) else { return };
        let dir = mount.path.join("data");
        fs::write(mount.path.join("other"), vec![b'x'; 100 << 10]).unwrap();
        let persist = open(&dir, 1 << 20);
        assert!(persist.stats().ballast, "{kib} KiB: no ballast");
        let (failed, error) = until_error(&persist, 1, durable);
        assert_eq!(error.cause(), "full", "{kib} KiB: {error}");
        let stats = persist.stats();
        assert_eq!((stats.short, stats.ballast), (true, false), "{kib} KiB");
        assert_eq!(prefix(&persist.load().unwrap()), failed - 1, "{kib} KiB: what was acknowledged is there");
        // Still full: the same answer, and nothing by halves.
        let unsaved = numbered(failed, &"y".repeat(5_000));
        assert_eq!(persist.commit(&unsaved).unwrap_err().cause(), "full");
        assert_eq!(persist.upkeep(NOW).trouble.map(|error| error.cause()), Some("full"));

        fs::remove_file(mount.path.join("other")).unwrap();
        persist.commit(&unsaved).unwrap_or_else(|error| panic!("{kib} KiB: {error}"));
        persist.commit(&numbered(failed + 1, "")).unwrap();
        assert!(persist.upkeep(NOW).trouble.is_none());
        assert_eq!(prefix(&persist.load().unwrap()), failed + 1);
        drop(persist);
        assert!(mount.names().iter().all(|name| !name.contains(".new")), "{:?}", mount.names());
        let loaded = open(&dir, 0).load().unwrap();
        assert_eq!((prefix(&loaded), loaded.damages), (failed + 1, vec![]), "{kib} KiB");
    }
}

/// Stores ten commits and leaves the files as a process that was killed does.
fn killed_after_ten(dir: &Path) {
    let other = tempfile::tempdir().unwrap();
    let persist = open(other.path(), 0);
    (1..=10).for_each(|n| _ = persist.commit(&numbered(n, "")).unwrap());
    fs::create_dir_all(dir).unwrap();
    for entry in fs::read_dir(other.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_is_read_and_written_later() {
    for with_state in [true, false] {
        let Some(mount) = Mount::new(1000) else { return };
        let dir = mount.path.join("data");
        fs::create_dir(&dir).unwrap();
        if with_state {
            killed_after_ten(&dir);
        }
        let stored = if with_state { 10 } else { 0 };
        fill(&mount.path.join("other"));
        let persist = open(&dir, 1 << 20);
        assert_eq!(prefix(&persist.load().unwrap()), stored);
        let (failed, error) = until_error(&persist, stored + 1, true);
        assert_eq!(error.cause(), "full", "{error}");
        assert_eq!(prefix(&persist.load().unwrap()), failed - 1);
        fs::remove_file(mount.path.join("other")).unwrap();
        let report = persist.upkeep(NOW);
        assert!(report.trouble.is_none(), "{report:?}");
        persist.commit(&numbered(failed, "")).unwrap();
        drop(persist);
        assert_eq!(prefix(&open(&dir, 0).load().unwrap()), failed);
    }
}

#[test]
fn a_read_only_disk_is_read_and_written_when_it_can_be() {
    let Some(mount) = Mount::new(4000) else { return };
    let dir = mount.path.join("data");
    killed_after_ten(&dir);
    mount.remount("ro");
    let persist = open(&dir, 0);
    assert_eq!(prefix(&persist.load().unwrap()), 10, "the log of the killed process is read as well");
    for _ in 0..2 {
        let error = persist.commit(&numbered(11, "")).unwrap_err();
        assert_eq!(error.cause(), "read_only", "{error}");
        assert_eq!(persist.upkeep(NOW).trouble.map(|error| error.cause()), Some("read_only"));
    }
    mount.remount("rw");
    let report = persist.upkeep(NOW);
    assert!(report.trouble.is_none() && !report.rewritten, "{report:?}");
    persist.commit(&numbered(11, "")).unwrap();
    drop(persist);
    assert_eq!(prefix(&open(&dir, 0).load().unwrap()), 11);
}

#[test]
#[ignore = "the process whose writes another test makes fail"]
fn commits_until_an_error_and_then_again() {
    let persist = open(&child_dir(), 0);
    let (failed, error) = until_error(&persist, 1, true);
    println_raw(&format!("failed {failed} {}", error.cause()));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    persist.upkeep(NOW);
    persist.commit(&Commit { durable: true, ..numbered(failed, "") }).unwrap();
    println_raw("stored again");
}

fn println_raw(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

#[test]
fn writes_that_the_system_refuses_are_an_error_and_end() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|output| output.status.success()) {
        say("skipped: there is no prlimit");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data");
    let inner = child("disk::commits_until_an_error_and_then_again", &dir);
    // No file may grow above 400 KiB: the write fails instead of ending the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 800; exec \"$0\" \"$@\""]).arg(inner.get_program());
    command.args(inner.get_args()).envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut process = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("failed ") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the process ended");
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let failed: u64 = words[1].parse().unwrap();
    assert!(["io", "full"].contains(&words[2]), "{line}");
    let raised = Command::new("prlimit").args(["--pid", &process.id().to_string(), "--fsize=unlimited:"]).status();
    assert!(raised.unwrap().success());
    process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(process.wait().unwrap().success() && rest.contains("stored again"), "{rest}");
    assert_eq!(prefix(&open(&dir, 0).load().unwrap()), failed);
}
