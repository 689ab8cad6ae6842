//! Files that are not what they should be, and what is left undone: nothing is written over unread, nothing is silent.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::tests::{Kept, T0, all, append, damage, file, folder, labels, limits, number, options};
use super::*;
use crate::model::histogram::{Buckets, Histogram};
use crate::model::{HistogramPoint, Timestamp};
use crate::persist::PersistError;
use crate::promql::{MatchOp, Matcher, Source};
use crate::store::embedded::EmbeddedStore;

/// A folder with samples of two pages, in blocks, pages and journal; what they are, and when the last one came.
fn filled(dir: &Path) -> (BTreeMap<crate::model::Labels, Vec<(i64, u64)>>, i64) {
    let (mut kept, _) = Kept::open(dir, T0);
    let mut now = T0;
    for round in 0..900i64 {
        now = T0 + round * 10_000;
        (0..300usize).filter(|n| round == 0 || n % 100 == 0).for_each(|n| append(&kept.store, n, now, round as f64));
        kept.step(now);
    }
    (all(&kept.store), now)
}

fn sql(dir: &Path, text: &str) {
    let db = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    db.execute_batch(text).unwrap();
}

/// The names of the databases in quarantine.
fn quarantined(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(dir.join("quarantine")).map(|dir| dir.flatten().map(|entry| entry.path()).collect());
    let mut entries: Vec<std::path::PathBuf> = entries.unwrap_or_default();
    entries.retain(|path| path.to_string_lossy().ends_with(FILE));
    entries
}

#[test]
fn a_file_that_is_not_as_it_was_made_is_read_as_far_as_it_can_be_and_put_aside() {
    type Break = fn(&Path);
    // What breaks it, whether the points are all there all the same, and whether readers are told otherwise.
    let cases: &[(&str, Break, bool)] = &[
        ("the version in its head is damaged", |dir| sql(dir, "PRAGMA user_version = 0"), true),
        ("the version in its head is a later one", |dir| sql(dir, "PRAGMA user_version = 77"), true),
        ("a table too many", |dir| sql(dir, "CREATE TABLE more (id INTEGER)"), true),
        ("an index is missing", |dir| sql(dir, "DROP INDEX block_last"), true),
        ("the table of families is missing", |dir| sql(dir, "DROP TABLE family"), true),
        ("the table of pages is missing", |dir| sql(dir, "DROP TABLE page"), false),
        ("the table of blocks is missing", |dir| sql(dir, "DROP TABLE block"), false),
        ("the table of the journal is missing", |dir| sql(dir, "DROP TABLE journal"), false),
    ];
    for (case, damage, whole) in cases {
        let dir = folder();
        let (before, now) = filled(dir.path());
        damage(dir.path());
        let (mut kept, restored) = Kept::open(dir.path(), now);
        assert!(restored.damage.file && !restored.damage.told.is_empty(), "{case}: {restored:?}");
        assert_eq!(quarantined(dir.path()).len(), 1, "{case}");
        assert_eq!(all(&kept.store) == before, *whole, "{case}");
        let everything = kept.store.select(&[Matcher::new("i", MatchOp::Equal, "100").unwrap()]).unwrap();
        let read =
            kept.store.range(&everything, now - 20_000_000, now, &mut |_, _| std::ops::ControlFlow::Continue(()));
        // A batch of the journal that is lost is as a scrape that failed.
        let instant = kept.store.instant(&everything, now, 300_000, &mut Vec::new());
        assert_eq!(read.is_ok() && instant.is_ok(), *whole, "{case}: {read:?} {instant:?}");
        // All that was read is stored anew.
        let held = all(&kept.store);
        for (labels, points) in &held {
            let series = kept.store.series_ref(labels, now).unwrap();
            let newest = kept.store.newest(series).map(|newest| (newest.t_ms, newest.value.to_bits()));
            assert_eq!(newest.as_ref(), points.last(), "{case}: {labels}");
        }
        (0..5).for_each(|_| drop(kept.step(now)));
        assert!(kept.writer.is_whole(), "{case}");
        drop(kept);
        let (kept, restored) = Kept::open(dir.path(), now);
        assert_eq!(restored.damage, Damage::default(), "{case}");
        assert_eq!(all(&kept.store), held, "{case}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_kept_and_nothing_is_written_over_it() {
    let dir = folder();
    // Nothing can be read of it whoever asks.
    std::fs::create_dir(dir.path().join(FILE)).unwrap();
    std::fs::write(dir.path().join(FILE).join("inside"), "kept").unwrap();
    let store = Arc::new(EmbeddedStore::new(options()));
    let waits = Cell::new(0);
    let restored = load(dir.path(), &store, Timestamp(T0), &|_| waits.set(waits.get() + 1)).unwrap();
    assert!(waits.get() > 5, "asked {} times", waits.get());
    assert!(restored.damage.file, "{restored:?}");
    let mut kept = Kept { writer: Writer::new(Arc::clone(&store), file(dir.path()), limits(), restored.start), store };
    append(&kept.store, 1, T0, 1.0);
    kept.step(T0);
    let aside = quarantined(dir.path());
    assert_eq!(std::fs::read_to_string(aside[0].join("inside")).unwrap(), "kept");
    drop(kept);
    assert_eq!(all(&Kept::open(dir.path(), T0).0.store).len(), 1);
}

#[test]
fn a_file_that_another_program_holds_is_waited_for() {
    let dir = folder();
    let (before, now) = filled(dir.path());
    let other = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    other.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM rewind; COMMIT").unwrap();
    let other = Cell::new(Some(other));
    let store = EmbeddedStore::new(options());
    let restored = load(dir.path(), &store, Timestamp(now), &|_| drop(other.take())).unwrap();
    assert!(other.take().is_none(), "it was not waited for");
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(all(&store), before);
}

#[test]
fn a_file_that_another_one_took_the_place_of_is_told_and_everything_is_stored_anew() {
    let dir = folder();
    let (_, now) = filled(dir.path());
    let copy = std::fs::read(dir.path().join(FILE)).unwrap();
    for (case, earlier) in [("an earlier copy", copy), ("no database at all", vec![0x5a; 9000])] {
        let (mut kept, _) = Kept::open(dir.path(), now);
        append(&kept.store, 1, now + 1000, 7.0);
        kept.step(now + 1000);
        for part in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.path().join(format!("{FILE}{part}")));
        }
        std::fs::write(dir.path().join(FILE), earlier).unwrap();
        let aside = quarantined(dir.path()).len();
        let told: Vec<String> = (0..5).filter_map(|_| kept.step(now + 2000).put_aside).collect();
        assert_eq!(told.len(), 1, "{case}: {told:?}");
        assert_eq!(quarantined(dir.path()).len(), aside + 1, "{case}");
        let before = all(&kept.store);
        drop(kept);
        let (kept, restored) = Kept::open(dir.path(), now + 2000);
        assert_eq!(restored.damage, Damage::default(), "{case}");
        assert_eq!(all(&kept.store), before, "{case}");
    }
}

#[test]
fn many_damaged_rows_are_one_file_in_quarantine_and_do_not_push_out_the_others() {
    let dir = folder();
    let (_, now) = filled(dir.path());
    let other = dir.path().join("quarantine");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("2020-01-01.0.state.db"), "of before").unwrap();
    sql(
        dir.path(),
        "UPDATE series SET labels = labels || ' ' WHERE (id >> 32) < 200; UPDATE journal SET series_crc = 1, crc = 1",
    );
    let (_, restored) = Kept::open(dir.path(), now);
    assert!(restored.damage.rows > 300, "{}", restored.damage.rows);
    assert!(!restored.damage.file);
    let names: Vec<_> = std::fs::read_dir(&other).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(other.join("2020-01-01.0.state.db").exists());
    assert_eq!(Kept::open(dir.path(), now).1.damage, Damage::default());
}

#[test]
fn of_two_series_with_one_place_or_the_same_labels_the_first_is_taken_and_the_other_is_told() {
    let dir = folder();
    let (before, now) = filled(dir.path());
    let row = |slot: i64, generation: i64, n: usize| {
        let (id, json) = (slot << 32 | generation, serde_json::to_string(&labels(n)).unwrap());
        let sum = super::rows::crc(&[id], json.as_bytes());
        format!("INSERT INTO series VALUES ({id}, '{json}', {sum});")
    };
    sql(dir.path(), &[row(5, 7, 1000), row(400, 0, 17), row(401, 3, 1001)].concat());
    let (mut kept, restored) = Kept::open(dir.path(), now);
    assert_eq!(restored.damage.rows, 2, "{:?}", restored.damage);
    assert_eq!(all(&kept.store), before);
    assert_eq!(kept.store.stats().series, 301);
    // What was entered is found by its labels, and what is removed goes from where it was entered.
    let found = |n: &str| kept.store.series(&[Matcher::new("i", MatchOp::Equal, n).unwrap()]).series.len();
    assert_eq!(["5", "17", "1000", "1001"].map(found), [1, 1, 0, 1]);
    assert_eq!(kept.store.series(&[Matcher::new("i", MatchOp::Regex, "1.*").unwrap()]).series.len(), 112);
    assert_eq!(kept.store.label_values("i").len(), 301);
    assert_eq!(kept.store.delete(&[Matcher::new("job", MatchOp::NotEqual, "").unwrap()]), 301);
    assert_eq!(kept.store.label_names(), [""; 0]);
    kept.step(now);
}

#[test]
fn times_of_a_damaged_block_do_not_reach_into_what_is_stored_after_it() {
    let dir = folder();
    let (_, now) = filled(dir.path());
    damage(
        dir.path(),
        "UPDATE block SET last_ms = 9e18, first_ms = -9e18, through = 9e18, data = zeroblob(9) \
         WHERE id = (SELECT max(id) FROM block WHERE id < 1 << 32)",
    );
    let (mut kept, restored) = Kept::open(dir.path(), now);
    assert_eq!(restored.damage.rows, 1, "{:?}", restored.damage);
    assert!(restored.start.number < 1_000_000, "{}", restored.start.number);
    assert!(restored.start.pages.iter().all(|page| page.last_ms <= now), "{:?}", restored.start.pages);
    for round in 1..900i64 {
        append(&kept.store, 0, now + round * 10_000, 1.0);
        kept.step(now + round * 10_000);
    }
    let last = number(dir.path(), "SELECT max(last_ms) FROM block");
    assert!(last <= now + 9_000_000, "{last}");
}

#[test]
fn a_lost_row_about_the_file_is_mended_and_no_number_or_generation_is_used_twice() {
    let dir = folder();
    let (before, now) = filled(dir.path());
    damage(dir.path(), "UPDATE meta SET crc = crc + 1");
    let (mut kept, restored) = Kept::open(dir.path(), now);
    assert_eq!((restored.damage.rows, restored.damage.file), (1, false), "{:?}", restored.damage);
    assert!(restored.start.generation >= 1 << 16);
    assert_eq!(all(&kept.store), before);
    append(&kept.store, 1, now + 1, 1.0);
    assert_eq!(kept.step(now + 1).put_aside, None);
    let before = all(&kept.store);
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), now + 1);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(all(&kept.store), before);
}

/// Notes what is stored, and how much at once.
struct Noting {
    inner: Box<MetricsFile>,
    seen: Arc<Mutex<Vec<Change>>>,
}

impl Backing for Noting {
    fn ready(&mut self, known: Option<&Known>) -> Result<Ready, PersistError> {
        self.inner.ready(known)
    }

    fn commit(&mut self, change: &Change) -> Result<Committed, PersistError> {
        self.seen.lock().unwrap().push(change.clone());
        self.inner.commit(change)
    }
}

#[test]
fn storing_anew_is_many_small_transactions_and_one_that_was_interrupted_is_told() {
    let dir = folder();
    let store = Arc::new(EmbeddedStore::new(options()));
    let pages = 600u32;
    for n in 0..pages as usize * 256 {
        // One series of each page has samples; making the label sets is most of the time.
        let series = store.series_ref(&labels(n), T0).unwrap();
        if n % 256 == 0 {
            let points: Vec<_> = (0..10).map(|i| (series, crate::model::Point { t_ms: T0 + i, value: 1.0 })).collect();
            store.append_refs(&points, T0);
        }
    }
    let seen = Arc::<Mutex<Vec<Change>>>::default();
    let backing = Box::new(Noting { inner: file(dir.path()), seen: Arc::clone(&seen) });
    let mut writer = Writer::new(Arc::clone(&store), backing, limits(), Start::default());
    assert!(writer.step(T0).error.is_none());
    assert!(!writer.is_whole());
    assert!(seen.lock().unwrap()[0].about.unfinished > 0);
    // Killed here: the series of the other pages are nowhere.
    let again = EmbeddedStore::new(options());
    let restored = load(dir.path(), &again, Timestamp(T0), &|_| ()).unwrap();
    assert!(restored.damage.told.iter().any(|told| told.contains("stored anew")), "{:?}", restored.damage);
    let mut steps = 1;
    while !writer.is_whole() {
        assert!(writer.step(T0).error.is_none());
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    assert!(seen.lock().unwrap().iter().all(|change| change.pages.len() <= 256));
    let again = EmbeddedStore::new(options());
    assert_eq!(load(dir.path(), &again, Timestamp(T0), &|_| ()).unwrap().damage, Damage::default());
    assert_eq!(again.stats().series, u64::from(pages) * 256);
}

#[test]
fn settling_stores_what_came_and_nothing_else() {
    let dir = folder();
    let seen = Arc::<Mutex<Vec<Change>>>::default();
    let store = Arc::new(EmbeddedStore::new(options()));
    let backing = Box::new(Noting { inner: file(dir.path()), seen: Arc::clone(&seen) });
    let mut writer = Writer::new(Arc::clone(&store), backing, limits(), Start::default());
    for round in 0..2000i64 {
        append(&store, (round % 7) as usize, T0 + round * 10_000, round as f64);
        let report = writer.settle(T0 + round * 10_000);
        assert!(report.error.is_none() && report.stored == 1, "{report:?}");
    }
    let light = |change: &Change| change.pages.is_empty() && change.cleaning.is_none() && change.cut.is_empty();
    assert!(seen.lock().unwrap().iter().all(light));
    let again = EmbeddedStore::new(options());
    load(dir.path(), &again, Timestamp(T0 + 20_000_000), &|_| ()).unwrap();
    assert_eq!(all(&again), all(&store));
}

#[test]
fn histograms_that_were_too_many_at_once_are_stored_all_the_same() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    let series = kept.store.series_ref(&labels(1), T0).unwrap();
    let count = 70_000i64;
    let point = |i: i64| {
        let positive = Buckets::run(0, vec![i as f64]);
        let histogram = Histogram { count: i as f64, sum: 1.0, positive, ..Histogram::default() };
        (series, HistogramPoint { t_ms: T0 + i, histogram: Arc::new(histogram) })
    };
    kept.step(T0);
    kept.store.append_histograms(&(0..count).map(point).collect::<Vec<_>>(), T0 + count);
    let report = kept.step(T0 + count);
    assert!(report.left_out > 1000, "{report:?}");
    (0..20).for_each(|_| drop(kept.step(T0 + count)));
    assert!(kept.writer.is_whole());
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), T0 + count);
    assert_eq!(restored.damage, Damage::default());
    let mut found = Vec::new();
    kept.store.histogram_points(series, 0, i64::MAX, &mut found);
    assert_eq!(found.len(), count as usize);
    // Those that were stored in their turn are not stored twice.
    let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    let rows: i64 = db.query_row("SELECT sum(points) FROM histogram", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, count);
}

#[test]
fn points_of_a_series_that_was_never_told_do_not_go_to_the_one_that_takes_its_place() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    append(&kept.store, 1, T0, 1.0);
    kept.step(T0);
    // The place of the series is taken by another one, whose points reach the journal while its labels do not.
    let first = kept.store.series_ref(&labels(1), T0).unwrap();
    assert_eq!(kept.store.delete(&[Matcher::new("i", MatchOp::Equal, "1").unwrap()]), 1);
    append(&kept.store, 2, T0 + 1000, 2.0);
    let second = kept.store.series_ref(&labels(2), T0).unwrap();
    assert_eq!(first.slot(), second.slot());
    kept.step(T0 + 1000);
    drop(kept);
    let json = serde_json::to_string(&labels(1)).unwrap();
    let (id, sum) = (first.id(), super::rows::crc(&[first.id()], json.as_bytes()));
    sql(dir.path(), &format!("DELETE FROM series; INSERT INTO series VALUES ({id}, '{json}', {sum})"));
    // And once more, by a third one.
    let (mut kept, _) = Kept::open(dir.path(), T0 + 2000);
    assert_eq!(kept.store.delete(&[Matcher::new("i", MatchOp::Equal, "1").unwrap()]), 1);
    append(&kept.store, 3, T0 + 3000, 3.0);
    let third = kept.store.series_ref(&labels(3), T0).unwrap();
    assert_eq!(third.slot(), first.slot());
    assert!(third.generation() > second.generation());
    kept.step(T0 + 3000);
    drop(kept);
    let (kept, _) = Kept::open(dir.path(), T0 + 3000);
    assert_eq!(all(&kept.store), BTreeMap::from([(labels(3), vec![(T0 + 3000, 3f64.to_bits())])]));
}

#[test]
fn of_a_page_that_is_lost_the_journal_is_replayed_and_the_loss_is_told_once() {
    let dir = folder();
    let (_, now) = filled(dir.path());
    sql(dir.path(), "DELETE FROM page WHERE id = 0");
    let (kept, restored) = Kept::open(dir.path(), now);
    assert!(restored.damage.told[0].contains("row 0 of table page is missing"), "{:?}", restored.damage);
    assert!(restored.replayed > 0);
    assert_eq!(kept.store.lost(), 256);
    // Though its series are silent, its row is there again within a round of the writer.
    let mut kept = kept;
    for step in 1..=500 {
        kept.step(now + step * 1000);
    }
    drop(kept);
    let (_, restored) = Kept::open(dir.path(), now + 501_000);
    assert_eq!(restored.damage, Damage::default());
}
