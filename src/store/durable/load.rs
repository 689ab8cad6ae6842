//! The start: what `metrics.db` holds goes back into the store, and what cannot be read is told.
//!
//! Rows are read here; a helper thread puts them into the store meanwhile. A row whose checksum is wrong is left out, goes
//! into quarantine and is removed. A file whose structure is damaged is read as far as it can be and goes into quarantine
//! whole; all that was read is then stored anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::Connection;

use super::file::{FILE, TABLES};
use super::helper::{Job, help};
use super::reading::is_damage;
use crate::model::Timestamp;
use crate::persist::PersistError;
use crate::persist::sqlite::{disk, schema};
use crate::store::SeriesRef;
use crate::store::embedded::{EmbeddedStore, Lost};

/// Work that may wait for the helper.
const JOBS_MAX: usize = 64;
/// Damages told in words.
const TOLD_MAX: usize = 20;

/// What was damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Rows that could not be read, or places where rows are missing.
    pub rows: u64,
    /// The first of them in words.
    pub told: Vec<String>,
    /// Whether the file itself was damaged, and is in quarantine.
    pub file: bool,
}

impl Damage {
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        self.rows += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what());
        }
    }
}

/// Where a writer goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The number of the last batch.
    pub number: i64,
    /// By page.
    pub pages: Vec<PageStart>,
    /// The greatest generation of all series.
    pub generation: u32,
    /// Whether all must be stored anew.
    pub fresh: bool,
}

/// Where a writer goes on with one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// The last batch whose points are in it as it is stored.
    pub through: i64,
    /// The number of its next block.
    pub next: u32,
    /// Where its blocks end.
    pub last_ms: i64,
}

impl Default for PageStart {
    fn default() -> Self {
        Self { through: 0, next: 0, last_ms: i64::MIN }
    }
}

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Series.
    pub series: u64,
    /// Points in chunks.
    pub points: u64,
    /// Points of the journal that were in no page yet.
    pub replayed: u64,
    /// What was damaged.
    pub damage: Damage,
    /// For the writer.
    pub start: Start,
}

/// Reads the samples of a data directory into an empty store.
pub fn load(dir: &Path, store: &EmbeddedStore, now: Timestamp) -> Result<Restored, PersistError> {
    let path = dir.join(FILE);
    let mut restored = Restored::default();
    if disk::len(&path) == 0 {
        store.restored(0, now.0);
        return Ok(restored);
    }
    let opened = open(&path);
    let read = opened.and_then(|db| {
        let found = schema::version_of(&db)?;
        if found > schema::version(TABLES) {
            return Ok(Some(found));
        }
        if found == schema::version(TABLES) {
            read_all(&db, store, now, &mut restored)?;
        }
        Ok(None)
    });
    store.restored(restored.start.generation.saturating_add(1), now.0);
    match read {
        Ok(None) => {}
        Ok(Some(found)) => return Err(PersistError::Newer { path, found, known: schema::version(TABLES) }),
        Err(error) if is_damage(&error) => {
            restored.damage.file = true;
            restored.damage.add(|| format!("{FILE} cannot be read: {error}"));
        }
        Err(error) => return Err(schema::meaning(&path, error)),
    }
    if restored.damage.file {
        restored.start.fresh = true;
        // Where that fails, the disk cannot be written either, and the writer tells it.
        let _ = disk::quarantine(&path, now);
    }
    Ok(restored)
}

/// To read and to mend; where nothing can be written, to read.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let writable = schema::open(path).and_then(|db| schema::version_of(&db).map(|_| db));
    writable.or_else(
        |error| if is_damage(&error) && !disk::is_read_only(path) { Err(error) } else { schema::untouched(path) },
    )
}

/// What a page lost: the times within which samples may be missing.
pub(super) struct Gap {
    pub(super) page: u32,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// What is known of a page while it is read.
#[derive(Clone, Copy, Default)]
pub(super) struct PageState {
    pub(super) through: i64,
    /// The number of the next block, as far as blocks were seen.
    pub(super) next: u32,
    pub(super) last_ms: i64,
    pub(super) seen: bool,
}

impl PageState {
    fn start(self) -> PageStart {
        let last_ms = if self.seen { self.last_ms } else { i64::MIN };
        PageStart { through: self.through, next: self.next, last_ms }
    }
}

/// A file that is being read.
pub(super) struct Loading<'a> {
    pub(super) db: &'a Connection,
    pub(super) jobs: Option<SyncSender<Job>>,
    pub(super) now: Timestamp,
    pub(super) restored: &'a mut Restored,
    pub(super) pages: BTreeMap<u32, PageState>,
    pub(super) gaps: Vec<Gap>,
    /// Series whose latest samples may be lost with a batch, and when.
    pub(super) torn: Vec<(Vec<SeriesRef>, (i64, i64))>,
    /// Times of batches of which not even the series are known.
    pub(super) torn_all: Vec<(i64, i64)>,
    pub(super) rewinds: Vec<(i64, i64)>,
    pub(super) bad: Vec<(&'static str, i64)>,
    pub(super) generation: u32,
}

fn read_all(db: &Connection, store: &EmbeddedStore, now: Timestamp, restored: &mut Restored) -> rusqlite::Result<()> {
    let (jobs, work) = sync_channel(JOBS_MAX);
    let mut loading = Loading {
        db,
        jobs: Some(jobs),
        now,
        restored,
        pages: BTreeMap::new(),
        gaps: Vec::new(),
        torn: Vec::new(),
        torn_all: Vec::new(),
        rewinds: Vec::new(),
        bad: Vec::new(),
        generation: 0,
    };
    let (read, helped) = std::thread::scope(|scope| {
        let helper = scope.spawn(move || help(store, &work));
        let read = loading.tables(store);
        // Without a sender the helper comes to its end.
        loading.jobs = None;
        (read, helper.join().unwrap_or_default())
    });
    read?;
    loading.restored.series = helped.series;
    loading.restored.points = helped.points;
    for id in helped.refused {
        loading.restored.damage.add(|| format!("series {id} has labels that cannot be read, or that another has"));
    }
    loading.finish(store);
    Ok(())
}

impl Loading<'_> {
    /// What is lost of which series, and what the writer goes on with.
    fn finish(mut self, store: &EmbeddedStore) {
        let mut lost = Vec::new();
        for gap in &self.gaps {
            let of_page = store.series_of_page(gap.page).into_iter().map(|(series, _)| series);
            let one = |series| Lost { series, from_ms: gap.from_ms, to_ms: gap.to_ms, windows: true };
            lost.extend(of_page.map(one));
        }
        let mut torn = std::mem::take(&mut self.torn);
        if !self.torn_all.is_empty() {
            let all: Vec<SeriesRef> =
                (0..store.page_count()).flat_map(|page| store.series_of_page(page)).map(|(series, _)| series).collect();
            torn.extend(self.torn_all.iter().map(|times| (all.clone(), *times)));
        }
        for (series, (from_ms, to_ms)) in torn {
            lost.extend(series.into_iter().map(|series| Lost { series, from_ms, to_ms, windows: false }));
        }
        store.set_lost(lost);
        let count = store.page_count();
        let state = |page: u32| self.pages.get(&page).copied().unwrap_or_default();
        self.restored.start.pages = (0..count).map(state).map(PageState::start).collect();
        if !self.restored.damage.file {
            self.set_aside();
        }
    }

    /// Moves damaged rows out of the file, into files of their own beside it.
    fn set_aside(&self) {
        for (table, id) in &self.bad {
            let data = self.db.query_row(&format!("SELECT * FROM {table} WHERE id = ?1"), [id], |row| {
                let columns = row.as_ref().column_count();
                Ok((0..columns).map(|i| format!("{:?}", row.get_ref(i))).collect::<Vec<_>>().join("\n"))
            });
            let path = self.db.path().map(Path::new).and_then(Path::parent);
            if let (Ok(data), Some(dir)) = (data, path) {
                let _ = disk::keep_damaged(dir, &format!("{FILE}.{table}.{id}"), data.as_bytes(), self.now);
            }
            // A row that cannot be removed is found again at the next start.
            let _ = self.db.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id]);
        }
    }
}
