//! Quoted values whose further lines are indented too little. YAML refuses them, Go's reader does not, and rule files
//! are full of them: the lines are indented for the parser, and its positions are brought back to the file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Marker, Span};

/// Most bytes that are read anew because of such values: each costs another reading of the file.
const BYTES_AGAIN_MAX: usize = 64 << 20;
/// Most blanks that are put before lines.
const BLANKS_MAX: usize = 8 << 20;

/// The text that the parser gets.
pub(super) struct Mended<'a> {
    original: &'a str,
    pub text: Cow<'a, str>,
    /// Bytes of the original before which blanks stand in `text`, and how many.
    inserted: BTreeMap<usize, usize>,
    /// The same, in characters.
    shifts: Vec<Shift>,
    bytes_again: usize,
    blanks: usize,
}

/// Blanks that the original does not have.
struct Shift {
    /// The character of the original before which they stand.
    at: usize,
    /// The character of the text with which they begin.
    from: usize,
    count: usize,
}

impl<'a> Mended<'a> {
    pub fn new(original: &'a str) -> Self {
        let text = Cow::Borrowed(original);
        Self { original, text, inserted: BTreeMap::new(), shifts: Vec::new(), bytes_again: 0, blanks: 0 }
    }

    /// Indents the lines of the quoted value that begins at a byte of the original. False if there is nothing to do
    /// about it.
    pub fn mend(&mut self, start: usize) -> bool {
        self.bytes_again += self.original.len();
        let line_start = self.original.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
        let want = start - line_start + 1;
        let before = self.inserted.len();
        for line in further_lines(self.original, start) {
            let rest = self.original.get(line..).unwrap_or_default();
            let have = rest.len() - rest.trim_start_matches(' ').len();
            let blank = rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
            if !blank && have < want && !self.inserted.contains_key(&line) {
                self.inserted.insert(line, want - have);
                self.blanks += want - have;
            }
            if self.blanks > BLANKS_MAX {
                return false;
            }
        }
        if self.inserted.len() == before || self.bytes_again > BYTES_AGAIN_MAX {
            return false;
        }
        self.rewrite();
        true
    }

    fn rewrite(&mut self) {
        let mut text = String::with_capacity(self.original.len());
        self.shifts.clear();
        let (mut done, mut chars, mut added) = (0, 0, 0);
        for (&at, &count) in &self.inserted {
            let piece = self.original.get(done..at).unwrap_or_default();
            chars += piece.chars().count();
            text.push_str(piece);
            text.extend(std::iter::repeat_n(' ', count));
            self.shifts.push(Shift { at: chars, from: chars + added, count });
            added += count;
            done = at;
        }
        text.push_str(self.original.get(done..).unwrap_or_default());
        self.text = Cow::Owned(text);
    }
}

/// The beginnings of the lines, but for the first, of the quoted value at `start`.
fn further_lines(text: &str, start: usize) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut bytes = text.bytes().enumerate().skip(start).peekable();
    let Some((_, quote)) = bytes.next().filter(|(_, b)| matches!(b, b'"' | b'\'')) else { return lines };
    while let Some((at, byte)) = bytes.next() {
        match byte {
            // An escaped line break begins a line all the same.
            b'\\' if quote == b'"' && bytes.next_if(|(_, b)| *b != b'\n').is_some() => {}
            b'\'' if quote == b'\'' && bytes.next_if(|(_, b)| *b == b'\'').is_some() => {}
            b if b == quote => break,
            b'\n' => lines.push(at + 1),
            _ => {}
        }
    }
    lines
}

/// Turns the parser's character positions into bytes of the file. Events come nearly in file order, so walking from the
/// last position costs as much as the file is long.
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// Bytes before the text.
    skip: usize,
    shifts: &'a [Shift],
    chars: usize,
    bytes: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(mended: &'a Mended<'_>, skip: usize) -> Self {
        Self { text: mended.original, skip, shifts: &mended.shifts, chars: 0, bytes: 0 }
    }

    pub fn byte(&mut self, marker: Marker) -> usize {
        let want = self.original_char(marker.index());
        let bytes = self.text.as_bytes();
        let is_start = |b: u8| (b as i8) >= -0x40;
        while self.chars < want && self.bytes < bytes.len() {
            self.bytes += 1;
            while self.bytes < bytes.len() && !is_start(bytes[self.bytes]) {
                self.bytes += 1;
            }
            self.chars += 1;
        }
        while self.chars > want && self.bytes > 0 {
            self.bytes -= 1;
            while self.bytes > 0 && !is_start(bytes[self.bytes]) {
                self.bytes -= 1;
            }
            self.chars -= 1;
        }
        self.bytes + self.skip
    }

    pub fn range(&mut self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        let end = self.byte(span.end).max(start);
        start..end
    }

    /// A character of what the parser read as one of the original.
    fn original_char(&self, index: usize) -> usize {
        let before = self.shifts.partition_point(|shift| shift.from < index);
        match before.checked_sub(1).map(|last| &self.shifts[last]) {
            None => index,
            Some(shift) => shift.at + (index - shift.from).saturating_sub(shift.count),
        }
    }
}
