//! Tells when watched files and folders change.
//!
//! Place in the flow: the app reloads rules and handlers on [`Changed`]. The operating system's notifications only make
//! it quick; what decides is a fingerprint of all files, taken every [`POLL_INTERVAL`] too, so that network file
//! systems, Kubernetes' `..data` symlink swap and editors that rename are all seen. A change is told once the files
//! have been still for [`SETTLE`], so that a reader does not meet half of it; at the latest after [`SETTLE_MAX`].
//! Never reads file contents, never decides what a change means.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How often the files are looked at without a notification.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long the files must be still before a change is told.
pub const SETTLE: Duration = Duration::from_millis(300);
/// After this long a change is told even if the files are not still.
pub const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Most files and folders looked at.
pub const ENTRIES_MAX: usize = 50_000;
/// Deepest folder below a watched one.
pub const DEPTH_MAX: usize = 16;

/// How quickly the watch works; tests hurry.
#[derive(Clone, Copy)]
struct Pace {
    poll: Duration,
    settle: Duration,
    settle_max: Duration,
}

const PACE: Pace = Pace { poll: POLL_INTERVAL, settle: SETTLE, settle_max: SETTLE_MAX };

/// Notifications that come in a burst are answered with one look.
const BURST: Duration = Duration::from_millis(50);

/// The watched files are not what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// Watches; dropping it ends the watch.
pub struct FileWatcher {
    wake: SyncSender<()>,
    stop: Arc<AtomicBool>,
}

impl FileWatcher {
    /// Watches files and folders (with all below them); a path that is not there yet is waited for. `changed` is called
    /// on the watcher's thread, once per change, until it returns false.
    pub fn spawn(paths: Vec<PathBuf>, changed: impl FnMut(Changed) -> bool + Send + 'static) -> io::Result<Self> {
        Self::spawn_paced(paths, PACE, changed)
    }

    fn spawn_paced(
        paths: Vec<PathBuf>,
        pace: Pace,
        changed: impl FnMut(Changed) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut notifier = Notifier::new(wake.clone());
        notifier.follow(&paths);
        // Taken after the notifications are on and before returning: every later change is seen.
        let before = fingerprint(&paths);
        let thread = Thread { paths, pace, before, notifier, woken, stop: Arc::clone(&stop) };
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || thread.run(changed))?;
        Ok(Self { wake, stop })
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // A full channel wakes the thread too.
        let _ = self.wake.try_send(());
    }
}

struct Thread {
    paths: Vec<PathBuf>,
    pace: Pace,
    before: Fingerprint,
    notifier: Notifier,
    woken: Receiver<()>,
    stop: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self, mut changed: impl FnMut(Changed) -> bool) {
        loop {
            match self.woken.recv_timeout(self.pace.poll) {
                Ok(()) => std::thread::sleep(BURST),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Emptied before looking: a notification that comes after the look begins another round.
            while self.woken.try_recv().is_ok() {}
            if self.stop.load(Relaxed) {
                return;
            }
            let now = fingerprint(&self.paths);
            if now == self.before {
                continue;
            }
            self.before = self.settled(now);
            // Folders may be new, or others of the same name: their notifications must be asked for again.
            self.notifier.follow(&self.paths);
            if self.stop.load(Relaxed) || !changed(Changed) {
                return;
            }
        }
    }

    /// Waits until two looks a [`SETTLE`] apart see the same.
    fn settled(&self, mut last: Fingerprint) -> Fingerprint {
        let mut waited = Duration::ZERO;
        while waited < self.pace.settle_max && !self.stop.load(Relaxed) {
            std::thread::sleep(self.pace.settle);
            waited += self.pace.settle;
            let now = fingerprint(&self.paths);
            if now == last {
                break;
            }
            last = now;
        }
        last
    }
}

/// The operating system's notifications, where there are any.
struct Notifier {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

impl Notifier {
    fn new(wake: SyncSender<()>) -> Self {
        let on_event = move |event: notify::Result<notify::Event>| {
            // Looking at the files is an access too and must not call for the next look.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                let _ = wake.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(on_event);
        if let Err(error) = &watcher {
            tracing::info!(%error, "No file notifications; files are looked at every two seconds.");
        }
        Self { watcher: watcher.ok(), watched: Vec::new() }
    }

    /// Asks for notifications of the paths and of the folders they stand in: a file that is replaced by renaming, or
    /// that comes back after it was deleted, tells its folder only.
    fn follow(&mut self, paths: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        for path in self.watched.drain(..) {
            // One that is gone is not watched any more.
            let _ = watcher.unwatch(&path);
        }
        for path in paths {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            for (place, mode) in [(parent, RecursiveMode::NonRecursive), (path, RecursiveMode::Recursive)] {
                let wanted = place.is_dir() && !self.watched.iter().any(|w| w == place);
                // Where it fails (not there, too many watches) looking every two seconds does it.
                if wanted && watcher.watch(place, mode).is_ok() {
                    self.watched.push(place.to_owned());
                }
            }
        }
    }
}

/// What a path looked like: itself, and for a symlink also what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    link: Option<PathBuf>,
    file: Option<FileMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileMark {
    is_dir: bool,
    len: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and the time of the last change of the inode, where the system has them.
    identity: (u64, u64, i64, i64),
}

type Fingerprint = BTreeMap<PathBuf, Mark>;

fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut out = BTreeMap::new();
    let mut open: Vec<(PathBuf, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, depth)) = open.pop() {
        if out.len() >= ENTRIES_MAX {
            break;
        }
        let link = fs::read_link(&path).ok();
        let metadata = fs::metadata(&path).ok();
        let is_dir = metadata.as_ref().is_some_and(Metadata::is_dir);
        if is_dir && depth < DEPTH_MAX {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| (entry.path(), depth + 1)).take(ENTRIES_MAX));
        }
        out.insert(path, Mark { link, file: metadata.map(|m| file_mark(&m)) });
    }
    out
}

fn file_mark(metadata: &Metadata) -> FileMark {
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let identity = (0, 0, 0, 0);
    let is_dir = metadata.is_dir();
    // A folder is told by its entries; its own times change with editors' swap files and locks that come and go.
    if is_dir {
        return FileMark { is_dir, len: 0, modified: None, identity: (identity.0, identity.1, 0, 0) };
    }
    FileMark { is_dir, len: metadata.len(), modified: metadata.modified().ok(), identity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    struct Watched {
        dir: tempfile::TempDir,
        changes: Receiver<String>,
        _watcher: FileWatcher,
    }

    /// Watches `watch` below a temporary folder that `set_up` fills; at each change reads the file `read`.
    fn watched(watch: &str, read: &str, set_up: impl Fn(&Path)) -> Watched {
        let ms = Duration::from_millis;
        watched_paced(Pace { poll: ms(150), settle: ms(40), settle_max: ms(300) }, (watch, read), set_up)
    }

    fn watched_paced(pace: Pace, (watch, read): (&str, &str), set_up: impl Fn(&Path)) -> Watched {
        let dir = tempfile::tempdir().unwrap();
        set_up(dir.path());
        let (tx, changes) = channel();
        let file = dir.path().join(read);
        let see = move |Changed| tx.send(fs::read_to_string(&file).unwrap_or_else(|_| "gone".into())).is_ok();
        let _watcher = FileWatcher::spawn_paced(vec![dir.path().join(watch)], pace, see).unwrap();
        Watched { dir, changes, _watcher }
    }

    impl Watched {
        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Waits until a change shows `want`; other contents are steps on the way.
        fn see(&self, want: &str) {
            while self.changes.recv_timeout(Duration::from_secs(15)).expect(want) != want {}
        }

        fn see_nothing(&self) {
            assert_eq!(self.changes.recv_timeout(Duration::from_millis(400)).ok(), None);
        }
    }

    #[test]
    fn a_file_saved_by_renaming_or_in_place_is_seen_and_reading_it_is_not_a_change() {
        let w = watched("a.yaml", "a.yaml", |dir| fs::write(dir.join("a.yaml"), "1").unwrap());
        fs::write(w.at(".a.swp"), "2").unwrap();
        fs::rename(w.at(".a.swp"), w.at("a.yaml")).unwrap();
        w.see("2");
        fs::write(w.at("a.yaml"), "3").unwrap();
        w.see("3");
        fs::read(w.at("a.yaml")).unwrap();
        fs::write(w.at("unrelated"), "x").unwrap();
        w.see_nothing();
    }

    #[test]
    fn a_folder_deleted_and_made_again_is_seen_both_times_and_one_not_there_yet_is_waited_for() {
        let w = watched("rules", "rules/a.yaml", |_| {});
        for round in ["1", "2"] {
            fs::create_dir(w.at("rules")).unwrap();
            fs::write(w.at("rules/a.yaml"), round).unwrap();
            w.see(round);
            fs::create_dir(w.at("rules/deep")).unwrap();
            fs::write(w.at("rules/deep/b.yaml"), round).unwrap();
            w.see(round);
            fs::remove_dir_all(w.at("rules")).unwrap();
            w.see("gone");
        }
    }

    #[test]
    #[cfg(unix)]
    fn kubernetes_symlink_swaps_are_all_followed_and_the_last_one_is_what_is_seen() {
        use std::os::unix::fs::symlink;
        let version = |dir: &Path, n: u32| {
            fs::create_dir_all(dir.join(format!("rules/..v{n}"))).unwrap();
            fs::write(dir.join(format!("rules/..v{n}/a.yaml")), format!("{n:03}")).unwrap();
        };
        let w = watched_paced(PACE, ("rules", "rules/a.yaml"), |dir| {
            version(dir, 0);
            symlink("..v0", dir.join("rules/..data")).unwrap();
            symlink("..data/a.yaml", dir.join("rules/a.yaml")).unwrap();
        });
        for n in 1..=20 {
            version(w.dir.path(), n);
            symlink(format!("..v{n}"), w.at("rules/..data_tmp")).unwrap();
            fs::rename(w.at("rules/..data_tmp"), w.at("rules/..data")).unwrap();
            fs::remove_dir_all(w.at(&format!("rules/..v{}", n - 1))).unwrap();
            if n % 10 == 0 {
                w.see(&format!("{n:03}"));
            }
        }
    }

    #[test]
    fn many_writes_are_few_changes() {
        let w = watched("", "a.yaml", |dir| fs::write(dir.join("a.yaml"), "0").unwrap());
        for i in 0..100 {
            fs::write(w.at("a.yaml"), i.to_string()).unwrap();
        }
        w.see("99");
        w.see_nothing();
    }

    #[test]
    fn symlink_loops_end() {
        let dir = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(".", dir.path().join("loop")).unwrap();
        assert!(fingerprint(&[dir.path().to_owned()]).len() <= DEPTH_MAX + 2);
    }
}
