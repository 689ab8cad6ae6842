//! Samples stored and put back: restored equals never stopped; damage costs itself and is told; a full disk is survived.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::ingest::Batch as Rows;
use crate::model::{Labels, Point, Timestamp};
use crate::persist::PersistError;
use crate::promql::{MatchOp, Matcher, Source};
use crate::store::embedded::{EmbeddedStore, StoreOptions};

pub(super) const T0: i64 = 1_700_000_000_000;
pub(super) const HOUR: i64 = 3_600_000;

pub(super) fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", n.to_string()), ("job", "é\"\n".to_owned())])
}

pub(super) fn options() -> StoreOptions {
    StoreOptions { retention_ms: 1000 * HOUR, out_of_order_ms: 1000 * HOUR, ..Default::default() }
}

/// In memory where that is possible: what is tested waits for no disk.
pub(super) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

pub(super) fn limits() -> Limits {
    Limits { retention_ms: 1000 * HOUR, bytes_max: 0 }
}

pub(super) fn file(dir: &Path) -> Box<MetricsFile> {
    Box::new(MetricsFile::new(dir, Box::new(|| Timestamp(T0))))
}

/// All points of all series.
pub(super) fn all(store: &EmbeddedStore) -> BTreeMap<Labels, Vec<(i64, u64)>> {
    let selection = store.series(&[]);
    let points = |handle: u64| {
        let mut out = Vec::new();
        store.points(crate::store::SeriesRef::from_handle(handle), i64::MIN, i64::MAX, &mut out);
        out.iter().map(|point| (point.t_ms, point.value.to_bits())).collect::<Vec<_>>()
    };
    let found = selection.series.iter().cloned().zip(selection.handles.iter().map(|handle| points(*handle)));
    found.filter(|(_, points)| !points.is_empty()).collect()
}

pub(super) fn append(store: &EmbeddedStore, n: usize, t_ms: i64, value: f64) {
    let mut rows = Rows::default();
    rows.push(labels(n), Some(t_ms), value);
    store.append(&rows, t_ms);
}

/// A store with its writer, in a folder.
pub(super) struct Kept {
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) writer: Writer,
}

impl Kept {
    pub(super) fn open(dir: &Path, now_ms: i64) -> (Self, Restored) {
        let store = Arc::new(EmbeddedStore::new(options()));
        let restored = load(dir, &store, Timestamp(now_ms), &|_| ()).unwrap();
        let writer = Writer::new(Arc::clone(&store), file(dir), limits(), restored.start.clone());
        (Self { store, writer }, restored)
    }

    pub(super) fn step(&mut self, now_ms: i64) -> Report {
        let report = self.writer.step(now_ms);
        assert!(report.error.is_none(), "{:?}", report.error);
        report
    }
}

#[test]
fn samples_and_what_is_known_of_them_outlive_the_process() {
    let dir = folder();
    let (mut kept, restored) = Kept::open(dir.path(), T0);
    assert_eq!(restored, Restored::default());
    // Series of two pages and of every age: finished chunks, open ones, single points, marks.
    let mut now = T0;
    for round in 0..900 {
        now = T0 + round * 15_000;
        for n in (0..600).filter(|n| n % 100 == 0 || round % 300 == *n as i64 % 300) {
            append(&kept.store, n, now, (n as f64) + round as f64 / 4.0);
        }
        if round % 3 == 0 {
            kept.step(now);
        }
    }
    let ended = kept.store.series_ref(&labels(7), now).unwrap();
    kept.store.end_series(&[ended], now);
    let about = crate::ingest::Metadata { help: "Help.".to_owned(), ..Default::default() };
    kept.store.set_metadata("m", &about);
    kept.step(now);
    let before = all(&kept.store);
    assert_eq!(before.len(), 600);
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), now);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(restored.series, 600);
    assert!(restored.points > 0 && restored.replayed > 0, "{restored:?}");
    assert_eq!(all(&kept.store), before);
    assert_eq!(kept.store.metadata_of("m"), Some(about));
    assert_eq!(kept.store.stats().samples, before.values().map(|points| points.len() as u64).sum::<u64>());
}

#[test]
fn native_histograms_outlive_the_process_and_a_new_file() {
    use crate::model::histogram::{Buckets, Histogram, ResetHint};
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    let series = kept.store.series_ref(&labels(1), T0).unwrap();
    let of = |store: &EmbeddedStore| {
        let mut out = Vec::new();
        store.histogram_points(series, i64::MIN, i64::MAX, &mut out);
        out
    };
    for round in 0..500i64 {
        let count = (round / 3) as f64;
        let positive = Buckets::run(-2, vec![count, 0.0, 2.0 * count]);
        let h = Histogram { count: 3.0 * count, sum: f64::NAN, positive, schema: 3, ..Histogram::default() };
        let point = crate::model::HistogramPoint { t_ms: T0 + round * 1000, histogram: Arc::new(h) };
        kept.store.append_histograms(&[(series, point)], T0 + round * 1000);
        kept.step(T0 + round * 1000);
    }
    let told = |store: &EmbeddedStore| {
        of(store).iter().map(|p| (p.t_ms, p.histogram.notation(), p.histogram.reset_hint)).collect::<Vec<_>>()
    };
    let before = told(&kept.store);
    assert_eq!(before.len(), 500);
    assert_eq!(before[400].2, ResetHint::NotReset);
    drop(kept);
    let (mut kept, restored) = Kept::open(dir.path(), T0);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(told(&kept.store), before);
    // The file is lost while it is in use, and made anew.
    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("{FILE}{part}")));
    }
    kept.step(T0 + HOUR);
    drop(kept);
    assert_eq!(told(&Kept::open(dir.path(), T0).0.store), before);
}

#[test]
fn a_series_in_the_place_of_one_that_went_does_not_get_its_points() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    let of = |n: usize| [Matcher::new("i", MatchOp::Equal, n.to_string()).unwrap()];
    append(&kept.store, 1, T0, 1.0);
    kept.step(T0);
    assert_eq!(kept.store.delete(&of(1)), 1);
    append(&kept.store, 2, T0 + 1, 2.0);
    // The process is killed before anything of this is stored, and once more after a new series took the place.
    drop(kept);
    let (mut kept, _) = Kept::open(dir.path(), T0);
    assert_eq!(all(&kept.store).into_keys().collect::<Vec<_>>(), [labels(1)]);
    assert_eq!(kept.store.delete(&of(1)), 1);
    append(&kept.store, 3, T0 + 2, 3.0);
    kept.step(T0 + 2);
    let before = all(&kept.store);
    drop(kept);
    let (kept, _) = Kept::open(dir.path(), T0);
    assert_eq!(all(&kept.store), before);
    assert_eq!(before, BTreeMap::from([(labels(3), vec![(T0 + 2, 3f64.to_bits())])]));
}

#[test]
fn the_journal_goes_when_pages_hold_it_and_old_blocks_go_with_retention() {
    let dir = folder();
    let store = Arc::new(EmbeddedStore::new(StoreOptions { retention_ms: 2 * HOUR, ..options() }));
    let limits = Limits { retention_ms: 2 * HOUR, bytes_max: 0 };
    let mut writer = Writer::new(Arc::clone(&store), file(dir.path()), limits, load_into(dir.path(), &store));
    for round in 0..3000 {
        let now = T0 + round * 10_000;
        append(&store, 1, now, round as f64);
        let report = writer.step(now);
        assert!(report.error.is_none(), "{:?}", report.error);
        if round % 100 == 0 {
            store.maintain(now);
        }
    }
    let count = |table: &str| number(dir.path(), &format!("SELECT count(*) FROM {table}"));
    assert!(count("journal") <= 401, "{}", count("journal"));
    assert!((2..=4).contains(&count("block")), "{} blocks for 720 samples", count("block"));
    let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    let json: String = db.query_row("SELECT labels ->> 'i' FROM series", [], |r| r.get(0)).unwrap();
    assert_eq!(json, "1");
}

#[test]
fn restarts_leave_no_short_chunks_behind() {
    let dir = folder();
    let mut now = T0;
    for run in 0..30 {
        let (mut kept, restored) = Kept::open(dir.path(), now);
        assert_eq!(restored.damage, Damage::default(), "run {run}");
        for _ in 0..40 {
            now += 15_000;
            append(&kept.store, 1, now, (now % 977) as f64);
            (0..12).for_each(|_| drop(kept.step(now)));
        }
    }
    let (kept, _) = Kept::open(dir.path(), now);
    assert_eq!(all(&kept.store)[&labels(1)].len(), 1200);
    // Two neighbours have more points together than one may have.
    assert!(kept.store.stats().chunks <= 1 + 2 * 1200 / 256 + 1, "{} chunks", kept.store.stats().chunks);
}

#[test]
fn under_churn_the_file_stays_as_it_is_and_a_restart_gives_what_there_was() {
    let dir = folder();
    let minute = 60_000;
    let options = StoreOptions { series_max: 1500, retention_ms: 10 * minute, ..options() };
    let store = Arc::new(EmbeddedStore::new(options.clone()));
    let limits = Limits { retention_ms: 10 * minute, bytes_max: 0 };
    let mut writer = Writer::new(Arc::clone(&store), file(dir.path()), limits, load_into(dir.path(), &store));
    // Half an hour in which each series lives for a minute; beyond the look-back of five it makes room.
    let (mut next, mut most) = (0, [0u64; 3]);
    for slot in 0..120i64 {
        let now = T0 + slot * 15_000;
        for n in 0..50 {
            append(&store, next + n, now, slot as f64);
            (1..4).filter_map(|ago| (next + n).checked_sub(50 * ago)).for_each(|n| append(&store, n, now, slot as f64));
        }
        next += 50;
        for step in 0..20 {
            let report = writer.step(now + step * 750);
            assert!(report.error.is_none(), "{:?}", report.error);
            let third = &mut most[(slot / 40) as usize];
            *third = report.bytes.unwrap_or(0).max(*third);
        }
        store.maintain(now);
    }
    assert!(store.stats().series <= 1500 && store.stats().series_evicted_total > 1000, "{:?}", store.stats());
    assert!(most[2] <= most[1] * 5 / 4, "bytes at most, by ten minutes: {most:?}");
    let db = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    let series: i64 = db.query_row("SELECT count(*) FROM series", [], |r| r.get(0)).unwrap();
    assert_eq!(series.cast_unsigned(), store.stats().series);
    let again = EmbeddedStore::new(options);
    assert_eq!(load(dir.path(), &again, Timestamp(T0 + 30 * minute), &|_| ()).unwrap().damage, Damage::default());
    let since = |store: &EmbeddedStore| -> BTreeMap<_, _> {
        let recent = |points: Vec<(i64, u64)>| points.into_iter().filter(|(at, _)| *at > T0 + 25 * minute).collect();
        all(store).into_iter().map(|(labels, points)| (labels, recent(points))).collect::<BTreeMap<_, Vec<_>>>()
    };
    assert_eq!(since(&again), since(&store));
}

fn load_into(dir: &Path, store: &EmbeddedStore) -> super::load::Start {
    load(dir, store, Timestamp(T0), &|_| ()).unwrap().start
}

#[test]
fn where_the_file_may_not_grow_the_oldest_samples_go_from_the_disk_and_from_memory() {
    let dir = folder();
    let store = Arc::new(EmbeddedStore::new(options()));
    let limits = Limits { retention_ms: 1000 * HOUR, bytes_max: 300_000 };
    let mut writer = Writer::new(Arc::clone(&store), file(dir.path()), limits, load_into(dir.path(), &store));
    let mut bytes = 0;
    for round in 0..6000i64 {
        let now = T0 + round * 10_000;
        (0..40).for_each(|n| append(&store, n, now, (round * 7919 + n as i64) as f64 * 0.123_456_789));
        let report = writer.step(now);
        bytes = report.bytes.unwrap_or(bytes);
        if round % 50 == 0 {
            store.maintain(now);
        }
    }
    assert!(bytes < 600_000, "{bytes} bytes");
    let held = store.stats().samples;
    assert!(held < 200_000, "{held} of 240000 samples held");
}

/// Takes nothing while it is told so.
struct Failing {
    inner: Box<MetricsFile>,
    full: Arc<AtomicBool>,
}

impl Backing for Failing {
    fn ready(&mut self, known: Option<&Known>) -> Result<Ready, PersistError> {
        self.inner.ready(known)
    }

    fn commit(&mut self, change: &Change) -> Result<Committed, PersistError> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(PersistError::Full { path: FILE.into() }),
            false => self.inner.commit(change),
        }
    }
}

#[test]
fn what_a_full_disk_did_not_take_is_stored_when_there_is_room() {
    let dir = folder();
    let store = Arc::new(EmbeddedStore::new(options()));
    let full = Arc::new(AtomicBool::new(false));
    let backing = Box::new(Failing { inner: file(dir.path()), full: Arc::clone(&full) });
    let mut writer = Writer::new(Arc::clone(&store), backing, limits(), load_into(dir.path(), &store));
    for round in 0..900i64 {
        full.store((300..600).contains(&round), Ordering::Relaxed);
        let now = T0 + round * 10_000;
        append(&store, (round % 5) as usize, now, round as f64);
        append(&store, 300, now, round as f64);
        assert_eq!(writer.step(now).error.is_some(), (300..600).contains(&round), "{round}");
    }
    let (kept, restored) = Kept::open(dir.path(), T0 + 3 * HOUR);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(all(&kept.store), all(&store));
}

#[test]
fn a_file_that_is_deleted_is_made_anew_with_everything() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    for round in 0..800i64 {
        append(&kept.store, 1, T0 + round * 10_000, round as f64);
        append(&kept.store, 700, T0 + round * 10_000, round as f64);
        kept.step(T0 + round * 10_000);
    }
    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("{FILE}{part}")));
    }
    kept.step(T0 + HOUR);
    assert!(kept.writer.is_whole());
    let before = all(&kept.store);
    drop(kept);
    assert_eq!(all(&Kept::open(dir.path(), T0 + 3 * HOUR).0.store), before);
}

#[test]
fn a_file_of_a_later_version_is_not_touched() {
    let dir = folder();
    let path = dir.path().join(FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let store = Arc::new(EmbeddedStore::new(options()));
    assert!(matches!(load(dir.path(), &store, Timestamp(T0), &|_| ()), Err(PersistError::Newer { found: 99, .. })));
    let mut writer = Writer::new(Arc::clone(&store), file(dir.path()), limits(), Default::default());
    append(&store, 1, T0, 1.0);
    assert!(matches!(writer.step(T0).error, Some(PersistError::Newer { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_clock_that_was_set_back_is_set_back_after_a_restart_too() {
    for (saved_before, steps_after) in [(0, 1), (500, 1), (500, 500)] {
        let dir = folder();
        let (mut kept, _) = Kept::open(dir.path(), T0);
        for round in 0..800i64 {
            append(&kept.store, 1, T0 + round * 10_000, round as f64);
            append(&kept.store, 2, T0 + round * 10_000, 1.0);
        }
        kept.step(T0 + 8_000_000);
        (0..saved_before).for_each(|i| drop(kept.step(T0 + 8_000_000 + i)));
        kept.store.rewind(T0 + 4_000_000);
        append(&kept.store, 1, T0 + 4_001_000, -1.0);
        (0..steps_after).for_each(|i| drop(kept.step(T0 + 4_001_000 + i)));
        let before = all(&kept.store);
        drop(kept);
        let (kept, restored) = Kept::open(dir.path(), T0 + 4_002_000);
        assert_eq!(restored.damage, Damage::default());
        assert_eq!(all(&kept.store)[&labels(1)], before[&labels(1)], "{saved_before} {steps_after}");
    }
}

/// The number that a query of the file gives.
pub(super) fn number(dir: &Path, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Runs a statement that changes one row.
pub(super) fn damage(dir: &Path, sql: &str) {
    let db = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
}

#[test]
fn a_damaged_row_costs_its_samples_and_makes_only_their_readers_fail() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    let mut now = T0;
    for round in 0..1200i64 {
        now = T0 + round * 10_000;
        for n in [1, 300, 301] {
            append(&kept.store, n, now, round as f64);
        }
        // Fill the first page, so that the others stand in the second.
        if round == 0 {
            (2..257).for_each(|n| append(&kept.store, n, now, 0.0));
            append(&kept.store, 400, now, 0.0);
        }
        kept.step(now);
    }
    let page = |kept: &Kept, n: usize| kept.store.series_ref(&labels(n), now).unwrap().slot() / 256;
    assert_ne!(page(&kept, 2), page(&kept, 256));
    let (near, far) = (labels(2), labels(256));
    let before = all(&kept.store);
    drop(kept);
    damage(dir.path(), "UPDATE page SET data = zeroblob(length(data)) WHERE id = 1");
    let (kept, restored) = Kept::open(dir.path(), now);
    assert_eq!(restored.damage.rows, 1, "{:?}", restored.damage);
    assert!(!restored.damage.file);
    assert!(restored.damage.told[0].contains("row 1 of table page is damaged"), "{:?}", restored.damage);
    let after = all(&kept.store);
    assert_eq!(after[&near], before[&near]);
    let select = |labels: &Labels| {
        kept.store.select(&[Matcher::new("i", MatchOp::Equal, labels.get("i").unwrap()).unwrap()]).unwrap()
    };
    let instant = |labels: &Labels| kept.store.instant(&select(labels), now, 20_000_000, &mut Vec::new());
    let range = |labels: &Labels| {
        kept.store.range(&select(labels), now - 20_000_000, now, &mut |_, _| ControlFlow::Continue(()))
    };
    assert_eq!((instant(&near), range(&near)), (Ok(()), Ok(())));
    let error = instant(&far).unwrap_err().to_string();
    assert!(error.contains("lost with a damaged block"), "{error}");
    assert!(range(&far).is_err());
    // A new sample is the latest one for sure; a window over the loss stays wrong.
    let mut rows = Rows::default();
    rows.push(far.clone(), Some(now + 1), 5.0);
    kept.store.append(&rows, now + 1);
    let at = |at_ms: i64| kept.store.instant(&select(&far), at_ms, 20_000_000, &mut Vec::new());
    assert_eq!(at(now + 1), Ok(()));
    assert!(range(&far).is_err());
    let kept_aside = std::fs::read_dir(dir.path().join("quarantine")).unwrap().count();
    assert_eq!(kept_aside, 1);
    drop(kept);
    // What was told once is removed and not told again.
    assert_eq!(Kept::open(dir.path(), now).1.damage, Damage::default());
}

#[test]
fn a_damaged_batch_fails_only_the_series_that_had_points_in_it() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    append(&kept.store, 1, T0, 1.0);
    append(&kept.store, 2, T0, 1.0);
    kept.step(T0);
    append(&kept.store, 1, T0 + 1000, 2.0);
    kept.step(T0 + 1000);
    drop(kept);
    damage(dir.path(), "UPDATE journal SET data = zeroblob(length(data)) WHERE id = (SELECT max(id) FROM journal)");
    let (kept, restored) = Kept::open(dir.path(), T0 + 2000);
    assert_eq!(restored.damage.rows, 1, "{:?}", restored.damage);
    let at = |n: &str| {
        let selection = kept.store.select(&[Matcher::new("i", MatchOp::Equal, n).unwrap()]).unwrap();
        kept.store.instant(&selection, T0 + 2000, 300_000, &mut Vec::new())
    };
    assert!(at("1").is_err());
    assert_eq!(at("2"), Ok(()));
    append(&kept.store, 1, T0 + 2000, 3.0);
    assert_eq!(at("1"), Ok(()));
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize, i64),
    Late(usize, i64),
    Delete(usize),
    End(usize),
    Step,
    Steps,
    Kill,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (0..6usize, 0..80i64).prop_map(|(n, count)| Act::Append(n, count)),
        2 => (0..6usize, 0..2_000_000i64).prop_map(|(n, ago)| Act::Late(n, ago)),
        1 => (0..6usize).prop_map(Act::Delete),
        1 => (0..6usize).prop_map(Act::End),
        6 => Just(Act::Step),
        2 => Just(Act::Steps),
        2 => Just(Act::Kill),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn restored_equals_never_stopped(acts in acts()) {
        let dir = folder();
        let (mut kept, _) = Kept::open(dir.path(), T0);
        let mut now = T0;
        let mut stored = all(&kept.store);
        for act in acts.into_iter().chain([Act::Step, Act::Kill]) {
            now += 1000;
            match act {
                Act::Append(n, count) => {
                    for _ in 0..count {
                        now += 15_000;
                        append(&kept.store, n, now, (now % 977) as f64);
                    }
                }
                Act::Late(n, ago) => {
                    let mut rows = Rows::default();
                    rows.push(labels(n), Some(now - ago), 0.5);
                    kept.store.append(&rows, now);
                }
                Act::Delete(n) => {
                    kept.store.delete(&[Matcher::new("i", MatchOp::Equal, n.to_string()).unwrap()]);
                }
                Act::End(n) => {
                    let selection = kept.store.series(&[Matcher::new("i", MatchOp::Equal, n.to_string()).unwrap()]);
                    let series: Vec<_> =
                        selection.handles.iter().map(|h| crate::store::SeriesRef::from_handle(*h)).collect();
                    kept.store.end_series(&series, now);
                }
                Act::Step => {
                    kept.step(now);
                    stored = all(&kept.store);
                }
                Act::Steps => {
                    (0..410).for_each(|_| drop(kept.step(now)));
                    stored = all(&kept.store);
                }
                Act::Kill => {
                    drop(kept);
                    let (again, restored) = Kept::open(dir.path(), now);
                    prop_assert_eq!(restored.damage, Damage::default());
                    prop_assert_eq!(all(&again.store), stored.clone());
                    kept = again;
                }
            }
        }
    }

    #[test]
    fn a_batch_comes_back_and_damage_of_it_is_seen(
        points in prop::collection::vec((any::<u32>(), any::<u32>(), any::<i64>(), any::<u64>()), 0..200),
    ) {
        let points: Vec<_> = points.into_iter().map(|(slot, generation, t_ms, bits)| {
            let series = crate::store::SeriesRef::from_id(i64::from(slot) << 32 | i64::from(generation));
            (series, Point { t_ms, value: f64::from_bits(bits) })
        }).collect();
        let batch = super::batch::Batch::new(1, T0, &points);
        let series = batch.unpack_series().unwrap();
        let values = batch.unpack_points().unwrap();
        let bits = |p: &Point| (p.t_ms, p.value.to_bits());
        prop_assert_eq!(series, points.iter().map(|(s, _)| *s).collect::<Vec<_>>());
        prop_assert_eq!(values.iter().map(bits).collect::<Vec<_>>(), points.iter().map(|(_, p)| bits(p)).collect::<Vec<_>>());
    }
}
