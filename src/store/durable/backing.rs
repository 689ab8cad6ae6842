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
    /// What the file tells of itself from then on.
    pub about: About,
    /// Series to add.
    pub made: Vec<(SeriesRef, Labels)>,
    /// Series to remove.
    pub gone: Vec<SeriesRef>,
    /// Families to describe.
    pub families: Vec<(String, Metadata)>,
    /// Batches of the journal to add.
    pub batches: Vec<Batch>,
    /// Native histograms to add.
    pub histograms: Vec<Many>,
    /// Batches up to this number are in their pages and go.
    pub covered: i64,
    /// Histograms noted before this number were stored anew and go, a part of them at a time.
    pub histograms_from: i64,
    /// Pages whose blocks lose what came after an instant to which the clock was set back since.
    pub cut: Vec<u32>,
    /// Pages as they are.
    pub pages: Vec<PageChange>,
    /// The clock was set back: in what was stored before this number, points after an instant do not count.
    pub rewound: Option<(i64, i64)>,
    /// What of the past goes; nothing where only the latest is to be stored.
    pub cleaning: Option<Cleaning>,
}

/// What a file tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The greatest generation of all series so far.
    pub generation: u32,
    /// The number of the last batch that was begun.
    pub number: i64,
    /// Pages that are not yet stored anew: what they hold is in memory only.
    pub unfinished: u32,
}

/// What goes, a part of it at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleaning {
    /// What ends before this instant.
    pub cutoff_ms: i64,
    /// Bytes that may be used, beyond which the oldest goes; 0: any number.
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
    /// All series of the page, where what is stored of it may not be right and goes: series and blocks.
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

/// By what a writer knows the place in which it stored: the number of the last batch, from that which was stored to that
/// which was tried after it and may have been stored, although an error was told.
pub type Known = std::ops::RangeInclusive<i64>;

/// What there is to write to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Whether it is new and holds nothing.
    pub fresh: bool,
    /// What was found in its place and was put aside, and why.
    pub put_aside: Option<String>,
}

/// Where samples are kept.
pub trait Backing: Send {
    /// Makes sure that there is something to write to. What is there and is not `known` is put aside, never written over.
    fn ready(&mut self, known: Option<&Known>) -> Result<Ready, PersistError>;

    /// Stores a change, whole or not at all.
    fn commit(&mut self, change: &Change) -> Result<Committed, PersistError>;
}
