//! Where the rows of the outbox stand: by handler, state and position, in memory.
//!
//! Tables have no second index, so that no row can be in one and not in the other; this one is made from the rows when
//! the files are opened and follows every transaction. It answers what would read the whole table: pages, counts, the
//! oldest dead rows. It holds no payload.

use std::collections::BTreeMap;

use crate::model::Timestamp;
use crate::persist::memory::counted;
use crate::persist::plan::Change;
use crate::persist::{OutboxCount, OutboxQuery, OutboxRow, OutboxState};

/// A row in its list.
#[derive(Clone, Debug)]
struct Place {
    id: String,
    created: Timestamp,
    dead_at: Option<Timestamp>,
}

/// All rows.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By handler and state, then by position.
    lists: BTreeMap<(String, OutboxState), BTreeMap<u64, Place>>,
    /// The list and position of each row.
    rows: BTreeMap<String, ((String, OutboxState), u64)>,
}

impl Places {
    pub fn of<'a>(rows: impl Iterator<Item = &'a OutboxRow>) -> Self {
        let mut places = Self::default();
        rows.for_each(|row| places.put(row));
        places
    }

    fn put(&mut self, row: &OutboxRow) {
        self.remove(&row.id);
        let list = (row.handler.clone(), row.state);
        let place = Place { id: row.id.clone(), created: row.created, dead_at: row.dead_at };
        self.lists.entry(list.clone()).or_default().insert(row.position, place);
        self.rows.insert(row.id.clone(), (list, row.position));
    }

    fn remove(&mut self, id: &str) {
        let Some((list, position)) = self.rows.remove(id) else { return };
        if let Some(places) = self.lists.get_mut(&list) {
            places.remove(&position);
            if places.is_empty() {
                self.lists.remove(&list);
            }
        }
    }

    /// Follows a transaction that was stored.
    pub fn follow(&mut self, changes: &[Change<'_>]) {
        for change in changes {
            match change {
                Change::PutNotice(row) => self.put(row),
                Change::DeleteNotice(id) => self.remove(id),
                _ => {}
            }
        }
    }

    /// The ids of a page, by position.
    pub fn page(&self, query: &OutboxQuery) -> Vec<String> {
        let most = query.rows();
        let begin = query.after.map_or(0, |after| after.saturating_add(1));
        let lists = self.lists.iter().filter(|((handler, state), _)| {
            query.handler.as_ref().is_none_or(|wanted| wanted == handler) && query.state.is_none_or(|s| s == *state)
        });
        let mut found: Vec<(u64, &Place)> =
            lists.flat_map(|(_, places)| places.range(begin..).take(most)).map(|(at, place)| (*at, place)).collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().take(most).map(|(_, place)| place.id.clone()).collect()
    }

    fn dead(&self, handler: &str) -> impl DoubleEndedIterator<Item = &Place> + ExactSizeIterator {
        static NONE: BTreeMap<u64, Place> = BTreeMap::new();
        self.lists.get(&(handler.to_owned(), OutboxState::Dead)).unwrap_or(&NONE).values()
    }

    /// The dead rows of a handler but the newest `kept`, the oldest first.
    pub fn dead_but(&self, handler: &str, kept: usize) -> Vec<String> {
        let dead = self.dead(handler);
        let over = dead.len().saturating_sub(kept);
        dead.take(over).map(|place| place.id.clone()).collect()
    }

    /// Dead rows that were given up before a time, at most so many.
    pub fn dead_before(&self, time: Timestamp, most: usize) -> Vec<String> {
        let lists = self.lists.iter().filter(|((_, state), _)| *state == OutboxState::Dead);
        let old =
            lists.flat_map(|(_, places)| places.values()).filter(|place| place.dead_at.is_some_and(|at| at < time));
        old.take(most).map(|place| place.id.clone()).collect()
    }

    /// How many there are.
    pub fn counts(&self) -> Vec<OutboxCount> {
        let rows = self.lists.iter().flat_map(|((handler, state), places)| {
            places.values().map(move |place| (handler.as_str(), *state, place.created))
        });
        counted(rows)
    }
}
