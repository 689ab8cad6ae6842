//! What a process knows that went on without its store, for whoever puts it beside what others stored.

use super::{Keeper, Kept, records};
use crate::persist::{NewHistory, NewNotice, Record};

/// What a process knows by itself.
pub struct Own {
    /// The whole state.
    pub records: Vec<Record>,
    /// Notices that are under way and not stored.
    pub notices: Vec<NewNotice>,
    /// What happened and is not stored.
    pub history: Vec<NewHistory>,
}

impl Keeper {
    /// All that is known here, and what of it waits to be stored.
    pub fn own(&self, kept: &Kept<'_>) -> Own {
        let inner = self.inner();
        let records = records::everything(kept).0.records;
        Own { records, notices: inner.unsaved.all(), history: inner.unsaved_history.clone() }
    }
}
