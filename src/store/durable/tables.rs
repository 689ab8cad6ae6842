//! The tables of `metrics.db` read one after another, each row checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Row;

use super::batch::Batch;
use super::block::{Block, cut};
use super::helper::{Job, Named, labels};
use super::load::{Loading, PageState};
use super::losses::Times;
use super::many::Many;
use super::reading::walk;
use super::rows::{about, crc};
use crate::ingest::{Metadata, MetricKind};
use crate::model::{Labels, Point, Timestamp};
use crate::persist::sqlite::disk;
use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, PAGE, SavedChunk};

/// Series given to the store at once.
const SERIES_STEP: usize = 4096;
/// Where the greatest generation is damaged, this much is left for those that no series tells of.
const GENERATIONS_LEFT: u32 = 1 << 16;
/// Bytes of the shortest row of a series, about: what a file cannot hold no room is made for.
const SERIES_BYTES_MIN: u64 = 48;
/// Points of the journal that the helper is given at once.
const REPLAY_STEP: usize = 1 << 14;

/// A row of a block or a page.
struct BlockRow {
    through: i64,
    next: i64,
    times: (i64, i64),
    /// `None` if the row is damaged.
    chunks: Option<Vec<SavedChunk>>,
    points: u64,
}

/// Where a row of chunks stands.
struct Place {
    table: &'static str,
    id: i64,
    page: u32,
}

fn ints<const N: usize>(row: &Row<'_>) -> Option<[i64; N]> {
    let mut found = [0; N];
    for (i, place) in found.iter_mut().enumerate() {
        *place = row.get(i).ok()?;
    }
    Some(found)
}

fn bytes<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a [u8]> {
    row.get_ref(column).ok()?.as_bytes().ok()
}

impl Loading<'_> {
    /// Reads all tables, in the order in which the store needs them.
    pub(super) fn tables(&mut self, store: &EmbeddedStore) {
        self.series(store);
        self.about();
        self.rewinds();
        store.restore_metadata(self.families());
        self.blocks();
        self.pages();
        self.journal();
        self.histograms();
    }

    fn send(&self, job: Job) {
        // The helpers end only when this side does.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }

    /// Ids that could not be read: the structure of the file is damaged.
    fn passed(&mut self, table: &'static str, spans: &[(i64, i64)]) {
        for (from, to) in spans {
            self.restored.damage.of_file(|| format!("rows {from} to {to} of table {table} cannot be read"));
        }
    }

    fn series(&mut self, store: &EmbeddedStore) {
        // Each alone is found at its end of the table; asked for together they would mean to read all of it.
        let span = "SELECT (SELECT max(rowid) FROM series) - (SELECT min(rowid) FROM series)";
        let span: i64 = self.db.query_row(span, [], |row| row.get(0)).unwrap_or(0);
        let held = self.db.path().map_or(0, |path| disk::len(Path::new(path)) / SERIES_BYTES_MIN);
        store.reserve(usize::try_from((span >> 32).cast_unsigned().min(held)).unwrap_or(0) + 1);
        let mut rows = Vec::with_capacity(SERIES_STEP);
        let mut generation = 0;
        let mut bad = Vec::new();
        let passed = walk(self.db, "SELECT id, labels, crc FROM series WHERE id >= ?1 ORDER BY id", |id, row| {
            let text = row.get_ref(1).ok().and_then(|value| value.as_str().ok());
            let right = text.filter(|text| row.get(2) == Ok(i64::from(crc(&[id], text.as_bytes()))));
            let Some(labels) = right.and_then(labels) else { return bad.push(id) };
            generation = generation.max(SeriesRef::from_id(id).generation());
            rows.push((SeriesRef::from_id(id), labels));
            if rows.len() >= SERIES_STEP {
                self.enter(std::mem::replace(&mut rows, Vec::with_capacity(SERIES_STEP)));
            }
        });
        self.enter(rows);
        // The helpers that have the index come to their end.
        self.named.clear();
        self.passed("series", &passed);
        self.generation = generation;
        for id in bad {
            self.restored.damage.add(|| format!("series {id} fails its checksum, or has no labels"));
            self.bad.push(("series", id));
        }
    }

    fn enter(&self, series: Vec<(SeriesRef, Labels)>) {
        self.send(Job::Places(series.iter().map(|(series, _)| *series).collect()));
        let series: Named = Arc::new(series);
        for named in &self.named {
            let _ = named.send(Arc::clone(&series));
        }
    }

    fn about(&mut self) {
        match about(self.db) {
            Ok(Some((about, _))) => {
                self.restored.start.number = about.number;
                self.restored.start.generation = about.generation.max(self.generation);
                if about.unfinished > 0 {
                    self.restored.damage.add(|| {
                        format!("the process ended while samples were stored anew: those of {} pages", about.unfinished)
                    });
                }
            }
            _ => {
                self.restored.damage.add(|| "the row of table meta cannot be read".to_owned());
                self.restored.start.generation = self.generation.saturating_add(GENERATIONS_LEFT);
                self.mend_about = true;
            }
        }
    }

    /// A row that is right tells how far the numbers went.
    fn seen(&mut self, number: i64) {
        self.restored.start.number = self.restored.start.number.max(number);
    }

    fn rewinds(&mut self) {
        let db = self.db;
        let passed = walk(db, "SELECT id, cut_ms, crc FROM rewind WHERE id >= ?1 ORDER BY id", |id, row| {
            let cut_ms: Option<i64> = row.get(1).ok();
            match cut_ms.filter(|cut_ms| row.get(2) == Ok(i64::from(crc(&[id, *cut_ms], &[])))) {
                Some(cut_ms) => {
                    self.seen(id);
                    self.rewinds.push((id, cut_ms));
                }
                None => {
                    self.restored.damage.add(|| format!("row {id} of table rewind is damaged"));
                    self.bad.push(("rewind", id));
                }
            }
        });
        self.passed("rewind", &passed);
    }

    /// What is known of families; those that cannot be read are described again when their samples come.
    fn families(&mut self) -> Vec<(String, Metadata)> {
        let mut found = Vec::new();
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.db.prepare("SELECT name, kind, help, unit FROM family")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text = |column: usize| row.get::<_, String>(column).ok();
                let (Some(name), Some(kind), Some(help), Some(unit)) = (text(0), text(1), text(2), text(3)) else {
                    continue;
                };
                let kind = MetricKind::parse(&kind).unwrap_or_default();
                found.push((name, Metadata { kind, help, unit }));
            }
            Ok(())
        };
        if let Err(error) = read() {
            self.restored.damage.of_file(|| format!("table family cannot be read: {error}"));
        }
        found
    }

    /// The instant after which points of a row do not count, because the clock was set back since.
    fn cut_ms(&self, through: i64) -> Option<i64> {
        self.rewinds.iter().filter(|(number, _)| through < *number).map(|(_, cut_ms)| *cut_ms).min()
    }

    fn block_row(row: &Row<'_>, has_next: bool, page: u32) -> Option<BlockRow> {
        let (id, through, next, first_ms, last_ms, points) = if has_next {
            let [id, through, first_ms, last_ms, points, next] = ints(row)?;
            (id, through, next, first_ms, last_ms, points)
        } else {
            let [id, through, first_ms, last_ms, points] = ints(row)?;
            (id, through, 0, first_ms, last_ms, points)
        };
        let at = if has_next { 6 } else { 5 };
        let chunks = bytes(row, at).and_then(|data| {
            let sum = crc(&[id, through, next, first_ms, last_ms, points], data);
            let right = row.get(at + 1) == Ok(i64::from(sum));
            if right { Block::chunks(page, data) } else { None }
        });
        Some(BlockRow { through, next, times: (first_ms, last_ms), chunks, points: points.cast_unsigned() })
    }

    fn blocks(&mut self) {
        let sql = "SELECT id, through, first_ms, last_ms, points, data, crc FROM block WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let passed = walk(db, sql, |id, row| {
            let page = u32::try_from(id >> 32).unwrap_or(u32::MAX);
            let number = id as u32;
            let found = Self::block_row(row, false, page);
            let before = self.pages.get(&page).copied().unwrap_or_default();
            let times = self.times(found.as_ref(), before.last_ms);
            if before.seen && number != before.next {
                self.restored.damage.add(|| format!("blocks {} to {number} of page {page} are missing", before.next));
                self.losses.gap(page, (before.last_ms, times.1.max(before.last_ms)));
            }
            let last_ms = if before.seen { before.last_ms.max(times.1) } else { times.1 };
            let state = PageState { through: before.through, next: number.wrapping_add(1), last_ms, seen: true };
            self.pages.insert(page, state);
            self.take(found, times, &Place { table: "block", id, page });
        });
        passed.iter().for_each(|(from, to)| self.losses.unreadable(from >> 32, to >> 32));
        self.passed("block", &passed);
    }

    /// The times of a row: what is right is cut where the clock was set back, what is damaged must make sense.
    fn times(&self, found: Option<&BlockRow>, before_ms: i64) -> Times {
        match found {
            Some(BlockRow { chunks: Some(_), times, through, .. }) => {
                let cut_ms = self.cut_ms(*through).unwrap_or(i64::MAX);
                (times.0.min(cut_ms), times.1.min(cut_ms))
            }
            damaged => self.losses.sane(damaged.map(|row| row.times), (before_ms, self.now.0)),
        }
    }

    /// Takes the chunks of a row, or notes that they are lost.
    fn take(&mut self, found: Option<BlockRow>, times: Times, place: &Place) {
        let Place { table, id, page } = *place;
        match found {
            Some(BlockRow { chunks: Some(chunks), through, .. }) => {
                self.seen(through);
                let chunks = match self.cut_ms(through) {
                    Some(cut_ms) => cut(chunks, cut_ms),
                    None => chunks,
                };
                self.send(Job::Chunks(chunks, table == "block"));
            }
            damaged => {
                let points = damaged.as_ref().map_or(0, |row| row.points);
                self.restored.damage.add(|| {
                    let (from, to) = (Timestamp(times.0), Timestamp(times.1));
                    format!("row {id} of table {table} is damaged: about {points} samples between {from} and {to}")
                });
                self.bad.push((table, id));
                self.losses.gap(page, times);
            }
        }
    }

    fn pages(&mut self) {
        let sql = "SELECT id, through, first_ms, last_ms, points, next, data, crc FROM page WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let mut found_pages = BTreeSet::new();
        let passed = walk(db, sql, |id, row| {
            let page = u32::try_from(id).unwrap_or(u32::MAX);
            found_pages.insert(page);
            let found = Self::block_row(row, true, page);
            let before = self.pages.get(&page).copied().unwrap_or_default();
            let times = self.times(found.as_ref(), before.last_ms);
            let mut state = PageState { through: 0, ..before };
            if let Some(row) = found.as_ref().filter(|row| row.chunks.is_some()) {
                state.through = row.through;
                let next = u32::try_from(row.next).unwrap_or(0);
                // Old blocks go with retention, so that their numbers say nothing where none is left.
                if before.seen && next > before.next {
                    self.restored.damage.add(|| format!("blocks {} to {next} of page {page} are missing", before.next));
                    self.losses.gap(page, (before.last_ms, times.1.max(before.last_ms)));
                }
                state.next = next.max(before.next);
            }
            self.pages.insert(page, state);
            self.take(found, times, &Place { table: "page", id, page });
        });
        passed.iter().for_each(|(from, to)| self.losses.unreadable(*from, *to));
        self.passed("page", &passed);
        let missing: Vec<(u32, i64)> =
            self.pages.iter().filter(|(page, _)| !found_pages.contains(page)).map(|(p, s)| (*p, s.last_ms)).collect();
        for (page, last_ms) in missing {
            self.restored.damage.add(|| format!("row {page} of table page is missing"));
            self.losses.gap(page, (last_ms.min(self.now.0), self.now.0));
        }
    }

    fn journal(&mut self) {
        let sql = "SELECT id, at_ms, first_ms, last_ms, points, series, series_crc, data, crc FROM journal WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        // When the last batch was taken that is right; before the first one, when anything may have been.
        let mut last_ms = 0;
        let passed = walk(db, sql, |id, row| {
            let Some(numbers) = ints::<5>(row) else { return self.torn(id, None, (last_ms, self.now.0)) };
            let [number, at_ms, first_ms, to_ms, points] = numbers;
            let part = |column: usize| {
                let found = bytes(row, column)?;
                (row.get(column + 1) == Ok(i64::from(crc(&numbers, found)))).then(|| found.to_vec())
            };
            let (series, values) = (part(5), part(7));
            // Either checksum is over the numbers as well.
            let right = series.is_some() || values.is_some();
            let times = if right {
                (first_ms, to_ms)
            } else {
                self.losses.sane(Some((first_ms, to_ms)), (last_ms, self.now.0))
            };
            let batch = Batch {
                number,
                at_ms,
                times,
                points: u32::try_from(points).unwrap_or(u32::MAX),
                series: series.unwrap_or_default(),
                values: values.unwrap_or_default(),
            };
            if right {
                self.seen(number);
                last_ms = at_ms;
            }
            match (batch.unpack_series(), batch.unpack_points()) {
                (Some(series), Some(points)) => self.replay(number, at_ms, series, &points),
                (series, _) => self.torn(id, series, times),
            }
        });
        if !passed.is_empty() {
            self.losses.torn_all((last_ms.min(self.now.0), self.now.0));
        }
        self.passed("journal", &passed);
    }

    fn histograms(&mut self) {
        let sql = "SELECT id, first_ms, last_ms, points, data, crc FROM histogram WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let passed = walk(db, sql, |id, row| {
            let numbers = ints::<4>(row);
            let found = numbers.and_then(|numbers| {
                let data = bytes(row, 4)?;
                let right = row.get(5) == Ok(i64::from(crc(&numbers, data)));
                if right { Many::unpack(data) } else { None }
            });
            let Some(mut found) = found else {
                self.restored.damage.add(|| format!("row {id} of table histogram is damaged"));
                self.bad.push(("histogram", id));
                let times = numbers.map(|[_, first_ms, last_ms, _]| (first_ms, last_ms));
                let times = self.losses.sane(times, (0, self.now.0));
                self.losses.torn_all(times);
                return;
            };
            self.seen(id);
            if let Some(cut_ms) = self.cut_ms(id) {
                found.retain(|(_, point)| point.t_ms <= cut_ms);
            }
            self.send(Job::Histograms(found));
        });
        if !passed.is_empty() {
            self.losses.torn_all((0, self.now.0));
        }
        self.passed("histogram", &passed);
    }

    fn torn(&mut self, id: i64, series: Option<Vec<SeriesRef>>, times: Times) {
        let whose = series.as_ref().map_or("all".to_owned(), |series| series.len().to_string());
        self.restored.damage.add(|| {
            let (from, to) = (Timestamp(times.0), Timestamp(times.1));
            format!("batch {id} of the journal is damaged: samples of {whose} series between {from} and {to}")
        });
        self.bad.push(("journal", id));
        match series {
            Some(series) => self.losses.torn(series, times),
            None => self.losses.torn_all(times),
        }
    }

    fn replay(&mut self, number: i64, at_ms: i64, series: Vec<SeriesRef>, points: &[Point]) {
        let cut_ms = self.cut_ms(number).unwrap_or(i64::MAX);
        let through = |series: SeriesRef| self.pages.get(&page_of(series)).map_or(0, |page| page.through);
        let wanted = |(series, point): &(SeriesRef, Point)| number > through(*series) && point.t_ms <= cut_ms;
        let points: Vec<(SeriesRef, Point)> = series.into_iter().zip(points.iter().copied()).filter(wanted).collect();
        self.restored.replayed += points.len() as u64;
        for part in points.chunks(REPLAY_STEP) {
            self.send(Job::Replay(part.to_vec(), at_ms));
        }
    }
}

fn page_of(series: SeriesRef) -> u32 {
    series.slot() / PAGE
}
