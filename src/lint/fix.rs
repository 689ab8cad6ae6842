//! `--fix`: mends what is certain, by places in the text, until nothing changes. Every other byte stays.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Diagnostic, Edit, SourceFile};

/// Most rounds: a mend may uncover another mistake that can be mended.
const ROUNDS_MAX: usize = 20;

/// A file after mending.
#[derive(Debug)]
pub struct Mended {
    /// Its text.
    pub text: String,
    /// How many findings were mended.
    pub count: usize,
}

/// Mends a file; `look` says what is found in a text.
pub fn mend(file: &Arc<SourceFile>, look: &mut dyn FnMut(&Arc<SourceFile>) -> Vec<Diagnostic>) -> Mended {
    let mut current = file.clone();
    let mut found = look(&current);
    let mut count = 0;
    for _ in 0..ROUNDS_MAX {
        let Some((next, left, mended)) = round(&current, &found, look) else { break };
        (current, found) = (next, left);
        count += mended;
    }
    Mended { text: current.text.clone(), count }
}

type Round = (Arc<SourceFile>, Vec<Diagnostic>, usize);

/// All mends at once; where that leaves one of their findings, the first alone that does not.
fn round(
    file: &Arc<SourceFile>,
    found: &[Diagnostic],
    look: &mut dyn FnMut(&Arc<SourceFile>) -> Vec<Diagnostic>,
) -> Option<Round> {
    let mendable: Vec<&Diagnostic> = found.iter().filter(|d| d.file.path == file.path && d.fix.is_some()).collect();
    if mendable.is_empty() {
        return None;
    }
    let mut attempt = |chosen: &[&Diagnostic]| {
        let mends: Vec<&[Edit]> = chosen.iter().filter_map(|d| Some(&*d.fix.as_ref()?.edits)).collect();
        let (text, applied) = applied(&file.text, &mends);
        let next = SourceFile::new(file.path.clone(), text);
        let left = look(&next);
        let same = |all: &[Diagnostic], d: &Diagnostic| {
            all.iter().filter(|other| (other.code, &other.message) == (d.code, &d.message)).count()
        };
        // What it uncovers does not speak against a mend, unless the file is no longer read at all.
        let gone = applied > 0 && chosen.iter().all(|d| same(&left, d) < same(found, d));
        let read = !left.iter().any(|d| d.code == NOT_YAML);
        (gone && read).then_some((next, left, applied))
    };
    let all = attempt(&mendable);
    all.or_else(|| if mendable.len() > 1 { mendable.iter().find_map(|one| attempt(&[*one])) } else { None })
}

/// The finding of a file that is not YAML.
const NOT_YAML: &str = "A004";

/// The text with mends that do not overlap, and how many these are.
pub fn applied(text: &str, mends: &[&[Edit]]) -> (String, usize) {
    let mut taken: Vec<(&Range<usize>, &str)> = Vec::new();
    let mut count = 0;
    for mend in mends {
        let clear = mend.iter().all(|edit| {
            let fits = text.get(edit.span.clone()).is_some();
            fits && taken
                .iter()
                .all(|(span, _)| edit.span.end < span.start || span.end < edit.span.start || same_end(span, &edit.span))
        });
        if clear {
            taken.extend(mend.iter().map(|edit| (&edit.span, edit.text.as_str())));
            count += 1;
        }
    }
    taken.sort_by_key(|(span, _)| (span.start, span.end));
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (span, new) in taken {
        out.push_str(&text[at..span.start]);
        out.push_str(new);
        at = span.end;
    }
    out.push_str(&text[at..]);
    (out, count)
}

/// Whether two places touch without sharing a byte, both of them being longer than nothing.
fn same_end(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && (a.end == b.start || b.end == a.start)
}
