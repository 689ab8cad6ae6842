//! Clocks that are set back: while the process runs, while it is down, and over what the disk holds.

use std::sync::Arc;

use super::tests::{HOUR, Kept, T0, all, append, folder, labels, number};
use super::*;
use crate::model::histogram::{Buckets, Histogram};
use crate::model::{HistogramPoint, Timestamp};
use crate::store::embedded::EmbeddedStore;

#[test]
fn what_the_clock_was_set_back_over_goes_from_the_disk_and_blocks_end_where_they_end() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    let hour = |h: i64| T0 + h * HOUR;
    // For an hour the clock is right, then for two four days ahead, then right again.
    let ahead = 100 * HOUR;
    let run = |kept: &mut Kept, from: i64, rounds: i64| {
        for round in 0..rounds {
            let now = from + round * 10_000;
            append(&kept.store, 1, now, round as f64);
            append(&kept.store, 2, now, 1.0);
            let positive = Buckets::run(0, vec![round as f64]);
            let h = Histogram { count: round as f64, sum: 1.0, positive, ..Histogram::default() };
            let third = kept.store.series_ref(&labels(3), now).unwrap();
            kept.store.append_histograms(&[(third, HistogramPoint { t_ms: now, histogram: Arc::new(h) })], now);
            kept.step(now);
        }
    };
    run(&mut kept, T0, 900);
    run(&mut kept, hour(3) + ahead, 900);
    assert!(number(dir.path(), &format!("SELECT count(*) FROM block WHERE last_ms > {}", hour(100))) > 0);
    let now = hour(6);
    kept.store.rewind(now);
    run(&mut kept, now, 5);
    // Restarted in the middle of it.
    drop(kept);
    let (mut kept, restored) = Kept::open(dir.path(), now + 60_000);
    assert_eq!((restored.damage, restored.future), (Damage::default(), None));
    run(&mut kept, now + 60_000, 1300);
    for table in ["block", "page", "journal", "histogram"] {
        let beyond = format!("SELECT count(*) FROM {table} WHERE last_ms > {}", hour(24));
        assert_eq!(number(dir.path(), &beyond), 0, "{table}");
    }
    assert_eq!(number(dir.path(), "SELECT count(*) FROM rewind"), 0);
    assert!(number(dir.path(), "SELECT count(*) FROM histogram") > 0);
    let before = all(&kept.store);
    let point = |t_ms: i64| before[&labels(1)].iter().any(|(at, _)| *at == t_ms);
    assert!(point(T0) && point(T0 + 8_990_000) && point(now) && !point(hour(3) + ahead));
    let mut histograms = Vec::new();
    kept.store.histogram_points(kept.store.series_ref(&labels(3), now).unwrap(), 0, i64::MAX, &mut histograms);
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), now + 14_000_000);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(all(&kept.store), before);
    let mut again = Vec::new();
    kept.store.histogram_points(kept.store.series_ref(&labels(3), now).unwrap(), 0, i64::MAX, &mut again);
    assert_eq!(again.len(), histograms.len());
}

#[test]
fn samples_of_the_future_do_not_refuse_those_of_now_after_a_restart() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    for round in 0..900i64 {
        append(&kept.store, 1, T0 + round * 60_000, round as f64);
        kept.step(T0 + round * 60_000);
    }
    drop(kept);
    // The clock was nine hours ahead for the last of them, and was set while the process was down.
    let now = T0 + 6 * HOUR;
    let (mut kept, restored) = Kept::open(dir.path(), now);
    assert_eq!(restored.damage, Damage::default());
    assert_eq!(restored.future, Some(Timestamp(T0 + 899 * 60_000)));
    let held = all(&kept.store);
    let (last, _) = held[&labels(1)].last().unwrap();
    assert!(*last < now, "{last}");
    append(&kept.store, 1, now, 5.0);
    for round in 0..900i64 {
        kept.step(now + round * 1000);
    }
    let before = all(&kept.store);
    assert_eq!(before[&labels(1)].last(), Some(&(now, 5f64.to_bits())));
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), now + HOUR);
    assert_eq!((restored.damage, restored.future), (Damage::default(), None));
    assert_eq!(all(&kept.store), before);
}

#[test]
fn where_everything_is_of_the_future_the_file_is_kept() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    append(&kept.store, 1, T0, 1.0);
    kept.step(T0);
    drop(kept);
    // A machine whose clock begins at 1970.
    let (mut kept, restored) = Kept::open(dir.path(), HOUR);
    assert!(restored.damage.file, "{restored:?}");
    assert!(restored.damage.told[0].contains("are of the future"), "{:?}", restored.damage);
    append(&kept.store, 1, HOUR, 2.0);
    kept.step(HOUR);
    let aside = std::fs::read_dir(dir.path().join("quarantine")).unwrap().count();
    assert!(aside >= 1);
    drop(kept);
    let (kept, restored) = Kept::open(dir.path(), HOUR);
    assert_eq!(restored.damage, Damage::default());
    assert!(all(&kept.store)[&labels(1)].contains(&(HOUR, 2f64.to_bits())));
}

#[test]
fn a_damaged_row_of_a_clock_that_was_set_back_is_told() {
    let dir = folder();
    let (mut kept, _) = Kept::open(dir.path(), T0);
    append(&kept.store, 1, T0, 1.0);
    kept.step(T0);
    kept.store.rewind(T0 - HOUR);
    append(&kept.store, 1, T0 - HOUR, 2.0);
    kept.step(T0 - HOUR);
    let before = all(&kept.store);
    drop(kept);
    assert_eq!(number(dir.path(), "SELECT count(*) FROM rewind"), 1);
    super::tests::damage(dir.path(), "UPDATE rewind SET cut_ms = 0");
    let (kept, restored) = Kept::open(dir.path(), T0);
    assert_eq!(restored.damage.rows, 1, "{:?}", restored.damage);
    assert!(restored.damage.told[0].contains("table rewind"), "{:?}", restored.damage);
    // Had it been believed, all would be cut.
    assert!(before[&labels(1)].iter().all(|point| all(&kept.store)[&labels(1)].contains(point)));
}

#[test]
fn a_floor_of_the_time_that_comes_once_more_does_not_drop_all_of_it() {
    let store = EmbeddedStore::new(super::tests::options());
    for round in 0..100 {
        append(&store, 1, T0 + round * 10_000, 1.0);
    }
    // The disk was full while the clock was ahead.
    store.set_floor(T0 + 1000 * HOUR);
    store.rewind(T0 + 2_000_000);
    append(&store, 1, T0 + 2_000_000, 1.0);
    store.maintain(T0 + 2_001_000);
    assert_eq!(all(&store)[&labels(1)].last().map(|(at, _)| *at), Some(T0 + 2_000_000));
    store.set_floor(T0 + 1_999_000);
    store.maintain(T0 + 2_002_000);
    assert!(all(&store)[&labels(1)].len() < 100);
}
