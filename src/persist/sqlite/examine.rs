//! Reads a state file that nobody uses, whole, and says what of it can be trusted. Changes no byte of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::db::{self, StateDb, Tally};
use super::rows::{Columns, RawNotice, RawRecord, Stored};
use super::schema;
use crate::persist::plan::Head;
use crate::persist::{Damage, HistoryRow, PersistError};

/// The rows of one table.
#[derive(Debug)]
pub(super) struct Rows<T: Stored> {
    pub good: BTreeMap<T::Key, T>,
    /// Rows that fail their checksum and whose key can be read.
    pub bad: BTreeSet<T::Key>,
    /// Rows that fail it and whose key cannot be read.
    pub nameless: u64,
    /// Whether the walk over the table reached its end.
    pub whole: bool,
}

impl<T: Stored> Default for Rows<T> {
    fn default() -> Self {
        Self { good: BTreeMap::new(), bad: BTreeSet::new(), nameless: 0, whole: true }
    }
}

impl<T: Stored> Rows<T> {
    /// Reads forward; where a page cannot be read, also backward from the end up to it.
    fn read(db: &Connection) -> Self {
        let mut rows = Self::default();
        if rows.walk(db, T::TABLE.forward).is_err() {
            rows.whole = false;
            let _ = rows.walk(db, T::TABLE.backward);
        }
        rows
    }

    fn walk(&mut self, db: &Connection, sql: &str) -> rusqlite::Result<()> {
        let mut statement = db.prepare(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let row = Columns(row);
            match (T::checked(&row), T::read_key(&row)) {
                (Some(good), _) => _ = self.good.insert(good.key(), good),
                (None, Some(key)) => _ = self.bad.insert(key),
                (None, None) => self.nameless += 1,
            }
        }
        Ok(())
    }

    fn tally(&self, tally: &mut Tally) {
        self.good.values().for_each(|row| tally.add(row.crc()));
    }

    fn bad_rows(&self) -> u64 {
        self.bad.len() as u64 + self.nameless
    }

    fn seq(&self) -> u64 {
        self.good.values().map(Stored::seq).max().unwrap_or(0)
    }

    /// The rows of two files: of each key the later one. A key that one file lacks was deleted there if that file
    /// knows: it is complete and not older.
    fn merge(self, mut other: Self, self_knows: bool, other_knows: bool) -> (Self, Vec<T::Key>) {
        let mut merged = Self::default();
        for (key, row) in self.good {
            match other.good.remove(&key) {
                Some(twin) => {
                    let later = if twin.seq() > row.seq() { twin } else { row };
                    merged.good.insert(key, later);
                }
                None if other_knows && !other.bad.contains(&key) => {}
                None => _ = merged.good.insert(key, row),
            }
        }
        for (key, row) in other.good {
            if !self_knows || self.bad.contains(&key) {
                merged.good.insert(key, row);
            }
        }
        let lost = self.bad.union(&other.bad).filter(|key| !merged.good.contains_key(*key)).cloned().collect();
        (merged, lost)
    }
}

/// All rows of a state.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub head: Head,
    pub records: Rows<RawRecord>,
    pub outbox: Rows<RawNotice>,
    pub staged: Rows<HistoryRow>,
}

impl Contents {
    /// Reads the rows of an open file if they are all there and right.
    pub fn whole_of(file: &StateDb, head: Head) -> Option<Self> {
        let contents = Self::read(&file.db);
        (contents.whole() && contents.tally() == file.tally).then_some(Self {
            head: Head { outbox: contents.head.outbox, staged: contents.head.staged, ..head },
            ..contents
        })
    }

    /// Reads what can be read.
    pub fn read(db: &Connection) -> Self {
        let mut contents =
            Self { head: Head::default(), records: Rows::read(db), outbox: Rows::read(db), staged: Rows::read(db) };
        contents.count();
        contents
    }

    fn count(&mut self) {
        self.head.outbox = self.outbox.good.len() as u64;
        self.head.staged = self.staged.good.len() as u64;
    }

    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.records.tally(&mut tally);
        self.outbox.tally(&mut tally);
        self.staged.tally(&mut tally);
        tally
    }

    fn whole(&self) -> bool {
        self.records.whole && self.outbox.whole && self.staged.whole
    }

    fn bad_rows(&self) -> u64 {
        self.records.bad_rows() + self.outbox.bad_rows() + self.staged.bad_rows()
    }

    /// The numbers that the rows themselves prove to be given.
    fn least_head(&self) -> Head {
        Head {
            seq: self.records.seq().max(self.outbox.seq()),
            position: self.outbox.good.values().map(|notice| notice.row.position).max().unwrap_or(0),
            number: self.staged.good.keys().copied().max().unwrap_or(0),
            ..self.head
        }
    }
}

/// What one file is.
#[derive(Debug)]
pub(super) enum Found {
    /// There is none.
    Missing,
    /// A later version's.
    Newer(i64),
    /// All of it is as it was stored.
    Healthy(Contents),
    /// Some of it may be.
    Damaged(Partial),
    /// The operating system did not let us look.
    Unreadable(PersistError),
}

/// What could be read of a damaged file.
#[derive(Debug)]
pub(super) struct Partial {
    pub contents: Contents,
    /// What was found, in words.
    pub what: String,
    /// Whether a row that is neither good nor bad is one that was deleted.
    knows: bool,
}

impl Found {
    /// Examines a file.
    pub fn at(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::Missing,
            Err(error) => return Self::Unreadable(PersistError::Io { path: path.to_owned(), source: error.into() }),
            Ok(_) => {}
        }
        let found = schema::untouched(path).and_then(|db| examine(&db));
        found.unwrap_or_else(|error| {
            // What the disk does not give back is damage; a file that cannot even be opened may be whole.
            let unread = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
            match schema::meaning(path, error) {
                PersistError::Damaged { what, .. } => Self::Damaged(Partial::nothing(what)),
                other if unread => Self::Damaged(Partial::nothing(other.to_string())),
                other => Self::Unreadable(other),
            }
        })
    }
}

fn examine(db: &Connection) -> rusqlite::Result<Found> {
    let known = schema::version(schema::STATE);
    let version = schema::version_of(db)?;
    // The version is in the head of the file and in `meta`: if they disagree, one of them is damaged.
    let meta = db::read_meta(db).unwrap_or(None);
    if version > known && meta.as_ref().is_none_or(|(.., stored)| *stored > known) {
        return Ok(Found::Newer(version));
    }
    let check = db.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    let mut contents = Contents::read(db);
    let made = schema::made_layout(schema::STATE)?;
    let right_layout = schema::layout(db).is_ok_and(|found| found == made);
    let tally = contents.tally();
    let structure = match check {
        Ok(words) if words != "ok" => Some(words.lines().next().unwrap_or("").to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(_) if !contents.whole() => Some("a table cannot be read to its end".to_owned()),
        Ok(_) if version != known => Some(format!("the head of the file gives version {version}")),
        Ok(_) if !right_layout => Some("the tables are not as they were made".to_owned()),
        Ok(_) => None,
    };
    let bad = contents.bad_rows();
    let (what, knows) = match (&meta, structure) {
        (_, Some(what)) => (what, false),
        (None, None) => ("the row of table meta fails its checksum".to_owned(), false),
        (Some((_, stored, _)), None) if bad > 0 => {
            let nameless = contents.records.nameless + contents.outbox.nameless + contents.staged.nameless;
            (format!("{bad} rows fail their checksum"), nameless == 0 && stored.rows == tally.rows + bad)
        }
        (Some((_, stored, _)), None) if *stored != tally => {
            ("rows of different times: a part of the log is missing".to_owned(), false)
        }
        (Some((head, ..)), None) => {
            contents.head = Head { outbox: contents.head.outbox, staged: contents.head.staged, ..*head };
            return Ok(Found::Healthy(contents));
        }
    };
    let least = contents.least_head();
    contents.head = meta.map_or(least, |(head, ..)| Head {
        seq: head.seq.max(least.seq),
        position: head.position.max(least.position),
        number: head.number.max(least.number),
        ..least
    });
    Ok(Found::Damaged(Partial { contents, what, knows }))
}

impl Partial {
    /// Of a file of which nothing could be read.
    pub fn nothing(what: String) -> Self {
        Self { contents: Contents::default(), what, knows: false }
    }

    /// A healthy file, as one of two to be merged.
    pub fn healthy(contents: Contents) -> Self {
        Self { contents, what: String::new(), knows: true }
    }

    /// All that can be had of two files, and what is lost.
    pub fn merge(self, other: Self, file: &str) -> (Contents, Vec<Damage>) {
        let [a, b] = [self.contents.head, other.contents.head];
        let [self_knows, other_knows] = [self.knows && a.seq >= b.seq, other.knows && b.seq >= a.seq];
        let mut damages = Vec::new();
        let (records, lost) = self.contents.records.merge(other.contents.records, self_knows, other_knows);
        tell::<RawRecord>(file, lost, &mut damages);
        let (outbox, lost) = self.contents.outbox.merge(other.contents.outbox, self_knows, other_knows);
        tell::<RawNotice>(file, lost, &mut damages);
        let (staged, lost) = self.contents.staged.merge(other.contents.staged, self_knows, other_knows);
        tell::<HistoryRow>(file, lost, &mut damages);
        // Ahead of both: whoever compares numbers later sees that this is the last word.
        let head = Head {
            seq: a.seq.max(b.seq) + 1,
            position: a.position.max(b.position),
            number: a.number.max(b.number),
            ..Head::default()
        };
        let mut contents = Contents { head, records, outbox, staged };
        contents.count();
        (contents, damages)
    }
}

fn tell<T: Stored>(file: &str, lost: Vec<T::Key>, damages: &mut Vec<Damage>) {
    damages.extend(lost.into_iter().map(|key| Damage {
        file: file.to_owned(),
        table: Some(T::TABLE.name),
        what: format!("{} is damaged in the file and in its copy, and is lost", T::words(&key)),
        id: Some(T::words(&key)),
        lost: true,
    }));
}
