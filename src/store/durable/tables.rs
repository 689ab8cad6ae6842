//! The tables of `metrics.db` read one after another, each row checked.

use std::collections::BTreeSet;

use rusqlite::Row;

use super::batch::Batch;
use super::block::{Block, cut};
use super::file::{crc, numbers};
use super::helper::Job;
use super::load::{Gap, Loading, PageState};
use super::many::Many;
use super::reading::{is_damage, walk};
use crate::ingest::{Metadata, MetricKind};
use crate::model::{Point, Timestamp};
use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, PAGE, SavedChunk};

/// Series given to the store at once.
const SERIES_STEP: usize = 4096;
/// Where the greatest generation is damaged, this much is left for those that no series tells of.
const GENERATIONS_LEFT: u32 = 1 << 16;
/// How far in the future a row may claim to reach.
const DAY_MS: i64 = 86_400_000;

/// A row of a block or a page.
struct BlockRow {
    id: i64,
    through: i64,
    next: i64,
    times: (i64, i64),
    /// `None` if the row is damaged.
    chunks: Option<Vec<SavedChunk>>,
    points: u64,
}

/// Where a row of chunks stands, and up to when its page was read before it.
struct Place {
    table: &'static str,
    id: i64,
    page: u32,
    before_ms: i64,
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
    pub(super) fn tables(&mut self, store: &EmbeddedStore) -> rusqlite::Result<()> {
        self.series(store)?;
        self.about(store)?;
        self.blocks()?;
        self.pages()?;
        self.journal()?;
        self.histograms()
    }

    fn send(&self, job: Job) {
        // The helper ends only when this side does.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }

    /// Ids that could not be read: the structure of the file is damaged.
    fn passed(&mut self, table: &'static str, spans: &[(i64, i64)]) {
        for (from, to) in spans {
            self.restored.damage.file = true;
            self.restored.damage.add(|| format!("rows {from} to {to} of table {table} cannot be read"));
        }
    }

    fn series(&mut self, store: &EmbeddedStore) -> rusqlite::Result<()> {
        let count: i64 =
            self.db.query_row("SELECT max(rowid) - min(rowid) FROM series", [], |row| row.get(0)).unwrap_or(0);
        store.reserve(usize::try_from(count >> 32).unwrap_or(0) + 1);
        let mut rows = Vec::with_capacity(SERIES_STEP);
        let mut generation = 0;
        let mut bad = Vec::new();
        let passed = walk(self.db, "SELECT id, labels, crc FROM series WHERE id >= ?1 ORDER BY id", |id, row| {
            let text = row.get_ref(1).ok().and_then(|value| value.as_str().ok());
            match text.filter(|text| row.get(2) == Ok(i64::from(crc(&[id], text.as_bytes())))) {
                None => bad.push(id),
                Some(text) => {
                    generation = generation.max(SeriesRef::from_id(id).generation());
                    rows.push((id, text.to_owned()));
                    if rows.len() >= SERIES_STEP {
                        self.send(Job::Series(std::mem::take(&mut rows)));
                    }
                }
            }
        })?;
        self.send(Job::Series(rows));
        self.passed("series", &passed);
        self.generation = generation;
        for id in bad {
            self.restored.damage.add(|| format!("series {id} fails its checksum"));
            self.bad.push(("series", id));
        }
        Ok(())
    }

    /// The small tables.
    fn about(&mut self, store: &EmbeddedStore) -> rusqlite::Result<()> {
        let stored = self.db.query_row("SELECT generation, crc FROM meta WHERE id = 1", [], |row| {
            let (generation, sum): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(u32::try_from(generation).ok().filter(|_| sum == i64::from(crc(&[generation], &[]))))
        });
        self.restored.start.generation = match stored {
            Ok(Some(generation)) => generation.max(self.generation),
            Err(rusqlite::Error::QueryReturnedNoRows) if self.generation == 0 => 0,
            _ => {
                self.restored.damage.add(|| "the row of table meta cannot be read".to_owned());
                self.generation.saturating_add(GENERATIONS_LEFT)
            }
        };
        let mut rewinds = Vec::new();
        let passed = walk(self.db, "SELECT id, cut_ms FROM rewind WHERE id >= ?1 ORDER BY id", |id, row| {
            rewinds.extend(row.get(1).ok().map(|cut_ms: i64| (id, cut_ms)));
        })?;
        self.passed("rewind", &passed);
        self.rewinds = rewinds;
        match self.families() {
            Ok(families) => store.restore_metadata(families),
            Err(error) if is_damage(&error) => self.passed("family", &[(0, 0)]),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn families(&self) -> rusqlite::Result<Vec<(String, Metadata)>> {
        let mut statement = self.db.prepare("SELECT name, kind, help, unit FROM family")?;
        let rows = statement.query_map([], |row| {
            let kind: String = row.get(1)?;
            let kind = MetricKind::parse(&kind).unwrap_or_default();
            Ok((row.get(0)?, Metadata { kind, help: row.get(2)?, unit: row.get(3)? }))
        })?;
        rows.collect()
    }

    /// The instant after which points of a row do not count, because the clock was set back since.
    fn cut_ms(&self, through: i64) -> Option<i64> {
        self.rewinds.iter().filter(|(number, _)| through < *number).map(|(_, cut_ms)| *cut_ms).min()
    }

    fn block_row(row: &Row<'_>, has_next: bool, page_of: impl Fn(i64) -> u32) -> Option<BlockRow> {
        let (id, through, next, first_ms, last_ms, points) = if has_next {
            let [id, through, first_ms, last_ms, points, next] = ints(row)?;
            (id, through, next, first_ms, last_ms, points)
        } else {
            let [id, through, first_ms, last_ms, points] = ints(row)?;
            (id, through, 0, first_ms, last_ms, points)
        };
        let at = if has_next { 6 } else { 5 };
        let block = Block { times: (first_ms, last_ms), points: points.cast_unsigned(), data: Vec::new() };
        let chunks = bytes(row, at).and_then(|data| {
            let sum = crc(&numbers(id, through, next, &block), data);
            let right = row.get(at + 1) == Ok(i64::from(sum));
            if right { Block::chunks(page_of(id), data) } else { None }
        });
        Some(BlockRow { id, through, next, times: block.times, chunks, points: block.points })
    }

    fn blocks(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, through, first_ms, last_ms, points, data, crc FROM block WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let passed = walk(db, sql, |id, row| {
            let page = u32::try_from(id >> 32).unwrap_or(u32::MAX);
            let number = id as u32;
            let found = Self::block_row(row, false, |_| page);
            let before = self.pages.get(&page).copied().unwrap_or_default();
            let times = found.as_ref().map_or((before.last_ms, self.now.0), |row| row.times);
            if before.seen && number != before.next {
                self.restored.damage.add(|| format!("blocks {} to {number} of page {page} are missing", before.next));
                self.gaps.push(Gap { page, from_ms: before.last_ms, to_ms: times.1 });
            }
            let through = found.as_ref().map_or(0, |row| row.through);
            let last_ms = before.last_ms.max(times.1);
            let state = PageState { through: before.through, next: number.wrapping_add(1), last_ms, seen: true };
            self.pages.insert(page, state);
            self.take(found, through, &Place { table: "block", id, page, before_ms: before.last_ms });
        })?;
        self.passed("block", &passed);
        Ok(())
    }

    /// Takes the chunks of a row, or notes that they are lost.
    fn take(&mut self, found: Option<BlockRow>, through: i64, place: &Place) {
        let Place { table, id, page, before_ms } = *place;
        self.restored.start.number = self.restored.start.number.max(through.min(i64::MAX / 2));
        match found {
            Some(BlockRow { chunks: Some(chunks), .. }) => {
                let chunks = match self.cut_ms(through) {
                    Some(cut_ms) => cut(chunks, cut_ms),
                    None => chunks,
                };
                self.send(Job::Chunks(chunks, table == "block"));
            }
            damaged => {
                // The times of the row may be what is damaged: they count only where they make sense.
                let sane =
                    |row: &BlockRow| row.times.0 <= row.times.1 && row.times.1 <= self.now.0.saturating_add(DAY_MS);
                let times = damaged.as_ref().filter(|row| sane(row)).map(|row| row.times);
                let (from_ms, to_ms) = times.unwrap_or((before_ms, self.now.0));
                let points = damaged.as_ref().map_or(0, |row| row.points);
                self.restored.damage.add(|| {
                    let (from, to) = (Timestamp(from_ms), Timestamp(to_ms));
                    format!("row {id} of table {table} is damaged: about {points} samples between {from} and {to}")
                });
                self.bad.push((table, damaged.as_ref().map_or(id, |row| row.id)));
                self.gaps.push(Gap { page, from_ms, to_ms });
            }
        }
    }

    fn pages(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, through, first_ms, last_ms, points, next, data, crc FROM page WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let mut found_pages = BTreeSet::new();
        let passed = walk(db, sql, |id, row| {
            let page = u32::try_from(id).unwrap_or(u32::MAX);
            found_pages.insert(page);
            let found = Self::block_row(row, true, |_| page);
            let state = self.pages.entry(page).or_default();
            let before = *state;
            let intact = found.as_ref().filter(|row| row.chunks.is_some());
            let through = intact.map_or(0, |row| row.through);
            state.through = through;
            if let Some(row) = intact {
                let next = u32::try_from(row.next).unwrap_or(0);
                // Old blocks go with retention, so that their numbers say nothing where none is left.
                if before.seen && next > before.next {
                    self.restored.damage.add(|| format!("blocks {} to {next} of page {page} are missing", before.next));
                    self.gaps.push(Gap { page, from_ms: before.last_ms, to_ms: row.times.1.max(before.last_ms) });
                }
                state.next = next.max(before.next);
            }
            self.take(found, through, &Place { table: "page", id, page, before_ms: before.last_ms });
        })?;
        self.passed("page", &passed);
        let missing: Vec<(u32, i64)> =
            self.pages.iter().filter(|(page, _)| !found_pages.contains(page)).map(|(p, s)| (*p, s.last_ms)).collect();
        for (page, last_ms) in missing {
            self.restored.damage.add(|| format!("row {page} of table page is missing"));
            self.gaps.push(Gap { page, from_ms: last_ms, to_ms: self.now.0 });
        }
        Ok(())
    }

    fn journal(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, at_ms, first_ms, last_ms, points, series, series_crc, data, crc FROM journal WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let mut last_ms = self.now.0;
        let passed = walk(db, sql, |id, row| {
            self.restored.start.number = self.restored.start.number.max(id.min(i64::MAX / 2));
            let Some(numbers) = ints::<5>(row) else { return self.torn(id, None, (last_ms, self.now.0)) };
            let [number, at_ms, first_ms, to_ms, points] = numbers;
            last_ms = at_ms;
            let part = |column: usize| {
                let found = bytes(row, column)?;
                (row.get(column + 1) == Ok(i64::from(crc(&numbers, found)))).then(|| found.to_vec())
            };
            let batch = Batch {
                number,
                at_ms,
                times: (first_ms, to_ms),
                points: u32::try_from(points).unwrap_or(u32::MAX),
                series: part(5).unwrap_or_default(),
                values: part(7).unwrap_or_default(),
            };
            match (batch.unpack_series(), batch.unpack_points()) {
                (Some(series), Some(points)) => self.replay(number, at_ms, series, &points),
                (series, _) => self.torn(id, series, batch.times),
            }
        })?;
        for (from, to) in &passed {
            self.torn_all.push((last_ms, self.now.0));
            self.restored.start.number = self.restored.start.number.max(if *to == i64::MAX { *from } else { *to });
        }
        self.passed("journal", &passed);
        Ok(())
    }

    fn histograms(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, first_ms, last_ms, points, data, crc FROM histogram WHERE id >= ?1 ORDER BY id";
        let db = self.db;
        let passed = walk(db, sql, |id, row| {
            self.restored.start.number = self.restored.start.number.max(id.min(i64::MAX / 2));
            let numbers = ints::<4>(row);
            let found = numbers.and_then(|numbers| {
                let data = bytes(row, 4)?;
                let right = row.get(5) == Ok(i64::from(crc(&numbers, data)));
                if right { Many::unpack(data) } else { None }
            });
            let Some(mut found) = found else {
                self.restored.damage.add(|| format!("row {id} of table histogram is damaged"));
                self.bad.push(("histogram", id));
                self.torn_all.push(numbers.map_or((0, self.now.0), |[_, first_ms, last_ms, _]| (first_ms, last_ms)));
                return;
            };
            if let Some(cut_ms) = self.cut_ms(id) {
                found.retain(|(_, point)| point.t_ms <= cut_ms);
            }
            self.send(Job::Histograms(found));
        })?;
        self.passed("histogram", &passed);
        Ok(())
    }

    fn torn(&mut self, id: i64, series: Option<Vec<SeriesRef>>, times: (i64, i64)) {
        let whose = series.as_ref().map_or("all".to_owned(), |series| series.len().to_string());
        self.restored.damage.add(|| {
            let (from, to) = (Timestamp(times.0), Timestamp(times.1));
            format!("batch {id} of the journal is damaged: samples of {whose} series between {from} and {to}")
        });
        self.bad.push(("journal", id));
        match series {
            Some(series) => self.torn.push((series, times)),
            None => self.torn_all.push(times),
        }
    }

    fn replay(&mut self, number: i64, at_ms: i64, series: Vec<SeriesRef>, points: &[Point]) {
        let cut_ms = self.cut_ms(number).unwrap_or(i64::MAX);
        let through = |series: SeriesRef| self.pages.get(&page_of(series)).map_or(0, |page| page.through);
        let wanted = |(series, point): &(SeriesRef, Point)| number > through(*series) && point.t_ms <= cut_ms;
        let points: Vec<(SeriesRef, Point)> = series.into_iter().zip(points.iter().copied()).filter(wanted).collect();
        self.restored.replayed += points.len() as u64;
        self.send(Job::Replay(points, at_ms));
    }
}

fn page_of(series: SeriesRef) -> u32 {
    series.slot() / PAGE
}
