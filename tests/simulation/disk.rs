//! The disk of a simulated machine: a store that can be made to fail, and that outlives processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alertd::model::Timestamp;
use alertd::persist::{
    Commit, Committed, Everything, HistoryPage, HistoryQuery, Loaded, MemoryPersist, Moved, NewHistory, Options,
    OutboxQuery, OutboxRow, Persist, PersistError, Settled, SqlitePersist, Stats, Upkeep, Which,
};

/// A store behind a switch.
pub struct Disk {
    inner: Box<dyn Persist>,
    broken: Arc<AtomicBool>,
}

/// What stores for a machine, opened anew by each process.
pub enum Medium {
    Memory(Arc<Disk>),
    Files(tempfile::TempDir, Arc<AtomicBool>),
}

impl Medium {
    pub fn new(on_disk: bool) -> Self {
        let broken = Arc::new(AtomicBool::new(false));
        if on_disk {
            return Self::Files(tempfile::tempdir().unwrap(), broken);
        }
        Self::Memory(Arc::new(Disk { inner: Box::new(MemoryPersist::new()), broken }))
    }

    pub fn open(&self, now: Timestamp) -> Arc<Disk> {
        match self {
            Self::Memory(disk) => Arc::clone(disk),
            Self::Files(dir, broken) => {
                let options = Options { ballast_bytes: 0, ..Options::default() };
                let inner = Box::new(SqlitePersist::open(dir.path(), &options, now).unwrap());
                Arc::new(Disk { inner, broken: Arc::clone(broken) })
            }
        }
    }

    /// From now on nothing can be stored, or it can again.
    pub fn set_broken(&self, is: bool) {
        let broken = match self {
            Self::Memory(disk) => &disk.broken,
            Self::Files(_, broken) => broken,
        };
        broken.store(is, Ordering::Relaxed);
    }
}

impl Disk {
    fn usable(&self) -> Result<&dyn Persist, PersistError> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(PersistError::Full { path: PathBuf::from("state.db") }),
            false => Ok(&*self.inner),
        }
    }
}

impl Persist for Disk {
    fn load(&self) -> Result<Loaded, PersistError> {
        self.inner.load()
    }
    fn commit(&self, commit: &Commit) -> Result<Committed, PersistError> {
        self.usable()?.commit(commit)
    }
    fn rewrite(&self, everything: &Everything) -> Result<(), PersistError> {
        self.usable()?.rewrite(everything)
    }
    fn claim(&self, ids: &[String], run: &str) -> Result<usize, PersistError> {
        self.usable()?.claim(ids, run)
    }
    fn settle(&self, settled: &[Settled], durable: bool) -> Result<usize, PersistError> {
        self.usable()?.settle(settled, durable)
    }
    fn outbox(&self, query: &OutboxQuery) -> Result<Vec<OutboxRow>, PersistError> {
        self.inner.outbox(query)
    }
    fn retry(&self, which: &Which, at: Timestamp) -> Result<usize, PersistError> {
        self.usable()?.retry(which, at)
    }
    fn discard(&self, ids: &[String], history: &[NewHistory]) -> Result<usize, PersistError> {
        self.usable()?.discard(ids, history)
    }
    fn clean_outbox(&self, older_than: Timestamp, now: Timestamp) -> Result<u64, PersistError> {
        self.usable()?.clean_outbox(older_than, now)
    }
    fn move_history(&self, now: Timestamp) -> Result<Moved, PersistError> {
        self.usable()?.move_history(now)
    }
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, PersistError> {
        self.inner.history(query)
    }
    fn clean_history(&self, older_than: Timestamp, rows_max: u64) -> Result<u64, PersistError> {
        self.usable()?.clean_history(older_than, rows_max)
    }
    fn forget_evaluations(&self, older_than: Timestamp) -> Result<u64, PersistError> {
        self.usable()?.forget_evaluations(older_than)
    }
    fn upkeep(&self, now: Timestamp) -> Upkeep {
        self.inner.upkeep(now)
    }
    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}
