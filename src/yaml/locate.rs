//! From a place inside a decoded scalar to the bytes of the file, so that a caret can point at one token of a query.
//!
//! The scalar is decoded a second time, remembering where each byte came from. This happens only when there is
//! something to point at. Should the second decoding ever differ from the parser's, the whole scalar is pointed at:
//! a wide caret, never a wrong one.

use std::ops::Range;

use super::{Kind, Node, ScalarStyle};

/// A decoded text and, per byte of it, the byte of the file it came from.
#[derive(Default)]
struct Trace {
    decoded: String,
    from: Vec<usize>,
    /// End in the file of the last decoded character.
    end: usize,
}

impl Trace {
    fn push(&mut self, c: char, from: Range<usize>) {
        self.decoded.push(c);
        self.from.resize(self.decoded.len(), from.start);
        self.end = from.end;
    }
}

impl Node {
    /// The bytes of the file that a byte range of this scalar's decoded text came from. The empty range at the end of
    /// the text gives the place right behind its last character.
    pub fn locate(&self, source: &str, inside: Range<usize>) -> Range<usize> {
        let Kind::Scalar { value, style, .. } = &self.kind else { return self.span.clone() };
        let Some(trace) = trace(source, &self.span, value, *style) else { return self.span.clone() };
        let at = |offset: usize| trace.from.get(offset).copied().unwrap_or(trace.end);
        let start = at(inside.start);
        let last = inside.end.min(trace.decoded.len());
        let end = match trace.decoded.get(..last).and_then(|t| t.char_indices().next_back()) {
            Some((i, _)) if i >= inside.start => {
                // The end of the last character: where the next one begins, unless a fold or an escape lies between.
                let from = at(i);
                let raw = source.get(from..).and_then(|t| t.chars().next());
                let simple = raw.is_some_and(|c| trace.decoded[i..].starts_with(c));
                if simple { from + raw.map_or(0, char::len_utf8) } else { at(last).max(from) }
            }
            _ => start,
        };
        start..end.max(start)
    }
}

fn trace(source: &str, span: &Range<usize>, value: &str, style: ScalarStyle) -> Option<Trace> {
    let raw = source.get(span.clone())?;
    match style {
        ScalarStyle::Plain => flow(raw, span.start, Quote::None),
        ScalarStyle::SingleQuoted => flow(raw.strip_prefix('\'')?.strip_suffix('\'')?, span.start + 1, Quote::Single),
        ScalarStyle::DoubleQuoted => flow(raw.strip_prefix('"')?.strip_suffix('"')?, span.start + 1, Quote::Double),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let decoded = block(source, span, style == ScalarStyle::Folded)?;
            // The number of line ends kept at the end depends on the chomping sign; nothing points there.
            let same = decoded.decoded.trim_end_matches('\n') == value.trim_matches('\n').trim_end_matches('\n')
                || decoded.decoded.trim_end_matches('\n') == value.trim_end_matches('\n');
            return same.then_some(shifted(decoded, value));
        }
    }
    .filter(|t| t.decoded == value)
}

/// Leading empty lines of a block scalar stand before the place the parser gives it.
fn shifted(mut trace: Trace, value: &str) -> Trace {
    let lead = value.len() - value.trim_start_matches('\n').len();
    let have = trace.decoded.len() - trace.decoded.trim_start_matches('\n').len();
    if lead > have && !trace.decoded.is_empty() {
        let first = trace.from.first().copied().unwrap_or(0);
        trace.from.splice(0..0, std::iter::repeat_n(first, lead - have));
        trace.decoded.insert_str(0, &"\n".repeat(lead - have));
    }
    trace
}

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

/// Plain and quoted scalars: line breaks fold, escapes are resolved.
fn flow(raw: &str, base: usize, quote: Quote) -> Option<Trace> {
    let mut out = Trace { end: base, ..Trace::default() };
    let mut at = 0;
    while let Some(c) = raw[at..].chars().next() {
        let here = base + at;
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            let run = raw[at..].len() - raw[at..].trim_start_matches([' ', '\t', '\n', '\r']).len();
            let breaks = raw[at..at + run].matches('\n').count();
            match breaks {
                0 => raw[at..at + run].char_indices().for_each(|(i, c)| out.push(c, here + i..here + i + 1)),
                1 => out.push(' ', here..here + run),
                more => (1..more).for_each(|_| out.push('\n', here..here + run)),
            }
            at += run;
            continue;
        }
        let taken = match (quote, c) {
            (Quote::Single, '\'') => 2,
            (Quote::Double, '\\') => {
                let (decoded, taken) = escape(&raw[at..])?;
                if let Some(decoded) = decoded {
                    out.push(decoded, here..here + taken);
                }
                at += taken;
                continue;
            }
            _ => c.len_utf8(),
        };
        out.push(c, here..here + taken);
        at += taken;
    }
    Some(out)
}

/// One escape of a double-quoted scalar: what it stands for (nothing for an escaped line break), and its length.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    let c = text[1..].chars().next()?;
    let hex = |digits: usize| {
        let code = u32::from_str_radix(text.get(2..2 + digits)?, 16).ok()?;
        Some((Some(char::from_u32(code)?), 2 + digits))
    };
    let plain = match c {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        ' ' | '"' | '/' | '\\' => c,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        'x' => return hex(2),
        'u' => return hex(4),
        'U' => return hex(8),
        '\n' | '\r' => {
            let rest = text[1..].trim_start_matches([' ', '\t', '\n', '\r']);
            return Some((None, text.len() - rest.len()));
        }
        _ => return None,
    };
    Some((Some(plain), 1 + c.len_utf8()))
}

/// Literal and folded block scalars. The span begins at the first content character, whose column is the indentation.
fn block(source: &str, span: &Range<usize>, folded: bool) -> Option<Trace> {
    let line_start = source.get(..span.start)?.rfind('\n').map_or(0, |i| i + 1);
    let indent = span.start - line_start;
    let mut out = Trace { end: span.start, ..Trace::default() };
    let mut pending: Vec<Range<usize>> = Vec::new();
    let mut previous_blank = false;
    let mut offset = line_start;
    for line in source.get(line_start..span.end)?.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let margin = content.len() - content.trim_start_matches(' ').len();
        let end = offset + content.len()..offset + line.len();
        if content.len() <= indent && margin == content.len() {
            pending.push(end);
            offset += line.len();
            continue;
        }
        if margin < indent {
            break;
        }
        let text = &content[indent..];
        let blank = text.starts_with([' ', '\t']);
        flush_breaks(&mut out, &mut pending, folded && !previous_blank && !blank);
        let start = offset + indent;
        text.char_indices().for_each(|(i, c)| out.push(c, start + i..start + i + c.len_utf8()));
        pending.push(end);
        previous_blank = blank;
        offset += line.len();
    }
    Some(out)
}

fn flush_breaks(out: &mut Trace, pending: &mut Vec<Range<usize>>, fold: bool) {
    if fold && out.decoded.is_empty() {
        pending.iter().for_each(|at| out.push('\n', at.clone()));
    } else if fold {
        match pending.as_slice() {
            [only] => out.push(' ', only.clone()),
            [_, rest @ ..] => rest.iter().for_each(|at| out.push('\n', at.clone())),
            [] => {}
        }
    } else {
        pending.iter().for_each(|at| out.push('\n', at.clone()));
    }
    pending.clear();
}
