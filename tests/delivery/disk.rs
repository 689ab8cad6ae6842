//! Disks that fill up, turn read-only or lose the directory, and state files that are damaged, newer or in use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::history;
use crate::kit::{Daemon, Folder, finish, free_port, until_true};
use crate::setup::{brief, config, data, folder, folder_with, rule, rules, start, taken, wait_words, webhook, words};
use crate::sink::{Act, Sink};

/// A small file system in memory at a path; unmounted in the end.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// None where this user may not mount, which is told.
    pub fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|done| done.status.success());
        if !mounted {
            eprintln!("skipped: a file system cannot be mounted by this user");
        }
        mounted.then(|| Self(at.to_owned()))
    }

    #[track_caller]
    pub fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn durable(daemon: &Daemon) -> Option<f64> {
    daemon.metric("alertd_state_durable")
}

#[track_caller]
fn wait_durable(daemon: &Daemon, wanted: f64) {
    until_true(&format!("alertd_state_durable is {wanted}; log: {}", daemon.err.text()), || {
        durable(daemon) == Some(wanted)
    });
}

/// Fires and ends alerts of new hosts until something holds; each is one more row to store.
#[track_caller]
fn alerts_until(daemon: &Daemon, begin: u32, mut holds: impl FnMut() -> bool) -> u32 {
    let mut next = begin;
    until_true("the alerts have their effect", || {
        let series: String = (next..next + 20).map(|n| format!("busy_m{{host=\"h{n}\"}} 5\n")).collect();
        daemon.push(&series);
        next += 20;
        daemon.wait_evaluations(2);
        holds()
    });
    next
}

fn hosts_told(sink: &Sink) -> usize {
    let told = taken(sink, "/chat").into_iter().flat_map(|message| message.alerts).map(|alert| alert.fingerprint);
    told.collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn on_a_full_disk_pages_go_on_and_when_there_is_space_again_everything_is_stored() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let Some(disk) = Tmpfs::mount(&data(&folder), 512) else { return };
    folder.write("alertd.yaml", config("state: {ballast: 64KB}"));
    let mut daemon = start(&folder);
    // Another program takes the rest.
    let hog = data(&folder).join("hog");
    let free = |kib: usize| {
        let _ = std::fs::write(&hog, vec![b'x'; kib << 10]);
    };
    free(200);
    let fired = alerts_until(&daemon, 0, || durable(&daemon) == Some(0.0));
    let ready = daemon.get("/-/ready");
    assert!(ready.status == 200 && ready.text().contains("state is not stored"), "{}", ready.text());
    // Told from memory, all of them.
    daemon.push("busy_m{host=\"from-memory\"} 5\n");
    let wanted = usize::try_from(fired).unwrap() + 1;
    until_true("pages go on", || hosts_told(&sink) == wanted);
    std::fs::remove_file(&hog).unwrap();
    disk.remount("size=16m");
    wait_durable(&daemon, 1.0);
    daemon.err.wait("State is stored again");
    until_true("ready without a reason", || !daemon.get("/-/ready").text().contains("state is not stored"));
    until_true("what was delivered is put down", || history::outbox(&data(&folder)).is_empty());
    daemon.wait_evaluations(3);
    daemon.kill();
    // A kill now loses nothing: nobody is told twice, and everything is told as over.
    let before = sink.at("/chat").len();
    let daemon = start(&folder);
    let over: String = (0..fired).map(|n| format!("busy_m{{host=\"h{n}\"}} 0\n")).collect();
    daemon.push(&(over + "busy_m{host=\"from-memory\"} 0\n"));
    let resolved = || words(&sink, "/chat").iter().filter(|words| words.ends_with("resolved")).count();
    until_true("all are told as over", || resolved() == wanted);
    assert_eq!(sink.at("/chat").len(), before + wanted, "told twice");
    daemon.stop();
}

#[test]
fn a_directory_that_turns_read_only_under_it_costs_memory_and_no_page() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    // A file system in use cannot be made read-only; one that is can be put in its place.
    let Some(disk) = Tmpfs::mount(&data(&folder), 64) else { return };
    disk.remount("ro");
    wait_durable(&daemon, 0.0);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    drop(disk);
    wait_durable(&daemon, 1.0);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    daemon.wait_evaluations(3);
    daemon.kill();
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved", "busy firing"]);
    daemon.stop();
}

#[test]
fn a_start_on_a_read_only_disk_watches_and_tells_and_heals() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let Some(disk) = Tmpfs::mount(&data(&folder), 4096) else { return };
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    daemon.stop();
    disk.remount("ro");
    let daemon = start(&folder);
    wait_durable(&daemon, 0.0);
    daemon.push("busy_m 5\n");
    daemon.wait_evaluations(4);
    assert_eq!(words(&sink, "/chat").len(), 1, "what the disk holds is known: {:#?}", brief(&sink));
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    disk.remount("rw");
    wait_durable(&daemon, 1.0);
    daemon.stop();
}

#[test]
fn a_data_directory_that_is_deleted_is_made_again_with_everything_in_it() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s"), rule("other", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\nother_m 0\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    std::fs::remove_dir_all(data(&folder)).unwrap();
    daemon.push("busy_m 5\nother_m 5\n");
    wait_words(&sink, "/chat", &["busy firing", "other firing"]);
    until_true("the directory is there again", || data(&folder).join("state.db").exists());
    daemon.err.wait("The state was written anew");
    wait_durable(&daemon, 1.0);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    daemon.kill();
    let daemon = start(&folder);
    daemon.push("busy_m 0\nother_m 0\n");
    until_true("both are told as over", || words(&sink, "/chat").len() == 4);
    let mut all = words(&sink, "/chat");
    all.sort();
    assert_eq!(all, ["busy firing", "busy resolved", "other firing", "other resolved"]);
    daemon.stop();
}

#[test]
fn a_second_process_on_the_directory_ends_naming_the_first() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let daemon = start(&folder);
    let address = format!("127.0.0.1:{}", free_port());
    let second = finish(crate::kit::command(&folder).args(["rules/", "--listen", &address]));
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains(&format!("process {}", daemon.pid())), "{second:?}");
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.stop();
}

#[test]
fn a_state_of_a_later_version_is_left_as_it_is() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.stop();
    let state = data(&folder).join("state.db");
    let db = history::open(&state);
    let later = "DROP TABLE meta; CREATE TABLE meta (of_a_later_version TEXT); PRAGMA user_version = 99";
    db.execute_batch(later).unwrap();
    drop(db);
    let before = std::fs::read(&state).unwrap();
    let daemon = start(&folder);
    assert_eq!(durable(&daemon), Some(0.0));
    let ready = daemon.get("/-/ready").text();
    assert!(ready.contains("state is not stored") && ready.contains("99"), "{ready}");
    daemon.push("busy_m 5\n");
    until_true("it watches", || daemon.alert("busy").is_some());
    daemon.stop();
    assert_eq!(std::fs::read(&state).unwrap(), before, "the file was changed");
}

/// Starts on a copy of a data directory, lets it settle, and gives what was told and how often the log tells of damage.
fn told_after_a_start(template: &Path, port: u16, damage: impl FnOnce(&Path)) -> (Vec<String>, String) {
    let sink = Sink::start();
    let folder = Folder::new();
    let both = rules(&[rule("busy", "for: 0s"), rule("over", "for: 0s")]);
    let handlers = format!("handlers:\n{}", crate::setup::webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    folder.write("rules/a.yaml", both);
    folder.write("handlers/h.yaml", handlers);
    folder.write("alertd.yaml", config(""));
    std::fs::create_dir_all(data(&folder)).unwrap();
    for file in std::fs::read_dir(template).unwrap().flatten().filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), data(&folder).join(file.file_name())).unwrap();
    }
    damage(&data(&folder));
    let daemon = crate::setup::start_on(&folder, port);
    // One of the two goes on firing, the other is over since.
    daemon.push("busy_m{host=\"a\"} 5\nbusy_m{host=\"b\"} 5\nover_m 0\n");
    daemon.wait_evaluations(8);
    until_true("nothing is under way", || {
        daemon.metric_sum("alertd_notices_total") == daemon.metric_sum("alertd_delivered_total")
    });
    let log = daemon.err.text();
    daemon.stop();
    (words(&sink, "/chat"), log)
}

/// What is done to a data directory.
type Damage = Box<dyn Fn(&Path) + Send>;

#[test]
fn whatever_is_damaged_in_the_state_it_starts_and_tells_nothing_wrong() {
    // What is stored: two alerts that fire and were told, one that fires and was told and will be over.
    let sink = Sink::start();
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    // With stored samples it would fire on the last that was stored.
    let list = rules(&[rule("busy", "for: 0s"), rule("over", "for: 0s")]);
    let folder = folder_with(&list, &handlers, "store: {durable: false}");
    let mut daemon = start(&folder);
    daemon.push("busy_m{host=\"a\"} 5\nbusy_m{host=\"b\"} 5\nover_m 5\n");
    until_true("all are told", || words(&sink, "/chat").len() == 3);
    until_true("and put down", || history::outbox(&data(&folder)).is_empty());
    daemon.wait_evaluations(3);
    // Killed, so that the log beside the file is part of the state.
    daemon.kill();
    let template = data(&folder);
    let (whole, _) = told_after_a_start(&template, free_port(), |_| {});
    assert_eq!(whole, ["over resolved"]);
    let len = |name: &str| usize::try_from(std::fs::metadata(template.join(name)).map_or(0, |m| m.len())).unwrap();
    let flip = |name: &'static str, at: usize| {
        move |data: &Path| {
            let mut bytes = std::fs::read(data.join(name)).unwrap();
            bytes[at] ^= 0x5a;
            std::fs::write(data.join(name), bytes).unwrap();
        }
    };
    let cut = |name: &'static str, to: usize| {
        move |data: &Path| {
            let bytes = std::fs::read(data.join(name)).unwrap();
            std::fs::write(data.join(name), &bytes[..to]).unwrap();
        }
    };
    let mut cases: Vec<(String, Damage)> = Vec::new();
    for name in ["state.db", "state.db-wal", "state-copy.db", "state-copy.db-wal"] {
        let len = len(name);
        // Spread over the file, the places of its head among them.
        for at in [0, 18, 28, 100, len / 7, len / 3, len / 2, len * 5 / 7, len.saturating_sub(20)] {
            if at < len {
                cases.push((format!("{name}: byte {at} of {len} flipped"), Box::new(flip(name, at))));
            }
        }
        for to in [0, 1, len / 2, len.saturating_sub(1)] {
            if to < len {
                cases.push((format!("{name}: cut to {to} of {len}"), Box::new(cut(name, to))));
            }
        }
    }
    let count = cases.len();
    assert!(count > 30, "{count}");
    let cases = std::sync::Mutex::new(cases);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((case, damage)) = cases.lock().unwrap().pop() else { return };
                    let (told, log) = told_after_a_start(&template, free_port(), |data| damage(data));
                    if told != whole {
                        wrong.lock().unwrap().push(format!("{case}: told {told:?}; log: {log}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}

#[test]
fn with_state_lost_in_both_files_what_fires_is_told_and_nothing_that_is_over() {
    let sink = Sink::start();
    let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
    // With stored samples it would fire on the last that was stored.
    let list = rules(&[rule("busy", "for: 0s"), rule("over", "for: 0s")]);
    let folder = folder_with(&list, &handlers, "store: {durable: false}");
    let mut daemon = start(&folder);
    daemon.push("busy_m{host=\"a\"} 5\nbusy_m{host=\"b\"} 5\nover_m 5\n");
    until_true("all are told", || words(&sink, "/chat").len() == 3);
    daemon.kill();
    let (told, log) = told_after_a_start(&data(&folder), free_port(), |data| {
        for name in ["state.db", "state.db-wal", "state-copy.db", "state-copy.db-wal"] {
            std::fs::write(data.join(name), b"this is no database, and long enough to be looked at by the library\n")
                .unwrap();
        }
    });
    // Of what was told nothing is known any more: what fires is news again, and what is over never was.
    let mut told = told;
    told.sort();
    assert_eq!(told, ["busy firing", "busy firing"], "{log}");
    assert!(log.contains("Stored state was damaged"), "{log}");
}

#[test]
fn a_receiver_that_is_away_while_the_disk_is_full_is_told_when_both_are_back() {
    let sink = Sink::start();
    sink.on("/chat", Act::status(503));
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let Some(disk) = Tmpfs::mount(&data(&folder), 512) else { return };
    folder.write("alertd.yaml", config("state: {ballast: 0}"));
    let mut daemon = start(&folder);
    let fired = alerts_until(&daemon, 0, || durable(&daemon) == Some(0.0));
    disk.remount("size=16m");
    wait_durable(&daemon, 1.0);
    daemon.wait_evaluations(3);
    daemon.kill();
    sink.on("/chat", Act::ok());
    let daemon = start(&folder);
    until_true("all are told", || hosts_told(&sink) == usize::try_from(fired).unwrap());
    daemon.stop();
    std::thread::sleep(Duration::from_millis(50));
    let ids: std::collections::BTreeSet<String> = taken(&sink, "/chat").into_iter().map(|m| m.id).collect();
    assert_eq!(ids.len(), usize::try_from(fired).unwrap(), "each once");
}
