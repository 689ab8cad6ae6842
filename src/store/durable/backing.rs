//! What the writer asks of the place where samples are kept.

use super::batch::Batch;
use super::block::Block;
use super::many::Many;
use crate::ingest::Metadata;
use crate::model::Labels;
use crate::persist::PersistError;
use crate::store::SeriesRef;

/// One transaction.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Series to add.
    pub made: Vec<(SeriesRef, Labels)>,
    /// Series to remove.
    pub gone: Vec<SeriesRef>,
    /// Families to describe.
    pub families: Vec<(String, Metadata)>,
    /// The greatest generation of all series so far.
    pub generation: u32,
    /// Batches of the journal to add.
    pub batches: Vec<Batch>,
    /// Native histograms to add.
    pub histograms: Vec<Many>,
    /// Batches up to this number are in their pages and go.
    pub covered: i64,
    /// Pages as they are.
    pub pages: Vec<PageChange>,
    /// The clock was set back: in what was stored before this number, points after an instant do not count.
    pub rewound: Option<(i64, i64)>,
    /// What ends before this instant goes, a part of it at a time.
    pub cutoff_ms: i64,
    /// Bytes that may be used; 0: any number. The oldest goes, a part of it at a time.
    pub bytes_max: u64,
}

/// A page to store.
#[derive(Clone, Debug)]
pub struct PageChange {
    /// Which.
    pub page: u32,
    /// The last batch of the journal whose points are in it.
    pub through: i64,
    /// The number of the next block of finished chunks, after the one that is added now.
    pub next: u32,
    /// Finished chunks to add.
    pub sealed: Option<Block>,
    /// All that is not finished; takes the place of what was there.
    pub open: Block,
    /// All series of the page, where those that are stored may not be right.
    pub series: Option<Vec<(SeriesRef, Labels)>>,
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Bytes of the file that are in use.
    pub bytes: u64,
    /// The latest instant of what was removed for want of room.
    pub removed_to_ms: Option<i64>,
}

/// Where samples are kept.
pub trait Backing: Send {
    /// Makes sure that there is something to write to. True if it is new and holds nothing.
    fn ready(&mut self) -> Result<bool, PersistError>;

    /// Stores a change, whole or not at all.
    fn commit(&mut self, change: &Change) -> Result<Committed, PersistError>;
}
