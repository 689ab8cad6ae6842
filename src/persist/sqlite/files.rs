//! The state and its copy while the process runs: each transaction goes to both; what breaks is made anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::config::DbConfig;

use super::db::StateDb;
use super::disk::{self, Ballast};
use super::examine::Contents;
use super::lock;
use super::places::Places;
use super::recover::{COPY_FILE, Recovered, STATE_FILE, recover, write_anew};
use crate::model::Timestamp;
use crate::persist::plan::{Head, Lost, Plan, View};
use crate::persist::{Damage, Kind, Loaded, OpenError, OutboxState, PersistError, Record, Upkeep};

/// The two files and what is known of them.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    primary: Option<StateDb>,
    mirror: Option<StateDb>,
    /// Why nothing can be stored; upkeep tries to end it.
    fault: Option<PersistError>,
    /// How the last transaction failed, if it did.
    failed: Option<PersistError>,
    head: Head,
    /// Where the rows of the outbox stand. Held to look or to follow, never while something is stored.
    pub places: Arc<Mutex<Places>>,
    pub ballast: Ballast,
    /// What was read when the files were opened, until the next commit or the first [`Self::load`].
    loaded: Option<Loaded>,
    damages: Vec<Damage>,
    damages_count: u64,
    restored: bool,
}

impl Files {
    /// Opens the files of a directory that exists.
    pub fn open(dir: PathBuf, ballast: u64, now: Timestamp, base: impl Fn(&Head) -> u64) -> Result<Self, OpenError> {
        let mut ballast = Ballast::new(&dir, ballast);
        let _ = disk::remove_orphans(&[STATE_FILE, COPY_FILE, "ballast"].map(|name| dir.join(name)));
        let mut recovered = recover(&dir, now, &base)?;
        let short = matches!(recovered.fault, Some(PersistError::Full { .. })) || recovered.mirror.is_none();
        if short && ballast.give_up() {
            drop(recovered);
            recovered = recover(&dir, now, &base)?;
        }
        let mut files = Self {
            dir,
            primary: None,
            mirror: None,
            fault: None,
            failed: None,
            head: Head::default(),
            places: Arc::default(),
            ballast,
            loaded: None,
            damages: Vec::new(),
            damages_count: 0,
            restored: false,
        };
        files.take(recovered);
        files.ballast.restore();
        Ok(files)
    }

    fn take(&mut self, recovered: Recovered) -> Vec<Damage> {
        let Recovered { contents, known, primary, mirror, fault, damages, restored } = recovered;
        self.head = contents.head;
        self.stand(&contents);
        (self.primary, self.mirror, self.fault, self.failed) = (primary, mirror, fault, None);
        self.damages_count += damages.len() as u64;
        let room = Loaded::DAMAGES_MAX.saturating_sub(self.damages.len());
        self.damages.extend(damages.iter().take(room).cloned());
        self.restored |= restored;
        self.loaded = known.then(|| as_loaded(contents));
        damages
    }

    /// Finds the places of all rows anew.
    fn stand(&self, contents: &Contents) {
        *lock(&self.places) = Places::of(contents.outbox.good.values().map(|notice| &notice.row));
    }

    /// How many rows there are, and the last numbers.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Why nothing can be stored.
    pub fn fault(&self) -> Option<PersistError> {
        self.fault.as_ref().map(PersistError::again)
    }

    /// Whether the copy is up to date.
    pub fn mirrored(&self) -> bool {
        self.mirror.is_some()
    }

    /// Damaged records seen since the start.
    pub fn damages_count(&self) -> u64 {
        self.damages_count
    }

    /// A reader saw damage: nothing more is stored until upkeep has examined the files.
    pub fn suspect(&mut self, error: &PersistError) {
        if matches!(error, PersistError::Damaged { .. }) && self.fault.is_none() {
            self.fault = Some(error.again());
        }
    }

    /// All that is stored.
    pub fn load(&mut self) -> Result<Loaded, PersistError> {
        let mut loaded = match (self.loaded.take(), &self.primary) {
            // Nothing can be stored: who asks again gets it again.
            (Some(loaded), None) => {
                self.loaded = Some(loaded.clone());
                loaded
            }
            (Some(loaded), Some(_)) => loaded,
            (None, primary) => {
                let Some(contents) = primary.as_ref().and_then(|primary| Contents::whole_of(primary, self.head)) else {
                    let error = self.unusable("rows fail their checksum");
                    self.suspect(&error);
                    return Err(error);
                };
                as_loaded(contents)
            }
        };
        loaded.damages = self.damages.clone();
        loaded.damages_count = self.damages_count;
        loaded.restored_from_mirror = self.restored;
        Ok(loaded)
    }

    fn unusable(&self, what: &str) -> PersistError {
        self.fault().unwrap_or_else(|| PersistError::Damaged { path: self.dir.join(STATE_FILE), what: what.to_owned() })
    }

    /// Stores one transaction; on a full disk once more after giving up the ballast and emptying the logs.
    pub fn write<'a, T>(
        &mut self,
        durable: bool,
        plan: &mut dyn FnMut(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<(T, Lost), PersistError> {
        let mut result = self.attempt(durable, plan);
        if matches!(result, Err(PersistError::Full { .. })) {
            self.ballast.give_up();
            self.mirror.iter().chain(&self.primary).for_each(StateDb::empty_log);
            result = self.attempt(durable, plan);
        }
        self.failed = result.as_ref().err().map(PersistError::again);
        result
    }

    fn attempt<'a, T>(
        &mut self,
        durable: bool,
        plan: &mut dyn FnMut(&mut Plan<'a>, &dyn View) -> Result<T, PersistError>,
    ) -> Result<(T, Lost), PersistError> {
        if let Some(fault) = &self.fault {
            return Err(fault.again());
        }
        let Some(primary) = &mut self.primary else { return Err(self.unusable("it is not open")) };
        let written = primary.check_place().and_then(|()| primary.write((self.head, &self.places), durable, plan));
        let (planned, done) = match written {
            Ok(written) => written,
            Err(error) => {
                self.suspect(&error);
                return Err(error);
            }
        };
        if planned.head != self.head {
            self.head = planned.head;
            self.loaded = None;
            lock(&self.places).follow(&planned.changes);
            // A copy that missed one transaction must not take the next: upkeep makes it anew.
            let follow = |mirror: &mut StateDb| mirror.check_place().and_then(|()| mirror.follow(&planned, primary));
            if self.mirror.as_mut().is_some_and(|mirror| follow(mirror).is_err()) {
                self.mirror = None;
            }
        }
        Ok((done, planned.lost))
    }

    /// Repairs what can be repaired.
    pub fn upkeep(&mut self, now: Timestamp, base: impl Fn(&Head) -> u64, report: &mut Upkeep) {
        report.ballast_restored = self.ballast.restore();
        if report.ballast_restored && matches!(self.failed, Some(PersistError::Full { .. })) {
            self.failed = None;
        }
        if self.primary.as_ref().is_some_and(|primary| primary.check_place().is_err()) {
            report.rewritten = self.move_out(now);
        } else if self.fault.is_some()
            || matches!(self.failed, Some(PersistError::Io { .. } | PersistError::ReadOnly { .. }))
        {
            // A file opened while it could only be read stays so until it is opened again.
            self.repair(now, base, report);
        }
        if self.mirror.as_ref().is_some_and(|mirror| mirror.check_place().is_err()) {
            self.mirror = None;
        }
        if self.mirror.is_none() && self.fault.is_none() && !self.ballast.short {
            report.mirror_rebuilt = self.rebuild_mirror();
        }
        // The log of the state is shortened by a connection of its own, for which no commit waits.
        self.primary.iter().for_each(|primary| primary.rest(u64::MAX));
        self.mirror.iter().for_each(|mirror| mirror.rest(super::LOG_LEN_KEPT));
        report.trouble = self.fault().or(self.failed.as_ref().map(PersistError::again));
    }

    /// The directory or the file was deleted or replaced: the state is still in the file that we hold, and goes into a
    /// new one from there. What lies in its place is kept in quarantine.
    fn move_out(&mut self, now: Timestamp) -> bool {
        let Some(primary) = &self.primary else { return false };
        let head = Head { seq: self.head.seq + 1, ..self.head };
        let contents = Contents::whole_of(primary, head)
            .unwrap_or_else(|| Contents { head: Head { outbox: 0, staged: 0, ..head }, ..Contents::default() });
        let write = || {
            std::fs::create_dir_all(&self.dir)
                .map_err(|source| PersistError::Io { path: self.dir.clone(), source: source.into() })?;
            let [primary, mirror] = [STATE_FILE, COPY_FILE].map(|name| self.dir.join(name));
            write_anew(&mirror, &contents, Some(now))?;
            write_anew(&primary, &contents, Some(now))?;
            let tally = contents.tally();
            Ok((StateDb::open(&primary, tally, false)?, StateDb::open(&mirror, tally, true)?))
        };
        match write() {
            Ok((primary, mirror)) => {
                (self.primary, self.mirror, self.fault) = (Some(primary), Some(mirror), None);
                self.failed = None;
                self.head = contents.head;
                self.stand(&contents);
                self.loaded = None;
                true
            }
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }

    /// Damage, or a disk that could not be written: begins again from the files.
    fn repair(&mut self, now: Timestamp, base: impl Fn(&Head) -> u64, report: &mut Upkeep) {
        for file in self.primary.take().into_iter().chain(self.mirror.take()) {
            // What is in memory of a damaged file must not be written over it.
            let _ = file.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        let known = self.head.seq;
        match std::fs::create_dir_all(&self.dir).map(|()| recover(&self.dir, now, base)) {
            Ok(Ok(recovered)) => {
                report.rewritten = recovered.primary.is_some() && recovered.contents.head.seq != known;
                report.damages = self.take(recovered);
            }
            Ok(Err(OpenError::Newer { path, found, known })) => {
                self.fault = Some(PersistError::Newer { path, found, known });
            }
            Ok(Err(OpenError::Directory { path, source })) => {
                self.fault = Some(PersistError::Io { path, source: source.into() });
            }
            Err(source) => self.fault = Some(PersistError::Io { path: self.dir.clone(), source: source.into() }),
        }
    }

    fn rebuild_mirror(&mut self) -> bool {
        let Some(primary) = &self.primary else { return false };
        let Some(contents) = Contents::whole_of(primary, self.head) else {
            self.fault = Some(self.unusable("rows fail their checksum"));
            return false;
        };
        let path = self.dir.join(COPY_FILE);
        let written = write_anew(&path, &contents, None).and_then(|()| StateDb::open(&path, primary.tally, true));
        if matches!(written, Err(PersistError::Full { .. })) {
            self.ballast.short = true;
        }
        self.mirror = written.ok();
        self.mirror.is_some()
    }
}

/// What a caller wants to know of the rows.
fn as_loaded(contents: Contents) -> Loaded {
    let mut loaded = Loaded::default();
    for raw in contents.records.good.into_values() {
        match Kind::from_name(&raw.kind) {
            Some(kind) => loaded.records.entry(kind).or_default().push(Record { kind, id: raw.id, value: raw.value }),
            None => loaded.unknown += 1,
        }
    }
    let rows = contents.outbox.good.into_values().map(|notice| notice.row);
    loaded.outbox = rows.filter(|row| row.state == OutboxState::Pending).collect();
    loaded.outbox.sort_by_key(|row| row.position);
    for row in &mut loaded.outbox {
        row.maybe_sent |= row.claimed_by.is_some();
    }
    loaded
}
