//! Damage of every kind to the state files: what is stored is found again, or its loss is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};

use super::*;
use crate::persist::tests::{NOW, at, event, notice, record};
use crate::persist::{Cursor, HistoryKind, Kind};

fn options() -> Options {
    Options { ballast_bytes: 0, ..Options::default() }
}

fn open(dir: &Path) -> SqlitePersist {
    SqlitePersist::open(dir, &options(), NOW).unwrap()
}

/// A directory in memory where there is one: these tests open it a thousand times, and each opening syncs.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// All records as the tests compare them.
fn contents(loaded: &Loaded) -> BTreeMap<String, String> {
    let records = loaded.records.values().flatten();
    let mut all: BTreeMap<String, String> =
        records.map(|record| (format!("{} {}", record.kind.as_str(), record.id), record.value.clone())).collect();
    all.extend(loaded.outbox.iter().map(|row| (format!("notice {}", row.id), row.payload.clone())));
    all
}

/// Commits made one after the other: each changes some records and adds notices and history.
fn busy(persist: &SqlitePersist, commits: std::ops::Range<u64>) {
    for n in commits {
        let put = (0..8)
            .map(|k| record(Kind::Alert, &format!("a{}", (n * 5 + k) % 120), &format!("{{\"n\":{n},\"k\":{k}}}")));
        let commit = Commit {
            put: put.collect(),
            delete: vec![(Kind::Alert, format!("a{}", (n * 7) % 120))],
            notices: vec![notice(&format!("n{n}"), "mail")],
            history: vec![event(n as i64, HistoryKind::Transition, "r")],
            durable: n % 8 == 0,
        };
        persist.commit(&commit).unwrap();
        if n % 3 == 0 {
            let id = format!("n{}", n / 2);
            let settled = Settled {
                id,
                at: NOW,
                outcome: crate::persist::SettledAs::Delivered,
                payload: None,
                notices: vec![],
                put: vec![],
                history: vec![],
            };
            persist.settle(&[settled], false).unwrap();
        }
    }
}

/// The files of a process that was killed: copied while it runs.
struct Killed {
    files: Vec<(String, Vec<u8>)>,
    contents: BTreeMap<String, String>,
}

impl Killed {
    fn after(commits: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let persist = open(dir.path());
        busy(&persist, 0..commits);
        // Half of the log is in the files already, and the log goes on behind it.
        persist.read(|_| Ok(())).unwrap();
        schema::open(&dir.path().join(STATE_FILE))
            .unwrap()
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .unwrap();
        busy(&persist, commits..commits * 2);
        let contents = contents(&persist.load().unwrap());
        let names = ["state.db", "state.db-wal", "state-copy.db", "state-copy.db-wal"];
        let files = names.map(|name| (name.to_owned(), fs::read(dir.path().join(name)).unwrap()));
        Self { files: files.to_vec(), contents }
    }

    fn restore(&self, dir: &Path) {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).unwrap();
        for (name, bytes) in &self.files {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
}

/// A generator of numbers with a fixed seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn one_changed_byte_in_one_of_the_files_loses_nothing() {
    let killed = Killed::after(30);
    let dir = quick_dir();
    let dir = dir.path().join("data");
    let mut numbers = Numbers(0x5eed);
    let mut used_copy = 0;
    for round in 0..1000 {
        killed.restore(&dir);
        let (name, bytes) = &killed.files[round % killed.files.len()];
        let mut bytes = bytes.clone();
        let offset = numbers.below(bytes.len());
        let bit = 1 << numbers.below(8);
        bytes[offset] ^= bit;
        fs::write(dir.join(name), &bytes).unwrap();
        let loaded = open(&dir).load().unwrap();
        used_copy += u32::from(loaded.restored_from_mirror);
        assert_eq!(contents(&loaded), killed.contents, "{name} at {offset}, bit {bit}: {:?}", loaded.damages);
        assert!(loaded.damages.iter().all(|damage| !damage.lost), "{name} at {offset}: {:?}", loaded.damages);
    }
    assert!(used_copy > 100, "only {used_copy} of 1000 changes mattered: the test hits nothing");
}

#[test]
fn changed_bytes_in_both_files_lose_at_most_what_they_hit() {
    let killed = Killed::after(30);
    let dir = quick_dir();
    let dir = dir.path().join("data");
    let mut numbers = Numbers(0xfeed);
    let mut lost_rows = 0;
    for round in 0..300 {
        killed.restore(&dir);
        // One byte in the content of each: in the pages behind the first, or in the log.
        for (name, skip) in [("state.db", 4096), ("state-copy.db", 4096)] {
            let mut bytes = fs::read(dir.join(name)).unwrap();
            if bytes.len() > skip {
                let offset = skip + numbers.below(bytes.len() - skip);
                bytes[offset] = bytes[offset].wrapping_add(1 + numbers.below(255) as u8);
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
        let loaded = open(&dir).load().unwrap();
        for (id, value) in contents(&loaded) {
            // A value that was never stored must not come out; one that was deleted later may.
            if let Some(stored) = killed.contents.get(&id) {
                assert_eq!(&value, stored, "round {round}: {id} has another value: {:?}", loaded.damages);
            }
        }
        let lost = killed.contents.keys().filter(|id| !contents(&loaded).contains_key(*id)).count();
        lost_rows += lost;
        assert!(lost == 0 || loaded.damages.iter().any(|damage| damage.lost), "round {round}: a silent loss of {lost}");
        // The files are whole again.
        let again = open(&dir).load().unwrap();
        assert_eq!((contents(&again), again.damages), (contents(&loaded), vec![]), "round {round}");
    }
    assert!(lost_rows < 300, "{lost_rows} rows were lost in 300 rounds");
}

#[test]
fn a_log_cut_anywhere_loses_nothing_while_the_copy_is_there() {
    let killed = Killed::after(30);
    let dir = quick_dir();
    let dir = dir.path().join("data");
    for (name, log) in killed.files.iter().filter(|(name, _)| name.ends_with("-wal")) {
        let first = log.len().saturating_sub(64 << 10);
        for end in (first..log.len()).step_by(331) {
            killed.restore(&dir);
            fs::write(dir.join(name), &log[..end]).unwrap();
            let loaded = open(&dir).load().unwrap();
            assert_eq!(contents(&loaded), killed.contents, "{name} cut to {end}: {:?}", loaded.damages);
        }
    }
}

#[test]
fn a_log_cut_without_a_copy_gives_an_earlier_state_never_a_mixed_one() {
    let dir = quick_dir();
    let path = dir.path().join("data");
    // Each commit writes the same number everywhere.
    let commit = |n: u64| Commit {
        put: (0..40).map(|k| record(Kind::Alert, &format!("a{k}"), &format!("{n:08}"))).collect(),
        ..Commit::default()
    };
    let persist = open(&path);
    (1..=40).for_each(|n| _ = persist.commit(&commit(n)).unwrap());
    let [state, log] = [path.join(STATE_FILE), path.join("state.db-wal")].map(|path| fs::read(path).unwrap());
    drop(persist);
    let mut states = BTreeMap::new();
    for end in (0..=log.len()).step_by(997) {
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join(STATE_FILE), &state).unwrap();
        fs::write(path.join("state.db-wal"), &log[..end]).unwrap();
        let loaded = open(&path).load().unwrap();
        let mut values: Vec<String> = contents(&loaded).into_values().collect();
        values.dedup();
        assert!(values.len() <= 1, "cut to {end}: {values:?} {:?}", loaded.damages);
        *states.entry(values.first().cloned()).or_insert(0) += 1;
    }
    assert!(states.len() > 20, "{states:?}");
}

#[test]
fn a_part_of_the_log_that_is_missing_under_later_pages_is_seen() {
    // The file has pages of the whole log; the log then loses its end: old pages between new ones, each of them valid.
    let dir = quick_dir();
    let path = dir.path().join("data");
    let persist = open(&path);
    let checkpoint = || {
        let db = schema::open(&path.join(STATE_FILE)).unwrap();
        db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    };
    let value = |n: u64, k: u64| record(Kind::Alert, &format!("a{k:02}"), &format!("{n}{}", "-".repeat(250)));
    persist.commit(&Commit { put: (0..30).map(|k| value(0, k)).collect(), ..Commit::default() }).unwrap();
    checkpoint();
    (0..30).for_each(|k| _ = persist.commit(&Commit { put: vec![value(1, k)], ..Commit::default() }).unwrap());
    checkpoint();
    let [state, log] = [path.join(STATE_FILE), path.join("state.db-wal")].map(|path| fs::read(path).unwrap());
    drop(persist);
    let mut mixed = 0;
    for end in (4200..log.len() - 8400).step_by(4120) {
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join(STATE_FILE), &state).unwrap();
        fs::write(path.join("state.db-wal"), &log[..end]).unwrap();
        let loaded = open(&path).load().unwrap();
        let values = contents(&loaded);
        // Row by row: an earlier state is new ones, then old ones.
        let marks: String = values.values().map(|value| &value[..1]).collect();
        let earlier = marks.len() == 30 && !marks.contains("01");
        assert!(earlier || loaded.damages.iter().any(|damage| damage.lost), "cut to {end}: {marks}");
        mixed += u32::from(loaded.damages.iter().any(|damage| damage.what.contains("rows of different times")));
    }
    assert!(mixed > 20, "only {mixed} cuts made a mixed state");
}

#[test]
fn a_missing_file_is_made_from_the_other() {
    for gone in [STATE_FILE, COPY_FILE] {
        let dir = tempfile::tempdir().unwrap();
        let persist = open(dir.path());
        busy(&persist, 0..10);
        let stored = contents(&persist.load().unwrap());
        drop(persist);
        disk::remove_database(&dir.path().join(gone)).unwrap();
        let loaded = open(dir.path()).load().unwrap();
        assert_eq!(contents(&loaded), stored);
        assert_eq!(loaded.restored_from_mirror, gone == STATE_FILE);
        assert!(dir.path().join(gone).exists());
    }
}

#[test]
fn a_first_start_that_was_ended_between_its_two_files_is_no_damage() {
    for gone in [STATE_FILE, COPY_FILE] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        disk::remove_database(&dir.path().join(gone)).unwrap();
        let loaded = open(dir.path()).load().unwrap();
        assert_eq!((loaded.damages, loaded.restored_from_mirror), (vec![], false), "without {gone}");
    }
}

#[test]
fn a_row_changed_in_both_files_is_lost_alone_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    let put = vec![record(Kind::Alert, "good", "1"), record(Kind::Alert, "bad", "2")];
    persist.commit(&Commit { put, ..Commit::default() }).unwrap();
    drop(persist);
    for file in [STATE_FILE, COPY_FILE] {
        let db = Connection::open(dir.path().join(file)).unwrap();
        db.execute("UPDATE record SET value = '3' WHERE id = ?1", params!["bad"]).unwrap();
    }
    let persist = open(dir.path());
    let loaded = persist.load().unwrap();
    assert_eq!(contents(&loaded).into_iter().collect::<Vec<_>>(), [("alert good".to_owned(), "1".to_owned())]);
    let lost: Vec<_> = loaded.damages.iter().filter(|damage| damage.id.is_some()).collect();
    assert_eq!(lost.len(), 1, "{:?}", loaded.damages);
    assert_eq!(lost[0].what, "alert bad is damaged in the file and in its copy, and is lost");
    assert_eq!((lost[0].table, lost[0].lost), (Some("record"), true));
    assert_eq!(persist.stats().quarantined, loaded.damages_count);
    let kept = fs::read_dir(dir.path().join("quarantine")).unwrap().count();
    assert_eq!(kept, 2, "both files are kept");
}

#[test]
fn a_later_version_is_left_untouched() {
    for file in [STATE_FILE, COPY_FILE] {
        let dir = tempfile::tempdir().unwrap();
        let persist = open(dir.path());
        busy(&persist, 0..5);
        drop(persist);
        let db = Connection::open(dir.path().join(file)).unwrap();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        db.execute_batch("PRAGMA user_version = 9; UPDATE meta SET version = 9; ALTER TABLE record ADD COLUMN more;")
            .unwrap();
        drop(db);
        // The version of the file's head is in the log, and meta fails its checksum: it is as good as unreadable.
        let all = || {
            let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let sum = |path: &Path| crc32fast::hash(&fs::read(path).unwrap());
            files.into_iter().map(|path| (path.clone(), sum(&path))).collect::<Vec<_>>()
        };
        let before = all();
        let error = SqlitePersist::open(dir.path(), &options(), NOW).err().unwrap();
        assert!(matches!(error, OpenError::Newer { found: 9, known: 1, .. }), "{error}");
        assert_eq!(all(), before);
    }
}

#[test]
fn records_of_unknown_kinds_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut contents = examine::Contents { head: Head { seq: 1, ..Head::default() }, ..examine::Contents::default() };
    let raw = rows::RawRecord { kind: "later".to_owned(), id: "x".to_owned(), value: "1".to_owned(), seq: 1 };
    contents.records.good.insert(("later".to_owned(), "x".to_owned()), raw);
    for file in [STATE_FILE, COPY_FILE] {
        recover::write_anew(&dir.path().join(file), &contents, None).unwrap();
    }
    let persist = open(dir.path());
    persist.rewrite(&Everything::default()).unwrap();
    drop(persist);
    let loaded = open(dir.path()).load().unwrap();
    assert_eq!((loaded.unknown, loaded.damages_count), (1, 0), "{:?}", loaded.damages);
}

#[test]
fn left_overs_of_writing_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state.db.new", "state-copy.db.new-journal", "state.db.new-wal", "ballast.new"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    drop(open(dir.path()));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains(".new")), "{names:?}");
}

#[test]
fn a_directory_deleted_under_us_is_made_again_with_all_that_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let persist = open(&path);
    busy(&persist, 0..10);
    assert!(!persist.upkeep(NOW).rewritten);
    let stored = contents(&persist.load().unwrap());
    fs::remove_dir_all(&path).unwrap();
    let error = persist.commit(&Commit { put: vec![record(Kind::Rule, "r", "1")], ..Commit::default() }).unwrap_err();
    assert_eq!(error.cause(), "gone");
    let report = persist.upkeep(NOW);
    assert!(report.rewritten && report.trouble.is_none(), "{report:?}");
    assert_eq!(contents(&persist.load().unwrap()), stored);
    busy(&persist, 10..20);
    let stored = contents(&persist.load().unwrap());
    drop(persist);
    let loaded = open(&path).load().unwrap();
    assert_eq!((contents(&loaded), loaded.damages), (stored, vec![]));
}

#[test]
fn a_file_replaced_under_us_goes_to_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    busy(&persist, 0..10);
    let stored = contents(&persist.load().unwrap());
    let state = dir.path().join(STATE_FILE);
    fs::rename(&state, dir.path().join("elsewhere")).unwrap();
    fs::write(&state, "not a database").unwrap();
    assert!(persist.upkeep(NOW).rewritten);
    assert_eq!(contents(&persist.load().unwrap()), stored);
    let kept: Vec<_> =
        fs::read_dir(dir.path().join("quarantine")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(kept.iter().any(|path| fs::read(path).unwrap() == b"not a database"), "{kept:?}");
}

#[test]
fn a_copy_that_is_lost_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    disk::remove_database(&dir.path().join(COPY_FILE)).unwrap();
    busy(&persist, 0..10);
    assert!(!persist.stats().mirrored);
    assert!(persist.upkeep(NOW).mirror_rebuilt);
    assert!(persist.stats().mirrored);
    let stored = contents(&persist.load().unwrap());
    drop(persist);
    disk::remove_database(&dir.path().join(STATE_FILE)).unwrap();
    assert_eq!(contents(&open(dir.path()).load().unwrap()), stored);
}

#[test]
fn damage_found_while_running_is_repaired_by_upkeep() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    busy(&persist, 0..10);
    let stored = contents(&persist.load().unwrap());
    Connection::open(dir.path().join(STATE_FILE))
        .unwrap()
        .execute("UPDATE outbox SET payload = 'x' WHERE id = 'n9'", [])
        .unwrap();
    assert_eq!(persist.outbox(&OutboxQuery::default()).unwrap_err().cause(), "damaged");
    assert_eq!(persist.commit(&Commit::default()).unwrap_err().cause(), "damaged");
    let report = persist.upkeep(NOW);
    assert!(report.trouble.is_none() && !report.damages.is_empty(), "{report:?}");
    assert!(!report.rewritten, "the copy had everything");
    assert_eq!(contents(&persist.load().unwrap()), stored);
    assert_eq!(persist.stats().failures["damaged"], 2);
}

#[test]
fn a_damaged_history_is_salvaged_without_stopping_anything() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    let history = |range: std::ops::Range<i64>| Commit {
        history: range.map(|n| event(n, HistoryKind::System, &format!("rule {n}"))).collect(),
        ..Commit::default()
    };
    persist.commit(&history(0..5000)).unwrap();
    while persist.move_history(NOW).unwrap().more {}
    drop(persist);
    let path = dir.path().join(HISTORY_FILE);
    let mut bytes = fs::read(&path).unwrap();
    // A stretch in the middle of the file, over some pages.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0xa5);
    fs::write(&path, bytes).unwrap();

    let persist = open(dir.path());
    persist.commit(&history(5000..5010)).unwrap();
    let error = persist.clean_history(at(-1), u64::MAX).unwrap_err();
    assert_eq!(error.cause(), "damaged");
    assert_eq!(persist.move_history(NOW).unwrap().rows, 10);
    let page = persist.history(&HistoryQuery::default()).unwrap();
    assert_eq!(page.rows[0].event.at, at(5009));
    assert!((4500..5010).contains(&page.rows.len()), "{} rows are left", page.rows.len());
    assert_eq!(persist.clean_history(at(5000), u64::MAX).unwrap(), page.rows.len() as u64 - 10);
    assert!(fs::read_dir(dir.path().join("quarantine")).unwrap().count() > 0);
}

#[test]
fn a_history_of_an_earlier_version_is_read_and_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(HISTORY_FILE);
    let kinds = [HistoryKind::Ack, HistoryKind::Evaluated, HistoryKind::System];
    let rows = |from: i64| Commit {
        history: (from..).zip(kinds).map(|(n, kind)| event(n, kind, "r")).collect(),
        ..Commit::default()
    };
    let persist = open(dir.path());
    persist.commit(&rows(1)).unwrap();
    persist.move_history(NOW).unwrap();
    drop(persist);
    let made = dir.path().join("made");
    fs::rename(&path, &made).unwrap();
    let mut db = Connection::open(&path).unwrap();
    schema::migrate(&mut db, &schema::HISTORY[..1]).unwrap();
    db.execute("ATTACH ?1 AS made", [made.to_str().unwrap()]).unwrap();
    db.execute_batch("INSERT INTO history SELECT * FROM made.history; DETACH made").unwrap();
    drop(db);
    let persist = open(dir.path());
    let seconds = |query: &HistoryQuery| {
        let page = persist.history(query).unwrap();
        page.rows.iter().map(|row| row.event.at.0 / 1000).collect::<Vec<_>>()
    };
    let evaluated = HistoryQuery { kinds: vec![HistoryKind::Evaluated], ..HistoryQuery::default() };
    assert_eq!((seconds(&HistoryQuery::default()), seconds(&evaluated)), (vec![3, 1], vec![2]), "as it lies there");
    persist.commit(&rows(11)).unwrap();
    persist.move_history(NOW).unwrap();
    assert_eq!((seconds(&HistoryQuery::default()), seconds(&evaluated)), (vec![13, 11, 3, 1], vec![12, 2]));
    assert_eq!(persist.forget_evaluations(at(3)).unwrap(), 1);
    let db = Connection::open(&path).unwrap();
    assert_eq!(schema::layout(&db).unwrap(), schema::made_layout(schema::HISTORY).unwrap());
}

#[test]
fn every_question_to_the_history_has_its_index() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::migrate(&mut db, schema::HISTORY).unwrap();
    let any = HistoryQuery::default;
    let kinds = vec![HistoryKind::Evaluated];
    let cases = [
        (any(), None, "event_at"),
        (HistoryQuery { from: Some(at(1)), to: Some(at(2)), ..any() }, None, "event_at"),
        (HistoryQuery { after: Some(Cursor { at: at(1), number: 1 }), ..any() }, None, "event_at"),
        (any(), Some("r"), "event_rule"),
        (HistoryQuery { fingerprint: Some(crate::model::Fingerprint(1)), ..any() }, None, "history_fingerprint"),
        (HistoryQuery { kinds: kinds.clone(), ..any() }, None, "evaluation_at"),
        (HistoryQuery { kinds, ..any() }, Some("r"), "evaluation_rule"),
    ];
    for (query, rule, want) in cases {
        let (sql, values) = query::statement(&query, rule.map(str::to_owned), query.parts().next().unwrap());
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.len() == 1 && steps[0].contains(&format!("INDEX {want}")), "{sql}: {steps:?}");
    }
}

#[test]
fn history_numbers_go_on_when_the_state_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let one = |n: i64| Commit { history: vec![event(n, HistoryKind::System, "r")], ..Commit::default() };
    let persist = open(dir.path());
    persist.commit(&one(1)).unwrap();
    persist.move_history(NOW).unwrap();
    drop(persist);
    for file in [STATE_FILE, COPY_FILE] {
        disk::remove_database(&dir.path().join(file)).unwrap();
    }
    let persist = open(dir.path());
    persist.commit(&one(2)).unwrap();
    persist.move_history(NOW).unwrap();
    let numbers: Vec<_> =
        persist.history(&HistoryQuery::default()).unwrap().rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn a_batch_moved_twice_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    persist.commit(&Commit { history: vec![event(1, HistoryKind::System, "r"); 5], ..Commit::default() }).unwrap();
    // The process ended between the two halves of a move.
    let rows = persist.staged(100).unwrap();
    persist.history.add(&rows, NOW).unwrap();
    assert_eq!(persist.history(&HistoryQuery::default()).unwrap().rows.len(), 5, "seen in both files, told once");
    assert_eq!(persist.move_history(NOW).unwrap().rows, 5);
    assert_eq!(persist.history(&HistoryQuery::default()).unwrap().rows.len(), 5);
}

#[test]
fn commits_and_cleaning_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let persist = open(dir.path());
    persist.commit(&Commit { history: vec![event(1, HistoryKind::System, "r"); 5000], ..Commit::default() }).unwrap();
    while persist.move_history(NOW).unwrap().more {}
    // A cleaning transaction that does not end: the history file is held by another program.
    let cleaner = Connection::open(dir.path().join(HISTORY_FILE)).unwrap();
    cleaner.execute_batch("BEGIN IMMEDIATE; DELETE FROM history WHERE number < 100").unwrap();
    busy(&persist, 0..20);
    assert_eq!(persist.history(&HistoryQuery::default()).unwrap().rows.len(), 5020, "readers do not wait either");
    assert_eq!(persist.clean_history(at(2), u64::MAX).unwrap_err().cause(), "busy");
    cleaner.execute_batch("ROLLBACK").unwrap();
    // Both at once, many batches against many commits.
    let removed = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| persist.clean_history(at(2), u64::MAX).unwrap());
        busy(&persist, 20..120);
        cleaning.join().unwrap()
    });
    assert_eq!(removed, 5000);
    assert_eq!(persist.load().unwrap().damages, vec![]);
}

#[test]
fn the_ballast_is_made_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { ballast_bytes: 1 << 20, ..Options::default() };
    let persist = SqlitePersist::open(dir.path(), &options, NOW).unwrap();
    assert_eq!(fs::metadata(dir.path().join("ballast")).unwrap().len(), 1 << 20);
    assert!(lock(&persist.files).ballast.give_up());
    let stats = persist.stats();
    assert_eq!((stats.ballast, stats.short), (false, true));
    persist.commit(&Commit { history: vec![event(1, HistoryKind::System, "r")], ..Commit::default() }).unwrap();
    assert_eq!(persist.move_history(NOW).unwrap().rows, 0, "the history waits while the disk is short");
    assert!(persist.upkeep(NOW).ballast_restored);
    assert_eq!(persist.move_history(NOW).unwrap().rows, 1);
    assert!(persist.stats().ballast);
}
