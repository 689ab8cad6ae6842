//! `--fix`: mends what is certain, by places in the text, until nothing changes. Every other byte stays.
//!
//! All files are looked at together, as they are checked: what one of them says may be right because of another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::diag::{Diagnostic, Edit, Level, SourceFile};

/// Most rounds: a mend may uncover another mistake that can be mended.
const ROUNDS_MAX: usize = 20;
/// Most single mends that are tried where all of them at once do not do.
const ALONE_MAX: usize = 200;

/// A file after mending.
#[derive(Debug)]
pub struct Mended {
    /// Its text.
    pub text: String,
    /// How many findings were mended.
    pub count: usize,
}

/// Says what is found in texts.
type Looking<'a> = &'a mut dyn FnMut(&[Arc<SourceFile>]) -> Vec<Diagnostic>;

/// Mends files; `look` says what is found in them.
pub fn mend(files: &[Arc<SourceFile>], look: Looking<'_>) -> Vec<Mended> {
    let mut current = files.to_vec();
    let mut counts: Vec<usize> = vec![0; files.len()];
    let mut found = look(&current);
    for _ in 0..ROUNDS_MAX {
        let Some(round) = round(&current, &found, look) else { break };
        (current, found) = (round.files, round.found);
        counts.iter_mut().zip(round.counts).for_each(|(sum, count)| *sum += count);
    }
    current.iter().zip(counts).map(|(file, count)| Mended { text: file.text.clone(), count }).collect()
}

/// Files after some mends.
struct Round {
    files: Vec<Arc<SourceFile>>,
    found: Vec<Diagnostic>,
    /// Of each file the mends that were applied.
    counts: Vec<usize>,
}

/// All mends at once; without the files in which that does harm or leaves one of their findings; else the first mend
/// that does neither by itself.
fn round(files: &[Arc<SourceFile>], found: &[Diagnostic], look: Looking<'_>) -> Option<Round> {
    let paths: HashSet<&str> = files.iter().map(|file| &*file.path).collect();
    let mendable: Vec<&Diagnostic> =
        found.iter().filter(|d| d.fix.is_some() && paths.contains(&*d.file.path)).collect();
    let bad = match attempt(files, found, &mendable, look)? {
        Ok(round) => return Some(round),
        Err(bad) => bad,
    };
    let good: Vec<&Diagnostic> = mendable.iter().filter(|d| !bad.contains(&d.file.path)).copied().collect();
    if let Some(Ok(round)) = attempt(files, found, &good, look) {
        return Some(round);
    }
    let mut alone = mendable.iter().take(ALONE_MAX);
    alone.find_map(|one| attempt(files, found, &[*one], look)?.ok())
}

/// Applies mends and looks at what they leave: the files in which they do not do are the error. `None`: there is nothing
/// to apply.
fn attempt(
    files: &[Arc<SourceFile>],
    found: &[Diagnostic],
    chosen: &[&Diagnostic],
    look: Looking<'_>,
) -> Option<Result<Round, HashSet<Arc<str>>>> {
    let mut mends: HashMap<&str, Vec<&[Edit]>> = HashMap::new();
    for d in chosen {
        mends.entry(&d.file.path).or_default().extend(d.fix.as_ref().map(|fix| &*fix.edits));
    }
    let mended = files.iter().map(|file| match mends.get(&*file.path) {
        Some(mends) => {
            let (text, count) = applied(&file.text, mends);
            (SourceFile::new(file.path.clone(), text), count)
        }
        None => (Arc::clone(file), 0),
    });
    let (next, counts): (Vec<_>, Vec<_>) = mended.unzip();
    if counts.iter().all(|count| *count == 0) {
        return None;
    }
    let left = look(&next);
    let bad = harmed(found, chosen, &left);
    Some(if bad.is_empty() { Ok(Round { files: next, found: left, counts }) } else { Err(bad) })
}

/// The files in which a finding that was mended is still there, or that are no longer read at all. What else a mend
/// uncovers does not speak against it.
fn harmed(found: &[Diagnostic], chosen: &[&Diagnostic], left: &[Diagnostic]) -> HashSet<Arc<str>> {
    fn key(d: &Diagnostic) -> (&str, &str, &str) {
        (&d.file.path, d.code, &d.message)
    }
    let mut sums: HashMap<(&str, &str, &str), isize> = HashMap::new();
    found.iter().for_each(|d| *sums.entry(key(d)).or_default() -= 1);
    left.iter().for_each(|d| *sums.entry(key(d)).or_default() += 1);
    let stays = chosen.iter().filter(|d| sums.get(&key(d)).is_none_or(|sum| *sum >= 0));
    let unread = |d: &&Diagnostic| d.level == Level::Error && d.code.starts_with(UNREADABLE);
    let before: HashSet<(&str, &str)> = found.iter().filter(unread).map(|d| (&*d.file.path, d.code)).collect();
    let worse = left.iter().filter(unread).filter(|d| !before.contains(&(&*d.file.path, d.code)));
    stays.copied().chain(worse).map(|d| Arc::clone(&d.file.path)).collect()
}

/// What the codes begin with of files that cannot be read: no YAML, a key that is there twice.
const UNREADABLE: &str = "A00";

/// The text with mends that do not overlap, and how many these are.
pub fn applied(text: &str, mends: &[&[Edit]]) -> (String, usize) {
    // By their places, none of which overlap.
    let mut taken: BTreeMap<(usize, usize), &str> = BTreeMap::new();
    let mut count = 0;
    for mend in mends {
        let clear = mend.iter().all(|edit| {
            let at = (edit.span.start, edit.span.end);
            let around = [taken.range(..=at).next_back(), taken.range(at..).next()];
            text.get(edit.span.clone()).is_some() && around.into_iter().flatten().all(|(other, _)| apart(*other, at))
        });
        if clear {
            taken.extend(mend.iter().map(|edit| ((edit.span.start, edit.span.end), edit.text.as_str())));
            count += 1;
        }
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for ((start, end), new) in taken {
        out.push_str(&text[at..start]);
        out.push_str(new);
        at = end;
    }
    out.push_str(&text[at..]);
    (out, count)
}

/// Whether two places share no byte and do not touch, unless both of them are longer than nothing.
fn apart(a: (usize, usize), b: (usize, usize)) -> bool {
    let long = a.0 < a.1 && b.0 < b.1;
    a.1 < b.0 || b.1 < a.0 || (long && (a.1 == b.0 || b.1 == a.0))
}
