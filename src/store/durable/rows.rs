//! The tables of `metrics.db`, and how their rows are written.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::backing::{About, Change, PageChange};
use super::batch::Batch;
use super::block::{Block, cut};
use super::many::Many;
use crate::model::Labels;
use crate::persist::sqlite::schema;
use crate::store::SeriesRef;
use crate::store::embedded::PAGE;

/// Each entry leads from the version of its index to the next. A file of an earlier version is read as far as it can be,
/// put aside and stored anew. `id` of a series is its slot and its generation, `id` of
/// a block its page and its number. Labels are JSON, so that other programs can read them.
pub(super) const TABLES: &[&str] = &["
CREATE TABLE meta (id INTEGER PRIMARY KEY, version INTEGER, generation INTEGER, number INTEGER, unfinished INTEGER, crc INTEGER);
CREATE TABLE series (id INTEGER PRIMARY KEY, labels TEXT, crc INTEGER);
CREATE TABLE family (name TEXT PRIMARY KEY, kind TEXT, help TEXT, unit TEXT) WITHOUT ROWID;
CREATE TABLE rewind (id INTEGER PRIMARY KEY, cut_ms INTEGER, crc INTEGER);
CREATE TABLE journal (id INTEGER PRIMARY KEY, at_ms INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, series BLOB, series_crc INTEGER, data BLOB, crc INTEGER);
CREATE TABLE block (id INTEGER PRIMARY KEY, through INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE TABLE page (id INTEGER PRIMARY KEY, through INTEGER, next INTEGER, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE TABLE histogram (id INTEGER PRIMARY KEY, first_ms INTEGER, last_ms INTEGER, points INTEGER, data BLOB, crc INTEGER);
CREATE INDEX histogram_last ON histogram (last_ms);
CREATE INDEX block_last ON block (last_ms);
"];

/// Histograms that one transaction cuts at most.
const CUT_ROWS_MAX: i64 = 64;

/// The checksum of a row: its numbers, then its bytes.
pub(super) fn crc(numbers: &[i64], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    hasher.update(bytes);
    hasher.finalize()
}

/// The numbers of a block that its checksum covers.
pub(super) fn numbers(id: i64, through: i64, next: i64, block: &Block) -> [i64; 6] {
    [id, through, next, block.times.0, block.times.1, block.points.cast_signed()]
}

pub(super) fn put_about(db: &Connection, about: About) -> rusqlite::Result<()> {
    let numbers = [schema::version(TABLES), i64::from(about.generation), about.number, i64::from(about.unfinished)];
    let [version, generation, number, unfinished] = numbers;
    db.prepare_cached("INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2, ?3, ?4, ?5)")?.execute(params![
        version,
        generation,
        number,
        unfinished,
        crc(&numbers, &[])
    ])?;
    Ok(())
}

/// What a file tells of itself and the version that it says it has, if its one row of that is there and right.
pub(super) fn about(db: &Connection) -> rusqlite::Result<Option<(About, i64)>> {
    let sql = "SELECT version, generation, number, unfinished, crc FROM meta WHERE id = 1";
    let read = db.prepare_cached(sql)?.query_row([], |row| {
        let numbers = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        Ok((numbers, row.get::<_, i64>(4)?))
    });
    let Some((numbers, sum)) = read.optional()? else { return Ok(None) };
    let [version, generation, number, unfinished] = numbers;
    let (Ok(generation), Ok(unfinished)) = (u32::try_from(generation), u32::try_from(unfinished)) else {
        return Ok(None);
    };
    let right = sum == i64::from(crc(&numbers, &[]));
    Ok(right.then_some((About { generation, number, unfinished }, version)))
}

/// Whether the tables hold nothing: a file that was made, and whose first change was not stored.
pub(super) fn is_empty(db: &Connection) -> bool {
    let any = "SELECT EXISTS (SELECT 1 FROM series) OR EXISTS (SELECT 1 FROM journal) OR EXISTS (SELECT 1 FROM block) \
               OR EXISTS (SELECT 1 FROM page) OR EXISTS (SELECT 1 FROM histogram)";
    db.query_row(any, [], |row| row.get(0)).is_ok_and(|any: bool| !any)
}

pub(super) fn put_series(db: &Connection, change: &Change) -> rusqlite::Result<()> {
    insert_series(db, &change.made)?;
    let mut remove = db.prepare_cached("DELETE FROM series WHERE id = ?1")?;
    for series in &change.gone {
        remove.execute([series.id()])?;
    }
    let mut describe = db.prepare_cached("INSERT OR REPLACE INTO family VALUES (?1, ?2, ?3, ?4)")?;
    for (name, about) in &change.families {
        describe.execute([name.as_str(), about.kind.as_str(), &about.help, &about.unit])?;
    }
    Ok(())
}

fn insert_series(db: &Connection, made: &[(SeriesRef, Labels)]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO series VALUES (?1, ?2, ?3)")?;
    for (series, labels) in made {
        // Labels are texts: writing them as JSON cannot fail.
        let text = serde_json::to_string(labels).unwrap_or_default();
        insert.execute(params![series.id(), text, crc(&[series.id()], text.as_bytes())])?;
    }
    Ok(())
}

pub(super) fn put_batch(db: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let (first_ms, last_ms) = batch.times;
    let numbers = [batch.number, batch.at_ms, first_ms, last_ms, i64::from(batch.points)];
    db.prepare_cached("INSERT OR REPLACE INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            batch.number,
            batch.at_ms,
            first_ms,
            last_ms,
            batch.points,
            batch.series,
            crc(&numbers, &batch.series),
            batch.values,
            crc(&numbers, &batch.values),
        ],
    )?;
    Ok(())
}

pub(super) fn put_many(db: &Connection, many: &Many) -> rusqlite::Result<()> {
    let numbers = [many.number, many.times.0, many.times.1, i64::from(many.points)];
    let [id, first_ms, last_ms, points] = numbers;
    let sum = crc(&numbers, &many.data);
    db.prepare_cached("INSERT OR REPLACE INTO histogram VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![id, first_ms, last_ms, points, many.data, sum])?;
    Ok(())
}

fn put_block(db: &Connection, id: i64, through: i64, block: &Block) -> rusqlite::Result<()> {
    let numbers = numbers(id, through, 0, block);
    let [id, through, _, first_ms, last_ms, points] = numbers;
    let sum = crc(&numbers, &block.data);
    db.prepare_cached("INSERT OR REPLACE INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![id, through, first_ms, last_ms, points, block.data, sum])?;
    Ok(())
}

pub(super) fn put_page(db: &Connection, change: &PageChange) -> rusqlite::Result<()> {
    let page = i64::from(change.page);
    if let Some(series) = &change.series {
        let first = page * i64::from(PAGE);
        let mut remove = db.prepare_cached("DELETE FROM series WHERE id >= ?1 AND id < ?2")?;
        remove.execute([first << 32, (first + i64::from(PAGE)) << 32])?;
        insert_series(db, series)?;
        db.prepare_cached("DELETE FROM block WHERE id >= ?1 AND id < ?2")?.execute([page << 32, (page + 1) << 32])?;
    }
    if let Some(block) = &change.sealed {
        put_block(db, page << 32 | i64::from(change.next.saturating_sub(1)), change.through, block)?;
    }
    let (block, next) = (&change.open, i64::from(change.next));
    let numbers = numbers(page, change.through, next, block);
    let [page, through, next, first_ms, last_ms, points] = numbers;
    let sum = crc(&numbers, &block.data);
    db.prepare_cached("INSERT OR REPLACE INTO page VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![page, through, next, first_ms, last_ms, points, block.data, sum])?;
    Ok(())
}

pub(super) fn put_rewind(db: &Connection, number: i64, cut_ms: i64) -> rusqlite::Result<()> {
    let sum = crc(&[number, cut_ms], &[]);
    db.prepare_cached("INSERT OR REPLACE INTO rewind VALUES (?1, ?2, ?3)")?.execute(params![number, cut_ms, sum])?;
    Ok(())
}

/// Takes out of blocks and histograms what the clock was set back over, so that what they say of their times is true and
/// they go when their turn comes. A rewind that nothing is left of goes itself.
pub(super) fn cut_back(db: &Connection, change: &Change) -> rusqlite::Result<()> {
    let mut rewinds = db.prepare_cached("SELECT id, cut_ms FROM rewind ORDER BY id")?;
    let rewinds: Vec<(i64, i64)> =
        rewinds.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (number, cut_ms) in rewinds {
        for page in &change.cut {
            cut_blocks(db, *page, (number, cut_ms))?;
        }
        let left = cut_histograms(db, (number, cut_ms))?;
        if number <= change.covered && !left {
            db.prepare_cached("DELETE FROM rewind WHERE id = ?1")?.execute([number])?;
        }
    }
    Ok(())
}

fn cut_blocks(db: &Connection, page: u32, (number, cut_ms): (i64, i64)) -> rusqlite::Result<()> {
    let mut later = db.prepare_cached(
        "SELECT id, through, first_ms, last_ms, points, data, crc FROM block \
         WHERE id >= ?1 AND id < ?2 AND last_ms > ?3 AND through < ?4",
    )?;
    let first = i64::from(page) << 32;
    let mut rows = later.query([first, first + (1 << 32), cut_ms, number])?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next()? {
        let [id, through, first_ms, last_ms, points] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let data = row.get_ref(5)?.as_bytes().unwrap_or(&[]);
        // One that is damaged is told at the next start.
        let right = crc(&[id, through, 0, first_ms, last_ms, points], data);
        let Some(chunks) = Block::chunks(page, data).filter(|_| row.get(6) == Ok(i64::from(right))) else { continue };
        let mut block = Block::new(&cut(chunks, cut_ms));
        // The order of the ends of a page's blocks stays: they must go in the order of their numbers.
        block.times = (first_ms.min(cut_ms), last_ms.min(cut_ms));
        blocks.push((id, block));
    }
    blocks.iter().try_for_each(|(id, block)| put_block(db, *id, number, block))
}

/// Whether there are more.
fn cut_histograms(db: &Connection, (number, cut_ms): (i64, i64)) -> rusqlite::Result<bool> {
    let mut later = db.prepare_cached(
        "SELECT id, first_ms, last_ms, points, data, crc FROM histogram WHERE last_ms > ?1 AND id < ?2 LIMIT ?3",
    )?;
    let found = later.query_map([cut_ms, number, CUT_ROWS_MAX], |row| {
        let numbers = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let data = row.get_ref(4)?.as_bytes().unwrap_or(&[]);
        let right = row.get(5) == Ok(i64::from(crc(&numbers, data)));
        Ok((numbers[0], Many::unpack(data).filter(|_| right)))
    })?;
    let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
    for (id, histograms) in &found {
        let Some(histograms) = histograms else {
            // Damaged: told at the next start, and not looked at again before.
            db.prepare_cached("UPDATE histogram SET last_ms = ?2 WHERE id = ?1")?.execute([*id, cut_ms])?;
            continue;
        };
        let kept: Vec<_> = histograms.iter().filter(|(_, point)| point.t_ms <= cut_ms).cloned().collect();
        db.prepare_cached("DELETE FROM histogram WHERE id = ?1")?.execute([*id])?;
        if !kept.is_empty() {
            put_many(db, &Many::new(*id, &kept).0)?;
        }
    }
    Ok(found.len() as i64 == CUT_ROWS_MAX)
}
