//! From two state files, whatever their condition, to one state and two good files.
//!
//! A healthy file is used as it is; of two, the one with the later transaction. Where none is healthy, every row that can
//! be read is taken, from either. A file is only replaced by a finished one, and what was damaged is kept in
//! `quarantine/`. The copy is replaced first, so that at every instant the state is whole in one of the two.

use std::path::{Path, PathBuf};

use super::db::{self, StateDb};
use super::disk;
use super::examine::{Contents, Found, Partial};
use super::rows::Stored as _;
use super::schema;
use crate::model::Timestamp;
use crate::persist::plan::Head;
use crate::persist::{Damage, OpenError, PersistError};

/// The state.
pub(crate) const STATE_FILE: &str = "state.db";
/// Its copy.
pub(super) const COPY_FILE: &str = "state-copy.db";

/// The state as found, and the files as far as they can be used.
#[derive(Debug)]
pub(super) struct Recovered {
    pub contents: Contents,
    /// Whether the contents are what is stored; if not, nothing could be read at present.
    pub known: bool,
    pub primary: Option<StateDb>,
    pub mirror: Option<StateDb>,
    /// Why there is no primary.
    pub fault: Option<PersistError>,
    pub damages: Vec<Damage>,
    /// Whether the copy was used.
    pub restored: bool,
}

/// What to do about one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Keep,
    Write,
    /// Keep the old one in quarantine.
    Replace,
    /// It cannot be read now, so it is not touched.
    Leave,
}

/// What was decided.
struct Choice {
    contents: Contents,
    known: bool,
    primary: Action,
    mirror: Action,
    damages: Vec<Damage>,
    restored: bool,
    fault: Option<PersistError>,
}

fn told(file: &str, what: String, lost: bool) -> Damage {
    Damage { file: file.to_owned(), table: None, id: None, what, lost }
}

fn choice(contents: Contents, primary: Action, mirror: Action) -> Choice {
    Choice { contents, known: true, primary, mirror, damages: Vec::new(), restored: false, fault: None }
}

/// Decides. What the files are is given; nothing is read or written.
fn choose(primary: Found, mirror: Found) -> Choice {
    use Action::{Keep, Leave, Replace, Write};
    use Found::{Damaged, Healthy, Missing, Newer, Unreadable};
    match (primary, mirror) {
        (Healthy(a), Healthy(b)) if a.head.seq >= b.head.seq => {
            let action = if a.head == b.head && a.tally() == b.tally() { Keep } else { Write };
            choice(a, Keep, action)
        }
        (Healthy(a), Healthy(b)) => {
            let behind = b.head.seq - a.head.seq;
            let what = format!("{behind} transactions are missing at its end; its copy has them and is used");
            let damages = vec![told(STATE_FILE, what, false)];
            Choice { damages, restored: true, ..choice(b, Write, Keep) }
        }
        (Healthy(a), Missing) => choice(a, Keep, Write),
        // A first start writes the copy first, and was ended before it wrote the other: nothing was ever stored.
        (Missing, Healthy(b)) if b.head.seq == 0 => choice(b, Write, Keep),
        (Missing, Healthy(b)) => {
            let damages = vec![told(STATE_FILE, "the file is missing; its copy is used".to_owned(), false)];
            Choice { damages, restored: true, ..choice(b, Write, Keep) }
        }
        (Healthy(a), Damaged(bad)) if bad.contents.head.seq <= a.head.seq => {
            let damages = vec![told(COPY_FILE, format!("{}; it is written anew from the state", bad.what), false)];
            Choice { damages, ..choice(a, Keep, Replace) }
        }
        (Damaged(bad), Healthy(b)) if bad.contents.head.seq <= b.head.seq => {
            let damages = vec![told(STATE_FILE, format!("{}; its copy is whole and is used", bad.what), false)];
            Choice { damages, restored: true, ..choice(b, Replace, Keep) }
        }
        (Missing, Missing) => choice(Contents::default(), Write, Write),
        (Unreadable(fault), Healthy(found)) | (Healthy(found), Unreadable(fault)) => {
            Choice { fault: Some(fault), ..choice(found, Leave, Leave) }
        }
        (Unreadable(fault), _) | (_, Unreadable(fault)) => {
            Choice { fault: Some(fault), known: false, ..choice(Contents::default(), Leave, Leave) }
        }
        (Newer(_), _) | (_, Newer(_)) => choice(Contents::default(), Leave, Leave),
        (a, b) => salvage(a, b),
    }
}

/// No file is healthy and up to date: the rows that can be read, from both.
fn salvage(primary: Found, mirror: Found) -> Choice {
    let mut damages = Vec::new();
    let mut part = |file: &str, found: Found| match found {
        Found::Damaged(partial) => {
            let what = format!("{}; every row that can be read in it or its other copy is used", partial.what);
            damages.push(told(file, what, true));
            (partial, Action::Replace)
        }
        Found::Healthy(contents) => (Partial::healthy(contents), Action::Write),
        _ => (Partial::nothing(String::new()), Action::Write),
    };
    let (a, primary) = part(STATE_FILE, primary);
    let (b, mirror) = part(COPY_FILE, mirror);
    let behind = a.contents.head.seq.abs_diff(b.contents.head.seq);
    if behind > 0 {
        let what = format!("the two files are {behind} transactions apart: rows may be older than the last commit");
        damages.push(told(STATE_FILE, what, false));
    }
    let (contents, lost) = a.merge(b, STATE_FILE);
    damages.extend(lost);
    Choice { damages, restored: true, ..choice(contents, primary, mirror) }
}

/// Writes a whole state into a new file, which then takes the place of the one at `path`.
pub(super) fn write_anew(path: &Path, contents: &Contents, damaged: Option<Timestamp>) -> Result<(), PersistError> {
    let new = disk::new_of(path);
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => PersistError::Full { path: path.to_owned() },
        std::io::ErrorKind::ReadOnlyFilesystem => PersistError::ReadOnly { path: path.to_owned() },
        _ => PersistError::Io { path: path.to_owned(), source: error.into() },
    };
    let result = disk::remove_database(&new)
        .map_err(io)
        .and_then(|()| fill(&new, contents).map_err(|error| schema::meaning(path, error)))
        .and_then(|()| damaged.map_or(Ok(()), |now| disk::quarantine(path, now)).map_err(io))
        .and_then(|()| disk::take_place(&new, path).map_err(io));
    if result.is_err() {
        let _ = disk::remove_database(&new);
    }
    result
}

fn fill(path: &Path, contents: &Contents) -> rusqlite::Result<()> {
    let mut file = schema::open(path)?;
    // Nobody reads it before it is finished: no journal, and one sync at the end.
    file.pragma_update(None, "journal_mode", "OFF")?;
    file.pragma_update(None, "synchronous", "OFF")?;
    schema::migrate(&mut file, schema::STATE)?;
    let transaction = file.transaction()?;
    contents.records.good.values().try_for_each(|row| row.put(&transaction))?;
    contents.outbox.good.values().try_for_each(|row| row.put(&transaction))?;
    contents.staged.good.values().try_for_each(|row| row.put(&transaction))?;
    db::put_meta(&transaction, &contents.head, contents.tally())?;
    transaction.commit()?;
    file.close().map_err(|(_, error)| error)
}

/// Examines, decides, and brings the files in order as far as the disk allows.
///
/// `base` gives the least number of the next history row.
pub(super) fn recover(dir: &Path, now: Timestamp, base: impl FnOnce(&Head) -> u64) -> Result<Recovered, OpenError> {
    let [primary_path, mirror_path] = [dir.join(STATE_FILE), dir.join(COPY_FILE)];
    let [primary, mirror] = [Found::at(&primary_path), Found::at(&mirror_path)];
    for (path, found) in [(&primary_path, &primary), (&mirror_path, &mirror)] {
        if let Found::Newer(found) = found {
            let known = schema::version(schema::STATE);
            return Err(OpenError::Newer { path: path.clone(), found: *found, known });
        }
    }
    let mut choice = choose(primary, mirror);
    if choice.primary != Action::Keep {
        choice.contents.head.number = choice.contents.head.number.max(base(&choice.contents.head));
    }
    let mut recovered = Recovered {
        contents: choice.contents,
        known: choice.known,
        primary: None,
        mirror: None,
        fault: choice.fault,
        damages: choice.damages,
        restored: choice.restored,
    };
    if recovered.fault.is_none() {
        let mirror = ready(mirror_path, choice.mirror, &recovered.contents, now, true);
        let primary = ready(primary_path, choice.primary, &recovered.contents, now, false);
        recovered.mirror = mirror.ok();
        match primary {
            Ok(primary) => recovered.primary = Some(primary),
            Err(fault) => recovered.fault = Some(fault),
        }
    }
    Ok(recovered)
}

fn ready(
    path: PathBuf,
    action: Action,
    contents: &Contents,
    now: Timestamp,
    alone: bool,
) -> Result<StateDb, PersistError> {
    match action {
        Action::Keep | Action::Leave => {}
        Action::Write => write_anew(&path, contents, None)?,
        Action::Replace => write_anew(&path, contents, Some(now))?,
    }
    StateDb::open(&path, contents.tally(), alone)
}
